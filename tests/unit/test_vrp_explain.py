"""Why clients cannot be served."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gnnlib.heads.combinatorial.vrp.explain import explain_shortage, explain_unservable
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp
from gnnlib.heads.combinatorial.vrp.metrics import plan_route
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.travel import Travel

PLACES = np.array([[0.0, 0.0], [3.0, 4.0], [30.0, 40.0]])
NO_WAY = np.array([[[0.0, 5.0, math.inf], [5.0, 0.0, 1.0], [1.0, 1.0, 0.0]]])
ONE_WAY = np.array([[[0.0, 5.0, 5.0], [5.0, 0.0, 1.0], [math.inf, 1.0, 0.0]]])


def two_clients(*kinds, travel=None, **fields):
    return VRP(travel or Travel(PLACES), kinds or (VehicleType(2, (10.0,)),), **fields)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (two_clients(delivery=[[1.0], [11.0]]), "its delivery 11 is over the capacity 10"),
        (two_clients(pickup=[[1.0], [12.0]]), "its pickup 12 is over the capacity 10"),
        (
            two_clients(windows=[[0, 99], [0, 49]]),
            "a vehicle arrives at 50 at the earliest, after its last time window closes at 49",
        ),
        (
            two_clients(skills=(frozenset(), frozenset({"crane"}))),
            "it needs the skills ['crane'], which no vehicle has",
        ),
        (two_clients(VehicleType(1, (10.0,), max_distance=99.0)), "its distance 100 is over the limit 99"),
        (two_clients(VehicleType(1, (10.0,), max_duration=99.0)), "its duration 100 is over the limit 99"),
        (two_clients(VehicleType(1, (10.0,), shift=(0.0, 99.0))), "it ends at 100, after 99"),
        (two_clients(depot_windows=[[0.0, 99.0]]), "it ends at 100, after 99"),
        (two_clients(travel=Travel(distances=NO_WAY)), "there is no way to it"),
        (two_clients(travel=Travel(distances=ONE_WAY)), "there is no way back from it"),
    ],
)
def test_a_client_beyond_reach_is_named_with_its_reason(problem, reason):
    assert explain_unservable(problem) == ((2, reason),)


def test_an_open_route_needs_no_way_back():
    assert explain_unservable(two_clients(VehicleType(1, (1.0,), end=None), travel=Travel(distances=ONE_WAY))) == ()


def test_one_able_vehicle_is_enough_and_empty_types_do_not_count():
    small, large = VehicleType(1, (1.0,)), VehicleType(1, (10.0,))
    assert explain_unservable(two_clients(small, large, delivery=[[1.0], [9.0]])) == ()
    gone = VehicleType(0, (10.0,))
    assert explain_unservable(two_clients(small, gone, delivery=[[1.0], [9.0]])) == (
        (2, "its delivery 9 is over the capacity 1"),
    )


def test_different_vehicles_may_fail_for_different_reasons():
    near, weak = VehicleType(1, (10.0,), max_distance=20.0), VehicleType(1, (1.0,))
    ((client, why),) = explain_unservable(two_clients(near, weak, delivery=[[1.0], [9.0]]))
    assert client == 2
    assert (
        why
        == "vehicle type 0: its distance 100 is over the limit 20; vehicle type 1: its delivery 9 is over the capacity 1"
    )


def test_the_two_of_a_pair_are_judged_together():
    problem = two_clients(pairs=[[1, 2]], pickup=[[11.0], [0.0]], delivery=[[0.0], [11.0]])
    assert dict(explain_unservable(problem)) == {
        1: "with its delivery 2: its pickup 11 is over the capacity 10",
        2: "with its pickup 1: its pickup 11 is over the capacity 10",
    }


def test_clients_that_only_give_are_not_unservable_because_they_come_last():
    problem = two_clients(backhaul=True, delivery=[[1.0], [0.0]], pickup=[[0.0], [1.0]])
    assert explain_unservable(problem) == ()


def test_judging_all_at_once_agrees_with_timing_each_route():
    problem = generate_vrp(60, windows=True, seed=4)
    tight = VRP(
        problem.travel,
        (VehicleType(9, (60.0,), max_distance=900.0, max_duration=1500.0, shift=(100.0, 2500.0), end=None),),
        delivery=problem.delivery,
        service_time=problem.service_time,
        windows=problem.windows,
    )
    alone = {client for client in range(1, 61) if plan_route(tight, [client], 0).faults}
    assert 5 < len(alone) < 55
    assert {client for client, _ in explain_unservable(tight)} == alone


def test_a_fleet_that_is_too_small_is_told_in_which_load():
    full = two_clients(VehicleType(1, (10.0, 3.0)), delivery=[[6.0, 2.0], [3.0, 2.0]])
    assert explain_shortage(full) == (
        "the deliveries of the clients who must be served add up to 4 in dimension 1, all vehicles together hold 3"
    )
    assert explain_shortage(two_clients(VehicleType(2, (10.0, 3.0)), delivery=full.delivery)) is None
    assert (
        explain_shortage(two_clients(VehicleType(1, (10.0, 3.0), reload_depots=(0,)), delivery=full.delivery)) is None
    )
    assert explain_shortage(two_clients(VehicleType(1, (10.0, 3.0)), delivery=full.delivery, prize=[1.0, 0.0])) is None
