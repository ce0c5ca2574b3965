from __future__ import annotations

import json

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.lanemap import Lane, LaneMap, MapLine, Signal
from gnnlib.heads.scene.problem import AGENT_TYPES, DEFAULT_SIZE, Prediction, Scene, headings_from_past, wrap_angle

NAN = float("nan")


def two_cars(**changes: object) -> Scene:
    keywords: dict[str, object] = {
        "name": "pair",
        "agents": ("a", "b"),
        "xy": [[[0, 0], [1, 0], [2, 0]], [[NAN, NAN], [5, 5], [5, 6]]],
    }
    return Scene(**{**keywords, **changes})


def test_agents_that_come_late_are_absent_before() -> None:
    scene = two_cars()
    assert scene.valid.tolist() == [[True, True, True], [False, True, True]]
    assert scene.present_at(0).tolist() == [0]
    assert scene.present_at(2).tolist() == [0, 1]


def test_past_velocity_never_reads_the_future() -> None:
    scene = two_cars()
    velocity = scene.past_velocity()
    assert velocity[0, 1].tolist() == [10.0, 0.0]
    assert np.isnan(velocity[1, 1]).all()
    changed = scene.xy.copy()
    changed[:, 2] += 7.0
    assert np.array_equal(two_cars(xy=changed).past_velocity()[:, :2], velocity[:, :2], equal_nan=True)


def test_headings_follow_from_past_moves_and_hold_while_standing() -> None:
    track = np.array([[[0, 0], [1, 0], [1, 0], [1, 1], [NAN, NAN], [4, 4], [4, 3]]], dtype=float)
    half = np.pi / 2
    assert np.allclose(headings_from_past(track)[0], [NAN, 0, 0, half, NAN, np.pi / 4, -half], equal_nan=True)


def test_headings_of_slow_walkers_add_up_small_moves() -> None:
    track = np.stack([np.arange(10) * 0.02, np.zeros(10)], axis=-1)[None]
    heading = headings_from_past(track)[0]
    assert np.isnan(heading[:3]).all()
    assert np.allclose(heading[3:], 0.0)


def test_missing_sizes_are_those_of_the_type() -> None:
    bus = AGENT_TYPES.index("bus")
    scene = two_cars(agent_types=[0, bus], size=[[NAN, 1.5], [NAN, NAN]])
    assert scene.size.tolist() == [[DEFAULT_SIZE[0][0], 1.5], list(DEFAULT_SIZE[bus])]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agents": ("a", "a")}, "different ids"),
        ({"agents": ("a",)}, "different ids"),
        ({"xy": np.zeros((2, 3))}, r"\[any, any, 2\], found \[2, 3\]"),
        ({"xy": [[[0, np.inf]], [[0, 0]]]}, "agent row 0, step 0"),
        ({"xy": [[[0, 0]], [[NAN, 3]]]}, "agent row 1, step 0"),
        ({"xy": np.zeros((2, 0, 2))}, "at least one step"),
        ({"xy": [[["x", 0]], [[0, 0]]]}, "numbers"),
        ({"dt": 0.0}, "`dt`"),
        ({"dt": NAN}, "`dt`"),
        ({"agent_types": [0, 99]}, "AGENT_TYPES"),
        ({"agent_types": [0.5, 1.0]}, "AGENT_TYPES"),
        ({"heading_rad": [[0.0]]}, "heading_rad"),
        ({"velocity": np.zeros((2, 2, 2))}, "velocity"),
        ({"size": [[1, 1], [0, 1]]}, "agent row 1"),
        ({"ego": 2}, "`ego` must be in 0 .. 1"),
        ({"ego": True}, "`ego`"),
        ({"lanes": LaneMap(signals=(Signal("x", [0, 0], [1]),))}, "3 states, found 1"),
    ],
)
def test_records_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        two_cars(**changes)


def test_scene_without_agents_is_allowed() -> None:
    scene = Scene("empty", (), np.zeros((0, 4, 2)))
    assert (scene.num_agents, scene.num_steps, scene.present_at(3).tolist()) == (0, 4, [])
    assert scene.past_velocity().shape == (0, 4, 2)
    assert scene.transformed(1.0, (2.0, 3.0)).num_agents == 0


def test_unknown_agent_is_named() -> None:
    with pytest.raises(InputError, match=r"no agent 'z'; it has 'a', 'b'"):
        two_cars().row("z")


def test_step_outside_the_scene_is_refused() -> None:
    with pytest.raises(InputError, match=r"in 0 .. 2, found 3"):
        two_cars().present_at(3)


def test_window_keeps_who_is_there_and_the_states_of_signals() -> None:
    lights = LaneMap(signals=(Signal("x", [0, 0], [1, 2, 3]),))
    window = two_cars(ego=1, lanes=lights).window(0, 1)
    assert (window.agents, window.ego, window.num_steps) == (("a",), None, 1)
    later = two_cars(ego=1, lanes=lights).window(1, 3)
    assert (later.agents, later.ego) == (("a", "b"), 1)
    assert later.lanes.signals[0].states.tolist() == [2, 3]
    with pytest.raises(InputError):
        two_cars().window(2, 2)


def test_turning_back_gives_the_same_scene() -> None:
    lane = Lane(1, [[0, 0], [9, 1]], left=[[0, 1], [9, 2]], right=[[0, -1], [9, 0]])
    crossing, line = np.array([[0.0, 0], [1, 0], [1, 1]]), MapLine("boundary", [[0, 5], [9, 5]])
    lanes = LaneMap((lane,), (crossing,), (Signal(1, [9, 1], [1, 1, 1]),), (line,))
    scene = two_cars(lanes=lanes, velocity=np.ones((2, 3, 2)))
    moved = scene.transformed(0.7, (3.0, -2.0))
    assert not np.allclose(moved.lanes[1].centre, scene.lanes[1].centre)
    back = moved.transformed(0.0, (-3.0, 2.0)).transformed(-0.7)
    assert np.allclose(back.xy, scene.xy, equal_nan=True)
    assert np.allclose(back.velocity, scene.velocity)
    assert np.allclose(np.nan_to_num(wrap_angle(back.heading_rad - scene.heading_rad)), 0.0)
    assert np.array_equal(np.isnan(back.heading_rad), np.isnan(scene.heading_rad))
    assert np.allclose(back.lanes[1].left, lane.left)
    assert np.allclose(back.lanes.crossings[0], crossing)
    assert np.allclose(back.lanes.signals[0].position, [9, 1])
    assert np.allclose(back.lanes.lines[0].points, line.points)


def test_lanes_that_are_named_but_not_there_are_listed() -> None:
    lanes = LaneMap(
        (Lane(1, [[0, 0], [1, 0]], successors=(2, 9), left_neighbour=7, left_opposite=2), Lane(2, [[1, 0], [2, 0]])),
        signals=(Signal("far", [0, 0], [0]),),
    )
    assert lanes[1].successors == (2,)
    assert (lanes[1].left_neighbour, lanes[1].left_opposite) == (None, 2)
    assert lanes.unknown_ids == (7, 9, "far")
    with pytest.raises(InputError, match="no lane 9"):
        lanes[9]
    assert 1 in lanes
    assert 9 not in lanes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lane("x", [[0, 0]]), "centre of lane 'x'"),
        (lambda: Lane("x", [[0, 0], [NAN, 1]]), "finite"),
        (lambda: Lane("x", [[0, 0], [1, 1]], kind="river"), "river"),
        (lambda: LaneMap((Lane("x", [[0, 0], [1, 1]]),) * 2), "'x' twice"),
        (lambda: Signal("x", [0, NAN], [1]), "finite"),
        (lambda: Signal("x", [0, 0], [4]), "codes"),
        (lambda: MapLine("wall", [[0, 0]]), "wall"),
    ],
)
def test_bad_map_elements_are_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def test_width_of_a_lane_is_that_between_its_bounds() -> None:
    lane = Lane(1, [[0, 0], [10, 0]], left=[[0, 2], [10, 2]], right=[[0, -1], [5, -1], [10, -1]])
    assert lane.width == pytest.approx(3.0)
    assert Lane(1, [[0, 0], [10, 0]]).width == 3.5


def answer(**changes: object) -> Prediction:
    keywords: dict[str, object] = {
        "agents": ("a",),
        "xy": np.arange(12.0).reshape(1, 2, 3, 2),
        "probability": [[0.25, 0.75]],
        "scale": np.ones((1, 2, 3)),
        "at_step": 1,
    }
    return Prediction(**{**keywords, **changes})


def test_modes_of_an_agent_come_with_the_most_probable_first() -> None:
    ways, chances = answer().of("a")
    assert chances.tolist() == [0.75, 0.25]
    assert np.array_equal(ways[0], answer().xy[0, 1])
    assert np.array_equal(answer().most_likely[0], answer().xy[0, 1])
    with pytest.raises(InputError, match="'z'"):
        answer().of("z")


def test_prediction_becomes_json_without_its_scene() -> None:
    told = json.loads(json.dumps(answer(scene=two_cars()).to_dict()))
    assert "scene" not in told
    assert told["probability"] == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": [[0.5, 0.6]]}, "sum to 1"),
        ({"probability": [[-0.5, 1.5]]}, "sum to 1"),
        ({"probability": [[1.0]]}, "probability"),
        ({"scale": np.zeros((1, 2, 3))}, "> 0"),
        ({"scale": np.ones((1, 2))}, "scale"),
        ({"xy": np.full((1, 2, 3, 2), NAN)}, "finite"),
        ({"xy": np.zeros((1, 2, 0, 2)), "scale": np.ones((1, 2, 0))}, "at least one mode"),
        ({"agents": ("a", "b")}, "xy"),
        ({"unfamiliarity": [1.0, 2.0]}, "unfamiliarity"),
        ({"radius": np.ones((1, 2))}, "radius"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        answer(**changes)


def test_prediction_without_a_scene_cannot_plot_itself() -> None:
    with pytest.raises(InputError, match="does not hold its scene"):
        answer().plot()
