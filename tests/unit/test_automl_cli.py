"""``gnnlib automl``."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gnnlib.cli import main
from gnnlib.cli.automl import _guess_task, _write
from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor, _AutoEstimator
from gnnlib.heads.automl.io import read_table
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.stop import MaxTrials


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.random(80), "b": rng.choice(["x", "y"], 80)})
    frame["size"] = 3 * frame["a"] + (frame["b"] == "x")
    frame["kind"] = np.where(frame["size"] > 2, "large", "small")
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_fit_writes_model_leaderboard_code_and_figures(table, tmp_path, capsys):
    out = tmp_path / "model"
    words = ["automl", "fit", str(table), "--target", "kind", "--time", "4", "--describe", "sizes", "--out", str(out)]
    assert main(words) == 0
    assert "AutoML classification" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} - {"confusion.png"} == {
        "model.joblib",
        "leaderboard.csv",
        "pipeline.py",
        "result.json",
        "anytime.png",
        "leaderboard.png",
    }
    facts = json.loads((out / "result.json").read_text())
    assert facts["target"] == "kind"
    assert facts["column_names"] == ["a", "b", "size"]
    assert main(["automl", "predict", str(out), str(table)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "prediction,p(large),p(small)"
    assert len(lines) == 81


def test_predictions_go_to_a_file_and_lost_columns_are_named(table, tmp_path, capsys):
    frame = pd.read_csv(table)
    params = AutoMLParams(include=("ridge",), num_folds=2)
    model = AutoRegressor(stop=MaxTrials(1), params=params).fit(frame[["a", "b"]], frame["size"])
    model.save(tmp_path / "m.joblib")
    out = tmp_path / "said.csv"
    assert main(["automl", "predict", str(tmp_path / "m.joblib"), str(table), "--out", str(out)]) == 0
    assert np.corrcoef(pd.read_csv(out)["prediction"], frame["size"])[0, 1] > 0.9
    frame.drop(columns="a").to_csv(table, index=False)
    assert main(["automl", "predict", str(tmp_path / "m.joblib"), str(table)]) == 2
    assert "has no column 'a'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "gone"], "'gone' is not a column"),
        (["--target", "kind", "--task", "luck"], "must be classification or regression"),
        (["--target", "kind", "--metric", "r2"], "is for regression"),
        (["--target", "kind", "--store", "nonsense"], "address"),
    ],
)
def test_bad_requests_end_with_one_line(table, tmp_path, capsys, words, message):
    assert main(["automl", "fit", str(table), "--time", "1", "--out", str(tmp_path / "m"), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_file_in_the_way_and_a_missing_table_are_named(table, capsys):
    assert main(["automl", "fit", str(table), "--target", "kind", "--out", str(table)]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err
    assert main(["automl", "fit", "nowhere.csv", "--target", "kind"]) == 2
    assert "there is no file nowhere.csv" in capsys.readouterr().err


@pytest.mark.parametrize(("target", "figure"), [("size", "residuals.png"), ("kind", "confusion.png")])
def test_a_figure_shows_predictions_out_of_fold(table, tmp_path, target, figure):
    frame = pd.read_csv(table)
    kind, name = (AutoRegressor, "ridge") if target == "size" else (AutoClassifier, "gnb")
    params = AutoMLParams(include=(name,), num_folds=2)
    model = kind(stop=MaxTrials(1), params=params).fit(frame[["a", "b"]], frame[target])
    assert figure in {path.name for path in _write(model, frame, target, tmp_path)}
    assert (tmp_path / figure).stat().st_size > 1_000


@pytest.mark.filterwarnings("ignore:0 s are too short")
def test_no_time_at_all_gives_the_prior_and_no_figure_of_predictions(table, tmp_path, capsys):
    out = tmp_path / "model"
    assert main(["automl", "fit", str(table), "--target", "kind", "--time", "0", "--out", str(out)]) == 0
    assert "prior" in capsys.readouterr().out
    assert "confusion.png" not in {path.name for path in out.iterdir()}
    assert main(["automl", "predict", str(out), str(table)]) == 0


def test_a_folder_that_cannot_be_written_is_named_before_the_search(table, monkeypatch, capsys):
    def fail(*args, **keywords):
        raise AssertionError("the search began")

    monkeypatch.setattr(_AutoEstimator, "fit", fail)
    words = ["automl", "fit", str(table), "--target", "kind", "--time", "60", "--out", "/proc/model"]
    assert main(words) == 2
    assert "cannot write /proc/model" in capsys.readouterr().err


def test_predictions_that_cannot_be_written_are_named(table, tmp_path, capsys):
    frame = pd.read_csv(table)
    params = AutoMLParams(include=("ridge",), num_folds=2)
    AutoRegressor(stop=MaxTrials(1), params=params).fit(frame[["a", "b"]], frame["size"]).save(tmp_path / "m.joblib")
    words = ["automl", "predict", str(tmp_path / "m.joblib"), str(table), "--out"]
    assert main([*words, str(tmp_path / "nowhere" / "p.csv")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main([*words, str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_tables_are_read_and_damage_is_told(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n1\t2\n3\t4\n")
    assert read_table(str(path)).shape == (2, 2)
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\xff\xfe\x00a,b\n1\n\x00")
    with pytest.raises(FileFormatError, match="is no table"):
        read_table(str(bad))
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(FileFormatError, match="is no table"):
        read_table(str(empty))
    with pytest.raises(InputError, match="there is no file"):
        read_table(str(tmp_path / "none.csv"))


def test_the_task_follows_the_target():
    assert _guess_task(pd.Series(["a", "b"])) == "classification"
    assert _guess_task(pd.Series([0, 1, 1, 0])) == "classification"
    assert _guess_task(pd.Series([True, False])) == "classification"
    assert _guess_task(pd.Series(range(100))) == "regression"
    assert _guess_task(pd.Series([0.5, 1.0, 2.0])) == "regression"
