"""The verb `reconstruct`: distances between residues, noisy and partly unknown, to a CA trace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.checks import as_float_array
from gnnlib.heads.protein.dssp import to_states3
from gnnlib.heads.protein.folding.fold import Fold, Given, fold
from gnnlib.heads.protein.geometry import build_backbone, dihedral
from gnnlib.heads.protein.result import Reconstruction

if TYPE_CHECKING:
    from gnnlib.seeding import Seed
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = ["checked_distances", "reconstruct"]

_SYMMETRY_ANGSTROM = 1e-4
_BREAK_ANGSTROM, _BREAK_SIGMAS = 1.0, 4.0
# CA(i)-CA(i+2..4) of helix and strand with the spread that they have in real chains
_STATE_DISTANCES = {"H": ((5.5, 0.2), (5.2, 0.4), (6.2, 0.4)), "E": ((6.5, 0.4), (9.9, 0.6), (13.0, 0.9))}
_TORSION_SPREADS_ANGSTROM = (0.3, 0.7, 1.2)
# evidence of one CA dihedral that has the sign which given torsions demand, in kT
_DIHEDRAL_EVIDENCE = 1.0
_CONFIDENCE_SCALE = 4.0  # kT; stretches overlap and distances share residues, so a gap counts less than at face value


def reconstruct(
    distances: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    segment: ArrayLike | None = None,
    secondary_structure: str | None = None,
    torsions: Any | None = None,
    seed: Seed = 0,
) -> Reconstruction:
    """Fold a CA trace from distances between residues.

    Parameters
    ----------
    distances : array-like [L, L]
        CA-CA distances in angstrom, symmetric, not negative, zeros (or NaN) on the diagonal; NaN is unknown. L >= 2.
    weights : array-like [L, L], optional
        Relative reliability of each distance, not negative; 0 is unknown, 1 (default) ordinary, 4 twice as exact.
    mask : bool array-like [L, L], optional
        True where a distance is known. Pairs known in one direction only count as known.
    segment : int array-like [L], optional
        Residues of one unbroken chain share a number. Default: one chain, broken where the distance of two neighbours
        says so.
    secondary_structure : str of length L, optional
        Letters of three or eight states; helices and strands get their distances along the chain.
    torsions : Torsions or array-like [L, 2], optional
        phi and psi in degrees (NaN unknown): local distances and handedness.
    seed : int, default 0
        Of the annealing for sparse data.

    Returns
    -------
    Reconstruction

    Raises
    ------
    InputError
        If the matrix is not square, not symmetric, negative, infinite or empty, or an option does not fit it.

    Notes
    -----
    Many known distances: classical scaling and relaxation in four dimensions, then L-BFGS on weighted stress; the noise
    as a function of distance is estimated from the residuals and weighs the next fit. Few: shortest paths, scaling and
    relaxation in four dimensions, and simulated annealing there, while the fourth dimension closes and the chain prior
    grows from nearly flat to a fifth of its sharpness; where the two hands are close, or distances are fewer than 2.5 a
    residue, from several starts, and once more while the two still are close afterwards. When only short distances are
    known, unknown pairs repel. Both use bonds of 3.8 A, a floor of 3.9 A and a mixture density of five residues in a
    row, learned from real chains, which also chooses the mirror image.

    Some 25 ms (many distances) to 50 ms (few) for 150 residues; time and memory grow with the square of L. The first
    call of a process compiles for some seconds unless the compiled code is cached on disk.

    References
    ----------
    T. F. Havel, Encyclopedia of Computational Chemistry, 723 (1998), distance geometry in four dimensions; J. de Leeuw
    and P. Mair, J. Stat. Softw. 31(3) (2009), weighted stress.

    Examples
    --------
    >>> helix = build_backbone(np.full(12, -57.0), np.full(12, -47.0))[:, 1]
    >>> found = reconstruct(np.linalg.norm(helix[:, None] - helix, axis=-1))
    >>> found.coords.shape, bool(found.handedness_confidence > 0.9)
    ((12, 3), True)
    """
    given_distances, known, reliability = checked_distances(distances, weights, mask)
    count = len(given_distances)
    stretch = _checked_segment(segment, count)
    bonded = _bonded(given_distances, known, stretch)
    wanted, stiffness = np.zeros((count, count)), np.zeros((count, count))
    if secondary_structure is not None:
        _restrain_states(_checked_states(secondary_structure, count), bonded, wanted, stiffness)
    local = None
    if torsions is not None:
        local = _local_traces(_checked_torsions(torsions, count))
        _restrain_torsions(local, bonded, wanted, stiffness)
    found = fold(Given(given_distances, known, reliability, bonded, wanted, stiffness), seed)
    if local is not None:
        found = _choose_hand(found, local, bonded)
    return _result(found, given_distances, known)


def _result(found: Fold, distances: FloatArray, known: BoolArray) -> Reconstruction:
    fitted = np.linalg.norm(found.points[:, None] - found.points[None], axis=-1)
    squared = np.where(known, found.weights * np.square(fitted - distances), 0.0)
    total = np.where(known, found.weights, 0.0).sum(axis=1)
    stress = np.where(total > 0.0, np.sqrt(squared.sum(axis=1) / np.maximum(total, 1e-12)), np.nan)
    return Reconstruction(
        coords=found.points - found.points.mean(axis=0),
        stress=stress,
        handedness_confidence=1.0 / (1.0 + math.exp(-min(found.gap, 400.0) / _CONFIDENCE_SCALE)),
        mirror=found.mirror - found.mirror.mean(axis=0),
        noise_absolute_angstrom=found.noise.absolute_angstrom,
        noise_relative=found.noise.relative,
        cutoff_angstrom=found.cutoff,
        known_fraction=float(known.sum() / max(1, known.size - len(known))),
    )


def checked_distances(distances: Any, weights: Any, mask: Any) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Distances, what is known and the reliability; symmetric, with clear errors."""
    matrix = as_float_array("distances", distances)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise InputError(f"`distances` must be a square matrix [L, L] with L >= 2, found shape {list(matrix.shape)}")
    known = ~np.isnan(matrix)
    reliability = np.ones_like(matrix)
    if mask is not None:
        wanted = np.asarray(mask)
        if wanted.dtype.kind != "b" or wanted.shape != matrix.shape:
            raise InputError(f"`mask` must be bool {list(matrix.shape)}, found {wanted.dtype} {list(wanted.shape)}")
        if (wanted & ~known & ~np.eye(len(matrix), dtype=bool)).any():
            place = np.argwhere(wanted & ~known)[0].tolist()
            raise InputError(f"`distances` must be numbers where `mask` is True, found NaN at {place}")
        known &= wanted
    if weights is not None:
        reliability = _checked_weights(weights, matrix.shape)
        known &= reliability > 0.0
    _check_values(matrix, known)
    both = known | known.T
    one = np.where(known, matrix, matrix.T)
    other = np.where(known.T, matrix.T, matrix)
    np.fill_diagonal(both, val=False)
    if not both.any():
        raise InputError("`distances` must hold at least 1 known distance between two residues, found none")
    return np.where(both, 0.5 * (one + other), 0.0), both, 0.5 * (reliability + reliability.T)


def _check_values(matrix: FloatArray, known: BoolArray) -> None:
    bad = known & ~((matrix >= 0.0) & np.isfinite(matrix))
    if bad.any():
        i, j = np.argwhere(bad)[0].tolist()
        raise InputError(
            f"`distances` must be finite and not negative (NaN: unknown), found {matrix[i, j]} at [{i}, {j}]"
        )
    diagonal = np.diagonal(matrix)[np.diagonal(known)]
    if (diagonal > _SYMMETRY_ANGSTROM).any():
        raise InputError(f"`distances` must be 0 on the diagonal, found {diagonal.max()}")
    both = known & known.T
    off = np.where(both, np.abs(np.where(both, matrix, 0.0) - np.where(both, matrix, 0.0).T), 0.0)
    if off.max() > _SYMMETRY_ANGSTROM * max(1.0, float(matrix[known].max(initial=0.0))):
        i, j = np.unravel_index(int(off.argmax()), off.shape)
        raise InputError(
            f"`distances` must be symmetric, found {matrix[i, j]:.4g} at [{i}, {j}] and {matrix[j, i]:.4g} at "
            f"[{j}, {i}]; pass (D + D.T) / 2 to average"
        )


def _checked_weights(weights: Any, shape: tuple[int, ...]) -> FloatArray:
    values = as_float_array("weights", weights)
    if values.shape != shape:
        raise InputError(f"`weights` must have the shape of `distances`, {list(shape)}, found {list(values.shape)}")
    if not (np.isfinite(values) & (values >= 0.0)).all():
        i, j = np.argwhere(~(np.isfinite(values) & (values >= 0.0)))[0].tolist()
        raise InputError(f"`weights` must be finite and not negative, found {values[i, j]} at [{i}, {j}]")
    return values


def _checked_segment(segment: Any, count: int) -> IntArray | None:
    if segment is None:
        return None
    values = np.asarray(segment)
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise InputError(f"`segment` must be {count} integers, found {values.dtype} of shape {list(values.shape)}")
    return values.astype(np.int64)


def _checked_states(states: str, count: int) -> str:
    if len(states) != count:
        raise InputError(f"`secondary_structure` must have {count} letters, found {len(states)}")
    wrong = set(states) - set("HBEGITSCPL- ")
    if wrong:
        raise InputError(f"`secondary_structure` must hold letters of HBEGITSC, found {sorted(wrong)}")
    return to_states3("".join("C" if letter in "GI" else letter for letter in states))


def _checked_torsions(torsions: Any, count: int) -> FloatArray:
    """Angles phi, psi [L, 2] of a `Torsions` or an array."""
    pair = np.stack([torsions.phi, torsions.psi], axis=1) if hasattr(torsions, "phi") else torsions
    values = as_float_array("torsions", pair)
    if values.shape != (count, 2) or np.isinf(values).any():
        raise InputError(
            f"`torsions` must be finite or NaN phi and psi, [{count}, 2], found shape {list(values.shape)}"
        )
    return values


def _bonded(distances: FloatArray, known: BoolArray, segment: IntArray | None) -> BoolArray:
    """Whether residue i is bonded to i + 1 [L]."""
    count = len(distances)
    bonded = np.zeros(count, dtype=bool)
    if segment is not None:
        bonded[:-1] = segment[1:] == segment[:-1]
        return bonded
    here = np.arange(count - 1)
    seen = known[here, here + 1]
    excess = np.where(seen, distances[here, here + 1] - 3.8, 0.0)
    spread = 1.4826 * float(np.median(np.abs(excess[seen]))) if seen.any() else 0.0
    bonded[:-1] = excess < max(_BREAK_ANGSTROM, _BREAK_SIGMAS * spread)
    return bonded


def _restrain(i: int, gap: int, distance: float, spread: float, wanted: FloatArray, stiffness: FloatArray) -> None:
    weight = 1.0 / spread**2
    total = stiffness[i, i + gap] + weight
    mean = (stiffness[i, i + gap] * wanted[i, i + gap] + weight * distance) / total
    wanted[i, i + gap] = wanted[i + gap, i] = mean
    stiffness[i, i + gap] = stiffness[i + gap, i] = total


def _restrain_states(states: str, bonded: BoolArray, wanted: FloatArray, stiffness: FloatArray) -> None:
    for gap in (2, 3, 4):
        for i in range(len(states) - gap):
            part = states[i : i + gap + 1]
            if part[0] in _STATE_DISTANCES and part == part[0] * (gap + 1) and bonded[i : i + gap].all():
                _restrain(i, gap, *_STATE_DISTANCES[part[0]][gap - 2], wanted, stiffness)


def _local_traces(torsions: FloatArray) -> FloatArray:
    """CA of residues i .. i+4 built from torsions [L-4, 5, 3]; NaN where an inner torsion is unknown."""
    count = len(torsions)
    traces = np.full((max(0, count - 4), 5, 3), np.nan)
    for i in range(count - 4):
        part = torsions[i : i + 5].copy()
        if not np.isnan(part[1:4]).any():
            part = np.nan_to_num(part, nan=-60.0)  # the outer torsions move no CA of the stretch but by cis and trans
            traces[i] = build_backbone(part[:, 0], part[:, 1])[:, 1]
    return traces


def _restrain_torsions(traces: FloatArray, bonded: BoolArray, wanted: FloatArray, stiffness: FloatArray) -> None:
    for i in np.flatnonzero(~np.isnan(traces[:, 0, 0])).tolist():
        if bonded[i : i + 4].all():
            for gap, spread in zip((2, 3, 4), _TORSION_SPREADS_ANGSTROM, strict=True):
                _restrain(i, gap, float(np.linalg.norm(traces[i, gap] - traces[i, 0])), spread, wanted, stiffness)


def _choose_hand(found: Fold, traces: FloatArray, bonded: BoolArray) -> Fold:
    """Add the evidence of given torsions to the choice of the mirror image."""
    whole = np.array([bool(bonded[i : i + 3].all()) for i in range(len(traces))], dtype=bool)
    demanded = np.sin(np.radians(dihedral(traces[:, 0], traces[:, 1], traces[:, 2], traces[:, 3])))
    evidence = 0.0
    for points, sign in ((found.points, 1.0), (found.mirror, -1.0)):
        seen = np.sin(np.radians(dihedral(points[:-4], points[1:-3], points[2:-2], points[3:-1])))
        evidence += sign * float(np.nansum(np.where(whole, seen * demanded, 0.0)))
    gap = found.gap + _DIHEDRAL_EVIDENCE * evidence
    if gap >= 0.0:
        return found._replace(gap=gap)
    return found._replace(points=found.mirror, mirror=found.points, gap=-gap)
