"""What a trial does before its estimator, kept for the trials that do the same: imputed, encoded, scaled, reduced rows.

Many pipelines of a search differ in their estimator only. The fitted steps and the rows that they made are kept in the
folder of the fit under everything they depend on, so that a later trial gets the same bits without the work.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from sklearn.pipeline import Pipeline as SklearnPipeline

    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.typing import FloatArray

__all__ = ["LEAST_S", "MOST_BYTES", "fit_prepared", "name_of"]

LEAST_S = 0.05
"""Preparations that take less time are done again: reading them would not be faster."""

MOST_BYTES = 2**28
"""All that is kept takes no more room, for the folder may lie in memory."""

_ENDING = ".prepared"


def name_of(pipeline: Pipeline, *, seed: int, fold: int, rows: int) -> str:
    """Return a name for what a preparation depends on: its pieces, the seed, and the rows that it is fitted on.

    Examples
    --------
    >>> from gnnlib.heads.automl.pipelines import Pipeline
    >>> ridge = Pipeline.parse("regression", "median > ordinal > standard > ridge > none")
    >>> knn = Pipeline.parse("regression", "median > ordinal > standard > knn > log")
    >>> name_of(ridge, seed=0, fold=1, rows=80) == name_of(knn, seed=0, fold=1, rows=80)
    True
    >>> name_of(ridge, seed=0, fold=1, rows=80) == name_of(ridge, seed=0, fold=2, rows=80)
    False
    """
    pieces = [str(step) for step in (pipeline.impute, pipeline.encode, pipeline.scale, pipeline.reduce)]
    text = "|".join([*pieces, str(seed), str(fold), str(rows)])
    return hashlib.sha256(text.encode()).hexdigest()[:24] + _ENDING


def fit_prepared(
    model: SklearnPipeline, X: FloatArray, y: Any, *, path: Path, weights: FloatArray | None = None
) -> SklearnPipeline:
    """Fit a pipeline whose steps before the last may be found at `path`, and leave them there when they are not.

    Parameters
    ----------
    model : scikit-learn Pipeline
        Not fitted; the same is returned, fitted.
    X : float array [N, D]
    y : array [N]
    path : Path
        File for the fitted steps with their output; its name must tell everything that they depend on.
    weights : float array [N], optional
        Of the rows, for the last step alone.
    """
    import joblib

    *before, (name, estimator) = model.steps
    if path.exists():
        steps, prepared = joblib.load(path)
    else:
        began = time.perf_counter()
        prepared = X
        for _, step in before:
            prepared = step.fit_transform(prepared, y)
        steps = before
        if time.perf_counter() - began >= LEAST_S:
            _keep(path, steps, prepared)
    if weights is None:
        estimator.fit(prepared, y)
    else:
        estimator.fit(prepared, y, sample_weight=weights)
    model.steps = [*steps, (name, estimator)]
    return model


def _keep(path: Path, steps: list[Any], prepared: FloatArray) -> None:
    """Write the file at once, or not at all: a trial may be killed, and another may look."""
    import joblib

    with os.scandir(path.parent) as entries:
        used = sum(entry.stat().st_size for entry in entries if _ENDING in entry.name)
    if used + 1.5 * prepared.nbytes > MOST_BYTES:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        joblib.dump((steps, prepared), draft)
        draft.replace(path)
    except OSError:  # no room: the next trial prepares for itself
        with contextlib.suppress(OSError):
            draft.unlink()
