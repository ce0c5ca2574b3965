"""The pieces that all sections of `RESULTS.md` are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a table."""
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def taken(payload: dict[str, Any]) -> str:
    """Say when, where and with what the figures of a JSON file were taken."""
    versions = ", ".join(f"{name} {version}" for name, version in payload.get("versions", {}).items())
    return f"Taken {payload['date']} at commit `{payload['commit']}` on {payload['machine']}; {versions}."


def shown(value: Any) -> str:
    """Return the text of a cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    if isinstance(value, (list, tuple)):
        return " to ".join(shown(item) for item in value)
    return str(value).replace("|", "/").replace("\n", " ")


def groups(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Rows that follow each other and have the same columns share a table."""
    part: list[dict[str, Any]] = []
    for row in rows:
        if part and list(row) != list(part[0]):
            yield part
            part = []
        part.append(row)
    if part:
        yield part
