"""Nearest-neighbour tours, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance

if TYPE_CHECKING:
    from gnnlib.typing import IntArray

__all__ = ["nearest_neighbour_tour"]


@nb.njit(cache=True)
def nearest_neighbour_tour(data: DistanceData, neighbours: IntArray, start: int) -> IntArray:
    """Go from city to city, always to the nearest one not yet visited.

    Parameters
    ----------
    data : DistanceData
        The distances.
    neighbours : int array [N, K]
        The K nearest cities of each city, nearest first; when all are visited, the rest is searched. K may be 0.
    start : int
        First city.

    Returns
    -------
    int array [N]
        The tour, from `start`.
    """
    n = len(neighbours)
    order = np.empty(n, np.int64)
    rest = np.arange(n)
    place = np.arange(n)  # of each city in `rest`; -1 once visited
    left = n
    city = start
    for p in range(n):
        order[p] = city
        left -= 1
        last = rest[left]
        rest[place[city]] = last
        place[last] = place[city]
        place[city] = -1
        nearest = -1
        for j in neighbours[city]:
            if place[j] >= 0:
                nearest = j
                break
        if nearest < 0 and left > 0:
            shortest = np.inf
            for q in range(left):
                j = rest[q]
                length = distance(data, city, j)
                if length < shortest or (length == shortest and j < nearest):
                    shortest, nearest = length, j
        city = nearest
    return order
