"""`predict_trajectories`: what it answers, what it refuses, and scenes that are not as one would wish."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.errors import InputError
from gnnlib.heads.scene.api import predict_trajectories
from gnnlib.heads.scene.decode import calibrate
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import SCENE_SPEC, scene_graph, with_truth
from gnnlib.heads.scene.head import TrajectoryHead
from gnnlib.heads.scene.lanemap import LaneMap
from gnnlib.heads.scene.problem import Scene
from gnnlib.testing import NodeValueHead


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    return GraphModel(Encoder([SCENE_SPEC], width=16, depth=2), TrajectoryHead(16)).eval()


@pytest.fixture(scope="module")
def scene():
    return generate_scene("roundabout", seed=2, num_steps=60)


def test_every_present_agent_gets_six_futures_with_probabilities(scene, model):
    prediction = predict_trajectories(scene, at_step=25, model=model)
    present = scene.present_at(25)
    assert prediction.agents == tuple(scene.agents[row] for row in present)
    assert prediction.xy.shape == prediction.scale.shape == (len(present), 6, 30, 2)
    assert prediction.probability.sum(axis=1) == pytest.approx(np.ones(len(present)))
    assert (np.diff(prediction.probability, axis=1) <= 0.0).all()  # the most probable first
    assert (prediction.scale > 0.0).all()
    assert prediction.at_step == 25


def test_predictions_begin_where_the_agents_are(scene, model):
    prediction = predict_trajectories(scene, at_step=25, model=model)
    here = scene.xy[scene.present_at(25), 25]
    speed = 20.0  # nobody in town is faster, and one step lasts 0.1 s
    assert np.abs(prediction.xy[:, :, 0] - here[:, None]).max() < 0.1 * speed + 3.0


def test_the_default_step_is_the_last_one(scene, model):
    assert predict_trajectories(scene.window(0, 40), model=model).at_step == 39


def test_fewer_modes_and_steps_are_cut_from_the_same_answer(scene, model):
    full = predict_trajectories(scene, at_step=25, model=model)
    short = predict_trajectories(scene, at_step=25, model=model, modes=3, horizon=10)
    assert short.xy == pytest.approx(full.xy[:, :3, :10])
    assert short.probability.sum(axis=1) == pytest.approx(np.ones(len(short.agents)))
    single = predict_trajectories(scene, at_step=25, model=model, modes=1)
    assert single.xy.shape[1] == 1 and (single.probability == 1.0).all()


def test_the_same_scene_gives_the_same_answer_bit_for_bit(scene, model):
    first, second = (predict_trajectories(scene, at_step=25, model=model) for _ in range(2))
    assert np.array_equal(first.xy, second.xy) and np.array_equal(first.probability, second.probability)


def test_what_happens_later_changes_nothing(scene, model):
    cut = scene.window(0, 26)
    first, second = predict_trajectories(scene, at_step=25, model=model), predict_trajectories(cut, model=model)
    mine = [first.agents.index(agent) for agent in second.agents]
    assert second.xy == pytest.approx(first.xy[mine], abs=1e-4)


def test_a_calibrated_model_gives_regions_and_unfamiliarity(scene):
    torch.manual_seed(0)
    own = GraphModel(Encoder([SCENE_SPEC], width=16, depth=1), TrajectoryHead(16))
    assert predict_trajectories(scene, at_step=25, model=own).radius is None
    graph = with_truth(scene_graph(scene, at_step=25), scene, 25, 30)
    calibrate(own, [graph], [graph])
    prediction = predict_trajectories(scene, at_step=25, model=own, horizon=20)
    assert prediction.radius.shape == (len(prediction.agents), 6, 20)
    assert prediction.unfamiliarity.shape == (len(prediction.agents),)
    truth = scene.xy[graph.row.numpy(), 26:46]
    inside = np.hypot(*np.moveaxis(prediction.xy - truth[:, None], -1, 0)) <= prediction.radius
    known = ~np.isnan(truth[..., 0])
    assert inside.any(axis=1)[known].mean() >= 0.85


def test_scenes_without_a_map_are_predicted(scene, model):
    prediction = predict_trajectories(replace(scene, lanes=LaneMap()), at_step=25, model=model)
    assert np.isfinite(prediction.xy).all()


def test_gaps_latecomers_and_standing_agents_are_predicted(model):
    steps = np.arange(40)[:, None]
    drives, late, gap, stands = (0.8 * steps * [1.0, 0.0] + np.array([0.0, 5.0 * lane]) for lane in range(4))
    late[:20], gap[5:12], stands[:] = np.nan, np.nan, [3.0, 15.0]
    scene = Scene("mixed", ("drives", "late", "gap", "stands"), np.stack([drives, late, gap, stands]))
    prediction = predict_trajectories(scene, at_step=20, model=model)
    assert prediction.agents == scene.agents
    assert np.isfinite(prediction.xy).all()


def test_agents_absent_at_the_step_are_left_out(model):
    xy = np.tile(np.arange(30.0)[:, None] * [1.0, 0.0], (2, 1, 1)) + np.array([[[0, 0]], [[0, 9]]])
    xy[0, 20] = np.nan
    assert predict_trajectories(Scene("gap", ("a", "b"), xy), at_step=20, model=model).agents == ("b",)


def test_nobody_there_means_an_empty_prediction(model):
    prediction = predict_trajectories(Scene("empty", (), np.zeros((0, 30, 2))), model=model, modes=3, horizon=5)
    assert prediction.xy.shape == (0, 3, 5, 2)
    assert "agents" in prediction.summary()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"modes": 7}, "`modes` must be an integer from 1 to 6, found 7"),
        ({"modes": 0}, "`modes` must be an integer from 1 to 6, found 0"),
        ({"horizon": 31}, "`horizon` must be an integer from 1 to 30, found 31"),
        ({"horizon": 0}, "`horizon` must be"),
        ({"at_step": 60}, "`at_step` must be a step of the scene, 0 to 59"),
        ({"history": 1}, "`history` must be from 2 to 20"),
    ],
)
def test_options_out_of_range_are_refused(scene, model, wrong, message):
    with pytest.raises(InputError, match=message):
        predict_trajectories(scene, **{"at_step": 25, "model": model, **wrong})


def test_other_rates_scenes_and_models_are_refused(scene, model):
    with pytest.raises(InputError, match=r"step of 0.1 s, this one has 0.4 s"):
        predict_trajectories(replace(scene, dt=0.4), model=model)
    with pytest.raises(InputError, match="`scene` must be a Scene, found str"):
        predict_trajectories("scene.xml", model=model)
    other = GraphModel(Encoder([SCENE_SPEC], width=16, depth=1), NodeValueHead(SCENE_SPEC, width=16))
    with pytest.raises(InputError, match="TrajectoryHead, found NodeValueHead"):
        predict_trajectories(scene, at_step=25, model=other)
