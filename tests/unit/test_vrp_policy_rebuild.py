"""Parts of an answer that the policy plays again, and the completions that it starts from."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gnnlib.encoder import load
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.baselines import savings
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp, uniform_vrp
from gnnlib.heads.combinatorial.vrp.labels import uniform_tour
from gnnlib.heads.combinatorial.vrp.policy import WEIGHTS, Policy, construct_routes
from gnnlib.heads.combinatorial.vrp.policy_completions import joined_path, rest_by_savings, rest_in_time, savings_pairs
from gnnlib.heads.combinatorial.vrp.policy_kernel import new_walk
from gnnlib.heads.combinatorial.vrp.policy_rebuild import _part, _Routes, rebuild, replay
from gnnlib.heads.combinatorial.vrp.policy_search import beam_search, play_tree
from gnnlib.heads.combinatorial.vrp.policy_walk import follow

PROBLEMS = {
    "capacities": uniform_vrp(40, seed=1),
    "windows": uniform_vrp(40, windows=True, seed=3),
    "tour": uniform_tour(20, seed=4),
}


@pytest.fixture(scope="module")
def policies():
    model = load(WEIGHTS)
    return {name: Policy.encode(problem, model) for name, problem in PROBLEMS.items()}


def length(ways, path):
    stops = [0, *path, 0]
    return sum(ways.dist[a, b] for a, b in itertools.pairwise(stops))


@pytest.mark.parametrize("name", ["capacities", "windows"])
def test_the_path_of_a_completion_is_legal_and_costs_what_was_estimated(policies, name):
    ways = policies[name].ways
    walk, joined = new_walk(ways), np.empty((41, 2), np.int64)
    if name == "windows":
        cost = rest_in_time(ways, ways.guided, walk.visited, 0, 0.0, ways.opening[0], joined)
    else:
        cost = rest_by_savings(ways.dist, ways.load, ways.guided, walk.visited, 0, 0.0, joined)
    path = joined_path(joined, is_directed=name == "windows")
    assert sorted(place for place in path if place) == list(range(1, 41))
    assert follow(ways, walk, np.array(path))
    assert walk.real[3] == pytest.approx(cost)
    assert length(ways, path) == pytest.approx(cost)


def test_illegal_paths_are_not_followed_to_the_end(policies):
    ways = policies["capacities"].ways
    assert not follow(ways, new_walk(ways), np.array([1, 1]))
    assert not follow(ways, new_walk(ways), np.array([0]))
    assert not follow(ways, new_walk(ways), np.arange(1, 41))  # too heavy for one vehicle
    one_vehicle = ways._replace(settings=np.array([*ways.settings[:2], 1.0, ways.settings[3]]))
    assert not follow(one_vehicle, new_walk(one_vehicle), np.array([1, 0, 2, 0]))


def test_the_start_is_no_worse_than_savings_and_greedy():
    problem = generate_vrp(80, depot="corner", places="clustered", demand="50-100", clients_per_route=9.0, seed=5)
    policy = Policy.encode(problem, load(WEIGHTS))
    cost, path = policy.start()
    assert cost <= policy.greedy()[0]
    assert policy.result(path).feasible
    assert policy.result(path).cost <= 1.01 * savings(problem).cost


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("decoder", ["rebuild", "mcts"])
def test_playing_parts_again_serves_everybody_at_the_cost_it_says(policies, name, decoder):
    policy = policies[name]
    start = policy.greedy()
    if decoder == "rebuild":
        cost, path = rebuild(policy, start, 60, seed=1)
    else:
        cost, path = replay(policy, start, lambda part: beam_search(part, 2))
    assert cost <= start[0]
    assert length(policy.ways, path) == pytest.approx(cost)
    assert policy.result(path).feasible


def test_rebuilding_brings_more_than_as_many_samples(policies):
    problem = uniform_vrp(60, seed=7)
    rebuilt = construct_routes(problem, decoder="rebuild", effort=100)
    assert rebuilt.cost < construct_routes(problem, decoder="sampling", effort=100).cost
    again = construct_routes(problem, decoder="rebuild", effort=100)
    assert again.routes == rebuilt.routes


def test_a_part_is_the_same_game_as_a_problem_of_its_clients(policies):
    problem = PROBLEMS["capacities"]
    places = np.array([0, 3, 8, 9, 21, 30, 31])
    ways = policies["capacities"].ways
    part = _part(ways, places, 2)
    np.testing.assert_array_equal(part.dist, ways.dist[np.ix_(places, places)])
    assert part.settings[2] == ways.settings[2] - 2
    expected = savings_pairs(part.dist, np.zeros_like(part.dist))
    worth = part.dist[0, expected[:, 0]] + part.dist[0, expected[:, 1]] - part.dist[expected[:, 0], expected[:, 1]]
    assert sorted(map(tuple, part.pairs.tolist())) == sorted(map(tuple, expected.tolist()))
    found = (
        part.dist[0, part.pairs[:, 0]] + part.dist[0, part.pairs[:, 1]] - part.dist[part.pairs[:, 0], part.pairs[:, 1]]
    )
    np.testing.assert_allclose(found, worth)
    assert (part.near < len(places)).all()
    cost, path = play_tree(Policy(problem, part, policies["capacities"].net), 4)
    assert sorted(place for place in path if place) == list(range(1, 7))
    assert length(part, path) == pytest.approx(cost)


def test_only_better_parts_are_kept_and_the_books_stay_right(policies):
    policy = policies["capacities"]
    now = _Routes(policy, policy.greedy())
    before, numbers = now.cost, now.near(5, 3)
    assert len(numbers) == 3
    assert any(5 in now.routes[number] for number in numbers)

    def worst(part):
        path = [action for place in range(1, len(part.ways.load)) for action in (place, 0)]
        return length(part.ways, path), path

    assert not now.play(numbers, worst)
    assert now.cost == before
    assert now.play(numbers, lambda part: (0.0, worst(part)[1]))
    assert sorted(place for place in now.path if place) == list(range(1, 41))


def test_clients_who_were_left_out_get_another_chance():
    problem = uniform_vrp(12, seed=3)
    policy = Policy.encode(problem, load(WEIGHTS))
    cost, path = policy.greedy()
    lost = path[0]
    without = [place for place in path if place != lost]
    cost, path = rebuild(policy, (cost + 1e6, without), 20, seed=0)
    assert lost in path
    assert cost < 1e6


def test_an_answer_without_routes_stays_as_it_is(policies):
    assert rebuild(policies["capacities"], (4e7, []), 5) == (4e7, [])
    assert replay(policies["capacities"], (4e7, []), lambda part: beam_search(part, 1)) == (4e7, [])


def test_every_client_of_a_large_instance_has_pairs():
    problem = generate_vrp(300, depot="corner", places="clustered", demand="50-100", clients_per_route=9.0, seed=1)
    dist = problem.travel.distance_matrix()
    pairs = savings_pairs(dist, np.zeros_like(dist), most=6_000)
    assert len(pairs) <= 6_000
    assert set(pairs.ravel().tolist()) == set(range(1, 301))


def test_the_names_of_the_decoders_are_told():
    with pytest.raises(InputError, match="greedy, sampling, beam, mcts, rebuild"):
        construct_routes(PROBLEMS["tour"], decoder="local search")
