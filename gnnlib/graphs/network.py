"""networkx graphs as tensors, and back, with named attributes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.graphs.arrays import check_no_repeats, from_arrays, from_data
from gnnlib.graphs.points import as_numpy

if TYPE_CHECKING:
    import networkx as nx
    from torch import Tensor

    from gnnlib.graphs.schema import GraphLike, GraphTensors
    from gnnlib.typing import FloatArray

__all__ = ["from_networkx", "to_networkx"]

Names = Sequence[str] | Mapping[str, int]


def from_networkx(
    graph: nx.Graph[Any],
    *,
    node_attrs: Sequence[str] = (),
    edge_attrs: Sequence[str] = (),
    node_type: str | None = None,
    edge_type: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> GraphTensors:
    """Turn a networkx graph into tensors.

    Parameters
    ----------
    graph : networkx graph
        Directed or not, with or without parallel edges. Nodes are numbered in the order of ``list(graph)``; an
        undirected edge becomes two, with the same features.
    node_attrs, edge_attrs : sequence of str
        Attributes that become the columns of ``x`` and ``edge_attr``, in this order; each a number or a sequence of
        numbers of one length, present everywhere.
    node_type, edge_type : str, optional
        Integer attribute that holds the type.
    dtype : torch.dtype, default float32
        Floating type of the features; float64 keeps Python numbers exactly.

    Returns
    -------
    GraphTensors
        Edges sorted by receiver, then sender. ``edge_attr`` is None when no edge attribute is asked for.

    Raises
    ------
    InputError
        If an attribute is missing somewhere, not numeric, not finite, or of differing lengths.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = from_networkx(nx.path_graph(3))
    >>> graph.edge_index.tolist()
    [[1, 0, 2, 1], [0, 1, 1, 2]]
    """
    number = {node: i for i, node in enumerate(graph)}
    nodes = [(repr(node), attributes) for node, attributes in graph.nodes(data=True)]
    ends = np.array([(number[u], number[v]) for u, v in graph.edges()], dtype=np.int64).reshape(-1, 2).T
    edges = [(f"({u!r}, {v!r})", attributes) for u, v, attributes in graph.edges(data=True)]
    pick = np.arange(ends.shape[1])
    if not graph.is_directed():
        twice = ends[0] != ends[1]
        ends, pick = np.concatenate([ends, ends[::-1, twice]], axis=1), np.concatenate([pick, pick[twice]])
    order = np.lexsort((ends[0], ends[1]))
    pick = pick[order]
    attr = _columns(edges, edge_attrs, "edge")
    kinds = None if edge_type is None else _types(edges, edge_type, "edge")
    return from_arrays(
        ends[:, order],
        x=_columns(nodes, node_attrs, "node"),
        edge_attr=attr[pick] if edge_attrs else None,
        node_type=None if node_type is None else _types(nodes, node_type, "node"),
        edge_type=None if kinds is None else kinds[pick],
        dtype=dtype,
    )


def to_networkx(
    graph: GraphLike,
    *,
    node_attrs: Names | None = None,
    edge_attrs: Names | None = None,
    directed: bool = True,
    labels: Sequence[Hashable] | None = None,
) -> nx.Graph[Any]:
    """Turn a graph into a networkx graph.

    Parameters
    ----------
    graph : GraphLike
        One graph, without repeated edges.
    node_attrs, edge_attrs : sequence of str or mapping of str to int, optional
        Names for the columns of ``x`` and ``edge_attr``: a sequence names one column each, a mapping gives each name a
        number of columns (one column becomes a number, several become a tuple). Together they name all columns; an
        empty sequence leaves the features out. Default: one attribute "x" and one "edge_attr" with all columns.
    directed : bool, default True
        False gives an undirected graph; each edge must then have a reverse with the same features and type.
    labels : sequence of hashable, optional
        Names of the nodes; default 0..N-1.

    Returns
    -------
    networkx.DiGraph or networkx.Graph
        Types, where the graph has them, are the attributes "node_type" and "edge_type".

    Raises
    ------
    InputError
        If names do not cover the columns, an edge is repeated, the graph is a batch of several, or is not symmetric
        although `directed` is False.

    Examples
    --------
    >>> graph = from_arrays([[0, 1], [1, 0]], x=[[0.0, 1.0], [2.0, 3.0]], edge_attr=[5.0, 5.0])
    >>> network = to_networkx(graph, node_attrs=["x", "y"], edge_attrs=["weight"], directed=False)
    >>> network.nodes[1], network.edges[0, 1]
    ({'x': 2.0, 'y': 3.0}, {'weight': 5.0})
    """
    import networkx as nx

    light = from_data(graph).to("cpu")
    if light.num_graphs > 1:
        raise InputError(f"`graph` must be one graph, found a batch of {light.num_graphs}; convert them one by one")
    names = range(light.num_nodes) if labels is None else list(labels)
    if len(set(names)) != light.num_nodes:
        raise InputError(f"`labels` must be {light.num_nodes} different names, found {len(set(names))}")
    ends = light.edge_index.numpy()
    check_no_repeats(ends, light.num_nodes)
    widths = _widths(node_attrs, "x", light.x), _widths(edge_attrs, "edge_attr", light.edge_attr)
    nodes = _attributes(light.x, light.node_type, "node_type", widths[0], light.num_nodes)
    edges = _attributes(light.edge_attr, light.edge_type, "edge_type", widths[1], light.num_edges)
    result: nx.Graph[Any] = nx.DiGraph() if directed else nx.Graph()
    result.add_nodes_from(zip(names, nodes, strict=True))
    pairs = list(zip(*ends.tolist(), strict=True))
    if not directed:
        by_pair = dict(zip(pairs, edges, strict=True))
        for (u, v), attributes in by_pair.items():
            if by_pair.get((v, u)) != attributes:
                raise InputError(f"edge ({u}, {v}) has no reverse with equal features; use directed=True")
    result.add_edges_from((names[u], names[v], attributes) for (u, v), attributes in zip(pairs, edges, strict=True))
    return result


def _columns(items: list[tuple[str, dict[str, Any]]], names: Sequence[str], what: str) -> FloatArray:
    """Gather the named attributes of nodes or edges as the columns of one array."""
    blocks = [np.empty((len(items), 0))]
    for name in names:
        rows: list[FloatArray] = []
        for label, attributes in items:
            if name not in attributes:
                raise InputError(f"{what} {label} has no attribute {name!r}, found {sorted(map(str, attributes))}")
            row = _numbers(attributes[name])
            if row is None or (rows and row.size != rows[0].size):
                wanted = f"{rows[0].size} numbers, as the first {what}" if rows else "a number or a sequence of numbers"
                raise InputError(f"attribute {name!r} of {what} {label} must hold {wanted}, found {attributes[name]!r}")
            rows.append(row)
        if rows:
            blocks.append(np.stack(rows))
    return np.concatenate(blocks, axis=1)


def _types(items: list[tuple[str, dict[str, Any]]], name: str, what: str) -> FloatArray:
    """Gather one attribute that is a single number everywhere."""
    column = _columns(items, [name], what)
    if column.shape[1] > 1:
        raise InputError(f"attribute {name!r} must be one number to be a type, found {column.shape[1]} numbers")
    return column.ravel()


def _numbers(value: Any) -> FloatArray | None:
    """Return one attribute as a vector; None if it is not numeric."""
    array = as_numpy(value)
    if array.ndim > 1 or array.dtype.kind not in "fiub":
        return None
    return np.atleast_1d(array).astype(np.float64)


def _widths(names: Names | None, default: str, features: Tensor | None) -> dict[str, int]:
    """Return how many columns each name takes; they cover all columns or none."""
    columns = 0 if features is None else features.shape[1]
    if names is None:
        return {default: columns} if columns else {}
    widths = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, 1)
    if len(widths) != len(names) or (widths and (sum(widths.values()) != columns or min(widths.values()) < 1)):
        raise InputError(f"the names must cover the {columns} columns of `{default}` once each, found {names!r}")
    return widths


def _attributes(
    features: Tensor | None, types: Tensor | None, type_name: str, widths: dict[str, int], count: int
) -> list[dict[str, Any]]:
    """Return the attributes of each node or edge."""
    items: list[dict[str, Any]] = [{} for _ in range(count)]
    start = 0
    for name, width in widths.items():
        if features is not None:
            for item, row in zip(items, features[:, start : start + width].detach().tolist(), strict=True):
                item[name] = row[0] if width == 1 else tuple(row)
        start += width
    if types is not None:
        for item, kind in zip(items, types.tolist(), strict=True):
            item[type_name] = kind
    return items
