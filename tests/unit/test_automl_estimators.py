"""AutoClassifier and AutoRegressor: what users do with them, and what they do wrong."""

from __future__ import annotations

import importlib.util
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import make_scorer, recall_score

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.api import load_model
from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.stop import AnyOf, MaxRuntime, MaxTrials, NoImprovement

QUICK = AutoMLParams(
    start=("median > ordinal > none > tree > none", "median > onehot > standard > gnb > none"),
    include=("tree", "gnb", "logistic", "ridge", "median", "none", "standard", "ordinal", "onehot"),
    num_folds=3,
)
QUICK_NUMBERS = AutoMLParams(
    start=("median > ordinal > none > tree > none", "median > onehot > standard > ridge > none"),
    include=("tree", "ridge"),
    num_folds=3,
)


def people(n=120, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "town": rng.choice(["Rome", "Oslo", "Lima"], n),
            "since": pd.date_range("2020-01-01", periods=n, freq="D")[rng.permutation(n)],
            "note": rng.choice(["a long note about the first of all things", "quite another text is written here"], n),
        }
    )
    frame.loc[rng.random(n) < 0.1, "age"] = np.nan
    left = (frame["age"].fillna(50) + 10 * (frame["town"] == "Oslo") + rng.normal(0, 3, n)) > 50
    return frame, pd.Series(np.where(left, "left", "stayed"), name="left")


def numbers(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4))
    return X, 3.0 * X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(n)


@pytest.fixture(scope="module")
def classifier():
    X, y = people()
    return AutoClassifier(stop=MaxTrials(3), seed=0, params=QUICK, description="people who left").fit(X, y)


@pytest.fixture(scope="module")
def regressor():
    return AutoRegressor(stop=MaxTrials(2), seed=0, params=QUICK_NUMBERS).fit(*numbers())


def test_a_messy_table_is_learnt(classifier):
    X, y = people(seed=1)
    assert classifier.score(X, y) > 0.8
    proba = classifier.predict_proba(X)
    assert np.allclose(proba.sum(axis=1), 1.0)
    assert list(classifier.classes_) == ["left", "stayed"]
    assert np.array_equal(classifier.classes_[proba.argmax(axis=1)], classifier.predict(X))
    assert list(classifier.feature_names_in_) == ["age", "town", "since", "note"]


def test_numbers_are_predicted_and_stay_near_what_was_seen(regressor):
    X, y = numbers(seed=1)
    assert regressor.score(X, y) > 0.9
    far = regressor.predict(1e6 * np.ones((1, 4)))
    assert np.abs(far).max() < 10 * np.abs(y).max()


def test_the_leaderboard_tells_what_was_tried_and_how_it_counts(classifier):
    board = classifier.leaderboard_
    assert len(board) == 3
    assert board["weight"].sum() == pytest.approx(1.0)
    assert next(iter(board["why"][:2].sort_values())) in {"given", "bandit", "random"}
    assert board["log_loss"].is_monotonic_increasing
    assert (board["judged_on"] == "all folds").all()


def test_the_result_prints_and_becomes_a_dict(classifier):
    result = classifier.result_
    assert "3 complete of 3" in result.summary()
    assert result._repr_html_().startswith("<table>")
    assert result.to_dict()["metric"] == "log_loss"
    assert result.seconds > 0
    assert "AutoClassifier" in classifier._repr_html_()


def test_the_same_seed_and_trials_give_the_same_bits(classifier):
    X, y = people()
    again = clone(classifier).fit(X, y)
    assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.leaderboard_["pipeline"].tolist() == classifier.leaderboard_["pipeline"].tolist()


def test_two_workers_give_the_same_bits_each_time():
    X, y = numbers()
    found = [
        AutoRegressor(stop=MaxTrials(4), n_jobs=2, params=QUICK_NUMBERS, seed=3).fit(X, y).predict(X) for _ in range(2)
    ]
    assert np.array_equal(*found)


def test_a_fitted_model_survives_a_file(classifier, tmp_path):
    X, _ = people(seed=2)
    path = tmp_path / "model.joblib"
    classifier.save(path)
    for read in (load_model(path), joblib.load(path)):
        assert np.array_equal(read.predict(X), classifier.predict(X))
    with pytest.raises(InputError, match="does not exist"):
        classifier.save(tmp_path / "nowhere" / "model.joblib")
    with pytest.raises(InputError, match="there is no file"):
        load_model(tmp_path / "other.joblib")
    path.write_bytes(b"this is no pickle")
    with pytest.raises(FileFormatError, match="no model that joblib can read"):
        load_model(path)
    joblib.dump([1, 2], path)
    with pytest.raises(FileFormatError, match="holds list"):
        load_model(path)


def test_a_folder_that_cannot_be_written_is_named(classifier, tmp_path, monkeypatch):
    def refuse(*args, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(joblib, "dump", refuse)
    with pytest.raises(InputError, match=r"cannot write .*Permission denied"):
        classifier.save(tmp_path / "model.joblib")


def test_the_explanation_names_the_columns_that_matter(classifier):
    told = classifier.explain()
    assert told.importance[0][0] == "age"
    assert {pipeline for pipeline, _ in told.members} == {pipeline for pipeline, _ in classifier.result_.members}
    assert "column age" in told.summary()


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_the_exported_file_cleans_alike_and_predicts_alike(kind, classifier, regressor, tmp_path):
    model = classifier if kind == "classes" else regressor
    X, y = people() if kind == "classes" else numbers()
    path = tmp_path / "pipeline.py"
    model.export_code(path)
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "gnnlib" not in path.read_text().replace("found by gnnlib", "")
    assert np.array_equal(module.clean(X), model._fitted.cleaner.transform(X), equal_nan=True)
    fitted = module.fit(X, y)
    said = module.predict(fitted, X)
    if kind == "classes":
        assert np.mean(said == model.predict(X)) > 0.9
    else:
        assert np.corrcoef(said, model.predict(X))[0, 1] > 0.98


def test_the_target_may_be_named_in_the_table():
    X, y = people(60)
    model = AutoClassifier(stop=MaxTrials(1), params=QUICK).fit(X.assign(left=y), "left")
    assert model.n_features_in_ == 4
    with pytest.raises(InputError, match="'gone' is not a column"):
        model.fit(X, "gone")
    with pytest.raises(InputError, match="must be a DataFrame"):
        model.fit(np.zeros((3, 2)), "gone")


def test_rows_without_a_target_are_left_out():
    X, y = numbers()
    y[:10] = np.nan
    with pytest.warns(UserWarning, match="10 of 120 rows have no target"):
        model = AutoRegressor(stop=MaxTrials(1), params=QUICK_NUMBERS).fit(X, y)
    assert model.result_.rows == 110


def test_rare_classes_and_twenty_rows_are_enough():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 2))
    y = np.array(["a"] * 12 + ["b"] * 7 + ["c"])
    model = AutoClassifier(stop=MaxTrials(3), seed=0).fit(X, y)
    assert model.predict_proba(X).shape == (20, 3)
    assert set(model.leaderboard_["status"]) <= {"ok"}


def test_a_table_without_a_feature_gets_the_prior():
    X = pd.DataFrame({"same": ["x"] * 30, "none": [None] * 30})
    y = np.array([0, 1, 1] * 10)
    with pytest.warns(UserWarning, match="dropped"):
        model = AutoClassifier(stop=MaxTrials(2), params=QUICK).fit(X, y)
    assert np.allclose(model.predict_proba(X)[:, 1], 2 / 3)


def test_a_budget_too_small_gives_the_prior_with_a_warning():
    X, y = numbers()
    with pytest.warns(UserWarning, match="too short to fit anything"):
        model = AutoRegressor(stop=MaxRuntime(0.0)).fit(X, y)
    assert np.allclose(model.predict(X), y.mean())


def test_weights_move_the_answer():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 1))
    y = (rng.random(200) < 0.5).astype(int)
    heavy = np.where(y == 1, 9.0, 1.0)
    params = AutoMLParams(start=("median > ordinal > standard > logistic > none",), include=("logistic",), num_folds=2)
    light = AutoClassifier(stop=MaxTrials(1), params=params).fit(X, y).predict_proba(X)[:, 1].mean()
    pushed = (
        AutoClassifier(stop=MaxTrials(1), params=params).fit(X, y, sample_weight=heavy).predict_proba(X)[:, 1].mean()
    )
    assert abs(light - 0.5) < 0.1
    assert pushed > light + 0.2


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc", "f1", make_scorer(recall_score)])
def test_metrics_by_name_and_scorers_are_followed(metric):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 3))
    y = (X[:, 0] + rng.standard_normal(150) > 1.0).astype(int)
    model = AutoClassifier(stop=MaxTrials(2), metric=metric, params=QUICK).fit(X, y)
    assert 0.3 < model.result_.best_score <= 1.0


def test_balanced_accuracy_moves_the_decision():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 2))
    y = (X[:, 0] + rng.standard_normal(400) > 1.8).astype(int)
    model = AutoClassifier(stop=MaxTrials(2), metric="balanced_accuracy", params=QUICK).fit(X, y)
    assert model.predict(X).mean() > y.mean() * 1.3


def test_forbidden_pieces_are_never_tried():
    X, y = numbers()
    params = AutoMLParams(exclude=("hgb", "lightgbm", "forest", "extra", "mlp", "svm", "gp"), num_folds=2)
    model = AutoRegressor(stop=MaxTrials(6), params=params).fit(X, y)
    assert not {trial.family for trial in model.result_.trials} & {"boosting", "kernel", "network"}


def test_the_search_begins_with_advice_from_known_tables_and_says_so():
    X, y = people(150)
    params = AutoMLParams(include=("logistic", "svm", "gnb", "knn"), num_folds=2)
    model = AutoClassifier(stop=MaxTrials(3), params=params, metric="accuracy", description="churn").fit(X, y)
    advice = model._fitted.advice
    assert advice is not None
    assert ("data set graph" in set(model.leaderboard_["why"])) == (advice.source == "experience")
    told = model.explain()
    assert told.neighbours == tuple((n.name, n.weight) for n in advice.neighbours)
    assert dict(told.moved) == dict(advice.moved)
    assert ("of the first advice" in told.summary()) == (advice.source == "experience")
    without = AutoMLParams(include=("logistic",), num_folds=2, use_graph=False)
    assert AutoClassifier(stop=MaxTrials(1), params=without).fit(X, y)._fitted.advice is None


@pytest.mark.parametrize("strategy", ["bayes", "random"])
def test_other_strategies_find_pipelines_too(strategy):
    X, y = numbers()
    params = AutoMLParams(start=(), include=("ridge", "tree"), strategy=strategy, num_folds=2)
    model = AutoRegressor(stop=MaxTrials(4), params=params).fit(X, y)
    assert set(model.leaderboard_["why"]) <= {strategy, "random"}
    assert model.score(X, y) > 0.5


def test_a_search_that_stands_still_ends():
    X, y = numbers()
    model = AutoRegressor(stop=AnyOf(MaxRuntime(60), NoImprovement(3)), params=QUICK_NUMBERS).fit(X, y)
    assert len(model.result_.trials) < 60


def test_experience_is_kept_and_used(tmp_path):
    url = f"sqlite:///{tmp_path / 'experience.db'}"
    X, y = numbers()
    first = AutoRegressor(stop=MaxTrials(3), params=QUICK_NUMBERS, store=url).fit(X, y)
    params = AutoMLParams(include=("tree", "ridge"), num_folds=3)
    second = AutoRegressor(stop=MaxTrials(1), params=params, store=url).fit(*numbers(seed=5))
    assert second.leaderboard_["why"][0] == "experience"
    assert second.leaderboard_["pipeline"][0] == first.leaderboard_["pipeline"][0]
    (tmp_path / "experience.db").write_bytes(b"no database" * 100)
    with pytest.raises(FileFormatError):
        AutoRegressor(stop=MaxTrials(1), store=url).fit(X, y)
    with pytest.raises(InputError, match="`store` must be"):
        AutoRegressor(stop=MaxTrials(1), store=7).fit(X, y)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (pd.DataFrame(), [], "column"),
        (np.zeros((5, 2)), [1, 1, 1, 1, 1], "two classes"),
        (np.zeros((5, 2)), [0, 1, 0], "inconsistent numbers of samples"),
        (np.zeros((2, 2)), [np.nan, np.nan], "missing in every row"),
        (np.zeros((3, 2)), [0.0, np.inf, 1.0], "infinity, first in row 1"),
        (np.zeros((3, 2)), None, "requires y to be passed"),
        (np.zeros((1, 2)), ["a"], "at least two rows"),
    ],
)
def test_bad_classification_input_is_refused(X, y, message):
    with pytest.raises(InputError, match=message):
        AutoClassifier(stop=MaxTrials(1)).fit(X, y)


def test_texts_as_a_regression_target_are_refused():
    with pytest.raises(InputError, match="must be numbers for regression, found 'a'"):
        AutoRegressor(stop=MaxTrials(1)).fit(np.zeros((3, 1)), ["a", "b", "c"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stop": 60}, "`stop` must be"),
        ({"params": {}}, "`params` must be"),
        ({"n_jobs": 0}, "`n_jobs` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"metric": "unicorn"}, "`metric` must be"),
    ],
)
def test_bad_options_are_refused(options, message):
    X, y = numbers(20)
    with pytest.raises(InputError, match=message):
        AutoRegressor(**{"stop": MaxTrials(1), **options}).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"include": "svm"}, "found the string"),
        ({"exclude": ("unicorn",)}, "no piece"),
        ({"strategy": "luck"}, "`strategy` must be"),
        ({"num_folds": 1}, "`num_folds` must be"),
        ({"memory_limit_gb": -1}, "`memory_limit_gb` must be"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        AutoMLParams(**options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "expected"),
        ([-1.0] * 20, ">= 0"),
        ([np.nan] * 20, "finite"),
        ([0.0] * 20, "zero everywhere"),
        (["a"] * 20, "must be numbers"),
        (np.ones((20, 2)), "1D"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    X, y = numbers(20)
    with pytest.raises(InputError, match=message):
        AutoRegressor(stop=MaxTrials(1)).fit(X, y, sample_weight=weights)


def test_another_table_is_refused_at_prediction(classifier):
    X, _ = people()
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(X.rename(columns={"age": "years"}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="features"):
            classifier.predict(X.to_numpy()[:, :2])
