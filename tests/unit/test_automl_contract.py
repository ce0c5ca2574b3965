"""scikit-learn's own checks of estimators."""

from __future__ import annotations

import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.stop import MaxTrials

REASONS = {
    "check_sample_weight_equivalence_on_dense_data": "folds are dealt by row, so that a repeated row is not a weight of 2",
}


@pytest.mark.parametrize(
    ("kind", "names"), [(AutoClassifier, ("tree", "logistic")), (AutoRegressor, ("tree", "ridge"))]
)
def test_the_estimators_pass_the_checks_of_scikit_learn(kind, names):
    params = AutoMLParams(include=names, num_folds=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(kind(stop=MaxTrials(1), params=params), expected_failed_checks=REASONS, on_fail=None)
    failed = {item["check_name"]: item["exception"] for item in found if item["status"] == "failed"}
    assert not failed
