from __future__ import annotations

import csv
import json

import pytest

from gnnlib.errors import FileFormatError
from gnnlib.training import FitConfig, FitResult
from gnnlib.training.history import CsvLog

ROWS = [{"epoch": n, "step": 10 * n, "train/loss": 1 / n} for n in (1, 2, 3)]


def read(path):
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_rows_are_appended_one_by_one(tmp_path):
    path = tmp_path / "new" / "log.csv"
    log = CsvLog(path)
    for count, row in enumerate(ROWS, start=1):
        log.write(row)
        assert read(path) == ROWS[:count]


def test_a_second_run_is_appended_under_the_same_header(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        log = CsvLog(path)
        for row in ROWS:
            log.write(row)
    assert read(path) == ROWS + ROWS
    assert path.read_text().count("epoch") == 1


def test_columns_may_come_in_another_order_but_must_be_the_same(tmp_path):
    path = tmp_path / "log.csv"
    CsvLog(path).write(ROWS[0])
    CsvLog(path).write(dict(reversed(ROWS[1].items())))
    assert read(path) == ROWS[:2]
    with pytest.raises(FileFormatError, match=r"log.csv:1: the log has the columns"):
        CsvLog(path).write({"epoch": 1, "other": 2.0})


def test_a_resumed_run_drops_later_rows_and_torn_lines(tmp_path):
    path = tmp_path / "log.csv"
    log = CsvLog(path)
    for row in ROWS:
        log.write(row)
    with path.open("a") as file:
        file.write("4,4")
    resumed = CsvLog(path, after_epoch=1)
    assert read(path) == ROWS[:1]
    resumed.write(ROWS[1])
    assert read(path) == ROWS[:2]


def test_resuming_keeps_the_rows_of_former_runs(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        log = CsvLog(path)
        for row in ROWS:
            log.write(row)
    CsvLog(path, after_epoch=2)
    assert read(path) == ROWS + ROWS[:2]


def test_an_empty_file_is_a_new_log_and_another_table_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.touch()
    CsvLog(path).write(ROWS[0])
    assert read(path) == ROWS[:1]
    path.write_text("name,age\nAda,36\n")
    with pytest.raises(FileFormatError, match="must begin with a header that names `epoch`"):
        CsvLog(path)
    assert path.read_text() == "name,age\nAda,36\n"


def test_a_result_is_printed_and_exported(tmp_path):
    history = [*ROWS, {"epoch": 4, "step": 40, "train/loss": 0.2, "val/loss": 0.3}]
    result = FitResult(history, history[-1], 4, 40, 1.5, "epochs", FitConfig())
    text = result.to_csv(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text() == text
    assert text.splitlines()[0] == "epoch,step,train/loss,val/loss"
    assert text.splitlines()[1] == "1,10,1.0,"
    assert "val/loss" in result.summary()
    assert "0.3" in result.summary()
    assert json.loads(json.dumps(result.to_dict()))["history"][3]["val/loss"] == 0.3
    assert "none was completed" in FitResult([], {}, 0, 0, 0.0, "stop", FitConfig()).summary()
