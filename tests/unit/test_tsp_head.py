"""The edge scorer: symmetric, equivariant, with losses that a hand can check."""

from __future__ import annotations

import math

import pytest
import torch

from gnnlib.data.generate import uniform
from gnnlib.encoder import Encoder, GraphModel
from gnnlib.encoder.head import Output
from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphTensors
from gnnlib.heads.combinatorial.tsp.graph import TSP_SPEC, join_tour_graphs, tour_graph
from gnnlib.heads.combinatorial.tsp.head import EdgeScores, TourHead, edge_logits
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.testing import check_head


def make_model() -> GraphModel:
    return GraphModel(Encoder([TSP_SPEC], width=16, depth=2), TourHead(16, 8))


def labelled(n: int, seed: int = 0):
    return tour_graph(TSP.from_coords(uniform(n, seed=seed)), range(n))


def test_the_head_keeps_the_contracts_of_heads():
    made = check_head(make_model, [labelled(20), join_tour_graphs([labelled(20), labelled(15, 1)])])
    assert all(made.values())


@torch.no_grad()
def test_both_directions_of_an_edge_get_one_score():
    graph = labelled(60)
    logit = make_model()(graph).logit
    mutual = graph.reverse >= 0
    assert 0 < int(mutual.sum()) < graph.num_edges
    assert torch.equal(logit[mutual], logit[graph.reverse[mutual]])
    assert logit[mutual].unique().numel() > int(mutual.sum()) // 4  # and the edges are told apart


@torch.no_grad()
def test_the_scores_do_not_depend_on_who_finds_the_reverse_edges():
    graph, model = labelled(60), make_model()
    plain = GraphTensors(graph.x, graph.edge_index, graph.edge_attr)
    torch.testing.assert_close(model(plain).logit, model(graph).logit, rtol=1e-5, atol=1e-6)


def test_scoring_in_pieces_changes_nothing(monkeypatch):
    graph, model = labelled(60), make_model()
    whole = model(graph).logit.detach()
    monkeypatch.setattr("gnnlib.heads.combinatorial.tsp.head._ROWS", 37)
    with torch.no_grad():
        torch.testing.assert_close(model(graph).logit, whole, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_a_batch_scores_as_its_graphs_do():
    graphs, model = [labelled(20), labelled(30, 1)], make_model()
    together = model(join_tour_graphs(graphs)).logit
    torch.testing.assert_close(together, torch.cat([model(g).logit for g in graphs]), rtol=1e-4, atol=1e-5)


def test_the_losses_are_those_done_by_hand():
    # node 0 receives three edges, the first of them on the tour; node 1 receives one, on the tour
    edge_index = torch.tensor([[1, 2, 3, 0], [0, 0, 0, 1]])
    graph = tour_graph(TSP.from_coords(uniform(4, seed=0)))
    graph.edge_index, graph.label = edge_index, torch.tensor([True, False, False, True])
    output = EdgeScores(torch.tensor([0.5, -1.0, 2.0, 3.0]))
    losses = TourHead(16).losses(output, graph)
    edge = [math.log1p(math.exp(-0.5)), math.log1p(math.exp(-1.0)), math.log1p(math.exp(2.0)), math.log1p(math.exp(-3))]
    rank = -math.log(math.exp(0.5) / (math.exp(0.5) + math.exp(-1.0) + math.exp(2.0)))
    assert losses["edge"].item() == pytest.approx(sum(edge) / 4)
    assert losses["rank"].item() == pytest.approx(rank / 2, rel=1e-5)


def test_the_ranking_loss_does_not_set_tour_edges_against_each_other():
    graph = labelled(10)
    head = TourHead(16)
    logit = torch.zeros(graph.num_edges, requires_grad=True)
    head.losses(EdgeScores(logit), graph)["rank"].backward()
    assert (logit.grad[graph.label] < 0).all()
    assert (logit.grad[~graph.label] > 0).all()


def test_extreme_scores_keep_the_losses_finite():
    graph = labelled(10)
    for sign in (1.0, -1.0):
        logit = (200.0 * sign * (graph.label.float() - 0.5)).requires_grad_()
        losses = TourHead(16).losses(EdgeScores(logit), graph)
        sum(losses.values()).backward()
        assert torch.isfinite(logit.grad).all()
        assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_perfect_score_has_average_precision_one():
    graph = labelled(10)
    assert TourHead(16).metrics(EdgeScores(graph.label.float()), graph) == {"average_precision": 1.0}


def test_missing_labels_and_foreign_outputs_are_named():
    graph = labelled(10)
    graph.label = None
    with pytest.raises(InputError, match="tensor `label`"):
        TourHead(16).losses(EdgeScores(torch.zeros(graph.num_edges)), graph)
    with pytest.raises(InputError, match="returned Output instead of EdgeScores"):
        edge_logits(Output())
