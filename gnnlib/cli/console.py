"""What several commands share: tables as text, JSON, and checks of the places where results go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["PICTURE_SUFFIXES", "check_target", "format_size", "format_table", "print_json"]

PICTURE_SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".webp")


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> str:
    """Return an aligned table; the columns that `numbers` names stand flush right.

    Examples
    --------
    >>> print(format_table(["name", "n"], [["a", "10"], ["bcdef", "7"]], numbers=["n"]))
    name    n
    -----  --
    a      10
    bcdef   7
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    cells = (
        (text.rjust(width) if title in numbers else text.ljust(width))
        for line in lines
        for text, width, title in zip(line, widths, head, strict=True)
    )
    return "\n".join("  ".join(next(cells) for _ in head).rstrip() for _ in lines)


def format_size(size: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> format_size(512), format_size(8_300_000)
    ('512 B', '8.3 MB')
    """
    for unit, factor in (("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def print_json(value: Any) -> None:
    """Write `value` as one JSON document, in one line, on stdout."""
    typer.echo(json.dumps(value, allow_nan=False))


def check_target(path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Check, before any work is done, that a file can be written at `path`.

    Raises
    ------
    InputError
        If its folder does not exist, it is a folder itself, or its ending is none of `suffixes`.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"the folder {path.parent} of {path.name} does not exist; create it first")
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"a picture ends in {', '.join(suffixes)}; found {path.name}")
