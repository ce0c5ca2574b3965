from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gnnlib.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ("README.md", "CONTRIBUTING.md")
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(paper: str, *languages: str) -> list[tuple[int, str]]:
    """Line number and text of each fenced block in one of the languages."""
    text = (ROOT / paper).read_text()
    return [
        (text.count("\n", 0, match.start(3)), textwrap.dedent(match[3]))
        for match in FENCE.finditer(text)
        if match[2] in languages
    ]


def commands(paper: str) -> list[str]:
    lines = [line.strip() for _, block in blocks(paper, "console", "bash", "sh") for line in block.splitlines()]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines if line]


@pytest.mark.parametrize("paper", PAPERS)
def test_python_blocks_run_one_after_the_other(paper: str, tmp_path: Path) -> None:
    lines: list[str] = []
    for start, block in blocks(paper, "python"):
        lines += [""] * (start - len(lines)) + block.splitlines()  # keeps the line numbers of the paper in tracebacks
    program = tmp_path / f"{paper}.py"
    program.write_text("\n".join(lines) + "\n")
    quiet = ["-W", "error", "-W", "ignore:`torch.jit:DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *quiet, program.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_readme_shows_the_main_job_and_a_domain_of_ones_own() -> None:
    code = "".join(block for _, block in blocks("README.md", "python"))
    for wanted in ("solve_tsp(", "GraphSpec(", "gnnlib.Head", "fit(", ".save(", ".load("):
        assert wanted in code


@pytest.mark.parametrize("paper", PAPERS)
def test_make_targets_that_papers_name_exist(paper: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    text = (ROOT / paper).read_text()
    named = set(re.findall(r"`make ([a-z]+)", text)) | {c.split()[1] for c in commands(paper) if c.startswith("make ")}
    assert named
    assert named <= targets


@pytest.mark.parametrize("paper", PAPERS)
def test_commands_and_options_that_papers_name_exist(paper: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(paper):
        if not command.startswith("gnnlib "):
            continue
        words = command.split()[1:]
        options = [word for word in words if word.startswith("--")]
        path = words[:2] if words[0] in {"solve", "data", "weights"} else words[:1]
        assert main([*path, "--help"]) == 0, command
        text = capsys.readouterr().out
        for option in options:
            assert re.search(rf"{re.escape(option)}\b", text), f"{command}: no option {option}"


@pytest.mark.parametrize("paper", PAPERS)
def test_relative_links_lead_somewhere(paper: str) -> None:
    text = (ROOT / paper).read_text()
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)]+)\)", text) if not t.startswith(("http", "#"))]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_continuous_integration_calls_the_target_that_the_readme_names() -> None:
    assert "make test" in commands("README.md")
    assert "make test" in (ROOT / ".ci" / "run").read_text()
