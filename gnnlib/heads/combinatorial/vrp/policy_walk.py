"""Whole constructions, compiled: rolled out by the policy, or led along the routes of an expert."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.vrp.policy_kernel import (
    FIRST_EXCESS,
    NUM_ACTION_FEATURES,
    NUM_COSTS,
    NUM_STATE_FEATURES,
    Perceptrons,
    Walk,
    Ways,
    describe_state,
    fits,
    list_actions,
    log_probabilities,
    new_walk,
    step,
)

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["expert_steps", "follow", "follow_estimate", "record_roll_out", "roll_out", "split_path"]

_FAR = 1e30


@nb.njit(cache=True)
def _uniform(seed: IntArray) -> float:
    """Next number in [0, 1) of xorshift64 (G. Marsaglia 2003)."""
    x = np.uint64(seed[0])
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    seed[0] = np.int64(x)
    return float(x >> np.uint64(11)) / 9007199254740992.0


@nb.njit(cache=True)
def _draw(chances: FloatArray, count: int, seed: IntArray) -> int:
    """Draw a row by its log-probability."""
    mark, total = _uniform(seed), 0.0
    for row in range(count - 1):
        total += math.exp(chances[row])
        if mark < total:
            return row
    return count - 1


@nb.njit(cache=True)
def roll_out(
    ways: Ways, walk: Walk, net: Perceptrons, temperature: float, seed: IntArray, path: IntArray
) -> tuple[int, float]:
    """Walk to the end, greedily when `temperature` is 0; return the number of steps and their log-probability.

    `path` [2 * M] receives the actions; `seed` [1], not 0, is the state of the random numbers.
    """
    places = len(ways.load)
    actions, features, chances = np.empty(places, np.int64), np.empty((places, NUM_ACTION_FEATURES)), np.empty(places)
    taken, chance = 0, 0.0
    while True:
        count = list_actions(ways, walk, actions, features)
        if count == 0:
            return taken, chance
        row = 0
        if count > 1:
            log_probabilities(net, features, count, temperature if temperature > 0.0 else 1.0, chances)
            row = int(np.argmax(chances[:count])) if temperature == 0.0 else _draw(chances, count, seed)
            chance += chances[row]
        step(ways, walk, actions[row])
        path[taken] = actions[row]
        taken += 1


def split_path(path: list[int]) -> list[list[int]]:
    """Return the routes of a walk: what stands between its returns to the depot.

    Examples
    --------
    >>> split_path([3, 1, 0, 2, 0])
    [[3, 1], [2]]
    """
    routes: list[list[int]] = [[]]
    for place in path:
        if place == 0:
            routes.append([])
        else:
            routes[-1].append(place)
    return [route for route in routes if route]


@nb.njit(cache=True)
def follow(ways: Ways, walk: Walk, path: IntArray) -> bool:
    """Take the actions of `path`, as far as they are legal; return whether all were."""
    for action in path:
        is_start = walk.whole[0] == 0
        if action == 0:
            if is_start:
                return False
        elif not fits(ways, walk, action) or (is_start and walk.whole[4] >= ways.settings[2]):
            return False
        step(ways, walk, action)
    return True


@nb.njit(cache=True)
def follow_estimate(ways: Ways, walk: Walk, path: IntArray) -> int:
    """Walk to the end by the action after which the first estimate is least; return the number of steps."""
    places = len(ways.load)
    actions, features = np.empty(places, np.int64), np.empty((places, NUM_ACTION_FEATURES))
    taken = 0
    while True:
        count = list_actions(ways, walk, actions, features)
        if count == 0:
            return taken
        row = int(np.argmin(features[:count, FIRST_EXCESS]))
        step(ways, walk, actions[row])
        path[taken] = actions[row]
        taken += 1


@nb.njit(cache=True)
def record_roll_out(
    ways: Ways, net: Perceptrons, temperature: float, seed: IntArray
) -> tuple[FloatArray, IntArray, IntArray, float]:
    """Sample a construction and record every step that is a choice.

    Returns
    -------
    tuple
        Features of all actions [R, F], number of the step of each [R], row that was chosen in each step [S], cost.
    """
    places = len(ways.load)
    actions, features, chances = np.empty(places, np.int64), np.empty((places, NUM_ACTION_FEATURES)), np.empty(places)
    rows = np.empty((places * places, NUM_ACTION_FEATURES))
    owner, chosen = np.empty(places * places, np.int64), np.empty(2 * places, np.int64)
    walk, filled, steps = new_walk(ways), 0, 0
    while True:
        count = list_actions(ways, walk, actions, features)
        if count == 0:
            return rows[:filled], owner[:filled], chosen[:steps], walk.real[3]
        row = 0
        if count > 1 and filled + count <= len(rows):
            log_probabilities(net, features, count, temperature, chances)
            row = _draw(chances, count, seed)
            rows[filled : filled + count] = features[:count]
            owner[filled : filled + count] = steps
            chosen[steps] = filled + row
            filled += count
            steps += 1
        step(ways, walk, actions[row])


@nb.njit(cache=True)
def _right_actions(ways: Ways, walk: Walk, neighbours: IntArray, actions: IntArray, right: BoolArray) -> None:
    """Mark the actions that agree with the expert: `neighbours` [M, 2] are before and after in its routes."""
    here, is_directed = walk.whole[0], ways.settings[1] > 0.0
    for row in range(len(actions)):
        place = actions[row]
        if here == 0:
            is_end = neighbours[place, 0] == 0 or (neighbours[place, 1] == 0 and not is_directed)
            right[row] = is_end and place != 0
        elif place == 0:
            right[row] = True
            for side in range(2):
                other = neighbours[here, side]
                if other != 0 and not walk.visited[other]:
                    right[row] = False
        else:
            right[row] = neighbours[here, 0] == place or neighbours[here, 1] == place


@nb.njit(cache=True)
def expert_steps(
    ways: Ways, walk: Walk, neighbours: IntArray, net: Perceptrons, seed: IntArray, to_come: float
) -> tuple[FloatArray, IntArray, BoolArray, FloatArray, FloatArray, FloatArray]:
    """Follow an expert's routes in an order that the policy chooses, and record every step that is a choice.

    Parameters
    ----------
    ways : Ways
    walk : Walk
        At the depot, with nobody served or only those who are in none of the expert's routes; changed.
    neighbours : int array [M, 2]
        Place before and after each client in the expert's routes.
    net : Perceptrons
        Decides which route comes next.
    seed : int array [1]
        State of the random numbers, not 0.
    to_come : float
        Cost of the expert's routes.

    Returns
    -------
    tuple
        Features of all actions [R, F], number of the step of each [R], whether it is right [R]; state features [S, G],
        parts of the cost [S, NUM_COSTS], and cost to come [S].
    """
    places = len(ways.load)
    most = 2 * places
    actions, features, chances = np.empty(places, np.int64), np.empty((places, NUM_ACTION_FEATURES)), np.empty(places)
    right = np.zeros(places, np.bool_)
    rows, owner, is_right = np.empty((most * places // 2 + places, NUM_ACTION_FEATURES)), [0], [False]
    states, costs, to_go = np.empty((most, NUM_STATE_FEATURES)), np.empty((most, NUM_COSTS)), np.empty(most)
    owner.pop()
    is_right.pop()
    total = walk.real[3] + to_come
    filled, steps = 0, 0
    while True:
        count = list_actions(ways, walk, actions, features)
        if count == 0:
            break
        _right_actions(ways, walk, neighbours, actions[:count], right)
        if not right[:count].any():
            break  # the expert's routes do not fit the policy's view of the problem
        if count > 1 and filled + count <= len(rows):
            describe_state(ways, walk, states[steps], costs[steps])
            to_go[steps] = total - walk.real[3]
            rows[filled : filled + count] = features[:count]
            for row in range(count):
                owner.append(steps)
                is_right.append(right[row])
            filled += count
            steps += 1
        log_probabilities(net, features, count, 1.0, chances)
        for row in range(count):
            if not right[row]:
                chances[row] = -_FAR
        chances[:count] -= math.log(np.exp(chances[:count]).sum())
        row = _draw(chances, count, seed)
        while not right[row]:
            row -= 1
        step(ways, walk, actions[row])
    return rows[:filled], np.array(owner), np.array(is_right), states[:steps], costs[:steps], to_go[:steps]
