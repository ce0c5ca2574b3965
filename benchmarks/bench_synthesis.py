"""Evaluations that pipeline synthesis needs to reach a score, on families of data sets that no weight has seen.

    python benchmarks/bench_synthesis.py --data ../shared/data/automl/meta

The world is Oboe's table in the pipeline language: 106 pipelines, of which a score can be looked up. nreg@k is the
normalised regret of the best of the first k. "evaluations" says after how many the mean over data sets is as good as
that of the search without network after `AT_PLAIN`. What breaks the grammar fails and costs an evaluation.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import record

from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.heads.automl.portfolio import greedy_portfolio
from gnnlib.heads.automl.portfolio_oboe import read_oboe
from gnnlib.heads.automl.synthesis import SynthesisParams, synthesise_pipelines
from gnnlib.heads.automl.train_synthesis import StoredScores, SynthesisTraining, read_stored, train_network
from gnnlib.search import Categorical, HyperSearch, SearchOptions, Space
from gnnlib.stop import MaxIterations, MaxTrials

if TYPE_CHECKING:
    from collections.abc import Callable

    Method = Callable[[int, int], list[float]]

AT = (1, 3, 5, 10, 20, 50)
AT_PLAIN = (5, 10, 20, 50)
PLAIN = "synthesis, grammar, no network"
STARTED = 5
FROM_PORTFOLIO = f"synthesis, network and grammar, after {STARTED} of the portfolio"
SHORT = 20
"""Evaluations of the methods that pay for a model at every step."""


class World:
    """Scores of all pipelines on all data sets, and how to look one up."""

    def __init__(self, scores: np.ndarray, stored: StoredScores) -> None:
        self.scores, self.stored = scores, stored
        low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
        self.regret = (high - scores) / np.where(high > low, high - low, 1.0)

    def look_up(self, row: int) -> Callable[[Pipeline], float]:
        """Return the evaluation function of a data set."""
        return lambda pipeline: self.stored.score(self.scores[row], pipeline)

    def space(self) -> Space:
        """Return the joint space of the stored pipelines for searches over points: values exist beside their piece."""
        levels: dict[str, dict[str, dict[Any, None]]] = {}
        for pipeline in self.stored.pipelines:
            own = levels.setdefault(pipeline.estimator.name, {})
            for key, value in pipeline.estimator.params.items():
                own.setdefault(key, {})[value] = None
        parameters: dict[str, Any] = {"estimator": Categorical(tuple(levels))}
        for name, own in levels.items():
            for key, values in own.items():
                if len(values) > 1:
                    when = {"estimator": name} | ({"svm.kernel": "poly"} if key == "coef0" else {})
                    parameters[f"{name}.{key}"] = Categorical(tuple(values), when=when)
        return Space(parameters)

    def of_point(self, point: dict[str, Any]) -> int:
        """Return the column of a point of `space`: the stored pipeline with those values."""
        for column, pipeline in enumerate(self.stored.pipelines):
            step: Step = pipeline.estimator
            if step.name == point["estimator"] and all(
                point.get(f"{step.name}.{key}", value) == value for key, value in step.params.items()
            ):
                return column
        raise KeyError(point)


def synthesis(
    world: World, tables: np.ndarray, params: SynthesisParams, count: int, start: list[Pipeline] | None = None
) -> Method:
    def run(row: int, seed: int) -> list[float]:
        done = synthesise_pipelines(
            world.look_up(row),
            world.stored.language,
            table=tables[row],
            start=start or (),
            params=params,
            stop=MaxTrials(count),
            seed=seed,
        )
        columns = [world.stored.column(Pipeline.parse("classification", trial.pipeline)) for trial in done.trials]
        return [float(world.regret[row, column]) if column >= 0 else 1.0 for column in columns]

    return run


def random_derivations(world: World, count: int) -> Method:
    def run(row: int, seed: int) -> list[float]:
        # as the grammar derives: the estimator first, then its values
        rng = np.random.default_rng([seed, row])
        names = [pipeline.estimator.name for pipeline in world.stored.pipelines]
        left = {
            name: list(rng.permutation([i for i, n in enumerate(names) if n == name])) for name in dict.fromkeys(names)
        }
        found = []
        while len(found) < count and left:
            name = list(left)[rng.integers(len(left))]
            found.append(float(world.regret[row, left[name].pop()]))
            if not left[name]:
                del left[name]
        return found

    return run


def hyper_search(world: World, acquisition: str, count: int) -> Method:
    space = world.space()

    def run(row: int, seed: int) -> list[float]:
        found: list[float] = []

        def objective(point: dict[str, Any]) -> float:
            column = world.of_point(point)
            found.append(float(world.regret[row, column]))
            return -float(world.scores[row, column])

        options = SearchOptions(acquisition=acquisition)  # type: ignore[arg-type]
        HyperSearch(space, strategy="bayes", options=options, seed=seed).run(objective, stop=MaxIterations(count))
        return found

    return run


def tpe(world: World, count: int) -> Method:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = world.space()

    def run(row: int, seed: int) -> list[float]:
        found: list[float] = []

        def objective(trial: Any) -> float:
            point: dict[str, Any] = {}
            for name, parameter in space.parameters.items():
                if space.is_active(name, point) and isinstance(parameter, Categorical):
                    point[name] = trial.suggest_categorical(name, parameter.choices)
            column = world.of_point(point)
            found.append(float(world.regret[row, column]))
            return float(world.scores[row, column])

        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=count)
        return found

    return run


def greedy(world: World, train: np.ndarray, count: int) -> Method:
    order = greedy_portfolio(world.regret[train], size=count)
    return lambda row, _seed: [float(world.regret[row, column]) for column in order]


def measure(method: Method, rows: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Return regrets of the best so far [rows, count], and the CPU seconds of one evaluation."""
    began = time.process_time()
    curves = np.full((len(rows), count), np.nan)
    for index, row in enumerate(rows):
        found = np.minimum.accumulate(method(int(row), int(row)))[:count]
        curves[index] = np.concatenate([found, np.full(count - len(found), found[-1])])
    return curves, (time.process_time() - began) / curves.size


def methods(world: World, tables: np.ndarray, train: np.ndarray, network: Any) -> dict[str, tuple[Method, int]]:
    long = max(AT)
    order = greedy_portfolio(world.regret[train], size=STARTED)
    start = [world.stored.pipelines[column] for column in order]
    listed: dict[str, tuple[Method, int]] = {
        "synthesis, network and grammar": (synthesis(world, tables, SynthesisParams(network=network), SHORT), SHORT),
        FROM_PORTFOLIO: (synthesis(world, tables, SynthesisParams(network=network), SHORT, start), SHORT),
        "synthesis, network, no grammar": (
            synthesis(world, tables, SynthesisParams(network=network, use_grammar=False), SHORT),
            SHORT,
        ),
        PLAIN: (synthesis(world, tables, SynthesisParams(use_network=False), long), long),
        "synthesis, no network, no grammar": (
            synthesis(world, tables, SynthesisParams(use_network=False, use_grammar=False), long),
            long,
        ),
        "random derivations": (random_derivations(world, long), long),
        "GP-LCB (gnnlib.search)": (hyper_search(world, "lcb", SHORT), SHORT),
        "greedy static portfolio": (greedy(world, train, long), long),
    }
    try:
        listed["TPE (Optuna)"] = tpe(world, SHORT), SHORT
    except ImportError:
        print("optuna is not installed: its row is missing")
    return listed


def table_of(
    curves: dict[str, np.ndarray], seconds: dict[str, float], known: dict[int, float] | None = None
) -> list[dict[str, Any]]:
    plain = known or dict(zip(AT, curves[PLAIN].mean(axis=0)[[k - 1 for k in AT]], strict=True))
    rows = []
    for name, found in curves.items():
        mean = found.mean(axis=0)
        row: dict[str, Any] = {"method": name}
        row |= {f"nreg@{k}": float(mean[k - 1]) if k <= len(mean) else None for k in AT}
        for k in AT_PLAIN:
            reached = np.flatnonzero(mean <= plain[k] + 1e-12)
            row[f"evaluations for no network @{k}"] = int(reached[0]) + 1 if len(reached) else None
        row["cpu_ms_per_evaluation"] = 1e3 * seconds[name]
        rows.append(row)
    return rows


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data/automl/meta")
    parser.add_argument("--groups", type=int, nargs="*", default=[1], help="fifths of the 20 folds that are held out")
    parser.add_argument("--steps", type=int, default=SynthesisTraining().steps)
    parser.add_argument("--every", type=int, default=1, help="take each so many-th data set of a group")
    parser.add_argument("--only", default="", help="measure this method and keep the other rows of the last run")
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    folds = read_oboe(Path(arguments.data) / "oboe").folds
    curves: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {}
    trained = 0.0
    for group in arguments.groups:
        held = folds % 5 == group
        train = np.flatnonzero(~held)
        meta, scores, tables, stored = read_stored(arguments.data, train)
        world = World(scores, stored)
        began = time.process_time()
        settings = SynthesisTraining(steps=arguments.steps)
        families = [meta.families[row] for row in train]
        network = train_network(scores[train], tables[train], families, stored, settings=settings, seed=0)
        trained += time.process_time() - began
        rows = np.flatnonzero(held)[:: arguments.every]
        for name, (method, count) in methods(world, tables, train, network).items():
            if arguments.only not in ("", name):
                continue
            found, spent = measure(method, rows, count)
            curves.setdefault(name, []).append(found)
            seconds.setdefault(name, []).append(spent)
            print(
                group, name, json.dumps([round(float(found[:, k - 1].mean()), 4) for k in AT if k <= count]), flush=True
            )
    joined = {name: np.concatenate(parts) for name, parts in curves.items()}
    spent = {name: float(np.mean(parts)) for name, parts in seconds.items()}
    earlier = record.read("automl_synthesis") if arguments.only else None
    if earlier is None:
        result = table_of(joined, spent)
    else:
        plain = next(row for row in earlier["rows"] if row["method"] == PLAIN)
        result = table_of(joined, spent, {k: plain[f"nreg@{k}"] for k in AT})
        others = [row for row in earlier["rows"] if row["method"] != arguments.only]
        result = [others[0], *result, *others[1:]]
    sets = len(next(iter(joined.values())))
    payload = {
        **record.environment("scikit-learn", "torch", "optuna"),
        "set": f"Oboe, {sets} data sets of held-out families, 106 pipelines; fifth(s) {arguments.groups} of the 20 folds, every {arguments.every}. data set",
        "rows": result,
        "notes": [
            f"networks were trained on the other families only, {trained:.0f} CPU s in all; settings were chosen on fifth 0",
            *verdict(result),
            *([f"the row '{arguments.only}' was added later, with the same networks"] if earlier else []),
        ],
    }
    print(record.write("automl_synthesis", payload))


def verdict(rows: list[dict[str, Any]]) -> list[str]:
    """Say how many evaluations the network saves."""
    ours = rows[0]
    notes = []
    for k in AT_PLAIN:
        needed = ours[f"evaluations for no network @{k}"]
        said = f"after {needed} (1/{k / needed:.1f})" if needed else f"not within {SHORT}"
        notes.append(
            f"what the search without network has after {k} evaluations, that with it has {said}; the aim is 1/5"
        )
    return notes


if __name__ == "__main__":
    main()
