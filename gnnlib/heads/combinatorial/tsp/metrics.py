"""How good tours and edge scores are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp import checks

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = [
    "average_precision",
    "edge_precision",
    "edge_recall",
    "edge_recall_at_k",
    "gap",
    "tour_edge_labels",
    "tour_edges",
]


def gap(length: ArrayLike, reference: ArrayLike) -> float:
    """Mean relative excess ``(length - reference) / reference``.

    Parameters
    ----------
    length : number or array
        Length of one tour or of several.
    reference : number or array of the same shape, > 0
        Best known lengths or lower bounds.

    Returns
    -------
    float
        0.01 means one per cent too long; negative when the tours beat the reference.

    Examples
    --------
    >>> gap(101.0, 100.0), gap([110.0, 100.0], [100.0, 100.0])
    (0.01, 0.05)
    """
    found, wanted = np.asarray(length, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if found.shape != wanted.shape or not found.size:
        raise InputError(f"`length` and `reference` must have one shape, found {found.shape} and {wanted.shape}")
    if not (wanted > 0.0).all():
        raise InputError(f"`reference` must be positive, found {wanted.min()}")
    return float(np.mean((found - wanted) / wanted))


def tour_edges(order: ArrayLike, *, directed: bool = False) -> IntArray:
    """Edges of a closed tour.

    Parameters
    ----------
    order : int array-like [N]
        Permutation of 0 .. N-1.
    directed : bool
        True: edge p goes from place p of the tour to the next. False: smaller city first, sorted.

    Returns
    -------
    int array [E, 2]
        E = N; 0 for one city, and 1 for two cities unless `directed`.

    Examples
    --------
    >>> tour_edges([2, 0, 3, 1]).tolist()
    [[0, 2], [0, 3], [1, 2], [1, 3]]
    """
    tour = checks.permutation(order, np.size(np.asarray(order)))
    if len(tour) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    edges = np.stack([tour, np.roll(tour, -1)], axis=1)
    return edges if directed else np.unique(np.sort(edges, axis=1), axis=0)


def _checked_edges(order: ArrayLike, edge_index: ArrayLike) -> tuple[IntArray, IntArray]:
    tour = checks.permutation(order, np.size(np.asarray(order)))
    edges = np.asarray(edge_index)
    if edges.ndim != 2 or edges.shape[0] != 2 or edges.dtype.kind not in "iu":
        raise InputError(f"`edge_index` must be an int array [2, E], found {edges.dtype} {list(edges.shape)}")
    bad = np.argwhere((edges < 0) | (edges >= len(tour)))
    if bad.size:
        found = edges[tuple(bad[0])]
        raise InputError(f"`edge_index` must hold cities 0 .. {len(tour) - 1}, found {found} at {bad[0].tolist()}")
    return tour, edges.astype(np.int64)


def _checked_scores(scores: ArrayLike, count: int) -> FloatArray:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (count,):
        raise InputError(f"`scores` must hold one number an edge, [{count}], found shape {list(values.shape)}")
    if np.isnan(values).any():
        raise InputError(f"`scores` must be numbers, found NaN at index {int(np.argmax(np.isnan(values)))}")
    return values


def tour_edge_labels(order: ArrayLike, edge_index: ArrayLike) -> BoolArray:
    """Whether each edge of a graph belongs to a tour, in either direction.

    Parameters
    ----------
    order : int array-like [N]
    edge_index : int array-like [2, E]

    Returns
    -------
    bool array [E]

    Examples
    --------
    >>> tour_edge_labels([0, 1, 2, 3], [[0, 1, 0], [1, 0, 2]]).tolist()
    [True, True, False]
    """
    tour, edges = _checked_edges(order, edge_index)
    n = len(tour)
    place = np.empty(n, dtype=np.int64)
    place[tour] = np.arange(n)
    step = (place[edges[0]] - place[edges[1]]) % n
    return (edges[0] != edges[1]) & ((step == 1) | (step == n - 1))


def edge_recall(order: ArrayLike, edge_index: ArrayLike) -> float:
    """Fraction of a tour's edges that a set of edges holds, in either direction.

    Parameters
    ----------
    order : int array-like [N], N >= 2
    edge_index : int array-like [2, E]

    Examples
    --------
    >>> edge_recall([0, 1, 2, 3], [[0, 1, 0], [1, 0, 2]])
    0.25
    """
    tour, edges = _checked_edges(order, edge_index)
    if len(tour) < 2:
        raise InputError("a recall needs a tour with edges, found one city")
    hits = np.sort(edges[:, tour_edge_labels(tour, edges)], axis=0)
    return len(np.unique(hits, axis=1).T) / len(tour_edges(tour))


def edge_recall_at_k(
    order: ArrayLike, edge_index: ArrayLike, scores: ArrayLike, k: int, *, symmetric: bool = True
) -> float:
    """Fraction of a tour's edges among the `k` best-scored edges of each city.

    Parameters
    ----------
    order : int array-like [N], N >= 2
    edge_index : int array-like [2, E]
        Edge e is a candidate of the city ``edge_index[0, e]``.
    scores : float array-like [E]
        Higher is better; of equal scores the first counts.
    k : int >= 1
    symmetric : bool
        True: an edge is found when either of its cities keeps it. False: each city must keep its own two tour
        neighbours, so that every edge counts once from either end.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> edges = [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    >>> edge_recall_at_k([0, 1, 2], edges, [0.9, 0.1, 0.8, 0.2, 0.6, 0.4], 1)
    0.6666666666666666
    >>> edge_recall_at_k([0, 1, 2], edges, [0.9, 0.1, 0.8, 0.2, 0.6, 0.4], 1, symmetric=False)
    0.5
    """
    tour, edges = _checked_edges(order, edge_index)
    values = _checked_scores(scores, edges.shape[1])
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"`k` must be an integer >= 1, found {k!r}")
    ranking = np.lexsort((-values, edges[0]))  # by city, then best first; stable
    cities = edges[0, ranking]
    first = np.searchsorted(cities, cities)
    kept = edges[:, ranking[np.arange(len(cities)) - first < k]]
    if symmetric:
        return edge_recall(tour, kept)
    if len(tour) < 2:
        raise InputError("a recall needs a tour with edges, found one city")
    hits = kept[:, tour_edge_labels(tour, kept)]
    return len(np.unique(hits, axis=1).T) / (2 * len(tour_edges(tour)))


def edge_precision(order: ArrayLike, edge_index: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> float:
    """Fraction of the edges with a score of at least `threshold` that belong to the tour; NaN when there are none.

    Parameters
    ----------
    order : int array-like [N]
    edge_index : int array-like [2, E]
    scores : float array-like [E]
    threshold : float

    Examples
    --------
    >>> edge_precision([0, 1, 2, 3], [[0, 1, 0], [1, 2, 2]], [0.9, 0.2, 0.5])
    0.5
    """
    labels = tour_edge_labels(order, edge_index)
    chosen = _checked_scores(scores, len(labels)) >= threshold
    return float(labels[chosen].mean()) if chosen.any() else float("nan")


def average_precision(labels: ArrayLike, scores: ArrayLike, *, num_missed: int = 0) -> float:
    """Area under the precision-recall curve as a sum of steps.

    ``sum_n (R_n - R_{n-1}) P_n`` over the distinct scores, from the highest down; edges of equal score enter together.

    Parameters
    ----------
    labels : bool array-like [E]
    scores : float array-like [E]
    num_missed : int >= 0
        Positives that have no score at all, such as tour edges outside of the candidate graph: never recalled.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InputError
        If there is no positive at all.

    References
    ----------
    .. [1] M. Zhu (2004), Recall, precision and average precision, University of Waterloo, section 2.

    Examples
    --------
    >>> average_precision([True, False, True], [0.9, 0.8, 0.7])
    0.8333333333333333
    """
    truth = np.asarray(labels)
    if truth.ndim != 1 or truth.dtype != np.bool_:
        raise InputError(f"`labels` must be a bool array [E], found {truth.dtype} {list(truth.shape)}")
    values = _checked_scores(scores, len(truth))
    positives = int(truth.sum()) + num_missed
    if num_missed < 0 or positives == 0:
        raise InputError(f"average precision needs a positive label, found none among {len(truth)} labels")
    if not len(truth):
        return 0.0
    ranking = np.argsort(-values, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(values[ranking])), len(values) - 1)
    found = np.cumsum(truth[ranking])[last_of_score]
    precision = found / (last_of_score + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / positives)
