"""Baselines clean tables as the search does, and are what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier

from gnnlib.errors import InputError
from gnnlib.heads.automl.baselines import BASELINES, BaselineClassifier, BaselineRegressor


def messy(n=150, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": np.where(rng.random(n) < 0.1, np.nan, rng.standard_normal(n)),
            "b": rng.choice(["x", "y", None], n),
            "since": pd.date_range("2020-01-01", periods=n)[rng.permutation(n)],
        }
    )
    return frame, frame["a"].fillna(0.0).to_numpy() + (frame["b"] == "x").to_numpy()


@pytest.mark.parametrize("kind", BASELINES)
def test_every_kind_reads_a_messy_table_and_beats_or_is_the_prior(kind):
    if kind == "lightgbm":
        pytest.importorskip("lightgbm")
    X, y = messy()
    new, truth = messy(seed=1)
    values = BaselineRegressor(kind=kind).fit(X, y)
    classes = clone(BaselineClassifier(kind=kind)).fit(X, np.where(y > 0.5, "up", "down"))
    proba = classes.predict_proba(new)
    assert np.allclose(proba.sum(axis=1), 1.0)
    assert list(classes.classes_) == ["down", "up"]
    if kind == "prior":
        assert np.allclose(values.predict(new), y.mean())
        assert np.allclose(proba[:, 1], (y > 0.5).mean())
    else:
        assert values.score(new, truth) > 0.2
        assert classes.score(new, np.where(truth > 0.5, "up", "down")) > 0.7


def test_on_plain_numbers_they_are_scikit_learns_own():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    y = X[:, 0] * X[:, 1]
    ours = BaselineRegressor(kind="boosting").fit(X, y).predict(X)
    theirs = HistGradientBoostingRegressor(l2_regularization=1e-6, early_stopping=False, random_state=0).fit(X, y)
    np.testing.assert_array_equal(ours, theirs.predict(X))
    ours = BaselineClassifier(kind="forest").fit(X, y > 0).predict_proba(X)
    theirs = RandomForestClassifier(random_state=0).fit(X, y > 0)
    np.testing.assert_array_equal(ours, theirs.predict_proba(X))


def test_a_table_without_a_feature_gets_the_prior():
    X = pd.DataFrame({"same": ["x"] * 30})
    with pytest.warns(UserWarning, match="constant"):
        model = BaselineClassifier(kind="linear").fit(X, [0, 1, 1] * 10)
    assert np.allclose(model.predict_proba(X), [1 / 3, 2 / 3])


def test_what_does_not_fit_is_refused():
    X, y = messy(20)
    with pytest.raises(InputError, match="`kind` must be one of"):
        BaselineClassifier(kind="magic").fit(X, y > 0)
    with pytest.raises(InputError, match="20 rows, `y` 3"):
        BaselineRegressor().fit(X, y[:3])
