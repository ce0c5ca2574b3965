"""A short list of pipelines that complement each other: where a search begins that knows nothing of its table.

The list is built greedily: each next pipeline is the one that lowers the mean normalised regret of the best so far
most, over many data sets. The objective is submodular, so the greedy list is within 1 - 1/e of the best of its length
(Nemhauser, Wolsey and Fisher 1978). The same is done by the portfolios of auto-sklearn 2.0 (Feurer et al. 2022,
algorithm 2) and of TabRepo (Salinas and Erickson 2024, section 5).

Make the shipped list again with ``python -m gnnlib.heads.automl.portfolio --oboe FOLDER``.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.heads.automl.table import TASKS, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import ArrayLike, FloatArray

__all__ = ["greedy_portfolio", "main", "static_portfolio"]

SHIPPED = Path(__file__).parent / "shipped"

# No table of regression results is public in this form: the kinds of estimators follow the order found for
# classification, with settings of middle size.
_REGRESSION: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("hgb", {"learning_rate": 0.1, "leaves": 31}, "tree"),
    ("svm", {"C": 8.0, "kernel": "rbf"}, "scaled"),
    ("ridge", {"alpha": 1.0}, "scaled"),
    ("extra", {"columns": 1.0}, "tree"),
    ("mlp", {"alpha": 1e-3, "learning_rate": 3e-3}, "scaled"),
    ("knn", {"neighbours": 7, "p": 1}, "scaled"),
    ("forest", {"columns": 0.4, "min_leaf": 3}, "tree"),
    ("gp", {"noise": 0.1, "length": 2.0}, "scaled"),
    ("hgb", {"learning_rate": 0.03, "leaves": 12, "trees": 300, "columns": 0.6}, "tree"),
    ("elastic", {"alpha": 0.01, "l1": 0.5}, "scaled"),
    ("svm", {"C": 100.0, "kernel": "rbf", "gamma": 0.2}, "scaled"),
    ("hgb", {"learning_rate": 0.05, "leaves": 90, "trees": 300, "min_leaf": 5}, "tree"),
)


def greedy_portfolio(regret: ArrayLike, *, size: int, weights: ArrayLike | None = None) -> list[int]:
    """Return the columns of a complementary list, the most useful first.

    Parameters
    ----------
    regret : array [D, P]
        Normalised regret of P pipelines on D data sets, lower is better; NaN counts as the worst.
    size : int >= 1
        Length of the list, at most P.
    weights : array [D], optional
        How much each data set counts; equally when absent.

    Raises
    ------
    InputError
        If a shape or `size` does not fit.

    Examples
    --------
    The second column is best on the mean; the third repairs it where it fails, the first nowhere.

    >>> greedy_portfolio([[0.2, 0.0, 1.0], [0.2, 0.1, 1.0], [0.8, 0.8, 0.0]], size=2)
    [1, 2]
    """
    table = np.asarray(regret, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise InputError(f"`regret` must be [D, P] with at least one entry, found shape {table.shape}")
    if not 1 <= size <= table.shape[1]:
        raise InputError(f"`size` must be in [1, {table.shape[1]}], found {size!r}")
    worst = max(1.0, float(table[np.isfinite(table)].max(initial=1.0)))
    table = np.where(np.isfinite(table), table, worst)
    share = np.full(len(table), 1.0 / len(table)) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != (len(table),) or not np.isfinite(share).all():
        raise InputError(f"`weights` must hold one finite number for each of {len(table)} rows, found {share.shape}")
    best: FloatArray = np.full(len(table), worst)
    chosen: list[int] = []
    for _ in range(size):
        score = share @ np.minimum(best[:, None], table)
        score[chosen] = np.inf
        chosen.append(int(np.argmin(score)))
        best = np.minimum(best, table[:, chosen[-1]])
    return chosen


def static_portfolio(task: Task, *, size: int | None = None) -> list[Pipeline]:
    """Return the shipped list of pipelines for a task, the most useful first.

    Parameters
    ----------
    task : {"classification", "regression"}
        For classification derived from Oboe's table; for regression the same kinds of estimators by hand.
    size : int >= 1, optional
        At most so many.

    Raises
    ------
    InputError
        If the task is unknown.

    Examples
    --------
    >>> [pipeline.family for pipeline in static_portfolio("regression", size=3)]
    ['boosting', 'kernel', 'linear']
    """
    if task not in TASKS:
        raise InputError(f"`task` must be one of {TASKS}, found {task!r}")
    if size is not None and size < 1:
        raise InputError(f"`size` must be >= 1, found {size!r}")
    return [Pipeline.parse(task, text) for text in _shipped()[task]][:size]


@functools.cache
def _shipped() -> dict[str, list[str]]:
    content = json.loads((SHIPPED / "portfolio.json").read_text())
    return {task: [entry["pipeline"] for entry in content[task]] for task in TASKS}


def _regression() -> list[dict[str, Any]]:
    entries = []
    for name, params, kind in _REGRESSION:
        more = {"encode": Step("onehot"), "scale": Step("standard")} if kind == "scaled" else {}
        entries.append({"pipeline": str(Pipeline("regression", Step(name, params), **more))})
    return entries


def _derive(folder: str, size: int) -> dict[str, Any]:
    from gnnlib.heads.automl.portfolio_oboe import normalised_regret, read_oboe, translate

    table = read_oboe(folder)
    regret = normalised_regret(table.errors)
    pipelines = [translate(configuration) for configuration in table.configurations]
    # Configurations with one translation share a column: their mean.
    texts = sorted({str(pipeline) for pipeline in pipelines if pipeline is not None})
    columns = [[i for i, p in enumerate(pipelines) if p is not None and str(p) == text] for text in texts]
    merged = np.stack([regret[:, members].mean(axis=1) for members in columns], axis=1)
    families = np.array(table.families)
    counts = {name: int((families == name).sum()) for name in table.families}
    weights = np.array([counts[name] ** -0.5 for name in table.families])
    chosen = greedy_portfolio(merged, size=size, weights=weights / weights.sum())
    entries = []
    for length, column in enumerate(chosen, start=1):
        best = merged[:, chosen[:length]].min(axis=1)
        entries.append(
            {
                "pipeline": texts[column],
                "oboe": [table.configurations[i] for i in columns[column]],
                "mean_regret_of_list": round(float(best.mean()), 4),
            }
        )
    missing: dict[str, int] = {}
    for configuration, pipeline in zip(table.configurations, pipelines, strict=True):
        if pipeline is None:
            missing[configuration["algorithm"]] = missing.get(configuration["algorithm"], 0) + 1
    return {
        "source": "Oboe error matrix (udellgroup/oboe, BSD-3-Clause), 415 data sets x 219 configurations; families "
        "of data sets weighted by the inverse root of their size",
        "command": f"python -m gnnlib.heads.automl.portfolio --oboe FOLDER --size {size}",
        "without_translation": missing,
        "classification": entries,
        "regression": _regression(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(description="Derive the static portfolio from Oboe's table.")
    parser.add_argument("--oboe", required=True, help="folder with Oboe's tables")
    parser.add_argument("--size", type=int, default=24)
    parser.add_argument("--out", default=str(SHIPPED / "portfolio.json"))
    options = parser.parse_args(arguments)
    Path(options.out).parent.mkdir(exist_ok=True)
    Path(options.out).write_text(json.dumps(_derive(options.oboe, options.size), indent=1) + "\n")


if __name__ == "__main__":
    main()
