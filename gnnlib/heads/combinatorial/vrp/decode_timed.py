"""The engine for the plain problem with one window a client (VRPTW)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.kernels import vrp_cvrp_moves as plain
from gnnlib.heads.combinatorial.kernels import vrp_route as columns
from gnnlib.heads.combinatorial.kernels import vrp_timed_moves as kernel
from gnnlib.heads.combinatorial.kernels.vrp_strings import PRED, ROUTE, SUCC
from gnnlib.heads.combinatorial.kernels.vrp_timed import anneal_timed
from gnnlib.heads.combinatorial.vrp.arrays import kind_rows, near_in_time
from gnnlib.heads.combinatorial.vrp.decode_plain import PlainEngine

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["TimedEngine"]

_LONG_CLIENTS = 150.0
"""Clients up to which all rounds take long strings; beyond, their share falls with the square of the number.

They let a whole route go, without which a search on long routes stays at one vehicle too many (with 100 clients, stops
of 1 s: 0.6 % in place of 2.5 % on average); with 1,000 clients they cost more rounds than they bring (2.9 % in place of
2.7 % when a fifth of the rounds takes them, stops of 10 s).
"""

_USUAL_CLIENTS = 100.0
"""Clients of a problem with the usual temperature; it grows with the root of their number.

With 1,000 clients and stops of 10 s the usual temperature gave 4.2 %, 2 times that 3.6 %, this one 2.7 %, 3 times
this one at the start 3.2 %. On six other instances this gave 2.46 %, 0.6 times it at the start and two thirds of it
at the end 2.46 %, 0.4 times it at the start 2.81 %; a vehicle that costs ten times the temperature beside its distance
saved vehicles and gave 3.86 %.
"""


class TimedEngine(PlainEngine):
    """State of one search on a problem that `is_timed`.

    Parameters
    ----------
    problem, params, seed, start, is_learned
        As for `PlainEngine`; without a start clients are inserted one by one, those that close first to begin with.
    """

    _client_columns, _node_columns = kernel.CLIENT_COLUMNS, kernel.NODE_COLUMNS

    def _neighbours(self, count: int) -> tuple[IntArray, FloatArray]:
        near = near_in_time(self.problem, count) - 1
        rows = np.arange(1, len(near) + 1)[:, None]
        return near, self.problem.travel.distance(rows, near + 1)

    def _first(self, capacity: float) -> list[list[int]]:  # noqa: ARG002
        return []

    def _allocate(self, places: int) -> None:
        super()._allocate(places)
        problem = self.problem
        self._settings = np.append(self._settings[: kernel.LONG], min(1.0, (_LONG_CLIENTS / problem.num_clients) ** 2))
        self._clients[1:, [kernel.OPEN, kernel.CLOSE]] = problem.windows[:, 0]
        self._clients[1:, kernel.SERVICE] = problem.service_time
        hours = kind_rows(problem)[0, [columns.OPENS, columns.CLOSES]]
        self._nodes[places:, [kernel.DEP, kernel.LATE]] = hours

    def _fill(self, route: IntArray, end: int) -> bool:
        if kernel.load_timed_route(
            self._links, self._nodes, self._routes, self._clients, self._state,
            int(self._settings[plain.ROUNDING]), route, end,
        ):  # fmt: skip
            return True
        number = end - len(self._clients)
        self._links[route, ROUTE] = self.num_routes
        self._links[end, [PRED, SUCC]] = end
        self._nodes[end, [plain.IN, plain.OUT]] = 0.0
        self._routes[number] = 0.0
        self._state[plain.USED] -= 1
        return False

    def _urgency(self, clients: IntArray) -> FloatArray:
        keys: FloatArray = self._clients[clients, kernel.CLOSE]
        return keys

    def _insert(self, clients: IntArray, log: IntArray) -> float:
        return float(
            kernel.insert_timed(
                self._links, self._nodes, self._routes, self._clients, self._near, self._apart, self._settings,
                self._rng, self._state, self._lists, clients, len(clients), log,
            )
        )  # fmt: skip

    @property
    def step(self) -> float:
        """Unit of temperature."""
        return super().step * max(1.0, math.sqrt(self.problem.num_clients / _USUAL_CLIENTS))

    def _anneal(self, temperatures: tuple[float, float], rounds: int, growth: float) -> int:
        return int(
            anneal_timed(
                self._links, self._nodes, self._routes, self._clients, self._near, self._apart, self._settings,
                self._rng, self._state, self._lists, self._best, self._costs, self._centres, temperatures, rounds, growth,
            )
        )  # fmt: skip
