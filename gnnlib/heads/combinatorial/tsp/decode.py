"""From candidate edges to a tour: greedy start, Lin-Kernighan descent, kicks, lower bound, one clock over all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from tqdm import tqdm as plain_tqdm

from gnnlib.heads.combinatorial.kernels.alpha import alpha_candidates
from gnnlib.heads.combinatorial.kernels.chain_tree import ChainTree, iterate_tree
from gnnlib.heads.combinatorial.kernels.exchange import Candidates, drain_queue
from gnnlib.heads.combinatorial.kernels.iterate import (
    BestTour,
    KickSettings,
    iterate_kicks,
    tour_length,
)
from gnnlib.heads.combinatorial.kernels.one_tree import one_tree_bound
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour
from gnnlib.heads.combinatorial.kernels.state import make_state, push_all, rollback
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.population import edge_key, evolve
from gnnlib.heads.combinatorial.tsp.priors import (
    alpha_chances,
    candidate_search,
    edge_scores,
    scoring_seconds,
    start_keys,
)
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.one_tree import OneTreeBound
    from gnnlib.heads.combinatorial.kernels.state import Int32Array, LocalSearchState
    from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
    from gnnlib.heads.combinatorial.tsp.priors import ScoredCandidates
    from gnnlib.stop import StopClock
    from gnnlib.typing import FloatArray

__all__ = ["PRIORS", "SearchParams", "TourSearch"]

PRIORS = ("auto", "gnn", "alpha", "softdist", "knn", None)
"""What `solve_tsp` takes as ``prior=``."""

_SPREAD_S_PER_CITY = 3e-5
"""Seconds a city below which the nearest neighbours must do: those of every quadrant take too much of the time."""

_SLICE_S = 0.05
"""Seconds between two looks at the clock."""

_OTHERS_SHARE = 0.1
"""Share of the time limit kept for the alternatives when no population has left any."""

_LEAST_CHANCE = 1e-6
"""What the tree takes the chance of a candidate edge for at least."""

_BRIDGES = 2
"""Candidates of a city at most that lie beyond its nearest neighbours, all of them in its cluster perhaps."""

_KICKS_A_LOOK = 1000
"""Kicks after which, at the earliest, the places of doubt are looked for again."""

_STAGES = 1000
"""More population stages than any run has."""


@dataclass
class TourSearch:
    """One run of the search on one instance.

    Parameters
    ----------
    instance : SearchInstance
    clock : StopClock
        Started by the caller; every step keeps it.
    params : SearchParams
    seed : int or None
    start : int32 [M], optional
        Tour to start from, in the numbering of the search; default the greedy edge tour.
    guests : list of int32 [M]
        Tours that join the first population.
    network : bool
        Whether the prior "auto" may be the network, which must have been loaded.
    """

    instance: SearchInstance
    clock: StopClock
    params: SearchParams
    seed: int | None
    start: Int32Array | None = None
    guests: list[Int32Array] = field(default_factory=list)
    network: bool = False
    trace: list[tuple[float, float]] = field(default_factory=list)
    others: list[Int32Array] = field(default_factory=list)
    bound: OneTreeBound | None = None
    prior_used: str | None = None

    def __post_init__(self) -> None:
        instance, begun = self.instance, self.clock.elapsed_s
        hurried = self.clock.remaining_s < _SPREAD_S_PER_CITY * instance.size
        count = self.params.num_candidates
        spread = np.ascontiguousarray(instance.neighbours[:, :count]) if hurried else instance.spread(count)
        if self.start is None:
            self.start = greedy_edge_tour(instance.data, spread, instance.lengths_of(spread), instance.points)
        self._state = make_state(self.start, spawn_seeds(self.seed, 1)[0])
        self._length = float(tour_length(instance.data, self._state.tour))
        self._best = BestTour(self._state.tour.copy(), np.zeros(1))
        self._apart = False
        self._breadth = np.array(self.params.breadth, np.int64)
        edge = abs(self._length + instance.offset) / instance.size
        scale = float(np.abs(instance.lengths).max())
        integral = instance.problem.is_integral
        self.tolerance = 1e-7 if integral else max(1e-9 * edge, 1e-14 * scale)
        self.spread, self.spread_lengths = spread, instance.lengths_of(spread)
        self.start_lists, self.start_keys = self.spread, self.spread_lengths
        self._candidates = _candidates(instance, spread)
        self._chances = np.ones(spread.shape)
        self.tour_cost_s = self.clock.elapsed_s - begun
        self._report()

    @property
    def length(self) -> float:
        """Length of the best tour, in the problem's own units."""
        return self._length + self.instance.offset

    @property
    def tour(self) -> Int32Array:
        """The best tour, in the numbering of the search."""
        return self._best.tour if self._apart else self._state.tour

    @property
    def raw_length(self) -> float:
        """Length of the best tour in the distances of the search."""
        return self._length

    def adopt(self, tour: Int32Array) -> None:
        """Go on from another tour, which must be better than the best."""
        self._state.tour[:] = tour
        self._state.pos[tour] = np.arange(len(tour), dtype=np.int32)
        self._length = float(tour_length(self.instance.data, tour))
        self._apart = False
        self._report()

    def _report(self, iterations: int | None = None) -> bool:
        if not self.trace or self.length < self.trace[-1][1] - self.tolerance:
            self.trace.append((self.clock.elapsed_s, self.length))
        return self.clock.update(iterations=iterations, best=self.length)

    def descend(self) -> None:
        """Search the neighbourhood of every city until no exchange improves, or the time is up."""
        begun, is_first = self.clock.elapsed_s, len(self.trace) == 1
        push_all(self._state)
        self.drain(self._state)
        if is_first:  # how long a tour takes from nothing
            self.tour_cost_s += self.clock.elapsed_s - begun

    def drain(self, state: LocalSearchState, candidates: Candidates | None = None) -> bool:
        """Search the neighbourhoods of the queued cities; return False when the time was up before the end."""
        cities = 500
        candidates = self._candidates if candidates is None else candidates
        while state.queue_ends[1] > 0 and not self.clock.is_over():
            before = self.clock.elapsed_s
            gained = drain_queue(self.instance.data, candidates, state, self._breadth, self.tolerance, cities)
            if state is self._state:
                self._length -= gained
                self._report()
            cities = _next_chunk(cities, self.clock.elapsed_s - before, self.clock.remaining_s)
        is_done = state.queue_ends[1] == 0
        state.queued[:] = 0
        state.queue_ends[:] = 0
        return bool(is_done)

    def widened(self) -> Candidates:
        """Return the candidates with more behind them: near cities of every quadrant and nearest neighbours."""
        instance, (cities, _, penalties) = self.instance, self._candidates
        lists = np.concatenate([cities, self.spread, instance.neighbours], axis=1)
        held = np.concatenate(
            [
                penalties,
                np.broadcast_to(penalties.max(axis=1, keepdims=True), (len(lists), lists.shape[1] - cities.shape[1])),
            ],
            axis=1,
        )
        again = np.tril(lists[:, :, None] == lists[:, None, :], -1).any(axis=2)
        first = np.argsort(again, axis=1, kind="stable")[:, : max(cities.shape[1], instance.neighbours.shape[1])]
        return _candidates(instance, np.take_along_axis(lists, first, axis=1), np.take_along_axis(held, first, axis=1))

    def raise_bound(self) -> None:
        """Run the sub-gradient ascent for its share of the time (to its end without a time limit)."""
        instance = self.instance
        limit = self.clock.criterion.max_seconds
        seconds = (
            min(self.params.bound_share * limit, 0.9 * self.clock.remaining_s) if math.isfinite(limit) else math.inf
        )
        if seconds <= 0.0:
            return
        self.bound = one_tree_bound(
            instance.data, instance.neighbours, instance.radius, tour=self.tour, seconds=seconds
        )
        self.clock.update(bound=self.lower_bound)

    @property
    def lower_bound(self) -> float:
        """The proved bound in the problem's own units; minus infinity when none was computed."""
        if self.bound is None:
            return -math.inf
        value = self.bound.bound + self.instance.offset
        integral = self.instance.problem.is_integral and math.isfinite(value)
        return float(math.ceil(value - 1e-6)) if integral else value

    @property
    def is_proved(self) -> bool:
        """Whether the best tour is proved to be optimal (for float distances: up to 1e-9 of its length)."""
        slack = 0.0 if self.instance.problem.is_integral else 1e-9 * abs(self.length)
        return self.length <= self.lower_bound + slack

    def abandon(self) -> None:
        """Return to the last tour kept, after an interrupt."""
        rollback(self._state)
        self._length = float(tour_length(self.instance.data, self.tour))

    def use_prior(self, prior: str | None) -> None:
        """Let a prior choose and order the candidate edges, and search again with them.

        `prior_used` stays None when the rest of the time would not hold it.
        """
        instance = self.instance
        if prior == "auto":
            converged = self.bound is not None and self.bound.converged
            prior = "alpha" if converged and not instance.doubled else "gnn" if self.network else None
        if prior is None or self.clock.is_over():
            return
        count = self.params.num_prior_candidates
        if prior == "alpha":
            if self.bound is None:
                return
            cities, penalties = alpha_candidates(
                instance.data, self.bound, instance.spread(self.params.num_neighbours + 2), count
            )
            self._candidates = _candidates(instance, cities, penalties)
            self._chances = alpha_chances(penalties, self._candidates.lengths)
        elif 2.0 * scoring_seconds(prior, instance.neighbours.size) > self.clock.remaining_s:
            return
        else:
            scores = edge_scores(instance.data, instance.neighbours, instance.lengths, prior)
            found = candidate_search(instance.neighbours, instance.lengths, scores, count, self._mean_edge, prior)
            cities, self._chances = _bridged(found, self.spread, instance.neighbours)
            self._candidates = _candidates(instance, cities, found.penalties)
        self.prior_used = prior
        # the greedy tours of the population take the most likely edges first rather than the shortest
        self.start_lists = self._candidates.cities
        self.start_keys = start_keys(self._chances, self._candidates.lengths, self._mean_edge)
        self.descend()

    @property
    def _mean_edge(self) -> float:
        return abs(self._length + self.instance.offset) / self.instance.size

    def evolve(self) -> None:
        """Run population stages while there is time for them; see `gnnlib.heads.combinatorial.tsp.population`."""
        size = self.params.population
        if size is None and (self.instance.doubled or not math.isfinite(self.clock.remaining_s)):
            return  # the tours of a doubled problem share half of their edges: kicks do better there
        if size == 0:
            return
        least = 2
        elites: list[Int32Array] = []
        for seed in spawn_seeds(spawn_seeds(self.seed, 2)[1], _STAGES):
            if self.clock.is_over() or self.is_proved:
                return
            done = evolve(self, seed, size, least, elites)
            if done is None:
                return
            self.others = [*done[1], *self.others][: self.params.alternatives]
            least = max(2, done[0] // 2)  # a smaller population has nothing to add
            if size is not None:
                return

    def _kick_settings(self) -> KickSettings:
        params, large = self.params, self.instance.size >= self.params.large
        return KickSettings(
            max_segment=min(params.max_segment, 10) if large else params.max_segment,
            walk_share=0.0 if large else params.walk_share,
            walk_steps=params.walk_steps,
            long_share=0.0 if large else params.long_share,
            temperature=0.0 if large else params.temperature * self._mean_edge,
        )

    def find_others(self) -> None:
        """Complete `others` by walks of a few kicks away from the best tour, each ending in a local optimum."""
        wanted = self.params.alternatives
        known = {edge_key(self.tour)}
        self.others = [tour for tour in self.others if edge_key(tour) not in known]
        known.update(edge_key(tour) for tour in self.others)
        edge = self._mean_edge
        kicks = 20 + min(1000, self.instance.size // 50)
        for attempt, seed in enumerate(spawn_seeds(spawn_seeds(self.seed, 3)[2], 8 * wanted)):
            if len(self.others) >= wanted or self.clock.remaining_s <= 0.0:
                break
            state = make_state(self.tour, seed)
            best = BestTour(state.tour.copy(), np.zeros(1))
            # wilder from time to time: small instances have few tours nearby
            walk, settings = (
                kicks * (1 + attempt),
                self._kick_settings()._replace(temperature=0.1 * (1 + attempt) * edge),
            )
            iterate_kicks(
                self.instance.data, self._candidates, state, best, settings, self._breadth, self.tolerance, walk
            )
            key = edge_key(state.tour)
            if key not in known:
                known.add(key)
                self.others.append(state.tour)
        self.others.sort(key=lambda tour: float(tour_length(self.instance.data, tour)))

    def _doubtful_cities(self, rng: np.random.Generator) -> Int32Array:
        """Cities in proportion to the chances of their edges that are not in the tour, mixed with even draws."""
        tour, pos, n = self._state.tour, self._state.pos, self.instance.size
        after, before = tour[(pos + 1) % n][:, None], tour[pos - 1][:, None]
        cities, chances = self._candidates.cities, self._chances
        doubt = np.where((cities == after) | (cities == before), 0.0, chances).sum(axis=1)
        even = (1.0 - self.params.focus) * doubt.mean()
        share = self.params.focus * doubt + even + np.finfo(np.float64).tiny
        ends = np.cumsum(share)
        return np.searchsorted(ends, rng.random(n) * ends[-1]).astype(np.int32)

    def kick(self, *, progress: bool = False) -> None:
        """Kick and mend until the clock says stop or the tour is proved optimal."""
        data, params = self.instance.data, self.params
        settings, rng = self._kick_settings(), np.random.default_rng(spawn_seeds(self.seed, 4)[3])
        tree = ChainTree(
            np.maximum(self._chances, _LEAST_CHANCE), params.exploration * self._mean_edge, params.tree_walks
        )
        self._best.tour[:] = self._state.tour
        self._apart = settings.temperature > 0.0
        done = look = self.clock.iterations
        looks = params.focus > 0.0 and self.prior_used is not None
        kicks = 50
        bar = _progress_bar(self.instance.problem.name or "tsp", is_shown=progress)
        reserve_s = _OTHERS_SHARE * self.clock.criterion.max_seconds if len(self.others) < params.alternatives else 0.0
        while not self.clock.is_over() and not self.is_proved and not self.clock.remaining_s < reserve_s:
            kicks = int(max(1, min(kicks, self.clock.remaining_iterations)))
            before = self.clock.elapsed_s
            if looks and done >= look:
                look = done + max(_KICKS_A_LOOK, self.instance.size // 10)
                settings = settings._replace(homes=self._doubtful_cities(rng))
            kicks = min(kicks, look - done) if looks else kicks
            how = (settings, self._breadth, self.tolerance, kicks)
            if tree.walks > 0:
                self._length -= iterate_tree(data, self._candidates, tree, self._state, self._best, *how)
            else:
                self._length -= iterate_kicks(data, self._candidates, self._state, self._best, *how)
            done += kicks
            self._report(done)
            bar.update(kicks)
            bar.set_postfix(length=f"{self.length:.6g}", refresh=False)
            kicks = _next_chunk(kicks, self.clock.elapsed_s - before, self.clock.remaining_s)
        bar.close()


def _progress_bar(title: str, *, is_shown: bool) -> plain_tqdm[NoReturn]:
    if not is_shown:
        return plain_tqdm(disable=True)
    from tqdm.auto import tqdm  # in a notebook its import alone warns when widgets are missing

    return tqdm(unit=" kicks", desc=title)


def _next_chunk(done: int, seconds: float, remaining_s: float) -> int:
    """Units of work for the next look at the clock, from how long the last ones took."""
    per_unit = max(seconds, 1e-6) / done
    return max(1, min(4 * done, int(min(_SLICE_S, 0.5 * remaining_s + 1e-3) / per_unit)))


def _candidates(instance: SearchInstance, cities: Int32Array, penalties: FloatArray | None = None) -> Candidates:
    cities = np.ascontiguousarray(cities, dtype=np.int32)
    lengths = instance.lengths_of(cities)
    if penalties is None:
        penalties = np.zeros_like(lengths)
    return Candidates(cities, lengths, np.ascontiguousarray(penalties))


def _bridged(found: ScoredCandidates, spread: Int32Array, nearest: Int32Array) -> tuple[Int32Array, FloatArray]:
    """Let near cities of every quadrant that the prior could not rank take the last places; return cities and chances.

    Without edges from one cluster to the next a search cannot mend how they are joined.
    """
    cities, chances = found.cities.copy(), found.chances.copy()
    places = min(_BRIDGES, cities.shape[1] - 1)
    beyond = np.stack([(nearest != column[:, None]).all(axis=1) for column in spread.T], axis=1)
    order = np.argsort(~beyond, axis=1, kind="stable")  # the near ones first
    for place in range(1, places + 1):
        column = order[:, place - 1 : place]
        replaced = np.take_along_axis(beyond, column, axis=1)[:, 0]
        cities[replaced, -place] = np.take_along_axis(spread, column, axis=1)[replaced, 0]
        chances[replaced, -place] = _LEAST_CHANCE
    return cities, chances
