"""How good predicted trajectories are, one number per agent; averages and intervals over whole scenes.

All lengths are metres. With modes K and probabilities p:

- minADE, minFDE: mean and final distance of the mode whose end is nearest to the truth (M.-F. Chang et al. 2019,
  Argoverse, section 5.2), each mode's own mean distance being used for minADE.
- miss: no mode ends within 2 m of the truth.
- brier-minFDE: minFDE + (1 - p)^2 of that mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.scene.lanemap import LaneMap
    from gnnlib.seeding import Seed
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = [
    "DisplacementErrors",
    "Interval",
    "Reliability",
    "bootstrap_by_scene",
    "collisions",
    "displacement_errors",
    "infeasible",
    "laplace_nll",
    "off_road",
    "reliability",
]

MISS_M = 2.0
_OFF_ROAD_M = 3.0
_SPACING_M = 1.0


class DisplacementErrors(NamedTuple):
    """Errors of each agent, all float arrays [A]; `missed` is 0 or 1."""

    min_ade: FloatArray
    min_fde: FloatArray
    missed: FloatArray
    brier_min_fde: FloatArray


def displacement_errors(
    xy: ArrayLike, truth: ArrayLike, probability: ArrayLike | None = None, *, k: int | None = None
) -> DisplacementErrors:
    """Compare modes with what happened.

    Parameters
    ----------
    xy : array [A, K, T, 2]
        Modes.
    truth : array [A, T, 2]
    probability : array [A, K], optional
        Equal by default.
    k : int, optional
        Take the k most probable modes only.

    Returns
    -------
    DisplacementErrors

    Raises
    ------
    InputError
        If shapes do not fit or `k` is out of range.

    Examples
    --------
    >>> modes = [[[[1.0, 0.0], [2.0, 0.0]], [[1.0, 1.0], [2.0, 3.0]]]]
    >>> errors = displacement_errors(modes, [[[1.0, 0.0], [2.0, 1.0]]], [[0.5, 0.5]])
    >>> [float(value[0]) for value in errors]
    [0.5, 1.0, 0.0, 1.25]
    """
    modes = checks.float_array("xy", xy, (None, None, None, 2))
    count, num, steps = modes.shape[:3]
    true = checks.float_array("truth", truth, (count, steps, 2))
    if probability is None:
        weight = np.full((count, num), 1.0 / max(num, 1))
    else:
        weight = checks.float_array("probability", probability, (count, num))
    if k is not None:
        if not 1 <= k <= num:
            raise InputError(f"`k` must be from 1 to the {num} modes, found {k!r}")
        order = np.argsort(-weight, axis=1, kind="stable")[:, :k]
        modes = np.take_along_axis(modes, order[:, :, None, None], axis=1)
        weight = np.take_along_axis(weight, order, axis=1)
    away = np.hypot(*np.moveaxis(modes - true[:, None], -1, 0))
    final = away[:, :, -1]
    nearest = final.argmin(axis=1)[:, None]
    min_fde = np.take_along_axis(final, nearest, axis=1)[:, 0]
    share = np.take_along_axis(weight, nearest, axis=1)[:, 0]
    missed = (min_fde > MISS_M).astype(np.float64)
    return DisplacementErrors(away.mean(axis=2).min(axis=1), min_fde, missed, min_fde + (1.0 - share) ** 2)


def laplace_nll(
    xy: ArrayLike, scale: ArrayLike, probability: ArrayLike, truth: ArrayLike, heading_rad: ArrayLike
) -> FloatArray:
    """Negative log-likelihood of the truth per step under the mixture of the modes, in nats; array [A].

    At each step the modes are Laplace distributions along the agent's heading and across; densities are per m^2.

    Parameters
    ----------
    xy, scale : array [A, K, T, 2]
        As in `Prediction`: positions in the scene's frame, scales ahead and to the left.
    probability : array [A, K]
    truth : array [A, T, 2]
    heading_rad : array [A]
        Directions that "ahead" refers to.

    Examples
    --------
    >>> one = np.ones((1, 1, 1, 2))
    >>> laplace_nll(0 * one, one, [[1.0]], [[[0.0, 0.0]]], [0.0]).round(4).tolist()
    [1.3863]
    """
    modes = checks.float_array("xy", xy, (None, None, None, 2))
    count, num, steps = modes.shape[:3]
    spread = checks.float_array("scale", scale, (count, num, steps, 2))
    weight = checks.float_array("probability", probability, (count, num))
    away = checks.float_array("truth", truth, (count, steps, 2))[:, None] - modes
    heading = checks.float_array("heading_rad", heading_rad, (count,))[:, None, None]
    ahead = np.cos(heading) * away[..., 0] + np.sin(heading) * away[..., 1]
    left = np.cos(heading) * away[..., 1] - np.sin(heading) * away[..., 0]
    log_density = -np.abs(ahead) / spread[..., 0] - np.abs(left) / spread[..., 1] - np.log(4.0 * spread.prod(axis=-1))
    with np.errstate(divide="ignore"):
        mixture = logsumexp(log_density + np.log(weight)[:, :, None], axis=1)
    return np.asarray(-mixture.mean(axis=1))


class Reliability(NamedTuple):
    """How often modes of a given probability were the nearest to the truth.

    Attributes
    ----------
    predicted, observed : float array [B]
        Mean probability and observed frequency in each bin that is not empty.
    modes : int array [B]
        How many there are in it.
    error : float
        Mean of the absolute differences weighted by `modes` (expected calibration error).
    """

    predicted: FloatArray
    observed: FloatArray
    modes: IntArray
    error: float


def reliability(probability: ArrayLike, xy: ArrayLike, truth: ArrayLike, *, bins: int = 10) -> Reliability:
    """Compare the modes' probabilities with how often each was the one that ends nearest to the truth.

    Parameters
    ----------
    probability : array [A, K]
    xy : array [A, K, T, 2]
    truth : array [A, T, 2]
    bins : int >= 1, default 10
        Of equal width between 0 and 1.

    Examples
    --------
    >>> xy = np.zeros((4, 2, 1, 2))
    >>> xy[:, 1] = 5.0
    >>> truth = np.zeros((4, 1, 2))
    >>> truth[0] = 5.0
    >>> found = reliability(np.tile([0.75, 0.25], (4, 1)), xy, truth)
    >>> found.observed.tolist(), found.error
    ([0.25, 0.75], 0.0)
    """
    modes = checks.float_array("xy", xy, (None, None, None, 2))
    count, num, steps = modes.shape[:3]
    share = checks.float_array("probability", probability, (count, num))
    true = checks.float_array("truth", truth, (count, steps, 2))
    final = np.hypot(*(modes[:, :, -1] - true[:, None, -1]).transpose(2, 0, 1))
    happened = np.arange(num) == final.argmin(axis=1)[:, None]
    place = np.minimum((share * bins).astype(np.int64), bins - 1).ravel()
    number = np.bincount(place, minlength=bins)
    kept = number > 0
    predicted = np.bincount(place, share.ravel(), bins)[kept] / number[kept]
    observed = np.bincount(place, happened.ravel().astype(float), bins)[kept] / number[kept]
    error = float((np.abs(predicted - observed) * number[kept]).sum() / max(share.size, 1))
    return Reliability(predicted, observed, number[kept], error)


def off_road(xy: FloatArray, lanes: LaneMap, *, within_m: float = _OFF_ROAD_M) -> BoolArray:
    """Tell which trajectories leave the road: farther than `within_m` from every lane's centre line at some step.

    Parameters
    ----------
    xy : float array [A, T, 2]
    lanes : LaneMap
        With at least one lane.
    within_m : float, default 3

    Returns
    -------
    bool array [A]
    """
    from gnnlib.heads.scene.maps.polylines import resample

    if not len(lanes):
        raise InputError("whether a trajectory leaves the road needs a map with lanes, found none")
    points = np.concatenate([resample(lane.centre, _SPACING_M) for lane in lanes.lanes])
    distance, _ = cKDTree(points).query(xy.reshape(-1, 2))
    # half a spacing along the line between two points adds little: hypot(3, 0.5) - 3 = 4 cm
    return np.asarray((np.reshape(distance, xy.shape[:2]) > within_m).any(axis=1))


def collisions(xy: FloatArray, size: FloatArray, heading_rad: FloatArray, here: FloatArray) -> BoolArray:
    """Tell which agents overlap another one at some step of a joint prediction.

    Rectangles that point where they move. Pairs that touch at the present step (as recorded boxes may) do not count.

    Parameters
    ----------
    xy : float array [A, T, 2]
        One trajectory for each agent.
    size : float array [A, 2]
        Length and width.
    heading_rad : float array [A]
        At the present step.
    here : float array [A, 2]
        Positions at the present step.

    Returns
    -------
    bool array [A]
    """
    from gnnlib.heads.scene.planning.driving_scores import boxes_overlap

    path = np.concatenate([here[:, None], xy], axis=1)
    heading = _headings(path, heading_rad)
    reach = 0.5 * np.hypot(*size.T)
    first, second = np.triu_indices(len(path), 1)
    away = np.hypot(*np.moveaxis(path[first] - path[second], -1, 0))
    near = (away <= (reach[first] + reach[second])[:, None]).any(axis=1)
    first, second = first[near], second[near]
    hit = boxes_overlap(
        path[first],
        heading[first],
        np.broadcast_to(size[first, None], (*path[first].shape[:2], 2)),
        path[second],
        heading[second],
        np.broadcast_to(size[second, None], (*path[second].shape[:2], 2)),
    )
    counted = hit[:, 1:].any(axis=1) & ~hit[:, 0]
    result = np.zeros(len(path), bool)
    result[first[counted]] = True
    result[second[counted]] = True
    return result


def _headings(path: FloatArray, start: FloatArray, least_m: float = 0.05) -> FloatArray:
    """Direction of motion at each point of paths [A, T, 2]; that of the point before where an agent stands."""
    step = np.diff(path, axis=1)
    heading = np.empty(path.shape[:2])
    heading[:, 0] = np.nan_to_num(start)
    for number in range(step.shape[1]):
        moved = np.hypot(*step[:, number].T) >= least_m
        heading[:, number + 1] = np.where(moved, np.arctan2(step[:, number, 1], step[:, number, 0]), heading[:, number])
    return heading


def infeasible(
    xy: FloatArray, here: FloatArray, dt: float, *, acceleration: float = 8.0, curvature: float = 0.3
) -> BoolArray:
    """Tell which trajectories no car could drive.

    One is infeasible if its speed over half-second pieces changes by more than `acceleration`, or if above 2 m/s it
    turns more sharply than `curvature` between such pieces. (Half a second, so that recorded noise passes.)

    Parameters
    ----------
    xy : float array [A, T, 2]
    here : float array [A, 2]
        Positions at the present step.
    dt : float
        Seconds between steps.
    acceleration : float, default 8
        m/s^2.
    curvature : float, default 0.3
        1/m.

    Returns
    -------
    bool array [A]

    Examples
    --------
    >>> straight = np.linspace(1.0, 30.0, 30)[:, None] * [1.0, 0.0]
    >>> back = straight.copy()
    >>> back[15:] = back[15] - straight[:15]
    >>> infeasible(np.stack([straight, back]), np.zeros((2, 2)), 0.1).tolist()
    [False, True]
    """
    every = max(1, round(0.5 / dt))
    path = np.concatenate([here[:, None], xy], axis=1)[:, ::every]
    velocity = np.diff(path, axis=1) / (every * dt)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    change = np.abs(np.diff(speed, axis=1)) / (every * dt)
    cross = velocity[:, :-1, 0] * velocity[:, 1:, 1] - velocity[:, :-1, 1] * velocity[:, 1:, 0]
    dot = (velocity[:, :-1] * velocity[:, 1:]).sum(axis=-1)
    mean = 0.5 * (speed[:, :-1] + speed[:, 1:])
    turn = np.abs(np.arctan2(cross, dot)) / np.maximum(mean * every * dt, 1e-9)
    return np.asarray(((change > acceleration) | ((turn > curvature) & (mean > 2.0))).any(axis=1))


class Interval(NamedTuple):
    """A mean and the range that holds the means of 95 % of the bootstrap samples."""

    mean: float
    low: float
    high: float


def bootstrap_by_scene(values: ArrayLike, scenes: ArrayLike, *, samples: int = 1000, seed: Seed = 0) -> Interval:
    """Mean over agents with an interval from drawing whole scenes, since the agents of one scene are alike.

    Parameters
    ----------
    values : array [A]
    scenes : array [A]
        What scene each belongs to.
    samples : int >= 1, default 1000
    seed : int or None, default 0

    Examples
    --------
    >>> bootstrap_by_scene([1.0, 1.0, 3.0], ["a", "a", "a"])
    Interval(mean=1.6666666666666667, low=1.6666666666666667, high=1.6666666666666667)
    """
    numbers = checks.float_array("values", values, (None,))
    labels = np.asarray(scenes)
    if labels.shape != numbers.shape or not numbers.size:
        raise InputError(f"`scenes` must name the scene of each of {numbers.size} > 0 values, found {labels.shape}")
    _, group = np.unique(labels, return_inverse=True)
    total, count = np.bincount(group, numbers), np.bincount(group)
    drawn = numpy_generator(seed).integers(len(count), size=(samples, len(count)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(numbers.mean()), float(low), float(high))
