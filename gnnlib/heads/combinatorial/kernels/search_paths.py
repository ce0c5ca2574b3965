"""Best-first search for one shortest path, compiled: Dijkstra, A* and both from two sides.

All of them are exact for weights >= 0 and any admissible heuristic: a node is opened again when a shorter way to it
turns up, so consistency is not needed. An expansion is one node taken off the queue whose arcs are looked at; the last
one, at which the search ends, is counted too. Of nodes with equal bounds the latest found goes first, and nodes whose
bound is no less than the way already found are left: road networks with edges of length zero are full of ties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.graphs.heap import pop_smallest, push_or_raise

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["search_path", "search_path_both_ways", "walk_back"]


@nb.njit(cache=True)
def _lower_bound(
    table: FloatArray, back: FloatArray, step: FloatArray, active: IntArray, node: int, goal: int
) -> float:
    """Return the landmarks' lower bound of d(node, goal); see `gnnlib.heads.combinatorial.kernels.landmarks`."""
    best = 0.0
    for k in active:
        unit = step[k]
        to_node, to_goal = table[node, k], table[goal, k]
        bound = (float(to_node) - float(to_goal)) * unit
        from_node, from_goal = back[node, k], back[goal, k]
        other = (float(from_goal) - float(from_node)) * unit
        best = max(best, max(bound, other) - step[len(step) - 1])
    return best


@nb.njit(cache=True)
def search_path(
    first: IntArray,
    head: IntArray,
    weight: FloatArray,
    ends: tuple[int, int],
    tables: tuple[FloatArray, FloatArray, FloatArray, IntArray],
    guess: FloatArray,
) -> tuple[float, IntArray, int, IntArray]:
    """Search from one node to another by A* (P. E. Hart, N. J. Nilsson and B. Raphael 1968).

    Parameters
    ----------
    first, head, weight
        The arcs, as in `Arcs`; weights >= 0.
    ends : (int, int)
        Source and target.
    tables : (array [N, K], array [N, K], float array [K + 1], int64 array)
        Landmark tables to and from, their units (the last is what rounding may have added), the landmarks in use; none
        of them for Dijkstra's algorithm (E. W. Dijkstra 1959).
    guess : float array [N] or [0]
        A further heuristic, larger than the true distance at its own risk.

    Returns
    -------
    length : float
        Infinity when the target cannot be reached.
    before : int64 array [N]
        The arc over which each node was reached, -1 where there is none.
    expanded : int
    turn : int64 array [N]
        When each node was expanded first, -1 for those that never were.
    """
    source, target = ends
    table, back, step, active = tables
    n = len(first) - 1
    turn = np.full(n, -1)
    cost, key, remaining = np.full(n, np.inf), np.full(n, np.inf), np.full(n, -1.0)
    before, place, heap = np.full(n, -1), np.full(n, -1), np.empty(n, np.int64)
    cost[source], key[source] = 0.0, 0.0
    size = push_or_raise(heap, place, key, 0, source)
    expanded = 0
    while size > 0:
        node = pop_smallest(heap, place, key, size)
        size -= 1
        if turn[node] < 0:
            turn[node] = expanded
        expanded += 1
        if node == target or key[node] >= cost[target]:
            break
        for arc in range(first[node], first[node + 1]):
            other = head[arc]
            new = cost[node] + weight[arc]
            if new < cost[other]:
                cost[other] = new
                before[other] = arc
                if remaining[other] < 0.0:
                    bound = _lower_bound(table, back, step, active, other, target)
                    if len(guess):
                        bound = max(bound, guess[other])
                    remaining[other] = bound
                key[other] = new + remaining[other]
                if key[other] < cost[target] or other == target:
                    size = push_or_raise(heap, place, key, size, other)
    return cost[target], before, expanded, turn


@nb.njit(cache=True)
def search_path_both_ways(
    arcs: tuple[IntArray, IntArray, FloatArray],
    reverse: tuple[IntArray, IntArray, FloatArray],
    ends: tuple[int, int],
    tables: tuple[FloatArray, FloatArray, FloatArray, IntArray],
) -> tuple[float, IntArray, IntArray, int, int]:
    """Search from both ends at once; a side does not expand what cannot lie on a path shorter than the best known.

    NBA* of Pijls and Post (2009), algorithm 1, with the slack that rounded tables need. Without landmarks it is
    bidirectional Dijkstra.

    Parameters
    ----------
    arcs, reverse
        ``(first, head, weight)`` of the graph and of the graph turned round.
    ends, tables
        As for `search_path`.

    Returns
    -------
    length : float
    before, after : int64 array [N]
        Arcs over which each node was reached from the source (of `arcs`) and from the target (of `reverse`).
    middle : int
        Node at which the two halves meet, -1 when there is no path.
    expanded : int

    References
    ----------
    .. [1] W. Pijls, H. Post, Yet another bidirectional algorithm for finding the shortest path, Econometric Institute
       report EI 2009-10.
    """
    table, back, step, active = tables
    n = len(arcs[0]) - 1
    source, target = ends
    slack = step[len(step) - 1]
    cost, key, remaining = np.full((2, n), np.inf), np.full((2, n), np.inf), np.full((2, n), -1.0)
    opposite = np.full((2, n), -1.0)
    trace, place, heap = np.full((2, n), -1), np.full((2, n), -1), np.empty((2, n), np.int64)
    closed = np.zeros((2, n), np.bool_)
    size = np.zeros(2, np.int64)
    for side in range(2):
        node = ends[side]
        cost[side, node] = 0.0
        key[side, node] = _lower_bound(table, back, step, active, source, target)
        size[side] = push_or_raise(heap[side], place[side], key[side], 0, node)
    best, middle, expanded = np.inf, -1, 0
    if source == target:
        best, middle = 0.0, source
    while size[0] > 0 and size[1] > 0:
        side = 0 if size[0] <= size[1] else 1
        other_side = 1 - side
        lowest = key[side, heap[side, 0]]
        if lowest >= best or key[other_side, heap[other_side, 0]] >= best:
            break
        node = pop_smallest(heap[side], place[side], key[side], size[side])
        size[side] -= 1
        expanded += 1
        closed[side, node] = True
        if closed[other_side, node]:
            continue
        if opposite[side, node] < 0.0:
            opposite[side, node] = (
                _lower_bound(table, back, step, active, source, node)
                if side == 0
                else _lower_bound(table, back, step, active, node, target)
            )
        rest = key[other_side, heap[other_side, 0]] - opposite[side, node] - 2.0 * slack
        if cost[side, node] + rest * (1.0 - 1e-12) >= best:
            continue
        first, head, weight = arcs if side == 0 else reverse
        for arc in range(first[node], first[node + 1]):
            other = head[arc]
            new = cost[side, node] + weight[arc]
            if new >= cost[side, other]:
                continue
            cost[side, other], trace[side, other] = new, arc
            if new + cost[other_side, other] < best:
                best, middle = new + cost[other_side, other], other
            if remaining[side, other] < 0.0:
                remaining[side, other] = (
                    _lower_bound(table, back, step, active, other, target)
                    if side == 0
                    else _lower_bound(table, back, step, active, source, other)
                )
            key[side, other] = new + remaining[side, other]
            if key[side, other] < best:
                size[side] = push_or_raise(heap[side], place[side], key[side], size[side], other)
    return best, trace[0], trace[1], middle, expanded


@nb.njit(cache=True)
def walk_back(before: IntArray, tails: IntArray, node: int) -> IntArray:
    """Return the arcs that lead to `node`, from the first on.

    Parameters
    ----------
    before : int64 array [N]
        The arc over which each node was reached, -1 at the start.
    tails : int64 array [A]
        Where each arc comes from.
    node : int
    """
    count, at = 0, node
    while before[at] >= 0:
        at = tails[before[at]]
        count += 1
    arcs, at = np.empty(count, np.int64), node
    for i in range(count):
        arcs[count - 1 - i] = before[at]
        at = tails[before[at]]
    return arcs
