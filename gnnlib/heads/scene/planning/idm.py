"""The intelligent driver model: how hard to accelerate behind a leader or at a red light.

M. Treiber, A. Hennecke, D. Helbing (2000). Congested traffic states in empirical observations and microscopic
simulations. Physical Review E 62, 1805, equations 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.scene.kinematics import check_positive
from gnnlib.heads.scene.problem import SIGNAL_STATES

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road import Route
    from gnnlib.heads.scene.problem import LaneMap
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray

__all__ = ["IDM", "Leader", "Traffic", "find_leader", "stop_places"]

FREE_GAP_M = 1e3
_SIDE_MARGIN_M = 0.2
_SIGNAL_REACH_M = 2.0
_YELLOW_BRAKING = 3.0


@dataclass(frozen=True)
class IDM:
    """Parameters of the model, and its acceleration.

    Parameters
    ----------
    time_headway_s : float > 0, default 1.2
    min_gap_m : float > 0, default 2
        Bumper to bumper at standstill.
    max_acceleration, comfortable_braking : float > 0, default 1.5 and 2.5 m/s^2
    max_braking : float > 0, default 8 m/s^2
        Bound of the result, which the model itself does not have.

    Raises
    ------
    InputError
        If a parameter is not positive.

    Examples
    --------
    >>> model = IDM()
    >>> model.acceleration(0.0, 10.0, 1000.0, 0.0).round(3)
    np.float64(1.5)
    >>> bool(model.acceleration(10.0, 10.0, 5.0, 10.0) == -model.max_braking)
    True
    """

    time_headway_s: float = 1.2
    min_gap_m: float = 2.0
    max_acceleration: float = 1.5
    comfortable_braking: float = 2.5
    max_braking: float = 8.0

    def __post_init__(self) -> None:
        for item in fields(self):
            check_positive(item.name, getattr(self, item.name))

    def acceleration(
        self, speed: ArrayLike, desired: ArrayLike, gap_m: ArrayLike, leader_speed: ArrayLike
    ) -> FloatArray:
        """Return accelerations in m/s^2.

        Parameters
        ----------
        speed, desired : array_like
            Own and wished speed in m/s.
        gap_m : array_like
            Bumper to bumper.
        leader_speed : array_like
            In m/s, along the own path.
        """
        v = np.asarray(speed, dtype=np.float64)
        closing = v - np.asarray(leader_speed)
        root = 2.0 * np.sqrt(self.max_acceleration * self.comfortable_braking)
        wanted = self.min_gap_m + np.maximum(0.0, v * self.time_headway_s + v * closing / root)
        gap = np.maximum(np.asarray(gap_m, dtype=np.float64), 0.1)
        free = (v / np.maximum(np.asarray(desired), 0.1)) ** 4
        result = self.max_acceleration * (1.0 - free - (wanted / gap) ** 2)
        return np.asarray(np.clip(result, -self.max_braking, self.max_acceleration))[()]


class Traffic(NamedTuple):
    """Road users at one moment, absent ones left out.

    Attributes
    ----------
    xy : FloatArray [A, 2]
        Centres in m.
    heading_rad : FloatArray [A]
    size : FloatArray [A, 2]
        Length and width in m.
    speed : FloatArray [A]
        In m/s.
    """

    xy: FloatArray
    heading_rad: FloatArray
    size: FloatArray
    speed: FloatArray

    def taken(self, rows: BoolArray) -> Traffic:
        """Return some of the agents."""
        return Traffic(self.xy[rows], self.heading_rad[rows], self.size[rows], self.speed[rows])


class Leader(NamedTuple):
    """What is ahead: gap in m from bumper to bumper, and its speed along the path in m/s."""

    gap_m: float
    speed: float


def find_leader(
    route: Route,
    along_m: float,
    size: FloatArray,
    others: Traffic,
    stops_m: FloatArray | None = None,
    *,
    offset_m: float = 0.0,
) -> Leader:
    """Find the nearest road user or stop on the way.

    Parameters
    ----------
    route : Route
    along_m : float
        Place of the own centre on the route.
    size : FloatArray [2]
        Own length and width in m.
    others : Traffic
    stops_m : FloatArray [S], optional
        Places on the route where one must stop, see `stop_places`.
    offset_m : float, default 0
        The path runs so far to the left of the route.

    Returns
    -------
    Leader
        With a gap of 1000 m when the way is free.

    Examples
    --------
    >>> from gnnlib.heads.scene.maps.road import Route
    >>> ahead = Traffic(np.array([[30.0, 0.5]]), np.zeros(1), np.array([[5.0, 2.0]]), np.array([7.0]))
    >>> find_leader(Route.along([[0, 0], [100, 0]]), 10.0, np.array([5.0, 2.0]), ahead)
    Leader(gap_m=15.0, speed=7.0)
    """
    best = Leader(FREE_GAP_M, 0.0)
    if len(others.xy):
        place, side = route.project(others.xy)
        turn = others.heading_rad - route.heading(place)
        cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
        reach = 0.5 * (others.size[:, 0] * cos + others.size[:, 1] * sin)
        breadth = 0.5 * (others.size[:, 0] * sin + others.size[:, 1] * cos)
        in_way = (np.abs(side - offset_m) < breadth + size[1] / 2 + _SIDE_MARGIN_M) & (place > along_m)
        gap = np.where(in_way, place - reach - along_m - size[0] / 2, FREE_GAP_M)
        k = int(np.argmin(gap))
        if gap[k] < FREE_GAP_M:
            best = Leader(float(gap[k]), float(max(0.0, others.speed[k] * np.cos(turn[k]))))
    if stops_m is not None:
        ahead = stops_m[stops_m > along_m + size[0] / 2 - 1.0]
        if ahead.size and ahead.min() - along_m - size[0] / 2 < best.gap_m:
            best = Leader(float(ahead.min() - along_m - size[0] / 2), 0.0)
    return best


def stop_places(route: Route, lanes: LaneMap, step: int, *, along_m: float, speed: float) -> FloatArray:
    """Return the places [S] in m on a route where a signal says stop.

    Yellow counts as red where one can still stop with 3 m/s^2.

    Parameters
    ----------
    route : Route
    lanes : LaneMap
    step : int
        Step of the scene whose states count.
    along_m, speed : float
        Own place on the route, and speed in m/s.
    """
    if not lanes.signals:
        return np.zeros(0)
    place, side = route.project(np.array([signal.position for signal in lanes.signals]))
    names = [SIGNAL_STATES[int(signal.states[step])] for signal in lanes.signals]
    distance = place - along_m
    can_stop = distance > speed**2 / (2 * _YELLOW_BRAKING)
    closed = np.array([name == "red" or (name == "yellow" and ok) for name, ok in zip(names, can_stop, strict=True)])
    on_route = (np.abs(side) < _SIGNAL_REACH_M) & (place > 0.0) & (place < route.length)
    return np.asarray(place[closed & on_route])
