"""Routes of several trips: what the checker says of them."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.io import format_routes, read_routes
from gnnlib.heads.combinatorial.vrp.metrics import check_routes, plan_route
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import Travel


def line(kind, **fields):
    """Depots at 0 and 10, clients at 1, 2, 3 on a line."""
    places = np.array([[0.0, 0.0], [10.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    return VRP(Travel(places), (kind,), num_depots=2, delivery=[[5.0], [5.0], [5.0]], **fields)


def test_a_reload_makes_room_and_costs_the_way():
    problem = line(VehicleType(1, (5.0,), reload_depots=(0,)))
    plan = plan_route(problem, [2, 0, 3, 0, 4], 0)
    assert plan.faults == ()
    assert plan.distance == 2.0 + 4.0 + 6.0
    assert plan.loads == ((5.0,), (0.0,), (5.0,), (0.0,), (5.0,), (0.0,))
    found = check_routes(problem, [[2, 0, 3, 0, 4]])
    assert found.feasible
    assert found.unserved == ()


@pytest.mark.parametrize(
    ("kind", "route", "fault"),
    [
        (VehicleType(1, (5.0,)), [2, 0, 3], "reloads at depot 0, where its vehicle may not"),
        (VehicleType(1, (5.0,), reload_depots=(0,)), [2, 1, 3], "reloads at depot 1, where its vehicle may not"),
        (
            VehicleType(1, (5.0,), reload_depots=(0,), max_reloads=1),
            [2, 0, 3, 0, 4],
            "reloads 2 times, over the limit 1",
        ),
        (VehicleType(1, (5.0,), reload_depots=(0,)), [2, 0, 3, 4], "load 10 is over the capacity 5"),
        (VehicleType(1, (5.0,), reload_depots=(0,), max_distance=11.0), [2, 0, 3, 0, 4], "distance 12 is over"),
    ],
)
def test_what_a_reloading_route_breaks_is_said(kind, route, fault):
    assert any(fault in sentence for sentence in plan_route(line(kind), route, 0).faults)


def test_the_depot_must_be_open_for_a_reload():
    kind = VehicleType(1, (5.0,), end=1, reload_depots=(0,))
    closing = np.array([[0.0, 3.0], [0.0, 99.0]])
    assert plan_route(line(kind, depot_windows=closing), [2, 0, 3], 0).faults == ()
    late = plan_route(line(kind, depot_windows=closing), [3, 0, 2], 0).faults
    assert late == ("the reload at depot 0 is reached at 4, after its last time window",)


def test_a_pair_must_not_straddle_a_reload():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    kind = VehicleType(1, (5.0,), reload_depots=(0,))
    problem = VRP(Travel(places), (kind,), pairs=[[1, 2]], pickup=[[2.0], [0.0]], delivery=[[0.0], [2.0]])
    assert plan_route(problem, [1, 2], 0).faults == ()
    assert plan_route(problem, [1, 0, 2], 0).faults == ("the vehicle reloads between pickup 1 and delivery 2",)


def test_a_reload_survives_the_solution_file(tmp_path):
    text = format_routes([[4, 2, 0, 3, 1, 5]], 7, num_depots=2)
    assert text == "Route #1: 4 2 | 3 |1 5\nCost 7\n"
    (tmp_path / "x.sol").write_text(text)
    assert read_routes(tmp_path / "x.sol").routes == ((4, 2, 0, 3, 1, 5),)


def test_reload_depots_must_exist():
    with pytest.raises(InputError, match="`reload_depots` of vehicle type 0 must be below 2 depots, found 2"):
        line(VehicleType(1, (5.0,), reload_depots=(2,)))
    with pytest.raises(InputError, match="`max_reloads` of a vehicle type must be >= 0"):
        VehicleType(1, max_reloads=-1)
