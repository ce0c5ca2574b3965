"""Driving tests: round a parked car, back from a pushed start, behind a slow or a suddenly stopping leader.

Each scenario is a small scene on a gently curved road of two directions, drawn from a seed, with a driver who does it
well as its recording. The first three are those of ChauffeurNet (M. Bansal et al. 2018, arXiv 1812.03079, section 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.maps.road import Route
from gnnlib.heads.scene.planning.idm import IDM
from gnnlib.heads.scene.policies import path_offsets
from gnnlib.heads.scene.problem import Lane, LaneMap, Scene
from gnnlib.heads.scene.sim import Others, SceneSim, StartShift
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.scene.planning.driving import PolicyLike
    from gnnlib.heads.scene.planning.sim_report import SimReport
    from gnnlib.heads.scene.problem import AgentId
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray

__all__ = ["SCENARIO_KINDS", "Scenario", "make_scenario", "shifted_start"]

SCENARIO_KINDS = ("parked_car", "pushed_start", "slow_leader", "stopping_leader")
"""What `make_scenario` can make."""

_DT = 0.1
_START = 19
_STEPS = 60
_LANE_M = 3.6
_SIZE = np.array([4.6, 1.9])


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scene, a vehicle to drive in it, and where it starts.

    Parameters
    ----------
    kind : str
    scene : Scene
    ego : str or int
    at_step : int
        Last step of the recording.
    steps : int
        Steps to drive.
    shift : StartShift
        By how much the start is off the recording.

    Examples
    --------
    >>> from gnnlib.heads.scene.policies import IDMPolicy
    >>> make_scenario("slow_leader", seed=0).run(IDMPolicy()).collided
    ()
    """

    kind: str
    scene: Scene
    ego: AgentId
    at_step: int
    steps: int
    shift: StartShift = StartShift()  # noqa: RUF009 (an immutable tuple)

    def sim(self, others: Others = "log") -> SceneSim:
        """Return the simulation."""
        return SceneSim(self.scene, others, ego=self.ego, at_step=self.at_step, steps=self.steps)

    def run(self, policy: PolicyLike, *, others: Others = "log") -> SimReport:
        """Let a policy drive it."""
        return self.sim(others).run(policy, shift=self.shift)


class _Track(NamedTuple):
    """How somebody moves: place and offset on the route in m, each step [T]."""

    along: FloatArray
    offset: FloatArray


def make_scenario(kind: str, *, seed: Seed = None) -> Scenario:
    """Make a driving test.

    Parameters
    ----------
    kind : str
        One of `SCENARIO_KINDS`: "parked_car" stands partly in the lane, so that 0.4 to 1.3 m aside are needed;
        "pushed_start" begins up to 1 m and 0.2 rad off on an empty road; "slow_leader" drives at a third to a half of
        the speed; "stopping_leader" brakes to a stop with 4 to 6 m/s^2.
    seed : int or None
        The same seed gives the same scenario.

    Returns
    -------
    Scenario
        2 s of recording, then 6 s to drive.

    Raises
    ------
    InputError
        If there is no such kind.

    Examples
    --------
    >>> make_scenario("parked_car", seed=3).scene.num_agents
    2
    """
    if kind not in SCENARIO_KINDS:
        raise InputError(f"`kind` must be one of {', '.join(SCENARIO_KINDS)}, found {kind!r}")
    rng = numpy_generator(seed)
    centre = _centre_line(rng)
    speed = float(rng.uniform(7.0, 13.0))
    total = _START + 1 + _STEPS
    others: list[_Track] = []
    shift = StartShift()
    if kind == "parked_car":
        gap = float(rng.uniform(28.0, 45.0))
        aside = float(rng.uniform(0.4, 1.3)) - _SIZE[1] - 0.3
        place = 20.0 + speed * _START * _DT + gap
        others = [_Track(np.full(total, place), np.full(total, aside))]
        ego = _evading(speed, place, aside + _SIZE[1] + 0.4, total)
    elif kind == "pushed_start":
        side = 1.0 if rng.random() < 0.5 else -1.0
        shift = StartShift(side * float(rng.uniform(0.4, 1.0)), float(rng.uniform(-0.2, 0.2)))
        ego = _Track(np.asarray(20.0 + speed * _DT * np.arange(total)), np.zeros(total))
    else:
        leader = _leader(kind, speed, rng, total)
        others = [_Track(np.asarray(leader), np.zeros(total))]
        ego = _Track(_following(speed, leader), np.zeros(total))
    tracks = [ego, *others]
    return Scenario(kind, _scene(f"{kind}-{seed}", centre, tracks), "ego", _START, _STEPS, shift)


def shifted_start(scene: Scene, *, seed: Seed, at_step: int | None = None, ego: AgentId | None = None) -> Scenario:
    """Turn a recording into a test: the vehicle starts up to 1 m and 0.2 rad off its path.

    Parameters
    ----------
    scene : Scene
    seed : int or None
    at_step, ego
        As of `gnnlib.heads.scene.sim.SceneSim`.

    Returns
    -------
    Scenario
        Of at most 6 s.
    """
    rng = numpy_generator(seed)
    sim = SceneSim(scene, ego=ego, at_step=at_step)
    side = 1.0 if rng.random() < 0.5 else -1.0
    shift = StartShift(side * float(rng.uniform(0.3, 1.0)), float(rng.uniform(-0.2, 0.2)))
    steps = min(sim.steps or 1, _STEPS)
    return Scenario("pushed_start", scene, scene.agents[sim.row], sim.start, steps, shift)


def _centre_line(rng: np.random.Generator) -> FloatArray:
    """Draw a line of 260 m with a constant bend, at any angle."""
    way = np.arange(0.0, 262.0, 2.0)
    bend = float(rng.uniform(-1.0, 1.0)) / 120.0
    heading = float(rng.uniform(-np.pi, np.pi)) + bend * way
    step = 2.0 * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    return np.cumsum(step, axis=0)


def _evading(speed: float, place: float, needed: float, total: int) -> _Track:
    along = 20.0 + speed * _DT * np.arange(total)
    out = path_offsets(np.maximum(along - (place - 22.0), 0.0), 0.0, 0.0, needed, 6.0)
    back = path_offsets(np.maximum(along - (place + 6.0), 0.0), 0.0, 0.0, needed, 6.0)
    return _Track(np.asarray(along), out - back)


def _leader(kind: str, speed: float, rng: np.random.Generator, total: int) -> FloatArray:
    """Places of the leader."""
    if kind == "slow_leader":
        first = 20.0 + speed * _START * _DT + float(rng.uniform(28.0, 45.0))
        slow = speed * float(rng.uniform(0.33, 0.5))
        return np.asarray(first + slow * _DT * (np.arange(total) - _START))
    gap = max(12.0, 1.3 * speed) + float(rng.uniform(0.0, 8.0)) + _SIZE[0]
    braking = float(rng.uniform(4.0, 6.0))
    begin = _START + int(rng.integers(5, 20))
    pace = np.maximum(0.0, speed - braking * _DT * np.maximum(np.arange(total) - begin, 0))
    return np.asarray(20.0 + gap + np.concatenate([[0.0], np.cumsum(pace[:-1]) * _DT]))


def _following(speed: float, leader: FloatArray) -> FloatArray:
    """Places of a driver behind a leader."""
    model, place, v = IDM(), np.empty(len(leader)), speed
    place[0] = 20.0
    for step in range(1, len(leader)):
        ahead = leader[step] - leader[step - 1]
        push = float(model.acceleration(v, speed, leader[step - 1] - place[step - 1] - _SIZE[0], ahead / _DT))
        push = 0.0 if step <= _START else push
        faster = max(0.0, v + push * _DT)
        place[step] = place[step - 1] + (v + faster) / 2 * _DT
        v = faster
    return place


def _scene(name: str, centre: FloatArray, tracks: list[_Track]) -> Scene:
    route = Route.along(centre)
    place = route.arc
    sides = {offset: route.points(place, offset) for offset in (-_LANE_M / 2, _LANE_M / 2, _LANE_M, 1.5 * _LANE_M)}
    lanes = (
        Lane("right", centre, sides[_LANE_M / 2], sides[-_LANE_M / 2], left_opposite="left", speed_limit=14.0),
        Lane(
            "left",
            sides[_LANE_M][::-1],
            sides[_LANE_M / 2][::-1],
            sides[1.5 * _LANE_M][::-1],
            left_opposite="right",
            speed_limit=14.0,
        ),
    )
    xy = np.stack([route.points(track.along, track.offset) for track in tracks])
    turn = [np.arctan2(np.gradient(track.offset), np.maximum(np.gradient(track.along), 1e-3)) for track in tracks]
    turn = [np.where(np.gradient(track.along) > 0.01, angle, 0.0) for track, angle in zip(tracks, turn, strict=True)]
    heading = np.stack([route.heading(track.along) + angle for track, angle in zip(tracks, turn, strict=True)])
    names = ("ego", "other")[: len(tracks)]
    return Scene(name, names, xy, _DT, None, heading, np.tile(_SIZE, (len(tracks), 1)), ego=0, lanes=LaneMap(lanes))  # type: ignore[arg-type]
