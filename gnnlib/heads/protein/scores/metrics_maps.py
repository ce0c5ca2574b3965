"""Metrics of contact maps, distance maps and quality estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from gnnlib.errors import InputError
from gnnlib.heads.protein.checks import as_float_array

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray

__all__ = ["contact_precision", "distance_map_errors", "mqa_scores", "pearson", "spearman"]


def _square(name: str, values: Any) -> FloatArray:
    array = as_float_array(name, values)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(f"`{name}` must be a square matrix [L, L], found shape {list(array.shape)}")
    return array


def _range(length: int, low: int, high: int | None) -> BoolArray:
    """Upper-triangle pairs with a separation along the chain of `low` .. `high` residues."""
    gap = np.arange(length)[None, :] - np.arange(length)[:, None]
    return (gap >= max(1, low)) & (gap <= (length if high is None else high))


def contact_precision(
    scores: ArrayLike,
    distances: ArrayLike,
    *,
    top: float = 0.2,
    min_separation: int = 12,
    max_separation: int | None = None,
    cutoff_angstrom: float = 8.0,
) -> float:
    """Precision of the highest scored pairs of residues, P@L, P@L/2, P@L/5.

    Parameters
    ----------
    scores : array-like [L, L]
        Higher means contact; the two triangles are averaged.
    distances : array-like [L, L]
        True distances in angstrom; NaN pairs are left out.
    top : float
        Number of pairs looked at, in units of L: 1, 0.5, 0.2 (default) ... At least one pair.
    min_separation, max_separation : int
        Range along the chain: short 6-11, medium 12-23, long 24 and more. Default medium and long.
    cutoff_angstrom : float
        A pair below this distance is a contact; default 8.

    Returns
    -------
    float
        In [0, 1]; NaN when no pair lies in the range.

    Raises
    ------
    InputError
        If the matrices do not fit or `top` is not positive.

    Examples
    --------
    >>> distances = np.abs(np.subtract.outer(np.arange(20.0), np.arange(20.0)))
    >>> contact_precision(-distances, distances, min_separation=6), contact_precision(distances, distances)
    (1.0, 0.0)
    """
    score, distance = _square("scores", scores), _square("distances", distances)
    if score.shape != distance.shape:
        raise InputError(f"`scores` and `distances` must have one shape, found {score.shape} and {distance.shape}")
    if not top > 0.0:
        raise InputError(f"`top` must be positive, found {top}")
    length = len(score)
    both = 0.5 * (score + score.T)
    valid = _range(length, min_separation, max_separation) & ~np.isnan(distance) & ~np.isnan(both)
    if not valid.any():
        return float("nan")
    looked_at = min(max(1, int(top * length + 1e-9)), int(valid.sum()))
    best = np.argsort(-both[valid], kind="stable")[:looked_at]
    return float(np.mean(distance[valid][best] < cutoff_angstrom))


def distance_map_errors(
    predicted: ArrayLike,
    true: ArrayLike,
    *,
    max_distance_angstrom: float = 20.0,
    min_separation: int = 1,
    max_separation: int | None = None,
) -> dict[str, float]:
    """Errors of a predicted distance map.

    Parameters
    ----------
    predicted, true : array-like [L, L]
        Distances in angstrom; NaN pairs on either side are left out.
    max_distance_angstrom : float
        Only pairs that are truly at most this far apart; default 20.
    min_separation, max_separation : int
        Range along the chain; default all pairs.

    Returns
    -------
    dict
        ``mae``, ``rmse`` (angstrom), ``relative`` (mean of error over true distance), ``bias`` (angstrom), ``pairs``.

    Examples
    --------
    >>> true = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    >>> distance_map_errors(true + 1.0, true)["mae"]
    1.0
    """
    found, wanted = _square("predicted", predicted), _square("true", true)
    if found.shape != wanted.shape:
        raise InputError(f"`predicted` and `true` must have one shape, found {found.shape} and {wanted.shape}")
    with np.errstate(invalid="ignore"):
        chosen = _range(len(found), min_separation, max_separation) & (wanted <= max_distance_angstrom)
    chosen &= ~np.isnan(found)
    error = (found - wanted)[chosen]
    if not error.size:
        return {"mae": np.nan, "rmse": np.nan, "relative": np.nan, "bias": np.nan, "pairs": 0.0}
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "relative": float(np.mean(np.abs(error) / np.maximum(wanted[chosen], 1e-9))),
        "bias": float(error.mean()),
        "pairs": float(error.size),
    }


def _two_lists(predicted: Any, true: Any) -> tuple[FloatArray, FloatArray]:
    a, b = as_float_array("predicted", predicted).ravel(), as_float_array("true", true).ravel()
    if a.shape != b.shape:
        raise InputError(f"`predicted` and `true` must have one length, found {a.size} and {b.size}")
    known = ~(np.isnan(a) | np.isnan(b))
    return a[known], b[known]


def pearson(predicted: ArrayLike, true: ArrayLike) -> float:
    """Pearson correlation; NaN for fewer than two values or a constant side. NaN values are left out.

    Examples
    --------
    >>> round(pearson([1, 2, 3], [2, 4, 6.0]), 6)
    1.0
    """
    a, b = _two_lists(predicted, true)
    if len(a) < 2:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0.0 else float("nan")


def spearman(predicted: ArrayLike, true: ArrayLike) -> float:
    """Spearman rank correlation, ties ranked by their mean; NaN as in `pearson`.

    Examples
    --------
    >>> round(spearman([1, 2, 30], [2, 4, 5.0]), 6)
    1.0
    """
    a, b = _two_lists(predicted, true)
    return pearson(rankdata(a), rankdata(b)) if len(a) > 1 else float("nan")


def mqa_scores(predicted: ArrayLike, true: ArrayLike, targets: ArrayLike | None = None) -> dict[str, float]:
    """Scores of model quality estimates, pooled and by target.

    Parameters
    ----------
    predicted, true : array-like [M]
        Estimated and true quality of M models, higher is better.
    targets : array-like [M], optional
        Which protein each model is of; default one protein.

    Returns
    -------
    dict
        ``pearson`` and ``spearman`` over all models; ``target_pearson`` and ``target_spearman``, their means over the
        targets where they exist; ``top1_loss``, the mean over targets of (best true quality - true quality of the model
        ranked first); ``targets``, how many there are.

    Examples
    --------
    >>> scores = mqa_scores([0.9, 0.5, 0.1, 0.2], [0.8, 0.6, 0.3, 0.2], ["a", "a", "b", "b"])
    >>> round(scores["top1_loss"], 3), round(scores["target_pearson"], 3)
    (0.05, 0.0)
    """
    a, b = as_float_array("predicted", predicted), as_float_array("true", true)
    names = np.zeros(a.shape, dtype=np.int64) if targets is None else np.asarray(targets)
    if a.ndim != 1 or a.shape != b.shape or names.shape != a.shape or not a.size:
        raise InputError(f"`predicted`, `true`, `targets` must be [M], found {a.shape}, {b.shape}, {names.shape}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise InputError("`predicted` and `true` must be numbers, found NaN; leave these models out")
    parts = [names == name for name in np.unique(names)]
    by_target = np.array(
        [(pearson(a[p], b[p]), spearman(a[p], b[p]), b[p].max() - b[p][np.argmax(a[p])]) for p in parts]
    )
    existing = by_target[~np.isnan(by_target).any(axis=1)]
    return {
        "pearson": pearson(a, b),
        "spearman": spearman(a, b),
        "target_pearson": float(existing[:, 0].mean()) if len(existing) else float("nan"),
        "target_spearman": float(existing[:, 1].mean()) if len(existing) else float("nan"),
        "top1_loss": float(by_target[:, 2].mean()),
        "targets": float(len(parts)),
    }
