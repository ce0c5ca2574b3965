"""Instances of the collections: close to their best known solutions within few rounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.io import read_routes, read_vrp
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.stop import MaxIterations

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data") / "combinatorial"

#: File, rounds, largest gap to the solution of the collection.
KNOWN = (
    ("cvrp/X/X-n101-k25.vrp", 30_000, 0.02),
    ("hfvrp/X115-HVRP.vrp", 5_000, 0.06),
    ("vrpb/X-n548-50-k25.vrp", 5_000, 0.15),
    ("gvrp/M-n101-k10-C34-V4.vrp", 2_000, 0.03),
)


@pytest.mark.parametrize(("name", "rounds", "gap"), KNOWN)
def test_few_rounds_come_close_to_the_best_known_solution(name, rounds, gap):
    path = MIRROR / name
    if not path.exists():
        pytest.skip(f"needs {name} in the folder of the collections (GNNLIB_DATA)")
    problem = read_vrp(path)
    best = check_routes(problem, read_routes(path.with_suffix(".sol")).routes).cost
    result = solve_vrp(problem, stop=MaxIterations(rounds), seed=0)
    assert result.feasible
    assert best * (1.0 - 1e-9) <= result.cost <= best * (1.0 + gap)


def test_c101_is_solved_to_its_proved_optimum():
    path = MIRROR / "vrptw" / "solomon" / "C101.txt"
    if not path.exists():
        pytest.skip("needs Solomon's instances in the folder of the collections (GNNLIB_DATA)")
    assert solve_vrp(path, stop=MaxIterations(5_000), seed=0).cost == pytest.approx(827.3)
