"""From a problem to routes: an engine, an annealing schedule that fits the stop, one clock over all of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from tqdm import tqdm as plain_tqdm

from gnnlib.heads.combinatorial.vrp.arrays import is_plain, is_timed
from gnnlib.heads.combinatorial.vrp.decode_fleet import shed_routes
from gnnlib.heads.combinatorial.vrp.decode_plain import PlainEngine
from gnnlib.heads.combinatorial.vrp.decode_rich import RichEngine
from gnnlib.heads.combinatorial.vrp.decode_timed import TimedEngine
from gnnlib.interrupt import DeferredInterrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.params import RouteParams
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.stop import StopClock

__all__ = ["RouteSearch"]

_SLICE_S = 0.05
"""Seconds between two looks at the clock."""

_FIXED_SLICE = 500
"""Rounds between two looks at the clock when only iterations are limited: then nothing may depend on time."""

_CHECK_S = 2e-5
"""Processor seconds a client that are kept for costing and checking the answer."""

_MOST_KEPT = 0.5
"""Share of a time limit that may be kept for that, however slow the machine is."""

_SHED_SHARE = 0.25
"""Share of the run in which routes are shed, if that is wanted."""

_PRIOR_S = 1e-3
"""Seconds a client that must be left for the graph network to be asked; it takes about a third of that."""

_OPEN_ENDED = 200_000
"""Rounds of one annealing when neither time nor iterations are limited; then it begins again at half the heat."""


@dataclass
class RouteSearch:
    """One run of the search on one problem.

    Parameters
    ----------
    problem : VRP
    clock : StopClock
        Started by the caller.
    params : RouteParams
    seed : int or None
    start : (routes, types), optional
        Routes to start from.
    prior : {"distance", "gnn", None}
        See `gnnlib.heads.combinatorial.vrp.api.solve_vrp`.
    """

    problem: VRP
    clock: StopClock
    params: RouteParams
    seed: int | None
    start: tuple[Sequence[Sequence[int]], Sequence[int]] | None = None
    prior: str | None = "distance"
    trace: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine: PlainEngine | RichEngine
        self._began = (self.clock.elapsed_s, time.process_time())
        is_learned = self.prior == "gnn" and self.clock.remaining_s > _PRIOR_S * self.problem.num_clients
        if is_plain(self.problem) or is_timed(self.problem):
            start = None if self.start is None else self.start[0]
            engine = PlainEngine if is_plain(self.problem) else TimedEngine
            self.engine = engine(self.problem, self.params, self.seed, start, is_learned=is_learned)
        else:
            self.engine = RichEngine(self.problem, self.params, self.seed, self.start, is_learned=is_learned)
        self._step = self.engine.step
        self._shed_to = 0.0
        self._report(0)

    def _report(self, done: int) -> None:
        best = self.engine.best_cost
        if not self.trace or best < self.trace[-1][1]:
            self.trace.append((self.clock.elapsed_s, best))
        self.clock.update(iterations=done, best=best)

    def _temperature(self, share: float) -> float:
        """Exponential cooling; at `share` 1 the stop is reached."""
        share = max(0.0, share - self._shed_to) / (1.0 - self._shed_to)
        hot, cold = self.params.start_temperature, self.params.end_temperature
        if hot <= 0.0:
            return 0.0
        return self._step * hot * (max(cold, 1e-9) / hot) ** share

    def _kept_s(self) -> float:
        """Seconds kept for the time after the search, on a machine as busy as it has been so far."""
        wall, cpu = self.clock.elapsed_s - self._began[0], time.process_time() - self._began[1]
        slowness = max(1.0, wall / cpu) if cpu > 0.0 else 1.0
        return min(slowness * _CHECK_S * self.problem.num_clients, _MOST_KEPT * self.clock.criterion.max_seconds)

    def _span_s(self) -> float:
        """Seconds for the search itself."""
        return max(self.clock.criterion.max_seconds - self._kept_s(), 1e-9)

    def _share(self, done: int) -> float:
        """How much of the run is over, in [0, 1]."""
        limit = self.clock.criterion
        shares = [0.0]
        if math.isfinite(limit.max_seconds):
            shares.append(self.clock.elapsed_s / self._span_s())
        if math.isfinite(limit.max_iterations):
            shares.append(done / max(limit.max_iterations, 1.0))
        if len(shares) == 1:
            return 0.5 * (done > _OPEN_ENDED) + (done % _OPEN_ENDED) / _OPEN_ENDED * (
                0.5 if done > _OPEN_ENDED else 1.0
            )
        return min(1.0, max(shares))

    def anneal(self, *, progress: bool = False) -> None:
        """Ruin and recreate until the clock says stop; an interrupt ends the slice that runs."""
        clock, timed = self.clock, math.isfinite(self.clock.criterion.max_seconds)
        rounds, pace = (20 if timed else _FIXED_SLICE), 0.0
        bar = _progress_bar(self.problem.name or "vrp", is_shown=progress)
        with DeferredInterrupt() as interrupt:
            done = self._shed(interrupt) if self.params.minimise_fleet else 0
            while not clock.is_over() and clock.remaining_s > (kept := self._kept_s()) and not interrupt.received:
                rounds = int(max(1, min(rounds, clock.remaining_iterations)))
                before = clock.elapsed_s
                share = self._share(done)
                ahead = self._share(done + rounds) if not timed else min(1.0, share + rounds * pace)
                self.engine.run((self._temperature(share), self._temperature(ahead)), rounds)
                done += rounds
                self._step = min(self._step, self.engine.step)  # a poor first answer has long ways
                self._report(done)
                bar.update(rounds)
                bar.set_postfix(cost=f"{self.engine.best_cost:.6g}", refresh=False)
                if timed:
                    seconds = clock.elapsed_s - before
                    pace = seconds / rounds / self._span_s()
                    rounds = _next_slice(rounds, seconds, clock.remaining_s - kept)
        bar.close()

    def _shed(self, interrupt: DeferredInterrupt) -> int:
        """Search for an answer with fewer routes; return the rounds that took."""
        if isinstance(self.engine, RichEngine):
            return 0
        timed, limit = math.isfinite(self.clock.criterion.max_seconds), self.clock.criterion.max_iterations
        most = _SHED_SHARE * (limit if math.isfinite(limit) else math.inf if timed else _OPEN_ENDED)
        rounds, seen, then = 20 if timed else _FIXED_SLICE, 0, self.clock.elapsed_s

        def next_rounds(done: int) -> int:
            nonlocal rounds, seen, then
            if interrupt.received or (timed and self._share(0) >= _SHED_SHARE):
                return 0
            if timed and done > seen:
                now = self.clock.elapsed_s
                rounds = _next_slice(done - seen, now - then, self.clock.remaining_s)
                seen, then = done, now
            return int(min(rounds, most - done))

        done = shed_routes(self.engine, self._temperature(0.0), next_rounds)
        self._step = self.engine.step
        self._shed_to = min(0.9, self._share(done))
        self.trace.clear()  # what was found before has more routes
        self.clock.best = math.inf
        self._report(done)
        return done

    def routes(self) -> tuple[list[list[int]], list[int]]:
        """Return the best routes and the types of their vehicles."""
        return self.engine.routes()


def _next_slice(done: int, seconds: float, remaining_s: float) -> int:
    """Return the rounds until the next look at the clock, from how long the last ones took."""
    per_round = max(seconds, 1e-6) / done
    return max(1, min(4 * done, int(min(_SLICE_S, 0.5 * max(0.0, remaining_s) + 1e-3) / per_round)))


def _progress_bar(title: str, *, is_shown: bool) -> plain_tqdm[NoReturn] | Any:
    if not is_shown:
        return plain_tqdm(disable=True)
    from tqdm.auto import tqdm  # in a notebook its import alone warns when widgets are missing

    return tqdm(unit=" rounds", desc=title)
