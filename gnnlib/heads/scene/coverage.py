"""Place K futures so that the truth most probably ends near one of them.

A network that is trained by its best mode spreads its modes where the *distance* is small on average. Whether a truth
counts as found depends on a threshold, 2 m at the end, and the network's own mixture tells how much probability lies
within that of each place. So the ends are moved to where together they hold the most, as T. Gilles et al.
2021 (HOME) choose ends on a heat map; here without a grid, by rounds of reassigning and weighted means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["REACH_M", "ROUNDS", "Modes", "cover"]

REACH_M = 2.0
"""An end this near counts as found."""

_SOFTNESS_M = 0.3
_NEARNESS = 0.02
_AHEAD, _LEFT = 9, 3
ROUNDS = 4
"""More rounds than these found no more on validation scenes."""

_NOTHING = 1e-9


class Modes(NamedTuple):
    """Futures of A agents: ``path`` and ``scale`` [A, K, T, 2] in m in the agents' frames, ``probability`` [A, K]."""

    path: FloatArray
    scale: FloatArray
    probability: FloatArray


def cover(modes: Modes, *, rounds: int = ROUNDS) -> Modes:
    """Move modes so that the truth, if it follows their own mixture, most probably ends within 2 m of one of them.

    The mixture of Laplace distributions at the last step is represented by 9 x 3 points of each mode, at the middles of
    equally probable stretches ahead and to the left. Each point belongs to the nearest end; each end moves to the mean
    of its points, weighted by how much the softened count of points found would gain if it came nearer (a step of
    Weiszfeld's kind). The rest of a mode's path follows its end with the square of time, as if it had accelerated
    otherwise from now on. A mode's new probability is that of its points; its scale stays.

    Parameters
    ----------
    modes : Modes
        With positive scales; probabilities of an agent sum to 1.
    rounds : int >= 0, default 4
        0 changes nothing.

    Returns
    -------
    Modes
        In the same order.

    Examples
    --------
    Two modes 0.4 m apart leave a third of a wide mixture unfound; apart they find more.

    >>> path = np.array([[[[9.8, 0.0]], [[10.2, 0.0]]]])
    >>> found = cover(Modes(path, np.full((1, 2, 1, 2), 1.5), np.array([[0.5, 0.5]])))
    >>> bool(abs(found.path[0, 1, 0] - found.path[0, 0, 0]).max() > 1.5), found.probability.sum().round(6).tolist()
    (True, 1.0)
    """
    if not rounds or not modes.path.size:
        return modes
    end, scale = modes.path[:, :, -1], modes.scale[:, :, -1]
    points = (end[:, :, None] + scale[:, :, None] * _laplace_points()).reshape(len(end), 1, -1, 2)
    mass = np.repeat(modes.probability / (_AHEAD * _LEFT), _AHEAD * _LEFT, axis=1)[:, None]
    centre = end
    for _ in range(rounds):
        is_own, distance = _assign(points, centre)
        centre = _mean_of(points, np.where(is_own, mass * _slope(distance) / distance, 0.0), centre)
    is_own, _ = _assign(points, centre)
    probability = np.where(is_own, mass, 0.0).sum(axis=2)
    share = (np.arange(1, modes.path.shape[2] + 1) / modes.path.shape[2])[:, None]
    return Modes(
        modes.path + (centre - end)[:, :, None] * share**2,
        modes.scale,
        probability / probability.sum(axis=1, keepdims=True),
    )


def _laplace_points() -> FloatArray:
    """Points [P, 2] of a product of two Laplace distributions of scale 1, all of the same probability."""
    ahead, left = (_quantiles(number) for number in (_AHEAD, _LEFT))
    return np.stack(np.meshgrid(ahead, left, indexing="ij"), axis=-1).reshape(-1, 2)


def _quantiles(number: int) -> FloatArray:
    level = (np.arange(number) + 0.5) / number - 0.5
    return np.asarray(-np.sign(level) * np.log1p(-2.0 * np.abs(level)))


def _assign(points: FloatArray, centre: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Whether a centre is the nearest one of a point [A, K, P], and the distances to the nearest [A, 1, P]."""
    square = (points[..., 0] - centre[:, :, None, 0]) ** 2 + (points[..., 1] - centre[:, :, None, 1]) ** 2
    least = square.min(axis=1, keepdims=True)
    return square <= least, np.sqrt(least) + 0.01


def _slope(distance: FloatArray) -> FloatArray:
    """How much a point gains by a nearer end: the slope of the softened count, and a little everywhere."""
    found = 0.5 * (1.0 + np.tanh((REACH_M - distance) / (2.0 * _SOFTNESS_M)))
    return np.asarray(found * (1.0 - found) / _SOFTNESS_M + _NEARNESS)


def _mean_of(values: FloatArray, weight: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Means [A, K, 2] of values [A, K or 1, P, 2] by weights [A, K, P]; `otherwise` where nothing has weight."""
    total = weight.sum(axis=2)[..., None]
    sums = np.stack([(weight * values[..., axis]).sum(axis=2) for axis in (0, 1)], axis=-1)
    return np.where(total > _NOTHING, sums / np.maximum(total, _NOTHING), otherwise)
