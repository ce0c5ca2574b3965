"""Where a round puts tasks into rich routes, compiled; see `vrp_rich`."""

from __future__ import annotations

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
)
from gnnlib.heads.combinatorial.kernels.vrp_rich_choice import best_of_client
from gnnlib.heads.combinatorial.kernels.vrp_rich_moves import (
    EAGER,
    L_KIND,
    L_WAITING,
    LOGGED,
    MOST_WAITING,
    NOW,
    PUT_IN,
    TOUCHED,
    TURN,
    WAITING,
    put_in,
    touch,
    turn_kind,
    write_log,
)
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BACKHAUL,
    BODIES,
    CLOSE,
    LASTING,
    OPEN,
    OUT,
    PRIZE,
    ROUNDING,
    SIZE,
    START,
    TIMED,
    hop_distance,
    refresh_insertion,
    refresh_route,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import (
    ROUTE,
    as_index,
    draw_below,
    draw_unit,
    order_by_key,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]
Rng = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


__all__ = ["insert_tasks", "recreate", "sort_removed", "take_waiting"]


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
    recreate(
        links, nodes, routes, kinds, caps, amounts, wins, allowed, kin, partner, near, xy, far, long, members, required,
        flags, settings, rng, state, lists, used, stops, tasks, len(tasks), log, np.zeros(len(routes)),
        np.zeros((len(routes), 2)), np.zeros(len(routes) + 1, np.int64), np.zeros(6, np.int64),
        np.zeros((3, bodies + 8), np.int64), np.zeros(bodies + 8),
    )  # fmt: skip


@nb.njit(cache=True)
def take_waiting(rng: Rng, state: IntArray, lists: IntArray, removed: IntArray, count: int) -> int:
    """Add waiting tasks, drawn by chance when there are many."""
    taken = min(state[WAITING], MOST_WAITING)
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
def sort_removed(
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
def recreate(
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
            value = best_of_client(
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
    touch(routes, state, lists, old, route)
    simple = flags[LASTING] == 0 and second < 0 and stop < 0 and routes[route, SIZE] > 0.0
    if lists[route, L_KIND] != choice[KIND]:
        simple = False
        write_log(log, state, TURN, route, lists[route, L_KIND])
        turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, route, choice[KIND])
    write_log(log, state, PUT_IN, client, before)
    step = nodes[before, OUT]
    put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, client, before)
    if simple:
        grown = nodes[before, OUT] + nodes[client, OUT] - step
        kind = lists[route, L_KIND]
        refresh_insertion(links, nodes, routes, kinds, amounts, wins, flags, route, kind, client, grown)
        return
    at = client
    if second >= 0:
        at = choice[SECOND] if choice[SECOND] >= 0 else client
        write_log(log, state, PUT_IN, second, at)
        put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, second, at)
        at = second if choice[SECOND] < 0 else client
    if stop >= 0:
        where = at if choice[BEHIND] else before
        write_log(log, state, PUT_IN, stop, where)
        put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, stop, where)
    refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, lists[route, L_KIND])
