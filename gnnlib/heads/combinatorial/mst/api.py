"""The verb of the head: `spanning_tree`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.graph_inputs import as_weighted_graph
from gnnlib.heads.combinatorial.mst.baselines import exact_tree
from gnnlib.heads.combinatorial.mst.result import TreeResult

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

__all__ = ["METHODS", "spanning_tree"]

METHODS = ("exact", "learned", "mcts")


def spanning_tree(
    graph: Any,
    *,
    method: str = "exact",
    weight: str = "weight",
    simulations: int = 64,
    compare: bool = True,
    seed: int | None = 0,
) -> TreeResult:
    """Find a spanning tree of small weight.

    "exact" is minimal. "learned" lets the shipped graph network score the edges once and takes them in the order of
    their scores, each unless it closes a cycle; time grows linearly with the edges, up to their sorting. "mcts" plays
    the game move by move with a tree search that the same network guides. Both always return a spanning tree.

    Parameters
    ----------
    graph : networkx graph, matrix, PyG ``Data``, `WeightedGraph` or path
        Undirected; see `gnnlib.heads.combinatorial.graph_inputs.as_weighted_graph`. Weights may be negative; loops are
        ignored; of a graph that is not connected the answer is a forest.
    method : {"exact", "learned", "mcts"}, default "exact"
    weight : str, default "weight"
        Edge attribute that holds the weight.
    simulations : int >= 0, default 64
        Simulations a move of "mcts"; with 0 it is "learned".
    compare : bool, default True
        Whether learned methods also compute the exact weight, and with it `TreeResult.ratio`.
    seed : int or None, default 0
        Of the tree search; no method draws random numbers at the default settings.

    Returns
    -------
    TreeResult
        Edges in the caller's node names, weight, ratio to exact.

    Raises
    ------
    InputError
        If the graph is directed or holds weights that are no finite numbers, or an option is unknown.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = nx.Graph()
    >>> graph.add_weighted_edges_from([("a", "b", 1.0), ("b", "c", 2.0), ("a", "c", 5.0)])
    >>> result = spanning_tree(graph)
    >>> result.edges, result.weight
    ((('a', 'b'), ('b', 'c')), 3.0)
    """
    if method not in METHODS:
        raise InputError(f"`method` must be one of {', '.join(METHODS)}; found {method!r}")
    if isinstance(simulations, bool) or not isinstance(simulations, int) or simulations < 0:
        raise InputError(f"`simulations` must be an integer >= 0, found {simulations!r}")
    record = as_weighted_graph(graph, weight=weight)
    if record.is_directed:
        raise InputError(
            "a spanning tree needs an undirected graph, found a directed one; forget the directions with "
            "`graph.to_undirected()` (networkx, or the WeightedGraph that read_graph returns)"
        )
    started = time.perf_counter()
    if method == "exact":
        edges = exact_tree(record)
        seconds = time.perf_counter() - started
        return TreeResult(edges, record, method, float(record.weights[edges].sum()), seconds=seconds)
    return _learned(record, method, simulations, seed, compare=compare)


def _learned(graph: WeightedGraph, method: str, simulations: int, seed: int | None, *, compare: bool) -> TreeResult:
    from gnnlib.heads.combinatorial.mst.decode import greedy_tree, searched_tree  # these import torch

    started = time.perf_counter()
    search = None
    if method == "learned" or simulations == 0:
        edges = greedy_tree(graph)
    else:
        edges, search = searched_tree(graph, simulations=simulations, seed=seed)
    seconds = time.perf_counter() - started
    exact = float(graph.weights[exact_tree(graph)].sum()) if compare else None
    used = simulations if method == "mcts" else 0
    return TreeResult(edges, graph, method, exact, simulations=used, seconds=seconds, search=search)
