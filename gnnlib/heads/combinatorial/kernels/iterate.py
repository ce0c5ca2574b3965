"""Iterated Lin-Kernighan, compiled: kick one place, mend it, keep the result or take it back.

The kick is a double bridge whose segments are short and neighbouring (the segment kicks of D. Applegate, W. Cook &
A. Rohe 2003, *Chained Lin-Kernighan for large traveling salesman problems*, section 3); only the cities at its ends are
searched again. A result that is a little longer may be kept, with the probability of a fixed temperature
(O. Martin, S. Otto & E. Felten 1992); the best tour is remembered then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.exchange import Candidates, drain, make_work
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.state import (
    Int32Array,
    LocalSearchState,
    commit,
    log_window,
    push,
    random_below,
    rollback,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["ANYWHERE", "BestTour", "KickSettings", "empty_queue", "iterate_kicks", "kick", "settle", "tour_length"]


_DRAWN = 10
"""Edges drawn to find a long one."""

ANYWHERE: Int32Array = np.empty(0, np.int32)
"""No list of places: a kick may fall anywhere."""


class BestTour(NamedTuple):
    """The best tour, kept apart while the search walks over longer ones.

    Attributes
    ----------
    tour : int32 [N]
        Valid when the temperature is positive; otherwise the state's tour is the best.
    excess : float [1]
        By how much the present tour is longer than the best.
    """

    tour: Int32Array
    excess: FloatArray


class KickSettings(NamedTuple):
    """How to kick and what to accept.

    Attributes
    ----------
    max_segment : int
        Longest segment of a double bridge along the tour, in cities.
    walk_share : float
        Share of the kicks whose four edges are near each other in space rather than along the tour.
    walk_steps : int
        Longest random walk over the candidates from one such edge to the next.
    long_share : float
        Share of the kicks whose four edges are long ones anywhere, which is what joins clusters.
    temperature : float
        A tour longer by d is kept with probability exp(-d / temperature); 0 never keeps a longer tour.
    homes : int32 [H]
        Cities where kicks fall, each as often as it is listed; when empty, anywhere.
    """

    max_segment: int
    walk_share: float
    walk_steps: int
    long_share: float
    temperature: float
    homes: Int32Array = ANYWHERE


@leaf_njit
def tour_length(data: DistanceData, tour: Int32Array) -> float:
    """Length of a closed tour."""
    total = distance(data, tour[-1], tour[0])
    for p in range(len(tour) - 1):
        total += distance(data, tour[p], tour[p + 1])
    return total


@leaf_njit
def _double_bridge(data: DistanceData, state: LocalSearchState, p: int, lb: int, lc: int, ld: int) -> float:
    """Reconnect A B C D as A D C B, where B begins behind position `p`; return by how much the tour grew."""
    tour = state.tour
    pos = state.pos
    n = len(tour)
    start = p + 1 if p + 1 < n else 0
    width = lb + lc + ld
    begin = log_window(state, start, width)
    log = state.log
    after = start + width
    if after >= n:
        after -= n
    a = tour[p]
    b0, b1 = log[begin], log[begin + lb - 1]
    c0, c1 = log[begin + lb], log[begin + lb + lc - 1]
    d0, d1 = log[begin + lb + lc], log[begin + width - 1]
    e = tour[after]
    removed = distance(data, a, b0) + distance(data, b1, c0) + distance(data, c1, d0) + distance(data, d1, e)
    added = distance(data, a, d0) + distance(data, d1, c0) + distance(data, c1, b0) + distance(data, b1, e)
    write = start
    for i in range(width):
        if i < ld:
            city = log[begin + lb + lc + i]
        elif i < ld + lc:
            city = log[begin + lb + i - ld]
        else:
            city = log[begin + i - ld - lc]
        tour[write] = city
        pos[city] = write
        write += 1
        if write == n:
            write = 0
    for city in (a, b0, b1, c0, c1, d0, d1, e):
        push(state, city)
    return added - removed


@leaf_njit(inline="always")
def _home(state: LocalSearchState, homes: Int32Array) -> int:
    """Draw the position of a kick."""
    if len(homes) > 0:
        return state.pos[homes[random_below(state.rng, len(homes))]]
    return random_below(state.rng, len(state.tour))


@leaf_njit
def _kick(data: DistanceData, state: LocalSearchState, settings: KickSettings) -> float:
    """Double bridge with three short segments that follow each other at some place of the tour."""
    n = len(state.tour)
    p = _home(state, settings.homes)
    longest = min(settings.max_segment, (n - 2) // 3)
    lb = 1 + random_below(state.rng, longest)
    lc = 1 + random_below(state.rng, longest)
    ld = 1 + random_below(state.rng, longest)
    return _double_bridge(data, state, p, lb, lc, ld)


@leaf_njit
def _find_walk_cuts(
    cities: Int32Array, state: LocalSearchState, settings: KickSettings, cuts: npt.NDArray[np.int64]
) -> bool:
    """Fill `cuts` with four sorted positions near each other in space, found by random walks from some city."""
    home = state.tour[_home(state, settings.homes)]
    found = 0
    for _ in range(12):
        city = home
        if found > 0:
            for _ in range(1 + random_below(state.rng, settings.walk_steps)):
                city = cities[city, random_below(state.rng, cities.shape[1])]
        found = _insert_cut(cuts, found, np.int64(state.pos[city]))
        if found == 4:
            return True
    return False


@leaf_njit
def _find_long_cuts(data: DistanceData, state: LocalSearchState, cuts: npt.NDArray[np.int64]) -> bool:
    """Fill `cuts` with four sorted positions of edges anywhere in the tour, each the longest of a few drawn."""
    tour = state.tour
    n = len(tour)
    found = 0
    for _ in range(8):
        at, longest = 0, -np.inf
        for _ in range(min(n, _DRAWN)):
            p = random_below(state.rng, n)
            length = distance(data, tour[p], tour[p + 1 if p + 1 < n else 0])
            if length > longest:
                at, longest = p, length
        found = _insert_cut(cuts, found, at)
        if found == 4:
            return True
    return False


@leaf_njit(inline="always")
def _insert_cut(cuts: npt.NDArray[np.int64], found: int, at: int) -> int:
    """Insert a position into the sorted ones unless it is there; return their number."""
    for i in range(found):
        if cuts[i] == at:
            return found
    slot = found
    while slot > 0 and cuts[slot - 1] > at:
        cuts[slot] = cuts[slot - 1]
        slot -= 1
    cuts[slot] = at
    return found + 1


@leaf_njit
def _kick_at(data: DistanceData, state: LocalSearchState, cuts: npt.NDArray[np.int64]) -> float:
    """Double bridge of four edges; all but the longest segment between them is rewritten."""
    n = len(state.tour)
    longest = 0
    first = 0
    for i in range(4):
        length = cuts[(i + 1) & 3] - cuts[i]
        if length < 0:
            length += n
        if length > longest:
            longest = length
            first = (i + 1) & 3
    lb = (cuts[(first + 1) & 3] - cuts[first]) % n
    lc = (cuts[(first + 2) & 3] - cuts[(first + 1) & 3]) % n
    ld = (cuts[(first + 3) & 3] - cuts[(first + 2) & 3]) % n
    return _double_bridge(data, state, cuts[first], lb, lc, ld)


@leaf_njit
def kick(
    data: DistanceData,
    cities: Int32Array,
    state: LocalSearchState,
    settings: KickSettings,
    cuts: npt.NDArray[np.int64],
) -> float:
    """Kick one place; return by how much the tour grew. `cuts` [4] is scratch space."""
    draw = random_below(state.rng, 1 << 20) / (1 << 20)
    if (draw < settings.walk_share and _find_walk_cuts(cities, state, settings, cuts)) or (
        draw > 1.0 - settings.long_share and _find_long_cuts(data, state, cuts)
    ):
        return _kick_at(data, state, cuts)
    return _kick(data, state, settings)


@leaf_njit
def settle(state: LocalSearchState, best: BestTour, grown: float, temperature: float, tolerance: float) -> float:
    """Keep the tour that a kick and its mending made, or take it back; return by how much the best tour shrank."""
    limit = 0.5 * tolerance
    if temperature > 0.0:
        limit -= temperature * math.log((random_below(state.rng, 1 << 30) + 1) / (1 << 30))
    if grown > limit or state.queue_ends[1] > 0:
        empty_queue(state)
        rollback(state)
        return 0.0
    commit(state)
    above = best.excess[0] + grown
    if above >= -tolerance:
        best.excess[0] = above
        return 0.0
    best.excess[0] = 0.0
    if temperature > 0.0:
        for p in range(len(state.tour)):
            best.tour[p] = state.tour[p]
    return -above


@nb.njit(cache=True)
def iterate_kicks(
    data: DistanceData,
    candidates: Candidates,
    state: LocalSearchState,
    best: BestTour,
    settings: KickSettings,
    breadth: IntArray,
    tolerance: float,
    kicks: int,
) -> float:
    """Kick, mend, keep or take back, `kicks` times; return by how much the best tour shrank (>= 0)."""
    n = len(state.tour)
    work = make_work()
    cuts = np.empty(4, np.int64)
    shrunk = 0.0
    commit(state)
    for _ in range(kicks):
        grown = kick(data, candidates.cities, state, settings, cuts)
        grown -= drain(data, candidates, state, work, breadth, tolerance, 64 * n)
        shrunk += settle(state, best, grown, settings.temperature, tolerance)
    return shrunk


@leaf_njit
def empty_queue(state: LocalSearchState) -> None:
    """Forget which cities wait."""
    n = len(state.queue)
    for i in range(state.queue_ends[1]):
        state.queued[state.queue[(state.queue_ends[0] + i) % n]] = 0
    state.queue_ends[1] = 0
