"""What must hold for graphs of any points: exactness, symmetry, equivariance, containment, round trips."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree
from torch_geometric.data import HeteroData

from gnnlib.graphs import orthants
from gnnlib.graphs.build import (
    delaunay_graph,
    knn_graph,
    knn_neighbours,
    line_graph,
    quadrant_neighbours,
    radius_graph,
)
from gnnlib.graphs.convert import (
    from_adjacency,
    from_arrays,
    from_hetero,
    from_networkx,
    to_adjacency,
    to_hetero,
    to_networkx,
)
from gnnlib.graphs.features import (
    mean_neighbour_distance,
    normalised_distance,
    radial_basis,
    relative_pose,
    reverse_edge_features,
)

FEW = settings(max_examples=40, deadline=None)


@st.composite
def lattice_points(draw, *, min_points=0, max_points=40, max_dim=3, max_side=9):
    """Integer points: distances are exact, ties and duplicates are frequent."""
    dim = draw(st.integers(1, max_dim))
    num = draw(st.integers(min_points, max_points))
    side = draw(st.integers(0, max_side))
    return draw(hnp.arrays(np.float64, (num, dim), elements=st.integers(-side, side).map(float)))


@st.composite
def scattered_points(draw, *, min_points=2, max_points=60, dim=None):
    """Points without ties: distinct draws of a generator."""
    num = draw(st.integers(min_points, max_points))
    dim = draw(st.integers(2, 3)) if dim is None else dim
    scale = 10.0 ** draw(st.integers(-9, 9))
    return np.random.default_rng(draw(st.integers(0, 2**32))).random((num, dim)) * scale


def all_distances(points):
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))


def pairs(edge_index):
    return set(zip(*np.asarray(edge_index).tolist(), strict=True))


def orthant_rule(offset):
    """Which quadrant (octant) an offset lies in, said in another way than the kernel says it."""
    if not offset.any():
        return "own place"
    if offset.size == 2:
        return int(np.arctan2(offset[1], offset[0]) % (2 * np.pi) // (np.pi / 2))
    return tuple(offset >= 0)


def brute_force_quadrants(points, per_quadrant, k):
    first = 0 if points.shape[1] == 2 else (True,) * points.shape[1]
    distance = all_distances(points)
    rows = []
    for i in range(len(points)):
        others = [j for j in np.argsort(distance[i], kind="stable").tolist() if j != i]
        count: dict = {}
        chosen = []
        for j in others:
            part = orthant_rule(points[j] - points[i])
            part = first if part == "own place" else part
            if count.setdefault(part, 0) < per_quadrant:
                count[part] += 1
                chosen.append(j)
        chosen += [j for j in others if j not in chosen][: max(k - len(chosen), 0)]
        rows.append(sorted(chosen, key=lambda j: (distance[i, j], j)))
    width = min(k, max(len(points) - 1, 0))
    return np.array(rows, dtype=np.int64).reshape(len(points), width)


@FEW
@given(lattice_points(), st.integers(1, 12))
def test_nearest_neighbours_equal_brute_force_with_all_ties(points, k):
    neighbours, distances = knn_neighbours(points, k)
    distance = all_distances(points)
    np.fill_diagonal(distance, np.inf)
    expected = np.argsort(distance, axis=1, kind="stable")[:, : max(min(k, len(points) - 1), 0)]
    assert (neighbours == expected).all()
    assert (distances == np.take_along_axis(distance, expected, axis=1)).all()


@FEW
@given(scattered_points(max_points=200), st.integers(1, 12))
def test_nearest_neighbours_of_scattered_points_equal_brute_force(points, k):
    neighbours, distances = knn_neighbours(points, k)
    distance = all_distances(points)
    np.fill_diagonal(distance, np.inf)
    assert (neighbours == np.argsort(distance, axis=1)[:, : neighbours.shape[1]]).all()
    assert np.allclose(distances, np.sort(distance, axis=1)[:, : neighbours.shape[1]], rtol=1e-14)


@FEW
@given(lattice_points(), st.integers(1, 3), st.integers(0, 6))
def test_quadrant_neighbours_equal_brute_force_with_all_ties(points, per_quadrant, more):
    k = per_quadrant * 2 ** points.shape[1] + more
    assert (quadrant_neighbours(points, per_quadrant, k) == brute_force_quadrants(points, per_quadrant, k)).all()


@FEW
@given(scattered_points(min_points=40, max_points=60), st.integers(1, 2))
def test_quadrant_neighbours_of_scattered_points_equal_brute_force(points, per_quadrant):
    k = per_quadrant * 2 ** points.shape[1]
    assert (quadrant_neighbours(points, per_quadrant, k) == brute_force_quadrants(points, per_quadrant, k)).all()


@FEW
@given(st.data(), scattered_points(), st.integers(1, 8))
def test_renumbering_the_points_renumbers_the_graph(data, points, k):
    order = np.array(data.draw(st.permutations(range(len(points)))))
    for build in (
        lambda p: knn_graph(p, k),
        lambda p: knn_graph(p, k, symmetric=False),
        lambda p: knn_graph(p, 8 + k, symmetric=False, quadrants=1),
        lambda p: radius_graph(p, float(np.ptp(points)) / 3),
        lambda p: radius_graph(p, float(np.ptp(points)) / 3, max_neighbours=k),
        delaunay_graph,
    ):
        assert pairs(order[build(points[order])]) == pairs(build(points))


@FEW
@given(lattice_points(), st.integers(1, 8), st.integers(0, 5))
def test_symmetric_graphs_hold_every_edge_in_both_directions(points, k, radius):
    graphs = [knn_graph(points, k), knn_graph(points, 8, quadrants=1), radius_graph(points, radius)]
    graphs += [delaunay_graph(points)]
    for edge_index in graphs:
        sender, receiver = edge_index
        assert pairs(edge_index) == pairs(np.stack([receiver, sender]))
        assert (sender != receiver).all()
        assert len(pairs(edge_index)) == edge_index.shape[1]


@FEW
@given(lattice_points(), st.integers(0, 12))
def test_the_radius_graph_holds_exactly_the_pairs_within_the_radius(points, radius):
    distance = all_distances(points)
    np.fill_diagonal(distance, np.inf)
    assert pairs(radius_graph(points, radius)) == set(zip(*np.nonzero(distance <= radius), strict=True))


@FEW
@given(lattice_points(), st.integers(0, 12), st.integers(1, 6))
def test_a_limited_radius_graph_holds_the_nearest_within_the_radius(points, radius, limit):
    neighbours, distances = knn_neighbours(points, limit)
    expected = {
        (int(j), i) for i in range(len(points)) for j, d in zip(neighbours[i], distances[i], strict=True) if d <= radius
    }
    assert pairs(radius_graph(points, radius, max_neighbours=limit)) == expected


@FEW
@given(lattice_points(min_points=2, max_dim=3))
def test_delaunay_contains_the_nearest_neighbours_and_a_minimum_spanning_tree(points):
    edges = pairs(delaunay_graph(points))
    distance = all_distances(points)
    joined = np.zeros_like(distance)
    for u, v in edges:
        joined[u, v] = distance[u, v] + 1.0  # +1 lets scipy see edges of length 0; it shifts every tree alike
    tree, best = minimum_spanning_tree(joined), minimum_spanning_tree(distance + 1.0)
    assert tree.nnz == len(points) - 1
    assert tree.sum() == pytest.approx(best.sum(), rel=1e-12)
    np.fill_diagonal(distance, np.inf)
    shortest = [min(distance[u, v] for u, v in edges if u == i) for i in range(len(points))]
    assert shortest == distance.min(axis=1).tolist()


@FEW
@given(scattered_points(min_points=4, max_points=40, dim=2))
def test_no_point_lies_inside_the_circle_over_a_gabriel_edge_and_all_of_them_are_delaunay(points):
    squared = all_distances(points) ** 2
    gabriel = {
        (i, j)
        for i in range(len(points))
        for j in range(len(points))
        if i != j and all(squared[i, m] + squared[m, j] > squared[i, j] for m in range(len(points)) if m not in (i, j))
    }
    assert gabriel <= pairs(delaunay_graph(points))


@FEW
@given(lattice_points(min_points=3, max_dim=2))
def test_a_planar_triangulation_has_fewer_than_three_edges_a_point(points):
    assert delaunay_graph(points).shape[1] // 2 < 3 * len(points)


@st.composite
def networks(draw, *, directed):
    num = draw(st.integers(0, 10))
    node = st.integers(0, max(num - 1, 0))
    edges = draw(st.lists(st.tuples(node, node), max_size=25)) if num else []
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from(range(num))
    graph.add_edges_from(edges)
    return graph


@FEW
@given(st.booleans().flatmap(lambda directed: networks(directed=directed)))
def test_the_line_graph_equals_that_of_networkx(network):
    directed = network.is_directed()
    edge_index = np.array(list(network.edges), dtype=np.int64).reshape(-1, 2).T
    line = line_graph(edge_index, network.number_of_nodes(), directed=directed)
    expected = nx.line_graph(network)

    def name(edge):
        return edge if directed else tuple(sorted(edge))

    labels = list(zip(*line.edges.tolist(), strict=True))
    assert len(set(labels)) == len(labels)
    assert set(labels) == {name(edge) for edge in expected.nodes}
    found = [(labels[u], labels[v]) for u, v in line.edge_index.T.tolist()]
    wanted = {(name(u), name(v)) for u, v in expected.edges}
    assert len(set(found)) == len(found)
    assert set(found) == (wanted if directed else wanted | {(v, u) for u, v in wanted})
    for (u, v), node in zip(found, line.shared_node.tolist(), strict=True):
        assert node in u
        assert node in v


@FEW
@given(st.booleans().flatmap(lambda directed: networks(directed=directed)), st.randoms(use_true_random=False))
def test_networks_come_back_equal(network, random):
    for _, attributes in network.nodes(data=True):
        attributes.update(height=random.random(), place=(random.random(), random.random()))
    for _, _, attributes in network.edges(data=True):
        attributes["weight"] = random.random()
    graph = from_networkx(network, node_attrs=["height", "place"], edge_attrs=["weight"], dtype=torch.float64)
    has_nodes = network.number_of_nodes() > 0
    back = to_networkx(
        graph,
        node_attrs={"height": 1, "place": 2} if has_nodes else None,
        edge_attrs=["weight"] if network.number_of_edges() else None,
        directed=network.is_directed(),
    )
    assert list(back) == list(network)
    assert nx.utils.graphs_equal(back, network)


@FEW
@given(hnp.arrays(np.float64, st.integers(0, 8).map(lambda n: (n, n)), elements=st.sampled_from([0.0, 0.0, 1.5, -2.0])))
def test_matrices_come_back_equal(matrix):
    graph = from_adjacency(matrix, dtype=torch.float64)
    assert (to_adjacency(graph, weight=0).toarray() == matrix).all()


@st.composite
def hetero_graphs(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    graph = HeteroData()
    sizes = {f"n{t}": draw(st.integers(0, 5)) for t in range(draw(st.integers(1, 4)))}
    dtypes = st.sampled_from([torch.float32, torch.float64, torch.float16])
    for name, size in sizes.items():
        if draw(st.booleans()):
            graph[name].x = torch.randn(size, draw(st.integers(0, 4)), generator=generator).to(draw(dtypes))
        else:
            graph[name].num_nodes = size
    names = st.sampled_from(list(sizes))
    for edge_type in draw(st.lists(st.tuples(names, st.sampled_from("rs"), names), unique=True, max_size=5)):
        source, target = sizes[edge_type[0]], sizes[edge_type[2]]
        count = draw(st.integers(0, 6)) if source and target else 0
        ends = [torch.randint(max(size, 1), (count,), generator=generator) for size in (source, target)]
        graph[edge_type].edge_index = torch.stack(ends)
        shape = draw(st.sampled_from([None, (count,), (count, 1), (count, 3)]))
        if shape is not None:
            graph[edge_type].edge_attr = torch.randn(shape, generator=generator).to(draw(dtypes))
    return graph


@FEW
@given(hetero_graphs())
def test_heterogeneous_graphs_come_back_exactly(graph):
    data, layout = from_hetero(graph)
    spec = layout.spec("any")
    assert data.x.shape == (data.num_nodes, spec.node_dim)
    back = to_hetero(data, layout).to_dict()
    for key, store in graph.to_dict().items():
        assert back[key].keys() == store.keys()
        for name, value in store.items():
            if isinstance(value, torch.Tensor):
                assert back[key][name].dtype == value.dtype
                assert torch.equal(back[key][name], value)
            else:
                assert back[key][name] == value


@FEW
@given(st.data(), scattered_points(), st.integers(1, 8), st.booleans())
def test_edge_features_follow_a_renumbering_of_nodes_and_edges(data, points, k, symmetric):
    edge_index = knn_graph(points, k, symmetric=symmetric)
    length = np.linalg.norm(points[edge_index[0]] - points[edge_index[1]], axis=1)
    node_order = np.array(data.draw(st.permutations(range(len(points)))))
    edge_order = np.random.default_rng(0).permutation(edge_index.shape[1])
    renumbered = np.argsort(node_order)[edge_index[:, edge_order]]
    for a, b in zip(
        reverse_edge_features(edge_index, length), reverse_edge_features(renumbered, length[edge_order]), strict=True
    ):
        assert torch.equal(a[edge_order], b)
    local = normalised_distance(edge_index, length, local=True)
    assert torch.allclose(local[edge_order], normalised_distance(renumbered, length[edge_order], local=True))


@FEW
@given(scattered_points(), st.integers(1, 8))
def test_on_a_directed_neighbour_list_the_receiver_rank_is_the_place_in_the_list(points, k):
    neighbours, distances = knn_neighbours(points, k)
    num, width = neighbours.shape
    edge_index = np.stack([neighbours.ravel(), np.repeat(np.arange(num), width)])
    features = reverse_edge_features(edge_index, distances.ravel())
    assert (features.receiver_rank.reshape(num, width).numpy() == np.arange(width)).all()
    listed = pairs(edge_index)
    assert features.mutual.tolist() == [(v, u) in listed for u, v in edge_index.T.tolist()]


@FEW
@given(scattered_points(), st.integers(1, 8))
def test_on_a_symmetric_graph_the_reverse_edge_swaps_the_ranks(points, k):
    edge_index = knn_graph(points, k)
    length = np.linalg.norm(points[edge_index[0]] - points[edge_index[1]], axis=1)
    mutual, sender_rank, receiver_rank = reverse_edge_features(edge_index, length)
    back = {edge: i for i, edge in enumerate(zip(*edge_index.tolist(), strict=True))}
    reverse = [back[v, u] for u, v in edge_index.T.tolist()]
    assert mutual.all()
    assert torch.equal(sender_rank, receiver_rank[reverse])


@FEW
@given(scattered_points(), st.floats(1e-6, 1e6))
def test_normalised_distances_have_mean_one_and_no_unit(points, factor):
    edge_index = knn_graph(points, 4)
    length = torch.from_numpy(np.linalg.norm(points[edge_index[0]] - points[edge_index[1]], axis=1))
    normalised = normalised_distance(edge_index, length)
    assert torch.allclose(mean_neighbour_distance(edge_index, normalised), torch.ones(1, dtype=torch.float64))
    assert torch.allclose(normalised_distance(edge_index, length * factor), normalised, rtol=1e-9)
    basis = radial_basis(normalised, 8)
    assert ((basis >= 0) & (basis <= 1)).all()
    assert (basis.max(dim=1).values > 0.8).all()  # half a spacing from a centre is exp(-1/8)


@FEW
@given(scattered_points(dim=2), st.floats(-10, 10), st.integers(0, 2**32))
def test_relative_poses_do_not_change_under_a_rigid_motion(points, turn, seed):
    points = points / np.abs(points).max()
    generator = np.random.default_rng(seed)
    heading = generator.uniform(-7, 7, len(points))
    edge_index = knn_graph(points, 4)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pose = relative_pose(edge_index, points, heading)
    moved = relative_pose(edge_index, points @ rotation.T + generator.normal(size=2), heading + turn)
    assert torch.allclose(pose, moved, atol=1e-9)
    sender, receiver = edge_index
    assert np.allclose(np.hypot(*pose[:, :2].numpy().T), np.linalg.norm(points[sender] - points[receiver], axis=1))
    assert np.allclose(np.hypot(*pose[:, 2:].numpy().T), 1.0)


def test_the_compiled_quadrant_search_equals_its_plain_python_twin():
    points = np.random.default_rng(0).integers(0, 12, (70, 2)).astype(float)
    nearest, distances = knn_neighbours(points, 12)
    tree = orthants.box_tree(points, cKDTree(points).indices.astype(np.int64))
    parts = orthants.orthants_of(2)
    compiled = orthants.unite_orthants(points, nearest, distances, tree, parts, 2, 9)
    assert (compiled == orthants.unite_orthants.py_func(points, nearest, distances, tree, parts, 2, 9)).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_search_of_one_quadrant_finds_its_nearest_points_with_all_ties(seed):
    points = np.random.default_rng(seed).integers(0, 11, (90, 2)).astype(float)
    tree = orthants.box_tree(points, cKDTree(points).indices.astype(np.int64))
    parts = orthants.orthants_of(2)
    near, far, stack = np.empty(3, np.int64), np.empty(3), np.empty(128, np.int64)
    distance = all_distances(points)
    for i in range(90):
        members: list[list[int]] = [[], [], [], []]
        for j in np.argsort(distance[i], kind="stable").tolist():
            part = orthant_rule(points[j] - points[i])
            if j != i:
                members[0 if part == "own place" else part].append(j)
        for o in range(4):
            search = orthants._search_orthant.py_func if i < 5 else orthants._search_orthant
            count = search(i, o, points, tree, parts, near, far, stack)
            assert near[:count].tolist() == members[o][:3]
            assert (far[:count] == distance[i, near[:count]]).all()


def test_arrays_come_back_from_the_light_graph():
    x, attr = np.random.default_rng(0).random((4, 2)), np.random.default_rng(1).random((3, 1))
    graph = from_arrays([[0, 1, 3], [1, 2, 0]], x=x, edge_attr=attr, dtype=torch.float64)
    assert (graph.x.numpy() == x).all()
    assert (graph.edge_attr.numpy() == attr).all()
