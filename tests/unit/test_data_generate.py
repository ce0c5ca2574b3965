"""Generators of random points: ranges, shapes of the distributions, seeds."""

import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

from gnnlib.data import GENERATORS, clustered, exploded, integer_grid, uniform
from gnnlib.errors import InputError


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("count", [1, 2, 3, 57, 1000])
def test_the_wanted_number_of_finite_points_comes_out(name, count):
    points = GENERATORS[name](count, seed=0)
    assert points.shape == (count, 2)
    assert points.dtype == np.float64
    assert np.isfinite(points).all()
    if name != "integer_grid":
        assert points.min() >= 0.0
        assert points.max() <= 1.0


@pytest.mark.parametrize("name", GENERATORS)
def test_the_seed_decides(name):
    make = GENERATORS[name]
    assert np.array_equal(make(50, seed=7), make(50, seed=7))
    assert not np.array_equal(make(50, seed=7), make(50, seed=8))


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("count", [0, -1, 2.5, True, "3", None])
def test_a_bad_number_of_points_is_refused(name, count):
    with pytest.raises(InputError, match="`num_points` must be an integer >= 1"):
        GENERATORS[name](count, seed=0)


def test_uniform_points_fill_the_square_evenly():
    counts, _, _ = np.histogram2d(*uniform(40_000, seed=1).T, bins=4, range=[[0, 1], [0, 1]])
    assert np.abs(counts - 2500).max() < 5 * math.sqrt(2500)


def _mean_nearest_distance(points):
    return cKDTree(points).query(points, k=2)[0][:, 1].mean()


def test_clustered_points_lie_closer_together_than_uniform_ones():
    # a random uniform point has its nearest neighbour at 0.5 / sqrt(n) on average
    expected = 0.5 / math.sqrt(2000)
    assert _mean_nearest_distance(uniform(2000, seed=2)) == pytest.approx(expected, rel=0.1)
    assert _mean_nearest_distance(clustered(2000, num_clusters=5, spread=0.02, seed=2)) < 0.5 * expected


def test_one_cluster_has_the_wanted_spread():
    points = clustered(4000, num_clusters=1, spread=0.001, seed=3)
    assert points.std(axis=0) == pytest.approx([0.001, 0.001], rel=0.1)


def test_points_of_a_cluster_that_spill_over_the_border_are_reflected_into_the_square():
    points = clustered(5000, num_clusters=1, spread=3.0, seed=4)
    assert points.min() >= 0.0
    assert points.max() <= 1.0
    counts, _, _ = np.histogram2d(*points.T, bins=2, range=[[0, 1], [0, 1]])
    assert counts.min() > 1000  # folding so often makes them nearly uniform; clipping would heap them at the border
    assert ((points == 0.0) | (points == 1.0)).sum() == 0


def test_an_explosion_leaves_a_hole():
    points = exploded(5000, radius=0.3, seed=5)
    assert np.ptp(points, axis=0).max() == 1.0
    grid = np.stack(np.meshgrid(*[np.linspace(0.2, 0.8, 60)] * 2), axis=-1).reshape(-1, 2)
    largest_hole = cKDTree(points).query(grid)[0].max()
    undisturbed = cKDTree(uniform(5000, seed=5)).query(grid)[0].max()
    assert largest_hole > 0.15 > 3 * undisturbed


def test_grid_points_are_distinct_nodes():
    points = integer_grid(300, size=20, seed=6)
    assert np.array_equal(points, np.floor(points))
    assert points.min() >= 0
    assert points.max() <= 19
    assert len(np.unique(points, axis=0)) == 300


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clustered(10, num_clusters=0), "`num_clusters` must be an integer >= 1, found 0"),
        (lambda: clustered(10, spread=0.0), "`spread` must be a number > 0, found 0.0"),
        (lambda: clustered(10, spread=math.nan), "`spread` must be a number > 0, found nan"),
        (lambda: exploded(10, radius=-1.0), "`radius` must be a number > 0, found -1.0"),
        (lambda: integer_grid(10, size=3), "`size` must be at least 4 for 10 points, found 3"),
    ],
)
def test_bad_parameters_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
