"""The sections of `RESULTS.md` on proteins, from ``results/protein_*.json``."""

from __future__ import annotations

from typing import Any

import record
from report_tables import groups, shown, table, taken

TITLES = {
    "reading": "parse a file and join residues by k-NN and radius",
    "graph": "residue graphs, and many files",
    "metrics": "scores of models against their native",
    "folding": "coordinates from distances",
    "secondary": "secondary structure",
    "torsions": "torsions from CA alone",
    "quality": "quality without a native",
    "design": "sequences for a backbone",
    "sequence": "from the sequence alone",
}
# Columns that carry no figure for the reader of a table.
_HIDDEN = {"fit_s", "source_file"}


def section(name: str, payload: dict[str, Any]) -> list[str]:
    lines = [f"## Proteins: {TITLES[name]}", "", taken(payload), ""]
    if "set" in payload:
        lines += [f"Set: {shown(payload['set'])}.", ""]
    for part in groups(payload["rows"]):
        head = [key for key in part[0] if key not in _HIDDEN and not isinstance(part[0][key], dict)]
        names = [key.replace("_", " ") for key in head]
        lines += table(names, ([shown(row[key]) for key in head] for row in part))
    notes = payload.get("notes", [])
    for note in [notes] if isinstance(notes, str) else notes:
        lines += [f"- {' '.join(str(note).split())}"]
    return [*lines, ""]


def lines() -> list[str]:
    """Return the sections that have figures, as lines of Markdown."""
    found: list[str] = []
    for name in TITLES:
        payload = record.read(f"protein_{name}")
        if payload is not None and payload.get("rows"):
            found += section(name, payload)
    return found
