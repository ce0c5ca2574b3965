"""Train what reads a sequence: the states of its residues, then the distances of its pairs.

.. code-block:: text

    python -m gnnlib.heads.protein.train_sequence --seed 0 --out gnnlib/weights/protein-sequence

learns in two parts, which `--part` can also run one by one: "residues" trains the encoder with the residue head on three
sets of sequences; "pairs" keeps these weights and trains the pair head on chains of known structure. Choices are made on
the split "val"; CB513 and the split "test" are only measured. With ``--minutes`` a run ends after so long and is continued
by the same command with ``--resume``.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gnnlib.encoder import Card, Encoder, GraphModel, seeded_parameters, tune_cpu
from gnnlib.heads.protein.sequence_data import CropBatches, training_records
from gnnlib.heads.protein.sequence_graph import SEQUENCE_SPEC
from gnnlib.heads.protein.sequence_head import SequenceHead
from gnnlib.seeding import spawn_seeds
from gnnlib.stop import MaxRuntime
from gnnlib.training import FitConfig, FitResult, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.protein.sequence_data import ResidueRecord

__all__ = ["PRESETS", "Preset", "build_residue_model", "fit_residues", "main"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """Size of the model and course of the first part of the training.

    Parameters
    ----------
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    batch_residues : int
        Residues of a batch, about.
    fit : FitConfig
    """

    width: int
    edge_width: int
    depth: int
    batch_residues: int
    fit: FitConfig


_FIT = FitConfig(
    epochs=3,
    learning_rate=4e-3,
    warmup_steps=100,
    weight_decay=0.02,
    ema_decay=0.995,
    loss_weights={"torsion": 0.1, "burial": 0.1},
    monitor="q3",
    mode="max",
    checkpoint_every=200,
)

#: "small" is what ships: a quarter of an hour on one quiet core. "tiny" is for tests.
PRESETS = {
    "small": Preset(96, 24, 4, 8192, _FIT),
    "tiny": Preset(16, 8, 1, 1024, FitConfig(epochs=2, monitor="q3", mode="max")),
}


def build_residue_model(preset: Preset, *, seed: int = 0) -> GraphModel:
    """Build an untrained model of the residues.

    Examples
    --------
    >>> build_residue_model(PRESETS["small"]).encoder.config.depth
    4
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [SEQUENCE_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        return GraphModel(encoder, SequenceHead(preset.width))


def fit_residues(
    preset: Preset,
    records: tuple[Sequence[ResidueRecord], Sequence[ResidueRecord]],
    folder: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    resume: bool = False,
) -> tuple[GraphModel, FitResult]:
    """Train encoder and residue head; the weights that are best on the second set of records stay in the model.

    Parameters
    ----------
    preset : Preset
    records : two sequences of ResidueRecord
        To learn from, and to choose by.
    folder : path
        Gets checkpoint and log.
    seed : int
        Of parameters, order and masking.
    minutes : float, optional
        End this piece of the training after so long.
    resume : bool
        Go on from the checkpoint, if there is one.
    """
    model = build_residue_model(preset, seed=seed)
    train = [record for record in records[0] if len(record) >= 20]
    result = fit(
        model,
        CropBatches(train, batch_residues=preset.batch_residues, seed=seed),
        val=CropBatches(records[1], batch_residues=preset.batch_residues),
        config=preset.fit,
        stop=None if minutes is None else MaxRuntime(60.0 * minutes),
        seed=seed,
        checkpoint=folder / "checkpoint",
        resume=resume and any(folder.glob("checkpoint*")),
        log=folder / "log.csv",
    )
    _logger.info("ended by %s after %.0f s; best: %s", result.stopped_by, result.seconds, result.best)
    return model, result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Train the sequence models.")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small", help="size of model and training")
    parser.add_argument("--out", type=Path, required=True, help="weights and card to write, without suffix")
    parser.add_argument("--runs", type=Path, default=Path("runs/protein"), help="folder for checkpoint and log")
    parser.add_argument("--seed", type=int, default=0, help="of parameters, order and noise")
    parser.add_argument("--minutes", type=float, help="end this piece of the training after so long")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    parser.add_argument("--part", choices=("residues", "pairs", "all"), default="all", help="what to train")
    parser.add_argument("--keep-relatives", action="store_true", help="learn from relatives of CB513 too (to compare)")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tune_cpu()
    kept = "-relatives" if chosen.keep_relatives else ""
    folder = chosen.runs / f"sequence-{chosen.preset}{kept}-{chosen.seed}"
    residue_weights = folder / "residues"
    if chosen.part != "pairs":
        records = training_records(drop_cb513_relatives=not chosen.keep_relatives)
        model, result = fit_residues(
            PRESETS[chosen.preset], records, folder, seed=chosen.seed, minutes=chosen.minutes, resume=chosen.resume
        )
        if result.stopped_by != "epochs":
            return 0
        model.card = Card(
            "residues",
            seed=chosen.seed,
            seconds=round(result.seconds, 1),
            machine=f"{platform.machine()}, {torch.get_num_threads()} thread(s), device cpu",
            date=datetime.now(UTC).date().isoformat(),
        )
        model.save(residue_weights)
    return 0


if __name__ == "__main__":
    sys.exit(main())
