"""The exact dynamic programme against brute force."""

from itertools import permutations

import numpy as np
import pytest

from gnnlib.heads.combinatorial.kernels.held_karp import held_karp_dp


def cost(matrix, order):
    return float(sum(matrix[a, b] for a, b in zip(order, [*order[1:], order[0]], strict=True)))


def brute_force(matrix):
    return min(cost(matrix, (0, *rest)) for rest in permutations(range(1, len(matrix))))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8])
def test_length_is_that_of_brute_force(n, symmetric):
    rng = np.random.default_rng(n)
    for _ in range(3):
        matrix = rng.integers(-5, 40, (n, n)).astype(float)
        if symmetric:
            matrix = matrix + matrix.T
        order, length = held_karp_dp(matrix)
        assert length == brute_force(matrix)
        assert sorted(order.tolist()) == list(range(n))
        assert cost(matrix, order.tolist()) == length


def test_length_of_twelve_cities_is_below_that_of_any_order_tried():
    rng = np.random.default_rng(0)
    matrix = rng.random((12, 12))
    order, length = held_karp_dp(matrix)
    assert cost(matrix, order.tolist()) == pytest.approx(length, rel=1e-14)
    assert length <= min(cost(matrix, rng.permutation(12)) for _ in range(2000))


def test_direction_matters_when_the_distances_are_asymmetric():
    matrix = np.full((5, 5), 10.0)
    for i in range(5):
        matrix[(i + 1) % 5, i] = 1.0  # cheap against the numbering only
    order, length = held_karp_dp(matrix)
    assert (order.tolist(), length) == ([0, 4, 3, 2, 1], 5.0)


def test_compiled_programme_equals_its_plain_twin():
    matrix = np.random.default_rng(1).random((7, 7))
    order, length = held_karp_dp(matrix)
    plain_order, plain_length = held_karp_dp.py_func(matrix)
    assert order.tolist() == plain_order.tolist()
    assert length == plain_length
