"""The pipeline language: text, hash, build, grammar."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import Pipeline as SklearnPipeline

from gnnlib.errors import InfeasibleError, InputError, MissingExtraError
from gnnlib.heads.automl import pieces_build
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.pieces import PIECES, SLOTS, piece, pieces_of
from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.heads.automl.table import TASKS, MatrixLayout, TableProfile


def profile_of(task="classification", rows=300, numeric=5, levels=(), **more):
    classes = 3 if task == "classification" else 0
    return TableProfile(task, rows, MatrixLayout(numeric, levels), **{"num_classes": classes, **more})


def test_the_hash_is_that_of_the_sentence_and_differs_between_sentences():
    a = Pipeline("classification", Step("svm", {"C": 3.0}), scale="standard")
    b = Pipeline.parse("classification", "median > ordinal > standard > svm > none")
    assert a == b
    assert a.key == b.key
    assert hash(a) == hash(b)
    assert a.key == "1a647a41c0cab066", "a hash that changes makes every store of experience unreadable"
    assert a.replace(post="sigmoid").key != a.key


def test_only_parameters_that_differ_from_their_defaults_are_written():
    text = str(Pipeline("regression", Step("knn", {"neighbours": 10, "p": 1}), scale="quantile", reduce="pca"))
    assert text == "median > ordinal > quantile + pca > knn(p=1) > none"


def test_a_conditional_parameter_exists_only_beside_its_kernel():
    assert "coef0" not in Pipeline("classification", Step("svm"), scale="standard").estimator.params
    poly = Pipeline("classification", Step("svm", {"kernel": "poly"}), scale="standard")
    assert poly.estimator.params["coef0"] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("median > ordinal > ridge > none", "five pieces"),
        ("median > ordinal > none > unicorn > none", "no estimator piece 'unicorn'"),
        ("median > ordinal > none > ridge(alpha=-1) > none", "alpha must be in"),
        ("median > ordinal > none > ridge(alpha=x) > none", "must be a float"),
        ("median > ordinal > none > ridge(beta=1) > none", "no parameter 'beta'"),
        ("median > ordinal > none > ridge(alpha) > none", "key=value"),
        ("median > ordinal > unicorn > ridge > none", "between encoder and estimator"),
        ("median > ordinal > standard + robust > ridge > none", "two pieces for scale"),
        ("median > ordinal > none > 3ridge > none", "name or name"),
    ],
)
def test_a_text_that_is_no_sentence_is_refused_with_the_reason(text, message):
    with pytest.raises(InputError, match=message):
        Pipeline.parse("regression", text)


def test_an_unknown_task_slot_or_replacement_is_refused():
    with pytest.raises(InputError, match="`task` must be one of"):
        Pipeline("clustering", Step("ridge"))
    with pytest.raises(InputError, match="found color"):
        Pipeline("regression", Step("ridge")).replace(color="red")
    with pytest.raises(InputError, match="`slot` one of"):
        pieces_of("regression", "colour")


def test_names_of_pieces_tell_the_slot():
    for task in TASKS:
        names = [item.name for slot in SLOTS for item in pieces_of(task, slot) if item.name != "none"]
        assert len(names) == len(set(names))


def test_a_pipeline_survives_a_dict():
    pipeline = Pipeline(
        "classification", Step("mlp", {"width": 32}), scale="robust", reduce=Step("kbest", {"keep": 0.3})
    )
    assert Pipeline.from_dict(pipeline.to_dict()) == pipeline
    with pytest.raises(InputError, match="needs `task` and `estimator`"):
        Pipeline.from_dict({"task": "regression"})


def test_masks_forbid_what_makes_no_sense():
    grammar = Grammar(profile_of(rows=20_000, levels=(4,)))
    for impute, encode, scale, reduce, name, _ in grammar.skeletons:
        item = piece("classification", "estimator", name)
        if item.family in {"boosting", "forest"}:
            assert scale == "none"
        if item.needs_scale:
            assert scale != "none"
        if encode == "native":
            assert item.family == "boosting"
            assert reduce == "none"
        if impute == "keep":
            assert item.takes_missing
        assert name != "svm", "20,000 rows are too many for it"


def test_one_hot_encoding_is_left_out_above_a_cardinality():
    rich = Grammar(profile_of(levels=(5_000,)))
    assert "onehot" not in rich.allowed["encode"]
    assert "native" not in rich.allowed["encode"]
    assert "target" in rich.allowed["encode"]
    assert "onehot" in Grammar(profile_of(levels=(12,))).allowed["encode"]


def test_every_option_of_a_derivation_can_be_completed():
    grammar = Grammar(profile_of(levels=(4,), has_missing=True), metric="accuracy")
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = {}
        for slot in SLOTS:
            options = grammar.options(chosen, slot)
            assert options
            chosen[slot] = options[rng.integers(len(options))]
        assert tuple(chosen.values()) in grammar.skeletons
    with pytest.raises(InputError, match="must be chosen"):
        grammar.options({}, "post")
    assert grammar.options({"impute": "unicorn"}, "encode") == ()


def test_people_can_allow_and_forbid_pieces():
    only = Grammar(profile_of(), include=["logistic", "gnb"], exclude=["quantile"])
    assert {names[4] for names in only.skeletons} == {"logistic", "gnb"}
    assert not any("quantile" in names for names in only.skeletons)
    with pytest.raises(InputError, match="unknown piece 'unicorn'"):
        Grammar(profile_of(), include=["unicorn"])
    with pytest.raises(InputError, match="found the string"):
        Grammar(profile_of(), exclude="svm")
    with pytest.raises(InfeasibleError, match="no pipeline is left"):
        Grammar(profile_of(rows=50_000), include=["svm"])


def test_weights_leave_only_estimators_that_use_them():
    names = {names[4] for names in Grammar(profile_of(), is_weighted=True).skeletons}
    assert "knn" not in names
    assert {"hgb", "logistic", "svm"} <= names


def test_a_portfolio_pipeline_is_fitted_to_the_table():
    grammar = Grammar(profile_of())
    wanted = Pipeline.parse("classification", "indicator > onehot > standard > svm(C=30.0) > none")
    assert str(grammar.nearest(wanted)) == "median > ordinal > standard > svm(C=30.0) > none"
    assert Grammar(profile_of(rows=50_000)).nearest(wanted) is None


def test_points_of_the_joint_space_are_pipelines_and_back():
    grammar = Grammar(profile_of("regression", levels=(3,)), exclude=["lightgbm"])
    rng = np.random.default_rng(1)
    for _ in range(30):
        pipeline = grammar.sample(rng)
        point = grammar.to_point(pipeline)
        grammar.space().check(point)
        assert grammar.to_pipeline(point) == pipeline
        assert grammar.is_valid(grammar.mutate(pipeline, rng))
        assert grammar.is_valid(grammar.to_pipeline(grammar.space().sample(rng)))


def test_a_draw_can_be_bound_to_an_estimator():
    grammar = Grammar(profile_of())
    assert grammar.sample(np.random.default_rng(0), estimator="gnb").estimator.name == "gnb"
    with pytest.raises(InputError, match="`estimator` must be one of"):
        grammar.sample(np.random.default_rng(0), estimator="ridge")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(pieces_build, "is_available", lambda package: False)
    with pytest.raises(MissingExtraError, match="lightgbm"):
        Pipeline("regression", Step("lightgbm")).build(MatrixLayout(2))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.filterwarnings("ignore")
def test_every_piece_builds_fits_and_predicts(task):
    rng = np.random.default_rng(0)
    layout = MatrixLayout(5, (3,))
    X = np.column_stack([rng.standard_normal((90, 5)), rng.integers(0, 3, 90)])
    X[rng.random(X.shape) < 0.05] = np.nan
    y = np.nan_to_num(X[:, 0]) + 0.1 * rng.standard_normal(90)
    y = np.digitize(y, [0.0]) if task == "classification" else np.exp(y)
    few = {"trees": 30, "epochs": 20}
    base = Pipeline(task, Step("logistic" if task == "classification" else "ridge"), scale="standard")
    tried = set()
    for item in PIECES:
        if task not in item.tasks or item.name in tried or (item.package and item.name != "lightgbm"):
            continue
        tried.add(item.name)
        given = {name: value for name, value in few.items() if name in item.parameters}
        pipeline = base.replace(**{item.slot: Step(item.name, given)})
        if item.slot == "impute" and item.name == "keep":
            pipeline = pipeline.replace(estimator=Step("tree"), scale="none")
        if item.name == "native":
            pipeline = pipeline.replace(estimator=Step("hgb", {"trees": 30}), scale="none", impute="keep")
        model = pipeline.build(layout, seed=0, rows=90)
        assert isinstance(model, SklearnPipeline)
        assert np.isfinite(model.fit(X, y).predict(X)).all(), item.name
