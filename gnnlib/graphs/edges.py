"""Edge lists as arrays: put them in the order that the encoder reads, build the graphs that need no points."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.graphs.points import as_count, as_edge_index

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.typing import ArrayLike, IntArray

__all__ = ["LineGraph", "complete_graph", "line_graph", "sorted_edges"]


class LineGraph(NamedTuple):
    """The graph whose nodes are the edges of another graph.

    Attributes
    ----------
    edge_index : int64 array [2, E']
        Edges of the line graph, sorted by receiver, then sender.
    edges : int64 array [2, M]
        Edge of the original graph that each of the M nodes stands for, sorted; undirected edges once, as (low, high).
    shared_node : int64 array [E']
        Node of the original graph at which the two edges meet.
    """

    edge_index: IntArray
    edges: IntArray
    shared_node: IntArray


def sorted_edges(sender: IntArray, receiver: IntArray, num_nodes: int, *, symmetric: bool = False) -> IntArray:
    """Return each distinct edge once, sorted by receiver, then sender.

    Parameters
    ----------
    sender, receiver : int64 array [E]
        End points in 0..num_nodes-1.
    num_nodes : int
        Number of nodes N.
    symmetric : bool, default False
        Add the reverse of every edge.

    Returns
    -------
    int64 array [2, E']

    Examples
    --------
    >>> sorted_edges(np.array([2, 0, 2]), np.array([0, 1, 0]), 3, symmetric=True)
    array([[1, 2, 0, 0],
           [0, 0, 1, 2]])
    """
    key = receiver * num_nodes + sender
    if symmetric:
        key = np.concatenate([key, sender * num_nodes + receiver])
    key.sort()
    if key.size:
        key = key[np.r_[True, key[1:] != key[:-1]]]
    receiver, sender = np.divmod(key, max(num_nodes, 1))
    return np.stack([sender, receiver])


def complete_graph(num_nodes: int) -> IntArray:
    """Join every node to every other one.

    Parameters
    ----------
    num_nodes : int >= 0
        Number of nodes N.

    Returns
    -------
    int64 array [2, N (N - 1)]
        Row 0 sends, row 1 receives; both directions, no loops, sorted by receiver, then sender.

    Raises
    ------
    InputError
        If `num_nodes` is not an integer >= 0.

    Examples
    --------
    >>> complete_graph(3)
    array([[1, 2, 0, 2, 0, 1],
           [0, 0, 1, 1, 2, 2]])
    """
    num = as_count(num_nodes, "num_nodes", least=0)
    receiver = np.repeat(np.arange(num), max(num - 1, 0))
    sender = np.tile(np.arange(max(num - 1, 0)), num)
    return np.stack([sender + (sender >= receiver), receiver])


def line_graph(edge_index: ArrayLike | Tensor, num_nodes: int, *, directed: bool = False) -> LineGraph:
    """Build the line graph: edges become nodes, joined where they meet [1]_.

    Parameters
    ----------
    edge_index : array or tensor [2, E]
        Row 0 sends, row 1 receives. Repeated edges count once.
    num_nodes : int >= 0
        Number of nodes of the original graph.
    directed : bool, default False
        False: the edges are undirected, listed in one direction or both; two are joined (in both directions) if they
        share an end point. True: edge (u, v) sends to each edge (v, w), including (v, u).

    Returns
    -------
    LineGraph
        ``(edge_index, edges, shared_node)``. Time and memory are linear in the size of the answer, the sum of the
        squared degrees.

    Raises
    ------
    InputError
        If `edge_index` is malformed or names a node out of range.

    References
    ----------
    .. [1] F. Harary and R. Z. Norman (1960), Some properties of line digraphs, Rend. Circ. Mat. Palermo 9.

    Examples
    --------
    >>> path = line_graph([[0, 1, 2], [1, 2, 3]], num_nodes=4)
    >>> path.edges
    array([[0, 1, 2],
           [1, 2, 3]])
    >>> path.edge_index
    array([[1, 0, 2, 1],
           [0, 1, 1, 2]])
    >>> path.shared_node
    array([1, 1, 2, 2])
    """
    num = as_count(num_nodes, "num_nodes", least=0)
    edges = as_edge_index(edge_index, num)
    ends = edges if directed else np.sort(edges, axis=0)
    high, low = sorted_edges(ends[1], ends[0], num)  # sorted by the first end point, then the second
    edges = np.stack([low, high])
    count = edges.shape[1]
    label = np.arange(count)
    if directed:
        out_edge, out_node, in_edge, in_node = label, edges[0], label, edges[1]
    else:
        is_loop = edges[0] == edges[1]
        out_edge = in_edge = np.concatenate([label, label[~is_loop]])
        out_node = in_node = np.concatenate([edges[0], edges[1, ~is_loop]])
    # join each edge that ends in a node with all the edges that start there
    order = np.argsort(out_node, kind="stable")
    degree = np.bincount(out_node, minlength=num)
    start = np.cumsum(degree) - degree
    fan = degree[in_node]
    within = np.arange(fan.sum()) - np.repeat(np.cumsum(fan) - fan, fan)
    sender = np.repeat(in_edge, fan)
    shared = np.repeat(in_node, fan)
    receiver = out_edge[order[start[shared] + within]]
    if not directed:
        differ = sender != receiver
        sender, receiver, shared = sender[differ], receiver[differ], shared[differ]
    order = np.lexsort((sender, receiver))
    return LineGraph(np.stack([sender[order], receiver[order]]), edges, shared[order])
