"""Distances between two cities, compiled: every kernel of the head measures through `distance`.

The rules and constants of the TSPLIB types are those of G. Reinelt, *TSPLIB 95*, section 2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["DISTANCE_KINDS", "DistanceData", "distance"]

#: Number of each distance type inside the kernels.
DISTANCE_KINDS = {
    "EXPLICIT": 0,
    "EUCLIDEAN": 1,
    "EUC_2D": 2,
    "CEIL_2D": 3,
    "ATT": 4,
    "GEO": 5,
    "MAN_2D": 6,
    "MAX_2D": 7,
    "EUC_3D": 8,
}

EARTH_RADIUS_KM = 6378.388
"""Radius that TSPLIB prescribes for GEO."""

TSPLIB_PI = 3.141592
"""The value of pi that TSPLIB prescribes for GEO."""


class DistanceData(NamedTuple):
    """What a kernel needs to measure distances.

    Attributes
    ----------
    kind : int
        One of `DISTANCE_KINDS`.
    coords : array [N, 3]
        Coordinates, third column 0 for points of the plane; for GEO latitude and longitude in radians.
        Shape [1, 3] when the distances are explicit.
    matrix : array [N, N]
        Explicit distances; shape [1, 1] when they come from the coordinates.
    """

    kind: int
    coords: FloatArray
    matrix: FloatArray


@leaf_njit(inline="always")
def distance(data: DistanceData, i: int, j: int) -> float:
    """Distance from city `i` to city `j` under the rule that `data` names."""
    kind = data.kind
    if kind == 0:
        return data.matrix[i, j]
    dx = data.coords[i, 0] - data.coords[j, 0]
    dy = data.coords[i, 1] - data.coords[j, 1]
    if kind == 2:
        return float(int(math.sqrt(dx * dx + dy * dy) + 0.5))
    if kind == 1:
        dz = data.coords[i, 2] - data.coords[j, 2]
        return math.sqrt(dx * dx + dy * dy + dz * dz)
    if kind == 3:
        return math.ceil(math.sqrt(dx * dx + dy * dy))
    if kind == 4:
        exact = math.sqrt((dx * dx + dy * dy) / 10.0)
        rounded = float(int(exact + 0.5))
        return rounded + 1.0 if rounded < exact else rounded
    if kind == 5:
        q1 = math.cos(dy)
        q2 = math.cos(dx)
        q3 = math.cos(data.coords[i, 0] + data.coords[j, 0])
        cosine = min(1.0, max(-1.0, 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)))  # rounding may lead just outside
        return float(int(6378.388 * math.acos(cosine) + 1.0)) if i != j else 0.0
    if kind == 6:
        return float(int(abs(dx) + abs(dy) + 0.5))
    if kind == 7:
        return float(max(int(abs(dx) + 0.5), int(abs(dy) + 0.5)))
    dz = data.coords[i, 2] - data.coords[j, 2]
    return float(int(math.sqrt(dx * dx + dy * dy + dz * dz) + 0.5))
