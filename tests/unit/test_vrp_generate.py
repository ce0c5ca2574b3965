"""Generated instances: the laws they follow."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.explain import explain_unservable
from gnnlib.heads.combinatorial.vrp.generate import DEMANDS, DEPOTS, PLACES, generate_vrp, uniform_vrp


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("demand", DEMANDS)
def test_every_client_can_be_served_alone(demand, windows):
    for number, places in enumerate(PLACES):
        problem = generate_vrp(
            40, depot=DEPOTS[number], places=places, demand=demand, clients_per_route=3.0, windows=windows, seed=number
        )
        assert explain_unservable(problem) == ()
        assert problem.has_windows == windows
        assert problem.num_clients == 40


@pytest.mark.parametrize("windows", [False, True])
def test_uniform_instances_follow_the_usual_law(windows):
    problem = uniform_vrp(100, windows=windows, seed=3)
    assert problem.delivery.min() >= 1
    assert problem.delivery.max() <= 9
    assert problem.travel.coords.min() >= 0.0
    assert problem.travel.coords.max() <= 1.0
    assert problem.vehicle_types[0].capacity == (50.0,)
    assert explain_unservable(problem) == ()


def test_a_seed_gives_one_instance():
    first, same, other = (generate_vrp(30, windows=True, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.travel.coords, same.travel.coords)
    np.testing.assert_array_equal(first.windows, same.windows)
    assert not np.array_equal(first.travel.coords, other.travel.coords)


def test_clustered_clients_are_nearer_to_each_other():
    def nearest(places):
        matrix = generate_vrp(300, places=places, seed=5).travel.distance_matrix()[1:, 1:]
        np.fill_diagonal(matrix, np.inf)
        return matrix.min(axis=1).mean()

    assert nearest("clustered") < 0.8 * nearest("uniform")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_clients": 0}, "must be >= 1"),
        ({"depot": "moon"}, "`depot` must be one of centre, corner, random"),
        ({"demand": "none"}, "`demand` must be one of unit"),
        ({"clients_per_route": 0.5}, "must be >= 1"),
    ],
)
def test_unknown_laws_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        generate_vrp(**{"num_clients": 5, **fields})
