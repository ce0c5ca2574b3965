"""The database side of the experience store: engine, tables, and errors in the library's words."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnlib.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["BUSY_SECONDS", "check_folder", "make_engine", "make_tables", "shown", "translated"]

BUSY_SECONDS = 30.0
"""How long a writer waits for another one."""


@contextlib.contextmanager
def translated(place: str | Path) -> Iterator[None]:
    """Turn what the database says into errors that name the file and the remedy."""
    import sqlite3

    import sqlalchemy.exc as problems

    try:
        yield
    except (problems.DatabaseError, sqlite3.DatabaseError) as error:
        text = " ".join(str(getattr(error, "orig", None) or error).split())
        if not isinstance(place, Path) and not place.startswith("sqlite"):
            raise InputError(f"the experience store {place} cannot be used: {text}") from error
        if "readonly" in text or "unable to open" in text or "read-only" in text:
            raise InputError(f"the experience store {place} cannot be written: {text}") from error
        if "locked" in text:
            raise InputError(f"the experience store {place} stayed locked for {BUSY_SECONDS:.0f} s") from error
        raise FileFormatError.at(
            place, None, f"is damaged or no experience store ({text}); move it away to start a new one"
        ) from error


def check_folder(database: str | None) -> Path | None:
    """Return the file of an SQLite address, None for one in memory."""
    if database in (None, "", ":memory:"):
        return None
    path = Path(str(database))
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} of the experience store does not exist; make it first")
    if path.is_dir():
        raise InputError(f"the experience store must be a file, {path} is a folder")
    return path


def shown(url: str) -> str:
    """Return an address without its password, for messages.

    Examples
    --------
    >>> shown("postgresql+psycopg://ann:secret@host/name")
    'postgresql+psycopg://ann:***@host/name'
    """
    import sqlalchemy

    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


def make_engine(url: str, *, in_memory: bool) -> Engine:
    """Return the engine; what it opens with the execution option ``writes`` holds the write lock from the start."""
    import sqlalchemy
    from sqlalchemy.pool import NullPool, StaticPool

    if not url.startswith("sqlite"):
        try:
            return sqlalchemy.create_engine(url, pool_pre_ping=True)
        except (ModuleNotFoundError, sqlalchemy.exc.NoSuchModuleError) as error:
            raise InputError(f"the driver of {shown(url)} is missing ({error}); install it beside gnnlib") from error
    # One connection a transaction: none is carried over a fork into a worker.
    engine = sqlalchemy.create_engine(
        url, poolclass=StaticPool if in_memory else NullPool, connect_args={"timeout": BUSY_SECONDS}
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        if not in_memory:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Taking the write lock at once lets two writers queue; a lock taken later would fail instead of waiting.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def make_tables() -> tuple[Any, Any, Any]:
    """Return the tables of data sets, results and the version."""
    import sqlalchemy as sa

    meta = sa.MetaData()
    version = sa.Table("gnnlib_schema", meta, sa.Column("version", sa.Integer, primary_key=True))
    datasets = sa.Table(
        "gnnlib_datasets",
        meta,
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
    )
    results = sa.Table(
        "gnnlib_results",
        meta,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("dataset", sa.String(200), sa.ForeignKey("gnnlib_datasets.name"), nullable=False, index=True),
        sa.Column("task", sa.String(20), nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("metric", sa.String(60), nullable=False),
        sa.Column("score", sa.Float, nullable=True),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("added", sa.String(40), nullable=False),
    )
    return datasets, results, version
