"""Train the networks of `baselines_learned` on the same scenes, windows, losses and settings as our own model.

.. code-block:: text

    python -m gnnlib.heads.scene.training.train_baselines VectorNetLike --seed 0 --minutes 14

The weights go to ``runs/scene/VectorNetLike-0/weights.safetensors``; they are for comparison and do not ship.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from gnnlib.encoder import tune_cpu
from gnnlib.heads.scene.baselines_learned import HiVTLike, VectorNetLike
from gnnlib.heads.scene.train import PRESETS, data_folder, train_model, training_scenes, validation_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

__all__ = ["NETWORKS", "main"]

_logger = logging.getLogger(__name__)

NETWORKS: dict[str, Callable[..., nn.Module]] = {"VectorNetLike": VectorNetLike, "HiVTLike": HiVTLike}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Train a learned baseline.")
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--preset", choices=sorted(PRESETS), default="all", help="scenes and settings of training")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--data", type=Path, help="folder of the collections")
    parser.add_argument("--runs", type=Path, default=Path("runs/scene"), help="folder for checkpoint, log and weights")
    parser.add_argument("--seed", type=int, default=0, help="of parameters and order")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tune_cpu()
    torch.set_num_threads(1)
    preset, data = PRESETS[chosen.preset], data_folder(chosen.data)
    config = replace(preset.fit, epochs=chosen.epochs or preset.fit.epochs)
    model = NETWORKS[chosen.network](seed=chosen.seed)
    folder = chosen.runs / f"{chosen.network}-{chosen.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    result = train_model(
        model,
        training_scenes(preset, data),
        validation_windows(preset, data),
        config,
        folder=folder,
        seed=chosen.seed,
        resume=chosen.resume,
        minutes=chosen.minutes,
    )
    save_file(dict(model.state_dict()), folder / "weights.safetensors")
    _logger.info("best epoch after %.0f s: %s", result.seconds, result.best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
