"""Searches on problems whose answer is known by enumeration."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from gnnlib.search import MCTSConfig, RecurrentOutput, RootOutput, puct_search

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def play(board, cell):
    """Put the mover's stone (+1) and turn the board round, so that the mover is always +1."""
    return tuple(-1 if i == cell else -stone for i, stone in enumerate(board))


def just_won(board):
    return any(all(board[i] == -1 for i in line) for line in LINES)


@functools.cache
def minimax(board):
    """Value of a position for its mover."""
    if just_won(board):
        return -1
    free = [i for i in range(9) if board[i] == 0]
    return max((-minimax(play(board, cell)) for cell in free), default=0)


def step_tic_tac_toe(boards, cells):
    after = [play(board, int(cell)) for board, cell in zip(boards, cells, strict=True)]
    won = np.array([just_won(board) for board in after])
    full = np.array([0 not in board for board in after])
    return RecurrentOutput(
        won.astype(float),
        np.where(won | full, 0.0, -1.0),
        np.zeros((len(after), 9)),
        np.zeros(len(after)),
        after,
        np.array(after) == 0,
    )


def all_positions(num_empty):
    """Every position of tic-tac-toe with a given number of empty cells that is not over."""
    layer = {(0,) * 9}
    for _ in range(9 - num_empty):
        layer = {play(board, i) for board in layer for i in range(9) if board[i] == 0}
        layer = {board for board in layer if not just_won(board)}
    return sorted(layer)


@pytest.mark.parametrize(("num_empty", "batch_size"), [(3, 1), (4, 4), (5, 1)])
def test_late_positions_of_tic_tac_toe_are_played_perfectly(num_empty, batch_size):
    boards = all_positions(num_empty)[::3]
    root = RootOutput(np.zeros((len(boards), 9)), np.zeros(len(boards)), boards, np.array(boards) == 0)
    tree = puct_search(root, step_tic_tac_toe, config=MCTSConfig(num_simulations=400, batch_size=batch_size))
    for row, board in enumerate(boards):
        assert -minimax(play(board, int(tree.best_actions[row]))) == minimax(board)
    value = np.array([minimax(board) for board in boards])
    best = tree.root_values[np.arange(len(boards)), tree.best_actions]
    assert np.abs(best - value).max() < 0.35
    assert np.abs(best - value).mean() < 0.05


def test_the_opening_of_tic_tac_toe_is_worth_a_draw():
    empty = (0,) * 9
    root = RootOutput(np.zeros((1, 9)), [0.0], [empty])
    tree = puct_search(root, step_tic_tac_toe, config=MCTSConfig(num_simulations=3000, batch_size=16, c_init=2.0))
    assert minimax(empty) == 0
    assert abs(float(tree.values[0, 0])) < 0.3
    assert tree.principal_variation()[0] in (0, 2, 4, 6, 8)


def step_nim(heaps, actions):
    """Take 1..3 matches (action % 3 + 1) off a heap (action // 3); whoever takes the last match of all wins."""
    after = []
    for state, action in zip(heaps, actions, strict=True):
        left = list(state)
        left[int(action) // 3] -= int(action) % 3 + 1
        after.append(tuple(left))
    won = np.array([sum(state) == 0 for state in after])
    n = len(after)
    return RecurrentOutput(won * 1.0, won - 1.0, np.zeros((n, 9)), np.zeros(n), after, legal_nim(after))


def legal_nim(states):
    return np.array([[state[a // 3] >= a % 3 + 1 for a in range(9)] for state in states])


def test_nim_is_decided_by_the_nim_sum_of_the_heaps():
    states = [(i, j, k) for i in range(4) for j in range(i, 4) for k in range(j, 4) if 0 < i + j + k <= 6]
    root = RootOutput(np.zeros((len(states), 9)), np.zeros(len(states)), states, legal_nim(states))
    tree = puct_search(root, step_nim, config=MCTSConfig(num_simulations=1200, batch_size=4))
    for row, state in enumerate(states):
        wins = (state[0] ^ state[1] ^ state[2]) != 0
        assert (tree.values[row, 0] > 0) == wins, state
        if wins:
            heap, taken = divmod(int(tree.best_actions[row]), 3)
            left = [size - (taken + 1 if i == heap else 0) for i, size in enumerate(state)]
            assert left[0] ^ left[1] ^ left[2] == 0, state


def test_the_value_of_a_small_decision_process_is_that_of_value_iteration():
    # six states in a ring: step or jump, reward 1 for entering state 5, where the episode ends
    discount, after = 0.9, np.array([[1, 3], [2, 4], [3, 0], [4, 1], [5, 0], [5, 5]])
    reward = np.array([[0.0, 0.1], [0.2, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    optimal = np.zeros(6)
    for _ in range(200):
        optimal[:5] = (reward + discount * optimal[after])[:5].max(axis=1)

    def step(states, actions):
        state = np.array(states)
        new = after[state, actions]
        n = len(state)
        ends = np.where(new == 5, 0.0, discount)
        return RecurrentOutput(reward[state, actions], ends, np.zeros((n, 2)), np.zeros(n), new)

    starts = np.arange(5)
    root = RootOutput(np.zeros((5, 2)), np.zeros(5), starts)
    tree = puct_search(root, step, config=MCTSConfig(num_simulations=1500, normalise_values=True))
    q = (reward + discount * optimal[after])[:5]
    assert np.all(q[starts, tree.best_actions] > q.max(axis=1) - 0.04)  # some runners-up are that close
    best = tree.root_values[starts, tree.best_actions]
    assert np.all(best <= optimal[:5] + 1e-12)
    assert np.all(best > 0.85 * optimal[:5])


def test_the_visits_of_a_bandit_follow_the_puct_formula():
    payoff, prior = [0.1, 0.75, 0.5, 0.6], [0.5, 0.1, 0.3, 0.1]

    def pull(states, arms):
        n = len(arms)
        return RecurrentOutput(np.array(payoff)[arms], np.zeros(n), np.zeros((n, 4)), np.zeros(n), states)

    tree = puct_search(RootOutput([np.log(prior)], [0.4], ["arms"]), pull, config=MCTSConfig(num_simulations=300))

    visits, total, mean = [0, 0, 0, 0], 1, 0.4
    for _ in range(300):
        rate = 1.25 + math.log((total + 19653) / 19652)
        scores = [
            (payoff[a] if visits[a] else mean) + rate * prior[a] * math.sqrt(total) / (1 + visits[a]) for a in range(4)
        ]
        arm = scores.index(max(scores))
        visits[arm] += 1
        mean = (mean * total + payoff[arm]) / (total + 1)
        total += 1
    assert tree.root_visits[0].tolist() == visits
    assert tree.values[0, 0] == pytest.approx(mean, rel=1e-12)
    assert visits[1] == max(visits)
