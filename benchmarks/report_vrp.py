"""The sections of `RESULTS.md` on vehicle routing, from ``results/vrp*.json``."""

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
    "Ours of the X, Belgium, Solomon and G-H sets at 1 and 10 s were taken at that commit; the others, peers and 60 s "
    "among them, on the same kind of machine a day before.",
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
    """Return the sections that have figures, as lines of Markdown."""
    return [*engine_lines(), *policy_lines(), *prior_lines()]


_GOALS = {("cvrp", "greedy"): 4.0, ("cvrp", "tree"): 1.0, ("tsp-50", "greedy"): 1.0, ("tsp-50", "tree"): 0.2}


def _goal(cell: dict[str, Any]) -> str:
    """Return what was aimed at, and whether the mean reaches it."""
    goal = _GOALS.get((cell["kind"], cell["method"].split()[0]))
    if goal is None:
        return "-"
    return f"{goal:g}, {'met' if cell['gap_percent'] <= goal else 'missed'}"


def _rank(cell: dict[str, Any]) -> tuple[str, int, int]:
    """Sort by problem, kind of method and effort."""
    words = ("nearest", "savings", "pilot", "greedy", "sampling", "beam", "rebuild", "tree")
    effort = "".join(c for c in cell["method"] if c.isdigit())
    return cell["kind"], words.index(cell["method"].split(",")[0].split()[0]), int(effort or 0)


def policy_lines() -> list[str]:
    """Tell how good the learned policy is without the search."""
    payload = record.read("vrp_policy")
    if payload is None:
        return []
    rows = [
        [
            f"{cell['kind']} ({cell['instances']})",
            cell["method"],
            f"{cell['gap_percent']:.2f} ({cell['standard_error']:.2f})",
            _goal(cell),
            f"{cell['cpu_s']:.2f}",
        ]
        for cell in sorted(payload["cells"], key=_rank)
    ]
    text = ["## Vehicle routing: the learned policy alone", "", taken(payload.get("environment", payload)), ""]
    text += [
        "Command: `python benchmarks/bench_vrp_policy.py`; uniform instances of 100 clients, tours of 50 and 100 cities "
        "(number of instances in brackets), gap in per cent to the best of two long runs of our own search (standard "
        "error in brackets). The policy reads, beside the scores of the network, what classical completions and bounds "
        "say of the rest; the pilot method follows these alone and has learned nothing. The tree search plays parts of an "
        "answer that was rebuilt before.",
        "",
    ]
    text += table(["problem", "decoder", "gap %", "goal %", "CPU s an instance"], rows)
    pairs = [
        [
            f"{cell['kind']} ({cell['instances']})",
            f"{cell['difference_percent']:+.3f} ({cell['standard_error']:.3f})",
            f"{cell['better']} / {cell['worse']}",
        ]
        for cell in payload.get("paired", [])
    ]
    text += _large_lines(payload.get("large", []))
    if not pairs:
        return text
    text += [
        "Greedy constructions of the shipped policy against those of the pilot method on the same instances "
        "(`--paired`): what learning added to looking ahead. Less than two standard errors is nothing that can be told "
        "from chance.",
        "",
    ]
    return [*text, *table(["problem", "cost, learned against pilot %", "better / worse"], pairs)]


def _large_lines(cells: list[dict[str, Any]]) -> list[str]:
    """Tell how the policy does on instances far larger than those of its training."""
    if not cells:
        return []
    columns = ("greedy_percent", "start_percent", "at_10_percent", "at_60_percent")
    rows = [
        [cell["kind"], *(f"{cell[c]:.2f}" for c in columns), f"{cell['at_10_rounds']:,}"]
        for cell in sorted(cells, key=lambda cell: cell["size"])
    ]
    rows.append(["mean", *(f"{np.mean([cell[c] for cell in cells]):.2f}" for c in columns), ""])
    return [
        "Instances of the X set (`--large`), ten times as large as those of the training: gap in per cent to the best "
        "known of the greedy construction, of the better of it and savings, and after reconstruction of neighbouring "
        "routes by the policy for 10 and 60 CPU seconds. The goal was 2 at 10 s. Published (their machines): LEHD 12.5 "
        "greedy and 3.5 with reconstruction, UDC 7.1.",
        "",
        *table(["instance", "greedy", "start", "10 s", "60 s", "parts in 10 s"], rows),
    ]


def prior_lines() -> list[str]:
    """Tell what the priors do to the search at equal time."""
    payload = record.read("vrp_prior")
    if payload is None:
        return []
    cells = payload["cells"]
    stops = sorted({cell["seconds"] for cell in cells})
    settings = list(dict.fromkeys((cell["prior"], cell["neighbours"]) for cell in cells))
    rows = []
    for prior, count in settings:
        mean = []
        for stop in stops:
            mine = [
                c["gap_percent"] for c in cells if (c["prior"], c["neighbours"], c["seconds"]) == (prior, count, stop)
            ]
            mean.append(f"{np.mean(mine):.3f}" if mine else "-")
        rows.append([str(prior), str(count), *mean])
    text = ["## Vehicle routing: priors at equal time", "", taken(payload), ""]
    text += [
        f"Command: `python benchmarks/bench_vrp_prior.py`; {len({c['instance'] for c in cells})} instances of the X set, "
        f"{payload['seeds']} seeds, mean gap to best known in per cent; the time of the network counts.",
        "",
    ]
    return [*text, *table(["prior", "neighbours", *(f"{stop:g} s" for stop in stops)], rows)]


def engine_lines() -> list[str]:
    """Tell how good the answers are by set, solver and stop."""
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
