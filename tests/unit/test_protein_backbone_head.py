"""The head for secondary structure and torsions, its batches, its decoding."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.errors import InputError
from gnnlib.heads.protein.chains import TrainingChain
from gnnlib.heads.protein.geometry import backbone_torsions, build_backbone
from gnnlib.heads.protein.graph import PROTEIN_SPEC, trace_graph
from gnnlib.heads.protein.graphs.graph_features import VIRTUAL_TORSIONS
from gnnlib.heads.protein.head import BackboneGraph, BackboneHead, BackboneOutput, torsion_angles
from gnnlib.heads.protein.structure_models import BackbonePrediction, predict_backbone
from gnnlib.heads.protein.train import MODELS, main
from gnnlib.heads.protein.training.backbone_batches import BackboneBatches, label_chain
from gnnlib.heads.protein.training.train_backbone import Preset, build_model, measure_model, train_model
from gnnlib.testing import check_head
from gnnlib.training import FitConfig


def chain(seed: int, length: int = 40) -> TrainingChain:
    """A helix and a strand with the labels that belong to them."""
    random = np.random.default_rng(seed)
    half = length // 2
    phi = np.where(np.arange(length) < half, -60.0, -120.0) + random.normal(size=length) * 3
    psi = np.where(np.arange(length) < half, -45.0, 130.0) + random.normal(size=length) * 3
    coords = build_backbone(phi, psi).astype(np.float32)
    coords = np.concatenate([coords, np.full((length, 5 - coords.shape[1], 3), np.nan, np.float32)], axis=1)
    states = "C" + "H" * (half - 1) + "C" * (length - half)
    return TrainingChain(
        f"toy{seed}", "toy", "train", seed, "A" * length, states, coords, np.arange(length), False, math.nan
    )


def graph_with(state: list[int], torsion: list[list[float]]) -> BackboneGraph:
    graph = trace_graph(np.cumsum(np.full((len(state), 3), 2.2), axis=0))
    return BackboneGraph(
        graph.x,
        graph.edge_index,
        graph.edge_attr,
        state=torch.tensor(state),
        weight=torch.ones(len(state)),
        torsion_rad=torch.tensor(torsion),
    )


@pytest.mark.parametrize(
    ("parts", "deep"), [(("secondary",), False), (("torsions",), True), (("secondary", "torsions"), True)]
)
def test_the_head_keeps_the_contract_of_heads_with_any_of_its_parts(parts: tuple[str, ...], deep: bool) -> None:
    def model() -> GraphModel:
        return GraphModel(Encoder([PROTEIN_SPEC], width=16, depth=1, seed=0), BackboneHead(16, 8, parts, deep=deep))

    def labelled(number: int) -> BackboneGraph:
        return next(iter(BackboneBatches([label_chain(chain(number))], 0)(1)))

    check_head(model, [labelled(0), labelled(1)])


def test_each_loss_is_what_its_name_says() -> None:
    graph = graph_with([0, 2, -1], [[0.0, 1.0], [math.nan, 2.0], [math.pi, math.nan]])
    logit = torch.tensor([[2.0, 0, 0, 1, 0, 0, 0, 0], [0.0] * 8, [9.0] * 8])
    direction = torch.tensor([[[2.0, 0], [1, 0]], [[0, 3.0], [0, 1]], [[1, 0], [1, 0.0]]])
    losses = BackboneHead(8).losses(BackboneOutput(logit, direction), graph)
    eight = F.cross_entropy(logit[:2], torch.tensor([0, 2]))
    assert losses["states8"] == pytest.approx(float(eight), rel=1e-5)
    p = logit[:2].softmax(dim=1)
    three = -(torch.log(p[0, 0] + p[0, 3] + p[0, 4]) + torch.log(p[1, 1] + p[1, 2])) / 2
    assert losses["states3"] == pytest.approx(float(three), rel=1e-5)
    # phi: residue 0 is exact, residue 2 opposite: chords 0 and 2
    assert losses["phi"] == pytest.approx(1.0, abs=0.01)
    psi = [2 * math.sin(1.0 / 2), 2 * math.sin(abs(2.0 - math.pi / 2) / 2)]
    assert losses["psi"] == pytest.approx(sum(psi) / 2, abs=0.01)


def test_residues_of_no_weight_do_not_count() -> None:
    graph = graph_with([0, 1], [[0.0, 0.0], [1.0, 1.0]])
    output = BackboneOutput(torch.randn(2, 8), torch.randn(2, 2, 2))
    graph.weight = graph.torsion_weight = torch.tensor([1.0, 0.0])
    one = BackboneHead(8).losses(output, graph)
    graph.state, graph.torsion_rad = torch.tensor([0, 5]), torch.tensor([[0.0, 0.0], [-2.0, 3.0]])
    two = BackboneHead(8).losses(output, graph)
    assert all(torch.equal(one[name], two[name]) for name in ("states8", "states3", "phi", "psi"))


def test_metrics_count_known_residues_and_take_angles_round_the_circle() -> None:
    graph = graph_with([0, 3, 5, -1], [[3.1, 0.0], [0.0, 0.0], [math.nan] * 2, [math.nan] * 2])
    logit = F.one_hot(torch.tensor([0, 0, 7, 1]), 8).float()
    direction = torch.tensor([[[math.cos(-3.1), math.sin(-3.1)], [1.0, 0.0]]] + [[[1.0, 0.0], [0.0, 1.0]]] * 3)
    found = BackboneHead(8).metrics(BackboneOutput(logit, direction), graph)
    assert found["q8"] == pytest.approx(1 / 3) and found["q3"] == pytest.approx(1.0)
    assert found["phi_mae"] == pytest.approx(math.degrees(2 * math.pi - 6.2) / 2, abs=1e-3)
    assert found["psi_mae"] == pytest.approx(45.0, abs=1e-3)


def test_a_silent_head_returns_the_estimated_torsions() -> None:
    graph = trace_graph(chain(0).ca.astype(float))
    model = GraphModel(Encoder([PROTEIN_SPEC], width=16, depth=1), BackboneHead(16))
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.zero_()
        angle = torsion_angles(model(graph).direction)
    for number, (cosine, sine) in enumerate(VIRTUAL_TORSIONS):
        assert torch.allclose(angle[:, number], torch.atan2(graph.x[:, sine], graph.x[:, cosine]), atol=1e-5)


def test_batches_hold_every_trace_once_and_follow_the_seed() -> None:
    traces = [label_chain(chain(seed, 30 + seed)) for seed in range(5)]
    clean = BackboneBatches(traces, 3, clean_share=1.0)
    (batch,) = clean(1)
    assert batch.num_nodes == sum(len(t.ca) for t in traces) and batch.num_graphs == 5
    assert bool((batch.batch[batch.edge_index[0]] == batch.batch[batch.edge_index[1]]).all())
    noisy = BackboneBatches(traces, 3, clean_share=0.0)
    assert torch.equal(next(noisy(2)).x, next(noisy(2)).x)
    assert not torch.equal(next(noisy(2)).x, next(noisy(3)).x)


def test_a_batch_gives_each_trace_the_features_that_it_has_alone() -> None:
    traces = [label_chain(chain(seed, 25 + seed)) for seed in range(3)]
    (batch,) = BackboneBatches(traces, 0, shuffle=False, clean_share=1.0)(0)
    for number, trace in enumerate(traces):
        alone = trace_graph(trace.ca)
        inside = batch.batch == number
        assert torch.allclose(batch.x[inside], alone.x, atol=1e-4)
        assert int(inside[batch.edge_index[1]].sum()) == alone.num_edges


def test_labels_are_the_torsions_of_the_backbone() -> None:
    found = label_chain(chain(1)).torsion_rad
    phi, psi, _ = backbone_torsions(chain(1).coords_angstrom.astype(float), np.zeros(40, int))
    assert np.allclose(np.degrees(found), np.stack([phi, psi], axis=1), atol=0.1, equal_nan=True)
    assert np.isnan(found[0, 0]) and np.isnan(found[-1, 1])


def test_a_little_training_learns_helix_from_strand(tmp_path) -> None:
    chains = [chain(seed) for seed in range(8)]
    model = build_model(seed=1, width=16, depth=1, edge_width=8)
    traces = [label_chain(c) for c in chains]
    preset = Preset(FitConfig(epochs=12, learning_rate=2e-2, weight_decay=0.0), deep=False, noise_discount=1.0)
    train_model(model, traces[:6], traces[6:], preset, folder=tmp_path)
    found = measure_model(model, chains[6:])
    assert found["q3"] > 0.9 and found["phi_mae"] < 15.0
    assert measure_model(model, chains[6:], noise_angstrom=0.5)["q3"] <= found["q3"]


def test_decoding_takes_the_best_of_three_states_first() -> None:
    # C 0.40 in one state beats each of the helical states, but not their sum
    row = np.array([[0.25, 0.0, 0.05, 0.2, 0.1, 0.0, 0.0, 0.4]])
    assert BackbonePrediction(row, np.zeros(1), np.zeros(1)).states8 == "H"


def test_predictions_do_not_depend_on_place_and_orientation() -> None:
    model = build_model(seed=2, width=16, depth=1, edge_width=8)
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    q *= np.sign(np.linalg.det(q))
    ca = chain(3).ca + 0.01 * np.random.default_rng(1).standard_normal((40, 3))
    one, two = predict_backbone(ca, model=model), predict_backbone(ca @ q.T - 31.0, model=model)
    assert np.allclose(one.probabilities, two.probabilities, atol=1e-3)


def test_wrong_parts_and_outputs_are_refused() -> None:
    with pytest.raises(InputError, match="secondary, torsions, found"):
        BackboneHead(8, parts=("quality",))
    graph = trace_graph(np.zeros((2, 3)))
    with pytest.raises(InputError, match="needs a graph with the tensor `state`"):
        BackboneHead(8).losses(BackboneOutput(torch.zeros(2, 8), None), graph)


def test_the_training_command_names_its_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "backbone" in capsys.readouterr().err and set(MODELS) == {"backbone", "design", "quality", "sequence"}
