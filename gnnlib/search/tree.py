"""The finished search tree as flat arrays: what was tried, how often, and what it was worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gnnlib.errors import InputError
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["SearchTree"]


@dataclass(frozen=True, eq=False)
class SearchTree(Result):
    """The whole tree of a search over B roots with A actions; N is the largest number of nodes of any root.

    Node 0 is the root and nodes are numbered in the order of their creation; slots of index
    ``>= num_nodes[b]`` are empty. Values are from the view of whoever acts at the node.

    Parameters
    ----------
    visits : int array [B, N]
        Simulations that went through the node, its own evaluation included.
    values : float array [B, N]
        Mean of the returns backed up to the node (Schrittwieser et al. 2020, appendix B, equation 4).
    raw_values : float array [B, N]
        What the evaluation said when the node was created.
    rewards, discounts : float array [B, N]
        Reward and discount of the step that leads into the node; 0 and 1 at the root.
    parents, actions : int array [B, N]
        The node above and the action that leads here from it; -1 at the root and in empty slots.
    terminal : bool array [B, N]
        Whether the search never goes below the node.
    children : int array [B, N, A]
        Node that each action leads to, -1 where the action was not tried.
    priors : float array [B, N, A]
        Prior probabilities, 0 for illegal actions; at the root with the noise mixed in.
    legal : bool array [B, N, A]
        Which actions are allowed.
    num_nodes : int array [B]
        Nodes of each root.
    embeddings : list of list, optional
        State that the caller's function returned for each node; not part of `to_dict`.

    Examples
    --------
    >>> import numpy as np
    >>> from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, puct_search
    >>> def pull(states, arms):  # a bandit with two arms: one step, then the end
    ...     n = len(arms)
    ...     payoff = np.array([0.25, 1.0])[arms]
    ...     return RecurrentOutput(payoff, np.zeros(n), np.zeros((n, 2)), np.zeros(n), states)
    >>> root = RootOutput(np.zeros((1, 2)), np.zeros(1), [None])
    >>> tree = puct_search(root, pull, config=MCTSConfig(num_simulations=16))
    >>> tree.best_actions.tolist(), tree.root_visits.tolist()
    ([1], [[2, 14]])
    >>> SearchTree.from_dict(tree.to_dict()).root_values.tolist() == tree.root_values.tolist()
    True
    """

    visits: IntArray
    values: FloatArray
    raw_values: FloatArray
    rewards: FloatArray
    discounts: FloatArray
    parents: IntArray
    actions: IntArray
    terminal: BoolArray
    children: IntArray
    priors: FloatArray
    legal: BoolArray
    num_nodes: IntArray
    embeddings: list[list[Any]] | None = field(default=None, repr=False, metadata={"export": False})

    @property
    def num_roots(self) -> int:
        """Number of roots B."""
        return int(self.children.shape[0])

    @property
    def num_actions(self) -> int:
        """Number of actions A."""
        return int(self.children.shape[2])

    @property
    def root_visits(self) -> IntArray:
        """Visits of each action of the roots, int array [B, A]."""
        return self.child_visits(0)

    @property
    def root_values(self) -> FloatArray:
        """Value of each action of the roots, float array [B, A]; NaN where an action was not tried."""
        return self.child_values(0)

    def child_visits(self, node: int) -> IntArray:
        """Visits of each child of `node` in every root, int array [B, A]; 0 where there is none."""
        child = self.children[:, node]
        return np.where(child >= 0, np.take_along_axis(self.visits, child, axis=1), 0)

    def child_values(self, node: int) -> FloatArray:
        """Return ``reward + discount * value`` of each child of `node`, float array [B, A]; NaN where there is none."""
        child = self.children[:, node]
        reward, discount, value = (
            np.take_along_axis(array, child, axis=1) for array in (self.rewards, self.discounts, self.values)
        )
        return np.where(child >= 0, reward + discount * value, np.nan)

    @property
    def best_actions(self) -> IntArray:
        """The most visited action of each root, int array [B]; ties go to the larger prior, then the lower index.

        Without any simulation it is the greedy choice of the prior.
        """
        visits = self.root_visits
        tied = visits == visits.max(axis=1, keepdims=True)
        return np.argmax(np.where(tied & self.legal[:, 0], self.priors[:, 0], -1.0), axis=1)

    def action_weights(self, temperature: float = 1.0) -> FloatArray:
        """Return the policy that the search arrived at.

        Parameters
        ----------
        temperature : float >= 0, default 1
            Weights are proportional to ``visits ** (1 / temperature)`` (Silver et al. 2017, Methods, "Play"); 0 puts
            all weight on `best_actions`. A root without simulations keeps its prior in place of the visits.

        Returns
        -------
        float array [B, A]
            Rows sum to one; illegal actions have weight 0.

        Raises
        ------
        InputError
            If `temperature` is negative or not finite.
        """
        if not math.isfinite(temperature) or temperature < 0:
            raise InputError(f"`temperature` must be a finite number >= 0, found {temperature!r}")
        if temperature == 0:
            return np.eye(self.num_actions)[self.best_actions]
        visits = self.root_visits
        weight = np.where(visits.any(axis=1, keepdims=True), visits, self.priors[:, 0])
        with np.errstate(divide="ignore"):
            power = np.log(weight) / temperature
        power = np.exp(power - power.max(axis=1, keepdims=True))
        return power / power.sum(axis=1, keepdims=True)

    def principal_variation(self, root: int = 0) -> list[int]:
        """Return the actions along the most visited children, from the root down.

        Parameters
        ----------
        root : int, default 0
            Which of the B roots.

        Returns
        -------
        list of int
            Empty when no simulation was run; ties go to the larger prior, then the lower index.
        """
        actions: list[int] = []
        node = 0
        while True:
            child = self.children[root, node]
            if not (child >= 0).any():
                return actions
            visits = np.where(child >= 0, self.visits[root, child], 0)
            action = int(np.argmax(np.where(visits == visits.max(), self.priors[root, node], -1.0)))
            if child[action] < 0:
                return actions
            actions.append(action)
            node = int(child[action])

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the tree that `to_dict` (or the JSON made of it) describes; embeddings are not stored.

        Raises
        ------
        InputError
            If a field is missing or has the wrong number of dimensions.
        """
        arrays: dict[str, Any] = {}
        for entry in fields(cls):
            if not entry.metadata.get("export", True):
                continue
            if entry.name not in data:
                raise InputError(f"a stored search tree must hold {entry.name!r}, found {sorted(data)}")
            dtype, rank = _LAYOUT[str(entry.type)], _RANK.get(entry.name, 2)
            array: Any = np.asarray(data[entry.name], dtype=dtype)
            if array.ndim != rank:
                raise InputError(f"{entry.name!r} of a stored search tree must have {rank} axes, found {array.ndim}")
            arrays[entry.name] = array
        return cls(**arrays)

    def _rows(self) -> list[tuple[str, str]]:
        visits = self.root_visits.sum(axis=1)
        line = self.principal_variation(0)
        shown = " ".join(map(str, line[:12])) + (" ..." if len(line) > 12 else "")
        return [
            ("best action", _few(self.best_actions)),
            ("root value", _few(np.round(self.values[:, 0], 4))),
            ("simulations", _few(visits)),
            ("nodes", _few(self.num_nodes)),
            ("principal variation", shown or "(no simulation)"),
        ]


_LAYOUT: dict[str, type] = {"IntArray": np.int64, "FloatArray": np.float64, "BoolArray": np.bool_}
_RANK = {"children": 3, "priors": 3, "legal": 3, "num_nodes": 1}


def _few(array: IntArray | FloatArray) -> str:
    """Write the first entries of an array [B]."""
    return ", ".join(str(item) for item in array[:4].tolist()) + (", ..." if len(array) > 4 else "")
