"""Hyper-parameter search: asking, telling, stopping, strategies."""

from __future__ import annotations

import math
import signal

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.search import UCB, Categorical, Float, HyperSearch, Int, SearchOptions, Space, hyperband_brackets
from gnnlib.search.bayesopt import Embedding
from gnnlib.stop import MaxIterations

STRATEGIES = ["grid", "random", "adaptive", "bandit", "bayes"]
PLANE = Space({"x": Float(-2, 2), "y": Float(-2, 2)})
CASH = Space(
    {
        "model": Categorical(("a", "b", "c")),
        "x": Float(0, 1, when={"model": "a"}),
        "y": Float(0, 1, when={"model": "b"}),
        "k": Int(1, 9, when={"model": "c"}),
    }
)


def bowl(point):
    return (point["x"] - 0.5) ** 2 + (point["y"] + 0.25) ** 2


def cash(point):
    if point["model"] == "a":
        return 1.0 + point["x"]
    return 0.5 + abs(point["k"] - 4) if point["model"] == "c" else (point["y"] - 0.3) ** 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_trials(strategy):
    runs = [HyperSearch(CASH, strategy=strategy, seed=3).run(cash, stop=MaxIterations(14)) for _ in range(2)]
    assert [t.point for t in runs[0].trials] == [t.point for t in runs[1].trials]
    assert len(runs[0].trials) == 14


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_best_of_the_trials_is_returned(strategy):
    result = HyperSearch(PLANE, strategy=strategy, seed=0).run(bowl, stop=MaxIterations(20))
    assert result.best_value == min(t.value for t in result.trials)
    assert bowl(result.best_point) == result.best_value
    assert (np.diff(result.trace) <= 0).all()


def test_the_model_finds_the_right_algorithm_and_its_parameter():
    result = HyperSearch(CASH, strategy="bayes", seed=1).run(cash, stop=MaxIterations(30))
    assert result.best_point["model"] == "b"
    assert abs(result.best_point["y"] - 0.3) < 0.05


@pytest.mark.parametrize("acquisition", ["ei", "lcb"])
def test_a_model_beats_random_draws_on_a_bowl(acquisition):
    options = SearchOptions(acquisition=acquisition)
    stop = MaxIterations(25)
    model = [HyperSearch(PLANE, options=options, seed=s).run(bowl, stop=stop).best_value for s in range(3)]
    rand = [HyperSearch(PLANE, strategy="random", seed=s).run(bowl, stop=stop).best_value for s in range(3)]
    assert max(model) < 0.1 * np.median(rand)


def test_adaptive_draws_beat_random_ones_on_a_bowl():
    stop = MaxIterations(60)
    runs = {
        s: np.median([HyperSearch(PLANE, strategy=s, seed=i).run(bowl, stop=stop).best_value for i in range(7)])
        for s in ("adaptive", "random")
    }
    assert runs["adaptive"] < runs["random"]


def test_warm_starts_come_first_and_past_observations_are_no_trials():
    search = HyperSearch(PLANE, warm_start=[{"x": 1.0, "y": 1.0}, {"x": 0.5, "y": -0.25}])
    for x in np.linspace(-2, 2, 7):
        search.observe({"x": float(x), "y": 0.0}, bowl({"x": x, "y": 0.0}))
    result = search.run(bowl, stop=MaxIterations(4))
    assert [t.point for t in result.trials[:2]] == [{"x": 1.0, "y": 1.0}, {"x": 0.5, "y": -0.25}]
    assert len(result.trials) == 4
    assert result.best_value == 0.0


def test_several_trials_may_run_at_once_and_differ():
    search = HyperSearch(PLANE, strategy="bayes", seed=0)
    for _ in range(8):
        trial = search.ask()
        search.tell(trial, bowl(trial.point))
    together = [search.ask() for _ in range(5)]
    assert len({tuple(t.point.values()) for t in together}) == 5
    spread = np.ptp([[t.point["x"], t.point["y"]] for t in together], axis=0)
    assert spread.max() > 0.05
    for trial in reversed(together):
        search.tell(trial, bowl(trial.point))
    assert len(search.result().trials) == 13


def test_failed_trials_are_kept_and_never_best():
    def half(point):
        if point["x"] > 0:
            raise ValueError("no")
        return math.nan if point["y"] > 1 else bowl(point)

    search = HyperSearch(PLANE, seed=0)
    with pytest.raises(ValueError, match="no"):
        search.run(half, stop=MaxIterations(20))
    result = HyperSearch(PLANE, seed=0).run(half, stop=MaxIterations(30), failures=(ValueError,))
    assert any(math.isinf(t.value) for t in result.trials)
    assert math.isfinite(result.best_value)
    assert result.best_point["x"] <= 0


def test_a_search_whose_trials_all_fail_says_so():
    result = HyperSearch(PLANE, seed=0).run(lambda p: math.nan, stop=MaxIterations(12))
    assert result.best_point is None
    assert result.to_dict()["best_value"] is None
    assert "none" in result.summary()


def test_a_grid_ends_by_itself():
    result = HyperSearch(PLANE, strategy="grid", options=SearchOptions(levels=3)).run(bowl, stop=MaxIterations(99))
    assert len(result.trials) == 9


def test_interrupting_returns_what_was_found():
    calls = []

    def impatient(point):
        calls.append(point)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return bowl(point)

    assert len(HyperSearch(PLANE, seed=0).run(impatient, stop=MaxIterations(50)).trials) == 3


def test_hyperband_spends_little_on_most_configurations():
    options = SearchOptions(min_fidelity=1 / 9, eta=3)
    seen = []

    def graded(point, fidelity):
        seen.append(fidelity)
        return bowl(point) + 0.1 * (1 - fidelity)

    HyperSearch(PLANE, strategy="bandit", options=options, seed=0).run(graded, stop=MaxIterations(22))
    # brackets of R = 9, eta = 3: 9 + 3 + 1, then 5 + 1, then 3
    assert [round(9 * f) for f in seen] == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] + [9] * 3


def test_trials_asked_while_a_rung_runs_are_no_part_of_it():
    search = HyperSearch(PLANE, strategy="bandit", options=SearchOptions(min_fidelity=1 / 9), seed=0)
    rung = [search.ask() for _ in range(9)]
    extra = [search.ask() for _ in range(5)]
    for trial in extra:
        search.tell(trial, -1.0)  # better than all of the rung
    for value, trial in enumerate(rung):
        search.tell(trial, float(value))
    promoted = [search.ask() for _ in range(3)]
    assert [trial.fidelity for trial in promoted] == pytest.approx([1 / 3] * 3)
    assert [trial.point for trial in promoted] == [trial.point for trial in rung[:3]]


def test_hyperband_promotes_the_best_of_a_rung():
    options = SearchOptions(min_fidelity=1 / 9)
    result = HyperSearch(PLANE, strategy="bandit", options=options, seed=0).run(
        lambda p, f: bowl(p), stop=MaxIterations(13)
    )
    first, second = result.trials[:9], result.trials[9:12]
    best = sorted(t.value for t in first)[:3]
    assert sorted(t.value for t in second) == best
    assert result.trials[12].value == best[0]


def test_brackets_match_the_paper():
    shown = [[(r.count, round(81 * r.fidelity)) for r in bracket] for bracket in hyperband_brackets(1 / 81)]
    # Table 1 of Li et al. (2018); its second bracket has 34 there and 27 in algorithm 1's older form
    assert shown[0] == [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    assert shown[1] == [(34, 3), (11, 9), (3, 27), (1, 81)]
    assert shown[2] == [(15, 9), (5, 27), (1, 81)]
    assert shown[3] == [(8, 27), (2, 81)]
    assert shown[4] == [(5, 81)]


def test_the_bound_is_that_of_the_paper():
    bandit = UCB(["a", "b"])
    for arm, reward in (("a", 1.0), ("b", 0.0), ("a", 0.5)):
        bandit.update(arm, reward)
    assert bandit.bound("a") == pytest.approx(0.75 + math.sqrt(2 * math.log(3) / 2))
    assert bandit.bound("b") == pytest.approx(math.sqrt(2 * math.log(3)))


def test_a_bandit_pulls_the_best_arm_most():
    rng = np.random.default_rng(0)
    bandit = UCB(["low", "high"])
    for _ in range(400):
        arm = bandit.select()
        bandit.update(arm, float(rng.random() < (0.8 if arm == "high" else 0.2)))
    assert bandit.pulls["high"] > 300


def test_the_bandit_tries_every_algorithm_and_prefers_the_best():
    result = HyperSearch(CASH, strategy="bandit", seed=0).run(cash, stop=MaxIterations(60))
    used = [t.point["model"] for t in result.trials]
    assert set(used) == {"a", "b", "c"}
    assert used.count("b") > used.count("a")


def test_inactive_parameters_do_not_move_a_point():
    embed = Embedding(CASH)
    units = np.full((2, 4), 0.5)
    active = np.array([[True, True, False, False]] * 2)
    units[1, 2:] = 0.9
    assert np.array_equal(*embed(units, active))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HyperSearch(PLANE, strategy="magic"), "`strategy` must be one of"),
        (lambda: HyperSearch(PLANE, warm_start=[{"x": 9.0, "y": 0.0}]), "must be in"),
        (lambda: HyperSearch(PLANE, options=SearchOptions(min_fidelity=0.1)), "strategy='bandit'"),
        (lambda: HyperSearch(PLANE).observe({"x": 0.0, "y": 0.0}, math.nan), "finite"),
        (lambda: SearchOptions(levels=0), "levels"),
        (lambda: SearchOptions(acquisition="pi"), "acquisition"),
        (lambda: SearchOptions(min_fidelity=0.0), "min_fidelity"),
        (lambda: SearchOptions(kappa=-1.0), "kappa"),
        (lambda: UCB([]), "at least one arm"),
        (lambda: hyperband_brackets(2.0), "min_fidelity"),
        (
            lambda: HyperSearch(PLANE, strategy="bandit", options=SearchOptions(min_fidelity=0.1)).run(bowl),
            "point, fidelity",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_trial_is_told_once():
    search = HyperSearch(PLANE, strategy="random")
    trial = search.ask()
    search.tell(trial, 1.0)
    with pytest.raises(InputError, match="not running"):
        search.tell(trial, 1.0)
