"""What the network and the results so far say of pipelines that were not tried: a Gaussian process around its value.

The network was trained on other tables; its errors on this one are alike for pipelines that are alike. So the score of
pipeline p is ``a + b (v(p) + r(p))``: v is the network's value, r a Gaussian process whose covariance was measured on
data sets the network had not seen, a is free and b is chosen by its posterior (C. Rasmussen and C. Williams, *Gaussian
Processes for Machine Learning*, 2006, equations 2.23-2.24, 2.42 for the free mean, 5.8 for the evidence).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.automl.pieces import SLOTS, Family
from gnnlib.heads.automl.synthesis_graph import edit_design, pipeline_graph, sentence_features, values, words
from gnnlib.heads.automl.synthesis_head import PolicyValue, SynthesisHead
from gnnlib.search.bayesopt import expected_improvement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.synthesis_language import DerivationSpace
    from gnnlib.typing import FloatArray

_FAMILIES = get_args(Family)

__all__ = ["Belief", "Likeness", "covariance"]

_SPREADS = np.geomspace(1e-3, 30.0, 24)
"""Distances from the worst to the best score that are considered."""

_SPREAD_SD = 1.0
"""Standard deviation of the logarithm of that distance, before any result."""


@dataclass(frozen=True)
class Likeness:
    """Pipelines in the terms of the covariance.

    Attributes
    ----------
    family, estimator : int array [n]
    place : array [n, F]
        Values in [-1, 1], and the pieces around the estimator.
    """

    family: FloatArray
    estimator: FloatArray
    place: FloatArray

    @classmethod
    def of(cls, pipelines: Sequence[Pipeline | None]) -> Likeness:
        """Describe pipelines; the empty one is like no other."""
        spot = SLOTS.index("estimator")
        family, estimator, place = [], [], []
        for item in pipelines:
            features = sentence_features(item)
            parts = features[:, : len(words())].copy()
            estimator.append(int(parts[spot].argmax()) if item is not None else -1)
            family.append(_FAMILIES.index(item.family) if item is not None else -1)
            parts[spot] = 0.0
            settings = features[:, len(words()) : len(words()) + len(values())].sum(axis=0)
            place.append(np.concatenate([settings, 0.7 * parts.sum(axis=0)]))
        return cls(np.array(family), np.array(estimator), np.stack(place))

    def take(self, rows: Sequence[int]) -> Likeness:
        """Return some of them."""
        where = list(rows)
        return Likeness(self.family[where], self.estimator[where], self.place[where])

    def join(self, other: Likeness) -> Likeness:
        """Return these and others."""
        return Likeness(
            np.concatenate([self.family, other.family]),
            np.concatenate([self.estimator, other.estimator]),
            np.concatenate([self.place, other.place]),
        )


def covariance(first: Likeness, second: Likeness, kernel: FloatArray) -> FloatArray:
    """Return the covariance [n, m] of the network's errors; noise is not in it.

    Parameters
    ----------
    first, second : Likeness
    kernel : array [6]
        As `gnnlib.heads.automl.synthesis_head.SynthesisHead.kernel`.
    """
    same_family = first.family[:, None] == second.family[None]
    same = first.estimator[:, None] == second.estimator[None]
    squares = ((first.place[:, None] - second.place[None]) ** 2).sum(axis=2)
    near = np.exp(-squares / (2.0 * kernel[3] ** 2))
    return np.asarray(kernel[0] * same_family + kernel[1] * same + kernel[2] * same * near)


class Belief:
    """Value and policy of the places of a space for one table, sharpened by results.

    Parameters
    ----------
    space : DerivationSpace
    model : GraphModel
        With a `SynthesisHead`.
    table : array [F]
        What the table looks like.

    Raises
    ------
    InputError
        If the model has another head, or the features do not fit it.
    """

    def __init__(self, space: DerivationSpace, model: GraphModel, table: FloatArray) -> None:
        head = model.head
        if not isinstance(head, SynthesisHead):
            raise InputError(f"`network` must have a SynthesisHead, found {type(head).__name__}")
        if np.shape(table) != (head.tables,) or not np.isfinite(table).all():
            raise InputError(f"`table` must hold {head.tables} finite features, found shape {np.shape(table)}")
        self.space, self.model, self.table = space, model.eval(), np.asarray(table, dtype=np.float64)
        self.kernel: FloatArray = head.kernel.double().numpy()
        self._seen: FloatArray = head.seen.double().numpy()
        design = edit_design(space.language.edits, space.language.task)
        known = self._seen[: len(words())]
        # edits to pieces that training never met get no opinion, rather than a random one
        self._design = design
        self._is_known = np.array(
            [not row[: len(words())].any() or bool((row[: len(words())] @ known) > 0) for row in design]
        )
        self._like = Likeness.of([None])
        self._values: dict[int, float] = {}
        self._logits: dict[int, FloatArray] = {}
        self._gains: dict[int, float] = {}
        self._fitted: tuple[list[int], FloatArray, FloatArray, float, float] | None = None

    def prepare(self, places: Sequence[int]) -> None:
        """Ask the network about places that it was not asked about yet, together."""
        new = sorted({place for place in places if place not in self._values})
        if not new:
            return
        sentences = np.stack([sentence_features(self.space.pipelines[place]) for place in new]) * self._seen
        with torch.inference_mode():
            output = self.model(pipeline_graph(sentences, np.repeat(self.table[None], len(new), axis=0)))
        if not isinstance(output, PolicyValue):
            raise InputError(f"the network must return a PolicyValue, found {type(output).__name__}")
        logits = output.policy.double().numpy() @ self._design.T
        logits[:, ~self._is_known] = (
            logits[:, self._is_known].mean(axis=1, keepdims=True) if self._is_known.any() else 0.0
        )
        for place, value, row in zip(new, output.value.double().numpy(), logits, strict=True):
            self._values[place] = float(value)
            self._logits[place] = row

    def logits(self, place: int) -> FloatArray:
        """Return the policy's score of every edit, array [A]."""
        self.prepare([place])
        return self._logits[place]

    def learn(self, results: Mapping[int, float]) -> None:
        """Take in all results so far: scores by place, higher is better, minus infinity for a failure."""
        self._gains = {}
        self._fitted = None
        finite = [score for score in results.values() if math.isfinite(score)]
        if not finite:
            return
        tried = list(results)
        self.prepare(tried)
        value = np.array([self._values[place] for place in tried])
        score = np.array([results[place] if math.isfinite(results[place]) else min(finite) for place in tried])
        likeness = self._likeness(tried)
        inner = covariance(likeness, likeness, self.kernel) + self.kernel[4] * np.eye(len(tried))
        inverse = np.linalg.inv(inner)
        spread = _best_spread(score, value, inverse, float(self.kernel[5]))
        error = score / spread - value
        ones = inverse.sum(axis=1)
        mean = float(ones @ error / ones.sum())
        self._fitted = (tried, inverse, inverse @ (error - mean), mean, float(max(finite) / spread))

    def gains(self, places: Sequence[int]) -> FloatArray:
        """Return what is expected of trying each place, array [n].

        Before the first result this is the network's value, afterwards the expected improvement in units of the
        distance from the worst to the best score.
        """
        new = [place for place in dict.fromkeys(places) if place not in self._gains]
        if new:
            self.prepare(new)
            mean, spread = self.predict(new)
            best = self._fitted[4] if self._fitted is not None else None
            found = mean if best is None else expected_improvement(-mean, spread, -best)
            self._gains.update(zip(new, map(float, found), strict=True))
        return np.array([self._gains[place] for place in places])

    def predict(self, places: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Return expected score and standard deviation [n], in units of the distance from worst to best."""
        self.prepare(places)
        value = np.array([self._values[place] for place in places])
        own = float(self.kernel[:3].sum())
        if self._fitted is None:
            return value, np.full(len(places), math.sqrt(own))
        tried, inverse, weights, mean, _ = self._fitted
        shared = covariance(self._likeness(places), self._likeness(tried), self.kernel)
        left = 1.0 - (shared @ inverse).sum(axis=1)
        variance = own - ((shared @ inverse) * shared).sum(axis=1) + left**2 / inverse.sum()
        return mean + value + shared @ weights, np.sqrt(np.maximum(variance, 1e-12))

    def _likeness(self, places: Sequence[int]) -> Likeness:
        known = len(self._like.family)
        if known < len(self.space.pipelines):
            self._like = self._like.join(Likeness.of(self.space.pipelines[known:]))
        return self._like.take(places)


def _best_spread(score: FloatArray, value: FloatArray, inverse: FloatArray, usual: float) -> float:
    """Return the distance from worst to best score of largest posterior; the usual one before two results differ."""
    count = len(score)
    if count < 2 or np.ptp(score) == 0.0:
        return usual
    ones = inverse.sum(axis=1)
    best, best_spread = -math.inf, usual
    for factor in _SPREADS:
        spread = float(factor * usual)
        error = score / spread - value
        error = error - ones @ error / ones.sum()
        evidence = -0.5 * float(error @ inverse @ error) - (count - 1) * math.log(spread)
        evidence -= 0.5 * (math.log(factor) / _SPREAD_SD) ** 2
        if evidence > best:
            best, best_spread = evidence, spread
    return best_spread
