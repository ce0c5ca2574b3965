"""Edge assembly crossover, compiled: one generation of a population of tours.

Y. Nagata & S. Kobayashi (2013), sections 2 and 3.3: every tour meets the next one of a random order and is replaced by
the best of its children, where "best" weighs what a child gains in length against what the population loses in
diversity, measured by the entropy of the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.eax_block import add_cycle, map_cycles, unmap_cycles
from gnnlib.heads.combinatorial.kernels.eax_child import make_child, relink, undo_child
from gnnlib.heads.combinatorial.kernels.eax_cycles import CrossWork, find_cycles, write_tour
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.state import Int32Array, random_below

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.distance import DistanceData
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "BLOCKS",
    "DIVERSE",
    "GREEDY",
    "LONG_BLOCKS",
    "UNITED",
    "EdgeCounts",
    "Population",
    "count_edges",
    "cross_pairs",
    "make_edge_counts",
]

_ROW = 16
"""Different edges remembered a city, to cities of higher number; a population rarely has more than eight."""


DIVERSE = 0
"""The child that gains most for the diversity it costs (the paper's rule)."""

GREEDY = 1
"""The shortest child."""

UNITED = 2
"""The shortest child, where one more child takes every cycle over that shortens the tour alone."""

BLOCKS = 3
"""As `DIVERSE`, but every cycle is given others that join the subtours it leaves; see `eax_block`."""

LONG_BLOCKS = 4
"""The same with longer cycles too."""

_SHORT_CYCLE = 100
"""Cities of the longest cycle in a block: of 200 tours of 2,000 cities, longer ones took 19 of 20 seconds."""

_LONGEST_CYCLE = 1000
"""The same for `LONG_BLOCKS`."""

_LONGEST_BLOCK = 10
"""Cycles in a block at most."""


class EdgeCounts(NamedTuple):
    """How many tours of the population have each edge.

    Attributes
    ----------
    cities : int32 [N, 16]
        The other end of the edges that lead to a city of higher number.
    counts : int32 [N, 16]
        How many tours have the edge; 0 marks a free place. An edge that finds no place counts as new.
    entropy : float [P + 2]
        ``f log f`` with f = c / P, for c = 0 .. P + 1.
    """

    cities: Int32Array
    counts: Int32Array
    entropy: FloatArray


class Population(NamedTuple):
    """The tours.

    Attributes
    ----------
    links : int32 [P, N, 2]
        Neighbours of each city.
    lengths : float [P]
    """

    links: Int32Array
    lengths: FloatArray


def make_edge_counts(n: int, size: int) -> EdgeCounts:
    """Allocate the counts of a population of `size` tours."""
    share = np.arange(size + 2) / size
    share[0] = 1.0  # 0 log 0 = 0
    entropy = share * np.log(share)
    return EdgeCounts(np.zeros((n, _ROW), np.int32), np.zeros((n, _ROW), np.int32), entropy)


@leaf_njit(inline="always")
def _count(edges: EdgeCounts, i: int, j: int) -> int:
    for slot in range(_ROW):
        if edges.cities[i, slot] == j and edges.counts[i, slot] > 0:
            return edges.counts[i, slot]
    return 0


@leaf_njit(inline="always")
def _add(edges: EdgeCounts, i: int, j: int) -> None:
    free = -1
    for slot in range(_ROW):
        if edges.counts[i, slot] == 0:
            if free < 0:
                free = slot
        elif edges.cities[i, slot] == j:
            edges.counts[i, slot] += 1
            return
    if free >= 0:
        edges.cities[i, free] = j
        edges.counts[i, free] = 1


@leaf_njit(inline="always")
def _remove(edges: EdgeCounts, i: int, j: int) -> None:
    for slot in range(_ROW):
        if edges.cities[i, slot] == j and edges.counts[i, slot] > 0:
            edges.counts[i, slot] -= 1
            return


@nb.njit(cache=True)
def count_edges(links: Int32Array, edges: EdgeCounts) -> None:
    """Count the edges of all tours [P, N, 2]."""
    edges.counts[:] = 0
    for t in range(links.shape[0]):
        for v in range(links.shape[1]):
            for side in range(2):
                if v < links[t, v, side]:
                    _add(edges, v, links[t, v, side])


@leaf_njit
def _entropy_change(edges: EdgeCounts, log: Int32Array, entries: int) -> float:
    """By how much the entropy of the edges grows when the child takes its parent's place."""
    change = 0.0
    entropy = edges.entropy
    for e in range(entries):
        city, lost, won = log[e, 0], log[e, 1], log[e, 2]
        if city < lost:
            count = _count(edges, city, lost)
            change += entropy[count] - entropy[max(count - 1, 0)]
        if city < won:
            count = _count(edges, city, won)
            change += entropy[count] - entropy[count + 1]
    return change


@leaf_njit
def _replace_parent(parent: Int32Array, edges: EdgeCounts, log: Int32Array, entries: int) -> None:
    for e in range(entries):
        city, lost, won = log[e, 0], log[e, 1], log[e, 2]
        relink(parent, city, lost, won)
        if city < won:
            _add(edges, city, won)
        if city < lost:
            _remove(edges, city, lost)


@leaf_njit(inline="always")
def _keep_log(work: CrossWork, entries: int) -> None:
    for e in range(entries):
        work.best[e, 0] = work.log[e, 0]
        work.best[e, 1] = work.log[e, 1]
        work.best[e, 2] = work.log[e, 2]


@leaf_njit
def _best_block(
    data: DistanceData,
    near: Int32Array,
    parent: Int32Array,
    edges: EdgeCounts,
    work: CrossWork,
    order: Int32Array,
    used: int,
    how: tuple[int, int, int, float],
) -> tuple[float, int]:
    """Do as `_best_child`, with children of each cycle alone and of the blocks that grow from it."""
    _, reach, mode, tolerance = how
    longest = _LONGEST_CYCLE if mode == LONG_BLOCKS else _SHORT_CYCLE
    best_value, best_gain, best_entries = 0.0, 0.0, 0
    for place in range(used):
        work.chosen[0] = order[place]
        for number in range(1, _LONGEST_BLOCK + 1):
            if number > 1 and not add_cycle(data, work, number - 1, reach, longest):
                break
            gain, entries = make_child(data, near, parent, work, number, reach, tolerance)
            undo_child(parent, work.log, entries)
            if gain <= tolerance:
                continue
            value = gain / max(-_entropy_change(edges, work.log, entries), 1e-9)
            if value > best_value:
                best_value, best_gain, best_entries = value, gain, entries
                _keep_log(work, entries)
    return best_gain, best_entries


@leaf_njit
def _best_child(
    data: DistanceData,
    near: Int32Array,
    parent: Int32Array,
    edges: EdgeCounts,
    work: CrossWork,
    order: Int32Array,
    used: int,
    how: tuple[int, int, int, float],
) -> tuple[float, int]:
    """Make a child of each of the first `used` cycles in `order`; the changes of the best stand in ``work.best``: its gain, its entries."""
    _, reach, mode, tolerance = how
    if mode >= BLOCKS:
        return _best_block(data, near, parent, edges, work, order, used, how)
    best_value, best_gain, best_entries = 0.0, 0.0, 0
    good = 0
    for place in range(used):
        work.chosen[0] = order[place]
        needed = max(tolerance, best_gain) if mode == GREEDY else tolerance
        gain, entries = make_child(data, near, parent, work, 1, reach, needed)
        undo_child(parent, work.log, entries)
        if gain <= tolerance:
            continue
        order[good], order[place] = order[place], order[good]
        good += 1
        value = gain
        if mode == DIVERSE:
            value /= max(-_entropy_change(edges, work.log, entries), 1e-9)
        if value > best_value:
            best_value, best_gain, best_entries = value, gain, entries
            _keep_log(work, entries)
    if mode == UNITED and good > 1:
        for place in range(good):
            work.chosen[place] = order[place]
        gain, entries = make_child(data, near, parent, work, good, reach, max(tolerance, best_gain))
        undo_child(parent, work.log, entries)
        if gain > best_gain:
            best_gain, best_entries = gain, entries
            _keep_log(work, entries)
    return best_gain, best_entries


@nb.njit(cache=True)
def cross_pairs(
    data: DistanceData,
    near: Int32Array,
    population: Population,
    edges: EdgeCounts,
    work: CrossWork,
    pairs: IntArray,
    how: tuple[int, int, int, float],
    rng: npt.NDArray[np.uint64],
) -> int:
    """Let each first tour of `pairs` [M, 2] take the edges of the second over that serve it best.

    Parameters
    ----------
    near : int32 [N, K]
        Neighbours over which subtours are joined.
    pairs : int [M, 2]
        Numbers of tours; the first is replaced.
    how : tuple
        Children compared, reach of `make_child`, the mode (`DIVERSE`, `GREEDY`, `UNITED`, `BLOCKS` or `LONG_BLOCKS`),
        and the least gain.
    rng : uint64 [1]

    Returns
    -------
    int
        Number of children made.
    """
    children = how[0]
    order = np.empty(len(near) + 1, np.int32)
    made = 0
    for pair in range(len(pairs)):
        a = pairs[pair, 0]
        parent = population.links[a]
        count = find_cycles(parent, population.links[pairs[pair, 1]], work, rng)
        if count == 0:
            continue
        for c in range(count):
            order[c] = c
        used = min(count, children)
        for c in range(used):
            other = c + random_below(rng, count - c)
            order[c], order[other] = order[other], order[c]
        write_tour(parent, work.tour, work.pos)
        if how[2] >= BLOCKS:
            map_cycles(work, count)
        gain, entries = _best_child(data, near, parent, edges, work, order, used, how)
        if how[2] >= BLOCKS:
            unmap_cycles(work, count)
        made += used
        if entries > 0:
            _replace_parent(parent, edges, work.best, entries)
            population.lengths[a] -= gain
    return made
