"""Map entries of the table format as `LaneMap`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.lanemap import SIGNAL_STATES, Lane, LaneMap, MapId, MapLine, Signal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.typing import FloatArray, IntArray

__all__ = ["clean_line", "lane_kind", "line_kind", "map_from_table", "signal_code", "with_directions"]

_KMH = 1.0 / 3.6
_NEAR = 1e-6


def clean_line(points: Any) -> FloatArray | None:
    """Points [P, 2] without repeated neighbours, as float64; None where fewer than two different ones are left."""
    if points is None or len(points) == 0:
        return None
    line = np.asarray(points, dtype=np.float64)[:, :2]
    kept = np.r_[True, (np.abs(np.diff(line, axis=0)) > _NEAR).any(axis=1)]
    line = line[kept]
    return line if len(line) >= 2 else None


def lane_kind(names: Any) -> str:
    """Lane kind from the words that Argoverse 2, WOMD, ScenarioNet or CommonRoad use.

    Examples
    --------
    >>> lane_kind(["VEHICLE", "INTERSECTION"]), lane_kind(["LANE_BIKE_LANE"]), lane_kind("interstate")
    ('intersection', 'bike', 'highway')
    """
    text = " ".join(map(str, names)) if isinstance(names, (list, tuple)) else str(names)
    text = text.lower()
    for word, kind in (
        ("bike", "bike"),
        ("bicycle", "bike"),
        ("map_element_3", "bike"),
        ("bus", "bus"),
        ("intersection", "intersection"),
        ("unstructure", "intersection"),
        ("freeway", "highway"),
        ("highway", "highway"),
        ("interstate", "highway"),
        ("map_element_1", "highway"),
        ("sidewalk", "other"),
        ("crosswalk", "other"),
    ):
        if word in text:
            return kind
    return "road"


def line_kind(name: str) -> str:
    """Kind of another map line, one of `LINE_KINDS` or "crossing" or "lane"."""
    text = name.lower()
    for word, kind in (
        ("crosswalk", "crossing"),
        ("stop_sign", "stop_sign"),
        ("speed_bump", "speed_bump"),
        ("driveway", "area"),
        ("drivable", "area"),
        ("edge", "boundary"),
        ("line", "marking"),
        ("sidewalk", "other"),
    ):
        if word in text:
            return kind
    return "lane" if text == "lane" else "other"


def signal_code(name: Any) -> int:
    """Position in `SIGNAL_STATES` of a state as the formats write it.

    Examples
    --------
    >>> [SIGNAL_STATES[signal_code(s)] for s in ("LANE_STATE_ARROW_STOP", "caution", "redYellow", "G", None)]
    ['red', 'yellow', 'red', 'green', 'unknown']
    """
    text = str(name)
    if len(text) == 1:  # SUMO's letters
        return {"r": 1, "u": 1, "y": 2, "g": 3}.get(text.lower(), 0)
    text = text.lower()
    for word, code in (("red", 1), ("stop", 1), ("yellow", 2), ("caution", 2), ("amber", 2), ("green", 3), ("go", 3)):
        if word in text:
            return code
    return 0


def map_from_table(entry: Mapping[str, Any], steps: int, place: str) -> LaneMap:
    """Build the map of one scene from its entry in the JSON of maps.

    Lanes of fewer than two different points (cut at the edge of the recorded area) are left out; lanes without an id
    are named ``unnamed-0``, ``unnamed-1``, ...

    Parameters
    ----------
    entry : mapping
        With ``lanes``, ``other``, ``signals``.
    steps : int
        Steps of the scene; signal states are spread over them.
    place : str
        File and scene, for error messages.

    Raises
    ------
    FileFormatError
        If a key is missing or a line is not made of finite points; the message names the lane.
    """
    lanes = []
    for number, raw in enumerate(entry.get("lanes", ())):
        name = raw.get("id", f"number {number}")
        try:
            lane = _lane(raw, number)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FileFormatError.at(place, None, f"lane {name!r}: {_reason(error)}") from error
        if lane is not None:
            lanes.append(lane)
    crossings, lines = [], []
    for number, raw in enumerate(entry.get("other", ())):
        try:
            kind = line_kind(str(raw["type"]))
            points = np.asarray(raw["pts"], dtype=np.float64)[:, :2]
            if kind == "crossing" and len(points) >= 2:
                crossings.append(points)
            elif kind not in {"crossing", "lane"}:
                lines.append(MapLine(kind, points))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FileFormatError.at(place, None, f"map line number {number}: {_reason(error)}") from error
    centres = {lane.id: lane.centre for lane in lanes}
    signals = [_signal(raw, centres, steps, place) for raw in entry.get("signals") or ()]
    try:
        return LaneMap(
            with_directions(lanes), tuple(crossings), tuple(s for s in signals if s is not None), tuple(lines)
        )
    except InputError as error:
        raise FileFormatError.at(place, None, str(error)) from error


def with_directions(lanes: list[Lane]) -> tuple[Lane, ...]:
    """Make a left neighbour that runs the other way the `left_opposite` of its lane; drop such right neighbours.

    Some sources list whatever lies beside a lane. Lanes run the other way when their chords point more than 90 degrees
    apart.
    """
    chord = {lane.id: lane.centre[-1] - lane.centre[0] for lane in lanes}

    def runs_back(lane: Lane, other: MapId | None) -> bool:
        return other is not None and other in chord and float(chord[lane.id] @ chord[other]) < 0.0

    sorted_lanes = []
    for lane in lanes:
        if runs_back(lane, lane.left_neighbour):
            lane = replace(lane, left_opposite=lane.left_neighbour, left_neighbour=None)
        if runs_back(lane, lane.right_neighbour):
            lane = replace(lane, right_neighbour=None)
        sorted_lanes.append(lane)
    return tuple(sorted_lanes)


def _reason(error: Exception) -> str:
    return f"the key {error} is missing" if isinstance(error, KeyError) else str(error)


def _lane(raw: Mapping[str, Any], number: int) -> Lane | None:
    centre = clean_line(raw["center"])
    if centre is None:
        return None
    left, opposite = _neighbour(raw.get("left_nb"))
    right, _ = _neighbour(raw.get("right_nb"))
    limit = raw.get("speed_limit")
    return Lane(
        f"unnamed-{number}" if raw["id"] in {None, "None"} else raw["id"],
        centre,
        left=clean_line(raw.get("left")),
        right=clean_line(raw.get("right")),
        predecessors=tuple(raw.get("pred") or ()),
        successors=tuple(raw.get("succ") or ()),
        left_neighbour=left,
        right_neighbour=right,
        left_opposite=opposite,
        kind=lane_kind(raw.get("type", "")),
        speed_limit=math.nan if limit is None else float(limit) * _KMH,
    )


def _neighbour(raw: Any) -> tuple[MapId | None, MapId | None]:
    """Neighbour of the same direction and of the opposite one; raw is an id, [id, "same" | "opposite"], or ids."""
    if raw is None or raw == []:
        return None, None
    if isinstance(raw, (str, int)):
        return raw, None
    if len(raw) == 2 and raw[1] in {"same", "opposite"}:
        return (raw[0], None) if raw[1] == "same" else (None, raw[0])
    return raw[0], None


def _signal(raw: Mapping[str, Any], centres: Mapping[MapId, FloatArray], steps: int, place: str) -> Signal | None:
    """Return a signal, or None when it has neither a stop point nor a known lane."""
    lane: MapId | None = raw.get("lane")
    position = raw.get("stop")
    if position is None and lane is not None and lane in centres:
        position = centres[lane][0]
    if position is None or lane is None:
        return None
    try:
        return Signal(lane, np.asarray(position, dtype=np.float64)[:2], _states(raw, steps))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FileFormatError.at(place, None, f"signal of lane {lane!r}: {_reason(error)}") from error


def _states(raw: Mapping[str, Any], steps: int) -> IntArray:
    """Codes [T]: listed states at their steps, each held until the next; unknown before the first."""
    codes = np.array([signal_code(state) for state in raw["state"]], np.int64)
    at = np.asarray(raw.get("step", np.arange(len(codes))), dtype=np.int64)
    states = np.full(steps, SIGNAL_STATES.index("unknown"), np.int64)
    if len(at) == 0:
        return states
    latest = np.searchsorted(at, np.arange(steps), side="right") - 1
    known = latest >= 0
    states[known] = codes[latest[known]]
    return states
