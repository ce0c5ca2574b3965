"""Multi-fidelity: trials climb from few rows over one fold to all folds, and what is worse stays below."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.heads.automl import runner
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.metrics import resolve_metric
from gnnlib.heads.automl.runner import SCOUT_ROWS, Study, StudySettings
from gnnlib.heads.automl.runner_order import Proposer
from gnnlib.heads.automl.table import MatrixLayout, TableProfile
from gnnlib.heads.automl.worker import FoldOutcome, Outcome, TrialData
from gnnlib.stop import AnyOf, MaxRuntime, MaxTrials

ROWS, FOLDS = 9_000, 3


class Stub:
    """A pool that answers at once: the error of a pipeline is that of its regularisation from 1."""

    num_workers = 1

    def __init__(self, data, fails=()):
        self.data, self.jobs, self.fails = data, [], fails
        self.waiting = None

    num_idle = property(lambda self: int(self.waiting is None))
    is_busy = property(lambda self: self.waiting is not None)

    def submit(self, job):
        self.jobs.append(job)
        self.waiting = job

    def wait(self, timeout_s):
        job, self.waiting = self.waiting, None
        outcome = Outcome(job.number)
        if job.pipeline in self.fails:
            outcome.status = "timeout"
            return outcome
        rng = np.random.default_rng(job.number)
        for fold in job.folds:
            held = self.data.y[self.data.folds == fold]
            said = held + (0.1 + error_of(job.pipeline)) * rng.standard_normal(len(held))
            outcome.folds.append(FoldOutcome(fold, said, 0.01, 0.01, "nowhere"))
        return outcome


def error_of(text):
    alpha = float(text.split("alpha=")[1].split(")")[0]) if "alpha" in text else 1.0
    return abs(np.log10(alpha))


def searched(count=18, fails=(), share=0.0, monkeypatch=None):
    monkeypatch.setattr(runner, "CHEAP_SHARE", share)
    rng = np.random.default_rng(0)
    data = TrialData(
        np.zeros((ROWS, 1)),
        rng.standard_normal(ROWS),
        None,
        np.arange(ROWS) % FOLDS,
        rng.permutation(ROWS),
        MatrixLayout(1),
        "regression",
        0,
    )
    profile = TableProfile("regression", ROWS, MatrixLayout(1))
    proposer = Proposer(Grammar(profile, include=["ridge"]), [], strategy="random", seed=1)
    pool = Stub(data, fails)
    clock = AnyOf(MaxRuntime(1_000.0), MaxTrials(count)).start()
    settings = StudySettings(FOLDS, 0, None, "", 0.0)
    study = Study(
        data,
        profile,
        metric=resolve_metric("rmse", "regression"),
        proposer=proposer,
        pool=pool,
        clock=clock,
        settings=settings,
    )
    study.run(is_stopped=lambda: False)
    return study, pool


def test_the_better_ones_climb_and_no_fold_is_fitted_twice(monkeypatch):
    study, pool = searched(monkeypatch=monkeypatch)
    few = [job for job in pool.jobs if job.rows == SCOUT_ROWS]
    one = [job for job in pool.jobs if job.rows is None and job.folds == (0,)]
    rest = [job for job in pool.jobs if job.folds == (1, 2)]
    assert len(few) == len(study.records)
    assert len(few) > len(one) >= len(rest) == len(study.complete()) >= 3
    assert len(few) + len(one) + len(rest) == len(pool.jobs)
    best = min(study.records, key=lambda record: error_of(str(record.pipeline)))
    assert best.status == "ok"
    error = {
        status: [error_of(str(r.pipeline)) for r in study.records if r.status == status] for status in ("ok", "partial")
    }
    assert np.median(error["ok"]) < np.median(error["partial"])


def test_cheap_trials_go_to_the_top_at_once(monkeypatch):
    study, pool = searched(6, share=0.9, monkeypatch=monkeypatch)
    assert {job.folds for job in pool.jobs} == {(0, 1, 2)}
    assert len(study.complete()) == len(study.records) == 6


def test_a_trial_that_fails_on_a_higher_rung_keeps_what_it_had(monkeypatch):
    study, _ = searched(6, monkeypatch=monkeypatch)
    doomed = str(study.complete()[0].pipeline)
    wait = Stub.wait

    def wait_or_fail(self, timeout_s):
        if self.waiting.pipeline == doomed and self.waiting.folds == (1, 2):
            self.fails = (doomed,)
        return wait(self, timeout_s)

    monkeypatch.setattr(Stub, "wait", wait_or_fail)
    again, _ = searched(6, monkeypatch=monkeypatch)
    record = next(item for item in again.records if str(item.pipeline) == doomed)
    assert (record.status, record.rung) == ("timeout", 1)
    assert np.isfinite(record.score)
    assert record not in again.candidates()[0]


def test_the_first_complete_trial_replaces_partial_ones_as_candidates(monkeypatch):
    study, _ = searched(6, monkeypatch=monkeypatch)
    records, folds = study.candidates()
    assert folds == [0, 1, 2]
    assert [record.score for record in records] == sorted((r.score for r in records), reverse=True)
    assert len(study.stacked(records[0], folds)) == len(study.rows_of(folds)) == ROWS
    for record in study.records:
        record.status = "partial"
    assert study.candidates()[1] == [0]


@pytest.mark.parametrize("reserve", [0.0, 400.0])
def test_time_kept_for_the_end_is_not_searched(monkeypatch, reserve):
    study, _ = searched(3, monkeypatch=monkeypatch)
    study.settings = StudySettings(FOLDS, 0, None, "", reserve)
    assert study.remaining_s == pytest.approx(1_000.0 - reserve, abs=60.0)
