"""The verbs around the estimators: explain a fitted one, keep it in a file, and read it again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.result import Explanation
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
    from gnnlib.heads.automl.runner_fit import Fitted
    from gnnlib.typing import PathLike

__all__ = ["explain_fitted", "load_model", "save_model"]

EXPLAIN_S = 10.0
"""Columns that are not reached within this time get no importance."""


def save_model(model: AutoClassifier | AutoRegressor, path: PathLike) -> None:
    """Write a fitted estimator with joblib.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written.
    """
    place = Path(path)
    if not place.absolute().parent.is_dir():
        raise InputError(f"the folder {place.parent} of {place.name} does not exist; create it first")
    try:
        joblib.dump(model, place, compress=3)
    except OSError as error:
        raise InputError(f"cannot write {place}: {error.strerror or error}") from error


def load_model(path: PathLike) -> Any:
    """Read a fitted estimator that `save_model` wrote.

    The format is that of joblib, which can run code: read files of people you trust only.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    AutoClassifier or AutoRegressor

    Raises
    ------
    InputError
        If there is no such file.
    FileFormatError
        If it is damaged or holds something else.
    """
    from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor  # it imports this module

    place = Path(path)
    if not place.is_file():
        raise InputError(f"there is no file {place}")
    try:
        model = joblib.load(place)
    except Exception as error:
        raise FileFormatError.at(place, None, f"is no model that joblib can read: {error}") from error
    if not isinstance(model, (AutoClassifier, AutoRegressor)):
        raise FileFormatError.at(
            place, None, f"holds {type(model).__name__}, no fitted AutoClassifier or AutoRegressor"
        )
    return model


def explain_fitted(fitted: Fitted, *, repeats: int = 3, seed: int = 0) -> Explanation:
    """Say what the predictor relies on and why its pipelines were tried.

    The importance of a column is the fall of the score when it is shuffled (L. Breiman, *Random forests*, 2001), on up
    to 500 rows of training.
    """
    result = fitted.result
    reasons = {trial.pipeline: trial.why for trial in result.trials}
    families: dict[str, list[float]] = {}
    for trial in result.trials:
        families.setdefault(trial.family, []).append(trial.score)
    lower_is_better = result.metric in {"log_loss", "rmse", "mae"}
    best = np.nanmin if lower_is_better else np.nanmax
    return Explanation(
        importance=_importance(fitted, repeats, seed),
        metric=result.metric,
        members=result.members,
        reasons=tuple((pipeline, reasons.get(pipeline, "quick first answer")) for pipeline, _ in result.members),
        neighbours=() if fitted.advice is None else tuple((n.name, n.weight) for n in fitted.advice.neighbours),
        tree=fitted.tree,
        moved=() if fitted.advice is None else tuple(fitted.advice.moved.items()),
        dropped=tuple((c.name, c.reason) for c in fitted.cleaner.columns if c.role == "dropped"),
        families=tuple(
            (family, len(scores), float(best(scores)) if np.isfinite(scores).any() else float("nan"))
            for family, scores in families.items()
        ),
    )


def _importance(fitted: Fitted, repeats: int, seed: int) -> tuple[tuple[str, float], ...]:
    X, y, rng = fitted.kept_rows, fitted.kept_targets, numpy_generator(seed)
    base = fitted.metric.score(y, fitted.committee.predict(X))
    end = time.perf_counter() + EXPLAIN_S
    found: list[tuple[str, float]] = []
    for column in fitted.cleaner.columns:
        places = np.flatnonzero(fitted.cleaner.sources == column.position)
        if len(places) == 0 or time.perf_counter() > end:
            continue
        falls = []
        for _ in range(repeats):
            shuffled = X.copy()
            shuffled[:, places] = X[rng.permutation(len(X))][:, places]
            falls.append(base - fitted.metric.score(y, fitted.committee.predict(shuffled)))
        found.append((column.name, float(np.mean(falls))))
    return tuple(sorted(found, key=lambda item: -item[1]))
