"""Synthetic traffic: whole scenes with a map, signals, vehicles, cyclists and pedestrians, from a seed.

Roads are sampled (`layouts`, `junctions`), traffic is run on them for a while before the recording begins
(`traffic`: IDM, MOBIL, right of way), and positions are read off with each driver's own way of keeping a lane.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.lanemap import Lane, LaneMap, MapLine, Signal
from gnnlib.heads.scene.maps.junctions import plan_intersection, plan_roundabout
from gnnlib.heads.scene.maps.layouts import plan_highway, plan_merge, plan_street
from gnnlib.heads.scene.maps.polylines import headings
from gnnlib.heads.scene.maps.road_tables import Roads, road_tables
from gnnlib.heads.scene.maps.roads import every_fourth
from gnnlib.heads.scene.planning.drivers import Walker, blocked_crossings, make_fleet, make_walkers, signal_phases
from gnnlib.heads.scene.problem import AGENT_TYPES, DEFAULT_SIZE, Scene, wrap_angle
from gnnlib.heads.scene.rare import RARE_EVENTS, Moments, RareEvent, find_event
from gnnlib.heads.scene.traffic import Fleet, Motion, simulate
from gnnlib.seeding import Seed, numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.roads import RoadPlan
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["SCENE_KINDS", "RARE_EVENTS", "RareEvent", "generate_scene", "generate_with_event"]

#: What `generate_scene` can make.
SCENE_KINDS = ("highway", "merge", "intersection", "roundabout", "street")

_DT = 0.1
_WARM_UP = {"highway": 60, "merge": 100, "intersection": 120, "roundabout": 140, "street": 80}
_HEADWAY_S = {"highway": 2.2, "merge": 2.2, "intersection": 4.5, "roundabout": 5.0, "street": 6.0}
_ATTEMPTS = 12
_PEDESTRIAN = AGENT_TYPES.index("pedestrian")


class World(NamedTuple):
    """All that is fixed before the traffic of a scene is run."""

    plan: RoadPlan
    roads: Roads
    fleet: Fleet
    width: FloatArray
    types: IntArray
    walkers: list[Walker]
    signals: IntArray
    noise: FloatArray
    warm_up: int

    def run(self) -> Motion:
        """Compute the traffic."""
        steps = len(self.noise)
        blocked = blocked_crossings(self.plan, self.walkers, steps, _DT)
        return simulate(self.roads, self.fleet, self.signals, blocked, self.noise, _DT)


def generate_scene(
    kind: str = "intersection",
    *,
    seed: Seed = None,
    num_steps: int = 100,
    rare: str | None = None,
    density: float | None = None,
) -> Scene:
    """Generate a traffic scene.

    Parameters
    ----------
    kind : str
        One of `SCENE_KINDS`: a highway, a highway with an on-ramp, an intersection (signals, priority road or stop
        signs), a roundabout, or a street with parked cars, cyclists and a crossing. Traffic keeps to the right.
    seed : int, SeedSequence or None
        The same seed gives the same scene.
    num_steps : int
        Recorded steps of 0.1 s, 1 .. 5000, default 100.
    rare : str, optional
        One of `RARE_EVENTS`, an unusual thing that happens in the middle of the recording: somebody brakes hard to a
        stop, breaks down, cuts in, runs a red light, or walks across where nobody expects it.
    density : float, optional
        How much traffic, in (0, 1]; default: at random.

    Returns
    -------
    Scene
        With lanes, crossings and signals. `Scene.ego` is the vehicle that the rare event concerns most, else the
        vehicle that is present longest and drives farthest. Ids are counted from 0 in order of appearance.

    Raises
    ------
    InputError
        If an argument is not as above, or the event cannot happen on this kind of road.

    Notes
    -----
    The first call compiles the traffic model for some seconds; later ones take tens of milliseconds.

    Examples
    --------
    >>> scene = generate_scene("roundabout", seed=1, num_steps=20)
    >>> scene.num_steps, scene.num_agents > 0, len(scene.lanes) > 0
    (20, True, True)
    """
    return generate_with_event(kind, seed=seed, num_steps=num_steps, rare=rare, density=density)[0]


def generate_with_event(
    kind: str = "intersection",
    *,
    seed: Seed = None,
    num_steps: int = 100,
    rare: str | None = None,
    density: float | None = None,
) -> tuple[Scene, RareEvent | None]:
    """Generate a scene as `generate_scene` does, and say when and to whom the rare event happens.

    Returns
    -------
    tuple of Scene and RareEvent or None
        None without `rare`.
    """
    _check(kind, rare, density)
    num_steps = checks.integer("num_steps", num_steps, 1, 5001)
    rng = numpy_generator(seed)
    label = f"{kind}-{seed}" if isinstance(seed, (int, np.integer)) else kind
    for _ in range(_ATTEMPTS if rare else 1):
        world = _make_world(rng, kind, num_steps, density, rare)
        motion = world.run()
        if rare is None:
            return _assemble(world, motion, label, None)
        found = find_event(rng, rare, world[:3], motion, Moments(world.warm_up, world.signals))
        if found is None:
            continue
        event, fleet, walker = found
        world = world._replace(fleet=fleet, walkers=world.walkers + ([walker] if walker else []))
        if walker:
            world = world._replace(roads=road_tables(world.plan))
        return _assemble(world, world.run(), f"{label}-{rare}", event)
    raise InputError(f"no place for a {rare!r} was found in a {kind!r} with this seed; try another seed or more steps")


def _check(kind: str, rare: str | None, density: float | None) -> None:
    if kind not in SCENE_KINDS:
        raise InputError(f"`kind` must be one of {SCENE_KINDS}, found {kind!r}")
    if rare is not None and rare not in RARE_EVENTS:
        raise InputError(f"`rare` must be None or one of {tuple(RARE_EVENTS)}, found {rare!r}")
    if rare is not None and kind not in RARE_EVENTS[rare]:
        raise InputError(f"`rare`={rare!r} needs `kind` to be one of {RARE_EVENTS[rare]}, found {kind!r}")
    if density is not None and not 0.0 < checks.positive("density", density) <= 1.0:
        raise InputError(f"`density` must be in (0, 1], found {density!r}")


def _make_world(rng: np.random.Generator, kind: str, num_steps: int, density: float | None, rare: str | None) -> World:
    plan = {
        "highway": plan_highway,
        "merge": plan_merge,
        "intersection": plan_intersection,
        "roundabout": plan_roundabout,
        "street": plan_street,
    }[kind](rng, **({"needs_signals": True} if rare == "red_light_run" else {}))
    if kind in {"highway", "merge"} and rng.random() < 0.4:  # slow, dense traffic
        slow = float(rng.uniform(0.2, 0.6))
        for lane in plan.lanes:
            lane.limit *= slow
    roads = road_tables(plan)
    warm_up = _WARM_UP[kind]
    steps = warm_up + num_steps
    amount = float(rng.uniform(0.35, 1.0)) if density is None else density
    fleet, width, types = make_fleet(rng, plan, roads, steps, _HEADWAY_S[kind] / amount, _DT)
    if kind in {"highway", "merge"}:
        _slow_down_some(rng, fleet, steps)
    signals = signal_phases(rng, plan.groups, steps, _DT)
    walkers = make_walkers(rng, plan, signals, steps, _DT)
    return World(plan, roads, fleet, width, types, walkers, signals, _noise(rng, steps, len(width)), warm_up)


def _slow_down_some(rng: np.random.Generator, fleet: Fleet, steps: int) -> None:
    """Let some drivers brake softly for a while, as happens for no visible reason; waves follow."""
    chosen = rng.random(len(fleet.route)) < 0.08
    fleet.event_kind[chosen] = 1
    fleet.event_from[chosen] = rng.integers(0, steps, size=int(chosen.sum()))
    fleet.event_to[chosen] = fleet.event_from[chosen] + rng.integers(10, 35, size=int(chosen.sum()))
    fleet.event_size[chosen] = rng.uniform(0.8, 2.2, size=int(chosen.sum()))


def _noise(rng: np.random.Generator, steps: int, count: int) -> FloatArray:
    """Slowly varying noise [T, A] of the accelerations, m/s^2: white noise smoothed over about a second."""
    white = rng.normal(0.0, 0.45, size=(steps + 12, count))
    total = np.concatenate([np.zeros((1, count)), np.cumsum(white, axis=0)])
    return np.ascontiguousarray((total[12 : steps + 12] - total[:steps]) / math.sqrt(12.0) * 0.5)


def _assemble(world: World, motion: Motion, name: str, event: RareEvent | None) -> tuple[Scene, RareEvent | None]:
    """Make the record of the steps after the warm-up."""
    warm_up = world.warm_up
    recorded = Motion(motion.lane[warm_up:], motion.along[warm_up:], motion.left[warm_up:], motion.speed[warm_up:])
    xy, heading = _positions(world, recorded, np.arange(len(world.width)))
    speed = recorded.speed.T
    velocity = np.stack([speed * np.cos(heading), speed * np.sin(heading)], axis=-1)
    size = np.stack([world.fleet.length, world.width], axis=-1)
    groups = [(xy, heading, velocity, size, world.types), *_others(world, xy.shape[1])]
    xy, heading, velocity, size, types = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    present = np.isfinite(xy[..., 0])
    kept = np.flatnonzero(present.any(axis=1))
    order = kept[np.argsort(np.argmax(present[kept], axis=1), kind="stable")]
    if event is not None:
        doer = len(xy) - 1 if event.doer < 0 else event.doer  # who walks was added last
        ids = {int(row): position for position, row in enumerate(order)}
        event = event._replace(step=event.step - warm_up, doer=ids[doer], concerned=ids[event.concerned])
    ego = _ego(xy[order], types[order]) if event is None else event.concerned
    scene = Scene(
        name,
        tuple(range(len(order))),
        xy[order],
        dt=_DT,
        agent_types=types[order],
        heading_rad=heading[order],
        size=size[order],
        velocity=np.where(present[order, :, None], velocity[order], np.nan),
        ego=ego,
        lanes=_lane_map(world),
    )
    return scene, event


def _ego(xy: FloatArray, types: IntArray) -> int | None:
    way = np.nansum(np.hypot(*np.moveaxis(np.diff(xy, axis=1), -1, 0)), axis=1)
    score = np.where(types <= 2, np.isfinite(xy[..., 0]).sum(axis=1) + 1e-3 * way, -1.0)
    return int(np.argmax(score)) if len(score) and score.max() > 0 else None


def _positions(world: World, motion: Motion, seeds: IntArray) -> tuple[FloatArray, FloatArray]:
    """Positions [A, T, 2] and headings [A, T] of vehicles from their places on lanes."""
    lanes = world.plan.lanes
    counts = np.array([len(lane.centre) for lane in lanes])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    points = np.concatenate([lane.centre for lane in lanes])
    angles = np.concatenate([headings(lane.centre) for lane in lanes])
    swerve = np.concatenate(
        [_swerve(lane.bulge, len(lane.centre), world.roads.length[i]) for i, lane in enumerate(lanes)]
    )
    present = motion.lane >= 0
    lane = np.where(present, motion.lane, 0)
    place = motion.along / world.roads.length[lane] * (counts[lane] - 1)
    index = np.clip(place.astype(np.int64), 0, counts[lane] - 2)
    share = np.clip(place - index, 0.0, 1.0)
    at = first[lane] + index
    centre = points[at] + share[..., None] * (points[at + 1] - points[at])
    turn = wrap_angle(angles[at + 1] - angles[at])
    angle = angles[at] + share * turn
    left = motion.left + swerve[at] + share * (swerve[at + 1] - swerve[at]) + _wander(motion, seeds)
    normal = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    xy = centre + left[..., None] * normal
    drift = np.diff(left, axis=0, prepend=left[:1])
    drift[~(present & np.roll(present, 1, axis=0))] = 0.0
    slope = np.arctan2(drift, np.maximum(motion.speed * _DT, 0.1))
    heading = wrap_angle(angle + np.clip(slope, -0.4, 0.4))
    xy[~present] = np.nan
    heading[~present] = np.nan
    return xy.transpose(1, 0, 2), heading.T


def _swerve(bulge: list[tuple[float, float]], count: int, length: float) -> FloatArray:
    """Metres to the left at each point of a lane that obstacles ask for: raised cosines 44 m long."""
    at = np.linspace(0.0, length, count)
    left = np.zeros(count)
    for share, size in bulge:
        phase = np.clip((at - share * length) / 22.0, -1.0, 1.0)
        left = np.maximum(left, size * 0.5 * (1.0 + np.cos(np.pi * phase)))
    return left


def _wander(motion: Motion, seeds: IntArray) -> FloatArray:
    """How drivers keep their lane, metres to the left [T, A]: slow waves that stand still when the vehicle does."""
    phase = (seeds * 2.399963) % (2.0 * np.pi)  # the golden angle spreads them evenly
    slow = np.cumsum(motion.speed * _DT / (28.0 + 5.0 * np.sin(3.0 * phase) + 7.0 * motion.speed), axis=0)
    quick = np.cumsum(motion.speed * _DT / (16.0 + 3.2 * motion.speed), axis=0)
    waves = 0.14 * np.sin(2.0 * np.pi * slow + phase) + 0.04 * np.sin(2.0 * np.pi * quick + 2.0 * phase)
    return np.asarray(0.18 * np.sin(7.0 * phase) + waves)


def _others(world: World, steps: int) -> list[tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]]:
    """Parked cars and pedestrians, in the same form as the vehicles."""
    groups = []
    for lane, share, left in world.plan.parked:
        line = world.plan.lanes[lane].centre
        index = int(share * (len(line) - 2))
        angle = headings(line)[index]
        place = line[index] + left * np.array([-np.sin(angle), np.cos(angle)])
        xy = np.broadcast_to(place, (1, steps, 2)).copy()
        heading = np.full((1, steps), angle)
        groups.append((xy, heading, np.zeros_like(xy), np.array([DEFAULT_SIZE[0]]), np.zeros(1, np.int64)))
    groups += [_walk(world, walker, steps, number) for number, walker in enumerate(world.walkers)]
    return groups


def _walk(
    world: World, walker: Walker, steps: int, number: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]:
    crossing = world.plan.crossings[walker.crossing]
    start, end = (crossing.end, crossing.start) if walker.is_reversed else (crossing.start, crossing.end)
    across = float(np.hypot(*(end - start)))
    ahead = (end - start) / across
    side = np.array([-ahead[1], ahead[0]])
    time = (np.arange(steps) + world.warm_up - walker.first_step) * _DT
    along = walker.speed * (time + 0.08 * np.sin(3.0 * time + number)) - walker.lead_m
    sway = walker.side + 0.15 * np.sin(0.6 * along + number)
    xy = start + along[:, None] * ahead + sway[:, None] * side
    step = np.gradient(xy, axis=0) if steps > 1 else np.broadcast_to(ahead * 1e-3, xy.shape)
    heading = np.arctan2(step[:, 1], step[:, 0])
    present = (time >= 0.0) & (along < across + 4.0)
    xy, heading = np.where(present[:, None], xy, np.nan), np.where(present, heading, np.nan)
    size = np.array([DEFAULT_SIZE[_PEDESTRIAN]])
    return xy[None], heading[None], (step / _DT)[None], size, np.array([_PEDESTRIAN])


def _lane_map(world: World) -> LaneMap:
    plan = world.plan
    lanes = []
    for index, lane in enumerate(plan.lanes):
        left, right = plan.bounds(index)
        lanes.append(
            Lane(
                index,
                every_fourth(lane.centre),
                left=left,
                right=right,
                predecessors=tuple(lane.before),
                successors=tuple(lane.after),
                left_neighbour=None if lane.left < 0 else lane.left,
                right_neighbour=None if lane.right < 0 else lane.right,
                left_opposite=None if lane.opposite < 0 else lane.opposite,
                kind=lane.kind,
                speed_limit=lane.limit,
            )
        )
    signals = tuple(
        Signal(index, lane.centre[-1], world.signals[lane.group, world.warm_up :])
        for index, lane in enumerate(plan.lanes)
        if lane.group >= 0
    )
    crossings = tuple(crossing.polygon for crossing in plan.crossings if crossing.is_drawn)
    signs = tuple(MapLine("stop_sign", lane.centre[-1:]) for lane in plan.lanes if lane.stops)
    return LaneMap(tuple(lanes), crossings, signals, signs)
