"""A rule-based planner: proposals along the route, driven in thought among the predicted futures of the others.

In the manner of PDM-Closed (D. Dauner et al. 2023, Parting with misconceptions about learning-based vehicle motion
planning, section 4): offsets from the centre line times desired speeds, each rolled out by the intelligent driver model,
then scored, the best one driven. Instead of one future at constant velocity, the others have several predicted ones; an
overlap costs as much as its future is probable.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numba as nb
import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.kinematics import check_positive
from gnnlib.heads.scene.maps.road import box_corners
from gnnlib.heads.scene.planning.driving import neighbourhood
from gnnlib.heads.scene.planning.driving_scores import boxes_overlap
from gnnlib.heads.scene.planning.idm import IDM, stop_places
from gnnlib.heads.scene.planning.others import Predictor, constant_velocity
from gnnlib.heads.scene.policies import desired_speed, path_offsets
from gnnlib.heads.scene.problem import wrap_angle
from gnnlib.heads.scene.sim import default_predictor

if TYPE_CHECKING:
    from gnnlib.heads.scene.planning.driving import Observation
    from gnnlib.heads.scene.problem import Prediction
    from gnnlib.typing import FloatArray

__all__ = ["CostWeights", "Futures", "Proposals", "RulePlanner", "futures_of", "make_proposals", "proposal_costs"]

OFFSETS_M = (-2.0, -1.0, 0.0, 1.0, 2.0)
SPEED_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
HORIZON = 40
_BRAKING = 6.0
_NEAR_M = 70.0
_STRIDE = 2
_MARGIN_M = (1.5, 0.5)


@dataclass(frozen=True)
class CostWeights:
    """What the planner pays for, in metres of lost progress.

    Parameters
    ----------
    collision : float > 0, default 400
        Certain overlap now; half as much in two seconds.
    near : float > 0, default 40
        The same for coming nearer than 0.75 m ahead or 0.25 m sideways.
    off_road : float > 0, default 60
        For each metre that a corner leaves the road, farther than it is now.
    deviation : float > 0, default 3
        For each metre off the centre line, averaged over the horizon.
    discomfort : float > 0, default 2
        For mean squares of acceleration, 3 m/s^2 ahead and sideways counting as 1.
    change : float > 0, default 1
        For each metre by which the offset differs from that of the last plan.

    Raises
    ------
    InputError
        If a weight is not positive.
    """

    collision: float = 400.0
    near: float = 40.0
    off_road: float = 60.0
    deviation: float = 3.0
    discomfort: float = 2.0
    change: float = 1.0

    def __post_init__(self) -> None:
        for item in fields(self):
            check_positive(item.name, getattr(self, item.name))


class Futures(NamedTuple):
    """Predicted futures of the others near the vehicle.

    Attributes
    ----------
    xy : FloatArray [A, K, T, 2]
        In m.
    heading_rad : FloatArray [A, K, T]
    size : FloatArray [A, 2]
    probability : FloatArray [A, K]
    """

    xy: FloatArray
    heading_rad: FloatArray
    size: FloatArray
    probability: FloatArray


class Proposals(NamedTuple):
    """Candidate plans.

    Attributes
    ----------
    poses : FloatArray [P, T, 3]
        Of the vehicle's centre after each step.
    speed : FloatArray [P, T]
        In m/s.
    along : FloatArray [P, T]
        Distance along the route in m.
    offset : FloatArray [P]
        Target offset from the route in m.
    """

    poses: FloatArray
    speed: FloatArray
    along: FloatArray
    offset: FloatArray


class RulePlanner:
    """Plan along the centre line, judged against the predicted futures of the others.

    Parameters
    ----------
    predictor : "model", "constant velocity" or callable, default "model"
        Foresees the others: `gnnlib.predict_trajectories`, straight lines, or any function from a scene up to now to a
        `Prediction`.
    speed : float > 0, optional
        Desired speed in m/s; by default as for `gnnlib.heads.scene.policies.IDMPolicy`.
    weights : CostWeights
    model : IDM
        How proposals follow leaders.

    Raises
    ------
    InputError
        If an argument does not fit.

    Examples
    --------
    >>> RulePlanner("constant velocity").name
    'rule planner (constant velocity)'
    """

    def __init__(
        self,
        predictor: Literal["model", "constant velocity"] | Predictor = "model",
        *,
        speed: float | None = None,
        weights: CostWeights | None = None,
        model: IDM | None = None,
    ) -> None:
        if speed is not None:
            check_positive("speed", speed)
        if not callable(predictor) and predictor not in ("model", "constant velocity"):
            raise InputError(
                f'`predictor` must be "model", "constant velocity" or a function of a scene, found {predictor!r}'
            )
        self.speed, self.weights, self.model = speed, weights or CostWeights(), model or IDM()
        label = predictor if isinstance(predictor, str) else getattr(predictor, "__name__", "own predictor")
        self.name = f"rule planner ({label})"
        self.predictor = predictor if callable(predictor) else _PREDICTORS[predictor]
        self.last_offset: float | None = None

    def reset(self) -> None:
        """Forget the last plan."""
        self.last_offset = None

    def __call__(self, observation: Observation) -> FloatArray:
        """Return the best proposal [T, 3]."""
        part, row = neighbourhood(observation.scene, observation.ego, most=32, radius_m=_NEAR_M)
        observation = replace(observation, scene=part, ego=row)
        futures = futures_of(self.predictor(part), observation, HORIZON)
        proposals = make_proposals(observation, futures, self.speed or desired_speed(observation), self.model)
        costs = proposal_costs(proposals, futures, observation, self.weights)
        if self.last_offset is not None:
            costs = costs + self.weights.change * np.abs(proposals.offset - self.last_offset)
        best = int(np.argmin(costs))
        self.last_offset = float(proposals.offset[best])
        return np.asarray(proposals.poses[best])


_PREDICTORS: dict[str, Predictor] = {
    "model": default_predictor,
    "constant velocity": constant_velocity,
}


def futures_of(prediction: Prediction, observation: Observation, horizon: int) -> Futures:
    """Bring predictions into the form that the planner needs: the others near it, over its own horizon.

    Shorter predictions go on with their last velocity. Agents without a prediction stay where they are.

    Parameters
    ----------
    prediction : Prediction
    observation : Observation
    horizon : int
        Steps T.
    """
    scene, ego = observation.scene, observation.ego
    present = scene.valid[:, -1].copy()
    present[ego] = False
    present &= np.linalg.norm(np.nan_to_num(scene.xy[:, -1]) - observation.state.xy, axis=1) < _NEAR_M
    rows = np.flatnonzero(present)
    known = {agent: index for index, agent in enumerate(prediction.agents)}
    modes = prediction.num_modes
    xy = np.repeat(scene.xy[rows, -1][:, None, None], modes, axis=1).repeat(horizon, axis=2)
    probability = np.full((len(rows), modes), 1.0 / modes)
    found = [(i, known[scene.agents[row]]) for i, row in enumerate(rows) if scene.agents[row] in known]
    if found:
        own, theirs = (list(side) for side in zip(*found, strict=True))
        xy[own] = _extended(prediction.xy[theirs], horizon)
        probability[own] = prediction.probability[theirs]
    before = np.concatenate([scene.xy[rows, -1][:, None, None].repeat(modes, axis=1), xy[:, :, :-1]], axis=2)
    move = xy - before
    moved = np.hypot(move[..., 0], move[..., 1]) > 0.05
    now = np.nan_to_num(scene.heading_rad[rows, -1])[:, None, None]
    heading = np.where(moved, np.arctan2(move[..., 1], move[..., 0]), now)
    return Futures(xy, heading, scene.size[rows], probability)


def _extended(xy: FloatArray, horizon: int) -> FloatArray:
    """Cut or continue paths [A, K, T, 2] to `horizon` steps."""
    missing = horizon - xy.shape[2]
    if missing <= 0:
        return np.asarray(xy[:, :, :horizon])
    last = xy[:, :, -1:] - xy[:, :, -2:-1] if xy.shape[2] > 1 else np.zeros_like(xy)
    more = xy[:, :, -1:] + last * np.arange(1, missing + 1)[:, None]
    return np.concatenate([xy, more], axis=2)


def make_proposals(observation: Observation, futures: Futures, desired: float, model: IDM) -> Proposals:
    """Roll out offsets times speeds, and a full braking on the centre line.

    Parameters
    ----------
    observation : Observation
    futures : Futures
        The most probable one of each agent decides who is followed.
    desired : float
        Desired speed in m/s.
    model : IDM

    Returns
    -------
    Proposals
        26 of them, over 40 steps.
    """
    now, route = observation.state, observation.route
    along, aside = (float(value) for value in route.project(now.xy))
    slope = float(wrap_angle(now.heading_rad - route.heading(along)))
    offset = np.append(np.repeat(OFFSETS_M, len(SPEED_SHARES)), aside)
    wish = np.append(np.tile(SPEED_SHARES, len(OFFSETS_M)) * desired, 0.1)
    gaps = _Corridors(observation, futures, along, aside, slope, offset)
    speed, place = gaps.rollout(now.speed, along, wish, model, observation.dt)
    sides = path_offsets(place - along, aside, slope, offset[:, None], now.speed)
    xy = route.points(place, sides)
    step = np.diff(xy, axis=1, prepend=np.broadcast_to(now.xy, (len(xy), 1, 2)))
    moved = np.hypot(step[..., 0], step[..., 1]) > 0.02
    heading = np.where(moved, np.arctan2(step[..., 1], step[..., 0]), np.nan)
    source = np.maximum.accumulate(np.where(moved, np.arange(HORIZON), -1), axis=1)
    kept = np.take_along_axis(heading, np.maximum(source, 0), axis=1)
    heading = np.where(source < 0, now.heading_rad, kept)
    return Proposals(np.concatenate([xy, heading[..., None]], axis=-1), speed, place, offset)


class _Corridors:
    """Who is in the way of each proposal, and where: [P, A, T]."""

    def __init__(
        self, observation: Observation, futures: Futures, along: float, aside: float, slope: float, offset: FloatArray
    ) -> None:
        route, now, size = observation.route, observation.state, observation.size
        rows = np.arange(len(futures.xy))
        best = futures.probability.argmax(axis=1) if len(rows) else rows
        xy, heading = futures.xy[rows, best], futures.heading_rad[rows, best]
        place, side = route.project(xy)
        turn = heading - route.heading(place)
        cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
        half = futures.size[:, None] / 2
        breadth = half[..., 0] * sin + half[..., 1] * cos + size[1] / 2 + 0.2
        self.back = place - half[..., 0] * cos - half[..., 1] * sin - size[0] / 2
        self.place = place
        step = np.diff(place, axis=1, append=2 * place[:, -1:] - place[:, -2:-1]) / observation.dt
        self.speed = np.maximum(step, 0.0)
        targets, index = np.unique(offset, return_inverse=True)
        way = np.maximum(place - along, 0.0)
        path = path_offsets(way, aside, slope, targets[:, None, None], now.speed)
        self.in_way = (np.abs(side - path) < breadth)[index]
        lanes, last = observation.scene.lanes, observation.scene.num_steps - 1
        stops = stop_places(route, lanes, last, along_m=along, speed=now.speed)
        stops = stops[stops > along + size[0] / 2 - 1.0]
        self.stop = float(stops.min() - size[0] / 2) if stops.size else np.inf

    def rollout(
        self, speed: float, along: float, wish: FloatArray, model: IDM, dt: float
    ) -> tuple[FloatArray, FloatArray]:
        """Speed and place of all proposals [P, T]; the last one brakes as hard as is reasonable."""
        own = np.array([speed, along, self.stop, dt])
        leaders = np.stack([self.place, self.back, self.speed])
        numbers = np.array([getattr(model, item.name) for item in fields(model)])
        return _rollout(own, wish, self.in_way, leaders, numbers)


@nb.njit(cache=True)
def _rollout(own, wish, in_way, leaders, model):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Integrate the driver model; `model` holds the fields of `IDM` in their order."""
    place, back, leader_speed = leaders
    headway, min_gap, most, comfortable, hardest = model
    dt, count, steps = own[3], in_way.shape[0], in_way.shape[2]
    speeds, places = np.empty((count, steps)), np.empty((count, steps))
    for p in range(count):
        v, s = own[0], own[1]
        for t in range(steps):
            gap, ahead = own[2] - s, 0.0
            for a in range(in_way.shape[1]):
                if in_way[p, a, t] and place[a, t] > s and back[a, t] - s < gap:
                    gap, ahead = back[a, t] - s, leader_speed[a, t]
            wanted = min_gap + max(0.0, v * headway + v * (v - ahead) / (2.0 * np.sqrt(most * comfortable)))
            # who drives faster than he wishes slows down comfortably, not as the model's power of four would have it
            free = most * (1.0 - (v / max(wish[p], 0.1)) ** 4) if v <= wish[p] else 0.0
            push = free - most * (wanted / max(gap, 0.1)) ** 2
            if v > wish[p]:
                push = min(push, -comfortable * min(1.0, (v - wish[p]) / 0.5))
            push = -_BRAKING if p == count - 1 else max(push, -hardest)
            faster = max(0.0, v + push * dt)
            s += (v + faster) / 2 * dt
            v = faster
            speeds[p, t], places[p, t] = v, s
    return speeds, places


def proposal_costs(
    proposals: Proposals, futures: Futures, observation: Observation, weights: CostWeights
) -> FloatArray:
    """Return the cost of each proposal [P] in m of progress.

    Parameters
    ----------
    proposals : Proposals
    futures : Futures
    observation : Observation
    weights : CostWeights
    """
    size, dt = observation.size, observation.dt
    hit = _hit_probability(proposals, futures, size)
    near = _hit_probability(proposals, futures, size + _MARGIN_M)
    poses = proposals.poses[:, 3::4]
    reach = float(np.linalg.norm(poses[..., :2] - observation.state.xy, axis=-1).max()) + size[0]
    out = observation.road.near(observation.state.xy, reach)
    off = np.zeros(len(poses))
    if len(out):
        now = observation.state
        here = float(out.distance(box_corners(now.xy, np.array(now.heading_rad), size)).max())
        outside = out.distance(box_corners(poses[..., :2], poses[..., 2], size)).max(axis=-1)
        off = np.maximum(outside - max(0.0, here), 0.0).max(axis=1)
    push = np.diff(proposals.speed, axis=1, prepend=observation.state.speed) / dt
    turn = wrap_angle(np.diff(proposals.poses[..., 2], axis=1)) / dt * proposals.speed[:, 1:]
    rough = (push**2).mean(axis=1) + (turn**2).mean(axis=1)
    start = float(observation.route.project(observation.state.xy)[0])
    return np.asarray(
        weights.collision * hit
        + weights.near * near
        + weights.off_road * np.minimum(off, 3.0)
        + weights.deviation * np.abs(proposals.offset)
        + weights.discomfort * rough / 9.0
        - (proposals.along[:, -1] - start)
    )


def _hit_probability(proposals: Proposals, futures: Futures, size: FloatArray) -> FloatArray:
    """Probability [P] that somebody is run into, each counted less the later it happens (half after 2 s)."""
    count = len(proposals.poses)
    agents, modes = futures.probability.shape
    if not agents:
        return np.zeros(count)
    poses = proposals.poses[:, _STRIDE - 1 :: _STRIDE]
    xy, heading = futures.xy[:, :, _STRIDE - 1 :: _STRIDE], futures.heading_rad[:, :, _STRIDE - 1 :: _STRIDE]
    gap = xy[None] - poses[:, None, None, :, :2]
    reach = (np.hypot(*size) + np.hypot(futures.size[:, 0], futures.size[:, 1])) / 2
    close = (gap**2).sum(-1) < (reach**2)[:, None, None]
    p, a, k, t = np.nonzero(close)
    touch = boxes_overlap(poses[p, t, :2], poses[p, t, 2], size, xy[a, k, t], heading[a, k, t], futures.size[a])
    p, a, k, t = (index[touch] for index in (p, a, k, t))
    # the first touch of each decides: who comes from behind will keep away, and who stands runs into nobody
    first = np.unique((p * agents + a) * modes + k, return_index=True)[1]
    p, a, k, t = (index[first] for index in (p, a, k, t))
    ahead = np.cos(poses[p, t, 2]) * gap[p, a, k, t, 0] + np.sin(poses[p, t, 2]) * gap[p, a, k, t, 1]
    counts = (ahead > -size[0] / 4) & (proposals.speed[:, _STRIDE - 1 :: _STRIDE][p, t] > 0.2)
    worth = np.zeros((count, agents, modes))
    worth[p[counts], a[counts], k[counts]] = 0.5 ** ((t[counts] + 1) * _STRIDE * 0.1 / 2.0)
    each = (worth * futures.probability).sum(axis=-1)
    return np.asarray(1.0 - np.prod(1.0 - np.minimum(each, 1.0), axis=1))
