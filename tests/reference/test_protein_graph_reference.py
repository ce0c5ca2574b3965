"""Edges of the residue graph against independent software: biotite's cell list, networkx, and numpy over all pairs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein.chains import chains_folder, load_chains
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.graph import residue_graph
from gnnlib.heads.protein.graphs.graph_edges import neighbour_edges, tree_edges


def fold(seed: int, length: int = 150) -> np.ndarray:
    random = np.random.default_rng(seed)
    return build_backbone(random.uniform(-150, -50, length), random.uniform(-60, 160, length))


@pytest.mark.parametrize("radius", [6.0, 10.0, 14.5])
def test_radius_edges_are_those_of_biotite(radius: float) -> None:
    struc = pytest.importorskip("biotite.structure", reason="biotite is not installed: pip install 'gnnlib[bench]'")
    coords = fold(0)
    graph = residue_graph(coords, knn=0, radius=radius, contact=0)
    cells = struc.CellList(coords[:, 1].astype(np.float32), cell_size=radius)
    wanted = cells.create_adjacency_matrix(radius)
    np.fill_diagonal(wanted, False)
    found = np.zeros_like(wanted)
    receiver, sender = graph.edge_index[:, graph.has_kind("radius")].numpy()[::-1]
    found[receiver, sender] = True
    apart = np.linalg.norm(coords[:, None, 1] - coords[None, :, 1], axis=-1)
    clear = np.abs(apart - radius) > 1e-3  # biotite computes in single precision
    assert np.array_equal(found[clear], wanted[clear])


def test_an_unbroken_chain_is_connected_and_a_broken_one_falls_apart_for_networkx() -> None:
    coords = fold(1, 60)
    whole = residue_graph(coords, knn=0, radius=0, contact=0).to_networkx()
    assert nx.is_connected(whole) and nx.diameter(whole) == 30
    coords[30:] += 500.0
    halves = residue_graph(coords, knn=0, radius=0, contact=0).to_networkx()
    assert sorted(map(len, nx.connected_components(halves))) == [30, 30]


def test_a_large_structure_takes_the_trees_and_gets_the_same_edges() -> None:
    coords = np.concatenate([fold(seed, 300) + 7.0 * seed for seed in range(14)])
    ca = np.ascontiguousarray(coords[:, 1])
    segment = np.repeat(np.arange(14), 300)
    edges, kinds = neighbour_edges(ca, ca, segment, knn=16, radius=10.0, contact=8.0)
    other, bits = tree_edges(ca, ca, segment, knn=16, radius=10.0, contact=8.0)
    assert len(ca) > 4000 and np.array_equal(edges, other) and np.array_equal(kinds, bits)
    first = edges[1] < 40  # and numpy over all pairs of a part
    apart = np.linalg.norm(ca[:40, None] - ca[None], axis=-1)
    wanted = np.argwhere((apart <= 10.0) & (apart > 0))
    found = np.sort((edges[1] * len(ca) + edges[0])[first & ((kinds & 32) > 0)])
    assert np.array_equal(found, wanted[:, 0] * len(ca) + wanted[:, 1])


def test_real_chains_lose_no_residue() -> None:
    try:
        chains_folder()
    except InputError as missing:
        pytest.skip(f"{missing}")
    for chain in load_chains("val")[:10]:
        graph = residue_graph(chain.structure())
        assert graph.num_nodes == chain.num_residues
        hears = np.bincount(graph.edge_index[1].numpy(), minlength=graph.num_nodes)
        assert hears.min() >= min(16, chain.num_residues - 1)
