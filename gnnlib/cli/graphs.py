"""``gnnlib solve mst`` and ``gnnlib solve path``: a graph file in, a spanning tree or a shortest path out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import TYPE_CHECKING

import typer

from gnnlib.cli.console import PICTURE_SUFFIXES, check_target, format_table, print_json
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

__all__ = ["demo", "solve_mst", "solve_path"]


class TreeMethod(StrEnum):
    """The values of ``method=`` in `gnnlib.heads.combinatorial.mst.api.spanning_tree`."""

    exact = "exact"
    learned = "learned"
    mcts = "mcts"


class PathMethod(StrEnum):
    """The values of ``method=`` in `gnnlib.heads.combinatorial.paths.api.shortest_path`."""

    exact = "exact"
    learned = "learned"
    astar = "astar"


def solve_mst(
    file: Path = typer.Argument(metavar="FILE", help="A graph file: .tntp or .graphml."),
    *,
    weight: str = typer.Option("weight", help="Edge attribute or column that holds the weight."),
    method: TreeMethod = typer.Option(TreeMethod.exact, help="How to find the tree."),
    simulations: int = typer.Option(64, min=0, help="Simulations a move, for mcts."),
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Draw the tree (.png, .pdf, .svg, ...)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON, and nothing else, on stdout."),
) -> None:
    """Find a spanning tree of the graph in FILE; directions of its edges are forgotten.

    \b
    Examples:
      gnnlib solve mst roads_net.tntp
      gnnlib solve mst streets.graphml --weight length --method learned --plot tree.png
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    from gnnlib.heads.combinatorial.graph_io import read_graph
    from gnnlib.heads.combinatorial.mst.api import spanning_tree

    check_target(plot, PICTURE_SUFFIXES)
    graph = read_graph(file, weight=weight)
    if graph.is_directed:
        graph = graph.to_undirected()
    result = spanning_tree(graph, method=method.value, simulations=simulations)
    if plot is not None:
        _save(result.plot(), plot)
    if as_json:
        print_json(result.to_dict())
    else:
        typer.echo(result.summary() + (f"\nwrote {plot}" if plot is not None else ""))


def solve_path(
    file: Path = typer.Argument(metavar="FILE", help="A graph file: .tntp or .graphml."),
    source: str = typer.Argument(metavar="SOURCE", help="Name of the node where the path begins."),
    target: str = typer.Argument(metavar="TARGET", help="Name of the node where it ends."),
    *,
    weight: str = typer.Option("weight", help="Edge attribute or column that holds the weight."),
    method: PathMethod = typer.Option(PathMethod.exact, help="How to find the path."),
    plot: Path | None = typer.Option(None, metavar="PICTURE", help="Draw the path (.png, .pdf, .svg, ...)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON, and nothing else, on stdout."),
) -> None:
    """Find a shortest path through the graph in FILE.

    \b
    Examples:
      gnnlib solve path roads_net.tntp 1 24
      gnnlib solve path roads_net.tntp 1 24 --weight free_flow_time --method astar --plot path.png
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    from gnnlib.heads.combinatorial.graph_io import read_graph
    from gnnlib.heads.combinatorial.paths.api import shortest_path

    check_target(plot, PICTURE_SUFFIXES)
    graph = read_graph(file, weight=weight)
    ends = _named(graph, source, "source"), _named(graph, target, "target")
    result = shortest_path(graph, *ends, method=method.value)
    if plot is not None:
        _save(result.plot(), plot)
    if as_json:
        print_json(result.to_dict())
        return
    typer.echo(result.summary())
    if result.nodes:
        typer.echo(" -> ".join(map(str, result.nodes)))
    if plot is not None:
        typer.echo(f"wrote {plot}")


def _named(graph: WeightedGraph, text: str, label: str) -> Hashable:
    """Return the node of that name; names in files may be numbers."""
    names: list[Hashable] = [text, int(text)] if text.lstrip("-").isdigit() else [text]
    for name in names[:-1]:
        try:
            graph.number_of(name, label)
        except InputError:
            continue
        return name
    graph.number_of(names[-1], label)
    return names[-1]


def _save(axes: object, path: Path) -> None:
    from gnnlib.cli.tsp import save_plot

    save_plot(axes, path)


def demo(out: Path) -> None:
    """Find a tree and a path on a generated road map in every way, and draw them."""
    from gnnlib.heads.combinatorial.games.random_graphs import random_graph
    from gnnlib.heads.combinatorial.mst.api import spanning_tree
    from gnnlib.heads.combinatorial.paths.api import shortest_path
    from gnnlib.heads.combinatorial.paths.decode import prepare_paths

    graph = random_graph("geometric", 800, seed=0)
    rows = []
    for tree_method in ("exact", "learned"):
        tree = spanning_tree(graph, method=tree_method)
        rows.append(
            ["spanning tree", tree_method, f"{tree.weight:.4f}", f"{tree.ratio:.6f}", "", f"{tree.seconds:.3f}"]
        )
    _save(tree.plot(), out / "graphs_tree.png")
    index = prepare_paths(graph)
    source, target = int(graph.coords[:, 0].argmin()), int(graph.coords[:, 0].argmax())  # type: ignore[index]
    exact = shortest_path(graph, source, target)
    for method in PathMethod:
        path = shortest_path(graph, source, target, method=method.value, index=index)
        ratio = path.length / exact.length
        rows.append(
            ["path", method.value, f"{path.length:.4f}", f"{ratio:.6f}", str(path.expanded), f"{path.seconds:.3f}"]
        )
    _save(path.plot(), out / "graphs_path.png")
    head = ["problem", "method", "weight", "ratio to exact", "expanded", "seconds"]
    typer.echo(format_table(head, rows, numbers=head[2:]) + "\n")
    for name in ("graphs_tree.png", "graphs_path.png"):
        typer.echo(f"wrote {out / name}")
