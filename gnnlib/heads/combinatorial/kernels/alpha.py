"""Alpha-nearness, compiled: how much longer the minimum 1-tree becomes when it must hold an edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.starts import pair_lengths

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.one_tree import OneTreeBound
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["alpha_candidates"]


@nb.njit(cache=True)
def _merge_tree(tree: Int32Array, weights: FloatArray, ranking: IntArray, n: int) -> tuple[Int32Array, FloatArray]:
    """Union by size, lightest tree edge first; the weight at which each node was hung under its parent."""
    parent = np.arange(n).astype(np.int32)
    size = np.ones(n, np.int64)
    hung_at = np.full(n, np.inf)
    for e in ranking:
        a, b = tree[e, 0], tree[e, 1]
        while parent[a] != a:
            a = parent[a]
        while parent[b] != b:
            b = parent[b]
        if size[a] > size[b]:
            a, b = b, a
        parent[a] = b
        size[b] += size[a]
        hung_at[a] = weights[e]
    return parent, hung_at


@leaf_njit
def _heaviest_between(parent: Int32Array, hung_at: FloatArray, i: int, j: int) -> float:
    """Heaviest edge on the tree path between two nodes, in O(log N)."""
    heaviest = -np.inf
    while i != j:
        if hung_at[i] <= hung_at[j]:
            heaviest = max(heaviest, hung_at[i])
            i = parent[i]
        else:
            heaviest = max(heaviest, hung_at[j])
            j = parent[j]
    return heaviest


@nb.njit(cache=True)
def _alpha_rows(
    data: DistanceData,
    neighbours: Int32Array,
    penalties: FloatArray,
    parent: Int32Array,
    hung_at: FloatArray,
    leaf: int,
    second: float,
) -> FloatArray:
    n, k = neighbours.shape
    alpha = np.empty((n, k))
    for i in range(n):
        for c in range(k):
            j = neighbours[i, c]
            weight = distance(data, i, j) + penalties[i] + penalties[j]
            special = leaf == i or leaf == j
            in_place = second if special else _heaviest_between(parent, hung_at, i, j)
            alpha[i, c] = max(0.0, weight - in_place)
    return alpha


def alpha_candidates(
    data: DistanceData, bound: OneTreeBound, neighbours: Int32Array, count: int
) -> tuple[Int32Array, FloatArray]:
    """Choose the `count` alpha-nearest of each city's neighbours.

    Alpha of an edge is the length of a minimum 1-tree that must hold it less that of one that need not: its penalised
    weight less the heaviest edge on the tree path that it closes (K. Helsgaun 2000, *An effective implementation of the
    Lin-Kernighan traveling salesman heuristic*, section 4.1; at the special leaf, less its second edge).

    Parameters
    ----------
    data : DistanceData
    bound : OneTreeBound
        With the penalties and the tree.
    neighbours : int32 [N, K]
        Edges to choose from.
    count : int
        How many to keep; K at most.

    Returns
    -------
    candidates : int32 [N, min(count, K)]
        By alpha, then by penalised weight.
    alpha : float [N, min(count, K)]
        >= 0, in units of length.
    """
    n = len(neighbours)
    tree = bound.tree
    penalties = bound.penalties
    ends = np.ascontiguousarray(tree.T)
    weights = pair_lengths(data, ends[0], ends[1]) + penalties[ends[0]] + penalties[ends[1]]
    parent, hung_at = _merge_tree(tree, weights, np.argsort(weights, kind="stable"), n)
    alpha = _alpha_rows(data, neighbours, penalties, parent, hung_at, bound.leaf, bound.second)
    tails = np.repeat(np.arange(n, dtype=np.int32), neighbours.shape[1])
    lengths = pair_lengths(data, tails, neighbours.ravel()).reshape(neighbours.shape)
    ranking = np.lexsort((lengths + penalties[neighbours], alpha))[:, :count]
    return np.take_along_axis(neighbours, ranking, 1), np.take_along_axis(alpha, ranking, 1)
