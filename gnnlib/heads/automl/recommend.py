"""Which pipelines should be tried on this table? Asked of what is known about earlier ones."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.decode import Recommender
from gnnlib.heads.automl.experience import ExperienceStore
from gnnlib.heads.automl.metafeatures import compute_metafeatures
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.portfolio import SHIPPED, static_portfolio
from gnnlib.heads.automl.recommend_data import feature_row, meta_from_store
from gnnlib.heads.automl.table import TASKS
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from gnnlib.heads.automl.decode import Query
    from gnnlib.heads.automl.table import Task
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray

__all__ = ["Neighbour", "Recommendation", "RecommendedPipeline", "fit_meta", "recommend_pipelines"]

Descriptions = Literal["words", "sentence-transformers"]

UNUSUAL = 1.5
"""Novelty above which the static portfolio is the better advice."""


@dataclass(frozen=True)
class RecommendedPipeline:
    """One piece of advice.

    Attributes
    ----------
    pipeline : str
        Text form; `gnnlib.heads.automl.pipelines.Pipeline.parse` reads it.
    expected_regret : float
        Expected distance to the best pipeline, 0 is the best and 1 the worst of those known; NaN when nothing is known.
    uncertainty : float
        Standard deviation of that; NaN when nothing is known.
    """

    pipeline: str
    expected_regret: float
    uncertainty: float


@dataclass(frozen=True)
class Neighbour:
    """A known data set that the advice leans on, and its share of the weight."""

    name: str
    weight: float


@dataclass(frozen=True)
class Recommendation(Result):
    """Pipelines to try, in this order, and why.

    Attributes
    ----------
    task : {"classification", "regression"}
    pipelines : tuple of RecommendedPipeline
        They complement each other: a later one is there for the case that the earlier ones fail.
    neighbours : tuple of Neighbour
        Known data sets with the largest weight.
    novelty : float
        Distance to the nearest known data set, in units of what is usual; above 1.5 the advice is the static portfolio.
    source : {"experience", "portfolio"}
        Where the pipelines come from.
    reason : str
    moved : dict of str to float
        Expected regret of the first pipeline over all known data sets alike, and as each view of the table sees it: what
        the meta-features and the words changed. Empty for the static portfolio.
    """

    task: str
    pipelines: tuple[RecommendedPipeline, ...]
    neighbours: tuple[Neighbour, ...]
    novelty: float
    source: str
    reason: str
    moved: Mapping[str, float] = field(default_factory=dict)
    _map: tuple[FloatArray, FloatArray] | None = field(default=None, repr=False, metadata={"export": False})

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            (f"{place}.", f"{p.pipeline}   regret {p.expected_regret:.2f} ± {p.uncertainty:.2f}")
            for place, p in enumerate(self.pipelines, start=1)
        ]
        near = ", ".join(f"{n.name} ({n.weight:.0%})" for n in self.neighbours)
        moved = ", ".join(f"{view} {regret:.2f}" for view, regret in self.moved.items())
        more = [("first pipeline", moved)] if moved else []
        return [*rows, ("nearest", near or "none"), ("why", self.reason), *more]

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the known data sets in two dimensions, large where they count, and the new one; return the axes."""
        from gnnlib.style import COLOURS, new_axes, styled

        if self._map is None:
            raise InputError("there is no map: nothing is known of earlier data sets for this task")
        places, weights = self._map
        with styled():
            axes = ax if ax is not None else new_axes()
            size = 8.0 + 600.0 * weights
            axes.scatter(places[:-1, 0], places[:-1, 1], s=size, color=COLOURS["input"], alpha=0.5, label="known")
            axes.scatter(
                places[-1, 0], places[-1, 1], marker="*", s=160, color=COLOURS["answer"], label="this table", zorder=3
            )
            axes.set_xlabel("first direction of the meta-features")
            axes.set_ylabel("second direction")
            axes.legend()
        return axes


def recommend_pipelines(
    X: Any,
    y: Any,
    *,
    description: str | None = None,
    k: int = 5,
    task: Task | None = None,
    experience: ExperienceStore | Recommender | None = None,
    observed: Mapping[str, float] | None = None,
    metric: str | None = None,
) -> Recommendation:
    """Recommend complementary pipelines for a table without fitting any.

    Parameters
    ----------
    X : DataFrame or array [n, d]
        Missing values, texts and categories are fine.
    y : array [n]
    description : str, optional
        What the data are about, in English; what the words do not tell is taken from the table.
    k : int >= 1, default 5
        Number of pipelines.
    task : {"classification", "regression"}, optional
        Guessed from `y` when absent.
    experience : ExperienceStore or Recommender, optional
        One's own earlier results, or what `fit_meta` made of them; the shipped ones (classification) when absent.
    observed : mapping of str to float, optional
        Pipelines tried on this table already and their errors (lower is better); they sharpen the advice.
    metric : str, optional
        Which results of an `ExperienceStore` to use; the metric with most of them when absent.

    Returns
    -------
    Recommendation

    Raises
    ------
    InputError
        If the table is empty, lengths differ, `k` is out of range or the description is no string.

    Warns
    -----
    UserWarning
        If the experience is empty, or names pipelines that this version does not know.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((150, 4))
    >>> advice = recommend_pipelines(X, X[:, 0] * X[:, 1] > 0, description="product of two numbers", k=3)
    >>> len(advice.pipelines), advice.task
    (3, 'classification')
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"`k` must be an integer >= 1, found {k!r}")
    if description is not None and not isinstance(description, str):
        raise InputError(f"`description` must be a string or None, found {type(description).__name__}")
    found = compute_metafeatures(X, y, task=task)
    chosen_task: Task = "classification" if math.isfinite(found["NumberOfClasses"]) else "regression"
    model = _as_model(experience, chosen_task, metric)
    if model is None:
        reason = "no earlier results for this task are known; these kinds of estimators complement each other"
        return _from_portfolio(chosen_task, int(k), reason=reason)
    text = None
    if description and model.meta.embedding is not None:
        text = model.meta.embedding.transform([description])[0]
    features = feature_row(found)
    query = model.query(features, text)
    neighbours = _neighbours(model, query)
    if query.novelty > UNUSUAL:
        reason = f"this table is unlike all known ones (novelty {query.novelty:.1f}): the static portfolio is safer"
        return _from_portfolio(chosen_task, int(k), reason=reason, neighbours=neighbours, novelty=query.novelty)
    pipelines = _choose(model, query, int(k), observed or {})
    shown = ", ".join(n.name for n in neighbours[:3])
    reason = f"these did well where {shown} and others like it were concerned, and complement each other"
    place = _place(model, model.scale.transform(features[None])), query.weights
    first = model.regret[:, model.meta.pipelines.index(pipelines[0].pipeline)] if pipelines else None
    moved = {} if first is None else {"over all": float(first.mean())}
    if first is not None:
        moved.update({view: float(weights @ first) for view, weights in query.views.items()})
    return Recommendation(chosen_task, pipelines, neighbours, query.novelty, "experience", reason, moved, place)


def _choose(model: Recommender, query: Query, k: int, observed: Mapping[str, float]) -> tuple[RecommendedPipeline, ...]:
    place = {text: column for column, text in enumerate(model.meta.pipelines)}
    seen = {place[text]: float(value) for text, value in observed.items() if text in place}
    free = len(place) - len(seen)
    chosen: list[int] = []
    for _ in range(min(k, free)):
        chosen.append(model.next(query, seen))
        seen[chosen[-1]] = math.nan
    mean, spread = model.expected_regret(query)
    return tuple(
        RecommendedPipeline(model.meta.pipelines[column], float(mean[column]), float(spread[column]))
        for column in chosen
    )


def _neighbours(model: Recommender, query: Query) -> tuple[Neighbour, ...]:
    top = np.argsort(-query.weights, kind="stable")[:5]
    return tuple(Neighbour(model.meta.names[row], float(query.weights[row])) for row in top)


def _from_portfolio(
    task: Task, k: int, *, reason: str, neighbours: tuple[Neighbour, ...] = (), novelty: float = math.inf
) -> Recommendation:
    entries = tuple(RecommendedPipeline(str(p), math.nan, math.nan) for p in static_portfolio(task, size=k))
    return Recommendation(task, entries, neighbours, novelty, "portfolio", reason)


def _place(model: Recommender, scaled: FloatArray) -> FloatArray:
    """Return two principal directions of the known data sets and the new one [D + 1, 2]."""
    both = np.vstack([model.known, scaled])
    centre = model.known.mean(axis=0)
    _, _, right = np.linalg.svd(model.known - centre, full_matrices=False)
    return np.asarray((both - centre) @ right[:2].T)


def _as_model(experience: ExperienceStore | Recommender | None, task: Task, metric: str | None) -> Recommender | None:
    if isinstance(experience, Recommender):
        return experience
    if isinstance(experience, ExperienceStore):
        try:
            return fit_meta(experience, task=task, metric=metric)
        except InputError as error:
            warnings.warn(f"the experience is not used: {error}", UserWarning, stacklevel=3)
            return shipped_recommender(task)
    if experience is not None:
        raise InputError(f"`experience` must be an ExperienceStore or a Recommender, found {type(experience).__name__}")
    return shipped_recommender(task)


@functools.cache
def shipped_recommender(task: Task) -> Recommender | None:
    """Return the recommender that ships for a task; None where there is none."""
    path = SHIPPED / f"recommender-{task}.npz"
    return Recommender.load(path) if Path(path).exists() else None


def fit_meta(
    store: ExperienceStore,
    *,
    task: Task = "classification",
    metric: str | None = None,
    descriptions: Descriptions = "words",
    text_model: str | None = None,
    seed: Seed = 0,
) -> Recommender:
    """Learn from a store of one's own experience which pipelines suit which tables.

    Parameters
    ----------
    store : ExperienceStore
    task : {"classification", "regression"}, default "classification"
    metric : str, optional
        Only results of this metric are used; the one with most results in the store when absent.
    descriptions : {"words", "sentence-transformers"}, default "words"
        How descriptions are read: by counting words, or by a sentence transformer (extra ``text``).
    text_model : str, optional
        Folder of the sentence transformer, or its name in the local cache; nothing is downloaded.
    seed : int, default 0

    Returns
    -------
    Recommender
        To be given to `recommend_pipelines` as ``experience=``.

    Raises
    ------
    InputError
        If the store holds no data set with results of two pipelines, or none whose pipelines are known; if the text
        model is missing.
    MissingExtraError
        If sentence-transformers is asked for and not installed.

    Warns
    -----
    UserWarning
        If the store names pipelines that this version does not know; they are left out.

    Examples
    --------
    >>> from gnnlib.heads.automl.experience import Experience
    >>> texts = [str(p) for p in static_portfolio("classification", size=2)]
    >>> with ExperienceStore("sqlite://") as store:
    ...     store.add(
    ...         Experience(f"set{i}", "classification", text, "balanced_accuracy", 0.5 + 0.1 * j, 1.0, {})
    ...         for i in range(3)
    ...         for j, text in enumerate(texts)
    ...     )
    ...     model = fit_meta(store)
    >>> len(model.meta)
    3
    """
    if task not in TASKS:
        raise InputError(f"`task` must be one of {TASKS}, found {task!r}")
    if descriptions not in get_args(Descriptions):
        raise InputError(f"`descriptions` must be one of {get_args(Descriptions)}, found {descriptions!r}")
    if (descriptions == "sentence-transformers") != bool(text_model):
        raise InputError(
            "`text_model` must name a local sentence transformer if, and only if, `descriptions` is "
            f"'sentence-transformers'; found {text_model!r} with {descriptions!r}"
        )
    meta = meta_from_store(store, task=task, metric=metric or _usual_metric(store, task), text_model=text_model)
    readable = [_is_readable(task, text) for text in meta.pipelines]
    if not all(readable):
        lost = [text for text, good in zip(meta.pipelines, readable, strict=True) if not good]
        if len(lost) > len(readable) - 1:
            raise InputError(f"the store names only pipelines that this version does not know, such as {lost[0]!r}")
        warnings.warn(
            f"{len(lost)} pipelines of the store are unknown and left out, such as {lost[0]!r}",
            UserWarning,
            stacklevel=2,
        )
        meta = meta.with_pipelines([i for i, good in enumerate(readable) if good])
    return Recommender().fit(meta, seed=seed)


def _usual_metric(store: ExperienceStore, task: Task) -> str:
    """Return the metric by which most results of a store were judged; the first by name where several are."""
    counts = store.table(task=task)["metric"].value_counts()
    return "balanced_accuracy" if counts.empty else min(counts.index[counts == counts.max()])


def _is_readable(task: Task, text: str) -> bool:
    try:
        Pipeline.parse(task, text)
    except InputError:
        return False
    return True
