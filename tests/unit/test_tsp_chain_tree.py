"""The tree over chains of exchanges against a plain twin, and against depth-first search."""

import math
from itertools import pairwise

import numpy as np
import pytest

import gnnlib
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.chain_tree import (
    ChainTree,
    _search_city,
    drain_by_tree,
    iterate_tree,
    make_tree_work,
)
from gnnlib.heads.combinatorial.kernels.exchange import Candidates, drain, make_work
from gnnlib.heads.combinatorial.kernels.iterate import BestTour, KickSettings, iterate_kicks, tour_length
from gnnlib.heads.combinatorial.kernels.state import make_state, push_all
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP

BREADTH = np.array([5, 3, 2, 1], np.int64)
ALL_CHAINS = 2 * (1 + 5 + 15 + 30 + 30)


def prepare(n, seed, k=7):
    problem = TSP.from_coords(np.random.default_rng(seed).random((n, 2)))
    instance = SearchInstance.build(problem, k)
    return instance, Candidates(instance.neighbours, instance.lengths, np.zeros_like(instance.lengths))


def rough_state(instance, candidates, seed):
    """A tour that a few kicks have spoilt, so that some cities improve and some do not."""
    state = make_state(np.random.default_rng(seed).permutation(instance.size), seed=seed)
    push_all(state)
    drain(instance.data, candidates, state, make_work(), np.array([3], np.int64), 1e-9, 25)
    state.queued[:] = 0
    state.queue_ends[:] = 0
    return state


def edge_set(tour):
    return {frozenset(edge) for edge in pairwise([*tour, tour[0]])}


def is_one_cycle(edges, n):
    links = {}
    if any(len(edge) != 2 for edge in edges):  # from the base city back to itself
        return False
    for a, b in map(tuple, edges):
        links.setdefault(a, []).append(b)
        links.setdefault(b, []).append(a)
    if len(links) < n or any(len(joined) != 2 for joined in links.values()):
        return False
    previous, city, seen = None, 0, 0
    while city != 0 or seen == 0:
        first, second = links[city]
        previous, city = city, (second if first == previous else first)
        seen += 1
    return seen == n


class Node:
    """A chain t0, t1, t2, ...: the edges at even places are removed, those at odd places added."""

    def __init__(self, chain, key, total, prior):
        self.chain, self.best, self.total, self.prior = chain, key, total, prior
        self.children, self.visits, self.is_done = None, 0, False


def options_of(node, tour, d, candidates, breadth):
    """The kept ways to go on, or the edges and the gain of the first that closes with a gain."""
    n, place = len(tour), {city: p for p, city in enumerate(tour)}
    present = edge_set(tour)
    removed = [frozenset(node.chain[i : i + 2]) for i in range(0, len(node.chain), 2)]
    added = [frozenset(node.chain[i : i + 2]) for i in range(1, len(node.chain) - 1, 2)]
    base, end = node.chain[0], node.chain[-1]
    found = []
    for column, city in enumerate(candidates.cities[end].tolist()):
        partial = node.total - d[end, city]
        if partial <= 1e-9 or frozenset((end, city)) in present:
            continue
        for step in (1, -1):
            other = tour[(place[city] + step) % n]
            cut = frozenset((city, other))
            if cut in removed:
                continue
            total = partial + d[city, other]
            if total - d[other, base] > 1e-9:
                changed = (present - {*removed, cut}) | {*added, frozenset((end, city)), frozenset((other, base))}
                if is_one_cycle(changed, n):
                    return None, (changed, total - d[other, base])
            found.append((total - candidates.penalties[end, column], total, column, [*node.chain, city, other]))
    level = len(node.chain) // 2
    keep = breadth[level - 1] if level <= len(breadth) else 0
    found.sort(key=lambda option: -option[0])
    return found[:keep], None


def plain_search(tour, base, d, candidates, tree, breadth):
    """The twin of `_search_city`: the edges of the new tour and its gain, or None."""
    n, p = len(tour), tour.index(base)
    root = Node([], 0.0, 0.0, 1.0)
    root.children = [Node([base, b], 0.0, d[base, b], 0.5) for b in (tour[(p + 1) % n], tour[p - 1])]
    for _ in range(tree.walks):
        if root.is_done:
            return None
        path = [root]
        while path[-1].children is not None:
            bonus = tree.exploration * math.sqrt(path[-1].visits)
            live = [child for child in path[-1].children if not child.is_done]
            path.append(max(live, key=lambda c: c.best + bonus * c.prior / (1 + c.visits)))
        leaf = path[-1]
        options, closed = options_of(leaf, tour, d, candidates, breadth)
        if closed is not None:
            return closed
        weights = [tree.weights[leaf.chain[-1], column] for _, _, column, _ in options]
        leaf.children = [
            Node(chain, key, total, w / sum(weights))
            for (key, total, _, chain), w in zip(options, weights, strict=True)
        ]
        for node in reversed(path):
            node.visits += 1
            node.best = max([node.best, *(option[0] for option in options)])
            node.is_done = all(child.is_done for child in node.children)
    return None


@pytest.mark.parametrize(
    ("exploration", "walks", "informed"), [(0.0, 200, False), (0.02, 200, True), (0.1, 12, True), (1.0, 40, False)]
)
def test_the_search_of_a_city_equals_its_plain_twin(exploration, walks, informed):
    instance, candidates = prepare(40, seed=walks)
    rng = np.random.default_rng(walks)
    weights = rng.random(candidates.cities.shape) + 0.01 if informed else np.ones(candidates.cities.shape)
    if informed:
        candidates = candidates._replace(penalties=0.02 * rng.random(candidates.cities.shape))
    tree = ChainTree(weights, exploration, walks)
    d = instance.problem.distance_matrix()[np.ix_(instance.cities, instance.cities)]
    improved = 0
    for base in range(40):
        state = rough_state(instance, candidates, seed=base)
        tour = state.tour.tolist()
        expected = plain_search(tour, base, d, candidates, tree, BREADTH)
        work = make_work(), make_tree_work(walks)
        gain = _search_city(instance.data, candidates, tree, state, *work, base, BREADTH, 1e-9)
        if expected is None:
            assert gain == 0.0
            assert state.tour.tolist() == tour
        else:
            improved += 1
            assert gain == pytest.approx(expected[1], rel=1e-12)
            assert edge_set(state.tour.tolist()) == expected[0]
    assert 3 <= improved <= 38


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_exploration_the_tree_is_the_depth_first_search(seed):
    instance, candidates = prepare(300, seed=seed)
    rng = np.random.default_rng(seed)
    candidates = candidates._replace(penalties=0.01 * rng.random(candidates.cities.shape))
    plain, grown = (make_state(np.arange(300), seed=0) for _ in range(2))
    push_all(plain)
    push_all(grown)
    tree = ChainTree(np.ones(candidates.cities.shape), 0.0, ALL_CHAINS)
    gained = drain(instance.data, candidates, plain, make_work(), BREADTH, 1e-9, 10**6)
    same = drain_by_tree(
        instance.data,
        candidates,
        tree,
        grown,
        make_work(),
        make_tree_work(ALL_CHAINS),
        BREADTH,
        1e-9,
        10**6,
    )
    assert gained > 0.0
    assert same == pytest.approx(gained, rel=1e-12)
    assert np.array_equal(plain.tour, grown.tour)


def test_kicks_mended_by_the_tree_without_exploration_are_the_usual_kicks():
    instance, candidates = prepare(200, seed=5)
    settings = KickSettings(30, 0.3, 10, 0.1, 0.01)
    tree = ChainTree(np.ones(candidates.cities.shape), 0.0, ALL_CHAINS)
    tours = []
    for run in (iterate_kicks, lambda data, lists, *rest: iterate_tree(data, lists, tree, *rest)):
        state = make_state(np.arange(200), seed=3)
        best = BestTour(state.tour.copy(), np.zeros(1))
        run(instance.data, candidates, state, best, settings, BREADTH, 1e-9, 300)
        tours.append(best.tour)
    assert np.array_equal(*tours)


def test_kicks_mended_by_the_tree_report_what_they_gained():
    instance, candidates = prepare(200, seed=6)
    state = make_state(np.arange(200), seed=3)
    best = BestTour(state.tour.copy(), np.zeros(1))
    length = tour_length(instance.data, state.tour)
    tree = ChainTree(np.random.default_rng(0).random(candidates.cities.shape) + 0.1, 0.05, 30)
    gained = iterate_tree(
        instance.data, candidates, tree, state, best, KickSettings(30, 0.3, 10, 0.1, 0.0), BREADTH, 1e-9, 300
    )
    assert gained > 0.1 * length
    assert np.array_equal(np.sort(state.tour), np.arange(200))
    assert tour_length(instance.data, state.tour) == pytest.approx(length - gained, rel=1e-9)


@pytest.mark.parametrize("prior", [None, "alpha", "gnn", "softdist", "knn"])
def test_the_solver_takes_the_tree_with_every_prior(prior):
    points = np.random.default_rng(1).random((120, 2))
    params = SearchParams(tree_walks=30, exploration=0.3, focus=0.5)
    runs = [gnnlib.solve_tsp(points, stop=gnnlib.MaxIterations(400), prior=prior, params=params) for _ in range(2)]
    assert runs[0].params["prior_used"] == prior
    assert runs[0].gap < 0.05
    assert np.array_equal(runs[0].order, runs[1].order)


@pytest.mark.parametrize("wrong", [{"tree_walks": -1}, {"exploration": -0.1}, {"focus": 1.5}])
def test_settings_of_the_tree_are_checked(wrong):
    with pytest.raises(InputError, match="tree_walks"):
        SearchParams(**wrong)
