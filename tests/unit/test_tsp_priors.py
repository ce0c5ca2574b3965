"""Priors and the candidate lists that follow from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.data.generate import uniform
from gnnlib.encoder import list_weights
from gnnlib.errors import InputError
from gnnlib.graphs.build import knn_neighbours
from gnnlib.heads.combinatorial.tsp.priors import (
    PRIORS,
    RANK_FREQUENCY,
    TEMPERATURE,
    candidates_from_scores,
    edge_scores,
    load_prior,
)
from gnnlib.heads.combinatorial.tsp.problem import TSP

PROBLEM = TSP.from_coords(uniform(80, seed=7))
NEIGHBOURS, LENGTHS = knn_neighbours(PROBLEM.coords, 10)

needs_weights = pytest.mark.skipif("tsp" not in list_weights(), reason="the weights of the edge scorer are not there")


@pytest.mark.parametrize("prior", ["softdist", "knn", pytest.param("gnn", marks=needs_weights)])
def test_scores_are_finite_numbers_of_the_lists_shape(prior):
    load_prior(prior)
    scores = edge_scores(PROBLEM, NEIGHBOURS, LENGTHS, prior)
    assert scores.shape == LENGTHS.shape
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_a_problem_and_its_distances_give_the_same_scores(prior):
    if prior == "gnn" and "tsp" not in list_weights():
        pytest.skip("the weights of the edge scorer are not there")
    by_problem = edge_scores(PROBLEM, NEIGHBOURS, LENGTHS, prior)
    np.testing.assert_array_equal(edge_scores(PROBLEM.distance_data(), NEIGHBOURS, LENGTHS, prior), by_problem)


def test_softdist_is_the_logarithm_of_a_softmax():
    scores = edge_scores(PROBLEM, NEIGHBOURS, LENGTHS, "softdist")
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1.0)
    odds = np.exp(scores[:, 0] - scores[:, 3])
    np.testing.assert_allclose(odds, np.exp((LENGTHS[:, 3] - LENGTHS[:, 0]) / (TEMPERATURE * LENGTHS.mean())))


def test_softdist_has_no_unit_and_no_overflow():
    scores = edge_scores(PROBLEM, NEIGHBOURS, LENGTHS, "softdist")
    for scale in (1e-12, 1e12):
        np.testing.assert_allclose(edge_scores(PROBLEM, NEIGHBOURS, scale * LENGTHS, "softdist"), scores)
    far = LENGTHS.copy()
    far[3] += 1e6
    assert np.isfinite(edge_scores(PROBLEM, NEIGHBOURS, far, "softdist")).all()
    equal = edge_scores(PROBLEM, NEIGHBOURS, np.zeros_like(LENGTHS), "softdist")
    np.testing.assert_allclose(equal, -np.log(10.0))


def test_the_rank_prior_falls_with_the_rank_even_beyond_what_was_measured():
    lengths = np.zeros((3, 14))
    scores = edge_scores(PROBLEM, np.zeros((3, 14), np.int32), lengths, "knn")
    assert (np.diff(scores, axis=1) < 0).all()
    np.testing.assert_allclose(np.exp(scores[0, :10]), RANK_FREQUENCY)
    assert 1.9 < sum(RANK_FREQUENCY) <= 2.0


@needs_weights
def test_the_network_does_not_see_how_cities_are_numbered():
    number = np.random.default_rng(0).permutation(80)
    moved = np.empty_like(PROBLEM.coords)
    moved[number] = 1e3 * PROBLEM.coords - 5.0
    other = TSP.from_coords(moved)
    scores = edge_scores(PROBLEM, NEIGHBOURS, LENGTHS, "gnn")
    found = edge_scores(other, *knn_neighbours(other.coords, 10), "gnn")
    np.testing.assert_allclose(found[number], scores, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 12), st.integers(1, 14), st.integers(0, 14), st.integers(0, 100), st.booleans()
)
def test_candidates_are_the_best_and_the_nearest_in_falling_order(n, k, count, keep, seed, has_ties):
    rng = np.random.default_rng(seed)
    neighbours = np.argsort(rng.random((n, k + 5)), axis=1)[:, :k]
    lengths = np.sort(rng.random((n, k)), axis=1)
    scores = rng.integers(0, 3, (n, k)).astype(float) if has_ties else rng.random((n, k))
    kept, apart = candidates_from_scores(neighbours, lengths, scores, count, keep_nearest=keep)
    assert kept.shape == apart.shape == (n, min(count, k))
    assert kept.dtype == np.int32
    for i in range(n):
        of = {int(j): s for s, j in enumerate(neighbours[i])}
        slots = [of[int(j)] for j in kept[i]]
        assert len(set(slots)) == len(slots)
        np.testing.assert_array_equal(lengths[i, slots], apart[i])
        keys = [(-scores[i, s], s) for s in slots]
        assert keys == sorted(keys)
        urgent = range(min(keep, count, k))
        assert set(urgent) <= set(slots)
        rest = [s for s in slots if s not in urgent]
        left = [s for s in range(k) if s not in slots]
        assert all((-scores[i, a], a) < (-scores[i, b], b) for a in rest for b in left)


def test_the_scores_are_not_changed():
    scores = np.random.default_rng(0).random(LENGTHS.shape)
    before = scores.copy()
    candidates_from_scores(NEIGHBOURS, LENGTHS, scores, 5, keep_nearest=2)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: edge_scores(PROBLEM, NEIGHBOURS, LENGTHS, "magic"), "`prior` must be one of gnn, softdist, knn"),
        (lambda: edge_scores(PROBLEM, NEIGHBOURS, LENGTHS[:, :3], "knn"), "one shape"),
        (lambda: candidates_from_scores(NEIGHBOURS, LENGTHS, LENGTHS[:, :3], 5), "one shape"),
        (lambda: candidates_from_scores(NEIGHBOURS, LENGTHS, LENGTHS, 0), "`count` must be >= 1"),
        (lambda: candidates_from_scores(NEIGHBOURS, LENGTHS, LENGTHS, 5, keep_nearest=-1), "`keep_nearest`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
