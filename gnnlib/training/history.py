"""What a training run leaves behind: its history as data, and the same as a CSV file that grows row by row."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnlib.errors import FileFormatError
from gnnlib.results import Result
from gnnlib.training.checkpoint import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gnnlib.training.config import FitConfig
    from gnnlib.typing import PathLike

__all__ = ["CsvLog", "FitResult", "Row"]

Row = dict[str, float]
"""One epoch: ``epoch``, ``step``, ``learning_rate``, ``grad_norm``, ``train/<name>``, ``val/<name>``, ``seconds``."""


@dataclass(frozen=True, eq=False)
class FitResult(Result):
    """What `fit` and `reinforce` return; the weights are in the model.

    Parameters
    ----------
    history : list of dict
        One row per epoch with ``epoch`` and ``step`` (counted from 1, at its end), ``learning_rate`` of its last step,
        mean ``grad_norm`` before clipping, means ``train/<name>`` and ``val/<name>`` of the named losses and metrics
        (``loss`` is the weighted sum), and ``seconds`` since the beginning. An epoch that was cut short comes last and
        has no ``val/``.
    best : dict
        The row of the epoch whose weights the model holds; the last complete one where there was no validation, empty
        where no epoch was completed.
    epochs, steps : int
        Complete epochs and optimiser steps, those before a resume included.
    seconds : float
        Wall-clock seconds, those before a resume included.
    stopped_by : str
        "epochs", "patience", "stop" or "interrupt".
    config : FitConfig
        The settings.

    Examples
    --------
    >>> from gnnlib.training import FitConfig
    >>> result = FitResult([{"epoch": 1, "train/loss": 0.5}], {}, 1, 10, 0.1, "epochs", FitConfig())
    >>> print(result.to_csv())
    epoch,train/loss
    1,0.5
    <BLANKLINE>
    """

    history: list[Row]
    best: Row
    epochs: int
    steps: int
    seconds: float
    stopped_by: str
    config: FitConfig = field(repr=False)

    def to_csv(self, path: PathLike | None = None) -> str:
        """Return the history as CSV, one row per epoch, and write it to `path` if one is given."""
        columns = list(dict.fromkeys(name for row in self.history for name in row))
        text = _csv_text([columns, *([row.get(name, "") for name in columns] for row in self.history)])
        if path is not None:
            write_atomically(path, text.encode())
        return text

    def _rows(self) -> list[tuple[str, str]]:
        kept = {name: value for name, value in self.best.items() if name.startswith("val/")}
        kept = kept or {name: value for name, value in self.best.items() if name.startswith("train/")}
        return [
            ("best epoch", str(self.best.get("epoch", "none was completed"))),
            *((name, f"{value:.6g}") for name, value in kept.items()),
            ("epochs", str(self.epochs)),
            ("steps", str(self.steps)),
            ("seconds", f"{self.seconds:.1f}"),
            ("stopped by", self.stopped_by),
        ]


class CsvLog:
    """A CSV file with one row per epoch, each on the disk before the run goes on.

    A new run appends to what is there. A resumed run first drops the rows of later epochs than its checkpoint, and a
    row that a crash has left half written.

    Parameters
    ----------
    path : path-like
        The file; it need not exist.
    after_epoch : int, optional
        Epoch of the checkpoint from which the run resumes.

    Raises
    ------
    FileFormatError
        On writing, if the file has other columns than the row.
    """

    def __init__(self, path: PathLike, after_epoch: int | None = None) -> None:
        self.path = Path(path)
        self.columns: list[str] | None = None
        if not self.path.exists() or not self.path.stat().st_size:
            return
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        lines = list(csv.reader(io.StringIO(whole)))
        if not lines or "epoch" not in lines[0]:
            raise FileFormatError.at(path, 1, "a training log must begin with a header that names `epoch`")
        self.columns = lines[0]
        place = self.columns.index("epoch")
        if after_epoch is not None:
            while len(lines) > 1 and int(lines[-1][place]) > after_epoch:
                lines.pop()
        kept = _csv_text(lines)
        if kept != text:
            write_atomically(path, kept.encode())

    def write(self, row: Row) -> None:
        """Append a row and wait until it is on the disk."""
        lines: list[list[Any]] = []
        if self.columns is None:
            self.columns = list(row)
            lines.append(self.columns)
        if sorted(row) != sorted(self.columns):
            raise FileFormatError.at(
                self.path, 1, f"the log has the columns {self.columns}, but the run {list(row)}; give another file"
            )
        lines.append([row[name] for name in self.columns])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_csv_text(lines))
            file.flush()
            os.fsync(file.fileno())


def _csv_text(lines: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()
