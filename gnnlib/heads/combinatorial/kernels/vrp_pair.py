"""Where a pickup and its delivery cost least in a route of a rich problem, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_place import BEFORE, CLIENT, KIND, RELOAD, SECOND
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BODIES,
    DEP,
    DISTANCE,
    LATE,
    LOADS,
    MAX_DISTANCE,
    OUT,
    OWN_TIMES,
    PER_DISTANCE,
    PLACE,
    PRIZE,
    PROFILE,
    ROUNDING,
    SERVICE,
    SLACK,
    TIMED,
    TOUT,
    hop_distance,
    hop_duration,
    next_opening,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import SUCC, as_index, draw_unit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]


__all__ = ["best_pair_place"]


@nb.njit(cache=True)
def best_pair_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: npt.NDArray[np.bool_],
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    blink: float,
    rng: npt.NDArray[np.uint64],
    route: int,
    kind: int,
    first: int,
    second: int,
    choice: IntArray,
    best: float,
) -> float:
    """Look at all positions of a pickup and its delivery in one route; loads and times are carried along."""
    bodies, rounding, own_times, timed = flags[BODIES], flags[ROUNDING], flags[OWN_TIMES], flags[TIMED]
    profile, per_distance = int(kinds[kind, PROFILE]), kinds[kind, PER_DISTANCE]
    prize = nodes[first, PRIZE] + nodes[second, PRIZE]
    if not (allowed[first, kind] and allowed[second, kind]):
        return best
    dimensions = caps.shape[1]
    room = np.empty(dimensions)
    for q in range(dimensions):
        room[q] = caps[kind, q] - amounts[first, dimensions + q] - routes[route, LOADS + q] + SLACK
    end = bodies + route + len(routes)
    before = as_index(bodies + route)
    direct = hop_distance(xy, far, rounding, profile, first, second)
    direct_time = hop_duration(long, profile, first, second) if own_times else direct
    carried = np.zeros(dimensions)
    while before != end:
        if before < bodies:
            for q in range(dimensions):
                carried[q] += amounts[before, dimensions + q]
        after = as_index(links[before, SUCC])
        a, b = links[before, PLACE], links[after, PLACE]
        there = hop_distance(xy, far, rounding, profile, a, first)
        away = hop_distance(xy, far, rounding, profile, first, b)
        there_time = hop_duration(long, profile, a, first) if own_times else there
        away_time = hop_duration(long, profile, first, b) if own_times else away
        departs = 0.0
        if timed:
            departs = next_opening(nodes, wins, first, nodes[before, DEP] + there_time) + nodes[first, SERVICE]
        fits = departs < np.inf
        for q in range(dimensions):
            fits = fits and carried[q] <= room[q]
        if fits:
            best = _second_place(
                links, nodes, routes, kinds, amounts, wins, xy, far, long, flags, blink, rng, route, kind,
                first, second, choice, best, before, there, away, away_time, departs, direct, direct_time,
                carried, room, prize, per_distance,
            )  # fmt: skip
        before = after
    return best


@nb.njit(cache=True)
def _second_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    blink: float,
    rng: npt.NDArray[np.uint64],
    route: int,
    kind: int,
    first: int,
    second: int,
    choice: IntArray,
    best: float,
    before: int,
    there: float,
    away: float,
    away_time: float,
    departs: float,
    direct: float,
    direct_time: float,
    carried: FloatArray,
    room: FloatArray,
    prize: float,
    per_distance: float,
) -> float:
    """Positions of the delivery for one position of the pickup."""
    rounding, own_times, timed = flags[ROUNDING], flags[OWN_TIMES], flags[TIMED]
    profile, end = int(kinds[kind, PROFILE]), flags[BODIES] + route + len(routes)
    dimensions = len(room)
    longest = kinds[kind, MAX_DISTANCE] - routes[route, DISTANCE] + SLACK
    base = there - nodes[before, OUT]
    node, step, step_time, clock = first, direct, direct_time, departs
    behind = as_index(links[before, SUCC])
    load = carried.copy()
    onward, onward_time = away, away_time
    while True:
        b = links[behind, PLACE]
        out = hop_distance(xy, far, rounding, profile, second, b)
        grown = base + step + out
        value = per_distance * grown - prize
        if value < best and grown <= longest:
            fits = True
            if timed:
                out_time = hop_duration(long, profile, second, b) if own_times else out
                leaves = next_opening(nodes, wins, second, clock + step_time) + nodes[second, SERVICE]
                fits = leaves < np.inf and leaves + out_time <= nodes[behind, LATE] + SLACK
            if fits and draw_unit(rng) >= blink:
                best = value
                choice[BEFORE], choice[KIND], choice[RELOAD], choice[CLIENT] = before, kind, -1, first
                choice[SECOND] = -1 if node == first else node
        if behind == end:
            return best
        # go on: the pickup stays before `behind`, which is passed
        arrives = clock + onward_time
        if timed and arrives > nodes[behind, LATE] + SLACK:
            return best
        base += onward if node == first else 0.0
        node = behind
        clock = next_opening(nodes, wins, node, arrives) + nodes[node, SERVICE] if timed else 0.0
        for q in range(dimensions):
            load[q] += amounts[node, dimensions + q]
            if load[q] > room[q]:
                return best
        step = hop_distance(xy, far, rounding, profile, links[node, PLACE], second) - nodes[node, OUT]
        step_time = hop_duration(long, profile, links[node, PLACE], second) if own_times else step + nodes[node, OUT]
        onward, onward_time = nodes[node, OUT], nodes[node, TOUT]
        behind = as_index(links[node, SUCC])
