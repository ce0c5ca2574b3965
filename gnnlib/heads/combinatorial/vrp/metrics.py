"""What routes cost and whether they may be driven: an independent check, in plain Python, of any list of routes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp import checks
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType

__all__ = ["RouteCheck", "RoutePlan", "check_routes", "plan_route", "types_in_order"]

_SLACK = 1e-6


@dataclass(frozen=True)
class RoutePlan:
    """One route, timed.

    Attributes
    ----------
    clients : tuple of int
        In the order of the visits; the number of a depot stands for a reload there.
    vehicle_type : int
    distance, duration : float
        In the units of the problem; the duration includes waiting, and is that of leaving as late as possible.
    starts : tuple of float
        When service begins at each client (a reload takes no time).
    leaves, returns : float
        Start and end of the route.
    loads : tuple of tuples of float
        Load on leaving the start and each client, [1 + stops, Q].
    faults : tuple of str
        What the route breaks; empty when it may be driven.
    """

    clients: tuple[int, ...]
    vehicle_type: int
    distance: float
    duration: float
    starts: tuple[float, ...]
    leaves: float
    returns: float
    loads: tuple[tuple[float, ...], ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class RouteCheck(Result):
    """What a set of routes costs, and what it breaks.

    Attributes
    ----------
    cost : float
        All of the following together, in reported units (divided by `VRP.cost_scale`).
    distance_cost, duration_cost, fixed_cost, uncollected_prizes : float
    routes : tuple of RoutePlan
        Those with at least one client.
    unserved : tuple of int
        Clients that are in no route.
    violations : tuple of str
        One sentence for everything that is broken.
    """

    cost: float
    distance_cost: float
    duration_cost: float
    fixed_cost: float
    uncollected_prizes: float
    routes: tuple[RoutePlan, ...]
    unserved: tuple[int, ...]
    violations: tuple[str, ...]

    @property
    def feasible(self) -> bool:
        """Whether nothing is broken."""
        return not self.violations

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("cost", f"{self.cost:.10g}"),
            ("routes", str(len(self.routes))),
            ("unserved clients", str(len(self.unserved))),
            ("feasible", "yes" if self.feasible else f"no, {len(self.violations)} violations: {self.violations[0]}"),
        ]


def types_in_order(problem: VRP, count: int) -> list[int]:
    """Vehicle type of route 1, 2, ... when route k is driven by vehicle k.

    Raises
    ------
    InputError
        If there are more routes than vehicles.
    """
    kinds = [number for number, kind in enumerate(problem.vehicle_types) for _ in range(kind.count)]
    if count > len(kinds):
        raise InputError(f"there are {len(kinds)} vehicles, found {count} routes")
    return kinds[:count]


def plan_route(problem: VRP, clients: Sequence[int], vehicle_type: int) -> RoutePlan:
    """Time one route, with the earliest possible end and, given that, the latest possible start.

    Parameters
    ----------
    problem : VRP
    clients : sequence of int
        Client numbers in the order of the visits; the number of a depot stands for a reload there.
    vehicle_type : int

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [6, 8]], demand=[4, 3], capacity=8)
    >>> plan = plan_route(problem, [1, 2], 0)
    >>> plan.distance, plan.starts, plan.faults
    (20.0, (5.0, 10.0), ())
    """
    kind = problem.vehicle_types[vehicle_type]
    places = np.array([kind.start, *clients, *([] if kind.end is None else [kind.end])], np.int64)
    distance = float(problem.travel.distance(places[:-1], places[1:], kind.profile).sum())
    durations = problem.travel.duration(places[:-1], places[1:], kind.profile).tolist()
    starts, leaves, returns, faults = _timetable(problem, clients, kind, durations)
    loads, overload = _loads(problem, clients, kind)
    faults += overload
    if distance > kind.max_distance + _SLACK:
        faults.append(f"its distance {distance:g} is over the limit {kind.max_distance:g}")
    if returns - leaves > kind.max_duration + _SLACK:
        faults.append(f"its duration {returns - leaves:g} is over the limit {kind.max_duration:g}")
    if not math.isfinite(distance):
        faults.append("it uses a way that does not exist")
    faults += _order_faults(problem, clients, kind)
    return RoutePlan(
        tuple(int(client) for client in clients),
        vehicle_type,
        distance,
        returns - leaves,
        tuple(starts),
        leaves,
        returns,
        tuple(loads),
        tuple(faults),
    )


def _timetable(
    problem: VRP, clients: Sequence[int], kind: VehicleType, durations: Sequence[float]
) -> tuple[list[float], float, float, list[str]]:
    """Earliest service times, then the start of the route as late as the same end allows."""
    faults = []
    opens = max(kind.shift[0], float(problem.depot_windows[kind.start, 0]))
    clock, starts = opens, []
    for client, hop in zip(clients, durations, strict=False):
        begin = _next_opening(problem, client, clock + hop)
        if math.isinf(begin):
            faults.append(f"{_called(problem, client)} is reached at {clock + hop:g}, after its last time window")
            begin = clock + hop
        starts.append(begin)
        clock = begin + _service(problem, client)
    returns = clock + (durations[len(clients)] if kind.end is not None else 0.0)
    closes = kind.shift[1] if kind.end is None else min(kind.shift[1], float(problem.depot_windows[kind.end, 1]))
    if returns > closes + _SLACK:
        faults.append(f"it ends at {returns:g}, after {closes:g}")
    latest = returns - (durations[len(clients)] if kind.end is not None else 0.0)
    for client, hop in zip(reversed(clients), reversed(durations[: len(clients)]), strict=True):
        begin = _last_opening(problem, client, latest - _service(problem, client))
        latest = begin - hop
    return starts, max(latest, opens) if not faults else opens, returns, faults


def _service(problem: VRP, place: int) -> float:
    return float(problem.service_time[place - problem.num_depots]) if place >= problem.num_depots else 0.0


def _hours(problem: VRP, place: int) -> list[list[float]]:
    """Time windows of a client, or the opening hours of a depot."""
    is_client = place >= problem.num_depots
    hours = problem.windows[place - problem.num_depots] if is_client else problem.depot_windows[place : place + 1]
    return list(hours.tolist())


def _called(problem: VRP, place: int) -> str:
    return f"client {place}" if place >= problem.num_depots else f"the reload at depot {place}"


def _next_opening(problem: VRP, place: int, arrival: float) -> float:
    """Earliest start of service for an arrival; infinite when all windows have closed."""
    for opening, closing in _hours(problem, place):
        if arrival <= closing + _SLACK:
            return max(arrival, opening)
    return math.inf


def _last_opening(problem: VRP, place: int, latest: float) -> float:
    """Latest start of service not after `latest`; `latest` itself when there is none."""
    found = [min(latest, closing) for opening, closing in _hours(problem, place) if opening <= latest]
    return max(found, default=latest)


def _trips(problem: VRP, clients: Sequence[int]) -> list[list[int]]:
    """Split a route where it reloads."""
    trips: list[list[int]] = [[]]
    for place in clients:
        if place < problem.num_depots:
            trips.append([])
        else:
            trips[-1].append(place)
    return trips


def _loads(problem: VRP, clients: Sequence[int], kind: VehicleType) -> tuple[list[tuple[float, ...]], list[str]]:
    """Return the loads along the route, and whether one is over the capacity."""
    paired = {int(client) for pair in problem.pairs for client in pair}
    first, loads = problem.num_depots, []
    for trip in _trips(problem, clients):
        on_board = np.zeros(len(kind.capacity))
        for client in trip:
            if client not in paired:
                on_board = on_board + problem.delivery[client - first]
        loads.append(tuple(on_board.tolist()))
        for client in trip:
            on_board = on_board - problem.delivery[client - first] + problem.pickup[client - first]
            loads.append(tuple(on_board.tolist()))
    capacity = np.array(kind.capacity)
    worst = np.array(loads).max(axis=0)
    over = np.flatnonzero(worst > capacity + _SLACK)
    if len(over):
        return loads, [f"its load {worst[over[0]]:g} is over the capacity {capacity[over[0]]:g}"]
    return loads, []


def _order_faults(problem: VRP, clients: Sequence[int], kind: VehicleType) -> list[str]:
    """Skills, reloads, pairs and backhauls."""
    faults = []
    trips = _trips(problem, clients)
    served = [client for trip in trips for client in trip]
    lacking = next((c for c in served if not problem.skills[c - problem.num_depots] <= kind.skills), None)
    if lacking is not None:
        needed = sorted(problem.skills[lacking - problem.num_depots])
        faults.append(f"client {lacking} needs the skills {needed}, its vehicle has {sorted(kind.skills)}")
    strange = [place for place in clients if place < problem.num_depots and place not in kind.reload_depots]
    if strange:
        faults.append(f"it reloads at depot {strange[0]}, where its vehicle may not")
    elif len(trips) > kind.trips:
        faults.append(f"it reloads {len(trips) - 1} times, over the limit {kind.max_reloads}")
    position = {client: (number, at) for number, trip in enumerate(trips) for at, client in enumerate(trip)}
    for pickup, delivery in problem.pairs.tolist():
        if (pickup in position) != (delivery in position):
            faults.append(f"pickup {pickup} and delivery {delivery} must be in the same route")
        elif pickup in position and position[pickup] > position[delivery]:
            faults.append(f"delivery {delivery} comes before its pickup {pickup}")
        elif pickup in position and position[pickup][0] != position[delivery][0]:
            faults.append(f"the vehicle reloads between pickup {pickup} and delivery {delivery}")
    for trip in trips if problem.backhaul else []:
        takes = [bool((problem.pickup[client - problem.num_depots] > 0.0).any()) for client in trip]
        if takes != sorted(takes):
            faults.append("a delivery comes after a pickup")
        if takes and all(takes):
            faults.append("it holds pickups only")
    return faults


def check_routes(
    problem: VRP, routes: Sequence[Sequence[int]], vehicle_types: Sequence[int] | None = None
) -> RouteCheck:
    """Cost routes and list everything that they break.

    Parameters
    ----------
    problem : VRP
    routes : sequence of sequences of int
        Client numbers, and depot numbers where the vehicle reloads; empty routes are vehicles that stay at home.
    vehicle_types : sequence of int, optional
        Type of the vehicle of each route; default: route k is driven by vehicle k, in the order of the types.

    Raises
    ------
    InputError
        If a client number is out of range, or the types do not fit the routes.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [0, 5]], demand=[4, 5], capacity=8)
    >>> check_routes(problem, [[1], [2]]).cost
    20.0
    >>> check_routes(problem, [[1, 2]]).violations
    ('route 1: its load 9 is over the capacity 8',)
    """
    kinds = types_in_order(problem, len(routes)) if vehicle_types is None else list(vehicle_types)
    if len(kinds) != len(routes) or not all(0 <= kind < len(problem.vehicle_types) for kind in kinds):
        raise InputError(f"`vehicle_types` must name a type for each of the {len(routes)} routes, found {kinds[:5]}")
    for number, route in enumerate(routes, start=1):
        places = [place for place in route if not 0 <= place < problem.num_depots]
        checks.client_numbers(f"route {number}", places, range(problem.num_depots, problem.travel.num_places))
    plans, violations = [], []
    for number, (route, kind) in enumerate(zip(routes, kinds, strict=True), start=1):
        if any(place >= problem.num_depots for place in route):
            plans.append(plan_route(problem, route, kind))
            violations += [f"route {number}: {fault}" for fault in plans[-1].faults]
    for kind, vehicles in enumerate(problem.vehicle_types):
        used = sum(plan.vehicle_type == kind for plan in plans)
        if used > vehicles.count:
            violations.append(f"{used} vehicles of type {kind} are used, there are {vehicles.count}")
    unserved, missing = _served(problem, routes)
    return _priced(problem, plans, unserved, violations + missing)


def _served(problem: VRP, routes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], list[str]]:
    first = problem.num_depots
    visits = np.zeros(problem.num_clients, np.int64)
    for route in routes:
        np.add.at(visits, np.array([place for place in route if place >= first], np.int64) - first, 1)
    faults = [f"client {row + first} is visited {visits[row]} times" for row in np.flatnonzero(visits > 1)]
    faults += [f"client {row + first} is not served" for row in np.flatnonzero((visits == 0) & problem.required)]
    for group in problem.groups:
        count = int(visits[np.array(group.clients) - first].sum())
        if count > 1 or (count == 0 and group.required):
            faults.append(f"of the group {list(group.clients)} {count} clients are served")
    return tuple((np.flatnonzero(visits == 0) + first).tolist()), faults


def _priced(problem: VRP, plans: list[RoutePlan], unserved: tuple[int, ...], violations: list[str]) -> RouteCheck:
    kinds = [problem.vehicle_types[plan.vehicle_type] for plan in plans]
    scale = problem.cost_scale
    distance = sum(kind.distance_cost * plan.distance for kind, plan in zip(kinds, plans, strict=True)) / scale
    duration = sum(
        kind.duration_cost * plan.duration for kind, plan in zip(kinds, plans, strict=True) if kind.duration_cost
    )
    fixed = sum(kind.fixed_cost for kind in kinds) / scale
    prizes = float(problem.prize[np.array(unserved, np.int64) - problem.num_depots].sum()) / scale
    return RouteCheck(
        cost=distance + duration / scale + fixed + prizes,
        distance_cost=distance,
        duration_cost=duration / scale,
        fixed_cost=fixed,
        uncollected_prizes=prizes,
        routes=tuple(plans),
        unserved=unserved,
        violations=tuple(violations),
    )
