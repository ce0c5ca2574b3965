"""Metrics of predictions, all turned so that higher is better.

The built-in ones are computed here in a few numpy lines, for the ensemble asks for thousands of them; tests compare them
with scikit-learn. Any scikit-learn scorer works too: it is shown an estimator that hands out stored predictions.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from gnnlib.errors import InputError
from gnnlib.heads.automl.table import TASKS, Task
from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = ["CLASSIFICATION_METRICS", "REGRESSION_METRICS", "Metric", "resolve_metric"]

_SMALLEST = 1e-15

Score = Callable[[Any, FloatArray, FloatArray], float]


@dataclass(frozen=True)
class Metric:
    """How good predictions are.

    Parameters
    ----------
    name : str
    task : {"classification", "regression"}
    function : callable (y, prediction, weights) -> float
        Higher is better. `y` holds class codes 0 .. C - 1 or targets [N], the prediction probabilities [N, C] or values
        [N], the weights are positive [N].
    sign : int
        -1 where people expect an error, such as "rmse": `shown` turns the score back.
    looks_at : {"labels", "probabilities", "values"}
    """

    name: str
    task: Task
    function: Score
    sign: int = 1
    looks_at: str = "values"

    def score(self, y: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return the score, higher is better.

        Examples
        --------
        >>> resolve_metric("accuracy", "classification").score([0, 1], [[0.9, 0.1], [0.6, 0.4]])
        0.5
        """
        target = np.asarray(y)
        held = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
        return float(self.function(target, np.asarray(prediction, dtype=np.float64), held))

    @property
    def is_scorer(self) -> bool:
        """Whether it is one of scikit-learn's scorers, or a user's, and not computed here."""
        return isinstance(self.function, _ScorerFunction)

    def check(self, y: ArrayLike, prediction: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Try the metric on all rows, before any time is spent on a search that it could not judge.

        Raises
        ------
        InputError
            If a scorer does not take this target, or no weights.

        Examples
        --------
        >>> resolve_metric("precision", "classification").check([0, 1, 1], [[0.5, 0.5]] * 3)
        """
        if isinstance(self.function, _ScorerFunction):
            self.function.check(np.asarray(y), np.asarray(prediction), weights, self.name)

    def shown(self, score: float) -> float:
        """Return the number that people know by this name, for instance a log loss that is positive."""
        return self.sign * score


def _accuracy(y: IntArray, proba: FloatArray, weights: FloatArray) -> float:
    return float(np.average(proba.argmax(axis=1) == y, weights=weights))


def _balanced_accuracy(y: IntArray, proba: FloatArray, weights: FloatArray) -> float:
    right = (proba.argmax(axis=1) == y) * weights
    total = np.bincount(y, weights=weights, minlength=proba.shape[1])
    hits = np.bincount(y, weights=right, minlength=proba.shape[1])
    return float(np.mean(hits[total > 0] / total[total > 0]))


def _f1(y: IntArray, proba: FloatArray, weights: FloatArray) -> float:
    """F1 of class 1 for two classes, the mean over classes for more."""
    said, num_classes = proba.argmax(axis=1), proba.shape[1]
    hits = np.bincount(y, weights=(said == y) * weights, minlength=num_classes)
    both = np.bincount(y, weights=weights, minlength=num_classes) + np.bincount(
        said, weights=weights, minlength=num_classes
    )
    each = np.divide(2.0 * hits, both, out=np.zeros(num_classes), where=both > 0)
    return float(each[1]) if num_classes == 2 else float(each[both > 0].mean())


def _log_loss(y: IntArray, proba: FloatArray, weights: FloatArray) -> float:
    clipped = np.clip(proba, _SMALLEST, 1.0)
    truth = clipped[np.arange(len(y)), y] / clipped.sum(axis=1)
    return float(np.average(np.log(truth), weights=weights))


def _binary_auc(is_one: BoolArray, score: FloatArray, weights: FloatArray) -> float:
    positive, negative = weights[is_one].sum(), weights[~is_one].sum()
    if positive == 0.0 or negative == 0.0:
        return 0.5
    if np.ptp(weights) == 0.0:
        count = int(is_one.sum())
        ranks = rankdata(score)[is_one].sum()
        return float((ranks - count * (count + 1) / 2) / (count * (len(score) - count)))
    values, place = np.unique(score, return_inverse=True)
    up = np.bincount(place, weights=weights * is_one, minlength=len(values))
    down = np.bincount(place, weights=weights * ~is_one, minlength=len(values))
    below = np.concatenate([[0.0], np.cumsum(down)[:-1]])
    return float((up * (below + down / 2)).sum() / (positive * negative))


def _auc(y: IntArray, proba: FloatArray, weights: FloatArray) -> float:
    """Area under the curve; for more than two classes the mean of one against the rest."""
    if proba.shape[1] == 2:
        return _binary_auc(y == 1, proba[:, 1], weights)
    present = np.unique(y)
    return float(np.mean([_binary_auc(y == c, proba[:, c], weights) for c in present]))


def _r2(y: FloatArray, prediction: FloatArray, weights: FloatArray) -> float:
    residual = np.average((y - prediction) ** 2, weights=weights)
    total = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
    if total == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return float(1.0 - residual / total)


def _rmse(y: FloatArray, prediction: FloatArray, weights: FloatArray) -> float:
    return -float(np.sqrt(np.average((y - prediction) ** 2, weights=weights)))


def _mae(y: FloatArray, prediction: FloatArray, weights: FloatArray) -> float:
    return -float(np.average(np.abs(y - prediction), weights=weights))


_KNOWN: dict[Task, dict[str, Metric]] = {
    "classification": {
        "accuracy": Metric("accuracy", "classification", _accuracy, looks_at="labels"),
        "balanced_accuracy": Metric("balanced_accuracy", "classification", _balanced_accuracy, looks_at="labels"),
        "roc_auc": Metric("roc_auc", "classification", _auc, looks_at="probabilities"),
        "log_loss": Metric("log_loss", "classification", _log_loss, sign=-1, looks_at="probabilities"),
        "f1": Metric("f1", "classification", _f1, looks_at="labels"),
    },
    "regression": {
        "r2": Metric("r2", "regression", _r2),
        "rmse": Metric("rmse", "regression", _rmse, sign=-1),
        "mae": Metric("mae", "regression", _mae, sign=-1),
    },
}
_ALSO = {
    "auc": "roc_auc",
    "neg_log_loss": "log_loss",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
}

CLASSIFICATION_METRICS = tuple(_KNOWN["classification"])
REGRESSION_METRICS = tuple(_KNOWN["regression"])


def resolve_metric(metric: Any, task: Task, classes: ArrayLike | None = None) -> Metric:
    """Return the metric of a name, of a scikit-learn scorer, or itself.

    Parameters
    ----------
    metric : str, scorer, Metric or None
        None is ``log_loss`` for classification and ``rmse`` for regression. Names that are not built in are looked up
        among scikit-learn's scorers. A scorer is called as ``scorer(estimator, X, y)``, higher is better.
    task : {"classification", "regression"}
    classes : array-like [C], optional
        Labels behind the codes; a scorer sees them.

    Raises
    ------
    InputError
        If the name is unknown or belongs to the other task.

    Examples
    --------
    >>> resolve_metric(None, "regression").name
    'rmse'
    """
    if task not in TASKS:
        raise InputError(f"`task` must be one of {TASKS}, found {task!r}")
    if metric is None:
        return _KNOWN[task]["log_loss" if task == "classification" else "rmse"]
    if isinstance(metric, Metric):
        if metric.task != task:
            raise InputError(f"metric {metric.name!r} is for {metric.task}, not for {task}")
        return metric
    if isinstance(metric, str):
        name = _ALSO.get(metric, metric)
        if name in _KNOWN[task]:
            return _KNOWN[task][name]
        return _from_scorer(_scorer_of_name(metric, task), metric, task, classes)
    if callable(metric):
        return _from_scorer(metric, str(metric), task, classes)
    raise InputError(f"`metric` must be a name, a scikit-learn scorer or None, found {metric!r}")


def _scorer_of_name(name: str, task: Task) -> Any:
    from sklearn.metrics import get_scorer, get_scorer_names

    other = next(item for item in TASKS if item != task)
    if name in _KNOWN[other] or name in _ALSO:
        raise InputError(f"metric {name!r} is for {other}; for {task} there are {', '.join(_KNOWN[task])}")
    if name not in get_scorer_names():
        raise InputError(
            f"`metric` must be one of {', '.join(_KNOWN[task])} or a name or object of scikit-learn's scorers, "
            f"found {name!r}"
        )
    return get_scorer(name)


def _from_scorer(scorer: Any, name: str, task: Task, classes: ArrayLike | None) -> Metric:
    return Metric(name, task, _ScorerFunction(scorer, task, None if classes is None else np.asarray(classes)))


@dataclass(frozen=True, eq=False)
class _ScorerFunction:
    """Call a scorer with an estimator whose X are row numbers of stored predictions."""

    scorer: Any
    task: Task
    classes: Any

    def __call__(self, y: Any, prediction: FloatArray, weights: FloatArray) -> float:
        try:
            return self._ask(y, prediction, weights)
        except ValueError:  # a fold may lack a class, or hold what the scorer takes no logarithm of
            return math.nan

    def check(self, y: Any, prediction: FloatArray, weights: Any, name: str) -> None:
        """Raise an InputError where the scorer cannot judge predictions of `y` at all."""
        held = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a constant prediction is one that scorers warn of
                self._ask(y, prediction, held)
        except (ValueError, TypeError) as error:
            raise InputError(f"`metric` {name!r} cannot judge this target: {error}") from error

    def _ask(self, y: Any, prediction: FloatArray, weights: FloatArray) -> float:
        labels = y
        if self.task == "classification":
            known = np.arange(prediction.shape[1]) if self.classes is None else self.classes
            labels = known[y]
            stored: Any = _StoredClassifier(prediction, known)
        else:
            stored = _StoredRegressor(prediction)
        rows = np.arange(len(y))[:, None]
        if np.ptp(weights) == 0.0:
            return float(self.scorer(stored, rows, labels))
        return float(self.scorer(stored, rows, labels, sample_weight=weights))


class _StoredClassifier(ClassifierMixin, BaseEstimator):
    def __init__(self, proba: FloatArray, classes: Any) -> None:
        self.proba = proba
        self.classes_ = classes

    def fit(self, X: Any, y: Any) -> _StoredClassifier:  # noqa: ARG002
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> FloatArray:
        return self.proba[np.asarray(X)[:, 0]]

    def predict(self, X: Any) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _StoredRegressor(RegressorMixin, BaseEstimator):
    def __init__(self, values: FloatArray) -> None:
        self.values = values

    def fit(self, X: Any, y: Any) -> _StoredRegressor:  # noqa: ARG002
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> FloatArray:
        return self.values[np.asarray(X)[:, 0]]
