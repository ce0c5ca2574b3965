"""Kruskal's algorithm over any order of the edges, compiled: what makes every chosen edge set a forest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["find_root", "forest_of_order", "forests_of_scores"]


@leaf_njit
def find_root(leader: IntArray, node: int) -> int:
    """Return the representative of the node's set; paths are halved on the way (R. E. Tarjan 1975).

    Parameters
    ----------
    leader : int64 array [N]
        A node that leads on towards the representative; the representative leads to itself. Changed in place.
    node : int
    """
    while leader[node] != node:
        leader[node] = leader[leader[node]]
        node = leader[node]
    return node


@nb.njit(cache=True)
def forest_of_order(order: IntArray, tails: IntArray, heads: IntArray, leader: IntArray) -> IntArray:
    """Take the edges in the given order, each unless it closes a cycle (J. B. Kruskal 1956).

    Parameters
    ----------
    order : int64 array [M]
        Edges, the most wanted first.
    tails, heads : int64 array [E]
        Their ends.
    leader : int64 array [N]
        Sets that are joined already, as in `find_root`; ``arange(N)`` when none are. Changed in place.

    Returns
    -------
    int64 array
        The edges taken, in the order in which they were taken.
    """
    taken = np.empty(len(leader), np.int64)
    count = 0
    for edge in order:
        one, other = find_root(leader, tails[edge]), find_root(leader, heads[edge])
        if one != other:
            leader[one] = other
            taken[count] = edge
            count += 1
    return taken[:count]


@nb.njit(cache=True)
def forests_of_scores(
    scores: FloatArray, ends: IntArray, edges: IntArray, num_nodes: IntArray
) -> tuple[IntArray, IntArray]:
    """Build a forest in every graph from every row of scores, and say when each edge was decided.

    Parameters
    ----------
    scores : float array [B, K, A]
        The larger, the sooner an edge is taken.
    ends : int64 array [B, A, 2]
        End points of the edges.
    edges, num_nodes : int64 array [B]
        How many edges and nodes each graph has; the rest is padding.

    Returns
    -------
    chosen : int64 array [B, K, T]
        The edge taken at each step, -1 after the last; T is the largest number of nodes less 1.
    decided : int64 array [B, K, A]
        The step after which the edge was no longer legal: the one that took it, or that joined its ends by others; -1
        for padding, and for loops.
    """
    num_graphs, draws, width = scores.shape
    chosen = np.full((num_graphs, draws, max(num_nodes.max() - 1, 0)), -1)
    decided = np.full((num_graphs, draws, width), -1)
    for b in range(num_graphs):
        label = np.empty(num_nodes[b], np.int64)
        for k in range(draws):
            for node in range(num_nodes[b]):
                label[node] = node
            step = 0
            for edge in np.argsort(-scores[b, k, : edges[b]]):
                keep, gone = label[ends[b, edge, 0]], label[ends[b, edge, 1]]
                if keep == gone:
                    continue
                for node in range(num_nodes[b]):
                    if label[node] == gone:
                        label[node] = keep
                for other in range(edges[b]):
                    u, v = ends[b, other, 0], ends[b, other, 1]
                    if decided[b, k, other] < 0 and u != v and label[u] == label[v]:
                        decided[b, k, other] = step
                chosen[b, k, step] = edge
                step += 1
    return chosen, decided
