"""One protocol for problems in which a solution is built edge by edge or node by node.

A game holds B instances and plays them side by side on one device. Actions are numbered 0..A-1 in every instance, the
edges or the nodes of its graph; smaller instances are padded with actions that are never legal. What is legal is what
keeps the solution feasible, so that whatever chooses among legal actions ends with a valid answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["GraphGame", "Playout", "play"]

State = TypeVar("State")


class GraphGame(Protocol[State]):
    """What a game on graphs answers.

    Attributes
    ----------
    num_instances, num_actions : int
        B and A.
    """

    num_instances: int
    num_actions: int

    def start(self) -> State:
        """Return the state before the first move of every instance."""

    def legal(self, state: State) -> Tensor:
        """Return which actions keep the solution feasible, bool [B, A]; none where an instance is over."""

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Take one action in every instance.

        Parameters
        ----------
        state : State
            Left as it was.
        action : Tensor [B], int64
            Ignored where an instance is over.

        Returns
        -------
        state : State
        reward : Tensor [B]
            0 where an instance is over.
        """


class Playout(NamedTuple):
    """One game from start to end.

    Attributes
    ----------
    actions : Tensor [T, B]
        What was chosen; anything where an instance was over.
    rewards : Tensor [T, B]
        What it brought.
    legal : Tensor [T, B, A]
        What was allowed; nothing where an instance was over.
    """

    actions: Tensor
    rewards: Tensor
    legal: Tensor

    def log_prob(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability of each instance's choices under fixed `logits` [B, A], and the mean entropy.

        Both are [B], with the gradient of `logits`.
        """
        masked = logits.masked_fill(~self.legal, -torch.inf)
        alive = self.legal.any(-1)
        masked = torch.where(alive.unsqueeze(-1), masked, torch.zeros_like(masked))
        log_prob = masked.log_softmax(-1)
        chosen = log_prob.gather(-1, self.actions.unsqueeze(-1)).squeeze(-1)
        entropy = -(log_prob.exp() * log_prob.masked_fill(~self.legal, 0.0)).sum(-1)
        moves = alive.sum(0).clamp(min=1)
        return (chosen * alive).sum(0), (entropy * alive).sum(0) / moves


def play(
    game: GraphGame[State],
    choose: Callable[[State, Tensor], Tensor],
    *,
    state: State | None = None,
) -> Playout:
    """Play every instance to its end.

    Parameters
    ----------
    game : GraphGame
    choose : callable
        ``choose(state, legal) -> action [B]``: one legal action where there is any.
    state : State, optional
        Where to begin; the start by default.

    Examples
    --------
    The largest logit that is legal, on a triangle: the two edges of least weight when logits are minus the weights.

    >>> from gnnlib.heads.combinatorial.games.spanning import SpanningTreeGame
    >>> game = SpanningTreeGame(torch.tensor([[[0, 1], [1, 2], [0, 2]]]), torch.tensor([[1.0, 3.0, 2.0]]), 3)
    >>> played = play(game, lambda state, legal: (-game.weights).masked_fill(~legal, -torch.inf).argmax(-1))
    >>> played.actions.flatten().tolist(), played.rewards.sum().item()
    ([0, 2], -3.0)
    """
    now = game.start() if state is None else state
    actions, rewards, allowed = [], [], []
    while True:
        legal = game.legal(now)
        if not bool(legal.any()):
            break
        action = choose(now, legal)
        now, reward = game.step(now, action)
        actions.append(action)
        rewards.append(reward)
        allowed.append(legal)
    if not actions:
        empty = torch.zeros(0, game.num_instances)
        return Playout(empty.long(), empty, torch.zeros(0, game.num_instances, game.num_actions, dtype=torch.bool))
    return Playout(torch.stack(actions), torch.stack(rewards), torch.stack(allowed))
