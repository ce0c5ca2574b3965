"""Distances and durations between places: from coordinates under a rounding rule, or from matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.checks import LARGEST

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["CONVENTIONS", "ROUNDINGS", "Convention", "Travel", "round_distances"]

#: How a Euclidean distance becomes a cost: as it is, to the nearest whole number, down, or up.
ROUNDINGS = ("exact", "round", "floor", "ceil")


@dataclass(frozen=True, eq=False)
class Travel:
    """Distances and durations between M places, for one or several profiles of vehicles.

    Parameters
    ----------
    coords : float array [M, 2], optional
        Needed when there are no distances.
    rounding : {"exact", "round", "floor", "ceil"}
        What happens to the Euclidean distance of two places.
    distances : float array [P, M, M], optional
        One matrix a profile, rows are origins; infinite where there is no way.
    durations : float array [P, M, M], optional
        Default: the distances, of which every unit takes one unit of time.

    Examples
    --------
    >>> travel = Travel(np.array([[0.0, 0.0], [1.0, 1.0]]), "round")
    >>> float(travel.distance(0, 1)), Travel(travel.coords).distance_matrix().round(3).tolist()
    (1.0, [[0.0, 1.414], [1.414, 0.0]])
    """

    coords: FloatArray | None = None
    rounding: str = "exact"
    distances: FloatArray | None = None
    durations: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.rounding not in ROUNDINGS:
            raise InputError(f"`rounding` must be one of {', '.join(ROUNDINGS)}, found {self.rounding!r}")
        if self.coords is None and self.distances is None:
            raise InputError("places need `coords` or `distances`, found neither")
        if self.coords is not None:
            if self.coords.ndim != 2 or self.coords.shape[1] != 2:
                raise InputError(f"`coords` must have shape [M, 2], found {list(self.coords.shape)}")
            if not np.isfinite(self.coords).all():
                row = int(np.argwhere(~np.isfinite(self.coords))[0, 0])
                raise InputError(f"`coords` must be finite, found {self.coords[row].tolist()} in row {row}")
            if np.abs(self.coords).max(initial=0.0) > LARGEST:
                raise InputError(f"`coords` must be at most {LARGEST:g}, found {np.abs(self.coords).max():g}")
        for name in ("distances", "durations"):
            self._check_matrices(name, getattr(self, name))
        if self.coords is not None and len(self.coords) != self.num_places:
            raise InputError(f"`coords` must be of {self.num_places} places, as the matrices, found {len(self.coords)}")

    def _check_matrices(self, name: str, matrices: FloatArray | None) -> None:
        if matrices is None:
            return
        if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not len(matrices):
            raise InputError(f"`{name}` must have shape [P, M, M], found {list(matrices.shape)}")
        if matrices.shape[1] != self.num_places:
            raise InputError(f"`{name}` must be about {self.num_places} places, found {matrices.shape[1]}")
        bad = np.isnan(matrices) | (matrices < 0.0)
        if bad.any():
            p, i, j = np.argwhere(bad)[0].tolist()
            raise InputError(f"`{name}` must be >= 0 and not NaN, found {matrices[p, i, j]} from {i} to {j}")
        large = np.isfinite(matrices) & (matrices > LARGEST)
        if large.any():
            p, i, j = np.argwhere(large)[0].tolist()
            raise InputError(
                f"`{name}` must be at most {LARGEST:g}, or infinite for no way, found {matrices[p, i, j]:g} from {i} to {j}"
            )

    @property
    def num_places(self) -> int:
        """Number of places M."""
        if self.distances is not None:
            return int(self.distances.shape[1])
        return 0 if self.coords is None else len(self.coords)

    @property
    def num_profiles(self) -> int:
        """Number of profiles P that have matrices of their own; 1 for coordinates."""
        return max(1 if m is None else len(m) for m in (self.distances, self.durations))

    def distance(self, origin: int | IntArray, target: int | IntArray, profile: int = 0) -> FloatArray:
        """Distances from `origin` to `target`, element by element."""
        if self.distances is not None:
            return np.asarray(self.distances[profile if len(self.distances) > 1 else 0, origin, target])
        if self.coords is None:
            raise InputError("places need `coords` or `distances`, found neither")
        apart = self.coords[origin] - self.coords[target]
        return round_distances(np.sqrt((apart * apart).sum(axis=-1)), self.rounding)

    def duration(self, origin: int | IntArray, target: int | IntArray, profile: int = 0) -> FloatArray:
        """Travel times from `origin` to `target`, element by element."""
        if self.durations is None:
            return self.distance(origin, target, profile)
        return np.asarray(self.durations[profile if len(self.durations) > 1 else 0, origin, target])

    def distance_matrix(self, profile: int = 0) -> FloatArray:
        """All distances [M, M] of a profile."""
        places = np.arange(self.num_places)
        return self.distance(places[:, None], places[None, :], profile)

    def duration_matrix(self, profile: int = 0) -> FloatArray:
        """All travel times [M, M] of a profile."""
        places = np.arange(self.num_places)
        return self.duration(places[:, None], places[None, :], profile)


def round_distances(exact: FloatArray, rounding: str) -> FloatArray:
    """Apply a rule of `ROUNDINGS`."""
    if rounding == "round":
        return np.asarray(np.floor(exact + 0.5))
    if rounding == "floor":
        return np.asarray(np.floor(exact))
    return np.asarray(np.ceil(exact)) if rounding == "ceil" else np.asarray(exact)


@dataclass(frozen=True)
class Convention:
    """How a collection of instances counts distances and times.

    Parameters
    ----------
    scale : float
        All are multiplied by this first; costs are divided by it when they are reported.
    rounding : str
        One of `ROUNDINGS`, for distances.
    """

    scale: float
    rounding: str


#: By name: not rounded; to the nearest; down; to one decimal, down (DIMACS challenge); to three decimals, nearest.
CONVENTIONS = {
    "exact": Convention(1.0, "exact"),
    "round": Convention(1.0, "round"),
    "floor": Convention(1.0, "floor"),
    "dimacs": Convention(10.0, "floor"),
    "milli": Convention(1000.0, "round"),
}
