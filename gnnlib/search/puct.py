"""The growing trees of a PUCT search: compiled selection and backup, evaluation by the caller's function.

Formulas and references stand in `gnnlib.search.mcts`. The trees of the B roots share nothing, so the kernels take one
root after the other; what is batched is the evaluation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.errors import InputError
from gnnlib.search.step import RecurrentOutput, as_legal, as_real, as_states, masked_softmax
from gnnlib.search.tree import SearchTree

if TYPE_CHECKING:
    from gnnlib.search.mcts import MCTSConfig
    from gnnlib.search.step import RecurrentFn, RootOutput
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["GrowingTree"]


class Nodes(NamedTuple):
    """The arrays of all trees; those not named here mean what the fields of `SearchTree` mean.

    Attributes
    ----------
    pending : int array [B, N]
        Walks through the node whose leaf waits for its evaluation.
    evaluated : bool array [B, N]
        Whether the node has been evaluated; false only for the leaves of the running round.
    """

    visits: IntArray
    pending: IntArray
    values: FloatArray
    raw_values: FloatArray
    rewards: FloatArray
    discounts: FloatArray
    parents: IntArray
    actions: IntArray
    terminal: BoolArray
    evaluated: BoolArray
    children: IntArray
    priors: FloatArray
    legal: BoolArray


class Roots(NamedTuple):
    """What is kept once a root: nodes in use, simulations finished, smallest and largest action value so far."""

    num_nodes: IntArray
    finished: IntArray
    lowest: FloatArray
    highest: FloatArray


class Rule(NamedTuple):
    """The numbers of `MCTSConfig` that the choice of an action needs."""

    c_init: float
    c_base: float
    is_parent_first: bool
    reduction: float
    virtual_loss: float
    is_normalised: bool


class Walks(NamedTuple):
    """The walks of one round, arrays [B * batch_size] of which a leading part is in use.

    Attributes
    ----------
    root, leaf : int array
        Where each walk began and ended.
    is_new : bool array
        Whether its leaf was created by it.
    counts : bool array
        Whether it is a simulation. A walk that ends at a leaf in flight would evaluate it twice: it is given up, only
        its virtual loss stays until the end of the round.
    """

    root: IntArray
    leaf: IntArray
    is_new: BoolArray
    counts: BoolArray


@nb.njit(cache=True)
def choose_action(nodes: Nodes, roots: Roots, rule: Rule, root: int, node: int) -> int:
    """Return the legal action of largest score, the lowest of equal ones."""
    total = nodes.visits[root, node] + nodes.pending[root, node]
    scale = (rule.c_init + math.log((total + rule.c_base + 1.0) / rule.c_base)) * math.sqrt(total)
    first_play = (nodes.values[root, node] if rule.is_parent_first else 0.0) - rule.reduction
    low, span = roots.lowest[root], roots.highest[root] - roots.lowest[root]
    best, best_score = -1, -np.inf
    for action in range(nodes.children.shape[2]):
        if not nodes.legal[root, node, action]:
            continue
        child = nodes.children[root, node, action]
        value, visits, pending = first_play, 0, 0
        if child >= 0:
            visits, pending = nodes.visits[root, child], nodes.pending[root, child]
            if visits > 0:
                value = nodes.rewards[root, child] + nodes.discounts[root, child] * nodes.values[root, child]
        if rule.is_normalised:
            value = min(max((value - low) / span, 0.0), 1.0) if span > 0.0 else 0.0
        visits += pending
        value -= rule.virtual_loss * pending / max(visits, 1)
        score = value + scale * nodes.priors[root, node, action] / (1.0 + visits)
        if score > best_score:
            best, best_score = action, score
    return best


@nb.njit(cache=True)
def start_walks(nodes: Nodes, roots: Roots, rule: Rule, walks: Walks, limit: float) -> int:
    """Walk up to `batch_size` times from every root with fewer than `limit` simulations; return how many walks."""
    num_roots = len(roots.finished)
    batch_size = len(walks.root) // num_roots
    count = 0
    for root in range(num_roots):
        left = limit - roots.finished[root]
        for _ in range(batch_size):
            if left <= 0:
                break
            node, is_new = 0, False
            while nodes.evaluated[root, node] and not nodes.terminal[root, node]:
                action = choose_action(nodes, roots, rule, root, node)
                child = nodes.children[root, node, action]
                if child < 0:
                    child, is_new = roots.num_nodes[root], True
                    roots.num_nodes[root] += 1
                    nodes.children[root, node, action] = child
                    nodes.parents[root, child] = node
                    nodes.actions[root, child] = action
                node = child
            walks.root[count], walks.leaf[count], walks.is_new[count] = root, node, is_new
            walks.counts[count] = is_new or nodes.terminal[root, node]
            left -= walks.counts[count]
            count += 1
            while node >= 0:
                nodes.pending[root, node] += 1
                node = nodes.parents[root, node]
    return count


@nb.njit(cache=True)
def finish_walks(nodes: Nodes, roots: Roots, walks: Walks, count: int) -> None:
    """Take the virtual loss back and carry the raw values of the leaves up to their roots."""
    for walk in range(count):
        root, node = walks.root[walk], walks.leaf[walk]
        outcome = nodes.raw_values[root, node]
        roots.finished[root] += walks.counts[walk]
        while node >= 0:
            nodes.pending[root, node] -= 1
            if walks.counts[walk]:
                visits = nodes.visits[root, node]
                nodes.values[root, node] = (visits * nodes.values[root, node] + outcome) / (visits + 1)
                nodes.visits[root, node] = visits + 1
                if node > 0:
                    reward, discount = nodes.rewards[root, node], nodes.discounts[root, node]
                    action_value = reward + discount * nodes.values[root, node]
                    roots.lowest[root] = min(roots.lowest[root], action_value)
                    roots.highest[root] = max(roots.highest[root], action_value)
                    outcome = reward + discount * outcome
            node = nodes.parents[root, node]


class GrowingTree:
    """The state of a search between two rounds; making one compiles the kernels."""

    def __init__(self, root: RootOutput, config: MCTSConfig, rng: np.random.Generator) -> None:
        logits = as_real(root.prior_logits, "prior_logits of the root", (None, None), is_logit=True)
        num_roots, num_actions = logits.shape
        if num_roots == 0 or num_actions == 0:
            raise InputError(f"`prior_logits` of the root must have shape [B >= 1, A >= 1], found {list(logits.shape)}")
        value = as_real(root.value, "value of the root", (num_roots,))
        legal = as_legal(root.legal, logits, "the root")
        stuck = np.flatnonzero(~legal.any(axis=1))
        if stuck.size:
            raise InputError(
                f"every root needs a legal action, but root {stuck[0]} has none; the episode is over there"
            )
        self.embeddings = [[state] for state in as_states(root.embedding, num_roots, "the root")]
        self.rule = Rule(
            float(config.c_init),
            float(config.c_base),
            config.first_play == "parent",
            float(config.first_play_reduction),
            float(config.virtual_loss),
            bool(config.normalise_values),
        )
        self.batch_size = int(config.batch_size)
        width = num_roots * self.batch_size
        self.walks = Walks(np.zeros(width, np.int64), np.zeros(width, np.int64), *np.zeros((2, width), np.bool_))
        self.roots = Roots(
            np.ones(num_roots, np.int64),
            np.zeros(num_roots, np.int64),
            np.full(num_roots, np.inf),
            np.full(num_roots, -np.inf),
        )
        self.nodes = _empty_nodes(num_roots, 16 + self.batch_size, num_actions)
        self.nodes.legal[:, 0] = legal
        self.nodes.priors[:, 0] = _with_noise(masked_softmax(logits, legal), legal, config, rng)
        self.nodes.raw_values[:, 0] = self.nodes.values[:, 0] = value
        self.nodes.visits[:, 0] = 1
        self.nodes.evaluated[:, 0] = True
        finish_walks(
            self.nodes, self.roots, self.walks, start_walks(self.nodes, self.roots, self.rule, self.walks, 0.0)
        )

    def run_round(self, recurrent_fn: RecurrentFn, limit: float) -> None:
        """Run up to `batch_size` simulations of every root that has fewer than `limit`, with one evaluation."""
        num_roots, capacity, num_actions = self.nodes.children.shape
        if int(self.roots.num_nodes.max()) + self.batch_size > capacity:
            former, self.nodes = self.nodes, _empty_nodes(num_roots, 2 * capacity, num_actions)
            for old, new in zip(former, self.nodes, strict=True):
                new[:, :capacity] = old
        count = start_walks(self.nodes, self.roots, self.rule, self.walks, float(limit))
        is_new = self.walks.is_new[:count]
        if is_new.any():
            self._evaluate(self.walks.root[:count][is_new], self.walks.leaf[:count][is_new], recurrent_fn)
        finish_walks(self.nodes, self.roots, self.walks, count)

    def _evaluate(self, roots: IntArray, leaves: IntArray, recurrent_fn: RecurrentFn) -> None:
        """Fill new nodes with what the caller's function says of them."""
        nodes, count, source = self.nodes, len(roots), "the answer of `recurrent_fn`"
        parents, actions = nodes.parents[roots, leaves], nodes.actions[roots, leaves]
        states = [self.embeddings[root][parent] for root, parent in zip(roots.tolist(), parents.tolist(), strict=True)]
        given = recurrent_fn(states, actions)
        if not isinstance(given, tuple) or len(given) not in (5, 6):
            raise InputError(f"`recurrent_fn` must return a RecurrentOutput, found {type(given).__name__}")
        answer = RecurrentOutput(*given)
        reward = as_real(answer.reward, f"reward in {source}", (count,))
        discount = as_real(answer.discount, f"discount in {source}", (count,))
        shape = (count, nodes.children.shape[2])
        logits = as_real(answer.prior_logits, f"prior_logits in {source}", shape, is_logit=True)
        value = as_real(answer.value, f"value in {source}", (count,))
        legal = as_legal(answer.legal, logits, source) & (discount != 0)[:, None]
        after = as_states(answer.embedding, count, source)
        nodes.rewards[roots, leaves] = reward
        nodes.discounts[roots, leaves] = discount
        nodes.raw_values[roots, leaves] = nodes.values[roots, leaves] = np.where(discount != 0, value, 0.0)
        nodes.priors[roots, leaves] = masked_softmax(logits, legal)
        nodes.legal[roots, leaves] = legal
        nodes.terminal[roots, leaves] = ~legal.any(axis=1)
        nodes.evaluated[roots, leaves] = True
        for root, state in zip(roots.tolist(), after, strict=True):  # the new nodes of one root come in their order
            self.embeddings[root].append(state)

    def tree(self) -> SearchTree:
        """Return the arrays without their empty slots."""
        used = int(self.roots.num_nodes.max())
        arrays = {name: array[:, :used].copy() for name, array in self.nodes._asdict().items()}
        del arrays["pending"], arrays["evaluated"]
        return SearchTree(**arrays, num_nodes=self.roots.num_nodes.copy(), embeddings=self.embeddings)


def _empty_nodes(num_roots: int, capacity: int, num_actions: int) -> Nodes:
    shape, wide = (num_roots, capacity), (num_roots, capacity, num_actions)
    return Nodes(
        visits=np.zeros(shape, np.int64),
        pending=np.zeros(shape, np.int64),
        values=np.zeros(shape),
        raw_values=np.zeros(shape),
        rewards=np.zeros(shape),
        discounts=np.ones(shape),
        parents=np.full(shape, -1, np.int64),
        actions=np.full(shape, -1, np.int64),
        terminal=np.zeros(shape, np.bool_),
        evaluated=np.zeros(shape, np.bool_),
        children=np.full(wide, -1, np.int64),
        priors=np.zeros(wide),
        legal=np.zeros(wide, np.bool_),
    )


def _with_noise(priors: FloatArray, legal: BoolArray, config: MCTSConfig, rng: np.random.Generator) -> FloatArray:
    """Mix Dirichlet noise over the legal actions into each row (Silver et al. 2017, Methods, "Self-play")."""
    if config.noise_fraction == 0:
        return priors
    noise = np.zeros_like(priors)
    for row, allowed in zip(noise, legal, strict=True):
        row[allowed] = rng.dirichlet(np.full(int(allowed.sum()), config.noise_alpha))
    return (1.0 - config.noise_fraction) * priors + config.noise_fraction * noise
