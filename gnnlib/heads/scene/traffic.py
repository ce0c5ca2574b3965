"""The compiled traffic model: one call computes the motion of all vehicles of a scene.

Car following is the intelligent driver model (`drivers_state`); lane changes are MOBIL (A. Kesting, M. Treiber,
D. Helbing, *General lane-changing model MOBIL for car-following models*, 2007, equations 2 and 3); crossing traffic is
seen as a standing obstacle before the conflict area (`right_of_way`). The first call compiles for some seconds; the
result is cached on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.scene.planning.drivers_state import (
    Fleet,
    Motion,
    State,
    follow_acceleration,
    free_acceleration,
    hold,
    lane_of,
    place_on,
)
from gnnlib.heads.scene.planning.right_of_way import give_way, see_signals

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road_tables import Roads
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Fleet", "Motion", "follow_acceleration", "free_acceleration", "simulate"]

_SIGHT_M = 90.0
_HARDEST = 9.0  # m/s^2
_SAFE = 3.5  # m/s^2 that a lane change may force on the car behind
_GAIN = 0.25  # m/s^2 that a lane change must bring
_FAR = 1e6


@nb.njit(cache=True)
def _around(roads: Roads, fleet: Fleet, state: State, i: int, route: int, at: float) -> tuple[int, float, int, float]:
    """Leader and its gap, follower and its gap, of driver i if it were at S = `at` on `route`; -1: nobody."""
    leader, ahead, follower, behind = -1, _FAR, -1, _FAR
    for j in range(len(state.active)):
        if j == i or state.active[j] != 1:
            continue
        there = place_on(roads, route, state.lane[j], state.along[j])
        if state.other_lane[j] >= 0:
            there = max(there, place_on(roads, route, state.other_lane[j], state.other_along[j]))
        if there == -np.inf:
            continue
        half = 0.5 * (fleet.length[i] + fleet.length[j])
        if there > at or (there == at and j > i):
            if there - at - half < ahead:
                leader, ahead = j, there - at - half
        elif at - there - half < behind:
            follower, behind = j, at - there - half
    return leader, ahead, follower, behind


@nb.njit(cache=True)
def _wish(roads: Roads, fleet: Fleet, state: State, i: int) -> float:
    """Speed that driver i wants here: the allowed one times a personal factor, which bends damp."""
    row = roads.speed[state.route[i]]
    place = min(max(state.at[i], 0.0) / 2.0, len(row) - 1.001)
    k = int(place)
    allowed = row[k] + (row[k + 1] - row[k]) * (place - k)
    return max(allowed * fleet.wish[i], 0.3)


@nb.njit(cache=True)
def _acceleration(
    roads: Roads, fleet: Fleet, state: State, i: int, walkers: IntArray, noise: float, step: int
) -> float:
    """All that acts on driver i, in m/s^2."""
    if fleet.event_kind[i] == 1 and fleet.event_from[i] <= step < fleet.event_to[i]:
        return -fleet.event_size[i]
    route, speed = state.route[i], state.speed[i]
    free = free_acceleration(speed, _wish(roads, fleet, state, i), fleet.accelerate[i], fleet.brake[i]) + noise
    leader, gap, _, _ = _around(roads, fleet, state, i, route, state.at[i])
    total = free
    if leader >= 0 and gap < _SIGHT_M:
        total = free + follow_acceleration(fleet, i, speed, gap, speed - state.speed[leader])
    if state.red[i] < np.inf:
        total = min(total, free + hold(fleet, state, i, state.red[i]))
    if roads.dead_end[route] == 1 and roads.route_length[route] - state.at[i] < _SIGHT_M:
        total = min(total, free + hold(fleet, state, i, roads.route_length[route] - 3.0))
    way = give_way(roads, fleet, state, i)
    if way < np.inf:
        total = min(total, free + way)
    front = state.at[i] + 0.5 * fleet.length[i]
    for c in range(roads.crossing_start[route], roads.crossing_start[route + 1]):
        line = roads.crossing_at[c] - 3.0
        room = line - front
        is_close = 0.0 < room < 45.0 and speed**2 < 2.0 * 7.0 * max(room, 0.1)
        if is_close and walkers[roads.crossing[c], step] == 1:
            total = min(total, free + hold(fleet, state, i, line))
    return max(min(total, fleet.accelerate[i] + 0.5), -_HARDEST)


@nb.njit(cache=True)
def _change_pays(roads: Roads, fleet: Fleet, state: State, i: int, side: tuple[int, float, float], now: float) -> bool:
    """MOBIL: whether the change is safe for the car behind and brings more than it costs the others.

    `side` is the route beside, S on it, and the urge to change in m/s^2 (a lane that ends).
    """
    route, at, urge = side
    leader, ahead, follower, behind = _around(roads, fleet, state, i, route, at)
    if ahead < 1.0 or behind < 1.0:
        return False
    wish = _wish(roads, fleet, state, i)
    then = free_acceleration(state.speed[i], wish, fleet.accelerate[i], fleet.brake[i])
    if leader >= 0 and ahead < _SIGHT_M:
        then += follow_acceleration(fleet, i, state.speed[i], ahead, state.speed[i] - state.speed[leader])
    cost = 0.0
    if follower >= 0 and behind < _SIGHT_M:
        closing = state.speed[follower] - state.speed[i]
        cost = -follow_acceleration(fleet, follower, state.speed[follower], behind, closing)
        if cost > _SAFE + 0.5 * min(urge, 4.0):
            return False
    return then > -_SAFE - 0.5 * urge and then - now - fleet.courtesy[i] * cost > _GAIN - urge


@nb.njit(cache=True)
def _change_lanes(roads: Roads, fleet: Fleet, state: State, i: int, now: float, step: int) -> None:
    """Start a lane change of driver i if one is possible and pays, or an event asks for it."""
    route, lane = state.route[i], state.lane[i]
    is_forced = fleet.event_kind[i] == 2 and step >= fleet.event_from[i] and step < fleet.event_to[i]
    if state.other_lane[i] >= 0 or (state.rest[i] > step and not is_forced) or state.speed[i] < 1.5:
        return
    has_junction = roads.signal[lane] >= 0 or roads.conflict_start[route] < roads.conflict_start[route + 1]
    if has_junction and roads.length[lane] - state.along[i] < 0.9 * state.speed[i]:
        return
    for to_left in (True, False):
        target = roads.left_lane[lane] if to_left else roads.right_lane[lane]
        beside = roads.left_route[route] if to_left else roads.right_route[route]
        if target < 0 or beside < 0 or roads.offset[beside, target] < 0.0:
            continue
        along = state.along[i] * roads.length[target] / roads.length[lane]
        at = roads.offset[beside, target] + along
        urge = 0.0 if to_left else 0.1
        if roads.dead_end[route] == 1:
            urge = 1.0 + 120.0 / max(roads.route_length[route] - state.at[i], 12.0)
        _, ahead, _, behind = _around(roads, fleet, state, i, beside, at)
        if (is_forced and ahead > 3.0 and behind > 2.0) or _change_pays(
            roads, fleet, state, i, (beside, at, urge), now
        ):
            width = 0.5 * (roads.width[lane] + roads.width[target])
            state.route[i], state.at[i] = beside, at
            state.other_lane[i], state.other_along[i] = lane, state.along[i]
            state.lane[i], state.along[i] = target, along
            state.change_from[i] = -width if to_left else width
            state.change_start[i] = step
            state.change_steps[i] = 20 if is_forced else 30 + (i * 7) % 25
            state.rest[i] = step + 80 + (i * 13) % 60
            return


@nb.njit(cache=True)
def _enter(roads: Roads, fleet: Fleet, state: State, i: int) -> None:
    """Let driver i come in if there is room where it starts."""
    route = fleet.route[i]
    leader, gap, _, behind = _around(roads, fleet, state, i, route, fleet.start[i])
    speed = fleet.speed[i]
    if leader >= 0:
        speed = min(speed, state.speed[leader] + 0.25 * max(gap - 4.0, 0.0))
        if gap < fleet.gap[i] + 0.6 * speed * fleet.headway[i]:
            return
    if behind < 4.0:
        return
    state.active[i] = 1
    state.route[i], state.at[i], state.speed[i] = route, fleet.start[i], speed
    k = lane_of(roads, route, fleet.start[i])
    state.lane[i] = roads.route_lane[route, k]
    state.along[i] = fleet.start[i] - roads.offset[route, state.lane[i]]


@nb.njit(cache=True)
def _move(roads: Roads, state: State, i: int, acceleration: float, dt: float, step: int) -> None:
    """Advance driver i by one step with constant acceleration, never backwards."""
    speed = state.speed[i] + acceleration * dt
    if speed < 0.0:
        advance = state.speed[i] ** 2 / (2.0 * max(-acceleration, 1e-6))
        speed = 0.0
    else:
        advance = 0.5 * (state.speed[i] + speed) * dt
    state.speed[i] = speed
    state.at[i] += advance
    state.waited[i] = state.waited[i] + dt if speed < 0.4 else 0.0
    k = lane_of(roads, state.route[i], state.at[i])
    if k < 0:
        state.active[i] = 2
        return
    state.lane[i] = roads.route_lane[state.route[i], k]
    state.along[i] = state.at[i] - roads.offset[state.route[i], state.lane[i]]
    if state.other_lane[i] >= 0:
        state.other_along[i] += advance
        share = (step - state.change_start[i]) / state.change_steps[i]
        if share > 0.75 or state.other_along[i] > roads.length[state.other_lane[i]]:
            state.other_lane[i] = -1


@nb.njit(cache=True)
def _beside_lane(state: State, i: int, step: int) -> float:
    """Metres to the left of the lane while a change is under way: a quintic with smooth ends."""
    if state.change_steps[i] == 0:
        return 0.0
    share = (step - state.change_start[i]) / state.change_steps[i]
    if share >= 1.0:
        return 0.0
    return state.change_from[i] * (1.0 - share**3 * (10.0 - 15.0 * share + 6.0 * share**2))


@nb.njit(cache=True)
def simulate(roads: Roads, fleet: Fleet, signals: IntArray, walkers: IntArray, noise: FloatArray, dt: float) -> Motion:
    """Run the traffic of one scene.

    Parameters
    ----------
    roads : Roads
    fleet : Fleet
        Drivers wait outside from their first step on until there is room for them.
    signals : int array [G, T]
        State of each signal group at each step, as in `SIGNAL_STATES`.
    walkers : int array [crossings, T]
        1 while a crossing has to be kept free.
    noise : array [T, A]
        Added to the accelerations, in m/s^2.
    dt : float
        Seconds a step.

    Returns
    -------
    Motion
        Arrays [T, A].
    """
    steps, count = noise.shape
    motion = Motion(
        np.full((steps, count), -1), np.zeros((steps, count)), np.zeros((steps, count)), np.zeros((steps, count))
    )
    state = State(
        np.zeros(count, np.int64),
        fleet.route.copy(),
        np.zeros(count),
        np.zeros(count),
        np.full(count, -1),
        np.zeros(count),
        np.full(count, -1),
        np.zeros(count),
        np.zeros(count),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count),
        np.full(count, np.inf),
    )
    pull = np.zeros(count)
    for step in range(steps):
        for i in range(count):
            if state.active[i] == 0 and fleet.first_step[i] <= step:
                _enter(roads, fleet, state, i)
        see_signals(roads, fleet, state, signals, step)
        for i in range(count):
            if state.active[i] == 1:
                pull[i] = _acceleration(roads, fleet, state, i, walkers, noise[step, i], step)
                motion.lane[step, i], motion.along[step, i] = state.lane[i], state.along[i]
                motion.left[step, i], motion.speed[step, i] = _beside_lane(state, i, step), state.speed[i]
        for i in range(count):
            if state.active[i] == 1:
                _change_lanes(roads, fleet, state, i, pull[i], step)
                _move(roads, state, i, pull[i], dt, step)
    return motion
