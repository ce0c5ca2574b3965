"""Priors: how likely each candidate edge is to belong to an optimal tour, before any search.

"gnn" is the trained edge scorer; "softdist" and "knn" know the distance only, and are what a learned prior has to beat
(Y. Xia et al. 2024, *Position: rethinking post-hoc search-based neural approaches for solving large-scale traveling
salesman problems*, ICML; X. Pan et al. 2025, *Beyond the heatmap*).
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from gnnlib.errors import InputError
from gnnlib.graphs.build import knn_neighbours
from gnnlib.heads.combinatorial.kernels.distance import DISTANCE_KINDS, DistanceData

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.tsp.problem import TSP
    from gnnlib.typing import FloatArray

__all__ = [
    "PRIORS",
    "ScoredCandidates",
    "alpha_chances",
    "candidate_search",
    "candidates_from_scores",
    "edge_scores",
    "load_prior",
    "score_chances",
    "scoring_seconds",
    "start_keys",
]

Int32Array = npt.NDArray[np.int32]

PRIORS = ("gnn", "softdist", "knn")
"""What `edge_scores` knows."""

_PROBE_CITIES = 500

_ALPHA_UNIT = 0.1  # of the mean candidate length: alpha at which an edge counts 1/e of one with alpha 0

_SURPRISE = 0.3
"""Weight of the network's doubt in the order of the alternatives, in mean edge lengths a nat."""

_LEAST_CHANCE = 1e-6

_START_LENGTH = 0.1
"""Weight of the length, in nats a mean edge, where a prior ranks the edges of greedy tours."""

WEIGHTS = "tsp"
"""Name of the shipped model behind "gnn"."""

TEMPERATURE = 0.2
"""Temperature of "softdist" in units of the mean neighbour distance of the instance: of 0.1, 0.15, 0.2, 0.25, 0.35, 0.5
and 0.7 the one with the highest average precision on the validation instances of the "small" preset (0.768)."""

RANK_FREQUENCY = (0.8558, 0.5351, 0.2788, 0.1388, 0.0741, 0.0416, 0.0257, 0.015, 0.0098, 0.0061)
"""Share of cities whose k-th nearest neighbour is beside them in the tour, k = 1 .. 10, over the 261,716 cities of the
training instances; ``python -m gnnlib.heads.combinatorial.tsp.train --preset small`` logs it before it trains."""


@functools.cache
def _model() -> GraphModel:
    from gnnlib.encoder import load

    return load(WEIGHTS)


def load_prior(prior: str | None) -> None:
    """Load and compile what a prior needs, so that a later `edge_scores` does not have to wait for it.

    Parameters
    ----------
    prior : str or None
        Anything but "gnn" needs nothing.

    Examples
    --------
    >>> load_prior("softdist")
    """
    if prior == "gnn":
        _warm_up_network()


@functools.cache
def _warm_up_network() -> float:
    """Run the network twice, the first time to compile it; return its seconds a candidate edge."""
    coords = np.zeros((_PROBE_CITIES, 3))
    coords[:, :2] = np.random.default_rng(0).random((_PROBE_CITIES, 2))
    data = DistanceData(DISTANCE_KINDS["EUCLIDEAN"], coords, np.zeros((1, 1)))
    near = knn_neighbours(coords, 10)
    _network_scores(data, *near)
    before = time.perf_counter()
    _network_scores(data, *near)
    return (time.perf_counter() - before) / near[0].size


def scoring_seconds(prior: str, num_edges: int) -> float:
    """Estimate how long `edge_scores` takes, from a small instance scored when the prior was loaded.

    Parameters
    ----------
    prior : {"gnn", "softdist", "knn"}
    num_edges : int
        Candidate edges N * K.

    Examples
    --------
    >>> scoring_seconds("knn", 1000)
    0.0
    """
    return _warm_up_network() * num_edges if prior == "gnn" else 0.0


def edge_scores(
    data: TSP | DistanceData, neighbours: npt.NDArray[np.integer], lengths: FloatArray, prior: str
) -> FloatArray:
    """Score candidate edges: higher means more likely in an optimal tour.

    Parameters
    ----------
    data : TSP or DistanceData
        Symmetric distances, cities numbered as in `neighbours`; only "gnn" reads it.
    neighbours : int array [N, K]
        Nearest neighbours of each city, nearest first.
    lengths : float array [N, K]
        Their distances.
    prior : {"gnn", "softdist", "knn"}
        "gnn": logarithm of the odds by the trained model, the same for both directions of an edge. "softdist": logarithm
        of the softmax of ``-distance / tau`` over the candidates of the city. "knn": logarithm of the measured frequency
        with which a neighbour of that rank is a tour neighbour.

    Returns
    -------
    float array [N, K]

    Raises
    ------
    InputError
        If the prior is unknown or the shapes do not fit.

    Examples
    --------
    >>> from gnnlib.graphs.build import knn_neighbours
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [3.0, 2.0]])
    >>> scores = edge_scores(TSP.from_coords(points), *knn_neighbours(points, 3), "softdist")
    >>> bool((np.diff(scores, axis=1) <= 0).all())
    True
    """
    if neighbours.ndim != 2 or neighbours.shape != lengths.shape:
        raise InputError(
            f"`neighbours` and `lengths` must have one shape [N, K], found {neighbours.shape} and {lengths.shape}"
        )
    if prior == "gnn":
        return _network_scores(data, neighbours, lengths)
    if prior == "softdist":
        return _softdist(lengths)
    if prior == "knn":
        return _rank_frequencies(lengths)
    raise InputError(f"`prior` must be one of {', '.join(PRIORS)}, found {prior!r}")


def _network_scores(data: TSP | DistanceData, neighbours: npt.NDArray[np.integer], lengths: FloatArray) -> FloatArray:
    import torch

    from gnnlib.encoder import one_thread
    from gnnlib.heads.combinatorial.tsp.graph import neighbour_graph
    from gnnlib.heads.combinatorial.tsp.head import edge_logits

    distances = data if isinstance(data, DistanceData) else data.distance_data()
    graph = neighbour_graph(distances, neighbours, lengths)
    with torch.inference_mode(), one_thread():
        return edge_logits(_model()(graph)).reshape(neighbours.shape)


def _softdist(lengths: FloatArray) -> FloatArray:
    mean = float(lengths.mean()) if lengths.size else 0.0
    energy = lengths / (TEMPERATURE * mean) if mean > 0.0 else np.zeros_like(lengths)
    energy = energy - energy.min(axis=1, keepdims=True, initial=np.inf)
    return -energy - np.log(np.exp(-energy).sum(axis=1, keepdims=True))


def _rank_frequencies(lengths: FloatArray) -> FloatArray:
    known = np.log(RANK_FREQUENCY)
    ranks = np.arange(lengths.shape[1])
    beyond = known[-1] - np.maximum(ranks - len(known) + 1, 0) * (known[-2] - known[-1])
    row = np.where(ranks < len(known), known[np.minimum(ranks, len(known) - 1)], beyond)
    return np.broadcast_to(row, lengths.shape).copy()


def score_chances(scores: FloatArray, prior: str) -> FloatArray:
    """Turn scores of `edge_scores` into numbers between 0 and 1.

    Parameters
    ----------
    scores : float array
    prior : {"gnn", "softdist", "knn"}
        Scores of "gnn" are logits, the others logarithms.

    Examples
    --------
    >>> score_chances(np.array([0.0]), "gnn").tolist()
    [0.5]
    """
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-scores)) if prior == "gnn" else np.exp(scores))


def alpha_chances(alpha: FloatArray, lengths: FloatArray) -> FloatArray:
    """Turn alpha-nearness into numbers between 0 and 1: ``exp(-alpha / u)`` with u a tenth of the mean length.

    Parameters
    ----------
    alpha, lengths : float array
        Alpha >= 0 and length of candidate edges.

    Examples
    --------
    >>> alpha_chances(np.array([0.0, 1.0]), np.array([10.0, 10.0])).round(3).tolist()
    [1.0, 0.368]
    """
    unit = max(_ALPHA_UNIT * float(np.abs(lengths).mean()), np.finfo(np.float64).tiny)
    return np.exp(-alpha / unit)


def candidates_from_scores(
    neighbours: npt.NDArray[np.integer],
    lengths: FloatArray,
    scores: FloatArray,
    count: int,
    *,
    keep_nearest: int = 0,
) -> tuple[Int32Array, FloatArray]:
    """Keep the best-scored candidates of each city, in the order in which a search should try them.

    Parameters
    ----------
    neighbours : int array [N, K]
        Nearest neighbours of each city, nearest first.
    lengths, scores : float array [N, K]
        Distance and score of each.
    count : int >= 1
        Candidates to keep; K when that is less.
    keep_nearest : int >= 0, default 0
        So many of the nearest neighbours are kept whatever their score, at most `count`.

    Returns
    -------
    candidates : int32 array [N, min(count, K)]
        Highest score first; of equal scores the nearer first.
    lengths : float array [N, min(count, K)]
        Their distances.

    Examples
    --------
    >>> near, apart = np.array([[4, 7, 9]]), np.array([[1.0, 2.0, 3.0]])
    >>> candidates_from_scores(near, apart, np.array([[0.1, 0.3, 0.2]]), 2)
    (array([[7, 9]], dtype=int32), array([[2., 3.]]))
    >>> candidates_from_scores(near, apart, np.array([[0.1, 0.3, 0.2]]), 2, keep_nearest=1)[0]
    array([[7, 4]], dtype=int32)
    """
    if not neighbours.shape == lengths.shape == scores.shape or neighbours.ndim != 2:
        raise InputError(
            "`neighbours`, `lengths` and `scores` must have one shape [N, K], "
            f"found {neighbours.shape}, {lengths.shape} and {scores.shape}"
        )
    if count < 1 or keep_nearest < 0:
        raise InputError(f"`count` must be >= 1 and `keep_nearest` >= 0, found {count} and {keep_nearest}")
    count = min(count, neighbours.shape[1])
    urgent = scores.astype(np.float64)  # a copy
    urgent[:, : min(keep_nearest, count)] = np.inf
    kept = np.sort(np.argsort(-urgent, axis=1, kind="stable")[:, :count], axis=1)
    ranking = np.take_along_axis(
        kept, np.argsort(-np.take_along_axis(scores, kept, axis=1), axis=1, kind="stable"), axis=1
    )
    candidates = np.take_along_axis(neighbours, ranking, axis=1).astype(np.int32)
    return candidates, np.take_along_axis(lengths, ranking, axis=1)


class ScoredCandidates(NamedTuple):
    """What a search makes of the scores of a prior.

    Attributes
    ----------
    cities : int32 [N, C]
        The best-scored candidates of each city, the best first.
    lengths : float [N, C]
        Their distances.
    penalties : float [N, C]
        What is held against each in the order of the alternatives, in units of length.
    chances : float [N, C]
        From `score_chances`.
    """

    cities: Int32Array
    lengths: FloatArray
    penalties: FloatArray
    chances: FloatArray


def candidate_search(
    neighbours: npt.NDArray[np.integer],
    lengths: FloatArray,
    scores: FloatArray,
    count: int,
    mean_edge: float,
    prior: str = "gnn",
) -> ScoredCandidates:
    """Turn the scores of a prior into what a search goes by.

    Parameters
    ----------
    neighbours : int array [N, K]
        Nearest neighbours of each city, nearest first.
    lengths, scores : float array [N, K]
        Distance and score of each.
    count : int >= 1
        Candidates to keep.
    mean_edge : float
        Mean length of the edges of a tour.
    prior : {"gnn", "softdist", "knn"}
        What made the scores. Those of "gnn" are penalties too: ``0.3 mean_edge`` times minus the logarithm of the
        probability.

    Examples
    --------
    >>> near, apart = np.array([[4, 7, 9]]), np.array([[1.0, 2.0, 3.0]])
    >>> candidate_search(near, apart, np.array([[0.1, 0.3, 0.2]]), 2, 1.0).cities
    array([[7, 9]], dtype=int32)
    """
    cities, apart = candidates_from_scores(neighbours, lengths, scores, count)
    columns = np.argmax(neighbours[:, :, None] == cities[:, None, :], axis=1)
    kept = np.take_along_axis(scores, columns, axis=1)
    doubt = np.logaddexp(0.0, -kept) if prior == "gnn" else np.zeros_like(kept)
    return ScoredCandidates(cities, apart, _SURPRISE * mean_edge * doubt, score_chances(kept, prior))


def start_keys(chances: FloatArray, lengths: FloatArray, mean_edge: float) -> FloatArray:
    """Rank edges for greedy tours, smallest first: minus the logarithm of the chance, and a little of the length.

    Parameters
    ----------
    chances, lengths : float array
        Chance and length of candidate edges.
    mean_edge : float
        Mean length of the edges of a tour.

    Examples
    --------
    >>> start_keys(np.array([1.0, 0.5]), np.array([2.0, 1.0]), 1.0).round(3).tolist()
    [0.2, 0.793]
    """
    nats = -np.log(np.maximum(chances, _LEAST_CHANCE))
    return np.asarray(nats + _START_LENGTH / max(mean_edge, np.finfo(np.float64).tiny) * lengths)
