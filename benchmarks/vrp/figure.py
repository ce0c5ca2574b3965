"""Anytime curves of the routing benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from vrp import sets

if TYPE_CHECKING:
    from pathlib import Path


def draw(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the mean gap of each set over seconds, ours as a curve, peers as points at their stops."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [name for name in sets.SETS if any(key.startswith(f"{name}|") for key in rows)]
    if not shown:
        return
    columns = min(3, len(shown))
    figure, axes = plt.subplots(
        -(-len(shown) // columns), columns, figsize=(4 * columns, 3 * -(-len(shown) // columns)), squeeze=False
    )
    for ax, name in zip(axes.flat, shown, strict=False):
        _draw_set(ax, name, rows)
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_set(ax: Any, set_name: str, rows: dict[str, dict[str, Any]]) -> None:
    curves: list[Any] = []
    points: dict[str, dict[float, list[float]]] = {}
    longest = max(float(key.split("|")[3]) for key in rows if key.startswith(f"{set_name}|"))
    times = np.geomspace(0.05, longest, 60)
    for key, row in rows.items():
        group, name, solver, stop, _ = key.split("|")
        best = sets.reference(group, name) if group == set_name else None
        if best is None or row["cost"] is None:
            continue
        points.setdefault(solver, {}).setdefault(float(stop), []).append(100 * (row["cost"] / best - 1))
        if row.get("trace") and float(stop) == longest:
            trace = np.array(row["trace"])
            at = np.searchsorted(trace[:, 0], times, side="right") - 1
            curves.append(np.where(at >= 0, 100 * (trace[np.maximum(at, 0), 1] / best - 1), np.nan))
    for number, (solver, found) in enumerate(points.items()):
        stops = sorted(found)
        ax.plot(stops, [np.mean(found[s]) for s in stops], "o", ms=4, color=f"C{number}", label=solver)
    if curves:
        ax.plot(times, np.mean(curves, axis=0), color="C0", lw=1.2)
    ax.set(xscale="log", yscale="log", title=set_name, xlabel="seconds", ylabel="gap to best known, %")
    ax.legend(fontsize=7)
