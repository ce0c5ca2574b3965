"""From a traffic scene at one step to the graph that the encoder reads.

Nodes are agents, pieces of lanes, signals and crossings. There is no place or direction of the scene's frame among the
features: edges hold relative poses in the receiver's frame, nodes what they see from their own. So a scene that is
moved or turned gives the same graph. Only positions up to the step are read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.features import relative_pose
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.heads.scene.graphs.graph_edges import (
    EDGE_FEATURES,
    EDGE_TYPES,
    AgentEdges,
    agent_edges,
    edge_features,
    map_edges,
)
from gnnlib.heads.scene.graphs.graph_features import (
    AGENT_FEATURES,
    HISTORY,
    NUM_CLASSES,
    AgentStates,
    agent_features,
    agent_states,
    rotate,
)
from gnnlib.heads.scene.maps.lane_graph import LANE_FEATURES, LaneGraph, lane_graph
from gnnlib.heads.scene.maps.map_objects import CONTROL_FEATURES, CROSSING_FEATURES, MapObjects, map_objects
from gnnlib.heads.scene.problem import AGENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["NODE_TYPES", "SCENE_SPEC", "SceneGraph", "join_scene_graphs", "scene_graph"]

NODE_TYPES = ("agent", "lane", "control", "crossing")

SCENE_SPEC = GraphSpec(
    "scene",
    node_dim=AGENT_FEATURES + LANE_FEATURES + CONTROL_FEATURES + CROSSING_FEATURES,
    edge_dim=EDGE_FEATURES,
    node_types=len(NODE_TYPES),
    edge_types=len(EDGE_TYPES),
)
"""Each node type has feature columns of its own, 0 for the others; edges likewise, see `graph_edges`."""

_CLASSES = {"vehicle": 0, "truck": 0, "bus": 0, "pedestrian": 1, "motorcycle": 2, "cyclist": 2}
_CLASS_OF_TYPE = np.array([_CLASSES.get(name, NUM_CLASSES - 1) for name in AGENT_TYPES], np.int64)


@dataclass
class SceneGraph(GraphTensors):
    """The graph of a scene at one step, or of several scenes, with what only this head needs.

    Agents come first among the nodes of a scene.

    Parameters
    ----------
    agent_node : Tensor [A], int64
        Node of each agent that is to be predicted.
    incoming : Tensor [A, S], int64
        Edges that the agent receives, -1 where there is none.
    velocity : Tensor [A, 2]
        In the agent's frame, m/s: the motion that predictions correct.
    pose : Tensor [A, 3], float64
        Place and heading of the agent in the frame of its scene.
    row : Tensor [A], int64
        Row of the agent in its scene.
    truth : Tensor [A, T, 2], optional
        Future positions in the agent's frame; NaN where unknown.
    weight : Tensor [A], optional
        How much each agent counts in the losses.
    """

    agent_node: Tensor | None = None
    incoming: Tensor | None = None
    velocity: Tensor | None = None
    pose: Tensor | None = None
    row: Tensor | None = None
    truth: Tensor | None = None
    weight: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones, but for the poses, to `dtype`."""
        moved = super().to(device, dtype)
        for name in ("agent_node", "incoming", "pose", "row"):
            value = getattr(self, name)
            setattr(moved, name, None if value is None else value.to(device))
        for name in ("velocity", "truth", "weight"):
            value = getattr(self, name)
            setattr(moved, name, None if value is None else value.to(device, dtype))
        return moved


class _Layout(NamedTuple):
    """Numbers of the first node of each type."""

    lane: int
    control: int
    crossing: int
    end: int


def scene_graph(
    scene: Scene, *, at_step: int | None = None, history: int = HISTORY, rows: Sequence[int] | None = None
) -> SceneGraph:
    """Build the graph of a scene as it is known at one step.

    Parameters
    ----------
    scene : Scene
        Agents need a position at `at_step`; the others are left out.
    at_step : int, optional
        The last observed step; the last one of the scene by default.
    history : int in 2 .. 20, default 20
        Observed steps, the last one included.
    rows : sequence of int, optional
        Rows of the scene's agents that are to be predicted; by default all that are present. All present agents are
        nodes in any case.

    Returns
    -------
    SceneGraph
        Empty when no agent is present.

    Raises
    ------
    InputError
        If `at_step` or `history` is out of range, or a row names an agent that is not present.

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> graph = scene_graph(generate_scene("merge", seed=0, num_steps=60), at_step=20)
    >>> graph.x.shape[1] == SCENE_SPEC.node_dim
    True
    """
    step = check_step(scene, at_step)
    if not 2 <= history <= HISTORY:
        raise InputError(f"`history` must be from 2 to {HISTORY} steps, found {history!r}")
    past = scene.xy[:, max(0, step - history + 1) : step + 1]
    present = np.flatnonzero(~np.isnan(past[:, -1]).any(axis=1))
    wanted = present if rows is None else np.asarray(rows, np.int64)
    places = np.searchsorted(present, wanted).clip(max=max(len(present) - 1, 0))
    if len(wanted) and (not len(present) or not np.array_equal(present[places], wanted)):
        raise InputError(f"`rows` must name agents that are present at step {step}, found {wanted.tolist()}")
    states = agent_states(past[present], scene.heading_rad[present, step], scene.dt)
    lanes = lane_graph(scene.lanes)
    edges = agent_edges(states, lanes)
    objects = map_objects(scene.lanes, lanes, edges.pieces, step, scene.dt)
    return _assemble(scene, states, lanes, edges, objects, (present, places))


def check_step(scene: Scene, at_step: int | None) -> int:
    """Return the step, the scene's last one for None; raise `InputError` unless the scene has it."""
    step = scene.num_steps - 1 if at_step is None else at_step
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or not 0 <= step < scene.num_steps:
        raise InputError(f"`at_step` must be a step of the scene, 0 to {scene.num_steps - 1}, found {at_step!r}")
    return int(step)


def _assemble(
    scene: Scene,
    states: AgentStates,
    lanes: LaneGraph,
    edges: AgentEdges,
    objects: MapObjects,
    chosen: tuple[IntArray, IntArray],
) -> SceneGraph:
    present, places = chosen
    count, pieces = len(present), len(edges.pieces)
    ends = np.cumsum([count, pieces, len(objects.controls), len(objects.crossings)])
    layout = _Layout(*(int(end) for end in ends))
    x = np.zeros((layout.end, SCENE_SPEC.node_dim), np.float32)
    x[:count, :AGENT_FEATURES] = agent_features(
        states, scene.size[present], _CLASS_OF_TYPE[scene.agent_types[present]], scene.dt
    )
    column = AGENT_FEATURES
    for first, block in (
        (layout.lane, lanes.features[edges.pieces]),
        (layout.control, objects.controls),
        (layout.crossing, objects.crossings),
    ):
        x[first : first + len(block), column : column + block.shape[1]] = block
        column += block.shape[1]
    pose = np.concatenate([states.pose, lanes.pose[edges.pieces], objects.control_pose, objects.crossing_pose])
    edge_index, edge_type, incoming = _join_edges(edges, map_edges(lanes, edges.pieces), objects, layout)
    relative = relative_pose(edge_index, pose[:, :2], pose[:, 2]).numpy()
    features = edge_features(relative, edge_index, edge_type, states, lanes.length[edges.pieces])
    kinds = np.repeat(np.arange(4), np.diff([0, *layout]))
    return SceneGraph(
        x=torch.from_numpy(x),
        edge_index=torch.from_numpy(edge_index),
        edge_attr=torch.from_numpy(features),
        node_type=torch.from_numpy(kinds),
        edge_type=torch.from_numpy(edge_type),
        agent_node=torch.from_numpy(places),
        incoming=torch.from_numpy(incoming[places]),
        velocity=torch.from_numpy(states.velocity[places].astype(np.float32)),
        pose=torch.from_numpy(states.pose[places]),
        row=torch.from_numpy(present[places]),
    )


def _join_edges(
    edges: AgentEdges, between: tuple[IntArray, IntArray], objects: MapObjects, layout: _Layout
) -> tuple[IntArray, IntArray, IntArray]:
    """Give every node its number and sort all edges by receiver; return index [2, E], types [E], table [A, S]."""
    offset = np.array([0, layout.lane])
    table = np.where(edges.sender >= 0, edges.sender + offset[edges.kind], -1)
    receiver, slot = np.nonzero(table >= 0)
    incoming = np.full(table.shape, -1)
    incoming[receiver, slot] = np.arange(len(receiver))
    on_lane = edges.on_lane + np.array([[0], [layout.lane]])
    rest = np.concatenate(
        [
            on_lane,
            between[0] + layout.lane,
            objects.control_edges + np.array([[layout.control], [layout.lane]]),
            objects.crossing_edges + np.array([[layout.crossing], [layout.lane]]),
        ],
        axis=1,
    )
    names = EDGE_TYPES.index
    kinds = np.concatenate(
        [
            np.full(on_lane.shape[1], names("agent on lane")),
            between[1],
            np.full(objects.control_edges.shape[1], names("control of lane")),
            np.full(objects.crossing_edges.shape[1], names("crossing of lane")),
        ]
    )
    order = np.argsort(rest[1], kind="stable")
    index = np.concatenate([np.stack([table[receiver, slot], receiver]), rest[:, order]], axis=1)
    return index, np.concatenate([edges.kind[slot], kinds[order]]), incoming


def with_truth(graph: SceneGraph, scene: Scene, at_step: int, horizon: int) -> SceneGraph:
    """Give a graph of one scene the futures of its agents, `horizon` steps in their own frames; return it."""
    if graph.row is None or graph.pose is None:
        raise InputError("`graph` must come from scene_graph")
    rows, pose = graph.row.numpy(), graph.pose.numpy()
    future = np.full((len(rows), horizon, 2), np.nan)
    seen = scene.xy[rows, at_step + 1 : at_step + 1 + horizon]
    future[:, : seen.shape[1]] = seen
    truth = rotate(future - pose[:, None, :2], -pose[:, 2])
    graph.truth = torch.from_numpy(truth.astype(np.float32))
    return graph


def to_scene_frame(local: FloatArray, pose: FloatArray) -> FloatArray:
    """Carry points [A, ..., 2] from the agents' frames, given by `pose` [A, 3], into the scene's."""
    shape = (-1,) + (1,) * (local.ndim - 2) + (2,)
    return rotate(local, pose[:, 2]) + pose[:, :2].reshape(shape)


def join_scene_graphs(graphs: Sequence[SceneGraph]) -> SceneGraph:
    """Put graphs side by side into a batch.

    Parameters
    ----------
    graphs : sequence of SceneGraph
        At least one; with truth and weights all or none.

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> graph = scene_graph(generate_scene("merge", seed=0, num_steps=60), at_step=20)
    >>> join_scene_graphs([graph, graph]).num_nodes == 2 * graph.num_nodes
    True
    """
    if not graphs:
        raise InputError("a batch needs at least one graph, found none")
    nodes = torch.tensor([graph.num_nodes for graph in graphs])
    first_node = (nodes.cumsum(0) - nodes).tolist()
    edges = torch.tensor([graph.num_edges for graph in graphs])
    first_edge = (edges.cumsum(0) - edges).tolist()
    joined: dict[str, Tensor | None] = {}
    for item in fields(SceneGraph):
        values = [getattr(graph, item.name) for graph in graphs]
        if item.name == "batch" or values[0] is None:
            continue
        if item.name in {"edge_index", "agent_node"}:
            values = [value + start for value, start in zip(values, first_node, strict=True)]
        if item.name == "incoming":
            values = [torch.where(v < 0, v, v + start) for v, start in zip(values, first_edge, strict=True)]
            slots = max(value.shape[1] for value in values)
            values = [torch.nn.functional.pad(v, (0, slots - v.shape[1]), value=-1) for v in values]
        joined[item.name] = torch.cat(values, dim=1 if item.name == "edge_index" else 0)
    return SceneGraph(**joined, batch=torch.repeat_interleave(torch.arange(len(graphs)), nodes))  # type: ignore[arg-type]
