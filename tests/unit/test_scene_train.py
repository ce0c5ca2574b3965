"""Windows, batches and the command that trains, on small generated data."""

import json

import numpy as np
import pytest
import torch

from gnnlib.encoder import load
from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene import train
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.pedestrians import (
    Crowd,
    CrowdBatches,
    best_of,
    build_pedestrian_model,
    crowds,
    fold_crowds,
    predict_crowd,
    sampled_constant_velocity,
)
from gnnlib.heads.scene.problem import Scene
from gnnlib.heads.scene.training import train_baselines
from gnnlib.heads.scene.training.batches import SceneBatches, WindowBatches
from gnnlib.heads.scene.training.windows import Timeline, load_split, scene_windows
from gnnlib.training import FitConfig


def path(speed, steps, start=0.0):
    return np.stack([start + 0.1 * speed * np.arange(steps), np.zeros(steps)], axis=1)


def test_windows_count_vehicles_that_are_there_throughout_and_move():
    xy = np.stack([path(5.0, 70), path(0.1, 70), path(5.0, 70), path(5.0, 70)])
    xy[2, 30] = np.nan
    scene = Scene("four", ("moves", "creeps", "gap", "walks"), xy, agent_types=[0, 0, 0, 5])
    windows = scene_windows([scene])
    assert [(w.start, w.rows.tolist()) for w in windows] == [(0, [0]), (10, [0]), (20, [0])]
    assert windows[1].at_step == 29
    assert windows[1].truth[0, 0].tolist() == xy[0, 30].tolist()


def test_one_metre_is_movement_enough():
    xy = np.stack([path(10 / 49, 50), path(9.9 / 49, 50)])
    assert scene_windows([Scene("slow", ("a", "b"), xy)])[0].rows.tolist() == [0]


def test_overlapping_recordings_count_a_vehicle_once_a_second():
    first, second = (Scene(name, (7,), path(5.0, 70)[None]) for name in ("first", "second"))
    timeline = Timeline({"first": 0, "second": 10}, {("first", 7): 1, ("second", 7): 1})
    windows = scene_windows([first, second], timeline=timeline)
    assert [(w.scene.name, w.start) for w in windows] == [("first", 0), ("first", 10), ("first", 20), ("second", 20)]
    apart = Timeline({"first": 0, "second": 10}, {("first", 7): 1, ("second", 7): 2})
    assert len(scene_windows([first, second], timeline=apart)) == 6


@pytest.mark.parametrize("stride", [0, -1, 2.0, True])
def test_a_stride_must_be_a_positive_integer(stride):
    with pytest.raises(InputError, match="`stride`"):
        scene_windows([], stride=stride)


def test_a_missing_split_file_and_an_unknown_source_are_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"splits\.json: cannot read the split of 'womd'"):
        load_split(tmp_path, "womd", "train")
    with pytest.raises(InputError, match="`source` must be one of ngsim, womd, av2, nuscenes"):
        load_split(tmp_path, "lyft", "train")


@pytest.fixture(scope="module")
def scenes():
    return [generate_scene(kind, seed=9, num_steps=60) for kind in ("merge", "intersection")]


def test_batches_of_an_epoch_repeat_and_epochs_differ(scenes):
    batches = SceneBatches(scenes, 2, seed=5)
    first, again, other = (next(iter(batches(epoch))) for epoch in (1, 1, 2))
    assert torch.equal(first.x, again.x) and torch.equal(first.edge_index, again.edge_index)
    assert first.x.shape != other.x.shape or not torch.equal(first.x, other.x)
    assert len(list(batches(1))) == len(batches) == 3  # (60 - 49) / 5, rounded up, for each of two scenes
    assert (first.weight > 0).all()


def test_graphs_are_built_once_and_stay_whole(scenes):
    batches = SceneBatches([*scenes, *scenes], 2, seed=5)
    assert len(batches) == 6 and len(batches.scenes) == 2
    list(batches(1))
    kept = {key: graph.num_edges for key, graph in batches.graphs.items()}
    first = next(iter(batches(2)))
    for epoch in range(2, 6):
        list(batches(epoch))
    assert all(batches.graphs[key].num_edges == edges for key, edges in kept.items())
    assert torch.equal(next(iter(SceneBatches([*scenes, *scenes], 2, seed=5)(2))).x, first.x)  # as after a resume
    assert {step % 2 for _, _, step in batches.graphs} == {1}


def test_scenes_too_short_to_learn_from_are_refused(scenes):
    with pytest.raises(InputError, match="at least 26 steps"):
        SceneBatches([scenes[0].window(0, 25)], 2)


def test_window_batches_hold_every_window(scenes):
    windows = scene_windows(scenes)
    batches = WindowBatches(windows, 1)
    assert len(batches) == len(windows)
    assert [len(b.agent_node) for b in batches(1)] == [len(w.rows) for w in windows]


TINY = train.Preset((), 1, 2, 16, 8, 1, 1, FitConfig(epochs=2, monitor="min_fde"))


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setitem(train.PRESETS, "scene", TINY)
    monkeypatch.setattr(train, "_GENERATED_VAL", 1)
    (tmp_path / "splits.json").write_text(json.dumps({}))
    return tmp_path


def test_the_command_trains_measures_and_writes_weights_that_load(tiny):
    out = tiny / "weights" / "scene"
    words = ["scene", "--out", str(out), "--data", str(tiny), "--runs", str(tiny / "runs"), "--seed", "3"]
    assert train.main(words) == 0
    model = load(out)
    assert model.card.seed == 3 and model.card.licence == "MIT"
    assert "2 generated scenes" in model.card.data
    assert model.card.metrics["val/min_fde"] > 0.0
    assert (model.head.region_factor > 0).all()
    assert (tiny / "runs" / "scene-3" / "log.csv").exists()


def test_training_without_data_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.delenv("GNNLIB_DATA", raising=False)
    with pytest.raises(InputError, match="--data FOLDER or the variable GNNLIB_DATA"):
        train.data_folder(None)
    with pytest.raises(InputError, match=r"splits\.json"):
        train.data_folder(tmp_path)


def test_learned_baselines_train_by_their_own_command(tiny):
    words = ["VectorNetLike", "--preset", "scene", "--epochs", "1", "--data", str(tiny), "--runs", str(tiny)]
    assert train_baselines.main(words) == 0
    assert (tiny / "VectorNetLike-0" / "weights.safetensors").exists()


def test_the_presets_fit_into_the_package():
    for preset in train.PRESETS.values():
        model = train.build_model(preset)
        assert 4 * sum(p.numel() for p in model.parameters()) < 2.5e6


@pytest.fixture
def recording(tmp_path):
    rows = [
        f"{10 * frame}\t{person}\t{0.5 * frame}\t{float(person)}"
        for frame in range(24)
        for person in (1, 2, 3)
        if not (person == 3 and frame < 4)
    ]
    for part in ("all_data", "train", "val"):
        (tmp_path / part).mkdir()
        suffix = "" if part == "all_data" else f"_{part}"
        for name in ("biwi_eth", "biwi_hotel"):
            (tmp_path / part / f"{name}{suffix}.txt").write_text("\n".join(rows))
    return tmp_path


def test_pedestrian_windows_hold_those_present_throughout(recording):
    found = crowds(recording / "all_data" / "biwi_eth.txt")
    assert [len(crowd.xy) for crowd in found] == [2, 2, 2, 2, 3]
    assert found[0].xy[0, :2].tolist() == [[0.0, 1.0], [0.5, 1.0]]


def test_a_fold_learns_from_the_other_recordings(recording):
    assert {c.recording for c in fold_crowds(recording, "eth", "test")} == {"biwi_eth"}
    assert {c.recording for c in fold_crowds(recording, "eth", "train")} == {"biwi_hotel_train"}
    with pytest.raises(InputError, match="fold"):
        fold_crowds(recording, "zara9", "test")


def test_a_damaged_recording_is_named(tmp_path):
    file = tmp_path / "broken.txt"
    file.write_text("1 2 3\n4 5\n")
    with pytest.raises(FileFormatError, match=r"broken\.txt: cannot read pedestrians"):
        crowds(file)
    file.write_text("1 2 3\n")
    with pytest.raises(FileFormatError, match="frame, pedestrian, x and y"):
        crowds(file)


def test_twenty_futures_of_a_crowd_in_metres(recording):
    crowd = crowds(recording / "all_data" / "biwi_eth.txt")[0]
    model = build_pedestrian_model().eval()
    futures = predict_crowd(model, crowd)
    assert futures.shape == (2, 20, 12, 2)
    moved = Crowd(crowd.xy + np.array([100.0, -50.0]), "moved")
    assert np.abs(predict_crowd(model, moved) - futures - [100.0, -50.0]).max() < 1e-4
    later = Crowd(np.concatenate([crowd.xy[:, :8], crowd.xy[:, 8:] * 7.0], axis=1), "other future")
    assert np.array_equal(predict_crowd(model, later), futures)


def test_best_of_twenty_takes_the_smallest_distances():
    crowd = Crowd(np.stack([path(1.0, 20), path(2.0, 20)]), "straight")
    futures = np.stack([crowd.xy[:, 8:] + [0.0, 3.0], crowd.xy[:, 8:] + [0.0, 1.0]], axis=1)
    assert best_of(futures, crowd).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_sampled_constant_velocity_holds_the_straight_path_without_noise():
    crowd = Crowd(np.stack([path(1.0, 20), path(2.0, 20)]), "straight")
    assert best_of(sampled_constant_velocity(crowd, turn_rad=0.0, log_speed=0.0), crowd).max() < 1e-9
    first, second = (sampled_constant_velocity(crowd, seed=4) for _ in range(2))
    assert np.array_equal(first, second)


def test_pedestrian_batches_repeat_by_epoch():
    crowd = Crowd(np.stack([path(1.0, 20), path(2.0, 20)]), "straight")
    batches = CrowdBatches([crowd], people=6, per_epoch=12)
    assert len(batches) == 2
    assert torch.equal(next(iter(batches(1))).x, next(iter(batches(1))).x)
