"""What features of a bare trace are made of: continued ends, peptide planes, hydrogen bonds, stretches."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.heads.protein.dssp import assign_dssp
from gnnlib.heads.protein.geometry import backbone_torsions, build_backbone
from gnnlib.heads.protein.graphs.graph_features import NODE_FEATURES, VIRTUAL_TORSIONS, trace_features
from gnnlib.heads.protein.graphs.graph_kernels import bond_energy
from gnnlib.heads.protein.graphs.trace import (
    PAD,
    fit_peptide_angle,
    pad_trace,
    steady_trace,
    trace_roughness,
    trace_segment,
    virtual_backbone,
)

HELIX = build_backbone(np.full(24, -60.0), np.full(24, -45.0))
STRAND = build_backbone(np.full(24, -120.0), np.full(24, 130.0))


def test_a_helix_goes_on_as_a_helix_beyond_its_ends() -> None:
    long = build_backbone(np.full(36, -60.0), np.full(36, -45.0))[:, 1]
    trace = pad_trace(long[PAD:-PAD], np.zeros(36 - 2 * PAD, int))
    assert np.allclose(trace.points, long, atol=0.15)
    assert trace.real.sum() == 24 and trace.place[0] == PAD


def test_stretches_are_continued_apart_from_each_other() -> None:
    ca = np.concatenate([HELIX[:10, 1], STRAND[:10, 1] + 50])
    trace = pad_trace(ca, np.repeat([0, 1], 10))
    assert np.array_equal(trace.points[trace.place], ca)
    alone = pad_trace(STRAND[:10, 1] + 50, np.zeros(10, int))
    assert np.allclose(trace.points[-len(alone.points) :], alone.points)


@pytest.mark.parametrize(("chain", "tolerance"), [(HELIX, 0.35), (STRAND, 0.6)])
def test_planes_of_regular_structure_lie_where_they_should(chain: np.ndarray, tolerance: float) -> None:
    trace = pad_trace(chain[:, 1], np.zeros(24, int))
    found = virtual_backbone(trace)
    inner = slice(2, -2)
    for atom, place in (("nitrogen", 0), ("carbon", 2), ("oxygen", 3)):
        off = np.linalg.norm(getattr(found, atom)[trace.place] - chain[:, place], axis=1)
        assert off[inner].max() < tolerance, atom


def test_a_helix_is_a_helix_in_the_estimated_backbone_too() -> None:
    trace = pad_trace(HELIX[:, 1], np.zeros(24, int))
    found = virtual_backbone(trace)
    atoms = np.stack([found.nitrogen, trace.points, found.carbon, found.oxygen], axis=1)[trace.place]
    assert assign_dssp(atoms, np.zeros(24, int)) == "C" + "H" * 22 + "C"


def test_estimated_torsions_stand_in_their_columns() -> None:
    node = trace_features(STRAND[:, 1], np.zeros(24, int)).node
    assert node.shape == (24, NODE_FEATURES)
    for (cosine, sine), true in zip(VIRTUAL_TORSIONS, backbone_torsions(STRAND, np.zeros(24, int)), strict=False):
        found = np.degrees(np.arctan2(node[:, sine], node[:, cosine]))
        assert np.abs(found - true)[3:-3].max() < 25.0


def test_energies_follow_the_formula_and_stay_in_bounds() -> None:
    carbon, oxygen, nitrogen, hydrogen = np.random.default_rng(0).normal(size=(4, 8, 3)) * 3

    def plain(acceptor: int, donor: int) -> float:
        def over(a: np.ndarray, b: np.ndarray) -> float:
            return 1 / max(float(np.linalg.norm(a[acceptor] - b[donor])), 0.5)

        energy = 27.9 * (
            over(oxygen, nitrogen) + over(carbon, hydrogen) - over(oxygen, hydrogen) - over(carbon, nitrogen)
        )
        return min(max(energy, -4.0), 1.0)

    for acceptor in range(8):
        for donor in range(8):
            wanted = 0.0 if donor in (acceptor, acceptor + 1) else plain(acceptor, donor)
            assert bond_energy(carbon, oxygen, nitrogen, hydrogen, acceptor, donor) == pytest.approx(wanted)


def test_noise_does_not_tear_a_trace_but_a_gap_does() -> None:
    ca = HELIX[:, 1] + 0.5 * np.random.default_rng(0).standard_normal((24, 3))
    assert trace_segment(ca).max() == 0
    ca[12:] += 30.0
    assert trace_segment(ca).tolist() == [0] * 12 + [1] * 12
    assert trace_segment(HELIX[:, 1], np.repeat([0, 1], 12)).tolist() == [0] * 12 + [1] * 12


def test_a_clean_trace_stays_and_a_noisy_one_comes_nearer_to_the_truth() -> None:
    ca, segment = np.concatenate([HELIX, STRAND + 60.0])[:, 1], np.repeat([0, 1], 24)
    assert np.array_equal(steady_trace(ca, segment), ca)
    noisy = ca + 0.5 * np.random.default_rng(1).standard_normal(ca.shape)
    steady = steady_trace(noisy, segment)
    error = [np.sqrt(np.mean(np.sum((x - ca) ** 2, axis=1))) for x in (noisy, steady)]
    assert error[1] < 0.85 * error[0]
    assert trace_roughness(steady, segment)[0] < 0.3 * trace_roughness(noisy, segment)[0]


def test_structures_of_a_batch_are_steadied_as_if_alone() -> None:
    random = np.random.default_rng(2)
    noisy = [HELIX[:, 1] + 0.4 * random.standard_normal((24, 3)), STRAND[:, 1] + 0.1 * random.standard_normal((24, 3))]
    number = np.repeat([0, 1], 24)
    together = steady_trace(np.concatenate(noisy), number, number)
    alone = [steady_trace(ca, np.zeros(24, int)) for ca in noisy]
    assert np.allclose(together, np.concatenate(alone))


def test_a_fit_recovers_the_planes_of_what_it_saw() -> None:
    random = np.random.default_rng(0)
    chains = [
        (build_backbone(random.uniform(-80, -50, 60), random.uniform(-60, -20, 60)), np.zeros(60, int))
        for _ in range(40)
    ]
    coefficients = fit_peptide_angle(chains)
    assert coefficients.shape == (92, 2) and np.isfinite(coefficients).all()
    from gnnlib.heads.protein.graphs import trace as module

    before = module.PEPTIDE_COEFFICIENTS
    try:
        module.PEPTIDE_COEFFICIENTS = coefficients
        coords = chains[0][0]
        padded = pad_trace(coords[:, 1], chains[0][1])
        off = np.linalg.norm(virtual_backbone(padded).oxygen[padded.place] - coords[:, 3], axis=1)
    finally:
        module.PEPTIDE_COEFFICIENTS = before
    assert np.median(off[3:-3]) < 0.3
