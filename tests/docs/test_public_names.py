from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import gnnlib

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "gnnlib" / "__init__.pyi"


def stub_names() -> list[str]:
    imports = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)]
    return sorted(alias.asname or alias.name for node in imports for alias in node.names)


NAMES = [name for name in stub_names() if name != "__version__"]
HEADS = [folder for folder in (ROOT / "gnnlib" / "heads").iterdir() if (folder / "__init__.py").exists()]
OBJECTS = [name for name in NAMES if not isinstance(getattr(gnnlib, name), ModuleType)]


def test_names_of_the_package_are_those_of_its_stub() -> None:
    assert sorted(dir(gnnlib)) == stub_names()


def test_top_level_stays_small() -> None:
    assert len(OBJECTS) <= 30 + 15 * (len(HEADS) - 1)


def test_readme_lists_every_public_name_and_no_other() -> None:
    text = (ROOT / "README.md").read_text()
    section = text.split("## Public names\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    assert sorted(re.findall(r"`(\w+)`", "".join(row.split("|")[2] for row in rows))) == sorted(NAMES)


@pytest.mark.parametrize("name", OBJECTS)
def test_public_name_is_documented_with_an_example(name: str) -> None:
    documented = getattr(gnnlib, name)
    text = inspect.getdoc(documented)
    assert text, f"{name} has no docstring"
    if not (inspect.isclass(documented) and issubclass(documented, gnnlib.GnnlibError)):
        assert ">>> " in text, f"the docstring of {name} shows no example"


@pytest.mark.parametrize("name", OBJECTS)
def test_public_callable_swallows_no_keywords(name: str) -> None:
    documented = getattr(gnnlib, name)
    if inspect.isclass(documented) and issubclass(documented, Exception):
        return
    kinds = {parameter.kind for parameter in inspect.signature(documented).parameters.values()}
    if name != "Head":  # the base class hands its subclasses' arguments on
        assert inspect.Parameter.VAR_KEYWORD not in kinds
