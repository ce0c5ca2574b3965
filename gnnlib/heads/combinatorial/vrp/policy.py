"""The learned constructive policy: one for tours, capacities and time windows, and five ways to decode it.

The game is that of I. Drori et al. 2020, *Learning to solve combinatorial optimization problems on real-world graphs in
linear time*, section 3: the state is the partial routes, an action the next client (or the depot), and the reward minus
the added cost. The graph is encoded once; after that every step is compiled code. Each step also looks ahead (see
`gnnlib.heads.combinatorial.vrp.policy_ahead`), and with the shipped weights that is what the answers owe their quality
to: greedy constructions are as good as those of `pilot_routes`, which has learned nothing, and not measurably better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.graph import NUM_NEIGHBOURS, length_unit, near_clients, route_graph
from gnnlib.heads.combinatorial.vrp.policy_ahead import BOUND, SAVINGS, WINDOWS, ascend
from gnnlib.heads.combinatorial.vrp.policy_completions import (
    joined_path,
    rest_by_savings,
    rest_in_time,
    savings_pairs,
    timed_pairs,
)
from gnnlib.heads.combinatorial.vrp.policy_kernel import Perceptrons, Ways, new_walk
from gnnlib.heads.combinatorial.vrp.policy_walk import follow, follow_estimate, roll_out, split_path
from gnnlib.heads.combinatorial.vrp.result import RouteResult
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.heads.combinatorial.vrp.head import StepPolicy
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "DECODERS",
    "WEIGHTS",
    "Policy",
    "check_problem",
    "construct_routes",
    "perceptrons",
    "pilot_routes",
    "ways_of",
]

Decoder = Literal["greedy", "sampling", "beam", "mcts", "rebuild"]
DECODERS: tuple[Decoder, ...] = ("greedy", "sampling", "beam", "mcts", "rebuild")

WEIGHTS = "vrp-policy"
"""Name of the shipped weights."""

LARGEST = 1000
"""Most clients of an instance that is constructed: a step looks at all of them."""

_NO_EDGE = -8.0

_SAY_OF_SAVINGS = 0.5
"""What a certain edge counts in the guided order of pairs, in mean distances between neighbours."""

_FIRST_ASCENT = (200, 0.05, 0.0005)
"""Steps of the bound of the whole tour, and their first and last size."""


def check_problem(problem: VRP) -> None:
    """Refuse what the policy has no words for.

    Raises
    ------
    InputError
        If the problem is not a tour, CVRP or VRPTW with one depot and one kind of vehicle.
    """
    kind = problem.vehicle_types[0]
    causes = {
        "several depots": problem.num_depots > 1,
        "several vehicle types": len(problem.vehicle_types) > 1,
        "open routes or reloads": kind.end is None or bool(kind.reload_depots),
        "pickups": bool(problem.pickup.any()),
        "loads of several dimensions": problem.delivery.shape[1] > 1,
        "several time windows": problem.windows.shape[1] > 1,
        "clients who need not be served": not problem.required.all(),
        "limits of distance or duration": math.isfinite(min(kind.max_distance, kind.max_duration)),
        "skills": any(problem.skills),
        f"more than {LARGEST:,} clients": problem.num_clients > LARGEST,
    }
    found = [cause for cause, holds in causes.items() if holds]
    if found:
        raise InputError(f"the policy constructs tours, CVRP and VRPTW; this problem has {', '.join(found)}")


def ways_of(problem: VRP, model: GraphModel) -> Ways:
    """Encode an instance once and lay out what the steps of a construction need."""
    import torch

    with torch.inference_mode():
        graph = route_graph(problem)
        scores = model(graph)
    places = problem.travel.num_places
    near, lengths = near_clients(problem, NUM_NEIGHBOURS)
    unit = length_unit(lengths)
    tails, heads = graph.edge_index.numpy()
    consecutive, together = np.full((places, places), _NO_EDGE), np.zeros((places, places))
    consecutive[tails, heads] = scores.consecutive.double().clamp(_NO_EDGE, -_NO_EDGE).numpy()
    together[tails, heads] = scores.together.double().sigmoid().numpy()
    together[0] = together[:, 0] = 0.0
    return _lay_out(problem, unit, near, consecutive, together, scores.gain.double().numpy())


def _lay_out(
    problem: VRP, unit: float, near: IntArray, consecutive: FloatArray, together: FloatArray, gain: FloatArray
) -> Ways:
    kind = problem.vehicle_types[0]
    capacity = kind.capacity[0] if kind.capacity else math.inf
    has_loads = math.isfinite(capacity) and problem.delivery.any()
    load = np.zeros(problem.travel.num_places)
    if has_loads:
        load[1:] = problem.delivery[:, 0] / capacity
    opening = np.concatenate([[max(kind.shift[0], problem.depot_windows[0, 0])], problem.windows[:, 0, 0]])
    closing = np.concatenate([[min(kind.shift[1], problem.depot_windows[0, 1])], problem.windows[:, 0, 1]])
    finite = closing[np.isfinite(closing)]
    day = float(finite.max()) / unit if problem.has_windows and finite.size else 0.0
    most = 1.0 if not has_loads and day == 0.0 else float(problem.num_vehicles)
    dist = np.ascontiguousarray(problem.travel.distance_matrix(kind.profile)) / unit
    has_times = problem.travel.durations is not None
    dur = np.ascontiguousarray(problem.travel.duration_matrix(kind.profile)) / unit if has_times else dist
    times = opening / unit, closing / unit, np.concatenate([[0.0], problem.service_time]) / unit
    mode = WINDOWS if day > 0.0 else SAVINGS if has_loads else BOUND
    penalties, pairs, guided = _look_ahead(mode, dist, dur, times, 1.0 / (1.0 + np.exp(-consecutive)))
    return Ways(
        dist=dist,
        dur=dur,
        load=load,
        opening=times[0],
        closing=times[1],
        service=times[2],
        consecutive=consecutive,
        together=together,
        gain=np.ascontiguousarray(gain),
        near=np.concatenate([np.zeros((1, near.shape[1]), np.int64), near + 1]),
        penalties=penalties,
        pairs=pairs,
        guided=guided,
        settings=np.array([float(has_loads), day, most, mode]),
    )


def _look_ahead(
    mode: float, dist: FloatArray, dur: FloatArray, times: tuple[FloatArray, FloatArray, FloatArray], likely: FloatArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the penalties of the bound, and the pairs of the two completions; `likely` are probabilities of edges."""
    penalties, nothing = np.zeros(len(dist)), np.zeros_like(dist)
    if mode == WINDOWS:
        guided = timed_pairs(dist, dur, times, _SAY_OF_SAVINGS * likely)
        return penalties, timed_pairs(dist, dur, times, nothing), guided
    if mode == SAVINGS:
        return penalties, savings_pairs(dist, nothing), savings_pairs(dist, _SAY_OF_SAVINGS * likely)
    ascend(dist, penalties, np.arange(1, len(dist)), len(dist) - 1, 0, _FIRST_ASCENT)
    return penalties, np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64)


def perceptrons(policy: StepPolicy) -> Perceptrons:
    """Return the weights of a `StepPolicy` for the compiled steps."""
    import torch

    arrays = []
    for module in [*policy.act, *policy.act_on_tour, *policy.weigh]:
        if isinstance(module, torch.nn.Linear):
            weight, bias = module.weight.detach().double(), module.bias.detach().double()
            arrays += [np.ascontiguousarray(weight.numpy().T), bias.numpy().copy()]
    arrays.append(policy.faith.detach().double().numpy().copy())
    return Perceptrons(*arrays)


def _policy_of(model: GraphModel) -> StepPolicy:
    from gnnlib.heads.combinatorial.vrp.head import RouteHead

    if not isinstance(model.head, RouteHead):
        raise InputError(f"the policy needs a model with a RouteHead, found {type(model.head).__name__}")
    return model.head.policy


@dataclass(frozen=True, eq=False)
class Policy:
    """An encoded instance with the weights that read it: what the decoders work on.

    Parameters
    ----------
    problem : VRP
    ways : Ways
    net : Perceptrons
    """

    problem: VRP
    ways: Ways
    net: Perceptrons

    @classmethod
    def encode(cls, problem: VRP, model: GraphModel) -> Policy:
        """Encode `problem`; see `check_problem` for what it may be."""
        check_problem(problem)
        return cls(problem, ways_of(problem, model), perceptrons(_policy_of(model)))

    def greedy(self) -> tuple[float, list[int]]:
        """Take the likeliest action in every step; return cost (in units) and path."""
        return self.roll(0.0, 1)

    def sample(self, count: int, *, temperature: float = 1.0, seed: Seed = 0) -> tuple[float, list[int]]:
        """Return the best of the greedy construction and `count` - 1 sampled ones."""
        best = self.greedy()
        for state in spawn_seeds(seed, count - 1):
            best = min(best, self.roll(temperature, state + 1))
        return best

    def start(self) -> tuple[float, list[int]]:
        """Return cost and path of the best of the greedy construction and the two completions that it reads first."""
        ways, found = self.ways, [self.greedy()]
        if ways.settings[3] != BOUND:
            is_timed = ways.settings[3] == WINDOWS
            for pairs in (ways.pairs, ways.guided):
                walk, joined = new_walk(ways), np.empty((len(ways.load), 2), np.int64)
                if is_timed:
                    rest_in_time(ways, pairs, walk.visited, 0, 0.0, ways.opening[0], joined)
                else:
                    rest_by_savings(ways.dist, ways.load, pairs, walk.visited, 0, 0.0, joined)
                path = joined_path(joined, is_directed=is_timed)
                if follow(ways, walk, np.array(path)):
                    found.append((_penalised(walk.whole[3], walk.real[3]), path))
        return min(found)

    def roll(self, temperature: float, seed: int) -> tuple[float, list[int]]:
        """Construct once, greedily when `temperature` is 0; `seed` is not 0. Return cost and path."""
        walk, path = new_walk(self.ways), np.empty(2 * len(self.ways.load), np.int64)
        taken, _ = roll_out(self.ways, walk, self.net, temperature, np.array([seed]), path)
        return _penalised(walk.whole[3], walk.real[3]), path[:taken].tolist()

    def result(self, path: list[int]) -> RouteResult:
        """Return the routes of a path, checked."""
        return _routes_of(self.problem, path)


def _routes_of(problem: VRP, path: list[int]) -> RouteResult:
    driven = split_path(path)
    return RouteResult.from_routes(problem, driven, [0] * len(driven))


def _penalised(left: int, cost: float) -> float:
    """Cost with every client who is left out counting more than any route."""
    return float(cost) + 1e6 * int(left)


def pilot_routes(problem: VRP) -> RouteResult:
    """Construct routes by looking ahead alone, without anything learned: the pilot method.

    In each step the action is taken after which the estimate of the whole cost is least: by a completion with savings,
    or, for tours, by the bound of what is left.

    Parameters
    ----------
    problem : VRP
        As for `construct_routes`.

    References
    ----------
    .. [1] C. Duin and S. Voss, The pilot method: a strategy for heuristic repetition with application to the Steiner
       problem in graphs, Networks 34 (1999), section 2.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> pilot_routes(VRP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]], demand=[1, 1, 1], capacity=3)).cost
    4.0
    """
    check_problem(problem)
    near, lengths = near_clients(problem, NUM_NEIGHBOURS)
    places = problem.travel.num_places
    blank = np.full((places, places), _NO_EDGE)
    ways = _lay_out(problem, length_unit(lengths), near, blank, np.zeros_like(blank), np.zeros(places))
    path = np.empty(2 * places, np.int64)
    taken = follow_estimate(ways, new_walk(ways), path)
    return _routes_of(problem, path[:taken].tolist())


def construct_routes(
    problem: VRP,
    *,
    decoder: Decoder = "greedy",
    effort: int = 64,
    model: GraphModel | None = None,
    seed: Seed = 0,
) -> RouteResult:
    """Construct routes with the learned policy alone: no local search, no ruin and recreate.

    Parameters
    ----------
    problem : VRP
        A tour (no capacity, no times), CVRP or VRPTW with one depot and one kind of vehicle.
    decoder : {"greedy", "sampling", "beam", "mcts", "rebuild"}
        The likeliest action in each step; the best of `effort` samples; a beam `effort` wide; an answer that was rebuilt,
        and whose parts are played again by tree search with PUCT, `effort` simulations a step, until none gets better;
        neighbouring routes constructed again by samples, `effort` times. The last brings most per second: hundreds to
        thousands are usual.
    effort : int >= 1
    model : GraphModel, optional
        Default: the shipped weights.
    seed : int
        Of the samples.

    Returns
    -------
    RouteResult
        Every decoder's answer is at least as good as the greedy one.

    Raises
    ------
    InputError
        If the policy does not know such problems, or an option is not valid.
    WeightsError
        If there are no weights.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> square = VRP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]], demand=[1, 1, 1], capacity=3)
    >>> construct_routes(square, decoder="rebuild", effort=5).cost
    4.0
    """
    if decoder not in DECODERS:
        raise InputError(f"`decoder` must be one of {', '.join(DECODERS)}, found {decoder!r}")
    if isinstance(effort, bool) or not isinstance(effort, int) or effort < 1:
        raise InputError(f"`effort` must be a whole number >= 1, found {effort!r}")
    check_problem(problem)
    if model is None:
        from gnnlib.encoder import load

        model = load(WEIGHTS)
    policy = Policy.encode(problem, model)
    return policy.result(_decode(policy, decoder, effort, seed)[1])


def _decode(policy: Policy, decoder: Decoder, effort: int, seed: Seed) -> tuple[float, list[int]]:
    from gnnlib.heads.combinatorial.vrp.policy_rebuild import rebuild
    from gnnlib.heads.combinatorial.vrp.policy_search import beam_search, tree_search

    if decoder == "greedy":
        return policy.greedy()
    if decoder == "sampling":
        return policy.sample(effort, seed=seed)
    if decoder == "beam":
        return beam_search(policy, effort)
    if decoder == "mcts":
        return tree_search(policy, effort, seed=seed)
    return rebuild(policy, policy.start(), effort, seed=seed)
