"""Minimum 1-trees of a sparse graph under city penalties, compiled for being called thousands of times.

A 1-tree is here a minimum spanning tree and, for one of its leaves, that leaf's second-lightest edge; the leaf is the
one for which this adds most (K. Helsgaun 2000, *An effective implementation of the Lin-Kernighan traveling salesman
heuristic*, section 4.1). For a leaf of the minimum spanning tree this is a minimum 1-tree in the sense of Held and Karp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["SparseGraph", "TreeWork", "make_work", "minimum_one_tree", "root_of"]

Int32Array = npt.NDArray[np.int32]


class SparseGraph(NamedTuple):
    """Undirected edges, each once.

    Attributes
    ----------
    tails, heads : int32 [E]
        The two ends.
    lengths : float [E]
        Distances, without penalties.
    """

    tails: Int32Array
    heads: Int32Array
    lengths: FloatArray


class TreeWork(NamedTuple):
    """Scratch space and results of `minimum_one_tree`.

    Attributes
    ----------
    excess : int32 [N]
        Result: degree in the 1-tree less two, the sub-gradient of the dual function.
    tree : int32 [N]
        Result: numbers of the N - 1 edges of the spanning tree.
    leaf : int32 [2]
        Result: the leaf with one more edge, and the number of that edge (-1, -1 if no leaf has a second edge).
    count : int32 [1]
        Result: number of edges in `tree`; less than N - 1 when the graph is not connected.
    tails, heads, number, weights : [E]
        The edges that still join different components, their ends renumbered.
    light, second : float [N]
        Lightest and second-lightest weight at a node.
    edge, other, label, parent : int32 [N]
        Edges of those weights, component numbers, and the forest of the current round.
    """

    excess: Int32Array
    tree: Int32Array
    leaf: Int32Array
    size: Int32Array
    tails: Int32Array
    heads: Int32Array
    number: Int32Array
    weights: FloatArray
    light: FloatArray
    second: FloatArray
    edge: Int32Array
    other: Int32Array
    label: Int32Array
    parent: Int32Array


def make_work(num_nodes: int, num_edges: int) -> TreeWork:
    """Allocate the scratch space for a graph of this size."""

    def ints(size: int) -> Int32Array:
        return np.zeros(size, np.int32)

    n, m = num_nodes, num_edges
    nodes = (np.empty(n), np.empty(n), ints(n), ints(n), ints(n), ints(n))
    return TreeWork(ints(n), ints(n), ints(2), ints(1), ints(m), ints(m), ints(m), np.empty(m), *nodes)


@leaf_njit(inline="always")
def root_of(parent: Int32Array, i: int) -> int:
    """Root of node `i`, with path halving."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@leaf_njit
def _weigh(graph: SparseGraph, penalties: FloatArray, work: TreeWork) -> None:
    """Penalised weights, and the two lightest edges of every node."""
    light, second, edge, other = work.light, work.second, work.edge, work.other
    for i in range(len(penalties)):
        light[i] = np.inf
        second[i] = np.inf
        edge[i] = -1
        other[i] = -1
    for e in range(len(graph.tails)):
        a, b = graph.tails[e], graph.heads[e]
        w = graph.lengths[e] + penalties[a] + penalties[b]
        work.tails[e] = a
        work.heads[e] = b
        work.number[e] = e
        work.weights[e] = w
        if w < light[a]:
            second[a], other[a] = light[a], edge[a]
            light[a], edge[a] = w, e
        elif w < second[a]:
            second[a], other[a] = w, e
        if w < light[b]:
            second[b], other[b] = light[b], edge[b]
            light[b], edge[b] = w, e
        elif w < second[b]:
            second[b], other[b] = w, e


@leaf_njit
def _join(graph: SparseGraph, best: Int32Array, light: FloatArray, components: int, work: TreeWork) -> float:
    """Hang every component under the one that its lightest edge leads to; return the weight added.

    The edges are scanned in the order of their numbers and only a strictly lighter one replaces another, so ties cannot
    close a cycle: two components that choose each other choose the same edge.
    """
    total = 0.0
    count = work.size[0]
    for c in range(components):
        e = best[c]
        if light[c] == np.inf:
            work.parent[c] = c
            continue
        towards = work.tails[e] + work.heads[e] - c
        if best[towards] == e and c < towards:
            work.parent[c] = c
            continue
        work.parent[c] = towards
        number = work.number[e]
        work.excess[graph.tails[number]] += 1
        work.excess[graph.heads[number]] += 1
        work.tree[count] = number
        count += 1
        total += light[c]
    work.size[0] = count
    return total


@leaf_njit
def _number(components: int, work: TreeWork) -> int:
    """Give the joined components numbers from 0 in ``work.label``; return how many there are."""
    parent, label = work.parent, work.label
    fresh = 0
    for c in range(components):
        if parent[c] == c:
            label[c] = fresh
            fresh += 1
    for c in range(components):
        root = c
        while parent[root] != root:
            root = parent[root]
        step = c
        while parent[step] != root:
            parent[step], step = root, parent[step]
        label[c] = label[root]
    return fresh


@leaf_njit
def _contract(left: int, components: int, best: Int32Array, light: FloatArray, work: TreeWork) -> int:
    """Renumber the ends of the edges, drop those inside a component, find the lightest edge of every component."""
    for c in range(components):
        light[c] = np.inf
    kept = 0
    label = work.label
    for e in range(left):
        a, b = label[work.tails[e]], label[work.heads[e]]
        if a == b:
            continue
        w = work.weights[e]
        work.tails[kept] = a
        work.heads[kept] = b
        work.weights[kept] = w
        work.number[kept] = work.number[e]
        if w < light[a]:
            light[a], best[a] = w, kept
        if w < light[b]:
            light[b], best[b] = w, kept
        kept += 1
    return kept


@nb.njit(cache=True)
def minimum_one_tree(graph: SparseGraph, penalties: FloatArray, work: TreeWork) -> float:
    """Compute a minimum 1-tree by contracting rounds of O. Boruvka 1926, in O(E log N) and about 4 E in practice.

    Parameters
    ----------
    graph : SparseGraph
    penalties : float [N]
        Edge (i, j) weighs ``length + penalties[i] + penalties[j]``.
    work : TreeWork
        Scratch space; `excess`, `tree`, `leaf` and `count` hold the result.

    Returns
    -------
    float
        Weight of the 1-tree less twice the sum of the penalties: the dual function of the sparse graph.
    """
    n = len(penalties)
    work.size[0] = 0
    for i in range(n):
        work.excess[i] = -2
    _weigh(graph, penalties, work)
    # the two lightest edges of the nodes are still needed at the end, so the rounds get arrays of their own
    light, best = work.light.copy(), work.edge.copy()
    components, left, total = n, len(graph.tails), 0.0
    while True:
        total += _join(graph, best, light, components, work)
        before, components = components, _number(components, work)
        if components == 1 or components == before:
            break
        left = _contract(left, components, best, light, work)
        if left == 0:
            break
    leaf = -1
    for i in range(n):
        total -= 2.0 * penalties[i]
        if work.excess[i] == -1 and work.other[i] >= 0 and (leaf < 0 or work.second[i] > work.second[leaf]):
            leaf = i
    work.leaf[0] = leaf
    work.leaf[1] = -1
    if leaf >= 0:
        e = work.other[leaf]
        work.leaf[1] = e
        work.excess[graph.tails[e]] += 1
        work.excess[graph.heads[e]] += 1
        total += work.second[leaf]
    return total
