"""Properties of the encoder on random graphs of random sizes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.encoder import Encoder
from gnnlib.encoder.topology import Topology, receiver_order
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.testing import assert_close, join_graphs, permute_graph, random_graph

SPEC = GraphSpec("toy", node_dim=2, edge_dim=2, node_types=2, edge_types=3)
ENCODERS = [
    Encoder([SPEC], width=16, depth=2, mixer=mixer, full_attention=full).double()
    for mixer, full in (("gated", False), ("gated", True), ("attention", False))
]
sizes = st.tuples(st.integers(0, 12), st.integers(0, 40)).filter(lambda size: size[0] > 0 or size[1] == 0)
few = settings(max_examples=25, deadline=None)


def draw_graph(size: tuple[int, int], seed: int) -> GraphTensors:
    return random_graph(SPEC, *size, seed=seed, dtype=torch.float64)


@few
@given(size=sizes, seed=st.integers(0, 10**6), encoder=st.sampled_from(ENCODERS))
def test_renumbering_the_graph_renumbers_the_embedding(size, seed, encoder):
    graph = draw_graph(size, seed)
    generator = np.random.default_rng(seed)
    nodes, edges = (torch.from_numpy(generator.permutation(count)) for count in size)
    with torch.no_grad():
        before, after = encoder(graph, "toy"), encoder(permute_graph(graph, nodes, edges), "toy")
    assert_close(after.node, before.node[nodes], "nodes", 1e-10)
    assert_close(after.edge, before.edge[edges], "edges", 1e-10)
    assert_close(after.graph, before.graph, "graph", 1e-10)


@few
@given(shapes=st.lists(sizes, min_size=1, max_size=4), seed=st.integers(0, 10**6), encoder=st.sampled_from(ENCODERS))
def test_a_batch_is_the_list_of_its_graphs(shapes, seed, encoder):
    graphs = [draw_graph(size, seed + number) for number, size in enumerate(shapes)]
    with torch.no_grad():
        together = encoder(join_graphs(graphs), "toy")
        alone = [encoder(graph, "toy") for graph in graphs]
    for part in ("node", "edge", "graph"):
        assert_close(getattr(together, part), torch.cat([getattr(one, part) for one in alone]), part, 1e-10)


@few
@given(size=sizes, seed=st.integers(0, 10**6))
def test_backends_agree_on_any_graph(size, seed):
    graph, encoder = draw_graph(size, seed), ENCODERS[0]
    found = {}
    for backend in ("sparse", "compiled"):
        encoder.backend = backend
        with torch.no_grad():
            found[backend] = encoder(graph, "toy")
    encoder.backend = "auto"
    for part in ("node", "edge", "graph"):
        assert_close(getattr(found["compiled"], part), getattr(found["sparse"], part), part, 1e-10)


@few
@given(size=sizes, seed=st.integers(0, 10**6))
def test_a_second_graph_far_away_changes_nothing(size, seed):
    graph, other = draw_graph(size, seed), draw_graph((5, 9), seed + 1)
    both = join_graphs([graph, other])
    one_graph = GraphTensors(both.x, both.edge_index, both.edge_attr, both.node_type, both.edge_type)
    with torch.no_grad():
        alone, beside = ENCODERS[0](graph, "toy"), ENCODERS[0](one_graph, "toy")
    assert_close(beside.node[: size[0]], alone.node, "nodes", 1e-10)


@given(receiver=st.lists(st.integers(0, 9), max_size=60))
def test_edges_are_sorted_stably_by_receiver(receiver):
    tensor = torch.tensor(receiver, dtype=torch.int64)
    order = receiver_order(tensor, 10)
    expected = np.argsort(receiver, kind="stable")
    if order is None:
        assert receiver == sorted(receiver)
    else:
        np.testing.assert_array_equal(order.numpy(), expected)


@given(num_nodes=st.integers(0, 8), k=st.integers(0, 5), extra=st.booleans())
def test_regular_graphs_are_recognised(num_nodes, k, extra):
    receiver = torch.arange(num_nodes).repeat_interleave(k)
    if extra and num_nodes > 1:
        receiver = torch.cat([receiver, torch.tensor([num_nodes - 1])])
    topology = Topology.from_sorted(torch.stack([torch.zeros_like(receiver), receiver]), num_nodes)
    degrees = set(np.bincount(receiver.numpy(), minlength=num_nodes).tolist())
    expected = degrees.pop() if len(degrees) == 1 and num_nodes else None
    assert topology.neighbours == (expected or None)
    assert topology.first_edge[-1] == receiver.numel()
