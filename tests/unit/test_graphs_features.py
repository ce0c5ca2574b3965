"""Edge features on graphs that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.graphs.features import (
    mean_neighbour_distance,
    normalised_distance,
    radial_basis,
    relative_pose,
    reverse_edge_features,
)

EDGES = torch.tensor([[0, 1, 2, 4, 3], [1, 0, 1, 3, 4]])
LENGTH = torch.tensor([1.0, 1.0, 4.0, 3.0, 5.0])
BATCH = torch.tensor([0, 0, 0, 1, 1])


def test_each_gaussian_is_one_at_its_centre_and_falls_by_the_law():
    basis = radial_basis(torch.tensor([0.0, 1.0, 1.5]), 5, stop=4.0)
    assert torch.allclose(basis[0], torch.exp(-0.5 * torch.arange(5.0) ** 2))
    assert basis[1, 1] == 1.0
    assert torch.isclose(basis[2, 1], torch.tensor(math.exp(-0.125)))


def test_far_distances_read_as_the_last_centre():
    assert torch.equal(radial_basis([4.0], 8), radial_basis([1e9], 8))


def test_the_basis_keeps_type_shape_and_gradient():
    distance = torch.tensor([[0.5, 1.0]], dtype=torch.float32, requires_grad=True)
    basis = radial_basis(distance, 6)
    basis.sum().backward()
    assert basis.shape == (1, 2, 6)
    assert basis.dtype == torch.float32
    assert (distance.grad != 0).any()
    assert radial_basis(np.array([1, 2]), 6).dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num": 1}, "`num` must be an integer >= 2, found 1"),
        ({"stop": 0.0}, "finite and > 0, found 0.0"),
        ({"stop": math.inf}, "finite and > 0"),
        ({"width": -1.0}, "finite and > 0"),
        ({"width": math.nan}, "finite and > 0"),
    ],
)
def test_bad_options_of_the_basis_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        radial_basis([1.0], **options)


@pytest.mark.parametrize("bad", [-0.5, math.nan, math.inf])
def test_bad_distances_are_refused_with_their_place(bad):
    with pytest.raises(InputError, match=r"`distance` must be .* at index \[1\]"):
        radial_basis([1.0, bad])
    with pytest.raises(InputError, match=r"`length` must be .* at index \[1\]"):
        mean_neighbour_distance([[0, 1], [1, 0]], [1.0, bad])


def test_the_mean_is_taken_graph_by_graph():
    assert mean_neighbour_distance(EDGES, LENGTH, BATCH).tolist() == [2.0, 4.0]
    assert mean_neighbour_distance(EDGES, LENGTH).item() == pytest.approx(2.8)


def test_a_graph_without_edges_has_mean_zero():
    assert mean_neighbour_distance([], []).tolist() == [0.0]
    assert mean_neighbour_distance([[0], [0]], [2.0], [0, 1, 2]).tolist() == [2.0, 0.0, 0.0]


def test_distances_are_divided_by_the_mean_of_their_graph_or_receiver():
    assert torch.allclose(normalised_distance(EDGES, LENGTH, BATCH), torch.tensor([0.5, 0.5, 2.0, 0.75, 1.25]))
    local = normalised_distance(EDGES, LENGTH, local=True)
    assert torch.allclose(local, torch.tensor([0.4, 1.0, 1.6, 1.0, 1.0]))


def test_coincident_points_are_at_normalised_distance_zero():
    for local in (False, True):
        assert normalised_distance([[0, 1], [1, 0]], [0.0, 0.0], local=local).tolist() == [0.0, 0.0]


def test_normalising_no_edges_gives_no_distances():
    for local in (False, True):
        assert normalised_distance([], [], local=local).shape == (0,)
    assert normalised_distance([], [], [0, 0]).shape == (0,)


def test_an_edge_is_mutual_if_its_reverse_is_listed():
    features = reverse_edge_features(EDGES, LENGTH)
    assert features.mutual.tolist() == [True, True, False, True, True]


def test_ranks_count_from_the_shortest_at_each_end():
    #       edges: 0->3 (1), 1->3 (2), 2->3 (0.5), 0->1 (3), 0->2 (0.1)
    features = reverse_edge_features([[0, 1, 2, 0, 0], [3, 3, 3, 1, 2]], [1.0, 2.0, 0.5, 3.0, 0.1])
    assert features.receiver_rank.tolist() == [1, 2, 0, 0, 0]
    assert features.sender_rank.tolist() == [1, 0, 0, 2, 0]


def test_equal_lengths_rank_in_order_of_the_other_end():
    features = reverse_edge_features([[2, 0, 1], [3, 3, 3]], [1.0, 1.0, 1.0])
    assert features.receiver_rank.tolist() == [2, 0, 1]


def test_no_edges_have_no_reverse_features():
    assert [part.shape for part in reverse_edge_features([], [])] == [(0,)] * 3


def test_a_sender_ahead_and_one_to_the_left_are_seen_there():
    position = [[0.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]
    heading = [math.pi / 2, math.pi, math.pi / 2]  # the receiver 0 looks along +y
    pose = relative_pose([[1, 2], [0, 0]], position, heading)
    assert torch.allclose(pose[0], torch.tensor([2.0, 0.0, 1.0, 0.0], dtype=torch.float64), atol=1e-12)
    assert torch.allclose(pose[1], torch.tensor([0.0, 3.0, 0.0, 1.0], dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: relative_pose([[0], [1]], [[0.0, 0.0, 0.0]] * 2, [0.0, 0.0]), r"found \[2, 3\] and \[2\]"),
        (lambda: relative_pose([[0], [1]], [[0.0, 0.0]] * 2, [0.0]), r"found \[2, 2\] and \[1\]"),
        (lambda: relative_pose([[0], [2]], [[0.0, 0.0]] * 2, [0.0, 0.0]), r"lie in 0\.\.1, found 2"),
        (lambda: relative_pose([[0], [1]], [[0.0, math.nan]] * 2, [0.0, 0.0]), r"found nan at index \[0, 1\]"),
        (lambda: relative_pose([[0], [1]], [[0.0, 1j]] * 2, [0.0, 0.0]), "must be real"),
        (lambda: reverse_edge_features([[0, 1]], [1.0, 1.0]), r"shape \[2, E\]"),
        (lambda: reverse_edge_features([[0, 1], [1, 0]], [1.0]), r"\[E\] = \[2\], found \[1\]"),
        (lambda: reverse_edge_features([[0], [-1]], [1.0]), "must not be negative, found -1"),
        (lambda: reverse_edge_features([[0.0], [1.0]], [1.0]), "must be integer"),
        (lambda: mean_neighbour_distance([[0], [5]], [1.0], [0, 0]), r"lie in 0\.\.1, found 5"),
        (lambda: mean_neighbour_distance([[0], [1]], [1.0], [0.0, 0.0]), "`batch` must be integer"),
        (lambda: mean_neighbour_distance([[0], [1]], [1.0], [0, -1]), "`batch` must not be negative"),
    ],
)
def test_malformed_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
