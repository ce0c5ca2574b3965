"""The static part of a traffic scene: lanes and how they connect, crossings, signals, and lines to draw."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["LANE_KINDS", "LINE_KINDS", "SIGNAL_STATES", "Lane", "LaneMap", "MapId", "MapLine", "Signal"]

MapId = str | int

#: What a lane is for; ``"road"`` is the usual case, ``"intersection"`` a lane inside a junction.
LANE_KINDS = ("road", "intersection", "highway", "bike", "bus", "other")
#: What other lines of a map are; areas are closed polygons (drivable ground), the rest open polylines or points.
LINE_KINDS = ("boundary", "marking", "area", "stop_sign", "speed_bump", "other")
#: States of a signal; a `Signal` holds their positions in this tuple.
SIGNAL_STATES = ("unknown", "red", "yellow", "green")


@dataclass(frozen=True, eq=False)
class Lane:
    """One lane, or a piece of one, in driving direction.

    Parameters
    ----------
    id : str or int
        Unique within the map.
    centre : array [P, 2]
        Centre line in metres, P >= 2, in driving direction.
    left, right : array [P', 2] or None
        Bounds in driving direction; None where the source does not give them.
    predecessors, successors : tuple of ids
        Lanes that end where this one starts, and that start where it ends.
    left_neighbour, right_neighbour : id or None
        Parallel lane of the same driving direction.
    left_opposite : id or None
        Lane of the opposite driving direction to the left (right-hand traffic).
    kind : str
        One of `LANE_KINDS`.
    speed_limit : float
        In m/s; NaN when unknown.

    Raises
    ------
    InputError
        If a line has too few points or a number that is not finite, or the kind is unknown.

    Examples
    --------
    >>> lane = Lane("a", [[0, 0], [30, 40]])
    >>> lane.length
    50.0
    """

    id: MapId
    centre: FloatArray
    left: FloatArray | None = None
    right: FloatArray | None = None
    predecessors: tuple[MapId, ...] = ()
    successors: tuple[MapId, ...] = ()
    left_neighbour: MapId | None = None
    right_neighbour: MapId | None = None
    left_opposite: MapId | None = None
    kind: str = "road"
    speed_limit: float = math.nan

    def __post_init__(self) -> None:
        for name in ("centre", "left", "right"):
            line = getattr(self, name)
            if line is not None:
                object.__setattr__(self, name, checks.polyline(f"{name} of lane {self.id!r}", line))
        if self.kind not in LANE_KINDS:
            raise InputError(f"`kind` of lane {self.id!r} must be one of {LANE_KINDS}, found {self.kind!r}")

    @cached_property
    def arc(self) -> FloatArray:
        """Distance along the centre line at each of its points [P], in metres."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.centre, axis=0), axis=1))])

    @property
    def length(self) -> float:
        """Length of the centre line in metres."""
        return float(self.arc[-1])

    @cached_property
    def width(self) -> float:
        """Mean width in metres between the bounds; 3.5 where they are not given."""
        if self.left is None or self.right is None:
            return 3.5
        share = np.linspace(0.0, 1.0, 9)
        gap = _at_share(self.left, share) - _at_share(self.right, share)
        return float(np.linalg.norm(gap, axis=1).mean())

    def transformed(self, turn: FloatArray, shift: FloatArray) -> Self:
        """Return the lane after ``turn @ point + shift``; `turn` [2, 2], `shift` [2] in metres."""
        return dataclasses.replace(
            self,
            centre=self.centre @ turn.T + shift,
            left=None if self.left is None else self.left @ turn.T + shift,
            right=None if self.right is None else self.right @ turn.T + shift,
        )


def _at_share(line: FloatArray, share: FloatArray) -> FloatArray:
    """Points of `line` at the given shares of its length."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    return np.stack([np.interp(share * arc[-1], arc, line[:, axis]) for axis in (0, 1)], axis=1)


@dataclass(frozen=True, eq=False)
class Signal:
    """A traffic light as it concerns one lane.

    Parameters
    ----------
    lane : str or int
        The lane that it controls.
    position : array [2]
        Where vehicles stop for it, in metres.
    states : int array [T]
        Positions in `SIGNAL_STATES`, one for each step of the scene.

    Examples
    --------
    >>> Signal("a", [5.0, 0.0], [1, 1, 3]).name_at(2)
    'green'
    """

    lane: MapId
    position: FloatArray
    states: IntArray

    def __post_init__(self) -> None:
        place = checks.float_array(f"position of the signal of lane {self.lane!r}", self.position, (2,))
        if not np.isfinite(place).all():
            raise InputError(f"the signal of lane {self.lane!r} must have a finite position, found {place.tolist()}")
        states = np.array(self.states)
        is_code = states.dtype.kind in "iu" and states.ndim == 1
        if not is_code or (states.size and (states.min() < 0 or states.max() >= len(SIGNAL_STATES))):
            raise InputError(f"`states` of the signal of lane {self.lane!r} must be [T] codes 0 .. 3 of SIGNAL_STATES")
        object.__setattr__(self, "position", place)
        object.__setattr__(self, "states", states.astype(np.int64))

    def name_at(self, step: int) -> str:
        """State at `step` as a word."""
        return SIGNAL_STATES[int(self.states[step])]


@dataclass(frozen=True, eq=False)
class MapLine:
    """Any other line, area or point of a map: ``kind`` is one of `LINE_KINDS`, ``points`` [P, 2] in metres, P >= 1."""

    kind: str
    points: FloatArray

    def __post_init__(self) -> None:
        if self.kind not in LINE_KINDS:
            raise InputError(f"`kind` of a map line must be one of {LINE_KINDS}, found {self.kind!r}")
        object.__setattr__(self, "points", checks.polyline(f"points of a {self.kind}", self.points, least=1))


@dataclass(frozen=True, eq=False)
class LaneMap:
    """The map of a scene; an empty one (``LaneMap()``) stands for "no map".

    A map is as a rule cut out of a larger one, so lanes may name others that are not in it. Such references are taken
    out of the lanes when the map is made, and `unknown_ids` keeps the names; signals of unknown lanes are kept with
    their position.

    Parameters
    ----------
    lanes : tuple of Lane
    crossings : tuple of array [P, 2]
        Pedestrian crossings as closed polygons (the last point is not repeated), P >= 2.
    signals : tuple of Signal
    lines : tuple of MapLine
        Road edges, markings, drivable areas, stop signs.

    Attributes
    ----------
    unknown_ids : tuple of ids
        Lanes that were named but are not in the map, sorted by their text.

    Raises
    ------
    InputError
        If two lanes have the same id.

    Examples
    --------
    >>> road = LaneMap((Lane(1, [[0, 0], [9, 0]], successors=(2, 77)), Lane(2, [[9, 0], [20, 0]], predecessors=(1,))))
    >>> road[1].successors, road.unknown_ids
    ((2,), (77,))
    """

    lanes: tuple[Lane, ...] = ()
    crossings: tuple[FloatArray, ...] = ()
    signals: tuple[Signal, ...] = ()
    lines: tuple[MapLine, ...] = ()
    unknown_ids: tuple[MapId, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        known: set[MapId] = set()
        for lane in self.lanes:
            if lane.id in known:
                raise InputError(f"lane ids must be unique within a map, found {lane.id!r} twice")
            known.add(lane.id)
        unknown: set[MapId] = set()
        lanes = tuple(_without_unknown(lane, known, unknown) for lane in self.lanes)
        unknown.update(signal.lane for signal in self.signals if signal.lane not in known)
        object.__setattr__(self, "lanes", lanes)
        object.__setattr__(self, "crossings", tuple(checks.polyline("crossing", line) for line in self.crossings))
        object.__setattr__(self, "signals", tuple(self.signals))
        object.__setattr__(self, "lines", tuple(self.lines))
        object.__setattr__(self, "unknown_ids", tuple(sorted(unknown, key=str)))

    @cached_property
    def index(self) -> dict[MapId, int]:
        """Position of each lane id in `lanes`."""
        return {lane.id: position for position, lane in enumerate(self.lanes)}

    def __getitem__(self, lane_id: MapId) -> Lane:
        try:
            return self.lanes[self.index[lane_id]]
        except KeyError:
            raise InputError(f"the map has no lane {lane_id!r}; it has {len(self.lanes)} lanes") from None

    def __contains__(self, lane_id: object) -> bool:
        return lane_id in self.index

    def __len__(self) -> int:
        return len(self.lanes)

    def __bool__(self) -> bool:
        return bool(self.lanes or self.crossings or self.signals or self.lines)

    def __repr__(self) -> str:
        counts = (len(self.lanes), len(self.crossings), len(self.signals), len(self.lines))
        return "LaneMap(lanes={}, crossings={}, signals={}, lines={})".format(*counts)

    def transformed(self, turn: FloatArray, shift: FloatArray) -> LaneMap:
        """Return the map after ``turn @ point + shift``; `turn` [2, 2], `shift` [2] in metres."""
        return LaneMap(
            tuple(lane.transformed(turn, shift) for lane in self.lanes),
            tuple(line @ turn.T + shift for line in self.crossings),
            tuple(Signal(s.lane, turn @ s.position + shift, s.states) for s in self.signals),
            tuple(MapLine(line.kind, line.points @ turn.T + shift) for line in self.lines),
        )

    def window(self, start: int, stop: int) -> LaneMap:
        """Return the map with the signals' states of the steps `start` .. `stop` - 1."""
        if not self.signals:
            return self
        signals = tuple(Signal(s.lane, s.position, s.states[start:stop]) for s in self.signals)
        return dataclasses.replace(self, signals=signals)


def _without_unknown(lane: Lane, known: set[MapId], unknown: set[MapId]) -> Lane:
    """Take references to lanes outside `known` out of `lane`, and collect them in `unknown`."""
    sides = (lane.left_neighbour, lane.right_neighbour, lane.left_opposite)
    missing = {*lane.predecessors, *lane.successors, *(side for side in sides if side is not None)} - known
    if not missing:
        return lane
    unknown.update(missing)
    left, right, opposite = (side if side in known else None for side in sides)
    return dataclasses.replace(
        lane,
        predecessors=tuple(i for i in lane.predecessors if i in known),
        successors=tuple(i for i in lane.successors if i in known),
        left_neighbour=left,
        right_neighbour=right,
        left_opposite=opposite,
    )
