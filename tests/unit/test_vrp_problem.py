"""Vehicle routing problems: what they accept, what they refuse and how they say it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.metrics import check_routes, plan_route
from gnnlib.heads.combinatorial.vrp.problem import VRP, Group, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import Travel

SQUARE = [[0.0, 0.0], [0.0, 3.0], [4.0, 3.0], [4.0, 0.0]]


def square(kinds=None, **fields):
    return VRP(Travel(np.array(SQUARE)), (VehicleType(3, (10.0,)),) if kinds is None else tuple(kinds), **fields)


def test_a_round_trip_costs_its_length_and_every_part_is_told_apart():
    kinds = [VehicleType(2, (10.0,), fixed_cost=7.0, distance_cost=2.0, duration_cost=0.5)]
    found = check_routes(square(kinds, service_time=[1.0, 1.0, 1.0]), [[1, 2, 3]])
    assert found.distance_cost == 2.0 * 14.0
    assert found.fixed_cost == 7.0
    assert found.duration_cost == 0.5 * (14.0 + 3.0)
    assert found.cost == found.distance_cost + found.duration_cost + found.fixed_cost
    assert found.feasible


def test_open_routes_do_not_pay_for_the_way_home():
    found = check_routes(square([VehicleType(1, (10.0,), end=None)]), [[1, 2, 3]])
    assert found.cost == 10.0


def test_asymmetric_matrices_are_read_row_to_column():
    there = np.array([[[0.0, 1.0], [9.0, 0.0]]])
    problem = VRP(Travel(distances=there), (VehicleType(1, ()),))
    assert check_routes(problem, [[1]]).cost == 10.0
    one_way = VRP(Travel(distances=there), (VehicleType(1, (), end=None),))
    assert check_routes(one_way, [[1]]).cost == 1.0


def test_a_profile_of_its_own_changes_the_distances_of_a_vehicle():
    matrices = np.stack([np.ones((2, 2)), 5.0 * np.ones((2, 2))])
    kinds = (VehicleType(1, ()), VehicleType(1, (), profile=1))
    problem = VRP(Travel(distances=matrices), kinds)
    assert check_routes(problem, [[1]], [0]).cost == 2.0
    assert check_routes(problem, [[1]], [1]).cost == 10.0


def test_waiting_counts_in_the_duration_but_not_more_than_it_must():
    windows = np.array([[[0.0, 100.0]], [[50.0, 60.0]], [[0.0, 100.0]]])
    plan = plan_route(square(windows=windows), [1, 2, 3], 0)
    assert plan.starts == (3.0, 50.0, 53.0)
    assert plan.leaves == 43.0  # leaving later still reaches client 2 as it opens
    assert plan.duration == 14.0


def test_the_second_window_is_used_when_the_first_is_missed():
    windows = np.array([[[0.0, 1.0], [20.0, 30.0]], [[0.0, 99.0], [math.nan, math.nan]], [[0.0, 99.0], [math.nan] * 2]])
    plan = plan_route(square(windows=windows), [1], 0)
    assert plan.starts == (20.0,)
    assert plan.faults == ()


@pytest.mark.parametrize(
    ("kind", "fields", "route", "fault"),
    [
        (VehicleType(1, (4.0,)), {"delivery": [[2.0], [3.0], [0.0]]}, [1, 2], "load 5 is over the capacity 4"),
        (
            VehicleType(1, (4.0,)),
            {"delivery": [[3.0], [0.0], [0.0]], "pickup": [[0.0], [2.0], [0.0]]},
            [2, 1],
            "load 5 is over",
        ),
        (VehicleType(1, (9.0,), max_distance=13.0), {}, [1, 2, 3], "distance 14 is over the limit 13"),
        (VehicleType(1, (9.0,), max_duration=13.0), {}, [1, 2, 3], "duration 14 is over the limit 13"),
        (VehicleType(1, (9.0,), shift=(0.0, 13.0)), {}, [1, 2, 3], "it ends at 14, after 13"),
        (VehicleType(1, (9.0,)), {"skills": (frozenset({"crane"}), frozenset(), frozenset())}, [1], "needs the skills"),
        (VehicleType(1, (9.0,)), {"pairs": [[1, 3]]}, [3, 1], "delivery 3 comes before its pickup 1"),
        (VehicleType(1, (9.0,)), {"pairs": [[1, 3]]}, [1, 2], "must be in the same route"),
        (
            VehicleType(1, (9.0,)),
            {"backhaul": True, "delivery": [[1.0], [1.0], [0.0]], "pickup": [[0.0], [0.0], [1.0]]},
            [1, 3, 2],
            "a delivery comes after a pickup",
        ),
        (
            VehicleType(1, (9.0,)),
            {"backhaul": True, "delivery": [[1.0], [1.0], [0.0]], "pickup": [[0.0], [0.0], [1.0]]},
            [3],
            "it holds pickups only",
        ),
    ],
)
def test_what_a_route_breaks_is_said(kind, fields, route, fault):
    plan = plan_route(square([kind], **fields), route, 0)
    assert any(fault in sentence for sentence in plan.faults), plan.faults


def test_a_delivery_after_a_pickup_fits_when_it_makes_room_first():
    fields = {"delivery": [[3.0], [0.0], [0.0]], "pickup": [[0.0], [2.0], [0.0]]}
    assert plan_route(square([VehicleType(1, (4.0,))], **fields), [1, 2], 0).loads == ((3.0,), (0.0,), (2.0,))


def test_clients_with_a_prize_may_stay_at_home_at_its_price():
    problem = square(prize=[0.0, 5.0, 0.0])
    found = check_routes(problem, [[1, 3]])
    assert found.feasible
    assert found.uncollected_prizes == 5.0
    assert found.cost == 3.0 + 5.0 + 4.0 + 5.0


def test_one_client_of_a_group_is_served_and_not_two():
    problem = square(groups=(Group((1, 2)),))
    assert check_routes(problem, [[1], [3]]).feasible
    assert "of the group [1, 2] 2 clients are served" in check_routes(problem, [[1, 2], [3]]).violations
    assert "of the group [1, 2] 0 clients are served" in check_routes(problem, [[3]]).violations


def test_more_vehicles_than_there_are_is_noticed():
    problem = square([VehicleType(1, (9.0,)), VehicleType(2, (9.0,))])
    assert "2 vehicles of type 0 are used, there are 1" in check_routes(problem, [[1], [2], [3]], [0, 0, 1]).violations
    with pytest.raises(InputError, match="there are 3 vehicles, found 4 routes"):
        check_routes(problem, [[1], [2], [3], []])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"delivery": [[1.0], [-2.0], [0.0]]}, "`delivery` must be finite and >= 0, found -2.0 for client 2"),
        ({"delivery": [[1.0], [2.0]]}, r"`delivery` must have shape \[3, 1\], found \[2, 1\]"),
        ({"service_time": [0.0, math.nan, 0.0]}, "`service_time` must be finite and >= 0, found nan"),
        ({"windows": [[[5.0, 2.0]], [[0.0, 1.0]], [[0.0, 1.0]]]}, "must open before they close"),
        ({"windows": [[[0.0, 5.0], [4.0, 9.0]]] * 3}, "must follow each other"),
        ({"pairs": [[1, 7]]}, "must hold client numbers from 1 to 3, found 7"),
        ({"pairs": [[1, 2], [2, 3]]}, "must not hold a client twice"),
        ({"groups": (Group((0,)),)}, "must hold client numbers from 1 to 3, found 0"),
        ({"skills": (frozenset(),)}, "`skills` must have 3 entries"),
        ({"num_depots": 0}, "`num_depots` must be from 1 to the 4 places, found 0"),
        ({"cost_scale": 0.0}, "`cost_scale` must be > 0"),
        ({"kinds": ()}, "at least one vehicle type"),
        ({"kinds": (VehicleType(1, (1.0,)), VehicleType(1, (1.0, 2.0)))}, "found 1 in type 0 and 2 in type 1"),
        ({"kinds": (VehicleType(1, (1.0,), start=2),)}, "`start` of vehicle type 0 must be below 1 depots, found 2"),
        ({"kinds": (VehicleType(1, (1.0,), profile=1),)}, "`profile` of vehicle type 0 must be below 1, found 1"),
    ],
)
def test_a_problem_that_does_not_fit_itself_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        square(**fields)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "`count` of a vehicle type must be >= 0, found -1"),
        ({"count": 1.5}, "must be a whole number, found 1.5"),
        ({"count": 1, "fixed_cost": math.nan}, "`fixed_cost` of a vehicle type must be finite and >= 0, found nan"),
        ({"count": 1, "capacity": (1.0, -1.0)}, r"`capacity\[1\]` of a vehicle type"),
        ({"count": 1, "shift": (5.0, 1.0)}, "must not end before it starts"),
    ],
)
def test_impossible_vehicles_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        VehicleType(**arguments)


@pytest.mark.parametrize(
    ("travel", "message"),
    [
        (lambda: Travel(), "need `coords` or `distances`"),
        (lambda: Travel(np.zeros((3, 3))), r"`coords` must have shape \[M, 2\], found \[3, 3\]"),
        (lambda: Travel(np.array([[0.0, np.inf]])), "`coords` must be finite"),
        (lambda: Travel(np.zeros((2, 2)), "nearest"), "`rounding` must be one of exact, round, floor, ceil"),
        (lambda: Travel(distances=np.zeros((2, 2))), r"`distances` must have shape \[P, M, M\]"),
        (lambda: Travel(distances=-np.ones((1, 2, 2))), "must be >= 0 and not NaN, found -1.0 from 0 to 0"),
        (lambda: Travel(np.zeros((2, 2)), durations=np.zeros((1, 3, 3))), "must be about 2 places, found 3"),
    ],
)
def test_travel_that_makes_no_sense_is_refused(travel, message):
    with pytest.raises(InputError, match=message):
        travel()


def test_a_way_that_does_not_exist_may_not_be_used():
    ways = np.array([[[0.0, 1.0], [np.inf, 0.0]]])
    found = check_routes(VRP(Travel(distances=ways), (VehicleType(1, ()),)), [[1]])
    assert "route 1: it uses a way that does not exist" in found.violations
