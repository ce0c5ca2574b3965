"""Where a trained model comes from: what its card says of the sources, the machine and the day."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gnnlib.encoder import Card

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["new_card", "source_commit"]


def source_commit() -> str:
    """Name the commit of the library's sources; ``"unknown"`` where they do not lie in a git checkout.

    Examples
    --------
    >>> len(source_commit()) >= 7
    True
    """
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def new_card(
    out: Path,
    *,
    purpose: str,
    command: str,
    data: str,
    seed: int,
    seconds: float,
    metrics: Mapping[str, float],
    licence: str = "MIT",
) -> Card:
    """Make the card of a model that has just been trained; machine, date and commit are filled in here.

    Parameters
    ----------
    out : path
        Weights and card, without suffix; its last part is the model's name.
    purpose, command, data, licence : str
        See `gnnlib.encoder.Card`; ``--seed`` and ``--out`` are added to the command here.
    seed : int
    seconds : float
        Wall-clock time of the training.
    metrics : mapping of str to float
        Rounded to four decimals.

    Examples
    --------
    >>> card = new_card(
    ...     Path("toy"),
    ...     purpose="toy",
    ...     command="python -m toy",
    ...     data="none",
    ...     seed=1,
    ...     seconds=2.04,
    ...     metrics={"mae": 0.123456},
    ... )
    >>> card.command, card.seconds, card.metrics
    ('python -m toy --seed 1 --out toy', 2.0, {'mae': 0.1235})
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Card(
        out.name,
        purpose=purpose,
        command=f"{command} --seed {seed} --out {out.as_posix()}",
        data=data,
        seed=seed,
        seconds=round(seconds, 1),
        machine=f"{platform.machine()}, {torch.get_num_threads()} thread(s), device {device}",
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        metrics={name: round(float(value), 4) for name, value in metrics.items()},
        licence=licence,
    )
