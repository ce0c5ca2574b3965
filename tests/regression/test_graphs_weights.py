"""What the shipped weights of trees and paths promise, on fresh graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from gnnlib.encoder import read_card
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.games.random_graphs import FAMILIES, random_graph
from gnnlib.heads.combinatorial.mst.api import spanning_tree
from gnnlib.heads.combinatorial.mst.plotting import plot_search_tree
from gnnlib.heads.combinatorial.paths.api import shortest_path
from gnnlib.heads.combinatorial.paths.baselines import find_path, find_path_both_ways
from gnnlib.heads.combinatorial.paths.decode import prepare_paths
from gnnlib.heads.combinatorial.paths.plotting import plot_expanded


@pytest.fixture(scope="module")
def road():
    return random_graph("geometric", 700, seed=42)


@pytest.fixture(scope="module")
def index(road):
    return prepare_paths(road)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("nodes", [100, 3000])
def test_learned_spanning_trees_are_next_to_minimal_at_any_size(family, nodes):
    result = spanning_tree(random_graph(family, nodes, seed=31), method="learned")
    assert 1.0 <= result.ratio <= 1.0005


def test_learned_trees_of_graphs_with_negative_zero_and_equal_weights_are_spanning_trees():
    graph = nx.MultiGraph(nx.gnp_random_graph(40, 0.2, seed=0))
    rng = np.random.default_rng(0)
    for _, _, attributes in graph.edges(data=True):
        attributes["weight"] = float(rng.integers(-2, 3))
    graph.add_edge(3, 3, weight=-50.0)
    for method in ("learned", "mcts"):
        result = spanning_tree(graph, method=method, simulations=4)
        assert len(result.edges) == graph.number_of_nodes() - nx.number_connected_components(graph)
        assert result.weight <= nx.maximum_spanning_tree(nx.Graph(graph)).size(weight="weight")


def test_the_tree_search_can_be_drawn():
    result = spanning_tree(random_graph("grid", 16, seed=1), method="mcts", simulations=20)
    assert result.search.root_visits.sum() == 20 and result.simulations == 20
    assert plot_search_tree(result.search).get_ylabel() == "moves ahead"
    result.plot()
    with pytest.raises(InputError, match="`root`"):
        plot_search_tree(result.search, root=3)


def test_astar_is_exact_and_opens_few_nodes(road, index):
    rng = np.random.default_rng(1)
    opened = plain = 0
    for _ in range(60):
        source, target = rng.choice(road.num_nodes, 2, replace=False).tolist()
        guided = shortest_path(road, source, target, method="astar", index=index)
        exact = find_path(road, source, target)
        assert guided.is_exact and guided.length == pytest.approx(exact.length, rel=1e-12)
        opened, plain = opened + guided.expanded, plain + exact.expanded
    assert opened < 0.15 * plain


def test_predicted_distances_are_near_and_lead_along_good_paths(road, index):
    rng = np.random.default_rng(2)
    errors, ratios = [], []
    for source in rng.choice(road.num_nodes, 5, replace=False).tolist():
        exact = shortest_path(road, source).distances
        predicted = shortest_path(road, source, method="learned", index=index)
        assert not predicted.is_exact and predicted.distances[source] == 0.0
        errors.append(np.abs(predicted.distances - exact)[exact > 0] / exact[exact > 0])
        for target in rng.choice(road.num_nodes, 5).tolist():
            path = shortest_path(road, source, target, method="learned", index=index)
            ratios.append(path.length / exact[target] if target != source else 1.0)
    assert np.mean(np.concatenate(errors)) < 0.03
    assert min(ratios) > 1 - 1e-9 and np.mean(ratios) < 1.03
    with pytest.raises(InputError, match="predicted distances have no paths"):
        predicted.path_to(0)


def test_an_index_is_for_its_own_graph(road, index):
    other = random_graph("geometric", 700, seed=43)
    with pytest.raises(InputError, match="another graph"):
        shortest_path(other, 0, 1, method="astar", index=index)
    assert index.memory == road.num_nodes * len(index.landmarks) * 2 <= 2**17


def test_small_graphs_get_more_landmarks_than_large_ones(road, index):
    assert len(index.landmarks) == 2**17 // (4 * 700) == 46
    assert len(prepare_paths(road, count=5, adapt=False).landmarks) == 5
    assert len(prepare_paths(random_graph("grid", 1500, seed=1), placement="farthest", adapt=False).landmarks) == 32
    tiny = prepare_paths(nx.path_graph(6), adapt=False)
    assert sorted(tiny.landmarks) == list(range(6))


def test_an_index_searches_the_way_that_expands_fewer_nodes():
    rng = np.random.default_rng(0)
    for family, seed in (("grid", 3), ("small_world", 4), ("geometric", 5)):
        graph = random_graph(family, 400, seed=seed)
        index = prepare_paths(graph, adapt=False)
        pairs = rng.integers(400, size=(200, 2)).tolist()
        counts = [
            sum(search(graph, *pair, tables=index.tables).expanded for pair in pairs)
            for search in (find_path, find_path_both_ways)
        ]
        if abs(counts[0] - counts[1]) > 0.1 * max(counts):  # else the trials on other pairs may see it otherwise
            assert index.both_ways == (counts[1] < counts[0])
        found = [index.path(*pair) for pair in pairs]
        assert sum(path.expanded for path in found) == counts[int(index.both_ways)]
        assert np.allclose([path.length for path in found], [find_path(graph, *pair).length for pair in pairs])


def test_guided_methods_handle_tiny_and_disconnected_directed_graphs():
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 1.0), ("b", "c", 0.0), ("d", "a", 2.0)])
    for method in ("astar", "learned"):
        assert shortest_path(graph, "a", "c", method=method).nodes == ("a", "b", "c")
        assert shortest_path(graph, "a", "d", method=method).length == np.inf
    alone = nx.empty_graph(1)
    assert shortest_path(alone, 0, 0, method="astar").nodes == (0,)
    assert shortest_path(alone, 0, method="learned").distances.tolist() == [0.0]


def test_expanded_nodes_are_drawn_side_by_side(road, index):
    axes = plot_expanded(road, 0, 300, {"Dijkstra": None, "A*": index.tables})
    assert [ax.get_title(loc="left").strip() for ax in axes] == ["Dijkstra", "A*"]


def test_the_cards_say_where_the_weights_come_from():
    for name in ("graphs-mst", "graphs-paths"):
        card = read_card(name)
        assert "random graphs of 20 to 100 nodes" in card.data and card.licence == "MIT" and card.seed == 0
