"""What the sequence models learn from: three sets joined, relatives of the judges dropped, and batches of crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from gnnlib.heads.protein.chains import load_chains, state_indices
from gnnlib.heads.protein.geometry import backbone_torsions, virtual_cb, virtual_cb_of_trace
from gnnlib.heads.protein.graphs.sequence_graph import join_sequences
from gnnlib.heads.protein.residues import sequence_indices
from gnnlib.heads.protein.sequences import STATES3_OF_8, cb513_relatives, held_out_relatives, load_sequences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.heads.protein.graphs.sequence_graph import SequenceGraph
    from gnnlib.heads.protein.sequences import LabelledSequence
    from gnnlib.typing import AnyArray, FloatArray, IntArray, PathLike

__all__ = ["CropBatches", "ResidueRecord", "burial_counts", "chain_record", "cb_positions", "training_records"]

#: Divides the number of CB atoms within 10 angstrom.
BURIAL_UNIT = 20.0

_BUCKET = 16  # batches whose crops are sorted by length together, so that a batch holds similar ones


@dataclass(frozen=True, eq=False, repr=False)
class ResidueRecord:
    """One chain with all labels of its residues, unknown ones marked.

    Attributes
    ----------
    name : str
    residues, states8, states3 : int64 array [L]
        As in `LabelledSequence`.
    torsions : float32 array [L, 2]
        Phi and psi in radians; NaN unknown.
    burial : float32 array [L]
        CB atoms within 10 angstrom, divided by 20; NaN unknown.
    """

    name: str
    residues: IntArray
    states8: IntArray
    states3: IntArray
    torsions: AnyArray
    burial: AnyArray

    def __len__(self) -> int:
        return len(self.residues)


def cb_positions(coords: AnyArray) -> FloatArray:
    """Return CB atoms [L, 3] of N, CA, C, O, CB coordinates [L, 5, 3]: the ideal one where it is missing (glycine).

    Without N and C the CB is placed from the CA trace (`virtual_cb_of_trace`).
    """
    xyz = np.asarray(coords, dtype=np.float64)
    cb = xyz[:, 4].copy()
    missing = np.isnan(cb[:, 0])
    if missing.any():
        ideal = virtual_cb(xyz[:, 0], xyz[:, 1], xyz[:, 2])
        cb[missing] = ideal[missing]
    missing = np.isnan(cb[:, 0])
    if missing.any():
        cb[missing] = virtual_cb_of_trace(xyz[:, 1])[missing]
    return cb


def burial_counts(cb: FloatArray) -> FloatArray:
    """Count the other CB atoms within 10 angstrom of each [L], divided by 20."""
    pairs = cKDTree(cb).query_pairs(10.0, output_type="ndarray")
    return np.bincount(pairs.ravel(), minlength=len(cb)) / BURIAL_UNIT


def chain_record(chain: TrainingChain) -> ResidueRecord:
    """Return a chain of known structure with all its labels; the CA-only ones lack torsions and burial."""
    residues, states = sequence_indices(chain.sequence), state_indices(chain.states8)
    torsions = np.full((len(residues), 2), np.nan, dtype=np.float32)
    burial = np.full(len(residues), np.nan, dtype=np.float32)
    coords = np.asarray(chain.coords_angstrom, dtype=np.float64)
    if not np.isnan(coords[:, 0, 0]).all():
        phi, psi, _ = backbone_torsions(coords, chain.structure().segment)
        torsions[:] = np.deg2rad(np.stack([phi, psi], axis=1))
        burial[:] = burial_counts(cb_positions(coords))
    return ResidueRecord(chain.name, residues, states, np.where(states < 0, -1, STATES3_OF_8[states]), torsions, burial)


def training_records(
    *, drop_cb513_relatives: bool = True, folder: PathLike | None = None
) -> tuple[list[ResidueRecord], list[ResidueRecord]]:
    """Return what to learn from and, second, the chains of the split ``val`` for choices.

    CB6133 (filtered, without exact repeats), the training and validation parts of FLIP, and the training chains of known
    structure. Sequences that resemble a chain of val, test or ts50 are always dropped.

    Parameters
    ----------
    drop_cb513_relatives : bool, default True
        Whether sequences that resemble a row of CB513 are dropped too.
    folder : path-like, optional
        See `gnnlib.heads.protein.chains.chains_folder`.
    """
    train: list[ResidueRecord] = []
    seen: set[bytes] = set()
    for name in ("cb6133filtered", "flip"):
        banned = held_out_relatives(name, folder=folder)
        if drop_cb513_relatives:
            banned |= cb513_relatives(name)
        for entry in load_sequences(name, folder=folder):
            key = entry.residues.tobytes()
            if entry.name not in banned and key not in seen:
                seen.add(key)
                train.append(_sequence_record(entry))
    banned = cb513_relatives("chains") if drop_cb513_relatives else frozenset()
    chains = [chain for atoms in ("backbone", "ca") for chain in load_chains("train", atoms=atoms, folder=folder)]
    train += [chain_record(chain) for chain in chains if chain.name not in banned]
    val = [chain for atoms in ("backbone", "ca") for chain in load_chains("val", atoms=atoms, folder=folder)]
    return train, [chain_record(chain) for chain in val]


def _sequence_record(entry: LabelledSequence) -> ResidueRecord:
    unknown = np.full((len(entry), 2), np.nan, dtype=np.float32)
    return ResidueRecord(entry.name, entry.residues, entry.states8, entry.states3, unknown, unknown[:, 0])


class CropBatches:
    """Crops of similar length in batches, in a new order every epoch; for `gnnlib.training.fit`.

    Parameters
    ----------
    records : sequence of ResidueRecord
    batch_residues : int
        About how many residues a batch holds.
    crop : int, default 256
        Longest crop; a longer chain is drawn several times an epoch, each time from a random place.
    seed : int, optional
        Of the order, the places and the masking. Without it chains are whole, unmasked and in one order.
    mask_share : float, default 0.05
        Share of the residues whose letter becomes X, so that no single letter is relied on.
    """

    def __init__(
        self,
        records: Sequence[ResidueRecord],
        *,
        batch_residues: int,
        crop: int = 256,
        seed: int | None = None,
        mask_share: float = 0.05,
    ) -> None:
        self.records, self.crop, self.seed, self.mask_share = records, crop, seed, mask_share
        lengths = np.array([len(record) for record in records])
        self.owner = np.arange(len(records))
        if seed is not None:
            self.owner = np.repeat(self.owner, -(-lengths // crop))
            lengths = np.minimum(lengths, crop)
        self.size = lengths[self.owner]
        self.per_batch = max(1, round(batch_residues / float(self.size.mean())))

    def __len__(self) -> int:
        return -(-len(self.owner) // self.per_batch)

    def __call__(self, epoch: int) -> Iterator[SequenceGraph]:
        """Yield the batches of one epoch."""
        random = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        order = np.argsort(self.size, kind="stable") if random is None else random.permutation(len(self.owner))
        batches: list[IntArray] = []
        for first in range(0, len(order), self.per_batch * _BUCKET):
            bucket = order[first : first + self.per_batch * _BUCKET]
            bucket = bucket[np.argsort(self.size[bucket], kind="stable")]
            batches += [bucket[start : start + self.per_batch] for start in range(0, len(bucket), self.per_batch)]
        for number in range(len(batches)) if random is None else random.permutation(len(batches)).tolist():
            yield self._join(self.owner[batches[number]], random)

    def _join(self, owners: IntArray, random: np.random.Generator | None) -> SequenceGraph:
        parts: list[tuple[Any, slice]] = []
        for owner in owners.tolist():
            record = self.records[owner]
            start = 0
            if random is not None and len(record) > self.crop:
                start = int(random.integers(len(record) - self.crop + 1))
            parts.append((record, slice(start, start + self.crop) if random is not None else slice(None)))
        chains = [record.residues[part] for record, part in parts]
        if random is not None and self.mask_share:
            chains = [np.where(random.random(len(chain)) < self.mask_share, 20, chain) for chain in chains]
        graph = join_sequences(chains)
        for label in ("states8", "states3", "torsions", "burial"):
            joined = np.concatenate([getattr(record, label)[part] for record, part in parts])
            setattr(graph, label, torch.from_numpy(joined))
        return graph
