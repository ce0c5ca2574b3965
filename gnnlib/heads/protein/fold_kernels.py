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
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["Problem", "energy", "fragment_energy", "minimise"]

_MEMORY = 10
_FAST = True
_BACKGROUND = -16.0  # log density of anything: a rare turn or a cis peptide is not forced into a common shape
BOND_ANGSTROM = 3.8


class Problem(NamedTuple):
    """What the energy needs.

    Attributes
    ----------
    target, weight : array [L, L]
        D and W; only the upper triangle is read. Weights are inverse variances.
    bonded : bool array [L]
        Whether residue i is bonded to i + 1.
    windows : bool array [L]
        Whether residues i .. i + 4 are one unbroken stretch.
    terms : array [6]
        Weight of bonds, clash floor (angstrom), weight of clashes, weight of the mixture, sharpness of the mixture
        (1: as learned, less: flatter), weight of the fourth dimension.
    offsets, means, precisions, spreads : array [K], [K, 8], [K, 8, 8], [K, 8]
        The mixture; `offsets` are logarithms of weight over normalisation, `spreads` the marginal variances.
    """

    target: FloatArray
    weight: FloatArray
    bonded: BoolArray
    windows: BoolArray
    terms: FloatArray
    offsets: FloatArray
    means: FloatArray
    precisions: FloatArray
    spreads: FloatArray


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _row_pulls(
    x: FloatArray, i: int, target: FloatArray, weight: FloatArray, clash: FloatArray, pulls: FloatArray
) -> float:
    """Energy of residue i with all later ones; slope over distance of each pair into `pulls`."""
    # slices that start at 0 need no test for negative indices, numpy's division none for 0: the loop is vectorised
    a, b, c, e = x[0, i + 1 :], x[1, i + 1 :], x[2, i + 1 :], x[3, i + 1 :]
    ai, bi, ci, ei = x[0, i], x[1, i], x[2, i], x[3, i]
    floor, stiff = clash[0], clash[1]
    total = 0.0
    for j in range(len(a)):
        da, db, dc, de = a[j] - ai, b[j] - bi, c[j] - ci, e[j] - ei
        d = math.sqrt(da * da + db * db + dc * dc + de * de + 1e-12)
        w, off, close = weight[j], d - target[j], d - floor
        off = min(off, 0.0) if w < 0.0 else off
        w = abs(w)
        close = min(close, 0.0) if j > 1 else 0.0
        total += w * off * off + stiff * close * close
        pulls[j] = (w * off + stiff * close) / d
    return 0.5 * total


@nb.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _pull(x: FloatArray, i: int, pulls: FloatArray, gradient: FloatArray) -> None:
    """Spread the pulls of one row to one dimension of the gradient."""
    here, back = x[i], 0.0
    later, slope = x[i + 1 :], gradient[i + 1 :]
    for j in range(len(later)):
        force = pulls[j] * (later[j] - here)
        slope[j] += force
        back += force
    gradient[i] -= back


@nb.njit(cache=True, error_model="numpy")
def _pair_energy(x: FloatArray, problem: Problem, gradient: FloatArray) -> float:
    count, dimensions, total = x.shape[1], 4 if problem.terms[5] > 0.0 else 3, 0.0
    pulls, clash = np.empty(count), problem.terms[1:3]
    for i in range(count - 1):
        total += _row_pulls(x, i, problem.target[i, i + 1 :], problem.weight[i, i + 1 :], clash, pulls)
        for m in range(dimensions):
            _pull(x[m], i, pulls, gradient[m])
    return total


@nb.njit(cache=True, error_model="numpy")
def _chain_energy(x: FloatArray, problem: Problem, gradient: FloatArray) -> float:
    """Bonds and the fourth dimension."""
    stiff, flat = problem.terms[0], problem.terms[5]
    total, count = 0.0, x.shape[1]
    for i in range(count):
        total += 0.5 * flat * x[3, i] ** 2
        gradient[3, i] += flat * x[3, i]
        if i + 1 < count and problem.bonded[i]:
            d = math.sqrt(
                (x[0, i + 1] - x[0, i]) ** 2
                + (x[1, i + 1] - x[1, i]) ** 2
                + (x[2, i + 1] - x[2, i]) ** 2
                + (x[3, i + 1] - x[3, i]) ** 2
                + 1e-12
            )
            total += 0.5 * stiff * (d - BOND_ANGSTROM) ** 2
            for m in range(4):
                pull = stiff * (d - BOND_ANGSTROM) / d * (x[m, i + 1] - x[m, i])
                gradient[m, i + 1] += pull
                gradient[m, i] -= pull
    return total


@nb.njit(cache=True, error_model="numpy")
def _features(x: FloatArray, i: int, f: FloatArray) -> None:
    """Six distances and two triple products (in 10 cubic angstrom) of residues i .. i + 4."""
    for k, (p, q) in enumerate(((0, 2), (1, 3), (2, 4), (0, 3), (1, 4), (0, 4))):
        s = 1e-12
        for m in range(3):
            s += (x[m, i + q] - x[m, i + p]) ** 2
        f[k] = math.sqrt(s)
    for k in range(2):
        p = i + k
        ux, uy, uz = x[0, p + 1] - x[0, p], x[1, p + 1] - x[1, p], x[2, p + 1] - x[2, p]
        vx, vy, vz = x[0, p + 2] - x[0, p + 1], x[1, p + 2] - x[1, p + 1], x[2, p + 2] - x[2, p + 1]
        wx, wy, wz = x[0, p + 3] - x[0, p + 2], x[1, p + 3] - x[1, p + 2], x[2, p + 3] - x[2, p + 2]
        f[6 + k] = 0.1 * ((uy * vz - uz * vy) * wx + (uz * vx - ux * vz) * wy + (ux * vy - uy * vx) * wz)


@nb.njit(cache=True, error_model="numpy")
def _spread(x: FloatArray, i: int, f: FloatArray, slope: FloatArray, gradient: FloatArray) -> None:
    """Chain rule from the slopes of the features to the positions."""
    for k, (p, q) in enumerate(((0, 2), (1, 3), (2, 4), (0, 3), (1, 4), (0, 4))):
        for m in range(3):
            pull = slope[k] / f[k] * (x[m, i + q] - x[m, i + p])
            gradient[m, i + q] += pull
            gradient[m, i + p] -= pull
    for k in range(2):
        p, s = i + k, 0.1 * slope[6 + k]
        for m in range(3):
            n, o = (m + 1) % 3, (m + 2) % 3
            un, uo = x[n, p + 1] - x[n, p], x[o, p + 1] - x[o, p]
            vn, vo = x[n, p + 2] - x[n, p + 1], x[o, p + 2] - x[o, p + 1]
            wn, wo = x[n, p + 3] - x[n, p + 2], x[o, p + 3] - x[o, p + 2]
            first, second, third = s * (vn * wo - vo * wn), s * (wn * uo - wo * un), s * (un * vo - uo * vn)
            gradient[m, p] -= first
            gradient[m, p + 1] += first - second
            gradient[m, p + 2] += second - third
            gradient[m, p + 3] += third


@nb.njit(cache=True, error_model="numpy")
def _mixture_energy(x: FloatArray, problem: Problem, gradient: FloatArray) -> float:
    scale, sharp = problem.terms[3], problem.terms[4]
    if scale == 0.0:
        return 0.0
    means, precisions, spreads = problem.means, problem.precisions, problem.spreads
    f, slope, z, q = np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    total = 0.0
    for i in range(x.shape[1] - 4):
        if not problem.windows[i]:
            continue
        _features(x, i, f)
        mass = math.exp(_BACKGROUND)
        slope[:] = 0.0
        for k in range(len(problem.offsets)):
            for m in range(8):
                z[m] = f[m] - means[k, m]
            bound = max(z[3] * z[3] / spreads[k, 3], z[4] * z[4] / spreads[k, 4], z[5] * z[5] / spreads[k, 5])
            if problem.offsets[k] - 0.5 * sharp * bound < _BACKGROUND - 10.0:
                continue  # a marginal distance is a lower bound of the whole one: less than 5e-5 of the background
            quadratic = 0.0
            for m in range(8):
                s = 0.0
                for n in range(8):
                    s += precisions[k, m, n] * z[n]
                q[m] = s
                quadratic += s * z[m]
            density = math.exp(problem.offsets[k] - 0.5 * sharp * quadratic)
            mass += density
            for m in range(8):
                slope[m] += density * q[m]
        total -= scale * math.log(mass)
        for m in range(8):
            slope[m] *= scale * sharp / mass
        _spread(x, i, f, slope, gradient)
    return total


@nb.njit(cache=True, error_model="numpy")
def energy(x: FloatArray, problem: Problem, gradient: FloatArray) -> float:
    """Energy at x [4, L]; writes its gradient [4, L]."""
    gradient[:] = 0.0
    total = _pair_energy(x, problem, gradient) + _chain_energy(x, problem, gradient)
    return total + _mixture_energy(x, problem, gradient)


@nb.njit(cache=True, error_model="numpy")
def fragment_energy(x: FloatArray, problem: Problem) -> float:
    """Negative log density of all stretches of five residues under the mixture."""
    return _mixture_energy(x, problem, np.zeros_like(x))


@nb.njit(cache=True, error_model="numpy")
def _direction(g: FloatArray, steps: FloatArray, changes: FloatArray, curvature: FloatArray, count: int) -> FloatArray:
    """L-BFGS two-loop recursion (algorithm 7.4)."""
    d = -g
    alpha = np.zeros(_MEMORY)
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
def minimise(x: FloatArray, problem: Problem, iterations: int, tolerance: float) -> float:
    """Move x [4, L] to a near minimum of the energy; return the energy there.

    Stops after `iterations`, or when ten of them together gain less than `tolerance` of the energy.
    """
    size = x.size
    flat = x.reshape(size)
    gradient = np.empty_like(x)
    value = energy(x, problem, gradient)
    g = gradient.reshape(size).copy()
    steps, changes, curvature = np.empty((_MEMORY, size)), np.empty((_MEMORY, size)), np.empty(_MEMORY)
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
            flat[:] = start + length * d
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
def anneal(x: FloatArray, problem: Problem, steps: int, temperature: float, generator: np.random.Generator) -> None:
    """Move x [4, L] by Langevin dynamics of unit masses while the temperature (in kT) falls to 0.

    A step of 0.08 time units keeps bonds of stiffness 25 stable; velocities forget themselves over 10 units.
    """
    step, keep = 0.08, math.exp(-0.08 / 10.0)
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
