"""From a vehicle routing problem to the graph that the encoder reads.

Clients receive edges from their nearest neighbours in both directions, and each client is joined with each depot. There
are no coordinates among the features, only ratios of distances, times and loads: an instance that is moved, turned,
scaled or renumbered gives the same graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.features import radial_basis
from gnnlib.graphs.schema import GraphSpec, GraphTensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "NUM_NEIGHBOURS",
    "VRP_SPEC",
    "RouteGraph",
    "join_route_graphs",
    "length_unit",
    "near_clients",
    "route_graph",
]

NUM_NEIGHBOURS = 12
"""Neighbours a client, unless there are fewer others."""

_BASES = 8
_SCALARS = 9
_NODE_SCALARS = 10

VRP_SPEC = GraphSpec("vrp", node_dim=_NODE_SCALARS, edge_dim=_BASES + _SCALARS, node_types=2, edge_types=3)
"""Node types: depot, client. Edge types: between clients, from a depot, to a depot."""


@dataclass
class RouteGraph(GraphTensors):
    """The graph of one instance or of several, with what only this head needs.

    Parameters
    ----------
    reverse : Tensor [E], int64
        Number of the edge in the other direction.
    consecutive : Tensor [E], bool, optional
        Whether the routes to be learned visit the two ends one after the other.
    together : Tensor [E], bool, optional
        Whether one of these routes holds both ends.
    gain : Tensor [N], optional
        What a route shortens by when the client is taken out, in mean distances between neighbours.
    """

    reverse: Tensor | None = None
    consecutive: Tensor | None = None
    together: Tensor | None = None
    gain: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        for name in ("reverse", "consecutive", "together", "gain"):
            tensor = getattr(self, name)
            if tensor is not None:
                cast = dtype if tensor.is_floating_point() else None
                setattr(moved, name, tensor.to(device, cast))
        return moved


def near_clients(problem: VRP, count: int) -> tuple[IntArray, FloatArray]:
    """Return the nearest other clients of each, int array [n, K], and their distances.

    Distances of both directions are averaged; K is `count`, or n - 1 when there are fewer. Without coordinates all
    pairs are looked at.
    """
    first, n = problem.num_depots, problem.num_clients
    k = min(count, n - 1)
    if problem.travel.distances is None and problem.travel.coords is not None:
        from gnnlib.graphs.build import knn_neighbours

        near, _ = knn_neighbours(problem.travel.coords[first:], k) if k else (np.zeros((n, 0), np.int64), None)
        rows = np.arange(first, first + n)[:, None]
        return near, problem.travel.distance(rows, near + first)
    matrix = problem.travel.distance_matrix()[first:, first:]
    matrix = 0.5 * (matrix + matrix.T)
    np.fill_diagonal(matrix, np.inf)
    near = np.argsort(matrix, axis=1, kind="stable")[:, :k]
    return near, np.take_along_axis(matrix, near, axis=1)


def length_unit(lengths: FloatArray) -> float:
    """Return the mean distance between neighbours, the unit of length; 1 when all clients are at one place."""
    finite = lengths[np.isfinite(lengths)]
    unit = float(finite.mean()) if finite.size else 0.0
    return unit if unit > 0.0 else 1.0


def route_graph(
    problem: VRP, routes: Sequence[Sequence[int]] | None = None, *, num_neighbours: int = NUM_NEIGHBOURS
) -> RouteGraph:
    """Build the graph of an instance.

    Parameters
    ----------
    problem : VRP
        Distances, durations and capacities are those of its first vehicle type and profile.
    routes : sequence of sequences of int, optional
        Routes of the first vehicle type, by client numbers; their edges become the labels.
    num_neighbours : int >= 1

    Returns
    -------
    RouteGraph
        Nodes are the places of the problem.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]], demand=[1, 2, 3], capacity=4)
    >>> graph = route_graph(problem, [[1, 2], [3]])
    >>> graph.num_nodes, graph.num_edges, graph.consecutive.sum().item()
    (4, 12, 8)
    """
    near, lengths = near_clients(problem, num_neighbours)
    edges, kinds = _edges(problem, near)
    unit = length_unit(lengths)
    graph = RouteGraph(
        x=torch.from_numpy(_node_features(problem, lengths, unit)),
        edge_index=torch.from_numpy(edges),
        edge_attr=_edge_features(problem, edges, kinds, near, unit),
        node_type=torch.from_numpy((np.arange(problem.travel.num_places) >= problem.num_depots).astype(np.int64)),
        edge_type=torch.from_numpy(kinds),
        reverse=torch.from_numpy(_reverse(edges, problem.travel.num_places)),
    )
    if routes is not None:
        consecutive, together, gain = _labels(problem, routes, edges, unit)
        graph.consecutive, graph.together = torch.from_numpy(consecutive), torch.from_numpy(together)
        graph.gain = torch.from_numpy(gain)
    return graph


def _edges(problem: VRP, near: IntArray) -> tuple[IntArray, IntArray]:
    """Edges [2, E] sorted by receiver, and their types [E]."""
    first, n, places = problem.num_depots, problem.num_clients, problem.travel.num_places
    receivers = np.repeat(np.arange(n), near.shape[1])
    pairs = np.concatenate([receivers * n + near.ravel(), near.ravel() * n + receivers])
    pairs = np.unique(pairs)
    inner = np.stack([pairs % n, pairs // n]) + first
    depots, clients = np.repeat(np.arange(first), n), np.tile(np.arange(first, places), first)
    edges = np.concatenate([inner, np.stack([depots, clients]), np.stack([clients, depots])], axis=1)
    kinds = np.repeat([0, 1, 2], [inner.shape[1], len(depots), len(depots)])
    order = np.argsort(edges[1] * places + edges[0], kind="stable")
    return np.ascontiguousarray(edges[:, order]), kinds[order]


def _reverse(edges: IntArray, places: int) -> IntArray:
    keys = edges[1] * places + edges[0]  # sorted
    return np.searchsorted(keys, edges[0] * places + edges[1])


def _hours(problem: VRP) -> tuple[FloatArray, FloatArray, float]:
    """First opening and last closing of every place, both finite, and the length of the day."""
    opening = np.concatenate([problem.depot_windows[:, 0], problem.windows[:, 0, 0]])
    closing = np.concatenate([problem.depot_windows[:, 1], np.nanmax(problem.windows[..., 1], axis=1)])
    finite = closing[np.isfinite(closing)]
    day = float(finite.max()) if problem.has_windows and finite.size else math.inf
    return opening, closing, day


def _capacity(problem: VRP) -> float:
    capacity = problem.vehicle_types[0].capacity
    return capacity[0] if capacity and capacity[0] > 0.0 else math.inf


def _node_features(problem: VRP, lengths: FloatArray, unit: float) -> np.ndarray:
    """Features float32 [M, 10]: loads, distance from the depot, sparseness, times."""
    first, places = problem.num_depots, problem.travel.num_places
    x = np.zeros((places, _NODE_SCALARS), np.float32)
    capacity = _capacity(problem)
    loads = np.maximum(problem.delivery, problem.pickup)
    share = loads[:, 0] / capacity if loads.shape[1] else np.zeros(problem.num_clients)
    x[first:, 0] = share
    x[:, 1] = share.mean()
    depots, clients = np.arange(first)[:, None], np.arange(first, places)[None]
    away = problem.travel.distance(depots, clients)
    away = np.where(np.isfinite(away), away, 0.0)
    x[first:, 2] = np.log1p(away.min(axis=0) / unit)
    local = lengths.mean(axis=1) if lengths.shape[1] else np.full(problem.num_clients, unit)
    x[first:, 3] = np.log(np.clip(np.nan_to_num(local, posinf=unit) / unit, 0.05, 20.0))
    opening, closing, day = _hours(problem)
    if math.isfinite(day) and day > 0.0:
        x[:, 4] = opening / day
        x[:, 5] = np.minimum(closing, day) / day
        x[:, 6] = x[:, 5] - x[:, 4]
        x[first:, 7] = problem.service_time / day
        x[:, 8] = 1.0
    x[:, 9] = math.isfinite(capacity)
    return x


def _edge_features(problem: VRP, edges: IntArray, kinds: IntArray, near: IntArray, unit: float) -> Tensor:
    """Features [E, 17]: distance, saving, ranks, loads, and whether the times fit."""
    tails, heads = edges
    travel, first = problem.travel, problem.num_depots
    length = travel.distance(tails, heads)
    length = np.where(np.isfinite(length), length, 1e3 * unit)
    scalars = np.zeros((edges.shape[1], _SCALARS), np.float32)
    scalars[:, 0] = np.log1p(length / unit)
    out, back = travel.distance(tails, 0), travel.distance(0, heads)
    around = np.where(np.isfinite(out + back), out + back, 0.0)
    inner = kinds == 0
    scalars[:, 1] = np.where(inner, (around - length) / np.maximum(around, 1e-9 * unit), 0.0).clip(-1.0, 1.0)
    scalars[:, 2] = np.where(inner, np.tanh((around - length) / (20.0 * unit)), 0.0)
    scalars[:, 3:5] = _ranks(near, edges - first, inner)
    capacity, loads = _capacity(problem), np.maximum(problem.delivery, problem.pickup)
    share = np.zeros(travel.num_places)
    share[first:] = loads[:, 0] / capacity if loads.shape[1] else 0.0
    scalars[:, 5] = share[tails] + share[heads]
    opening, closing, day = _hours(problem)
    if math.isfinite(day) and day > 0.0:
        service = np.concatenate([np.zeros(first), problem.service_time])
        ride = service[tails] + travel.duration(tails, heads)
        ride = np.where(np.isfinite(ride), ride, day)
        scalars[:, 6] = np.clip((opening[heads] - np.minimum(closing[tails], day) - ride) / day, 0.0, 1.0)
        scalars[:, 7] = np.clip((np.minimum(closing[heads], day) - opening[tails] - ride) / day, -1.0, 1.0)
        scalars[:, 8] = scalars[:, 7] >= 0.0
    near_basis = radial_basis(torch.from_numpy((length / unit).astype(np.float32)), _BASES, stop=4.0)
    return torch.cat([near_basis, torch.from_numpy(scalars)], dim=1)


def _ranks(near: IntArray, inner_edges: IntArray, inner: BoolArray) -> np.ndarray:
    """Return the closeness of each end in the other's list, 1 for the nearest, 0 for who is not listed; [E, 2]."""
    n, k = near.shape
    table = np.full((inner_edges.shape[1], 2), 0.0, np.float32)
    if k == 0:
        return table
    keys = np.repeat(np.arange(n), k) * n + near.ravel()
    order = np.argsort(keys)
    ranks = np.tile(1.0 - np.arange(k) / k, n)[order]
    for column, (who, other) in enumerate(((1, 0), (0, 1))):
        wanted = inner_edges[who, inner] * n + inner_edges[other, inner]
        at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        table[inner, column] = np.where(keys[order][at] == wanted, ranks[at], 0.0)
    return table


def _labels(
    problem: VRP, routes: Sequence[Sequence[int]], edges: IntArray, unit: float
) -> tuple[BoolArray, BoolArray, np.ndarray]:
    """Return what to learn from routes: consecutive ends, ends on one route, and the gain of removing a client."""
    kind, places = problem.vehicle_types[0], problem.travel.num_places
    owner = np.full(places, -1)
    hops, gain = set(), np.zeros(places, np.float32)
    for number, route in enumerate(routes):
        owner[list(route)] = number
        stops = np.array([kind.start, *route, kind.start if kind.end is None else kind.end])
        hops |= set((stops[:-1] * places + stops[1:]).tolist()) | set((stops[1:] * places + stops[:-1]).tolist())
        before, here, after = stops[:-2], stops[1:-1], stops[2:]
        saved = problem.travel.distance(before, here) + problem.travel.distance(here, after)
        gain[here] = (saved - problem.travel.distance(before, after)) / unit
    tails, heads = edges
    consecutive = np.isin(tails * places + heads, np.fromiter(hops, np.int64, len(hops)))
    return consecutive, (owner[tails] == owner[heads]) & (owner[tails] >= 0), gain


def join_route_graphs(graphs: Sequence[RouteGraph]) -> RouteGraph:
    """Put graphs side by side into a batch; labelled all or none.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> one = route_graph(VRP.from_coords([[0, 0], [0, 1], [1, 1]], demand=[1, 2], capacity=4))
    >>> join_route_graphs([one, one]).batch.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if not graphs:
        raise InputError("a batch needs at least one graph, found none")
    nodes = torch.tensor([graph.num_nodes for graph in graphs])
    first_node = (nodes.cumsum(0) - nodes).tolist()
    first_edge = np.cumsum([0] + [graph.num_edges for graph in graphs]).tolist()

    def joined(name: str) -> Tensor | None:
        parts = [getattr(graph, name) for graph in graphs]
        if any(part is None for part in parts):
            if all(part is None for part in parts):
                return None
            raise InputError(f"all graphs of a batch need `{name}`, or none")
        return torch.cat(parts)

    reverse = [g.reverse + s for g, s in zip(graphs, first_edge, strict=False) if g.reverse is not None]
    return RouteGraph(
        x=torch.cat([graph.x for graph in graphs]),
        edge_index=torch.cat([graph.edge_index + s for graph, s in zip(graphs, first_node, strict=True)], dim=1),
        edge_attr=joined("edge_attr"),
        node_type=joined("node_type"),
        edge_type=joined("edge_type"),
        batch=torch.repeat_interleave(torch.arange(len(graphs)), nodes),
        reverse=torch.cat(reverse),
        consecutive=joined("consecutive"),
        together=joined("together"),
        gain=joined("gain"),
    )
