"""The labels that scipy does not compute, compiled: cut nodes and bridges, emptiness of triangles, betweenness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from gnnlib.graphs.heap import pop_smallest, push_or_raise

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["betweenness_from", "cut_nodes_and_bridges", "empty_triangles"]


@nb.njit(cache=True)
def cut_nodes_and_bridges(first: IntArray, head: IntArray, pair: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return which nodes and which edges disconnect their component when removed.

    Depth-first search with lowest reachable numbers (J. Hopcroft and R. Tarjan 1973), without recursion.

    Parameters
    ----------
    first, head : int64 array [N + 1] and [A]
        Neighbours of each node, every undirected edge at both ends, none of them twice.
    pair : int64 array [A]
        Number of the undirected edge, 0..A/2 - 1.

    Returns
    -------
    bool array [N], bool array [A / 2]
    """
    n = len(first) - 1
    is_cut, is_bridge = np.zeros(n, np.bool_), np.zeros(len(head) // 2, np.bool_)
    number, low = np.full(n, -1), np.zeros(n, np.int64)
    came_by, above, at = np.full(n, -1), np.full(n, -1), first[:-1].copy()
    count = 0
    for root in range(n):
        if number[root] >= 0:
            continue
        number[root] = low[root] = count
        count += 1
        node, branches = root, 0
        while node >= 0:
            if at[node] < first[node + 1]:
                arc = at[node]
                at[node] += 1
                other = head[arc]
                if number[other] < 0:
                    number[other] = low[other] = count
                    count += 1
                    above[other], came_by[other] = node, pair[arc]
                    branches += node == root
                    node = other
                elif pair[arc] != came_by[node]:
                    low[node] = min(low[node], number[other])
                continue
            up = above[node]
            if up >= 0:
                low[up] = min(low[up], low[node])
                if low[node] > number[up]:
                    is_bridge[came_by[node]] = True
                if low[node] >= number[up] and up != root:
                    is_cut[up] = True
            node = up
        is_cut[root] = branches > 1
    return is_cut, is_bridge


@nb.njit(cache=True)
def empty_triangles(
    first: IntArray, head: IntArray, weight: FloatArray, ends: tuple[IntArray, IntArray], values: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Return for each edge whether no third node, joined to both ends, lies between them.

    Parameters
    ----------
    first, head, weight
        Neighbours of each node, rising, every undirected edge at both ends.
    ends : two int64 arrays [P]
        The edges to judge.
    values : float array [P]
        Their weights, >= 0.

    Returns
    -------
    relative_neighbour : bool array [P]
        No third node is nearer to both ends than they are to each other (G. T. Toussaint 1980).
    gabriel : bool array [P]
        No third node sees them at an obtuse angle: ``a^2 + b^2 < c^2`` (K. R. Gabriel and R. R. Sokal 1969).
    """
    relative, gabriel = np.ones(len(values), np.bool_), np.ones(len(values), np.bool_)
    for p in range(len(values)):
        u, v, apart = ends[0][p], ends[1][p], values[p]
        i, j = first[u], first[v]
        while i < first[u + 1] and j < first[v + 1]:
            if head[i] < head[j]:
                i += 1
            elif head[i] > head[j]:
                j += 1
            else:
                one, other = weight[i], weight[j]
                if max(one, other) < apart:
                    relative[p] = False
                if one * one + other * other < apart * apart:
                    gabriel[p] = False
                i += 1
                j += 1
    return relative, gabriel


@nb.njit(cache=True)
def betweenness_from(first: IntArray, head: IntArray, weight: FloatArray, sources: IntArray) -> FloatArray:
    """Add up what each source contributes to the betweenness of every node (U. Brandes 2001, algorithm 1).

    Parameters
    ----------
    first, head, weight
        Arcs; weights >= 0.
    sources : int64 array [S]

    Returns
    -------
    float array [N]
        Unnormalised: the number of shortest paths that pass through, counted from both ends.
    """
    n = len(first) - 1
    total, share, ways = np.zeros(n), np.zeros(n), np.zeros(n)
    cost, place, heap = np.empty(n), np.full(n, -1), np.empty(n, np.int64)
    order = np.empty(n, np.int64)
    done = np.zeros(n, np.bool_)
    for source in sources:
        cost[:] = np.inf
        share[:] = 0.0
        ways[:] = 0.0
        done[:] = False
        cost[source], ways[source] = 0.0, 1.0
        size, count = push_or_raise(heap, place, cost, 0, source), 0
        while size > 0:
            node = pop_smallest(heap, place, cost, size)
            size -= 1
            done[node] = True
            order[count] = node
            count += 1
            for arc in range(first[node], first[node + 1]):
                other, new = head[arc], cost[node] + weight[arc]
                if new < cost[other]:
                    cost[other], ways[other] = new, ways[node]
                    size = push_or_raise(heap, place, cost, size, other)
                elif new == cost[other] and not done[other]:
                    ways[other] += ways[node]
        for i in range(count):
            place[order[i]] = i  # the heap is empty and its room free
        for i in range(count - 1, 0, -1):
            node = order[i]
            for arc in range(first[node], first[node + 1]):
                # undirected: the arcs that enter are those that leave, turned round
                before = head[arc]
                if place[before] < place[node] and cost[before] + weight[arc] == cost[node]:
                    share[before] += ways[before] / ways[node] * (1.0 + share[node])
            total[node] += share[node]
        place[:] = -1
    return total
