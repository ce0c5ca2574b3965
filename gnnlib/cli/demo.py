"""``gnnlib demo``: each head at work on what comes with the library, as tables and pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gnnlib.cli.console import format_table
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.tsp.heatmap import HeatMap
    from gnnlib.heads.combinatorial.tsp.problem import TourResult

__all__ = ["DEMO_INSTANCES", "Head", "demo"]


class Head(StrEnum):
    """The heads that have something to show."""

    tsp = "tsp"
    vrp = "vrp"
    graphs = "graphs"
    protein = "protein"
    scene = "scene"
    automl = "automl"


DEMO_INSTANCES = ("capitals", "uniform_1000", "clustered_1000")


def demo(
    head: Head | None = typer.Argument(None, help="Show this head only; default: all of them."),
    *,
    out: Path = typer.Option(Path("demo"), metavar="FOLDER", help="Where the pictures and tours go."),
    time: float = typer.Option(5.0, min=0.0, metavar="SECONDS", help="Wall-clock limit for each tour and fleet."),
    seed: int = typer.Option(0, min=0, help="Seed of the search for tours."),
) -> None:
    """Show each head at work: tours with proved bounds, routes of a fleet, a protein's fold, traffic with its futures.

    The tours are through the capital cities of the world (great-circle distances), a thousand uniform and a thousand
    clustered cities. Compiling the kernels takes a while the first time.

    \b
    Examples:
      gnnlib demo --out demo --time 5
      gnnlib demo protein
    """  # noqa: D301 (the mark keeps typer from joining the lines of the example)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    out.mkdir(parents=True, exist_ok=True)
    if head in {None, Head.tsp}:
        _show_tours(out, time, seed)
    if head in {None, Head.vrp}:
        from gnnlib.cli import vrp

        vrp.demo(out, time, seed)
    if head in {None, Head.graphs}:
        from gnnlib.cli import graphs

        graphs.demo(out)
    if head in {None, Head.protein}:
        from gnnlib.cli import protein

        protein.demo(out)
    if head in {None, Head.scene}:
        from gnnlib.cli import scene

        scene.demo(out)
    if head in {None, Head.automl}:
        from gnnlib.cli import automl

        automl.demo(out, seconds=2.0 * time)


def _show_tours(out: Path, time: float, seed: int) -> None:
    _prepare()
    results = [_solve(name, time, seed) for name in DEMO_INSTANCES]
    typer.echo(_table(results) + "\n")
    for path in _write(results, out):
        typer.echo(f"wrote {path}")


def _prepare() -> None:
    from gnnlib.heads.combinatorial.tsp.api import warm_up

    typer.echo("compiling the kernels (takes long the first time only) ...", err=True)
    warm_up()


def _solve(name: str, seconds: float, seed: int) -> TourResult:
    from gnnlib.data import load_instance
    from gnnlib.heads.combinatorial.tsp.api import solve_tsp
    from gnnlib.stop import MaxRuntime

    typer.echo(f"solving {name} ...", err=True)
    return solve_tsp(load_instance(name), stop=MaxRuntime(seconds), seed=seed)


def _table(results: list[TourResult]) -> str:
    head = ["instance", "cities", "length", "lower bound", "gap", "seconds"]
    rows = [
        [
            result.problem.name,
            f"{result.problem.num_cities:,}",
            f"{result.length:,.0f}",
            f"{result.lower_bound:,.0f}",
            "optimal" if result.is_optimal else f"{100.0 * result.gap:.2f} %",
            f"{result.seconds:.2f}",
        ]
        for result in results
    ]
    note = "gap: no tour is shorter than the lower bound, so this one is at most so much longer than the best"
    return format_table(head, rows, numbers=head[1:]) + "\n" + note


def _write(results: list[TourResult], out: Path) -> list[Path]:
    from gnnlib.cli.tsp import save_plot
    from gnnlib.heads.combinatorial.tsp.plotting import plot_edge_scores, plot_tour, plot_trace

    written = []
    for result in results:
        stem = out / result.problem.name
        written += [stem.with_suffix(".tour"), stem.with_suffix(".png")]
        result.to_tsplib(written[-2])
        save_plot(plot_tour(result), written[-1])
    first = results[0]
    written += [out / f"{first.problem.name}_trace.png", out / f"{first.problem.name}_scores.png"]
    save_plot(plot_trace(first), written[-2])
    save_plot(plot_edge_scores(first, *_heat_map(first)), written[-1])
    return written


def _heat_map(result: TourResult) -> HeatMap:
    from gnnlib.encoder import list_weights
    from gnnlib.heads.combinatorial.tsp.heatmap import heat_map
    from gnnlib.heads.combinatorial.tsp.priors import WEIGHTS

    return heat_map(result.problem, "gnn" if WEIGHTS in list_weights() else "alpha")
