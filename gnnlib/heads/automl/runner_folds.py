"""Which rows judge which model: folds that keep the classes, or the spread of the target, alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gnnlib.heads.automl.table import Task
    from gnnlib.typing import IntArray

__all__ = ["assign_folds", "choose_num_folds", "shuffled_order"]

_LARGE = ((1_500, 8), (6_000, 5), (60_000, 4))
HOLDOUT_PARTS = 5
"""Above the largest of these sizes one fifth of the rows is held out and the rest is trained on once."""

FEW_ROWS = 8_000
"""Up to so many rows, one part held out would judge too roughly."""

ROUNDS_WANTED = 10.0
"""So many cross-validations of a boosting model should fit into the time, or fewer folds are used."""


def choose_num_folds(rows: int, seconds: float, fold_seconds: float) -> int:
    """Return the number of folds that are predicted: 1 means a holdout.

    Parameters
    ----------
    rows : int
    seconds : float
        Wall-clock budget; infinity without one.
    fold_seconds : float
        About what one fit of a usual model costs.

    Examples
    --------
    >>> choose_num_folds(500, 60.0, 0.1), choose_num_folds(200_000, 60.0, 10.0)
    (8, 1)
    """
    if rows < 16:
        return max(2, min(4, rows // 2))
    wanted = next((folds for limit, folds in _LARGE if rows <= limit), 1)
    if rows < 60:
        wanted = 5
    least = 3 if rows <= FEW_ROWS else 1
    while wanted > least and wanted * fold_seconds * ROUNDS_WANTED > seconds:
        wanted = {8: 5, 5: 3, 4: 3, 3: 1}.get(wanted, 1)
    return wanted


def assign_folds(y: Any, parts: int, task: Task, rng: np.random.Generator) -> IntArray:
    """Deal rows to parts so that each has its share of every class, or of every range of the target.

    Parameters
    ----------
    y : array [N]
        Class codes or targets.
    parts : int >= 2
    task : {"classification", "regression"}
    rng : numpy Generator

    Returns
    -------
    int array [N]
        Part of each row; sizes differ by at most one.

    Examples
    --------
    >>> folds = assign_folds(np.array([0, 0, 0, 1, 1, 1]), 3, "classification", np.random.default_rng(0))
    >>> [np.bincount(folds[:3], minlength=3).tolist(), np.bincount(folds[3:], minlength=3).tolist()]
    [[1, 1, 1], [1, 1, 1]]
    """
    shuffled = rng.permutation(len(y))
    # rows of one class, or of like targets, follow each other and are dealt out in turn
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    folds = np.empty(len(y), dtype=np.int64)
    if task == "classification":
        folds[order] = np.arange(len(y)) % parts
        return folds
    for start in range(0, len(y), parts):
        block = order[start : start + parts]
        folds[block] = rng.permutation(parts)[: len(block)]
    return folds


def shuffled_order(y: Any, task: Task, rng: np.random.Generator) -> IntArray:
    """Return an order of the rows of which every beginning has about the same mixture of classes.

    The first rows hold one of each class, so that small subsamples know them all.
    """
    shuffled = rng.permutation(len(y))
    if task != "classification":
        return shuffled
    _, first = np.unique(y[shuffled], return_index=True)
    rest = np.delete(shuffled, first)
    return np.concatenate([shuffled[first], rest])
