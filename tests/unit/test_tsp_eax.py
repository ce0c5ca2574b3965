"""Edge assembly crossover against plain definitions."""

from collections import Counter

import numpy as np
import pytest

from gnnlib.heads.combinatorial.kernels import eax_generation
from gnnlib.heads.combinatorial.kernels.eax_block import add_cycle, map_cycles, unmap_cycles
from gnnlib.heads.combinatorial.kernels.eax_child import make_child, undo_child
from gnnlib.heads.combinatorial.kernels.eax_cycles import find_cycles, links_of, make_cross_work, write_tour
from gnnlib.heads.combinatorial.kernels.eax_generation import (
    BLOCKS,
    DIVERSE,
    GREEDY,
    LONG_BLOCKS,
    UNITED,
    Population,
    count_edges,
    cross_pairs,
    make_edge_counts,
)
from gnnlib.heads.combinatorial.kernels.iterate import tour_length
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.population import edge_key
from gnnlib.heads.combinatorial.tsp.problem import TSP

REACH = 1000


def make_instance(n, seed=0):
    return SearchInstance.build(TSP.from_coords(np.random.default_rng(seed).random((n, 2))), 8)


def random_links(n, rng):
    links = np.empty((n, 2), np.int32)
    links_of(rng.permutation(n).astype(np.int32), links)
    return links


def edges_of(links):
    return {frozenset((city, int(other))) for city in range(len(links)) for other in links[city]}


def walk(links):
    """Cities of the cycle through city 0."""
    tour, previous, city = [], -1, 0
    while True:
        tour.append(city)
        first, second = links[city]
        following = int(second if first == previous else first)
        previous, city = city, following
        if city == 0:
            return tour


def prepared(n, seed):
    """Two parents, their cycles and the work space."""
    rng = np.random.default_rng(seed)
    a, b = random_links(n, rng), random_links(n, rng)
    # let the parents agree on half of their edges
    tour = np.array(walk(a), np.int32)
    tour[: n // 2] = rng.permutation(tour[: n // 2])
    links_of(tour, b)
    work = make_cross_work(n)
    count = find_cycles(a, b, work, np.array([seed + 1], np.uint64))
    write_tour(a, work.tour, work.pos)
    return a, b, work, count


def plain_exchange(distances, parent, cycles):
    """Gain of the exchange along the cycles, and the subtours that it leaves."""
    links = {city: [int(x) for x in parent[city]] for city in range(len(parent))}
    gain = 0.0
    for cycle in cycles:
        m = len(cycle)
        for j in range(0, m, 2):
            here, there = cycle[j + 1], cycle[(j + 2) % m]
            gain += distances[cycle[j], here] - distances[here, there]
            links[here][links[here].index(cycle[j])] = there
            links[there][links[there].index(cycle[(j + 3) % m])] = here
    left, subtours = set(links), []
    while left:
        reached, frontier = set(), [min(left)]
        while frontier:
            city = frontier.pop()
            if city not in reached:
                reached.add(city)
                frontier += links[city]
        subtours.append(reached)
        left -= reached
    return gain, subtours


def plain_addition(distances, parent, cycles, chosen):
    """Number of the cycle that a block takes next, by definition; None when there is none, -1 when it is undefined."""
    _, subtours = plain_exchange(distances, parent, [cycles[c] for c in chosen])
    if len(subtours) == 1:
        return None
    most = max(map(len, subtours))
    if sum(len(s) == most for s in subtours) > 1:
        return -1
    small = [s for s in subtours if len(s) < most]
    ranked = []
    for c, cycle in enumerate(cycles):
        cities = set(cycle)
        if c not in chosen and any(s & cities and cities - s for s in small):
            gain, after = plain_exchange(distances, parent, [cycles[k] for k in (*chosen, c)])
            ranked.append((len(after), -gain, c))
    return min(ranked)[2] if ranked else None


def plain_child(distances, near, parent, cycles):
    """Gain and edges of the child, from the definition: exchange, then join the smallest subtour as cheaply as can be."""
    links = {city: [int(x) for x in parent[city]] for city in range(len(parent))}
    gain = 0.0

    def swap(city, lost, won):
        links[city][links[city].index(lost)] = won

    for cycle in cycles:
        m = len(cycle)
        for j in range(0, m, 2):
            here, there = cycle[j + 1], cycle[(j + 2) % m]
            gain += distances[cycle[j], here] - distances[here, there]
            swap(here, cycle[j], there)
            swap(there, cycle[(j + 3) % m], here)
    while True:
        left, subtours = set(range(len(parent))), []
        while left:
            reached, frontier = set(), [min(left)]
            while frontier:
                city = frontier.pop()
                if city not in reached:
                    reached.add(city)
                    frontier += links[city]
            subtours.append(reached)
            left -= reached
        if len(subtours) == 1:
            return gain, {frozenset((c, o)) for c, others in links.items() for o in others}
        smallest = min(subtours, key=len)
        if sum(len(s) == len(smallest) for s in subtours) > 1:
            return None  # which of the equally small ones comes first is not defined
        options = [
            (
                distances[u, v] + distances[x, y] - distances[u, x] - distances[v, y],
                (u, x, v, y),
            )
            for here in smallest
            for there in near[here]
            if there not in smallest
            for beside in links[here]
            for beyond in links[int(there)]
            for (u, x, v, y) in (
                (here, beside, int(there), beyond),
                (here, beside, beyond, int(there)),
            )
        ]
        if not options:
            return -np.inf, None
        cost, (u, x, v, y) = min(options)
        gain -= cost
        swap(u, x, v)
        swap(x, u, y)
        swap(v, y, u)
        swap(y, v, x)


@pytest.mark.parametrize("n", [8, 30, 200])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cycles_take_every_differing_edge_once_and_alternate_between_the_parents(n, seed):
    a, b, work, count = prepared(n, seed)
    used = Counter()
    for c in range(count):
        cycle = work.cycles[work.starts[c] : work.starts[c + 1]].tolist()
        assert len(cycle) % 2 == 0
        for j, city in enumerate(cycle):
            edge = frozenset((city, cycle[(j + 1) % len(cycle)]))
            assert edge in edges_of(b if j % 2 else a)
            used[edge] += 1
    assert used == Counter(dict.fromkeys(edges_of(a) ^ edges_of(b), 1))
    assert (work.seen == -1).all()


def test_parents_that_are_the_same_tour_have_no_cycles():
    links = random_links(20, np.random.default_rng(0))
    assert find_cycles(links, links[:, ::-1].copy(), make_cross_work(20), np.array([1], np.uint64)) == 0


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("seed", range(6))
def test_child_equals_the_plain_definition_and_is_taken_back_exactly(number, seed):
    n = 60
    instance = make_instance(n, seed)
    distances = instance.problem.distance_matrix()[np.ix_(instance.cities, instance.cities)]
    a, _, work, count = prepared(n, seed)
    before = a.copy()
    compared = 0
    for first in range(count - number + 1):
        chosen = list(range(first, first + number))
        work.chosen[:number] = chosen
        cycles = [work.cycles[work.starts[c] : work.starts[c + 1]].tolist() for c in chosen]
        expected = plain_child(distances, instance.neighbours, before, cycles)
        gain, entries = make_child(instance.data, instance.neighbours, a, work, number, REACH, -np.inf)
        if gain > -np.inf:
            assert sorted(walk(a)) == list(range(n))
            length = sum(distances[tuple(edge)] for edge in edges_of(a))
            assert gain == pytest.approx(sum(distances[tuple(edge)] for edge in edges_of(before)) - length)
        if expected is not None:
            compared += 1
            assert gain == pytest.approx(expected[0])
            assert expected[1] is None or edges_of(a) == expected[1]
        undo_child(a, work.log, entries)
        assert edges_of(a) == edges_of(before)
    assert compared > 0


@pytest.mark.parametrize("seed", range(6))
def test_block_takes_the_cycle_that_leaves_the_fewest_subtours(seed):
    instance = make_instance(60, seed)
    distances = instance.problem.distance_matrix()[np.ix_(instance.cities, instance.cities)]
    a, _, work, count = prepared(60, seed)
    cycles = [work.cycles[work.starts[c] : work.starts[c + 1]].tolist() for c in range(count)]
    map_cycles(work, count)
    grown = 0
    for centre in range(count):
        work.chosen[0] = centre
        for number in range(1, min(count, 5)):
            expected = plain_addition(distances, a, cycles, work.chosen[:number].tolist())
            is_grown = add_cycle(instance.data, work, number, REACH, REACH)
            if expected == -1:
                break
            assert is_grown == (expected is not None)
            if not is_grown:
                break
            assert work.chosen[number] == expected
            grown += 1
    assert grown > 0
    unmap_cycles(work, count)
    assert (work.through == -1).all()


def test_block_takes_no_cycle_longer_than_allowed():
    instance = make_instance(60)
    _, _, work, count = prepared(60, 0)
    lengths = np.diff(work.starts[: count + 1])
    map_cycles(work, count)
    taken = {longest: set() for longest in (4, 60)}
    for longest, cycles in taken.items():
        for centre in range(count):
            work.chosen[0] = centre
            if add_cycle(instance.data, work, 1, REACH, longest):
                cycles.add(int(work.chosen[1]))
        assert max(lengths[list(cycles)]) <= longest
    assert max(lengths[list(taken[60])]) > 4
    unmap_cycles(work, count)


def test_child_that_cannot_reach_the_gain_asked_for_is_given_up():
    instance = make_instance(60)
    a, _, work, count = prepared(60, 0)
    for c in range(count):
        work.chosen[0] = c
        gain, entries = make_child(instance.data, instance.neighbours, a, work, 1, REACH, 1e9)
        assert gain == -np.inf
        undo_child(a, work.log, entries)


@pytest.mark.parametrize("mode", [DIVERSE, GREEDY, UNITED, BLOCKS, LONG_BLOCKS])
def test_crossing_keeps_tours_counts_and_lengths_true_and_never_lengthens(mode):
    n, size = 80, 8
    instance = make_instance(n)
    rng = np.random.default_rng(mode)
    links = np.stack([random_links(n, rng) for _ in range(size)])

    def length(one):
        return tour_length(instance.data, np.array(walk(one), np.int32))

    population = Population(links, np.array([length(one) for one in links]))
    edges, work = make_edge_counts(n, size), make_cross_work(n)
    count_edges(links, edges)
    start = population.lengths.copy()
    state = np.array([7], np.uint64)
    for _ in range(12):
        before = population.lengths.copy()
        order = rng.permutation(size)
        pairs = np.stack([order, np.roll(order, -1)], axis=1)
        made = cross_pairs(
            instance.data, instance.neighbours, population, edges, work, pairs, (30, REACH, mode, 1e-9), state
        )
        assert made >= 0
        assert (population.lengths <= before).all()
    assert population.lengths.mean() < 0.6 * start.mean()
    fresh = make_edge_counts(n, size)
    count_edges(population.links, fresh)
    for one, claimed in zip(population.links, population.lengths, strict=True):
        assert sorted(walk(one)) == list(range(n))
        assert length(one) == pytest.approx(claimed)
    true = Counter(edge for one in population.links for edge in edges_of(one))
    rows = Counter()
    for i in range(n):
        for j, count in zip(fresh.cities[i], fresh.counts[i], strict=True):
            if count:
                rows[frozenset((i, int(j)))] = int(count)
    if max((np.bincount([min(e) for e in true])).tolist()) <= 16:  # else the rows may leave rare edges out
        assert rows == true


def test_change_of_entropy_equals_the_difference_of_the_definition():
    n, size = 40, 6
    rng = np.random.default_rng(3)
    base = rng.permutation(n).astype(np.int32)
    links = np.empty((size, n, 2), np.int32)
    for t in range(size):
        tour = base.copy()
        first = 5 * t
        tour[first : first + 6] = tour[first : first + 6][::-1]
        links_of(tour, links[t])
    edges = make_edge_counts(n, size)
    count_edges(links, edges)

    def entropy(tours):
        shares = np.array(list(Counter(e for one in tours for e in edges_of(one)).values())) / size
        return -(shares * np.log(shares)).sum()

    # tour 0 gets the two edges back that it has lost
    a, d = int(base[-1]), int(base[6])
    b, c = int(base[0]), int(base[5])
    log = np.array([(a, c, b), (b, d, a), (d, b, c), (c, a, d)], np.int32)
    child = links.copy()
    links_of(base, child[0])
    expected = entropy(child) - entropy(links)
    assert eax_generation._entropy_change(edges, log, 4) == pytest.approx(expected)


def test_key_of_a_tour_knows_neither_start_nor_direction():
    tour = np.random.default_rng(0).permutation(9).astype(np.int32)
    assert edge_key(tour) == edge_key(np.roll(tour, 4)) == edge_key(np.roll(tour[::-1], 2).copy())
    other = tour.copy()
    other[[2, 3]] = other[[3, 2]]
    assert edge_key(tour) != edge_key(other)
