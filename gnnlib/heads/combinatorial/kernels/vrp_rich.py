"""Ruin and recreate for rich problems, compiled: windows, fleets, depots, prizes, groups, pairs, reloading.

The rounds are those of `vrp_cvrp`; here a route is priced as a whole when it has changed, so that every constraint has
one definition. A *task* is what is served or left: a client, one of a group of clients, or a pair of clients.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_place import (
    BEFORE,
    BEHIND,
    CLIENT,
    KIND,
    RELOAD,
    SECOND,
    best_exact_place,
    best_pair_place,
    best_place,
    fits_somehow,
    list_route,
)
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BACKHAUL,
    BODIES,
    CLOSE,
    CLOSES,
    COUNT,
    DEP,
    DEPOTS,
    DISTANCE,
    DURATION,
    END,
    EXACT,
    LASTING,
    MAX_DISTANCE,
    MAX_DURATION,
    OPEN,
    PAIRED,
    PLACE,
    PLACES,
    PRICE,
    PRIZE,
    PROFILE,
    ROUNDING,
    SIZE,
    SLACK,
    START,
    TIMED,
    find_hops,
    hop_distance,
    price_sequence,
    refresh_route,
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

__all__ = ["anneal_rich", "insert_tasks", "load_route"]

Links = npt.NDArray[np.int32]
Rng = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

#: Entries of `state`: routes in use, required tasks that wait, empty routes in the stack, routes changed since the best
#: answer, length of the log, routes touched in this round, the round's stamp, served clients.
USED, WAITING, EMPTY, CHANGED, LOGGED, TOUCHED, NOW, SERVED = 0, 1, 2, 3, 4, 5, 6, 7
#: Columns of `lists`: waiting tasks, stack of empty routes, whether a route is in it, changed routes, whether changed,
#: touched routes, round of the last touch, round in which a route lost a string, kind of the route, round in which a
#: task was taken up.
L_WAITING, L_EMPTY, L_STACKED, L_CHANGED, L_MARKED, L_TOUCHED, L_TOUCH, L_RUIN, L_KIND, L_TASK = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)
#: Entries of `settings`.
MEAN_REMOVED, MAX_STRING, BLINK, PENALTY, EAGER = 0, 1, 2, 3, 4

_TAKE_OUT, _PUT_IN, _TURN = 0, 1, 2
_MOST_WAITING = 30
"""Waiting tasks that a round tries again."""


@nb.njit(cache=True)
def _touch(routes: FloatArray, state: IntArray, lists: IntArray, old: FloatArray, route: int) -> None:
    """Remember the price of a route before its first change in a round."""
    if lists[route, L_TOUCH] != state[NOW]:
        lists[route, L_TOUCH] = state[NOW]
        lists[state[TOUCHED], L_TOUCHED] = route
        state[TOUCHED] += 1
        old[route] = routes[route, PRICE]


@nb.njit(cache=True)
def _take_out(
    links: Links,
    nodes: FloatArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    kinds: FloatArray,
    flags: IntArray,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    node: int,
) -> None:
    before, behind, route = links[node, PRED], links[node, SUCC], links[node, ROUTE]
    links[before, SUCC] = behind
    links[behind, PRED] = before
    links[node, ROUTE] = -1
    kind = lists[route, L_KIND]
    if before >= flags[BODIES] and behind >= flags[BODIES]:
        used[kind] -= 1
        state[USED] -= 1
        if lists[route, L_STACKED] == 0:
            lists[state[EMPTY], L_EMPTY] = route
            lists[route, L_STACKED] = 1
            state[EMPTY] += 1
    state[SERVED] -= 1
    find_hops(links, nodes, xy, far, long, flags, int(kinds[kind, PROFILE]), before)


@nb.njit(cache=True)
def _put_in(
    links: Links,
    nodes: FloatArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    kinds: FloatArray,
    flags: IntArray,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    node: int,
    before: int,
) -> None:
    behind, route = links[before, SUCC], links[before, ROUTE]
    kind = lists[route, L_KIND]
    if before >= flags[BODIES] and behind >= flags[BODIES]:
        used[kind] += 1
        state[USED] += 1
    links[before, SUCC] = node
    links[behind, PRED] = node
    links[node, PRED] = before
    links[node, SUCC] = behind
    links[node, ROUTE] = route
    state[SERVED] += 1
    profile = int(kinds[kind, PROFILE])
    find_hops(links, nodes, xy, far, long, flags, profile, before)
    find_hops(links, nodes, xy, far, long, flags, profile, node)


@nb.njit(cache=True)
def _turn_kind(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    kinds: FloatArray,
    flags: IntArray,
    lists: IntArray,
    used: IntArray,
    route: int,
    kind: int,
) -> None:
    """Let another kind of vehicle drive a route."""
    first = flags[BODIES] + route
    last = first + len(routes)
    old = lists[route, L_KIND]
    if links[first, SUCC] != last:
        used[old] -= 1
        used[kind] += 1
    lists[route, L_KIND] = kind
    links[first, PLACE] = int(kinds[kind, START])
    links[last, PLACE] = int(kinds[kind, END])
    profile = int(kinds[kind, PROFILE])
    find_hops(links, nodes, xy, far, long, flags, profile, first)
    if kinds[old, PROFILE] == kinds[kind, PROFILE]:
        find_hops(links, nodes, xy, far, long, flags, profile, as_index(links[last, PRED]))
        return
    node = as_index(links[first, SUCC])
    while node != last:
        find_hops(links, nodes, xy, far, long, flags, profile, node)
        node = as_index(links[node, SUCC])


@nb.njit(cache=True)
def _is_broken(
    routes: FloatArray, nodes: FloatArray, kinds: FloatArray, flags: IntArray, route: int, kind: int
) -> bool:
    """Whether a route may not be driven after clients went: where distances break the triangle inequality."""
    last = flags[BODIES] + route + len(routes)
    if flags[TIMED] and not nodes[last, DEP] <= kinds[kind, CLOSES] + SLACK:
        return True
    if not routes[route, DISTANCE] <= kinds[kind, MAX_DISTANCE] + SLACK or routes[route, DISTANCE] == np.inf:
        return True
    return bool(flags[LASTING] and routes[route, DURATION] > kinds[kind, MAX_DURATION] + SLACK)


@nb.njit(cache=True)
def _log(log: IntArray, state: IntArray, what: int, node: int, at: int) -> None:
    log[state[LOGGED], 0] = what
    log[state[LOGGED], 1] = node
    log[state[LOGGED], 2] = at
    state[LOGGED] += 1


@nb.njit(cache=True)
def anneal_rich(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    kin: Flags,
    partner: IntArray,
    near: Links,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    members: IntArray,
    task_of: IntArray,
    required: Flags,
    flags: IntArray,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    stops: IntArray,
    best: Links,
    best_kind: IntArray,
    costs: FloatArray,
    temperatures: tuple[float, float],
    rounds: int,
) -> None:
    """Run rounds of ruin and recreate with annealing.

    Parameters
    ----------
    links : int32 [N, 4]
        Node before, node behind, route (-1: absent), place. Nodes: M places, S stops for reloading, R starts, R ends.
    nodes : float [N, 14], routes : float [R, 4 + Q'], kinds : float [T, 12]
        See the column names of `vrp_route`.
    caps : float [T, Q]
    amounts : float [M + S, Q']
        See `vrp_route`.
    wins : float [M + S, K, 2]
        Further windows; unused ones open at plus and close at minus infinity.
    allowed : bool [M + S, T], kin : bool [T, T]
        Which types may visit a node, and which may take over a route as it is.
    partner : int [M + S]
    near : int32 [M, K]
    xy : float [M, 2], far : float [P, M, M], long : float [P, M, M]
    members : int [tasks, A], task_of : int [M + S], required : bool [tasks]
        Clients of each task (-1: none), task of each client.
    flags : int [11], settings : float [5], rng : uint64 [1], state : int [8], lists : int [max(N, tasks), 10]
    used : int [T]
        Vehicles in use.
    stops : int [S, 2]
        Nodes for reloading and their depots.
    best : int32 [N], best_kind : int [R]
        Successors and types of the best answer.
    costs : float [2]
        Cost now, and of the best answer.
    temperatures : (float, float)
    rounds : int
    """
    bodies, num_tasks = flags[BODIES], len(members)
    removed = np.empty(num_tasks + 1, np.int64)
    keys = np.empty(num_tasks + 1, np.float64)
    held = np.empty(num_tasks + 1, np.int64)
    log = np.empty((6 * bodies + 4 * len(routes) + 64, 3), np.int64)
    old = np.zeros(len(routes))
    memo = np.zeros((len(routes), 2))
    stamps = np.zeros(len(routes) + 1, np.int64)
    choice = np.zeros(6, np.int64)
    buffer = np.zeros((3, bodies + 8), np.int64)
    scratch = np.zeros(bodies + 8)
    temperature = temperatures[0]
    cooling = (temperatures[1] / temperatures[0]) ** (1.0 / rounds) if temperatures[0] > 0.0 else 1.0
    for _ in range(rounds):
        temperature *= cooling
        state[NOW] += 1
        state[TOUCHED] = 0
        state[LOGGED] = 0
        waiting = state[WAITING]
        for i in range(waiting):
            held[i] = lists[i, L_WAITING]
        count, change = _ruin(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, near, xy, far, long, task_of, required,
            flags, settings, rng, state, lists, used, removed, log, old, buffer, scratch,
        )  # fmt: skip
        count = _take_waiting(rng, state, lists, removed, count)
        _sort_removed(nodes, amounts, kinds, members, xy, far, flags, removed, keys, count, rng)
        change += _recreate(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, kin, partner, near, xy, far, long, members,
            required, flags, settings, rng, state, lists, used, stops, removed, count, log, old, memo, stamps, choice,
            buffer, scratch,
        )  # fmt: skip
        change += settings[PENALTY] * (state[WAITING] - waiting)
        for i in range(state[TOUCHED]):
            route = lists[i, L_TOUCHED]
            change += routes[route, PRICE] - old[route]
        if change <= 0.0 or change < -temperature * math.log(draw_unit(rng)):
            costs[0] += change
            _mark_changed(state, lists)
            if costs[0] < costs[1] - 1e-7:
                costs[1] = costs[0]
                _copy_changed(links, best, best_kind, flags, state, lists)
        else:
            _take_back(links, nodes, routes, kinds, amounts, wins, xy, far, long, flags, state, lists, used, log)
            state[WAITING] = waiting
            for i in range(waiting):
                lists[i, L_WAITING] = held[i]


@nb.njit(cache=True)
def insert_tasks(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    kin: Flags,
    partner: IntArray,
    near: Links,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    members: IntArray,
    required: Flags,
    flags: IntArray,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    stops: IntArray,
    tasks: IntArray,
) -> None:
    """Insert tasks in the order given, each where it costs least; those that find no place wait."""
    bodies = flags[BODIES]
    log = np.empty((6 * bodies + 4 * len(routes) + 64, 3), np.int64)
    state[NOW] += 1
    state[TOUCHED] = 0
    state[LOGGED] = 0
    _recreate(
        links, nodes, routes, kinds, caps, amounts, wins, allowed, kin, partner, near, xy, far, long, members, required,
        flags, settings, rng, state, lists, used, stops, tasks, len(tasks), log, np.zeros(len(routes)),
        np.zeros((len(routes), 2)), np.zeros(len(routes) + 1, np.int64), np.zeros(6, np.int64),
        np.zeros((3, bodies + 8), np.int64), np.zeros(bodies + 8),
    )  # fmt: skip


@nb.njit(cache=True)
def _mark_changed(state: IntArray, lists: IntArray) -> None:
    for i in range(state[TOUCHED]):
        route = lists[i, L_TOUCHED]
        if lists[route, L_MARKED] == 0:
            lists[route, L_MARKED] = 1
            lists[state[CHANGED], L_CHANGED] = route
            state[CHANGED] += 1


@nb.njit(cache=True)
def _copy_changed(
    links: Links, best: Links, best_kind: IntArray, flags: IntArray, state: IntArray, lists: IntArray
) -> None:
    for i in range(state[CHANGED]):
        route = lists[i, L_CHANGED]
        lists[route, L_MARKED] = 0
        best_kind[route] = lists[route, L_KIND]
        node = as_index(flags[BODIES] + route)
        while True:
            behind = as_index(links[node, SUCC])
            best[node] = behind
            node = behind
            if node >= flags[BODIES]:
                break
    state[CHANGED] = 0


@nb.njit(cache=True)
def _take_back(
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
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    log: IntArray,
) -> None:
    """Undo the log, last first, and recompute the routes it touched."""
    while state[LOGGED] > 0:
        state[LOGGED] -= 1
        what, node, at = log[state[LOGGED], 0], log[state[LOGGED], 1], log[state[LOGGED], 2]
        if what == _TAKE_OUT:
            _put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, node, at)
        elif what == _PUT_IN:
            _take_out(links, nodes, xy, far, long, kinds, flags, state, lists, used, node)
        else:
            _turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, node, at)
    for i in range(state[TOUCHED]):
        route = lists[i, L_TOUCHED]
        refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, lists[route, L_KIND])


@nb.njit(cache=True)
def _ruin(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    partner: IntArray,
    near: Links,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    task_of: IntArray,
    required: Flags,
    flags: IntArray,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    removed: IntArray,
    log: IntArray,
    old: FloatArray,
    buffer: IntArray,
    scratch: FloatArray,
) -> tuple[int, float]:
    """Take strings out of routes near one client; return how many tasks went, and the prizes lost."""
    bodies, depots, places = flags[BODIES], flags[DEPOTS], flags[PLACES]
    longest, strings = string_sizes(
        rng, settings[MEAN_REMOVED], settings[MAX_STRING], state[SERVED] / max(1, state[USED])
    )
    centre = depots + draw_below(rng, places - depots)
    count, optional = 0, int(2.0 * settings[MEAN_REMOVED])
    lost = 0.0
    for k in range(-1, near.shape[1]):
        client = centre if k < 0 else as_index(near[centre, k])
        if client < 0 or strings <= 0:
            break
        route = as_index(links[client, ROUTE])
        if route < 0:
            task = task_of[client]
            if optional > 0 and not required[task] and lists[task, L_TASK] != state[NOW]:
                lists[task, L_TASK] = state[NOW]
                removed[count] = task
                count += 1
                optional -= 1
            continue
        if lists[route, L_RUIN] == state[NOW]:
            continue
        lists[route, L_RUIN] = state[NOW]
        strings -= 1
        node, span, kept, stays_from = first_of_string(links, rng, client, int(routes[route, SIZE]), longest, bodies)
        for i in range(span):
            if node >= bodies:  # a partner went from this route too
                break
            behind = as_index(links[node, SUCC])
            if not stays_from <= i < stays_from + kept:
                if node < places and partner[node] == behind:
                    behind = as_index(links[behind, SUCC])
                count, lost = _remove_task(
                    links, nodes, routes, kinds, partner, xy, far, long, task_of, flags, state, lists, used, removed,
                    count, lost, log, old, node,
                )  # fmt: skip
            node = behind
    for i in range(state[TOUCHED]):
        route = lists[i, L_TOUCHED]
        count, lost = _settle(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, task_of, flags, rng, state, lists, used, removed, count, lost, log, old, buffer, scratch, route,
        )  # fmt: skip
    return count, lost


@nb.njit(cache=True)
def _remove_task(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    task_of: IntArray,
    flags: IntArray,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    removed: IntArray,
    count: int,
    lost: float,
    log: IntArray,
    old: FloatArray,
    node: int,
) -> tuple[int, float]:
    """Take a client, and its partner, out of their route; stops for reloading are no tasks."""
    for one in (node, partner[node]):
        if one < 0:
            continue
        _touch(routes, state, lists, old, links[one, ROUTE])
        _log(log, state, _TAKE_OUT, one, links[one, PRED])
        _take_out(links, nodes, xy, far, long, kinds, flags, state, lists, used, one)
        lost += nodes[one, PRIZE]
    if node < flags[PLACES]:
        removed[count] = task_of[node]
        lists[task_of[node], L_TASK] = state[NOW]
        count += 1
    return count, lost


@nb.njit(cache=True)
def _settle(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    task_of: IntArray,
    flags: IntArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    removed: IntArray,
    count: int,
    lost: float,
    log: IntArray,
    old: FloatArray,
    buffer: IntArray,
    scratch: FloatArray,
    route: int,
) -> tuple[int, float]:
    """After a ruin: drop stops that are not needed, take the cheapest vehicle, empty routes that may not be driven."""
    bodies, first = flags[BODIES], flags[BODIES] + route
    last = first + len(routes)
    kind = lists[route, L_KIND]
    if links[first, SUCC] != last and (len(kinds) > 1 or bodies > flags[PLACES]):
        size = list_route(links, route, bodies, buffer[0])
        for i in range(size):
            stop = buffer[0, i]
            if stop < flags[PLACES]:
                continue
            _log(log, state, _TAKE_OUT, stop, links[stop, PRED])
            at = as_index(links[stop, PRED])
            _take_out(links, nodes, xy, far, long, kinds, flags, state, lists, used, stop)
            rest = list_route(links, route, bodies, buffer[1])
            price = price_sequence(
                buffer[1], rest, kind, links, nodes, kinds, caps, amounts, wins, allowed, partner, xy, far, long,
                flags, scratch,
            ) if rest > 0 else 0.0  # fmt: skip
            if price == np.inf:
                _put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, stop, at)
                state[LOGGED] -= 1
        _choose_kind(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags, rng,
            state, lists, used, log, buffer, scratch, route,
        )  # fmt: skip
    kind = lists[route, L_KIND]
    refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, kind)
    node = as_index(links[first, SUCC])
    if node != last and (
        _is_broken(routes, nodes, kinds, flags, route, kind)
        or (flags[BACKHAUL] and amounts[node, amounts.shape[1] - 1] > 0.0)
    ):
        while links[first, SUCC] != last:
            count, lost = _remove_task(
                links, nodes, routes, kinds, partner, xy, far, long, task_of, flags, state, lists, used, removed,
                count, lost, log, old, as_index(links[first, SUCC]),
            )  # fmt: skip
        refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, kind)
    return count, lost


@nb.njit(cache=True)
def _choose_kind(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    log: IntArray,
    buffer: IntArray,
    scratch: FloatArray,
    route: int,
) -> None:
    """Give a route to the vehicle that drives it most cheaply; each is overlooked now and then."""
    kind = lists[route, L_KIND]
    size = list_route(links, route, flags[BODIES], buffer[0])
    if size == 0 or len(kinds) == 1:
        return
    cheapest, choose = np.inf, kind
    for other in range(len(kinds)):
        if (other != kind and used[other] >= kinds[other, COUNT]) or draw_unit(rng) < 0.1:
            continue
        price = price_sequence(
            buffer[0], size, other, links, nodes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags,
            scratch,
        )  # fmt: skip
        if price < cheapest:
            cheapest, choose = price, other
    if choose != kind:
        _log(log, state, _TURN, route, kind)
        _turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, route, choose)


@nb.njit(cache=True)
def _take_waiting(rng: Rng, state: IntArray, lists: IntArray, removed: IntArray, count: int) -> int:
    """Add waiting tasks, drawn by chance when there are many."""
    taken = min(state[WAITING], _MOST_WAITING)
    for i in range(taken):
        at = i + draw_below(rng, state[WAITING] - i)
        task = lists[at, L_WAITING]
        lists[at, L_WAITING] = lists[i, L_WAITING]
        lists[i, L_WAITING] = task
        removed[count] = task
        count += 1
    for i in range(taken, state[WAITING]):
        lists[i - taken, L_WAITING] = lists[i, L_WAITING]
    state[WAITING] -= taken
    return count


@nb.njit(cache=True)
def _sort_removed(
    nodes: FloatArray,
    amounts: FloatArray,
    kinds: FloatArray,
    members: IntArray,
    xy: FloatArray,
    far: FloatArray,
    flags: IntArray,
    removed: IntArray,
    keys: FloatArray,
    count: int,
    rng: Rng,
) -> None:
    """Order of insertion: by chance, amount, distance from a depot, and with windows by their width and ends."""
    rule = draw_unit(rng) * (16.0 if flags[TIMED] else 11.0)
    depot = int(kinds[draw_below(rng, len(kinds)), START])
    for i in range(count):
        client = members[removed[i], 0]
        if rule < 4.0:
            keys[i] = draw_unit(rng)
        elif rule < 8.0:
            keys[i] = 0.0
            for q in range(amounts.shape[1] - 1):
                keys[i] -= abs(amounts[client, q])
        elif rule < 11.0:
            away = hop_distance(xy, far, flags[ROUNDING], 0, depot, client)
            keys[i] = -away if rule < 10.0 else away
        elif rule < 13.0:
            keys[i] = nodes[client, CLOSE] - nodes[client, OPEN]
        else:
            keys[i] = nodes[client, OPEN] if rule < 15.0 else -nodes[client, CLOSE]
        if flags[BACKHAUL] and amounts[client, amounts.shape[1] - 1] > 0.0:
            keys[i] += 1e15  # a route cannot begin with them
    order_by_key(removed, keys, count)


@nb.njit(cache=True)
def _recreate(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    kin: Flags,
    partner: IntArray,
    near: Links,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    members: IntArray,
    required: Flags,
    flags: IntArray,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    stops: IntArray,
    removed: IntArray,
    count: int,
    log: IntArray,
    old: FloatArray,
    memo: FloatArray,
    stamps: IntArray,
    choice: IntArray,
    buffer: IntArray,
    scratch: FloatArray,
) -> float:
    """Insert tasks one after the other where they cost least; return the prizes won, with a minus."""
    won = 0.0
    eager = draw_unit(rng) < settings[EAGER]
    for i in range(count):
        task = removed[i]
        value = np.inf
        for m in range(members.shape[1]):
            client = members[task, m]
            if client < 0 or (m > 0 and partner[client] >= 0):
                break
            value = _best_of_client(
                links, nodes, routes, kinds, caps, amounts, wins, allowed, kin, partner, near, xy, far, long, flags,
                settings, rng, state, lists, used, stops, memo, stamps, choice, buffer, scratch, client, value,
                required[task],
            )  # fmt: skip
        if value == np.inf:
            if required[task]:
                lists[state[WAITING], L_WAITING] = task
                state[WAITING] += 1
            continue
        if not required[task] and value >= 0.0 and not eager:
            continue
        client = choice[CLIENT]
        won -= nodes[client, PRIZE]
        _apply(
            links, nodes, routes, kinds, amounts, wins, xy, far, long, flags, state, lists, used, log, old, choice,
            partner[client],
        )  # fmt: skip
        if partner[client] >= 0:
            won -= nodes[partner[client], PRIZE]
    return won


@nb.njit(cache=True)
def _apply(
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
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    log: IntArray,
    old: FloatArray,
    choice: IntArray,
    second: int,
) -> None:
    """Carry out a choice."""
    client, before, stop = choice[CLIENT], choice[BEFORE], choice[RELOAD]
    route = as_index(links[before, ROUTE])
    _touch(routes, state, lists, old, route)
    if lists[route, L_KIND] != choice[KIND]:
        _log(log, state, _TURN, route, lists[route, L_KIND])
        _turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, route, choice[KIND])
    _log(log, state, _PUT_IN, client, before)
    _put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, client, before)
    at = client
    if second >= 0:
        at = choice[SECOND] if choice[SECOND] >= 0 else client
        _log(log, state, _PUT_IN, second, at)
        _put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, second, at)
        at = second if choice[SECOND] < 0 else client
    if stop >= 0:
        where = at if choice[BEHIND] else before
        _log(log, state, _PUT_IN, stop, where)
        _put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, stop, where)
    refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, lists[route, L_KIND])


@nb.njit(cache=True)
def _empty_route(links: Links, state: IntArray, lists: IntArray, bodies: int) -> int:
    while state[EMPTY] > 0:
        route = lists[state[EMPTY] - 1, L_EMPTY]
        if links[bodies + route, SUCC] >= bodies:
            return int(route)
        state[EMPTY] -= 1
        lists[route, L_STACKED] = 0
    return -1


@nb.njit(cache=True)
def _best_of_client(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    kin: Flags,
    partner: IntArray,
    near: Links,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    settings: FloatArray,
    rng: Rng,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    stops: IntArray,
    memo: FloatArray,
    stamps: IntArray,
    choice: IntArray,
    buffer: IntArray,
    scratch: FloatArray,
    client: int,
    value: float,
    required: bool,  # noqa: FBT001
) -> float:
    """Improve `choice` by the best place of a client (and its partner): in a route nearby, alone, or anywhere."""
    blink, second = settings[BLINK], partner[client]
    route_kind = lists[:, L_KIND]
    stamps[-1] += 1
    now = stamps[-1]
    spares = buffer[2, : flags[DEPOTS] if len(stops) else 0]
    spares[:] = -1
    for s in range(len(stops)):
        if links[stops[s, 0], ROUTE] < 0:
            spares[stops[s, 1]] = stops[s, 0]
    if flags[EXACT] == 0 and second < 0:
        value = best_place(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, kin, near, xy, far, long, flags, blink,
            rng, route_kind, used, memo, stamps, now, client, choice, value,
        )  # fmt: skip
    else:
        for one in (client, second):
            if one < 0:
                continue
            for k in range(near.shape[1]):
                if near[one, k] < 0:
                    break
                route = as_index(links[near[one, k], ROUTE])
                if route < 0 or stamps[route] == now:
                    continue
                stamps[route] = now
                value = _best_in_route(
                    links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags, blink,
                    rng, route_kind, used, spares, route, client, second, choice, value, buffer, scratch,
                )  # fmt: skip
    fresh = _empty_route(links, state, lists, flags[BODIES])
    if fresh >= 0:
        value = _best_alone(
            links, nodes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags, rng, used, fresh, client,
            second, choice, value, buffer, scratch,
        )  # fmt: skip
    if value == np.inf and required:
        for route in range(len(routes)):
            if routes[route, SIZE] == 0.0 or (flags[EXACT] and stamps[route] == now):
                continue
            if flags[EXACT] or fits_somehow(routes, kinds, caps, amounts, used, route, route_kind[route], client):
                value = _best_in_route(
                    links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags, blink,
                    rng, route_kind, used, spares, route, client, second, choice, value, buffer, scratch,
                )  # fmt: skip
    return value


@nb.njit(cache=True)
def _best_in_route(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    blink: float,
    rng: Rng,
    route_kind: IntArray,
    used: IntArray,
    spares: IntArray,
    route: int,
    client: int,
    second: int,
    choice: IntArray,
    value: float,
    buffer: IntArray,
    scratch: FloatArray,
) -> float:
    if second >= 0 and flags[PAIRED]:
        return best_pair_place(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, xy, far, long, flags, blink, rng, route,
            route_kind[route], client, second, choice, value,
        )  # fmt: skip
    return best_exact_place(
        links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags, blink, rng, route_kind,
        used, spares, route, client, second, choice, value, buffer[0], buffer[1], scratch,
    )  # fmt: skip


@nb.njit(cache=True)
def _best_alone(
    links: Links,
    nodes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    rng: Rng,
    used: IntArray,
    fresh: int,
    client: int,
    second: int,
    choice: IntArray,
    value: float,
    buffer: IntArray,
    scratch: FloatArray,
) -> float:
    """Improve `choice` by a route of its own."""
    buffer[0, 0], size, prize = client, 1, nodes[client, PRIZE]
    if second >= 0:
        buffer[0, 1], size, prize = second, 2, prize + nodes[second, PRIZE]
    for kind in range(len(kinds)):
        if used[kind] >= kinds[kind, COUNT]:
            continue
        price = price_sequence(
            buffer[0], size, kind, links, nodes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags,
            scratch,
        )  # fmt: skip
        if price - prize < value and (len(kinds) == 1 or draw_unit(rng) > 0.1):
            value = price - prize
            choice[BEFORE], choice[KIND], choice[RELOAD] = flags[BODIES] + fresh, kind, -1
            choice[CLIENT], choice[SECOND] = client, -1
    return value


@nb.njit(cache=True)
def load_route(
    links: Links,
    nodes: FloatArray,
    routes: FloatArray,
    kinds: FloatArray,
    caps: FloatArray,
    amounts: FloatArray,
    wins: FloatArray,
    allowed: Flags,
    partner: IntArray,
    xy: FloatArray,
    far: FloatArray,
    long: FloatArray,
    flags: IntArray,
    state: IntArray,
    lists: IntArray,
    used: IntArray,
    scratch: FloatArray,
    sequence: IntArray,
    route: int,
    kind: int,
) -> bool:
    """Fill an empty route with nodes in their order, unless it must not be driven; return whether it was filled."""
    price = price_sequence(
        sequence, len(sequence), kind, links, nodes, kinds, caps, amounts, wins, allowed, partner, xy, far, long, flags,
        scratch,
    )  # fmt: skip
    if price == np.inf or used[kind] >= kinds[kind, COUNT]:
        return False
    _turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, route, kind)
    before = flags[BODIES] + route
    for node in sequence:
        _put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, node, before)
        before = node
    refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, kind)
    return True
