"""From what a data set looks like, and what was tried on it, to the next pipeline to try.

Three forests weigh the known data sets; the weighted table of regrets gives the first pipeline, and greedy selection
under the weights those that complement it (a conditional portfolio). Results on the new data set sharpen the weights:
data sets on which the tried pipelines stood in the same relation count for more. After some results the differences that
are left are small, and expected improvement under a Gaussian model of the residuals takes over.
"""

from __future__ import annotations

import functools
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.dataset_graph_forest import SimilarityForest
from gnnlib.heads.automl.recommend_data import FEATURES, FeatureScale, MetaData, beyond_known
from gnnlib.search.bayesopt import expected_improvement
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.seeding import Seed
    from gnnlib.typing import AnyArray, BoolArray, FloatArray, PathLike

__all__ = ["PolicySettings", "Query", "Recommender"]

#: Features of the first forest: counts and shapes, the ones that exist for nearly every table.
_FEW = tuple(name for name in FEATURES if not name.startswith(("Min", "Max", "Quartile")) or name.startswith("M"))


_FEWEST = 8
"""Fewer data sets cannot be told apart by trees; all then count alike."""


VIEWS = ("counts and means", "all meta-features", "meta-features and words")
"""What each of the three forests looks at."""

_SMALL = 0.005
"""Differences of errors below this are noise."""

_LEVEL = 0.2
"""Data sets whose best errors differ by this are of different difficulty."""


@dataclass(frozen=True)
class PolicySettings:
    """How the recommender chooses.

    Parameters
    ----------
    trees : int, default 120
        Trees of each of the three forests.
    candidates : int, default 40
        The first pipeline is one of so many that are best on the mean: predictions of 200 have winners by luck.
    trust_first, trust : float in [0, 1], default 0.5 and 0.9
        Share of the forests in the weights of the known data sets, for the first pipeline and for those that follow;
        the rest is even.
    even : float in [0, 1], default 0.5
        Share of even weights once results are in.
    sharpness : float > 0, default 0.5
        How fast a data set on which results differ loses weight.
    gaussian_from : int, default 6
        With so many results expected improvement takes over, if the errors of the known data sets are known.
    gaussian_trust : float in [0, 1], default 0.7
        Share of the forests in the mean of that model.
    gaussian_noise : float > 0, default 0.02
        Standard deviation of an error.
    """

    trees: int = 120
    candidates: int = 40
    trust_first: float = 0.5
    trust: float = 0.9
    even: float = 0.5
    sharpness: float = 0.5
    gaussian_from: int = 6
    gaussian_trust: float = 0.7
    gaussian_noise: float = 0.02


@dataclass(frozen=True)
class Query:
    """A new data set in the recommender's terms.

    Attributes
    ----------
    weights : array [D]
        How much each known data set counts, sum 1.
    novelty : float
        Distance to the nearest known data set, in units of what is usual among the known ones, plus how far it lies
        beyond all of them (`beyond_known`) more than usual: above 1 is unusual.
    views : dict of str to array [D]
        The weights by each forest alone: what counts, all meta-features, and meta-features with words say.
    """

    weights: FloatArray
    novelty: float
    views: Mapping[str, FloatArray] = field(default_factory=dict)


class Recommender:
    """Weighs known data sets for a new one and chooses pipelines that complement each other.

    Parameters
    ----------
    settings : PolicySettings, optional

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = np.full((40, len(FEATURES)), np.nan)
    >>> features[:, 0] = rng.uniform(10, 1000, 40)
    >>> small = (features[:, 0] < 500)[:, None]
    >>> regret = np.where(small, [[0.0, 1.0]], [[1.0, 0.0]])
    >>> names = tuple(f"set{i}" for i in range(40))
    >>> meta = MetaData(names, names, ("svm", "trees"), regret, features, np.zeros((40, 0)))
    >>> model = Recommender().fit(meta)
    >>> new = np.full(len(FEATURES), np.nan)
    >>> new[0] = 100.0
    >>> meta.pipelines[model.next(model.query(new))]
    'svm'
    """

    def __init__(self, settings: PolicySettings | None = None) -> None:
        self.settings = settings or PolicySettings()

    def fit(self, meta: MetaData, *, seed: Seed = 0) -> Self:
        """Learn from known data sets.

        Parameters
        ----------
        meta : MetaData
        seed : int, default 0
        """
        self._prepare(meta)
        if len(meta) >= _FEWEST:
            for view, state in zip(self._views(self.known, meta.texts), spawn_seeds(seed, 3), strict=True):
                self.forests.append(SimilarityForest.fit(view, self.regret, trees=self.settings.trees, seed=state))
        return self

    def _prepare(self, meta: MetaData) -> None:
        self.meta = meta
        self.scale = FeatureScale.fit(meta.features)
        self.regret = _filled(meta.regret)
        self.even: FloatArray = np.full(len(meta), 1.0 / len(meta))
        self.known = self.scale.transform(meta.features)
        self.forests: list[SimilarityForest] = []
        self.usual = _usual_distance(self.known)
        self.usual_beyond = _usual_beyond(meta.features)

    def _views(self, scaled: FloatArray, texts: FloatArray) -> list[FloatArray]:
        few = [FEATURES.index(name) for name in _FEW]
        return [scaled[:, few], scaled, np.hstack([scaled, texts[:, :16]])]

    def query(self, features: FloatArray, text: FloatArray | None = None) -> Query:
        """Weigh the known data sets for a new one.

        Parameters
        ----------
        features : array [F]
            Values of `FEATURES`, NaN where unknown.
        text : array [L], optional
            Embedded description.

        Raises
        ------
        InputError
            If a length does not fit.
        """
        length = self.meta.texts.shape[1]
        words = np.zeros(length) if text is None else np.asarray(text, dtype=np.float64)
        if np.shape(features) != (len(FEATURES),) or words.shape != (length,):
            raise InputError(
                f"needs {len(FEATURES)} features and a text of {length}, found {np.shape(features)} and {words.shape}"
            )
        row = np.asarray(features, dtype=np.float64)[None]
        scaled = self.scale.transform(row)
        distance = float(np.sqrt(((self.known - scaled) ** 2).mean(axis=1)).min())
        apart = distance / self.usual if self.usual > 0 else math.inf
        novelty = apart + max(float(beyond_known(self.meta.features, row)[0]) - self.usual_beyond, 0.0)
        if not self.forests:
            return Query(self.even, novelty)
        views = self._views(scaled, words[None])
        found = [forest.weights(view)[0] for forest, view in zip(self.forests, views, strict=True)]
        weights = self.settings.trust * np.mean(found, axis=0) + (1 - self.settings.trust) * self.even
        # A data set unlike all others shares leaves by accident: what helps on the whole is the better advice.
        doubt = min(max(apart - 1.0, 0.0), 1.0)
        return Query((1 - doubt) * weights + doubt * self.even, novelty, dict(zip(VIEWS, found, strict=True)))

    def expected_regret(self, query: Query) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of every pipeline's regret, each [P]."""
        mean = query.weights @ self.regret
        spread = query.weights @ (self.regret - mean) ** 2
        return mean, np.sqrt(spread)

    def next(
        self,
        query: Query,
        observed: Mapping[int, float] | None = None,
        *,
        allowed: BoolArray | None = None,
        advice: FloatArray | None = None,
    ) -> int:
        """Return the pipeline to try next.

        Parameters
        ----------
        query : Query
        observed : mapping of int to float, optional
            Errors (lower is better, 0 to 1) of pipelines tried on the new data set; NaN where chosen and not run yet.
        allowed : bool array [P], optional
            Which pipelines may be named.
        advice : array [P], optional
            Regrets that another model expects, such as the graph network; averaged with the forests' for the first
            pipeline.

        Raises
        ------
        InputError
            If nothing is left to name.
        """
        seen = dict(observed or {})
        free = np.ones(len(self.meta.pipelines), dtype=np.bool_) if allowed is None else allowed.copy()
        free[list(seen)] = False
        if not free.any():
            raise InputError("every pipeline has been named")
        if not seen:
            share = self.settings.trust_first
            mean = (share * query.weights + (1 - share) * self.even) @ self.regret
            if advice is not None:
                mean = 0.5 * (mean + share * advice + (1 - share) * (self.even @ self.regret))
            leading = np.argsort(np.where(free, self.even @ self.regret, np.inf), kind="stable")
            chosen = leading[: min(self.settings.candidates, int(free.sum()))]
            return int(chosen[np.argmin(mean[chosen])])
        results = {column: value for column, value in seen.items() if math.isfinite(value)}
        if len(results) >= self.settings.gaussian_from and self.residuals is not None:
            return int(np.argmax(np.where(free, self._improvement(query, results), -np.inf)))
        weights = self._sharpened(query, seen)
        best = self.regret[:, list(seen)].min(axis=1)
        left = weights @ np.minimum(best[:, None], self.regret)
        return int(np.argmin(np.where(free, left, np.inf)))

    def _sharpened(self, query: Query, seen: Mapping[int, float]) -> FloatArray:
        """Return the weights once results are in: those of data sets with the same relations between results rise."""
        columns = [column for column, value in seen.items() if math.isfinite(value)]
        if len(columns) < 2:
            return query.weights
        values = np.array([seen[column] for column in columns])
        known = self.regret[:, columns]
        bounds = self.meta.bounds
        if bounds is not None:
            known = bounds[:, :1] + known * (bounds[:, 1:] - bounds[:, :1])
        apart = _distance_of_results(known, values, has_levels=bounds is not None)
        likely = query.weights * np.exp(-self.settings.sharpness * apart)
        total = likely.sum()
        if total <= 0:
            return self.even
        return (1 - self.settings.even) * likely / total + self.settings.even * self.even

    @functools.cached_property
    def residuals(self) -> FloatArray | None:
        """Covariance [P, P] of what the forests leave unexplained in the errors of families they were not shown."""
        if self.meta.bounds is None or not self.forests:
            return None
        families = np.array(self.meta.families)
        same = families[:, None] == families[None]
        total = np.zeros(same.shape)
        for forest in self.forests:
            for leaf in forest.leaves.T:
                shared = (leaf[:, None] == leaf[None]) & ~same
                total += shared / np.maximum(shared.sum(axis=1, keepdims=True), 1)
        weights = total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12)
        errors = self._errors()
        rest = errors - self._centre(weights, errors)
        return np.asarray(rest.T @ rest / len(rest))

    def _errors(self) -> FloatArray:
        bounds = self.meta.bounds
        if bounds is None:
            raise InputError("the errors of the known data sets are not known, only their regrets")
        return bounds[:, :1] + self.regret * (bounds[:, 1:] - bounds[:, :1])

    def _centre(self, weights: FloatArray, errors: FloatArray) -> FloatArray:
        share = self.settings.gaussian_trust
        return share * (weights @ errors) + (1 - share) * errors.mean(axis=0)

    def _improvement(self, query: Query, results: Mapping[int, float]) -> FloatArray:
        """Return the expected improvement of every pipeline given errors on the new data set."""
        cover = self.residuals
        if cover is None:
            raise InputError("expected improvement needs the errors of the known data sets")
        columns = list(results)
        values = np.array([results[column] for column in columns])
        prior = self._centre(query.weights, self._errors())
        noise = self.settings.gaussian_noise**2 * np.eye(len(columns))
        gain = np.linalg.solve(cover[np.ix_(columns, columns)] + noise, cover[columns])
        mean = prior + (values - prior[columns]) @ gain
        variance = np.diag(cover) - (cover[columns] * gain).sum(axis=0)
        return expected_improvement(mean, np.sqrt(np.maximum(variance, 1e-8)), float(values.min()))

    def choose(self, query: Query, count: int, *, allowed: BoolArray | None = None) -> list[int]:
        """Return a set of pipelines that complement each other, the first to try first."""
        chosen: dict[int, float] = {}
        room = len(self.meta.pipelines) if allowed is None else int(allowed.sum())
        for _ in range(min(count, room)):
            chosen[self.next(query, chosen, allowed=allowed)] = math.nan
        return list(chosen)

    def save(self, path: PathLike) -> None:
        """Write everything as one compressed ``.npz`` file of plain arrays."""
        arrays = self.meta.to_arrays()
        for number, forest in enumerate(self.forests):
            arrays.update(forest.to_arrays(f"forest{number}_"))
        np.savez_compressed(Path(path), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: PathLike, settings: PolicySettings | None = None) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        FileFormatError
            If the file is missing or damaged.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            model = cls(settings)
            model._prepare(MetaData.from_arrays(arrays))
            count = sum(name.endswith("_roots") for name in arrays)
            model.forests = [SimilarityForest.from_arrays(arrays, f"forest{number}_") for number in range(count)]
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise FileFormatError.at(path, None, f"is no stored recommender: {error}") from error
        return model


def _filled(regret: FloatArray) -> FloatArray:
    """Put the mean of its pipeline, a little worsened, where a result is missing."""
    known = np.isfinite(regret)
    count = known.sum(axis=0)
    mean = np.where(known, regret, 0.0).sum(axis=0) / np.maximum(count, 1)
    overall = float(regret[known].mean()) if known.any() else 1.0
    # A pipeline tried on few data sets is believed to be ordinary.
    guess = (count * mean + 3.0 * overall) / (count + 3.0)
    return np.where(known, regret, guess)


def _distance_of_results(known: FloatArray, values: FloatArray, *, has_levels: bool) -> FloatArray:
    """Return how far results [K] on a new data set are from those on known ones [D, K]: pattern, spread and level."""
    a, b = known - known.mean(axis=1, keepdims=True), values - values.mean()
    size_a, size_b = np.sqrt((a**2).mean(axis=1)) + _SMALL, np.sqrt((b**2).mean()) + _SMALL
    if not has_levels:
        return np.asarray(2.0 * (1.0 - (a * b).mean(axis=1) / (size_a * size_b)))
    pattern = ((a - b) ** 2).mean(axis=1) / (size_a * size_b)
    spread = 0.25 * np.log(size_a / size_b) ** 2
    level = 0.25 * ((known.min(axis=1) - values.min()) / _LEVEL) ** 2
    return np.asarray(pattern + spread + level)


def _usual_beyond(features: FloatArray) -> float:
    """How far nineteen of twenty known data sets lie beyond the others at most, by a hundred of them."""
    if len(features) < 2:
        return 0.0
    rows = range(0, len(features), max(1, len(features) // 100))
    return float(np.quantile([beyond_known(np.delete(features, i, 0), features[[i]])[0] for i in rows], 0.95))


def _usual_distance(scaled: AnyArray) -> float:
    """Return the distance to the nearest neighbour that 99 % of the known data sets keep within."""
    if len(scaled) < 3:
        return 0.0
    squares = (scaled**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares[None] - 2.0 * scaled @ scaled.T, 0.0) / scaled.shape[1]
    np.fill_diagonal(apart, np.inf)
    return float(np.quantile(np.sqrt(apart.min(axis=1)), 0.99))
