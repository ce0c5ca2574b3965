"""What a kind of vehicle can do and costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gnnlib.errors import InputError

__all__ = ["VehicleType"]


@dataclass(frozen=True)
class VehicleType:
    """Vehicles that are all alike.

    Parameters
    ----------
    count : int >= 0
        How many there are.
    capacity : tuple of Q floats >= 0
        Largest load in each dimension; empty when loads have no bearing.
    start : int
        Depot that its routes leave from.
    end : int or None
        Depot that they return to; None when a route ends at its last client (open routes).
    fixed_cost : float
        For every vehicle that drives.
    distance_cost, duration_cost : float
        For every unit of distance and of time between start and end, waiting included.
    shift : (float, float)
        Earliest start and latest end.
    max_distance, max_duration : float
        Limits of one route.
    skills : frozenset of str
        Clients that need a skill are served by vehicles that have it.
    profile : int >= 0
        Which matrices of distances and durations it travels by.
    reload_depots : tuple of int
        Depots where a vehicle may leave what it picked up and load for the next trip of the same route; empty when a
        route is one trip. In the list of a route, the number of the depot stands where it reloads: ``[3, 1, 0, 2]``.
    max_reloads : int or None
        How often in a route; None for as often as wanted.
    name : str

    Raises
    ------
    InputError
        If a number is negative or NaN, or the shift ends before it starts.

    Examples
    --------
    >>> VehicleType(3, (100.0,), fixed_cost=50).end
    0
    """

    count: int
    capacity: tuple[float, ...] = ()
    start: int = 0
    end: int | None = 0
    fixed_cost: float = 0.0
    distance_cost: float = 1.0
    duration_cost: float = 0.0
    shift: tuple[float, float] = (0.0, math.inf)
    max_distance: float = math.inf
    max_duration: float = math.inf
    skills: frozenset[str] = frozenset()
    profile: int = 0
    reload_depots: tuple[int, ...] = ()
    max_reloads: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        wholes = {name: getattr(self, name) for name in ("count", "start", "end", "profile", "max_reloads")}
        wholes |= {f"reload_depots[{i}]": depot for i, depot in enumerate(self.reload_depots)}
        for name, value in wholes.items():
            if value is None and name in {"end", "max_reloads"}:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"`{name}` of a vehicle type must be a whole number, found {value!r}")
            if value < 0:
                raise InputError(f"`{name}` of a vehicle type must be >= 0, found {value}")
        amounts = {
            "max_distance": self.max_distance,
            "max_duration": self.max_duration,
            **{f"capacity[{i}]": value for i, value in enumerate(self.capacity)},
        }
        for name, value in amounts.items():
            if not value >= 0.0:
                raise InputError(f"`{name}` of a vehicle type must be >= 0, found {value}")
        for name in ("fixed_cost", "distance_cost", "duration_cost"):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise InputError(f"`{name}` of a vehicle type must be finite and >= 0, found {value}")
        if not self.shift[0] <= self.shift[1] or math.isinf(self.shift[0]):
            raise InputError(f"`shift` of a vehicle type must not end before it starts, found {self.shift}")

    @property
    def trips(self) -> float:
        """Most trips in one route: 1 without reloading, infinity when it may be done as often as wanted."""
        if not self.reload_depots:
            return 1.0
        return math.inf if self.max_reloads is None else 1.0 + self.max_reloads
