"""From the trials of a study to the committee that predicts: choose weights, load models, set the decision."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from gnnlib.heads.automl.ensembles import combine, select_members
from gnnlib.heads.automl.incumbent import Committee, Member
from gnnlib.heads.automl.metrics import resolve_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gnnlib.heads.automl.metrics import Metric
    from gnnlib.heads.automl.problem import AutoMLParams, Ensemble
    from gnnlib.heads.automl.runner import Study, TrialRecord
    from gnnlib.typing import AnyArray, FloatArray

__all__ = ["build_committee", "choose_weights", "tune_decision"]

MAX_JUDGED_ROWS = 20_000
"""More out-of-fold rows than that do not change the weights, but cost time."""

MOST_CANDIDATES = 25
ROUNDS = 40
SMALLEST_WEIGHT = 0.02
_TIE = 1e-3


def selection_loss(metric: Metric, weights: FloatArray | None) -> Callable[[AnyArray, FloatArray], float]:
    """Return what selection minimises: the metric, and by a hair a proper score, which breaks ties of labels."""
    task = metric.task
    proper = resolve_metric(None, task)

    def loss(y: AnyArray, prediction: FloatArray) -> float:
        value = -metric.score(y, prediction, weights)
        if metric.looks_at == "labels":
            value -= _TIE * proper.score(y, prediction, weights)
        return value if math.isfinite(value) else math.inf

    return loss


def choose_weights(
    study: Study,
    records: Sequence[TrialRecord],
    folds: Sequence[int],
    *,
    seconds: float,
    ensemble: Ensemble = "selection",
) -> FloatArray:
    """Return the weight of each trial in the ensemble, in about the time given.

    "selection" is that of R. Caruana et al. (2004). "stacking" asks `gnnlib.heads.automl.ensembles.combine`, which
    falls back to selection where rows are few; so does this where time is short or rows have weights. "average" gives
    the same to all and "best" all to the first.
    """
    rows = study.rows_of(folds)
    chosen = np.arange(len(rows))
    if len(rows) > MAX_JUDGED_ROWS:
        chosen = np.linspace(0, len(rows) - 1, MAX_JUDGED_ROWS).astype(np.int64)
    members = [study.stacked(record, folds)[chosen] for record in records]
    y = study.data.y[rows][chosen]
    held = None if study.data.weights is None else study.data.weights[rows][chosen]
    loss = selection_loss(study.metric, held)
    began = time.perf_counter()
    alone = [loss(y, member) for member in members]
    each = (time.perf_counter() - began) / len(members)
    possible = max(0.0, seconds) / max(each * len(members), 1e-9) if study.is_timed else math.inf
    rounds = int(min(ROUNDS, possible))
    if ensemble == "average":
        return np.full(len(members), 1.0 / len(members))
    if rounds < 2 or len(members) == 1 or ensemble == "best":
        return np.eye(len(members))[int(np.argmin(alone))]
    if ensemble == "stacking" and held is None and possible >= 5 * ROUNDS:  # it selects on parts of the rows too
        parts = study.data.folds[rows][chosen] if len(folds) > 1 else None
        return combine(members, y, loss=loss, folds=parts).weights
    return select_members(members, y, loss=loss, rounds=rounds)


def build_committee(study: Study, fallback: Committee, params: AutoMLParams, *, seconds: float) -> Committee:
    """Return the final answer; `fallback` when no trial has anything to say.

    Sets the weights of the records.
    """
    began = time.perf_counter()
    records, folds = study.candidates()
    most = params.max_members if params.ensemble == "average" else MOST_CANDIDATES
    records = [record for record in records[:most] if math.isfinite(record.score)]
    if not records:
        return fallback
    weights = choose_weights(study, records, folds, seconds=0.4 * seconds, ensemble=params.ensemble)
    least = min(SMALLEST_WEIGHT, float(weights.max()))
    order = [int(i) for i in np.argsort(-weights, kind="stable") if weights[i] >= least]
    order = order[: params.max_members]
    members: list[Member] = []
    for i in order:
        if members and study.is_timed and time.perf_counter() - began > 0.8 * seconds:
            break  # the models are on disk, and reading large ones takes time
        models = [joblib.load(records[i].models[fold]) for fold in folds]
        members.append(Member(float(weights[i]), models, str(records[i].pipeline)))
    total = sum(member.weight for member in members)
    for i, member in zip(order, members, strict=False):
        member.weight /= total
        records[i].weight = member.weight
    committee = Committee(members, study.data.num_classes, study.data.bounds)
    rows = study.rows_of(folds)
    said: Any = sum(records[i].weight * study.stacked(records[i], folds) for i in order[: len(members)])
    if study.metric.looks_at == "labels" and study.metric.name != "accuracy":
        held = None if study.data.weights is None else study.data.weights[rows]
        committee.multipliers = tune_decision(study.metric, study.data.y[rows], said, held)
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MAX_JUDGED_ROWS)).astype(np.int64)
    committee.out_of_fold = study.data.y[rows][kept], said[kept]
    return committee


def tune_decision(metric: Metric, y: AnyArray, proba: Any, weights: FloatArray | None) -> FloatArray | None:
    """Return factors of the class probabilities that raise a metric of labels; None where they do not clearly.

    One even and one odd half of the rows must both profit, so that chance alone seldom moves the decision.

    Parameters
    ----------
    metric : Metric
    y : int array [N]
    proba : float array [N, C]
    weights : float array [N] or None

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = (rng.random(2000) < 0.1).astype(int)
    >>> p = np.clip(0.1 + 0.2 * (y - 0.1) + 0.1 * rng.standard_normal(2000), 0.01, 0.99)
    >>> factors = tune_decision(resolve_metric("balanced_accuracy", "classification"), y, np.c_[1 - p, p], None)
    >>> bool(factors[1] > factors[0])
    True
    """
    held = np.ones(len(y)) if weights is None else weights
    num_classes = proba.shape[1]
    frequency = np.bincount(y, weights=held, minlength=num_classes) / held.sum()
    best = np.ones(num_classes)
    starts = [best, 1.0 / np.maximum(frequency, 1e-6)]
    best = max(starts, key=lambda factors: metric.score(y, proba * factors, held))
    score = metric.score(y, proba * best, held)
    if num_classes <= 30:
        for c in range(num_classes):
            for step in (0.5, 0.7, 0.85, 1.2, 1.4, 2.0):
                tried = best.copy()
                tried[c] *= step
                value = metric.score(y, proba * tried, held)
                if value > score + 1e-9:
                    best, score = tried, value
    halves = [slice(0, None, 2), slice(1, None, 2)]
    if all(_gain(metric, y[h], proba[h], held[h], best) > 0.0 for h in halves):
        return best / best.max()
    return None


def _gain(metric: Metric, y: AnyArray, proba: FloatArray, weights: FloatArray, factors: FloatArray) -> float:
    return metric.score(y, proba * factors, weights) - metric.score(y, proba, weights)
