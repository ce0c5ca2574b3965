"""Minimum spanning trees under city penalties, compiled: sparse by Boruvka, dense by Prim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["boruvka", "dense_prim", "second_edge", "second_edge_exact"]


@nb.njit(cache=True, inline="always")
def _root(parent: Int32Array, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@nb.njit(cache=True)
def boruvka(tails: Int32Array, heads: Int32Array, weights: FloatArray, n: int) -> IntArray:
    """Minimum spanning forest (O. Boruvka 1926): in rounds, every component takes its lightest way out.

    Parameters
    ----------
    tails, heads : int32 [E]
        The edges.
    weights : float [E]
        Ties are broken by the number of the edge.
    n : int
        Number of nodes.

    Returns
    -------
    int64 [N - C]
        Numbers of the edges taken; C is the number of components.
    """
    parent = np.arange(n).astype(np.int32)
    taken = np.empty(max(n - 1, 0), np.int64)
    active = np.arange(len(tails))
    lightest = np.full(n, -1, np.int64)
    count = 0
    left = len(tails)
    while left > 0 and count < n - 1:
        kept = 0
        for index in range(left):
            e = active[index]
            a, b = _root(parent, tails[e]), _root(parent, heads[e])
            if a == b:
                continue
            active[kept] = e
            kept += 1
            w = weights[e]
            best = lightest[a]
            if best < 0 or w < weights[best] or (w == weights[best] and e < best):
                lightest[a] = e
            best = lightest[b]
            if best < 0 or w < weights[best] or (w == weights[best] and e < best):
                lightest[b] = e
        left = kept
        joined = False
        for i in range(n):
            e = lightest[i]
            if e < 0:
                continue
            lightest[i] = -1
            a, b = _root(parent, tails[e]), _root(parent, heads[e])
            if a != b:
                parent[a] = b
                taken[count] = e
                count += 1
                joined = True
        if not joined:
            break
    return taken[:count]


@nb.njit(cache=True)
def dense_prim(data: DistanceData, penalties: FloatArray) -> tuple[Int32Array, FloatArray]:
    """Minimum spanning tree of the complete graph under ``d(i, j) + p_i + p_j`` (R. Prim 1957), in O(N^2).

    Returns
    -------
    father : int32 [N]
        Neighbour of each city towards city 0; -1 for city 0.
    weights : float [N]
        Penalised weight of that edge; 0 for city 0.
    """
    n = len(penalties)
    father = np.full(n, -1, np.int32)
    weights = np.full(n, np.inf)
    outside = np.arange(1, n)
    near = np.full(n, np.inf)
    weights[0] = 0.0
    city = 0
    left = n - 1
    while left > 0:
        best = np.inf
        slot = 0
        for index in range(left):
            j = outside[index]
            w = distance(data, city, j) + penalties[city]
            if w < near[j]:
                near[j] = w
                father[j] = city
            if near[j] + penalties[j] < best:
                best = near[j] + penalties[j]
                slot = index
        city = outside[slot]
        weights[city] = best
        left -= 1
        outside[slot] = outside[left]
    return father, weights


@nb.njit(cache=True)
def second_edge(
    tails: Int32Array, heads: Int32Array, weights: FloatArray, tree: IntArray, degree: IntArray
) -> tuple[int, int]:
    """Leaf of the tree whose lightest edge outside the tree is heaviest, and that edge (-1, -1 without any)."""
    n = len(degree)
    in_tree = np.zeros(len(tails), np.bool_)
    for e in tree:
        in_tree[e] = True
    lightest = np.full(n, -1, np.int64)
    for e in range(len(tails)):
        if in_tree[e]:
            continue
        for end in (tails[e], heads[e]):
            if degree[end] == 1 and (lightest[end] < 0 or weights[e] < weights[lightest[end]]):
                lightest[end] = e
    leaf, edge = -1, -1
    for i in range(n):
        if lightest[i] >= 0 and (edge < 0 or weights[lightest[i]] > weights[edge]):
            leaf, edge = i, lightest[i]
    return leaf, edge


@nb.njit(cache=True)
def second_edge_exact(data: DistanceData, penalties: FloatArray, leaf: int, neighbour: int) -> tuple[int, float]:
    """Lightest edge of a leaf over the complete graph, apart from the one to its `neighbour` in the tree."""
    best = np.inf
    other = -1
    for j in range(len(penalties)):
        if j != leaf and j != neighbour:
            w = distance(data, leaf, j) + penalties[leaf] + penalties[j]
            if w < best:
                best = w
                other = j
    return other, best
