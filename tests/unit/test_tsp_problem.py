"""The TSP record: what turns into one, what it measures."""

import gzip
import math

import networkx as nx
import numba as nb
import numpy as np
import pytest
import torch

import gnnlib.data
from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.kernels.distance import DISTANCE_KINDS, distance
from gnnlib.heads.combinatorial.tsp.io import write_tsplib
from gnnlib.heads.combinatorial.tsp.problem import TSP, as_tsp
from gnnlib.heads.combinatorial.tsp.rules import METRIC_DIMENSIONS, geo_radians

SQUARE = [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]


@nb.njit
def _compiled_distances(data, sources, targets):
    out = np.empty(len(sources))
    for k in range(len(sources)):
        out[k] = distance(data, sources[k], targets[k])
    return out


@pytest.mark.parametrize(
    ("metric", "points", "expected"),
    [
        ("EUCLIDEAN", [[0, 0], [1, 2]], math.sqrt(5)),
        ("EUCLIDEAN", [[0, 0, 0], [1, 2, 3]], math.sqrt(14)),
        ("EUC_2D", [[0, 0], [1.5, 2]], 3),  # 2.5 is rounded up
        ("EUC_2D", [[0, 0], [1, 1]], 1),
        ("CEIL_2D", [[0, 0], [1, 1]], 2),
        ("CEIL_2D", [[0, 0], [3, 4]], 5),
        ("ATT", [[0, 0], [10, 0]], 4),  # sqrt(10) = 3.16 rounds to 3, which is too small
        ("ATT", [[0, 0], [0, 0]], 0),
        ("MAN_2D", [[0, 0], [1.2, -2.2]], 3),
        ("MAN_2D", [[0, 0], [1.2, -2.3]], 4),
        ("MAX_2D", [[0, 0], [1.4, -2.5]], 3),
        ("EUC_3D", [[0, 0, 0], [1, 2, 3]], 4),
    ],
)
def test_two_cities_are_as_far_apart_as_the_metric_says(metric, points, expected):
    problem = TSP.from_coords(points, metric=metric)
    assert problem.distances(np.array([0]), np.array([1]))[0] == pytest.approx(expected, abs=1e-12)
    assert problem.length([0, 1]) == pytest.approx(2 * expected, abs=1e-12)


def test_geo_reads_degrees_and_minutes_cut_towards_zero():
    # 0 degrees 30 minutes is half a degree, also south of the equator; 12.59 is 12 degrees 59 minutes, not 13 minus 41
    half = 3.141592 * 0.5 / 180
    assert geo_radians(np.array([0.30, -0.30])).tolist() == pytest.approx([half, -half], rel=1e-12)
    assert geo_radians(np.array([12.59]))[0] == pytest.approx(3.141592 * (12 + 59 / 60) / 180, rel=1e-12)


def test_geo_measures_a_quarter_of_the_equator_and_adds_one_between_equal_places():
    problem = TSP.from_coords([[0, 0], [0, 90], [0, 90]], metric="GEO")
    quarter = int(6378.388 * math.acos(math.cos(3.141592 / 2)) + 1)
    assert problem.distances(np.array([0, 1, 1]), np.array([1, 2, 1])).tolist() == [quarter, 1, 0]


@pytest.mark.parametrize("metric", sorted(METRIC_DIMENSIONS))
def test_the_compiled_rule_equals_the_rule_on_arrays(metric):
    generator = np.random.default_rng(5)
    for dimension in METRIC_DIMENSIONS[metric]:
        points = generator.uniform(-80, 80, (40, dimension))
        points[30:] = np.round(points[:10])
        points[20:25] = points[:5]
        problem = TSP.from_coords(points, metric=metric)
        sources, targets = generator.integers(0, 40, (2, 2000))
        compiled = _compiled_distances(problem.distance_data(), sources, targets)
        assert np.array_equal(compiled, problem.distances(sources, targets))


def test_the_compiled_rule_reads_the_matrix():
    matrix = np.random.default_rng(0).random((7, 7))
    problem = TSP.from_matrix(matrix)
    sources, targets = np.divmod(np.arange(49), 7)
    assert np.array_equal(_compiled_distances(problem.distance_data(), sources, targets), problem.matrix.ravel())


def test_distance_data_pads_the_plane_and_holds_no_second_array():
    data = TSP.from_coords(SQUARE).distance_data()
    assert data.kind == DISTANCE_KINDS["EUCLIDEAN"]
    assert data.coords.shape == (4, 3)
    assert not data.coords[:, 2].any()
    assert data.matrix.shape == (1, 1)
    assert data.coords.flags.c_contiguous
    assert data.coords.flags.writeable  # a read-only array is another type for the compiler: kernels would recompile


@pytest.mark.parametrize("metric", ["EUCLIDEAN", "EUC_2D", "GEO", "ATT"])
def test_the_distance_matrix_agrees_with_single_distances(metric):
    points = np.random.default_rng(1).uniform(-80, 80, (30, 2))
    problem = TSP.from_coords(points, metric=metric)
    matrix = problem.distance_matrix()
    assert matrix.shape == (30, 30)
    assert np.array_equal(matrix, matrix.T)
    for i, j in [(0, 0), (3, 17), (29, 1)]:
        assert matrix[i, j] == problem.distances(np.array([i]), np.array([j]))[0]


def test_the_distance_matrix_of_an_explicit_instance_is_a_copy():
    problem = TSP.from_matrix([[0, 1], [1, 0]])
    problem.distance_matrix()[0, 1] = 99
    assert problem.length([0, 1]) == 2


def test_a_distance_matrix_beyond_memory_is_refused():
    problem = TSP.from_coords(np.random.default_rng(0).random((40_000, 2)))
    with pytest.raises(InputError, match="8 GiB"):
        problem.distance_matrix()


def test_the_length_of_an_integral_instance_is_an_exact_int():
    problem = TSP.from_coords(np.array(SQUARE) * 1e6, metric="EUC_2D")
    assert isinstance(problem.length([0, 1, 2, 3]), int)
    assert problem.length([0, 1, 2, 3]) == 4_000_000
    assert isinstance(TSP.from_coords(SQUARE).length([0, 1, 2, 3]), float)


def test_length_does_not_depend_on_where_the_tour_begins_or_its_direction():
    problem = TSP.from_coords(np.random.default_rng(3).random((50, 2)) * 1000, metric="EUC_2D")
    order = np.random.default_rng(4).permutation(50)
    assert problem.length(order) == problem.length(np.roll(order, 17)) == problem.length(order[::-1])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_instances_of_one_to_three_cities_have_a_length(count):
    problem = TSP.from_coords(np.arange(2 * count).reshape(count, 2) * 1.0)
    expected = {1: 0.0, 2: 2 * math.sqrt(8), 3: 4 * math.sqrt(8)}[count]
    assert problem.length(np.arange(count)) == pytest.approx(expected)
    assert problem.num_cities == count


def test_equal_cities_have_a_tour_of_length_zero():
    assert TSP.from_coords(np.ones((5, 2))).length([4, 2, 0, 1, 3]) == 0.0


@pytest.mark.parametrize("scale", [1e12, 1e-12])
def test_huge_and_tiny_coordinates_keep_their_relative_lengths(scale):
    unit = TSP.from_coords(SQUARE).length([0, 1, 2, 3])
    assert TSP.from_coords(np.array(SQUARE) * scale).length([0, 1, 2, 3]) == pytest.approx(unit * scale, rel=1e-12)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 2], r"must hold 4 cities"),
        ([0, 1, 2, 4], r"found 4 at index 3"),
        ([0, 1, 2, -1], r"found -1 at index 3"),
        ([0, 1, 2, 2], r"city 2 twice and city 3 never"),
        ([0.0, 1.0, 2.0, 3.0], r"integers, found dtype float64"),
        ([[0, 1, 2, 3]], r"one dimension"),
    ],
)
def test_an_order_that_is_no_permutation_is_refused(order, message):
    with pytest.raises(InputError, match=message):
        TSP.from_coords(SQUARE).length(order)


def test_an_order_may_be_a_torch_tensor():
    assert TSP.from_coords(SQUARE).length(torch.tensor([0, 1, 2, 3])) == 4.0


def test_a_matrix_finds_out_whether_it_is_symmetric():
    assert TSP.from_matrix([[0, 1], [1, 0]]).is_symmetric
    assert not TSP.from_matrix([[0, 1], [2, 0]]).is_symmetric


def test_rounding_errors_do_not_make_a_matrix_asymmetric():
    points = np.random.default_rng(0).random((20, 2))
    matrix = np.hypot(*(points[:, None] - points[None]).T)
    noisy = matrix * (1 + 1e-14 * np.random.default_rng(1).standard_normal(matrix.shape))
    assert not np.array_equal(noisy, noisy.T)
    assert TSP.from_matrix(noisy).is_symmetric
    assert TSP.from_matrix(noisy, symmetric=True).is_symmetric
    assert not TSP.from_matrix(noisy, symmetric=False).is_symmetric


def test_the_diagonal_of_a_matrix_is_ignored():
    problem = TSP.from_matrix([[np.inf, 1, 2], [1, 9999, 3], [2, 3, np.nan]])
    assert np.diagonal(problem.matrix).tolist() == [0, 0, 0]
    assert problem.length([0, 1, 2]) == 6


def test_whole_entries_make_a_matrix_integral():
    assert TSP.from_matrix([[0, 3], [3, 0]]).is_integral
    assert not TSP.from_matrix([[0, 3.5], [3.5, 0]]).is_integral
    assert not TSP.from_matrix([[0, 2.0**60], [2.0**60, 0]]).is_integral  # sums are not exact any more


def test_the_record_does_not_follow_changes_of_the_callers_array():
    points = np.array(SQUARE)
    problem = TSP.from_coords(points)
    points[0] = 100
    assert problem.length([0, 1, 2, 3]) == 4.0


def test_a_graph_becomes_a_matrix_in_node_order():
    graph = nx.Graph(name="towns")
    graph.add_weighted_edges_from([("a", "b", 1), ("b", "c", 2), ("a", "c", 4)])
    problem = TSP.from_networkx(graph)
    assert (problem.name, problem.node_names, problem.missing_weight) == ("towns", ("a", "b", "c"), None)
    assert problem.matrix.tolist() == [[0, 1, 4], [1, 0, 2], [4, 2, 0]]


def test_a_directed_graph_becomes_an_asymmetric_instance():
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([(0, 1, 1), (1, 2, 1), (2, 0, 1), (1, 0, 5), (2, 1, 5), (0, 2, 5)])
    problem = TSP.from_networkx(graph)
    assert not problem.is_symmetric
    assert (problem.length([0, 1, 2]), problem.length([2, 1, 0])) == (3, 15)


def test_of_parallel_edges_the_lightest_counts_and_loops_do_not():
    graph = nx.MultiGraph()
    graph.add_weighted_edges_from([(0, 1, 5), (0, 1, 3), (1, 1, 0), (0, 1, 4)])
    assert TSP.from_networkx(graph).matrix.tolist() == [[0, 3], [3, 0]]


def test_a_missing_edge_costs_more_than_any_tour_without_one():
    graph = nx.path_graph(4)
    nx.set_edge_attributes(graph, 7.5, "weight")
    graph.add_edge(3, 0, weight=1.0)
    problem = TSP.from_networkx(graph)
    assert problem.missing_weight > problem.length([0, 1, 2, 3]) == pytest.approx(23.5)
    assert problem.length([0, 2, 1, 3]) > problem.missing_weight
    problem.require_feasible([1, 2, 3, 0])
    with pytest.raises(InfeasibleError, match=r"2 connection\(s\) that the graph does not have, the first from 0 to 2"):
        problem.require_feasible([0, 2, 1, 3])


def test_a_graph_whose_present_edges_weigh_nothing_still_tells_missing_ones_apart():
    graph = nx.cycle_graph(5)
    nx.set_edge_attributes(graph, 0.0, "weight")
    problem = TSP.from_networkx(graph)
    problem.require_feasible([0, 1, 2, 3, 4])
    with pytest.raises(InfeasibleError):
        problem.require_feasible([0, 2, 1, 3, 4])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "has none"),
        ({"weight": "far"}, "must be a number"),
        ({"weight": -1.0}, "finite and >= 0"),
        ({"weight": math.nan}, "finite and >= 0"),
        ({"weight": math.inf}, "finite and >= 0"),
    ],
)
def test_an_edge_with_a_bad_weight_is_named(attributes, message):
    graph = nx.Graph()
    graph.add_edge("x", "y", **attributes)
    with pytest.raises(InputError, match=rf"edge \('x', 'y'\).*{message}"):
        TSP.from_networkx(graph)


@pytest.mark.parametrize("weight", [1e-300, 1e15, 1e250])
def test_missing_edges_stand_out_at_any_scale(weight):
    ring = nx.cycle_graph(6)
    nx.set_edge_attributes(ring, weight, "weight")
    problem = TSP.from_networkx(ring)
    assert problem.length(np.arange(6)) < problem.missing_weight
    problem.require_feasible(np.arange(6))


def test_weights_whose_sums_overflow_are_refused():
    ring = nx.cycle_graph(6)
    nx.set_edge_attributes(ring, 1e307, "weight")
    with pytest.raises(InputError, match="overflow"):
        TSP.from_networkx(ring)


def test_a_graph_without_nodes_is_refused():
    with pytest.raises(InputError, match="at least one node"):
        TSP.from_networkx(nx.Graph())


def test_a_tour_without_a_fixed_edge_is_infeasible():
    problem = TSP(np.array(SQUARE), fixed_edges=((0, 2),))
    problem.require_feasible([0, 2, 1, 3])
    problem.require_feasible([2, 1, 3, 0])  # across the end of the array
    with pytest.raises(InfeasibleError, match=r"fixed edge \(0, 2\)"):
        problem.require_feasible([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(0, 4)], r"among 0 .. 3, found \(0, 4\)"),
        ([(1, 1)], "two different cities"),
        ([(0, 1), (1, 0)], "twice"),
        ([(0, 1), (0, 2), (0, 3)], "city 0 has three"),
        ([(0, 1), (1, 2), (2, 0)], "close a cycle"),
    ],
)
def test_fixed_edges_that_no_tour_contains_are_refused(edges, message):
    with pytest.raises(InputError, match=message):
        TSP(np.array(SQUARE), fixed_edges=tuple(edges))


def test_fixed_edges_may_prescribe_a_whole_tour():
    problem = TSP(np.array(SQUARE), fixed_edges=((0, 1), (1, 2), (2, 3), (3, 0)))
    assert len(problem.fixed_edges) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither"),
        ({"coords": SQUARE, "matrix": np.zeros((4, 4))}, "both"),
        ({"coords": SQUARE, "metric": "XRAY1"}, "one of .*found 'XRAY1'"),
        ({"coords": SQUARE, "metric": "EXPLICIT"}, "found 'EXPLICIT'"),
        ({"matrix": np.zeros((4, 4))}, "'EXPLICIT', found 'EUCLIDEAN'"),
        ({"coords": SQUARE, "metric": "EUC_3D"}, r"shape \[N, 3\] here, found \[4, 2\]"),
        ({"coords": np.zeros((4, 3)), "metric": "EUC_2D"}, r"shape \[N, 2\] here, found \[4, 3\]"),
        ({"coords": np.zeros((0, 2))}, "at least 1 cities, found 0"),
        ({"coords": [[0, 0], [0, math.nan]]}, r"finite, found nan at index \[1, 1\]"),
        ({"coords": [[0, math.inf], [0, 1]]}, r"finite, found inf at index \[0, 1\]"),
        ({"coords": [[0, 0], [1e200, 0]]}, "scale the coordinates"),
        ({"coords": [[0, 0], [1e-200, 0]]}, "scale the coordinates"),
        ({"coords": [[0, 0], [1e16, 0]], "metric": "EUC_2D"}, r"exceed 2\*\*53"),
        ({"coords": [[91, 0], [0, 0]], "metric": "GEO"}, r"latitudes within \[-90, 90\], found 91 at city 0"),
        ({"coords": [[9, 0], [0, -200]], "metric": "GEO"}, "longitudes .* found -200 at city 1"),
        ({"coords": SQUARE, "node_names": ("a", "b", "c", "a")}, "4 distinct names, found 3 among 4"),
        ({"coords": SQUARE, "display": np.zeros((3, 2))}, "`display` must hold 4 cities, found 3"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        TSP(**arguments)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((3, 4)), r"square .* found shape \[3, 4\]"),
        (np.zeros((0, 0)), "N >= 1"),
        (np.zeros(4), r"found shape \[4\]"),
        ([[0, -1], [-1, 0]], r"negative entry, found -1 at index \[0, 1\]"),
        ([[0, 1], [math.nan, 0]], r"finite, found nan at index \[1, 0\]"),
        ([[0, math.inf], [1, 0]], r"finite, found inf at index \[0, 1\].*from_networkx"),
        ([[0, 1e308], [1e308, 0]], "overflow"),
        ([[0, 1], [2]], "rows differ in length"),
        ([["a", "b"], ["c", "d"]], "real numbers"),
    ],
)
def test_a_bad_matrix_is_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        TSP.from_matrix(matrix)


def test_an_asymmetric_matrix_given_as_symmetric_is_refused_with_its_first_fault():
    with pytest.raises(InputError, match=r"found 2 at index \[0, 2\] and 5 at \[2, 0\]; pass symmetric=False"):
        TSP.from_matrix([[0, 1, 2], [1, 0, 3], [5, 3, 0]], symmetric=True)


def test_points_may_come_in_any_container(tmp_path):
    expected = TSP.from_coords(SQUARE).coords.tolist()
    pandas_like = type("Frame", (), {"__array__": lambda self, dtype=None, copy=None: np.array(SQUARE)})()
    for given in (SQUARE, np.array(SQUARE), torch.tensor(SQUARE), tuple(map(tuple, SQUARE)), pandas_like):
        problem = as_tsp(given)
        assert problem.metric == "EUCLIDEAN"
        assert problem.coords.tolist() == expected


def test_points_may_be_whole_numbers_or_need_gradients():
    assert as_tsp(np.array([[0, 0], [3, 4], [0, 4]], dtype=np.int32)).length([0, 1, 2]) == 12.0
    assert as_tsp(torch.rand(5, 2, requires_grad=True)).num_cities == 5


def test_points_of_space_are_measured_in_space():
    assert as_tsp([[0, 0, 0], [1, 2, 2], [0, 0, 0], [0, 0, 0]]).length([0, 1, 2, 3]) == pytest.approx(6.0)


def test_a_path_is_read_as_a_file(tmp_path):
    problem = TSP.from_coords(SQUARE, metric="CEIL_2D", name="box")
    write_tsplib(problem, tmp_path / "box.tsp")
    (tmp_path / "box.tsp.gz").write_bytes(gzip.compress((tmp_path / "box.tsp").read_bytes()))
    for path in (tmp_path / "box.tsp", str(tmp_path / "box.tsp"), tmp_path / "box.tsp.gz"):
        assert as_tsp(path).coords.tolist() == SQUARE
    with pytest.raises(FileNotFoundError):
        as_tsp(tmp_path / "nowhere.tsp")


def test_a_graph_and_a_record_are_taken_as_they_are():
    graph = nx.complete_graph(3)
    nx.set_edge_attributes(graph, 1, "weight")
    assert as_tsp(graph).metric == "EXPLICIT"
    problem = TSP.from_coords(SQUARE)
    assert as_tsp(problem) is problem


def test_a_shipped_instance_is_taken_with_its_labels():
    problem = as_tsp(gnnlib.data.load_instance("capitals"))
    assert (problem.metric, problem.name) == ("GEO", "capitals")
    assert problem.node_names[0] == "Kabul"


def test_square_arrays_of_two_and_three_rows_are_distances_only_if_they_can_be():
    assert as_tsp([[0, 1], [1, 0]]).metric == "EXPLICIT"
    assert as_tsp([[0, 1], [2, 0]]).metric == "EUCLIDEAN"
    assert as_tsp([[1, 1], [1, 0]]).metric == "EUCLIDEAN"
    assert as_tsp([[0, -1], [-1, 0]]).metric == "EUCLIDEAN"
    assert as_tsp([[0, 1, 2], [1, 0, 3], [2, 3, 0]]).metric == "EXPLICIT"
    assert as_tsp(np.eye(3)).metric == "EUCLIDEAN"
    assert as_tsp(np.ones((4, 4))).metric == "EXPLICIT"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(5), r"found shape \[5\]"),
        (np.zeros((5, 1)), r"found shape \[5, 1\]"),
        (np.zeros((5, 4)), r"found shape \[5, 4\]"),
        (np.zeros((2, 2, 2)), r"found shape \[2, 2, 2\]"),
        (np.zeros((0, 2)), "found 0"),
        (7, "found shape"),
        (None, "real numbers, found NoneType"),
        ({"a": 1}, "real numbers, found dict"),
        (np.zeros((3, 2), dtype=complex), "complex128"),
    ],
)
def test_what_is_no_instance_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        as_tsp(x)


def test_the_record_prints_short():
    assert repr(TSP.from_coords(np.zeros((1000, 2)), name="zeros")) == (
        "TSP(name='zeros', num_cities=1000, metric='EUCLIDEAN')"
    )
