"""How well the judge of models does: correlations per residue and per model, and what its first choice loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.errors import InputError
from gnnlib.heads.protein.graphs.quality_graph import prepare_model, quality_graph
from gnnlib.heads.protein.networks.quality_head import QualityHead, QualityScores
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.residues import sequence_indices
from gnnlib.heads.protein.scores.metrics_maps import pearson, spearman

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.training.decoys import Decoy
    from gnnlib.typing import FloatArray

__all__ = ["judge", "judge_structure", "measure_quality"]


@torch.inference_mode()
def judge_structure(model: GraphModel, structure: Structure) -> tuple[FloatArray, float]:
    """Return estimated lDDT [L] and GDT_TS of one structure.

    Parameters
    ----------
    model : GraphModel
        With a `QualityHead`.
    structure : Structure
    """
    if not isinstance(model.head, QualityHead):
        raise InputError(f"the model must have a QualityHead, found {type(model.head).__name__}")
    peptide = model.head.peptide.double().numpy()
    prepared = prepare_model(structure, peptide, sequence_indices(structure.sequence))
    output = model.eval()(quality_graph([prepared]))
    if not isinstance(output, QualityScores):
        raise InputError(f"the model must return QualityScores, found {type(output).__name__}")
    lddt = torch.sigmoid(output.lddt_logit).double().numpy()
    return lddt, float(torch.sigmoid(output.gdt_logit)[0])


def judge(model: GraphModel, decoys: Sequence[Decoy]) -> tuple[list[FloatArray], FloatArray]:
    """Return estimated lDDT of each decoy's residues, and estimated GDT_TS of each decoy."""
    found = [judge_structure(model, Structure.from_arrays(decoy.ca, decoy.sequence)) for decoy in decoys]
    return [lddt for lddt, _ in found], np.array([gdt for _, gdt in found])


def measure_quality(decoys: Sequence[Decoy], lddt: Sequence[FloatArray], gdt_ts: FloatArray) -> dict[str, float]:
    """Compare estimates with the truth.

    Parameters
    ----------
    decoys : sequence of Decoy
    lddt : sequence of arrays [L]
        Estimates of each decoy's residues.
    gdt_ts : array [M]
        Estimates of the whole.

    Returns
    -------
    dict of str to float
        Pearson correlation over all residues, and the mean of those within each model; Pearson and Spearman of the mean
        lDDT and of GDT_TS over models.
    """
    true = [decoy.lddt for decoy in decoys]
    within = np.array([pearson(a, b) for a, b in zip(lddt, true, strict=True)])
    means = np.array([part.mean() for part in lddt])
    true_means = np.array([decoy.mean_lddt for decoy in decoys])
    true_gdt = np.array([decoy.gdt_ts for decoy in decoys])
    return {
        "residue pearson": pearson(np.concatenate(lddt), np.concatenate(true)),
        "residue pearson within models": float(np.nanmean(within)),
        "residue error": float(np.nanmean(np.abs(np.concatenate(lddt) - np.concatenate(true)))),
        "lddt pearson": pearson(means, true_means),
        "lddt spearman": spearman(means, true_means),
        "gdt_ts pearson": pearson(gdt_ts, true_gdt),
        "gdt_ts spearman": spearman(gdt_ts, true_gdt),
    }
