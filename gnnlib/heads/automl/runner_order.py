"""What to try next: known good pipelines of different kinds first, then a search around what worked.

The search is a bandit over estimators (UCB1, P. Auer et al. 2002) whose arms yield mutations of their best pipeline, or
Bayesian optimisation, random draws over the joint space of the grammar, or tree search over edits of pipelines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.portfolio import static_portfolio
from gnnlib.heads.automl.synthesis_language import PipelineLanguage
from gnnlib.search.hyper import HyperSearch
from gnnlib.seeding import numpy_generator, spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gnnlib.heads.automl.grammar import Grammar
    from gnnlib.heads.automl.synthesis_search import SynthesisSearch
    from gnnlib.heads.automl.table import Task
    from gnnlib.search.hyper import Trial
    from gnnlib.typing import FloatArray

__all__ = ["STRATEGIES", "Proposal", "Proposer", "Strategy", "as_start", "default_start", "is_coarse"]

Strategy = Literal["bandit", "bayes", "random", "synthesis"]
STRATEGIES: tuple[Strategy, ...] = ("bandit", "bayes", "random", "synthesis")

EXPLORATION = 0.35
"""Weight of the uncertainty of an estimator in units of the spread of scores."""

DEAREST_SHARE = 0.35
"""A first rung that costs more than this share of the time left waits until nothing cheaper does."""

SIMULATIONS = 24
"""Of one plan of the synthesis: it must cost little beside a trial."""

_TRIES = 40

_CLASSIFICATION = (
    "keep > ordinal > none > lightgbm(learning_rate=0.05, trees=150, leaves=15) > none",
    "median > onehot > standard > logistic > none",
    "median > ordinal > none > extra > none",
    "keep > native > none > hgb > none",
    "median > onehot > standard > svm > none",
    "median > onehot > standard > mlp > none",
    "median > target > none > forest(min_leaf=2) > none",
    "median > onehot > standard > lda > none",
    "keep > native > none > hgb(learning_rate=0.05, trees=200, leaves=15, l2=1.0, columns=0.6) > none",
    "median > onehot > quantile > svm(C=20.0, gamma=0.3) > none",
    "median > ordinal > none > extra(trees=250, criterion=entropy, columns=0.6, min_leaf=2) > none",
    "median > onehot > quantile > mlp(width=192, alpha=0.1, epochs=150) > none",
    "median > onehot > standard > knn > none",
    "median > target > quantile > qda > none",
    "median > onehot > standard > svm(C=10.0, kernel=poly, coef0=2.0, gamma=0.5) > none",
    "median > target > quantile > gnb > none",
    "keep > ordinal > none > lightgbm(learning_rate=0.03, trees=350, leaves=48, columns=0.5, min_leaf=8) > none",
    "median > onehot > robust > logistic(C=0.03) > none",
)
_REGRESSION = (
    "keep > ordinal > none > lightgbm(learning_rate=0.05, trees=200, leaves=15) > none",
    "median > onehot > standard > ridge > none",
    "median > ordinal > none > extra > none",
    "keep > native > none > hgb > none",
    "median > onehot > standard > svm > none",
    "median > onehot > standard > mlp > none",
    "median > target > none > forest(min_leaf=2) > none",
    "median > onehot > standard > gp > none",
    "keep > native > none > hgb(learning_rate=0.05, trees=250, leaves=15, l2=1.0, columns=0.6) > none",
    "median > onehot > quantile > svm(C=20.0, gamma=0.3) > none",
    "median > ordinal > none > extra(trees=250, columns=0.8, min_leaf=2) > none",
    "median > onehot > quantile > mlp(width=192, alpha=0.1, epochs=150) > none",
    "median > onehot > standard > knn > none",
    "median > onehot > standard > elastic > none",
    "keep > ordinal > none > lightgbm(learning_rate=0.03, trees=500, leaves=48, columns=0.5, min_leaf=8) > none",
    "median > onehot > standard > ridge > log",
)


@dataclass(frozen=True)
class Proposal:
    """A pipeline to try, and why."""

    pipeline: Pipeline
    why: str
    trial: Trial | None = None


def default_start(task: Task, *, needs_probabilities: bool = False) -> list[Pipeline]:
    """Return pipelines of all kinds to begin with: the static portfolio and settings of common use in turn.

    The portfolio (`gnnlib.heads.automl.portfolio`) covers many tables by its best member; what it knows nothing of,
    such as regression, native categories and smooth probabilities, the other list adds.

    Parameters
    ----------
    task : {"classification", "regression"}
    needs_probabilities : bool
        Leave out what only names labels: single trees and the very nearest neighbours.

    Examples
    --------
    >>> {"boosting", "linear", "kernel", "forest", "network"} <= {item.family for item in default_start("regression")}
    True
    """
    usual = [Pipeline.parse(task, text) for text in (_CLASSIFICATION if task == "classification" else _REGRESSION)]
    shipped = [item for item in static_portfolio(task) if not (needs_probabilities and is_coarse(item))][: len(usual)]
    return [pipeline for pair in zip(usual, shipped, strict=False) for pipeline in pair] + usual[len(shipped) :]


def is_coarse(pipeline: Pipeline) -> bool:
    """Return whether a pipeline names labels well but gives poor probabilities."""
    return pipeline.estimator.name == "tree" or pipeline.estimator.params.get("neighbours", 10) < 4


class Proposer:
    """Hand out pipelines, each once, that the remaining time can pay for.

    Parameters
    ----------
    grammar : Grammar
    start : sequence of (Pipeline, str)
        What to try first, and why; each is fitted to the grammar.
    strategy : {"bandit", "bayes", "random", "synthesis"}
    seed : int
    table : array [79], optional
        What the table looks like, for the network of the synthesis; without it the synthesis has no network.
    """

    def __init__(
        self,
        grammar: Grammar,
        start: Sequence[tuple[Pipeline, str]],
        *,
        strategy: Strategy = "bandit",
        seed: int = 0,
        table: FloatArray | None = None,
    ) -> None:
        self.grammar = grammar
        self.strategy = strategy
        seeds = spawn_seeds(seed, 2)
        self._rng = numpy_generator(seeds[0])
        self._search: HyperSearch | None = None
        self._table = table
        self.synthesis: SynthesisSearch | None = None
        self._search_seed = seeds[1]
        self._seen: set[str] = set()
        self._scores: dict[str, list[float]] = {}
        self._best: dict[str, tuple[float, Pipeline]] = {}
        self._pulls: dict[str, int] = {}
        self.waiting: list[Proposal] = []
        for pipeline, why in start:
            fitted = grammar.nearest(pipeline)
            if fitted is not None and fitted.key not in self._seen:
                self._seen.add(fitted.key)
                self.waiting.append(Proposal(fitted, why))

    def next(self, cost: Callable[[Pipeline], float], remaining_s: float) -> Proposal | None:
        """Return what to try next; None when nothing more fits into the time.

        From the list at the start the first is taken that costs no more than a third of the time, else the cheapest.
        """
        affordable = [proposal for proposal in self.waiting if cost(proposal.pipeline) <= remaining_s]
        if affordable:
            cheap = [proposal for proposal in affordable if cost(proposal.pipeline) <= DEAREST_SHARE * remaining_s]
            chosen = cheap[0] if cheap else min(affordable, key=lambda proposal: cost(proposal.pipeline))
            self.waiting.remove(chosen)
            return chosen
        for _ in range(_TRIES):
            proposal = self._propose()
            if proposal is None or proposal.pipeline.key in self._seen:
                continue
            if cost(proposal.pipeline) <= remaining_s:
                self._seen.add(proposal.pipeline.key)
                return proposal
        return None

    def tell(self, proposal: Proposal, score: float) -> None:
        """Learn the score of a pipeline, higher is better; minus infinity for one that failed."""
        name = proposal.pipeline.estimator.name
        self._pulls[name] = self._pulls.get(name, 0) + 1
        if math.isfinite(score):
            self._scores.setdefault(name, []).append(score)
            if name not in self._best or score > self._best[name][0]:
                self._best[name] = (score, proposal.pipeline)
        if self.strategy == "synthesis":
            self._synthesis().tell(proposal.pipeline, score)
        if self.strategy == "bayes" and math.isfinite(score):
            search = self._hyper()
            if proposal.trial is not None:
                search.tell(proposal.trial, -score)
            else:
                search.observe(self.grammar.to_point(proposal.pipeline), -score)

    def _hyper(self) -> HyperSearch:
        if self._search is None:
            self._search = HyperSearch(self.grammar.space(), strategy="bayes", seed=self._search_seed)
        return self._search

    def _synthesis(self) -> SynthesisSearch:
        if self.synthesis is None:
            from gnnlib.heads.automl.synthesis import SynthesisParams, make_search  # the search is compiled

            language = PipelineLanguage.from_grammar(self.grammar)
            params = SynthesisParams(simulations=SIMULATIONS)
            self.synthesis = make_search(language, self._table, params=params, seed=self._search_seed)
        return self.synthesis

    def _propose(self) -> Proposal | None:
        if self.strategy == "synthesis":
            found = self._synthesis().ask()
            is_new = found is not None and found.key not in self._seen
            return Proposal(
                found if found is not None and is_new else self.grammar.sample(self._rng),
                "synthesis" if is_new else "random",
            )
        if self.strategy == "bayes":
            trial = self._hyper().try_ask()
            return None if trial is None else Proposal(self.grammar.to_pipeline(trial.point), "bayes", trial)
        if self.strategy == "random" or not self._best or self._rng.random() < 0.1:
            return Proposal(self.grammar.sample(self._rng), "random")
        name = self._choose_arm()
        if name not in self._best:
            return Proposal(self.grammar.sample(self._rng, estimator=name), "bandit")
        width = 0.25 / math.sqrt(1.0 + self._pulls[name] / 6.0)
        return Proposal(self.grammar.mutate(self._best[name][1], self._rng, width=width), "bandit")

    def _choose_arm(self) -> str:
        """Return the estimator with the highest upper bound on its best score."""
        everything = sorted(score for scores in self._scores.values() for score in scores)
        top = everything[-1]
        # the spread of the better half: failures far below must not flatten the differences that matter
        spread = max(top - everything[len(everything) // 2], 1e-9)
        total = sum(self._pulls.values())

        def bound(name: str) -> float:
            pulls = self._pulls.get(name, 0)
            value = (self._best[name][0] - top) / spread if name in self._best else -1.0
            return value + EXPLORATION * math.sqrt(2.0 * math.log(total + 1.0) / (pulls + 1.0))

        names = sorted({names[4] for names in self.grammar.skeletons})
        return max(names, key=bound)


def as_start(task: Task, steps: Sequence[tuple[Pipeline | str, str]]) -> list[tuple[Pipeline, str]]:
    """Return pipelines for a list that may hold their texts."""
    return [(Pipeline.parse(task, item) if isinstance(item, str) else item, why) for item, why in steps]
