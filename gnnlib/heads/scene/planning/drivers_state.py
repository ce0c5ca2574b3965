"""Vehicles, drivers and the present moment of generated traffic, and how one driver follows another.

The intelligent driver model: M. Treiber, A. Hennecke, D. Helbing, *Congested traffic states in empirical observations
and microscopic simulations*, 2000, equations 2-4, with a bounded return to the wished speed when going faster than it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road_tables import Roads
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Fleet", "Motion", "State", "follow_acceleration", "free_acceleration", "hold", "lane_of", "place_on"]


class Fleet(NamedTuple):
    """Drivers and vehicles, one an entry [A], in order of their first step; speeds m/s, lengths m.

    `event_kind` 1 brakes at `event_size` m/s^2 from step `event_from` to `event_to`; 2 changes lanes at `event_from`
    with little regard; 3 ignores signals from `event_from` to `event_to`.
    """

    route: IntArray
    first_step: IntArray
    start: FloatArray
    speed: FloatArray
    length: FloatArray
    wish: FloatArray
    headway: FloatArray
    accelerate: FloatArray
    brake: FloatArray
    gap: FloatArray
    courtesy: FloatArray
    patience: FloatArray
    event_kind: IntArray
    event_from: IntArray
    event_to: IntArray
    event_size: FloatArray


class Motion(NamedTuple):
    """What a run gives, [T, A]: lane (-1 while absent), metres along it, metres to its left, speed in m/s."""

    lane: IntArray
    along: FloatArray
    left: FloatArray
    speed: FloatArray


class State(NamedTuple):
    """The present moment, [A]; `other_*` is the lane that is being left, `red` where a signal holds one up."""

    active: IntArray
    route: IntArray
    at: FloatArray
    speed: FloatArray
    lane: IntArray
    along: FloatArray
    other_lane: IntArray
    other_along: FloatArray
    change_from: FloatArray
    change_start: IntArray
    change_steps: IntArray
    rest: IntArray
    waited: FloatArray
    red: FloatArray


@nb.njit(cache=True)
def free_acceleration(speed: float, wish: float, accelerate: float, brake: float) -> float:
    """Acceleration in m/s^2 on an empty road: ``a (1 - (v / v0)^4)``, bounded by `brake` above the wished speed."""
    if speed <= wish:
        return accelerate * (1.0 - (speed / wish) ** 4)
    return -brake * (1.0 - (wish / speed) ** (4.0 * accelerate / brake))


@nb.njit(cache=True)
def follow_acceleration(fleet: Fleet, i: int, speed: float, gap: float, closing: float) -> float:
    """Return what a leader `gap` metres ahead, approached at `closing` m/s, takes off the free acceleration of driver i."""
    wanted = fleet.gap[i] + max(
        0.0, speed * fleet.headway[i] + speed * closing / (2.0 * math.sqrt(fleet.accelerate[i] * fleet.brake[i]))
    )
    return -fleet.accelerate[i] * (wanted / max(gap, 0.1)) ** 2


@nb.njit(cache=True, inline="always")
def place_on(roads: Roads, route: int, lane: int, along: float) -> float:
    """Where a point of a lane lies on a route; minus infinity when it does not touch it."""
    if lane < 0:
        return -np.inf
    if roads.offset[route, lane] >= 0.0:
        return roads.offset[route, lane] + along
    if roads.fork[route, lane] >= 0.0 and along < roads.fork_until[route, lane]:
        return roads.fork[route, lane] + along
    if roads.join_from[route, lane] > 0.0 and along > roads.join_from[route, lane]:
        return roads.join[route, lane] + along
    return -np.inf


@nb.njit(cache=True)
def lane_of(roads: Roads, route: int, at: float) -> int:
    """Return the number of the lane within the route that S = `at` falls on; -1 beyond the end."""
    for k in range(roads.route_lane.shape[1]):
        lane = roads.route_lane[route, k]
        if lane < 0:
            return -1
        if at < roads.offset[route, lane] + roads.length[lane]:
            return k
    return -1


@nb.njit(cache=True)
def hold(fleet: Fleet, state: State, i: int, stop_at: float) -> float:
    """Acceleration that lets the front of i stand still before S = `stop_at`."""
    gap = stop_at - state.at[i] - 0.5 * fleet.length[i]
    return follow_acceleration(fleet, i, state.speed[i], gap + 0.7 * fleet.gap[i], state.speed[i])
