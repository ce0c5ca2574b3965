"""Who sees whom in a scene graph, and what an edge tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    import numpy.typing as npt

    from gnnlib.heads.scene.graphs.graph_features import AgentStates
    from gnnlib.heads.scene.maps.lane_graph import LaneGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["EDGE_FEATURES", "EDGE_TYPES", "AgentEdges", "agent_edges", "edge_features", "map_edges"]

EDGE_TYPES = (
    "agent to agent",
    "lane to agent",
    "lane after lane",
    "lane before lane",
    "lane left of lane",
    "lane right of lane",
    "lane near lane",
    "agent on lane",
    "control of lane",
    "crossing of lane",
)
"""Sender and receiver; the third to the seventh follow the relations of `lane_graph`."""

_POSE = 10
_AGENT_AGENT, _LANE_AGENT, _ON_LANE = _POSE + 4, _POSE + 3, _POSE + 1
EDGE_FEATURES = _AGENT_AGENT + _LANE_AGENT + _ON_LANE + _POSE
"""Four groups of columns: agent to agent, lane to agent, agent on lane, and everything between map nodes."""

_NUM_AGENTS = 12
_AGENTS_WITHIN_M = 50.0
_NUM_HERE = 6
_NUM_AHEAD = 18
_HERE_M = 15.0


class AgentEdges(NamedTuple):
    """What agents receive and send.

    Attributes
    ----------
    sender : int array [A, S]
        Agent or, numbered within `pieces`, piece that sends to each agent; -1 where there is none.
    kind : int array [S]
        Edge type of each column: 0 agent, 1 lane piece.
    pieces : int array [P]
        Pieces of the map that some agent hears.
    on_lane : int array [2, E]
        Agent and the piece (numbered within `pieces`) on which it is.
    """

    sender: IntArray
    kind: IntArray
    pieces: IntArray
    on_lane: IntArray


def agent_edges(states: AgentStates, lanes: LaneGraph) -> AgentEdges:
    """Connect agents with agents near them and with the lane pieces around and ahead of them.

    An agent hears the 12 nearest others within 50 m (as seen from a point ahead of it), the 6 nearest pieces within
    15 m and, if it moves, the 18 nearest within what it may reach in 3 s.

    Parameters
    ----------
    states : AgentStates
    lanes : LaneGraph
    """
    count = len(states.pose)
    agents = _near_agents(states)
    if lanes.tree is None or not count:
        empty = np.zeros((2, 0), np.int64)
        return AgentEdges(agents, np.zeros(agents.shape[1], np.int64), empty[0], empty)
    found = _near_pieces(states, lanes)
    pieces, inverse = np.unique(found, return_inverse=True)
    shift = int(pieces[0] < 0) if len(pieces) else 0
    numbers: IntArray = inverse.reshape(found.shape) - shift
    pieces = pieces[shift:]
    sender = np.concatenate([agents, numbers], axis=1)
    kind = np.repeat([0, 1], [agents.shape[1], numbers.shape[1]])
    return AgentEdges(sender, kind, pieces, _standing_on(states, lanes, pieces, numbers))


def _ahead(states: AgentStates, metres: FloatArray) -> FloatArray:
    heading = states.pose[:, 2]
    return states.pose[:, :2] + metres[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])


def _near_agents(states: AgentStates) -> IntArray:
    count = len(states.pose)
    if count < 2:
        return np.full((count, 0), -1)
    speed = np.hypot(*states.velocity.T)
    k = np.arange(1, min(_NUM_AGENTS + 1, count) + 1)
    centre = _ahead(states, np.minimum(0.5 * speed, 10.0))
    distance, near = cKDTree(states.pose[:, :2]).query(centre, k=k, distance_upper_bound=_AGENTS_WITHIN_M)
    return np.where(np.isfinite(distance) & (near != np.arange(count)[:, None]), near, -1)


def _near_pieces(states: AgentStates, lanes: LaneGraph) -> IntArray:
    """Return pieces by agent [A, S], -1 where there is none."""
    count = len(states.pose)
    if lanes.tree is None:
        return np.full((count, 0), -1)
    num = len(lanes.length)
    speed = np.hypot(*states.velocity.T)
    reach = np.clip(3.2 * speed + 12.0, 20.0, 75.0)
    distance, here = lanes.tree.query(
        states.pose[:, :2], k=np.arange(1, min(_NUM_HERE, num) + 1), distance_upper_bound=_HERE_M
    )
    here = np.where(np.isfinite(distance), here, -1)
    radius = 0.6 * reach + 5.0
    distance, ahead = lanes.tree.query(
        _ahead(states, 0.45 * reach), k=np.arange(1, min(_NUM_AHEAD, num) + 1), distance_upper_bound=radius.max()
    )
    kept = (distance <= radius[:, None]) & states.is_moving[:, None]
    ahead = np.asarray(ahead)
    kept &= ~(ahead[:, :, None] == here[:, None, :]).any(axis=2)
    return np.concatenate([here, np.where(kept, ahead, -1)], axis=1)


def _standing_on(states: AgentStates, lanes: LaneGraph, pieces: IntArray, numbers: IntArray) -> IntArray:
    agent, slot = np.nonzero(numbers >= 0)
    piece = numbers[agent, slot]
    along, aside = _in_lane_frame(states, lanes.pose[pieces], agent, piece)
    on = (np.abs(aside) < 3.0) & (np.abs(along) < 0.5 * lanes.length[pieces][piece] + 1.0)
    return np.stack([agent[on], piece[on]])


def _in_lane_frame(states: AgentStates, pose: FloatArray, agent: IntArray, piece: IntArray) -> FloatArray:
    away = states.pose[agent, :2] - pose[piece, :2]
    cos, sin = np.cos(pose[:, 2])[piece], np.sin(pose[:, 2])[piece]
    return np.stack([cos * away[:, 0] + sin * away[:, 1], cos * away[:, 1] - sin * away[:, 0]])


def map_edges(lanes: LaneGraph, pieces: IntArray) -> tuple[IntArray, IntArray]:
    """Return edges between chosen pieces, numbered within `pieces`, and their types."""
    number = np.full(len(lanes.length) + 1, -1)
    number[pieces] = np.arange(len(pieces))
    index = number[lanes.edge_index]
    kept = (index >= 0).all(axis=0)
    return index[:, kept], lanes.relation[kept] + EDGE_TYPES.index("lane after lane")


def edge_features(
    relative: FloatArray, edge_index: IntArray, edge_type: IntArray, states: AgentStates, length: FloatArray
) -> npt.NDArray[np.float32]:
    """Return the features of all edges, float32 [E, EDGE_FEATURES].

    Parameters
    ----------
    relative : float array [E, 4]
        As `gnnlib.graphs.relative_pose` gives: offset in metres, sine and cosine of the difference of headings.
    edge_index, edge_type : int arrays [2, E], [E]
        Agents are the first nodes, pieces follow.
    states : AgentStates
        Of the agents.
    length : float array [P]
        Of the pieces, in metres.
    """
    count = len(states.pose)
    features = np.zeros((relative.shape[0], EDGE_FEATURES), np.float32)
    pose = _pose_features(relative)
    groups = np.select([edge_type == 0, edge_type == 1, edge_type == EDGE_TYPES.index("agent on lane")], [0, 1, 2], 3)
    starts = np.cumsum([0, _AGENT_AGENT, _LANE_AGENT, _ON_LANE])
    for group, start in enumerate(starts.tolist()):
        rows = np.flatnonzero(groups == group)
        if not rows.size:
            continue
        features[rows, start : start + _POSE] = pose[rows]
        sender, receiver = edge_index[:, rows]
        extra = slice(start + _POSE, start + _POSE + (4, 3, 1, 0)[group])
        if group == 0:
            features[rows, extra] = _encounter(relative[rows], states.velocity[sender], states.velocity[receiver])
        elif group == 1:
            speed = np.hypot(*states.velocity[receiver].T)
            features[rows, extra] = _on_the_way(relative[rows], speed, length[sender - count])
        elif group == 2:
            features[rows, extra] = np.hypot(*states.velocity[sender].T)[:, None] / 10.0
    return features


def _pose_features(relative: FloatArray) -> FloatArray:
    dx, dy, sin, cos = relative.T
    distance = np.hypot(dx, dy)
    near = 1.0 / (distance + 1.0)
    scales = [np.exp(-distance / scale) for scale in (4.0, 12.0, 40.0)]
    return np.column_stack([dx / 20.0, dy / 20.0, sin, cos, np.log1p(distance) / 3.0, *scales, dx * near, dy * near])


def _encounter(relative: FloatArray, sender: FloatArray, receiver: FloatArray) -> FloatArray:
    """Relative velocity, and when and how close both come if they keep their velocities (at most 6 s)."""
    dx, dy, sin, cos = relative.T
    vx = cos * sender[:, 0] - sin * sender[:, 1] - receiver[:, 0]
    vy = sin * sender[:, 0] + cos * sender[:, 1] - receiver[:, 1]
    time = np.clip(-(dx * vx + dy * vy) / (vx * vx + vy * vy + 0.01), 0.0, 6.0)
    closest = np.hypot(dx + vx * time, dy + vy * time)
    return np.column_stack([vx / 10.0, vy / 10.0, time / 6.0, np.exp(-closest / 4.0)])


def _on_the_way(relative: FloatArray, speed: FloatArray, length: FloatArray) -> FloatArray:
    """Where the agent is in the frame of the piece, and how far the piece is for its speed."""
    dx, dy, sin, cos = relative.T
    along, aside = -(cos * dx + sin * dy), sin * dx - cos * dy
    return np.column_stack(
        [
            np.clip(along / np.maximum(length, 5.0), -4.0, 4.0),
            np.tanh(aside / 4.0),
            np.exp(-np.hypot(dx, dy) / (3.0 * speed + 5.0)),
        ]
    )
