"""Playing parts of the game again: neighbouring routes are freed, and the policy constructs them anew.

A part is itself a game of the policy: a state in which the other routes are finished. The best answer met is returned,
never one worse than the start. Reconstruction of random parts is how F. Luo et al. 2023, *Neural combinatorial optimization
with heavy decoder: toward large scale generalization*, section 4.3, decode their policy; they free segments, here it is
whole routes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.vrp.policy_walk import split_path
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.heads.combinatorial.vrp.policy import Policy
    from gnnlib.heads.combinatorial.vrp.policy_kernel import Ways
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["rebuild", "replay"]

_MOST_CLIENTS = 40
"""Clients of a part, where two routes do not have more."""

_ROUTES = (2, 3, 4)
"""Routes of a part."""

_HEAT, _COOLING = 1.0, 0.1
"""What is accepted at first, in mean distances between neighbours, and which share of it at the end."""

_SEEN = 0.1
"""The heat is less where clients are seen in fewer than ten rounds each, in proportion."""


class _Routes:
    """Complete routes of a policy's problem, that are taken apart and put together again."""

    def __init__(self, policy: Policy, found: tuple[float, list[int]]) -> None:
        self.policy = policy
        self.cost, path = found
        self.routes = split_path(path)
        served = {place for route in self.routes for place in route}
        self.left_out = [place for place in range(1, len(policy.ways.load)) if place not in served]

    @property
    def path(self) -> list[int]:
        """Actions of the walk that makes these routes."""
        return [place for route in self.routes for place in (*route, 0)]

    def near(self, place: int, count: int) -> list[int]:
        """Return the numbers of `count` routes nearest to a place, fewer where these have many clients."""
        owner = {client: number for number, route in enumerate(self.routes) for client in route}
        numbers: list[int] = []
        clients = 0
        for other in np.argsort(self.policy.ways.dist[place], kind="stable").tolist():
            number = owner.get(other)
            if number is None or number in numbers:
                continue
            clients += len(self.routes[number])
            if len(numbers) >= 2 and clients > _MOST_CLIENTS:
                break
            numbers.append(number)
            if len(numbers) == count:
                break
        return numbers

    def play(
        self, numbers: list[int], decode: Callable[[Policy], tuple[float, list[int]]], *, slack: float = 0.0
    ) -> bool:
        """Let `decode` construct some of the routes anew; keep them if they cost less than `slack` more, and tell so."""
        freed = [self.routes[number] for number in numbers]
        places = np.array([0, *sorted([place for route in freed for place in route] + self.left_out)])
        ways = self.policy.ways
        before = sum(_length(ways.dist, route) for route in freed) + 1e6 * len(self.left_out)
        part = type(self.policy)(
            self.policy.problem, _part(ways, places, len(self.routes) - len(freed)), self.policy.net
        )
        after, path = decode(part)
        if after >= before + slack - 1e-9:
            return False
        kept = [route for number, route in enumerate(self.routes) if number not in numbers]
        new = _Routes(part, (after, path))
        self.routes = kept + [places[route].tolist() for route in new.routes]
        self.left_out = places[new.left_out].tolist()
        self.cost += after - before
        return True


def _length(dist: FloatArray, route: list[int]) -> float:
    return float(dist[[0, *route], [*route, 0]].sum())


def _part(ways: Ways, places: IntArray, driven: int) -> Ways:
    """Return what the walk sees of the depot and some clients, `driven` of the vehicles being under way elsewhere."""
    number = np.zeros(len(ways.load), np.int64)
    number[places] = np.arange(len(places))
    square = np.ix_(places, places)
    settings = ways.settings.copy()
    settings[2] -= driven
    return ways._replace(
        dist=np.ascontiguousarray(ways.dist[square]),
        dur=np.ascontiguousarray(ways.dur[square]),
        load=ways.load[places],
        opening=ways.opening[places],
        closing=ways.closing[places],
        service=ways.service[places],
        consecutive=np.ascontiguousarray(ways.consecutive[square]),
        together=np.ascontiguousarray(ways.together[square]),
        gain=ways.gain[places],
        near=number[ways.near[places]],
        penalties=ways.penalties[places],
        pairs=_within(ways.pairs, number),
        guided=_within(ways.guided, number),
        settings=settings,
    )


@nb.njit(cache=True)
def _within(pairs: IntArray, number: IntArray) -> IntArray:
    """Return the pairs whose clients both have a number above 0, by these numbers."""
    kept, count = np.empty_like(pairs), 0
    for row in range(len(pairs)):
        a, b = number[pairs[row, 0]], number[pairs[row, 1]]
        if a > 0 and b > 0:
            kept[count, 0], kept[count, 1] = a, b
            count += 1
    return kept[:count].copy()


def rebuild(policy: Policy, start: tuple[float, list[int]], rounds: int, *, seed: Seed = 0) -> tuple[float, list[int]]:
    """Construct parts around random clients anew, by one sample each; return the least cost and its path.

    What is worse is kept too, less and less often, by the rule of annealing.

    Parameters
    ----------
    policy : Policy
    start : tuple of float and list of int
        Cost and path of a construction.
    rounds : int >= 0
        Parts that are tried.
    seed : int
    """
    rng, now, best = numpy_generator(seed), _Routes(policy, start), start
    clients = len(policy.ways.load) - 1
    heat = _HEAT * min(1.0, _SEEN * rounds / max(clients, 1))
    for number in range(rounds if now.routes else 0):
        numbers = now.near(int(rng.integers(1, clients + 1)), int(rng.choice(_ROUTES)))
        state = int(rng.integers(1, 2**62))
        slack = -heat * _COOLING ** (number / rounds) * math.log(1.0 - rng.random())
        now.play(numbers, lambda part, state=state: part.roll(1.0, state), slack=slack)  # type: ignore[misc]
        if now.cost < best[0] - 1e-9:
            best = (now.cost, now.path)
    return best


def replay(
    policy: Policy,
    start: tuple[float, list[int]],
    decode: Callable[[Policy], tuple[float, list[int]]],
    *,
    seed: Seed = 0,
) -> tuple[float, list[int]]:
    """Let a decoder play parts again, every set of clients once, until none gets better; return cost and path.

    Parameters
    ----------
    policy : Policy
    start : tuple of float and list of int
        Cost and path of a construction.
    decode : callable
        From a part to the cost and path of its construction; the same every time.
    seed : int
        Of the order.
    """
    rng, now = numpy_generator(seed), _Routes(policy, start)
    tried: set[frozenset[int]] = set()
    is_better = bool(now.routes)
    while is_better:
        is_better = False
        for place in rng.permutation(np.arange(1, len(policy.ways.load))).tolist():
            for count in _ROUTES:
                numbers = now.near(place, count)
                clients = frozenset(client for number in numbers for client in now.routes[number])
                if clients not in tried:
                    tried.add(clients)
                    is_better |= now.play(numbers, decode)
    return min(start, (now.cost, now.path))
