"""What holds for every pipeline, fold and table."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.automl.cleaning import TableCleaner
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.metrics import REGRESSION_METRICS, resolve_metric
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.runner_cost import a_priori_seconds
from gnnlib.heads.automl.runner_folds import assign_folds, choose_num_folds
from gnnlib.heads.automl.table import TASKS, MatrixLayout, TableProfile

seeds = st.integers(0, 2**32 - 1)


def profile_of(task, rows, numeric, levels):
    return TableProfile(
        task,
        rows,
        MatrixLayout(numeric, tuple(levels)),
        num_classes=3 if task == "classification" else 0,
        has_missing=rows % 2 == 0,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TASKS),
    st.integers(20, 30_000),
    st.integers(1, 50),
    st.lists(st.integers(2, 900), max_size=3),
    seeds,
)
def test_every_derivation_is_valid_and_survives_its_text(task, rows, numeric, levels, seed):
    profile = profile_of(task, rows, numeric, levels)
    grammar = Grammar(profile)
    rng = np.random.default_rng(seed)
    pipeline = grammar.sample(rng)
    for found in (pipeline, grammar.mutate(pipeline, rng)):
        assert grammar.is_valid(found)
        again = Pipeline.parse(task, str(found))
        assert again == found
        assert again.key == found.key
        assert Pipeline.from_dict(found.to_dict()) == found
        assert grammar.nearest(found) == found
        assert a_priori_seconds(found, profile, rows) > 0


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 300), st.integers(2, 8), st.integers(0, 5), seeds)
def test_folds_are_of_one_size_and_share_every_class(rows, parts, classes, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows) if classes else rng.standard_normal(rows)
    parts = min(parts, rows)
    folds = assign_folds(y, parts, "classification" if classes else "regression", rng)
    sizes = np.bincount(folds, minlength=parts)
    assert np.ptp(sizes) <= 1
    for label in np.unique(y) if classes else []:
        assert np.ptp(np.bincount(folds[y == label], minlength=parts)) <= 1


@given(st.integers(2, 10**6), st.floats(0.0, 1e4), st.floats(1e-4, 1e4))
def test_there_are_never_more_folds_than_rows(rows, seconds, fold_seconds):
    assert 1 <= choose_num_folds(rows, seconds, fold_seconds) <= max(2, rows)


cells = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=4))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_any_table_becomes_a_finite_or_missing_matrix_of_the_layout(columns):
    frame = pd.DataFrame({f"c{i}": pd.Series(column, dtype=object) for i, column in enumerate(columns)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaner = TableCleaner().fit(frame)
    matrix = cleaner.transform(frame)
    assert matrix.shape == (len(frame), cleaner.layout.num_columns)
    assert not np.isinf(matrix).any()
    for place, levels in zip(cleaner.layout.categorical, cleaner.layout.cardinalities, strict=True):
        codes = matrix[:, place]
        present = codes[~np.isnan(codes)]
        assert ((present >= 0) & (present < levels) & (present % 1 == 0)).all()
        assert np.isnan(codes).sum() == frame.iloc[:, cleaner.sources[place]].isna().sum()


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=30))
def test_the_truth_scores_best(pairs):
    y, said = np.array(pairs).T
    for name in REGRESSION_METRICS:
        metric = resolve_metric(name, "regression")
        assert metric.score(y, y) >= metric.score(y, said)
