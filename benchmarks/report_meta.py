"""The sections of `RESULTS.md` on search and on past experience, from ``results/automl_*.json``."""

from __future__ import annotations

import record
from report_tables import groups, shown, table, taken

TITLES = {
    "hpo": "AutoML: hyper-parameter search at equal evaluations",
    "meta": "AutoML: which pipeline next, from past experience",
    "synthesis": "AutoML: pipelines put together by tree search",
}


def lines() -> list[str]:
    """Return the sections that have figures, as lines of Markdown."""
    found: list[str] = []
    for name, title in TITLES.items():
        payload = record.read(f"automl_{name}")
        if payload is None or not payload.get("rows"):
            continue
        found += [f"## {title}", "", taken(payload), "", f"Set: {shown(payload['set'])}.", ""]
        for part in groups(payload["rows"]):
            head = list(part[0])
            found += table(
                (key.replace("_", " ") for key in head), ([_cell(key, entry[key]) for key in head] for entry in part)
            )
        found += [f"- {note}" for note in payload.get("notes", [])]
        found.append("")
    return found


def _cell(key: str, value: object) -> str:
    # Regrets span nine decades in one table and differ in the fourth place in the other.
    if not isinstance(value, float):
        return shown(value)
    return f"{value:.4f}" if "nreg" in key else f"{value:.3g}"
