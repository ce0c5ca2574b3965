"""Minimum spanning trees by exact algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import IntArray

__all__ = ["exact_tree", "prim_order"]


def exact_tree(graph: WeightedGraph) -> IntArray:
    """Return the edges of a minimum spanning forest (scipy's Kruskal).

    scipy takes a weight of 0 for a missing edge and adds parallel edges up; it is given the ranks of the weights, which
    are positive and all different. Of equal weights the edge listed first is taken.

    Parameters
    ----------
    graph : WeightedGraph
        Undirected.

    Returns
    -------
    int64 array
        Rising.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    >>> exact_tree(WeightedGraph(3, [0, 0, 1, 2], [1, 1, 2, 0], [0.0, -1.0, 2.0, 2.0])).tolist()
    [1, 2]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    order = np.lexsort((np.arange(graph.num_edges), graph.weights))
    rank = np.empty(graph.num_edges)
    rank[order] = np.arange(1.0, graph.num_edges + 1.0)
    low, high = np.minimum(graph.tails, graph.heads), np.maximum(graph.tails, graph.heads)
    candidates = np.lexsort((rank, high, low))
    if candidates.size:
        u, v = low[candidates], high[candidates]
        candidates = candidates[np.r_[True, (u[1:] != u[:-1]) | (v[1:] != v[:-1])] & (u != v)]
    if not candidates.size:
        return np.zeros(0, np.int64)
    shape = (graph.num_nodes, graph.num_nodes)
    matrix = coo_array((rank[candidates], (low[candidates], high[candidates])), shape=shape)
    chosen = minimum_spanning_tree(matrix.tocsr()).data.astype(np.int64) - 1
    return np.sort(order[chosen])


def prim_order(graph: WeightedGraph, root: int = 0) -> IntArray:
    """Return the edges in the order in which Prim's algorithm takes them (R. C. Prim 1957).

    A node outside the root's component starts a tree of its own once nothing crosses the cut; ties go to the edge
    listed first. Written for clarity, in plain Python.

    Parameters
    ----------
    graph : WeightedGraph
        Undirected.
    root : int, default 0

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    >>> prim_order(WeightedGraph(3, [0, 1, 2], [1, 2, 0], [3.0, 2.0, 1.0])).tolist()
    [2, 1]
    """
    import heapq

    arcs = graph.arcs
    inside = np.zeros(graph.num_nodes, bool)
    taken: list[int] = []
    for start in [root, *range(graph.num_nodes)][: graph.num_nodes + 1] if graph.num_nodes else []:
        if inside[start]:
            continue
        queue: list[tuple[float, int, int]] = [(-np.inf, -1, start)]
        while queue:
            _, edge, node = heapq.heappop(queue)
            if inside[node]:
                continue
            inside[node] = True
            if edge >= 0:
                taken.append(edge)
            for arc in range(arcs.first[node], arcs.first[node + 1]):
                heapq.heappush(queue, (float(arcs.weight[arc]), int(arcs.edge[arc]), int(arcs.head[arc])))
    return np.array(taken, dtype=np.int64)
