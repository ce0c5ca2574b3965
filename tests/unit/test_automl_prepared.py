"""Preparations are done once, and what is kept of them changes no bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from gnnlib.heads.automl import worker_prepared
from gnnlib.heads.automl.table import MatrixLayout
from gnnlib.heads.automl.worker import Job, TrialData, predict_with, run_job


def data_of(num_classes=2, n=120):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((n, 4)), rng.integers(0, 5, n)])
    y = X[:, 0] + 0.3 * rng.standard_normal(n)
    y = (y > 0).astype(np.int64) if num_classes else y
    folds = np.arange(n) % 3
    order = rng.permutation(n)
    task = "classification" if num_classes else "regression"
    return TrialData(X, y, None, folds, order, MatrixLayout(4, (5,)), task, num_classes)


def job_of(folder, text, number=0, folds=(0, 1), rows=None):
    return Job(number, text, folds, 7, rows, 60.0, None, str(folder))


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.suffix == ".prepared")


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(worker_prepared, "LEAST_S", 0.0)


PREPARATIONS = (
    "median > onehot > standard",
    "median > target > quantile + pca",
    "indicator > ordinal > robust + kbest(keep=0.5)",
    "mean > target > standard + important",
)


@pytest.mark.parametrize("text", PREPARATIONS)
@pytest.mark.parametrize("estimator", ["logistic", "knn"])
def test_what_was_kept_gives_the_same_bits(text, estimator, tmp_path, always):
    data, sentence = data_of(), f"{text} > {estimator} > none"
    first = list(run_job(data, job_of(tmp_path, sentence, 1)))
    assert len(files(tmp_path)) == 2
    second = list(run_job(data, job_of(tmp_path, sentence, 2)))
    (tmp_path / "empty").mkdir()
    alone = list(run_job(data, job_of(tmp_path / "empty", sentence, 3)))
    for one, two, three in zip(first, second, alone, strict=True):
        assert np.array_equal(one.prediction, two.prediction)
        assert np.array_equal(one.prediction, three.prediction)
        model = joblib.load(two.model_path)
        assert np.array_equal(predict_with(model, data.X[data.folds == two.fold], 2, (0, 1)), two.prediction)


def test_a_later_trial_does_not_prepare_again(tmp_path, always, monkeypatch):
    data, calls = data_of(0), []
    fit = QuantileTransformer.fit

    def counted(self, *args, **keywords):
        calls.append(1)
        return fit(self, *args, **keywords)

    monkeypatch.setattr(QuantileTransformer, "fit", counted)
    list(run_job(data, job_of(tmp_path, "median > ordinal > quantile > ridge > none", 1)))
    once = len(calls)
    assert once > 0
    list(run_job(data, job_of(tmp_path, "median > ordinal > quantile > knn > none", 2)))
    assert len(calls) == once
    list(run_job(data, job_of(tmp_path, "median > ordinal > quantile > knn > none", 3, rows=40)))
    assert len(calls) == 2 * once, "fewer rows are prepared for themselves"


def test_weights_reach_the_estimator_behind_what_was_kept(tmp_path, always):
    data = data_of(0)
    sentence = "median > ordinal > standard > ridge > none"
    light = next(iter(run_job(data, job_of(tmp_path, sentence, 1))))
    weighted = replace(data, weights=np.where(data.y > 0, 50.0, 1.0))
    heavy = next(iter(run_job(weighted, job_of(tmp_path, sentence, 2))))
    assert heavy.prediction.mean() > light.prediction.mean() + 0.01


def test_quick_preparations_and_those_beyond_the_room_are_not_kept(tmp_path, monkeypatch):
    data = data_of()
    sentence = "median > onehot > standard > logistic > none"
    monkeypatch.setattr(worker_prepared, "LEAST_S", 1e9)
    list(run_job(data, job_of(tmp_path, sentence, 1)))
    assert files(tmp_path) == []
    monkeypatch.setattr(worker_prepared, "LEAST_S", 0.0)
    monkeypatch.setattr(worker_prepared, "MOST_BYTES", 100)
    list(run_job(data, job_of(tmp_path, sentence, 2)))
    assert files(tmp_path) == []


def test_no_room_on_the_disk_costs_no_trial(tmp_path, always, monkeypatch):
    def full(value, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    data = data_of()
    model = worker_prepared.fit_prepared
    from gnnlib.heads.automl.pipelines import Pipeline

    monkeypatch.setattr(joblib, "dump", full)
    pipeline = Pipeline.parse("classification", "median > onehot > standard > logistic > none")
    fitted = model(pipeline.build(data.layout), data.X, data.y, path=tmp_path / "x.prepared")
    assert fitted.predict(data.X).shape == (120,)
    assert list(tmp_path.iterdir()) == []
