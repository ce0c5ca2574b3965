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

from gnnlib.heads.protein.folding.fold_mixture import mixture_energy
from gnnlib.heads.protein.folding.fold_pairs import dense_energy, near_energy, spring_energy

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, IntArray

    #: Single precision in `fold`, double in tests.
    Reals = np.ndarray[Any, np.dtype[np.floating[Any]]]

__all__ = [
    "BOND_ANGSTROM",
    "Course",
    "Few",
    "Mixture",
    "Problem",
    "anneal",
    "energy",
    "fragment_energy",
    "minimise",
    "shorten",
]

_MEMORY = 10
BOND_ANGSTROM = 3.8
_HALF, _TINY = np.float32(0.5), np.float32(1e-12)
_BOND = np.float32(BOND_ANGSTROM)


class Mixture(NamedTuple):
    """The chain prior as the energy takes it; see `ChainPrior.products`.

    Attributes
    ----------
    centre : array [8]
        What features are measured from.
    coefficients, transposed : array [K, 45], [45, K]
        Of the products of two features, of the features and of 1 in the exponents.
    offsets : array [K]
        Logarithms of weight over normalisation.
    """

    centre: Reals
    coefficients: Reals
    transposed: Reals
    offsets: Reals


class Few(NamedTuple):
    """A list of known pairs, where it takes the place of whole matrices.

    Attributes
    ----------
    pairs : int array [2, M]
    lengths, stiffness : array [M]
    walled : bool array [L, L] or [0, 0]
        Which pairs are kept apart; the second kind for none.
    wall : array [2]
        Distance (angstrom) below which they are pushed, and how hard.
    near : int array [2, L (L - 1) / 2]
    number : int array [1]
        Of near pairs; -1 before they are listed.
    anchor : array [4, L]
        Positions at which they were listed.
    """

    pairs: IntArray
    lengths: Reals
    stiffness: Reals
    walled: BoolArray
    wall: Reals
    near: IntArray
    number: IntArray
    anchor: Reals


class Problem(NamedTuple):
    """What the energy needs.

    Attributes
    ----------
    target, weight : array [L, L], or [0, 0]
        D and W, symmetric, 0 on the diagonal of W. Weights are inverse variances. Empty where `few` is used.
    few : Few
    bonded : bool array [L]
        Whether residue i is bonded to i + 1.
    windows : bool array [L]
        Whether residues i .. i + 4 are one unbroken stretch.
    terms : array [4]
        Weight of bonds, of the mixture, sharpness of the mixture (1: as learned, less: flatter), weight of the fourth
        dimension.
    clash : array [2]
        Floor (angstrom) and its weight.
    mixture : Mixture

    All arrays of numbers have one precision, which is that of the positions and of the energy's slope.
    """

    target: Reals
    weight: Reals
    few: Few
    bonded: BoolArray
    windows: BoolArray
    terms: Reals
    clash: Reals
    mixture: Mixture


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


@nb.njit(cache=True, error_model="numpy")
def _chain_energy(x: Reals, problem: Problem, gradient: Reals) -> float:
    """Bonds and the fourth dimension."""
    stiff, flat = problem.terms[0], problem.terms[3]
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


@nb.njit(cache=True, error_model="numpy")
def energy(x: Reals, problem: Problem, gradient: Reals) -> float:
    """Energy at x [4, L]; writes its gradient [4, L]."""
    gradient[:] = 0.0
    total = _chain_energy(x, problem, gradient)
    if len(problem.target) > 0:
        total += dense_energy(x, problem.target, problem.weight, problem.clash, gradient)
    else:
        total += spring_energy(x, problem.few, gradient) + near_energy(x, problem.few, problem.clash, gradient)
    terms = problem.terms
    return total + mixture_energy(x, problem.mixture, problem.windows, terms[1], terms[2], gradient)


@nb.njit(cache=True, error_model="numpy")
def fragment_energy(x: Reals, problem: Problem) -> float:
    """Negative log density of all stretches of five residues under the mixture."""
    terms = problem.terms
    return mixture_energy(x, problem.mixture, problem.windows, terms[1], terms[2], np.zeros_like(x))


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


class Course(NamedTuple):
    """How `anneal` goes.

    Attributes
    ----------
    steps : int
    step : float
        Time of one.
    memory : float
        Time over which velocities forget themselves.
    temperature : float
        At first, kT.
    sharp, flat : tuple of two floats
        First and last sharpness of the mixture and weight of the fourth dimension.
    """

    steps: int
    step: float
    memory: float
    temperature: float
    sharp: tuple[float, float]
    flat: tuple[float, float]


@nb.njit(cache=True, error_model="numpy")
def anneal(x: Reals, problem: Problem, course: Course, generator: np.random.Generator) -> None:
    """Move x [4, L] by Langevin dynamics of unit masses while the temperature (in kT) falls to 0.

    Steps of time below 0.2 keep bonds of stiffness 25 stable. Sharpness and weight of the fourth dimension in
    `problem.terms` go from their first to their last value, the second by equal factors.
    """
    keep = math.exp(-course.step / course.memory)
    rise = math.log(course.flat[1] / course.flat[0])
    gradient = np.empty_like(x)
    velocity = np.empty_like(x)
    for m in range(4):
        for i in range(x.shape[1]):
            velocity[m, i] = math.sqrt(course.temperature) * generator.standard_normal()
    energy(x, problem, gradient)
    for n in range(course.steps):
        done = n / course.steps
        problem.terms[2] = course.sharp[0] + done * (course.sharp[1] - course.sharp[0])
        problem.terms[3] = course.flat[0] * math.exp(done * rise)
        kick = np.float32(math.sqrt(course.temperature * (1.0 - done) * (1.0 - keep * keep)))
        _move(x, velocity, gradient, course, (np.float32(keep), kick), generator)
        energy(x, problem, gradient)
        velocity -= np.float32(0.5 * course.step) * gradient


@nb.njit(cache=True, error_model="numpy")
def _move(
    x: Reals,
    velocity: Reals,
    gradient: Reals,
    course: Course,
    bath: tuple[float, float],
    generator: np.random.Generator,
) -> None:
    """Half a kick, friction and noise, and the step."""
    half, step, fastest = np.float32(0.5 * course.step), np.float32(course.step), np.float32(5.0)
    for m in range(4):
        for i in range(x.shape[1]):
            v = bath[0] * (velocity[m, i] - half * gradient[m, i]) + bath[1] * np.float32(generator.standard_normal())
            v = min(fastest, max(-fastest, v))  # a clash of the start must not throw residues far away
            velocity[m, i] = v
            x[m, i] += step * v
