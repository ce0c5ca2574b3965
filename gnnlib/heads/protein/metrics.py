"""How good a protein model, a label, a map or a quality estimate is: the public door to all metrics of this head.

Models are compared residue by residue (same residues, same order); there is no search for an alignment. Positions are
CA in angstrom unless said otherwise; a row of NaN is a residue that is missing on that side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.heads.protein.checks import as_float_array
from gnnlib.heads.protein.geometry import apply_transform, kabsch
from gnnlib.heads.protein.scores.metrics_maps import (
    contact_precision,
    distance_map_errors,
    mqa_scores,
    pearson,
    spearman,
)
from gnnlib.heads.protein.scores.metrics_states import q3, q8, sov
from gnnlib.heads.protein.scores.tm_search import SearchResult, search, tm_d0

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray

__all__ = [
    "LDDT_RADIUS_ANGSTROM",
    "LDDT_THRESHOLDS_ANGSTROM",
    "Superposition",
    "best_superposition",
    "contact_precision",
    "distance_map_errors",
    "gdt_ha",
    "gdt_ts",
    "lddt",
    "lddt_per_residue",
    "mqa_scores",
    "pearson",
    "q3",
    "q8",
    "rmsd",
    "sov",
    "spearman",
    "superpose",
    "tm_score",
]

LDDT_RADIUS_ANGSTROM = 15.0
LDDT_THRESHOLDS_ANGSTROM = (0.5, 1.0, 2.0, 4.0)


class Superposition(NamedTuple):
    """A model laid on its native with least squares.

    Attributes
    ----------
    coords : array [..., L, 3]
        The model after the move; NaN where it has no residue.
    rotation, translation : array [..., 3, 3], [..., 3]
        ``coords = model @ rotation.T + translation``.
    rmsd : array [...]
        Root mean square distance over the residues that count, in angstrom.
    """

    coords: FloatArray
    rotation: FloatArray
    translation: FloatArray
    rmsd: FloatArray


def _positions(name: str, values: Any) -> FloatArray:
    array = as_float_array(name, values)
    if array.ndim < 2 or array.shape[-1] != 3 or array.shape[-2] == 0:
        raise InputError(f"`{name}` must hold positions [..., L, 3] with L >= 1, found shape {list(array.shape)}")
    if np.isinf(array).any():
        raise InputError(
            f"`{name}` must be finite or NaN, found inf at index {np.argwhere(np.isinf(array))[0].tolist()}"
        )
    return array


def _pair(model: Any, native: Any, mask: Any, *, batched: bool = False) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Positions of both sides and which residues count: those of the mask that both sides have."""
    a, b = _positions("model", model), _positions("native", native)
    if a.shape[-2] != b.shape[-2]:
        raise InputError(
            f"`model` and `native` must have the same residues, found {a.shape[-2]} and {b.shape[-2]}; "
            f"cut both to their common residues first"
        )
    if not batched and (a.ndim != 2 or b.ndim != 2):
        raise InputError(f"`model` and `native` must be [L, 3], found {list(a.shape)} and {list(b.shape)}")
    try:
        a, b = np.broadcast_arrays(a, b)
    except ValueError as error:
        raise InputError(f"batch axes of {list(a.shape)} and {list(b.shape)} do not fit each other") from error
    known = _present(a) & _present(b)
    if mask is not None:
        wanted = np.asarray(mask)
        if wanted.dtype.kind != "b" or wanted.shape[-1:] != (a.shape[-2],):
            raise InputError(f"`mask` must be bool [{a.shape[-2]}], found {wanted.dtype} {list(wanted.shape)}")
        known = known & wanted
    if not known.any(axis=-1).all():
        raise InputError("`model` and `native` must share at least 1 residue with positions, found none")
    return a, b, known


def _present(positions: FloatArray) -> BoolArray:
    known: BoolArray = np.logical_not(np.isnan(positions).any(axis=-1))
    return known


def _wanted(native: FloatArray, mask: Any) -> BoolArray:
    """Residues by which scores are normalised: those of the native within the mask."""
    present = _present(native)
    return present if mask is None else present & np.asarray(mask)


def superpose(model: ArrayLike, native: ArrayLike, *, mask: ArrayLike | None = None) -> Superposition:
    """Lay a model on its native with least squares over CA.

    Parameters
    ----------
    model, native : array-like [..., L, 3]
        Leading axes are batch axes and broadcast.
    mask : bool array-like [..., L], optional
        Residues that count; default all that both sides have.

    Returns
    -------
    Superposition

    Raises
    ------
    InputError
        If shapes differ or no residue is shared.

    Examples
    --------
    >>> native = np.array([[0.0, 0, 0], [3.8, 0, 0], [5, 3.6, 0], [5, 3.6, 3.8]])
    >>> move = superpose(native[:, [1, 2, 0]] + 10.0, native)
    >>> move.coords.round(3).tolist()[1], float(move.rmsd.round(6))
    ([3.8, 0.0, 0.0], 0.0)
    """
    a, b, known = _pair(model, native, mask, batched=True)
    rotation, translation = kabsch(a, b, known)
    moved = apply_transform(a, rotation, translation)
    return Superposition(moved, rotation, translation, _rms(moved, b, known))


def _rms(a: FloatArray, b: FloatArray, known: BoolArray) -> FloatArray:
    squared = np.where(known, np.square(np.where(known[..., None], a - b, 0.0)).sum(axis=-1), 0.0)
    return np.sqrt(squared.sum(axis=-1) / known.sum(axis=-1))


def rmsd(
    model: ArrayLike, native: ArrayLike, *, mask: ArrayLike | None = None, superimpose: bool = True
) -> FloatArray | float:
    """Root mean square distance of corresponding residues, in angstrom.

    Parameters
    ----------
    model, native : array-like [..., L, 3]
        Leading axes are batch axes and broadcast.
    mask : bool array-like [..., L], optional
        Residues that count; default all that both sides have.
    superimpose : bool
        Lay the model on the native first (default), or compare where they lie.

    Returns
    -------
    float, or array [...] for a batch

    Examples
    --------
    >>> native = np.array([[0.0, 0, 0], [3.8, 0, 0], [5, 3.6, 0]])
    >>> round(rmsd(native + 2.0, native), 6), round(rmsd(native + [2, 0, 0], native, superimpose=False), 6)
    (0.0, 2.0)
    """
    a, b, known = _pair(model, native, mask, batched=True)
    if superimpose:
        a = apply_transform(a, *kabsch(a, b, known))
    value = _rms(a, b, known)
    return float(value) if value.ndim == 0 else value


def best_superposition(
    model: ArrayLike, native: ArrayLike, *, mask: ArrayLike | None = None
) -> tuple[SearchResult, int]:
    """Search the superposition that maximises TM-score and GDT.

    Parameters
    ----------
    model, native : array-like [L, 3]
    mask : bool array-like [L], optional

    Returns
    -------
    result : SearchResult
    length : int
        Residues of the native (within the mask), by which scores are divided; what the model lacks scores 0.
    """
    a, b, known = _pair(model, native, mask)
    length = int(_wanted(b, mask).sum())
    return search(a[known], b[known], tm_d0(length)), length


def tm_score(model: ArrayLike, native: ArrayLike, *, mask: ArrayLike | None = None) -> float:
    """TM-score of a model against its native, with a search for the best superposition.

    Parameters
    ----------
    model, native : array-like [L, 3]
        CA positions of the same residues; NaN rows are missing and score 0.
    mask : bool array-like [L], optional
        Residues that count, also in the length.

    Returns
    -------
    float
        In (0, 1]; 1 for identical shapes, above 0.5 for the same fold, about 0.17 for unrelated proteins.

    References
    ----------
    Y. Zhang and J. Skolnick, Proteins 57, 702 (2004), eq. 1 and 5; normalised by the length of the native.

    Examples
    --------
    >>> native = np.cumsum(np.full((30, 3), 2.19), axis=0) + np.sin(np.arange(90.0)).reshape(30, 3)
    >>> round(tm_score(native + 4.0, native), 6)
    1.0
    """
    found, length = best_superposition(model, native, mask=mask)
    return found.tm_sum / length


def gdt_ts(model: ArrayLike, native: ArrayLike, *, mask: ArrayLike | None = None) -> float:
    """Global distance test, total score: mean share of residues within 1, 2, 4 and 8 A, each at its best superposition.

    Parameters are those of `tm_score`; the result lies in [0, 1].

    References
    ----------
    A. Zemla, Nucleic Acids Res. 31, 3370 (2003).

    Examples
    --------
    >>> native = np.cumsum(np.full((30, 3), 2.19), axis=0) + np.sin(np.arange(90.0)).reshape(30, 3)
    >>> model = native.copy()
    >>> model[-3:] += 100.0
    >>> round(gdt_ts(model, native), 3)
    0.9
    """
    found, length = best_superposition(model, native, mask=mask)
    return float(found.within[1:5].mean() / length)


def gdt_ha(model: ArrayLike, native: ArrayLike, *, mask: ArrayLike | None = None) -> float:
    """Global distance test, high accuracy: as `gdt_ts` with 0.5, 1, 2 and 4 A.

    Examples
    --------
    >>> native = np.cumsum(np.full((30, 3), 2.19), axis=0) + np.sin(np.arange(90.0)).reshape(30, 3)
    >>> gdt_ha(native + 5.0, native)
    1.0
    """
    found, length = best_superposition(model, native, mask=mask)
    return float(found.within[:4].mean() / length)


def _lddt_pairs(
    model: Any, native: Any, mask: Any, radius_angstrom: float, thresholds: tuple[float, ...]
) -> tuple[IntArray, FloatArray, int]:
    """Pairs of the native within the radius and the share of thresholds that the model keeps for each."""
    a, b, _ = _pair(model, native, mask)
    wanted = _wanted(b, mask)
    index = np.flatnonzero(wanted)
    pairs = index[cKDTree(b[index]).query_pairs(radius_angstrom, output_type="ndarray")].reshape(-1, 2)
    first, second = pairs.T
    off = np.abs(
        np.sqrt(np.square(a[first] - a[second]).sum(axis=1)) - np.sqrt(np.square(b[first] - b[second]).sum(axis=1))
    )
    kept = np.zeros(len(off))
    for limit in thresholds:
        kept += off <= limit  # NaN, a residue that the model lacks, keeps nothing
    return pairs, kept / len(thresholds), len(b)


def lddt(
    model: ArrayLike,
    native: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    radius_angstrom: float = LDDT_RADIUS_ANGSTROM,
    thresholds_angstrom: tuple[float, ...] = LDDT_THRESHOLDS_ANGSTROM,
) -> float:
    """Local distance difference test over CA: no superposition is needed.

    Parameters
    ----------
    model, native : array-like [L, 3]
        NaN rows of the model are missing: their distances count as lost.
    mask : bool array-like [L], optional
        Residues that count.
    radius_angstrom : float
        Distances of the native up to this one are looked at; default 15.
    thresholds_angstrom : tuple of float
        A distance is kept when it is off by at most this much; the mean over 0.5, 1, 2 and 4 by default.

    Returns
    -------
    float
        Share of distances kept, in [0, 1]; NaN when no two residues are within the radius.

    References
    ----------
    V. Mariani et al., Bioinformatics 29, 2722 (2013).

    Examples
    --------
    >>> native = np.array([[0.0, 0, 0], [3.8, 0, 0], [5, 3.6, 0]])
    >>> lddt(native + 9.0, native), round(lddt(native * 1.2, native), 3)
    (1.0, 0.667)
    """
    _, kept, _ = _lddt_pairs(model, native, mask, radius_angstrom, thresholds_angstrom)
    return float(kept.mean()) if len(kept) else float("nan")


def lddt_per_residue(
    model: ArrayLike,
    native: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    radius_angstrom: float = LDDT_RADIUS_ANGSTROM,
    thresholds_angstrom: tuple[float, ...] = LDDT_THRESHOLDS_ANGSTROM,
) -> FloatArray:
    """Local distance difference test of every residue [L]; parameters as in `lddt`, NaN where a residue has no pair.

    Examples
    --------
    >>> native = np.array([[0.0, 0, 0], [3.8, 0, 0], [90, 0, 0]])
    >>> lddt_per_residue(native, native).tolist()
    [1.0, 1.0, nan]
    """
    pairs, kept, length = _lddt_pairs(model, native, mask, radius_angstrom, thresholds_angstrom)
    count = np.bincount(pairs.ravel(), minlength=length)
    total = np.bincount(pairs.ravel(), weights=np.repeat(kept, 2), minlength=length)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
