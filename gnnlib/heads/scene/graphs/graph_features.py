"""What the scene graph says of an agent: numbers from its past positions alone, in a frame of its own.

Velocities as recorded are never read: providers smooth them with the future. Directions come from the past positions
too, wherever the agent has moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["AGENT_FEATURES", "HISTORY", "AgentStates", "agent_features", "agent_states", "rotate"]

HISTORY = 20
"""Past positions that the features hold, the present one included: 2 s at 10 Hz."""

NUM_CLASSES = 4
"""Vehicle, pedestrian, two-wheeler, anything else."""

_LAGS = np.array([1, 2, 3, 5, 7, 10, 14, 19])
_HEADING_BASE_M = 2.0
_LEAST_MOVE_M = 0.5
_VELOCITY_LAG = 5

AGENT_FEATURES = 3 * (HISTORY - 1) + 3 * len(_LAGS) + 2 + 1 + 1 + 1 + 2 + NUM_CLASSES
"""Number of features of an agent."""


class AgentStates(NamedTuple):
    """Agents at one step, seen from their own frames.

    Attributes
    ----------
    pose : float array [A, 3]
        x, y in metres and heading in radians, in the frame of the scene.
    velocity : float array [A, 2]
        Ahead and to the left, in m/s, from positions half a second apart.
    is_moving : bool array [A]
        Whether the agent moved half a metre or more within the history.
    past : float array [A, H, 2]
        Past positions in the agent's frame, the last at the origin; NaN where unknown.
    """

    pose: FloatArray
    velocity: FloatArray
    is_moving: BoolArray
    past: FloatArray


def rotate(vectors: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Turn vectors counter-clockwise.

    Parameters
    ----------
    vectors : float array [A, ..., 2]
    angle_rad : float array [A]
        One angle for all vectors of a row.

    Examples
    --------
    >>> rotate(np.array([[1.0, 0.0]]), np.array([np.pi / 2])).round(3).tolist()
    [[0.0, 1.0]]
    """
    shape = (-1,) + (1,) * (vectors.ndim - 2)
    cos, sin = np.cos(angle_rad).reshape(shape), np.sin(angle_rad).reshape(shape)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def agent_states(past: FloatArray, heading_rad: FloatArray, dt: float) -> AgentStates:
    """Estimate pose and velocity from past positions.

    The heading is the direction of the shortest recent displacement of at least 2 m, or of the longest one above half
    a metre; the recorded heading serves agents that stand.

    Parameters
    ----------
    past : float array [A, H, 2]
        Positions in metres; the last is the present one and must be known, earlier ones may be NaN.
    heading_rad : float array [A]
        Recorded heading at the present step; NaN reads as 0.
    dt : float
        Seconds between steps.

    Examples
    --------
    >>> past = np.array([[[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]])
    >>> states = agent_states(past, np.zeros(1), 0.1)
    >>> states.pose.round(3).tolist(), states.velocity.round(3).tolist()
    ([[0.0, 3.0, 1.571]], [[10.0, 0.0]])
    """
    count, steps, _ = past.shape
    here = past[:, -1]
    back = here[:, None] - past[:, ::-1]  # displacement over the last 0, 1, 2, ... steps
    length = np.nan_to_num(np.hypot(back[..., 0], back[..., 1]), nan=-1.0)
    far = length >= _HEADING_BASE_M
    chosen = np.where(far.any(axis=1), far.argmax(axis=1), length.argmax(axis=1))
    rows = np.arange(count)
    base = back[rows, chosen]
    is_moving = length[rows, chosen] >= _LEAST_MOVE_M
    heading = np.where(is_moving, np.arctan2(base[:, 1], base[:, 0]), np.nan_to_num(heading_rad))
    # the longest known displacement of at most half a second
    recent = length[:, : min(_VELOCITY_LAG + 1, steps)] >= 0.0
    lag = recent.shape[1] - 1 - recent[:, ::-1].argmax(axis=1)
    velocity = back[rows, lag] / (np.maximum(lag, 1) * dt)[:, None]
    return AgentStates(
        np.column_stack([here, heading]),
        rotate(velocity, -heading),
        is_moving,
        rotate(past - here[:, None], -heading),
    )


def agent_features(states: AgentStates, size: FloatArray, classes: IntArray, dt: float) -> FloatArray:
    """Return the features of agents [A, AGENT_FEATURES].

    Step velocities and past positions are given as differences from motion at constant velocity, so that a slight
    deviation is not drowned by the speed.

    Parameters
    ----------
    states : AgentStates
        Of at most `HISTORY` steps.
    size : float array [A, 2]
        Length and width in metres; NaN reads as 0.
    classes : int array [A]
        Numbers below `NUM_CLASSES`.
    dt : float
        Seconds between steps.
    """
    count, steps, _ = states.past.shape
    past = np.full((count, HISTORY, 2), np.nan)
    past[:, HISTORY - steps :] = states.past
    velocity = states.velocity
    step = np.diff(past, axis=1) / dt - velocity[:, None]
    known = ~np.isnan(step[..., 0])
    away = past[:, HISTORY - 1 - _LAGS] + velocity[:, None] * (_LAGS * dt)[:, None]
    there = ~np.isnan(away[..., 0])
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    seen = (~np.isnan(past[..., 0])).mean(axis=1)
    return np.concatenate(
        [
            np.clip(np.nan_to_num(step) / 3.0, -5.0, 5.0).reshape(count, 2 * (HISTORY - 1)),
            known,
            np.clip(np.nan_to_num(away) / 2.0, -5.0, 5.0).reshape(count, 2 * len(_LAGS)),
            there,
            velocity / 10.0,
            np.log1p(speed)[:, None],
            states.is_moving[:, None],
            seen[:, None],
            np.nan_to_num(size) / np.array([5.0, 2.0]),
            np.eye(NUM_CLASSES)[classes],
        ],
        axis=1,
    )
