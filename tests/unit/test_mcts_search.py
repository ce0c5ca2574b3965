"""The door of the search and the objects it returns."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.interrupt import DeferredInterrupt
from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, SearchTree, puct_search
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime


def endless(states, actions):
    """A game without end in which action 2 pays best."""
    n = len(actions)
    reward = np.array([0.0, 0.5, 1.0])[actions]
    return RecurrentOutput(reward, np.full(n, 0.5), np.zeros((n, 3)), np.zeros(n), [s + 1 for s in states])


def root(num_roots=1, logits=(0.3, 0.2, 0.1)):
    return RootOutput(np.tile(logits, (num_roots, 1)), np.zeros(num_roots), [0] * num_roots)


def test_without_simulations_the_answer_is_the_greedy_choice_of_the_prior():
    tree = puct_search(root(2), endless, config=MCTSConfig(num_simulations=0))
    assert tree.best_actions.tolist() == [0, 0]
    assert tree.action_weights(0.0).tolist() == [[1, 0, 0], [1, 0, 0]]
    expected = np.exp([0.3, 0.2, 0.1]) / np.exp([0.3, 0.2, 0.1]).sum()
    assert np.allclose(tree.action_weights(1.0), expected)
    assert tree.num_nodes.tolist() == [1, 1]
    assert tree.principal_variation() == []
    assert np.isnan(tree.root_values).all()


def test_the_prior_is_overruled_by_what_the_search_finds():
    tree = puct_search(root(), endless, config=MCTSConfig(num_simulations=100))
    assert tree.best_actions.tolist() == [2]
    assert tree.principal_variation()[:3] == [2, 2, 2]
    assert tree.embeddings[0][tree.children[0, 0, 2]] == 1


def test_leaves_are_evaluated_together():
    sizes = []

    def counted(states, actions):
        sizes.append(len(actions))
        return endless(states, actions)

    tree = puct_search(root(4), counted, config=MCTSConfig(num_simulations=60, batch_size=3))
    assert max(sizes) == 12
    assert len(sizes) < 30
    assert sum(sizes) == int((tree.num_nodes - 1).sum()) == 240


def test_a_larger_batch_still_finds_the_best_action():
    for batch_size in (1, 2, 8, 32):
        tree = puct_search(root(), endless, config=MCTSConfig(num_simulations=128, batch_size=batch_size))
        assert tree.best_actions.tolist() == [2]
        assert tree.visits[0, 0] == 129


def test_finished_episodes_are_never_stepped_from():
    seen = []

    def two_steps(states, actions):
        seen.extend(states)
        after = [s + 1 for s in states]
        ends = np.array(after) == 2
        return RecurrentOutput(
            ends * 1.0, np.where(ends, 0.0, 1.0), np.zeros((len(after), 3)), np.full(len(after), 7.0), after
        )

    tree = puct_search(root(), two_steps, config=MCTSConfig(num_simulations=80))
    assert set(seen) == {0, 1}
    assert len(seen) == 3 + 9
    assert tree.num_nodes.tolist() == [13]
    assert tree.visits[0, 0] == 81
    assert np.all(tree.raw_values[tree.terminal] == 0)


def test_a_state_without_legal_actions_is_an_end_worth_its_value():
    def stuck(states, actions):
        n = len(actions)
        none = np.zeros((n, 3), bool)
        return RecurrentOutput(np.zeros(n), np.full(n, -1.0), np.zeros((n, 3)), [-1.0] * n, states, none)

    tree = puct_search(root(), stuck, config=MCTSConfig(num_simulations=30))
    assert tree.num_nodes.tolist() == [4]
    assert np.array_equal(tree.root_values, [[1.0, 1.0, 1.0]])


def test_minus_infinity_among_the_logits_forbids_an_action():
    tree = puct_search(root(logits=(0.0, 0.0, -np.inf)), endless, config=MCTSConfig(num_simulations=50))
    assert tree.root_visits[0, 2] == 0
    assert tree.best_actions.tolist() == [1]


def test_the_states_may_be_rows_of_an_array():
    def step(states, actions):
        assert all(state.shape == (2,) for state in states)
        after = np.stack(states) + actions[:, None]
        return RecurrentOutput(
            np.zeros(len(after)), np.ones(len(after)), np.zeros((len(after), 3)), np.zeros(len(after)), after
        )

    start = RootOutput(np.zeros((2, 3)), np.zeros(2), np.zeros((2, 2)))
    tree = puct_search(start, step, config=MCTSConfig(num_simulations=5, batch_size=2))
    assert tree.num_nodes.tolist() == [6, 6]


def test_noise_follows_the_seed_and_stays_on_legal_actions():
    legal = np.array([[True, False, True]])
    start = RootOutput(np.zeros((1, 3)), [0.0], [0], legal)
    config = MCTSConfig(num_simulations=0, noise_fraction=0.25)
    first, again, other = (puct_search(start, endless, config=config, seed=s).priors[0, 0] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first[1] == 0
    assert first.sum() == pytest.approx(1)
    assert np.all(first[[0, 2]] >= 0.375)
    plain = puct_search(start, endless, config=MCTSConfig(num_simulations=0), seed=3).priors[0, 0]
    assert np.array_equal(plain, [0.5, 0.0, 0.5])


def test_the_mean_of_the_noise_is_uniform_over_the_legal_actions():
    start = RootOutput(np.tile([5.0, 0.0, 0.0, 0.0], (4000, 1)), np.zeros(4000), [0] * 4000)
    config = MCTSConfig(num_simulations=0, noise_fraction=1.0, noise_alpha=0.5)
    priors = puct_search(start, endless, config=config).priors[:, 0]
    assert np.allclose(priors.mean(axis=0), 0.25, atol=0.02)
    # variance of a component of Dir(alpha, ..., alpha): (1/A)(1 - 1/A) / (A alpha + 1)
    assert np.allclose(priors.var(axis=0), 0.25 * 0.75 / 3, rtol=0.1)


def test_a_stop_counts_simulations_and_the_tighter_limit_holds():
    def simulations(stop, config):
        return puct_search(root(2), endless, config=config, stop=stop).root_visits.sum(axis=1).tolist()

    assert simulations(MaxIterations(17), MCTSConfig(num_simulations=None, batch_size=5)) == [17, 17]
    assert simulations(MaxIterations(17), MCTSConfig(num_simulations=9)) == [9, 9]
    assert simulations(MaxRuntime(0), MCTSConfig()) == [0, 0]
    assert simulations(AnyOf(MaxRuntime(1000), MaxIterations(3)), MCTSConfig(num_simulations=None)) == [3, 3]


def test_a_time_limit_ends_a_search_without_simulation_limit():
    tree = puct_search(root(), endless, config=MCTSConfig(num_simulations=None), stop=MaxRuntime(0.05))
    assert tree.visits[0, 0] > 1


def test_the_first_interrupt_returns_the_tree_so_far():
    calls = []

    def interrupted(states, actions):
        calls.append(len(actions))
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        return endless(states, actions)

    tree = puct_search(root(), interrupted, config=MCTSConfig(num_simulations=1000))
    assert tree.visits[0, 0] == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupt_raises():
    with pytest.raises(KeyboardInterrupt), DeferredInterrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.received
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_program_is_left_alone():
    noted = []
    signal.signal(signal.SIGINT, lambda *_: noted.append(1))
    try:
        with DeferredInterrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert noted == [1]
        assert not interrupt.received
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_search_in_another_thread_works():
    found = []
    worker = threading.Thread(target=lambda: found.append(puct_search(root(), endless)))
    worker.start()
    worker.join(60)
    assert found[0].visits[0, 0] == 101


def test_a_tree_survives_json_exactly():
    tree = puct_search(root(3), endless, config=MCTSConfig(num_simulations=40, batch_size=3))
    again = SearchTree.from_dict(json.loads(json.dumps(tree.to_dict())))
    for name, value in vars(tree).items():
        if name != "embeddings":
            assert np.array_equal(getattr(again, name), value), name
            assert getattr(again, name).dtype == value.dtype
    assert again.embeddings is None
    assert again.summary() == tree.summary()
    assert "best action" in tree.summary()
    assert "<table>" in tree._repr_html_()


def test_a_stored_tree_must_be_complete():
    data = puct_search(root(), endless).to_dict()
    with pytest.raises(InputError, match="'priors' of a stored search tree must have 3 axes, found 1"):
        SearchTree.from_dict(data | {"priors": [1.0]})
    del data["visits"]
    with pytest.raises(InputError, match="must hold 'visits'"):
        SearchTree.from_dict(data)


def test_very_small_temperatures_do_not_overflow():
    tree = puct_search(root(), endless, config=MCTSConfig(num_simulations=300))
    assert np.array_equal(tree.action_weights(1e-6), tree.action_weights(0))
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="`temperature` must be a finite number >= 0"):
            tree.action_weights(bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_simulations": -1}, "`num_simulations` must be an integer >= 0, found -1"),
        ({"num_simulations": 1.5}, "`num_simulations` must be an integer"),
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1, found 0"),
        ({"batch_size": None}, "`batch_size` must be an integer"),
        ({"c_init": float("nan")}, "`c_init` must be a finite number"),
        ({"c_base": 0.0}, "`c_base` must be a finite number"),
        ({"noise_fraction": 1.5}, r"`noise_fraction` must be a finite number in \[0, 1\], found 1.5"),
        ({"noise_alpha": 0.0}, "`noise_alpha`"),
        ({"virtual_loss": -1.0}, "`virtual_loss`"),
        ({"first_play": "optimistic"}, "`first_play` must be 'parent' or 'zero', found 'optimistic'"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        MCTSConfig(**change)


def test_a_search_without_end_is_refused():
    with pytest.raises(InputError, match="needs an end"):
        puct_search(root(), endless, config=MCTSConfig(num_simulations=None))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            RootOutput(np.zeros(3), [0.0], [0]),
            r"prior_logits of the root must have shape \['any', 'any'\], found \[3\]",
        ),
        (RootOutput(np.zeros((0, 3)), np.zeros(0), []), r"shape \[B >= 1, A >= 1\], found \[0, 3\]"),
        (RootOutput(np.zeros((1, 3)), [0.0, 1.0], [0]), r"value of the root must have shape \[1\], found \[2\]"),
        (
            RootOutput([[0.0, np.nan]], [0.0], [0]),
            r"prior_logits of the root must be finite, found nan at index \(0, 1\)",
        ),
        (RootOutput([[0.0, 1.0]], [np.inf], [0]), "value of the root must be finite"),
        (RootOutput([[0.0, 1.0]], [0.0], [0, 1]), "embedding in the root must hold 1 states, found 2"),
        (RootOutput([[0.0, 1.0]], [0.0], [0], [[1, 1]]), "legal in the root must be a bool array"),
        (RootOutput([[0.0, 1.0]], [0.0], [0], [[False, False]]), "root 0 has none"),
    ],
)
def test_bad_roots_are_refused(start, message):
    with pytest.raises(InputError, match=message):
        puct_search(start, endless)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "must return a RecurrentOutput, found NoneType"),
        (RecurrentOutput([0.0, 0.0], [1.0], [[0.0] * 3], [0.0], [1]), r"reward .* must have shape \[1\], found \[2\]"),
        (
            RecurrentOutput([0.0], [1.0], [[0.0] * 2], [0.0], [1]),
            r"prior_logits .* must have shape \[1, 3\], found \[1, 2\]",
        ),
        (
            RecurrentOutput([0.0], [1.0], [[0.0] * 3], [np.nan], [1]),
            r"value in the answer .* must be finite, found nan",
        ),
        (RecurrentOutput([0.0], [np.inf], [[0.0] * 3], [0.0], [1]), "discount in the answer"),
        (RecurrentOutput([0.0], [1.0], [[0.0] * 3], [0.0], []), "must hold 1 states, found 0"),
    ],
)
def test_bad_answers_of_the_function_are_refused(answer, message):
    with pytest.raises(InputError, match=message):
        puct_search(root(), lambda states, actions: answer)


def test_the_search_imports_neither_torch_nor_matplotlib():
    code = (
        "import sys, gnnlib.search; sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib', 'torch_geometric')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
