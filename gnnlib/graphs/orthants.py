"""Compiled search for the nearest points in every quadrant (octant) around each point.

A hierarchy of tight bounding boxes stands over the points in the order of a k-d tree. A box is searched for one orthant
only if it reaches into that orthant, so an orthant that is empty (border of a cloud, points on a line) costs O(log N)
instead of a scan of everything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["BoxTree", "Orthants", "box_tree", "orthants_of", "unite_orthants"]

_LEAF = 8
_STACK = 128


class Orthants(NamedTuple):
    """The 2^D half-open parts of space around a point, disjoint and complete but for the point's own place.

    Attributes
    ----------
    side : int64 array [2^D, D]
        +1 where the offset must not be negative, -1 where it must not be positive.
    strict : bool array [2^D, D]
        Whether the offset must also differ from 0.
    """

    side: IntArray
    strict: BoolArray


class BoxTree(NamedTuple):
    """A complete binary tree of bounding boxes over points in an order that keeps neighbours together.

    Attributes
    ----------
    order : int64 array [N]
        Leaf by leaf, the numbers of the points.
    low, high : float64 array [2 L, D]
        Corners of the box of each node; node 1 is the root, node i has children 2 i and 2 i + 1, the leaves are
        L..2 L - 1. Empty boxes have low = inf, high = -inf.
    """

    order: IntArray
    low: FloatArray
    high: FloatArray


def orthants_of(dim: int) -> Orthants:
    """Return the orthants of `dim`-dimensional space.

    In the plane they are half-open by rotation, so that each of the four axis directions lies in a quadrant of its own:
    on a grid the four nearest neighbours are in four different quadrants.

    Examples
    --------
    >>> orthants_of(3).side.shape
    (8, 3)
    """
    if dim == 2:
        side = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        strict = np.array([[True, False], [False, True], [True, False], [False, True]])
        return Orthants(side, strict)
    signs = (np.arange(2**dim)[:, None] >> np.arange(dim)) & 1
    return Orthants(1 - 2 * signs, signs == 1)


def box_tree(coords: FloatArray, order: IntArray) -> BoxTree:
    """Stack bounding boxes over `coords` [N, D], N >= 1, taken in `order`.

    Examples
    --------
    >>> tree = box_tree(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([0, 1]))
    >>> tree.low[1], tree.high[1]
    (array([0., 0.]), array([2., 1.]))
    """
    num, dim = coords.shape
    starts = np.arange(0, num, _LEAF)
    leaves = 1 << (len(starts) - 1).bit_length()
    low = np.full((2 * leaves, dim), np.inf)
    high = np.full((2 * leaves, dim), -np.inf)
    low[leaves : leaves + len(starts)] = np.minimum.reduceat(coords[order], starts)
    high[leaves : leaves + len(starts)] = np.maximum.reduceat(coords[order], starts)
    while leaves > 1:
        half = leaves // 2
        low[half:leaves] = low[leaves : 2 * leaves].reshape(half, 2, dim).min(axis=1)
        high[half:leaves] = high[leaves : 2 * leaves].reshape(half, 2, dim).max(axis=1)
        leaves = half
    return BoxTree(order, low, high)


@nb.njit(cache=True, inline="always")
def _distance(coords: FloatArray, i: int, j: int) -> float:
    """Euclidean distance of points `i` and `j`."""
    total = 0.0
    for d in range(coords.shape[1]):
        total += (coords[j, d] - coords[i, d]) ** 2
    return math.sqrt(total)


@nb.njit(cache=True, inline="always")
def _is_in(coords: FloatArray, i: int, j: int, parts: Orthants, o: int) -> bool:
    """Whether point `j` lies in orthant `o` around point `i`; coincident points lie in orthant 0."""
    is_same = True
    is_inside = True
    for d in range(coords.shape[1]):
        along = (coords[j, d] - coords[i, d]) * parts.side[o, d]
        is_same = is_same and along == 0.0
        is_inside = is_inside and (along > 0.0 or (along == 0.0 and not parts.strict[o, d]))
    return o == 0 if is_same else is_inside


@nb.njit(cache=True, inline="always")
def _box_distance(coords: FloatArray, i: int, tree: BoxTree, node: int) -> float:
    """Distance from point `i` to the box of `node`; infinite for an empty box."""
    total = 0.0
    for d in range(coords.shape[1]):
        gap = max(tree.low[node, d] - coords[i, d], coords[i, d] - tree.high[node, d], 0.0)
        total += gap * gap
    return math.sqrt(total)


@nb.njit(cache=True, inline="always")
def _reaches(coords: FloatArray, i: int, tree: BoxTree, node: int, parts: Orthants, o: int) -> bool:
    """Whether the box of `node` holds any place of orthant `o` around point `i`."""
    for d in range(coords.shape[1]):
        along = tree.high[node, d] - coords[i, d] if parts.side[o, d] > 0 else coords[i, d] - tree.low[node, d]
        if along < 0.0 or (along == 0.0 and parts.strict[o, d]):
            return False
    return True


@nb.njit(cache=True)
def _insert(near: IntArray, far: FloatArray, count: int, j: int, distance: float) -> int:
    """Put `j` into a list of at most len(near) entries sorted by (distance, index); return the new count."""
    size = near.size
    at = count
    while at > 0 and (far[at - 1] > distance or (far[at - 1] == distance and near[at - 1] > j)):
        at -= 1
    if at == size:
        return count
    for s in range(min(count, size - 1), at, -1):
        near[s] = near[s - 1]
        far[s] = far[s - 1]
    near[at] = j
    far[at] = distance
    return min(count + 1, size)


@nb.njit(cache=True)
def _search_orthant(
    i: int, o: int, coords: FloatArray, tree: BoxTree, parts: Orthants, near: IntArray, far: FloatArray, stack: IntArray
) -> int:
    """Collect the nearest points in orthant `o` around point `i` into `near`, `far`; return how many there are."""
    leaves = tree.low.shape[0] // 2
    last = near.size - 1
    count = 0
    stack[0] = 1
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        if count > last and _box_distance(coords, i, tree, node) > far[last]:
            continue
        if node >= leaves:
            for s in range((node - leaves) * _LEAF, min((node - leaves + 1) * _LEAF, tree.order.size)):
                j = tree.order[s]
                if j != i and _is_in(coords, i, j, parts, o):
                    count = _insert(near, far, count, j, _distance(coords, i, j))
            continue
        first = _box_distance(coords, i, tree, 2 * node)
        second = _box_distance(coords, i, tree, 2 * node + 1)
        nearer = 2 * node if first <= second else 2 * node + 1
        for child in (4 * node + 1 - nearer, nearer):  # the nearer child goes on top of the stack
            # orthant 0 also wants the point's own place, which it may not hold
            is_around = o == 0 and (first if child == 2 * node else second) == 0.0
            if is_around or _reaches(coords, i, tree, child, parts, o):
                stack[top] = child
                top += 1
    return count


@nb.njit(cache=True)
def _mark_extras(
    i: int, coords: FloatArray, nearest: IntArray, parts: Orthants, quota: int, is_extra: BoolArray, count: IntArray
) -> None:
    """Mark those of the nearest [N, K] of point `i` that come after the first `quota` of their orthant.

    The first ones are the nearest of the orthant, because the list is sorted; `count` [2^D] receives their numbers.
    """
    count[:] = 0
    for s in range(nearest.shape[1]):
        o = 0
        while not _is_in(coords, i, nearest[i, s], parts, o):
            o += 1
        is_extra[s] = count[o] == quota
        if not is_extra[s]:
            count[o] += 1


@nb.njit(cache=True)
def unite_orthants(
    coords: FloatArray, nearest: IntArray, distances: FloatArray, tree: BoxTree, parts: Orthants, quota: int, k: int
) -> IntArray:
    """Unite, for each point, the `quota` nearest of each orthant with its nearest points.

    Parameters
    ----------
    coords : array [N, D]
    nearest, distances : array [N, K], k <= K <= N - 1
        The K nearest points of each point by (distance, index); the wider, the fewer searches of `tree`.
    tree, parts : BoxTree, Orthants
        See `box_tree` and `orthants_of`.
    quota : int
        Points per orthant.
    k : int
        Neighbours of each point; N - 1 or at least ``quota * 2**D``.

    Returns
    -------
    int64 array [N, k]
        Sorted by (distance, index).
    """
    num, width = nearest.shape
    result = np.empty((num, k), dtype=np.int64)
    is_extra = np.empty(width, dtype=np.bool_)
    count = np.empty(parts.side.shape[0], dtype=np.int64)
    row_far = np.empty(k)
    near = np.empty(quota, dtype=np.int64)
    far = np.empty(quota)
    stack = np.empty(_STACK, dtype=np.int64)
    for i in tree.order:
        _mark_extras(i, coords, nearest, parts, quota, is_extra, count)
        row = result[i]
        size = 0
        room = k - count.sum()
        for o in range(count.size):
            if count[o] < quota and width < num - 1:
                found = _search_orthant(i, o, coords, tree, parts, near, far, stack)
                for q in range(count[o], found):  # the ones before stand in `nearest`
                    size = _insert(row, row_far, size, near[q], far[q])
                    room -= 1
        for s in range(width):
            if is_extra[s]:
                room -= 1
            if not is_extra[s] or room >= 0:
                size = _insert(row, row_far, size, nearest[i, s], distances[i, s])
    return result
