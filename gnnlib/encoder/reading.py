"""The encoder's door: check a graph against its spec and put its edges in the order of the receivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnlib.encoder.topology import Topology, receiver_order
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.graphs.schema import GraphLike, GraphSpec

__all__ = ["ReadGraph", "read_graph"]


@dataclass(frozen=True)
class ReadGraph:
    """A checked graph, edges sorted by receiver.

    Attributes
    ----------
    x, edge_attr, node_type, edge_type, batch : Tensor or None
        As in `GraphTensors`; what the spec does not have is None.
    num_graphs : int
        Number of graphs B.
    topology : Topology
        The edges.
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


def read_graph(graph: GraphLike, spec: GraphSpec, like: Tensor) -> ReadGraph:
    """Check `graph` against `spec` and sort its edges by receiver.

    Parameters
    ----------
    graph : GraphLike
        The graph as the caller has it.
    spec : GraphSpec
        What it should look like.
    like : Tensor
        A parameter of the model: features must have its precision and device.

    Raises
    ------
    InputError
        If a tensor is missing, has the wrong shape, type or device, is not finite, or an index is out of range.
    """
    x = _node_features(graph, spec, like)
    num_nodes = x.shape[0]
    edge_index = _integers(getattr(graph, "edge_index", None), "edge_index", (2, None), num_nodes, like)
    num_edges = edge_index.shape[1]
    edge_attr = None
    if spec.edge_dim:
        edge_attr = _features(getattr(graph, "edge_attr", None), "edge_attr", (num_edges, spec.edge_dim), spec, like)
    node_type = _types(graph, "node_type", num_nodes, spec.node_types, like)
    edge_type = _types(graph, "edge_type", num_edges, spec.edge_types, like)
    batch, num_graphs = _batch(graph, num_nodes, like)

    restore = None
    order = receiver_order(edge_index[1], num_nodes)
    if order is not None:
        edge_index = edge_index.index_select(1, order)
        edge_attr = None if edge_attr is None else edge_attr.index_select(0, order)
        edge_type = None if edge_type is None else edge_type.index_select(0, order)
        restore = torch.empty_like(order)
        restore[order] = torch.arange(num_edges, device=order.device)
    topology = Topology.from_sorted(edge_index, num_nodes)
    return ReadGraph(x, edge_attr, node_type, edge_type, batch, num_graphs, topology, restore)


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
    return type(value).__name__


def _node_features(graph: GraphLike, spec: GraphSpec, like: Tensor) -> Tensor:
    x = getattr(graph, "x", None)
    num_nodes = getattr(graph, "num_nodes", None)
    if x is None and spec.node_dim == 0 and isinstance(num_nodes, int):
        return like.new_zeros(num_nodes, 0)
    return _features(x, "x", (None, spec.node_dim), spec, like)


def _features(value: object, name: str, shape: tuple[int | None, int], spec: GraphSpec, like: Tensor) -> Tensor:
    rows, columns = shape
    fits = (
        isinstance(value, Tensor)
        and value.dim() == 2
        and value.shape[1] == columns
        and rows in (None, value.shape[0])
        and (value.dtype, value.device) == (like.dtype, like.device)
    )
    if not isinstance(value, Tensor) or not fits:
        wanted = (
            f"{str(like.dtype).removeprefix('torch.')} [{'N' if rows is None else rows}, {columns}] on {like.device}"
        )
        raise InputError(f"`{name}` of a {spec.name!r} graph must be {wanted}, as the model; found {_describe(value)}")
    # one cheap pass: a sum of finite numbers is finite unless it overflows, which the second pass sorts out
    if not bool(torch.isfinite(value.detach().sum())):
        bad = (~torch.isfinite(value)).nonzero()
        if bad.numel():
            row, column = bad[0].tolist()
            raise InputError(
                f"`{name}` of a {spec.name!r} graph must be finite, found {float(value[row, column])} at [{row}, {column}]"
            )
    return value


def _integers(value: object, name: str, shape: tuple[int | None, ...], limit: int, like: Tensor) -> Tensor:
    fits = (
        isinstance(value, Tensor)
        and value.dtype == torch.int64
        and value.device == like.device
        and value.dim() == len(shape)
        and all(wanted in (None, found) for wanted, found in zip(shape, value.shape, strict=True))
    )
    if not isinstance(value, Tensor) or not fits:
        wanted = ", ".join("E" if size is None else str(size) for size in shape)
        raise InputError(f"`{name}` must be int64 [{wanted}] on {like.device}, found {_describe(value)}")
    if value.numel():
        low, high = (int(bound) for bound in torch.aminmax(value))
        if low < 0 or high >= limit:
            place = ((value < 0) | (value >= limit)).nonzero()[0]
            found = int(value[tuple(place)])
            raise InputError(f"`{name}` must lie in [0, {limit}), found {found} at {place.tolist()}")
    return value


def _types(graph: GraphLike, name: str, rows: int, count: int, like: Tensor) -> Tensor | None:
    value = getattr(graph, name, None)
    if count == 1:
        return None
    if value is None:
        return torch.zeros(rows, dtype=torch.int64, device=like.device)
    return _integers(value, name, (rows,), count, like)


def _batch(graph: GraphLike, num_nodes: int, like: Tensor) -> tuple[Tensor | None, int]:
    batch = getattr(graph, "batch", None)
    if batch is None:
        return None, 1
    ptr = getattr(graph, "ptr", None)
    known = getattr(graph, "num_graphs", None)
    if isinstance(ptr, Tensor):
        num_graphs = int(ptr.numel()) - 1
    elif isinstance(known, int):
        num_graphs = known
    else:
        num_graphs = int(batch.max()) + 1 if isinstance(batch, Tensor) and batch.numel() else 0
    batch = _integers(batch, "batch", (num_nodes,), num_graphs, like)
    if bool((batch[1:] < batch[:-1]).any()):
        place = int((batch[1:] < batch[:-1]).nonzero()[0]) + 1
        raise InputError(
            f"`batch` must not decrease, found {int(batch[place])} after {int(batch[place - 1])} at {place}"
        )
    return batch, num_graphs
