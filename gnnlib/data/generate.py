"""Random point sets, each made from one seed: what routing papers train and test on.

All but `integer_grid` lie in the unit square.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray

__all__ = ["GENERATORS", "clustered", "exploded", "integer_grid", "uniform"]

_CITIES_PER_CLUSTER = 100
_EXPLOSION_DECAY = 0.1


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"`{name}` must be an integer >= 1, found {value!r}")


def uniform(num_points: int, *, seed: Seed = None) -> FloatArray:
    """Points drawn independently and uniformly from the unit square.

    Parameters
    ----------
    num_points : int >= 1
    seed : int, SeedSequence or None

    Returns
    -------
    array [num_points, 2] in [0, 1)

    Examples
    --------
    >>> uniform(3, seed=0).shape
    (3, 2)
    """
    _check_count("num_points", num_points)
    return numpy_generator(seed).random((num_points, 2))


def clustered(
    num_points: int, *, num_clusters: int | None = None, spread: float | None = None, seed: Seed = None
) -> FloatArray:
    """Points normally scattered around uniformly drawn centres, as in the DIMACS challenge.

    Points beyond the border are reflected into the unit square.

    Parameters
    ----------
    num_points : int >= 1
    num_clusters : int >= 1, optional
        Default: one for every 100 points, at least 1.
    spread : float > 0, optional
        Standard deviation of each coordinate; default ``1 / sqrt(num_points)``.
    seed : int, SeedSequence or None

    Returns
    -------
    array [num_points, 2] in [0, 1]

    References
    ----------
    .. [1] D. S. Johnson and L. A. McGeoch (2002), Experimental analysis of heuristics for the STSP, section 2
       (random clustered instances).

    Examples
    --------
    >>> points = clustered(200, num_clusters=1, spread=0.01, seed=1)
    >>> bool((points.std(axis=0) < 0.02).all())
    True
    """
    _check_count("num_points", num_points)
    clusters = max(1, num_points // _CITIES_PER_CLUSTER) if num_clusters is None else num_clusters
    _check_count("num_clusters", clusters)
    deviation = 1.0 / math.sqrt(num_points) if spread is None else spread
    if not (math.isfinite(deviation) and deviation > 0.0):
        raise InputError(f"`spread` must be a number > 0, found {spread!r}")
    generator = numpy_generator(seed)
    centres = generator.random((clusters, 2))
    chosen = generator.integers(clusters, size=num_points)
    points = centres[chosen] + deviation * generator.standard_normal((num_points, 2))
    folded = np.mod(points, 2.0)
    return np.asarray(np.where(folded > 1.0, 2.0 - folded, folded))


def exploded(num_points: int, *, radius: float | None = None, seed: Seed = None) -> FloatArray:
    """Uniform points with a hole: those near a random centre are flung outwards.

    A point within `radius` of the centre moves along its ray to the distance ``radius + s`` with s exponentially
    distributed (mean 0.1). Afterwards the points are shifted and scaled, both axes alike, to fit the unit square.

    Parameters
    ----------
    num_points : int >= 1
    radius : float > 0, optional
        Default: drawn uniformly from [0.1, 0.5].
    seed : int, SeedSequence or None

    Returns
    -------
    array [num_points, 2] in [0, 1]

    References
    ----------
    .. [1] J. Bossek et al. (2019), Evolving diverse TSP instances by means of novel and creative mutation operators,
       FOGA, section 3 (explosion mutation).

    Examples
    --------
    >>> points = exploded(500, radius=0.3, seed=2)
    >>> points.min() >= 0.0, points.max() <= 1.0
    (np.True_, np.True_)
    """
    _check_count("num_points", num_points)
    if radius is not None and not (math.isfinite(radius) and radius > 0.0):
        raise InputError(f"`radius` must be a number > 0, found {radius!r}")
    generator = numpy_generator(seed)
    points = generator.random((num_points, 2))
    centre = generator.random(2)
    reach = generator.uniform(0.1, 0.5) if radius is None else radius
    offset = points - centre
    distance = np.hypot(offset[:, 0], offset[:, 1])
    flung = reach + generator.exponential(_EXPLOSION_DECAY, num_points)
    inside = (distance < reach) & (distance > 0.0)
    points[inside] = centre + offset[inside] * (flung[inside] / distance[inside])[:, None]
    low = points.min(axis=0)
    span = float(np.ptp(points, axis=0).max())
    return (points - low) / span if span > 0.0 else points - low


def integer_grid(num_points: int, *, size: int | None = None, seed: Seed = None) -> FloatArray:
    """Distinct random nodes of a square grid: many equal distances, as in drilling instances.

    Parameters
    ----------
    num_points : int >= 1
    size : int, optional
        Nodes along one side; default ``ceil(sqrt(2 * num_points))``, which fills about half of the grid.
    seed : int, SeedSequence or None

    Returns
    -------
    array [num_points, 2] of whole numbers in 0 .. size - 1

    Raises
    ------
    InputError
        If the grid has fewer nodes than points are wanted.

    Examples
    --------
    >>> sorted(map(tuple, integer_grid(4, size=2, seed=0).tolist()))
    [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    """
    _check_count("num_points", num_points)
    side = math.ceil(math.sqrt(2 * num_points)) if size is None else size
    _check_count("size", side)
    if side * side < num_points:
        raise InputError(
            f"`size` must be at least {math.ceil(math.sqrt(num_points))} for {num_points} points, found {side}"
        )
    nodes = numpy_generator(seed).choice(side * side, size=num_points, replace=False)
    return np.stack([nodes // side, nodes % side], axis=1).astype(np.float64)


#: Name to generator; each takes ``(num_points, *, seed)``.
GENERATORS: dict[str, Callable[..., FloatArray]] = {
    "uniform": uniform,
    "clustered": clustered,
    "exploded": exploded,
    "integer_grid": integer_grid,
}
