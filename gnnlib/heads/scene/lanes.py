"""Questions about lanes: which are near, and which ways an agent may take along them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.maps.polylines import arc_lengths, points_at, project
from gnnlib.heads.scene.problem import AGENT_TYPES, headings_from_past

if TYPE_CHECKING:
    from gnnlib.heads.scene.lanemap import LaneMap, MapId
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray

__all__ = ["LanePlace", "lane_candidates", "lane_paths", "nearest_lanes"]

_STRAY_M = 10.0  # farthest from a lane that still counts as being on it when there is none nearer
_MOST_PATHS = 64
_SPACING_M = 1.0
_ON_WHEELS = tuple(AGENT_TYPES.index(name) for name in ("vehicle", "truck", "bus", "motorcycle"))


class LanePlace(NamedTuple):
    """Where a point lies relative to a lane: metres along it, metres to its left, turn from its direction in radians."""

    lane: MapId
    along: float
    left: float
    turn_rad: float


def nearest_lanes(
    lane_map: LaneMap, point: FloatArray, heading_rad: float | None = None, *, radius_m: float = 3.0
) -> list[LanePlace]:
    """Find the lanes near a point.

    Parameters
    ----------
    lane_map : LaneMap
    point : array [2]
        In metres.
    heading_rad : float, optional
        Take only lanes whose direction there is within 60 degrees of it.
    radius_m : float
        Farthest distance to the centre line, default 3.0 m.

    Returns
    -------
    list of LanePlace
        The nearest first; empty without a map or when none is near.

    Examples
    --------
    >>> from gnnlib.heads.scene.lanemap import Lane, LaneMap
    >>> road = LaneMap((Lane("out", [[0, 0], [50, 0]]), Lane("back", [[50, 3], [0, 3]])))
    >>> nearest_lanes(road, np.array([10.0, 1.0]), 0.1)
    [LanePlace(lane='out', along=10.0, left=1.0, turn_rad=0.1)]
    """
    target = checks.float_array("point", point, (2,))[None]
    found = []
    for lane in lane_map.lanes:
        low, high = lane.centre.min(axis=0) - radius_m, lane.centre.max(axis=0) + radius_m
        if (target[0] < low).any() or (target[0] > high).any():
            continue
        along, left = project(lane.centre, target)
        if abs(left[0]) > radius_m:
            continue
        step = int(np.clip(np.searchsorted(lane.arc, along[0], side="right") - 1, 0, len(lane.arc) - 2))
        way = lane.centre[step + 1] - lane.centre[step]
        turn = 0.0
        if heading_rad is not None:
            turn = math.remainder(heading_rad - math.atan2(way[1], way[0]), 2.0 * math.pi)
            if abs(turn) > math.pi / 3.0:
                continue
        found.append(LanePlace(lane.id, float(along[0]), float(left[0]), turn))
    return sorted(found, key=lambda place: round(abs(place.left), 6))  # equally near ones in the order of the map


def lane_paths(lane_map: LaneMap, lane_id: MapId, along_m: float, distance_m: float) -> list[FloatArray]:
    """Walk along successors in all ways.

    Parameters
    ----------
    lane_map : LaneMap
    lane_id : str or int
        Where to start.
    along_m : float
        Distance along that lane, in metres.
    distance_m : float
        How far to go, > 0; a path ends earlier where lanes do.

    Returns
    -------
    list of array [P, 2]
        Points a metre apart; at most 64 paths, no lane twice in one.

    Raises
    ------
    InputError
        If the map has no such lane.

    Examples
    --------
    >>> from gnnlib.heads.scene.lanemap import Lane, LaneMap
    >>> fork = LaneMap(
    ...     (Lane(0, [[0, 0], [10, 0]], successors=(1, 2)), Lane(1, [[10, 0], [20, 0]]), Lane(2, [[10, 0], [10, 10]]))
    ... )
    >>> [path[-1].tolist() for path in lane_paths(fork, 0, 5.0, 12.0)]
    [[17.0, 0.0], [10.0, 7.0]]
    """
    checks.positive("distance_m", distance_m)
    need = along_m + distance_m
    open_ways: list[list[MapId]] = [[lane_map[lane_id].id]]
    done: list[list[MapId]] = []
    while open_ways and len(done) < _MOST_PATHS:
        way = open_ways.pop()
        reached = sum(lane_map[i].length for i in way)
        onward = [i for i in lane_map[way[-1]].successors if i not in way]
        if reached >= need or not onward:
            done.append(way)
        else:
            open_ways += [[*way, i] for i in reversed(onward)]
    paths = []
    for way in done:
        line = np.concatenate([lane_map[i].centre for i in way])
        end = min(need, float(arc_lengths(line)[-1]))
        count = max(math.ceil((end - along_m) / _SPACING_M - 1e-9), 1)
        paths.append(points_at(line, np.linspace(min(along_m, end), end, count + 1)))
    return paths


def lane_candidates(
    scene: Scene, agent: str | int, horizon: int = 30, *, at_step: int | None = None
) -> list[FloatArray]:
    """Centre lines that an agent may follow within the next steps.

    Starts from the lanes under the agent that point its way (within 3 m and 60 degrees; else the nearest lane within
    10 m, whichever way it points) and the neighbours of the nearest one, and walks along all successors as far as the
    agent gets with its present speed and 2 m/s^2, at least 20 m. Only the past is used.

    Parameters
    ----------
    scene : Scene
    agent : str or int
        Its id.
    horizon : int
        Steps ahead, default 30.
    at_step : int, optional
        Present step; default: the last one at which the agent is there.

    Returns
    -------
    list of array [P, 2]
        Points a metre apart from beside the agent onward, the lane nearest to it first; empty without a map or when
        the agent is off the road.

    Raises
    ------
    InputError
        If there is no such agent, or it is absent at `at_step`.

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> scene = generate_scene("intersection", seed=3)
    >>> paths = lane_candidates(scene, scene.agents[scene.ego], at_step=20)
    >>> len(paths) >= 1 and paths[0].shape[1] == 2
    True
    """
    row = scene.row(agent)
    present = np.flatnonzero(scene.valid[row])
    step = int(present[-1]) if at_step is None else checks.integer("at_step", at_step, 0, scene.num_steps)
    if not scene.valid[row, step]:
        raise InputError(f"agent {agent!r} is not in scene {scene.name!r} at step {step}; it is at {_span(present)}")
    time_s = checks.integer("horizon", horizon, 1) * scene.dt
    point, heading, speed = _present(scene, row, step)
    distance = max(speed * time_s + time_s**2, 20.0)
    lane_map = scene.lanes
    places = nearest_lanes(lane_map, point, heading) or nearest_lanes(lane_map, point, radius_m=_STRAY_M)[:1]
    if scene.agent_types[row] in _ON_WHEELS:
        drivable = [place for place in places if lane_map[place.lane].kind != "bike"]
        places = drivable or places
    starts = {place.lane: place.along for place in places}
    for place in places[:1]:
        lane = lane_map[place.lane]
        for side in (lane.left_neighbour, lane.right_neighbour):
            if side is not None and side not in starts:
                starts[side] = float(project(lane_map[side].centre, point[None])[0][0])
    paths: list[FloatArray] = []
    for lane_id, along in starts.items():
        for path in lane_paths(lane_map, lane_id, along, distance):
            if not any(len(path) == len(other) and np.hypot(*(path - other).T).max() < 0.5 for other in paths):
                paths.append(path)
    return paths


def _span(present: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    return f"steps {present[0]} .. {present[-1]}" if len(present) else "no step"


def _present(scene: Scene, row: int, step: int) -> tuple[FloatArray, float | None, float]:
    """Position, heading (None when unknown) and speed of an agent from what is known at `step`."""
    past = scene.xy[row : row + 1, : step + 1]
    recorded = float(scene.heading_rad[row, step])
    heading = recorded if math.isfinite(recorded) else float(headings_from_past(past)[0, -1])
    known = np.flatnonzero(np.isfinite(past[0, :, 0]))[-6:]
    speed = 0.0
    if len(known) > 1:
        moved = past[0, known[-1]] - past[0, known[0]]
        speed = float(np.hypot(*moved)) / ((known[-1] - known[0]) * scene.dt)
    return past[0, -1], heading if math.isfinite(heading) else None, speed
