"""From a weighted graph to what the encoder reads.

Weights enter as logarithms in units of the graph's geometric mean, and as ranks among the edges of a node, so that a
graph whose weights are scaled gives the same features. Nothing of a spanning tree is among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["MST_SPEC", "EdgeGraph", "edge_graph", "join_edge_graphs", "log_weights"]

MST_SPEC = GraphSpec("mst", node_dim=2, edge_dim=5)
"""A node knows the mean and the least of its log-weights; an edge its own, what it exceeds the least at either end by,
and its rank at either end."""

_SMALLEST = 1e-3
"""Weights below this part of the geometric mean are hardly told apart."""


@dataclass
class EdgeGraph(GraphTensors):
    """The graph of one instance or of several, with what only this head needs.

    Parameters
    ----------
    ends : Tensor [2, M], int64
        End points of each undirected edge, every one once.
    forth, back : Tensor [M], int64
        The two arcs of each edge.
    log_weight : Tensor [M]
        Logarithm of its weight in units of the geometric mean.
    weight : Tensor [M]
        The weight in units of the mean.
    edge_batch : Tensor [M], int64, optional
        Graph of each edge; absent means one graph.
    targets : Tensor [M], optional
        Share of the visits that the tree search gave to each edge.
    node_cost : Tensor [N], optional
        Weight of the edge over which each node was reached; NaN where it is not known.
    legal : Tensor [M], optional
        Which edges were legal when the search gave its `targets`.
    exact : Tensor [B], optional
        Weight of a minimum spanning forest, for measuring.
    """

    ends: Tensor | None = None
    forth: Tensor | None = None
    back: Tensor | None = None
    log_weight: Tensor | None = None
    weight: Tensor | None = None
    edge_batch: Tensor | None = None
    targets: Tensor | None = None
    node_cost: Tensor | None = None
    legal: Tensor | None = None
    exact: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        for name in _EXTRA:
            tensor = getattr(self, name)
            if tensor is not None:
                setattr(moved, name, tensor.to(device, dtype if tensor.is_floating_point() else None))
        return moved

    def part(self, name: str) -> Tensor:
        """Return one of the tensors, which must be there.

        Raises
        ------
        InputError
            If it is absent.
        """
        tensor = getattr(self, name)
        if not isinstance(tensor, Tensor):
            raise InputError(f"a graph of spanning trees needs `{name}`; build it with edge_graph")
        return tensor


_EXTRA = ("ends", "forth", "back", "log_weight", "weight", "edge_batch", "targets", "node_cost", "legal", "exact")


def log_weights(weights: FloatArray) -> FloatArray:
    """Return a rising function of the weights that does not change when they are all multiplied by one number.

    Parameters
    ----------
    weights : float array [M]
        If some are negative, all are raised so that the least is 0.

    Returns
    -------
    float array [M]
        ``log(w / g + 0.001)`` with the geometric mean g of the positive weights.

    Examples
    --------
    >>> log_weights(np.array([1.0, 1.0])).round(3).tolist(), log_weights(np.array([0.0, 2.0])).round(2).tolist()
    ([0.001, 0.001], [-6.91, 0.0])
    """
    raised = weights - min(float(weights.min(initial=0.0)), 0.0)
    positive = raised[raised > 0]
    unit = float(np.exp(np.log(positive).mean())) if positive.size else 1.0
    return np.log(raised / unit + _SMALLEST)


def edge_graph(graph: WeightedGraph) -> tuple[EdgeGraph, IntArray]:
    """Build the graph of an undirected instance.

    Parameters
    ----------
    graph : WeightedGraph
        Undirected. Of parallel edges the cheapest takes part; loops do not.

    Returns
    -------
    EdgeGraph
        Two arcs an edge, sorted by receiver.
    int64 array [M]
        The edge of `graph` that each of its M edges is.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    >>> built, edges = edge_graph(WeightedGraph(3, [0, 1, 2, 2], [1, 2, 0, 2], [1.0, 2.0, 3.0, 9.0]))
    >>> built.num_edges, built.ends.tolist(), edges.tolist()
    (6, [[0, 0, 1], [1, 2, 2]], [0, 2, 1])
    """
    arcs = graph.arcs
    receiver, sender = arcs.tail, arcs.head  # an undirected graph is its own reverse
    count = graph.num_nodes
    once = np.flatnonzero(receiver < sender)
    ends = np.stack([receiver[once], sender[once]])
    position = np.full(graph.num_edges, -1, np.int64)
    position[arcs.edge[once]] = np.arange(len(once))
    twin = np.empty(len(once), np.int64)
    others = np.flatnonzero(receiver > sender)
    twin[position[arcs.edge[others]]] = others
    z = log_weights(graph.weights[arcs.edge[once]])
    along = z[position[arcs.edge]]
    degree = np.diff(arcs.first)
    filled = np.flatnonzero(degree)
    least, mean = np.zeros(count), np.zeros(count)
    if filled.size:
        least[filled] = np.minimum.reduceat(along, arcs.first[filled])
        mean[filled] = np.add.reduceat(along, arcs.first[filled]) / degree[filled]
    order = np.lexsort((along, receiver))
    rank = np.empty(len(along))
    rank[order] = np.arange(len(along)) - np.repeat(arcs.first[:-1], degree)
    reverse = np.empty(len(along), np.int64)
    reverse[once], reverse[twin] = twin, once
    share = rank / np.maximum(degree[receiver], 1)
    features = np.stack(
        [0.5 * along, along - least[receiver], along - least[sender], share, share[reverse]], axis=1
    ).astype(np.float32)
    weights = graph.weights[arcs.edge[once]]
    scale = float(np.abs(weights).mean()) if weights.size else 1.0
    built = EdgeGraph(
        x=torch.from_numpy(np.stack([mean, least], axis=1).astype(np.float32)),
        edge_index=torch.from_numpy(np.stack([sender, receiver])),
        edge_attr=torch.from_numpy(features),
        ends=torch.from_numpy(ends),
        forth=torch.from_numpy(once),
        back=torch.from_numpy(twin),
        log_weight=torch.from_numpy(z.astype(np.float32)),
        weight=torch.from_numpy((weights / (scale or 1.0)).astype(np.float32)),
    )
    return built, arcs.edge[once]


def join_edge_graphs(graphs: Sequence[EdgeGraph]) -> EdgeGraph:
    """Put graphs side by side into a batch; a tensor that one of them lacks is left out.

    Raises
    ------
    InputError
        If there is no graph.
    """
    if not graphs:
        raise InputError("a batch needs at least one graph, found none")
    nodes = torch.tensor([graph.num_nodes for graph in graphs])
    edges = torch.tensor([graph.part("ends").shape[1] for graph in graphs])
    arcs = torch.tensor([graph.num_edges for graph in graphs])
    first_node, first_arc = (nodes.cumsum(0) - nodes).tolist(), (arcs.cumsum(0) - arcs).tolist()
    numbers = torch.arange(len(graphs))

    def joined(name: str) -> Tensor | None:
        tensors = [getattr(graph, name) for graph in graphs]
        return None if any(tensor is None for tensor in tensors) else torch.cat(tensors)

    def shifted(name: str, offsets: list[int]) -> Tensor:
        parts = [graph.part(name) + start for graph, start in zip(graphs, offsets, strict=True)]
        return torch.cat(parts, dim=-1)

    return EdgeGraph(
        x=torch.cat([graph.x for graph in graphs]),
        edge_index=shifted("edge_index", first_node),
        edge_attr=joined("edge_attr"),
        batch=numbers.repeat_interleave(nodes),
        ends=shifted("ends", first_node),
        forth=shifted("forth", first_arc),
        back=shifted("back", first_arc),
        edge_batch=numbers.repeat_interleave(edges),
        **{name: joined(name) for name in ("log_weight", "weight", "targets", "node_cost", "legal", "exact")},
    )
