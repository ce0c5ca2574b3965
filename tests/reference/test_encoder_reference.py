"""The layers against independent software: PyG's softmax aggregation, torch's transformer, plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gnnlib.encoder import Encoder
from gnnlib.encoder.mixing import mix
from gnnlib.encoder.pairs import PairAttention, group_pairs
from gnnlib.encoder.topology import Topology
from gnnlib.graphs.schema import GraphSpec
from gnnlib.testing import random_graph

SPEC = GraphSpec("toy", node_dim=2, edge_dim=3)
CHANNELS = 16


def inputs(seed=0, num_nodes=9, num_edges=31):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((num_nodes, 3 * CHANNELS), (num_edges, CHANNELS), (CHANNELS, CHANNELS), (CHANNELS,))
    tensors = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    edge_index = torch.randint(0, num_nodes, (2, num_edges), generator=generator)
    return tensors, edge_index[:, torch.argsort(edge_index[1], stable=True)]


@pytest.mark.parametrize("backend", ["sparse", "compiled"])
def test_gated_mixing_equals_the_softmax_aggregation_of_pyg(backend):
    from torch_geometric.nn.aggr import SumAggregation
    from torch_geometric.utils import softmax

    (node, edge, weight, shift), edge_index = inputs()
    sender, receiver = edge_index
    own, other, value = node.chunk(3, dim=1)
    z = own[receiver] + other[sender] + F.layer_norm(edge, (CHANNELS,)) @ weight.t() + shift
    alpha = softmax(z, receiver, num_nodes=9)
    expected = SumAggregation()(alpha * (value[sender] + F.silu(z)), receiver, dim_size=9)
    mixed, out = mix(node, edge, weight, shift, Topology.from_sorted(edge_index, 9), backend=backend)
    torch.testing.assert_close(mixed, expected)
    torch.testing.assert_close(out, edge + F.silu(z))


def test_attention_mixing_equals_plain_loops():
    (node, edge, weight, shift), edge_index = inputs(num_nodes=5, num_edges=12)
    score = torch.randn(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mixed, _ = mix(node, edge, weight, shift, Topology.from_sorted(edge_index, 5), score=score)
    unit = F.layer_norm(edge, (CHANNELS,)).numpy()
    own, other, value = (part.numpy() for part in node.chunk(3, dim=1))
    for i in range(5):
        weights, messages = [], []
        for e in range(12):
            j, receiver = (int(number) for number in edge_index[:, e])
            if receiver != i:
                continue
            z = own[i] + other[j] + weight.numpy() @ unit[e] + shift.numpy()
            u = z / (1 + np.exp(-z))
            weights.append([np.exp(score[head].numpy() @ u[8 * head : 8 * head + 8]) for head in range(2)])
            messages.append(value[j] + u)
        if not weights:
            assert (mixed[i] == 0).all()
            continue
        share = np.repeat(np.array(weights) / np.sum(weights, axis=0), 8, axis=1)
        np.testing.assert_allclose(mixed[i].numpy(), (share * np.array(messages)).sum(0), rtol=1e-10)


def test_pair_attention_equals_torch_multihead_attention_graph_by_graph():
    width, channels, sizes = 32, 8, [3, 7, 1, 5]
    module = PairAttention(width, channels).double()
    generator = torch.Generator().manual_seed(0)
    state, node = (torch.randn(sum(sizes), width, dtype=torch.float64, generator=generator) for _ in range(2))
    first = np.cumsum([0, *sizes])
    pairs = [
        (a + i, a + j)
        for a, n in zip(first, sizes, strict=False)
        for i in range(n)
        for j in range(n)
        if (i + 2 * j) % 3
    ]
    pairs += pairs[:4]  # edges that occur twice count twice
    edge_index = torch.tensor(pairs).t()
    edge_index = edge_index[:, torch.argsort(edge_index[1], stable=True)]
    edge = torch.randn(edge_index.shape[1], channels, dtype=torch.float64, generator=generator)
    topology = Topology.from_sorted(edge_index, sum(sizes))
    batch = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))
    found = module(state, node, edge, group_pairs(topology, batch, 4))

    reference = torch.nn.MultiheadAttention(width, module.heads, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        reference.in_proj_weight.copy_(module.project.weight)
        reference.out_proj.weight.copy_(module.out.weight)
    for a, n in zip(first, sizes, strict=False):
        bias = torch.zeros(module.heads, n, n, dtype=torch.float64)
        for e, (sender, receiver) in enumerate(edge_index.t().tolist()):
            if a <= receiver < a + n:
                bias[:, receiver - a, sender - a] += module.bias(edge[e])
        rows = node[a : a + n].unsqueeze(0)
        expected = state[a : a + n] + reference(rows, rows, rows, attn_mask=bias)[0][0]
        torch.testing.assert_close(found[a : a + n], expected)


def test_graph_states_pool_as_pyg_pools():
    from torch_geometric.nn import global_max_pool, global_mean_pool

    encoder = Encoder([SPEC], width=16, depth=1).double()
    graph = random_graph(SPEC, 10, 20, dtype=torch.float64)
    graph.batch = torch.tensor([0, 0, 0, 1, 1, 1, 1, 1, 1, 2])
    embedding = encoder(graph, "toy")
    count = torch.bincount(graph.batch).double().log1p().unsqueeze(-1)
    pooled = torch.cat(
        [global_mean_pool(embedding.node, graph.batch), global_max_pool(embedding.node, graph.batch), count], 1
    )
    torch.testing.assert_close(encoder.trunks["of_"].graph_out(pooled), embedding.graph)
