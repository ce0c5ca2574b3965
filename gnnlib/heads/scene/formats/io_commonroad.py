"""Reader of CommonRoad scenarios (XML, versions 2018b and 2020a).

Format: M. Althoff, M. Koschi, S. Manzinger, *CommonRoad: Composable benchmarks for motion planning on roads*, 2017,
and the documentation of the XML format 2020a.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.formats.io_common import number, require_metres, stem, type_code
from gnnlib.heads.scene.formats.io_maps import clean_line, lane_kind, signal_code
from gnnlib.heads.scene.formats.xml_common import attribute, child_number, name_of, parse_xml
from gnnlib.heads.scene.lanemap import Lane, LaneMap, Signal
from gnnlib.heads.scene.maps.polylines import points_at
from gnnlib.heads.scene.problem import Scene

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from gnnlib.typing import FloatArray, PathLike

__all__ = ["read_commonroad"]

_SPEED_SIGNS = {"R2-1", "274", "274.1", "MAX_SPEED"}
_LONGEST = 100_000


class _Track(NamedTuple):
    """One road user: id, type, length and width, and step -> (x, y, heading, speed)."""

    id: int
    kind: str
    size: tuple[float, float]
    states: dict[int, tuple[float, float, float, float]]
    is_static: bool


def read_commonroad(path: PathLike) -> Scene:
    """Read a CommonRoad scenario.

    Lanelets become lanes (centre line: the mean of the bounds), traffic lights become signals of the lanelets that
    name them, dynamic and static obstacles become agents. Obstacles whose future is given as occupied regions have
    their initial state only. The planning problem is no agent.

    Parameters
    ----------
    path : path-like
        ``.xml``, also gzipped.

    Raises
    ------
    FileFormatError
        If the XML is truncated (with the line), an element or number is missing or not finite, steps of a trajectory
        do not increase, or positions look like degrees; the message names the element and its id.
    """
    root = parse_xml(path, "commonRoad")
    dt = number(attribute(root, "timeStepSize", path), path, "<commonRoad timeStepSize>")
    if dt <= 0.0:
        raise FileFormatError.at(path, None, f"<commonRoad timeStepSize> must be > 0 seconds, found {dt:g}")
    tracks = [_track(element, path) for element in root if element.tag.lower().endswith("obstacle")]
    tracks = [track for track in tracks if track.states]
    last = max((max(track.states) for track in tracks), default=0)
    if last >= _LONGEST:
        raise FileFormatError.at(path, None, f"`time` must count steps, found step {last}")
    state = np.full((len(tracks), last + 1, 4), np.nan)
    for row, track in enumerate(tracks):
        if track.is_static:
            state[row] = track.states[min(track.states)]
        for step, values in track.states.items():
            state[row, step] = values
    xy, heading, speed = state[..., :2], state[..., 2], state[..., 3]
    require_metres(xy, path, "obstacles")
    try:
        return Scene(
            root.get("benchmarkID") or stem(path),
            tuple(track.id for track in tracks),
            xy,
            dt=dt,
            agent_types=np.array([type_code(track.kind) for track in tracks], np.int64),
            heading_rad=heading,
            size=np.array([track.size for track in tracks]).reshape(-1, 2),
            velocity=speed[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1),
            lanes=_lane_map(root, last + 1, path),
        )
    except FileFormatError:
        raise
    except InputError as error:
        raise FileFormatError.at(path, None, str(error)) from error


def _track(element: ET.Element, path: PathLike) -> _Track:
    place = name_of(element)
    identifier = int(number(attribute(element, "id", path), path, f"{place} id"))
    is_static = element.tag in {"staticObstacle", "environmentObstacle"} or element.findtext("role") == "static"
    initial = element.find("initialState")
    states: dict[int, tuple[float, float, float, float]] = {}
    if initial is None:
        if element.tag == "dynamicObstacle":
            raise FileFormatError.at(path, None, f"{place}: <initialState> is missing")
        return _Track(identifier, "other", (math.nan, math.nan), states, is_static)
    latest = -1
    for one in [initial, *element.findall("trajectory/state")]:
        step = _step(one, path, place)
        if step <= latest:
            raise FileFormatError.at(path, None, f"{place}: steps must increase, found {step} after {latest}")
        latest = step
        states[step] = _state(one, path, f"{place}, step {step}")
    kind = (element.findtext("type") or "unknown").strip()
    return _Track(identifier, kind, _size(element, path, place), states, is_static)


def _step(state: ET.Element, path: PathLike, place: str) -> int:
    time = state.find("time")
    if time is None:
        raise FileFormatError.at(path, None, f"{place}: a state needs <time>")
    step = _value(time, path, f"{place}: <time>")
    if step < 0.0 or step != round(step):
        raise FileFormatError.at(path, None, f"{place}: <time> must be a step 0, 1, 2, ..., found {step:g}")
    return int(step)


def _value(element: ET.Element, path: PathLike, place: str) -> float:
    """Value given as <exact>, or the middle of an interval."""
    exact = element.findtext("exact")
    if exact is not None:
        return number(exact, path, place)
    return 0.5 * (
        child_number(element, "intervalStart", path, place) + child_number(element, "intervalEnd", path, place)
    )


def _state(state: ET.Element, path: PathLike, place: str) -> tuple[float, float, float, float]:
    position = state.find("position")
    point = None if position is None else position.find("point")
    if point is None and position is not None:
        point = position.find(".//center")  # an uncertain position: a shape round it
    if point is None:
        raise FileFormatError.at(path, None, f"{place}: <position> has no <point>")
    x, y = child_number(point, "x", path, place), child_number(point, "y", path, place)
    rest = []
    for tag in ("orientation", "velocity"):
        child = state.find(tag)
        rest.append(math.nan if child is None else _value(child, path, f"{place}: <{tag}>"))
    return x, y, rest[0], rest[1]


def _size(element: ET.Element, path: PathLike, place: str) -> tuple[float, float]:
    """Length and width of the shape; of a polygon, its extent along x and y."""
    shape = element.find("shape")
    if shape is None:
        return math.nan, math.nan
    if (rectangle := shape.find("rectangle")) is not None:
        return child_number(rectangle, "length", path, place), child_number(rectangle, "width", path, place)
    if (circle := shape.find("circle")) is not None:
        return (2.0 * child_number(circle, "radius", path, place),) * 2
    points = _points(shape.find("polygon"), path, place)
    if len(points) == 0:
        return math.nan, math.nan
    extent = np.maximum(np.ptp(points, axis=0), 0.1)
    return float(extent[0]), float(extent[1])


def _points(element: ET.Element | None, path: PathLike, place: str) -> FloatArray:
    if element is None:
        return np.zeros((0, 2))
    found = [
        (child_number(point, "x", path, place), child_number(point, "y", path, place))
        for point in element.findall("point")
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def _lane_map(root: ET.Element, steps: int, path: PathLike) -> LaneMap:
    limits = _speed_limits(root, path)
    lights = {light.get("id", ""): light for light in root.findall("trafficLight")}
    lanes, signals = [], []
    for element in root.findall("lanelet"):
        lane = _lane(element, limits, path)
        lanes.append(lane)
        for reference in element.findall("trafficLightRef"):
            light = lights.get(reference.get("ref", ""))
            if light is not None:
                signals.append(Signal(lane.id, lane.centre[-1], _light_states(light, steps, path)))
    return LaneMap(tuple(lanes), signals=tuple(signals))


def _reference(element: ET.Element, path: PathLike, place: str) -> int:
    return int(number(attribute(element, "ref", path, place), path, f"{place}: <{element.tag} ref>"))


def _lane(element: ET.Element, limits: dict[str, float], path: PathLike) -> Lane:
    place = name_of(element)
    bounds = []
    for tag in ("leftBound", "rightBound"):
        line = clean_line(_points(element.find(tag), path, f"{place}: <{tag}>"))
        if line is None:
            raise FileFormatError.at(path, None, f"{place}: <{tag}> needs at least two different points")
        bounds.append(line)
    sides: dict[str, int | None] = {}
    for tag in ("adjacentLeft", "adjacentRight"):
        child = element.find(tag)
        direction = "" if child is None else child.get("drivingDir", "same")
        sides[f"{tag} {direction}"] = None if child is None else _reference(child, path, place)
    limit = [limits[ref.get("ref", "")] for ref in element.findall("trafficSignRef") if ref.get("ref", "") in limits]
    if element.find("speedLimit") is not None:
        limit.append(child_number(element, "speedLimit", path, place))
    return Lane(
        int(number(attribute(element, "id", path), path, f"{place} id")),
        _centre(*bounds),
        left=bounds[0],
        right=bounds[1],
        predecessors=tuple(_reference(child, path, place) for child in element.findall("predecessor")),
        successors=tuple(_reference(child, path, place) for child in element.findall("successor")),
        left_neighbour=sides.get("adjacentLeft same"),
        right_neighbour=sides.get("adjacentRight same"),
        left_opposite=sides.get("adjacentLeft opposite"),
        kind=lane_kind([child.text or "" for child in element.findall("laneletType")]),
        speed_limit=min(limit, default=math.nan),
    )


def _centre(left: FloatArray, right: FloatArray) -> FloatArray:
    """Mean of the bounds, point by point when they have equally many, else at equal shares of their lengths."""
    if len(left) == len(right):
        return 0.5 * (left + right)
    share = np.linspace(0.0, 1.0, max(len(left), len(right)))
    lengths = [float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in (left, right)]
    return 0.5 * (points_at(left, share * lengths[0]) + points_at(right, share * lengths[1]))


def _speed_limits(root: ET.Element, path: PathLike) -> dict[str, float]:
    """Speed limits in m/s of the signs that show one, by the id of the sign."""
    limits = {}
    for sign in root.findall("trafficSign"):
        for part in sign.findall("trafficSignElement"):
            value = part.findtext("additionalValue")
            if (part.findtext("trafficSignID") or "").strip() in _SPEED_SIGNS and value is not None:
                limits[sign.get("id", "")] = number(value, path, f"{name_of(sign)}: <additionalValue>")
    return limits


def _light_states(light: ET.Element, steps: int, path: PathLike) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """States [T] of a traffic light that repeats its cycle; unknown when it is inactive or has none."""
    cycle = light.find("cycle")
    if cycle is None:
        cycle = light.find("trafficLightCycle")
    is_off = (light.findtext("active") or "true").strip().lower() == "false"
    place = name_of(light)
    elements = [] if cycle is None else cycle.findall("cycleElement")
    lengths = [round(child_number(element, "duration", path, place)) for element in elements]
    if is_off or cycle is None or sum(lengths) <= 0:
        return np.zeros(steps, np.int64)
    colours = np.repeat([signal_code(element.findtext("color")) for element in elements], lengths)
    offset = 0 if cycle.find("timeOffset") is None else round(child_number(cycle, "timeOffset", path, place))
    return np.asarray(colours[(np.arange(steps) - offset) % len(colours)], dtype=np.int64)
