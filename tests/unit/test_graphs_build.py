"""Graph builders on small inputs that can be checked by hand, and on everything that is degenerate or wrong."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial import QhullError

from gnnlib.errors import InputError
from gnnlib.graphs import delaunay as delaunay_module
from gnnlib.graphs.build import (
    complete_graph,
    delaunay_graph,
    knn_graph,
    knn_neighbours,
    line_graph,
    quadrant_neighbours,
    radius_graph,
)
from gnnlib.graphs.points import as_edge_index, as_points

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
BUILDERS = {
    "knn": lambda points: knn_graph(points, 2),
    "directed knn": lambda points: knn_graph(points, 2, symmetric=False),
    "quadrants": lambda points: knn_graph(points, 4, quadrants=1),
    "radius": lambda points: radius_graph(points, 1.5),
    "radius with a limit": lambda points: radius_graph(points, 1.5, max_neighbours=2),
    "delaunay": delaunay_graph,
}


def pairs(edge_index):
    return {tuple(pair) for pair in edge_index.T.tolist()}


def both_ways(*edges):
    return {(u, v) for u, v in edges} | {(v, u) for u, v in edges}


@pytest.fixture(params=BUILDERS, ids=lambda name: name.replace(" ", "-"))
def builder(request):
    return BUILDERS[request.param]


# ---- every builder of points ----


@pytest.mark.parametrize("points", [[], np.empty((0, 2)), np.empty((0, 3)), torch.empty(0, 2)], ids=str)
def test_no_points_give_no_edges(builder, points):
    edge_index = builder(points)
    assert edge_index.shape == (2, 0)
    assert edge_index.dtype == np.int64


def test_one_point_gives_no_edges(builder):
    assert builder([[3.0, 4.0]]).shape == (2, 0)


def test_two_points_are_joined_both_ways(builder):
    assert builder([[0.0, 0.0], [1.0, 0.0]]).tolist() == [[1, 0], [0, 1]]


def test_two_coincident_points_are_joined_both_ways(builder):
    assert builder([[2.0, 7.0], [2.0, 7.0]]).tolist() == [[1, 0], [0, 1]]


def test_points_on_a_line_are_joined_to_the_next_ones(builder):
    points = np.stack([np.arange(6) / 3, np.arange(6) / 7], axis=1)
    assert both_ways((0, 1), (1, 2), (2, 3), (3, 4), (4, 5)) <= pairs(builder(points))


def test_edges_are_sorted_by_receiver_then_sender_without_loops_or_repeats(builder):
    points = np.random.default_rng(0).integers(0, 6, (60, 2)).astype(float)
    sender, receiver = builder(points)
    key = receiver * 60 + sender
    assert (np.diff(key) > 0).all()
    assert (sender != receiver).all()


@pytest.mark.parametrize("convert", [torch.tensor, lambda p: torch.tensor(p, requires_grad=True), np.float32, list])
def test_tensors_arrays_and_lists_give_the_same_graph(builder, convert):
    points = np.random.default_rng(1).random((20, 2)).astype(np.float32).astype(np.float64)
    assert (builder(convert(points)) == builder(points)).all()


def test_points_may_have_more_than_two_dimensions(builder):
    points = np.random.default_rng(2).random((30, 3))
    edge_index = builder(points) if builder is not BUILDERS["quadrants"] else knn_graph(points, 8, quadrants=1)
    assert edge_index.shape[1] > 30
    assert edge_index.max() < 30


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_place(builder, bad):
    points = np.zeros((5, 2))
    points[3, 1] = bad
    with pytest.raises(InputError, match=r"finite.*found .*(nan|inf) at point 3, coordinate 1"):
        builder(points)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([1.0, 2.0, 3.0], r"shape \[N, D\].*found shape \[3\]"),
        (np.zeros((2, 2, 2)), r"found shape \[2, 2, 2\]"),
        (np.zeros((4, 0)), r"found shape \[4, 0\]"),
        (5.0, r"found shape \[\]"),
        ([["a", "b"]], "real numbers, found dtype"),
        (np.zeros((2, 2), dtype=complex), "found dtype complex128"),
        ([[0.0, 1.0], [2.0]], "one shape"),
        ([[1e200, 0.0], [0.0, 0.0]], "at most 1e\\+150.*at point 0, coordinate 0"),
    ],
    ids=["flat", "3-axes", "no-columns", "scalar", "text", "complex", "ragged", "too-large"],
)
def test_malformed_points_are_refused_with_what_was_found(builder, points, message):
    with pytest.raises(InputError, match=message):
        builder(points)


@pytest.mark.parametrize("scale", [1e-130, 1e-12, 1e12, 1e140])
@pytest.mark.parametrize("name", ["knn", "quadrants", "delaunay"])
def test_the_graph_does_not_depend_on_the_unit(name, scale):
    points = np.random.default_rng(3).random((40, 2))
    assert (BUILDERS[name](points * scale) == BUILDERS[name](points)).all()


@pytest.mark.parametrize("scale", [1e-130, 1e-12, 1e12, 1e140])
def test_the_radius_is_in_the_unit_of_the_points(scale):
    points = np.random.default_rng(3).random((40, 2))
    for limit in (None, 3):
        expected = radius_graph(points, 0.3, max_neighbours=limit)
        assert (radius_graph(points * scale, 0.3 * scale, max_neighbours=limit) == expected).all()


def test_coordinates_too_small_to_square_count_as_zero():
    points = np.append(np.arange(40) * 1e-170, 1.0)[:, None]
    neighbours, distances = knn_neighbours(points, 2)
    assert neighbours[:3].tolist() == [[1, 2], [0, 2], [0, 1]]
    assert neighbours[-1].tolist() == [0, 1]
    assert distances[-2:].tolist() == [[0.0, 0.0], [1.0, 1.0]]


# ---- nearest neighbours ----


def test_neighbours_come_by_distance_then_index():
    neighbours, distances = knn_neighbours([[0, 0], [2, 0], [0, 1], [1, 0], [0, -1]], k=4)
    assert neighbours[0].tolist() == [2, 3, 4, 1]
    assert distances[0].tolist() == [1.0, 1.0, 1.0, 2.0]


def test_a_tie_across_the_last_place_goes_to_the_lowest_index():
    circle = np.array([[0, 0], *[[3, 4], [4, 3], [5, 0], [0, 5], [-3, 4], [-4, 3], [-5, 0], [0, -5], [3, -4]]], float)
    assert knn_neighbours(circle, 2)[0][0].tolist() == [1, 2]
    assert knn_neighbours(circle[::-1], 2)[0][-1].tolist() == [0, 1]


def test_fewer_points_than_neighbours_give_all_others():
    neighbours, distances = knn_neighbours(SQUARE, k=10)
    assert neighbours.shape == distances.shape == (4, 3)
    assert neighbours[0].tolist() == [1, 3, 2]


def test_a_point_is_not_its_own_neighbour_among_duplicates():
    neighbours, distances = knn_neighbours(np.zeros((7, 2)), k=3)
    assert neighbours.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert (distances == 0).all()


def test_a_pile_of_many_duplicates_does_not_hide_its_surroundings():
    points = np.concatenate([np.zeros((500, 2)), [[1.0, 0.0]], np.zeros((500, 2)), [[3.0, 0.0]]])
    neighbours, distances = knn_neighbours(points, k=2)
    assert neighbours[500].tolist() == [0, 1]
    assert neighbours[1001].tolist() == [500, 0]
    assert distances[1001].tolist() == [2.0, 3.0]
    assert neighbours[700].tolist() == [0, 1]


def test_negative_zero_equals_zero():
    assert knn_neighbours([[0.0, 0.0], [-0.0, 0.0], [5.0, 5.0]] * 3, 2)[1][0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "3", None])
def test_a_bad_number_of_neighbours_is_refused(k):
    with pytest.raises(InputError, match="`k` must be an integer >= 1, found"):
        knn_neighbours(SQUARE, k)


def test_numpy_integers_are_numbers_of_neighbours():
    assert knn_neighbours(SQUARE, np.int32(2))[0].shape == (4, 2)


def test_nearest_neighbours_make_a_directed_graph_that_each_node_receives_from():
    assert knn_graph([[0, 0], [1, 0], [3, 0]], 1, symmetric=False).tolist() == [[1, 0, 1], [0, 1, 2]]


def test_the_symmetric_graph_is_the_union_of_both_directions():
    points = np.random.default_rng(4).random((50, 2))
    directed = pairs(knn_graph(points, 3, symmetric=False))
    assert pairs(knn_graph(points, 3)) == directed | {(v, u) for u, v in directed}


# ---- quadrants ----


def test_quadrant_neighbours_lead_out_of_a_cluster():
    cluster = np.random.default_rng(5).random((30, 2)) * 0.1
    points = np.concatenate([cluster, [[5.0, 0.05], [-5.0, 0.05]]])
    right = int(cluster[:, 0].argmax())
    assert 30 not in knn_neighbours(points, 8)[0][right]
    assert 30 in quadrant_neighbours(points, 2, 8)[right]


def test_on_a_grid_the_four_axis_neighbours_are_in_four_quadrants():
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
    assert quadrant_neighbours(grid, 1, 4)[12].tolist() == [7, 11, 13, 17]


def test_a_coincident_point_is_always_among_the_quadrant_neighbours():
    around = [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    neighbours = quadrant_neighbours([[0, 0], *around, *around, [0, 0]], 1, 4)
    assert neighbours[0].tolist()[0] == 9
    assert neighbours[9].tolist()[0] == 0


def test_a_quadrant_is_searched_beyond_the_coincident_points_in_it():
    left = np.random.default_rng(11).random((60, 2)) * [-1.0, 1.0] - [0.1, 0.5]
    neighbours = quadrant_neighbours([*left, [0.0, 0.0], [0.0, 0.0], [50.0, 40.0]], 3, 12)
    assert {61, 62} <= set(neighbours[60].tolist())
    assert {60, 62} <= set(neighbours[61].tolist())


def test_quadrants_take_the_share_that_k_allows():
    points = np.random.default_rng(6).random((80, 2))
    expected = quadrant_neighbours(points, 2, 9)
    assert (
        knn_graph(points, 9, symmetric=False, quadrants=True) == knn_graph(points, 9, symmetric=False, quadrants=2)
    ).all()
    assert pairs(knn_graph(points, 9, symmetric=False, quadrants=2)) == {
        (int(j), i) for i, row in enumerate(expected) for j in row
    }


@pytest.mark.parametrize(
    ("points", "per_quadrant", "k", "message"),
    [
        (np.random.default_rng(7).random((50, 2)), 2, 7, r"`k` must be at least per_quadrant \* 2\*\*D = 8, found 7"),
        (np.random.default_rng(7).random((50, 3)), 1, 7, "= 8, found 7"),
        (np.random.default_rng(7).random((50, 4)), 1, 16, r"1 to 3 dimensions, found shape \[50, 4\]"),
        (SQUARE, 0, 5, "`per_quadrant` must be an integer >= 1, found 0"),
        (SQUARE, 1, 0, "`k` must be an integer >= 1, found 0"),
    ],
)
def test_quadrants_that_do_not_fit_are_refused(points, per_quadrant, k, message):
    with pytest.raises(InputError, match=message):
        quadrant_neighbours(points, per_quadrant, k)


def test_quadrants_with_few_points_give_all_others():
    assert quadrant_neighbours(SQUARE, 2, 3).tolist() == knn_neighbours(SQUARE, 3)[0].tolist()
    assert quadrant_neighbours(SQUARE, 5, 100).shape == (4, 3)


def test_no_share_of_k_for_a_quadrant_is_refused():
    with pytest.raises(InputError, match="per_quadrant"):
        knn_graph(np.random.default_rng(8).random((30, 2)), 3, quadrants=True)


# ---- radius ----


def test_the_radius_includes_its_border():
    assert pairs(radius_graph(SQUARE, 1.0)) == both_ways((0, 1), (1, 2), (2, 3), (3, 0))
    assert pairs(radius_graph(SQUARE, np.sqrt(2.0))) == pairs(complete_graph(4))
    assert radius_graph(SQUARE, np.nextafter(1.0, 0.0)).shape == (2, 0)


def test_a_radius_of_zero_joins_coincident_points_only():
    assert pairs(radius_graph([[0, 0], [1, 0], [0, 0]], 0.0)) == {(0, 2), (2, 0)}


def test_a_limit_keeps_the_nearest_senders():
    points = [[0.0, 0.0], [1.0, 0.0], [1.5, 0.0], [9.0, 0.0]]
    assert pairs(radius_graph(points, 2.0, max_neighbours=1)) == {(1, 0), (2, 1), (1, 2)}
    assert pairs(radius_graph(points, 2.0, max_neighbours=3)) == pairs(radius_graph(points, 2.0))


@pytest.mark.parametrize("radius", [-1.0, np.nan, np.inf, "1", None, True])
def test_a_bad_radius_is_refused(radius):
    with pytest.raises(InputError, match="`radius` must be a finite number >= 0, found"):
        radius_graph(SQUARE, radius)


def test_a_bad_limit_is_refused():
    with pytest.raises(InputError, match="`max_neighbours` must be an integer >= 1, found 0"):
        radius_graph(SQUARE, 1.0, max_neighbours=0)


# ---- Delaunay ----


def test_delaunay_of_a_square_has_the_sides_and_one_diagonal():
    edges = pairs(delaunay_graph(SQUARE))
    sides = both_ways((0, 1), (1, 2), (2, 3), (3, 0))
    assert sides < edges
    assert edges - sides in ({(0, 2), (2, 0)}, {(1, 3), (3, 1)})


def test_delaunay_of_a_tetrahedron_is_complete():
    assert (delaunay_graph([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) == complete_graph(4)).all()


@pytest.mark.parametrize("direction", [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [1.0, 1 / 3], [1.0, 2.0, 1 / 7], [1.0]])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_delaunay_of_collinear_points_is_the_path_along_the_line(direction, offset):
    place = np.array([3.0, 0.0, 7.0, 1.0, 4.5])
    points = place[:, None] * np.array(direction) + offset
    assert pairs(delaunay_graph(points)) == both_ways((1, 3), (3, 0), (0, 4), (4, 2))


def test_delaunay_of_points_of_a_plane_in_space_is_that_of_the_plane():
    flat = np.random.default_rng(9).random((40, 2))
    turn, _ = np.linalg.qr(np.random.default_rng(10).normal(size=(3, 3)))
    assert (delaunay_graph(flat @ turn[:2] + 5.0) == delaunay_graph(flat)).all()


def test_delaunay_hangs_duplicates_on_the_first_of_them():
    points = np.array([*SQUARE, SQUARE[2], SQUARE[2], SQUARE[0]])
    edges = pairs(delaunay_graph(points))
    assert edges == pairs(delaunay_graph(SQUARE)) | both_ways((4, 2), (5, 2), (6, 0))


def test_delaunay_of_one_place_is_a_star():
    assert pairs(delaunay_graph(np.ones((4, 2)))) == both_ways((0, 1), (0, 2), (0, 3))


def test_points_that_qhull_leaves_out_still_hang_on_the_mesh(monkeypatch):
    class Mesh:
        def __init__(self, points):
            self.simplices = np.array([[0, 1, 2]])
            self.coplanar = np.array([[3, 0, 1]])

    monkeypatch.setattr(delaunay_module, "Delaunay", Mesh)
    sites = [[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 0.5]]
    assert both_ways((3, 1), (3, 2)) <= pairs(delaunay_graph(sites))


def test_points_that_qhull_cannot_mesh_are_refused(monkeypatch):
    def fail(points):
        raise QhullError("flat")

    monkeypatch.setattr(delaunay_module, "Delaunay", fail)
    with pytest.raises(InputError, match="cannot be triangulated in double precision"):
        delaunay_graph(SQUARE)


# ---- complete and line graphs ----


@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_the_complete_graph_has_every_ordered_pair_once(num):
    edge_index = complete_graph(num)
    assert edge_index.shape == (2, num * (num - 1))
    assert pairs(edge_index) == {(u, v) for u in range(num) for v in range(num) if u != v}


@pytest.mark.parametrize("num", [-1, 2.5, True])
def test_a_bad_number_of_nodes_is_refused(num):
    with pytest.raises(InputError, match="`num_nodes` must be an integer >= 0, found"):
        complete_graph(num)


def test_the_line_graph_of_a_star_is_complete():
    line = line_graph([[0, 0, 0], [1, 2, 3]], 4)
    assert (line.edge_index == complete_graph(3)).all()
    assert (line.shared_node == 0).all()
    assert line.edges.tolist() == [[0, 0, 0], [1, 2, 3]]


def test_listing_an_undirected_edge_in_both_directions_changes_nothing():
    once = line_graph([[0, 1, 2], [1, 2, 0]], 3)
    twice = line_graph([[0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2]], 3)
    assert all((a == b).all() for a, b in zip(once, twice, strict=True))


def test_a_directed_line_graph_follows_the_arrows():
    line = line_graph([[0, 1, 1], [1, 2, 0]], 3, directed=True)
    assert line.edges.tolist() == [[0, 1, 1], [1, 0, 2]]
    assert pairs(line.edge_index) == {(0, 1), (0, 2), (1, 0)}
    assert line.shared_node.tolist() == [0, 1, 1]


@pytest.mark.parametrize("directed", [False, True])
def test_the_line_graph_of_no_edges_is_empty(directed):
    line = line_graph([], 3, directed=directed)
    assert [part.shape for part in line] == [(2, 0), (2, 0), (0,)]


@pytest.mark.parametrize(
    ("edge_index", "message"),
    [
        ([[0, 1, 2]], r"shape \[2, E\], found int64 of shape \[1, 3\]"),
        ([[0.0], [1.0]], "found float64"),
        ([[0, 3], [1, 0]], r"lie in 0\.\.2, found 3 at edge 1"),
        ([[0, -1], [1, 0]], r"lie in 0\.\.2, found -1 at edge 1"),
    ],
)
def test_malformed_edges_are_refused(edge_index, message):
    with pytest.raises(InputError, match=message):
        line_graph(edge_index, 3)


# ---- the door ----


def test_too_few_points_are_counted():
    with pytest.raises(InputError, match="at least 3 points, found 1"):
        as_points([[0.0, 0.0]], min_points=3)


def test_edges_without_a_number_of_nodes_must_not_be_negative():
    assert as_edge_index([[7], [3]]).tolist() == [[7], [3]]
    with pytest.raises(InputError, match="must not be negative, found -2 at edge 0"):
        as_edge_index([[1], [-2]])


def test_the_door_does_not_write_to_the_callers_array():
    points = np.array([[1e-200, 1.0], [2.0, 3.0]])
    before = points.copy()
    as_points(points)
    knn_graph(points, 1)
    delaunay_graph(points)
    assert (points == before).all()


def test_importing_stays_light():
    code = (
        "import sys, gnnlib.graphs as g; heavy = {'torch', 'torch_geometric', 'networkx', 'numba'};"
        "g.knn_graph([[0, 0], [1, 1]], 1); g.GraphSpec('a', 1, 1); print(sorted(heavy & set(sys.modules)));"
        "[getattr(g, name) for name in g.__all__]; print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n['torch']\n"
