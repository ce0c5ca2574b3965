"""The common language of all domains: what a graph is for the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from gnnlib.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["GraphLike", "GraphSpec", "GraphTensors"]


@dataclass(frozen=True)
class GraphSpec:
    """What one domain's graphs look like.

    Parameters
    ----------
    name : str
        Name of the domain ("tsp", "protein", ...); the encoder keeps one adapter under it.
    node_dim, edge_dim : int >= 0
        Number of continuous features of a node and of an edge; 0 when there are none.
    node_types, edge_types : int >= 1
        Number of node and edge types. Heterogeneous graphs become typed homogeneous ones: all types share one width.

    Raises
    ------
    InputError
        If the name is not an identifier or a size is out of range.

    Examples
    --------
    >>> GraphSpec("tsp", node_dim=2, edge_dim=16)
    GraphSpec(name='tsp', node_dim=2, edge_dim=16, node_types=1, edge_types=1)
    """

    name: str
    node_dim: int
    edge_dim: int
    node_types: int = 1
    edge_types: int = 1

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"`name` of a GraphSpec must be an identifier, found {self.name!r}")
        for label, value, least in (
            ("node_dim", self.node_dim, 0),
            ("edge_dim", self.edge_dim, 0),
            ("node_types", self.node_types, 1),
            ("edge_types", self.edge_types, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"`{label}` of GraphSpec {self.name!r} must be an integer >= {least}, found {value!r}")


@runtime_checkable
class GraphLike(Protocol):
    """What the encoder reads of a graph: PyG's `Data` and `Batch` satisfy it, and so does `GraphTensors`.

    ``edge_index[0]`` is the sending node and ``edge_index[1]`` the receiving one, as in PyG.
    ``edge_attr``, ``node_type``, ``edge_type`` and ``batch`` may be absent or None.
    """

    @property
    def x(self) -> Tensor | None:
        """Continuous node features [N, node_dim]."""

    @property
    def edge_index(self) -> Tensor:
        """Senders and receivers [2, E]."""


@dataclass
class GraphTensors:
    """The light graph container: the tensors that the encoder reads and nothing else.

    Importing PyG costs two seconds; a hot inference path builds this instead of a `torch_geometric.data.Data`.

    Parameters
    ----------
    x : Tensor [N, node_dim]
        Continuous node features (node_dim may be 0).
    edge_index : Tensor [2, E], int64
        Row 0 sends, row 1 receives.
    edge_attr : Tensor [E, edge_dim], optional
        Continuous edge features.
    node_type : Tensor [N], int64, optional
        Type of each node; absent means that all nodes have type 0.
    edge_type : Tensor [E], int64, optional
        Type of each edge; absent means that all edges have type 0.
    batch : Tensor [N], int64, optional
        Number of the graph that each node belongs to, non-decreasing; absent means one graph.

    Examples
    --------
    >>> import torch
    >>> graph = GraphTensors(torch.zeros(3, 2), torch.tensor([[0, 1], [1, 2]]))
    >>> graph.num_nodes, graph.num_edges, graph.num_graphs
    (3, 2, 1)
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor | None = None
    node_type: Tensor | None = None
    edge_type: Tensor | None = None
    batch: Tensor | None = None

    @property
    def num_nodes(self) -> int:
        """Number of nodes N."""
        return int(self.x.shape[0])

    @property
    def num_edges(self) -> int:
        """Number of edges E."""
        return int(self.edge_index.shape[1])

    @property
    def num_graphs(self) -> int:
        """Number of graphs B."""
        if self.batch is None:
            return 1
        return int(self.batch.max()) + 1 if self.batch.numel() else 0

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""

        def move(tensor: Tensor | None) -> Tensor | None:
            if tensor is None:
                return None
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        x, edge_index = move(self.x), move(self.edge_index)
        if x is None or edge_index is None:
            raise InputError("a graph needs both `x` and `edge_index`")
        return type(self)(
            x, edge_index, *(move(t) for t in (self.edge_attr, self.node_type, self.edge_type, self.batch))
        )
