"""The section of `RESULTS.md` on AutoML, from ``results/automl.json``."""

from __future__ import annotations

import statistics
from typing import Any

import record
import report_automl_graph

_BUDGETED = ("gnnlib", "portfolio", "flaml", "autogluon")
_NAMES = {
    "portfolio": "static portfolio",
    "flaml": "FLAML",
    "autogluon": "AutoGluon",
    "lightgbm": "LightGBM",
    "histgb": "HistGB defaults",
    "forest": "random forest defaults",
}

Row = dict[str, Any]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _at(rows: dict[str, Row], stop: float) -> dict[tuple[str, str], dict[str, Row]]:
    """Group the runs that compete at one stop by (table, split): those with that stop and those without any."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for key, row in rows.items():
        system, table, number, seconds = key.split("|")
        if float(seconds) == (stop if system in _BUDGETED else 0.0):
            found.setdefault((table, number), {})[system] = row
    return {key: part for key, part in found.items() if "gnnlib" in part}


def _ranks(part: dict[str, Row], systems: list[str]) -> dict[str, float]:
    """Ranks of the scores, 1 the best, ties shared; a failed run comes last."""
    scores = {system: part[system].get("score", float("-inf")) for system in systems}
    return {
        a: 1.0
        + sum(scores[b] > scores[a] for b in systems)
        + 0.5 * sum(scores[b] == scores[a] for b in systems if b != a)
        for a in systems
    }


def _name(system: str) -> str:
    return _NAMES.get(system, system)


def _summary(stop: float, groups: dict[tuple[str, str], dict[str, Row]]) -> list[str]:
    known = [s for s in ("gnnlib", *_NAMES) if any(s in part for part in groups.values())]
    full = {key: part for key, part in groups.items() if all(s in part for s in known)}
    if not full or len(known) < 2:
        return []
    ranks: dict[str, list[float]] = {system: [] for system in known}
    for part in full.values():
        for system, rank in _ranks(part, known).items():
            ranks[system].append(rank)
    lines = []
    for system in sorted(known, key=lambda s: statistics.mean(ranks[s])):
        runs = [part[system] for part in full.values()]
        timed = [run["fit_s"] for run in runs if "fit_s" in run]
        kept = sum(second <= 1.05 * stop + 1.0 for second in timed)
        firsts = [run["first_s"] for run in runs if run.get("first_s") is not None]
        lines.append(
            [
                _name(system),
                f"{statistics.mean(ranks[system]):.2f}",
                str(sum(rank == 1.0 for rank in ranks[system])),
                f"{kept} of {len(runs)}" if system in _BUDGETED else "no stop",
                f"{max(timed):.1f}" if timed else "-",
                f"{max(firsts):.2f}" if firsts else "-",
            ]
        )
    head = [f"stop {stop:g} s", "mean rank", "wins", "stop kept", "longest fit (s)", "slowest first answer (s)"]
    peers = [part[system] for part in full.values() for system in ("flaml", "autogluon") if system in part]
    shares = [run["cpu_s"] / run["fit_s"] for run in peers if run.get("fit_s")]
    text = f"{len(full)} runs in which all {len(known)} took part."
    if shares:
        text += f" FLAML and AutoGluon had {statistics.median(shares):.0%} of their core in the median run."
    return [text, "", *_table(head, lines)]


def _alone(stop: float, groups: dict[tuple[str, str], dict[str, Row]]) -> list[str]:
    """Tell how a stop was kept at which only we were run."""
    runs = [part["gnnlib"] for part in groups.values() if not any(peer in part for peer in _BUDGETED[1:])]
    timed = [run["fit_s"] for run in runs if "fit_s" in run]
    if not timed:
        return []
    kept = sum(second <= 1.05 * stop + 1.0 for second in timed)
    first = max((run["first_s"] for run in runs if run.get("first_s") is not None), default=float("nan"))
    load = statistics.median(run.get("load", float("nan")) for run in runs)
    return [
        f"Stop {stop:g} s without peers, beside other work (load average {load:.1f} in the median): kept in {kept} of "
        f"{len(runs)} runs, longest {max(timed):.1f} s, slowest first answer {first:.1f} s.",
        "",
    ]


def _details(stop: float, groups: dict[tuple[str, str], dict[str, Row]]) -> list[str]:
    systems = [s for s in ("gnnlib", *_NAMES) if any(s in part for part in groups.values())]
    lines = []
    for (table, number), part in sorted(groups.items()):
        cells = [f"{table} ({number})", part["gnnlib"].get("metric", "-")]
        for system in systems:
            row = part.get(system, {})
            cells.append(f"{abs(row['score']):.4g}" if "score" in row else ("failed" if "error" in row else "-"))
        lines.append(cells)
    return _table([f"table (split), stop {stop:g} s", "metric", *map(_name, systems)], lines)


def _loaded() -> list[str]:
    """Show how the stop is kept on a core that other programs want too."""
    payload = record.read("automl_loaded")
    if payload is None or not payload.get("rows"):
        return []
    rows = []
    for key, row in payload["rows"].items():
        system, table, _, seconds = key.split("|")
        share = row["cpu_s"] / row["fit_s"] if row.get("fit_s") else 0.0
        cells = (
            [f"{row['fit_s']:.1f}", f"{share:.0%}", f"{row['first_s']:.1f}"] if "fit_s" in row else ["failed", "-", "-"]
        )
        rows.append([_name(system), table, f"{float(seconds):g}", *cells])
    head = ["on a busy core", "table", "stop (s)", "used (s)", "share of the core", "first answer (s)"]
    return _table(head, rows)


def lines() -> list[str]:
    """Return the section as lines of Markdown; none without figures."""
    payload = record.read("automl")
    if payload is None or not payload.get("rows"):
        return []
    versions = {**payload.get("versions", {}), **payload.get("peers", {})}
    versions_text = ", ".join(f"{_name(name)} {version}" for name, version in versions.items())
    found = [
        "## AutoML: tables to predictors",
        "",
        f"Taken {payload['date']} at commit `{payload['commit']}` on {payload['machine']}; {versions_text}.",
        "",
        "One core, one process a run; a quarter of the rows is kept for judging. AUC for two classes (higher is better), "
        "log loss for more and RMSE for numbers (lower is better). Families of these tables are not in the data that the "
        "portfolio and the recommender were made from, but for hypothyroid: Oboe's allbp, allrep, dis and thyroid-ann have as "
        "many rows and are of its source. LightGBM, HistGB and the forest run with their "
        "defaults and know no stop. A stop counts as kept up to 5 % + 1 s; imports come before the "
        "clock for all. Runs were made over several commits; the newer ones name theirs in the JSON.",
        "",
    ]
    stops = sorted({float(key.split("|")[3]) for key in payload["rows"] if key.startswith("gnnlib|")})
    for stop in stops:
        groups = _at(payload["rows"], stop)
        found += [*_summary(stop, groups), *_alone(stop, groups), *_details(stop, groups)]
    found += _loaded()
    if payload.get("missing"):
        found += [f"Not installed, hence not run: {', '.join(map(_name, payload['missing']))}.", ""]
    return found + report_automl_graph.lines()
