"""Between networkx graphs and the matrices of the TSP records."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import networkx as nx

    from gnnlib.typing import FloatArray

__all__ = ["graph_matrix", "is_networkx"]


def is_networkx(x: object) -> TypeGuard[nx.Graph[Any]]:
    """Whether `x` is a networkx graph, without importing networkx for those who do not use it."""
    networkx = sys.modules.get("networkx")
    return networkx is not None and isinstance(x, networkx.Graph)


def graph_matrix(graph: nx.Graph[Any], weight: str) -> tuple[FloatArray, tuple[Hashable, ...], float | None]:
    """Turn a graph into a distance matrix.

    Parameters
    ----------
    graph : networkx graph
    weight : str
        Edge attribute with the distance.

    Returns
    -------
    matrix : array [N, N]
        In the order of ``graph.nodes``; pairs without an edge hold the third value.
    nodes : tuple of length N
    missing : float or None
        One more than any tour over existing edges can cost; None when the graph is complete.
    """
    if not is_networkx(graph):
        raise InputError(f"`graph` must be a networkx graph, found {type(graph).__name__}")
    nodes = tuple(graph.nodes)
    if not nodes:
        raise InputError("`graph` must have at least one node, found none")
    index = {node: i for i, node in enumerate(nodes)}
    matrix = np.full((len(nodes), len(nodes)), np.inf)
    edges: Iterable[tuple[Hashable, Hashable, Any]] = graph.edges(data=weight)
    for u, v, value in edges:
        if u == v:
            continue
        i, j = index[u], index[v]
        distance = _checked_weight(u, v, value, weight)
        matrix[i, j] = min(matrix[i, j], distance)
        if not graph.is_directed():
            matrix[j, i] = matrix[i, j]
    np.fill_diagonal(matrix, 0.0)
    absent = np.isinf(matrix)
    if not absent.any():
        return matrix, nodes, None
    longest = float(matrix[~absent].max())
    if longest > sys.float_info.max / (4 * len(nodes) ** 2):
        raise InputError(
            f"the {weight!r} of an edge is {longest:.3g}, so that tour lengths overflow; scale the weights down"
        )
    # the little extra keeps it apart from the longest tour where whole numbers are no longer exact
    missing = math.floor(longest * len(nodes) * (1.0 + 2.0**-20)) + 1.0
    matrix[absent] = missing
    return matrix, nodes, missing


def _checked_weight(u: Hashable, v: Hashable, value: Any, weight: str) -> float:
    if value is None:
        raise InputError(f"every edge needs the attribute {weight!r}; edge ({u!r}, {v!r}) has none")
    try:
        distance = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"the {weight!r} of edge ({u!r}, {v!r}) must be a number, found {value!r}") from error
    if not math.isfinite(distance) or distance < 0.0:
        raise InputError(f"the {weight!r} of edge ({u!r}, {v!r}) must be finite and >= 0, found {value!r}")
    return distance
