"""The verb of the head: `shortest_path`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.graph_inputs import as_weighted_graph
from gnnlib.heads.combinatorial.paths.baselines import all_distances, find_path
from gnnlib.heads.combinatorial.paths.result import DistancesResult, PathResult

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gnnlib.heads.combinatorial.paths.decode import PathIndex
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

__all__ = ["METHODS", "shortest_path"]

METHODS = ("exact", "learned", "astar")


@overload
def shortest_path(
    graph: Any,
    source: Hashable,
    target: None = None,
    *,
    method: str = ...,
    weight: str = ...,
    index: PathIndex | None = ...,
) -> DistancesResult: ...
@overload
def shortest_path(
    graph: Any,
    source: Hashable,
    target: Hashable,
    *,
    method: str = ...,
    weight: str = ...,
    index: PathIndex | None = ...,
) -> PathResult: ...
def shortest_path(
    graph: Any,
    source: Hashable,
    target: Hashable | None = None,
    *,
    method: str = "exact",
    weight: str = "weight",
    index: PathIndex | None = None,
) -> PathResult | DistancesResult:
    """Find a shortest path, or the distances from one node to all others.

    "exact" is Dijkstra's algorithm, or Bellman and Ford's where weights are negative. "astar" is exact as well: A*
    whose bounds come from landmarks that the shipped graph network placed. "learned" answers without a proof: distances
    are predictions, a path is what the predictions lead to, always a path of the graph.

    Parameters
    ----------
    graph : networkx graph, matrix, PyG ``Data``, `WeightedGraph` or path
        Directed or not; see `gnnlib.heads.combinatorial.graph_inputs.as_weighted_graph`.
    source : hashable
        Where the path begins.
    target : hashable, optional
        Where it ends; None for the distances to all nodes.
    method : {"exact", "learned", "astar"}, default "exact"
    weight : str, default "weight"
        Edge attribute that holds the weight.
    index : PathIndex, optional
        What "learned" and "astar" know of the graph, from `gnnlib.heads.combinatorial.paths.decode.prepare_paths`;
        without it every call prepares it anew, which costs more than one search.

    Returns
    -------
    PathResult
        Nodes in the caller's names, length, nodes expanded; without nodes and of infinite length when the target cannot
        be reached.
    DistancesResult
        When `target` is None.

    Raises
    ------
    InputError
        If a node is unknown, a weight no finite number, an option unknown, or a weight negative where the method needs
        weights >= 0.
    InfeasibleError
        If a cycle of negative weight can be reached; the message names it.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = nx.DiGraph()
    >>> graph.add_weighted_edges_from([("a", "b", 1.0), ("b", "c", -2.0), ("a", "c", 5.0)])
    >>> result = shortest_path(graph, "a", "c")
    >>> result.nodes, result.length
    (('a', 'b', 'c'), -1.0)
    >>> shortest_path(graph, "c").distances.tolist()
    [inf, inf, 0.0]
    """
    if method not in METHODS:
        raise InputError(f"`method` must be one of {', '.join(METHODS)}; found {method!r}")
    record = as_weighted_graph(graph, weight=weight)
    start = record.number_of(source, "source")
    end = None if target is None else record.number_of(target, "target")
    is_negative = bool(record.weights.size) and float(record.weights.min()) < 0.0
    if method != "exact":
        if is_negative:
            raise InputError(f"method {method!r} needs weights >= 0, found {record.weights.min():g}; use 'exact'")
        return _guided(record, source, target, method, index)
    started = time.perf_counter()
    if end is None or target is None or is_negative:
        distances, before = all_distances(record, start)
        seconds = time.perf_counter() - started
        reached = int(np.isfinite(distances).sum())
        answer = DistancesResult(distances, before, record, source, method, True, reached, seconds)  # noqa: FBT003
        return answer if target is None else answer.path_to(target)
    found = find_path(record, start, end)
    seconds = time.perf_counter() - started
    return PathResult(found.nodes, found.length, record, source, target, method, found.expanded, True, seconds)  # noqa: FBT003


def _guided(
    graph: WeightedGraph, source: Hashable, target: Hashable | None, method: str, index: PathIndex | None
) -> PathResult | DistancesResult:
    from gnnlib.heads.combinatorial.paths.decode import prepare_paths  # imports torch

    if target is None and method == "astar":
        raise InputError("method 'astar' needs a `target`; for the distances to all nodes use 'exact' or 'learned'")
    if index is None:
        index = prepare_paths(graph)
    elif index.graph is not graph and not index.fits(graph):
        raise InputError("`index` was prepared for another graph; call prepare_paths for this one")
    if target is None:
        return index.distances(source)
    return index.path(source, target) if method == "astar" else index.learned_path(source, target)
