"""Paths and trees against networkx on random graphs with ties, zeros and negative weights."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.errors import InfeasibleError
from gnnlib.heads.combinatorial.graph_inputs import as_weighted_graph
from gnnlib.heads.combinatorial.kernels.landmarks import as_single_precision, as_sixteen_bits
from gnnlib.heads.combinatorial.mst.api import spanning_tree
from gnnlib.heads.combinatorial.paths.api import shortest_path
from gnnlib.heads.combinatorial.paths.baselines import Tables, find_path, find_path_both_ways
from gnnlib.heads.combinatorial.paths.bounds import bound_features, landmark_tables, relax, single_source_bounds
from gnnlib.heads.combinatorial.paths.result import PathResult


@st.composite
def graphs(draw, *, directed: bool, low: int, whole: bool = True):
    nodes = draw(st.integers(1, 12))
    pairs = draw(st.lists(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)), max_size=30))
    graph = nx.MultiDiGraph() if directed else nx.MultiGraph()
    graph.add_nodes_from(range(nodes))
    number = st.integers(low, 5) if whole else st.floats(low, 5.0, allow_subnormal=False)
    for u, v in pairs:
        graph.add_edge(u, v, weight=float(draw(number)))
    return graph


@settings(deadline=None, max_examples=80)
@given(graphs(directed=False, low=-4))
def test_spanning_trees_weigh_what_networkx_finds(graph):
    result = spanning_tree(graph)
    assert result.weight == nx.minimum_spanning_tree(graph).size(weight="weight")
    assert result.num_trees == nx.number_connected_components(graph)


@settings(deadline=None, max_examples=80)
@given(graphs(directed=True, low=-1))
def test_negative_weights_agree_with_bellman_and_ford(graph):
    try:
        expected = nx.single_source_bellman_ford_path_length(graph, 0)
    except nx.NetworkXUnbounded:
        with pytest.raises(InfeasibleError):
            shortest_path(graph, 0)
        return
    found = shortest_path(graph, 0)
    assert found.distances.tolist() == [expected.get(node, math.inf) for node in graph]
    for node in expected:
        assert found.path_to(node).length == expected[node]


@settings(deadline=None, max_examples=120)
@given(
    graphs(directed=True, low=0) | graphs(directed=False, low=0) | graphs(directed=True, low=0, whole=False), st.data()
)
def test_every_search_finds_the_shortest_path_with_any_landmarks(graph, data):
    record = as_weighted_graph(graph)
    source, target = (data.draw(st.sampled_from(list(graph))) for _ in range(2))
    chosen = np.array(data.draw(st.lists(st.sampled_from(list(graph)), max_size=4, unique=True)), dtype=np.int64)
    expected = nx.single_source_dijkstra_path_length(graph, source).get(target, math.inf)
    tables = landmark_tables(record, chosen) if len(chosen) else (np.zeros((len(graph), 0)),) * 2
    everything = np.arange(len(chosen))
    variants = [None, Tables(*as_single_precision(*tables), everything), Tables(*as_sixteen_bits(*tables), everything)]
    for search in (find_path, find_path_both_ways):
        for variant in variants:
            found = search(record, source, target, tables=variant)
            assert found.length == pytest.approx(expected, rel=1e-12, abs=1e-12)
            PathResult(found.nodes, found.length, record, source, target, "exact", found.expanded, is_exact=True)


@given(st.lists(st.integers(0, 60_000), min_size=2, max_size=8), st.sampled_from([1, 3, 5280]))
def test_whole_distances_lose_nothing_in_sixteen_bits(numbers, unit):
    distances = unit * np.array(numbers, dtype=np.float64)[:, None]
    to, back, step = as_sixteen_bits(distances, distances[::-1])
    assert step[-1] == 0.0
    assert np.array_equal(to * step[0], distances) and np.array_equal(back * step[0], distances[::-1])
    _, _, step = as_sixteen_bits(distances + 0.3, distances)
    assert step[-1] > 0.0


@settings(deadline=None, max_examples=60)
@given(graphs(directed=True, low=0), st.data())
def test_bounds_hold_the_distance_and_rounds_only_tighten(graph, data):
    record = as_weighted_graph(graph)
    source = data.draw(st.sampled_from(list(graph)))
    landmarks = np.array(data.draw(st.lists(st.sampled_from(list(graph)), min_size=1, max_size=4, unique=True)))
    tables = landmark_tables(record, landmarks)
    expected = shortest_path(graph, source).distances
    before = np.full(len(graph), np.inf)
    for rounds in range(4):
        each, low, high = single_source_bounds(record, source, tables, rounds)
        assert (low <= expected + 1e-9).all() and (high >= expected - 1e-9).all() and (high <= before).all()
        before = high
    assert np.array_equal(relax(record, np.where(np.arange(len(graph)) == source, 0.0, np.inf), len(graph)), expected)
    known = np.isfinite(high) & np.isfinite(each).all(axis=1)
    features = bound_features(each[known], low[known], high[known], 1.0)
    assert features.shape == (known.sum(), 7) and np.isfinite(features).all()
