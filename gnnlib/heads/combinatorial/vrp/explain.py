"""Why clients cannot be served: each one alone, and all of them by the fleet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.vrp.metrics import plan_route

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["explain_shortage", "explain_unservable"]

_SLACK = 1e-6


def explain_unservable(problem: VRP) -> tuple[tuple[int, str], ...]:
    """Find the clients that no vehicle can serve even if it serves nobody else, and say why.

    Parameters
    ----------
    problem : VRP

    Returns
    -------
    tuple of (int, str)
        Client numbers in rising order, each with a sentence; empty when everybody can be served. The two clients of a
        pair are judged together.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [6, 8]], demand=[4, 30], capacity=8)
    >>> explain_unservable(problem)
    ((2, 'its delivery 30 is over the capacity 8'),)
    """
    first = problem.num_depots
    paired = np.zeros(problem.num_clients, bool)
    paired[problem.pairs.ravel() - first] = True
    alone = np.zeros(problem.num_clients, bool)
    for number, kind in enumerate(problem.vehicle_types):
        if kind.count:
            alone |= _serves(problem, number)
    found = {row + first: _reasons(problem, [row + first]) for row in np.flatnonzero(~alone & ~paired).tolist()}
    for pickup, delivery in problem.pairs.tolist():
        if not any(_may_drive(problem, [pickup, delivery], k) for k in _kinds(problem)):
            why = _reasons(problem, [pickup, delivery])
            found |= {pickup: f"with its delivery {delivery}: {why}", delivery: f"with its pickup {pickup}: {why}"}
    return tuple(sorted(found.items()))


def explain_shortage(problem: VRP) -> str | None:
    """Say in which dimension the fleet is too small for all who must be served; None when it is large enough.

    Only totals are compared, so None does not promise that all fit. Fleets that reload are never too small.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [6, 8]], demand=[7, 5], capacity=8, num_vehicles=1)
    >>> explain_shortage(problem)
    'the deliveries of the clients who must be served add up to 12, all vehicles together hold 8'
    """
    if any(kind.reload_depots for kind in problem.vehicle_types):
        return None
    must = problem.required.copy()
    must[problem.pairs.ravel() - problem.num_depots] = False  # a pair gives its room back
    room = np.sum([kind.count * np.array(kind.capacity) for kind in problem.vehicle_types if kind.count], axis=0)
    for name, loads in (("deliveries", problem.delivery), ("pickups", problem.pickup)):
        total = loads[must].sum(axis=0)
        over = np.flatnonzero(total > room + _SLACK)
        if len(over):
            at = over[0]
            where = f" in dimension {at}" if len(total) > 1 else ""
            return (
                f"the {name} of the clients who must be served add up to {total[at]:g}{where}, "
                f"all vehicles together hold {room[at]:g}"
            )
    return None


def _kinds(problem: VRP) -> list[int]:
    return [number for number, kind in enumerate(problem.vehicle_types) if kind.count]


def _may_drive(problem: VRP, clients: list[int], kind: int) -> bool:
    return not _faults(problem, clients, kind)


def _faults(problem: VRP, clients: list[int], kind: int) -> list[str]:
    """Return what a route breaks, but for what company can mend: a route of pickups only."""
    return [fault for fault in plan_route(problem, clients, kind).faults if fault != "it holds pickups only"]


def _begin(problem: VRP, arrival: FloatArray) -> FloatArray:
    """Earliest start of service of every client for an arrival [n]; infinite after the last window."""
    begin = np.full(len(arrival), math.inf)
    for window in range(problem.windows.shape[1] - 1, -1, -1):
        opening, closing = problem.windows[:, window].T
        in_time = arrival <= closing + _SLACK  # false for the NaN that fill up
        begin[in_time] = np.maximum(arrival, opening)[in_time]
    return begin


def _serves(problem: VRP, number: int) -> BoolArray:
    """Whether a vehicle type can serve each client alone; as `plan_route` says, for all clients at once."""
    kind, travel = problem.vehicle_types[number], problem.travel
    clients = np.arange(problem.num_depots, travel.num_places)
    distance = travel.distance(kind.start, clients, kind.profile)
    there = travel.duration(kind.start, clients, kind.profile)
    back = np.zeros(len(clients))
    if kind.end is not None:
        distance = distance + travel.distance(clients, kind.end, kind.profile)
        back = travel.duration(clients, kind.end, kind.profile)
    begin = _begin(problem, _opens(problem, kind) + there)
    returns = begin + problem.service_time + back
    largest = np.maximum(problem.delivery, problem.pickup)
    able = [kind.skills >= needed for needed in problem.skills]
    return np.asarray(
        np.isfinite(distance)
        & np.isfinite(begin)
        & (distance <= kind.max_distance + _SLACK)
        & (returns <= _closes(problem, kind) + _SLACK)
        & (there + problem.service_time + back <= kind.max_duration + _SLACK)
        & (largest <= np.array(kind.capacity) + _SLACK).all(axis=1)
        & np.array(able, bool)
    )


def _opens(problem: VRP, kind: VehicleType) -> float:
    return max(kind.shift[0], float(problem.depot_windows[kind.start, 0]))


def _closes(problem: VRP, kind: VehicleType) -> float:
    if kind.end is None:
        return kind.shift[1]
    return min(kind.shift[1], float(problem.depot_windows[kind.end, 1]))


def _reasons(problem: VRP, clients: list[int]) -> str:
    """Say why none of the vehicle types can serve `clients`."""
    by_type = {number: _sentence(problem, clients, number) for number in _kinds(problem)}
    different = list(dict.fromkeys(by_type.values()))
    if len(different) == 1:
        return different[0]
    return "; ".join(f"vehicle type {number}: {why}" for number, why in by_type.items())


def _sentence(problem: VRP, clients: list[int], number: int) -> str:
    """Say why one vehicle type cannot serve `clients`: the first cause of those that hold."""
    kind, first = problem.vehicle_types[number], problem.num_depots
    for client in clients:
        row = client - first
        needed = problem.skills[row] - kind.skills
        if needed:
            who = "no vehicle has" if len(_kinds(problem)) == 1 or _nobody_has(problem, needed) else "it lacks"
            return f"it needs the skills {sorted(needed)}, which {who}"
        for name, loads in (("delivery", problem.delivery), ("pickup", problem.pickup)):
            over = np.flatnonzero(loads[row] > np.array(kind.capacity) + _SLACK)
            if len(over):
                return f"its {name} {loads[row, over[0]]:g} is over the capacity {kind.capacity[over[0]]:g}"
    if len(clients) == 1:
        cause = _time_cause(problem, clients[0], kind)
        if cause:
            return cause
    return "; ".join(_faults(problem, clients, number))


def _time_cause(problem: VRP, client: int, kind: VehicleType) -> str:
    travel, row = problem.travel, client - problem.num_depots
    there = float(travel.duration(kind.start, client, kind.profile))
    if not math.isfinite(float(travel.distance(kind.start, client, kind.profile))) or math.isinf(there):
        return "there is no way to it"
    if kind.end is not None and not math.isfinite(float(travel.distance(client, kind.end, kind.profile))):
        return "there is no way back from it"
    arrival = _opens(problem, kind) + there
    closing = float(np.nanmax(problem.windows[row, :, 1]))
    if arrival > closing + _SLACK:
        return f"a vehicle arrives at {arrival:g} at the earliest, after its last time window closes at {closing:g}"
    return ""


def _nobody_has(problem: VRP, needed: frozenset[str]) -> bool:
    return not any(needed <= problem.vehicle_types[number].skills for number in _kinds(problem))
