"""The judge of models: what it reads, what it returns, and that it can tell good from bad."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from gnnlib.encoder import list_weights
from gnnlib.errors import InputError
from gnnlib.heads.protein.design_backbone import fit_peptide
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.graphs.quality_graph import QualityGraph, prepare_model, quality_graph
from gnnlib.heads.protein.networks.quality_head import QualityHead, QualityScores
from gnnlib.heads.protein.networks.quality_readout import fit_readout
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.quality import QualityEstimate, predict_quality
from gnnlib.heads.protein.residues import AMINO_ACIDS, sequence_indices
from gnnlib.heads.protein.scores.quality_scores import judge, measure_quality
from gnnlib.heads.protein.training.decoys import Decoy, label_decoy, map_decoy
from gnnlib.heads.protein.training.train_quality import PRESETS, QualityBatches, build_model
from gnnlib.training import FitConfig, fit

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.typing import FloatArray

SEQUENCE = (AMINO_ACIDS * 4)[:64]


def fold(length: int = 64, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, length // 8 + 1).repeat(8)[:length]
    phi = np.where(kinds == 0, -60.0, -120.0) + rng.normal(0, 6, length)
    psi = np.where(kinds == 0, -45.0, 130.0) + rng.normal(0, 6, length)
    coords = build_backbone(phi, psi)
    return coords + rng.normal(0, 0.01, coords.shape)


@cache
def peptide() -> FloatArray:
    return fit_peptide([(fold(100, seed), np.zeros(100, int)) for seed in range(5)])


@cache
def tiny() -> GraphModel:
    return build_model(PRESETS["tiny"], peptide()).eval()


def graph_of(structure: Structure) -> QualityGraph:
    return quality_graph([prepare_model(structure, peptide(), sequence_indices(structure.sequence))])


def test_the_judge_reads_ca_and_letters_and_nothing_else() -> None:
    coords = fold()
    full = Structure.from_arrays(coords, SEQUENCE, b_factors=np.arange(64.0))
    bare = Structure.from_arrays(coords[:, 1], SEQUENCE, residue_numbers=np.arange(64) + 100)
    one, other = graph_of(full), graph_of(bare)
    assert torch.equal(one.x, other.x) and torch.equal(one.edge_attr, other.edge_attr)  # type: ignore[arg-type]
    estimates = [predict_quality(s, model=tiny()) for s in (full, bare)]
    assert np.array_equal(estimates[0].lddt_per_residue, estimates[1].lddt_per_residue)


def test_letters_do_count() -> None:
    coords = fold()
    one, other = graph_of(Structure.from_arrays(coords, SEQUENCE)), graph_of(Structure.from_arrays(coords))
    assert not torch.equal(one.x, other.x)


def test_moving_and_turning_a_model_leaves_the_estimate_as_it_is() -> None:
    coords = fold()[:, 1]
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    one, other = (predict_quality(c, model=tiny()) for c in (coords, coords @ rotation.T + 9.0))
    np.testing.assert_allclose(one.lddt_per_residue, other.lddt_per_residue, atol=1e-4)
    assert one.gdt_ts == pytest.approx(other.gdt_ts, abs=1e-4)


def test_steps_and_clashes_show_in_the_features() -> None:
    coords = fold()[:, 1]
    broken = coords.copy()
    broken[40] = coords[40] + 0.1 * (coords[40] - coords[39])  # one step too long, but no break
    folded = coords.copy()
    folded[20:] += coords[10] + 0.5 - coords[20]
    good, long, clash = (graph_of(Structure.from_arrays(c)).x[:, -8:] for c in (coords, broken, folded))
    assert float(good[:, 2].max()) == 0.0 and float(clash[10, 2]) >= 1.0
    assert float(good[39, 1].abs()) < 0.5 < float(long[39, 1])


@pytest.mark.parametrize("length", [1, 2, 4])
def test_traces_of_a_few_residues_are_judged(length: int) -> None:
    estimate = predict_quality(fold()[:length, 1], model=tiny())
    assert estimate.lddt_per_residue.shape == (length,)
    assert np.isfinite(estimate.lddt_per_residue).all() and 0 < estimate.gdt_ts < 1


def test_losses_are_lowest_at_the_truth_and_ignore_residues_without_a_label() -> None:
    head = QualityHead(8)
    lddt = torch.tensor([0.2, 0.9, float("nan"), 0.5])
    graph = graph_of(Structure.from_arrays(fold()[:4, 1]))
    graph.lddt, graph.gdt_ts = lddt, torch.tensor([0.7])
    exact = torch.logit(torch.nan_to_num(lddt, nan=0.5))
    at_truth = head.losses(QualityScores(exact, torch.logit(torch.tensor([0.7]))), graph)
    assert at_truth["lddt"].item() == pytest.approx(0.0, abs=1e-6)
    assert at_truth["gdt_ts"].item() == pytest.approx(0.0, abs=1e-6)
    off = exact + torch.tensor([0.0, 0.0, 50.0, 0.0])
    assert head.losses(QualityScores(off, torch.zeros(1)), graph)["lddt"].item() == pytest.approx(0.0, abs=1e-6)
    assert head.losses(QualityScores(exact + 1, torch.zeros(1)), graph)["lddt"].item() > 0.05
    graph.lddt = None
    with pytest.raises(InputError, match="needs a graph with `lddt`"):
        head.losses(QualityScores(exact, torch.zeros(1)), graph)


def noisy(count: int, seed: int) -> list[Decoy]:
    rng = np.random.default_rng(seed)
    decoys = []
    for number in range(count):
        native = fold(40, 500 * seed + number)[:, 1]
        model = native if number % 2 else native + rng.normal(0, 1.5, native.shape)
        decoys.append(label_decoy("toy", "map", "A" * 40, model, native))
    return decoys


def test_a_judge_learns_to_tell_rough_models_from_smooth_ones() -> None:
    model = build_model(PRESETS["tiny"], peptide(), seed=2)
    batches = QualityBatches(noisy(24, 1), peptide(), 160, noise_angstrom=0.01, seed=0)
    fit(model, batches, config=FitConfig(epochs=8, learning_rate=2e-2))
    fresh = noisy(10, 2)
    scores = measure_quality(fresh, *judge(model, fresh))
    assert scores["lddt pearson"] > 0.9 and scores["gdt_ts pearson"] > 0.9


def test_the_readout_is_an_identity_at_first_and_then_finds_a_linear_rule() -> None:
    model = build_model(PRESETS["tiny"], peptide(), seed=3).eval()
    batches = list(QualityBatches(noisy(8, 3), peptide(), 160)(1))
    with torch.no_grad():
        embedding = model.encoder(batches[0], "protein_quality")
        plain = model.head.residue(embedding.node).squeeze(-1)  # type: ignore[operator,union-attr]
        output = model(batches[0])
    assert isinstance(output, QualityScores)
    torch.testing.assert_close(output.lddt_logit, plain, atol=1e-5, rtol=1e-5)
    for graph in batches:  # a rule in the last columns of the features: softness, and how compact a model is
        assert graph.batch is not None and graph.gdt_ts is not None
        graph.lddt = torch.sigmoid(graph.x[:, -3] + 2.0 * graph.x[:, -1])
    fit_readout(model, batches, within=1e-6, between=1e-6)
    output = model(batches[1])
    assert isinstance(output, QualityScores) and batches[1].lddt is not None
    torch.testing.assert_close(torch.sigmoid(output.lddt_logit), batches[1].lddt, atol=0.02, rtol=0)
    batches[0].lddt = None
    with pytest.raises(InputError, match="needs graphs with `lddt`"):
        fit_readout(model, batches)


def test_measures_are_right_by_hand() -> None:
    ca = fold(3)[:, 1]
    decoys = [
        Decoy("a", "map", "AAA", ca, np.array([0.1, 0.5, np.nan]), 0.2),
        Decoy("b", "map", "AAA", ca, np.array([0.9, 0.7, 0.8]), 0.9),
    ]
    scores = measure_quality(decoys, [np.array([0.2, 0.6, 0.3]), np.array([1.0, 0.8, 0.9])], np.array([0.3, 0.4]))
    assert scores["residue pearson"] == pytest.approx(1.0)
    assert scores["residue pearson within models"] == pytest.approx(1.0)
    assert scores["residue error"] == pytest.approx(0.1)
    assert scores["gdt_ts spearman"] == pytest.approx(1.0)


def test_an_estimate_prints_exports_and_draws_itself() -> None:
    estimate = QualityEstimate(np.array([0.9, 0.5, 0.4, 0.8]), 0.61, "toy")
    assert estimate.lddt == pytest.approx(0.65)
    assert "1-2" in estimate.summary() and "CASP" in estimate.summary()
    assert estimate.to_dict()["gdt_ts"] == 0.61
    pytest.importorskip("matplotlib").use("Agg")
    assert estimate.plot().get_ylabel() == "estimated lDDT"


@pytest.mark.parametrize("bad", [np.full((5, 3), np.nan), np.zeros((0, 3))])
def test_what_is_no_structure_is_refused(bad: Any) -> None:
    with pytest.raises(InputError):
        predict_quality(bad, model=tiny())


@pytest.mark.skipif("protein-quality" not in list_weights(), reason="the judge's weights are not there")
def test_the_shipped_judge_ranks_a_helix_bundle_above_its_damaged_copies() -> None:
    native = fold(64, 7)[:, 1]
    rng = np.random.default_rng(0)
    worse = [map_decoy(native, rng, noise_per_10=noise) for noise in (1.0, 4.0)]
    estimates = [predict_quality(trace).lddt for trace in (native, *worse)]
    assert estimates == sorted(estimates, reverse=True)


def test_the_judge_needs_its_own_head() -> None:
    from gnnlib.heads.protein.training.train_design import PRESETS as DESIGN_PRESETS
    from gnnlib.heads.protein.training.train_design import build_model as build_design

    with pytest.raises(InputError, match="must have a QualityHead, found DesignHead"):
        predict_quality(fold()[:, 1], model=build_design(DESIGN_PRESETS["tiny"], peptide()))
