"""The population stage: many local optima, then edge assembly crossover until they agree.

Y. Nagata & S. Kobayashi (2013), *A powerful genetic algorithm using edge assembly crossover for the traveling salesman
problem*. How many tours there are follows from the time that is left; with a number given beforehand the stage depends
on the seed alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.kernels.eax_cycles import links_of, make_cross_work, write_tour
from gnnlib.heads.combinatorial.kernels.eax_generation import Population, count_edges, cross_pairs, make_edge_counts
from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour
from gnnlib.heads.combinatorial.kernels.state import make_state, push_all
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.eax_cycles import CrossWork
    from gnnlib.heads.combinatorial.kernels.eax_generation import EdgeCounts
    from gnnlib.heads.combinatorial.kernels.state import Int32Array
    from gnnlib.heads.combinatorial.tsp.decode import TourSearch
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["SMALLEST", "evolve"]

SMALLEST = 12
"""Fewer tours than this have too little to exchange: kicks do more with the time."""

_LARGEST = 300
"""Number of tours of the paper."""

_SLICE_S = 0.05
_STALLED = 3
"""Generations without any change after which the tours have nothing left to give each other."""


class _Evolution:
    """One population from its first tour to its last generation."""

    def __init__(self, search: TourSearch, seed: int) -> None:
        self.search = search
        self.instance, self.clock, self.params = search.instance, search.clock, search.params
        kick_seed, start_seed, cross_seed = spawn_seeds(seed, 3)
        self.rng = np.random.default_rng(start_seed)
        self.cross_rng = np.array([cross_seed | 1], np.uint64)
        self.state = make_state(search.tour, kick_seed)
        self.tours: list[Int32Array] = []
        self.lengths: list[float] = []

    def found(self, links: Int32Array, lengths: FloatArray) -> None:
        """Tell the search when the best tour is better than all before."""
        best = int(lengths.argmin())
        if lengths[best] < self.search.raw_length - self.search.tolerance:
            tour = np.empty(len(links[best]), np.int32)
            write_tour(links[best], tour, np.empty_like(tour))
            self.search.adopt(tour)

    def add_tour(self) -> bool:
        """Add a local optimum of its own; return False when the time is up."""
        search, instance, state = self.search, self.instance, self.state
        lengths = search.spread_lengths
        noise = 1.0 + self.params.start_noise * self.rng.random(lengths.shape)
        tour = greedy_edge_tour(instance.data, search.spread, lengths * noise, instance.points)
        state.tour[:] = tour
        state.pos[tour] = np.arange(len(tour), dtype=np.int32)
        push_all(state)
        if not search.drain(state):
            return False
        links = np.empty((len(tour), 2), np.int32)
        links_of(state.tour, links)
        self.tours.append(links)
        self.lengths.append(float(tour_length(instance.data, state.tour)))
        return True

    def grow(self, size: int | None) -> bool:
        """Make tours, `size` of them or as many as the time allows; return whether they are enough."""
        links = np.empty((self.instance.size, 2), np.int32)
        links_of(self.search.tour, links)
        self.tours.append(links)
        self.lengths.append(self.search.raw_length)
        begin, left = self.clock.elapsed_s, self.clock.remaining_s
        share = growing_share(self.instance.size)
        while len(self.tours) < (_LARGEST if size is None else size):
            if not self.add_tour():
                return False
            if size is None:
                spent, made = self.clock.elapsed_s - begin, len(self.tours) - 1
                if spent + 0.5 * spent / made > share * left:
                    break
                if made == 3 and spent / made * SMALLEST > share * left:
                    return False
        return True

    def run(self) -> None:
        """Cross generation after generation until nothing changes."""
        size, n = len(self.tours), self.instance.size
        population = Population(np.stack(self.tours), np.array(self.lengths))
        self.tours.clear()
        edges, work = make_edge_counts(n, size), make_cross_work(n)
        count_edges(population.links, edges)
        self.found(population.links, population.lengths)
        stalled, chunk = 0, 1
        while not self.clock.is_over() and stalled < _STALLED and not self.search.is_proved:
            before = population.lengths.sum()
            order = self.rng.permutation(size)
            pairs = np.stack([order, np.roll(order, -1)], axis=1)
            first = 0
            while first < size and not self.clock.is_over():
                chunk = int(min(chunk, size - first, self.clock.remaining_iterations))
                started = self.clock.elapsed_s
                self._cross(population, edges, work, pairs[first : first + chunk])
                first += chunk
                self.clock.update(iterations=self.clock.iterations + chunk)
                per_pair = max(self.clock.elapsed_s - started, 1e-7) / chunk
                chunk = max(1, min(4 * chunk, int(min(_SLICE_S, 0.5 * self.clock.remaining_s + 1e-3) / per_pair)))
            self.found(population.links, population.lengths)
            spread = float(population.lengths.max() - population.lengths.min())
            is_still = population.lengths.sum() > before - self.search.tolerance
            stalled = stalled + 1 if is_still else 0
            if spread <= self.search.tolerance:
                break

    def _cross(self, population: Population, edges: EdgeCounts, work: CrossWork, pairs: IntArray) -> None:
        how = (self.params.children, self.params.rounds, 0, self.search.tolerance)
        cross_pairs(self.instance.data, self.search.spread, population, edges, work, pairs, how, self.cross_rng)


def growing_share(n: int) -> float:
    """Share of the time that making the tours takes, of making and crossing them."""
    return 0.85 / (1.0 + 1.2 * min(1.0, n / 2000.0))


def evolve(search: TourSearch, seed: int, size: int | None = None) -> bool:
    """Run the population stage on the search's best tour and `size` others.

    Parameters
    ----------
    search : TourSearch
        Gets every improvement; its clock is kept.
    seed : int
    size : int, optional
        Number of tours; by default as many as the time allows, and none when that is less than `SMALLEST`.

    Returns
    -------
    bool
        Whether there were enough tours and they were crossed.
    """
    evolution = _Evolution(search, seed)
    if size is None and not math.isfinite(search.clock.remaining_s):
        return False
    if not evolution.grow(size):
        return False
    evolution.run()
    return True
