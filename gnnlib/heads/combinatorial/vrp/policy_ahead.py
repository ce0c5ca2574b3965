"""What the rest of a construction will cost, estimated by classical means: what the policy is told of the future.

Tours have two estimates. The first is the Lagrangian bound of the path that is left (M. Held and R. M. Karp 1970, *The
travelling-salesman problem and minimum spanning trees*, section 3): who stands at `head` and must visit the places that
are left before going to place 0 needs a spanning tree of these places, one edge to it from `head` and one from place 0;
penalties of the places push their degrees towards 2. The second is the way that farthest insertion makes. Capacities
and time windows have two completions by savings, the open route among the routes that are joined: in the order of the
savings alone, and in an order in which the network has a say.

These are estimates for the policy to read; none is part of an answer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.vrp.policy_completions import rest_by_insertion, rest_by_savings, rest_in_time

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.policy_kernel import Walk, Ways
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "NUM_AHEAD",
    "ascend",
    "describe_ahead",
    "estimate_rest",
    "path_bound",
]

NUM_AHEAD = 8
"""Features of an action that tell of the future."""

BOUND, SAVINGS, WINDOWS = 1.0, 2.0, 3.0
"""Ways to look ahead: by the bound (tours), by savings (capacities), by savings that keep the windows."""

_LOOKS, _LOOKS_ON_TOUR = 12, 6
"""Actions that are looked at more closely, those with the shortest ways; all of them at the depot of vehicles."""

_AT_STEP = (20, 0.01, 0.001)
_AT_LOOK = (16, 0.01, 0.001)
"""Steps of the ascent after every action, and for every action that is looked at; see `ascend`."""

_LARGE = 200
"""From so many clients on there are fewer looks and steps of the ascent."""

_FAR = 1e30
_SMOOTHING = 0.4
"""Weight of the previous direction of the ascent in the next one."""


@nb.njit(cache=True)
def path_bound(
    dist: FloatArray, penalties: FloatArray, left: IntArray, count: int, head: int, degree: IntArray
) -> float:
    """Bound the cheapest way from `head` through the places that are left to place 0.

    Parameters
    ----------
    dist : float array [M, M]
    penalties : float array [M]
    left : int array [M]
        The first `count` are the places that are left; neither 0 nor `head` is among them.
    count : int >= 0
    head : int
        0 at the beginning of a tour.
    degree : int array [M]
        Receives the degrees of the places that are left.
    """
    if count == 0:
        return float(dist[head, 0])
    key, joins = np.full(count, _FAR), np.zeros(count, np.int64)
    out, into, second, opens, closes, after = _FAR, _FAR, _FAR, 0, 0, 0
    total = 0.0
    for i in range(count):
        place = left[i]
        degree[place] = 0
        total -= 2.0 * penalties[place]
        d = dist[head, place] + penalties[place]
        if d < out:
            out, opens = d, place
        d = dist[place, 0] + penalties[place]
        if d < into:
            second, after = into, closes
            into, closes = d, place
        elif d < second:
            second, after = d, place
    if head == 0 and count > 1:  # two different edges at the place where the tour begins and ends
        closes, into = (after, second) if opens == closes else (closes, into)
    degree[opens] += 1
    degree[closes] += 1
    total += out + into
    now, key[0] = 0, -_FAR
    for _ in range(count - 1):
        here, best, following = left[now], _FAR, -1
        for i in range(count):
            if key[i] > -_FAR:
                d = dist[here, left[i]] + penalties[here] + penalties[left[i]]
                if d < key[i]:
                    key[i], joins[i] = d, now
                if key[i] < best:
                    best, following = key[i], i
        total += best
        degree[left[following]] += 1
        degree[left[joins[following]]] += 1
        now, key[following] = following, -_FAR
    return total


@nb.njit(cache=True)
def ascend(
    dist: FloatArray,
    penalties: FloatArray,
    left: IntArray,
    count: int,
    head: int,
    schedule: tuple[int, float, float],
) -> float:
    """Raise `path_bound` by sub-gradient steps; return the best value and leave its penalties in place.

    `schedule`: number of steps, and the first and last step as shares of the bound over the squared excess of degrees.
    """
    rounds, first, last = schedule
    degree, direction = np.zeros(len(penalties), np.int64), np.zeros(len(penalties))
    best, kept, trial = -_FAR, penalties.copy(), penalties.copy()
    pace = (last / first) ** (1.0 / max(rounds - 1, 1))
    share = first
    for number in range(rounds + 1):
        value = path_bound(dist, trial, left, count, head, degree)
        if value > best:
            best = value
            kept[:] = trial
        square = 0.0
        for i in range(count):
            square += (degree[left[i]] - 2.0) ** 2
        if square == 0.0 or number == rounds:
            break
        size = share * abs(value) / square
        share *= pace
        for i in range(count):
            place = left[i]
            direction[place] = _SMOOTHING * direction[place] + (1.0 - _SMOOTHING) * (degree[place] - 2.0)
            trial[place] += size * direction[place]
    penalties[:] = kept
    return best


@nb.njit(cache=True)
def _list_left(visited: BoolArray, left: IntArray) -> int:
    count = 0
    for place in range(1, len(visited)):
        if not visited[place]:
            left[count] = place
            count += 1
    return count


@nb.njit(cache=True)
def estimate_rest(ways: Ways, walk: Walk) -> tuple[float, float]:
    """Return both estimates of the cost to come; for tours, improve the penalties of the walk too."""
    here, joined = walk.whole[0], np.empty((len(walk.visited), 2), np.int64)
    if ways.settings[3] == SAVINGS:
        plain = rest_by_savings(ways.dist, ways.load, ways.pairs, walk.visited, here, walk.real[0], joined)
        return plain, rest_by_savings(ways.dist, ways.load, ways.guided, walk.visited, here, walk.real[0], joined)
    if ways.settings[3] == BOUND:
        left = np.empty(len(walk.visited), np.int64)
        count = _list_left(walk.visited, left)
        rounds = _AT_STEP[0] if count < _LARGE else 2
        bound = ascend(ways.dist, walk.penalties, left, count, here, (rounds, _AT_STEP[1], _AT_STEP[2]))
        return bound, rest_by_insertion(ways.dist, left, count, here)
    load, ready = walk.real[0], walk.real[1]
    plain = rest_in_time(ways, ways.pairs, walk.visited, here, load, ready, joined)
    return plain, rest_in_time(ways, ways.guided, walk.visited, here, load, ready, joined)


@nb.njit(cache=True)
def _open_pairs(pairs: IntArray, walk: Walk) -> IntArray:
    """Return the pairs [P, 2] that can still be joined: of clients who are left and the end of the open route."""
    kept, count = np.empty_like(pairs), 0
    for number in range(len(pairs)):
        a, b = pairs[number, 0], pairs[number, 1]
        if (walk.visited[a] and a != walk.whole[0]) or (walk.visited[b] and b != walk.whole[0]):
            continue
        kept[count, 0], kept[count, 1] = a, b
        count += 1
    return kept[:count]


@nb.njit(cache=True)
def _estimate_action(
    ways: Ways, walk: Walk, action: int, left: IntArray, count: int, pairs: tuple[IntArray, IntArray]
) -> tuple[float, float]:
    """Return both estimates of the cost of an action and of what comes after it."""
    mode, here, added = ways.settings[3], walk.whole[0], ways.dist[walk.whole[0], action]
    used, ready = ways.load[action], ways.opening[0]
    if action != 0:
        used += walk.real[0]
        ready = max(walk.real[1] + ways.dur[here, action], ways.opening[action]) + ways.service[action]
    walk.visited[action] = True
    joined = np.empty((len(walk.visited), 2), np.int64)
    if mode == SAVINGS:
        first = rest_by_savings(ways.dist, ways.load, pairs[0], walk.visited, action, used, joined)
        second = rest_by_savings(ways.dist, ways.load, pairs[1], walk.visited, action, used, joined)
    elif mode == WINDOWS:
        first = rest_in_time(ways, pairs[0], walk.visited, action, used, ready, joined)
        second = rest_in_time(ways, pairs[1], walk.visited, action, used, ready, joined)
    else:
        others = 0
        rest_left = np.empty(count, np.int64)
        for i in range(count):
            if left[i] != action:
                rest_left[others] = left[i]
                others += 1
        penalties = walk.penalties.copy()
        rounds = _AT_LOOK[0] if others < _LARGE else 0
        first = ascend(ways.dist, penalties, rest_left, others, action, (rounds, _AT_LOOK[1], _AT_LOOK[2]))
        second = rest_by_insertion(ways.dist, rest_left, others, action)
    walk.visited[action] = action == 0
    return added + first, added + second


@nb.njit(cache=True)
def describe_ahead(ways: Ways, walk: Walk, actions: IntArray, count: int, features: FloatArray, first: int) -> None:
    """Write eight features of each of `count` actions, from column `first` on.

    They are: whether the action was looked at; for tours, how far the degree of the place is from 2 in the tree of the
    bound; and, for both estimates, by how much the one after the action exceeds the best one, on two scales, and its
    rank.
    """
    features[:count, first : first + NUM_AHEAD] = 0.0
    mode = ways.settings[3]
    if count < 2:
        return
    here = walk.whole[0]
    left, degree = np.empty(len(walk.visited), np.int64), np.zeros(len(walk.visited), np.int64)
    num_left = _list_left(walk.visited, left)
    if mode == BOUND:
        path_bound(ways.dist, walk.penalties, left, num_left, here, degree)
    lengths = np.empty(count)
    for row in range(count):
        lengths[row] = ways.dist[here, actions[row]] + walk.penalties[actions[row]]
        if actions[row] == 0:
            lengths[row] = -_FAR
    order = np.argsort(lengths)
    if mode == BOUND:
        looks = min(count, _LOOKS_ON_TOUR)
    else:
        looks = min(count, _LARGE if here == 0 else _LOOKS if num_left < _LARGE else _LOOKS // 3)
    found = np.full((2, count), _FAR)
    pairs = _open_pairs(ways.pairs, walk), _open_pairs(ways.guided, walk)
    for i in range(looks):
        row = order[i]
        found[0, row], found[1, row] = _estimate_action(ways, walk, actions[row], left, num_left, pairs)
    for row in range(count):
        features[row, first] = 1.0 if found[0, row] < _FAR else 0.0
        if mode == BOUND and actions[row] != 0:
            features[row, first + 1] = 0.5 * (degree[actions[row]] - 2.0)
    for kind in range(2):
        _describe_excess(found[kind], count, features, first + 2 + 3 * kind)


@nb.njit(cache=True)
def _describe_excess(found: FloatArray, count: int, features: FloatArray, first: int) -> None:
    """Write three features of estimates [count]; what was not looked at counts as worse than the worst."""
    least, most = found[:count].min(), 0.0
    for row in range(count):
        if found[row] < _FAR:
            most = max(most, found[row] - least)
    for row in range(count):
        excess = found[row] - least if found[row] < _FAR else most + 1.0
        rank = 0
        for other in range(count):
            rank += found[other] < found[row]
        features[row, first] = math.log1p(10.0 * excess) / 3.0
        features[row, first + 1] = math.tanh(excess)
        features[row, first + 2] = 1.0 / (1.0 + rank)
