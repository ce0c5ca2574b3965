"""Steps of constructions to learn from: along an expert's routes, and along the policy's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnnlib.heads.combinatorial.vrp.head import StepBatch, StepPolicy
from gnnlib.heads.combinatorial.vrp.policy import perceptrons, ways_of
from gnnlib.heads.combinatorial.vrp.policy_kernel import new_walk
from gnnlib.heads.combinatorial.vrp.policy_walk import expert_steps, record_roll_out
from gnnlib.training import Rollouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.vrp.labels import LabelledRoutes
    from gnnlib.heads.combinatorial.vrp.policy_kernel import Ways
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Encoded", "ImitationBatches", "SamplingBatches", "encode_labels", "sample_routes"]

_SAMPLES = 8
"""Constructions of each instance whose mean is the baseline."""


class Encoded(NamedTuple):
    """An instance as the steps need it, with the expert's routes.

    Attributes
    ----------
    ways : Ways
    neighbours : int array [M, 2]
        Place before and after each client.
    cost : float
        Of the expert's routes, in the unit of `ways`.
    """

    ways: Ways
    neighbours: IntArray
    cost: float


def encode_labels(labels: Sequence[LabelledRoutes], model: GraphModel) -> list[Encoded]:
    """Encode instances once; the model's scores are then fixed."""
    model.eval()
    encoded = []
    for one in labels:
        ways = ways_of(one.problem, model)
        encoded.append(_with_routes(ways, one.routes))
    return encoded


def _with_routes(ways: Ways, routes: Sequence[Sequence[int]]) -> Encoded:
    neighbours, cost = np.zeros((len(ways.load), 2), np.int64), 0.0
    for route in routes:
        stops = [0, *route, 0]
        cost += float(ways.dist[stops[:-1], stops[1:]].sum())
        neighbours[list(route), 0], neighbours[list(route), 1] = stops[:-2], stops[2:]
    return Encoded(ways, neighbours, cost)


class ImitationBatches:
    """Steps along the experts' routes, in an order of routes that the present policy prefers.

    Parameters
    ----------
    encoded : sequence of Encoded
    policy : StepPolicy
        Chooses which of the routes left comes next, so that it learns in states it will see.
    batch_size : int
        Instances in a batch.
    seed : int, optional
        Of the order of the instances; without it that stays.
    """

    def __init__(
        self, encoded: Sequence[Encoded], policy: StepPolicy, batch_size: int, seed: int | None = None
    ) -> None:
        self.encoded, self.policy, self.batch_size, self.seed = encoded, policy, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.encoded) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[StepBatch]:
        """Yield the batches of one epoch."""
        order = np.arange(len(self.encoded))
        rng = np.random.default_rng([self.seed or 0, epoch if self.seed is not None else 0])
        if self.seed is not None:
            rng.shuffle(order)
        for first in range(0, len(order), self.batch_size):
            net = perceptrons(self.policy)
            parts = []
            for number in order[first : first + self.batch_size].tolist():
                one = self.encoded[number]
                random = rng.integers(1, 2**62, size=1)
                parts.append(
                    (one.cost, expert_steps(one.ways, new_walk(one.ways), one.neighbours, net, random, one.cost))
                )
            yield _joined(parts)


def _joined(parts: list[tuple[float, tuple[FloatArray, ...]]]) -> StepBatch:
    """Put recorded steps behind each other."""
    steps = np.array([len(part[3]) for _, part in parts])
    first = np.cumsum(steps) - steps

    def column(number: int) -> Tensor:
        return torch.from_numpy(np.concatenate([part[number] for _, part in parts])).float()

    owner = np.concatenate([part[1] + start for (_, part), start in zip(parts, first.tolist(), strict=True)])
    return StepBatch(
        actions=column(0),
        step=torch.from_numpy(owner.astype(np.int64)),
        is_right=torch.from_numpy(np.concatenate([part[2] for _, part in parts])),
        states=column(3),
        costs=column(4),
        to_go=column(5),
        scale=torch.repeat_interleave(torch.tensor([cost for cost, _ in parts]), torch.from_numpy(steps)),
    )


class SamplingBatches:
    """Instances for the policy gradient, in a new order every epoch.

    Parameters
    ----------
    encoded : sequence of Encoded
    batch_size : int
    seed : int, optional
    """

    def __init__(self, encoded: Sequence[Encoded], batch_size: int, seed: int | None = None) -> None:
        self.encoded, self.batch_size, self.seed = encoded, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.encoded) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[list[Encoded]]:
        """Yield the batches of one epoch."""
        order = np.arange(len(self.encoded))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.encoded))
        for first in range(0, len(order), self.batch_size):
            yield [self.encoded[i] for i in order[first : first + self.batch_size].tolist()]


def sample_routes(model: StepPolicy, batch: Sequence[Encoded], generator: torch.Generator) -> Rollouts:
    """Construct routes for each instance a few times; the reward is minus the cost in per cent of the expert's."""
    net = perceptrons(model)
    seeds = torch.randint(1, 2**62, (len(batch), _SAMPLES), generator=generator).numpy()
    chances, rewards = [], []
    for one, row in zip(batch, seeds, strict=True):
        for seed in row:
            actions, owner, chosen, cost = record_roll_out(one.ways, net, 1.0, np.array([seed]))
            logit = model(torch.from_numpy(actions).float())
            chances.append(_log_chance(logit, torch.from_numpy(owner), torch.from_numpy(chosen)))
            rewards.append(-100.0 * cost / one.cost)
    shape = (len(batch), _SAMPLES)
    return Rollouts(torch.stack(chances).reshape(shape), torch.tensor(rewards, dtype=torch.float32).reshape(shape))


def _log_chance(logit: Tensor, owner: Tensor, chosen: Tensor) -> Tensor:
    """Log-probability of all chosen rows together."""
    steps = len(chosen)
    top = torch.full((steps,), -torch.inf).scatter_reduce(0, owner, logit.detach(), "amax")
    total = torch.zeros(steps).index_add(0, owner, torch.exp(logit - top[owner]))
    return (logit[chosen] - top - torch.log(total)).sum()
