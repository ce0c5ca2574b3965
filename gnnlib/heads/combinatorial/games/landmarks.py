"""The game of landmarks: an action is a node, the reward how much tighter the lower bounds of distances become."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gnnlib.errors import InputError

__all__ = ["LandmarkGame", "LandmarkState"]


class LandmarkState(NamedTuple):
    """What has been chosen and what it gives.

    Attributes
    ----------
    chosen : Tensor [B, N], bool
    bound : Tensor [B, N, N]
        Lower bound of every distance.
    near : Tensor [B, N]
        Distance to the nearest landmark; infinity before the first.
    placed : int
        Landmarks so far.
    """

    chosen: Tensor
    bound: Tensor
    near: Tensor
    placed: int


class LandmarkGame:
    """Choose K nodes as landmarks of an undirected graph.

    The reward of a step is by how much the mean over all pairs of ``bound / distance`` rises, so that a game's rewards
    add up to that mean, 1 at best.

    Parameters
    ----------
    distances : Tensor [B, N, N]
        Distances between the nodes; infinity between components and to padding.
    count : int >= 1
        Landmarks K, in smaller graphs as many as there are nodes.

    Examples
    --------
    >>> line = torch.tensor([[[0.0, 1, 2], [1, 0, 1], [2, 1, 0]]])
    >>> game = LandmarkGame(line, 1)
    >>> state, reward = game.step(game.start(), torch.tensor([0]))  # an end sees all pairs in a row
    >>> reward.item(), bool(game.legal(state).any())
    (1.0, False)
    """

    def __init__(self, distances: Tensor, count: int) -> None:
        if distances.dim() != 3 or distances.shape[1] != distances.shape[2]:
            raise InputError(f"`distances` must be [B, N, N], found {list(distances.shape)}")
        if count < 1:
            raise InputError(f"`count` must be >= 1, found {count}")
        self.num_instances, self.num_actions = distances.shape[:2]
        self.count = count
        self.counted = torch.isfinite(distances) & (distances > 0)
        self.distances = torch.where(torch.isfinite(distances), distances, torch.zeros_like(distances))
        self.exists = torch.isfinite(distances.diagonal(dim1=1, dim2=2))
        self.reachable = torch.isfinite(distances)

    def start(self) -> LandmarkState:
        """Return the state without landmarks."""
        chosen = torch.zeros_like(self.exists)
        near = torch.full(chosen.shape, torch.inf, device=chosen.device)
        return LandmarkState(chosen, torch.zeros_like(self.distances), near, 0)

    def legal(self, state: LandmarkState) -> Tensor:
        """Return the nodes not yet chosen, as long as landmarks are left."""
        return self.exists & ~state.chosen & (state.placed < self.count)

    def step(self, state: LandmarkState, action: Tensor) -> tuple[LandmarkState, Tensor]:
        """Make a node a landmark in every instance."""
        rows = torch.arange(self.num_instances, device=action.device)
        own = self.distances[rows, action]
        reached = self.reachable[rows, action]
        gap = (own.unsqueeze(2) - own.unsqueeze(1)).abs() * (reached.unsqueeze(2) & reached.unsqueeze(1))
        alive = (self.exists & ~state.chosen).any(1)
        bound = torch.where(alive.reshape(-1, 1, 1), torch.maximum(state.bound, gap), state.bound)
        reward = self._tightness(bound) - self._tightness(state.bound)
        chosen = state.chosen.scatter(1, action.unsqueeze(1), True)  # noqa: FBT003
        near = torch.minimum(state.near, torch.where(reached, own, torch.inf))
        return LandmarkState(chosen, bound, near, state.placed + 1), reward

    def _tightness(self, bound: Tensor) -> Tensor:
        share = torch.where(self.counted, bound / self.distances.clamp(min=1e-30), torch.zeros_like(bound))
        return share.sum((1, 2)) / self.counted.sum((1, 2)).clamp(min=1)
