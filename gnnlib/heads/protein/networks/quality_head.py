"""The head that judges models: lDDT of every residue, GDT_TS of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.protein.design_backbone import PEPTIDE_SHAPE
from gnnlib.heads.protein.graphs.quality_graph import QUALITY_SPEC, QualityGraph
from gnnlib.heads.protein.scores.metrics_maps import pearson

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["QualityHead", "QualityScores"]

_LARGEST = 5.0
"""A linear readout would else be sure of traces that are like no decoy."""


@dataclass
class QualityScores(Output):
    """What the head says of a graph; the logistic function makes numbers in (0, 1) of it.

    Attributes
    ----------
    lddt_logit : Tensor [N]
    gdt_logit : Tensor [B]
    """

    lddt_logit: Tensor
    gdt_logit: Tensor


class QualityHead(Head):
    """Judges residues and models.

    Perceptrons read the embedding. A linear readout then joins what they say with the node features themselves, apart for
    the differences between the residues of one model and for the differences between models: the first are small and
    would drown in the second. The readout is fitted in closed form after training (`fit_readout`).

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    dropout : float in [0, 1), default 0.1

    Attributes
    ----------
    peptide : Tensor [26, 6]
        Coefficients that place N and C around a C-alpha trace.

    Examples
    --------
    >>> QualityHead(16).config()
    {'width': 16}
    """

    spec = QUALITY_SPEC

    def __init__(self, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.residue = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.whole = nn.Sequential(nn.Dropout(dropout), nn.Linear(width + 1, width), nn.SiLU(), nn.Linear(width, 1))
        self.within = nn.Linear(self.spec.node_dim + 1, 1, bias=False)
        self.between = nn.Linear(self.spec.node_dim + 2, 2)
        self._start_readout()
        self.peptide: Tensor
        self.register_buffer("peptide", torch.zeros(PEPTIDE_SHAPE))

    def _start_readout(self) -> None:
        """Let the readout pass on what the perceptrons say; `fit_readout` gives it its weights after training."""
        with torch.no_grad():
            for part in (self.within.weight, self.between.weight, self.between.bias):
                part.zero_()
            self.within.weight[0, -1] = 1.0
            self.between.weight[0, -2] = 1.0
            self.between.weight[1, -1] = 1.0
        self.within.requires_grad_(requires_grad=False)
        self.between.requires_grad_(requires_grad=False)

    def features(self, embedding: Embedding, graph: GraphLike) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the readout sees.

        Returns
        -------
        residues : Tensor [N, F + 1]
            Node features and the perceptron's logit, less their means over the model.
        models : Tensor [B, F + 2]
            These means, and the perceptron's logit of GDT_TS.
        batch : Tensor [N]
            Number of each residue's model.
        """
        logit = self.residue(embedding.node).squeeze(-1)
        models = embedding.graph.shape[0]
        batch = getattr(graph, "batch", None)
        if batch is None:
            batch = torch.zeros(len(logit), dtype=torch.int64, device=logit.device)
        known = torch.cat([torch.as_tensor(graph.x), logit[:, None]], dim=1)
        total = known.new_zeros(models, known.shape[1]).index_add(0, batch, known)
        mean = total / torch.bincount(batch, minlength=models).clamp(min=1)[:, None]
        whole = self.whole(torch.cat([embedding.graph, mean[:, -1:]], dim=1))
        return known - mean.index_select(0, batch), torch.cat([mean, whole], dim=1), batch

    def forward(self, embedding: Embedding, graph: GraphLike) -> QualityScores:
        """Judge the residues and models of `graph`."""
        residues, models, batch = self.features(embedding, graph)
        level = self.between(models)
        logit = self.within(residues).squeeze(-1) + level[:, 0].index_select(0, batch)
        return QualityScores(logit.clamp(-_LARGEST, _LARGEST), level[:, 1].clamp(-_LARGEST, _LARGEST))

    def losses(self, output: Output, graph: GraphLike) -> dict[str, Tensor]:
        """Return "lddt" and "gdt_ts": cross-entropies against the true values as shares, less their lowest value."""
        scores, lddt, gdt = _scores_and_labels(output, graph)
        known = torch.isfinite(lddt)
        return {
            "lddt": _divergence(scores.lddt_logit[known], lddt[known]),
            "gdt_ts": _divergence(scores.gdt_logit, gdt),
        }

    def metrics(self, output: Output, graph: GraphLike) -> dict[str, float]:
        """Return "lddt_pearson" over the residues of the batch and "lddt_error", the mean absolute error."""
        scores, lddt, _ = _scores_and_labels(output, graph)
        guess = torch.sigmoid(scores.lddt_logit)
        known = torch.isfinite(lddt)
        error = float((guess - lddt)[known].abs().mean())
        return {"lddt_pearson": pearson(guess.cpu().numpy(), lddt.cpu().numpy()), "lddt_error": error}


def _divergence(logit: Tensor, share: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of two coins: weighs errors near 0 and 1 more than squares do."""
    least = torch.special.entr(share) + torch.special.entr(1.0 - share)
    return F.binary_cross_entropy_with_logits(logit, share) - least.mean()


def _scores_and_labels(output: Output, graph: GraphLike) -> tuple[QualityScores, Tensor, Tensor]:
    if not isinstance(output, QualityScores) or not isinstance(graph, QualityGraph):
        raise InputError("learning a QualityHead needs QualityScores and a QualityGraph")
    if graph.lddt is None or graph.gdt_ts is None:
        raise InputError("learning a QualityHead needs a graph with `lddt` [N] and `gdt_ts` [B]")
    return output, graph.lddt, graph.gdt_ts
