"""From a model's C-alpha trace and sequence to the graph that the judge of models reads.

The judge sees CA positions and letters, nothing else, so that traces, full models and real pairs of conformers are read
alike: N and C are rebuilt around the trace for every residue, as in inverse folding, whose edge features it shares. In
place of inverse folding's context stand the amino acids themselves; further columns say what is wrong with a trace (steps
along the chain, clashes), how soft it is (weighted contact number) and how compact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from gnnlib.graphs.schema import GraphSpec, GraphTensors
from gnnlib.heads.protein.graphs.design_graph import (
    CONTEXT_DIM,
    DESIGN_SPEC,
    NUM_AMINO_ACIDS,
    design_graph,
    prepare_chain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy.typing as npt

    from gnnlib.heads.protein.graphs.design_graph import DesignInput
    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["QUALITY_SPEC", "QualityGraph", "QualityInput", "prepare_model", "quality_graph"]

NUM_NEIGHBOURS = 16
_FLAWS = 8
_STEP_ANGSTROM, _STEP_SCALE = 3.8, 0.2
_CLASHES_ANGSTROM = (3.6, 4.2)
_WIDEST_ANGSTROM = 20.0

QUALITY_SPEC = GraphSpec(
    "protein_quality",
    node_dim=DESIGN_SPEC.node_dim + _FLAWS,
    edge_dim=DESIGN_SPEC.edge_dim,
    edge_types=DESIGN_SPEC.edge_types,
)
"""Inverse folding's features with the amino acids in place of its context, and eight columns on flaws and softness."""


@dataclass(frozen=True, eq=False)
class QualityInput:
    """A model ready for `quality_graph`.

    Attributes
    ----------
    chain : DesignInput
    flaws : float32 array [L, 8]
    """

    chain: DesignInput
    flaws: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.flaws)


@dataclass
class QualityGraph(GraphTensors):
    """The graph of one model or of several.

    Parameters
    ----------
    lddt : Tensor [N], optional
        True lDDT of each residue; NaN does not count.
    gdt_ts : Tensor [B], optional
        True GDT_TS of each model.
    """

    lddt: Tensor | None = None
    gdt_ts: Tensor | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating features to `dtype`."""
        moved = super().to(device, dtype)
        moved.lddt = None if self.lddt is None else self.lddt.to(device)
        moved.gdt_ts = None if self.gdt_ts is None else self.gdt_ts.to(device)
        return moved


def prepare_model(structure: Structure, peptide: FloatArray, sequence: IntArray) -> QualityInput:
    """Rebuild the backbone around the trace, look up neighbours and flaws.

    Parameters
    ----------
    structure : Structure
        Only CA, chains and the order of residues are read.
    peptide : array [26, 6]
        Coefficients that place N and C.
    sequence : int array [L]
        Indices of the amino acids, 20 unknown.
    """
    bare = structure
    if not structure.is_ca_only:
        bare = type(structure).from_arrays(structure.ca, structure.sequence, chain_ids=structure.chain_ids)
    chain = prepare_chain(bare, peptide, sequence, knn=NUM_NEIGHBOURS)
    return QualityInput(chain, _flaws(structure.ca, chain))


def _flaws(ca: FloatArray, chain: DesignInput) -> npt.NDArray[np.float32]:
    count = len(ca)
    columns = []
    for other in (chain.previous, chain.following):
        off = (np.linalg.norm(ca[other] - ca, axis=1) - _STEP_ANGSTROM) / _STEP_SCALE
        columns.append(np.where(other >= 0, np.clip(off, -4.0, 4.0), 0.0))
    pairs = cKDTree(ca).query_pairs(_WIDEST_ANGSTROM, output_type="ndarray").reshape(-1, 2)
    first, second = pairs.T
    squared = np.maximum(np.sum((ca[first] - ca[second]) ** 2, axis=1), 1.0)
    is_bond = chain.following[first] == second
    for limit in _CLASHES_ANGSTROM:
        ends = pairs[(squared < limit**2) & ~is_bond]
        columns.append(np.minimum(np.bincount(ends.ravel(), minlength=count), 4.0))
    # C.-P. Lin et al. 2008, Proteins 72, 929: the inverse of the weighted contact number goes with the B factor
    weighted = np.bincount(pairs.ravel(), weights=np.repeat(1.0 / squared, 2), minlength=count)
    softness = -np.log(np.maximum(weighted, 1e-3))
    spread = np.sqrt(np.mean(np.sum((ca - ca.mean(axis=0)) ** 2, axis=1)))
    crowd = len(first) / (30.0 * count) - 1.0
    columns += [softness, softness - softness.mean()]
    columns += [np.full(count, spread / (2.2 * count**0.38) - 1.0), np.full(count, crowd)]
    return np.clip(np.stack(columns, axis=1), -5.0, 5.0).astype(np.float32)


def quality_graph(
    models: Sequence[QualityInput], *, noise_angstrom: float = 0.0, rng: np.random.Generator | None = None
) -> QualityGraph:
    """Build one graph of several models.

    Parameters
    ----------
    models : sequence of QualityInput
    noise_angstrom : float, default 0
        Standard deviation of the noise added to N, CA and C.
    rng : numpy Generator, optional
        Source of the noise.
    """
    graph = design_graph([model.chain for model in models], noise_angstrom=noise_angstrom, rng=rng)
    sequence = np.concatenate([model.chain.sequence for model in models])
    known = np.flatnonzero(sequence < NUM_AMINO_ACIDS)
    letters = torch.zeros(len(sequence), CONTEXT_DIM)
    letters[known, sequence[known]] = 1.0
    letters[known, -1] = 1.0
    flaws = torch.from_numpy(np.concatenate([model.flaws for model in models]))
    return QualityGraph(
        x=torch.cat([graph.x[:, :-CONTEXT_DIM], letters, flaws], dim=1),
        edge_index=graph.edge_index,
        edge_attr=graph.edge_attr,
        edge_type=graph.edge_type,
        batch=graph.batch,
    )
