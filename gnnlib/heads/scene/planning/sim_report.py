"""What a closed-loop simulation reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from gnnlib.heads.scene.planning.driving_scores import (
    Comfort,
    boxes_overlap,
    comfort_of,
    off_road_by,
    time_to_collision,
)
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gnnlib.heads.scene.planning.driving import PolicyLike, VehicleState, World
    from gnnlib.heads.scene.problem import AgentId, Scene
    from gnnlib.heads.scene.sim import SceneSim
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["OFF_ROAD_TOLERANCE_M", "OpenLoopErrors", "SimReport", "Timing", "make_report"]

#: A vehicle is off the road when a corner is farther outside than this; recordings are no more exact.
OFF_ROAD_TOLERANCE_M = 0.5
_TTC_HORIZON_S = 5.0


class Timing(NamedTuple):
    """How long the policy thought, in ms per call.

    Attributes
    ----------
    mean_ms, max_ms : float
    calls : int
    """

    mean_ms: float
    max_ms: float
    calls: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Summarise durations in s."""
        return cls(1e3 * sum(seconds) / max(len(seconds), 1), 1e3 * max(seconds, default=0.0), len(seconds))


class OpenLoopErrors(NamedTuple):
    """Distance between plans and the recording; no measure of driving.

    Attributes
    ----------
    ade_m, fde_m : float
        Mean over the horizon, and at its end.
    horizon_s : float
    plans : int
        Number of plans compared.
    """

    ade_m: float
    fde_m: float
    horizon_s: float
    plans: int

    @classmethod
    def of(cls, errors: Sequence[FloatArray], horizon_s: float) -> Self:
        """Average distances [H] in m of several plans."""
        if not errors:
            return cls(float("nan"), float("nan"), horizon_s, 0)
        table = np.stack(errors)
        return cls(float(table.mean()), float(table[:, -1].mean()), horizon_s, len(table))


@dataclass(frozen=True, eq=False)
class SimReport(Result):
    """How a policy drove.

    Parameters
    ----------
    name : str
        Name of the scene.
    policy : str
    others : str
        How the others moved: "log", "idm" or "model".
    ego : str or int
        Id of the driven vehicle.
    start : int
        Step of the recording at which the drive began.
    xy : FloatArray [T+1, 2]
        Driven centres in m, the start included.
    heading_rad : FloatArray [T+1]
    speed : FloatArray [T+1]
        In m/s.
    collided : tuple of ids
        Whom the vehicle touched, in order. Who overlaps it in the first step already does not count.
    at_fault : tuple of ids
        Those of `collided` whom the vehicle ran into: it was moving, and they did not hit it from behind.
    first_collision_s : float or None
        Time of the first touch after the start.
    off_road_m : float or None
        How far a corner was off the road at most; None without a map.
    off_road_share : float or None
        Share of the steps off the road.
    progress_m : float
        Distance gained along the route.
    progress_share : float
        The same relative to the recording; NaN when that made less than 1 m.
    route_deviation_m : float
        Mean distance from the centre line of the route.
    log_deviation_m : float
        Mean distance from the recorded vehicle at the same time.
    min_time_to_collision_s : float
        Least time to touch somebody at constant velocities; 5 when it was longer.
    comfort : Comfort
    timing : Timing
        Of the policy.
    dt : float
        Length of a step in s.
    scene : Scene
        What happened, as a scene that can be drawn and animated; not exported.
    """

    name: str
    policy: str
    others: str
    ego: AgentId
    start: int
    xy: FloatArray
    heading_rad: FloatArray
    speed: FloatArray
    collided: tuple[AgentId, ...]
    at_fault: tuple[AgentId, ...]
    first_collision_s: float | None
    off_road_m: float | None
    off_road_share: float | None
    progress_m: float
    progress_share: float
    route_deviation_m: float
    log_deviation_m: float
    min_time_to_collision_s: float
    comfort: Comfort
    timing: Timing
    dt: float
    scene: Scene = field(repr=False, metadata={"export": False})

    @property
    def is_off_road(self) -> bool:
        """Whether the vehicle left the road by more than half a metre; False without a map."""
        return self.off_road_m is not None and self.off_road_m > OFF_ROAD_TOLERANCE_M

    def _rows(self) -> list[tuple[str, str]]:
        road = "no map" if self.off_road_m is None else "left it" if self.is_off_road else "kept to it"
        hit = ", ".join(map(str, self.collided)) or "none"
        return [
            ("scene", f"{self.name}, vehicle {self.ego}, others: {self.others}"),
            ("policy", self.policy),
            ("drove", f"{self.dt * (len(self.xy) - 1):.1f} s, {self.progress_m:.1f} m along the route"),
            ("collisions", hit if not self.collided else f"{hit} ({len(self.at_fault)} at fault)"),
            ("road", road),
            ("time to collision", f"{self.min_time_to_collision_s:.1f} s at least"),
            ("comfortable", f"{100 * self.comfort.share:.0f} % of the time"),
            ("planning", f"{self.timing.mean_ms:.1f} ms a call, {self.timing.max_ms:.1f} at most"),
        ]

    def plot(self, *, at_step: int | None = None, ax: Axes | None = None) -> Axes:
        """Draw the driven scene at a step (default: the end); return the axes."""
        last = self.start + len(self.xy) - 1
        return self.scene.plot(at_step=last if at_step is None else at_step, ax=ax)


def make_report(
    sim: SceneSim, world: World, states: Sequence[VehicleState], policy: PolicyLike, timing: Timing
) -> SimReport:
    """Judge a finished run."""
    start, stop = sim.start, sim.start + len(states)
    xy = np.array([state.xy for state in states])
    heading = np.array([state.heading_rad for state in states])
    speed = np.array([state.speed for state in states])
    size = sim.scene.size[sim.row]
    rows = np.flatnonzero(np.arange(sim.scene.num_agents) != sim.row)
    others = (world.xy[rows, start:stop], np.nan_to_num(world.heading_rad[rows, start:stop]), sim.scene.size[rows])
    touch = boxes_overlap(xy, heading, size, others[0], others[1], others[2][:, None])
    touch[touch[:, 0]] = False
    hit, when = _first_touches(touch)
    faults = [
        k for k, step in zip(hit, when, strict=True) if _is_at_fault(xy, heading, speed, size, others[0][k], step)
    ]
    off = off_road_by(sim.road, xy, heading, size) if len(sim.road) else None
    place, aside = sim.route.project(xy)
    log = sim.scene.xy[sim.row, start:stop]
    logged = sim.route.project(log[np.isfinite(log[:, 0])])[0]
    gained = float(logged[-1] - logged[0])
    urgent = time_to_collision(xy, heading, size, others, sim.scene.dt)[1:]
    name = getattr(policy, "name", None) or getattr(policy, "__name__", type(policy).__name__)
    return SimReport(
        name=sim.scene.name,
        policy=str(name),
        others=sim.others,
        ego=sim.scene.agents[sim.row],
        start=start,
        xy=xy,
        heading_rad=heading,
        speed=speed,
        collided=tuple(sim.scene.agents[rows[k]] for k in hit),
        at_fault=tuple(sim.scene.agents[rows[k]] for k in faults),
        first_collision_s=when[0] * sim.scene.dt if when else None,
        off_road_m=None if off is None else float(off.max()),
        off_road_share=None if off is None else float((off > OFF_ROAD_TOLERANCE_M).mean()),
        progress_m=float(place[-1] - place[0]),
        progress_share=float((place[-1] - place[0]) / gained) if gained >= 1.0 else float("nan"),
        route_deviation_m=float(np.abs(aside).mean()),
        log_deviation_m=float(np.nanmean(np.linalg.norm(xy - log, axis=1))),
        min_time_to_collision_s=float(min(urgent.min(), _TTC_HORIZON_S)),
        comfort=comfort_of(speed, heading, sim.scene.dt),
        timing=timing,
        dt=sim.scene.dt,
        scene=world.scene(0, stop, sim.row),
    )


def _first_touches(touch: BoolArray) -> tuple[list[int], list[int]]:
    """Rows of `touch` [A, T] that are ever true, in the order of their first step, and those steps."""
    hit = np.flatnonzero(touch.any(axis=1))
    first = touch[hit].argmax(axis=1)
    order = np.argsort(first, kind="stable")
    return hit[order].tolist(), first[order].tolist()


def _is_at_fault(
    xy: FloatArray, heading: FloatArray, speed: FloatArray, size: FloatArray, other_xy: FloatArray, step: int
) -> bool:
    """Whether the vehicle moved and the other was not behind it when they first touched."""
    gap = other_xy[step] - xy[step]
    ahead = float(np.cos(heading[step]) * gap[0] + np.sin(heading[step]) * gap[1])
    return bool(speed[step] > 0.2 and ahead > -size[0] / 4)
