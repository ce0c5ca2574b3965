"""A bare C-alpha trace made ready for features: ends continued, peptide planes estimated.

Every unbroken stretch of a trace is continued by a few virtual CA at both ends, so that all later windows are plain
slices. A peptide plane between two CA has one unknown, the angle gamma by which it turns about the CA-CA axis (E. O.
Purisima and H. A. Scheraga 1984, Biopolymers 23, 1207). Gamma is a function of the neighbouring virtual bond angles and
dihedrals up to rare flips; here a linear regression on Fourier terms, whose coefficients come from
`fit_peptide_angle`. From gamma follow the places of C, O, N and H, near enough to see most hydrogen bonds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.protein.graphs.peptide_table import PEPTIDE_COEFFICIENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "PAD",
    "PaddedTrace",
    "VirtualBackbone",
    "fit_peptide_angle",
    "pad_trace",
    "steady_trace",
    "trace_roughness",
    "trace_segment",
    "virtual_backbone",
]

PAD = 6
"""Virtual CA at each end of a stretch."""

_STEP_ANGSTROM = 3.8
_LONGEST_ANGSTROM = 4.3
_CLEAN_ANGSTROM, _SWEEPS = 0.06, 16
_USUAL_ANGSTROM = ((1, 3.8, 3.8), (2, 5.3, 6.8), (3, 4.9, 10.4), (4, 5.2, 13.6))  # residues apart, from, to
_TURN_RAD = -2.97  # where a stretch of three gives no dihedral: extended

# Of C, O and N in the frame of a trans peptide: along the axis from CA to CA, and away from it on the side of O
# (medians over refined chains; N lies on the other side).
_ALONG_ANGSTROM = {"C": 1.430, "O": 1.663, "N": 2.400}
_ASIDE_ANGSTROM = {"C": 0.527, "O": 1.735, "N": -0.389}


@dataclass(frozen=True)
class PaddedTrace:
    """Stretches of CA atoms one after the other, each with `PAD` virtual atoms before and after it.

    Attributes
    ----------
    points : float64 array [M, 3]
        Positions in angstrom. The virtual atoms of a stretch of one or two atoms are NaN: nothing gives a direction.
    place : int64 array [L]
        Where each residue of the trace stands.
    real : bool array [M]
        Which points are residues.
    """

    points: FloatArray
    place: IntArray
    real: BoolArray

    def window(self, low: int, high: int) -> IntArray:
        """Return places from `low` to `high` (included, within `PAD`) around every residue, [L, high - low + 1]."""
        return self.place[:, None] + np.arange(low, high + 1)


@dataclass(frozen=True)
class VirtualBackbone:
    """What a padded trace suggests for the other backbone atoms.

    Attributes
    ----------
    angle_cos : float64 array [M]
        Cosine of the virtual bond angle at each point, minus its usual value.
    dihedral_rad : float64 array [M]
        Virtual dihedral of the points m - 1, m, m + 1, m + 2.
    carbon, oxygen : float64 array [M, 3]
        C and O of residue m.
    nitrogen, hydrogen : float64 array [M, 3]
        N and its H of residue m.
    """

    angle_cos: FloatArray
    dihedral_rad: FloatArray
    carbon: FloatArray
    oxygen: FloatArray
    nitrogen: FloatArray
    hydrogen: FloatArray


def pad_trace(ca: FloatArray, segment: IntArray) -> PaddedTrace:
    """Continue every stretch of a trace at both ends with the virtual angles of its first and last four atoms.

    Parameters
    ----------
    ca : array [L, 3]
        Positions in angstrom.
    segment : int array [L]
        Number of the stretch, rising by one from 0.

    Examples
    --------
    >>> trace = pad_trace(np.array([[0.0, 0, 0], [3.8, 0, 0], [5.0, 3.6, 0], [9.0, 4, 0]]), np.zeros(4, int))
    >>> trace.points.shape, trace.place.tolist()
    ((16, 3), [6, 7, 8, 9])
    """
    count = len(ca)
    place = np.arange(count) + PAD * (2 * segment + 1)
    total = count + 2 * PAD * (int(segment[-1]) + 1)
    points = np.full((total, 3), np.nan)
    points[place] = ca
    real = np.zeros(total, bool)
    real[place] = True
    first = place[np.flatnonzero(np.diff(segment, prepend=-1))]
    last = place[np.flatnonzero(np.diff(segment, append=segment[-1] + 1))]
    for end, step in ((first, 1), (last, -1)):
        length = last - first + 1
        long = length >= 3
        end, length = end[long], length[long]
        chain = [points[end + step * i] for i in range(3)]
        angle = _angle_rad(*chain)
        turn = np.where(length >= 4, _dihedral_rad(chain[0], chain[1], chain[2], points[end + step * 3]), _TURN_RAD)
        for i in range(1, PAD + 1):
            new = _continue(chain, angle, turn)
            points[end - step * i] = new
            chain = [new, chain[0], chain[1]]
    return PaddedTrace(points, place, real)


def trace_segment(ca: FloatArray, chain: IntArray | None = None) -> IntArray:
    """Find the unbroken stretches of a trace that may be noisy.

    A stretch ends where the next CA is farther than 4.3 A plus 3.5 times the robust spread of all bond lengths, so that
    noise does not tear a chain; the spread of a clean trace is some hundredths of an angstrom.

    Parameters
    ----------
    ca : array [L, 3]
        Positions in angstrom.
    chain : int array [L], optional
        Number of the chain of each residue; a stretch ends where it changes. The spread is that of each chain.

    Returns
    -------
    int64 array [L]

    Examples
    --------
    >>> trace_segment(np.array([[0.0, 0, 0], [3.8, 0, 0], [7.6, 0, 0], [14.0, 0, 0]])).tolist()
    [0, 0, 0, 1]
    """
    step = np.sqrt(np.sum(np.diff(ca, axis=0) ** 2, axis=1))
    limit = np.empty(len(step))
    number = np.zeros(len(ca), np.int64) if chain is None else np.asarray(chain)
    cut = number[1:] != number[:-1]
    starts = np.concatenate([[0], np.flatnonzero(cut) + 1, [len(ca)]])
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        off = np.abs(step[first : last - 1] - _STEP_ANGSTROM)
        spread = 1.4826 * float(np.median(off)) if len(off) else 0.0
        # short traces and broken ones give no spread worth the name
        limit[first : last - 1] = _LONGEST_ANGSTROM + 3.5 * min(spread, 1.0)
        limit[last - 1 : last] = 0.0
    return np.concatenate([[0], np.cumsum((step > limit) | cut)]).astype(np.int64)


def _continue(chain: list[FloatArray], angle_rad: FloatArray, turn_rad: FloatArray) -> FloatArray:
    """Return the points before ``chain[0]``, `chain` being the first three of each stretch."""
    axis = _unit(chain[0] - chain[1])
    normal = _unit(np.cross(chain[1] - chain[2], axis))  # zero where the three lie on a line: then straight on
    side = np.cross(normal, axis)
    angle, turn = angle_rad[:, None], turn_rad[:, None]
    away = np.cos(turn) * side + np.sin(turn) * normal
    return chain[0] + _STEP_ANGSTROM * (-np.cos(angle) * axis + np.sin(angle) * away)


def trace_roughness(ca: FloatArray, segment: IntArray, graph: IntArray | None = None) -> FloatArray:
    """Return by how much bond lengths of the structure are off 3.8 A on average; tells the noise of the coordinates.

    Parameters
    ----------
    ca : array [L, 3]
        Positions in angstrom.
    segment : int array [L]
        Number of the unbroken stretch.
    graph : int array [L], optional
        Number of the structure that each residue belongs to; default: one structure.

    Returns
    -------
    array [L]
        In angstrom, the same for all residues of a structure; one bond counts for at most 1.

    Examples
    --------
    >>> trace_roughness(np.array([[0.0, 0, 0], [3.9, 0, 0], [7.6, 0, 0]]), np.zeros(3, int)).round(3).tolist()
    [0.1, 0.1, 0.1]
    """
    index = np.zeros(len(ca), np.int64) if graph is None else graph
    step = np.sqrt(np.sum((ca[1:] - ca[:-1]) ** 2, axis=1))
    inside = segment[1:] == segment[:-1]
    off = np.where(inside, np.minimum(np.abs(step - _STEP_ANGSTROM), 1.0), 0.0)
    size = int(index[-1]) + 1
    total, count = np.bincount(index[:-1], off, size), np.bincount(index[:-1], inside, size)
    return np.asarray((total / np.maximum(count, 1.0))[index])


def steady_trace(ca: FloatArray, segment: IntArray, graph: IntArray | None = None) -> FloatArray:
    """Move the atoms of a noisy trace to distances that a protein has; leave a clean trace as it is.

    Bonds go to 3.8 A, and the distances to the second, third and fourth residue into what proteins show, by repeated
    projections (as SHAKE does for bonds, J.-P. Ryckaert et al. 1977, J. Comput. Phys. 23, 327, here all at once and by
    half steps). Takes a quarter off the error of noise of 0.5 A a coordinate.

    Parameters
    ----------
    ca, segment, graph
        As in `trace_roughness`, which decides how far to go: nothing below 0.06 A, all of it from 0.16 A on.

    Returns
    -------
    array [L, 3]
    """
    share = np.clip((trace_roughness(ca, segment, graph) - _CLEAN_ANGSTROM) / 0.1, 0.0, 1.0)[:, None]
    if not share.any():
        return ca
    moved = ca.copy()
    for _ in range(_SWEEPS):
        step = np.zeros_like(moved)
        for gap, low, high in _USUAL_ANGSTROM:
            span = moved[gap:] - moved[:-gap]
            length = np.sqrt(np.einsum("ij,ij->i", span, span))
            inside = segment[gap:] == segment[:-gap]
            excess = np.where(inside, length - np.clip(length, low, high), 0.0) / np.maximum(length, 1e-6)
            half = 0.5 * excess[:, None] * span
            step[:-gap] += half
            step[gap:] -= half
        moved += 0.5 * step
    return np.asarray(ca + share * (moved - ca))


def virtual_backbone(trace: PaddedTrace) -> VirtualBackbone:
    """Estimate peptide planes and the atoms in them.

    Parameters
    ----------
    trace : PaddedTrace

    Returns
    -------
    VirtualBackbone
        NaN at the outermost points of each stretch, where the window does not fit, and in stretches of fewer than three
        atoms.
    """
    points = trace.points
    terms, frame, angle_cos, dihedral = _peptide_terms(points)
    direction = terms @ PEPTIDE_COEFFICIENTS
    along, side, up = frame
    aside = _unit(direction[:, :1] * side + direction[:, 1:] * up)
    atoms = {name: points + _ALONG_ANGSTROM[name] * along + _ASIDE_ANGSTROM[name] * aside for name in ("C", "O", "N")}
    nitrogen = np.roll(atoms["N"], 1, axis=0)  # the peptide after residue m - 1 holds the N of residue m
    hydrogen = nitrogen + np.roll(_unit(atoms["C"] - atoms["O"]), 1, axis=0)  # as DSSP places it: 1 A against C=O
    return VirtualBackbone(angle_cos, dihedral, atoms["C"], atoms["O"], nitrogen, hydrogen)


def fit_peptide_angle(chains: Iterable[tuple[FloatArray, IntArray]]) -> FloatArray:
    """Fit the coefficients of `peptide_table` by least squares on cosine and sine of gamma.

    Parameters
    ----------
    chains : iterable of (coords [L, >=4, 3], segment [L])
        N, CA, C, O first.

    Returns
    -------
    array [92, 2]
    """
    size = len(PEPTIDE_COEFFICIENTS)
    gram, moment = np.zeros((size, size)), np.zeros((size, 2))
    count = 0
    for coords, segment in chains:
        trace = pad_trace(coords[:, 1].astype(np.float64), segment)
        terms, (_, side, up), _, _ = _peptide_terms(trace.points)
        oxygen = np.full_like(trace.points, np.nan)
        oxygen[trace.place] = coords[:, 3] - coords[:, 1]
        target = np.stack([np.sum(oxygen * side, axis=1), np.sum(oxygen * up, axis=1)], axis=1)
        target /= np.maximum(np.linalg.norm(target, axis=1, keepdims=True), 1e-9)
        whole = np.stack([np.roll(trace.real, -shift) for shift in range(-2, 4)]).all(axis=0)
        step = np.linalg.norm(np.roll(trace.points, -1, axis=0) - trace.points, axis=1)
        kept = whole & (step > 3.5) & np.isfinite(target).all(axis=1)
        gram += terms[kept].T @ terms[kept]
        moment += terms[kept].T @ target[kept]
        count += int(kept.sum())
    return np.asarray(np.linalg.solve(gram + 1e-6 * count * np.eye(size), moment), dtype=np.float64)


def _peptide_terms(
    points: FloatArray,
) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray], FloatArray, FloatArray]:
    """Regression terms [M, 92] and frames of the peptides m, m + 1; virtual angles and dihedrals."""
    bond = np.roll(points, -1, axis=0) - points
    along = _unit(bond)
    before = np.roll(along, 1, axis=0)
    normal = np.cross(before, along)  # of the plane of m - 1, m, m + 1
    angle_cos = 0.1 - np.sum(before * along, axis=1)
    after = np.roll(normal, -1, axis=0)
    dihedral = np.arctan2(np.sum(np.cross(normal, after) * along, axis=1), np.sum(normal * after, axis=1))
    side = _unit(np.sum(before * along, axis=1, keepdims=True) * along - before)
    order = np.arange(1, 4) * dihedral[:, None]
    own = np.concatenate([np.ones((len(points), 1)), np.cos(order), np.sin(order)], axis=1)
    left, right = angle_cos, np.roll(angle_cos, -1)
    powers = np.stack([np.ones_like(left), left, right, left * left, left * right, right * right], axis=1)
    double = np.concatenate([np.cos(order[:, :2]), np.sin(order[:, :2])], axis=1)
    around = np.concatenate(
        [
            np.roll(double, 1, axis=0),
            np.roll(double, -1, axis=0),
            np.roll(left, 1)[:, None],
            np.roll(right, -1)[:, None],
        ],
        axis=1,
    )
    lower = own[:, [0, 1, 2, 4, 5]]
    products = [own[:, :, None] * powers[:, None], lower[:, :, None] * around[:, None]]
    terms = np.concatenate([product.reshape(len(points), -1) for product in products], axis=1)
    return terms, (along, side, np.cross(along, side)), angle_cos, dihedral


def _angle_rad(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    u, v = a - b, c - b
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(u, v), axis=-1), np.sum(u * v, axis=-1)))


def _dihedral_rad(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    sine = np.sum(np.cross(first, second) * _unit(c - b), axis=-1)
    return np.asarray(np.arctan2(sine, np.sum(first * second, axis=-1)))


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.maximum(np.sqrt(np.einsum("...i,...i->...", vector, vector))[..., None], 1e-9)
