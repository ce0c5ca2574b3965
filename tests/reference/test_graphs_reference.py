"""Graphs against networkx, PyG, scipy and a plain distance matrix in torch, on inputs of a few hundred points."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from torch_geometric.data import Data, HeteroData
from torch_geometric.transforms import Delaunay as PygDelaunay
from torch_geometric.transforms import LineGraph as PygLineGraph
from torch_geometric.utils import coalesce, to_scipy_sparse_matrix
from torch_geometric.utils import from_networkx as pyg_from_networkx
from torch_geometric.utils import to_networkx as pyg_to_networkx

from gnnlib.graphs import (
    complete_graph,
    delaunay_graph,
    from_adjacency,
    from_arrays,
    from_hetero,
    from_networkx,
    knn_graph,
    knn_neighbours,
    line_graph,
    radius_graph,
    to_adjacency,
    to_data,
    to_networkx,
)


@pytest.fixture(params=[2, 3, 7], ids=["plane", "space", "7d"])
def points(request):
    return np.random.default_rng(request.param).normal(size=(400, request.param))


def undirected(edge_index):
    return {(min(u, v), max(u, v)) for u, v in np.asarray(edge_index).T.tolist()}


def test_neighbours_equal_the_smallest_entries_of_torchs_distance_matrix(points):
    neighbours, distances = knn_neighbours(points, 9)
    matrix = torch.cdist(
        torch.from_numpy(points), torch.from_numpy(points), compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest = matrix.fill_diagonal_(torch.inf).topk(9, largest=False)
    assert (nearest.indices.numpy() == neighbours).all()
    assert np.allclose(nearest.values.numpy(), distances, rtol=1e-13)


def test_the_radius_graph_equals_networkx_geometric_edges(points):
    network = nx.Graph()
    network.add_nodes_from((i, {"pos": tuple(p)}) for i, p in enumerate(points.tolist()))
    radius = 0.35 * points.shape[1]
    expected = {(min(e), max(e)) for e in nx.geometric_edges(network, radius)}
    assert len(expected) > 100
    assert undirected(radius_graph(points, radius)) == expected


def test_edges_stand_in_the_order_of_pygs_coalesce_by_receiver(points):
    edge_index = torch.from_numpy(knn_graph(points, 5))
    shuffled = edge_index[:, torch.randperm(edge_index.shape[1], generator=torch.Generator().manual_seed(0))]
    assert torch.equal(coalesce(torch.cat([shuffled, shuffled], dim=1), sort_by_row=False), edge_index)


@pytest.mark.parametrize("dim", [2, 3])
def test_delaunay_equals_that_of_pyg_where_points_are_in_general_position(dim):
    points = np.random.default_rng(dim).random((200, dim))
    simplices = PygDelaunay()(Data(pos=torch.from_numpy(points).double())).face
    corners = range(simplices.shape[0])
    expected = set().union(*(undirected(simplices[[a, b]]) for a in corners for b in corners if a < b))
    assert undirected(delaunay_graph(points)) == expected


def test_the_spanning_tree_of_the_delaunay_edges_is_that_of_all_pairs():
    points = np.random.default_rng(0).random((300, 2))
    network = nx.Graph()
    for u, v in undirected(delaunay_graph(points)):
        network.add_edge(u, v, weight=float(np.linalg.norm(points[u] - points[v])))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    tree = nx.minimum_spanning_tree(network)
    assert tree.number_of_edges() == 299
    assert tree.size("weight") == pytest.approx(minimum_spanning_tree(distance).sum(), rel=1e-12)


def test_the_complete_graph_equals_that_of_networkx():
    assert undirected(complete_graph(9)) == {(min(e), max(e)) for e in nx.complete_graph(9).edges}


def test_line_graphs_of_known_families_have_the_known_shape():
    for network, nodes, edges in (
        (nx.complete_graph(5), 10, 30),  # the complement of the Petersen graph
        (nx.cycle_graph(11), 11, 11),
        (nx.petersen_graph(), 15, 30),
        (nx.complete_bipartite_graph(4, 4), 16, 48),  # the rook's graph of a 4 x 4 board
    ):
        line = line_graph(np.array(network.edges).T, len(network))
        result = to_networkx(from_arrays(line.edge_index, num_nodes=line.edges.shape[1]), directed=False)
        assert (result.number_of_nodes(), result.number_of_edges()) == (nodes, edges)
        assert nx.is_isomorphic(result, nx.line_graph(network))


@pytest.mark.parametrize("directed", [False, True])
def test_the_line_graph_equals_that_of_pyg(directed):
    edge_index = knn_graph(np.random.default_rng(1).random((60, 2)), 3, symmetric=not directed)
    ours = line_graph(edge_index, 60, directed=directed)
    data = Data(edge_index=torch.from_numpy(edge_index), num_nodes=60, edge_attr=torch.zeros(edge_index.shape[1], 1))
    theirs = PygLineGraph(force_directed=directed)(data)
    # PyG numbers the edges by sender, then receiver, as ours do
    assert theirs.num_nodes == ours.edges.shape[1]
    assert set(map(tuple, theirs.edge_index.T.tolist())) == set(map(tuple, ours.edge_index.T.tolist()))


@pytest.mark.parametrize("directed", [False, True])
def test_networks_become_the_tensors_that_pyg_makes_of_them(directed):
    network = nx.gnp_random_graph(30, 0.2, seed=0, directed=directed)
    for node, attributes in network.nodes(data=True):
        attributes.update(a=float(node), b=[0.5, float(node) ** 2])
    for u, v, attributes in network.edges(data=True):
        attributes["w"] = float(u * v)
    ours = from_networkx(network, node_attrs=["a", "b"], edge_attrs=["w"])
    theirs = pyg_from_networkx(network, group_node_attrs=["a", "b"], group_edge_attrs=["w"])
    edge_index, edge_attr = coalesce(theirs.edge_index, theirs.edge_attr, sort_by_row=False)
    assert torch.equal(ours.x, theirs.x)
    assert torch.equal(ours.edge_index, edge_index)
    assert torch.equal(ours.edge_attr, edge_attr)


@pytest.mark.parametrize("directed", [False, True])
def test_tensors_become_the_network_that_pyg_makes_of_them(directed):
    graph = from_arrays(knn_graph(np.random.default_rng(2).random((20, 2)), 3), x=np.arange(20.0))
    theirs = pyg_to_networkx(to_data(graph), node_attrs=["x"], to_undirected=not directed)
    ours = to_networkx(graph, directed=directed)
    for _, attributes in theirs.nodes(data=True):
        attributes["x"] = attributes["x"][0] if isinstance(attributes["x"], list) else attributes["x"]
    assert nx.utils.graphs_equal(ours, theirs)


def test_weight_matrices_equal_those_of_networkx_and_pyg():
    network = nx.gnp_random_graph(25, 0.3, seed=1, directed=True)
    for u, v, attributes in network.edges(data=True):
        attributes["weight"] = u + v / 100
    graph = from_networkx(network, edge_attrs=["weight"], dtype=torch.float64)
    matrix = to_adjacency(graph, weight=0)
    assert (matrix != nx.to_scipy_sparse_array(network)).nnz == 0
    assert (matrix != to_scipy_sparse_matrix(graph.edge_index, graph.edge_attr[:, 0], 25).tocsr()).nnz == 0
    assert nx.utils.graphs_equal(
        nx.from_scipy_sparse_array(to_adjacency(from_adjacency(matrix), weight=None), create_using=nx.DiGraph),
        nx.from_scipy_sparse_array(
            nx.to_scipy_sparse_array(network, weight=None, dtype=float), create_using=nx.DiGraph
        ),
    )


def test_typed_graphs_equal_pygs_homogeneous_ones_where_widths_agree():
    generator = torch.Generator().manual_seed(0)
    hetero = HeteroData()
    for name, size in (("a", 5), ("b", 3)):
        hetero[name].x = torch.randn(size, 4, generator=generator)
    for edge_type, sizes in ((("a", "to", "b"), (5, 3)), (("b", "to", "a"), (3, 5)), (("a", "near", "a"), (5, 5))):
        hetero[edge_type].edge_index = torch.stack([torch.randint(s, (6,), generator=generator) for s in sizes])
        hetero[edge_type].edge_attr = torch.randn(6, 2, generator=generator)
    ours, _ = from_hetero(hetero)
    theirs = hetero.to_homogeneous()
    for name in ("x", "edge_index", "edge_attr", "node_type", "edge_type"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
