"""Kruskal's algorithm over any order of the edges, compiled: what makes every chosen edge set a forest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import IntArray

__all__ = ["find_root", "forest_of_order"]


@nb.njit(cache=True)
def find_root(leader: IntArray, node: int) -> int:
    """Return the representative of the node's set; paths are halved on the way (R. E. Tarjan 1975).

    Parameters
    ----------
    leader : int64 array [N]
        A node that leads on towards the representative; the representative leads to itself. Changed in place.
    node : int
    """
    while leader[node] != node:
        leader[node] = leader[leader[node]]
        node = leader[node]
    return node


@nb.njit(cache=True)
def forest_of_order(order: IntArray, tails: IntArray, heads: IntArray, leader: IntArray) -> IntArray:
    """Take the edges in the given order, each unless it closes a cycle (J. B. Kruskal 1956).

    Parameters
    ----------
    order : int64 array [M]
        Edges, the most wanted first.
    tails, heads : int64 array [E]
        Their ends.
    leader : int64 array [N]
        Sets that are joined already, as in `find_root`; ``arange(N)`` when none are. Changed in place.

    Returns
    -------
    int64 array
        The edges taken, in the order in which they were taken.
    """
    taken = np.empty(len(leader), np.int64)
    count = 0
    for edge in order:
        one, other = find_root(leader, tails[edge]), find_root(leader, heads[edge])
        if one != other:
            leader[one] = other
            taken[count] = edge
            count += 1
    return taken[:count]
