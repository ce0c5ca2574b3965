"""What the encoder returns, and what domains share of it."""

from __future__ import annotations

import copy

import pytest
import torch

from gnnlib.encoder import Encoder
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.testing import check_encoder, join_graphs, random_graph, random_knn_graph

PLAIN = GraphSpec("plain", node_dim=2, edge_dim=3)
TYPED = GraphSpec("typed", node_dim=1, edge_dim=2, node_types=3, edge_types=4)
BARE = GraphSpec("keys", node_dim=0, edge_dim=0)  # the name of a method of module containers
ONLY_TYPES = GraphSpec("only_types", node_dim=0, edge_dim=0, node_types=2, edge_types=2)
SPECS = [PLAIN, TYPED, BARE, ONLY_TYPES]


def small(**settings) -> Encoder:
    return Encoder(SPECS, **{"width": 16, "depth": 2, **settings})


@pytest.mark.parametrize("full_attention", [False, True])
@pytest.mark.parametrize("mixer", ["gated", "attention"])
def test_every_mixer_keeps_all_contracts_in_every_domain(mixer, full_attention):
    done = check_encoder(small(mixer=mixer, full_attention=full_attention), SPECS, local=not full_attention)
    assert all(made for check, made in done.items() if check != "devices agree")


@pytest.mark.parametrize("sharing", ["hard", "routed", "separate"])
def test_every_way_of_sharing_keeps_all_contracts(sharing):
    check_encoder(small(sharing=sharing), [PLAIN, TYPED])


def test_edges_come_back_in_the_order_they_were_given():
    encoder = small()
    graph = random_graph(PLAIN, 8, 30, seed=3)
    whole = encoder(graph, "plain").edge
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    shuffled = GraphTensors(graph.x, graph.edge_index[:, order], graph.edge_attr[order])
    torch.testing.assert_close(encoder(shuffled, "plain").edge, whole[order])


def test_direction_of_edges_matters():
    encoder = small()
    graph = random_graph(PLAIN, 6, 5, seed=0)
    reverse = GraphTensors(graph.x, graph.edge_index.flip(0), graph.edge_attr)
    assert (encoder(graph, "plain").node - encoder(reverse, "plain").node).abs().max() > 1e-3


def test_a_node_hears_as_far_as_the_depth_and_no_farther():
    path = torch.stack([torch.arange(5), torch.arange(1, 6)])
    x = torch.zeros(6, 2)
    graph, moved = GraphTensors(x, path, torch.zeros(5, 3)), GraphTensors(x.clone(), path, torch.zeros(5, 3))
    moved.x[0] = 1.0
    for depth in (1, 3):
        encoder = small(depth=depth)
        change = (encoder(graph, "plain").node - encoder(moved, "plain").node).abs().amax(1)
        assert (change[: depth + 1] > 1e-6).all()
        assert (change[depth + 1 :] == 0).all()


def test_types_change_the_embedding():
    encoder = small()
    graph = random_graph(TYPED, 5, 9, seed=0)
    for name in ("node_type", "edge_type"):
        other = copy.copy(graph)
        setattr(other, name, (getattr(graph, name) + 1) % 3)
        assert (encoder(graph, "typed").node - encoder(other, "typed").node).abs().max() > 1e-3


def test_absent_types_are_type_zero():
    encoder = small()
    graph = random_graph(TYPED, 5, 9, seed=0)
    zeros = GraphTensors(graph.x, graph.edge_index, graph.edge_attr, torch.zeros(5).long(), torch.zeros(9).long())
    absent = GraphTensors(graph.x, graph.edge_index, graph.edge_attr)
    assert torch.equal(encoder(zeros, "typed").node, encoder(absent, "typed").node)


def test_a_domain_without_node_features_needs_no_x():
    class Bare:
        x = None
        num_nodes = 4
        edge_index = torch.tensor([[0, 1], [1, 2]])

    assert small()(Bare(), "keys").node.shape == (4, 16)


def test_number_of_graphs_counts_trailing_empty_ones():
    batch = join_graphs([random_graph(PLAIN, 3, 4), random_graph(PLAIN, 0, 0), random_graph(PLAIN, 0, 0)])
    assert small()(batch, "plain").graph.shape == (3, 16)


def test_pyg_batches_with_trailing_empty_graphs_are_read():
    from torch_geometric.data import Batch, Data

    data = [
        Data(x=torch.randn(n, 2), edge_index=torch.zeros(2, e).long(), edge_attr=torch.randn(e, 3))
        for n, e in ((3, 4), (0, 0), (0, 0))
    ]
    encoder = small()
    whole = encoder(Batch.from_data_list(data), "plain")
    assert whole.graph.shape == (3, 16)
    torch.testing.assert_close(whole.node, encoder(data[0], "plain").node)


def test_hard_sharing_gives_domains_one_trunk_and_separate_gives_each_its_own():
    graph = random_graph(PLAIN, 6, 12)
    expected = {"hard": True, "adapters": True, "routed": True, "separate": False}
    for sharing, shared in expected.items():
        encoder = Encoder([PLAIN, TYPED], width=16, depth=1, sharing=sharing)
        encoder(graph, "plain").node.sum().backward()
        touched = {name for name, value in encoder.named_parameters() if value.grad is not None and "trunks" in name}
        other = {name for name, _ in encoder.named_parameters() if name.startswith("trunks.of_typed")}
        assert bool(other) is not shared
        assert not touched & other
        assert not any("typed" in name for name in touched)


def test_adapters_make_domains_differ_where_hard_sharing_cannot():
    twin = GraphSpec("twin", node_dim=2, edge_dim=3)
    graph = random_graph(PLAIN, 6, 12)
    for sharing, alike in (("hard", True), ("adapters", False)):
        encoder = Encoder([PLAIN, twin], width=16, depth=1, sharing=sharing)
        encoder.adapters["of_twin"].load_state_dict(encoder.adapters["of_plain"].state_dict())
        with torch.no_grad():
            for name, value in encoder.named_parameters():
                if "of_twin" in name and "trunks" in name:
                    value.add_(0.1)
        assert torch.equal(encoder(graph, "plain").node, encoder(graph, "twin").node) is alike


@pytest.mark.parametrize("sharing", ["hard", "adapters", "routed", "separate"])
def test_a_domain_added_later_leaves_the_others_as_they_were(sharing):
    encoder = Encoder([PLAIN], width=16, depth=2, sharing=sharing).double()
    encoder.backend = "sparse"
    graph = random_graph(PLAIN, 6, 12, dtype=torch.float64)
    before = encoder(graph, "plain").node
    encoder.add_spec(TYPED)
    assert torch.equal(encoder(graph, "plain").node, before)
    new = encoder(random_graph(TYPED, 6, 12, dtype=torch.float64), "typed")
    assert new.node.dtype == torch.float64
    assert encoder.backend == "sparse"


def test_same_seed_same_parameters_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    first, second, third = small(seed=1), small(seed=1), small(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), third.parameters(), strict=True))


def test_presets_have_the_documented_sizes():
    for size, (width, depth) in {"small": (64, 4), "base": (128, 6)}.items():
        config = Encoder.preset(size, [PLAIN]).config
        assert (config.width, config.depth) == (width, depth)


def test_full_attention_reaches_all_of_a_small_graph_and_leaves_large_ones_alone():
    encoder = small(full_attention=True)
    for num_nodes, reaches in ((20, True), (140, False)):
        graph = random_graph(PLAIN, num_nodes, 0)
        moved = GraphTensors(graph.x.clone(), graph.edge_index, graph.edge_attr)
        moved.x[0] += 1.0
        change = (encoder(graph, "plain").node - encoder(moved, "plain").node).abs().amax(1)
        assert bool((change[1:] > 1e-7).all()) is reaches


def test_large_graphs_without_gradients_equal_those_with(monkeypatch):
    monkeypatch.setattr("gnnlib.encoder.layers.ROWS", 7)
    monkeypatch.setattr("gnnlib.encoder.trunk.ROWS", 11)
    encoder, graph = small(), random_knn_graph(PLAIN, 40, 3)
    with_gradients = encoder(graph, "plain")
    with torch.no_grad():
        without = encoder(graph, "plain")
    for part in ("node", "edge", "graph"):
        torch.testing.assert_close(getattr(without, part), getattr(with_gradients, part))


def test_inference_mode_and_autocast_work():
    encoder, graph = small(), random_graph(PLAIN, 8, 30)
    expected = encoder(graph, "plain").node
    with torch.inference_mode():
        torch.testing.assert_close(encoder(graph, "plain").node, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(graph, "plain").node.float()
    torch.testing.assert_close(rough, expected, atol=0.2, rtol=0.1)
