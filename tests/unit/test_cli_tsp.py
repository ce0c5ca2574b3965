from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gnnlib.cli import main
from gnnlib.cli.demo import DEMO_INSTANCES
from gnnlib.cli.tsp import Prior, load_problem
from gnnlib.heads.combinatorial.tsp.decode import PRIORS
from gnnlib.heads.combinatorial.tsp.io import read_tour, write_tsplib
from gnnlib.heads.combinatorial.tsp.problem import TSP

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(5).integers(0, 1000, size=(40, 2)).astype(float)
    write_tsplib(TSP.from_coords(points, metric="EUC_2D", name="forty"), "forty.tsp")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_file_becomes_a_certified_tour(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "solve", "tsp", "forty.tsp", "--time", "0.3", "--out", "forty.tour", "--plot", "forty.png"
    )
    assert code == 0
    assert "lower bound" in out
    assert "wrote forty.tour" in out
    problem = TSP.from_file("forty.tsp")
    length = problem.length(read_tour("forty.tour"))
    assert f"{length:,}" in out
    assert (folder / "forty.png").read_bytes().startswith(PNG)


def test_json_is_all_that_stdout_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "solve", "tsp", "forty.tsp", "--time", "0.3", "--seed", "3", "--json", "--out", "x.tour")
    told = json.loads(out)
    assert code == 0
    assert told["name"] == "forty"
    assert told["params"]["seed"] == 3
    assert 0.0 < told["lower_bound"] <= told["length"] == TSP.from_file("forty.tsp").length(told["order"])
    assert read_tour(folder / "x.tour").tolist() == told["order"]


def test_gzipped_file_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "forty.tsp.gz").write_bytes(gzip.compress((folder / "forty.tsp").read_bytes()))
    assert run(capsys, "solve", "tsp", "forty.tsp.gz", "--time", "0.1")[0] == 0


def test_shipped_name_stands_for_a_file_unless_there_is_one(folder: Path) -> None:
    assert load_problem("capitals").num_cities == 195
    (folder / "capitals").write_bytes((folder / "forty.tsp").read_bytes())
    assert load_problem("capitals").num_cities == 40


def test_time_of_zero_gives_a_tour(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "solve", "tsp", "forty.tsp", "--time", "0")[0] == 0


@pytest.mark.parametrize("prior", ["none", "alpha", "softdist", "knn"])
def test_prior_reaches_the_solver(folder: Path, capsys: pytest.CaptureFixture[str], prior: str) -> None:
    code, out, _ = run(capsys, "solve", "tsp", "forty.tsp", "--time", "0.2", "--json", "--prior", prior)
    assert code == 0
    assert json.loads(out)["params"]["prior"] == (None if prior == "none" else prior)


def test_priors_of_the_command_are_those_of_the_solver() -> None:
    assert {None if prior is Prior.none else prior.value for prior in Prior} == set(PRIORS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.tsp"], "there is no file 'nowhere.tsp'"),
        (["capitols"], "did you mean the shipped instance 'capitals'"),
        (["."], "s a directory"),
        (["broken.tsp"], "broken.tsp:"),
        (["empty.tsp"], "empty.tsp"),
        (["forty.tsp", "--out", "no/such/x.tour"], "the folder no/such of x.tour does not exist"),
        (["forty.tsp", "--out", "."], ". is a folder; name a file"),
        (["forty.tsp", "--plot", "x.doc"], "a picture ends in .png"),
        (["forty.tsp", "--time", "nan"], "Invalid value for '--time'"),
        (["forty.tsp", "--warm", "x"], "No such option"),
    ],
)
def test_bad_input_is_one_line_on_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (folder / "broken.tsp").write_text(
        "NAME: broken\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 x\n"
    )
    (folder / "empty.tsp").write_text("")
    code, out, err = run(capsys, "solve", "tsp", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("gnnlib: ")
    assert err.count("\n") == 1


def test_demo_prints_a_table_and_writes_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "demo", "tsp", "--out", "pictures", "--time", "1")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    for name in DEMO_INSTANCES:
        row = next(words for words in rows if words and words[0] == name)
        length, bound = (int(word.replace(",", "")) for word in row[2:4])
        assert bound <= length
        assert (folder / "pictures" / f"{name}.tour").is_file()
    pictures = {path.name for path in (folder / "pictures").glob("*.png") if path.read_bytes().startswith(PNG)}
    assert pictures == {f"{name}.png" for name in DEMO_INSTANCES} | {"capitals_trace.png", "capitals_scores.png"}


def test_demo_refuses_a_file_as_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "demo", "--out", "forty.tsp")
    assert (code, out) == (2, "")
    assert err == "gnnlib: forty.tsp is a file; name a folder\n"
