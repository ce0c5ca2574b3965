"""The tree search inside AutoClassifier and AutoRegressor."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.encoder import list_weights
from gnnlib.errors import InputError
from gnnlib.heads.automl.estimators import AutoClassifier, AutoRegressor
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.heads.automl.synthesis import NETWORK, synthesise_pipelines, table_features
from gnnlib.stop import MaxTrials

needs_weights = pytest.mark.skipif(NETWORK not in list_weights(), reason=f"the weights {NETWORK} are not there")


def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 4))
    return x, x[:, 0] + 0.2 * rng.standard_normal(90)


@needs_weights
def test_a_classifier_can_search_by_synthesis_and_shows_its_tree():
    x, y = data()
    params = AutoMLParams(
        strategy="synthesis", start=("median > ordinal > none > tree > none",), include=("tree", "gnb")
    )
    fits = [AutoClassifier(stop=MaxTrials(5), params=params).fit(x, y > 0) for _ in range(2)]
    trials = [[(trial.pipeline, trial.why) for trial in fit.result_.trials] for fit in fits]
    assert trials[0] == trials[1]
    assert [why for _, why in trials[0]] == ["given", *["synthesis"] * 4]
    told = fits[0].explain()
    assert {trial.pipeline for trial in fits[0].result_.trials} <= {node.pipeline for node in told.tree}
    assert "search tree" in told.summary()
    assert told.plot().get_xlabel() == "edits"


def test_a_regressor_searches_without_network():
    x, y = data()
    params = AutoMLParams(
        strategy="synthesis", start=("median > ordinal > standard > ridge > none",), include=("ridge",)
    )
    fit = AutoRegressor(stop=MaxTrials(4), params=params).fit(x, y)
    assert [trial.why for trial in fit.result_.trials] == ["given", *["synthesis"] * 3]
    assert len(fit.explain().tree) >= 4


def test_other_strategies_have_no_tree():
    x, y = data()
    told = AutoRegressor(stop=MaxTrials(1), params=AutoMLParams(include=("ridge",))).fit(x, y).explain()
    assert told.tree == ()
    with pytest.raises(InputError, match="no search tree"):
        told.plot()


@needs_weights
def test_the_shipped_network_plans_for_a_table():
    from gnnlib.heads.automl.grammar import Grammar
    from gnnlib.heads.automl.table import MatrixLayout, TableProfile

    x, y = data()
    table = table_features(x, y > 0, description="noise")
    grammar = Grammar(TableProfile("classification", 90, MatrixLayout(4), num_classes=2), include=("tree", "knn"))
    found = synthesise_pipelines(
        lambda pipeline: pipeline.estimator.params.get("neighbours", 0), grammar, table=table, stop=MaxTrials(8)
    )
    assert found.use_network
    assert found.pipeline.estimator.name == "knn"
