"""What the backbone model learns from: CA traces with labels, in batches with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.heads.protein.chains import state_indices
from gnnlib.heads.protein.geometry import backbone_torsions
from gnnlib.heads.protein.graph import trace_neighbours
from gnnlib.heads.protein.graphs.graph_features import trace_features
from gnnlib.heads.protein.graphs.trace import trace_segment
from gnnlib.heads.protein.head import BackboneGraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["RESIDUES_PER_BATCH", "BackboneBatches", "LabelledTrace", "label_chain"]

RESIDUES_PER_BATCH = 1000
CLEAN_SHARE, LARGEST_NOISE_ANGSTROM = 0.5, 0.8


@dataclass(frozen=True)
class LabelledTrace:
    """A CA trace and what is to be learned of it.

    Attributes
    ----------
    ca : float64 array [L, 3]
        Centred, in angstrom.
    state : int64 array [L]
        Index in "HBEGITSC", -1 unknown.
    torsion_rad : float32 array [L, 2]
        Phi and psi, NaN unknown.
    weight : float
        How much the states count.
    """

    ca: FloatArray
    state: IntArray
    torsion_rad: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    weight: float = 1.0


def label_chain(chain: TrainingChain, weight: float = 1.0) -> LabelledTrace:
    """Take from a chain what the model reads and learns; torsions are those of N, CA, C, where they are there."""
    coords = chain.coords_angstrom.astype(np.float64)
    phi, psi, _ = backbone_torsions(coords, trace_segment(coords[:, 1]))
    torsion = np.radians(np.stack([phi, psi], axis=1)).astype(np.float32)
    return LabelledTrace(coords[:, 1] - coords[:, 1].mean(axis=0), state_indices(chain.states8), torsion, weight)


class BackboneBatches:
    """Labelled traces in batches of about equally many residues, in a new order and with new noise every epoch.

    Parameters
    ----------
    traces : sequence of LabelledTrace
    seed : int
        Of order and noise.
    shuffle : bool, default True
        False keeps the order, and draws the same noise every epoch.
    clean_share : float, default 0.5
        Share of the traces that keep their coordinates.
    noise_angstrom : tuple of two floats, default (0, 0.8)
        Between which the standard deviation of the others' noise is drawn.
    noise_discount : float, default 0
        See `Preset`.
    """

    def __init__(
        self,
        traces: Sequence[LabelledTrace],
        seed: int,
        *,
        shuffle: bool = True,
        clean_share: float = CLEAN_SHARE,
        noise_angstrom: tuple[float, float] = (0.0, LARGEST_NOISE_ANGSTROM),
        noise_discount: float = 0.0,
    ) -> None:
        self.traces, self.seed, self.shuffle = traces, seed, shuffle
        self.clean_share, self.noise_angstrom = clean_share, noise_angstrom
        self.noise_discount = noise_discount

    def __call__(self, epoch: int) -> Iterator[BackboneGraph]:
        """Yield the batches of one epoch."""
        random = np.random.default_rng([self.seed, epoch if self.shuffle else 0])
        order = random.permutation(len(self.traces)) if self.shuffle else np.arange(len(self.traces))
        chosen: list[LabelledTrace] = []
        size = 0
        for number in order.tolist():
            chosen.append(self.traces[number])
            size += len(chosen[-1].ca)
            if size >= RESIDUES_PER_BATCH:
                yield self._batch(chosen, random)
                chosen, size = [], 0
        if chosen:
            yield self._batch(chosen, random)

    def _batch(self, traces: list[LabelledTrace], random: np.random.Generator) -> BackboneGraph:
        count = [len(trace.ca) for trace in traces]
        graph = np.repeat(np.arange(len(traces)), count)
        noise = random.uniform(*self.noise_angstrom, len(traces)) * (random.random(len(traces)) >= self.clean_share)
        ca = np.concatenate([trace.ca for trace in traces])
        ca += noise[graph, None] * random.standard_normal(ca.shape)
        features = trace_features(ca, trace_segment(ca, graph), graph)
        edges = trace_neighbours(features.ca, graph)
        weight = np.repeat([trace.weight for trace in traces], count).astype(np.float32)
        # how far noise hides a torsion: errors of noisy traces would drown those of clean ones
        clear = (1.0 / (1.0 + self.noise_discount * noise))[graph].astype(np.float32)
        return BackboneGraph(
            torch.from_numpy(features.node),
            torch.from_numpy(edges),
            torch.from_numpy(features.edges(edges)),
            batch=torch.from_numpy(graph),
            state=torch.from_numpy(np.concatenate([trace.state for trace in traces])),
            weight=torch.from_numpy(weight),
            torsion_rad=torch.from_numpy(np.concatenate([trace.torsion_rad for trace in traces])),
            torsion_weight=torch.from_numpy(clear),
        )
