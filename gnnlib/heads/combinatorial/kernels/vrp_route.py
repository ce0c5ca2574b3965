"""One route of a rich problem, compiled: hops, timetable, loads and price.

Everything here follows the definitions of `gnnlib.heads.combinatorial.vrp.metrics.plan_route`, which the tests hold it
to. Nodes are the places (depots, then clients), then stops for reloading, then the start and the end of every route.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_strings import PRED, SUCC, as_index

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


PLACE = 3
"""Column of `links`: the place of a node; -1 for the end of an open route."""

#: Columns of `nodes`: distance and duration to the node behind; earliest departure, latest arrival; service time, first
#: window; prize; then earliest and latest departure from the start and shortest duration of the route up to the node,
#: and the same of the rest of the route (T. Vidal et al. 2013, section 4.3: segments joined in constant time).
OUT, TOUT, DEP, LATE, SERVICE, OPEN, CLOSE, PRIZE = 0, 1, 2, 3, 4, 5, 6, 7
D_TO, E_TO, L_TO, D_ON, E_ON, L_ON = 8, 9, 10, 11, 12, 13
NODE_COLUMNS = 14
#: Columns of `kinds`, one row a vehicle type.
COUNT, FIXED, PER_DISTANCE, PER_DURATION, OPENS, CLOSES, MAX_DISTANCE, MAX_DURATION = 0, 1, 2, 3, 4, 5, 6, 7
START, END, PROFILE, TRIPS = 8, 9, 10, 11
#: Columns of `routes`: number of clients, distance, price, duration; then the loads.
SIZE, DISTANCE, PRICE, DURATION, LOADS = 0, 1, 2, 3, 4
#: Entries of `flags`.
ROUNDING, OWN_TIMES, TIMED, LASTING, EXACT, BACKHAUL = 0, 1, 2, 3, 4, 5
BODIES, PLACES, DEPOTS, PAIRED, NEAR = 6, 7, 8, 9, 10

MATRIX = -1
"""Value of ``flags[ROUNDING]`` for distances out of a matrix."""

SLACK = 1e-7

__all__ = [
    "find_hops",
    "hop_distance",
    "hop_duration",
    "last_opening",
    "next_opening",
    "refresh_insertion",
    "refresh_route",
]


@nb.njit(cache=True, inline="always")
def hop_distance(xy: FloatArray, far: FloatArray, rounding: int, profile: int, a: int, b: int) -> float:
    """Distance from place `a` to place `b`; 0 to the end of an open route."""
    if b < 0:
        return 0.0
    if rounding < 0:
        return far[profile if profile < len(far) else 0, a, b]
    dx = xy[a, 0] - xy[b, 0]
    dy = xy[a, 1] - xy[b, 1]
    exact = math.sqrt(dx * dx + dy * dy)
    if rounding == 1:
        return float(int(exact + 0.5))
    if rounding == 2:
        return float(int(exact))
    return exact if rounding == 0 else math.ceil(exact)


@nb.njit(cache=True, inline="always")
def hop_duration(long: FloatArray, profile: int, a: int, b: int) -> float:
    """Travel time from place `a` to place `b`, of problems whose travel times are no distances."""
    return 0.0 if b < 0 else long[profile if profile < len(long) else 0, a, b]


@nb.njit(cache=True, inline="always")
def next_opening(nodes: FloatArray, wins: FloatArray, node: int, arrival: float) -> float:
    """Earliest start of service; infinite when all windows have closed."""
    if arrival <= nodes[node, CLOSE] + SLACK:
        return max(arrival, nodes[node, OPEN])
    for k in range(1, wins.shape[1]):
        if arrival <= wins[node, k, 1] + SLACK:
            return max(arrival, wins[node, k, 0])
    return np.inf


@nb.njit(cache=True, inline="always")
def last_opening(nodes: FloatArray, wins: FloatArray, node: int, latest: float) -> float:
    """Latest start of service not after `latest`, or minus infinity."""
    for k in range(wins.shape[1] - 1, 0, -1):
        if wins[node, k, 0] <= latest + SLACK:  # a sum forth and back need not give the same number
            return min(latest, wins[node, k, 1])
    return min(latest, nodes[node, CLOSE]) if nodes[node, OPEN] <= latest + SLACK else -np.inf


@nb.njit(cache=True)
def find_hops(
    links: npt.NDArray[np.int32],
    nodes: FloatArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    profile: int,
    node: int,
) -> None:
    """Measure the way from a node to the one behind it."""
    a, b = links[node, PLACE], links[links[node, SUCC], PLACE]
    step = hop_distance(xy, far, flags[ROUNDING], profile, a, b)
    nodes[node, OUT] = step
    nodes[node, TOUT] = hop_duration(long, profile, a, b) if flags[OWN_TIMES] else step


@nb.njit(cache=True)
def refresh_route(
    links: npt.NDArray[np.int32],
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    flags: IntArray,
    route: int,
    kind: int,
) -> None:
    """Recompute loads, timetable and price of a route from its hops."""
    first = flags[BODIES] + route
    last = first + len(routes)
    for q in range(LOADS, routes.shape[1]):
        routes[route, q] = 0.0
    size, distance = 0, nodes[first, OUT]
    node = as_index(links[first, SUCC])
    while node != last:
        size += 1
        distance += nodes[node, OUT]
        for q in range(amounts.shape[1]):
            routes[route, LOADS + q] += amounts[node, q]
        node = as_index(links[node, SUCC])
    routes[route, SIZE] = size
    routes[route, DISTANCE] = distance
    routes[route, DURATION] = 0.0
    if size == 0:
        routes[route, PRICE] = 0.0
        return
    if flags[TIMED]:
        _time_route(links, nodes, kinds, wins, first, last, kind)
    price = kinds[kind, FIXED] + kinds[kind, PER_DISTANCE] * distance
    if flags[LASTING]:
        duration = _last_route(links, nodes, kinds, wins, first, last, kind)
        routes[route, DURATION] = duration
        price += kinds[kind, PER_DURATION] * duration
        if flags[EXACT] == 0:
            _segment_route(links, nodes, kinds, first, last, kind)
    routes[route, PRICE] = price


@nb.njit(cache=True)
def refresh_insertion(
    links: npt.NDArray[np.int32],
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    flags: IntArray,
    route: int,
    kind: int,
    client: int,
    grown: float,
) -> None:
    """Do what `refresh_route` does for one client more, as far as its neighbours notice; not for durations."""
    first = flags[BODIES] + route
    last = first + len(routes)
    for q in range(amounts.shape[1]):
        routes[route, LOADS + q] += amounts[client, q]
    routes[route, SIZE] += 1.0
    routes[route, DISTANCE] += grown
    routes[route, PRICE] = kinds[kind, FIXED] + kinds[kind, PER_DISTANCE] * routes[route, DISTANCE]
    if not flags[TIMED]:
        return
    before, node = as_index(links[client, PRED]), client
    while node != last:
        clock = next_opening(nodes, wins, node, nodes[before, DEP] + nodes[before, TOUT]) + nodes[node, SERVICE]
        if node != client and clock == nodes[node, DEP]:
            break
        nodes[node, DEP] = clock
        before, node = node, as_index(links[node, SUCC])
    if node == last:
        nodes[last, DEP] = nodes[before, DEP] + nodes[before, TOUT]
    behind, node = as_index(links[client, SUCC]), client
    while node != first:
        latest = last_opening(nodes, wins, node, nodes[behind, LATE] - nodes[node, TOUT] - nodes[node, SERVICE])
        if node != client and latest == nodes[node, LATE]:
            break
        nodes[node, LATE] = latest
        behind, node = node, as_index(links[node, PRED])


@nb.njit(cache=True)
def _time_route(
    links: npt.NDArray[np.int32],
    nodes: FloatArray,
    kinds: FloatArray,
    wins: FloatArray,
    first: int,
    last: int,
    kind: int,
) -> None:
    """Earliest departures and latest arrivals."""
    clock = kinds[kind, OPENS]
    nodes[first, DEP] = clock
    before, node = first, as_index(links[first, SUCC])
    while node != last:
        clock = next_opening(nodes, wins, node, clock + nodes[before, TOUT]) + nodes[node, SERVICE]
        nodes[node, DEP] = clock
        before, node = node, as_index(links[node, SUCC])
    nodes[last, DEP] = clock + nodes[before, TOUT]
    latest = kinds[kind, CLOSES]
    nodes[last, LATE] = latest
    node = as_index(links[last, PRED])
    while node != first:
        latest = last_opening(nodes, wins, node, latest - nodes[node, TOUT] - nodes[node, SERVICE])
        nodes[node, LATE] = latest
        node = as_index(links[node, PRED])


@nb.njit(cache=True)
def _last_route(
    links: npt.NDArray[np.int32],
    nodes: FloatArray,
    kinds: FloatArray,
    wins: FloatArray,
    first: int,
    last: int,
    kind: int,
) -> float:
    """Duration of leaving as late as the earliest end allows."""
    returns = nodes[last, DEP]
    node = as_index(links[last, PRED])
    latest = returns - nodes[node, TOUT]
    while node != first:
        begin = last_opening(nodes, wins, node, latest - nodes[node, SERVICE])
        node = as_index(links[node, PRED])
        latest = begin - nodes[node, TOUT]
    return float(returns - max(latest, kinds[kind, OPENS]))


@nb.njit(cache=True)
def _segment_route(
    links: npt.NDArray[np.int32], nodes: FloatArray, kinds: FloatArray, first: int, last: int, kind: int
) -> None:
    """Shortest duration, earliest and latest start of the route up to every node, and from it on."""
    nodes[first, D_TO], nodes[first, E_TO], nodes[first, L_TO] = 0.0, kinds[kind, OPENS], np.inf
    before, node = first, as_index(links[first, SUCC])
    while before != last:
        opens, closes, service = nodes[node, OPEN], nodes[node, CLOSE], nodes[node, SERVICE]
        if node == last:
            opens, closes, service = -np.inf, kinds[kind, CLOSES], 0.0
        way = nodes[before, D_TO] + nodes[before, TOUT]
        wait = max(0.0, opens - way - nodes[before, L_TO])
        nodes[node, D_TO] = way + wait + service
        nodes[node, E_TO] = max(opens - way, nodes[before, E_TO]) - wait
        nodes[node, L_TO] = min(closes - way, nodes[before, L_TO])
        before, node = node, as_index(links[node, SUCC])
    nodes[last, D_ON], nodes[last, E_ON], nodes[last, L_ON] = 0.0, -np.inf, kinds[kind, CLOSES]
    behind, node = last, as_index(links[last, PRED])
    while node != first:
        way = nodes[node, SERVICE] + nodes[node, TOUT]
        opens, closes = nodes[node, OPEN], nodes[node, CLOSE]
        wait = max(0.0, nodes[behind, E_ON] - way - closes)
        nodes[node, D_ON] = way + nodes[behind, D_ON] + wait
        nodes[node, E_ON] = max(nodes[behind, E_ON] - way, opens) - wait
        nodes[node, L_ON] = min(nodes[behind, L_ON] - way, closes)
        behind, node = node, as_index(links[node, PRED])
