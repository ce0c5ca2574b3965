"""The engine for the plain problem: one depot, one kind of vehicle, one load, plane distances."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels import vrp_cvrp_moves as kernel
from gnnlib.heads.combinatorial.kernels.vrp_cvrp import anneal_cvrp
from gnnlib.heads.combinatorial.kernels.vrp_savings import savings_routes
from gnnlib.heads.combinatorial.kernels.vrp_strings import PRED, ROUTE, SUCC
from gnnlib.heads.combinatorial.vrp.arrays import curve_order, nearest_clients
from gnnlib.heads.combinatorial.vrp.priors import order_neighbours
from gnnlib.heads.combinatorial.vrp.travel import ROUNDINGS, round_distances
from gnnlib.seeding import numpy_generator, spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.params import RouteParams
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["RUIN_NEAR", "PlainEngine"]

RUIN_NEAR, _RUIN_NEAR_LARGE, _LARGE = 100, 40, 8000
"""Neighbours among whom strings are looked for; fewer from `_LARGE` clients on, where memory is what takes time."""


_WINDOW, _WINDOW_ROUNDS = 1000, 1000
"""Clients near whom rounds take place for a while, and for how many rounds, in problems with more than `_LARGE`.

What they read stays in the cache: with 30,000 clients that is 93,000 rounds a second in place of 59,000, with 6,000 at
best a tenth more.
"""

_GROWTH = 0.25
"""What it costs more to leave a client out after each round without it, in units of the usual price."""


class PlainEngine:
    """State of one search; distances only, the unit of `cost` is the problem's.

    Parameters
    ----------
    problem : VRP
        One that `is_plain`.
    params : RouteParams
    seed : int or None
    start : sequence of sequences of int, optional
        Routes to start from, each within the capacity; default: savings.
    is_learned : bool
        Whether the graph network chooses next to whom a client may be inserted.

    Attributes
    ----------
    num_routes : int
        Routes that an answer may have.
    """

    _client_columns, _node_columns = 4, 4

    def __init__(
        self,
        problem: VRP,
        params: RouteParams,
        seed: int | None,
        start: Sequence[Sequence[int]] | None = None,
        *,
        is_learned: bool = False,
    ) -> None:
        self.problem = problem
        kind, coords = problem.vehicle_types[0], problem.travel.coords
        places, rounding = problem.travel.num_places, problem.travel.rounding
        if coords is None:
            raise InputError("a plain problem needs `coords`, found none")
        near, apart = self._neighbours(max(params.num_neighbours, RUIN_NEAR if places <= _LARGE else _RUIN_NEAR_LARGE))
        if is_learned:
            order = order_neighbours(problem, near, prior="gnn", count=params.num_neighbours)
            near, apart = np.take_along_axis(near, order, axis=1), np.take_along_axis(apart, order, axis=1)
        self._near = np.zeros((places, near.shape[1]), np.uint32)
        self._near[1:] = near + 1
        self._apart = np.zeros(self._near.shape)
        self._apart[1:] = round_distances(apart, rounding)
        self._clients = np.zeros((places, self._client_columns))
        self._clients[1:, kernel.DEMAND] = problem.delivery[:, 0]
        self._clients[:, kernel.HOME] = round_distances(np.hypot(*(coords - coords[0]).T), rounding)
        home = float(self._clients[:, kernel.HOME].max())
        self._clients[1:, kernel.WEIGHT] = self._penalty = 20.0 * (home + 1.0)
        capacity = kind.capacity[0]
        self._settings = np.array(
            [
                *(ROUNDINGS.index(rounding), capacity, params.mean_removed, params.max_string, params.blink),
                params.num_neighbours,
            ]
        )
        self._rng = np.array(spawn_seeds(seed, 2), np.uint64)[:1] * np.uint64(2**31) + np.uint64(
            spawn_seeds(seed, 2)[1] | 1
        )
        self._centres = self._order = 1 + curve_order(coords[1:])
        self._places = numpy_generator(spawn_seeds(seed, 3)[2])
        routes = self._within(capacity, self._first(capacity) if start is None else [list(route) for route in start])
        fair = 2.0 * problem.delivery.sum() / capacity if 0.0 < capacity < math.inf else 1.0
        self._begin(routes, min(kind.count, max(len(routes), math.ceil(fair) + 50), places - 1))

    def _begin(self, routes: list[list[int]], most: int) -> None:
        """Start from routes, of which there may never be more than `most`; the others' clients are inserted."""
        self.num_routes = most
        self._allocate(len(self._clients))
        self._load(routes[:most])

    def _neighbours(self, count: int) -> tuple[IntArray, FloatArray]:
        """Numbers from 0 and unrounded distances [n, K] of the clients near each client."""
        coords = self.problem.travel.coords
        return nearest_clients(np.zeros((1, 2)) if coords is None else coords[1:], count)

    def _first(self, capacity: float) -> list[list[int]]:
        """First routes: savings."""
        chain = savings_routes(self._clients, self._near, self._apart, capacity)
        return [part[part > 0].tolist() for part in np.split(chain, np.flatnonzero(chain == 0) + 1)]

    def _within(self, capacity: float, routes: list[list[int]]) -> list[list[int]]:
        """Routes that hold their clients, fullest first: those beyond the number of vehicles are taken apart."""
        loads = [float(self._clients[route, kernel.DEMAND].sum()) for route in routes]
        full = sorted(range(len(routes)), key=lambda number: -loads[number])
        return [routes[number] for number in full if routes[number] and loads[number] <= capacity + 1e-9]

    def _allocate(self, places: int) -> None:
        count, coords = self.num_routes, self.problem.travel.coords
        nodes = places + count
        self._links = np.zeros((nodes, 4), np.uint32)
        self._links[:places, ROUTE] = count
        self._links[places:, ROUTE] = np.arange(count)
        self._links[places:, [PRED, SUCC]] = np.arange(places, nodes)[:, None]
        self._nodes = np.zeros((nodes, self._node_columns))
        self._nodes[:places, :2] = coords
        self._nodes[places:, :2] = self._nodes[0, :2]
        self._routes = np.zeros((count + 1, 2))
        self._routes[count, kernel.LOAD] = np.inf
        self._state = np.zeros(8, np.int64)
        self._lists = np.zeros((nodes, 5), np.int64)
        self._lists[:count, kernel.C_EMPTY] = np.arange(count)[::-1]
        self._lists[:count, kernel.C_WAITING] = 1
        self._state[kernel.EMPTY] = count
        self._best = np.arange(nodes, dtype=np.uint32)
        self._costs = np.zeros(2)

    def _load(self, routes: list[list[int]]) -> None:
        places = len(self._clients)
        given = np.zeros(places, bool)
        for number, route in enumerate(routes):
            given[route] = self._fill(np.array(route, np.int64), places + number)
        ends = np.arange(places, places + len(routes))
        clients = np.flatnonzero(given)
        cost = float(self._nodes[np.concatenate([clients, ends]), kernel.OUT].sum())
        left = np.flatnonzero(~given[1:]) + 1
        left = left[np.argsort(self._urgency(left), kind="stable")]
        cost += self._insert(left, np.zeros((len(left) + 1, 2), np.int64))
        self._state[kernel.LOGGED] = 0
        self._best[:] = self._links[:, SUCC]
        self._costs[:] = cost

    def _fill(self, route: IntArray, end: int) -> bool:
        """Put clients into an empty route; return whether they may stay."""
        kernel.load_route(
            self._links, self._nodes, self._routes, self._clients, self._state,
            int(self._settings[kernel.ROUNDING]), route, end,
        )  # fmt: skip
        return True

    def _urgency(self, clients: IntArray) -> FloatArray:
        """Keys by which clients are inserted one by one, lowest first."""
        keys: FloatArray = -self._clients[clients, kernel.DEMAND]
        return keys

    def _insert(self, clients: IntArray, log: IntArray) -> float:
        return float(
            kernel.insert_clients(
                self._links, self._nodes, self._routes, self._clients, self._near, self._apart, self._settings,
                self._rng, self._state, self._lists, clients, len(clients), log,
            )
        )  # fmt: skip

    @property
    def best_cost(self) -> float:
        """Cost of the best answer in reported units; a penalty is part of it for each absent client."""
        kind = self.problem.vehicle_types[0]
        return float(self._costs[1]) * kind.distance_cost / self.problem.cost_scale

    @property
    def step(self) -> float:
        """Mean length of the ways between clients: the unit of temperature."""
        places = len(self._clients)
        inner = (self._links[1:places, SUCC] < places) & (self._links[1:places, ROUTE] < self.num_routes)
        steps = self._nodes[1:places, kernel.OUT]
        found = steps[inner] if inner.any() else 2.0 * self._clients[1:, kernel.HOME]
        return float(found.mean())

    def run(self, temperatures: tuple[float, float], rounds: int) -> None:
        """Anneal for a number of rounds."""
        if len(self._order) <= _LARGE:
            self._anneal(temperatures, rounds, 0.0)
            return
        parts = -(-rounds // _WINDOW_ROUNDS)
        heats = np.geomspace(*temperatures, parts + 1) if temperatures[1] > 0.0 else np.zeros(parts + 1)
        for number in range(parts):
            first = int(self._places.integers(len(self._order)))
            self._centres = np.take(self._order, np.arange(first, first + _WINDOW), mode="wrap")
            here = min(_WINDOW_ROUNDS, rounds - number * _WINDOW_ROUNDS)
            self._anneal((float(heats[number]), float(heats[number + 1])), here, 0.0)
        self._centres = self._order

    def _anneal(self, temperatures: tuple[float, float], rounds: int, growth: float) -> int:
        return int(
            anneal_cvrp(
                self._links, self._nodes, self._routes, self._clients, self._near, self._apart, self._settings,
                self._rng, self._state, self._lists, self._best, self._costs, self._centres, temperatures, rounds, growth,
            )
        )  # fmt: skip

    @property
    def fewest_routes(self) -> int:
        """Fewest vehicles whose capacity holds all demand."""
        demand, capacity = float(self._clients[:, kernel.DEMAND].sum()), float(self._settings[kernel.CAPACITY])
        return max(1, math.ceil(demand / capacity - 1e-9)) if capacity > 0.0 else 1

    @property
    def num_absent(self) -> int:
        """Clients that are in no route now."""
        return int(self._state[kernel.ABSENT])

    def drop_route(self) -> None:
        """Go on from the best answer with one vehicle fewer: the route whose clients were absent least often."""
        routes, _ = self.routes()
        easy = min(range(len(routes)), key=lambda number: float(self._clients[routes[number], kernel.WEIGHT].sum()))
        self._begin(routes[:easy] + routes[easy + 1 :], len(routes) - 1)

    def settle(self, routes: list[list[int]], most: int, *, is_shedding: bool) -> None:
        """Go on from routes with at most `most` of them.

        While routes are shed, leaving a client out costs little at first and more with every round, see `serve_all`.
        """
        self._clients[1:, kernel.WEIGHT] = _GROWTH * self._penalty if is_shedding else self._penalty
        self._begin(routes, most)

    def serve_all(self, temperature: float, rounds: int) -> int:
        """Search until all clients are served, for a number of rounds at most; return their number."""
        return self._anneal((temperature, temperature), rounds, _GROWTH * self._penalty)

    def routes(self) -> tuple[list[list[int]], list[int]]:
        """Return the best routes and the types of their vehicles."""
        places, found = len(self._clients), []
        behind = self._best.tolist()
        for end in range(places, places + self.num_routes):
            route, node = [], behind[end]
            while node < places:
                route.append(node)
                node = behind[node]
            if route:
                found.append(route)
        return found, [0] * len(found)
