"""Advice for tables: complementary, explained, and safe for odd input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.automl.decode import Recommender
from gnnlib.heads.automl.experience import Experience, ExperienceStore
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.portfolio import static_portfolio
from gnnlib.heads.automl.recommend import fit_meta, recommend_pipelines
from gnnlib.heads.automl.recommend_data import FEATURES, FeatureScale, MetaData

SVM, TREES, NEAR = (str(p) for p in static_portfolio("classification", size=3))


def planted(count=60, seed=0):
    """Small tables like the first pipeline, large ones the second; the third is second best everywhere."""
    rng = np.random.default_rng(seed)
    features = np.full((count, len(FEATURES)), np.nan)
    features[:, 0] = rng.uniform(10, 1000, count)
    small = (features[:, 0] < 500)[:, None]
    regret = np.where(small, [[0.0, 1.0, 0.4]], [[1.0, 0.0, 0.4]])
    names = tuple(f"set{i}" for i in range(count))
    return MetaData(names, names, (SVM, TREES, NEAR), regret, features, np.zeros((count, 0)))


def table(rows=120, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns))
    return x, np.where(x[:, 0] + 0.3 * rng.standard_normal(rows) > 0, "yes", "no")


def row_of(rows):
    features = np.full(len(FEATURES), np.nan)
    features[0] = rows
    return features


@pytest.fixture(scope="module")
def model():
    return Recommender().fit(planted())


def test_the_features_decide_the_first_pipeline(model):
    assert model.next(model.query(row_of(100.0))) == 0
    assert model.next(model.query(row_of(900.0))) == 1


def test_weights_are_shares_and_lie_on_data_sets_alike(model):
    query = model.query(row_of(120.0))
    assert query.weights.sum() == pytest.approx(1.0)
    assert (query.weights >= 0).all()
    alike = model.meta.features[:, 0] < 500
    assert query.weights[alike].sum() > 0.9


def test_results_change_the_advice():
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 3
    regret = rng.uniform(0.58, 0.62, (60, 6))
    # One of the first three columns is the better one: it tells which of the last three is the best.
    regret[np.arange(60), kind] = 0.3
    regret[np.arange(60), 3 + kind] = 0.0
    names = tuple(f"set{i}" for i in range(60))
    pipelines = tuple(f"p{i}" for i in range(6))
    meta = MetaData(names, names, pipelines, regret, np.full((60, len(FEATURES)), np.nan), np.zeros((60, 0)))
    fitted = Recommender().fit(meta)
    query = fitted.query(np.full(len(FEATURES), np.nan))
    for best in range(3):
        assert fitted.next(query, {c: 0.3 if c == best else 0.6 for c in range(3)}) == 3 + best


def test_sets_complement_each_other(model):
    chosen = model.choose(model.query(row_of(300.0)), 2)
    assert chosen == [0, 1]
    assert sorted(model.choose(model.query(row_of(499.0)), 9)) == [0, 1, 2]


def test_only_allowed_pipelines_are_named(model):
    allowed = np.array([False, True, True])
    assert 0 not in model.choose(model.query(row_of(100.0)), 3, allowed=allowed)
    with pytest.raises(InputError, match="every pipeline"):
        model.next(model.query(row_of(100.0)), {1: 0.1, 2: 0.1}, allowed=allowed)


def test_a_stored_recommender_answers_alike(model, tmp_path):
    model.save(tmp_path / "model.npz")
    again = Recommender.load(tmp_path / "model.npz")
    for rows in (50.0, 480.0, 950.0):
        np.testing.assert_allclose(again.query(row_of(rows)).weights, model.query(row_of(rows)).weights, atol=0.02)


def test_a_damaged_recommender_is_named(tmp_path):
    (tmp_path / "model.npz").write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match=r"model\.npz"):
        Recommender.load(tmp_path / "model.npz")


def test_forests_weigh_like_scikit_learn_predicts():
    ensemble = pytest.importorskip("sklearn.ensemble")
    from gnnlib.heads.automl.dataset_graph_forest import SimilarityForest
    from gnnlib.seeding import spawn_seeds

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 5)).astype(np.float32), rng.random((50, 6))
    forest = SimilarityForest.fit(x, y, trees=20, seed=3)
    centred = y - y.mean(axis=0)
    outer, singular, right = np.linalg.svd(centred, full_matrices=False)
    theirs = ensemble.ExtraTreesRegressor(20, min_samples_leaf=2, max_features=0.5, random_state=spawn_seeds(3, 1)[0])
    theirs.fit(x, outer * singular)
    new = rng.standard_normal((7, 5)).astype(np.float32)
    np.testing.assert_allclose(forest.weights(new) @ y, y.mean(axis=0) + theirs.predict(new) @ right, atol=1e-8)


def test_scales_are_ranks_and_unknown_values_the_middle():
    rows = np.array([[1.0, 5.0], [2.0, 5.0], [np.nan, 5.0], [4.0, 5.0], [8.0, 7.0]])
    scaled = FeatureScale.fit(rows).transform(rows)
    assert scaled[2, 0] == 0.0
    assert (np.diff(scaled[[0, 1, 3, 4], 0]) > 0).all()
    assert np.abs(scaled).max() <= 1.0
    assert FeatureScale.fit(rows).transform(np.array([[1e9, -1e9]])).tolist() == [[1.0, -1.0]]


def test_advice_is_readable_and_explained():
    x, y = table()
    advice = recommend_pipelines(x, y, k=4, description="measurements of plants")
    assert advice.task == "classification"
    assert len({p.pipeline for p in advice.pipelines}) == 4
    for entry in advice.pipelines:
        assert str(Pipeline.parse("classification", entry.pipeline)) == entry.pipeline
    assert len(advice.neighbours) == 5
    json.dumps(advice.to_dict())
    assert len(advice.moved) == 4
    assert all(0 <= regret <= 1 for regret in advice.moved.values())
    silent = recommend_pipelines(x, y, k=4)
    if silent.pipelines[0] == advice.pipelines[0]:
        assert silent.moved["all meta-features"] == advice.moved["all meta-features"]
    assert "nearest" in advice.summary()
    assert recommend_pipelines(x, y, k=4, description="measurements of plants").pipelines == advice.pipelines


@pytest.mark.parametrize(
    "description", [None, "", "word " * 100_000, "Kundendaten einer Bank in Österreich", "客户数据", "123 !!! %%%"]
)
def test_any_description_is_safe(description):
    x, y = table()
    assert len(recommend_pipelines(x, y, k=3, description=description).pipelines) == 3


def test_a_table_unlike_any_gets_the_static_portfolio(model):
    x, y = table()
    advice = recommend_pipelines(x, y, k=2, experience=model)
    # The planted data sets know nothing but a number of rows.
    assert advice.source == "portfolio"
    assert [p.pipeline for p in advice.pipelines] == [SVM, TREES]
    assert "unlike" in advice.reason


def test_regression_gets_its_own_portfolio():
    rng = np.random.default_rng(0)
    advice = recommend_pipelines(rng.random((80, 3)), rng.random(80), k=3)
    assert advice.task == "regression"
    assert [p.pipeline for p in advice.pipelines] == [str(p) for p in static_portfolio("regression", size=3)]


def fill(store, sets=12, pipelines=(SVM, TREES)):
    for number in range(sets):
        x, y = table(rows=60 + 10 * number, seed=number)
        from gnnlib.heads.automl.metafeatures import compute_metafeatures

        profile = {k: v for k, v in compute_metafeatures(x, y).items() if np.isfinite(v)}
        store.add(
            Experience(f"set{number}", "classification", text, "balanced_accuracy", 0.9 - 0.2 * place, 1.0, profile)
            for place, text in enumerate(pipelines)
        )


def test_own_experience_is_learnt():
    with ExperienceStore("sqlite://") as store:
        fill(store, pipelines=(NEAR, SVM, TREES))
        learnt = fit_meta(store)
        x, y = table(rows=100, seed=99)
        advice = recommend_pipelines(x, y, k=1, experience=learnt)
        assert advice.source == "experience"
        assert advice.pipelines[0].pipeline == NEAR
        known = recommend_pipelines(*table(rows=80, seed=2), k=1, experience=learnt)
        assert known.neighbours[0].name.startswith("set")


def test_an_empty_store_falls_back_with_a_warning():
    x, y = table()
    with ExperienceStore("sqlite://") as store:
        with pytest.warns(UserWarning, match="not used"):
            advice = recommend_pipelines(x, y, k=2, experience=store)
        assert len(advice.pipelines) == 2
        with pytest.raises(InputError, match="no data set"):
            fit_meta(store)


def test_a_store_with_one_data_set_answers():
    x, y = table()
    with ExperienceStore("sqlite://") as store:
        fill(store, sets=1)
        learnt = fit_meta(store)
        assert len(learnt.meta) == 1
        assert len(recommend_pipelines(x, y, k=2, experience=learnt).pipelines) == 2


def test_unknown_pipelines_of_a_store_are_left_out():
    with ExperienceStore("sqlite://") as store:
        fill(store, sets=3, pipelines=(SVM, TREES, "warp > drive > none > engine > none"))
        with pytest.warns(UserWarning, match="unknown and left out"):
            assert len(fit_meta(store).meta.pipelines) == 2
    with ExperienceStore("sqlite://") as store:
        fill(store, sets=3, pipelines=("warp", "drive"))
        with pytest.raises(InputError, match="does not know"):
            fit_meta(store)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"k": 0}, "`k`"),
        ({"k": 2.5}, "`k`"),
        ({"description": 3}, "description"),
        ({"experience": "here"}, "experience"),
        ({"task": "clustering"}, "task"),
    ],
)
def test_wrong_arguments_are_refused(more, message):
    x, y = table()
    with pytest.raises(InputError, match=message):
        recommend_pipelines(x, y, **more)


@pytest.mark.parametrize(
    ("x", "y"), [(np.zeros((0, 2)), []), (np.zeros((3, 0)), [1, 2, 3]), (np.zeros((3, 1)), [1, 2])]
)
def test_tables_without_content_are_refused(x, y):
    with pytest.raises(InputError):
        recommend_pipelines(x, y)


def test_the_map_is_drawn():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    x, y = table()
    axes = recommend_pipelines(x, y).plot()
    assert axes.get_legend() is not None
    with pytest.raises(InputError, match="no map"):
        recommend_pipelines(x, x[:, 0]).plot()
