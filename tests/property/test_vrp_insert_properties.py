"""Insertion that gives up early decides as insertion that goes on to the end; fewer vehicles never become more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnnlib.heads.combinatorial.kernels import vrp_cvrp_moves, vrp_timed_moves
from gnnlib.heads.combinatorial.kernels.vrp_strings import SUCC
from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.decode_plain import PlainEngine
from gnnlib.heads.combinatorial.vrp.decode_timed import TimedEngine
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.problem import VRP
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.stop import MaxIterations

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def exact(problem):
    """The same problem without rounding: no way over a client is shorter than the direct one."""
    return VRP(
        Travel(problem.travel.coords), problem.vehicle_types, delivery=problem.delivery, windows=problem.windows,
        service_time=problem.service_time, depot_windows=problem.depot_windows,
    )  # fmt: skip


def engine_without(problem, is_timed, routes, gone):
    """An engine in whose routes some clients are missing, who have not been put back yet."""

    class Waiting(TimedEngine if is_timed else PlainEngine):
        def _insert(self, clients, log):
            return 0.0

    kept = [[client for client in route if client not in gone] for route in routes]
    return Waiting(problem, RouteParams(blink=0.0), 0, [route for route in kept if route])


@few
@given(st.integers(5, 40), st.booleans(), st.integers(0, 10**6))
def test_giving_up_early_decides_as_going_on_to_the_end(size, is_timed, seed):
    problem = exact(generate_vrp(size, windows=is_timed, clients_per_route=5.0, seed=seed))
    rng = np.random.default_rng(seed)
    gone = rng.permutation(np.arange(1, size + 1))[: min(size, 8)]
    routes = solve_vrp(problem, stop=MaxIterations(20), seed=0).routes
    insert = vrp_timed_moves.insert_timed if is_timed else vrp_cvrp_moves.insert_clients

    def outcome(limit):
        engine = engine_without(problem, is_timed, routes, set(gone.tolist()))
        change = insert(
            engine._links, engine._nodes, engine._routes, engine._clients, engine._near, engine._apart,
            engine._settings, engine._rng, engine._state, engine._lists, gone.copy(), len(gone),
            np.zeros((4 * size, 2), np.int64), limit,
        )  # fmt: skip
        return change, engine._links[:, SUCC].tolist()

    change, behind = outcome(np.inf)
    assert np.isfinite(change)
    for limit in (change, 1.01 * change + 1.0, 10.0 * change):
        found, links = outcome(limit)
        assert found == pytest.approx(change, rel=1e-12)
        assert links == behind
    for limit in (0.999 * change - 0.001, 0.5 * change - 0.001, -1.0):
        assert outcome(limit)[0] == np.inf


@few
@given(st.integers(5, 30), st.booleans(), st.integers(0, 10**6))
def test_asking_for_few_vehicles_never_brings_more(size, is_timed, seed):
    problem = generate_vrp(size, windows=is_timed, demand="50-100", clients_per_route=4.0, seed=seed)
    usual = solve_vrp(problem, stop=MaxIterations(600), seed=seed)
    fewest = solve_vrp(problem, stop=MaxIterations(600), seed=seed, params=RouteParams(minimise_fleet=True))
    assert fewest.feasible
    assert not fewest.unserved
    assert len(fewest.routes) <= len(usual.routes)
    warm = RouteParams(minimise_fleet=True)
    again = solve_vrp(problem, stop=MaxIterations(60), seed=seed + 1, params=warm, warm_start=usual)
    assert len(again.routes) <= len(usual.routes)
