"""Where a vehicle may drive and which way it should go: the road as a union of lane pieces, the route as a line.

The kernels are compiled at their first call (some seconds, then cached on disk).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.problem import wrap_angle

if TYPE_CHECKING:
    from gnnlib.heads.scene.problem import Lane, LaneMap, Scene
    from gnnlib.typing import ArrayLike, FloatArray, IntArray

__all__ = ["Road", "Route", "box_corners", "road_of", "route_of"]

_FAR = 1e4
_MAX_PIECE_M = 8.0


@dataclass(frozen=True, eq=False)
class Road:
    """The drivable area as the union of lane pieces.

    Parameters
    ----------
    start, end : FloatArray [P, 2]
        Ends of the pieces of centre line in m.
    half_width : FloatArray [P]
        What lies within it of a piece is road, in m.

    Examples
    --------
    >>> road = Road(np.array([[0.0, 0.0]]), np.array([[10.0, 0.0]]), np.array([2.0]))
    >>> road.distance([[5.0, 3.0], [5.0, 0.5]]).tolist()
    [1.0, -1.5]
    """

    start: FloatArray
    end: FloatArray
    half_width: FloatArray

    def __len__(self) -> int:
        return len(self.half_width)

    def distance(self, points: ArrayLike) -> FloatArray:
        """Signed distance in m of points [..., 2] to the road: negative on it, a large number without any road."""
        array = np.ascontiguousarray(points, dtype=np.float64)
        flat = _signed_distance(array.reshape(-1, 2), self.start, self.end, self.half_width)
        return np.asarray(flat.reshape(array.shape[:-1]))

    def near(self, centre: ArrayLike, radius_m: float) -> Road:
        """Return the pieces that come within `radius_m` of a point [2]."""
        if not len(self):
            return self
        kept = np.flatnonzero(_segment_distance(np.asarray(centre, np.float64), self.start, self.end) <= radius_m)
        return Road(self.start[kept], self.end[kept], self.half_width[kept])


@dataclass(frozen=True, eq=False)
class Route:
    """A line to follow, with its length as coordinate; beyond its ends it goes straight on.

    Parameters
    ----------
    xy : FloatArray [R, 2]
        Points in m, R >= 2, no two neighbours alike.
    arc : FloatArray [R]
        Distance along the line at each point in m.

    Examples
    --------
    >>> route = Route.along([[0, 0], [10, 0], [10, 10]])
    >>> [value.tolist() for value in route.project([[4.0, 1.0], [11.0, 5.0]])]
    [[4.0, 15.0], [1.0, -1.0]]
    >>> route.points([12.0], 0.5).tolist()
    [[9.5, 2.0]]
    """

    xy: FloatArray
    arc: FloatArray

    @classmethod
    def along(cls, points: ArrayLike) -> Route:
        """Make a route of a line [R, 2]; repeated points are dropped.

        Raises
        ------
        InputError
            If fewer than two different points remain, or one is not finite.
        """
        line = np.asarray(points, dtype=np.float64)
        if line.ndim != 2 or line.shape[1] != 2 or not np.isfinite(line).all():
            raise InputError(f"a route must be finite points [R, 2], found shape {list(line.shape)}")
        step = np.linalg.norm(np.diff(line, axis=0), axis=1)
        line = line[np.concatenate([[True], step > 1e-6])]
        if len(line) < 2:
            raise InputError("a route needs at least two different points")
        return cls(line, np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]))

    @property
    def length(self) -> float:
        """Length in m."""
        return float(self.arc[-1])

    def project(self, points: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return, for points [..., 2], the distance along the line and the offset to its left, both in m [...]."""
        array = np.ascontiguousarray(points, dtype=np.float64)
        along, offset = _project(array.reshape(-1, 2), self.xy, self.arc)
        return along.reshape(array.shape[:-1]), offset.reshape(array.shape[:-1])

    @functools.cached_property
    def _turns(self) -> tuple[FloatArray, FloatArray]:
        """Places and directions between which the direction changes linearly: within 1 m of each corner."""
        step = np.diff(self.xy, axis=0)
        heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        half = np.diff(self.arc) / 2
        reach = np.minimum(np.minimum(half[1:], half[:-1]), 1.0)
        corner = self.arc[1:-1]
        place = np.stack([corner - reach, corner + reach], axis=1).ravel()
        return np.concatenate([[0.0], place]), np.concatenate([[heading[0]], np.repeat(heading, 2)[1:-1]])

    def heading(self, along: ArrayLike) -> FloatArray:
        """Return the direction of the line in rad at distances along it; it turns within 1 m of each corner."""
        return np.asarray(np.interp(np.asarray(along, dtype=np.float64), *self._turns))

    def points(self, along: ArrayLike, offset: ArrayLike = 0.0) -> FloatArray:
        """Return the points [..., 2] at distances along the line and offsets to its left, both in m."""
        along = np.asarray(along, dtype=np.float64)
        piece = self._piece(along)
        step = self.xy[piece + 1] - self.xy[piece]
        step = step / np.linalg.norm(step, axis=-1, keepdims=True)
        heading = self.heading(along)
        left = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
        ahead = (along - self.arc[piece])[..., None] * step
        return np.asarray(self.xy[piece] + ahead + np.asarray(offset, np.float64)[..., None] * left)

    def _piece(self, along: FloatArray) -> IntArray:
        found = np.searchsorted(self.arc, along, side="right") - 1
        return np.asarray(np.clip(found, 0, len(self.arc) - 2))

    def resampled(self, spacing_m: float = 2.0, *, smooth_m: float = 0.0) -> Route:
        """Return the route with even points, its corners rounded by a moving average over `smooth_m`."""
        count = max(2, int(np.ceil(self.length / spacing_m - 1e-6)) + 1)
        place = np.linspace(0.0, self.length, count)
        if smooth_m <= 0.0:
            return Route.along(self.points(place))
        reach = np.linspace(-0.5, 0.5, 9) * smooth_m
        return Route.along(self.points(place[:, None] + reach).mean(axis=1))


def box_corners(xy: FloatArray, heading_rad: FloatArray, size: FloatArray) -> FloatArray:
    """Return the corners [..., 4, 2] of vehicles, counter-clockwise from the front left.

    Parameters
    ----------
    xy : FloatArray [..., 2]
    heading_rad : FloatArray [...]
    size : FloatArray [..., 2]
        Length and width in m.

    Examples
    --------
    >>> box_corners(np.zeros(2), np.array(0.0), np.array([4.0, 2.0])).tolist()
    [[2.0, 1.0], [-2.0, 1.0], [-2.0, -1.0], [2.0, -1.0]]
    """
    local = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]]) * size[..., None, :]
    cos, sin = np.cos(heading_rad)[..., None], np.sin(heading_rad)[..., None]
    x, y = local[..., 0], local[..., 1]
    return np.asarray(xy[..., None, :] + np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1))


def road_of(lanes: LaneMap, *, widen_m: float = 0.0) -> Road:
    """Make the drivable area of a map: all lanes for motor vehicles, each with its own width.

    Parameters
    ----------
    lanes : LaneMap
        May be empty; the road is then empty too.
    widen_m : float, default 0
        Added on either side of each lane.

    Returns
    -------
    Road

    Examples
    --------
    >>> from gnnlib.heads.scene.problem import Lane, LaneMap
    >>> road_of(LaneMap((Lane("a", [[0, 0], [20, 0]]),))).distance([[10.0, 0.0]]).tolist()
    [-1.75]
    """
    parts = [_lane_pieces(lane) for lane in lanes.lanes if lane.kind != "bike"]
    parts = [part for part in parts if len(part)]
    if not parts:
        return Road(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
    table = np.concatenate(parts)
    return Road(np.ascontiguousarray(table[:, :2]), np.ascontiguousarray(table[:, 2:4]), table[:, 4] + widen_m)


def _lane_pieces(lane: Lane) -> FloatArray:
    """Return start, end and half width of the pieces of one lane [P, 5], none longer than 8 m."""
    line = Route.along(lane.centre) if lane.length > 0.05 else None
    if line is None:
        return np.zeros((0, 5))
    extra = np.arange(0.0, line.length, _MAX_PIECE_M)
    place = np.unique(np.concatenate([line.arc, extra]))
    points = line.points(place)
    middle = (points[1:] + points[:-1]) / 2
    if lane.left is None or lane.right is None:
        half = np.full(len(middle), lane.width / 2)
    else:
        reach = _distance_to_line(middle, lane.left) + _distance_to_line(middle, lane.right)
        half = np.minimum(reach / 2, 6.0)
    return np.column_stack([points[:-1], points[1:], half])


def _distance_to_line(points: FloatArray, line: FloatArray) -> FloatArray:
    zero = np.zeros(len(line) - 1)
    return np.asarray(
        _signed_distance(
            np.ascontiguousarray(points), np.ascontiguousarray(line[:-1]), np.ascontiguousarray(line[1:]), zero
        )
    )


def _segment_distance(point: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    along = end - start
    share = ((point - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    return np.asarray(np.linalg.norm(point - start - np.clip(share, 0.0, 1.0)[:, None] * along, axis=-1))


def route_of(scene: Scene, ego: int, at_step: int, *, ahead_m: float = 120.0) -> Route:
    """Find the lanes that a recorded vehicle followed and return their centre line, from 10 m behind it.

    Of the recording only the choice of lanes is used, as a navigation system would give it: of all lane sequences the
    one that lies nearest to the recorded positions. Without a map, or where the vehicle is far from all lanes, the
    route goes straight on from its pose.

    Parameters
    ----------
    scene : Scene
        With the future of the vehicle.
    ego : int
        Row of the vehicle.
    at_step : int
        The present.
    ahead_m : float, default 120
        Length of the route ahead.

    Returns
    -------
    Route

    Raises
    ------
    InputError
        If the vehicle is absent at `at_step`.
    """
    here, heading = scene.xy[ego, at_step], float(scene.heading_rad[ego, at_step])
    if not np.isfinite(here).all():
        raise InputError(f"agent row {ego} of scene {scene.name!r} is absent at step {at_step}, so it has no route")
    heading = 0.0 if np.isnan(heading) else heading
    ahead = np.array([np.cos(heading), np.sin(heading)])
    straight = Route.along(np.stack([here - 10.0 * ahead, here + ahead_m * ahead]))
    future = scene.xy[ego, at_step:]
    future = future[np.isfinite(future[:, 0])]
    best, cost = straight, np.inf
    for line in _sequences(scene.lanes, here, heading, ahead_m):
        route = Route.along(line)
        along, offset = route.project(future)
        beyond = np.clip(along - route.length, 0.0, None) + np.clip(-along, 0.0, None)
        value = float(np.minimum(np.abs(offset) + beyond, 10.0).mean())
        if value < cost:
            best, cost = route, value
    return best.resampled(2.0, smooth_m=6.0) if cost < 5.0 else straight


def _sequences(lanes: LaneMap, here: FloatArray, heading: float, ahead_m: float) -> list[FloatArray]:
    """Centre lines [R, 2] of lane sequences from the lanes near a pose, with 12 m of the lanes before them."""
    found = []
    for lane in lanes.lanes:
        if lane.kind == "bike" or lane.length < 0.1:
            continue
        line = Route.along(lane.centre)
        along, offset = line.project(here)
        beside = -2.0 <= float(along) <= line.length + 2.0 and abs(float(offset)) <= 6.0
        if beside and abs(float(wrap_angle(line.heading(along) - heading))) < np.pi / 3:
            before = _before(lanes, lane)
            found += [np.concatenate([before, part]) for part in _walks(lanes, lane, ahead_m + float(along))]
    return found


def _before(lanes: LaneMap, lane: Lane) -> FloatArray:
    if not lane.predecessors:
        return np.zeros((0, 2))
    return np.asarray(lanes[lane.predecessors[0]].centre)


def _walks(lanes: LaneMap, first: Lane, length_m: float, limit: int = 24) -> list[FloatArray]:
    """Centre lines of the ways through successors from a lane on, each `length_m` long or to the end of the map."""
    done: list[FloatArray] = []
    open_ways = [([first], first.length)]
    while open_ways and len(done) < limit:
        way, length = open_ways.pop()
        onward = [lanes[i] for i in way[-1].successors if all(lanes[i] is not seen for seen in way)]
        if length >= length_m or not onward:
            done.append(np.concatenate([lane.centre for lane in way]))
        open_ways += [([*way, lane], length + lane.length) for lane in onward if length < length_m]
    return done


@nb.njit(cache=True)
def _signed_distance(points, start, end, half_width):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    out = np.full(len(points), _FAR)
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        for k in range(len(start)):
            dx, dy = end[k, 0] - start[k, 0], end[k, 1] - start[k, 1]
            px, py = x - start[k, 0], y - start[k, 1]
            share = (px * dx + py * dy) / max(dx * dx + dy * dy, 1e-12)
            share = min(max(share, 0.0), 1.0)
            qx, qy = px - share * dx, py - share * dy
            square, reach = qx * qx + qy * qy, out[i] + half_width[k]
            if reach > 0.0 and square < reach * reach:  # spares most of the roots
                out[i] = np.sqrt(square) - half_width[k]
    return out


@nb.njit(cache=True)
def _project(points, line, arc):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    count = len(points)
    along, offset = np.empty(count), np.empty(count)
    last = len(line) - 2
    for i in range(count):
        best = np.inf
        for k in range(last + 1):
            dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
            length = arc[k + 1] - arc[k]
            px, py = points[i, 0] - line[k, 0], points[i, 1] - line[k, 1]
            share = (px * dx + py * dy) / (length * length)
            # the first and the last piece go on beyond the line's ends
            if share < 0.0 and k > 0:
                share = 0.0
            if share > 1.0 and k < last:
                share = 1.0
            gap = np.hypot(px - share * dx, py - share * dy)
            if gap < best:
                best = gap
                along[i] = arc[k] + share * length
                offset[i] = gap if dx * py - dy * px >= 0.0 else -gap
    return along, offset
