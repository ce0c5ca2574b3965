"""How good the sequence model is: shares of right states, precision of contacts, errors of torsions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.heads.protein.graphs.sequence_graph import join_sequences, sequence_graph
from gnnlib.heads.protein.networks.pair_head import PairScores
from gnnlib.heads.protein.networks.sequence_head import ResidueScores, marginal_log3
from gnnlib.heads.protein.scores.metrics_maps import contact_precision
from gnnlib.heads.protein.training.pair_data import choose_given, give

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.sequences import LabelledSequence
    from gnnlib.heads.protein.training.pair_data import PairChain
    from gnnlib.heads.protein.training.sequence_data import ResidueRecord
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["contact_scores", "given_pairs", "mean_precision", "measure_states", "measure_torsions", "residue_scores"]


@torch.inference_mode()
def residue_scores(model: GraphModel, chains: Sequence[IntArray]) -> ResidueScores:
    """Return what a model with a `SequenceHead` or a `PairHead` says of the residues of some chains, joined."""
    graph = join_sequences(chains)
    head = getattr(model.head, "residue", model.head)
    scores = head(model.encoder(graph, model.head.spec.name), graph)
    if not isinstance(scores, ResidueScores):
        raise TypeError(f"the head must return ResidueScores, found {type(scores).__name__}")
    return scores


def measure_states(model: GraphModel, chains: Sequence[LabelledSequence | ResidueRecord]) -> dict[str, float]:
    """Return "q8" and "q3" over all residues with a label, in per cent; three states by their summed probability."""
    right8, known8, right3, known3 = 0, 0, 0, 0
    for chain in chains:
        logit8 = residue_scores(model, [chain.residues]).logit8
        states8, states3 = logit8.argmax(-1).numpy(), marginal_log3(logit8).argmax(-1).numpy()
        has8, has3 = chain.states8 >= 0, chain.states3 >= 0
        right8, known8 = right8 + int((states8 == chain.states8)[has8].sum()), known8 + int(has8.sum())
        right3, known3 = right3 + int((states3 == chain.states3)[has3].sum()), known3 + int(has3.sum())
    return {"q8": 100.0 * right8 / max(1, known8), "q3": 100.0 * right3 / max(1, known3)}


def measure_torsions(model: GraphModel, records: Sequence[ResidueRecord]) -> dict[str, float]:
    """Return the mean absolute errors "phi" and "psi" in degrees."""
    errors: list[list[FloatArray]] = [[], []]
    for record in records:
        found = residue_scores(model, [record.residues]).torsion.double().numpy()
        for number in range(2):
            angle = np.arctan2(found[:, 2 * number], found[:, 2 * number + 1])
            off = np.abs((angle - record.torsions[:, number] + np.pi) % (2 * np.pi) - np.pi)
            errors[number].append(np.degrees(off[~np.isnan(off)]))
    return {name: float(np.concatenate(parts).mean()) for name, parts in zip(("phi", "psi"), errors, strict=True)}


@torch.inference_mode()
def contact_scores(model: GraphModel, chain: PairChain, *, share: float = 0.0, seed: int = 0) -> FloatArray:
    """Return the contact probabilities [L, L] of one chain, given a share of its CA distances."""
    graph = sequence_graph(chain.residues)
    if share:
        give(graph, [chain.ca], share, np.random.default_rng([seed, len(chain)]))
    scores = model(graph)
    if not isinstance(scores, PairScores):
        raise TypeError(f"the model must return PairScores, found {type(scores).__name__}")
    return scores.contact[0].sigmoid().double().numpy()


def given_pairs(chain: PairChain, share: float, seed: int = 0) -> FloatArray:
    """Return the distances [L, L] that `contact_scores` gives for the same share and seed; 0 for the others."""
    distances = np.linalg.norm(chain.ca[:, None] - chain.ca, axis=-1)
    return np.where(choose_given(len(chain), share, np.random.default_rng([seed, len(chain)])), distances, 0.0)


def mean_precision(
    chains: Sequence[PairChain],
    score: Callable[[PairChain], FloatArray],
    *,
    share: float = 0.0,
    seed: int = 0,
    top: float = 0.2,
    min_separation: int = 12,
) -> float:
    """Return the mean over chains of the precision of the best contacts, in per cent.

    Parameters
    ----------
    chains : sequence of PairChain
    score : function of a PairChain
        Scores [L, L]; higher means contact.
    share, seed : float, int
        Pairs that `given_pairs` names for these do not count: they were told.
    top, min_separation : float, int
        As in `gnnlib.heads.protein.scores.metrics_maps.contact_precision`.
    """
    values = []
    for chain in chains:
        truth = np.linalg.norm(chain.cb[:, None] - chain.cb, axis=-1)
        if share:
            truth[given_pairs(chain, share, seed) > 0] = np.nan
        values.append(contact_precision(score(chain), truth, top=top, min_separation=min_separation))
    return 100.0 * float(np.nanmean(values))
