"""The command ``gnnlib``: its sub-commands, and how errors leave it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import typer

from gnnlib._version import __version__
from gnnlib.cli import automl, data, demo, graphs, protein, scene, tsp, versions, vrp, weights
from gnnlib.errors import GnnlibError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

# typer's error for a bad command line; its place differs between typer's versions
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="gnnlib",
    help="Structured problems in, answers you can trust out.",
    epilog="Start with: gnnlib demo",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
solve = typer.Typer(help="Solve a problem that a file describes.", no_args_is_help=True, rich_markup_mode=None)
solve.command("tsp", short_help="Find a short tour and prove how short one can be.")(tsp.solve_file)
solve.command("mst", short_help="Find a spanning tree of small weight.")(graphs.solve_mst)
solve.command("path", short_help="Find a shortest path.")(graphs.solve_path)
solve.command("vrp", short_help="Find cheap routes for a fleet.")(vrp.solve_file)
app.add_typer(solve, name="solve")
app.add_typer(protein.app, name="protein")
app.add_typer(scene.app, name="scene")
app.add_typer(automl.app, name="automl")
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")
app.command("demo", short_help="Show each head at work; write tables and pictures.")(demo.demo)
app.command("versions", short_help="Print what is installed, for bug reports.")(versions.versions)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gnnlib {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    verbose: bool = typer.Option(False, "--verbose", help="Say on stderr what the library is doing."),
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit code: 0 when all went well, 2 for a bad command line or bad input (one line on stderr says why), 130
        after an interrupt. Any other exception is a mistake in the program and leaves with its traceback.
    """
    try:
        code = app(None if arguments is None else list(arguments), prog_name="gnnlib", standalone_mode=False)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(str(error))
            return EXIT_BAD_INPUT
        return _fail(f"{error.format_message()} (see `{_command_path(error)} --help`)")
    except GnnlibError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    typer.echo("gnnlib: " + " ".join(message.split()), err=True)
    return EXIT_BAD_INPUT


def _command_path(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "gnnlib"
