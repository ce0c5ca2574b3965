"""Simple and learned baselines on motions whose continuation is known."""

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.heads.scene.baselines import (
    BASELINES,
    Ridge,
    constant_acceleration,
    constant_turn_rate,
    constant_velocity,
    kalman,
    kinematic_modes,
    predict_with,
)
from gnnlib.heads.scene.baselines_learned import HiVTLike, VectorNetLike
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import join_scene_graphs, scene_graph, with_truth
from gnnlib.heads.scene.problem import Scene

TIME = 0.1 * np.arange(-19, 31)


def cut(path):
    """Past [1, 20, 2] and future [30, 2] of a path of 50 steps."""
    return path[None, :20], path[20:]


@pytest.mark.parametrize("baseline", [constant_velocity, constant_turn_rate, constant_acceleration, kalman])
def test_straight_motion_goes_on(baseline):
    past, future = cut(np.stack([8.0 * TIME, 3.0 * TIME], axis=1))
    answer = baseline(past)
    assert answer.xy[0, 0] == pytest.approx(future, abs=0.05)
    assert answer.probability.tolist() == [[1.0]]


def test_the_turn_rate_model_stays_on_a_circle():
    past, future = cut(20.0 * np.stack([np.sin(0.4 * TIME), 1.0 - np.cos(0.4 * TIME)], axis=1))
    assert np.abs(constant_turn_rate(past).xy[0, 0] - future).max() < 0.2
    assert np.abs(constant_velocity(past).xy[0, 0] - future).max() > 5.0


def test_the_acceleration_model_brakes_to_a_stop_and_stays():
    path = np.stack([6.0 * TIME - TIME**2, 0 * TIME], axis=1)  # stands still after 3 s
    past, future = cut(path)
    assert constant_acceleration(past).xy[0, 0] == pytest.approx(future, abs=1e-6)
    later = constant_acceleration(past, horizon=60).xy[0, 0]
    assert later[40:, 0] == pytest.approx(np.full(20, 9.0))


def test_the_filter_averages_noise_away():
    rng = np.random.default_rng(0)
    clean = np.stack([10.0 * TIME, 0 * TIME], axis=1)
    past = clean[:20] + rng.normal(0.0, 0.15, (300, 20, 2))
    errors = [np.abs(method(past).xy[:, 0, -1] - clean[-1]).mean() for method in (kalman, constant_velocity)]
    assert errors[0] < 0.8 * errors[1]


def test_six_modes_hold_braking_speeding_up_and_turning():
    past, _ = cut(np.stack([10.0 * TIME, 0 * TIME], axis=1))
    answer = kinematic_modes(past)
    ends = answer.xy[0, :, -1]
    assert answer.probability.sum() == pytest.approx(1.0)
    assert ends[3, 0] < ends[2, 0] < ends[0, 0] < ends[1, 0]
    assert ends[4, 1] > 1.0 and ends[5, 1] < -1.0


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_follow_a_turned_and_moved_past(name):
    rng = np.random.default_rng(2)
    past = np.cumsum(rng.normal(0.6, 0.2, (5, 20, 2)), axis=1)
    turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    direct = BASELINES[name](past).xy @ turn.T + [50.0, -20.0]
    assert BASELINES[name](past @ turn.T + [50.0, -20.0]).xy == pytest.approx(direct, abs=1e-6)


def test_ridge_learns_what_braking_looks_like_at_any_heading():
    rng = np.random.default_rng(0)
    braking = np.where(rng.random(300) < 0.5, 0.0, 2.0)
    along = 10.0 * TIME - 0.5 * braking[:, None] * TIME**2
    angle = rng.uniform(-3, 3, 300)
    paths = along[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, None]
    ridge = Ridge(1e-3).fit(paths[:200, :20], paths[:200, 20:])
    assert np.abs(ridge(paths[200:, :20]).xy[:, 0] - paths[200:, 20:]).max() < 0.3


def test_ridge_needs_a_fit_and_the_same_lengths():
    with pytest.raises(InputError, match="after `fit`"):
        Ridge()(np.zeros((1, 20, 2)))
    ridge = Ridge().fit(np.ones((3, 20, 2)), np.ones((3, 30, 2)))
    with pytest.raises(InputError, match="fitted to 20 past and 30 future steps, found 10 and 30"):
        ridge(np.zeros((1, 10, 2)))


@pytest.mark.parametrize("past", [np.zeros((1, 2, 2)), np.full((1, 5, 2), np.nan)])
def test_pasts_with_gaps_or_too_short_are_refused(past):
    with pytest.raises(InputError, match="at least 3 known positions"):
        constant_velocity(past)


def test_a_baseline_predicts_the_agents_of_a_scene_that_have_a_past():
    xy = np.stack([np.stack([8.0 * TIME, 0 * TIME], axis=1), np.stack([0 * TIME, 5.0 * TIME], axis=1)])
    xy[1, :10] = np.nan
    prediction = predict_with(constant_velocity, Scene("two", ("early", "late"), xy), at_step=19)
    assert prediction.agents == ("early",)
    assert prediction.xy[0, 0, -1] == pytest.approx([24.0, 0.0])


@pytest.fixture(scope="module")
def graphs():
    scenes = [generate_scene(kind, seed=3, num_steps=60) for kind in ("intersection", "merge")]
    return [with_truth(scene_graph(scene, at_step=25), scene, 25, 30) for scene in scenes]


@pytest.mark.parametrize("network", [VectorNetLike, HiVTLike])
def test_learned_baselines_predict_batches_as_single_scenes(network, graphs):
    model = network(16, seed=1).eval()
    with torch.no_grad():
        together = model(join_scene_graphs(graphs))
        apart = torch.cat([model(graph).path for graph in graphs])
    assert together.path.shape[1:] == (7, 30, 2)
    assert torch.allclose(together.path, apart, atol=1e-4)


@pytest.mark.parametrize("network", [VectorNetLike, HiVTLike])
def test_learned_baselines_give_every_parameter_a_gradient(network, graphs):
    model = network(16, seed=1)
    batch = join_scene_graphs(graphs)
    sum(model.losses(model(batch), batch).values()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_learned_baselines_see_agents_alone_and_equal_seeds_agree():
    alone = Scene("alone", ("a",), np.stack([8.0 * TIME, 0 * TIME], axis=1)[None])
    graph = scene_graph(alone, at_step=19)
    for network in (VectorNetLike, HiVTLike):
        first, second, third = (network(16, seed=seed).eval()(graph).path for seed in (1, 1, 2))
        assert torch.equal(first, second) and not torch.equal(first, third)
