"""Heterogeneous graphs as typed homogeneous ones, and back without loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor
    from torch_geometric.data import Data, HeteroData

__all__ = ["FeatureLayout", "HeteroLayout", "from_hetero", "to_hetero"]

EdgeType = tuple[str, str, str]


@dataclass(frozen=True)
class FeatureLayout:
    """The features of one node or edge type before they were padded.

    Parameters
    ----------
    width : int >= 0 or None
        Number of columns; None when the type has no feature tensor.
    dtype : torch.dtype
        Floating type of the tensor.
    is_flat : bool
        Whether the tensor was of shape [N] instead of [N, 1].
    """

    width: int | None = None
    dtype: torch.dtype = torch.float32
    is_flat: bool = False

    def restore(self, padded: Tensor) -> Tensor:
        """Take the type's own columns out of `padded` [N, W]."""
        columns = padded[:, : self.width].to(self.dtype).clone()
        return columns[:, 0] if self.is_flat else columns


@dataclass(frozen=True)
class HeteroLayout:
    """The types of a heterogeneous graph, in the order of their numbers, and the shapes of their features.

    Parameters
    ----------
    node_types : tuple of str
        Type number t of a node is ``node_types[t]``.
    edge_types : tuple of (str, str, str)
        (sending type, relation, receiving type); type number t of an edge is ``edge_types[t]``.
    node_features, edge_features : tuple of FeatureLayout
        One for each type.

    Examples
    --------
    >>> layout = HeteroLayout(("a",), (("a", "to", "a"),), (FeatureLayout(3),), (FeatureLayout(),))
    >>> layout.spec("toy")
    GraphSpec(name='toy', node_dim=3, edge_dim=0, node_types=1, edge_types=1)
    """

    node_types: tuple[str, ...]
    edge_types: tuple[EdgeType, ...]
    node_features: tuple[FeatureLayout, ...]
    edge_features: tuple[FeatureLayout, ...]

    @property
    def node_width(self) -> int:
        """Width that all node types share."""
        return max((f.width or 0 for f in self.node_features), default=0)

    @property
    def edge_width(self) -> int:
        """Width that all edge types share."""
        return max((f.width or 0 for f in self.edge_features), default=0)

    def spec(self, name: str) -> GraphSpec:
        """Return the `GraphSpec` of the typed graphs of this layout."""
        counts = max(len(self.node_types), 1), max(len(self.edge_types), 1)
        return GraphSpec(name, self.node_width, self.edge_width, *counts)

    @classmethod
    def of(cls, hetero: HeteroData) -> HeteroLayout:
        """Read the layout of one `HeteroData`."""
        nodes, edges = tuple(hetero.node_types), tuple(hetero.edge_types)
        return cls(
            nodes,
            edges,
            tuple(_feature_layout(hetero[t].get("x"), f"x of node type {t!r}") for t in nodes),
            tuple(_feature_layout(hetero[t].get("edge_attr"), f"edge_attr of edge type {t!r}") for t in edges),
        )


def from_hetero(hetero: HeteroData, layout: HeteroLayout | None = None) -> tuple[Data, HeteroLayout]:
    """Turn a heterogeneous graph into a typed homogeneous one.

    Parameters
    ----------
    hetero : torch_geometric.data.HeteroData
        Node types with ``x`` [N_t, D_t] or a known number of nodes; edge types with ``edge_index`` and perhaps
        ``edge_attr`` [E_t, D_t] or [E_t]. Features are floating.
    layout : HeteroLayout, optional
        Use these type numbers and widths, so that all graphs of a data set agree; default the graph's own.

    Returns
    -------
    data : torch_geometric.data.Data
        ``x`` [N, W] and ``edge_attr`` [E, W'] hold the features of all types, narrower ones padded with zeros;
        ``node_type`` [N] and ``edge_type`` [E] number the types. ``edge_attr`` is absent when no type has one.
        All other attributes travel unchanged in ``hetero_extras``: type -> name -> value, graph-level ones under "".
    layout : HeteroLayout
        What `to_hetero` needs to restore the original.

    Raises
    ------
    InputError
        If features are not floating or not of one or two dimensions, an edge type has no ``edge_index``, an index is
        out of range, or the graph does not fit `layout`.

    Examples
    --------
    >>> from torch_geometric.data import HeteroData
    >>> hetero = HeteroData()
    >>> hetero["city"].x = torch.ones(2, 3)
    >>> hetero["depot"].x = torch.ones(1, 1)
    >>> hetero["depot", "serves", "city"].edge_index = torch.tensor([[0, 0], [0, 1]])
    >>> data, layout = from_hetero(hetero)
    >>> data.x.tolist(), data.edge_index.tolist()
    ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]], [[2, 2], [0, 1]])
    >>> to_hetero(data, layout)["depot"].x
    tensor([[1.]])
    """
    from torch_geometric.data import Data  # its import takes seconds

    own = HeteroLayout.of(hetero)
    layout = _checked_layout(own, layout or own)
    sizes = [_num_nodes(hetero, t) if t in own.node_types else 0 for t in layout.node_types]
    offset = dict(zip(layout.node_types, torch.tensor([0, *sizes]).cumsum(0).tolist(), strict=False))
    size = dict(zip(layout.node_types, sizes, strict=True))
    x = [hetero[t].get("x") if t in own.node_types else None for t in layout.node_types]
    parts, attrs = [], []
    for edge_type in layout.edge_types:
        store: Mapping[str, Any] = hetero[edge_type] if edge_type in own.edge_types else {}
        ends = _checked_ends(store, edge_type, size) if store else torch.empty((2, 0), dtype=torch.int64)
        parts.append(ends + torch.tensor([[offset[edge_type[0]]], [offset[edge_type[2]]]], device=ends.device))
        attrs.append(store.get("edge_attr"))
    counts = [part.shape[1] for part in parts]
    device = next((t.device for t in (*x, *parts) if t is not None), torch.device("cpu"))
    data = Data(
        x=_pad(x, sizes, layout.node_features, device),
        edge_index=torch.cat([p.to(device) for p in parts], dim=1) if parts else torch.empty((2, 0), dtype=torch.int64),
        node_type=_type_numbers(sizes, device),
        edge_type=_type_numbers(counts, device),
    )
    if any(f.width is not None for f in layout.edge_features):
        data.edge_attr = _pad(attrs, counts, layout.edge_features, device)
    extras = _extras(hetero)
    if extras:
        data.hetero_extras = extras
    return data, layout


def to_hetero(data: Data, layout: HeteroLayout) -> HeteroData:
    """Restore the heterogeneous graph that `from_hetero` turned into `data`.

    Parameters
    ----------
    data : torch_geometric.data.Data
        Typed graph; nodes and edges of a type keep their relative order, wherever they stand.
    layout : HeteroLayout
        The second value of `from_hetero`.

    Returns
    -------
    torch_geometric.data.HeteroData
        Types of the layout that the graph does not hold come out empty.

    Raises
    ------
    InputError
        If types or widths do not fit `layout`.

    Examples
    --------
    See `from_hetero`.
    """
    from torch_geometric.data import HeteroData  # its import takes seconds

    _check_typed(data, layout)
    extras: dict[Any, dict[str, Any]] = getattr(data, "hetero_extras", None) or {}
    hetero = HeteroData()
    local = torch.empty_like(data.node_type)
    for number, (node_type, features) in enumerate(zip(layout.node_types, layout.node_features, strict=True)):
        members = (data.node_type == number).nonzero()[:, 0]
        local[members] = torch.arange(members.numel(), device=members.device)
        store = hetero[node_type]
        if features.width is not None:
            store.x = features.restore(data.x[members])
        elif not extras.get(node_type):
            store.num_nodes = members.numel()
    for number, (edge_type, features) in enumerate(zip(layout.edge_types, layout.edge_features, strict=True)):
        members = (data.edge_type == number).nonzero()[:, 0]
        ends = data.edge_index[:, members]
        wanted = [layout.node_types.index(edge_type[0]), layout.node_types.index(edge_type[2])]
        if not (data.node_type[ends] == torch.tensor(wanted, device=ends.device)[:, None]).all():
            raise InputError(f"edges of type {edge_type!r} must join nodes of these types, found others in the graph")
        store = hetero[edge_type]
        store.edge_index = local[ends]
        if features.width is not None:
            store.edge_attr = features.restore(data.edge_attr[members])
    for key, values in extras.items():
        for name, value in values.items():
            (hetero[key] if key != "" else hetero)[name] = value
    return hetero


def _feature_layout(features: Tensor | None, place: str) -> FeatureLayout:
    if features is None:
        return FeatureLayout()
    if not isinstance(features, torch.Tensor) or features.dim() not in (1, 2) or not features.is_floating_point():
        found = (
            f"{features.dtype} of shape {list(features.shape)}"
            if hasattr(features, "shape")
            else type(features).__name__
        )
        raise InputError(f"{place} must be a floating tensor of one or two dimensions, found {found}")
    is_flat = features.dim() == 1
    return FeatureLayout(1 if is_flat else features.shape[1], features.dtype, is_flat)


def _checked_layout(own: HeteroLayout, layout: HeteroLayout) -> HeteroLayout:
    """Check that a graph with layout `own` fits into `layout`."""
    for mine, types, features, wanted in (
        (own.node_types, layout.node_types, own.node_features, layout.node_features),
        (own.edge_types, layout.edge_types, own.edge_features, layout.edge_features),
    ):
        for kind, found in zip(mine, features, strict=True):
            if kind not in types:
                raise InputError(f"type {kind!r} is not in the layout, which knows {list(types)}")
            expected = wanted[types.index(kind)]
            if found != expected:
                raise InputError(f"features of type {kind!r} must be {expected}, found {found}")
    for edge_type in layout.edge_types:
        if edge_type[0] not in layout.node_types or edge_type[2] not in layout.node_types:
            raise InputError(f"edge type {edge_type!r} joins node types that are not among {list(layout.node_types)}")
    return layout


def _num_nodes(hetero: HeteroData, node_type: str) -> int:
    store = hetero[node_type]
    if "x" in store or "num_nodes" in store:
        return int(store.num_nodes)
    sizes = {len(value) for value in store.values() if isinstance(value, torch.Tensor) and value.dim()}
    if len(sizes) != 1:
        raise InputError(f"node type {node_type!r} must have `x` or `num_nodes`, found {list(store.keys())}")
    return sizes.pop()


def _checked_ends(store: Mapping[str, Any], edge_type: EdgeType, size: dict[str, int]) -> Tensor:
    ends = store.get("edge_index")
    if ends is None or ends.dim() != 2 or ends.shape[0] != 2:
        found = "none" if ends is None else f"shape {list(ends.shape)}"
        raise InputError(f"edge type {edge_type!r} must have `edge_index` of shape [2, E], found {found}")
    for row, kind in zip(ends, (edge_type[0], edge_type[2]), strict=True):
        if row.numel() and not (int(row.min()) >= 0 and int(row.max()) < size[kind]):
            raise InputError(
                f"`edge_index` of {edge_type!r} must lie in 0..{size[kind] - 1} for {kind!r}, "
                f"found {int(row.min())}..{int(row.max())}"
            )
    return ends


def _type_numbers(counts: Sequence[int], device: torch.device) -> Tensor:
    """Return 0, 1, ... each as often as `counts` says."""
    repeats = torch.tensor(counts, dtype=torch.int64, device=device)
    return torch.arange(len(counts), device=device).repeat_interleave(repeats)


def _pad(
    parts: Sequence[Tensor | None], rows: Sequence[int], layouts: Sequence[FeatureLayout], device: torch.device
) -> Tensor:
    """Stack the features of all types, zeros where a type is narrower than the widest."""
    dtypes = [layout.dtype for layout in layouts if layout.width is not None]
    dtype = reduce(torch.promote_types, dtypes) if dtypes else torch.float32
    padded = torch.zeros(
        sum(rows), max((layout.width or 0 for layout in layouts), default=0), dtype=dtype, device=device
    )
    start = 0
    for part, count in zip(parts, rows, strict=True):
        if part is not None:
            columns = part[:, None] if part.dim() == 1 else part
            padded[start : start + count, : columns.shape[1]] = columns
        start += count
    return padded


def _extras(hetero: HeteroData) -> dict[Any, dict[str, Any]]:
    """Collect what is neither features nor edges, by type; graph-level attributes under ""."""
    extras: dict[Any, dict[str, Any]] = {}
    for key, store in [("", hetero.stores[0]), *hetero.node_items(), *hetero.edge_items()]:
        carried = () if key == "" else ("x",) if isinstance(key, str) else ("edge_index", "edge_attr")
        others = {name: value for name, value in store.items() if name not in carried}
        if others:
            extras[key] = others
    return extras


def _check_typed(data: Data, layout: HeteroLayout) -> None:
    for name, number in (("node_type", len(layout.node_types)), ("edge_type", len(layout.edge_types))):
        types = getattr(data, name, None)
        if types is None or (types.numel() and not (int(types.min()) >= 0 and int(types.max()) < number)):
            raise InputError(f"`{name}` must hold numbers in 0..{number - 1}, as the layout has {number} types")
    needs_edge_attr = any(f.width is not None for f in layout.edge_features)
    for name, width, is_needed in (("x", layout.node_width, True), ("edge_attr", layout.edge_width, needs_edge_attr)):
        features = getattr(data, name, None)
        if is_needed and (features is None or features.dim() != 2 or features.shape[1] < width):
            found = "none" if features is None else f"shape {list(features.shape)}"
            raise InputError(f"`{name}` must have at least the layout's {width} columns, found {found}")
