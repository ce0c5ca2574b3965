"""Ways to complete a construction, compiled: by insertion, and by savings in a fixed order whenever they fit.

Savings are those of G. Clarke and J. Wright 1964; segments of routes are joined in time as in T. Vidal et al. 2013, *A
hybrid genetic algorithm with adaptive diversity management for a large class of vehicle routing problems with
time-windows*, section 4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.union_find import find_root

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.policy_kernel import Ways
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["joined_path", "rest_by_insertion", "rest_by_savings", "rest_in_time", "savings_pairs", "timed_pairs"]

_FAR = 1e30

_MOST = 20_000
"""Pairs that are kept, more or less."""


@nb.njit(cache=True)
def rest_by_insertion(dist: FloatArray, left: IntArray, count: int, head: int) -> float:
    """Cost of a way from `head` through who is left to place 0 by farthest insertion.

    Whoever is farthest from the way so far is put into it where that lengthens it least (D. J. Rosenkrantz et al. 1977,
    *An analysis of several heuristics for the traveling salesman problem*, section 3).

    Parameters
    ----------
    dist : float array [M, M]
    left : int array [M]
        The first `count` are the places that are left; neither 0 nor `head` is among them.
    count : int >= 0
    head : int
        0 at the beginning of a tour.
    """
    way, apart, waits = np.empty(count + 2, np.int64), np.empty(count), np.ones(count, np.bool_)
    way[0], way[1] = head, 0
    total = dist[head, 0]
    for i in range(count):
        apart[i] = min(dist[left[i], head], dist[left[i], 0])
    for stops in range(2, count + 2):
        chosen = -1
        for i in range(count):
            if waits[i] and (chosen < 0 or apart[i] > apart[chosen]):
                chosen = i
        place, best, at = left[chosen], _FAR, 1
        for slot in range(1, stops):
            added = dist[way[slot - 1], place] + dist[place, way[slot]] - dist[way[slot - 1], way[slot]]
            if added < best:
                best, at = added, slot
        for slot in range(stops, at, -1):
            way[slot] = way[slot - 1]
        way[at] = place
        total += best
        waits[chosen] = False
        for i in range(count):
            if waits[i]:
                apart[i] = min(apart[i], dist[left[i], place])
    return total


def savings_pairs(dist: FloatArray, bonus: FloatArray, *, most: int = _MOST) -> IntArray:
    """Return the pairs of clients [P, 2] that joining would shorten the routes, the best first.

    Where there are more than `most`, only pairs of near neighbours are kept.

    Parameters
    ----------
    dist : float array [M, M]
        Place 0 is the depot.
    bonus : float array [M, M]
        Added to what a pair saves, for the order alone.
    """
    clients = np.arange(1, len(dist))
    saved = dist[1:, :1] + dist[:1, 1:] - dist[1:, 1:]
    saved = 0.5 * (saved + saved.T)
    fits = np.triu(saved > 0.0, 1)
    if np.count_nonzero(fits) > most:
        fits &= _are_near(dist, most)
    rows, columns = np.nonzero(fits)
    worth = saved[rows, columns] + 0.5 * (bonus[1:, 1:] + bonus[1:, 1:].T)[rows, columns]
    order = np.argsort(-worth, kind="stable")
    return np.ascontiguousarray(np.stack([clients[rows[order]], clients[columns[order]]], axis=1))


def _are_near(dist: FloatArray, most: int) -> BoolArray:
    """Mark pairs of clients [N, N] of which one is among the nearest of the other, about `most` pairs."""
    apart = np.minimum(dist, dist.T)[1:, 1:]
    count = max(most // len(apart), 1)
    reach = np.partition(apart, min(count, len(apart) - 1), axis=1)[:, min(count, len(apart) - 1)]
    near = apart <= reach[:, None]
    marks: BoolArray = near | near.T
    return marks


@nb.njit(cache=True)
def rest_by_savings(
    dist: FloatArray, load: FloatArray, pairs: IntArray, visited: BoolArray, tail: int, used: float, joined: IntArray
) -> float:
    """Cost of serving who is left by routes that are joined in the order of `pairs`, where that saves.

    Parameters
    ----------
    dist : float array [M, M]
    load : float array [M]
        Shares of the capacity.
    pairs : int array [P, 2]
        See `savings_pairs`.
    visited : bool array [M]
    tail : int
        Where the open route ends, 0 without one; other routes may be joined to it there.
    used : float
        Load of the open route.
    joined : int array [M, 2]
        Receives whom each client is joined to, 0 for nobody.
    """
    places = len(load)
    joined[:] = 0
    ends, root, loads = np.zeros(places, np.int64), np.arange(places), load.copy()
    total = 0.0
    for place in range(1, places):
        if visited[place]:
            ends[place] = 2
        else:
            total += dist[0, place] + dist[place, 0]
    if tail != 0:
        ends[tail] = 1
        loads[tail] = used
        total += dist[tail, 0]
    for number in range(len(pairs)):
        a, b = pairs[number, 0], pairs[number, 1]
        if ends[a] > 1 or ends[b] > 1:
            continue
        one, two = find_root(root, a), find_root(root, b)
        if one == two or loads[one] + loads[two] > 1.0 + 1e-9:
            continue
        root[two] = one
        loads[one] += loads[two]
        joined[a, ends[a]], joined[b, ends[b]] = b, a
        ends[a] += 1
        ends[b] += 1
        total -= 0.5 * (dist[a, 0] + dist[0, a] + dist[b, 0] + dist[0, b] - dist[a, b] - dist[b, a])
    return total


def timed_pairs(
    dist: FloatArray, dur: FloatArray, times: tuple[FloatArray, FloatArray, FloatArray], bonus: FloatArray
) -> IntArray:
    """Return ordered pairs of clients [P, 2] that joining would shorten the routes and the windows allow, best first.

    Parameters
    ----------
    dist, dur : float array [M, M]
        Distance and travel time; place 0 is the depot.
    times : tuple of three float arrays [M]
        Opening, closing and service. Waiting that a pair forces is taken off what it saves, for the order.
    bonus : float array [M, M]
        Added to that, for the order alone.
    """
    opening, closing, service = times
    saved = dist[1:, :1] + dist[:1, 1:] - dist[1:, 1:]
    ride = service[1:, None] + dur[1:, 1:]
    earliest = np.maximum(opening[1:], opening[0] + dur[0, 1:])[:, None] + ride
    wait = np.maximum(opening[1:][None] - (closing[1:][:, None] + ride), 0.0)
    fits = (earliest <= closing[1:][None]) & (saved > 0.0)
    np.fill_diagonal(fits, val=False)
    if np.count_nonzero(fits) > _MOST:
        fits &= _are_near(dist, _MOST // 2)
    rows, columns = np.nonzero(fits)
    worth = (saved - np.where(np.isfinite(wait), wait, 0.0) + bonus[1:, 1:])[rows, columns]
    order = np.argsort(-worth, kind="stable")
    return np.ascontiguousarray(np.stack([rows[order] + 1, columns[order] + 1], axis=1))


@nb.njit(cache=True)
def rest_in_time(
    ways: Ways, pairs: IntArray, visited: BoolArray, tail: int, used: float, ready: float, joined: IntArray
) -> float:
    """Cost of serving who is left by routes that are joined in the order of `pairs`, where load and windows allow.

    Parameters
    ----------
    ways : Ways
    pairs : int array [P, 2]
        See `timed_pairs`.
    visited : bool array [M]
    tail : int
        Where the open route ends, 0 without one.
    used, ready : float
        Its load, and when its vehicle can leave `tail`.
    joined : int array [M, 2]
        Receives who comes before and after each client, 0 for nobody.
    """
    joined[:] = 0
    dist, dur, places = ways.dist, ways.dur, len(ways.load)
    has_next, has_before = np.zeros(places, np.bool_), np.zeros(places, np.bool_)
    root, last, loads = np.arange(places), np.arange(places), ways.load.copy()
    spent, early, late = ways.service.copy(), np.empty(places), ways.closing.copy()
    total = 0.0
    for place in range(1, places):
        early[place] = max(ways.opening[place], ways.opening[0] + dur[0, place])
        if visited[place]:
            has_next[place] = has_before[place] = True
        else:
            total += dist[0, place] + dist[place, 0]
    if tail != 0:
        has_next[tail] = False
        loads[tail] = used
        spent[tail], early[tail], late[tail] = 0.0, ready, ready
        total += dist[tail, 0]
    for number in range(len(pairs)):
        a, b = pairs[number, 0], pairs[number, 1]
        if has_next[a] or has_before[b]:
            continue
        one, two = find_root(root, a), find_root(root, b)
        if one == two or loads[one] + loads[two] > 1.0 + 1e-9:
            continue
        delta = spent[one] + dur[a, b]
        if early[one] + delta > late[two] + 1e-9:
            continue
        wait = max(early[two] - delta - late[one], 0.0)
        begin, length = max(early[two] - delta, early[one]) - wait, delta + spent[two] + wait
        if begin + length + dur[last[two], 0] > ways.closing[0] + 1e-9:
            continue
        root[two] = one
        loads[one] += loads[two]
        spent[one], early[one], late[one] = length, begin, min(late[two] - delta, late[one])
        last[one] = last[two]
        has_next[a] = has_before[b] = True
        joined[a, 1], joined[b, 0] = b, a
        total -= dist[a, 0] + dist[0, b] - dist[a, b]
    return total


def joined_path(joined: IntArray, *, is_directed: bool) -> list[int]:
    """Return the actions of a walk along the routes that clients were joined to, each ended by 0.

    Parameters
    ----------
    joined : int array [M, 2]
        As `rest_by_savings` or, if `is_directed`, `rest_in_time` write it from the depot.
    is_directed : bool
    """
    path: list[int] = []
    seen = {0}
    for first in range(1, len(joined)):
        is_end = joined[first, 0 if is_directed else 1] == 0
        following = first if is_end and first not in seen else 0
        while following:
            path.append(following)
            seen.add(following)
            following = next((other for other in joined[following].tolist() if other not in seen), 0)
        if path and path[-1] != 0:
            path.append(0)
    return path
