"""Energy of the chain prior: every five residues in a row under a Gaussian mixture, compiled with numba.

The exponents of all components are linear in products of features, so that all stretches go through two products of
matrices: one for the densities, one for their slopes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np

if TYPE_CHECKING:
    Reals = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = ["PRODUCTS", "mixture_energy"]

_FAST = True
_BACKGROUND = -16.0  # log density of anything: a rare turn or a cis peptide is not forced into a common shape
_NOTHING = -26.0  # log density that the background drowns
_PAIRS = ((0, 2), (1, 3), (2, 4), (0, 3), (1, 4), (0, 4))
_FEATURES = 8
#: Products of two features (first not after second), then the features, then 1.
PRODUCTS = _FEATURES * (_FEATURES + 1) // 2 + _FEATURES + 1
# constants of single precision leave the precision to the arrays: four bytes a number make the loops twice as fast
_ZERO: Any = np.float32(0.0)
_TINY, _TENTH, _TWO = np.float32(1e-12), np.float32(0.1), np.float32(2.0)


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _span(x: Reals, p: int, q: int, out: Reals) -> None:
    """Distances of residues i + p and i + q for every i."""
    ax, ay, az, aw, bx, by, bz, bw = x[0, p:], x[1, p:], x[2, p:], x[3, p:], x[0, q:], x[1, q:], x[2, q:], x[3, q:]
    for i in range(len(out)):
        out[i] = math.sqrt(
            (bx[i] - ax[i]) ** 2 + (by[i] - ay[i]) ** 2 + (bz[i] - az[i]) ** 2 + (bw[i] - aw[i]) ** 2 + _TINY
        )


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _cross(u: Reals, v: Reals, w: Reals, z: Reals, out: Reals) -> None:
    """One component u z - v w of the cross products of bonds."""
    for i in range(len(out)):
        out[i] = u[i] * z[i] - v[i] * w[i]


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _features(x: Reals, f: Reals, bonds: Reals, areas: Reals) -> None:
    """Six distances, two triple products (10 cubic angstrom) of all stretches; bonds, and cross products of the next."""
    count = f.shape[1]
    for k, (p, q) in enumerate(_PAIRS):
        _span(x, p, q, f[k])
    for m in range(3):
        bonds[m] = x[m, 1:] - x[m, :-1]
    for m in range(3):
        n, o = (m + 1) % 3, (m + 2) % 3
        _cross(bonds[n, :-1], bonds[o, :-1], bonds[n, 1:], bonds[o, 1:], areas[m])
    for k in range(2):
        out = f[6 + k]
        u, v, w = areas[0, k:], areas[1, k:], areas[2, k:]
        a, b, c = bonds[0, k + 2 :], bonds[1, k + 2 :], bonds[2, k + 2 :]
        for i in range(count):
            out[i] = _TENTH * (u[i] * a[i] + v[i] * b[i] + w[i] * c[i])


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _multiplied(f: Reals, products: Reals) -> None:
    """Write the rows of `PRODUCTS`."""
    row = 0
    for m in range(_FEATURES):
        for n in range(m, _FEATURES):
            one, other, out = f[m], f[n], products[row]
            for i in range(len(out)):
                out[i] = one[i] * other[i]
            row += 1
    products[row : row + _FEATURES] = f
    products[row + _FEATURES] = np.float32(1.0)


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _collected(f: Reals, pull: Reals, slope: Reals) -> None:
    """Slopes [8, M] of the features from those of their products."""
    row = 0
    slope[:] = pull[len(pull) - 1 - _FEATURES : len(pull) - 1]
    for m in range(_FEATURES):
        for n in range(m, _FEATURES):
            one, other, given = f[m], f[n], pull[row]
            here, there = slope[m], slope[n]
            for i in range(len(given)):
                here[i] += given[i] * other[i]
                there[i] += given[i] * one[i]
            row += 1


@nb.njit(cache=True, error_model="numpy")
def _densities(exponent: Reals, offsets: Reals, sharp: float, mass: Reals) -> None:
    """Turn exponents [K, M] into densities and add them up."""
    mass[:] = math.exp(_BACKGROUND)
    for k in range(len(exponent)):
        row, offset = exponent[k], offsets[k]
        for i in range(len(row)):
            value = offset + sharp * row[i]
            if value > _NOTHING:
                row[i] = math.exp(value)
                mass[i] += row[i]
            else:
                row[i] = _ZERO


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _add(values: Reals, factor: float, out: Reals) -> None:
    for i in range(len(values)):
        out[i] += factor * values[i]


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _spread(x: Reals, slope: Reals, bonds: Reals, areas: Reals, work: Reals, gradient: Reals) -> None:
    """Chain rule from the slopes [8, M] of the features, those of distances over the distance, to the positions."""
    count = slope.shape[1]
    for k, (p, q) in enumerate(_PAIRS):
        pull = slope[k]
        for m in range(4):
            here, there, low, high = x[m, p:], x[m, q:], gradient[m, p:], gradient[m, q:]
            for i in range(count):
                work[i] = pull[i] * (there[i] - here[i])
            _add(work, np.float32(1.0), high)
            _add(work, np.float32(-1.0), low)
    other = np.empty_like(work)
    for k in range(2):
        pull = slope[6 + k]
        for m in range(3):
            n, o = (m + 1) % 3, (m + 2) % 3
            un, uo = bonds[n, k:], bonds[o, k:]
            wn, wo = bonds[n, k + 2 :], bonds[o, k + 2 :]
            after, before = areas[m, k + 1 :], areas[m, k:]
            for i in range(count):  # v x w belongs to bond u, u x v to bond w, w x u to bond v
                other[i] = _TENTH * pull[i] * after[i]
            _add(other, np.float32(-1.0), gradient[m, k:])
            _add(other, np.float32(1.0), gradient[m, k + 1 :])
            for i in range(count):
                other[i] = _TENTH * pull[i] * (wn[i] * uo[i] - wo[i] * un[i])
            _add(other, np.float32(-1.0), gradient[m, k + 1 :])
            _add(other, np.float32(1.0), gradient[m, k + 2 :])
            for i in range(count):
                other[i] = _TENTH * pull[i] * before[i]
            _add(other, np.float32(-1.0), gradient[m, k + 2 :])
            _add(other, np.float32(1.0), gradient[m, k + 3 :])


@nb.njit(cache=True, error_model="numpy")
def mixture_energy(x: Reals, mixture: Any, windows: Any, scale: float, sharp: float, gradient: Reals) -> float:
    """Negative log density of the stretches at x [4, L], times `scale`; adds its gradient.

    Distances are those of all four dimensions, triple products those of the first three: a stretch may turn its hand
    through the fourth.
    """
    count = x.shape[1] - 4
    if scale == 0.0 or count <= 0:
        return 0.0
    f, work = np.empty((_FEATURES, count), x.dtype), np.empty(count, x.dtype)
    bonds, areas = np.empty((3, count + 3), x.dtype), np.empty((3, count + 2), x.dtype)
    _features(x, f, bonds, areas)
    centred = np.empty_like(f)
    for m in range(_FEATURES):
        centred[m] = f[m] - mixture.centre[m]
    products = np.empty((mixture.coefficients.shape[1], count), x.dtype)
    _multiplied(centred, products)
    density, mass = np.dot(mixture.coefficients, products), np.empty(count, x.dtype)
    _densities(density, mixture.offsets, sharp, mass)
    total = 0.0
    for i in range(count):
        if windows[i]:
            total -= scale * math.log(mass[i])
            mass[i] = -scale * sharp / mass[i]
        else:
            mass[i] = _ZERO
    for k in range(len(density)):
        density[k] *= mass
    np.dot(mixture.transposed, density, products)
    slope = np.empty_like(f)
    _collected(centred, products, slope)
    for m in range(6):
        slope[m] /= f[m]
    _spread(x, slope, bonds, areas, work, gradient)
    return total
