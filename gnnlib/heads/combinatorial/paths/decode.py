"""From the network to answers: landmarks for exact A*, predicted distances, and the paths that predictions lead to."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.landmarks import as_sixteen_bits
from gnnlib.heads.combinatorial.mst.graph import edge_graph
from gnnlib.heads.combinatorial.paths.adapt import ROUNDS, KnownNodes, adapted_head
from gnnlib.heads.combinatorial.paths.baselines import Tables, find_path, find_path_both_ways
from gnnlib.heads.combinatorial.paths.bounds import bound_features, landmark_tables, single_source_bounds
from gnnlib.heads.combinatorial.paths.head import PathHead, PathOutput
from gnnlib.heads.combinatorial.paths.placing import place_landmarks
from gnnlib.heads.combinatorial.paths.result import DistancesResult, PathResult
from gnnlib.seeding import numpy_generator, spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Hashable

    from torch import Tensor

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["LANDMARKS", "WEIGHTS", "PathIndex", "load_guide", "node_states", "prepare_paths"]

WEIGHTS = "graphs-paths"
"""Name of the shipped weights."""

LANDMARKS = 32
"""Fewest landmarks by default; rounded to 16 bits their tables take the memory of 16 in single precision."""

TABLE_BYTES = 2**17
"""Small graphs get more landmarks by default, as many as fit in tables of this size: a road map of 224 nodes gets 146."""

TRIALS = 32
"""Paths that are searched from one end and from both, to see which expands fewer nodes of the graph."""

PROBES = 24
"""Further nodes whose tables serve the predictions, drawn at random."""


@functools.cache
def load_guide() -> GraphModel:
    """Return the shipped network."""
    from gnnlib.encoder import load

    return load(WEIGHTS)


def node_states(graph: WeightedGraph, model: GraphModel) -> Tensor:
    """Return what the head knows of each node, [N, H]."""
    if graph.is_directed:
        graph = graph.to_undirected()
    if not graph.num_edges:
        head = model.head
        width = head.node.out_features if isinstance(head, PathHead) else 1
        return torch.zeros(graph.num_nodes, width)
    with torch.inference_mode():
        output = model(edge_graph(graph)[0])
    if not isinstance(output, PathOutput):
        raise InputError(f"the model must have a PathHead, but returned {type(output).__name__}")
    return output.node


@dataclass(frozen=True, eq=False)
class PathIndex:
    """What is prepared once for a graph, for many paths: landmarks and their tables, the network's view of the nodes.

    Parameters
    ----------
    graph : WeightedGraph
    landmarks : int64 array [K]
    tables : Tables
        Rounded distances to and from the landmarks.
    known : KnownNodes
        Tables of landmarks and probes for the predictions; A* does not need them.
    head : PathHead
        The network's last layers, adapted to the graph unless that was switched off.
    states : Tensor [N, H]
    unit : float
        Mean weight of an edge.
    both_ways : bool
        Whether paths are searched from both ends, which expanded fewer nodes in trials on this graph.
    seconds : float
        What the preparation took.
    """

    graph: WeightedGraph = field(repr=False)
    landmarks: IntArray
    tables: Tables = field(repr=False)
    known: KnownNodes = field(repr=False)
    head: PathHead = field(repr=False)
    states: Tensor = field(repr=False)
    unit: float
    both_ways: bool
    seconds: float

    def fits(self, graph: WeightedGraph) -> bool:
        """Return whether the index was prepared for a graph with the same nodes, edges and weights."""
        own = self.graph
        return (
            own.num_nodes == graph.num_nodes
            and own.is_directed == graph.is_directed
            and own.names == graph.names
            and all(np.array_equal(getattr(own, name), getattr(graph, name)) for name in ("tails", "heads", "weights"))
        )

    @property
    def memory(self) -> int:
        """Bytes of the landmark tables."""
        return int(self.tables.to.nbytes + (self.tables.back.nbytes if self.graph.is_directed else 0))

    def path(self, source: Hashable, target: Hashable) -> PathResult:
        """Return a shortest path, found by A* with the landmarks' bounds, from one end or from both; it is exact.

        Raises
        ------
        InputError
            If a node is unknown.
        """
        start, end = self.graph.number_of(source, "source"), self.graph.number_of(target, "target")
        started = time.perf_counter()
        search = find_path_both_ways if self.both_ways else find_path
        found = search(self.graph, start, end, tables=self.tables)
        seconds = time.perf_counter() - started
        return PathResult(found.nodes, found.length, self.graph, source, target, "astar", found.expanded, True, seconds)  # noqa: FBT003

    def predict(self, source: int, *, backwards: bool = False) -> FloatArray:
        """Return the predicted distances from a node to all nodes, or with `backwards` from all nodes to it.

        Each lies between its bounds; infinity where no way is known.
        """
        graph, to, back = self.graph, self.known.to, self.known.back
        if backwards and graph.is_directed:
            graph, to, back = _reversed(graph), back, to
        each, low, high = single_source_bounds(graph, source, (to, back), ROUNDS)
        known = np.isfinite(high) & (low < high)
        distances = np.where(np.isfinite(high), low, np.inf)
        if known.any():
            rows = np.where(np.isfinite(each[known]), each[known], 0.0)
            features = torch.from_numpy(bound_features(rows, low[known], high[known], self.unit))
            ends = self.states[source : source + 1], self.states[torch.from_numpy(known)]
            scale = low[known] + self.unit
            limits = [torch.from_numpy((limit[known] / scale).astype(np.float32)) for limit in (low, high)]
            with torch.inference_mode():
                share = self.head.between(ends[0], ends[1], features, limits[0], limits[1]).double().numpy()
            distances[known] = np.clip(share * scale, low[known], high[known])
        distances[source] = 0.0
        return distances

    def distances(self, source: Hashable) -> DistancesResult:
        """Return the predicted distances from a node to all nodes.

        Raises
        ------
        InputError
            If the node is unknown.
        """
        start = self.graph.number_of(source, "source")
        started = time.perf_counter()
        predicted = self.predict(start)
        seconds = time.perf_counter() - started
        before = np.full(self.graph.num_nodes, -1, np.int64)
        return DistancesResult(predicted, before, self.graph, source, "learned", False, 0, seconds)  # noqa: FBT003

    def learned_path(self, source: Hashable, target: Hashable) -> PathResult:
        """Return the path found by best-first search along the predicted distances to the target; it may be too long.

        Raises
        ------
        InputError
            If a node is unknown.
        """
        start, end = self.graph.number_of(source, "source"), self.graph.number_of(target, "target")
        started = time.perf_counter()
        found = find_path(self.graph, start, end, guess=self.predict(end, backwards=True))
        seconds = time.perf_counter() - started
        # a search that finds nothing has looked everywhere
        proved = not np.isfinite(found.length)
        return PathResult(
            found.nodes, found.length, self.graph, source, target, "learned", found.expanded, proved, seconds
        )


def prepare_paths(
    graph: WeightedGraph,
    *,
    count: int | None = None,
    placement: str = "learned",
    model: GraphModel | None = None,
    adapt: bool = True,
    seed: int | None = 0,
) -> PathIndex:
    """Place landmarks and compute their tables.

    Parameters
    ----------
    graph : WeightedGraph, networkx graph, matrix, PyG ``Data`` or path
        Weights >= 0.
    count : int >= 1, optional
        Landmarks. By default 32, or as many as fit in 128 KiB where that is more (below 1024 nodes).
    placement : {"learned", "farthest", "random"}, default "learned"
        See `gnnlib.heads.combinatorial.paths.placing.place_landmarks`.
    model : GraphModel, optional
        The shipped one by default.
    adapt : bool, default True
        Whether the network's last layers learn the graph from the probes' distances, see
        `gnnlib.heads.combinatorial.paths.adapt`; a second or two.
    seed : int or None
        Of the probes, candidates and batches.

    Returns
    -------
    PathIndex

    Raises
    ------
    InputError
        If the graph has no nodes or a negative weight.
    """
    from gnnlib.heads.combinatorial.graph_inputs import as_weighted_graph

    record = as_weighted_graph(graph)
    if not record.num_nodes:
        raise InputError("the graph has no nodes")
    if record.weights.size and record.weights.min() < 0:
        raise InputError(f"landmarks need weights >= 0, found {record.weights.min():g}")
    started = time.perf_counter()
    guide = load_guide() if model is None else model
    if count is None:
        count = max(LANDMARKS, TABLE_BYTES // (4 * record.num_nodes))  # 2 bytes to and 2 bytes from each
    landmarks = place_landmarks(record, count, placement=placement, model=guide, seed=seed)
    for_probes, for_batches, for_trials = spawn_seeds(seed, 3)
    free = np.setdiff1d(np.arange(record.num_nodes), landmarks)
    probes = numpy_generator(for_probes).choice(free, min(PROBES, len(free)), replace=False)
    nodes = np.concatenate([landmarks, probes])
    known = KnownNodes(nodes, *landmark_tables(record, nodes))
    to, back, step = as_sixteen_bits(known.to[:, : len(landmarks)], known.back[:, : len(landmarks)])
    tables = Tables(to, back, step, np.arange(len(landmarks)))
    unit = (float(record.weights.mean()) if record.num_edges else 1.0) or 1.0
    states, head = node_states(record, guide), guide.head
    if not isinstance(head, PathHead):
        raise InputError(f"the model must have a PathHead, found {type(head).__name__}")
    if adapt and len(probes):
        head = adapted_head(head, record, states, known, len(probes), unit, seed=for_batches)
    both_ways = _is_quicker_both_ways(record, tables, numpy_generator(for_trials))
    return PathIndex(record, landmarks, tables, known, head, states, unit, both_ways, time.perf_counter() - started)


def _is_quicker_both_ways(graph: WeightedGraph, tables: Tables, rng: np.random.Generator) -> bool:
    """Whether searching from both ends expands fewer nodes between random pairs."""
    pairs = rng.integers(graph.num_nodes, size=(TRIALS, 2)).tolist()
    totals = [
        sum(search(graph, *pair, tables=tables).expanded for pair in pairs)
        for search in (find_path, find_path_both_ways)
    ]
    return totals[1] < totals[0]


def _reversed(graph: WeightedGraph) -> WeightedGraph:
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

    return WeightedGraph(graph.num_nodes, graph.heads, graph.tails, graph.weights, is_directed=True)
