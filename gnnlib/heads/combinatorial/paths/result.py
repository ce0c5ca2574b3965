"""The answers of the path methods: one path, or the distances from one source to all nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Hashable

    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["DistancesResult", "PathResult"]


@dataclass(frozen=True, eq=False)
class PathResult(Result):
    """A path from one node to another; that its edges exist is checked when the result is made.

    Parameters
    ----------
    node_ids : int64 array
        Nodes of the path by number, source and target included; empty when the target cannot be reached.
    length : float
        Sum of the weights; infinity when the target cannot be reached.
    graph : WeightedGraph
        The graph (not exported by `to_dict`).
    source, target : hashable
        Names of the ends.
    method : {"exact", "learned", "astar"}
    expanded : int
        Nodes that the search expanded.
    is_exact : bool
        Whether no path is shorter, proved by the method.
    seconds : float
        Wall-clock time.

    Raises
    ------
    InfeasibleError
        If two nodes that follow each other have no edge, or the ends are wrong.
    InputError
        If the length is not that of the path.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    >>> line = WeightedGraph(3, [0, 1], [1, 2], [1.0, 2.0], names=("a", "b", "c"))
    >>> PathResult(np.array([0, 1, 2]), 3.0, line, "a", "c", "exact", 3, True).nodes
    ('a', 'b', 'c')
    """

    node_ids: IntArray
    length: float
    graph: WeightedGraph = field(repr=False, metadata={"export": False})
    source: Hashable
    target: Hashable
    method: str
    expanded: int
    is_exact: bool
    seconds: float = 0.0

    def __post_init__(self) -> None:
        nodes = np.asarray(self.node_ids, dtype=np.int64)
        object.__setattr__(self, "node_ids", nodes)
        if not len(nodes):
            if not math.isinf(self.length):
                raise InputError(f"a path without nodes has infinite length, found {self.length!r}")
            return
        if (nodes[0], nodes[-1]) != (self.graph.number_of(self.source), self.graph.number_of(self.target)):
            raise InfeasibleError(f"a path from {self.source!r} to {self.target!r} must begin and end there")
        total, scale = 0.0, 0.0
        arcs = self.graph.arcs
        for u, v in zip(nodes[:-1].tolist(), nodes[1:].tolist(), strict=True):
            start, stop = arcs.first[u], arcs.first[u + 1]
            arc = start + int(np.searchsorted(arcs.head[start:stop], v))
            if arc == stop or arcs.head[arc] != v:
                raise InfeasibleError(f"there is no edge from {self.graph.name_of(u)!r} to {self.graph.name_of(v)!r}")
            total += float(arcs.weight[arc])
            scale += abs(float(arcs.weight[arc]))
        if not abs(total - self.length) <= 1e-9 * max(scale, 1e-300):
            raise InputError(f"`length` must be that of the path, {total!r}, found {self.length!r}")

    @property
    def nodes(self) -> tuple[Hashable, ...]:
        """The nodes by the caller's names; empty when the target cannot be reached."""
        return tuple(self.graph.name_of(node) for node in self.node_ids.tolist())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with the nodes by name."""
        return {**super().to_dict(), "nodes": list(self.nodes)}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the path over the graph; return the axes."""
        from gnnlib.heads.combinatorial.paths.plotting import plot_path  # matplotlib only on demand

        return plot_path(self, ax=ax)

    @property
    def _title(self) -> str:
        return f"PathResult of {self.graph.name}" if self.graph.name else "PathResult"

    def _rows(self) -> list[tuple[str, str]]:
        found = len(self.node_ids) > 0
        return [
            ("from, to", f"{self.source!r}, {self.target!r}"),
            ("length", f"{self.length:,.6g}" if found else "the target cannot be reached"),
            ("edges", f"{max(len(self.node_ids) - 1, 0):,}"),
            ("exact", "proved" if self.is_exact else "not proved"),
            ("expanded", f"{self.expanded:,} of {self.graph.num_nodes:,} nodes"),
            ("method", self.method),
            ("seconds", f"{self.seconds:.4f}"),
        ]


@dataclass(frozen=True, eq=False)
class DistancesResult(Result):
    """Distances from one source to all nodes.

    Parameters
    ----------
    distances : float array [N]
        By node number; infinity where there is no path. Of method "learned": predictions.
    before : int64 array [N]
        The node before each one on a path from the source, -1 at the source, where there is no path and where the
        method knows no paths.
    graph : WeightedGraph
        The graph (not exported by `to_dict`).
    source : hashable
        Name of the source.
    method : {"exact", "learned"}
    is_exact : bool
    expanded : int
        Nodes that the search expanded; 0 for predictions.
    seconds : float
        Wall-clock time.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    >>> line = WeightedGraph(3, [0, 1], [1, 2], [1.0, 2.0], names=("a", "b", "c"))
    >>> result = DistancesResult(np.array([0.0, 1.0, 3.0]), np.array([-1, 0, 1]), line, "a", "exact", True)
    >>> result.distance("c"), result.path_to("c").nodes
    (3.0, ('a', 'b', 'c'))
    """

    distances: FloatArray
    before: IntArray
    graph: WeightedGraph = field(repr=False, metadata={"export": False})
    source: Hashable
    method: str
    is_exact: bool
    expanded: int = 0
    seconds: float = 0.0

    def distance(self, target: Hashable) -> float:
        """Return the distance to the node of that name.

        Raises
        ------
        InputError
            If there is no such node.
        """
        return float(self.distances[self.graph.number_of(target, "target")])

    def path_to(self, target: Hashable) -> PathResult:
        """Return the path to the node of that name; without nodes when it cannot be reached.

        Raises
        ------
        InputError
            If there is no such node, or the distances are predictions without paths.
        """
        node = self.graph.number_of(target, "target")
        if not self.is_exact:
            raise InputError("predicted distances have no paths; ask shortest_path for one target")
        length = float(self.distances[node])
        nodes: list[int] = []
        if math.isfinite(length):
            while node >= 0:
                nodes.append(node)
                node = int(self.before[node])
        ids = np.array(nodes[::-1], dtype=np.int64)
        return PathResult(ids, length, self.graph, self.source, target, self.method, self.expanded, is_exact=True)

    @property
    def _title(self) -> str:
        return f"DistancesResult of {self.graph.name}" if self.graph.name else "DistancesResult"

    def _rows(self) -> list[tuple[str, str]]:
        reached = np.isfinite(self.distances)
        farthest = float(self.distances[reached].max()) if reached.any() else math.nan
        return [
            ("from", repr(self.source)),
            ("reached", f"{int(reached.sum()):,} of {self.graph.num_nodes:,} nodes"),
            ("farthest", f"{farthest:,.6g}"),
            ("exact", "proved" if self.is_exact else "predicted"),
            ("method", self.method),
            ("seconds", f"{self.seconds:.4f}"),
        ]
