"""Graphs to learn from: every agent of every scene at random steps, in batches; and graphs to be judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.scene.graph import SceneGraph, join_scene_graphs, scene_graph, with_truth
from gnnlib.heads.scene.lanemap import LaneMap
from gnnlib.heads.scene.problem import AGENT_TYPES
from gnnlib.heads.scene.training.windows import FUTURE, PAST, mirrored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.heads.scene.training.windows import SceneWindow
    from gnnlib.typing import FloatArray

__all__ = ["SceneBatches", "WindowBatches", "agent_weights", "learning_graph"]

_STANDING_WEIGHT, _OTHER_WEIGHT = 0.1, 0.5
_MOST_STANDING = 8
_LEAST_FUTURE = 5
_NO_MAP_SHARE = 0.05
_DROPPED_EDGES = 0.1
_STEP_GRID = 2
_ROAD_VEHICLES = [AGENT_TYPES.index(name) for name in ("vehicle", "truck", "bus")]
_FIXED = AGENT_TYPES.index("static")


def agent_weights(scene: Scene, at_step: int) -> FloatArray:
    """How much each agent of a scene counts when learning from one step; array [A].

    Vehicles that move at least 1 m in the window count 1, other moving agents 0.5, standing ones 0.1. Nobody counts
    who was not there in two of the last five steps or has no position in five of the future ones.

    Parameters
    ----------
    scene : Scene
    at_step : int
        Last observed step.
    """
    valid = scene.valid
    past = valid[:, max(0, at_step - 4) : at_step + 1].sum(axis=1)
    future = valid[:, at_step + 1 : at_step + 1 + FUTURE].sum(axis=1)
    window = scene.xy[:, max(0, at_step + 1 - PAST) : at_step + 1 + FUTURE]
    moved = np.hypot(*np.moveaxis(window - scene.xy[:, at_step, None], -1, 0))
    moves = np.nan_to_num(moved).max(axis=1, initial=0.0) >= 1.0
    weight = np.where(np.isin(scene.agent_types, _ROAD_VEHICLES), 1.0, _OTHER_WEIGHT)
    weight = np.where(moves, weight, _STANDING_WEIGHT)
    usable = valid[:, at_step] & (past >= 2) & (future >= _LEAST_FUTURE) & (scene.agent_types != _FIXED)
    return np.where(usable, weight, 0.0)


def learning_graph(scene: Scene, at_step: int, rng: np.random.Generator) -> SceneGraph | None:
    """Build a graph with truth and weights for all agents that count; at most eight of them stand.

    Parameters
    ----------
    scene : Scene
    at_step : int
        Last observed step.
    rng : numpy.random.Generator
        Chooses among the standing agents.

    Returns
    -------
    SceneGraph or None
        None when no agent moves.
    """
    weight = agent_weights(scene, at_step)
    moving = np.flatnonzero(weight > _STANDING_WEIGHT)
    if not moving.size:
        return None
    standing = np.flatnonzero(weight == _STANDING_WEIGHT)
    standing = rng.permutation(standing)[:_MOST_STANDING]
    rows = np.sort(np.concatenate([moving, standing]))
    graph = with_truth(scene_graph(scene, at_step=at_step, rows=rows.tolist()), scene, at_step, FUTURE)
    graph.weight = torch.from_numpy(weight[rows].astype(np.float32))
    return graph


def drop_edges(graph: SceneGraph, share: float, rng: np.random.Generator) -> SceneGraph:
    """Return the graph without a random share of its edges, so that no single neighbour is relied on."""
    kept = rng.random(graph.num_edges) >= share
    number = torch.from_numpy(np.where(kept, np.cumsum(kept) - 1, -1))
    mask = torch.from_numpy(kept)
    if graph.edge_attr is None or graph.edge_type is None or graph.incoming is None:
        raise InputError("`graph` must come from scene_graph")
    incoming = graph.incoming
    if len(number):
        incoming = torch.where(incoming >= 0, number[incoming.clamp(min=0)], -1)
    return replace(
        graph,
        edge_index=graph.edge_index[:, mask],
        edge_attr=graph.edge_attr[mask],
        edge_type=graph.edge_type[mask],
        incoming=incoming,
    )


class SceneBatches:
    """Scenes at random steps, half of them mirrored, one in twenty without its map; anew in every epoch.

    A tenth of the edges is taken out of every graph. Only every second step is drawn, and graphs are kept once built
    (some 0.3 MB each): neighbouring steps tell nearly the same, and building took a third of the time of training.

    Each scene is shown once for every `stride` steps that it is longer than a window, at least once.

    Parameters
    ----------
    scenes : sequence of Scene
        Of at least 26 steps; the same object may come repeatedly.
    batch_size : int >= 1
        Graphs in a batch.
    stride : int >= 1, default 5
    seed : int, default 0
    """

    def __init__(self, scenes: Sequence[Scene], batch_size: int, *, stride: int = 5, seed: int = 0) -> None:
        long_enough = [scene for scene in scenes if scene.num_steps > PAST + _LEAST_FUTURE]
        if not long_enough:
            raise InputError(f"learning needs a scene of at least {PAST + _LEAST_FUTURE + 1} steps, found none")
        self.scenes = list({id(scene): scene for scene in long_enough}.values())
        number_of = {id(scene): number for number, scene in enumerate(self.scenes)}
        self.batch_size, self.stride, self.seed = batch_size, stride, seed
        draws = [(number_of[id(scene)], self._draws(scene)) for scene in long_enough]
        self.order = np.repeat(*np.array(draws).T)
        self.views: dict[tuple[int, int], Scene] = {}
        self.graphs: dict[tuple[int, int, int], SceneGraph | None] = {}

    def _draws(self, scene: Scene) -> int:
        return max(1, -(-(scene.num_steps - PAST - FUTURE + 1) // self.stride))

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[SceneGraph]:
        """Yield the batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.order)
        for first in range(0, len(order), self.batch_size):
            graphs = [self._draw(int(number), rng) for number in order[first : first + self.batch_size]]
            kept = [graph for graph in graphs if graph is not None]
            if kept:
                yield join_scene_graphs(kept)

    def _draw(self, number: int, rng: np.random.Generator) -> SceneGraph | None:
        view = int(rng.random() < 0.5) + 2 * int(rng.random() < _NO_MAP_SHARE)
        last = max(PAST - 1, self.scenes[number].num_steps - FUTURE - 1)
        step = PAST - 1 + _STEP_GRID * int(rng.integers((last - PAST + 1) // _STEP_GRID + 1))
        key = number, view, step
        if key not in self.graphs:
            # what is drawn in it follows from the key alone, so that a resumed run sees the same
            own = np.random.default_rng(key)
            self.graphs[key] = learning_graph(self._view(number, view), step, own)
        graph = self.graphs[key]
        return None if graph is None else drop_edges(graph, _DROPPED_EDGES, rng)

    def _view(self, number: int, view: int) -> Scene:
        """Scene as it is (0), mirrored (1), or either without its map (2, 3)."""
        if (number, view) not in self.views:
            scene = mirrored(self.scenes[number]) if view % 2 else self.scenes[number]
            self.views[number, view] = replace(scene, lanes=LaneMap()) if view >= 2 else scene
        return self.views[number, view]


class WindowBatches:
    """The graphs of windows, made once and handed out in the same batches every epoch.

    Parameters
    ----------
    windows : sequence of SceneWindow
    batch_size : int >= 1
    """

    def __init__(self, windows: Sequence[SceneWindow], batch_size: int = 8) -> None:
        graphs = []
        for window in windows:
            graph = scene_graph(window.scene, at_step=window.at_step, rows=window.rows.tolist())
            graphs.append(with_truth(graph, window.scene, window.at_step, FUTURE))
        parts = [graphs[first : first + batch_size] for first in range(0, len(graphs), batch_size)]
        self.batches = [join_scene_graphs(part) for part in parts]

    def __len__(self) -> int:
        return len(self.batches)

    def __call__(self, epoch: int) -> Iterator[SceneGraph]:  # noqa: ARG002 (every epoch is alike)
        """Yield all batches."""
        return iter(self.batches)
