"""Inverse folding: what the model may see, how it is told of known residues, and what the verb returns."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.heads.protein.design import SequenceDesign, predict_sequence
from gnnlib.heads.protein.design_backbone import complete_backbone, fit_peptide
from gnnlib.heads.protein.design_kernels import (
    DENSITY_ATOMS,
    EDGE_FEATURES,
    edge_features,
    local_density,
    radial_centres_angstrom,
)
from gnnlib.heads.protein.geometry import build_backbone, local_frames
from gnnlib.heads.protein.graphs.design_graph import DesignInput, design_graph, prepare_chain
from gnnlib.heads.protein.networks.design_head import AminoAcidScores, DesignHead, RefiningModel, design_head, refine
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.residues import AMINO_ACIDS, sequence_indices
from gnnlib.heads.protein.scores.design_scores import fit_temperature, fix_residues, measure_recovery, score_graph
from gnnlib.heads.protein.training.train_design import PRESETS, DesignBatches, build_model
from gnnlib.training import FitConfig, fit

if TYPE_CHECKING:
    from pathlib import Path

    from gnnlib.encoder import GraphModel


def fold(length: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A chain of helices, strands and turns with ideal bonds, [L, 5, 3]."""
    rng = np.random.default_rng(seed)
    phi, psi = np.empty(length), np.empty(length)
    at = 0
    while at < length:
        size = int(rng.integers(3, 12))
        angles = [(-60.0, -45.0), (-120.0, 130.0), (-75.0, 150.0)][int(rng.integers(3))]
        phi[at : at + size], psi[at : at + size] = angles
        at += size
    coords = build_backbone(phi + rng.normal(0, 5, length), psi + rng.normal(0, 5, length))
    return coords + rng.normal(0, 0.01, coords.shape)  # so that no two distances are equal


@cache
def peptide() -> np.ndarray[Any, np.dtype[np.float64]]:
    return fit_peptide([(fold(120, seed), np.zeros(120, int)) for seed in range(6)])


@cache
def tiny() -> GraphModel:
    return build_model(PRESETS["tiny"], peptide()).eval()


def prepared(structure: Structure, **options: int) -> DesignInput:
    return prepare_chain(structure, peptide(), sequence_indices(structure.sequence), **options)


def turned(coords: np.ndarray[Any, Any], seed: int = 0) -> np.ndarray[Any, Any]:
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    return np.asarray(coords @ rotation.T + [11.0, -7.0, 3.0])


def test_moving_and_turning_a_structure_leaves_its_graph_as_it_is() -> None:
    coords = fold(60, 1)
    one, other = (design_graph([prepared(Structure.from_arrays(c))]) for c in (coords, turned(coords)))
    assert torch.equal(one.edge_index, other.edge_index)
    torch.testing.assert_close(one.x, other.x, atol=2e-3, rtol=0)
    assert one.edge_attr is not None and other.edge_attr is not None
    torch.testing.assert_close(one.edge_attr, other.edge_attr, atol=2e-3, rtol=0)


def test_the_mirror_image_gives_another_graph() -> None:
    coords = fold(60, 1)
    one, other = (design_graph([prepared(Structure.from_arrays(c))]) for c in (coords, coords * [1, 1, -1]))
    assert float((one.x - other.x).abs().max()) > 0.1


def test_nothing_that_tells_the_amino_acid_reaches_the_graph() -> None:
    coords = fold(50, 2)
    plain = Structure.from_arrays(coords, "A" * 50)
    leaky = coords.copy()
    leaky[::3, 4] = np.nan  # glycine has no CB
    leaky[1::3, 4] += 0.2  # real CB atoms lie off the ideal place, each amino acid in its own way
    leaky[:, 3] += 0.1  # refined O atoms differ from rebuilt ones
    telling = Structure.from_arrays(
        leaky, (AMINO_ACIDS * 3)[:50], residue_numbers=np.arange(50) * 2, b_factors=np.arange(50.0)
    )
    one, other = design_graph([prepared(plain)]), design_graph([prepared(telling)])
    for name in ("x", "edge_index", "edge_attr", "edge_type"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.label is not None and other.label is not None and not torch.equal(one.label, other.label)


def test_a_bare_trace_gets_back_n_and_c_within_a_fifth_of_an_angstrom() -> None:
    coords = fold(100, 99)
    bare = np.full((100, 3, 3), np.nan)
    bare[:, 1] = coords[:, 1]
    backbone, rebuilt = complete_backbone(bare, np.zeros(100, int), peptide())
    assert rebuilt.all()
    off = np.linalg.norm(backbone - coords[:, :3], axis=2)[3:-3]
    assert np.median(off[:, [0, 2]]) < 0.2
    assert np.array_equal(backbone[:, 1], coords[:, 1])


def test_atoms_that_are_there_are_kept_and_only_lost_ones_rebuilt() -> None:
    coords = fold(40, 3)
    holes = coords.copy()
    holes[7, 0] = np.nan
    holes[20, 2] = np.nan
    backbone, rebuilt = complete_backbone(holes, np.zeros(40, int), peptide())
    assert np.flatnonzero(rebuilt).tolist() == [7, 20]
    assert np.array_equal(backbone[~rebuilt], coords[~rebuilt, :3])
    assert np.isfinite(backbone).all()


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_short_traces_and_single_residues_are_designed_too(length: int) -> None:
    design = predict_sequence(fold(6, 4)[:length, 1], model=tiny())
    assert len(design.sequence) == length
    assert np.isfinite(design.probabilities).all()


def test_the_edge_kernel_does_what_its_formula_says() -> None:
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(30, 5, 3)) * 6
    frames = np.stack([np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(30)])
    sender, receiver = rng.integers(0, 30, 80), rng.integers(0, 30, 80)
    out = edge_features(atoms, frames, sender, receiver)
    assert out.shape == (80, EDGE_FEATURES)
    gap = atoms[sender][:, None] - atoms[receiver][:, :, None]
    distance = np.linalg.norm(gap, axis=3)
    roots = np.sqrt(radial_centres_angstrom())
    place = np.minimum(np.sqrt(distance), roots[-1])[..., None] - roots
    radial = np.exp(-0.5 * (place / (roots[1] - roots[0])) ** 2).reshape(80, -1)
    np.testing.assert_allclose(out[:, :300], radial, atol=4e-4)  # the recurrence stops after three neighbours
    steps = gap[:, 1] / np.maximum(distance[:, 1], 1e-3)[..., None]
    np.testing.assert_allclose(out[:, 300:315], (steps @ frames[receiver]).reshape(80, 15), atol=1e-5)
    turn = frames[receiver].transpose(0, 2, 1) @ frames[sender]
    np.testing.assert_allclose(out[:, 315:], turn.reshape(80, 9), atol=1e-5)


def test_the_density_sees_an_atom_where_it_is_and_adds_up() -> None:
    coords = fold(30, 5)
    frames = local_frames(coords)
    near = np.tile(np.arange(30), (30, 1))[:, :12]
    both = local_density(coords, frames, near)
    parts = [local_density(coords, frames, near[:, part]) for part in (slice(0, 5), slice(5, 12))]
    np.testing.assert_allclose(both, parts[0] + parts[1], atol=1e-4)
    # one atom right on the outward axis of residue 0: its nearest direction gets most
    origin = coords[0, 1] + 2.4 * (coords[0, 4] - coords[0, 1]) / np.linalg.norm(coords[0, 4] - coords[0, 1])
    axis = np.array([0.0, 1.0, (1 + 5**0.5) / 2])
    coords[9, list(DENSITY_ATOMS)] = origin + frames[0] @ axis / np.linalg.norm(axis) * 4.5
    alone = local_density(coords, frames, np.full((30, 1), 9))[0].reshape(len(DENSITY_ATOMS), 5, 12)
    assert (alone.reshape(3, -1).argmax(axis=1) == alone[0].argmax()).all()
    assert alone[0, 1].max() == pytest.approx(1.0, abs=1e-5)
    assert alone[0, 1].argmax() == alone[0].argmax() - 12


def test_chains_of_one_graph_do_not_hear_each_other() -> None:
    first, second = prepared(Structure.from_arrays(fold(30, 6))), prepared(Structure.from_arrays(fold(40, 7)))
    alone = score_graph(tiny(), design_graph([second]))
    together = score_graph(tiny(), design_graph([first, second]))[30:]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_two_chains_of_a_complex_do_hear_each_other_with_an_edge_type_of_their_own() -> None:
    coords = fold(30, 8)
    pair = Structure.from_arrays(
        np.concatenate([coords, coords + np.array([9.0, 0, 0])]), chain_ids=np.array(["A"] * 30 + ["B"] * 30)
    )
    graph = design_graph([prepared(pair)])
    crosses = (graph.edge_index < 30).sum(dim=0) == 1
    assert bool(crosses.any()) and graph.edge_type is not None
    assert set(graph.edge_type[crosses].tolist()) == {49} and 49 not in graph.edge_type[~crosses].tolist()


def test_fixed_residues_stay_fixed_through_every_pass() -> None:
    fixed = "--W" + "-" * 24 + "PGC"
    design = predict_sequence(fold(30, 9), fixed=fixed, passes=3, model=tiny())
    assert design.sequence[2] == "W" and design.sequence[-3:] == "PGC"
    same = predict_sequence(fold(30, 9), fixed=fixed.replace("-", "X").lower(), passes=3, model=tiny())
    assert same.sequence == design.sequence and same.fixed == fixed
    assert design.probabilities[2].max() == 1.0
    np.testing.assert_allclose(design.probabilities.sum(axis=1), 1.0)
    graph = fix_residues(
        design_graph([prepared(Structure.from_arrays(fold(30, 9)))]), sequence_indices(fixed.replace("-", "X"))
    )
    after = refine(graph, AminoAcidScores(torch.zeros(30, 20)))
    assert after.x[2, -21:].tolist() == graph.x[2, -21:].tolist()
    assert after.x[5, -21:].tolist() == pytest.approx([0.05] * 20 + [0.0])


def test_a_fixed_residue_changes_what_its_neighbours_get() -> None:
    blank = predict_sequence(fold(30, 9), model=tiny()).probabilities
    told = predict_sequence(fold(30, 9), fixed="-" * 15 + "W" + "-" * 14, model=tiny()).probabilities
    assert np.abs(told[14] - blank[14]).max() > 1e-6


def test_the_native_sequence_is_judged_but_never_read() -> None:
    coords = fold(40, 10)
    one = predict_sequence(Structure.from_arrays(coords, "A" * 40), model=tiny())
    other = predict_sequence(Structure.from_arrays(coords, (AMINO_ACIDS * 2)), model=tiny())
    assert one.sequence == other.sequence
    assert np.array_equal(one.probabilities, other.probabilities)
    assert one.native == "A" * 40
    assert math.isnan(predict_sequence(coords, model=tiny()).recovery)


def test_recovery_and_perplexity_count_designed_residues_with_a_known_native() -> None:
    shares = np.full((4, 20), 0.5 / 19)
    shares[np.arange(4), [0, 1, 2, 3]] = 0.5
    design = SequenceDesign("ACDE", shares, "ACXW", "A---")
    assert design.recovery == 0.5
    assert design.perplexity == pytest.approx(math.exp(-(math.log(0.5) + math.log(0.5 / 19)) / 2))
    assert design.confidence.tolist() == [0.5] * 4


def test_samples_follow_probabilities_temperature_and_seed() -> None:
    shares = np.zeros((1, 20))
    shares[0, :2] = 0.8, 0.2
    design = SequenceDesign("A", shares, "X", "-")
    drawn = design.sample(4000, seed=0)
    assert set(drawn) == {"A", "C"} and 0.77 < drawn.count("A") / 4000 < 0.83
    assert design.sample(4000, temperature=0.2, seed=0).count("A") > 3970
    assert design.sample(5, seed=3) == design.sample(5, seed=3)
    with pytest.raises(InputError, match="`temperature` must be a finite number > 0, found 0"):
        design.sample(temperature=0)
    with pytest.raises(InputError, match="`count` must be an integer >= 1"):
        design.sample(0)


def test_a_design_prints_exports_and_draws_itself(tmp_path: Path) -> None:
    design = predict_sequence(Structure.from_arrays(fold(70, 11), "A" * 70, name="toy"), model=tiny())
    lines = design.to_fasta(tmp_path / "toy.fasta").splitlines()
    assert lines[0].startswith(">toy recovery=") and len(lines) == 3
    assert (tmp_path / "toy.fasta").read_text().splitlines() == lines
    assert "native recovery" in design.summary() and len(design.to_dict()["probabilities"]) == 70
    pytest.importorskip("matplotlib").use("Agg")
    assert design.plot().get_xlabel() == "residue"


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ("A", "string of 30 letters, one a residue, found 1 letters"),
        (7, "string of 30 letters, one a residue, found int"),
        ("-" * 29 + "B", "found 'B' at residue 29"),
    ],
)
def test_wrong_fixed_residues_are_refused(fixed: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predict_sequence(fold(30, 9), fixed=fixed, model=tiny())


def test_wrong_passes_and_structures_are_refused() -> None:
    with pytest.raises(InputError, match="`passes` must be an integer >= 1, found 0"):
        predict_sequence(fold(30, 9), passes=0, model=tiny())
    with pytest.raises(InputError):
        predict_sequence(np.full((4, 3), np.nan), model=tiny())


def test_residues_without_a_label_do_not_count() -> None:
    head = DesignHead(8)
    graph = design_graph([prepared(Structure.from_arrays(fold(20, 12), "A" * 10 + "X" * 10))])
    logit = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    before = head.losses(AminoAcidScores(logit), graph)["amino_acid"]
    logit[10:] = 100.0
    assert torch.equal(before, head.losses(AminoAcidScores(logit), graph)["amino_acid"])
    assert head.metrics(AminoAcidScores(logit), graph)["recovery"] == float((logit[:10].argmax(1) == 0).float().mean())


def toy_chains(count: int, seed: int) -> list[DesignInput]:
    """Helices are alanine, the rest valine: a rule that the geometry tells."""
    chains = []
    for number in range(count):
        coords = fold(40, 1000 * seed + number)
        step = np.linalg.norm(coords[3:, 1] - coords[:-3, 1], axis=1)
        letters = ["A" if 0 < i < 38 and step[i - 1] < 6.5 else "V" for i in range(40)]
        chains.append(prepared(Structure.from_arrays(coords, "".join(letters)), knn=8))
    return chains


def test_a_rule_that_the_geometry_tells_is_learned_and_temperature_sharpens() -> None:
    model = build_model(PRESETS["tiny"], peptide(), seed=1)
    preset = PRESETS["tiny"]
    batches = DesignBatches(toy_chains(12, 1), 160, preset, seed=0)
    fit(RefiningModel(model), batches, config=FitConfig(epochs=12, learning_rate=2e-2))
    fresh = toy_chains(4, 2)
    before = measure_recovery(model, fresh)
    assert before["residue recovery"] > 0.85
    assert before["mean recovery"] == pytest.approx(before["residue recovery"])
    fit_temperature(model, fresh)
    assert measure_recovery(model, fresh)["perplexity"] <= before["perplexity"]
    assert float(design_head(model).temperature) < 1.0


def test_batches_hold_every_chain_once_and_repeat_with_the_seed() -> None:
    chains = toy_chains(7, 3)
    batches = DesignBatches(chains, 100, PRESETS["tiny"], seed=5)
    sizes = [graph.num_graphs for graph in batches(1)]
    assert sum(sizes) == 7 and max(sizes) == 2
    one, other = next(iter(batches(2))), next(iter(DesignBatches(chains, 100, PRESETS["tiny"], seed=5)(2)))
    assert torch.equal(one.x, other.x)


@pytest.mark.parametrize(
    "coords",
    [np.zeros((9, 3)), np.arange(20)[:, None] * [3.8, 0.0, 0.0], np.zeros((6, 5, 3)), 1000.0 * fold(12, 0)[:, 1]],
    ids=["one place", "a line", "atoms in one place", "no two neighbours"],
)
def test_a_trace_without_a_shape_still_gets_probabilities(coords: np.ndarray[Any, Any]) -> None:
    design = predict_sequence(coords, model=tiny())
    assert np.isfinite(design.probabilities).all() and len(design.sequence) == len(coords)
