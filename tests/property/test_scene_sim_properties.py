"""Scores of a drive: overlap is symmetric and agrees with sampled points; the simulation moves with its frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.scene.maps.road import box_corners
from gnnlib.heads.scene.planning.driving_scores import boxes_overlap, time_to_collision
from gnnlib.heads.scene.planning.idm import IDM
from gnnlib.heads.scene.planning.scenarios import SCENARIO_KINDS, make_scenario
from gnnlib.heads.scene.policies import IDMPolicy, path_offsets
from gnnlib.heads.scene.sim import SceneSim

few = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 10**6)


def boxes(seed):
    rng = np.random.default_rng(seed)
    return [(rng.normal(0, 3, 2), np.array(rng.uniform(-4, 4)), rng.uniform(1, 6, 2)) for _ in range(2)]


@few
@given(seeds)
def test_overlap_is_symmetric_and_agrees_with_points_on_a_grid(seed):
    (xy, turn, size), (other, other_turn, other_size) = boxes(seed)
    hit = bool(boxes_overlap(xy, turn, size, other, other_turn, other_size))
    assert hit == bool(boxes_overlap(other, other_turn, other_size, xy, turn, size))
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 41)] * 2), axis=-1).reshape(-1, 2) * size
    cos, sin = np.cos(turn), np.sin(turn)
    points = xy + grid @ np.array([[cos, sin], [-sin, cos]])
    away = points - other
    cos, sin = np.cos(other_turn), np.sin(other_turn)
    local = np.abs(away @ np.array([[cos, -sin], [sin, cos]]))
    shared = bool((local < other_size / 2).all(axis=1).any())
    if shared:
        assert hit
    elif hit:  # then only a sliver, smaller than the grid, is shared
        gap = np.maximum(local - other_size / 2, 0.0)
        assert np.linalg.norm(gap, axis=1).min() < 0.2


def test_who_is_absent_overlaps_nobody():
    box = (np.zeros(2), np.array(0.0), np.array([4.0, 2.0]))
    assert not boxes_overlap(*box, np.full(2, np.nan), np.array(0.0), box[2])


@few
@given(st.floats(20, 80), st.floats(1, 20), st.floats(0, 10))
def test_time_to_collision_is_gap_over_closing_speed(gap, speed, other_speed):
    size = np.array([6.0, 2.0])
    path = np.array([[0.0, 0.0], [0.1 * speed, 0.0]])
    other = np.array([[gap, 0.0], [gap + 0.1 * other_speed, 0.0]])[None]
    time = time_to_collision(path, np.zeros(2), size, (other, np.zeros((1, 2)), size[None]), 0.1)[-1]
    closing = speed - other_speed
    reach = 4.0 + 2 * 2**0.5  # between the nearest discs: two thirds of a length, and two radii
    expected = (gap + 0.1 * other_speed - 0.1 * speed - reach) / closing if closing > 1e-6 else np.inf
    assert time == pytest.approx(expected, rel=1e-6)


@few
@given(st.floats(0, 30), st.floats(1, 30), st.floats(0.5, 200), st.floats(0, 30))
def test_the_driver_model_is_monotone_in_gap_and_leader(speed, desired, gap, leader):
    model = IDM()
    here = model.acceleration(speed, desired, gap, leader)
    assert model.acceleration(speed, desired, gap + 5, leader) >= here
    assert model.acceleration(speed, desired, gap, leader + 2) >= here
    assert -model.max_braking <= here <= model.max_acceleration


@few
@given(st.floats(-3, 3), st.floats(-0.5, 0.5), st.floats(-3, 3), st.floats(0, 30))
def test_offsets_start_and_end_as_asked(offset, slope, target, speed):
    length = max(8.0, 2.5 * speed)
    way = np.array([0.0, 1e-4, length, 2 * length])
    path = path_offsets(way, offset, slope, target, speed)
    assert path[0] == pytest.approx(offset) and path[2] == pytest.approx(target) == pytest.approx(path[3])
    assert (path[1] - path[0]) / 1e-4 == pytest.approx(np.tan(slope), abs=1e-2)


@settings(max_examples=4, deadline=None)
@given(st.sampled_from(SCENARIO_KINDS), st.integers(0, 50), st.floats(-3, 3), st.floats(-300, 300))
def test_a_moved_and_turned_scene_is_driven_alike(kind, seed, angle, shift):
    scenario = make_scenario(kind, seed=seed)
    moved = scenario.scene.transformed(angle, (shift, -shift))
    sims = [SceneSim(s, ego="ego", at_step=19, steps=25) for s in (scenario.scene, moved)]
    here, there = (sim.run(IDMPolicy(), shift=scenario.shift) for sim in sims)
    cos, sin = np.cos(angle), np.sin(angle)
    expected = here.xy @ np.array([[cos, sin], [-sin, cos]]) + [shift, -shift]
    assert np.allclose(there.xy, expected, atol=1e-5)
    assert there.off_road_m == pytest.approx(here.off_road_m, abs=1e-5)


def test_corners_of_a_box_lie_half_a_diagonal_away():
    corners = box_corners(np.array([1.0, 2.0]), np.array(0.3), np.array([4.0, 3.0]))
    assert np.allclose(np.linalg.norm(corners - [1.0, 2.0], axis=1), 2.5)
