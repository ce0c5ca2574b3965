from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from gnnlib.cli import scene as commands
from gnnlib.errors import GnnlibError, InputError
from gnnlib.heads.scene.problem import Scene

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lines = [f"{10 * step} {person} {0.5 * step} {person}" for step in range(30) for person in (1, 2)]
    (tmp_path / "walk.txt").write_text("\n".join(lines))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    typer.main.get_command(commands.app).main(list(arguments), standalone_mode=False)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_kind_of_scene_stands_for_a_file_unless_there_is_one(folder: Path) -> None:
    assert commands.load_scene("street", seed=3).name == "street-3"
    (folder / "street").write_bytes((folder / "walk.txt").read_bytes())
    assert commands.load_scene("street").num_agents == 2
    with pytest.raises(InputError, match="there is no file 'nowhere'"):
        commands.load_scene("nowhere")


def test_predictions_become_a_table_and_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "predict", "street", "--method", "kinematic", "--plot", "street.png")
    assert "probability" in out
    assert "wrote street.png" in out
    assert (folder / "street.png").read_bytes().startswith(PNG)


def test_json_is_all_that_stdout_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(
        capsys, "predict", "intersection", "--method", "kinematic", "--at-step", "25", "--horizon", "12", "--json"
    )
    told = json.loads(out)
    assert (told["scene"], told["at_step"]) == ("intersection-0", 25)
    assert len(told["xy"][0][0]) == 12
    assert all(abs(sum(row) - 1.0) < 1e-6 for row in told["probability"])


def test_animation_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "animate", "walk.txt", "walk.gif", "--no-predict", "--frames", "3")
    assert "wrote walk.gif" in out
    assert (folder / "walk.gif").read_bytes()[:4] == b"GIF8"


@pytest.mark.parametrize("policy", ["idm", "constant-velocity", "log"])
def test_drive_is_reported(folder: Path, capsys: pytest.CaptureFixture[str], policy: str) -> None:
    out, _ = run(capsys, "simulate", "street", "--policy", policy, "--others", "log", "--json")
    told = json.loads(out)
    assert told["name"] == "street-0"
    assert told["others"] == "log"
    assert told["progress_m"] is not None


def test_driven_vehicle_can_be_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = commands.load_scene("highway")
    assert isinstance(scene, Scene)
    row = next(r for r in scene.present_at(19) if scene.valid[r, 19:60].all())
    out, _ = run(capsys, "simulate", "highway", "--policy", "log", "--ego", str(scene.agents[row]))
    assert f"vehicle {scene.agents[row]}" in out
    with pytest.raises(GnnlibError, match="no agent '99999'"):
        run(capsys, "simulate", "highway", "--ego", "99999")


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "nowhere"),
        ("predict", "street", "--plot", "picture.txt"),
        ("animate", "street", "film.mp4"),
        ("predict", "street", "--method", "kinematic", "--at-step", "100000"),
        ("predict", "street", "--method", "kinematic", "--modes", "3"),
    ],
)
def test_bad_requests_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    with pytest.raises(GnnlibError):
        run(capsys, *arguments)


def test_demo_writes_its_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.demo(folder)
    out = capsys.readouterr().out
    assert "SimReport" in out
    for name in ("intersection.png", "intersection.gif", "sudden_stop.gif"):
        assert (folder / name).stat().st_size > 10_000
        assert name in out
