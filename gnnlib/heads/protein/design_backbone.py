"""A full backbone for every residue, whatever atoms the structure came with: what inverse folding sees.

Real CB atoms tell glycine from the rest, and O atoms differ between refined and rebuilt structures. So only N, CA and C
are taken from a structure; O and CB are placed by ideal geometry everywhere. Where N or C is missing, or in a bare
C-alpha trace, both come from the C-alpha trace around the residue: a peptide plane turns about its CA-CA axis by an
angle that neighbouring virtual dihedrals tell (E. O. Purisima and H. A. Scheraga 1984, Biopolymers 23, 1207; D. Gront et
al. 2007, J. Comput. Chem. 28, 1593, with a table of three distances). Here a ridge regression on Fourier terms of these
dihedrals gives the positions of C and N in the frame of the plane's two CA atoms.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.protein.geometry import BOND_ANGLES_DEG, BOND_LENGTHS_ANGSTROM, place_atom, virtual_cb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["PEPTIDE_SHAPE", "chain_links", "complete_backbone", "fit_peptide", "ideal_atoms", "peptide_terms"]

_PAD = 3
_CA_STEP_ANGSTROM, _CA_ANGLE_DEG, _CA_DIHEDRAL_DEG = 3.8, 120.0, -170.0
_LAST_PSI_DEG = 140.0
_RIDGE = 0.1
_FLAT = 1e-3

PEPTIDE_SHAPE = (26, 6)
"""Shape of the regression's coefficients: terms, and the coordinates of C and of the next N."""


def chain_links(segment: IntArray) -> tuple[IntArray, IntArray]:
    """Return the previous and the next residue of each one in its unbroken stretch, -1 where there is none.

    Parameters
    ----------
    segment : int array [L]
        Number of the stretch, non-decreasing.

    Examples
    --------
    >>> previous, following = chain_links(np.array([0, 0, 1]))
    >>> previous.tolist(), following.tolist()
    ([-1, 0, -1], [1, -1, -1])
    """
    index = np.arange(len(segment))
    joined = segment[1:] == segment[:-1]
    previous, following = np.full(len(segment), -1), np.full(len(segment), -1)
    previous[1:][joined] = index[:-1][joined]
    following[:-1][joined] = index[1:][joined]
    return previous, following


def _turns(angle_rad: FloatArray, order: int) -> FloatArray:
    """Fourier terms 1, cos a, sin a, cos 2a, ... up to `order`, [N, 2 order + 1]."""
    steps = np.arange(1, order + 1) * angle_rad[:, None]
    return np.concatenate([np.ones((len(angle_rad), 1)), np.cos(steps), np.sin(steps)], axis=1)


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def _dihedral_rad(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    sine = np.sum(np.cross(first, second) * _unit(c - b), axis=-1)
    return np.arctan2(sine, np.sum(first * second, axis=-1))


def peptide_terms(ca: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return regression terms and frames of the peptides between CA 2 and L - 3 of an unbroken trace.

    Parameters
    ----------
    ca : array [L, 3], L >= 6
        Peptide m lies between residues m + 2 and m + 3.

    Returns
    -------
    terms : array [L - 5, 26]
        1, and Fourier terms to the second order of the peptide's own virtual dihedral; the cosines of its two virtual
        bond angles times them and their product; the sines and cosines of the neighbouring dihedrals.
    frames : array [L - 5, 3, 3]
        Rows are the axes: along CA-CA, the normal of the CA plane before, and their cross product.
    """
    before, start, stop, after = ca[1:-4], ca[2:-3], ca[3:-2], ca[4:-1]
    own = _turns(_dihedral_rad(before, start, stop, after), 2)
    left = _turns(_dihedral_rad(ca[:-5], before, start, stop), 1)
    right = _turns(_dihedral_rad(start, stop, after, ca[5:]), 1)
    bend_left = np.sum(_unit(before - start) * _unit(stop - start), axis=-1, keepdims=True)
    bend_right = np.sum(_unit(start - stop) * _unit(after - stop), axis=-1, keepdims=True)
    pairs = (left[:, 1:, None] * right[:, None, 1:]).reshape(len(own), 4)
    bends = [bend_left * own, bend_right * own, bend_left * bend_right]
    terms = np.concatenate([own, left[:, 1:], right[:, 1:], *bends, pairs, np.zeros((len(own), 2))], axis=1)
    terms[:, -2:] = own[:, 1:3] * left[:, 1:2]
    along = _unit(stop - start)
    normal = _unit(np.cross(start - before, along))
    return terms, np.stack([along, normal, np.cross(along, normal)], axis=1)


def fit_peptide(chains: Iterable[tuple[FloatArray, IntArray]]) -> FloatArray:
    """Fit the regression of C and N from the C-alpha trace.

    Parameters
    ----------
    chains : iterable of (coords [L, >=3, 3], segment [L])
        N, CA, C first; residues with a missing atom are left out.

    Returns
    -------
    array [26, 6]
        Coefficients for `complete_backbone`.
    """
    size = PEPTIDE_SHAPE[0]
    gram, moment = _RIDGE * np.eye(size), np.zeros(PEPTIDE_SHAPE)
    for coords, segment in chains:
        for rows in _stretches(segment, 6):
            part = np.asarray(coords[rows], dtype=np.float64)
            terms, frames = peptide_terms(part[:, 1])
            carbon = np.einsum("lij,lj->li", frames, part[2:-3, 2] - part[2:-3, 1])
            nitrogen = np.einsum("lij,lj->li", frames, part[3:-2, 0] - part[2:-3, 1])
            target = np.concatenate([carbon, nitrogen], axis=1)
            # cis peptides are shorter, and none of what a CA trace usually means
            is_trans = np.linalg.norm(part[3:-2, 1] - part[2:-3, 1], axis=-1) > 3.5
            kept = np.isfinite(target).all(axis=1) & is_trans
            gram += terms[kept].T @ terms[kept]
            moment += terms[kept].T @ target[kept]
    return np.asarray(np.linalg.solve(gram, moment), dtype=np.float64)


def _stretches(segment: IntArray, least: int) -> list[slice]:
    cuts = np.flatnonzero(np.diff(segment)) + 1
    bounds = [0, *cuts.tolist(), len(segment)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds) if b - a >= least]


def _pad(ca: FloatArray) -> FloatArray:
    """Continue a trace by three CA on either side in an extended shape."""
    if len(ca) < 3:  # no direction is given: a straight start that does not depend on anything
        step = np.array([[_CA_STEP_ANGSTROM, 0.0, 0.0], [1.0, 3.6, 0.0]])
        ca = np.concatenate([ca, ca[-1] + np.cumsum(step[len(ca) - 1 :], axis=0)]) if len(ca) == 2 else ca
        ca = np.concatenate([ca, ca[-1] + np.cumsum(step, axis=0)]) if len(ca) == 1 else ca
    out = _bent(ca)
    for _ in range(_PAD):
        for_end = place_atom(out[-3], out[-2], out[-1], _CA_STEP_ANGSTROM, _CA_ANGLE_DEG, _CA_DIHEDRAL_DEG)
        for_start = place_atom(out[2], out[1], out[0], _CA_STEP_ANGSTROM, _CA_ANGLE_DEG, _CA_DIHEDRAL_DEG)
        out = np.concatenate([for_start[None], out, for_end[None]])
    return out


def _bent(ca: FloatArray) -> FloatArray:
    """Return the trace, shaken by a hundredth of an angstrom if three neighbours lie on a line or in one place."""
    step = np.diff(ca, axis=0)
    if (np.linalg.norm(np.cross(step[:-1], step[1:]), axis=1) > _FLAT).all():
        return ca
    # such a trace has no plane at that place, so any one will do; the same one each time
    return ca + 0.01 * np.sin(np.arange(ca.size) ** 2.0).reshape(ca.shape)


def _rebuild(ca: FloatArray, peptide: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return N and C [L, 3] of one unbroken trace."""
    count = len(ca)
    padded = _pad(ca)
    terms, frames = peptide_terms(padded)  # peptides between padded atoms 2-3 (the one before residue 0), 3-4, ...
    origin = padded[2 : 2 + len(terms)]
    placed = (terms @ peptide).reshape(-1, 2, 3)
    carbon = origin + np.einsum("lji,lj->li", frames, placed[:, 0])
    nitrogen = origin + np.einsum("lji,lj->li", frames, placed[:, 1])
    return nitrogen[:count], carbon[1 : count + 1]


def ideal_atoms(coords: FloatArray, following: IntArray) -> FloatArray:
    """Return N, CA, C, O, CB with O and CB placed by ideal geometry.

    Parameters
    ----------
    coords : array [L, >=3, 3]
        N, CA, C first, all there.
    following : int array [L]
        The next residue, -1 where there is none: O then stands as for psi = 140 degrees.

    Returns
    -------
    array [L, 5, 3]
        In the floating type of `coords`.
    """
    n, ca, c = coords[:, 0], coords[:, 1], coords[:, 2]
    length, turn = BOND_LENGTHS_ANGSTROM["C-O"], BOND_ANGLES_DEG["CA-C-O"]
    oxygen = place_atom(n, ca, c, length, turn, _LAST_PSI_DEG - 180.0)
    linked = following >= 0
    # the carbonyl lies in the plane of CA, C and the next N, on the other side of C-CA
    oxygen[linked] = place_atom(n[following[linked]], ca[linked], c[linked], length, turn, 180.0)
    return np.stack([n, ca, c, oxygen, virtual_cb(n, ca, c)], axis=1).astype(coords.dtype, copy=False)


def complete_backbone(coords: FloatArray, segment: IntArray, peptide: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Give every residue N and C, those of the structure where both are there.

    Parameters
    ----------
    coords : array [L, >=3, 3]
        N, CA, C first; NaN where N or C is missing, CA always there.
    segment : int array [L]
        Number of the unbroken stretch of each residue.
    peptide : array [26, 6]
        Coefficients of `fit_peptide`.

    Returns
    -------
    backbone : array [L, 3, 3]
        N, CA, C.
    rebuilt : bool array [L]
        Where N and C come from the C-alpha trace.
    """
    backbone = np.array(coords[:, :3], dtype=np.float64)
    u, v = backbone[:, 0] - backbone[:, 1], backbone[:, 2] - backbone[:, 1]
    # also where the three atoms coincide or lie on a line: no frame could be made of them
    flat = np.linalg.norm(np.cross(u, v), axis=-1)
    rebuilt = ~(flat > 0.1)
    for rows in _stretches(segment, 1):
        if rebuilt[rows].any():
            nitrogen, carbon = _rebuild(backbone[rows, 1], peptide)
            lost = rebuilt[rows]
            backbone[rows, 0][lost] = nitrogen[lost]
            backbone[rows, 2][lost] = carbon[lost]
    return backbone, rebuilt
