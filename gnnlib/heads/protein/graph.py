"""From a structure to the graph of its residues: one list of edges, whose kinds are bits of a mask.

`residue_graph` is the public door and returns a PyG graph; `trace_graph` builds what the shared encoder reads of CA
positions alone, and spares PyG's import.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.heads.protein.graphs.graph_edges import (
    EDGE_KINDS,
    add_disulfides,
    disulfide_bonds,
    edge_lengths,
    kind_mask,
    neighbour_edges,
)
from gnnlib.heads.protein.graphs.graph_features import EDGE_FEATURES, NODE_FEATURES, trace_features
from gnnlib.heads.protein.graphs.trace import trace_segment
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.residues import ATOMS, sequence_indices
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.heads.protein.graphs.graph_data import ProteinGraph
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "EDGE_KINDS",
    "NUM_NEIGHBOURS",
    "PROTEIN_SPEC",
    "kind_mask",
    "residue_graph",
    "trace_graph",
    "trace_neighbours",
]

NUM_NEIGHBOURS = 16
"""Neighbours that a residue hears in the graphs of the learned models."""

PROTEIN_SPEC = GraphSpec("protein", node_dim=NODE_FEATURES, edge_dim=EDGE_FEATURES)
"""Residues and pairs described by CA geometry, see `gnnlib.heads.protein.graphs.graph_features`."""

_CA, _CB = ATOMS.index("CA"), ATOMS.index("CB")


def residue_graph(
    x: Any,
    *,
    knn: int = NUM_NEIGHBOURS,
    radius: float = 10.0,
    contact: float = 8.0,
    features: bool = False,
    noise_angstrom: float = 0.0,
    seed: Seed = 0,
) -> ProteinGraph:
    """Build the residue graph of a structure.

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes.
    knn : int >= 0, default 16
        Each residue hears its nearest others by CA distance; 0 for none.
    radius : float >= 0, default 10
        Residues with CA within so many angstrom are joined; 0 for none.
    contact : float >= 0, default 8
        Residues with CB within so many angstrom are joined (CA stands in where there is no CB), unless they are one or
        two apart in sequence; 0 for none.
    features : bool, default False
        Whether to add ``x`` and ``edge_attr`` as `PROTEIN_SPEC` has them: distances, virtual dihedrals, directions in
        local frames, estimated hydrogen bonds. They do not change under rigid motions. Takes a multiple of the time.
    noise_angstrom : float >= 0, default 0
        Standard deviation of Gaussian noise added to every coordinate first.
    seed : int or None, default 0
        Of the noise.

    Returns
    -------
    ProteinGraph
        PyG data with one list of edges and the bit mask ``edge_type`` of their kinds (`EDGE_KINDS`). Sequence edges do
        not cross breaks of the chain; the kinds never depend on residue numbers.

    Raises
    ------
    InputError
        If an option is out of range, or `x` is no structure.

    Notes
    -----
    The first call imports PyG and compiles the search for neighbours (kept on disk for later processes).

    Examples
    --------
    >>> graph = residue_graph([[0.0, 0, 0], [3.8, 0, 0], [5, 3.6, 0], [20, 0, 0]], knn=1)
    >>> graph.num_nodes, graph.edge_index.tolist(), graph.has_kind("knn").sum().item()
    (4, [[1, 2, 0, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2, 3]], 4)
    """
    structure = as_structure(x)
    _check_options(knn, {"radius": radius, "contact": contact, "noise_angstrom": noise_angstrom})
    coords = structure.coords_angstrom
    if noise_angstrom > 0:
        coords = coords + noise_angstrom * numpy_generator(seed).standard_normal(coords.shape)
    ca = np.ascontiguousarray(coords[:, _CA])
    cb = np.where(structure.atom_mask[:, _CB, None], coords[:, _CB], ca)
    edge_index, kinds = neighbour_edges(
        ca, cb, structure.segment, knn=knn, radius=float(radius) or -1.0, contact=float(contact) or -1.0
    )
    edge_index, kinds = add_disulfides(edge_index, kinds, disulfide_bonds(structure), len(ca))
    return _as_data(structure, coords, edge_index, kinds, features=features)


def _check_options(knn: int, lengths: dict[str, float]) -> None:
    if isinstance(knn, bool) or not isinstance(knn, (int, np.integer)) or knn < 0:
        raise InputError(f"`knn` must be an integer >= 0, found {knn!r}")
    for name, value in lengths.items():
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not is_number or not (math.isfinite(value) and value >= 0):
            raise InputError(f"`{name}` must be a finite number of angstrom >= 0, found {value!r}")


def _as_data(
    structure: Structure, coords: FloatArray, edge_index: IntArray, kinds: IntArray, *, features: bool
) -> ProteinGraph:
    import torch

    from gnnlib.heads.protein.graphs.graph_data import ProteinGraph

    ca = np.ascontiguousarray(coords[:, _CA])
    chains = {name: number for number, name in enumerate(structure.chains)}
    chain = (
        np.zeros(len(ca), np.int64)
        if len(chains) == 1
        else np.array([chains[name] for name in structure.chain_ids.tolist()])
    )
    codes = np.ascontiguousarray(structure.insertion_codes).astype("<U1").view(np.uint32).astype(np.int64)
    described: dict[str, Any] = {}
    if features:
        found = trace_features(ca, trace_segment(ca, chain))
        described = {"x": torch.from_numpy(found.node), "edge_attr": torch.from_numpy(found.edges(edge_index))}
    return ProteinGraph(
        pos=torch.from_numpy(ca.astype(np.float32)),
        pos_bb=torch.from_numpy(np.where(structure.atom_mask[..., None], coords, 0.0).astype(np.float32)),
        atom_mask=torch.from_numpy(structure.atom_mask.copy()),
        aa=torch.from_numpy(sequence_indices(structure.sequence)),
        chain=torch.from_numpy(chain),
        segment=torch.from_numpy(structure.segment.copy()),
        residue_number=torch.from_numpy(structure.residue_numbers.copy()),
        insertion_code=torch.from_numpy(codes),
        b_factor=torch.from_numpy(structure.b_factors.astype(np.float32)),
        edge_index=torch.from_numpy(np.ascontiguousarray(edge_index)),
        edge_type=torch.from_numpy(kinds),
        edge_length=torch.from_numpy(edge_lengths(ca, edge_index)),
        chain_names=structure.chains,
        name=structure.name,
        **described,
    )


def trace_neighbours(ca: FloatArray, graph: IntArray | None = None, knn: int = NUM_NEIGHBOURS) -> IntArray:
    """Return edges [2, E] from the nearest neighbours of every residue, sorted by receiver.

    Parameters
    ----------
    ca : float64 array [L, 3]
        Positions in angstrom.
    graph : int64 array [L], optional
        Number of the structure that each residue belongs to, non-decreasing; edges stay inside a structure.
    knn : int, default 16
        Neighbours; all others where there are fewer.
    """
    apart = ca
    if graph is not None and graph[-1] > 0:
        # one tree for all: structures side by side, farther apart than each is wide
        count = np.bincount(graph)[:, None]
        centre = np.stack([np.bincount(graph, ca[:, axis]) for axis in range(3)], axis=1) / count
        apart = ca - centre[graph]
        apart[:, 0] += graph * 4.0 * (np.abs(apart).max() + 1.0)
    k = min(knn, len(ca) - 1)
    if k < 1:
        return np.empty((2, 0), np.int64)
    near = np.asarray(cKDTree(apart).query(apart, k=k + 1)[1])
    own = np.arange(len(ca))
    is_self = near == own[:, None]
    is_self[~is_self.any(axis=1), k] = True  # of atoms in one place another one may come first
    edges = np.stack([near[~is_self], np.repeat(own, k)])
    return edges if graph is None else edges[:, graph[edges[0]] == graph[edges[1]]]


def trace_graph(ca: FloatArray, chain: IntArray | None = None, *, knn: int = NUM_NEIGHBOURS) -> GraphTensors:
    """Build the graph that models of `PROTEIN_SPEC` read, from CA positions alone.

    Parameters
    ----------
    ca : float64 array [L, 3]
        Positions in angstrom; they may be noisy.
    chain : int64 array [L], optional
        Number of the chain of each residue.
    knn : int, default 16
        Neighbours that each residue hears.

    Examples
    --------
    >>> trace_graph(np.array([[0.0, 0, 0], [3.8, 0, 0], [5.0, 3.6, 0]])).num_edges
    6
    """
    import torch

    features = trace_features(ca, trace_segment(ca, chain))
    edges = trace_neighbours(features.ca, knn=knn)
    return GraphTensors(
        torch.from_numpy(features.node), torch.from_numpy(edges), torch.from_numpy(features.edges(edges))
    )
