"""What holds for predictions of every scene: they turn and move with it, agents may be renumbered, chances sum to 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.heads.scene.api import predict_trajectories
from gnnlib.heads.scene.generate import SCENE_KINDS, generate_scene
from gnnlib.heads.scene.graph import SCENE_SPEC
from gnnlib.heads.scene.head import TrajectoryHead
from gnnlib.heads.scene.metrics import displacement_errors

SCENES = {kind: generate_scene(kind, seed=17, num_steps=45) for kind in SCENE_KINDS}
STEP = 30

torch.manual_seed(1)
MODEL = GraphModel(Encoder([SCENE_SPEC], width=16, depth=2), TrajectoryHead(16)).eval()


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(SCENE_KINDS),
    st.floats(-np.pi, np.pi),
    st.tuples(st.floats(-2000.0, 2000.0), st.floats(-2000.0, 2000.0)),
)
def test_predictions_turn_and_move_with_the_scene(kind, angle, shift):
    scene = SCENES[kind]
    first = predict_trajectories(scene, at_step=STEP, model=MODEL)
    second = predict_trajectories(scene.transformed(angle, shift), at_step=STEP, model=MODEL)
    cos, sin = np.cos(angle), np.sin(angle)
    carried = first.xy @ np.array([[cos, sin], [-sin, cos]]) + np.array(shift)
    assert np.abs(second.xy - carried).max() < 1e-4
    assert np.abs(second.probability - first.probability).max() < 1e-4
    assert second.scale == pytest.approx(first.scale, rel=1e-4)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(SCENE_KINDS), st.randoms(use_true_random=False))
def test_renumbered_agents_get_the_same_predictions(kind, random):
    scene = SCENES[kind]
    order = list(range(scene.num_agents))
    random.shuffle(order)
    other = replace(
        scene,
        agents=tuple(scene.agents[row] for row in order),
        xy=scene.xy[order],
        agent_types=scene.agent_types[order],
        heading_rad=scene.heading_rad[order],
        size=scene.size[order],
        velocity=scene.velocity[order],
        ego=None,
    )
    first = predict_trajectories(scene, at_step=STEP, model=MODEL)
    second = predict_trajectories(other, at_step=STEP, model=MODEL)
    place = [second.agents.index(agent) for agent in first.agents]
    assert second.xy[place] == pytest.approx(first.xy, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(SCENE_KINDS), st.integers(2, 44), st.integers(2, 20))
def test_probabilities_sum_to_one_and_everything_is_finite(kind, step, history):
    prediction = predict_trajectories(SCENES[kind], at_step=step, history=history, model=MODEL)
    assert np.isfinite(prediction.xy).all()
    assert prediction.probability.sum(axis=1) == pytest.approx(np.ones(len(prediction.agents)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(6)))
def test_the_order_of_the_modes_does_not_matter_to_the_metrics(seed, order):
    rng = np.random.default_rng(seed)
    modes, truth = rng.normal(0, 2, (4, 6, 10, 2)), rng.normal(0, 2, (4, 10, 2))
    probability = rng.dirichlet(np.ones(6), 4)
    first = displacement_errors(modes, truth, probability)
    second = displacement_errors(modes[:, order], truth, probability[:, order])
    for one, other in zip(first, second, strict=True):
        assert one == pytest.approx(other)
