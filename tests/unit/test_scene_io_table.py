from __future__ import annotations

import builtins
import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError, MissingExtraError
from gnnlib.heads.scene.io import read_scene, read_scenes

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

if TYPE_CHECKING:
    from pathlib import Path

ROWS: dict[str, list[Any]] = {
    "scene": ["north", "north", "north", "south", "south", "south"],
    "agent": [7, 7, 3, 1, 1, 2],
    "type": ["vehicle", "vehicle", "traffic_cone", "bicycle", "bicycle", "martian"],
    "step": [5, 7, 6, 0, 1, 1],
    "x": [0.0, 2.0, 9.0, 0.0, 1.0, 40.0],
    "y": [0.0, 0.0, 9.0, 0.0, 0.0, 40.0],
    "yaw": [0.1, 0.2, 0.3, 0.0, 0.0, 0.0],
    "vx": [10.0, 10.0, 0.0, 1.0, 1.0, 0.0],
    "vy": [0.0] * 6,
    "length": [4.0, 4.2, 0.0, 1.8, 1.8, float("nan")],
    "width": [2.0, 2.0, 0.5, 0.6, 0.6, 1.0],
    "is_ego": [True, True, False, False, False, False],
}
MAPS = {
    "north": {
        "dt": 0.2,
        "lanes": [
            {
                "id": "a",
                "center": [[0, 0], [5, 0], [5, 0]],
                "left": [[0, 2], [5, 2]],
                "right": [[0, -2], [5, -2]],
                "pred": [],
                "succ": ["b", "gone"],
                "left_nb": ["b", "opposite"],
                "right_nb": ["c"],
                "type": ["VEHICLE", "INTERSECTION"],
                "speed_limit": 36,
            },
            {"id": "b", "center": [[5, 3], [0, 3]], "pred": ["a"], "succ": [], "type": ["urban"]},
            {"id": "c", "center": [[5, -3], [0, -3]], "pred": [], "succ": [], "left_nb": "b", "type": []},
            {"id": "dot", "center": [[1, 1]], "pred": [], "succ": []},
            {"id": None, "center": [[7, 7], [8, 8]], "pred": [], "succ": []},
        ],
        "other": [
            {"type": "CROSSWALK", "pts": [[0, 0], [1, 0], [1, 1]]},
            {"type": "ROAD_EDGE_BOUNDARY", "pts": [[0, 9], [9, 9]]},
            {"type": "stop_sign", "pts": [[4, 4]]},
            {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "pts": [[0, 1], [9, 1]]},
        ],
        "signals": [{"lane": "a", "step": [1, 2], "state": ["LANE_STATE_ARROW_STOP", "go"], "stop": [4.0, 0.0]}],
    }
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    pq.write_table(pa.table(ROWS), tmp_path / "tracks.parquet")
    (tmp_path / "maps.json.gz").write_bytes(gzip.compress(json.dumps(MAPS).encode()))
    return tmp_path / "tracks.parquet", tmp_path / "maps.json.gz"


def write(tmp_path: Path, **changes: list[Any]) -> Path:
    table = {**ROWS, **changes}
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({name: values for name, values in table.items() if values}), path)
    return path


def test_scenes_come_in_the_order_of_the_file(files: tuple[Path, Path]) -> None:
    table = read_scenes(*files)
    assert table.names == ("north", "south")
    assert [scene.name for scene in table] == ["north", "south"]
    assert (len(table), table["south"].name, table[-1].name, [s.name for s in table[:1]]) == (
        2,
        "south",
        "south",
        ["north"],
    )
    with pytest.raises(InputError, match="no scene 'east'"):
        table["east"]
    with pytest.raises(InputError, match="no scene 'east'"):
        read_scenes(*files, names=["east"])
    assert [scene.name for scene in read_scenes(*files, names=["south"])] == ["south"]


def test_steps_without_a_row_are_gaps(files: tuple[Path, Path]) -> None:
    scene = read_scenes(*files)["north"]
    assert scene.agents == (3, 7)
    assert scene.valid.tolist() == [[False, True, False], [True, False, True]]
    assert scene.xy[1, 2].tolist() == [2.0, 0.0]
    assert scene.heading_rad[1, 0] == 0.1
    assert np.isnan(scene.heading_rad[1, 1])
    assert scene.velocity[1, 0].tolist() == [10.0, 0.0]
    assert (scene.dt, scene.ego) == (0.2, 1)


def test_sizes_are_medians_and_zero_means_unknown(files: tuple[Path, Path]) -> None:
    scene = read_scenes(*files)["north"]
    assert scene.size[1].tolist() == [4.1, 2.0]
    assert scene.size[0].tolist() == [0.6, 0.5]


def test_types_of_all_sources_become_ours(files: tuple[Path, Path]) -> None:
    from gnnlib.heads.scene.problem import AGENT_TYPES

    table = read_scenes(*files)
    names = [[AGENT_TYPES[code] for code in scene.agent_types] for scene in table]
    assert names == [["static", "vehicle"], ["cyclist", "other"]]


def test_map_of_the_table_becomes_lanes(files: tuple[Path, Path]) -> None:
    lanes = read_scenes(*files)["north"].lanes
    assert [lane.id for lane in lanes.lanes] == ["a", "b", "c", "unnamed-4"]
    lane = lanes["a"]
    assert (lane.kind, lane.speed_limit) == ("intersection", 10.0)
    assert len(lane.centre) == 2
    assert (lane.left_neighbour, lane.left_opposite, lane.right_neighbour) == (None, "b", None)
    assert lanes["c"].left_neighbour == "b"
    assert lanes.unknown_ids == ("gone",)
    assert [line.kind for line in lanes.lines] == ["boundary", "stop_sign", "marking"]
    assert len(lanes.crossings) == 1
    assert [lanes.signals[0].name_at(step) for step in range(3)] == ["unknown", "red", "green"]


def test_scene_without_an_entry_has_no_map(files: tuple[Path, Path]) -> None:
    scene = read_scenes(*files)["south"]
    assert not scene.lanes
    assert scene.dt == 0.1


def test_read_scene_takes_one_of_a_table(files: tuple[Path, Path]) -> None:
    assert read_scene(files[0], map_path=files[1], name="south").name == "south"
    assert read_scene(files[0], dt=0.5).dt == 0.5


def test_agents_may_have_names(tmp_path: Path) -> None:
    path = write(tmp_path, agent=["ann", "ann", "bob", "x", "x", "y"])
    assert read_scenes(path)["north"].agents == ("ann", "bob")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": []}, r"bad.parquet: the table needs the columns x"),
        ({"x": [], "latitude": [1.0] * 6}, "latitude/longitude"),
        ({"x": [0.0, float("nan"), 9.0, 0.0, 1.0, 4.0]}, r"row 1 \(scene 'north', agent 7, step 7\)"),
        ({"y": [0.0, 0.0, float("inf"), 0.0, 1.0, 4.0]}, r"row 2 \(scene 'north', agent 3"),
        ({"step": [5, 5, 6, 0, 1, 1]}, r"scene 'north': agent 7 has more than one row at step 5"),
        ({"step": [5, None, 6, 0, 1, 1]}, r"column `step` must not have gaps, found one in row 1"),
        ({"scene": ["north", None, "north", "s", "s", "s"]}, "column `scene`"),
        ({"x": [13.40, 13.41, 13.42, 0, 1, 4], "y": [52.51, 52.52, 52.53, 0, 0, 0]}, "scene 'north'.*longitude"),
        ({"is_ego": [True, True, True, False, False, False]}, "one agent may be the ego"),
        ({"step": [0, 10**7, 6, 0, 1, 1]}, "span"),
    ],
)
def test_bad_tables_are_refused_with_the_place(tmp_path: Path, changes: dict[str, list[Any]], message: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(FileFormatError, match=message):
        list(read_scenes(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry["lanes"][0].pop("center"), "lane 'a': the key 'center' is missing"),
        (lambda entry: entry["lanes"][0].update(center=[[0, 0], [float("nan"), 1]]), "lane 'a'.*finite"),
        (lambda entry: entry["lanes"].append(dict(entry["lanes"][0])), "'a' twice"),
        (lambda entry: entry["other"].append({"type": "CROSSWALK"}), "map line number 4"),
        (lambda entry: entry["signals"][0].pop("state"), "signal of lane 'a'"),
    ],
)
def test_bad_maps_are_refused_with_the_element(files: tuple[Path, Path], change: Any, message: str) -> None:
    maps = json.loads(json.dumps(MAPS))
    change(maps["north"])
    files[1].write_bytes(json.dumps(maps).encode())
    with pytest.raises(FileFormatError, match="scene 'north'.*" + message):
        read_scenes(*files)["north"]


def test_truncated_files_are_refused(files: tuple[Path, Path]) -> None:
    tracks, maps = files
    whole = maps.read_bytes()
    maps.write_bytes(whole[:-20])
    with pytest.raises(FileFormatError, match=r"maps.json.gz: the gzip stream is damaged or truncated"):
        read_scenes(*files)
    maps.write_bytes(b'{"north": {')
    with pytest.raises(FileFormatError, match=r"maps.json.gz:1: not valid JSON"):
        read_scenes(*files)
    maps.write_bytes(b"[1, 2]")
    with pytest.raises(FileFormatError, match="JSON object from scene name to map"):
        read_scenes(*files)
    tracks.write_bytes(tracks.read_bytes()[:300])
    with pytest.raises(FileFormatError, match=r"tracks.parquet: not a readable parquet file"):
        read_scene(tracks)


def test_missing_pyarrow_is_said_with_the_extra(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"gnnlib\[scene\]"):
        read_scenes(files[0])


def argoverse(tmp_path: Path, **changes: list[Any]) -> Path:
    rows: dict[str, list[Any]] = {
        "track_id": ["AV", "AV", "12", "12"],
        "object_type": ["vehicle", "vehicle", "riderless_bicycle", "riderless_bicycle"],
        "timestep": [0, 1, 1, 3],
        "position_x": [0.0, 1.0, 20.0, 20.0],
        "position_y": [0.0, 0.0, 5.0, 5.0],
        "heading": [0.0, 0.0, 1.0, 1.0],
        "velocity_x": [10.0] * 4,
        "velocity_y": [0.0] * 4,
        "scenario_id": ["abc"] * 4,
    }
    rows.update(changes)
    path = tmp_path / "scenario_abc.parquet"
    pq.write_table(pa.table({name: values for name, values in rows.items() if values}), path)
    return path


def points(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y, "z": 1.0} for x, y in pairs]


def argoverse_map(tmp_path: Path) -> Path:
    segment = {
        "id": 5,
        "is_intersection": True,
        "lane_type": "VEHICLE",
        "left_lane_boundary": points((0, 2), (10, 2)),
        "right_lane_boundary": points((0, -2), (10, -2)),
        "predecessors": [],
        "successors": [6, 99],
        "left_neighbor_id": 6,
        "right_neighbor_id": None,
    }
    other = {
        **segment,
        "id": 6,
        "is_intersection": False,
        "lane_type": "BIKE",
        "successors": [],
        "left_neighbor_id": None,
        "left_lane_boundary": points((10, 4), (0, 4)),
        "right_lane_boundary": points((10, 6), (0, 6)),
        "centerline": points((10, 5), (0, 5)),
    }
    raw = {
        "lane_segments": {"5": segment, "6": other},
        "pedestrian_crossings": {"1": {"id": 1, "edge1": points((0, 0), (0, 9)), "edge2": points((2, 0), (2, 9))}},
        "drivable_areas": {"2": {"id": 2, "area_boundary": points((0, 0), (9, 0), (9, 9))}},
    }
    path = tmp_path / "log_map_archive_abc.json"
    path.write_text(json.dumps(raw))
    return path


def test_argoverse_scenario_is_read_with_the_map_beside_it(tmp_path: Path) -> None:
    argoverse_map(tmp_path)
    scene = read_scene(argoverse(tmp_path))
    assert (scene.name, scene.agents, scene.ego, scene.num_steps) == ("abc", ("12", "AV"), 1, 4)
    assert scene.valid[0].tolist() == [False, True, False, True]
    assert scene.lanes[5].centre[0].tolist() == [0.0, 0.0]
    assert (scene.lanes[5].kind, scene.lanes[6].kind) == ("intersection", "bike")
    assert (scene.lanes[5].left_neighbour, scene.lanes[5].left_opposite) == (None, 6)
    assert scene.lanes.unknown_ids == (99,)
    assert scene.lanes.crossings[0].tolist() == [[0, 0], [0, 9], [2, 9], [2, 0]]


def test_argoverse_without_a_map_is_read(tmp_path: Path) -> None:
    assert not read_scene(argoverse(tmp_path)).lanes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heading": []}, "columns heading"),
        ({"timestep": [0, 0, 1, 3]}, "track 'AV' has two rows at timestep 0"),
        ({"position_x": [0.0, float("nan"), 2.0, 2.0]}, "track 'AV', timestep 1"),
        ({"timestep": [-1, 0, 1, 3]}, "timestep"),
    ],
)
def test_bad_argoverse_tables_are_refused(tmp_path: Path, changes: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_scene(argoverse(tmp_path, **changes))


def test_bad_argoverse_map_is_refused_with_the_segment(tmp_path: Path) -> None:
    path = argoverse_map(tmp_path)
    raw = json.loads(path.read_text())
    del raw["lane_segments"]["6"]["lane_type"]
    path.write_text(json.dumps(raw))
    with pytest.raises(FileFormatError, match=r"lane segment 6: the key 'lane_type' is missing"):
        read_scene(argoverse(tmp_path))
    path.write_text("{}")
    with pytest.raises(FileFormatError, match="lane_segments"):
        read_scene(argoverse(tmp_path))
