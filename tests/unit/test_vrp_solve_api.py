"""`solve_vrp`: stops, seeds, warm starts, interrupts, partial answers, bad options."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.api import solve_vrp, warm_up
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime, NoImprovement, TargetGap


def plain(n=60, seed=0, **fields):
    rng = np.random.default_rng(seed)
    fields = {"capacity": 20.0, "rounding": "round", **fields}
    return VRP.from_coords(rng.integers(0, 200, (n + 1, 2)), demand=rng.integers(1, 6, n), **fields)


def timed(n=40, seed=0):
    rng = np.random.default_rng(seed)
    opens = rng.integers(0, 300, n)
    hours = np.vstack([[0, 2000], np.stack([opens, opens + 400], 1)])
    return plain(n, seed, windows=hours, service_time=np.full(n, 5.0))


@pytest.mark.parametrize("problem", [plain(), timed()], ids=["plain", "timed"])
def test_every_answer_passes_the_independent_check_and_its_cost_is_the_sum_of_parts(problem):
    result = solve_vrp(problem, stop=MaxIterations(400), seed=1)
    found = check_routes(problem, result.routes, result.vehicle_types)
    assert found.violations == ()
    assert found.cost == result.cost == pytest.approx(sum(result.cost_parts.values()))
    assert sorted(c for route in result.routes for c in route) == list(range(1, problem.num_clients + 1))


@pytest.mark.parametrize("problem", [plain(), timed()], ids=["plain", "timed"])
def test_the_same_seed_and_iterations_give_the_same_routes(problem):
    one, two = (solve_vrp(problem, stop=MaxIterations(1200), seed=7) for _ in range(2))
    assert one.routes == two.routes
    assert one.iterations == two.iterations == 1200
    assert one.routes != solve_vrp(problem, stop=MaxIterations(1200), seed=8).routes


@pytest.mark.parametrize("problem", [plain(), timed()], ids=["plain", "timed"])
def test_more_rounds_do_not_end_behind_the_first_answer(problem):
    start = solve_vrp(problem, stop=MaxIterations(0))
    later = solve_vrp(problem, stop=MaxIterations(3000))
    assert start.feasible
    assert later.cost < start.cost
    assert [cost for _, cost in later.trace] == sorted((cost for _, cost in later.trace), reverse=True)
    assert later.trace[-1, 1] == pytest.approx(later.cost)


@pytest.mark.parametrize("problem", [plain(), timed()], ids=["plain", "timed"])
@pytest.mark.parametrize("rounds", [0, 1, 50])
def test_a_warm_start_is_never_made_worse(problem, rounds):
    good = solve_vrp(problem, stop=MaxIterations(2000), seed=3)
    for hot in (0.0, 100.0):
        params = RouteParams(start_temperature=hot, end_temperature=min(hot, 1.0))
        for given in (good, good.routes):
            again = solve_vrp(problem, stop=MaxIterations(rounds), seed=5, warm_start=given, params=params)
            assert again.feasible
            assert again.cost <= good.cost


def test_a_warm_start_that_misses_clients_is_completed():
    problem = plain(20)
    result = solve_vrp(problem, stop=MaxIterations(0), warm_start=[[1, 2], [5]])
    assert result.feasible


def test_a_warm_start_that_may_not_be_driven_is_mended():
    result = solve_vrp(plain(20), stop=MaxIterations(10), warm_start=[list(range(1, 21))])
    assert result.feasible
    assert solve_vrp(timed(20), stop=MaxIterations(10), warm_start=[list(range(20, 0, -1))]).feasible


def test_a_warm_start_with_a_client_in_two_routes_or_out_of_range_is_refused():
    with pytest.raises(InputError, match="client 2"):
        solve_vrp(plain(5), warm_start=[[1, 2], [2, 3]])
    with pytest.raises(InputError, match="found 9"):
        solve_vrp(plain(5), warm_start=[[1, 9]])


@pytest.mark.parametrize(
    "stop",
    [
        MaxRuntime(0.0),
        MaxRuntime(0.05),
        MaxIterations(30),
        NoImprovement(100),
        AnyOf(MaxIterations(10), TargetGap(0.0)),
        AnyOf(MaxRuntime(30.0), MaxIterations(40)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("problem", [plain(), timed()], ids=["plain", "timed"])
def test_every_stop_ends_the_search_with_a_feasible_answer(problem, stop):
    result = solve_vrp(problem, stop=stop)
    assert result.feasible
    assert result.iterations <= stop.max_iterations


def test_an_interrupt_returns_the_best_so_far():
    warm_up()
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    result = solve_vrp(plain(), stop=MaxRuntime(20.0))
    timer.join()
    assert result.feasible
    assert result.seconds < 20.0


def test_clients_that_do_not_fit_are_left_out_and_named():
    problem = plain(30, num_vehicles=2)
    result = solve_vrp(problem, stop=MaxIterations(300))
    assert not result.feasible
    assert result.unserved
    assert all("is not served" in fault for fault in result.violations)
    assert {c for r in result.routes for c in r} | set(result.unserved) == set(range(1, 31))


@pytest.mark.parametrize("make", [plain, timed], ids=["plain", "timed"])
def test_a_client_whom_nobody_can_serve_is_explained_and_the_others_are_served(make):
    problem = make(12)
    loads = problem.delivery.copy()
    loads[4] = 99.0
    heavy = VRP(
        problem.travel,
        problem.vehicle_types,
        delivery=loads,
        windows=problem.windows,
        depot_windows=problem.depot_windows[:, None],
        service_time=problem.service_time,
    )
    result = solve_vrp(heavy, stop=MaxIterations(100))
    assert result.unserved == (5,)
    assert result.unservable[0][0] == 5
    assert "capacity" in result.unservable[0][1]


def test_one_client_equal_places_and_loads_of_zero_are_no_obstacle():
    one = VRP.from_coords([[0, 0], [3, 4]], demand=[0], capacity=0)
    assert solve_vrp(one, stop=MaxIterations(5)).cost == 10.0
    same = VRP.from_coords(np.zeros((30, 2)), demand=np.zeros(29), capacity=1)
    assert solve_vrp(same, stop=MaxIterations(50)).cost == 0.0


def test_huge_numbers_stay_feasible():
    problem = VRP.from_coords(1e9 * np.random.default_rng(0).random((20, 2)), demand=np.full(19, 1e11), capacity=5e11)
    result = solve_vrp(problem, stop=MaxIterations(200))
    assert result.feasible
    assert len(result.routes) >= 4


def test_a_way_that_does_not_exist_is_not_driven():
    distances = np.array([[[0, 1, 1, 1], [1, 0, np.inf, 1], [1, 1, 0, 1], [np.inf, 1, 1, 0]]])
    problem = VRP(Travel(distances=distances), (VehicleType(1, ()),))
    result = solve_vrp(problem, stop=MaxIterations(300))
    assert result.feasible
    assert result.cost == 4.0


def test_several_processes_give_the_best_of_their_seeds():
    problem = plain(30)
    result = solve_vrp(problem, stop=MaxIterations(50), seed=0, n_jobs=2)
    assert result.feasible
    assert result.params["n_jobs"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stop": 5}, "`stop` must be a stopping criterion"),
        ({"prior": "magic"}, "`prior` must be one of"),
        ({"n_jobs": 0}, "`n_jobs` must be"),
        ({"n_jobs": True}, "`n_jobs` must be"),
        ({"seed": -1}, "`seed` must be"),
    ],
)
def test_bad_options_are_refused_with_what_must_hold(options, words):
    with pytest.raises(InputError, match=words):
        solve_vrp(plain(5), **{"stop": MaxIterations(1), **options})


@pytest.mark.parametrize(
    "options",
    [{"num_neighbours": 1}, {"mean_removed": 0.0}, {"blink": 1.0}, {"start_temperature": 0.1, "end_temperature": 1.0}],
)
def test_bad_settings_are_refused(options):
    with pytest.raises(InputError, match="must be"):
        RouteParams(**options)


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("prior", ["distance", "gnn", None])
def test_every_prior_leads_to_checked_routes(prior, windows):
    problem = generate_vrp(40, windows=windows, seed=3)
    results = [solve_vrp(problem, stop=MaxIterations(3000), seed=1, prior=prior) for _ in range(2)]
    assert results[0].feasible
    assert not results[0].unserved
    assert results[0].routes == results[1].routes
    assert results[0].cost <= 1.05 * solve_vrp(problem, stop=MaxIterations(3000), seed=1).cost


def test_the_network_is_not_asked_when_too_little_time_is_left(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the network was asked")

    for module in ("decode_plain", "decode_rich"):
        monkeypatch.setattr(f"gnnlib.heads.combinatorial.vrp.{module}.order_neighbours", fail)
    problem = generate_vrp(100, seed=3)
    assert solve_vrp(problem, stop=MaxRuntime(0.05), seed=1, prior="gnn").feasible
    with pytest.raises(AssertionError, match="was asked"):
        solve_vrp(problem, stop=MaxRuntime(1.0), seed=1, prior="gnn")
