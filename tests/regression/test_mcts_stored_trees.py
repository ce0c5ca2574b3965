"""Whole trees compared with stored ones: some made by mctx, an independent implementation, some by this library.

``python tests/regression/test_mcts_stored_trees.py`` writes this library's own trees anew; how the others were made
stands beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, SearchTree, puct_search

FOLDER = Path(__file__).parent / "mcts_trees"
NUM_ACTIONS = 4


def logits(state):
    return ((state[:, None] * 53 + np.arange(NUM_ACTIONS) * 31) % 101) / 32.0


def value(state):
    return ((state * 37) % 61 - 30) / 32.0


def legal(state):
    return (state[:, None] * 7 + np.arange(NUM_ACTIONS) * 3) % 5 != 0


def search(starts, discount, config, *, is_episodic):
    def step(states, actions):
        state = np.array(states)
        after = (state * NUM_ACTIONS + actions + 1) % 9973
        reward = ((state * NUM_ACTIONS + actions) * 29 % 53 - 26) / 64.0
        kept = np.where(is_episodic & (after % 6 == 0), 0.0, discount)
        mask = legal(after) if is_episodic else None
        return RecurrentOutput(reward, kept, logits(after), value(after), after, mask)

    state = np.array(starts)
    root = RootOutput(logits(state), value(state), state, legal(state) if is_episodic else None)
    return puct_search(root, step, config=config)


OWN = {
    "episodic": ([1, 8, 29], 0.875, MCTSConfig(num_simulations=48)),
    "two_players_batched": ([2, 13], -1.0, MCTSConfig(num_simulations=60, batch_size=4)),
    "normalised": ([4, 17], 1.0, MCTSConfig(num_simulations=40, normalise_values=True, first_play="zero", c_base=50.0)),
}


def own_tree(name):
    starts, discount, config = OWN[name]
    return search(starts, discount, config, is_episodic=True)


MCTX_CASES = json.loads((FOLDER / "mctx.json").read_text())["cases"]


@pytest.mark.parametrize("case", MCTX_CASES, ids=[f"discount {case['discount']}" for case in MCTX_CASES])
def test_the_tree_is_node_for_node_that_of_mctx(case):
    config = MCTSConfig(num_simulations=case["num_simulations"], first_play=case["first_play"])
    tree = search(case["starts"], case["discount"], config, is_episodic=False)
    for field in ("visits", "parents", "actions", "children", "raw_values"):
        assert np.array_equal(getattr(tree, field), np.array(case[field])), field
    assert np.allclose(tree.values, case["values"], rtol=1e-13, atol=1e-15)  # compiled by XLA, which may fuse a product
    assert np.allclose(tree.action_weights(), case["action_weights"], rtol=1e-13)


@pytest.mark.parametrize("name", OWN)
def test_the_tree_is_exactly_the_stored_one(name):
    stored = SearchTree.from_dict(json.loads((FOLDER / f"{name}.json").read_text()))
    tree = own_tree(name)
    for field in vars(stored):
        if field == "priors":  # exp differs in the last digit between processors
            assert np.allclose(tree.priors, stored.priors, rtol=1e-14, atol=0)
        elif field != "embeddings":
            assert np.array_equal(getattr(tree, field), getattr(stored, field)), field


if __name__ == "__main__":
    for name in OWN:
        (FOLDER / f"{name}.json").write_text(json.dumps(own_tree(name).to_dict()) + "\n")
