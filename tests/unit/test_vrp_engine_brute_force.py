"""Small problems of every kind: the search finds what trying everything finds."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest

from gnnlib.heads.combinatorial.kernels import vrp_rich_moves, vrp_route, vrp_timed_moves
from gnnlib.heads.combinatorial.kernels.vrp_strings import ROUTE, SUCC
from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.decode_plain import PlainEngine
from gnnlib.heads.combinatorial.vrp.decode_rich import RichEngine
from gnnlib.heads.combinatorial.vrp.decode_timed import TimedEngine
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.problem import VRP, Group, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.stop import MaxIterations


def splits(items, most):
    """All ways to put items into at most `most` ordered lists, whatever the order of the lists."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for parts in splits(rest, most):
        for number, part in enumerate(parts):
            for at in range(len(part) + 1):
                yield [*parts[:number], [*part[:at], first, *part[at:]], *parts[number + 1 :]]
        if len(parts) < most:
            yield [*parts, [first]]


def with_reloads(route, depots, most):
    if not depots:
        yield route
        return
    gaps = range(1, len(route))
    for count in range(most + 1):
        for chosen in itertools.combinations(gaps, count):
            for stops in itertools.product(depots, repeat=count):
                longer = list(route)
                for gap, stop in sorted(zip(chosen, stops, strict=True), reverse=True):
                    longer.insert(gap, stop)
                yield longer


def priced(problem, route):
    """Lowest cost of a route for every type of vehicle that may drive it."""
    found = {}
    for kind, vehicle in enumerate(problem.vehicle_types):
        for longer in with_reloads(route, vehicle.reload_depots, vehicle.max_reloads or 0):
            alone = check_routes(problem, [longer], [kind])
            if not any(fault.startswith("route 1") for fault in alone.violations):
                cost = alone.cost - alone.uncollected_prizes
                found[kind] = min(cost, found.get(kind, math.inf))
    return found


def may_be_served(problem, served):
    clients = range(problem.num_depots, problem.travel.num_places)
    if any(problem.required[c - problem.num_depots] for c in clients if c not in served):
        return False
    counts = [(sum(c in served for c in group.clients), group.required) for group in problem.groups]
    return all(count == 1 or (count == 0 and not required) for count, required in counts)


def cheapest(problem):
    """Lowest cost of all feasible answers, by trying everything; infinite when there is none."""
    price = functools.cache(lambda route: priced(problem, list(route)))
    available = [kind.count for kind in problem.vehicle_types]
    clients = list(range(problem.num_depots, problem.travel.num_places))
    best = math.inf
    for served in itertools.chain.from_iterable(itertools.combinations(clients, k) for k in range(len(clients) + 1)):
        if not may_be_served(problem, served):
            continue
        left = np.array([c for c in clients if c not in served], int)
        lost = float(problem.prize[left - problem.num_depots].sum()) / problem.cost_scale
        for parts in splits(list(served), problem.num_vehicles):
            costs = [price(tuple(part)) for part in parts]
            for kinds in itertools.product(*costs):
                if all(kinds.count(kind) <= count for kind, count in enumerate(available)):
                    best = min(best, lost + sum(cost[kind] for cost, kind in zip(costs, kinds, strict=True)))
    return best


def coords(seed, n):
    return np.random.default_rng(seed).integers(0, 40, size=(n, 2)).astype(float)


def capacitated(seed):
    rng = np.random.default_rng(seed)
    return VRP.from_coords(
        coords(seed, 7), demand=rng.integers(1, 5, 6), capacity=8.0, num_vehicles=4, rounding="round"
    )


def windowed(seed):
    rng = np.random.default_rng(seed)
    opens = rng.integers(0, 80, 6)
    hours = np.vstack([[0, 300], np.stack([opens, opens + rng.integers(20, 60, 6)], 1)])
    service = rng.integers(0, 6, 6)
    return VRP.from_coords(
        coords(seed, 7), demand=np.ones(6), capacity=4.0, num_vehicles=5, windows=hours, service_time=service
    )


def several_windows(seed):
    problem = windowed(seed)
    windows = np.full((6, 2, 2), np.nan)
    windows[:, 0] = problem.windows[:, 0]
    windows[::2, 1] = problem.windows[::2, 0] + 120.0
    kinds = (VehicleType(5, (4.0,), duration_cost=0.5),)
    return VRP(problem.travel, kinds, delivery=problem.delivery, windows=windows, service_time=problem.service_time)


def timed_cost(seed):
    problem = windowed(seed)
    kinds = (VehicleType(5, (4.0,), duration_cost=1.0, distance_cost=0.3, max_duration=150.0, max_distance=140.0),)
    return VRP(
        problem.travel, kinds, delivery=problem.delivery, windows=problem.windows, service_time=problem.service_time
    )


def asymmetric(seed):
    rng = np.random.default_rng(seed)
    distances = rng.integers(1, 60, (2, 6, 6)).astype(float)
    durations = rng.integers(1, 60, (1, 6, 6)).astype(float)
    kinds = (VehicleType(2, (3.0,), max_duration=160.0), VehicleType(1, (9.0,), fixed_cost=20.0, profile=1))
    return VRP(Travel(distances=distances, durations=durations), kinds, delivery=np.ones((5, 1)))


def fleet(seed):
    rng = np.random.default_rng(seed)
    kinds = (
        VehicleType(2, (4.0, 9.0), fixed_cost=10.0),
        VehicleType(1, (12.0, 9.0), fixed_cost=30.0, distance_cost=1.2, skills=frozenset({"cold"})),
        VehicleType(2, (6.0, 3.0), fixed_cost=15.0, start=1, end=None),
    )
    skills = [frozenset({"cold"})] + [frozenset()] * 4
    loads = rng.integers(1, 4, (5, 2))
    return VRP(Travel(coords(seed, 7)), kinds, num_depots=2, delivery=loads, skills=tuple(skills))


def mixed(seed):
    rng = np.random.default_rng(seed)
    return VRP(
        Travel(coords(seed, 6)),
        (VehicleType(3, (6.0,)),),
        delivery=rng.integers(0, 4, (5, 1)),
        pickup=rng.integers(0, 4, (5, 1)),
    )


def backhaul(seed):
    rng = np.random.default_rng(seed)
    loads = rng.integers(1, 4, (6, 1))
    takes = np.arange(6)[:, None] % 3 == 0
    return VRP(
        Travel(coords(seed, 7), "round"),
        (VehicleType(4, (6.0,)),),
        delivery=np.where(takes, 0, loads),
        pickup=np.where(takes, loads, 0),
        backhaul=True,
    )


def prizes(seed):
    rng = np.random.default_rng(seed)
    prize = rng.integers(5, 45, 6).astype(float)
    prize[0] = 0.0
    return VRP(Travel(coords(seed, 7)), (VehicleType(3, (9.0,)),), delivery=rng.integers(1, 5, (6, 1)), prize=prize)


def groups(seed):
    members = (Group((1, 2, 3)), Group((4, 5), required=False))
    prize = np.array([0.0, 0.0, 0.0, 25.0, 30.0, 0.0])
    return VRP(
        Travel(coords(seed, 7)), (VehicleType(2, (3.0,)),), delivery=np.ones((6, 1)), groups=members, prize=prize
    )


def pairs(seed, **fields):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 4, 2)
    pickup, delivery = np.zeros((5, 1)), np.zeros((5, 1))
    pickup[:2, 0], delivery[2:4, 0] = size, size
    delivery[4, 0] = 1.0
    opens = rng.integers(0, 30, 5)
    windows = np.stack([opens, opens + 90], 1)[:, None]
    kinds = fields.pop("kinds", (VehicleType(3, (4.0,)),))
    return VRP(
        Travel(coords(seed, 6)), kinds, pickup=pickup, delivery=delivery, pairs=[[1, 3], [2, 4]], windows=windows
    )


def long_pairs(seed):
    return pairs(seed, kinds=(VehicleType(3, (4.0,), duration_cost=0.7),))


def reloading(seed):
    rng = np.random.default_rng(seed)
    kinds = (VehicleType(1, (6.0,), fixed_cost=40.0, reload_depots=(0, 1), max_reloads=2),)
    return VRP(Travel(coords(seed, 7)), kinds, num_depots=2, delivery=rng.integers(2, 4, (5, 1)))


MAKERS = (
    capacitated, windowed, several_windows, timed_cost, asymmetric, fleet, mixed, backhaul, prizes, groups, pairs,
    long_pairs, reloading,
)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_small_problems_of_every_kind_are_solved_to_the_optimum(make, seed):
    problem = make(seed)
    result = solve_vrp(problem, stop=MaxIterations(3000), seed=0)
    optimum = cheapest(problem)
    assert result.feasible == math.isfinite(optimum), result.violations
    if result.feasible:
        assert result.cost == pytest.approx(optimum, rel=1e-9)


def test_trying_everything_knows_a_problem_solved_by_hand():
    problem = VRP.from_coords([[0, 0], [3, 4], [0, 5], [9, 0]], demand=[4, 3, 5], capacity=8, num_vehicles=2)
    by_hand = min(
        math.hypot(3, 4) + math.hypot(3, 1) + 5 + 18,  # 1 and 2 together
        10 + 5 + math.hypot(9, 5) + 9,  # 2 and 3 together
    )
    assert cheapest(problem) == pytest.approx(by_hand)


def routes_of(engine, behind, kinds):
    flags, depots = engine._data.flags, dict(engine._data.stops.tolist())
    bodies, places = int(flags[vrp_route.BODIES]), int(flags[vrp_route.PLACES])
    routes, types = [], []
    for number in range(engine._data.num_routes):
        route, node = [], int(behind[bodies + number])
        while node < bodies:
            route.append(node if node < places else depots[node])
            node = int(behind[node])
        if route:
            routes.append(route)
            types.append(int(kinds[number]))
    return routes, types


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_after_every_round_cost_and_feasibility_are_those_of_the_independent_check(make):
    problem = make(5)
    engine = RichEngine(problem, RouteParams(), 5)
    for _ in range(80):
        engine.run((0.5 * engine.step, 0.5 * engine.step), 1)
        now = routes_of(engine, engine._links[:, SUCC], engine._lists[:, vrp_rich_moves.L_KIND])
        best = routes_of(engine, engine._best, engine._best_kind)
        for (routes, types), cost in ((now, engine._costs[0]), (best, engine._costs[1])):
            found = check_routes(problem, routes, types)
            missing = [fault for fault in found.violations if "served" in fault and "times" not in fault]
            assert len(missing) == len(found.violations), found.violations
            penalty = engine._settings[vrp_rich_moves.PENALTY] * len(missing)
            assert problem.cost_scale * found.cost + penalty == pytest.approx(cost, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("vehicles", [30, 9])
def test_the_engine_of_plain_problems_keeps_its_books_too(vehicles):
    rng = np.random.default_rng(3)
    problem = VRP.from_coords(
        rng.integers(0, 99, (41, 2)), demand=rng.integers(1, 9, 40), capacity=20.0, num_vehicles=vehicles
    )
    engine = PlainEngine(problem, RouteParams(), 1)
    for _ in range(200):
        engine.run((0.5 * engine.step, 0.5 * engine.step), 1)
        routes, types = engine.routes()
        found = check_routes(problem, routes, types)
        missing = [fault for fault in found.violations if "is not served" in fault]
        assert len(missing) == len(found.violations), found.violations
        penalty = engine._penalty * len(missing)
        assert found.cost + penalty == pytest.approx(engine.best_cost, rel=1e-9)


@pytest.mark.parametrize("vehicles", [30, 7])
@pytest.mark.parametrize("service", [0.0, 4.0])
def test_the_engine_of_problems_with_windows_keeps_its_books_too(vehicles, service):
    rng = np.random.default_rng(4)
    opens = rng.integers(0, 250, 41)
    windows = np.stack([opens, opens + rng.integers(20, 200, 41)], axis=1).astype(float)
    windows[0] = (0.0, 520.0)
    problem = VRP.from_coords(
        rng.integers(0, 99, (41, 2)), demand=rng.integers(1, 9, 40), capacity=40.0, num_vehicles=vehicles,
        windows=windows, service_time=np.full(40, service), rounding="floor",
    )  # fmt: skip
    engine = TimedEngine(problem, RouteParams(), 1)
    places = problem.travel.num_places
    for _ in range(300):
        engine.run((0.5 * engine.step, 0.5 * engine.step), 1)
        routes, types = engine.routes()
        found = check_routes(problem, routes, types)
        missing = [fault for fault in found.violations if "is not served" in fault]
        assert len(missing) == len(found.violations), found.violations
        penalty = engine._penalty * len(missing)
        assert found.cost + penalty == pytest.approx(engine.best_cost, rel=1e-9)
        # what is renewed only as far as it is felt is what the whole route says
        kept = engine._nodes.copy()
        for end in range(places, len(kept)):
            assert vrp_timed_moves.time_route(engine._links, engine._nodes, engine._clients, end)
        served = engine._links[1:places, ROUTE] < engine.num_routes
        np.testing.assert_array_equal(kept[1:places][served], engine._nodes[1:places][served])


def test_warm_routes_with_windows_that_come_too_late_are_taken_apart():
    windows = [[0.0, 100.0], [0.0, 5.0], [0.0, 6.0], [0.0, 100.0]]
    problem = VRP.from_coords([[0, 0], [0, 5], [5, 0], [5, 5]], demand=[1, 1, 1], capacity=3.0, windows=windows)
    engine = TimedEngine(problem, RouteParams(), 0, [[2, 1], [3]])
    routes, types = engine.routes()
    found = check_routes(problem, routes, types)
    assert found.feasible, found.violations
    assert found.cost == pytest.approx(engine.best_cost)
