"""Monte-Carlo tree search over the alternating chains of Lin-Kernighan exchanges, compiled.

A node is a chain: edges removed and added in turn, starting with an edge at the base city. An action adds a candidate
edge at the loose end and removes one of the two tour edges behind it. A walk goes down by

    Q(child) + c P(child) sqrt(N) / (1 + n(child))

(PUCT, C. Rosin 2011; D. Silver et al. 2017) to a chain that was not looked at yet, lists how it can go on, and hands
the best partial gain back up: Q is the largest partial gain found below a child, and before its first visit its own.
P is the prior of the added edge. The search of a city ends at the first chain that closes to a shorter tour, when all
chains have been tried, or after a number of walks (compare Z.-H. Fu, K.-B. Qiu & H. Zha 2021, *Generalize a small
pre-trained model to arbitrarily large TSP instances*, who sample chains without a tree).

Without exploration (c = 0) this is Lin-Kernighan's own search: Q never falls below what made a child the best, so that
it is followed until all chains below it have been tried, which is depth-first search in the order of the partial gains.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.exchange import (
    CUT,
    FORWARD,
    FROM,
    GAIN,
    KEY,
    LISTED,
    MAX_BREADTH,
    OPTION,
    TO,
    TOTAL,
    Candidates,
    apply_exchange,
    list_options,
    make_work,
)
from gnnlib.heads.combinatorial.kernels.iterate import BestTour, KickSettings, kick, settle
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.state import Int32Array, LocalSearchState, commit, pop

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["ChainTree", "drain_by_tree", "iterate_tree", "make_tree_work"]


class ChainTree(NamedTuple):
    """How to search the chains.

    Attributes
    ----------
    weights : float [N, K]
        Prior of each candidate edge, > 0; P is its share among the ways to go on.
    exploration : float
        c, in units of length.
    walks : int
        Chains looked at for each city at most.
    """

    weights: FloatArray
    exploration: float
    walks: int


# Columns of the nodes. Node 0 is the base city, nodes 1 and 2 remove one of its tour edges.
_PARENT = 0
_FIRST = 1  # first child
_COUNT = 2  # number of children; -1 before the first visit
_LIVE = 3  # children in which chains are left to try; before the first visit 1
_VISITS = 4
_CODE = 5  # 2 * column of the candidate + side

_BEST = 0  # Q
_SUM = 1  # partial gain
_PRIOR = 2  # P


@nb.njit(cache=True)
def make_tree_work(walks: int) -> tuple[Int32Array, FloatArray]:
    """Allocate the nodes of a tree of so many walks."""
    size = 3 + walks * MAX_BREADTH
    return np.empty((size, 6), np.int32), np.empty((size, 3))


@leaf_njit(inline="always")
def _add_node(nodes: Int32Array, values: FloatArray, node: int, parent: int, key: float, total: float) -> None:
    nodes[node, _PARENT] = parent
    nodes[node, _COUNT] = -1
    nodes[node, _LIVE] = 1
    nodes[node, _VISITS] = 0
    values[node, _BEST] = key
    values[node, _SUM] = total


@leaf_njit
def _plant(data: DistanceData, state: LocalSearchState, nodes: Int32Array, values: FloatArray, base: int) -> None:
    """Start a tree: its root and the removals of the two tour edges at the base city."""
    tour, p, n = state.tour, state.pos[base], len(state.tour)
    _add_node(nodes, values, 0, -1, 0.0, 0.0)
    nodes[0, _FIRST], nodes[0, _COUNT], nodes[0, _LIVE] = 1, 2, 2
    for direction in range(2):
        q = (p + 1 if p + 1 < n else 0) if direction == 0 else (p - 1 if p > 0 else n - 1)
        _add_node(nodes, values, 1 + direction, 0, 0.0, distance(data, base, tour[q]))
        nodes[1 + direction, _CODE] = direction
        values[1 + direction, _PRIOR] = 0.5


@leaf_njit(inline="always")
def _choose(nodes: Int32Array, values: FloatArray, node: int, exploration: float) -> int:
    """Return the child with the highest score; of equal ones the first."""
    bonus = exploration * math.sqrt(nodes[node, _VISITS])
    chosen, best = -1, -np.inf
    first = nodes[node, _FIRST]
    for child in range(first, first + nodes[node, _COUNT]):
        if nodes[child, _LIVE] > 0:
            score = values[child, _BEST] + bonus * values[child, _PRIOR] / (1 + nodes[child, _VISITS])
            if score > best:
                chosen, best = child, score
    return chosen


@leaf_njit(inline="always")
def _step(
    cities: Int32Array, state: LocalSearchState, ints: IntArray, floats: FloatArray, level: int, code: int, total: float
) -> None:
    """Write the edge that an action removes into row `level` of the work space."""
    tour, n = state.tour, len(state.tour)
    city = ints[0, FROM] if level == 0 else cities[ints[level - 1, TO], code >> 1]
    side = code & 1
    at = state.pos[city]
    far = (at + 1 if at + 1 < n else 0) if side == 0 else (at - 1 if at > 0 else n - 1)
    ints[level, FROM] = city
    ints[level, TO] = tour[far]
    ints[level, CUT] = at if side == 0 else far
    ints[level, FORWARD] = 1 - side
    floats[level, GAIN] = total


@leaf_njit
def _grow(
    nodes: Int32Array, values: FloatArray, used: int, node: int, ints: IntArray, floats: FloatArray, level: int
) -> int:
    """Give a node the listed ways to go on as children, hand its news up; return the number of nodes."""
    count = ints[level, LISTED]
    nodes[node, _FIRST] = used
    nodes[node, _COUNT] = count
    nodes[node, _LIVE] = count
    best = -np.inf
    for i in range(count):
        _add_node(nodes, values, used + i, node, floats[level, KEY + i], floats[level, TOTAL + i])
        nodes[used + i, _CODE] = ints[level, OPTION + i]
        best = max(best, floats[level, KEY + i])
    above = node
    is_closed = count == 0
    while above >= 0:
        nodes[above, _VISITS] += 1
        values[above, _BEST] = max(values[above, _BEST], best)
        if is_closed:
            if above != node:
                nodes[above, _LIVE] -= 1
            is_closed = nodes[above, _LIVE] == 0
        above = nodes[above, _PARENT]
    return used + count


@leaf_njit
def _search_city(
    data: DistanceData,
    candidates: Candidates,
    tree: ChainTree,
    state: LocalSearchState,
    work: tuple[IntArray, FloatArray],
    tree_work: tuple[Int32Array, FloatArray],
    base: int,
    breadth: IntArray,
    tolerance: float,
) -> float:
    """Look for an improving exchange that removes an edge at `base`; apply the first found and return its gain."""
    cities = candidates.cities
    ints, floats = work
    nodes, values = tree_work
    _plant(data, state, nodes, values, base)
    ints[0, FROM] = base
    used = 3
    for _ in range(tree.walks):
        if nodes[0, _LIVE] == 0:
            break
        node = 0
        level = 0
        while nodes[node, _COUNT] >= 0:
            node = _choose(nodes, values, node, tree.exploration)
            _step(cities, state, ints, floats, level, nodes[node, _CODE], values[node, _SUM])
            level += 1
        keep = breadth[level - 1] if level <= len(breadth) else 0
        gained = list_options(
            data,
            cities,
            candidates.lengths,
            candidates.penalties,
            state.tour,
            state.pos,
            ints,
            floats,
            level,
            keep,
            tolerance,
        )
        if gained > 0.0:
            apply_exchange(state, ints, level + 1)
            return gained
        end = ints[level - 1, TO]
        before, used = used, _grow(nodes, values, used, node, ints, floats, level)
        total = 0.0
        for child in range(before, used):
            values[child, _PRIOR] = tree.weights[end, nodes[child, _CODE] >> 1]
            total += values[child, _PRIOR]
        for child in range(before, used):
            values[child, _PRIOR] /= total
    return 0.0


@leaf_njit
def drain_by_tree(
    data: DistanceData,
    candidates: Candidates,
    tree: ChainTree,
    state: LocalSearchState,
    work: tuple[IntArray, FloatArray],
    tree_work: tuple[Int32Array, FloatArray],
    breadth: IntArray,
    tolerance: float,
    max_cities: int,
) -> float:
    """Search the trees of up to `max_cities` queued cities; return the total gain, logged but not committed.

    Parameters
    ----------
    breadth : int [D]
        Ways to go on that a chain keeps at each level; exchanges have up to D + 1 edges.
    tolerance : float
        Gains up to this are taken for rounding errors.
    """
    total = 0.0
    for _ in range(max_cities):
        if state.queue_ends[1] == 0:
            break
        city = pop(state)
        while True:
            gain = _search_city(data, candidates, tree, state, work, tree_work, city, breadth, tolerance)
            if gain == 0.0:
                break
            total += gain
    return total


@nb.njit(cache=True)
def iterate_tree(
    data: DistanceData,
    candidates: Candidates,
    tree: ChainTree,
    state: LocalSearchState,
    best: BestTour,
    settings: KickSettings,
    breadth: IntArray,
    tolerance: float,
    kicks: int,
) -> float:
    """Do as `iterate_kicks`, with trees to mend the tour; return by how much the best tour shrank (>= 0)."""
    n = len(state.tour)
    work = make_work()
    tree_work = make_tree_work(tree.walks)
    cuts = np.empty(4, np.int64)
    shrunk = 0.0
    commit(state)
    for _ in range(kicks):
        grown = kick(data, candidates.cities, state, settings, cuts)
        grown -= drain_by_tree(data, candidates, tree, state, work, tree_work, breadth, tolerance, 64 * n)
        shrunk += settle(state, best, grown, settings.temperature, tolerance)
    return shrunk
