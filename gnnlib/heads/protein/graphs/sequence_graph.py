"""A sequence as a graph: residues joined to those a few places before and after them.

Every residue carries the letters of the window around it, and hears, over typed edges, the residues at the fixed offsets
`OFFSETS` along the chain; after a few steps of message passing each one has heard the whole neighbourhood, as in a
dilated convolution (F. Yu and V. Koltun 2016), but read by the library's one graph encoder.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec, GraphTensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import IntArray

__all__ = ["HALF_WINDOW", "OFFSETS", "SEQUENCE_SPEC", "SequenceGraph", "join_sequences", "sequence_graph"]

#: Letters on each side of a residue that are part of its own features.
HALF_WINDOW = 7
#: Steps along the chain that are edges, in both directions.
OFFSETS = (1, 2, 4, 8, 16)

_OUTSIDE = 21  # the letter beyond the ends of the chain
_LETTERS = 22
_WIDTH = 2 * HALF_WINDOW + 1
_STEPS = tuple(sign * step for step in OFFSETS for sign in (-1, 1))

#: What the graphs look like for the encoder.
SEQUENCE_SPEC = GraphSpec("sequence", node_dim=_WIDTH * _LETTERS, edge_dim=0, edge_types=len(_STEPS))


@dataclass
class SequenceGraph(GraphTensors):
    """One or more chains for the encoder, with labels where they are known.

    Attributes
    ----------
    lengths : Tensor [B], int64
        Number of residues of each chain; the nodes of a chain follow each other.
    residues : Tensor [N], int64
        Index of each residue, 20 for X.
    states8, states3 : Tensor [N], int64
        Labels as in `LabelledSequence`; -1 unknown.
    torsions : Tensor [N, 2]
        Phi and psi in radians; NaN unknown.
    burial : Tensor [N]
        CB atoms within 10 angstrom, divided by 20; NaN unknown.
    ca, cb : Tensor [N, 3]
        Positions in angstrom; NaN unknown.
    given, upper : Tensor [B, M, M]
        CA distances that are given (0 for the others) and the upper bounds that follow; M is the longest chain.
    """

    lengths: Tensor | None = None
    residues: Tensor | None = None
    states8: Tensor | None = None
    states3: Tensor | None = None
    torsions: Tensor | None = None
    burial: Tensor | None = None
    ca: Tensor | None = None
    cb: Tensor | None = None
    given: Tensor | None = None
    upper: Tensor | None = None

    @property
    def num_graphs(self) -> int:
        """Number of chains B."""
        return 1 if self.lengths is None else int(self.lengths.shape[0])

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> SequenceGraph:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        moved = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Tensor):
                value = value.to(device, dtype if value.is_floating_point() else None)
            moved[entry.name] = value
        return SequenceGraph(**moved)


def sequence_graph(residues: IntArray | Sequence[int]) -> SequenceGraph:
    """Build the graph of one sequence.

    Parameters
    ----------
    residues : int array [L]
        Index of each residue in `AMINO_ACIDS`, 20 for X; see `gnnlib.heads.protein.residues.sequence_indices`.

    Raises
    ------
    InputError
        If there is no residue, or an index is out of range.

    Examples
    --------
    >>> graph = sequence_graph([10, 8, 17])
    >>> graph.num_nodes, graph.edge_index.tolist()
    (3, [[1, 2, 0, 2, 1, 0], [0, 0, 1, 1, 2, 2]])
    """
    return join_sequences([np.asarray(residues, dtype=np.int64)])


def join_sequences(chains: Sequence[IntArray]) -> SequenceGraph:
    """Build one graph of several sequences that do not hear each other.

    Parameters
    ----------
    chains : sequence of int arrays [L]
        As in `sequence_graph`.

    Raises
    ------
    InputError
        If a chain is empty, or an index is out of range.

    Examples
    --------
    >>> join_sequences([np.array([0, 1]), np.array([2])]).batch.tolist()
    [0, 0, 1]
    """
    lengths = np.array([len(chain) for chain in chains], dtype=np.int64)
    if not len(chains) or lengths.min() < 1:
        raise InputError(f"every sequence must hold at least one residue, found lengths {lengths.tolist()[:8]}")
    residues = torch.from_numpy(np.concatenate(chains).astype(np.int64))
    if int(residues.min()) < 0 or int(residues.max()) >= _OUTSIDE:
        raise InputError(
            f"residue indices must lie in [0, {_OUTSIDE}), found {int(residues.min())}..{int(residues.max())}"
        )
    sizes = torch.from_numpy(lengths)
    batch = torch.arange(len(chains)).repeat_interleave(sizes)
    position = torch.arange(len(residues)) - (sizes.cumsum(0) - sizes)[batch]
    length = sizes[batch]
    return SequenceGraph(
        x=_windows(residues, position, length),
        **_edges(position, length),
        batch=batch,
        lengths=sizes,
        residues=residues,
    )


def _windows(residues: Tensor, position: Tensor, length: Tensor) -> Tensor:
    """One-hot letters of the window around each residue [N, 15 * 22]."""
    steps = torch.arange(-HALF_WINDOW, HALF_WINDOW + 1)
    place = position[:, None] + steps
    index = (torch.arange(len(residues))[:, None] + steps).clamp_(0, len(residues) - 1)
    letter = residues[index].masked_fill_((place < 0) | (place >= length[:, None]), _OUTSIDE)
    column = letter + torch.arange(_WIDTH) * _LETTERS
    return torch.zeros(len(residues), _WIDTH * _LETTERS).scatter_(1, column, 1.0)


def _edges(position: Tensor, length: Tensor) -> dict[str, Tensor]:
    """Edges sorted by receiver, with the number of their step as type."""
    steps = torch.tensor(_STEPS)
    place = position[:, None] + steps
    exists = (place >= 0) & (place < length[:, None])
    receiver, kind = exists.nonzero(as_tuple=True)
    return {"edge_index": torch.stack([receiver + steps[kind], receiver]), "edge_type": kind}
