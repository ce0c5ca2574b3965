"""The steps of a construction, compiled: what may come next, what speaks for it, and what it leads to.

A construction is a walk from the depot: the next client or the depot again, until all are served. Lengths and times are
in units of the mean distance between neighbours, loads in vehicles. What speaks for an action is a short list of
features, some of the problem and the walk so far, some of the graph network; two perceptrons of a few thousand weights
read them. The same code makes the features for training and for decoding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.vrp.policy_ahead import NUM_AHEAD, describe_ahead, estimate_rest

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "FIRST_EXCESS",
    "HAS_LOADS",
    "HAS_TIMES",
    "KIND",
    "NUM_ACTION_FEATURES",
    "NUM_COSTS",
    "NUM_STATE_FEATURES",
    "SECOND_EXCESS",
    "TOUR",
    "Perceptrons",
    "Ways",
    "Walk",
    "describe_state",
    "fits",
    "list_actions",
    "log_probabilities",
    "new_walk",
    "step",
    "walk_value",
]

_OWN = 32
NUM_ACTION_FEATURES = _OWN + NUM_AHEAD
FIRST_EXCESS = _OWN + 2
SECOND_EXCESS = FIRST_EXCESS + 3
"""The features of an action that grow with the estimates of the whole cost."""
KIND, TOUR = 7, 2.0
"""Feature of a state that tells the kind of the problem, and what it is for tours."""
HAS_TIMES, HAS_LOADS = 22, 23
"""Features that are 1 in problems with time windows and with capacities, 0 in others."""

NUM_STATE_FEATURES = 8
NUM_COSTS = 2

_FAR = 1e30
_EPS = 1e-9


class Ways(NamedTuple):
    """An instance as the walk sees it; place 0 is the depot, M places.

    Attributes
    ----------
    dist, dur : float array [M, M]
        Distance and travel time.
    load : float array [M]
        Demand as a share of the capacity.
    opening, closing, service : float array [M]
    consecutive : float array [M, M]
        Log-odds of the network that two places follow each other, -8 where it has no edge.
    together : float array [M, M]
        Its probability that they share a route, 0 where it has no edge.
    gain : float array [M]
        Its expected shortening when a client is taken out.
    near : int array [M, K]
        Nearest clients of each client; row 0 is not used.
    penalties : float array [M]
        Of the bound of a tour; 0 otherwise.
    pairs : int array [P, 2]
        Pairs of clients, those first that save most by being joined; empty for tours.
    guided : int array [Q, 2]
        The same pairs in an order in which the network has a say.
    settings : float array [4]
        Whether there are capacities, length of the day (0 without times), most routes, and how to look ahead (see
        `gnnlib.heads.combinatorial.vrp.policy_ahead`).
    """

    dist: FloatArray
    dur: FloatArray
    load: FloatArray
    opening: FloatArray
    closing: FloatArray
    service: FloatArray
    consecutive: FloatArray
    together: FloatArray
    gain: FloatArray
    near: IntArray
    penalties: FloatArray
    pairs: IntArray
    guided: IntArray
    settings: FloatArray


class Walk(NamedTuple):
    """Where a construction stands.

    Attributes
    ----------
    visited : bool array [M]
    kinship : float array [M]
        Sum of `Ways.together` over the clients of the open route.
    penalties : float array [M]
        Of the bound of what is left of a tour.
    whole : int array [5]
        Place, first client of the open route, its clients so far, clients left, routes begun.
    real : float array [6]
        Load of the open route, time, demand left, cost so far, two estimates of the cost to come.
    """

    visited: BoolArray
    kinship: FloatArray
    penalties: FloatArray
    whole: IntArray
    real: FloatArray


class Perceptrons(NamedTuple):
    """Weights of `StepPolicy`, inputs first: three layers for actions, three on tours, two for states, and the faith."""

    a1: FloatArray
    a1_bias: FloatArray
    a2: FloatArray
    a2_bias: FloatArray
    a3: FloatArray
    a3_bias: FloatArray
    t1: FloatArray
    t1_bias: FloatArray
    t2: FloatArray
    t2_bias: FloatArray
    t3: FloatArray
    t3_bias: FloatArray
    v1: FloatArray
    v1_bias: FloatArray
    v2: FloatArray
    v2_bias: FloatArray
    faith: FloatArray


@nb.njit(cache=True)
def new_walk(ways: Ways) -> Walk:
    """Return a walk at the depot with nobody served."""
    places = len(ways.load)
    visited = np.zeros(places, np.bool_)
    visited[0] = True
    whole = np.array([0, 0, 0, places - 1, 0])
    real = np.array([0.0, ways.opening[0], ways.load.sum(), 0.0, 0.0, 0.0])
    walk = Walk(visited, np.zeros(places), ways.penalties.copy(), whole, real)
    walk.real[4], walk.real[5] = estimate_rest(ways, walk)
    return walk


@nb.njit(cache=True)
def fits(ways: Ways, walk: Walk, place: int) -> bool:
    """Whether a client can come next and the vehicle be back in time."""
    if walk.visited[place] or walk.real[0] + ways.load[place] > 1.0 + 1e-9:
        return False
    if ways.settings[1] == 0.0:
        return True
    arrival = walk.real[1] + ways.dur[walk.whole[0], place]
    if arrival > ways.closing[place] + 1e-9:
        return False
    start = max(arrival, ways.opening[place])
    return start + ways.service[place] + ways.dur[place, 0] <= ways.closing[0] + 1e-9


@nb.njit(cache=True)
def _surroundings(ways: Ways, walk: Walk, place: int) -> tuple[float, float, float, float]:
    """Nearest unvisited other client, best log-odds to one, share of unvisited neighbours, and their demand."""
    nearest, best, count, load = -1.0, -8.0, 0, 0.0
    for slot in range(ways.near.shape[1]):
        other = ways.near[place, slot]
        if walk.visited[other] or other == place:
            continue
        count += 1
        load += ways.load[other]
        if nearest < 0.0:
            nearest = ways.dist[place, other]
        best = max(best, ways.consecutive[place, other])
    if nearest < 0.0:
        nearest = ways.dist[place, 0]
        for other in range(1, len(ways.load)):
            if not walk.visited[other] and other != place:
                nearest = min(nearest, ways.dist[place, other])
    return nearest, best, count / max(ways.near.shape[1], 1), load


@nb.njit(cache=True)
def _describe_client(ways: Ways, walk: Walk, place: int, f: FloatArray) -> None:
    """Write what concerns one client, and not the other actions, into its row of features."""
    here, opened, day = walk.whole[0], walk.whole[2], ways.settings[1]
    d, home, back = ways.dist[here, place], ways.dist[0, place], ways.dist[here, 0]
    nearest, other_best, unvisited, load = _surroundings(ways, walk, place)
    after = 1.0 - walk.real[0] - ways.load[place]
    f[0] = math.log1p(d)
    f[1] = math.log1p(home)
    f[2] = math.log1p(back)
    f[3] = (back + home - d) / (back + home + _EPS)
    f[4] = math.tanh((back + home - d) / 20.0)
    f[5] = ways.load[place]
    f[6] = after
    f[7] = 1.0 - walk.real[0]
    f[8] = 0.25 * ways.consecutive[here, place]
    f[9] = ways.together[here, place]
    f[10] = walk.kinship[place] / max(opened, 1)
    f[13] = math.log1p(nearest)
    f[14] = 0.25 * other_best
    f[17] = 0.25 * ways.consecutive[place, 0]
    f[18] = 1.0 if here == 0 else 0.0
    f[19] = f[20] = f[21] = f[22] = 0.0
    if day > 0.0:
        arrival = walk.real[1] + ways.dur[here, place]
        f[19] = max(ways.opening[place] - arrival, 0.0) / day
        f[20] = (min(ways.closing[place], day) - arrival) / day
        f[21] = (min(ways.closing[place], day) - ways.opening[place]) / day
        f[22] = 1.0
    f[23] = ways.settings[0]
    f[24] = math.log1p(ways.dist[walk.whole[1], place])
    f[25] = unvisited
    f[26] = 0.0
    f[27] = math.tanh(0.1 * opened)
    f[28] = min(load, 2.0)
    f[29] = min(load, after)
    f[30] = math.tanh(0.2 * (nearest - home))
    f[31] = ways.together[walk.whole[1], place]


@nb.njit(cache=True)
def list_actions(ways: Ways, walk: Walk, actions: IntArray, features: FloatArray) -> int:
    """Write the legal actions and their features; return how many there are.

    `actions` [M] and `features` [M, NUM_ACTION_FEATURES] are filled from the front; the depot comes last. No action is
    legal when all who can be served are served and the vehicle is back.
    """
    here, left = walk.whole[0], walk.whole[3]
    count, closest = 0, _FAR
    if here != 0 or walk.whole[4] < ways.settings[2]:
        for place in range(1, len(ways.load)):
            if fits(ways, walk, place):
                actions[count] = place
                closest = min(closest, ways.dist[here, place])
                count += 1
    day = ways.settings[1]
    spare = 1.0 - walk.real[0]
    routes = walk.real[2] - (spare if here != 0 else 0.0)
    slack = math.ceil(max(routes, 0.0)) - max(routes, 0.0) if ways.settings[0] > 0.0 else 0.0
    rest = left / (len(ways.load) - 1)
    best_kin, best_next = 0.0, -8.0
    for row in range(count):
        place = actions[row]
        rank, d = 0, ways.dist[here, place]
        for k in range(count):
            rank += ways.dist[here, actions[k]] < d
        f = features[row]
        f[11] = 1.0 / (1.0 + rank)
        f[12] = math.log1p(d - closest)
        f[15] = rest
        f[16] = slack
        _describe_client(ways, walk, place, f)
        best_kin, best_next = max(best_kin, f[10]), max(best_next, ways.consecutive[here, place])
    if here != 0 and (ways.settings[0] > 0.0 or day > 0.0 or left == 0):
        _describe_return(ways, walk, count, (closest, best_kin, best_next, rest, slack), features[count])
        actions[count] = 0
        count += 1
    describe_ahead(ways, walk, actions, count, features, _OWN)
    return count


@nb.njit(cache=True)
def _describe_return(
    ways: Ways, walk: Walk, count: int, known: tuple[float, float, float, float, float], f: FloatArray
) -> None:
    """Write what concerns the way back to the depot; `known` is what the clients have told."""
    here, opened = walk.whole[0], walk.whole[2]
    closest, best_kin, best_next, rest, slack = known
    f[:] = 0.0
    f[0] = f[2] = math.log1p(ways.dist[here, 0])
    f[6] = f[7] = 1.0 - walk.real[0]
    f[8] = f[17] = 0.25 * ways.consecutive[here, 0]
    f[10] = best_kin
    f[11] = 1.0 / (1.0 + count)
    f[13] = math.log1p(closest) if count > 0 else 0.0
    f[14] = 0.25 * best_next
    f[15] = rest
    f[16] = slack
    f[22] = 1.0 if ways.settings[1] > 0.0 else 0.0
    f[23] = ways.settings[0]
    f[24] = math.log1p(ways.dist[walk.whole[1], 0])
    f[26] = 1.0
    f[27] = math.tanh(0.1 * opened)


@nb.njit(cache=True)
def log_probabilities(net: Perceptrons, features: FloatArray, count: int, temperature: float, out: FloatArray) -> None:
    """Write the log-probabilities of the first `count` actions to `out`."""
    if features[0, HAS_LOADS] == 0.0 and features[0, HAS_TIMES] == 0.0:
        hidden = np.maximum(np.dot(features[:count], net.t1) + net.t1_bias, 0.0)
        hidden = np.maximum(np.dot(hidden, net.t2) + net.t2_bias, 0.0)
        logits = np.dot(hidden, net.t3[:, 0].copy()) + net.t3_bias[0]
    else:
        hidden = np.maximum(np.dot(features[:count], net.a1) + net.a1_bias, 0.0)
        hidden = np.maximum(np.dot(hidden, net.a2) + net.a2_bias, 0.0)
        logits = np.dot(hidden, net.a3[:, 0].copy()) + net.a3_bias[0]
    for row in range(count):
        for kind, column in enumerate((FIRST_EXCESS, SECOND_EXCESS)):
            logits[row] -= net.faith[kind] * math.expm1(3.0 * features[row, column]) / 10.0
    logits /= temperature
    top = logits.max()
    out[:count] = logits - (top + math.log(np.exp(logits - top).sum()))


@nb.njit(cache=True)
def step(ways: Ways, walk: Walk, action: int) -> None:
    """Go to a client, or back to the depot, and keep the books."""
    here = walk.whole[0]
    walk.real[3] += ways.dist[here, action]
    walk.whole[0] = action
    if action == 0:
        walk.whole[1] = walk.whole[2] = 0
        walk.real[0] = 0.0
        walk.real[1] = ways.opening[0]
        walk.kinship[:] = 0.0
        walk.real[4], walk.real[5] = estimate_rest(ways, walk)
        return
    if here == 0:
        walk.whole[1] = action
        walk.whole[4] += 1
    walk.visited[action] = True
    walk.whole[2] += 1
    walk.whole[3] -= 1
    walk.real[0] += ways.load[action]
    walk.real[2] -= ways.load[action]
    walk.real[1] = max(walk.real[1] + ways.dur[here, action], ways.opening[action]) + ways.service[action]
    for place in range(len(ways.load)):
        walk.kinship[place] += ways.together[action, place]
    walk.real[4], walk.real[5] = estimate_rest(ways, walk)


@nb.njit(cache=True)
def describe_state(ways: Ways, walk: Walk, features: FloatArray, costs: FloatArray) -> None:
    """Write the features of a state and the two parts of its cost to come: half of each estimate.

    `radial` is the way out and back for what is left, a full vehicle at a time (the bound of M. Haimovich and
    A. Rinnooy Kan 1985).
    """
    spread, radial, gain = 0.0, 0.0, 0.0
    for place in range(1, len(ways.load)):
        if walk.visited[place]:
            continue
        nearest, _, _, _ = _surroundings(ways, walk, place)
        spread += nearest
        radial += (ways.dist[0, place] + ways.dist[place, 0]) * ways.load[place]
        gain += ways.gain[place]
    n = len(ways.load) - 1
    left = max(walk.whole[3], 1)
    features[0] = walk.whole[3] / n
    features[1] = walk.real[2] / 10.0
    features[2] = 1.0 - walk.real[0]
    features[3] = 1.0 if walk.whole[0] == 0 else 0.0
    features[4] = spread / left
    features[5] = radial / left
    features[6] = gain / left
    features[KIND] = (1.0 if ways.settings[1] > 0.0 else 0.0) + TOUR * (1.0 - ways.settings[0])
    costs[0], costs[1] = 0.5 * walk.real[4], 0.5 * walk.real[5]


@nb.njit(cache=True)
def walk_value(ways: Ways, walk: Walk, net: Perceptrons) -> float:
    """Return the expected cost to come."""
    features, costs = np.empty(NUM_STATE_FEATURES), np.empty(NUM_COSTS)
    describe_state(ways, walk, features, costs)
    hidden = net.v1_bias.copy()
    for i in range(len(features)):
        hidden += features[i] * net.v1[i]
    hidden = np.maximum(hidden, 0.0)
    total = 0.0
    for part in range(NUM_COSTS):
        weight = net.v2_bias[part] + (hidden * net.v2[:, part]).sum()
        total += costs[part] * math.exp(min(max(weight, -2.0), 2.0))
    return total
