"""Instances that need no network: random ones of 100 to 10,000 cities, and the capitals of the world."""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.data.folder import datasets_folder
from gnnlib.data.generate import GENERATORS
from gnnlib.errors import FileFormatError, GnnlibError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gnnlib.typing import FloatArray

__all__ = ["GRID", "Instance", "coords_sha256", "list_instances", "load_instance", "make_coords", "read_coords"]

#: Random instances have whole coordinates in [0, GRID), so that EUC_2D's rounding hardly matters.
GRID = 1_000_000


@dataclass(frozen=True, eq=False, repr=False)
class Instance:
    """Points with a metric; `gnnlib.solve_tsp` and `as_tsp` take it as it is.

    Attributes
    ----------
    name : str
    coords : array [N, 2]
        For the metric GEO latitude and longitude in TSPLIB's DDD.MM form (degrees, then minutes as decimals).
    metric : str
        A TSPLIB edge weight type.
    comment : str
    path : Path or None
        The TSPLIB file, where there is one.
    labels : tuple of str or None
        A name for each point.
    table : mapping of str to tuple of str
        Further columns that belong to the points.
    """

    name: str
    coords: FloatArray
    metric: str
    comment: str = ""
    path: Path | None = None
    labels: tuple[str, ...] | None = None
    table: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def num_cities(self) -> int:
        """Number of points N."""
        return len(self.coords)

    def __repr__(self) -> str:
        return f"Instance(name={self.name!r}, num_cities={self.num_cities}, metric={self.metric!r})"


@functools.cache
def _catalogue() -> dict[str, dict[str, Any]]:
    with (datasets_folder() / "instances.toml").open("rb") as file:
        return tomllib.load(file)


def list_instances() -> list[str]:
    """Return the names that `load_instance` knows.

    Examples
    --------
    >>> "uniform_10000" in list_instances()
    True
    """
    return list(_catalogue())


def load_instance(name: str) -> Instance:
    """Load an instance that comes with the library.

    Parameters
    ----------
    name : str
        ``"capitals"``, ``"uniform_N"`` or ``"clustered_N"`` with N = 100, 200, 500, 1000, 2000, 5000, 10000. Those
        above 1000 are made from their seed when asked for.

    Raises
    ------
    InputError
        If there is no such instance.
    GnnlibError
        If the coordinates do not have the stored checksum.

    Examples
    --------
    >>> capitals = load_instance("capitals")
    >>> capitals
    Instance(name='capitals', num_cities=195, metric='GEO')
    >>> capitals.labels[capitals.table["country"].index("France")]
    'Paris'
    """
    entry = _catalogue().get(name)
    if entry is None:
        near = difflib.get_close_matches(name, list_instances(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"there is no instance {name!r}; {hint}`list_instances()` names all")
    folder = datasets_folder()
    path = folder / entry["file"] if "file" in entry else None
    coords = make_coords(entry) if path is None else read_coords(path)
    if coords_sha256(coords) != entry["sha256"]:
        raise GnnlibError(
            f"the coordinates of {name!r} differ from the stored checksum; "
            + (f"restore {path}" if path else "this numpy draws other random numbers than the one they were made with")
        )
    table = _read_table(folder / entry["table"]) if "table" in entry else {}
    labels = table.get(entry.get("labels", ""))
    return Instance(name, coords, entry["metric"], entry["comment"], path, labels, table)


def make_coords(entry: Mapping[str, Any]) -> FloatArray:
    """Make the coordinates of a random instance from its entry in ``instances.toml``."""
    points = GENERATORS[entry["generator"]](entry["num_cities"], seed=entry["seed"])
    return np.minimum(np.floor(points * GRID), GRID - 1.0)


def coords_sha256(coords: FloatArray) -> str:
    """Checksum of coordinates, independent of the machine's byte order."""
    return hashlib.sha256(np.ascontiguousarray(coords, dtype="<f8").tobytes()).hexdigest()


def read_coords(path: Path) -> FloatArray:
    """Read the coordinates of a shipped TSPLIB file (cities in order, one a line); not a general TSPLIB reader."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if "NODE_COORD_SECTION" not in lines or lines[-1] != "EOF":
        raise FileFormatError.at(path, None, "expected a NODE_COORD_SECTION and EOF; the file is damaged")
    body = lines[lines.index("NODE_COORD_SECTION") + 1 : -1]
    return np.array([line.split()[1:] for line in body], dtype=np.float64)


def _read_table(path: Path) -> dict[str, tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {column: tuple(row[column] for row in rows) for column in rows[0]}
