"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.metrics import make_scorer

from gnnlib.errors import InputError
from gnnlib.heads.automl.metrics import CLASSIFICATION_METRICS, resolve_metric


def problem(num_classes, seed=0, n=200):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(num_classes), n).round(2) + 1e-3  # rounded, so that there are ties
    proba /= proba.sum(axis=1, keepdims=True)
    y = np.array([rng.choice(num_classes, p=row) for row in proba])
    return y, proba, rng.random(n) + 0.1


def expected(name, y, proba, weights):
    labels = np.arange(proba.shape[1])
    said = proba.argmax(axis=1)
    if name == "accuracy":
        return sk.accuracy_score(y, said, sample_weight=weights)
    if name == "balanced_accuracy":
        return sk.balanced_accuracy_score(y, said, sample_weight=weights)
    if name == "f1":
        return sk.f1_score(y, said, average="binary" if len(labels) == 2 else "macro", sample_weight=weights)
    if name == "log_loss":
        return -sk.log_loss(y, proba, labels=labels, sample_weight=weights)
    if len(labels) == 2:
        return sk.roc_auc_score(y, proba[:, 1], sample_weight=weights)
    return np.mean([sk.roc_auc_score(y == c, proba[:, c], sample_weight=weights) for c in labels])


@pytest.mark.parametrize("name", CLASSIFICATION_METRICS)
@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_classification_metrics_agree_with_scikit_learn(name, num_classes, is_weighted):
    y, proba, weights = problem(num_classes)
    weights = weights if is_weighted else None
    found = resolve_metric(name, "classification").score(y, proba, weights)
    assert found == pytest.approx(expected(name, y, proba, weights), abs=1e-12)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_regression_metrics_agree_with_scikit_learn(is_weighted):
    rng = np.random.default_rng(1)
    y, said, weights = rng.standard_normal(50), rng.standard_normal(50), rng.random(50) if is_weighted else None
    for name, function in (("r2", sk.r2_score), ("rmse", sk.root_mean_squared_error), ("mae", sk.mean_absolute_error)):
        metric = resolve_metric(name, "regression")
        assert metric.shown(metric.score(y, said, weights)) == pytest.approx(function(y, said, sample_weight=weights))


def test_scorers_by_name_and_as_objects_see_the_labels():
    y, proba, _ = problem(3)
    labels = np.array(["a", "b", "c"])
    by_name = resolve_metric("f1_weighted", "classification", labels)
    said = proba.argmax(axis=1)
    assert by_name.score(y, proba) == pytest.approx(sk.f1_score(y, said, average="weighted"))
    share_of_b = make_scorer(lambda truth, answer: float(np.mean(answer == "b")))
    assert resolve_metric(share_of_b, "classification", labels).score(y, proba) == np.mean(said == 1)
    logged = resolve_metric("roc_auc_ovr", "classification", labels).score(y, proba)
    assert logged == pytest.approx(sk.roc_auc_score(y, proba, multi_class="ovr"))
    median = resolve_metric("neg_median_absolute_error", "regression")
    assert median.score([1.0, 2.0, 3.0], [1.0, 2.0, 5.0]) == 0.0


def test_aliases_name_the_same_metric():
    assert resolve_metric("neg_log_loss", "classification").name == "log_loss"
    assert resolve_metric("auc", "classification").name == "roc_auc"


@pytest.mark.parametrize(
    ("metric", "task", "message"),
    [
        ("r2", "classification", "is for regression"),
        ("accuracy", "regression", "is for classification"),
        ("unicorn", "regression", "must be one of"),
        (7, "regression", "must be a name"),
        ("r2", "clustering", "`task` must be"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(metric, task, message):
    with pytest.raises(InputError, match=message):
        resolve_metric(metric, task)


def test_a_metric_object_of_the_other_task_is_refused():
    with pytest.raises(InputError, match="not for regression"):
        resolve_metric(resolve_metric("f1", "classification"), "regression")
