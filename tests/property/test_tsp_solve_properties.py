"""Properties of `solve_tsp` on random small problems."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.stop import MaxIterations

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
grids = st.integers(13, 40).flatmap(lambda n: arrays(np.int64, (n, 2), elements=st.integers(0, 60)))


@given(matrix=st.integers(2, 7).flatmap(lambda n: arrays(np.int64, (n, n), elements=st.integers(0, 50))))
@quick
def test_small_problems_are_solved_to_the_optimum_of_brute_force(matrix):
    np.fill_diagonal(matrix, 0)
    problem = TSP.from_matrix(matrix.astype(float))
    best = min(problem.length((0, *rest)) for rest in permutations(range(1, len(matrix))))
    result = solve_tsp(problem)
    assert result.length == best
    assert result.is_optimal


@given(grid=grids, metric=st.sampled_from(["EUC_2D", "CEIL_2D", "ATT", "MAN_2D", "MAX_2D", "EUCLIDEAN"]))
@quick
def test_bound_tour_and_proof_agree_for_every_metric(grid, metric):
    problem = TSP.from_coords(grid, metric=metric)
    result = solve_tsp(problem, stop=MaxIterations(30))
    assert np.array_equal(np.sort(result.order), np.arange(len(grid)))
    assert result.lower_bound <= result.length
    assert result.is_optimal == (result.length <= result.lower_bound + 1e-9 * result.length)
    other = solve_tsp(problem, stop=MaxIterations(60), seed=1, prior=None)
    assert other.length >= result.lower_bound * (1 - 1e-12)
    if result.is_optimal:
        assert other.length >= result.length * (1 - 1e-9)


@given(cities=st.integers(13, 16), seed=st.integers(0, 10**6), asymmetric=st.booleans())
@settings(max_examples=8, deadline=None)
def test_bound_and_search_enclose_the_exact_optimum(cities, seed, asymmetric):
    from gnnlib.heads.combinatorial.kernels.held_karp import held_karp_dp

    matrix = np.random.default_rng(seed).integers(1, 100, (cities, cities)).astype(float)
    if not asymmetric:
        matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    _, optimum = held_karp_dp(matrix)
    result = solve_tsp(matrix, stop=MaxIterations(300))
    assert result.lower_bound <= optimum <= result.length
    assert result.length <= 1.05 * optimum


@given(grid=grids, seed=st.integers(0, 1000))
@quick
def test_numbering_of_the_cities_changes_neither_feasibility_nor_bound(grid, seed):
    shuffle = np.random.default_rng(seed).permutation(len(grid))
    first = solve_tsp(TSP.from_coords(grid), stop=MaxIterations(100))
    second = solve_tsp(TSP.from_coords(grid[shuffle]), stop=MaxIterations(100))
    assert second.problem.length(second.order) == pytest.approx(first.problem.length(shuffle[second.order]), rel=1e-12)
    assert first.lower_bound <= second.length * (1 + 1e-12)
    assert second.lower_bound <= first.length * (1 + 1e-12)


@given(grid=grids, metric=st.sampled_from(["EUC_2D", "MAX_2D", "EUCLIDEAN"]), population=st.integers(2, 6))
@quick
def test_population_gives_a_tour_no_longer_than_the_one_it_was_given(grid, metric, population):
    problem = TSP.from_coords(grid, metric=metric)
    start = np.arange(len(grid))
    result = solve_tsp(problem, stop=MaxIterations(20), warm_start=start, params=SearchParams(population=population))
    assert np.array_equal(np.sort(result.order), start)
    assert result.lower_bound <= result.length <= problem.length(start)
