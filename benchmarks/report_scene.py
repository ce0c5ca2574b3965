"""The sections of `RESULTS.md` on traffic scenes, from ``results/scene_*.json``."""

from __future__ import annotations

import re
from typing import Any

import matplotlib as mpl
import record
from report_tables import table, taken

mpl.use("agg")
import matplotlib.pyplot as plt  # the back-end is chosen first

TITLES = {
    "ngsim": "NGSIM",
    "womd": "WOMD",
    "av2": "Argoverse 2",
    "nuscenes": "nuScenes mini (interpolated, optimistic)",
}

GOALS = {
    "ngsim": {"min_ade": 0.48, "min_fde": 0.85, "missed": 0.07, "guess_fde": 2.4},
    "womd": {"min_ade": 0.40, "min_fde": 0.90, "missed": 0.10, "guess_fde": 2.3},
    "av2": {"min_ade": 0.38, "min_fde": 0.80, "missed": 0.045},
}
"""What was to be reached by a model trained on all train splits."""

SHIPPED_GOALS = {"ngsim": GOALS["ngsim"], "womd": {"min_fde": 1.30}}
FIGURES = {"min_ade": "minADE6", "min_fde": "minFDE6", "missed": "miss rate of six", "guess_fde": "minFDE1"}
SHIPPED = "gnnlib, shipped weights"


def spread(values: list[float], digits: int = 2) -> str:
    mean, low, high = values
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def seed_means(rows: dict[str, Any]) -> dict[str, Any]:
    """Rows of the mean over the seeds of each model that has several: mean, least and greatest of every figure."""
    seeds: dict[str, list[Any]] = {}
    for name, row in rows.items():
        found = re.fullmatch(r"(.+?)(?:-|, seed )(\d+)", name)
        if found:
            seeds.setdefault(found[1], []).append(row)
    means = {}
    for name, group in seeds.items():
        if len(group) > 1:
            row = {"modes": group[0]["modes"]}
            for key, value in group[0].items():
                if isinstance(value, list) and len(value) == 3 and isinstance(value[0], float):
                    each = [other[key][0] for other in group]
                    row[key] = [sum(each) / len(each), min(each), max(each)]
            means[f"{name}: mean and range of {len(group)} seeds"] = row
    return means


def goal_lines(payload: dict[str, Any]) -> list[str]:
    """Tell which goals were met, by the mean over seeds of the models of all train splits and by the shipped one."""
    lines = []
    for source, part in payload["sources"].items():
        rows = part["rows"]
        ours = {name: row for name, row in rows.items() if re.fullmatch(r"gnnlib, all-\d+", name)}
        ours = {name: row for name, row in seed_means(rows).items() if name.startswith("gnnlib, all")} or ours
        for label, row, goals in (
            *((name, row, GOALS) for name, row in ours.items()),
            ("shipped weights", rows.get(SHIPPED), SHIPPED_GOALS),
        ):
            for key, goal in goals.get(source, {}).items() if row else ():
                value = row[key][0]
                verdict = "met" if value <= goal else "**missed**"
                lines.append(
                    [TITLES[source], label.removeprefix("gnnlib, "), FIGURES[key], f"{goal:g}", f"{value:.3f}", verdict]
                )
    return ["### Goals", "", *table(["source", "weights", "figure", "goal", "measured", ""], lines)] if lines else []


def prediction_section(payload: dict[str, Any]) -> list[str]:
    lines = ["## Scenes: open-loop prediction", "", taken(payload), "", f"{payload['protocol']}.", ""]
    lines += [payload["note"], ""] if "note" in payload else []
    untrained = payload.get("untrained")
    lines += [f"Written but not trained, so without a row: {', '.join(untrained)}.", ""] if untrained else []
    lines += goal_lines(payload)
    for source, part in payload["sources"].items():
        rows = part["rows"] | seed_means(part["rows"])
        lines += [f"### {TITLES[source]}: {part['windows']} vehicles in {part['scenes']} scenes", ""]
        lines += table(
            ["predictor", "K", "minADE", "minFDE", "miss rate", "brier-minFDE", "ADE, K = 1", "FDE, K = 1"],
            (
                [
                    name,
                    str(row["modes"]),
                    spread(row["min_ade"]),
                    spread(row["min_fde"]),
                    spread(row["missed"], 3),
                    spread(row["brier_min_fde"]),
                    spread(row.get("guess_ade", row["top1_ade"])),
                    spread(row.get("guess_fde", row["top1_fde"])),
                ]
                for name, row in rows.items()
            ),
        )
        learned = {name: row for name, row in rows.items() if "calibration_error" in row}
        lines += table(
            [
                "predictor",
                "FDE, top of six",
                "NLL a step",
                "calibration error",
                "in the 90 % region",
                "infeasible",
                "off road (truth)",
                "collisions (truth)",
                "AUROC of misses",
            ],
            (
                [
                    name,
                    f"{row['top1_fde'][0]:.2f}",
                    f"{row['nll'][0]:.2f}",
                    f"{row['calibration_error']:.3f}",
                    f"{row['coverage']:.3f}" if row["coverage"] else "-",
                    f"{row['infeasible']:.3f}",
                    *(
                        f"{row[key]:.3f} ({row[key + '_of_truth']:.3f})" if key in row else "-"
                        for key in ("off_road", "collision")
                    ),
                    f"{row['auroc_of_misses']:.2f}" if row.get("auroc_of_misses") else "-",
                ]
                for name, row in learned.items()
            ),
        )
    return [*lines, *warning_lines(payload), *picture_lines(payload), *trained(payload)]


def warning_lines(payload: dict[str, Any]) -> list[str]:
    """Tell how well unfamiliarity finds agents in generated rare events."""
    found = payload.get("auroc_of_rare_events")
    if not found:
        return []
    events = list(next(iter(found.values())))
    lines = ["### The warning: AUROC of unfamiliarity, agents in generated rare events against ordinary ones", ""]
    rows = ([name, *("-" if row[e] is None else f"{row[e]:.2f}" for e in events)] for name, row in found.items())
    return [*lines, *table(["weights", *(event.replace("_", " ") for event in events)], rows)]


def trained(payload: dict[str, Any]) -> list[str]:
    rows = []
    for name, card in payload["cards"].items():
        if card is not None:
            seconds = "-" if card["seconds"] is None else f"{card['seconds']:.0f} s"
            rows.append([name, card["data"], str(card["seed"]), seconds, card["licence"]])
    lines = table(["weights", "learned from", "seed", "training", "licence"], rows)
    runs = payload.get("trainings", {})
    head = ["run", "epochs", "losses", "wall seconds, other work beside it"]
    cells = ([name, str(one["epochs"]), ", ".join(one["losses"]), str(one["wall_s"])] for name, one in runs.items())
    return lines + (table(head, cells) if runs else [])


def picture_lines(payload: dict[str, Any]) -> list[str]:
    """Draw miss rate by horizon and reliability of the mode probabilities."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4))
    for source, part in payload["sources"].items():
        for name, row in part["rows"].items():
            if "miss_by_step" not in row or not name.startswith("gnnlib") or name.endswith(")"):
                continue
            style = "-" if "shipped" in name else "--"
            seconds = [0.5 * (number + 1) for number in range(len(row["miss_by_step"]))]
            (line,) = axes[0].plot(seconds, row["miss_by_step"], style, label=f"{TITLES[source][:12]}, {name[8:]}")
            axes[1].plot(*row["reliability"][:2], style, color=line.get_color())
    if not axes[0].lines:
        plt.close(figure)
        return []
    axes[0].set(xlabel="horizon in s", ylabel="miss rate of six modes (2 m)")
    axes[1].plot([0, 1], [0, 1], color="#999999", linewidth=1)
    axes[1].set(xlabel="probability of a mode", ylabel="how often it was the nearest")
    axes[0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(record.RESULTS / "scene_prediction.png", dpi=110)
    plt.close(figure)
    return ["![Miss rate by horizon, and reliability](results/scene_prediction.png)", ""]


def latency_section(payload: dict[str, Any]) -> list[str]:
    lines = [
        "## Scenes: latency",
        "",
        taken(payload),
        "",
        f"{payload['parameters']:,} parameters; {payload['note']}.",
        "",
    ]
    head = [
        "scene",
        "agents",
        "lane pieces",
        "edges",
        "graph, first",
        "graph, again",
        "forward",
        "decode",
        "all together",
    ]

    def cells(name: str, row: dict[str, Any]) -> list[str]:
        times = [
            "{:.1f} / {:.1f} / {:.1f}".format(*row[key])
            for key in ("graph_first_ms", "graph_again_ms", "forward_ms", "decode_ms", "predict_ms")
        ]
        return [name, str(row["agents"]), str(row["lane_pieces"]), str(row["edges"]), *times]

    lines += table(head, (cells(name, row) for name, row in payload["rows"].items()))
    lines += table([*head, "peak MB"], ([*cells("grid", row), str(row["peak_mb"])] for row in payload["growth"]))
    figure, left = plt.subplots(figsize=(4.6, 3.2))
    agents = [row["agents"] for row in payload["growth"]]
    for key, label in (("graph_again_ms", "graph"), ("forward_ms", "forward"), ("predict_ms", "all")):
        left.plot(agents, [row[key][2] for row in payload["growth"]], marker="o", label=label)
    left.set(xscale="log", yscale="log", xlabel="agents", ylabel="least CPU ms")
    right = left.twinx()
    right.plot(agents, [row["peak_mb"] for row in payload["growth"]], color="#999999", linestyle=":")
    right.set_ylabel("peak memory, MB (dotted)")
    left.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(record.RESULTS / "scene_latency.png", dpi=110)
    plt.close(figure)
    return [*lines, "![Time and memory by number of agents](results/scene_latency.png)", ""]


def pedestrian_section(payload: dict[str, Any]) -> list[str]:
    folds = payload["folds"]
    rows: list[list[str]] = []
    for name in next(iter(folds.values()))["rows"]:
        pairs = [(fold["rows"][name]["ade"][0], fold["rows"][name]["fde"][0]) for fold in folds.values()]
        rows.append(pedestrian_row(name, pairs))
    for name, values in payload["published"].items():
        rows.append(pedestrian_row(f"{name} (as published)", [tuple(values[fold]) for fold in folds]))
    lines = [
        "## Scenes: pedestrians, ETH and UCY",
        "",
        taken(payload),
        "",
        f"{payload['protocol']}; ADE / FDE in m.",
        "",
    ]
    lines += table(["predictor", *folds, "average"], rows)
    counts = ", ".join(f"{name} {fold['windows']} ({fold['train_cpu_s']} s)" for name, fold in folds.items())
    return [*lines, f"Windows (and CPU seconds of training) by fold: {counts}.", ""]


def pedestrian_row(name: str, pairs: list[tuple[float, float]]) -> list[str]:
    mean = [sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1)]
    return [name, *(f"{ade:.2f} / {fde:.2f}" for ade, fde in pairs), "{:.3f} / {:.3f}".format(*mean)]


def flat(prefix: str, value: Any) -> list[list[str]]:
    """Rows (name, value) of nested figures; for sections without a table of their own."""
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in flat(f"{prefix} {key}".strip(), item)]
    return [[prefix, f"{value:.3g}" if isinstance(value, float) else str(value)]]


def driven(row: dict[str, Any], key: str) -> str:
    """Return a figure, with its interval where there is one."""
    value, interval = row.get(key), row.get(key.removesuffix("_per_100") + "_interval")
    text = "-" if value is None else f"{value:.4g}"
    return text if interval is None else f"{text} ({interval[0]:g} to {interval[1]:g})"


def closed_loop_section(payload: dict[str, Any]) -> list[str]:
    lines = ["## Scenes: driving in closed loop", "", taken(payload), "", " ".join(payload["protocol"].split()), ""]
    lines += [payload["note"], ""] if "note" in payload else []
    policies = payload["policies"]
    kinds = [key for key in next(iter(policies.values())) if key.startswith("closed_loop")]
    for kind in kinds:
        title = kind.removeprefix("closed_loop_").replace("_", " ")
        keys = [key for key, value in next(iter(policies.values()))[kind].items() if not isinstance(value, list)]
        lines += [f"### Closed loop: {title}", ""]
        lines += table(
            ["policy", *(key.replace("_", " ") for key in keys)],
            ([name, *(driven(row[kind], key) for key in keys)] for name, row in policies.items()),
        )
    keys = list(next(iter(policies.values()))["open_loop_3s"])
    lines += ["### Open loop: distance of 3 s plans to the recording (says nothing about driving)", ""]
    lines += table(
        ["policy", *(key.replace("_", " ") for key in keys)],
        ([name, *(f"{row['open_loop_3s'].get(key, '-')}" for key in keys)] for name, row in policies.items()),
    )
    lines += ablation_lines(payload["ablation"]) if payload.get("ablation") else []
    rest = {key: payload[key] for key in ("cases", "kinematic_residual", "step_ms") if key in payload}
    return [*lines, *table(["figure", "value"], flat("", rest))]


def ablation_lines(steps: dict[str, Any]) -> list[str]:
    """Return the steps of the ablation, and whether each preset fails no more often than the one before."""
    rows = []
    for name, step in steps.items():
        before, after = step["failed_per_100"]
        verdict = "falls" if after < before else "stays" if after == before else "rises"
        told = verdict if step["p"] < 0.05 or verdict == "stays" else f"{verdict}, within chance"
        rows.append(
            [
                name,
                f"{before:g} to {after:g}",
                str(step["avoided"]),
                str(step["added"]),
                f"{step['p']:g}" if step["p"] >= 1e-4 else "< 0.0001",
                told,
            ]
        )
    goal = all(step["failed_per_100"][1] < step["failed_per_100"][0] for step in list(steps.values())[:4])
    sure = all(
        step["failed_per_100"][1] < step["failed_per_100"][0] and step["p"] < 0.05 for step in list(steps.values())[:2]
    )
    late = [step for step in list(steps.values())[2:4] if step["p"] >= 0.05]
    met = (
        "met, after M2 by differences within chance"
        if goal and late
        else "met"
        if goal
        else "met from M0 to M2 only"
        if sure
        else "not met"
    )
    return [
        "### The ablation in pairs: all seeds of training together",
        "",
        f"Goal: failures fall from M0 to M2 and on. {met.capitalize()}.",
        "",
        *table(["step", "failed per 100", "failures avoided", "added", "p", "failures"], rows),
    ]


def animation_section(payload: dict[str, Any]) -> list[str]:
    known = ("commit", "date", "machine", "versions")
    figures = {key: value for key, value in payload.items() if key not in known}
    return ["## Scenes: animation", "", taken(payload), "", *table(["figure", "value"], flat("", figures))]


SECTIONS = {
    "scene_prediction": prediction_section,
    "scene_latency": latency_section,
    "scene_pedestrians": pedestrian_section,
    "scene_closed_loop": closed_loop_section,
    "scene_animation": animation_section,
}


def lines() -> list[str]:
    """Return the lines of all sections that have been measured."""
    found: list[str] = []
    for name, section in SECTIONS.items():
        payload = record.read(name)
        if payload is not None:
            found += section(payload)
    return found
