"""Labelled instances to learn from: generated points, and tours of the project's own search.

Instance i of a split is drawn from the seed sequence ``[STREAM, split, i]``. Whole-number seeds, which tests, shipped
instances and benchmarks use, give other sequences, so nothing that is trained on is ever measured on.
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

from gnnlib.data.generate import GENERATORS
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray, PathLike

__all__ = ["SPLITS", "LabelPlan", "LabelledTour", "make_labels", "read_labels", "write_labels"]

_logger = logging.getLogger(__name__)

STREAM = 0x545350
"""First word of all seed sequences of labelled instances."""

SPLITS = ("train", "val", "test", "large")
"""For the weights, for early stopping, for the card, and for the card's larger instances."""

_SHARD = 64
"""Instances in one file of the cache: what an interrupt can lose."""


@dataclass(frozen=True, eq=False)
class LabelledTour:
    """An instance and the tour to be learned from it.

    Attributes
    ----------
    distribution : str
        A key of `gnnlib.data.generate.GENERATORS`.
    coords : float array [N, 2]
    order : int array [N]
        The tour.
    """

    distribution: str
    coords: FloatArray
    order: IntArray

    @property
    def problem(self) -> TSP:
        """The instance, with plain Euclidean distances."""
        return TSP.from_coords(self.coords)


@dataclass(frozen=True)
class LabelPlan:
    """Which instances to generate, and how long to search each.

    Parameters
    ----------
    split : {"train", "val", "test", "large"}
    count : int >= 1
        Number of instances; the distributions take turns.
    low, high : int
        Smallest and largest number of cities; drawn so that its logarithm is uniform.
    kicks_per_city : int >= 1
        Kicks of the search for each city.

    Examples
    --------
    >>> LabelPlan("val", count=8, low=100, high=500, kicks_per_city=10).split
    'val'
    """

    split: str
    count: int
    low: int = 100
    high: int = 500
    kicks_per_city: int = 2

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"`split` must be one of {', '.join(SPLITS)}, found {self.split!r}")
        if self.count < 1 or not 13 <= self.low <= self.high or self.kicks_per_city < 1:
            raise InputError(f"`count` and `kicks_per_city` must be >= 1 and 13 <= `low` <= `high`, found {self}")

    def draw(self, number: int) -> tuple[str, FloatArray, int]:
        """Return distribution, points and search seed of one instance; the points may have more copies than one."""
        names = list(GENERATORS)
        name = names[number % len(names)]
        words = [STREAM, SPLITS.index(self.split), number]
        sizes, points, search = np.random.SeedSequence(words).spawn(3)
        span = np.random.default_rng(sizes).uniform(np.log(self.low), np.log(self.high + 1))
        size = min(int(np.exp(span)), self.high)
        return name, GENERATORS[name](size, seed=points), int(search.generate_state(1)[0])

    def label(self, number: int) -> LabelledTour:
        """Generate and solve one instance."""
        from gnnlib.heads.combinatorial.tsp.api import solve_tsp

        name, coords, seed = self.draw(number)
        stop = MaxIterations(self.kicks_per_city * len(coords))
        return LabelledTour(name, coords, solve_tsp(TSP.from_coords(coords), stop=stop, seed=seed).order)


def make_labels(plan: LabelPlan, folder: PathLike, *, progress: bool = False) -> list[LabelledTour]:
    """Generate and solve the instances of a plan; what is in the cache is taken from there.

    Parameters
    ----------
    plan : LabelPlan
    folder : path-like
        The cache: one file for every 64 instances; a longer plan of the same kind continues a shorter one.
    progress : bool
        Show a progress bar.
    """
    kind = {key: value for key, value in asdict(plan).items() if key != "count"}
    digest = hashlib.sha256(json.dumps([kind, list(GENERATORS)]).encode()).hexdigest()[:12]
    done: list[LabelledTour] = []
    with tqdm(total=plan.count, disable=not progress, unit=" tours", desc=plan.split) as bar:
        for first in range(0, plan.count, _SHARD):
            path = Path(folder) / f"{plan.split}-{digest}-{first:06d}.npz"
            wanted = min(_SHARD, plan.count - first)
            shard = read_labels(path) if path.exists() else []
            if len(shard) < wanted:
                for number in range(first + len(shard), first + wanted):
                    shard.append(plan.label(number))
                    bar.update()
                write_labels(shard, path)
                _logger.info("labelled %d of %d instances of %r", first + wanted, plan.count, plan.split)
            done += shard[:wanted]
            bar.update(len(done) - bar.n)
    return done


def write_labels(tours: list[LabelledTour], path: PathLike) -> None:
    """Write labelled instances to a compressed npz file, whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.stem + ".part.npz")
    np.savez_compressed(
        part,
        distribution=np.array([tour.distribution for tour in tours]),
        size=np.array([len(tour.order) for tour in tours]),
        coords=np.concatenate([tour.coords for tour in tours]),
        order=np.concatenate([tour.order for tour in tours]).astype(np.uint16),
    )
    part.replace(target)


def read_labels(path: PathLike) -> list[LabelledTour]:
    """Read what `write_labels` wrote."""
    with np.load(path, allow_pickle=False) as content:
        ends = np.cumsum(content["size"])[:-1]
        coords = np.split(content["coords"], ends)
        orders = np.split(content["order"].astype(np.int64), ends)
        return [
            LabelledTour(str(name), points, order)
            for name, points, order in zip(content["distribution"], coords, orders, strict=True)
        ]
