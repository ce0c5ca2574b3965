"""Roads without junctions for generated scenes: highways, on-ramps, and streets with parked cars."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.scene.maps.polylines import bezier
from gnnlib.heads.scene.maps.roads import SPACING_M, Crossing, RoadPlan

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["plan_highway", "plan_merge", "plan_street"]


def _straight(x0: float, x1: float, y: float) -> FloatArray:
    return np.array([[x0, y], [x1, y]])


def _carriageway(plan: RoadPlan, cuts: list[float], tops: list[float], width: float, limit: float) -> list[list[int]]:
    """Parallel lanes along x, cut at `cuts`; `tops` are their y, from the left; returns the lanes of each row."""
    rows = []
    for y in tops:
        row = [plan.add(_straight(x0, x1, y), width, limit, kind="highway") for x0, x1 in pairwise(cuts)]
        for first, second in pairwise(row):
            plan.connect(first, second)
        rows.append(row)
    for upper, lower in pairwise(rows):
        for left, right in zip(upper, lower, strict=True):
            plan.beside(left, right)
    return rows


def _routes_along(plan: RoadPlan, rows: list[list[int]], share: float = 1.0) -> list[int]:
    routes = [plan.route(row, share) for row in rows]
    for left, right in pairwise(routes):
        plan.swap(left, right)
    return routes


def plan_highway(rng: np.random.Generator) -> RoadPlan:
    """Plan one carriageway of two to five lanes, 380 to 480 m long; sometimes the opposite one as well."""
    plan = RoadPlan()
    lanes, width = int(rng.integers(2, 6)), float(rng.uniform(3.4, 3.8))
    limit, length = float(rng.uniform(20.0, 33.0)), float(rng.uniform(380.0, 480.0))
    cuts = [0.0, length / 3.0, 2.0 * length / 3.0, length]
    _routes_along(plan, _carriageway(plan, cuts, [-(k + 0.5) * width for k in range(lanes)], width, limit))
    if rng.random() < 0.3:
        back = _carriageway(plan, cuts[::-1], [3.0 + (k + 0.5) * width for k in range(2)], width, limit)
        _routes_along(plan, back, 0.6)
    plan.bend(float(rng.normal(0.0, 6e-4)), float(rng.uniform(-np.pi, np.pi)))
    return plan


def plan_merge(rng: np.random.Generator) -> RoadPlan:
    """Plan a highway with an on-ramp, whose lane runs beside the right lane for a while and then ends."""
    plan = RoadPlan()
    lanes, width = int(rng.integers(2, 4)), float(rng.uniform(3.4, 3.8))
    limit, before, beside = float(rng.uniform(18.0, 30.0)), 150.0, float(rng.uniform(110.0, 170.0))
    cuts = [0.0, before, before + beside, before + beside + 130.0]
    rows = _carriageway(plan, cuts, [-(k + 0.5) * width for k in range(lanes)], width, limit)
    routes = _routes_along(plan, rows)
    y = -(lanes + 0.5) * width
    angle = float(rng.uniform(0.05, 0.16))
    away = np.array([before - 130.0 * np.cos(angle), y - 130.0 * np.sin(angle) - 2.0])
    curve = bezier(away, angle, np.array([before, y]), 0.0, SPACING_M)
    ramp = plan.add(curve, width, 0.75 * limit, kind="road")
    extra = plan.add(_straight(before, before + beside, y), width, limit, kind="highway")
    plan.connect(ramp, extra)
    plan.beside(rows[-1][1], extra)
    route = plan.route([ramp, extra], 0.7)
    plan.sides[route, "left"] = routes[-1]
    plan.dead_ends.add(route)
    plan.bend(float(rng.normal(0.0, 6e-4)), float(rng.uniform(-np.pi, np.pi)))
    return plan


def plan_street(rng: np.random.Generator) -> RoadPlan:
    """Plan a two-way street with parked cars that reach into the lanes, a crossing, and sometimes bike lanes."""
    plan = RoadPlan()
    width, limit = float(rng.uniform(3.0, 3.6)), float(rng.uniform(8.0, 14.0))
    length, lanes = float(rng.uniform(180.0, 240.0)), int(rng.random() < 0.3) + 1
    has_bikes = bool(rng.random() < 0.5)
    inner = []
    for sign in (1.0, -1.0):
        ends = (0.0, length) if sign > 0 else (length, 0.0)
        rows = [plan.add(_straight(*ends, -sign * (k + 0.5) * width), width, limit) for k in range(lanes)]
        routes = [plan.route([lane]) for lane in rows]
        for k in range(lanes - 1):
            plan.beside(rows[k], rows[k + 1])
            plan.swap(routes[k], routes[k + 1])
        inner.append(rows[0])
        edge = lanes * width
        if has_bikes:
            bike = plan.add(_straight(*ends, -sign * (edge + 0.9)), 1.8, 6.0, kind="bike")
            plan.route([bike], 0.35)
        else:
            _park(plan, rng, rows[-1])
    plan.lanes[inner[0]].opposite, plan.lanes[inner[1]].opposite = inner[1], inner[0]
    at, reach = float(rng.uniform(0.35, 0.65)) * length, lanes * width + (3.5 if has_bikes else 1.5)
    plan.crossings.append(Crossing(np.array([at, -reach]), np.array([at, reach]), 3.0))
    plan.bend(float(rng.normal(0.0, 1.5e-3)), float(rng.uniform(-np.pi, np.pi)))
    return plan


def _park(plan: RoadPlan, rng: np.random.Generator, lane: int) -> None:
    """Park up to three cars that reach into a lane from its right, away from the middle where people cross."""
    half = plan.lanes[lane].width / 2.0
    spots = [share for share in (0.16, 0.27, 0.75, 0.86) if rng.random() < 0.45]
    for share in spots:
        reach = float(rng.uniform(0.2, 1.1))  # how far the car's side reaches into the lane
        plan.parked.append((lane, share, -half + reach - 0.95))
        plan.lanes[lane].bulge.append((share, max(reach - half + 0.95 + 0.55, 0.0) + float(rng.uniform(0.0, 0.3))))
