"""The 1-tree bound and alpha-nearness against plain definitions on instances small enough for them."""

import math

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.alpha import alpha_candidates
from gnnlib.heads.combinatorial.kernels.distance import DISTANCE_KINDS, DistanceData, distance
from gnnlib.heads.combinatorial.kernels.held_karp import held_karp_dp
from gnnlib.heads.combinatorial.kernels.one_tree import one_tree_bound


def on_plane(points, kind="EUCLIDEAN"):
    points = np.asarray(points, float)
    coords = np.zeros((len(points), 3))
    coords[:, : points.shape[1]] = points
    return DistanceData(DISTANCE_KINDS[kind], coords, np.zeros((1, 1)))


def explicit(matrix):
    return DistanceData(0, np.zeros((1, 3)), np.ascontiguousarray(matrix, float))


def full_matrix(data):
    n = len(data.matrix) if data.kind == 0 else len(data.coords)
    return np.array([[distance.py_func(data, i, j) if i != j else 0.0 for j in range(n)] for i in range(n)])


def nearest(matrix, k):
    apart = matrix + np.diag(np.full(len(matrix), np.inf))
    near = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return near, np.take_along_axis(apart, near, axis=1)[:, -1]


def bound_of(data, k=7, **options):
    near, radius = nearest(full_matrix(data), k)
    return one_tree_bound(data, near, radius, **options)


def plain_spanning_tree(weights):
    """Edges of a minimum spanning tree of the complete graph, by Prim's algorithm on plain lists."""
    n = len(weights)
    inside, edges = {0}, []
    while len(inside) < n:
        _, i, j = min((weights[i, j], i, j) for i in inside for j in range(n) if j not in inside)
        inside.add(j)
        edges.append((i, j))
    return edges


def plain_dual(matrix, penalties):
    """Greatest weight of a minimum 1-tree over the choices of its leaf, less twice the penalties."""
    weights = matrix + penalties[:, None] + penalties[None]
    edges = plain_spanning_tree(weights)
    degree = np.bincount(np.ravel(edges), minlength=len(matrix))
    extra = max(np.sort(np.delete(weights[leaf], leaf))[1] for leaf in np.flatnonzero(degree == 1))
    return sum(weights[e] for e in edges) + extra - 2.0 * penalties.sum()


def uniform(n, seed=0):
    return np.random.default_rng(seed).random((n, 2))


def clustered(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((4, 2))[rng.integers(0, 4, n)] * 1000.0 + rng.normal(size=(n, 2))


def ring(n):
    angle = 2.0 * np.pi * np.arange(n) / n
    return 1000.0 * np.column_stack([np.cos(angle), np.sin(angle)])


def test_bound_of_cities_on_a_circle_is_the_length_of_the_circle():
    data = on_plane(ring(40)[np.random.default_rng(0).permutation(40)])
    bound = bound_of(data)
    assert bound.bound == pytest.approx(40 * 2000.0 * math.sin(math.pi / 40), rel=1e-9)
    assert (bound.degrees == 2).all()
    assert bound.converged


@pytest.mark.parametrize("kind", sorted(set(DISTANCE_KINDS) - {"EXPLICIT"}))
def test_bound_is_the_dual_value_of_its_penalties_over_the_complete_graph(kind):
    points = clustered(70, seed=len(kind))
    if kind == "GEO":
        points = points / 1000.0  # radians
    data = on_plane(np.column_stack([points, points[:, ::-1].sum(axis=1)]) if kind == "EUC_3D" else points, kind)
    bound = bound_of(data, k=5, max_iterations=60)
    exact = plain_dual(full_matrix(data), bound.penalties)
    if kind == "EUCLIDEAN":
        assert bound.bound <= exact
        assert bound.bound == pytest.approx(exact, rel=1e-9)
    else:
        assert bound.bound == math.ceil(exact - 1e-6)


@pytest.mark.parametrize("make", [uniform, clustered])
def test_tree_is_a_minimum_spanning_tree_in_the_callers_numbering(make):
    data = on_plane(make(90))
    bound = bound_of(data, max_iterations=40)
    weights = full_matrix(data) + bound.penalties[:, None] + bound.penalties[None]
    tree = bound.tree
    assert tree.shape == (89, 2)
    assert weights[tree[:, 0], tree[:, 1]].sum() == pytest.approx(
        sum(weights[e] for e in plain_spanning_tree(weights)), rel=1e-9
    )
    degree = np.bincount(tree.ravel(), minlength=90)
    assert degree[bound.leaf] == 1
    assert bound.second == pytest.approx(np.sort(np.delete(weights[bound.leaf], bound.leaf))[1])
    assert bound.second == pytest.approx(weights[bound.leaf, bound.partner])
    assert bound.degrees.sum() == 180


def test_ascent_closes_most_of_the_gap_between_the_plain_tree_and_the_optimum():
    data = on_plane(uniform(12, seed=4))
    matrix = full_matrix(data)
    _, optimum = held_karp_dp(matrix)
    start = plain_dual(matrix, np.zeros(12))
    bound = bound_of(data).bound
    assert bound <= optimum + 1e-9
    assert optimum - bound < 0.2 * (optimum - start)


def test_lists_of_one_neighbour_and_no_radius_still_prove_the_complete_graph():
    data = on_plane(clustered(60, seed=2))
    near, _ = nearest(full_matrix(data), 1)
    bound = one_tree_bound(data, near, np.full(60, -np.inf), max_iterations=80)
    assert bound.bound == pytest.approx(plain_dual(full_matrix(data), bound.penalties), rel=1e-9)
    assert bound.bound > 0.97 * bound_of(data, k=8).bound


def test_bound_of_far_clusters_counts_every_gap_twice():
    rng = np.random.default_rng(0)
    centres = np.repeat([[0.0, 0.0], [1e4, 0.0], [0.0, 1e4]], 30, axis=0)
    bound = bound_of(on_plane(centres + rng.random((90, 2))), k=5).bound
    assert bound > 0.999 * (2e4 + math.hypot(1e4, 1e4))


def test_prescribed_edges_as_great_rewards_keep_the_bound_valid_and_tight():
    matrix = full_matrix(on_plane(1000.0 * uniform(10, seed=7), "EUC_2D"))
    reward = 1e7
    for i, j in ((0, 5), (3, 8)):
        matrix[i, j] -= reward
        matrix[j, i] -= reward
    _, optimum = held_karp_dp(matrix)
    bound = bound_of(explicit(matrix), k=6).bound
    assert bound <= optimum
    assert optimum - bound < 0.05 * (optimum + 2 * reward)


def test_an_asymmetric_problem_doubled_keeps_the_bound_valid_and_tight():
    rng = np.random.default_rng(3)
    n, bar = 9, 1e5
    costs = rng.integers(10, 100, (n, n)).astype(float)
    _, optimum = held_karp_dp(costs)
    matrix = np.full((2 * n, 2 * n), bar)
    matrix[n:, :n], matrix[:n, n:] = costs, costs.T
    for i in range(n):
        matrix[i, i + n] = matrix[i + n, i] = -bar
    bound = bound_of(explicit(matrix), k=10).bound + n * bar
    assert bound <= optimum
    assert bound > 0.85 * optimum


@pytest.mark.parametrize("points", [np.zeros((6, 2)), np.column_stack([np.arange(9.0), np.zeros(9)])])
def test_coinciding_and_collinear_cities_have_a_tight_bound(points):
    bound = bound_of(on_plane(points, "EUC_2D"), k=4)
    assert bound.bound == 2.0 * np.ptp(points[:, 0])


def test_three_cities_are_bounded_by_their_only_tour():
    points = [[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]
    assert bound_of(on_plane(points), k=2).bound == pytest.approx(12.0)
    assert bound_of(explicit(full_matrix(on_plane(points))), k=1).bound == 12.0


def test_without_time_the_bound_is_the_two_neighbour_bound():
    data = on_plane(uniform(50))
    matrix = full_matrix(data)
    bound = bound_of(data, seconds=0.0)
    two = np.sort(matrix + np.diag(np.full(50, np.inf)), axis=1)[:, :2].sum() / 2.0
    assert bound.bound == pytest.approx(two)
    assert (bound.iterations, bound.converged) == (0, False)
    assert not bound.penalties.any()
    assert len(bound.tree) == 49


def test_two_runs_with_the_same_number_of_iterations_are_equal():
    data = on_plane(clustered(200))
    first, second = bound_of(data, max_iterations=50), bound_of(data, max_iterations=50)
    assert first.bound == second.bound
    assert np.array_equal(first.penalties, second.penalties)
    assert np.array_equal(first.tree, second.tree)
    assert first.iterations == 50


def test_a_tour_or_its_length_steers_the_steps_but_not_the_validity():
    data = on_plane(uniform(12, seed=9))
    order, optimum = held_karp_dp(full_matrix(data))
    for options in ({"tour": order}, {"upper_bound": optimum}, {"upper_bound": 3.0 * optimum}, {"tour": np.arange(12)}):
        assert 0.9 * optimum < bound_of(data, **options).bound <= optimum + 1e-9


def test_an_upper_bound_that_is_wrong_ends_the_ascent_with_a_valid_bound():
    data = on_plane(uniform(12, seed=9))
    _, optimum = held_karp_dp(full_matrix(data))
    assert bound_of(data, upper_bound=0.5 * optimum).bound <= optimum


@pytest.mark.parametrize(
    ("neighbours", "radius", "message"),
    [
        (np.zeros((4, 2), int), np.zeros(5), r"found \[4, 2\] and \[5\] for N = 5"),
        (np.zeros((5, 0), int), np.zeros(5), r"\[5, 0\]"),
        (np.zeros((5, 2), int), np.zeros(4), r"and \[4\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(neighbours, radius, message):
    with pytest.raises(InputError, match=message):
        one_tree_bound(on_plane(uniform(5)), neighbours, radius)


@pytest.mark.parametrize("listed", [2, -1, 5])
def test_a_row_that_lists_its_own_city_or_none_is_refused(listed):
    near, radius = nearest(full_matrix(on_plane(uniform(5))), 3)
    near[2, 1] = listed
    with pytest.raises(InputError, match=r"0 to 4, found .* in row 2"):
        one_tree_bound(on_plane(uniform(5)), near, radius)


def test_no_iterations_are_refused():
    with pytest.raises(InputError, match="max_iterations"):
        bound_of(on_plane(uniform(5)), k=2, max_iterations=0)


def test_two_cities_are_refused():
    with pytest.raises(InputError, match="N >= 3"):
        one_tree_bound(on_plane([[0.0, 0.0], [1.0, 0.0]]), np.array([[1], [0]]), np.zeros(2))


def plain_alpha(matrix, bound):
    """Growth of the minimum 1-tree at the given leaf when it must hold each edge; one spanning tree an edge."""
    n, leaf = len(matrix), bound.leaf
    weights = matrix + bound.penalties[:, None] + bound.penalties[None]
    rest = [i for i in range(n) if i != leaf]
    at_leaf = np.sort(weights[leaf, rest])

    def tree_weight(forced=None):
        inner = weights[np.ix_(rest, rest)].copy()
        extra = 0.0
        if forced is not None:
            i, j = (rest.index(c) for c in forced)
            extra = inner[i, j] + 1e6
            inner[i, j] = inner[j, i] = -1e6
        return sum(inner[e] for e in plain_spanning_tree(inner)) + extra

    least = tree_weight()
    alpha = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            at_the_leaf = leaf in (i, j)
            grown = max(0.0, weights[i, j] - at_leaf[1]) if at_the_leaf else tree_weight((i, j)) - least
            alpha[i, j] = alpha[j, i] = grown
    return alpha


@pytest.mark.parametrize("make", [uniform, clustered])
def test_alpha_is_the_growth_of_the_tree_that_must_hold_the_edge(make):
    data = on_plane(make(24, seed=5))
    matrix = full_matrix(data)
    near, radius = nearest(matrix, 9)
    bound = one_tree_bound(data, near, radius, max_iterations=30)
    dense = plain_alpha(matrix, bound)
    cities, alpha = alpha_candidates(data, bound, near.astype(np.int32), 9)
    assert alpha == pytest.approx(np.take_along_axis(dense, cities.astype(int), axis=1), abs=1e-6 * matrix.max())
    assert (np.diff(alpha, axis=1) >= 0).all()
    assert [sorted(row) for row in cities.tolist()] == [sorted(row) for row in near.tolist()]


def test_fewer_alpha_candidates_are_the_first_of_the_more():
    data = on_plane(uniform(60))
    near, radius = nearest(full_matrix(data), 10)
    bound = one_tree_bound(data, near, radius)
    five, alpha = alpha_candidates(data, bound, near.astype(np.int32), 5)
    ten, _ = alpha_candidates(data, bound, near.astype(np.int32), 10)
    assert five.dtype == np.int32
    assert five.shape == alpha.shape == (60, 5)
    assert np.array_equal(five, ten[:, :5])


def test_edges_of_the_one_tree_have_alpha_zero():
    data = on_plane(uniform(40, seed=8))
    near, radius = nearest(full_matrix(data), 39)
    bound = one_tree_bound(data, near, radius, max_iterations=50)
    cities, alpha = alpha_candidates(data, bound, near.astype(np.int32), 39)
    of = {(i, int(j)): a for i in range(40) for j, a in zip(cities[i], alpha[i], strict=True)}
    edges = [*map(tuple, bound.tree.tolist()), (bound.leaf, bound.partner)]
    assert all(of[i, j] == pytest.approx(0.0, abs=1e-9) for i, j in edges)
