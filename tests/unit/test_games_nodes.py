"""Games whose actions are nodes: paths and landmarks."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.games.landmarks import LandmarkGame
from gnnlib.heads.combinatorial.games.path import PathGame
from gnnlib.heads.combinatorial.games.protocol import play
from gnnlib.heads.combinatorial.games.random_graphs import FAMILIES, random_graph
from gnnlib.heads.combinatorial.paths.bounds import landmark_tables, single_source_bounds
from gnnlib.heads.combinatorial.paths.head import PATH_SPEC, PathHead
from gnnlib.heads.combinatorial.paths.placing import _ProbeView, place_landmarks, state_features
from gnnlib.heads.combinatorial.paths.train import join_path_graphs, path_graph, sample_landmarks


def all_pairs(graph):
    return landmark_tables(graph, np.arange(graph.num_nodes))[0]


@pytest.mark.parametrize("seed", range(5))
def test_random_walks_of_the_path_game_are_simple_paths_to_the_target(seed):
    rng = np.random.default_rng(seed)
    networks = [nx.gnp_random_graph(9, 0.25, seed=seed * 10 + i, directed=True) for i in range(6)]
    weights = torch.full((6, 9, 9), torch.inf)
    for i, network in enumerate(networks):
        for u, v in network.edges:
            weights[i, u, v] = float(rng.random())
    game = PathGame(weights, [0] * 6, [8] * 6)
    generator = torch.Generator().manual_seed(seed)

    def choose(_, legal):
        return torch.rand(legal.shape, generator=generator).masked_fill(~legal, -1.0).argmax(-1)

    played = play(game, choose)
    for i, network in enumerate(networks):
        steps = played.actions[played.legal[:, i].any(-1), i].tolist()
        if not nx.has_path(network, 0, 8):
            assert not steps
            continue
        walk = [0, *steps]
        assert walk[-1] == 8 and nx.is_simple_path(network, walk)
        paid = sum(weights[i, u, v].item() for u, v in zip(walk, steps, strict=False))
        assert played.rewards[:, i].sum().item() == pytest.approx(-paid, rel=1e-5)


def test_every_first_step_that_a_simple_path_can_take_is_legal():
    network = nx.gnp_random_graph(8, 0.3, seed=3, directed=True)
    weights = torch.full((1, 8, 8), torch.inf)
    for u, v in network.edges:
        weights[0, u, v] = 1.0
    game = PathGame(weights, [0], [7])
    possible = {path[1] for path in nx.all_simple_paths(network, 0, 7)}
    assert set(game.legal(game.start())[0].nonzero().flatten().tolist()) == possible


def test_rewards_of_landmarks_add_up_to_the_tightness_of_their_bounds():
    graph = random_graph("grid", 30, seed=0)
    distances = all_pairs(graph)
    game = LandmarkGame(torch.from_numpy(distances)[None], 3)
    chosen = [0, 7, 20]
    state, total = game.start(), 0.0
    for node in chosen:
        state, reward = game.step(state, torch.tensor([node]))
        total += reward.item()
    tables = landmark_tables(graph, np.array(chosen))
    bounds = np.stack([single_source_bounds(graph, s, tables, 0)[1] for s in range(graph.num_nodes)])
    apart = distances > 0
    assert total == pytest.approx((bounds[apart] / distances[apart]).mean(), rel=1e-6)
    assert not game.legal(state).any()


def test_the_network_sees_the_same_numbers_in_training_and_in_use():
    graph = random_graph("erdos_renyi", 40, seed=2)
    probes, everyone = np.array([3, 11, 19, 30]), np.arange(40)
    view = _ProbeView(graph, probes, everyone)
    game = LandmarkGame(torch.from_numpy(all_pairs(graph))[None], 4)
    state = game.start()
    for step, node in enumerate((5, 22, 9)):
        seen = state_features(game, state, torch.from_numpy(probes)[None])[0].numpy()
        assert np.allclose(view.features(step / 4), seen, atol=1e-5)
        view.add(node)
        state, _ = game.step(state, torch.tensor([node]))


@pytest.fixture(scope="module")
def model() -> GraphModel:
    return GraphModel(Encoder([PATH_SPEC], width=16, depth=1, sharing="hard"), PathHead(16)).eval()


def test_placements_are_different_nodes_and_reach_every_component(model):
    graph = random_graph("small_world", 80, seed=0)
    for placement in ("learned", "farthest", "random"):
        chosen = place_landmarks(graph, 12, placement=placement, model=model)
        assert len(set(chosen.tolist())) == 12
        assert np.array_equal(chosen, place_landmarks(graph, 12, placement=placement, model=model))
    two = nx.union(nx.path_graph(5), nx.path_graph([5, 6, 7]))
    from gnnlib.heads.combinatorial.graph_inputs import as_weighted_graph

    apart = place_landmarks(as_weighted_graph(two), 2, placement="farthest")
    assert {int(node) >= 5 for node in apart} == {True, False}
    with pytest.raises(InputError, match="`placement`"):
        place_landmarks(graph, 3, placement="best")


def test_games_of_landmarks_give_policy_gradients(model):
    batch = join_path_graphs([path_graph(random_graph(f, 20, seed=1), seed=1) for f in FAMILIES])
    rollouts = sample_landmarks(model, batch, torch.Generator().manual_seed(0), landmarks=3, draws=4)
    assert rollouts.reward.shape == (5, 4)
    assert ((rollouts.reward > 0) & (rollouts.reward <= 1 + 1e-6)).all()
    (rollouts.log_prob * rollouts.reward).sum().backward()
    assert model.head.place[0].weight.grad.abs().sum() > 0
    assert model.encoder.adapters["of_paths"].node.weight.grad is None  # placing leaves the encoder alone
    model.zero_grad()


def test_training_graphs_hold_the_truth_between_their_bounds():
    for seed, family in enumerate(FAMILIES):
        graph = path_graph(random_graph(family, 30, seed=seed), seed=seed)
        assert (graph.low <= graph.truth + 1e-5).all() and (graph.truth <= graph.high + 1e-5).all()
        assert graph.bounds.isfinite().all() and graph.pairs.shape[1] == len(graph.truth) > 0
