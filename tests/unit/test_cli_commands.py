from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gnnlib import __version__
from gnnlib.cli import app as cli
from gnnlib.cli import main
from gnnlib.data import list_datasets, list_instances
from gnnlib.encoder import list_weights

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    ["demo"],
    ["solve"],
    ["solve", "tsp"],
    ["data"],
    ["data", "list"],
    ["data", "fetch"],
    ["weights"],
    ["weights", "list"],
    ["weights", "show"],
    ["versions"],
]
HEAVY = {"torch", "torch_geometric", "matplotlib", "numba", "networkx", "scipy", "numpy"}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def assert_one_line_error(code: int, out: str, err: str) -> None:
    assert code == 2
    assert out == ""
    assert err.startswith("gnnlib: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_help_loads_no_heavy_package() -> None:
    program = "import sys, gnnlib.cli; gnnlib.cli.main(['solve', 'tsp', '--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    text, _, modules = done.stdout.rpartition("\n[")
    assert "Usage: gnnlib solve tsp" in text
    assert not HEAVY & set(modules.replace("'", "").strip("]\n").split(", "))


def test_module_and_command_are_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "gnnlib", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"gnnlib {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    code, out, err = run(capsys, *command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: gnnlib {' '.join(command)}")
    if command not in (["solve"], ["data"], ["weights"]):
        assert f"\n    gnnlib {' '.join(command)}" in out, "the help of a command shows an example"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 2
    assert "solve" in out
    assert "demo" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["slove"],
        ["solve", "tps"],
        ["solve", "tsp"],
        ["solve", "tsp", "capitals", "--tme", "3"],
        ["solve", "tsp", "capitals", "--time", "-1"],
        ["solve", "tsp", "capitals", "--time", "soon"],
        ["solve", "tsp", "capitals", "--seed", "-1"],
        ["solve", "tsp", "capitals", "--prior", "magic"],
        ["solve", "tsp", "capitals", "extra"],
        ["data", "fetch"],
        ["versions", "now"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_one_line_that_names_the_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert_one_line_error(code, out, err)
    assert err.rstrip().endswith("--help`)")


def test_error_of_the_library_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert_one_line_error(*run(capsys, "data", "fetch", "tsplob"))
    assert_one_line_error(*run(capsys, "weights", "show", "no-such-model"))


def test_mistake_in_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        main(["versions"])


def test_interrupt_leaves_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    code, out, err = run(capsys, "demo")
    assert (code, out, err) == (130, "", "interrupted\n")


def test_versions_name_python_and_the_main_packages(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "versions", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["gnnlib"] == __version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"].startswith("2.")
    code, out, _ = run(capsys, "versions")
    assert [line.split()[0] for line in out.splitlines()] == list(found)


def test_data_list_names_every_instance_and_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "data", "list")
    _, document, _ = run(capsys, "data", "list", "--json")
    shown = json.loads(document)
    assert shown["instances"] == list_instances()
    assert [entry["name"] for entry in shown["datasets"]] == [dataset.name for dataset in list_datasets()]
    for name in [*shown["instances"], *(entry["name"] for entry in shown["datasets"])]:
        assert name in text
    assert all(entry["licence"] and entry["bytes"] > 0 for entry in shown["datasets"])


def test_fetch_from_a_mirror_prints_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = list_datasets()[0]
    folder = tmp_path / source.folder
    folder.mkdir(parents=True)
    target = folder / source.files[0].name
    target.write_text("not the registered file")
    monkeypatch.setenv("GNNLIB_DATA", str(tmp_path))
    code, out, err = run(capsys, "data", "fetch", f"{source.name}/{source.files[0].name}")
    assert (code, out) == (2, "")
    assert "SHA-256" in err


def test_weights_list_shows_every_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "weights", "list", "--json")
    assert code == 0
    assert [card["name"] for card in json.loads(out)] == list_weights()
    for name in list_weights():
        code, out, _ = run(capsys, "weights", "show", name)
        assert code == 0
        assert "purpose" in out
        assert "command" in out
