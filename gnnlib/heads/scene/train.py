"""Train the predictor of trajectories; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.scene.train scene --seed 0 --out gnnlib/weights/scene

``scene`` learns from generated traffic and the training scenes of NGSIM; ``all`` from the training scenes of all four
collections, some of which forbid commercial use, so that its weights are for comparison only. The folder of the
collections is found through ``--data`` or the environment variable ``GNNLIB_DATA``. A run that was stopped by
``--minutes`` goes on with ``--resume``.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gnnlib.encoder import Card, Encoder, GraphModel, seeded_parameters, tune_cpu
from gnnlib.errors import InputError
from gnnlib.heads.scene.decode import calibrate
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import SCENE_SPEC
from gnnlib.heads.scene.head import TrajectoryHead
from gnnlib.heads.scene.training.batches import SceneBatches, WindowBatches
from gnnlib.heads.scene.training.windows import load_split, scene_windows
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.stop import MaxRuntime
from gnnlib.training import FitConfig, FitResult, fit
from gnnlib.training.provenance import source_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.heads.scene.training.windows import SceneWindow

__all__ = ["PRESETS", "Preset", "build_model", "main", "train_model"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """Size of the model, of the data and of the training.

    Parameters
    ----------
    sources : tuple of str
        Collections whose training scenes are learned from; their validation scenes choose the epoch.
    repeats : int
        How often each of them is shown where a generated scene is shown once.
    generated : int
        Number of generated scenes besides.
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    layers : int
        Rounds of attention in the head.
    fit : FitConfig
    """

    sources: tuple[str, ...]
    repeats: int
    generated: int
    width: int
    edge_width: int
    depth: int
    layers: int
    fit: FitConfig


_FIT = FitConfig(
    epochs=40,
    batch_size=8,
    learning_rate=2e-3,
    warmup_steps=200,
    weight_decay=0.05,
    clip_norm=5.0,
    loss_weights={"mode": 0.5, "distance": 1.0, "miss": 0.5, "choice": 0.5, "density": 0.25, "single": 0.5},
    ema_decay=0.998,
    monitor="min_fde",
    checkpoint_every=100,
)

PRESETS = {
    "scene": Preset(("ngsim",), 2, 112, 96, 48, 3, 2, replace(_FIT, epochs=28)),
    "all": Preset(("ngsim", "womd", "av2", "nuscenes"), 1, 0, 96, 48, 3, 2, replace(_FIT, epochs=28)),
}

_DROPOUT = 0.1
_KINDS = ("intersection", "roundabout", "intersection", "merge", "intersection", "highway", "street")
_GENERATED_STEPS = 65
_NOISE_M = 0.02
_TRAIN_SEED, _VAL_SEED = 10_000, 20_000
_GENERATED_VAL = 14


def build_model(preset: Preset, *, seed: int = 0) -> GraphModel:
    """Build an untrained predictor.

    Examples
    --------
    >>> build_model(PRESETS["scene"]).head.modes
    6
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [SCENE_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        return GraphModel(encoder, TrajectoryHead(preset.width, layers=preset.layers, dropout=_DROPOUT))


def train_model(
    model: nn.Module,
    scenes: Sequence[Scene],
    val: Sequence[SceneWindow],
    config: FitConfig,
    *,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    minutes: float | None = None,
) -> FitResult:
    """Fit the model; the weights that are best on `val` stay in it.

    Parameters
    ----------
    model : GraphModel, or a network of `baselines_learned`
    scenes : sequence of Scene
    val : sequence of SceneWindow
    config : FitConfig
    folder : path
        Gets the checkpoint and the log.
    seed : int
    resume : bool
        Go on from the checkpoint, if there is one.
    minutes : float, optional
        Stop after so long.
    """
    checkpoint = folder / "checkpoint"
    return fit(
        model,
        SceneBatches(scenes, config.batch_size, seed=seed),
        val=WindowBatches(val),
        config=config,
        seed=seed,
        stop=None if minutes is None else MaxRuntime(60.0 * minutes),
        checkpoint=checkpoint,
        resume=resume and any(folder.glob("checkpoint*")),
        log=folder / "log.csv",
    )


def data_folder(folder: Path | None) -> Path:
    """Return the folder of the collections: `folder`, or ``scene`` in the folder that ``GNNLIB_DATA`` names."""
    if folder is None:
        mirror = os.environ.get("GNNLIB_DATA")
        if not mirror:
            raise InputError("training needs the folder of the collections: --data FOLDER or the variable GNNLIB_DATA")
        folder = Path(mirror) / "scene"
    if not (folder / "splits.json").is_file():
        raise InputError(f"{folder} must hold splits.json and the tables of tracks")
    return folder


def load_windows(folder: Path, sources: Sequence[str], split: str) -> list[SceneWindow]:
    """Read the windows of one split of several collections."""
    windows = []
    for source in sources:
        scenes, timeline = load_split(folder, source, split)
        windows += scene_windows(scenes, timeline=timeline, source=source)
    return windows


def validation_windows(preset: Preset, folder: Path) -> list[SceneWindow]:
    """Read and generate the windows by which a preset's epoch is chosen."""
    windows = load_windows(folder, preset.sources, "val")
    if preset.generated:
        windows += scene_windows(_generated_scenes(_GENERATED_VAL, _VAL_SEED), source="generated")
    return windows


def training_scenes(preset: Preset, folder: Path) -> list[Scene]:
    """Read and generate the scenes that a preset learns from."""
    scenes = [scene for source in preset.sources for scene in load_split(folder, source, "train")[0]]
    return scenes * preset.repeats + _generated_scenes(preset.generated)


def _generated_scenes(count: int, first_seed: int = _TRAIN_SEED) -> list[Scene]:
    """Return short scenes of all kinds without rare events; every second has noise on its positions."""
    scenes = []
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        scene = generate_scene(kind, seed=first_seed + number, num_steps=_GENERATED_STEPS)
        if number % 2:
            noise = numpy_generator(first_seed + number).normal(0.0, _NOISE_M, scene.xy.shape)
            scene = replace(scene, xy=scene.xy + noise)
        scenes.append(scene)
    return scenes


def _epochs(preset: Preset, name: str) -> str:
    return "" if preset.fit.epochs == PRESETS[name].fit.epochs else f" --epochs {preset.fit.epochs}"


def _card(name: str, preset: Preset, preset_name: str, seed: int, result: FitResult) -> Card:
    licence = "MIT" if preset_name == "scene" else "not for redistribution: trained on non-commercial data"
    generated = f" and {preset.generated} generated scenes" if preset.generated else ""
    return Card(
        name,
        purpose="predicts six futures of every agent of a traffic scene",
        command=f"python -m {__spec__.name} {preset_name} --seed {seed}{_epochs(preset, preset_name)} "
        f"--out gnnlib/weights/{name}",
        data=f"training scenes of {', '.join(preset.sources)}{generated}",
        seed=seed,
        seconds=round(result.seconds, 1),
        machine=f"{platform.machine()}, {torch.get_num_threads()} thread(s)",
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        metrics={key: round(value, 4) for key, value in result.best.items() if key.startswith("val/")},
        licence=licence,
    )


def run(
    preset_name: str,
    out: Path,
    runs: Path,
    *,
    data: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    minutes: float | None = None,
    epochs: int | None = None,
) -> Card:
    """Train, measure on the validation scenes and write one model; return its card.

    Parameters
    ----------
    preset_name : {"scene", "all"}
    out : path
        Weights and card, without suffix.
    runs : path
        Folder for checkpoint and log.
    data : path, optional
        Folder of the collections.
    seed : int
        Of parameters and order.
    resume : bool
        Go on from the checkpoint, if there is one.
    minutes : float, optional
        Stop after so long; the weights so far are written.
    epochs : int, optional
        Instead of the preset's.
    """
    preset, folder = PRESETS[preset_name], data_folder(data)
    config = preset.fit if epochs is None else replace(preset.fit, epochs=epochs)
    scenes = training_scenes(preset, folder)
    val = validation_windows(preset, folder)
    _logger.info("%d scenes, %d windows to validate", len(scenes), sum(len(window.rows) for window in val))
    model = build_model(preset, seed=seed)
    place = runs / f"{preset_name}-{seed}"
    place.mkdir(parents=True, exist_ok=True)
    result = train_model(model, scenes, val, config, folder=place, seed=seed, resume=resume, minutes=minutes)
    _logger.info("best epoch: %s", result.best)
    calibrate(model, SceneBatches(scenes, 8, stride=20, seed=seed)(0), WindowBatches(val)(0))
    model.card = _card(out.name, replace(preset, fit=config), preset_name, seed, result)
    model.save(out)
    return model.card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Train the trajectory predictor.")
    parser.add_argument("preset", choices=sorted(PRESETS), help="data and size")
    parser.add_argument("--out", type=Path, required=True, help="weights and card to write, without suffix")
    parser.add_argument("--data", type=Path, help="folder of the collections")
    parser.add_argument("--runs", type=Path, default=Path("runs/scene"), help="folder for checkpoint and log")
    parser.add_argument("--seed", type=int, default=0, help="of parameters and order")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tune_cpu()
    torch.set_num_threads(1)
    card = run(
        chosen.preset,
        chosen.out,
        chosen.runs,
        data=chosen.data,
        seed=chosen.seed,
        resume=chosen.resume,
        minutes=chosen.minutes,
        epochs=chosen.epochs,
    )
    for name, value in card.metrics.items():
        _logger.info("%s: %g", name, value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
