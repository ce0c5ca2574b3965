"""Train the judge of models; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.protein.training.train_quality --seed 0 --out gnnlib/weights/protein-quality

makes decoys of kinds 1 to 4 from chains of the splits "train" and "val" (cached under ``runs/protein``), trains, measures
on decoys of the split "test" and on real pairs of conformers, and writes weights and card. With ``--minutes`` a run ends
after so long and is continued by the same command with ``--resume``.
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
from gnnlib.heads.protein.graphs.quality_graph import QUALITY_SPEC, QualityGraph, prepare_model, quality_graph
from gnnlib.heads.protein.networks.quality_head import QualityHead
from gnnlib.heads.protein.networks.quality_readout import fit_readout
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.residues import sequence_indices
from gnnlib.heads.protein.scores.quality_scores import judge, measure_quality
from gnnlib.heads.protein.training.decoy_sets import DecoyPlan, make_decoys
from gnnlib.heads.protein.training.decoys import load_conformers
from gnnlib.seeding import spawn_seeds
from gnnlib.training import FitConfig, FitResult
from gnnlib.training.command import Course, start_training, tell_card, training_parser
from gnnlib.training.provenance import new_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gnnlib.encoder import Card
    from gnnlib.heads.protein.training.decoys import Decoy
    from gnnlib.typing import FloatArray

__all__ = ["PRESETS", "Preset", "QualityBatches", "build_model", "main"]


@dataclass(frozen=True)
class Preset:
    """Size of the model, of the data and of the training.

    Parameters
    ----------
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    residues : int
        Residues of a batch, at most, unless one model is longer.
    plans : tuple of DecoyPlan
        The decoys of "train", "val" and "test".
    fit : FitConfig
    noise_angstrom : float
        Standard deviation of the noise on the atoms.
    """

    width: int
    edge_width: int
    depth: int
    residues: int
    plans: tuple[DecoyPlan, DecoyPlan, DecoyPlan]
    fit: FitConfig
    noise_angstrom: float = 0.05


_READOUT = 1500

_FIT = FitConfig(
    epochs=3,
    learning_rate=2e-3,
    warmup_steps=200,
    weight_decay=0.03,
    ema_decay=0.997,
    loss_weights={"lddt": 1.0, "gdt_ts": 0.3},
    monitor="lddt",
    checkpoint_every=500,
)

#: "small" is what ships: five minutes on one core. "tiny" is for tests.
PRESETS = {
    "small": Preset(64, 32, 4, 600, (DecoyPlan("train", 7000), DecoyPlan("val", 400), DecoyPlan("test", 800)), _FIT),
    "tiny": Preset(
        16, 8, 1, 400, (DecoyPlan("train", 12), DecoyPlan("val", 6), DecoyPlan("test", 6)), FitConfig(epochs=2)
    ),
}


class QualityBatches:
    """Decoys in batches of about equal cost, in a new order every epoch.

    Parameters
    ----------
    decoys : sequence of Decoy
    peptide : array [26, 6]
        Coefficients that place N and C.
    residues : int
        Residues of a batch, at most, unless one model is longer.
    noise_angstrom : float, default 0
        Noise on the atoms; without it the order is that of `decoys`, too.
    seed : int
        Of order and noise.
    """

    def __init__(
        self, decoys: Sequence[Decoy], peptide: FloatArray, residues: int, noise_angstrom: float = 0.0, seed: int = 0
    ) -> None:
        self.decoys, self.residues, self.noise_angstrom, self.seed = decoys, residues, noise_angstrom, seed
        self.inputs = [
            prepare_model(Structure.from_arrays(decoy.ca, decoy.sequence), peptide, sequence_indices(decoy.sequence))
            for decoy in decoys
        ]

    def __len__(self) -> int:
        return max(1, round(sum(map(len, self.inputs)) / self.residues))

    def __call__(self, epoch: int) -> Iterator[QualityGraph]:
        """Yield the batches of one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        is_training = self.noise_angstrom > 0
        order = rng.permutation(len(self.inputs)) if is_training else np.arange(len(self.inputs))
        chosen: list[int] = []
        size = 0
        for number in order.tolist():
            if chosen and size + len(self.inputs[number]) > self.residues:
                yield self._batch(chosen, rng)
                chosen, size = [], 0
            chosen.append(number)
            size += len(self.inputs[number])
        yield self._batch(chosen, rng)

    def _batch(self, chosen: list[int], rng: np.random.Generator) -> QualityGraph:
        graph = quality_graph([self.inputs[i] for i in chosen], noise_angstrom=self.noise_angstrom, rng=rng)
        lddt = np.concatenate([self.decoys[i].lddt for i in chosen])
        graph.lddt = torch.from_numpy(lddt.astype(np.float32))
        graph.gdt_ts = torch.tensor([self.decoys[i].gdt_ts for i in chosen], dtype=torch.float32)
        return graph


def build_model(preset: Preset, peptide: FloatArray, *, seed: int = 0) -> GraphModel:
    """Build an untrained model."""
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [QUALITY_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        head = QualityHead(preset.width)
    head.peptide.copy_(torch.from_numpy(peptide))
    return GraphModel(encoder, head)


def run(name: str, out: Path, course: Course) -> Card | None:
    """Make decoys, train, measure and write one model; return its card, or None when time ran out before.

    Parameters
    ----------
    name : {"small", "tiny"}
    out : path
        Weights and card, without suffix.
    course : Course
        Where, with which seed, and for how long; the decoys lie beside its folder.
    """
    preset = PRESETS[name]
    decoys = {plan.split: make_decoys(plan, course.folder.parent / "decoys") for plan in preset.plans}
    chains = [chain.structure() for chain in load_chains("train")]
    peptide = fit_peptide((chain.coords_angstrom, chain.segment) for chain in chains)
    model = build_model(preset, peptide, seed=course.seed)
    result = _train(model, decoys, preset, peptide, course)
    if result.stopped_by != "epochs":
        return None
    fit_readout(model, QualityBatches(decoys["train"][:_READOUT], peptide, preset.residues)(1))
    metrics: dict[str, float] = {}
    for split, models in {"test decoys": decoys["test"], "real conformers": load_conformers()}.items():
        lddt, gdt = judge(model, models)
        metrics |= {f"{key} ({split})": round(value, 4) for key, value in measure_quality(models, lddt, gdt).items()}
    model.card = new_card(
        out,
        purpose="estimates lDDT of every residue and GDT_TS of a protein model without its native",
        command=f"python -m {__spec__.name} --preset {name}",
        data=_DATA.format(count=len(decoys["train"])),
        seed=course.seed,
        seconds=result.seconds,
        metrics=metrics,
    )
    model.save(out)
    return model.card


_DATA = (
    "{count} generated decoys (turned torsions, noisy distance maps, motions of elastic networks, threading) of chains of "
    "the split 'train' of the distilled PDB chains; input is CA positions and sequence. Bias: no model of a structure "
    "prediction server was seen, so figures say nothing of CASP; chains were taken out of their complexes; half are "
    "shorter than 100 residues."
)


def _train(
    model: GraphModel, decoys: dict[str, list[Decoy]], preset: Preset, peptide: FloatArray, course: Course
) -> FitResult:
    return course.fit(
        model,
        QualityBatches(decoys["train"], peptide, preset.residues, preset.noise_angstrom, course.seed),
        val=QualityBatches(decoys["val"], peptide, preset.residues),
        config=preset.fit,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = training_parser(__spec__.name, "Train the judge of models.", ("small", "tiny"), runs="runs/protein")
    chosen = parser.parse_args(arguments)
    start_training()
    return tell_card(run(chosen.preset, chosen.out, Course.from_options(chosen, f"quality-{chosen.preset}")))


if __name__ == "__main__":
    sys.exit(main())
