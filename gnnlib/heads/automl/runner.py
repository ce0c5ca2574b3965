"""The search itself: jobs out, outcomes in, an answer at every moment, and the end on time.

A trial climbs a ladder: few rows and one fold, all rows and one fold, all folds. What is clearly worse than the best
half on a rung stays there (asynchronous successive halving, L. Li et al. 2020). Models of the folds are kept and vote
together, so that nothing has to be fitted again after the last trial.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.automl.runner_cost import CostModel
from gnnlib.heads.automl.worker import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gnnlib.heads.automl.metrics import Metric
    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.runner_order import Proposal, Proposer
    from gnnlib.heads.automl.runner_pool import Pool
    from gnnlib.heads.automl.table import TableProfile
    from gnnlib.heads.automl.worker import Outcome, TrialData
    from gnnlib.stop import StopClock
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Study", "StudySettings", "TrialRecord"]

SCOUT_ROWS = 2_000
"""Rows of the lowest rung."""

CHEAP_SHARE = 0.02
"""A rung that costs less than this share of the time is not split."""

NOMINAL_S = 60.0
"""Time that is assumed where none was given, so that runs by trials do not depend on clocks."""

_TICK_S = 0.1
_NUMBERS = itertools.count()  # unique in the process: a late outcome of an earlier fit must not pass for one of this


@dataclass(frozen=True)
class StudySettings:
    """How a search runs.

    Parameters
    ----------
    num_folds : int
        Folds that are predicted.
    seed : int
    memory_bytes : int or None
        What a trial may take.
    folder : str
        Where models go.
    reserve_s : float
        Seconds kept for the end.
    """

    num_folds: int
    seed: int
    memory_bytes: int | None
    folder: str
    reserve_s: float


@dataclass
class TrialRecord:
    """What is known of one pipeline.

    Attributes
    ----------
    rung : int
        0 few rows, 1 one fold, 2 all folds.
    scores : dict of int to float
        Score of the last finished rung by number, higher is better.
    status : str
        "running", "ok", "partial", "timeout", "memory", "error" or "cancelled".
    """

    number: int
    proposal: Proposal
    started_s: float
    ladder: list[int]
    place: int = 0
    status: str = "running"
    message: str = ""
    scores: dict[int, float] = field(default_factory=dict)
    predictions: dict[int, FloatArray] = field(default_factory=dict)
    models: dict[int, str] = field(default_factory=dict)
    fit_s: float = 0.0
    predict_s: float = 0.0
    weight: float = 0.0
    finished_s: float = math.nan

    @property
    def pipeline(self) -> Pipeline:
        """What was tried."""
        return self.proposal.pipeline

    @property
    def rung(self) -> int:
        """The highest rung that was finished; -1 for none."""
        return max(self.scores, default=-1)

    @property
    def score(self) -> float:
        """Score on that rung, higher is better; minus infinity for none."""
        return self.scores.get(self.rung, -math.inf)


class Study:
    """One search over pipelines.

    Parameters
    ----------
    data : TrialData
    profile : TableProfile
    metric : Metric
    proposer : Proposer
    pool : Pool
    clock : StopClock
    settings : StudySettings
    """

    def __init__(
        self,
        data: TrialData,
        profile: TableProfile,
        *,
        metric: Metric,
        proposer: Proposer,
        pool: Pool,
        clock: StopClock,
        settings: StudySettings,
    ) -> None:
        self.data, self.profile, self.metric = data, profile, metric
        self.proposer, self.pool, self.clock, self.settings = proposer, pool, clock, settings
        self.costs = CostModel(profile)
        self.records: list[TrialRecord] = []
        self.trace: list[tuple[float, float]] = []
        self.is_timed = math.isfinite(clock.criterion.max_seconds)
        self._ready: list[TrialRecord] = []
        self._running: dict[int, tuple[TrialRecord, int]] = {}
        self._rows_of_fold = [np.flatnonzero(data.folds == fold) for fold in range(settings.num_folds)]
        self.train_rows = int((data.folds != 0).sum())

    @property
    def remaining_s(self) -> float:
        """Seconds until the search must end."""
        return max(0.0, self.clock.remaining_s - self.settings.reserve_s)

    @property
    def top_rung(self) -> int:
        """The rung at which a trial is complete."""
        return 2 if self.settings.num_folds > 1 else 1

    def run(self, *, is_stopped: Callable[[], bool], on_trial: Callable[[Study], None] | None = None) -> None:
        """Search until the stop, the interrupt, or until nothing is left to try.

        Parameters
        ----------
        is_stopped : callable
            Asked often; the search ends when it returns True.
        on_trial : callable, optional
            Called with the study after each trial.
        """
        while self.remaining_s > 0 and not is_stopped() and not self.clock.is_over():
            if self.is_timed or not self.pool.is_busy:
                self._fill()
            if not self.pool.is_busy:
                break
            for outcome in self._collect(is_stopped):
                self._handle(outcome)
                if on_trial is not None:
                    on_trial(self)
        for record, _ in self._running.values():
            record.status = "partial" if record.scores else "cancelled"
        for record in self._ready:
            record.status = "partial"

    def _collect(self, is_stopped: Callable[[], bool]) -> list[Outcome]:
        """Return the next outcome, or, without a clock, those of all workers in the order of their jobs."""
        if self.is_timed:
            outcome = self.pool.wait(min(_TICK_S, self.remaining_s))
            return [] if outcome is None else [outcome]
        found: list[Outcome] = []
        while self.pool.is_busy and not is_stopped():
            outcome = self.pool.wait(_TICK_S)
            found += [] if outcome is None else [outcome]
        return sorted(found, key=lambda outcome: outcome.number)

    def _fill(self) -> None:
        while self.pool.num_idle:
            record = self._next()
            if record is None:
                return
            self._submit(record)

    def _next(self) -> TrialRecord | None:
        """Return the trial that climbs next: the best of those that may, else a new one."""
        self._ready.sort(key=lambda record: -record.score)
        for record in self._ready:
            if self._rung_seconds(record.pipeline, record.ladder[record.place]) <= self.remaining_s:
                self._ready.remove(record)
                return record
        if len(self.records) >= self.clock.criterion.max_iterations:
            return None
        proposal = self.proposer.next(self._first_seconds, self.remaining_s)
        if proposal is None:
            return None
        record = TrialRecord(len(self.records), proposal, self.clock.elapsed_s, self._ladder(proposal.pipeline))
        self.records.append(record)
        return record

    def _ladder(self, pipeline: Pipeline) -> list[int]:
        """Return the rungs that are worth a stop: those that cost something."""
        budget = self.clock.criterion.max_seconds if self.is_timed else NOMINAL_S
        rungs = [self.top_rung]
        if self.top_rung == 2 and self._rung_seconds(pipeline, 2) > CHEAP_SHARE * budget:
            rungs.insert(0, 1)
        one_fold = self.costs.seconds(pipeline, self.train_rows)
        if self.train_rows > 2 * SCOUT_ROWS and one_fold > CHEAP_SHARE * budget:
            rungs.insert(0, 0)
        return rungs

    def _rung_seconds(self, pipeline: Pipeline, rung: int) -> float:
        if rung == 0:
            return self.costs.seconds(pipeline, SCOUT_ROWS)
        folds = 1 if rung == 1 else self.settings.num_folds
        return folds * self.costs.seconds(pipeline, self.train_rows)

    def _first_seconds(self, pipeline: Pipeline) -> float:
        return self._rung_seconds(pipeline, self._ladder(pipeline)[0])

    def _submit(self, record: TrialRecord) -> None:
        rung = record.ladder[record.place]
        wanted = range(self.settings.num_folds) if rung == 2 else range(1)
        done = record.predictions if record.rung == 1 else {}
        limit = self.remaining_s if self.is_timed else math.inf
        # one trial must not eat what many others could use
        limit = min(
            limit, max(2.0, 0.4 * self.clock.criterion.max_seconds, 4.0 * self._rung_seconds(record.pipeline, rung))
        )
        job = Job(
            number=next(_NUMBERS),
            pipeline=str(record.pipeline),
            folds=tuple(fold for fold in wanted if fold not in done),
            seed=self.settings.seed,
            rows=SCOUT_ROWS if rung == 0 else None,
            limit_s=limit if self.is_timed else 1e9,
            memory_bytes=self.settings.memory_bytes,
            folder=self.settings.folder,
        )
        self._running[job.number] = (record, rung)
        self.pool.submit(job)

    def _handle(self, outcome: Outcome) -> None:
        record, rung = self._running.pop(outcome.number)
        record.fit_s += sum(fold.fit_s for fold in outcome.folds)
        for fold in outcome.folds:
            if self.is_timed:
                rows = SCOUT_ROWS if rung == 0 else self.train_rows
                self.costs.observe(record.pipeline, min(rows, self.train_rows), fold.fit_s + fold.predict_s)
            if record.rung == 0 or rung == 0 or fold.fold not in record.predictions:
                record.predictions[fold.fold] = fold.prediction
                record.models[fold.fold] = fold.model_path
                record.predict_s += fold.predict_s
        if outcome.status != "ok":
            self._fail(record, outcome, rung)
            return
        record.scores[rung] = self.score_of(record, rung)
        if not math.isfinite(record.scores[rung]):
            del record.scores[rung]
            self._end(record, "error", "the score is not finite")
            return
        if rung == self.top_rung:
            self._end(record, "ok")
        elif self._may_climb(record, rung):
            record.place += 1
            self._ready.append(record)
        else:
            self._end(record, "partial")

    def _fail(self, record: TrialRecord, outcome: Outcome, rung: int) -> None:
        """Keep what an earlier rung, or the first fold, had to say."""
        if rung == 2 and 0 in record.predictions and 1 not in record.scores:
            record.scores[1] = self.score_of(record, 1)
        self._end(record, outcome.status, outcome.message)

    def _end(self, record: TrialRecord, status: str, message: str = "") -> None:
        record.status, record.message, record.finished_s = status, message, self.clock.elapsed_s
        self.proposer.tell(record.proposal, record.score)
        best = max((item.score for item in self.complete()), default=-math.inf)
        if status == "ok" and record.score >= best:
            self.trace.append((self.clock.elapsed_s, record.score))
        done = sum(item.status != "running" for item in self.records)
        self.clock.update(iterations=done, best=-best)

    def _may_climb(self, record: TrialRecord, rung: int) -> bool:
        """Return whether the trial belongs to the better half of those that reached this rung."""
        rivals = sorted((item.scores[rung] for item in self.records if rung in item.scores), reverse=True)
        kept = max(3, math.ceil(len(rivals) / (3 if rung == 0 else 2)))
        return record.scores[rung] >= rivals[min(kept, len(rivals)) - 1]

    def complete(self) -> list[TrialRecord]:
        """Return the trials that finished the highest rung."""
        return [record for record in self.records if record.status == "ok"]

    def candidates(self) -> tuple[list[TrialRecord], list[int]]:
        """Return the trials that can be compared with each other, best first, and the folds on which.

        These are the complete ones; while there are none, those with a prediction of the first fold.
        """
        complete = self.complete()
        if complete:
            found, folds = complete, list(range(self.settings.num_folds))
        else:
            found, folds = [record for record in self.records if 0 in record.predictions and record.scores], [0]
        return sorted(found, key=lambda record: -record.score), folds

    def rows_of(self, folds: Sequence[int]) -> IntArray:
        """Return the rows that some folds predict, in the order of `stacked`."""
        return np.concatenate([self._rows_of_fold[fold] for fold in folds])

    def stacked(self, record: TrialRecord, folds: Sequence[int]) -> FloatArray:
        """Return the out-of-fold predictions of a trial."""
        return np.concatenate([record.predictions[fold] for fold in folds])

    def score_of(self, record: TrialRecord, rung: int) -> float:
        """Return the score of a trial on the folds of a rung."""
        folds = list(range(self.settings.num_folds)) if rung == 2 else [0]
        rows = self.rows_of(folds)
        weights = None if self.data.weights is None else self.data.weights[rows]
        return self.metric.score(self.data.y[rows], self.stacked(record, folds), weights)
