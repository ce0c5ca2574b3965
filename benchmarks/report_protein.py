"""The sections of `RESULTS.md` on proteins, from ``results/protein_*.json``, with the goals and whether they are met."""

from __future__ import annotations

from typing import Any, NamedTuple

import record
from report_tables import shown, table, taken

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
# Columns that carry no figure for the reader of a table; the goal has a column of its own.
_HIDDEN = {"fit_s", "source_file", "goal_angstrom"}
# Tasks of one section that share a table; the others have one each.
_TOGETHER = {
    "states": "residues",
    "torsions": "residues",
    "contacts from the sequence": "contacts",
    "contacts with 5 % of distances": "contacts",
}
_LAST = "source"


class Goal(NamedTuple):
    """A figure to be reached.

    Attributes
    ----------
    section : str
    where : dict
        Values of the row's columns; a text is what the cell begins with.
    column : str
    sense : {"<=", ">="}
    limit : float
    """

    section: str
    where: dict[str, Any]
    column: str
    sense: str
    limit: float

    def fits(self, section: str, row: dict[str, Any]) -> bool:
        """Whether the goal is set for this row."""
        return (
            section == self.section
            and row.get(self.column) is not None
            and all(_begins(row.get(key), value) for key, value in self.where.items())
        )

    def told(self, row: dict[str, Any]) -> str:
        """Name the goal and say whether it is met."""
        value = row[self.column]
        is_met = value <= self.limit if self.sense == "<=" else value >= self.limit
        sign = {"<=": "≤", ">=": "≥"}[self.sense]
        return f"{self.column.replace('_', ' ')} {sign} {self.limit:g} {'met' if is_met else '**missed**'}"


def _begins(found: Any, wanted: Any) -> bool:
    return str(found).startswith(wanted) if isinstance(wanted, str) else bool(found == wanted)


_OURS = {"method": "gnnlib"}
_FOLDS = (("1 A per 10 A", 0.4), ("4 A per 10 A", 1.8), ("d < 8 A", 1.2), ("random 5 %", 1.3))
GOALS = (
    Goal("reading", {"kind": "PDB", "reader": "gnnlib residue_graph"}, "median_ms", "<=", 2.0),
    Goal("reading", {"kind": "mmCIF", "reader": "gnnlib residue_graph"}, "median_ms", "<=", 10.0),
    Goal("reading", {"reader": "gnnlib residue_graph"}, "failed", "<=", 0),
    Goal("metrics", {"tool": "gnnlib", "metric": "TM, GDT"}, "ms_median", "<=", 3.0),
    Goal("metrics", {"metric": "tm_score"}, "largest_difference", "<=", 0.005),
    Goal("metrics", {"metric": "gdt"}, "largest_difference", "<=", 0.005),
    Goal("metrics", {"metric": "lDDT"}, "largest_difference", "<=", 1e-6),
    Goal("metrics", {"metric": "DSSP"}, "equal_8_states_percent", ">=", 99.5),
    *(Goal("folding", {**_OURS, "distances": name}, "rmsd_angstrom", "<=", limit) for name, limit in _FOLDS),
    *(Goal("folding", {**_OURS, "distances": name}, "right_hand_percent", ">=", 99.0) for name, _ in _FOLDS),
    *(Goal("folding", {**_OURS, "distances": name}, "cpu_ms_median", "<=", 50.0) for name, _ in _FOLDS),
    Goal("secondary", {**_OURS, "noise_angstrom": 0.0}, "q3", ">=", 96.0),
    Goal("secondary", {**_OURS, "noise_angstrom": 0.0}, "q8", ">=", 90.0),
    Goal("secondary", {**_OURS, "noise_angstrom": 0.5}, "q3", ">=", 93.0),
    Goal("torsions", {**_OURS, "noise_angstrom": 0.0}, "phi_mae_deg", "<=", 8.0),
    Goal("torsions", {**_OURS, "noise_angstrom": 0.0}, "psi_mae_deg", "<=", 8.5),
    Goal("quality", {**_OURS, "set": "real conformers and Rosetta models"}, "residue_pearson", ">=", 0.75),
    Goal("quality", {**_OURS, "set": "real conformers and Rosetta models"}, "lddt_pearson", ">=", 0.85),
    Goal("design", {"method": "gnnlib, 3 pass", "set": "TS50"}, "mean_recovery", ">=", 40.0),
    Goal("sequence", {**_OURS, "task": "states", "set": "CB513"}, "q3", ">=", 73.0),
    Goal("sequence", {**_OURS, "task": "states", "set": "CB513"}, "q8", ">=", 59.5),
    Goal("sequence", {**_OURS, "task": "contacts from the sequence"}, "precision_l5", ">=", 32.0),
    Goal("sequence", {"task": "contacts with", "method": "predict_distances"}, "precision_l5", ">=", 80.0),
)


def parts(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Put the rows that share a table together, in the order in which their tables begin."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        task = str(row.get("task", ""))
        found.setdefault(_TOGETHER.get(task, task), []).append(row)
    return list(found.values())


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """Names of all columns that some row fills, in the order in which they appear; the source comes last."""
    names = dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, dict))
    filled = [key for key in names if key not in _HIDDEN and any(row.get(key) is not None for row in rows)]
    return sorted(filled, key=lambda key: key == _LAST)


def section(name: str, payload: dict[str, Any]) -> list[str]:
    """Return the lines of one section."""
    lines = [f"## Proteins: {TITLES[name]}", "", taken(payload), ""]
    if "set" in payload:
        lines += [f"Set: {shown(payload['set'])}.", ""]
    for part in parts(payload["rows"]):
        head = columns(part)
        goals = ["; ".join(goal.told(row) for goal in GOALS if goal.fits(name, row)) or "-" for row in part]
        names = [key.replace("_", " ") for key in head]
        cells = [[shown(row.get(key)) for key in head] for row in part]
        if any(goal != "-" for goal in goals):
            names, cells = [*names, "goal"], [[*row, goal] for row, goal in zip(cells, goals, strict=True)]
        lines += table(names, cells)
    notes = payload.get("notes") or []
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
