"""What never changes about the residue graph: rigid motions, order of chains, mirror images."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.graph import residue_graph, trace_graph
from gnnlib.heads.protein.problem import Structure


def chain(seed: int, length: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    coords = build_backbone(random.uniform(-150, -50, length), random.uniform(-60, 160, length))
    return coords + 0.02 * random.standard_normal((length, 1, 3))  # no two distances are equal


def rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 50))
def test_rigid_motions_change_no_feature(seed: int, length: int) -> None:
    ca = chain(seed, max(length, 3))[:length, 1]
    moved = ca @ rotation(seed).T + 17.0
    before, after = trace_graph(ca), trace_graph(moved)
    assert torch.allclose(before.x, after.x, atol=2e-3)
    if torch.equal(before.edge_index, after.edge_index):  # neighbours at equal distances may change places
        assert torch.allclose(before.edge_attr, after.edge_attr, atol=2e-3)
    assert before.num_edges == after.num_edges


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_a_mirror_image_has_other_features_at_the_same_distances(seed: int) -> None:
    ca = chain(seed, 30)[:, 1]
    before, after = trace_graph(ca), trace_graph(ca * np.array([1.0, 1.0, -1.0]))
    assert torch.equal(before.edge_index, after.edge_index)
    assert torch.allclose(before.edge_attr[:, :13], after.edge_attr[:, :13], atol=1e-5)
    assert not torch.allclose(before.x, after.x, atol=0.1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 25), st.integers(5, 25))
def test_the_order_of_chains_only_renumbers_the_graph(seed: int, first: int, second: int) -> None:
    one, two = chain(seed, first), chain(seed + 1, second) + 6.0
    names = ["A"] * first, ["B"] * second
    ahead = residue_graph(Structure.from_arrays(np.concatenate([one, two]), chain_ids=names[0] + names[1]))
    behind = residue_graph(Structure.from_arrays(np.concatenate([two, one]), chain_ids=names[1] + names[0]))
    number = torch.cat([torch.arange(first) + second, torch.arange(second)])
    keys = [
        set(zip(*(row.tolist() for row in (*edges, kinds)), strict=True))
        for edges, kinds in ((number[ahead.edge_index], ahead.edge_type), (behind.edge_index, behind.edge_type))
    ]
    assert keys[0] == keys[1]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_radius_and_contact_edges_go_both_ways(seed: int) -> None:
    graph = residue_graph(chain(seed, 40))
    for kind in ("radius", "contact"):
        edges = set(map(tuple, graph.edge_index[:, graph.has_kind(kind)].t().tolist()))
        assert edges == {(b, a) for a, b in edges}
