"""The one training loop: epochs, budgets, checkpoints, the log, and which weights are best."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from gnnlib.errors import InputError, WeightsError
from gnnlib.interrupt import DeferredInterrupt
from gnnlib.seeding import spawn_seeds
from gnnlib.stop import MaxRuntime
from gnnlib.training.batches import batch_source
from gnnlib.training.checkpoint import load_checkpoint, save_checkpoint
from gnnlib.training.config import nearest_name
from gnnlib.training.distributed import World, process_group
from gnnlib.training.engine import Engine
from gnnlib.training.history import CsvLog, FitResult, Row
from gnnlib.training.optim import learning_rate_factor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion
    from gnnlib.training.batches import Batches, BatchSource
    from gnnlib.training.config import FitConfig
    from gnnlib.training.engine import Objective
    from gnnlib.typing import PathLike

__all__ = ["RunOptions", "run_training"]

_log = logging.getLogger(__name__)
_FREE_TO_CHANGE = ("epochs", "patience", "checkpoint_every", "num_workers")
_FORMAT = 1


@dataclass(frozen=True)
class RunOptions:
    """What `fit` and `reinforce` are told beside the training itself; see there."""

    stop: StopCriterion | None
    seed: Seed
    device: str | torch.device
    progress: bool
    checkpoint: PathLike | None
    resume: bool
    log: PathLike | None


@dataclass
class Progress:
    """How far a run has come: plain values, part of each checkpoint."""

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    graphs: float = 0.0
    best: Row = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)


def run_training(
    model: nn.Module,
    objective: Objective,
    train: Batches,
    val: Batches | None,
    *,
    config: FitConfig,
    options: RunOptions,
) -> FitResult:
    """Train `model`; `fit` and `reinforce` say what the arguments mean."""
    if val is None and config.patience is not None:
        raise InputError("`patience` needs validation data: pass `val`")
    if options.resume and options.checkpoint is None:
        raise InputError("`resume` needs the file to go on from: pass `checkpoint`")
    with process_group(options.device) as world:
        run = _Run(model, objective, train, val, config=config, options=options, world=world)
        return run.execute()


class _Run:
    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train: Batches,
        val: Batches | None,
        *,
        config: FitConfig,
        options: RunOptions,
        world: World,
    ) -> None:
        self.config, self.options, self.world = config, options, world
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] | None = None
        stored = load_checkpoint(options.checkpoint) if options.resume and options.checkpoint is not None else None
        self.seed = self._find_seed(None if stored is None else stored.state)
        self.engine = Engine(model, objective, config, world, self.seed)
        self.train = batch_source(train, config, seed=self.seed, world=world, is_training=True, name="train")
        self.val: BatchSource | None = None
        if val is not None:
            self.val = batch_source(val, config, seed=self.seed, world=world, is_training=False, name="val")
        self.total_steps = None
        if self.train.num_batches is not None:
            self.total_steps = config.epochs * self.train.num_batches
        elif config.schedule != "constant":
            raise InputError(
                f"the {config.schedule} schedule must know the length of an epoch: set `steps_per_epoch`, "
                "or schedule='constant'"
            )
        if stored is not None:
            self._restore(stored.tensors, stored.state)
        self.steps_to_skip = self.progress.step
        self.saved_at: tuple[int, int] | None = None
        self.log: CsvLog | None = None
        if options.log is not None and world.is_main:
            self.log = CsvLog(options.log, self.progress.epoch if options.resume else None)

    def _find_seed(self, state: dict[str, Any] | None) -> int:
        wanted = self.options.seed
        found = self.world.from_main(spawn_seeds(wanted, 1)[0])
        if state is None:
            return found
        if not isinstance(state.get("seed"), int):
            raise WeightsError(f"{self.options.checkpoint} is not the checkpoint of a training run")
        if wanted is not None and found != state["seed"]:
            raise InputError("`resume` needs the seed of the checkpoint; pass the same one, or seed=None")
        return int(state["seed"])

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        if state.get("format") != _FORMAT or not isinstance(state.get("config"), dict):
            raise WeightsError(f"{self.options.checkpoint} is not the checkpoint of a training run of this version")
        before, now = state["config"], _plain(self.config)
        for name in sorted({*before, *now} - set(_FREE_TO_CHANGE)):
            if before.get(name) != now.get(name):
                raise InputError(
                    f"`resume` needs the settings of the checkpoint, but `{name}` was {before.get(name)!r} and is "
                    f"{now.get(name)!r}; only {', '.join(_FREE_TO_CHANGE)} may change"
                )
        self.progress = Progress(**state["progress"])
        self.engine.load_tensors(tensors, int(state["average_updates"]))
        best = {name[5:]: value for name, value in tensors.items() if name.startswith("best.")}
        self.best_weights = {name: value.to(self.world.device) for name, value in best.items()} or None

    def execute(self) -> FitResult:
        """Train until something ends it."""
        device = self.world.device
        gpus = [device.index] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus), DeferredInterrupt() as interrupt, self._bar() as bar:
            self.interrupt, self.bar = interrupt, bar
            self.clock = (self.options.stop or MaxRuntime(math.inf)).start()
            self.started = time.perf_counter() - self.progress.seconds
            reason = self._run_epochs()
        self.progress.seconds = time.perf_counter() - self.started
        self._save()
        self.world.wait()  # no process may go on to read a checkpoint that the main one is still writing
        history = list(self.progress.history)
        if self.progress.step_in_epoch:
            history.append(self._row())
        self.engine.finish(self.best_weights)
        best = self.progress.best or (self.progress.history[-1] if self.progress.history else {})
        return FitResult(
            history,
            best,
            self.progress.epoch,
            self.progress.step,
            self.progress.seconds,
            reason,
            self.config,
        )

    def _bar(self) -> Any:
        from tqdm.auto import tqdm

        is_off = not (self.options.progress and self.world.is_main)
        return tqdm(total=self.total_steps, initial=self.progress.step, disable=is_off, unit="step")

    def _run_epochs(self) -> str:
        progress, config = self.progress, self.config
        while progress.epoch < config.epochs:
            waited = progress.epoch - progress.best.get("epoch", 0)
            if config.patience is not None and waited >= config.patience:
                return "patience"
            if not self._run_steps() or not self._close_epoch():
                return "interrupt" if self.interrupt.received else "stop"
        return "epochs"

    def _run_steps(self) -> bool:
        """Run the rest of an epoch; return False if it was cut short."""
        progress, config = self.progress, self.config
        batches = self.train.epoch(progress.epoch + 1, progress.step_in_epoch, self.steps_to_skip)
        self.steps_to_skip = 0
        while self.train.num_batches is None or progress.step_in_epoch < self.train.num_batches:
            if self._is_over():
                return False
            item = next(batches, None)
            if self.world.any(item is None) or item is None:
                break
            rate = config.learning_rate * learning_rate_factor(progress.step, config, self.total_steps)
            means, graphs = self.engine.train_step(*item, progress.step, rate)
            for name, value in means.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + graphs * value
            progress.graphs += graphs
            progress.step += 1
            progress.step_in_epoch += 1
            self.bar.update()
            if config.checkpoint_every is not None and progress.step % config.checkpoint_every == 0:
                self._save()
        if progress.step_in_epoch == 0:
            raise InputError(
                f"`train` gave no batch in epoch {progress.epoch + 1}; an iterator can be read once, pass a list or a "
                "function of the epoch"
            )
        return True

    def _is_over(self) -> bool:
        best = self._monitored(self.progress.best)
        is_over = self.clock.update(iterations=self.progress.step, best=best)
        return self.world.any(self.interrupt.received or is_over)

    def _monitored(self, row: Row) -> float:
        """Return the monitored value of a row, turned so that smaller is better; infinity where there is none."""
        value = row.get(f"val/{self.config.monitor}", math.nan)
        if math.isnan(value):
            return math.inf
        return value if self.config.mode == "min" else -value

    def _row(self) -> Row:
        """Return what is known of the running epoch."""
        progress = self.progress
        means = {name: value / progress.graphs for name, value in progress.sums.items()}
        last = learning_rate_factor(progress.step - 1, self.config, self.total_steps)
        row: Row = {"epoch": progress.epoch + 1, "step": progress.step}
        row |= {"learning_rate": self.config.learning_rate * last, "grad_norm": means.pop("grad_norm")}
        row |= {f"train/{name}": value for name, value in means.items()}
        return row | {"seconds": time.perf_counter() - self.started}

    def _close_epoch(self) -> bool:
        """Validate, note the best weights, write log and checkpoint; return False if validation was cut short."""
        progress, config = self.progress, self.config
        row = self._row()
        if self.val is not None:
            means = self.engine.evaluate(
                self.val, progress.epoch + 1, lambda: self.interrupt.received or self.clock.remaining_s <= 0
            )
            if means is None:
                return False
            if config.monitor not in means:
                raise InputError(
                    f"`monitor` names {config.monitor!r}, which validation does not give; "
                    f"{nearest_name(config.monitor, means)}"
                )
            row |= {f"val/{name}": value for name, value in means.items()}
            row["seconds"] = time.perf_counter() - self.started
            if self._monitored(row) < self._monitored(progress.best) - config.min_delta:
                progress.best = row
                self.best_weights = self.engine.weights()
        progress.history.append(row)
        progress.epoch += 1
        progress.step_in_epoch, progress.graphs, progress.sums = 0, 0.0, {}
        progress.seconds = row["seconds"]
        _log.info("epoch %d of %d: %s", progress.epoch, config.epochs, row)
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in row.items() if name.endswith("/loss")})
        if self.log is not None:
            self.log.write(row)
        self._save()
        return True

    def _save(self) -> None:
        path = self.options.checkpoint
        if path is None or not self.world.is_main or self.saved_at == (self.progress.epoch, self.progress.step):
            return
        self.progress.seconds = time.perf_counter() - self.started
        average = self.engine.average
        state = {
            "format": _FORMAT,
            "seed": self.seed,
            "config": _plain(self.config),
            "progress": dataclasses.asdict(self.progress),
            "average_updates": 0 if average is None else average.updates,
        }
        best = {f"best.{name}": value for name, value in (self.best_weights or {}).items()}
        save_checkpoint(path, self.engine.tensors() | best, state)
        self.saved_at = (self.progress.epoch, self.progress.step)


def _plain(config: FitConfig) -> dict[str, Any]:
    """Return the settings as they come back from JSON."""
    result: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return result
