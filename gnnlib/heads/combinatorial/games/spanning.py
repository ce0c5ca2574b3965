"""The game of the spanning tree: an action is an edge, the reward minus its weight."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gnnlib.errors import InputError

__all__ = ["SpanningTreeGame", "TreeState"]


class TreeState(NamedTuple):
    """Which tree each node belongs to, int64 [B, N], and the edges taken, bool [B, A]."""

    label: Tensor
    taken: Tensor


class SpanningTreeGame:
    """Join nodes until no edge joins two trees any more.

    With the rule "cut" one tree grows from the root, as in Prim's algorithm; where its component is complete, anything
    that joins two trees is legal. With the rule "forest" that is so from the start, as in Kruskal's algorithm. The mask
    is that of union-find, so every game ends with a spanning forest.

    Parameters
    ----------
    ends : Tensor [B, A, 2], int64
        End points of the edges; those of padding are equal.
    weights : Tensor [B, A]
    num_nodes : int
        Nodes N of the largest instance.
    rule : {"cut", "forest"}, default "cut"
    root : Tensor [B], int64, optional
        Where the tree grows from; node 0 by default.

    Raises
    ------
    InputError
        If shapes do not fit or the rule is unknown.
    """

    def __init__(
        self, ends: Tensor, weights: Tensor, num_nodes: int, *, rule: str = "cut", root: Tensor | None = None
    ) -> None:
        if ends.dim() != 3 or ends.shape[2] != 2 or ends.shape[:2] != weights.shape:
            raise InputError(
                f"`ends` must be [B, A, 2] and `weights` [B, A], found {list(ends.shape)} and {list(weights.shape)}"
            )
        if rule not in ("cut", "forest"):
            raise InputError(f"`rule` must be 'cut' or 'forest', found {rule!r}")
        self.num_instances, self.num_actions = weights.shape
        self.tails, self.heads = ends.unbind(-1)
        self.weights, self.num_nodes, self.rule = weights, num_nodes, rule
        self.root = torch.zeros(self.num_instances, dtype=torch.int64, device=ends.device) if root is None else root

    def start(self) -> TreeState:
        """Return the state in which every node is a tree of its own."""
        label = torch.arange(self.num_nodes, device=self.weights.device).repeat(self.num_instances, 1)
        return TreeState(label, torch.zeros_like(self.weights, dtype=torch.bool))

    def legal(self, state: TreeState) -> Tensor:
        """Return the edges that join two trees, under the rule "cut" that of the root if it can still grow."""
        one, other = state.label.gather(1, self.tails), state.label.gather(1, self.heads)
        joins = one != other
        if self.rule == "forest":
            return joins
        own = state.label.gather(1, self.root.unsqueeze(1))
        crosses = (one == own) ^ (other == own)
        return torch.where(crosses.any(1, keepdim=True), crosses, joins)

    def step(self, state: TreeState, action: Tensor) -> tuple[TreeState, Tensor]:
        """Take an edge in every instance."""
        at = action.unsqueeze(1)
        one = state.label.gather(1, self.tails.gather(1, at))
        other = state.label.gather(1, self.heads.gather(1, at))
        label = torch.where(state.label == other, one, state.label)
        fresh = (one != other) & ~state.taken.gather(1, at)
        taken = state.taken.scatter(1, at, state.taken.gather(1, at) | fresh)
        reward = -(self.weights.gather(1, at) * fresh).squeeze(1)
        return TreeState(label, taken), reward
