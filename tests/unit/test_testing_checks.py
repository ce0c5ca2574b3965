"""The public contract checks find what they are for: every one of them fails on an encoder or head that breaks it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from gnnlib import testing
from gnnlib.encoder import Embedding, Encoder, GraphModel, Head, Output
from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors

SPEC = GraphSpec("toy", node_dim=2, edge_dim=1)


class Altered(nn.Module):
    """A good encoder with its result altered."""

    def __init__(self, alter) -> None:
        super().__init__()
        self.inner = Encoder([SPEC], width=16, depth=2)
        self.alter = alter

    def forward(self, graph: GraphTensors, spec: str) -> Embedding:
        return self.alter(self.inner(graph, spec), graph)


def numbered(embedding, graph):
    number = torch.arange(graph.num_nodes, dtype=embedding.node.dtype).unsqueeze(-1)
    return Embedding(embedding.node + 0.1 * number, embedding.edge, embedding.graph)


def numbered_edges(embedding, graph):
    number = torch.arange(graph.num_edges, dtype=embedding.edge.dtype).unsqueeze(-1)
    return Embedding(embedding.node, embedding.edge + 0.1 * number, embedding.graph)


def first_node_pooled(embedding, graph):
    pooled = embedding.graph if not graph.num_nodes else embedding.graph + embedding.node[:1]
    return Embedding(embedding.node, embedding.edge, pooled)


def batch_norm(embedding, graph):
    centre = embedding.node.mean(0) if graph.num_nodes else 0.0
    return Embedding(embedding.node - centre, embedding.edge, embedding.graph)


def forgets_trailing_graphs(embedding, graph):
    known = 1 if graph.batch is None else int(graph.batch.max()) + 1 if graph.batch.numel() else 0
    return Embedding(embedding.node, embedding.edge, embedding.graph[:known])


def divides_by_degree(embedding, graph):
    degree = torch.bincount(graph.edge_index[1], minlength=graph.num_nodes).to(embedding.node).unsqueeze(-1)
    return Embedding(embedding.node / degree, embedding.edge, embedding.graph)


def mean_over_edges(embedding, graph):
    return Embedding(embedding.node, embedding.edge, embedding.graph + embedding.edge.mean())


def single_only(embedding, graph):
    return Embedding(embedding.node.float(), embedding.edge, embedding.graph)


def coarse(embedding, graph):
    if embedding.node.dtype == torch.float64:
        return embedding
    return Embedding(embedding.node.bfloat16().float(), embedding.edge, embedding.graph)


BREAKS = {
    "node numbers": (numbered, testing.assert_permutation_equivariant, "node embedding after a permutation"),
    "edge numbers": (numbered_edges, testing.assert_permutation_equivariant, "edge embedding after a permutation"),
    "first node": (first_node_pooled, testing.assert_permutation_equivariant, "graph embedding after a permutation"),
    "statistics across graphs": (batch_norm, testing.assert_batch_equals_loop, "node embedding of a batch"),
    "trailing graphs": (forgets_trailing_graphs, testing.assert_batch_equals_loop, "shape"),
    "division by degree": (divides_by_degree, testing.assert_handles_isolated_nodes, "not finite"),
    "others hear isolated nodes": (batch_norm, testing.assert_handles_isolated_nodes, "beside isolated"),
    "mean of no edges": (mean_over_edges, testing.assert_handles_empty_edge_sets, "not finite"),
    "wrong precision": (single_only, testing.assert_dtypes, "float32 and torch.float32"),
    "loss of precision": (coarse, testing.assert_dtypes, "single precision"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_encoder_is_found(case):
    alter, check, message = BREAKS[case]
    with pytest.raises(AssertionError, match=message):
        check(Altered(alter), SPEC)
    with pytest.raises(AssertionError):
        testing.check_encoder(Altered(alter), [SPEC])


class MeanOfSenders(nn.Module):
    """Normalised gates of the edges on messages of the senders alone: on equal nodes the mean says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(SPEC.node_dim, 16), nn.Linear(SPEC.edge_dim, 16)

    def forward(self, graph: GraphTensors, spec: str) -> Embedding:
        sender, receiver = graph.edge_index
        gate = torch.sigmoid(self.gate(graph.edge_attr))
        zeros = graph.x.new_zeros(graph.num_nodes, 16)
        total = zeros.index_add(0, receiver, gate)
        node = zeros.index_add(0, receiver, gate * self.value(graph.x)[sender]) / (total + 1e-9)
        return Embedding(node, gate, node.mean(0, keepdim=True))


def test_an_encoder_that_hides_edges_from_nodes_is_found():
    with pytest.raises(AssertionError, match="edge information does not reach the nodes"):
        testing.assert_edge_information_reaches_nodes(MeanOfSenders(), SPEC)


@pytest.mark.parametrize("spec", [SPEC, GraphSpec("typed", 1, 0, 1, 3), GraphSpec("bare", 0, 0)])
def test_edge_information_is_asked_for_in_every_kind_of_domain(spec):
    testing.assert_edge_information_reaches_nodes(Encoder([spec], width=16, depth=1), spec)
    blind = lambda graph, name: Embedding(torch.zeros(graph.num_nodes, 4), None, None)  # noqa: E731
    with pytest.raises(AssertionError, match="differ by 0 only"):
        testing.assert_edge_information_reaches_nodes(blind, spec)


def test_gradients_that_are_not_finite_are_found():
    class RootOfZero(Altered):
        def forward(self, graph, spec):
            embedding = self.inner(graph, spec)
            return Embedding(
                embedding.node, embedding.edge, embedding.graph + (embedding.node - embedding.node).sum().sqrt()
            )

    with pytest.raises(AssertionError, match="gradients"):
        testing.assert_handles_empty_edge_sets(RootOfZero(None), SPEC)


def test_the_comparison_with_a_device_says_when_there_is_none():
    made = testing.assert_devices_agree(Encoder([SPEC], width=16, depth=1), SPEC)
    assert made is torch.cuda.is_available()


@dataclass
class Scores(Output):
    score: Tensor


class Scorer(Head):
    """A good head, unless told how to be bad."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.spec = SPEC
        self.fault = fault
        self.read = nn.Linear(16, 1)
        if fault == "idle parameter":
            self.idle = nn.Parameter(torch.zeros(1))
        if fault == "state outside":
            self.secret = float(torch.rand(1)) + 0.5

    def forward(self, embedding, graph):
        score = self.read(embedding.node).squeeze(-1)
        if self.fault == "order":
            score = score + torch.arange(score.numel())
        if self.fault == "across graphs":
            score = score - score.mean()
        if self.fault == "empty" and not score.numel():
            score = torch.full((1,), torch.nan)
        if self.fault == "state outside":
            score = score * self.secret
        return Scores(score)

    def losses(self, output, graph):
        loss = output.score.square().mean()
        if self.fault == "loss per node":
            return {"square": output.score.square()}
        if self.fault == "infinite loss":
            return {"square": loss / 0}
        return {} if self.fault == "no losses" else {"square": loss}


def model_with(fault):
    return lambda: GraphModel(Encoder([SPEC], width=16, depth=1), Scorer(fault))


def test_a_good_head_passes_every_check():
    done = testing.check_head(model_with(""), [testing.random_graph(SPEC, 4, 6)])
    assert all(done.values())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("order", "after a permutation"),
        ("across graphs", "of a batch"),
        ("empty", "not finite"),
        ("state outside", "of the loaded model differs"),
        ("loss per node", "must be a finite scalar"),
        ("infinite loss", "must be a finite scalar"),
        ("no losses", "named losses"),
        ("idle parameter", "`idle` of the head gets no gradient"),
    ],
)
def test_a_broken_head_is_found(fault, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_head(model_with(fault), [testing.random_graph(SPEC, 4, 6)])


def test_random_graphs_fit_their_spec_and_repeat():
    spec = GraphSpec("t", node_dim=3, edge_dim=2, node_types=2, edge_types=4)
    for make, size in ((testing.random_graph, (7, 20)), (testing.random_knn_graph, (7, 3))):
        first, second, other = make(spec, *size, seed=1), make(spec, *size, seed=1), make(spec, *size, seed=2)
        assert torch.equal(first.edge_index, second.edge_index)
        assert torch.equal(first.x, second.x)
        assert not torch.equal(first.x, other.x)
        assert int(first.edge_type.max()) < 4
    regular = testing.random_knn_graph(spec, 7, 3)
    assert torch.equal(torch.bincount(regular.edge_index[1]), torch.full((7,), 3))
    assert (regular.edge_index[0] != regular.edge_index[1]).all()
    assert all(len(set(row.tolist())) == 3 for row in regular.edge_index[0].view(7, 3))


def test_graph_makers_refuse_impossible_sizes():
    for make in (lambda: testing.random_graph(SPEC, 0, 1), lambda: testing.random_graph(SPEC, -1, 0)):
        with pytest.raises(InputError, match="cannot have"):
            make()
    with pytest.raises(InputError, match="`k` must lie in"):
        testing.random_knn_graph(SPEC, 3, 3)
    with pytest.raises(InputError, match="at least one graph"):
        testing.join_graphs([])
    whole = testing.random_graph(SPEC, 2, 2)
    part = GraphTensors(whole.x, whole.edge_index)
    with pytest.raises(InputError, match="`edge_attr` must be there in all graphs or in none; 1 of 2 lack it"):
        testing.join_graphs([whole, part])
    with pytest.raises(InputError, match="only a single graph"):
        testing.permute_graph(testing.join_graphs([whole]), torch.arange(2), torch.arange(2))


def test_joined_graphs_keep_their_edges_apart():
    first, second = testing.random_graph(SPEC, 3, 5), testing.random_graph(SPEC, 4, 6, seed=1)
    joined = testing.join_graphs([first, second])
    assert torch.equal(joined.edge_index[:, 5:], second.edge_index + 3)
    assert joined.batch.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert joined.num_graphs == 2
