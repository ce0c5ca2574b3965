"""The constructive policy: what it may do, what it sees, and that compiled and plain code say the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.baselines import nearest_neighbour, savings
from gnnlib.heads.combinatorial.vrp.generate import generate_vrp, uniform_vrp
from gnnlib.heads.combinatorial.vrp.graph import VRP_SPEC, join_route_graphs, route_graph
from gnnlib.heads.combinatorial.vrp.head import RouteHead
from gnnlib.heads.combinatorial.vrp.labels import uniform_tour
from gnnlib.heads.combinatorial.vrp.policy import DECODERS, Policy, construct_routes
from gnnlib.heads.combinatorial.vrp.policy_kernel import (
    NUM_ACTION_FEATURES,
    NUM_COSTS,
    NUM_STATE_FEATURES,
    describe_state,
    list_actions,
    log_probabilities,
    new_walk,
    step,
    walk_value,
)
from gnnlib.heads.combinatorial.vrp.policy_walk import expert_steps, record_roll_out
from gnnlib.heads.combinatorial.vrp.problem import VRP, VehicleType
from gnnlib.heads.combinatorial.vrp.train_steps import encode_labels
from gnnlib.heads.combinatorial.vrp.travel import Travel

PROBLEMS = {
    "capacities": uniform_vrp(15, seed=1),
    "clusters": generate_vrp(14, depot="corner", places="clustered", demand="50-100", clients_per_route=3.0, seed=2),
    "windows": uniform_vrp(15, windows=True, seed=3),
    "tour": uniform_tour(14, seed=4),
}


@pytest.fixture(scope="module")
def model():
    encoder = Encoder([VRP_SPEC], width=16, depth=2, edge_width=8, sharing="hard", seed=0)
    torch.manual_seed(0)
    head = RouteHead(16)
    for last in (head.policy.act[-1], head.policy.act_on_tour[-1]):
        torch.nn.init.normal_(last.weight)  # new ones add nothing to the estimates
    torch.nn.init.normal_(head.policy.faith)
    return GraphModel(encoder, head).eval()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_decoder_serves_everybody_and_none_is_worse_than_greedy(model, name, decoder):
    problem = PROBLEMS[name]
    result = construct_routes(problem, decoder=decoder, effort=4, model=model)
    assert result.feasible, result.violations
    assert result.cost <= construct_routes(problem, model=model).cost + 1e-9


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_cost_of_a_walk_is_that_of_its_routes(model, name):
    policy = Policy.encode(PROBLEMS[name], model)
    cost, path = policy.sample(3, seed=1)
    unit = PROBLEMS[name].travel.distance(0, 1) / policy.ways.dist[0, 1]
    assert cost * unit == pytest.approx(policy.result(path).cost)


@pytest.mark.parametrize("name", PROBLEMS)
def test_compiled_perceptrons_say_what_torch_says(model, name):
    policy = Policy.encode(PROBLEMS[name], model)
    walk, places = new_walk(policy.ways), len(policy.ways.load)
    actions, features, out = np.empty(places, np.int64), np.empty((places, NUM_ACTION_FEATURES)), np.empty(places)
    state, costs = np.empty(NUM_STATE_FEATURES), np.empty(NUM_COSTS)
    for _ in range(6):
        count = list_actions(policy.ways, walk, actions, features)
        log_probabilities(policy.net, features, count, 1.0, out)
        plain = model.head.policy(torch.from_numpy(features[:count]).float()).log_softmax(0)
        np.testing.assert_allclose(out[:count], plain.detach().numpy(), atol=1e-4)
        describe_state(policy.ways, walk, state, costs)
        value = model.head.policy.value(torch.from_numpy(state[None]).float(), torch.from_numpy(costs[None]).float())
        assert walk_value(policy.ways, walk, policy.net) == pytest.approx(value.item(), rel=1e-4)
        step(policy.ways, walk, int(actions[count // 2]))


def test_illegal_actions_are_not_listed(model):
    problem = VRP.from_coords(
        [[0, 0], [1, 0], [2, 0], [50, 0]],
        demand=[6, 6, 1],
        capacity=10,
        windows=[[0, 100], [0, 100], [0, 100], [0, 55]],
    )
    ways = Policy.encode(problem, model).ways
    walk, actions, features = new_walk(ways), np.empty(4, np.int64), np.empty((4, NUM_ACTION_FEATURES))
    assert actions[: list_actions(ways, walk, actions, features)].tolist() == [1, 2, 3]
    step(ways, walk, 1)
    assert actions[: list_actions(ways, walk, actions, features)].tolist() == [3, 0]  # client 2 is too heavy
    step(ways, walk, 0)
    step(ways, walk, 3)
    assert actions[: list_actions(ways, walk, actions, features)].tolist() == [2, 0]


def test_a_client_whom_nobody_can_serve_is_left_out(model):
    problem = VRP.from_coords([[0, 0], [1, 0], [2, 0]], demand=[6, 11], capacity=10)
    result = construct_routes(problem, model=model)
    assert result.routes == ((1,),)
    assert result.unserved == (2,)


def test_the_graph_does_not_change_when_the_world_is_turned_and_scaled():
    problem = PROBLEMS["windows"]
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    other = VRP(
        Travel(3.0 * problem.travel.coords @ turn + 7.0),
        problem.vehicle_types,
        delivery=problem.delivery,
        service_time=3.0 * problem.service_time,
        windows=3.0 * problem.windows,
        depot_windows=3.0 * problem.depot_windows,
    )
    first, second = route_graph(problem), route_graph(other)
    torch.testing.assert_close(first.x, second.x)
    torch.testing.assert_close(first.edge_index, second.edge_index)
    torch.testing.assert_close(first.edge_attr, second.edge_attr, atol=1e-4, rtol=1e-4)


def test_scores_follow_the_clients_when_they_are_renumbered(model):
    problem = PROBLEMS["capacities"]
    order = np.random.default_rng(0).permutation(15)
    rows = np.concatenate([[0], 1 + order])
    renamed = VRP(Travel(problem.travel.coords[rows]), problem.vehicle_types, delivery=problem.delivery[order])
    first, second = (Policy.encode(one, model).ways for one in (problem, renamed))
    np.testing.assert_allclose(second.consecutive, first.consecutive[rows][:, rows], atol=1e-4)
    np.testing.assert_allclose(second.gain, first.gain[rows], atol=1e-4)


def test_labels_mark_what_routes_do():
    problem = VRP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], demand=[1, 1, 1], capacity=2)
    graph = route_graph(problem, [[1, 2], [3]])
    joined = {tuple(edge) for edge in graph.edge_index.T[graph.consecutive].tolist()}
    assert joined == {(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2), (0, 3), (3, 0)}
    assert {tuple(edge) for edge in graph.edge_index.T[graph.together].tolist()} == {(1, 2), (2, 1)}
    unit = (3 + 4 + 4 + 3 + 5 + 5) / 6
    np.testing.assert_allclose(graph.gain, [0, (3 + 4 - 5) / unit, (4 + 5 - 3) / unit, 8 / unit], rtol=1e-5)
    both = join_route_graphs([graph, graph])
    assert both.consecutive.sum() == 2 * graph.consecutive.sum()
    np.testing.assert_array_equal(both.edge_index[:, both.reverse], both.edge_index.flip(0))


@pytest.mark.parametrize("name", PROBLEMS)
def test_steps_along_an_expert_stay_on_its_routes(model, name):
    problem = PROBLEMS[name]
    expert = nearest_neighbour(problem) if name == "tour" else savings(problem)
    label = type("Label", (), {"problem": problem, "routes": expert.routes})
    (one,) = encode_labels([label], model)
    policy = Policy.encode(problem, model)
    rows, owner, right, states, costs, to_go = expert_steps(
        one.ways, new_walk(one.ways), one.neighbours, policy.net, np.array([7]), one.cost
    )
    steps = len(to_go)
    assert rows.shape == (len(owner), NUM_ACTION_FEATURES)
    assert states.shape == (steps, NUM_STATE_FEATURES)
    assert owner.tolist() == sorted(owner.tolist())
    assert all(right[owner == number].any() for number in range(steps))
    assert to_go[0] == pytest.approx(one.cost)
    assert np.all(np.diff(to_go) <= 0.0)
    assert to_go[-1] >= 0.0
    assert np.isfinite(costs).all()
    assert steps >= problem.num_clients - len(expert.routes) - 2


def test_a_recorded_walk_has_the_chance_that_torch_gives_it(model):
    policy = Policy.encode(PROBLEMS["capacities"], model)
    rows, owner, chosen, cost = record_roll_out(policy.ways, policy.net, 1.0, np.array([3]))
    assert owner[chosen].tolist() == list(range(len(chosen)))
    assert cost > 0.0
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"pickup": [[1.0], [0.0]]}, "pickups"),
        ({"prize": [1.0, 0.0]}, "clients who need not be served"),
        ({"vehicle_types": (VehicleType(1, (1.0,), end=None),)}, "open routes or reloads"),
        ({"vehicle_types": (VehicleType(1, (1.0,)), VehicleType(1, (2.0,)))}, "several vehicle types"),
        ({"vehicle_types": (VehicleType(1, (1.0,), max_distance=9.0),)}, "limits of distance or duration"),
        ({"windows": [[[0, 1], [2, 3]]] * 2}, "several time windows"),
    ],
)
def test_what_the_policy_does_not_know_is_refused(model, fields, cause):
    problem = VRP(Travel(np.eye(3, 2)), **{"vehicle_types": (VehicleType(2, (1.0,)),), **fields})
    with pytest.raises(InputError, match=f"this problem has .*{cause}"):
        construct_routes(problem, model=model)


@pytest.mark.parametrize("options", [{"decoder": "magic"}, {"effort": 0}, {"effort": 1.5}])
def test_bad_options_are_refused(model, options):
    with pytest.raises(InputError, match=r"`(decoder|effort)` must be"):
        construct_routes(PROBLEMS["tour"], model=model, **options)


def test_the_baselines_are_feasible_and_keep_their_order():
    problem = uniform_vrp(30, seed=5)
    far, near = nearest_neighbour(problem), savings(problem)
    assert far.feasible
    assert near.feasible
    assert near.cost < far.cost
    assert math.isfinite(near.cost)
