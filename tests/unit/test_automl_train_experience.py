"""Gathering experience: every pair once, resumable, failures kept, nothing of the families that judge."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sqlalchemy")

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl import train_experience
from gnnlib.heads.automl.experience import ExperienceStore
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.recommend import fit_meta, recommend_pipelines
from gnnlib.heads.automl.train_experience import (
    HELD_OUT,
    METRICS,
    Settings,
    experience_pipelines,
    gather,
    main,
    read_sources,
)

DATA = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data") / "automl"
FEW = [
    "median > ordinal > standard > ridge > none",
    "median > ordinal > none > tree > none",
]
FEW_CLASSES = ["median > onehot > standard > gnb > none", "median > ordinal > none > tree > none"]


def write(folder, name, task, n=60, family=None, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.standard_normal(n), "b": rng.choice(["x", "y"], n), "code": rng.integers(0, 3, n)})
    value = frame["a"] + (frame["b"] == "x")
    frame["target"] = np.where(value > 0.5, "up", "down") if task == "classification" else value
    frame.loc[0, "target"] = None
    frame.to_csv(folder / f"{name}.csv.gz", index=False)
    return {
        "name": name,
        "family": family or name,
        "task": task,
        "file": f"{name}.csv.gz",
        "target": "target",
        "categorical": ["b", "code"],
        "description": f"a made table called {name}",
        "rows": n,
        "features": 3,
    }


@pytest.fixture
def folder(tmp_path):
    entries = [
        write(tmp_path, "large", "regression", 90),
        write(tmp_path, "small", "regression", 40, seed=1),
        write(tmp_path, "kinds", "classification", 50, seed=2),
        write(tmp_path, HELD_OUT[0], "classification", 50, family="secret", seed=3),
        write(tmp_path, "sibling", "classification", 50, family="secret", seed=4),
    ]
    (tmp_path / "datasets_index.json").write_text(json.dumps(entries))
    return tmp_path


@pytest.fixture
def few(monkeypatch):
    def pipelines(task, count=64):
        return [Pipeline.parse(task, text) for text in (FEW if task == "regression" else FEW_CLASSES)][:count]

    monkeypatch.setattr(train_experience, "experience_pipelines", pipelines)


def test_the_cheapest_come_first_and_families_that_judge_are_left_out(folder):
    assert [source.name for source in read_sources(folder)] == ["small", "kinds", "large"]
    assert [source.name for source in read_sources(folder, tasks=("regression",))] == ["small", "large"]


def test_every_pair_is_written_once_and_a_stopped_run_goes_on(folder, few):
    with ExperienceStore("sqlite://") as store:
        sources = read_sources(folder)
        first = gather(sources, store)
        done = [next(first) for _ in range(3)]
        first.close()  # as when the process is stopped
        rest = list(gather(sources, store))
        assert len(done) + len(rest) == 6
        assert len({(name, text) for name, text, _ in [*done, *rest]}) == 6
        assert list(gather(sources, store)) == []
        table = store.table()
        assert len(table) == 4 * 1 + 2 * len(METRICS["classification"])
        assert not table.duplicated(["dataset", "pipeline", "metric"]).any()
        assert table["score"].notna().all()
        assert set(table["description"]) == {f"a made table called {name}" for name in ("small", "kinds", "large")}
        assert store.profiles()["kinds"]["NumberOfInstances"] == 49, "the row without a target is left out"
        matrix = store.matrix(task="regression", metric="rmse")
        assert (matrix[FEW[0]] > matrix[FEW[1]]).all(), "the target is a straight line of the columns"


def test_the_scores_are_those_of_scikit_learn(folder, few):
    from sklearn.metrics import root_mean_squared_error
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    source = read_sources(folder, tasks=("regression",))[0]
    with ExperienceStore("sqlite://") as store:
        list(gather([source], store, Settings(pipelines=1)))
        score = store.table()["score"][0]
    data, _ = train_experience._prepare(source, Settings())
    model = Pipeline.parse("regression", FEW[0]).build(data.layout, seed=0, rows=26)
    said = cross_val_predict(model, data.X, data.y, cv=PredefinedSplit(data.folds))
    assert -score == pytest.approx(root_mean_squared_error(data.y, said), rel=1e-9)


def test_what_fails_or_takes_too_long_is_kept_as_a_failure(folder, monkeypatch):
    texts = ["median > ordinal > none > forest(trees=400) > none", FEW[1]]
    monkeypatch.setattr(
        train_experience, "experience_pipelines", lambda task, count=64: [Pipeline.parse(task, t) for t in texts]
    )
    sources = read_sources(folder, tasks=("regression",))[:1]
    with ExperienceStore("sqlite://") as store:
        list(gather(sources, store, Settings(limit_s=0.05)))
        rows = {row.pipeline: row for row in store.experiences()}
        assert math.isnan(rows[str(Pipeline.parse("regression", texts[0]))].score)
        assert list(gather(sources, store, Settings(limit_s=0.05))) == []


def test_no_pair_begins_after_the_time(folder, few):
    with ExperienceStore("sqlite://") as store:
        assert list(gather(read_sources(folder), store, seconds=0.0)) == []


def test_the_lists_are_long_different_and_grow_at_the_end():
    for task in ("classification", "regression"):
        many = experience_pipelines(task, 64)
        assert len({item.key for item in many}) == 64
        assert experience_pipelines(task, 60) == many[:60]
        assert len({item.family for item in many}) >= 6


def test_the_command_fills_a_store_that_advice_can_be_learnt_from(folder, few, tmp_path):
    url = f"sqlite:///{tmp_path / 'e.db'}"
    assert main(["--data", str(folder), "--store", url, "--task", "regression", "--minutes", "5"]) == 0
    X = np.random.default_rng(5).standard_normal((70, 3))
    with ExperienceStore(url) as store:
        assert len(store) == 4
        learnt = fit_meta(store, task="regression")
        assert learnt.meta.names == ("large", "small")
        advice = recommend_pipelines(X, X[:, 0], task="regression", k=1, experience=store)
    assert len(advice.pipelines) == 1


def test_a_folder_without_an_index_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(InputError, match=r"datasets_index\.json is missing"):
        read_sources(tmp_path)
    (tmp_path / "datasets_index.json").write_text('[{"name": "a"}]')
    with pytest.raises(FileFormatError, match="no index of tables"):
        read_sources(tmp_path)


def test_what_the_benchmark_judges_by_is_held_out():
    text = (Path(__file__).parents[2] / "benchmarks" / "bench_automl.py").read_text()
    block = re.search(r"^TABLES = \((.*?)^\)", text, re.DOTALL | re.MULTILINE)
    assert sorted(re.findall(r'"(\w+)"', block[1])) == sorted(HELD_OUT)


@pytest.mark.skipif(not DATA.is_dir(), reason="the pool of tables is not here (set GNNLIB_DATA)")
def test_the_pool_is_read_without_the_families_that_judge():
    sources = read_sources(DATA)
    assert len(sources) > 100
    assert not {source.name for source in sources} & set(HELD_OUT)
    X, y = sources[0].read()
    assert len(X) == len(y) > 0
