"""Hyper-parameter search at equal evaluations: our five strategies and Optuna's TPE on Branin, Hartmann-6 and a CASH.

    python benchmarks/bench_hpo.py --seeds 10

The CASH problem chooses an algorithm and its parameters at once; its functions are synthetic, with optimum 0.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import record

from gnnlib.search import Categorical, Float, HyperSearch, Int, SearchOptions, Space
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from collections.abc import Callable

AT = (25, 50, 100)

_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])


def branin(point: dict[str, Any]) -> float:
    x, y = point["x"], point["y"]
    inner = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return float(inner**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def hartmann6(point: dict[str, Any]) -> float:
    x = np.array([point[f"x{i}"] for i in range(6)])
    return float(-_ALPHA @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


def cash(point: dict[str, Any]) -> float:
    if point["model"] == "svm":
        valley = (np.log10(point["C"]) - 1) ** 2 + (np.log10(point["gamma"]) + 2) ** 2 if "gamma" in point else 9.0
        return float(0.02 * valley)
    if point["model"] == "trees":
        return float(0.05 + 0.001 * abs(point["depth"] - 12) + 0.01 * (1 - point["features"]) ** 2)
    return float(0.08 + 0.002 * abs(point["k"] - 9))


PROBLEMS: dict[str, tuple[Space, Callable[[dict[str, Any]], float], float]] = {
    "branin": (Space({"x": Float(-5, 10), "y": Float(0, 15)}), branin, 0.39788735772973816),
    "hartmann6": (Space({f"x{i}": Float(0, 1) for i in range(6)}), hartmann6, -3.322368011415515),
    "cash": (
        Space(
            {
                "model": Categorical(("svm", "trees", "neighbours")),
                "C": Float(1e-3, 1e4, log=True, when={"model": "svm"}),
                "kernel": Categorical(("linear", "rbf"), when={"model": "svm"}),
                "gamma": Float(1e-5, 10, log=True, when={"kernel": "rbf"}),
                "depth": Int(1, 40, when={"model": "trees"}),
                "features": Float(0.1, 1, when={"model": "trees"}),
                "k": Int(1, 100, log=True, when={"model": "neighbours"}),
            }
        ),
        cash,
        0.0,
    ),
}


def optuna_point(trial: Any, space: Space) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if not space.is_active(name, point):
            continue
        if isinstance(parameter, Categorical):
            point[name] = trial.suggest_categorical(name, parameter.choices)
        elif isinstance(parameter, Int):
            point[name] = trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        elif isinstance(parameter, Float):
            point[name] = trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return point


def with_optuna(
    kind: str, space: Space, objective: Callable[[dict[str, Any]], float], count: int, seed: int
) -> list[float]:
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler: Any = optuna.samplers.TPESampler(
            seed=seed, multivariate=kind == "multivariate", group=kind == "multivariate"
        )
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: objective(optuna_point(trial, space)), n_trials=count)
    return list(np.minimum.accumulate([t.value for t in study.trials]))


def ours(name: str, space: Space, objective: Callable[[dict[str, Any]], float], count: int, seed: int) -> list[float]:
    strategy, _, acquisition = name.partition("-")
    options = SearchOptions(acquisition=acquisition or "ei")  # type: ignore[arg-type]
    result = HyperSearch(space, strategy=strategy, options=options, seed=seed).run(  # type: ignore[arg-type]
        objective, stop=MaxIterations(count)
    )
    trace = list(result.trace)
    return trace + [trace[-1]] * (count - len(trace))


def measure(problem: str, method: str, seeds: int) -> dict[str, Any]:
    space, objective, optimum = PROBLEMS[problem]
    began = time.process_time()
    if method.startswith("optuna"):
        traces = [with_optuna(method.removeprefix("optuna-"), space, objective, max(AT), seed) for seed in range(seeds)]
    else:
        traces = [ours(method, space, objective, max(AT), seed) for seed in range(seeds)]
    spent = time.process_time() - began
    regret = np.array(traces) - optimum
    row: dict[str, Any] = {"problem": problem, "method": method}
    for count in AT:
        row[f"median_regret_at_{count}"] = float(f"{np.median(regret[:, count - 1]):.3g}")
    row["worst_at_100"] = float(f"{regret[:, -1].max():.3g}")
    row["cpu_s_per_100"] = round(spent / seeds, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    methods = ["bayes-ei", "bayes-lcb", "adaptive", "bandit", "random", "grid"]
    try:
        import optuna  # noqa: F401
    except ImportError:
        print("optuna is not installed: its rows are missing")
    else:
        methods += ["optuna-tpe", "optuna-multivariate"]
    rows = []
    for problem in PROBLEMS:
        for method in methods:
            rows.append(measure(problem, method, arguments.seeds))
            print(rows[-1], flush=True)
    payload = {
        **record.environment("scipy", "optuna"),
        "set": f"{arguments.seeds} seeds; regret = best value so far minus the optimum",
        "rows": rows,
    }
    record.write("automl_hpo", payload)


if __name__ == "__main__":
    main()
