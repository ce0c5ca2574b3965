"""The static portfolio: greedy, diverse, readable, derived."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.portfolio import _derive, _shipped, greedy_portfolio, static_portfolio
from gnnlib.heads.automl.portfolio_oboe import normalised_regret, read_oboe, translate

DATA = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
OBOE = DATA / "automl" / "meta" / "oboe"
needs_oboe = pytest.mark.skipif(not OBOE.is_dir(), reason="Oboe's tables are not here (set GNNLIB_DATA)")


def test_greedy_lists_are_within_the_bound_of_the_best_list():
    rng = np.random.default_rng(0)
    for _ in range(10):
        table = rng.random((12, 8))
        gain = [1.0 - table[:, list(c)].min(axis=1).mean() for c in itertools.combinations(range(8), 3)]
        chosen = greedy_portfolio(table, size=3)
        assert len(set(chosen)) == 3
        assert 1.0 - table[:, chosen].min(axis=1).mean() >= (1 - 1 / np.e) * max(gain)


def test_a_copy_of_a_chosen_column_is_not_useful():
    rng = np.random.default_rng(1)
    table = rng.random((30, 3))
    table = np.c_[table, table[:, 0]]
    first = greedy_portfolio(table, size=3)
    assert not {0, 3} <= set(first)


def test_missing_results_count_as_the_worst():
    table = np.array([[np.nan, 0.5], [np.nan, 0.5], [0.0, 0.5]])
    assert greedy_portfolio(table, size=1) == [1]


def test_weights_move_the_choice():
    table = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert greedy_portfolio(table, size=1, weights=[1, 9]) == [1]


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        ([1.0], {"size": 1}, "must be"),
        ([[1.0]], {"size": 2}, "size"),
        ([[1.0]], {"size": 1, "weights": [1, 2]}, "weights"),
    ],
)
def test_wrong_tables_are_refused(table, more, message):
    with pytest.raises(InputError, match=message):
        greedy_portfolio(table, **more)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_shipped_pipelines_are_read_and_different(task):
    pipelines = static_portfolio(task)
    assert len({p.key for p in pipelines}) == len(pipelines) >= 10
    assert all(Pipeline.parse(task, str(p)) == p for p in pipelines)
    # trees, kernels, neighbours, linear models and networks come early
    assert len({p.family for p in pipelines[:10]}) >= 5
    assert static_portfolio(task, size=4) == pipelines[:4]


def test_unknown_tasks_are_refused():
    with pytest.raises(InputError, match="task"):
        static_portfolio("clustering")
    with pytest.raises(InputError, match="size"):
        static_portfolio("regression", size=0)


def test_regret_is_relative_to_best_and_worst():
    regret = normalised_regret(np.array([[0.2, 0.4, np.nan, 0.3], [0.1, 0.1, 0.1, 0.1]]))
    np.testing.assert_allclose(regret[0], [0, 1, np.nan, 0.5])
    np.testing.assert_allclose(regret[1], 0)


@needs_oboe
def test_most_configurations_have_a_translation():
    table = read_oboe(OBOE)
    pipelines = [translate(c) for c in table.configurations]
    assert sum(p is not None for p in pipelines) > 120
    assert {c["algorithm"] for c, p in zip(table.configurations, pipelines, strict=True) if p is None} >= {"AB", "lSVM"}
    assert not np.isnan(table.errors).any()
    for family in set(table.families):
        assert len({f for f, n in zip(table.folds, table.families, strict=True) if n == family}) == 1


@needs_oboe
def test_the_shipped_list_is_what_the_command_makes():
    made = _derive(str(OBOE), 24)
    assert [entry["pipeline"] for entry in made["classification"]] == _shipped()["classification"]


@needs_oboe
def test_a_folder_without_the_tables_is_named(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        read_oboe(tmp_path)
