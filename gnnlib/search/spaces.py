"""Search spaces of named parameters, some of which exist only where another one has certain values.

A point is a dict of the active parameters. For models and local moves it is also a vector of numbers in [0, 1], one a
parameter, with a mask that says which of them are active.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["Categorical", "Float", "Int", "Parameter", "Point", "Space"]

Point = dict[str, Any]
"""Values of the active parameters by name."""

When = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter(ABC):
    """Base class of the parameters of a `Space`.

    Parameters
    ----------
    when : mapping of str to value or tuple of values, optional
        Names of other parameters and the values at which this one exists; all entries must hold.
    """

    when: When | None = field(default=None, kw_only=True)

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Return the place of `value` in [0, 1]."""

    @abstractmethod
    def from_unit(self, unit: float) -> Any:
        """Return the value at `unit` in [0, 1]."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Return whether `value` is one of the parameter's values."""

    @abstractmethod
    def levels(self, count: int) -> list[Any]:
        """Return at most `count` values spread over the range; all values of a category."""


def _check_range(low: float, high: float, *, log: bool) -> None:
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, (int, float, np.number)) or not math.isfinite(bound):
            raise InputError(f"`{name}` must be a finite number, found {bound!r}")
    if not low < high:
        raise InputError(f"`low` must be less than `high`, found {low!r} and {high!r}")
    if log and low <= 0:
        raise InputError(f"a logarithmic range needs `low` > 0, found {low!r}")


@dataclass(frozen=True)
class Float(Parameter):
    """A real number in [low, high].

    Parameters
    ----------
    low, high : float
        Ends of the range, both included.
    log : bool, default False
        Whether the logarithm is what is spread evenly; `low` must be positive then.
    when : mapping, optional
        As in `Parameter`.

    Raises
    ------
    InputError
        If the range is empty or not finite.

    Examples
    --------
    >>> round(Float(1e-3, 1e3, log=True).from_unit(0.5), 6)
    1.0
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def to_unit(self, value: Any) -> float:
        """Return the place of `value` in [0, 1]."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (float(value) - self.low) / (self.high - self.low)

    def from_unit(self, unit: float) -> float:
        """Return the value at `unit`."""
        if self.log:
            value = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + unit * (self.high - self.low)
        return float(min(max(value, self.low), self.high))

    def contains(self, value: Any) -> bool:
        """Return whether `value` is a number of the range."""
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        return bool(is_number and self.low <= value <= self.high)

    def levels(self, count: int) -> list[float]:
        """Return `count` evenly spread values, the ends included."""
        return [self.from_unit(float(unit)) for unit in (np.linspace(0, 1, count) if count > 1 else [0.5])]


@dataclass(frozen=True)
class Int(Parameter):
    """An integer in [low, high].

    Parameters
    ----------
    low, high : int
        Ends of the range, both included.
    log : bool, default False
        Whether the logarithm is what is spread evenly; `low` must be positive then.
    when : mapping, optional
        As in `Parameter`.

    Raises
    ------
    InputError
        If the range is empty or an end is no integer.

    Examples
    --------
    >>> Int(1, 64, log=True).levels(4)
    [1, 3, 13, 64]
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)
        for name, bound in (("low", self.low), ("high", self.high)):
            if not isinstance(bound, (int, np.integer)):
                raise InputError(f"`{name}` of an integer parameter must be an integer, found {bound!r}")

    def _edges(self) -> tuple[float, float]:
        # Every integer owns an interval of width one, so that the ends are drawn as often as the others.
        low, high = self.low - 0.5, self.high + 0.5
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def to_unit(self, value: Any) -> float:
        """Return the place of `value` in [0, 1]."""
        low, high = self._edges()
        return ((math.log(value) if self.log else float(value)) - low) / (high - low)

    def from_unit(self, unit: float) -> int:
        """Return the integer whose interval holds `unit`."""
        low, high = self._edges()
        place = low + unit * (high - low)
        return int(min(max(round(math.exp(place) if self.log else place), self.low), self.high))

    def contains(self, value: Any) -> bool:
        """Return whether `value` is an integer of the range."""
        is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        return bool(is_integer and self.low <= value <= self.high)

    def levels(self, count: int) -> list[int]:
        """Return at most `count` different integers, the ends included."""
        return sorted({self.from_unit(float(unit)) for unit in (np.linspace(0, 1, count) if count > 1 else [0.5])})


@dataclass(frozen=True)
class Categorical(Parameter):
    """One of a few values without order.

    Parameters
    ----------
    choices : sequence of hashable
        At least one, all different.
    when : mapping, optional
        As in `Parameter`.

    Raises
    ------
    InputError
        If there is no choice or one appears twice.

    Examples
    --------
    >>> Categorical(("svm", "trees")).from_unit(0.9)
    'trees'
    """

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if isinstance(self.choices, str) or len(tuple(self.choices)) == 0:
            raise InputError(f"`choices` must be a sequence of at least one value, found {self.choices!r}")
        object.__setattr__(self, "choices", tuple(self.choices))
        for position, choice in enumerate(self.choices):
            if self.choices.index(choice) != position:
                raise InputError(f"`choices` must differ, found {choice!r} twice")

    def to_unit(self, value: Any) -> float:
        """Return the middle of the interval of `value`."""
        return (self.choices.index(value) + 0.5) / len(self.choices)

    def from_unit(self, unit: float) -> Any:
        """Return the choice whose interval holds `unit`."""
        return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]

    def contains(self, value: Any) -> bool:
        """Return whether `value` is a choice."""
        return value in self.choices

    def levels(self, count: int) -> list[Any]:  # noqa: ARG002 (a category has all its values)
        """Return all choices."""
        return list(self.choices)


def _allowed(when: When, name: str) -> tuple[Any, ...]:
    values = when[name]
    return tuple(values) if isinstance(values, (tuple, list, set, frozenset)) else (values,)


class Space:
    """Named parameters with conditions.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        Conditions may form a forest of any depth; a parameter is active when those it names are active and have one of
        the values asked for.

    Attributes
    ----------
    parameters : dict of str to Parameter
        In an order in which every parameter comes after those it depends on.
    names : tuple of str

    Raises
    ------
    InputError
        If the space is empty, a condition names no parameter or a value it never takes, or conditions form a circle.

    Examples
    --------
    >>> space = Space(
    ...     {
    ...         "model": Categorical(("svm", "neighbours")),
    ...         "C": Float(1e-3, 1e3, log=True, when={"model": "svm"}),
    ...         "k": Int(1, 50, when={"model": "neighbours"}),
    ...     }
    ... )
    >>> sorted(space.sample(2))
    ['C', 'model']
    >>> sum(1 for _ in space.grid(3))
    6
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        if not parameters:
            raise InputError("a space needs at least one parameter, found none")
        for name, parameter in parameters.items():
            if not isinstance(parameter, Parameter):
                raise InputError(f"{name!r} must be a Float, Int or Categorical, found {parameter!r}")
            for parent in parameter.when or {}:
                self._check_condition(name, parent, parameters)
        self.parameters = _by_dependence(parameters)
        self.names = tuple(self.parameters)

    @staticmethod
    def _check_condition(name: str, parent: str, parameters: Mapping[str, Parameter]) -> None:
        if parent not in parameters:
            raise InputError(f"{name!r} depends on {parent!r}, which is not one of {', '.join(parameters)}")
        for value in _allowed(parameters[name].when or {}, parent):
            if not parameters[parent].contains(value):
                raise InputError(f"{name!r} exists where {parent!r} is {value!r}, which is none of its values")

    def __len__(self) -> int:
        return len(self.parameters)

    def is_active(self, name: str, point: Mapping[str, Any]) -> bool:
        """Return whether `name` exists at `point`, whose parameters before `name` must be given."""
        when = self.parameters[name].when or {}
        return all(parent in point and point[parent] in _allowed(when, parent) for parent in when)

    def decode(self, unit: FloatArray) -> Point:
        """Return the point at a vector in [0, 1]; entries of inactive parameters are not looked at."""
        point: Point = {}
        for position, (name, parameter) in enumerate(self.parameters.items()):
            if self.is_active(name, point):
                point[name] = parameter.from_unit(float(unit[position]))
        return point

    def encode(self, point: Mapping[str, Any]) -> tuple[FloatArray, BoolArray]:
        """Return the vector [D] of a point, 0.5 where inactive, and which parameters are active [D].

        Raises
        ------
        InputError
            If an active parameter is missing, an inactive or unknown one given, or a value is not allowed.
        """
        self.check(point)
        active = np.array([name in point for name in self.names])
        unit = [p.to_unit(point[name]) if name in point else 0.5 for name, p in self.parameters.items()]
        return np.array(unit), active

    def check(self, point: Mapping[str, Any]) -> None:
        """Raise an `InputError` unless `point` belongs to the space."""
        for name in point:
            if name not in self.parameters:
                raise InputError(f"{name!r} is not a parameter of the space; it has {', '.join(self.names)}")
        for name, parameter in self.parameters.items():
            if self.is_active(name, point) != (name in point):
                state = "is missing" if name not in point else "does not exist at this point"
                raise InputError(f"parameter {name!r} {state}: {dict(point)!r}")
            if name in point and not parameter.contains(point[name]):
                raise InputError(f"{name!r} must be in {parameter}, found {point[name]!r}")

    def sample(self, seed: int | np.random.Generator = 0) -> Point:
        """Draw a point, every active parameter evenly over its (logarithmic) range."""
        return self.decode(np.random.default_rng(seed).random(len(self)))

    def grid(self, levels: int) -> Iterator[Point]:
        """Yield all combinations of at most `levels` values a parameter, every point once."""
        yield from self._extend({}, 0, levels)

    def _extend(self, point: Point, position: int, levels: int) -> Iterator[Point]:
        if position == len(self.names):
            yield dict(point)
            return
        name = self.names[position]
        if not self.is_active(name, point):
            yield from self._extend(point, position + 1, levels)
            return
        for value in self.parameters[name].levels(levels):
            yield from self._extend({**point, name: value}, position + 1, levels)

    def key(self, point: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return a hashable form of a point, equal for equal points."""
        return tuple((name, point[name]) for name in self.names if name in point)


def _by_dependence(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Order parameters so that conditions look backwards only."""
    ordered: dict[str, Parameter] = {}
    waiting = dict(parameters)
    for _ in itertools.repeat(None, len(parameters)):
        ready = [n for n, p in waiting.items() if all(parent in ordered for parent in p.when or {})]
        if not ready:
            break
        ordered[ready[0]] = waiting.pop(ready[0])
    if waiting:
        raise InputError(f"the conditions of {', '.join(waiting)} form a circle")
    return ordered
