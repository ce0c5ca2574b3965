"""Building problems client by client: numbers, defaults, and what is refused by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.builder import VRPBuilder
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.problem import VRP
from gnnlib.heads.combinatorial.vrp.vehicles import VehicleType


def started(depots=1):
    builder = VRPBuilder("built")
    for number in range(depots):
        builder.add_depot((0.0, float(number)))
    return builder


def test_clients_get_the_numbers_by_which_routes_list_them():
    builder = started(depots=2)
    assert [builder.add_client((1, 1)), builder.add_client((2, 2))] == [2, 3]
    builder.add_vehicle_type(VehicleType(1))
    assert check_routes(builder.build(), [[2, 3]]).feasible


def test_a_built_problem_is_the_one_that_arrays_make():
    builder = started()
    coords = [(3.0, 4.0), (0.0, 5.0), (9.0, 0.0)]
    for place, demand in zip(coords, (4, 3, 5), strict=True):
        builder.add_client(place, delivery=demand)
    builder.add_vehicle_type(VehicleType(3, (8.0,)))
    built, plain = builder.build(), VRP.from_coords([(0.0, 0.0), *coords], demand=[4, 3, 5], capacity=8)
    for name in ("delivery", "pickup", "service_time", "prize", "required", "depot_windows"):
        np.testing.assert_array_equal(getattr(built, name), getattr(plain, name))
    np.testing.assert_array_equal(built.travel.distance_matrix(), plain.travel.distance_matrix())
    assert built.vehicle_types == plain.vehicle_types


def test_windows_of_different_number_are_filled_up():
    builder = started()
    builder.add_client((1, 0), windows=(2, 3))
    builder.add_client((2, 0), windows=[(0, 1), (5, 6)])
    builder.add_client((3, 0))
    builder.add_vehicle_type(VehicleType(1))
    np.testing.assert_array_equal(
        builder.build().windows,
        [[[2, 3], [math.nan] * 2], [[0, 1], [5, 6]], [[0, math.inf], [math.nan] * 2]],
    )


def test_loads_of_several_dimensions_are_filled_up_with_zeros():
    builder = started()
    builder.add_client((1, 0), delivery=2)
    builder.add_client((2, 0), pickup=(0, 3))
    builder.add_vehicle_type(VehicleType(1, (5.0, 6.0)))
    problem = builder.build()
    assert problem.delivery.tolist() == [[2, 0], [0, 0]]
    assert problem.pickup.tolist() == [[0, 0], [0, 3]]


def test_a_load_of_more_dimensions_than_the_vehicles_is_refused():
    builder = started()
    builder.add_client((1, 0), delivery=(1, 2))
    builder.add_vehicle_type(VehicleType(1, (5.0,)))
    with pytest.raises(InputError, match="`delivery` of client 1 has 2 dimensions, the vehicles' capacity has 1"):
        builder.build()


def test_a_prize_makes_a_client_optional_unless_said_otherwise():
    builder = started()
    for fields in ({"prize": 3}, {"prize": 3, "required": True}, {"required": False}, {}):
        builder.add_client((1, 0), **fields)
    builder.add_vehicle_type(VehicleType(1))
    assert builder.build().required.tolist() == [False, True, False, True]


def test_pairs_and_groups_bind_clients_by_their_numbers():
    builder = started()
    a, b, c, d = (builder.add_client((x, 0)) for x in range(4))
    builder.add_pair(b, a, load=2)
    builder.add_group([c, d])
    builder.add_vehicle_type(VehicleType(1, (2.0,)))
    problem = builder.build()
    assert check_routes(problem, [[b, a, c]]).feasible
    assert not check_routes(problem, [[a, b, c]]).feasible
    assert not check_routes(problem, [[b, a, c, d]]).feasible
    assert not check_routes(problem, [[b, a]]).feasible


def test_matrices_serve_in_the_place_of_coordinates_one_for_each_profile():
    builder = VRPBuilder()
    builder.add_depot()
    client = builder.add_client()
    builder.add_vehicle_type(VehicleType(1))
    builder.add_vehicle_type(VehicleType(1, profile=1))
    problem = builder.build(distances=[[[0, 1], [2, 0]], [[0, 10], [20, 0]]], durations=[[0, 5], [5, 0]])
    assert check_routes(problem, [[client]], [0]).cost == 3
    assert check_routes(problem, [[client]], [1]).cost == 30
    assert check_routes(problem, [[client]], [1]).routes[0].duration == 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"delivery": -1}, "`delivery` must be finite and >= 0, found -1.0 for client 1"),
        ({"pickup": math.nan}, "`pickup` must be finite and >= 0, found nan for client 1"),
        ({"delivery": 1e300}, "`delivery` must be at most 1e[+]12, found 1e[+]300 for client 1"),
        ({"service_time": -2}, "`service_time` must be finite and >= 0, found -2.0 for client 1"),
        ({"windows": (5, 2)}, "`windows` must open before they close, found .* for client 1"),
        ({"windows": [(0, 5), (4, 9)]}, "`windows` of one place must follow each other"),
        ({"windows": (1, 2, 3)}, "`windows` of client 1 must be pairs"),
        ({"skills": "crane"}, "`skills` of client 1 must be a collection of words, found the word 'crane'"),
        ({"place": (1, math.inf)}, "`place` must be two finite numbers"),
        ({"place": (1, 2, 3)}, "`place` must be two finite numbers"),
        ({"delivery": "much"}, "`delivery` must be numbers"),
    ],
)
def test_a_bad_client_is_refused_when_it_is_added(fields, message):
    with pytest.raises(InputError, match=message):
        started().add_client(**{"place": (1, 1), **fields})


def test_a_bad_order_of_calls_is_refused():
    builder = started()
    first = builder.add_client((1, 1), delivery=1)
    second = builder.add_client((2, 1))
    third = builder.add_client((3, 1))
    with pytest.raises(InputError, match="depots must be added before clients"):
        builder.add_depot((0, 0))
    with pytest.raises(InputError, match="client 1 of a pair must not have a delivery or pickup of its own"):
        builder.add_pair(first, second)
    with pytest.raises(InputError, match="must hold client numbers from 1 to 3, found 9"):
        builder.add_pair(second, 9)
    builder.add_group([second, third])
    with pytest.raises(InputError, match="a client may be in one group only, found client 3 in two"):
        builder.add_group([third])
    with pytest.raises(InputError, match="must not hold a client twice"):
        builder.add_group([first, first])
    with pytest.raises(InputError, match="`kind` must be a VehicleType, found int"):
        builder.add_vehicle_type(3)


def test_what_is_missing_is_said_when_building():
    with pytest.raises(InputError, match="`num_depots` must be from 1"):
        builder = VRPBuilder()
        builder.add_client((1, 1))
        builder.add_vehicle_type(VehicleType(1))
        builder.build()
    builder = started()
    with pytest.raises(InputError, match="at least one client"):
        builder.build()
    builder.add_client()
    with pytest.raises(InputError, match="place 1 has no coordinates"):
        builder.build()
    with pytest.raises(InputError, match="at least one vehicle type"):
        builder.build(distances=np.zeros((2, 2)))
    builder.add_vehicle_type(VehicleType(0))
    with pytest.raises(InputError, match="at least one vehicle; `count` is 0"):
        builder.build(distances=np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"`distances` must have shape \[P, M, M\], found \[1, 2, 3\]"):
        builder.build(distances=np.zeros((2, 3)))
    with pytest.raises(InputError, match="`delivery` must have shape"):
        builder.build(distances=np.zeros((3, 3)))
    with pytest.raises(InputError, match="must be >= 0 and not NaN, found nan from 0 to 1"):
        builder.build(distances=[[0, math.nan], [1, 0]])
