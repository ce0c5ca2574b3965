"""Landmarks: lower and upper bounds of distances from the triangle inequality (A. V. Goldberg and C. Harrelson 2005).

For a landmark L, ``d(v, t) >= d(v, L) - d(t, L)`` and ``d(v, t) >= d(L, t) - d(L, v)``. Tables may be rounded down to
whole numbers of 16 bits, which halves their size: with unit u each entry is short by less than u, so each difference
may be too large by less than u, which the bound gives back. It stays admissible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import AnyArray, FloatArray

__all__ = ["as_single_precision", "as_sixteen_bits"]

_LEVELS = 65_534
_UNREACHED = 65_535


def as_single_precision(to: FloatArray, back: FloatArray) -> tuple[AnyArray, AnyArray, FloatArray]:
    """Return tables of 32-bit floats, with the units the kernels ask for.

    Parameters
    ----------
    to, back : float array [N, K]
        Distances of every node to and from every landmark; infinity where there is no path.

    Returns
    -------
    to, back : float32 array [N, K]
    step : float array [K + 1]
        Ones, then by how much rounding may have raised a bound.
    """
    top = float(max(to[np.isfinite(to)].max(initial=0.0), back[np.isfinite(back)].max(initial=0.0)))
    tables = [np.where(np.isfinite(table), table, 2.0 * top + 1.0).astype(np.float32) for table in (to, back)]
    slack = 0.0 if _is_exact(to, back) else (2.0 * top + 1.0) * 2.0**-22
    return tables[0], tables[1], np.append(np.ones(to.shape[1]), slack)


def _is_exact(*tables: FloatArray) -> bool:
    return all(np.array_equal(table, table.astype(np.float32)) for table in tables)


def as_sixteen_bits(to: FloatArray, back: FloatArray) -> tuple[AnyArray, AnyArray, FloatArray]:
    """Return tables of 16-bit integers and their units; half the memory of `as_single_precision`.

    Parameters
    ----------
    to, back : float array [N, K]
        Distances of every node to and from every landmark; infinity where there is no path.

    Returns
    -------
    to, back : uint16 array [N, K]
        Whole units, rounded down; 65535 where there is no path.
    step : float array [K + 1]
        The unit of each landmark, then the largest of those that rounded. Whole numbers are kept as they are where they
        fit, in units of their greatest common divisor.

    Examples
    --------
    >>> to, back, step = as_sixteen_bits(np.array([[0.0], [6553.4]]), np.array([[0.0], [6553.4]]))
    >>> to.ravel().tolist(), step.round(3).tolist()
    ([0, 65534], [0.1, 0.1])
    >>> to, back, step = as_sixteen_bits(np.array([[0.0], [7.0]]), np.array([[0.0], [5.0]]))
    >>> to.ravel().tolist(), step.tolist()
    ([0, 7], [1.0, 0.0])
    """
    both = np.concatenate([np.where(np.isfinite(table), table, 0.0) for table in (to, back)])
    top = both.max(axis=0, initial=0.0)
    # the factor keeps a unit times its count from exceeding the distance when the product is rounded
    unit = _common_divisor(both)
    is_whole = unit * _LEVELS >= top
    unit = np.where(is_whole, unit, top / _LEVELS)
    codes = []
    for table in (to, back):
        with np.errstate(invalid="ignore"):
            code = np.floor(np.where(np.isfinite(table), table, 0.0) / unit)
        codes.append(np.where(np.isfinite(table), np.minimum(code, _LEVELS), _UNREACHED).astype(np.uint16))
    return codes[0], codes[1], np.append(unit, unit[~is_whole].max(initial=0.0) * (1.0 + 1e-6))


def _common_divisor(numbers: FloatArray) -> FloatArray:
    """Return the greatest common divisor of each column of whole numbers, 1 of zeros and 0 of other columns."""
    is_whole = (numbers == np.floor(numbers)).all(axis=0) & (numbers.max(axis=0, initial=0.0) < 2.0**53)
    whole = np.where(is_whole, numbers, 0.0).astype(np.int64)
    return np.where(is_whole, np.maximum(np.gcd.reduce(whole, axis=0), 1), 0).astype(np.float64)
