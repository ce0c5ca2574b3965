"""Train what reads a sequence: the states of its residues, then the distances of its pairs.

.. code-block:: text

    python -m gnnlib.heads.protein.training.train_sequence --seed 0 --out gnnlib/weights/protein-sequence

learns in two parts, which `--part` can also run one by one: "residues" trains the encoder with the residue head on three
sets of sequences; "pairs" keeps these weights and trains the pair head on chains of known structure. Choices are made on
the split "val"; CB513 and the split "test" are only measured. With ``--minutes`` a run ends after so long and is continued
by the same command with ``--resume``.
"""

from __future__ import annotations

import argparse
import copy
import functools
import logging
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gnnlib.encoder import Card, Encoder, GraphModel, load, seeded_parameters, tune_cpu
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.graphs.sequence_graph import SEQUENCE_SPEC
from gnnlib.heads.protein.networks.pair_head import INPUTS, PairHead
from gnnlib.heads.protein.networks.sequence_head import SequenceHead
from gnnlib.heads.protein.scores.sequence_scores import contact_scores, mean_precision, measure_states, measure_torsions
from gnnlib.heads.protein.sequences import cb513_relatives, load_sequences
from gnnlib.heads.protein.training.pair_data import PairBatches, load_pair_chains
from gnnlib.heads.protein.training.sequence_data import CropBatches, chain_record, training_records
from gnnlib.seeding import spawn_seeds
from gnnlib.stop import MaxRuntime
from gnnlib.training import FitConfig, FitResult, fit
from gnnlib.training.provenance import source_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.protein.sequences import LabelledSequence
    from gnnlib.heads.protein.training.pair_data import PairChain
    from gnnlib.heads.protein.training.sequence_data import ResidueRecord

__all__ = ["PRESETS", "Preset", "build_pair_model", "build_residue_model", "fit_pairs", "fit_residues", "main", "run"]

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
        Of the first part.
    channels : int
        Of the pair head.
    dilations : tuple of int
        One convolution each.
    crop : int
        Residues of the crops that the pair head learns from.
    fit_pairs : FitConfig
        Of the second part.
    """

    width: int
    edge_width: int
    depth: int
    batch_residues: int
    fit: FitConfig
    channels: int
    dilations: tuple[int, ...]
    crop: int
    fit_pairs: FitConfig


_DATA = (
    "residues: CB6133filtered and the training and validation parts of FLIP (states only), chains of the split 'train' of "
    "the distilled PDB chains (states, torsions, burial), without exact repeats and without relatives of the chains of val, "
    "test and ts50 and, unless said otherwise, of CB513; pairs: these chains alone. Bias: half of the chains are shorter "
    "than 100 residues, taken out of their complexes; O was rebuilt and CB is ideal in most, so their states are approximate."
)

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

_FIT_PAIRS = FitConfig(
    epochs=1,
    learning_rate=3e-3,
    warmup_steps=50,
    weight_decay=0.02,
    ema_decay=0.99,
    loss_weights={"contact": 4.0},
    checkpoint_every=100,
)

#: "small" is what ships: a quarter of an hour on one quiet core. "ablation" trains the pair head for a shorter time, to
#: compare what it fuses; "tiny" is for tests.
PRESETS = {
    "small": Preset(96, 24, 4, 8192, _FIT, 28, (1, 2, 4, 1), 96, _FIT_PAIRS),
    "ablation": Preset(96, 24, 4, 8192, _FIT, 28, (1, 2, 4, 1), 64, _FIT_PAIRS),
    "tiny": Preset(16, 8, 1, 1024, FitConfig(epochs=2, monitor="q3", mode="max"), 8, (1,), 48, FitConfig(epochs=1)),
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


def build_pair_model(
    residues: GraphModel, preset: Preset, *, inputs: Sequence[str] = INPUTS, seed: int = 0
) -> GraphModel:
    """Put an untrained pair head on a trained model of the residues, whose weights are copied and will not change.

    Parameters
    ----------
    residues : GraphModel
        Encoder with a `SequenceHead`.
    preset : Preset
    inputs : sequence of str
        Of `gnnlib.heads.protein.networks.pair_head.INPUTS`.
    seed : int
        Of the new parameters.
    """
    with seeded_parameters(spawn_seeds(seed, 3)[2]):
        head = PairHead(preset.width, preset.channels, preset.dilations, tuple(inputs))
    head.residue.load_state_dict(residues.head.state_dict())
    model = GraphModel(copy.deepcopy(residues.encoder), head)
    for part in (model.encoder, head.residue):
        part.requires_grad_(requires_grad=False)
    return model


def fit_pairs(
    model: GraphModel,
    preset: Preset,
    chains: tuple[Sequence[PairChain], Sequence[PairChain]],
    folder: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    resume: bool = False,
) -> FitResult:
    """Train the pair head alone; the weights that are best on the second set of chains stay in the model.

    Parameters
    ----------
    model : GraphModel
        Of `build_pair_model`.
    preset : Preset
    chains : two sequences of PairChain
        To learn from, and to choose by.
    folder : path
        Gets checkpoint and log.
    seed : int
        Of order, crops and given distances.
    minutes : float, optional
        End this piece of the training after so long.
    resume : bool
        Go on from the checkpoint, if there is one.
    """
    result = fit(
        model,
        PairBatches(chains[0], crop=preset.crop, seed=seed),
        val=PairBatches(chains[1], crop=preset.crop, is_fixed=True),
        config=preset.fit_pairs,
        stop=None if minutes is None else MaxRuntime(60.0 * minutes),
        seed=seed,
        checkpoint=folder / "checkpoint",
        resume=resume and any(folder.glob("checkpoint*")),
        log=folder / "log.csv",
    )
    model.requires_grad_(requires_grad=True)
    _logger.info("pairs ended by %s after %.0f s; best: %s", result.stopped_by, result.seconds, result.best)
    return result


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
    parser.add_argument("--residues", type=Path, help="weights of the first part, where they come from another run")
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=INPUTS, help="what the pair head fuses")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tune_cpu()
    return run(chosen)


def run(chosen: argparse.Namespace) -> int:
    """Train what was asked for; return the exit status."""
    preset = PRESETS[chosen.preset]
    kept = "-relatives" if chosen.keep_relatives else ""
    folder = chosen.runs / f"sequence-{chosen.preset}{kept}-{chosen.seed}"
    course = {"seed": chosen.seed, "minutes": chosen.minutes, "resume": chosen.resume}
    if chosen.part != "pairs":
        records = training_records(drop_cb513_relatives=not chosen.keep_relatives)
        residues, result = fit_residues(preset, records, folder / "residues", **course)
        if result.stopped_by != "epochs":
            return 0
        residues.card = _card(chosen, "states of residues from the sequence", result.seconds, {})
        residues.save(folder / "weights-residues")
    if chosen.part == "residues":
        return 0
    residues = load(chosen.residues or folder / "weights-residues")
    banned = frozenset() if chosen.keep_relatives else cb513_relatives("chains")
    chains = load_pair_chains("train", banned=banned), load_pair_chains("val")
    name = "pairs" if tuple(chosen.inputs) == INPUTS else "pairs-" + "-".join(chosen.inputs)
    model = build_pair_model(residues, preset, inputs=chosen.inputs, seed=chosen.seed)
    result = fit_pairs(model, preset, chains, folder / name, **course)
    if result.stopped_by != "epochs":
        return 0
    before = residues.card.seconds if residues.card and residues.card.seconds else 0.0
    metrics = {} if chosen.preset == "ablation" else _judge(model)
    model.card = _card(
        chosen, "distances, secondary structure and torsions from the sequence", before + result.seconds, metrics
    )
    model.save(chosen.out)
    return 0


def _judge(model: GraphModel) -> dict[str, float]:
    """Measure a whole model on the sets that had no part in it (and on val, which had)."""
    rows, related = load_sequences("cb513"), cb513_relatives("cb513")
    splits = {name: [chain_record(chain) for chain in load_chains(name)] for name in ("val", "test")}
    sets: dict[str, Sequence[LabelledSequence | ResidueRecord]] = {
        "CB513": rows,
        "CB513 without homologous rows": [row for row in rows if row.name not in related],
        **splits,
    }
    found = {
        f"{key} ({name})": value for name, part in sets.items() for key, value in measure_states(model, part).items()
    }
    found |= {f"{key} MAE, degrees (test)": value for key, value in measure_torsions(model, splits["test"]).items()}
    for name in ("val", "test"):
        chains = [chain for chain in load_pair_chains(name) if chain.has_backbone]
        for share in (0.0, 0.05):
            value = mean_precision(chains, functools.partial(contact_scores, model, share=share), share=share)
            found[f"P@L/5, 12 or more apart, {share:.0%} of distances given ({name})"] = value
    return {name: round(value, 2) for name, value in found.items()}


def _card(chosen: argparse.Namespace, purpose: str, seconds: float, metrics: dict[str, float]) -> Card:
    kept = " --keep-relatives" if chosen.keep_relatives else ""
    return Card(
        chosen.out.name,
        purpose=purpose,
        command=f"python -m {__spec__.name} --preset {chosen.preset} --seed {chosen.seed}{kept} --out {chosen.out.as_posix()}",
        data=_DATA,
        seed=chosen.seed,
        seconds=round(seconds, 1),
        machine=f"{platform.machine()}, {torch.get_num_threads()} thread(s), device cpu",
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        metrics=metrics,
    )


if __name__ == "__main__":
    sys.exit(main())
