"""The experience store: nothing lost, nothing half written, clear errors."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import sqlite3
import time

import pytest

pytest.importorskip("sqlalchemy")

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.experience import Experience, ExperienceStore, fingerprint


def row(dataset="a", pipeline="svm(C=1)", score=0.9, **more):
    return Experience(dataset, "classification", pipeline, "accuracy", score, 1.5, **more)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'experience.db'}"


def test_what_was_added_is_read_back_by_another_store(url):
    rows = [row(profile={"rows": 10.0, "skew": math.nan}, description="who left"), row(score=math.nan, pipeline="knn")]
    with ExperienceStore(url) as store:
        store.add(rows)
    with ExperienceStore(url) as store:
        back = store.experiences()
        assert [r.pipeline for r in back] == ["svm(C=1)", "knn"]
        assert back[0].profile["rows"] == 10.0
        assert math.isnan(back[0].profile["skew"])
        assert math.isnan(back[1].score)
        assert back[1].description == "who left"
        assert len(store) == 2


def test_the_matrix_keeps_the_best_score_and_says_what_is_missing(url):
    with ExperienceStore(url) as store:
        store.add([row("a", "p", 0.5), row("a", "p", 0.7), row("b", "q", 0.4), row("c", "p", math.nan)])
        store.add([Experience("a", "regression", "p", "r2", 0.1, 1.0)])
        matrix = store.matrix(task="classification", metric="accuracy")
    assert matrix.loc["a", "p"] == 0.7
    assert math.isnan(matrix.loc["a", "q"])
    assert matrix.loc["b", "q"] == 0.4


def test_profiles_and_descriptions_may_come_later(url):
    with ExperienceStore(url) as store:
        store.add([row()])
        store.add([row(profile={"rows": 3.0})])
        store.add([row(description="words")])
        assert store.profiles() == {"a": {"rows": 3.0}}
        assert store.experiences()[0].description == "words"


def test_an_empty_store_answers(url):
    with ExperienceStore(url) as store:
        store.add([])
        assert len(store) == 0
        assert store.experiences() == []
        assert store.table().empty
        assert store.matrix(task="classification", metric="accuracy").empty


def test_rows_are_added_together_or_not_at_all(url):
    with ExperienceStore(url) as store:
        with pytest.raises(InputError, match="position 1"):
            store.add([row(), "no row"])
        assert len(store) == 0


def write_many(url, worker, count):
    store = ExperienceStore(url)
    for number in range(count):
        store.add([row(f"set{number}", f"w{worker}"), row(f"set{number}", f"w{worker}b")])


def test_concurrent_writers_lose_nothing(url):
    context = multiprocessing.get_context("fork")
    ExperienceStore(url).close()
    workers = [context.Process(target=write_many, args=(url, w, 8)) for w in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    with ExperienceStore(url) as store:
        rows = store.experiences()
        assert len(rows) == 4 * 8 * 2
        assert len({(r.dataset, r.pipeline) for r in rows}) == 4 * 8 * 2


def write_and_report(url, told):
    store = ExperienceStore(url)
    number = 0
    while True:
        store.add([row(f"set{number}", "p"), row(f"set{number}", "q")])
        os.write(told, b".")  # only after the transaction
        number += 1


def test_a_killed_writer_leaves_whole_transactions(url):
    context = multiprocessing.get_context("fork")
    reader, writer = os.pipe()
    ExperienceStore(url).close()
    worker = context.Process(target=write_and_report, args=(url, writer))
    worker.start()
    reported = 0
    while reported < 5:
        reported += len(os.read(reader, 1))
    time.sleep(0.013)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(20)
    os.close(writer)
    while chunk := os.read(reader, 1000):
        reported += len(chunk)
    os.close(reader)
    with ExperienceStore(url) as store:
        rows = store.experiences()
        assert len(rows) % 2 == 0
        assert len(rows) >= 2 * reported
        store.add([row("after", "p")])
        assert len(store) == len(rows) + 1


def test_a_store_in_memory_keeps_its_rows_while_open():
    with ExperienceStore("sqlite://") as store:
        store.add([row()])
        store.add([row("b")])
        assert len(store) == 2


def test_a_store_can_be_sent_to_a_worker(url):
    with ExperienceStore(url) as store:
        store.add([row()])
        assert len(pickle.loads(pickle.dumps(store))) == 1


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "experience.db"
    path.write_bytes(b"this is no database, however long it may be " * 100)
    with pytest.raises(FileFormatError, match=r"experience\.db: is damaged"):
        ExperienceStore(f"sqlite:///{path}")


def test_a_truncated_file_is_named(tmp_path, url):
    with ExperienceStore(url) as store:
        store.add([row(f"set{i}", "p" * 200) for i in range(300)])
    path = tmp_path / "experience.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FileFormatError, match=r"experience\.db"):
        ExperienceStore(url).experiences()


def test_another_database_is_refused(tmp_path, url):
    with sqlite3.connect(tmp_path / "experience.db") as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()
    with pytest.raises(FileFormatError, match="customers"):
        ExperienceStore(url)


def test_another_version_is_refused(tmp_path, url):
    ExperienceStore(url).close()
    with sqlite3.connect(tmp_path / "experience.db") as connection:
        connection.execute("UPDATE gnnlib_schema SET version = 99")
    connection.close()
    with pytest.raises(FileFormatError, match="version 99"):
        ExperienceStore(url)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("sqlite:////no/such/folder/x.db", "does not exist"),
        ("sqlite:////proc/x.db", "cannot be written"),
        ("sqlite:////tmp", "is a folder"),
        ("experience.db", "address"),
        (None, "address"),
    ],
)
def test_an_address_that_cannot_work_is_refused(address, message):
    with pytest.raises(InputError, match=message):
        ExperienceStore(address)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": ""}, "dataset"),
        ({"score": math.inf}, "score"),
        ({"profile": {"x": math.inf}}, "profile"),
        ({"profile": {"x": "many"}}, "profile"),
    ],
)
def test_an_experience_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        row(**change)


def test_fingerprints_tell_data_apart():
    assert fingerprint(b"abc") != fingerprint(b"abd")
    assert fingerprint(b"ab", b"c") != fingerprint(b"a", b"bc")


def test_the_tables_and_the_upsert_are_understood_by_postgresql(url):
    import sqlalchemy
    from sqlalchemy.dialects import postgresql

    with ExperienceStore(url) as store:
        tables = [store._version, store._datasets, store._results]
        made = [str(sqlalchemy.schema.CreateTable(t).compile(dialect=postgresql.dialect())) for t in tables]
        assert "SERIAL NOT NULL" in made[2]
        assert "FOREIGN KEY(dataset) REFERENCES gnnlib_datasets (name)" in made[2]
        store._engine = type("Engine", (), {"dialect": postgresql.dialect()})()
        insert = store._dialect_insert()(store._datasets).values(name="a", profile="{}", description="")
        text = str(insert.on_conflict_do_nothing().compile(dialect=postgresql.dialect()))
        store._engine = type("Engine", (), {"dispose": lambda self: None})()
    assert "ON CONFLICT DO NOTHING" in text


def test_a_missing_driver_and_a_silent_server_are_named_without_the_password():
    from gnnlib.heads.automl.experience_db import translated

    with pytest.raises(InputError, match="driver of") as missing:
        ExperienceStore("postgresql+nodriver://ann:secret@localhost/name")
    assert "secret" not in str(missing.value)
    from sqlalchemy.exc import OperationalError

    with pytest.raises(InputError, match="cannot be used: connection refused"), translated("postgresql://ann:***@h/n"):
        raise OperationalError("select 1", {}, OSError("connection\n refused"))
