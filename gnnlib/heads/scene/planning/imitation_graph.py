"""Pieces of the imitation planner's data: its graph, what it sees of the route, and paths pushed aside."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gnnlib.heads.scene.graph import SceneGraph, join_scene_graphs, scene_graph
from gnnlib.heads.scene.graphs.graph_features import rotate
from gnnlib.heads.scene.planning.driving import traffic_at
from gnnlib.heads.scene.planning.idm import IDM, Traffic, find_leader, stop_places
from gnnlib.heads.scene.planning.imitation_head import PlanGraph
from gnnlib.heads.scene.problem import wrap_angle
from gnnlib.heads.scene.sim import StartShift, bent_past
from gnnlib.heads.scene.training.losses import Surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.scene.maps.road import Route
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "FUTURE",
    "NUM_ROUTE",
    "Push",
    "ahead_features",
    "ahead_of",
    "as_tensor",
    "into_frame",
    "join_plan_graphs",
    "perturbed_path",
    "plan_graph",
    "route_features",
]

FUTURE = 30
"""Steps of a plan."""

NUM_ROUTE = 28
_ROUTE_M = np.array([-4.0, 0.0, 3.0, 6.0, 9.0, 12.0, 16.0, 20.0, 25.0, 30.0, 36.0, 43.0, 51.0, 60.0])
_MAX_BEND = 0.3
_RETURN_STEPS = (12, 15, 18, 21, 24, 27)
_MAX_SIDEWAYS = 3.0
_NUM_AHEAD = 4


def as_tensor(values: Any) -> torch.Tensor:
    """Return numbers as a tensor of float32."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def into_frame(points: FloatArray, poses: FloatArray) -> FloatArray:
    """Carry points [E, M, 2] into the frames given by poses [E, 3]."""
    return rotate(points - poses[:, None, :2], -poses[:, 2])


def ahead_of(route: Route, pose: FloatArray, reach_m: float) -> FloatArray:
    """Return points [NUM_ROUTE + 1, 2] of a route from 6 m behind a pose to `reach_m` ahead."""
    place = float(route.project(pose[:2])[0])
    return route.points(place + np.linspace(-6.0, reach_m, NUM_ROUTE + 1))


def route_features(route: Route, pose: FloatArray) -> FloatArray:
    """Return what the planner sees of a route, 58 numbers.

    Fourteen points from 4 m behind to 60 m ahead, each with place and direction in the vehicle's frame; then the
    offset of the vehicle to the left of the route, and its heading relative to it.

    Parameters
    ----------
    route : Route
    pose : FloatArray [3]
        Of the vehicle.
    """
    place, aside = (float(value) for value in route.project(pose[:2]))
    along = place + _ROUTE_M
    points = into_frame(route.points(along)[None], pose[None])[0]
    turn = wrap_angle(route.heading(along) - pose[2])
    slope = float(turn[1])
    scale = 10.0 + np.abs(_ROUTE_M)
    table = np.column_stack([points[:, 0] / scale, points[:, 1] / scale * 4.0, np.cos(turn), np.sin(turn) * 2.0])
    return np.concatenate([table.ravel(), [np.clip(aside, -5.0, 5.0), slope]])


def ahead_features(
    route: Route, pose: FloatArray, own: tuple[float, FloatArray], others: Traffic, stops_m: FloatArray
) -> FloatArray:
    """Return who and what is on the way [AHEAD_FEATURES].

    For each of the four nearest road users ahead, within 5 m of the route: whether there is one, gap and side in m, its
    speed along the route and the difference to the own one in m/s, length and width; scaled to about 1. Then whether a
    signal says stop, how far ahead, and what braking that takes. Then what is in the way first, somebody or a stop:
    whether there is anything, the room up to it, its speed, how short the room is of what the intelligent driver model
    wants (its interaction term), and what braking it takes not to touch it.

    Parameters
    ----------
    route : Route
    pose : FloatArray [3]
        Of the vehicle.
    own : tuple of float and FloatArray [2]
        Its speed in m/s, and its length and width in m.
    others : Traffic
    stops_m : FloatArray [S]
        Places to stop at on the route, see `gnnlib.heads.scene.planning.idm.stop_places`.
    """
    speed = own[0]
    table = np.zeros((_NUM_AHEAD, 9))
    along = float(route.project(pose[:2])[0])
    if len(others.xy):
        place, side = route.project(others.xy)
        gap = place - along
        near = np.flatnonzero((gap > 0.0) & (gap < 60.0) & (np.abs(side) < 5.0))
        near = near[np.argsort(gap[near], kind="stable")[:_NUM_AHEAD]]
        turn = others.heading_rad[near] - route.heading(place[near])
        pace = others.speed[near] * np.cos(turn)
        free = np.maximum(gap[near] - others.size[near, 0] / 2 - 2.0, 0.5)
        closing = speed - pace
        table[: len(near)] = np.column_stack(
            [
                np.ones(len(near)),
                gap[near] / 20.0,
                side[near] / 2.0,
                np.exp(-(side[near] ** 2) / 4.0),
                pace / 10.0,
                closing / 10.0,
                np.clip(np.maximum(closing, 0.0) ** 2 / (2 * free) / 4.0, 0.0, 3.0),
                others.size[near, 0] / 5.0,
                others.size[near, 1] / 2.0,
            ]
        )
    ahead = stops_m[stops_m > along]
    rest = float(ahead.min() - along) if ahead.size else 100.0
    stop = [float(rest < 80.0), min(rest, 80.0) / 40.0, min(speed**2 / (2 * max(rest - 2.0, 0.5)) / 4.0, 3.0)]
    return np.concatenate([table.ravel(), stop, _leader_features(route, along, own, others, stops_m)])


def _leader_features(
    route: Route, along: float, own: tuple[float, FloatArray], others: Traffic, stops_m: FloatArray
) -> list[float]:
    speed, size = own
    leader, model = find_leader(route, along, size, others, stops_m), IDM()
    gap, closing = max(leader.gap_m, 0.3), speed - leader.speed
    root = 2.0 * np.sqrt(model.max_acceleration * model.comfortable_braking)
    wanted = model.min_gap_m + max(0.0, speed * model.time_headway_s + speed * closing / root)
    short = min(wanted / gap, 4.0)
    braking = min(max(closing, 0.0) ** 2 / (2.0 * gap) / 4.0, 3.0)
    return [float(leader.gap_m < 80.0), min(gap, 80.0) / 40.0, leader.speed / 10.0, short, min(short**2, 4.0), braking]


def plan_graph(
    scene: Scene, rows: IntArray, poses: FloatArray, speeds: FloatArray, routes: Sequence[Route]
) -> PlanGraph:
    """Build the graph of a scene at its last step for some of its vehicles.

    Parameters
    ----------
    scene : Scene
        Up to the present.
    rows : IntArray [E]
        Rows of the vehicles.
    poses : FloatArray [E, 3]
        Their poses.
    speeds : FloatArray [E]
        In m/s.
    routes : sequence of Route
        One each.
    """
    graph = scene_graph(scene, rows=rows.tolist())
    base = {item.name: getattr(graph, item.name) for item in fields(SceneGraph)}
    motion = graph.pose.numpy() if graph.pose is not None else poses
    everybody = traffic_at(scene.xy, scene.heading_rad[:, -1], scene.size, scene.dt)
    present = np.isfinite(everybody.xy[:, 0])
    features = []
    for row, pose, speed, route in zip(rows.tolist(), poses, speeds.tolist(), routes, strict=True):
        others = present.copy()
        others[row] = False
        along = float(route.project(pose[:2])[0])
        stops = stop_places(route, scene.lanes, scene.num_steps - 1, along_m=along, speed=speed)
        ahead = ahead_features(route, pose, (speed, scene.size[row]), everybody.taken(others), stops)
        features.append(np.concatenate([route_features(route, pose), ahead]))
    return PlanGraph(
        **base,
        origin=torch.from_numpy(np.ascontiguousarray(poses)),
        speed=as_tensor(speeds),
        turned=as_tensor(wrap_angle(poses[:, 2] - motion[:, 2])),
        size=as_tensor(scene.size[rows]),
        route=as_tensor(np.stack(features)),
    )


class Push(NamedTuple):
    """By how much a vehicle is moved in the present.

    Attributes
    ----------
    side : StartShift
        To the left, and turned.
    ahead_m : float
        Along its path.
    faster : float
        Change of its speed in m/s.
    """

    side: StartShift = StartShift()
    ahead_m: float = 0.0
    faster: float = 0.0


def perturbed_path(
    xy: FloatArray, heading_rad: FloatArray, at_step: int, push: Push, dt: float
) -> tuple[FloatArray, FloatArray] | None:
    """Move a recorded path in the present; the past of a second leads there, the future comes back.

    Sideways it comes back as soon as 3 m/s^2 allow, in 1.2 s at the earliest, else within 3 s: a slower return from a
    turned start swings out by metres before, off the road. Along the path it takes 3 s.

    Parameters
    ----------
    xy : FloatArray [T, 2]
        Without gaps from one second before the present on.
    heading_rad : FloatArray [T]
    at_step : int
        The present.
    push : Push
    dt : float

    Returns
    -------
    tuple of FloatArray [T, 2] and [T], or None
        None where the vehicle would have to turn more sharply than 0.3 rad a metre, to go backwards, or hardly moves.

    Examples
    --------
    >>> path = np.stack([np.arange(60.0), np.zeros(60)], axis=-1)
    >>> xy, _ = perturbed_path(path, np.zeros(60), 20, Push(StartShift(0.8, 0.1), 2.0, 1.0), 0.1)
    >>> (xy[[10, 20, 50]].round(3) + 0.0).tolist()
    [[10.0, 0.0], [22.0, 0.8], [50.0, 0.0]]
    """
    steps = min(FUTURE, len(xy) - 1 - at_step)
    rows = np.arange(at_step, at_step + steps + 1)
    length = float(np.nan_to_num(np.linalg.norm(np.diff(xy[rows], axis=0), axis=1)).sum())
    if length < 6.0:
        return None
    shifted = _shifted_along(xy, heading_rad, at_step, push, dt)
    if shifted is None:
        return None
    xy, heading_rad = shifted
    shift = push.side
    bent, turned = bent_past(xy, heading_rad, at_step, shift, dt)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xy[rows], axis=0), axis=1))])
    for count in (*(count for count in _RETURN_STEPS if count < steps), steps):
        length = max(float(way[count]), 1e-3)
        u = np.minimum(np.arange(steps + 1) / count, 1.0)
        offset, rise, bend = _back_to_rest(shift.left_m, np.tan(shift.heading_rad) * length, u)
        hardest = float(np.abs(bend).max())
        if hardest / (count * dt) ** 2 <= _MAX_SIDEWAYS and hardest / length**2 <= _MAX_BEND:
            break
    if hardest / length**2 > _MAX_BEND:
        return None
    left = np.stack([-np.sin(heading_rad[rows]), np.cos(heading_rad[rows])], axis=-1)
    bent[rows[1:]] = (xy[rows] + offset[:, None] * left)[1:]
    turned[rows[1:]] = (heading_rad[rows] + np.arctan(rise / length))[1:]
    return bent, turned


def _back_to_rest(start: float, slope: float, u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the quintic from (start, slope, 0) at 0 to rest at 1, with its first two derivatives."""
    c3, c4, c5 = -10 * start - 6 * slope, 15 * start + 8 * slope, -6 * start - 3 * slope
    value = start + slope * u + c3 * u**3 + c4 * u**4 + c5 * u**5
    return (
        value,
        slope + 3 * c3 * u**2 + 4 * c4 * u**3 + 5 * c5 * u**4,
        6 * c3 * u + 12 * c4 * u**2 + 20 * c5 * u**3,
    )


def _shifted_along(
    xy: FloatArray, heading_rad: FloatArray, at_step: int, push: Push, dt: float
) -> tuple[FloatArray, FloatArray] | None:
    """Move a vehicle along its own path; None where it would go backwards or its past has gaps."""
    if push.ahead_m == 0.0 and push.faster == 0.0:
        return xy, heading_rad
    past, steps = min(round(1.0 / dt), at_step), min(FUTURE, len(xy) - 1 - at_step)
    rows = np.arange(at_step - past, at_step + steps + 1)
    if not np.isfinite(xy[rows, 0]).all() or past < 2:
        return None
    place = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xy[rows], axis=0), axis=1))])
    before = np.linspace(0.0, 1.0, past + 1)
    slope = push.faster * past * dt
    rise = (3 * push.ahead_m - slope) * before**2 + (slope - 2 * push.ahead_m) * before**3
    back = _back_to_rest(push.ahead_m, push.faster * steps * dt, np.linspace(0.0, 1.0, steps + 1))[0]
    moved = place + np.concatenate([rise, back[1:]])
    if (np.diff(moved) < -1e-6).any() or moved[0] < -1e-6:
        return None
    beyond = np.maximum(moved - place[-1], 0.0)
    end = heading_rad[rows[-1]]
    new_xy, new_heading = xy.copy(), heading_rad.copy()
    unwrapped = np.unwrap(heading_rad[rows])
    for axis, lead in ((0, np.cos(end)), (1, np.sin(end))):
        new_xy[rows, axis] = np.interp(moved, place, xy[rows, axis]) + beyond * lead
    new_heading[rows] = np.interp(moved, place, unwrapped)
    return new_xy, new_heading


def join_plan_graphs(graphs: Sequence[PlanGraph]) -> PlanGraph:
    """Put graphs side by side into a batch."""
    base = join_scene_graphs(graphs)
    own: dict[str, Any] = {item.name: getattr(base, item.name) for item in fields(SceneGraph)}
    for name in ("origin", "speed", "turned", "size", "route", "target", "imitate", "matter"):
        values = [getattr(graph, name) for graph in graphs]
        own[name] = None if values[0] is None else torch.cat(values)
    arounds = [graph.around for graph in graphs if graph.around is not None]
    if arounds:
        own["around"] = _join_surroundings(arounds)
    return PlanGraph(**own)


def _join_surroundings(arounds: Sequence[Surroundings]) -> Surroundings:
    """Join batches whose numbers of other agents differ."""
    most = max(part.agent_size.shape[1] for part in arounds)
    columns = []
    for item in fields(Surroundings):
        values = [getattr(part, item.name) for part in arounds]
        if item.name.startswith("agent"):
            values = [torch.cat([v, v.new_zeros(v.shape[0], most - v.shape[1], *v.shape[2:])], dim=1) for v in values]
        columns.append(torch.cat(values))
    return Surroundings(*columns)
