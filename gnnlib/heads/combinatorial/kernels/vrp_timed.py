"""Ruin and recreate for the plain problem with one window a client (VRPTW), compiled.

The rounds and the arrays are those of `vrp_cvrp`. Every node knows its earliest departure and its latest arrival, so
that whether a client fits between two nodes is known at once; the two are renewed only as far as a change is felt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.vrp_cvrp import copy_changed, mark_changed, undo_log
from gnnlib.heads.combinatorial.kernels.vrp_cvrp_moves import (
    ABSENT,
    C_ABSENT,
    DEMAND,
    HOME,
    LOGGED,
    MAX_STRING,
    MEAN_REMOVED,
    ROUNDING,
    SIZE,
    USED,
    WEIGHT,
    note_if_empty,
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
from gnnlib.heads.combinatorial.kernels.vrp_timed_moves import (
    CLOSE,
    LONG,
    OPEN,
    hurry,
    insert_timed,
    push_on,
    time_route,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.uint32]
Rng = npt.NDArray[np.uint64]


LONG_STRING, LONG_MEAN = 5.0, 1.5
"""Long strings, and how many clients a round of them removes, in units of the usual: a route can go as a whole."""

__all__ = ["anneal_timed"]


@leaf_njit
def _sort_removed(clients: FloatArray, removed: IntArray, keys: FloatArray, count: int, rng: Rng) -> None:
    """Order of insertion: as without windows (weights 4, 4, 2, 1), or by width, opening or closing (2, 2, 1)."""
    rule = draw_unit(rng) * 16.0
    for i in range(count):
        client = removed[i]
        if rule < 4.0:
            keys[i] = draw_unit(rng)
        elif rule < 8.0:
            keys[i] = -clients[client, DEMAND]
        elif rule < 10.0:
            keys[i] = -clients[client, HOME]
        elif rule < 11.0:
            keys[i] = clients[client, HOME]
        elif rule < 13.0:
            keys[i] = clients[client, CLOSE] - clients[client, OPEN]
        else:
            keys[i] = clients[client, OPEN] if rule < 15.0 else -clients[client, CLOSE]
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
    served = num_places - 1 - state[ABSENT]
    most, mean = settings[MAX_STRING], settings[MEAN_REMOVED]
    if draw_unit(rng) < settings[LONG]:
        most, mean = LONG_STRING * most, LONG_MEAN * mean
    longest, strings = string_sizes(rng, mean, most, served / max(1, state[USED]))
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
        first, span, kept, stays_from = first_of_string(
            links, rng, client, int(routes[route, SIZE]), longest, num_places
        )
        count, change = _take_string(
            links, nodes, routes, clients, settings, state, removed, log, count, change, first, span, stays_from, kept
        )
        note_if_empty(links, lists, state, num_places, route)
    return count, change


@leaf_njit
def _take_string(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    settings: FloatArray,
    state: IntArray,
    removed: IntArray,
    log: IntArray,
    count: int,
    change: float,
    first: int,
    span: int,
    stays_from: int,
    kept: int,
) -> tuple[int, float]:
    """Take clients out of one route, all of them if it would not be in time (rounded ways may be longer in two)."""
    num_places, rounding = len(clients), int(settings[ROUNDING])
    route, before = as_index(links[first, ROUTE]), as_index(links[first, PRED])
    node, early, late = first, before, -1
    for i in range(span):
        behind = as_index(links[node, SUCC])
        if not stays_from <= i < stays_from + kept:
            log[state[LOGGED], 0] = node
            log[state[LOGGED], 1] = links[node, PRED]
            state[LOGGED] += 1
            change += take_out(links, nodes, routes, clients, state, rounding, node)
            removed[count] = node
            count += 1
        else:
            early, late = node, node if late < 0 else late
        node = behind
    hurry(links, nodes, clients, node, node if late < 0 else late)
    if push_on(links, nodes, clients, before, early):
        return count, change
    end = as_index(num_places + route)
    node = as_index(links[end, SUCC])
    while node < num_places:
        log[state[LOGGED], 0] = node
        log[state[LOGGED], 1] = end
        state[LOGGED] += 1
        change += take_out(links, nodes, routes, clients, state, rounding, node)
        removed[count] = node
        count += 1
        node = as_index(links[end, SUCC])
    return count, change


@leaf_njit
def _undo(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    clients: FloatArray,
    state: IntArray,
    lists: IntArray,
    rounding: int,
    log: IntArray,
    stamps: IntArray,
    touched: IntArray,
) -> None:
    """Undo everything in the log, and renew the timetables of the routes in it."""
    stamps[-1] += 1
    now, none, count = stamps[-1], len(routes) - 1, 0
    for i in range(state[LOGGED]):
        for node in (log[i, 0], log[i, 1]):
            if node >= 0:
                route = as_index(links[node, ROUTE])
                if route < none and stamps[route] != now:
                    stamps[route] = now
                    touched[count] = route
                    count += 1
    undo_log(links, nodes, routes, clients, state, lists, rounding, log)
    for i in range(count):
        time_route(links, nodes, clients, len(clients) + touched[i])


@nb.njit(cache=True)
def anneal_timed(
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
    nodes : float [N, 8]
        As in `anneal_cvrp`, then earliest departure and latest arrival.
    clients : float [M, 8]
        As in `anneal_cvrp`, then window and service time.
    near : uint32 [M, K], apart : float [M, K]
        Clients nearest in distance and time, and their distances.
    settings : float [7]
        The last is the share of the rounds with long strings.

    Notes
    -----
    The other parameters are those of `anneal_cvrp`.
    """
    num_places, rounding = len(clients), int(settings[ROUNDING])
    removed = np.empty(num_places + 1, np.int64)
    keys = np.empty(num_places + 1, np.float64)
    held = np.empty(num_places + 1, np.int64)
    log = np.empty((4 * num_places + 8, 2), np.int64)
    stamps = np.zeros(len(routes) + 1, np.int64)
    touched = np.empty(len(routes) + 1, np.int64)
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
        change += insert_timed(
            links, nodes, routes, clients, near, apart, settings, rng, state, lists, removed, count, log, limit - change
        )
        if change <= limit:
            costs[0] += change
            mark_changed(links, state, lists, log, len(routes) - 1)
            if costs[0] < costs[1] - 1e-7 if growth <= 0.0 else state[ABSENT] == 0:
                costs[1] = costs[0]
                copy_changed(links, best, state, lists, num_places)
        else:
            _undo(links, nodes, routes, clients, state, lists, rounding, log, stamps, touched)
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
