"""Arrays, sparse matrices and PyG's `Data` as graphs, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.points import as_count, as_edge_index, as_numpy
from gnnlib.graphs.schema import GraphTensors

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch_geometric.data import Data

    from gnnlib.graphs.schema import GraphLike
    from gnnlib.typing import ArrayLike, IntArray

__all__ = ["check_no_repeats", "from_adjacency", "from_arrays", "from_data", "to_adjacency", "to_data"]


def from_arrays(
    edge_index: ArrayLike | Tensor,
    *,
    x: ArrayLike | Tensor | None = None,
    edge_attr: ArrayLike | Tensor | None = None,
    node_type: ArrayLike | Tensor | None = None,
    edge_type: ArrayLike | Tensor | None = None,
    num_nodes: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> GraphTensors:
    """Check arrays and make them a graph.

    Parameters
    ----------
    edge_index : array or tensor [2, E]
        Row 0 sends, row 1 receives.
    x : array or tensor [N, D] or [N], optional
        Node features.
    edge_attr : array or tensor [E, D] or [E], optional
        Edge features.
    node_type, edge_type : integer array or tensor [N], [E], optional
        Types, numbered from 0.
    num_nodes : int, optional
        Number of nodes; needed only when neither `x` nor `node_type` tells it.
    dtype : torch.dtype, default float32
        Floating type of the features.

    Returns
    -------
    GraphTensors
        On the CPU; features that are absent have width 0 (`x`) or are None (`edge_attr`).

    Raises
    ------
    InputError
        If shapes do not fit together, a value is not finite, a type is negative or a node number is out of range.

    Examples
    --------
    >>> graph = from_arrays([[0, 1], [1, 2]], x=[0.5, 1.0, 1.5], edge_attr=[1.0, 2.0])
    >>> graph.x.shape, graph.edge_attr.shape
    (torch.Size([3, 1]), torch.Size([2, 1]))
    """
    nodes = None if x is None else _features(x, "x", dtype)
    kinds = None if node_type is None else _types(node_type, "node_type")
    sizes = {name: len(t) for name, t in (("x", nodes), ("node_type", kinds)) if t is not None}
    if num_nodes is not None:
        sizes["num_nodes"] = as_count(num_nodes, "num_nodes", least=0)
    if not sizes:
        raise InputError("the number of nodes is unknown: give `x`, `node_type` or `num_nodes`")
    if len(set(sizes.values())) > 1:
        raise InputError(f"`x`, `node_type` and `num_nodes` must agree on the number of nodes, found {sizes}")
    num = next(iter(sizes.values()))
    edges = torch.from_numpy(as_edge_index(edge_index, num))
    attr = None if edge_attr is None else _features(edge_attr, "edge_attr", dtype)
    edge_kinds = None if edge_type is None else _types(edge_type, "edge_type")
    for name, tensor in (("edge_attr", attr), ("edge_type", edge_kinds)):
        if tensor is not None and len(tensor) != edges.shape[1]:
            raise InputError(f"`{name}` must have one row for each of {edges.shape[1]} edges, found {len(tensor)}")
    return GraphTensors(torch.empty(num, 0, dtype=dtype) if nodes is None else nodes, edges, attr, kinds, edge_kinds)


def from_adjacency(
    matrix: Any, *, x: ArrayLike | Tensor | None = None, dtype: torch.dtype = torch.float32
) -> GraphTensors:
    """Make a graph of a weight matrix.

    Parameters
    ----------
    matrix : array, tensor or scipy sparse [N, N]
        ``matrix[i, j]`` is the weight of the edge from i to j. Dense: 0 means no edge. Sparse: every stored entry is an
        edge, also a stored 0; repeated entries are summed.
    x : array or tensor [N, D] or [N], optional
        Node features.
    dtype : torch.dtype, default float32
        Floating type of weights and features.

    Returns
    -------
    GraphTensors
        Edges sorted by receiver, then sender; ``edge_attr`` [E, 1] holds the weights.

    Raises
    ------
    InputError
        If the matrix is not square, not numeric, or holds NaN or infinities.

    Examples
    --------
    >>> graph = from_adjacency([[0, 2], [3, 0]])
    >>> graph.edge_index.tolist(), graph.edge_attr.tolist()
    ([[1, 0], [0, 1]], [[3.0], [2.0]])
    """
    from scipy.sparse import coo_array, issparse

    dense: Any = matrix if issparse(matrix) else as_numpy(matrix)
    if len(dense.shape) != 2 or dense.shape[0] != dense.shape[1] or dense.dtype.kind not in "fiub":
        raise InputError(f"`matrix` must be numeric and square, found {dense.dtype} of shape {list(dense.shape)}")
    coo = coo_array(dense, copy=True)
    coo.sum_duplicates()
    row, column = coo.coords
    order = np.lexsort((row, column))
    edges = np.stack([row[order], column[order]]).astype(np.int64)
    return from_arrays(edges, x=x, edge_attr=coo.data[order], num_nodes=dense.shape[0], dtype=dtype)


def to_adjacency(graph: GraphLike, *, weight: int | None = None) -> csr_array[Any, tuple[int, int]]:
    """Return the sparse weight matrix of a graph.

    Parameters
    ----------
    graph : GraphLike
        Without repeated edges.
    weight : int, optional
        Column of ``edge_attr`` that holds the weights; default all 1.

    Returns
    -------
    scipy.sparse.csr_array [N, N]
        Entry (i, j) belongs to the edge from i to j; weights of 0 are stored.

    Raises
    ------
    InputError
        If an edge is repeated or the column does not exist.

    Examples
    --------
    >>> to_adjacency(from_adjacency([[0, 2], [3, 0]]), weight=0).toarray().tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    from scipy.sparse import csr_array

    graph = from_data(graph)
    edges = graph.edge_index.cpu().numpy()
    check_no_repeats(edges, graph.num_nodes)
    values = np.ones(edges.shape[1])
    if weight is not None:
        width = 0 if graph.edge_attr is None else graph.edge_attr.shape[1]
        if graph.edge_attr is None or not 0 <= weight < width:
            raise InputError(f"`weight` must name one of the {width} columns of `edge_attr`, found {weight!r}")
        values = graph.edge_attr[:, weight].detach().cpu().numpy()
    return csr_array((values, (edges[0], edges[1])), shape=(graph.num_nodes, graph.num_nodes))


def to_data(graph: GraphLike) -> Data:
    """Turn a light graph into PyG's `Data`; tensors are shared, absent ones stay absent.

    Examples
    --------
    >>> to_data(from_arrays([[0], [1]], x=[[1.0], [2.0]]))
    Data(x=[2, 1], edge_index=[2, 1])
    """
    from torch_geometric.data import Data  # its import takes seconds

    light = from_data(graph)
    fields = {name: getattr(light, name) for name in ("edge_attr", "node_type", "edge_type", "batch")}
    return Data(light.x, light.edge_index, **{name: value for name, value in fields.items() if value is not None})


def from_data(data: GraphLike) -> GraphTensors:
    """Take the tensors that the encoder reads out of PyG's `Data` or `Batch`; tensors are shared.

    A graph without ``x`` gets one of width 0.

    Raises
    ------
    InputError
        If there is no ``edge_index``, or neither ``x`` nor a number of nodes.

    Examples
    --------
    >>> from torch_geometric.data import Data
    >>> from_data(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)).x.shape
    torch.Size([2, 0])
    """
    if isinstance(data, GraphTensors):
        return data
    edge_index = getattr(data, "edge_index", None)
    x = getattr(data, "x", None)
    if not isinstance(edge_index, Tensor):
        raise InputError(f"a graph must have a tensor `edge_index`, found {type(edge_index).__name__}")
    if x is None:
        num_nodes = getattr(data, "num_nodes", None)
        if num_nodes is None:
            raise InputError("a graph must have `x` or `num_nodes`, found neither")
        x = torch.empty(num_nodes, 0, device=edge_index.device)
    others = (getattr(data, name, None) for name in ("edge_attr", "node_type", "edge_type", "batch"))
    return GraphTensors(x, edge_index, *others)


def check_no_repeats(edges: IntArray, num_nodes: int) -> None:
    """Raise `InputError` if an edge of `edges` [2, E] is listed twice.

    Examples
    --------
    >>> check_no_repeats(np.array([[0, 1], [1, 0]]), num_nodes=2)
    """
    key = np.sort(edges[0] * max(num_nodes, 1) + edges[1])
    repeated = key[1:][key[1:] == key[:-1]]
    if repeated.size:
        u, v = divmod(int(repeated[0]), num_nodes)
        raise InputError(f"edges must not be repeated, found ({u}, {v}) more than once; coalesce the graph first")


def _features(values: ArrayLike | Tensor, name: str, dtype: torch.dtype) -> Tensor:
    array = as_numpy(values)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
        raise InputError(f"`{name}` must be numeric with 1 or 2 dimensions, found {array.dtype}, {list(array.shape)}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(f"`{name}` must be finite, found {array[bad][0]} at index {np.argwhere(bad)[0].tolist()}")
    tensor = torch.tensor(array, dtype=dtype)
    return tensor[:, None] if tensor.dim() == 1 else tensor


def _types(values: ArrayLike | Tensor, name: str) -> Tensor:
    array = as_numpy(values)
    if array.ndim != 1 or (array.size and (array.astype(np.int64) != array).any()):
        raise InputError(f"`{name}` must hold integers in one dimension, found {array.dtype}, {list(array.shape)}")
    if array.size and array.min() < 0:
        raise InputError(f"`{name}` must not be negative, found {array.min()} at index {int(array.argmin())}")
    return torch.tensor(array, dtype=torch.int64)
