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
