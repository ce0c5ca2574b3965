"""What a prior thinks of the candidate edges, in the caller's numbering: for pictures and for looking closer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.alpha import alpha_candidates
from gnnlib.heads.combinatorial.kernels.one_tree import one_tree_bound
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.priors import alpha_chances, edge_scores, score_chances
from gnnlib.heads.combinatorial.tsp.problem import as_tsp

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["HeatMap", "heat_map"]


class HeatMap(NamedTuple):
    """Candidate edges with scores.

    Attributes
    ----------
    neighbours : int array [N, K]
        Candidates of each city, nearest first.
    scores : float array [N, K]
        Between 0 and 1, higher for edges that the prior takes to be in a short tour.
    """

    neighbours: IntArray
    scores: FloatArray


def heat_map(x: Any, prior: Literal["gnn", "alpha", "softdist", "knn"] = "gnn", *, num_neighbours: int = 10) -> HeatMap:
    """Score the edges from each city to its nearest neighbours by a prior.

    Parameters
    ----------
    x : TSP, path, networkx graph, `gnnlib.data.Instance`, or array
        A symmetric problem of at least 5 cities; see `gnnlib.heads.combinatorial.tsp.problem.as_tsp`.
    prior : {"gnn", "alpha", "softdist", "knn"}
        "gnn": probability by the shipped edge scorer. "alpha": ``exp(-alpha / u)`` with u a tenth of the mean candidate
        length and alpha from a full ascent of the 1-tree bound. "softdist": softmax of the distance over the candidates
        of the city. "knn": measured frequency of the neighbour's rank.
    num_neighbours : int >= 1
        Candidates of each city; N - 1 when that is less.

    Returns
    -------
    HeatMap

    Raises
    ------
    InputError
        If the problem is too small or not symmetric, or the prior is unknown.
    WeightsError
        If the weights of "gnn" are missing.

    Examples
    --------
    >>> neighbours, scores = heat_map(np.random.default_rng(0).random((30, 2)), "softdist", num_neighbours=6)
    >>> neighbours.shape, bool(np.allclose(scores.sum(axis=1), 1.0))
    ((30, 6), True)
    """
    problem = as_tsp(x)
    if problem.num_cities < 5 or not problem.is_symmetric:
        raise InputError(
            f"a heat map needs a symmetric problem of at least 5 cities, found {problem.num_cities} cities"
            + ("" if problem.is_symmetric else ", asymmetric")
        )
    if num_neighbours < 1:
        raise InputError(f"`num_neighbours` must be >= 1, found {num_neighbours}")
    instance = SearchInstance.build(problem, num_neighbours)
    scores = _alpha_scores(instance) if prior == "alpha" else _learned_scores(instance, prior)
    neighbours = np.empty(instance.neighbours.shape, np.int64)
    neighbours[instance.cities] = instance.cities[instance.neighbours]
    ordered = np.empty_like(scores)
    ordered[instance.cities] = scores
    return HeatMap(neighbours, ordered)


def _learned_scores(instance: SearchInstance, prior: str) -> FloatArray:
    scores = edge_scores(instance.data, instance.neighbours, instance.lengths, prior)
    return score_chances(scores, prior)


def _alpha_scores(instance: SearchInstance) -> FloatArray:
    tour = greedy_edge_tour(instance.data, instance.neighbours, instance.lengths, instance.points)
    bound = one_tree_bound(instance.data, instance.neighbours, instance.radius, tour=tour)
    count = instance.neighbours.shape[1]
    cities, alpha = alpha_candidates(instance.data, bound, instance.neighbours, count)
    # back from the order of alpha to that of distance
    back = np.argsort(np.argsort(instance.neighbours, axis=1), axis=1)
    by_city = np.take_along_axis(alpha, np.argsort(cities, axis=1), axis=1)
    return alpha_chances(np.take_along_axis(by_city, back, axis=1), instance.lengths)
