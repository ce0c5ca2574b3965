"""Answers that are there before any trial has ended, and the committee that gives the final one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.automl.worker import predict_with

if TYPE_CHECKING:
    from gnnlib.heads.automl.worker import TrialData
    from gnnlib.typing import FloatArray

__all__ = ["Committee", "Member", "fast_committee", "prior_committee"]

FAST_ROWS = 2_000
FAST_CELLS = 200_000
"""The quick model sees at most so many rows and cells, so that it is there within a second."""


@dataclass
class Member:
    """Models of one pipeline, one a fold, that speak with one voice."""

    weight: float
    models: list[Any]
    pipeline: str


@dataclass
class Committee:
    """Weighted average of members.

    Parameters
    ----------
    members : list of Member
    num_classes : int
        0 for regression.
    bounds : (float, float)
        Range of predictions of a target.
    multipliers : float array [C] or None
        Factors of the probabilities before the label is chosen.
    out_of_fold : (array [n], float array [n, C] or [n]) or None
        Targets of rows of training, and the predictions of models that had not seen them.
    """

    members: list[Member]
    num_classes: int
    bounds: tuple[float, float] = (0.0, 1.0)
    multipliers: FloatArray | None = None
    out_of_fold: tuple[Any, FloatArray] | None = None
    notes: list[str] = field(default_factory=list)

    def predict(self, X: FloatArray) -> FloatArray:
        """Return probabilities [N, C] or values [N] for a cleaned matrix."""
        total = sum(member.weight for member in self.members)
        answer = np.zeros((len(X), self.num_classes) if self.num_classes else len(X))
        for member in self.members:
            for model in member.models:
                share = member.weight / total / len(member.models)
                answer += share * predict_with(model, X, self.num_classes, self.bounds)
        return answer

    def choose(self, proba: FloatArray) -> Any:
        """Return the class code of each row of probabilities."""
        return (proba if self.multipliers is None else proba * self.multipliers).argmax(axis=1)


def prior_committee(data: TrialData) -> Committee:
    """Return the constant predictor: the frequencies of the classes, or the mean.

    Examples
    --------
    >>> from gnnlib.heads.automl.table import MatrixLayout
    >>> from gnnlib.heads.automl.worker import TrialData
    >>> zeros = np.zeros(3, dtype=np.int64)
    >>> data = TrialData(
    ...     np.zeros((3, 1)), np.array([0.0, 1.0, 5.0]), None, zeros, zeros, MatrixLayout(1), "regression", 0
    ... )
    >>> prior_committee(data).predict(np.zeros((1, 1)))
    array([2.])
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    model = DummyClassifier(strategy="prior") if data.num_classes else DummyRegressor(strategy="mean")
    model.fit(data.X[:, :1], data.y, sample_weight=data.weights)
    return Committee([Member(1.0, [model], "prior")], data.num_classes, data.bounds)


def fast_committee(data: TrialData, seed: int) -> Committee:
    """Return a small tree fitted in this process on a few rows."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows = data.order[: max(20, min(FAST_ROWS, FAST_CELLS // max(1, data.X.shape[1])))]
    kind = DecisionTreeClassifier if data.num_classes else DecisionTreeRegressor
    model = kind(max_depth=5, min_samples_leaf=max(2, len(rows) // 100), random_state=seed)
    weights = None if data.weights is None else data.weights[rows]
    model.fit(data.X[rows], data.y[rows], sample_weight=weights)
    return Committee([Member(1.0, [model], "quick tree")], data.num_classes, data.bounds)
