"""What is known of earlier data sets: how pipelines did on them, and what the data sets look like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.descriptions import TextEmbedding
from gnnlib.heads.automl.descriptions_transformers import SentenceEmbedding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gnnlib.heads.automl.experience import ExperienceStore
    from gnnlib.heads.automl.table import Task
    from gnnlib.typing import AnyArray, FloatArray

__all__ = ["FEATURES", "FeatureScale", "MetaData", "beyond_known", "meta_from_store"]

_QUARTILES = ("Min", "Quartile1", "Quartile2", "Quartile3", "Max", "Mean")

FEATURES: tuple[str, ...] = (
    "NumberOfInstances",
    "NumberOfFeatures",
    "NumberOfClasses",
    "NumberOfMissingValues",
    "NumberOfNumericFeatures",
    "NumberOfSymbolicFeatures",
    "NumberOfBinaryFeatures",
    "NumberOfInstancesWithMissingValues",
    "PercentageOfMissingValues",
    "PercentageOfInstancesWithMissingValues",
    "PercentageOfNumericFeatures",
    "PercentageOfSymbolicFeatures",
    "MajorityClassSize",
    "MinorityClassSize",
    "MajorityClassPercentage",
    "MinorityClassPercentage",
    "Dimensionality",
    "ClassEntropy",
    "AutoCorrelation",
    "EquivalentNumberOfAtts",
    "MeanNoiseToSignalRatio",
    "MaxNominalAttDistinctValues",
    "MinNominalAttDistinctValues",
    "MeanNominalAttDistinctValues",
    "StdvNominalAttDistinctValues",
    *(f"{place}{name}OfNumericAtts" for name in ("Means", "StdDev", "Skewness", "Kurtosis") for place in _QUARTILES),
    *(f"{place}{name}" for name in ("MutualInformation", "AttributeEntropy") for place in _QUARTILES),
    "RowsPerClass",
    "RelativeClassEntropy",
)
"""Meta-features that the recommender looks at; none of them costs the fit of a model."""


def feature_row(found: Mapping[str, float]) -> FloatArray:
    """Return the values of `FEATURES`, NaN where unknown, from what `compute_metafeatures` says.

    Examples
    --------
    >>> row = feature_row({"NumberOfInstances": 100.0, "NumberOfClasses": 2.0})
    >>> float(row[FEATURES.index("RowsPerClass")])
    50.0
    """
    values = {name: float(found.get(name, np.nan)) for name in FEATURES}
    classes = values["NumberOfClasses"]
    values["RowsPerClass"] = values["NumberOfInstances"] / classes if classes >= 1 else np.nan
    values["RelativeClassEntropy"] = values["ClassEntropy"] / np.log2(max(classes, 2.0)) if classes >= 1 else np.nan
    row = np.array([values[name] for name in FEATURES])
    return np.where(np.isfinite(row), row, np.nan)


@dataclass(frozen=True)
class FeatureScale:
    """Brings meta-features of any unit to ranks in [-1, 1] among the known data sets; unknown ones to the middle.

    Attributes
    ----------
    knots : array [F, Q]
        Quantiles of each feature over the known data sets.
    """

    knots: FloatArray

    @classmethod
    def fit(cls, rows: FloatArray, *, count: int = 101) -> Self:
        """Learn the quantiles of rows [D, F]."""
        places = np.linspace(0, 1, count)
        known = np.isfinite(rows)
        knots = np.zeros((rows.shape[1], count))
        for column in range(rows.shape[1]):
            if known[:, column].any():
                knots[column] = np.quantile(rows[known[:, column], column], places)
        return cls(knots)

    def transform(self, rows: FloatArray) -> FloatArray:
        """Return ranks [n, F]."""
        count = self.knots.shape[1]
        scaled = np.zeros(rows.shape)
        for column, knots in enumerate(self.knots):
            values = rows[:, column]
            known = np.isfinite(values)
            below = np.searchsorted(knots, values[known], side="left")
            above = np.searchsorted(knots, values[known], side="right")
            inside = np.interp(values[known], knots, np.arange(count))
            # A value that many data sets share gets the middle of its ranks.
            place = np.where(above > below, (below + above - 1) / 2.0, inside)
            scaled[known, column] = 2.0 * place / (count - 1) - 1.0
        return np.clip(scaled, -1.0, 1.0)


def beyond_known(known: FloatArray, rows: FloatArray) -> FloatArray:
    """Return how far rows [n, F] lie beyond all known ones [D, F], 0 within: a sum over features, array [n].

    The ranks of `FeatureScale` cannot tell, as they end at the last known data set. One feature counts the part of its
    known range by which it is passed, both on the scale of ``sign(v) log(1 + |v|)``; features not known count nothing.

    Examples
    --------
    >>> beyond_known(np.array([[0.0], [np.expm1(2.0)]]), np.array([[1.0], [np.expm1(3.0)]])).round(6).tolist()
    [0.0, 0.5]
    """
    known, rows = (np.sign(part) * np.log1p(np.abs(part)) for part in (known, rows))
    low, high = np.fmin.reduce(known, axis=0), np.fmax.reduce(known, axis=0)
    excess = np.maximum(np.maximum(rows - high, low - rows), 0.0)
    total: FloatArray = np.nansum(excess / np.where(high > low, high - low, np.inf), axis=1)
    return total


@dataclass(frozen=True)
class MetaData:
    """Known data sets and how pipelines did on them.

    Attributes
    ----------
    names : tuple of D str
    families : tuple of D str
        Data sets of one family are not told from each other where residuals are learned.
    pipelines : tuple of P str
        Text forms.
    regret : array [D, P]
        ``(score of the best - score) / (best - worst)`` on that data set, 0 to 1; NaN where unknown.
    features : array [D, F]
        Values of `FEATURES`, NaN where unknown.
    texts : array [D, L]
        Embeddings of the descriptions; zeros where there is none.
    embedding : TextEmbedding, SentenceEmbedding or None
        How descriptions are embedded.
    bounds : array [D, 2] or None
        Errors of the best and of the worst pipeline; with them results on a new data set are compared in level and
        spread too, not only in their pattern.

    Raises
    ------
    InputError
        If the shapes do not fit, or there is nothing.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    pipelines: tuple[str, ...]
    regret: FloatArray
    features: FloatArray
    texts: FloatArray
    embedding: TextEmbedding | SentenceEmbedding | None = None
    bounds: FloatArray | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if not count or not self.pipelines:
            raise InputError(f"needs a data set and a pipeline, found {count} and {len(self.pipelines)}")
        if self.regret.shape != (count, len(self.pipelines)) or self.features.shape != (count, len(FEATURES)):
            raise InputError(
                f"`regret` must be [{count}, {len(self.pipelines)}] and `features` [{count}, {len(FEATURES)}], "
                f"found {self.regret.shape} and {self.features.shape}"
            )
        if len(self.families) != count or len(self.texts) != count:
            raise InputError(f"needs a family and a text for each of {count} data sets")

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | AnyArray) -> MetaData:
        """Return the data sets at some positions."""
        where = [int(row) for row in rows]
        return MetaData(
            tuple(self.names[row] for row in where),
            tuple(self.families[row] for row in where),
            self.pipelines,
            self.regret[where],
            self.features[where],
            self.texts[where],
            self.embedding,
            None if self.bounds is None else self.bounds[where],
        )

    def with_pipelines(self, columns: Sequence[int]) -> MetaData:
        """Return the same data sets with some of the pipelines."""
        texts = tuple(self.pipelines[column] for column in columns)
        return replace(self, pipelines=texts, regret=self.regret[:, list(columns)])

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return plain arrays that `from_arrays` reads."""
        arrays: dict[str, AnyArray] = {
            "names": np.array(self.names),
            "families": np.array(self.families),
            "pipelines": np.array(self.pipelines),
            "regret": self.regret.astype(np.float16),
            "features": self.features.astype(np.float32),
            "texts": self.texts.astype(np.float16),
        }
        if self.bounds is not None:
            arrays["bounds"] = self.bounds.astype(np.float32)
        if self.embedding is not None:
            arrays.update({f"embedding_{name}": value for name, value in self.embedding.to_arrays().items()})
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Self:
        """Read what `to_arrays` made."""
        start = "embedding_"
        text = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
        return cls(
            tuple(map(str, arrays["names"])),
            tuple(map(str, arrays["families"])),
            tuple(map(str, arrays["pipelines"])),
            arrays["regret"].astype(np.float64),
            arrays["features"].astype(np.float64),
            arrays["texts"].astype(np.float64),
            _read_embedding(text) if text else None,
            arrays["bounds"].astype(np.float64) if "bounds" in arrays else None,
        )


def _read_embedding(arrays: Mapping[str, AnyArray]) -> TextEmbedding | SentenceEmbedding:
    return SentenceEmbedding.from_arrays(arrays) if "model" in arrays else TextEmbedding.from_arrays(arrays)


def meta_from_store(store: ExperienceStore, *, task: Task, metric: str, text_model: str | None = None) -> MetaData:
    """Return what a store of one's own experience knows.

    Parameters
    ----------
    store : ExperienceStore
    task : {"classification", "regression"}
    metric : str
        Only results of this metric are used; they are "higher is better".
    text_model : str, optional
        Sentence transformer that reads the descriptions; without it words are counted.

    Raises
    ------
    InputError
        If no data set of the store has results of two pipelines, or there is no such model on this machine.
    MissingExtraError
        If `text_model` is given and sentence-transformers is not installed.
    """
    from gnnlib.heads.automl.portfolio_oboe import normalised_regret

    matrix = store.matrix(task=task, metric=metric)
    known = matrix.notna().sum(axis=1) if len(matrix) else []
    matrix = matrix[[count >= 2 for count in known]].dropna(axis=1, how="all") if len(matrix) else matrix
    if not len(matrix):
        raise InputError(
            f"no data set of the store has {metric} results of two pipelines for {task}; fit some with `store=` first"
        )
    profiles = store.profiles()
    said = {row.dataset: row.description for row in store.experiences(task=task) if row.description}
    names = tuple(str(name) for name in matrix.index)
    embedding = _fit_embedding([said.get(name, "") for name in names], text_model)
    texts = embedding.transform([said.get(name) for name in names]) if embedding else np.zeros((len(names), 0))
    return MetaData(
        names,
        names,
        tuple(str(column) for column in matrix.columns),
        normalised_regret(-matrix.to_numpy(np.float64)),
        np.stack([feature_row(profiles.get(name, {})) for name in names]),
        texts,
        embedding,
    )


def _fit_embedding(texts: list[str], text_model: str | None) -> TextEmbedding | SentenceEmbedding | None:
    if text_model is not None:
        return SentenceEmbedding.fit(texts, text_model)
    try:
        return TextEmbedding.fit(texts)
    except InputError:  # no words, which a store may well lack
        return None
