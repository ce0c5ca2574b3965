"""Labelled instances to learn from: generated problems, and routes of the project's own search.

Instance i of a split is drawn from the seed sequence ``[STREAM, split, i]``. Whole-number seeds, which tests and
benchmarks use, give other sequences, so nothing that is trained on is ever measured on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.generate import DEMANDS, DEPOTS, PLACES, generate_vrp, uniform_vrp
from gnnlib.heads.combinatorial.vrp.problem import VRP
from gnnlib.heads.combinatorial.vrp.travel import Travel
from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from gnnlib.typing import PathLike

__all__ = ["KINDS", "SPLITS", "LabelPlan", "LabelledRoutes", "make_labels", "uniform_tour"]

_logger = logging.getLogger(__name__)

STREAM = 0x565250
"""First word of all seed sequences of labelled instances."""

SPLITS = ("train", "val", "test")

#: What the instances of a split are, in turn.
KINDS = ("uniform", "mixed", "uniform", "windows", "uniform", "tour", "mixed", "uniform")

_SHARD = 64
"""Instances in one file of the cache: what an interrupt can lose."""


@dataclass(frozen=True, eq=False)
class LabelledRoutes:
    """An instance and the routes to be learned from it.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    problem : VRP
    routes : tuple of tuples of int
    """

    kind: str
    problem: VRP
    routes: tuple[tuple[int, ...], ...]


def uniform_tour(num_cities: int, *, seed: int | np.random.SeedSequence = 0) -> VRP:
    """Draw a travelling salesman problem as a routing problem: one vehicle without limits, whose depot is a city.

    Examples
    --------
    >>> uniform_tour(50).num_clients
    49
    """
    places = np.random.default_rng(seed).random((num_cities, 2))
    return VRP(Travel(places), (VehicleType(1),), name=f"tour-{num_cities}")


@dataclass(frozen=True)
class LabelPlan:
    """Which instances to generate, and how long to search each.

    Parameters
    ----------
    split : {"train", "val", "test"}
    count : int >= 1
    low, high : int
        Smallest and largest number of clients.
    rounds : int >= 1
        Iterations of the search for each client; a third of them with time windows, where each costs more.
    kinds : tuple of str
        What the instances are, in turn.
    """

    split: str
    count: int
    low: int = 50
    high: int = 100
    rounds: int = 300
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"`split` must be one of {', '.join(SPLITS)}, found {self.split!r}")
        if min(self.count, self.rounds) < 1 or not 2 <= self.low <= self.high:
            raise InputError(f"`count` and `rounds` must be >= 1 and 2 <= `low` <= `high`, found {self}")
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise InputError(f"`kinds` must be some of {', '.join(sorted(set(KINDS)))}, found {self.kinds}")

    def draw(self, number: int) -> tuple[str, VRP, int]:
        """Return kind, problem and search seed of one instance.

        Examples
        --------
        >>> LabelPlan("val", 8).draw(5)[0]
        'tour'
        """
        kind = self.kinds[number % len(self.kinds)]
        laws, places, search = np.random.SeedSequence([STREAM, SPLITS.index(self.split), number]).spawn(3)
        rng = np.random.default_rng(laws)
        size = int(rng.integers(self.low, self.high + 1))
        if kind == "tour":
            problem = uniform_tour(size, seed=places)
        elif kind == "mixed":
            problem = generate_vrp(
                size,
                depot=DEPOTS[rng.integers(len(DEPOTS))],
                places=PLACES[rng.integers(len(PLACES))],
                demand=list(DEMANDS)[rng.integers(len(DEMANDS))],
                clients_per_route=float(rng.triangular(3.0, 6.0, 25.0)),
                seed=places,
            )
        else:
            problem = uniform_vrp(size, windows=kind == "windows", seed=places)
        return kind, problem, int(search.generate_state(1)[0])

    def label(self, number: int) -> tuple[tuple[int, ...], ...]:
        """Generate and solve one instance; return its routes."""
        kind, problem, seed = self.draw(number)
        if kind == "tour":
            return (_tour(problem, seed),)
        from gnnlib.heads.combinatorial.vrp.api import solve_vrp

        rounds = -(-self.rounds // 3) if kind == "windows" else self.rounds
        return solve_vrp(problem, stop=MaxIterations(rounds * problem.num_clients), seed=seed).routes


def _tour(problem: VRP, seed: int) -> tuple[int, ...]:
    from gnnlib.heads.combinatorial.tsp.api import solve_tsp
    from gnnlib.heads.combinatorial.tsp.problem import TSP

    order = solve_tsp(TSP.from_matrix(problem.travel.distance_matrix()), stop=MaxIterations(500), seed=seed).order
    start = int(np.flatnonzero(order == 0)[0])
    return tuple(np.roll(order, -start)[1:].tolist())


def make_labels(plan: LabelPlan, folder: PathLike, *, progress: bool = False) -> list[LabelledRoutes]:
    """Generate and solve the instances of a plan; what is in the cache is taken from there.

    Parameters
    ----------
    plan : LabelPlan
    folder : path-like
        The cache: one file for every 64 instances; a longer plan of the same kind continues a shorter one.
    progress : bool
        Show a progress bar.
    """
    kind = {key: value for key, value in asdict(plan).items() if key not in ("count", "kinds")}
    digest = hashlib.sha256(json.dumps([kind, plan.kinds]).encode()).hexdigest()[:12]
    done: list[LabelledRoutes] = []
    with tqdm(total=plan.count, disable=not progress, unit=" instances", desc=plan.split) as bar:
        for first in range(0, plan.count, _SHARD):
            path = Path(folder) / f"{plan.split}-{digest}-{first:06d}.json"
            wanted = min(_SHARD, plan.count - first)
            shard = json.loads(path.read_text()) if path.exists() else []
            if len(shard) < wanted:
                for number in range(first + len(shard), first + wanted):
                    shard.append(plan.label(number))
                    bar.update()
                _write(shard, path)
                _logger.info("labelled %d of %d instances of %r", first + wanted, plan.count, plan.split)
            for number, routes in enumerate(shard[:wanted], start=first):
                name, problem, _ = plan.draw(number)
                done.append(LabelledRoutes(name, problem, tuple(tuple(route) for route in routes)))
            bar.update(len(done) - bar.n)
    return done


def _write(shard: list[tuple[tuple[int, ...], ...]], path: Path) -> None:
    """Write a shard, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(shard))
    part.replace(path)
