"""The Held-Karp lower bound on the length of a tour: minimum 1-trees under city penalties.

A 1-tree is a spanning tree and one more edge at one of its leaves. Every tour is one, and penalties p_i at the cities
change the length of every tour by the same amount 2 sum(p), so for any p

    w(p) = min over 1-trees T of sum over edges (i, j) of T of (d(i, j) + p_i + p_j) - 2 sum(p)

is a lower bound (M. Held & R. Karp 1970, equations 1 to 4). The ascent changes p in the direction of the degrees less
two, with the step lengths of T. Volgenant & R. Jonker 1982 (equation 7) and the directions smoothed as by K. Helsgaun
2000, section 4.1.

**What makes it quick and still valid.** The ascent looks at a sparse graph. The value reported does not: for the best
penalties the tree is computed over the complete graph, densely where O(N^2) is affordable, else by this relaxation. A
pair (i, j) that is not in the sparse graph has d(i, j) >= max(r_i, r_j) >= (r_i + r_j) / 2, where r_i is the distance to
the last listed nearest neighbour of i. Its penalised weight is therefore at least a_i + a_j with a_i = r_i / 2 + p_i.
Under weights a_i + a_j the minimum spanning tree of the complete graph is a star around the city with the smallest a
(exchange any other edge (i, j) for (i, centre)). So the minimum spanning tree of the sparse graph and that star, N - 1
edges, weighs no more than the minimum spanning tree of the complete graph.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.kernels.spanning import boruvka, dense_prim, second_edge, second_edge_exact
from gnnlib.heads.combinatorial.kernels.starts import pair_lengths

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.distance import DistanceData
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["OneTreeBound", "one_tree_bound"]

_DENSE_S = 4e-9
"""Seconds a pair of cities that dense Prim takes."""

_DENSE_UP_TO = 3000
"""Up to this size the dense tree is always affordable."""


_RELAXATION = 2.0
"""Relaxation of the steps at the start of an ascent; it falls to 0 with the power 1.5 of the iterations left."""

_ROUNDS = 6
"""At most so many times the edges of the dense tree that the sparse graph lacks are added to it."""


@dataclass(frozen=True)
class OneTreeBound:
    """A lower bound and the 1-tree that proves it.

    Parameters
    ----------
    bound : float
        No tour is shorter; rounding errors are allowed for.
    penalties : float [N]
        Of the cities.
    tree : int32 [N - 1, 2]
        Edges of a spanning tree that is minimum under the penalties among the edges looked at.
    leaf : int
        City with one more edge.
    second : float
        Penalised weight of that edge.
    iterations : int
        Trees computed during the ascent.
    converged : bool
        Whether the ascent ran to its end rather than out of time.
    """

    bound: float
    penalties: FloatArray
    tree: Int32Array
    leaf: int
    second: float
    iterations: int
    converged: bool


@nb.njit(cache=True)
def _ascend(
    tails: Int32Array,
    heads: Int32Array,
    lengths: FloatArray,
    penalties: FloatArray,
    direction: FloatArray,
    best_penalties: FloatArray,
    best: float,
    relaxation: float,
    target: float,
    begin: int,
    end: int,
    total: int,
) -> float:
    """Do iterations `begin` to `end` of `total`; return the best value on the sparse graph."""
    n = len(penalties)
    weights = np.empty(len(tails))
    degree = np.empty(n, np.int64)
    for iteration in range(begin, end):
        for e in range(len(tails)):
            weights[e] = lengths[e] + penalties[tails[e]] + penalties[heads[e]]
        tree = boruvka(tails, heads, weights, n)
        degree[:] = 0
        value = 0.0
        for e in tree:
            value += weights[e]
            degree[tails[e]] += 1
            degree[heads[e]] += 1
        _, extra = second_edge(tails, heads, weights, tree, degree)
        if extra >= 0:
            value += weights[extra]
            degree[tails[extra]] += 1
            degree[heads[extra]] += 1
        value -= 2.0 * penalties.sum()
        if value > best:
            best = value
            best_penalties[:] = penalties
        norm = 0.0
        for i in range(n):
            norm += (degree[i] - 2.0) ** 2
        step = relaxation * (1.0 - iteration / total) ** 1.5 * max(target - value, 0.0) / max(norm, 1.0)
        exact = True
        for i in range(n):
            slope = degree[i] - 2.0
            if slope != 0.0:
                exact = False
            direction[i] = 0.7 * slope + 0.3 * direction[i] if iteration > 0 else slope
            penalties[i] += step * direction[i]
        if exact:  # the 1-tree is a tour: nothing is left to gain
            return best
    return best


def _sparse_edges(neighbours: Int32Array, tour: Int32Array) -> tuple[Int32Array, Int32Array]:
    """Each pair of neighbours once, and the edges of a tour, which make the graph connected."""
    n = len(neighbours)
    tails = np.repeat(np.arange(n, dtype=np.int64), neighbours.shape[1])
    heads = neighbours.ravel().astype(np.int64)
    tails = np.concatenate([tails, tour.astype(np.int64)])
    heads = np.concatenate([heads, np.roll(tour, -1).astype(np.int64)])
    code = np.unique(np.minimum(tails, heads) * n + np.maximum(tails, heads))
    return (code // n).astype(np.int32), (code % n).astype(np.int32)


def one_tree_bound(
    data: DistanceData,
    neighbours: Int32Array,
    radius: FloatArray,
    *,
    tour: Int32Array,
    seconds: float = math.inf,
    max_iterations: int | None = None,
) -> OneTreeBound:
    """Compute the Held-Karp bound by sub-gradient ascent.

    Parameters
    ----------
    data : DistanceData
        Symmetric distances; negative entries are allowed.
    neighbours : int32 [N, K]
        Edges that the ascent looks at; N >= 4.
    radius : float [N]
        No city that is neither listed in row i nor lists i itself is nearer to i than this.
    tour : int32 [N]
        A good tour: its length sets the steps, and its edges join the sparse graph.
    seconds : float
        Wall-clock limit; the value is proved within it.
    max_iterations : int >= 3, optional
        Length of a full ascent; default 500 to 4,000, more for small N.

    Returns
    -------
    OneTreeBound
        With a valid bound, however little time there was.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.kernels.distance import DistanceData
    >>> box = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    >>> near = np.array([[1, 3, 2], [0, 2, 3], [1, 3, 0], [2, 0, 1]], np.int32)
    >>> data = DistanceData(1, box, np.zeros((1, 1)))
    >>> round(one_tree_bound(data, near, np.full(4, 2**0.5), tour=np.arange(4, dtype=np.int32)).bound, 6)
    4.0
    """
    ascent = _Ascent(data, neighbours, tour, seconds)
    best = _certify(ascent, radius)
    n = len(neighbours)
    budget = int(min(4000, max(500, 3_000_000 / n))) if max_iterations is None else max_iterations
    for number in range(_ROUNDS):
        done = ascent.run(max(3, budget // 4 if ascent.dense and number < _ROUNDS - 1 else budget))
        budget -= done
        proved = _certify(ascent, radius)
        if proved.bound > best.bound:
            best = proved
        missed = ascent.best - proved.bound
        if not ascent.dense or budget < 3 or ascent.is_late or missed <= 1e-6 * abs(ascent.best):
            break
        if not ascent.add_edges(proved.tree):
            break
    finished = budget < 3 or not ascent.is_late
    return dataclasses.replace(best, iterations=ascent.iterations, converged=finished or ascent.iterations >= 100)


class _Ascent:
    """The sparse graph and the state of the penalties."""

    def __init__(self, data: DistanceData, neighbours: Int32Array, tour: Int32Array, seconds: float) -> None:
        self.data = data
        self.started = time.perf_counter()
        self.n = n = len(neighbours)
        self.tails, self.heads = _sparse_edges(neighbours, tour)
        self.lengths = pair_lengths(data, self.tails, self.heads)
        self.dense = n <= _DENSE_UP_TO or _DENSE_S * n * n < 0.2 * seconds
        reserve = (2.0 * _DENSE_S * n * n if self.dense else 0.0) + 2e-7 * len(self.tails)
        self.deadline = self.started + seconds - reserve
        self.penalties = np.zeros(n)
        self.best_penalties = np.zeros(n)
        self.direction = np.zeros(n)
        self.best = -math.inf
        self.iterations = 0
        self.per_iteration = 1e-7 * len(self.tails)
        self.target = float(tour_length(data, tour))

    @property
    def is_late(self) -> bool:
        """Whether there is no time for another iteration."""
        return time.perf_counter() + self.per_iteration > self.deadline

    def _iterate(self, step: float, begin: int, end: int, total: int) -> None:
        before = time.perf_counter()
        self.best = float(
            _ascend(
                self.tails,
                self.heads,
                self.lengths,
                self.penalties,
                self.direction,
                self.best_penalties,
                self.best,
                step,
                self.target,
                begin,
                end,
                total,
            )
        )
        self.per_iteration = (time.perf_counter() - before) / (end - begin)

    def run(self, iterations: int) -> int:
        """Ascend from the best penalties for so many iterations, or as many as there is time for."""
        self.best = -math.inf  # the graph may have got new edges
        self.penalties[:] = self.best_penalties
        # the first tree sets the scale of the steps and shows how many iterations there is time for
        self._iterate(0.0, 0, 1, 10)
        left = self.deadline - time.perf_counter()
        total = iterations
        if math.isfinite(left):
            total = int(max(3, min(iterations, left / max(self.per_iteration, 1e-6))))
        done = 0
        while done < total and not self.is_late:
            until = min(total, done + max(1, int(0.02 / max(self.per_iteration, 1e-6))))
            self._iterate(_RELAXATION, done, until, total)
            done = until
        self.iterations += done
        return max(done, 1)

    def add_edges(self, tree: Int32Array) -> bool:
        """Let the sparse graph learn the edges of a tree of the complete graph; return whether any was new."""
        before = len(self.tails)
        known = self.tails.astype(np.int64) * self.n + self.heads
        offered = tree.min(axis=1).astype(np.int64) * self.n + tree.max(axis=1)
        code = np.union1d(known, offered)
        self.tails, self.heads = (code // self.n).astype(np.int32), (code % self.n).astype(np.int32)
        self.lengths = pair_lengths(self.data, self.tails, self.heads)
        return len(self.tails) > before


def _certify(ascent: _Ascent, radius: FloatArray) -> OneTreeBound:
    """Prove the value of the best penalties over the complete graph."""
    penalties = ascent.best_penalties.copy()
    if ascent.dense:
        tree, weights = _dense_tree(ascent.data, penalties)
    else:
        tree, weights = _relaxed_tree(ascent, penalties, radius)
    leaf, second = _best_leaf(ascent.data, penalties, tree)
    # sums of many terms: take off what rounding can have added
    slack = 1e-13 * (float(np.abs(weights).sum()) + 2.0 * float(np.abs(penalties).sum()))
    value = float(weights.sum()) + second - 2.0 * float(penalties.sum()) - slack
    return OneTreeBound(value, penalties, tree, leaf, second, 0, converged=False)


def _dense_tree(data: DistanceData, penalties: FloatArray) -> tuple[Int32Array, FloatArray]:
    """Minimum spanning tree of the complete graph: edges and penalised weights."""
    father, weights = dense_prim(data, penalties)
    children = np.arange(1, len(penalties), dtype=np.int32)
    return np.column_stack([children, father[1:]]).astype(np.int32), weights[1:]


def _relaxed_tree(ascent: _Ascent, penalties: FloatArray, radius: FloatArray) -> tuple[Int32Array, FloatArray]:
    """Minimum spanning tree of the sparse graph and the star of the pairs left out (see the module's text)."""
    n = len(penalties)
    tails, heads = ascent.tails, ascent.heads
    weights = ascent.lengths + penalties[tails] + penalties[heads]
    chosen = boruvka(tails, heads, weights, n)
    least = 0.5 * radius + penalties
    centre = int(np.argmin(least))
    others = np.flatnonzero(np.arange(n) != centre).astype(np.int32)
    all_tails = np.concatenate([tails[chosen], others])
    all_heads = np.concatenate([heads[chosen], np.full(n - 1, centre, np.int32)])
    all_weights = np.concatenate([weights[chosen], least[others] + least[centre]])
    joint = boruvka(all_tails, all_heads, all_weights, n)
    return np.column_stack([all_tails[joint], all_heads[joint]]).astype(np.int32), all_weights[joint]


def _best_leaf(data: DistanceData, penalties: FloatArray, tree: Int32Array) -> tuple[int, float]:
    """Leaf with the heaviest second edge among a sample of the leaves, that edge found over the complete graph."""
    n = len(penalties)
    degree = np.bincount(tree.ravel(), minlength=n)
    leaves = np.flatnonzero(degree == 1)
    beside = np.empty(n, np.int64)
    beside[tree[:, 0]] = tree[:, 1]
    only = degree[tree[:, 1]] == 1
    beside[tree[only, 1]] = tree[only, 0]
    most = max(1, min(len(leaves), 2_000_000 // n))
    spread = leaves[np.linspace(0, len(leaves) - 1, most).astype(np.int64)]
    second, leaf = max((second_edge_exact(data, penalties, int(v), int(beside[v]))[1], int(v)) for v in spread)
    return leaf, float(second)
