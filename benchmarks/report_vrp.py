"""The section of `RESULTS.md` on vehicle routing, from ``results/vrp.json``."""

from __future__ import annotations

from typing import Any

import numpy as np
import record
from report_tables import table, taken
from vrp import sets

_NOTES = (
    "Gap to best known in per cent, mean over instances and seeds; in brackets how many runs. Every answer is costed "
    "and checked by the library. One core; ours, PyVRP and HGS stop by processor time, OR-Tools and VROOM by the clock.",
    "Solomon and Li-Lim: the reference is the best that any run of this benchmark has found (`results/vrp_best.json`), "
    "for the collection's own distance values are those of old heuristics.",
    "A dash: the solver cannot express the set here, or has not been run at this stop.",
)


def gaps(rows: dict[str, dict[str, Any]]) -> dict[tuple[str, str, str], list[float]]:
    """Gaps in per cent by set, solver and stop; a run that found nothing feasible counts as infinite."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for key, row in rows.items():
        set_name, name, solver, stop, _ = key.split("|")
        best = sets.reference(set_name, name)
        if best is None or (row["cost"] is None and "wall_s" not in row):
            continue
        gap = np.inf if row["cost"] is None else 100.0 * (row["cost"] / best - 1.0)
        found.setdefault((set_name, solver, stop), []).append(gap)
    return found


def shown(values: list[float] | None) -> str:
    if not values:
        return "-"
    good = [value for value in values if np.isfinite(value)]
    failed = f", {len(values) - len(good)} infeasible" if len(good) < len(values) else ""
    return f"{np.mean(good):.2f} ({len(good)}{failed})" if good else f"none feasible ({len(values)})"


def lines() -> list[str]:
    """Return the section as lines of Markdown; empty without figures."""
    payload = record.read("vrp")
    if payload is None or not payload.get("rows"):
        return []
    found = gaps(payload["rows"])
    stops = sorted({stop for _, _, stop in found}, key=float)
    solvers = list(dict.fromkeys(solver for _, solver, _ in found))
    text = ["## Vehicle routing: answers per second", "", taken(payload), ""]
    for stop in stops:
        column = {"1": 0, "10": 1, "60": 2}.get(stop)
        rows = []
        for set_name, (_, _, _, targets) in sets.SETS.items():
            if not any((set_name, solver, stop) in found for solver in solvers):
                continue
            target = None if column is None else targets[column]
            cells = [shown(found.get((set_name, solver, stop))) for solver in solvers]
            rows.append([set_name, "-" if target is None else f"{target:g}", *cells])
        text += [f"Stop: {stop} s.", "", *table(["set", "target", *solvers], rows)]
    return [*text, *(f"- {note}" for note in _NOTES), "", "![](results/vrp_anytime.png)", ""]
