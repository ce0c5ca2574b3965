"""``gnnlib solve tsp``: a TSPLIB file in, a tour with a proved lower bound out."""

from __future__ import annotations

import difflib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gnnlib.cli.console import PICTURE_SUFFIXES, check_target, print_json
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.tsp.problem import TSP, TourResult

__all__ = ["Prior", "load_problem", "save_plot", "solve_file"]


class Prior(StrEnum):
    """Where the order of the candidate edges comes from: the values of ``prior=`` in `gnnlib.solve_tsp`."""

    auto = "auto"
    gnn = "gnn"
    alpha = "alpha"
    softdist = "softdist"
    knn = "knn"
    none = "none"


def solve_file(
    file: str = typer.Argument(
        metavar="FILE", help="A TSPLIB file (.tsp, .atsp, also gzipped), or a name of `gnnlib data list`."
    ),
    *,
    time: float = typer.Option(5.0, min=0.0, metavar="SECONDS", help="Wall-clock limit."),
    seed: int = typer.Option(0, min=0, help="Seed of all random choices."),
    prior: Prior = typer.Option(Prior.auto, help="What orders the candidate edges."),
    out: Path | None = typer.Option(None, metavar="TOUR", help="Write the tour as a TSPLIB .tour file."),
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Draw the tour (.png, .pdf, .svg, ...)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON, and nothing else, on stdout."),
    progress: bool = typer.Option(True, help="Show a progress bar on stderr when that is a terminal."),
) -> None:
    """Find a short tour through the cities of FILE and prove how short a tour can be at best.

    Ctrl-C ends the search early and keeps the best tour so far.

    \b
    Examples:
      gnnlib solve tsp capitals
      gnnlib solve tsp berlin52.tsp --time 2 --out berlin52.tour --plot berlin52.png
      gnnlib solve tsp pr1002.tsp.gz --time 30 --json > pr1002.json
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    check_target(out)
    check_target(plot, PICTURE_SUFFIXES)
    problem = load_problem(file)
    result = _solve(problem, time, seed, prior, progress=progress)
    if out is not None:
        result.to_tsplib(out)
    if plot is not None:
        save_plot(result.plot(), plot)
    if as_json:
        print_json(result.to_dict())
        return
    typer.echo(result.summary())
    for path in (out, plot):
        if path is not None:
            typer.echo(f"wrote {path}")


def _solve(problem: TSP, seconds: float, seed: int, prior: Prior, *, progress: bool) -> TourResult:
    import sys

    from gnnlib.heads.combinatorial.tsp.api import solve_tsp, warm_up
    from gnnlib.stop import MaxRuntime

    is_shown = progress and sys.stderr.isatty()
    if is_shown:
        typer.echo("compiling the kernels (takes long the first time only) ...", err=True)
        warm_up()
    return solve_tsp(
        problem,
        stop=MaxRuntime(seconds),
        seed=seed,
        prior=None if prior is Prior.none else prior.value,
        progress=is_shown,
    )


def load_problem(file: str) -> TSP:
    """Read a TSPLIB file; where there is none of that name, take the shipped instance so called.

    Raises
    ------
    InputError
        If there is neither.
    """
    from gnnlib.data import list_instances, load_instance
    from gnnlib.heads.combinatorial.tsp.problem import as_tsp

    if Path(file).exists():
        return as_tsp(file)
    names = list_instances()
    if file in names:
        return as_tsp(load_instance(file))
    near = difflib.get_close_matches(file, names, n=1)
    hint = f"did you mean the shipped instance {near[0]!r}?" if near else "`gnnlib data list` names those shipped"
    raise InputError(f"there is no file {file!r} and no shipped instance of that name; {hint}")


def save_plot(axes: object, path: Path) -> None:
    """Write the figure that holds `axes` to `path`."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gnnlib.style import styled

    if not isinstance(axes, Axes) or not isinstance(axes.figure, Figure):
        raise InputError(f"`axes` must be matplotlib axes of a figure, found {type(axes).__name__}")
    with styled():
        axes.figure.savefig(path)
