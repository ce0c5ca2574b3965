"""Build graphs from points: nearest neighbours, radius, Delaunay, complete, line graphs.

Everything here is numpy and scipy: torch tensors are accepted, torch itself is not imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.graphs.delaunay import delaunay_graph
from gnnlib.graphs.edges import LineGraph, complete_graph, line_graph, sorted_edges
from gnnlib.graphs.points import as_count, as_points

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.typing import ArrayLike, FloatArray, IntArray

__all__ = [
    "LineGraph",
    "complete_graph",
    "delaunay_graph",
    "knn_graph",
    "knn_neighbours",
    "line_graph",
    "quadrant_neighbours",
    "radius_graph",
]

_QUERY_CELLS = 100_000
"""Rows times columns of one tree query: small enough for the cache, and bounds the memory that ties can cost."""


def knn_neighbours(points: ArrayLike | Tensor, k: int) -> tuple[IntArray, FloatArray]:
    """Find the `k` nearest other points of every point (Euclidean).

    Parameters
    ----------
    points : array or tensor [N, D], D >= 1
        Coordinates; duplicates are fine.
    k : int >= 1
        Number of neighbours; N - 1 are returned when there are fewer others.

    Returns
    -------
    neighbours : int64 array [N, min(k, N - 1)]
        Nearest first; equal distances in order of index. A point is never its own neighbour, a coincident one can be.
    distances : float64 array [N, min(k, N - 1)]
        In the units of `points`.

    Raises
    ------
    InputError
        If `points` has a wrong shape or non-finite values, or `k` is not a positive integer.

    Notes
    -----
    A k-d tree [1]_: O(N log N) for points that are not tied in bulk. Ties across the k-th place (grids) are resolved by
    wider queries of the affected rows only, so the answer does not depend on the tree.

    References
    ----------
    .. [1] J. H. Friedman, J. L. Bentley and R. A. Finkel (1977), An algorithm for finding best matches in logarithmic
       expected time, ACM TOMS 3(3).

    Examples
    --------
    >>> neighbours, distances = knn_neighbours([[0, 0], [1, 0], [3, 0]], k=1)
    >>> neighbours.ravel(), distances.ravel()
    (array([1, 0, 1]), array([1., 1., 2.]))
    """
    coords = as_points(points)
    k = as_count(k, "k")
    num = coords.shape[0]
    k = max(min(k, num - 1), 0)
    neighbours = np.empty((num, k), dtype=np.int64)
    distances = np.zeros((num, k), dtype=np.float64)
    if k == 0:
        return neighbours, distances
    piles = _rank_in_pile(coords)
    kept = np.flatnonzero(piles <= k)  # later members of a pile can be nobody's neighbour, and would slow the tree
    tree = cKDTree(coords[kept])
    pending = tree.indices  # queries in the tree's own order find its nodes in cache
    width = min(k + 2, kept.size)  # the point itself, and one more than asked: a tie across the k-th place shows
    while pending.size:
        ties, at = [], 0
        while at < pending.size:
            chunk = pending[at : at + max(1, _QUERY_CELLS // width)]
            rows, near, far, tied = _query(tree, chunk, width, k)
            neighbours[kept[rows]], distances[kept[rows]] = kept[near], far
            ties.append(tied)
            at += chunk.size
            if 2 * tied.size > chunk.size:  # ties are the rule here (a lattice): look wider at once
                width = min(2 * width, kept.size)
        pending = np.concatenate(ties)
        width = min(2 * width, kept.size)
    if kept.size < num:
        _fill_piles(coords, piles, neighbours)
    return neighbours, distances


def quadrant_neighbours(points: ArrayLike | Tensor, per_quadrant: int, k: int) -> IntArray:
    """Find `k` neighbours of every point that lie on all its sides.

    The `per_quadrant` nearest points of each quadrant (octant in space) are united with the nearest points of all, so
    that a city at the rim of a cluster keeps edges that lead out of it [1]_.

    Parameters
    ----------
    points : array or tensor [N, D], 1 <= D <= 3
        Coordinates; coincident points count to the first quadrant.
    per_quadrant : int >= 1
        Points per quadrant; fewer where a quadrant holds fewer.
    k : int
        Number of neighbours, at least ``per_quadrant * 2**D``; N - 1 are returned when there are fewer others.

    Returns
    -------
    int64 array [N, min(k, N - 1)]
        Nearest first; equal distances in order of index.

    Raises
    ------
    InputError
        If `points` is malformed or has more than three dimensions, or `k` has no room for the quadrant neighbours.

    References
    ----------
    .. [1] D. S. Johnson and L. A. McGeoch (1997), The traveling salesman problem: a case study in local optimization,
       in Local Search in Combinatorial Optimization, Wiley, on quadrant neighbour lists.

    Examples
    --------
    >>> points = [[0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [-5, 0], [0, -5], [0, 5]]
    >>> [sorted(row) for row in quadrant_neighbours(points, per_quadrant=1, k=4)[:1].tolist()]
    [[1, 5, 6, 7]]
    """
    from gnnlib.graphs import orthants  # here, so that only those who need it load the compiler

    coords = as_points(points)
    per_quadrant, k = as_count(per_quadrant, "per_quadrant"), as_count(k, "k")
    num, dim = coords.shape
    if dim > 3:
        raise InputError(f"quadrant neighbours need points of 1 to 3 dimensions, found shape {[num, dim]}")
    if k < min(per_quadrant * 2**dim, num - 1):
        raise InputError(f"`k` must be at least per_quadrant * 2**D = {per_quadrant * 2**dim}, found {k}")
    k = min(k, max(num - 1, 0))
    nearest, distances = knn_neighbours(coords, max(k, (per_quadrant + 3) * 2**dim))  # fills nearly every quadrant
    if k == max(num - 1, 0):
        return nearest
    boxes = orthants.box_tree(coords, cKDTree(coords).indices.astype(np.int64))
    return orthants.unite_orthants(coords, nearest, distances, boxes, orthants.orthants_of(dim), per_quadrant, k)


def knn_graph(points: ArrayLike | Tensor, k: int, *, symmetric: bool = True, quadrants: bool | int = False) -> IntArray:
    """Join every point to its `k` nearest neighbours.

    Parameters
    ----------
    points : array or tensor [N, D]
        Coordinates.
    k : int >= 1
        Number of neighbours; all others where there are fewer.
    symmetric : bool, default True
        Add the reverse of every edge; otherwise each point receives from exactly its neighbours.
    quadrants : bool or int, default False
        Points that each quadrant must contribute if it holds them (see `quadrant_neighbours`); True means
        ``k // 2**D``.

    Returns
    -------
    int64 array [2, E]
        Row 0 sends, row 1 receives; no loops, no repeats, sorted by receiver, then sender.

    Raises
    ------
    InputError
        If `points` is malformed, `k` is not a positive integer or has no room for the quadrants.

    Examples
    --------
    >>> knn_graph([[0, 0], [1, 0], [3, 0]], k=1, symmetric=False)
    array([[1, 0, 1],
           [0, 1, 2]])
    >>> knn_graph([[0, 0], [1, 0], [3, 0]], k=1)
    array([[1, 0, 2, 1],
           [0, 1, 1, 2]])
    """
    coords = as_points(points)
    if quadrants is False:
        neighbours, _ = knn_neighbours(coords, k)
    else:
        per_quadrant = as_count(k, "k") // 2 ** coords.shape[1] if quadrants is True else quadrants
        neighbours = quadrant_neighbours(coords, per_quadrant, k)
    num, width = neighbours.shape
    return sorted_edges(neighbours.ravel(), np.repeat(np.arange(num), width), num, symmetric=symmetric)


def radius_graph(points: ArrayLike | Tensor, radius: float, *, max_neighbours: int | None = None) -> IntArray:
    """Join all points that are at most `radius` apart.

    Parameters
    ----------
    points : array or tensor [N, D]
        Coordinates.
    radius : float >= 0
        Largest distance, in the units of `points`; 0 joins coincident points only.
    max_neighbours : int >= 1, optional
        Each point receives from at most this many, the nearest ones (equal distances in order of index); the graph is
        then not symmetric in general. Bounds the memory where points are dense.

    Returns
    -------
    int64 array [2, E]
        Row 0 sends, row 1 receives; no loops, sorted by receiver, then sender.

    Raises
    ------
    InputError
        If `points` is malformed, `radius` is negative or not finite, or `max_neighbours` is not a positive integer.

    Examples
    --------
    >>> radius_graph([[0, 0], [1, 0], [3, 0]], radius=1.5)
    array([[1, 0],
           [0, 1]])
    """
    coords = as_points(points)
    if isinstance(radius, bool) or not isinstance(radius, (int, float, np.number)) or not 0 <= radius < np.inf:
        raise InputError(f"`radius` must be a finite number >= 0, found {radius!r}")
    num = coords.shape[0]
    if max_neighbours is not None:
        neighbours, distances = knn_neighbours(coords, as_count(max_neighbours, "max_neighbours"))
        receiver, place = np.nonzero(distances <= radius)
        return sorted_edges(neighbours[receiver, place], receiver, num)
    if num == 0:
        return np.empty((2, 0), dtype=np.int64)
    reach = float(radius) * (1 + 1e-12)  # the tree compares squares; the exact rule is applied below
    pairs = cKDTree(coords).query_pairs(reach, output_type="ndarray").astype(np.int64)
    a, b = pairs[np.sqrt(((coords[pairs[:, 0]] - coords[pairs[:, 1]]) ** 2).sum(axis=1)) <= radius].T
    return sorted_edges(a, b, num, symmetric=True)


def _rank_in_pile(coords: FloatArray) -> IntArray:
    """Return each point's rank, by index, among the points at its very place: 0 for all where there are no duplicates."""
    rank = np.zeros(coords.shape[0], dtype=np.int64)
    first = np.sort(coords[:, 0])
    if not (first[1:] == first[:-1]).any():
        return rank
    order = np.lexsort(coords.T)  # stable: members of a pile stay in order of index
    ordered = coords[order]
    opens = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    place = np.arange(order.size)
    rank[order] = place - np.maximum.accumulate(np.where(opens, place, 0))
    return rank


def _fill_piles(coords: FloatArray, piles: IntArray, neighbours: IntArray) -> None:
    """Give each point with `k` earlier coincident points those of lowest index; distances stay 0."""
    k = neighbours.shape[1]
    order = np.lexsort(coords.T)
    late = np.flatnonzero(piles[order] > k)
    start = late - piles[order[late]]
    neighbours[order[late]] = order[start[:, None] + np.arange(k)]


def _query(tree: cKDTree, rows: IntArray, width: int, k: int) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Query `width` points around each of `rows`; return the decided rows, their answer, and the undecided rows.

    A row is undecided when a tie crosses its k-th place and reaches past the width.
    """
    far, near = (np.asarray(part) for part in tree.query(tree.data[rows], k=width))
    near = near.astype(np.int64, copy=False)
    others = near != rows[:, None]  # each row holds its own point once, because no pile is wider than `width`
    near = near[others].reshape(-1, width - 1)
    far = far[others].reshape(-1, width - 1)
    decided = np.ones(rows.size, dtype=bool) if width == tree.n else far[:, k - 1] < far[:, -1]
    steps = far[:, 1:] != far[:, :-1]
    tied = np.flatnonzero(~steps.all(axis=1))
    if tied.size:  # one integer sort by (rank of the distance, index)
        rank = np.zeros((tied.size, width - 1), dtype=np.int64)
        np.cumsum(steps[tied], axis=1, out=rank[:, 1:])
        near[tied] = np.sort(rank * tree.n + near[tied], axis=1) % tree.n
    return rows[decided], near[decided, :k], far[decided, :k], rows[~decided]
