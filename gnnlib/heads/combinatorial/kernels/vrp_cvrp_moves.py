"""Taking clients out of plain routes, and putting them in where they cost least, compiled; see `vrp_cvrp`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.vrp_strings import (
    PRED,
    ROUTE,
    SUCC,
    as_index,
    draw_unit,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.uint32]
Rng = npt.NDArray[np.uint64]

#: Columns of `nodes`, one row a node: the point, and the distances to the node behind and from the node before.
X, Y, OUT, IN = 0, 1, 2, 3
#: Columns of `routes`.
LOAD, SIZE = 0, 1
#: Columns of `clients`: load, distance from the depot, what it costs to leave the client out.
DEMAND, HOME, WEIGHT = 0, 1, 2
#: Entries of `state`: routes with clients, absent clients, routes in the stack of empty ones, changed routes, length
#: of the log.
USED, ABSENT, EMPTY, CHANGED, LOGGED = 0, 1, 2, 3, 4
#: Columns of `lists`: absent clients, stack of empty routes, whether a route is in it, changed routes, whether changed.
C_ABSENT, C_EMPTY, C_WAITING, C_CHANGED, C_MARKED = 0, 1, 2, 3, 4
#: Entries of `settings`.
ROUNDING, CAPACITY, MEAN_REMOVED, MAX_STRING, BLINK, NEAR = 0, 1, 2, 3, 4, 5

#: What rounding may add to a sum of costs.
SLACK = 1e-7

__all__ = ["empty_route", "note_if_empty", "put_in", "take_out", "insert_clients", "load_route", "measure"]


@leaf_njit(inline="always")
def measure(nodes: FloatArray, a: int, b: int, rounding: int) -> float:
    """Distance of two nodes: exact (0), to the nearest whole number (1), down (2) or up (3)."""
    dx = nodes[a, X] - nodes[b, X]
    dy = nodes[a, Y] - nodes[b, Y]
    exact = math.sqrt(dx * dx + dy * dy)
    if rounding == 1:
        return float(int(exact + 0.5))
    if rounding == 0:
        return exact
    return float(int(exact)) if rounding == 2 else math.ceil(exact)


@leaf_njit
def take_out(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    state: IntArray,
    rounding: int,
    client: int,
) -> float:
    """Unlink a client; return by how much the cost changes."""
    before, behind, route = links[client, PRED], links[client, SUCC], links[client, ROUTE]
    step = measure(nodes, before, behind, rounding)
    links[before, SUCC] = behind
    links[behind, PRED] = before
    links[client, ROUTE] = len(routes) - 1
    routes[route, LOAD] -= clients[client, DEMAND]
    routes[route, SIZE] -= 1.0
    if before == behind:
        state[USED] -= 1
    nodes[before, OUT] = step
    nodes[behind, IN] = step
    return step - nodes[client, IN] - nodes[client, OUT]


@leaf_njit
def put_in(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    state: IntArray,
    rounding: int,
    client: int,
    before: int,
) -> float:
    """Link a client behind `before`; return by how much the cost changes."""
    behind, route = links[before, SUCC], links[before, ROUTE]
    there = measure(nodes, before, client, rounding)
    away = measure(nodes, client, behind, rounding)
    change = there + away - nodes[before, OUT]
    if before == behind:
        state[USED] += 1
    links[before, SUCC] = client
    links[behind, PRED] = client
    links[client, PRED] = before
    links[client, SUCC] = behind
    links[client, ROUTE] = route
    routes[route, LOAD] += clients[client, DEMAND]
    routes[route, SIZE] += 1.0
    nodes[before, OUT] = there
    nodes[client, IN] = there
    nodes[client, OUT] = away
    nodes[behind, IN] = away
    return change


@leaf_njit
def empty_route(links: Links, lists: IntArray, state: IntArray, num_places: int) -> int:
    """Return the end node of an empty route, which stays in the stack, or -1."""
    while state[EMPTY] > 0:
        route = lists[state[EMPTY] - 1, C_EMPTY]
        if links[num_places + route, SUCC] == num_places + route:
            return num_places + route
        state[EMPTY] -= 1
        lists[route, C_WAITING] = 0
    return -1


@leaf_njit
def note_if_empty(links: Links, lists: IntArray, state: IntArray, num_places: int, route: int) -> None:
    """Put a route without clients on the stack of empty ones."""
    if lists[route, C_WAITING] == 0 and links[num_places + route, SUCC] == num_places + route:
        lists[state[EMPTY], C_EMPTY] = route
        lists[route, C_WAITING] = 1
        state[EMPTY] += 1


@leaf_njit
def _best_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    near: Links,
    apart: FloatArray,
    settings: FloatArray,
    rng: Rng,
    num_places: int,
    client: int,
    spare: float,
) -> tuple[int, float]:
    """Return the cheapest position next to a neighbour that costs less than `spare`, and its cost.

    The position is the node before it; -1 when positions cost more, -2 when no neighbour's route has room. A position
    is overlooked with the probability of a blink; only those that would be chosen need the draw.
    """
    best, at = spare, -2
    rounding, blink, most = int(settings[ROUNDING]), settings[BLINK], int(settings[NEAR])
    room = settings[CAPACITY] - clients[client, DEMAND] + 1e-9
    home = clients[client, HOME]
    for k in range(near.shape[1]):
        if k >= most and at > -2:
            break
        other, reach = near[client, k], apart[client, k]
        behind, before = links[other, SUCC], links[other, PRED]
        # the way to the depot is known, and a neighbour's neighbour that is nearer has been looked at: it is `reach` away
        ahead, back = reach - nodes[other, OUT], reach - nodes[other, IN]
        least_ahead = ahead + (home if behind >= num_places else reach)
        least_back = back + (home if before >= num_places else reach)
        if least_ahead >= best and least_back >= best:
            at = max(at, -1)
            continue
        if routes[links[other, ROUTE], LOAD] > room:
            continue
        at = max(at, -1)
        if least_ahead < best:
            cost = least_ahead if behind >= num_places else ahead + measure(nodes, client, behind, rounding)
            if cost < best and draw_unit(rng) >= blink:
                best, at = cost, as_index(other)
        if least_back < best:
            cost = least_back if before >= num_places else back + measure(nodes, client, before, rounding)
            if cost < best and draw_unit(rng) >= blink:
                best, at = cost, as_index(before)
    return at, best


@leaf_njit
def _any_place(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    settings: FloatArray,
    num_places: int,
    client: int,
) -> tuple[int, float]:
    """Look at every position of every route; -2 when none has room."""
    best, at = np.inf, -2
    rounding = int(settings[ROUNDING])
    room = settings[CAPACITY] - clients[client, DEMAND] + 1e-9
    for route in range(len(routes) - 1):
        if routes[route, LOAD] > room:
            continue
        node = as_index(num_places + route)
        while True:
            behind = as_index(links[node, SUCC])
            cost = measure(nodes, node, client, rounding) + measure(nodes, client, behind, rounding) - nodes[node, OUT]
            if cost < best:
                best, at = cost, node
            node = behind
            if node >= num_places:
                break
    return at, best


@leaf_njit
def insert_clients(
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
    num_places = len(clients)
    rounding = int(settings[ROUNDING])
    change = 0.0
    for i in range(count):
        client = removed[i]
        spare = limit - change + SLACK
        at, best = _best_place(links, nodes, routes, clients, near, apart, settings, rng, num_places, client, spare)
        if best > 2.0 * clients[client, HOME] or at < 0:
            fresh = empty_route(links, lists, state, num_places)
            if fresh >= 0 and clients[client, DEMAND] <= settings[CAPACITY]:
                at, best = fresh, 2.0 * clients[client, HOME]
            elif at == -2 or (at == -1 and spare > clients[client, WEIGHT]):
                at, best = _any_place(links, nodes, routes, clients, settings, num_places, client)
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
        log[state[LOGGED], 0] = client
        log[state[LOGGED], 1] = -1
        state[LOGGED] += 1
    return change


@leaf_njit
def load_route(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    state: IntArray,
    rounding: int,
    route: IntArray,
    end: int,
) -> None:
    """Fill an empty route with clients in their order."""
    before = end
    for client in route:
        put_in(links, nodes, routes, clients, state, rounding, client, before)
        before = client
