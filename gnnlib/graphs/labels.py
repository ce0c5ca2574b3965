"""Exact answers of classical algorithms as labels: what any weighted graph can teach the encoder for free.

Cities, residues, lanes and data sets all become weighted graphs, and on every one of them a minimum spanning tree, a
Gabriel graph or a shortest-path tree is known to the last digit. `algorithmic_labels` computes them; all but the
betweenness of large graphs take seconds for 100,000 edges.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graphs.points import as_numpy
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.graphs.schema import GraphLike
    from gnnlib.seeding import Seed
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = ["LABELS", "AlgorithmicLabels", "algorithmic_labels"]

LABELS = (
    "spanning_tree",
    "relative_neighbour",
    "gabriel",
    "path_tree",
    "distance",
    "neighbour_rank",
    "betweenness",
    "articulation",
    "bridge",
    "one_tree_degree",
)
"""The names of all labels."""

EXACT_BETWEENNESS_UP_TO = 1000
"""Largest number of nodes for which betweenness is exact by default."""


@dataclass(frozen=True, eq=False)
class AlgorithmicLabels:
    """The labels of one graph; those not asked for are None. Both directions of an edge have equal labels, but ranks.

    Attributes
    ----------
    spanning_tree : bool array [E]
        Edge of a minimum spanning forest; of equal weights the one with the lower end points.
    relative_neighbour, gabriel : bool array [E]
        Edge whose lune, or whose ball, holds no other point; without points, no common neighbour by the weights.
    path_tree : bool array [E]
        Edge of the shortest-path tree from the root.
    distance : float array [N]
        Distance from the root, infinity where it cannot be reached.
    neighbour_rank : int64 array [E]
        Place of the sender among those that send to the receiver, 0 for the nearest; of equal ones the lower number.
    betweenness : float array [N]
        Share of the pairs of other nodes whose shortest path passes through, in [0, 1].
    betweenness_bucket : int64 array [N]
        Quantile of the betweenness, 0 for the least; equal values share a bucket.
    articulation : bool array [N]
        Node without which its component falls apart.
    bridge : bool array [E]
        Edge without which its component falls apart.
    one_tree_degree : int64 array [N]
        Degree in the minimum 1-tree: a minimum spanning forest of all nodes but the root, and the root's two cheapest
        edges (M. Held and R. M. Karp 1970).
    """

    spanning_tree: BoolArray | None = None
    relative_neighbour: BoolArray | None = None
    gabriel: BoolArray | None = None
    path_tree: BoolArray | None = None
    distance: FloatArray | None = None
    neighbour_rank: IntArray | None = None
    betweenness: FloatArray | None = None
    betweenness_bucket: IntArray | None = None
    articulation: BoolArray | None = None
    bridge: BoolArray | None = None
    one_tree_degree: IntArray | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the labels that were asked for as arrays by name, ready to be attached to a PyG ``Data``."""
        return {entry.name: array for entry in fields(self) if (array := getattr(self, entry.name)) is not None}


class _Pairs(NamedTuple):
    """The graph as undirected simple edges: ends (low < high), weights, for each arc its pair (-1 for a loop)."""

    num_nodes: int
    low: IntArray
    high: IntArray
    weight: FloatArray
    of_arc: IntArray

    def neighbours(self) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
        """Return first, head, weight and pair of the neighbours of each node, every edge at both ends."""
        tail, head = np.concatenate([self.low, self.high]), np.concatenate([self.high, self.low])
        pair = np.tile(np.arange(len(self.low)), 2)
        order = np.lexsort((head, tail))
        first = np.zeros(self.num_nodes + 1, np.int64)
        np.cumsum(np.bincount(tail, minlength=self.num_nodes), out=first[1:])
        return first, head[order], self.weight[pair[order]], pair[order]

    def spread(self, flag: BoolArray) -> BoolArray:
        """Return for each arc what `flag` says of its pair; loops are False."""
        return np.append(flag, False)[self.of_arc]


def algorithmic_labels(
    graph: GraphLike,
    *,
    names: Sequence[str] = LABELS,
    weight: int | ArrayLike = 0,
    root: int = 0,
    points: ArrayLike | None = None,
    buckets: int = 8,
    pivots: int | None = None,
    seed: Seed = 0,
) -> AlgorithmicLabels:
    """Label the nodes and edges of a weighted graph by exact algorithms.

    The graph is read as undirected: of several edges between two nodes the lightest counts; loops count for nothing.

    Parameters
    ----------
    graph : GraphLike
        PyG's ``Data`` or `GraphTensors`; one graph.
    names : sequence of str, default `LABELS`
        Which labels to compute.
    weight : int or array-like [E], default 0
        Column of ``edge_attr`` with the weights, or the weights themselves. A graph without ``edge_attr`` weighs 1
        everywhere.
    root : int, default 0
        Marked node of the shortest-path tree, the distances and the 1-tree.
    points : array-like [N, D], optional
        Where the nodes lie, for the geometric neighbour graphs.
    buckets : int >= 1, default 8
        Quantiles of the betweenness.
    pivots : int >= 1, optional
        Sources from which the betweenness is estimated (U. Brandes and C. Pich 2007); by default all of them, and so
        exact, up to 1,000 nodes, and 128 above.
    seed : int or None, default 0
        Choice of the pivots.

    Returns
    -------
    AlgorithmicLabels
        Arrays in the order of the nodes and of ``edge_index``.

    Raises
    ------
    InputError
        If a name is unknown, a shape or the root does not fit, a weight is not finite, or is negative where distances
        are asked for.

    Notes
    -----
    The first call after installation compiles for a few seconds.

    Examples
    --------
    >>> from gnnlib.graphs import from_arrays
    >>> path = from_arrays([[0, 1, 1, 2, 0, 2], [1, 0, 2, 1, 2, 0]], edge_attr=[1.0, 1, 2, 2, 4, 4], num_nodes=3)
    >>> labels = algorithmic_labels(path)
    >>> labels.spanning_tree.tolist(), labels.distance.tolist()
    ([True, True, True, True, False, False], [0.0, 1.0, 3.0])
    """
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise InputError(f"`names` must be among {', '.join(LABELS)}; found {unknown[0]!r}")
    edges, weights, count = _read(graph, weight)
    if isinstance(root, bool) or not isinstance(root, (int, np.integer)) or not 0 <= root < max(count, 1):
        raise InputError(f"`root` must be a node in [0, {count}), found {root!r}")
    if buckets < 1 or (pivots is not None and pivots < 1):
        raise InputError(f"`buckets` and `pivots` must be >= 1, found {buckets} and {pivots}")
    pairs = _as_pairs(edges, weights, count)
    needs_distance = {"path_tree", "distance", "betweenness", "relative_neighbour", "gabriel"} & set(names)
    if needs_distance and pairs.weight.size and pairs.weight.min() < 0:
        raise InputError(f"{sorted(needs_distance)} need weights >= 0, found {pairs.weight.min():g}")
    places = None if points is None else _points(points, count)
    result: dict[str, Any] = {}
    if "spanning_tree" in names:
        result["spanning_tree"] = pairs.spread(_spanning_pairs(pairs))
    if {"relative_neighbour", "gabriel"} & set(names):
        relative, gabriel = _empty_by_weight(pairs) if places is None else _empty_by_place(pairs, places)
        result |= {"relative_neighbour": pairs.spread(relative), "gabriel": pairs.spread(gabriel)}
    if {"path_tree", "distance"} & set(names):
        distance, tree = _paths(pairs, int(root))
        result |= {"path_tree": pairs.spread(tree), "distance": distance}
    if "neighbour_rank" in names:
        result["neighbour_rank"] = _ranks(edges, weights, count)
    if "betweenness" in names:
        result["betweenness"] = _betweenness(pairs, pivots, seed)
        result["betweenness_bucket"] = _buckets(result["betweenness"], buckets)
    if {"articulation", "bridge"} & set(names):
        cuts, bridges = _cuts(pairs)
        result |= {"articulation": cuts, "bridge": pairs.spread(bridges)}
    if "one_tree_degree" in names:
        result["one_tree_degree"] = _one_tree_degree(pairs, int(root))
    wanted = {*names, *(["betweenness_bucket"] if "betweenness" in names else [])}
    return AlgorithmicLabels(**{name: array for name, array in result.items() if name in wanted})


def _read(graph: GraphLike, weight: int | ArrayLike) -> tuple[IntArray, FloatArray, int]:
    """Return edges [2, E], weights [E] and the number of nodes, checked."""
    from gnnlib.graphs.points import as_edge_index

    count = getattr(graph, "num_nodes", None)
    if not isinstance(count, int):
        raise InputError(f"the number of nodes is unknown: give the graph `x` or `num_nodes`, found {count!r}")
    edges = as_edge_index(graph.edge_index, count)
    attr = getattr(graph, "edge_attr", None)
    if isinstance(weight, (int, np.integer)):
        columns = np.zeros((edges.shape[1], 0)) if attr is None else as_numpy(attr)
        if columns.size == 0:
            return edges, np.ones(edges.shape[1]), count
        columns = columns[:, None] if columns.ndim == 1 else columns
        if not 0 <= weight < columns.shape[1]:
            raise InputError(f"`weight` must name one of the {columns.shape[1]} columns of `edge_attr`, found {weight}")
        values = columns[:, int(weight)].astype(np.float64)
    else:
        values = np.asarray(as_numpy(weight), dtype=np.float64)
    if values.shape != (edges.shape[1],):
        raise InputError(f"weights must be one for each of {edges.shape[1]} edges, found shape {list(values.shape)}")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(f"weights must be finite, found {values[bad[0]]} at edge {bad[0]}")
    return edges, values, count


def _points(points: ArrayLike, count: int) -> FloatArray:
    places = np.asarray(as_numpy(points), dtype=np.float64)
    if places.ndim != 2 or len(places) != count or not np.isfinite(places).all():
        raise InputError(f"`points` must be finite and of shape [{count}, D], found {list(places.shape)}")
    return places


def _as_pairs(edges: IntArray, weights: FloatArray, count: int) -> _Pairs:
    low, high = edges.min(axis=0), edges.max(axis=0)
    order = np.lexsort((weights, high, low))
    order = order[low[order] != high[order]]
    of_arc = np.full(edges.shape[1], -1, np.int64)
    if not order.size:
        empty = np.zeros(0, np.int64)
        return _Pairs(count, empty, empty, np.zeros(0), of_arc)
    key = low[order] * count + high[order]
    is_first = np.r_[True, key[1:] != key[:-1]]
    of_arc[order] = np.cumsum(is_first) - 1
    chosen = order[is_first]
    return _Pairs(count, low[chosen], high[chosen], weights[chosen], of_arc)


def _spanning_pairs(pairs: _Pairs) -> BoolArray:
    """Kruskal's algorithm on the ranks of the weights: scipy takes a weight of 0 for a missing edge."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    chosen = np.zeros(len(pairs.low), np.bool_)
    if not len(pairs.low):
        return chosen
    order = np.lexsort((pairs.high, pairs.low, pairs.weight))
    rank = np.empty(len(order))
    rank[order] = np.arange(1.0, len(order) + 1.0)
    matrix = csr_array((rank, (pairs.low, pairs.high)), shape=(pairs.num_nodes, pairs.num_nodes))
    chosen[order[minimum_spanning_tree(matrix).data.astype(np.int64) - 1]] = True
    return chosen


def _empty_by_weight(pairs: _Pairs) -> tuple[BoolArray, BoolArray]:
    from gnnlib.graphs.label_kernels import empty_triangles

    first, head, weight, _ = pairs.neighbours()
    return empty_triangles(first, head, weight, (pairs.low, pairs.high), pairs.weight)


def _empty_by_place(pairs: _Pairs, points: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Judge the ball over an edge by the points nearest to its middle, the lune by the points within reach of an end."""
    from scipy.spatial import cKDTree

    one, other = points[pairs.low], points[pairs.high]
    apart = np.linalg.norm(one - other, axis=1)
    relative, gabriel = np.zeros(len(apart), np.bool_), np.zeros(len(apart), np.bool_)
    if not len(apart):
        return relative, gabriel
    tree = cKDTree(points)
    radius = 0.5 * apart * (1.0 - 1e-12)
    nearest, _ = tree.query(0.5 * (one + other), k=1)
    gabriel = nearest >= radius
    # an empty lune holds the ball, so only edges of the Gabriel graph need to be looked at
    for p in np.flatnonzero(gabriel):
        near = np.array(tree.query_ball_point(one[p], apart[p]), dtype=np.int64)
        near = near[(near != pairs.low[p]) & (near != pairs.high[p])]
        reach = np.maximum(
            np.linalg.norm(points[near] - one[p], axis=1), np.linalg.norm(points[near] - other[p], axis=1)
        )
        relative[p] = not (reach < apart[p] * (1.0 - 1e-12)).any()
    return relative, gabriel


def _paths(pairs: _Pairs, root: int) -> tuple[FloatArray, BoolArray]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    tree = np.zeros(len(pairs.low), np.bool_)
    if pairs.num_nodes == 0:
        return np.zeros(0), tree
    first, head, weight, pair = pairs.neighbours()
    matrix: Any = csr_array((weight, head, first), shape=(pairs.num_nodes, pairs.num_nodes))
    distances, befores = dijkstra(matrix, indices=[root], return_predecessors=True)
    distance, before = distances[0], befores[0]
    tail = np.repeat(np.arange(pairs.num_nodes), np.diff(first))
    tree[pair[before[head] == tail]] = True
    return distance, tree


def _ranks(edges: IntArray, weights: FloatArray, count: int) -> IntArray:
    order = np.lexsort((edges[0], weights, edges[1]))
    first = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(edges[1], minlength=count), out=first[1:])
    rank = np.empty(edges.shape[1], np.int64)
    rank[order] = np.arange(edges.shape[1]) - first[edges[1][order]]
    return rank


def _betweenness(pairs: _Pairs, pivots: int | None, seed: Seed) -> FloatArray:
    from gnnlib.graphs.label_kernels import betweenness_from

    n = pairs.num_nodes
    if n < 3:
        return np.zeros(n)
    wanted = pivots if pivots is not None else (n if n <= EXACT_BETWEENNESS_UP_TO else 128)
    sources = np.arange(n)
    if wanted < n:
        sources = np.sort(numpy_generator(seed).choice(n, wanted, replace=False))
    first, head, weight, _ = pairs.neighbours()
    return betweenness_from(first, head, weight, sources) * (n / len(sources)) / ((n - 1) * (n - 2))


def _buckets(values: FloatArray, buckets: int) -> IntArray:
    """Return the quantile of each value by the number of smaller ones."""
    below = np.searchsorted(np.sort(values), values, side="left")
    return (below * buckets) // max(len(values), 1)


def _cuts(pairs: _Pairs) -> tuple[BoolArray, BoolArray]:
    from gnnlib.graphs.label_kernels import cut_nodes_and_bridges

    first, head, _, pair = pairs.neighbours()
    return cut_nodes_and_bridges(first, head, pair)


def _one_tree_degree(pairs: _Pairs, root: int) -> IntArray:
    at_root = (pairs.low == root) | (pairs.high == root)
    rest = _Pairs(pairs.num_nodes, pairs.low[~at_root], pairs.high[~at_root], pairs.weight[~at_root], pairs.of_arc)
    chosen = _spanning_pairs(rest)
    own = np.flatnonzero(at_root)
    own = own[np.lexsort((pairs.high[own], pairs.low[own], pairs.weight[own]))[:2]]
    ends = np.concatenate([rest.low[chosen], rest.high[chosen], pairs.low[own], pairs.high[own]])
    return np.bincount(ends, minlength=pairs.num_nodes)
