"""Properties of the bound and of the kernels that it is made of, on random and degenerate instances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse.csgraph import minimum_spanning_tree

from gnnlib.heads.combinatorial.kernels.complete_tree import CompleteGraph
from gnnlib.heads.combinatorial.kernels.distance import DISTANCE_KINDS, DistanceData, distance
from gnnlib.heads.combinatorial.kernels.held_karp import held_karp_dp
from gnnlib.heads.combinatorial.kernels.linkage import linkage_tour_length, make_linkage, precondition
from gnnlib.heads.combinatorial.kernels.one_tree import one_tree_bound
from gnnlib.heads.combinatorial.kernels.penalised_tree import SparseGraph, make_work, minimum_one_tree

PLANE = ["EUCLIDEAN", "EUC_2D", "CEIL_2D", "ATT", "MAN_2D", "MAX_2D"]


@st.composite
def planes(draw, least=4, most=9):
    """Points on a coarse lattice, many of them equal or on a line, under any of the rules of the plane."""
    n = draw(st.integers(least, most))
    side = draw(st.sampled_from([1, 3, 30, 1000]))
    points = draw(arrays(np.int64, (n, 2), elements=st.integers(0, side)))
    coords = np.zeros((n, 3))
    coords[:, :2] = points
    return DistanceData(DISTANCE_KINDS[draw(st.sampled_from(PLANE))], coords, np.zeros((1, 1)))


@st.composite
def matrices(draw, least=4, most=9):
    """Symmetric matrices with negative entries and no triangle inequality."""
    n = draw(st.integers(least, most))
    values = draw(arrays(np.int64, (n, n), elements=st.integers(-50, 100))).astype(float)
    matrix = np.triu(values, 1)
    return DistanceData(0, np.zeros((1, 3)), matrix + matrix.T)


def full_matrix(data):
    n = len(data.matrix) if data.kind == 0 else len(data.coords)
    return np.array([[distance.py_func(data, i, j) if i != j else 0.0 for j in range(n)] for i in range(n)])


def nearest(matrix, k):
    apart = matrix + np.diag(np.full(len(matrix), np.inf))
    near = np.argsort(apart, axis=1, kind="stable")[:, : min(k, len(matrix) - 1)]
    return near, np.take_along_axis(apart, near, axis=1)[:, -1]


def tree_weight(weights):
    """Weight of a minimum spanning tree of the complete graph, by scipy (which takes 0 for a missing edge)."""
    shift = 1.0 - weights.min()
    return minimum_spanning_tree(np.triu(weights + shift, 1)).sum() - shift * (len(weights) - 1)


@settings(max_examples=60, deadline=None)
@given(st.one_of(planes(), matrices()), st.integers(1, 5), st.sampled_from([1, 7, 60]))
def test_bound_never_exceeds_the_optimum(data, k, iterations):
    matrix = full_matrix(data)
    near, radius = nearest(matrix, k)
    _, optimum = held_karp_dp(matrix)
    bound = one_tree_bound(data, near, radius, max_iterations=iterations).bound
    assert bound <= optimum + 1e-9 * max(1.0, abs(optimum))
    at_once = one_tree_bound(data, near, radius, seconds=0.0).bound
    assert at_once <= optimum + 1e-9 * max(1.0, abs(optimum))


@settings(max_examples=40, deadline=None)
@given(planes(least=9, most=40), st.integers(0, 2**16), st.integers(1, 8))
def test_complete_tree_weighs_what_scipy_says(data, seed, k):
    matrix = full_matrix(data)
    graph = CompleteGraph(data)
    n = graph.size
    inside = matrix[np.ix_(graph.order, graph.order)]
    scale = max(matrix.max(), 1.0)
    penalties = np.random.default_rng(seed).normal(size=n) * scale
    near, radius = nearest(inside, k)
    weights = inside + penalties[:, None] + penalties[None]
    tails = np.repeat(np.arange(n, dtype=np.int32), near.shape[1])
    heads = near.ravel().astype(np.int32)
    kept = tails < heads
    sparse = SparseGraph(tails[kept], heads[kept], inside[tails[kept], heads[kept]])
    work = make_work(n, int(kept.sum()))
    # pairs that only the farther end lists are left out of the graph, so the radius may not count on them
    radius = np.zeros(n) if (~kept).any() else radius
    minimum_one_tree(sparse, penalties, work)
    chosen = work.tree[: work.size[0]]
    found = graph.spanning_tree(penalties, sparse.tails[chosen], sparse.heads[chosen], radius)
    assert found is not None
    assert abs(weights[found].sum() - tree_weight(weights)) <= 1e-9 * scale * n


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 30), st.integers(0, 2**16), st.booleans())
def test_sparse_one_tree_is_a_spanning_tree_and_the_heaviest_second_edge(n, seed, ties):
    rng = np.random.default_rng(seed)
    tails, heads = np.triu_indices(n, 1)
    lengths = rng.integers(1, 4, len(tails)).astype(float) if ties else rng.random(len(tails))
    penalties = rng.integers(-2, 3, n).astype(float)
    graph = SparseGraph(tails.astype(np.int32), heads.astype(np.int32), lengths)
    work = make_work(n, len(tails))
    value = minimum_one_tree(graph, penalties, work)
    weights = np.full((n, n), np.inf)
    weights[tails, heads] = lengths + penalties[tails] + penalties[heads]
    weights = np.minimum(weights, weights.T)
    tree = work.tree[: work.size[0]]
    assert len(tree) == n - 1
    degree = np.bincount(np.r_[tails[tree], heads[tree]], minlength=n)
    seconds = [np.sort(weights[leaf])[1] for leaf in np.flatnonzero(degree == 1)]
    plain = tree_weight(np.where(np.isfinite(weights), weights, 0.0)) + max(seconds) - 2.0 * penalties.sum()
    assert abs(value - plain) <= 1e-9 * max(1.0, abs(plain))
    assert work.excess.sum() == 0
    extra = work.leaf[1]
    assert extra not in tree
    assert np.array_equal(
        np.bincount(np.r_[tails[tree], heads[tree], tails[extra], heads[extra]], minlength=n) - 2, work.excess
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 25), st.integers(0, 2**16))
def test_preconditioner_is_the_kernel_of_the_ultrametric(n, seed):
    rng = np.random.default_rng(seed)
    points = rng.random((n, 2)) * rng.choice([1.0, 50.0], (n, 1))
    matrix = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    tree = minimum_spanning_tree(matrix).tocoo()
    by_length = np.argsort(tree.data)
    tails, heads = tree.row[by_length].astype(np.int32), tree.col[by_length].astype(np.int32)
    linkage = make_linkage(tails, heads, tree.data[by_length], np.zeros(n))
    meet = np.zeros((n, n))  # height at which two cities come together, from the definition: the minimax path
    group = [{i} for i in range(n)]
    for i, j, length in zip(tails, heads, tree.data[by_length], strict=True):
        for a in group[i]:
            for b in group[j]:
                meet[a, b] = meet[b, a] = length
        joined = group[i] | group[j]
        for city in joined:
            group[city] = joined
    kernel = meet.max() - meet
    slope = rng.integers(-2, 5, n).astype(np.int32)
    out = np.empty(2 * n - 1)
    square = precondition(linkage, slope, out)
    assert np.allclose(out[:n], kernel @ slope, atol=1e-9 * meet.max() * n)
    assert abs(square - slope @ kernel @ slope) <= 1e-9 * meet.max() * n * n
    assert np.linalg.eigvalsh(kernel).min() >= -1e-9 * meet.max() * n


@settings(max_examples=40, deadline=None)
@given(planes(least=3, most=9))
def test_tour_of_the_linkage_is_no_shorter_than_the_optimum(data):
    matrix = full_matrix(data)
    n = len(matrix)
    tree = minimum_spanning_tree(np.triu(matrix + 1.0, 1)).tocoo()
    by_length = np.argsort(tree.data, kind="stable")
    tails, heads = tree.row[by_length].astype(np.int32), tree.col[by_length].astype(np.int32)
    length = linkage_tour_length(data, tails, heads)
    _, optimum = held_karp_dp(matrix)
    assert optimum - 1e-9 * max(1.0, optimum) <= length <= n * matrix.max() + 1e-9
