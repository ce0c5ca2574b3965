"""Distance rules of the TSPLIB types on whole arrays of city pairs (numpy).

The compiled twin for single pairs is `gnnlib.heads.combinatorial.kernels.distance.distance`; both follow G. Reinelt,
*TSPLIB 95*, section 2, and give equal numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.distance import DISTANCE_KINDS, EARTH_RADIUS_KM, TSPLIB_PI, DistanceData

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "EXACT_INTEGER_LIMIT",
    "INTEGRAL_METRICS",
    "METRIC_DIMENSIONS",
    "check_span",
    "geo_radians",
    "pair_distances",
]

#: Number of coordinates that each metric accepts.
METRIC_DIMENSIONS = {
    "EUCLIDEAN": (2, 3),
    "EUC_2D": (2,),
    "CEIL_2D": (2,),
    "ATT": (2,),
    "GEO": (2,),
    "MAN_2D": (2,),
    "MAX_2D": (2,),
    "EUC_3D": (3,),
}

#: Metrics whose distances are whole numbers by definition.
INTEGRAL_METRICS = frozenset({"EUC_2D", "CEIL_2D", "ATT", "GEO", "MAN_2D", "MAX_2D", "EUC_3D"})

#: Whole numbers beyond this are no longer exact in a float64.
EXACT_INTEGER_LIMIT = float(2**53)

# Squares of spans beyond these leave the range of float64.
_LARGEST_SPAN = 1e150
_SMALLEST_SPAN = 1e-150


def geo_radians(coords: FloatArray) -> FloatArray:
    """Convert TSPLIB's DDD.MM latitudes and longitudes (degrees, then minutes as decimals) to radians.

    The degrees are the number cut towards zero, as the authors' own program has it; rounding to the nearest degree,
    which the printed document suggests, does not reproduce the published optimal lengths.

    Parameters
    ----------
    coords : array of any shape
        -12.30 means 12 degrees 30 minutes south (or west).

    Returns
    -------
    array of the same shape

    References
    ----------
    .. [1] G. Reinelt, *TSPLIB 95*, section 2.4, with the correction of the TSPLIB questions page.

    Examples
    --------
    >>> geo_radians(np.array([180.30])).round(4).tolist()
    [3.1503]
    """
    degrees = np.trunc(coords)
    minutes = coords - degrees
    return np.asarray(TSPLIB_PI * (degrees + 5.0 * minutes / 3.0) / 180.0, dtype=np.float64)


def check_span(coords: FloatArray, metric: str) -> None:
    """Refuse coordinates whose distances a float64 cannot hold.

    Parameters
    ----------
    coords : array [N, 2 or 3]
        Finite coordinates.
    metric : str
        A key of `METRIC_DIMENSIONS`.

    Raises
    ------
    InputError
        If squared spans overflow or vanish, if a rounded tour could exceed 2**53, or if GEO coordinates lie outside
        the globe.
    """
    if metric == "GEO":
        for column, (label, limit) in enumerate((("latitude", 90.0), ("longitude", 180.0))):
            bad = np.flatnonzero(np.abs(coords[:, column]) > limit)
            if bad.size:
                raise InputError(
                    f"`coords` of a GEO instance hold DDD.MM {label}s within [-{limit:g}, {limit:g}], "
                    f"found {coords[bad[0], column]:g} at city {bad[0]}"
                )
        return
    with np.errstate(over="ignore"):
        span = float(np.max(np.ptp(coords, axis=0)))
    if span > _LARGEST_SPAN or 0.0 < span < _SMALLEST_SPAN:
        raise InputError(f"`coords` span {span:.3g}, beyond what float64 distances can hold; scale the coordinates")
    longest_tour = len(coords) * (span * coords.shape[1] + 1.0)
    if metric in INTEGRAL_METRICS and longest_tour > EXACT_INTEGER_LIMIT:
        raise InputError(
            f"`coords` span {span:.3g}, so that {metric} tours of {len(coords)} cities may exceed 2**53 and lose their "
            "last digits; scale the coordinates down or use metric='EUCLIDEAN'"
        )


def pair_distances(data: DistanceData, sources: IntArray, targets: IntArray) -> FloatArray:
    """Distances from each of `sources` to the city at the same place of `targets`.

    Parameters
    ----------
    data : DistanceData
        As `TSP.distance_data` gives it.
    sources, targets : int arrays of shapes that broadcast

    Returns
    -------
    float array of the broadcast shape

    Examples
    --------
    >>> data = DistanceData(DISTANCE_KINDS["EUC_2D"], np.array([[0.0, 0, 0], [1, 1, 0]]), np.zeros((1, 1)))
    >>> pair_distances(data, np.array([0]), np.array([1])).tolist()
    [1.0]
    """
    kind = data.kind
    if kind == DISTANCE_KINDS["EXPLICIT"]:
        return data.matrix[sources, targets]
    delta = data.coords[sources] - data.coords[targets]
    dx, dy, dz = np.abs(delta[..., 0]), np.abs(delta[..., 1]), np.abs(delta[..., 2])
    if kind == DISTANCE_KINDS["GEO"]:
        return _geo(data.coords, sources, targets)
    if kind == DISTANCE_KINDS["MAN_2D"]:
        return np.floor(dx + dy + 0.5)
    if kind == DISTANCE_KINDS["MAX_2D"]:
        return np.maximum(np.floor(dx + 0.5), np.floor(dy + 0.5))
    if kind == DISTANCE_KINDS["ATT"]:
        exact = np.sqrt((dx * dx + dy * dy) / 10.0)
        rounded = np.floor(exact + 0.5)
        return rounded + (rounded < exact)
    exact = np.sqrt(dx * dx + dy * dy + dz * dz)
    if kind == DISTANCE_KINDS["EUCLIDEAN"]:
        return np.asarray(exact)
    if kind == DISTANCE_KINDS["CEIL_2D"]:
        return np.ceil(exact)
    return np.floor(exact + 0.5)


def _geo(radians: FloatArray, sources: IntArray, targets: IntArray) -> FloatArray:
    start, end = radians[sources], radians[targets]
    q1 = np.cos(start[..., 1] - end[..., 1])
    q2 = np.cos(start[..., 0] - end[..., 0])
    q3 = np.cos(start[..., 0] + end[..., 0])
    # rounding may lead just outside the range of a cosine
    cosine = np.clip(0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3), -1.0, 1.0)
    distances = np.floor(EARTH_RADIUS_KM * np.arccos(cosine) + 1.0)
    return np.where(np.equal(sources, targets), 0.0, distances)
