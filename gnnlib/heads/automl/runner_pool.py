"""The caller's side of the worker processes: start them, send jobs, wait for outcomes, end them."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from joblib import effective_n_jobs

from gnnlib.errors import InputError
from gnnlib.heads.automl.worker import Outcome, serve

if TYPE_CHECKING:
    from gnnlib.heads.automl.worker import Job, TrialData

__all__ = ["LocalPool", "Pool", "WorkFolder", "make_pool", "store_data"]

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
_COMMAND = "from gnnlib.heads.automl.worker import serve; serve()"
_OBEYS = hasattr(os, "fork")  # elsewhere trials run in the worker itself, which cannot hear a cancellation

_HARMLESS_THREADS = frozenset({"jemalloc_bg_thd"})

GRACE_S = 1.0
"""Seconds that a worker has to say that it killed its trial before it is killed itself."""


class Pool(Protocol):
    """What runs jobs: this machine's processes, or a joblib backend."""

    num_workers: int

    @property
    def num_idle(self) -> int:
        """Workers without a job."""

    @property
    def is_busy(self) -> bool:
        """Whether an outcome is awaited."""

    def load(self, folder: str) -> None:
        """Tell the workers where the data of this fit is."""

    def submit(self, job: Job) -> None:
        """Give a job to an idle worker."""

    def wait(self, timeout_s: float) -> Outcome | None:
        """Return the next outcome; None when there is none within the time."""

    def cancel(self) -> None:
        """End what runs."""

    def close(self) -> None:
        """End what runs and let the workers go."""


def make_pool(n_jobs: int | None) -> Pool:
    """Return `n_jobs` local processes, or the joblib backend that is active, when it is not one of joblib's own.

    Parameters
    ----------
    n_jobs : int or None
        None is 1, or what ``joblib.parallel_config`` says; -1 is one a core.

    Raises
    ------
    InputError
        If it is 0 or no integer.
    """
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0):
        raise InputError(f"`n_jobs` must be an integer other than 0, or None, found {n_jobs!r}")
    from gnnlib.heads.automl.runner_joblib import JoblibPool, foreign_backend  # it builds on this module

    if foreign_backend() is not None:
        return JoblibPool(n_jobs)
    return LocalPool(effective_n_jobs(n_jobs))


class WorkFolder:
    """A folder for matrices and models, in memory where the system has room there; removed by `close`."""

    def __init__(self, need_bytes: int = 0) -> None:
        memory = Path("/dev/shm")
        has_room = (
            memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 8 * need_bytes + 10**9
        )
        try:
            self.path = tempfile.mkdtemp(prefix="gnnlib_automl_", dir=memory if has_room else None)
        except OSError as error:
            raise InputError(f"trials need a folder for their models, set TMPDIR to one: {error}") from error

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def store_data(data: TrialData, folder: str) -> None:
    """Write what trials share for `gnnlib.heads.automl.worker.load_data`."""
    np.save(Path(folder) / "X.npy", data.X)
    fields = {name: getattr(data, name) for name in ("y", "weights", "folds", "order", "layout", "task", "num_classes")}
    with (Path(folder) / "data.pkl").open("wb") as file:
        pickle.dump(fields, file, protocol=pickle.HIGHEST_PROTOCOL)


class _Forked:
    """A copy of this process that serves, behind the part of `subprocess.Popen` that is used here."""

    def __init__(self) -> None:
        job_out, job_in = os.pipe()
        answer_out, answer_in = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(job_in)
            os.close(answer_out)
            _serve_forked(job_out, answer_in)
        os.close(job_out)
        os.close(answer_in)
        self.stdin: IO[bytes] | None = os.fdopen(job_in, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(answer_out, "rb")
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        if self._code is None:
            found, code = os.waitpid(self.pid, os.WNOHANG)
            self._code = code if found else None
        return self._code

    def wait(self) -> None:
        """Wait for the end."""
        if self._code is None:
            _, self._code = os.waitpid(self.pid, 0)

    def kill(self) -> None:
        """End it."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)


def _serve_forked(source: int, sink: int) -> None:
    """Be a worker in a forked copy of the caller, and never return."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    try:
        os.setsid()
        threadpool_limits(1)
        serve(source, sink)
    finally:
        os._exit(0)


def _may_fork() -> bool:
    """Return whether a copy of this process cannot inherit a lock that is held.

    That is so when it has a single thread, beside one of pyarrow's allocator, which prepares for forks by itself.
    """
    tasks = Path("/proc/self/task")
    if not hasattr(os, "fork") or not tasks.is_dir() or threading.active_count() > 1:
        return False
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()]
    return sum(name not in _HARMLESS_THREADS for name in names) == 1


def _start_process() -> subprocess.Popen[bytes] | _Forked:
    """Start a worker: a fork, which has everything imported, where that is safe, else a fresh Python."""
    if _may_fork():
        return _Forked()
    environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the caller, who then decides
    )


class _Worker:
    """One process and the thread that listens to it."""

    def __init__(self, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        self.process = _start_process()
        self.inbox = inbox
        self.job: Job | None = None
        self.sent_at = 0.0
        self.ready_at = math.inf
        self.is_ready = False
        self.is_lost = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        stdout = self.process.stdout
        while stdout is not None:
            try:
                message = pickle.load(stdout)
            except (EOFError, OSError, pickle.UnpicklingError, ValueError):
                break
            if not self.is_ready:
                self.is_ready, self.ready_at = True, time.perf_counter()
            self.inbox.put((self, message))
        self.inbox.put((self, ("lost", None)))
        if stdout is not None:
            stdout.close()

    def send(self, kind: str, value: Any) -> None:
        """Send a message; a process that has died is noticed by the listener."""
        stdin = self.process.stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError, OSError, ValueError):
                body = pickle.dumps((kind, value), protocol=pickle.HIGHEST_PROTOCOL)
                stdin.write(len(body).to_bytes(8, "little") + body)
                stdin.flush()

    def kill(self) -> None:
        """End the process and the trial that it runs, at once."""
        self.is_lost = True
        with contextlib.suppress(ProcessLookupError, PermissionError, AttributeError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.process.kill()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.close()
        self.process.wait()


class LocalPool:
    """Worker processes on this machine.

    The processes outlive a fit and serve the next one, for importing scikit-learn takes longer than a small trial.

    Parameters
    ----------
    num_workers : int >= 1
    """

    _idle: list[_Worker] = []  # noqa: RUF012 (one for the process, on purpose)
    _owner = 0

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self.inbox: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self.workers: list[_Worker] = []
        while len(self.workers) < num_workers:
            self.workers.append(self._take())
        self.folder: str | None = None

    def _take(self) -> _Worker:
        if LocalPool._owner != os.getpid():  # a forked copy of the caller has no right to its workers
            LocalPool._idle, LocalPool._owner = [], os.getpid()
        while LocalPool._idle:
            worker = LocalPool._idle.pop()
            if worker.process.poll() is None:
                worker.inbox = self.inbox
                return worker
        return _Worker(self.inbox)

    def load(self, folder: str) -> None:
        """Tell all workers where the data of this fit is."""
        self.folder = folder
        for worker in self.workers:
            worker.send("data", folder)

    @property
    def num_idle(self) -> int:
        """Workers without a job."""
        return sum(worker.job is None for worker in self.workers)

    @property
    def is_busy(self) -> bool:
        """Whether an outcome is awaited."""
        return any(worker.job is not None for worker in self.workers)

    def submit(self, job: Job) -> None:
        """Give a job to an idle worker."""
        worker = next(worker for worker in self.workers if worker.job is None)
        worker.job, worker.sent_at = job, time.perf_counter()
        worker.send("job", job)

    def wait(self, timeout_s: float) -> Outcome | None:
        """Return the next outcome; None when there is none within the time.

        Workers that do not keep their own deadline, or die, are replaced, and their job counts as failed.
        """
        end = time.perf_counter() + timeout_s
        while True:
            left = end - time.perf_counter()
            late = self._late()
            if late is not None:
                return self._replace(late, "timeout", "the worker did not answer")
            try:
                worker, (kind, value) = self.inbox.get(timeout=max(0.0, min(left, 0.25)))
            except queue.Empty:
                if left <= 0:
                    return None
                continue
            if worker not in self.workers:
                continue
            if kind == "outcome" and worker.job is not None and value.number == worker.job.number:
                worker.job = None
                return value
            if kind == "lost":
                return self._replace(worker, "memory", "the worker process died")

    def _late(self) -> _Worker | None:
        now = time.perf_counter()
        for worker in self.workers:
            if worker.job is None or not worker.is_ready:
                continue
            # a job that came while the process was importing could not begin before that was over
            if now > max(worker.sent_at, worker.ready_at) + worker.job.limit_s + GRACE_S:
                return worker
        return None

    def _replace(self, worker: _Worker, status: str, message: str) -> Outcome | None:
        job = worker.job
        worker.kill()
        fresh = _Worker(self.inbox)
        self.workers[self.workers.index(worker)] = fresh
        if self.folder is not None:
            fresh.send("data", self.folder)
        return None if job is None else Outcome(job.number, status, message=message)

    def cancel(self, grace_s: float = 0.3) -> None:
        """End all trials that run, and wait a moment for the workers to say so."""
        for worker in self.workers:
            if worker.job is not None:
                worker.send("cancel", None)
        end = time.perf_counter() + grace_s
        while self.is_busy and (left := end - time.perf_counter()) > 0:
            try:
                worker, (kind, _) = self.inbox.get(timeout=left)
            except queue.Empty:
                break
            if kind in {"outcome", "lost"}:
                worker.job = None

    def close(self) -> None:
        """Cancel what runs and keep the workers for the next fit."""
        if self.is_busy:
            self.cancel()
        for worker in self.workers:
            if worker.is_lost or worker.process.poll() is not None or not (worker.job is None or _OBEYS):
                worker.kill()
            else:
                # one that has not answered yet will: jobs have numbers of their own, so that late outcomes are known
                worker.job = None
                LocalPool._idle.append(worker)
        self.workers = []


@atexit.register
def _end_idle_workers() -> None:
    if LocalPool._owner == os.getpid():  # noqa: SLF001
        for worker in LocalPool._idle:  # noqa: SLF001
            worker.kill()
