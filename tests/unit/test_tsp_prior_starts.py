"""A prior ranks the edges of the population's greedy tours, and "auto" asks the network when the bound is late."""

import numpy as np
import pytest

import gnnlib
from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour
from gnnlib.heads.combinatorial.tsp import api
from gnnlib.heads.combinatorial.tsp.decode import TourSearch
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP


@pytest.mark.parametrize("prior", ["gnn", "alpha"])
def test_greedy_tours_by_a_prior_are_shorter_than_by_length(prior):
    by_prior, by_length = 0.0, 0.0
    for seed in range(3):
        problem = TSP.from_coords(np.random.default_rng(seed).random((500, 2)))
        instance = SearchInstance.build(problem, 10)
        search = TourSearch(instance, gnnlib.MaxIterations(10**6).start(), SearchParams(), seed=0)

        def greedy(search=search, instance=instance):
            tour = greedy_edge_tour(instance.data, search.start_lists, search.start_keys, instance.points)
            return tour_length(instance.data, tour)

        by_length += greedy()
        search.raise_bound()
        search.use_prior(prior)
        by_prior += greedy()
    assert by_prior < 0.99 * by_length


def test_auto_asks_the_network_when_the_bound_is_late(monkeypatch):
    monkeypatch.setattr(api, "_LEARNED_SIZES", (100, 1000))
    monkeypatch.setattr(api, "_HURRY_S_PER_CITY", 1.0)
    points = np.random.default_rng(0).random((150, 2))
    late = gnnlib.solve_tsp(points, stop=gnnlib.MaxRuntime(0.5), params=SearchParams(bound_share=0.0))
    assert (late.params["prior"], late.params["prior_used"]) == ("auto", "gnn")
    plain = gnnlib.solve_tsp(points, stop=gnnlib.MaxIterations(20))
    assert plain.params["prior_used"] == "alpha"


@pytest.mark.parametrize(
    ("cities", "seconds", "expected"), [(6000, 1.0, True), (6000, 60.0, False), (500, 0.1, False), (50_000, 1.0, False)]
)
def test_the_network_is_loaded_only_for_a_hurried_population(cities, seconds, expected):
    problem = TSP.from_coords(np.random.default_rng(0).random((cities, 2)))
    assert api._is_hurried(problem, gnnlib.MaxRuntime(seconds)) is expected
    assert not api._is_hurried(problem, gnnlib.MaxIterations(5))
