"""The section of `RESULTS.md` on the graph of known data sets, from ``results/automl_graph.json``."""

from __future__ import annotations

import statistics
from typing import Any

import record
from report_tables import table, taken

LEARNERS = {"lightgbm": "LightGBM", "histgb": "HistGB", "forest": "random forest"}
SINGLES = {
    "single-graph": "graph, with the description",
    "single-no-words": "graph, without the description",
    "single-no-features": "words alone, no meta-features",
    "single-portfolio": "no graph: first of the static portfolio",
}
SEARCHES = {
    "search-cold|60": "cold: no list, 60 s",
    "search-portfolio|60": "no graph: static portfolio, 60 s",
    "search-graph|60": "graph, 60 s",
    "search-graph|20": "graph, 20 s",
}
SHARE, SECONDS = 0.65, 20.0
"""Goals: sets on which the single pipeline beats every default learner; when the warm search has the cold one's score."""

Row = dict[str, Any]
Runs = dict[str, dict[str, Row]]


def by_method(rows: dict[str, Row]) -> Runs:
    """Return the runs of each method by table and split; a search is named with its stop."""
    found: Runs = {}
    for key, row in rows.items():
        system, name, number, seconds = key.split("|")
        method = system if float(seconds) == 0 else f"{system}|{float(seconds):g}"
        found.setdefault(method, {})[f"{name}|{number}"] = row
    return found


def reached(trace: list[list[float]], target: float, metric: str) -> float | None:
    """Return the second at which a trace is as good as a target; None when it never is."""
    sign = 1.0 if metric == "roc_auc" else -1.0
    return next((second for second, score in trace if sign * score >= sign * target - 1e-9), None)


def beats(runs: Runs, method: str, rivals: list[str], field: str) -> tuple[int, int]:
    """Return on how many tables a method is better than all rivals, and on how many all of them ran; no tie counts."""
    shared = [name for name in runs.get(method, {}) if all(name in runs.get(rival, {}) for rival in rivals)]
    low = float("-inf")
    won = sum(
        runs[method][name].get(field, low) > max(runs[rival][name].get(field, low) for rival in rivals)
        for name in shared
    )
    return won, len(shared)


def warm_seconds(runs: Runs, warm: str, cold: str) -> list[tuple[float, bool]]:
    """Return when the warm search has the last score of the cold one, and whether it has it at all, for each table."""
    found = []
    for name, row in runs.get(warm, {}).items():
        other = runs.get(cold, {}).get(name)
        if other is None or not row.get("trace") or not other.get("trace"):
            continue
        second = reached(row["trace"], other["trace"][-1][1], row["metric"])
        found.append((row["fit_s"] if second is None else second, second is not None))
    return found


def warm_effort(runs: Runs, warm: str, cold: str) -> list[float]:
    """Return the CPU seconds to the last score of the cold search as a share of all that it used, for each table.

    The core was shared, and not evenly: a trace is brought to CPU seconds by the share that its run had.
    """
    found = []
    for name, row in runs.get(warm, {}).items():
        other = runs.get(cold, {}).get(name)
        if other is None or not row.get("trace") or not other.get("trace"):
            continue
        second = reached(row["trace"], other["trace"][-1][1], row["metric"])
        spent = row["fit_s"] if second is None else second
        found.append(spent * row["cpu_s"] / row["fit_s"] / other["cpu_s"])
    return found


def _share(won: int, of: int) -> str:
    return f"{won / of:.0%} ({won} of {of})" if of else "-"


def _told(times: list[tuple[float, bool]]) -> str:
    if not times:
        return "-"
    text = (
        f"{statistics.mean(second for second, _ in times):.1f} s, median {statistics.median(t for t, _ in times):.1f} s"
    )
    never = sum(not is_there for _, is_there in times)
    return f"{text}; never on {never} of {len(times)}, counted with the whole time" if never else text


def _singles(runs: Runs) -> list[str]:
    lines = []
    for method, title in SINGLES.items():
        own = runs.get(method, {})
        if not own:
            continue
        cells = [title]
        for field in ("balanced_accuracy", "score"):
            cells.append(_share(*beats(runs, method, list(LEARNERS), field)))
            cells.append(" / ".join(str(beats(runs, method, [learner], field)[0]) for learner in LEARNERS))
        cells.append(f"{statistics.mean(row.get('balanced_accuracy', 0.0) for row in own.values()):.4f}")
        cells.append(f"{statistics.median(row.get('fit_s', 0.0) for row in own.values()):.2f}")
        lines.append(cells)
    for learner, title in LEARNERS.items():
        own = runs.get(learner, {})
        if own:
            mean = statistics.mean(row.get("balanced_accuracy", 0.0) for row in own.values())
            spent = statistics.median(row.get("fit_s", 0.0) for row in own.values())
            lines.append([f"{title}, defaults", "-", "-", "-", "-", f"{mean:.4f}", f"{spent:.2f}"])
    names = " / ".join(LEARNERS.values())
    head = [
        "first pipeline by",
        "beats all three, balanced accuracy",
        f"beats {names}",
        "beats all three, AUC or log loss",
    ]
    return table([*head, f"beats {names} ", "mean balanced accuracy", "median s to advise and fit"], lines)


def _searches(runs: Runs) -> list[str]:
    known = [method for method in SEARCHES if runs.get(method)]
    shared = [name for name in runs[known[0]] if all(name in runs[method] for method in known)] if known else []
    if len(known) < 2 or not shared:
        return []
    lines = []
    for method in known:
        own = runs[method]
        ranks = [
            1
            + sum(_score(runs[rival][name]) > _score(own[name]) for rival in known)
            + 0.5 * sum(_score(runs[rival][name]) == _score(own[name]) for rival in known if rival != method)
            for name in shared
        ]
        trials = statistics.median(own[name].get("complete", 0) for name in shared)
        core = statistics.median(own[name]["cpu_s"] / own[name]["fit_s"] for name in shared if own[name].get("fit_s"))
        ahead = sum(_score(own[name]) >= _score(runs["search-cold|60"][name]) for name in shared)
        behind = sum(_score(own[name]) >= _score(runs["search-portfolio|60"][name]) for name in shared)
        lines.append(
            [
                SEARCHES[method],
                f"{statistics.mean(ranks):.2f}",
                f"{ahead} of {len(shared)}",
                f"{behind} of {len(shared)}",
                f"{trials:g}",
                f"{core:.0%}",
            ]
        )
    head = ["search", "mean rank, rows not seen", "as good as cold at 60 s", "as good as no graph at 60 s"]
    return table([*head, "median trials to the end", "share of the core"], lines)


def _same(runs: Runs) -> list[str]:
    """Tell how often graph, words and portfolio name the same pipeline."""
    told = []
    pairs = {
        "single-portfolio": "the first pipeline of the graph is that of the static portfolio",
        "single-no-words": "the description changes nothing in the first pipeline",
        "single-no-features": "meta-features change nothing in it beside the words",
    }
    for rival, text in pairs.items():
        shared = [name for name in runs.get("single-graph", {}) if name in runs.get(rival, {})]
        same = sum(runs["single-graph"][n].get("pipeline") == runs[rival][n].get("pipeline") for n in shared)
        if shared:
            told.append(f"{text} on {same} of {len(shared)} tables")
    if not told:
        return []
    joined = "; ".join(told)
    return [f"{joined[0].upper()}{joined[1:]}. Scores are compared as they are: one split, one seed.", ""]


def _score(row: Row) -> float:
    return float(row.get("score", float("-inf")))


def _goals(runs: Runs) -> list[str]:
    lines = []
    for field, title in (("balanced_accuracy", "balanced accuracy"), ("score", "AUC or log loss")):
        won, of = beats(runs, "single-graph", list(LEARNERS), field)
        if of:
            goal = f"first pipeline beats every default learner on ≥ {SHARE:.0%} of the tables, {title}"
            lines.append([goal, _share(won, of), _met(won >= SHARE * of)])
    for cold, title in (("search-cold|60", "cold search"), ("search-portfolio|60", "search without graph")):
        times = warm_seconds(runs, "search-graph|60", cold)
        if times:
            mean = statistics.mean(second for second, _ in times)
            goal = (
                f"search with graph has the cross-validated score of the {title} at 60 s in ≤ {SECONDS:g} s on the mean"
            )
            lines.append([goal, _told(times), _met(mean <= SECONDS)])
            effort = warm_effort(runs, "search-graph|60", cold)
            text = f"{statistics.mean(effort):.2f}, median {statistics.median(effort):.2f}"
            lines.append(["... in ≤ 1/3 of its CPU seconds on the mean", text, _met(statistics.mean(effort) <= 1 / 3)])
    return table(["goal", "measured", ""], lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def _details(runs: Runs) -> list[str]:
    methods = [method for method in (*SINGLES, *LEARNERS, *SEARCHES) if runs.get(method)]
    names = {**SINGLES, **LEARNERS, **SEARCHES}
    lines = []
    for name in sorted({name for method in methods for name in runs[method]}):
        found = [runs[method].get(name, {}) for method in methods]
        metric = next((row["metric"] for row in found if "metric" in row), "-")
        cells = [f"{abs(row['score']):.4g}" if "score" in row else "failed" if "error" in row else "-" for row in found]
        lines.append([name.split("|")[0], metric, *cells])
    return table(["table", "metric", *(names[method] for method in methods)], lines)


def lines() -> list[str]:
    """Return the section as lines of Markdown; none without figures."""
    payload = record.read("automl_graph")
    if payload is None or not payload.get("rows"):
        return []
    runs = by_method(payload["rows"])
    return [
        "## AutoML: with and without the graph of known data sets",
        "",
        taken(payload),
        "",
        "Tables: classification tables of the pool of which the shipped experience knows no relative (no namesake in "
        "Oboe's list, no known data set or family named like the table, its family or words of its name, none with as "
        "many rows); single pipelines take all of them, searches every second one by name. A quarter of the rows is kept "
        "for judging. One core, one process a run, beside other work; the share of the core is told. The first pipeline is "
        "fitted once on all rows of training, without a look at its score; ties do not count as beaten. The second at which "
        "a search has a score is read off the best cross-validated pipeline so far, on the same folds.",
        "",
        *_goals(runs),
        *_singles(runs),
        *_same(runs),
        *_searches(runs),
        *_details(runs),
        *(f"- {note}" for note in payload.get("notes", [])),
        "",
    ]
