"""Simple answers behind one signature: past positions in, modes out; none of them looks at others or at the map.

Each function takes ``(past, dt=0.1, horizon=30)``, with ``past`` [A, H, 2] in metres (H >= 3, no gaps), and returns modes
[A, K, T, 2] with probabilities [A, K]. `Ridge` learns first. `predict_with` makes a `Prediction` of one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.graphs.graph_features import HISTORY, agent_states, rotate
from gnnlib.heads.scene.result import Prediction

if TYPE_CHECKING:
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import ArrayLike, FloatArray

__all__ = [
    "BASELINES",
    "Baseline",
    "Modes",
    "Ridge",
    "constant_acceleration",
    "constant_turn_rate",
    "constant_velocity",
    "kalman",
    "kinematic_modes",
    "predict_with",
]

_LAG = 5
_SCALE_PER_S = 0.5


class Modes(NamedTuple):
    """Futures [A, K, T, 2] in metres and their probabilities [A, K]."""

    xy: FloatArray
    probability: FloatArray


class Baseline(Protocol):
    """Signature of every function in `BASELINES`."""

    def __call__(self, past: ArrayLike, dt: float = 0.1, horizon: int = 30) -> Modes:
        """Return the futures of agents with these pasts."""


def _past(past: ArrayLike) -> FloatArray:
    array = checks.float_array("past", past, (None, None, 2))
    if array.shape[1] < 3 or not np.isfinite(array).all():
        raise InputError(f"`past` must hold at least 3 known positions of each agent, found shape {list(array.shape)}")
    return array


def _velocity(past: FloatArray, dt: float) -> FloatArray:
    lag = min(_LAG, past.shape[1] - 1)
    return np.asarray((past[:, -1] - past[:, -1 - lag]) / (lag * dt))


def _single(path: FloatArray) -> Modes:
    return Modes(path[:, None], np.ones((len(path), 1)))


def constant_velocity(past: ArrayLike, dt: float = 0.1, horizon: int = 30) -> Modes:
    """Go on with the velocity of the last half second.

    Examples
    --------
    >>> constant_velocity([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]], horizon=2).xy.tolist()
    [[[[3.0, 0.0], [4.0, 0.0]]]]
    """
    seen = _past(past)
    time = dt * np.arange(1, horizon + 1)
    return _single(seen[:, -1, None] + _velocity(seen, dt)[:, None] * time[:, None])


def constant_acceleration(past: ArrayLike, dt: float = 0.1, horizon: int = 30) -> Modes:
    """Go on with velocity and acceleration of the last second; an agent that brakes to a stop stays there."""
    seen = _past(past)
    lag = min(_LAG, (seen.shape[1] - 1) // 2)
    late = (seen[:, -1] - seen[:, -1 - lag]) / (lag * dt)
    early = (seen[:, -1 - lag] - seen[:, -1 - 2 * lag]) / (lag * dt)
    change = (late - early) / (lag * dt)
    now = late + change * (0.5 * lag * dt)
    time = dt * np.arange(1, horizon + 1)[:, None]
    along = (now * change).sum(axis=1)
    slowing = along < 0.0
    stop = np.where(slowing, -(now * now).sum(axis=1) / np.where(slowing, along, 1.0), np.inf)
    held = np.minimum(time, stop[:, None, None])
    return _single(seen[:, -1, None] + now[:, None] * held + 0.5 * change[:, None] * held**2)


def constant_turn_rate(past: ArrayLike, dt: float = 0.1, horizon: int = 30) -> Modes:
    """Go on with speed and turn rate of the last second; below 1 m/s straight on."""
    seen = _past(past)
    speed, heading, rate = _turning(seen, dt)
    return _single(_arcs(seen[:, -1], heading, speed[:, None] + np.zeros(horizon), rate[:, None], dt))


def _turning(seen: FloatArray, dt: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    lag = min(_LAG, (seen.shape[1] - 1) // 2)
    late = seen[:, -1] - seen[:, -1 - lag]
    early = seen[:, -1 - lag] - seen[:, -1 - 2 * lag]
    speed = np.hypot(*late.T) / (lag * dt)
    cross = early[:, 0] * late[:, 1] - early[:, 1] * late[:, 0]
    turn = np.arctan2(cross, (early * late).sum(axis=1))
    rate = np.where(speed > 1.0, np.clip(turn / (lag * dt), -0.6, 0.6), 0.0)
    heading = np.arctan2(late[:, 1], late[:, 0]) + 0.5 * rate * lag * dt
    return speed, heading, rate


def _arcs(start: FloatArray, heading: FloatArray, speed: FloatArray, rate: FloatArray, dt: float) -> FloatArray:
    """Drive with speeds [A, T] and turn rates [A, T] or [A, 1] from `start` [A, 2]."""
    angle = heading[:, None] + np.cumsum(np.broadcast_to(rate, speed.shape), axis=1) * dt - 0.5 * rate * dt
    step = speed[..., None] * dt * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(start[:, None] + np.cumsum(step, axis=1))


def kalman(
    past: ArrayLike,
    dt: float = 0.1,
    horizon: int = 30,
    *,
    acceleration_noise: float = 3.0,
    position_noise_m: float = 0.15,
) -> Modes:
    """Filter position and velocity with a constant-velocity model, then go on with the filtered velocity.

    Parameters
    ----------
    past, dt, horizon
        As for all baselines.
    acceleration_noise : float > 0, default 3
        Standard deviation of white acceleration, m/s^2.
    position_noise_m : float > 0, default 0.15
        Standard deviation of the measurements.
    """
    seen = _past(past)
    move = np.array([[1.0, dt], [0.0, 1.0]])
    noise = acceleration_noise**2 * np.array([[dt**4 / 4.0, dt**3 / 2.0], [dt**3 / 2.0, dt**2]])
    state = np.stack([seen[:, 0], np.zeros_like(seen[:, 0])], axis=1)
    spread = np.diag([position_noise_m**2, 400.0])
    for step in range(1, seen.shape[1]):
        state, spread = np.einsum("ij,ajd->aid", move, state), move @ spread @ move.T + noise
        gain = spread[:, 0] / (spread[0, 0] + position_noise_m**2)
        state = state + gain[:, None] * (seen[:, step] - state[:, 0])[:, None]
        spread = spread - np.outer(gain, spread[0])
    time = dt * np.arange(1, horizon + 1)
    return _single(state[:, 0, None] + state[:, 1, None] * time[:, None])


def kinematic_modes(past: ArrayLike, dt: float = 0.1, horizon: int = 30) -> Modes:
    """Six hand-set modes: keep on, speed up, slow down, brake, turn a little left, turn a little right."""
    seen = _past(past)
    speed, heading, rate = _turning(seen, dt)
    time = dt * np.arange(1, horizon + 1)
    fade = 0.5 * rate[:, None] * np.exp(-time)
    modes = []
    for change, turn in ((0.0, 0.0), (1.2, 0.0), (-1.2, 0.0), (-3.0, 0.0), (0.0, 0.12), (0.0, -0.12)):
        fast = np.maximum(speed[:, None] + change * time, 0.0)
        modes.append(_arcs(seen[:, -1], heading, fast, fade + turn, dt))
    share = np.array([0.4, 0.15, 0.15, 0.1, 0.1, 0.1])
    return Modes(np.stack(modes, axis=1), np.tile(share, (len(seen), 1)))


BASELINES: dict[str, Baseline] = {
    "constant velocity": constant_velocity,
    "constant turn rate": constant_turn_rate,
    "constant acceleration": constant_acceleration,
    "Kalman": kalman,
    "kinematic modes": kinematic_modes,
}


class Ridge:
    """Linear regression of the future on the past, in the agent's own frame, with a penalty on the weights.

    Parameters
    ----------
    penalty : float > 0, default 10
        Of the squared weights.

    Examples
    --------
    >>> past = np.cumsum(np.ones((40, 20, 2)), axis=1) * np.linspace(0.1, 1.0, 40)[:, None, None]
    >>> future = past[:, -1:] + (past[:, -1:] - past[:, -2:-1]) * np.arange(1, 31)[:, None]
    >>> found = Ridge(1e-6).fit(past, future)(past).xy[:, 0]
    >>> bool(np.abs(found - future).max() < 0.01)
    True
    """

    def __init__(self, penalty: float = 10.0) -> None:
        self.penalty = checks.positive("penalty", penalty)
        self.weight: FloatArray | None = None

    def fit(self, past: ArrayLike, future: ArrayLike, dt: float = 0.1) -> Ridge:
        """Learn from pasts [A, H, 2] and futures [A, T, 2]; return itself."""
        seen = _past(past)
        states = agent_states(seen, np.zeros(len(seen)), dt)
        target = checks.float_array("future", future, (len(seen), None, 2))
        local = rotate(target - states.pose[:, None, :2], -states.pose[:, 2])
        x = self._inputs(states.past)
        penalty = self.penalty * np.eye(x.shape[1])
        penalty[-1, -1] = 0.0
        self.weight = np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ local.reshape(len(x), -1)), np.float64)
        return self

    @staticmethod
    def _inputs(past: FloatArray) -> FloatArray:
        return np.column_stack([past.reshape(len(past), -1), np.ones(len(past))])

    def __call__(self, past: ArrayLike, dt: float = 0.1, horizon: int = 30) -> Modes:
        """Return the futures of agents with these pasts."""
        if self.weight is None:
            raise InputError("a Ridge predicts after `fit`")
        seen = _past(past)
        if 2 * seen.shape[1] + 1 != len(self.weight) or 2 * horizon > self.weight.shape[1]:
            raise InputError(
                f"this Ridge was fitted to {len(self.weight) // 2} past and {self.weight.shape[1] // 2} future steps, "
                f"found {seen.shape[1]} and {horizon}"
            )
        states = agent_states(seen, np.zeros(len(seen)), dt)
        local = (self._inputs(states.past) @ self.weight).reshape(len(seen), -1, 2)[:, :horizon]
        return _single(rotate(local, states.pose[:, 2]) + states.pose[:, None, :2])


def predict_with(baseline: Baseline, scene: Scene, *, at_step: int, horizon: int = 30) -> Prediction:
    """Predict all agents of a scene that have been there for the last 2 s (or since the first step).

    Parameters
    ----------
    baseline : callable
        One of `BASELINES`, or a fitted `Ridge`.
    scene : Scene
    at_step : int
        The last observed step.
    horizon : int, default 30

    Returns
    -------
    Prediction
        The scale, which these methods do not give, grows by 0.5 m a second.
    """
    past = scene.xy[:, max(0, at_step - HISTORY + 1) : at_step + 1]
    rows = np.flatnonzero(~np.isnan(past).any(axis=(1, 2)))
    modes = baseline(past[rows], scene.dt, horizon)
    time = scene.dt * np.arange(1, horizon + 1)
    scale = np.broadcast_to(0.1 + _SCALE_PER_S * time[:, None], modes.xy.shape)
    agents = tuple(scene.agents[row] for row in rows)
    return Prediction(
        agents, modes.xy, modes.probability, scale, at_step=at_step, dt=scene.dt, method="baseline", scene=scene
    )
