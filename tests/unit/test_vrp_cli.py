"""The command `gnnlib solve vrp`."""

from __future__ import annotations

import json

import pytest

from gnnlib.cli import main
from gnnlib.heads.combinatorial.vrp.io import read_routes, read_vrp
from gnnlib.heads.combinatorial.vrp.metrics import check_routes

TINY = """NAME : tiny
TYPE : CVRP
DIMENSION : 6
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 0 3
3 4 3
4 4 0
5 -2 1
6 -3 -3
DEMAND_SECTION
1 0
2 4
3 5
4 6
5 3
6 {last}
DEPOT_SECTION
1
-1
EOF
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.vrp").write_text(TINY.format(last=2))
    (tmp_path / "heavy.vrp").write_text(TINY.format(last=20))
    return tmp_path


def run(capsys, *arguments):
    capsys.readouterr()
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_file_becomes_checked_routes_in_every_form(folder, capsys):
    targets = ["--out", "x.sol", "--html", "x.html", "--geojson", "x.json", "--plot", "x.png"]
    code, out, _ = run(capsys, "solve", "vrp", "tiny.vrp", "--time", "0.2", *targets)
    assert code == 0
    stored = read_routes("x.sol")
    found = check_routes(read_vrp("tiny.vrp"), stored.routes)
    assert found.feasible
    assert found.cost == stored.cost
    assert f"{stored.cost:.10g}" in out
    assert (folder / "x.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "x.json").read_text())["type"] == "FeatureCollection"
    assert (folder / "x.html").read_text().startswith("<!doctype html>")
    assert "wrote x.html" in out


def test_json_is_all_that_stdout_holds(folder, capsys):
    code, out, _ = run(capsys, "solve", "vrp", "tiny.vrp", "--time", "0.1", "--seed", "3", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["feasible"] is True
    assert told["params"]["seed"] == 3
    assert told["cost"] == check_routes(read_vrp("tiny.vrp"), told["routes"]).cost


def test_the_rounding_can_be_chosen(folder, capsys):
    _, out, _ = run(capsys, "solve", "vrp", "tiny.vrp", "--time", "0.1", "--convention", "exact", "--json")
    assert json.loads(out)["cost"] % 1.0 > 0.0


def test_a_warm_start_is_not_made_worse(folder, capsys):
    (folder / "start.sol").write_text("Route #1: 1 2\nRoute #2: 3 4\nRoute #3: 5\n")
    cost = check_routes(read_vrp("tiny.vrp"), read_routes("start.sol").routes).cost
    _, out, _ = run(capsys, "solve", "vrp", "tiny.vrp", "--time", "0.1", "--warm-start", "start.sol", "--json")
    assert json.loads(out)["cost"] <= cost


def test_a_client_that_nobody_can_serve_is_named(folder, capsys):
    code, out, _ = run(capsys, "solve", "vrp", "heavy.vrp", "--time", "0.1")
    assert code == 0
    assert "nobody can serve client 5: its delivery 20 is over the capacity 10" in out
    assert "unserved clients  1" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.vrp"], "No such file or directory: nowhere.vrp"),
        (["cut.vrp"], "cut.vrp"),
        (["tiny.vrp", "--plot", "x.txt"], "a picture ends in"),
        (["tiny.vrp", "--out", "no/where.sol"], "does not exist"),
        (["tiny.vrp", "--time", "-1"], "--time"),
        (["tiny.vrp", "--warm-start", "bad.sol"], "bad.sol:1: a route must hold client numbers"),
    ],
)
def test_bad_calls_end_with_one_line_and_code_two(folder, capsys, arguments, message):
    (folder / "cut.vrp").write_text(TINY[:180])
    (folder / "bad.sol").write_text("Route #1: 0\n")
    code, _, err = run(capsys, "solve", "vrp", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
