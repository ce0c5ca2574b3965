"""The kinematic bicycle: one direction undoes the other, and motion does not depend on the frame."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnnlib.heads.scene.kinematics import controls_to_poses, poses_to_controls

steps = st.integers(1, 30)
pose = st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-10, 10))


@st.composite
def drives(draw):
    count = draw(steps)
    speed = draw(arrays(float, count, elements=st.floats(0.6, 40)))
    sign = draw(st.sampled_from([1.0, -1.0]))
    steering = draw(arrays(float, count, elements=st.floats(-0.6, 0.6)))
    return np.column_stack([sign * speed, steering])


@settings(max_examples=60, deadline=None)
@given(pose, drives(), st.floats(1.5, 8.0))
def test_controls_come_back_from_the_poses_they_drove(start, controls, wheelbase):
    poses = controls_to_poses(start, controls, wheelbase_m=wheelbase, dt=0.1)
    assert np.allclose(poses_to_controls(poses, wheelbase_m=wheelbase, dt=0.1), controls, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(pose, drives(), st.floats(-4, 4), st.floats(-100, 100))
def test_turning_and_shifting_the_start_turns_and_shifts_the_drive(start, controls, angle, shift):
    there = controls_to_poses(start, controls, wheelbase_m=2.7, dt=0.1)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    moved = np.append(turn @ np.array(start[:2]) + shift, start[2] + angle)
    here = controls_to_poses(moved, controls, wheelbase_m=2.7, dt=0.1)
    assert np.allclose(here[:, :2], there[:, :2] @ turn.T + shift, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(pose, drives())
def test_a_step_is_no_longer_than_speed_allows(start, controls):
    poses = controls_to_poses(start, controls, wheelbase_m=2.7, dt=0.1)
    moves = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)
    assert (moves <= np.abs(controls[:, 0]) * 0.1 + 1e-9).all()
