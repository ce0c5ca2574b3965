"""Tables and targets as people really bring them, through the estimators and not only through the cleaner."""

from __future__ import annotations

import datetime
import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import make_scorer, recall_score

import gnnlib
from gnnlib.errors import InputError
from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.stop import MaxTrials

TREE = AutoMLParams(start=("median > ordinal > none > tree > none",), include=("tree",), num_folds=2)
LINE = AutoMLParams(include=("ridge",), num_folds=2)


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.standard_normal(n), "b": rng.choice(["x", "y"], n)})
    return frame, np.where(frame["a"] > 0, "up", "down")


def classify(X, y, sample_weight=None, **options):
    options = {"stop": MaxTrials(1), "params": TREE, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoClassifier(**options).fit(X, y, sample_weight=sample_weight)


def exported(model, path):
    model.export_code(path)
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_columns_of_one_name_are_fitted_predicted_and_explained():
    X, y = table()
    twice = X.set_axis(["a", "a"], axis=1)
    model = classify(twice, y)
    assert model.score(twice, y) > 0.9
    assert list(model.feature_names_in_) == ["a", "a.1"]
    assert [name for name, _ in model.explain().importance] == ["a", "a.1"]
    thrice = pd.concat([X, X], axis=1).set_axis(["a", "a.1", "a", "b"], axis=1)
    assert list(classify(thrice, y).feature_names_in_) == ["a", "a.1", "a.2", "b"]


def test_a_target_must_name_one_column():
    X, y = table()
    with pytest.raises(InputError, match="must name one column, found 2"):
        classify(pd.concat([X, pd.DataFrame({"t": y}), pd.DataFrame({"t": y})], axis=1), "t")


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("boolean", [True, False], np.array([False, True])),
        ("Int64", [3, 8], np.array([3, 8])),
        ("string", ["p", "q"], np.array(["p", "q"])),
        ("category", ["p", "q"], np.array(["p", "q"])),
    ],
)
def test_labels_of_pandas_own_types_stay_what_they_are_beside_gaps(kind, values, expected):
    X, y = table()
    labels = pd.Series(np.where(y == "up", *values)).astype(kind)
    labels[2] = None
    with pytest.warns(UserWarning, match="1 of 60 rows have no target"):
        model = AutoClassifier(stop=MaxTrials(1), params=TREE).fit(X, labels)
    assert model.classes_.tolist() == expected.tolist()
    assert model.classes_.dtype.kind == (expected.dtype.kind if kind in {"boolean", "Int64"} else "O")
    assert set(model.predict(X)) <= set(expected.tolist())


def test_numbers_of_pandas_own_types_are_a_target():
    X, _ = table()
    model = AutoRegressor(stop=MaxTrials(1), params=LINE).fit(X, X["a"].astype("Float64"))
    assert model.score(X, X["a"]) > 0.9


def test_moments_are_no_target_of_a_regression():
    X, _ = table()
    with pytest.raises(InputError, match="found moments or spans of time"):
        AutoRegressor(stop=MaxTrials(1)).fit(X, pd.date_range("2020-01-01", periods=60))


def test_a_description_must_be_text():
    X, y = table()
    with pytest.raises(InputError, match="`description` must be a string or None, found 7"):
        classify(X, y, description=7)


def test_what_is_new_at_prediction_is_read_as_far_as_it_can():
    X, y = table()
    model = classify(X.assign(since=pd.date_range("2020-01-01", periods=60, freq="7h")), y)
    odd = pd.DataFrame(
        {
            "a": ["0.5", "no number", "-2"],
            "b": ["never seen", None, 7],
            "since": [datetime.date(2020, 1, 2), "2020-01-03 04:00", "no date"],
        }
    )
    assert model.predict(odd)[[0, 2]].tolist() == ["up", "down"]
    assert model.predict(X.assign(since=pd.NaT)[:1]).tolist() == [y[0]]


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_very_few_rows_get_an_answer(rows):
    X, _ = table()
    y = np.array(["u", "v", "v", "w", "z"])[:rows]
    proba = classify(X[:rows], y).predict_proba(X)
    assert np.allclose(proba.sum(axis=1), 1.0)
    assert np.isfinite(AutoRegressor(stop=MaxTrials(1), params=LINE).fit(X[:rows], np.arange(rows)).predict(X)).all()


def test_five_thousand_columns_of_fifty_rows_are_fitted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 5_000))
    y = (X[:, 7] > 0).astype(int)
    params = AutoMLParams(include=("gnb", "logistic"), num_folds=2)
    model = classify(X, y, params=params, stop=MaxTrials(2))
    assert set(model.leaderboard_["status"]) == {"ok"}
    assert model.predict_proba(X).shape == (50, 2)


def test_two_hundred_thousand_rows_are_fitted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 3))
    model = classify(X, X[:, 0] > 0, params=AutoMLParams(include=("tree",), num_folds=2))
    assert model.result_.rows == 200_000
    assert model.score(X[:1_000], X[:1_000, 0] > 0) > 0.99
    assert len(model.out_of_fold_[0]) == 20_000


def test_scorers_that_cannot_judge_the_target_are_refused_before_the_search():
    X, y = table()
    with pytest.raises(InputError, match=r"`metric` 'precision' cannot judge this target: pos_label=1"):
        classify(X, y, metric="precision")

    def share(estimator, X, y):
        return float((estimator.predict(X) == y).mean())

    assert classify(X, y, metric=share).result_.best_score > 0.8
    with pytest.raises(InputError, match="sample_weight"):
        classify(X, y, metric=share, sample_weight=np.arange(60.0))
    weighted = classify(X, y == "up", metric=make_scorer(recall_score), sample_weight=np.arange(60.0))
    assert 0.8 < weighted.result_.best_score <= 1.0


def test_a_search_without_a_trial_says_so_and_still_answers():
    X = np.random.default_rng(0).standard_normal((3_000, 3))
    params = AutoMLParams(memory_limit_gb=0.03, include=("gp",), num_folds=2)
    with pytest.warns(UserWarning, match=r"none of 2 trials came to an end .*out of memory"):
        model = AutoRegressor(stop=MaxTrials(2), params=params).fit(X, X[:, 0])
    assert model.result_.members == (("quick tree", 1.0),)
    assert model.score(X, X[:, 0]) > 0.5
    with pytest.raises(InputError, match="no trial came to an end"):
        model.out_of_fold_  # noqa: B018


def test_predictions_out_of_fold_are_those_of_models_that_had_not_seen_the_rows():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 3)), rng.choice(["u", "v"], 200)
    start = ("median > ordinal > none > tree(depth=20, min_leaf=1) > none",)
    model = classify(X, y, params=AutoMLParams(start=start, include=("tree",), num_folds=4))
    truth, said = model.out_of_fold_
    assert sorted(truth) == sorted(y)
    assert set(said) <= {"u", "v"}
    assert np.mean(truth == said) < 0.65, "labels are random"
    assert model.score(X, y) > 0.9, "while models remember the rows that they were fitted on"


def test_experience_that_cannot_be_kept_does_not_cost_the_model(tmp_path, monkeypatch):
    def full(*args):
        raise InputError("the disk is full")

    monkeypatch.setattr("gnnlib.heads.automl.runner_fit.remember", full)
    X, y = table()
    url = f"sqlite:///{tmp_path / 'experience.db'}"
    with pytest.warns(UserWarning, match="experience of this fit is not kept: the disk is full"):
        model = AutoClassifier(stop=MaxTrials(1), params=TREE, store=url).fit(X, y)
    assert model.score(X, y) > 0.9


def test_an_exported_file_copes_with_rare_classes_and_missing_targets(tmp_path):
    X, _ = table(24)
    y = np.array(["u"] * 14 + ["v"] * 9 + ["w"], dtype=object)
    start = ("median > target > standard > svm > none", "median > target > none > tree > sigmoid")
    params = AutoMLParams(start=start, include=("svm", "tree", "target", "sigmoid"), num_folds=2)
    model = classify(X, y, params=params, stop=MaxTrials(2))
    assert set(model.leaderboard_["status"]) == {"ok"}
    module = exported(model, tmp_path / "pipeline.py")
    gone = y.copy()
    gone[3] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # four rows of a class are fewer than the encoder's five parts
        models = module.fit(X, gone)
    assert module.predict_proba(models, X).shape == (24, 3)


def test_an_exported_file_of_a_table_without_a_feature_runs(tmp_path):
    X, y = pd.DataFrame({"same": ["x"] * 30}), [0, 1, 1] * 10
    module = exported(classify(X, y), tmp_path / "pipeline.py")
    assert np.allclose(module.predict_proba(module.fit(X, y), X), [1 / 3, 2 / 3])


def test_an_exported_file_runs_in_a_python_that_cannot_import_gnnlib(tmp_path):
    X, y = table()
    classify(X, y).export_code(tmp_path / "pipeline.py")
    X.assign(y=y).to_csv(tmp_path / "t.csv", index=False)
    script = (
        "import sys; sys.modules['gnnlib'] = None\n"
        "import pandas as pd, pipeline\n"
        "t = pd.read_csv('t.csv'); models = pipeline.fit(t[['a', 'b']], t['y'])\n"
        "print((pipeline.predict(models, t[['a', 'b']]) == t['y']).mean() > 0.9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == "True", done.stderr


def test_a_file_of_code_that_cannot_be_written_is_named(tmp_path):
    X, y = table()
    model = classify(X, y)
    with pytest.raises(InputError, match="does not exist"):
        model.export_code(tmp_path / "nowhere" / "p.py")
    with pytest.raises(InputError, match="cannot write"):
        model.export_code(tmp_path)


FRESH = """
import hashlib, warnings
import numpy as np, pandas as pd
from gnnlib.heads.automl.estimators import AutoClassifier
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.stop import MaxTrials
np.random.random(SEED)
rng = np.random.default_rng(0)
X = pd.DataFrame({"a": rng.standard_normal(90), "b": rng.choice(list("abcdefgh"), 90)})
start = ("median > target > none > forest(trees=30) > none", "median > target > standard + important > mlp(epochs=20) > none")
params = AutoMLParams(start=start, include=("forest", "mlp", "target"), num_folds=2)
warnings.simplefilter("ignore")
model = AutoClassifier(stop=MaxTrials(4), params=params).fit(X, X.a + rng.standard_normal(90) > 0)
print(hashlib.sha256(model.predict_proba(X).tobytes()).hexdigest(), *model.leaderboard_.pipeline)
"""


def test_fresh_processes_give_the_same_bits_whatever_the_global_state_is():
    said = []
    for seed in (1, 2):
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(gnnlib.__file__).parents[1]),
            "PYTHONHASHSEED": str(seed),
        }
        command = [sys.executable, "-c", FRESH.replace("SEED", str(seed))]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]
    assert "target" in said[0]


@pytest.mark.parametrize("ensemble", ["selection", "stacking", "average", "best"])
def test_every_way_to_weigh_an_ensemble_answers_and_leaks_nothing(ensemble):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1_200, 4)), rng.integers(0, 2, 1_200)
    new = rng.standard_normal((1_000, 4))
    start = tuple(
        f"median > ordinal > {rest} > none" for rest in ("standard > knn(neighbours=2)", "none > tree(depth=20)")
    )
    params = AutoMLParams(
        start=(*start, "median > ordinal > standard > gnb > none"),
        include=("knn", "tree", "gnb"),
        num_folds=3,
        ensemble=ensemble,
    )
    model = classify(X, y, params=params, stop=MaxTrials(3))
    weights = [weight for _, weight in model.result_.members]
    assert sum(weights) == pytest.approx(1.0)
    if ensemble == "average":
        assert weights == pytest.approx([1 / 3] * 3)
    if ensemble == "best":
        assert weights == [1.0]
    truth, said = model.out_of_fold_
    assert abs(np.mean(truth == said) - 0.5) < 0.06, "what is reported of random labels is chance"
    assert abs(np.mean(model.predict(new) == rng.integers(0, 2, 1_000)) - 0.5) < 0.06


def test_an_unknown_way_to_weigh_is_refused():
    with pytest.raises(InputError, match="`ensemble` must be one of"):
        AutoMLParams(ensemble="votes")
