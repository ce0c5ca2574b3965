"""The sparse, dense and compiled back-ends compute one function, with its first and second derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, kernels
from gnnlib.encoder.compiled import CompiledMix, plan_runs
from gnnlib.encoder.mixing import choose_backend, mix, mix_tensors
from gnnlib.encoder.topology import Topology
from gnnlib.graphs.schema import GraphSpec
from gnnlib.testing import random_graph, random_knn_graph

SPEC = GraphSpec("toy", node_dim=2, edge_dim=3)
CHANNELS = 8


def results(encoder, graph, backend):
    encoder.backend = backend
    encoder.zero_grad()
    embedding = encoder(graph, "toy")
    (embedding.node.square().sum() + embedding.edge.pow(3).sum() + embedding.graph.sum()).backward()
    return [
        embedding.node,
        embedding.edge,
        embedding.graph,
        *(parameter.grad.clone() for parameter in encoder.parameters()),
    ]


@pytest.mark.parametrize(
    "graph", [random_graph(SPEC, 30, 100), random_knn_graph(SPEC, 20, 4), random_graph(SPEC, 6, 0)]
)
@pytest.mark.parametrize("mixer", ["gated", "attention"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_agree_in_value_and_gradient(graph, mixer, dtype):
    encoder = Encoder([SPEC], width=32, depth=3, mixer=mixer).to(dtype)
    graph = graph.to(dtype=dtype)
    expected = results(encoder, graph, "sparse")
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    for backend in ("dense", "compiled", "auto"):
        for found, wanted in zip(results(encoder, graph, backend), expected, strict=True):
            scale = max(1.0, float(wanted.detach().abs().max()) if wanted.numel() else 1.0)
            torch.testing.assert_close(found, wanted, atol=tolerance * scale, rtol=tolerance)


def inputs(num_nodes, num_edges, *, dtype=torch.float64, spread=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (spread * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()

    edge_index = torch.randint(0, num_nodes, (2, num_edges), generator=generator)
    edge_index = edge_index[:, torch.argsort(edge_index[1], stable=True)]
    tensors = draw(num_nodes, 3 * CHANNELS), draw(num_edges, CHANNELS), draw(CHANNELS, CHANNELS), draw(CHANNELS)
    return tensors, Topology.from_sorted(edge_index, num_nodes)


def test_compiled_gradients_equal_finite_differences():
    tensors, topology = inputs(4, 9)
    assert torch.autograd.gradcheck(lambda *args: CompiledMix.apply(*args, topology), tensors)


def test_compiled_second_derivatives_equal_finite_differences():
    tensors, topology = inputs(3, 5)

    def first_channels(node, edge, weight, shift):
        mixed, out = CompiledMix.apply(node, edge, weight, shift, topology)
        return mixed[:, :2], out[:, :2]

    assert torch.autograd.gradgradcheck(first_channels, tensors)


@pytest.mark.parametrize("needed", [(0,), (1,), (2,), (3,), (0, 3)])
def test_compiled_gradients_are_right_when_only_some_are_needed(needed):
    tensors, topology = inputs(5, 12)
    for number, tensor in enumerate(tensors):
        tensor.requires_grad_(number in needed)
    chosen = [tensors[number] for number in needed]
    for create_graph in (False, True):
        found = torch.autograd.grad(CompiledMix.apply(*tensors, topology)[0].sum(), chosen, create_graph=create_graph)
        expected = torch.autograd.grad(mix_tensors(*tensors, topology)[0].sum(), chosen)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.detach(), other)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 7, 8192])
def test_threads_and_runs_do_not_change_the_result(threads, chunk, monkeypatch):
    monkeypatch.setattr("gnnlib.encoder.compiled.CHUNK_EDGES", chunk)
    monkeypatch.setattr("gnnlib.encoder.compiled.num_threads", lambda: threads)
    tensors, topology = inputs(40, 150)
    found, expected = CompiledMix.apply(*tensors, topology), mix_tensors(*tensors, topology)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    weights = [torch.randn_like(one) for one in expected]
    for one, other in zip(
        torch.autograd.grad(found, tensors, weights), torch.autograd.grad(expected, tensors, weights), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_runs_cover_every_edge_once_even_around_a_hub(monkeypatch):
    monkeypatch.setattr("gnnlib.encoder.compiled.CHUNK_EDGES", 10)
    monkeypatch.setattr("gnnlib.encoder.compiled.num_threads", lambda: 3)
    receiver = torch.cat([torch.zeros(3), torch.full((100,), 4.0), torch.arange(5, 60)]).long()
    topology = Topology.from_sorted(torch.stack([torch.zeros_like(receiver), receiver]), 64)
    runs = plan_runs(topology)
    edges = [e for run in runs for first, last in run.edges for e in range(first, last)]
    nodes = [i for run in runs for first, last in run.nodes for i in range(first, last)]
    assert edges == list(range(158))
    assert nodes == list(range(64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_gates_stay_finite_and_equal(dtype):
    tensors, topology = inputs(10, 40, dtype=dtype, spread=60.0)
    for backend in ("sparse", "compiled"):
        outputs = mix(*tensors, topology, backend=backend)
        assert all(torch.isfinite(one).all() for one in outputs)
        gradients = torch.autograd.grad(sum(one.sum() for one in outputs), tensors)
        assert all(torch.isfinite(one).all() for one in gradients)
        if backend == "sparse":
            expected = [*outputs, *gradients]
        else:
            for found, wanted in zip([*outputs, *gradients], expected, strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.detach().abs().max()))


def test_not_a_number_stays_visible_in_the_compiled_result():
    tensors, topology = inputs(4, 9)
    with torch.no_grad():
        tensors[1][3, 2] = torch.nan
    mixed, out = CompiledMix.apply(*tensors, topology)
    assert torch.isnan(out[3]).any()
    assert torch.isnan(mixed[topology.receiver[3]]).any()


def test_same_input_same_bits():
    encoder, graph = Encoder([SPEC], width=32, depth=2), random_graph(SPEC, 200, 2000)
    first, second = (results(encoder, graph, "compiled") for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_single_precision_exponential_is_exact_to_rounding():
    """Seen through a receiver with one edge, whose new state is old + silu(z)."""
    z = np.linspace(-80, 80, 40008, dtype=np.float32).reshape(-1, 8)
    count = len(z)
    mixed, weight, out = np.empty((count, 8), np.float32), np.empty((count, 8), np.float32), np.empty_like(z)
    ptr, sender = np.arange(count + 1), np.zeros(count, np.int64)
    node, shift, edge = np.zeros((count, 24), np.float32), np.zeros(8, np.float32), np.zeros_like(z)
    kernels.mix_forward(0, 0, count, 0, ptr, sender, node, shift, z.copy(), edge, out, mixed, weight)
    exact = z.astype(np.float64)
    np.testing.assert_allclose(weight, np.exp(np.clip(exact, -60, 60)), rtol=1e-6)
    np.testing.assert_allclose(out, exact / (1 + np.exp(-exact)), rtol=1e-6, atol=1e-6)


def test_kernels_equal_their_plain_python_twins():
    generator = np.random.default_rng(0)
    num_nodes, num_edges = 5, 11
    receiver = np.sort(generator.integers(0, num_nodes, num_edges))
    ptr = np.searchsorted(receiver, np.arange(num_nodes + 1))
    sender = generator.integers(0, num_nodes, num_edges)

    def draw(*shape):
        return generator.standard_normal(shape)

    def forward(pick):
        unit, mean, scale = np.empty((num_edges, 8)), np.empty(num_edges), np.empty(num_edges)
        pick(kernels.normalise_forward)(0, 0, num_edges, 0, edge, 1e-5, unit, mean, scale)
        again = np.empty_like(unit)
        pick(kernels.normalise_again)(0, 0, num_edges, 0, edge, again, mean, scale)
        logit, out = z.copy(), np.empty((num_edges, 8))
        mixed, weight = np.empty((num_nodes, 8)), np.empty((num_nodes, 8))
        pick(kernels.mix_forward)(0, 0, num_nodes, 0, ptr, sender, node, shift, logit, edge, out, mixed, weight)
        grad_z, grad_node = np.empty((num_edges, 8)), np.zeros((1, num_nodes, 24))
        pick(kernels.mix_backward)(
            0, 0, num_nodes, 0, ptr, sender, node, logit, mixed, weight, grad_mixed, grad_out, grad_z, grad_node
        )
        grad_edge = np.empty_like(edge)
        pick(kernels.normalise_backward)(0, 0, num_edges, 0, unit, scale, grad_z, grad_out, grad_edge)
        order = pick(kernels.counting_order)(sender, num_nodes)
        return unit, mean, scale, again, logit, out, mixed, weight, grad_z, grad_node, grad_edge, order

    edge, z, node, shift = draw(num_edges, 8), draw(num_edges, 8), draw(num_nodes, 24), draw(8)
    grad_mixed, grad_out = draw(num_nodes, 8), draw(num_edges, 8)
    compiled, plain = forward(lambda kernel: kernel), forward(lambda kernel: kernel.py_func)
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_the_fastest_possible_backend_is_chosen():
    regular = Topology.from_sorted(torch.tensor([[1, 0], [0, 1]]), 2)
    irregular = Topology.from_sorted(torch.tensor([[1, 0], [0, 0]]), 2)
    state, half = torch.zeros(1), torch.zeros(1, dtype=torch.float16)
    assert choose_backend("auto", regular, state, gated=True) == "compiled"
    assert choose_backend("auto", regular, state, gated=False) == "dense"
    assert choose_backend("auto", irregular, state, gated=False) == "sparse"
    assert choose_backend("compiled", irregular, half, gated=True) == "sparse"
    assert choose_backend("dense", irregular, state, gated=True) == "sparse"
    assert choose_backend("sparse", regular, state, gated=True) == "sparse"
    assert choose_backend("auto", regular, torch.zeros(1, device="meta"), gated=True) == "dense"


def test_gradients_by_function_transform_equal_those_by_backward():
    encoder, graph = Encoder([SPEC], width=16, depth=2), random_graph(SPEC, 6, 14)
    parameters = dict(encoder.named_parameters())

    def loss(values):
        return torch.func.functional_call(encoder, values, (graph, "toy")).node.square().sum()

    found = torch.func.grad(loss)(parameters)
    loss(parameters).backward()
    for name, value in parameters.items():
        if value.grad is not None:
            torch.testing.assert_close(found[name], value.grad, atol=1e-4, rtol=1e-4)
