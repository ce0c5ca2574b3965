from __future__ import annotations

import gzip
import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError, MissingFileError
from gnnlib.heads.scene.io import read_scene
from gnnlib.heads.scene.problem import AGENT_TYPES

if TYPE_CHECKING:
    from pathlib import Path

LANELET = """
<lanelet id="{id}">
  <leftBound><point><x>0</x><y>{top}</y></point><point><x>20</x><y>{top}</y></point></leftBound>
  <rightBound><point><x>0</x><y>{low}</y></point><point><x>10</x><y>{low}</y></point><point><x>20</x><y>{low}</y></point></rightBound>
  {links}
</lanelet>"""
STATE = """
<{tag}><position><point><x>{x}</x><y>{y}</y></point></position><orientation><exact>0.5</exact></orientation>
<time><exact>{step}</exact></time><velocity><exact>{v}</exact></velocity></{tag}>"""
COMMONROAD = """<?xml version="1.0"?>
<commonRoad benchmarkID="ZAM_Test-1_1_T-1" commonRoadVersion="2020a" timeStepSize="0.1">
{lanes}
<trafficSign id="70"><trafficSignElement><trafficSignID>R2-1</trafficSignID><additionalValue>13.5</additionalValue></trafficSignElement></trafficSign>
<trafficLight id="80"><cycle>
  <cycleElement><duration>2</duration><color>green</color></cycleElement>
  <cycleElement><duration>1</duration><color>yellow</color></cycleElement>
  <cycleElement><duration>3</duration><color>red</color></cycleElement>
  <timeOffset>1</timeOffset></cycle></trafficLight>
<dynamicObstacle id="5"><type>truck</type><shape><rectangle><length>8</length><width>2.4</width></rectangle></shape>
{initial}<trajectory>{states}</trajectory></dynamicObstacle>
<staticObstacle id="6"><type>parkedVehicle</type><shape><circle><radius>1.5</radius></circle></shape>{parked}</staticObstacle>
<planningProblem id="9"><initialState/></planningProblem>
</commonRoad>"""


def commonroad(**changes: str) -> str:
    links = (
        '<predecessor ref="77"/><successor ref="2"/><adjacentLeft ref="2" drivingDir="opposite"/>'
        '<adjacentRight ref="3" drivingDir="same"/><laneletType>interstate</laneletType>'
        '<trafficSignRef ref="70"/><trafficLightRef ref="80"/>'
    )
    parts = {
        "lanes": "".join(
            LANELET.format(id=i, top=top, low=top - 4, links=links if i == 1 else "")
            for i, top in ((1, 2), (2, 6), (3, -2))
        ),
        "initial": STATE.format(tag="initialState", x=0, y=0, step=1, v=10),
        "states": STATE.format(tag="state", x=1, y=0.5, step=2, v=11)
        + STATE.format(tag="state", x=3, y=1, step=4, v=9),
        "parked": STATE.format(tag="initialState", x=15, y=-3, step=0, v=0),
    }
    return COMMONROAD.format(**{**parts, **changes})


def save(tmp_path: Path, text: str, name: str = "file.xml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_commonroad_scenario_is_read(tmp_path: Path) -> None:
    scene = read_scene(save(tmp_path, commonroad()))
    assert (scene.name, scene.agents, scene.num_steps, scene.dt) == ("ZAM_Test-1_1_T-1", (5, 6), 5, 0.1)
    assert scene.valid.tolist() == [[False, True, True, False, True], [True] * 5]
    assert scene.xy[0, 4].tolist() == [3.0, 1.0]
    assert np.allclose(scene.velocity[0, 2], 11 * np.array([np.cos(0.5), np.sin(0.5)]))
    assert scene.size.tolist() == [[8.0, 2.4], [3.0, 3.0]]
    assert [AGENT_TYPES[code] for code in scene.agent_types] == ["truck", "vehicle"]


def test_commonroad_map_is_read(tmp_path: Path) -> None:
    lanes = read_scene(save(tmp_path, commonroad())).lanes
    lane = lanes[1]
    assert lane.centre.tolist() == [[0, 0], [10, 0], [20, 0]]
    assert (lane.left_neighbour, lane.left_opposite, lane.right_neighbour) == (None, 2, 3)
    assert (lane.kind, lane.speed_limit, lane.successors) == ("highway", 13.5, (2,))
    assert lanes.unknown_ids == (77,)
    assert [lanes.signals[0].name_at(step) for step in range(5)] == ["red", "green", "green", "yellow", "red"]
    assert lanes.signals[0].position.tolist() == [20.0, 0.0]


def test_gzipped_xml_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "scenario.bin"
    path.write_bytes(gzip.compress(commonroad().encode()))
    assert read_scene(path, name="other").name == "other"


def test_commonroad_without_obstacles_has_no_agents(tmp_path: Path) -> None:
    text = '<commonRoad timeStepSize="0.1"></commonRoad>'
    scene = read_scene(save(tmp_path, text, "bare.xml"))
    assert (scene.name, scene.num_agents, scene.num_steps) == ("bare", 0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:900], r"file.xml:\d+: not well-formed XML \(truncated\?\)"),
        (lambda text: text.replace("<x>1</x>", "<x>nan</x>"), 'dynamicObstacle id="5".*step 2.*<x>.*finite.*nan'),
        (lambda text: text.replace("<x>1</x>", "<x>east</x>"), "step 2.*expected a number, found 'east'"),
        (lambda text: text.replace("<x>1</x>", ""), "step 2: <x> is missing"),
        (lambda text: text.replace("<exact>4</exact>", "<exact>2</exact>"), "steps must increase, found 2 after 2"),
        (lambda text: text.replace("<exact>4</exact>", "<exact>0.5</exact>"), "must be a step"),
        (lambda text: text.replace("<exact>4</exact>", "<exact>9999999</exact>"), "count steps"),
        (lambda text: text.replace('timeStepSize="0.1"', ""), "timeStepSize"),
        (lambda text: text.replace('timeStepSize="0.1"', 'timeStepSize="-1"'), "> 0 seconds"),
        (lambda text: text.replace('ref="2"/><adj', 'reff="2"/><adj'), 'lanelet id="1".*<successor> needs.*`ref`'),
        (
            lambda text: text.replace("<leftBound>", "<wrongBound>").replace("</leftBound>", "</wrongBound>"),
            "leftBound",
        ),
        (lambda text: text.replace('lanelet id="2"', 'lanelet id="1"'), "unique"),
        (lambda text: text.replace("<length>8</length>", ""), "<length> is missing"),
        (lambda text: text.replace("<length>8</length>", "<length>-8</length>"), "size"),
        (lambda text: text.replace('Obstacle id="6"', 'Obstacle id="5"'), "different ids"),
        (lambda text: text.replace("commonRoad", "openDrive"), "unknown kind: <openDrive>"),
    ],
)
def test_bad_commonroad_files_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    changed = change(commonroad())
    assert changed != commonroad()
    with pytest.raises(FileFormatError, match=message):
        read_scene(save(tmp_path, changed))


def test_degrees_are_refused_in_commonroad(tmp_path: Path) -> None:
    text = commonroad(
        initial=STATE.format(tag="initialState", x=11.57, y=48.13, step=1, v=10),
        states="",
        parked=STATE.format(tag="initialState", x=11.58, y=48.14, step=0, v=0),
    )
    with pytest.raises(FileFormatError, match=r"file.xml: obstacles: positions must be metres.*longitude/latitude"):
        read_scene(save(tmp_path, text))


FCD = """<fcd-export>
<timestep time="10.00"><vehicle id="a" x="5.00" y="1.00" angle="90.00" type="car" speed="10.0" pos="5" lane="e_0"/></timestep>
<timestep time="10.50"><vehicle id="a" x="10.00" y="1.00" angle="90.00" type="car" speed="10.0"/>
<person id="p" x="3.0" y="9.0" angle="0" type="DEFAULT_PEDTYPE" speed="1.2"/></timestep>
<timestep time="11.00"/>
<timestep time="11.50"><vehicle id="bike1" x="0" y="0" angle="180" type="my_bicycle"/></timestep>
</fcd-export>"""
NET = """<net version="1.16">
<edge id=":J_0" function="internal"><lane id=":J_0_0" index="0" speed="6.5" length="5" shape="50.0,1.6 55.0,1.6"/></edge>
<edge id=":J_c0" function="crossing"><lane id=":J_c0_0" index="0" width="4.0" speed="1" length="8" shape="52,-4 52,4"/></edge>
<edge id=":J_w0" function="walkingarea"><lane id=":J_w0_0" index="0" speed="1" length="8" shape="0,0 1,0 1,1"/></edge>
<edge id="in" from="A" to="J">
  <lane id="in_0" index="0" allow="pedestrian" speed="13.9" width="2" length="50" shape="0,-3 50,-3"/>
  <lane id="in_1" index="1" speed="13.9" length="50" shape="0.00,1.60 50.00,1.60"/>
  <lane id="in_2" index="2" speed="13.9" length="50" shape="0.00,4.80 50.00,4.80,3"/>
</edge>
<edge id="out" from="J" to="B"><lane id="out_0" index="0" speed="8" length="40" shape="55,1.6 95,1.6"/></edge>
<tlLogic id="J" type="static" programID="0" offset="0"><phase duration="11" state="Gr"/><phase duration="0.5" state="yr"/><phase duration="20" state="rG"/></tlLogic>
<connection from="in" to="out" fromLane="1" toLane="0" via=":J_0_0" tl="J" linkIndex="0" dir="s" state="O"/>
<connection from=":J_0" to="out" fromLane="0" toLane="0" dir="s" state="M"/>
</net>"""


def test_sumo_positions_become_centres_and_angles_count_from_x(tmp_path: Path) -> None:
    scene = read_scene(save(tmp_path, FCD))
    assert (scene.agents, scene.num_steps, scene.dt) == (("a", "p", "bike1"), 4, 0.5)
    assert scene.xy[0, 0].tolist() == [2.5, 1.0]
    assert np.allclose(scene.heading_rad[[0, 1, 2], [0, 1, 3]], [0.0, np.pi / 2, -np.pi / 2])
    assert np.allclose(scene.xy[2, 3], [0.0, 0.8])
    assert scene.valid.sum(axis=1).tolist() == [2, 1, 1]
    assert [AGENT_TYPES[code] for code in scene.agent_types] == ["vehicle", "pedestrian", "cyclist"]
    assert np.isnan(scene.velocity[2, 3]).all()


def test_sumo_net_becomes_lanes_signals_and_crossings(tmp_path: Path) -> None:
    lanes = read_scene(save(tmp_path, FCD), map_path=save(tmp_path, NET, "net.xml")).lanes
    assert [lane.id for lane in lanes.lanes] == [":J_0_0", "in_0", "in_1", "in_2", "out_0"]
    assert lanes["in_1"].successors == (":J_0_0",)
    assert lanes[":J_0_0"].successors == ("out_0",)
    assert lanes["out_0"].predecessors == (":J_0_0",)
    assert (lanes["in_1"].left_neighbour, lanes["in_1"].right_neighbour) == ("in_2", None)
    assert [lane.kind for lane in lanes.lanes] == ["intersection", "other", "road", "road", "road"]
    assert lanes["in_1"].width == pytest.approx(3.2)
    assert lanes.crossings[0].tolist() == [[50, -4], [50, 4], [54, 4], [54, -4]]
    (signal,) = lanes.signals
    assert (signal.lane, signal.position.tolist()) == ("in_1", [50.0, 1.6])
    assert [signal.name_at(step) for step in range(4)] == ["green", "green", "yellow", "red"]


def test_actuated_lights_are_unknown(tmp_path: Path) -> None:
    net = save(tmp_path, NET.replace('type="static"', 'type="actuated"'), "net.xml")
    lanes = read_scene(save(tmp_path, FCD), map_path=net).lanes
    assert lanes.signals[0].states.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:300], r"file.xml:\d+: not well-formed"),
        (lambda text: text.replace('time="10.50"', 'time="9.50"'), r'timestep time="9.5".*must come after time 10'),
        (lambda text: text.replace('time="11.00"', 'time="10.50"'), "times must increase"),
        (lambda text: text.replace('time="11.00"', 'time="11.20"'), 'time="11.2".*must be 0.5 s after'),
        (lambda text: text.replace('x="10.00"', 'x="nan"'), r'timestep time="10.50".*vehicle id="a".*`x`.*finite'),
        (lambda text: text.replace('x="10.00" ', ""), r'vehicle id="a".*needs the attribute `x`'),
        (lambda text: text.replace("person", "vehicle").replace('id="p"', 'id="a"'), 'id="a".*twice'),
        (lambda text: "<fcd-export></fcd-export>", "no <timestep>"),
        (
            lambda text: text.replace('x="3.0" y="9.0"', 'x="5.1" y="1.1"').replace('x="10.00"', 'x="5.01"')
            .replace('x="0" y="0" angle="180"', 'x="5.02" y="1.02"').replace('angle="90.00"', ""),
            "longitude/latitude",
        ),
    ],
)  # fmt: skip
def test_bad_sumo_files_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    changed = change(FCD)
    assert changed != FCD
    if "longitude" in message:
        changed = changed.replace('angle="0"', "")
    with pytest.raises(FileFormatError, match=message):
        read_scene(save(tmp_path, changed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:700], r"net.xml:\d+: not well-formed"),
        (lambda text: text.replace("0.00,1.60 50.00,1.60", "0.00;1.60 50"), 'lane id="in_1".*pairs x,y'),
        (lambda text: text.replace("50.00,1.60", "50.00,nan"), 'lane id="in_1".*finite'),
        (lambda text: text.replace('linkIndex="0"', ""), "needs the attribute `linkIndex`"),
        (lambda text: text.replace('linkIndex="0"', 'linkIndex="7"'), "has no link 7"),
        (lambda text: text.replace("net", "fcd-export"), "expected the root element <net>"),
    ],
)
def test_bad_sumo_nets_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    net = save(tmp_path, change(NET), "net.xml")
    with pytest.raises(FileFormatError, match=message):
        read_scene(save(tmp_path, FCD), map_path=net)


def test_net_alone_is_no_scene(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="`map_path`"):
        read_scene(save(tmp_path, NET))


WALK = "780\t1.0\t8.46\t3.59\n790 1 9.57 3.79\n\n# note\n790,2,12.0,4.0\n820 2 12.5 4.0\n"


def test_pedestrian_text_is_read(tmp_path: Path) -> None:
    scene = read_scene(save(tmp_path, WALK, "walk.txt"))
    assert (scene.name, scene.agents, scene.num_steps, scene.dt) == ("walk", (1, 2), 5, 0.4)
    assert scene.valid.tolist() == [[True, True, False, False, False], [False, True, False, False, True]]


def test_frames_between_annotations_set_the_step(tmp_path: Path) -> None:
    lines = [f"{frame} 1 {frame / 10.0} 0.0" for frame in (0, 10, 20, 40)]
    scene = read_scene(save(tmp_path, "\n".join(lines), "walk.txt"), dt=0.5)
    assert scene.valid[0].tolist() == [True, True, True, False, True]
    assert scene.past_velocity()[0, 1].tolist() == [2.0, 0.0]
    assert AGENT_TYPES[scene.agent_types[0]] == "pedestrian"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 2.0\n", r"walk.txt:1: expected four"),
        ("0 1 2.0 3.0\n10 1 nan 3.0\n", r"walk.txt:2: .*finite"),
        ("0 1 2.0 3.0\n10 1 two 3.0\n", r"walk.txt:2: expected numbers"),
        ("0 1 2 3\n10 1 2 3\n20 1 3 3\n25 1 4 3\n", r"walk.txt:4: frame 25 is not a multiple of 10"),
        ("0 1 2 3\n10 1 2 3\n10 1 9 3\n", r"walk.txt:3: person 1 is there twice in frame 10"),
        ("0 1 8.55 47.37\n10 1 8.551 47.37\n0 2 8.553 47.371\n", "longitude/latitude"),
        ("# nothing\n", "has no line"),
        ("", "empty"),
    ],
)
def test_bad_pedestrian_text_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_scene(save(tmp_path, text, "walk.txt"))


def scenario(**changes: Any) -> dict[str, Any]:
    state = {
        "position": [[0, 0, 1], [1, 0, 1], [2, 0, 1]],
        "heading": [0.0, 0.0, 0.0],
        "velocity": [[10, 0]] * 3,
        "length": [4.5, 4.5, 0.0],
        "width": 2.0,
        "valid": [1, 1, 0],
    }
    walker = {"position": [[9, 9], [9, 9.1], [9, 9.2]], "valid": [True] * 3}
    base: dict[str, Any] = {
        "id": "sd_test",
        "length": 3,
        "metadata": {"ts": [0.0, 0.1, 0.2], "sdc_id": "7"},
        "tracks": {"7": {"type": "VEHICLE", "state": state}, "p": {"type": "PEDESTRIAN", "state": walker}},
        "map_features": {
            "1": {"type": "LANE_SURFACE_STREET", "polyline": [[0, 0, 0], [9, 0, 0]], "exit_lanes": ["2", "404"],
                  "left_neighbor": [{"feature_id": "2"}], "speed_limit_kmh": 36},
            "2": {"type": "LANE_SURFACE_STREET", "polyline": [[0, 3], [9, 3]], "entry_lanes": ["1"]},
            "3": {"type": "CROSSWALK", "polygon": [[0, 0], [1, 0], [1, 1]]},
            "4": {"type": "ROAD_EDGE_BOUNDARY", "polyline": [[0, -2], [9, -2]]},
            "5": {"type": "STOP_SIGN", "position": [4.0, 4.0, 0.0]},
        },
        "dynamic_map_states": {
            "1": {"type": "TRAFFIC_LIGHT", "lane": "1", "stop_point": [8.0, 0.0, 0.0],
                  "state": {"object_state": ["LANE_STATE_STOP", "LANE_STATE_GO", None]}}
        },
    }  # fmt: skip
    return {**base, **changes}


def flat(tree: dict[str, Any], way: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves.update(flat(value, f"{way}{key}/"))
        elif not isinstance(value, list) or not value or not isinstance(value[0], dict):
            leaves[f"{way}{key}"] = np.array(
                ["" if v is None else v for v in value] if isinstance(value, list) else value
            )
    return leaves


def test_scenario_dict_is_read_from_memory_json_and_npz(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(scenario()))
    np.savez(tmp_path / "s.npz", **flat(scenario()))
    for scene in (read_scene(scenario()), read_scene(tmp_path / "s.json"), read_scene(tmp_path / "s.npz")):
        assert (scene.name, scene.agents, scene.ego, scene.dt) == ("sd_test", ("7", "p"), 0, 0.1)
        assert scene.valid.tolist() == [[True, True, False], [True, True, True]]
        assert scene.size[0].tolist() == [4.5, 2.0]
        assert scene.lanes["1"].successors == ("2",)
        assert scene.lanes.unknown_ids == ("404",)
        assert scene.lanes["1"].speed_limit == 10.0
        assert [scene.lanes.signals[0].name_at(step) for step in range(3)] == ["red", "green", "unknown"]
        assert [line.kind for line in scene.lanes.lines] == ["boundary", "stop_sign"]
        assert len(scene.lanes.crossings) == 1


def spoiled(change: Any) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(json.dumps(scenario()))
    change(tree)
    return tree


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("tracks"), "key `tracks`"),
        (lambda s: s["tracks"]["7"].pop("state"), "track '7'.*`state` with `position`"),
        (
            lambda s: s["tracks"]["7"]["state"].update(heading=[0.0]),
            "track '7'.*`heading` must have 3 entries, found 1",
        ),
        (lambda s: s["tracks"]["7"]["state"]["position"].__setitem__(1, [float("nan"), 0, 0]), "track '7'.*step 1"),
        (lambda s: s["tracks"]["7"]["state"].update(position=[["a", 1]] * 3), "track '7'.*numbers"),
        (lambda s: s["tracks"]["7"]["state"].update(position=[1, 2, 3]), r"track '7'.*\[T, 2\]"),
        (lambda s: s["metadata"].update(ts=[0.0, 0.2, 0.1]), "`ts` must increase, entry 2"),
        (lambda s: s["metadata"].update(ts=[0.0, 0.1, 0.7]), "evenly spaced"),
        (lambda s: s["map_features"]["1"].pop("polyline"), "map feature '1'.*'polyline' is missing"),
        (lambda s: s["map_features"]["1"].update(polyline=[[0, 0], [float("inf"), 1]]), "map feature '1'.*finite"),
        (lambda s: s["dynamic_map_states"]["1"].pop("state"), "dynamic map state '1'"),
    ],
)
def test_bad_scenario_dicts_are_refused(change: Any, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_scene(spoiled(change))


def test_scenario_without_tracks_or_map_is_allowed() -> None:
    scene = read_scene({"tracks": {}})
    assert (scene.num_agents, scene.num_steps, bool(scene.lanes)) == (0, 1, False)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "s.pkl").write_bytes(pickle.dumps(scenario()))
    with pytest.raises(FileFormatError, match=r"s.pkl: pickles are not read"):
        read_scene(tmp_path / "s.pkl")
    np.savez(tmp_path / "s.npz", tracks=np.array([{}], dtype=object))
    with pytest.raises(FileFormatError, match="plain arrays"):
        read_scene(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (commonroad(), {"map_path": "m.xml"}, "`map_path` does not go"),
        (commonroad(), {"dt": 0.1}, "`dt` does not go"),
        (FCD, {"dt": 0.1}, "`dt` does not go"),
        (WALK, {"map_path": "m.xml"}, "`map_path` does not go"),
    ],
)
def test_options_that_do_not_go_with_a_format_are_refused(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_scene(save(tmp_path, text), **options)


@pytest.mark.parametrize("name", ["nothing.xml", "nothing.parquet", "nothing.json.gz"])
def test_missing_file_is_named_and_an_os_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match=name) as caught:
        read_scene(tmp_path / name)
    assert isinstance(caught.value, FileNotFoundError)
