"""The classical and the trivial answers of this head, as yardsticks for the learned and the composed ones."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.heads.protein.decode import checked_distances
from gnnlib.heads.protein.folding.fold_start import classical_scaling, complete
from gnnlib.heads.protein.geometry import angle, dihedral
from gnnlib.heads.protein.problem import as_structure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.typing import ArrayLike, BoolArray, FloatArray

__all__ = ["classical_mds", "majority_state", "p_sea", "smacof"]

# centre and tolerance of d(i, i+2), d(i, i+3), d(i, i+4) in angstrom, of the angle and the dihedral in degrees
_HELIX = ((5.5, 0.5), (5.3, 0.5), (6.4, 0.6), (89.0, 12.0), (50.0, 20.0))
_STRAND = ((6.7, 0.6), (9.9, 0.9), (12.4, 1.1), (124.0, 14.0), (-170.0, 45.0))
_HELIX_LENGTH, _STRAND_LENGTH, _SHORT_STRAND_LENGTH, _SHORT_STRAND_CONTACTS = 5, 5, 3, 5
_CONTACT_ANGSTROM = (4.2, 5.2)


def p_sea(x: Any) -> str:
    """Assign helices and strands from CA positions by the rules of P-SEA.

    Parameters
    ----------
    x : Structure, path or array-like [L, 3]
        What `as_structure` takes; chain breaks end a stretch.

    Returns
    -------
    str of length L
        H, E or C.

    References
    ----------
    G. Labesse, N. Colloc'h, J. Pothier and J.-P. Mornon, Comput. Appl. Biosci. 13, 291 (1997), tables 1 and 2.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> p_sea(build_backbone(np.full(12, -57.0), np.full(12, -47.0)))
    'CHHHHHHHHHHC'
    """
    structure = as_structure(x)
    ca, segment = structure.ca, structure.segment
    measures = _measures(ca, segment)
    states = np.full(len(ca), "C", dtype="<U1")
    helix = _fits(measures, _HELIX)
    core = (helix[1] & helix[2]) | (helix[3] & helix[4])
    _mark(states, core, helix[1] | helix[3], _HELIX_LENGTH, "H", segment)
    strand = _fits(measures, _STRAND)
    core = ((strand[0] & strand[1] & strand[2]) | (strand[3] & strand[4])) & (states == "C")
    _mark(states, core, strand[1] & (states == "C"), _STRAND_LENGTH, "E", segment)
    short = core & _in_contact(ca)
    _mark(states, short & (states == "C"), strand[1] & (states == "C"), _SHORT_STRAND_LENGTH, "E", segment)
    return "".join(states)


def _measures(ca: FloatArray, segment: np.ndarray) -> list[FloatArray]:
    """Measure distances (from one residue before each) and angles of every residue; NaN across breaks."""
    count = len(ca)
    found = [np.full(count, np.nan) for _ in range(5)]
    for k, gap in enumerate((2, 3, 4)):
        if count > gap:
            whole = segment[gap:] == segment[:-gap]
            found[k][1 : count - gap + 1] = np.where(whole, np.linalg.norm(ca[gap:] - ca[:-gap], axis=1), np.nan)
    if count > 2:
        found[3][1:-1] = np.where(segment[2:] == segment[:-2], angle(ca[:-2], ca[1:-1], ca[2:]), np.nan)
    if count > 3:
        turn = dihedral(ca[:-3], ca[1:-2], ca[2:-1], ca[3:])
        found[4][1:-2] = np.where(segment[3:] == segment[:-3], turn, np.nan)
    return found


def _fits(measures: list[FloatArray], rule: tuple[tuple[float, float], ...]) -> list[BoolArray]:
    fits = []
    for k, (values, (centre, tolerance)) in enumerate(zip(measures, rule, strict=True)):
        off = values - centre
        if k == 4:
            off = (off + 180.0) % 360.0 - 180.0
        fits.append(np.abs(off) <= tolerance)  # NaN fits nothing
    return fits


def _in_contact(ca: FloatArray) -> BoolArray:
    """Residues with a CA at 4.2 to 5.2 A that is not next in the chain."""
    low, high = _CONTACT_ANGSTROM
    pairs = cKDTree(ca).query_pairs(high, output_type="ndarray")
    length = np.linalg.norm(ca[pairs[:, 0]] - ca[pairs[:, 1]], axis=1)
    pairs = pairs[(length >= low) & (np.abs(pairs[:, 0] - pairs[:, 1]) > 2)]
    touched = np.zeros(len(ca), dtype=bool)
    touched[pairs.ravel()] = True
    return touched


def _mark(states: np.ndarray, core: BoolArray, edge: BoolArray, length: int, letter: str, segment: np.ndarray) -> None:
    """Write `letter` on runs of at least `length` core residues, and on one edge residue at either end."""
    start = None
    for i in range(len(core) + 1):
        inside = i < len(core) and bool(core[i]) and (start is None or segment[i] == segment[start])
        if inside and start is None:
            start = i
        elif not inside and start is not None:
            if i - start >= length:
                first, last = start, i - 1
                if first > 0 and edge[first - 1] and segment[first - 1] == segment[first]:
                    first -= 1
                if last + 1 < len(core) and edge[last + 1] and segment[last + 1] == segment[last]:
                    last += 1
                states[first : last + 1] = letter
            start = i if i < len(core) and core[i] else None


def majority_state(states: Iterable[str]) -> str:
    """Return the most frequent letter of many assignments: the answer that needs no structure.

    Examples
    --------
    >>> majority_state(["CCH", "HHE", "CCC"])
    'C'
    """
    counts = Counter(letter for one in states for letter in one if letter != "-")
    if not counts:
        raise InputError("`states` must hold at least 1 assigned residue, found none")
    return counts.most_common(1)[0][0]


def classical_mds(distances: ArrayLike, *, mask: ArrayLike | None = None) -> FloatArray:
    """Place points by classical scaling of shortest-path-completed distances; one of the two mirror images.

    Parameters
    ----------
    distances : array-like [L, L]
        As for `reconstruct`.
    mask : bool array-like [L, L], optional
        True where known.

    Returns
    -------
    array [L, 3]

    Examples
    --------
    >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    >>> D = np.linalg.norm(square[:, None] - square, axis=-1)
    >>> found = classical_mds(D)
    >>> bool(np.allclose(np.linalg.norm(found[:, None] - found, axis=-1), D, atol=1e-5))
    True
    """
    given, known, _ = checked_distances(distances, None, mask)
    full = given
    if known.sum() < known.size - len(known):
        full = complete(given, known, np.arange(len(given)) < len(given) - 1)
    return np.ascontiguousarray(classical_scaling(full, 3)[:3].T)


def smacof(
    distances: ArrayLike, *, mask: ArrayLike | None = None, iterations: int = 300, tolerance: float = 1e-6
) -> FloatArray:
    """Minimise the raw stress by majorisation alone, from classical scaling; one of the two mirror images.

    Parameters
    ----------
    distances, mask
        As for `classical_mds`; unknown pairs have weight 0.
    iterations : int
        At most; default 300, that of scikit-learn.
    tolerance : float
        Stops when the relative gain of one step is below.

    Returns
    -------
    array [L, 3]

    References
    ----------
    J. de Leeuw, Applications of convex analysis to multidimensional scaling (1977); I. Borg and P. Groenen, Modern
    Multidimensional Scaling, 2nd ed., section 8.6.

    Examples
    --------
    >>> line = np.outer(np.arange(5.0), [3.8, 0, 0])
    >>> D = np.linalg.norm(line[:, None] - line, axis=-1)
    >>> found = smacof(D)
    >>> bool(np.allclose(np.linalg.norm(found[:, None] - found, axis=-1), D, atol=1e-3))
    True
    """
    given, known, _ = checked_distances(distances, None, mask)
    points = classical_mds(distances, mask=mask)
    weights = known.astype(np.float64)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.pinv(laplacian)
    before = np.inf
    for _ in range(iterations):
        fitted = np.linalg.norm(points[:, None] - points[None], axis=-1)
        stress = float(np.sum(weights * np.square(fitted - given)))
        if before - stress < tolerance * max(stress, 1e-12):
            break
        before = stress
        ratio = np.where(fitted > 1e-9, weights * given / np.maximum(fitted, 1e-9), 0.0)
        points = inverse @ ((np.diag(ratio.sum(axis=1)) - ratio) @ points)
    return points
