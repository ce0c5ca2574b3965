"""Rows of the closed loop that are measured already, so that an interrupted run goes on; kept beside the planners.

A row is measured again as soon as the weights, the code that drives, or the benchmark itself have changed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gnnlib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder import GraphModel

SCENE = Path(gnnlib.__file__).parent / "heads" / "scene"
PREDICTION = {
    *("head.py", "decode.py", "coverage.py", "train.py", "api.py", "baselines.py", "baselines_learned.py"),
    *("plotting.py", "animation.py", "canvas.py", "pedestrians.py", "result.py", "metrics.py", "checks.py"),
}
"""Files that concern nobody who drives without predicted modes; nor does learning."""


class Row(NamedTuple):
    """Figures of one policy, and which of the pushed starts it failed."""

    figures: dict[str, Any]
    failed: list[bool]


def driving_code(*, with_prediction: bool = False) -> list[Path]:
    """Return the files of the scenes that decide how a policy drives."""
    files = [file for file in SCENE.rglob("*.py") if file.parent.name != "training" or "drives" in file.name]
    return sorted(file for file in files if with_prediction or file.name not in PREDICTION)


def digest(files: Sequence[Path], model: GraphModel | None = None) -> str:
    """Return a fingerprint of files and of the weights of a model."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + file.read_bytes())
    if model is not None:
        for name, value in model.state_dict().items():
            total.update(name.encode() + value.numpy().tobytes())
    return total.hexdigest()[:24]


class KeptRows:
    """Rows in a JSON file.

    Parameters
    ----------
    path : path
        May not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def _all(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return known

    def find(self, name: str, fingerprint: str) -> Row | None:
        """Return the row of a policy if it was measured with the same fingerprint."""
        found = self._all().get(name)
        return Row(found["figures"], found["failed"]) if found and found["fingerprint"] == fingerprint else None

    def keep(self, name: str, fingerprint: str, row: Row) -> None:
        """Add or replace a row."""
        table = self._all() | {name: {"fingerprint": fingerprint, **row._asdict()}}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(table) + "\n")
        draft.replace(self.path)
