"""Energy of distances between pairs of residues: all pairs in rows, or a list of few, compiled with numba."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np

if TYPE_CHECKING:
    Reals = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = ["dense_energy", "near_energy", "spring_energy"]

_FAST = True
_ZERO: Any = np.float32(0.0)
_HALF, _TINY = np.float32(0.5), np.float32(1e-12)
_SKIN_ANGSTROM = 3.0  # pairs so much farther than their reach are listed too, until a residue has moved half of it


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def dense_energy(x: Reals, goals: Reals, weights: Reals, clash: Reals, gradient: Reals) -> float:
    """Distances, walls (negative weights) and clashes of all pairs.

    Each pair is met from both sides: a loop without stores is the fastest.
    """
    count, stiff, total = x.shape[1], clash[1], 0.0
    a, b, c, e = x[0], x[1], x[2], x[3]
    floors = np.empty(2 * count, x.dtype)  # no floor under the distance of neighbours and their neighbours
    floors[:] = clash[0]
    floors[count - 2 : count + 3] = _ZERO
    for i in range(count):
        ai, bi, ci, ei = a[i], b[i], c[i], e[i]
        target, weight, floor = goals[i], weights[i], floors[count - i :]
        row, ga, gb, gc, ge = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
        for j in range(count):
            da, db, dc, de = ai - a[j], bi - b[j], ci - c[j], ei - e[j]
            d = math.sqrt(da * da + db * db + dc * dc + de * de + _TINY)
            w, off, close = weight[j], d - target[j], min(d - floor[j], _ZERO)
            off = min(off, _ZERO) if w < _ZERO else off
            w = abs(w)
            row += w * off * off + stiff * close * close
            pull = (w * off + stiff * close) / d
            ga += pull * da
            gb += pull * db
            gc += pull * dc
            ge += pull * de
        gradient[0, i] += ga
        gradient[1, i] += gb
        gradient[2, i] += gc
        gradient[3, i] += ge
        total += row
    return 0.25 * total


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _pull_apart(gradient: Reals, i: int, j: int, slope: float, way: tuple[float, float, float, float]) -> None:
    """Add the slope of a distance, over the distance, at its two ends."""
    gradient[0, i] += slope * way[0]
    gradient[1, i] += slope * way[1]
    gradient[2, i] += slope * way[2]
    gradient[3, i] += slope * way[3]
    gradient[0, j] -= slope * way[0]
    gradient[1, j] -= slope * way[1]
    gradient[2, j] -= slope * way[2]
    gradient[3, j] -= slope * way[3]


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def spring_energy(x: Reals, few: Any, gradient: Reals) -> float:
    """Known distances of a list of pairs."""
    total = 0.0
    for n in range(len(few.lengths)):
        i, j = few.pairs[0, n], few.pairs[1, n]
        da, db, dc, de = x[0, i] - x[0, j], x[1, i] - x[1, j], x[2, i] - x[2, j], x[3, i] - x[3, j]
        d = math.sqrt(da * da + db * db + dc * dc + de * de + _TINY)
        off = d - few.lengths[n]
        pull = few.stiffness[n] * off
        total += pull * off
        _pull_apart(gradient, i, j, pull / d, (da, db, dc, de))
    return 0.5 * total


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _has_moved(x: Reals, anchor: Reals) -> bool:
    limit = _HALF * _SKIN_ANGSTROM
    farthest = _ZERO
    for i in range(x.shape[1]):
        moved = (
            (x[0, i] - anchor[0, i]) ** 2
            + (x[1, i] - anchor[1, i]) ** 2
            + (x[2, i] - anchor[2, i]) ** 2
            + (x[3, i] - anchor[3, i]) ** 2
        )
        farthest = max(farthest, moved)
    return not farthest < limit * limit


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _list_near(x: Reals, few: Any, clash: Reals) -> None:
    """List the pairs, three places or more apart, that may come within their reach."""
    count, found = x.shape[1], 0
    few.anchor[:] = x
    has_walls = len(few.walled) > 0
    short, long = (clash[0] + _SKIN_ANGSTROM) ** 2, (max(few.wall[0], clash[0]) + _SKIN_ANGSTROM) ** 2
    for i in range(count):
        xi, yi, zi, ei = x[0, i], x[1, i], x[2, i], x[3, i]
        for j in range(i + 3, count):
            d2 = (xi - x[0, j]) ** 2 + (yi - x[1, j]) ** 2 + (zi - x[2, j]) ** 2 + (ei - x[3, j]) ** 2
            if d2 < short or (has_walls and d2 < long and few.walled[i, j]):
                few.near[0, found] = i
                few.near[1, found] = j
                found += 1
    few.number[0] = found


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def near_energy(x: Reals, few: Any, clash: Reals, gradient: Reals) -> float:
    """Clashes of all pairs, and walls between those that are not known; keeps the list of near pairs up to date."""
    if few.number[0] < 0 or _has_moved(x, few.anchor):
        _list_near(x, few, clash)
    has_walls, total = len(few.walled) > 0, 0.0
    floor, stiff, wall, hard = clash[0], clash[1], few.wall[0], few.wall[1]
    reach = max(floor, wall) if has_walls else floor
    for n in range(few.number[0]):
        i, j = few.near[0, n], few.near[1, n]
        da, db, dc, de = x[0, i] - x[0, j], x[1, i] - x[1, j], x[2, i] - x[2, j], x[3, i] - x[3, j]
        d2 = da * da + db * db + dc * dc + de * de + _TINY
        if d2 >= reach * reach:
            continue
        d = math.sqrt(d2)
        close = min(d - floor, _ZERO)
        pull = stiff * close
        total += pull * close
        if has_walls and d < wall and few.walled[i, j]:
            total += hard * (d - wall) ** 2
            pull += hard * (d - wall)
        _pull_apart(gradient, i, j, pull / d, (da, db, dc, de))
    return 0.5 * total
