"""Searching with the policy: a beam, and Monte Carlo tree search by PUCT."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.combinatorial.vrp.policy_kernel import (
    NUM_ACTION_FEATURES,
    Walk,
    list_actions,
    log_probabilities,
    new_walk,
    step,
    walk_value,
)
from gnnlib.heads.combinatorial.vrp.policy_rebuild import rebuild, replay
from gnnlib.heads.combinatorial.vrp.policy_walk import roll_out
from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, puct_search

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.policy import Policy
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["beam_search", "play_tree", "tree_search"]

_BRANCHES = 8
"""Likeliest actions of a step that a search looks at."""

_GLANCES = 4
"""Continuations that a beam takes a look at, for each that it keeps."""

_REBUILDS = 40
"""Parts that are sampled before the tree search, for each place."""


class _Node(NamedTuple):
    """A walk, how it came about, and its likeliest actions with their log-probabilities, best first."""

    walk: Walk
    path: tuple[int, ...]
    chance: float
    actions: IntArray
    chances: FloatArray


class _Steps:
    """Evaluates walks with one set of buffers."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        places = len(policy.ways.load)
        self.actions = np.empty(places, np.int64)
        self.features = np.empty((places, NUM_ACTION_FEATURES))
        self.chances = np.empty(places)

    def look(self, walk: Walk, path: tuple[int, ...], chance: float = 0.0) -> _Node:
        """List the likeliest actions of a walk; steps without a choice are taken at once."""
        ways, net = self.policy.ways, self.policy.net
        while True:
            count = list_actions(ways, walk, self.actions, self.features)
            if count != 1:
                break
            action = int(self.actions[0])
            step(ways, walk, action)
            path = (*path, action)
        if count == 0:
            return _Node(walk, path, chance, np.zeros(0, np.int64), np.zeros(0))
        log_probabilities(net, self.features, count, 1.0, self.chances)
        best = np.argsort(-self.chances[:count], kind="stable")[:_BRANCHES]
        return _Node(walk, path, chance, self.actions[best], self.chances[best])

    def take(self, node: _Node, branch: int) -> _Node:
        """Follow one of the actions of a node."""
        walk = _copy(node.walk)
        action = int(node.actions[branch])
        step(self.policy.ways, walk, action)
        return self.look(walk, (*node.path, action), node.chance + float(node.chances[branch]))

    def finish(self, node: _Node) -> tuple[float, list[int]]:
        """Complete a walk greedily; return the whole cost and path."""
        walk, rest = _copy(node.walk), np.empty(2 * len(self.policy.ways.load), np.int64)
        taken, _ = roll_out(self.policy.ways, walk, self.policy.net, 0.0, np.ones(1, np.int64), rest)
        return float(walk.real[3]) + 1e6 * int(walk.whole[3]), [*node.path, *rest[:taken].tolist()]


def _copy(walk: Walk) -> Walk:
    kept = walk.penalties.copy()
    return Walk(walk.visited.copy(), walk.kinship.copy(), kept, walk.whole.copy(), walk.real.copy())


def beam_search(policy: Policy, width: int) -> tuple[float, list[int]]:
    """Keep `width` partial walks; return the cheapest that arrives, or the greedy one if that is cheaper.

    Of the likeliest continuations, four times as many as the beam is wide, those stay whose cost so far and lower
    estimate of the cost to come are least together. Walks in the beam have made equally many choices; of two that have
    served the same clients and stand at the same place only the cheaper one stays.
    """
    steps = _Steps(policy)
    beam, done = [steps.look(new_walk(policy.ways), ())], [policy.greedy()]
    while beam:
        grown = [
            (node.chance + float(chance), number, branch)
            for number, node in enumerate(beam)
            for branch, chance in enumerate(node.chances)
        ]
        grown.sort(key=lambda item: -item[0])
        following = [steps.take(beam[number], branch) for _, number, branch in grown[: _GLANCES * width]]
        done += [steps.finish(node) for node in following if not len(node.actions)]
        beam = _cheapest([node for node in following if len(node.actions)], width)
    return min(done)


def _cheapest(nodes: list[_Node], width: int) -> list[_Node]:
    """Return the nodes that promise the cheapest answers, one for each state."""
    kept: dict[tuple[bytes, int], tuple[float, _Node]] = {}
    for node in nodes:
        state = node.walk.visited.tobytes(), int(node.walk.whole[0])
        whole = float(node.walk.real[3] + node.walk.real[4:].min())
        if state not in kept or whole < kept[state][0]:
            kept[state] = whole, node
    return [node for _, node in sorted(kept.values(), key=lambda item: item[0])[:width]]


class _Game:
    """What PUCT asks of the game: rewards are minus added cost, in shares of the greedy cost."""

    def __init__(self, policy: Policy, *, trust: float) -> None:
        self.policy, self.trust = policy, trust
        self.steps = _Steps(policy)
        self.best = policy.greedy()
        self.scale = max(self.best[0], 1e-9)

    def worth(self, node: _Node) -> float:
        """Return what a state is worth: the value head's word and the greedy completion's, mixed by `trust`.

        With full trust only states that promise to be better than the best answer so far are completed.
        """
        here = float(node.walk.real[3])
        guessed = float(walk_value(self.policy.ways, node.walk, self.policy.net))
        if len(node.actions) and self.trust == 1.0 and here + guessed >= self.best[0]:
            return -guessed / self.scale
        total, path = self.steps.finish(node)
        if total < self.best[0]:
            self.best = (total, path)
        played = total - here
        if not len(node.actions):
            return -played / self.scale
        return -((1.0 - self.trust) * played + self.trust * guessed) / self.scale

    def root(self, node: _Node) -> RootOutput:
        logits, legal = _padded([node])
        return RootOutput(logits, np.array([self.worth(node)]), [node], legal)

    def play(self, states: list[_Node], actions: IntArray) -> RecurrentOutput:
        """Step, evaluate and describe; the recurrent function of the search."""
        after = [self.steps.take(node, branch) for node, branch in zip(states, actions.tolist(), strict=True)]
        added = [b.walk.real[3] - a.walk.real[3] for a, b in zip(states, after, strict=True)]
        logits, legal = _padded(after)
        return RecurrentOutput(
            reward=-np.array(added) / self.scale,
            discount=np.array([float(len(node.actions) > 0) for node in after]),
            prior_logits=logits,
            value=np.array([self.worth(node) for node in after]),
            embedding=after,
            legal=legal,
        )


def _padded(nodes: list[_Node]) -> tuple[FloatArray, np.ndarray]:
    """Logits [n, branches] and which of them are actions."""
    logits, legal = np.zeros((len(nodes), _BRANCHES)), np.zeros((len(nodes), _BRANCHES), bool)
    for row, node in enumerate(nodes):
        logits[row, : len(node.chances)] = node.chances
        legal[row, : len(node.actions)] = True
    return logits, legal


def play_tree(policy: Policy, simulations: int, *, trust: float = 1.0, seed: Seed = 0) -> tuple[float, list[int]]:
    """Choose each step by a tree search, and return the best walk that any simulation completed.

    Parameters
    ----------
    policy : Policy
    simulations : int >= 1
        For each step that is a choice.
    trust : float in [0, 1]
        Weight of the value head against the greedy completion of a leaf.
    seed : int
    """
    game = _Game(policy, trust=trust)
    config = MCTSConfig(num_simulations=simulations, normalise_values=True, c_init=1.0)
    node = game.steps.look(new_walk(policy.ways), ())
    while len(node.actions):
        tree = puct_search(game.root(node), game.play, config=config, seed=seed)
        branch = int(tree.best_actions[0])
        if tuple(game.best[1][: len(node.path)]) == node.path:  # what is known to lead to the best answer so far
            wanted = np.flatnonzero(node.actions == game.best[1][len(node.path)])
            branch = int(wanted[0]) if len(wanted) else branch
        node = game.steps.take(node, branch)
    return min(game.best, game.steps.finish(node))


def tree_search(policy: Policy, simulations: int, *, seed: Seed = 0) -> tuple[float, list[int]]:
    """Play parts of a rebuilt construction again by `play_tree`, until none gets better; a tour is one part.

    Parameters
    ----------
    policy : Policy
    simulations : int >= 1
        For each step that is a choice.
    seed : int
    """
    start = policy.start()
    if 0 in start[1][:-1]:  # several routes
        start = rebuild(policy, start, _REBUILDS * len(policy.ways.load), seed=seed)
    return replay(policy, start, lambda part: play_tree(part, simulations, seed=seed), seed=seed)
