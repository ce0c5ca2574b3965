"""Dense matrices of small whole numbers for solvers that take nothing else, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

__all__ = ["whole_matrix_16"]

_LARGEST = 65_535


@leaf_njit
def _longest(data: DistanceData, n: int) -> float:
    longest = 0.0
    for i in range(n):
        for j in range(i):
            longest = max(longest, distance(data, i, j))
    return longest


@leaf_njit
def _fill(data: DistanceData, scale: float, out: npt.NDArray[np.uint16]) -> None:
    for i in range(len(out)):
        for j in range(len(out)):
            out[i, j] = np.uint16(distance(data, i, j) * scale + 0.5) if i != j else np.uint16(0)


def whole_matrix_16(data: DistanceData, n: int, *, is_integral: bool) -> npt.NDArray[np.uint16]:
    """Write symmetric distances as 16-bit whole numbers.

    Parameters
    ----------
    data : DistanceData
    n : int
        Number of cities.
    is_integral : bool
        Whether the distances are whole numbers already: they are kept as they are when they fit.

    Returns
    -------
    uint16 [N, N]
        Scaled so that the longest becomes 65,535 where they do not fit.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> data = TSP.from_coords([[0, 0], [3, 4], [0, 4]], metric="EUC_2D").distance_data()
    >>> whole_matrix_16(data, 3, is_integral=True).tolist()
    [[0, 5, 4], [5, 0, 3], [4, 3, 0]]
    """
    longest = float(_longest(data, n))
    fits = longest == 0.0 or (is_integral and longest <= _LARGEST)
    out: npt.NDArray[np.uint16] = np.empty((n, n), np.uint16)
    _fill(data, 1.0 if fits else _LARGEST / longest, out)
    return out
