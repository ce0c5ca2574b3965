"""The kinematic bicycle, both ways: controls to poses and poses to controls.

The pose of a vehicle is that of the middle of its rear axle, where the model has no side slip [1]_. During a step of
``dt`` seconds, speed v and steering angle d are constant; the vehicle then turns by ``v tan(d) dt / L`` on an arc of a
circle, and its chord points half that angle to the side::

    turn = v tan(d) dt / L,    move = v dt sinc(turn / 2) (cos(heading + turn / 2), sin(heading + turn / 2))

Both directions use this closed form, so one undoes the other to rounding, with no error from the length of the step.

.. [1] R. Rajamani (2012). Vehicle Dynamics and Control, 2nd ed., section 2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene.problem import wrap_angle

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, FloatArray

__all__ = [
    "LIMITS",
    "VehicleLimits",
    "centre_poses",
    "check_positive",
    "controls_to_poses",
    "heading_from_motion",
    "poses_to_controls",
    "rear_axle_poses",
    "redrive",
    "wheelbase_of",
]

WHEELBASE_SHARE = 0.6
MIN_STEERING_SPEED = 0.5


def check_positive(name: str, value: float) -> None:
    """Raise an `InputError` unless `value` is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < math.inf:
        raise InputError(f"`{name}` must be a positive finite number, found {value!r}")


@dataclass(frozen=True)
class VehicleLimits:
    """What a passenger car can do; used where a plan is driven or judged.

    Parameters
    ----------
    max_acceleration, max_braking : float > 0, default 4 and 8 m/s^2
    max_steering_rad : float in (0, pi/2), default 0.65
    max_steering_rate : float > 0, default 0.8 rad/s
    max_lateral_acceleration : float > 0, default 6 m/s^2

    Raises
    ------
    InputError
        If a limit is not a positive finite number, or the steering angle reaches a right angle.

    Examples
    --------
    >>> VehicleLimits().max_braking
    8.0
    """

    max_acceleration: float = 4.0
    max_braking: float = 8.0
    max_steering_rad: float = 0.65
    max_steering_rate: float = 0.8
    max_lateral_acceleration: float = 6.0

    def __post_init__(self) -> None:
        for item in fields(self):
            check_positive(item.name, getattr(self, item.name))
        if self.max_steering_rad >= math.pi / 2:
            raise InputError(f"`max_steering_rad` must be below pi/2, found {self.max_steering_rad!r}")


LIMITS = VehicleLimits()


def wheelbase_of(length_m: float) -> float:
    """Return the distance between the axles of a vehicle, taken as 0.6 of its length.

    Raises
    ------
    InputError
        If the length is not positive.

    Examples
    --------
    >>> wheelbase_of(4.5)
    2.7
    """
    check_positive("length_m", length_m)
    return round(WHEELBASE_SHARE * float(length_m), 9)


def _points(name: str, value: ArrayLike, last: int, least: int = 1) -> FloatArray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` must be an array of numbers [..., T, {last}]: {error}") from error
    if array.ndim < 2 or array.shape[-1] != last or array.shape[-2] < least:
        raise InputError(f"`{name}` must have the shape [..., T >= {least}, {last}], found {list(array.shape)}")
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))[0].tolist()
        raise InputError(f"`{name}` must be finite, found {array[tuple(bad)]} at {bad}; fill gaps before")
    return array


def controls_to_poses(start: ArrayLike, controls: ArrayLike, *, wheelbase_m: float, dt: float) -> FloatArray:
    """Drive: integrate speed and steering angle to poses of the rear axle.

    Parameters
    ----------
    start : array_like [..., 3]
        x and y in m, heading in rad.
    controls : array_like [..., T, 2]
        Speed in m/s (negative: backwards) and steering angle in rad (positive: left) of each step.
    wheelbase_m : float > 0
    dt : float > 0
        Length of a step in s.

    Returns
    -------
    FloatArray [..., T+1, 3]
        The start and the pose after each step; headings are not wrapped.

    Raises
    ------
    InputError
        If a shape does not fit, or a value is not finite.

    Examples
    --------
    >>> poses = controls_to_poses([0, 0, 0], [[10, 0.0], [10, 0.1]], wheelbase_m=2.7, dt=0.1)
    >>> poses.round(3).tolist()
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.019, 0.037]]
    """
    check_positive("wheelbase_m", wheelbase_m)
    check_positive("dt", dt)
    drive = _points("controls", controls, 2)
    first = _points("start", np.asarray(start, dtype=np.float64)[..., None, :], 3)
    if np.abs(drive[..., 1]).max(initial=0.0) >= np.pi / 2:
        raise InputError("steering angles must lie strictly between -pi/2 and pi/2 rad; are they in degrees?")
    turn = drive[..., 0] * np.tan(drive[..., 1]) * (dt / wheelbase_m)
    shape = np.broadcast_shapes(first.shape[:-2], drive.shape[:-2])
    poses = np.empty((*shape, drive.shape[-2] + 1, 3))
    poses[..., :1, :] = first
    heading = first[..., 2] + np.cumsum(turn, axis=-1)
    chord = drive[..., 0] * dt * np.sinc(turn / (2 * np.pi))
    middle = heading - turn / 2
    poses[..., 1:, 0] = first[..., 0] + np.cumsum(chord * np.cos(middle), axis=-1)
    poses[..., 1:, 1] = first[..., 1] + np.cumsum(chord * np.sin(middle), axis=-1)
    poses[..., 1:, 2] = heading
    return poses


def poses_to_controls(
    poses: ArrayLike, *, wheelbase_m: float, dt: float, limits: VehicleLimits | None = None
) -> FloatArray:
    """Find speed and steering angle of each step between poses of the rear axle.

    What does not fit a bicycle, side slip, is left out. Below 0.5 m/s the steering angle cannot be told from noise and
    is zero.

    Parameters
    ----------
    poses : array_like [..., T+1, 3]
        x and y in m, heading in rad; T >= 1.
    wheelbase_m : float > 0
    dt : float > 0
        Length of a step in s.
    limits : VehicleLimits, optional
        Clip the steering angle to what the vehicle can do; without it any angle below a right one may result.

    Returns
    -------
    FloatArray [..., T, 2]
        Speed in m/s (negative: backwards) and steering angle in rad.

    Raises
    ------
    InputError
        If a shape does not fit, or a value is not finite.

    Examples
    --------
    >>> poses = controls_to_poses([3, 1, 0.5], [[8, 0.1], [9, -0.2]], wheelbase_m=2.7, dt=0.1)
    >>> poses_to_controls(poses, wheelbase_m=2.7, dt=0.1).round(6).tolist()
    [[8.0, 0.1], [9.0, -0.2]]
    """
    check_positive("wheelbase_m", wheelbase_m)
    check_positive("dt", dt)
    path = _points("poses", poses, 3, least=2)
    turn = wrap_angle(np.diff(path[..., 2], axis=-1))
    middle = path[..., :-1, 2] + turn / 2
    move = np.diff(path[..., :2], axis=-2)
    along = move[..., 0] * np.cos(middle) + move[..., 1] * np.sin(middle)
    speed = along / (dt * np.sinc(turn / (2 * np.pi)))
    moves = np.abs(speed) >= MIN_STEERING_SPEED
    steering = np.where(moves, np.arctan(wheelbase_m * turn / (np.where(moves, speed, 1.0) * dt)), 0.0)
    if limits is not None:
        steering = np.clip(steering, -limits.max_steering_rad, limits.max_steering_rad)
    return np.stack([speed, steering], axis=-1)


def rear_axle_poses(xy: ArrayLike, heading_rad: ArrayLike, *, wheelbase_m: float) -> FloatArray:
    """Move from the centres of a vehicle to its rear axle, half a wheelbase behind.

    Parameters
    ----------
    xy : array_like [..., T, 2]
        Centres in m.
    heading_rad : array_like [..., T]
    wheelbase_m : float > 0

    Returns
    -------
    FloatArray [..., T, 3]

    Examples
    --------
    >>> rear_axle_poses([[5.0, 1.0]], [0.0], wheelbase_m=3.0).tolist()
    [[3.5, 1.0, 0.0]]
    """
    check_positive("wheelbase_m", wheelbase_m)
    centre = _points("xy", xy, 2)
    heading = np.asarray(heading_rad, dtype=np.float64)
    if heading.shape != centre.shape[:-1]:
        raise InputError(f"`heading_rad` must have the shape {list(centre.shape[:-1])}, found {list(heading.shape)}")
    return _shift(np.concatenate([centre, heading[..., None]], axis=-1), -wheelbase_m / 2)


def centre_poses(poses: ArrayLike, *, wheelbase_m: float) -> FloatArray:
    """Move from the rear axle [..., T, 3] to the centres of a vehicle; undoes `rear_axle_poses`.

    Examples
    --------
    >>> centre_poses([[3.5, 1.0, 0.0]], wheelbase_m=3.0).tolist()
    [[5.0, 1.0, 0.0]]
    """
    check_positive("wheelbase_m", wheelbase_m)
    return _shift(_points("poses", poses, 3), wheelbase_m / 2)


def _shift(poses: FloatArray, forward_m: float) -> FloatArray:
    moved = poses.copy()
    moved[..., 0] += forward_m * np.cos(poses[..., 2])
    moved[..., 1] += forward_m * np.sin(poses[..., 2])
    return moved


def heading_from_motion(xy: ArrayLike, *, min_move_m: float = 0.05) -> FloatArray:
    """Return the direction of motion at each point of a path, where a record has no headings.

    Parameters
    ----------
    xy : array_like [T, 2]
        Positions in m, T >= 2.
    min_move_m : float > 0, default 0.05
        Shorter steps keep the direction of the step before (or, at the beginning, of the first longer one).

    Returns
    -------
    FloatArray [T]
        Heading in rad, unwrapped; zeros for a path that stands still.

    Examples
    --------
    >>> (heading_from_motion([[0, 0], [1, 0], [1, 1], [1, 1]]) / np.pi).tolist()
    [0.0, 0.0, 0.5, 0.5]
    """
    check_positive("min_move_m", min_move_m)
    path = _points("xy", xy, 2, least=2)
    if path.ndim != 2:
        raise InputError(f"`xy` must be one path [T, 2], found {list(path.shape)}")
    move = np.diff(path, axis=0)
    long = np.flatnonzero(np.hypot(move[:, 0], move[:, 1]) >= min_move_m)
    if not long.size:
        return np.zeros(len(path))
    source = long[np.maximum(np.searchsorted(long, np.arange(len(move)), side="right") - 1, 0)]
    heading = np.arctan2(move[source, 1], move[source, 0])
    return np.unwrap(np.concatenate([heading[:1], heading]))


class Redriven(NamedTuple):
    """A recorded path driven again by the bicycle.

    Attributes
    ----------
    xy : FloatArray [T, 2]
        Centres in m.
    heading_rad : FloatArray [T]
    controls : FloatArray [T-1, 2]
        Speed in m/s and steering angle in rad.
    residual_m : FloatArray [T]
        Distance between recorded and driven centre.
    """

    xy: FloatArray
    heading_rad: FloatArray
    controls: FloatArray
    residual_m: FloatArray


def redrive(
    xy: ArrayLike,
    heading_rad: ArrayLike,
    *,
    length_m: float,
    dt: float,
    limits: VehicleLimits | None = LIMITS,
) -> Redriven:
    """Turn a recorded path into controls and drive those; the residual says how far the vehicle is no bicycle.

    Nothing is fed back: errors of a step stay to the end.

    Parameters
    ----------
    xy : array_like [T, 2]
        Recorded centres in m, without gaps; T >= 2.
    heading_rad : array_like [T]
        Recorded headings.
    length_m : float > 0
        Length of the vehicle.
    dt : float > 0
        Length of a step in s.
    limits : VehicleLimits, optional
        As in `poses_to_controls`.

    Returns
    -------
    Redriven

    Examples
    --------
    >>> straight = np.stack([np.linspace(0, 20, 11), np.zeros(11)], axis=-1)
    >>> redrive(straight, np.zeros(11), length_m=4.5, dt=0.1).controls[0].round(6).tolist()
    [20.0, 0.0]
    """
    wheelbase = wheelbase_of(length_m)
    poses = rear_axle_poses(xy, heading_rad, wheelbase_m=wheelbase)
    controls = poses_to_controls(poses, wheelbase_m=wheelbase, dt=dt, limits=limits)
    driven = centre_poses(
        controls_to_poses(poses[..., 0, :], controls, wheelbase_m=wheelbase, dt=dt), wheelbase_m=wheelbase
    )
    residual = np.linalg.norm(driven[..., :2] - np.asarray(xy, dtype=np.float64), axis=-1)
    return Redriven(driven[..., :2], driven[..., 2], controls, residual)
