"""A complete head in about sixty lines: the way that CONTRIBUTING describes, walked to its end.

The task: which edges of a neighbourhood graph belong to the minimum spanning tree of its points?
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor, nn

from gnnlib.encoder import Encoder, GraphModel, Head, Output, seeded_parameters
from gnnlib.graphs import GraphSpec, knn_graph, mean_neighbour_distance, radial_basis
from gnnlib.seeding import numpy_generator
from gnnlib.stop import MaxIterations
from gnnlib.testing import check_encoder, check_head
from gnnlib.training import FitConfig, fit

SPEC = GraphSpec("spanning_tree", node_dim=0, edge_dim=8)
WIDTH = 16


def make_graph(seed, num_points=24):
    """The graph of one instance: nothing but distances, in units of their mean."""
    from torch_geometric.data import Data

    points = numpy_generator(seed).random((num_points, 2))
    edges = knn_graph(points, 6)
    length = np.linalg.norm(points[edges[0]] - points[edges[1]], axis=1)
    tree = minimum_spanning_tree(coo_array((length, (edges[0], edges[1])), shape=(num_points, num_points))).toarray()
    edge_index = torch.from_numpy(edges)
    features = radial_basis(torch.from_numpy(length) / mean_neighbour_distance(edge_index, length), SPEC.edge_dim)
    return Data(
        x=torch.zeros(num_points, 0),
        edge_index=edge_index,
        edge_attr=features.float(),
        in_tree=torch.from_numpy((tree + tree.T)[edges[0], edges[1]] > 0).float(),
    )


@dataclass
class TreeScores(Output):
    logit: Tensor


class TreeHead(Head):
    spec = SPEC

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, embedding, graph):
        return TreeScores(self.read(embedding.edge).squeeze(-1))

    def losses(self, output, graph):
        return {"edge": nn.functional.binary_cross_entropy_with_logits(output.logit, graph.in_tree)}

    def metrics(self, output, graph):
        return {"accuracy": ((output.logit > 0) == (graph.in_tree > 0)).float().mean()}


def make_model():
    with seeded_parameters(0):
        return GraphModel(Encoder([SPEC], width=WIDTH, depth=2, seed=0), TreeHead(WIDTH))


CONFIG = FitConfig(epochs=12, batch_size=4, learning_rate=1e-2, monitor="accuracy", mode="max")


@pytest.fixture(scope="module")
def graphs():
    return [make_graph(seed) for seed in range(60)]


@pytest.fixture(scope="module")
def trained(graphs):
    model = make_model()
    return model, fit(model, graphs[:44], val=graphs[44:], config=CONFIG)


def test_the_head_keeps_the_public_contracts(graphs):
    check_encoder(Encoder([SPEC], width=WIDTH, depth=2), [SPEC])
    done = check_head(make_model, graphs[:2])
    assert all(done.values())


def test_the_head_learns(trained, graphs):
    result = trained[1]
    always_no = 1 - float(torch.cat([graph.in_tree for graph in graphs[44:]]).mean())
    assert result.history[-1]["train/edge"] < 0.6 * result.history[0]["train/edge"]
    assert result.best["val/accuracy"] > always_no + 0.4 * (1 - always_no)
    assert result.best["val/accuracy"] == max(row["val/accuracy"] for row in result.history)


def test_the_trained_head_is_saved_and_loaded_whole(trained, graphs, tmp_path):
    model = trained[0]
    model.save(tmp_path / "tree")
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    again = GraphModel.load(tmp_path / "tree").eval()
    named = GraphModel.load(tmp_path / "tree", head=TreeHead(WIDTH)).eval()
    with torch.no_grad():
        for graph in graphs[44:48]:
            assert torch.equal(again(graph).logit, model(graph).logit)
            assert torch.equal(named(graph).logit, model(graph).logit)


def test_on_a_larger_graph_the_scores_tell_more_than_the_lengths(trained):
    graph = make_graph(seed=1000, num_points=120)
    with torch.no_grad():
        logit = trained[0](graph).logit
    count = int(graph.in_tree.sum())
    shortest = graph.in_tree[graph.edge_attr[:, 0].topk(count).indices].mean()  # the first basis falls with the length
    assert float(graph.in_tree[logit.topk(count).indices].mean()) > float(shortest) + 0.05


def test_a_cut_run_goes_on_to_the_same_weights(graphs, tmp_path):
    config, data = replace(CONFIG, epochs=2), graphs[:20]
    whole, cut = make_model(), make_model()
    fit(whole, data, config=config)
    fit(make_model(), data, config=config, checkpoint=tmp_path / "run", stop=MaxIterations(4))
    fit(cut, data, config=config, checkpoint=tmp_path / "run", resume=True)
    for ours, theirs in zip(cut.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
