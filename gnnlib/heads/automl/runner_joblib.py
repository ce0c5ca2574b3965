"""Trials on whatever joblib knows: Dask, Ray, or any other registered backend.

The caller's context decides::

    with joblib.parallel_config(backend="dask"):
        AutoClassifier(n_jobs=8).fit(X, y)

Each trial still runs in a killable process, on the machine where the backend puts it; models come back as bytes.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import joblib

from gnnlib.errors import InputError
from gnnlib.heads.automl.runner_pool import LocalPool, WorkFolder, store_data
from gnnlib.heads.automl.worker import Outcome, load_data

if TYPE_CHECKING:
    from gnnlib.heads.automl.worker import Job, TrialData

__all__ = ["JoblibPool", "foreign_backend", "run_remotely"]

_OWN = frozenset({"LokyBackend", "MultiprocessingBackend", "SequentialBackend", "ThreadingBackend"})
_START_S = 60.0


def foreign_backend() -> str | None:
    """Return the name of the active joblib backend when it is none of joblib's own.

    Examples
    --------
    >>> foreign_backend() is None
    True
    """
    backend, _ = joblib.parallel.get_active_backend()
    name = type(backend).__name__
    return None if name in _OWN else name


class JoblibPool:
    """Jobs in batches of `num_workers` through `joblib.Parallel`.

    Parameters
    ----------
    n_jobs : int or None
        None asks the backend.
    """

    def __init__(self, n_jobs: int | None) -> None:
        self._n_jobs = n_jobs
        self.num_workers = max(1, joblib.effective_n_jobs(-1 if n_jobs is None else n_jobs))
        self._data: TrialData | None = None
        self._key = ""
        self._pending: list[Job] = []
        self._found: list[Outcome] = []

    @property
    def num_idle(self) -> int:
        """Room in the next batch."""
        return 0 if self._found else self.num_workers - len(self._pending)

    @property
    def is_busy(self) -> bool:
        """Whether an outcome is awaited."""
        return bool(self._pending or self._found)

    def load(self, folder: str) -> None:
        """Read the data that go out with the jobs."""
        self._data = load_data(folder)
        self._key = hashlib.sha256(folder.encode()).hexdigest()[:16]

    def submit(self, job: Job) -> None:
        """Put a job into the next batch."""
        self._pending.append(job)

    def wait(self, timeout_s: float) -> Outcome | None:  # noqa: ARG002 (jobs carry their own limits)
        """Return an outcome of the last batch, after running one when none is left."""
        if not self._found and self._pending:
            jobs, self._pending = self._pending, []
            calls = (joblib.delayed(run_remotely)(job, self._data, self._key) for job in jobs)
            answers = joblib.Parallel(n_jobs=self.num_workers)(calls)
            self._found = [_with_files(*answer) for answer in answers]
        return self._found.pop(0) if self._found else None

    def cancel(self) -> None:
        """Forget what has not begun."""
        self._pending, self._found = [], []

    def close(self) -> None:
        """Forget everything; the backend keeps its workers."""
        self.cancel()
        self._data = None


def run_remotely(job: Job, data: TrialData, key: str) -> tuple[Job, Outcome, list[bytes]]:
    """Run one job in a killable process of the machine that this is called on; return the models as bytes."""
    pool, folder = _station(key)
    if pool.folder is None:
        store_data(data, folder.path)
        pool.load(folder.path)
    pool.submit(replace(job, folder=folder.path))
    outcome = pool.wait(min(job.limit_s, 1e7) + _START_S)
    if outcome is None:
        pool.cancel()
        outcome = Outcome(job.number, "timeout", message="the worker did not answer")
    models = [Path(fold.model_path).read_bytes() for fold in outcome.folds]
    for fold in outcome.folds:
        Path(fold.model_path).unlink()
    return job, outcome, models


@functools.lru_cache(maxsize=1)
def _station(key: str) -> tuple[LocalPool, WorkFolder]:  # noqa: ARG001 (a new fit gets a new one)
    return LocalPool(1), WorkFolder()


def _with_files(job: Job, outcome: Outcome, models: list[bytes]) -> Outcome:
    if len(models) != len(outcome.folds):
        raise InputError(f"{len(models)} models came back for {len(outcome.folds)} folds")
    folds = []
    for fold, model in zip(outcome.folds, models, strict=True):
        path = Path(job.folder) / f"{job.number}_{fold.fold}.joblib"
        path.write_bytes(model)
        folds.append(replace(fold, model_path=str(path)))
    outcome.folds = folds
    return outcome
