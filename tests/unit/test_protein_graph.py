"""The residue graph: its edges, its kinds, its data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.graph import EDGE_KINDS, PROTEIN_SPEC, kind_mask, residue_graph, trace_graph, trace_neighbours
from gnnlib.heads.protein.graphs.graph_edges import add_disulfides, neighbour_edges, tree_edges
from gnnlib.heads.protein.problem import Structure


def random_chain(seed: int, length: int = 60) -> Structure:
    """A random walk of whole residues, with breaks."""
    random = np.random.default_rng(seed)
    coords = build_backbone(random.uniform(-180, 180, length), random.uniform(-180, 180, length))
    coords[length // 2 :] += 20.0
    return Structure.from_arrays(coords, "".join(random.choice(list("ACDEGK"), length)))


def pairs_of(graph, kind: str) -> set[tuple[int, int]]:
    return set(map(tuple, graph.edge_index[:, graph.has_kind(kind)].t().tolist()))


def test_sequence_edges_join_residues_of_one_stretch_only() -> None:
    trace = [[0, 0, 0], [3.8, 0, 0], [7.6, 0, 0], [30, 0, 0], [33.8, 0, 0]]
    graph = residue_graph(np.array(trace, float), knn=0, radius=0, contact=0)
    assert pairs_of(graph, "previous") == {(0, 1), (1, 2), (3, 4)}
    assert pairs_of(graph, "next") == {(1, 0), (2, 1), (4, 3)}
    assert pairs_of(graph, "previous2") == {(0, 2)} and pairs_of(graph, "next2") == {(2, 0)}
    assert graph.num_edges == 8


@pytest.mark.parametrize("seed", range(4))
def test_every_kind_follows_its_definition(seed: int) -> None:
    chain = random_chain(seed)
    graph = residue_graph(chain, knn=7, radius=9.0, contact=6.5)
    ca, cb = chain.ca, chain.coords_angstrom[:, 4]
    apart = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :7]
    assert pairs_of(graph, "knn") == {(int(j), i) for i in range(len(ca)) for j in nearest[i]}
    assert pairs_of(graph, "radius") == set(map(tuple, np.argwhere(apart <= 9.0).tolist()))
    cb = np.where(np.isnan(cb), ca, cb)
    near = np.linalg.norm(cb[:, None] - cb[None], axis=-1) <= 6.5
    gap = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    near &= (gap > 2) | (chain.segment[:, None] != chain.segment[None])
    assert pairs_of(graph, "contact") == set(map(tuple, np.argwhere(near).tolist()))


@pytest.mark.parametrize("seed", range(3))
def test_search_trees_find_the_same_edges(seed: int) -> None:
    chain = random_chain(seed, 90)
    arrays = np.ascontiguousarray(chain.ca), np.ascontiguousarray(chain.coords_angstrom[:, 0]), chain.segment
    edges, kinds = neighbour_edges(*arrays, knn=9, radius=10.0, contact=7.0)
    other, bits = tree_edges(*arrays, knn=9, radius=10.0, contact=7.0)
    assert np.array_equal(edges, other) and np.array_equal(kinds, bits)


def test_no_edge_stands_twice_and_receivers_are_sorted() -> None:
    graph = residue_graph(random_chain(1))
    keys = graph.edge_index[1] * graph.num_nodes + graph.edge_index[0]
    assert bool((keys.diff() > 0).all()) and bool((graph.edge_index[0] != graph.edge_index[1]).all())
    assert bool((graph.edge_type > 0).all())


def test_more_neighbours_than_residues_are_all_the_others() -> None:
    graph = residue_graph(np.cumsum(np.full((5, 3), 2.2), axis=0), knn=50, radius=0, contact=0)
    assert len(pairs_of(graph, "knn")) == 20


def test_residues_in_one_place_are_neighbours_but_not_of_themselves() -> None:
    graph = residue_graph(np.zeros((4, 3)), knn=2, radius=1.0)
    assert len(pairs_of(graph, "knn")) == 8
    assert len(pairs_of(graph, "radius")) == 12
    assert bool((trace_neighbours(np.zeros((4, 3)), knn=2)[0] != trace_neighbours(np.zeros((4, 3)), knn=2)[1]).all())


def test_sulfurs_that_touch_make_a_disulfide_edge_both_ways() -> None:
    chain = Structure.from_arrays(np.arange(40)[:, None] * np.array([[3.8, 0, 0]]), "C" * 40)
    sulfurs = chain.sulfurs.copy()
    sulfurs[3], sulfurs[30], sulfurs[12] = [0, 0, 0], [2.05, 0, 0], [9, 0, 0]
    bonded = Structure(**{**{f: getattr(chain, f) for f in chain.__dataclass_fields__}, "sulfurs": sulfurs})
    graph = residue_graph(bonded, knn=2)
    assert pairs_of(graph, "disulfide") == {(3, 30), (30, 3)}
    assert graph.num_edges == residue_graph(chain, knn=2).num_edges + 2


def test_a_disulfide_between_neighbours_marks_the_edge_that_is_there() -> None:
    edges, kinds = add_disulfides(np.array([[1, 0], [0, 1]]), np.array([16, 16]), np.array([[0], [1]]), 2)
    assert edges.tolist() == [[1, 0], [0, 1]] and kinds.tolist() == [16 | 128] * 2


def test_insertion_codes_and_repeated_numbers_do_not_tear_edges() -> None:
    coords = build_backbone(np.full(8, -57.0), np.full(8, -47.0))
    plain = residue_graph(coords)
    coded = residue_graph(Structure.from_arrays(coords, residue_numbers=[5] * 8, insertion_codes=list(" ABCDEFG")))
    assert torch.equal(plain.edge_index, coded.edge_index) and torch.equal(plain.edge_type, coded.edge_type)
    assert chr(int(coded.insertion_code[1])) == "A"


def test_bits_and_names_of_kinds_agree() -> None:
    graph = residue_graph(random_chain(2))
    for bit, kind in enumerate(EDGE_KINDS):
        assert torch.equal(graph.has_kind(kind), (graph.edge_type & kind_mask(kind)) > 0)
        assert kind_mask(kind) == 1 << bit
    assert graph.edge_kinds == EDGE_KINDS


def test_missing_atoms_are_masked_and_zero() -> None:
    coords = build_backbone(np.full(4, -57.0), np.full(4, -47.0))
    coords[2, 0] = np.nan
    graph = residue_graph(coords)
    assert not bool(graph.atom_mask[2, 0]) and graph.pos_bb[2, 0].tolist() == [0, 0, 0]
    assert bool(torch.isfinite(graph.pos_bb).all())


def test_features_fit_the_spec_and_the_noise_follows_the_seed() -> None:
    chain = random_chain(3)
    graph = residue_graph(chain, features=True)
    assert graph.x.shape == (60, PROTEIN_SPEC.node_dim)
    assert graph.edge_attr.shape == (graph.num_edges, PROTEIN_SPEC.edge_dim)
    noisy = [residue_graph(chain, noise_angstrom=0.5, seed=seed).pos for seed in (0, 0, 1)]
    assert torch.equal(noisy[0], noisy[1]) and not torch.equal(noisy[0], noisy[2])
    assert 0.3 < float((noisy[0] - graph.pos).std()) < 0.7


def test_graphs_batch_like_any_pyg_graph() -> None:
    from torch_geometric.data import Batch

    graphs = [residue_graph(random_chain(seed, 20 + seed)) for seed in range(3)]
    batch = Batch.from_data_list(graphs)
    assert batch.num_nodes == 63 and int(batch.edge_index.max()) < 63
    assert torch.equal(batch[1].residue_number, graphs[1].residue_number)
    assert torch.equal(batch[2].edge_index, graphs[2].edge_index)


def test_networkx_gets_every_pair_with_its_kinds() -> None:
    graph = residue_graph(random_chain(0))
    undirected, directed = graph.to_networkx(), graph.to_networkx(directed=True)
    assert directed.number_of_edges() == graph.num_edges
    assert {frozenset(pair) for pair in directed.edges} == {frozenset(pair) for pair in undirected.edges}
    assert undirected.edges[0, 1]["kinds"] >= {"previous", "next"}
    assert directed.edges[0, 1]["kinds"] >= {"previous"} and "next" not in directed.edges[0, 1]["kinds"]
    assert undirected.nodes[5]["amino_acid"] == random_chain(0).sequence[5]
    assert undirected.edges[0, 1]["distance"] == pytest.approx(3.8, abs=0.1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_traces_have_finite_features(count: int) -> None:
    graph = trace_graph(np.arange(3.0 * count).reshape(count, 3))
    assert graph.num_edges == count * (count - 1)
    assert bool(torch.isfinite(graph.x).all()) and bool(torch.isfinite(graph.edge_attr).all())


def test_options_out_of_range_are_named() -> None:
    trace = np.zeros((2, 3))
    for options, name in (({"knn": -1}, "knn"), ({"knn": 2.5}, "knn"), ({"radius": float("nan")}, "radius")):
        with pytest.raises(InputError, match=f"`{name}` must be"):
            residue_graph(trace, **options)
    with pytest.raises(InputError, match="`noise_angstrom` must be"):
        residue_graph(trace, noise_angstrom=-0.1)
