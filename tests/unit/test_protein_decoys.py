"""Decoys: each kind does what it says, and labels are exact."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gnnlib.errors import InputError
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.metrics import gdt_ts, lddt_per_residue, rmsd
from gnnlib.heads.protein.training.decoy_sets import DecoyPlan, make_decoys
from gnnlib.heads.protein.training.decoys import (
    label_decoy,
    load_conformers,
    map_decoy,
    motion_decoy,
    restore_steps,
    soft_modes,
    threaded_decoy,
    torsion_decoy,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (MIRROR / "protein" / "chains_backbone.npz").is_file(),
    reason=f"no protein chains below {MIRROR}; name a mirror of the data in GNNLIB_DATA",
)


def fold(length: int = 60, seed: int = 0) -> FloatArray:
    """A compact-ish chain with helices and strands, [L, 5, 3]."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, length // 10 + 1).repeat(10)[:length]
    phi = np.where(kinds == 0, -60.0, -120.0) + rng.normal(0, 8, length)
    psi = np.where(kinds == 0, -45.0, 130.0) + rng.normal(0, 8, length)
    turns = np.arange(9, length, 10)
    phi[turns], psi[turns] = 60.0, 40.0
    return build_backbone(phi, psi)


def steps(ca: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(np.diff(ca, axis=0), axis=1))


def test_turned_torsions_keep_every_bond_and_swing_the_rest() -> None:
    native = fold()
    model = torsion_decoy(native[:, :3], np.random.default_rng(1), share=0.02, spread_deg=30.0)
    np.testing.assert_allclose(steps(model), steps(native[:, 1]), atol=1e-9)
    decoy = label_decoy("toy", "torsion", "A" * 60, model, native[:, 1])
    assert decoy.mean_lddt < 0.999 and decoy.gdt_ts < 1.0
    # one residue turned: both sides of it are rigid
    assert sum(rmsd(model[part], native[part, 1]) < 1e-6 for part in (slice(0, 20), slice(40, 60))) >= 1


def test_a_crankshaft_moves_a_stretch_between_fixed_ends() -> None:
    native = fold()
    model = torsion_decoy(native[:, :3], np.random.default_rng(2), share=0.001, spread_deg=50.0, local=True)
    moved = np.flatnonzero(np.linalg.norm(model - native[:, 1], axis=1) > 1e-9)
    assert 0 < len(moved) <= 11 and len(moved) == moved[-1] - moved[0] + 1
    np.testing.assert_allclose(steps(model), steps(native[:, 1]), atol=1e-9)


def test_a_map_with_more_noise_gives_a_worse_model_of_the_right_hand() -> None:
    native = fold(40)[:, 1]
    models = [map_decoy(native, np.random.default_rng(3), noise_per_10=noise) for noise in (0.0, 0.2, 0.8)]
    off = [rmsd(model, native) for model in models]
    assert off[0] < 1e-3 and 0.05 < off[1] < off[2] < 6.0
    for model in models:
        assert rmsd(model, native) < rmsd(-model, native)
        np.testing.assert_allclose(steps(model), steps(native), atol=0.2)


def test_soft_modes_move_no_body_as_a_whole_and_the_first_is_softest() -> None:
    native = fold()[:, 1]
    modes = soft_modes(native, 8)
    assert modes.shape == (8, 60, 3)
    np.testing.assert_allclose(modes.sum(axis=1), 0.0, atol=1e-6)
    spin = np.cross(native - native.mean(axis=0), modes).sum(axis=1)
    np.testing.assert_allclose(spin, 0.0, atol=1e-4)
    size = np.linalg.norm(modes.reshape(8, -1), axis=1)
    assert (np.diff(size) <= 1e-9).all()


def test_soft_modes_are_those_of_the_network_written_out() -> None:
    native = fold(12)[:, 1]
    hessian = np.zeros((36, 36))
    for i in range(12):
        for j in range(12):
            if i != j:
                gap = native[j] - native[i]
                block = np.outer(gap, gap) / (gap @ gap) ** 2
                hessian[3 * i : 3 * i + 3, 3 * j : 3 * j + 3] -= block
                hessian[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] += block
    first = soft_modes(native, 3)[0].ravel()
    stiffness = first @ hessian @ first / (first @ first)
    assert stiffness == pytest.approx(np.linalg.eigvalsh(hessian)[6])
    assert first @ first == pytest.approx(1 / stiffness)


def test_motion_has_the_size_asked_for_and_is_larger_where_few_residues_are_near() -> None:
    native = fold(80, 4)[:, 1]
    rng = np.random.default_rng(4)
    for modes in (None, soft_modes(native)):
        small = motion_decoy(native, rng, rmsd_angstrom=0.5, modes=modes)
        assert 0.2 < np.sqrt(np.mean(np.sum((small - native) ** 2, axis=1))) < 0.6
        np.testing.assert_allclose(steps(small), steps(native), atol=0.02)
    moves = [np.linalg.norm(motion_decoy(native, rng) - native, axis=1) for _ in range(40)]
    softness = 1.0 / (1.0 / (cdist(native, native, "sqeuclidean") + np.eye(80))).sum(axis=1)
    assert np.corrcoef(np.mean(moves, axis=0), softness)[0, 1] > 0.5


def test_steps_are_restored_for_even_and_odd_numbers_of_atoms() -> None:
    for count in (2, 3, 10, 11):
        rough = np.cumsum(np.random.default_rng(count).normal(2, 1, (count, 3)), axis=0)
        even = restore_steps(rough, np.full(count - 1, 3.8), rounds=400)
        np.testing.assert_allclose(steps(even), 3.8, atol=0.01)
        np.testing.assert_allclose(even.mean(axis=0), rough.mean(axis=0), atol=1e-9)


def test_threading_takes_a_stretch_of_the_template() -> None:
    template = fold(70, 5)[:, 1]
    model = threaded_decoy(40, template, np.random.default_rng(5))
    starts = [s for s in range(31) if np.array_equal(model, template[s : s + 40])]
    assert len(starts) == 1
    with pytest.raises(InputError, match="at least 71 residues, found 70"):
        threaded_decoy(71, template, np.random.default_rng(5))


def test_labels_are_those_of_the_metrics_and_lengths_must_agree() -> None:
    native = fold()[:, 1]
    model = native + np.random.default_rng(6).normal(0, 0.8, native.shape)
    decoy = label_decoy("toy", "map", "A" * 60, model, native)
    np.testing.assert_array_equal(decoy.lddt, lddt_per_residue(model, native))
    assert decoy.gdt_ts == gdt_ts(model, native)
    with pytest.raises(InputError, match="one length, found 60, 59 and 60"):
        label_decoy("toy", "map", "A" * 60, model[:-1], native)


@needs_data
def test_a_set_of_decoys_is_the_same_from_seed_and_from_its_cache(tmp_path: Path) -> None:
    plan = DecoyPlan("val", 25, seed=3)
    made, read = make_decoys(plan, tmp_path), make_decoys(plan, tmp_path)
    again = make_decoys(plan)
    assert len(list(tmp_path.iterdir())) == 1
    for one, other, third in zip(made, read, again, strict=True):
        assert (one.name, one.kind, one.sequence, one.gdt_ts) == (other.name, other.kind, other.sequence, other.gdt_ts)
        np.testing.assert_allclose(one.ca, other.ca, atol=1e-4)
        np.testing.assert_array_equal(one.ca, third.ca)
    assert {decoy.kind for decoy in made} >= {"torsion", "map", "motion"}
    assert all(decoy.mean_lddt == 1.0 for decoy in made if decoy.kind == "native")
    assert all(decoy.mean_lddt < 0.6 for decoy in made if decoy.kind == "threaded")


@needs_data
def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    plan = DecoyPlan("val", 3)
    made = make_decoys(plan, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(make_decoys(plan, tmp_path)[2].ca, made[2].ca)


@needs_data
def test_conformer_pairs_are_real_and_mostly_close() -> None:
    pairs = load_conformers()
    assert len(pairs) == 599
    assert all(len(pair.ca) == len(pair.sequence) == len(pair.lddt) for pair in pairs)
    assert 0.9 < np.median([pair.mean_lddt for pair in pairs]) < 1.0


def test_a_plan_needs_a_count_and_conformers_their_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be at least 1, found 0"):
        DecoyPlan("val", 0)
    with pytest.raises(InputError, match="GNNLIB_DATA"):
        load_conformers(tmp_path)
