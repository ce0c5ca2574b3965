"""The words of the pipeline language: every piece with its hyper-parameters, defaults, and what it needs."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from gnnlib.errors import InputError
from gnnlib.heads.automl.table import TASKS, Task
from gnnlib.search.spaces import Categorical, Float, Int, Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PIECES", "SLOTS", "Family", "Piece", "Slot", "is_available", "piece", "pieces_of"]

Slot = Literal["impute", "encode", "scale", "reduce", "estimator", "post"]
Family = Literal["boosting", "forest", "linear", "kernel", "network", "neighbours", "bayes", "none"]

SLOTS: tuple[Slot, ...] = ("impute", "encode", "scale", "reduce", "estimator", "post")
"""Order of the slots. ``scale`` and ``reduce`` together are the third of the five pieces."""

_CLASSES: tuple[Task, ...] = ("classification",)
_NUMBERS: tuple[Task, ...] = ("regression",)


@dataclass(frozen=True)
class Piece:
    """One word of the pipeline language.

    Parameters
    ----------
    slot : str
        Where it stands; one of `SLOTS`.
    name : str
        Unique over all slots, except ``none``.
    tasks : tuple of str
    parameters : mapping of str to (Parameter, default)
        Its hyper-parameters.
    family : str
        Kind of estimator; "none" for other slots.
    needs_scale : bool
        Whether the estimator measures distances, so that features must be on one scale.
    takes_missing : bool
        Whether the estimator reads NaN.
    takes_weights : bool
        Whether the estimator uses sample weights.
    max_rows, max_features : int
        Largest table for which it is tried.
    package : str
        Distribution that it needs beyond scikit-learn.
    """

    slot: Slot
    name: str
    tasks: tuple[Task, ...] = TASKS
    parameters: Mapping[str, tuple[Parameter, Any]] = field(default_factory=dict)
    family: Family = "none"
    needs_scale: bool = False
    takes_missing: bool = False
    takes_weights: bool = True
    max_rows: int = 10**9
    max_features: int = 10**9
    package: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    @property
    def defaults(self) -> dict[str, Any]:
        """The value of every hyper-parameter that is active by default."""
        values: dict[str, Any] = {}
        for name, (parameter, default) in self.parameters.items():
            if self._is_active(parameter, values):
                values[name] = default
        return values

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults, check names and values, and leave out what is not active.

        Raises
        ------
        InputError
            If a name is unknown or a value is outside its range.
        """
        for name in params:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise InputError(f"piece {self.name!r} has no parameter {name!r}; it has {known}")
        values: dict[str, Any] = {}
        for name, (parameter, default) in self.parameters.items():
            if not self._is_active(parameter, values):
                continue
            value = params.get(name, default)
            if not parameter.contains(value):
                raise InputError(f"{self.name}.{name} must be in {parameter}, found {value!r}")
            values[name] = value
        return values

    @staticmethod
    def _is_active(parameter: Parameter, values: Mapping[str, Any]) -> bool:
        return all(
            values.get(parent) in (allowed if isinstance(allowed, tuple) else (allowed,))
            for parent, allowed in (parameter.when or {}).items()
        )


_BOOSTING: dict[str, tuple[Parameter, Any]] = {
    "learning_rate": (Float(0.01, 0.3, log=True), 0.1),
    "trees": (Int(30, 600, log=True), 100),
    "leaves": (Int(4, 128, log=True), 31),
    "min_leaf": (Int(2, 100, log=True), 20),
    "l2": (Float(1e-6, 30.0, log=True), 1e-6),
    "columns": (Float(0.2, 1.0), 1.0),
}
_FOREST: dict[str, tuple[Parameter, Any]] = {
    "trees": (Int(30, 400, log=True), 100),
    "columns": (Float(0.05, 1.0), 0.4),
    "min_leaf": (Int(1, 20, log=True), 1),
}
_FOREST_CLASSES = {**_FOREST, "criterion": (Categorical(("gini", "entropy")), "gini")}
_NETWORK: dict[str, tuple[Parameter, Any]] = {
    "width": (Int(16, 256, log=True), 96),
    "layers": (Int(1, 3), 2),
    "alpha": (Float(1e-6, 1.0, log=True), 1e-3),
    "learning_rate": (Float(3e-4, 1e-2, log=True), 1e-3),
    "epochs": (Int(20, 300, log=True), 100),
}
_KERNEL: dict[str, tuple[Parameter, Any]] = {
    "C": (Float(0.03, 300.0, log=True), 3.0),
    "kernel": (Categorical(("rbf", "poly")), "rbf"),
    "gamma": (Float(0.01, 30.0, log=True), 1.0),
    "coef0": (Float(0.0, 10.0, when={"kernel": "poly"}), 1.0),
}
_NEIGHBOURS: dict[str, tuple[Parameter, Any]] = {
    "neighbours": (Int(1, 60, log=True), 10),
    "weights": (Categorical(("uniform", "distance")), "distance"),
    "p": (Categorical((1, 2)), 2),
}

_BEFORE: tuple[Piece, ...] = (
    Piece("impute", "median"),
    Piece("impute", "mean"),
    Piece("impute", "frequent"),
    Piece("impute", "indicator"),
    Piece("impute", "keep"),
    Piece("encode", "ordinal"),
    Piece("encode", "onehot", parameters={"max_levels": (Int(5, 100, log=True), 30)}),
    Piece("encode", "target", parameters={"smooth": (Float(0.5, 200.0, log=True), 10.0)}),
    Piece("encode", "native"),
    Piece("scale", "none"),
    Piece("scale", "standard"),
    Piece("scale", "robust"),
    Piece("scale", "quantile"),
    Piece("reduce", "none"),
    Piece("reduce", "variance"),
    Piece("reduce", "kbest", parameters={"keep": (Float(0.1, 0.9), 0.5)}),
    Piece("reduce", "pca", parameters={"keep": (Float(0.5, 0.999), 0.95)}),
    Piece("reduce", "important", parameters={"medians": (Float(0.25, 2.0, log=True), 1.0)}),
)
_CLASSIFIERS: tuple[Piece, ...] = (
    Piece("estimator", "hgb", _CLASSES, _BOOSTING, "boosting", takes_missing=True),
    Piece("estimator", "lightgbm", _CLASSES, _BOOSTING, "boosting", takes_missing=True, package="lightgbm"),
    Piece("estimator", "forest", _CLASSES, _FOREST_CLASSES, "forest", takes_missing=True, max_rows=300_000),
    Piece("estimator", "extra", _CLASSES, _FOREST_CLASSES, "forest", takes_missing=True, max_rows=300_000),
    Piece(
        "estimator",
        "tree",
        _CLASSES,
        {"depth": (Int(1, 20, log=True), 6), "min_leaf": (Int(1, 50, log=True), 5)},
        "forest",
        takes_missing=True,
    ),
    Piece("estimator", "logistic", _CLASSES, {"C": (Float(1e-3, 300.0, log=True), 1.0)}, "linear", needs_scale=True),
    Piece(
        "estimator",
        "lda",
        _CLASSES,
        {"shrinkage": (Float(1e-4, 0.9, log=True), 0.01)},
        "linear",
        needs_scale=True,
        takes_weights=False,
        max_features=300,
    ),
    Piece(
        "estimator",
        "qda",
        _CLASSES,
        {"reg": (Float(1e-3, 0.9, log=True), 0.05)},
        "bayes",
        needs_scale=True,
        takes_weights=False,
        max_features=100,
    ),
    Piece("estimator", "svm", _CLASSES, _KERNEL, "kernel", needs_scale=True, max_rows=10_000, max_features=2_000),
    Piece("estimator", "mlp", _CLASSES, _NETWORK, "network", needs_scale=True, max_features=2_000),
    Piece(
        "estimator",
        "knn",
        _CLASSES,
        _NEIGHBOURS,
        "neighbours",
        needs_scale=True,
        takes_weights=False,
        max_rows=30_000,
        max_features=500,
    ),
    Piece("estimator", "gnb", _CLASSES, {"smoothing": (Float(1e-9, 0.1, log=True), 1e-6)}, "bayes"),
)
_REGRESSORS: tuple[Piece, ...] = (
    Piece("estimator", "hgb", _NUMBERS, _BOOSTING, "boosting", takes_missing=True),
    Piece("estimator", "lightgbm", _NUMBERS, _BOOSTING, "boosting", takes_missing=True, package="lightgbm"),
    Piece("estimator", "forest", _NUMBERS, _FOREST, "forest", takes_missing=True, max_rows=300_000),
    Piece("estimator", "extra", _NUMBERS, _FOREST, "forest", takes_missing=True, max_rows=300_000),
    Piece(
        "estimator",
        "tree",
        _NUMBERS,
        {"depth": (Int(1, 20, log=True), 6), "min_leaf": (Int(1, 50, log=True), 5)},
        "forest",
        takes_missing=True,
    ),
    Piece("estimator", "ridge", _NUMBERS, {"alpha": (Float(1e-4, 1e3, log=True), 1.0)}, "linear", needs_scale=True),
    Piece(
        "estimator",
        "elastic",
        _NUMBERS,
        {"alpha": (Float(1e-4, 1.0, log=True), 1e-2), "l1": (Float(0.05, 1.0), 0.5)},
        "linear",
        needs_scale=True,
        max_features=2_000,
    ),
    Piece(
        "estimator",
        "svm",
        _NUMBERS,
        {**_KERNEL, "epsilon": (Float(1e-3, 0.5, log=True), 0.05)},
        "kernel",
        needs_scale=True,
        max_rows=10_000,
        max_features=2_000,
    ),
    Piece(
        "estimator",
        "gp",
        _NUMBERS,
        {"noise": (Float(1e-4, 1.0, log=True), 0.1), "length": (Float(0.3, 10.0, log=True), 2.0)},
        "kernel",
        needs_scale=True,
        takes_weights=False,
        max_rows=3_000,
        max_features=200,
    ),
    Piece("estimator", "mlp", _NUMBERS, _NETWORK, "network", needs_scale=True, max_features=2_000),
    Piece(
        "estimator",
        "knn",
        _NUMBERS,
        _NEIGHBOURS,
        "neighbours",
        needs_scale=True,
        takes_weights=False,
        max_rows=30_000,
        max_features=500,
    ),
)
_AFTER: tuple[Piece, ...] = (
    Piece("post", "none"),
    Piece("post", "sigmoid", _CLASSES),
    Piece("post", "isotonic", _CLASSES),
    Piece(
        "post",
        "threshold",
        _CLASSES,
        {"scoring": (Categorical(("balanced_accuracy", "accuracy", "f1")), "balanced_accuracy")},
    ),
    Piece("post", "log", _NUMBERS),
    Piece("post", "normal", _NUMBERS),
)

PIECES: tuple[Piece, ...] = (*_BEFORE, *_CLASSIFIERS, *_REGRESSORS, *_AFTER)
"""All pieces of both tasks."""


@functools.cache
def _table() -> dict[tuple[Task, Slot, str], Piece]:
    return {(task, piece.slot, piece.name): piece for piece in PIECES for task in piece.tasks}


def piece(task: Task, slot: Slot, name: str) -> Piece:
    """Return the piece of that name.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> piece("regression", "estimator", "ridge").defaults
    {'alpha': 1.0}
    """
    found = _table().get((task, slot, name))
    if found is None:
        known = ", ".join(item.name for item in pieces_of(task, slot))
        raise InputError(f"there is no {slot} piece {name!r} for {task}; known are {known}")
    return found


def pieces_of(task: Task, slot: Slot) -> list[Piece]:
    """Return the pieces of a slot in their fixed order.

    Raises
    ------
    InputError
        If task or slot are unknown.

    Examples
    --------
    >>> [item.name for item in pieces_of("regression", "post")]
    ['none', 'log', 'normal']
    """
    if task not in TASKS or slot not in SLOTS:
        raise InputError(f"`task` must be one of {TASKS} and `slot` one of {SLOTS}, found {task!r}, {slot!r}")
    return [item for item in PIECES if item.slot == slot and task in item.tasks]


@functools.cache
def is_available(package: str) -> bool:
    """Return whether the distribution that a piece needs is installed; an empty name needs none.

    Examples
    --------
    >>> is_available(""), is_available("there_is_no_such_package")
    (True, False)
    """
    return not package or importlib.util.find_spec(package) is not None
