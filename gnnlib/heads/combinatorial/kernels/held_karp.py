"""Exact solution of tiny instances by dynamic programming, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["held_karp_dp"]


@nb.njit(cache=True)
def held_karp_dp(matrix: FloatArray) -> tuple[IntArray, float]:
    """Find a shortest tour in O(2^n n^2) steps and O(2^n n) memory.

    ``cost[S, j]`` is the length of the shortest path that starts at city 0, visits the set S of the other cities and
    ends in j of S (M. Held & R. Karp 1962, *A dynamic programming approach to sequencing problems*, section 2;
    R. Bellman 1962).

    Parameters
    ----------
    matrix : float [N, N]
        Distance from row city to column city, symmetric or not; 2 <= N <= 20, reasonable up to about 15.

    Returns
    -------
    order : int64 [N]
        A shortest tour, from city 0.
    length : float
        Its length.

    Examples
    --------
    >>> order, length = held_karp_dp(np.array([[0.0, 1.0, 9.0], [9.0, 0.0, 1.0], [1.0, 9.0, 0.0]]))
    >>> order.tolist(), float(length)
    ([0, 1, 2], 3.0)
    """
    m = len(matrix) - 1
    full = (1 << m) - 1
    cost = np.full((full + 1, m), np.inf)
    before = np.full((full + 1, m), -1, np.int8)
    for j in range(m):
        cost[1 << j, j] = matrix[0, j + 1]
    for visited in range(1, full + 1):
        for j in range(m):
            here = cost[visited, j]
            if here == np.inf:
                continue
            for k in range(m):
                if visited & (1 << k):
                    continue
                reached = visited | (1 << k)
                there = here + matrix[j + 1, k + 1]
                if there < cost[reached, k]:
                    cost[reached, k] = there
                    before[reached, k] = j
    best = np.inf
    last = 0
    for j in range(m):
        closed = cost[full, j] + matrix[j + 1, 0]
        if closed < best:
            best = closed
            last = j
    order = np.zeros(m + 1, np.int64)
    visited = full
    for place in range(m, 0, -1):
        order[place] = last + 1
        previous = before[visited, last]
        visited ^= 1 << last
        last = previous
    return order, best
