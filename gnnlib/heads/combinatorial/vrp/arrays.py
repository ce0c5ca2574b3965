"""A problem as the plain arrays that the kernels of ruin and recreate read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gnnlib.heads.combinatorial.kernels import vrp_route as columns
from gnnlib.heads.combinatorial.vrp.travel import ROUNDINGS

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "RichArrays",
    "curve_order",
    "is_plain",
    "is_timed",
    "kind_rows",
    "near_in_time",
    "nearest_clients",
    "rich_arrays",
]

_DENSE = 2000
"""Places up to which all distances are looked at when neighbours are chosen."""

_WAIT_WEIGHT, _LATE_WEIGHT = 0.2, 1.0
"""What an unavoidable unit of waiting and of lateness adds to the distance of two clients (T. Vidal et al. 2013)."""


def is_plain(problem: VRP) -> bool:
    """Whether nothing but capacity and plane distances matters: one depot, one kind of vehicle, one load."""
    return _is_simple(problem) and not problem.has_windows


def is_timed(problem: VRP) -> bool:
    """Whether clients have one window each, and it would be a plain problem without."""
    limit = problem.vehicle_types[0].max_duration
    return _is_simple(problem) and problem.windows.shape[1] == 1 and math.isinf(limit)


def _is_simple(problem: VRP) -> bool:
    kind, travel = problem.vehicle_types[0], problem.travel
    return bool(
        len(problem.vehicle_types) == 1
        and problem.num_depots == 1
        and kind.end == kind.start
        and len(kind.capacity) == 1
        and kind.fixed_cost == kind.duration_cost == 0.0
        and kind.distance_cost > 0.0
        and math.isinf(kind.max_distance)
        and not kind.reload_depots
        and travel.distances is None
        and travel.durations is None
        and not problem.pickup.any()
        and not problem.groups
        and not len(problem.pairs)
        and not problem.backhaul
        and bool(problem.required.all())
        and all(skills <= kind.skills for skills in problem.skills)
    )


def nearest_clients(coords: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Numbers and distances [n, K] of the nearest other points, nearest first."""
    n = len(coords)
    width = min(count, n - 1)
    found = cKDTree(coords).query(coords, width + 1)
    apart, near = np.reshape(found[0], (n, -1)), np.reshape(found[1], (n, -1))
    own = near == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal points a point may miss itself
    return near[~own].reshape(n, width), apart[~own].reshape(n, width)


def curve_order(coords: FloatArray) -> IntArray:
    """Order [n] of points along a curve through the plane that keeps near points near (G. M. Morton 1966).

    Examples
    --------
    >>> curve_order(np.array([[9.0, 9.0], [0.0, 0.0], [9.0, 8.0], [0.0, 1.0]])).tolist()
    [1, 3, 2, 0]
    """
    low, high = coords.min(axis=0, initial=np.inf), coords.max(axis=0, initial=-np.inf)
    extent = float(np.max(high - low, initial=0.0))
    cells = ((coords - low) * (65535.0 / extent if extent > 0.0 else 0.0)).astype(np.int64)
    bits = np.arange(16)
    keys = ((cells[:, :, None] >> bits & 1) << (2 * bits + np.array([[1], [0]]))).sum(axis=(1, 2))
    return np.argsort(keys, kind="stable")


@dataclass(frozen=True)
class RichArrays:
    """What `anneal_rich` reads and never changes; see there for the shapes."""

    kinds: FloatArray
    caps: FloatArray
    amounts: FloatArray
    wins: FloatArray
    allowed: BoolArray
    kin: BoolArray
    partner: IntArray
    near: npt.NDArray[np.int32]
    xy: FloatArray
    far: FloatArray
    long: FloatArray
    members: IntArray
    task_of: IntArray
    required: BoolArray
    flags: IntArray
    stops: IntArray
    service: FloatArray
    prize: FloatArray
    num_routes: int


def rich_arrays(problem: VRP, num_neighbours: int, *, least_routes: int = 0) -> RichArrays:
    """Translate a problem.

    Parameters
    ----------
    problem : VRP
    num_neighbours : int
        Clients next to whom a client may be inserted.
    least_routes : int
        Routes that a warm start has.
    """
    first, places, types = problem.num_depots, problem.travel.num_places, problem.vehicle_types
    members, task_of, required = _tasks(problem)
    num_routes = max(least_routes, min(problem.num_vehicles, len(members)))
    stops = _stops(problem, len(members))
    bodies = places + len(stops)
    wins = np.concatenate([_windows(problem), _depot_hours(problem, stops[:, 1], problem.windows.shape[1])])
    lasting = any(kind.duration_cost > 0.0 or math.isfinite(kind.max_duration) for kind in types)
    exact = len(stops) > 0 or len(problem.pairs) > 0 or (lasting and wins.shape[1] > 1) or _is_mixed(problem)
    amounts, caps = _amounts(problem, bodies, exact=exact)
    allowed = np.zeros((bodies, len(types)), bool)
    for number, kind in enumerate(types):
        allowed[first:places, number] = [needed <= kind.skills for needed in problem.skills]
        allowed[places:, number] = np.isin(stops[:, 1], kind.reload_depots)
    partner = np.full(bodies, -1)
    partner[problem.pairs[:, 0]] = problem.pairs[:, 1]
    partner[problem.pairs[:, 1]] = problem.pairs[:, 0]
    flags = np.zeros(11, np.int64)
    travel = problem.travel
    blocked = travel.durations is not None and not np.isfinite(travel.durations).all()
    flags[columns.ROUNDING] = ROUNDINGS.index(travel.rounding) if travel.distances is None else columns.MATRIX
    flags[columns.OWN_TIMES] = travel.durations is not None
    flags[columns.TIMED] = problem.has_windows or lasting or blocked
    flags[columns.LASTING] = lasting
    flags[columns.EXACT] = exact
    flags[columns.BACKHAUL] = problem.backhaul
    flags[columns.BODIES], flags[columns.PLACES], flags[columns.DEPOTS] = bodies, places, first
    flags[columns.PAIRED] = len(problem.pairs) > 0 and not lasting and not len(stops)
    flags[columns.NEAR] = num_neighbours
    kinds = kind_rows(problem)
    nothing = np.zeros((1, 1, 1))
    return RichArrays(
        kinds=kinds,
        caps=caps,
        amounts=amounts,
        wins=wins,
        allowed=allowed,
        kin=_kin(kinds, allowed),
        partner=partner,
        near=_near(problem, members, max(100, num_neighbours)),
        xy=np.zeros((places, 2)) if travel.coords is None else np.ascontiguousarray(travel.coords),
        far=nothing if travel.distances is None else np.ascontiguousarray(travel.distances),
        long=nothing if travel.durations is None else np.ascontiguousarray(travel.durations),
        members=members,
        task_of=np.concatenate([task_of, np.full(len(stops), -1)]),
        required=required,
        flags=flags,
        stops=stops,
        service=np.concatenate([np.zeros(first), problem.service_time, np.zeros(len(stops))]),
        prize=np.concatenate([np.zeros(first), problem.prize, np.zeros(len(stops))]),
        num_routes=num_routes,
    )


def _tasks(problem: VRP) -> tuple[IntArray, IntArray, BoolArray]:
    """Clients of each task [tasks, A], task of each place, whether a task must be done."""
    first, places = problem.num_depots, problem.travel.num_places
    found: list[tuple[list[int], bool]] = [(list(group.clients), group.required) for group in problem.groups]
    found += [(pair, bool(problem.required[np.array(pair) - first].any())) for pair in problem.pairs.tolist()]
    taken = {client for clients, _ in found for client in clients}
    found += [([c], bool(problem.required[c - first])) for c in range(first, places) if c not in taken]
    width = max(len(clients) for clients, _ in found)
    members, task_of = np.full((len(found), width), -1), np.full(places, -1)
    for number, (clients, _) in enumerate(found):
        members[number, : len(clients)] = clients
        task_of[clients] = number
    return members, task_of, np.array([must for _, must in found])


def _stops(problem: VRP, num_tasks: int) -> IntArray:
    """Nodes for reloading and their depots [S, 2]."""
    rows: list[int] = []
    for depot in range(problem.num_depots):
        kinds = [kind for kind in problem.vehicle_types if depot in kind.reload_depots]
        often = sum(kind.count * (num_tasks if kind.max_reloads is None else kind.max_reloads) for kind in kinds)
        rows += [depot] * min(often, num_tasks)
    places = problem.travel.num_places
    return np.stack([np.arange(places, places + len(rows)), np.array(rows, np.int64)], axis=1)


def _windows(problem: VRP) -> FloatArray:
    """Windows of all places; depots as places are always open, absent windows open at infinity."""
    windows = problem.windows.copy()
    absent = np.isnan(windows[..., 0])
    windows[absent] = (np.inf, -np.inf)
    return np.concatenate([_never(problem.num_depots, windows.shape[1]), windows])


def _never(count: int, width: int) -> FloatArray:
    return np.tile(np.array([np.inf, -np.inf]), (count, width, 1))


def _depot_hours(problem: VRP, depots: IntArray, width: int) -> FloatArray:
    hours = _never(len(depots), width)
    hours[:, 0] = problem.depot_windows[depots]
    return hours


def _is_mixed(problem: VRP) -> bool:
    """Whether what is picked up and what is delivered share a vehicle at the same time."""
    return bool(problem.pickup.any() and problem.delivery.any() and not problem.backhaul)


def _amounts(problem: VRP, bodies: int, *, exact: bool) -> tuple[FloatArray, FloatArray]:
    """Return the loads of the nodes and the capacities, see `vrp_route`."""
    first, places = problem.num_depots, problem.travel.num_places
    caps = np.array([kind.capacity for kind in problem.vehicle_types]).reshape(len(problem.vehicle_types), -1)
    delivery, pickup = problem.delivery, problem.pickup
    if exact:
        on_board = delivery.copy()
        on_board[problem.pairs.ravel() - first] = 0.0
        parts = [on_board, pickup - delivery]
    elif problem.backhaul:
        parts, caps = [delivery, pickup], np.concatenate([caps, caps], axis=1)
    else:
        parts = [delivery + pickup]
    rows = np.concatenate([*parts, np.any(pickup > 0.0, axis=1, keepdims=True)], axis=1)
    amounts = np.zeros((bodies, rows.shape[1]))
    amounts[first:places] = rows
    return amounts, np.ascontiguousarray(caps)


def kind_rows(problem: VRP) -> FloatArray:
    """Return the types of vehicles as rows, see `vrp_route`."""
    rows = []
    for kind in problem.vehicle_types:
        hours = problem.depot_windows
        closes = kind.shift[1] if kind.end is None else min(kind.shift[1], float(hours[kind.end, 1]))
        opens = max(kind.shift[0], float(hours[kind.start, 0]))
        end = -1 if kind.end is None else kind.end
        rows.append(
            [
                *(kind.count, kind.fixed_cost, kind.distance_cost, kind.duration_cost, opens, closes),
                *(kind.max_distance, kind.max_duration, kind.start, end, kind.profile, kind.trips),
            ]
        )
    return np.array(rows, dtype=np.float64)


def _kin(kinds: FloatArray, allowed: BoolArray) -> BoolArray:
    """Which type [T, T] may take over a route of another at the same times and distances."""
    same = [columns.PER_DURATION, columns.OPENS, columns.CLOSES, columns.START, columns.END, columns.PROFILE]
    alike = (kinds[:, None, [*same, columns.TRIPS]] == kinds[None, :, [*same, columns.TRIPS]]).all(axis=2)
    able = (allowed[:, None, :] | ~allowed[:, :, None]).all(axis=0)
    return np.asarray(alike & able)


def _near(problem: VRP, members: IntArray, count: int) -> npt.NDArray[np.int32]:
    """Clients [M, K] next to whom a client is likely to be served, nearest first in space and time; -1 fills up."""
    first, places, travel = problem.num_depots, problem.travel.num_places, problem.travel
    n = places - first
    near = np.full((places, max(1, min(count, n - 1))), -1, np.int32)
    if n < 2:
        return near
    if n <= _DENSE or travel.coords is None:
        clients = np.tile(np.arange(n), (n, 1))
    else:
        clients, _ = nearest_clients(travel.coords[first:], 2 * count)
    rows = np.arange(n)[:, None]
    apart = np.minimum(_proximity(problem, rows, clients), _proximity(problem, clients, rows))
    apart[clients == rows] = np.inf
    if members.shape[1] > 1:
        group = np.full(n, -1)
        for number, clients_of in enumerate(members):
            inside = clients_of[clients_of >= 0] - first
            if len(inside) > 1:
                group[inside] = number
        group[problem.pairs.ravel() - first] = -1
        apart[(group[rows] == group[clients]) & (group[rows] >= 0)] = np.inf
    width = near.shape[1]
    order = np.argpartition(apart, width - 1, axis=1)[:, :width] if width < apart.shape[1] else np.argsort(apart)
    order = np.take_along_axis(order, np.argsort(np.take_along_axis(apart, order, axis=1), kind="stable"), axis=1)
    chosen = np.take_along_axis(clients, order, axis=1) + first
    chosen[np.isinf(np.take_along_axis(apart, order, axis=1))] = -1
    near[first:, : chosen.shape[1]] = chosen
    return near


def near_in_time(problem: VRP, count: int) -> IntArray:
    """Clients [n, K] next to whom each client of a problem without groups and pairs is likely to be served."""
    members, _, _ = _tasks(problem)
    first = problem.num_depots
    return _near(problem, members, count)[first:, : problem.num_clients - 1].astype(np.int64)


def _proximity(problem: VRP, origin: IntArray, target: IntArray) -> FloatArray:
    """Distance plus weighted waiting and lateness that serving `target` right after `origin` brings at least."""
    first = problem.num_depots
    apart = problem.travel.distance(origin + first, target + first)
    if not problem.has_windows:
        return np.array(apart, dtype=np.float64)
    opens, closes = problem.windows[:, 0, 0], np.nanmax(problem.windows[:, :, 1], axis=1)
    away = problem.service_time[origin] + problem.travel.duration(origin + first, target + first)
    wait = np.maximum(0.0, opens[target] - closes[origin] - away)
    late = np.maximum(0.0, opens[origin] + away - closes[target])
    return np.asarray(apart + _WAIT_WEIGHT * wait + _LATE_WEIGHT * late)
