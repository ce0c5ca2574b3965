"""Whatever instance or tour is written reads back the same."""

import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnnlib.heads.combinatorial.tsp.io import (
    format_tour,
    format_tsplib,
    read_solution,
    read_tour,
    read_tsplib,
    write_solution,
)
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.heads.combinatorial.tsp.rules import METRIC_DIMENSIONS

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
COMMENTS = st.lists(NAMES.map(str.strip), max_size=3).map("\n".join)


@st.composite
def coordinate_instances(draw):
    metric = draw(st.sampled_from(sorted(METRIC_DIMENSIONS)))
    dimension = draw(st.sampled_from(METRIC_DIMENSIONS[metric]))
    limit = 89.0 if metric == "GEO" else 1e9
    number = st.floats(-limit, limit).filter(lambda x: x == 0 or abs(x) > 1e-100)
    coords = draw(st.lists(st.lists(number, min_size=dimension, max_size=dimension), min_size=1, max_size=8))
    return TSP(np.array(coords), metric=metric, name=draw(NAMES), comment=draw(COMMENTS))


@st.composite
def matrix_instances(draw):
    n = draw(st.integers(1, 6))
    values = draw(st.lists(st.floats(0, 1e100), min_size=n * n, max_size=n * n))
    matrix = np.array(values).reshape(n, n)
    if draw(st.booleans()):
        matrix = np.maximum(matrix, matrix.T)
    path = draw(st.permutations(range(n)))[: draw(st.integers(0, n))]
    edges = tuple(itertools.pairwise(path))
    return TSP(matrix=matrix, metric="EXPLICIT", name=draw(NAMES), comment=draw(COMMENTS), fixed_edges=edges)


@given(problem=st.one_of(coordinate_instances(), matrix_instances()))
@SETTINGS
def test_an_instance_reads_back_bit_for_bit(tmp_path, problem):
    path = tmp_path / "x.tsp"
    path.write_text(format_tsplib(problem))
    back = read_tsplib(path)
    assert (back.metric, back.name, back.comment) == (problem.metric, problem.name, problem.comment)
    assert back.fixed_edges == problem.fixed_edges
    assert np.array_equal(back.coords, problem.coords)
    assert np.array_equal(back.matrix, problem.matrix)
    order = np.random.default_rng(0).permutation(problem.num_cities)
    assert back.length(order) == problem.length(order)


@given(order=st.integers(1, 40).flatmap(lambda n: st.permutations(range(n))))
@SETTINGS
def test_a_tour_reads_back_in_its_order(tmp_path, order):
    path = tmp_path / "x.tour"
    path.write_text(format_tour(order, name="x", comment="y"))
    assert read_tour(path).tolist() == list(order)


@given(order=st.integers(1, 40).flatmap(lambda n: st.permutations(range(n))))
@SETTINGS
def test_a_solution_reads_back_as_the_same_cycle(tmp_path, order):
    write_solution(order, tmp_path / "x.sol")
    depot = order.index(0)
    assert read_solution(tmp_path / "x.sol").tolist() == list(order[depot:]) + list(order[:depot])
