"""The graph of data sets and pipelines: what is connected, and that the network learns from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.errors import InputError
from gnnlib.heads.automl.graph import (
    DATASET_SPEC,
    LIKE,
    RESULT_TO_DATASET,
    RESULT_TO_PIPELINE,
    dataset_graph,
    like_edges,
)
from gnnlib.heads.automl.head import RegretHead
from gnnlib.heads.automl.train_dataset_graph import GraphRecommender, GraphSettings


def world(count=40, seed=0):
    """The sign of the first feature decides which half of the pipelines works."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(-1, 1, (count, 3))
    kind = (features[:, :1] > 0).astype(float)
    half = (np.arange(6) < 3).astype(float)[None]
    regret = np.clip(np.abs(kind - half) * 0.8 + 0.05 * rng.standard_normal((count, 6)) + 0.1, 0, 1)
    return features, regret, [f"family{i // 2}" for i in range(count)]


def test_new_data_sets_receive_and_never_send():
    features, regret, _ = world(12)
    known = np.arange(12) < 9
    results = np.where(known[:, None], regret, np.nan)
    results[10, 2] = 0.4
    graph = dataset_graph(features, np.eye(6), results, known=known, neighbours=4)
    sender, receiver = graph.edge_index.numpy()
    kind = graph.edge_type.numpy()
    assert (sender[kind == LIKE] < 9).all()
    assert (np.bincount(receiver[kind == LIKE], minlength=12) == 4).all()
    assert (sender[kind == RESULT_TO_PIPELINE] < 9).all()
    assert ((sender[kind == RESULT_TO_DATASET] == 12 + 2) & (receiver[kind == RESULT_TO_DATASET] == 10)).sum() == 1
    assert (kind == RESULT_TO_PIPELINE).sum() == 9 * 6


def test_likeness_falls_with_distance_and_links_the_nearest():
    points = np.array([[0.0], [0.1], [1.0], [5.0]])
    edges, likeness = like_edges(points, np.ones(4, bool), 1)
    assert edges.T.tolist() == [[1, 0], [0, 1], [1, 2], [2, 3]]
    assert likeness[0] > likeness[2] > likeness[3] > 0


def test_another_new_data_set_changes_nothing():
    features, regret, _ = world(10)
    model = GraphModel(Encoder([DATASET_SPEC], width=16, depth=2), RegretHead(16)).eval()

    def table(new):
        rows = np.vstack([features, new])
        known = np.arange(len(rows)) < 10
        results = np.vstack([regret, np.full((len(new), 6), np.nan)])
        with torch.no_grad():
            return model(dataset_graph(rows, np.eye(6), results, known=known)).mean.numpy()[10:]

    alone = table(np.array([[0.3, 0.1, -0.2]]))
    together = table(np.array([[0.3, 0.1, -0.2], [-0.9, 0.4, 0.8]]))
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_the_network_learns_what_decides():
    features, regret, families = world()
    model = GraphRecommender(GraphSettings(width=16, depth=2, steps=150, edges=4))
    model.fit(features[:32], regret[:32], families[:32], seed=0)
    guess = model.predict(features[32:])
    base = regret[:32].mean(axis=0)
    assert ((guess - regret[32:]) ** 2).mean() < 0.5 * ((base - regret[32:]) ** 2).mean()
    again = GraphRecommender(GraphSettings(width=16, depth=2, steps=150, edges=4))
    again.fit(features[:32], regret[:32], families[:32], seed=0)
    np.testing.assert_array_equal(again.predict(features[32:]), guess)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="needs features"):
        dataset_graph(np.eye(2), np.eye(3), np.zeros((2, 2)), known=np.ones(2, bool))
    with pytest.raises(InputError, match="at most 96"):
        dataset_graph(np.zeros((2, 99)), np.eye(2), np.zeros((2, 2)), known=np.ones(2, bool))
    graph = dataset_graph(np.eye(2), np.eye(2), np.zeros((2, 2)), known=np.ones(2, bool))
    model = GraphModel(Encoder([DATASET_SPEC], width=16, depth=1), RegretHead(16))
    with pytest.raises(InputError, match="target"):
        model.losses(model(graph), graph)
