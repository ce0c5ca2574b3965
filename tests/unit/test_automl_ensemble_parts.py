"""Averages, selection and stacking of predictions."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.automl.ensembles import (
    Stacker,
    average_predictions,
    combine,
    log_loss,
    select_members,
    squared_error,
)


def noisy_probabilities(seed, n=400, classes=3, members=6):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    scores = (
        rng.standard_normal((members, n, classes)) + np.eye(classes)[y] * rng.uniform(0.2, 2, members)[:, None, None]
    )
    return y, list(np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True))


def test_the_log_loss_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    y, members = noisy_probabilities(0)
    assert log_loss(y, members[0]) == pytest.approx(metrics.log_loss(y, members[0]))


def test_averages_of_probabilities_are_probabilities():
    _, members = noisy_probabilities(1)
    mixed = average_predictions(members, weights=[1, 2, 0, 0, 3, 1])
    np.testing.assert_allclose(mixed.sum(axis=1), 1.0)
    np.testing.assert_allclose(mixed, (members[0] + 2 * members[1] + 3 * members[4] + members[5]) / 7)


@pytest.mark.parametrize("seed", range(5))
def test_selection_is_never_worse_than_the_best_member(seed):
    y, members = noisy_probabilities(seed)
    weights = select_members(members, y, loss=log_loss, rounds=20)
    assert weights.sum() == pytest.approx(1.0)
    chosen = log_loss(y, average_predictions(members, weights=weights))
    assert chosen <= min(log_loss(y, member) for member in members) + 1e-12


def test_selection_agrees_with_trying_every_addition():
    y, members = noisy_probabilities(3, n=60, members=4)
    bag: list[int] = []
    best, best_bag = np.inf, None
    for _ in range(8):
        bag.append(min(range(4), key=lambda m: log_loss(y, np.mean([members[i] for i in [*bag, m]], axis=0))))
        value = log_loss(y, np.mean([members[i] for i in bag], axis=0))
        if value < best - 1e-15:
            best, best_bag = value, list(bag)
    weights = select_members(members, y, loss=log_loss, rounds=8)
    np.testing.assert_allclose(weights, np.bincount(best_bag, minlength=4) / len(best_bag))


def test_stacking_finds_the_mixture_that_made_the_labels():
    rng = np.random.default_rng(0)
    first, second = (rng.dirichlet(np.ones(3), 20000) for _ in range(2))
    truth = 0.7 * first + 0.3 * second
    y = (truth.cumsum(axis=1) < rng.random((20000, 1))).sum(axis=1).clip(max=2)
    np.testing.assert_allclose(Stacker().fit([first, second], y).weights_, [0.7, 0.3], atol=0.03)


def test_stacking_of_values_finds_their_mixture():
    rng = np.random.default_rng(0)
    members = list(rng.standard_normal((3, 500)))
    weights = Stacker().fit(members, 0.2 * members[0] + 0.8 * members[2]).weights_
    np.testing.assert_allclose(weights, [0.2, 0.0, 0.8], atol=1e-4)


def test_random_labels_stay_at_chance():
    """A leak would show: members of many degrees of freedom learn their training labels by heart."""
    neighbours = pytest.importorskip("sklearn.neighbors")
    model_selection = pytest.importorskip("sklearn.model_selection")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1200, 4)), rng.integers(2, size=1200)
    new_x, new_y = rng.standard_normal((1000, 4)), rng.integers(2, size=1000)
    folds = np.arange(1200) % 5
    split = model_selection.PredefinedSplit(folds)
    models = [neighbours.KNeighborsClassifier(k) for k in (1, 3, 9)]
    members = [model_selection.cross_val_predict(m, x, y, cv=split, method="predict_proba") for m in models]
    report = combine(members, y, loss=log_loss, folds=folds)
    # What is reported must not promise more than a coin, nor may new rows show less.
    assert report.loss > np.log(2) - 0.01
    fitted = [m.fit(x, y).predict_proba(new_x) for m in models]
    accuracy = (average_predictions(fitted, weights=report.weights).argmax(axis=1) == new_y).mean()
    assert 0.45 < accuracy < 0.55


def test_stacking_needs_rows():
    y, members = noisy_probabilities(0, n=300)
    assert combine(members, y, loss=log_loss).method in {"single", "selection"}
    y, members = noisy_probabilities(0, n=1500)
    report = combine(members, y, loss=log_loss)
    assert "not fitted to" in report.reason
    assert report.weights.sum() == pytest.approx(1.0)
    assert combine(members[:1], y, loss=log_loss).method == "single"


def test_the_reported_loss_of_a_combination_is_honest():
    y, members = noisy_probabilities(5, n=3000)
    report = combine([m[:1500] for m in members], y[:1500], loss=log_loss)
    fresh = log_loss(y[1500:], average_predictions([m[1500:] for m in members], weights=report.weights))
    assert abs(fresh - report.loss) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average_predictions([]), "at least one member"),
        (lambda: average_predictions([np.ones(3), np.ones(4)]), "one shape"),
        (lambda: average_predictions([np.array([1.0, np.nan])]), "finite"),
        (lambda: average_predictions([np.ones(3)], weights=[-1]), "weights"),
        (lambda: select_members([np.ones(3)], np.ones(2), loss=squared_error), "`y`"),
        (lambda: select_members([np.ones(3)], np.ones(3), loss=squared_error, rounds=0), "rounds"),
        (lambda: Stacker().fit([np.ones(3)], np.ones(5)), "`y`"),
        (
            lambda: combine([np.ones(3)] * 2, np.ones(3), loss=squared_error, min_rows=1, folds=[0, 0, 0]),
            "folds",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
