"""Routing files: small ones written here, and the faults that a file can have."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.vrp.io import format_routes, read_routes, read_vrp, write_routes

CVRP = """NAME : tiny
TYPE : CVRP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 0 3
3 1 1
DEMAND_SECTION
1 0
2 4
3 5
DEPOT_SECTION
1
-1
EOF
"""
SOLOMON = """R1

VEHICLE
NUMBER     CAPACITY
  2         50

CUSTOMER
CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE TIME

    0      0         0          0          0       230          0
    1      1         1         10          5        20         10
"""
LI_LIM = """2 50 1
0 0 0 0 0 100 0 0 0
1 3 4 7 0 50 2 0 2
2 0 4 -7 0 90 2 1 0
"""
CORDEAU = """2 1 2 2
0 80
60 90
1 3 4 5 7 1 2 1 2
2 6 8 0 9 1 2 1 2
3 0 0 0 0 0 0
4 9 9 0 0 0 0
"""


def put(tmp_path, text, name="file.vrp"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_cvrp_is_read_with_distances_to_the_nearest_whole_number(tmp_path):
    problem = read_vrp(put(tmp_path, CVRP))
    assert (problem.name, problem.num_clients, problem.num_vehicles) == ("tiny", 2, 2)
    assert problem.travel.distance_matrix().tolist() == [[0, 3, 1], [3, 0, 2], [1, 2, 0]]
    assert problem.delivery.ravel().tolist() == [4.0, 5.0]
    assert problem.vehicle_types[0].capacity == (10.0,)
    exact = read_vrp(put(tmp_path, CVRP), convention="exact")
    assert float(exact.travel.distance(0, 2)) == pytest.approx(2**0.5)


def test_gzipped_files_are_recognised(tmp_path):
    path = tmp_path / "tiny.vrp.gz"
    path.write_bytes(gzip.compress(CVRP.encode()))
    assert read_vrp(path).num_clients == 2


def test_a_solomon_file_counts_in_tenths_rounded_down(tmp_path):
    problem = read_vrp(put(tmp_path, SOLOMON))
    assert (problem.name, problem.num_vehicles, problem.cost_scale) == ("R1", 2, 10.0)
    assert float(problem.travel.distance(0, 1)) == 14.0
    assert problem.windows.tolist() == [[[50.0, 200.0]]]
    assert problem.depot_windows.tolist() == [[0.0, 2300.0]]
    assert problem.service_time.tolist() == [100.0]


def test_a_li_lim_file_pairs_pickups_with_deliveries(tmp_path):
    problem = read_vrp(put(tmp_path, LI_LIM))
    assert problem.pairs.tolist() == [[1, 2]]
    assert problem.pickup.ravel().tolist() == [7.0, 0.0]
    assert problem.delivery.ravel().tolist() == [0.0, 7.0]


def test_a_cordeau_file_puts_the_depots_first(tmp_path):
    problem = read_vrp(put(tmp_path, CORDEAU))
    assert problem.num_depots == 2
    assert problem.travel.coords.tolist() == [[0, 0], [9, 9], [3, 4], [6, 8]]
    first, second = problem.vehicle_types
    assert (first.start, first.max_duration, second.start, second.max_duration) == (0, np.inf, 1, 60.0)
    assert problem.service_time.tolist() == [5.0, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("7 8\n", r":1: expected a VRPLIB, Solomon, Li-Lim or Cordeau file"),
        (CVRP.replace("3 1 1\n", ""), r"NODE_COORD_SECTION must hold 3 rows of 3 numbers, found 6 numbers"),
        (CVRP.replace("3 1 1", "3 1 x"), r":9: expected a number in NODE_COORD_SECTION, found 'x'"),
        (CVRP.replace("3 1 1", "7 1 1"), r":9: expected row 3, found 7"),
        (CVRP.replace("TYPE : CVRP", "TYPE : TSP"), r":2: TYPE must be one of CVRP"),
        (CVRP.replace("EUC_2D", "GEO"), r":4: EDGE_WEIGHT_TYPE must be one of EUC_2D"),
        (CVRP.replace("DIMENSION : 3", "DIMENSION : 1"), "DIMENSION must be at least 2, found 1"),
        (CVRP.replace("CAPACITY : 10", "CAPACITY : -1"), "CAPACITY must be finite and >= 0"),
        (CVRP.replace("DEPOT_SECTION\n1", "DEPOT_SECTION\n2"), r"the depots must be the first nodes, found \[2\]"),
        (CVRP.replace("2 4\n", "2 -4\n"), "`delivery` must be finite and >= 0, found -4.0 for client 1"),
        (SOLOMON.replace("CUSTOMER\n", "CLIENTS\n"), "then `CUSTOMER`"),
        (SOLOMON.replace("20         10\n", "20\n"), r":11: expected 7 numbers, found 6"),
        (SOLOMON.replace("    1      1", "    1      y"), r":11: expected numbers"),
        (LI_LIM.replace("1 0\n", "0 0\n"), "must name each other"),
        (LI_LIM.replace("0 2\n", "0 9\n"), "task 1 is delivered to 9, which is not in the file"),
        (CORDEAU.replace("2 1 2 2\n0", "3 1 2 2\n0"), r":1: expected problem type 2 \(multi-depot\), found 3"),
        (CORDEAU.replace("4 9 9 0 0 0 0\n", ""), "expected 2 limits, 2 clients and 2 depots, found 5 lines"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(FileFormatError, match=message) as caught:
        read_vrp(put(tmp_path, text))
    assert "file.vrp" in str(caught.value)


def test_an_unknown_convention_is_refused(tmp_path):
    with pytest.raises(InputError, match="`convention` must be one of exact, round, floor, dimacs, milli"):
        read_vrp(put(tmp_path, CVRP), convention="nearest")


def test_solutions_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "tiny.sol"
    write_routes([[2, 1], [], [3]], path, cost=12.5)
    stored = read_routes(path)
    assert stored.routes == ((2, 1), (), (3,))
    assert stored.cost == 12.5
    assert format_routes(stored.routes) == "Route #1: 2 1\nRoute #2:\nRoute #3: 3\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Cost 7\n", "expected lines `Route #1: ...`, found none"),
        ("Route #1: 1 x\n", ":1: a route must hold client numbers >= 1, found 'x'"),
        ("Route #1: 0\n", ":1: a route must hold client numbers >= 1, found '0'"),
        ("Route #1: 1\nCost many\n", ":2: the cost must be a number, found 'many'"),
    ],
)
def test_a_faulty_solution_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(FileFormatError, match=message):
        read_routes(put(tmp_path, text, "bad.sol"))
