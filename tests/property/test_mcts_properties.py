"""What every search tree satisfies, whatever the problem and the settings."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, puct_search


class RandomGame:
    """A decision process whose numbers are hashed from the state; rewards only at the ends, all values in [-1, 1]."""

    def __init__(self, key, num_actions, discount):
        self.key, self.num_actions, self.discount = key, num_actions, discount

    def hashed(self, *words):
        return np.random.default_rng([self.key, *words])

    def describe(self, states):
        logits, values, legal = [], [], []
        for state in states:
            rng = self.hashed(state)
            logits.append(rng.normal(size=self.num_actions))
            values.append(rng.uniform(-1, 1))
            mask = rng.random(self.num_actions) < 0.7
            mask[rng.integers(self.num_actions)] |= state % 5 != 0  # now and then a state allows nothing
            legal.append(mask)
        return np.array(logits), np.array(values), np.array(legal)

    def root(self, states):
        logits, values, legal = self.describe(states)
        legal[:, 0] |= ~legal.any(axis=1)
        return RootOutput(logits, values, states, legal)

    def step(self, states, actions):
        after = [int(self.hashed(s, a).integers(1 << 40)) for s, a in zip(states, actions.tolist(), strict=True)]
        logits, values, legal = self.describe(after)
        ends = np.array([state % 4 == 0 for state in after])
        reward = np.where(ends, values, 0.0)
        return RecurrentOutput(reward, np.where(ends, 0.0, self.discount), logits, values, after, legal)


@st.composite
def searches(draw):
    game = RandomGame(draw(st.integers(0, 10**6)), draw(st.integers(1, 5)), draw(st.sampled_from([1.0, -1.0, 0.5])))
    config = MCTSConfig(
        num_simulations=draw(st.integers(0, 60)),
        batch_size=draw(st.integers(1, 7)),
        c_init=draw(st.floats(0, 4)),
        c_base=draw(st.sampled_from([19652.0, 20.0])),
        first_play=draw(st.sampled_from(["parent", "zero"])),
        first_play_reduction=draw(st.floats(-0.5, 0.5)),
        virtual_loss=draw(st.floats(0, 2)),
        noise_fraction=draw(st.sampled_from([0.0, 0.25, 1.0])),
        noise_alpha=draw(st.floats(0.05, 5)),
        normalise_values=draw(st.booleans()),
    )
    states = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=3))
    return game, config, states, draw(st.integers(0, 100))


def run(case):
    game, config, states, seed = case
    return puct_search(game.root(states), game.step, config=config, seed=seed)


def used_nodes(tree):
    return [(row, node) for row in range(tree.num_roots) for node in range(int(tree.num_nodes[row]))]


@settings(max_examples=60, deadline=None)
@given(searches())
def test_visits_add_up_and_values_are_the_mean_of_what_was_backed_up(case):
    tree = run(case)
    assert np.array_equal(tree.visits[:, 0], np.full(tree.num_roots, case[1].num_simulations + 1))
    for row, node in used_nodes(tree):
        child = tree.children[row, node][tree.children[row, node] >= 0]
        visits = tree.visits[row, child]
        if tree.terminal[row, node]:
            assert child.size == 0
            continue
        assert visits.sum() + 1 == tree.visits[row, node]
        backed_up = tree.rewards[row, child] + tree.discounts[row, child] * tree.values[row, child]
        mean = (tree.raw_values[row, node] + (visits * backed_up).sum()) / tree.visits[row, node]
        assert abs(mean - tree.values[row, node]) < 1e-12


@settings(max_examples=40, deadline=None)
@given(searches())
def test_values_stay_in_the_range_of_the_rewards(case):
    tree = run(case)
    assert np.all(np.abs(tree.values) <= 1 + 1e-12)
    values = tree.root_values
    assert np.all(np.isnan(values) | (np.abs(values) <= 1 + 1e-12))


@settings(max_examples=40, deadline=None)
@given(searches())
def test_illegal_actions_are_never_visited_and_ends_never_left(case):
    tree = run(case)
    assert np.all(tree.children[~tree.legal] == -1)
    assert np.all(tree.priors[~tree.legal] == 0)
    assert np.all(tree.action_weights()[~tree.legal[:, 0]] == 0)
    assert np.all(tree.children[tree.terminal] == -1)
    assert tree.legal[np.arange(tree.num_roots), 0, tree.best_actions].all()


@settings(max_examples=40, deadline=None)
@given(searches())
def test_parents_and_children_point_at_each_other(case):
    tree = run(case)
    for row, node in used_nodes(tree):
        parent, action = tree.parents[row, node], tree.actions[row, node]
        assert (parent == -1) == (action == -1) == (node == 0)
        if node:
            assert parent < node
            assert tree.children[row, parent, action] == node
            assert tree.visits[row, node] >= 1
    assert np.count_nonzero(tree.children >= 0) == int((tree.num_nodes - 1).sum())
    assert [len(states) for states in tree.embeddings] == tree.num_nodes.tolist()


@settings(max_examples=30, deadline=None)
@given(searches())
def test_the_same_seed_gives_the_same_tree_and_a_batch_is_a_loop(case):
    game, config, states, seed = case
    tree = run(case)
    assert tree.to_dict() == run(case).to_dict()
    if config.noise_fraction:
        return
    for row, state in enumerate(states):
        alone = puct_search(game.root([state]), game.step, config=config, seed=seed)
        used = int(tree.num_nodes[row])
        assert used == int(alone.num_nodes[0])
        assert np.array_equal(alone.children[0], tree.children[row, :used])
        assert np.array_equal(alone.values[0], tree.values[row, :used])


@settings(max_examples=30, deadline=None)
@given(searches(), st.floats(0.05, 8))
def test_action_weights_are_a_distribution_that_temperature_sharpens(case, temperature):
    tree = run(case)
    weights = tree.action_weights(temperature)
    assert np.allclose(weights.sum(axis=1), 1)
    assert np.all(weights >= 0)
    sharp = tree.action_weights(temperature / 2)
    assert np.all(sharp.max(axis=1) >= weights.max(axis=1) - 1e-9)
    assert np.array_equal(tree.action_weights(0.0).argmax(axis=1), tree.best_actions)
