"""Algorithmic labels: definitions by brute force, degenerate graphs, refused input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.graphs import from_arrays, knn_graph
from gnnlib.graphs.labels import LABELS, algorithmic_labels


def geometric(count: int, seed: int = 0, dimensions: int = 2):
    points = np.random.default_rng(seed).random((count, dimensions))
    edges = knn_graph(points, min(8, count - 1), symmetric=True)
    length = np.linalg.norm(points[edges[0]] - points[edges[1]], axis=1)
    return from_arrays(edges, edge_attr=length, num_nodes=count, dtype=torch.float64), points


def brute_force(edges, points):
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    relative, gabriel = [], []
    for u, v in edges.T:
        others = np.setdiff1d(np.arange(len(points)), [u, v])
        relative.append(not (np.maximum(apart[u, others], apart[v, others]) < apart[u, v]).any())
        gabriel.append(not (apart[u, others] ** 2 + apart[v, others] ** 2 < apart[u, v] ** 2).any())
    return relative, gabriel


@pytest.mark.parametrize("dimensions", [2, 3])
def test_neighbour_graphs_of_points_hold_no_third_point(dimensions):
    graph, points = geometric(60, 1, dimensions)
    labels = algorithmic_labels(graph, names=["relative_neighbour", "gabriel"], points=points)
    relative, gabriel = brute_force(graph.edge_index.numpy(), points)
    assert labels.relative_neighbour.tolist() == relative
    assert labels.gabriel.tolist() == gabriel
    assert labels.spanning_tree is None and set(labels.to_dict()) == {"relative_neighbour", "gabriel"}


def test_neighbour_graphs_by_weights_of_a_complete_graph_are_those_of_its_points():
    points = np.random.default_rng(2).random((25, 2))
    tail, head = np.nonzero(~np.eye(25, dtype=bool))
    graph = from_arrays(
        [tail, head], edge_attr=np.linalg.norm(points[tail] - points[head], axis=1), num_nodes=25, dtype=torch.float64
    )
    by_weight = algorithmic_labels(graph, names=["relative_neighbour", "gabriel"])
    by_place = algorithmic_labels(graph, names=["relative_neighbour", "gabriel"], points=points)
    assert by_weight.relative_neighbour.tolist() == by_place.relative_neighbour.tolist()
    assert by_weight.gabriel.tolist() == by_place.gabriel.tolist()


def test_the_neighbour_graphs_nest_and_hold_the_spanning_tree():
    graph, points = geometric(200, 3)
    labels = algorithmic_labels(graph, points=points)
    assert not (labels.spanning_tree & ~labels.relative_neighbour).any()
    assert not (labels.relative_neighbour & ~labels.gabriel).any()
    assert 0 < labels.relative_neighbour.sum() < labels.gabriel.sum() < graph.num_edges


def test_ranks_count_the_nearer_senders():
    graph, _ = geometric(30, 4)
    weights, ends = graph.edge_attr[:, 0].numpy(), graph.edge_index.numpy()
    ranks = algorithmic_labels(graph, names=["neighbour_rank"]).neighbour_rank
    for arc in range(graph.num_edges):
        rivals = weights[ends[1] == ends[1, arc]]
        assert ranks[arc] == (rivals < weights[arc]).sum()


def test_buckets_are_quantiles_of_the_betweenness():
    graph, _ = geometric(80, 5)
    labels = algorithmic_labels(graph, names=["betweenness"], buckets=4)
    assert labels.betweenness_bucket.max() == 3
    order = np.argsort(labels.betweenness)
    assert (np.diff(labels.betweenness_bucket[order]) >= 0).all()


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_graphs_without_edges_have_empty_or_trivial_labels(nodes):
    graph = from_arrays(np.zeros((2, 0), np.int64), edge_attr=np.zeros((0, 1)), num_nodes=nodes)
    labels = algorithmic_labels(graph)
    for name, array in labels.to_dict().items():
        rows = nodes if name in {"distance", "articulation", "one_tree_degree"} or "between" in name else 0
        assert len(array) == rows, name
    if nodes:
        assert labels.distance.tolist() == [0.0] + [np.inf] * (nodes - 1)


def test_loops_count_for_nothing_and_the_lightest_of_parallel_edges_for_all():
    graph = from_arrays([[0, 0, 1, 1], [0, 1, 0, 2]], edge_attr=[9.0, 5.0, 2.0, 1.0], num_nodes=3, dtype=torch.float64)
    labels = algorithmic_labels(graph)
    assert labels.spanning_tree.tolist() == [False, True, True, True]
    assert labels.distance.tolist() == [0.0, 2.0, 3.0]


def test_zero_weights_are_edges():
    graph = from_arrays([[0, 1, 0], [1, 2, 2]], edge_attr=[0.0, 0.0, 1.0], num_nodes=3)
    labels = algorithmic_labels(graph, names=["spanning_tree", "distance"])
    assert labels.spanning_tree.tolist() == [True, True, False]
    assert labels.distance.tolist() == [0.0, 0.0, 0.0]


def test_negative_weights_have_trees_but_no_distances():
    graph = from_arrays([[0, 1, 0], [1, 2, 2]], edge_attr=[-1.0, -5.0, 0.0], num_nodes=3)
    assert algorithmic_labels(graph, names=["spanning_tree"]).spanning_tree.tolist() == [True, True, False]
    with pytest.raises(InputError, match="weights >= 0"):
        algorithmic_labels(graph, names=["distance"])


def test_renumbering_the_nodes_renumbers_the_labels():
    graph, points = geometric(50, 6)
    order = np.random.default_rng(0).permutation(50)
    moved = from_arrays(order[graph.edge_index.numpy()], edge_attr=graph.edge_attr, num_nodes=50, dtype=torch.float64)
    places = np.empty_like(points)
    places[order] = points
    labels = algorithmic_labels(graph, points=points, root=0).to_dict()
    others = algorithmic_labels(moved, points=places, root=int(order[0])).to_dict()
    for name, array in labels.items():
        other = others[name][order] if len(array) == 50 else others[name]
        assert np.allclose(array, other), name


def test_what_does_not_fit_is_refused():
    graph, points = geometric(10)
    for wrong, message in (
        ({"names": ["tree"]}, "must be among"),
        ({"root": 10}, "`root`"),
        ({"weight": 1}, "columns of `edge_attr`"),
        ({"weight": np.ones(3)}, "one for each"),
        ({"weight": np.full(graph.num_edges, np.nan)}, "finite"),
        ({"points": points[:5]}, "`points`"),
        ({"buckets": 0}, "`buckets`"),
    ):
        with pytest.raises(InputError, match=message):
            algorithmic_labels(graph, **wrong)
    assert set(LABELS) <= set(algorithmic_labels(graph).to_dict())
