"""Ask what is known of earlier tables which pipelines this one should begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.recommend import recommend_pipelines
from gnnlib.heads.automl.synthesis import table_features

if TYPE_CHECKING:
    from gnnlib.heads.automl.decode import Recommender
    from gnnlib.heads.automl.recommend import Recommendation
    from gnnlib.heads.automl.worker import TrialData
    from gnnlib.typing import FloatArray

__all__ = ["advised_start", "ask_advice", "ask_features"]

ADVISED = 6
"""Pipelines to ask for."""

MOST_CELLS = 5_000_000
"""Larger tables are not described: that alone would take seconds."""


def ask_advice(
    data: TrialData, description: str | None, recommender: Recommender | None = None
) -> Recommendation | None:
    """Return the pipelines recommended for a cleaned table, and why; None for a table too large to describe."""
    if data.X.size > MOST_CELLS:
        return None
    return recommend_pipelines(
        _frame(data),
        data.y,
        description=description or None,
        k=ADVISED,
        task=data.task,
        experience=recommender,
    )


def ask_features(data: TrialData, description: str | None) -> FloatArray | None:
    """Return what the network of the synthesis wants to know; None for a task that it was not trained on."""
    if data.X.size > MOST_CELLS or data.task != "classification":
        return None
    return table_features(_frame(data), data.y, description=description or None, task=data.task)


def _frame(data: TrialData) -> pd.DataFrame:
    frame = pd.DataFrame(data.X[:, : data.layout.num_numeric])
    for place, levels in zip(data.layout.categorical, data.layout.cardinalities, strict=True):
        codes = np.nan_to_num(data.X[:, place], nan=-1.0).astype(np.int64)
        frame[place] = pd.Categorical.from_codes(codes, [str(level) for level in range(levels)])
    frame.columns = frame.columns.map(str)
    return frame


def advised_start(
    advice: Recommendation | None, usual: list[Pipeline], *, needs_probabilities: bool = False
) -> list[tuple[Pipeline, str]]:
    """Return the usual start with the advice between its first entries, each with the reason why it is there."""
    from gnnlib.heads.automl.runner_order import is_coarse

    start = [(pipeline, "portfolio") for pipeline in usual]
    if advice is None or advice.source != "experience":
        return start
    read = [Pipeline.parse(usual[0].task, entry.pipeline) for entry in advice.pipelines]
    advised = [(item, "data set graph") for item in read if not (needs_probabilities and is_coarse(item))]
    mixed = [entry for pair in zip(start, advised, strict=False) for entry in pair]
    return [*mixed, *advised[len(start) :], *start[len(advised) :]]
