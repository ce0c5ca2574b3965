"""Minimum spanning trees of the complete graph under city penalties, exact, from the tree of a sparse graph.

With coordinates the tree is found by rounds of Boruvka: every component starts from its lightest edge in the sparse tree
(by the cut property no other edge of the sparse graph can be lighter), and every city then asks a k-d tree for a lighter
way out of its component. A box of the k-d tree knows the least penalty of its cities and whether they all belong to one
component, so nearly all of it is passed over (dual-tree Boruvka, W. March, P. Ram & A. Gray 2010, has the idea without
penalties). A city is not asked while the least weight that an edge outside the sparse graph can have there, or the
weight that was found in an earlier round, exceeds the lightest way out that its component already knows.
With a distance matrix the tree is found by R. Prim 1957 in O(N^2). Both work in blocks between looks at the clock.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.penalised_tree import Int32Array, root_of

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["CompleteGraph", "lightest_at"]

_LEAF_SIZE = 8
_BLOCK = 1 << 24
"""Distances between two looks at the clock in Prim's algorithm."""

_QUERIES = 4096
"""Cities between two looks at the clock in Boruvka's algorithm."""

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


class _Boxes(NamedTuple):
    """A balanced k-d tree over cities numbered in its order; node t has children 2t + 1 and 2t + 2."""

    points: FloatArray
    levels: int
    low: FloatArray
    high: FloatArray
    factor: float
    margin: float


class _Rounds(NamedTuple):
    """State of Boruvka's algorithm: see `_start_round` and `_ask`."""

    component: Int32Array
    parent: Int32Array
    tails: Int32Array
    heads: Int32Array
    light: FloatArray
    near: Int32Array
    far: Int32Array
    floor: FloatArray
    box_penalty: FloatArray
    box_component: Int32Array


@nb.njit(cache=True)
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
def _start_round(data: DistanceData, boxes: _Boxes, penalties: FloatArray, rounds: _Rounds, edges: int) -> int:
    """Lightest way out of every component among the sparse tree's edges; drop those that stay inside one."""
    n, levels, component = len(penalties), boxes.levels, rounds.component
    for i in range(n):
        component[i] = root_of(rounds.parent, i)
        rounds.light[i] = np.inf
    kept = 0
    for e in range(edges):
        a, b = rounds.tails[e], rounds.heads[e]
        if component[a] == component[b]:
            continue
        rounds.tails[kept], rounds.heads[kept] = a, b
        kept += 1
        w = distance(data, a, b) + penalties[a] + penalties[b]
        if w < rounds.light[component[a]]:
            rounds.light[component[a]], rounds.near[component[a]], rounds.far[component[a]] = w, a, b
        if w < rounds.light[component[b]]:
            rounds.light[component[b]], rounds.near[component[b]], rounds.far[component[b]] = w, b, a
    first = (1 << levels) - 1
    for p in range(1 << levels):
        begin, end = (n * p) >> levels, (n * (p + 1)) >> levels
        common = component[begin]
        for i in range(begin + 1, end):
            if component[i] != common:
                common = -1
                break
        rounds.box_component[first + p] = common
    for t in range(first - 1, -1, -1):
        left, right = rounds.box_component[2 * t + 1], rounds.box_component[2 * t + 2]
        rounds.box_component[t] = left if left == right else -1
    return kept


@nb.njit(cache=True, inline="always")
def _box_weight(boxes: _Boxes, rounds: _Rounds, i: int, t: int) -> float:
    """At least this much weighs an edge from city `i` into box `t`, apart from the penalty of `i`."""
    square = 0.0
    for k in range(boxes.points.shape[1]):
        x = boxes.points[i, k]
        off = max(boxes.low[t, k] - x, x - boxes.high[t, k], 0.0)
        square += off * off
    return boxes.factor * math.sqrt(square) - boxes.margin + rounds.box_penalty[t]


@nb.njit(cache=True)
def _ask(data: DistanceData, boxes: _Boxes, penalties: FloatArray, rounds: _Rounds, begin: int, end: int) -> None:
    """Let cities `begin` to `end` look for a lighter way out of their component."""
    n, levels, component = len(penalties), boxes.levels, rounds.component
    first = (1 << levels) - 1
    stack, bars = np.empty(2 * levels + 2, np.int32), np.empty(2 * levels + 2)
    for i in range(begin, end):
        own = component[i]
        if rounds.floor[i] >= rounds.light[own]:
            continue
        found = np.inf
        stack[0], bars[0], top = 0, -np.inf, 1
        while top > 0:
            top -= 1
            t = stack[top]
            if bars[top] >= rounds.light[own]:
                continue
            if t >= first:
                for j in range((n * (t - first)) >> levels, (n * (t - first + 1)) >> levels):
                    if component[j] == own:
                        continue
                    w = distance(data, i, j) + penalties[i] + penalties[j]
                    found = min(found, w)
                    if w < rounds.light[own]:
                        rounds.light[own], rounds.near[own], rounds.far[own] = w, i, j
                continue
            left, right = 2 * t + 1, 2 * t + 2
            left_bar, right_bar = np.inf, np.inf
            if rounds.box_component[left] != own:
                left_bar = _box_weight(boxes, rounds, i, left) + penalties[i]
            if rounds.box_component[right] != own:
                right_bar = _box_weight(boxes, rounds, i, right) + penalties[i]
            if left_bar < right_bar:  # the nearer box on top of the stack
                left, left_bar, right, right_bar = right, right_bar, left, left_bar
            if left_bar < rounds.light[own]:
                stack[top], bars[top] = left, left_bar
                top += 1
            if right_bar < rounds.light[own]:
                stack[top], bars[top] = right, right_bar
                top += 1
        rounds.floor[i] = min(found, rounds.light[own])


@nb.njit(cache=True)
def _nearest_in_orthant(boxes: _Boxes, i: int, orthant: int) -> int:
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
def _far_sides(boxes: _Boxes, neighbours: Int32Array) -> tuple[Int32Array, Int32Array]:
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


@nb.njit(cache=True)
def _end_round(rounds: _Rounds, out_tails: Int32Array, out_heads: Int32Array, count: int) -> int:
    """Join the components; equal weights may close a cycle, whose last edge is then left out."""
    for c in range(len(rounds.component)):
        if rounds.component[c] == c and rounds.light[c] < np.inf:
            a, b = root_of(rounds.parent, c), root_of(rounds.parent, rounds.far[c])
            if a != b:
                rounds.parent[a] = b
                out_tails[count], out_heads[count] = rounds.near[c], rounds.far[c]
                count += 1
    return count


@nb.njit(cache=True)
def _grow(
    data: DistanceData,
    penalties: FloatArray,
    key: FloatArray,
    nearest: Int32Array,
    outside: BoolArray,
    city: int,
    count: int,
    steps: int,
    out: tuple[Int32Array, Int32Array],
) -> int:
    """Do `steps` steps of Prim's algorithm from `city`, the last one taken in; return the next last one."""
    n = len(penalties)
    for _ in range(steps):
        best, following = np.inf, -1
        for j in range(n):
            if outside[j]:
                w = distance(data, city, j) + penalties[city] + penalties[j]
                if w < key[j]:
                    key[j], nearest[j] = w, city
                if key[j] < best:
                    best, following = key[j], j
        out[0][count], out[1][count] = nearest[following], following
        count += 1
        outside[following] = False
        city = following
    return city


@nb.njit(cache=True)
def lightest_at(data: DistanceData, penalties: FloatArray, city: int, but: int) -> tuple[int, float]:
    """Lightest edge of `city` over the complete graph but the one to `but`: its other end and its weight."""
    best, other = np.inf, -1
    for j in range(len(penalties)):
        if j != city and j != but:
            w = distance(data, city, j) + penalties[city] + penalties[j]
            if w < best:
                best, other = w, j
    return other, best


class CompleteGraph:
    """All pairs of cities.

    Parameters
    ----------
    data : DistanceData
        Symmetric distances of N >= 3 cities.

    Attributes
    ----------
    order : int32 [N]
        The caller's number of each city in the numbering of this class, which follows the k-d tree.
    data : DistanceData
        The distances in that numbering.
    """

    def __init__(self, data: DistanceData) -> None:
        n = len(data.matrix) if data.kind == 0 else len(data.coords)
        self.size = n
        self.order = np.arange(n, dtype=np.int32)
        self.data = data
        self._boxes: _Boxes | None = None
        if data.kind == 0:
            return
        points = _as_points(data)
        levels = max(0, math.ceil(math.log2(n / _LEAF_SIZE)))
        self.order = _kd_order(points, levels)
        self.data = DistanceData(data.kind, np.ascontiguousarray(data.coords[self.order]), data.matrix)
        points = np.ascontiguousarray(points[self.order])
        low, high = _kd_boxes(points, levels)
        factor, margin = _SCALE[data.kind]
        # the distances are rounded themselves: a relative 1e-12 keeps the boxes' lower bounds below them
        margin += 1e-12 * factor * float(np.abs(points).max())
        self._boxes = _Boxes(points, levels, low, high, factor * (1.0 - 1e-12), margin)

    def far_sides(self, neighbours: Int32Array) -> tuple[Int32Array, Int32Array]:
        """Find edges that lead out of clusters: to the nearest city of each quadrant that `neighbours` leave empty.

        Parameters
        ----------
        neighbours : int32 [N, K]

        Returns
        -------
        tails, heads : int32 [M]
            In space, octants take the place of quadrants; no edges for a distance matrix.
        """
        if self._boxes is None:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        tails, heads = _far_sides(self._boxes, neighbours)
        return tails, heads

    def spanning_tree(
        self,
        penalties: FloatArray,
        tails: Int32Array,
        heads: Int32Array,
        radius: FloatArray,
        deadline: float = math.inf,
    ) -> tuple[Int32Array, Int32Array] | None:
        """Compute a minimum spanning tree under ``distance + penalties[i] + penalties[j]``.

        Parameters
        ----------
        penalties : float [N]
        tails, heads : int32 [M]
            Minimum spanning forest of a sparse graph under the same penalties.
        radius : float [N]
            No pair that the sparse graph lacks is shorter than this at either end.
        deadline : float
            Value of `time.perf_counter` at which to give up.

        Returns
        -------
        tails, heads : int32 [N - 1]
            The edges; None when the time ran out.
        """
        out = np.empty(self.size - 1, np.int32), np.empty(self.size - 1, np.int32)
        if self._boxes is None:
            done = self._by_prim(penalties, out, deadline)
        else:
            done = self._by_boruvka(self._boxes, penalties, (tails, heads), radius, out, deadline)
        return out if done else None

    def _by_prim(self, penalties: FloatArray, out: tuple[Int32Array, Int32Array], deadline: float) -> bool:
        n = self.size
        key, nearest = np.full(n, np.inf), np.zeros(n, np.int32)
        outside = np.ones(n, np.bool_)
        outside[0] = False
        city, count, block = 0, 0, max(1, _BLOCK // n)
        while count < n - 1:
            if time.perf_counter() > deadline:
                return False
            steps = min(block, n - 1 - count)
            city = _grow(self.data, penalties, key, nearest, outside, city, count, steps, out)
            count += steps
        return True

    def _by_boruvka(
        self,
        boxes: _Boxes,
        penalties: FloatArray,
        sparse: tuple[Int32Array, Int32Array],
        radius: FloatArray,
        out: tuple[Int32Array, Int32Array],
        deadline: float,
    ) -> bool:
        n = self.size
        rounds = _make_rounds(boxes, penalties, sparse, radius)
        count, edges = 0, len(sparse[0])
        while count < n - 1:
            edges = _start_round(self.data, boxes, penalties, rounds, edges)
            for begin in range(0, n, _QUERIES):
                if time.perf_counter() > deadline:
                    return False
                _ask(self.data, boxes, penalties, rounds, begin, min(n, begin + _QUERIES))
            count = _end_round(rounds, *out, count)
        return True


def _as_points(data: DistanceData) -> FloatArray:
    """Points whose Euclidean distances bound the distances from below (see `_SCALE`)."""
    coords = data.coords
    if data.kind == 5:
        flat = np.cos(coords[:, 0])
        return np.column_stack([flat * np.cos(coords[:, 1]), flat * np.sin(coords[:, 1]), np.sin(coords[:, 0])])
    return coords if coords[:, 2].any() else np.ascontiguousarray(coords[:, :2])


def _make_rounds(
    boxes: _Boxes, penalties: FloatArray, sparse: tuple[Int32Array, Int32Array], radius: FloatArray
) -> _Rounds:
    n, levels = len(penalties), boxes.levels
    starts = (n * np.arange(1 << levels)) >> levels
    rows = [np.minimum.reduceat(penalties, starts)]
    while len(rows[-1]) > 1:
        rows.append(rows[-1].reshape(-1, 2).min(axis=1))
    box_penalty = np.concatenate(rows[::-1])
    cities = np.arange(n, dtype=np.int32)
    return _Rounds(
        component=cities.copy(),
        parent=cities.copy(),
        tails=sparse[0].copy(),
        heads=sparse[1].copy(),
        light=np.empty(n),
        near=np.empty(n, np.int32),
        far=np.empty(n, np.int32),
        floor=radius + penalties + box_penalty[0],
        box_penalty=box_penalty,
        box_component=np.empty(len(box_penalty), np.int32),
    )
