"""The head that reads secondary structure, torsions and burial of every residue off its sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.protein.graphs.sequence_graph import SEQUENCE_SPEC, SequenceGraph
from gnnlib.heads.protein.sequences import STATES3_OF_8

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["ResidueScores", "SequenceHead", "as_sequence_graph", "marginal_log3", "residue_losses"]


@dataclass
class ResidueScores(Output):
    """What the head says of every residue.

    Attributes
    ----------
    logit8 : Tensor [N, 8]
        Logits of the eight states "HBEGITSC".
    torsion : Tensor [N, 4]
        Sine and cosine of phi, then of psi, not normalised.
    burial : Tensor [N]
        CB atoms within 10 angstrom, divided by 20.
    """

    logit8: Tensor
    torsion: Tensor
    burial: Tensor


class SequenceHead(Head):
    """A perceptron on the encoder's state of each residue.

    The graph encoder stands alone here because nothing in front of it or behind it paid for its time. Q8 / Q3 on the
    split ``val`` after 75 seconds of one core (one seed): the encoder of width 80 and depth 4 .515 / .644; four dilated
    convolutions and a gated recurrent layer of 2 x 64 channels .513 / .641; an encoder of depth 3 with that recurrent
    layer .489 / .631; one of depth 2, .488 / .630. Those with the layer pass 2.5 times fewer residues a second.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    hidden : int, default 64
        Channels of the perceptron.
    dropout : float, default 0.1
        Of the perceptron's input, while training.

    Examples
    --------
    >>> from gnnlib.encoder import Encoder, GraphModel
    >>> from gnnlib.heads.protein.graphs.sequence_graph import sequence_graph
    >>> model = GraphModel(Encoder([SEQUENCE_SPEC], width=16, depth=1), SequenceHead(16))
    >>> model(sequence_graph([0, 1, 2])).logit8.shape
    torch.Size([3, 8])
    """

    spec = SEQUENCE_SPEC

    def __init__(self, width: int, hidden: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(width, hidden)
        self.read = nn.Linear(hidden, 8 + 4 + 1)

    def forward(self, embedding: Embedding, graph: GraphLike) -> ResidueScores:  # noqa: ARG002 (the interface of heads)
        """Read the residues of `graph`."""
        found = self.read(F.silu(self.up(self.dropout(embedding.node))))
        logit8, torsion, burial = found.split([8, 4, 1], dim=-1)
        return ResidueScores(logit8, torsion, burial.squeeze(-1))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "states" (cross-entropy), "torsion" and "burial"; see `residue_losses`."""
        if not isinstance(output, ResidueScores):
            raise InputError(f"learning a SequenceHead needs ResidueScores, found {type(output).__name__}")
        return residue_losses(output, as_sequence_graph(graph))

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return the shares "q8" and "q3" of residues with a known label that are right."""
        labelled = as_sequence_graph(graph)
        if not isinstance(output, ResidueScores) or labelled.states8 is None or labelled.states3 is None:
            raise InputError("measuring a SequenceHead needs ResidueScores and labels")
        known8, known3 = labelled.states8 >= 0, labelled.states3 >= 0
        right8 = output.logit8.argmax(-1)[known8] == labelled.states8[known8]
        right3 = marginal_log3(output.logit8).argmax(-1)[known3] == labelled.states3[known3]
        return {"q8": float(right8.double().mean()), "q3": float(right3.double().mean())}


def as_sequence_graph(graph: GraphLike) -> SequenceGraph:
    """Return the graph if it is a `SequenceGraph`, else raise."""
    if not isinstance(graph, SequenceGraph):
        raise InputError(f"the sequence models read a SequenceGraph, found {type(graph).__name__}; use sequence_graph")
    return graph


def marginal_log3(logit8: Tensor) -> Tensor:
    """Return the logarithms of the probabilities of helix, strand and coil [N, 3]: sums over the eight states.

    Examples
    --------
    >>> marginal_log3(torch.zeros(1, 8)).exp()
    tensor([[0.3750, 0.2500, 0.3750]])
    """
    log8 = F.log_softmax(logit8, dim=-1)
    groups = [np.flatnonzero(state == STATES3_OF_8).tolist() for state in range(3)]
    return torch.stack([log8[:, group].logsumexp(dim=-1) for group in groups], dim=-1)


def residue_losses(output: ResidueScores, graph: SequenceGraph) -> dict[str, Tensor]:
    """Return the losses of every residue's predictions, each a mean over the residues that have the label.

    Parameters
    ----------
    output : ResidueScores
    graph : SequenceGraph
        With labels. A residue with one of eight states counts for these, one with three states for the sum of the
        eight that make the three, so that sets of both kinds teach one output.

    Returns
    -------
    dict of str to Tensor
        "states": cross-entropy; "torsion": squared distance on the unit circle, phi and psi; "burial": squared error.
    """
    if graph.states8 is None or graph.states3 is None or graph.torsions is None or graph.burial is None:
        raise InputError("learning the residues needs a SequenceGraph with states8, states3, torsions and burial")
    only3 = (graph.states8 < 0) & (graph.states3 >= 0)
    total = F.cross_entropy(output.logit8, graph.states8, ignore_index=-1, reduction="sum")
    log3 = marginal_log3(output.logit8)
    total = total + F.nll_loss(log3, graph.states3.masked_fill(~only3, -1), ignore_index=-1, reduction="sum")
    count = ((graph.states8 >= 0) | only3).sum()

    known = ~torch.isnan(graph.torsions)
    angle = graph.torsions.nan_to_num()
    target = torch.stack([angle.sin(), angle.cos()], dim=-1)
    off = (output.torsion.unflatten(-1, (2, 2)) - target).square().sum(-1)
    has_burial = ~torch.isnan(graph.burial)
    off_burial = (output.burial - graph.burial.nan_to_num()).square()
    return {
        "states": total / count.clamp(min=1),
        "torsion": (off * known).sum() / known.sum().clamp(min=1),
        "burial": (off_burial * has_burial).sum() / has_burial.sum().clamp(min=1),
    }
