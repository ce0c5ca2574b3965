"""What ``gnnlib protein fold`` reads: distance matrices and sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnlib.typing import FloatArray

__all__ = ["fold_inputs"]


def fold_inputs(name: str) -> Iterator[tuple[str, str | None, FloatArray | None]]:
    """Name, sequence and distances of every problem in a file; one of the two is None."""
    path = Path(name)
    if path.suffix.lower() in {".fa", ".fasta", ".faa"}:
        yield from ((title, sequence, None) for title, sequence in _read_fasta(path))
    else:
        yield path.name.split(".")[0], None, _read_matrix(path)


def _read_fasta(path: Path) -> Iterator[tuple[str, str]]:
    title, parts = "", [""]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(">"):
            if title:
                yield title, "".join(parts)
            title, parts = (line[1:].split() or [path.stem])[0], []
        else:
            parts.append(line.strip())
    if not "".join(parts):
        raise InputError(f"{path}: the file holds no sequence, or its last one is empty")
    yield title or path.stem, "".join(parts)


def _read_matrix(path: Path) -> FloatArray:
    import numpy as np

    if path.stat().st_size == 0:
        raise InputError(f"{path}: a distance matrix is needed, the file is empty")
    try:
        if path.suffix.lower() == ".npy":
            found: FloatArray = np.load(path, allow_pickle=False)
        else:
            delimiter = "," if path.suffix.lower() == ".csv" else None
            found = np.loadtxt(path, delimiter=delimiter, ndmin=2)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: a distance matrix is needed (.npy, .csv, .txt): {error}") from error
    return found
