"""How the other road users behave in a simulation: as recorded, as intelligent drivers, or as predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.maps.road import Route
from gnnlib.heads.scene.planning.idm import IDM, find_leader, stop_places
from gnnlib.heads.scene.problem import AGENT_TYPES, Prediction

if TYPE_CHECKING:
    from gnnlib.heads.scene.planning.driving import World
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["IdmTraffic", "LogTraffic", "OtherAgents", "PredictedTraffic", "Predictor", "constant_velocity"]

Predictor = Callable[["Scene"], Prediction]
"""Takes a scene up to the present, and returns a `Prediction` from its last step on."""

_MOTOR = tuple(AGENT_TYPES.index(name) for name in ("vehicle", "truck", "bus", "motorcycle"))
_BEYOND_M = 60.0


class OtherAgents(ABC):
    """The others in a running simulation.

    Parameters
    ----------
    world : World
        In which the simulation writes, step by step.
    ego : int
        Row of the driven vehicle.
    start : int
        Step at which the simulation begins.
    """

    def __init__(self, world: World, ego: int, start: int) -> None:
        self.world, self.log, self.ego, self.start = world, world.log, ego, start

    @abstractmethod
    def advance(self, step: int) -> None:
        """Write where the others are at ``step + 1``, knowing the world up to `step`."""


class LogTraffic(OtherAgents):
    """The others do what they were recorded to do, whatever the driven vehicle does."""

    def advance(self, step: int) -> None:
        """Leave the recording as it is."""


class IdmTraffic(OtherAgents):
    """Motor vehicles keep to their recorded paths, but choose their speed by the intelligent driver model.

    They follow whoever is on their path, the driven vehicle included, and stop at red lights. Everybody else moves as
    recorded. Who drives beyond the end of its recorded path leaves the scene.
    """

    def __init__(self, world: World, ego: int, start: int) -> None:
        super().__init__(world, ego, start)
        self.model = IDM()
        self.routes: dict[int, Route] = {}
        self.desired: dict[int, float] = {}
        self.end_m: dict[int, float] = {}
        self.along: dict[int, float] = {}
        self.speed: dict[int, float] = {}
        for row in self._drivers():
            self._plan(int(row))

    def _drivers(self) -> IntArray:
        is_motor = np.isin(self.log.agent_types, _MOTOR) & self.log.valid[:, self.start :].any(axis=1)
        is_motor[self.ego] = False
        return np.flatnonzero(is_motor)

    def _plan(self, row: int) -> None:
        path = self.log.xy[row][self.log.valid[row]]
        step = np.concatenate([[np.inf], np.linalg.norm(np.diff(path, axis=0), axis=1)])
        sparse = [path[0]]
        for point in path[1:]:
            if np.linalg.norm(point - sparse[-1]) >= 1.0:
                sparse.append(point)
        if len(sparse) < 3:
            return  # it stands: as recorded
        route = Route.along(sparse).resampled(1.0, smooth_m=3.0)
        self.routes[row] = route
        self.end_m[row] = route.length
        self.desired[row] = max(3.0, float(np.quantile(step[1:], 0.95)) / self.log.dt)

    def advance(self, step: int) -> None:
        """Move every driver by one step of the model."""
        here = self.world.traffic(step)
        present = np.isfinite(here.xy[:, 0])
        for row, route in self.routes.items():
            if not present[row]:
                continue  # it comes, if at all, as recorded
            if row not in self.along:
                self.along[row] = float(route.project(here.xy[row])[0])
                self.speed[row] = float(here.speed[row])
            others = present.copy()
            others[row] = False
            near = np.linalg.norm(here.xy - here.xy[row], axis=1) < _BEYOND_M
            along, speed = self.along[row], self.speed[row]
            stops = stop_places(route, self.log.lanes, step, along_m=along, speed=speed)
            leader = find_leader(route, along, self.log.size[row], here.taken(others & near), stops)
            push = float(self.model.acceleration(speed, self.desired[row], leader.gap_m, leader.speed))
            faster = max(0.0, speed + push * self.log.dt)
            self.along[row] = along + (speed + faster) / 2 * self.log.dt
            self.speed[row] = faster
            self._write(row, step + 1, route)

    def _write(self, row: int, step: int, route: Route) -> None:
        along = self.along[row]
        gone = along > self.end_m[row]
        self.world.xy[row, step] = np.nan if gone else route.points(along)
        self.world.heading_rad[row, step] = np.nan if gone else route.heading(along)
        if gone:
            self.world.xy[row, step:] = np.nan


class PredictedTraffic(OtherAgents):
    """Motor vehicles do what a predictor holds most probable, asked again every half second.

    Parameters
    ----------
    world, ego, start
        As of `OtherAgents`.
    predictor : Predictor
    every : int, default 5
        Steps between predictions.
    """

    def __init__(self, world: World, ego: int, start: int, *, predictor: Predictor, every: int = 5) -> None:
        super().__init__(world, ego, start)
        self.predictor, self.every = predictor, every
        self.moves: dict[int, FloatArray] = {}
        self.since = start

    def advance(self, step: int) -> None:
        """Follow the last prediction, or make a new one."""
        if (step - self.start) % self.every == 0:
            self._predict(step)
        index = step - self.since
        for row, path in self.moves.items():
            if index >= len(path):
                continue
            self.world.xy[row, step + 1] = path[index]
            move = path[index] - self.world.xy[row, step]
            turned = float(np.hypot(*move)) >= 0.1
            before = self.world.heading_rad[row, step]
            self.world.heading_rad[row, step + 1] = np.arctan2(move[1], move[0]) if turned else before

    def _predict(self, step: int) -> None:
        answer = self.predictor(self.world.scene(max(0, step - 29), step + 1, self.ego))
        self.since, self.moves = step, {}
        for agent, path in zip(answer.agents, answer.most_likely, strict=True):
            row = self.log.row(agent)
            if row != self.ego and self.log.agent_types[row] in _MOTOR:
                self.moves[row] = path


def constant_velocity(scene: Scene, *, horizon: int = 40) -> Prediction:
    """Predict one mode for each agent that is present at the last step: straight on with its mean recent velocity.

    Parameters
    ----------
    scene : Scene
        Up to the present.
    horizon : int >= 1, default 40

    Returns
    -------
    Prediction

    Examples
    --------
    >>> from gnnlib.heads.scene.problem import Scene
    >>> constant_velocity(Scene("one", ("a",), [[[0.0, 0], [1, 0]]]), horizon=2).xy.tolist()
    [[[[2.0, 0.0], [3.0, 0.0]]]]
    """
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise InputError(f"`horizon` must be an integer >= 1, found {horizon!r}")
    last = scene.num_steps - 1
    rows = scene.present_at(last)
    past = scene.xy[rows, max(0, last - 5) :]
    moves = np.diff(past, axis=1)
    known = np.isfinite(moves[..., :1])
    velocity = np.where(known, moves, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    steps = np.arange(1, horizon + 1)[:, None]
    xy = scene.xy[rows, last][:, None, None] + steps * velocity[:, None, None]
    spread = np.broadcast_to(0.2 + 0.05 * steps[:, 0], xy.shape[:3])
    return Prediction(
        tuple(scene.agents[row] for row in rows),
        xy,
        np.ones((len(rows), 1)),
        spread,
        at_step=last,
        dt=scene.dt,
        method="constant velocity",
    )
