"""``gnnlib data``: the instances that come with the library and the registry of public collections."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the annotations)

import typer

from gnnlib.cli.console import format_size, format_table, print_json

__all__ = ["app"]

app = typer.Typer(
    help="List shipped instances and public data sets; fetch these.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_data(*, as_json: bool = typer.Option(False, "--json", help="Print JSON instead of tables.")) -> None:
    """List the instances that come with gnnlib, and the public data sets that `fetch` knows.

    \b
    Example:
      gnnlib data list
    """  # noqa: D301
    from gnnlib.data import list_datasets, list_instances

    instances, sources = list_instances(), list_datasets()
    if as_json:
        shown = [
            {
                "name": source.name,
                "title": source.title,
                "files": len(source.files),
                "bytes": source.size,
                "licence": source.licence,
                "non_commercial": source.non_commercial,
                "repository": source.repository,
                "commit": source.commit,
            }
            for source in sources
        ]
        print_json({"instances": instances, "datasets": shown})
        return
    typer.echo("Shipped instances (a name can stand for a file):")
    typer.echo("  " + ", ".join(instances) + "\n")
    typer.echo("Public data sets (get one with: gnnlib data fetch NAME):")
    rows = [[s.name, str(len(s.files)), format_size(s.size), s.title] for s in sources]
    typer.echo(format_table(["name", "files", "size", "title"], rows, numbers=("files", "size")))
    typer.echo("\nTheir licences differ; `gnnlib data list --json` and the cards in datasets/ state them.")


@app.command("fetch")
def fetch_data(
    name: str = typer.Argument(metavar="NAME", help="A data set, or one of its files: tsplib, tsplib/berlin52.tsp."),
    *,
    cache: Path | None = typer.Option(None, metavar="FOLDER", help="Where downloads go; default: the user's cache."),
) -> None:
    """Make a public data set available and print where it lies.

    Files are taken from the folder that the environment variable GNNLIB_DATA names, else downloaded once. Checksums
    are compared in both cases.

    \b
    Examples:
      gnnlib data fetch tsplib/berlin52.tsp
      GNNLIB_DATA=~/mirror gnnlib data fetch tsplib
    """  # noqa: D301
    from gnnlib.data import dataset, fetch

    source = dataset(name.partition("/")[0])
    if source.non_commercial:
        typer.echo(f"note: licence of {source.name}: {source.licence}", err=True)
    typer.echo(str(fetch(name, cache=cache, progress=True)))
