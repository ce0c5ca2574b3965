"""What the policy is told of the future: a bound that bounds, and routes by savings that are those of the baseline."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree

from gnnlib.heads.combinatorial.vrp.baselines import savings
from gnnlib.heads.combinatorial.vrp.generate import uniform_vrp
from gnnlib.heads.combinatorial.vrp.graph import length_unit, near_clients
from gnnlib.heads.combinatorial.vrp.policy import _lay_out
from gnnlib.heads.combinatorial.vrp.policy_ahead import ascend, path_bound
from gnnlib.heads.combinatorial.vrp.policy_completions import (
    rest_by_insertion,
    rest_by_savings,
    rest_in_time,
    savings_pairs,
)
from gnnlib.heads.combinatorial.vrp.problem import VRP


def distances(num_places, seed):
    places = np.random.default_rng(seed).random((num_places, 2))
    return np.linalg.norm(places[:, None] - places, axis=-1)


def cheapest_path(dist, left, head):
    return min(dist[[head, *order], [*order, 0]].sum() for order in itertools.permutations(left))


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize("seed", range(6))
def test_the_bound_stays_below_the_cheapest_path_and_the_ascent_raises_it(seed, head):
    dist, left = distances(8, seed), np.arange(8)
    left = left[(left != 0) & (left != head)]
    penalties, degree = np.zeros(8), np.zeros(8, np.int64)
    plain = path_bound(dist, penalties, left, len(left), head, degree)
    assert degree[left].sum() == 2 * len(left)
    raised = ascend(dist, penalties, left, len(left), head, (100, 0.05, 0.0005))
    best = cheapest_path(dist, left.tolist(), head)
    assert plain <= raised + 1e-12
    assert raised <= best + 1e-9
    assert raised > 0.93 * best
    assert path_bound(dist, penalties, left, len(left), head, degree) == pytest.approx(raised)


def test_the_bound_without_penalties_is_a_tree_and_two_edges():
    dist, left = distances(20, 1), np.arange(2, 20)
    found = path_bound(dist, np.zeros(20), left, len(left), 1, np.zeros(20, np.int64))
    tree = minimum_spanning_tree(dist[np.ix_(left, left)]).sum()
    assert found == pytest.approx(tree + dist[1, left].min() + dist[left, 0].min())


def test_a_tour_begins_and_ends_with_two_edges():
    dist, left = distances(12, 2), np.arange(1, 12)
    found = path_bound(dist, np.zeros(12), left, 11, 0, np.zeros(12, np.int64))
    tree = minimum_spanning_tree(dist[1:, 1:]).sum()
    assert found == pytest.approx(tree + np.sort(dist[0, 1:])[:2].sum())


def test_the_end_of_a_path_is_exact():
    dist = distances(4, 3)
    degree = np.zeros(4, np.int64)
    assert path_bound(dist, np.zeros(4), np.array([2, 0, 0, 0]), 1, 1, degree) == pytest.approx(dist[1, 2] + dist[2, 0])
    assert path_bound(dist, np.zeros(4), np.zeros(4, np.int64), 0, 3, degree) == dist[3, 0]


def joined_routes(dist, load):
    """Plain savings: join the ends of routes that save most, all pairs."""
    routes = {place: [place] for place in range(1, len(dist))}
    pairs = itertools.combinations(range(1, len(dist)), 2)
    for a, b in sorted(pairs, key=lambda pair: dist[pair] - dist[0, pair[0]] - dist[0, pair[1]]):
        one, two = routes[a], routes[b]
        fits = sum(load[[*one, *two]]) <= 1.0 + 1e-9
        if one is two or not fits or a not in (one[0], one[-1]) or b not in (two[0], two[-1]):
            continue
        if dist[a, b] >= dist[0, a] + dist[0, b]:
            continue
        whole = (one if one[-1] == a else one[::-1]) + (two if two[0] == b else two[::-1])
        routes |= dict.fromkeys(whole, whole)
    distinct = {id(route): route for route in routes.values()}
    return sum(dist[[0, *route], [*route, 0]].sum() for route in distinct.values())


def joins(places):
    return np.empty((places, 2), np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_routes_by_savings_are_those_of_the_plain_twin_and_near_the_baseline(seed):
    problem = uniform_vrp(40, seed=seed)
    dist, kind = problem.travel.distance_matrix(), problem.vehicle_types[0]
    load = np.concatenate([[0.0], problem.delivery[:, 0] / kind.capacity[0]])
    pairs = savings_pairs(dist, np.zeros_like(dist))
    found = rest_by_savings(dist, load, pairs, np.arange(41) == 0, 0, 0.0, joins(41))
    assert found == pytest.approx(joined_routes(dist, load))
    assert found == pytest.approx(savings(problem).cost, rel=0.05)


def test_the_open_route_is_continued_at_its_tail_within_the_capacity():
    dist = distances(4, 5)
    dist[1, 2] = dist[2, 1] = 0.01  # who stands at 1 goes to 2, if there is room
    pairs = savings_pairs(dist, np.zeros_like(dist))
    load, visited = np.array([0.0, 0.5, 0.4, 1.0]), np.array([True, True, False, False])
    alone = dist[0, 3] + dist[3, 0]
    joined = rest_by_savings(dist, load, pairs, visited, 1, 0.5, joins(4))
    assert joined == pytest.approx(dist[1, 2] + dist[2, 0] + alone)
    full = rest_by_savings(dist, load, pairs, visited, 1, 0.7, joins(4))
    assert full == pytest.approx(dist[1, 0] + dist[0, 2] + dist[2, 0] + alone)
    nobody = rest_by_savings(dist, load, pairs, np.ones(4, bool), 1, 0.5, joins(4))
    assert nobody == dist[1, 0]


def test_pairs_come_with_the_best_first_and_a_bonus_moves_them():
    dist = distances(10, 6)
    pairs = savings_pairs(dist, np.zeros_like(dist))
    saved = dist[pairs[:, 0], 0] + dist[pairs[:, 1], 0] - dist[pairs[:, 0], pairs[:, 1]]
    assert (np.diff(saved) <= 1e-12).all()
    assert len(np.unique(np.sort(pairs, axis=1), axis=0)) == len(pairs)
    bonus = np.zeros_like(dist)
    bonus[pairs[-1, 0], pairs[-1, 1]] = bonus[pairs[-1, 1], pairs[-1, 0]] = 100.0
    assert savings_pairs(dist, bonus)[0].tolist() == pairs[-1].tolist()
    fewer = {tuple(pair) for pair in savings_pairs(dist, np.zeros_like(dist), most=3).tolist()}
    assert 3 <= len(fewer) < len(pairs)
    assert fewer < {tuple(pair) for pair in pairs.tolist()}


def inserted_path(dist, left, head):
    """Plain twin of `rest_by_insertion`."""
    way, left = [head, 0], list(left)
    while left:
        place = max(left, key=lambda other: min(dist[other, stop] for stop in way))
        added = [dist[a, place] + dist[place, b] - dist[a, b] for a, b in itertools.pairwise(way)]
        way.insert(1 + int(np.argmin(added)), place)
        left.remove(place)
    return sum(dist[a, b] for a, b in itertools.pairwise(way))


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_the_completion_by_insertion_is_that_of_its_plain_twin(seed, head):
    dist = distances(25, seed)
    visited = np.random.default_rng(seed).random(25) < 0.3
    visited[[0, head]] = True
    left = np.flatnonzero(~visited)
    assert rest_by_insertion(dist, left, len(left), head) == pytest.approx(inserted_path(dist, left.tolist(), head))
    assert rest_by_insertion(dist, left, 0, head) == dist[head, 0]
    assert rest_by_insertion(dist, left[:5], 5, head) >= cheapest_path(dist, left[:5].tolist(), head) - 1e-9


def timed_cost(problem, order, dist, dur):
    """Cost of one route, None when a window or the load is missed."""
    time, load, cost, here = 0.0, 0.0, 0.0, 0
    for place in order:
        time = max(time + dur[here, place], problem.windows[place - 1, 0, 0])
        if time > problem.windows[place - 1, 0, 1] + 1e-9:
            return None
        time += problem.service_time[place - 1]
        load += problem.delivery[place - 1, 0]
        cost += dist[here, place]
        here = place
    over = load > problem.vehicle_types[0].capacity[0] or time + dur[here, 0] > problem.depot_windows[0, 1] + 1e-9
    return None if over else cost + dist[here, 0]


@pytest.mark.parametrize("seed", range(4))
def test_routes_in_time_cost_what_some_feasible_routes_cost(seed):
    problem = uniform_vrp(5, windows=True, seed=seed)
    near, lengths = near_clients(problem, 4)
    del near
    unit = length_unit(lengths)
    ways = _lay_out(problem, unit, np.zeros((5, 1), np.int64), np.zeros((6, 6)), np.zeros((6, 6)), np.zeros(6))
    found = unit * rest_in_time(ways, ways.pairs, np.arange(6) == 0, 0, 0.0, ways.opening[0], joins(6))
    dist = problem.travel.distance_matrix()
    costs = set()
    for order in itertools.permutations(range(1, 6)):
        for cuts in itertools.product([False, True], repeat=4):
            routes, start = [], 0
            for position, cut in enumerate((*cuts, True), start=1):
                if cut:
                    routes.append(order[start:position])
                    start = position
            parts = [timed_cost(problem, route, dist, dist) for route in routes]
            if None not in parts:
                costs.add(round(sum(parts), 6))
    assert min(abs(found - cost) for cost in costs) < 1e-4
    assert found <= sum(dist[0, place] + dist[place, 0] for place in range(1, 6)) + 1e-9


def test_a_route_that_is_late_is_not_joined():
    windows = [[0, 200], [0, 100], [0, 25]]  # whoever serves 1 first is late at 2
    problem = VRP.from_coords(
        [[0, 0], [10, 0], [20, 0]], demand=[1, 1], capacity=5, windows=windows, service_time=[10, 0]
    )
    ways = _lay_out(problem, 1.0, np.zeros((2, 1), np.int64), np.zeros((3, 3)), np.zeros((3, 3)), np.zeros(3))
    assert ways.pairs.tolist() == [[2, 1]]
    nobody = np.arange(3) == 0
    assert rest_in_time(ways, np.array([[1, 2]]), nobody, 0, 0.0, 0.0, joins(3)) == 20 + 40
    assert rest_in_time(ways, ways.pairs, nobody, 0, 0.0, 0.0, joins(3)) == 40
    on_the_way = np.array([True, True, False])
    assert rest_in_time(ways, np.array([[1, 2]]), on_the_way, 1, 0.2, 20.0, joins(3)) == 10 + 40
    assert rest_in_time(ways, np.array([[1, 2]]), on_the_way, 1, 0.2, 15.0, joins(3)) == 10 + 20
