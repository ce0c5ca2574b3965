"""Geometry of polylines: arc length, resampling, offsets, smooth connections. Points [P, 2] in metres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["arc_lengths", "bezier", "headings", "offset_line", "points_at", "project", "resample"]


def arc_lengths(line: FloatArray) -> FloatArray:
    """Distance along the line at each point [P].

    Examples
    --------
    >>> arc_lengths(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])).tolist()
    [0.0, 5.0, 6.0]
    """
    step = np.diff(line, axis=0)
    return np.concatenate([[0.0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])


def points_at(line: FloatArray, distance: FloatArray) -> FloatArray:
    """Points [Q, 2] at the given distances [Q] along the line; beyond the ends, the ends."""
    arc = arc_lengths(line)
    return np.stack([np.interp(distance, arc, line[:, axis]) for axis in (0, 1)], axis=-1)


def resample(line: FloatArray, spacing_m: float) -> FloatArray:
    """Equally spaced points from end to end, at most `spacing_m` apart; at least two.

    Examples
    --------
    >>> resample(np.array([[0.0, 0.0], [10.0, 0.0]]), 4.0)[:, 0].round(3).tolist()
    [0.0, 3.333, 6.667, 10.0]
    """
    arc = arc_lengths(line)
    count = max(int(np.ceil(arc[-1] / spacing_m - 1e-9)), 1) + 1
    at = np.linspace(0.0, arc[-1], count)
    return np.stack([np.interp(at, arc, line[:, axis]) for axis in (0, 1)], axis=-1)


def headings(line: FloatArray) -> FloatArray:
    """Direction [P] in radians at each point: the mean of the segments before and after it."""
    step = np.diff(line, axis=0)
    unit = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-12)[:, None]
    mean = np.concatenate([unit[:1], unit[:-1] + unit[1:], unit[-1:]])
    return np.arctan2(mean[:, 1], mean[:, 0])


def offset_line(line: FloatArray, left_m: float | FloatArray) -> FloatArray:
    """Shift each point to its left by `left_m` metres (negative: to the right)."""
    angle = headings(line)
    normal = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    return np.asarray(line + normal * np.reshape(left_m, (-1, 1)))


def bezier(start: FloatArray, start_rad: float, end: FloatArray, end_rad: float, spacing_m: float) -> FloatArray:
    """Smooth connection of two poses: a cubic whose handles fit a circular arc when the poses allow one."""
    chord = float(np.hypot(*(end - start)))
    turn = abs((end_rad - start_rad + np.pi) % (2.0 * np.pi) - np.pi)
    handle = chord / 3.0
    if turn > 1e-3:
        handle = 4.0 / 3.0 * np.tan(turn / 4.0) * chord / (2.0 * np.sin(turn / 2.0))
    first = start + handle * np.array([np.cos(start_rad), np.sin(start_rad)])
    second = end - handle * np.array([np.cos(end_rad), np.sin(end_rad)])
    t = np.linspace(0.0, 1.0, max(int(2.5 * chord / spacing_m), 8) + 1)[:, None]
    curve = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * first + 3 * (1 - t) * t**2 * second + t**3 * end
    return resample(curve, spacing_m)


def project(line: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance along the line and signed distance to its left, of the nearest place to each of `points` [Q, 2].

    Examples
    --------
    >>> along, left = project(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[4.0, 1.0], [12.0, -3.0]]))
    >>> along.tolist(), left.round(3).tolist()
    ([4.0, 10.0], [1.0, -3.606])
    """
    start, step = line[:-1], np.diff(line, axis=0)
    squared = np.maximum((step**2).sum(axis=1), 1e-18)
    offset = points[:, None] - start
    share = np.clip((offset * step).sum(axis=-1) / squared, 0.0, 1.0)
    gap = offset - share[..., None] * step
    distance = np.hypot(gap[..., 0], gap[..., 1])
    best = np.argmin(distance, axis=1)
    rows = np.arange(len(points))
    along = arc_lengths(line)[best] + share[rows, best] * np.sqrt(squared[best])
    side = step[best, 0] * offset[rows, best, 1] - step[best, 1] * offset[rows, best, 0]
    return along, np.where(side >= 0.0, 1.0, -1.0) * distance[rows, best]
