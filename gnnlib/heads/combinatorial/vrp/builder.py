"""Building a vehicle routing problem client by client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp import checks
from gnnlib.heads.combinatorial.vrp.problem import VRP, Group
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gnnlib.typing import ArrayLike, FloatArray

__all__ = ["VRPBuilder"]

_ALWAYS = (0.0, math.inf)


class VRPBuilder:
    """Collects depots, clients and vehicles; `build` makes the `VRP` of them.

    Depots are added before clients, so that every `add_` method can return the final number: the one by which pairs
    and groups name a client, and by which routes list it.

    Parameters
    ----------
    name : str
        Of the problem.

    Examples
    --------
    Two clients who must be served, one who pays for it, and a parcel that goes from one to another:

    >>> builder = VRPBuilder("morning")
    >>> depot = builder.add_depot((0, 0), opening=(0, 480))
    >>> anna = builder.add_client((3, 4), delivery=4, windows=[(0, 60), (300, 360)], service_time=5)
    >>> bert = builder.add_client((0, 5), delivery=2)
    >>> carl = builder.add_client((9, 0), delivery=1, prize=3.5)
    >>> shop, home = builder.add_client((1, 1)), builder.add_client((2, 6))
    >>> builder.add_pair(shop, home, load=1)
    >>> vans = builder.add_vehicle_type(VehicleType(2, (8,), fixed_cost=10, max_duration=240))
    >>> problem = builder.build()
    >>> problem, problem.required.tolist()
    (VRP(name='morning', num_clients=5, num_depots=1, num_vehicles=2), [True, True, False, True, True])
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._places: list[tuple[float, float] | None] = []
        self._openings: list[tuple[float, float]] = []
        self._deliveries: list[FloatArray] = []
        self._pickups: list[FloatArray] = []
        self._service: list[float] = []
        self._windows: list[list[tuple[float, float]]] = []
        self._prizes: list[float] = []
        self._optional: list[bool] = []
        self._skills: list[frozenset[str]] = []
        self._kinds: list[VehicleType] = []
        self._groups: list[Group] = []
        self._pairs: list[tuple[int, int]] = []

    @property
    def num_places(self) -> int:
        """Number of depots and clients so far."""
        return len(self._places)

    def add_depot(self, place: tuple[float, float] | None = None, *, opening: tuple[float, float] = _ALWAYS) -> int:
        """Add a depot and return its number: 0, 1, ...

        Parameters
        ----------
        place : (x, y), optional
            Not needed when `build` is given matrices.
        opening : (float, float)
            Vehicles leave and return within it.

        Raises
        ------
        InputError
            If there are clients already.
        """
        if self._service:
            raise InputError("depots must be added before clients, for clients are numbered after them")
        self._places.append(_point(place))
        self._openings.append(opening)
        return self.num_places - 1

    def add_client(
        self,
        place: tuple[float, float] | None = None,
        *,
        delivery: float | Sequence[float] = (),
        pickup: float | Sequence[float] = (),
        service_time: float = 0.0,
        windows: tuple[float, float] | Sequence[tuple[float, float]] = (),
        prize: float = 0.0,
        required: bool | None = None,
        skills: Iterable[str] = (),
    ) -> int:
        """Add a client and return its number, by which routes list it.

        Parameters
        ----------
        place : (x, y), optional
            Not needed when `build` is given matrices.
        delivery, pickup : float or Q floats >= 0
            Brought from the depot, and taken to it; a number means the first dimension, missing dimensions are 0.
        service_time : float >= 0
        windows : (opening, closing) or sequence of them
            When service may begin; none for always.
        prize : float >= 0
            Cost of leaving the client out.
        required : bool, optional
            Whether it must be served; default: when there is no prize.
        skills : iterable of str
            What a vehicle needs to serve it.

        Raises
        ------
        InputError
            If a number is negative or NaN, or a window closes before it opens; the message names the client.
        """
        number = self.num_places
        spans = _spans(windows, number)
        for name, value in (("service_time", service_time), ("prize", prize)):
            checks.amounts(name, [value], (1,), number)
        loads = [_load(name, value, number) for name, value in (("delivery", delivery), ("pickup", pickup))]
        if isinstance(skills, str):
            raise InputError(f"`skills` of client {number} must be a collection of words, found the word {skills!r}")
        self._places.append(_point(place))
        self._deliveries.append(loads[0])
        self._pickups.append(loads[1])
        self._service.append(float(service_time))
        self._windows.append(spans)
        self._prizes.append(float(prize))
        self._optional.append(prize > 0.0 if required is None else not required)
        self._skills.append(frozenset(skills))
        return number

    def add_vehicle_type(self, kind: VehicleType) -> int:
        """Add vehicles that are all alike and return the number of their type."""
        if not isinstance(kind, VehicleType):
            raise InputError(f"`kind` must be a VehicleType, found {type(kind).__name__}")
        self._kinds.append(kind)
        return len(self._kinds) - 1

    def add_pair(self, pickup: int, delivery: int, *, load: float | Sequence[float] = 0.0) -> None:
        """Ask for a transport: one vehicle takes `load` at client `pickup` and brings it to client `delivery`.

        Raises
        ------
        InputError
            If one of them is no client yet, or has a load of its own.
        """
        first, amount = len(self._openings), _load("load", load, pickup)
        checks.client_numbers("pair", (pickup, delivery), range(first, self.num_places))
        for client in (pickup, delivery):
            if self._deliveries[client - first].any() or self._pickups[client - first].any():
                raise InputError(f"client {client} of a pair must not have a delivery or pickup of its own")
        self._pairs.append((pickup, delivery))
        self._pickups[pickup - first] = self._deliveries[delivery - first] = amount

    def add_group(self, clients: Sequence[int], *, required: bool = True) -> None:
        """Make clients alternatives: exactly one of them is served, or at most one when not `required`.

        Raises
        ------
        InputError
            If one of them is no client yet, or in another group.
        """
        known = range(len(self._openings), self.num_places)
        group = Group(tuple(clients), required)
        checks.group_members([*self._groups, group], known)
        self._groups.append(group)
        for client in clients:
            self._optional[client - known.start] = True

    def build(
        self,
        *,
        distances: ArrayLike | None = None,
        durations: ArrayLike | None = None,
        rounding: str = "exact",
        backhaul: bool = False,
        cost_scale: float = 1.0,
    ) -> VRP:
        """Make the problem.

        Parameters
        ----------
        distances, durations : array-like [M, M] or [P, M, M], optional
            From each of the M places (depots, then clients) to each other; need not be symmetric; infinite where there
            is no way. One matrix for each profile of vehicles. Default: Euclidean distances, and durations as the
            distances.
        rounding : {"exact", "round", "floor", "ceil"}
            Of Euclidean distances.
        backhaul : bool
            Whether in every route deliveries come before pickups.
        cost_scale : float
            See `VRP`.

        Raises
        ------
        InputError
            If something is missing or does not fit; see `VRP`.
        """
        dimensions = len(self._kinds[0].capacity) if self._kinds else 0
        return VRP(
            self._travel(distances, durations, rounding),
            tuple(self._kinds),
            num_depots=len(self._openings),
            delivery=_table("delivery", self._deliveries, dimensions, len(self._openings)),
            pickup=_table("pickup", self._pickups, dimensions, len(self._openings)),
            service_time=np.array(self._service),
            windows=_window_table(self._windows),
            prize=np.array(self._prizes),
            required=~np.array(self._optional, bool),
            depot_windows=np.array(self._openings, np.float64).reshape(-1, 2),
            skills=tuple(self._skills),
            groups=tuple(self._groups),
            pairs=np.array(self._pairs, np.int64).reshape(-1, 2),
            backhaul=backhaul,
            cost_scale=cost_scale,
            name=self.name,
        )

    def _travel(self, distances: ArrayLike | None, durations: ArrayLike | None, rounding: str) -> Travel:
        missing = [number for number, place in enumerate(self._places) if place is None]
        if missing and distances is None:
            raise InputError(f"place {missing[0]} has no coordinates; add them, or build with `distances`")
        coords = None if missing else np.array(self._places, np.float64).reshape(-1, 2)
        return Travel(coords, rounding, _matrices("distances", distances), _matrices("durations", durations))


def _point(place: tuple[float, float] | None) -> tuple[float, float] | None:
    if place is None:
        return None
    point = checks.as_floats("place", place)
    if point.shape != (2,) or not np.isfinite(point).all():
        raise InputError(f"`place` must be two finite numbers, x and y, found {place!r}")
    return float(point[0]), float(point[1])


def _load(name: str, values: float | Sequence[float], client: int) -> FloatArray:
    load = checks.as_floats(name, values).reshape(-1)
    return checks.amounts(name, load[None], (1, len(load)), client)[0]


def _spans(windows: tuple[float, float] | Sequence[tuple[float, float]], client: int) -> list[tuple[float, float]]:
    array = checks.as_floats("windows", windows)
    if array.size == 0:
        return [_ALWAYS]
    rows = array[None] if array.ndim == 1 else array
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise InputError(f"`windows` of client {client} must be pairs (opening, closing), found {windows!r}")
    table = checks.windows("windows", rows[None], 1, "client", client)
    return [(opening, closing) for opening, closing in table[0].tolist()]


def _table(name: str, loads: list[FloatArray], dimensions: int, first: int) -> FloatArray:
    table = np.zeros((len(loads), dimensions))
    for row, load in enumerate(loads):
        if load[dimensions:].any():
            raise InputError(
                f"`{name}` of client {row + first} has {len(load)} dimensions, the vehicles' capacity has {dimensions}"
            )
        table[row, : len(load)] = load[:dimensions]
    return table


def _window_table(windows: list[list[tuple[float, float]]]) -> FloatArray:
    most = max((len(spans) for spans in windows), default=1)
    table = np.full((len(windows), most, 2), math.nan)
    for row, spans in enumerate(windows):
        table[row, : len(spans)] = spans
    return table


def _matrices(name: str, values: ArrayLike | None) -> FloatArray | None:
    if values is None:
        return None
    array = checks.as_floats(name, values)
    return array[None] if array.ndim == 2 else array
