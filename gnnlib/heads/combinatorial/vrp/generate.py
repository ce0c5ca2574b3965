"""Random instances: the uniform ones that learned methods are compared on, and a mix after the laws of the X set.

References
----------
.. [1] M. Nazari et al., Reinforcement learning for solving the vehicle routing problem, NeurIPS (2018), section 4.1.
.. [2] W. Kool et al., Attention, learn to solve routing problems!, ICLR (2019), appendix C.
.. [3] E. Uchoa et al., New benchmark instances for the capacitated vehicle routing problem, European Journal of
   Operational Research 257 (2017), section 4.
.. [4] M. M. Solomon, Algorithms for the vehicle routing and scheduling problems with time window constraints,
   Operations Research 35 (1987), section 3: windows around the times of a reachable visit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.problem import VRP
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray

__all__ = ["CAPACITY", "DEMANDS", "DEPOTS", "PLACES", "generate_vrp", "uniform_vrp"]

Depot = Literal["centre", "corner", "random"]
Places = Literal["uniform", "clustered", "mixed"]

DEPOTS: tuple[Depot, ...] = ("centre", "corner", "random")
PLACES: tuple[Places, ...] = ("uniform", "clustered", "mixed")

#: Smallest and largest demand; "quadrants" depends on the place, "few large" has one large in ten.
DEMANDS = {"unit": (1, 1), "1-10": (1, 10), "5-10": (5, 10), "1-100": (1, 100), "50-100": (50, 100)}
DEMANDS |= {"quadrants": (1, 100), "few large": (1, 100)}

#: Vehicle capacity of the uniform instances by their number of clients, for demands from 1 to 9 [1]_ [2]_.
CAPACITY = {20: 30.0, 50: 40.0, 100: 50.0}

_SIDE = 1000.0


def uniform_vrp(num_clients: int, *, windows: bool = False, seed: Seed = 0) -> VRP:
    """Draw the usual instance of learned methods: places uniform in the unit square, demands 1 to 9.

    Parameters
    ----------
    num_clients : int >= 1
        Capacities are 30, 40 and 50 up to 20, 50 and more clients.
    windows : bool
        Add a time window to each client, a horizon of 4.6 and service times, in the manner of the VRPTW of multi-task
        routing: each client can be reached in time from the depot, and the depot afterwards.
    seed : int or generator

    Examples
    --------
    >>> uniform_vrp(100).vehicle_types[0].capacity
    (50.0,)
    """
    if num_clients < 1:
        raise InputError(f"`num_clients` must be >= 1, found {num_clients}")
    rng = numpy_generator(seed)
    coords = rng.random((1 + num_clients, 2))
    demand = rng.integers(1, 10, size=num_clients).astype(np.float64)
    capacity = next((room for size, room in CAPACITY.items() if num_clients <= size), 50.0)
    problem = VRP.from_coords(coords, demand=demand, capacity=capacity)
    if not windows:
        return problem
    return _with_windows(problem, 4.6, rng.uniform(0.15, 0.18, num_clients), rng.uniform(0.18, 0.2, num_clients), rng)


def generate_vrp(
    num_clients: int,
    *,
    depot: Depot = "random",
    places: Places = "mixed",
    demand: str = "1-100",
    clients_per_route: float = 10.0,
    windows: bool = False,
    seed: Seed = 0,
) -> VRP:
    """Draw an instance in the manner of the X set: whole numbers on a square of side 1000.

    Parameters
    ----------
    num_clients : int >= 1
    depot : {"centre", "corner", "random"}
    places : {"uniform", "clustered", "mixed"}
        Clustered clients gather around 3 to 8 seeds, more densely the nearer; mixed ones do so by half.
    demand : str
        A key of `DEMANDS`.
    clients_per_route : float >= 1
        How many clients of mean demand fill a vehicle.
    windows : bool
        Add service times and time windows of one to four hundredths of the horizon and more.
    seed : int or generator

    Examples
    --------
    >>> generate_vrp(30, depot="corner", places="clustered", seed=1)
    VRP(name='clustered-30', num_clients=30, num_depots=1, num_vehicles=30)
    """
    if num_clients < 1 or not clients_per_route >= 1.0:
        raise InputError(
            f"`num_clients` and `clients_per_route` must be >= 1, found {num_clients}, {clients_per_route}"
        )
    for name, value, known in (
        ("depot", depot, DEPOTS),
        ("places", places, PLACES),
        ("demand", demand, tuple(DEMANDS)),
    ):
        if value not in known:
            raise InputError(f"`{name}` must be one of {', '.join(known)}, found {value!r}")
    rng = numpy_generator(seed)
    home = {"centre": np.full(2, _SIDE / 2), "corner": np.zeros(2), "random": rng.integers(0, 1001, 2)}[depot]
    spots = _places(num_clients, places, rng)
    loads = _loads(spots, demand, rng)
    capacity = float(max(math.ceil(clients_per_route * loads.mean()), loads.max()))
    problem = VRP(
        Travel(np.concatenate([np.asarray(home, np.float64)[None], spots]), "round"),
        (VehicleType(num_clients, (capacity,)),),
        delivery=loads[:, None],
        name=f"{places}-{num_clients}",
    )
    if not windows:
        return problem
    widths = rng.uniform(0.02, 0.35, num_clients)
    return _with_windows(problem, 6.0 * _SIDE, np.round(0.02 * _SIDE * np.ones(num_clients)), 6.0 * _SIDE * widths, rng)


def _places(count: int, kind: Places, rng: np.random.Generator) -> FloatArray:
    """Whole-numbered places [count, 2] in the square."""
    spread = rng.integers(0, 1001, size=(count, 2)).astype(np.float64)
    if kind == "uniform":
        return spread
    seeds = rng.integers(0, 1001, size=(int(rng.integers(3, 9)), 2))
    around = seeds[rng.integers(0, len(seeds), count)] + rng.laplace(0.0, 60.0, size=(count, 2))
    gathered = np.clip(np.round(around), 0.0, _SIDE)
    if kind == "clustered":
        return gathered
    return np.where((np.arange(count) % 2 == 0)[:, None], gathered, spread)


def _loads(spots: FloatArray, kind: str, rng: np.random.Generator) -> FloatArray:
    low, high = DEMANDS[kind]
    count = len(spots)
    if kind == "quadrants":  # small in two opposite quadrants, large in the others
        is_even = (spots[:, 0] < _SIDE / 2) == (spots[:, 1] < _SIDE / 2)
        return np.where(is_even, rng.integers(1, 51, count), rng.integers(51, 101, count)).astype(np.float64)
    if kind == "few large":
        return np.where(rng.random(count) < 0.9, rng.integers(1, 11, count), rng.integers(50, 101, count)).astype(float)
    return rng.integers(low, high + 1, size=count).astype(np.float64)


def _with_windows(
    problem: VRP, horizon: float, service: FloatArray, widths: FloatArray, rng: np.random.Generator
) -> VRP:
    """Open every client for a while around a time at which it can be reached and left in time."""
    coords = problem.travel.coords
    if coords is None:
        raise InputError("windows are drawn for problems with coordinates")
    clients = np.arange(1, problem.travel.num_places)
    there = problem.travel.distance(0, clients)
    latest = horizon - there - service
    opening = there + rng.random(len(clients)) * np.maximum(latest - widths - there, 0.0)
    closing = np.minimum(opening + widths, latest)
    if problem.travel.rounding == "round":
        opening, closing = np.floor(opening), np.floor(closing)
    return VRP(
        problem.travel,
        problem.vehicle_types,
        delivery=problem.delivery,
        service_time=service,
        windows=np.stack([opening, np.maximum(closing, opening)], axis=1)[:, None],
        depot_windows=np.array([[0.0, horizon]]),
        name=problem.name,
    )
