"""The Held-Karp lower bound on the length of a tour: minimum 1-trees under city penalties.

Every tour is a 1-tree (a spanning tree and one more edge), and penalties p change the length of every tour by the same
amount 2 sum(p). So for any p

    w(p) = min over 1-trees T of sum over edges (i, j) of T of (d(i, j) + p_i + p_j) - 2 sum(p)

is a lower bound, and so is its maximum over p, which the degrees of T less two lead towards (M. Held & R. Karp 1970,
equations 1 to 5; 1971, section 2). Three things make the maximum cheap here and the value reported a proof:

- *Sparse trees.* The ascent looks at each city's few nearest neighbours (`minimum_one_tree`). From time to time the
  minimum spanning tree of the complete graph is computed for the best penalties (`CompleteGraph`); the edges that were
  missing join the sparse graph. Only values over the complete graph are ever reported.
- *Steps on every scale.* The direction is preconditioned by the single linkage of the cities (`precondition`), so the
  penalties of a cluster move together and as far as the cluster is from the rest.
- *Polyak's steps.* With g the sub-gradient, P the preconditioner, U the length of a known tour and L the first value,
  step k of the part t of the way is (1 - t)^1.5 / 2 (V - w) / (g' P g), V = U + 0.3 (U - L) (B. Polyak 1969; the target
  lies above U because the last steps would otherwise be too short to correct a cluster that has gone astray).
  A sparse value above U proves that edges are missing, and leads to a look at the complete graph at once.
"""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.complete_tree import CompleteGraph, lightest_at
from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.linkage import Linkage, linkage_tour_length, make_linkage, precondition
from gnnlib.heads.combinatorial.kernels.penalised_tree import (
    Int32Array,
    SparseGraph,
    TreeWork,
    make_work,
    minimum_one_tree,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["OneTreeBound", "one_tree_bound"]

_NEAREST = 6
"""Neighbours a city in the sparse graph; what it lacks is found by the looks at the complete graph."""

_SETTLED = 40
"""Iterations after which the penalties are good enough for ranking edges."""

_SMOOTHING = 0.4
"""Weight of the previous direction in the next one."""

_SET_UP_S_PER_CITY = 3e-6
"""Seconds a city up to the first proved 1-tree; with less time than that, the two-neighbour bound must do."""


@dataclass(frozen=True, eq=False)
class OneTreeBound:
    """A lower bound and the 1-tree that proves it.

    Parameters
    ----------
    bound : float
        No tour is shorter. Allowance is made for rounding errors; if all distances are integers, so is the bound.
    penalties : float [N]
        Of the cities.
    tree : int32 [N - 1, 2]
        Minimum spanning tree of the complete graph under the penalties.
    leaf, partner : int
        Ends of the edge that makes the tree a 1-tree; `leaf` is a leaf of the tree.
    second : float
        Penalised weight of that edge.
    iterations : int
        1-trees computed during the ascent.
    converged : bool
        Whether there was time for enough iterations that alpha-nearness can rely on the penalties.
    """

    bound: float
    penalties: FloatArray
    tree: Int32Array
    leaf: int
    partner: int
    second: float
    iterations: int
    converged: bool

    @property
    def degrees(self) -> IntArray:
        """Degree of each city in the 1-tree, int64 [N]; all 2 if it is a tour, which is then optimal."""
        ends = np.append(self.tree.ravel(), [self.leaf, self.partner])
        return np.bincount(ends, minlength=len(self.penalties))


@nb.njit(cache=True)
def _ascend(
    graph: SparseGraph,
    linkage: Linkage,
    work: TreeWork,
    penalties: FloatArray,
    direction: FloatArray,
    best_penalties: FloatArray,
    limits: tuple[float, float, float],
    schedule: tuple[float, float, int],
) -> tuple[float, int, bool]:
    """Do some iterations; return the best value on the sparse graph, how many were done, whether to look closer.

    `limits` are the best value so far, the target and the length of a tour; `schedule` the part of the way done, the
    part an iteration takes and the number of iterations.
    """
    n = len(penalties)
    best, target, ceiling = limits
    part, pace, count = schedule
    moved = np.empty(len(linkage.parent))
    for iteration in range(count):
        value = minimum_one_tree(graph, penalties, work)
        if value > best:
            best = value
            best_penalties[:] = penalties
        square = precondition(linkage, work.excess, moved)
        if value > ceiling or square <= 0.0:  # edges are missing, or the 1-tree is a tour
            return best, iteration + 1, True
        left = max(0.0, 1.0 - part - iteration * pace)
        step = 0.5 * left**1.5 * max(target - value, 0.0) / square
        for i in range(n):
            direction[i] = _SMOOTHING * direction[i] + (1.0 - _SMOOTHING) * moved[i]
            penalties[i] += step * direction[i]
    return best, count, False


@nb.njit(cache=True)
def _row_lengths(data: DistanceData, neighbours: Int32Array) -> FloatArray:
    out = np.empty(neighbours.shape)
    for i in range(neighbours.shape[0]):
        for c in range(neighbours.shape[1]):
            out[i, c] = distance(data, i, neighbours[i, c])
    return out


@nb.njit(cache=True)
def _lengths(data: DistanceData, tails: Int32Array, heads: Int32Array) -> FloatArray:
    out = np.empty(len(tails))
    for e in range(len(tails)):
        out[e] = distance(data, tails[e], heads[e])
    return out


@nb.njit(cache=True)
def _two_shortest(data: DistanceData, neighbours: Int32Array, radius: FloatArray) -> FloatArray:
    """Half of what the two tour edges at each city cost at least."""
    out = np.empty(len(neighbours))
    for i in range(len(neighbours)):
        first, second = radius[i], radius[i]
        for c in range(neighbours.shape[1]):
            d = distance(data, i, neighbours[i, c])
            if d < first:
                first, second = d, first
            elif d < second:
                second = d
        out[i] = 0.5 * (first + second)
    return out


def one_tree_bound(
    data: DistanceData,
    neighbours: Int32Array | IntArray,
    radius: FloatArray,
    *,
    tour: Int32Array | IntArray | None = None,
    upper_bound: float = math.inf,
    seconds: float = math.inf,
    max_iterations: int = 300,
) -> OneTreeBound:
    """Compute the Held-Karp bound by preconditioned sub-gradient ascent.

    Parameters
    ----------
    data : DistanceData
        Symmetric distances of N >= 3 cities; entries of a matrix may be negative.
    neighbours : int array [N, K], K >= 1
        Near cities, nearest first; the six nearest make up the sparse graph.
    radius : float [N]
        No city that is not in row i is nearer to city i than this. A lower limit will do, down to minus infinity.
    tour : int array [N], optional
        A good tour: its edges join the sparse graph and its length sets the step lengths. Without it and
        `upper_bound`, a tour made from the linkage of the cities serves.
    upper_bound : float
        Length of a tour that is known.
    seconds : float
        Wall-clock limit, kept within about 20 ms and 2 %; compilation is not counted.
    max_iterations : int >= 1, default 300
        1-trees to compute; the steps become 0 at the end of whichever limit comes first. Without a time limit the
        result is the same bit for bit on one machine.

    Returns
    -------
    OneTreeBound
        Valid however little time there was. If there was none for a 1-tree, the bound is half the sum of the two
        shortest edges of the cities, the penalties are 0 and `tree` is a mere path.

    Raises
    ------
    InputError
        If there are fewer than three cities, the shapes do not fit, or a row lists its own city or none.

    Examples
    --------
    >>> box = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    >>> near = np.array([[1, 3, 2], [0, 2, 3], [1, 3, 0], [2, 0, 1]])
    >>> round(one_tree_bound(DistanceData(1, box, np.zeros((1, 1))), near, np.full(4, 2**0.5)).bound, 6)
    4.0
    """
    n = len(data.matrix) if data.kind == 0 else len(data.coords)
    if n < 3 or neighbours.shape[:1] != (n,) or neighbours.shape[1] < 1 or radius.shape != (n,):
        raise InputError(
            "`neighbours` must be [N, K] and `radius` [N] for the N >= 3 cities of `data`, "
            f"found {list(neighbours.shape)} and {list(radius.shape)} for N = {n}"
        )
    strays = (neighbours < 0) | (neighbours >= n) | (neighbours == np.arange(n)[:, None])
    if strays.any():
        row = int(strays.any(axis=1).argmax())
        raise InputError(
            f"`neighbours` must list other cities, 0 to {n - 1}, found {neighbours[row].tolist()} in row {row}"
        )
    if max_iterations < 1:
        raise InputError(f"`max_iterations` must be >= 1, found {max_iterations}")
    _compile()
    return _bound(data, neighbours, radius, tour, upper_bound, seconds, max_iterations)


@functools.cache
def _compile() -> None:
    """Compile the kernels, or load them from the cache, outside of anybody's time limit."""
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 2.0, 0.0], [1.0, 2.0, 0.0]])
    near = np.array([[1, 3], [0, 2], [1, 4], [4, 0], [3, 2]])
    matrix = np.abs(points[:, None] - points[None]).sum(axis=2)
    for data in (DistanceData(1, points, np.zeros((1, 1))), DistanceData(0, np.zeros((1, 3)), matrix)):
        for seconds in (0.0, math.inf):
            _bound(data, near, np.zeros(5), np.arange(5), math.inf, seconds, 2)


def _bound(
    data: DistanceData,
    neighbours: Int32Array | IntArray,
    radius: FloatArray,
    tour: Int32Array | IntArray | None,
    upper_bound: float,
    seconds: float,
    max_iterations: int,
) -> OneTreeBound:
    start = time.perf_counter()
    near = np.ascontiguousarray(neighbours, dtype=np.int32)
    radius = np.ascontiguousarray(radius, dtype=np.float64)
    integral = data.kind > 1 or (data.kind == 0 and bool((data.matrix == np.rint(data.matrix)).all()))
    if seconds < _SET_UP_S_PER_CITY * len(near):
        return _without_tree(data, near, radius, integral=integral)
    ascent = _Ascent(data, near, radius, tour, upper_bound, start + seconds, integral=integral)
    ascent.run(max_iterations)
    if ascent.proof is None:
        return _without_tree(data, near, radius, integral=integral)
    return ascent.result(ascent.proof)


def _proved(value: float, terms: int, scale: float, *, integral: bool) -> float:
    """Take off what rounding may have added: each of the terms is off by a few units in the last place at most."""
    safe = value - 8.0 * np.finfo(np.float64).eps * terms * scale
    return float(math.ceil(safe)) if integral else float(safe)


def _without_tree(data: DistanceData, near: Int32Array, radius: FloatArray, *, integral: bool) -> OneTreeBound:
    n = len(near)
    halves = _two_shortest(data, near, radius)
    path = np.arange(n, dtype=np.int32)
    value = _proved(math.fsum(halves), n, float(np.abs(halves).max()), integral=integral)
    closing = float(_lengths(data, path[:1], path[-1:])[0])
    tree = np.column_stack([path[:-1], path[1:]])
    return OneTreeBound(value, np.zeros(n), tree, 0, n - 1, closing, 0, converged=False)


@dataclass(frozen=True, eq=False)
class _Proof:
    """A minimum 1-tree of the complete graph, in the numbering of `CompleteGraph`."""

    value: float
    scale: float
    penalties: FloatArray
    tails: Int32Array
    heads: Int32Array
    leaf: int
    partner: int
    second: float
    is_tour: bool


def _distinct(codes: IntArray) -> IntArray:
    """Sort and drop repetitions (`numpy.unique` hashes, which takes ten times as long)."""
    codes = np.sort(codes)
    return codes[np.append(True, codes[1:] != codes[:-1])]


class _Ascent:
    """The sparse graph, the penalties and the best proof so far."""

    def __init__(
        self,
        data: DistanceData,
        near: Int32Array,
        radius: FloatArray,
        tour: Int32Array | IntArray | None,
        upper_bound: float,
        deadline: float,
        *,
        integral: bool,
    ) -> None:
        self.deadline, self.integral = deadline, integral
        self.complete = CompleteGraph(data)
        self.data, self.n = self.complete.data, self.complete.size
        order = self.complete.order
        rank = np.empty(self.n, np.int32)
        rank[order] = np.arange(self.n, dtype=np.int32)
        near = rank[near[order]]
        self.radius = radius[order]
        far = self.complete.far_sides(near)
        if data.kind != 0 and near.shape[1] > _NEAREST:
            lengths = _row_lengths(self.data, near)
            self.radius = np.minimum(self.radius, lengths[:, _NEAREST:].min(axis=1))
            near = near[:, :_NEAREST]
        tails = np.concatenate([np.repeat(np.arange(self.n, dtype=np.int32), near.shape[1]), far[0]])
        heads = np.concatenate([near.ravel(), far[1]])
        self.ceiling = upper_bound
        if tour is not None:
            route = rank[tour]
            onward = np.roll(route, -1)
            self.ceiling = min(upper_bound, math.fsum(_lengths(self.data, route, onward).tolist()))
            tails, heads = np.concatenate([tails, route]), np.concatenate([heads, onward])
        self.codes = _distinct(self._codes(tails, heads))
        tails, heads = (self.codes // self.n).astype(np.int32), (self.codes % self.n).astype(np.int32)
        self.graph = SparseGraph(tails, heads, _lengths(self.data, tails, heads))
        self.work = make_work(self.n, len(tails))
        self.proof: _Proof | None = None
        self.iterations = 0
        self.per_proof = 0.0
        self.per_iteration = 0.0

    def _codes(self, tails: Int32Array, heads: Int32Array) -> IntArray:
        return np.minimum(tails, heads).astype(np.int64) * self.n + np.maximum(tails, heads)

    def run(self, max_iterations: int) -> None:
        """Ascend until the iterations or the time are used up, or a tour is proved optimal."""
        penalties = np.zeros(self.n)
        self._prove(penalties)
        if self.proof is None:
            return
        linkage, target, lead = self._scales(self.proof)
        best_penalties, direction = penalties.copy(), np.zeros(self.n)
        begin, best, gap = time.perf_counter(), -math.inf, 0.03
        part, check = 0.0, gap
        while part < 1.0 and not self._is_closed():
            usable = max(self.deadline - begin - 1.3 * self.per_proof, 1e-9)
            pace = max(1.0 / max_iterations, self.per_iteration / usable)
            count = max(1, math.ceil((min(check, 1.0) - part) / pace - 1e-9))
            if math.isfinite(usable):
                count = max(1, min(count, int(0.05 / self.per_iteration)))
            before = time.perf_counter()
            limits, schedule = (best, target, self.ceiling), (part, pace, count)
            best, done, look = _ascend(
                self.graph, linkage, self.work, penalties, direction, best_penalties, limits, schedule
            )
            now = time.perf_counter()
            self.per_iteration = (now - before) / done
            self.iterations += done
            part = max(self.iterations / max_iterations, (now - begin) / usable)
            if not (look or part >= min(check, 1.0)):
                continue
            loss = self._prove(best_penalties, best)
            if loss is None:
                return
            target = max(target, self.proof.value + lead)
            if loss <= 0.02 * (target - self.proof.value):
                gap *= 2.0
            elif look or loss > 0.1 * (target - self.proof.value):
                penalties[:] = self.proof.penalties
                direction[:] = 0.0
            best = -math.inf
            check = part + max(gap, 2.0 * self.per_proof / usable)

    def _scales(self, proof: _Proof) -> tuple[Linkage, float, float]:
        """Return the linkage from the first proof, whose penalties are 0, the target of the steps and its least lead."""
        lengths = _lengths(self.data, proof.tails, proof.heads)
        by_length = np.argsort(lengths, kind="stable")
        tails, heads = proof.tails[by_length], proof.heads[by_length]
        # half the distance to the second neighbour, and a little everywhere for cities that coincide
        minimum_one_tree(self.graph, proof.penalties, self.work)
        least = np.maximum(self.work.second, 0.0)
        least[~np.isfinite(least)] = 0.0
        least = np.maximum(0.5 * least, 0.1 * float(least.mean()))
        if math.isfinite(self.ceiling):
            target, lead = self.ceiling + 0.3 * max(self.ceiling - proof.value, 0.0), 0.0
        else:  # the linkage's tour is worse than those that the target is meant for, so the target goes before the bound
            self.ceiling = float(linkage_tour_length(self.data, tails, heads))
            lead = 0.15 * float(np.maximum(lengths, 0.0).sum())
            target = min(self.ceiling, proof.value + 2.0 * lead)
        return make_linkage(tails, heads, lengths[by_length], least), target, lead

    def _is_closed(self) -> bool:
        """Whether the bound has met a tour."""
        proof = self.proof
        return proof is not None and (
            proof.is_tour or _proved(proof.value, self.n, proof.scale, integral=self.integral) >= self.ceiling
        )

    def _prove(self, penalties: FloatArray, claimed: float = math.inf) -> float | None:
        """Compute the 1-tree of the complete graph; return by how much the sparse graph claimed too much.

        Returns None when the time ran out.
        """
        begin = time.perf_counter()
        minimum_one_tree(self.graph, penalties, self.work)
        self.per_iteration = self.per_iteration or time.perf_counter() - begin
        chosen = self.work.tree[: self.work.size[0]]
        tails, heads = self.graph.tails[chosen], self.graph.heads[chosen]
        tree = self.complete.spanning_tree(penalties, tails, heads, self.radius, self.deadline)
        if tree is None:
            return None
        tails, heads = tree
        degrees = np.bincount(tails, minlength=self.n) + np.bincount(heads, minlength=self.n)
        leaf, partner, second = self._best_leaf(penalties, tails, heads, degrees)
        degrees[leaf] += 1
        degrees[partner] += 1
        extra = float(_lengths(self.data, np.array([leaf], np.int32), np.array([partner], np.int32))[0])
        lengths = _lengths(self.data, tails, heads)
        value = math.fsum([*lengths.tolist(), extra, *(penalties * (degrees - 2)).tolist()])
        scale = max(float(np.abs(lengths).max()), abs(extra)) + 2.0 * float(np.abs(penalties).max())
        if self.proof is None or value > self.proof.value:
            is_tour = bool((degrees == 2).all())
            self.proof = _Proof(value, scale, penalties.copy(), tails, heads, leaf, partner, second, is_tour)
        self._learn(np.append(tails, np.int32(leaf)), np.append(heads, np.int32(partner)))
        self.per_proof = max(self.per_proof, time.perf_counter() - begin)
        return claimed - value

    def _best_leaf(
        self, penalties: FloatArray, tails: Int32Array, heads: Int32Array, degrees: IntArray
    ) -> tuple[int, int, float]:
        """Among the leaves that look best on the sparse graph, the one with the heaviest second edge; exact."""
        beside = np.empty(self.n, np.int64)
        beside[tails] = heads
        from_head = degrees[heads] == 1
        beside[heads[from_head]] = tails[from_head]
        leaves = np.flatnonzero(degrees == 1)
        tried = min(8, len(leaves))
        promising = leaves[np.argpartition(-self.work.second[leaves], tried - 1)[:tried]]
        best = -1, -1, -math.inf
        for leaf in promising.tolist():
            partner, second = lightest_at(self.data, penalties, leaf, int(beside[leaf]))
            if second > best[2]:
                best = leaf, int(partner), float(second)
        return best

    def _learn(self, tails: Int32Array, heads: Int32Array) -> None:
        """Let the sparse graph have the edges that it lacks."""
        offered = self._codes(tails, heads)
        place = np.searchsorted(self.codes, offered)
        missing = self.codes[np.minimum(place, len(self.codes) - 1)] != offered
        if not missing.any():
            return
        codes = np.sort(offered[missing])
        place = np.searchsorted(self.codes, codes)
        self.codes = np.insert(self.codes, place, codes)
        tails, heads = (codes // self.n).astype(np.int32), (codes % self.n).astype(np.int32)
        new = tails, heads, _lengths(self.data, tails, heads)
        grown = [np.insert(np.asarray(old), place, more) for old, more in zip(self.graph, new, strict=True)]
        self.graph = SparseGraph(*grown)
        self.work = make_work(self.n, len(self.codes))

    def result(self, proof: _Proof) -> OneTreeBound:
        """Turn a proof into the caller's numbering."""
        order = self.complete.order
        penalties = np.empty(self.n)
        penalties[order] = proof.penalties
        return OneTreeBound(
            bound=_proved(proof.value, self.n, proof.scale, integral=self.integral),
            penalties=penalties,
            tree=np.column_stack([order[proof.tails], order[proof.heads]]),
            leaf=int(order[proof.leaf]),
            partner=int(order[proof.partner]),
            second=proof.second,
            iterations=self.iterations,
            converged=self.iterations >= _SETTLED or self._is_closed(),
        )
