"""From checked distances to a CA trace: the two ways of `reconstruct`, for many and for few known distances.

Both end in the same energy (`fold_kernels`): distances weighed by the inverse variance of an estimated noise model, and
a chain prior learned from real chains. They differ in how they get near its minimum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.protein.folding import fold_start
from gnnlib.heads.protein.folding.chain_prior import load_chain_prior, stretches
from gnnlib.heads.protein.folding.fold_kernels import Problem, anneal, fragment_energy, minimise
from gnnlib.heads.protein.folding.fold_start import NoiseModel
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.protein.folding.fold_kernels import Reals
    from gnnlib.seeding import Seed
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["Fold", "Given", "fold"]

# Chosen on chains of the split val; see benchmarks for what they reach elsewhere.
_BOND_STIFFNESS, _SOFT_BOND_STIFFNESS = 100.0, 25.0  # 1 / (0.1 A)^2 and 1 / (0.2 A)^2
_CLASH_ANGSTROM, _CLASH_STIFFNESS = 3.9, 10.0
_PRIOR_WEIGHT = 0.3  # neighbouring stretches share residues, so each counts less than once
_PRIOR_SHARPNESS = 0.2  # flattened mixture while the trace is still rough
_CUTOFF_SIGMA_ANGSTROM = 0.5
_PATH_SHRINKAGE = 0.8  # a straight line is shorter than the shortest path over known pairs
_FLATTENING = (0.02, 0.5)
_DENSE_FLATTENING = (0.02, 2.0)
_OUTLIER_SIGMAS = 3.0
_DENSE_FROM = 0.25  # share of known pairs
_CLEAR_GAP = 0.15, 0.5  # difference of the two hands in kT a residue above which only the better one is refined
_ANNEAL, _ANNEAL_SHARPNESS = (500, 0.12, 3.0), 0.4  # steps, time of a step, kT


class Given(NamedTuple):
    """What is known about a chain of L residues.

    Attributes
    ----------
    distances : array [L, L]
        Symmetric, angstrom; any number where not `known`.
    known : bool array [L, L]
        Symmetric, False on the diagonal.
    reliability : array [L, L]
        Factors of the weights, 1 for an ordinary distance.
    bonded : bool array [L]
        Whether residue i is bonded to i + 1.
    restraints, restraint_weights : array [L, L]
        Further wanted distances and their inverse variances, 0 for none.
    """

    distances: FloatArray
    known: BoolArray
    reliability: FloatArray
    bonded: BoolArray
    restraints: FloatArray
    restraint_weights: FloatArray


class Fold(NamedTuple):
    """A trace and its mirror twin.

    Attributes
    ----------
    points, mirror : array [L, 3]
        The trace, and the best one of the other hand.
    gap : float
        Energy of the mirror minus that of the trace, kT.
    weights : array [L, L]
        Weights of the known distances at the end.
    noise : NoiseModel
    cutoff : float or None
        Distance above which pairs seem to be left out.
    """

    points: FloatArray
    mirror: FloatArray
    gap: float
    weights: FloatArray
    noise: NoiseModel
    cutoff: float | None


class _Terms(NamedTuple):
    bond: float = _BOND_STIFFNESS
    prior: float = 0.0
    sharpness: float = 1.0
    flat: float = 0.0


def fold(given: Given, seed: Seed = 0) -> Fold:
    """Find the trace; the same seed gives the same trace."""
    sigma = float(np.sqrt(fold_start.noise_of_bonds(given.distances, given.known, given.bonded)))
    cutoff = fold_start.estimate_cutoff(given.distances, given.known, sigma)
    share = given.known.sum() / max(1, given.known.size - len(given.known))
    if cutoff is None and share >= _DENSE_FROM and len(given.known) > 4:
        return _fold_dense(given)
    return _fold_sparse(given, NoiseModel(sigma, 0.0), cutoff, seed)


def _problem(given: Given, target: Reals, weight: Reals, terms: _Terms) -> Problem:
    numbers = np.array([terms.bond, _CLASH_ANGSTROM, _CLASH_STIFFNESS, terms.prior, terms.sharpness, terms.flat])
    prior = load_chain_prior()
    return Problem(
        target.astype(np.float32),
        weight.astype(np.float32),
        given.bonded,
        stretches(given.bonded),
        numbers.astype(np.float32),
        prior.offsets.astype(np.float32),
        prior.means.astype(np.float32),
        prior.precisions.astype(np.float32),
    )


def _with_restraints(given: Given, target: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Add the restraints: two wishes for one distance become one at their weighted mean."""
    extra = given.restraint_weights
    if not extra.any():
        return target, weight
    own = np.maximum(weight, 0.0)  # a floor gives way to a restraint
    total = own + extra
    mixed = (own * target + extra * given.restraints) / np.maximum(total, 1e-12)
    return np.where(extra > 0.0, mixed, target), np.where(extra > 0.0, total, weight)


def _positions(points: Reals) -> FloatArray:
    return np.ascontiguousarray(points[:3].T, dtype=np.float64)


def _mirrored(points: Reals) -> Reals:
    return points * np.array([[-1.0], [1.0], [1.0], [1.0]], dtype=points.dtype)


def _fold_dense(given: Given) -> Fold:
    """Fit, estimate the noise from the residuals, weigh anew; the chain prior comes last."""
    count, known = len(given.known), given.known
    upper = np.triu(known, 1)
    pairs = int(upper.sum())
    inflation = pairs / max(pairs - 3 * count, 0.2 * pairs)
    filled = given.distances
    if pairs < count * (count - 1) // 2:
        filled = np.where(known, given.distances, fold_start.complete(given.distances, known, given.bonded))
    points: Reals = fold_start.classical_scaling(filled, 4).astype(np.float32)
    target, noise = np.where(known, given.distances, 0.0), NoiseModel(1.0, 0.1)
    weight = _dense_weights(given, fold_start.pairwise(points), noise, cut_outliers=False)
    wanted = _with_restraints(given, target, weight)
    for flat in _DENSE_FLATTENING:  # a thin shape hides its third dimension in the noise: decide on it late
        minimise(points, _problem(given, *wanted, _Terms(_SOFT_BOND_STIFFNESS, flat=flat)), 20, 1e-3)
    points[3] = 0.0
    for _ in range(3):
        minimise(points, _problem(given, *_with_restraints(given, target, weight), _Terms()), 25, 1e-4)
        fitted = fold_start.pairwise(points)
        residuals = (given.distances - fitted)[upper] * np.sqrt(given.reliability[upper])
        noise = fold_start.fit_noise(residuals, fitted[upper], inflation)
        weight = _dense_weights(given, fitted, noise, cut_outliers=True)
    full = _problem(given, *_with_restraints(given, target, weight), _Terms(prior=_PRIOR_WEIGHT))
    twin = _mirrored(points)
    own, other = fragment_energy(points, full), fragment_energy(twin, full)
    if other < own:
        points, twin, own, other = twin, points, other, own
    best = minimise(points, full, 80, 1e-5)
    gap = other - own
    if gap < _CLEAR_GAP[1] * count:
        second = minimise(twin, full, 80, 1e-5)
        gap = second - best
        if gap < 0.0:
            points, twin, gap = twin, points, -gap
    return Fold(_positions(points), _positions(twin), gap, weight, noise, None)


def _dense_weights(given: Given, fitted: FloatArray, noise: NoiseModel, *, cut_outliers: bool) -> FloatArray:
    """Inverse variances at the fitted distances; a residual beyond three sigma pulls as if it were at three."""
    variance = noise.variance(fitted)
    weight = np.where(given.known, given.reliability / variance, 0.0)
    if cut_outliers:
        squared = np.square(given.distances - fitted) * given.reliability / variance
        limit = _OUTLIER_SIGMAS**2
        weight = np.where(squared > limit, weight * limit / np.maximum(squared, 1e-12), weight)
    return weight


def _fold_sparse(given: Given, noise: NoiseModel, cutoff: float | None, seed: Seed) -> Fold:
    """Embed shortest paths in four dimensions, relax there, press flat; then anneal, and keep what is better."""
    count, known = len(given.known), given.known
    variance = noise.absolute_angstrom**2
    weight = np.where(known, given.reliability / variance, 0.0)
    target = np.where(known, given.distances, 0.0)
    paths = fold_start.complete(given.distances, known, given.bonded)
    loose = np.where(known, weight, 0.3 / np.square(np.maximum(0.3 * paths, 1.0)))
    wished = np.where(known, target, _PATH_SHRINKAGE * paths)
    np.fill_diagonal(loose, 0.0)
    walls = weight
    if cutoff is not None:
        place = np.arange(count)
        unseen = ~known & (np.abs(place[:, None] - place[None, :]) > 2)
        target = np.where(unseen, cutoff, target)
        walls = np.where(unseen, -1.0 / _CUTOFF_SIGMA_ANGSTROM**2, weight)
    target, walls = _with_restraints(given, target, walls)
    points: Reals = fold_start.classical_scaling(_PATH_SHRINKAGE * paths, 4).astype(np.float32)
    minimise(points, _problem(given, wished, loose, _Terms(_SOFT_BOND_STIFFNESS, flat=1e-3)), 25, 1e-3)
    best = _relax(given, target, walls, points)
    best = _search(given, target, walls, best, numpy_generator(seed))
    _, points, twin, gap = best
    return Fold(_positions(points), _positions(twin), gap, weight, noise, cutoff)


_Hands = tuple[float, "Reals", "Reals", float]


def _search(given: Given, target: Reals, weight: Reals, best: _Hands, generator: np.random.Generator) -> _Hands:
    """Anneal, and keep what is better; the other hand too where the energy does not tell them apart."""
    count = len(given.known)
    hot = _problem(given, target, weight, _Terms(_SOFT_BOND_STIFFNESS, _PRIOR_WEIGHT, _ANNEAL_SHARPNESS))
    full = _problem(given, target, weight, _Terms(prior=_PRIOR_WEIGHT))
    hands = [(best[0], best[1]), (best[0] + best[3], best[2])]
    for number in range(2 if best[3] < _CLEAR_GAP[1] * count else 1):
        moved = hands[number][1].copy()
        anneal(moved, hot, _ANNEAL, generator)
        value = minimise(moved, full, 80, 1e-4)
        hands[number] = min(hands[number], (value, moved), key=lambda hand: hand[0])
    hands.sort(key=lambda hand: hand[0])
    return hands[0][0], hands[0][1], hands[1][1], hands[1][0] - hands[0][0]


def _relax(given: Given, target: Reals, weight: Reals, points: Reals) -> _Hands:
    """From four dimensions to three and to the better hand: energy, trace, mirror twin, gap."""
    for flat in (1e-3, *_FLATTENING):
        steps = 40 if flat == 1e-3 else 25
        minimise(points, _problem(given, target, weight, _Terms(_SOFT_BOND_STIFFNESS, flat=flat)), steps, 1e-3)
    points[3] = 0.0
    rough = _problem(given, target, weight, _Terms(prior=_PRIOR_WEIGHT, sharpness=_PRIOR_SHARPNESS))
    full = _problem(given, target, weight, _Terms(prior=_PRIOR_WEIGHT))
    hands = [(minimise(one, rough, 30, 1e-3), one) for one in (points, _mirrored(points))]
    hands.sort(key=lambda hand: hand[0])
    gap = hands[1][0] - hands[0][0]
    best = minimise(hands[0][1], full, 60, 1e-4)
    if gap >= _CLEAR_GAP[0] * len(given.known):
        return best, hands[0][1], hands[1][1], gap
    second = minimise(hands[1][1], full, 60, 1e-4)
    order = (0, 1) if best <= second else (1, 0)
    return min(best, second), hands[order[0]][1], hands[order[1]][1], abs(second - best)
