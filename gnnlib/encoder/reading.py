"""The encoder's door: check a graph against its spec and put its edges in the order of the receivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnlib.encoder.topology import Topology
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.graphs.schema import GraphLike, GraphSpec

__all__ = ["GraphTensorsIn", "read_graph"]


@dataclass(frozen=True)
class GraphTensorsIn:
    """A checked graph, edges sorted by receiver.

    Attributes
    ----------
    restore : Tensor [E] or None
        Where each edge of the caller's order stands now; None when the order was kept.
    """

    x: Tensor
    edge_attr: Tensor | None
    node_type: Tensor | None
    edge_type: Tensor | None
    batch: Tensor | None
    num_graphs: int
    topology: Topology
    restore: Tensor | None


def read_graph(graph: GraphLike, spec: GraphSpec) -> GraphTensorsIn:
    """Check `graph` against `spec` and sort its edges by receiver.

    Raises
    ------
    InputError
        If a tensor is missing, has the wrong shape or type, or an index is out of range.
    """
    x = _node_features(graph, spec)
    edge_index = _edge_index(graph, x)
    num_edges = edge_index.shape[1]
    edge_attr = None
    if spec.edge_dim:
        edge_attr = _features(getattr(graph, "edge_attr", None), "edge_attr", num_edges, spec.edge_dim, spec.name)
    node_type = _types(graph, "node_type", x.shape[0], spec.node_types, x)
    edge_type = _types(graph, "edge_type", num_edges, spec.edge_types, x)
    if edge_type is None and edge_attr is None:
        edge_type = torch.zeros(num_edges, dtype=torch.int64, device=x.device)
    batch, num_graphs = _batch(graph, x)

    restore = None
    receiver = edge_index[1]
    if num_edges > 1 and bool((receiver[1:] < receiver[:-1]).any()):
        order = torch.argsort(receiver, stable=True)
        edge_index = edge_index.index_select(1, order)
        edge_attr = None if edge_attr is None else edge_attr.index_select(0, order)
        edge_type = None if edge_type is None else edge_type.index_select(0, order)
        restore = torch.empty_like(order)
        restore[order] = torch.arange(num_edges, device=order.device)
    topology = Topology.from_sorted(edge_index, x.shape[0])
    return GraphTensorsIn(x, edge_attr, node_type, edge_type, batch, num_graphs, topology, restore)


def _node_features(graph: GraphLike, spec: GraphSpec) -> Tensor:
    x = getattr(graph, "x", None)
    num_nodes = getattr(graph, "num_nodes", None)
    if x is None and spec.node_dim == 0 and isinstance(num_nodes, int):
        like = getattr(graph, "edge_attr", None)
        return like.new_zeros(num_nodes, 0) if isinstance(like, Tensor) else torch.zeros(num_nodes, 0)
    return _features(x, "x", None, spec.node_dim, spec.name)


def _features(value: object, name: str, rows: int | None, columns: int, spec: str) -> Tensor:
    found = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
    shape = f"[{'N' if rows is None else rows}, {columns}]"
    if (
        not isinstance(value, Tensor)
        or value.dim() != 2
        or value.shape[1] != columns
        or (rows is not None and value.shape[0] != rows)
        or not value.is_floating_point()
    ):
        raise InputError(f"`{name}` of a {spec!r} graph must be a float tensor {shape}, found {found}")
    return value


def _edge_index(graph: GraphLike, x: Tensor) -> Tensor:
    value = getattr(graph, "edge_index", None)
    if not isinstance(value, Tensor) or value.dim() != 2 or value.shape[0] != 2 or value.dtype != torch.int64:
        found = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"`edge_index` must be an int64 tensor [2, E], found {found}")
    _check_range(value, "edge_index", x.shape[0])
    return value


def _check_range(index: Tensor, name: str, limit: int) -> None:
    if not index.numel():
        return
    low, high = (int(bound) for bound in torch.aminmax(index))
    if low < 0 or high >= limit:
        flat = index.reshape(-1)
        place = int(((flat < 0) | (flat >= limit)).nonzero()[0])
        raise InputError(f"`{name}` must lie in [0, {limit}), found {int(flat[place])} at flat position {place}")


def _types(graph: GraphLike, name: str, rows: int, count: int, x: Tensor) -> Tensor | None:
    value = getattr(graph, name, None)
    if count == 1:
        return None
    if value is None:
        return torch.zeros(rows, dtype=torch.int64, device=x.device)
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or tuple(value.shape) != (rows,):
        found = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"`{name}` must be an int64 tensor [{rows}], found {found}")
    _check_range(value, name, count)
    return value


def _batch(graph: GraphLike, x: Tensor) -> tuple[Tensor | None, int]:
    batch = getattr(graph, "batch", None)
    if batch is None:
        return None, 1
    if not isinstance(batch, Tensor) or batch.dtype != torch.int64 or tuple(batch.shape) != (x.shape[0],):
        found = f"{tuple(batch.shape)} {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
        raise InputError(f"`batch` must be an int64 tensor [{x.shape[0]}], found {found}")
    ptr = getattr(graph, "ptr", None)
    if isinstance(ptr, Tensor):
        num_graphs = int(ptr.numel()) - 1
    else:
        known = getattr(graph, "num_graphs", None)
        num_graphs = known if isinstance(known, int) else int(batch.max()) + 1 if batch.numel() else 0
    _check_range(batch, "batch", num_graphs)
    return batch, num_graphs
