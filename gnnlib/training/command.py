"""What every training command shares: its options, its folder, the start of the process and the pieces of a long run."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gnnlib.encoder import tune_cpu
from gnnlib.errors import InputError
from gnnlib.stop import MaxRuntime
from gnnlib.training.loop import fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import nn

    from gnnlib.encoder import Card
    from gnnlib.training.batches import Batches
    from gnnlib.training.config import FitConfig
    from gnnlib.training.history import FitResult

__all__ = ["Course", "pack_by_size", "start_training", "tell_card", "training_parser"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """Where one training runs, with which seed, and for how long.

    Parameters
    ----------
    folder : path
        Gets the checkpoint and the log.
    seed : int, default 0
        Of parameters, order and whatever else the training draws.
    minutes : float, optional
        End this piece of the training after so long; the checkpoint stays.
    resume : bool, default False
        Go on from the checkpoint, if there is one.
    progress : bool, default False
        Show a progress bar.

    Raises
    ------
    InputError
        If `minutes` is not positive.

    Examples
    --------
    >>> Course(Path("runs"), seed=2).part("pairs").folder.as_posix()
    'runs/pairs'
    """

    folder: Path
    seed: int = 0
    minutes: float | None = None
    resume: bool = False
    progress: bool = False

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"`minutes` must be positive, found {self.minutes}")

    @classmethod
    def from_options(cls, chosen: argparse.Namespace, name: str) -> Course:
        """Read the options of `training_parser`; the folder is ``NAME-SEED`` below ``--runs``."""
        return cls(chosen.runs / f"{name}-{chosen.seed}", chosen.seed, chosen.minutes, chosen.resume, chosen.progress)

    def part(self, name: str) -> Course:
        """Return the course of one part of a training that has several."""
        return replace(self, folder=self.folder / name)

    def fit(self, model: nn.Module, train: Batches, *, val: Batches, config: FitConfig) -> FitResult:
        """Fit a model along this course; see `gnnlib.training.fit`.

        The device is the first CUDA device, if there is one; the model comes back on the CPU.
        ``result.stopped_by != "epochs"`` says that the time ran out before the end.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        result = fit(
            model,
            train,
            val=val,
            config=config,
            stop=None if self.minutes is None else MaxRuntime(60.0 * self.minutes),
            seed=self.seed,
            device="cuda" if torch.cuda.is_available() else "cpu",
            progress=self.progress,
            checkpoint=self.folder / "checkpoint",
            resume=self.resume and any(self.folder.glob("checkpoint*")),
            log=self.folder / "log.csv",
        )
        _logger.info("ended by %s after %.0f s; best: %s", result.stopped_by, result.seconds, result.best)
        model.cpu()
        return result


def training_parser(prog: str, description: str, presets: Iterable[str], *, runs: str) -> argparse.ArgumentParser:
    """Build the options that all training commands have; a head adds its own.

    Parameters
    ----------
    prog : str
        Module that is run with ``python -m``.
    description : str
        What it trains.
    presets : iterable of str
        Names for ``--preset``; the first is the default.
    runs : str
        Default of ``--runs``.

    Examples
    --------
    >>> parser = training_parser("gnnlib.toy", "Train a toy.", ["small", "base"], runs="runs/toy")
    >>> chosen = parser.parse_args(["--out", "toy", "--seed", "3"])
    >>> chosen.preset, chosen.seed, chosen.minutes
    ('small', 3, None)
    """
    names = list(presets)
    parser = argparse.ArgumentParser(prog=f"python -m {prog}", description=description)
    parser.add_argument("--preset", choices=names, default=names[0], help="size of model, data and training")
    parser.add_argument("--out", type=Path, required=True, help="weights and card to write, without suffix")
    parser.add_argument("--runs", type=Path, default=Path(runs), help="folder for caches, checkpoint and log")
    parser.add_argument("--seed", type=int, default=0, help="of parameters, order and noise")
    parser.add_argument("--minutes", type=float, help="end this piece of the training after so long")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    parser.add_argument("--progress", action="store_true", help="show progress bars")
    return parser


def start_training(threads: int | None = None) -> None:
    """Prepare the process of a training command: log to the terminal, tune the allocator, choose the threads.

    Parameters
    ----------
    threads : int, optional
        Threads of torch; by default they are left as they are.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tune_cpu()
    if threads is not None:
        torch.set_num_threads(threads)


def tell_card(card: Card | None) -> int:
    """Log the metrics of a new card; return the exit status of the command.

    Parameters
    ----------
    card : Card, optional
        None where the time ran out before the last epoch: the next call goes on with ``--resume``.
    """
    if card is None:
        _logger.info("not finished; go on with --resume")
        return 0
    for name, value in card.metrics.items():
        _logger.info("%s: %g", name, value)
    return 0


def pack_by_size(order: Iterable[int], sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Group items, in the order given, into batches of at most `limit` in total.

    Parameters
    ----------
    order : iterable of int
        Numbers of the items.
    sizes : sequence of int
        Size of each item, for example its nodes.
    limit : int > 0
        A batch exceeds it only where a single item does.

    Yields
    ------
    list of int
        Numbers of one batch, never empty.

    Examples
    --------
    >>> list(pack_by_size([2, 0, 1, 3], [4, 3, 2, 9], 6))
    [[2, 0], [1], [3]]
    """
    batch: list[int] = []
    total = 0
    for number in order:
        if batch and total + sizes[number] > limit:
            yield batch
            batch, total = [], 0
        batch.append(number)
        total += sizes[number]
    if batch:
        yield batch
