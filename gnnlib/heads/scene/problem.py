"""A traffic scene: who was where and when, on which lanes. The record `Scene`, its map, and the answer `Prediction`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.lanemap import LANE_KINDS, LINE_KINDS, SIGNAL_STATES, Lane, LaneMap, MapId, MapLine, Signal
from gnnlib.heads.scene.result import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.scene.graph import SceneGraph
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray, PathLike

__all__ = [
    "AGENT_TYPES",
    "LANE_KINDS",
    "LINE_KINDS",
    "SIGNAL_STATES",
    "AgentId",
    "Lane",
    "LaneMap",
    "MapId",
    "MapLine",
    "Prediction",
    "Scene",
    "Signal",
]

AgentId = str | int

#: Kinds of road users; `Scene.agent_types` holds their positions in this tuple.
AGENT_TYPES = ("vehicle", "truck", "bus", "motorcycle", "cyclist", "pedestrian", "static", "other")

#: Length and width in metres of each of `AGENT_TYPES`, where a source does not say.
DEFAULT_SIZE = ((4.6, 1.9), (8.5, 2.5), (12.0, 2.6), (2.2, 0.8), (1.8, 0.6), (0.5, 0.5), (0.6, 0.6), (1.0, 1.0))


@dataclass(frozen=True, eq=False, repr=False)
class Scene:
    """A recorded or generated traffic scene.

    Coordinates are metres in the scene's own flat frame, angles radians counter-clockwise from the x axis. An agent
    may come late, leave early, or have gaps: its position is NaN while it is absent. The arrays are copies; treat
    them as read-only.

    Parameters
    ----------
    name : str
    agents : tuple of str or int
        A different id for each of the A agents; A may be 0.
    xy : array [A, T, 2]
        Positions of the centres in metres; NaN in both coordinates while absent. T >= 1.
    dt : float
        Seconds from one step to the next, default 0.1.
    agent_types : int array [A], optional
        Positions in `AGENT_TYPES`; default: all vehicles.
    heading_rad : array [A, T], optional
        NaN where unknown; default: `headings_from_past`.
    size : array [A, 2], optional
        Length and width in metres; NaN or omitted: usual values of the type.
    velocity : array [A, T, 2], optional
        As recorded, in m/s; NaN where unknown. Recorded velocities are often smoothed with the future, so models read
        `past_velocity` instead.
    ego : int, optional
        Row of the recording or planning vehicle.
    lanes : LaneMap
        Default: no map.

    Raises
    ------
    InputError
        If shapes do not fit, a number is infinite, an id is there twice, or a signal has another number of steps.

    Examples
    --------
    >>> scene = Scene("pair", ("a", "b"), [[[0, 0], [1, 0]], [[9, 9], [np.nan, np.nan]]])
    >>> scene
    Scene(name='pair', num_agents=2, num_steps=2, dt=0.1, lanes=0)
    >>> scene.valid.tolist()
    [[True, True], [True, False]]
    >>> scene.past_velocity()[0, 1].tolist()
    [10.0, 0.0]
    """

    name: str
    agents: tuple[AgentId, ...]
    xy: FloatArray
    dt: float = 0.1
    agent_types: IntArray = None  # type: ignore[assignment]  # filled in below
    heading_rad: FloatArray = None  # type: ignore[assignment]
    size: FloatArray = None  # type: ignore[assignment]
    velocity: FloatArray = None  # type: ignore[assignment]
    ego: int | None = None
    lanes: LaneMap = field(default_factory=LaneMap)

    def __post_init__(self) -> None:
        agents = tuple(a.item() if isinstance(a, np.generic) else a for a in self.agents)
        xy = checks.positions(self.xy)
        count, steps = xy.shape[:2]
        if len(agents) != count or len(set(agents)) != count:
            raise InputError(f"`agents` must be {count} different ids, one a row of `xy`, found {len(set(agents))}")
        if steps < 1:
            raise InputError("a scene needs at least one step, found xy of shape " + str(list(xy.shape)))
        put = object.__setattr__
        put(self, "agents", agents)
        put(self, "xy", xy)
        put(self, "dt", checks.positive("dt", self.dt))
        put(self, "agent_types", self._checked_types(count))
        if self.heading_rad is None:
            put(self, "heading_rad", headings_from_past(xy))
        else:
            put(self, "heading_rad", checks.float_array("heading_rad", self.heading_rad, (count, steps)))
        put(self, "size", self._checked_size(count))
        unknown = np.full_like(xy, np.nan)
        put(
            self,
            "velocity",
            checks.float_array("velocity", unknown if self.velocity is None else self.velocity, xy.shape),
        )
        if self.ego is not None:
            put(self, "ego", checks.integer("ego", self.ego, 0, count))
        for signal in self.lanes.signals:
            if len(signal.states) != steps:
                raise InputError(
                    f"the signal of lane {signal.lane!r} must have {steps} states, found {len(signal.states)}"
                )

    def _checked_types(self, count: int) -> IntArray:
        types = np.zeros(count, np.int64) if self.agent_types is None else np.array(self.agent_types)
        if count == 0:
            return np.zeros(0, np.int64)
        if (
            types.shape != (count,)
            or types.dtype.kind not in "iu"
            or types.min() < 0
            or types.max() >= len(AGENT_TYPES)
        ):
            raise InputError(f"`agent_types` must be [{count}] integers 0 .. {len(AGENT_TYPES) - 1} (AGENT_TYPES)")
        return types.astype(np.int64)

    def _checked_size(self, count: int) -> FloatArray:
        usual = np.array(DEFAULT_SIZE)[self.agent_types].reshape(count, 2)
        if self.size is None:
            return usual
        size = checks.float_array("size", self.size, (count, 2))
        size = np.where(np.isnan(size), usual, size)
        if not (np.isfinite(size) & (size > 0.0)).all():
            row = int(np.argwhere(~(np.isfinite(size) & (size > 0.0)))[0, 0])
            raise InputError(f"`size` must be > 0 metres (or NaN), found {size[row].tolist()} at agent row {row}")
        return size

    @property
    def num_agents(self) -> int:
        """Number of agents A."""
        return len(self.agents)

    @property
    def num_steps(self) -> int:
        """Number of steps T."""
        return int(self.xy.shape[1])

    @cached_property
    def valid(self) -> BoolArray:
        """Whether agent a is present at step t: [A, T]."""
        return np.asarray(np.isfinite(self.xy[..., 0]))

    @cached_property
    def _rows(self) -> dict[AgentId, int]:
        return {agent: row for row, agent in enumerate(self.agents)}

    def row(self, agent: AgentId) -> int:
        """Row of an agent given by its id.

        Raises
        ------
        InputError
            If no agent has this id.
        """
        try:
            return self._rows[agent]
        except (KeyError, TypeError):
            known = ", ".join(map(repr, self.agents[:5])) + (", ..." if len(self.agents) > 5 else "")
            raise InputError(f"scene {self.name!r} has no agent {agent!r}; it has {known or 'no agents'}") from None

    def present_at(self, step: int) -> IntArray:
        """Rows of the agents that are present at `step`."""
        return np.flatnonzero(self.valid[:, checks.integer("at_step", step, 0, self.num_steps)])

    def past_velocity(self) -> FloatArray:
        """Velocities [A, T, 2] in m/s by backward differences of the positions, never of the future.

        NaN at the first step of a track and after a gap.
        """
        velocity = np.full_like(self.xy, np.nan)
        velocity[:, 1:] = np.diff(self.xy, axis=1) / self.dt
        return velocity

    def window(self, start: int, stop: int) -> Scene:
        """Return the steps `start` .. `stop` - 1 with the agents that are present in any of them."""
        stop = checks.integer("stop", stop, 1, self.num_steps + 1)
        start = checks.integer("start", start, 0, stop)
        kept = np.flatnonzero(self.valid[:, start:stop].any(axis=1))
        ego = None if self.ego is None or self.ego not in kept else int(np.searchsorted(kept, self.ego))
        return replace(
            self,
            agents=tuple(self.agents[row] for row in kept),
            xy=self.xy[kept, start:stop],
            agent_types=self.agent_types[kept],
            heading_rad=self.heading_rad[kept, start:stop],
            size=self.size[kept],
            velocity=self.velocity[kept, start:stop],
            ego=ego,
            lanes=self.lanes.window(start, stop),
        )

    def transformed(self, rotation_rad: float = 0.0, shift: ArrayLike = (0.0, 0.0)) -> Scene:
        """Return the scene turned about the origin by `rotation_rad`, then moved by `shift` [2] metres.

        Examples
        --------
        >>> scene = Scene("one", ("a",), [[[1.0, 0.0]]], heading_rad=[[0.0]])
        >>> moved = scene.transformed(np.pi / 2, (5, 0))
        >>> moved.xy.round(6).tolist(), float(moved.heading_rad[0, 0].round(6))
        ([[[5.0, 1.0]]], 1.570796)
        """
        cos, sin = np.cos(rotation_rad), np.sin(rotation_rad)
        turn = np.array([[cos, -sin], [sin, cos]])
        offset = checks.float_array("shift", shift, (2,))
        return replace(
            self,
            xy=self.xy @ turn.T + offset,
            heading_rad=wrap_angle(self.heading_rad + rotation_rad),
            velocity=self.velocity @ turn.T,
            lanes=self.lanes.transformed(turn, offset),
        )

    def lane_candidates(self, agent: AgentId, horizon: int = 30, *, at_step: int | None = None) -> list[FloatArray]:
        """Centre lines [P, 2] that an agent may follow; see `gnnlib.heads.scene.lanes.lane_candidates`."""
        from gnnlib.heads.scene.lanes import lane_candidates  # lanes imports this module

        return lane_candidates(self, agent, horizon, at_step=at_step)

    def to_graph(self, *, at_step: int | None = None, history: int = 20) -> SceneGraph:
        """Return the graph that models read: agents, lane pieces, controls, crossings; see `scene_graph`."""
        from gnnlib.heads.scene.graph import scene_graph  # torch only on demand

        return scene_graph(self, at_step=at_step, history=history)

    def plot(
        self,
        prediction: Prediction | None = None,
        *,
        at_step: int | None = None,
        focus: AgentId | None = None,
        radius_m: float = 40.0,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the map, the agents at `at_step` with history and future, and predicted modes; return the axes.

        With `focus`, an agent's id, only what lies within `radius_m` of it. See
        `gnnlib.heads.scene.plotting.plot_scene`.
        """
        from gnnlib.heads.scene.plotting import plot_scene  # matplotlib only on demand

        return plot_scene(self, prediction, at_step=at_step, focus=focus, radius_m=radius_m, ax=ax)

    def animate(
        self,
        path: PathLike,
        prediction: Prediction | None = None,
        *,
        frames: int = 50,
        width_px: int = 640,
        speed: float = 1.0,
    ) -> None:
        """Write an animated GIF with a fixed zoom; see `gnnlib.heads.scene.animation.animate_scene`."""
        from gnnlib.heads.scene.animation import animate_scene  # pillow only on demand

        animate_scene(self, path, prediction, frames=frames, width_px=width_px, speed=speed)

    def __repr__(self) -> str:
        return (
            f"Scene(name={self.name!r}, num_agents={self.num_agents}, num_steps={self.num_steps}, "
            f"dt={self.dt:g}, lanes={len(self.lanes)})"
        )


def wrap_angle(angle_rad: FloatArray) -> FloatArray:
    """Bring angles into [-pi, pi); NaN stays NaN.

    Examples
    --------
    >>> wrap_angle(np.array([3.5, -3.5])).round(4).tolist()
    [-2.7832, 2.7832]
    """
    return np.asarray((angle_rad + np.pi) % (2.0 * np.pi) - np.pi)


def headings_from_past(xy: FloatArray, least_m: float = 0.05) -> FloatArray:
    """Headings [A, T] of positions [A, T, 2] from past displacements only.

    The direction of the last move of at least `least_m` metres up to each step; NaN before the first one.

    Examples
    --------
    >>> headings_from_past(np.array([[[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 1.0]]])).round(2).tolist()
    [[nan, 1.57, 1.57, 3.14]]
    """
    count, steps = xy.shape[:2]
    heading = np.full((count, steps), np.nan)
    anchor = xy[:, 0].copy() if steps else np.zeros((count, 2))
    last = np.full(count, np.nan)
    for step in range(1, steps):
        here = xy[:, step]
        move = here - anchor
        moved = np.hypot(move[:, 0], move[:, 1]) >= least_m  # False where either end is NaN
        last = np.where(moved, np.arctan2(move[:, 1], move[:, 0]), last)
        fresh = moved | (np.isnan(anchor[:, 0]) & ~np.isnan(here[:, 0]))
        anchor = np.where(fresh[:, None], here, anchor)
        heading[:, step] = np.where(np.isnan(here[:, 0]), np.nan, last)
    return heading
