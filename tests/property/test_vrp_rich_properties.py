"""Random rich problems: every answer passes the independent check, adds up, and does not depend on who is called what."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.builder import VRPBuilder
from gnnlib.heads.combinatorial.vrp.explain import explain_unservable
from gnnlib.heads.combinatorial.vrp.export import result_networkx, routes_by_vehicle
from gnnlib.heads.combinatorial.vrp.metrics import check_routes, plan_route
from gnnlib.heads.combinatorial.vrp.problem import VRP, Group
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType
from gnnlib.stop import MaxIterations

STOP = MaxIterations(60)
SKILLS = ("crane", "cold")


@st.composite
def vehicle_types(draw, depots, dimensions, profiles):
    def kind():
        return VehicleType(
            draw(st.integers(1, 3)),
            tuple(float(draw(st.integers(5, 20))) for _ in range(dimensions)),
            start=draw(st.integers(0, depots - 1)),
            end=draw(st.none() | st.integers(0, depots - 1)),
            fixed_cost=draw(st.sampled_from([0.0, 7.0, 100.0])),
            distance_cost=draw(st.sampled_from([1.0, 2.5])),
            duration_cost=draw(st.sampled_from([0.0, 0.5])),
            shift=draw(st.sampled_from([(0.0, math.inf), (0.0, 300.0), (50.0, 400.0)])),
            max_distance=draw(st.sampled_from([math.inf, 250.0])),
            max_duration=draw(st.sampled_from([math.inf, 300.0])),
            skills=frozenset(draw(st.sets(st.sampled_from(SKILLS)))),
            profile=draw(st.integers(0, profiles - 1)),
            reload_depots=draw(st.sampled_from([(), (0,)])),
            max_reloads=draw(st.sampled_from([None, 1])),
        )

    return [kind() for _ in range(draw(st.integers(1, 3)))]


@st.composite
def rich_problems(draw):
    """Every feature, alone or together with others, on a few clients."""
    builder = VRPBuilder("rich")
    depots, clients = draw(st.integers(1, 2)), draw(st.integers(1, 9))
    dimensions, profiles = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    has_windows, has_loads, backhaul = (draw(st.booleans()) for _ in range(3))
    for _ in range(depots):
        builder.add_depot(tuple(rng.integers(0, 100, 2)), opening=(0, 500) if has_windows else (0, math.inf))
    free = []
    for _ in range(clients):
        spans, start = [], 0.0
        for _ in range(int(rng.integers(0, 3)) if has_windows else 0):
            opening = start + float(rng.integers(0, 150))
            start = opening + float(rng.integers(10, 200))
            spans.append((opening, start))
            start += 1.0
        load = rng.integers(0, 8, size=(2, dimensions)) if has_loads else np.zeros((2, dimensions))
        is_giver = backhaul and rng.random() < 0.3
        free.append(
            builder.add_client(
                tuple(rng.integers(0, 100, 2)),
                delivery=() if is_giver else load[0],
                pickup=load[1] if is_giver or (not backhaul and rng.random() < 0.3) else (),
                service_time=float(rng.integers(0, 10)),
                windows=spans,
                prize=float(rng.choice([0.0, 0.0, 40.0])),
                skills=set(rng.choice(SKILLS, int(rng.random() < 0.2))),
            )
        )
    if draw(st.booleans()) and len(free) >= 3:
        builder.add_group([free.pop(), free.pop()], required=draw(st.booleans()))
    if draw(st.booleans()) and not backhaul:
        shop, home = builder.add_client((50, 50)), builder.add_client((60, 20))
        builder.add_pair(shop, home, load=np.full(dimensions, 3.0))
    for kind in draw(vehicle_types(depots, dimensions, profiles)):
        builder.add_vehicle_type(kind)
    if profiles > 1 or draw(st.booleans()):
        size = builder.num_places
        matrices = rng.integers(1, 120, size=(profiles, size, size)).astype(float)
        matrices[:, np.arange(size), np.arange(size)] = 0.0
        return builder.build(distances=matrices, durations=matrices[:, ::-1, ::-1] + 1.0, backhaul=backhaul)
    return builder.build(rounding=draw(st.sampled_from(["exact", "round"])), backhaul=backhaul)


def only_missing(violations):
    """Whether all that is broken is that somebody is not served."""
    return all("is not served" in text or "0 clients are served" in text for text in violations)


slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@slow
@given(rich_problems())
def test_every_answer_breaks_nothing_but_may_leave_somebody_out(problem):
    result = solve_vrp(problem, stop=STOP)
    found = check_routes(problem, result.routes, result.vehicle_types)
    assert only_missing(found.violations), found.violations
    assert found.cost == pytest.approx(result.cost)
    assert result.cost == pytest.approx(sum(result.cost_parts.values()))


@slow
@given(rich_problems())
def test_nobody_is_served_who_is_said_to_be_unservable(problem):
    reasons = dict(explain_unservable(problem))
    result = solve_vrp(problem, stop=STOP)
    served = {place for route in result.routes for place in route}
    assert not served & set(reasons)
    assert all(reasons.values())
    for client in set(range(problem.num_depots, problem.travel.num_places)) - set(reasons):
        partner = [pair for pair in problem.pairs.tolist() if client in pair]
        tasks = partner[0] if partner else [client]
        faults = [plan_route(problem, tasks, k).faults for k, t in enumerate(problem.vehicle_types) if t.count]
        assert any(set(fault) <= {"it holds pickups only"} for fault in faults)


@slow
@given(rich_problems(), st.integers(0, 2**32 - 1))
def test_renaming_clients_changes_neither_cost_nor_feasibility(problem, seed):
    result = solve_vrp(problem, stop=MaxIterations(20))
    first, order = problem.num_depots, np.random.default_rng(seed).permutation(problem.num_clients)
    renamed = _renamed(problem, order)
    new_name = np.concatenate([np.arange(first), first + np.argsort(order)])
    routes = [new_name[list(route)].tolist() for route in result.routes]
    found = check_routes(renamed, routes, result.vehicle_types)
    assert found.cost == pytest.approx(result.cost)
    assert found.feasible == result.feasible
    assert len(found.violations) == len(result.violations)


def _renamed(problem: VRP, order) -> VRP:
    """Client in row order[i] of `problem` stands in row i of the answer."""
    first, travel = problem.num_depots, problem.travel
    rows = np.concatenate([np.arange(first), first + order])
    name = np.concatenate([np.arange(first), first + np.argsort(order)])
    pick = lambda m: None if m is None else m[:, rows][:, :, rows]  # noqa: E731
    return VRP(
        Travel(
            None if travel.coords is None else travel.coords[rows],
            travel.rounding,
            pick(travel.distances),
            pick(travel.durations),
        ),
        problem.vehicle_types,
        num_depots=first,
        delivery=problem.delivery[order],
        pickup=problem.pickup[order],
        service_time=problem.service_time[order],
        windows=problem.windows[order],
        prize=problem.prize[order],
        required=problem.required[order],
        depot_windows=problem.depot_windows,
        skills=tuple(problem.skills[row] for row in order),
        groups=tuple(Group(tuple(name[list(g.clients)].tolist()), g.required) for g in problem.groups),
        pairs=name[problem.pairs],
        backhaul=problem.backhaul,
    )


@slow
@given(rich_problems())
def test_files_and_graphs_hold_the_same_routes(problem):
    result = solve_vrp(problem, stop=MaxIterations(10))
    if result.feasible:
        assert check_routes(problem, routes_by_vehicle(result)).cost == pytest.approx(result.cost)
    graph = result_networkx(result)
    distance = sum(plan.distance for plan in result.plans)
    assert graph.size(weight="weight") == pytest.approx(distance)
    assert result.to_dict()["cost"] == result.cost
    assert len(result.summary().splitlines()) > 4
