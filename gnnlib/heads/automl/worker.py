"""The process in which trials run, so that they can be killed.

A worker is a fresh Python process that imports scikit-learn once and then forks a child for every trial; the child fits,
writes its models to files and sends its predictions back. The worker kills the child at its deadline. It is started
without the caller's ``__main__``, so that scripts need no guard, and ends when its input closes.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from gnnlib.heads.automl.table import MatrixLayout, Task
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["FoldOutcome", "Job", "Outcome", "TrialData", "run_job", "serve"]

LEAST_OF_A_CLASS = 4
"""Inner cross-validations need so many rows of a class; rarer ones are repeated."""


@dataclass(frozen=True)
class TrialData:
    """What all trials of one fit share.

    Parameters
    ----------
    X : float array [N, D]
        Cleaned matrix.
    y : array [N]
        Class codes or targets.
    weights : float array [N] or None
    folds : int array [N]
        Fold of each row.
    order : int array [N]
        A fixed shuffled order of the rows, from whose beginning subsamples are taken.
    layout : MatrixLayout
    task : str
    num_classes : int
    """

    X: FloatArray
    y: Any
    weights: FloatArray | None
    folds: IntArray
    order: IntArray
    layout: MatrixLayout
    task: Task
    num_classes: int

    @property
    def bounds(self) -> tuple[float, float]:
        """Where predictions of a target may lie: half the seen range beyond its ends."""
        if self.num_classes:
            return (0.0, 1.0)
        low, high = float(self.y.min()), float(self.y.max())
        return (low - 0.5 * (high - low), high + 0.5 * (high - low))


@dataclass(frozen=True)
class Job:
    """One piece of work: fit a pipeline on the complements of some folds.

    Parameters
    ----------
    number : int
        Identifies the job.
    pipeline : str
        Text form.
    folds : tuple of int
        Folds to predict.
    seed : int
    rows : int or None
        Rows of training to use at most.
    limit_s : float
        Wall-clock limit.
    memory_bytes : int or None
        Address space that the trial may take beyond that of the worker.
    folder : str
        Where fitted models go.
    """

    number: int
    pipeline: str
    folds: tuple[int, ...]
    seed: int
    rows: int | None
    limit_s: float
    memory_bytes: int | None
    folder: str


@dataclass(frozen=True)
class FoldOutcome:
    """Predictions of one fold, and the model that made them."""

    fold: int
    prediction: FloatArray
    fit_s: float
    predict_s: float
    model_path: str


@dataclass
class Outcome:
    """What came of a job: ``status`` is "ok", "timeout", "memory", "error" or "cancelled"."""

    number: int
    status: str = "ok"
    folds: list[FoldOutcome] = field(default_factory=list)
    message: str = ""
    seconds: float = 0.0


def run_job(data: TrialData, job: Job) -> Any:
    """Yield a `FoldOutcome` for each fold of the job."""
    import joblib

    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.worker_prepared import name_of

    pipeline = Pipeline.parse(data.task, job.pipeline)
    takes_weights = pipeline.piece("estimator").takes_weights
    for fold in job.folds:
        began = time.perf_counter()
        rows = data.order[data.folds[data.order] != fold]
        if job.rows is not None:
            rows = rows[: job.rows]
        weights = data.weights[rows] if data.weights is not None and takes_weights else None
        kept = Path(job.folder) / name_of(pipeline, seed=job.seed, fold=fold, rows=len(rows))
        model = fit_pipeline(pipeline, data, rows, weights, job.seed + fold, kept=kept)
        fitted = time.perf_counter()
        held = np.flatnonzero(data.folds == fold)
        prediction = predict_with(model, data.X[held], data.num_classes, data.bounds)
        if not np.isfinite(prediction).all():
            raise ArithmeticError("the pipeline predicts values that are not finite")
        done = time.perf_counter()
        path = Path(job.folder) / f"{job.number}_{fold}.joblib"
        joblib.dump(model, path)
        yield FoldOutcome(fold, prediction, fitted - began, done - fitted, str(path))


def fit_pipeline(
    pipeline: Any, data: TrialData, rows: IntArray, weights: FloatArray | None, seed: int, *, kept: Path | None = None
) -> Any:
    """Build and fit on some rows; a sample with a single class gets the constant predictor.

    `kept` is the file of the prepared rows, see `gnnlib.heads.automl.worker_prepared`.
    """
    from sklearn.dummy import DummyClassifier

    from gnnlib.heads.automl.worker_prepared import fit_prepared

    X, y = data.X[rows], data.y[rows]
    if data.task == "classification":
        X, y, weights = _with_enough_of_each(X, y, weights)
        if (y == y[0]).all():
            return DummyClassifier(strategy="prior").fit(X, y)
    model = pipeline.build(data.layout, seed=seed, rows=len(y))
    if kept is not None:
        return fit_prepared(model, X, y, path=kept, weights=weights)
    given = {} if weights is None else {"estimator__sample_weight": weights}
    return model.fit(X, y, **given)


def _with_enough_of_each(X: FloatArray, y: Any, weights: FloatArray | None) -> tuple[FloatArray, Any, Any]:
    classes, counts = np.unique(y, return_counts=True)
    rare = classes[counts < LEAST_OF_A_CLASS]
    if len(rare) == 0 or len(classes) < 2:
        return X, y, weights
    extra = [np.resize(np.flatnonzero(y == c), LEAST_OF_A_CLASS - int((y == c).sum())) for c in rare]
    rows = np.concatenate([np.arange(len(y)), *extra])
    return X[rows], y[rows], None if weights is None else weights[rows]


def predict_with(model: Any, X: FloatArray, num_classes: int, bounds: tuple[float, float]) -> FloatArray:
    """Return probabilities [N, C] with a column for every class, or values [N] cut to `bounds`."""
    if num_classes == 0:
        return np.clip(np.asarray(model.predict(X), dtype=np.float64).reshape(len(X)), *bounds)
    found = np.asarray(model.predict_proba(X), dtype=np.float64)
    known = np.asarray(model.classes_, dtype=np.int64)
    if len(known) == num_classes:
        return found
    full = np.zeros((len(X), num_classes))
    full[:, known] = found
    return full


def serve(source: int | None = None, sink: int | None = None) -> None:
    """Read jobs from one pipe, write outcomes to another, until the first closes.

    Parameters
    ----------
    source, sink : int
        File descriptors; default: those of stdin and stdout.
    """
    source = os.dup(0) if source is None else source
    target = os.fdopen(os.dup(1) if sink is None else sink, "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # nothing that a library prints may reach the pipe
        os.dup2(nothing, stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    _preload()
    _send(target, ("ready", os.getpid()))
    data: TrialData | None = None
    while True:
        message = _receive(source)
        if message is None:
            return
        kind, value = message
        if kind == "data":
            data = load_data(value)
        elif kind == "job":
            gone = Outcome(value.number, "error", message="the data are gone")
            _send(target, ("outcome", gone if data is None else _supervise(data, value, source)))


def _preload() -> None:
    """Import what pipelines need, once, before any trial is timed."""
    from gnnlib.heads.automl.pieces import is_available

    if is_available("lightgbm"):
        import lightgbm  # noqa: F401 (or every child would import it again)


def load_data(folder: str) -> TrialData | None:
    """Read what `gnnlib.heads.automl.runner_pool.store_data` wrote; None when that fit is over and its folder gone."""
    place = Path(folder)
    if not (place / "data.pkl").exists():
        return None
    with (place / "data.pkl").open("rb") as file:
        fields = pickle.load(file)
    return TrialData(X=np.load(place / "X.npy"), **fields)


def _send(target: BinaryIO, message: Any) -> None:
    pickle.dump(message, target, protocol=pickle.HIGHEST_PROTOCOL)
    target.flush()


def _receive(source: int) -> Any:
    """Read one message without reading ahead, so that `select` tells whether another waits; None at the end."""
    size = _exactly(source, 8)
    body = None if size is None else _exactly(source, int.from_bytes(size, "little"))
    return None if body is None else pickle.loads(body)


def _exactly(source: int, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(source, count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _supervise(data: TrialData, job: Job, source: int) -> Outcome:
    """Run one job in a child, or here where processes cannot fork."""
    began = time.perf_counter()
    if hasattr(os, "fork"):
        outcome = _in_child(data, job, source)
    else:
        outcome = Outcome(job.number)
        for kind, value in _attempt(data, job):
            _note(outcome, kind, value)
    outcome.seconds = time.perf_counter() - began
    return outcome


def _attempt(data: TrialData, job: Job) -> Any:
    """Yield messages; whatever a third-party estimator raises becomes one."""
    try:
        for fold in run_job(data, job):
            yield "fold", fold
    except MemoryError:
        yield "memory", "out of memory"
    except Exception as error:  # noqa: BLE001 (any library may raise anything, and the trial alone fails)
        yield "error", f"{type(error).__name__}: {error}"[:500]


def _in_child(data: TrialData, job: Job, source: int) -> Outcome:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(data, job, writing)
    os.close(writing)
    outcome = Outcome(job.number)
    buffer = bytearray()
    deadline = time.perf_counter() + job.limit_s
    status = "timeout"
    while (left := deadline - time.perf_counter()) > 0:
        ready, _, _ = select.select([reading, source], [], [], min(left, 3600.0))
        if source in ready:  # only a cancellation, or the end, is sent while a job runs
            status = "cancelled"
            _receive(source)
            break
        if reading in ready:
            part = os.read(reading, 1 << 20)
            if not part:
                status = "closed"
                break
            buffer += part
    if status != "closed":
        os.kill(child, signal.SIGKILL)
        buffer += _rest(reading)
    os.close(reading)
    _, how = os.waitpid(child, 0)
    is_done = _unpack(buffer, outcome)
    if status != "closed":
        outcome.status = status
    elif not is_done and outcome.status == "ok":
        outcome.status, outcome.message = "memory", f"the trial died with status {how}"
    return outcome


def _rest(reading: int) -> bytes:
    parts = []
    while part := os.read(reading, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _unpack(buffer: bytearray, outcome: Outcome) -> bool:
    """Take the complete messages out of what the child wrote; return whether the last said so."""
    view, place = memoryview(buffer), 0
    while place + 8 <= len(buffer):
        size = int.from_bytes(view[place : place + 8], "little")
        if place + 8 + size > len(buffer):
            return False
        kind, value = pickle.loads(view[place + 8 : place + 8 + size])
        place += 8 + size
        if kind == "done":
            return True
        _note(outcome, kind, value)
    return False


def _note(outcome: Outcome, kind: str, value: Any) -> None:
    if kind == "fold":
        outcome.folds.append(value)
    else:
        outcome.status, outcome.message = kind, value


def _be_child(data: TrialData, job: Job, writing: int) -> None:
    """Run the trial and leave without returning."""
    _limit_memory(job.memory_bytes)
    with os.fdopen(writing, "wb") as target:
        for message in (*_attempt_each(data, job, target), ("done", None)):
            _frame(target, message)
    os._exit(0)


def _attempt_each(data: TrialData, job: Job, target: BinaryIO) -> list[Any]:
    for message in _attempt(data, job):
        _frame(target, message)
    return []


def _frame(target: BinaryIO, message: Any) -> None:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    target.write(len(body).to_bytes(8, "little") + body)
    target.flush()


def _limit_memory(extra: int | None) -> None:
    """Cap the address space at what the process has now plus `extra` bytes, where the system can."""
    if extra is None or not sys.platform.startswith("linux"):
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
