"""Train the model that reads secondary structure and torsions off CA positions.

.. code-block:: text

    python -m gnnlib.heads.protein.train backbone --preset deep --seed 0 --out gnnlib/weights/protein-backbone

reads the training chains, adds noise to half of them in every epoch, trains, measures on the other splits, and writes
weights and card. ``--minutes`` ends a run early, ``--resume`` goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import platform
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Card, Encoder, GraphModel, seeded_parameters, tune_cpu
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.graph import PROTEIN_SPEC
from gnnlib.heads.protein.head import BackboneHead
from gnnlib.heads.protein.scores.metrics_states import q3, q8
from gnnlib.heads.protein.structure_models import predict_backbone
from gnnlib.heads.protein.training.backbone_batches import (
    RESIDUES_PER_BATCH,
    BackboneBatches,
    LabelledTrace,
    label_chain,
)
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.stop import MaxRuntime
from gnnlib.training import FitConfig, FitResult, fit
from gnnlib.training.provenance import source_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.protein.chains import TrainingChain

__all__ = [
    "PRESETS",
    "BackboneBatches",
    "Preset",
    "LabelledTrace",
    "build_model",
    "label_chain",
    "main",
    "measure_model",
    "train_model",
]

_logger = logging.getLogger(__name__)

WIDTH, DEPTH, EDGE_WIDTH = 64, 4, 32
CA_ONLY_WEIGHT = 1.0


@dataclass(frozen=True)
class Preset:
    """How to train.

    Parameters
    ----------
    fit : FitConfig
    deep : bool
        Of the `BackboneHead`.
    noise_discount : float
        The torsions of a trace with noise s count 1 / (1 + discount s).
    """

    fit: FitConfig
    deep: bool
    noise_discount: float


_FIT = FitConfig(
    epochs=10,
    learning_rate=3e-3,
    warmup_steps=100,
    loss_weights={"states8": 1.0, "states3": 1.0, "phi": 1.0, "psi": 1.0},
    ema_decay=0.995,
)

#: "deep" is what ships: a quarter of an hour on one quiet core. "small" leans less on the torsions and takes half of it.
PRESETS = {
    "small": Preset(_FIT, deep=False, noise_discount=0.0),
    "deep": Preset(
        replace(_FIT, epochs=24, loss_weights={"states8": 1.0, "states3": 1.0, "phi": 2.0, "psi": 2.0}),
        deep=True,
        noise_discount=4.0,
    ),
}


def build_model(
    *, seed: int = 0, width: int = WIDTH, depth: int = DEPTH, edge_width: int = EDGE_WIDTH, deep: bool = False
) -> GraphModel:
    """Build an untrained model.

    Examples
    --------
    >>> build_model().encoder.config.width
    64
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder([PROTEIN_SPEC], width=width, depth=depth, edge_width=edge_width, sharing="hard", seed=for_encoder)
    with seeded_parameters(for_head):
        return GraphModel(encoder, BackboneHead(width, deep=deep))


def train_model(  # noqa: PLR0913 (what a run is, and how far it may go)
    model: GraphModel,
    train: Sequence[LabelledTrace],
    val: Sequence[LabelledTrace],
    preset: Preset,
    *,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    minutes: float | None = None,
    progress: bool = False,
) -> FitResult:
    """Fit the model; the weights that are best on `val` stay in it.

    Parameters
    ----------
    model : GraphModel
    train, val : sequence of LabelledTrace
    preset : Preset
        Steps of an epoch are counted here.
    folder : path
        Gets the checkpoint and the log.
    seed : int
    resume : bool
        Go on from the checkpoint, if there is one.
    minutes : float, optional
        Stop after so much time; the checkpoint stays.
    progress : bool
    """
    residues = sum(len(trace.ca) for trace in train)
    mean_excess = np.mean([len(trace.ca) for trace in train]) / 2
    steps = max(1, int(residues / (RESIDUES_PER_BATCH + mean_excess)) - 2)
    return fit(
        model,
        BackboneBatches(train, seed, noise_discount=preset.noise_discount),
        val=BackboneBatches(val, 0, shuffle=False, clean_share=1.0),
        config=replace(preset.fit, steps_per_epoch=steps),
        stop=None if minutes is None else MaxRuntime(60.0 * minutes),
        seed=seed,
        device="cuda" if torch.cuda.is_available() else "cpu",
        progress=progress,
        checkpoint=folder / "checkpoint",
        resume=resume and any(folder.glob("checkpoint*")),
        log=folder / "log.csv",
    )


def measure_model(
    model: GraphModel, chains: Sequence[TrainingChain], *, noise_angstrom: float = 0.0, seed: int = 0
) -> dict[str, float]:
    """Measure a model chain by chain.

    Parameters
    ----------
    model : GraphModel
    chains : sequence of TrainingChain
    noise_angstrom : float, default 0
        Standard deviation of noise added to every CA coordinate.
    seed : int, default 0
        Of the noise.

    Returns
    -------
    dict
        "q3", "q8" over all residues with a label, "phi_mae", "psi_mae" in degrees over all that have the torsion.
    """
    model.eval()
    random = numpy_generator(seed)
    guess, truth, errors = [], [], []
    for chain in chains:
        noise = noise_angstrom * random.standard_normal(chain.ca.shape)
        found = predict_backbone(chain.ca.astype(np.float64) + noise, model=model)
        guess.append(found.states8)
        truth.append(chain.states8)
        angles = np.stack([found.phi_deg, found.psi_deg], axis=1)
        errors.append((angles - np.degrees(label_chain(chain).torsion_rad) + 180.0) % 360.0 - 180.0)
    states = ("".join(guess), "".join(truth))
    known = [np.abs(column[np.isfinite(column)]) for column in np.concatenate(errors).T]
    torsion = {f"{name}_mae": float(e.mean()) for name, e in zip(("phi", "psi"), known, strict=True) if len(e)}
    return {"q3": q3(*states), "q8": q8(*states), **torsion}


def _card_metrics(model: GraphModel) -> dict[str, float]:
    """Measure on every split that took no part in learning; choices were made on "val" alone."""
    tables = {}
    for split in ("val", "test", "ts50"):
        chains = load_chains(split)
        tables[split] = measure_model(model, chains)
        tables[f"{split}, noise 0.5 A"] = measure_model(model, chains, noise_angstrom=0.5)
    return {f"{name} ({split})": round(value, 4) for split, table in tables.items() for name, value in table.items()}


def run(
    out: Path,
    runs: Path,
    *,
    preset_name: str = "small",
    seed: int = 0,
    resume: bool = False,
    minutes: float | None = None,
    progress: bool = False,
) -> Card | None:
    """Train, measure and write one model; return its card, or None when the time ran out before the last epoch.

    Parameters
    ----------
    out : path
        Weights and card, without suffix.
    runs : path
        Folder for checkpoint and log.
    preset_name : {"small", "deep"}
    seed : int
        Of parameters, order and noise.
    resume : bool
        Go on from the checkpoint, if there is one.
    minutes : float, optional
        Limit of this call.
    progress : bool
    """
    train = [label_chain(chain) for chain in load_chains("train")]
    if CA_ONLY_WEIGHT > 0:
        train += [label_chain(chain, CA_ONLY_WEIGHT) for chain in load_chains("train", atoms="ca")]
    val = [label_chain(chain) for chain in load_chains("val")]
    preset = PRESETS[preset_name]
    model = build_model(seed=seed, deep=preset.deep)
    started = time.process_time()
    result = train_model(
        model,
        train,
        val,
        preset,
        folder=runs / f"backbone-{preset_name}-{seed}",
        seed=seed,
        resume=resume,
        minutes=minutes,
        progress=progress,
    )
    _logger.info("stopped at epoch %d of %d; best: %s", result.epochs, preset.fit.epochs, result.best)
    if result.epochs < preset.fit.epochs:
        return None
    model.cpu()
    model.card = Card(
        out.name,
        purpose="reads secondary structure (8 states of DSSP) and phi, psi off CA positions, also noisy ones",
        command=f"python -m gnnlib.heads.protein.train backbone --preset {preset_name} --seed {seed} --out {out.as_posix()}",
        data=_DATA,
        seed=seed,
        seconds=round(result.seconds, 1),
        machine=f"{platform.machine()}, {torch.get_num_threads()} thread(s); last call {time.process_time() - started:.0f} CPU s",
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        metrics=_card_metrics(model),
    )
    model.save(out)
    return model.card


_DATA = (
    "train split of the distilled protein chains: 1,965 with backbone (186,376 residues, DSSP 4), of which 1,566 are short "
    "(20 to 100 residues) with O rebuilt from peptide geometry, and 723 with CA only (162,350 residues, DSSP of BioJava, "
    "states alone); Gaussian noise of up to 0.8 A a coordinate on half of them in every epoch; clusters of 30 % sequence "
    "identity keep validation, test and TS50 apart; choices were made on the validation split"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m gnnlib.heads.protein.train backbone", description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small", help="what to lean on")
    parser.add_argument("--out", type=Path, required=True, help="weights and card to write, without suffix")
    parser.add_argument("--runs", type=Path, default=Path("runs/protein"), help="folder for checkpoint and log")
    parser.add_argument("--seed", type=int, default=0, help="of parameters, order and noise")
    parser.add_argument("--minutes", type=float, help="end after so much time; go on later with --resume")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    parser.add_argument("--progress", action="store_true", help="show a progress bar")
    chosen = parser.parse_args(arguments)
    tune_cpu()
    card = run(
        chosen.out,
        chosen.runs,
        preset_name=chosen.preset,
        seed=chosen.seed,
        resume=chosen.resume,
        minutes=chosen.minutes,
        progress=chosen.progress,
    )
    for name, value in ({} if card is None else card.metrics).items():
        _logger.info("%s: %g", name, value)
    return 0
