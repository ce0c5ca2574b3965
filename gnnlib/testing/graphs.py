"""Small random graphs that fit a `GraphSpec`, and what the contract checks do with them: permute, join, split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.seeding import Seed, torch_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BatchedGraphs", "join_graphs", "permute_graph", "random_graph", "random_knn_graph"]


@dataclass
class BatchedGraphs(GraphTensors):
    """Several graphs side by side, whose number is known even when the last ones have no nodes.

    Parameters
    ----------
    ptr : Tensor [B + 1], int64
        First node of each graph, and the number of nodes at the end.
    """

    ptr: Tensor | None = None

    @property
    def num_graphs(self) -> int:
        """Number of graphs B."""
        return super().num_graphs if self.ptr is None else int(self.ptr.numel()) - 1


def random_graph(
    spec: GraphSpec, num_nodes: int, num_edges: int, *, seed: Seed = 0, dtype: torch.dtype = torch.float32
) -> GraphTensors:
    """Draw a graph with independent random edges and standard normal features.

    Parameters
    ----------
    spec : GraphSpec
        Features and types to draw.
    num_nodes, num_edges : int >= 0
        Sizes; loops and repeated edges may occur. Without nodes there are no edges either.
    seed : int >= 0, default 0
        Seed of the drawing.
    dtype : torch.dtype, default float32
        Type of the features.

    Examples
    --------
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> graph = random_graph(GraphSpec("toy", node_dim=2, edge_dim=1), num_nodes=4, num_edges=6)
    >>> graph.x.shape, graph.edge_index.shape, graph.edge_attr.shape
    (torch.Size([4, 2]), torch.Size([2, 6]), torch.Size([6, 1]))
    """
    if num_nodes < 0 or num_edges < 0 or (num_nodes == 0 and num_edges > 0):
        raise InputError(f"a graph of {num_nodes} nodes cannot have {num_edges} edges")
    generator = torch_generator(seed)
    edge_index = torch.randint(0, max(num_nodes, 1), (2, num_edges), generator=generator)
    return _with_features(spec, num_nodes, edge_index, generator, dtype)


def random_knn_graph(
    spec: GraphSpec, num_nodes: int, k: int, *, seed: Seed = 0, dtype: torch.dtype = torch.float32
) -> GraphTensors:
    """Draw a graph in which every node receives exactly `k` edges from different other nodes, in receiver order.

    Parameters
    ----------
    spec : GraphSpec
        Features and types to draw.
    num_nodes : int > k
        Number of nodes.
    k : int >= 0
        Edges per node.
    seed : int >= 0, default 0
        Seed of the drawing.
    dtype : torch.dtype, default float32
        Type of the features.

    Examples
    --------
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> random_knn_graph(GraphSpec("toy", 0, 0), num_nodes=3, k=1).edge_index[1]
    tensor([0, 1, 2])
    """
    if k < 0 or num_nodes <= k:
        raise InputError(f"`k` must lie in [0, num_nodes), found k={k} for {num_nodes} nodes")
    generator = torch_generator(seed)
    draw = torch.rand(num_nodes, num_nodes, generator=generator).fill_diagonal_(-1.0)
    sender = draw.topk(k, dim=1).indices.reshape(-1)
    receiver = torch.arange(num_nodes).repeat_interleave(k)
    return _with_features(spec, num_nodes, torch.stack([sender, receiver]), generator, dtype)


def _with_features(
    spec: GraphSpec, num_nodes: int, edge_index: Tensor, generator: torch.Generator, dtype: torch.dtype
) -> GraphTensors:
    num_edges = edge_index.shape[1]
    # drawn in double precision, so that graphs of both precisions agree
    return GraphTensors(
        torch.randn(num_nodes, spec.node_dim, generator=generator, dtype=torch.float64).to(dtype),
        edge_index,
        torch.randn(num_edges, spec.edge_dim, generator=generator, dtype=torch.float64).to(dtype),
        torch.randint(0, spec.node_types, (num_nodes,), generator=generator),
        torch.randint(0, spec.edge_types, (num_edges,), generator=generator),
    )


def permute_graph(graph: GraphTensors, nodes: Tensor, edges: Tensor) -> GraphTensors:
    """Renumber one graph: new node i is old node ``nodes[i]``, new edge e is old edge ``edges[e]``.

    Parameters
    ----------
    graph : GraphTensors
        A single graph (no ``batch``).
    nodes : Tensor [N], int64
        Permutation of the nodes.
    edges : Tensor [E], int64
        Permutation of the edges.

    Examples
    --------
    >>> graph = GraphTensors(torch.tensor([[0.0], [1.0]]), torch.tensor([[0], [1]]))
    >>> permute_graph(graph, torch.tensor([1, 0]), torch.tensor([0])).edge_index.tolist()
    [[1], [0]]
    """
    if graph.batch is not None:
        raise InputError("only a single graph can be permuted; found one with `batch`")
    new_number = torch.empty_like(nodes)
    new_number[nodes] = torch.arange(nodes.numel(), device=nodes.device)
    return GraphTensors(
        graph.x[nodes],
        new_number[graph.edge_index[:, edges]],
        None if graph.edge_attr is None else graph.edge_attr[edges],
        None if graph.node_type is None else graph.node_type[nodes],
        None if graph.edge_type is None else graph.edge_type[edges],
    )


def join_graphs(graphs: Sequence[GraphTensors]) -> BatchedGraphs:
    """Put graphs of one domain side by side into a batch.

    Parameters
    ----------
    graphs : sequence of GraphTensors
        At least one; an optional tensor must be there in all of them or in none.

    Raises
    ------
    InputError
        If the sequence is empty, or an optional tensor is there in some graphs only.

    Examples
    --------
    >>> from gnnlib.graphs.schema import GraphSpec
    >>> spec = GraphSpec("toy", node_dim=1, edge_dim=0)
    >>> batch = join_graphs([random_graph(spec, 2, 3), random_graph(spec, 0, 0)])
    >>> batch.num_graphs, batch.batch
    (2, tensor([0, 0]))
    """
    if not graphs:
        raise InputError("`graphs` must hold at least one graph")
    sizes = torch.tensor([graph.num_nodes for graph in graphs])
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    device = graphs[0].x.device

    def together(name: str) -> Tensor | None:
        parts = [getattr(graph, name) for graph in graphs]
        missing = sum(part is None for part in parts)
        if missing not in (0, len(parts)):
            raise InputError(f"`{name}` must be there in all graphs or in none; {missing} of {len(parts)} lack it")
        return None if missing else torch.cat(parts)

    return BatchedGraphs(
        torch.cat([graph.x for graph in graphs]),
        torch.cat([graph.edge_index + int(first) for graph, first in zip(graphs, ptr[:-1], strict=True)], dim=1),
        together("edge_attr"),
        together("node_type"),
        together("edge_type"),
        torch.repeat_interleave(torch.arange(len(graphs)), sizes).to(device),
        ptr.to(device),
    )
