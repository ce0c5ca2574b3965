"""How the next configuration is chosen: grid, random, adaptive and bandit; `gnnlib.search.bayesopt` has the fifth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from gnnlib.errors import InputError
from gnnlib.search.bandit import UCB, Rung, hyperband_brackets
from gnnlib.search.spaces import Categorical

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gnnlib.search.spaces import Point, Space
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["AdaptiveStrategy", "BanditStrategy", "GridStrategy", "History", "RandomStrategy", "SearchOptions"]

Acquisition = Literal["ei", "lcb"]


@dataclass(frozen=True)
class SearchOptions:
    """Settings of the strategies of `HyperSearch`.

    Parameters
    ----------
    levels : int >= 1, default 5
        Values a number takes in the grid.
    initial : int >= 1, optional
        Trials that spread over the space before a model or the best ones lead; default ``min(2 D + 2, 10)``.
    min_fidelity : float in (0, 1], default 1
        Least share of the full budget; below 1 the bandit runs Hyperband and the objective takes the fidelity as a
        second argument.
    eta : int >= 2, default 3
        One of `eta` configurations goes on to the next rung.
    exploration : float >= 0, default 0.5
        Factor of the bandit's confidence radius.
    acquisition : {"ei", "lcb"}, default "ei"
        Expected improvement or the lower confidence bound.
    kappa : float >= 0, default 2
        Weight of the standard deviation in the lower confidence bound.

    Raises
    ------
    InputError
        If a value is out of range.

    Examples
    --------
    >>> SearchOptions(acquisition="lcb").kappa
    2.0
    """

    levels: int = 5
    initial: int | None = None
    min_fidelity: float = 1.0
    eta: int = 3
    exploration: float = 0.5
    acquisition: Acquisition = "ei"
    kappa: float = 2.0

    def __post_init__(self) -> None:
        for name, least in (("levels", 1), ("initial", 1), ("eta", 2)):
            count = getattr(self, name)
            if count is None and name == "initial":
                continue
            if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < least:
                raise InputError(f"`{name}` must be an integer >= {least}, found {count!r}")
        for name in ("exploration", "kappa"):
            number = getattr(self, name)
            if not isinstance(number, (int, float)) or not math.isfinite(number) or number < 0:
                raise InputError(f"`{name}` must be a finite number >= 0, found {number!r}")
        if not isinstance(self.min_fidelity, (int, float)) or not 0.0 < self.min_fidelity <= 1.0:
            raise InputError(f"`min_fidelity` must be in (0, 1], found {self.min_fidelity!r}")
        if self.acquisition not in get_args(Acquisition):
            raise InputError(f"`acquisition` must be 'ei' or 'lcb', found {self.acquisition!r}")


@dataclass
class History:
    """What a strategy may look at.

    Attributes
    ----------
    points, values : lists
        Finished trials at full fidelity that did not fail, and past observations.
    failed : list
        Points whose trial failed.
    pending : list
        Points of trials that are still running.
    """

    points: list[Point] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    failed: list[Point] = field(default_factory=list)
    pending: list[Point] = field(default_factory=list)

    def encoded(self, space: Space, limit: int) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Return vectors, masks and values, failures at the worst value; the best ones when there are too many."""
        worst = max(self.values)
        values = np.array([*self.values, *[worst] * len(self.failed)])
        coded = [space.encode(point) for point in (*self.points, *self.failed)]
        kept = np.sort(np.argsort(values, kind="stable")[:limit])
        return np.stack([coded[i][0] for i in kept]), np.stack([coded[i][1] for i in kept]), values[kept]


class Strategy(Protocol):
    """Chooses the next configuration."""

    def propose(self, history: History) -> tuple[Point, float] | None:
        """Return a point and its fidelity; None when there is nothing left to try."""


class GridStrategy:
    """All combinations of a few levels, in random order so that an early end has seen the whole range."""

    def __init__(self, space: Space, options: SearchOptions, rng: np.random.Generator) -> None:
        points = list(space.grid(options.levels))
        self._points = [points[i] for i in rng.permutation(len(points))]

    def propose(self, history: History) -> tuple[Point, float] | None:  # noqa: ARG002 (the signature of a strategy)
        """Return the next point of the grid."""
        return (self._points.pop(), 1.0) if self._points else None


class RandomStrategy:
    """Independent draws."""

    def __init__(self, space: Space, options: SearchOptions, rng: np.random.Generator) -> None:  # noqa: ARG002
        self.space, self.rng = space, rng

    def propose(self, history: History) -> tuple[Point, float] | None:  # noqa: ARG002 (the signature of a strategy)
        """Return a random point."""
        return self.space.sample(self.rng), 1.0


class AdaptiveStrategy:
    """Draws around the best configurations so far, closer and closer as these agree; a tenth stays random.

    A small cross-entropy method (Rubinstein 1999): the elite is the best fifth, a new point takes one of them and moves
    each number by the spread of the elite.
    """

    def __init__(self, space: Space, options: SearchOptions, rng: np.random.Generator) -> None:
        self.space, self.options, self.rng = space, options, rng

    def propose(self, history: History) -> tuple[Point, float] | None:
        """Return a point near one of the best."""
        initial = self.options.initial or min(2 * len(self.space) + 2, 10)
        if len(history.values) < initial or self.rng.random() < 0.1:
            return self.space.sample(self.rng), 1.0
        return near_best(self.space, history.points, history.values, self.rng), 1.0


def near_best(space: Space, points: list[Point], values: list[float], rng: np.random.Generator) -> Point:
    """Return a point that differs a little from one of the best fifth."""
    elite = np.argsort(values, kind="stable")[: max(2, len(values) // 5)]
    unit = np.stack([space.encode(points[i])[0] for i in elite])
    spread = np.clip(unit.std(axis=0), 0.01, 0.3)
    chosen = unit[rng.integers(len(unit))]
    moved = chosen + spread * rng.standard_normal(len(chosen))
    for position, parameter in enumerate(space.parameters.values()):
        if isinstance(parameter, Categorical):
            moved[position] = rng.random() if rng.random() < 0.15 else chosen[position]
    return space.decode(np.clip(moved, 0.0, 1.0))


class BanditStrategy:
    """UCB over the choices of the first category, Hyperband over fidelities when there are any.

    The reward of a finished trial is the share of all finished trials of its fidelity that are not better.
    """

    def __init__(self, space: Space, options: SearchOptions, rng: np.random.Generator) -> None:
        self.space, self.options, self.rng = space, options, rng
        roots = [n for n, p in space.parameters.items() if isinstance(p, Categorical) and not p.when]
        self.arm_name = roots[0] if roots else None
        self.results: list[tuple[Point, float, float]] = []
        self._brackets: list[list[Rung]] = []
        self._bracket: list[Rung] = []
        self._queue: list[Point] = []
        self._members: list[Point] = []
        self._rung: list[tuple[float, int, Point]] = []

    def propose(self, history: History) -> tuple[Point, float] | None:
        """Return the next configuration of the rung, or a fresh one of the best arm while the rung is still running."""
        if self.options.min_fidelity >= 1.0:
            return self._fresh(history), 1.0
        if not self._bracket and not self._queue and not self._members:
            self._open_bracket(history)
        if not self._queue and self._members:
            return self._fresh(history), self.options.min_fidelity
        fidelity = self._bracket[0].fidelity
        self._members.append(self._queue.pop(0))
        return self._members[-1], fidelity

    def tell(self, point: Point, value: float, fidelity: float) -> None:
        """Note a finished trial; promote the best of a rung once it is complete."""
        self.results.append((point, value, fidelity))
        place = next((i for i, member in enumerate(self._members) if member is point), None)
        if place is None:  # asked while the rung was running, and no part of it
            return
        del self._members[place]
        self._rung.append((value if math.isfinite(value) else math.inf, len(self._rung), point))
        if self._queue or self._members:
            return
        self._bracket = self._bracket[1:]
        if self._bracket:
            self._rung.sort()
            self._queue = [entry[2] for entry in self._rung[: self._bracket[0].count]]
        self._rung = []

    def _open_bracket(self, history: History) -> None:
        if not self._brackets:
            self._brackets = hyperband_brackets(self.options.min_fidelity, self.options.eta)
        self._bracket = self._brackets.pop(0)
        self._queue = [self._fresh(history) for _ in range(self._bracket[0].count)]

    def _fresh(self, history: History) -> Point:
        arm = self._choose_arm(history)
        for _ in range(100):
            same = [(p, v) for p, v, _f in self._finite() if arm is None or p.get(self.arm_name or "") == arm]
            if len(same) >= 4 and self.rng.random() < 0.5:
                point = near_best(self.space, [p for p, _ in same], [v for _, v in same], self.rng)
            else:
                point = self.space.sample(self.rng)
            if arm is None or point[self.arm_name or ""] == arm:
                return point
        return point

    def _finite(self) -> list[tuple[Point, float, float]]:
        top = max((f for _, v, f in self.results if math.isfinite(v)), default=1.0)
        return [entry for entry in self.results if math.isfinite(entry[1]) and entry[2] == top]

    def _choose_arm(self, history: History) -> Hashable | None:
        if self.arm_name is None:
            return None
        parameter: Any = self.space.parameters[self.arm_name]
        bandit = UCB(parameter.choices, exploration=self.options.exploration)
        for fidelity in sorted({f for _, _, f in self.results}):
            group = [(p, v if math.isfinite(v) else math.inf) for p, v, f in self.results if f == fidelity]
            values = np.sort([v for _, v in group])
            for point, value in group:
                not_better = len(values) - int(np.searchsorted(values, value, side="left"))
                bandit.update(point[self.arm_name], not_better / len(values) if math.isfinite(value) else 0.0)
        for point in (*history.pending, *self._queue):
            bandit.pulls[point[self.arm_name]] += 1  # a running trial counts as a pull without reward
        return bandit.select()
