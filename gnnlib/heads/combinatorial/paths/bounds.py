"""Bounds of distances from landmark tables, and what the network is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["bound_features", "landmark_tables", "relax", "single_source_bounds"]


def landmark_tables(graph: WeightedGraph, landmarks: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the distances of every node to and from every landmark, two float arrays [N, K]."""
    from scipy.sparse.csgraph import dijkstra

    matrix = graph.to_sparse()
    back = np.ascontiguousarray(dijkstra(matrix, indices=landmarks).T)
    if not graph.is_directed:
        return back, back
    return np.ascontiguousarray(dijkstra(matrix.T.tocsr(), indices=landmarks).T), back


def relax(graph: WeightedGraph, high: FloatArray, rounds: int) -> FloatArray:
    """Lower upper bounds of the distances from a source by walking along arcs, all at once, some rounds.

    One round is one layer of message passing with the least as aggregation, or one sweep of Bellman and Ford's algorithm.

    Parameters
    ----------
    graph : WeightedGraph
    high : float array [N]
        0 at the source.
    rounds : int
    """
    entering = graph.reverse_arcs
    filled = np.flatnonzero(np.diff(entering.first))
    if not filled.size:
        return high
    high = high.copy()
    for _ in range(rounds):
        offers = np.minimum.reduceat(high[entering.head] + entering.weight, entering.first[filled])
        high[filled] = np.minimum(high[filled], offers)
    return high


def single_source_bounds(
    graph: WeightedGraph, source: int, tables: tuple[FloatArray, FloatArray], rounds: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what the landmarks know of the distances from `source` to all nodes.

    Parameters
    ----------
    graph : WeightedGraph
    source : int
    tables : two float arrays [N, K]
        Distances to and from the landmarks; infinity where there is no path.
    rounds : int
        Of `relax`.

    Returns
    -------
    each : float array [N, K]
        The lower bound of each landmark, at least 0; infinity proves that there is no path.
    low, high : float array [N]
        The best bounds; infinity of `high` where none is known.
    """
    to, back = tables
    with np.errstate(invalid="ignore"):
        each = np.maximum(to[source] - to, back - back[source])
        high = (to[source] + back).min(axis=1, initial=np.inf)
    each = np.where(np.isnan(each), 0.0, np.maximum(each, 0.0))
    high[source] = 0.0
    low = each.max(axis=1, initial=0.0)
    return each, low, np.maximum(relax(graph, high, rounds), low)


def bound_features(each: FloatArray, low: FloatArray, high: FloatArray, unit: float) -> npt.NDArray[np.float32]:
    """Describe the bounds of distances by numbers without a unit.

    Parameters
    ----------
    each : float array [Q, K]
        Lower bounds by landmark, finite.
    low, high : float array [Q]
        The best bounds, finite.
    unit : float
        Mean weight of an edge.

    Returns
    -------
    float32 array [Q, 7]
        How far apart the bounds are (two forms), how many mean edges the lower one is, the second and third best and
        the mean of the lower bounds in units of the best, and the number of landmarks. What grows with the graph is cut
        off where small graphs end.
    """
    top = -np.partition(-each, min(2, each.shape[1] - 1), axis=1)[:, :3] if each.shape[1] else np.zeros((len(low), 1))
    top = -np.sort(-np.pad(top, ((0, 0), (0, 3 - top.shape[1]))), axis=1)
    safe = low + 0.1 * unit
    return np.stack(
        [
            np.log((high - low) / safe + 1e-3),
            np.minimum(high / safe, 5.0),
            np.minimum(np.log(safe / unit), 2.5),
            top[:, 1] / safe,
            top[:, 2] / safe,
            (each.mean(axis=1) if each.shape[1] else np.zeros(len(low))) / safe,
            np.full(len(low), 0.25 * np.log1p(min(each.shape[1], 16))),
        ],
        axis=1,
    ).astype(np.float32)
