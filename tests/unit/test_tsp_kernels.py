"""The compiled search against plain definitions."""

from itertools import pairwise

import numpy as np
import pytest

from gnnlib.heads.combinatorial.kernels import exchange, iterate, starts
from gnnlib.heads.combinatorial.kernels.exchange import Candidates, drain_queue
from gnnlib.heads.combinatorial.kernels.iterate import BestTour, KickSettings, iterate_kicks, tour_length
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour, hilbert_order
from gnnlib.heads.combinatorial.kernels.state import (
    commit,
    log_window,
    make_state,
    push_all,
    random_below,
    rollback,
)
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.problem import TSP

BREADTH = np.array([5, 3, 2, 1], np.int64)


def uniform(n, seed=0):
    return TSP.from_coords(np.random.default_rng(seed).random((n, 2)))


def prepare(problem, k=8):
    instance = SearchInstance.build(problem, k)
    candidates = Candidates(instance.neighbours, instance.lengths, np.zeros_like(instance.lengths))
    return instance, candidates


def plain_is_one_cycle(tour, removed, added):
    """Whether the tour without `removed` and with `added` edges is one cycle, by walking it."""
    links = {city: [] for city in tour}
    gone = [frozenset(edge) for edge in removed]
    for a, b in [*pairwise(tour), (tour[-1], tour[0])]:
        if frozenset((a, b)) in gone:
            gone.remove(frozenset((a, b)))
            continue
        links[a].append(b)
        links[b].append(a)
    for a, b in added:
        links[a].append(b)
        links[b].append(a)
    if any(len(joined) != 2 for joined in links.values()):
        return False
    previous, city, seen = None, tour[0], 0
    while True:
        seen += 1
        first, second = links[city]
        following = second if first == previous else first
        previous, city = city, following
        if city == tour[0]:
            return seen == len(tour)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_exchange_is_feasible_exactly_when_it_leaves_one_cycle_and_is_applied_as_such(k):
    rng = np.random.default_rng(k)
    n = 24
    feasible = 0
    for _ in range(400):
        state = make_state(rng.permutation(n), seed=0)
        tour = state.tour.tolist()
        cuts = rng.choice(n, k, replace=False)
        forward = rng.integers(0, 2, k)
        ints, _ = exchange.make_work()
        removed = []
        for i, (cut, ahead) in enumerate(zip(cuts, forward, strict=True)):
            ends = (tour[cut], tour[(cut + 1) % n])
            ints[i, exchange.FROM], ints[i, exchange.TO] = ends if ahead else ends[::-1]
            ints[i, exchange.CUT], ints[i, exchange.FORWARD] = cut, ahead
            removed.append(tuple(ints[i, :2].tolist()))
        added = [(removed[i][1], removed[(i + 1) % k][0]) for i in range(k)]
        if any(a == b for a, b in added) or any(frozenset(e) in map(frozenset, removed) for e in added):
            continue  # such exchanges never arise: an added edge is not in the tour
        expected = plain_is_one_cycle(tour, removed, added)
        assert exchange._is_one_cycle(ints, k) == expected
        assert exchange._is_one_cycle.py_func(ints, k) == expected
        if not expected:
            continue
        feasible += 1
        exchange.apply_exchange(state, ints, k)
        edges = {frozenset(e) for e in pairwise([*state.tour.tolist(), int(state.tour[0])])}
        before = {frozenset(e) for e in pairwise([*tour, tour[0]])}
        wanted = (before - {frozenset(e) for e in removed}) | {frozenset(e) for e in added}
        assert edges == wanted
        assert np.array_equal(state.tour[state.pos], np.arange(n))
        rollback(state)
        assert state.tour.tolist() == tour
        assert np.array_equal(state.tour[state.pos], np.arange(n))
    assert feasible >= 10


def test_rollback_restores_the_tour_after_the_log_has_run_over():
    rng = np.random.default_rng(0)
    n = 50
    state = make_state(rng.permutation(n), seed=0)
    before = state.tour.copy()
    commit(state)
    for _ in range(3 * len(state.log_marks)):
        start, width = int(rng.integers(n)), int(rng.integers(2, 30))
        begin = log_window(state, start, width)
        for i in range(width):  # reverse the window
            p = (start + i) % n
            state.tour[p] = state.log[begin + width - 1 - i]
            state.pos[state.tour[p]] = p
    assert not np.array_equal(state.tour, before)
    rollback(state)
    assert np.array_equal(state.tour, before)
    assert np.array_equal(state.tour[state.pos], np.arange(n))


def test_descent_reports_the_gain_it_made_and_leaves_a_permutation():
    instance, candidates = prepare(uniform(300))
    tour = greedy_edge_tour(instance.data, instance.neighbours, instance.lengths, instance.points)
    before = tour_length(instance.data, tour)
    state = make_state(tour, seed=0)
    push_all(state)
    gained = drain_queue(instance.data, candidates, state, BREADTH, 1e-9, 10**6)
    assert gained > 0.05 * before
    assert np.array_equal(np.sort(state.tour), np.arange(300))
    assert tour_length(instance.data, state.tour) == pytest.approx(before - gained, rel=1e-12)


def test_descent_leaves_no_improving_two_opt_move_among_the_candidates():
    instance, candidates = prepare(uniform(150, seed=3))
    state = make_state(np.arange(150), seed=0)
    push_all(state)
    drain_queue(instance.data, candidates, state, BREADTH, 1e-9, 10**6)
    d = instance.problem.distance_matrix()[np.ix_(instance.cities, instance.cities)]
    tour, pos = state.tour, state.pos
    for a in range(150):
        for step in (1, -1):
            b = tour[(pos[a] + step) % 150]
            for c in instance.neighbours[a]:
                e = tour[(pos[c] + step) % 150]
                assert d[a, b] + d[c, e] <= d[a, c] + d[b, e] + 1e-8


@pytest.mark.parametrize("temperature", [0.0, 0.02])
def test_kicks_never_lose_the_best_tour_and_report_what_they_gained(temperature):
    instance, candidates = prepare(uniform(200, seed=1))
    state = make_state(np.arange(200), seed=5)
    push_all(state)
    drain_queue(instance.data, candidates, state, BREADTH, 1e-9, 10**6)
    length = tour_length(instance.data, state.tour)
    best = BestTour(state.tour.copy(), np.zeros(1))
    settings = KickSettings(30, 0.3, 10, 0.1, temperature)
    for _ in range(20):
        gained = iterate_kicks(instance.data, candidates, state, best, settings, BREADTH, 1e-9, 50)
        assert gained >= 0.0
        length -= gained
        tour = best.tour if temperature else state.tour
        assert np.array_equal(np.sort(tour), np.arange(200))
        assert tour_length(instance.data, tour) == pytest.approx(length, rel=1e-9)
        assert tour_length(instance.data, state.tour) == pytest.approx(length + best.excess[0], rel=1e-9)


def test_double_bridge_changes_four_edges_and_reports_the_growth():
    instance, _ = prepare(uniform(60))
    state = make_state(np.arange(60), seed=2)
    before = {frozenset(e) for e in pairwise([*range(60), 0])}
    length = tour_length(instance.data, state.tour)
    grown = iterate._double_bridge(instance.data, state, 55, 4, 3, 5)  # crosses the end of the array
    edges = {frozenset(e) for e in pairwise([*state.tour.tolist(), int(state.tour[0])])}
    assert len(edges - before) == 4
    assert tour_length(instance.data, state.tour) == pytest.approx(length + grown)


def test_random_numbers_equal_the_plain_xorshift_generator():
    state = np.array([0x1234567], np.uint64)
    x, mask = 0x1234567, 2**64 - 1
    for bound in (2, 10, 1000, 10**6):
        x ^= x >> 12
        x = (x ^ (x << 25)) & mask
        x ^= x >> 27
        expected = ((((x * 0x2545F4914F6CDD1D) & mask) >> 33) * bound) >> 31
        assert random_below(state, bound) == expected < bound


def test_greedy_edge_tour_equals_the_plain_rule_when_all_edges_are_candidates():
    rng = np.random.default_rng(4)
    points = rng.random((12, 2))
    problem = TSP.from_coords(points)
    instance = SearchInstance.build(problem, 11)
    order = instance.to_order(greedy_edge_tour(instance.data, instance.neighbours, instance.lengths, instance.points))
    d = problem.distance_matrix()
    degree, parent, chosen = [0] * 12, list(range(12)), []

    def root(i):
        return i if parent[i] == i else root(parent[i])

    for i, j in sorted(((a, b) for a in range(12) for b in range(a)), key=lambda e: d[e]):
        if degree[i] < 2 and degree[j] < 2 and root(i) != root(j):
            parent[root(i)] = root(j)
            degree[i], degree[j] = degree[i] + 1, degree[j] + 1
            chosen.append(frozenset((i, j)))
    tour_edges = {frozenset(e) for e in pairwise([*order.tolist(), int(order[0])])}
    assert set(chosen) <= tour_edges


def test_greedy_edge_tour_joins_clusters_that_no_candidate_edge_joins():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(c, 0.01, (400, 2)) for c in [(0, 0), (5, 0), (0, 5), (5, 5)]])
    instance = SearchInstance.build(TSP.from_coords(points), 5)
    tour = greedy_edge_tour(instance.data, instance.neighbours, instance.lengths, instance.points)
    assert np.array_equal(np.sort(tour), np.arange(1600))
    assert tour_length(instance.data, tour) < 4 * 5 + 60


def test_noise_on_the_joins_changes_how_clusters_are_joined_and_nothing_inside_them():
    rng = np.random.default_rng(0)
    centres = rng.random((12, 2))
    points = np.concatenate([rng.normal(c, 1e-4, (10, 2)) for c in centres])
    instance = SearchInstance.build(TSP.from_coords(points), 9)
    cluster = instance.cities // 10

    def links(tour):
        return {frozenset((a, b)) for a, b in pairwise([*tour.tolist(), int(tour[0])])}

    def build(**options):
        tour = greedy_edge_tour(instance.data, instance.neighbours, instance.lengths, instance.points, **options)
        assert np.array_equal(np.sort(tour), np.arange(120))
        return links(tour)

    plain = build()
    assert build(join_noise=1.0) == plain  # no generator, no noise
    noisy = [build(join_noise=1.0, rng=np.random.default_rng(seed)) for seed in range(4)]
    inside = {link for link in plain if len({cluster[city] for city in link}) == 1}
    assert all(len(inside - found) <= 12 for found in noisy)  # only where a tour enters or leaves may differ
    across = [frozenset(frozenset(cluster[city] for city in link) for link in found - inside) for found in noisy]
    assert len(set(across)) > 1


def test_hilbert_order_is_a_permutation_that_keeps_neighbours_close():
    points = np.random.default_rng(0).random((2000, 2))
    order = hilbert_order(points)
    assert np.array_equal(np.sort(order), np.arange(2000))
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert steps.sum() < 1.4 * 0.7124 * np.sqrt(2000)


def test_hilbert_order_of_a_grid_walks_from_cell_to_cell():
    grid = np.array([(x, y) for x in range(8) for y in range(8)], float) + 0.5
    indices = [starts._hilbert_index.py_func(int(x), int(y), 3) for x, y in grid]
    assert sorted(indices) == list(range(64))
    walk = grid[np.argsort(indices)]
    assert np.all(np.abs(np.diff(walk, axis=0)).sum(axis=1) == 1.0)
