"""How well a vehicle was driven: overlap with others, distance to the road, time to collision, comfort."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.scene.maps.road import box_corners

if TYPE_CHECKING:
    from gnnlib.heads.scene.maps.road import Road
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["COMFORT_LIMITS", "Comfort", "boxes_overlap", "comfort_of", "off_road_by", "time_to_collision"]

#: Bounds of comfortable driving: acceleration ahead (least, most) and sideways, jerk ahead, yaw rate and acceleration;
#: those of the comfort metric of nuPlan (H. Caesar et al. 2021, arXiv 2106.11810) in m, s and rad.
COMFORT_LIMITS = {
    "braking": 4.05,
    "acceleration": 2.40,
    "lateral": 4.89,
    "jerk": 8.37,
    "yaw_rate": 0.95,
    "yaw_acceleration": 1.93,
}


def boxes_overlap(
    xy: FloatArray,
    heading_rad: FloatArray,
    size: FloatArray,
    other_xy: FloatArray,
    other_heading_rad: FloatArray,
    other_size: FloatArray,
) -> BoolArray:
    """Tell which rectangles overlap, by the separating axes.

    Parameters
    ----------
    xy, other_xy : FloatArray [..., 2]
        Centres in m; NaN for who is absent, and then overlaps nobody.
    heading_rad, other_heading_rad : FloatArray [...]
    size, other_size : FloatArray [..., 2]
        Length and width in m. All arguments are broadcast against each other.

    Returns
    -------
    BoolArray [...]

    Examples
    --------
    >>> car = np.array([4.0, 2.0])
    >>> def at(*place):
    ...     return np.array([float(value) for value in place])
    >>> [
    ...     bool(boxes_overlap(at(0, 0), np.array(0.0), car, at(x, 0), np.array(turn), car))
    ...     for x, turn in ((3.9, 0.0), (4.1, 0.0), (2.9, np.pi / 2), (3.1, np.pi / 2))
    ... ]
    [True, False, True, False]
    """
    gap = other_xy - xy
    overlap = np.isfinite(gap).all(axis=-1)
    half, other_half = size / 2, other_size / 2
    turn = other_heading_rad - heading_rad
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    for angle, own, other in ((heading_rad, half, other_half), (other_heading_rad, other_half, half)):
        along = np.abs(np.cos(angle) * gap[..., 0] + np.sin(angle) * gap[..., 1])
        aside = np.abs(np.cos(angle) * gap[..., 1] - np.sin(angle) * gap[..., 0])
        overlap = overlap & (along < own[..., 0] + other[..., 0] * cos + other[..., 1] * sin)
        overlap = overlap & (aside < own[..., 1] + other[..., 0] * sin + other[..., 1] * cos)
    return np.asarray(overlap)


def off_road_by(road: Road, xy: FloatArray, heading_rad: FloatArray, size: FloatArray) -> FloatArray:
    """Return how far the outermost corner of a vehicle is off the road [T] in m; negative on it.

    Parameters
    ----------
    road : Road
    xy : FloatArray [T, 2]
    heading_rad : FloatArray [T]
    size : FloatArray [2]

    Examples
    --------
    >>> from gnnlib.heads.scene.maps.road import Road
    >>> lane = Road(np.array([[0.0, 0.0]]), np.array([[50.0, 0.0]]), np.array([2.0]))
    >>> off_road_by(lane, np.array([[20.0, 1.5]]), np.zeros(1), np.array([4.0, 2.0])).tolist()
    [0.5]
    """
    return np.asarray(road.distance(box_corners(xy, heading_rad, size)).max(axis=-1))


class _Moving(NamedTuple):
    discs: FloatArray
    radius: FloatArray
    velocity: FloatArray


def _discs(xy: FloatArray, heading_rad: FloatArray, size: FloatArray, dt: float) -> _Moving:
    """Three discs a vehicle, [..., T, 3, 2], and its velocity from positions so far."""
    direction = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=-1)
    place = np.array([-1.0, 0.0, 1.0]) * (size[..., 0] / 3)[..., None]
    discs = xy[..., None, :] + place[..., None, :, None] * direction[..., None, :]
    velocity = np.diff(xy, axis=-2, prepend=xy[..., :1, :]) / dt
    return _Moving(discs, np.hypot(size[..., 0] / 6, size[..., 1] / 2), velocity)


def time_to_collision(
    xy: FloatArray,
    heading_rad: FloatArray,
    size: FloatArray,
    others: tuple[FloatArray, FloatArray, FloatArray],
    dt: float,
) -> FloatArray:
    """Return the time [T] in s after which two vehicles touch if nobody changes velocity; infinity without touch.

    Vehicles are three discs each, which are a little larger than the rectangles. Time zero means that discs overlap.

    Parameters
    ----------
    xy : FloatArray [T, 2]
    heading_rad : FloatArray [T]
    size : FloatArray [2]
    others : tuple of FloatArray [A, T, 2], [A, T], [A, 2]
        Positions (NaN while absent), headings and sizes of the others.
    dt : float
        Length of a step in s, from which velocities are taken by backward differences.

    Examples
    --------
    >>> path = np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> wall = (np.array([[[24.0, 0.0], [24.0, 0.0]]]), np.zeros((1, 2)), np.array([[6.0, 2.0]]))
    >>> time_to_collision(path, np.zeros(2), np.array([6.0, 2.0]), wall, 0.1).round(2).tolist()
    [inf, 1.62]
    """
    own = _discs(xy, heading_rad, size, dt)
    other = _discs(*others, dt)
    if not len(other.discs):
        return np.full(len(xy), np.inf)
    gap = other.discs[:, :, None, :, :] - own.discs[None, :, :, None, :]
    speed = (other.velocity - own.velocity)[:, :, None, None]
    reach = (own.radius + other.radius)[:, None, None, None]
    a = (speed**2).sum(-1)
    b = (gap * speed).sum(-1)
    c = (gap**2).sum(-1) - reach**2
    root = b**2 - a * c
    with np.errstate(invalid="ignore", divide="ignore"):
        touch = np.where((root > 0) & (b < 0) & (a > 1e-9), (-b - np.sqrt(np.maximum(root, 0.0))) / a, np.inf)
    touch = np.where(c <= 0, 0.0, touch)
    touch = np.where(np.isfinite(gap).all(-1) & np.isfinite(a), touch, np.inf)
    return np.asarray(touch.min(axis=(0, 2, 3)))


class Comfort(NamedTuple):
    """How a ride felt.

    Attributes
    ----------
    share : float
        Steps within all of `COMFORT_LIMITS`.
    max_braking, max_acceleration, max_lateral, max_jerk : float
        In m/s^2 and m/s^3.
    """

    share: float
    max_braking: float
    max_acceleration: float
    max_lateral: float
    max_jerk: float


def comfort_of(speed: FloatArray, heading_rad: FloatArray, dt: float) -> Comfort:
    """Judge speeds [T] in m/s and headings [T] in rad against `COMFORT_LIMITS`; accelerations are means over 0.3 s.

    Examples
    --------
    >>> comfort_of(np.full(20, 8.0), np.zeros(20), 0.1).share
    1.0
    """
    if len(speed) < 4:
        return Comfort(1.0, 0.0, 0.0, 0.0, 0.0)
    window = np.ones(3) / 3
    push = np.convolve(np.diff(speed) / dt, window, mode="valid")
    yaw = np.convolve(np.diff(np.unwrap(heading_rad)) / dt, window, mode="valid")
    sideways = np.abs(yaw * speed[2:-1])
    jerk, twist = np.abs(np.diff(push, prepend=push[:1]) / dt), np.abs(np.diff(yaw, prepend=yaw[:1]) / dt)
    bound = COMFORT_LIMITS
    good = (push > -bound["braking"]) & (push < bound["acceleration"]) & (sideways < bound["lateral"])
    good &= (jerk < bound["jerk"]) & (np.abs(yaw) < bound["yaw_rate"]) & (twist < bound["yaw_acceleration"])
    return Comfort(
        float(good.mean()),
        float(max(0.0, -push.min())),
        float(max(0.0, push.max())),
        float(sideways.max()),
        float(jerk.max()),
    )
