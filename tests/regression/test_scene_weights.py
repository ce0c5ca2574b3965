"""The shipped weights of the scene head: small, described, and better than going straight on."""

from pathlib import Path

import numpy as np
import pytest

import gnnlib.encoder.pretrained as pretrained
from gnnlib.encoder import load
from gnnlib.heads.scene.api import predict_trajectories
from gnnlib.heads.scene.baselines import constant_velocity, predict_with
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.metrics import displacement_errors
from gnnlib.heads.scene.training.windows import scene_windows

WEIGHTS = Path(pretrained.WEIGHTS_DIR)


@pytest.fixture(scope="module")
def windows():
    kinds = ("intersection", "roundabout", "merge", "highway")
    return scene_windows([generate_scene(kind, seed=40_000 + i, num_steps=55) for i, kind in enumerate(kinds)])


def errors(windows, predict):
    found = []
    for window in windows:
        prediction = predict(window)
        rows = [prediction.agents.index(window.scene.agents[row]) for row in window.rows]
        found.append(np.stack(displacement_errors(prediction.xy[rows], window.truth, prediction.probability[rows])))
    return np.concatenate(found, axis=1).mean(axis=1)


def test_the_weights_are_small_and_say_where_they_come_from():
    assert (WEIGHTS / "scene.safetensors").stat().st_size < 2.5e6
    card = load("scene").card
    assert card.name == "scene" and card.licence == "MIT"
    assert "train scene --seed" in card.command and "ngsim" in card.data and "womd" not in card.data
    assert card.metrics["val/min_fde"] < 0.7


def test_six_modes_are_far_better_than_going_straight_on(windows):
    ours = errors(windows, lambda window: predict_trajectories(window.scene, at_step=window.at_step))
    straight = errors(windows, lambda window: predict_with(constant_velocity, window.scene, at_step=window.at_step))
    assert ours[1] < 0.35 * straight[1]
    assert ours[2] < 0.15


def test_one_guess_is_better_than_going_straight_on(windows):
    ours = errors(windows, lambda window: predict_trajectories(window.scene, at_step=window.at_step, modes=1))
    straight = errors(windows, lambda window: predict_with(constant_velocity, window.scene, at_step=window.at_step))
    assert ours[1] < 0.7 * straight[1]


def test_the_regions_hold_about_nine_futures_of_ten(windows):
    inside = []
    for window in windows:
        prediction = predict_trajectories(window.scene, at_step=window.at_step)
        rows = [prediction.agents.index(window.scene.agents[row]) for row in window.rows]
        away = np.hypot(*np.moveaxis(prediction.xy[rows] - window.truth[:, None], -1, 0))
        inside.append((away <= prediction.radius[rows]).any(axis=1))
    assert 0.8 < np.concatenate(inside).mean() < 0.99


def test_familiar_scenes_score_about_one(windows):
    scores = [predict_trajectories(w.scene, at_step=w.at_step).unfamiliarity for w in windows]
    assert 0.6 < np.median(np.concatenate(scores)) < 1.4
