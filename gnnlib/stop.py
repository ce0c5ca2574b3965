"""When to stop: small objects shared by every solver, search and training loop.

A criterion is an immutable description (`MaxRuntime(5)`), so one object may serve many runs.
Each run asks it for a fresh `StopClock`, which keeps the time and the history of that run.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from gnnlib.errors import InputError

__all__ = [
    "AnyOf",
    "MaxIterations",
    "MaxRuntime",
    "MaxTrials",
    "NoImprovement",
    "StopClock",
    "StopCriterion",
    "TargetGap",
]


class StopCriterion(ABC):
    """Base class of the stopping criteria; combine several with `AnyOf`."""

    @abstractmethod
    def is_met(self, clock: StopClock) -> bool:
        """Return whether the run that `clock` describes should end now."""

    def start(self) -> StopClock:
        """Begin a run: the clock of `MaxRuntime` ticks from here.

        Examples
        --------
        >>> clock = MaxIterations(3).start()
        >>> clock.update(iterations=3, best=10.0)
        True
        """
        return StopClock(self)

    @property
    def max_seconds(self) -> float:
        """Wall-clock limit in seconds; infinity when there is none."""
        return math.inf

    @property
    def max_iterations(self) -> float:
        """Iteration limit; infinity when there is none."""
        return math.inf

    @property
    def target_gap(self) -> float | None:
        """Relative gap to the lower bound at which to stop; None when there is none."""
        return None


class StopClock:
    """The state of one run against its stopping criterion.

    Attributes
    ----------
    iterations : int
        Iterations done so far.
    best : float
        Best objective value so far (minimised); infinity before the first.
    bound : float
        Best lower bound so far; minus infinity when none is known.
    last_improvement : int
        Iteration at which `best` last fell.
    """

    def __init__(self, criterion: StopCriterion) -> None:
        self.criterion = criterion
        self.iterations = 0
        self.best = math.inf
        self.bound = -math.inf
        self.last_improvement = 0
        self._started = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Wall-clock seconds since the run began."""
        return time.perf_counter() - self._started

    @property
    def remaining_s(self) -> float:
        """Wall-clock seconds left; infinity without a time limit, never negative."""
        return max(0.0, self.criterion.max_seconds - self.elapsed_s)

    @property
    def remaining_iterations(self) -> float:
        """Iterations left; infinity without an iteration limit, never negative."""
        return max(0.0, self.criterion.max_iterations - self.iterations)

    @property
    def gap(self) -> float:
        """Relative gap ``(best - bound) / |bound|``; infinity while either is unknown."""
        if not math.isfinite(self.best) or not math.isfinite(self.bound):
            return math.inf
        if self.best <= self.bound:
            return 0.0
        return (self.best - self.bound) / abs(self.bound) if self.bound else math.inf

    def update(self, *, iterations: int | None = None, best: float | None = None, bound: float | None = None) -> bool:
        """Report progress and learn whether to stop.

        Parameters
        ----------
        iterations : int, optional
            Total iterations done so far (not the increment).
        best : float, optional
            Best objective value so far.
        bound : float, optional
            Best lower bound so far.

        Returns
        -------
        bool
            True when the run should end.
        """
        if iterations is not None:
            self.iterations = iterations
        if best is not None and best < self.best:
            self.best = best
            self.last_improvement = self.iterations
        if bound is not None and bound > self.bound:
            self.bound = bound
        return self.is_over()

    def is_over(self) -> bool:
        """Return whether the run should end now."""
        return self.criterion.is_met(self)


def _check_limit(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or value < 0:
        raise InputError(f"`{name}` must be a number >= 0, found {value!r}")


@dataclass(frozen=True)
class MaxRuntime(StopCriterion):
    """Stop after `seconds` of wall-clock time.

    Compilation and loading of kernels and weights happen before the clock starts.

    Parameters
    ----------
    seconds : float >= 0

    Examples
    --------
    >>> MaxRuntime(0).start().is_over()
    True
    """

    seconds: float

    def __post_init__(self) -> None:
        _check_limit("seconds", self.seconds)

    def is_met(self, clock: StopClock) -> bool:
        """Return whether the time is used up."""
        return clock.elapsed_s >= self.seconds

    @property
    def max_seconds(self) -> float:
        """The limit itself."""
        return float(self.seconds)


@dataclass(frozen=True)
class MaxIterations(StopCriterion):
    """Stop after a number of iterations; with a seed, runs are then reproducible bit for bit.

    Parameters
    ----------
    iterations : int >= 0
        What counts as one iteration is said by the solver (a kick, a simulation, a trial, an epoch).

    Examples
    --------
    >>> MaxIterations(2).start().update(iterations=1)
    False
    """

    iterations: int

    def __post_init__(self) -> None:
        _check_limit("iterations", self.iterations)

    def is_met(self, clock: StopClock) -> bool:
        """Return whether the iterations are used up."""
        return clock.iterations >= self.iterations

    @property
    def max_iterations(self) -> float:
        """The limit itself."""
        return float(self.iterations)


@dataclass(frozen=True)
class MaxTrials(StopCriterion):
    """Stop after a number of trials of a search; with a seed, runs are then reproducible bit for bit.

    A trial is what the search counts as one iteration, so that it combines with the other criteria.

    Parameters
    ----------
    trials : int >= 0

    Examples
    --------
    >>> MaxTrials(2).start().update(iterations=2)
    True
    """

    trials: int

    def __post_init__(self) -> None:
        _check_limit("trials", self.trials)

    def is_met(self, clock: StopClock) -> bool:
        """Return whether the trials are used up."""
        return clock.iterations >= self.trials

    @property
    def max_iterations(self) -> float:
        """The limit itself."""
        return float(self.trials)


@dataclass(frozen=True)
class NoImprovement(StopCriterion):
    """Stop when the best value has not improved for a number of iterations.

    Parameters
    ----------
    iterations : int >= 0

    Examples
    --------
    >>> clock = NoImprovement(5).start()
    >>> clock.update(iterations=1, best=3.0), clock.update(iterations=6, best=3.0)
    (False, True)
    """

    iterations: int

    def __post_init__(self) -> None:
        _check_limit("iterations", self.iterations)

    def is_met(self, clock: StopClock) -> bool:
        """Return whether the best value has stood still for too long."""
        return clock.iterations - clock.last_improvement >= self.iterations


@dataclass(frozen=True)
class TargetGap(StopCriterion):
    """Stop when the relative gap between the best value and the lower bound is small enough.

    Parameters
    ----------
    gap : float >= 0
        As a fraction: 0.01 means one per cent.

    Examples
    --------
    >>> TargetGap(0.05).start().update(best=104.0, bound=100.0)
    True
    """

    gap: float

    def __post_init__(self) -> None:
        _check_limit("gap", self.gap)

    def is_met(self, clock: StopClock) -> bool:
        """Return whether the gap is closed far enough."""
        return clock.gap <= self.gap

    @property
    def target_gap(self) -> float | None:
        """The gap itself."""
        return float(self.gap)


@dataclass(frozen=True, init=False)
class AnyOf(StopCriterion):
    """Stop as soon as one of several criteria says so.

    Parameters
    ----------
    *criteria : StopCriterion
        At least one.

    Examples
    --------
    >>> AnyOf(MaxRuntime(60), MaxIterations(0)).start().is_over()
    True
    """

    criteria: tuple[StopCriterion, ...]

    def __init__(self, *criteria: StopCriterion) -> None:
        if not criteria:
            raise InputError("`AnyOf` needs at least one criterion, found none")
        for position, criterion in enumerate(criteria):
            if not isinstance(criterion, StopCriterion):
                raise InputError(f"`AnyOf` takes stopping criteria, found {criterion!r} at position {position}")
        object.__setattr__(self, "criteria", criteria)

    def is_met(self, clock: StopClock) -> bool:
        """Return whether any criterion is met."""
        return any(criterion.is_met(clock) for criterion in self.criteria)

    @property
    def max_seconds(self) -> float:
        """The tightest time limit."""
        return min(criterion.max_seconds for criterion in self.criteria)

    @property
    def max_iterations(self) -> float:
        """The tightest iteration limit."""
        return min(criterion.max_iterations for criterion in self.criteria)

    @property
    def target_gap(self) -> float | None:
        """The loosest target gap, which is met first."""
        gaps = [criterion.target_gap for criterion in self.criteria if criterion.target_gap is not None]
        return max(gaps) if gaps else None
