"""The head of inverse folding: which amino acid a residue should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.protein.design_backbone import PEPTIDE_SHAPE
from gnnlib.heads.protein.graphs.design_graph import DESIGN_SPEC, DesignGraph

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.encoder.model import GraphModel
    from gnnlib.graphs.schema import GraphLike

__all__ = ["AminoAcidScores", "DesignHead", "RefiningModel", "amino_acid_scores", "design_head", "refine"]


@dataclass
class AminoAcidScores(Output):
    """What the head says of a graph.

    Attributes
    ----------
    logit : Tensor [N, 20]
        Unnormalised logarithm of the probability of each amino acid.
    """

    logit: Tensor


class DesignHead(Head):
    """Scores the twenty amino acids at every residue.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    dropout : float in [0, 1), default 0.05
        Share of the channels that training switches off, before and inside the perceptron.
    smoothing : float in [0, 1), default 0.05
        Share of the label that training spreads over all amino acids.

    Attributes
    ----------
    peptide : Tensor [26, 6]
        Coefficients that place N and C around a bare C-alpha trace.
    temperature : Tensor []
        What logits are divided by to make probabilities; fitted on validation chains after training, since smoothed
        labels leave a model too modest.

    Examples
    --------
    >>> DesignHead(16).config()
    {'width': 16}
    """

    spec = DESIGN_SPEC

    def __init__(self, width: int, dropout: float = 0.05, smoothing: float = 0.05) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.read = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, 20)
        )
        self.peptide: Tensor
        self.temperature: Tensor
        self.register_buffer("peptide", torch.zeros(PEPTIDE_SHAPE))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, embedding: Embedding, graph: GraphLike) -> AminoAcidScores:  # noqa: ARG002 (all is in the nodes)
        """Score the residues of `graph`."""
        return AminoAcidScores(self.read(embedding.node))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "amino_acid", the cross-entropy against the smoothed native sequence, over residues with a label."""
        logit, label = _scores_and_labels(output, graph)
        return {"amino_acid": F.cross_entropy(logit, label, label_smoothing=self.smoothing, ignore_index=-1)}

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "recovery", the share of residues whose native amino acid scores highest, and "entropy_nat"."""
        logit, label = _scores_and_labels(output, graph)
        known = label >= 0
        hits = (logit.argmax(dim=1) == label)[known]
        return {
            "recovery": float(hits.float().mean()),
            "entropy_nat": float(F.cross_entropy(logit[known], label[known])),
        }


def _scores_and_labels(output: Output, graph: GraphLike) -> tuple[Tensor, Tensor]:
    label = getattr(graph, "label", None)
    if not isinstance(output, AminoAcidScores) or not isinstance(label, Tensor):
        raise InputError("learning a DesignHead needs AminoAcidScores and a graph with the int64 tensor `label` [N]")
    return output.logit, label


def design_head(model: GraphModel) -> DesignHead:
    """Return the head of a model that must be one for inverse folding."""
    if not isinstance(model.head, DesignHead):
        raise InputError(f"the model must have a DesignHead, found {type(model.head).__name__}")
    return model.head


def amino_acid_scores(model: nn.Module, graph: GraphLike) -> AminoAcidScores:
    """Run a model that must score amino acids."""
    output = model(graph)
    if not isinstance(output, AminoAcidScores):
        raise InputError(f"the model must return AminoAcidScores, found {type(output).__name__}")
    return output


def refine(graph: DesignGraph, output: AminoAcidScores) -> DesignGraph:
    """Return the graph with what a model has just said of it as context; fixed residues stay."""
    return graph.with_context(torch.softmax(output.logit.detach(), dim=1))


class RefiningModel(nn.Module):
    """A `GraphModel` in training that learns to read its own first answer.

    For a graph that asks for it, the model predicts once without gradients and dropout, and learns from the second
    pass, which has the first one's probabilities as context (T. Chen, R. Zhang and G. Hinton 2023, Analog bits, ICLR,
    "self-conditioning"). In validation every graph is read twice.

    Parameters
    ----------
    model : GraphModel
        With a `DesignHead`.
    """

    def __init__(self, model: GraphModel) -> None:
        super().__init__()
        self.model = model
        self.head = model.head

    def forward(self, graph: DesignGraph) -> Output:
        """Score the residues of `graph`."""
        if graph.refine or not self.training:
            was_training = self.model.training
            with torch.no_grad():
                first = amino_acid_scores(self.model.eval(), graph)
            self.model.train(was_training)
            graph = refine(graph, first)
        return self.model(graph)

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return the head's losses."""
        return self.model.losses(output, graph)
