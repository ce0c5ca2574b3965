"""Hyper-parameter search: one class, five strategies, over spaces with conditions."""

from __future__ import annotations

import inspect
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gnnlib.errors import InputError
from gnnlib.interrupt import DeferredInterrupt
from gnnlib.results import Result
from gnnlib.search.bayesopt import BayesStrategy
from gnnlib.search.strategies import (
    AdaptiveStrategy,
    BanditStrategy,
    GridStrategy,
    History,
    RandomStrategy,
    SearchOptions,
    Strategy,
)
from gnnlib.seeding import numpy_generator
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from matplotlib.axes import Axes

    from gnnlib.search.spaces import Point, Space
    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion
    from gnnlib.typing import FloatArray

__all__ = ["HyperSearch", "SearchOptions", "SearchResult", "Trial"]

StrategyName = Literal["grid", "random", "adaptive", "bandit", "bayes"]

_STRATEGIES: dict[str, Any] = {
    "grid": GridStrategy,
    "random": RandomStrategy,
    "adaptive": AdaptiveStrategy,
    "bandit": BanditStrategy,
    "bayes": BayesStrategy,
}


@dataclass(frozen=True)
class Trial:
    """One configuration to evaluate, or evaluated.

    Attributes
    ----------
    number : int
        From 0, in the order of asking.
    point : dict
        Values of the active parameters.
    fidelity : float in (0, 1]
        Share of the full budget (rows, folds, epochs) to spend; 1 unless the search has fidelities.
    value : float
        What was told, to be minimised; NaN while running, infinity after a failure.
    seconds : float
        Time the evaluation took; NaN while running or unknown.
    """

    number: int
    point: Point
    fidelity: float = 1.0
    value: float = math.nan
    seconds: float = math.nan


@dataclass(frozen=True)
class SearchResult(Result):
    """What a search found.

    Attributes
    ----------
    best_point : dict or None
        The best configuration at full fidelity; None when none finished.
    best_value : float
        Its value; infinity when none finished.
    trials : tuple of Trial
        All finished trials in the order of asking.
    seconds : float
        Wall-clock time of the run.
    strategy : str
    """

    best_point: Point | None
    best_value: float
    trials: tuple[Trial, ...] = field(repr=False)
    seconds: float
    strategy: str

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("best value", f"{self.best_value:.6g}"),
            ("best point", ", ".join(f"{k}={v!r}" for k, v in (self.best_point or {}).items()) or "none"),
            ("trials", f"{len(self.trials)} ({self.strategy}), {self.seconds:.1f} s"),
        ]

    @property
    def trace(self) -> FloatArray:
        """Best value at full fidelity after each trial [T]; infinity before the first."""
        values = [t.value if t.fidelity >= 1.0 and math.isfinite(t.value) else math.inf for t in self.trials]
        return np.minimum.accumulate(values) if values else np.empty(0)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the best value against the number of trials and return the axes."""
        from gnnlib.style import COLOURS, new_axes, styled

        with styled():
            axes = ax if ax is not None else new_axes()
            numbers = np.arange(1, len(self.trials) + 1)
            axes.plot(numbers, [t.value for t in self.trials], ".", color=COLOURS["doubt"], label="trial")
            axes.step(numbers, self.trace, where="post", color=COLOURS["answer"], label="best so far")
            axes.set_xlabel("trials")
            axes.set_ylabel("value (minimised)")
            axes.legend()
        return axes


class HyperSearch:
    """Minimise a function of hyper-parameters.

    Parameters
    ----------
    space : Space
        The parameters; put the algorithm in as a category on which the others depend to choose both at once.
    strategy : {"grid", "random", "adaptive", "bandit", "bayes"}, default "bayes"
        "bandit" is UCB over the first category of the space and Hyperband over fidelities; "bayes" a Gaussian process
        with expected improvement or the lower confidence bound.
    options : SearchOptions, optional
        Settings of the strategies.
    warm_start : iterable of dict, optional
        Configurations to try first, in this order.
    seed : int or None, default 0
        The same seed and the same answers give the same questions.

    Raises
    ------
    InputError
        If the strategy is unknown or a configuration of `warm_start` is not in the space.

    Examples
    --------
    >>> from gnnlib.search import Float, Space
    >>> from gnnlib.stop import MaxIterations
    >>> space = Space({"x": Float(-5, 5)})
    >>> result = HyperSearch(space, strategy="bayes").run(lambda p: (p["x"] - 1) ** 2, stop=MaxIterations(15))
    >>> bool(result.best_value < 0.01)
    True

    Asking and telling, for a loop of one's own:

    >>> search = HyperSearch(space, strategy="random", warm_start=[{"x": 1.0}])
    >>> trial = search.ask()
    >>> trial.point
    {'x': 1.0}
    >>> search.tell(trial, 0.0)
    >>> search.result().best_value
    0.0
    """

    def __init__(
        self,
        space: Space,
        *,
        strategy: StrategyName = "bayes",
        options: SearchOptions | None = None,
        warm_start: Iterable[Mapping[str, Any]] = (),
        seed: Seed = 0,
    ) -> None:
        if strategy not in get_args(StrategyName):
            raise InputError(f"`strategy` must be one of {', '.join(_STRATEGIES)}, found {strategy!r}")
        self.space = space
        self.strategy_name = strategy
        self.options = options or SearchOptions()
        if self.options.min_fidelity < 1.0 and strategy != "bandit":
            raise InputError(f"fidelities need strategy='bandit', found {strategy!r}")
        self._queue = [dict(point) for point in warm_start]
        for point in self._queue:
            space.check(point)
        self._strategy: Strategy = _STRATEGIES[strategy](space, self.options, numpy_generator(seed))
        self._history = History()
        self._running: dict[int, Trial] = {}
        self._finished: dict[int, Trial] = {}
        self._asked = 0
        self._started = time.perf_counter()

    def observe(self, point: Mapping[str, Any], value: float) -> None:
        """Tell the search of a past observation, such as one of a similar problem; it is no trial of this run.

        Raises
        ------
        InputError
            If the point is not in the space or the value not finite.
        """
        self.space.check(point)
        if not math.isfinite(value):
            raise InputError(f"the value of a past observation must be finite, found {value!r}")
        self._history.points.append(dict(point))
        self._history.values.append(float(value))

    def ask(self) -> Trial:
        """Return the next trial; several may run at once.

        Raises
        ------
        InputError
            If there is nothing left to try, which only happens to a grid; see `try_ask`.
        """
        trial = self.try_ask()
        if trial is None:
            raise InputError("every point of the grid has been asked for")
        return trial

    def try_ask(self) -> Trial | None:
        """Return the next trial, or None when the grid is used up."""
        if self._queue:
            proposal: tuple[Point, float] | None = (self._queue.pop(0), 1.0)
        else:
            proposal = self._strategy.propose(self._history)
        if proposal is None:
            return None
        trial = Trial(self._asked, proposal[0], proposal[1])
        self._asked += 1
        self._running[trial.number] = trial
        self._history.pending.append(trial.point)
        return trial

    def tell(self, trial: Trial, value: float, *, seconds: float = math.nan) -> None:
        """Report the value of a trial; NaN or infinity mark a failure.

        Raises
        ------
        InputError
            If the trial was not asked for, or told already.
        """
        if trial.number not in self._running:
            raise InputError(f"trial {trial.number} is not running: it was told already or never asked for")
        asked = self._running.pop(trial.number)
        self._history.pending.remove(asked.point)
        number = float(value) if math.isfinite(value) else math.inf
        if not math.isfinite(number):
            self._history.failed.append(asked.point)
        elif asked.fidelity >= 1.0:
            self._history.points.append(asked.point)
            self._history.values.append(number)
        if isinstance(self._strategy, BanditStrategy):
            self._strategy.tell(asked.point, number, asked.fidelity)
        self._finished[trial.number] = Trial(asked.number, asked.point, asked.fidelity, number, seconds)

    def run(
        self,
        objective: Callable[..., float],
        *,
        stop: StopCriterion | None = None,
        failures: tuple[type[Exception], ...] = (),
    ) -> SearchResult:
        """Evaluate until `stop` says so.

        Parameters
        ----------
        objective : callable
            ``objective(point) -> float``, minimised; ``objective(point, fidelity)`` when the search has fidelities.
        stop : StopCriterion, default MaxIterations(50)
            One iteration is one trial.
        failures : tuple of exception types, default ()
            What counts as a failed trial; everything else is raised.

        Returns
        -------
        SearchResult
            On Ctrl-C what was found so far.
        """
        clock = (stop or MaxIterations(50)).start()
        graded = self.options.min_fidelity < 1.0
        if graded and len(inspect.signature(objective).parameters) < 2:
            raise InputError("with fidelities the objective must take (point, fidelity)")
        first = self._asked
        with DeferredInterrupt() as interrupt:
            while not interrupt.received and not clock.is_over():
                trial = self.try_ask()
                if trial is None:
                    break
                began = time.perf_counter()
                try:
                    value = float(
                        objective(dict(trial.point), trial.fidelity) if graded else objective(dict(trial.point))
                    )
                except failures:
                    value = math.inf
                self.tell(trial, value, seconds=time.perf_counter() - began)
                clock.update(iterations=self._asked - first, best=self.result().best_value)
        return self.result()

    def result(self) -> SearchResult:
        """Return what was found so far."""
        trials = tuple(self._finished[number] for number in sorted(self._finished))
        full = [t for t in trials if t.fidelity >= 1.0 and math.isfinite(t.value)]
        best = min(full, key=lambda t: t.value, default=None)
        seconds = time.perf_counter() - self._started
        if best is None:
            return SearchResult(None, math.inf, trials, seconds, self.strategy_name)
        return SearchResult(best.point, best.value, trials, seconds, self.strategy_name)
