"""What a policy sees, what it must return, and how the vehicle drives what it returned.

A policy is anything that can be called with an `Observation` and returns its plan: poses of the vehicle's centre
[H, 3] (x, y, heading) after each coming step, or only positions [H, 2].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.kinematics import LIMITS, VehicleLimits, heading_from_motion, rear_axle_poses, wheelbase_of
from gnnlib.heads.scene.planning.idm import Traffic
from gnnlib.heads.scene.problem import wrap_angle

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road import Road, Route
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import ArrayLike, FloatArray

__all__ = [
    "Observation",
    "Policy",
    "PolicyLike",
    "Vehicle",
    "VehicleState",
    "World",
    "neighbourhood",
    "plan_poses",
    "traffic_at",
]


class VehicleState(NamedTuple):
    """The driven vehicle at one moment.

    Attributes
    ----------
    x, y : float
        Centre in m.
    heading_rad : float
    speed : float
        In m/s, not negative.
    steering_rad : float
    acceleration : float
        Of the last step in m/s^2.
    """

    x: float
    y: float
    heading_rad: float
    speed: float
    steering_rad: float = 0.0
    acceleration: float = 0.0

    @property
    def xy(self) -> FloatArray:
        """Centre [2] in m."""
        return np.array([self.x, self.y])


@dataclass(frozen=True, eq=False)
class Observation:
    """All that a policy may know: the past and the present, the map and the way to go.

    Parameters
    ----------
    scene : Scene
        Up to now: its last step is the present. Signals show their states so far.
    ego : int
        Row of the driven vehicle in it.
    state : VehicleState
    route : Route
        Centre line of the lanes to follow.
    road : Road
        The drivable area.
    step : int
        Number of the present step in the original recording.
    horizon : int
        Number of steps that the plan should have; it must have at least those up to the next call.
    """

    scene: Scene
    ego: int
    state: VehicleState
    route: Route
    road: Road
    step: int
    horizon: int

    @property
    def dt(self) -> float:
        """Length of a step in s."""
        return self.scene.dt

    @property
    def size(self) -> FloatArray:
        """Length and width of the driven vehicle in m."""
        return np.asarray(self.scene.size[self.ego])

    @property
    def others(self) -> Traffic:
        """The other road users that are here now."""
        scene = self.scene
        rows = scene.valid[:, -1].copy()
        rows[self.ego] = False
        return traffic_at(scene.xy, scene.heading_rad[:, -1], scene.size, scene.dt).taken(rows)


class Policy(Protocol):
    """What `gnnlib.heads.scene.sim.SceneSim` calls every half second."""

    def __call__(self, observation: Observation) -> ArrayLike:
        """Return poses [H, 3] or positions [H, 2] of the vehicle's centre after each coming step."""


PolicyLike = Policy | Callable[[Observation], "ArrayLike"]


class World:
    """The state of a running simulation: positions and headings that are written step by step.

    Parameters
    ----------
    log : Scene
        The recording, of which the world begins as a copy.

    Attributes
    ----------
    xy : FloatArray [A, T, 2]
        Positions in m; NaN while absent.
    heading_rad : FloatArray [A, T]
    """

    def __init__(self, log: Scene) -> None:
        self.log = log
        self.xy, self.heading_rad = log.xy.copy(), log.heading_rad.copy()

    def scene(self, start: int, stop: int, ego: int) -> Scene:
        """Return the steps `start` .. `stop` - 1 as a scene, without agents that are never there.

        Recorded velocities are left out.
        """
        part = self.xy[:, start:stop]
        kept = np.flatnonzero(np.isfinite(part[..., 0]).any(axis=1))
        log = self.log
        return replace(
            log,
            agents=tuple(log.agents[row] for row in kept),
            xy=part[kept],
            agent_types=log.agent_types[kept],
            heading_rad=self.heading_rad[kept, start:stop],
            size=log.size[kept],
            velocity=np.full_like(part[kept], np.nan),
            ego=int(np.searchsorted(kept, ego)) if ego in kept else None,
            lanes=log.lanes.window(start, stop),
        )

    def traffic(self, step: int) -> Traffic:
        """Return all agents at a step, see `traffic_at`."""
        return traffic_at(self.xy[:, : step + 1], self.heading_rad[:, step], self.log.size, self.log.dt)


def traffic_at(past: FloatArray, heading_rad: FloatArray, size: FloatArray, dt: float) -> Traffic:
    """Return all agents at the last step of their past, absent ones with NaN; speeds over the last 0.3 s.

    Parameters
    ----------
    past : FloatArray [A, T, 2]
        Positions in m up to now.
    heading_rad : FloatArray [A]
        Now.
    size : FloatArray [A, 2]
        Length and width in m.
    dt : float
        Length of a step in s.
    """
    move = np.linalg.norm(np.diff(past[:, -4:], axis=1), axis=-1) / dt
    known = np.isfinite(move)
    speed = np.where(known, move, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return Traffic(past[:, -1], np.nan_to_num(heading_rad), size, speed)


def neighbourhood(scene: Scene, ego: int, *, most: int = 24, radius_m: float = 60.0) -> tuple[Scene, int]:
    """Keep a vehicle and the nearest others, as far as they are there at the last step; the map stays as it is.

    Parameters
    ----------
    scene : Scene
    ego : int
        Row of the vehicle.
    most : int, default 24
        How many agents to keep.
    radius_m : float, default 60

    Returns
    -------
    tuple of Scene and int
        The part, and the row of the vehicle in it.
    """
    gap = np.linalg.norm(np.nan_to_num(scene.xy[:, -1] - scene.xy[ego, -1], nan=1e9), axis=1)
    gap[ego] = -1.0
    nearest = np.argsort(gap, kind="stable")[:most]
    kept = np.sort(nearest[gap[nearest] < radius_m])
    row = int(np.searchsorted(kept, ego))
    part = replace(
        scene,
        agents=tuple(scene.agents[index] for index in kept),
        xy=scene.xy[kept],
        agent_types=scene.agent_types[kept],
        heading_rad=scene.heading_rad[kept],
        size=scene.size[kept],
        velocity=scene.velocity[kept],
        ego=row,
    )
    return part, row


def plan_poses(plan: ArrayLike, state: VehicleState, least: int) -> FloatArray:
    """Check what a policy returned, and give positions without headings the direction of their motion.

    Parameters
    ----------
    plan : array_like [H, 3] or [H, 2]
    state : VehicleState
        From where the plan starts.
    least : int
        Steps that it must have.

    Returns
    -------
    FloatArray [H, 3]

    Raises
    ------
    InputError
        If the shape is another, the plan is too short, or a number is not finite.
    """
    try:
        poses = np.asarray(plan, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"a policy must return an array of poses [H, 3] or positions [H, 2]: {error}") from error
    if poses.ndim != 2 or poses.shape[1] not in (2, 3) or len(poses) < least:
        raise InputError(
            f"a policy must return poses [H, 3] or positions [H, 2] with H >= {least}, found {list(poses.shape)}"
        )
    if not np.isfinite(poses).all():
        bad = np.argwhere(~np.isfinite(poses))[0].tolist()
        raise InputError(f"a plan must be finite, found {poses[tuple(bad)]} at step {bad[0]}")
    if poses.shape[1] == 3:
        return poses
    path = np.concatenate([[state.xy], poses])
    moved = np.linalg.norm(np.diff(path, axis=0), axis=1).max() >= 0.05
    heading = heading_from_motion(path)[1:] if moved else np.full(len(poses), state.heading_rad)
    return np.column_stack([poses, heading])


class Vehicle:
    """A kinematic bicycle that drives along plans, within its limits.

    Speed follows the plan's progress, steering its curvature, with feedback on the errors sideways and in heading
    (Y. Kanayama et al. 1990, A stable tracking control method, eq. 8, per distance instead of time).

    Parameters
    ----------
    state : VehicleState
        Where it starts.
    size : array_like [2]
        Length and width in m.
    dt : float > 0
    limits : VehicleLimits

    Examples
    --------
    >>> car = Vehicle(VehicleState(0.0, 0.0, 0.0, 10.0), [4.5, 1.9], dt=0.1)
    >>> car.follow(np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    >>> round(car.state.x, 6), car.state.speed
    (1.0, 10.0)
    """

    def __init__(self, state: VehicleState, size: ArrayLike, *, dt: float, limits: VehicleLimits = LIMITS) -> None:
        self.state = state
        self.size = np.asarray(size, dtype=np.float64)
        self.dt, self.limits = dt, limits
        self.wheelbase_m = wheelbase_of(float(self.size[0]))

    def follow(self, plan: FloatArray, step: int = 0) -> None:
        """Drive one step.

        Parameters
        ----------
        plan : FloatArray [H, 3]
            Poses of the centre; the first is where to be after the step in which the plan was made.
        step : int, default 0
            Steps driven since then; beyond the end of the plan the vehicle brakes.
        """
        now = self.state
        axle = rear_axle_poses([[now.x, now.y]], [now.heading_rad], wheelbase_m=self.wheelbase_m)[0]
        if step >= len(plan):
            self._move(axle, -self.limits.max_braking / 2 * self.dt + now.speed, now.steering_rad)
            return
        path = rear_axle_poses(plan[:, :2], plan[:, 2], wheelbase_m=self.wheelbase_m)
        before = axle if step == 0 else path[step - 1]
        error = before - axle
        error[2] = float(wrap_angle(error[2]))
        cos, sin = np.cos(axle[2]), np.sin(axle[2])
        behind, aside = cos * error[0] + sin * error[1], cos * error[1] - sin * error[0]
        move = path[step, :2] - before[:2]
        ahead = move[0] * np.cos(before[2]) + move[1] * np.sin(before[2])
        speed = ahead / self.dt + behind
        reach = max(2.5, 0.4 * now.speed)
        curvature = self._curvature(before, path, step) + aside / reach**2 + 2.0 * error[2] / reach
        self._move(axle, speed, float(np.arctan(self.wheelbase_m * curvature)))

    def _curvature(self, before: FloatArray, path: FloatArray, step: int) -> float:
        """Mean curvature of the plan over the coming half second."""
        part = np.concatenate([[before], path[step : step + 5]])
        length = float(np.linalg.norm(np.diff(part[:, :2], axis=0), axis=1).sum())
        return float(wrap_angle(part[-1, 2] - part[0, 2])) / length if length > 0.3 else 0.0

    def _move(self, axle: FloatArray, speed: float, steering: float) -> None:
        """Go to the nearest speed and steering angle that the limits allow, and drive with them for a step."""
        now, limits, dt = self.state, self.limits, self.dt
        speed = float(np.clip(speed, now.speed - limits.max_braking * dt, now.speed + limits.max_acceleration * dt))
        speed = max(0.0, speed)
        most = limits.max_steering_rad
        if speed > 1.0:
            most = min(most, float(np.arctan(self.wheelbase_m * limits.max_lateral_acceleration / speed**2)))
        rate = limits.max_steering_rate * dt
        steering = float(np.clip(steering, now.steering_rad - rate, now.steering_rad + rate))
        steering = float(np.clip(steering, -most, most))
        turn = speed * np.tan(steering) * dt / self.wheelbase_m
        chord = speed * dt * np.sinc(turn / (2 * np.pi))
        heading = float(axle[2] + turn)
        middle = axle[2] + turn / 2
        rear = axle[:2] + chord * np.array([np.cos(middle), np.sin(middle)])
        centre = rear + self.wheelbase_m / 2 * np.array([np.cos(heading), np.sin(heading)])
        self.state = VehicleState(
            float(centre[0]), float(centre[1]), heading, speed, steering, (speed - now.speed) / dt
        )
