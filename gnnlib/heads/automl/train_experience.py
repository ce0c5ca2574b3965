"""Own experience: the pipelines of the language on public tables, one result after the other, into a store.

.. code-block:: text

    python -m gnnlib.heads.automl.train_experience --store sqlite:///runs/experience.db --minutes 60

Every pair of a table and a pipeline is cross-validated in a process that can be ended, and written at once, with its
time. The same command goes on where it was stopped. Tables are taken whole, the cheapest first, so that what is there
has few gaps; families that are used to judge the search (`HELD_OUT`) are left out. The folder of the tables is found
through ``--data`` or the environment variable ``GNNLIB_DATA``. What the store holds is read by
`gnnlib.heads.automl.recommend.fit_meta`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import os
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.cleaning import TableCleaner
from gnnlib.heads.automl.experience import Experience, ExperienceStore
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.metafeatures import compute_metafeatures
from gnnlib.heads.automl.metrics import resolve_metric
from gnnlib.heads.automl.portfolio import static_portfolio
from gnnlib.heads.automl.runner_folds import assign_folds, shuffled_order
from gnnlib.heads.automl.runner_order import default_start
from gnnlib.heads.automl.runner_pool import LocalPool, WorkFolder, store_data
from gnnlib.heads.automl.table import TASKS, MatrixLayout, TableProfile
from gnnlib.heads.automl.worker import Job, TrialData
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.table import Task
    from gnnlib.typing import PathLike

__all__ = ["HELD_OUT", "METRICS", "Settings", "Source", "experience_pipelines", "gather", "main", "read_sources"]

_logger = logging.getLogger(__name__)

HELD_OUT = (
    "eucalyptus",
    "islr_oj",
    "modeldata_stackoverflow",
    "hypothyroid",
    "pendigits",
    "modeldata_concrete",
    "modeldata_ames",
    "aer_nmes1988",
)
"""Tables by which the search is judged: nothing of their families may be learnt from."""

METRICS: dict[Task, tuple[str, ...]] = {"classification": ("balanced_accuracy", "log_loss"), "regression": ("rmse",)}

_FOLDS = 3
_numbers = itertools.count()


@dataclass(frozen=True)
class Source:
    """A public table.

    Parameters
    ----------
    name, family : str
    task : {"classification", "regression"}
    path : Path
        A CSV file, gzipped.
    target : str
    categorical : tuple of str
        Columns of numbers that are names of categories.
    description : str
    cells : int
        Rows times features.
    """

    name: str
    family: str
    task: Task
    path: Path
    target: str
    categorical: tuple[str, ...]
    description: str
    cells: int

    def read(self) -> tuple[pd.DataFrame, Any]:
        """Return features and target; rows without a target are left out."""
        import pandas as pd

        frame = pd.read_csv(self.path)
        y = frame.pop(self.target)
        for column in self.categorical:
            if column in frame:
                frame[column] = frame[column].astype(object).map(str, na_action="ignore")
        known = y.notna()
        frame, y = frame[known].reset_index(drop=True), y[known]
        if self.task == "classification":
            return frame, np.unique(y.astype(str), return_inverse=True)[1]
        return frame, y.to_numpy()


@dataclass(frozen=True)
class Settings:
    """How much is spent on one pair.

    Parameters
    ----------
    limit_s : float
        Wall-clock seconds of a pair; longer ones count as failed.
    rows : int
        Larger tables are sampled.
    memory_gb : float
        What a pair may take.
    pipelines : int
        Per task.
    """

    limit_s: float = 30.0
    rows: int = 2_000
    memory_gb: float = 2.0
    pipelines: int = 64


def read_sources(
    folder: PathLike, *, tasks: Sequence[Task] = TASKS, held_out: Sequence[str] = HELD_OUT
) -> list[Source]:
    """Return the tables of a folder that may be learnt from, the cheapest first.

    Parameters
    ----------
    folder : path-like
        Holds ``datasets_index.json`` and the files that it names.
    tasks : sequence of str
    held_out : sequence of str
        Tables whose whole families are left out.

    Raises
    ------
    InputError
        If there is no index.
    FileFormatError
        If it does not hold what it should.
    """
    path = Path(folder) / "datasets_index.json"
    if not path.is_file():
        raise InputError(f"{path} is missing; name the folder of the tables with --data or GNNLIB_DATA")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        families = {entry["family"] for entry in entries if entry["name"] in held_out}
        found = [
            Source(
                entry["name"],
                entry["family"],
                entry["task"],
                Path(folder) / entry["file"],
                entry["target"],
                tuple(entry["categorical"]),
                entry["description"] or "",
                int(entry["rows"]) * int(entry["features"]),
            )
            for entry in entries
            if entry["task"] in tasks and entry["family"] not in families
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError.at(path, None, f"is no index of tables: {error!r}") from error
    return sorted(found, key=lambda source: (source.cells, source.name))


def experience_pipelines(task: Task, count: int = 64) -> list[Pipeline]:
    """Return the pipelines that are tried on every table: those a search begins with, then draws of each estimator.

    The list of a smaller count is the beginning of that of a larger one.

    Examples
    --------
    >>> names = [pipeline.estimator.name for pipeline in experience_pipelines("regression", 60)]
    >>> len(names), len(set(names)) >= 10
    (60, True)
    """
    chosen: dict[str, Pipeline] = {item.key: item for item in (*static_portfolio(task), *default_start(task))}
    profile = TableProfile(
        task,
        1_000,
        MatrixLayout(10, (5,)),
        num_classes=2 if task == "classification" else 0,
        has_missing=True,
        target_skew=1.0 if task == "regression" else 0.0,
    )
    grammar, rng = Grammar(profile), numpy_generator(0)
    for name in itertools.cycle(sorted({names[4] for names in grammar.skeletons})):
        if len(chosen) >= count:
            break
        drawn = grammar.sample(rng, estimator=name)
        chosen.setdefault(drawn.key, drawn)
    return list(chosen.values())[:count]


def _prepare(source: Source, settings: Settings) -> tuple[TrialData, dict[str, float]]:
    """Return what the trials of a table share, and its meta-features."""
    X, y = source.read()
    rng = numpy_generator(0)
    if len(y) > settings.rows:
        chosen = np.sort(shuffled_order(y, source.task, rng)[: settings.rows])
        X, y = X.iloc[chosen].reset_index(drop=True), y[chosen]
    num_classes = 0
    if source.task == "classification":
        y = np.unique(y, return_inverse=True)[1]
        num_classes = int(y.max()) + 1
    profile = {key: value for key, value in compute_metafeatures(X, y, task=source.task).items() if np.isfinite(value)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of columns that are dropped
        cleaner = TableCleaner().fit(X)
    matrix = cleaner.transform(X)
    if matrix.shape[1] == 0:
        raise InputError(f"the table {source.name} has no column that helps")
    folds, order = assign_folds(y, _FOLDS, source.task, rng), shuffled_order(y, source.task, rng)
    return TrialData(matrix, y, None, folds, order, cleaner.layout, source.task, num_classes), profile


def _scores(data: TrialData, pipeline: Pipeline, pool: LocalPool, folder: str, settings: Settings) -> dict[str, float]:
    """Return the cross-validated scores, higher is better, and the ``seconds``; NaN for a pipeline that failed."""
    failed = dict.fromkeys(METRICS[data.task], math.nan)
    item = pipeline.piece("estimator")
    if len(data.y) > item.max_rows or data.X.shape[1] > item.max_features:
        return {**failed, "seconds": 0.0}
    memory = int(settings.memory_gb * 2**30)
    job = Job(next(_numbers), str(pipeline), tuple(range(_FOLDS)), 0, None, settings.limit_s, memory, folder)
    began = time.perf_counter()
    pool.submit(job)
    outcome = pool.wait(settings.limit_s + 60.0)
    seconds = time.perf_counter() - began
    if outcome is None:
        pool.cancel()
        return {**failed, "seconds": seconds}
    for fold in outcome.folds:
        Path(fold.model_path).unlink(missing_ok=True)
    if outcome.status != "ok":
        return {**failed, "seconds": seconds}
    rows = np.concatenate([np.flatnonzero(data.folds == fold.fold) for fold in outcome.folds])
    said = np.concatenate([fold.prediction for fold in outcome.folds])
    found = {name: resolve_metric(name, data.task).score(data.y[rows], said) for name in failed}
    return {**found, "seconds": sum(fold.fit_s + fold.predict_s for fold in outcome.folds)}


def gather(
    sources: Sequence[Source],
    store: ExperienceStore,
    settings: Settings | None = None,
    *,
    seconds: float = math.inf,
) -> Iterator[tuple[str, str, float]]:
    """Try every pipeline on every table that the store does not know it on, and yield what was tried.

    Parameters
    ----------
    sources : sequence of Source
    store : ExperienceStore
        Gets one row a pair and metric at once.
    settings : Settings, optional
    seconds : float
        No pair begins later than that.

    Yields
    ------
    (str, str, float)
        Table, pipeline, seconds.
    """
    chosen = settings or Settings()
    end = time.perf_counter() + seconds
    known = store.table()
    done = set(zip(known["dataset"], known["pipeline"], strict=True))
    pool = LocalPool(1)
    try:
        for source in sources:
            wanted = experience_pipelines(source.task, chosen.pipelines)
            left = [pipeline for pipeline in wanted if (source.name, str(pipeline)) not in done]
            if left and time.perf_counter() < end:
                yield from _gather_one(source, left, store, chosen, pool, end)
    finally:
        pool.close()


def _gather_one(
    source: Source,
    pipelines: Sequence[Pipeline],
    store: ExperienceStore,
    settings: Settings,
    pool: LocalPool,
    end: float,
) -> Iterator[tuple[str, str, float]]:
    data, profile = _prepare(source, settings)
    folder = WorkFolder(data.X.nbytes)
    try:
        store_data(data, folder.path)
        pool.load(folder.path)
        for pipeline in pipelines:
            if time.perf_counter() >= end:
                return
            found = _scores(data, pipeline, pool, folder.path, settings)
            spent = found.pop("seconds")
            store.add(
                Experience(
                    source.name, source.task, str(pipeline), name, score, spent, profile, source.description[:20_000]
                )
                for name, score in found.items()
            )
            yield source.name, str(pipeline), spent
    finally:
        folder.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(description="Try the pipelines of the language on public tables.")
    parser.add_argument("--store", default="sqlite:///runs/experience.db", help="address of the experience store")
    parser.add_argument("--data", type=Path, help="folder of the tables; default: automl in GNNLIB_DATA, or in data")
    parser.add_argument("--task", choices=TASKS, help="default: both")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no pair later than that")
    parser.add_argument("--limit", type=float, default=Settings.limit_s, help="seconds of one pair")
    parser.add_argument("--rows", type=int, default=Settings.rows, help="larger tables are sampled")
    parser.add_argument("--pipelines", type=int, default=Settings.pipelines, help="for each task")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = given.data or Path(os.environ.get("GNNLIB_DATA") or "data") / "automl"
    sources = read_sources(folder, tasks=TASKS if given.task is None else (given.task,))
    settings = Settings(limit_s=given.limit, rows=given.rows, pipelines=given.pipelines)
    began, count, current = time.perf_counter(), 0, ""
    with ExperienceStore(given.store) as store:
        for name, _, _ in gather(sources, store, settings, seconds=60.0 * given.minutes):
            count += 1
            if name != current:
                _logger.info("%s: %d pairs so far, %.0f s", name, count, time.perf_counter() - began)
                current = name
    _logger.info("%d pairs in %.0f s", count, time.perf_counter() - began)
    return 0


if __name__ == "__main__":
    sys.exit(main())
