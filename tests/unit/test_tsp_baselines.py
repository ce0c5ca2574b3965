"""Baselines: valid tours on every kind of input, the textbook rules, and the peers behind their extras."""

import importlib
import importlib.util

import networkx as nx
import numpy as np
import pytest

from gnnlib.data import load_instance
from gnnlib.errors import GnnlibError, InfeasibleError, InputError, MissingExtraError
from gnnlib.heads.combinatorial.tsp import baselines
from gnnlib.heads.combinatorial.tsp.baselines import (
    BASELINES,
    christofides,
    fast_tsp,
    greedy_edge,
    lkh,
    nearest_neighbour,
    ortools_routing,
    random_tour,
    space_filling_curve,
)
from gnnlib.heads.combinatorial.tsp.problem import TSP, as_tsp
from gnnlib.stop import MaxIterations, MaxRuntime

PEERS = {"ortools": "ortools", "fast_tsp": "fast_tsp", "lkh": "elkai"}
CONSTRUCTIONS = [name for name in BASELINES if name not in PEERS]
QUICK = MaxRuntime(0.1)

generator = np.random.default_rng(0)
POINTS = generator.random((30, 2))
INPUTS = {
    "points": POINTS,
    "space": generator.random((25, 3)),
    "whole numbers": TSP.from_coords(generator.integers(0, 9, (40, 2)), metric="EUC_2D"),
    "manhattan": TSP.from_coords(generator.integers(0, 99, (30, 2)), metric="MAN_2D"),
    "globe": TSP.from_coords(generator.uniform(-80, 80, (30, 2)), metric="GEO"),
    "matrix": as_tsp(np.hypot(*(POINTS[:, None] - POINTS[None]).T)),
    "one": [[0.5, 0.5]],
    "two": [[0.0, 0.0], [1.0, 0.0]],
    "three": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]][:3],
    "four": generator.random((4, 2)),
    "equal": np.ones((8, 2)),
    "line": np.stack([np.arange(12.0), np.zeros(12)], axis=1),
    "huge": POINTS * 1e12,
    "tiny": POINTS * 1e-12,
}


def _available(name):
    if name in PEERS and importlib.util.find_spec(PEERS[name]) is None:
        pytest.skip(f"the package {PEERS[name]} is not installed")
    return BASELINES[name]


@pytest.mark.parametrize("name", CONSTRUCTIONS)
@pytest.mark.parametrize("kind", INPUTS)
def test_every_construction_gives_a_valid_tour_on_every_input(name, kind):
    if name == "space-filling curve" and kind == "matrix":
        pytest.skip("a curve needs coordinates")
    problem = as_tsp(INPUTS[kind])
    result = BASELINES[name](INPUTS[kind], stop=QUICK, seed=1)
    assert sorted(result.order.tolist()) == list(range(problem.num_cities))
    assert result.length == problem.length(result.order)
    assert result.trace.shape == (1, 2)
    assert not result.is_optimal


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize(
    "kind", ["points", "space", "globe", "matrix", "one", "three", "four", "equal", "huge", "tiny"]
)
def test_every_peer_gives_a_good_tour_on_every_input(name, kind):
    solver = _available(name)
    problem = as_tsp(INPUTS[kind])
    result = solver(INPUTS[kind], stop=MaxRuntime(0.5), seed=1)  # a busy machine must not starve a peer
    assert sorted(result.order.tolist()) == list(range(problem.num_cities))
    assert result.length <= random_tour(problem, seed=5).length
    assert result.length <= 1.05 * greedy_edge(problem).length


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_equal_seeds_give_equal_tours(name):
    solver = BASELINES[name]
    assert np.array_equal(solver(POINTS, seed=3).order, solver(POINTS, seed=3).order)


@pytest.mark.parametrize("solver", [random_tour, nearest_neighbour])
def test_other_seeds_give_other_tours(solver):
    assert len({tuple(solver(POINTS, seed=seed).order.tolist()) for seed in range(6)}) > 1


def _slow_nearest_neighbour(problem, start):
    distances = problem.distance_matrix()
    order = [start]
    while len(order) < problem.num_cities:
        rest = [city for city in range(problem.num_cities) if city not in order]
        order.append(min(rest, key=lambda city: distances[order[-1], city]))
    return order


@pytest.mark.parametrize("kind", ["points", "space", "manhattan", "globe", "matrix", "huge"])
def test_nearest_neighbour_always_goes_to_a_nearest_city(kind):
    problem = as_tsp(INPUTS[kind])
    result = nearest_neighbour(problem, seed=2)
    distances = problem.distance_matrix()
    for place in range(problem.num_cities - 1):
        city, following = result.order[place : place + 2]
        assert distances[city, following] == distances[city, result.order[place + 1 :]].min()
    assert result.order[0] == result.params["start"]


def test_nearest_neighbour_beyond_its_neighbour_lists_equals_the_plain_rule():
    # a dense knot and a far string: the lists run out in the knot
    points = np.concatenate(
        [np.random.default_rng(3).random((60, 2)), 50 + np.arange(40)[:, None] * np.array([[1.0, 0.7]])]
    )
    problem = TSP.from_coords(points)
    result = nearest_neighbour(problem, seed=4)
    assert result.order.tolist() == _slow_nearest_neighbour(problem, result.params["start"])


def test_the_classical_tours_keep_their_textbook_distance_from_the_optimum():
    problem = as_tsp(load_instance("uniform_1000"))
    expected = 0.7124 * np.sqrt(1000 * 1e12) * (1 + 0.33 / 1000)
    assert 1.10 < greedy_edge(problem).length / expected < 1.25
    assert 1.15 < nearest_neighbour(problem).length / expected < 1.40
    assert 1.15 < space_filling_curve(problem).length / expected < 1.50
    assert random_tour(problem).length / expected > 10


def test_an_asymmetric_instance_is_taken_in_its_better_direction():
    n = 12
    matrix = np.full((n, n), 50.0)
    matrix[np.arange(n), (np.arange(n) - 1) % n] = 1.0  # a ring that is short backwards only
    matrix[np.arange(n), (np.arange(n) + 1) % n] = 9.0
    assert greedy_edge(matrix).length == n
    assert nearest_neighbour(matrix).length == n


def test_christofides_stays_within_its_guarantee():
    if importlib.util.find_spec("elkai") is None:
        pytest.skip("the package elkai is not installed")
    for seed in range(3):
        points = np.random.default_rng(seed).random((25, 2))
        assert christofides(points).length <= 1.5 * lkh(points, stop=QUICK).length


@pytest.mark.parametrize("name", ["christofides", "fast_tsp"])
def test_what_needs_symmetry_says_so(name):
    solver = _available(name)
    with pytest.raises(InputError, match="symmetric distances"):
        solver(np.random.default_rng(7).random((6, 6)), stop=QUICK)


@pytest.mark.parametrize("name", ["ortools", "lkh"])
def test_peers_that_take_asymmetric_matrices_use_the_direction(name):
    solver = _available(name)
    n = 8
    matrix = np.full((n, n), 50.0)
    matrix[np.arange(n), (np.arange(n) - 1) % n] = 1.0
    assert solver(matrix, stop=QUICK).length == n


def test_a_curve_needs_coordinates():
    with pytest.raises(InputError, match="needs coordinates"):
        space_filling_curve(INPUTS["matrix"])


@pytest.mark.parametrize("name", PEERS)
def test_peers_refuse_a_stop_without_a_time_limit(name):
    solver = _available(name)
    with pytest.raises(InputError, match="stops by the clock only"):
        solver(POINTS, stop=MaxIterations(10))


@pytest.mark.parametrize("name", BASELINES)
def test_fixed_edges_are_refused_rather_than_broken(name):
    solver = _available(name)
    problem = TSP(POINTS, fixed_edges=((0, 20),))
    with pytest.raises(InputError, match="does not know fixed edges"):
        solver(problem, stop=QUICK)


def test_a_tour_that_needs_a_missing_edge_is_infeasible():
    star = nx.star_graph(6)
    nx.set_edge_attributes(star, 1, "weight")
    with pytest.raises(InfeasibleError, match="the graph does not have"):
        nearest_neighbour(star)


@pytest.mark.parametrize("name", PEERS)
def test_an_absent_peer_is_named_with_its_extra(name, monkeypatch):
    def absent(module):
        raise ImportError(module)

    monkeypatch.setattr(baselines.importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'gnnlib\[(bench|lkh)\]'"):
        BASELINES[name](POINTS)


def test_ortools_without_time_finds_no_tour():
    _available("ortools")
    with pytest.raises(GnnlibError, match="found no tour of 400 cities within 0 s"):
        ortools_routing(np.random.default_rng(7).random((400, 2)), stop=MaxRuntime(0))


def test_fast_tsp_scales_distances_beyond_its_sixteen_bits():
    _available("fast_tsp")
    points = np.random.default_rng(8).random((12, 2))
    exact = [fast_tsp(points * scale, stop=QUICK).length / scale for scale in (1.0, 1e3, 1e9)]
    assert exact == pytest.approx([exact[0]] * 3, rel=1e-6)


def test_all_solvers_find_the_optimum_of_a_circle():
    angles = np.random.default_rng(9).permutation(20) * 2 * np.pi / 20
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best = 20 * 2 * np.sin(np.pi / 20)
    for name in PEERS:
        if importlib.util.find_spec(PEERS[name]) is not None:
            assert BASELINES[name](points, stop=QUICK).length == pytest.approx(best, rel=1e-9)


def test_fast_tsp_says_when_the_matrix_leaves_no_time():
    pytest.importorskip("fast_tsp", reason="needs the extra bench")
    with pytest.raises(GnnlibError, match="no time left"):
        BASELINES["fast_tsp"](np.random.default_rng(0).random((50, 2)), stop=MaxRuntime(0))
