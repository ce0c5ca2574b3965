"""The tables of the protein benchmarks: rows of one matter share a table, and goals are told as met or missed."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def report(monkeypatch):
    if not (FOLDER / "report_protein.py").exists():
        pytest.skip("the benchmarks are not part of this checkout")
    monkeypatch.syspath_prepend(str(FOLDER))
    import report_protein

    yield report_protein
    for name in ("report_protein", "report_tables", "record"):
        sys.modules.pop(name, None)


def payload(rows):
    return {"date": "d", "commit": "c", "machine": "m", "rows": rows, "notes": None}


def test_rows_with_other_columns_share_a_table_with_dashes(report):
    rows = [
        {"set": "TS50", "method": "commonest amino acid", "mean_recovery": 9.8},
        {"set": "TS50", "method": "someone", "mean_recovery": 44.9, "source": "a paper"},
        {"set": "TS50", "method": "gnnlib, 3 pass(es)", "ms_per_chain": 60.0, "mean_recovery": 35.0},
    ]
    lines = [line for line in report.section("design", payload(rows)) if line.startswith("|")]
    assert lines[0] == "| set | method | mean recovery | ms per chain | source | goal |"
    assert lines[2] == "| TS50 | commonest amino acid | 9.800 | - | - | - |"
    assert lines[4] == "| TS50 | gnnlib, 3 pass(es) | 35.0 | 60.0 | - | mean recovery ≥ 40 **missed** |"
    assert len(lines) == 5


def test_tasks_of_one_matter_share_a_table(report):
    tasks = ["states", "torsions", "states", "contacts from the sequence", "contacts with 5 % of distances", "fold"]
    rows = [{"task": task, "method": "m", "value": number} for number, task in enumerate(tasks)]
    assert [[row["value"] for row in part] for part in report.parts(rows)] == [[0, 1, 2], [3, 4], [5]]


@pytest.mark.parametrize(("value", "told"), [(49.9, "met"), (50.0, "met"), (50.1, "**missed**")])
def test_a_goal_is_met_on_its_own_side(report, value, told):
    row = {"distances": "random 5 %, noise 1 A", "method": "gnnlib reconstruct", "cpu_ms_median": value}
    row |= {"rmsd_angstrom": None, "right_hand_percent": 98.9}
    words = [goal.told(row) for goal in report.GOALS if goal.fits("folding", row)]
    assert words == ["right hand percent ≥ 99 **missed**", f"cpu ms median ≤ 50 {told}"]


def test_peers_have_no_goal(report):
    row = {"distances": "random 5 %, noise 1 A", "method": "SMACOF alone", "rmsd_angstrom": 4.2}
    assert not any(goal.fits("folding", row) for goal in report.GOALS)


def test_every_goal_names_a_section(report):
    assert {goal.section for goal in report.GOALS} <= set(report.TITLES)
