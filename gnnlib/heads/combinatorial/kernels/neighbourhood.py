"""Scale-free descriptions of candidate edges, compiled: what the graph network sees of an instance.

Everything is made of distances only, as ratios to the mean neighbour distance of a city or of the whole instance, and
of counts of strictly nearer cities; so rigid motions, changes of scale and renumbering do not change it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["EDGE_FEATURES", "edge_features", "reverse_slots"]

Int32Array = npt.NDArray[np.int32]
Float32Array = npt.NDArray[np.float32]

NUM_BASIS = 8
"""Gaussians a distance ratio is spread over."""

LAST_CENTRE = 2.8
"""Centre of the last Gaussian; larger ratios read as this."""

OWN_SIDE = 8
"""Features of an edge as one of its cities sees it; the other city's stand behind them."""

EDGE_FEATURES = 3 * NUM_BASIS + 1 + 2 * OWN_SIDE
"""Number of features of an edge."""

_SHRINKAGE = math.exp(-1.0)

_TIE = 1.0 - 1e-9
"""A distance is nearer than another only by more than rounding errors."""


@nb.njit(cache=True)
def reverse_slots(neighbours: Int32Array) -> IntArray:
    """Find the reverse of every directed edge of a neighbour list.

    Parameters
    ----------
    neighbours : int32 [N, K]

    Returns
    -------
    int64 [N, K]
        Flat place ``j * K + r`` of the edge from city i in the list of ``j = neighbours[i, s]``; -1 when i is not in
        it.
    """
    n, k = neighbours.shape
    out = np.full((n, k), -1, np.int64)
    for i in range(n):
        for s in range(k):
            j = neighbours[i, s]
            for r in range(k):
                if neighbours[j, r] == i:
                    out[i, s] = np.int64(j) * k + r
                    break
    return out


@leaf_njit(inline="always")
def _spread(ratio: float, out: Float32Array, first: int) -> None:
    """Write ``exp(-(x - m)^2 / 2)`` for m = 0, 1, ...; x is the ratio in units of the spacing of the centres."""
    x = min(ratio, LAST_CENTRE) * ((NUM_BASIS - 1) / LAST_CENTRE)
    value, growth = math.exp(-0.5 * x * x), math.exp(x - 0.5)
    for m in range(NUM_BASIS):
        out[first + m] = value
        value *= growth  # the next is this one times exp(x - m - 1/2)
        growth *= _SHRINKAGE


@leaf_njit
def _describe_side(
    apart: FloatArray, over: FloatArray, between: FloatArray, nearness: FloatArray, s: int, out: Float32Array
) -> None:
    """Describe the edge to candidate `s` as the city sees it among its other candidates.

    `apart` [K] holds the distances from the city, `over` [K] their inverses (0 for 0), `between` [K, K] the distances
    from candidate to candidate, and `nearness` [K] is ``exp(-apart / mean)``.
    """
    k = len(apart)
    d = apart[s]
    nearer, lune, gabriel = 0, 0, 0
    shortest = 2.0 * d
    shadow, opposite, behind = -1.0, 1.0, 0.0
    for r in range(k):
        if r == s:
            continue
        a, b = apart[r], between[s, r]
        if a < d * _TIE:
            nearer += 1
            if b < d * _TIE:
                lune += 1
        if a * a + b * b < d * d * _TIE:
            gabriel += 1
        shortest = min(shortest, a + b)
        if a > 0.0 and d > 0.0:
            cosine = min(1.0, max(-1.0, (a * a + d * d - b * b) * (0.5 * over[r] * over[s])))
            opposite = min(opposite, cosine)
            if a < d * _TIE:
                shadow = max(shadow, cosine)
            if cosine < 0.0:
                behind -= cosine * nearness[r]
    out[0] = nearer / k
    out[1] = 1.0 / (1.0 + nearer)
    out[2] = lune / (1.0 + lune)
    out[3] = gabriel / (1.0 + gabriel)
    out[4] = max(shortest * over[s] - 1.0, 0.0) if d > 0.0 else 1.0
    out[5] = shadow
    out[6] = opposite
    out[7] = behind


@nb.njit(cache=True)
def edge_features(
    data: DistanceData, neighbours: Int32Array, lengths: FloatArray, reverse: IntArray, mean: float
) -> Float32Array:
    """Describe every candidate edge without coordinates or units.

    Parameters
    ----------
    data : DistanceData
        The distances, cities numbered as in `neighbours`.
    neighbours : int32 [N, K]
        Candidates of each city.
    lengths : float [N, K]
        Their distances; negative ones (rewards for prescribed edges) read as 0.
    reverse : int64 [N, K]
        From `reverse_slots`.
    mean : float
        Mean distance over the whole instance.

    Returns
    -------
    float32 [N * K, EDGE_FEATURES]
        Distance in units of the mean neighbour distance of this city, of the other city and of the instance, each
        spread over Gaussians; whether the edge is mutual; then as either city sees it: share of strictly nearer
        candidates and one over (1 + their number), saturated counts of candidates in the lune (relative neighbourhood)
        and in the circle over the edge (Gabriel), least detour over a candidate, cosine of the angle to the closest in
        direction among the nearer candidates and to the most opposite candidate, and how much lies behind.
    """
    n, k = neighbours.shape
    unit = np.empty(n, np.float64)
    for i in range(n):
        total = 0.0
        for s in range(k):
            total += max(lengths[i, s], 0.0)
        unit[i] = total / k
    out = np.zeros((n * k, EDGE_FEATURES), np.float32)
    own = 3 * NUM_BASIS + 1
    apart, over, nearness, between = np.empty(k), np.empty(k), np.empty(k), np.zeros((k, k))
    for i in range(n):
        for s in range(k):
            apart[s] = max(lengths[i, s], 0.0)
            over[s] = 1.0 / apart[s] if apart[s] > 0.0 else 0.0
            nearness[s] = math.exp(-apart[s] / unit[i]) if unit[i] > 0.0 else 0.0
            for r in range(s):
                between[s, r] = max(distance(data, neighbours[i, s], neighbours[i, r]), 0.0)
                between[r, s] = between[s, r]
        for s in range(k):
            e = i * k + s
            j, d = neighbours[i, s], apart[s]
            _spread(d / unit[i] if unit[i] > 0.0 else 0.0, out[e], 0)
            _spread(d / unit[j] if unit[j] > 0.0 else 0.0, out[e], NUM_BASIS)
            _spread(d / mean if mean > 0.0 else 0.0, out[e], 2 * NUM_BASIS)
            _describe_side(apart, over, between, nearness, s, out[e, own : own + OWN_SIDE])
    for i in range(n):
        for s in range(k):
            e, back = i * k + s, reverse[i, s]
            if back >= 0:
                out[e, own - 1] = 1.0
                out[e, own + OWN_SIDE :] = out[back, own : own + OWN_SIDE]
    return out
