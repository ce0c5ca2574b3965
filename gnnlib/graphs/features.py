"""Edge features that mean the same in every domain: scale-free distances, reciprocity, relative poses.

All functions take numpy arrays or torch tensors and return torch tensors, ready to become ``x`` and ``edge_attr``.
Tensors stay on their device, keep their floating type, and distances and poses keep their gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.points import as_count, as_numpy

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike

__all__ = [
    "ReverseEdgeFeatures",
    "mean_neighbour_distance",
    "normalised_distance",
    "radial_basis",
    "relative_pose",
    "reverse_edge_features",
]


class ReverseEdgeFeatures(NamedTuple):
    """How an edge stands with its two end points.

    Attributes
    ----------
    mutual : bool tensor [E]
        Whether the reverse edge exists.
    sender_rank : int64 tensor [E]
        Rank, from 0, of the edge among those that its sender sends, shortest first.
    receiver_rank : int64 tensor [E]
        Rank, from 0, of the edge among those that its receiver receives, shortest first.
    """

    mutual: Tensor
    sender_rank: Tensor
    receiver_rank: Tensor


def radial_basis(
    distance: ArrayLike | Tensor, num: int = 16, *, stop: float = 4.0, width: float | None = None
) -> Tensor:
    """Spread a distance over Gaussians with evenly spaced centres [1]_.

    Feature m is ``exp(-(d - c_m)^2 / (2 width^2))`` with centres c from 0 to `stop`.

    Parameters
    ----------
    distance : array or tensor [...]
        Distances >= 0, best in units of the graph's own mean neighbour distance (`normalised_distance`). What lies
        beyond `stop` reads as `stop`, so that no distance vanishes from all features.
    num : int >= 2, default 16
        Number of Gaussians.
    stop : float > 0, default 4.0
        Centre of the last Gaussian.
    width : float > 0, optional
        Standard deviation; default the spacing of the centres.

    Returns
    -------
    Tensor [..., num]
        Values in (0, 1].

    Raises
    ------
    InputError
        If a distance is negative or not finite, or an option is out of range.

    References
    ----------
    .. [1] K. T. Schütt et al. (2017), SchNet, NeurIPS 30, paragraph on filter-generating networks.

    Examples
    --------
    >>> radial_basis([0.0, 2.0, 9.0], 3, stop=4.0, width=1.0).argmax(dim=1)
    tensor([0, 1, 2])
    """
    values = _lengths(distance, "distance")
    num = as_count(num, "num", least=2)
    spread = stop / (num - 1) if width is None else width
    if not (0 < stop < float("inf") and 0 < spread < float("inf")):
        raise InputError(f"`stop` and `width` must be finite and > 0, found {stop!r} and {width!r}")
    centres = torch.linspace(0.0, stop, num, dtype=values.dtype, device=values.device)
    return torch.exp(-0.5 * ((values.clamp(max=stop)[..., None] - centres) / spread) ** 2)


def mean_neighbour_distance(
    edge_index: ArrayLike | Tensor, length: ArrayLike | Tensor, batch: ArrayLike | Tensor | None = None
) -> Tensor:
    """Return the mean edge length of each graph: the unit in which the encoder reads distances.

    Parameters
    ----------
    edge_index : array or tensor [2, E]
        Row 0 sends, row 1 receives.
    length : array or tensor [E]
        Finite lengths >= 0.
    batch : array or tensor [N], optional
        Number of the graph that each node belongs to; absent means one graph.

    Returns
    -------
    Tensor [B]
        0 for a graph without edges.

    Raises
    ------
    InputError
        If shapes do not fit, a length is negative or not finite, or a node number is out of range.

    Examples
    --------
    >>> mean_neighbour_distance([[0, 1, 2], [1, 0, 1]], [1.0, 1.0, 4.0])
    tensor([2.], dtype=torch.float64)
    """
    values, edges = _lengths(length), _edges(edge_index, length)
    if batch is None:
        return _group_mean(values, torch.zeros_like(edges[1]), 1)
    graph, num_graphs = _graph_of_edge(edges, batch)
    return _group_mean(values, graph, num_graphs)


def normalised_distance(
    edge_index: ArrayLike | Tensor,
    length: ArrayLike | Tensor,
    batch: ArrayLike | Tensor | None = None,
    *,
    local: bool = False,
) -> Tensor:
    """Divide each edge length by the mean one, so that cities, residues and data sets live on one scale.

    Parameters
    ----------
    edge_index, length, batch
        As in `mean_neighbour_distance`.
    local : bool, default False
        Divide by the mean over the edges that the receiver receives instead of by the mean over the whole graph.

    Returns
    -------
    Tensor [E]
        Does not change when all lengths are multiplied by one factor; 0 where the mean is 0.

    Raises
    ------
    InputError
        As `mean_neighbour_distance`.

    Examples
    --------
    >>> normalised_distance([[0, 1, 2], [1, 0, 1]], [1.0, 1.0, 4.0])
    tensor([0.5000, 0.5000, 2.0000], dtype=torch.float64)
    """
    values, edges = _lengths(length), _edges(edge_index, length)
    if local:
        group = edges[1]
        mean = _group_mean(values, group, int(group.max()) + 1 if group.numel() else 0)
    elif batch is None:
        group = torch.zeros_like(edges[1])
        mean = _group_mean(values, group, 1)
    else:
        group, num_graphs = _graph_of_edge(edges, batch)
        mean = _group_mean(values, group, num_graphs)
    unit = mean[group]
    return values / torch.where(unit > 0, unit, torch.ones_like(unit))


def reverse_edge_features(edge_index: ArrayLike | Tensor, length: ArrayLike | Tensor) -> ReverseEdgeFeatures:
    """Tell for each edge whether it is mutual and how it ranks at both of its ends.

    A directed neighbour list hides reciprocity: that j is the nearest of i says nothing about i among the neighbours of
    j, and a message cannot see it. These features can.

    Parameters
    ----------
    edge_index : array or tensor [2, E]
        Row 0 sends, row 1 receives; in any order.
    length : array or tensor [E]
        Finite lengths >= 0; equal ones rank in order of the other end point.

    Returns
    -------
    ReverseEdgeFeatures
        ``(mutual, sender_rank, receiver_rank)``, each [E]. On a symmetric graph with symmetric lengths, the sender rank
        of an edge is the receiver rank of its reverse.

    Raises
    ------
    InputError
        If shapes do not fit, a length is negative or not finite, or a node number is negative.

    Examples
    --------
    >>> reverse_edge_features([[0, 1, 2], [1, 0, 1]], [1.0, 1.0, 4.0])
    ReverseEdgeFeatures(mutual=tensor([ True,  True, False]), sender_rank=tensor([0, 0, 0]), \
receiver_rank=tensor([0, 0, 1]))
    """
    values, edges = _lengths(length), _edges(edge_index, length)
    sender, receiver = edges
    num = int(edges.max()) + 1 if edges.numel() else 0
    mutual = torch.isin(sender * num + receiver, receiver * num + sender)
    return ReverseEdgeFeatures(mutual, _rank(sender, values, receiver), _rank(receiver, values, sender))


def relative_pose(
    edge_index: ArrayLike | Tensor, position: ArrayLike | Tensor, heading_rad: ArrayLike | Tensor
) -> Tensor:
    """Describe each sender as its receiver sees it: place and direction in the receiver's frame.

    Parameters
    ----------
    edge_index : array or tensor [2, E]
        Row 0 sends, row 1 receives.
    position : array or tensor [N, 2]
        Places in the plane.
    heading_rad : array or tensor [N]
        Directions in radians, counter-clockwise from the x axis.

    Returns
    -------
    Tensor [E, 4]
        Offset ahead and to the left of the receiver (in the units of `position`), then sine and cosine of the sender's
        heading minus the receiver's. Does not change under a rigid motion of the whole plane.

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.

    Examples
    --------
    >>> import math
    >>> relative_pose([[0], [1]], [[0.0, 3.0], [0.0, 1.0]], [math.pi, math.pi / 2]).round(decimals=3).abs()
    tensor([[2., 0., 1., 0.]], dtype=torch.float64)
    """
    place, heading = _finite(position, "position"), _finite(heading_rad, "heading_rad")
    if place.dim() != 2 or place.shape[1] != 2 or heading.shape != place.shape[:1]:
        raise InputError(
            f"`position` must have shape [N, 2] and `heading_rad` [N], "
            f"found {list(place.shape)} and {list(heading.shape)}"
        )
    edges = _edges(edge_index, None)
    if edges.numel() and int(edges.max()) >= len(place):
        raise InputError(f"node numbers in `edge_index` must lie in 0..{len(place) - 1}, found {int(edges.max())}")
    sender, receiver = edges
    x, y = (place[sender] - place[receiver]).unbind(dim=1)
    cos, sin = heading[receiver].cos(), heading[receiver].sin()
    turn = heading[sender] - heading[receiver]
    return torch.stack([cos * x + sin * y, cos * y - sin * x, turn.sin(), turn.cos()], dim=1)


def _finite(values: ArrayLike | Tensor, name: str) -> Tensor:
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(as_numpy(values))
    if tensor.is_complex():
        raise InputError(f"`{name}` must be real, found {tensor.dtype}")
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.float64)
    bad = ~tensor.isfinite()
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise InputError(f"`{name}` must be finite, found {float(tensor[first])} at index {list(first)}")
    return tensor


def _lengths(length: ArrayLike | Tensor, name: str = "length") -> Tensor:
    values = _finite(length, name)
    bad = values < 0
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise InputError(f"`{name}` must be >= 0, found {float(values[first])} at index {list(first)}")
    return values


def _edges(edge_index: ArrayLike | Tensor, length: ArrayLike | Tensor | None) -> Tensor:
    edges = edge_index if isinstance(edge_index, Tensor) else torch.as_tensor(as_numpy(edge_index))
    if edges.numel() == 0 and edges.dim() <= 2:
        edges = edges.new_zeros((2, 0), dtype=torch.int64)
    if edges.dim() != 2 or edges.shape[0] != 2 or edges.is_floating_point():
        raise InputError(f"`edge_index` must be integer of shape [2, E], found {edges.dtype}, {list(edges.shape)}")
    if edges.numel() and int(edges.min()) < 0:
        raise InputError(f"node numbers in `edge_index` must not be negative, found {int(edges.min())}")
    shape = edges.shape[1:] if length is None else tuple(getattr(length, "shape", as_numpy(length).shape))
    if tuple(shape) != tuple(edges.shape[1:]):
        raise InputError(f"`length` must have shape [E] = [{edges.shape[1]}], found {list(shape)}")
    return edges.to(torch.int64)


def _graph_of_edge(edges: Tensor, batch: ArrayLike | Tensor) -> tuple[Tensor, int]:
    graph = batch if isinstance(batch, Tensor) else torch.as_tensor(as_numpy(batch))
    if graph.dim() != 1 or graph.is_floating_point():
        raise InputError(f"`batch` must be integer of shape [N], found {graph.dtype}, {list(graph.shape)}")
    if graph.numel() and int(graph.min()) < 0:
        raise InputError(f"`batch` must not be negative, found {int(graph.min())} at node {int(graph.argmin())}")
    if edges.numel() and int(edges.max()) >= len(graph):
        raise InputError(f"node numbers in `edge_index` must lie in 0..{len(graph) - 1}, found {int(edges.max())}")
    return graph.to(torch.int64)[edges[1]], int(graph.max()) + 1 if graph.numel() else 0


def _group_mean(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    total = values.new_zeros(num_groups).index_add(0, group, values)
    return total / torch.bincount(group, minlength=num_groups).clamp(min=1)


def _rank(node: Tensor, length: Tensor, other: Tensor) -> Tensor:
    """Rank each edge among the edges of `node` by (length, other end)."""
    order = torch.argsort(other, stable=True)
    order = order[torch.argsort(length[order], stable=True)]
    order = order[torch.argsort(node[order], stable=True)]
    degree = torch.bincount(node)
    rank = torch.empty_like(node)
    rank[order] = torch.arange(node.numel(), device=node.device) - (degree.cumsum(0) - degree)[node[order]]
    return rank
