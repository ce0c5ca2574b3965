"""The spanning-tree game: protocol, policies on the line graph, rollouts, tree search."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel, seeded_parameters
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.games.line_policy import NodePolicy, line_graph_of
from gnnlib.heads.combinatorial.games.protocol import play
from gnnlib.heads.combinatorial.games.random_graphs import FAMILIES, random_graph
from gnnlib.heads.combinatorial.games.spanning import SpanningTreeGame
from gnnlib.heads.combinatorial.kernels.union_find import forest_of_order, forests_of_scores
from gnnlib.heads.combinatorial.mst.baselines import exact_tree
from gnnlib.heads.combinatorial.mst.decode import TreeSearch, greedy_tree, score_edges, searched_tree
from gnnlib.heads.combinatorial.mst.graph import MST_SPEC, edge_graph, join_edge_graphs
from gnnlib.heads.combinatorial.mst.head import SpanningTreeHead
from gnnlib.heads.combinatorial.mst.rollouts import log_prob_of_forests, pad_edges, sample_forests
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph


@pytest.fixture(scope="module")
def model() -> GraphModel:
    with seeded_parameters(0):
        head = SpanningTreeHead(16)
        with torch.no_grad():
            head.slope.fill_(-0.05)  # prefers light edges, but makes mistakes
            head.score.weight.mul_(5.0)
    return GraphModel(Encoder([MST_SPEC], width=16, depth=2, sharing="hard"), head).eval()


def batch_of(graphs):
    joined = join_edge_graphs([edge_graph(graph)[0] for graph in graphs])
    return joined, pad_edges(joined)


@pytest.mark.parametrize("rule", ["cut", "forest"])
def test_random_play_ends_with_spanning_forests(rule):
    graphs = [random_graph(family, 15, seed=i) for i, family in enumerate(FAMILIES)]
    _, padded = batch_of(graphs)
    root = torch.tensor([3, 0, 5, 1, 2])
    game = SpanningTreeGame(padded.ends, padded.weight, int(padded.nodes.max()), rule=rule, root=root)
    generator = torch.Generator().manual_seed(0)

    def choose(_, legal):
        noise = torch.rand(legal.shape, generator=generator)
        return noise.masked_fill(~legal, -1.0).argmax(-1)

    played = play(game, choose)
    for i, graph in enumerate(graphs):
        chosen = played.actions[played.legal[:, i].any(-1), i].tolist()
        joined, edges = edge_graph(graph)
        tree = nx.Graph(joined.ends[:, chosen].T.tolist())
        whole = graph.to_networkx()
        assert nx.is_forest(tree) and len(set(chosen)) == len(chosen)
        assert len(chosen) == graph.num_nodes - nx.number_connected_components(whole)
        mean = np.abs(graph.weights).mean()
        assert played.rewards[:, i].sum().item() == pytest.approx(-graph.weights[edges[chosen]].sum() / mean, rel=1e-5)


def test_the_cut_rule_grows_one_tree_and_crosses_to_the_next_component_only_at_its_end():
    graph = WeightedGraph(5, [0, 1, 0, 3], [1, 2, 2, 4], [1.0, 1.0, 1.0, 1.0])
    _, padded = batch_of([graph])
    game = SpanningTreeGame(padded.ends, padded.weight, 5)
    ends = padded.ends[0].tolist()
    state = game.start()
    assert [e for e, ok in zip(ends, game.legal(state)[0], strict=True) if ok] == [[0, 1], [0, 2]]
    state, _ = game.step(state, torch.tensor([0]))
    state, _ = game.step(state, torch.tensor([1]))
    assert [e for e, ok in zip(ends, game.legal(state)[0], strict=True) if ok] == [[3, 4]]
    again, reward = game.step(state, torch.tensor([0]))  # not legal: nothing happens and nothing is paid
    assert reward.item() == 0.0 and torch.equal(again.taken, state.taken)


def test_the_line_graph_form_and_the_edge_form_of_a_policy_agree():
    for seed, family in enumerate(FAMILIES):
        graph, _ = edge_graph(random_graph(family, 40, seed=seed))
        policy = NodePolicy(8, depth=3).double()
        states = torch.randn(graph.ends.shape[1], 8, dtype=torch.float64, requires_grad=True)
        literally = policy(states, line_graph_of(graph.ends, graph.num_nodes))
        directly = policy.on_edges(states, graph.ends, graph.num_nodes)
        assert torch.allclose(literally, directly, atol=1e-12)
        weights = torch.randn_like(literally)
        one, other = (torch.autograd.grad((out * weights).sum(), states)[0] for out in (literally, directly))
        assert torch.allclose(one, other, atol=1e-12)


def test_line_graph_edges_join_the_edges_that_meet_in_any_order_of_theirs():
    ends = torch.tensor([[2, 0, 3], [1, 1, 2]])
    pairs = {tuple(pair) for pair in line_graph_of(ends, 4).T.tolist()}
    assert pairs == {(0, 1), (1, 0), (0, 2), (2, 0)}
    with pytest.raises(InputError, match="no edge twice"):
        line_graph_of(torch.tensor([[0, 1], [1, 0]]), 2)


def test_the_head_gives_the_same_scores_in_both_forms(model):
    graph, _ = edge_graph(random_graph("barabasi_albert", 60, seed=1))
    literal = SpanningTreeHead(16, form="line")
    literal.load_state_dict(model.head.state_dict())
    with torch.no_grad():
        embedding = model.encoder(graph, "mst")
        one, other = model.head(embedding, graph), literal(embedding, graph)
    assert torch.allclose(one.logit, other.logit, atol=1e-5)
    with pytest.raises(InputError, match="`form`"):
        SpanningTreeHead(16, form="node")


def test_scores_do_not_depend_on_the_unit_of_the_weights_or_the_numbers_of_the_nodes(model):
    graph = random_graph("erdos_renyi", 50, seed=3)
    order = np.random.default_rng(0).permutation(50)
    other = WeightedGraph(50, order[graph.tails], order[graph.heads], 1000.0 * graph.weights)
    one, two = score_edges(graph, model=model), score_edges(other, model=model)
    by_edge = dict(zip(two.edges.tolist(), two.logit.tolist(), strict=True))
    assert [by_edge[edge] for edge in one.edges.tolist()] == pytest.approx(one.logit.tolist(), abs=1e-3)


def test_sampled_forests_are_games_of_the_protocol_with_the_same_probability(model):
    graphs = [random_graph(family, 12, seed=i) for i, family in enumerate(FAMILIES)]
    joined, padded = batch_of(graphs)
    logits = padded.rows(model(joined).logit.detach(), -1e9)
    generator = torch.Generator().manual_seed(1)
    scores = logits.unsqueeze(1) + torch.randn(len(graphs), 3, logits.shape[1], generator=generator)
    arrays = forests_of_scores(scores.double().numpy(), padded.ends.numpy(), padded.edges.numpy(), padded.nodes.numpy())
    chosen, decided = map(torch.from_numpy, arrays)
    fast = log_prob_of_forests(logits, chosen, decided)
    game = SpanningTreeGame(padded.ends, padded.weight, int(padded.nodes.max()), rule="forest")
    for k in range(3):
        moves = iter(chosen[:, k].T)
        played = play(game, lambda *_, moves=moves: next(moves).clamp(min=0))
        slow, _ = played.log_prob(logits)
        assert torch.allclose(fast[:, k], slow, atol=1e-3)
        for b in range(len(graphs)):
            order = np.argsort(-scores[b, k, : padded.edges[b]].numpy(), kind="stable")
            ends = padded.ends[b].numpy()
            taken = forest_of_order(order, ends[:, 0].copy(), ends[:, 1].copy(), np.arange(int(padded.nodes[b])))
            assert chosen[b, k][chosen[b, k] >= 0].tolist() == taken.tolist()


def test_rollouts_reward_light_forests_and_carry_the_gradient(model):
    joined, _ = batch_of([random_graph("grid", 25, seed=i) for i in range(4)])
    rollouts = sample_forests(model, joined, torch.Generator().manual_seed(0), draws=8)
    assert rollouts.reward.shape == rollouts.log_prob.shape == (4, 8)
    assert torch.allclose(rollouts.reward.mean(1), torch.zeros(4), atol=1e-5)
    rollouts.log_prob.sum().backward()
    assert float(model.head.slope.grad.abs()) > 0
    model.zero_grad()


@pytest.mark.parametrize("family", FAMILIES)
def test_without_simulations_the_search_is_the_greedy_policy(model, family):
    graph = random_graph(family, 40, seed=5)
    greedy = greedy_tree(graph, model=model)
    scores = score_edges(graph, model=model)
    game = TreeSearch(scores, graph.num_nodes, 0)
    found = scores.edges[game.play()]
    assert sorted(found.tolist()) == sorted(greedy.tolist())
    assert sorted(scores.edges[game.played].tolist()) == sorted(greedy.tolist())


@pytest.mark.parametrize("root", [0, 9])
def test_with_an_exact_value_the_search_reproduces_prim(model, root):
    """The policy is bad on purpose; all that is right is the value."""
    graph = random_graph("erdos_renyi", 14, seed=7)
    scores = score_edges(graph, model=model)
    scores = scores._replace(logit=np.zeros_like(scores.logit))
    weights = scores.built.weight.double().numpy()

    def exact_value(state):
        """Minus the weight of the lightest completion: Kruskal's algorithm on what is left."""
        ends = scores.built.ends.numpy()
        leader = np.arange(graph.num_nodes)
        taken = np.array(state.taken, dtype=np.int64)
        forest_of_order(taken, ends[0], ends[1], leader)
        rest = forest_of_order(np.argsort(weights, kind="stable"), ends[0], ends[1], leader)
        return -float(weights[rest].sum())

    game = TreeSearch(scores, graph.num_nodes, 60, candidates=len(weights), value=exact_value, choose="value")
    game.play(root)
    assert sorted(scores.edges[game.played].tolist()) == exact_tree(graph).tolist()


def test_more_simulations_never_make_the_tree_heavier_than_the_greedy_one(model):
    for seed, family in enumerate(FAMILIES):
        graph = random_graph(family, 16, seed=seed)
        greedy = graph.weights[greedy_tree(graph, model=model)].sum()
        exact = graph.weights[exact_tree(graph)].sum()
        edges, tree = searched_tree(graph, simulations=16, model=model)
        assert exact - 1e-9 <= graph.weights[edges].sum() <= greedy + 1e-9
        assert tree.root_visits.sum() == 16
        again, _ = searched_tree(graph, simulations=16, model=model)
        assert np.array_equal(edges, again)


def test_the_search_improves_on_a_policy_that_errs(model):
    graphs = [random_graph(family, 25, seed=10 + i) for i, family in enumerate(FAMILIES[:3])]
    greedy = sum(g.weights[greedy_tree(g, model=model)].sum() / g.weights[exact_tree(g)].sum() - 1 for g in graphs)
    searched = sum(
        g.weights[searched_tree(g, simulations=32, model=model)[0]].sum() / g.weights[exact_tree(g)].sum() - 1
        for g in graphs
    )
    assert searched < 0.5 * greedy


def test_the_value_head_can_take_the_place_of_playouts(model):
    graph = random_graph("grid", 16, seed=0)
    scores = score_edges(graph, model=model)
    game = TreeSearch(scores, graph.num_nodes, 8)
    game.value = game.head_value
    found = game.play()
    assert len(found) == graph.num_nodes - 1


def test_random_graphs_are_simple_and_as_large_as_asked():
    for family in FAMILIES:
        graph = random_graph(family, 300, seed=1)
        assert 280 <= graph.num_nodes <= 300 and graph.num_edges > 0.9 * graph.num_nodes
        assert len({frozenset(edge) for edge in zip(graph.tails, graph.heads, strict=True)}) == graph.num_edges
        assert (graph.weights > 0).all()
        assert np.array_equal(random_graph(family, 300, seed=1).weights, graph.weights)
    degrees = np.bincount(np.r_[*(lambda g: (g.tails, g.heads))(random_graph("barabasi_albert", 2000, seed=0))])
    assert degrees.max() > 10 * degrees.mean()
    with pytest.raises(InputError, match="`family`"):
        random_graph("star", 5)


def test_games_refuse_what_does_not_fit():
    with pytest.raises(InputError, match="`rule`"):
        SpanningTreeGame(torch.zeros(1, 2, 2, dtype=torch.int64), torch.zeros(1, 2), 2, rule="best")
    with pytest.raises(InputError, match="`ends`"):
        SpanningTreeGame(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2), 2)
