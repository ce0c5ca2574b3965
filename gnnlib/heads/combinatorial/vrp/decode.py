"""From a problem to routes: an engine, an annealing schedule that fits the stop, one clock over all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from tqdm import tqdm as plain_tqdm

from gnnlib.heads.combinatorial.vrp.arrays import is_plain, is_timed
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
"""Seconds a client that are kept for costing and checking the answer."""

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
        is_learned = self.prior == "gnn" and self.clock.remaining_s > _PRIOR_S * self.problem.num_clients
        if is_plain(self.problem) or is_timed(self.problem):
            start = None if self.start is None else self.start[0]
            engine = PlainEngine if is_plain(self.problem) else TimedEngine
            self.engine = engine(self.problem, self.params, self.seed, start, is_learned=is_learned)
        else:
            self.engine = RichEngine(self.problem, self.params, self.seed, self.start, is_learned=is_learned)
        self._step = self.engine.step
        self._report(0)

    def _report(self, done: int) -> None:
        best = self.engine.best_cost
        if not self.trace or best < self.trace[-1][1]:
            self.trace.append((self.clock.elapsed_s, best))
        self.clock.update(iterations=done, best=best)

    def _temperature(self, share: float) -> float:
        """Exponential cooling; at `share` 1 the stop is reached."""
        hot, cold = self.params.start_temperature, self.params.end_temperature
        if hot <= 0.0:
            return 0.0
        return self._step * hot * (max(cold, 1e-9) / hot) ** share

    def _share(self, done: int) -> float:
        """How much of the run is over, in [0, 1]."""
        limit = self.clock.criterion
        shares = [0.0]
        if math.isfinite(limit.max_seconds):
            shares.append(self.clock.elapsed_s / max(limit.max_seconds, 1e-9))
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
        rounds, done, pace = (20 if timed else _FIXED_SLICE), 0, 0.0
        kept = min(_CHECK_S * self.problem.num_clients, 0.2 * clock.criterion.max_seconds)
        bar = _progress_bar(self.problem.name or "vrp", is_shown=progress)
        with DeferredInterrupt() as interrupt:
            while not clock.is_over() and clock.remaining_s > kept and not interrupt.received:
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
                    pace = seconds / rounds / max(clock.criterion.max_seconds, 1e-9)
                    rounds = _next_slice(rounds, seconds, clock.remaining_s - kept)
        bar.close()

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
