"""Simple policies to compare with: repeat the recording, keep the velocity, follow the route behind the leader."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.kinematics import check_positive
from gnnlib.heads.scene.planning.idm import IDM, find_leader, stop_places
from gnnlib.heads.scene.problem import wrap_angle

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road import Route
    from gnnlib.heads.scene.planning.driving import Observation
    from gnnlib.heads.scene.problem import AgentId, Scene
    from gnnlib.typing import FloatArray

__all__ = ["ConstantVelocity", "IDMPolicy", "LogReplay", "desired_speed", "path_offsets"]

DEFAULT_SPEED = 15.0


class ConstantVelocity:
    """Keep heading and speed, whatever comes.

    Examples
    --------
    >>> ConstantVelocity().name
    'constant velocity'
    """

    name = "constant velocity"

    def __call__(self, observation: Observation) -> FloatArray:
        """Plan a straight line."""
        now = observation.state
        way = now.speed * observation.dt * np.arange(1, observation.horizon + 1)
        x, y = now.x + way * math.cos(now.heading_rad), now.y + way * math.sin(now.heading_rad)
        return np.column_stack([x, y, np.full(len(way), now.heading_rad)])


class LogReplay:
    """Drive the recorded path at the recorded times, whatever happens around.

    Parameters
    ----------
    scene : Scene
        The recording.
    ego : str or int
        Id of the vehicle.

    Raises
    ------
    InputError
        If the scene has no such agent.
    """

    name = "log replay"

    def __init__(self, scene: Scene, ego: AgentId) -> None:
        self.scene, self.row = scene, scene.row(ego)

    def __call__(self, observation: Observation) -> FloatArray:
        """Plan the recorded future; after its end, to stand still there."""
        first = observation.step + 1
        path = self.scene.xy[self.row, first : first + observation.horizon]
        heading = self.scene.heading_rad[self.row, first : first + observation.horizon]
        known = np.isfinite(path[:, 0]) & np.isfinite(heading)
        if not known.any():
            now = observation.state
            return np.tile([now.x, now.y, now.heading_rad], (observation.horizon, 1))
        poses = np.column_stack([path, np.unwrap(np.nan_to_num(heading))])
        source = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
        source = np.where(source < 0, int(np.flatnonzero(known)[0]), source)
        poses = poses[source]
        rest = observation.horizon - len(poses)
        return np.concatenate([poses, np.repeat(poses[-1:], rest, axis=0)]) if rest else poses


class IDMPolicy:
    """Follow the centre line of the route; choose the speed by the intelligent driver model.

    Parameters
    ----------
    speed : float > 0, optional
        Desired speed in m/s; by default the speed limit, or 15, or the present speed if that is higher.
    model : IDM

    Raises
    ------
    InputError
        If the speed is not positive.

    Examples
    --------
    >>> IDMPolicy(speed=12).name
    'IDM'
    """

    name = "IDM"

    def __init__(self, speed: float | None = None, model: IDM | None = None) -> None:
        if speed is not None:
            check_positive("speed", speed)
        self.speed, self.model = speed, model or IDM()

    def __call__(self, observation: Observation) -> FloatArray:
        """Roll the model out behind a leader that keeps its speed."""
        now, route, dt = observation.state, observation.route, observation.dt
        along, aside = (float(value) for value in route.project(now.xy))
        lanes, last = observation.scene.lanes, observation.scene.num_steps - 1
        stops = stop_places(route, lanes, last, along_m=along, speed=now.speed)
        leader = find_leader(route, along, observation.size, observation.others, stops)
        desired = self.speed or desired_speed(observation)
        gap, speed, place = leader.gap_m, now.speed, np.empty(observation.horizon)
        for k in range(observation.horizon):
            push = float(self.model.acceleration(speed, desired, gap, leader.speed))
            faster = max(0.0, speed + push * dt)
            step = (speed + faster) / 2 * dt
            along, gap, speed = along + step, gap + leader.speed * dt - step, faster
            place[k] = along
        start = float(route.project(now.xy)[0])
        slope = float(wrap_angle(now.heading_rad - route.heading(start)))
        offset = path_offsets(place - start, aside, slope, 0.0, now.speed)
        return poses_along(route, place, offset, now.heading_rad)


def desired_speed(observation: Observation) -> float:
    """Return the speed limit of the nearest lane in m/s; 15 where none is known, never less than the present speed."""
    best, limit = math.inf, math.nan
    for lane in observation.scene.lanes.lanes:
        if not math.isnan(lane.speed_limit):
            distance = float(np.linalg.norm(lane.centre - observation.state.xy, axis=1).min())
            if distance < best:
                best, limit = distance, lane.speed_limit
    return max(DEFAULT_SPEED if math.isnan(limit) else limit, 1.0, min(observation.state.speed, 40.0))


def path_offsets(
    way: FloatArray, offset: float, slope_rad: float, target: float | FloatArray, speed: float
) -> FloatArray:
    """Return offsets from a route that lead smoothly from the present one to another.

    The quintic of least jerk in distance, starting with the present offset and direction, ending parallel to the route.

    Parameters
    ----------
    way : FloatArray [..., T]
        Distances driven along the route in m, >= 0.
    offset : float
        Present offset to the left in m.
    slope_rad : float
        Present heading relative to the route.
    target : float or FloatArray [..., 1]
        Offset to reach.
    speed : float
        In m/s; the change takes 2.5 s at this speed, and 8 m at least.

    Examples
    --------
    >>> path_offsets(np.array([0.0, 25.0, 60.0]), 1.0, 0.0, 0.0, 10.0).round(6).tolist()
    [1.0, 0.0, 0.0]
    """
    length = max(8.0, 2.5 * speed)
    u = np.clip(way / length, 0.0, 1.0)
    slope = math.tan(min(max(slope_rad, -1.0), 1.0)) * length
    rise = target - offset
    c3, c4, c5 = 10 * rise - 6 * slope, 8 * slope - 15 * rise, 6 * rise - 3 * slope
    return np.asarray(offset + slope * u + c3 * u**3 + c4 * u**4 + c5 * u**5)


def poses_along(route: Route, place: FloatArray, offset: FloatArray, heading_rad: float) -> FloatArray:
    """Return poses [T, 3] at distances along a route and offsets from it, headings from the motion."""
    xy = route.points(place, offset)
    step = np.diff(xy, axis=0, prepend=2 * xy[:1] - xy[1:2]) if len(xy) > 1 else np.zeros((1, 2))
    moved = np.linalg.norm(step, axis=1) > 0.02
    heading = np.where(moved, np.arctan2(step[:, 1], step[:, 0]), np.nan)
    heading[0] = heading_rad if np.isnan(heading[0]) else heading[0]
    source = np.maximum.accumulate(np.where(np.isnan(heading), 0, np.arange(len(heading))))
    if not np.isfinite(heading).any():
        raise InputError("a path needs finite headings")
    return np.column_stack([xy, heading[source]])
