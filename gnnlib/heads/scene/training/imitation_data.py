"""What the imitation planner learns from: recorded vehicles, on their way or pushed off it.

All vehicles of a scene serve at once. Some have their past taken away, so that the network cannot simply continue it;
some are moved off their path in the present and shown how to come back (M. Bansal et al. 2018, ChauffeurNet, arXiv
1812.03079, sections 5.1 and 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.scene.maps.road import Route, road_of, route_of
from gnnlib.heads.scene.planning.driving_scores import boxes_overlap
from gnnlib.heads.scene.planning.imitation_graph import (
    FUTURE,
    NUM_ROUTE,
    Push,
    ahead_of,
    as_tensor,
    into_frame,
    join_plan_graphs,
    perturbed_path,
    plan_graph,
)
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene, wrap_angle
from gnnlib.heads.scene.sim import StartShift
from gnnlib.heads.scene.training.losses import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.scene.planning.imitation_head import PlanGraph
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["PERTURBED_WEIGHT", "Augmentation", "PlanBatches", "PlanScene"]

PERTURBED_WEIGHT = 0.5
"""How much imitation counts for a vehicle that was moved.

ChauffeurNet takes a tenth, of 30 million examples; with some ten thousand that is too little to learn the way back from.
"""

_PAST = 20
_KEPT_PAST = 4
_STRIDE = 3
_NUM_OTHERS, _NUM_ROAD = 10, 80
_NEAR_AGENTS, _NEAR_M = 24, 60.0
_VEHICLES = tuple(AGENT_TYPES.index(name) for name in ("vehicle", "truck", "bus"))


@dataclass(frozen=True)
class Augmentation:
    """How recordings are changed.

    Parameters
    ----------
    drop_past : float in [0, 1], default 0.5
        Share of the vehicles that keep only their last four steps.
    perturb : float in [0, 1], default 0
        Share of the vehicles that are moved off their path.
    shift_m, turn_rad : float >= 0, default 1 and 0.3
        Largest shift to either side, and turn.
    along_m, faster : float >= 0, default 3 and 2
        Largest shift along the path, and change of speed in m/s.
    drop_imitation : float in [0, 1], default 0
        Share of the vehicles whose distance to the target does not count; `PlanBatches` chooses anew in each epoch.

    Raises
    ------
    InputError
        If a value is out of range.

    Examples
    --------
    >>> Augmentation(perturb=0.4).drop_past
    0.5
    """

    drop_past: float = 0.5
    perturb: float = 0.0
    shift_m: float = 1.0
    turn_rad: float = 0.3
    along_m: float = 3.0
    faster: float = 2.0
    drop_imitation: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            most = 1.0 if item.name in {"drop_past", "perturb", "drop_imitation"} else np.inf
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= most:
                raise InputError(f"`{item.name}` must be a number in [0, {most:g}], found {value!r}")

    def draw(self, rng: np.random.Generator) -> Push:
        """Draw by how much to move one vehicle."""
        largest = np.array([self.shift_m, self.turn_rad, self.along_m, self.faster])
        left, turn, ahead, faster = (rng.uniform(-1.0, 1.0, 4) * largest).tolist()
        return Push(StartShift(left, turn), ahead, faster)


class _Moved(NamedTuple):
    """Tracks after augmentation: positions [A, T, 2], headings [A, T], and who was moved [A]."""

    xy: FloatArray
    heading_rad: FloatArray
    is_moved: BoolArray


class PlanScene:
    """A recorded scene, with the routes of its vehicles and its road, ready to be drawn from.

    Parameters
    ----------
    scene : Scene
        Of 50 steps at least, else nobody can be learned from.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.road = road_of(scene.lanes)
        self.pieces = np.stack([self.road.start, self.road.end], axis=1)
        self.routes: dict[int, Route] = {}
        self.vehicles = np.flatnonzero(np.isin(scene.agent_types, _VEHICLES))
        # recordings say which way a vehicle points; where they do not, its motion must
        self.heading_rad = np.nan_to_num(scene.heading_rad)

    def route(self, row: int) -> Route:
        """Return the way of a vehicle from the beginning of its track."""
        if row not in self.routes:
            first = int(self.scene.valid[row].argmax())
            self.routes[row] = route_of(self.scene, row, first, ahead_m=200.0)
        return self.routes[row]

    def choices(self, at_step: int) -> IntArray:
        """Rows of the vehicles that were there for four steps and will be for the whole horizon."""
        if at_step + FUTURE >= self.scene.num_steps:
            return self.vehicles[:0]
        span = self.scene.valid[self.vehicles, max(0, at_step - _KEPT_PAST + 1) : at_step + 1 + FUTURE]
        return np.asarray(self.vehicles[span.all(axis=1)])

    def draw(self, at_step: int, change: Augmentation, rng: np.random.Generator, limit: int = 10) -> PlanGraph | None:
        """Make a graph of some vehicles at a step; None when there is nobody.

        Parameters
        ----------
        at_step : int
            The present.
        change : Augmentation
        rng : numpy.random.Generator
        limit : int, default 10
            Most vehicles to plan for.
        """
        rows = self.choices(at_step)
        if not rows.size:
            return None
        # some vehicles that are near each other, and who is near them, as at the wheel
        gap = np.linalg.norm(self.scene.xy[:, at_step] - self.scene.xy[rng.choice(rows), at_step], axis=1)
        gap = np.nan_to_num(gap, nan=np.inf)
        rows = np.sort(rows[np.argsort(gap[rows], kind="stable")][:limit])
        near = np.zeros(len(gap), bool)
        near[np.argsort(gap, kind="stable")[:_NEAR_AGENTS]] = True
        near &= gap < _NEAR_M
        near[rows] = True
        moved = self._perturbed(rows, at_step, change, rng)
        dropped = rows[rng.random(len(rows)) < change.drop_past]
        past = moved.xy[:, max(0, at_step - _PAST + 1) : at_step + 1].copy()
        past[dropped, : max(0, past.shape[1] - _KEPT_PAST)] = np.nan
        past[~near] = np.nan
        seen = self._seen(past, moved.heading_rad[:, at_step], at_step)
        poses = np.column_stack([moved.xy[rows, at_step], moved.heading_rad[rows, at_step]])
        speeds = np.linalg.norm(past[rows, -1] - past[rows, -_KEPT_PAST], axis=1) / ((_KEPT_PAST - 1) * self.scene.dt)
        present = np.flatnonzero(np.isfinite(past[:, -1, 0]))
        graph = plan_graph(seen, np.searchsorted(present, rows), poses, speeds, [self.route(int(row)) for row in rows])
        return self._with_targets(graph, moved, rows, at_step)

    def _seen(self, past: FloatArray, heading_rad: FloatArray, at_step: int) -> Scene:
        """Make the scene that the network sees: only the past, only who is there."""
        present = np.flatnonzero(np.isfinite(past[:, -1, 0]))
        steps = past.shape[1]
        return Scene(
            self.scene.name,
            tuple(self.scene.agents[row] for row in present),
            past[present],
            self.scene.dt,
            self.scene.agent_types[present],
            np.repeat(heading_rad[present, None], steps, axis=1),
            self.scene.size[present],
            lanes=self.scene.lanes.window(at_step + 1 - steps, at_step + 1),
        )

    def _perturbed(self, rows: IntArray, step: int, change: Augmentation, rng: np.random.Generator) -> _Moved:
        xy, heading = self.scene.xy.copy(), self.heading_rad.copy()
        is_moved = np.zeros(len(xy), bool)
        for row in rows[rng.random(len(rows)) < change.perturb].tolist():
            path = perturbed_path(xy[row], heading[row], step, change.draw(rng), self.scene.dt)
            if path is not None and not self._touches(row, step, *path):
                xy[row], heading[row] = path
                is_moved[row] = True
        return _Moved(xy, heading, is_moved)

    def _touches(self, row: int, step: int, xy: FloatArray, heading_rad: FloatArray) -> bool:
        """Whether a path runs into somebody, so that nobody should learn from it."""
        part, scene = slice(step, step + 1 + FUTURE, _STRIDE), self.scene
        others = np.arange(scene.num_agents) != row
        touch = boxes_overlap(
            xy[part],
            heading_rad[part],
            scene.size[row],
            scene.xy[others, part],
            self.heading_rad[others, part],
            scene.size[others][:, None],
        )
        return bool(touch.any())

    def _with_targets(self, graph: PlanGraph, moved: _Moved, rows: IntArray, step: int) -> PlanGraph:
        future = slice(step + 1, step + 1 + FUTURE)
        poses = np.column_stack([moved.xy[rows, step], moved.heading_rad[rows, step]])
        path = into_frame(moved.xy[rows, future], poses)
        turn = wrap_angle(moved.heading_rad[rows, future] - poses[:, 2:])
        graph.target = as_tensor(np.concatenate([path, turn[..., None]], axis=-1))
        stands = np.linalg.norm(path[:, -1], axis=1) < 1.0
        matter = np.where(stands, 0.2, 1.0)
        imitate = np.where(moved.is_moved[rows], PERTURBED_WEIGHT, 1.0) * matter
        graph.imitate, graph.matter = as_tensor(imitate), as_tensor(matter)
        graph.around = self._surroundings(moved, rows, step, poses)
        return graph

    def _surroundings(self, moved: _Moved, rows: IntArray, step: int, poses: FloatArray) -> Surroundings:
        """Collect the others as they will move, the road and the route, in the frames of the vehicles."""
        scene, count = self.scene, len(rows)
        steps = np.arange(step + _STRIDE, step + 1 + FUTURE, _STRIDE)
        around = moved.xy[:, steps]
        gap = np.linalg.norm(np.nan_to_num(around[None] - around[rows][:, None], nan=1e3), axis=-1).min(axis=-1)
        gap[np.arange(count), rows] = np.inf
        nearest = np.argsort(gap, axis=1)[:, :_NUM_OTHERS]
        xy = into_frame(around[nearest].reshape(count, -1, 2), poses).reshape(*nearest.shape, len(steps), 2)
        heading = moved.heading_rad[:, steps][nearest] - poses[:, 2, None, None]
        near = np.take_along_axis(gap, nearest, axis=1) < 40.0
        present = np.isfinite(xy[..., 0]) & near[..., None]
        driven = moved.xy[rows][:, step : step + 1 + FUTURE]
        road, half, road_mask = self._near_pieces(poses, driven[:, ::_STRIDE])
        reach = 10.0 + 1.3 * np.linalg.norm(driven[:, -1] - driven[:, 0], axis=1)
        way, way_mask = np.zeros((count, NUM_ROUTE, 2, 2)), np.zeros((count, NUM_ROUTE), bool)
        for i, row in enumerate(rows.tolist()):
            line = ahead_of(self.route(row), poses[i], max(30.0, float(reach[i])))
            way[i, : len(line) - 1] = np.stack([line[:-1], line[1:]], axis=1)
            way_mask[i, : len(line) - 1] = True
        flat = into_frame(way.reshape(count, -1, 2), poses).reshape(way.shape)
        return Surroundings(
            as_tensor(np.nan_to_num(xy)),
            as_tensor(np.nan_to_num(heading)),
            as_tensor(scene.size[nearest]),
            torch.from_numpy(present),
            as_tensor(road),
            as_tensor(half),
            torch.from_numpy(road_mask),
            as_tensor(flat),
            torch.from_numpy(way_mask),
        )

    def _near_pieces(self, poses: FloatArray, driven: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Find the pieces of road nearest to the driven paths [E, S, 2] and a little beyond; padded, in their frames."""
        count, known = len(poses), len(self.road)
        road, half = np.zeros((count, _NUM_ROAD, 2, 2)), np.ones((count, _NUM_ROAD))
        mask = np.zeros((count, _NUM_ROAD), bool)
        if not known:
            return road, half, mask
        beyond = driven[:, -1:] + 0.2 * (driven[:, -1:] - driven[:, :1])
        middle = self.pieces.mean(axis=1)
        path = np.concatenate([driven, beyond], axis=1)
        away = ((path[:, :, None] - middle) ** 2).sum(-1).min(axis=1)
        kept = min(known, _NUM_ROAD)
        nearest = np.argpartition(away, kept - 1, axis=1)[:, :kept]
        road[:, :kept] = into_frame(self.pieces[nearest].reshape(count, -1, 2), poses).reshape(count, kept, 2, 2)
        half[:, :kept], mask[:, :kept] = self.road.half_width[nearest], True
        return road, half, mask


class PlanBatches:
    """Batches of planning problems at random steps of recorded scenes.

    A few epochs are drawn, kept, and shown again in turn, their batches in a new order: drawing takes longer than
    learning.

    Parameters
    ----------
    scenes : sequence of PlanScene
    batch_size : int >= 1
        Graphs in a batch.
    change : Augmentation
    seed : int, default 0
    stride : int >= 1, default 10
        A scene is shown once for so many steps that it is longer than a window, at least once.
    distinct : int >= 1, default 3
        How many epochs are drawn; with 1, the same batches in the same order serve every epoch, for validation.
    drawn : dict, optional
        Where the drawn epochs are kept. Batches that differ in nothing but ``drop_imitation`` may share one.

    Raises
    ------
    InputError
        If no scene is long enough.
    """

    def __init__(
        self,
        scenes: Sequence[PlanScene],
        batch_size: int,
        change: Augmentation,
        *,
        seed: int = 0,
        stride: int = 10,
        distinct: int = 3,
        drawn: dict[int, list[PlanGraph]] | None = None,
    ) -> None:
        self.scenes = [scene for scene in scenes if scene.scene.num_steps > FUTURE + _KEPT_PAST]
        if not self.scenes:
            raise InputError(f"learning to plan needs a scene of more than {FUTURE + _KEPT_PAST} steps, found none")
        self.batch_size, self.change, self.seed, self.stride = batch_size, change, seed, stride
        self.distinct = distinct
        self.drawn = {} if drawn is None else drawn
        self.order = np.repeat(np.arange(len(self.scenes)), [self._draws(item.scene) for item in self.scenes])

    def _draws(self, scene: Scene) -> int:
        return max(1, (scene.num_steps - FUTURE - _KEPT_PAST) // self.stride)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[PlanGraph]:
        """Yield the batches of one epoch."""
        number = (epoch - 1) % self.distinct
        if number not in self.drawn:
            self.drawn[number] = list(self._fresh(number))
        batches = self.drawn[number]
        order = np.arange(len(batches))
        if self.distinct > 1:
            order = np.random.default_rng([self.seed, 1, epoch]).permutation(order)
        rng = np.random.default_rng([self.seed, 2, epoch])
        return (self._dropped(batches[index], rng) for index in order)

    def _dropped(self, batch: PlanGraph, rng: np.random.Generator) -> PlanGraph:
        """Take imitation away from some of the vehicles."""
        if self.change.drop_imitation == 0.0 or batch.imitate is None:
            return batch
        kept = rng.random(len(batch.imitate)) >= self.change.drop_imitation
        return replace(batch, imitate=batch.imitate * as_tensor(kept))

    def _fresh(self, number: int) -> Iterator[PlanGraph]:
        rng = np.random.default_rng([self.seed, 0, number])
        order = rng.permutation(self.order)
        for first in range(0, len(order), self.batch_size):
            drawn = [self._draw(self.scenes[index], rng) for index in order[first : first + self.batch_size]]
            kept = [graph for graph in drawn if graph is not None]
            if kept:
                yield join_plan_graphs(kept)

    def _draw(self, item: PlanScene, rng: np.random.Generator) -> PlanGraph | None:
        last = item.scene.num_steps - FUTURE - 1
        low = min(_PAST // 2, last - 1)
        return item.draw(int(rng.integers(max(low, _KEPT_PAST - 1), last + 1)), self.change, rng)
