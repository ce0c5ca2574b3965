"""``gnnlib solve vrp``: an instance in, checked routes out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gnnlib.cli.console import PICTURE_SUFFIXES, check_target, format_table, print_json

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.heads.combinatorial.vrp.result import RouteResult

__all__ = ["Convention", "demo", "solve_file"]


class Convention(StrEnum):
    """How distances are rounded: the keys of `gnnlib.heads.combinatorial.vrp.travel.CONVENTIONS`."""

    exact = "exact"
    round = "round"
    floor = "floor"
    dimacs = "dimacs"
    milli = "milli"


def solve_file(
    file: str = typer.Argument(metavar="FILE", help="A VRPLIB, Solomon, Li-Lim or Cordeau file, also gzipped."),
    *,
    time: float = typer.Option(10.0, min=0.0, metavar="SECONDS", help="Wall-clock limit."),
    seed: int = typer.Option(0, min=0, help="Seed of all random choices."),
    jobs: int = typer.Option(1, min=1, help="Processes that search from different seeds."),
    convention: Convention | None = typer.Option(
        None, help="Rounding of distances; default: that of the collection's best known solutions."
    ),
    warm_start: Path | None = typer.Option(None, metavar="SOL", help="Start from the routes of this .sol file."),
    out: Path | None = typer.Option(None, metavar="SOL", help="Write the routes as a .sol file."),
    html: Path | None = typer.Option(None, metavar="PAGE", help="Write routes and timetables as a page."),
    geojson: Path | None = typer.Option(None, metavar="GEOJSON", help="Write routes and stops as GeoJSON."),
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Draw the routes (.png, .pdf, .svg, ...)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON, and nothing else, on stdout."),
    progress: bool = typer.Option(True, help="Show a progress bar on stderr when that is a terminal."),
) -> None:
    """Find cheap routes for the fleet that FILE describes.

    Clients whom nobody can serve are named with the reason; the others are served all the same. Ctrl-C ends the search
    early and keeps the best routes so far.

    \b
    Examples:
      gnnlib solve vrp X-n106-k14.vrp --time 10 --out X-n106-k14.sol --html routes.html
      gnnlib solve vrp R112.txt --convention exact --json > R112.json
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    for path in (out, html, geojson):
        check_target(path)
    check_target(plot, PICTURE_SUFFIXES)
    problem = _read(Path(file), convention)
    result = _solve(problem, time, seed, jobs, warm_start, progress=progress)
    written = _write(result, out, html, geojson, plot)
    if as_json:
        print_json(result.to_dict())
        return
    typer.echo(result.summary())
    _tell_faults(result)
    for path in written:
        typer.echo(f"wrote {path}")


def _read(file: Path, convention: Convention | None) -> VRP:
    from gnnlib.heads.combinatorial.vrp.io import read_vrp

    return read_vrp(file, convention=None if convention is None else convention.value)


def _solve(
    problem: VRP, seconds: float, seed: int, jobs: int, warm_start: Path | None, *, progress: bool
) -> RouteResult:
    import sys

    from gnnlib.heads.combinatorial.vrp.api import solve_vrp
    from gnnlib.heads.combinatorial.vrp.io import read_routes
    from gnnlib.stop import MaxRuntime

    is_shown = progress and sys.stderr.isatty()
    if is_shown:
        typer.echo("compiling the kernels (takes long the first time only) ...", err=True)
    return solve_vrp(
        problem,
        stop=MaxRuntime(seconds),
        seed=seed,
        n_jobs=jobs,
        warm_start=None if warm_start is None else read_routes(warm_start).routes,
        progress=is_shown,
    )


def _write(
    result: RouteResult, out: Path | None, html: Path | None, geojson: Path | None, plot: Path | None
) -> list[Path]:
    from gnnlib.heads.combinatorial.vrp.export import result_geojson, write_html, write_solution

    if out is not None:
        write_solution(result, out)
    if html is not None:
        write_html(result, html)
    if geojson is not None:
        result_geojson(result, geojson)
    if plot is not None:
        from gnnlib.cli.tsp import save_plot

        save_plot(result.plot(), plot)
    return [path for path in (out, html, geojson, plot) if path is not None]


def _tell_faults(result: RouteResult) -> None:
    """Say why clients stay unserved."""
    from gnnlib.heads.combinatorial.vrp.explain import explain_shortage

    if result.feasible:
        return
    for client, why in result.unservable:
        typer.echo(f"nobody can serve client {client}: {why}")
    shortage = explain_shortage(result.problem)
    if shortage is not None:
        typer.echo(f"the fleet is too small: {shortage}")


def demo(out: Path, seconds: float, seed: int) -> None:
    """Route a fleet for a generated town and one with time windows; write page, drawing and timetable to `out`."""
    from gnnlib.cli.tsp import save_plot
    from gnnlib.heads.combinatorial.vrp.export import write_html, write_solution
    from gnnlib.heads.combinatorial.vrp.generate import generate_vrp
    from gnnlib.heads.combinatorial.vrp.plotting import plot_routes, plot_timetable

    problems = [generate_vrp(200, seed=1), generate_vrp(100, windows=True, seed=2)]
    results = [_solve(problem, seconds, seed, 1, None, progress=False) for problem in problems]
    names = ["town", "town_windows"]
    rows = [
        [
            name,
            f"{result.problem.num_clients:,}",
            f"{len(result.routes)}",
            f"{result.cost:,.10g}",
            f"{result.seconds:.2f}",
        ]
        for name, result in zip(names, results, strict=True)
    ]
    head = ["instance", "clients", "routes", "cost", "seconds"]
    typer.echo(format_table(head, rows, numbers=head[1:]) + "\n")
    written = []
    for name, result in zip(names, results, strict=True):
        written += [out / f"{name}.html", out / f"{name}.sol", out / f"{name}.png"]
        write_html(result, written[-3])
        write_solution(result, written[-2])
        save_plot(plot_routes(result), written[-1])
    written.append(out / "town_timetable.png")
    save_plot(plot_timetable(results[1]), written[-1])
    for path in written:
        typer.echo(f"wrote {path}")
