"""What every benchmark writes beside its figures: commit, date, machine, versions; one JSON file a benchmark."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results"


def environment(*packages: str) -> dict[str, Any]:
    """Describe where and with what the figures were taken."""
    versions = {"python": platform.python_version()}
    for package in ("gnnlib", "numpy", *packages):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain", "gnnlib") else ""),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": versions,
    }


def write(name: str, payload: dict[str, Any]) -> Path:
    """Write ``results/<name>.json`` as a whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(payload, indent=1) + "\n")
    draft.replace(path)
    return path


def read(name: str) -> dict[str, Any] | None:
    """Read ``results/<name>.json``; None when that benchmark has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold ``results/<name>.json`` against other processes that would change it between reading and writing."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent
    )
    return done.stdout.strip()


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def keep_best(name: str, lengths: dict[str, float]) -> dict[str, float]:
    """Add lengths of tours to ``results/<name>.json`` where they are the shortest so far; return all that stands there."""
    with alone(name):
        best: dict[str, float] = read(name) or {}
        for instance, length in lengths.items():
            best[instance] = min(length, best.get(instance, length))
        write(name, best)
    return best
