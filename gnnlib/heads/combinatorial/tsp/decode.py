"""From candidate edges to a tour: greedy start, Lin-Kernighan descent, kicks, lower bound, one clock over all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from tqdm import tqdm as plain_tqdm

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.alpha import alpha_candidates
from gnnlib.heads.combinatorial.kernels.exchange import MAX_BREADTH, MAX_DEPTH, Candidates, drain_queue
from gnnlib.heads.combinatorial.kernels.iterate import BestTour, KickSettings, iterate_kicks, tour_length
from gnnlib.heads.combinatorial.kernels.one_tree import one_tree_bound
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour
from gnnlib.heads.combinatorial.kernels.state import make_state, push_all, rollback
from gnnlib.heads.combinatorial.tsp.population import evolve
from gnnlib.heads.combinatorial.tsp.priors import candidates_from_scores, edge_scores, scoring_seconds
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.one_tree import OneTreeBound
    from gnnlib.heads.combinatorial.kernels.state import Int32Array, LocalSearchState
    from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
    from gnnlib.stop import StopClock
    from gnnlib.typing import FloatArray

__all__ = ["PRIORS", "SearchParams", "TourSearch"]

PRIORS = ("auto", "gnn", "alpha", "softdist", "knn", None)
"""What `solve_tsp` takes as ``prior=``."""

_SURPRISE = 0.3
"""Weight of the network's doubt in the order of the alternatives, in mean edge lengths a nat."""

_SPREAD_S_PER_CITY = 3e-5
"""Seconds a city below which the nearest neighbours must do: those of every quadrant take too much of the time."""

_SLICE_S = 0.05
"""Seconds between two looks at the clock."""


@dataclass(frozen=True)
class SearchParams:
    """Settings of the search; the defaults were chosen on generated instances and six of TSPLIB (d1655, fl1577, pcb3038, rl1889, rl5934, u724).

    Parameters
    ----------
    num_neighbours : int >= 5
        Nearest neighbours a city: the graph of the bound, of the priors and of the greedy start.
    num_candidates : int >= 2
        Edges a city that an exchange may add: the shortest.
    num_prior_candidates : int >= 2
        The same when a prior chooses them.
    breadth : tuple of int
        Alternatives followed at each level of an exchange; D entries search exchanges of up to D + 1 edges.
    max_segment : int >= 1
        Longest segment of a double bridge, in cities.
    walk_share : float in [0, 1]
        Share of the kicks whose edges are near each other in space rather than along the tour.
    walk_steps : int >= 1
        Longest random walk between two edges of such a kick.
    long_share : float in [0, 1]
        Share of the kicks whose edges are long ones anywhere in the tour, which join clusters.
    temperature : float >= 0
        Acceptance of longer tours, in mean edge lengths of the first local optimum.
    bound_share : float in [0, 0.9]
        Share of the time limit that the lower bound may take.
    large : int
        From this number of cities on, kicks are shorter and longer tours are not accepted: there is no time to profit
        from either.

    Examples
    --------
    >>> SearchParams(breadth=(5, 3, 1)).breadth
    (5, 3, 1)
    """

    num_neighbours: int = 10
    num_candidates: int = 8
    num_prior_candidates: int = 6
    breadth: tuple[int, ...] = (5, 3, 2, 1)
    max_segment: int = 100
    walk_share: float = 0.3
    walk_steps: int = 30
    long_share: float = 0.1
    temperature: float = 0.1
    bound_share: float = 0.1
    large: int = 12_000
    population: int | None = None
    start_noise: float = 0.5
    children: int = 30
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.num_neighbours < 5 or self.num_candidates < 2:
            raise InputError(
                "`num_neighbours` must be >= 5 and `num_candidates` >= 2, "
                f"found {self.num_neighbours} and {self.num_candidates}"
            )
        if not 1 <= len(self.breadth) < MAX_DEPTH or not all(1 <= b <= MAX_BREADTH for b in self.breadth):
            raise InputError(
                f"`breadth` must hold 1 to {MAX_DEPTH - 1} numbers from 1 to {MAX_BREADTH}, found {self.breadth}"
            )
        if self.max_segment < 1 or self.walk_steps < 1 or not self.temperature >= 0.0:
            raise InputError(
                "`max_segment` and `walk_steps` must be >= 1 and `temperature` >= 0, found "
                f"{self.max_segment}, {self.walk_steps} and {self.temperature}"
            )
        if (self.population or 0) < 0 or not self.start_noise >= 0.0 or min(self.children, self.rounds) < 1:
            raise InputError(
                "`population` and `start_noise` must be >= 0 and `children` and `rounds` >= 1, found "
                f"{self.population}, {self.start_noise}, {self.children} and {self.rounds}"
            )
        shares = (self.walk_share, self.long_share)
        if not (min(shares) >= 0.0 and sum(shares) <= 1.0 and 0.0 <= self.bound_share <= 0.9):
            raise InputError(
                "`walk_share` and `long_share` must be >= 0 with a sum <= 1 and `bound_share` in [0, 0.9], found "
                f"{self.walk_share}, {self.long_share} and {self.bound_share}"
            )


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
    """

    instance: SearchInstance
    clock: StopClock
    params: SearchParams
    seed: int | None
    start: Int32Array | None = None
    trace: list[tuple[float, float]] = field(default_factory=list)
    bound: OneTreeBound | None = None
    prior_used: str | None = None

    def __post_init__(self) -> None:
        instance = self.instance
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
        self._candidates = _candidates(instance, spread)
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
        push_all(self._state)
        self.drain(self._state)

    def drain(self, state: LocalSearchState) -> bool:
        """Search the neighbourhoods of the queued cities; return False when the time was up before the end."""
        cities = 500
        while state.queue_ends[1] > 0 and not self.clock.is_over():
            before = self.clock.elapsed_s
            gained = drain_queue(self.instance.data, self._candidates, state, self._breadth, self.tolerance, cities)
            if state is self._state:
                self._length -= gained
                self._report()
            cities = _next_chunk(cities, self.clock.elapsed_s - before, self.clock.remaining_s)
        is_done = state.queue_ends[1] == 0
        state.queued[:] = 0
        state.queue_ends[:] = 0
        return bool(is_done)

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
            prior = "alpha" if self.bound is not None and self.bound.converged else None
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
        elif 2.0 * scoring_seconds(prior, instance.neighbours.size) > self.clock.remaining_s:
            return
        else:
            scores = edge_scores(instance.data, instance.neighbours, instance.lengths, prior)
            cities, _ = candidates_from_scores(instance.neighbours, instance.lengths, scores, count)
            self._candidates = _candidates(instance, cities, self._surprise(scores, cities) if prior == "gnn" else None)
        self.prior_used = prior
        self.descend()

    def _surprise(self, scores: FloatArray, cities: Int32Array) -> FloatArray:
        """Penalties from logits: -log of the probability of each edge, in parts of the mean edge of the tour."""
        columns = np.argmax(self.instance.neighbours[:, :, None] == cities[:, None, :], axis=1)
        edge = abs(self._length + self.instance.offset) / self.instance.size
        return _SURPRISE * edge * np.logaddexp(0.0, -np.take_along_axis(scores, columns, axis=1))

    def evolve(self) -> None:
        """Run population stages while there is time for them; see `gnnlib.heads.combinatorial.tsp.population`."""
        size = self.params.population
        if size == 0 or self.clock.is_over() or self.is_proved:
            return
        if size is not None or math.isfinite(self.clock.remaining_s):
            evolve(self, spawn_seeds(self.seed, 2)[1], size)

    def kick(self, *, progress: bool = False) -> None:
        """Kick and mend until the clock says stop or the tour is proved optimal."""
        data, params = self.instance.data, self.params
        large = self.instance.size >= params.large
        edge = abs(self._length + self.instance.offset) / self.instance.size
        settings = KickSettings(
            max_segment=min(params.max_segment, 10) if large else params.max_segment,
            walk_share=0.0 if large else params.walk_share,
            walk_steps=params.walk_steps,
            long_share=0.0 if large else params.long_share,
            temperature=0.0 if large else params.temperature * edge,
        )
        self._best.tour[:] = self._state.tour
        self._apart = settings.temperature > 0.0
        done = self.clock.iterations
        kicks = 50
        bar = _progress_bar(self.instance.problem.name or "tsp", is_shown=progress)
        while not self.clock.is_over() and not self.is_proved:
            kicks = int(max(1, min(kicks, self.clock.remaining_iterations)))
            before = self.clock.elapsed_s
            self._length -= iterate_kicks(
                data, self._candidates, self._state, self._best, settings, self._breadth, self.tolerance, kicks
            )
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
