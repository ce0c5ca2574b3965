"""The record of a vehicle routing problem, `VRP`: places, clients, vehicles, and what binds them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp import checks
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray, PathLike

__all__ = ["VRP", "Group", "VehicleType"]


@dataclass(frozen=True)
class Group:
    """Clients that stand for each other: at most one of them is served.

    Parameters
    ----------
    clients : tuple of int
        Client numbers.
    required : bool
        Whether one of them must be served.
    """

    clients: tuple[int, ...]
    required: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class VRP:
    """A vehicle routing problem.

    Places are numbered with the D depots first: 0 .. D-1, then the n clients: D .. D+n-1. The number of its place is
    the *client number*, as in solution files: from 1 to n where there is one depot. Arrays about clients have one row
    a client, so that client c has row ``c - D``.

    Parameters
    ----------
    travel : Travel
        Distances and durations between the D + n places.
    vehicle_types : tuple of VehicleType
    num_depots : int >= 1
    delivery, pickup : float array [n, Q]
        What is brought from the depot to the client, and taken from the client to the depot, in Q dimensions. For the
        clients of `pairs`: what travels between the two.
    service_time : float array [n]
    windows : float array [n, K, 2]
        Service begins within one of up to K time windows (opening, closing), in rising order; rows of NaN fill up.
    prize : float array [n]
        Cost of leaving out a client that is not required; 0 for required ones.
    required : bool array [n]
        Whether a client must be served; those of groups and those with a prize need not.
    depot_windows : float array [D, 2]
        Opening hours of the depots.
    skills : tuple of n frozensets of str
        Skills that a vehicle needs.
    groups : tuple of Group
    pairs : int array [k, 2]
        Pickup and delivery by the same vehicle, in this order, as client numbers.
    backhaul : bool
        Whether in every route all deliveries come before all pickups, and no route holds pickups only.
    cost_scale : float
        Costs in the units of the arrays are divided by this when they are reported, for instance 10 for distances that
        were multiplied by 10 and truncated.
    name, comment : str

    Raises
    ------
    InputError
        If shapes do not fit, a number is out of range or NaN, or a reference points to nobody.

    Examples
    --------
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [0, 5], [9, 0]], demand=[4, 3, 5], capacity=8, num_vehicles=2)
    >>> problem
    VRP(name='', num_clients=3, num_depots=1, num_vehicles=2)
    >>> problem.travel.distance_matrix()[0].tolist()
    [0.0, 5.0, 5.0, 9.0]
    """

    travel: Travel
    vehicle_types: tuple[VehicleType, ...]
    num_depots: int = 1
    delivery: FloatArray = None  # type: ignore[assignment]  # the missing ones are filled in below
    pickup: FloatArray = None  # type: ignore[assignment]
    service_time: FloatArray = None  # type: ignore[assignment]
    windows: FloatArray = None  # type: ignore[assignment]
    prize: FloatArray = None  # type: ignore[assignment]
    required: BoolArray = None  # type: ignore[assignment]
    depot_windows: FloatArray = None  # type: ignore[assignment]
    skills: tuple[frozenset[str], ...] = ()
    groups: tuple[Group, ...] = ()
    pairs: IntArray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    backhaul: bool = False
    cost_scale: float = 1.0
    name: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.num_depots <= self.travel.num_places:
            raise InputError(
                f"`num_depots` must be from 1 to the {self.travel.num_places} places, found {self.num_depots}"
            )
        if self.num_clients < 1:
            raise InputError(f"a problem needs at least one client, found {self.num_depots} depots and nothing else")
        n, first, put = self.num_clients, self.num_depots, object.__setattr__
        dimensions = len(self.vehicle_types[0].capacity) if self.vehicle_types else 0
        for name in ("delivery", "pickup"):
            put(self, name, checks.amounts(name, getattr(self, name), (n, dimensions), first))
        put(self, "service_time", checks.amounts("service_time", self.service_time, (n,), first))
        put(self, "prize", checks.amounts("prize", self.prize, (n,), first))
        put(self, "windows", checks.windows("windows", self.windows, n, "client", first))
        put(self, "depot_windows", checks.windows("depot_windows", self.depot_windows, first, "depot", 0)[:, 0])
        numbers = range(first, self.travel.num_places)
        put(self, "pairs", checks.pairs(self.pairs, numbers))
        checks.paired_loads(self.pairs, self.delivery, self.pickup, first)
        grouped = checks.group_members(self.groups, numbers)
        put(self, "required", checks.required_clients(self.required, grouped, self.prize, first))
        if not self.skills:
            put(self, "skills", (frozenset(),) * n)
        elif len(self.skills) != n:
            raise InputError(f"`skills` must have {n} entries, one a client, found {len(self.skills)}")
        checks.vehicle_types(self.vehicle_types, self.num_depots, self.travel.num_profiles)
        if not (math.isfinite(self.cost_scale) and self.cost_scale > 0.0):
            raise InputError(f"`cost_scale` must be > 0, found {self.cost_scale}")

    @classmethod
    def from_coords(
        cls,
        coords: ArrayLike,
        *,
        demand: ArrayLike,
        capacity: float,
        num_vehicles: int | None = None,
        rounding: str = "exact",
        windows: ArrayLike | None = None,
        service_time: ArrayLike | None = None,
    ) -> Self:
        """Build the usual problem: one depot, one kind of vehicle, Euclidean distances.

        Parameters
        ----------
        coords : array-like [1 + n, 2]
            The depot first.
        demand : array-like [n]
            Of the clients, to be delivered.
        capacity : float
        num_vehicles : int, optional
            Default: as many as there are clients.
        rounding : {"exact", "round", "floor", "ceil"}
        windows : array-like [1 + n, 2], optional
            Opening and closing of the depot and of each client.
        service_time : array-like [n], optional

        Examples
        --------
        >>> VRP.from_coords([[0, 0], [1, 0]], demand=[2], capacity=2).num_vehicles
        1
        """
        places = checks.as_floats("coords", coords)
        count = len(places) - 1 if num_vehicles is None else num_vehicles
        hours = None if windows is None else checks.as_floats("windows", windows)
        if hours is not None and hours.shape != (len(places), 2):
            raise InputError(f"`windows` must have shape [{len(places)}, 2], found {list(hours.shape)}")
        loads = checks.as_floats("demand", demand)
        if loads.shape != (len(places) - 1,):
            raise InputError(f"`demand` must have shape [{len(places) - 1}] (the clients), found {list(loads.shape)}")
        return cls(
            Travel(places, rounding),
            (VehicleType(count, (float(capacity),)),),
            delivery=loads[:, None],
            service_time=service_time,  # type: ignore[arg-type]
            windows=None if hours is None else hours[1:, None],  # type: ignore[arg-type]
            depot_windows=None if hours is None else hours[:1, None],  # type: ignore[arg-type]
        )

    @classmethod
    def from_file(cls, path: PathLike) -> VRP:
        """Read a file; see `gnnlib.heads.combinatorial.vrp.io.read_vrp`."""
        from gnnlib.heads.combinatorial.vrp.io import read_vrp  # io imports this module

        return read_vrp(path)

    @property
    def num_clients(self) -> int:
        """Number of clients n."""
        return self.travel.num_places - self.num_depots

    @property
    def num_vehicles(self) -> int:
        """Number of vehicles of all types."""
        return sum(kind.count for kind in self.vehicle_types)

    @property
    def has_windows(self) -> bool:
        """Whether time matters at all: a window, a shift, opening hours or a limit of duration."""
        closing = np.nanmax(self.windows[..., 1], initial=0.0)
        finite = bool(np.isfinite(closing)) or bool(np.isfinite(self.depot_windows[:, 1]).any())
        kinds = self.vehicle_types
        return finite or any(math.isfinite(kind.shift[1]) or math.isfinite(kind.max_duration) for kind in kinds)

    def __repr__(self) -> str:
        return (
            f"VRP(name={self.name!r}, num_clients={self.num_clients}, num_depots={self.num_depots}, "
            f"num_vehicles={self.num_vehicles})"
        )
