"""One fit from table to committee: clean, prepare, search, choose, and keep the time."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import skew

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl import pieces_build  # noqa: F401 (forked workers find scikit-learn imported)
from gnnlib.heads.automl.cleaning import TableCleaner
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.incumbent import Committee, fast_committee, prior_committee
from gnnlib.heads.automl.metrics import Metric, resolve_metric
from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.heads.automl.result import AutoMLResult, TrialSummary
from gnnlib.heads.automl.runner import NOMINAL_S, Study, StudySettings
from gnnlib.heads.automl.runner_advice import advised_start, ask_advice, ask_features
from gnnlib.heads.automl.runner_cost import a_priori_seconds
from gnnlib.heads.automl.runner_final import build_committee
from gnnlib.heads.automl.runner_folds import HOLDOUT_PARTS, assign_folds, choose_num_folds, shuffled_order
from gnnlib.heads.automl.runner_memory import describe_table, open_memory, recalled, remember
from gnnlib.heads.automl.runner_order import Proposer, as_start, default_start
from gnnlib.heads.automl.runner_pool import Pool, WorkFolder, make_pool, store_data
from gnnlib.heads.automl.runner_progress import SearchBar
from gnnlib.heads.automl.synthesis import tree_nodes
from gnnlib.heads.automl.table import MatrixLayout, TableProfile, Task
from gnnlib.heads.automl.worker import TrialData
from gnnlib.interrupt import DeferredInterrupt
from gnnlib.seeding import numpy_generator, spawn_seeds

if TYPE_CHECKING:
    from gnnlib.heads.automl.experience import ExperienceStore
    from gnnlib.heads.automl.problem import AutoMLParams
    from gnnlib.heads.automl.recommend import Recommendation
    from gnnlib.heads.automl.runner import TrialRecord
    from gnnlib.heads.automl.synthesis_result import SearchNode
    from gnnlib.stop import StopClock
    from gnnlib.typing import FloatArray

__all__ = ["Fitted", "TableTask", "fit_table"]

_RESERVE_SHARE, _RESERVE_LEAST_S, _RESERVE_MOST_S = 0.03, 0.15, 4.0
_KEPT_ROWS = 500

LEAST_S_FOR_ADVICE = 3.0
"""With less time left the search begins at once."""


@dataclass(frozen=True)
class TableTask:
    """A table with its target, as the estimators hand it over.

    Parameters
    ----------
    task : {"classification", "regression"}
    X : DataFrame or array [N, D]
    y : array [N]
        Class codes or targets, none missing.
    weights : array [N] or None
    classes : array [C] or None
    description : str or None
    """

    task: Task
    X: Any
    y: Any
    weights: FloatArray | None = None
    classes: Any = None
    description: str | None = None


@dataclass
class Fitted:
    """What a fit leaves behind: cleaner, committee, result, and some rows to explain it by."""

    task: Task
    cleaner: TableCleaner
    committee: Committee
    result: AutoMLResult
    metric: Metric
    layout: MatrixLayout
    kept_rows: FloatArray
    kept_targets: Any
    advice: Recommendation | None = None
    tree: tuple[SearchNode, ...] = ()

    def predict(self, X: Any) -> FloatArray:
        """Return probabilities [N, C] or values [N]."""
        return self.committee.predict(_never_empty(self.cleaner.transform(X)))


def _never_empty(matrix: FloatArray) -> FloatArray:
    return matrix if matrix.shape[1] else np.zeros((len(matrix), 1))


@dataclass(frozen=True)
class _Plan:
    """What is settled before the search begins."""

    data: TrialData
    profile: TableProfile
    num_folds: int
    params: AutoMLParams
    metric: Metric
    clock: StopClock
    seeds: list[int]


def fit_table(
    task: TableTask,
    clock: StopClock,
    *,
    metric: Any,
    seed: int | None,
    n_jobs: int | None,
    store: Any,
    params: AutoMLParams,
) -> Fitted:
    """Search for pipelines until the clock says so; see `gnnlib.heads.automl.estimators`."""
    scorer = resolve_metric(metric, task.task, task.classes)
    memory = open_memory(store)
    seed = int(numpy_generator().integers(2**31)) if seed is None else seed
    pool = make_pool(n_jobs)  # the processes import while the table is cleaned
    folder = WorkFolder(8 * int(np.prod(task.X.shape)))
    try:
        with DeferredInterrupt() as interrupt:
            cleaner = TableCleaner().fit(task.X)
            plan = _prepare(task, cleaner, clock, params, scorer, spawn_seeds(seed, 4))
            if scorer.is_scorer:
                scorer.check(plan.data.y, prior_committee(plan.data).predict(plan.data.X), plan.data.weights)
            known = {} if memory is None else describe_table(task.X, task.y, task.task)
            committee = _first_answer(plan)
            first_s = clock.elapsed_s
            store_data(plan.data, folder.path)
            pool.load(folder.path)
            advice = _advice(plan, task.description) if cleaner.layout.num_columns else None
            is_made = params.strategy == "synthesis" and cleaner.layout.num_columns > 0
            looks = ask_features(plan.data, task.description) if is_made else None
            study = _make_study(plan, pool, folder, _start(plan, memory, advice), looks)
            study.trace.append((first_s, math.nan))
            if cleaner.layout.num_columns:
                with SearchBar(clock, is_shown=params.progress) as bar:
                    study.run(is_stopped=lambda: interrupt.received, on_trial=bar)
            pool.cancel()
            left = max(0.05, min(clock.remaining_s, study.settings.reserve_s)) if study.is_timed else math.inf
            committee = build_committee(study, committee, params, seconds=left)
    finally:
        pool.close()
        folder.close()
    _warn_of_failures(study)
    if memory is not None:
        _keep_experience(memory, study, known, task.description)
    kept = plan.data.order[:_KEPT_ROWS]
    result = _result(study, committee, cleaner, seed)
    rows = (plan.data.X[kept], plan.data.y[kept])
    made = study.proposer.synthesis
    tree = () if made is None else tree_nodes(made)
    return Fitted(task.task, cleaner, committee, result, scorer, plan.data.layout, *rows, advice, tree)


def _warn_of_failures(study: Study) -> None:
    """Say so when trials were made and none of them has anything to say."""
    if not study.records or study.candidates()[0]:
        return
    reasons = [record.message or record.status for record in study.records]
    warnings.warn(
        f"none of {len(reasons)} trials came to an end (the first: {reasons[0]}); the answer is a small tree",
        UserWarning,
        stacklevel=4,
    )


def _keep_experience(memory: ExperienceStore, study: Study, known: dict[str, float], description: str | None) -> None:
    """Add the trials to the store; what goes wrong there must not cost the predictor that was found."""
    try:
        remember(memory, study, known, description)
    except (InputError, FileFormatError) as error:
        warnings.warn(f"the experience of this fit is not kept: {error}", UserWarning, stacklevel=4)


def _prepare(
    task: TableTask, cleaner: TableCleaner, clock: StopClock, params: AutoMLParams, metric: Metric, seeds: list[int]
) -> _Plan:
    X = _never_empty(cleaner.transform(task.X))
    y, weights = np.asarray(task.y), task.weights
    rng = numpy_generator(seeds[0])
    if params.max_rows is not None and len(y) > params.max_rows:
        chosen = np.sort(shuffled_order(y, task.task, rng)[: params.max_rows])
        X, y, weights = X[chosen], y[chosen], None if weights is None else weights[chosen]
    num_classes = 0 if task.classes is None else len(task.classes)
    is_skewed = not num_classes and np.ptp(y) > 0
    profile = TableProfile(
        task.task,
        len(y),
        cleaner.layout if cleaner.layout.num_columns else replace(cleaner.layout, num_numeric=1),
        num_classes=num_classes,
        has_missing=bool(np.isnan(X[:, : cleaner.layout.num_numeric]).any()),
        target_min=0.0 if num_classes else float(y.min()),
        target_skew=float(np.nan_to_num(skew(y))) if is_skewed else 0.0,
    )
    usual = Pipeline(task.task, Step("hgb"), impute=Step("keep"))
    budget = clock.criterion.max_seconds if math.isfinite(clock.criterion.max_seconds) else NOMINAL_S
    wanted = params.num_folds or choose_num_folds(len(y), budget, a_priori_seconds(usual, profile, len(y)))
    num_folds = min(wanted, len(y))
    folds = assign_folds(y, num_folds if num_folds > 1 else HOLDOUT_PARTS, task.task, rng)
    order = shuffled_order(y, task.task, rng)
    data = TrialData(X, y, weights, folds, order, profile.layout, task.task, num_classes)
    return _Plan(data, profile, num_folds, params, metric, clock, seeds)


def _advice(plan: _Plan, description: str | None) -> Recommendation | None:
    """Ask the graph of known data sets, where there is time for it."""
    if plan.params.start is not None or not plan.params.use_graph or plan.clock.remaining_s < LEAST_S_FOR_ADVICE:
        return None
    return ask_advice(plan.data, description, plan.params.recommender)


def _start(plan: _Plan, memory: ExperienceStore | None, advice: Recommendation | None) -> list[tuple[Pipeline, str]]:
    """Return what to try first: what the caller gives, else what the store remembers, the advice and the portfolio."""
    if plan.params.start is not None:
        return as_start(plan.data.task, [(item, "given") for item in plan.params.start])
    needs_probabilities = plan.metric.looks_at == "probabilities"
    usual = default_start(plan.data.task, needs_probabilities=needs_probabilities)
    remembered = recalled(memory, plan.data.task, plan.metric)
    return [*remembered, *advised_start(advice, usual, needs_probabilities=needs_probabilities)]


def _make_study(
    plan: _Plan, pool: Pool, folder: WorkFolder, start: list[tuple[Pipeline, str]], looks: FloatArray | None
) -> Study:
    data, params, profile = plan.data, plan.params, plan.profile
    grammar = Grammar(
        profile,
        include=params.include,
        exclude={*params.exclude, "threshold"} - set(params.include),  # one decision is made for the whole committee
        metric=plan.metric.name,
        is_weighted=data.weights is not None and bool(np.ptp(data.weights) > 0),
    )
    budget = plan.clock.criterion.max_seconds
    reserve = min(max(_RESERVE_SHARE * budget, _RESERVE_LEAST_S), _RESERVE_MOST_S) if math.isfinite(budget) else 0.0
    settings = StudySettings(plan.num_folds, plan.seeds[1] % 2**31, _memory_bytes(params, pool), folder.path, reserve)
    proposer = Proposer(grammar, start, strategy=params.strategy, seed=plan.seeds[2], table=looks)
    return Study(data, profile, metric=plan.metric, proposer=proposer, pool=pool, clock=plan.clock, settings=settings)


def _memory_bytes(params: AutoMLParams, pool: Pool) -> int | None:
    if params.memory_limit_gb is not None:
        return int(params.memory_limit_gb * 2**30)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
    return max(2**29, int(0.7 * free / pool.num_workers))


def _first_answer(plan: _Plan) -> Committee:
    """Return a small tree, or the prior where there is no time for more."""
    if plan.clock.remaining_s < 0.3:
        constant = "frequencies of the classes" if plan.data.num_classes else "mean of the target"
        warnings.warn(
            f"{plan.clock.criterion.max_seconds:g} s are too short to fit anything; the answer is the {constant}",
            UserWarning,
            stacklevel=4,
        )
        return prior_committee(plan.data)
    if not np.isfinite(plan.data.X).any():
        return prior_committee(plan.data)
    return fast_committee(plan.data, plan.seeds[3])


def _result(study: Study, committee: Committee, cleaner: TableCleaner, seed: int) -> AutoMLResult:
    best = max((record.score for record in study.complete()), default=math.nan)
    return AutoMLResult(
        task=study.data.task,
        metric=study.metric.name,
        best_score=study.metric.shown(best),
        trials=tuple(_summary(record, study.metric) for record in study.records),
        members=tuple((member.pipeline, member.weight) for member in committee.members),
        trace=np.array([(second, study.metric.shown(score)) for second, score in study.trace]).reshape(-1, 2),
        seconds=study.clock.elapsed_s,
        seconds_asked=study.clock.criterion.max_seconds,
        rows=study.profile.rows,
        columns=len(cleaner.columns),
        num_folds=study.settings.num_folds,
        notes=tuple(cleaner.notes),
        seed=seed,
    )


def _summary(record: TrialRecord, metric: Metric) -> TrialSummary:
    return TrialSummary(
        pipeline=str(record.pipeline),
        family=record.pipeline.family,
        score=metric.shown(record.score) if math.isfinite(record.score) else math.nan,
        rung=record.rung,
        status=record.status,
        weight=record.weight,
        fit_s=record.fit_s,
        predict_s=record.predict_s,
        started_s=record.started_s,
        finished_s=record.finished_s,
        why=record.proposal.why,
        message=record.message,
    )
