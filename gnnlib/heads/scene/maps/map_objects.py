"""Signals and crossings of a scene graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.scene.lanemap import SIGNAL_STATES

if TYPE_CHECKING:
    from gnnlib.heads.scene.lanemap import LaneMap, Signal
    from gnnlib.heads.scene.maps.lane_graph import LaneGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["CONTROL_FEATURES", "CROSSING_FEATURES", "MapObjects", "map_objects"]

CONTROL_FEATURES = len(SIGNAL_STATES) + 1
"""The state, one column each of `SIGNAL_STATES`, and for how long it has lasted."""

CROSSING_FEATURES = 2
"""Length and width."""

_CROSSING_REACH_M = 15.0


class MapObjects(NamedTuple):
    """Signals and crossings near the pieces in use; edges number the objects and the pieces in use from 0.

    Attributes
    ----------
    controls, crossings : float array [C, CONTROL_FEATURES], [X, CROSSING_FEATURES]
    control_pose, crossing_pose : float array [C, 3], [X, 3]
    control_edges, crossing_edges : int array [2, E]
        Object and the piece that hears it.
    """

    controls: FloatArray
    crossings: FloatArray
    control_pose: FloatArray
    crossing_pose: FloatArray
    control_edges: IntArray
    crossing_edges: IntArray


def map_objects(lanes: LaneMap, graph: LaneGraph, pieces: IntArray, at_step: int, dt: float) -> MapObjects:
    """Describe the signals of the pieces in use as they stand at one step, and the crossings near these pieces.

    Parameters
    ----------
    lanes : LaneMap
    graph : LaneGraph
        Its pieces.
    pieces : int array [P]
        Those in use.
    at_step : int
    dt : float
        Seconds between steps.
    """
    number = {int(piece): index for index, piece in enumerate(pieces)}
    signals = [(s, number[graph.first_piece[s.lane]]) for s in lanes.signals if graph.first_piece.get(s.lane) in number]
    controls = np.array([_control(signal, at_step, dt) for signal, _ in signals]).reshape(-1, CONTROL_FEATURES)
    control_pose = np.array([[*signal.position, graph.pose[pieces[p], 2]] for signal, p in signals]).reshape(-1, 3)
    control_edges = np.array([[index, p] for index, (_, p) in enumerate(signals)], np.int64).reshape(-1, 2).T
    boxes = [_box(crossing) for crossing in lanes.crossings if len(crossing) > 1] if len(pieces) else []
    crossing_pose = np.array([pose for pose, _ in boxes]).reshape(-1, 3)
    middle = graph.pose[pieces, :2]
    away = np.hypot(*np.moveaxis(middle[None] - crossing_pose[:, None, :2], -1, 0))
    used = np.flatnonzero((away < _CROSSING_REACH_M).any(axis=1)) if len(boxes) else np.zeros(0, np.int64)
    crossing_edges = np.stack(np.nonzero(away[used] < _CROSSING_REACH_M)).astype(np.int64)
    crossings = np.array([size for _, size in boxes]).reshape(-1, CROSSING_FEATURES)[used]
    return MapObjects(controls, crossings, control_pose, crossing_pose[used], control_edges, crossing_edges)


def _control(signal: Signal, at_step: int, dt: float) -> list[float]:
    states = signal.states[: at_step + 1]
    changes = np.flatnonzero(states != states[-1])
    since = len(states) if not changes.size else len(states) - 1 - int(changes[-1])
    return [*np.eye(len(SIGNAL_STATES))[states[-1]].tolist(), min(since * dt, 3.0) / 3.0]


def _box(polygon: FloatArray) -> tuple[list[float], list[float]]:
    """Middle and direction of the longest side; extent along it and across, in units of 10 m."""
    sides = np.diff(np.concatenate([polygon, polygon[:1]]), axis=0)
    length = np.hypot(*sides.T)
    # opposite sides are equally long up to rounding: the first of them, however the scene is turned
    longest = sides[np.argmax(length > length.max() - 1e-3)]
    heading = float(np.arctan2(longest[1], longest[0]))
    axis = np.array([np.cos(heading), np.sin(heading)])
    middle = polygon.mean(axis=0)
    away = polygon - middle
    along, across = away @ axis, away @ np.array([-axis[1], axis[0]])
    return [*middle.tolist(), heading], [float(np.ptp(along)) / 10.0, float(np.ptp(across)) / 10.0]
