"""Closed-loop simulation: a policy drives one vehicle of a scene, and what it does has consequences."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.kinematics import LIMITS, VehicleLimits
from gnnlib.heads.scene.maps.road import Road, Route, road_of, route_of
from gnnlib.heads.scene.planning.driving import (
    Observation,
    PolicyLike,
    Vehicle,
    VehicleState,
    World,
    plan_poses,
    traffic_at,
)
from gnnlib.heads.scene.planning.others import IdmTraffic, LogTraffic, OtherAgents, PredictedTraffic, Predictor
from gnnlib.heads.scene.planning.sim_report import OpenLoopErrors, SimReport, Timing, make_report
from gnnlib.heads.scene.problem import AGENT_TYPES, Prediction, Scene

if TYPE_CHECKING:
    from gnnlib.heads.scene.problem import AgentId
    from gnnlib.typing import FloatArray

__all__ = ["Others", "SceneSim", "StartShift", "default_predictor"]

Others = Literal["log", "idm", "model"]

REPLAN_STEPS = 5
PLAN_STEPS = 40
_HISTORY = 30
_DRIVABLE = tuple(AGENT_TYPES.index(name) for name in ("vehicle", "truck", "bus"))


class StartShift(NamedTuple):
    """By how much a run starts off the recording.

    The recorded past is bent towards the shifted pose over one second, so that it leads there smoothly.

    Attributes
    ----------
    left_m : float
        Sideways.
    heading_rad : float
    """

    left_m: float = 0.0
    heading_rad: float = 0.0


def default_predictor(scene: Scene) -> Prediction:
    """Predict the most probable future with `gnnlib.predict_trajectories`."""
    from gnnlib.heads.scene.api import predict_trajectories

    return predict_trajectories(scene, modes=6, at_step=scene.num_steps - 1)


@dataclass(frozen=True, eq=False)
class SceneSim:
    """A scene in which one vehicle can be driven by a policy, at the scene's own time step (10 Hz as a rule).

    The policy plans every half second, and a kinematic bicycle with the limits of a car drives the plan.

    Parameters
    ----------
    scene : Scene
        The recording.
    others : {"log", "idm", "model"}, default "log"
        Whether the others move as recorded and do not react; keep to their paths but choose their speed by the
        intelligent driver model; or do what `predictor` holds most probable.
    ego : str or int, optional
        Id of the driven vehicle. By default the scene's own ego if it drives on after `at_step`, else the car that
        goes farthest.
    at_step : int, optional
        Last step of the recording; the policy drives from there on. By default 19, or less in a short scene, so that
        two thirds of it remain.
    steps : int >= 1, optional
        Number of steps to drive; by default as long as the recording of the vehicle.
    predictor : callable, optional
        For ``others="model"``: from a scene up to now to a `Prediction`; by default `gnnlib.predict_trajectories`.
    limits : VehicleLimits
        Of the driven vehicle.

    Raises
    ------
    InputError
        If there is no vehicle to drive, it is absent, or a value is out of range.

    Examples
    --------
    >>> from gnnlib.heads.scene.policies import ConstantVelocity
    >>> cars = np.stack([np.stack([x + np.arange(50.0), np.zeros(50)], axis=-1) for x in (0, 60)])
    >>> report = SceneSim(Scene("pair", ("a", "b"), cars), ego="a", at_step=19).run(ConstantVelocity())
    >>> report.collided, round(report.progress_m)
    ((), 30)
    """

    scene: Scene
    others: Others = "log"
    ego: AgentId | None = None
    at_step: int | None = None
    steps: int | None = None
    predictor: Predictor | None = None
    limits: VehicleLimits = LIMITS

    def __post_init__(self) -> None:
        if not isinstance(self.scene, Scene):
            raise InputError(f"`scene` must be a Scene, found {type(self.scene).__name__}; read files with read_scene")
        if self.others not in get_args(Others):
            raise InputError(f"`others` must be one of {', '.join(get_args(Others))}, found {self.others!r}")
        if self.scene.num_steps < 3:
            raise InputError(f"a simulation needs a scene of 3 steps at least, found {self.scene.num_steps}")
        put = object.__setattr__
        start = min(19, self.scene.num_steps // 3) if self.at_step is None else self.at_step
        put(self, "at_step", checks.integer("at_step", start, 1, self.scene.num_steps - 1))
        put(self, "ego", self.scene.agents[self._choose_ego()])
        last = int(np.flatnonzero(self.scene.valid[self.row])[-1])
        longest = self.scene.num_steps - 1 - self.start
        steps = max(1, last - self.start) if self.steps is None else self.steps
        put(self, "steps", checks.integer("steps", steps, 1, longest + 1))

    def _choose_ego(self) -> int:
        scene, start = self.scene, self.start
        if self.ego is not None:
            row = scene.row(self.ego)
            if not scene.valid[row, start]:
                raise InputError(f"agent {self.ego!r} of scene {scene.name!r} is absent at step {start}")
            return row
        if scene.ego is not None and scene.valid[scene.ego, start : start + 2].all():
            return scene.ego
        present = scene.valid[:, start] & np.isin(scene.agent_types, _DRIVABLE)
        if not present.any():
            raise InputError(f"scene {scene.name!r} has no vehicle to drive at step {start}; set `ego` and `at_step`")
        later = np.where(scene.valid[:, start:, None], scene.xy[:, start:], scene.xy[:, start : start + 1])
        length = np.linalg.norm(np.diff(later, axis=1), axis=-1).sum(axis=1)
        return int(np.argmax(np.where(present, length, -1.0)))

    @property
    def start(self) -> int:
        """Step from which the policy drives."""
        return 0 if self.at_step is None else self.at_step

    @functools.cached_property
    def row(self) -> int:
        """Row of the driven vehicle."""
        return self.scene.row(self.ego if self.ego is not None else "")

    @functools.cached_property
    def route(self) -> Route:
        """The lanes to follow: those of the recording."""
        return route_of(self.scene, self.row, self.start)

    @functools.cached_property
    def road(self) -> Road:
        """The drivable area."""
        return road_of(self.scene.lanes)

    def run(self, policy: PolicyLike, *, shift: StartShift | None = None) -> SimReport:
        """Let a policy drive, and report how it went.

        Parameters
        ----------
        policy : callable
            Takes an `Observation`, returns poses [H, 3] or positions [H, 2] of the vehicle's centre after each coming
            step. If it has a method ``reset()``, that is called first.
        shift : StartShift, optional
            Start beside the recording.

        Returns
        -------
        SimReport

        Raises
        ------
        InputError
            If the policy cannot be called, or what it returns is no plan.
        """
        if not callable(policy):
            raise InputError(f"`policy` must be callable with an Observation, found {type(policy).__name__}")
        reset = getattr(policy, "reset", None)
        if callable(reset):
            reset()
        world = self._shifted(shift or StartShift())
        vehicle = Vehicle(
            self._state_at(world, self.start), self.scene.size[self.row], dt=self.scene.dt, limits=self.limits
        )
        others = self._others(world)
        states, spent = [vehicle.state], []
        plan, since = np.zeros((0, 3)), 0
        for step in range(self.start, self.start + (self.steps or 1)):
            if (step - self.start) % REPLAN_STEPS == 0:
                seen = self._observe(world, vehicle.state, step)
                began = time.perf_counter()
                answer = policy(seen)
                spent.append(time.perf_counter() - began)
                plan, since = plan_poses(answer, vehicle.state, REPLAN_STEPS), step
            others.advance(step)
            vehicle.follow(plan, step - since)
            states.append(vehicle.state)
            world.xy[self.row, step + 1] = vehicle.state.xy
            world.heading_rad[self.row, step + 1] = vehicle.state.heading_rad
        return make_report(self, world, states, policy, Timing.of(spent))

    def open_loop(self, policy: PolicyLike, *, horizon: int = 30) -> OpenLoopErrors:
        """Compare the policy's plans with the recording, along which it is led whatever it plans.

        This says how well a policy imitates, not how well it drives: `run` says that.

        Parameters
        ----------
        policy : callable
            As for `run`.
        horizon : int >= 5, default 30
            Steps to compare.

        Returns
        -------
        OpenLoopErrors
            Of all half seconds whose next `horizon` steps were recorded; NaN if there are none.
        """
        horizon = checks.integer("horizon", horizon, REPLAN_STEPS)
        errors, recorded = [], World(self.scene)
        log = self.scene.xy[self.row]
        for step in range(self.start, self.scene.num_steps - horizon, REPLAN_STEPS):
            truth = log[step + 1 : step + 1 + horizon]
            if not np.isfinite(truth).all() or not np.isfinite(log[step - 1 : step + 1]).all():
                continue
            state = self._state_at(recorded, step)
            plan = plan_poses(policy(self._observe(recorded, state, step)), state, horizon)
            errors.append(np.linalg.norm(plan[:horizon, :2] - truth, axis=1))
        return OpenLoopErrors.of(errors, horizon * self.scene.dt)

    def _shifted(self, shift: StartShift) -> World:
        """Copy the recording, wipe the future of the driven vehicle and bend its past."""
        world, row, start = World(self.scene), self.row, self.start
        world.xy[row, start + 1 :] = world.heading_rad[row, start + 1 :] = np.nan
        if shift != StartShift():
            bent = bent_past(world.xy[row], world.heading_rad[row], start, shift, self.scene.dt)
            world.xy[row], world.heading_rad[row] = bent
        return world

    def _state_at(self, world: World, step: int) -> VehicleState:
        row = slice(self.row, self.row + 1)
        now = traffic_at(world.xy[row, : step + 1], world.heading_rad[row, step], self.scene.size[row], self.scene.dt)
        x, y = now.xy[0].tolist()
        return VehicleState(x, y, float(now.heading_rad[0]), float(now.speed[0]))

    def _others(self, world: World) -> OtherAgents:
        common = (world, self.row, self.start)
        if self.others == "log":
            return LogTraffic(*common)
        if self.others == "idm":
            return IdmTraffic(*common)
        predictor: Predictor = self.predictor or default_predictor
        return PredictedTraffic(*common, predictor=predictor, every=REPLAN_STEPS)

    def _observe(self, world: World, state: VehicleState, step: int) -> Observation:
        """Cut out what is known at `step`."""
        past = world.scene(max(0, step + 1 - _HISTORY), step + 1, self.row)
        return Observation(past, past.row(self.scene.agents[self.row]), state, self.route, self.road, step, PLAN_STEPS)


def bent_past(
    xy: FloatArray, heading_rad: FloatArray, at_step: int, shift: StartShift, dt: float
) -> tuple[FloatArray, FloatArray]:
    """Bend the second before `at_step` so that it ends shifted; later steps are left.

    Sideways the path gets the cubic that starts with neither offset nor slope and ends with those asked for.

    Parameters
    ----------
    xy : FloatArray [T, 2]
        Positions in m.
    heading_rad : FloatArray [T]
    at_step : int
        Where the shift is complete.
    shift : StartShift
    dt : float
        Length of a step in s.

    Returns
    -------
    xy, heading_rad : FloatArray [T, 2], [T]

    Examples
    --------
    >>> path = np.stack([np.arange(21.0), np.zeros(21)], axis=-1)
    >>> xy, heading = bent_past(path, np.zeros(21), 20, StartShift(0.5, 0.1), 0.1)
    >>> xy[[0, 10, 20], 1].round(3).tolist(), float(heading[20])
    ([0.0, 0.0, 0.5], 0.1)
    """
    bent, turned = xy.copy(), heading_rad.copy()
    count = max(1, min(at_step, round(1.0 / dt)))
    rows = np.arange(at_step - count, at_step + 1)
    length = float(np.nansum(np.linalg.norm(np.diff(xy[rows], axis=0), axis=1)))
    slope = math.tan(float(np.clip(shift.heading_rad, -1.2, 1.2))) * length
    u = np.linspace(0.0, 1.0, count + 1)
    offset = (3 * shift.left_m - slope) * u**2 + (slope - 2 * shift.left_m) * u**3
    rise = (2 * (3 * shift.left_m - slope) * u + 3 * (slope - 2 * shift.left_m) * u**2) / max(length, 1e-6)
    left = np.stack([-np.sin(heading_rad[rows]), np.cos(heading_rad[rows])], axis=-1)
    bent[rows] += offset[:, None] * left
    turned[rows] += np.arctan(rise) if length > 0.5 else shift.heading_rad * u
    return bent, turned
