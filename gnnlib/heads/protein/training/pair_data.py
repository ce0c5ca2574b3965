"""Batches of chains of known structure for the pair head, some with a share of their distances given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path

from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.graphs.sequence_graph import join_sequences
from gnnlib.heads.protein.residues import sequence_indices
from gnnlib.heads.protein.training.sequence_data import cb_positions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.heads.protein.graphs.sequence_graph import SequenceGraph
    from gnnlib.typing import BoolArray, FloatArray, IntArray, PathLike

__all__ = ["PairBatches", "PairChain", "choose_given", "load_pair_chains", "upper_bounds"]

_BOND_ANGSTROM, _SECOND_ANGSTROM = 3.85, 7.3  # farthest that residues one and two places apart can be
_BUCKET = 8
SHORTEST = 24


class PairChain:
    """Letters, CA and CB of one chain.

    Parameters
    ----------
    chain : TrainingChain
    """

    def __init__(self, chain: TrainingChain) -> None:
        self.name = chain.name
        self.sequence = chain.sequence
        self.has_backbone = not bool(np.isnan(chain.coords_angstrom[:, 0, 0]).all())
        self.residues: IntArray = sequence_indices(chain.sequence)
        self.ca: FloatArray = np.asarray(chain.ca, dtype=np.float64)
        self.cb: FloatArray = cb_positions(chain.coords_angstrom)

    def __len__(self) -> int:
        return len(self.residues)


def load_pair_chains(
    split: str, *, banned: frozenset[str] = frozenset(), folder: PathLike | None = None
) -> list[PairChain]:
    """Load the chains of a split that have at least 24 residues, those with a backbone first."""
    chains = [chain for atoms in ("backbone", "ca") for chain in load_chains(split, atoms=atoms, folder=folder)]
    return [PairChain(chain) for chain in chains if chain.num_residues >= SHORTEST and chain.name not in banned]


def choose_given(length: int, share: float, random: np.random.Generator) -> BoolArray:
    """Draw which pairs are given: a symmetric mask [L, L] with about `share` of the pairs, none on the diagonal.

    Examples
    --------
    >>> mask = choose_given(50, 0.1, np.random.default_rng(0))
    >>> bool((mask == mask.T).all()), int(mask.sum()) // 2
    (True, 122)
    """
    rows, columns = np.triu_indices(length, 1)
    chosen = random.permutation(len(rows))[: int(share * len(rows))]
    mask = np.zeros((length, length), dtype=bool)
    mask[rows[chosen], columns[chosen]] = True
    return mask | mask.T


def upper_bounds(given: FloatArray) -> FloatArray:
    """Return how far apart residues can be [L, L]: shortest paths over given distances and the bonds of the chain.

    Parameters
    ----------
    given : array [L, L]
        CA distances in angstrom, 0 where none is given.

    Examples
    --------
    >>> upper_bounds(np.zeros((4, 4)))[0].round(2).tolist()
    [0.0, 3.85, 7.3, 11.15]
    """
    length = len(given)
    graph = np.where(given > 0, given, np.inf)
    for step, farthest in ((1, _BOND_ANGSTROM), (2, _SECOND_ANGSTROM)):
        place = np.arange(length - step)
        for rows, columns in ((place, place + step), (place + step, place)):
            graph[rows, columns] = np.minimum(graph[rows, columns], farthest)
    np.fill_diagonal(graph, 0.0)
    return np.asarray(shortest_path(graph, method="FW" if length < 300 else "D", directed=False))


class PairBatches:
    """Crops of chains in batches of about equal numbers of pairs; for `gnnlib.training.fit`.

    Parameters
    ----------
    chains : sequence of PairChain
    crop : int
        Longest crop.
    pairs : int
        Padded pairs of a batch, at most, unless one chain has more.
    share : tuple of two floats
        Range of the share of given distances, drawn for every chain of a batch that gives some.
    blind : float
        Share of the batches that give nothing.
    seed : int
        Of everything random.
    is_fixed : bool
        Whether every epoch is the same, without a new order: for validation.
    """

    def __init__(
        self,
        chains: Sequence[PairChain],
        *,
        crop: int = 96,
        pairs: int = 28_000,
        share: tuple[float, float] = (0.02, 0.08),
        blind: float = 0.5,
        seed: int = 0,
        is_fixed: bool = False,
    ) -> None:
        self.chains, self.crop, self.pairs, self.share = chains, crop, pairs, share
        self.blind, self.seed, self.is_fixed = blind, seed, is_fixed
        self.size = np.minimum([len(chain) for chain in chains], crop)

    def __len__(self) -> int:
        return max(1, round(float(np.square(self.size).sum()) / self.pairs))

    def __call__(self, epoch: int) -> Iterator[SequenceGraph]:
        """Yield the batches of one epoch."""
        random = np.random.default_rng([self.seed, 0 if self.is_fixed else epoch])
        order = random.permutation(len(self.chains))
        batches: list[list[int]] = []
        for first in range(0, len(order), 64 * _BUCKET):
            bucket = order[first : first + 64 * _BUCKET]
            batch: list[int] = []
            for number in bucket[np.argsort(self.size[bucket], kind="stable")].tolist():
                if batch and (len(batch) + 1) * int(self.size[number]) ** 2 > self.pairs:
                    batches.append(batch)
                    batch = []
                batch.append(number)
            batches.append(batch)
        for choice in random.permutation(len(batches)).tolist():
            is_blind = random.random() < self.blind
            yield self._join([self.chains[number] for number in batches[choice]], random, is_blind=is_blind)

    def _join(self, chains: list[PairChain], random: np.random.Generator, *, is_blind: bool) -> SequenceGraph:
        parts = []
        for chain in chains:
            start = int(random.integers(max(0, len(chain) - self.crop) + 1))
            parts.append(slice(start, start + self.crop))
        joined = list(zip(chains, parts, strict=True))
        graph = join_sequences([chain.residues[part] for chain, part in joined])
        graph.ca = torch.from_numpy(np.concatenate([chain.ca[part] for chain, part in joined])).float()
        graph.cb = torch.from_numpy(np.concatenate([chain.cb[part] for chain, part in joined])).float()
        if not is_blind:
            give(graph, [chain.ca[part] for chain, part in joined], random.uniform(*self.share), random)
        return graph


def give(graph: SequenceGraph, ca: Sequence[FloatArray], share: float, random: np.random.Generator) -> None:
    """Give a share of the distances of each chain to a graph, in place."""
    size = max(map(len, ca))
    given, upper = np.zeros((2, len(ca), size, size))
    for number, positions in enumerate(ca):
        length = len(positions)
        distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
        known = np.where(choose_given(length, share, random), distances, 0.0)
        given[number, :length, :length] = known
        upper[number, :length, :length] = upper_bounds(known)
    graph.given, graph.upper = torch.from_numpy(given).float(), torch.from_numpy(upper).float()
