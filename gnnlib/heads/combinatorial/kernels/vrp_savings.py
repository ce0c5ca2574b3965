"""First routes by savings, compiled: join the ends of routes that save most (G. Clarke & J. Wright 1964)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.union_find import find_root

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["savings_routes"]


@nb.njit(cache=True)
def savings_routes(
    clients: FloatArray, near: npt.NDArray[np.uint32], apart: FloatArray, capacity: float
) -> npt.NDArray[np.int64]:
    """Join neighbouring clients into routes.

    Parameters
    ----------
    clients : float [M, 2]
        Demand and distance from the depot; row 0 is the depot.
    near : uint32 [M, K], apart : float [M, K]
        Nearest clients and their distances.
    capacity : float

    Returns
    -------
    int [n + routes]
        Clients route by route, each route closed by a 0.
    """
    size, width = near.shape
    saved = np.empty(size * width)
    pair = np.empty(size * width, np.int64)
    count = 0
    for a in range(1, size):
        for k in range(width):
            b = np.int64(near[a, k])
            gain = clients[a, 1] + clients[b, 1] - apart[a, k]
            if gain > 0.0:
                saved[count] = -gain
                pair[count] = a * width + k
                count += 1
    order = np.argsort(saved[:count])
    beside = np.zeros((size, 2), np.int64)
    root = np.arange(size)
    load = clients[:, 0].copy()
    for position in order:
        a = pair[position] // width
        b = np.int64(near[a, pair[position] % width])
        if beside[a, 1] != 0 or beside[b, 1] != 0:
            continue
        one, two = find_root(root, a), find_root(root, b)
        if one == two or load[one] + load[two] > capacity + 1e-9:
            continue
        root[two] = one
        load[one] += load[two]
        beside[a, 1 if beside[a, 0] != 0 else 0] = b
        beside[b, 1 if beside[b, 0] != 0 else 0] = a
    return _routes_from_chains(beside)


@nb.njit(cache=True)
def _routes_from_chains(beside: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    size = len(beside)
    found = np.zeros(2 * size, np.int64)
    seen = np.zeros(size, np.bool_)
    count = 0
    for start in range(1, size):
        if seen[start] or beside[start, 1] != 0:
            continue
        before, node = 0, start
        while node != 0:
            seen[node] = True
            found[count] = node
            count += 1
            behind = beside[node, 0] if beside[node, 0] != before else beside[node, 1]
            before, node = node, behind
        found[count] = 0
        count += 1
    return found[:count]
