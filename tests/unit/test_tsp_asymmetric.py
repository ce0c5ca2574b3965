"""Asymmetric problems: reduced costs, bound and tour."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import gnnlib
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance, _reduced
from gnnlib.heads.combinatorial.tsp.problem import TSP


def random_costs(n, seed=0):
    costs = np.random.default_rng(seed).integers(1, 10_001, (n, n)).astype(float)
    np.fill_diagonal(costs, 0.0)
    return costs


def nearly_symmetric_costs(n, seed=0):
    rng = np.random.default_rng(seed)
    points = 1000.0 * rng.random((n, 2))
    return np.rint(np.linalg.norm(points[:, None] - points, axis=2) * (1.0 + 0.1 * rng.random((n, n))))


def assignment_value(costs):
    barred = costs.copy()
    np.fill_diagonal(barred, 1e9)
    return barred[linear_sum_assignment(barred)].sum()


def test_reduced_costs_change_every_tour_by_the_value_of_the_assignment():
    costs = random_costs(50)
    reduced, total = _reduced(costs)
    assert total == pytest.approx(assignment_value(costs))
    off_diagonal = ~np.eye(50, dtype=bool)
    assert reduced[off_diagonal].min() >= 0.0
    assert (reduced[off_diagonal] == 0.0).sum() >= 50
    rng = np.random.default_rng(1)
    for _ in range(5):
        tour = rng.permutation(50).tolist()
        edges = [*pairwise(tour), (tour[-1], tour[0])]
        assert sum(costs[e] for e in edges) == pytest.approx(total + sum(reduced[e] for e in edges))


def test_nearly_symmetric_costs_are_left_alone():
    costs = nearly_symmetric_costs(60)
    reduced, total = _reduced(costs)
    assert total == 0.0
    assert np.array_equal(reduced, costs)


@pytest.mark.parametrize("make", [random_costs, nearly_symmetric_costs])
def test_lengths_and_orders_survive_the_doubling(make):
    problem = TSP.from_matrix(make(40))
    instance = SearchInstance.build(problem, 8)
    order = np.random.default_rng(2).permutation(40)
    tour = instance.from_order(order)
    length = sum(instance.data.matrix[a, b] for a, b in [*pairwise(tour), (tour[-1], tour[0])])
    assert length + instance.offset == pytest.approx(problem.length(order))
    back = instance.to_order(tour)
    assert problem.length(back) == pytest.approx(problem.length(order))


def test_random_asymmetric_costs_are_solved_close_to_the_assignment():
    costs = random_costs(120, seed=3)
    result = gnnlib.solve_tsp(costs, stop=gnnlib.MaxIterations(400), seed=0)
    assert assignment_value(costs) - 1e-6 <= result.lower_bound <= result.length
    assert result.gap < 0.02


def test_the_bound_of_nearly_symmetric_costs_is_that_of_the_tree_and_not_the_assignment():
    costs = nearly_symmetric_costs(80, seed=4)
    result = gnnlib.solve_tsp(costs, stop=gnnlib.MaxIterations(400), seed=0)
    assert result.lower_bound > 1.05 * assignment_value(costs)
    assert result.gap < 0.06
