"""Write RESULTS.md and the pictures from ``results/*.json``; nothing in RESULTS.md is typed by hand.

python benchmarks/report.py
"""

from __future__ import annotations

import importlib
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import record
from report_tables import table, taken

mpl.use("agg")
import matplotlib.pyplot as plt  # the back-end is chosen first

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = Path(__file__).parent / "RESULTS.md"
PICTURES = Path(__file__).parent / "results"

Row = dict[str, Any]


def percent(values: list[float], digits: int = 3) -> str:
    return f"{statistics.mean(values):.{digits}f}" if values else "-"


def tsp_rows(payload: dict[str, Any]) -> tuple[list[Row], dict[str, float]]:
    """Flatten the rows and give each its gap (per cent) to the best known length."""
    best = record.read("tsp_best") or {}
    rows = []
    for key, row in payload["rows"].items():
        set_name, name, solver, seconds = key.split("|")
        reference = row["known"] if row["known"] is not None else best[name]
        item = {"set": set_name, "name": name, "solver": solver, "stop": float(seconds), "best": reference, **row}
        if row["length"] is not None:
            item["gap"] = 100.0 * (row["length"] / reference - 1.0)
        rows.append(item)
    return rows, best


def tsp_clocks(rows: list[Row]) -> str:
    """Tell which of our rows count CPU seconds where peers count wall-clock seconds."""
    cells: dict[str, set[int]] = {}
    for row in rows:
        if row.get("clock") == "cpu":
            cells.setdefault(f"{row['set']} at {row['stop']:g} s", set()).add(row["n"])
    told = [
        f"{cell} (n = {' to '.join(f'{n:,}' for n in sorted({min(sizes), max(sizes)}))})"
        for cell, sizes in sorted(cells.items())
    ]
    if not told:
        return ""
    return (
        "Rows of ours that shared their core count our own CPU seconds; on a quiet core both clocks are the same: "
        + ", ".join(told)
        + "."
    )


def tsp_by_size(rows: list[Row], set_name: str) -> list[str]:
    """One line a size, one column a solver and stop: mean gap."""
    mine = [row for row in rows if row["set"] == set_name]
    columns = sorted({(row["solver"], row["stop"]) for row in mine}, key=lambda c: (c[0] != "gnnlib", c[0], c[1]))
    sizes = sorted({row["n"] for row in mine})
    lines = []
    for n in sizes:
        cells = [f"{n:,}", str(len({row["name"] for row in mine if row["n"] == n}))]
        for solver, stop in columns:
            found = [r for r in mine if (r["solver"], r["stop"], r["n"]) == (solver, stop, n)]
            gaps = [r["gap"] for r in found if "gap" in r]
            cell = percent(gaps) if gaps else ("no tour" if found else "-")
            if 0 < len(found) < int(cells[1]):
                cell += f" on {len(found)}"
            if solver == "lkh" and gaps:
                cell += f" ({statistics.mean(r['cpu_s'] for r in found):.0f} s)"
            cells.append(cell)
        lines.append(cells)
    return table(["n", "instances", *(s if s == "lkh" else f"{s} {stop:g} s" for s, stop in columns)], lines)


def tsp_collection(rows: list[Row]) -> list[str]:
    """Mean gaps over TSPLIB by range of sizes, and the certificate."""
    names = {
        "tsplib-small": "n < 200",
        "tsplib": "200 <= n <= 6,000",
        "tsplib-large": "n > 6,000",
        "national": "national, 29 to 16,862",
    }
    lines = []
    for set_name, label in names.items():
        mine = [row for row in rows if row["set"] == set_name]
        for solver, stop in sorted({(r["solver"], r["stop"]) for r in mine}, key=lambda c: (c[0] != "gnnlib", c)):
            found = [r for r in mine if (r["solver"], r["stop"]) == (solver, stop)]
            gaps = [r["gap"] for r in found if "gap" in r]
            if not gaps:
                continue
            exact = sum(gap <= 1e-9 for gap in gaps)
            bounds = [100.0 * (1.0 - r["lower_bound"] / r["best"]) for r in found if "lower_bound" in r]
            lines.append(
                [
                    label,
                    solver,
                    f"{stop:g} s",
                    str(len(gaps)),
                    percent(gaps),
                    f"{statistics.median(gaps):.3f}",
                    f"{max(gaps):.3f}",
                    str(exact),
                    percent(bounds) if bounds else "-",
                    f"{statistics.mean(r['cpu_s'] for r in found if 'gap' in r):.1f}",
                ]
            )
    head = [
        "set",
        "solver",
        "stop",
        "instances",
        "mean gap %",
        "median",
        "worst",
        "optimal",
        "bound below optimum %",
        "CPU s",
    ]
    return table(head, lines)


def tsp_worst(rows: list[Row]) -> list[str]:
    """List the instances on which we lose most against a peer at the same stop."""
    ours = {(r["name"], r["stop"]): r for r in rows if r["solver"] == "gnnlib" and "gap" in r}
    losses = []
    for row in rows:
        mine = ours.get((row["name"], row["stop"]))
        if row["solver"] != "gnnlib" and not row["solver"].startswith("gnnlib,") and mine and "gap" in row:
            losses.append((mine["gap"] - row["gap"], row, mine))
    losses = sorted((loss for loss in losses if loss[0] > 0), key=lambda loss: -loss[0])[:15]
    return table(
        ["instance", "stop", "gnnlib gap %", "peer", "its gap %"],
        ([r["name"], f"{r['stop']:g} s", f"{m['gap']:.3f}", r["solver"], f"{r['gap']:.3f}"] for _, r, m in losses),
    )


def tsp_violations(rows: list[Row]) -> int:
    return sum(row["lower_bound"] > row["best"] * (1 + 1e-12) for row in rows if "lower_bound" in row)


def anytime_picture(rows: list[Row]) -> str | None:
    """Curves of our tours and points of the peers' over time; gap to the best known."""
    sizes = [n for n in (1000, 10_000, 100_000) if any("trace" in r and r["n"] == n for r in rows)]
    if not sizes:
        return None
    figure, axes = plt.subplots(1, len(sizes), figsize=(4.2 * len(sizes), 3.6), squeeze=False)
    palette = {"gnnlib": "#0072B2", "ortools": "#D55E00", "fast_tsp": "#009E73", "lkh": "#CC79A7"}
    for ax, n in zip(axes[0], sizes, strict=True):
        name = next(r["name"] for r in rows if r["n"] == n and "trace" in r and r["set"] == "uniform")
        here = [r for r in rows if r["name"] == name and "gap" in r]
        for row in here:
            colour = palette.get(row["solver"], "#777777")
            if row["solver"] == "gnnlib" and row["stop"] == max(r["stop"] for r in here):
                seconds, lengths = zip(*row["trace"], strict=True)
                gaps = [100.0 * (length / row["best"] - 1.0) for length in lengths]
                ax.plot(
                    [*seconds, row["stop"]], [*gaps, gaps[-1]], color=colour, drawstyle="steps-post", label="gnnlib"
                )
        for solver in sorted({r["solver"] for r in here} & {"ortools", "fast_tsp", "lkh"}):
            points = sorted((r["wall_s"], r["gap"]) for r in here if r["solver"] == solver)
            ax.plot(*zip(*points, strict=True), "o--", color=palette[solver], label=solver, markersize=5, linewidth=1)
        ax.set(xscale="log", yscale="symlog", xlabel="seconds", title=name)
        ax.set_yscale("symlog", linthresh=0.01)
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("gap to best known (%)")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(PICTURES / "tsp_anytime.png", dpi=110)
    plt.close(figure)
    return "results/tsp_anytime.png"


def tsp_section(payload: dict[str, Any]) -> list[str]:
    rows, _ = tsp_rows(payload)
    lines = ["## Travelling salesman: gnnlib and its peers", "", taken(payload), ""]
    lines += [
        "Command: `python benchmarks/bench_tsp.py`. One core, wall-clock stops, one seed an instance; gap in per cent to the",
        "best known tour (TSPLIB's optimum; for generated instances the best of all runs ever made here, so that 0.000 means",
        "that nothing better is known, not that nothing better exists). Our time includes the lower bound and the prior.",
        "`lkh` (one run through elkai, its own CPU seconds in brackets) and `christofides` do not heed a stop. `pyvrp` has",
        "one vehicle for all cities. fast_tsp, LKH and OR-Tools take a dense matrix, whose making counts: 'no tour' means",
        "that the matrix took all of the time. `gnnlib, kicks only` leaves the population stage out. Rows were taken over",
        f"several commits; the newer ones name theirs in the JSON. {tsp_clocks(rows)}",
        "",
        "### TSPLIB and national instances",
        "",
        *tsp_collection(rows),
        f"Lower bounds above a known optimum: {tsp_violations([r for r in rows if r['known'] is not None])}.",
        "",
        "### Uniform points",
        "",
        *tsp_by_size(rows, "uniform"),
    ]
    big = [r for r in rows if r["set"] == "uniform" and r["n"] == 100_000 and r["solver"] == "gnnlib"]
    for row in big:
        ratio = 100.0 * (row["length"] / (0.7124 * math.sqrt(row["n"]) * 1e6) - 1.0)
        lines.append(
            f"n = 100,000, stop {row['stop']:g} s: {ratio:.2f} % above 0.7124 sqrt(n A), the constant of large n. "
        )
    if any(r["set"] == "clustered" for r in rows):
        lines += ["", "### Clustered points", "", *tsp_by_size(rows, "clustered")]
    picture = anytime_picture(rows)
    if picture:
        lines += [f"![Gap over time]({picture})", ""]
    lines += ["### Where we lose most", "", *tsp_worst(rows)]
    return lines


def encoder_section(payload: dict[str, Any]) -> list[str]:
    command = "Command: `python benchmarks/bench_encoder.py`."
    return ["## Encoder: time and memory", "", taken(payload), command, "", *payload["markdown"], ""]


def graph_section(payload: dict[str, Any]) -> list[str]:
    lines = [
        "## Graph building",
        "",
        taken(payload),
        f"Command: `python benchmarks/bench_graph_building.py`; {payload['unit']}.",
        "",
    ]
    sizes = sorted({row["num_points"] for row in payload["rows"]})
    found = {(r["cloud"], r["builder"], r["num_points"]): r["cpu_seconds"] for r in payload["rows"]}
    pairs = list(dict.fromkeys((r["cloud"], r["builder"]) for r in payload["rows"]))
    rows = []
    for cloud, builder in pairs:
        cells = (found.get((cloud, builder, n)) for n in sizes)
        rows.append([cloud, f"`{builder}`", *("-" if value is None else f"{value:.3f}" for value in cells)])
    return [*lines, *table(["points", "builder", *(f"{n:,}" for n in sizes)], rows)]


def prior_section(payload: dict[str, Any]) -> list[str]:
    lines = ["## Priors: what they know of the optimal tour before any search", "", taken(payload)]
    lines += ["Command: `python benchmarks/bench_tsp_prior.py`; labels are long runs of our own search.", ""]
    rows = [
        [
            row["kind"],
            f"{row['n']:,}",
            row["prior"],
            f"{row['average_precision']:.4f}",
            f"{row['recall_at_5']:.4f}",
            f"{row['mean_rank']:.3f}",
            f"{row['cpu_s']:.3f}",
        ]
        for row in payload["rows"]
    ]
    lines += table(["points", "n", "prior", "average precision", "recall@5", "mean rank of tour edges", "CPU s"], rows)
    seconds = ", ".join(f"{value:.2f} s for {int(n):,} cities" for n, value in payload["model_cpu_s"].items())
    return [*lines, f"The graph network alone: {seconds}.", ""] if seconds else lines


def ablation_section(payload: dict[str, Any]) -> list[str]:
    """Mean gap of each prior with each search, and how the learned prior stands against the others, instance by instance."""
    best = record.read("tsp_best") or {}
    usual = {n: {"kind": "uniform", "n": int(n), "seconds": stop} for n, stop in payload.get("stops", {}).items()}
    groups = payload.get("groups", usual)
    gaps: dict[tuple[str, str, str], dict[str, float]] = {}
    for key, row in payload["rows"].items():
        group, seed, search, prior = key.split("|")
        about = groups[group]
        gap = 100.0 * (row["length"] / best[f"{about['kind']}-{about['n']}-{seed}"] - 1.0)
        gaps.setdefault((group, search, prior), {})[seed] = gap
    priors, searches = (list(dict.fromkeys(key[i] for key in gaps)) for i in (2, 1))
    cells, wins, compared = [], 0, 0
    order = {group: (about["kind"] != "uniform", about["n"], about["seconds"]) for group, about in groups.items()}
    for group in sorted({key[0] for key in gaps}, key=lambda name: order[name]):
        for search in searches:
            found = {prior: gaps[group, search, prior] for prior in priors if (group, search, prior) in gaps}
            shared = sorted(set.intersection(*(set(values) for values in found.values()))) if found else []
            if not shared:
                continue
            means = {prior: statistics.mean(values[seed] for seed in shared) for prior, values in found.items()}
            if len(found) == len(priors):
                compared += 1
                wins += min(means, key=lambda prior: means[prior]) == "gnn"
            is_pair = {"gnn", "alpha"} <= set(found)
            ahead = sum(found["gnn"][seed] < found["alpha"][seed] for seed in shared) if is_pair else 0
            cells.append(
                [
                    groups[group]["kind"],
                    f"{groups[group]['n']:,}",
                    f"{groups[group]['seconds']:g} s",
                    search,
                    *(f"{means[prior]:.3f}" if prior in means else "-" for prior in priors),
                    f"{ahead} of {len(shared)}" if is_pair else "-",
                ]
            )
    return [
        "## Priors and searches: does the learned prior help?",
        "",
        taken(payload),
        "",
        "Command: `python benchmarks/bench_tsp_ablation.py`. Mean gap in per cent to the best known tour at equal CPU",
        "seconds, the time of the prior counted; lower is better. The last column counts the instances on which the",
        f"network beats alpha-nearness. The network has the lowest mean in {wins} of {compared} lines with all priors.",
        "",
        *table(["points", "n", "stop", "search", *priors, "gnn before alpha"], cells),
    ]


def rewards_section(payload: dict[str, Any]) -> list[str]:
    """Show what the policy gradient did to the edge scorer: whole searches at equal CPU seconds, and the card."""
    best = record.read("tsp_best") or {}
    models = ("supervised", "rewarded")
    cells = []
    for kind, n in dict.fromkeys((row["kind"], row["n"]) for row in payload["rows"]):
        found = [row for row in payload["rows"] if (row["kind"], row["n"]) == (kind, n)]
        gaps = {m: [100.0 * (r[m] / best[f"{kind}-{n}-{r['seed']}"] - 1.0) for r in found] for m in models}
        ahead = sum(row["rewarded"] < row["supervised"] for row in found)
        means = [percent(gaps[m]) for m in models]
        cells.append([kind, f"{n:,}", f"{payload['stops'][str(n)]:g} s", *means, f"{ahead} of {len(found)}"])
    card = payload["card"]
    kept = "the rewarded" if card["rewarded weights kept"] else "the supervised"
    lines = [
        "## Edge scorer: what REINFORCE brought",
        "",
        taken(payload),
        "",
        "Command: `python benchmarks/bench_tsp_rewards.py`. Population search with the prior `gnn`, mean gap in per cent",
        f"to the best known tour at equal CPU seconds. The training keeps the weights with the shorter validation tours: {kept}.",
        "",
        *table(["points", "n", "stop", *models, "rewarded better"], cells),
    ]
    names = ["descent gap in % (val, {})", "descent gap in % (test, {})", "average_precision (test, {})"]
    rows = [[name.replace(", {}", ""), *(f"{card[name.format(m)]:.4f}" for m in models)] for name in names]
    return [*lines, *table(["of single descents", *models], rows)]


def bound_section(payload: dict[str, Any]) -> list[str]:
    rows = payload["tsplib"]
    gaps = [100.0 * row["gap"] for row in rows]
    lines = ["## Lower bound", "", taken(payload), "Command: `python benchmarks/bench_bound.py`.", ""]
    above = payload["summary"]["bounds_above_the_optimum"]
    lines += [
        f"TSPLIB, {len(rows)} instances with known optimum: mean {statistics.mean(gaps):.2f} %, median "
        f"{statistics.median(gaps):.2f} %, worst {max(gaps):.2f} % below the optimum "
        f"({max(rows, key=lambda row: row['gap'])['instance']}); above it: {len(above)}.",
        "",
    ]
    slow = sorted(rows, key=lambda row: -row["n"])[:6]
    cells = ([r["instance"], f"{r['n']:,}", f"{100 * r['gap']:.2f}", f"{r['seconds']:.2f}"] for r in slow)
    return [*lines, *table(["largest", "n", "below the optimum %", "seconds"], cells)]


SECTIONS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "tsp": tsp_section,
    "bound": bound_section,
    "tsp_prior": prior_section,
    "tsp_ablation": ablation_section,
    "tsp_rewards": rewards_section,
    "encoder": encoder_section,
    "graph_building": graph_section,
}


AREAS = ("report_vrp", "report_graphs", "report_automl", "report_meta", "report_protein", "report_scene")
"""Modules beside this one whose `lines()` are the sections of the other heads."""


def main() -> None:
    lines = [
        "# Results",
        "",
        "Generated by `python benchmarks/report.py` from `results/*.json`; see [protocol.md](protocol.md).",
        "",
    ]
    for name, section in SECTIONS.items():
        payload = record.read(name)
        if payload is not None:
            lines += section(payload)
    for area in AREAS:
        lines += importlib.import_module(area).lines()
    OUT.write_text("\n".join(lines).rstrip() + "\n")
    print(f"wrote {OUT.name}")


if __name__ == "__main__":
    main()
