"""How long a fit will take: a rough count of operations, corrected by what was seen in this run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.heads.automl.table import TableProfile

__all__ = ["CostModel", "a_priori_seconds"]


def encoded_width(pipeline: Pipeline, profile: TableProfile) -> int:
    """Return about how many columns the estimator sees."""
    layout = profile.layout
    width = layout.num_columns
    if pipeline.encode.name == "onehot":
        limit = pipeline.encode.params["max_levels"]
        width = layout.num_numeric + sum(min(levels, limit) for levels in layout.cardinalities)
    if pipeline.encode.name == "target":
        width = layout.num_numeric + len(layout.cardinalities) * max(1, profile.num_classes - 1)
    keep = pipeline.reduce.params.get("keep", 1.0)
    return max(1, math.ceil(width * keep))


def a_priori_seconds(pipeline: Pipeline, profile: TableProfile, rows: int) -> float:
    """Return about how many seconds one fit takes on one core of today.

    Examples
    --------
    >>> from gnnlib.heads.automl.pipelines import Pipeline, Step
    >>> from gnnlib.heads.automl.table import MatrixLayout, TableProfile
    >>> profile = TableProfile("regression", 10_000, MatrixLayout(20))
    >>> quick, slow = (Pipeline("regression", Step(name), scale=Step("standard")) for name in ("ridge", "svm"))
    >>> a_priori_seconds(quick, profile, 10_000) < a_priori_seconds(slow, profile, 10_000)
    True
    """
    d = encoded_width(pipeline, profile)
    n = max(2, rows)
    prepared = 0.01 + 4e-8 * n * profile.num_features + (2e-8 * n * d * d if pipeline.reduce.name == "pca" else 0.0)
    if pipeline.reduce.name == "important":
        prepared += 30 * n * math.log2(n) * d * 1.5e-8
    fitted = _estimator_seconds(pipeline, profile, n, d)
    copies = {"sigmoid": 3.2, "isotonic": 3.2, "threshold": 3.2}.get(pipeline.post.name, 1.0)
    return prepared + fitted * copies


def _estimator_seconds(pipeline: Pipeline, profile: TableProfile, n: int, d: int) -> float:
    p, name = pipeline.estimator.params, pipeline.estimator.name
    outputs = max(1, profile.num_classes if profile.num_classes > 2 else 1)
    if name in {"hgb", "lightgbm"}:
        a_tree = 1.5e-9 * n * d * p["columns"] * math.log2(p["leaves"]) + 4e-5 * p["leaves"] + 2e-8 * n
        return float(p["trees"] * outputs * a_tree * (0.6 if name == "lightgbm" else 1.0))
    if name in {"forest", "extra"}:
        each = 2e-8 * n * math.log2(n) * max(1.0, d * p["columns"]) * (0.5 if name == "extra" else 1.0)
        return float(p["trees"] * (each + 1.5e-3))
    if name == "tree":
        return 2e-8 * n * math.log2(n) * d
    if name == "svm":
        return 1.5 * n * n * (d + 20) * 2e-9
    if name == "gp":
        return 2e-9 * float(n) ** 3 + 1e-7 * n * n * d
    if name == "mlp":
        weights = d * p["width"] + (p["layers"] - 1) * p["width"] ** 2 + p["width"] * outputs
        return float(p["epochs"] * (n * weights * 1.2e-9 + n / 200 * 6e-4))
    if name == "knn":
        return 4e-9 * n * n * d / 4
    if name == "logistic":
        return 5e-8 * n * d * outputs * 3
    return 2e-8 * n * d * min(d, 100) + 1e-3


class CostModel:
    """Estimates that learn: the ratio of seen to counted seconds, for each estimator and for all.

    Parameters
    ----------
    profile : TableProfile
    """

    def __init__(self, profile: TableProfile) -> None:
        self.profile = profile
        self._logs: dict[str, list[float]] = {}

    def seconds(self, pipeline: Pipeline, rows: int) -> float:
        """Return the expected seconds of one fit on `rows` rows."""
        return a_priori_seconds(pipeline, self.profile, rows) * math.exp(self._correction(pipeline.estimator.name))

    def observe(self, pipeline: Pipeline, rows: int, seconds: float) -> None:
        """Learn from one fit."""
        ratio = math.log(max(seconds, 1e-4) / a_priori_seconds(pipeline, self.profile, rows))
        self._logs.setdefault(pipeline.estimator.name, []).append(ratio)

    def _correction(self, name: str) -> float:
        """Mean log ratio of the estimator, drawn towards that of all, and that towards none."""
        everything = [ratio for ratios in self._logs.values() for ratio in ratios]
        overall = sum(everything) / (len(everything) + 2.0)
        mine = self._logs.get(name, [])
        recent = mine[-8:]
        return (sum(recent) + 0.5 * overall) / (len(recent) + 0.5)
