"""Energy of a CA trace under distances and a chain prior, and its minimiser, compiled with numba.

The energy, in units of kT, of positions x [4, L] (the fourth dimension is used by the search and pressed to zero) is

* ``0.5 W (d - D)^2`` for a known distance D (W > 0); for W < 0 the same with |W|, only while d < D;
* a bond of 3.8 A between neighbours of the chain and a floor under the distance of all others;
* the negative log density of every five residues in a row under a Gaussian mixture (`chain_prior`).

The minimiser is L-BFGS with ten pairs and a backtracking line search (J. Nocedal and S. Wright, Numerical Optimization,
2nd ed., algorithms 3.1 and 7.5).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray

    #: Single precision in `fold`, double in tests.
    Reals = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = ["BOND_ANGSTROM", "Problem", "anneal", "energy", "fragment_energy", "minimise", "shorten"]

_MEMORY = 10
_FAST = True
_BACKGROUND = -16.0  # log density of anything: a rare turn or a cis peptide is not forced into a common shape
_NOTHING = -26.0  # log density that the background drowns
BOND_ANGSTROM = 3.8
_PAIRS = ((0, 2), (1, 3), (2, 4), (0, 3), (1, 4), (0, 4))
# constants of single precision leave the precision to the arrays: four bytes a number make the loops twice as fast
_ZERO: Any = np.float32(0.0)
_HALF, _TINY, _TENTH = np.float32(0.5), np.float32(1e-12), np.float32(0.1)
_BOND = np.float32(BOND_ANGSTROM)


class Problem(NamedTuple):
    """What the energy needs.

    Attributes
    ----------
    target, weight : array [L, L]
        D and W, symmetric, 0 on the diagonal of W. Weights are inverse variances.
    bonded : bool array [L]
        Whether residue i is bonded to i + 1.
    windows : bool array [L]
        Whether residues i .. i + 4 are one unbroken stretch.
    terms : array [6]
        Weight of bonds, clash floor (angstrom), weight of clashes, weight of the mixture, sharpness of the mixture
        (1: as learned, less: flatter), weight of the fourth dimension.
    offsets, means, precisions : array [K], [K, 8], [K, 8, 8]
        The mixture; `offsets` are logarithms of weight over normalisation.

    All arrays of numbers have one precision, which is that of the positions and of the energy's slope.
    """

    target: Reals
    weight: Reals
    bonded: BoolArray
    windows: BoolArray
    terms: Reals
    offsets: Reals
    means: Reals
    precisions: Reals


@nb.njit(cache=True, error_model="numpy")
def shorten(paths: Reals) -> None:
    """Turn lengths of edges [L, L] (infinite: none) into those of the shortest paths (R. W. Floyd, 1962)."""
    for k in range(len(paths)):
        through = paths[k]
        for i in range(len(paths)):
            row, first = paths[i], paths[i, k]
            if first < np.inf:
                for j in range(len(row)):
                    row[j] = min(row[j], first + through[j])


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _pair_energy(x: Reals, problem: Problem, gradient: Reals) -> float:
    """Distances, walls and clashes. Each pair is met from both sides: a loop without stores is the fastest."""
    count, stiff, total = x.shape[1], problem.terms[2], 0.0
    a, b, c, e = x[0], x[1], x[2], x[3]
    floors = np.empty(2 * count, x.dtype)  # no floor under the distance of neighbours and their neighbours
    floors[:] = problem.terms[1]
    floors[count - 2 : count + 3] = _ZERO
    for i in range(count):
        ai, bi, ci, ei = a[i], b[i], c[i], e[i]
        target, weight, floor = problem.target[i], problem.weight[i], floors[count - i :]
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


@nb.njit(cache=True, error_model="numpy")
def _chain_energy(x: Reals, problem: Problem, gradient: Reals) -> float:
    """Bonds and the fourth dimension."""
    stiff, flat = problem.terms[0], problem.terms[5]
    total, count = 0.0, x.shape[1]
    for i in range(count):
        total += _HALF * flat * x[3, i] ** 2
        gradient[3, i] += flat * x[3, i]
        if i + 1 < count and problem.bonded[i]:
            d = math.sqrt(
                (x[0, i + 1] - x[0, i]) ** 2
                + (x[1, i + 1] - x[1, i]) ** 2
                + (x[2, i + 1] - x[2, i]) ** 2
                + (x[3, i + 1] - x[3, i]) ** 2
                + _TINY
            )
            total += _HALF * stiff * (d - _BOND) ** 2
            for m in range(4):
                pull = stiff * (d - _BOND) / d * (x[m, i + 1] - x[m, i])
                gradient[m, i + 1] += pull
                gradient[m, i] -= pull
    return total


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _span(x: Reals, p: int, q: int, out: Reals) -> None:
    """Distances of residues i + p and i + q for every i."""
    ax, ay, az, bx, by, bz = x[0, p:], x[1, p:], x[2, p:], x[0, q:], x[1, q:], x[2, q:]
    for i in range(len(out)):
        out[i] = math.sqrt((bx[i] - ax[i]) ** 2 + (by[i] - ay[i]) ** 2 + (bz[i] - az[i]) ** 2 + _TINY)


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
def _add(values: Reals, factor: float, out: Reals) -> None:
    for i in range(len(values)):
        out[i] += factor * values[i]


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _spread(x: Reals, slope: Reals, bonds: Reals, areas: Reals, work: Reals, gradient: Reals) -> None:
    """Chain rule from the slopes [8, M] of the features, those of distances over the distance, to the positions."""
    count = slope.shape[1]
    for k, (p, q) in enumerate(_PAIRS):
        for m in range(3):
            here, there, pull = x[m, p:], x[m, q:], slope[k]
            for i in range(count):
                work[i] = pull[i] * (there[i] - here[i])
            _add(work, np.float32(1.0), gradient[m, q:])
            _add(work, np.float32(-1.0), gradient[m, p:])
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


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _mixed(matrix: Reals, z: Reals, q: Reals) -> None:
    """Write the eight rows of the product of a matrix [8, 8] with z."""
    z0, z1, z2, z3, z4, z5, z6, z7 = z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7]
    for m in range(8):
        row, out = matrix[m], q[m]
        r0, r1, r2, r3, r4, r5, r6, r7 = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]
        for i in range(len(out)):
            left = r0 * z0[i] + r1 * z1[i] + r2 * z2[i] + r3 * z3[i]
            out[i] = left + (r4 * z4[i] + r5 * z5[i] + r6 * z6[i] + r7 * z7[i])


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _product_sum(q: Reals, z: Reals, out: Reals) -> None:
    out[:] = _ZERO
    for m in range(8):
        one, other = q[m], z[m]
        for i in range(len(out)):
            out[i] += one[i] * other[i]


@nb.njit(cache=True, error_model="numpy")
def _density(quadratic: Reals, offset: float, sharp: float, mass: Reals) -> bool:
    """Turn quadratic forms into densities, add them to `mass`; return whether any of them counts."""
    counts = False
    for i in range(len(quadratic)):
        exponent = offset - _HALF * sharp * quadratic[i]
        if exponent > _NOTHING:
            quadratic[i] = math.exp(exponent)
            mass[i] += quadratic[i]
            counts = True
        else:
            quadratic[i] = _ZERO
    return counts


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gather(density: Reals, q: Reals, slope: Reals) -> None:
    for m in range(8):
        one, out = q[m], slope[m]
        for i in range(len(density)):
            out[i] += density[i] * one[i]


@nb.njit(cache=True, error_model="numpy")
def _mixture_energy(x: Reals, problem: Problem, gradient: Reals) -> float:
    scale, sharp, count = problem.terms[3], problem.terms[4], x.shape[1] - 4
    if scale == 0.0 or count <= 0:
        return 0.0
    f, z, q = np.empty((8, count), x.dtype), np.empty((8, count), x.dtype), np.empty((8, count), x.dtype)
    slope, mass, density = np.zeros((8, count), x.dtype), np.empty(count, x.dtype), np.empty(count, x.dtype)
    bonds, areas = np.empty((3, count + 3), x.dtype), np.empty((3, count + 2), x.dtype)
    _features(x, f, bonds, areas)
    mass[:] = math.exp(_BACKGROUND)
    for k in range(len(problem.offsets)):
        for m in range(8):
            z[m] = f[m] - problem.means[k, m]
        _mixed(problem.precisions[k], z, q)
        _product_sum(q, z, density)
        if _density(density, problem.offsets[k], sharp, mass):
            _gather(density, q, slope)
    total = 0.0
    for i in range(count):
        if problem.windows[i]:
            total -= scale * math.log(mass[i])
            mass[i] = scale * sharp / mass[i]
        else:
            mass[i] = _ZERO
    for m in range(8):
        slope[m] *= mass if m >= 6 else mass / f[m]
    _spread(x, slope, bonds, areas, density, gradient)
    return total


@nb.njit(cache=True, error_model="numpy")
def energy(x: Reals, problem: Problem, gradient: Reals) -> float:
    """Energy at x [4, L]; writes its gradient [4, L]."""
    gradient[:] = 0.0
    total = _pair_energy(x, problem, gradient) + _chain_energy(x, problem, gradient)
    return total + _mixture_energy(x, problem, gradient)


@nb.njit(cache=True, error_model="numpy")
def fragment_energy(x: Reals, problem: Problem) -> float:
    """Negative log density of all stretches of five residues under the mixture."""
    return _mixture_energy(x, problem, np.zeros_like(x))


@nb.njit(cache=True, error_model="numpy")
def _direction(g: Reals, steps: Reals, changes: Reals, curvature: Reals, count: int) -> Reals:
    """L-BFGS two-loop recursion (algorithm 7.4)."""
    d = -g
    alpha = np.zeros(_MEMORY, g.dtype)
    first = max(0, count - _MEMORY)
    for k in range(count - 1, first - 1, -1):
        m = k % _MEMORY
        alpha[m] = np.dot(steps[m], d) / curvature[m]
        d -= alpha[m] * changes[m]
    if count > 0:
        m = (count - 1) % _MEMORY
        d *= curvature[m] / np.dot(changes[m], changes[m])
    for k in range(first, count):
        m = k % _MEMORY
        d += (alpha[m] - np.dot(changes[m], d) / curvature[m]) * steps[m]
    return d


@nb.njit(cache=True, error_model="numpy")
def minimise(x: Reals, problem: Problem, iterations: int, tolerance: float) -> float:
    """Move x [4, L] to a near minimum of the energy; return the energy there.

    Stops after `iterations`, or when ten of them together gain less than `tolerance` of the energy.
    """
    size = x.size
    flat = x.reshape(size)
    gradient = np.empty_like(x)
    value = energy(x, problem, gradient)
    g = gradient.reshape(size).copy()
    steps, changes = np.empty((_MEMORY, size), x.dtype), np.empty((_MEMORY, size), x.dtype)
    curvature = np.empty(_MEMORY, x.dtype)
    count, mark = 0, value
    for iteration in range(iterations):
        d = _direction(g, steps, changes, curvature, count)
        slope = np.dot(g, d)
        if slope >= 0.0:
            d, count = -g, 0
            slope = np.dot(g, d)
        longest = np.max(np.abs(d))
        if longest < 1e-9:
            break
        length = min(1.0, 1.0 / longest) if count == 0 else min(1.0, 5.0 / longest)
        start = flat.copy()
        found = False
        for _ in range(12):
            flat[:] = start + np.float32(length) * d
            new = energy(x, problem, gradient)
            if new <= value + 1e-4 * length * slope:
                found = True
                break
            bend = 2.0 * (new - value - length * slope)
            length = max(0.1 * length, min(0.5 * length, -slope * length * length / max(bend, 1e-300)))
        if not found:
            flat[:] = start
            break
        m = count % _MEMORY
        steps[m] = flat - start
        changes[m] = gradient.reshape(size) - g
        curvature[m] = np.dot(steps[m], changes[m])
        if curvature[m] > 1e-10:
            count += 1
        g = gradient.reshape(size).copy()
        value = new
        if iteration % 10 == 9:
            if mark - value < tolerance * max(1.0, abs(value)):
                break
            mark = value
    return value


@nb.njit(cache=True, error_model="numpy")
def anneal(x: Reals, problem: Problem, schedule: tuple[int, float, float], generator: np.random.Generator) -> None:
    """Move x [4, L] by Langevin dynamics of unit masses while the temperature (in kT) falls to 0.

    The schedule is steps, time of a step, temperature at first. Steps below 0.2 keep bonds of stiffness 25 stable;
    velocities forget themselves over 10 units of time.
    """
    steps, step, temperature = schedule
    keep = math.exp(-step / 10.0)
    gradient = np.empty_like(x)
    velocity = np.empty_like(x)
    for m in range(4):
        for i in range(x.shape[1]):
            velocity[m, i] = math.sqrt(temperature) * generator.standard_normal() if m < 3 else 0.0
    energy(x, problem, gradient)
    for n in range(steps):
        now = temperature * (1.0 - n / steps)
        kick = math.sqrt(now * (1.0 - keep * keep))
        for m in range(3):
            for i in range(x.shape[1]):
                v = velocity[m, i] - 0.5 * step * gradient[m, i]
                v = keep * v + kick * generator.standard_normal()
                v = min(5.0, max(-5.0, v))  # a clash of the start must not throw residues far away
                velocity[m, i] = v
                x[m, i] += step * v
        energy(x, problem, gradient)
        for m in range(3):
            for i in range(x.shape[1]):
                velocity[m, i] -= 0.5 * step * gradient[m, i]
