"""Contracts that every encoder keeps; each check raises `AssertionError` with the largest deviation when broken."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from gnnlib.encoder import Embedding
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.seeding import Seed, torch_generator
from gnnlib.testing.graphs import join_graphs, permute_graph, random_graph, random_knn_graph

__all__ = [
    "assert_batch_equals_loop",
    "assert_close",
    "assert_devices_agree",
    "assert_dtypes",
    "assert_edge_information_reaches_nodes",
    "assert_handles_empty_edge_sets",
    "assert_handles_isolated_nodes",
    "assert_permutation_equivariant",
    "check_encoder",
]

EncoderLike = Callable[[GraphTensors, str], Embedding]
ModuleT = TypeVar("ModuleT", bound=nn.Module)

_logger = logging.getLogger(__name__)


def assert_close(found: Tensor, expected: Tensor, what: str, tolerance: float = 1e-5) -> None:
    """Check that two tensors have one shape and agree within `tolerance`, relative to their largest entry (at least 1).

    Examples
    --------
    >>> assert_close(torch.ones(2), torch.ones(2), "ones")
    """
    if found.shape != expected.shape:
        raise AssertionError(f"{what}: shape {tuple(found.shape)} instead of {tuple(expected.shape)}")
    if not found.numel():
        return
    if not bool(torch.isfinite(found).all()):
        raise AssertionError(f"{what}: {int((~torch.isfinite(found)).sum())} of {found.numel()} entries are not finite")
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    scale = max(1.0, float(expected.abs().max()))
    largest = float((found - expected).abs().max())
    if not largest <= tolerance * scale:
        raise AssertionError(f"{what}: deviates by {largest:.3g}, allowed is {tolerance * scale:.3g}")


@torch.no_grad()
def assert_permutation_equivariant(
    encoder: EncoderLike, spec: GraphSpec, *, seed: Seed = 0, tolerance: float = 1e-5
) -> None:
    """Check that renumbering nodes and edges renumbers the embedding and does nothing else.

    Parameters
    ----------
    encoder : callable (graph, spec name) -> Embedding
        An `Encoder`, or anything that is called like one.
    spec : GraphSpec
        Domain of the random graphs.
    seed : int >= 0, default 0
        Seed of graphs and permutations.
    tolerance : float, default 1e-5
        Allowed deviation, relative to the largest entry.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> spec = GraphSpec("toy", node_dim=2, edge_dim=1)
    >>> assert_permutation_equivariant(Encoder([spec], width=16, depth=2), spec)
    """
    generator = torch_generator(seed)
    for graph in (random_graph(spec, 9, 23, seed=seed), random_knn_graph(spec, 9, 3, seed=seed)):
        nodes = torch.randperm(graph.num_nodes, generator=generator)
        edges = torch.randperm(graph.num_edges, generator=generator)
        before = encoder(graph, spec.name)
        after = encoder(permute_graph(graph, nodes, edges), spec.name)
        assert_close(after.node, before.node[nodes], "node embedding after a permutation", tolerance)
        assert_close(after.edge, before.edge[edges], "edge embedding after a permutation", tolerance)
        assert_close(after.graph, before.graph, "graph embedding after a permutation", tolerance)


@torch.no_grad()
def assert_batch_equals_loop(encoder: EncoderLike, spec: GraphSpec, *, seed: int = 0, tolerance: float = 1e-5) -> None:
    """Check that graphs encoded side by side equal the same graphs encoded one by one.

    The batch holds graphs of different sizes, one without edges, and ends with two without nodes.

    Parameters
    ----------
    encoder, spec, seed, tolerance
        As in `assert_permutation_equivariant`.
    """
    sizes = ((5, 8), (1, 0), (0, 0), (140, 300), (7, 30), (0, 0), (0, 0))
    mixed = [random_graph(spec, nodes, edges, seed=seed + i) for i, (nodes, edges) in enumerate(sizes)]
    regular = [random_knn_graph(spec, nodes, 3, seed=seed + nodes) for nodes in (6, 11)]
    for graphs in (mixed, regular):
        together = encoder(join_graphs(graphs), spec.name)
        alone = [encoder(graph, spec.name) for graph in graphs]
        for part in ("node", "edge", "graph"):
            expected = torch.cat([getattr(embedding, part) for embedding in alone])
            assert_close(getattr(together, part), expected, f"{part} embedding of a batch", tolerance)


def assert_handles_isolated_nodes(
    encoder: EncoderLike, spec: GraphSpec, *, seed: Seed = 0, tolerance: float = 1e-5, local: bool = True
) -> None:
    """Check that nodes without edges get a finite embedding and finite gradients, and leave the others as they are.

    Parameters
    ----------
    encoder, spec, seed, tolerance
        As in `assert_permutation_equivariant`.
    local : bool, default True
        Whether nodes hear each other through edges only; otherwise the others may change.
    """
    graph = random_graph(spec, 12, 20, seed=seed)
    inner = graph.edge_index.clamp(max=7)
    whole = GraphTensors(graph.x, inner, graph.edge_attr, graph.node_type, graph.edge_type)
    with_isolated = encoder(whole, spec.name)
    _assert_finite(with_isolated, "a graph with isolated nodes")
    _assert_finite_gradients(encoder, with_isolated, "a graph with isolated nodes")
    if local:
        types = None if graph.node_type is None else graph.node_type[:8]
        part = GraphTensors(graph.x[:8], inner, graph.edge_attr, types, graph.edge_type)
        without = encoder(part, spec.name)
        assert_close(with_isolated.node[:8], without.node, "nodes beside isolated ones", tolerance)
        assert_close(with_isolated.edge, without.edge, "edges beside isolated nodes", tolerance)


def assert_handles_empty_edge_sets(encoder: EncoderLike, spec: GraphSpec, *, seed: Seed = 0) -> None:
    """Check that graphs without edges, and without nodes, give finite embeddings of the right shapes and gradients.

    Parameters
    ----------
    encoder, spec, seed
        As in `assert_permutation_equivariant`.
    """
    for num_nodes in (4, 1, 0):
        embedding = encoder(random_graph(spec, num_nodes, 0, seed=seed), spec.name)
        what = f"a graph of {num_nodes} nodes and no edges"
        width = embedding.node.shape[-1]
        for part, rows in (("node", num_nodes), ("edge", 0), ("graph", 1)):
            found = tuple(getattr(embedding, part).shape)
            if found != (rows, width):
                raise AssertionError(f"{part} embedding of {what}: shape {found} instead of {(rows, width)}")
        _assert_finite(embedding, what)
        _assert_finite_gradients(encoder, embedding, what)


@torch.no_grad()
def assert_dtypes(encoder: nn.Module, spec: GraphSpec, *, seed: Seed = 0, tolerance: float = 1e-4) -> None:
    """Check that the encoder works in single and in double precision, and that both agree.

    Parameters
    ----------
    encoder : Module
        Is copied; the original keeps its type.
    spec, seed, tolerance
        As in `assert_permutation_equivariant`.
    """
    single, double = copy.deepcopy(encoder).float(), copy.deepcopy(encoder).double()
    for make, size in ((random_graph, (9, 23)), (random_knn_graph, (9, 3))):
        coarse = single(make(spec, *size, seed=seed), spec.name)
        fine = double(make(spec, *size, seed=seed, dtype=torch.float64), spec.name)
        for part in ("node", "edge", "graph"):
            found, expected = getattr(coarse, part), getattr(fine, part)
            if (found.dtype, expected.dtype) != (torch.float32, torch.float64):
                raise AssertionError(f"{part} embedding: {found.dtype} and {expected.dtype} for float32 and float64")
            assert_close(found, expected, f"{part} embedding in single precision", tolerance)


@torch.no_grad()
def assert_devices_agree(encoder: nn.Module, spec: GraphSpec, *, seed: Seed = 0, tolerance: float = 1e-4) -> bool:
    """Check that a CUDA device, where there is one, computes what the CPU computes.

    Parameters
    ----------
    encoder : Module
        Is copied; the original stays where it is.
    spec, seed, tolerance
        As in `assert_permutation_equivariant`.

    Returns
    -------
    bool
        False when there is no CUDA device and nothing was compared (the log says so).
    """
    if not torch.cuda.is_available():
        _logger.info("assert_devices_agree: no CUDA device, nothing compared")
        return False
    here, there = copy.deepcopy(encoder).cpu(), copy.deepcopy(encoder).cuda()
    for graph in (random_graph(spec, 9, 23, seed=seed), random_knn_graph(spec, 9, 3, seed=seed)):
        expected, found = here(graph, spec.name), there(graph.to("cuda"), spec.name)
        for part in ("node", "edge", "graph"):
            assert_close(getattr(found, part), getattr(expected, part), f"{part} embedding on CUDA", tolerance)
    return True


@torch.no_grad()
def assert_edge_information_reaches_nodes(encoder: EncoderLike, spec: GraphSpec, *, least: float = 1e-4) -> None:
    """Check that what is known of edges only changes the states of nodes.

    All nodes of a ring are alike; one of its edges is not. The node that receives this edge must differ from the node
    opposite. Encoders that average messages of the senders alone fail: all senders say the same. In a domain whose
    edges carry nothing, the inner nodes of a path must differ from its ends.

    Parameters
    ----------
    encoder, spec
        As in `assert_permutation_equivariant`.
    least : float, default 1e-4
        Smallest difference that counts, relative to the largest entry.
    """
    num_nodes = 10
    ring = torch.arange(num_nodes)
    edge_index = torch.stack([torch.cat([ring, ring.roll(-1)]), torch.cat([ring.roll(-1), ring])])
    edge_attr = torch.zeros(2 * num_nodes, spec.edge_dim)
    edge_type = torch.zeros(2 * num_nodes, dtype=torch.int64)
    odd = 0  # the edge from node 0 to node 1
    edge_attr[odd] = 1.0
    edge_type[odd] = spec.edge_types - 1
    if spec.edge_dim == 0 and spec.edge_types == 1:
        keep = torch.ones(2 * num_nodes, dtype=torch.bool)
        keep[[odd, num_nodes]] = False
        edge_index, edge_attr, edge_type = edge_index[:, keep], edge_attr[keep], edge_type[keep]
    types = torch.zeros(num_nodes, dtype=torch.int64)
    graph = GraphTensors(torch.zeros(num_nodes, spec.node_dim), edge_index, edge_attr, types, edge_type)
    node = encoder(graph, spec.name).node
    scale = max(1.0, float(node.abs().max()))
    difference = float((node[1] - node[6]).abs().max())
    if not difference > least * scale:
        raise AssertionError(f"edge information does not reach the nodes: they differ by {difference:.3g} only")


def check_encoder(
    encoder: nn.Module, specs: Sequence[GraphSpec], *, seed: int = 0, local: bool = True
) -> dict[str, bool]:
    """Put an encoder through all contract checks, for every domain.

    Parameters
    ----------
    encoder : Module
        Called as ``encoder(graph, spec_name)``; on the CPU, in single precision.
    specs : sequence of GraphSpec
        The domains to try.
    seed : int >= 0, default 0
        Seed of the random graphs.
    local : bool, default True
        Whether nodes hear each other through edges only.

    Returns
    -------
    dict of str to bool
        For each check whether it was made; only the comparison with a CUDA device may be False.

    Raises
    ------
    AssertionError
        If a contract is broken.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> spec = GraphSpec("toy", node_dim=2, edge_dim=1, edge_types=3)
    >>> check_encoder(Encoder([spec], width=16, depth=2), [spec])["permutation equivariance"]
    True
    """
    devices = True
    for spec in specs:
        assert_permutation_equivariant(encoder, spec, seed=seed)
        assert_batch_equals_loop(encoder, spec, seed=seed)
        assert_handles_isolated_nodes(encoder, spec, seed=seed, local=local)
        assert_handles_empty_edge_sets(encoder, spec, seed=seed)
        assert_dtypes(encoder, spec, seed=seed)
        assert_edge_information_reaches_nodes(encoder, spec)
        devices = assert_devices_agree(encoder, spec, seed=seed)
    done = ("permutation equivariance", "batch equals loop", "isolated nodes", "empty edge sets", "precisions agree")
    return {**dict.fromkeys((*done, "edge information"), True), "devices agree": devices}


def _assert_finite(embedding: Embedding, what: str) -> None:
    for part in ("node", "edge", "graph"):
        if not bool(torch.isfinite(getattr(embedding, part)).all()):
            raise AssertionError(f"{part} embedding of {what} is not finite")


def _assert_finite_gradients(encoder: EncoderLike, embedding: Embedding, what: str) -> None:
    if not isinstance(encoder, nn.Module):
        return
    total = embedding.node.square().sum() + embedding.edge.square().sum() + embedding.graph.square().sum()
    if not total.requires_grad:
        return
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    if any(gradient is not None and not bool(torch.isfinite(gradient).all()) for gradient in gradients):
        raise AssertionError(f"gradients of {what} are not finite")
