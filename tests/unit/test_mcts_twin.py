"""The vectorised search against a plain-Python twin that keeps one object a node and handles one root."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, puct_search

NUM_ACTIONS = 4


class Arithmetic:
    """A made-up decision process whose every number follows from the state by integer arithmetic."""

    def __init__(self, discount=0.875, *, has_ends=True, has_mask=True):
        self.discount, self.has_ends, self.has_mask = discount, has_ends, has_mask

    def legal(self, state):
        return [not self.has_mask or (state * 7 + action * 3) % 5 != 0 for action in range(NUM_ACTIONS)]

    def logits(self, state):
        return [((state * 53 + action * 31) % 101) / 32 for action in range(NUM_ACTIONS)]

    def value(self, state):
        return ((state * 37) % 61 - 30) / 32

    def step(self, state, action):
        after = (state * NUM_ACTIONS + action + 1) % 9973
        discount = 0.0 if self.has_ends and after % 6 == 0 else self.discount
        return ((state * NUM_ACTIONS + action) * 29 % 53 - 26) / 64, discount, after

    def root(self, states):
        return RootOutput(
            [self.logits(s) for s in states],
            [self.value(s) for s in states],
            states,
            np.array([self.legal(s) for s in states]),
        )

    def recurrent(self, states, actions):
        steps = [self.step(state, int(action)) for state, action in zip(states, actions, strict=True)]
        reward, discount, after = zip(*steps, strict=True)
        return RecurrentOutput(
            reward,
            discount,
            [self.logits(s) for s in after],
            [self.value(s) for s in after],
            after,
            np.array([self.legal(s) for s in after]),
        )


class Node:
    def __init__(self, problem, state, parent=None, action=-1, reward=0.0, discount=1.0):
        self.state, self.parent, self.action, self.reward, self.discount = state, parent, action, reward, discount
        self.children: dict[int, Node] = {}
        self.visits = self.pending = 0
        self.is_evaluated = False
        self.is_end = discount == 0 or not any(problem.legal(state))
        self.raw = self.value = problem.value(state) if discount else 0.0
        self.raw_value = self.raw

    def q(self):
        return self.reward + self.discount * self.value


class Twin:
    def __init__(self, problem, state, config):
        self.problem, self.config = problem, config
        self.root = Node(problem, state)
        self.root.is_evaluated, self.root.visits = True, 1
        self.nodes = [self.root]
        self.priors: dict[int, list[float]] = {}
        self.range = (math.inf, -math.inf)
        finished = 0
        while finished < config.num_simulations:
            finished += self.round(config.num_simulations - finished)

    def prior(self, node):
        if node.state not in self.priors:
            self.priors[node.state] = self.softmax(node)
        return self.priors[node.state]

    def softmax(self, node):
        legal, logits = self.problem.legal(node.state), self.problem.logits(node.state)
        top = max(x for x, ok in zip(logits, legal, strict=True) if ok)
        weight = [math.exp(x - top) if ok else 0.0 for x, ok in zip(logits, legal, strict=True)]
        return [w / sum(weight) for w in weight]

    def scaled(self, value):
        if not self.config.normalise_values:
            return value
        low, high = self.range
        return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0

    def score(self, node, action, prior):
        child, config = node.children.get(action), self.config
        if child is not None and child.visits:
            value = child.q()
        else:
            value = (node.value if config.first_play == "parent" else 0.0) - config.first_play_reduction
        value, visits, total = self.scaled(value), child.visits if child else 0, node.visits + node.pending
        if child is not None:
            visits += child.pending
            value -= config.virtual_loss * child.pending / max(visits, 1)
        rate = config.c_init + math.log((total + config.c_base + 1) / config.c_base)
        return value + rate * math.sqrt(total) * prior[action] / (1 + visits)

    def descend(self):
        node = self.root
        while node.is_evaluated and not node.is_end:
            legal, prior = self.problem.legal(node.state), self.prior(node)
            allowed = [a for a in range(NUM_ACTIONS) if legal[a]]
            action = max(allowed, key=lambda a: (self.score(node, a, prior), -a))
            if action not in node.children:
                reward, discount, after = self.problem.step(node.state, action)
                node.children[action] = Node(self.problem, after, node, action, reward, discount)
                self.nodes.append(node.children[action])
                return node.children[action], True
            node = node.children[action]
        return node, False

    def round(self, left):
        walks = []
        counted = 0
        for _ in range(self.config.batch_size):
            if counted == left:
                break
            leaf, is_new = self.descend()
            counts = is_new or (leaf.is_end and leaf.is_evaluated)
            counted += counts
            walks.append((leaf, counts))
            self.mark(leaf, 1)
        for leaf, _ in walks:
            leaf.is_evaluated = True
        for leaf, counts in walks:
            self.mark(leaf, -1)
            if counts:
                self.back_up(leaf)
        return counted

    def mark(self, node, amount):
        while node is not None:
            node.pending += amount
            node = node.parent

    def back_up(self, node):
        outcome = node.raw
        while node is not None:
            node.value = (node.visits * node.value + outcome) / (node.visits + 1)
            node.visits += 1
            if node.parent is not None:
                self.range = min(self.range[0], node.q()), max(self.range[1], node.q())
            outcome = node.reward + node.discount * outcome
            node = node.parent

    def table(self):
        order = {id(node): index for index, node in enumerate(self.nodes)}
        return {
            "visits": [n.visits for n in self.nodes],
            "values": [n.value for n in self.nodes],
            "raw_values": [n.raw_value for n in self.nodes],
            "rewards": [n.reward for n in self.nodes],
            "discounts": [n.discount for n in self.nodes],
            "parents": [order[id(n.parent)] if n.parent else -1 for n in self.nodes],
            "actions": [n.action for n in self.nodes],
            "terminal": [n.is_end for n in self.nodes],
            "children": [
                [order[id(n.children[a])] if a in n.children else -1 for a in range(NUM_ACTIONS)] for n in self.nodes
            ],
        }


CONFIGS = {
    "plain": MCTSConfig(num_simulations=120),
    "batched": MCTSConfig(num_simulations=121, batch_size=5),
    "watching the unobserved": MCTSConfig(num_simulations=90, batch_size=8, virtual_loss=0.0),
    "first play zero": MCTSConfig(num_simulations=80, first_play="zero", first_play_reduction=0.25),
    "normalised": MCTSConfig(num_simulations=100, normalise_values=True),
    "normalised and batched": MCTSConfig(num_simulations=100, normalise_values=True, batch_size=3, virtual_loss=0.5),
    "exploring": MCTSConfig(num_simulations=150, c_init=4.0, c_base=10.0),
}


@pytest.mark.parametrize("discount", [0.875, 1.0, -1.0])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_node_of_the_tree_equals_the_plain_python_twin(name, discount):
    problem, config, states = Arithmetic(discount), CONFIGS[name], [1, 8, 29]
    tree = puct_search(problem.root(states), problem.recurrent, config=config)
    for row, state in enumerate(states):
        twin = Twin(problem, state, config).table()
        used = int(tree.num_nodes[row])
        assert used == len(twin["visits"])
        for field, expected in twin.items():
            assert np.array_equal(getattr(tree, field)[row, :used], np.array(expected)), (field, row)


def test_without_ends_and_masks_the_twin_agrees_too():
    problem = Arithmetic(0.5, has_ends=False, has_mask=False)
    tree = puct_search(problem.root([4]), problem.recurrent, config=MCTSConfig(num_simulations=200))
    twin = Twin(problem, 4, MCTSConfig(num_simulations=200)).table()
    assert json.dumps(tree.children[0].tolist()) == json.dumps(twin["children"])
    assert tree.num_nodes.tolist() == [201]
