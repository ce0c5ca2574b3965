"""The sections of `RESULTS.md` on spanning trees, shortest paths and labels, from ``results/graphs_*.json``."""

from __future__ import annotations

from typing import Any

import record
from report_tables import groups, shown, table, taken

TITLES = {
    "trees": "learned spanning trees against exact ones",
    "growth": "time over edges",
    "search": "tree search over the policy",
    "forms": "the line graph, built or not",
    "paths": "shortest paths on road networks",
    "labels": "labels by exact algorithms",
}


def section(name: str, payload: dict[str, Any]) -> list[str]:
    lines = [f"## Graphs: {TITLES[name]}", "", taken(payload), ""]
    if "set" in payload:
        lines += [f"Set: {payload['set']}.", ""]
    for part in groups(payload["rows"]):
        lines += table([key.replace("_", " ") for key in part[0]], ([_cell(row[key]) for key in row] for row in part))
    notes = payload.get("notes", [])
    lines += [f"- {' '.join(note.split())}" for note in ([notes] if isinstance(notes, str) else notes)]
    return [*lines, ""]


def _cell(value: Any) -> str:
    if isinstance(value, float) and 0 < abs(value) < 0.1:
        return f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def lines() -> list[str]:
    """Return the sections that have figures, as lines of Markdown."""
    found: list[str] = []
    for name in TITLES:
        payload = record.read(f"graphs_{name}")
        if payload is not None and payload.get("rows"):
            found += section(name, payload)
    return found
