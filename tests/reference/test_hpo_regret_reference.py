"""Regret of the model-based search on Branin and Hartmann-6 against Optuna and random draws, at equal evaluations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from gnnlib.search import Float, HyperSearch, SearchOptions, Space
from gnnlib.stop import MaxIterations

SEEDS = range(3)

# L. C. W. Dixon and G. P. Szegoe, The global optimization problem: an introduction (1978), table of test functions
SCALES = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(x, y):
    inner = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return float(inner**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def hartmann6(**x):
    point = np.array([x[f"x{i}"] for i in range(6)])
    return float(-np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-(SCALES * (point - CENTRES) ** 2).sum(axis=1)))


PROBLEMS = {
    "branin": (branin, {"x": (-5, 10), "y": (0, 15)}, 0.39788735772973816, 30, 0.1),
    "hartmann6": (hartmann6, {f"x{i}": (0, 1) for i in range(6)}, -3.322368011415515, 50, 0.5),
}


def ours(name, strategy, seed, acquisition="ei"):
    function, ranges, optimum, count, _ = PROBLEMS[name]
    search = HyperSearch(
        Space({key: Float(*ends) for key, ends in ranges.items()}),
        strategy=strategy,
        options=SearchOptions(acquisition=acquisition),
        seed=seed,
    )
    return search.run(lambda point: function(**point), stop=MaxIterations(count)).best_value - optimum


def with_optuna(name, seed):
    optuna = pytest.importorskip("optuna")
    function, ranges, optimum, count, _ = PROBLEMS[name]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(
            lambda trial: function(**{key: trial.suggest_float(key, *ends) for key, ends in ranges.items()}),
            n_trials=count,
        )
    return study.best_value - optimum


def test_the_functions_have_their_known_minima():
    assert branin(np.pi, 2.275) == pytest.approx(PROBLEMS["branin"][2], abs=1e-5)
    best = dict(
        zip((f"x{i}" for i in range(6)), (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573), strict=True)
    )
    assert hartmann6(**best) == pytest.approx(PROBLEMS["hartmann6"][2], abs=1e-5)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("acquisition", ["ei", "lcb"])
def test_the_model_finds_what_random_draws_do_not(name, acquisition):
    model = np.median([ours(name, "bayes", seed, acquisition) for seed in SEEDS])
    drawn = np.median([ours(name, "random", seed) for seed in SEEDS])
    assert model > -1e-6
    assert model < 0.5 * drawn


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_model_is_ahead_of_optuna_at_equal_evaluations(name):
    *_, close = PROBLEMS[name]
    model = np.median([ours(name, "bayes", seed) for seed in SEEDS])
    theirs = np.median([with_optuna(name, seed) for seed in SEEDS])
    assert model < theirs
    assert model < close
