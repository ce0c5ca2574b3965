"""Timetables of plain routes, and where a client with a window costs least in them, compiled; see `vrp_timed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.vrp_cvrp_moves import (
    ABSENT,
    BLINK,
    C_ABSENT,
    CAPACITY,
    DEMAND,
    HOME,
    IN,
    LOAD,
    LOGGED,
    NEAR,
    OUT,
    ROUNDING,
    SLACK,
    WEIGHT,
    empty_route,
    measure,
    put_in,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import PRED, ROUTE, SUCC, as_index, draw_unit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.uint32]
Rng = npt.NDArray[np.uint64]

#: Further columns of `nodes`: earliest departure, latest arrival; of the end of a route they are those of the depot.
DEP, LATE = 4, 5
NODE_COLUMNS = 8
#: Further columns of `clients`: window and service time.
OPEN, CLOSE, SERVICE = 3, 4, 5
CLIENT_COLUMNS = 8

#: Further entry of `settings`: share of the rounds with long strings.
LONG = 6

__all__ = ["hurry", "insert_timed", "load_timed_route", "push_on", "time_route"]


@leaf_njit
def push_on(links: Links, nodes: FloatArray, clients: FloatArray, before: int, last: int) -> bool:
    """Renew the departures behind `before`, at least up to `last`; return whether all are in time.

    What lies behind the first departure that stays as it was is taken to be in time.
    """
    num_places, seen, fits = len(clients), before == last, True
    node = as_index(links[before, SUCC])
    while True:
        arrives = nodes[before, DEP] + nodes[before, OUT]
        if node >= num_places:
            return fits and arrives <= nodes[node, LATE] + SLACK
        fits = fits and arrives <= clients[node, CLOSE] + SLACK
        departs = max(arrives, clients[node, OPEN]) + clients[node, SERVICE]
        if seen and departs == nodes[node, DEP]:
            return fits
        nodes[node, DEP] = departs
        seen = seen or node == last
        before, node = node, as_index(links[node, SUCC])


@leaf_njit
def hurry(links: Links, nodes: FloatArray, clients: FloatArray, behind: int, last: int) -> None:
    """Renew the latest arrivals before `behind`, at least up to `last`."""
    num_places, seen = len(clients), behind == last
    node = as_index(links[behind, PRED])
    while node < num_places:
        latest = min(clients[node, CLOSE], nodes[behind, LATE] - nodes[node, OUT] - clients[node, SERVICE])
        if seen and latest == nodes[node, LATE]:
            return
        nodes[node, LATE] = latest
        seen = seen or node == last
        behind, node = node, as_index(links[node, PRED])


@leaf_njit
def time_route(links: Links, nodes: FloatArray, clients: FloatArray, end: int) -> bool:
    """Renew the timetable of a whole route; return whether it is in time."""
    nodes_end = as_index(links[end, PRED])
    if nodes_end >= len(clients):
        return True
    hurry(links, nodes, clients, end, as_index(links[end, SUCC]))
    return bool(push_on(links, nodes, clients, end, nodes_end))


@leaf_njit
def _best_timed_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    near: Links,
    apart: FloatArray,
    settings: FloatArray,
    rng: Rng,
    client: int,
    spare: float,
) -> tuple[int, float]:
    """Return the cheapest position next to a neighbour that costs less than `spare`, and its cost.

    The position is the node before it; -1 when all that may be in time cost more, -2 when there is none. A position is
    measured only if the triangle inequality lets it be the best, and timed only if it is.
    """
    best, at = spare, -2
    rounding, blink, most = int(settings[ROUNDING]), settings[BLINK], int(settings[NEAR])
    num_places = len(clients)
    room = settings[CAPACITY] - clients[client, DEMAND] + 1e-9
    home, opens, service = clients[client, HOME], clients[client, OPEN], clients[client, SERVICE]
    closes, earliest = clients[client, CLOSE] + SLACK, opens + service - SLACK
    for k in range(near.shape[1]):
        if k >= most and at > -2:
            break
        other, reach = near[client, k], apart[client, k]
        arrives, ahead, back = nodes[other, DEP] + reach, reach - nodes[other, OUT], reach - nodes[other, IN]
        is_late, is_early = arrives > closes, earliest + reach > nodes[other, LATE]
        if (is_late or ahead + max(ahead, 0.0) >= best) and (is_early or back + max(back, 0.0) >= best):
            at = at if is_late and is_early else max(at, -1)
            continue
        if routes[links[other, ROUTE], LOAD] > room:
            continue
        if not is_late and ahead + max(ahead, 0.0) < best:
            behind = links[other, SUCC]
            away = home if behind >= num_places else measure(nodes, client, behind, rounding)
            if ahead + away >= best:
                at = max(at, -1)
            elif max(arrives, opens) + service + away <= nodes[behind, LATE] + SLACK and draw_unit(rng) >= blink:
                best, at = ahead + away, as_index(other)
        if not is_early and back + max(back, 0.0) < best:
            before = links[other, PRED]
            there = home if before >= num_places else measure(nodes, client, before, rounding)
            arrives = nodes[before, DEP] + there
            if back + there >= best:
                at = max(at, -1)
            elif (
                arrives <= closes
                and max(arrives, opens) + service + reach <= nodes[other, LATE] + SLACK
                and draw_unit(rng) >= blink
            ):
                best, at = back + there, as_index(before)
    return at, best


@leaf_njit
def _any_timed_place(
    links: Links, nodes: FloatArray, routes: FloatArray, clients: FloatArray, settings: FloatArray, client: int
) -> tuple[int, float]:
    """Look at every position of every route; return the node before the cheapest, or -2, and its cost."""
    best, at, num_places = np.inf, -2, len(clients)
    rounding = int(settings[ROUNDING])
    room = settings[CAPACITY] - clients[client, DEMAND] + 1e-9
    for route in range(len(routes) - 1):
        if routes[route, LOAD] > room:
            continue
        node = as_index(num_places + route)
        while True:
            behind = as_index(links[node, SUCC])
            there, away = measure(nodes, node, client, rounding), measure(nodes, client, behind, rounding)
            cost, arrives = there + away - nodes[node, OUT], nodes[node, DEP] + there
            leaves = max(arrives, clients[client, OPEN]) + clients[client, SERVICE]
            if (
                cost < best
                and arrives <= clients[client, CLOSE] + SLACK
                and leaves + away <= nodes[behind, LATE] + SLACK
            ):
                best, at = cost, node
            node = behind
            if node >= num_places:
                break
    return at, best


@leaf_njit
def insert_timed(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    near: Links,
    apart: FloatArray,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    removed: IntArray,
    count: int,
    log: IntArray,
    limit: float = np.inf,
) -> float:
    """Insert the first `count` of `removed` one after the other where it costs least; return the change of the cost.

    As soon as the change must exceed `limit` the rest is not inserted, and the change is infinite.
    """
    num_places, rounding = len(clients), int(settings[ROUNDING])
    change = 0.0
    for i in range(count):
        client = removed[i]
        spare = limit - change + SLACK
        at, best = _best_timed_place(links, nodes, routes, clients, near, apart, settings, rng, client, spare)
        if best > 2.0 * clients[client, HOME] or at < 0:
            fresh = empty_route(links, lists, state, num_places)
            if fresh >= 0 and _fits_alone(nodes, clients, settings, client, fresh):
                at, best = fresh, 2.0 * clients[client, HOME]
            elif at == -2 or (at == -1 and spare > clients[client, WEIGHT]):
                at, best = _any_timed_place(links, nodes, routes, clients, settings, client)
            if at < 0:
                best = clients[client, WEIGHT]
        if best > spare:
            return np.inf
        if at < 0:
            lists[state[ABSENT], C_ABSENT] = client
            state[ABSENT] += 1
            change += best
            continue
        change += put_in(links, nodes, routes, clients, state, rounding, client, at)
        push_on(links, nodes, clients, at, client)
        hurry(links, nodes, clients, as_index(links[client, SUCC]), client)
        log[state[LOGGED], 0] = client
        log[state[LOGGED], 1] = -1
        state[LOGGED] += 1
    return change


@leaf_njit
def _fits_alone(nodes: FloatArray, clients: FloatArray, settings: FloatArray, client: int, end: int) -> bool:
    home, arrives = clients[client, HOME], nodes[end, DEP] + clients[client, HOME]
    leaves = max(arrives, clients[client, OPEN]) + clients[client, SERVICE]
    return bool(
        clients[client, DEMAND] <= settings[CAPACITY] + 1e-9
        and arrives <= clients[client, CLOSE] + SLACK
        and leaves + home <= nodes[end, LATE] + SLACK
    )


@leaf_njit
def load_timed_route(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    state: IntArray,
    rounding: int,
    route: IntArray,
    end: int,
) -> bool:
    """Fill an empty route with clients in their order; return whether it is in time."""
    before = end
    for client in route:
        put_in(links, nodes, routes, clients, state, rounding, client, before)
        before = client
    return bool(time_route(links, nodes, clients, end))
