"""Ruin and recreate for the plain problem (one depot, one kind of vehicle, one load, plane distances), compiled.

The rounds are those of J. Christiaens & G. Vanden Berghe (2020). What makes them quick: clients are inserted only next
to their nearest neighbours; positions that cannot be the best are passed over without measuring; what a round may cost
is drawn before it, and it ends as soon as it must cost more; a rejected round is taken back from a log; the best answer
is updated route by route. Everything about a node lies in one row, so that a look at it costs one line of the cache,
and arrays are passed one by one because fields of tuples are counted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.vrp_cvrp_moves import (
    ABSENT,
    C_ABSENT,
    C_CHANGED,
    C_MARKED,
    CHANGED,
    DEMAND,
    HOME,
    LOGGED,
    MAX_STRING,
    MEAN_REMOVED,
    ROUNDING,
    SIZE,
    USED,
    WEIGHT,
    insert_clients,
    note_if_empty,
    put_in,
    take_out,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import (
    PRED,
    ROUTE,
    SUCC,
    as_index,
    draw_below,
    draw_unit,
    first_of_string,
    order_by_key,
    string_sizes,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.uint32]
Rng = npt.NDArray[np.uint64]


__all__ = ["anneal_cvrp", "copy_changed", "mark_changed", "undo_log"]


@leaf_njit
def _sort_removed(clients: FloatArray, removed: IntArray, keys: FloatArray, count: int, rng: Rng) -> None:
    """Order of insertion: by chance, demand, or distance from the depot, with the weights 4, 4, 2, 1 of the paper."""
    rule = draw_unit(rng) * 11.0
    for i in range(count):
        client = removed[i]
        if rule < 4.0:
            keys[i] = draw_unit(rng)
        elif rule < 8.0:
            keys[i] = -clients[client, DEMAND]
        elif rule < 10.0:
            keys[i] = -clients[client, HOME]
        else:
            keys[i] = clients[client, HOME]
    order_by_key(removed, keys, count)


@leaf_njit
def _ruin(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    near: Links,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    removed: IntArray,
    log: IntArray,
    stamps: IntArray,
    centres: IntArray,
) -> tuple[int, float]:
    """Take strings out of routes near one client; return how many clients went, and the change of the cost."""
    num_places = len(clients)
    rounding = int(settings[ROUNDING])
    served = num_places - 1 - state[ABSENT]
    longest, strings = string_sizes(rng, settings[MEAN_REMOVED], settings[MAX_STRING], served / max(1, state[USED]))
    centre = centres[draw_below(rng, len(centres))]
    stamps[-1] += 1
    now, count, change = stamps[-1], 0, 0.0
    for k in range(-1, near.shape[1]):
        if strings <= 0:
            break
        client = centre if k < 0 else as_index(near[centre, k])
        route = as_index(links[client, ROUTE])
        if route >= len(routes) - 1 or stamps[route] == now:
            continue
        stamps[route] = now
        strings -= 1
        node, span, kept, stays_from = first_of_string(
            links, rng, client, int(routes[route, SIZE]), longest, num_places
        )
        for i in range(span):
            behind = as_index(links[node, SUCC])
            if not stays_from <= i < stays_from + kept:
                log[state[LOGGED], 0] = node
                log[state[LOGGED], 1] = links[node, PRED]
                state[LOGGED] += 1
                change += take_out(links, nodes, routes, clients, state, rounding, node)
                removed[count] = node
                count += 1
            node = behind
        note_if_empty(links, lists, state, num_places, route)
    return count, change


@leaf_njit
def undo_log(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    state: IntArray,
    lists: IntArray,
    rounding: int,
    log: IntArray,
) -> None:
    """Undo everything in the log, last first."""
    num_places = len(clients)
    while state[LOGGED] > 0:
        state[LOGGED] -= 1
        client, before = log[state[LOGGED], 0], log[state[LOGGED], 1]
        if before >= 0:
            put_in(links, nodes, routes, clients, state, rounding, client, before)
        else:
            route = as_index(links[client, ROUTE])
            take_out(links, nodes, routes, clients, state, rounding, client)
            note_if_empty(links, lists, state, num_places, route)


@leaf_njit
def mark_changed(links: Links, state: IntArray, lists: IntArray, log: IntArray, none: int) -> None:
    """Remember the routes that the log touches as different from the best answer; `none` is that of absent clients."""
    for i in range(state[LOGGED]):
        for node in (log[i, 0], log[i, 1]):
            if node >= 0:
                route = as_index(links[node, ROUTE])
                if route < none and lists[route, C_MARKED] == 0:
                    lists[route, C_MARKED] = 1
                    lists[state[CHANGED], C_CHANGED] = route
                    state[CHANGED] += 1
    state[LOGGED] = 0


@leaf_njit
def copy_changed(links: Links, best: Links, state: IntArray, lists: IntArray, num_places: int) -> None:
    """Bring the best answer (successors of the nodes) up to date."""
    for i in range(state[CHANGED]):
        route = lists[i, C_CHANGED]
        lists[route, C_MARKED] = 0
        node = as_index(num_places + route)
        while True:
            behind = as_index(links[node, SUCC])
            best[node] = behind
            node = behind
            if node >= num_places:
                break
    state[CHANGED] = 0


@nb.njit(cache=True)
def anneal_cvrp(
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
    best: Links,
    costs: FloatArray,
    centres: IntArray,
    temperatures: tuple[float, float],
    rounds: int,
    growth: float = 0.0,
) -> int:
    """Run rounds of ruin and recreate with annealing; return their number.

    Parameters
    ----------
    links : uint32 [N, 4]
        Node before, node behind, route; nodes are the M places (clients 1 .. M - 1), then one end for each route.
        The route of an absent client is R.
    nodes : float [N, 4]
        Point, distance to the node behind, distance from the node before.
    routes : float [R + 1, 2]
        Load and number of clients; the last row belongs to no route and is full.
    clients : float [M, 4]
        Demand, distance from the depot, what it costs to leave the client out.
    near : uint32 [M, K], apart : float [M, K]
        Nearest clients and their distances.
    settings : float [6]
    rng : uint64 [1]
    state : int [8], lists : int [max(M, R), 5]
        See the column names of the module.
    best : uint32 [N]
        Successors of the nodes in the best answer.
    costs : float [2]
        Cost now, and of the best answer.
    centres : int [C]
        Clients near whom rounds take place.
    temperatures : (float, float)
        At the first and the last round.
    rounds : int
    growth : float
        When above 0, only routes for all clients count as an answer, and the rounds end with the first: a client costs
        so much more to leave out with every round in which it is left out.
    """
    num_places, rounding = len(clients), int(settings[ROUNDING])
    removed = np.empty(num_places + 1, np.int64)
    keys = np.empty(num_places + 1, np.float64)
    held = np.empty(num_places + 1, np.int64)
    log = np.empty((4 * num_places + 8, 2), np.int64)
    stamps = np.zeros(len(routes) + 1, np.int64)
    temperature = temperatures[0]
    cooling = (temperatures[1] / temperatures[0]) ** (1.0 / rounds) if temperatures[0] > 0.0 else 1.0
    for number in range(rounds):
        temperature *= cooling
        absent = state[ABSENT]
        count, change = _ruin(
            links, nodes, routes, clients, near, settings, rng, state, lists, removed, log, stamps, centres
        )
        for i in range(absent):
            held[i] = lists[i, C_ABSENT]
            removed[count] = held[i]
            change -= clients[held[i], WEIGHT]
            count += 1
        state[ABSENT] = 0
        _sort_removed(clients, removed, keys, count, rng)
        limit = -temperature * math.log(draw_unit(rng))
        change += insert_clients(
            links, nodes, routes, clients, near, apart, settings, rng, state, lists, removed, count, log, limit - change
        )
        if change <= limit:
            costs[0] += change
            mark_changed(links, state, lists, log, len(routes) - 1)
            if costs[0] < costs[1] - 1e-7 if growth <= 0.0 else state[ABSENT] == 0:
                costs[1] = costs[0]
                copy_changed(links, best, state, lists, num_places)
        else:
            undo_log(links, nodes, routes, clients, state, lists, rounding, log)
            state[ABSENT] = absent
            for i in range(absent):
                lists[i, C_ABSENT] = held[i]
        if growth > 0.0:
            if state[ABSENT] == 0:
                return number + 1
            for i in range(state[ABSENT]):
                clients[lists[i, C_ABSENT], WEIGHT] += growth
            costs[0] += growth * state[ABSENT]
    return rounds
