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

from gnnlib.heads.combinatorial.kernels.vrp_rich_moves import (
    L_TOUCHED,
    L_WAITING,
    LOGGED,
    NOW,
    PENALTY,
    TOUCHED,
    WAITING,
    copy_changed,
    mark_changed,
    take_back,
)
from gnnlib.heads.combinatorial.kernels.vrp_rich_recreate import recreate, sort_removed, take_waiting
from gnnlib.heads.combinatorial.kernels.vrp_rich_ruin import ruin
from gnnlib.heads.combinatorial.kernels.vrp_route import (
    BODIES,
    PRICE,
)
from gnnlib.heads.combinatorial.kernels.vrp_strings import (
    draw_unit,
)

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray


Links = npt.NDArray[np.int32]
Rng = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


__all__ = ["anneal_rich"]


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
        count, change = ruin(
            links, nodes, routes, kinds, caps, amounts, wins, allowed, partner, near, xy, far, long, members, task_of, required,
            flags, settings, rng, state, lists, used, removed, log, old, buffer, scratch,
        )  # fmt: skip
        count = take_waiting(rng, state, lists, removed, count)
        sort_removed(nodes, amounts, kinds, members, xy, far, flags, removed, keys, count, rng)
        change += recreate(
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
            mark_changed(state, lists)
            if costs[0] < costs[1] - 1e-7:
                costs[1] = costs[0]
                copy_changed(links, best, best_kind, flags, state, lists)
        else:
            take_back(links, nodes, routes, kinds, amounts, wins, xy, far, long, flags, state, lists, used, log)
            state[WAITING] = waiting
            for i in range(waiting):
                lists[i, L_WAITING] = held[i]
