from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gnnlib import __version__

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("gnnlib", "datasets", "pyproject.toml", "setup.cfg", "setup.py", "MANIFEST.in", "README.md", "LICENSE")

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="the wheel is built from a checkout; these tests run elsewhere"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sources, so that no build folder of the checkout can reach the wheel."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", folder], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_outside(installed: Path, folder: Path, *arguments: str, **environment: str) -> str:
    """Run Python on the unpacked wheel, in a folder outside the repository."""
    variables = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", **environment}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_every_module_with_its_types(names: set[str], checkout: Path) -> None:
    modules = {str(path.relative_to(checkout)) for path in (checkout / "gnnlib").rglob("*.py")}
    assert modules <= names
    assert {"gnnlib/py.typed", "gnnlib/__init__.pyi"} <= names


def test_wheel_holds_the_shipped_data(names: set[str], checkout: Path) -> None:
    files = [path for path in (checkout / "datasets").rglob("*") if path.is_file()]
    data = {f"gnnlib/{path.relative_to(checkout)}" for path in files}
    assert data <= names
    assert {"gnnlib/datasets/registry.toml", "gnnlib/datasets/capitals/capitals.tsp"} <= names


def test_wheel_holds_each_trained_model_with_its_card(names: set[str], checkout: Path) -> None:
    models = {f"gnnlib/weights/{path.stem}" for path in (checkout / "gnnlib" / "weights").glob("*.safetensors")}
    stored = {name for name in names if name.startswith("gnnlib/weights/")}
    trained = {model + ending for model in models for ending in (".safetensors", ".json")}
    assert stored == trained | {"gnnlib/weights/protein_chain_prior.json"}  # a table of frequencies, no network


def test_wheel_holds_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {"gnnlib", f"gnnlib-{__version__}.dist-info"}
    assert not [name for name in names if "test_" in name or name.endswith((".ipynb", ".pyc", ".nbi", ".nbc"))]


def test_no_file_of_the_wheel_is_large(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert {info.filename: info.file_size for info in archive.infolist() if info.file_size >= 5_000_000} == {}


def test_metadata_names_licence_extras_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = f"gnnlib-{__version__}.dist-info"
        metadata = email.message_from_bytes(archive.read(f"{folder}/METADATA"))
        commands = archive.read(f"{folder}/entry_points.txt").decode()
        assert f"{folder}/licenses/LICENSE" in archive.namelist()
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"viz", "bench", "lkh", "dev"} <= set(metadata.get_all("Provides-Extra", []))
    assert "gnnlib = gnnlib.cli:main" in commands
    assert str(metadata.get_payload()).strip(), "the README is the long description"


def test_installed_wheel_prints_its_versions(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run_outside(installed, tmp_path, "-m", "gnnlib", "versions", "--json"))
    assert found["gnnlib"] == __version__


def test_installed_wheel_solves_a_shipped_instance(installed: Path, tmp_path: Path) -> None:
    program = """
import gnnlib, json
from gnnlib.data import load_instance
points = load_instance("uniform_100").coords[:20]
result = gnnlib.solve_tsp(points, stop=gnnlib.MaxIterations(5))
print(json.dumps({"file": gnnlib.__file__, "order": sorted(result.order.tolist()), "gap": result.gap}))
"""
    # interpreted kernels: compiling them again for the new place takes longer than solving twenty cities without
    told = json.loads(run_outside(installed, tmp_path, "-c", program, NUMBA_DISABLE_JIT="1"))
    assert Path(told["file"]).is_relative_to(installed)
    assert told["order"] == list(range(20))
    assert told["gap"] < 0.1


def test_installed_wheel_lists_the_shipped_data(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(run_outside(installed, tmp_path, "-m", "gnnlib", "data", "list", "--json"))
    assert "capitals" in listed["instances"]
    assert any(entry["name"] == "tsplib" for entry in listed["datasets"])
