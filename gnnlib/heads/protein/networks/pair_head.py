"""The head that reads distances and contacts of all pairs of residues off a sequence, and off some known distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.protein.graphs.sequence_graph import SEQUENCE_SPEC, SequenceGraph
from gnnlib.heads.protein.networks.sequence_head import ResidueScores, SequenceHead, as_sequence_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["CONTACT_ANGSTROM", "DISTANCE_EDGES", "INPUTS", "PairHead", "PairScores", "pad_residues"]

#: Borders in angstrom between the bins of the predicted CA-CA distances; the first and the last bin are open.
DISTANCE_EDGES = (5.0, 6.5, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0)
#: Two residues whose CB atoms are nearer than this are in contact.
CONTACT_ANGSTROM = 8.0
#: What the pair head may fuse: the encoder's states and letters; predicted states, torsions and burial; separation.
INPUTS = ("sequence", "structure", "position")

_CENTRES = (4.0, 6.0, 8.0, 11.0, 14.0, 18.0, 24.0, 32.0)  # angstrom, of the radial functions of known distances
_GIVEN = 1 + 2 * len(_CENTRES)
_BUCKETS = 32
_MIN_SEPARATION = 6  # of pairs that count in the contact loss


@dataclass
class PairScores(Output):
    """What the head says of every pair of residues, and of every residue.

    Attributes
    ----------
    residue : ResidueScores
        See `SequenceHead`.
    distance : Tensor [B, M, M, 10]
        Logits of the bins of the CA-CA distance; M is the length of the longest chain.
    contact : Tensor [B, M, M]
        Logit of a CB-CB distance below 8 angstrom.
    """

    residue: ResidueScores
    distance: Tensor
    contact: Tensor


class PairHead(Head):
    """Residual dilated convolutions over the map of pairs (as AlphaFold 1; A. Senior et al. 2020), at a small size.

    A pair of residues i and j starts from the sum and the product of what is known of i and of j, an embedding of their
    separation, and, where some distances are given, of the given distance and of the shortest path over given distances
    and bonds. The map is made symmetric at the end.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    channels : int, default 32
        Channels of the map.
    dilations : sequence of int
        One convolution of 3 x 3 each.
    inputs : sequence of str
        Of `INPUTS`: what is fused.
    hidden : int, default 64
        Of the residue head.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.protein.graphs.sequence_graph import sequence_graph
    >>> model = GraphModel(Encoder([SEQUENCE_SPEC], width=16, depth=1), PairHead(16, 8, (1,)))
    >>> model(sequence_graph([0, 1, 2])).contact.shape
    torch.Size([1, 3, 3])
    """

    spec = SEQUENCE_SPEC

    def __init__(
        self,
        width: int,
        channels: int = 32,
        dilations: Sequence[int] = (1, 2, 4, 1),
        inputs: Sequence[str] = INPUTS,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        unknown = [name for name in inputs if name not in INPUTS]
        if unknown or not inputs:
            raise InputError(f"`inputs` must name some of {', '.join(INPUTS)}, found {list(inputs)}")
        self.inputs = tuple(inputs)
        self.residue = SequenceHead(width, hidden)
        size = (width + 21 if "sequence" in inputs else 0) + (13 if "structure" in inputs else 0)
        self.ends = nn.Linear(size, 2 * channels) if size else None
        self.separation = nn.Embedding(_BUCKETS, channels)
        self.given = nn.Linear(_GIVEN, channels, bias=False)
        self.start = nn.Linear(channels, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in dilations)
        self.layers = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in dilations)
        self.norm = nn.LayerNorm(channels)
        self.read = nn.Linear(channels, len(DISTANCE_EDGES) + 2)

    def forward(self, embedding: Embedding, graph: GraphLike) -> PairScores:
        """Read residues and pairs of `graph`, which must be a `SequenceGraph`."""
        chains = as_sequence_graph(graph)
        if chains.lengths is None or chains.residues is None:
            raise InputError("a PairHead needs `lengths` and `residues`; build the graph with sequence_graph")
        residue = self.residue(embedding, graph)
        pair, exists = self._pairs(embedding.node, residue, chains, chains.residues, chains.lengths)
        mask = exists.unsqueeze(-1).to(pair.dtype)
        pair = self.start(F.silu(pair)) * mask
        for norm, layer in zip(self.norms, self.layers, strict=True):
            heard = layer((F.silu(norm(pair)) * mask).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            pair = pair + heard * mask
        found = self.read(F.silu(self.norm(pair)))
        found = 0.5 * (found + found.transpose(1, 2))
        return PairScores(residue, found[..., :-1], found[..., -1])

    def _pairs(
        self, node: Tensor, residue: ResidueScores, graph: SequenceGraph, letters: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the first state of every pair [B, M, M, C] and which pairs exist [B, M, M]."""
        parts = []
        if "sequence" in self.inputs:
            parts += [node, F.one_hot(letters, 21).to(node.dtype)]
        if "structure" in self.inputs:
            parts += [residue.logit8.softmax(-1), residue.torsion, residue.burial.unsqueeze(-1)]
        size = int(lengths.max())
        place = torch.arange(size, device=node.device)
        inside = place < lengths[:, None]
        exists = inside[:, :, None] & inside[:, None, :]
        separation = (place[:, None] - place).abs()
        if "position" not in self.inputs:
            separation = separation.clamp(max=2)  # neighbours are known to everybody
        pair = self.separation(_bucket(separation)).unsqueeze(0)
        if self.ends is not None:
            one, two = pad_residues(self.ends(torch.cat(parts, dim=-1)), inside).chunk(2, dim=-1)
            pair = pair + one[:, :, None] + one[:, None, :] + two[:, :, None] * two[:, None, :]
        if graph.given is not None and graph.upper is not None:
            pair = pair + self.given(_given_features(graph.given, graph.upper))
        return pair.expand(len(lengths), -1, -1, -1), exists

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "distance" (cross-entropy of the bins) and "contact" (binary cross-entropy, 6 or more apart).

        Pairs whose distance is given do not count.
        """
        scores, chains, ca, cb = _labelled(output, graph)
        size = scores.contact.shape[1]
        separation = torch.arange(size, device=ca.device)
        above = (separation - separation[:, None]) >= 2
        open_pairs = above & ~torch.isnan(ca)
        if chains.given is not None:
            open_pairs = open_pairs & (chains.given == 0)
        bins = torch.bucketize(ca.nan_to_num(), ca.new_tensor(DISTANCE_EDGES))
        distance = F.cross_entropy(scores.distance[open_pairs], bins[open_pairs])
        far = open_pairs & (separation - separation[:, None] >= _MIN_SEPARATION) & ~torch.isnan(cb)
        contact = F.binary_cross_entropy_with_logits(
            scores.contact[far], (cb[far] < CONTACT_ANGSTROM).to(ca.dtype), reduction="sum"
        )
        return {"distance": distance, "contact": contact / far.sum().clamp(min=1)}

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "precision": that of the best L/5 open pairs 12 or more residues apart, mean over the chains."""
        scores, chains, _, cb = _labelled(output, graph)
        lengths = chains.lengths.tolist() if chains.lengths is not None else []
        values = []
        for number, length in enumerate(lengths):
            truth = cb[number, :length, :length]
            place = torch.arange(length)
            far = (place - place[:, None] >= 12) & ~torch.isnan(truth)
            if chains.given is not None:
                far &= chains.given[number, :length, :length] == 0
            count = min(max(1, length // 5), int(far.sum()))
            if count:
                best = scores.contact[number, :length, :length][far].topk(count).indices
                values.append(float((truth[far][best] < CONTACT_ANGSTROM).double().mean()))
        return {"precision": sum(values) / max(1, len(values))}


def pad_residues(values: Tensor, inside: Tensor) -> Tensor:
    """Put rows [N, ...] of chains that follow each other into a padded array [B, M, ...].

    Examples
    --------
    >>> pad_residues(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[True, True], [True, False]])).tolist()
    [[1.0, 2.0], [3.0, 0.0]]
    """
    row = (inside.flatten().cumsum(0) - 1).clamp(min=0).view(inside.shape)
    mask = inside.view(*inside.shape, *(1 for _ in values.shape[1:]))
    return torch.where(mask, values[row], torch.zeros((), dtype=values.dtype, device=values.device))


def _bucket(separation: Tensor) -> Tensor:
    """Return the bucket of a separation: itself below 16, then steps of a fifth of an octave."""
    far = 16 + 5 * torch.log2(separation.clamp(min=16) / 16)
    return torch.where(separation < 16, separation, far.long()).clamp(max=_BUCKETS - 1)


def _given_features(given: Tensor, upper: Tensor) -> Tensor:
    """Describe given distances (0 unknown) and upper bounds [B, M, M, 17]."""
    centres = given.new_tensor(_CENTRES)
    known = (given > 0).unsqueeze(-1).to(given.dtype)
    exact = torch.exp(-(((given.unsqueeze(-1) - centres) / (0.3 * centres)) ** 2)) * known
    bound = torch.exp(-(((upper.unsqueeze(-1) - centres) / (0.3 * centres)) ** 2))
    return torch.cat([known, exact, bound], dim=-1)


def _labelled(output: Output, graph: GraphLike) -> tuple[PairScores, SequenceGraph, Tensor, Tensor]:
    """Return scores, graph and the padded true distances of CA and CB [B, M, M], NaN where unknown."""
    chains = as_sequence_graph(graph)
    if not isinstance(output, PairScores) or chains.ca is None or chains.cb is None or chains.lengths is None:
        raise InputError("learning a PairHead needs PairScores and a SequenceGraph with `ca` and `cb`")
    inside = torch.arange(output.contact.shape[1], device=chains.ca.device) < chains.lengths[:, None]
    missing = torch.where(inside[:, :, None] & inside[:, None, :], 0.0, torch.nan)
    ca, cb = (_distances(pad_residues(positions, inside)) + missing for positions in (chains.ca, chains.cb))
    return output, chains, ca, cb


def _distances(positions: Tensor) -> Tensor:
    return (positions[:, :, None] - positions[:, None, :]).square().sum(-1).sqrt()
