"""The public collections of routing problems: every file is read; every stored solution is feasible at its stated cost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnnlib.heads.combinatorial.vrp.io import read_routes, read_vrp
from gnnlib.heads.combinatorial.vrp.metrics import check_routes

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
DATA = MIRROR / "combinatorial"
SETS = ("cvrp/X", "cvrp/XXL", "hfvrp", "pcvrptw", "mdvrptw", "gvrp", "vrpb", "vrptw/gh1000")
SOLVED = [path for name in SETS for path in sorted((DATA / name).glob("*.vrp"))]
TABLES = ("vrptw/solomon", "vrptw/gh200", "vrptw/gh400", "pdptw/li_lim_100", "mdvrp/cordeau")
PLAIN = [
    *sorted(DATA.glob("cvrp/classic/*/*.vrp")),
    *(p for name in TABLES for p in sorted((DATA / name).glob("*.txt"))),
]

needs_data = pytest.mark.skipif(not SOLVED, reason=f"no routing files below {DATA}; name a mirror in GNNLIB_DATA")
HALF_A_UNIT_OF_THE_LAST_DIGIT = 0.0051
# some costs of the heterogeneous fleets count distances in thousandths, rounded, and are not divided by anything
IN_THOUSANDTHS = 1e9


@needs_data
@pytest.mark.parametrize("folder", SETS)
def test_every_stored_solution_is_feasible_and_costs_what_its_file_says(folder):
    paths = [path for path in SOLVED if path.parent == DATA / folder]
    assert paths, f"no files in {folder}"
    for path in paths:
        stored = read_routes(path.with_suffix(".sol"))
        found = check_routes(read_vrp(path), stored.routes)
        assert found.violations == (), path.name
        stated = stored.cost
        if stated > IN_THOUSANDTHS:
            assert folder == "hfvrp"
            found = check_routes(read_vrp(path, convention="milli"), stored.routes)
            stated /= 1000.0
        assert found.cost == pytest.approx(stated, rel=0, abs=HALF_A_UNIT_OF_THE_LAST_DIGIT), path.name


@needs_data
def test_every_instance_without_a_stored_solution_is_read():
    assert len(PLAIN) > 300
    for path in PLAIN:
        problem = read_vrp(path)
        assert problem.num_clients >= 10, path.name
        assert (problem.delivery.sum() + problem.pickup.sum()) > 0, path.name


@needs_data
def test_a_client_left_out_or_moved_is_noticed():
    path = DATA / "vrptw" / "gh1000" / "C1_10_1.vrp"
    problem, stored = read_vrp(path), read_routes(path.with_suffix(".sol"))
    lost = [list(route) for route in stored.routes]
    dropped = lost[0].pop()
    assert f"client {dropped} is not served" in check_routes(problem, lost).violations
    turned = [list(stored.routes[0][::-1]), *stored.routes[1:]]
    assert any("time window" in fault for fault in check_routes(problem, turned).violations)
    joined = [[*stored.routes[0], *stored.routes[1]], *stored.routes[2:]]
    assert any("capacity" in fault for fault in check_routes(problem, joined).violations)
