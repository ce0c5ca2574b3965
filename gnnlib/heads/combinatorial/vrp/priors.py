"""Which clients a client may be inserted next to: the nearest, or those that the graph network thinks follow it.

The search reads neighbour lists from the front. A prior reorders them: its choice of `count` comes first, sorted by
distance as the search expects, and all others after it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["PRIORS", "arc_scores", "load_scores", "order_neighbours"]

Prior = Literal["gnn", "distance"]
PRIORS: tuple[Prior, ...] = ("gnn", "distance")

_WEIGHTS = "vrp-policy"


@functools.cache
def load_scores() -> GraphModel:
    """Return the shipped model, which is read once; the first call also imports torch."""
    from gnnlib.encoder import load

    return load(_WEIGHTS)


def arc_scores(problem: VRP, model: GraphModel | None = None) -> tuple[IntArray, FloatArray, FloatArray]:
    """Score the arcs of the problem's graph.

    Parameters
    ----------
    problem : VRP
    model : GraphModel, optional
        Default: the shipped weights.

    Returns
    -------
    arcs : int array [E, 2]
        Places.
    consecutive : float array [E]
        Probability that good routes visit the two one after the other.
    together : float array [E]
        Probability that one route holds both.
    """
    import torch

    from gnnlib.encoder import one_thread
    from gnnlib.heads.combinatorial.vrp.graph import route_graph
    from gnnlib.heads.combinatorial.vrp.head import RouteScores

    model = load_scores() if model is None else model
    graph = route_graph(problem)
    with torch.inference_mode(), one_thread():
        scores = model(graph)
    if not isinstance(scores, RouteScores):
        raise InputError(f"the model must score the arcs of a routing problem, found {type(scores).__name__}")
    consecutive, together = (part.sigmoid().double().numpy() for part in (scores.consecutive, scores.together))
    return graph.edge_index.numpy().T, consecutive, together


def order_neighbours(
    problem: VRP, near: IntArray, *, prior: Prior, count: int, model: GraphModel | None = None
) -> IntArray:
    """Bring the neighbours that a prior chooses to the front of the lists.

    Parameters
    ----------
    problem : VRP
    near : int array [n, K]
        Other clients of each client, nearest first, numbered from 0; -1 fills up.
    prior : {"gnn", "distance"}
        With "distance" the lists stay as they are.
    count : int >= 1
        Neighbours that the prior chooses.
    model : GraphModel, optional
        Default: the shipped weights.

    Returns
    -------
    int array [n, K]
        For each row of `near` the positions in their new order.
    """
    if prior not in PRIORS:
        raise InputError(f"`prior` must be one of {', '.join(PRIORS)}, found {prior!r}")
    if count < 1:
        raise InputError(f"`count` must be >= 1, found {count}")
    if prior == "distance" or not near.shape[1]:
        return np.broadcast_to(np.arange(near.shape[1]), near.shape).copy()
    arcs, consecutive, together = arc_scores(problem, model)
    n, first = problem.num_clients, problem.num_depots
    inner = (arcs >= first).all(axis=1)
    tails, heads = (arcs[inner] - first).T
    keys = heads * n + tails  # ascending, for the graph's edges are sorted by receiver and sender
    wanted = np.where(near >= 0, np.arange(n)[:, None] * n + near, -1)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    score = np.where(keys[at] == wanted, (consecutive + 0.1 * together)[inner][at], -1.0)
    rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")
    return np.argsort(rank >= count, axis=1, kind="stable")  # keeps the order by distance on both sides
