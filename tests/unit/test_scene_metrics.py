"""The metrics of trajectories against cases made by hand."""

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.lanemap import Lane, LaneMap
from gnnlib.heads.scene.metrics import (
    bootstrap_by_scene,
    collisions,
    displacement_errors,
    infeasible,
    laplace_nll,
    off_road,
    reliability,
)

STEPS = np.arange(1, 31)[:, None]


def going(x, y):
    """A path of 30 steps that ends at (x, y)."""
    return STEPS / 30 * [x, y]


def test_errors_take_the_best_mode_and_its_probability():
    truth = going(30.0, 0.0)[None]
    modes = np.stack([going(30.0, 3.0), going(30.0, 1.0), going(20.0, 0.0)])[None]
    errors = displacement_errors(modes, truth, [[0.5, 0.3, 0.2]])
    assert errors.min_fde[0] == pytest.approx(1.0)
    assert errors.min_ade[0] == pytest.approx(np.mean(STEPS) / 30)
    assert errors.missed[0] == 0.0
    assert errors.brier_min_fde[0] == pytest.approx(1.0 + 0.7**2)


def test_with_k_1_the_most_probable_mode_counts():
    truth = going(30.0, 0.0)[None]
    modes = np.stack([going(30.0, 3.0), going(30.0, 1.0)])[None]
    errors = displacement_errors(modes, truth, [[0.6, 0.4]], k=1)
    assert errors.min_fde[0] == pytest.approx(3.0)
    assert errors.missed[0] == 1.0


def test_two_metres_are_no_miss_and_a_little_more_is():
    truth = np.zeros((2, 1, 2))
    modes = np.array([[[[2.0, 0.0]]], [[[2.001, 0.0]]]])
    assert displacement_errors(modes, truth).missed.tolist() == [0.0, 1.0]


def test_minade_may_come_from_another_mode_than_minfde():
    truth = np.zeros((1, 2, 2))
    modes = np.array([[[[5.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]]])
    errors = displacement_errors(modes, truth)
    assert (errors.min_ade[0], errors.min_fde[0]) == (0.5, 0.0)


@pytest.mark.parametrize("k", [0, 3])
def test_more_modes_than_there_are_cannot_be_asked_for(k):
    with pytest.raises(InputError, match="`k` must be from 1 to the 2 modes"):
        displacement_errors(np.zeros((1, 2, 3, 2)), np.zeros((1, 3, 2)), k=k)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"`truth` must have shape \[1, 3, 2\], found \[1, 4, 2\]"):
        displacement_errors(np.zeros((1, 2, 3, 2)), np.zeros((1, 4, 2)))


def test_likelihood_of_a_turned_agent_uses_its_own_axes():
    truth = np.array([[[0.0, 4.0]]])
    scale = np.array([[[[2.0, 0.5]]]])  # wide ahead, narrow aside
    ahead = laplace_nll(np.zeros((1, 1, 1, 2)), scale, [[1.0]], truth, [np.pi / 2])
    aside = laplace_nll(np.zeros((1, 1, 1, 2)), scale, [[1.0]], truth, [0.0])
    assert ahead[0] == pytest.approx(4.0 / 2.0 + np.log(4.0 * 2.0 * 0.5))
    assert aside[0] == pytest.approx(4.0 / 0.5 + np.log(4.0 * 2.0 * 0.5))


def test_a_mode_without_probability_adds_nothing():
    xy, scale = np.zeros((1, 2, 1, 2)), np.ones((1, 2, 1, 2))
    both = laplace_nll(xy, scale, [[1.0, 0.0]], np.zeros((1, 1, 2)), [0.0])
    assert both[0] == pytest.approx(np.log(4.0))


def test_reliability_of_honest_and_of_overconfident_probabilities():
    rng = np.random.default_rng(0)
    xy = np.zeros((5000, 2, 1, 2))
    xy[:, 1] = 10.0
    first = rng.random(5000) < 0.7
    truth = np.where(first[:, None, None], 0.0, 10.0) + np.zeros((5000, 1, 2))
    assert reliability(np.tile([0.7, 0.3], (5000, 1)), xy, truth).error < 0.02
    assert reliability(np.tile([0.95, 0.05], (5000, 1)), xy, truth).error == pytest.approx(0.25, abs=0.02)


def test_off_road_is_farther_than_three_metres_from_every_lane():
    lanes = LaneMap((Lane(1, [[0, 0], [100, 0]]), Lane(2, [[0, 20], [100, 20]])))
    paths = np.stack([going(30, 0), going(30, 2.5), going(30, 5.0), going(30, 0) + np.array([0, 20])])
    assert off_road(paths, lanes).tolist() == [False, False, True, False]
    with pytest.raises(InputError, match="map with lanes"):
        off_road(paths, LaneMap())


def test_vehicles_that_meet_collide_and_those_that_touched_before_do_not():
    here = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 50.0], [3.0, 50.0], [0.0, 5.0]])
    ends = np.array([[30.0, 0.0], [-30.0, 0.0], [0.0, 0.0], [0.0, 0.0], [30.0, 0.0]])
    xy = here[:, None] + STEPS / 30 * ends[:, None]
    size = np.tile([4.5, 2.0], (5, 1))
    hit = collisions(xy, size, np.array([0.0, np.pi, 0.0, 0.0, 0.0]), here)
    assert hit.tolist() == [True, True, False, False, False]


def test_no_agents_means_no_collisions():
    none = np.zeros((0, 30, 2))
    assert collisions(none, np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2))).shape == (0,)


def test_sharp_turns_and_hard_stops_are_infeasible():
    angle = np.linspace(0.0, np.pi, 30)
    tight = 2.0 * np.stack([np.sin(angle), 1.0 - np.cos(angle)], axis=1)  # radius 2 m at 2.1 m/s
    wide = 12.0 * np.stack([np.sin(angle), 1.0 - np.cos(angle)], axis=1)
    stop = np.minimum(2.0 * STEPS, 20.0) * [1.0, 0.0]  # from 20 m/s to 0 at once
    found = infeasible(np.stack([tight, wide, stop, going(30, 0)]), np.zeros((4, 2)), 0.1)
    assert found.tolist() == [True, False, True, False]


def test_the_interval_draws_whole_scenes():
    values = np.concatenate([np.zeros(50), np.ones(50)])
    scenes = np.repeat(["a", "b"], 50)
    by_scene = bootstrap_by_scene(values, scenes)
    assert (by_scene.mean, by_scene.low, by_scene.high) == (0.5, 0.0, 1.0)
    by_agent = bootstrap_by_scene(values, np.arange(100))
    assert 0.35 < by_agent.low < by_agent.high < 0.65
    assert bootstrap_by_scene(values, scenes, seed=3) == bootstrap_by_scene(values, scenes, seed=3)
    with pytest.raises(InputError, match="scene of each of 100"):
        bootstrap_by_scene(values, scenes[:5])
