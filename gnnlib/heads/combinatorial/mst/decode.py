"""From scores to spanning trees: in the order of the scores, or move by move with a tree search."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.tree_states import crossing_edges, finish_tree
from gnnlib.heads.combinatorial.kernels.union_find import forest_of_order
from gnnlib.heads.combinatorial.mst.graph import EdgeGraph, edge_graph
from gnnlib.heads.combinatorial.mst.head import EdgePolicy
from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, puct_search
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.search import SearchTree
    from gnnlib.seeding import Seed
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["WEIGHTS", "GrowingTree", "TreeSearch", "greedy_tree", "load_policy", "score_edges", "searched_tree"]

WEIGHTS = "graphs-mst"
"""Name of the shipped weights."""

CANDIDATES = 8
"""Crossing edges that the search looks at in a state, the most wanted ones."""


@functools.cache
def load_policy() -> GraphModel:
    """Return the shipped policy."""
    from gnnlib.encoder import load

    return load(WEIGHTS)


class EdgeScores(NamedTuple):
    """What the policy says of one graph: its edges as arrays, the logit of each, the cost of each node."""

    built: EdgeGraph
    edges: IntArray
    logit: FloatArray
    node_cost: FloatArray

    @property
    def order(self) -> IntArray:
        """The edges by falling logit; of equal ones the first."""
        return np.argsort(-self.logit, kind="stable")


def score_edges(graph: WeightedGraph, *, model: GraphModel | None = None) -> EdgeScores:
    """Let the policy score the edges of an undirected graph.

    Parameters
    ----------
    graph : WeightedGraph
    model : GraphModel, optional
        The shipped one by default.
    """
    built, edges = edge_graph(graph)
    if not len(edges):
        return EdgeScores(built, edges, np.zeros(0), np.ones(graph.num_nodes))
    with torch.inference_mode():
        output = (load_policy() if model is None else model)(built)
    if not isinstance(output, EdgePolicy):
        raise InputError(f"the model must have a SpanningTreeHead, but returned {type(output).__name__}")
    return EdgeScores(built, edges, output.logit.double().numpy(), output.node_cost.double().numpy())


def greedy_tree(graph: WeightedGraph, *, model: GraphModel | None = None) -> IntArray:
    """Return the spanning forest of the greedy policy: edges by falling score, each unless it closes a cycle.

    Parameters
    ----------
    graph : WeightedGraph
        Undirected.
    model : GraphModel, optional
        The shipped one by default.

    Returns
    -------
    int64 array
        Edges of `graph`.
    """
    scores = score_edges(graph, model=model)
    ends = scores.built.part("ends").numpy()
    taken = forest_of_order(scores.order, ends[0], ends[1], np.arange(graph.num_nodes))
    return scores.edges[taken]


class GrowingTree(NamedTuple):
    """A state of the search: nodes inside, edges taken, what the policy would add (None until asked for)."""

    inside: BoolArray
    taken: tuple[int, ...]
    candidates: IntArray


Value = Callable[[GrowingTree], float]
"""Estimates the return from a state on, in units of the mean weight, at most 0."""


@dataclass
class TreeSearch:
    """Plays the game of one graph with PUCT, and remembers the lightest tree that any playout ended with.

    Parameters
    ----------
    scores : EdgeScores
    num_nodes : int
    simulations : int
        A move.
    candidates : int, default 8
        Most wanted crossing edges that are actions of a state.
    value : callable, optional
        ``value(state)``: estimate of the return from the state on. By default the policy plays the game to its end,
        which is quick, for its scores stand; the trained value head is `head_value`.
    seed : int, optional
        Of the noise at the root, with `noise`.
    noise : float, default 0
        Share of Dirichlet noise; for self-play.
    choose : {"visits", "value"}, default "visits"
        Play the most visited action, or the one whose reward and value of the next state are highest: the right one
        when values are exact.
    """

    scores: EdgeScores
    num_nodes: int
    simulations: int
    candidates: int = CANDIDATES
    value: Value | None = None
    seed: Seed = 0
    noise: float = 0.0
    choose: str = "visits"
    best: tuple[float, IntArray] = field(default_factory=lambda: (np.inf, np.zeros(0, np.int64)), init=False)
    visits: list[tuple[GrowingTree, FloatArray]] = field(default_factory=list, init=False)
    first_search: SearchTree | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        ends = self.scores.built.part("ends").numpy()
        self.tails, self.heads = np.ascontiguousarray(ends[0]), np.ascontiguousarray(ends[1])
        self.weights = self.scores.built.part("weight").double().numpy()
        self.order = self.scores.order

    def start(self, root: int = 0) -> GrowingTree:
        """Return the state with one node in the tree."""
        inside = np.zeros(self.num_nodes, np.bool_)
        inside[root] = True
        return self._state(inside, ())

    def _state(self, inside: BoolArray, taken: tuple[int, ...]) -> GrowingTree:
        found, size = crossing_edges(self.order, self.tails, self.heads, inside, self.candidates)
        return GrowingTree(inside, taken, found[:size])

    def add(self, state: GrowingTree, action: int) -> GrowingTree:
        """Return the state after the candidate number `action` is taken."""
        edge = int(state.candidates[action])
        inside = state.inside.copy()
        inside[self.tails[edge]] = inside[self.heads[edge]] = True
        return self._state(inside, (*state.taken, edge))

    def finish(self, state: GrowingTree) -> float:
        """Return minus the weight that the policy would still add, and remember the tree if it is the lightest."""
        taken = np.array([*state.taken, self.num_nodes], dtype=np.int64)
        rest, weight = finish_tree(self.order, self.tails, self.heads, self.weights, taken)
        total = weight + float(self.weights[taken[:-1]].sum())
        if total < self.best[0]:
            self.best = total, np.concatenate([taken[:-1], rest])
        return -weight

    def head_value(self, state: GrowingTree) -> float:
        """Return the estimate of the value head: minus the predicted costs of the nodes outside."""
        return -float(self.scores.node_cost[~state.inside].sum())

    def _logits(self, state: GrowingTree) -> FloatArray:
        row = np.full(self.candidates, -np.inf)
        row[: len(state.candidates)] = self.scores.logit[state.candidates]
        return row

    def _evaluate(self, state: GrowingTree) -> float:
        return self.finish(state) if self.value is None else self.value(state)

    def _step(self, states: list[GrowingTree], actions: IntArray) -> RecurrentOutput:
        reward = [-self.weights[s.candidates[a]] for s, a in zip(states, actions, strict=True)]
        after = [self.add(state, int(action)) for state, action in zip(states, actions, strict=True)]
        logits = np.stack([self._logits(state) for state in after])
        values = [self._evaluate(state) if len(state.candidates) else 0.0 for state in after]
        discount = [1.0 if len(state.candidates) else 0.0 for state in after]
        if self.value is None:
            for state, over in zip(after, discount, strict=True):
                if not over:
                    self.finish(state)
        legal = np.isfinite(logits)
        return RecurrentOutput(reward, discount, np.where(legal, logits, 0.0), values, after, legal)

    def search(self, state: GrowingTree, seed: int = 0) -> SearchTree:
        """Search from one state."""
        config = MCTSConfig(
            self.simulations, normalise_values=True, noise_fraction=self.noise, first_play_reduction=0.0
        )
        root = RootOutput(self._logits(state)[None], [self._evaluate(state)], [state])
        return puct_search(root, self._step, config=config, seed=seed)

    def play(self, root: int = 0) -> IntArray:
        """Play to the end by the most visited action; return the edges of the lightest tree that was met.

        The tree that the moves themselves lead to is among those met; without simulations there is no other.
        """
        state = self.start(root)
        self.finish(state)
        seeds = spawn_seeds(self.seed, max(self.num_nodes, 1)) if self.noise else [0] * self.num_nodes
        while len(state.candidates):
            action = 0
            if len(state.candidates) > 1 and self.simulations:
                tree = self.search(state, seeds[len(state.taken)])
                self.first_search = self.first_search or tree
                action = _best_by_value(tree) if self.choose == "value" else int(tree.best_actions[0])
                self.visits.append((state, tree.root_visits[0] / max(tree.root_visits[0].sum(), 1)))
            state = self.add(state, action)
        self.finish(state)
        self.played = np.array(state.taken, dtype=np.int64)
        return self.best[1]


def _best_by_value(tree: SearchTree) -> int:
    """Return the action whose own evaluation was best; values backed up are means that include what came to nothing."""
    child = tree.children[0, 0]
    value = tree.rewards[0, child] + tree.discounts[0, child] * tree.raw_values[0, child]
    return int(np.where(child >= 0, value, -np.inf).argmax())


def searched_tree(
    graph: WeightedGraph, *, simulations: int, seed: int | None = 0, model: GraphModel | None = None
) -> tuple[IntArray, SearchTree | None]:
    """Return the spanning forest that the tree search finds, and what it saw before its first move.

    Parameters
    ----------
    graph : WeightedGraph
        Undirected.
    simulations : int
        A move.
    seed : int or None
    model : GraphModel, optional
        The shipped one by default.
    """
    scores = score_edges(graph, model=model)
    if not len(scores.edges):
        return scores.edges, None
    game = TreeSearch(scores, graph.num_nodes, simulations, seed=seed)
    return scores.edges[game.play()], game.first_search
