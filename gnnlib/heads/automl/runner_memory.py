"""What a fit takes from, and leaves in, a store of experience."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.experience import Experience, ExperienceStore, fingerprint
from gnnlib.heads.automl.metafeatures import compute_metafeatures
from gnnlib.heads.automl.pipelines import Pipeline

if TYPE_CHECKING:
    from gnnlib.heads.automl.metrics import Metric
    from gnnlib.heads.automl.runner import Study
    from gnnlib.heads.automl.table import Task

__all__ = ["describe_table", "open_memory", "recalled", "remember"]

MOST_RECALLED = 6


def open_memory(store: Any) -> ExperienceStore | None:
    """Return the store that ``store=`` names.

    Raises
    ------
    InputError
        If it is neither a store, an address, nor None.
    """
    if store is None or isinstance(store, ExperienceStore):
        return store
    if isinstance(store, str):
        return ExperienceStore(store)
    raise InputError(
        f"`store` must be an ExperienceStore, an address such as 'sqlite:///experience.db', or None, found {store!r}"
    )


def describe_table(X: Any, y: Any, task: Task) -> dict[str, float]:
    """Return the meta-features under which a table is remembered."""
    return compute_metafeatures(X, y, task=task)


def recalled(memory: ExperienceStore | None, task: Task, metric: Metric) -> list[tuple[Pipeline, str]]:
    """Return the pipelines that did best on the tables of the store, relative to the others tried there.

    A pipeline's merit is its mean rank, as a share, over the tables where it was tried; tables with a single trial say
    nothing. Texts that this version cannot read are passed over, for teams share stores between versions.
    """
    if memory is None:
        return []
    table = memory.matrix(task=task, metric=metric.name)
    if table.empty:
        return []
    table = table[table.notna().sum(axis=1) >= 2]
    share = table.rank(axis=1, pct=True, ascending=False)
    # one lucky table is no proof: the mean is drawn to the middle
    merit = (share.sum() + 0.5) / (share.notna().sum() + 1)
    found: list[tuple[Pipeline, str]] = []
    for text in merit.sort_values(kind="stable").index:
        pipeline = _read(task, text)
        if pipeline is not None:
            found.append((pipeline, "experience"))
        if len(found) == MOST_RECALLED:
            break
    return found


def _read(task: Task, text: str) -> Pipeline | None:
    try:
        return Pipeline.parse(task, text)
    except InputError:
        return None


def remember(memory: ExperienceStore, study: Study, profile: dict[str, float], description: str | None) -> None:
    """Add the complete trials of a study, and those that failed, to the store."""
    name = fingerprint(study.data.X.tobytes(), np.ascontiguousarray(study.data.y).tobytes())
    memory.add(
        Experience(
            name,
            study.data.task,
            str(record.pipeline),
            study.metric.name,
            record.score if record.status == "ok" else math.nan,
            record.fit_s + record.predict_s,
            profile,
            description or "",
        )
        for record in study.records
        if record.status in {"ok", "error", "memory"}
    )
