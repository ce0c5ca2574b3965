"""Single linkage of the cities, compiled: the scale on which the penalties of cities and of whole clusters must move.

The dual function of the 1-tree is piecewise linear and badly scaled: a cluster far from the rest can only be reached by
two edges when the penalties of *all* its cities fall by about half its distance from the rest, while a single city moves
by the distance to its neighbours. Plain sub-gradients, one unit a missing degree, move the mean of a cluster of m cities
by 1 / m a step. Here the direction is preconditioned by

    P(i, j) = sum over the linkage clusters C with i and j in C of lifetime(C)

where the lifetime of a cluster is the distance at which it joins another one less the distance at which it came
together (for a single city, 0). This is the kernel of the ultrametric of the minimum spanning tree: P(i, j) is the
height of the root less the height at which i and j meet, so P is positive semi-definite, and a product with it takes
O(N): sums over the clusters on the way up, weighted sums on the way down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.penalised_tree import Int32Array, root_of

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["Linkage", "linkage_tour_length", "make_linkage", "precondition"]


class Linkage(NamedTuple):
    """The dendrogram: clusters 0..N-1 are the cities, N..2N-2 the joins in the order in which they happen.

    Attributes
    ----------
    parent : int32 [2N - 1]
        Cluster that this one becomes part of; -1 for the last.
    lifetime : float [2N - 1]
        How far a cluster is from the rest, beyond the distances that hold it together; 0 for the last.
    """

    parent: Int32Array
    lifetime: FloatArray


@nb.njit(cache=True)
def make_linkage(tails: Int32Array, heads: Int32Array, lengths: FloatArray, least: FloatArray) -> Linkage:
    """Build the dendrogram from the edges of a minimum spanning tree.

    Parameters
    ----------
    tails, heads : int32 [N - 1]
        Edges by increasing length.
    lengths : float [N - 1]
        Their lengths; negative ones (prescribed edges) count as 0.
    least : float [N]
        Lower limit on the lifetime of each city, so that the penalties of coinciding cities can move as well.

    Returns
    -------
    Linkage
    """
    n = len(tails) + 1
    root = np.arange(n).astype(np.int32)
    cluster = np.arange(n).astype(np.int32)
    parent = np.full(2 * n - 1, -1, np.int32)
    height = np.zeros(2 * n - 1)
    for k in range(n - 1):
        a, b = root_of(root, tails[k]), root_of(root, heads[k])
        parent[cluster[a]] = n + k
        parent[cluster[b]] = n + k
        height[n + k] = max(lengths[k], 0.0)
        root[a] = b
        cluster[b] = n + k
    lifetime = np.zeros(2 * n - 1)
    for c in range(2 * n - 2):
        lifetime[c] = height[parent[c]] - height[c]
        if c < n:
            lifetime[c] = max(lifetime[c], least[c])
    return Linkage(parent, lifetime)


@leaf_njit
def precondition(linkage: Linkage, slope: Int32Array, out: FloatArray) -> float:
    """Multiply a sub-gradient by P.

    Parameters
    ----------
    linkage : Linkage
    slope : int32 [N]
        The sub-gradient g.
    out : float [2N - 1]
        Scratch space; ``out[:N]`` becomes P g.

    Returns
    -------
    float
        g' P g.
    """
    parent, lifetime = linkage.parent, linkage.lifetime
    n, last = len(slope), len(parent) - 1
    for i in range(n):
        out[i] = slope[i]
    for c in range(n, last + 1):
        out[c] = 0.0
    for c in range(last):
        out[parent[c]] += out[c]
    square = 0.0
    out[last] = 0.0
    for c in range(last - 1, -1, -1):
        moved = lifetime[c] * out[c]
        square += moved * out[c]
        out[c] = moved + out[parent[c]]
    return square


@nb.njit(cache=True)
def linkage_tour_length(data: DistanceData, tails: Int32Array, heads: Int32Array) -> float:
    """Length of a tour made by joining paths end to end along the linkage: an upper bound on the optimum.

    Parameters
    ----------
    data : DistanceData
    tails, heads : int32 [N - 1]
        Edges of a minimum spanning tree by increasing length.
    """
    n = len(tails) + 1
    root = np.arange(n).astype(np.int32)
    ends = np.empty((n, 2), np.int32)
    for i in range(n):
        ends[i] = i
    total = 0.0
    for k in range(n - 1):
        a, b = root_of(root, tails[k]), root_of(root, heads[k])
        best, free_a, free_b = np.inf, 0, 0
        for p in range(2):
            for q in range(2):
                d = distance(data, ends[a, p], ends[b, q])
                if d < best:
                    best, free_a, free_b = d, 1 - p, 1 - q
        total += best
        root[a] = b
        ends[b, 0], ends[b, 1] = ends[a, free_a], ends[b, free_b]
    last = root_of(root, 0)
    return total + distance(data, ends[last, 0], ends[last, 1])
