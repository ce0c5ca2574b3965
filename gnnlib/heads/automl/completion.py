"""Completion of a table of scores: low-rank factors by alternating least squares, with side information on the rows.

A new row is known by its side information alone, by a few probed entries, or by both; probes are chosen so that they
determine the row's factors best.

References
----------
.. [1] Y. Koren, R. Bell, C. Volinsky, Matrix factorization techniques for recommender systems, IEEE Computer 42 (2009):
   alternating least squares.
.. [2] N. Fusi, R. Sheth, M. Elibol, Probabilistic matrix factorization for automated machine learning, NeurIPS (2018).
.. [3] C. Yang, Y. Akimoto, D. W. Kim, M. Udell, OBOE: collaborative filtering for AutoML model selection, KDD (2019):
   section 4, experiment design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from gnnlib.errors import InputError
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.seeding import Seed
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray

__all__ = ["MatrixCompletion", "choose_rank", "design_probes"]


@dataclass(frozen=True)
class _Table:
    values: FloatArray
    known: BoolArray
    side: FloatArray


class MatrixCompletion:
    """Low-rank model ``score[d, p] = mean[p] + u[d] . v[p]`` whose row factors lean on side information.

    Minimises the squared error of the known entries plus ``penalty * (|u[d] - x[d] W|^2 + |v[p]|^2)`` and a ridge on W,
    in turn for u, v and W.

    Parameters
    ----------
    rank : int >= 1, default 8
    penalty : float > 0, default 0.1
        In units of the variance of the table's known entries.
    side_penalty : float > 0, default 30
        Ridge on W.
    iterations : int >= 1, default 25
    seed : int, default 0

    Attributes
    ----------
    row_factors_ : array [D, rank]
    column_factors_ : array [P, rank]
    column_means_ : array [P]
    side_weights_ : array [F, rank]

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 12))
    >>> holes = table.copy()
    >>> holes[rng.random(table.shape) < 0.3] = np.nan
    >>> filled = MatrixCompletion(rank=2, penalty=1e-3).fit(holes).completed()
    >>> bool(np.abs(filled - table).max() < 0.1)
    True
    """

    def __init__(
        self,
        *,
        rank: int = 8,
        penalty: float = 0.1,
        side_penalty: float = 30.0,
        iterations: int = 25,
        seed: Seed = 0,
    ) -> None:
        for name, count in (("rank", rank), ("iterations", iterations)):
            if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
                raise InputError(f"`{name}` must be an integer >= 1, found {count!r}")
        for name, number in (("penalty", penalty), ("side_penalty", side_penalty)):
            if not math.isfinite(number) or number <= 0:
                raise InputError(f"`{name}` must be a finite number > 0, found {number!r}")
        self.rank, self.penalty, self.side_penalty = int(rank), float(penalty), float(side_penalty)
        self.iterations, self.seed = int(iterations), seed

    def fit(self, table: ArrayLike, side: ArrayLike | None = None) -> Self:
        """Find the factors.

        Parameters
        ----------
        table : array [D, P]
            NaN where unknown; every column needs a known entry.
        side : array [D, F], optional
            Side information of the rows, without NaN, each column about of unit size.

        Raises
        ------
        InputError
            If shapes do not fit, side information is not finite or a column is unknown altogether.
        """
        data = self._checked(table, side)
        with np.errstate(invalid="ignore"):
            self.column_means_: FloatArray = np.asarray(np.nansum(data.values, axis=0) / data.known.sum(axis=0))
        centred = np.where(data.known, data.values - self.column_means_, 0.0)
        self._ridge = self.penalty * max(float((centred**2).sum() / data.known.sum()), 1e-12) * self.rank
        rng = numpy_generator(self.seed)
        # The leading singular vectors of the table with its holes at the mean are a good start.
        _, singular, right = np.linalg.svd(centred, full_matrices=False)
        use = min(self.rank, len(singular))
        self.column_factors_: FloatArray = 1e-3 * rng.standard_normal((data.values.shape[1], self.rank))
        self.column_factors_[:, :use] += right[:use].T * np.sqrt(singular[:use] + 1e-12) / len(centred) ** 0.25
        self.side_weights_: FloatArray = np.zeros((data.side.shape[1], self.rank))
        gram = data.side.T @ data.side + self.side_penalty * np.eye(data.side.shape[1])
        for _ in range(self.iterations):
            lean = data.side @ self.side_weights_
            self.row_factors_: FloatArray = self._solve(centred, data.known, self.column_factors_, lean)
            self.side_weights_ = np.asarray(np.linalg.solve(gram, data.side.T @ self.row_factors_))
            zero = np.zeros((centred.shape[1], self.rank))
            self.column_factors_ = self._solve(centred.T, data.known.T, self.row_factors_, zero)
            rest = np.where(data.known, data.values - self.row_factors_ @ self.column_factors_.T, 0.0)
            self.column_means_ = np.asarray(rest.sum(axis=0) / data.known.sum(axis=0))
            centred = np.where(data.known, data.values - self.column_means_, 0.0)
        return self

    def _checked(self, table: ArrayLike, side: ArrayLike | None) -> _Table:
        values = np.asarray(table, dtype=np.float64)
        if values.ndim != 2 or not values.size:
            raise InputError(f"`table` must be [D, P] with at least one entry, found shape {values.shape}")
        if np.isinf(values).any():
            raise InputError(f"`table` must hold numbers or NaN, found infinity at {np.argwhere(np.isinf(values))[0]}")
        known = np.isfinite(values)
        if not known.any(axis=0).all():
            column = int(np.argmin(known.any(axis=0)))
            raise InputError(f"every column of `table` needs a known entry, column {column} has none")
        more = np.zeros((len(values), 0)) if side is None else np.asarray(side, dtype=np.float64)
        if more.ndim != 2 or len(more) != len(values) or not np.isfinite(more).all():
            raise InputError(f"`side` must be finite, one row for each of {len(values)}, found shape {more.shape}")
        return _Table(values, known, more)

    def _solve(self, centred: FloatArray, known: BoolArray, other: FloatArray, lean: FloatArray) -> FloatArray:
        """Return the ridge solutions of all rows against the fixed factors `other`, drawn to `lean`."""
        outer = other[:, :, None] * other[:, None, :]
        gram = np.tensordot(known.astype(np.float64), outer, axes=1) + self._ridge * np.eye(self.rank)
        right = centred @ other + self._ridge * lean
        return np.asarray(np.linalg.solve(gram, right[:, :, None])[:, :, 0])

    def completed(self) -> FloatArray:
        """Return the model's value of every entry [D, P]."""
        return np.asarray(self.column_means_ + self.row_factors_ @ self.column_factors_.T)

    def predict_row(self, side: ArrayLike | None = None, observed: dict[int, float] | None = None) -> FloatArray:
        """Return a new row [P] from its side information [F], probed entries, or both.

        Raises
        ------
        InputError
            If the side information has another length than in `fit`, or an observed column does not exist.
        """
        size = len(self.side_weights_)
        given = np.zeros(size) if side is None else np.asarray(side, dtype=np.float64)
        if given.shape != (size,) or not np.isfinite(given).all():
            raise InputError(f"`side` must hold {size} finite numbers, found shape {given.shape}")
        lean = given @ self.side_weights_
        columns = sorted(observed or {})
        if any(not 0 <= column < len(self.column_means_) for column in columns):
            raise InputError(f"observed columns must be in [0, {len(self.column_means_)}), found {columns}")
        factors: FloatArray = np.asarray(lean)
        if columns:
            part = self.column_factors_[columns]
            values = np.array([(observed or {})[column] for column in columns]) - self.column_means_[columns]
            gram = part.T @ part + self._ridge * np.eye(self.rank)
            factors = np.asarray(np.linalg.solve(gram, part.T @ values + self._ridge * lean))
        return np.asarray(self.column_means_ + self.column_factors_ @ factors)


def choose_rank(
    table: ArrayLike,
    side: ArrayLike | None = None,
    *,
    ranks: Sequence[int] = (2, 4, 8, 12),
    folds: int = 5,
    seed: Seed = 0,
) -> int:
    """Return the rank with the least squared error on entries left out, by cross-validation.

    Raises
    ------
    InputError
        If the table is too sparse to leave entries out, or an argument is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 40)) + 0.05 * rng.standard_normal((60, 40))
    >>> choose_rank(table, ranks=(1, 3, 6))
    3
    """
    values = np.asarray(table, dtype=np.float64)
    known = np.argwhere(np.isfinite(values))
    if not len(ranks) or folds < 2 or len(known) < 2 * folds:
        raise InputError(f"needs ranks, two folds and entries enough, found {len(known)} entries and {folds} folds")
    fold = numpy_generator(seed).permutation(np.arange(len(known)) % folds)
    errors = []
    for rank in ranks:
        total = 0.0
        for held in range(folds):
            masked = values.copy()
            rows, columns = known[fold == held].T
            masked[rows, columns] = np.nan
            # A column that lost all of its entries keeps its first.
            lost = ~np.isfinite(masked).any(axis=0)
            masked[:, lost] = values[:, lost]
            guess = MatrixCompletion(rank=rank, penalty=0.02, iterations=12, seed=seed).fit(masked, side).completed()
            total += float(((guess - values)[rows, columns] ** 2).sum())
        errors.append(total)
    return int(ranks[int(np.argmin(errors))])


def design_probes(
    column_factors: ArrayLike, count: int, *, costs: ArrayLike | None = None, budget: float = math.inf
) -> list[int]:
    """Return the columns whose entries determine a row's factors best (greedy D-optimal design, Yang et al. 2019).

    Parameters
    ----------
    column_factors : array [P, rank]
    count : int >= 1
        At most so many.
    costs : array [P], optional
        Cost of each probe; the information gained per cost is what is maximised then.
    budget : float, default infinity
        Largest sum of costs.

    Raises
    ------
    InputError
        If a shape or number does not fit.

    Examples
    --------
    >>> design_probes([[1.0, 0.0], [0.9, 0.0], [0.0, 0.5]], 2)
    [0, 2]
    """
    factors = np.asarray(column_factors, dtype=np.float64)
    price = np.ones(len(factors)) if costs is None else np.asarray(costs, dtype=np.float64)
    if factors.ndim != 2 or price.shape != (len(factors),) or not (price > 0).all():
        raise InputError(f"needs factors [P, rank] and positive costs [P], found {factors.shape} and {price.shape}")
    if count < 1:
        raise InputError(f"`count` must be >= 1, found {count!r}")
    inverse = np.eye(factors.shape[1]) * 1e3 / max(float((factors**2).mean()), 1e-12)
    chosen: list[int] = []
    left = budget
    while len(chosen) < min(count, len(factors)):
        # Adding a row v multiplies the determinant by 1 + v' A^-1 v.
        gain = np.log1p(np.einsum("pr,rs,ps->p", factors, inverse, factors)) / price
        gain[chosen] = -np.inf
        gain[price > left] = -np.inf
        best = int(np.argmax(gain))
        if gain[best] == -np.inf:
            break
        chosen.append(best)
        left -= float(price[best])
        step = inverse @ factors[best]
        inverse = inverse - np.outer(step, step) / (1.0 + factors[best] @ step)
    return chosen
