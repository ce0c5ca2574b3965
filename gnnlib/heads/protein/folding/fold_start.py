"""First steps from distances to coordinates: completion, classical scaling, and how noisy the distances are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import nnls
from scipy.sparse.linalg import eigsh

from gnnlib.heads.protein.folding.fold_kernels import BOND_ANGSTROM, shorten

if TYPE_CHECKING:
    from gnnlib.heads.protein.folding.fold_kernels import Reals
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["NoiseModel", "classical_scaling", "complete", "estimate_cutoff", "fit_noise", "noise_of_bonds", "pairwise"]

_SMALLEST_SIGMA_ANGSTROM = 0.02
_DENSE_EIGEN_UP_TO = 500  # points; Lanczos above
# radius of gyration of a globular chain, 2.2 L^0.38 A (J. Skolnick et al., J. Mol. Biol. 265, 217, 1997); its diameter
# is about 2.5 times that
_DIAMETER = 2.5 * 2.2


class NoiseModel(NamedTuple):
    """Standard deviation of a distance d: ``sqrt(absolute^2 + (relative d)^2)``.

    Attributes
    ----------
    absolute_angstrom : float
    relative : float
    """

    absolute_angstrom: float
    relative: float

    def variance(self, distance: FloatArray) -> FloatArray:
        """Variance at given distances, never below (0.02 A)^2."""
        spread = self.absolute_angstrom**2 + (self.relative * distance) ** 2
        return np.maximum(spread, _SMALLEST_SIGMA_ANGSTROM**2)


def pairwise(points: Reals) -> FloatArray:
    """Distances [L, L] of the columns of `points` [D, L]."""
    points = points.astype(np.float64)
    squares = np.square(points).sum(axis=0)
    gram = squares[:, None] + squares[None, :] - 2.0 * (points.T @ points)
    return np.sqrt(np.maximum(gram, 1e-12))


def complete(distances: FloatArray, known: BoolArray, bonded: BoolArray) -> FloatArray:
    """Fill unknown distances by shortest paths over known ones and chain bonds (Isomap; J. B. Tenenbaum et al., 2000).

    Pairs that no path joins get the longest path found.

    Examples
    --------
    >>> D = np.array([[0, 3.8, np.nan], [3.8, 0, 5.0], [np.nan, 5.0, 0]])
    >>> round(float(complete(D, ~np.isnan(D), np.array([True, True, False]))[0, 2]), 6)
    8.8
    """
    paths = np.where(known, np.maximum(distances, 1e-3), np.inf)
    here = np.flatnonzero(bonded[:-1] & ~known[np.arange(len(known) - 1), np.arange(1, len(known))])
    paths[here, here + 1] = paths[here + 1, here] = BOND_ANGSTROM
    np.fill_diagonal(paths, 0.0)
    shorten(paths)
    reached = np.isfinite(paths)
    return paths if reached.all() else np.where(reached, paths, paths[reached].max())


def classical_scaling(distances: FloatArray, dimensions: int) -> FloatArray:
    """Embed a full distance matrix (W. S. Torgerson, Psychometrika 17, 401, 1952).

    Parameters
    ----------
    distances : array [L, L]
    dimensions : int

    Returns
    -------
    array [4, L]
        Coordinates in rows, largest spread first; rows beyond `dimensions` are 0.

    Examples
    --------
    >>> points = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 5]])
    >>> D = np.linalg.norm(points[:, None] - points, axis=-1)
    >>> bool(np.allclose(pairwise(classical_scaling(D, 3)), D, atol=1e-5))
    True
    """
    count, squares = len(distances), np.square(distances)
    rows = squares.mean(axis=0)
    gram = -0.5 * (squares - rows[:, None] - rows[None, :] + rows.mean())
    kept = min(dimensions, count - 1)
    if count <= _DENSE_EIGEN_UP_TO:
        values, vectors = eigh(gram, subset_by_index=[count - kept, count - 1], check_finite=False)
    else:
        values, vectors = eigsh(gram, k=kept, which="LA", v0=np.cos(np.arange(count)), tol=1e-4)
    order = np.argsort(-values)
    signs = np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(kept)] < 0.0, -1.0, 1.0)
    points = np.zeros((4, count))
    points[:kept] = (vectors * signs * np.sqrt(np.maximum(values, 1e-6))).T[order]
    return points


def noise_of_bonds(distances: FloatArray, known: BoolArray, bonded: BoolArray) -> float:
    """Variance of the noise from known distances of chain neighbours, which are 3.8 A (square angstrom).

    Robust against outliers, and drawn towards 1 with the weight of three bonds: some data have none.
    """
    here = np.flatnonzero(bonded[:-1] & known[np.arange(len(known) - 1), np.arange(1, len(known))])
    squares = np.square(distances[here, here + 1] - BOND_ANGSTROM)
    if len(squares):
        squares = np.minimum(squares, 9.0 * np.median(squares) + 1e-3)
    return float(squares.sum() + 3.0) / (len(squares) + 3.0)


def fit_noise(residuals: FloatArray, distances: FloatArray, inflation: float) -> NoiseModel:
    """Fit the noise model to residuals of a structure.

    Parameters
    ----------
    residuals : array [M]
        Given minus fitted distance, angstrom.
    distances : array [M]
        Fitted distance.
    inflation : float
        M over M minus the degrees of freedom: a fit is closer to the data than the truth.

    Returns
    -------
    NoiseModel

    Notes
    -----
    Variances come from the median absolute residual in bins of equal size, so that single wild distances do not count.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> d = generator.uniform(4, 40, 20_000)
    >>> model = fit_noise(generator.normal(size=20_000) * 0.1 * d, d, 1.0)
    >>> round(model.absolute_angstrom, 1) < 0.3, round(model.relative, 2)
    (True, 0.1)
    """
    order = np.argsort(distances)
    parts = np.array_split(order, max(3, min(12, len(order) // 40)))
    parts = [part for part in parts if len(part)]
    robust = [1.4826 * float(np.median(np.abs(residuals[part]))) for part in parts]
    variance = np.array([max(_SMALLEST_SIGMA_ANGSTROM**2, inflation * one**2) for one in robust])
    squares = np.array([float(np.mean(np.square(distances[part]))) for part in parts])
    design = np.stack([np.ones(len(parts)), squares], axis=1)
    level = variance
    solution = np.zeros(2)
    for _ in range(4):  # relative errors of variances are equal: weigh by the current fit
        solution = nnls(design / level[:, None], variance / level)[0]
        level = np.maximum(design @ solution, 1e-6)
    return NoiseModel(float(np.sqrt(solution[0])), float(np.sqrt(solution[1])))


def estimate_cutoff(distances: FloatArray, known: BoolArray, sigma_angstrom: float) -> float | None:
    """Distance above which pairs were left out; None when what is missing has nothing to do with distance.

    Pairs are taken as cut off when most neighbours i, i+1 and i, i+2 are known and nothing known is as long as the
    chain should be wide.
    """
    if known.sum() == known.size - len(known):
        return None
    gap = np.abs(np.subtract.outer(np.arange(len(known)), np.arange(len(known))))
    near = (gap > 0) & (gap <= 2)
    width = _DIAMETER * len(known) ** 0.38
    if known[near].mean() <= 0.5 or distances[known].max() >= 0.6 * width:
        return None
    return float(np.quantile(distances[known], 0.995) - 0.5 * sigma_angstrom)
