"""What was learnt on earlier data sets, kept in a database: profile, pipeline, score, seconds.

An embedded SQLite file by default; SQLAlchemy lets a team point the same code at PostgreSQL.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from gnnlib.errors import FileFormatError, InputError, MissingExtraError
from gnnlib.heads.automl.experience_db import check_folder, make_engine, make_tables, shown, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd
    from sqlalchemy import Connection

__all__ = ["SCHEMA_VERSION", "Experience", "ExperienceStore"]

SCHEMA_VERSION = 1
"""Version of the tables; a file of another version is refused rather than guessed at."""

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Experience:
    """One pipeline tried on one data set.

    Parameters
    ----------
    dataset : str
        Fingerprint or name of the data set; the same data must always have the same.
    task : {"classification", "regression"}
    pipeline : str
        Text form of the pipeline.
    metric : str
        Name of the score.
    score : float
        Higher is better; NaN for a pipeline that failed.
    seconds : float >= 0
        Time of the trial.
    profile : mapping of str to number, default {}
        Meta-features of the data set.
    description : str, default ""
        What the user said about it.

    Raises
    ------
    InputError
        If a field is empty or out of range.

    Examples
    --------
    >>> Experience("a1", "classification", "svm(C=1)", "accuracy", 0.9, 1.5).seconds
    1.5
    """

    dataset: str
    task: Task
    pipeline: str
    metric: str
    score: float
    seconds: float
    profile: Mapping[str, float] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        for name in ("dataset", "pipeline", "metric"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text:
                raise InputError(f"`{name}` of an experience must be a non-empty string, found {text!r}")
        if self.task not in get_args(Task):
            raise InputError(f"`task` must be one of {', '.join(get_args(Task))}, found {self.task!r}")
        if math.isinf(self.score):
            raise InputError(f"`score` must be finite, or NaN after a failure, found {self.score!r}")
        if not math.isfinite(self.seconds) or self.seconds < 0:
            raise InputError(f"`seconds` must be a finite number >= 0, found {self.seconds!r}")
        for name, number in self.profile.items():
            if not isinstance(number, (int, float)) or math.isinf(number):
                raise InputError(f"entry {name!r} of `profile` must be a number or NaN, found {number!r}")


class ExperienceStore:
    """A growing table of experiences, safe under several writing processes.

    Every `add` is one transaction: after it returns, the rows survive the end of the process; a writer that is killed
    leaves all of its rows or none. SQLite files use a write-ahead log, so readers never wait.

    Parameters
    ----------
    url : str
        An SQLAlchemy address: ``sqlite:///experience.db`` (relative), ``sqlite:////tmp/experience.db`` (absolute),
        ``sqlite://`` (in memory), ``postgresql+psycopg://user@host/name``.

    Raises
    ------
    MissingExtraError
        If SQLAlchemy is not installed.
    InputError
        If the address is wrong or its folder cannot be written.
    FileFormatError
        If the file is no experience store, is damaged, or has another version.

    Examples
    --------
    >>> with ExperienceStore("sqlite://") as store:
    ...     store.add([Experience("a1", "classification", "svm(C=1)", "accuracy", 0.9, 1.5)])
    ...     len(store), store.table()["score"].tolist()
    (1, [0.9])
    """

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise MissingExtraError("sqlalchemy", "automl") from error
        self.url = url
        try:
            parsed = sqlalchemy.make_url(url)
        except (sqlalchemy.exc.ArgumentError, AttributeError, TypeError) as error:
            raise InputError(f"`url` must be an address such as 'sqlite:///experience.db', found {url!r}") from error
        self.path = check_folder(parsed.database) if parsed.get_backend_name() == "sqlite" else None
        self._engine = make_engine(url, in_memory=self.path is None and parsed.get_backend_name() == "sqlite")
        self._datasets, self._results, self._version = make_tables()
        with self._translated():
            self._create()

    def _create(self) -> None:
        import sqlalchemy

        with self._engine.execution_options(writes=True).begin() as connection:
            known = set(sqlalchemy.inspect(connection).get_table_names())
            # a file holds a store and nothing else; on a server other tables are none of our business
            if known and "gnnlib_schema" not in known and self._engine.dialect.name == "sqlite":
                raise FileFormatError.at(self._place, None, f"is no experience store: it holds {sorted(known)}")
            self._version.metadata.create_all(connection)
            found = connection.execute(sqlalchemy.select(self._version.c.version)).scalar()
            if found is None:
                connection.execute(self._version.insert().values(version=SCHEMA_VERSION))
            elif found != SCHEMA_VERSION:
                message = f"holds version {found} of the tables, this gnnlib reads {SCHEMA_VERSION}"
                raise FileFormatError.at(self._place, None, message)

    @property
    def _place(self) -> str | Path:
        return self.path or shown(self.url)

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._place)

    def add(self, experiences: Iterable[Experience]) -> None:
        """Append experiences, all or none of them.

        Raises
        ------
        InputError
            If an entry is no `Experience`, or the store cannot be written.
        """
        rows = list(experiences)
        for position, row in enumerate(rows):
            if not isinstance(row, Experience):
                raise InputError(f"`experiences` must hold Experience records, found {row!r} at position {position}")
        if not rows:
            return
        with self._translated(), self._engine.execution_options(writes=True).begin() as connection:
            seen: set[tuple[str, bool, bool]] = set()
            for row in rows:
                kind = (row.dataset, bool(row.profile), bool(row.description))
                if kind not in seen:
                    self._upsert(connection, row)
                    seen.add(kind)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            connection.execute(
                self._results.insert(),
                [
                    {
                        "dataset": r.dataset,
                        "task": r.task,
                        "pipeline": r.pipeline,
                        "metric": r.metric,
                        "score": None if math.isnan(r.score) else float(r.score),
                        "seconds": float(r.seconds),
                        "added": now,
                    }
                    for r in rows
                ],
            )

    def _upsert(self, connection: Connection, row: Experience) -> None:
        """Insert the data set of a row, or fill in what was not known of it."""
        import sqlalchemy

        profile = json.dumps({k: None if math.isnan(v) else float(v) for k, v in row.profile.items()}, sort_keys=True)
        c = self._datasets.c
        found = connection.execute(
            sqlalchemy.select(c.profile, c.description).where(c.name == row.dataset)
        ).one_or_none()
        if found is None:
            values = {"name": row.dataset, "profile": profile, "description": row.description}
            insert: Any = self._dialect_insert()(self._datasets).values(**values)
            # Another writer may have been faster; its row is as good.
            connection.execute(insert.on_conflict_do_nothing())
        elif (row.profile and found.profile == "{}") or (row.description and not found.description):
            new = {
                "profile": profile if row.profile else found.profile,
                "description": row.description or found.description,
            }
            connection.execute(self._datasets.update().where(c.name == row.dataset).values(**new))

    def _dialect_insert(self) -> Any:
        if self._engine.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as postgres_insert

            return postgres_insert
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert

    def __len__(self) -> int:
        import sqlalchemy

        with self._translated(), self._engine.connect() as connection:
            return int(
                connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(self._results)).scalar_one()
            )

    def experiences(self, *, task: Task | None = None, metric: str | None = None) -> list[Experience]:
        """Return what is stored, in the order in which it was added.

        Parameters
        ----------
        task : {"classification", "regression"}, optional
        metric : str, optional
        """
        import sqlalchemy

        results, datasets = self._results, self._datasets
        query = sqlalchemy.select(results, datasets.c.profile, datasets.c.description).join(
            datasets, results.c.dataset == datasets.c.name
        )
        if task is not None:
            query = query.where(results.c.task == task)
        if metric is not None:
            query = query.where(results.c.metric == metric)
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(results.c.id)).mappings().all()
        return [_as_experience(row, self._place) for row in rows]

    def table(self, *, task: Task | None = None, metric: str | None = None) -> pd.DataFrame:
        """Return what is stored as a pandas table, one row a trial, without profiles."""
        import pandas as pd

        columns = ["dataset", "task", "pipeline", "metric", "score", "seconds", "description"]
        rows = self.experiences(task=task, metric=metric)
        return pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=columns)

    def matrix(self, *, task: Task, metric: str) -> pd.DataFrame:
        """Return the best score of every pipeline (columns) on every data set (rows); NaN where it was not tried."""
        table = self.table(task=task, metric=metric)
        return table.pivot_table(index="dataset", columns="pipeline", values="score", aggfunc="max", dropna=False)

    def profiles(self) -> dict[str, dict[str, float]]:
        """Return the meta-features of every data set that has some."""
        import sqlalchemy

        query = sqlalchemy.select(self._datasets.c.name, self._datasets.c.profile)
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {name: _as_profile(text) for name, text in rows if text != "{}"}

    def close(self) -> None:
        """Let go of the connections; the store opens them again when it is used."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"ExperienceStore({shown(self.url)!r})"


def _as_profile(text: str) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in json.loads(text).items()}


def _as_experience(row: Any, place: str | Path) -> Experience:
    try:
        score = math.nan if row["score"] is None else float(row["score"])
        return Experience(
            row["dataset"],
            row["task"],
            row["pipeline"],
            row["metric"],
            score,
            float(row["seconds"]),
            _as_profile(row["profile"]),
            row["description"],
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise FileFormatError.at(place, None, f"row {row['id']} of the experiences is damaged: {error}") from error


def fingerprint(*parts: bytes) -> str:
    """Return a short name for data from its bytes, the same on every machine.

    Examples
    --------
    >>> fingerprint(b"a", b"b") == fingerprint(b"ab")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:20]
