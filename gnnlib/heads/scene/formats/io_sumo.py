"""Reader of SUMO's floating-car data (``--fcd-output``) and road networks (``.net.xml``), without SUMO itself.

Format: the SUMO documentation, pages *FCDOutput*, *Networks/SUMO Road Networks* and *Simulation/Traffic Lights*.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.formats.io_common import number, require_metres, stem
from gnnlib.heads.scene.formats.io_maps import clean_line, signal_code
from gnnlib.heads.scene.formats.xml_common import attribute, name_of, parse_xml
from gnnlib.heads.scene.lanemap import Lane, LaneMap, Signal
from gnnlib.heads.scene.maps.polylines import offset_line
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from gnnlib.typing import FloatArray, IntArray, PathLike

__all__ = ["read_sumo", "read_sumo_net"]

# words in the name of a vehicle type -> our type, SUMO's default length and width of that vehicle class
_CLASSES = (
    ("ped", "pedestrian", (0.215, 0.478)),
    ("person", "pedestrian", (0.215, 0.478)),
    ("bike", "cyclist", (1.6, 0.65)),
    ("bicycle", "cyclist", (1.6, 0.65)),
    ("motorcycle", "motorcycle", (2.2, 0.9)),
    ("moped", "motorcycle", (2.1, 0.8)),
    ("bus", "bus", (12.0, 2.5)),
    ("coach", "bus", (14.0, 2.6)),
    ("truck", "truck", (7.1, 2.4)),
    ("trailer", "truck", (16.5, 2.55)),
)
_PASSENGER = ("vehicle", (5.0, 1.8))
_LANE_WIDTH = 3.2


def _class_of(name: str) -> tuple[int, tuple[float, float]]:
    text = name.lower()
    for word, kind, size in _CLASSES:
        if word in text:
            return AGENT_TYPES.index(kind), size
    return AGENT_TYPES.index(_PASSENGER[0]), _PASSENGER[1]


def read_sumo(path: PathLike, net_path: PathLike | None = None) -> Scene:
    """Read floating-car data and, when given, the network it was made on.

    SUMO gives the middle of the front bumper and an angle clockwise from north; here positions are centres and angles
    count from the x axis. The file has no sizes: they follow from the vehicle type's name (a name with "truck", "bus",
    "bike", "ped", ... stands for that class, any other for a passenger car) with SUMO's default dimensions.

    Parameters
    ----------
    path : path-like
        XML with the root ``fcd-export``, also gzipped; coordinates of the network, not geographic ones.
    net_path : path-like, optional
        ``.net.xml``, also gzipped.

    Raises
    ------
    FileFormatError
        If the XML is truncated (with the line), times do not increase evenly, an attribute is missing or no finite
        number, somebody is there twice in one step, or positions are longitude and latitude.
    """
    root = parse_xml(path, "fcd-export")
    moments = root.findall("timestep")
    if not moments:
        raise FileFormatError.at(path, None, "<fcd-export> has no <timestep>")
    times = np.array([number(attribute(m, "time", path), path, "<timestep time>") for m in moments])
    dt = _time_step(times, path)
    rows: dict[str, int] = {}
    kinds: list[str] = []
    places: list[tuple[int, int]] = []
    values: list[tuple[float, float, float, float]] = []
    for step, moment in enumerate(moments):
        seen = set()
        for one in moment:
            if one.tag not in {"vehicle", "person"}:
                continue
            place = f'<timestep time="{moment.get("time")}">'
            agent = attribute(one, "id", path, place)
            if agent in seen:
                raise FileFormatError.at(path, None, f"{place}: {name_of(one)} is there twice")
            seen.add(agent)
            if agent not in rows:
                rows[agent] = len(rows)
                kinds.append(one.get("type", "") + (" person" if one.tag == "person" else ""))
            places.append((rows[agent], step))
            values.append(_numbers(one, path, f"{place}: {name_of(one)}"))
    state = np.full((len(rows), len(moments), 4), np.nan)
    if places:
        index = np.array(places)
        state[index[:, 0], index[:, 1]] = values
    require_metres(state[..., :2], path, "vehicles")
    return _scene(path, state, (tuple(rows), kinds), (times, dt), net_path)


def _numbers(one: ET.Element, path: PathLike, place: str) -> tuple[float, float, float, float]:
    """Front x and y, heading and speed; the latter two NaN where the file leaves them out."""
    x, y = (number(attribute(one, name, path, place), path, f"{place}, `{name}`") for name in ("x", "y"))
    angle, speed = one.get("angle"), one.get("speed")
    heading = math.nan if angle is None else math.radians(90.0 - number(angle, path, f"{place}, `angle`"))
    return x, y, heading, math.nan if speed is None else number(speed, path, f"{place}, `speed`")


def _time_step(times: FloatArray, path: PathLike) -> float:
    gaps = np.diff(times)
    if len(gaps) == 0:
        return 0.1
    if (gaps <= 0.0).any():
        bad = int(np.argmax(gaps <= 0.0))
        raise FileFormatError.at(
            path, None, f'<timestep time="{times[bad + 1]:g}"> must come after time {times[bad]:g}: times must increase'
        )
    if np.ptp(gaps) > 1e-3 * float(gaps[0]):
        bad = int(np.argmax(np.abs(gaps - gaps[0]) > 1e-3 * float(gaps[0])))
        raise FileFormatError.at(
            path, None, f'<timestep time="{times[bad + 1]:g}"> must be {gaps[0]:g} s after the one before'
        )
    return float(np.round(gaps[0], 6))


def _scene(
    path: PathLike,
    state: FloatArray,
    who: tuple[tuple[str, ...], list[str]],
    clock: tuple[FloatArray, float],
    net_path: PathLike | None,
) -> Scene:
    classes = [_class_of(kind) for kind in who[1]]
    size = np.array([one[1] for one in classes], dtype=np.float64).reshape(-1, 2)
    heading = (state[..., 2] + np.pi) % (2.0 * np.pi) - np.pi
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    centre = state[..., :2] - np.where(np.isnan(ahead), 0.0, ahead) * 0.5 * size[:, :1, None]
    return Scene(
        stem(path),
        who[0],
        centre,
        dt=clock[1],
        agent_types=np.array([one[0] for one in classes], np.int64),
        heading_rad=heading,
        size=size,
        velocity=state[..., 3:] * ahead,
        lanes=LaneMap() if net_path is None else read_sumo_net(net_path, clock[0]),
    )


def read_sumo_net(path: PathLike, times_s: FloatArray | None = None) -> LaneMap:
    """Read a SUMO road network.

    Lanes of junctions ("internal") are lanes of the kind "intersection"; walking areas are left out. Signals follow
    from the fixed programs of the traffic lights; those of actuated ones are unknown.

    Parameters
    ----------
    path : path-like
        ``.net.xml``, also gzipped.
    times_s : array [T], optional
        Times for which to work out the signals; default: one step at time 0.

    Raises
    ------
    FileFormatError
        If the XML is truncated or an element lacks what it needs; the message names the edge or lane.
    """
    root = parse_xml(path, "net")
    times = np.zeros(1) if times_s is None else times_s
    lanes: dict[str, Lane] = {}
    crossings = []
    for edge in root.findall("edge"):
        function = edge.get("function", "normal")
        if function == "walkingarea":
            continue
        members = [_lane(element, function, path) for element in edge.findall("lane")]
        if function == "crossing":
            crossings += [
                _polygon(lane, lane_element) for lane, lane_element in zip(members, edge, strict=False) if lane
            ]
            continue
        lanes.update((str(lane.id), lane) for lane in _side_by_side(members))
    after, lights = _connections(root, path)
    before: dict[str, list[str]] = {}
    for first, seconds in after.items():
        for second in seconds:
            before.setdefault(second, []).append(first)
    linked = [
        _linked(lane, tuple(before.get(name, ())), tuple(dict.fromkeys(after.get(name, ()))))
        for name, lane in lanes.items()
    ]
    signals = _signals(root, lights, lanes, times, path)
    try:
        return LaneMap(tuple(linked), tuple(crossings), tuple(signals))
    except InputError as error:
        raise FileFormatError.at(path, None, str(error)) from error


def _lane(element: ET.Element, function: str, path: PathLike) -> Lane | None:
    place = name_of(element)
    points = []
    for pair in attribute(element, "shape", path).split():
        words = pair.split(",")
        if len(words) < 2:
            raise FileFormatError.at(path, None, f"{place}: `shape` must be pairs x,y, found {pair!r}")
        points.append([number(word, path, f"{place}: `shape`") for word in words[:2]])
    centre = clean_line(points)
    if centre is None:
        return None
    half = 0.5 * number(element.get("width", str(_LANE_WIDTH)), path, f"{place}: `width`")
    allowed = set(element.get("allow", "").split())
    kind = "intersection" if function == "internal" else "road"
    if allowed and allowed <= {"bicycle", "pedestrian"}:
        kind = "bike" if "bicycle" in allowed else "other"
    elif allowed and allowed <= {"bus", "coach", "taxi"}:
        kind = "bus"
    return Lane(
        attribute(element, "id", path),
        centre,
        left=offset_line(centre, half),
        right=offset_line(centre, -half),
        kind=kind,
        speed_limit=number(element.get("speed", "nan").replace("nan", "0"), path, f"{place}: `speed`") or math.nan,
    )


def _polygon(lane: Lane, _element: ET.Element) -> FloatArray:
    if lane.left is None or lane.right is None:
        return lane.centre
    return np.concatenate([lane.left, lane.right[::-1]])


def _side_by_side(members: list[Lane | None]) -> list[Lane]:
    """Lanes of one edge, the rightmost first, as neighbours; sidewalks are nobody's neighbour."""
    from dataclasses import replace

    lanes = [lane for lane in members if lane is not None]
    beside = []
    for number_, lane in enumerate(lanes):
        right = lanes[number_ - 1] if number_ > 0 else None
        left = lanes[number_ + 1] if number_ + 1 < len(lanes) else None
        if lane.kind == "other":
            left = right = None
        beside.append(
            replace(
                lane,
                left_neighbour=left.id if left is not None and left.kind != "other" else None,
                right_neighbour=right.id if right is not None and right.kind != "other" else None,
            )
        )
    return beside


def _linked(lane: Lane, predecessors: tuple[str, ...], successors: tuple[str, ...]) -> Lane:
    from dataclasses import replace

    return replace(lane, predecessors=predecessors, successors=successors)


def _connections(root: ET.Element, path: PathLike) -> tuple[dict[str, list[str]], dict[str, tuple[str, int]]]:
    """Successors of each lane, and the traffic light and link that controls it (that of going straight, if any)."""
    after: dict[str, list[str]] = {}
    lights: dict[str, tuple[str, int]] = {}
    straight: set[str] = set()
    for element in root.findall("connection"):
        place = f'<connection from="{element.get("from")}" to="{element.get("to")}">'
        first = f"{attribute(element, 'from', path, place)}_{attribute(element, 'fromLane', path, place)}"
        second = f"{attribute(element, 'to', path, place)}_{attribute(element, 'toLane', path, place)}"
        after.setdefault(first, []).append(element.get("via") or second)
        light = element.get("tl")
        is_straight = element.get("dir") == "s"
        if light is not None and (first not in lights or (is_straight and first not in straight)):
            link = number(attribute(element, "linkIndex", path, place), path, f"{place}: `linkIndex`")
            lights[first] = (light, int(link))
            if is_straight:
                straight.add(first)
    return after, lights


def _signals(
    root: ET.Element, lights: dict[str, tuple[str, int]], lanes: dict[str, Lane], times: FloatArray, path: PathLike
) -> list[Signal]:
    programs = {attribute(logic, "id", path): logic for logic in root.findall("tlLogic")}
    signals = []
    for name, (light, link) in lights.items():
        if name in lanes:
            states = _program(programs.get(light), link, times, path)
            signals.append(Signal(name, lanes[name].centre[-1], states))
    return signals


def _program(logic: ET.Element | None, link: int, times: FloatArray, path: PathLike) -> IntArray:
    """States [T] of one link of a fixed program that repeats; unknown for any other."""
    unknown = np.zeros(len(times), np.int64)
    if logic is None or logic.get("type", "static") != "static":
        return unknown
    place = name_of(logic)
    phases = logic.findall("phase")
    length = np.array([number(attribute(phase, "duration", path, place), path, place) for phase in phases])
    letters = [attribute(phase, "state", path, place) for phase in phases]
    if not phases or length.sum() <= 0.0:
        return unknown
    short = [state for state in letters if len(state) <= link]
    if short:
        raise FileFormatError.at(path, None, f"{place}: state {short[0]!r} has no link {link}")
    codes = np.array([signal_code(state[link]) for state in letters], np.int64)
    offset = number(logic.get("offset", "0"), path, f"{place}: `offset`")
    clock = (times - offset) % float(length.sum())
    return np.asarray(codes[np.searchsorted(np.cumsum(length), clock, side="right").clip(0, len(codes) - 1)])
