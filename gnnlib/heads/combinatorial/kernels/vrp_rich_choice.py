"""Where a client, or a pair, is served best by all routes of a rich problem, compiled; see `vrp_rich`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.vrp_pair import best_pair_place
from gnnlib.heads.combinatorial.kernels.vrp_place import (
    BEFORE,
    CLIENT,
    KIND,
    RELOAD,
    SECOND,
    best_exact_place,
    best_place,
    fits_somehow,
)
from gnnlib.heads.combinatorial.kernels.vrp_price import price_sequence
from gnnlib.heads.combinatorial.kernels.vrp_rich_moves import (
    BLINK,
    EMPTY,
    L_EMPTY,
    L_KIND,
    L_STACKED,
)
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BODIES,
    COUNT,
    DEPOTS,
    EXACT,
    PAIRED,
    PRIZE,
    SIZE,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import (
    ROUTE,
    SUCC,
    as_index,
    draw_unit,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]
Rng = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


__all__ = ["best_of_client"]


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
def best_of_client(
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
