"""Reads Oboe's table of errors, and translates its configurations into the pipeline language.

The table holds the balanced error of 219 scikit-learn configurations on 418 OpenML data sets (C. Yang et al., *OBOE:
collaborative filtering for AutoML model selection*, KDD 2019; BSD-3-Clause).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.pipelines import Pipeline, Step

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray, PathLike

__all__ = ["OboeTable", "normalised_regret", "read_oboe", "translate"]


@dataclass(frozen=True)
class OboeTable:
    """Errors and seconds of configurations on data sets.

    Attributes
    ----------
    errors : array [D, P]
        Balanced error, 0 to 1.
    seconds : array [D, P]
        Runtime; NaN where unknown.
    configurations : tuple of P dict
        ``{"algorithm": ..., "hyperparameters": {...}}``.
    dataset_ids : int array [D]
        OpenML identifiers.
    names : tuple of D str
    families : tuple of D str
        Data sets of a family share their origin and must stay on one side of a split.
    folds : int array [D]
        Whole families by fold.
    """

    errors: FloatArray
    seconds: FloatArray
    configurations: tuple[dict[str, Any], ...]
    dataset_ids: IntArray
    names: tuple[str, ...]
    families: tuple[str, ...]
    folds: IntArray


def read_oboe(folder: PathLike) -> OboeTable:
    """Read the table from a folder with ``error_matrix.csv.gz``, ``runtime_matrix.csv.gz``, ``families_and_folds.csv``.

    Raises
    ------
    InputError
        If a file is missing.
    FileFormatError
        If a file does not hold what it should.
    """
    import pandas as pd

    place = Path(folder)
    names = ("error_matrix.csv.gz", "runtime_matrix.csv.gz", "families_and_folds.csv")
    for name in names:
        if not (place / name).is_file():
            raise InputError(f"the folder {place} must hold {', '.join(names)}; {name} is missing")
    errors = pd.read_csv(place / names[0], index_col=0)
    seconds = pd.read_csv(place / names[1], index_col=0)
    folds = pd.read_csv(place / names[2]).set_index("openml_id")
    if not folds.index.isin(errors.index).all():
        lost = int(folds.index[~folds.index.isin(errors.index)][0])
        raise FileFormatError.at(place / names[2], None, f"data set {lost} has no row in {names[0]}")
    try:
        configurations = tuple(ast.literal_eval(column) for column in errors.columns)
    except (ValueError, SyntaxError) as error:
        raise FileFormatError.at(place / names[0], 1, f"a column is no configuration: {error}") from error
    return OboeTable(
        errors.loc[folds.index].to_numpy(np.float64),
        seconds.reindex(index=folds.index, columns=errors.columns).to_numpy(np.float64),
        configurations,
        folds.index.to_numpy(np.int64),
        tuple(folds["openml_name"].astype(str)),
        tuple(folds["family"].astype(str)),
        folds["fold"].to_numpy(np.int64),
    )


def normalised_regret(errors: FloatArray) -> FloatArray:
    """Return ``(error - best) / (worst - best)`` of every row; NaN stays NaN, a row of equal errors becomes 0.

    Examples
    --------
    >>> normalised_regret(np.array([[0.1, 0.3, 0.2]]))
    array([[0. , 1. , 0.5]])
    """
    best, worst = np.nanmin(errors, axis=1, keepdims=True), np.nanmax(errors, axis=1, keepdims=True)
    return np.asarray((errors - best) / np.where(worst > best, worst - best, 1.0))


def translate(configuration: dict[str, Any]) -> Pipeline | None:
    """Return the pipeline that comes closest to a configuration of Oboe; None when the language has none.

    Oboe scales and one-hot encodes before every estimator; so do the translations of those that need it. Left out are
    AdaBoost, the perceptron, the linear support vector machine, L1 penalties, stochastic gradient descent, and values
    outside the ranges of the language.

    Examples
    --------
    >>> print(translate({"algorithm": "KNN", "hyperparameters": {"n_neighbors": 5, "p": 1}}))
    median > onehot > standard > knn(neighbours=5, weights=uniform, p=1) > none
    >>> translate({"algorithm": "AB", "hyperparameters": {"n_estimators": 50, "learning_rate": 1}}) is None
    True
    """
    reader = _READERS.get(configuration["algorithm"])
    step = reader(configuration["hyperparameters"]) if reader is not None else None
    if step is None:
        return None
    if step.name in {"forest", "extra", "tree", "hgb"}:
        return Pipeline("classification", step)
    return Pipeline("classification", step, encode=Step("onehot"), scale=Step("standard"))


def _leaf(split: float) -> int:
    """Smallest leaf that acts like a smallest node to split; fractions of the rows are taken of 300 rows."""
    return max(1, round((split if split >= 1 else split * 300) / 2))


def _forest(name: str, values: dict[str, Any]) -> Step | None:
    leaf = _leaf(values["min_samples_split"])
    return Step(name, {"criterion": values["criterion"], "min_leaf": leaf}) if leaf <= 20 else None


def _tree(values: dict[str, Any]) -> Step | None:
    leaf = _leaf(values["min_samples_split"])
    return Step("tree", {"depth": 20, "min_leaf": leaf}) if leaf <= 50 else None


def _boosting(values: dict[str, Any]) -> Step | None:
    rate = values["learning_rate"]
    if not 0.01 <= rate <= 0.3:
        return None
    columns = 1.0 if values["max_features"] in (None, "None") else 0.3
    leaves = {3: 8, 6: 48}[values["max_depth"]]
    return Step("hgb", {"learning_rate": float(rate), "leaves": leaves, "columns": columns})


def _logistic(values: dict[str, Any]) -> Step | None:
    return Step("logistic", {"C": float(values["C"])}) if values["penalty"] == "l2" else None


def _network(values: dict[str, Any]) -> Step | None:
    rate = values["learning_rate_init"]
    if values["solver"] != "adam" or rate < 3e-4:
        return None
    return Step("mlp", {"alpha": float(values["alpha"]), "learning_rate": float(rate)})


def _kernel(values: dict[str, Any]) -> Step | None:
    params: dict[str, Any] = {"C": float(values["C"]), "kernel": values["kernel"]}
    if values["kernel"] == "poly":
        params["coef0"] = float(values["coef0"])
    return Step("svm", params)


def _neighbours(values: dict[str, Any]) -> Step | None:
    return Step("knn", {"neighbours": values["n_neighbors"], "weights": "uniform", "p": values["p"]})


_READERS: dict[str, Any] = {
    "RF": lambda values: _forest("forest", values),
    "ExtraTrees": lambda values: _forest("extra", values),
    "DT": _tree,
    "GBT": _boosting,
    "Logit": _logistic,
    "MLP": _network,
    "kSVM": _kernel,
    "KNN": _neighbours,
    "GNB": lambda _values: Step("gnb"),
}
