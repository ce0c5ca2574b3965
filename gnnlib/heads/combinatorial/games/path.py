"""The game of the path: an action is the next node, the reward minus the weight of the step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gnnlib.errors import InputError

__all__ = ["PathGame", "PathState"]


class PathState(NamedTuple):
    """Where each path stands, int64 [B], and which nodes it has left behind, bool [B, N]."""

    at: Tensor
    left: Tensor


class PathGame:
    """Walk from a source to a target without visiting a node twice.

    A step is legal if the target can still be reached from where it leads without a visited node, so no walk ends
    elsewhere. Where the target cannot be reached at all, the game is over before it begins.

    Parameters
    ----------
    weights : Tensor [B, N, N]
        Weight of the arc from row to column; infinity where there is none.
    source, target : Tensor [B], int64

    Examples
    --------
    >>> inf = torch.inf
    >>> game = PathGame(torch.tensor([[[inf, 1.0, 5.0], [inf, inf, 1.0], [inf, inf, inf]]]), [0], [2])
    >>> state = game.start()
    >>> game.legal(state).tolist()
    [[False, True, True]]
    >>> state, reward = game.step(state, torch.tensor([2]))
    >>> reward.item(), bool(game.legal(state).any())
    (-5.0, False)
    """

    def __init__(self, weights: Tensor, source: Tensor | list[int], target: Tensor | list[int]) -> None:
        if weights.dim() != 3 or weights.shape[1] != weights.shape[2]:
            raise InputError(f"`weights` must be [B, N, N], found {list(weights.shape)}")
        self.num_instances, self.num_actions = weights.shape[:2]
        self.weights = weights
        self.joined = torch.isfinite(weights)
        self.source = torch.as_tensor(source, device=weights.device)
        self.target = torch.as_tensor(target, device=weights.device)

    def start(self) -> PathState:
        """Return the state at the sources."""
        return PathState(self.source, torch.zeros_like(self.joined[:, 0]))

    def legal(self, state: PathState) -> Tensor:
        """Return the unvisited neighbours from which the target can still be reached."""
        rows = torch.arange(self.num_instances, device=state.at.device)
        here = torch.zeros_like(state.left).scatter(1, state.at.unsqueeze(1), True)  # noqa: FBT003
        free = ~(state.left | here)
        good = torch.zeros_like(free).scatter(1, self.target.unsqueeze(1), True) & free  # noqa: FBT003
        while True:
            before = (self.joined & good.unsqueeze(1)).any(2) & free
            grown = good | before
            if bool((grown == good).all()):
                break
            good = grown
        over = (state.at == self.target).unsqueeze(1)
        return self.joined[rows, state.at] & good & ~over

    def step(self, state: PathState, action: Tensor) -> tuple[PathState, Tensor]:
        """Walk on to a node in every instance that is not over."""
        rows = torch.arange(self.num_instances, device=action.device)
        weight = self.weights[rows, state.at, action]
        moves = (state.at != self.target) & torch.isfinite(weight)
        left = state.left | (torch.zeros_like(state.left).scatter(1, state.at.unsqueeze(1), True) & moves.unsqueeze(1))  # noqa: FBT003
        reward = -torch.where(moves, weight, torch.zeros_like(weight))
        return PathState(torch.where(moves, action, state.at), left), reward
