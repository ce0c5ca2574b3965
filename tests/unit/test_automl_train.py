"""One door to everything that this head ships."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

import gnnlib.heads.automl as head
from gnnlib.heads.automl.train import MODULES, main


def test_every_name_has_a_module_with_a_command(capsys):
    for name, module in MODULES.items():
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        assert "usage:" in capsys.readouterr().out
        assert callable(importlib.import_module(module).main)


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["magic"])
    assert "invalid choice: 'magic'" in capsys.readouterr().err


def test_options_reach_the_module(tmp_path):
    (tmp_path / "datasets_index.json").write_text("[]")
    store = f"sqlite:///{tmp_path / 'e.db'}"
    assert main(["experience", "--data", str(tmp_path), "--store", store]) == 0
    assert (tmp_path / "e.db").is_file()


def test_cards_name_commands_that_exist():
    shipped = Path(head.__file__).parent / "shipped"
    for path in shipped.glob("*.json"):
        command = json.loads(path.read_text())["command"]
        module = command.split()[2]
        assert command.startswith("python -m gnnlib.heads.automl.")
        assert callable(importlib.import_module(module).main)


def test_the_rooms_of_a_head_have_their_names():
    rooms = ["problem", "io", "graph", "head", "decode", "metrics", "train", "baselines", "plotting", "api"]
    folder = Path(head.__file__).parent
    assert [room for room in rooms if not (folder / f"{room}.py").is_file()] == []
