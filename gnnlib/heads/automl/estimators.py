"""`AutoClassifier` and `AutoRegressor`: scikit-learn estimators that find a pipeline within a budget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from gnnlib.errors import InputError
from gnnlib.heads.automl.api import explain_fitted, save_model
from gnnlib.heads.automl.cleaning import as_frame, numbered_names
from gnnlib.heads.automl.export import write_code
from gnnlib.heads.automl.problem import AutoMLParams, check_weights, missing_rows
from gnnlib.heads.automl.runner_fit import Fitted, TableTask, fit_table
from gnnlib.stop import MaxRuntime, StopCriterion

if TYPE_CHECKING:
    from gnnlib.heads.automl.result import AutoMLResult, Explanation
    from gnnlib.heads.automl.table import Task
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["AutoClassifier", "AutoRegressor"]


class _AutoEstimator(BaseEstimator, ABC):
    """What both estimators share."""

    _task: Task

    def __init__(
        self,
        *,
        stop: StopCriterion | None = None,
        description: str | None = None,
        metric: Any = None,
        seed: int | None = 0,
        n_jobs: int | None = None,
        store: Any = None,
        params: AutoMLParams | None = None,
    ) -> None:
        self.stop = stop
        self.description = description
        self.metric = metric
        self.seed = seed
        self.n_jobs = n_jobs
        self.store = store
        self.params = params

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        tags.non_deterministic = isinstance(self.stop, MaxRuntime) or self.stop is None
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search until the stop, and keep the best ensemble of pipelines.

        Parameters
        ----------
        X : DataFrame, array [N, D] or sequence of rows
            The table: numbers, categories, texts, dates, booleans, missing values.
        y : array [N] or str
            The target, or the name of its column in `X`. Rows without a target are left out.
        sample_weight : array [N], optional
            Non-negative.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If table, target, weights or an option are not usable.
        """
        criterion = MaxRuntime(60.0) if self.stop is None else self.stop
        if not isinstance(criterion, StopCriterion):
            raise InputError(f"`stop` must be a stopping criterion such as MaxRuntime(60), found {criterion!r}")
        clock = criterion.start()
        settings = AutoMLParams() if self.params is None else self.params
        if not isinstance(settings, AutoMLParams):
            raise InputError(f"`params` must be AutoMLParams, found {settings!r}")
        if self.description is not None and not isinstance(self.description, str):
            raise InputError(f"`description` must be a string or None, found {self.description!r}")
        X, y = _split_target(X, y)
        frame = as_frame(X)
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        _register_columns(self, X, frame, reset=True)
        target = y if isinstance(y, pd.Series) else column_or_1d(y, warn=True)
        if len(target) != len(frame):
            raise InputError(
                f"Found input variables with inconsistent numbers of samples: `X` has {len(frame)} rows, `y` {len(target)}"
            )
        weights = check_weights(sample_weight, len(frame))
        kept = ~missing_rows(target)
        if not kept.all():
            frame, target, weights = _without(frame, target, weights, kept)
        target = column_or_1d(_plain(target))  # after the gaps are gone, so that integers stay integers
        if len(frame) < 2:
            raise InputError(f"at least two rows with a target are needed, found {len(frame)} sample(s)")
        task = TableTask(
            self._task,
            frame if isinstance(X, pd.DataFrame) else frame.to_numpy(),
            self._encode(target),
            weights=weights,
            classes=getattr(self, "classes_", None),
            description=self.description,
        )
        self._fitted: Fitted = fit_table(
            task, clock, metric=self.metric, seed=self.seed, n_jobs=self.n_jobs, store=self.store, params=settings
        )
        return self

    @abstractmethod
    def _encode(self, target: Any) -> Any:
        """Return the target as the search wants it."""

    def _answer(self, X: Any) -> FloatArray:
        check_is_fitted(self, "_fitted")
        frame = as_frame(X)
        _register_columns(self, X, frame, reset=False)
        return self._fitted.predict(X if isinstance(X, pd.DataFrame) else frame)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    @property
    def result_(self) -> AutoMLResult:
        """What the search did: trials, trace, time asked and used."""
        check_is_fitted(self, "_fitted")
        return self._fitted.result

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """One row a trial, best first: pipeline, score, seconds, weight in the ensemble, why it was tried."""
        return self.result_.leaderboard()

    @property
    def out_of_fold_(self) -> tuple[Any, Any]:
        """Targets of up to 20,000 rows of training, and what models that had not seen them predict, both [n].

        Raises
        ------
        InputError
            If no trial came to an end.
        """
        check_is_fitted(self, "_fitted")
        kept = self._fitted.committee.out_of_fold
        if kept is None:
            raise InputError("there are no out-of-fold predictions, for no trial came to an end; give it more time")
        return self._decoded(kept[0]), self._decoded(self._chosen(kept[1]))

    def _chosen(self, prediction: FloatArray) -> Any:
        """Return what is answered, given the averages of the ensemble."""
        return prediction

    def _decoded(self, answer: Any) -> Any:
        """Return answers in the user's own labels."""
        return answer

    def explain(self) -> Explanation:
        """Say what the predictor relies on and why its pipelines were tried."""
        check_is_fitted(self, "_fitted")
        return explain_fitted(self._fitted)

    def export_code(self, path: PathLike) -> None:
        """Write the predictor as a Python file that needs numpy, pandas and scikit-learn, and lightgbm where it is used.

        The file fits each pipeline once on all rows, while this object keeps one model a fold, so that predictions
        agree closely and not exactly.
        """
        check_is_fitted(self, "_fitted")
        write_code(self._fitted, path, seed=self._fitted.result.seed % 2**31)

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator; `gnnlib.heads.automl.api.load_model` or `joblib.load` read it."""
        check_is_fitted(self, "_fitted")
        save_model(self, path)


def _split_target(X: Any, y: Any) -> tuple[Any, Any]:
    """Take the target out of the table when it is named."""
    if not isinstance(y, str):
        return X, y
    if not isinstance(X, pd.DataFrame):
        raise InputError(f"`y` names the column {y!r}, so that `X` must be a DataFrame, found {type(X).__name__}")
    if y not in X.columns:
        raise InputError(f"the target {y!r} is not a column of the table; it has {', '.join(map(str, X.columns[:20]))}")
    if X.columns.tolist().count(y) > 1:
        raise InputError(f"the target {y!r} must name one column, found {X.columns.tolist().count(y)} of that name")
    return X.drop(columns=[y]), X[y]


def _plain(target: Any) -> Any:
    """Return a target of one of pandas' own types, none missing, as the numpy type that holds it."""
    if not isinstance(target, pd.Series) or isinstance(target.dtype, np.dtype):
        return target
    return pd.Series(target.to_numpy(dtype=object)).infer_objects().to_numpy()


def _register_columns(estimator: Any, X: Any, frame: pd.DataFrame, *, reset: bool) -> None:
    """Remember, or check, number and names of the columns as scikit-learn does."""
    if isinstance(X, pd.DataFrame) and (len({type(name) for name in X.columns}) > 1 or not X.columns.is_unique):
        X = X.set_axis(numbered_names(X), axis=1)
    elif not isinstance(X, pd.DataFrame):
        X = frame.to_numpy() if not isinstance(X, np.ndarray) else X
    validate_data(estimator, X, reset=reset, skip_check_array=True)


def _without(frame: pd.DataFrame, target: Any, weights: Any, kept: Any) -> tuple[pd.DataFrame, Any, Any]:
    import warnings

    missing = int((~kept).sum())
    if missing == len(kept):
        raise InputError("Input y contains NaN only: the target is missing in every row")
    warnings.warn(f"{missing} of {len(kept)} rows have no target and are left out", UserWarning, stacklevel=3)
    return frame[kept], target[kept], None if weights is None else weights[kept]


class AutoClassifier(ClassifierMixin, _AutoEstimator):
    """Find a classification pipeline, or an ensemble of some, within a budget.

    Parameters
    ----------
    stop : StopCriterion, default ``MaxRuntime(60)``
        One iteration is one trial of a pipeline. `MaxTrials` gives the same answer bit for bit for the same seed and
        the same `n_jobs`.
    description : str, optional
        What the table is about, in a sentence.
    metric : str, scorer or None
        "log_loss" (default), "accuracy", "balanced_accuracy", "roc_auc", "f1", or any scikit-learn scorer.
    seed : int or None
    n_jobs : int, optional
        Trials at a time; -1 for one a core, None for 1 or what ``joblib.parallel_config`` says. With another joblib
        backend active (Dask, Ray, ...) trials go there.
    store : ExperienceStore or str, optional
        Where scores of past fits are read and those of this one are kept.
    params : AutoMLParams, optional
        Rarely needed settings.

    Attributes
    ----------
    classes_ : array [C]
    result_ : AutoMLResult
    leaderboard_ : DataFrame

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gnnlib.stop import MaxTrials
    >>> X, y = load_iris(return_X_y=True)
    >>> model = AutoClassifier(stop=MaxTrials(2), seed=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _task: Task = "classification"

    def _encode(self, target: Any) -> Any:
        check_classification_targets(target)
        try:
            self.classes_, codes = np.unique(target, return_inverse=True)
        except TypeError as error:
            raise InputError("labels in `y` must be of one kind, found texts and numbers together") from error
        if len(self.classes_) < 2:
            raise InputError(f"`y` must hold at least two classes, found one class: {self.classes_[0]!r}")
        return codes

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class [N, C]."""
        return self._answer(X)

    def predict(self, X: Any) -> Any:
        """Return the label of each row [N]."""
        return self._decoded(self._chosen(self._answer(X)))

    def _chosen(self, prediction: FloatArray) -> Any:
        return self._fitted.committee.choose(prediction)

    def _decoded(self, answer: Any) -> Any:
        return self.classes_[answer]


class AutoRegressor(RegressorMixin, _AutoEstimator):
    """Find a regression pipeline, or an ensemble of some, within a budget.

    Parameters
    ----------
    stop, description, seed, n_jobs, store, params
        As for `AutoClassifier`.
    metric : str, scorer or None
        "rmse" (default), "r2", "mae", or any scikit-learn scorer.

    Attributes
    ----------
    result_ : AutoMLResult
    leaderboard_ : DataFrame

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from gnnlib.stop import MaxTrials
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = AutoRegressor(stop=MaxTrials(2), seed=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.4)
    True
    """

    _task: Task = "regression"

    def _encode(self, target: Any) -> Any:
        if target.dtype.kind in "mM":
            raise InputError("`y` must be numbers for regression, found moments or spans of time; convert them first")
        try:
            values = np.asarray(target, dtype=np.float64)
        except (TypeError, ValueError) as error:
            example = next((item for item in target if isinstance(item, str)), target[0])
            raise InputError(
                f"`y` must be numbers for regression, found {str(example)!r}; for labels use AutoClassifier"
            ) from error
        return values

    def predict(self, X: Any) -> FloatArray:
        """Return the predicted target of each row [N]."""
        return self._answer(X)
