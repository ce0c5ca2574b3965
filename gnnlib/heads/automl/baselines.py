"""The trivial and the usual answer to a table, behind the call signature of the searched ones.

They clean a table as `gnnlib.heads.automl.estimators` does, and then fit one model with its default settings, so that
what a search adds can be told from what cleaning does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from gnnlib.errors import InputError
from gnnlib.heads.automl.cleaning import TableCleaner
from gnnlib.heads.automl.pipelines import Pipeline

if TYPE_CHECKING:
    from gnnlib.heads.automl.table import Task
    from gnnlib.typing import FloatArray

__all__ = ["BASELINES", "BaselineClassifier", "BaselineRegressor"]

Kind = Literal["prior", "linear", "neighbours", "forest", "boosting", "lightgbm"]

BASELINES: tuple[Kind, ...] = get_args(Kind)

_TEXTS = {
    "linear": "median > onehot > standard > {linear} > none",
    "neighbours": "median > onehot > standard > knn(neighbours=5, weights=uniform) > none",
    "forest": "median > ordinal > none > forest(columns={columns}) > none",
    "boosting": "keep > ordinal > none > hgb > none",
    "lightgbm": "keep > ordinal > none > lightgbm > none",
}


class _Baseline(BaseEstimator):
    _task: Task

    def __init__(self, *, kind: Kind = "boosting", seed: int = 0) -> None:
        self.kind = kind
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Clean the table and fit the model on all rows.

        Parameters
        ----------
        X : DataFrame, array [N, D] or sequence of rows
        y : array [N]

        Raises
        ------
        InputError
            If the kind is unknown or lengths differ.
        """
        if self.kind not in BASELINES:
            raise InputError(f"`kind` must be one of {', '.join(BASELINES)}, found {self.kind!r}")
        target = column_or_1d(y)
        self._cleaner = TableCleaner().fit(X)
        matrix = self._matrix(X)
        if len(target) != len(matrix):
            raise InputError(f"`X` has {len(matrix)} rows, `y` {len(target)}; they must be as many")
        self._model = self._make(matrix).fit(matrix, target)
        if hasattr(self._model, "classes_"):
            self.classes_ = self._model.classes_
        return self

    def _make(self, matrix: FloatArray) -> Any:
        if self.kind == "prior" or not self._cleaner.layout.num_columns:
            return DummyClassifier(strategy="prior") if self._task == "classification" else DummyRegressor()
        is_classes = self._task == "classification"
        # scikit-learn's own defaults: the root of the columns for classes, all of them for numbers
        columns = min(1.0, max(0.05, matrix.shape[1] ** -0.5)) if is_classes else 1.0
        text = _TEXTS[self.kind].format(linear="logistic" if is_classes else "ridge", columns=columns)
        return Pipeline.parse(self._task, text).build(self._cleaner.layout, seed=self.seed, rows=len(matrix))

    def _matrix(self, X: Any) -> FloatArray:
        matrix = self._cleaner.transform(X)
        return matrix if matrix.shape[1] else np.zeros((len(matrix), 1))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def predict(self, X: Any) -> Any:
        """Return the label or the value of each row [N]."""
        check_is_fitted(self)
        return self._model.predict(self._matrix(X))


class BaselineClassifier(ClassifierMixin, _Baseline):
    """One classifier with default settings behind the cleaning of tables.

    Parameters
    ----------
    kind : {"prior", "linear", "neighbours", "forest", "boosting", "lightgbm"}, default "boosting"
        "prior" answers the frequencies of the classes; the others are logistic regression, 5 nearest neighbours, a
        random forest, scikit-learn's histogram boosting, and LightGBM.
    seed : int, default 0

    Attributes
    ----------
    classes_ : array [C]

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BaselineClassifier(kind="linear").fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _task: Task = "classification"

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class [N, C]."""
        check_is_fitted(self)
        return np.asarray(self._model.predict_proba(self._matrix(X)), dtype=np.float64)


class BaselineRegressor(RegressorMixin, _Baseline):
    """One regressor with default settings behind the cleaning of tables.

    Parameters
    ----------
    kind : {"prior", "linear", "neighbours", "forest", "boosting", "lightgbm"}, default "boosting"
        As for `BaselineClassifier`; "prior" answers the mean, "linear" is ridge regression.
    seed : int, default 0

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = BaselineRegressor(kind="linear").fit(X, y)
    >>> bool(model.score(X, y) > 0.4)
    True
    """

    _task: Task = "regression"
