"""How well inverse folding recovers native sequences, and the temperature that makes its probabilities honest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from gnnlib.heads.protein.graphs.design_graph import (
    CONTEXT_DIM,
    NUM_AMINO_ACIDS,
    DesignGraph,
    DesignInput,
    design_graph,
    prepare_chain,
)
from gnnlib.heads.protein.networks.design_head import amino_acid_scores, design_head, refine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["design_probabilities", "fit_temperature", "fix_residues", "measure_recovery", "score_graph"]


def fix_residues(graph: DesignGraph, sequence: IntArray) -> DesignGraph:
    """Return the graph with amino acids given as certain context.

    Parameters
    ----------
    graph : DesignGraph
    sequence : int array [N]
        Index of the amino acid; 20 where the residue is free.
    """
    fixed = np.flatnonzero(sequence < NUM_AMINO_ACIDS)
    context = torch.zeros(len(sequence), CONTEXT_DIM)
    context[fixed, sequence[fixed]] = 1.0
    context[fixed, -1] = 1.0
    return graph.with_columns(context)


def design_probabilities(model: GraphModel, structure: Structure, fixed: IntArray, *, passes: int = 3) -> FloatArray:
    """Return the probability of each amino acid at each residue [L, 20].

    Parameters
    ----------
    model : GraphModel
        With a `DesignHead`.
    structure : Structure
        Its sequence is not read.
    fixed : int array [L]
        Amino acids that are given, 20 elsewhere.
    passes : int, default 3
        See `score_graph`.
    """
    head = design_head(model)
    blank = np.full(structure.num_residues, NUM_AMINO_ACIDS)
    chain = prepare_chain(structure, head.peptide.double().numpy(), blank)
    graph = fix_residues(design_graph([chain]), fixed)
    logit = score_graph(model.eval(), graph, passes).double() / float(head.temperature)
    shares: FloatArray = torch.softmax(logit, dim=1).numpy()
    known = np.flatnonzero(fixed < NUM_AMINO_ACIDS)
    shares[known] = 0.0
    shares[known, fixed[known]] = 1.0
    return shares


@torch.inference_mode()
def score_graph(model: GraphModel, graph: DesignGraph, passes: int = 3) -> Tensor:
    """Return the logits [N, 20] of the last of some passes, each of which reads the answer of the one before.

    Parameters
    ----------
    model : GraphModel
        With a `DesignHead`, in evaluation mode.
    graph : DesignGraph
    passes : int >= 1, default 3
    """
    output = amino_acid_scores(model, graph)
    for _ in range(passes - 1):
        output = amino_acid_scores(model, refine(graph, output))
    return output.logit


def _logits(model: GraphModel, chains: Sequence[DesignInput], passes: int) -> list[tuple[Tensor, Tensor]]:
    """Return logits and labels of each chain, over residues with a label."""
    model.eval()
    pairs = []
    for chain in chains:
        known = np.flatnonzero(chain.sequence < NUM_AMINO_ACIDS)
        if known.size:
            logit = score_graph(model, design_graph([chain]), passes)
            pairs.append((logit[known], torch.from_numpy(chain.sequence[known])))
    return pairs


def measure_recovery(model: GraphModel, chains: Sequence[DesignInput], passes: int = 3) -> dict[str, float]:
    """Return mean and median recovery over chains, recovery over residues, and perplexity over residues.

    Parameters
    ----------
    model : GraphModel
    chains : sequence of DesignInput
        With native sequences.
    passes : int, default 3
        See `score_graph`.
    """
    temperature = float(design_head(model).temperature)
    pairs = _logits(model, chains, passes)
    hits = [(logit.argmax(dim=1) == label).float().mean().item() for logit, label in pairs]
    every, labels = torch.cat([logit for logit, _ in pairs]), torch.cat([label for _, label in pairs])
    return {
        "mean recovery": float(np.mean(hits)),
        "median recovery": float(np.median(hits)),
        "residue recovery": float((every.argmax(dim=1) == labels).float().mean()),
        "perplexity": float(torch.exp(F.cross_entropy(every / temperature, labels))),
    }


def fit_temperature(model: GraphModel, chains: Sequence[DesignInput], passes: int = 3) -> float:
    """Set the head's temperature to what gives the lowest cross-entropy on `chains` (C. Guo et al. 2017, ICML).

    Parameters
    ----------
    model : GraphModel
        Changed in place.
    chains : sequence of DesignInput
        Chains that took no part in training.
    passes : int, default 3
        See `score_graph`.
    """
    pairs = _logits(model, chains, passes)
    logit, label = torch.cat([logit for logit, _ in pairs]), torch.cat([label for _, label in pairs])
    grid = np.exp(np.linspace(np.log(0.4), np.log(2.0), 81))
    costs = [float(F.cross_entropy(logit / float(value), label)) for value in grid]
    best = float(grid[int(np.argmin(costs))])
    design_head(model).temperature.fill_(best)
    return best
