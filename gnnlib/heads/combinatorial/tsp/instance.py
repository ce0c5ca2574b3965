"""What the search sees of a problem: symmetric distances, cities numbered along a curve, neighbour lists.

Problems that are not symmetric, or that prescribe edges, are turned into symmetric ones without prescriptions here; the
search and the bound know nothing of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from gnnlib.graphs.build import knn_neighbours, quadrant_neighbours
from gnnlib.heads.combinatorial.kernels.distance import DistanceData
from gnnlib.heads.combinatorial.kernels.starts import hilbert_order, pair_lengths

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.heads.combinatorial.tsp.problem import TSP
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["SearchInstance", "with_fixed_edges"]

_MATRIX_UP_TO = 3000
"""GEO distances need two cosines and an arc cosine each: up to this size they are computed once."""

_EXPLICIT = 0

_DUAL_ROUNDS = 200
"""Rounds of relaxation for the duals of the assignment; any potentials are valid, so that a few too few do no harm."""

_CITIES_PER_CYCLE = 6
"""An assignment whose cycles are longer than this on average says more of the best tours than the costs do."""


@dataclass(frozen=True)
class SearchInstance:
    """A symmetric problem in the numbering of the search.

    Parameters
    ----------
    problem : TSP
        The caller's problem.
    data : DistanceData
        Symmetric distances between the M cities of the search.
    cities : int64 [N]
        The caller's number of search city i (i < N).
    points : float [M, 3] or None
        Points whose Euclidean neighbours are the near cities; None when only the matrix tells.
    neighbours : int32 [M, K]
        True nearest neighbours, by distance.
    lengths : float [M, K]
        Their distances.
    radius : float [M]
        No city outside row i of `neighbours` is nearer to city i than this.
    offset : float
        What has to be added to a length of the search to get the length of the problem's tour.
    doubled : bool
        Whether the problem is asymmetric: city i + N is then the way out of city i, and i the way in
        (R. Jonker & T. Volgenant 1983, *Transforming asymmetric into symmetric traveling salesman problems*).
    """

    problem: TSP
    data: DistanceData
    cities: IntArray
    points: FloatArray | None
    neighbours: Int32Array
    lengths: FloatArray
    radius: FloatArray
    offset: float = 0.0
    doubled: bool = False

    @classmethod
    def build(cls, problem: TSP, num_neighbours: int) -> SearchInstance:
        """Prepare `problem` (at least 4 cities) with `num_neighbours` neighbours a city."""
        n = problem.num_cities
        if not problem.is_symmetric:
            matrix, offset = _doubled(problem)
            return cls._from_matrix(problem, matrix, np.arange(n), num_neighbours, offset, doubled=True)
        if problem.coords is None or problem.fixed_edges or (problem.metric == "GEO" and n <= _MATRIX_UP_TO):
            matrix, offset = with_fixed_edges(problem)
            return cls._from_matrix(problem, matrix, np.arange(n), num_neighbours, offset)
        whole = problem.distance_data()
        cities = hilbert_order(whole.coords)
        data = DistanceData(whole.kind, np.ascontiguousarray(whole.coords[cities]), whole.matrix)
        points = _on_sphere(data.coords) if problem.metric == "GEO" else data.coords
        near, apart = knn_neighbours(points, num_neighbours)
        neighbours = near.astype(np.int32)
        lengths = _lengths(data, neighbours)
        radius = _radius(problem.metric, lengths[:, -1], apart[:, -1])
        return cls(problem, data, cities, points, neighbours, lengths, radius)

    @classmethod
    def _from_matrix(
        cls,
        problem: TSP,
        matrix: FloatArray,
        cities: IntArray,
        num_neighbours: int,
        offset: float,
        *,
        doubled: bool = False,
    ) -> SearchInstance:
        neighbours, lengths = _nearest_in_rows(matrix, num_neighbours)
        data = DistanceData(_EXPLICIT, np.zeros((1, 3)), matrix)
        radius = lengths[:, -1].copy()
        return cls(problem, data, cities, None, neighbours, lengths, radius, offset, doubled)

    def lengths_of(self, lists: Int32Array) -> FloatArray:
        """Distances of the cities in `lists` [M, K] from their row's city."""
        return _lengths(self.data, lists)

    def spread(self, count: int) -> Int32Array:
        """Return `count` near cities a row, up to two of them from every quadrant, so that clusters stay joined."""
        if self.points is None or count < 4:
            return np.ascontiguousarray(self.neighbours[:, :count])
        flat = self.data.coords if self.problem.metric == "GEO" else self.points
        return quadrant_neighbours(flat[:, :2], min(2, count // 4), count).astype(np.int32)

    @property
    def size(self) -> int:
        """Number of cities of the search M."""
        return len(self.neighbours)

    def to_order(self, tour: Int32Array) -> IntArray:
        """Translate a tour of the search into the caller's cities."""
        if not self.doubled:
            return self.cities[tour]
        n = len(self.cities)
        start = int(np.flatnonzero(tour == 0)[0])
        turned = np.roll(tour, -start)
        # every way in stands beside its way out; read the tour so that the way in comes first
        if turned[1] != n:
            turned = np.roll(turned[::-1], 1)
        return turned[turned < n].astype(np.int64)

    def from_order(self, order: IntArray) -> Int32Array:
        """Translate the caller's tour into the numbering of the search."""
        n = len(self.cities)
        if self.doubled:
            return np.column_stack([order, order + n]).ravel().astype(np.int32)
        number = np.empty(n, np.int32)
        number[self.cities] = np.arange(n, dtype=np.int32)
        return number[order]


def _lengths(data: DistanceData, lists: Int32Array) -> FloatArray:
    tails = np.repeat(np.arange(len(lists), dtype=np.int32), lists.shape[1])
    return pair_lengths(data, tails, lists.ravel()).reshape(lists.shape)


def _radius(metric: str, farthest: FloatArray, apart: FloatArray) -> FloatArray:
    """Lower bound on the distance to any city that is not listed, from the farthest that is."""
    if metric == "MAX_2D":  # the larger coordinate difference is at least the Euclidean distance / sqrt(2)
        return np.floor(apart / math.sqrt(2.0))
    if metric == "MAN_2D":  # the sum of the coordinate differences is at least the Euclidean distance
        return np.floor(apart)
    if metric == "GEO":  # truncated arc cosines: leave room for rounding
        return np.maximum(farthest - 1.0, 0.0)
    return farthest.copy()


def _on_sphere(radians: FloatArray) -> FloatArray:
    latitude, longitude = radians[:, 0], radians[:, 1]
    flat = np.cos(latitude)
    return np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])


def _nearest_in_rows(matrix: FloatArray, k: int) -> tuple[Int32Array, FloatArray]:
    """Nearest columns of every row but itself, by distance then number."""
    n = len(matrix)
    k = min(k, n - 1)
    neighbours = np.empty((n, k), np.int32)
    lengths = np.empty((n, k))
    for i in range(n):
        row = matrix[i].copy()
        row[i] = np.inf
        bar = np.partition(row, k - 1)[k - 1]
        near = np.flatnonzero(row <= bar)
        near = near[np.argsort(row[near], kind="stable")][:k]
        neighbours[i] = near
        lengths[i] = row[near]
    return neighbours, lengths


def _nearest_neighbour_length(matrix: FloatArray) -> float:
    """Length of a nearest-neighbour tour: an upper bound on the optimum."""
    n = len(matrix)
    left = np.ones(n, bool)
    left[0] = False
    total, city = 0.0, 0
    for _ in range(n - 1):
        row = np.where(left, matrix[city], np.inf)
        following = int(np.argmin(row))
        total += float(row[following])
        left[following] = False
        city = following
    return total + float(matrix[city, 0])


def with_fixed_edges(problem: TSP) -> tuple[FloatArray, float]:
    """Distances in which every prescribed edge is so short that an optimal tour must use it, and the total reward."""
    matrix = problem.distance_matrix()
    reward = 1.0 + math.ceil(float(matrix.max(axis=1).sum()))  # more than any tour can cost
    for i, j in problem.fixed_edges:
        matrix[i, j] -= reward
        matrix[j, i] -= reward
    return matrix, reward * len(problem.fixed_edges)


def _doubled(problem: TSP) -> tuple[FloatArray, float]:
    """Symmetric distances over ways in (0..N-1) and ways out (N..2N-1) of the cities, and the offset."""
    costs, rewarded = with_fixed_edges(problem)
    n = len(costs)
    costs, assigned = _reduced(costs)
    rewarded += assigned
    # a tour that leaves out one passage through a city must cost more than a tour that is known
    bar = 1.0 + math.ceil(_nearest_neighbour_length(costs) - n * min(0.0, float(costs.min())))
    matrix = np.full((2 * n, 2 * n), bar)
    matrix[n:, :n] = costs  # out of row city, into column city
    matrix[:n, n:] = costs.T
    inside = np.arange(n)
    matrix[inside, inside + n] = -bar
    matrix[inside + n, inside] = -bar
    np.fill_diagonal(matrix, 0.0)
    return matrix, bar * n + rewarded


def _reduced(costs: FloatArray) -> tuple[FloatArray, float]:
    """Reduce directed costs by the duals of the assignment problem, which changes all tours by the same amount.

    Where costs are far from symmetric, the assignment is nearly a tour (E. Balas & P. Toth 1985, *Branch and bound
    methods*, section 2): the reduced costs are nearly 0 on the edges of good tours, which then lead the neighbour lists,
    and the 1-tree bound begins at the value of the assignment. Nearly symmetric costs have an assignment of many short
    cycles, whose duals mislead; they are left as they are.

    Returns
    -------
    reduced : float [N, N]
        ``costs - u[:, None] - v``.
    total : float
        Sum of u and v: the value of the assignment; 0 when the costs were left as they are.
    """
    n = len(costs)
    barred = costs.copy()
    np.fill_diagonal(barred, 1.0 + n * (np.abs(costs).max() + 1.0))
    _, column = linear_sum_assignment(barred)
    if n < _CITIES_PER_CYCLE * _num_cycles(column.tolist()):
        return costs, 0.0
    chosen = barred[np.arange(n), column]
    # v[j] <= v[column[i]] + costs[i, j] - chosen[i]: shortest paths over the edges of the residual graph
    v = np.zeros(n)
    for _ in range(_DUAL_ROUNDS):
        tighter = np.minimum(v, (barred + (v[column] - chosen)[:, None]).min(axis=0))
        if np.array_equal(tighter, v):
            break
        v = tighter
    u = chosen - v[column]
    return costs - u[:, None] - v, float(u.sum() + v.sum())


def _num_cycles(following: list[int]) -> int:
    """Count the cycles of a permutation."""
    seen = [False] * len(following)
    cycles = 0
    for city in range(len(following)):
        cycles += not seen[city]
        while not seen[city]:
            seen[city] = True
            city = following[city]
    return cycles
