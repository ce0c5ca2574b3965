"""From a travelling salesman problem to the graph that the encoder reads.

Every city receives one edge from each of its nearest neighbours, in the order of the cities, so that edge tensors may
be viewed as [N, K, ...]. There are no coordinates among the features: an instance that is moved, turned, mirrored,
scaled or renumbered gives the same graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.heads.combinatorial.kernels.neighbourhood import EDGE_FEATURES, edge_features, reverse_slots
from gnnlib.heads.combinatorial.tsp.metrics import tour_edge_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from gnnlib.heads.combinatorial.kernels.distance import DistanceData
    from gnnlib.heads.combinatorial.tsp.problem import TSP
    from gnnlib.typing import ArrayLike, FloatArray

__all__ = ["NUM_NEIGHBOURS", "TSP_SPEC", "TourGraph", "join_tour_graphs", "neighbour_graph", "tour_graph"]

NUM_NEIGHBOURS = 10
"""Neighbours a city, unless there are fewer others."""

TSP_SPEC = GraphSpec("tsp", node_dim=1, edge_dim=EDGE_FEATURES)
"""A node knows how sparse its surroundings are; for the edges see `gnnlib.heads.combinatorial.kernels.neighbourhood`."""


@dataclass
class TourGraph(GraphTensors):
    """The graph of one instance or of several, with what only this head needs.

    Parameters
    ----------
    reverse : Tensor [E], int64
        Number of the edge in the other direction, -1 where there is none.
    label : Tensor [E], bool, optional
        Whether the edge belongs to the tour to be learned.
    """

    reverse: Tensor | None = None
    label: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        moved.reverse = None if self.reverse is None else self.reverse.to(device)
        moved.label = None if self.label is None else self.label.to(device)
        return moved


def neighbour_graph(data: DistanceData, neighbours: npt.NDArray[np.integer], lengths: FloatArray) -> TourGraph:
    """Build the graph of an instance whose neighbour lists are known already.

    Parameters
    ----------
    data : DistanceData
        Distances; cities numbered as in `neighbours`.
    neighbours : int array [N, K]
        Nearest neighbours of each city, none of them the city itself or listed twice.
    lengths : float array [N, K]
        Their distances.

    Returns
    -------
    TourGraph
        N nodes and N * K edges, edge ``i * K + s`` from ``neighbours[i, s]`` to i.
    """
    near = np.ascontiguousarray(neighbours, dtype=np.int32)
    apart = np.maximum(np.ascontiguousarray(lengths, dtype=np.float64), 0.0)
    n, k = near.shape
    reverse = reverse_slots(near)
    mean = float(apart.mean()) if apart.size else 0.0
    features = edge_features(data, near, apart, reverse, mean)
    edge_index = np.empty((2, n * k), np.int64)
    edge_index[0] = near.ravel()
    edge_index[1] = np.repeat(np.arange(n), k)
    return TourGraph(
        x=torch.from_numpy(_sparseness(apart, mean)),
        edge_index=torch.from_numpy(edge_index),
        edge_attr=torch.from_numpy(features),
        reverse=torch.from_numpy(reverse.ravel()),
    )


def _sparseness(lengths: FloatArray, mean: float) -> npt.NDArray[np.float32]:
    """Logarithm of each city's mean neighbour distance over that of the instance, in [-3, 3]; float32 [N, 1]."""
    if mean == 0.0:
        return np.zeros((len(lengths), 1), np.float32)
    ratio = lengths.mean(axis=1, keepdims=True) / mean
    return np.log(np.clip(ratio, np.exp(-3.0), np.exp(3.0))).astype(np.float32)


def tour_graph(problem: TSP, order: ArrayLike | None = None, *, num_neighbours: int = NUM_NEIGHBOURS) -> TourGraph:
    """Build the graph of an instance.

    Parameters
    ----------
    problem : TSP
        Symmetric; from coordinates or from a matrix.
    order : int array-like [N], optional
        A tour; its edges become the labels.
    num_neighbours : int >= 1
        Neighbours a city; N - 1 when there are fewer.

    Returns
    -------
    TourGraph
        Nodes in the order of the problem's cities.

    Raises
    ------
    InputError
        If the problem is not symmetric or has one city, or `order` is not a tour of it.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> graph = tour_graph(TSP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]]), [0, 1, 2, 3])
    >>> graph.num_nodes, graph.num_edges, graph.label.sum().item()
    (4, 12, 8)
    """
    from gnnlib.heads.combinatorial.tsp.instance import SearchInstance

    if not problem.is_symmetric:
        raise InputError("the graph of a TSP needs symmetric distances; found an asymmetric matrix")
    if problem.num_cities < 2:
        raise InputError("the graph of a TSP needs at least 2 cities, found 1")
    instance = SearchInstance.build(problem, num_neighbours)
    neighbours, lengths = np.empty_like(instance.neighbours), np.empty_like(instance.lengths)
    neighbours[instance.cities] = instance.cities[instance.neighbours]  # the search numbers cities along a curve
    lengths[instance.cities] = instance.lengths
    graph = neighbour_graph(problem.distance_data(), neighbours, lengths)
    if order is not None:
        graph.label = torch.from_numpy(tour_edge_labels(order, graph.edge_index.numpy()))
    return graph


def join_tour_graphs(graphs: Sequence[TourGraph]) -> TourGraph:
    """Put graphs side by side into a batch.

    Parameters
    ----------
    graphs : sequence of TourGraph
        At least one; labelled all or none.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> square = tour_graph(TSP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]]))
    >>> join_tour_graphs([square, square]).batch.tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    if not graphs:
        raise InputError("a batch needs at least one graph, found none")
    nodes = torch.tensor([graph.num_nodes for graph in graphs])
    first_node = (nodes.cumsum(0) - nodes).tolist()
    first_edge = np.cumsum([0] + [graph.num_edges for graph in graphs]).tolist()
    reverse = [
        torch.where(graph.reverse < 0, -1, graph.reverse + start)
        for graph, start in zip(graphs, first_edge, strict=False)
        if graph.reverse is not None
    ]
    labels = [graph.label for graph in graphs if graph.label is not None]
    if len(reverse) < len(graphs) or len(labels) not in {0, len(graphs)}:
        raise InputError("all graphs of a batch need `reverse`, and all or none of them `label`")
    return TourGraph(
        x=torch.cat([graph.x for graph in graphs]),
        edge_index=torch.cat([graph.edge_index + s for graph, s in zip(graphs, first_node, strict=True)], dim=1),
        edge_attr=torch.cat([graph.edge_attr for graph in graphs if graph.edge_attr is not None]),
        batch=torch.repeat_interleave(torch.arange(len(graphs)), nodes),
        reverse=torch.cat(reverse),
        label=torch.cat(labels) if labels else None,
    )
