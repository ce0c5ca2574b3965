"""Unusual things that happen in generated scenes: who can do them, and when."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.scene.maps.roads import Crossing
from gnnlib.heads.scene.planning.drivers import Walker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.heads.scene.maps.road_tables import Roads
    from gnnlib.heads.scene.maps.roads import RoadPlan
    from gnnlib.heads.scene.traffic import Fleet, Motion
    from gnnlib.typing import IntArray

__all__ = ["RARE_EVENTS", "RareEvent", "find_event"]

#: Rare events, and the kinds of scene in which they can happen.
RARE_EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sudden_stop": ("highway", "merge", "intersection", "roundabout", "street"),
        "breakdown": ("highway", "merge", "street"),
        "cut_in": ("highway", "merge"),
        "red_light_run": ("intersection",),
        "jaywalk": ("intersection", "street"),
    }
)


class RareEvent(NamedTuple):
    """What happens: its name, the step it begins at, the id of who does it, and of the driver it concerns most."""

    name: str
    step: int
    doer: int
    concerned: int


class Moments(NamedTuple):
    """When the recording begins and ends, counted from the start of the warm-up, and the signals [G, T]."""

    warm_up: int
    signals: IntArray

    def window(self) -> tuple[int, int]:
        """Return the steps among which an event may begin: the middle of the recording."""
        length = self.signals.shape[1] - self.warm_up
        return self.warm_up + int(0.3 * length), self.warm_up + max(int(0.6 * length), int(0.3 * length) + 1)


def find_event(
    rng: np.random.Generator,
    name: str,
    world: tuple[RoadPlan, Roads, Fleet],
    motion: Motion,
    moments: Moments,
) -> tuple[RareEvent, Fleet, Walker | None] | None:
    """Look in a run without the event for somebody who can do it.

    Returns
    -------
    tuple or None
        The event, the fleet that has been told to do it, and the pedestrian who has to be added for it. None when
        nobody can do it in this run.
    """
    plan, roads, fleet = world
    if name == "jaywalk":
        return _jaywalk(rng, plan, fleet, motion, moments)
    finder = {"sudden_stop": _brakers, "breakdown": _brakers, "cut_in": _cutters, "red_light_run": _runners}[name]
    found = finder(roads, fleet, motion, moments)
    if not found:
        return None
    step, doer, concerned = found[int(rng.integers(len(found)))]
    kind, last, size = {
        "sudden_stop": (1, step + int(rng.integers(35, 60)), float(rng.uniform(5.5, 8.0))),
        "breakdown": (1, motion.lane.shape[0], float(rng.uniform(2.0, 3.5))),
        "cut_in": (2, step + 15, 0.0),
        "red_light_run": (3, motion.lane.shape[0], 0.0),
    }[name]
    changed = fleet._replace(
        event_kind=_with(fleet.event_kind, doer, kind),
        event_from=_with(fleet.event_from, doer, step),
        event_to=_with(fleet.event_to, doer, last),
        event_size=fleet.event_size.copy(),
    )
    changed.event_size[doer] = size
    return RareEvent(name, step, doer, concerned), changed, None


def _with(values: IntArray, index: int, value: int) -> IntArray:
    changed = values.copy()
    changed[index] = value
    return changed


def _brakers(_roads: Roads, fleet: Fleet, motion: Motion, moments: Moments) -> list[tuple[int, int, int]]:
    """(step, who brakes, who follows closely): both fast enough and in the same lane."""
    found = []
    for step in range(*moments.window(), 3):
        lane, along, speed = motion.lane[step], motion.along[step], motion.speed[step]
        for i in np.flatnonzero((lane >= 0) & (speed > 4.0)):
            gap = along[i] - along
            behind = np.flatnonzero((lane == lane[i]) & (gap > 0.0) & (gap < 12.0 + 1.8 * speed))
            if behind.size:
                follower = int(behind[np.argmin(gap[behind])])
                room = gap[follower] - 0.5 * (fleet.length[i] + fleet.length[follower])
                if speed[follower] > 4.0 and room > 2.0:
                    found.append((step, int(i), follower))
    return found


def _cutters(roads: Roads, _fleet: Fleet, motion: Motion, moments: Moments) -> list[tuple[int, int, int]]:
    """(step, who cuts in, who has to brake for it): the latter a little behind in the lane beside."""
    found = []
    for step in range(*moments.window(), 3):
        lane, along, speed = motion.lane[step], motion.along[step], motion.speed[step]
        for i in np.flatnonzero((lane >= 0) & (speed > 5.0) & (np.abs(motion.left[step]) < 0.1)):
            for target in (roads.left_lane[lane[i]], roads.right_lane[lane[i]]):
                if target < 0 or along[i] > roads.length[lane[i]] - 3.0 * speed[i]:
                    continue
                gap = along[i] - along
                near = np.flatnonzero((lane == target) & (gap > 6.0) & (gap < 22.0) & (speed > 4.0))
                if near.size:
                    found.append((step, int(i), int(near[np.argmin(gap[near])])))
    return found


def _runners(roads: Roads, fleet: Fleet, motion: Motion, moments: Moments) -> list[tuple[int, int, int]]:
    """(step, who, the same): the first vehicle before a stop line whose signal has just turned or stays red."""
    found = []
    for step in range(*moments.window(), 3):
        lane, along, speed = motion.lane[step], motion.along[step], motion.speed[step]
        for i in np.flatnonzero(lane >= 0):
            group = roads.signal[lane[i]]
            if group < 0 or speed[i] < 4.0:
                continue
            room = roads.length[lane[i]] - along[i] - 0.5 * fleet.length[i]
            arrival = step + int(room / speed[i] / 0.1)
            is_first = not ((lane == lane[i]) & (along > along[i])).any()
            is_red = bool((moments.signals[group, step : arrival + 1] == 1).all())
            if is_first and is_red and 8.0 < room < 40.0 and arrival < moments.signals.shape[1]:
                found.append((step, int(i), int(i)))
    return found


def _jaywalk(
    rng: np.random.Generator, plan: RoadPlan, fleet: Fleet, motion: Motion, moments: Moments
) -> tuple[RareEvent, Fleet, Walker] | None:
    """Let somebody walk across the road in front of a moving vehicle."""
    found = []
    for step in range(*moments.window(), 3):
        for i in np.flatnonzero((motion.lane[step] >= 0) & (motion.speed[step] > 5.0)):
            lane = plan.lanes[motion.lane[step, i]]
            ahead = motion.along[step, i] + 0.5 * fleet.length[i] + 1.1 * motion.speed[step, i] + 5.0
            if lane.kind == "road" and ahead < 0.5 * (len(lane.centre) - 2) - 8.0:
                found.append((step, int(i), ahead))
    if not found:
        return None
    step, driver, ahead = found[int(rng.integers(len(found)))]
    line = plan.lanes[motion.lane[step, driver]].centre
    index = int(2.0 * ahead)
    along = line[index + 1] - line[index]
    right = np.array([along[1], -along[0]]) / np.hypot(*along)
    plan.crossings.append(Crossing(line[index] + 2.3 * right, line[index] - 5.0 * right, 1.0, is_drawn=False))
    speed, lead = float(rng.uniform(1.6, 2.6)), 1.0
    first = step - int(lead / speed / 0.1)
    walker = Walker(len(plan.crossings) - 1, first, speed, is_reversed=False, side=0.0, lead_m=lead)
    return RareEvent("jaywalk", step, -1, driver), fleet, walker
