"""`solve_tsp`: what a user may hand over, what comes back, what is refused."""

import json
import time

import networkx as nx
import numpy as np
import pytest

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.tsp import api
from gnnlib.heads.combinatorial.tsp.api import solve_tsp, warm_up
from gnnlib.heads.combinatorial.tsp.decode import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime, NoImprovement, TargetGap

FEW = MaxIterations(50)


def points(n, seed=0):
    return np.random.default_rng(seed).random((n, 2))


def assert_tour(result, n):
    assert np.array_equal(np.sort(result.order), np.arange(n))
    assert result.length == pytest.approx(result.problem.length(result.order))
    assert result.lower_bound <= result.length


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 12, 13, 14, 20, 100])
def test_every_number_of_cities_gives_a_tour(n):
    result = solve_tsp(TSP.from_coords(points(n)), stop=FEW)
    assert_tour(result, n)
    if n <= 12:
        assert result.is_optimal
        assert result.gap == 0.0


@pytest.mark.parametrize("n", [13, 40])
@pytest.mark.parametrize("prior", ["auto", "gnn", "alpha", "softdist", "knn", None])
def test_every_prior_gives_a_tour(n, prior):
    result = solve_tsp(points(n), stop=FEW, prior=prior)
    assert_tour(result, n)
    assert result.params["prior"] == prior


def test_same_seed_and_iterations_give_the_same_answer_bit_for_bit():
    first, second = (solve_tsp(points(200), stop=MaxIterations(300), seed=4) for _ in range(2))
    assert first.length == second.length
    assert np.array_equal(first.order, second.order)
    assert first.lower_bound == second.lower_bound
    assert first.iterations == second.iterations == 300


def test_different_seeds_search_differently():
    orders = {tuple(solve_tsp(points(300), stop=MaxIterations(30), seed=s, prior=None).order) for s in range(4)}
    assert len(orders) > 1


def test_warm_start_is_never_made_worse_even_without_time():
    problem = TSP.from_coords(points(300))
    good = solve_tsp(problem, stop=MaxIterations(500))
    for stop in (MaxRuntime(0), MaxIterations(0), MaxIterations(20)):
        again = solve_tsp(problem, stop=stop, warm_start=good)
        assert again.length <= good.length
    bad = np.arange(300)
    assert solve_tsp(problem, stop=FEW, warm_start=bad).length < problem.length(bad)


@pytest.mark.parametrize("warm", [np.arange(29), np.zeros(30, int), np.arange(1, 31), [0.5] * 30])
def test_warm_start_that_is_no_tour_is_refused(warm):
    with pytest.raises(InputError):
        solve_tsp(points(30), stop=FEW, warm_start=warm)


@pytest.mark.parametrize("n", [1, 5, 50, 5000])
def test_stop_of_zero_seconds_gives_a_valid_tour(n):
    result = solve_tsp(TSP.from_coords(points(n)), stop=MaxRuntime(0))
    assert_tour(result, n)
    assert result.iterations == 0


def test_time_limit_is_kept():
    warm_up()
    for n in (50, 3000):
        started = time.process_time()
        solve_tsp(points(n), stop=MaxRuntime(0.5))
        assert time.process_time() - started < 0.5 * 1.05 + 0.2  # CPU time: other programs do not count


def test_a_start_that_would_come_too_late_is_left_out(monkeypatch):
    monkeypatch.setattr(api, "_GREEDY_PER_BUILD", 1e9)
    late = solve_tsp(points(300), stop=MaxRuntime(5.0))
    assert_tour(late, 300)
    assert late.iterations == 0
    assert late.seconds < 5.0
    assert late.length < 1.5 * solve_tsp(points(300), stop=FEW).length  # a curve, not a random order
    warm = solve_tsp(points(300), stop=MaxIterations(20), warm_start=late)
    assert warm.length < late.length


def test_iterations_gap_and_lack_of_improvement_stop_the_search():
    assert solve_tsp(points(100), stop=MaxIterations(7)).iterations == 7
    result = solve_tsp(points(100), stop=AnyOf(TargetGap(0.05), MaxRuntime(20)))
    assert result.gap <= 0.05
    assert result.seconds < 15
    result = solve_tsp(points(60), stop=AnyOf(NoImprovement(200), MaxRuntime(20)))
    assert result.iterations >= 200
    assert result.seconds < 15


def test_interrupt_returns_the_best_tour_so_far(monkeypatch):
    calls = 0
    original = api.TourSearch.kick

    def interrupted(self, **options):
        nonlocal calls
        calls += 1
        self.clock.criterion = MaxIterations(100)
        original(self, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(api.TourSearch, "kick", interrupted)
    result = solve_tsp(points(80), stop=MaxRuntime(30))
    assert calls == 1
    assert_tour(result, 80)


def test_asymmetric_distances_are_solved_as_such():
    rng = np.random.default_rng(3)
    matrix = rng.random((40, 40))
    result = solve_tsp(matrix, stop=MaxIterations(400))
    assert_tour(result, 40)
    assert result.lower_bound > 0.8 * result.length
    ring = np.full((15, 15), 100.0)
    for i in range(15):
        ring[i, (i + 1) % 15] = 1.0  # cheap in one direction only
    result = solve_tsp(ring, stop=FEW)
    assert result.length == 15
    assert result.is_optimal
    start = int(np.flatnonzero(result.order == 0)[0])
    assert np.roll(result.order, -start).tolist() == list(range(15))


def test_fixed_edges_are_in_the_tour():
    problem = TSP(coords=points(40), fixed_edges=((0, 39), (5, 17)))
    result = solve_tsp(problem, stop=FEW)
    place = np.argsort(result.order)
    for i, j in problem.fixed_edges:
        assert abs(place[i] - place[j]) in {1, 39}
    free = solve_tsp(points(40), stop=MaxIterations(300))
    assert result.length >= free.lower_bound


def test_networkx_graph_keeps_its_node_names_and_missing_edges_are_avoided():
    graph = nx.grid_2d_graph(6, 4)
    nx.set_edge_attributes(graph, 1.0, "weight")
    result = solve_tsp(graph, stop=MaxIterations(500))
    assert result.length == 24
    assert result.is_optimal
    assert set(result.to_networkx().nodes) == set(graph.nodes)


def test_graph_without_a_hamiltonian_cycle_is_infeasible():
    star = nx.star_graph(14)
    nx.set_edge_attributes(star, 1.0, "weight")
    with pytest.raises(InfeasibleError, match="connection"):
        solve_tsp(star, stop=FEW)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_search_does_not_depend_on_the_unit_of_length(scale):
    xy = points(60, seed=5)
    unit = solve_tsp(xy, stop=MaxIterations(200))
    scaled = solve_tsp(xy * scale, stop=MaxIterations(200))
    assert scaled.length == pytest.approx(unit.length * scale, rel=2e-2)
    assert scaled.gap < 0.05


def test_all_cities_in_one_place_have_a_tour_of_length_zero():
    result = solve_tsp(np.ones((30, 2)), stop=FEW)
    assert result.length == 0.0
    assert result.is_optimal


def test_duplicated_and_collinear_cities_are_fine():
    doubled = np.repeat(points(20), 3, axis=0)
    assert_tour(solve_tsp(doubled, stop=FEW), 60)
    line = np.column_stack([np.arange(50.0), np.zeros(50)])
    result = solve_tsp(line[np.random.default_rng(0).permutation(50)], stop=MaxIterations(200))
    assert result.length == pytest.approx(98.0)


def test_points_of_space_are_solved_in_space():
    xyz = np.random.default_rng(0).random((60, 3))
    result = solve_tsp(xyz, stop=FEW)
    assert_tour(result, 60)
    steps = np.linalg.norm(xyz[result.order] - xyz[np.roll(result.order, -1)], axis=1)
    assert result.length == pytest.approx(steps.sum())


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (np.array([[0.0, np.nan], [1.0, 1.0]]), "nan|finite"),
        (np.zeros((0, 2)), "city|cities|empty|one"),
        (np.zeros((5, 4)), "shape"),
        (-np.ones((4, 4)), "negative|>= 0"),
        ("no_such_file.tsp", "no_such_file"),
        (7, "points"),
    ],
)
def test_bad_problems_are_refused_with_a_clear_error(problem, message):
    with pytest.raises((InputError, OSError), match=f"(?i){message}"):
        solve_tsp(problem, stop=FEW)


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="prior"):
        solve_tsp(points(20), prior="magic")
    with pytest.raises(InputError, match="stop"):
        solve_tsp(points(20), stop=5)
    with pytest.raises(InputError, match="seed"):
        solve_tsp(points(20), stop=FEW, seed=-1)
    with pytest.raises(TypeError, match="time_limit"):
        solve_tsp(points(20), time_limit=5)
    with pytest.raises(InputError, match="symmetric"):
        solve_tsp(np.random.default_rng(0).random((20, 20)), prior="gnn", stop=FEW)
    with pytest.raises(InputError, match="breadth"):
        SearchParams(breadth=())
    with pytest.raises(InputError, match="num_neighbours"):
        SearchParams(num_neighbours=1)
    with pytest.raises(InputError, match="bound_share"):
        SearchParams(bound_share=1.0)
    with pytest.raises(InputError, match="walk_share"):
        SearchParams(walk_share=0.8, long_share=0.3)
    with pytest.raises(InputError, match="temperature"):
        SearchParams(temperature=float("nan"))


@pytest.mark.parametrize("count", [2, 3, 4, 6, 20])
def test_any_number_of_candidates_gives_a_tour(count):
    params = SearchParams(num_candidates=count, num_prior_candidates=count)
    for prior in ("alpha", None):
        assert_tour(solve_tsp(points(60), stop=FEW, prior=prior, params=params), 60)


def test_result_tells_its_story():
    result = solve_tsp(TSP.from_coords(points(30) * 1000, metric="EUC_2D", name="thirty"), stop=MaxIterations(200))
    assert isinstance(result.length, int)
    assert result.lower_bound == int(result.lower_bound)
    assert np.all(np.diff(result.trace[:, 1]) < 0)
    assert np.all(np.diff(result.trace[:, 0]) >= 0)
    assert result.trace[-1, 1] == result.length
    assert "thirty" in result.summary()
    assert json.loads(json.dumps(result.to_dict()))["length"] == result.length
    assert "<table>" in result._repr_html_()
