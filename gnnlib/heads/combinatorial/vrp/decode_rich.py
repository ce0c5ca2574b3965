"""The engine for every other problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.kernels import vrp_rich_moves as kernel
from gnnlib.heads.combinatorial.kernels import vrp_route as columns
from gnnlib.heads.combinatorial.kernels.vrp_rich import anneal_rich
from gnnlib.heads.combinatorial.kernels.vrp_rich_recreate import insert_tasks
from gnnlib.heads.combinatorial.kernels.vrp_strings import PRED, ROUTE, SUCC
from gnnlib.heads.combinatorial.vrp.arrays import rich_arrays
from gnnlib.heads.combinatorial.vrp.priors import order_neighbours
from gnnlib.seeding import numpy_generator, spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.params import RouteParams
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import FloatArray

__all__ = ["RichEngine"]

_EAGER = 0.2
"""Share of the rounds that serve clients even where it does not pay yet: two may pay together."""


class RichEngine:
    """State of one search.

    Parameters
    ----------
    problem : VRP
    params : RouteParams
    seed : int or None
    start : (routes, types), optional
        Routes to start from; those that may not be driven are taken apart. Default: insertion one by one.
    is_learned : bool
        Whether the graph network chooses next to whom a client may be inserted.
    """

    def __init__(
        self,
        problem: VRP,
        params: RouteParams,
        seed: int | None,
        start: tuple[Sequence[Sequence[int]], Sequence[int]] | None = None,
        *,
        is_learned: bool = False,
    ) -> None:
        self.problem = problem
        self._data = data = rich_arrays(
            problem, params.num_neighbours, least_routes=0 if start is None else len(start[0])
        )
        if is_learned:
            first = problem.num_depots
            rows = data.near[first:]
            order = order_neighbours(
                problem, np.where(rows >= 0, rows - first, -1), prior="gnn", count=params.num_neighbours
            )
            rows[:] = np.take_along_axis(rows, order, axis=1)
        seeds = spawn_seeds(seed, 3)
        self._rng = np.array([seeds[0] << 31 | seeds[1] | 1], np.uint64)
        self._order = numpy_generator(seeds[2])
        self._settings = np.array([params.mean_removed, params.max_string, params.blink, self._penalty(), _EAGER])
        self._allocate()
        if start is not None:
            self._load(*start)
        served = np.zeros(len(data.members), bool)
        served[data.task_of[np.flatnonzero(self._links[: data.flags[columns.PLACES], ROUTE] >= 0)]] = True
        self._insert(np.flatnonzero(~served))
        self._count_cost()

    def _penalty(self) -> float:
        """More than leaving a client out can save."""
        data, travel = self._data, self.problem.travel
        longest = 0.0
        for kind in self.problem.vehicle_types:
            ways = travel.distance(kind.start, np.arange(travel.num_places), kind.profile)
            times = travel.duration(kind.start, np.arange(travel.num_places), kind.profile)
            way, time = (float(np.max(w[np.isfinite(w)], initial=0.0)) for w in (ways, times))
            lasts = time + float(data.service.max()) + float(np.max(data.kinds[:, columns.OPENS]))
            longest = max(longest, kind.fixed_cost + kind.distance_cost * way + kind.duration_cost * lasts)
        return 20.0 * (longest + 1.0) + float(data.prize.max())

    def _allocate(self) -> None:
        data = self._data
        bodies, count = int(data.flags[columns.BODIES]), data.num_routes
        places = int(data.flags[columns.PLACES])
        nodes = bodies + 2 * count
        starts, ends = np.arange(bodies, bodies + count), np.arange(bodies + count, nodes)
        self._links = np.full((nodes, 4), -1, np.int32)
        self._links[:places, columns.PLACE] = np.arange(places)
        self._links[places:bodies, columns.PLACE] = data.stops[:, 1]
        self._links[starts, SUCC], self._links[ends, PRED] = ends, starts
        self._links[starts, ROUTE] = self._links[ends, ROUTE] = np.arange(count)
        self._links[starts, columns.PLACE] = data.kinds[0, columns.START]
        self._links[ends, columns.PLACE] = data.kinds[0, columns.END]
        self._nodes = np.zeros((nodes, columns.NODE_COLUMNS))
        self._nodes[:bodies, columns.SERVICE] = data.service
        self._nodes[:bodies, columns.OPEN] = data.wins[:, 0, 0]
        self._nodes[:bodies, columns.CLOSE] = data.wins[:, 0, 1]
        self._nodes[:bodies, columns.PRIZE] = data.prize
        self._routes = np.zeros((count, columns.LOADS + data.amounts.shape[1]))
        self._lists = np.zeros((max(nodes, len(data.members)) + 1, 10), np.int64)
        self._lists[:count, kernel.L_EMPTY] = np.arange(count)[::-1]
        self._lists[:count, kernel.L_STACKED] = 1
        self._state = np.zeros(8, np.int64)
        self._state[kernel.EMPTY] = count
        self._used = np.zeros(len(data.kinds), np.int64)
        self._costs = np.zeros(2)

    def _load(self, routes: Sequence[Sequence[int]], kinds: Sequence[int]) -> None:
        data = self._data
        free: dict[int, list[int]] = {}
        for node, depot in data.stops.tolist():
            free.setdefault(depot, []).append(node)
        scratch = np.zeros(len(self._nodes) + 8)
        for number, (route, kind) in enumerate(zip(routes, kinds, strict=True)):
            sequence = [c if c >= self.problem.num_depots else free[c].pop() if free.get(c) else -1 for c in route]
            sequence = [node for node in sequence if node >= 0]
            if sequence:
                kernel.load_route(
                    self._links, self._nodes, self._routes, data.kinds, data.caps, data.amounts, data.wins,
                    data.allowed, data.partner, data.xy, data.far, data.long, data.flags, self._state, self._lists,
                    self._used, scratch, np.array(sequence, np.int64), number, int(kind),
                )  # fmt: skip

    def _insert(self, tasks: np.ndarray) -> None:
        data = self._data
        client = data.members[tasks, 0]
        pickup = data.amounts[client, -1] * float(data.flags[columns.BACKHAUL])
        # those that must be reached early begin the routes
        timed = data.flags[columns.TIMED]
        keys = data.wins[client, 0, 1] if timed else -np.abs(data.amounts[client, :-1]).sum(axis=1)
        order = tasks[np.lexsort((self._order.random(len(tasks)), keys, pickup))]
        insert_tasks(
            self._links, self._nodes, self._routes, data.kinds, data.caps, data.amounts, data.wins, data.allowed,
            data.kin, data.partner, data.near, data.xy, data.far, data.long, data.members, data.required, data.flags,
            self._settings, self._rng, self._state, self._lists, self._used, data.stops, order,
        )  # fmt: skip

    def _count_cost(self) -> None:
        """Cost of the present routes, which are the best so far."""
        data = self._data
        places = int(data.flags[columns.PLACES])
        absent = self._links[:places, ROUTE] < 0
        cost = float(self._routes[:, columns.PRICE].sum()) + float(data.prize[:places][absent].sum())
        cost += self._settings[kernel.PENALTY] * float(self._state[kernel.WAITING])
        self._costs[:] = cost
        self._best = self._links[:, SUCC].copy()
        self._best_kind = self._lists[: data.num_routes, kernel.L_KIND].copy()

    @property
    def best_cost(self) -> float:
        """Cost of the best answer in reported units; a penalty is part of it for each absent task."""
        return float(self._costs[1]) / self.problem.cost_scale

    @property
    def step(self) -> float:
        """Mean price of the ways between clients: the unit of temperature."""
        places = int(self._data.flags[columns.PLACES])
        routes = self._links[:places, ROUTE]
        inner = (routes >= 0) & (self._links[:places, SUCC] < places) & (self._links[:places, SUCC] >= 0)
        if not inner.any():
            served = max(1, int((routes >= 0).sum()))
            return float(self._routes[:, columns.PRICE].sum()) / served
        kinds = self._data.kinds[self._lists[routes[inner], kernel.L_KIND]]
        ways: FloatArray = kinds[:, columns.PER_DISTANCE] * self._nodes[:places][inner, columns.OUT]
        ways = ways + kinds[:, columns.PER_DURATION] * self._nodes[:places][inner, columns.TOUT]
        return float(ways.mean())

    def run(self, temperatures: tuple[float, float], rounds: int) -> None:
        """Anneal for a number of rounds."""
        data = self._data
        anneal_rich(
            self._links, self._nodes, self._routes, data.kinds, data.caps, data.amounts, data.wins, data.allowed,
            data.kin, data.partner, data.near, data.xy, data.far, data.long, data.members, data.task_of, data.required,
            data.flags, self._settings, self._rng, self._state, self._lists, self._used, data.stops, self._best,
            self._best_kind, self._costs, temperatures, rounds,
        )  # fmt: skip

    def routes(self) -> tuple[list[list[int]], list[int]]:
        """Return the best routes and the types of their vehicles."""
        data = self._data
        bodies, places = int(data.flags[columns.BODIES]), int(data.flags[columns.PLACES])
        depots = dict(data.stops.tolist())
        behind, found, kinds = self._best.tolist(), [], []
        for number in range(data.num_routes):
            route, node = [], behind[bodies + number]
            while node < bodies:
                route.append(node if node < places else depots[node])
                node = behind[node]
            if route:
                found.append(route)
                kinds.append(int(self._best_kind[number]))
        return found, kinds
