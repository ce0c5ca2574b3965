"""Shortest paths by exact algorithms: Dijkstra, Bellman-Ford, from one side and from both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from gnnlib.errors import InfeasibleError
from gnnlib.heads.combinatorial.kernels.search_paths import search_path, search_path_both_ways, walk_back

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import AnyArray, FloatArray, IntArray

__all__ = ["FoundPath", "Tables", "all_distances", "find_path", "find_path_both_ways", "no_tables"]


class Tables(NamedTuple):
    """Landmark tables as the kernels read them; see `gnnlib.heads.combinatorial.kernels.landmarks`."""

    to: AnyArray
    back: AnyArray
    step: FloatArray
    active: IntArray


class FoundPath(NamedTuple):
    """A path as numbers: its length, its nodes, how many nodes the search expanded, when each of them (-1: never)."""

    length: float
    nodes: IntArray
    expanded: int
    turn: IntArray | None = None


def no_tables() -> Tables:
    """Return the tables of no landmark, with which A* is Dijkstra's algorithm."""
    return Tables(np.zeros((1, 0), np.uint16), np.zeros((1, 0), np.uint16), np.zeros(1), np.zeros(0, np.int64))


def all_distances(graph: WeightedGraph, source: int) -> tuple[FloatArray, IntArray]:
    """Return the distances from `source` and the node before each one (scipy's Dijkstra, or its Bellman-Ford).

    Parameters
    ----------
    graph : WeightedGraph
        Weights may be negative.
    source : int

    Returns
    -------
    distances : float array [N]
        Infinity where there is no path.
    before : int64 array [N]
        -1 at the source and where there is no path.

    Raises
    ------
    InfeasibleError
        If a cycle of negative weight can be reached; the message names it.
    """
    from scipy.sparse.csgraph import NegativeCycleError, bellman_ford, dijkstra

    matrix = graph.to_sparse()
    if not graph.weights.size or graph.weights.min() >= 0.0:
        distances, before = dijkstra(matrix, indices=[source], return_predecessors=True)
    else:
        _refuse_negative_cycle(graph, source)
        try:
            distances, before = bellman_ford(matrix, indices=[source], return_predecessors=True)
        except NegativeCycleError as error:
            raise InfeasibleError(_name_cycle(graph, source)) from error
    return distances[0], np.maximum(before[0], -1).astype(np.int64)


def _refuse_negative_cycle(graph: WeightedGraph, source: int) -> None:
    """Refuse the shortest of them: loops, and undirected edges, which can be walked to and fro."""
    is_cycle = (graph.weights < 0) & ((graph.tails == graph.heads) | (not graph.is_directed))
    if not is_cycle.any():
        return
    from scipy.sparse.csgraph import breadth_first_order

    reached = breadth_first_order(graph.to_sparse(), source, return_predecessors=False)
    inside = np.zeros(graph.num_nodes, bool)
    inside[reached] = True
    bad = np.flatnonzero(is_cycle & inside[graph.tails])
    if bad.size:
        tail, head = graph.edge_name(int(bad[0]))
        kind = "loop at" if tail == head else "undirected edge"
        place = repr(tail) if tail == head else f"({tail!r}, {head!r})"
        raise InfeasibleError(
            f"there is no shortest path: the {kind} {place} of weight {graph.weights[bad[0]]:g} can be walked for ever"
        )


def _name_cycle(graph: WeightedGraph, source: int) -> str:
    import networkx as nx

    cycle = cast("list[Hashable]", nx.find_negative_cycle(graph.to_networkx(), graph.name_of(source)))
    shown = " -> ".join(repr(name) for name in cycle[:12]) + (" ..." if len(cycle) > 12 else "")
    return f"there is no shortest path: the cycle {shown} has negative weight and can be walked for ever"


def find_path(
    graph: WeightedGraph, source: int, target: int, *, tables: Tables | None = None, guess: FloatArray | None = None
) -> FoundPath:
    """Return a shortest path by A*, or by Dijkstra's algorithm without `tables`.

    Parameters
    ----------
    graph : WeightedGraph
        Weights >= 0.
    source, target : int
    tables : Tables, optional
        Landmarks.
    guess : float array [N], optional
        A further heuristic; the path is exact only if it is admissible.
    """
    arcs = graph.arcs
    hint = np.zeros(0) if guess is None else guess
    length, before, expanded, turn = search_path(
        arcs.first, arcs.head, arcs.weight, (source, target), tuple(tables or no_tables()), hint
    )
    if not np.isfinite(length):
        return FoundPath(float("inf"), np.zeros(0, np.int64), expanded, turn)
    steps = walk_back(before, arcs.tail, target)
    return FoundPath(length, np.concatenate([[source], arcs.head[steps]]).astype(np.int64), expanded, turn)


def find_path_both_ways(graph: WeightedGraph, source: int, target: int, *, tables: Tables | None = None) -> FoundPath:
    """Return a shortest path by searching from both ends; bidirectional Dijkstra without `tables`.

    Parameters
    ----------
    graph : WeightedGraph
        Weights >= 0.
    source, target : int
    tables : Tables, optional
        Landmarks.
    """
    arcs, reverse = graph.arcs, graph.reverse_arcs
    length, before, after, middle, expanded = search_path_both_ways(
        tuple(arcs[:3]), tuple(reverse[:3]), (source, target), tuple(tables or no_tables())
    )
    if middle < 0:
        return FoundPath(float("inf"), np.zeros(0, np.int64), expanded)
    forth = arcs.head[walk_back(before, arcs.tail, middle)]
    back = reverse.head[walk_back(after, reverse.tail, middle)]
    tail = np.concatenate([[target], back])[-2::-1] if len(back) else np.zeros(0, np.int64)
    return FoundPath(length, np.concatenate([[source], forth, tail]).astype(np.int64), expanded)
