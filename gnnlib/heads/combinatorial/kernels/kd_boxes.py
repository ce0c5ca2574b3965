"""A balanced k-d tree over the cities, compiled: boxes that bound distances from below.

The cities are renumbered so that every node of the tree holds a run of them, which also lays near cities out close
together in memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.distance import DistanceData
    from gnnlib.heads.combinatorial.kernels.penalised_tree import Int32Array
    from gnnlib.typing import FloatArray

__all__ = ["Boxes", "empty_orthants", "make_boxes"]

_LEAF_SIZE = 8

#: For each kind of distance (`DISTANCE_KINDS`): no distance is less than factor x Euclidean distance - margin.
#: On the sphere the arc is at least the chord, and the arc cosine of nearly 1 loses half of the digits.
_SCALE = {
    1: (1.0, 0.0),
    2: (1.0, 0.5),
    3: (1.0, 0.0),
    4: (1.0 / math.sqrt(10.0), 0.0),
    5: (6378.388, 1e-3),
    6: (1.0, 0.5),
    7: (1.0 / math.sqrt(2.0), 0.5),
    8: (1.0, 0.5),
}


class Boxes(NamedTuple):
    """A balanced k-d tree over cities numbered in its order; node t has children 2t + 1 and 2t + 2."""

    points: FloatArray
    levels: int
    low: FloatArray
    high: FloatArray
    factor: float
    margin: float


@leaf_njit
def _split(points: FloatArray, order: Int32Array, begin: int, middle: int, end: int) -> None:
    """Put the lower part of the widest side of a box before `middle` (C. Hoare's selection)."""
    side, widest = 0, -1.0
    for k in range(points.shape[1]):
        low, high = np.inf, -np.inf
        for i in range(begin, end):
            x = points[order[i], k]
            low, high = min(low, x), max(high, x)
        if high - low > widest:
            side, widest = k, high - low
    low_place, high_place = begin, end - 1
    while low_place < high_place:
        pivot = points[order[(low_place + high_place) >> 1], side]
        i, j = low_place, high_place
        while i <= j:
            while points[order[i], side] < pivot:
                i += 1
            while points[order[j], side] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high_place = j
        elif middle >= i:
            low_place = i
        else:
            break


@nb.njit(cache=True)
def _kd_order(points: FloatArray, levels: int) -> Int32Array:
    """Order in which every node of the balanced k-d tree holds a run of cities."""
    n = len(points)
    order = np.arange(n).astype(np.int32)
    for level in range(levels):
        for p in range(1 << level):
            _split(points, order, (n * p) >> level, (n * (2 * p + 1)) >> (level + 1), (n * (p + 1)) >> level)
    return order


@nb.njit(cache=True)
def _kd_boxes(points: FloatArray, levels: int) -> tuple[FloatArray, FloatArray]:
    n, dim = points.shape
    first = (1 << levels) - 1
    low = np.full((2 * first + 1, dim), np.inf)
    high = np.full((2 * first + 1, dim), -np.inf)
    for p in range(1 << levels):
        for i in range((n * p) >> levels, (n * (p + 1)) >> levels):
            for k in range(dim):
                low[first + p, k] = min(low[first + p, k], points[i, k])
                high[first + p, k] = max(high[first + p, k], points[i, k])
    for t in range(first - 1, -1, -1):
        for k in range(dim):
            low[t, k] = min(low[2 * t + 1, k], low[2 * t + 2, k])
            high[t, k] = max(high[2 * t + 1, k], high[2 * t + 2, k])
    return low, high


@nb.njit(cache=True)
def _nearest_in_orthant(boxes: Boxes, i: int, orthant: int) -> int:
    """Nearest city on one side of city `i` (bit k of `orthant`: whether coordinate k is smaller); -1 without any."""
    points, dim, n, levels = boxes.points, boxes.points.shape[1], len(boxes.points), boxes.levels
    first = (1 << levels) - 1
    stack, bars = np.empty(2 * levels + 2, np.int32), np.empty(2 * levels + 2)
    stack[0], bars[0], top = 0, -1.0, 1
    nearest, best = -1, np.inf
    while top > 0:
        top -= 1
        t = stack[top]
        if bars[top] >= best:
            continue
        if t < first:
            for child in (2 * t + 1, 2 * t + 2):
                square, empty = 0.0, False
                for k in range(dim):
                    x, low, high = points[i, k], boxes.low[child, k], boxes.high[child, k]
                    empty |= low >= x if orthant >> k & 1 else high < x
                    off = max(low - x, x - high, 0.0)
                    square += off * off
                if not empty and square < best:
                    stack[top], bars[top] = child, square
                    top += 1
            if top > 1 and stack[top - 2] == 2 * t + 1 and bars[top - 2] < bars[top - 1]:
                stack[top - 2], stack[top - 1] = stack[top - 1], stack[top - 2]
                bars[top - 2], bars[top - 1] = bars[top - 1], bars[top - 2]
            continue
        for j in range((n * (t - first)) >> levels, (n * (t - first + 1)) >> levels):
            square, inside = 0.0, j != i
            for k in range(dim):
                off = points[j, k] - points[i, k]
                inside &= (off < 0.0) == (orthant >> k & 1 == 1)
                square += off * off
            if inside and square < best:
                nearest, best = j, square
    return nearest


@nb.njit(cache=True)
def empty_orthants(boxes: Boxes, neighbours: Int32Array) -> tuple[Int32Array, Int32Array]:
    """Edges to the nearest city of each orthant in which the listed neighbours have none."""
    n, dim = boxes.points.shape
    tails, heads = np.empty(n << dim, np.int32), np.empty(n << dim, np.int32)
    count = 0
    for i in range(n):
        filled = 0
        for j in neighbours[i]:
            orthant = 0
            for k in range(dim):
                orthant |= int(boxes.points[j, k] < boxes.points[i, k]) << k
            filled |= 1 << orthant
        for orthant in range(1 << dim):
            if not filled >> orthant & 1:
                j = _nearest_in_orthant(boxes, i, orthant)
                if j >= 0:
                    tails[count], heads[count] = i, j
                    count += 1
    return tails[:count], heads[:count]


def _as_points(data: DistanceData) -> FloatArray:
    """Points whose Euclidean distances bound the distances from below (see `_SCALE`)."""
    coords = data.coords
    if data.kind == 5:
        flat = np.cos(coords[:, 0])
        return np.column_stack([flat * np.cos(coords[:, 1]), flat * np.sin(coords[:, 1]), np.sin(coords[:, 0])])
    return coords if coords[:, 2].any() else np.ascontiguousarray(coords[:, :2])


def make_boxes(data: DistanceData) -> tuple[Int32Array, Boxes]:
    """Build the tree.

    Parameters
    ----------
    data : DistanceData
        N cities with coordinates.

    Returns
    -------
    order : int32 [N]
        The caller's number of each city in the numbering of the tree.
    boxes : Boxes
        In that numbering.
    """
    points = _as_points(data)
    levels = max(0, math.ceil(math.log2(len(points) / _LEAF_SIZE)))
    order = _kd_order(points, levels)
    points = np.ascontiguousarray(points[order])
    low, high = _kd_boxes(points, levels)
    factor, margin = _SCALE[data.kind]
    # the distances are rounded themselves: a relative 1e-12 keeps the boxes' lower bounds below them
    margin += 1e-12 * factor * float(np.abs(points).max())
    return order, Boxes(points, levels, low, high, factor * (1.0 - 1e-12), margin)
