"""Our readers on real files, against tables that were made from the same recordings by other means.

``ngsim_tracks.parquet`` and ``av2_tracks.parquet`` were converted from the raw files by separate scripts, which used
the standard XML and parquet modules only; their numbers are rounded to a millimetre, their maps to a centimetre.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.heads.scene.io import read_scene, read_scenes

pytest.importorskip("pyarrow")

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data") / "scene"
RAW = MIRROR / "raw_samples"

pytestmark = pytest.mark.skipif(not RAW.is_dir(), reason=f"no scenes below {MIRROR}; name a mirror in GNNLIB_DATA")


@pytest.mark.parametrize("name", ["USA_Lanker-1_10_T-1", "USA_Peach-4_3_T-1", "USA_US101-11_1_T-1"])
def test_commonroad_reader_agrees_with_the_table(name: str) -> None:
    table = read_scenes(MIRROR / "ngsim_tracks.parquet", MIRROR / "ngsim_maps.json.gz")
    ours = read_scene(RAW / f"{name}.xml.gz")
    if name not in table.names:
        pytest.skip(f"{name} is not in this part of the table")
    theirs = table[name]
    assert ours.agents == theirs.agents
    assert ours.dt == theirs.dt
    assert np.array_equal(ours.valid, theirs.valid)
    assert np.nanmax(np.abs(ours.xy - theirs.xy)) < 1e-3
    assert np.nanmax(np.abs(ours.size - theirs.size)) < 1e-3
    assert np.nanmax(np.abs(ours.velocity - theirs.velocity)) < 2e-3
    assert [lane.id for lane in ours.lanes.lanes] == [lane.id for lane in theirs.lanes.lanes]
    for mine, other in zip(ours.lanes.lanes, theirs.lanes.lanes, strict=True):
        assert set(mine.successors) == set(other.successors)
        assert set(mine.predecessors) == set(other.predecessors)
        assert mine.left_opposite == other.left_opposite
        assert mine.length == pytest.approx(other.length, abs=0.05)


def test_argoverse_reader_agrees_with_the_table() -> None:
    scenario = next(RAW.glob("scenario_*.parquet"))
    ours = read_scene(scenario, map_path=next(RAW.glob("log_map_archive_*.json")))
    theirs = read_scenes(MIRROR / "av2_tracks.parquet", MIRROR / "av2_maps.json.gz")["av2-mf-0a1e6f0a"]
    assert (ours.num_agents, ours.num_steps) == (theirs.num_agents, theirs.num_steps)
    assert int(ours.valid.sum()) == int(theirs.valid.sum())
    shift = np.nanmean(ours.xy.reshape(-1, 2), axis=0) - np.nanmean(theirs.xy.reshape(-1, 2), axis=0)
    order = np.lexsort(np.nan_to_num(ours.xy[:, :, 0] - shift[0], nan=1e9).T)
    other = np.lexsort(np.nan_to_num(theirs.xy[:, :, 0], nan=1e9).T)
    moved = np.nansum(np.hypot(*np.moveaxis(np.diff(ours.xy, axis=1), -1, 0)), axis=1)
    expected = np.nansum(np.hypot(*np.moveaxis(np.diff(theirs.xy, axis=1), -1, 0)), axis=1)
    assert np.allclose(np.sort(moved), np.sort(expected), atol=0.2)
    assert len(order) == len(other)
    assert len(ours.lanes) == len(theirs.lanes)
    assert sorted(round(lane.length, 1) for lane in ours.lanes.lanes) == pytest.approx(
        sorted(round(lane.length, 1) for lane in theirs.lanes.lanes), abs=0.21
    )


@pytest.mark.parametrize("source", ["ngsim", "womd", "nuscenes_mini", "av2"])
def test_scenes_of_the_tables_are_read_row_by_row(source: str) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tracks = MIRROR / f"{source}_tracks.parquet"
    scene = read_scenes(tracks, MIRROR / f"{source}_maps.json.gz")[0]
    table = pq.ParquetFile(tracks).read(columns=["scene", "agent", "step", "x", "y", "yaw"])
    rows = table.filter(pc.equal(table["scene"].cast("string"), scene.name)).to_pylist()
    first = min(row["step"] for row in rows)
    assert int(scene.valid.sum()) == len(rows)
    for row in rows[:: max(len(rows) // 50, 1)]:
        place = scene.row(row["agent"]), row["step"] - first
        assert scene.xy[place].tolist() == [row["x"], row["y"]]
        assert scene.heading_rad[place] == row["yaw"]
    farthest = int(np.argmax(np.nansum(np.abs(np.diff(scene.xy, axis=1)), axis=(1, 2))))
    centres = np.concatenate([lane.centre for lane in scene.lanes.lanes])
    track = scene.xy[farthest][scene.valid[farthest]]
    assert np.median(np.linalg.norm(centres[:, None] - track, axis=-1).min(axis=0)) < 5.0


@pytest.mark.parametrize("path", sorted((MIRROR / "eth_ucy" / "all_data").glob("*.txt")), ids=lambda path: path.stem)
def test_pedestrian_files_are_read_line_by_line(path: Path) -> None:
    scene = read_scene(path)
    rows = np.loadtxt(path)
    assert int(scene.valid.sum()) == len(rows)
    assert scene.num_agents == len(np.unique(rows[:, 1]))
    first = rows[0]
    assert scene.xy[scene.row(int(first[1])), int((first[0] - rows[:, 0].min()) > 0)].tolist() == first[2:].tolist()
