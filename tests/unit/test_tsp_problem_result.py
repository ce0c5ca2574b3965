"""TourResult: checked again when made, and what it turns into."""

import json
import math

import networkx as nx
import numpy as np
import pytest

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.tsp.io import read_tour
from gnnlib.heads.combinatorial.tsp.problem import TSP, TourResult

BOX = TSP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], metric="EUC_2D", name="box")
ORDER = np.array([0, 1, 2, 3])


def test_the_gap_is_relative_to_the_bound():
    assert TourResult(ORDER, 14, BOX, lower_bound=10.0).gap == pytest.approx(0.4)
    assert TourResult(ORDER, 14, BOX, lower_bound=14.0).gap == 0.0
    assert TourResult(ORDER, 14, BOX).gap == math.inf
    assert TourResult(ORDER, 14, BOX, lower_bound=0.0).gap == math.inf


def test_a_tour_of_length_zero_with_bound_zero_has_no_gap():
    same = TSP.from_coords(np.zeros((3, 2)))
    assert TourResult(np.arange(3), 0.0, same, lower_bound=0.0).gap == 0.0


def test_a_length_that_is_not_the_tours_is_refused():
    with pytest.raises(InputError, match=r"that of the tour, 14, found 13"):
        TourResult(ORDER, 13, BOX)
    with pytest.raises(InputError, match="found nan"):
        TourResult(ORDER, math.nan, BOX)


def test_the_order_of_summation_may_change_a_float_length_a_little():
    problem = TSP.from_coords(np.random.default_rng(0).random((100, 2)))
    length = problem.length(np.arange(100))
    assert TourResult(np.arange(100), length * (1 + 1e-13), problem).length == length
    with pytest.raises(InputError, match="that of the tour"):
        TourResult(np.arange(100), length * (1 + 1e-6), problem)


def test_a_bound_above_the_tour_is_refused():
    with pytest.raises(InputError, match=r"must not exceed the tour's length 14, found 15"):
        TourResult(ORDER, 14, BOX, lower_bound=15.0)
    with pytest.raises(InputError, match="found nan"):
        TourResult(ORDER, 14, BOX, lower_bound=math.nan)


def test_an_order_that_is_no_tour_is_refused():
    with pytest.raises(InputError, match="city 2 twice and city 3 never"):
        TourResult(np.array([0, 1, 2, 2]), 14, BOX)


def test_a_tour_over_a_missing_edge_is_infeasible():
    graph = nx.star_graph(3)
    nx.set_edge_attributes(graph, 1, "weight")
    problem = TSP.from_networkx(graph)
    with pytest.raises(InfeasibleError, match="the graph does not have"):
        TourResult(ORDER, problem.length(ORDER), problem)


def test_a_result_becomes_json_without_its_problem():
    result = TourResult(ORDER, 14, BOX, lower_bound=10.0, trace=[(0.5, 16), (0.7, 14)], iterations=3, params={"k": 5})
    as_dict = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert as_dict["order"] == [0, 1, 2, 3]
    assert as_dict["length"] == 14
    assert as_dict["gap"] == pytest.approx(0.4)
    assert (as_dict["name"], as_dict["num_cities"]) == ("box", 4)
    assert as_dict["trace"] == [[0.5, 16], [0.7, 14]]
    assert as_dict["params"] == {"k": 5}
    assert "problem" not in as_dict


def test_an_unknown_bound_becomes_null():
    as_dict = TourResult(ORDER, 14, BOX).to_dict()
    assert as_dict["lower_bound"] is None
    assert as_dict["gap"] is None


def test_the_summary_names_what_is_proved():
    text = TourResult(ORDER, 14, BOX, lower_bound=14.0, is_optimal=True).summary()
    assert "TourResult of box" in text
    assert "proved" in text
    assert "0.000 %" in text
    assert "not proved" in TourResult(ORDER, 14, BOX).summary()
    assert "unknown" in TourResult(ORDER, 14, BOX).summary()
    assert "<table>" in TourResult(ORDER, 14, BOX)._repr_html_()


def test_the_tour_file_is_read_back(tmp_path):
    order = np.array([2, 0, 3, 1])
    result = TourResult(order, BOX.length(order), BOX)
    text = result.to_tsplib(tmp_path / "box.tour")
    assert (tmp_path / "box.tour").read_text() == text == result.to_tsplib()
    assert read_tour(tmp_path / "box.tour").tolist() == [2, 0, 3, 1]
    assert f"COMMENT : Length {result.length}" in text


def test_the_tour_as_a_graph_is_a_cycle_with_the_tours_weight():
    graph = TourResult(ORDER, 14, BOX).to_networkx()
    assert sorted(dict(graph.degree).values()) == [2, 2, 2, 2]
    assert nx.is_connected(graph)
    assert graph.size(weight="weight") == 14


def test_the_tour_as_a_graph_keeps_the_names_and_the_direction():
    matrix = nx.DiGraph()
    matrix.add_weighted_edges_from(
        [("a", "b", 1), ("b", "c", 2), ("c", "a", 3), ("b", "a", 9), ("c", "b", 9), ("a", "c", 9)]
    )
    problem = TSP.from_networkx(matrix)
    graph = TourResult(np.arange(3), 6, problem).to_networkx()
    assert graph.is_directed()
    assert set(graph.edges) == {("a", "b"), ("b", "c"), ("c", "a")}


@pytest.mark.parametrize("count", [1, 2])
def test_tiny_tours_become_graphs_too(count):
    problem = TSP.from_coords(np.arange(2.0 * count).reshape(count, 2))
    graph = TourResult(np.arange(count), problem.length(np.arange(count)), problem).to_networkx()
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (count, count - 1)
