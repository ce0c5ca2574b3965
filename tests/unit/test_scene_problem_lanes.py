from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.lanemap import Lane, LaneMap
from gnnlib.heads.scene.lanes import lane_candidates, lane_paths, nearest_lanes
from gnnlib.heads.scene.maps.polylines import arc_lengths, bezier, offset_line, project, resample
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene


def fork() -> LaneMap:
    """A lane that forks, a parallel lane to its left, an oncoming one further left, a bike lane to its right."""
    return LaneMap(
        (
            Lane("in", [[0, 0], [40, 0]], successors=("straight", "turn"), left_neighbour="fast"),
            Lane("straight", [[40, 0], [90, 0]], predecessors=("in",)),
            Lane("turn", [[40, 0], [45, -2], [48, -8], [48, -40]], predecessors=("in",)),
            Lane("fast", [[0, 3.5], [90, 3.5]], right_neighbour="in"),
            Lane("back", [[90, 7], [0, 7]]),
            Lane("bike", [[0, -2], [90, -2]], kind="bike"),
        )
    )


def drive(x: float, y: float, speed: float, kind: str = "vehicle", heading: float = 0.0) -> Scene:
    steps = np.arange(-10, 1)[:, None] * 0.1 * speed * np.array([[np.cos(heading), np.sin(heading)]])
    types = np.array([AGENT_TYPES.index(kind)])
    return Scene("one", ("a",), (steps + np.array([x, y]))[None], agent_types=types, lanes=fork())


def ends(paths: list[np.ndarray]) -> list[list[float]]:
    return [path[-1].round(1).tolist() for path in paths]


def test_candidates_are_all_ways_from_the_own_lane_and_the_one_beside() -> None:
    paths = lane_candidates(drive(30.0, 0.3, 10.0), "a")
    reach = 10.0 * 3.0 + 9.0
    assert ends(paths)[0] == [30.0 + reach, 0.0]
    assert [path[0].round(6).tolist() for path in paths] == [[30.0, 0.0], [30.0, 0.0], [30.0, 3.5]]
    assert ends(paths)[2] == [30.0 + reach, 3.5]
    assert ends(paths)[1][0] == 48.0
    for path in paths:
        assert np.allclose(np.diff(arc_lengths(path)), 1.0, atol=0.2)  # chords of corners are shorter


def test_oncoming_and_bike_lanes_are_no_candidates_of_a_car() -> None:
    for path in lane_candidates(drive(30.0, 2.0, 10.0), "a"):
        assert not np.isclose(path[0, 1], 7.0)
        assert not np.isclose(path[0, 1], -2.0)


def test_cyclists_may_follow_a_bike_lane() -> None:
    assert any(np.isclose(path[0, 1], -2.0) for path in lane_candidates(drive(30.0, -1.9, 5.0, "cyclist"), "a"))


def test_who_drives_the_other_way_follows_the_oncoming_lane() -> None:
    paths = lane_candidates(drive(50.0, 6.5, 10.0, heading=np.pi), "a")
    assert ends(paths) == [[11.0, 7.0]]


def test_only_the_past_decides() -> None:
    scene = drive(30.0, 0.3, 10.0)
    later = np.concatenate([scene.xy, scene.xy[:, -1:] + [[0.0, 80.0]]], axis=1)
    longer = Scene("one", ("a",), later, lanes=scene.lanes)
    for ours, theirs in zip(lane_candidates(scene, "a"), lane_candidates(longer, "a", at_step=10), strict=True):
        assert np.array_equal(ours, theirs)


def test_no_map_or_far_from_it_means_no_candidates() -> None:
    assert lane_candidates(Scene("bare", ("a",), [[[0.0, 0.0]]]), "a") == []
    assert lane_candidates(drive(30.0, 60.0, 10.0), "a") == []


def test_standing_agent_still_has_ways_of_twenty_metres() -> None:
    paths = lane_candidates(drive(5.0, 0.0, 0.0), "a")
    assert min(arc_lengths(path)[-1] for path in paths) >= 20.0 - 1e-6


def test_absent_agent_is_refused_with_its_steps() -> None:
    scene = Scene("late", ("a",), [[[np.nan, np.nan], [0.0, 0.0]]], lanes=fork())
    with pytest.raises(InputError, match=r"at step 0; it is at steps 1 .. 1"):
        lane_candidates(scene, "a", at_step=0)
    with pytest.raises(InputError, match="`horizon`"):
        lane_candidates(scene, "a", 0)
    with pytest.raises(InputError, match="no agent"):
        lane_candidates(scene, "z")


def test_paths_round_a_ring_end() -> None:
    half = np.linspace(0.0, np.pi, 20)
    ring = LaneMap(
        (
            Lane(0, np.stack([np.cos(half), np.sin(half)], axis=1) * 10.0, successors=(1,)),
            Lane(1, -np.stack([np.cos(half), np.sin(half)], axis=1) * 10.0, successors=(0,)),
        )
    )
    (path,) = lane_paths(ring, 0, 0.0, 500.0)
    assert arc_lengths(path)[-1] == pytest.approx(20.0 * np.pi, rel=0.01)


def test_number_of_paths_is_bounded() -> None:
    lanes = [Lane(0, [[0, 0], [1, 0]], successors=(1, 2))]
    for level in range(1, 10):
        a, b = 2 * level - 1, 2 * level
        onward = (a + 2, b + 2) if level < 9 else ()
        lanes += [Lane(i, [[level, 0], [level + 1, i % 2]], successors=onward) for i in (a, b)]
    assert len(lane_paths(LaneMap(tuple(lanes)), 0, 0.0, 100.0)) == 64


def test_nearest_lane_comes_first_with_its_side() -> None:
    places = nearest_lanes(fork(), np.array([10.0, 1.0]), 0.0)
    assert [place.lane for place in places] == ["in", "fast", "bike"]
    assert [round(place.left, 3) for place in places] == [1.0, -2.5, 3.0]


def test_resampling_keeps_the_ends_and_the_spacing() -> None:
    line = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 10.0]])
    fine = resample(line, 0.7)
    assert np.allclose(fine[[0, -1]], line[[0, -1]])
    assert np.diff(arc_lengths(fine)).max() <= 0.7 + 1e-9


def test_offset_of_a_circle_is_a_circle() -> None:
    angle = np.linspace(0.0, np.pi, 200)
    circle = 10.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner = offset_line(circle, 2.0)
    assert np.allclose(np.hypot(*inner.T), 8.0, atol=0.01)


def test_quarter_turn_is_nearly_a_circular_arc() -> None:
    curve = bezier(np.array([0.0, 0.0]), 0.0, np.array([10.0, 10.0]), np.pi / 2.0, 0.2)
    radius = np.hypot(curve[:, 0] - 0.0, curve[:, 1] - 10.0)
    assert np.abs(radius - 10.0).max() < 0.05


def test_projection_agrees_with_dense_sampling() -> None:
    rng = np.random.default_rng(0)
    line = np.cumsum(rng.normal(size=(12, 2)), axis=0)
    points = rng.normal(size=(50, 2)) * 3.0
    along, left = project(line, points)
    dense = resample(line, 1e-3)
    gap = np.linalg.norm(points[:, None] - dense, axis=-1)
    assert np.allclose(np.abs(left), gap.min(axis=1), atol=2e-3)
    assert np.all((along >= 0.0) & (along <= arc_lengths(line)[-1]))
