"""What five residues in a row look like: a Gaussian mixture over stretches of a CA trace, learned from real chains.

A stretch is described by six distances (i, i+2), (i+1, i+3), (i+2, i+4), (i, i+3), (i+1, i+4), (i, i+4) and the two
triple products of its virtual bonds, which change sign in the mirror: so the mixture knows which hand is right. It was
fitted by `gnnlib.heads.protein.training.train_chain_prior`; its numbers and their card lie in
``gnnlib/weights/protein_chain_prior.json``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnlib.errors import WeightsError

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["FEATURE_PAIRS", "PRIOR_FILE", "ChainPrior", "load_chain_prior", "stretch_features", "stretches"]

PRIOR_FILE = Path(__file__).resolve().parents[3] / "weights" / "protein_chain_prior.json"
FEATURE_PAIRS = ((0, 2), (1, 3), (2, 4), (0, 3), (1, 4), (0, 4))
STRETCH = 5


class ChainPrior(NamedTuple):
    """A mixture of K Gaussians over the eight features of a stretch.

    Attributes
    ----------
    offsets : array [K]
        Log of weight over normalisation.
    means : array [K, 8]
        Six distances in angstrom, two triple products in 10 cubic angstrom.
    precisions : array [K, 8, 8]
        Inverse covariances.
    """

    offsets: FloatArray
    means: FloatArray
    precisions: FloatArray

    @classmethod
    def from_mixture(cls, weights: FloatArray, means: FloatArray, covariances: FloatArray) -> ChainPrior:
        """Precompute what the energy needs."""
        logdet = np.linalg.slogdet(covariances)[1]
        offsets = np.log(weights) - 0.5 * logdet - 0.5 * means.shape[1] * np.log(2.0 * np.pi)
        return cls(offsets, means, np.ascontiguousarray(np.linalg.inv(covariances)))

    def products(self) -> tuple[FloatArray, FloatArray]:
        """Write the exponents as polynomials.

        Returns
        -------
        centre : array [8]
            Mean of the features, from which they are to be measured.
        coefficients : array [K, 45]
            Of the products of two features (first not after second), of the features and of 1 in
            ``-0.5 (f - mean) precision (f - mean)``.
        """
        share = np.exp(self.offsets + 0.5 * np.linalg.slogdet(np.linalg.inv(self.precisions))[1])
        centre = share @ self.means / share.sum()
        off = self.means - centre
        first, second = np.triu_indices(off.shape[1])
        squares = np.where(first == second, -0.5, -1.0) * self.precisions[:, first, second]
        linear = np.einsum("kij,kj->ki", self.precisions, off)
        rest = -0.5 * np.sum(linear * off, axis=1, keepdims=True)
        return centre, np.concatenate([squares, linear, rest], axis=1)

    def log_density(self, features: FloatArray) -> FloatArray:
        """Log density of stretches [M, 8]."""
        off = features[:, None, :] - self.means[None]
        quadratic = np.einsum("mki,kij,mkj->mk", off, self.precisions, off)
        terms = self.offsets - 0.5 * quadratic
        top = terms.max(axis=1)
        return top + np.log(np.exp(terms - top[:, None]).sum(axis=1))


@cache
def load_chain_prior() -> ChainPrior:
    """Read the mixture that ships with the library.

    Raises
    ------
    WeightsError
        If the file is missing or damaged.

    Examples
    --------
    >>> load_chain_prior().means.shape[1]
    8
    """
    try:
        content = json.loads(PRIOR_FILE.read_text(encoding="utf-8"))
        arrays = [np.array(content[key], dtype=np.float64) for key in ("weights", "means", "covariances")]
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"cannot read the chain prior {PRIOR_FILE}: {error}") from error
    return ChainPrior.from_mixture(*arrays)


def stretches(bonded: BoolArray) -> BoolArray:
    """Whether residues i .. i+4 are one unbroken stretch [L], from whether i is bonded to i+1 [L].

    Examples
    --------
    >>> stretches(np.array([True, True, True, True, False, False])).tolist()
    [True, False, False, False, False, False]
    """
    whole = np.zeros(len(bonded), dtype=bool)
    if len(bonded) >= STRETCH:
        whole[: 1 - STRETCH] = np.lib.stride_tricks.sliding_window_view(bonded[:-1], STRETCH - 1).all(axis=1)
    return whole


def stretch_features(ca: FloatArray) -> FloatArray:
    """Describe every five residues in a row.

    Parameters
    ----------
    ca : array [L, 3]
        L >= 5.

    Returns
    -------
    array [L-4, 8]

    Examples
    --------
    >>> line = np.outer(np.arange(6.0), [3.8, 0, 0])
    >>> stretch_features(line)[0].round(1).tolist()
    [7.6, 7.6, 7.6, 11.4, 11.4, 15.2, 0.0, 0.0]
    """
    count = len(ca) - STRETCH + 1
    part = [ca[k : k + count] for k in range(STRETCH)]
    lengths = [np.linalg.norm(part[q] - part[p], axis=1) for p, q in FEATURE_PAIRS]
    bonds = [part[k + 1] - part[k] for k in range(STRETCH - 1)]
    products = [0.1 * np.sum(np.cross(bonds[k], bonds[k + 1]) * bonds[k + 2], axis=1) for k in range(2)]
    return np.stack([*lengths, *products], axis=1)
