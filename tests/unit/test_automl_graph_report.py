"""The table of the graph of known data sets: who beats whom, when a warm search is there, and what is met."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def report(monkeypatch):
    if not (FOLDER / "report_automl_graph.py").exists():
        pytest.skip("the benchmarks are not part of this checkout")
    monkeypatch.syspath_prepend(str(FOLDER))
    import report_automl_graph

    yield report_automl_graph
    for name in ("report_automl_graph", "report_tables", "record"):
        sys.modules.pop(name, None)


def single(score):
    return {"metric": "log_loss", "score": score, "balanced_accuracy": score, "fit_s": 1.0, "cpu_s": 1.0}


def search(score, trace, metric="log_loss"):
    return {"metric": metric, "score": score, "fit_s": 60.0, "cpu_s": 30.0, "trace": trace, "complete": 5}


def test_all_learners_must_be_beaten_and_ties_do_not_count(report):
    scores = {"single-graph": (0.9, 0.8, 0.7), "lightgbm": (0.8, 0.8, 0.6), "histgb": (0.7, 0.1, 0.75)}
    rows = {f"{system}|t{i}|0|0": single(value) for system, row in scores.items() for i, value in enumerate(row)}
    runs = report.by_method(rows)
    assert report.beats(runs, "single-graph", ["lightgbm", "histgb"], "score") == (1, 3)
    assert report.beats(runs, "single-graph", ["lightgbm"], "score") == (2, 3)


def test_a_table_that_a_rival_lacks_is_not_counted(report):
    rows = {"single-graph|a|0|0": single(1.0), "single-graph|b|0|0": single(1.0), "lightgbm|a|0|0": single(0.5)}
    assert report.beats(report.by_method(rows), "single-graph", ["lightgbm"], "score") == (1, 1)


def test_a_failed_run_loses(report):
    rows = {"single-graph|a|0|0": {"error": "killed"}, "lightgbm|a|0|0": single(-5.0)}
    assert report.beats(report.by_method(rows), "single-graph", ["lightgbm"], "score") == (0, 1)


@pytest.mark.parametrize(("metric", "target", "second"), [("log_loss", 0.4, 7.0), ("roc_auc", 0.4, 2.0)])
def test_the_second_is_the_first_that_is_as_good(report, metric, target, second):
    assert report.reached([[2.0, 0.5], [7.0, 0.4], [9.0, 0.3]], target, metric) == second


def test_a_score_that_is_never_there_counts_the_whole_time(report):
    rows = {
        "search-graph|a|0|60": search(-0.1, [[2.0, 0.5]]),
        "search-cold|a|0|60": search(-0.1, [[2.0, 0.9], [50.0, 0.4]]),
        "search-graph|b|0|60": search(-0.1, [[3.0, 0.2]]),
        "search-cold|b|0|60": search(-0.1, [[50.0, 0.4]]),
    }
    times = report.warm_seconds(report.by_method(rows), "search-graph|60", "search-cold|60")
    assert times == [(60.0, False), (3.0, True)]


def test_effort_counts_cpu_seconds_of_either_run(report):
    rows = {
        "search-graph|a|0|60": {**search(-0.1, [[20.0, 0.4]]), "cpu_s": 15.0},  # a quarter of the core
        "search-cold|a|0|60": {**search(-0.1, [[50.0, 0.4]]), "cpu_s": 50.0},
    }
    assert report.warm_effort(report.by_method(rows), "search-graph|60", "search-cold|60") == [pytest.approx(0.1)]


def test_goals_are_told_as_met_or_missed(report, monkeypatch):
    rows = {
        "single-graph|a|0|0": single(0.9),
        **{f"{learner}|a|0|0": single(0.5) for learner in ("lightgbm", "histgb", "forest")},
        "search-graph|a|0|60": search(-0.1, [[30.0, 0.3]]),
        "search-graph|a|0|20": search(-0.2, [[5.0, 0.3]]),
        "search-cold|a|0|60": search(-0.3, [[40.0, 0.4]]),
        "search-portfolio|a|0|60": search(-0.1, [[40.0, 0.4]]),
    }
    payload = {"date": "d", "commit": "c", "machine": "m", "rows": rows}
    monkeypatch.setattr(report.record, "read", lambda name: payload if name == "automl_graph" else None)
    lines = report.lines()
    goals = [line for line in lines if line.startswith("| first pipeline beats")]
    assert len(goals) == 2
    assert all(line.endswith("100% (1 of 1) | met |") for line in goals)
    assert next(line for line in lines if line.startswith("| search with graph")).endswith("30.0 s | **missed** |")
    cold = next(line for line in lines if line.startswith("| cold"))
    assert cold.startswith("| cold: no list, 60 s | 4.00 | 1 of 1 | 0 of 1 |")
