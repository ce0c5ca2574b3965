"""The graph of a travelling salesman problem: what is in it, and what must not be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.data.generate import clustered, uniform
from gnnlib.errors import InputError
from gnnlib.graphs.build import knn_neighbours
from gnnlib.heads.combinatorial.kernels.neighbourhood import EDGE_FEATURES, edge_features, reverse_slots
from gnnlib.heads.combinatorial.tsp.graph import TSP_SPEC, TourGraph, join_tour_graphs, neighbour_graph, tour_graph
from gnnlib.heads.combinatorial.tsp.problem import TSP


def by_edge(graph: TourGraph) -> dict[tuple[int, int], np.ndarray]:
    """Features of every edge under its end points."""
    pairs = map(tuple, graph.edge_index.T.tolist())
    return dict(zip(pairs, graph.edge_attr.double().numpy(), strict=True))


def assert_same_graph(found: TourGraph, expected: TourGraph, number: np.ndarray | None = None) -> None:
    """Compare two graphs; city i of `expected` is city ``number[i]`` of `found`."""
    number = np.arange(expected.num_nodes) if number is None else number
    np.testing.assert_allclose(found.x.numpy()[number], expected.x.numpy(), atol=1e-5)
    features = by_edge(found)
    assert found.num_edges == expected.num_edges
    for (i, j), row in by_edge(expected).items():
        np.testing.assert_allclose(features[number[i], number[j]], row, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    angle=st.floats(0.0, 2.0 * math.pi),
    scale=st.sampled_from([1e-9, 0.3, 7.0, 1e9]),
    mirrored=st.booleans(),
    is_clustered=st.booleans(),
)
def test_moving_turning_mirroring_scaling_and_renumbering_give_the_same_graph(
    seed, angle, scale, mirrored, is_clustered
):
    points = (clustered if is_clustered else uniform)(40, seed=seed)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    if mirrored:
        turn = turn @ np.diag([1.0, -1.0])
    number = np.random.default_rng(seed).permutation(40)
    moved = np.empty_like(points)
    moved[number] = scale * (points @ turn.T + [3.0, -5.0])
    assert_same_graph(tour_graph(TSP.from_coords(moved)), tour_graph(TSP.from_coords(points)), number)


def test_a_matrix_gives_the_graph_of_its_points():
    problem = TSP.from_coords(uniform(60, seed=3))
    assert_same_graph(tour_graph(TSP.from_matrix(problem.distance_matrix())), tour_graph(problem))


def test_every_city_receives_its_nearest_neighbours_in_order():
    points = uniform(50, seed=1)
    graph = tour_graph(TSP.from_coords(points), num_neighbours=7)
    neighbours, _ = knn_neighbours(points, 7)
    assert graph.edge_index[0].view(50, 7).tolist() == neighbours.tolist()
    assert graph.edge_index[1].tolist() == np.repeat(np.arange(50), 7).tolist()
    assert graph.edge_attr.shape == (350, TSP_SPEC.edge_dim)
    assert graph.x.shape == (50, TSP_SPEC.node_dim)


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_few_cities_have_fewer_neighbours(n):
    graph = tour_graph(TSP.from_coords(uniform(n, seed=n)), range(n))
    assert graph.num_edges == n * (n - 1)
    assert torch.isfinite(graph.edge_attr).all()
    assert int(graph.label.sum()) == (2 * n if n > 2 else 2)


@pytest.mark.parametrize(
    "points",
    [np.zeros((30, 2)), np.repeat(uniform(6, seed=0), 8, axis=0), np.c_[np.arange(40.0), np.zeros(40)]],
    ids=["all equal", "piles", "on a line"],
)
def test_degenerate_points_give_finite_features(points):
    graph = tour_graph(TSP.from_coords(points))
    assert torch.isfinite(graph.edge_attr).all()
    assert torch.isfinite(graph.x).all()
    assert float(graph.edge_attr.abs().max()) <= 15.0


def test_labels_are_the_edges_of_the_tour_in_either_direction():
    problem = TSP.from_coords(uniform(40, seed=2))
    order = np.random.default_rng(0).permutation(40)
    graph = tour_graph(problem, order)
    on_tour = {frozenset(pair) for pair in zip(order.tolist(), np.roll(order, -1).tolist(), strict=True)}
    expected = [frozenset(pair) in on_tour for pair in graph.edge_index.T.tolist()]
    assert graph.label.tolist() == expected


def test_reverse_edges_are_found():
    neighbours, _ = knn_neighbours(uniform(60, seed=5), 6)
    reverse = reverse_slots(neighbours.astype(np.int32)).ravel()
    sender, receiver = neighbours.ravel(), np.repeat(np.arange(60), 6)
    places = {(s, r): e for e, (s, r) in enumerate(zip(sender.tolist(), receiver.tolist(), strict=True))}
    expected = [places.get((r, s), -1) for s, r in zip(sender.tolist(), receiver.tolist(), strict=True)]
    assert reverse.tolist() == expected
    assert -1 in expected


def test_features_of_a_known_figure_are_those_done_by_hand():
    # 0 and 1 are 2 apart, 2 stands 0.5 above the middle, 3 is 1.5 to the left of 0
    points = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.5], [-1.5, 0.0]])
    graph = tour_graph(TSP.from_coords(points))
    row = by_edge(graph)[1, 0]
    own = row[25:33]  # as city 0 sees its edge to 1, behind 24 Gaussians and the mutual flag
    a = math.hypot(1.0, 0.5)  # from 0 to 2, and from 1 to 2
    assert row[24] == 1.0
    nearer = 2  # 2 and 3
    lune, gabriel = 1, 1  # 2 only
    unit = (2.0 + a + 1.5) / 3.0
    expected = [nearer / 3, 1 / (1 + nearer), lune / 2, gabriel / 2, 2 * a / 2.0 - 1.0, 1.0 / a, -1.0]
    np.testing.assert_allclose(own, [*expected, math.exp(-1.5 / unit)], atol=1e-6)
    np.testing.assert_allclose(row[33:], by_edge(graph)[0, 1][25:33], atol=1e-7)


def test_the_compiled_features_are_those_of_the_plain_function():
    points = clustered(30, seed=4)
    neighbours, lengths = knn_neighbours(points, 5)
    near = neighbours.astype(np.int32)
    data = TSP.from_coords(points).distance_data()
    reverse = reverse_slots.py_func(near)
    args = (data, near, lengths, reverse, float(lengths.mean()))
    np.testing.assert_allclose(edge_features(*args), edge_features.py_func(*args), atol=1e-6)
    assert edge_features(*args).shape == (150, EDGE_FEATURES)


def test_rounding_errors_make_no_neighbour_nearer():
    square = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    exact = tour_graph(TSP.from_coords(square))
    shifted = tour_graph(TSP.from_coords(square * 0.1 + 0.7))
    np.testing.assert_allclose(shifted.edge_attr, exact.edge_attr, atol=1e-5)


def test_a_batch_keeps_its_graphs_apart():
    first, second = (tour_graph(TSP.from_coords(uniform(n, seed=n)), range(n)) for n in (20, 30))
    batch = join_tour_graphs([first, second])
    assert batch.num_graphs == 2
    assert torch.equal(batch.edge_index[:, 200:] - 20, second.edge_index)
    assert torch.equal(batch.label, torch.cat([first.label, second.label]))
    tail = batch.reverse[200:]
    assert torch.equal(torch.where(tail < 0, tail, tail - 200), second.reverse)


def test_a_graph_that_is_moved_keeps_all_its_tensors():
    graph = tour_graph(TSP.from_coords(uniform(20, seed=0)), range(20)).to("cpu", torch.float64)
    assert graph.edge_attr.dtype == torch.float64
    assert graph.label.dtype == torch.bool
    assert graph.reverse.dtype == torch.int64


def test_negative_lengths_of_prescribed_edges_read_as_zero():
    points = uniform(12, seed=0)
    neighbours, lengths = knn_neighbours(points, 5)
    rewarded = lengths.copy()
    rewarded[:, 2] = -100.0
    cut = np.where(rewarded < 0.0, 0.0, rewarded)
    data = TSP.from_coords(points).distance_data()
    found, expected = neighbour_graph(data, neighbours, rewarded), neighbour_graph(data, neighbours, cut)
    assert torch.equal(found.edge_attr, expected.edge_attr)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (TSP.from_matrix([[0, 1, 2], [3, 0, 4], [5, 6, 0]]), "needs symmetric distances"),
        (TSP.from_coords([[0.0, 0.0]]), "at least 2 cities"),
    ],
)
def test_problems_without_a_graph_are_refused(problem, message):
    with pytest.raises(InputError, match=message):
        tour_graph(problem)


def test_batches_of_nothing_or_of_mixed_graphs_are_refused():
    problem = TSP.from_coords(uniform(10, seed=0))
    with pytest.raises(InputError, match="at least one graph"):
        join_tour_graphs([])
    with pytest.raises(InputError, match="all or none"):
        join_tour_graphs([tour_graph(problem), tour_graph(problem, range(10))])
