"""What the search knows of a table: a few counts that decide which pipelines make sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gnnlib.errors import InputError

__all__ = ["TASKS", "MatrixLayout", "TableProfile", "Task"]

Task = Literal["classification", "regression"]

TASKS: tuple[Task, Task] = ("classification", "regression")


@dataclass(frozen=True)
class MatrixLayout:
    """How the columns of a cleaned matrix are arranged: numbers first, then categories as codes.

    Parameters
    ----------
    num_numeric : int >= 0
        Columns of numbers; NaN where missing.
    cardinalities : tuple of int
        Number of levels of each categorical column; codes are 0 .. levels - 1, NaN where missing or never seen.

    Examples
    --------
    >>> MatrixLayout(2, (3, 5)).num_columns
    4
    """

    num_numeric: int
    cardinalities: tuple[int, ...] = ()

    @property
    def num_columns(self) -> int:
        """Columns of the matrix."""
        return self.num_numeric + len(self.cardinalities)

    @property
    def categorical(self) -> list[int]:
        """Positions of the categorical columns."""
        return list(range(self.num_numeric, self.num_columns))


@dataclass(frozen=True)
class TableProfile:
    """Counts of a table and its target on which the validity of pipelines depends.

    Parameters
    ----------
    task : {"classification", "regression"}
    rows : int >= 1
    layout : MatrixLayout
    num_classes : int
        0 for regression.
    has_missing : bool
        Whether a numeric cell is missing.
    target_min, target_skew : float
        Smallest target and its skewness (regression; 0 otherwise).

    Raises
    ------
    InputError
        If the task is unknown or there are no rows.

    Examples
    --------
    >>> TableProfile("classification", 100, MatrixLayout(4), num_classes=3).max_levels
    0
    """

    task: Task
    rows: int
    layout: MatrixLayout
    num_classes: int = 0
    has_missing: bool = False
    target_min: float = 0.0
    target_skew: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise InputError(f"`task` must be one of {TASKS}, found {self.task!r}")
        if self.rows < 1:
            raise InputError(f"`rows` must be at least 1, found {self.rows}")

    @property
    def max_levels(self) -> int:
        """Levels of the richest categorical column; 0 without one."""
        return max(self.layout.cardinalities, default=0)

    @property
    def num_features(self) -> int:
        """Columns before encoding."""
        return self.layout.num_columns
