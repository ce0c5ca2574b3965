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
from gnnlib.heads.combinatorial.kernels.kd_boxes import Boxes, empty_orthants, make_boxes
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.penalised_tree import Int32Array, root_of

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["CompleteGraph", "lightest_at"]

_BLOCK = 1 << 24
"""Distances between two looks at the clock in Prim's algorithm."""

_QUERIES = 4096
"""Cities between two looks at the clock in Boruvka's algorithm."""


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


@leaf_njit
def _start_round(data: DistanceData, boxes: Boxes, penalties: FloatArray, rounds: _Rounds, edges: int) -> int:
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


@leaf_njit(inline="always")
def _box_weight(boxes: Boxes, rounds: _Rounds, i: int, t: int) -> float:
    """At least this much weighs an edge from city `i` into box `t`, apart from the penalty of `i`."""
    square = 0.0
    for k in range(boxes.points.shape[1]):
        x = boxes.points[i, k]
        off = max(boxes.low[t, k] - x, x - boxes.high[t, k], 0.0)
        square += off * off
    return boxes.factor * math.sqrt(square) - boxes.margin + rounds.box_penalty[t]


@nb.njit(cache=True)
def _ask(data: DistanceData, boxes: Boxes, penalties: FloatArray, rounds: _Rounds, begin: int, end: int) -> None:
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


@leaf_njit
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


@leaf_njit
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


@leaf_njit
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
        self._boxes: Boxes | None = None
        if data.kind == 0:
            return
        self.order, self._boxes = make_boxes(data)
        self.data = DistanceData(data.kind, np.ascontiguousarray(data.coords[self.order]), data.matrix)

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
        tails, heads = empty_orthants(self._boxes, neighbours)
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
        boxes: Boxes,
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


def _make_rounds(
    boxes: Boxes, penalties: FloatArray, sparse: tuple[Int32Array, Int32Array], radius: FloatArray
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
