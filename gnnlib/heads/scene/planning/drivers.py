"""Who takes part in a generated scene: vehicles and their drivers, pedestrians, and the phases of signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.scene.problem import AGENT_TYPES
from gnnlib.heads.scene.traffic import Fleet

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road_tables import Roads
    from gnnlib.heads.scene.maps.roads import RoadPlan
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Walker", "blocked_crossings", "make_fleet", "make_walkers", "signal_phases"]

_CYCLIST = AGENT_TYPES.index("cyclist")
# share, then mean and spread of length and width of each kind of motor vehicle
_KINDS = (
    (0, 0.86, 4.6, 0.4, 1.9, 0.1),
    (1, 0.08, 9.5, 2.0, 2.5, 0.05),
    (2, 0.02, 12.0, 0.5, 2.6, 0.03),
    (3, 0.04, 2.2, 0.1, 0.8, 0.05),
)


class Walker(NamedTuple):
    """A pedestrian: which crossing, its first step on the pavement, speed in m/s, direction, place within the width."""

    crossing: int
    first_step: int
    speed: float
    is_reversed: bool
    side: float
    lead_m: float


def signal_phases(rng: np.random.Generator, groups: int, steps: int, dt: float) -> IntArray:
    """States [G, T] of two groups that are green in turn, with yellow and a moment of red for all between."""
    states = np.ones((max(groups, 1), steps), np.int64)
    if groups == 0:
        return states
    green = rng.uniform(9.0, 22.0, size=groups)
    cycle = float(green.sum() + groups * 4.5)
    clock = (float(rng.uniform(0.0, cycle)) + dt * np.arange(steps)) % cycle
    begin = 0.0
    for group in range(groups):
        end = begin + green[group]
        states[group, (clock >= begin) & (clock < end)] = 3
        states[group, (clock >= end) & (clock < end + 3.0)] = 2
        begin = end + 4.5
    return states


def _arrivals(
    rng: np.random.Generator, plan: RoadPlan, roads: Roads, steps: int, headway_s: float, dt: float
) -> tuple[list[int], list[int], list[float]]:
    """Route, first step and start of every vehicle: some on the road from the beginning, others coming later."""
    routes: list[int] = []
    first: list[int] = []
    start: list[float] = []
    by_entry: dict[int, list[int]] = {}
    for route, lanes in enumerate(plan.routes):
        by_entry.setdefault(lanes[0], []).append(route)
    for entry, choices in by_entry.items():
        weight = np.array([plan.inflow[route] for route in choices])
        flow = headway_s / min(float(weight.max()), 1.0)
        share = weight / weight.sum()
        limit = plan.lanes[entry].limit
        room = roads.route_length[choices[0]] if len(choices) == 1 else roads.length[entry]
        at = float(rng.uniform(4.0, 20.0))
        while at < room - 8.0:
            routes.append(int(choices[rng.choice(len(choices), p=share)]))
            first.append(0)
            start.append(at)
            at += 9.0 + float(rng.exponential(max(flow - 1.0, 0.3) * limit)) + 0.5 * limit
        time = float(rng.exponential(flow))
        while time < steps * dt:
            routes.append(int(choices[rng.choice(len(choices), p=share)]))
            first.append(int(time / dt))
            start.append(3.0)
            time += 1.0 + float(rng.exponential(max(flow - 1.0, 0.3)))
    return routes, first, start


def make_fleet(
    rng: np.random.Generator, plan: RoadPlan, roads: Roads, steps: int, headway_s: float, dt: float
) -> tuple[Fleet, FloatArray, IntArray]:
    """Sample vehicles and drivers; return them with their widths [A] and agent types [A]."""
    routes, first, start = _arrivals(rng, plan, roads, steps, headway_s, dt)
    order = np.lexsort((-np.array(start), np.array(first)))
    route = np.array(routes, np.int64)[order]
    count = len(route)
    kind = rng.choice(len(_KINDS), size=count, p=[row[1] for row in _KINDS])
    table = np.array(_KINDS)[kind]
    length = np.clip(rng.normal(table[:, 2], table[:, 3]), 1.6, 18.0)
    width = np.clip(rng.normal(table[:, 4], table[:, 5]), 0.5, 2.6)
    types = table[:, 0].astype(np.int64)
    wish = np.clip(rng.normal(1.0, 0.12, count), 0.7, 1.35)
    is_bike = np.array([plan.lanes[plan.routes[r][0]].kind == "bike" for r in route], bool)
    length, width = np.where(is_bike, 1.8, length), np.where(is_bike, 0.6, width)
    types = np.where(is_bike, _CYCLIST, types)
    heavy = (types == 1) | (types == 2)
    begin = np.array(start)[order]
    limit = np.array([plan.lanes[lane].limit for lane in roads.route_lane[route, 0]])
    none = np.zeros(count, np.int64)
    fleet = Fleet(
        route=route,
        first_step=np.array(first, np.int64)[order],
        start=begin,
        speed=limit * wish * rng.uniform(0.75, 1.0, count),
        length=length,
        wish=np.where(heavy, np.minimum(wish, 0.95), wish),
        headway=np.clip(rng.lognormal(np.log(1.2), 0.25, count), 0.6, 2.5),
        accelerate=np.where(heavy, 0.8, np.clip(rng.normal(1.6, 0.3, count), 0.8, 2.6)),
        brake=np.clip(rng.normal(2.0, 0.4, count), 1.2, 3.2),
        gap=np.clip(rng.normal(2.0, 0.5, count), 1.0, 4.0),
        courtesy=rng.uniform(0.0, 0.5, count),
        patience=rng.uniform(3.0, 9.0, count),
        event_kind=none,
        event_from=none.copy(),
        event_to=none.copy(),
        event_size=np.zeros(count),
    )
    return fleet, width, types


def make_walkers(rng: np.random.Generator, plan: RoadPlan, signals: IntArray, steps: int, dt: float) -> list[Walker]:
    """Let pedestrians cross, at signals only while the traffic of that arm is held."""
    walkers = []
    for index, crossing in enumerate(plan.crossings):
        if not crossing.is_drawn:
            continue
        across = float(np.hypot(*(crossing.end - crossing.start)))
        for _ in range(int(rng.poisson(1.5 if crossing.group >= 0 else 1.0))):
            speed = float(np.clip(rng.normal(1.35, 0.2), 0.8, 2.2))
            lead = float(rng.uniform(1.0, 5.0))
            need = int((across + 1.0) / speed / dt)
            waits = int(lead / speed / dt)
            begin = np.arange(waits, steps)
            if crossing.group >= 0:
                held = np.concatenate([[0], np.cumsum(signals[crossing.group] == 1)])
                begin = begin[begin + need < steps]
                begin = begin[held[begin + need] - held[begin] == need]
            if len(begin) == 0:
                continue
            first = int(rng.choice(begin)) - waits
            walkers.append(Walker(index, first, speed, bool(rng.random() < 0.5), float(rng.uniform(-1.0, 1.0)), lead))
    return walkers


def blocked_crossings(plan: RoadPlan, walkers: list[Walker], steps: int, dt: float) -> IntArray:
    """1 [crossings, T] from a moment before somebody steps on a crossing until it is left."""
    blocked = np.zeros((max(len(plan.crossings), 1), steps), np.int64)
    for walker in walkers:
        crossing = plan.crossings[walker.crossing]
        across = float(np.hypot(*(crossing.end - crossing.start)))
        ahead = 1.5 if crossing.is_drawn else 0.0
        begin = walker.first_step + int((walker.lead_m / walker.speed - ahead) / dt)
        end = walker.first_step + int((walker.lead_m + across) / walker.speed / dt)
        blocked[walker.crossing, max(begin, 0) : max(end, 0)] = 1
    return blocked
