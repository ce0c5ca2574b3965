"""The roads of a generated scene as arrays that the compiled traffic model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gnnlib.heads.scene.maps.polylines import headings
from gnnlib.heads.scene.maps.roads import SPACING_M, RoadPlan, Rule

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Roads", "road_tables"]

_NEAR_M = 2.6  # centre lines closer than this cannot be used side by side
_LATERAL = 1.9  # m/s^2 that drivers accept in bends
_BRAKE = 1.6  # m/s^2 at which they slow down ahead of bends
_ROUTE_SPACING = 2.0


class Roads(NamedTuple):
    """Arrays over L lanes, R routes, C conflicts. Distances S are along a route, s along a lane, in metres.

    `offset` [R, L] is where a lane starts on a route (-1: not on it). `fork` and `join` [R, L] are where a lane that
    is not on the route would start if laid over it, because it leaves it (valid for s < `fork_until`) or comes into
    it (valid for s > `join_from`); `conflict_*` list, route after route, the places where another lane crosses.
    """

    length: FloatArray
    route_lane: IntArray
    route_length: FloatArray
    offset: FloatArray
    fork: FloatArray
    fork_until: FloatArray
    join: FloatArray
    join_from: FloatArray
    speed: FloatArray
    left_route: IntArray
    right_route: IntArray
    left_lane: IntArray
    right_lane: IntArray
    dead_end: IntArray
    signal: IntArray
    conflict_start: IntArray
    conflict_in: FloatArray
    conflict_out: FloatArray
    conflict_lane: IntArray
    conflict_lane_in: FloatArray
    conflict_lane_out: FloatArray
    conflict_rule: IntArray
    crossing_start: IntArray
    crossing_at: FloatArray
    crossing: IntArray
    width: FloatArray


def road_tables(plan: RoadPlan) -> Roads:
    """Measure a plan: lengths, speeds that bends allow, and where lanes run into or across each other."""
    count = len(plan.lanes)
    length = np.array([SPACING_M * (len(lane.centre) - 1) for lane in plan.lanes])
    for index, lane in enumerate(plan.lanes):  # the exact spacing differs a little from lane to lane
        step = np.diff(lane.centre, axis=0)
        length[index] = np.hypot(step[:, 0], step[:, 1]).sum()
    longest = max(len(route) for route in plan.routes)
    route_lane = np.full((len(plan.routes), longest), -1, np.int64)
    offset = np.full((len(plan.routes), count), -1.0)
    for index, route in enumerate(plan.routes):
        route_lane[index, : len(route)] = route
        offset[index, route] = np.concatenate([[0.0], np.cumsum(length[route])[:-1]])
    total = np.array([length[route].sum() for route in plan.routes])
    overlaps = _overlaps(plan)
    fork, fork_until, join, join_from = _laid_over(plan, overlaps, offset, length)
    conflicts = _conflicts(plan, overlaps, offset)
    crossings = _crossings(plan, offset)
    side = {name: np.array([getattr(lane, name) for lane in plan.lanes], np.int64) for name in ("left", "right")}
    change = {
        name: np.array([plan.sides.get((route, name), -1) for route in range(len(plan.routes))], np.int64)
        for name in ("left", "right")
    }
    tables: dict[str, Any] = {
        "length": length,
        "route_lane": route_lane,
        "route_length": total,
        "offset": offset,
        "fork": fork,
        "fork_until": fork_until,
        "join": join,
        "join_from": join_from,
        "speed": _speeds(plan, total),
        "left_route": change["left"],
        "right_route": change["right"],
        "left_lane": side["left"],
        "right_lane": side["right"],
        "dead_end": np.array([route in plan.dead_ends for route in range(len(plan.routes))], np.int64),
        "signal": np.array([lane.group for lane in plan.lanes], np.int64),
        "conflict_start": conflicts[0],
        "conflict_in": conflicts[1][:, 0],
        "conflict_out": conflicts[1][:, 1],
        "conflict_lane": conflicts[2][:, 0],
        "conflict_lane_in": conflicts[1][:, 2],
        "conflict_lane_out": conflicts[1][:, 3],
        "conflict_rule": conflicts[2][:, 1],
        "crossing_start": crossings[0],
        "crossing_at": crossings[1],
        "crossing": crossings[2],
        "width": np.array([lane.width for lane in plan.lanes]),
    }
    return Roads(**{name: np.ascontiguousarray(array) for name, array in tables.items()})  # one layout: compiled once


def _speeds(plan: RoadPlan, total: FloatArray) -> FloatArray:
    """Speeds [R, P] that the limit and the bends ahead allow, every `_ROUTE_SPACING` metres of a route."""
    lane_speed = []
    for lane in plan.lanes:
        turn = np.diff(np.unwrap(headings(lane.centre)))
        curvature = np.abs(turn) / SPACING_M
        smooth = np.convolve(np.pad(curvature, 2, mode="edge"), np.ones(5) / 5.0, mode="valid")
        speed = np.minimum(np.sqrt(_LATERAL / np.maximum(smooth, 1e-6)), lane.limit)
        if lane.stops:
            speed[-3:] = 0.7
        lane_speed.append(np.append(speed, speed[-1]))
    speeds = np.zeros((len(plan.routes), int(total.max() / _ROUTE_SPACING) + 2))
    for index, route in enumerate(plan.routes):
        joined = np.concatenate([lane_speed[lane] for lane in route])
        at = SPACING_M * np.arange(len(joined))
        reach = joined**2 + 2.0 * _BRAKE * at  # v^2 allowed at S: least of v'^2 + 2 b (S' - S) over S' >= S
        ahead = np.minimum.accumulate(reach[::-1])[::-1] - 2.0 * _BRAKE * at
        wanted = _ROUTE_SPACING * np.arange(speeds.shape[1])
        speeds[index] = np.interp(wanted, at, np.sqrt(np.maximum(ahead, 0.25)))
    return speeds


class _Overlap(NamedTuple):
    """Where lane `first` and lane `second` are closer than `_NEAR_M`: intervals along each."""

    first: int
    second: int
    first_in: float
    first_out: float
    second_in: float
    second_out: float


def _overlaps(plan: RoadPlan) -> list[_Overlap]:
    """Find all pairs of lanes that cross, fork or join; lanes side by side or end to end are none."""
    found = []
    inner = [index for index, lane in enumerate(plan.lanes) if lane.kind == "intersection"]  # others are apart
    thin = {index: plan.lanes[index].centre[::2] for index in inner}
    low = {index: tuple((line.min(axis=0) - _NEAR_M).tolist()) for index, line in thin.items()}
    high = {index: tuple((line.max(axis=0) + _NEAR_M).tolist()) for index, line in thin.items()}
    for place, a in enumerate(inner):
        first = plan.lanes[a]
        beside = {first.left, first.right, first.opposite, *first.after, *first.before}
        for b in inner[place + 1 :]:
            is_apart = any(low[a][k] > high[b][k] or low[b][k] > high[a][k] for k in (0, 1))
            if is_apart or b in beside:
                continue
            gap = thin[a][:, None] - thin[b]
            near = (gap**2).sum(axis=-1) < _NEAR_M**2
            rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
            if len(rows):
                step = 2.0 * SPACING_M
                found.append(_Overlap(a, b, rows[0] * step, rows[-1] * step, columns[0] * step, columns[-1] * step))
    return found


def _laid_over(
    plan: RoadPlan, overlaps: list[_Overlap], offset: FloatArray, length: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Where forking and joining lanes lie on the routes that they are not part of."""
    fork, join = np.full_like(offset, -1.0), np.full_like(offset, -1.0)
    until, since = np.zeros_like(offset), np.zeros_like(offset)
    for overlap in overlaps:
        pairs = (
            (overlap.first, overlap.second, overlap.second_in, overlap.second_out),
            (overlap.second, overlap.first, overlap.first_in, overlap.first_out),
        )
        for mine, other, other_in, other_out in pairs:
            on_route = (offset[:, mine] >= 0.0) & (offset[:, other] < 0.0)
            if set(plan.lanes[mine].before) & set(plan.lanes[other].before):
                fork[on_route, other] = offset[on_route, mine]
                until[on_route, other] = other_out
            if set(plan.lanes[mine].after) & set(plan.lanes[other].after):
                join[on_route, other] = offset[on_route, mine] + length[mine] - length[other]
                since[on_route, other] = other_in
    return fork, until, join, since


def _rule(plan: RoadPlan, mine: int, other: int) -> int:
    """Right of way of lane `mine` over lane `other`."""
    if plan.in_turn:
        return Rule.IN_TURN
    first, second = plan.lanes[mine], plan.lanes[other]
    if plan.signalled and (first.arm - second.arm) % 2:
        return Rule.FIRST  # the signals keep them apart
    if first.rank != second.rank:
        return Rule.YIELD if first.rank > second.rank else Rule.FIRST
    return Rule.IN_TURN


def _conflicts(plan: RoadPlan, overlaps: list[_Overlap], offset: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """List of conflicts of all routes, each route's in driving order: start [R + 1], places [C, 4], (lane, rule)."""
    starts, places, facts = [0], [], []
    by_lane: dict[int, list[_Overlap]] = {}
    for o in overlaps:
        if set(plan.lanes[o.first].before) & set(plan.lanes[o.second].before):
            continue
        by_lane.setdefault(o.first, []).append(o)
        turned = _Overlap(o.second, o.first, o.second_in, o.second_out, o.first_in, o.first_out)
        by_lane.setdefault(o.second, []).append(turned)
    for index, route in enumerate(plan.routes):
        mine = [o for lane in route for o in by_lane.get(lane, ()) if offset[index, o.second] < 0.0]
        mine.sort(key=lambda o: float(offset[index, o.first]) + o.first_in)
        for o in mine:
            base = offset[index, o.first]
            places.append((base + o.first_in, base + o.first_out, o.second_in, o.second_out))
            facts.append((o.second, _rule(plan, o.first, o.second)))
        starts.append(len(places))
    return (
        np.array(starts, np.int64),
        np.array(places, np.float64).reshape(-1, 4),
        np.array(facts, np.int64).reshape(-1, 2),
    )


def _crossings(plan: RoadPlan, offset: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Where each route meets pedestrian crossings: start [R + 1], S of the crossing, which one."""
    at_lane: list[tuple[int, float, int]] = []
    for index, crossing in enumerate(plan.crossings):
        along = crossing.end - crossing.start
        for number, lane in enumerate(plan.lanes):
            if lane.kind == "bike":
                continue
            side = (lane.centre[:, 0] - crossing.start[0]) * along[1] - (lane.centre[:, 1] - crossing.start[1]) * along[
                0
            ]
            share = (lane.centre - crossing.start) @ along / (along @ along)
            passed = np.flatnonzero((side[1:] * side[:-1] <= 0.0) & (share[1:] > 0.0) & (share[1:] < 1.0))
            if len(passed):
                at_lane.append((number, SPACING_M * float(passed[0]), index))
    starts, places, which = [0], [], []
    for route in range(len(plan.routes)):
        met = sorted((float(offset[route, lane]) + at, c) for lane, at, c in at_lane if offset[route, lane] >= 0.0)
        places += [at for at, _ in met]
        which += [c for _, c in met]
        starts.append(len(places))
    return np.array(starts, np.int64), np.array(places, np.float64), np.array(which, np.int64)
