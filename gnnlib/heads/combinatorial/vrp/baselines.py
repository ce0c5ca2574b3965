"""The trivial and the classical answer: nearest neighbour, and savings; both call the checker for every step.

Slow and simple on purpose: they share no code with the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.metrics import plan_route
from gnnlib.heads.combinatorial.vrp.result import RouteResult

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP

__all__ = ["nearest_neighbour", "savings"]


def nearest_neighbour(problem: VRP) -> RouteResult:
    """Drive on to the nearest client that still fits; begin a new route when none does.

    Parameters
    ----------
    problem : VRP
        Without pairs and groups. Vehicle types are used up in their order; clients who fit nowhere stay unserved.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.generate import uniform_vrp
    >>> nearest_neighbour(uniform_vrp(20)).feasible
    True
    """
    _require_single_clients(problem)
    left = set(range(problem.num_depots, problem.travel.num_places))
    routes, kinds = [], []
    for number, kind in enumerate(problem.vehicle_types):
        for _ in range(kind.count):
            route = _drive_on(problem, number, left)
            if not route:
                break
            routes.append(route)
            kinds.append(number)
    return RouteResult.from_routes(problem, routes, kinds)


def _drive_on(problem: VRP, number: int, left: set[int]) -> list[int]:
    """Fill one vehicle; take its clients out of `left`."""
    kind, route = problem.vehicle_types[number], list[int]()
    while left:
        here = route[-1] if route else kind.start
        places = np.array(sorted(left))
        order = np.argsort(problem.travel.distance(here, places, kind.profile), kind="stable")
        fitting = (
            int(place) for place in places[order] if not plan_route(problem, [*route, int(place)], number).faults
        )
        client = next(fitting, None)
        if client is None:
            break
        route.append(client)
        left.remove(client)
    return route


def savings(problem: VRP) -> RouteResult:
    """Join routes end to end where that saves most (G. Clarke & J. W. Wright 1964, the parallel version).

    Parameters
    ----------
    problem : VRP
        With one vehicle type, and without pairs and groups. When the vehicles do not suffice in the end, the shortest
        routes are left out.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.generate import uniform_vrp
    >>> problem = uniform_vrp(20)
    >>> savings(problem).cost < nearest_neighbour(problem).cost
    True
    """
    _require_single_clients(problem)
    if len(problem.vehicle_types) != 1:
        raise InputError(f"savings are for one vehicle type, found {len(problem.vehicle_types)}")
    kind = problem.vehicle_types[0]
    matrix, first = problem.travel.distance_matrix(kind.profile), problem.num_depots
    clients = [c for c in range(first, len(matrix)) if not plan_route(problem, [c], 0).faults]
    route_of = {client: [client] for client in clients}
    back = matrix[:, kind.end] if kind.end is not None else np.zeros(len(matrix))
    saved = back[:, None] + matrix[kind.start][None] - matrix
    pairs = [(saved[a, b], a, b) for a in clients for b in clients if a != b and saved[a, b] > 0.0]
    for _, a, b in sorted(pairs, key=lambda item: -item[0]):
        before, after = route_of[a], route_of[b]
        if before is after or before[-1] != a or after[0] != b:
            continue
        if not plan_route(problem, before + after, 0).faults:
            before += after
            for client in after:
                route_of[client] = before
    routes = sorted(
        {id(route): route for route in route_of.values()}.values(), key=lambda route: (-len(route), route[0])
    )
    driven = routes[: kind.count]
    return RouteResult.from_routes(problem, driven, [0] * len(driven))


def _require_single_clients(problem: VRP) -> None:
    if len(problem.pairs) or problem.groups:
        raise InputError("the baselines serve single clients; this problem has pairs or groups")
