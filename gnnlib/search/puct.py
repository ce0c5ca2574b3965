"""The growing trees of a PUCT search: selection, expansion and backup, vectorised over the roots.

Formulas and references stand in `gnnlib.search.mcts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.search.step import RecurrentOutput, as_legal, as_real, as_states, masked_softmax
from gnnlib.search.tree import SearchTree

if TYPE_CHECKING:
    from gnnlib.search.mcts import MCTSConfig
    from gnnlib.search.step import RecurrentFn, RootOutput
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["GrowingTree"]


class GrowingTree:
    """The growing arrays of B trees; their meaning is that of the fields of `SearchTree`."""

    def __init__(self, root: RootOutput, config: MCTSConfig, rng: np.random.Generator) -> None:
        self.config = config
        logits = as_real(root.prior_logits, "prior_logits of the root", (None, None), is_logit=True)
        num_roots, num_actions = logits.shape
        if num_roots == 0 or num_actions == 0:
            raise InputError(f"`prior_logits` of the root must have shape [B >= 1, A >= 1], found {logits.shape}")
        value = as_real(root.value, "value of the root", (num_roots,))
        legal = as_legal(root.legal, logits, "the root")
        stuck = np.flatnonzero(~legal.any(axis=1))
        if stuck.size:
            raise InputError(
                f"every root needs a legal action, but root {stuck[0]} has none; the episode is over there"
            )
        self.num_actions = num_actions
        self.embeddings = [[state] for state in as_states(root.embedding, num_roots, "the root")]
        self.num_nodes = np.ones(num_roots, np.int64)
        self.finished = np.zeros(num_roots, np.int64)
        self.lowest = np.full(num_roots, np.inf)
        self.highest = np.full(num_roots, -np.inf)
        self._allocate(num_roots, 16)
        self.legal[:, 0] = legal
        self.priors[:, 0] = _with_noise(masked_softmax(logits, legal), legal, config, rng)
        self.raw_values[:, 0] = self.values[:, 0] = value
        self.visits[:, 0] = 1
        self.evaluated[:, 0] = True

    def _allocate(self, num_roots: int, capacity: int) -> None:
        shape = (num_roots, capacity)
        self.visits = np.zeros(shape, np.int64)
        self.pending = np.zeros(shape, np.int64)
        self.values, self.raw_values, self.rewards = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.discounts = np.ones(shape)
        self.parents, self.actions = np.full(shape, -1), np.full(shape, -1)
        self.terminal, self.evaluated = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        self.children = np.full((*shape, self.num_actions), -1)
        self.priors = np.zeros((*shape, self.num_actions))
        self.legal = np.zeros((*shape, self.num_actions), np.bool_)

    def _grow(self) -> None:
        """Double the number of slots."""
        former = {name: array for name, array in vars(self).items() if name in _NODE_ARRAYS}
        num_roots, capacity = self.visits.shape
        self._allocate(num_roots, 2 * capacity)
        for name, array in former.items():
            getattr(self, name)[:, :capacity] = array

    def run_round(self, recurrent_fn: RecurrentFn, limit: float) -> None:
        """Run up to `batch_size` simulations of every root that has fewer than `limit`, with one evaluation."""
        started = self.finished.copy()
        walks: list[tuple[IntArray, IntArray, BoolArray]] = []
        new_roots: list[IntArray] = []
        new_nodes: list[IntArray] = []
        for _ in range(self.config.batch_size):
            roots = np.flatnonzero(started < limit)
            if not roots.size:
                break
            nodes, is_new = self._descend(roots)
            # a walk that ends at a leaf in flight would evaluate it twice: it is given up, its virtual loss stays
            counts = is_new | self.terminal[roots, nodes]
            self._mark(roots, nodes, 1)
            started[roots[counts]] += 1
            walks.append((roots, nodes, counts))
            new_roots.append(roots[is_new])
            new_nodes.append(nodes[is_new])
        leaves = np.concatenate(new_roots), np.concatenate(new_nodes)
        if leaves[0].size:
            self._evaluate(*leaves, recurrent_fn)
        for roots, nodes, counts in walks:
            self._mark(roots, nodes, -1)
            self._back_up(roots[counts], nodes[counts])
            self.finished[roots[counts]] += 1

    def _descend(self, roots: IntArray) -> tuple[IntArray, BoolArray]:
        """Walk down to a new node, a terminal one or one in flight; return the nodes and which of them are new."""
        nodes = np.zeros(len(roots), np.int64)
        is_new = np.zeros(len(roots), np.bool_)
        walking = np.arange(len(roots))
        while walking.size:
            at, node = roots[walking], nodes[walking]
            action = self._choose(at, node)
            child = self.children[at, node, action]
            fresh = child < 0
            if fresh.any():
                child[fresh] = self._add_nodes(at[fresh], node[fresh], action[fresh])
                is_new[walking[fresh]] = True
            nodes[walking] = child
            walking = walking[self.evaluated[at, child] & ~self.terminal[at, child]]
        return nodes, is_new

    def _choose(self, roots: IntArray, nodes: IntArray) -> IntArray:
        """Return the action of largest score at each node."""
        config = self.config
        children = self.children[roots, nodes]
        exists = children >= 0
        at = roots[:, None]
        visits = np.where(exists, self.visits[at, children], 0)
        value = self.rewards[at, children] + self.discounts[at, children] * self.values[at, children]
        untried = self.values[roots, nodes] if config.first_play == "parent" else np.zeros(len(roots))
        value = np.where(visits > 0, value, (untried - config.first_play_reduction)[:, None])
        if config.normalise_values:
            low, span = self.lowest[roots], self.highest[roots] - self.lowest[roots]
            known = span > 0
            scaled = (value - np.where(known, low, 0.0)[:, None]) / np.where(known, span, 1.0)[:, None]
            value = np.where(known[:, None], np.clip(scaled, 0.0, 1.0), 0.0)
        node_visits = self.visits[roots, nodes]
        if config.batch_size > 1:
            pending = np.where(exists, self.pending[at, children], 0)
            visits = visits + pending
            value = value - config.virtual_loss * pending / np.maximum(visits, 1)
            node_visits = node_visits + self.pending[roots, nodes]
        rate = config.c_init + np.log((node_visits + config.c_base + 1.0) / config.c_base)
        explore = (rate * np.sqrt(node_visits))[:, None] * self.priors[roots, nodes] / (1.0 + visits)
        return np.argmax(np.where(self.legal[roots, nodes], value + explore, -np.inf), axis=1)

    def _add_nodes(self, roots: IntArray, parents: IntArray, actions: IntArray) -> IntArray:
        """Take the next free slot of each of some distinct roots."""
        nodes = self.num_nodes[roots]
        if int(nodes.max()) >= self.visits.shape[1]:
            self._grow()
        self.num_nodes[roots] += 1
        self.parents[roots, nodes] = parents
        self.actions[roots, nodes] = actions
        self.children[roots, parents, actions] = nodes
        return nodes

    def _evaluate(self, roots: IntArray, nodes: IntArray, recurrent_fn: RecurrentFn) -> None:
        """Fill new nodes with what the caller's function says of them."""
        parents, actions = self.parents[roots, nodes], self.actions[roots, nodes]
        states = [self.embeddings[root][parent] for root, parent in zip(roots.tolist(), parents.tolist(), strict=True)]
        given = recurrent_fn(states, actions)
        if not isinstance(given, tuple) or len(given) not in (5, 6):
            raise InputError(f"`recurrent_fn` must return a RecurrentOutput, found {type(given).__name__}")
        answer = RecurrentOutput(*given)
        count, source = len(roots), "the answer of `recurrent_fn`"
        reward = as_real(answer.reward, f"reward in {source}", (count,))
        discount = as_real(answer.discount, f"discount in {source}", (count,))
        logits = as_real(answer.prior_logits, f"prior_logits in {source}", (count, self.num_actions), is_logit=True)
        value = as_real(answer.value, f"value in {source}", (count,))
        legal = as_legal(answer.legal, logits, source) & (discount != 0)[:, None]
        after = as_states(answer.embedding, count, source)
        self.rewards[roots, nodes] = reward
        self.discounts[roots, nodes] = discount
        self.raw_values[roots, nodes] = np.where(discount != 0, value, 0.0)
        self.priors[roots, nodes] = masked_softmax(logits, legal)
        self.legal[roots, nodes] = legal
        self.terminal[roots, nodes] = ~legal.any(axis=1)
        self.evaluated[roots, nodes] = True
        for root, state in zip(roots.tolist(), after, strict=True):  # the new nodes of one root come in their order
            self.embeddings[root].append(state)

    def _mark(self, roots: IntArray, nodes: IntArray, amount: int) -> None:
        """Add virtual visits along the way up from one node of each of some distinct roots."""
        if self.config.batch_size == 1:
            return
        while nodes.size:
            self.pending[roots, nodes] += amount
            nodes = self.parents[roots, nodes]
            roots, nodes = roots[nodes >= 0], nodes[nodes >= 0]

    def _back_up(self, roots: IntArray, nodes: IntArray) -> None:
        """Carry the raw values of one leaf of each of some distinct roots up to the root."""
        returns = self.raw_values[roots, nodes]
        while nodes.size:
            visits = self.visits[roots, nodes]
            value = (visits * self.values[roots, nodes] + returns) / (visits + 1)
            self.values[roots, nodes] = value
            self.visits[roots, nodes] = visits + 1
            inner = self.parents[roots, nodes] >= 0
            roots, nodes, returns, value = roots[inner], nodes[inner], returns[inner], value[inner]
            reward, discount = self.rewards[roots, nodes], self.discounts[roots, nodes]
            self.lowest[roots] = np.minimum(self.lowest[roots], reward + discount * value)
            self.highest[roots] = np.maximum(self.highest[roots], reward + discount * value)
            returns = reward + discount * returns
            nodes = self.parents[roots, nodes]

    def tree(self) -> SearchTree:
        """Return the arrays without their empty slots."""
        used = int(self.num_nodes.max())
        names = [name for name in _NODE_ARRAYS if name not in ("pending", "evaluated")]
        arrays = {name: getattr(self, name)[:, :used].copy() for name in names}
        return SearchTree(**arrays, num_nodes=self.num_nodes.copy(), embeddings=self.embeddings)


_NODE_ARRAYS = (
    "visits",
    "pending",
    "values",
    "raw_values",
    "rewards",
    "discounts",
    "parents",
    "actions",
    "terminal",
    "evaluated",
    "children",
    "priors",
    "legal",
)


def _with_noise(priors: FloatArray, legal: BoolArray, config: MCTSConfig, rng: np.random.Generator) -> FloatArray:
    """Mix Dirichlet noise over the legal actions into each row (Silver et al. 2017, Methods, "Self-play")."""
    if config.noise_fraction == 0:
        return priors
    noise = np.zeros_like(priors)
    for row, allowed in zip(noise, legal, strict=True):
        row[allowed] = rng.dirichlet(np.full(int(allowed.sum()), config.noise_alpha))
    return (1.0 - config.noise_fraction) * priors + config.noise_fraction * noise
