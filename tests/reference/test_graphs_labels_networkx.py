"""Algorithmic labels against networkx on random graphs with ties."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from gnnlib.graphs import from_networkx
from gnnlib.graphs.labels import algorithmic_labels


def random_graph(seed: int, *, integral: bool) -> nx.Graph:
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(int(rng.integers(1, 40)), float(rng.choice([0.05, 0.1, 0.3])), seed=seed)
    for edge in graph.edges:
        graph.edges[edge]["weight"] = float(rng.integers(1, 4)) if integral else float(rng.random() + 0.01)
    return graph


def as_graph(graph: nx.Graph):
    import torch

    return from_networkx(graph, edge_attrs=["weight"], dtype=torch.float64)


def pairs_of(tensors, flag) -> set[tuple[int, int]]:
    ends = tensors.edge_index.numpy()[:, flag]
    pairs = set(zip(*np.sort(ends, axis=0).tolist(), strict=True))
    assert 2 * len(pairs) == int(flag.sum())  # both directions have one label
    return pairs


@pytest.mark.parametrize("seed", range(30))
def test_labels_agree_with_networkx(seed):
    graph = random_graph(seed, integral=seed % 2 == 0)
    tensors = as_graph(graph)
    labels = algorithmic_labels(tensors)

    tree = pairs_of(tensors, labels.spanning_tree)
    weights = sum(graph.edges[pair]["weight"] for pair in tree)
    reference = nx.minimum_spanning_tree(graph)
    assert len(tree) == reference.number_of_edges()
    assert weights == pytest.approx(reference.size(weight="weight"), rel=1e-12)

    distances = nx.single_source_dijkstra_path_length(graph, 0)
    assert labels.distance.tolist() == pytest.approx([distances.get(v, np.inf) for v in graph], rel=1e-12)
    paths = nx.Graph(pairs_of(tensors, labels.path_tree))
    paths.add_node(0)
    assert nx.is_tree(paths) and paths.number_of_nodes() == len(distances)
    for node in paths:
        along = nx.path_weight(graph, nx.shortest_path(paths, 0, node), "weight")
        assert along == pytest.approx(distances[node], rel=1e-12)

    assert set(np.flatnonzero(labels.articulation).tolist()) == set(nx.articulation_points(graph))
    assert pairs_of(tensors, labels.bridge) == {tuple(sorted(edge)) for edge in nx.bridges(graph)}
    assert labels.betweenness.tolist() == pytest.approx(
        list(nx.betweenness_centrality(graph, weight="weight").values()), abs=1e-9
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_minimum_one_tree_agrees_with_networkx(seed):
    graph = random_graph(100 + seed, integral=False)
    rest = graph.subgraph(set(graph) - {0})
    expected = nx.minimum_spanning_tree(rest)
    degrees = dict(expected.degree())
    degrees[0] = 0
    for _, neighbour in sorted((graph.edges[0, v]["weight"], v) for v in graph[0])[:2]:
        degrees[0] += 1
        degrees[neighbour] += 1
    found = algorithmic_labels(as_graph(graph), names=["one_tree_degree"]).one_tree_degree
    assert found.tolist() == [degrees[v] for v in range(len(graph))]


def test_sampled_betweenness_comes_near_the_exact_one():
    graph = nx.convert_node_labels_to_integers(nx.grid_2d_graph(12, 12))
    rng = np.random.default_rng(0)
    for edge in graph.edges:
        graph.edges[edge]["weight"] = float(rng.random() + 0.5)
    exact = np.array(list(nx.betweenness_centrality(graph, weight="weight").values()))
    sampled = algorithmic_labels(as_graph(graph), names=["betweenness"], pivots=72).betweenness
    assert np.corrcoef(exact, sampled)[0, 1] > 0.95
    assert abs(sampled.mean() / exact.mean() - 1.0) < 0.05
