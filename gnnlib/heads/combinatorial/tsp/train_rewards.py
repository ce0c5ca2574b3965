"""Tours found with perturbed scores, to learn from: what the policy gradient sees of the search.

The scores of the candidate edges are the means of a normal distribution. A sample of them does in the search what the
scores themselves would do: it chooses and orders the candidate edges, and ranks the edges of a greedy tour, which is
then brought to a local optimum by a Lin-Kernighan descent. The reward is minus the length of that tour.

One number a tour says little of which of a thousand scores was wrong. A score acts near its edge, so every city is an
instance of its own here: its action are the scores of its edges, its reward the length of the tour around it (over the
city and its candidates, each with half of its two edges). That leaves out what an edge does far away, in exchange for a
far smaller variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnnlib.heads.combinatorial.kernels.exchange import Candidates, drain_queue
from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour, pair_lengths
from gnnlib.heads.combinatorial.kernels.state import make_state, push_all
from gnnlib.heads.combinatorial.tsp.graph import TourGraph, join_tour_graphs, neighbour_graph
from gnnlib.heads.combinatorial.tsp.head import EdgeScores
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.priors import candidate_search, start_keys
from gnnlib.training import Rollouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.heads.combinatorial.tsp.labels import LabelledTour
    from gnnlib.typing import FloatArray

__all__ = [
    "RewardBatch",
    "RewardBatches",
    "Searched",
    "local_lengths",
    "prepare_rewards",
    "sample_tours",
    "search_gaps",
]

SAMPLES = 6
"""Tours of each instance whose mean is the baseline."""

SPREAD = 0.5
"""Standard deviation of the perturbed scores, in nats."""

_STARTS = 4
"""Greedy tours a validation instance is searched from."""


class Searched(NamedTuple):
    """An instance ready to be searched.

    Attributes
    ----------
    instance : SearchInstance
    graph : TourGraph
        In the numbering of the search.
    length : float
        Of the tour that is known.
    """

    instance: SearchInstance
    graph: TourGraph
    length: float


@dataclass
class RewardBatch:
    """Some instances and the graph of all of them."""

    graph: TourGraph
    parts: list[Searched]

    @property
    def num_graphs(self) -> int:
        """Number of instances."""
        return len(self.parts)

    def to(self, device: str | torch.device | None = None) -> RewardBatch:
        """Move the graph."""
        return RewardBatch(self.graph.to(device), self.parts)


class RewardBatches:
    """Instances for the policy gradient, in a new order every epoch.

    Parameters
    ----------
    parts : sequence of Searched
    batch_size : int >= 1
    seed : int, optional
        Of the order; without it the order stays.
    """

    def __init__(self, parts: Sequence[Searched], batch_size: int, seed: int | None = None) -> None:
        self.parts, self.batch_size, self.seed = parts, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.parts) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[RewardBatch]:
        """Yield the batches of one epoch."""
        order = np.arange(len(self.parts))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.parts))
        for first in range(0, len(order), self.batch_size):
            some = [self.parts[i] for i in order[first : first + self.batch_size].tolist()]
            yield RewardBatch(join_tour_graphs([one.graph for one in some]), some)


def prepare_rewards(tours: Sequence[LabelledTour]) -> list[Searched]:
    """Build neighbour lists and graphs, once for the whole training."""
    prepared = []
    for tour in tours:
        problem = tour.problem
        instance = SearchInstance.build(problem, SearchParams().num_neighbours)
        graph = neighbour_graph(instance.data, instance.neighbours, instance.lengths)
        prepared.append(Searched(instance, graph, problem.length(tour.order)))
    return prepared


def _find_tour(one: Searched, scores: FloatArray, noise: FloatArray | None) -> Int32Array:
    """Search from the greedy tour of some scores [N, K] to a local optimum; the same input gives the same tour."""
    instance, params = one.instance, SearchParams()
    edge = one.length / instance.size
    found = candidate_search(instance.neighbours, instance.lengths, scores, params.num_prior_candidates, edge)
    keys = start_keys(found.chances, found.lengths, edge)
    if noise is not None:
        keys = keys * noise[:, : keys.shape[1]]
    start = greedy_edge_tour(instance.data, found.cities, keys, instance.points)
    state = make_state(start, 0)
    push_all(state)
    lists = Candidates(found.cities, found.lengths, found.penalties)
    drain_queue(instance.data, lists, state, np.array(params.breadth, np.int64), 1e-9 * edge, 2**40)
    return state.tour


def local_lengths(one: Searched, tour: Int32Array) -> FloatArray:
    """Length of a tour around every city, in mean edges of the known tour: the mean over the city and its candidates.

    Parameters
    ----------
    one : Searched
    tour : int32 [N]

    Returns
    -------
    float array [N]
        Each city counts with half of its two edges; 1 in the mean for the known tour, up to how often a city is listed.
    """
    instance = one.instance
    after = np.roll(tour, -1)
    step = pair_lengths(instance.data, np.ascontiguousarray(tour), np.ascontiguousarray(after))
    own = np.empty(instance.size)
    own[tour] = 0.5 * (step + np.roll(step, 1))
    around = own + own[instance.neighbours].sum(axis=1)
    return around / (1 + instance.neighbours.shape[1]) * (instance.size / one.length)


def _tied_noise(graph: TourGraph, count: int, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers [E, count], the same for both directions of an edge."""
    noise = torch.randn(graph.num_edges, count, generator=generator)
    if graph.reverse is None:
        return noise
    own = torch.arange(graph.num_edges)
    return noise[torch.where(graph.reverse < 0, own, torch.minimum(own, graph.reverse))]


def sample_tours(model: GraphModel, batch: RewardBatch, generator: torch.Generator) -> Rollouts:
    """Search with perturbed scores a few times; every city is an instance, see the module.

    In evaluation mode the scores are not perturbed, so that the mean reward is what the model itself is worth; the two
    columns are then searches from two noisy greedy tours.
    """
    output = model(batch.graph)
    logit = output.logit if isinstance(output, EdgeScores) else output
    count = SAMPLES if model.training else 2
    rows = len(batch.parts[0].instance.neighbours[0])
    noise = SPREAD * _tied_noise(batch.graph, count, generator) if model.training else torch.zeros(len(logit), count)
    taken = logit.detach()[:, None] + noise
    chance = (-0.5 * ((taken - logit[:, None]) / SPREAD).square()).reshape(-1, rows, count).sum(dim=1)
    rewards, first = [], 0
    for one in batch.parts:
        size = one.instance.size * rows
        start = _noise(one, generator)
        columns = []
        for k in range(count):
            scores = taken[first : first + size, k].double().numpy().reshape(-1, rows)
            columns.append(-local_lengths(one, _find_tour(one, scores, start)))
            start = start if model.training else _noise(one, generator)
        rewards.append(np.stack(columns, axis=1))
        first += size
    return Rollouts(chance, torch.from_numpy(np.concatenate(rewards)).float())


def _noise(one: Searched, generator: torch.Generator) -> FloatArray:
    """Noise on the keys of a greedy tour, as that of the tours of a population."""
    shape = one.instance.neighbours.shape
    return 1.0 + SearchParams().start_noise * torch.rand(shape, generator=generator).double().numpy()


@torch.inference_mode()
def search_gaps(model: GraphModel, parts: Sequence[Searched], *, starts: int = _STARTS, seed: int = 0) -> FloatArray:
    """Gaps of the tours that a descent finds with a model's scores, in per cent of the known tour.

    Parameters
    ----------
    model : GraphModel
    parts : sequence of Searched [B]
    starts : int >= 1
        Noisy greedy tours that each instance is searched from; the same for every model.
    seed : int

    Returns
    -------
    float array [B, starts]
    """
    model.eval()
    gaps = np.empty((len(parts), starts))
    generator = torch.Generator().manual_seed(seed)
    for row, one in enumerate(parts):
        output = model(one.graph)
        logit = output.logit if isinstance(output, EdgeScores) else output
        scores = logit.double().numpy().reshape(one.instance.neighbours.shape)
        for column in range(starts):
            tour = _find_tour(one, scores, _noise(one, generator))
            gaps[row, column] = 100.0 * (float(tour_length(one.instance.data, tour)) / one.length - 1.0)
    return gaps
