"""Search for the superposition that maximises TM-score and GDT, compiled with numba.

The search is that of Y. Zhang and J. Skolnick, Proteins 57, 702 (2004): superpose every fragment of L, L/2, L/4, ... 4
residues, then superpose again the pairs that came close, until the set of close pairs does not change. Two things make
it quick without changing its outcome: sums over fragments come from running sums, and a set of close pairs that any
start has met before is not followed again. The optimal rotation is the quaternion of B. K. P. Horn (J. Opt. Soc. Am. A
4, 629, 1987), its eigenvalue found by Newton steps on the characteristic polynomial (D. L. Theobald, Acta Cryst. A61,
478, 2005).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba as nb
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from gnnlib.typing import FloatArray, IntArray

    KeyArray = npt.NDArray[np.uint64]

__all__ = ["GDT_CUTOFFS_ANGSTROM", "SearchResult", "search", "tm_d0"]

GDT_CUTOFFS_ANGSTROM = (0.5, 1.0, 2.0, 4.0, 8.0)

_SMALLEST_FRAGMENT = 4
_FRAGMENT_SIZES = 6
_MOST_STEPS = 20
_ALL_STARTS_UP_TO = 400  # residues; longer chains start from evenly spread fragments


class SearchResult(NamedTuple):
    """What the search found.

    Attributes
    ----------
    tm_sum : float
        Largest ``sum_i 1 / (1 + (d_i / d0)^2)``; divided by the length of the native it is the TM-score.
    within : int array [5]
        Largest number of pairs within 0.5, 1, 2, 4, 8 A, each over all superpositions tried.
    rotation, translation : array [3, 3], [3]
        Of the superposition with the best sum: moving to target.
    """

    tm_sum: float
    within: IntArray
    rotation: FloatArray
    translation: FloatArray


def tm_d0(length: int) -> float:
    """Distance scale of the TM-score in angstrom (Zhang & Skolnick 2004, eq. 5), at least 0.5.

    Examples
    --------
    >>> round(tm_d0(100), 3), tm_d0(10)
    (3.652, 0.5)
    """
    return max(0.5, 1.24 * (length - 15) ** (1.0 / 3.0) - 1.8) if length > 15 else 0.5


def search(moving: FloatArray, target: FloatArray, d0: float) -> SearchResult:
    """Find the best superpositions of paired points.

    Parameters
    ----------
    moving, target : array [L, 3]
        Pairs of points in angstrom, all finite; L >= 1.
    d0 : float
        Distance scale in angstrom.

    Returns
    -------
    SearchResult

    Notes
    -----
    The first call of a process compiles for some seconds unless the compiled code is cached on disk. Chains above 400
    residues are started from about 400 places a fragment size.

    Examples
    --------
    >>> corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    >>> round(search(corner, corner + 7.0, 1.0).tm_sum, 9)
    4.0
    """
    count = len(moving)
    shift_a, shift_b = moving.mean(axis=0), target.mean(axis=0)  # running sums of far-off points lose digits
    points = np.empty((6, count))
    points[:3], points[3:] = (moving - shift_a).T, (target - shift_b).T
    sizes = np.array(_fragment_sizes(count), dtype=np.int64)
    step = 1 + count // _ALL_STARTS_UP_TO if count > _ALL_STARTS_UP_TO else 1
    tm_sum, within, pose = _search(points, sizes, step, d0, min(8.0, max(4.5, d0)))
    rotation = pose[:9].reshape(3, 3)
    return SearchResult(float(tm_sum), within, rotation, pose[9:] + shift_b - rotation @ shift_a)


def _fragment_sizes(count: int) -> list[int]:
    smallest = min(_SMALLEST_FRAGMENT, count)
    sizes: list[int] = []
    for halving in range(_FRAGMENT_SIZES - 1):
        size = count // 2**halving
        if size <= smallest:
            break
        sizes.append(size)
    return [*sizes, smallest]


@nb.njit(cache=True, fastmath=True, error_model="numpy")
def _place(points: FloatArray, pose: FloatArray, scale: float, squared: FloatArray) -> float:
    """Squared distances of all pairs under a pose; return the TM sum."""
    x, y, z, u, v, w = points[0], points[1], points[2], points[3], points[4], points[5]
    a, b, c, d, e, f, g, h, i = pose[0], pose[1], pose[2], pose[3], pose[4], pose[5], pose[6], pose[7], pose[8]
    p, q, r = pose[9], pose[10], pose[11]
    total = 0.0
    for k in range(len(x)):
        dx = a * x[k] + b * y[k] + c * z[k] + p - u[k]
        dy = d * x[k] + e * y[k] + f * z[k] + q - v[k]
        dz = g * x[k] + h * y[k] + i * z[k] + r - w[k]
        one = dx * dx + dy * dy + dz * dz
        squared[k] = one
        total += 1.0 / (1.0 + one * scale)
    return total


@nb.njit(cache=True, error_model="numpy")
def _count(squared: FloatArray, cutoffs: FloatArray, within: IntArray) -> None:
    for m in range(len(cutoffs)):
        limit, found = cutoffs[m], 0
        for k in range(len(squared)):
            found += squared[k] <= limit
        within[m] = max(within[m], found)


@nb.njit(cache=True, fastmath=True, error_model="numpy")
def _gather(points: FloatArray, squared: FloatArray, limit: float, sums: FloatArray) -> float:
    """Sum what a superposition of the pairs below `limit` needs (as in `_running_sums`); return their number."""
    x, y, z, u, v, w = points[0], points[1], points[2], points[3], points[4], points[5]
    n = s0 = s1 = s2 = s3 = s4 = s5 = m0 = m1 = m2 = m3 = m4 = m5 = m6 = m7 = m8 = square = 0.0
    for k in range(len(x)):
        one = 1.0 if squared[k] < limit else 0.0
        px, py, pz = one * x[k], one * y[k], one * z[k]
        n += one
        s0 += px
        s1 += py
        s2 += pz
        s3 += one * u[k]
        s4 += one * v[k]
        s5 += one * w[k]
        m0 += px * u[k]
        m1 += px * v[k]
        m2 += px * w[k]
        m3 += py * u[k]
        m4 += py * v[k]
        m5 += py * w[k]
        m6 += pz * u[k]
        m7 += pz * v[k]
        m8 += pz * w[k]
        square += px * x[k] + py * y[k] + pz * z[k] + one * (u[k] * u[k] + v[k] * v[k] + w[k] * w[k])
    sums[:] = (n, s0, s1, s2, s3, s4, s5, m0, m1, m2, m3, m4, m5, m6, m7, m8, square)
    return n


@nb.njit(cache=True, error_model="numpy")
def _fingerprint(squared: FloatArray, limit: float, keys: KeyArray) -> Any:
    """Name of the set of pairs below `limit`: the sum of their random keys."""
    name = np.uint64(0)
    for k in range(len(squared)):
        name += keys[k] if squared[k] < limit else np.uint64(0)
    return name


@nb.njit(cache=True, error_model="numpy")
def _running_sums(points: FloatArray) -> FloatArray:
    """Sum over residues 0 .. k-1 in row k: count, positions (6), products moving x target (9), squares."""
    count = points.shape[1]
    sums = np.zeros((count + 1, 17))
    for k in range(count):
        sums[k + 1] = sums[k]
        sums[k + 1, 0] += 1.0
        for m in range(6):
            sums[k + 1, 1 + m] += points[m, k]
            sums[k + 1, 16] += points[m, k] ** 2
        for m in range(9):
            sums[k + 1, 7 + m] += points[m // 3, k] * points[3 + m % 3, k]
    return sums


@nb.njit(cache=True, error_model="numpy")
def _fit(sums: FloatArray, pose: FloatArray) -> None:
    """Turn sums over pairs into the pose (rotation, translation) that superposes them."""
    n = sums[0]
    m = np.empty((3, 3))
    square = sums[16]
    for i in range(3):
        square -= (sums[1 + i] ** 2 + sums[4 + i] ** 2) / n
        for j in range(3):
            m[i, j] = sums[7 + 3 * i + j] - sums[1 + i] * sums[4 + j] / n
    _quaternion_rotation(m, max(square, 1e-12), pose)
    for i in range(3):
        turned = pose[3 * i] * sums[1] + pose[3 * i + 1] * sums[2] + pose[3 * i + 2] * sums[3]
        pose[9 + i] = (sums[4 + i] - turned) / n


@nb.njit(cache=True, error_model="numpy")
def _quaternion_rotation(m: FloatArray, square: float, pose: FloatArray) -> None:
    """Rotation of the largest eigenvalue of Horn's matrix K of the covariance `m`."""
    k = np.empty((4, 4))
    k[0, 0] = m[0, 0] + m[1, 1] + m[2, 2]
    k[1, 1] = m[0, 0] - m[1, 1] - m[2, 2]
    k[2, 2] = m[1, 1] - m[0, 0] - m[2, 2]
    k[3, 3] = m[2, 2] - m[0, 0] - m[1, 1]
    k[0, 1] = k[1, 0] = m[1, 2] - m[2, 1]
    k[0, 2] = k[2, 0] = m[2, 0] - m[0, 2]
    k[0, 3] = k[3, 0] = m[0, 1] - m[1, 0]
    k[1, 2] = k[2, 1] = m[0, 1] + m[1, 0]
    k[1, 3] = k[3, 1] = m[2, 0] + m[0, 2]
    k[2, 3] = k[3, 2] = m[1, 2] + m[2, 1]
    value = _largest_eigenvalue(k, m, 0.5 * square)
    for i in range(4):
        k[i, i] -= value
    best, q = 0.0, np.array([1.0, 0.0, 0.0, 0.0])  # points on one spot: no rotation
    cofactors = np.empty(4)
    for row in range(4):
        for column in range(4):
            sign = 1.0 if (row + column) % 2 == 0 else -1.0
            cofactors[column] = sign * _minor(k, row, column)
        norm = cofactors[0] ** 2 + cofactors[1] ** 2 + cofactors[2] ** 2 + cofactors[3] ** 2
        if norm > best:
            best = norm
            q[:] = cofactors / math.sqrt(norm)
    a, b, c, d = q[0], q[1], q[2], q[3]
    pose[0], pose[1], pose[2] = a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)
    pose[3], pose[4], pose[5] = 2.0 * (b * c + a * d), a * a - b * b + c * c - d * d, 2.0 * (c * d - a * b)
    pose[6], pose[7], pose[8] = 2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a - b * b - c * c + d * d


@nb.njit(cache=True, error_model="numpy")
def _minor(k: FloatArray, row: int, column: int) -> float:
    r0, r1, r2 = int(row == 0), 1 + (row <= 1), 2 + (row <= 2)
    c0, c1, c2 = int(column == 0), 1 + (column <= 1), 2 + (column <= 2)
    return (
        k[r0, c0] * (k[r1, c1] * k[r2, c2] - k[r1, c2] * k[r2, c1])
        - k[r0, c1] * (k[r1, c0] * k[r2, c2] - k[r1, c2] * k[r2, c0])
        + k[r0, c2] * (k[r1, c0] * k[r2, c1] - k[r1, c1] * k[r2, c0])
    )


@nb.njit(cache=True, error_model="numpy")
def _largest_eigenvalue(k: FloatArray, m: FloatArray, upper: float) -> float:
    """Newton from an upper bound on x^4 + c2 x^2 + c1 x + c0, where it falls monotonically to the largest root."""
    c2, c0 = 0.0, 0.0
    for i in range(3):
        for j in range(3):
            c2 -= 2.0 * m[i, j] ** 2
    c1 = -8.0 * (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )
    for column in range(4):
        c0 += (1.0 if column % 2 == 0 else -1.0) * k[0, column] * _minor(k, 0, column)
    x = upper
    for _ in range(60):
        squared = x * x
        slope = 4.0 * squared * x + 2.0 * c2 * x + c1
        if slope <= 0.0:
            break
        change = (squared * squared + c2 * squared + c1 * x + c0) / slope
        x -= change
        if abs(change) < 1e-13 * upper:
            break
    return x


@nb.njit(cache=True, error_model="numpy")
def _is_new(name: Any, table: KeyArray) -> bool:
    """Put a fingerprint into an open hash table; False when it was there, True also when the table is full."""
    mask = len(table) - 1
    slot = np.int64(name & np.uint64(mask))
    for _ in range(16):
        if table[slot] == name:
            return False
        if table[slot] == np.uint64(0):
            table[slot] = name
            return True
        slot = (slot + 1) & mask
    return True


@nb.njit(cache=True, error_model="numpy")
def _random_keys(count: int) -> KeyArray:
    """Make fixed pseudo-random 64-bit keys (splitmix64)."""
    keys = np.empty(count, dtype=np.uint64)
    state = np.uint64(0x9E3779B97F4A7C15)
    for k in range(count):
        state += np.uint64(0x9E3779B97F4A7C15)
        word = state
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys[k] = word ^ (word >> np.uint64(31))
    return keys


@nb.njit(cache=True, error_model="numpy")
def _close_pairs(points: FloatArray, squared: FloatArray, cutoff: float, sums: FloatArray) -> float:
    """Gather the pairs below a cutoff, widened until three are in; return the square of the cutoff used."""
    needed = min(3, len(squared))
    while _gather(points, squared, cutoff * cutoff, sums) < needed:
        cutoff += 0.5
    return cutoff * cutoff


@nb.njit(cache=True, error_model="numpy")
def _search(
    points: FloatArray, sizes: IntArray, step: int, d0: float, d0_search: float
) -> tuple[float, IntArray, FloatArray]:
    count = points.shape[1]
    scale = 1.0 / (d0 * d0)
    cutoffs = np.array([0.25, 1.0, 4.0, 16.0, 64.0])
    running, keys = _running_sums(points), _random_keys(count)
    table = np.zeros(1 << 14, dtype=np.uint64)
    squared, sums, pose, best_pose = np.empty(count), np.empty(17), np.empty(12), np.zeros(12)
    within, best = np.zeros(5, dtype=np.int64), -1.0
    for size in sizes:
        for start in range(0, count - size + 1, step):
            sums[:] = running[start + size] - running[start]
            cutoff, previous = d0_search - 1.0, np.uint64(0)
            for _ in range(_MOST_STEPS + 1):
                _fit(sums, pose)
                total = _place(points, pose, scale, squared)
                _count(squared, cutoffs, within)
                if total > best:
                    best = total
                    best_pose[:] = pose
                limit = _close_pairs(points, squared, cutoff, sums)
                name = _fingerprint(squared, limit, keys)
                if name == previous or not _is_new(name, table):
                    break
                cutoff, previous = d0_search + 1.0, name
    return best, within, best_pose
