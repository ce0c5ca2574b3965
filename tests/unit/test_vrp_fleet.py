"""Fewer vehicles on request: as few as trying everything finds, at the lowest cost with so many."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.vrp_cvrp_moves import WEIGHT
from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.decode_fleet import shed_routes
from gnnlib.heads.combinatorial.vrp.decode_plain import PlainEngine
from gnnlib.heads.combinatorial.vrp.decode_timed import TimedEngine
from gnnlib.heads.combinatorial.vrp.metrics import check_routes, plan_route
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime, NoImprovement

FEWEST = RouteParams(minimise_fleet=True)


def packed(seed):
    """Demands that fit into few vehicles only when they are packed well, at places that suggest something else."""
    rng = np.random.default_rng(seed)
    return VRP.from_coords(rng.integers(0, 60, (7, 2)), demand=rng.integers(2, 7, 6), capacity=9.0, rounding="round")


def hurried(seed):
    """Windows that one vehicle can keep in turn, by long ways."""
    rng = np.random.default_rng(seed)
    opens = rng.integers(90, 300, 6)
    hours = np.vstack([[0, 600], np.stack([opens, opens + rng.integers(40, 90, 6)], axis=1)])
    places = rng.integers(0, 60, (7, 2))
    return VRP.from_coords(places, demand=np.ones(6), capacity=5.0, windows=hours, service_time=np.full(6, 3.0))


def fewest_then_cheapest(problem):
    """Fewest routes, and the lowest cost with so many, by trying every order of every set of clients."""
    clients = range(1, problem.travel.num_places)
    price = {}
    for size in range(1, len(clients) + 1):
        for chosen in itertools.combinations(clients, size):
            plans = (plan_route(problem, order, 0) for order in itertools.permutations(chosen))
            price[chosen] = min((plan.distance for plan in plans if not plan.faults), default=math.inf)
    best = {(): (0, 0.0)}
    for chosen in sorted(price, key=len):
        best[chosen] = min(
            (
                (best[rest][0] + 1, best[rest][1] + price[part])
                for part in _parts_with_first(chosen)
                if math.isfinite(price[part]) and (rest := tuple(c for c in chosen if c not in part)) in best
            ),
            default=(len(clients) + 1, math.inf),
        )
    return best[tuple(clients)]


def _parts_with_first(chosen):
    for size in range(len(chosen)):
        for others in itertools.combinations(chosen[1:], size):
            yield (chosen[0], *others)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [packed, hurried])
def test_as_few_vehicles_as_trying_everything_finds_at_the_lowest_cost_with_so_many(make, seed):
    problem = make(seed)
    result = solve_vrp(problem, stop=MaxIterations(4000), seed=0, params=FEWEST)
    assert result.feasible, result.violations
    assert (len(result.routes), result.cost) == pytest.approx(fewest_then_cheapest(problem), rel=1e-9)


def test_vehicles_are_saved_that_the_cheapest_answer_uses():
    # two heavy clients in the west, two light ones in the east: two vehicles must go both ways
    places = [[0, 0], [-50, 0], [-50, 1], [50, 0], [50, 1]]
    problem = VRP.from_coords(places, demand=[6, 6, 4, 4], capacity=10.0)
    cheapest = solve_vrp(problem, stop=MaxIterations(1000), seed=0)
    fewest = solve_vrp(problem, stop=MaxIterations(1000), seed=0, params=FEWEST)
    assert (len(cheapest.routes), len(fewest.routes)) == (3, 2)
    assert fewest.cost > cheapest.cost
    again = solve_vrp(problem, stop=MaxIterations(1000), seed=0, params=FEWEST, warm_start=cheapest)
    assert len(again.routes) == 2
    kept = solve_vrp(problem, stop=MaxIterations(100), seed=0, params=FEWEST, warm_start=fewest)
    assert (len(kept.routes), kept.cost) == (2, pytest.approx(fewest.cost))


def test_demands_that_fill_all_vehicles_to_the_brim_are_packed():
    sizes = [5, 5, 4, 4, 4, 3, 3, 2, 6, 4, 7, 3]  # five vehicles of 10, nothing to spare
    places = np.random.default_rng(1).integers(0, 100, (13, 2))
    problem = VRP.from_coords(places, demand=sizes, capacity=10.0)
    result = solve_vrp(problem, stop=MaxIterations(8000), seed=0, params=FEWEST)
    assert result.feasible
    assert len(result.routes) == 5


@pytest.mark.parametrize(
    "stop", [MaxRuntime(0.3), NoImprovement(600), AnyOf(MaxRuntime(0.3), MaxIterations(900)), MaxIterations(0)]
)
def test_every_stop_leads_to_a_checked_answer(stop):
    for problem in (packed(7), hurried(7)):
        result = solve_vrp(problem, stop=stop, seed=1, params=FEWEST)
        assert result.feasible, result.violations
        assert result.trace[-1, 1] == pytest.approx(result.cost)


def test_clients_that_nobody_can_serve_do_not_keep_the_others_from_it():
    problem = packed(3)
    heavy = VRP(problem.travel, problem.vehicle_types, delivery=np.array([[3.0], [3.0], [99.0], [3.0], [3.0], [3.0]]))
    result = solve_vrp(heavy, stop=MaxIterations(1000), params=FEWEST)
    assert not result.feasible
    assert result.unserved == (3,)


def test_other_problems_are_told_what_to_do_instead():
    problem = packed(0)
    rich = VRP(problem.travel, (VehicleType(4, (9.0,), fixed_cost=5.0),), delivery=problem.delivery)
    with pytest.raises(InputError, match="`fixed_cost` instead"):
        solve_vrp(rich, params=FEWEST)


@pytest.mark.parametrize("engine_class", [PlainEngine, TimedEngine])
def test_who_is_absent_costs_more_with_every_round_until_the_search_gives_up(engine_class):
    # no two clients fit into one vehicle, though four would hold all demand
    hours = np.tile([0.0, 999.0], (7, 1)) if engine_class is TimedEngine else None
    places = np.random.default_rng(2).integers(0, 60, (7, 2))
    problem = VRP.from_coords(places, demand=np.full(6, 6.0), capacity=10.0, windows=hours)
    engine = engine_class(problem, RouteParams(), 0)
    usual = engine._clients[1:, WEIGHT].copy()
    weights = []

    def next_rounds(done):
        weights.append(float(engine._clients[1:, WEIGHT].sum()))
        return 50 if done < 200 else 0

    assert engine.fewest_routes == 4
    assert shed_routes(engine, 2.0 * engine.step, next_rounds) == 200
    assert weights[1:] == sorted(weights[1:])
    assert weights[-1] - weights[1] == pytest.approx(200 * 0.25 * usual[0])
    np.testing.assert_array_equal(engine._clients[1:, WEIGHT], usual)
    routes, types = engine.routes()
    assert engine.num_routes == len(routes) == 6
    found = check_routes(problem, routes, types)
    assert found.feasible
    assert found.cost == pytest.approx(engine.best_cost)
