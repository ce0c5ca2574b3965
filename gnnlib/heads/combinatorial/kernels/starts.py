"""Tours to start from: greedy edge and space-filling curve, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["greedy_edge_tour", "hilbert_order", "pair_lengths"]

Int32Array = npt.NDArray[np.int32]


@leaf_njit
def _hilbert_index(x: int, y: int, bits: int) -> int:
    """Position along the Hilbert curve of a point on a 2^bits grid."""
    index = 0
    side = 1 << (bits - 1)
    while side > 0:
        rx = 1 if x & side else 0
        ry = 1 if y & side else 0
        index += side * side * ((3 * rx) ^ ry)
        if ry == 0:
            if rx == 1:
                x = (side << 1) - 1 - (x & ((side << 1) - 1))
                y = (side << 1) - 1 - (y & ((side << 1) - 1))
            x, y = y, x
        side >>= 1
    return index


@nb.njit(cache=True)
def _hilbert_indices(cells: IntArray, bits: int) -> IntArray:
    n = len(cells)
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = _hilbert_index(cells[i, 0], cells[i, 1], bits)
    return out


def hilbert_order(coords: FloatArray) -> IntArray:
    """Order points along a Hilbert curve through their bounding square.

    About 25 % longer than the optimal tour on uniform points (L. Platzman & J. Bartholdi 1989 for such curves), made in
    O(n log n); it also lays neighbouring cities out close together in memory.

    Parameters
    ----------
    coords : float array [N, >= 2]
        Only the first two columns are used.

    Returns
    -------
    int array [N]
        City at each place of the order.

    Examples
    --------
    >>> hilbert_order(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])).tolist()
    [0, 2, 1, 3]
    """
    bits = 20
    xy = coords[:, :2]
    low = xy.min(axis=0)
    span = float((xy.max(axis=0) - low).max())
    scale = (2**bits - 1) / span if span > 0 else 0.0
    cells = ((xy - low) * scale).astype(np.int64)
    return np.argsort(_hilbert_indices(cells, bits), kind="stable").astype(np.int64)


@leaf_njit
def _find(parent: Int32Array, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@leaf_njit
def _add_greedily(tails: Int32Array, heads: Int32Array, ranking: IntArray, link: Int32Array, parent: Int32Array) -> int:
    """Add edges in the order of `ranking` while no city gets a third edge and no cycle closes; return their number."""
    added = 0
    for edge in ranking:
        i, j = tails[edge], heads[edge]
        if link[i, 1] >= 0 or link[j, 1] >= 0:
            continue
        a, b = _find(parent, i), _find(parent, j)
        if a == b:
            continue
        parent[a] = b
        link[i, 1 if link[i, 0] >= 0 else 0] = j
        link[j, 1 if link[j, 0] >= 0 else 0] = i
        added += 1
    return added


@nb.njit(cache=True)
def _walk(link: Int32Array, start: int) -> Int32Array:
    """Read off the Hamiltonian path that begins at its end `start`."""
    n = len(link)
    out = np.empty(n, np.int32)
    previous, city = -1, start
    for p in range(n):
        out[p] = city
        following = link[city, 0]
        if following == previous:
            following = link[city, 1]
        previous, city = city, following
    return out


@nb.njit(cache=True)
def pair_lengths(data: DistanceData, tails: Int32Array, heads: Int32Array) -> FloatArray:
    """Distance of each pair ``(tails[e], heads[e])``; float [E]."""
    out = np.empty(len(tails), np.float64)
    for e in range(len(tails)):
        out[e] = distance(data, tails[e], heads[e])
    return out


def _end_pairs(points: FloatArray | None, ends: Int32Array, parent: Int32Array) -> tuple[Int32Array, Int32Array]:
    """Pairs of fragment ends worth joining: all of them when few or without coordinates, else near neighbours."""
    m = len(ends)
    if points is None or m <= 256:
        a, b = np.triu_indices(m, 1)
    else:
        _, near = cKDTree(points[ends]).query(points[ends], k=min(8, m))
        a = np.repeat(np.arange(m), near.shape[1])
        b = near.ravel()
    roots = _roots(parent, ends)
    apart = roots[a] != roots[b]
    return ends[a[apart]], ends[b[apart]]


@nb.njit(cache=True)
def _roots(parent: Int32Array, cities: Int32Array) -> Int32Array:
    out = np.empty(len(cities), np.int32)
    for i in range(len(cities)):
        out[i] = _find(parent, cities[i])
    return out


def greedy_edge_tour(
    data: DistanceData,
    neighbours: Int32Array,
    lengths: FloatArray,
    points: FloatArray | None,
    *,
    join_noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Int32Array:
    """Build a tour by the greedy edge rule (J. Bentley 1992, *Fast algorithms for geometric TSPs*, section 3).

    The shortest candidate edges are taken first; the ends of the fragments that remain are then matched among
    themselves, again shortest first, until one path is left.

    Parameters
    ----------
    data : DistanceData
        The distances.
    neighbours : int32 [N, K]
        Candidate neighbours of each city.
    lengths : float [N, K]
        Their distances.
    points : float [N, D] or None
        Points whose Euclidean neighbours are near in the metric too; None compares all pairs of ends.
    join_noise : float >= 0, default 0
        The edges that join fragments are taken for longer by a random factor between 1 and 1 + `join_noise`: among
        clusters, few other edges differ from tour to tour, and no exchange of a few edges mends them later.
    rng : numpy Generator, optional
        What draws that noise; none is drawn without it.

    Returns
    -------
    int32 [N]
        The tour, 14 to 20 % above the optimum on uniform points.
    """
    n, k = neighbours.shape
    tails = np.repeat(np.arange(n, dtype=np.int32), k)
    heads = np.ascontiguousarray(neighbours, dtype=np.int32).ravel()
    costs = lengths.ravel()
    link = np.full((n, 2), -1, np.int32)
    parent = np.arange(n, dtype=np.int32)
    joined = 0
    while joined < n - 1:
        joined += _add_greedily(tails, heads, np.argsort(costs, kind="stable"), link, parent)
        ends = np.flatnonzero(link[:, 1] < 0).astype(np.int32)
        if joined < n - 1:
            tails, heads = _end_pairs(points, ends, parent)
            costs = pair_lengths(data, tails, heads)
            if rng is not None and join_noise > 0.0:
                costs *= 1.0 + join_noise * rng.random(len(costs))
    return _walk(link, int(np.flatnonzero(link[:, 1] < 0)[0]))
