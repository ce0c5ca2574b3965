"""From checked distances to a CA trace: the two ways of `reconstruct`, for many and for few known distances.

Both end in the same energy (`fold_kernels`): distances weighed by the inverse variance of an estimated noise model, and
a chain prior learned from real chains. They differ in how they get near its minimum.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.heads.protein.folding import fold_start
from gnnlib.heads.protein.folding.chain_prior import load_chain_prior, stretches
from gnnlib.heads.protein.folding.fold_kernels import Course, Few, Mixture, Problem, anneal, fragment_energy, minimise
from gnnlib.heads.protein.folding.fold_start import NoiseModel
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable

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
_RELAXATION = ((1e-3, 40), (0.02, 25))  # weight of the fourth dimension, steps
_DENSE_FLATTENING = (0.02, 2.0)
_OUTLIER_SIGMAS = 3.0
_DENSE_FROM = 0.25  # share of known pairs
_CLEAR_GAP = 0.5  # difference of the two hands in kT a residue above which only the better one is refined
# a prior that is nearly flat at first lets helices find their hand and their phase together, where a sharp one freezes
# kinks; in four dimensions a stretch turns its hand without crossing itself
_COURSE = Course(steps=600, step=0.12, memory=3.0, temperature=1.0, sharp=(0.05, 0.2), flat=(0.01, 2.0))
_STEPS = 90_000, 600, 1200  # times residues, at least, at most: short chains have fewer distances that tell the hand
_CLOSE_GAP = 0.25  # difference of the two annealed hands in kT a residue below which both are annealed again
_SCARCE, _TRIES = 2.5, 2  # known distances a residue below which every start is annealed so often
_FEW_UP_TO = 0.12, 9.0  # share of known pairs and cutoff (angstrom) up to which lists of pairs are quicker than rows


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


def fold(given: Given, seed: Seed = 0, *, rounds: int = 1) -> Fold:
    """Find the trace; the same seed gives the same trace.

    Parameters
    ----------
    given : Given
    seed : int, default 0
    rounds : int, default 1
        How often the two hands of few distances are annealed again, at most, while their energies are close.
    """
    sigma = float(np.sqrt(fold_start.noise_of_bonds(given.distances, given.known, given.bonded)))
    cutoff = fold_start.estimate_cutoff(given.distances, given.known, sigma)
    share = given.known.sum() / max(1, given.known.size - len(given.known))
    if cutoff is None and share >= _DENSE_FROM and len(given.known) > 4:
        return _fold_dense(given)
    found = _fold_sparse(given, NoiseModel(sigma, 0.0), cutoff, seed, rounds)
    return found if len(given.known) > 3 else found._replace(gap=0.0)  # three points have no hand


def _problem(given: Given, target: FloatArray, weight: FloatArray, terms: _Terms) -> Problem:
    """With all pairs in rows."""
    none = np.zeros((2, 0), np.int64)
    few = Few(
        pairs=none,
        lengths=_single(np.zeros(0)),
        stiffness=_single(np.zeros(0)),
        walled=np.zeros((0, 0), dtype=bool),
        wall=_single(np.zeros(2)),
        near=none,
        number=np.full(1, -1),
        anchor=_single(np.zeros((4, 0))),
    )
    return _assemble(given, (target, weight), few, terms)


def _few_problem(given: Given, target: FloatArray, weight: FloatArray, terms: _Terms) -> Problem:
    """With the known pairs in a list; negative weights are walls of one height."""
    count = len(target)
    pairs = np.stack(np.nonzero(np.triu(weight > 0.0, 1)))
    walled, wall = weight < 0.0, np.zeros(2)
    if walled.any():
        wall[:] = target[walled].max(), -weight[walled].min()
    else:
        walled = np.zeros((0, 0), dtype=bool)
    few = Few(
        pairs=pairs,
        lengths=_single(target[pairs[0], pairs[1]]),
        stiffness=_single(weight[pairs[0], pairs[1]]),
        walled=walled,
        wall=_single(wall),
        near=np.zeros((2, count * (count - 1) // 2), np.int64),
        number=np.full(1, -1),
        anchor=_single(np.zeros((4, count))),
    )
    nothing = np.zeros((0, 0))
    return _assemble(given, (nothing, nothing), few, terms)


def _assemble(given: Given, rows: tuple[FloatArray, FloatArray], few: Few, terms: _Terms) -> Problem:
    return Problem(
        target=_single(rows[0]),
        weight=_single(rows[1]),
        few=few,
        bonded=given.bonded,
        windows=stretches(given.bonded),
        terms=_single(np.array([terms.bond, terms.prior, terms.sharpness, terms.flat])),
        clash=_single(np.array([_CLASH_ANGSTROM, _CLASH_STIFFNESS])),
        mixture=_mixture(),
    )


def _single(array: FloatArray) -> Reals:
    return np.ascontiguousarray(array, dtype=np.float32)


@cache
def _mixture() -> Mixture:
    prior = load_chain_prior()
    centre, coefficients = prior.products()
    return Mixture(_single(centre), _single(coefficients), _single(coefficients.T), _single(prior.offsets))


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
    if gap < _CLEAR_GAP * count:
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


def _fold_sparse(given: Given, noise: NoiseModel, cutoff: float | None, seed: Seed, rounds: int) -> Fold:
    """Embed shortest paths in four dimensions, relax there, choose the hand, and anneal down to three dimensions."""
    count, known = len(given.known), given.known
    weight = np.where(known, given.reliability / noise.absolute_angstrom**2, 0.0)
    target = np.where(known, given.distances, 0.0)
    points = _spread_out(given, weight)
    walls = weight
    if cutoff is not None:
        place = np.arange(count)
        unseen = ~known & (np.abs(place[:, None] - place[None, :]) > 2)
        target = np.where(unseen, cutoff, target)
        walls = np.where(unseen, -1.0 / _CUTOFF_SIGMA_ANGSTROM**2, weight)
    target, walls = _with_restraints(given, target, walls)
    is_few = known.mean() < _FEW_UP_TO[0] and (cutoff is None or cutoff < _FEW_UP_TO[1])
    pose = partial(_few_problem if is_few else _problem, given, target, walls)
    for flat, steps in _RELAXATION:
        minimise(points, pose(_Terms(_SOFT_BOND_STIFFNESS, flat=flat)), steps, 1e-3)
    rough = pose(_Terms(_SOFT_BOND_STIFFNESS, _PRIOR_WEIGHT, _PRIOR_SHARPNESS, _RELAXATION[-1][0]))
    hands = [(minimise(one, rough, 30, 1e-3), one) for one in (points, _mirrored(points))]
    hands.sort(key=lambda hand: hand[0])
    gap = hands[1][0] - hands[0][0]
    unclear = gap < _CLEAR_GAP * count
    generator = numpy_generator(seed)
    best = [_annealed(given, pose, start, generator) for _, start in (hands if unclear else hands[:1])]
    for _ in range(rounds):
        if not unclear or abs(best[0][0] - best[1][0]) >= _CLOSE_GAP * count:
            break
        again = [_annealed(given, pose, start, generator) for _, start in hands]
        best = [min(pair, key=lambda one: one[0]) for pair in zip(best, again, strict=True)]
    best.sort(key=lambda hand: hand[0])
    trace, twin = best[0][1], _mirrored(best[0][1])
    if unclear:
        twin, gap = best[1][1], best[1][0] - best[0][0]
    return Fold(_positions(trace), _positions(twin), gap, weight, noise, cutoff)


def _annealed(
    given: Given, pose: Callable[[_Terms], Problem], start: Reals, generator: np.random.Generator
) -> tuple[float, Reals]:
    """Anneal from four dimensions to three and minimise; of several tries the one of lowest energy."""
    count = len(given.known)
    budget, least, most = _STEPS
    course = _COURSE._replace(steps=min(max(budget // count, least), most))
    is_scarce = np.count_nonzero(given.known) < 2 * _SCARCE * count
    found = []
    for _ in range(_TRIES if is_scarce else 1):
        trace = start.copy()
        anneal(trace, pose(_Terms(_SOFT_BOND_STIFFNESS, _PRIOR_WEIGHT)), course, generator)
        trace[3] = 0.0
        found.append((minimise(trace, pose(_Terms(prior=_PRIOR_WEIGHT)), 80, 1e-4), trace))
    return min(found, key=lambda one: one[0])


def _spread_out(given: Given, weight: FloatArray) -> Reals:
    """Embed shortest paths, which are longer than straight lines, in four dimensions, and let the known distances pull."""
    paths = fold_start.complete(given.distances, given.known, given.bonded)
    loose = np.where(given.known, weight, 0.3 / np.square(np.maximum(0.3 * paths, 1.0)))
    np.fill_diagonal(loose, 0.0)
    wished = np.where(given.known, given.distances, _PATH_SHRINKAGE * paths)
    points: Reals = fold_start.classical_scaling(_PATH_SHRINKAGE * paths, 4).astype(np.float32)
    minimise(points, _problem(given, wished, loose, _Terms(_SOFT_BOND_STIFFNESS, flat=1e-3)), 25, 1e-3)
    return points
