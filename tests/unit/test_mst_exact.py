"""`spanning_tree`: exact answers, inputs of every kind, degenerate graphs, refused input."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_array

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.mst.api import spanning_tree
from gnnlib.heads.combinatorial.mst.baselines import exact_tree, prim_order
from gnnlib.heads.combinatorial.mst.result import TreeResult
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

SQUARE = [[0, 1.0, 0, 4.0], [1.0, 0, 2.0, 0], [0, 2.0, 0, 3.0], [4.0, 0, 3.0, 0]]


def as_networkx():
    graph = nx.Graph()
    graph.add_weighted_edges_from([(0, 1, 1.0), (1, 2, 2.0), (2, 3, 3.0), (3, 0, 4.0)])
    return graph


def as_pyg():
    from torch_geometric.utils import from_networkx

    return from_networkx(as_networkx(), group_edge_attrs=["weight"])


@pytest.mark.parametrize(
    "graph",
    [SQUARE, np.array(SQUARE), csr_array(np.array(SQUARE)), as_networkx(), as_pyg()],
    ids=lambda g: type(g).__name__,
)
def test_every_kind_of_input_gives_the_same_tree(graph):
    result = spanning_tree(graph)
    assert {frozenset(edge) for edge in result.edges} == {frozenset(pair) for pair in ((0, 1), (1, 2), (2, 3))}
    assert (result.weight, result.ratio, result.num_trees, result.is_exact) == (6.0, 1.0, 1, True)


def test_edges_come_back_under_the_names_of_the_caller():
    graph = nx.Graph()
    graph.add_edge("Bonn", ("tuple", 1), km=3.0)
    graph.add_edge("Bonn", "Köln", km=1.0)
    result = spanning_tree(graph, weight="km")
    assert {frozenset(edge) for edge in result.edges} == {frozenset(edge) for edge in graph.edges}
    assert min(result.to_networkx().edges(data="weight"), key=lambda edge: edge[2])[2] == 1.0
    assert "4" in result.summary() and "<table>" in result._repr_html_()
    assert result.to_dict()["weight"] == 4.0


def test_an_unweighted_graph_weighs_one_everywhere_but_a_missing_weight_is_refused():
    assert spanning_tree(nx.cycle_graph(4)).weight == 3.0
    graph = as_networkx()
    graph.add_edge(0, 2)
    with pytest.raises(InputError, match=r"\(0, 2\) has no attribute 'weight'"):
        spanning_tree(graph)


def test_a_disconnected_graph_has_a_forest():
    result = spanning_tree(nx.union(nx.cycle_graph(4), nx.path_graph([7, 8, 9])))
    assert (result.num_trees, len(result.edges)) == (2, 5)


@pytest.mark.parametrize("nodes", [0, 1])
@pytest.mark.parametrize("method", ["exact", "learned", "mcts"])
def test_graphs_without_edges_have_empty_trees(nodes, method):
    graph = nx.empty_graph(nodes)
    result = spanning_tree(graph, method=method)
    assert (result.edges, result.weight, result.num_trees, result.ratio) == ((), 0.0, nodes, 1.0)


def test_loops_parallel_edges_ties_zeros_and_negative_weights():
    graph = nx.MultiGraph()
    for u, v, w in [(0, 0, -9.0), (0, 1, 5.0), (0, 1, -2.0), (1, 2, 0.0), (0, 2, 0.0), (2, 2, 1.0)]:
        graph.add_edge(u, v, weight=w)
    result = spanning_tree(graph)
    assert result.weight == -2.0
    assert len(result.edges) == 2


def test_prim_and_kruskal_agree():
    rng = np.random.default_rng(0)
    for _ in range(20):
        graph = nx.gnp_random_graph(15, 0.3, seed=int(rng.integers(1000)))
        ends = np.array(graph.edges).reshape(-1, 2)
        record = WeightedGraph(15, ends[:, 0], ends[:, 1], rng.random(len(ends)))
        for root in (0, 7):
            assert sorted(prim_order(record, root).tolist()) == exact_tree(record).tolist()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.DiGraph([(0, 1)]), "directed"),
        ([[0, np.nan], [np.nan, 0]], "finite"),
        ([[0, 1.0, 2.0]], "square"),
        (csr_array(np.ones((2, 3))), "square"),
        ([[0, 1], [2, 0]], "directed"),
        ("missing.tntp", "cannot read"),
        ("missing.txt", r"\.tntp or \.graphml"),
        (object(), "found object"),
        ([["a", "b"], ["c", "d"]], "real"),
    ],
)
def test_what_cannot_have_a_spanning_tree_is_refused(graph, message):
    with pytest.raises(InputError, match=message):
        spanning_tree(graph)


def test_a_weight_that_is_no_number_names_its_edge():
    graph = nx.Graph()
    graph.add_edge("a", "b", weight="heavy")
    with pytest.raises(InputError, match=r"edge \('a', 'b'\) must be a number, found 'heavy'"):
        spanning_tree(graph)
    graph.edges["a", "b"]["weight"] = float("nan")
    with pytest.raises(InputError, match=r"found nan on edge \('a', 'b'\)"):
        spanning_tree(graph)


def test_options_are_checked():
    with pytest.raises(InputError, match="`method`"):
        spanning_tree(SQUARE, method="best")
    with pytest.raises(InputError, match="`simulations`"):
        spanning_tree(SQUARE, method="mcts", simulations=-1)
    with pytest.raises(TypeError):
        spanning_tree(SQUARE, metod="exact")


def test_a_result_refuses_what_is_no_spanning_tree():
    graph = WeightedGraph(3, [0, 1, 2], [1, 2, 0], [1.0, 2.0, 3.0])
    for edges in ([0], [0, 1, 2], [0, 0]):
        with pytest.raises(InfeasibleError):
            TreeResult(np.array(edges), graph, "exact")


def test_the_record_refuses_what_does_not_fit():
    for wrong in (
        {"tails": [0], "heads": [1, 2], "weights": [1.0]},
        {"tails": [0], "heads": [3], "weights": [1.0]},
        {"tails": [0], "heads": [1], "weights": [np.inf]},
        {"tails": [0.5], "heads": [1], "weights": [1.0]},
        {"tails": [0], "heads": [1], "weights": [1.0], "names": ("a", "a", "b")},
        {"tails": [0], "heads": [1], "weights": [1.0], "coords": np.zeros((2, 2))},
        {"tails": [0, 1], "heads": [1, 2], "weights": [1e308, 1e308]},
    ):
        with pytest.raises(InputError):
            WeightedGraph(3, **wrong)
