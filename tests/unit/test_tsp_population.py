"""Population stage, alternatives and several processes through `solve_tsp`."""

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.tsp import population
from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.decode import TourSearch
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime, TargetGap


def points(n, seed=0):
    return np.random.default_rng(seed).random((n, 2))


def edges(order):
    return {frozenset(e) for e in zip(order.tolist(), np.roll(order, -1).tolist(), strict=True)}


def test_population_of_given_size_depends_on_the_seed_alone():
    params = SearchParams(population=10)
    first, second = (solve_tsp(points(300), stop=MaxIterations(400), params=params, seed=3) for _ in range(2))
    assert np.array_equal(first.order, second.order)
    assert first.iterations == second.iterations == 400


def test_population_finds_what_as_many_kicks_do_not():
    xy = points(400, seed=2)
    crossed = solve_tsp(xy, stop=MaxIterations(600), params=SearchParams(population=30))
    kicked = solve_tsp(xy, stop=MaxIterations(600), params=SearchParams(population=0))
    assert crossed.length < kicked.length
    assert crossed.gap < 0.012


@pytest.mark.parametrize("size", [2, 5])
def test_iterations_end_a_population_in_the_middle_of_a_generation(size):
    result = solve_tsp(points(100), stop=MaxIterations(3), params=SearchParams(population=size))
    assert result.iterations == 3
    assert np.array_equal(np.sort(result.order), np.arange(100))


def test_time_limit_runs_the_population_and_keeps_a_warm_start():
    problem = TSP.from_coords(points(200, seed=1))
    good = solve_tsp(problem, stop=MaxRuntime(0.7))
    again = solve_tsp(problem, stop=MaxRuntime(0.3), warm_start=good, seed=1)
    assert again.length <= good.length


def test_gap_to_the_bound_ends_the_population():
    result = solve_tsp(points(200), stop=AnyOf(TargetGap(0.03), MaxRuntime(20)))
    assert result.gap <= 0.03
    assert result.seconds < 15


def test_asymmetric_distances_go_through_the_population():
    matrix = np.random.default_rng(1).random((40, 40))
    crossed = solve_tsp(matrix, stop=MaxIterations(200), params=SearchParams(population=12))
    assert np.array_equal(np.sort(crossed.order), np.arange(40))
    assert crossed.lower_bound <= crossed.length == pytest.approx(crossed.problem.length(crossed.order))
    assert crossed.gap < 0.1


def test_fixed_edges_survive_the_population():
    problem = TSP(coords=points(60), fixed_edges=((0, 59), (5, 17)))
    result = solve_tsp(problem, stop=MaxIterations(200), params=SearchParams(population=12))
    assert all(frozenset(e) in edges(result.order) for e in problem.fixed_edges)


@pytest.mark.parametrize("size", [0, 10])
def test_alternatives_are_distinct_good_tours_the_shortest_first(size):
    params = SearchParams(population=size, alternatives=4)
    result = solve_tsp(points(120), stop=MaxIterations(300), params=params)
    assert result.alternatives.shape == (4, 120)
    lengths = [result.problem.length(order) for order in result.alternatives]
    assert lengths == sorted(lengths)
    assert result.length <= lengths[0]
    assert lengths[-1] < 1.06 * result.length
    different = {frozenset(edges(order)) for order in [result.order, *result.alternatives]}
    assert len(different) == 5


def test_no_alternatives_unless_asked_for():
    assert solve_tsp(points(30), stop=MaxIterations(5)).alternatives.shape == (0, 30)


def test_several_processes_search_from_their_own_seeds_and_repeat_themselves():
    first, second = (solve_tsp(points(150), stop=MaxIterations(40), seed=2, n_jobs=2) for _ in range(2))
    assert np.array_equal(first.order, second.order)
    assert first.iterations == 80
    assert first.params["n_jobs"] == 2
    assert np.all(np.diff(first.trace[:, 1]) < 0)


def test_several_processes_share_a_time_limit():
    problem = TSP.from_coords(points(200))
    bad = np.arange(200)  # the only tour that a busy machine may leave time for
    result = solve_tsp(problem, stop=MaxRuntime(1.0), warm_start=bad, n_jobs=2)
    assert np.array_equal(np.sort(result.order), np.arange(200))
    assert result.length <= problem.length(bad)
    assert result.params["stop"] == "MaxRuntime(seconds=1.0)"


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, True])
def test_bad_numbers_of_processes_are_refused(n_jobs):
    with pytest.raises(InputError, match="n_jobs"):
        solve_tsp(points(20), stop=MaxIterations(1), n_jobs=n_jobs)


def test_bad_population_settings_are_refused():
    for bad in ({"population": -1}, {"alternatives": -1}, {"children": 0}, {"start_noise": float("nan")}):
        with pytest.raises(InputError, match="population"):
            SearchParams(**bad)


def search_on(n, iterations, size):
    instance = SearchInstance.build(TSP.from_coords(points(n, seed=4)), 10)
    search = TourSearch(instance, MaxIterations(iterations).start(), SearchParams(population=size), seed=0)
    search.descend()
    return search


def test_blocks_of_cycles_go_on_where_single_ones_change_nothing(monkeypatch):
    found = []
    for share in (-1.0, population._FEW):  # without blocks, and with them
        monkeypatch.setattr(population, "_FEW", share)
        search = search_on(300, 3000, 40)
        evolution = population._Evolution(search, 5)
        assert evolution.grow(40, 2, is_first=True)
        evolution.run([])
        found.append(evolution.population.lengths)
    singles, blocks = found
    assert len(np.unique(blocks.round(9))) < len(np.unique(singles.round(9)))
    assert blocks.mean() < singles.mean()


def test_later_populations_grow_up_apart_and_then_meet_the_best_before():
    search = search_on(150, 10**6, 12)
    elites = []
    assert population.evolve(search, 1, 12, 2, elites) is not None
    first = elites[0].copy()
    evolution = population._Evolution(search, 2)
    assert evolution.grow(12, 2, is_first=False)
    assert len(evolution.tours) == 12
    apart = min(evolution.lengths)
    assert apart > search.raw_length
    evolution.run(elites)
    assert len(elites) == 2
    assert np.array_equal(elites[0], first)
    lengths = [tour_length(search.instance.data, elite) for elite in elites]
    assert search.raw_length <= min(lengths) + 1e-9
    assert evolution.population.lengths.min() <= min(lengths) + 1e-9


def test_later_populations_see_more_candidates_and_the_same_ones_first():
    problem = TSP.from_coords(points(150, seed=4))
    search = TourSearch(SearchInstance.build(problem, 10), MaxRuntime(5).start(), SearchParams(), seed=0)
    search.descend()
    search.use_prior("softdist")
    narrow, wide = search._candidates, search.widened()
    assert wide.cities.shape == (150, 10)
    np.testing.assert_array_equal(wide.cities[:, :6], narrow.cities)
    assert all(len(set(row)) == 10 and city not in row for city, row in enumerate(wide.cities.tolist()))
    np.testing.assert_allclose(wide.lengths, search.instance.lengths_of(wide.cities))
    assert (wide.penalties[:, 6:] >= narrow.penalties.max(axis=1, keepdims=True)).all()


def test_noise_on_the_joins_must_not_be_negative():
    with pytest.raises(InputError, match="join_noise"):
        SearchParams(join_noise=-0.1)
