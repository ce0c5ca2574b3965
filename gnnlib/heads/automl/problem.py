"""The records of a search for pipelines: settings that rarely change, and the target as it is understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from gnnlib.errors import InputError
from gnnlib.heads.automl.pieces import PIECES
from gnnlib.heads.automl.runner_order import STRATEGIES, Strategy

if TYPE_CHECKING:
    from gnnlib.heads.automl.decode import Recommender
    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.typing import FloatArray

__all__ = ["AutoMLParams", "Ensemble", "check_weights", "missing_rows"]

Ensemble = Literal["selection", "stacking", "average", "best"]


@dataclass(frozen=True)
class AutoMLParams:
    """Settings that most users leave alone.

    Parameters
    ----------
    include, exclude : tuple of str
        Names of pieces to allow only (in the slots of which one is named), or to forbid.
    start : tuple of Pipeline or str, optional
        Pipelines to try first; default: the portfolio.
    strategy : {"bandit", "bayes", "random", "synthesis"}
        How to search after that; "synthesis" is the tree search of `gnnlib.heads.automl.synthesis`, with its network
        for classification.
    num_folds : int >= 2, optional
        Default: by the number of rows and the time.
    memory_limit_gb : float > 0, optional
        Memory that one trial may take; default: its share of what is free.
    max_members : int >= 1
        Largest ensemble.
    ensemble : {"selection", "stacking", "average", "best"}
        How the ensemble is weighed: greedy selection with replacement; stacking from 1,000 rows without weights on,
        where it is better on rows that it was not fitted to; equal weights; or the best pipeline alone. All see
        out-of-fold predictions only.
    max_rows : int >= 2, optional
        Use a sample of so many rows; default: all.
    use_graph : bool
        Begin with what the graph of known data sets recommends.
    recommender : Recommender, optional
        Whom to ask for that: what `gnnlib.fit_meta` learned from one's own store; default: the one that ships.
    progress : bool
        Show a bar with the time that is over and the best score.

    Raises
    ------
    InputError
        If a value is out of range or a name unknown.

    Examples
    --------
    >>> AutoMLParams(exclude=("svm",), max_members=3).strategy
    'bandit'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start: tuple[Pipeline | str, ...] | None = None
    strategy: Strategy = "bandit"
    num_folds: int | None = None
    memory_limit_gb: float | None = None
    max_members: int = 12
    ensemble: Ensemble = "selection"
    max_rows: int | None = None
    use_graph: bool = True
    recommender: Recommender | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        known = {item.name for item in PIECES}
        for name in ("include", "exclude"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise InputError(f"`{name}` must be a tuple of names, found the string {value!r}")
            unknown = [item for item in value if item not in known]
            if unknown:
                raise InputError(
                    f"`{name}` names {unknown[0]!r}, which is no piece; known are {', '.join(sorted(known))}"
                )
            object.__setattr__(self, name, tuple(value))
        if self.strategy not in STRATEGIES:
            raise InputError(f"`strategy` must be one of {STRATEGIES}, found {self.strategy!r}")
        if self.ensemble not in get_args(Ensemble):
            raise InputError(f"`ensemble` must be one of {get_args(Ensemble)}, found {self.ensemble!r}")
        for name, least in (("num_folds", 2), ("max_members", 1), ("max_rows", 2)):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least
            ):
                raise InputError(f"`{name}` must be an integer >= {least}, found {value!r}")
        if self.recommender is not None and not hasattr(self.recommender, "expected_regret"):
            raise InputError(f"`recommender` must be what `fit_meta` returns, found {type(self.recommender).__name__}")
        limit = self.memory_limit_gb
        if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
            raise InputError(f"`memory_limit_gb` must be a number > 0, found {limit!r}")


def missing_rows(y: Any) -> Any:
    """Return which targets are missing [N]; infinite ones are an error, for they are no measurement.

    Raises
    ------
    InputError
        If a target is infinite.
    """
    values = pd.Series(y)
    if pd.api.types.is_float_dtype(values.dtype) and np.isinf(values.to_numpy(dtype=np.float64, na_value=0.0)).any():
        first = int(np.flatnonzero(np.isinf(values.to_numpy(dtype=np.float64, na_value=0.0)))[0])
        raise InputError(f"Input y contains infinity, first in row {first}; remove such rows")
    return values.isna().to_numpy()


def check_weights(sample_weight: Any, rows: int) -> FloatArray | None:
    """Return weights as floats [N], or None.

    Raises
    ------
    InputError
        If the length differs, a weight is negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("`sample_weight` must be numbers") from error
    if weights.ndim == 0:
        weights = np.full(rows, float(weights))
    if weights.ndim != 1:
        raise InputError(f"Sample weights must be 1D array or scalar, found shape {weights.shape}")
    if len(weights) != rows:
        raise InputError(f"sample_weight.shape == {weights.shape}, expected {(rows,)}!")
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = int(np.flatnonzero(~np.isfinite(weights) | (weights < 0))[0])
        raise InputError(f"`sample_weight` must be finite and >= 0, found {weights[bad]!r} in row {bad}")
    if weights.sum() == 0:
        raise InputError("`sample_weight` must not be zero everywhere")
    return weights
