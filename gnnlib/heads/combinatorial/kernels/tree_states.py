"""States of the growing-tree game for the tree search, compiled: what may be added, and how the policy would finish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.union_find import find_root

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["crossing_edges", "finish_tree"]


@nb.njit(cache=True)
def crossing_edges(
    order: IntArray, tails: IntArray, heads: IntArray, inside: BoolArray, count: int
) -> tuple[IntArray, int]:
    """Return the first `count` edges of `order` that leave the tree, and how many there are.

    Where no edge leaves it, the tree is a whole component, and the first edges that lie outside start the next one.

    Parameters
    ----------
    order : int64 array [M]
        Edges, the most wanted first.
    tails, heads : int64 array [M]
    inside : bool array [N]
        Nodes of the tree, and of the trees finished before it.
    count : int
    """
    found, size = np.full(count, -1), 0
    for crossing in (True, False):
        for edge in order:
            if size == count:
                break
            one, other = inside[tails[edge]], inside[heads[edge]]
            if (one != other) if crossing else not (one or other):
                found[size] = edge
                size += 1
        if size:
            break
    return found, size


@nb.njit(cache=True)
def finish_tree(
    order: IntArray, tails: IntArray, heads: IntArray, weights: FloatArray, taken: IntArray
) -> tuple[IntArray, float]:
    """Take further edges in the given order until nothing can be joined; return them and their weight.

    Parameters
    ----------
    order : int64 array [M]
        Edges, the most wanted first.
    tails, heads : int64 array [M]
    weights : float array [M]
    taken : int64 array
        The edges that the tree has, in any order, then N: the number of nodes.
    """
    leader = np.arange(taken[-1])
    for edge in taken[:-1]:
        leader[find_root(leader, tails[edge])] = find_root(leader, heads[edge])
    rest, size, total = np.empty(len(leader), np.int64), 0, 0.0
    for edge in order:
        one, other = find_root(leader, tails[edge]), find_root(leader, heads[edge])
        if one != other:
            leader[one] = other
            rest[size] = edge
            size += 1
            total += weights[edge]
    return rest[:size], total
