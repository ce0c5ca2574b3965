"""The windows of the recorded collections are as many as the protocol's published counts."""

import os
from pathlib import Path

import pytest

from gnnlib.heads.scene.pedestrians import FOLDS, fold_crowds
from gnnlib.heads.scene.training.windows import load_split, scene_windows

FOLDER = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data") / "scene"

needs_data = pytest.mark.skipif(
    not (FOLDER / "splits.json").exists(),
    reason=f"no scene collections below {FOLDER}; name a mirror of the data in GNNLIB_DATA",
)


@needs_data
@pytest.mark.parametrize(
    ("source", "split", "count"),
    [("ngsim", "val", 210), ("ngsim", "test", 795), ("av2", "test", 221)],
)
def test_moving_vehicles_are_as_many_as_the_protocol_counts(source, split, count):
    scenes, timeline = load_split(FOLDER, source, split)
    assert sum(len(window.rows) for window in scene_windows(scenes, timeline=timeline)) == count


@needs_data
@pytest.mark.parametrize(
    ("fold", "count"), [("eth", 70), ("hotel", 301), ("univ", 947), ("zara1", 602), ("zara2", 921)]
)
def test_pedestrian_folds_hold_the_customary_windows(fold, count):
    assert fold in FOLDS
    assert len(fold_crowds(FOLDER / "eth_ucy", fold, "test")) == count
