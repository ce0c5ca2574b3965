"""Right of way in generated traffic: signals, and who waits where lanes meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.scene.planning.drivers_state import hold

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road_tables import Roads
    from gnnlib.heads.scene.planning.drivers_state import Fleet, State
    from gnnlib.typing import IntArray

__all__ = ["give_way", "see_signals"]


@nb.njit(cache=True)
def see_signals(roads: Roads, fleet: Fleet, state: State, signals: IntArray, step: int) -> None:
    """Set `state.red`: S of the stop line that each driver has to stop at, infinity when there is none."""
    for i in range(len(state.active)):
        state.red[i] = np.inf
        if state.active[i] != 1:
            continue
        if fleet.event_kind[i] == 3 and fleet.event_from[i] <= step < fleet.event_to[i]:
            continue
        route = state.route[i]
        front = state.at[i] + 0.5 * fleet.length[i]
        for k in range(roads.route_lane.shape[1]):
            lane = roads.route_lane[route, k]
            if lane < 0:
                break
            line = roads.offset[route, lane] + roads.length[lane]
            if roads.signal[lane] < 0 or front > line:
                continue
            colour = signals[roads.signal[lane], step]
            room = line - front
            needed = state.speed[i] ** 2 / (2.0 * max(room, 0.1))
            if (colour == 1 and needed < 7.0) or (colour == 2 and needed < 3.0):
                state.red[i] = line
            break


@nb.njit(cache=True)
def _must_wait(roads: Roads, fleet: Fleet, state: State, i: int, c: int, j: int) -> bool:
    """Whether driver i has to leave the conflict area c to driver j for now."""
    lane = roads.conflict_lane[c]
    base = roads.offset[state.route[j], lane]
    if base < 0.0:
        return False
    half = 0.5 * fleet.length[j]
    to_in = base + roads.conflict_lane_in[c] - state.at[j] - half
    to_out = base + roads.conflict_lane_out[c] - state.at[j] + half
    if to_out < 0.0:
        return False
    my_in = roads.conflict_in[c] - state.at[i] - 0.5 * fleet.length[i]
    my_out = roads.conflict_out[c] - state.at[i] + 0.5 * fleet.length[i]
    mine, theirs = max(state.speed[i], 2.5), max(state.speed[j], 2.5)
    if to_in < 0.0:  # j is inside: wait unless it will be gone
        return to_out / theirs > my_in / mine - 0.3
    if roads.conflict_rule[c] == 0 or to_in > 70.0 or state.red[j] < state.at[j] + half + to_in:
        return False
    if state.waited[i] > fleet.patience[i] and state.speed[j] < 1.0 and state.waited[j] < state.waited[i]:
        return False
    if roads.conflict_rule[c] == 2:
        early = my_in / mine - to_in / theirs
        return to_in < 25.0 and (early > 0.0 or (early == 0.0 and i > j)) and state.waited[j] >= state.waited[i]
    return to_in / theirs < my_out / max(state.speed[i], 4.0) + 1.2


@nb.njit(cache=True)
def _before(roads: Roads, fleet: Fleet, state: State, i: int, c: int) -> float:
    """Where to wait for conflict c: at the end of the lane before the junction while still on it."""
    route = state.route[i]
    front = state.at[i] + 0.5 * fleet.length[i]
    best = roads.conflict_in[c] - 1.0
    for k in range(roads.route_lane.shape[1]):
        lane = roads.route_lane[route, k]
        if lane < 0:
            break
        end = roads.offset[route, lane] + roads.length[lane]
        if end > front and end < best and best - end < 9.0:
            return end
    return best


@nb.njit(cache=True)
def give_way(roads: Roads, fleet: Fleet, state: State, i: int) -> float:
    """Acceleration that right of way asks of driver i; infinity when the way is free."""
    route = state.route[i]
    front = state.at[i] + 0.5 * fleet.length[i]
    for c in range(roads.conflict_start[route], roads.conflict_start[route + 1]):
        room = roads.conflict_in[c] - front
        if room < 0.0 or room > 50.0 or state.speed[i] ** 2 > 2.0 * 6.0 * max(room, 0.1):
            continue
        lane = roads.conflict_lane[c]
        for j in range(len(state.active)):
            base = roads.offset[state.route[j], lane]
            if j == i or state.active[j] != 1 or base < 0.0:
                continue
            ahead = base - state.at[j]
            is_near = ahead < 75.0 and ahead + roads.length[lane] > -12.0
            if is_near and _must_wait(roads, fleet, state, i, c, j):
                return hold(fleet, state, i, _before(roads, fleet, state, i, c))
    return np.inf
