"""Routes in the forms that others read: solution files, GeoJSON, networkx graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.export_html import result_html, write_html
from gnnlib.heads.combinatorial.vrp.io import write_routes
from gnnlib.heads.combinatorial.vrp.timetable import route_places, timetable

if TYPE_CHECKING:
    import networkx as nx

    from gnnlib.heads.combinatorial.vrp.metrics import RoutePlan
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.heads.combinatorial.vrp.result import RouteResult
    from gnnlib.typing import FloatArray, PathLike

__all__ = [
    "result_geojson",
    "result_html",
    "result_networkx",
    "routes_by_vehicle",
    "write_html",
    "write_solution",
]


def routes_by_vehicle(result: RouteResult) -> list[tuple[int, ...]]:
    """Return the routes so that route k belongs to vehicle k, as solution files want it.

    With one vehicle type these are the routes themselves; otherwise vehicles that stay at home have empty routes.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> from gnnlib.heads.combinatorial.vrp.result import RouteResult
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [0, 5]], demand=[4, 5], capacity=8)
    >>> routes_by_vehicle(RouteResult.from_routes(problem, [[2], [1]]))
    [(2,), (1,)]
    """
    ordered: list[tuple[int, ...]] = []
    for number, kind in enumerate(result.problem.vehicle_types):
        driven = [route for route, used in zip(result.routes, result.vehicle_types, strict=True) if used == number]
        ordered += [*driven, *([()] * (kind.count - len(driven)))]
    while ordered and not ordered[-1]:
        ordered.pop()
    return ordered


def write_solution(result: RouteResult, path: PathLike) -> None:
    """Write a solution file in the manner of CVRPLIB: ``Route #1: 4 2 9``, ..., ``Cost 123``."""
    write_routes(routes_by_vehicle(result), path, result.cost, num_depots=result.problem.num_depots)


def result_geojson(result: RouteResult, path: PathLike | None = None) -> dict[str, Any]:
    """Return a GeoJSON feature collection (RFC 7946): a line a route, a point a stop, depot and unserved client.

    Parameters
    ----------
    result : RouteResult
        Its coordinates are written as they are, x before y. Maps take them for longitude and latitude in degrees.
    path : path-like, optional
        Where to write it.

    Raises
    ------
    InputError
        If the problem has no coordinates.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> from gnnlib.heads.combinatorial.vrp.result import RouteResult
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> found = result_geojson(RouteResult.from_routes(problem, [[1]]))
    >>> found["features"][0]["geometry"]
    {'type': 'LineString', 'coordinates': [[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]}
    """
    problem = result.problem
    coords = problem.travel.coords
    if coords is None:
        raise InputError("GeoJSON needs coordinates; this problem has matrices only")
    features = []
    for number, plan in enumerate(result.plans, start=1):
        features.append(_line(problem, plan, number, coords))
    for number, plan in enumerate(result.plans, start=1):
        features += _stops(problem, plan, number, coords)
    for depot in range(problem.num_depots):
        features.append(_point(coords[depot], {"kind": "depot", "depot": depot}))
    features += [_point(coords[client], {"kind": "unserved", "client": client}) for client in result.unserved]
    collection = {"type": "FeatureCollection", "features": features}
    if path is not None:
        Path(path).write_text(json.dumps(collection), encoding="utf-8")
    return collection


def _line(problem: VRP, plan: RoutePlan, number: int, coords: FloatArray) -> dict[str, Any]:
    kind = problem.vehicle_types[plan.vehicle_type]
    properties = {
        "kind": "route",
        "route": number,
        "vehicle_type": plan.vehicle_type,
        "vehicle_name": kind.name,
        "stops": len(plan.starts),
        "distance": plan.distance / problem.cost_scale,
        "duration": plan.duration / problem.cost_scale,
        "leaves": plan.leaves / problem.cost_scale,
        "returns": plan.returns / problem.cost_scale,
        "faults": list(plan.faults),
    }
    geometry = {"type": "LineString", "coordinates": coords[route_places(problem, plan)].tolist()}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _stops(problem: VRP, plan: RoutePlan, number: int, coords: FloatArray) -> list[dict[str, Any]]:
    stops = []
    for position, stop in enumerate(timetable(problem, plan)[: len(plan.clients)], start=1):
        place, is_client = stop.place, stop.place >= problem.num_depots
        properties = {
            "kind": "stop" if is_client else "reload",
            "client" if is_client else "depot": place,
            "route": number,
            "position": position,
            "arrives": stop.arrives / problem.cost_scale,
            "service_starts": stop.starts / problem.cost_scale,
            "load_after": list(plan.loads[position]),
        }
        stops.append(_point(coords[place], properties))
    return stops


def _point(place: FloatArray, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": place.tolist()}}


def result_networkx(result: RouteResult) -> nx.MultiDiGraph[Any]:
    """Return the routes as a directed multigraph on the places of the problem.

    Edges carry ``route`` (from 1), ``position``, ``weight`` (distance) and ``duration``; unserved clients have none.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> from gnnlib.heads.combinatorial.vrp.result import RouteResult
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> result_networkx(RouteResult.from_routes(problem, [[1]])).size(weight="weight")
    10.0
    """
    import networkx as nx  # kept out of the solver's start-up

    problem, scale = result.problem, result.problem.cost_scale
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(
        (place, {"is_depot": place < problem.num_depots}) for place in range(problem.travel.num_places)
    )
    for number, plan in enumerate(result.plans, start=1):
        profile = problem.vehicle_types[plan.vehicle_type].profile
        places = np.array(route_places(problem, plan))
        distances = problem.travel.distance(places[:-1], places[1:], profile) / scale
        durations = problem.travel.duration(places[:-1], places[1:], profile) / scale
        hops = zip(places[:-1].tolist(), places[1:].tolist(), distances.tolist(), durations.tolist(), strict=True)
        for position, (tail, head, distance, duration) in enumerate(hops):
            graph.add_edge(tail, head, route=number, position=position, weight=distance, duration=duration)
    return graph
