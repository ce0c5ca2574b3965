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
from gnnlib.heads.combinatorial.kernels.ascent import Ascent, Proof, edge_lengths, safe_value
from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.penalised_tree import Int32Array
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["OneTreeBound", "one_tree_bound"]

_SETTLED = 40
"""Iterations after which the penalties are good enough for ranking edges."""

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
    points = numpy_generator(0).random((9, 3))
    apart = np.abs(points[:, None] - points[None]).sum(axis=2)
    near = apart.argsort(axis=1)[:, 1:8]
    for data in (DistanceData(1, points, np.zeros((1, 1))), DistanceData(0, np.zeros((1, 3)), apart)):
        for tour, seconds in ((None, 0.0), (None, math.inf), (np.arange(9), math.inf)):
            _bound(data, near, np.zeros(9), tour, math.inf, seconds, 2)


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
    ascent = Ascent(data, near, radius, tour, upper_bound, start + seconds, integral=integral)
    ascent.run(max_iterations)
    if ascent.proof is None:
        return _without_tree(data, near, radius, integral=integral)
    return _as_bound(ascent, ascent.proof)


def _without_tree(data: DistanceData, near: Int32Array, radius: FloatArray, *, integral: bool) -> OneTreeBound:
    n = len(near)
    halves = _two_shortest(data, near, radius)
    path = np.arange(n, dtype=np.int32)
    value = safe_value(math.fsum(halves), n, float(np.abs(halves).max()), integral=integral)
    closing = float(edge_lengths(data, path[:1], path[-1:])[0])
    tree = np.column_stack([path[:-1], path[1:]])
    return OneTreeBound(value, np.zeros(n), tree, 0, n - 1, closing, 0, converged=False)


def _as_bound(ascent: Ascent, proof: Proof) -> OneTreeBound:
    """Turn a proof into the caller's numbering."""
    order = ascent.complete.order
    penalties = np.empty(ascent.n)
    penalties[order] = proof.penalties
    return OneTreeBound(
        bound=safe_value(proof.value, ascent.n, proof.scale, integral=ascent.integral),
        penalties=penalties,
        tree=np.column_stack([order[proof.tails], order[proof.heads]]),
        leaf=int(order[proof.leaf]),
        partner=int(order[proof.partner]),
        second=proof.second,
        iterations=ascent.iterations,
        converged=ascent.iterations >= _SETTLED or ascent.is_closed(),
    )
