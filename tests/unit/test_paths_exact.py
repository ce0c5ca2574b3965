"""`shortest_path`: exact answers, negative weights and cycles, unreachable targets, refused input."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.paths.api import shortest_path
from gnnlib.heads.combinatorial.paths.result import PathResult
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph


def directed(*edges):
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(edges)
    return graph


def test_negative_weights_are_followed():
    graph = directed(("a", "b", 4.0), ("a", "c", 2.0), ("c", "b", -3.0), ("b", "d", 1.0))
    result = shortest_path(graph, "a", "d")
    assert (result.nodes, result.length, result.is_exact) == (("a", "c", "b", "d"), 0.0, True)
    assert shortest_path(graph, "a").distances.tolist() == [0.0, -1.0, 2.0, 0.0]


def test_a_negative_cycle_is_named():
    graph = directed(("a", "b", 1.0), ("b", "c", -3.0), ("c", "b", 1.0), ("c", "d", 1.0))
    with pytest.raises(InfeasibleError, match=r"'[bc]' -> '[bc]' -> '[bc]' has negative weight"):
        shortest_path(graph, "a", "d")
    assert shortest_path(graph, "d").distance("a") == math.inf  # the cycle cannot be reached from there


def test_a_negative_undirected_edge_and_a_negative_loop_are_cycles():
    graph = nx.Graph()
    graph.add_weighted_edges_from([(0, 1, 1.0), (1, 2, -1.0), (8, 9, -5.0)])
    with pytest.raises(InfeasibleError, match=r"undirected edge \(1, 2\) of weight -1"):
        shortest_path(graph, 0, 2)
    loop = directed((0, 1, 1.0), (1, 1, -0.5))
    with pytest.raises(InfeasibleError, match="loop at 1"):
        shortest_path(loop, 0)
    assert shortest_path(directed((0, 1, 1.0), (2, 2, -0.5)), 0, 1).length == 1.0


def test_an_unreachable_target_is_infinitely_far():
    result = shortest_path(directed((0, 1, 1.0), (2, 1, 1.0)), 0, 2)
    assert (result.nodes, result.length, result.is_exact) == ((), math.inf, True)
    assert result.to_dict()["length"] is None
    assert "cannot be reached" in result.summary()


def test_a_source_that_is_the_target_is_a_path_of_one_node():
    result = shortest_path(nx.path_graph(3), 1, 1)
    assert (result.nodes, result.length) == ((1,), 0.0)


def test_parallel_edges_count_by_the_cheapest_and_loops_not_at_all():
    graph = nx.MultiDiGraph()
    for u, v, w in [(0, 1, 5.0), (0, 1, 2.0), (0, 0, 3.0), (1, 2, 0.0)]:
        graph.add_edge(u, v, weight=w)
    assert shortest_path(graph, 0, 2).length == 2.0


def test_distances_know_their_paths():
    distances = shortest_path(nx.path_graph(["a", "b", "c"]), "a")
    assert distances.path_to("c").nodes == ("a", "b", "c")
    assert distances.distance("c") == 2.0
    with pytest.raises(InputError, match="`target` must be a node"):
        distances.path_to("d")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": 9}, "`source` must be a node of the graph, found 9"),
        ({"source": 0, "target": 9}, "`target` must be a node"),
        ({"source": [0]}, "`source` must be a node"),
        ({"source": 0, "method": "fast"}, "`method`"),
        ({"source": 0, "method": "astar"}, "needs a `target`"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        shortest_path(nx.path_graph(3), **arguments)


def test_an_empty_graph_has_no_source():
    with pytest.raises(InputError, match="it has no nodes"):
        shortest_path(nx.Graph(), 0)


def test_a_nan_weight_is_refused():
    with pytest.raises(InputError, match="finite"):
        shortest_path([[0, float("nan")], [1.0, 0]], 0, 1)


@pytest.mark.parametrize("method", ["learned", "astar"])
def test_guided_methods_need_weights_that_are_not_negative(method):
    with pytest.raises(InputError, match="weights >= 0"):
        shortest_path(directed((0, 1, -1.0)), 0, 1, method=method)


def test_a_result_refuses_what_is_no_path():
    graph = WeightedGraph(3, [0, 1], [1, 2], [1.0, 2.0], is_directed=True)
    for nodes, length in (([0, 2], 3.0), ([2, 1, 0], 3.0), ([1, 2], 2.0)):
        with pytest.raises(InfeasibleError):
            PathResult(np.array(nodes), length, graph, 0, 2, "exact", 1, is_exact=True)
    with pytest.raises(InputError, match="`length`"):
        PathResult(np.array([0, 1, 2]), 2.5, graph, 0, 2, "exact", 1, is_exact=True)
