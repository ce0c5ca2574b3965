"""Which tasks a round takes out of rich routes, compiled; see `vrp_rich`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_place import (
    list_route,
)
from gnnlib.heads.combinatorial.kernels.vrp_price import price_sequence
from gnnlib.heads.combinatorial.kernels.vrp_rich_moves import (
    L_KIND,
    L_RUIN,
    L_TASK,
    L_TOUCHED,
    LOGGED,
    MAX_STRING,
    MEAN_REMOVED,
    NOW,
    SERVED,
    TAKE_OUT,
    TOUCHED,
    TURN,
    USED,
    put_in,
    take_out,
    touch,
    turn_kind,
    write_log,
)
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BACKHAUL,
    BODIES,
    CLOSES,
    COUNT,
    DEP,
    DEPOTS,
    DISTANCE,
    DURATION,
    LASTING,
    MAX_DISTANCE,
    MAX_DURATION,
    PLACES,
    PRIZE,
    SIZE,
    SLACK,
    TIMED,
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
    string_sizes,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]
Rng = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


__all__ = ["ruin"]


@nb.njit(cache=True)
def _is_broken(
    routes: FloatArray, nodes: FloatArray, kinds: FloatArray, flags: IntArray, route: int, kind: int
) -> bool:
    """Whether a route may not be driven after clients went: where distances break the triangle inequality."""
    last = flags[BODIES] + route + len(routes)
    if flags[TIMED] and (nodes[last, DEP] == np.inf or nodes[last, DEP] > kinds[kind, CLOSES] + SLACK):
        return True
    if not routes[route, DISTANCE] <= kinds[kind, MAX_DISTANCE] + SLACK or routes[route, DISTANCE] == np.inf:
        return True
    return bool(flags[LASTING] and routes[route, DURATION] > kinds[kind, MAX_DURATION] + SLACK)


@nb.njit(cache=True)
def _is_left(links: Links, members: IntArray, required: Flags, task: int) -> bool:
    """Whether a task need not be done and is not."""
    if required[task]:
        return False
    for client in members[task]:
        if client >= 0 and links[client, ROUTE] >= 0:
            return False
    return True


@nb.njit(cache=True)
def ruin(
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
    members: IntArray,
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
            if optional > 0 and lists[task, L_TASK] != state[NOW] and _is_left(links, members, required, task):
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
            if node < places and not stays_from <= i < stays_from + kept:  # stops for reloading stay for now
                if partner[node] == behind:
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
        touch(routes, state, lists, old, links[one, ROUTE])
        write_log(log, state, TAKE_OUT, one, links[one, PRED])
        take_out(links, nodes, xy, far, long, kinds, flags, state, lists, used, one)
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
            write_log(log, state, TAKE_OUT, stop, links[stop, PRED])
            at = as_index(links[stop, PRED])
            take_out(links, nodes, xy, far, long, kinds, flags, state, lists, used, stop)
            rest = list_route(links, route, bodies, buffer[1])
            price = price_sequence(
                buffer[1], rest, kind, links, nodes, kinds, caps, amounts, wins, allowed, partner, xy, far, long,
                flags, scratch,
            ) if rest > 0 else 0.0  # fmt: skip
            if price == np.inf:
                put_in(links, nodes, xy, far, long, kinds, flags, state, lists, used, stop, at)
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
        write_log(log, state, TURN, route, kind)
        turn_kind(links, nodes, routes, xy, far, long, kinds, flags, lists, used, route, choose)
