"""A weighted graph on paper: where its nodes lie, and its edges and nodes in colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.style import COLOURS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["GraphCanvas"]

_LARGEST_LAYOUT = 500


class GraphCanvas:
    """Axes on which nodes have places: their coordinates, or for small graphs a spring layout.

    Parameters
    ----------
    graph : WeightedGraph
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Raises
    ------
    InputError
        If the graph has more than 500 nodes and no coordinates.
    """

    def __init__(self, graph: WeightedGraph, ax: Axes | None) -> None:
        self.graph = graph
        self.places = _places(graph)
        self.axes = new_axes(ax, size=(6.0, 5.2))
        self.axes.set_aspect("equal")
        self.axes.set_axis_off()
        if len(self.places):
            low, high = self.places.min(axis=0), self.places.max(axis=0)
            margin = 0.04 * max(float((high - low).max()), 1e-9)
            self.axes.set_xlim(low[0] - margin, high[0] + margin)
            self.axes.set_ylim(low[1] - margin, high[1] + margin)

    def edges(self, tails: IntArray, heads: IntArray, **style: Any) -> None:
        """Draw straight lines between nodes."""
        from matplotlib.collections import LineCollection

        segments = np.stack([self.places[tails], self.places[heads]], axis=1)
        self.axes.add_collection(LineCollection(list(segments), capstyle="round", **style))

    def base(self) -> None:
        """Draw all edges and nodes as what they are: the problem."""
        few = self.graph.num_nodes <= 60
        self.edges(self.graph.tails, self.graph.heads, color=COLOURS["grid"], linewidths=0.9 if few else 0.4, zorder=1)
        self.nodes(np.arange(self.graph.num_nodes), color=COLOURS["input"], s=12 if few else self.dot, zorder=2)

    @property
    def dot(self) -> float:
        """Area of a node in points."""
        return float(np.clip(3000.0 / max(self.graph.num_nodes, 1), 0.3, 12.0))

    def nodes(self, nodes: IntArray, **style: Any) -> Any:
        """Draw dots; return what matplotlib drew."""
        return self.axes.scatter(*self.places[nodes].T, linewidths=0, **style)

    def ends(self, source: int, target: int) -> None:
        """Mark where a path begins and ends."""
        self.nodes(np.array([source]), color=COLOURS["start"], s=46, zorder=6)
        self.nodes(np.array([target]), color=COLOURS["truth"], s=46, zorder=6)

    def title(self, title: str, details: str) -> None:
        """Write a title and, below it, what one sees."""
        self.axes.set_title(f"{title}\n", loc="left")
        self.axes.text(0.0, 1.01, details, transform=self.axes.transAxes, fontsize=8.5, va="bottom")


def _places(graph: WeightedGraph) -> FloatArray:
    if graph.coords is not None:
        return graph.coords
    if graph.num_nodes > _LARGEST_LAYOUT:
        raise InputError(
            f"a graph without coordinates is drawn up to {_LARGEST_LAYOUT} nodes, found {graph.num_nodes:,}; "
            "give the nodes `x` and `y`, or a WeightedGraph `coords`"
        )
    import networkx as nx

    network: Any = nx.Graph()
    network.add_nodes_from(range(graph.num_nodes))
    network.add_edges_from(zip(graph.tails.tolist(), graph.heads.tolist(), strict=True))
    layout = nx.spring_layout(network, seed=0)
    return np.array([layout[node] for node in range(graph.num_nodes)]).reshape(-1, 2)
