from __future__ import annotations

import numpy as np
import pytest

from gnnlib.data import load_instance
from gnnlib.encoder import list_weights
from gnnlib.errors import InputError, WeightsError
from gnnlib.graphs.build import knn_neighbours
from gnnlib.heads.combinatorial.tsp.heatmap import heat_map
from gnnlib.heads.combinatorial.tsp.priors import WEIGHTS
from gnnlib.heads.combinatorial.tsp.problem import TSP

POINTS = np.random.default_rng(2).random((60, 2))


@pytest.mark.parametrize("prior", ["softdist", "knn", "alpha"])
def test_rows_belong_to_the_cities_of_the_caller(prior: str) -> None:
    neighbours, scores = heat_map(POINTS, prior, num_neighbours=7)
    assert (neighbours == knn_neighbours(POINTS, 7)[0]).all()
    assert scores.shape == (60, 7)
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()


@pytest.mark.parametrize("prior", ["softdist", "knn"])
def test_null_priors_fall_with_the_distance(prior: str) -> None:
    assert (np.diff(heat_map(POINTS, prior).scores, axis=1) <= 1e-12).all()


def test_alpha_is_the_growth_of_the_one_tree() -> None:
    neighbours, scores = heat_map(POINTS, "alpha", num_neighbours=8)
    # each city has an edge in the minimum 1-tree, whose alpha is 0
    assert np.allclose(scores.max(axis=1), 1.0)
    # an edge gets the same alpha from both its ends
    seen = {(i, int(j)): s for i, row in enumerate(neighbours) for j, s in zip(row, scores[i], strict=True)}
    both = [(s, seen[j, i]) for (i, j), s in seen.items() if (j, i) in seen]
    assert np.allclose(*zip(*both, strict=True))
    assert len(both) > 200


def test_world_map_measures_neighbours_on_the_globe() -> None:
    problem = load_instance("capitals")
    neighbours, _ = heat_map(problem, "softdist", num_neighbours=1)
    labels = problem.labels or ()
    assert labels[neighbours[labels.index("Apia"), 0]] == "Nuku'alofa"  # across the date line


def test_gnn_scores_are_probabilities_where_the_weights_are_there() -> None:
    if WEIGHTS not in list_weights():
        with pytest.raises(WeightsError):
            heat_map(POINTS, "gnn")
        return
    scores = heat_map(POINTS, "gnn").scores
    assert ((scores > 0.0) & (scores < 1.0)).all()
    assert 1.0 < scores.sum(axis=1).mean() < 3.0  # a city has two tour edges


def test_few_cities_and_asymmetric_problems_are_refused() -> None:
    with pytest.raises(InputError, match="at least 5 cities, found 4"):
        heat_map(POINTS[:4], "knn")
    matrix = np.random.default_rng(0).random((6, 6))
    with pytest.raises(InputError, match="asymmetric"):
        heat_map(TSP.from_matrix(matrix), "knn")
    with pytest.raises(InputError, match="num_neighbours"):
        heat_map(POINTS, "knn", num_neighbours=0)
    with pytest.raises(InputError, match="`prior` must be one of"):
        heat_map(POINTS, "magic")
