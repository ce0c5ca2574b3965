"""Where a client, or a pair of clients, costs least in the routes of a rich problem, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_price import price_sequence
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BACKHAUL,
    BODIES,
    CLOSE,
    COUNT,
    D_ON,
    D_TO,
    DEP,
    DISTANCE,
    DURATION,
    E_ON,
    FIXED,
    L_TO,
    LASTING,
    LATE,
    LOADS,
    MAX_DISTANCE,
    MAX_DURATION,
    NEAR,
    OPEN,
    OUT,
    OWN_TIMES,
    PER_DISTANCE,
    PER_DURATION,
    PLACE,
    PLACES,
    PRICE,
    PRIZE,
    PROFILE,
    ROUNDING,
    SERVICE,
    SLACK,
    TIMED,
    TRIPS,
    hop_distance,
    hop_duration,
    next_opening,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import PRED, ROUTE, SUCC, as_index, draw_unit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]

#: Entries of `choice`: node before the client, kind of the route from then on, stop for reloading (-1 for none),
#: whether it comes behind the client, client, node before its partner (for pairs, the partner behind the client: -1).
BEFORE, KIND, RELOAD, BEHIND, CLIENT, SECOND = 0, 1, 2, 3, 4, 5

__all__ = ["best_exact_place", "best_place", "fits_somehow", "list_route"]


@nb.njit(cache=True)
def _fitting_kind(
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    allowed: npt.NDArray[np.bool_],
    kin: npt.NDArray[np.bool_],
    used: IntArray,
    route: int,
    kind: int,
    client: int,
) -> tuple[int, float]:
    """Kind that holds the route with the client, and what it costs more; -1 when there is none.

    When the present one is too small, larger vehicles of the same depot and speed are thought of.
    """
    best, extra = -1, np.inf
    for other in range(len(kinds)):
        if other != kind and (not kin[kind, other] or used[other] >= kinds[other, COUNT]):
            continue
        fits = allowed[client, other]
        for q in range(caps.shape[1]):
            fits = fits and routes[route, LOADS + q] + amounts[client, q] <= caps[other, q] + SLACK
        if not fits:
            continue
        if other == kind:
            return kind, 0.0
        more = kinds[other, FIXED] - kinds[kind, FIXED]
        more += (kinds[other, PER_DISTANCE] - kinds[kind, PER_DISTANCE]) * routes[route, DISTANCE]
        if more < extra:
            best, extra = other, more
    return best, extra


@nb.njit(cache=True)
def fits_somehow(
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    used: IntArray,
    route: int,
    now: int,
    client: int,
) -> bool:
    """Whether some vehicle is large enough for a route with one client more, by totals."""
    for kind in range(len(kinds)):
        if kind != now and used[kind] >= kinds[kind, COUNT]:
            continue
        fits = True
        for q in range(caps.shape[1]):
            fits = fits and routes[route, LOADS + q] + amounts[client, q] <= caps[kind, q] + SLACK
        if fits:
            return True
    return False


@nb.njit(cache=True, inline="always")
def _longest(nodes: FloatArray, client: int, before: int, behind: int, there: float, away: float) -> float:
    """Duration of a route with the client between two nodes, from its segments."""
    way = nodes[before, D_TO] + there
    wait = max(0.0, nodes[client, OPEN] - way - nodes[before, L_TO])
    lasts = way + wait + nodes[client, SERVICE]
    latest = min(nodes[client, CLOSE] - way, nodes[before, L_TO])
    way = lasts + away
    return float(way + nodes[behind, D_ON] + max(0.0, nodes[behind, E_ON] - way - latest))


@nb.njit(cache=True)
def best_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: npt.NDArray[np.bool_],
    kin: npt.NDArray[np.bool_],
    near: Links,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    blink: float,
    rng: npt.NDArray[np.uint64],
    route_kind: IntArray,
    used: IntArray,
    memo: FloatArray,
    stamps: IntArray,
    now: int,
    client: int,
    choice: IntArray,
    best: float,
) -> float:
    """Look at the positions next to the neighbours of a client; improve `choice` and return its value.

    The value is what the routes cost more, less the client's prize.
    """
    rounding, timed, lasting = flags[ROUNDING], flags[TIMED], flags[LASTING]
    bodies, places, backhaul = flags[BODIES], flags[PLACES], flags[BACKHAUL]
    own_times, prize = flags[OWN_TIMES], nodes[client, PRIZE]
    is_pickup = amounts[client, amounts.shape[1] - 1] > 0.0
    before_all = best
    earliest, latest = nodes[client, OPEN] + nodes[client, SERVICE], nodes[client, CLOSE]
    for k in range(1, wins.shape[1]):
        latest = max(latest, wins[client, k, 1])
    for k in range(near.shape[1]):
        other = as_index(near[client, k])
        if other < 0 or (k >= flags[NEAR] and best < before_all):
            break
        route = as_index(links[other, ROUTE])
        if route < 0:
            continue
        kind = route_kind[route]
        if stamps[route] != now:
            stamps[route] = now
            fitting, more = _fitting_kind(routes, kinds, caps, amounts, allowed, kin, used, route, kind, client)
            memo[route, 0] = fitting
            memo[route, 1] = more
        fitting = int(memo[route, 0])
        if fitting < 0:
            continue
        per_distance, profile = kinds[fitting, PER_DISTANCE], int(kinds[kind, PROFILE])
        for side in range(2):
            before = other if side == 0 else as_index(links[other, PRED])
            behind = as_index(links[before, SUCC])
            if timed and (nodes[before, DEP] > latest + SLACK or nodes[behind, LATE] < earliest - SLACK):
                continue
            a, b = links[before, PLACE], links[behind, PLACE]
            there = hop_distance(xy, far, rounding, profile, a, client)
            away = hop_distance(xy, far, rounding, profile, client, b)
            grown = there + away - nodes[before, OUT]
            value = per_distance * grown + memo[route, 1] - prize
            if not value < best:
                continue
            if routes[route, DISTANCE] + grown > kinds[fitting, MAX_DISTANCE] + SLACK or not grown < np.inf:
                continue
            if backhaul and _wrong_stage(amounts, places, bodies, before, behind, is_pickup):
                continue
            if own_times:
                there, away = hop_duration(long, profile, a, client), hop_duration(long, profile, client, b)
            if timed:
                begin = next_opening(nodes, wins, client, nodes[before, DEP] + there)
                if begin == np.inf or begin + nodes[client, SERVICE] + away > nodes[behind, LATE] + SLACK:
                    continue
            if lasting:
                duration = _longest(nodes, client, before, behind, there, away)
                if duration > kinds[fitting, MAX_DURATION] + SLACK:
                    continue
                value += kinds[fitting, PER_DURATION] * (duration - routes[route, DURATION])
            if value < best and draw_unit(rng) >= blink:
                best = value
                choice[BEFORE], choice[KIND], choice[RELOAD], choice[CLIENT] = before, fitting, -1, client
    return best


@nb.njit(cache=True, inline="always")
def _wrong_stage(amounts: FloatArray, places: int, bodies: int, before: int, behind: int, is_pickup: bool) -> bool:  # noqa: FBT001
    last = amounts.shape[1] - 1
    if is_pickup:
        return before >= bodies or (behind < places and amounts[behind, last] == 0.0)
    return before < places and amounts[before, last] > 0.0


@nb.njit(cache=True)
def list_route(links: Links, route: int, bodies: int, sequence: IntArray) -> int:
    """Write the nodes of a route into `sequence`; return how many there are."""
    count = 0
    node = as_index(links[bodies + route, SUCC])
    while node < bodies:
        sequence[count] = node
        count += 1
        node = as_index(links[node, SUCC])
    return count


@nb.njit(cache=True)
def best_exact_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: npt.NDArray[np.bool_],
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    blink: float,
    rng: npt.NDArray[np.uint64],
    route_kind: IntArray,
    used: IntArray,
    spares: IntArray,
    route: int,
    first: int,
    second: int,
    choice: IntArray,
    best: float,
    listed: IntArray,
    sequence: IntArray,
    scratch: FloatArray,
) -> float:
    """Look at every position of a route, pricing the whole route each time: for what has no shorter way.

    `second` is the partner that must come behind `first`, or -1. `spares` are free stops for reloading, -1 for none.
    """
    count = list_route(links, route, flags[BODIES], listed)
    now = route_kind[route]
    for kind in range(len(kinds)):
        if kind != now and used[kind] >= kinds[kind, COUNT]:
            continue
        for at in range(count + 1):
            for stop in range(-1, 2 * len(spares)):
                reload = -1 if stop < 0 else spares[stop >> 1]
                if stop >= 0 and (reload < 0 or kinds[kind, TRIPS] <= 1.0):
                    continue
                for to in range(at, count + 1 if second >= 0 else at + 1):
                    size = _merge(listed, count, at, first, to, second, reload, stop & 1, sequence)
                    price = price_sequence(
                        sequence, size, kind, links, nodes, kinds, caps, amounts, wins, allowed, partner,
                        xy, far, long, flags, scratch,
                    )  # fmt: skip
                    value = price - routes[route, PRICE] - nodes[first, PRIZE]
                    if second >= 0:
                        value -= nodes[second, PRIZE]
                    if value < best and draw_unit(rng) >= blink:
                        best = value
                        choice[BEFORE] = flags[BODIES] + route if at == 0 else listed[at - 1]
                        choice[KIND], choice[RELOAD], choice[BEHIND] = kind, reload, stop & 1
                        choice[CLIENT] = first
                        choice[SECOND] = -1 if to == at else listed[to - 1]
    return best


@nb.njit(cache=True)
def _merge(
    listed: IntArray,
    count: int,
    at: int,
    first: int,
    to: int,
    second: int,
    reload: int,
    behind: int,
    sequence: IntArray,
) -> int:
    """Write the route with `first` before position `at` and `second` before position `to`; return its size.

    A stop for reloading comes before `first`, or behind it (behind `second` when that follows at once).
    """
    size = 0
    for i in range(count + 1):
        if i == at:
            if reload >= 0 and behind == 0:
                sequence[size] = reload
                size += 1
            sequence[size] = first
            size += 1
        if i == to and second >= 0:
            sequence[size] = second
            size += 1
        if i == at and reload >= 0 and behind == 1:
            sequence[size] = reload
            size += 1
        if i < count:
            sequence[size] = listed[i]
            size += 1
    return size
