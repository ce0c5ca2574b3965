"""Puts pipelines together from the words of the grammar by tree search, with or without a network that knows the words.

A network reads the pipeline as a graph beside what the table looks like, and says how good it is and what to change; the
search plans with it (I. Drori et al., *AlphaD3M: machine learning pipeline synthesis*, 2018, figure 1; the grammar is
that of their work of 2019). Results on the table sharpen its judgement while the search goes on.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.synthesis_language import EMPTY, DerivationSpace, PipelineLanguage
from gnnlib.heads.automl.synthesis_result import SearchNode, SynthesisResult, SynthesisTrial
from gnnlib.interrupt import DeferredInterrupt
from gnnlib.stop import MaxTrials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.synthesis_search import SynthesisSearch
    from gnnlib.heads.automl.table import Task
    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion
    from gnnlib.typing import FloatArray

__all__ = ["NETWORK", "SynthesisParams", "make_search", "synthesise_pipelines", "table_features", "tree_nodes"]

NETWORK = "automl-synthesis"
"""Name of the shipped weights."""

MOST_NODES = 300
"""Nodes of the search tree that a result keeps, tried pipelines aside."""


@dataclass(frozen=True)
class SynthesisParams:
    """How pipelines are put together.

    Parameters
    ----------
    use_network : bool, default True
        Plan with the network's value and policy. Without it every leaf of the tree is tried.
    use_grammar : bool, default True
        Walk over valid pipelines only. Without it edits are not repaired, so that `evaluate` meets pipelines that make no
        sense; it should return NaN for them.
    simulations : int >= 1, default 64
        Of one plan; not used without the network.
    depth : int >= 1, default 8
        Most edits of one plan.
    exploration : float > 0, default 1.25
        First constant of the PUCT rule.
    network : GraphModel, optional
        With a `SynthesisHead`; default: the shipped one, for classification.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> SynthesisParams(use_network=False).simulations
    64
    """

    use_network: bool = True
    use_grammar: bool = True
    simulations: int = 64
    depth: int = 8
    exploration: float = 1.25
    network: GraphModel | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("simulations", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"`{name}` must be an integer >= 1, found {value!r}")
        if not isinstance(self.exploration, (int, float)) or not 0.0 < self.exploration < math.inf:
            raise InputError(f"`exploration` must be a finite number > 0, found {self.exploration!r}")


def synthesise_pipelines(
    evaluate: Callable[[Pipeline], float],
    language: PipelineLanguage | Grammar,
    *,
    table: FloatArray | None = None,
    start: Sequence[Pipeline] = (),
    params: SynthesisParams | None = None,
    stop: StopCriterion | None = None,
    seed: Seed = 0,
) -> SynthesisResult:
    """Search for the pipeline of largest score by editing pipelines.

    Parameters
    ----------
    evaluate : callable
        Takes a `Pipeline`, returns its score, higher is better; NaN, infinite or None is a failure. Each pipeline is
        evaluated once. A score may be read off a table of results or come from cross-validation.
    language : PipelineLanguage or Grammar
        The words and the rules.
    table : array [79], optional
        What `table_features` says of the data; needed for the network. Without it the search is one without network.
    start : sequence of Pipeline, optional
        To be tried first.
    params : SynthesisParams, optional
    stop : StopCriterion, optional
        One iteration is one trial; default 50 trials. Looked at before each trial.
    seed : int, default 0

    Returns
    -------
    SynthesisResult
        On Ctrl-C what was found so far.

    Raises
    ------
    InputError
        If an argument does not fit.
    WeightsError
        If the shipped weights are missing or damaged.

    Notes
    -----
    The first call compiles the tree search (seconds); the clock of `stop` starts after that of the network's loading.

    Examples
    --------
    >>> from gnnlib.heads.automl.pipelines import Pipeline
    >>> words = [Pipeline("regression", name) for name in ("tree", "forest", "hgb")]
    >>> language = PipelineLanguage.from_sentences(words)
    >>> found = synthesise_pipelines(lambda pipeline: len(pipeline.estimator.name), language, stop=MaxTrials(10))
    >>> found.pipeline.estimator.name, len(found.trials)
    ('forest', 3)
    """
    if not callable(evaluate):
        raise InputError(f"`evaluate` must be a callable from a pipeline to its score, found {type(evaluate).__name__}")
    if isinstance(language, Grammar):
        language = PipelineLanguage.from_grammar(language)
    search = make_search(language, table, params=params, seed=seed)
    trials: list[SynthesisTrial] = []
    clock = (stop or MaxTrials(50)).start()
    with DeferredInterrupt() as interrupt:

        def score_of(pipeline: Pipeline) -> float | None:
            if interrupt.received or clock.is_over():
                return None
            score = _score(evaluate, pipeline)
            search.note(pipeline)
            path = search.derivation(search.space.number(pipeline))
            trials.append(SynthesisTrial(str(pipeline), score, _edits(search, path), clock.elapsed_s))
            clock.update(iterations=len(trials), best=-max(trial.score for trial in trials))
            return score

        for pipeline in dict.fromkeys(start):
            score = score_of(pipeline)
            if score is not None:
                search.tell(pipeline, score)
        search.run(score_of)
    best = max(search.scores, key=lambda place: search.scores[place], default=EMPTY)
    score = search.scores.get(best, -math.inf)
    return SynthesisResult(
        search.space.pipelines[best] if math.isfinite(score) else None,
        score,
        tuple(trials),
        tree_nodes(search),
        len(search.walked) - 1,
        len(language.edits),
        search.belief is not None,
        search.space.use_grammar,
        clock.elapsed_s,
        seed if isinstance(seed, int) else None,
    )


def make_search(
    language: PipelineLanguage,
    table: FloatArray | None,
    *,
    params: SynthesisParams | None = None,
    seed: Seed = 0,
) -> SynthesisSearch:
    """Return the search itself, to be asked for pipelines and told their scores one by one.

    Parameters
    ----------
    language : PipelineLanguage
    table : array [79] or None
    params : SynthesisParams, optional
    seed : int, default 0

    Examples
    --------
    >>> from gnnlib.heads.automl.pipelines import Pipeline
    >>> language = PipelineLanguage.from_sentences([Pipeline("regression", "tree")])
    >>> print(make_search(language, None).ask())
    median > ordinal > none > tree > none
    """
    from gnnlib.heads.automl.synthesis_search import SynthesisSearch  # compiles the tree search

    if not isinstance(language, PipelineLanguage):
        raise InputError(f"`language` must be a PipelineLanguage or a Grammar, found {type(language).__name__}")
    options = params or SynthesisParams()
    space = DerivationSpace(language, use_grammar=options.use_grammar)
    belief = None
    if options.use_network and table is not None:
        from gnnlib.heads.automl.synthesis_belief import Belief  # imports torch

        belief = Belief(space, options.network or _shipped(), np.asarray(table, dtype=np.float64))
    return SynthesisSearch(
        space,
        belief,
        simulations=options.simulations,
        depth=options.depth,
        exploration=options.exploration,
        seed=seed,
    )


def table_features(X: Any, y: Any, *, description: str | None = None, task: Task = "classification") -> FloatArray:
    """Return what the network wants to know of a table: ranks of its meta-features and its words, array [79].

    Parameters
    ----------
    X : DataFrame or array [n, d]
    y : array [n]
    description : str, optional
    task : {"classification", "regression"}

    Raises
    ------
    InputError
        If the table is empty, or nothing is known of earlier tables of this task.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table_features(rng.standard_normal((60, 3)), rng.integers(0, 2, 60), description="coins").shape
    (79,)
    """
    from gnnlib.heads.automl.metafeatures import compute_metafeatures
    from gnnlib.heads.automl.recommend import shipped_recommender
    from gnnlib.heads.automl.recommend_data import feature_row

    known = shipped_recommender(task)
    if known is None:
        raise InputError(f"nothing is known of earlier tables for {task}; use the search without `table`")
    row = known.scale.transform(feature_row(compute_metafeatures(X, y, task=task))[None])[0]
    words = known.meta.embedding.transform([description])[0] if known.meta.embedding else np.zeros(0)
    return np.concatenate([row, words])


@functools.cache
def _shipped() -> GraphModel:
    from gnnlib.encoder import load

    return load(NETWORK)


def _score(evaluate: Callable[[Pipeline], float], pipeline: Pipeline) -> float:
    found = evaluate(pipeline)
    if found is None:
        return -math.inf
    try:
        score = float(found)
    except (TypeError, ValueError) as error:
        raise InputError(f"`evaluate` must return a number, found {found!r} for {pipeline}") from error
    return score if math.isfinite(score) else -math.inf


def _edits(search: SynthesisSearch, path: list[int]) -> tuple[str, ...]:
    edits = search.space.language.edits
    places = [search.walked[place] for place in path[1:]]
    return tuple(str(edits[place.edit]) if place.edit >= 0 else "given" for place in places)


def tree_nodes(search: SynthesisSearch, *, most: int = MOST_NODES) -> tuple[SearchNode, ...]:
    """Return the tree over all pipelines that were tried, and the most visited others, parents first."""
    order = sorted(search.walked, key=lambda place: -search.walked[place].visits)[:most]
    kept: dict[int, int] = {EMPTY: 0}
    for place in (*search.scores, *order):
        for step in search.derivation(place):
            kept.setdefault(step, len(kept))
    nodes = []
    edits, pipelines = search.space.language.edits, search.space.pipelines
    for place in kept:
        found = search.walked[place]
        is_edit = found.edit >= 0
        kind = edits[found.edit].kind(pipelines[found.parent]) if is_edit else "start" if place == EMPTY else "given"
        nodes.append(
            SearchNode(
                str(pipelines[place] or ""),
                kept.get(found.parent, -1),
                str(edits[found.edit]) if is_edit else "",
                kind,
                found.visits,
                search.scores.get(place, math.nan),
            )
        )
    return tuple(nodes)
