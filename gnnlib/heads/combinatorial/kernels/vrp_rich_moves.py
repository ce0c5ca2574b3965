"""Changes of rich routes, and taking them back, compiled; see `vrp_rich`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_price import price_sequence
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BODIES,
    COUNT,
    END,
    PLACE,
    PRICE,
    PROFILE,
    START,
    find_hops,
    refresh_route,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import (
    PRED,
    ROUTE,
    SUCC,
    as_index,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]
Rng = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

#: Entries of `state`: routes in use, required tasks that wait, empty routes in the stack, routes changed since the best
#: answer, length of the log, routes touched in this round, the round's stamp, served clients.
USED, WAITING, EMPTY, CHANGED, LOGGED, TOUCHED, NOW, SERVED = 0, 1, 2, 3, 4, 5, 6, 7
#: Columns of `lists`: waiting tasks, stack of empty routes, whether a route is in it, changed routes, whether changed,
#: touched routes, round of the last touch, round in which a route lost a string, kind of the route, round in which a
#: task was taken up.
L_WAITING, L_EMPTY, L_STACKED, L_CHANGED, L_MARKED = 0, 1, 2, 3, 4
L_TOUCHED, L_TOUCH, L_RUIN, L_KIND, L_TASK = 5, 6, 7, 8, 9
#: Entries of `settings`.
MEAN_REMOVED, MAX_STRING, BLINK, PENALTY, EAGER = 0, 1, 2, 3, 4

TAKE_OUT, PUT_IN, TURN = 0, 1, 2
MOST_WAITING = 30
"""Waiting tasks that a round tries again."""

__all__ = [
    "copy_changed",
    "write_log",
    "mark_changed",
    "put_in",
    "take_back",
    "take_out",
    "touch",
    "turn_kind",
    "load_route",
]


@nb.njit(cache=True)
def touch(routes: FloatArray, state: IntArray, lists: IntArray, old: FloatArray, route: int) -> None:
    """Remember the price of a route before its first change in a round."""
    if lists[route, L_TOUCH] != state[NOW]:
        lists[route, L_TOUCH] = state[NOW]
        lists[state[TOUCHED], L_TOUCHED] = route
        state[TOUCHED] += 1
        old[route] = routes[route, PRICE]


@nb.njit(cache=True)
def take_out(
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
    """Unlink a node."""
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
def put_in(
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
    """Link a node behind `before`."""
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
def turn_kind(
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
def write_log(log: IntArray, state: IntArray, what: int, node: int, at: int) -> None:
    """Add an entry to the log."""
    log[state[LOGGED], 0] = what
    log[state[LOGGED], 1] = node
    log[state[LOGGED], 2] = at
    state[LOGGED] += 1


@nb.njit(cache=True)
def mark_changed(state: IntArray, lists: IntArray) -> None:
    """Remember the touched routes as different from the best answer."""
    for i in range(state[TOUCHED]):
        route = lists[i, L_TOUCHED]
        if lists[route, L_MARKED] == 0:
            lists[route, L_MARKED] = 1
            lists[state[CHANGED], L_CHANGED] = route
            state[CHANGED] += 1


@nb.njit(cache=True)
def copy_changed(
    links: Links, best: Links, best_kind: IntArray, flags: IntArray, state: IntArray, lists: IntArray
) -> None:
    """Bring the best answer up to date."""
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
def take_back(
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
        if what == TAKE_OUT:
            put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, node, at)
        elif what == PUT_IN:
            take_out(links, nodes, xy, far, long, kinds, flags, state, lists, used, node)
        else:
            turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, node, at)
    for i in range(state[TOUCHED]):
        route = lists[i, L_TOUCHED]
        refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, lists[route, L_KIND])


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
    turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, route, kind)
    before = flags[BODIES] + route
    for node in sequence:
        put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, node, before)
        before = node
    refresh_route(links, nodes, routes, kinds, amounts, wins, flags, route, kind)
    return True
