"""From a backbone to the graph that inverse folding reads, with nothing in it that gives the amino acid away.

Nodes are residues. Each hears its nearest residues (by CA); an edge carries the 25 distances between N, CA, C, O and
virtual CB of both residues in radial basis functions, where the sender's atoms lie in the receiver's frame, how the two
frames are turned, and as its type the distance along the sequence (J. Ingraham et al. 2019, Generative models for
graph-based protein design, NeurIPS; J. Dauparas et al. 2022, Science 378, 49; Z. Gao et al. 2023, PiFold, ICLR). All
features stay the same when the structure is moved or turned.

What is known of the sequence enters as *context*: a probability for each amino acid and residue, which is zero where
nothing is known, certain where the caller fixed the residue, and otherwise what the model itself said in the pass before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from gnnlib.graphs.build import knn_neighbours
from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.heads.protein.design_backbone import chain_links, complete_backbone, ideal_atoms
from gnnlib.heads.protein.design_kernels import DENSITY_FEATURES, EDGE_FEATURES, edge_features, local_density
from gnnlib.heads.protein.geometry import local_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy.typing as npt

    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import AnyArray, FloatArray, IntArray

    Float32Array = npt.NDArray[np.float32]

__all__ = [
    "CONTEXT_DIM",
    "DESIGN_SPEC",
    "NUM_AMINO_ACIDS",
    "DesignGraph",
    "DesignInput",
    "design_graph",
    "prepare_chain",
]

NUM_AMINO_ACIDS = 20
NUM_NEIGHBOURS = 20
CONTEXT_DIM = NUM_AMINO_ACIDS + 1
"""Probabilities of the amino acids, and whether the caller fixed the residue."""

_SHELLS_ANGSTROM = (6.0, 8.0, 10.0, 12.0, 14.0)
_SHELL_SCALE = np.array([3.0, 5.0, 10.0, 15.0, 20.0])
_HALF_SPHERE_ANGSTROM = 13.0
_FURTHEST = 24
_CROWD = 32

_SURROUNDINGS = len(_SHELLS_ANGSTROM) + 2 + 3
_TORSIONS, _WHOLE = 19, 4
_GEOMETRY = _TORSIONS + _WHOLE + _SURROUNDINGS + DENSITY_FEATURES

DESIGN_SPEC = GraphSpec(
    "protein_design", node_dim=_GEOMETRY + CONTEXT_DIM, edge_dim=EDGE_FEATURES, edge_types=2 * _FURTHEST + 2
)
"""Node: torsions, shape of the chain, surroundings, context. Edge: distances and directions; type: sequence distance."""


@dataclass(frozen=True, eq=False)
class DesignInput:
    """What does not change between passes over one structure.

    Attributes
    ----------
    backbone : float32 array [L, 3, 3]
        N, CA, C of every residue.
    rebuilt : bool array [L]
        Where N and C come from the C-alpha trace.
    previous, following : int64 array [L]
        Linked residues, -1 where there is none.
    place : int64 array [L]
        Position in its chain.
    chain : int64 array [L]
        Number of the chain.
    sender : int64 array [L, K]
        Nearest residues of each one.
    surroundings : float32 array [L, 190]
        Counts of virtual CB within shells, half-sphere exposure (T. Hamelryck 2005, Proteins 59, 38), the mean
        direction of the neighbours in the residue's frame, and densities of their atoms by distance and direction.
    sequence : int64 array [L]
        Index of the amino acid, 20 unknown. Labels only: no feature is made of it.
    """

    backbone: Float32Array
    rebuilt: npt.NDArray[np.bool_]
    previous: IntArray
    following: IntArray
    place: IntArray
    chain: IntArray
    sender: IntArray
    surroundings: Float32Array
    sequence: IntArray

    def __len__(self) -> int:
        return len(self.backbone)

    @property
    def num_edges(self) -> int:
        """Number of edges, which is what a pass costs."""
        return int(self.sender.size)


@dataclass
class DesignGraph(GraphTensors):
    """The graph of one structure or of several.

    Parameters
    ----------
    label : Tensor [N], int64, optional
        Index of the native amino acid, -1 where it does not count.
    refine : bool
        Whether training should first predict, and then read its own answer as context.
    """

    label: Tensor | None = None
    refine: bool = False

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = super().to(device, dtype)
        moved.label = None if self.label is None else self.label.to(device)
        moved.refine = self.refine
        return moved

    def with_context(self, probabilities: Tensor) -> DesignGraph:
        """Return the graph with probabilities [N, 20] as context; residues that are fixed keep their amino acid."""
        now = self.x[:, -CONTEXT_DIM:]
        shares = torch.where(now[:, -1:] > 0, now[:, :-1], probabilities)
        return self.with_columns(torch.cat([shares, now[:, -1:]], dim=1))

    def with_columns(self, context: Tensor) -> DesignGraph:
        """Return the graph with other context columns [N, 21]: probabilities, and whether the residue is fixed."""
        x = torch.cat([self.x[:, :-CONTEXT_DIM], context.to(self.x)], dim=1)
        return replace(self, x=x, refine=False)


def prepare_chain(
    structure: Structure, peptide: FloatArray, sequence: IntArray, *, knn: int = NUM_NEIGHBOURS
) -> DesignInput:
    """Complete the backbone and look up neighbours and surroundings.

    Parameters
    ----------
    structure : Structure
        One chain or several.
    peptide : array [26, 6]
        Coefficients that rebuild N and C where they are missing.
    sequence : int array [L]
        Indices of the amino acids, 20 unknown.
    knn : int, default 20
        Neighbours of a residue.
    """
    segment = structure.segment
    backbone, rebuilt = complete_backbone(structure.coords_angstrom, segment, peptide)
    previous, following = chain_links(segment)
    _, chain = np.unique(structure.chain_ids, return_inverse=True)
    chain = chain.astype(np.int64)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(chain)) + 1])
    lengths = np.diff(np.concatenate([starts, [len(chain)]]))
    place = np.arange(len(chain)) - np.repeat(starts, lengths)
    atoms = ideal_atoms(backbone, following)
    near, _ = knn_neighbours(atoms[:, 1], max(knn, _CROWD))
    return DesignInput(
        backbone=backbone.astype(np.float32),
        rebuilt=rebuilt,
        previous=previous,
        following=following,
        place=place,
        chain=chain,
        sender=near[:, :knn],
        surroundings=_surroundings(atoms, near),
        sequence=np.asarray(sequence, dtype=np.int64),
    )


def _surroundings(atoms: FloatArray, near: IntArray) -> Float32Array:
    """Return counts, half-sphere exposures, mean directions and densities of the neighbours [L, 190]."""
    ca, cb = atoms[:, 1], atoms[:, 4]
    count = len(ca)
    pairs = cKDTree(cb).query_pairs(_SHELLS_ANGSTROM[-1], output_type="ndarray")
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    gap = cb[ends[:, 1]] - cb[ends[:, 0]]
    length = np.linalg.norm(gap, axis=1)
    shells = [np.bincount(ends[length < shell, 0], minlength=count) for shell in _SHELLS_ANGSTROM]
    upwards = np.sum((ca[ends[:, 1]] - ca[ends[:, 0]]) * (cb - ca)[ends[:, 0]], axis=1) > 0
    is_close = length < _HALF_SPHERE_ANGSTROM
    halves = [np.bincount(ends[is_close & (upwards == side), 0], minlength=count) / 15.0 for side in (True, False)]
    direction = gap / np.maximum(length, 1e-6)[:, None]
    total = np.stack([np.bincount(ends[:, 0], weights=direction[:, m], minlength=count) for m in range(3)], axis=1)
    mean = total / np.maximum(shells[-1], 1.0)[:, None]
    frames = local_frames(atoms)
    local = np.einsum("lij,li->lj", frames, mean)
    counts = np.stack(shells, axis=1) / _SHELL_SCALE
    density = local_density(atoms, frames, near)
    parts = [counts, np.stack(halves, axis=1), 3.0 * local, density]
    return np.concatenate(parts, axis=1).astype(np.float32)


def design_graph(
    chains: Sequence[DesignInput],
    *,
    noise_angstrom: float = 0.0,
    keep_edges: float = 1.0,
    rng: np.random.Generator | None = None,
) -> DesignGraph:
    """Build one graph of several structures, without context.

    Parameters
    ----------
    chains : sequence of DesignInput
    noise_angstrom : float, default 0
        Standard deviation of the noise that is added to every coordinate of N, CA and C.
    keep_edges : float in (0, 1], default 1
        Share of the edges that is kept, at random.
    rng : numpy Generator, optional
        Source of noise and choice; needed when either is asked for.

    Returns
    -------
    DesignGraph
        With labels.
    """
    sizes = np.array([len(chain) for chain in chains])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    backbone = np.concatenate([chain.backbone for chain in chains])
    if rng is not None and noise_angstrom > 0:
        backbone = backbone + noise_angstrom * rng.standard_normal(backbone.shape, np.float32)
    previous = _shifted([chain.previous for chain in chains], starts)
    following = _shifted([chain.following for chain in chains], starts)
    sender = np.concatenate([(chain.sender + start).ravel() for chain, start in zip(chains, starts, strict=True)])
    degree = np.repeat([chain.sender.shape[1] for chain in chains], sizes)
    receiver = np.repeat(np.arange(len(backbone)), degree)
    if rng is not None and keep_edges < 1.0:
        kept = np.flatnonzero(rng.random(len(sender), np.float32) < keep_edges)
        sender, receiver = sender[kept], receiver[kept]
    atoms = ideal_atoms(backbone, following)
    frames = local_frames(atoms)
    place = np.concatenate([chain.place for chain in chains])
    chain_number = np.concatenate([chain.chain for chain in chains])
    offset = np.clip(place[sender] - place[receiver], -_FURTHEST, _FURTHEST) + _FURTHEST
    edge_type = np.where(chain_number[sender] == chain_number[receiver], offset, 2 * _FURTHEST + 1)
    label = np.concatenate([chain.sequence for chain in chains])
    x = np.zeros((len(backbone), _GEOMETRY + CONTEXT_DIM), np.float32)
    x[:, :_GEOMETRY] = np.concatenate(
        [
            _node_features(atoms, frames, previous, following),
            np.concatenate([_whole_chain(chain) for chain in chains]),
            np.concatenate([chain.surroundings for chain in chains]),
        ],
        axis=1,
    )
    return DesignGraph(
        x=torch.from_numpy(x),
        edge_index=torch.from_numpy(np.stack([sender, receiver])),
        edge_attr=torch.from_numpy(edge_features(atoms, frames, sender, receiver)),
        edge_type=torch.from_numpy(edge_type),
        batch=torch.from_numpy(np.repeat(np.arange(len(chains)), sizes)),
        label=torch.from_numpy(np.where(label < NUM_AMINO_ACIDS, label, -1)),
    )


def _shifted(parts: list[IntArray], starts: IntArray) -> IntArray:
    return np.concatenate([np.where(part < 0, -1, part + start) for part, start in zip(parts, starts, strict=True)])


def _whole_chain(chain: DesignInput) -> Float32Array:
    """Return how near both ends are, the length of the chain, and whether atoms were rebuilt [L, 4]."""
    length = np.zeros(int(chain.chain.max()) + 1)
    np.maximum.at(length, chain.chain, chain.place + 1.0)
    own = length[chain.chain]
    to_end = own - 1 - chain.place
    columns = [np.exp(-chain.place / 4.0), np.exp(-to_end / 4.0), np.log(own / 100.0), chain.rebuilt]
    return np.stack(columns, axis=1).astype(np.float32)


def _node_features(atoms: AnyArray, frames: AnyArray, previous: IntArray, following: IntArray) -> Any:
    """Return torsions, bend and neighbours along the chain [N, 19]; 0 where undefined."""
    n, ca, c = atoms[:, 0], atoms[:, 1], atoms[:, 2]
    has_previous, has_following = (previous >= 0).astype(np.float32), (following >= 0).astype(np.float32)
    columns = []
    for points, valid in (
        ((c[previous], n, ca, c), has_previous),
        ((n, ca, c, n[following]), has_following),
        ((ca[previous], c[previous], n, ca), has_previous),
        ((ca[previous], ca, ca[following], ca[following[following]]), _all_there(previous, following)),
    ):
        sine, cosine = _sine_cosine(*points)
        columns += [sine * valid, cosine * valid]
    u, v = _unit(n - ca), _unit(c - ca)
    columns += [np.clip((np.sum(u * v, axis=1) + 0.36) / 0.05, -4, 4), has_previous, has_following]
    for other, valid in ((previous, has_previous), (following, has_following)):
        step = np.einsum("lij,li->lj", frames, ca[other] - ca) / 3.8
        columns += list((step * valid[:, None]).T)
    behind, ahead = _unit(ca[previous] - ca), _unit(ca[following] - ca)
    both = has_previous * has_following
    columns += [np.sum(behind * ahead, axis=1) * both, both]
    return np.stack(columns, axis=1).astype(np.float32)


def _all_there(previous: IntArray, following: IntArray) -> Float32Array:
    return ((previous >= 0) & (following >= 0) & (following[following] >= 0)).astype(np.float32)


def _unit(vector: Any) -> Any:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-6)


def _sine_cosine(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """Sine and cosine of the dihedral a-b-c-d; (0, 0) on a line."""
    axis = _unit(c - b)
    first, second = _unit(np.cross(b - a, axis)), _unit(np.cross(axis, d - c))
    return np.sum(np.cross(first, second) * axis, axis=1), np.sum(first * second, axis=1)
