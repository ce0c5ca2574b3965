"""Workers die on time, the search keeps the best, and the answer is there at all times."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

import gnnlib
from gnnlib.errors import InputError
from gnnlib.heads.automl.ensembles import select_members
from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.incumbent import Committee, Member, fast_committee, prior_committee
from gnnlib.heads.automl.metrics import resolve_metric
from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.heads.automl.runner import Study
from gnnlib.heads.automl.runner_cost import CostModel
from gnnlib.heads.automl.runner_final import tune_decision
from gnnlib.heads.automl.runner_folds import assign_folds, choose_num_folds, shuffled_order
from gnnlib.heads.automl.runner_order import Proposer, default_start
from gnnlib.heads.automl.runner_pool import LocalPool, WorkFolder, make_pool, store_data
from gnnlib.heads.automl.table import MatrixLayout, TableProfile
from gnnlib.heads.automl.worker import Job, TrialData, fit_pipeline, load_data, predict_with, run_job
from gnnlib.stop import AnyOf, MaxRuntime, MaxTrials

RIDGE = "median > ordinal > standard > ridge > none"
SLOW = "median > ordinal > standard > gp > none"


def data_of(n=200, num_classes=0, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, columns))
    y = X[:, 0] + 0.1 * rng.standard_normal(n)
    if num_classes:
        y = np.digitize(y, np.quantile(y, np.arange(1, num_classes) / num_classes)).astype(np.int64)
    task = "classification" if num_classes else "regression"
    folds = assign_folds(y, 4, task, rng)
    return TrialData(X, y, None, folds, shuffled_order(y, task, rng), MatrixLayout(columns), task, num_classes)


def job_of(folder, number=0, pipeline=RIDGE, limit_s=60.0, memory=None, folds=(0,)):
    return Job(number, pipeline, folds, 0, None, limit_s, memory, folder)


@pytest.fixture
def place():
    folder = WorkFolder()
    yield folder.path
    folder.close()


@pytest.fixture
def pool():
    pool = LocalPool(1)
    yield pool
    pool.close()


def answer(pool, job, timeout_s=120.0):
    pool.submit(job)
    outcome = pool.wait(timeout_s)
    assert outcome is not None
    return outcome


def test_a_worker_predicts_the_fold_and_leaves_the_model(pool, place):
    data = data_of()
    store_data(data, place)
    pool.load(place)
    outcome = answer(pool, job_of(place, 7, folds=(0, 2)))
    assert outcome.status == "ok"
    assert [fold.fold for fold in outcome.folds] == [0, 2]
    expected = next(iter(run_job(data, job_of(place, 8))))
    assert np.array_equal(outcome.folds[0].prediction, expected.prediction)
    model = joblib.load(outcome.folds[0].model_path)
    held = data.X[data.folds == 0]
    assert np.array_equal(predict_with(model, held, 0, data.bounds), outcome.folds[0].prediction)


def test_a_trial_is_killed_at_its_deadline_and_the_worker_lives_on(pool, place):
    store_data(data_of(4_000, columns=8), place)
    pool.load(place)
    assert answer(pool, job_of(place, 1)).status == "ok"
    worker = pool.workers[0].process.pid
    outcome = answer(pool, job_of(place, 2, SLOW, limit_s=0.5))
    assert outcome.status == "timeout"
    assert not outcome.folds
    assert answer(pool, job_of(place, 3)).status == "ok"
    assert pool.workers[0].process.pid == worker


def test_folds_that_were_done_before_the_deadline_are_kept(pool, place):
    data = data_of(3_000, columns=2)
    store_data(data, place)
    pool.load(place)
    text = "median > ordinal > none > forest(trees=400, columns=1.0) > none"
    alone = answer(pool, job_of(place, 1, text))
    outcome = answer(pool, job_of(place, 2, text, limit_s=2.2 * alone.seconds, folds=(0, 1, 2, 3)))
    assert outcome.status == "timeout"
    assert 1 <= len(outcome.folds) < 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
def test_a_trial_that_takes_too_much_memory_ends_alone(pool, place):
    store_data(data_of(3_000), place)
    pool.load(place)
    outcome = answer(pool, job_of(place, 1, SLOW, memory=30 * 2**20))
    assert outcome.status == "memory"
    assert answer(pool, job_of(place, 2)).status == "ok"


def test_an_error_in_a_trial_is_its_own(pool, place):
    store_data(data_of(), place)
    pool.load(place)
    outcome = answer(pool, job_of(place, 1, "median > ordinal > unicorn > ridge > none"))
    assert outcome.status == "error"
    assert "unicorn" in outcome.message
    assert answer(pool, job_of(place, 2)).status == "ok"


def test_a_worker_that_dies_is_replaced(pool, place):
    store_data(data_of(4_000, columns=8), place)
    pool.load(place)
    assert answer(pool, job_of(place, 1)).status == "ok"
    pool.submit(job_of(place, 2, SLOW))
    os.kill(pool.workers[0].process.pid, signal.SIGKILL)
    outcome = pool.wait(60.0)
    assert outcome is not None
    assert (outcome.number, outcome.status) == (2, "memory")
    assert answer(pool, job_of(place, 3)).status == "ok"


def test_a_cancelled_worker_serves_the_next_fit(place):
    store_data(data_of(4_000, columns=8), place)
    first = LocalPool(1)
    first.load(place)
    assert answer(first, job_of(place, 1)).status == "ok"
    pid = first.workers[0].process.pid
    first.submit(job_of(place, 2, SLOW))
    first.close()
    second = LocalPool(1)
    assert second.workers[0].process.pid == pid
    second.load(place)
    assert answer(second, job_of(place, 3)).status == "ok"
    second.close()


def test_the_data_come_back_from_the_folder_and_a_gone_folder_is_known(place):
    data = data_of(num_classes=3)
    store_data(data, place)
    back = load_data(place)
    assert np.array_equal(back.X, data.X)
    assert np.array_equal(back.y, data.y)
    assert back.layout == data.layout
    assert load_data(place + "x") is None


def test_a_class_that_one_fold_alone_holds_does_not_stop_the_others():
    data = data_of(40, num_classes=2)
    y = np.zeros(40, dtype=np.int64)
    y[0] = 1
    lonely = TrialData(data.X, y, None, data.folds, data.order, data.layout, "classification", 2)
    without = np.flatnonzero(y == 0)
    svm = Pipeline("classification", Step("svm"), scale="standard")
    model = fit_pipeline(svm, lonely, without, None, 0)
    assert np.array_equal(predict_with(model, data.X[:3], 2, (0.0, 1.0)), [[1.0, 0.0]] * 3)
    model = fit_pipeline(svm, lonely, np.arange(40), None, 0)
    assert predict_with(model, data.X, 2, (0.0, 1.0)).shape == (40, 2)


def test_folds_share_classes_and_targets_alike():
    rng = np.random.default_rng(0)
    y = np.array([0] * 50 + [1] * 10)
    folds = assign_folds(y, 5, "classification", rng)
    assert np.bincount(folds[y == 1]).tolist() == [2] * 5
    assert np.bincount(folds).tolist() == [12] * 5
    target = rng.standard_normal(100)
    folds = assign_folds(target, 4, "regression", rng)
    assert np.ptp([target[folds == f].mean() for f in range(4)]) < 0.1


def test_subsamples_know_every_class():
    y = np.array([0] * 500 + [1] + [2])
    order = shuffled_order(y, "classification", np.random.default_rng(0))
    assert set(y[order[:3]]) == {0, 1, 2}
    assert sorted(order) == list(range(502))


def test_fewer_folds_are_used_when_time_is_short():
    assert choose_num_folds(1_000, 60.0, 0.1) == 8
    assert choose_num_folds(1_000, 1.0, 1.0) == 3
    assert choose_num_folds(50_000, 10.0, 5.0) == 1
    assert choose_num_folds(6, 60.0, 0.1) == 3


def test_the_first_answers_are_the_prior_and_a_better_tree():
    data = data_of(300, num_classes=3)
    prior, fast = prior_committee(data).predict(data.X), fast_committee(data, 0).predict(data.X)
    score = resolve_metric(None, "classification").score
    assert np.allclose(prior, np.bincount(data.y) / 300)
    assert score(data.y, fast) > score(data.y, prior) + 0.3


def test_a_committee_weighs_members_and_folds():
    class Says:
        def __init__(self, value):
            self.value = value

        def predict(self, X):
            return np.full(len(X), self.value)

    members = [Member(0.75, [Says(0.0), Says(4.0)], "a"), Member(0.25, [Says(10.0)], "b")]
    assert Committee(members, 0, (-100.0, 100.0)).predict(np.zeros((1, 1))).tolist() == [4.0]
    assert Committee(members, 0, (-1.0, 8.0)).predict(np.zeros((1, 1))).tolist() == [3.5]


def test_costs_are_learnt_for_the_estimator_and_a_little_for_all():
    profile = TableProfile("regression", 1_000, MatrixLayout(10))
    ridge, tree = (Pipeline("regression", Step(name)) for name in ("ridge", "tree"))
    costs = CostModel(profile)
    before = costs.seconds(ridge, 1_000), costs.seconds(tree, 1_000)
    for _ in range(4):
        costs.observe(ridge, 1_000, 100.0 * before[0])
    assert costs.seconds(ridge, 1_000) > 40.0 * before[0]
    assert before[1] < costs.seconds(tree, 1_000) < costs.seconds(ridge, 1_000)


def test_the_start_holds_all_kinds_and_what_is_too_dear_waits():
    profile = TableProfile("classification", 500, MatrixLayout(5), num_classes=2)
    start = [(item, "portfolio") for item in default_start("classification")]
    proposer = Proposer(Grammar(profile), start)
    early = {proposal.pipeline.family for proposal in proposer.waiting[:8]}
    assert {"boosting", "linear", "kernel", "forest"} <= early
    cheapest = min(proposer.waiting, key=lambda item: len(str(item.pipeline)))
    proposal = proposer.next(lambda pipeline: 1.0 if pipeline == cheapest.pipeline else 100.0, 2.0)
    assert proposal.pipeline == cheapest.pipeline
    assert proposer.next(lambda pipeline: 100.0, 2.0) is None


def test_no_pipeline_is_proposed_twice():
    profile = TableProfile("regression", 500, MatrixLayout(5))
    proposer = Proposer(Grammar(profile, include=["ridge", "tree"]), [], seed=1)
    seen = set()
    for number in range(60):
        proposal = proposer.next(lambda pipeline: 0.0, math.inf)
        assert proposal.pipeline.key not in seen
        seen.add(proposal.pipeline.key)
        proposer.tell(proposal, -math.inf if number % 7 == 0 else float(number % 5))


def test_a_decision_is_moved_only_where_both_halves_gain():
    rng = np.random.default_rng(0)
    metric = resolve_metric("balanced_accuracy", "classification")
    y = rng.integers(0, 2, 500)
    noise = rng.dirichlet([1, 1], 500)
    good = np.column_stack([1.0 - y, y]).astype(float)
    assert tune_decision(metric, y, good, None) is None
    factors = tune_decision(metric, y, noise, None)
    assert factors is None or metric.score(y, noise * factors) > metric.score(y, noise)


def test_selection_on_noise_stays_at_chance_on_new_rows():
    rng = np.random.default_rng(0)
    y, fresh = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    members = [rng.dirichlet([3, 3], 400) for _ in range(15)]
    metric = resolve_metric("roc_auc", "classification")
    weights = select_members(members, y, loss=lambda t, p: -metric.score(t, p))
    mixed = np.tensordot(weights, np.stack(members), axes=1)
    assert abs(metric.score(fresh, mixed) - 0.5) < 0.08


def test_random_labels_are_not_learnt():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 5)), rng.integers(0, 2, 300)
    params = AutoMLParams(include=("knn", "tree", "logistic", "gnb"), num_folds=3)
    model = AutoClassifier(stop=MaxTrials(8), metric="roc_auc", params=params).fit(X, y)
    assert abs(model.result_.best_score - 0.5) < 0.1, "out-of-fold predictions know nothing of their own labels"


def test_an_interrupt_keeps_the_best(monkeypatch):
    X = np.random.default_rng(0).standard_normal((300, 4))
    end = Study._end

    def end_and_press(study, record, status, message=""):
        end(study, record, status, message)
        if len(study.complete()) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Study, "_end", end_and_press)
    params = AutoMLParams(include=("tree", "ridge"), num_folds=2)
    model = AutoRegressor(stop=MaxTrials(500), params=params).fit(X, X[:, 0])
    assert 2 <= model.result_.num_complete < 10
    assert model.score(X, X[:, 0]) > 0.5


@pytest.mark.filterwarnings("ignore:none of .* trials came to an end")  # two seconds are short on a busy machine
def test_time_is_kept_and_told():
    X = np.random.default_rng(0).standard_normal((400, 4))
    model = AutoRegressor(stop=MaxRuntime(2.0)).fit(X, X[:, 0])
    assert 0.5 < model.result_.seconds < 60.0, "generous, for a busy machine; the benchmark measures it"
    assert model.result_.seconds_asked == 2.0
    assert model.score(X, X[:, 0]) > 0.3


def test_workers_are_as_many_as_the_caller_or_its_context_says():
    for given, expected in ((None, 1), (2, 2)):
        pool = make_pool(given)
        assert pool.num_workers == expected
        pool.close()
    with joblib.parallel_config(backend="threading", n_jobs=2):
        pool = make_pool(None)
        assert pool.num_workers == 2
        pool.close()


def test_a_bar_is_shown_where_it_is_wanted(capsys):
    X = np.random.default_rng(0).standard_normal((60, 2))
    for stop in (MaxTrials(2), AnyOf(MaxRuntime(60), MaxTrials(2))):
        quiet = AutoMLParams(include=("ridge",), num_folds=2)
        AutoRegressor(stop=stop, params=quiet).fit(X, X[:, 0])
        assert capsys.readouterr().err == ""
        loud = AutoMLParams(include=("ridge",), num_folds=2, progress=True)
        AutoRegressor(stop=stop, params=loud).fit(X, X[:, 0])
        assert "2 trials, rmse" in capsys.readouterr().err


INTERRUPTED = """
import numpy as np, time
from gnnlib.heads.automl.estimators import AutoRegressor
from gnnlib.heads.automl.runner import Study
from gnnlib.stop import MaxRuntime
end = Study._end
def told(study, *args):
    end(study, *args)
    print("trial", flush=True)
Study._end = told
X = np.random.default_rng(0).standard_normal((300, 4))
model = AutoRegressor(stop=MaxRuntime(300)).fit(X, X[:, 0])
print("done", model.result_.seconds < 200, model.score(X, X[:, 0]) > 0.5, flush=True)
"""


def test_ctrl_c_ends_a_timed_search_of_a_script_and_keeps_the_best():
    environment = {**os.environ, "PYTHONPATH": str(Path(gnnlib.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "trial\n"
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=240)
    assert rest.splitlines()[-1] == "done True True"


def test_trials_are_counted_and_combine_with_other_stops():
    clock = AnyOf(MaxRuntime(60), MaxTrials(3)).start()
    assert clock.remaining_iterations == 3
    assert not clock.update(iterations=2)
    assert clock.update(iterations=3)
    with pytest.raises(InputError, match="`trials` must be a number >= 0"):
        MaxTrials(-1)


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from gnnlib.heads.automl.estimators import AutoRegressor\n"
        "from gnnlib.heads.automl.problem import AutoMLParams\n"
        "from gnnlib.stop import MaxTrials\n"
        "X = np.random.default_rng(0).random((40, 2))\n"
        "params = AutoMLParams(include=('ridge',), num_folds=2)\n"
        "print('score', AutoRegressor(stop=MaxTrials(1), params=params).fit(X, X[:, 0]).score(X, X[:, 0]) > 0.5)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(gnnlib.__file__).parents[1])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "score True", done.stderr


def test_a_local_dask_cluster_runs_the_trials():
    distributed = pytest.importorskip("distributed", reason="dask is not installed; pip install 'gnnlib[dist]'")
    X = np.random.default_rng(0).standard_normal((80, 3))
    params = AutoMLParams(include=("ridge", "tree"), num_folds=2)
    alone = AutoRegressor(stop=MaxTrials(2), n_jobs=1, params=params).fit(X, X[:, 0])
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50
    )
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        model = AutoRegressor(stop=MaxTrials(2), n_jobs=1, params=params).fit(X, X[:, 0])
    assert np.array_equal(model.predict(X), alone.predict(X))
