"""Gaussian process regression by Cholesky factors, with lengthscales from the marginal likelihood.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006): algorithm 2.1 (posterior),
   equations 5.8 and 5.9 (marginal likelihood and its gradient), equation 4.17 (Matern 5/2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, FloatArray, IntArray

__all__ = ["GaussianProcess", "matern52"]

_SQRT5 = np.sqrt(5.0)
_JITTER = 1e-10
_LOG_BOUNDS = {"length": (np.log(0.03), np.log(30.0)), "signal": (np.log(0.05), np.log(20.0))}
_NOISE_BOUNDS = (np.log(1e-8), np.log(1.0))


def matern52(squared_distance: FloatArray) -> FloatArray:
    """Return the Matern 5/2 correlation of scaled squared distances (Rasmussen and Williams, equation 4.17).

    Examples
    --------
    >>> float(matern52(np.array(0.0)))
    1.0
    """
    root = _SQRT5 * np.sqrt(squared_distance)
    return np.asarray((1.0 + root + root**2 / 3.0) * np.exp(-root))


class GaussianProcess:
    """Gaussian process with an anisotropic Matern 5/2 kernel and Gaussian noise; targets are standardised inside.

    Parameters
    ----------
    groups : int array [M], optional
        Group of each input column; columns of a group share a lengthscale. One group a column when absent.
    lengthscales : array [G], optional
        Lengthscales to keep; found by maximum likelihood when absent.
    signal_variance, noise_variance : float, optional
        In units of the standardised targets. To keep as given; found by maximum likelihood when `lengthscales` is
        absent.
    standardise : bool, default True
        Whether targets are brought to mean 0 and variance 1 first.

    Notes
    -----
    A lognormal prior on each lengthscale (location grows with the square root of the number of groups, as Hvarfner et
    al. 2024 propose, equation 7) keeps the fit sane with few observations. Fitting is cubic in the number of
    observations.

    Examples
    --------
    >>> x = np.linspace(0, 1, 8)[:, None]
    >>> mean, sigma = GaussianProcess().fit(x, np.sin(6 * x[:, 0])).predict(np.array([[0.5]]))
    >>> bool(abs(mean[0] - np.sin(3.0)) < 0.05)
    True
    """

    def __init__(
        self,
        *,
        groups: IntArray | None = None,
        lengthscales: ArrayLike | None = None,
        signal_variance: float = 1.0,
        noise_variance: float = 1e-4,
        standardise: bool = True,
    ) -> None:
        self.groups = groups
        self.fixed = lengthscales is not None
        self.lengthscales = None if lengthscales is None else np.asarray(lengthscales, dtype=np.float64)
        self.signal_variance = float(signal_variance)
        self.noise_variance = float(noise_variance)
        self.standardise = standardise

    def fit(self, x: ArrayLike, y: ArrayLike, *, start: GaussianProcess | None = None) -> Self:
        """Condition on observations.

        Parameters
        ----------
        x : array [n, M]
        y : array [n]
        start : GaussianProcess, optional
            A fitted process whose lengthscales are where the search begins, instead of the middle of the prior; the
            middle is tried as well whenever n is a multiple of five.

        Raises
        ------
        InputError
            If the shapes differ, there is no observation, or a number is not finite.
        """
        inputs, targets = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if inputs.ndim != 2 or targets.shape != inputs.shape[:1] or not len(targets):
            raise InputError(f"`x` must be [n, M] and `y` [n], n >= 1, found {inputs.shape} and {targets.shape}")
        if not np.isfinite(inputs).all() or not np.isfinite(targets).all():
            raise InputError("`x` and `y` must be finite")
        if self.groups is None:
            self.groups = np.arange(inputs.shape[1])
        self.shift = float(targets.mean()) if self.standardise else 0.0
        self.scale = (float(targets.std()) or 1.0) if self.standardise else 1.0
        self._x = inputs
        self._y = (targets - self.shift) / self.scale
        if not self.fixed:
            self._maximise_likelihood(start)
        self._factorise()
        return self

    def _distances(self) -> FloatArray:
        """Return squared distances of each group [G, n, n]."""
        groups = np.asarray(self.groups)
        parts = np.zeros((int(groups.max()) + 1, len(self._x), len(self._x)))
        for column, group in enumerate(groups):
            parts[group] += (self._x[:, None, column] - self._x[None, :, column]) ** 2
        return parts

    def _maximise_likelihood(self, start: GaussianProcess | None) -> None:
        parts = self._distances()
        count = len(parts)
        centre = np.log(0.4) + 0.5 * np.log(max(count, 1))
        default = np.concatenate([np.full(count, centre), [0.0, np.log(1e-3)]])
        starts = [default]
        if start is not None and start.lengthscales is not None and len(start.lengthscales) == count:
            warm = np.log([*start.lengthscales, start.signal_variance, max(start.noise_variance, 1e-8)])
            starts = [warm, default] if len(self._y) % 5 == 0 else [warm]
        bounds = [_LOG_BOUNDS["length"]] * count + [_LOG_BOUNDS["signal"], _NOISE_BOUNDS]
        best = None
        for first in starts:
            found = minimize(
                self._loss, first, args=(parts, centre), jac=True, bounds=bounds, method="L-BFGS-B",
                options={"maxiter": 40},
            )  # fmt: skip
            if best is None or found.fun < best.fun:
                best = found
        values = np.exp(best.x if best is not None else default)
        self.lengthscales, self.signal_variance = values[:count], float(values[count])
        self.noise_variance = float(values[count + 1])

    def _loss(self, logs: FloatArray, parts: FloatArray, centre: float) -> tuple[float, FloatArray]:
        """Return the negative log posterior of the kernel's parameters and its gradient."""
        count = len(parts)
        inverse = np.exp(-2.0 * logs[:count])
        squared = np.tensordot(inverse, parts, axes=1)
        root = _SQRT5 * np.sqrt(squared)
        decay = np.exp(-root)
        signal, noise = np.exp(logs[count]), np.exp(logs[count + 1])
        correlation = (1.0 + root + root**2 / 3.0) * decay
        size = len(self._y)
        factor = _robust_cholesky(signal * correlation + noise * np.eye(size))
        weights = cho_solve((factor, True), self._y)
        loss = 0.5 * self._y @ weights + np.log(np.diag(factor)).sum()
        # d log p = 1/2 tr((a a^T - K^-1) dK): equation 5.9 of Rasmussen and Williams.
        slope = 0.5 * (cho_solve((factor, True), np.eye(size)) - np.outer(weights, weights))
        # dk/d log l of the Matern 5/2 is 5/3 (1 + r) e^-r times the scaled squared distance of that group.
        common = slope * signal * (5.0 / 3.0) * (1.0 + root) * decay
        gradient = np.empty_like(logs)
        gradient[:count] = inverse * np.tensordot(parts, common, axes=2)
        gradient[count] = signal * float((slope * correlation).sum())
        gradient[count + 1] = noise * float(np.trace(slope))
        spread = 1.0
        away = logs[:count] - centre
        loss += 0.5 * float((away**2).sum()) / spread**2
        gradient[:count] += away / spread**2
        low = logs[count + 1] - np.log(1e-4)
        loss += 0.5 * float(low**2) / 4.0**2
        gradient[count + 1] += low / 4.0**2
        return float(loss), gradient

    def _kernel(self, left: FloatArray, right: FloatArray) -> FloatArray:
        scale = np.asarray(self.lengthscales)[np.asarray(self.groups)]
        a, b = left / scale, right / scale
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * a @ b.T
        return self.signal_variance * matern52(np.maximum(squared, 0.0))

    def _factorise(self) -> None:
        gram = self._kernel(self._x, self._x)
        gram[np.diag_indices_from(gram)] = self.signal_variance + self.noise_variance
        self._factor = _robust_cholesky(gram)
        self._weights = cho_solve((self._factor, True), self._y)

    def predict(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the noise-free function at `x` [m, M], each [m]."""
        inputs = np.asarray(x, dtype=np.float64)
        cross = self._kernel(inputs, self._x)
        mean = cross @ self._weights
        half = solve_triangular(self._factor, cross.T, lower=True)
        variance = np.maximum(self.signal_variance - (half**2).sum(0), 1e-14)
        return self.shift + self.scale * mean, self.scale * np.sqrt(variance)

    def log_marginal_likelihood(self) -> float:
        """Return the log marginal likelihood of the standardised targets (equation 5.8)."""
        half = float(self._y @ self._weights)
        return -0.5 * half - float(np.log(np.diag(self._factor)).sum()) - 0.5 * len(self._y) * np.log(2 * np.pi)


def _robust_cholesky(matrix: FloatArray) -> FloatArray:
    """Factorise, with a growing multiple of the identity added where rounding made the matrix indefinite."""
    jitter = _JITTER
    while True:
        try:
            return np.asarray(cholesky(matrix + jitter * np.eye(len(matrix)), lower=True))
        except np.linalg.LinAlgError:
            jitter *= 10.0
            if jitter > 1.0:
                raise
