"""The solvers of the routing benchmark: ours and its peers, behind one signature.

Each takes a problem, seconds and a seed and returns routes (client numbers) and the types of their vehicles. A peer
that cannot express a problem raises `UnsuitedError`. Ours, PyVRP and HGS stop by processor time, OR-Tools and VROOM,
which cannot, by the wall clock. What they return is costed and checked by the library, not by them.
"""

from __future__ import annotations

import datetime
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.arrays import is_plain
from gnnlib.stop import MaxRuntime, StopClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.heads.combinatorial.vrp.problem import VRP

    Answer = tuple[list[list[int]], list[int], list[list[float]]]


class CpuClock(StopClock):
    """A clock of processor time, which a busy machine does not hurry."""

    def __init__(self, criterion: MaxRuntime) -> None:
        super().__init__(criterion)
        self._began = time.process_time()

    @property
    def elapsed_s(self) -> float:
        """Processor seconds since the run began."""
        return time.process_time() - self._began


class CpuRuntime(MaxRuntime):
    """Stop after seconds of processor time."""

    def start(self) -> StopClock:
        """Begin a run."""
        return CpuClock(self)


class UnsuitedError(Exception):
    """The peer cannot express the problem."""


def ours(problem: VRP, seconds: float, seed: int) -> Answer:
    result = solve_vrp(problem, stop=CpuRuntime(seconds), seed=seed)
    trace = [[round(float(s), 3), float(c)] for s, c in result.trace[:: max(1, len(result.trace) // 60)]]
    return [list(route) for route in result.routes], list(result.vehicle_types), trace


def _scale(problem: VRP) -> int:
    """Factor that makes distances whole numbers without losing what matters."""
    return 1 if problem.travel.rounding != "exact" else 100


def _whole(values: Any, scale: int) -> Any:
    array = np.asarray(values, dtype=np.float64) * scale
    return np.where(np.isfinite(array), np.rint(np.where(np.isfinite(array), array, 0.0)), 2**52).astype(np.int64)


def pyvrp(problem: VRP, seconds: float, seed: int) -> Answer:
    import pyvrp as peer

    if problem.travel.num_places > 12_000:
        raise UnsuitedError("its matrices do not fit into memory")
    scale, first = _scale(problem), problem.num_depots
    places = problem.travel.coords if problem.travel.coords is not None else np.zeros((problem.travel.num_places, 2))
    forever = 2**62
    hours = _whole(problem.windows[:, 0], scale)
    hours[~np.isfinite(problem.windows[:, 0])] = forever
    paired = {int(c) for pair in problem.pairs for c in pair}
    group_of = {c: number for number, group in enumerate(problem.groups) for c in group.clients}
    loads, picks = np.rint(problem.delivery).astype(int), np.rint(problem.pickup).astype(int)
    service, prize = _whole(problem.service_time, scale), _whole(problem.prize, scale)
    numbers = [c for c in range(first, problem.travel.num_places) if c not in paired]
    position = {c: i for i, c in enumerate(numbers)}
    clients = [
        peer.Client(
            c, loads[c - first].tolist(), picks[c - first].tolist(), int(service[c - first]), int(hours[c - first, 0]),
            int(hours[c - first, 1]), prize=int(prize[c - first]), required=bool(problem.required[c - first]),
            group=group_of.get(c),
        )
        for c in numbers
    ]  # fmt: skip
    shipments = [
        peer.Shipment(
            a, b, int(hours[a - first, 0]), int(hours[a - first, 1]), int(service[a - first]), int(hours[b - first, 0]),
            int(hours[b - first, 1]), int(service[b - first]), picks[a - first].tolist(),
        )
        for a, b in problem.pairs.tolist()
    ]  # fmt: skip
    depot_hours = _whole(problem.depot_windows, scale)
    depot_hours[~np.isfinite(problem.depot_windows)] = forever
    depots = [peer.Depot(d, int(depot_hours[d, 0]), int(depot_hours[d, 1])) for d in range(first)]
    kinds = [
        peer.VehicleType(
            kind.count,
            [int(q) for q in kind.capacity],
            kind.start,
            kind.start if kind.end is None else kind.end,
            round(scale * kind.fixed_cost),
            shift_duration=int(scale * kind.max_duration) if math.isfinite(kind.max_duration) else 2**62,
            max_distance=int(scale * kind.max_distance) if math.isfinite(kind.max_distance) else 2**62,
            unit_distance_cost=int(kind.distance_cost),
        )
        for kind in problem.vehicle_types
    ]
    if any(kind.distance_cost != int(kind.distance_cost) or kind.end is None for kind in problem.vehicle_types):
        raise UnsuitedError("costs per distance are no whole numbers")
    distances = _whole(problem.travel.distance_matrix(), scale)
    if problem.backhaul:  # no way from a pickup to a delivery, nor from the depot to a pickup
        takes = np.concatenate([np.zeros(first, bool), (problem.pickup > 0.0).any(axis=1)])
        gives = np.concatenate([np.zeros(first, bool), ~takes[first:]])
        distances[np.ix_(takes, gives)] = distances[:first, takes] = 10_000_000
    groups = [peer.ClientGroup([position[c] for c in group.clients], group.required) for group in problem.groups]
    data = peer.ProblemData(
        [peer.Location(float(x), float(y)) for x, y in places],
        clients,
        depots,
        kinds,
        [distances],
        [_whole(problem.travel.duration_matrix(), scale)],
        groups,
        shipments,
    )
    began = time.process_time()
    found = peer.solve(
        data, lambda _: time.process_time() - began >= seconds, seed=seed, collect_stats=False, display=False
    ).best
    routes, types = [], []
    for route in found.routes():
        routes.append([_number(activity, numbers, problem) for activity in route if not activity.is_depot()])
        types.append(int(route.vehicle_type()))
    return routes, types, []


def _number(activity: Any, numbers: list[int], problem: VRP) -> int:
    if activity.is_client():
        return numbers[activity.idx]
    return int(problem.pairs[activity.idx, 0 if activity.is_pickup() else 1])


def hgs(problem: VRP, seconds: float, seed: int) -> Answer:
    import hygese

    if not is_plain(problem) or problem.travel.num_places > 12_000:
        raise UnsuitedError("only the plain problem")
    coords = problem.travel.coords
    assert coords is not None
    data = {
        "x_coordinates": coords[:, 0],
        "y_coordinates": coords[:, 1],
        "distance_matrix": problem.travel.distance_matrix(),
        "service_times": np.zeros(len(coords)),
        "demands": np.concatenate([[0.0], problem.delivery[:, 0]]),
        "vehicle_capacity": problem.vehicle_types[0].capacity[0],
        "num_vehicles": min(problem.num_vehicles, problem.num_clients),
        "depot": 0,
    }
    del data["x_coordinates"], data["y_coordinates"]  # then it keeps to the matrix, whose rounding is ours
    solver = hygese.Solver(hygese.AlgorithmParameters(timeLimit=seconds, nbIter=10**8, seed=seed), verbose=False)
    found = solver.solve_cvrp(data)
    routes = [list(map(int, route)) for route in found.routes if len(route)]
    return routes, [0] * len(routes), []


def ortools(problem: VRP, seconds: float, seed: int) -> Answer:  # noqa: ARG001 (it takes no seed)
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    kind = problem.vehicle_types[0]
    simple = len(problem.vehicle_types) == 1 and problem.num_depots == 1 and not problem.backhaul and not problem.groups
    if not simple or problem.travel.num_places > 3000 or problem.prize.any() or problem.windows.shape[1] > 1:
        raise UnsuitedError("not modelled here, or its matrix is too large")
    scale = _scale(problem)
    count = min(kind.count, problem.num_clients)
    if len(problem.pairs) == 0 and math.isfinite(kind.capacity[0]):
        fewest = math.ceil(float(problem.delivery.sum()) / kind.capacity[0])
        count = min(count, fewest + max(10, fewest // 2)) if not problem.has_windows else count
    distance = _whole(problem.travel.distance_matrix(), scale)
    manager = pywrapcp.RoutingIndexManager(problem.travel.num_places, count, 0)
    routing = pywrapcp.RoutingModel(manager)
    routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix(distance.tolist()))
    change = np.concatenate([[0.0], (problem.delivery - problem.pickup)[:, 0]])
    loads = routing.RegisterUnaryTransitVector(np.rint(-change if len(problem.pairs) else change).astype(int).tolist())
    routing.AddDimension(loads, 0, int(kind.capacity[0]), True, "load")
    if problem.has_windows:
        service = _whole(np.concatenate([[0.0], problem.service_time]), scale)
        way = routing.RegisterTransitMatrix((distance + service[:, None]).tolist())
        end = int(_whole(problem.depot_windows[0, 1], scale))
        routing.AddDimension(way, end, end, False, "time")
        time = routing.GetDimensionOrDie("time")
        hours = _whole(problem.windows[:, 0], scale)
        for client, (opens, closes) in enumerate(hours.tolist(), start=1):
            time.CumulVar(manager.NodeToIndex(client)).SetRange(opens, min(closes, end))
    for pickup, delivery in problem.pairs.tolist():
        a, b = manager.NodeToIndex(pickup), manager.NodeToIndex(delivery)
        routing.AddPickupAndDelivery(a, b)
        routing.solver().Add(routing.VehicleVar(a) == routing.VehicleVar(b))
        routing.solver().Add(time.CumulVar(a) <= time.CumulVar(b))
    options = pywrapcp.DefaultRoutingSearchParameters()
    options.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    options.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    options.time_limit.FromMilliseconds(int(1000 * seconds))
    found = routing.SolveWithParameters(options)
    if found is None:
        raise UnsuitedError("found no answer in time")
    routes = []
    for vehicle in range(count):
        index, route = found.Value(routing.NextVar(routing.Start(vehicle))), []
        while not routing.IsEnd(index):
            route.append(manager.IndexToNode(index))
            index = found.Value(routing.NextVar(index))
        if route:
            routes.append(route)
    return routes, [0] * len(routes), []


def vroom(problem: VRP, seconds: float, seed: int) -> Answer:  # noqa: ARG001 (it takes no seed)
    import vroom as peer

    kind = problem.vehicle_types[0]
    simple = len(problem.vehicle_types) == 1 and problem.num_depots == 1 and not problem.backhaul and not problem.groups
    if not simple or problem.travel.num_places > 1100 or problem.prize.any() or len(problem.pairs):
        raise UnsuitedError("not modelled here, or it does not keep to the time")
    scale = _scale(problem)
    model = peer.Input()
    distance = _whole(problem.travel.distance_matrix(), scale).astype(np.uint32)
    model.set_durations_matrix("car", distance)
    model.set_costs_matrix("car", distance)
    hours = None
    if problem.has_windows:
        hours = peer.TimeWindow(*(int(v) for v in _whole(problem.depot_windows[0], scale)))
    fewest = math.ceil(float(problem.delivery.sum()) / kind.capacity[0])
    extra = {} if hours is None else {"time_window": hours}
    for number in range(min(kind.count, problem.num_clients, fewest + max(10, fewest))):
        model.add_vehicle(peer.Vehicle(number, start=0, end=0, capacity=[int(kind.capacity[0])], **extra))
    for client in range(1, problem.travel.num_places):
        row = client - 1
        window = {}
        if hours is not None:
            window["time_windows"] = [peer.TimeWindow(*(int(v) for v in _whole(problem.windows[row, 0], scale)))]
        model.add_job(
            peer.Job(
                client,
                location=client,
                delivery=[int(problem.delivery[row, 0])],
                default_service=int(_whole(problem.service_time[row], scale)),
                **window,
            )
        )
    found = model.solve(exploration_level=5, nb_threads=1, timeout=datetime.timedelta(seconds=seconds))
    steps = found.routes
    jobs = steps[steps["type"] == "job"]
    routes = [list(map(int, part["id"])) for _, part in jobs.groupby("vehicle_id")]
    return routes, [0] * len(routes), []


SOLVERS: dict[str, Callable[[VRP, float, int], Answer]] = {
    "gnnlib": ours,
    "pyvrp": pyvrp,
    "hgs": hgs,
    "ortools": ortools,
    "vroom": vroom,
}
