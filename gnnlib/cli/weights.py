"""``gnnlib weights``: the trained models that come with the library."""

from __future__ import annotations

from typing import Any

import typer

from gnnlib.cli.console import format_table, print_json

__all__ = ["app"]

app = typer.Typer(help="List shipped models, show their cards.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models(*, as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table.")) -> None:
    """List the trained models that come with gnnlib.

    \b
    Example:
      gnnlib weights list
    """  # noqa: D301
    from gnnlib.encoder import list_weights, read_card

    cards = [read_card(name) for name in list_weights()]
    if as_json:
        print_json([card.to_dict() for card in cards])
    elif cards:
        typer.echo(format_table(["name", "purpose"], [[card.name, card.purpose] for card in cards]))
    else:
        typer.echo("no trained models are shipped")


@app.command("show")
def show_model(
    name: str = typer.Argument(metavar="NAME", help="A name that `gnnlib weights list` prints, or a path."),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of text."),
) -> None:
    """Show the card of a trained model: what it is for, how it was made, how good it is.

    \b
    Example:
      gnnlib weights show tsp
    """  # noqa: D301
    from gnnlib.encoder import read_card

    card = read_card(name).to_dict()
    if as_json:
        print_json(card)
        return
    rows = [(key, _text(value)) for key, value in card.items() if value not in (None, "", {}, [])]
    width = max(len(key) for key, _ in rows)
    for key, text in rows:
        typer.echo(f"{key:<{width}}  {text}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_text(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
