"""The part of the scene graph that stays: lanes cut into pieces, signals, crossings, and how they lie to each other."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.scene.lanemap import Lane, LaneMap
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["LANE_FEATURES", "LaneGraph", "lane_graph"]

PIECE_M = 15.0
"""Longest piece of a lane."""

LANE_FEATURES = 1 + 2 + 1 + 8 + 2 + 6
"""Length, width and whether it is known, turn, shape, speed limit and whether it is known, six marks."""

SUCCESSOR, PREDECESSOR, LEFT, RIGHT, NEAR = range(5)
"""Relations between pieces: what the sender is to the receiver."""

_NEAR_M = 10.0
_NUM_NEAR = 5
_PLACES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


class LaneGraph(NamedTuple):
    """Pieces of lanes and their relations.

    Attributes
    ----------
    pose : float array [P, 3]
        Middle of the piece in metres and its direction in radians.
    length : float array [P]
        Metres.
    features : float array [P, LANE_FEATURES]
        What does not depend on where the map lies.
    edge_index : int array [2, E]
        Sending and receiving piece.
    relation : int array [E]
        `SUCCESSOR` where the sender follows the receiver, and so on.
    first_piece : dict
        First piece of each lane by the id of the lane.
    tree : cKDTree or None
        Over the middles; None without lanes.
    """

    pose: FloatArray
    length: FloatArray
    features: FloatArray
    edge_index: IntArray
    relation: IntArray
    first_piece: dict[Any, int]
    tree: cKDTree | None


_known: weakref.WeakKeyDictionary[LaneMap, LaneGraph] = weakref.WeakKeyDictionary()


def lane_graph(lanes: LaneMap) -> LaneGraph:
    """Cut the lanes of a map into pieces of at most 15 m; the result is kept as long as the map lives.

    Parameters
    ----------
    lanes : LaneMap
        May be empty.
    """
    found = _known.get(lanes)
    if found is None:
        found = _known[lanes] = _build([lane for lane in lanes.lanes if _length(lane) > 0.1])
    return found


def forget() -> None:
    """Drop what `lane_graph` has kept, to measure how long it takes."""
    _known.clear()


def _length(lane: Lane) -> float:
    return float(np.hypot(*np.diff(lane.centre, axis=0).T).sum()) if len(lane.centre) > 1 else 0.0


def _build(lanes: Sequence[Lane]) -> LaneGraph:
    if not lanes:
        none = np.zeros((0, 2))
        empty = np.zeros((2, 0), np.int64)
        return LaneGraph(np.zeros((0, 3)), none[:, 0], np.zeros((0, LANE_FEATURES)), empty, empty[0], {}, None)
    points, lane_of, length = _cut(lanes)
    middle = points[:, 2]
    ahead = points[:, 3] - points[:, 1]
    heading = np.arctan2(ahead[:, 1], ahead[:, 0])
    first = np.searchsorted(lane_of, np.arange(len(lanes)))
    last = np.append(first[1:], len(lane_of)) - 1
    first_piece = {lane.id: int(piece) for lane, piece in zip(lanes, first, strict=True)}
    last_piece = {lane.id: int(piece) for lane, piece in zip(lanes, last, strict=True)}
    follows = _successions(lanes, lane_of, first_piece, last_piece)
    tree = cKDTree(middle)
    beside, relation = _beside(lanes, lane_of, middle, tree, follows)
    edges = np.concatenate([follows[::-1], follows, beside], axis=1)
    kinds = np.repeat([SUCCESSOR, PREDECESSOR], follows.shape[1])
    features = _features(lanes, lane_of, points, heading, length)
    pose = np.column_stack([middle, heading])
    return LaneGraph(pose, length, features, edges, np.concatenate([kinds, relation]), first_piece, tree)


def _cut(lanes: Sequence[Lane]) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return five points along each piece [P, 5, 2], the number of its lane [P] and its length [P]."""
    centres = np.concatenate([lane.centre for lane in lanes])
    sizes = np.array([len(lane.centre) for lane in lanes])
    start = np.cumsum(sizes) - sizes
    step = np.hypot(*np.diff(centres, axis=0, prepend=centres[:1]).T)
    step[start] = 1.0  # lanes lie one behind the other on one axis, a metre apart
    along = np.cumsum(step)
    low = along[start]
    total = along[start + sizes - 1] - low
    pieces = np.maximum(np.ceil(total / PIECE_M - 1e-9).astype(np.int64), 1)
    lane_of = np.repeat(np.arange(len(lanes)), pieces)
    number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    length = (total / pieces)[lane_of]
    wanted = low[lane_of, None] + length[:, None] * (number[:, None] + _PLACES)
    points = np.stack([np.interp(wanted, along, centres[:, axis]) for axis in (0, 1)], axis=-1)
    return points, lane_of, length


def _successions(
    lanes: Sequence[Lane], lane_of: IntArray, first_piece: dict[Any, int], last_piece: dict[Any, int]
) -> IntArray:
    """Return pairs (piece, the piece that follows) [2, E]; ids of lanes that are not there are passed over."""
    inner = np.flatnonzero(lane_of[1:] == lane_of[:-1])
    pairs = {
        (last_piece[lane.id], first_piece[other])
        for lane in lanes
        for other in lane.successors
        if other in first_piece and other != lane.id
    }
    pairs |= {
        (last_piece[other], first_piece[lane.id])
        for lane in lanes
        for other in lane.predecessors
        if other in last_piece and other != lane.id
    }
    outer = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    return np.concatenate([np.stack([inner, inner + 1]), outer], axis=1)


def _beside(
    lanes: Sequence[Lane], lane_of: IntArray, middle: FloatArray, tree: cKDTree, follows: IntArray
) -> tuple[IntArray, IntArray]:
    """Return pairs (sender, receiver) of pieces near each other, and whether they are declared neighbours."""
    count = len(middle)
    distance, near = tree.query(middle, k=min(_NUM_NEAR + 3, count), distance_upper_bound=_NEAR_M)
    near, distance = np.reshape(near, (count, -1)), np.reshape(distance, (count, -1))
    receiver, slot = np.nonzero(np.isfinite(distance) & (near != np.arange(count)[:, None]))
    sender = near[receiver, slot]
    joined = np.concatenate([follows[0] * count + follows[1], follows[1] * count + follows[0]])
    kept = ~np.isin(sender * count + receiver, joined) & (lane_of[sender] != lane_of[receiver])
    sender, receiver = sender[kept], receiver[kept]
    rank = np.arange(len(receiver)) - np.searchsorted(receiver, receiver)
    sender, receiver = sender[rank < _NUM_NEAR], receiver[rank < _NUM_NEAR]
    number = {lane.id: index for index, lane in enumerate(lanes)}
    relation = np.full(len(sender), NEAR)
    code = lane_of[receiver] * len(lanes) + lane_of[sender]
    for kind, name in ((LEFT, "left_neighbour"), (RIGHT, "right_neighbour")):
        declared = [
            number[lane.id] * len(lanes) + number[getattr(lane, name)]
            for lane in lanes
            if getattr(lane, name) in number
        ]
        relation[np.isin(code, declared)] = kind
    return np.stack([sender, receiver]), relation


def _features(
    lanes: Sequence[Lane], lane_of: IntArray, points: FloatArray, heading: FloatArray, length: FloatArray
) -> FloatArray:
    from gnnlib.heads.scene.graphs.graph_features import rotate

    turn = np.arctan2(*(points[:, 4] - points[:, 3]).T[::-1]) - np.arctan2(*(points[:, 1] - points[:, 0]).T[::-1])
    turn = np.remainder(turn + np.pi, 2.0 * np.pi) - np.pi
    shape = rotate(points[:, [0, 1, 3, 4]] - points[:, None, 2], -heading)
    width = np.array([_width(lane) for lane in lanes])
    limit = np.array([lane.speed_limit for lane in lanes], float)
    kinds = [lane.kind.lower() for lane in lanes]
    marks = np.array(
        [
            (
                "intersection" in kind,
                "bike" in kind,
                not lane.successors,
                not lane.predecessors,
                lane.left_neighbour is not None,
                lane.right_neighbour is not None,
            )
            for lane, kind in zip(lanes, kinds, strict=True)
        ],
        float,
    )
    own = np.column_stack(
        [np.nan_to_num(width) / 4.0, ~np.isnan(width), np.nan_to_num(limit) / 20.0, ~np.isnan(limit), marks]
    )
    columns = [length[:, None] / PIECE_M, turn[:, None], shape.reshape(len(shape), -1) / 7.5, own[lane_of]]
    return np.concatenate(columns, axis=1)


def _width(lane: Lane) -> float:
    """Distance between the borders half-way, in metres; NaN without borders."""
    if lane.left is None or lane.right is None or not len(lane.left) or not len(lane.right):
        return float("nan")
    left, right = lane.left[len(lane.left) // 2], lane.right
    return float(np.hypot(*(right - left).T).min())
