"""Ensembles of predictions: averages, Caruana's selection, and stacking that never sees what it predicts.

Members hand over arrays only: out-of-fold predictions for the rows of training, predictions for new rows. Classifiers
hand over probabilities [n, C], regressors values [n].

References
----------
.. [1] R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, Ensemble selection from libraries of models, ICML (2004):
   section 2 (selection with replacement), 2.1 (sorted initialisation).
.. [2] D. H. Wolpert, Stacked generalization, Neural Networks 5 (1992).
.. [3] L. Breiman, Stacked regressions, Machine Learning 24 (1996): non-negative weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.optimize import minimize, nnls

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.typing import AnyArray, ArrayLike, FloatArray, IntArray

__all__ = [
    "MIN_ROWS_FOR_STACKING",
    "Loss",
    "Stacker",
    "StackingReport",
    "average_predictions",
    "combine",
    "log_loss",
    "select_members",
    "squared_error",
]

MIN_ROWS_FOR_STACKING = 1000
"""Below so many rows the weights of a stacker are mostly noise, and selection is used instead."""

Loss = Callable[["AnyArray", "FloatArray"], float]
"""``loss(y, prediction) -> float``, minimised; y holds class indices or real values."""


def log_loss(y: AnyArray, probability: FloatArray) -> float:
    """Return the mean negative log-probability of the true classes.

    Parameters
    ----------
    y : int array [n]
        Class indices.
    probability : array [n, C]

    Examples
    --------
    >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])), 4)
    0.6931
    """
    chosen = probability[np.arange(len(y)), y]
    return float(-np.log(np.clip(chosen, 1e-15, 1.0)).mean())


def squared_error(y: AnyArray, prediction: FloatArray) -> float:
    """Return the mean squared error.

    Examples
    --------
    >>> squared_error(np.array([0.0, 1.0]), np.array([0.0, 3.0]))
    2.0
    """
    return float(np.mean((y - prediction) ** 2))


def _as_members(members: Sequence[ArrayLike]) -> FloatArray:
    """Return predictions as one array [M, n] or [M, n, C]."""
    if not len(members):
        raise InputError("an ensemble needs at least one member, found none")
    arrays = [np.asarray(member, dtype=np.float64) for member in members]
    for number, array in enumerate(arrays):
        if array.shape != arrays[0].shape or array.ndim not in (1, 2) or not len(array):
            raise InputError(
                f"members must be arrays of one shape [n] or [n, C], found {arrays[0].shape} and, "
                f"for member {number}, {array.shape}"
            )
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise InputError(f"predictions must be finite, found {array[row]!r} in row {row} of member {number}")
    return np.stack(arrays)


def _as_weights(weights: ArrayLike | None, count: int) -> FloatArray:
    if weights is None:
        return np.full(count, 1.0 / count)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise InputError(f"`weights` must be {count} numbers >= 0 with a positive sum, found {given!r}")
    return np.asarray(given / given.sum())


def average_predictions(members: Sequence[ArrayLike], *, weights: ArrayLike | None = None) -> FloatArray:
    """Return the weighted average of predictions.

    Parameters
    ----------
    members : sequence of M arrays, each [n, C] or [n]
    weights : array [M], optional
        Non-negative; equal when absent, and scaled to sum 1.

    Raises
    ------
    InputError
        If there is no member, shapes differ, or a number is not finite.

    Examples
    --------
    >>> average_predictions([[1.0, 3.0], [3.0, 5.0]], weights=[3, 1])
    array([1.5, 3.5])
    """
    stacked = _as_members(members)
    return np.asarray(np.tensordot(_as_weights(weights, len(stacked)), stacked, axes=1))


def select_members(
    members: Sequence[ArrayLike], y: ArrayLike, *, loss: Loss, rounds: int = 50, first: int = 1
) -> FloatArray:
    """Return the weights of the ensemble that greedy selection with replacement builds (Caruana et al. 2004).

    Every round adds the member that lowers the loss of the average most; the best ensemble on the way is kept, the
    smallest where several are equal. It is never worse on `y` than the best single member.

    Parameters
    ----------
    members : sequence of M arrays, each [n, C] or [n]
        Out-of-fold predictions of the rows of `y`.
    y : array [n]
        Class indices, or real values.
    loss : callable
        ``loss(y, prediction) -> float``.
    rounds : int >= 1, default 50
        Additions; a member may be added several times.
    first : int >= 1, default 1
        So many of the best single members begin the ensemble.

    Returns
    -------
    array [M]
        Weights that sum to 1; most are 0.

    Raises
    ------
    InputError
        If shapes do not fit or a number is out of range.

    Examples
    --------
    Two members that err in opposite directions, and a poor one:

    >>> y = np.zeros(4)
    >>> members = [y + 1, y - 1, y + 5]
    >>> select_members(members, y, loss=squared_error)
    array([0.5, 0.5, 0. ])
    """
    stacked = _as_members(members)
    target = np.asarray(y)
    if target.shape != (stacked.shape[1],):
        raise InputError(f"`y` must hold one value for each of {stacked.shape[1]} rows, found shape {target.shape}")
    if rounds < 1 or first < 1:
        raise InputError(f"`rounds` and `first` must be >= 1, found {rounds} and {first}")
    alone = np.array([loss(target, member) for member in stacked])
    order = np.argsort(alone, kind="stable")
    counts = np.zeros(len(stacked), dtype=np.int64)
    counts[order[: min(first, len(stacked))]] = 1
    total = stacked[counts > 0].sum(axis=0)
    best_counts, best = counts.copy(), loss(target, total / counts.sum())
    if alone[order[0]] < best:
        best_counts = np.zeros_like(counts)
        best_counts[order[0]], best = 1, float(alone[order[0]])
    for _ in range(rounds - int(counts.sum())):
        size = counts.sum() + 1
        losses = [loss(target, (total + member) / size) for member in stacked]
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total = total + stacked[chosen]
        if losses[chosen] < best - 1e-15:
            best_counts, best = counts.copy(), losses[chosen]
    return np.asarray(best_counts / best_counts.sum(), dtype=np.float64)


@dataclass(frozen=True)
class StackingReport:
    """What `combine` decided.

    Attributes
    ----------
    weights : array [M]
        Weights of the members.
    method : {"single", "selection", "stacking"}
    loss : float
        Loss on the out-of-fold predictions; of a stacker, on rows its weights were not fitted to.
    reason : str
        Why this method.
    """

    weights: FloatArray
    method: str
    loss: float
    reason: str


class Stacker:
    """Non-negative weights that sum to one, fitted to out-of-fold predictions (Breiman 1996).

    Regression solves non-negative least squares; classification minimises the log loss of the mixture over the simplex.

    Attributes
    ----------
    weights_ : array [M]
        After `fit`.

    Examples
    --------
    >>> y = np.linspace(0, 1, 50)
    >>> stacker = Stacker().fit([y + 0.3, y - 0.1], y)
    >>> stacker.weights_.round(2)
    array([0.25, 0.75])
    """

    def __init__(self) -> None:
        self.weights_: FloatArray = np.empty(0)

    def fit(self, members: Sequence[ArrayLike], y: ArrayLike) -> Self:
        """Find the weights.

        Parameters
        ----------
        members : sequence of M arrays, each [n, C] or [n]
            Out-of-fold predictions: the prediction of a row must come from a model that did not see it, or the leak
            goes straight into the weights.
        y : array [n]
        """
        stacked = _as_members(members)
        target = np.asarray(y)
        if target.shape != (stacked.shape[1],):
            raise InputError(f"`y` must hold one value for each of {stacked.shape[1]} rows, found shape {target.shape}")
        self.weights_ = _mixture_weights(stacked, target) if stacked.ndim == 3 else _least_squares(stacked, target)
        return self

    def predict(self, members: Sequence[ArrayLike]) -> FloatArray:
        """Return the weighted average of the members' predictions for new rows."""
        return average_predictions(members, weights=self.weights_)


def _least_squares(stacked: FloatArray, y: AnyArray) -> FloatArray:
    # The heavy last row holds the sum of the weights at one.
    heavy = 1e3 * max(1.0, float(np.abs(stacked).max())) * np.sqrt(len(y))
    rows = np.vstack([stacked.T, np.full((1, len(stacked)), heavy)])
    weights = nnls(rows, np.append(y.astype(np.float64), heavy))[0]
    return np.asarray(weights / weights.sum())


def _mixture_weights(stacked: FloatArray, y: AnyArray) -> FloatArray:
    given = np.clip(stacked[:, np.arange(len(y)), y], 1e-9, 1.0)

    def objective(logits: FloatArray) -> tuple[float, FloatArray]:
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        mixed = weights @ given
        slope = -(given / mixed).mean(axis=1)
        return float(-np.log(mixed).mean()), weights * (slope - weights @ slope)

    found = minimize(objective, np.zeros(len(stacked)), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights = np.exp(found.x - found.x.max())
    weights[weights < 1e-4 * weights.max()] = 0.0
    return np.asarray(weights / weights.sum())


def combine(
    members: Sequence[ArrayLike],
    y: ArrayLike,
    *,
    loss: Loss,
    folds: ArrayLike | None = None,
    min_rows: int = MIN_ROWS_FOR_STACKING,
) -> StackingReport:
    """Choose between the best member, selection and stacking by what their out-of-fold loss shows.

    Parameters
    ----------
    members : sequence of M arrays, each [n, C] or [n]
        Out-of-fold predictions.
    y : array [n]
    loss : callable
        ``loss(y, prediction) -> float``.
    folds : int array [n], optional
        The fold of each row in which it was predicted; the stacker's own loss is measured across these, so that its
        weights never see the rows they are judged on. Five interleaved folds when absent.
    min_rows : int, default 1000
        Stacking is tried from so many rows on.

    Returns
    -------
    StackingReport

    Examples
    --------
    >>> y = np.arange(10.0)
    >>> combine([y, y + 1], y, loss=squared_error).reason
    '10 rows are fewer than the 1000 that stacking needs'
    """
    stacked, target = _as_members(members), np.asarray(y)
    weights = select_members(members, y, loss=loss)
    selected = loss(target, average_predictions(members, weights=weights))
    method = "single" if (weights > 0).sum() == 1 else "selection"
    if len(stacked) < 2:
        return StackingReport(weights, "single", selected, "there is one member")
    if len(target) < min_rows:
        reason = f"{len(target)} rows are fewer than the {min_rows} that stacking needs"
        return StackingReport(weights, method, selected, reason)
    groups = np.arange(len(target)) % 5 if folds is None else np.asarray(folds)
    if groups.shape != target.shape or len(np.unique(groups)) < 2:
        raise InputError(f"`folds` must hold a fold for each row, at least two in all, found shape {groups.shape}")
    fair = _across(stacked, target, groups, lambda m, t: Stacker().fit(m, t).weights_)
    fair_selected = _across(stacked, target, groups, lambda m, t: select_members(m, t, loss=loss, rounds=25))
    if loss(target, fair) < loss(target, fair_selected):
        weights = Stacker().fit(members, y).weights_
        return StackingReport(
            weights, "stacking", loss(target, fair), "stacking is better on rows it was not fitted to"
        )
    return StackingReport(
        weights, method, loss(target, fair_selected), "selection is better on rows it was not fitted to"
    )


def _across(stacked: FloatArray, y: AnyArray, folds: IntArray, weigh: Callable[[Any, Any], FloatArray]) -> FloatArray:
    """Return predictions of every fold with the weights found on the others."""
    mixed = np.empty(stacked.shape[1:])
    for fold in np.unique(folds):
        held = folds == fold
        mixed[held] = np.tensordot(weigh(stacked[:, ~held], y[~held]), stacked[:, held], axes=1)
    return mixed
