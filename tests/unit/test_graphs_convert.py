"""Graphs in and out: named attributes, arrays, matrices, heterogeneous graphs, and what is refused."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import sparse
from torch_geometric.data import Batch, Data, HeteroData

from gnnlib.errors import InputError
from gnnlib.graphs.convert import (
    FeatureLayout,
    HeteroLayout,
    from_adjacency,
    from_arrays,
    from_data,
    from_hetero,
    from_networkx,
    to_adjacency,
    to_data,
    to_hetero,
    to_networkx,
)
from gnnlib.graphs.schema import GraphSpec, GraphTensors


@pytest.fixture
def network():
    graph = nx.Graph()
    graph.add_node("b", place=(1.0, 2.0), demand=5, kind=0)
    graph.add_node("a", place=(3.0, 4.0), demand=6, kind=1)
    graph.add_node("c", place=(5.0, 6.0), demand=7, kind=1)
    graph.add_edge("b", "c", weight=0.5, road=2)
    graph.add_edge("c", "a", weight=1.5, road=0)
    graph.add_edge("a", "a", weight=9.0, road=1)
    return graph


@pytest.fixture
def hetero():
    generator = torch.Generator().manual_seed(0)
    graph = HeteroData()
    graph["city"].x = torch.randn(3, 4, generator=generator)
    graph["city"].y = torch.arange(3)
    graph["road"].num_nodes = 2
    graph["depot"].x = torch.randn(2, 1, dtype=torch.float64, generator=generator)
    graph["city", "on", "road"].edge_index = torch.tensor([[0, 2, 2], [1, 0, 1]])
    graph["city", "on", "road"].edge_attr = torch.randn(3, generator=generator)
    graph["depot", "serves", "city"].edge_index = torch.tensor([[1], [2]])
    graph["depot", "serves", "city"].edge_attr = torch.randn(1, 3, generator=generator)
    graph["road", "meets", "road"].edge_index = torch.empty(2, 0, dtype=torch.int64)
    graph["road", "meets", "road"].edge_label_index = torch.tensor([[0], [1]])
    graph.name = "town"
    graph.y = torch.tensor([1.0])
    return graph


def assert_same_hetero(a, b):
    left, right = a.to_dict(), b.to_dict()
    assert left.keys() == right.keys()
    for key in left:
        assert left[key].keys() == right[key].keys(), key
        for name, value in left[key].items():
            other = right[key][name]
            if isinstance(value, torch.Tensor):
                assert value.dtype == other.dtype
                assert torch.equal(value, other)
            else:
                assert value == other


# ---- networkx ----


def test_named_attributes_become_columns_in_the_order_asked_for(network):
    graph = from_networkx(network, node_attrs=["demand", "place"], edge_attrs=["weight"])
    assert graph.x.tolist() == [[5.0, 1.0, 2.0], [6.0, 3.0, 4.0], [7.0, 5.0, 6.0]]
    assert graph.edge_index.tolist() == [[2, 1, 2, 0, 1], [0, 1, 1, 2, 2]]
    assert graph.edge_attr[:, 0].tolist() == [0.5, 9.0, 1.5, 0.5, 1.5]
    assert graph.x.dtype == torch.float32


def test_types_come_from_integer_attributes(network):
    graph = from_networkx(network, node_type="kind", edge_type="road")
    assert graph.node_type.tolist() == [0, 1, 1]
    assert graph.edge_type.tolist() == [2, 1, 0, 2, 0]
    assert graph.x.shape == (3, 0)
    assert graph.edge_attr is None


def test_a_directed_graph_keeps_its_directions_and_parallel_edges():
    network = nx.MultiDiGraph([(0, 1, {"w": 1}), (0, 1, {"w": 2}), (1, 0, {"w": 3})])
    graph = from_networkx(network, edge_attrs=["w"])
    assert graph.edge_index.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert graph.edge_attr[:, 0].tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph])
def test_the_empty_network_is_the_empty_graph(kind):
    graph = from_networkx(kind(), node_attrs=["x"], edge_attrs=["w"])
    assert graph.num_nodes == graph.num_edges == 0
    assert to_networkx(graph).number_of_nodes() == 0


def test_a_network_comes_back_with_names_types_and_attributes(network):
    graph = from_networkx(
        network,
        node_attrs=["place", "demand"],
        edge_attrs=["weight"],
        node_type="kind",
        edge_type="road",
        dtype=torch.float64,
    )
    back = to_networkx(
        graph, node_attrs={"place": 2, "demand": 1}, edge_attrs=["weight"], directed=False, labels=list(network)
    )
    for nodes in (back.nodes, network.nodes):
        for _, attributes in nodes(data=True):
            attributes["kind"] = attributes.pop("node_type", attributes.get("kind"))
    for _, _, attributes in back.edges(data=True):
        attributes["road"] = attributes.pop("edge_type")
    assert list(back) == list(network)
    assert dict(back.nodes(data=True)) == dict(network.nodes(data=True))
    assert nx.utils.graphs_equal(back, network)


def test_features_without_names_travel_as_one_attribute():
    graph = from_arrays([[0, 1], [1, 0]], x=[[1.0, 2.0], [3.0, 4.0]], edge_attr=[[5.0, 6.0], [7.0, 8.0]])
    network = to_networkx(graph)
    assert network.nodes[1] == {"x": (3.0, 4.0)}
    assert network.edges[1, 0] == {"edge_attr": (7.0, 8.0)}
    back = from_networkx(network, node_attrs=["x"], edge_attrs=["edge_attr"])
    assert torch.equal(back.x, graph.x)


def test_an_empty_list_of_names_leaves_features_out():
    graph = from_arrays([[0, 1], [1, 0]], x=[1.0, 2.0], edge_attr=[1.0, 2.0])
    assert to_networkx(graph, node_attrs=[], edge_attrs=[], directed=False).edges[0, 1] == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node_attrs": ["height"]}, "node 'b' has no attribute 'height', found .*'demand', 'kind', 'place'"),
        ({"edge_attrs": ["length"]}, r"edge \('b', 'c'\) has no attribute 'length', found .*'road', 'weight'"),
        ({"node_type": "place"}, "attribute 'place' must be one number to be a type, found 2 numbers"),
        ({"edge_type": "weight"}, "`edge_type` must hold integers"),
    ],
)
def test_attributes_that_are_missing_or_unfit_are_named(network, options, message):
    with pytest.raises(InputError, match=message):
        from_networkx(network, **options)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("far", "attribute 'demand' of node 'c' must hold 1 numbers, as the first node, found 'far'"),
        ((1, 2), r"must hold 1 numbers, as the first node, found \(1, 2\)"),
        (None, "found None"),
        (float("nan"), r"`x` must be finite, found nan at index \[2, 0\]"),
    ],
)
def test_attribute_values_that_do_not_fit_are_named(network, value, message):
    network.nodes["c"]["demand"] = value
    with pytest.raises(InputError, match=message):
        from_networkx(network, node_attrs=["demand"])


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ([[0, 0], [1, 1]], {}, r"must not be repeated, found \(0, 1\) more than once"),
        ([[0, 1], [1, 2]], {"directed": False}, r"edge \(0, 1\) has no reverse"),
        ([[0, 1], [1, 0]], {"directed": False}, "no reverse with equal features"),
        ([[0], [1]], {"node_attrs": ["a"]}, r"cover the 2 columns of `x` once each, found \['a'\]"),
        ([[0], [1]], {"node_attrs": ["a", "a"]}, "once each"),
        ([[0], [1]], {"node_attrs": {"a": 2, "b": 0}}, "once each"),
        ([[0], [1]], {"edge_attrs": ["v", "w"]}, "cover the 1 columns of `edge_attr`"),
        ([[0], [1]], {"labels": ["u", "v"]}, "`labels` must be 3 different names, found 2"),
        ([[0], [1]], {"labels": ["u", "v", "u"]}, "found 2"),
    ],
)
def test_graphs_that_networkx_cannot_hold_are_refused(edges, options, message):
    attr = np.arange(len(edges[0]), dtype=float)
    graph = from_arrays(edges, x=np.zeros((3, 2)), edge_attr=attr)
    with pytest.raises(InputError, match=message):
        to_networkx(graph, **options)


def test_a_batch_of_graphs_is_not_one_network():
    batch = Batch.from_data_list([Data(x=torch.zeros(2, 1), edge_index=torch.tensor([[0], [1]]))] * 2)
    with pytest.raises(InputError, match="found a batch of 2"):
        to_networkx(batch)


# ---- arrays, matrices, Data ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the number of nodes is unknown"),
        ({"x": np.zeros((2, 1)), "num_nodes": 3}, r"must agree .* found \{'x': 2, 'num_nodes': 3\}"),
        ({"num_nodes": 1}, r"lie in 0\.\.0, found 1 at edge 0"),
        ({"num_nodes": -1}, "`num_nodes` must be an integer >= 0"),
        ({"num_nodes": 2, "edge_attr": np.zeros((2, 1))}, "`edge_attr` must have one row for each of 1 edges, found 2"),
        ({"num_nodes": 2, "edge_type": [0, 1]}, "`edge_type` must have one row"),
        ({"num_nodes": 2, "edge_type": [0.5]}, "`edge_type` must hold integers"),
        ({"node_type": [0, -1]}, "`node_type` must not be negative, found -1 at index 1"),
        ({"x": np.zeros((2, 1, 1))}, "`x` must be numeric with 1 or 2 dimensions"),
        ({"x": ["a", "b"]}, "`x` must be numeric"),
        ({"x": [0.0, np.inf]}, r"`x` must be finite, found inf at index \[1\]"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        from_arrays([[0], [1]], **options)


def test_the_graph_does_not_share_memory_with_the_callers_features():
    x = np.zeros((2, 1), dtype=np.float32)
    graph = from_arrays([[0], [1]], x=x)
    graph.x += 1
    assert (x == 0).all()


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list, sparse.csr_matrix, sparse.coo_array, sparse.lil_array])
def test_a_matrix_becomes_a_weighted_graph_from_row_to_column(kind):
    graph = from_adjacency(kind([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [4.0, 0.0, 5.0]]))
    assert graph.edge_index.tolist() == [[2, 0, 1, 2], [0, 1, 2, 2]]
    assert graph.edge_attr[:, 0].tolist() == [4.0, 2.0, 3.0, 5.0]


def test_stored_zeros_of_a_sparse_matrix_are_edges_and_repeats_are_summed():
    matrix = sparse.coo_array(([0.0, 1.0, 2.0], ([0, 1, 1], [1, 0, 0])), shape=(2, 2))
    graph = from_adjacency(matrix)
    assert graph.edge_attr[:, 0].tolist() == [3.0, 0.0]
    assert matrix.nnz == 3, "the caller's matrix was changed"
    assert to_adjacency(graph, weight=0).nnz == 2


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3)), r"numeric and square, found float64 of shape \[2, 3\]"),
        (np.zeros(4), r"shape \[4\]"),
        (np.array([["a"]]), "numeric and square"),
        (sparse.csr_array((2, 3)), r"shape \[2, 3\]"),
        ([[0.0, np.nan], [0.0, 0.0]], "must be finite, found nan"),
    ],
)
def test_matrices_that_are_no_graph_are_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        from_adjacency(matrix)


@pytest.mark.parametrize("weight", [1, -1, 7])
def test_a_weight_column_that_does_not_exist_is_refused(weight):
    with pytest.raises(InputError, match="one of the 1 columns"):
        to_adjacency(from_adjacency([[0, 1], [0, 0]]), weight=weight)


def test_a_matrix_has_no_place_for_repeated_edges():
    with pytest.raises(InputError, match=r"found \(0, 1\) more than once"):
        to_adjacency(from_arrays([[0, 0], [1, 1]], num_nodes=2))


def test_data_and_light_graphs_share_their_tensors():
    light = from_arrays([[0], [1]], x=[1.0, 2.0], edge_attr=[3.0], node_type=[0, 1], edge_type=[0])
    data = to_data(light)
    assert isinstance(data, Data)
    assert data.x is light.x
    back = from_data(data)
    assert isinstance(back, GraphTensors)
    assert all(getattr(back, name) is getattr(light, name) for name in ("x", "edge_index", "edge_attr", "node_type"))
    assert back.batch is None
    assert "batch" not in to_data(light)


def test_a_batch_keeps_its_graph_numbers():
    batch = Batch.from_data_list([Data(x=torch.zeros(2, 1), edge_index=torch.tensor([[0], [1]]))] * 3)
    assert from_data(batch).num_graphs == 3


def test_graphs_without_edges_or_size_are_refused():
    with pytest.raises(InputError, match="`edge_index`, found NoneType"):
        from_data(Data(x=torch.zeros(2, 1)))
    with pytest.raises(InputError, match="`edge_index`"):
        to_networkx("graph")


# ---- heterogeneous graphs ----


def test_a_heterogeneous_graph_comes_back_exactly(hetero):
    data, layout = from_hetero(hetero)
    assert_same_hetero(to_hetero(data, layout), hetero)


def test_narrow_features_are_padded_with_zeros(hetero):
    data, layout = from_hetero(hetero)
    assert data.x.shape == (7, 4)
    assert data.x.dtype == torch.float64
    assert data.node_type.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert data.edge_type.tolist() == [0, 0, 0, 1]
    assert data.edge_index.tolist() == [[0, 2, 2, 6], [4, 3, 4, 2]]
    assert (data.x[3:5] == 0).all()
    assert (data.x[5:, 1:] == 0).all()
    assert (data.edge_attr[:3, 1:] == 0).all()
    assert layout.spec("town") == GraphSpec("town", node_dim=4, edge_dim=3, node_types=3, edge_types=3)


def test_a_shuffled_typed_graph_comes_back_with_types_together(hetero):
    data, layout = from_hetero(hetero)
    order = torch.tensor([6, 0, 3, 1, 5, 2, 4])
    place = torch.argsort(order)
    shuffled = Data(
        x=data.x[order],
        edge_index=place[data.edge_index].flip(1),
        edge_attr=data.edge_attr.flip(0),
        node_type=data.node_type[order],
        edge_type=data.edge_type.flip(0),
    )
    back = to_hetero(shuffled, layout)
    assert torch.equal(back["depot"].x, hetero["depot"].x.flip(0))
    assert torch.equal(back["city"].x, hetero["city"].x)
    assert back["road"].num_nodes == 2
    assert back["depot", "serves", "city"].edge_index.tolist() == [[0], [2]]
    assert back["city", "on", "road"].edge_index.tolist() == [[2, 2, 0], [1, 0, 1]]


def test_one_layout_serves_graphs_that_lack_some_types(hetero):
    _, layout = from_hetero(hetero)
    small = HeteroData()
    small["depot"].x = torch.ones(1, 1, dtype=torch.float64)
    data, same = from_hetero(small, layout)
    assert same is layout
    assert data.x.shape == (1, 4)
    assert data.node_type.tolist() == [2]
    assert data.edge_attr.shape == (0, 3)
    back = to_hetero(data, layout)
    assert back["city"].x.shape == (0, 4)
    assert torch.equal(back["depot"].x, small["depot"].x)


def test_typed_graphs_can_be_batched_and_taken_apart(hetero):
    data, layout = from_hetero(hetero)
    batch = Batch.from_data_list([data, data])
    assert batch.x.shape == (14, 4)
    second = batch.get_example(1)
    assert torch.equal(to_hetero(second, layout)["city"].x, hetero["city"].x)


def test_types_without_any_features_give_width_zero():
    graph = HeteroData()
    graph["a"].num_nodes = 2
    graph["a", "to", "a"].edge_index = torch.tensor([[0], [1]])
    data, layout = from_hetero(graph)
    assert data.x.shape == (2, 0)
    assert "edge_attr" not in data
    assert_same_hetero(to_hetero(data, layout), graph)


def test_a_node_type_without_features_may_tell_its_size_by_another_tensor():
    graph = HeteroData()
    graph["a"].label = torch.arange(3)
    data, layout = from_hetero(graph)
    assert data.num_nodes == 3
    assert_same_hetero(to_hetero(data, layout), graph)


def test_the_empty_heterogeneous_graph_is_empty():
    data, layout = from_hetero(HeteroData())
    assert data.num_nodes == 0
    assert layout.spec("none").node_types == 1
    assert_same_hetero(to_hetero(data, layout), HeteroData())


def broken(change):
    graph = HeteroData()
    graph["a"].x = torch.zeros(2, 1)
    graph["a", "to", "a"].edge_index = torch.tensor([[0], [1]])
    change(graph)
    return graph


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g["a"].update({"x": torch.zeros(2, 1, dtype=torch.int64)}), "x of node type 'a' must be a floating"),
        (lambda g: g["a"].update({"x": torch.zeros(2, 1, 1)}), r"of one or two dimensions, found .*\[2, 1, 1\]"),
        (lambda g: g["a"].update({"x": [1.0, 2.0]}), "found list"),
        (lambda g: g["a", "to", "a"].update({"edge_attr": torch.zeros(1, dtype=torch.bool)}), "edge_attr of edge type"),
        (lambda g: g["a", "to", "a"].update({"edge_index": torch.tensor([[0], [2]])}), r"lie in 0\.\.1 for 'a'"),
        (
            lambda g: g["a", "to", "a"].update({"edge_index": torch.tensor([0, 1])}),
            r"shape \[2, E\], found shape \[2\]",
        ),
        (lambda g: g["a", "of", "a"].update({"weight": torch.ones(1)}), r"must have `edge_index`.*found none"),
        (lambda g: g["b"].update({"name": "no size"}), "node type 'b' must have `x` or `num_nodes`"),
        (
            lambda g: g["a", "to", "z"].update({"edge_index": torch.tensor([[0], [0]])}),
            r"\('a', 'to', 'z'\) joins node types that are not among \['a'\]",
        ),
    ],
)
def test_heterogeneous_graphs_that_cannot_be_typed_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        from_hetero(broken(change))


def test_graphs_that_do_not_fit_the_layout_are_refused(hetero):
    _, layout = from_hetero(hetero)
    with pytest.raises(InputError, match="type 'a' is not in the layout"):
        from_hetero(broken(lambda g: None), layout)
    hetero["city"].x = hetero["city"].x[:, :2]
    with pytest.raises(InputError, match=r"features of type 'city' must be .*width=4.*found .*width=2"):
        from_hetero(hetero, layout)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"node_type": torch.tensor([0, 1])}, r"`node_type` must hold numbers in 0\.\.0"),
        ({"edge_type": None}, "`edge_type` must hold numbers"),
        ({"x": torch.zeros(2, 1)}, "`x` must have at least the layout's 2 columns"),
        ({"edge_attr": None}, "`edge_attr` must have at least the layout's 1 columns, found none"),
    ],
)
def test_typed_graphs_that_do_not_fit_the_layout_are_refused(change, message):
    layout = HeteroLayout(("a",), (("a", "to", "a"),), (FeatureLayout(2),), (FeatureLayout(1),))
    fields = {
        "x": torch.zeros(2, 2),
        "edge_index": torch.tensor([[0], [1]]),
        "edge_attr": torch.zeros(1, 1),
        "node_type": torch.zeros(2, dtype=torch.int64),
        "edge_type": torch.zeros(1, dtype=torch.int64),
    }
    assert to_hetero(Data(**fields), layout)["a"].x.shape == (2, 2)
    with pytest.raises(InputError, match=message):
        to_hetero(Data(**(fields | change)), layout)


def test_an_edge_between_the_wrong_types_is_refused(hetero):
    data, layout = from_hetero(hetero)
    data.edge_index = data.edge_index.flip(0)
    with pytest.raises(InputError, match="must join nodes of these types"):
        to_hetero(data, layout)


# ---- the light container ----


def test_casting_a_light_graph_leaves_its_integers_alone():
    graph = from_arrays([[0], [1]], x=[1.0, 2.0], node_type=[0, 1]).to(dtype=torch.float64)
    assert graph.x.dtype == torch.float64
    assert graph.edge_index.dtype == graph.node_type.dtype == torch.int64
    assert graph.edge_attr is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "not a name"}, "`name` of a GraphSpec must be an identifier, found 'not a name'"),
        ({"node_dim": -1}, "`node_dim` of GraphSpec 'toy' must be an integer >= 0, found -1"),
        ({"edge_types": 0}, "`edge_types` of GraphSpec 'toy' must be an integer >= 1, found 0"),
        ({"edge_dim": 1.5}, "found 1.5"),
        ({"node_types": True}, "found True"),
    ],
)
def test_a_spec_out_of_range_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        GraphSpec(**({"name": "toy", "node_dim": 1, "edge_dim": 1} | options))
