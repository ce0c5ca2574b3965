"""The TSPLIB and national collections: every file is read, and the stored tours cost what is published.

The optimal lengths are those of TSPLIB's own list (``solutions.txt``); the tours are TSPLIB's (``.opt.tour``) and LKH's
(``.sol``).
"""

import json
import os
import re
from pathlib import Path

import numba as nb
import numpy as np
import pytest

from gnnlib.heads.combinatorial.kernels.distance import distance
from gnnlib.heads.combinatorial.tsp.baselines import greedy_edge, nearest_neighbour
from gnnlib.heads.combinatorial.tsp.io import format_tsplib, read_solution, read_tour, read_tsplib

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
TSPLIB = MIRROR / "combinatorial" / "tsp" / "tsplib"
NATIONAL = MIRROR / "combinatorial" / "tsp" / "national"
TOURS = MIRROR / "combinatorial" / "tsp" / "tsplib_tours"
BEST_KNOWN = MIRROR / "combinatorial" / "bks" / "tsp_bks.json"

INSTANCES = [*sorted(TSPLIB.glob("*.tsp")), *sorted(NATIONAL.glob("*.tsp"))]
TOUR_FILES = [*sorted(TOURS.glob("*.opt.tour")), *sorted(TOURS.glob("*.sol"))]

# LKH's tours that are not optimal, as their makers say
NEARLY_OPTIMAL = {"brd14051", "d15112", "d18512", "fl1400", "fl1577", "fl3795", "rl1889", "usa13509"}

needs_data = pytest.mark.skipif(
    not INSTANCES, reason=f"no TSP files below {MIRROR}; name a mirror of the data in GNNLIB_DATA"
)


def _stem(path):
    return path.name.split(".")[0]


def _size(path):
    return int(re.search(r"\d+$", path.stem)[0])  # every name ends in the number of cities


@nb.njit
def _compiled_distances(data, sources, targets):
    out = np.empty(len(sources))
    for k in range(len(sources)):
        out[k] = distance(data, sources[k], targets[k])
    return out


@pytest.fixture(scope="module")
def optima():
    lines = (TSPLIB / "solutions.txt").read_text().splitlines()
    return {match[1]: int(match[2]) for match in (re.match(r"(\w+)\s*:\s*(\d+)", line) for line in lines)}


@needs_data
@pytest.mark.parametrize("path", INSTANCES, ids=_stem)
def test_the_file_is_read_and_the_compiled_rule_agrees_with_the_arrays(path):
    problem = read_tsplib(path)
    assert problem.num_cities == _size(path)
    assert problem.is_integral
    assert problem.is_symmetric
    sources, targets = np.random.default_rng(0).integers(0, problem.num_cities, (2, 5000))
    compiled = _compiled_distances(problem.distance_data(), sources, targets)
    assert np.array_equal(compiled, problem.distances(sources, targets))


@needs_data
@pytest.mark.parametrize("path", TOUR_FILES, ids=lambda path: path.name)
def test_the_stored_tour_costs_what_is_published(path, optima):
    name = _stem(path)
    order = read_solution(path) if path.suffix == ".sol" else read_tour(path)
    length = read_tsplib(TSPLIB / f"{name}.tsp").length(order)
    if path.suffix == ".sol" and name in NEARLY_OPTIMAL:
        assert optima[name] <= length <= 1.003 * optima[name]
    else:
        assert length == optima[name]


@needs_data
@pytest.mark.parametrize("path", [path for path in INSTANCES if _size(path) <= 1000], ids=_stem)
def test_the_written_file_is_the_same_instance(path, tmp_path):
    problem = read_tsplib(path)
    (tmp_path / "x.tsp").write_text(format_tsplib(problem))
    back = read_tsplib(tmp_path / "x.tsp")
    assert np.array_equal(back.coords, problem.coords)
    assert np.array_equal(back.matrix, problem.matrix)
    assert (back.fixed_edges, back.metric) == (problem.fixed_edges, problem.metric)


@needs_data
def test_the_fixed_edge_of_linhp318_is_the_end_of_a_path():
    # the published 41345 leaves the fixed edge out: with its 3869 no tour would beat lin318's 42029
    problem = read_tsplib(TSPLIB / "linhp318.tsp")
    assert problem.fixed_edges == ((0, 213),)
    assert problem.distances(np.array([0]), np.array([213]))[0] == 3869


@needs_data
def test_simple_tours_of_the_national_instances_lie_above_the_best_known_ones():
    best = json.loads(BEST_KNOWN.read_text())
    for path in sorted(NATIONAL.glob("*.tsp")):
        problem = read_tsplib(path)
        known = best[_stem(path)]["best_known_cost"]
        for solver in (greedy_edge, nearest_neighbour):
            length = solver(problem).length
            assert known <= length <= 1.45 * known, (path.stem, solver.__name__, length / known)


@needs_data
@pytest.mark.parametrize("name", ["bayg29", "gr17", "brazil58", "si175", "bays29", "gr24", "pa561"])
def test_a_simple_tour_of_an_explicit_instance_lies_little_above_the_optimum(name, optima):
    path = TSPLIB / f"{name}.tsp"
    if not path.exists():
        pytest.skip(f"{path} is not in the mirror")
    assert optima[name] <= nearest_neighbour(path).length <= 1.5 * optima[name]
