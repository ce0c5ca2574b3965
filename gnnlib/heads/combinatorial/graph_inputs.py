"""Whatever holds a weighted graph (networkx, sparse or dense matrices, PyG, files) as a `WeightedGraph`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

if TYPE_CHECKING:
    import networkx as nx

    from gnnlib.typing import FloatArray, IntArray

__all__ = ["as_weighted_graph"]


def as_weighted_graph(graph: Any, *, weight: str = "weight") -> WeightedGraph:
    """Turn what a caller has into the record.

    Parameters
    ----------
    graph : WeightedGraph, networkx graph, matrix, PyG ``Data``, `GraphTensors` or path
        *networkx*: any of its four classes. *Matrix* [N, N], numpy or scipy sparse: entry (i, j) is the edge from i to
        j; in a dense one 0 and infinity mean no edge, in a sparse one every stored entry is an edge; it is undirected
        if it is symmetric. *PyG*: ``edge_weight`` or else the first column of ``edge_attr`` (1 where there is neither);
        undirected if every edge has a reverse of the same weight. *Path*: a ``.tntp`` or ``.graphml`` file.
    weight : str, default "weight"
        Edge attribute of networkx and GraphML that holds the weight; where no edge has it, every edge weighs 1. For
        TNTP files "weight" means the length, else the name of a column.

    Raises
    ------
    InputError
        If the graph is of another kind, or a weight is missing or no finite number.

    Examples
    --------
    >>> import networkx as nx
    >>> as_weighted_graph(nx.path_graph(["a", "b", "c"])).weights.tolist()
    [1.0, 1.0]
    >>> as_weighted_graph(np.array([[0, 2.0], [2.0, 0]])).is_directed
    False
    """
    if isinstance(graph, WeightedGraph):
        return graph
    if isinstance(graph, (str, os.PathLike)):
        from gnnlib.heads.combinatorial.graph_io import read_graph

        return read_graph(graph, weight=weight)
    if hasattr(graph, "is_multigraph") and hasattr(graph, "edges"):
        return _from_networkx(graph, weight)
    if hasattr(graph, "edge_index"):
        return _from_data(graph)
    from scipy.sparse import issparse

    if issparse(graph):
        return _from_sparse(graph)
    if isinstance(graph, (np.ndarray, list, tuple)):
        return _from_dense(graph)
    raise InputError(
        "a graph must be a networkx graph, a numpy or scipy sparse matrix, a PyG Data, a WeightedGraph or a path, "
        f"found {type(graph).__name__}"
    )


def _from_networkx(graph: nx.Graph[Any], weight: str) -> WeightedGraph:
    number = {node: i for i, node in enumerate(graph)}
    ends: list[tuple[int, int]] = []
    values: list[Any] = []
    missing = None
    for u, v, attributes in graph.edges(data=True):
        ends.append((number[u], number[v]))
        values.append(attributes.get(weight))
        if values[-1] is None and missing is None:
            missing = (u, v)
    if missing is not None:
        if any(value is not None for value in values):
            raise InputError(f"edge {missing} has no attribute {weight!r}, though others have; name it with `weight=`")
        values = [1.0] * len(values)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return WeightedGraph(
        len(number),
        pairs[:, 0],
        pairs[:, 1],
        _numbers(values, list(graph.edges()), weight),
        is_directed=graph.is_directed(),
        names=tuple(number),
        coords=_positions(graph),
        name=str(graph.name or ""),
    )


def _numbers(values: list[Any], edges: list[Any], weight: str) -> FloatArray:
    """Return weights as floats; numbers written as text, as in GraphML of road maps, are read."""
    result = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            result[i] = float(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"attribute {weight!r} of edge {edges[i]} must be a number, found {value!r}") from error
    return result


def _positions(graph: nx.Graph[Any]) -> FloatArray | None:
    """Return x and y of every node if all have them as attributes, or as the pair "pos"."""
    rows: list[tuple[float, float]] = []
    for _, attributes in graph.nodes(data=True):
        place = attributes.get("pos", (attributes.get("x"), attributes.get("y")))
        try:
            x, y = place
            rows.append((float(x), float(y)))
        except (TypeError, ValueError):  # a place that is no pair of numbers cannot be drawn; nothing else needs it
            return None
    coords = np.array(rows).reshape(-1, 2)
    return coords if np.isfinite(coords).all() else None


def _from_arcs(count: int, tails: IntArray, heads: IntArray, weights: FloatArray) -> WeightedGraph:
    """Build an undirected graph if every arc has a reverse of the same weight, else a directed one."""
    forth = np.lexsort((weights, heads, tails))
    back = np.lexsort((weights, tails, heads))
    same = (
        np.array_equal(tails[forth], heads[back])
        and np.array_equal(heads[forth], tails[back])
        and np.array_equal(weights[forth], weights[back])
    )
    if not same:
        return WeightedGraph(count, tails, heads, weights, is_directed=True)
    once = tails <= heads
    return WeightedGraph(count, tails[once], heads[once], weights[once])


def _from_sparse(matrix: Any) -> WeightedGraph:
    from scipy.sparse import coo_array

    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"a weight matrix must be square, found shape {list(matrix.shape)}")
    if matrix.dtype.kind not in "fiub":
        raise InputError(f"a weight matrix must hold real numbers, found dtype {matrix.dtype}")
    coo = coo_array(matrix)
    rows, columns = (np.asarray(axis, dtype=np.int64) for axis in coo.coords)
    return _from_arcs(matrix.shape[0], rows, columns, coo.data.astype(np.float64))


def _from_dense(matrix: Any) -> WeightedGraph:
    try:
        array = np.asarray(matrix)
    except ValueError as error:
        raise InputError("a weight matrix must be rectangular; its rows differ in length") from error
    if array.size == 0:
        return WeightedGraph(0, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind not in "fiub":
        raise InputError(f"a weight matrix must be square and real, found {array.dtype} of shape {list(array.shape)}")
    array = array.astype(np.float64)
    rows, columns = np.nonzero((array != 0) & ~np.isposinf(array))
    return _from_arcs(len(array), rows, columns, array[rows, columns])


def _from_data(data: Any) -> WeightedGraph:
    edges = np.asarray(data.edge_index.detach().cpu())
    if edges.ndim != 2 or edges.shape[0] != 2:
        raise InputError(f"`edge_index` must have shape [2, E], found {list(edges.shape)}")
    values = getattr(data, "edge_weight", None)
    if values is None:
        values = getattr(data, "edge_attr", None)
    if values is None:
        weights = np.ones(edges.shape[1])
    else:
        columns: Any = np.asarray(values.detach().cpu(), dtype=np.float64)
        weights = columns[:, 0] if columns.ndim == 2 and columns.shape[1] else columns.ravel()
    count = getattr(data, "num_nodes", None)
    if not isinstance(count, int):
        raise InputError(f"the number of nodes is unknown: give `x` or `num_nodes`, found {count!r}")
    if weights.shape != (edges.shape[1],):
        raise InputError(f"weights must be one for each of {edges.shape[1]} edges, found {list(weights.shape)}")
    return _from_arcs(count, edges[0].astype(np.int64), edges[1].astype(np.int64), weights)
