"""The population stage: many local optima, then edge assembly crossover until they agree.

Y. Nagata & S. Kobayashi (2013), *A powerful genetic algorithm using edge assembly crossover for the traveling salesman
problem*. How many tours there are follows from the time that is left; with a number given beforehand the stage depends
on the seed alone. Children are made of single AB-cycles until these change next to nothing (the paper's first stage),
then of blocks of them (its second). After 30 generations of a population of 300 tours of 1,000 uniform points, single
cycles left 119 different tours, 0.07 % above the best in the mean, and changed nothing more in 130 generations; ten
generations of blocks made all of them one tour, shorter than any before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.kernels.eax_cycles import links_of, make_cross_work, write_tour
from gnnlib.heads.combinatorial.kernels.eax_generation import (
    BLOCKS,
    DIVERSE,
    LONG_BLOCKS,
    UNITED,
    Population,
    count_edges,
    cross_pairs,
    make_edge_counts,
)
from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour
from gnnlib.heads.combinatorial.kernels.state import make_state, push_all
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.eax_cycles import CrossWork
    from gnnlib.heads.combinatorial.kernels.eax_generation import EdgeCounts
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.heads.combinatorial.tsp.decode import TourSearch
    from gnnlib.typing import FloatArray

__all__ = ["affordable_size", "crossing_cost", "edge_key", "evolve"]

_SMALLEST_DIVERSE = 14
"""Fewer tours than this lose less by agreeing fast than by being few."""

_LARGEST = 300
"""Number of tours of the paper."""

_REACH = 300
"""Cities tried from each end of a piece when a subtour is joined to the others."""

_SLICE_S = 0.05
_FEW = 0.02
"""Share of the tours changed in a generation below which single cycles give way to blocks, and these to longer ones."""

_SURVIVORS = 50
"""Tours of a population that meet the best ones of the earlier populations."""

_STALLED = 3
"""Generations of blocks without any change after which the tours have nothing left to give each other."""


def crossing_cost(n: int, size: int, mode: int) -> float:
    """Seconds of crossing for a second of making the tours, until they agree, on points of 1,000 to 10,000 cities.

    Chosen by tries: smaller values end in tours that disagree, larger ones in few tours.
    """
    if mode == UNITED:
        return 0.11 * math.sqrt(size) * max(1.0, n / 10_000.0) ** 0.4
    return 0.7 * (n / 1000.0) ** 0.6


def _hurry(n: int) -> float:
    """Share of the crossing cost of `UNITED` that is kept for it; tried on 1,000 to 5,000 cities."""
    return max(0.25, 500.0 / max(n, 1000))


def affordable_size(n: int, seconds: float, mode: int) -> int:
    """How many tours can be made and crossed in so many times the time that one takes to make."""
    size = seconds
    for _ in range(5):
        size = seconds / (1.0 + crossing_cost(n, max(1, int(size)), mode))
    return min(_LARGEST, int(size))


class _Evolution:
    """One population from its first tour to its last generation."""

    def __init__(self, search: TourSearch, seed: int, *, is_wide: bool = False) -> None:
        self.search = search
        self.instance, self.clock, self.params = search.instance, search.clock, search.params
        kick_seed, start_seed, cross_seed = spawn_seeds(seed, 3)
        self.rng = np.random.default_rng(start_seed)
        self.cross_rng = np.array([cross_seed | 1], np.uint64)
        self.state = make_state(search.tour, kick_seed)
        self.mode, self.chunk, self.cost_s = DIVERSE, 1, 0.0
        self.candidates = search.widened() if is_wide else None
        self.population: Population
        self.tours: list[Int32Array] = []
        self.lengths: list[float] = []

    def found(self) -> None:
        """Tell the search when the best tour is better than all before."""
        if self.population.lengths.min() < self.search.raw_length - self.search.tolerance:
            self.search.adopt(self.best())

    def add_tour(self) -> bool:
        """Add a local optimum of its own; return False when the time is up."""
        search, instance, state = self.search, self.instance, self.state
        keys = search.start_keys
        noise = 1.0 + self.params.start_noise * self.rng.random(keys.shape)
        tour = greedy_edge_tour(
            instance.data,
            search.start_lists,
            keys * noise,
            instance.points,
            join_noise=self.params.join_noise,
            rng=self.rng,
        )
        state.tour[:] = tour
        state.pos[tour] = np.arange(len(tour), dtype=np.int32)
        push_all(state)
        if not search.drain(state, self.candidates):
            return False
        self._keep(state.tour)
        return True

    def _keep(self, tour: Int32Array) -> None:
        links = np.empty((len(tour), 2), np.int32)
        links_of(tour, links)
        self.tours.append(links)
        self.lengths.append(float(tour_length(self.instance.data, tour)))

    def grow(self, size: int | None, least: int, *, is_first: bool) -> bool:
        """Make tours, `size` of them or as many as the time allows; return whether they are `least` at least."""
        for tour in (self.search.tour, *self.search.guests) if is_first else ():
            self._keep(tour)
        self.search.guests.clear()
        here = len(self.tours)
        begin, left = self.clock.elapsed_s, 0.95 * self.clock.remaining_s
        wanted = _LARGEST if size is None else size
        while len(self.tours) < wanted:
            if not self.add_tour():
                return False
            made = len(self.tours) - here
            self.cost_s = (self.clock.elapsed_s - begin) / made
            if size is None and made in {1, 3, 10, 30, 100}:
                wanted = here + self._affordable(left / self.cost_s)
                if wanted < least:
                    return False
        return len(self.tours) > 1

    def _affordable(self, seconds: float) -> int:
        """How many tours to make in so many times the time that one takes; choose the mode."""
        n = self.instance.size
        self.mode = DIVERSE
        count = affordable_size(n, seconds, DIVERSE)
        if count < _SMALLEST_DIVERSE:
            self.mode = UNITED
            return affordable_size(n, seconds, UNITED)
        return count // max(1, round(count / _LARGEST))  # stages of equal size fill the time

    def run(self, elites: list[Int32Array]) -> None:
        """Cross until nothing changes, then once more with the best tours of earlier populations."""
        self._settle(np.stack(self.tours), np.array(self.lengths))
        own = self.best()
        if elites and not self.clock.is_over() and not self.search.is_proved:
            self.tours, self.lengths = [], []
            others = {edge_key(tour): tour for tour in [*elites, own, *self.distinct(_SURVIVORS)]}
            for tour in others.values():
                self._keep(tour)
            self.mode = DIVERSE
            self._settle(np.stack(self.tours), np.array(self.lengths))
        elites.append(own)

    def _settle(self, links: Int32Array, lengths: FloatArray) -> None:
        """Cross generation after generation until nothing changes."""
        size, n = len(lengths), self.instance.size
        population = self.population = Population(links, lengths)
        edges, work = make_edge_counts(n, size), make_cross_work(n)
        count_edges(population.links, edges)
        self.found()
        stalled = 0
        while not self.clock.is_over() and stalled < _STALLED and not self.search.is_proved:
            before = lengths.copy()
            hurried_s = _hurry(n) * crossing_cost(n, size, UNITED) * size * self.cost_s
            if self.mode == DIVERSE and self.clock.remaining_s < hurried_s:
                self.mode = UNITED  # or the tours would not agree in time
            self._cross_all(edges, work)
            self.found()
            changed = np.count_nonzero(lengths < before)
            if self.mode == LONG_BLOCKS:
                stalled = stalled + 1 if changed == 0 else 0
            elif changed <= _FEW * size:
                self.mode = LONG_BLOCKS if self.mode == BLOCKS else BLOCKS
                self.chunk = 1  # blocks take longer
            if lengths.max() - lengths.min() <= self.search.tolerance:
                break

    def _cross_all(self, edges: EdgeCounts, work: CrossWork) -> None:
        """Run one generation, or a part of it when the time or the iterations end."""
        children = self.instance.size if self.mode == UNITED else self.params.children
        how = (children, _REACH, self.mode, self.search.tolerance)
        order = self.rng.permutation(len(self.lengths))
        pairs = np.stack([order, np.roll(order, -1)], axis=1)
        clock, first = self.clock, 0
        while first < len(pairs) and not clock.is_over():
            chunk = int(min(self.chunk, len(pairs) - first, clock.remaining_iterations))
            started = clock.elapsed_s
            some = pairs[first : first + chunk]
            cross_pairs(self.instance.data, self.search.spread, self.population, edges, work, some, how, self.cross_rng)
            first += chunk
            clock.update(iterations=clock.iterations + chunk)
            per_pair = max(clock.elapsed_s - started, 1e-7) / chunk
            self.chunk = max(1, min(4 * chunk, int(min(_SLICE_S, 0.5 * clock.remaining_s + 1e-3) / per_pair)))

    def best(self) -> Int32Array:
        """Return the best tour of the population."""
        links = self.population.links[int(self.population.lengths.argmin())]
        tour = np.empty(len(links), np.int32)
        write_tour(links, tour, np.empty_like(tour))
        return tour

    def distinct(self, count: int) -> list[Int32Array]:
        """Return up to `count` tours of the population, the best first, that differ from the search's and each other."""
        best = self.search.tour
        known = {edge_key(best)}
        found: list[Int32Array] = []
        for number in np.argsort(self.population.lengths, kind="stable"):
            if len(found) == count:
                break
            tour = np.empty_like(best)
            write_tour(self.population.links[number], tour, np.empty_like(tour))
            key = edge_key(tour)
            if key not in known:
                known.add(key)
                found.append(tour)
        return found


def edge_key(tour: Int32Array) -> bytes:
    """Return what two tours share exactly when they have the same edges."""
    turned = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
    if turned[1] > turned[-1]:
        turned = np.roll(turned[::-1], 1)
    return turned.tobytes()


def evolve(
    search: TourSearch, seed: int, size: int | None, least: int, elites: list[Int32Array]
) -> tuple[int, list[Int32Array]] | None:
    """Run the population stage on tours made for it, the first time with the search's best among them.

    Later populations grow up apart, so that they do not end where the first one did, and meet the best of the earlier
    ones when they have nothing more to give each other. Every other one may use more candidate edges: of 1,000 edges of
    the best tours, one to four are no candidates of the prior from either end.

    Parameters
    ----------
    search : TourSearch
        Gets every improvement; its clock is kept.
    seed : int
    size : int or None
        Number of tours; None for as many as the time allows.
    least : int
        No stage when the time does not allow so many.
    elites : list of int32 [N]
        The best tours of the populations before this one; the best of this one is added.

    Returns
    -------
    tuple or None
        How many tours there were, and as many other tours of the last generation as the settings ask for; None when
        there was no time for a stage.
    """
    if size is None and (least - 1) * search.tour_cost_s > search.clock.remaining_s:
        return None
    evolution = _Evolution(search, seed, is_wide=len(elites) % 2 == 1)
    if not evolution.grow(size, least, is_first=not elites):
        return None
    made, search.tour_cost_s = len(evolution.tours), evolution.cost_s
    evolution.run(elites)
    return made, evolution.distinct(search.params.alternatives)
