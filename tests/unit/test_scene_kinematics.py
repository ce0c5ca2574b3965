"""The kinematic bicycle: known motions, errors, limits."""

import math

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.scene.kinematics import (
    VehicleLimits,
    centre_poses,
    controls_to_poses,
    heading_from_motion,
    poses_to_controls,
    rear_axle_poses,
    redrive,
    wheelbase_of,
)


def test_a_constant_steering_angle_drives_a_circle_of_the_known_radius():
    wheelbase, steering = 2.7, 0.2
    poses = controls_to_poses([0, 0, 0], np.tile([5.0, steering], (200, 1)), wheelbase_m=wheelbase, dt=0.1)
    radius = wheelbase / math.tan(steering)
    assert np.allclose(np.linalg.norm(poses[:, :2] - [0.0, radius], axis=1), radius)


def test_positive_steering_turns_left_and_negative_speed_goes_back():
    left = controls_to_poses([0, 0, 0], [[5.0, 0.1]], wheelbase_m=2.7, dt=0.1)[-1]
    back = controls_to_poses([0, 0, 0], [[-5.0, 0.0]], wheelbase_m=2.7, dt=0.1)[-1]
    assert left[1] > 0 and left[2] > 0
    assert back.tolist() == [-0.5, 0.0, 0.0]


def test_a_path_in_one_step_equals_the_same_arc_in_many():
    coarse = controls_to_poses([1, 2, 0.3], [[8.0, 0.15]], wheelbase_m=2.7, dt=1.0)[-1]
    fine = controls_to_poses([1, 2, 0.3], np.tile([8.0, 0.15], (50, 1)), wheelbase_m=2.7, dt=0.02)[-1]
    assert np.allclose(coarse, fine)


def test_steering_is_zero_below_half_a_metre_a_second():
    poses = np.array([[0.0, 0.0, 0.0], [0.04, 0.0, 0.3]])
    assert poses_to_controls(poses, wheelbase_m=2.7, dt=0.1)[0, 1] == 0.0
    poses[1, 0] = 0.06
    assert poses_to_controls(poses, wheelbase_m=2.7, dt=0.1)[0, 1] > 0.5


def test_limits_clip_the_steering_angle():
    poses = np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.5]])
    free = poses_to_controls(poses, wheelbase_m=2.7, dt=0.1)[0, 1]
    clipped = poses_to_controls(poses, wheelbase_m=2.7, dt=0.1, limits=VehicleLimits(max_steering_rad=0.4))[0, 1]
    assert free > 1.0 and clipped == 0.4


def test_headings_across_the_cut_at_pi_are_a_small_turn():
    poses = np.array([[0.0, 0.0, math.pi - 0.01], [-1.0, 0.0, -math.pi + 0.01]])
    speed, steering = poses_to_controls(poses, wheelbase_m=2.7, dt=0.1)[0]
    assert speed == pytest.approx(10.0, rel=1e-3)
    assert steering == pytest.approx(math.atan(2.7 * 0.02 / 1.0), rel=1e-2)


def test_a_recorded_path_of_a_bicycle_is_driven_again_without_residual():
    controls = np.column_stack([np.linspace(4, 12, 30), 0.1 * np.sin(np.arange(30) / 5)])
    axle = controls_to_poses([5, -3, 2.0], controls, wheelbase_m=2.7, dt=0.1)
    centre = centre_poses(axle, wheelbase_m=2.7)
    found = redrive(centre[:, :2], centre[:, 2], length_m=4.5, dt=0.1)
    assert found.residual_m.max() < 1e-9
    assert np.allclose(found.controls, controls)


def test_a_vehicle_that_slides_sideways_leaves_a_residual():
    path = np.stack([np.linspace(0, 20, 21), np.linspace(0, 2, 21)], axis=-1)
    assert redrive(path, np.zeros(21), length_m=4.5, dt=0.1).residual_m[-1] == pytest.approx(2.0)


def test_heading_from_motion_keeps_the_last_direction_while_standing():
    path = [[0, 0], [0, 1], [0, 1], [0, 1.01], [-1, 1.01]]
    assert heading_from_motion(path) == pytest.approx(np.array([0.5, 0.5, 0.5, 0.5, 1.0]) * np.pi)
    assert heading_from_motion([[3, 3], [3, 3]]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: controls_to_poses([0, 0, 0], [[1.0, np.nan]], wheelbase_m=2.7, dt=0.1),
            r"finite, found nan at \[0, 1\]",
        ),
        (lambda: controls_to_poses([0, 0], [[1.0, 0.0]], wheelbase_m=2.7, dt=0.1), "start"),
        (lambda: controls_to_poses([0, 0, 0], [[1.0, 20.0]], wheelbase_m=2.7, dt=0.1), "degrees"),
        (lambda: controls_to_poses([0, 0, 0], [[1.0, 0.0]], wheelbase_m=0.0, dt=0.1), "wheelbase_m"),
        (lambda: poses_to_controls([[0, 0, 0]], wheelbase_m=2.7, dt=0.1), "T >= 2"),
        (lambda: poses_to_controls([["a", 0, 0]], wheelbase_m=2.7, dt=0.1), "numbers"),
        (lambda: poses_to_controls([[0, 0, 0], [1, 0, 0]], wheelbase_m=2.7, dt=-1), "dt"),
        (lambda: rear_axle_poses([[0, 0]], [0.0, 1.0], wheelbase_m=2.7), "heading_rad"),
        (lambda: heading_from_motion(np.zeros((2, 2, 2))), "one path"),
        (lambda: wheelbase_of(0), "length_m"),
        (lambda: VehicleLimits(max_steering_rad=1.6), "max_steering_rad"),
        (lambda: VehicleLimits(max_braking=math.inf), "max_braking"),
    ],
)
def test_bad_input_is_refused_with_its_name(call, match):
    with pytest.raises(InputError, match=match):
        call()
