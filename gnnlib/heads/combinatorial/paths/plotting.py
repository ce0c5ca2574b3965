"""Pictures of shortest paths, and of what a search had to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.graph_canvas import GraphCanvas
from gnnlib.heads.combinatorial.paths.baselines import FoundPath, find_path
from gnnlib.style import COLOURS, SEQUENTIAL, styled

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.paths.baselines import Tables
    from gnnlib.heads.combinatorial.paths.result import PathResult
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

__all__ = ["plot_expanded", "plot_path"]


def plot_path(obj: PathResult, *, ax: Axes | None = None) -> Axes:
    """Draw a path over its graph.

    Parameters
    ----------
    obj : PathResult
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.paths.api import shortest_path
    >>> ax = plot_path(shortest_path([[0, 1.0, 3.0], [1.0, 0, 1.0], [3.0, 1.0, 0]], 0, 2))
    >>> len(ax.collections)
    5
    """
    with styled():
        canvas = GraphCanvas(obj.graph, ax)
        canvas.base()
        canvas.edges(obj.node_ids[:-1], obj.node_ids[1:], color=COLOURS["answer"], linewidths=2.4, zorder=4)
        canvas.ends(obj.graph.number_of(obj.source), obj.graph.number_of(obj.target))
        length = f"length {obj.length:,.6g}" if len(obj.node_ids) else "the target cannot be reached"
        canvas.title(
            f"{obj.graph.name or 'path'}: {obj.source} to {obj.target}",
            f"{length}, {obj.expanded:,} of {obj.graph.num_nodes:,} nodes expanded, method {obj.method}",
        )
        return canvas.axes


def plot_expanded(
    graph: WeightedGraph,
    source: Hashable,
    target: Hashable,
    searches: Mapping[str, Tables | None],
    *,
    axes: list[Axes] | None = None,
) -> list[Axes]:
    """Draw side by side which nodes searches for the same path expand, darker the later.

    Parameters
    ----------
    graph : WeightedGraph
        Weights >= 0.
    source, target : hashable
        Names of the ends.
    searches : mapping of str to Tables or None
        Landmarks of each search; None is Dijkstra's algorithm.
    axes : list of matplotlib Axes, optional
        One for each search; default: those of a new figure.

    Returns
    -------
    list of matplotlib Axes
    """
    with styled():
        if axes is None:
            import matplotlib.pyplot as plt

            _, made = plt.subplots(1, len(searches), figsize=(4.2 * len(searches), 4.4), layout="constrained")
            axes = list(np.atleast_1d(made))
        ends = graph.number_of(source, "source"), graph.number_of(target, "target")
        for ax, (label, tables) in zip(axes, searches.items(), strict=True):
            _draw_search(GraphCanvas(graph, ax), find_path(graph, *ends, tables=tables), label, ends)
        return axes


def _draw_search(canvas: GraphCanvas, found: FoundPath, label: str, ends: tuple[int, int]) -> None:
    canvas.base()
    if found.turn is not None:
        opened = np.flatnonzero(found.turn >= 0)
        shade = 0.25 + 0.6 * found.turn[opened] / max(int(found.turn.max()), 1)
        canvas.nodes(opened, c=shade, cmap=SEQUENTIAL, vmin=0, vmax=1, s=max(3.0, 2.0 * canvas.dot), zorder=3)
    canvas.edges(found.nodes[:-1], found.nodes[1:], color=COLOURS["answer"], linewidths=2.2, zorder=4)
    canvas.ends(*ends)
    canvas.title(label, f"{found.expanded:,} of {canvas.graph.num_nodes:,} nodes expanded")
