"""The working day of a vehicle: arrivals, waiting and service when it leaves as late as its plan allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.metrics import RoutePlan
    from gnnlib.heads.combinatorial.vrp.problem import VRP

__all__ = ["Stop", "route_places", "timetable"]


class Stop(NamedTuple):
    """One stop of a vehicle, a reload included.

    Attributes
    ----------
    place : int
    drives : float
        Time on the way to it.
    arrives, starts, leaves : float
        Arrival, beginning and end of the service.
    """

    place: int
    drives: float
    arrives: float
    starts: float
    leaves: float


def route_places(problem: VRP, plan: RoutePlan) -> list[int]:
    """Return all places of a route in their order, start and end depot included."""
    kind = problem.vehicle_types[plan.vehicle_type]
    return [kind.start, *plan.clients, *([] if kind.end is None else [kind.end])]


def timetable(problem: VRP, plan: RoutePlan) -> list[Stop]:
    """Return the stops of a route that leaves at ``plan.leaves``; the end depot is the last of them.

    ``plan.starts`` are the earliest times; leaving as late as possible waits less and ends no later.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.metrics import plan_route
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[1], capacity=1, windows=[[0, 99], [20, 30]])
    >>> plan = plan_route(problem, [1], 0)
    >>> plan.leaves, [(stop.place, stop.arrives, stop.starts) for stop in timetable(problem, plan)]
    (15.0, [(1, 20.0, 20.0), (0, 25.0, 25.0)])
    """
    profile, first = problem.vehicle_types[plan.vehicle_type].profile, problem.num_depots
    places = np.array(route_places(problem, plan))
    hops = problem.travel.duration(places[:-1], places[1:], profile).tolist()
    clock, stops = plan.leaves, []
    for number, (place, hop) in enumerate(zip(places[1:].tolist(), hops, strict=True)):
        arrives = clock + hop
        is_client = place >= first
        starts = _opening(problem, place, arrives) if number < len(plan.clients) else arrives
        clock = starts + (float(problem.service_time[place - first]) if is_client else 0.0)
        stops.append(Stop(place, hop, arrives, starts, clock))
    return stops


def _opening(problem: VRP, place: int, arrives: float) -> float:
    """First moment from `arrives` on at which the place is open; `arrives` itself when it never is again."""
    is_client = place >= problem.num_depots
    hours = problem.windows[place - problem.num_depots] if is_client else problem.depot_windows[place : place + 1]
    later = [max(arrives, opening) for opening, closing in hours.tolist() if arrives <= closing + 1e-6]
    return min(later, default=arrives) if not math.isnan(arrives) else arrives
