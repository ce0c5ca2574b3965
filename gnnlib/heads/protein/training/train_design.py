"""Train inverse folding; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.protein.training.train_design --seed 0 --out gnnlib/weights/protein-design

reads the chains of the split "train" (with a backbone, and C-alpha traces whose backbone is rebuilt), keeps the weights
that recover most of the split "val", measures on "test" and TS50, and writes weights and card. With ``--minutes`` a run
ends after so long and is continued by the same command with ``--resume``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Encoder, GraphModel, seeded_parameters
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.design_backbone import fit_peptide
from gnnlib.heads.protein.graphs.design_graph import (
    DESIGN_SPEC,
    NUM_AMINO_ACIDS,
    DesignGraph,
    design_graph,
    prepare_chain,
)
from gnnlib.heads.protein.networks.design_head import DesignHead, RefiningModel, design_head
from gnnlib.heads.protein.residues import sequence_indices
from gnnlib.heads.protein.scores.design_scores import fit_temperature, fix_residues, measure_recovery
from gnnlib.seeding import spawn_seeds
from gnnlib.training import FitConfig, FitResult
from gnnlib.training.command import Course, start_training, tell_card, training_parser
from gnnlib.training.provenance import new_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gnnlib.encoder import Card
    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.heads.protein.graphs.design_graph import DesignInput
    from gnnlib.typing import FloatArray

__all__ = ["PRESETS", "DesignBatches", "Preset", "build_model", "main", "prepare_split"]


@dataclass(frozen=True)
class Preset:
    """Size of the model and course of the training.

    Parameters
    ----------
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    residues : int
        Residues of a batch, at most, unless one chain is longer.
    fit : FitConfig
    noise_angstrom : float
        Standard deviation of the noise on N, CA and C.
    keep_edges : tuple of two floats
        Range of the share of the edges that a batch keeps.
    """

    width: int
    edge_width: int
    depth: int
    residues: int
    fit: FitConfig
    noise_angstrom: float = 0.03
    keep_edges: tuple[float, float] = (0.7, 1.0)


_FIT = FitConfig(
    epochs=20,
    learning_rate=2e-3,
    warmup_steps=300,
    weight_decay=0.03,
    ema_decay=0.998,
    monitor="recovery",
    mode="max",
    checkpoint_every=250,
)

#: "small" is what ships: half an hour on one core. "tiny" is for tests.
PRESETS = {
    "small": Preset(108, 56, 4, 600, _FIT),
    "tiny": Preset(16, 8, 1, 300, FitConfig(epochs=2, monitor="recovery", mode="max")),
}


class DesignBatches:
    """Chains in batches of about equal cost, in a new order every epoch.

    A training batch is blank (nothing of the sequence is known), asks the model to refine its own answer, or has a random
    share of its residues fixed to the native amino acid.

    Parameters
    ----------
    chains : sequence of DesignInput
    residues : int
        Residues of a batch, at most, unless one chain is longer.
    preset : Preset, optional
        Noise and dropped edges; without it the batches are exact and in order.
    seed : int
        Of everything random.
    """

    def __init__(
        self, chains: Sequence[DesignInput], residues: int, preset: Preset | None = None, seed: int = 0
    ) -> None:
        self.chains, self.residues, self.preset, self.seed = chains, residues, preset, seed

    def __len__(self) -> int:
        # a fixed number, so that the schedule knows the length of an epoch whatever the order packs
        return max(1, round(sum(map(len, self.chains)) / self.residues))

    def __call__(self, epoch: int) -> Iterator[DesignGraph]:
        """Yield the batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        order = np.arange(len(self.chains)) if self.preset is None else rng.permutation(len(self.chains))
        for batch in self._pack(order.tolist()):
            if self.preset is None:
                yield design_graph(batch)
                continue
            low, high = self.preset.keep_edges
            graph = design_graph(
                batch, noise_angstrom=self.preset.noise_angstrom, keep_edges=rng.uniform(low, high), rng=rng
            )
            yield _ask(graph, rng)

    def _pack(self, order: list[int]) -> Iterator[list[DesignInput]]:
        batch: list[DesignInput] = []
        size = 0
        for number in order:
            chain = self.chains[number]
            if batch and size + len(chain) > self.residues:
                yield batch
                batch, size = [], 0
            batch.append(chain)
            size += len(chain)
        yield batch


def _ask(graph: DesignGraph, rng: np.random.Generator) -> DesignGraph:
    """Choose what the model is told of the sequence, and asked for."""
    kind = rng.random()
    if kind < 0.25:
        graph.refine = True
    elif kind < 0.4 and graph.label is not None:
        label = graph.label.numpy()
        is_fixed = (rng.random(len(label)) < rng.random()) & (label >= 0)
        free = np.where(is_fixed, -1, label)  # an answer that is given needs no learning
        if (free >= 0).any():
            graph = fix_residues(graph, np.where(is_fixed, label, NUM_AMINO_ACIDS))
            graph.label = torch.from_numpy(free)
    return graph


def prepare_split(chains: Sequence[TrainingChain], peptide: FloatArray) -> list[DesignInput]:
    """Prepare chains for `DesignBatches`; those of fewer than ten residues are left out."""
    return [
        prepare_chain(chain.structure(), peptide, sequence_indices(chain.sequence))
        for chain in chains
        if chain.num_residues >= 10
    ]


def build_model(preset: Preset, peptide: FloatArray, *, seed: int = 0) -> GraphModel:
    """Build an untrained model."""
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [DESIGN_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        head = DesignHead(preset.width)
    head.peptide.copy_(torch.from_numpy(peptide))
    return GraphModel(encoder, head)


def _load(split: str) -> list[TrainingChain]:
    traces = [] if split == "ts50" else load_chains(split, atoms="ca")
    return load_chains(split) + traces


def run(name: str, out: Path, course: Course) -> Card | None:
    """Train, measure and write one model; return its card, or None when time ran out before.

    Parameters
    ----------
    name : {"small", "tiny"}
    out : path
        Weights and card, without suffix.
    course : Course
        Where, with which seed, and for how long.
    """
    preset = PRESETS[name]
    train = _load("train")
    peptide = fit_peptide((chain.structure().coords_angstrom, chain.structure().segment) for chain in train)
    model = build_model(preset, peptide, seed=course.seed)
    result = _train(model, train, preset, course)
    if result.stopped_by != "epochs":
        return None
    splits = {split: prepare_split(load_chains(split), peptide) for split in ("val", "test", "ts50")}
    fit_temperature(model, splits["val"])
    metrics = {
        f"{key} ({split})": round(value, 4)
        for split, chains in splits.items()
        for key, value in measure_recovery(model, chains).items()
    }
    residues = sum(chain.num_residues for chain in train)
    model.card = new_card(
        out,
        purpose="proposes an amino acid for every residue of a backbone or C-alpha trace",
        command=f"python -m {__spec__.name} --preset {name}",
        data=_DATA.format(count=len(train), residues=residues),
        seed=course.seed,
        seconds=result.seconds,
        metrics=metrics,
    )
    model.save(out)
    return model.card


_DATA = (
    "{count} chains of {residues} residues, split 'train' of the distilled PDB chains (30 % identity clusters, none near "
    "val, test or TS50). Bias: half of the chains are shorter than 100 residues; chains were taken out of their complexes; "
    "723 are C-alpha traces whose N and C were rebuilt; O and CB are placed by ideal geometry everywhere."
)


def _train(model: GraphModel, train: Sequence[TrainingChain], preset: Preset, course: Course) -> FitResult:
    peptide = design_head(model).peptide.double().numpy()
    return course.fit(
        RefiningModel(model),
        DesignBatches(prepare_split(train, peptide), preset.residues, preset, course.seed),
        val=DesignBatches(prepare_split(load_chains("val")[::2], peptide), preset.residues),
        config=preset.fit,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = training_parser(__spec__.name, "Train inverse folding.", ("small", "tiny"), runs="runs/protein")
    chosen = parser.parse_args(arguments)
    start_training()
    return tell_card(run(chosen.preset, chosen.out, Course.from_options(chosen, f"design-{chosen.preset}")))


if __name__ == "__main__":
    sys.exit(main())
