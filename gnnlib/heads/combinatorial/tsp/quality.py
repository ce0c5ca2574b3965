"""How good scores of candidate edges are, measured against tours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graphs.build import knn_neighbours
from gnnlib.heads.combinatorial.tsp.metrics import average_precision, edge_recall_at_k, tour_edge_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gnnlib.heads.combinatorial.tsp.labels import LabelledTour
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["measure_scores", "rank_frequencies"]

_RECALL_AT = 5


def _edges(neighbours: IntArray) -> IntArray:
    """Candidate edges as [2, N * K], the city that keeps the list first."""
    n, k = neighbours.shape
    return np.stack([np.repeat(np.arange(n), k), neighbours.ravel()])


def measure_scores(
    tours: Sequence[LabelledTour],
    score: Callable[[LabelledTour, IntArray, FloatArray], FloatArray],
    *,
    num_neighbours: int = 10,
) -> dict[str, float]:
    """Compare scores with the edges of tours.

    Parameters
    ----------
    tours : sequence of LabelledTour
    score : callable (tour, neighbours [N, K], lengths [N, K]) -> float array [N, K]
        Higher for edges that are more likely in the tour.
    num_neighbours : int
        K.

    Returns
    -------
    dict of str to float
        "average_precision" over all directed candidate edges (tour edges that are no candidates count as missed),
        "recall_at_5" (share of the tour edges, from either end, among the city's five best), "mean_rank" of the tour
        edges in the lists of their cities (1 and 2 in a perfect list, so 1.5).
    """
    labels, scores, recalls, ranks = [], [], [], []
    missed = 0
    for tour in tours:
        neighbours, lengths = knn_neighbours(tour.coords, num_neighbours)
        edges = _edges(neighbours)
        values = np.asarray(score(tour, neighbours, lengths))
        if values.shape != neighbours.shape:
            raise InputError(f"`score` must return an array {list(neighbours.shape)}, found {list(values.shape)}")
        label = tour_edge_labels(tour.order, edges)
        labels.append(label)
        scores.append(values.ravel())
        missed += 2 * len(tour.order) - int(label.sum())
        recalls.append(edge_recall_at_k(tour.order, edges, values.ravel(), _RECALL_AT, symmetric=False))
        place = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1, kind="stable")
        ranks.append(1.0 + place.ravel()[label])
    return {
        "average_precision": average_precision(np.concatenate(labels), np.concatenate(scores), num_missed=missed),
        f"recall_at_{_RECALL_AT}": float(np.average(recalls, weights=[len(tour.order) for tour in tours])),
        "mean_rank": float(np.concatenate(ranks).mean()),
    }


def rank_frequencies(tours: Iterable[LabelledTour], num_neighbours: int = 10) -> FloatArray:
    """Share of cities whose k-th nearest neighbour is beside them in the tour, for k = 1 .. `num_neighbours`.

    Returns
    -------
    float array [num_neighbours]
        Sums up to nearly 2.
    """
    hits, cities = np.zeros(num_neighbours), 0
    for tour in tours:
        neighbours, _ = knn_neighbours(tour.coords, num_neighbours)
        label = tour_edge_labels(tour.order, _edges(neighbours)).reshape(neighbours.shape)
        hits[: neighbours.shape[1]] += label.sum(axis=0)
        cities += len(tour.order)
    return hits / max(cities, 1)
