"""Bayesian optimisation over conditional spaces: acquisition functions and the strategy that maximises them.

References
----------
.. [1] D. R. Jones, M. Schonlau, W. J. Welch, Efficient global optimization of expensive black-box functions, J. Global
   Optimization 13 (1998), equation 15 (expected improvement).
.. [2] D. D. Cox, S. John, SDO: a statistical method for global optimization (1997): the lower confidence bound.
.. [3] K. Swersky et al., Raiders of the lost architecture: kernels for Bayesian optimization in conditional parameter
   spaces (2014), section 2: the arc embedding.
.. [4] D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is well-suited to parallelize optimization (2010), section
   4.2: the kriging believer, used for trials that are still running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from gnnlib.search.gp import GaussianProcess
from gnnlib.search.spaces import Categorical, Space

if TYPE_CHECKING:
    from gnnlib.search.spaces import Point
    from gnnlib.search.strategies import History, SearchOptions
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["BayesStrategy", "Embedding", "expected_improvement", "lower_confidence_bound"]

_SCREENED = 600
_REFINED = 6
_ROUNDS = 7
_OFFSPRING = 24
_MAX_OBSERVATIONS = 400


def expected_improvement(mean: FloatArray, sigma: FloatArray, best: float) -> FloatArray:
    """Return how much below `best` a minimised value is expected to fall (Jones et al. 1998, equation 15).

    Parameters
    ----------
    mean, sigma : array [n]
        Posterior mean and standard deviation, sigma > 0.
    best : float
        Smallest value so far.

    Examples
    --------
    >>> float(expected_improvement(np.array([0.0]), np.array([1.0]), 0.0)[0].round(6))
    0.398942
    """
    gain = (best - mean) / sigma
    density = np.exp(-0.5 * gain**2) / np.sqrt(2.0 * np.pi)
    return np.asarray(sigma * (gain * ndtr(gain) + density))


def lower_confidence_bound(mean: FloatArray, sigma: FloatArray, kappa: float = 2.0) -> FloatArray:
    """Return ``mean - kappa * sigma``, which a minimiser looks for the lowest of (Cox and John 1997).

    Examples
    --------
    >>> float(lower_confidence_bound(np.array([1.0]), np.array([0.25]), 2.0)[0])
    0.5
    """
    return np.asarray(mean - kappa * sigma)


class Embedding:
    """Points of a conditional space as vectors on which any stationary kernel is valid.

    A number that always exists stays itself. One that depends on others becomes a point on an arc, or the origin where
    it does not exist, so that its value plays no part there (Swersky et al. 2014). A category becomes the corner of a
    simplex with edges of length one.

    Parameters
    ----------
    space : Space

    Attributes
    ----------
    groups : int array [M]
        Number of the parameter that each column belongs to.

    Examples
    --------
    >>> from gnnlib.search.spaces import Float
    >>> Embedding(Space({"x": Float(0, 1), "y": Float(0, 1)}))(np.array([[0.25, 1.0]]), np.ones((1, 2), bool))
    array([[0.25, 1.  ]])
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        groups: list[int] = []
        for position, parameter in enumerate(space.parameters.values()):
            if isinstance(parameter, Categorical):
                groups += [position] * len(parameter.choices)
            else:
                groups += [position] * (2 if parameter.when else 1)
        self.groups: IntArray = np.array(groups)

    def __call__(self, unit: FloatArray, active: BoolArray) -> FloatArray:
        """Return vectors [n, M] of points given as in `Space.encode`, each [n, D]."""
        columns: list[FloatArray] = []
        for position, parameter in enumerate(self.space.parameters.values()):
            place, exists = unit[:, position], active[:, position].astype(np.float64)
            if isinstance(parameter, Categorical):
                count = len(parameter.choices)
                index = np.minimum((place * count).astype(np.int64), count - 1)
                columns += list((np.eye(count)[index] / np.sqrt(2.0) * exists[:, None]).T)
            elif parameter.when:
                columns += [exists * np.cos(0.5 * np.pi * place), exists * np.sin(0.5 * np.pi * place)]
            else:
                columns.append(place)
        return np.stack(columns, axis=1)


class BayesStrategy:
    """Propose the point at which the acquisition function of a Gaussian process is best."""

    def __init__(self, space: Space, options: SearchOptions, rng: np.random.Generator) -> None:
        self.space, self.options, self.rng = space, options, rng
        self.embedding = Embedding(space)
        self.model: GaussianProcess | None = None

    def propose(self, history: History) -> tuple[Point, float] | None:
        """Return a point and its fidelity, which is always the full one."""
        initial = self.options.initial or min(2 * len(self.space) + 2, 10)
        if len(history.values) + len(history.pending) < initial or len(history.values) < 2:
            return self._initial(len(history.points) + len(history.pending)), 1.0
        unit, active, values = history.encoded(self.space, _MAX_OBSERVATIONS)
        embedded = self.embedding(unit, active)
        self.model = GaussianProcess(groups=self.embedding.groups).fit(embedded, values, start=self.model)
        model = self._believing(history, embedded, values)
        best = float(values.min())
        chosen = self._maximise(model, best, unit[np.argsort(values, kind="stable")[:_REFINED]], history)
        return self.space.decode(chosen), 1.0

    def _initial(self, number: int) -> Point:
        # A Sobol sequence covers the space more evenly than independent draws.
        from scipy.stats import qmc

        if not hasattr(self, "_sobol"):
            draw = qmc.Sobol(len(self.space), rng=np.random.default_rng(self.rng.integers(2**32)))
            self._sobol = draw.random(64)
        return self.space.decode(self._sobol[number % 64])

    def _believing(self, history: History, embedded: FloatArray, values: FloatArray) -> GaussianProcess:
        """Return the model with running trials taken at their expected value."""
        model = self.model
        if model is None or not history.pending or model.lengthscales is None:
            return model or GaussianProcess().fit(embedded, values)
        coded = [self.space.encode(point) for point in history.pending]
        waiting = self.embedding(np.stack([c[0] for c in coded]), np.stack([c[1] for c in coded]))
        believer = GaussianProcess(
            groups=self.embedding.groups,
            lengthscales=model.lengthscales,
            signal_variance=model.signal_variance,
            noise_variance=model.noise_variance,
        )
        return believer.fit(np.vstack([embedded, waiting]), np.concatenate([values, model.predict(waiting)[0]]))

    def _score(self, model: GaussianProcess, unit: FloatArray, best: float) -> FloatArray:
        mean, sigma = model.predict(self.embedding(unit, self._active(unit)))
        if self.options.acquisition == "lcb":
            return -lower_confidence_bound(mean, sigma, self.options.kappa)
        # Far below the best, improvements underflow; their order is that of the standardised gap.
        gain = expected_improvement(mean, sigma, best)
        return np.where(gain > 1e-280, np.log(np.maximum(gain, 1e-280)), -1e3 + (best - mean) / sigma)

    def _active(self, unit: FloatArray) -> BoolArray:
        conditional = any(parameter.when for parameter in self.space.parameters.values())
        if not conditional:
            return np.ones(unit.shape, dtype=np.bool_)
        return np.stack([[name in point for name in self.space.names] for point in map(self.space.decode, unit)])

    def _maximise(self, model: GaussianProcess, best: float, elite: FloatArray, history: History) -> FloatArray:
        """Screen random points and neighbours of the best ones, then refine by ever smaller random steps."""
        size = len(self.space)
        near = np.repeat(elite, 20, axis=0)
        pool = np.vstack([self.rng.random((_SCREENED, size)), self._moved(near, 0.1)])
        scores = self._score(model, pool, best)
        for round_number in range(_ROUNDS):
            top = pool[np.argsort(-scores, kind="stable")[:_REFINED]]
            fresh = self._moved(np.repeat(top, _OFFSPRING, axis=0), 0.12 * 0.45**round_number)
            pool = np.vstack([top, fresh])
            scores = self._score(model, pool, best)
        known = {self.space.key(point) for point in (*history.points, *history.pending)}
        for index in np.argsort(-scores, kind="stable"):
            if self.space.key(self.space.decode(pool[index])) not in known:
                return np.asarray(pool[index])
        return self.rng.random(size)

    def _moved(self, unit: FloatArray, sigma: float) -> FloatArray:
        """Perturb some entries: numbers by Gaussian steps, categories by a fresh draw."""
        moved = unit + sigma * self.rng.standard_normal(unit.shape)
        kept = self.rng.random(unit.shape) > max(0.5, 1.0 / unit.shape[1])
        for position, parameter in enumerate(self.space.parameters.values()):
            if isinstance(parameter, Categorical):
                fresh = self.rng.random(len(unit))
                moved[:, position] = np.where(
                    self.rng.random(len(unit)) < min(sigma * 2, 0.2), fresh, unit[:, position]
                )
                kept[:, position] = False
        return np.clip(np.where(kept, unit, moved), 0.0, 1.0)
