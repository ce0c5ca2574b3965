"""Intersections and roundabouts for generated scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.scene.maps.polylines import bezier
from gnnlib.heads.scene.maps.roads import SPACING_M, Crossing, RoadPlan

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["plan_intersection", "plan_roundabout"]


class _Arm(NamedTuple):
    """One road that leads to a junction: its direction away from the centre and its lanes, the innermost first."""

    angle: float
    incoming: list[int]
    outgoing: list[int]
    main: bool


def _frame(angle: float) -> tuple[FloatArray, FloatArray]:
    """Return unit vectors away from the centre and to the left of that."""
    along = np.array([np.cos(angle), np.sin(angle)])
    return along, np.array([-along[1], along[0]])


def _add_arm(plan: RoadPlan, angle: float, near: float, far: float, lanes: int, width: float, limit: float) -> _Arm:
    along, left = _frame(angle)
    incoming, outgoing = [], []
    for k in range(lanes):
        side = left * (k + 0.5) * width
        incoming.append(plan.add(np.stack([far * along + side, near * along + side]), width, limit))
        outgoing.append(plan.add(np.stack([near * along - side, far * along - side]), width, limit))
    for row in (incoming, outgoing):
        for k in range(lanes - 1):
            plan.beside(row[k], row[k + 1])
    plan.lanes[incoming[0]].opposite, plan.lanes[outgoing[0]].opposite = outgoing[0], incoming[0]
    return _Arm(angle, incoming, outgoing, main=True)


def _turn_lane(plan: RoadPlan, start: int, end: int, limit: float) -> int:
    """Connect two lanes by a smooth one."""
    first, second = plan.lanes[start], plan.lanes[end]
    heading0 = np.arctan2(*(first.centre[-1] - first.centre[-2])[::-1])
    heading1 = np.arctan2(*(second.centre[1] - second.centre[0])[::-1])
    curve = bezier(first.centre[-1], float(heading0), second.centre[0], float(heading1), SPACING_M)
    lane = plan.add(curve, min(first.width, second.width), limit, kind="intersection", arm=first.arm)
    plan.connect(start, lane)
    plan.connect(lane, end)
    return lane


def plan_intersection(rng: np.random.Generator, *, needs_signals: bool = False) -> RoadPlan:
    """Plan three or four arms of one or two lanes each way; signals, a priority road, or everybody stops."""
    plan = RoadPlan()
    width, limit = float(rng.uniform(3.1, 3.7)), float(rng.uniform(9.0, 17.0))
    lanes = [int(rng.integers(1, 3)), int(rng.integers(1, 3))]
    count = 4 if rng.random() < 0.75 else 3
    control = str(rng.choice(["signals", "priority", "stop"], p=[0.6, 0.25, 0.15]))
    control = "signals" if needs_signals else control
    near, far = max(lanes) * width + float(rng.uniform(5.0, 8.0)), float(rng.uniform(75.0, 110.0))
    arms = []
    for number in range(count):
        angle = number * np.pi / 2.0 + float(rng.normal(0.0, 0.08))
        arm = _add_arm(plan, angle, near, near + far, lanes[number % 2], width, limit)
        arms.append(arm._replace(main=number % 2 == 0))
        for lane in arm.incoming:
            plan.lanes[lane].arm = number
            plan.lanes[lane].group = number % 2 if control == "signals" else -1
            plan.lanes[lane].stops = control == "stop" or (control == "priority" and number % 2 == 1)
    plan.groups = 2 if control == "signals" else 0
    plan.signalled, plan.in_turn = control == "signals", control == "stop"
    _add_turns(plan, arms, limit, has_priority=control == "priority")
    if rng.random() < 0.6:
        for number, arm in enumerate(arms):
            _add_crossing(plan, arm, near - 2.6, number % 2 if control == "signals" else -1)
    plan.bend(float(rng.normal(0.0, 4e-4)), float(rng.uniform(-np.pi, np.pi)))
    return plan


def _add_crossing(plan: RoadPlan, arm: _Arm, at: float, group: int) -> None:
    along, left = _frame(arm.angle)
    reach = len(arm.incoming) * plan.lanes[arm.incoming[0]].width + 1.5
    plan.crossings.append(Crossing(along * at - left * reach, along * at + left * reach, 3.0, group))


def _add_turns(plan: RoadPlan, arms: list[_Arm], limit: float, *, has_priority: bool) -> None:
    """Connect all arms: left turns from the left lane, right turns from the right one; then the routes."""
    routes: dict[tuple[int, int, int], int] = {}
    for i, start in enumerate(arms):
        for j, end in enumerate(arms):
            if i == j:
                continue
            turn = (end.angle - start.angle - np.pi + np.pi) % (2.0 * np.pi) - np.pi
            is_left, is_right = turn > 0.7, turn < -0.7
            rank = (2 if has_priority and not start.main else 0) + (1 if is_left else 0)
            for a, lane in enumerate(start.incoming):
                if (is_left and a > 0) or (is_right and a < len(start.incoming) - 1):
                    continue
                b = 0 if is_left else len(end.outgoing) - 1 if is_right else min(a, len(end.outgoing) - 1)
                middle = _turn_lane(plan, lane, end.outgoing[b], limit)
                plan.lanes[middle].rank = rank
                share = 0.35 if is_left or is_right else 1.0
                routes[i, j, a] = plan.route([lane, middle, end.outgoing[b]], share)
    for (i, j, a), route in routes.items():
        if (i, j, a + 1) in routes:
            plan.swap(route, routes[i, j, a + 1])


def plan_roundabout(rng: np.random.Generator) -> RoadPlan:
    """Plan three or four single-lane arms round a ring; who is in the ring goes first."""
    plan = RoadPlan()
    width, limit = float(rng.uniform(3.3, 3.9)), float(rng.uniform(9.0, 14.0))
    radius, count = float(rng.uniform(13.0, 22.0)), int(rng.integers(3, 5))
    open_rad = float(rng.uniform(0.34, 0.42)) + 1.5 / radius
    angles = [2.0 * np.pi * k / count + float(rng.normal(0.0, 0.06)) for k in range(count)]
    arms = [_add_arm(plan, angle, radius + 9.0, radius + 80.0, 1, width, limit) for angle in angles]
    enter: list[int] = []
    leave: list[int] = []
    for arm in arms:
        for kind, ends in (("in", arm.incoming), ("out", arm.outgoing)):
            angle = arm.angle + (open_rad if kind == "in" else -open_rad)
            along, left = _frame(angle)
            lane = plan.lanes[ends[0]]
            tangent = float(np.arctan2(left[1], left[0]))
            if kind == "in":
                heading = arm.angle + np.pi
                curve = bezier(lane.centre[-1], heading, radius * along, tangent, SPACING_M)
            else:
                curve = bezier(radius * along, tangent, lane.centre[0], arm.angle, SPACING_M)
            made = plan.add(curve, width, limit, kind="intersection", rank=1 if kind == "in" else 0)
            (enter if kind == "in" else leave).append(made)
            plan.connect(*((ends[0], made) if kind == "in" else (made, ends[0])))
    _add_ring(plan, arms, (enter, leave), radius, open_rad)
    if rng.random() < 0.4:
        for arm in arms:
            _add_crossing(plan, arm, radius + 14.0, -1)
    plan.bend(float(rng.normal(0.0, 4e-4)), float(rng.uniform(-np.pi, np.pi)))
    return plan


def _add_ring(
    plan: RoadPlan, arms: list[_Arm], ways: tuple[list[int], list[int]], radius: float, open_rad: float
) -> None:
    """Add the pieces of the ring between the ways in and out, and the routes through them."""
    enter, leave = ways
    count, width, limit = len(arms), plan.lanes[enter[0]].width, plan.lanes[enter[0]].limit

    def piece(first: float, last: float) -> int:
        angle = np.linspace(first, last, max(int((last - first) * radius / SPACING_M), 4))
        centre = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return plan.add(centre, width, limit, kind="intersection")

    past, between = [], []
    for k, arm in enumerate(arms):
        after = arms[(k + 1) % count].angle + (2.0 * np.pi if k == count - 1 else 0.0)
        past.append(piece(arm.angle - open_rad, arm.angle + open_rad))
        between.append(piece(arm.angle + open_rad, after - open_rad))
    for k in range(count):
        plan.connect(enter[k], between[k])
        plan.connect(past[k], between[k])
        plan.connect(between[k], leave[(k + 1) % count])
        plan.connect(between[k], past[(k + 1) % count])
    for k in range(count):
        ring = [between[k]]
        for onward in range(1, count):
            exit_arm = (k + onward) % count
            lanes = [arms[k].incoming[0], enter[k], *ring, leave[exit_arm], arms[exit_arm].outgoing[0]]
            plan.route(lanes)
            ring += [past[exit_arm], between[exit_arm]]
