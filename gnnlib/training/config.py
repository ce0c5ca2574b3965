"""The settings of a training run, as frozen dataclasses that check themselves and may come from a TOML file."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from gnnlib.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.typing import PathLike

__all__ = ["FitConfig", "ReinforceConfig", "nearest_name"]


def nearest_name(name: str, valid: Iterable[str]) -> str:
    """Return a clause that names the valid name nearest to `name`, or all of them.

    Examples
    --------
    >>> nearest_name("epoch", ["epochs", "schedule"])
    "did you mean 'epochs'?"
    """
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(valid)}"


@dataclass(frozen=True)
class FitConfig:
    """How `fit` trains.

    Parameters
    ----------
    epochs : int >= 0, default 10
        Passes over the training data.
    batch_size : int >= 1, default 32
        Graphs per batch and process, where `fit` does the batching.
    steps_per_epoch : int >= 1, optional
        An epoch ends after so many batches, or with the data. Needed for endless data, and for a falling schedule over
        data of unknown length.
    shuffle : bool, default True
        Whether to draw a new order of the training graphs every epoch, where `fit` does the batching.
    num_workers : int >= 0, default 0
        Processes that collate batches, where `fit` does the batching.
    learning_rate : float > 0, default 1e-3
        Peak rate of AdamW.
    schedule : {"cosine", "linear", "constant"}, default "cosine"
        How the rate falls from its peak over all epochs.
    warmup_steps : int >= 0, default 0
        Steps of linear rise before.
    final_rate : float in [0, 1], default 0
        Where the schedule ends, as a fraction of `learning_rate`.
    weight_decay : float >= 0, default 0.01
        Decoupled decay; never of biases and normalisation parameters.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Decay of AdamW's moments.
    clip_norm : float > 0, default 1
        Largest norm of the whole gradient; infinity switches clipping off.
    ema_decay : float in (0, 1), optional
        Keep an exponential moving average of the weights, which is then what is validated and returned.
    amp : bool, default False
        Compute in bfloat16 where it is safe; on a GPU only, a CPU always computes in full precision.
    loss_weights : mapping of str to float >= 0, default {}
        Weight of each named loss in the sum that is minimised; 1 for those not named.
    monitor : str, default "loss"
        Validation value that decides which weights are best: "loss" (the weighted sum), a loss or a metric.
    mode : {"min", "max"}, default "min"
        Whether `monitor` should fall or rise.
    patience : int >= 1, optional
        Stop after so many epochs without a better `monitor`.
    min_delta : float >= 0, default 0
        By how much `monitor` must change to count as better.
    checkpoint_every : int >= 1, optional
        Steps between checkpoints inside an epoch; at the end of each epoch one is written anyway.

    Raises
    ------
    InputError
        If a value is out of its range.

    Examples
    --------
    >>> FitConfig(epochs=3, learning_rate=3e-4, loss_weights={"edge": 2.0}).schedule
    'cosine'
    """

    epochs: int = 10
    batch_size: int = 32
    steps_per_epoch: int | None = None
    shuffle: bool = True
    num_workers: int = 0
    learning_rate: float = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = 0
    final_rate: float = 0.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 1.0
    ema_decay: float | None = None
    amp: bool = False
    loss_weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    monitor: str = "loss"
    mode: Literal["min", "max"] = "min"
    patience: int | None = None
    min_delta: float = 0.0
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "num_workers", "warmup_steps"):
            _check_count(name, getattr(self, name), 0)
        _check_count("batch_size", self.batch_size, 1)
        for name in ("steps_per_epoch", "patience", "checkpoint_every"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), 1)
        _check_number("learning_rate", self.learning_rate, 0.0, math.inf, is_open=True)
        _check_number("final_rate", self.final_rate, 0.0, 1.0)
        _check_number("weight_decay", self.weight_decay, 0.0, math.inf)
        _check_number("min_delta", self.min_delta, 0.0, math.inf)
        if self.clip_norm != math.inf:
            _check_number("clip_norm", self.clip_norm, 0.0, math.inf, is_open=True)
        if self.ema_decay is not None:
            _check_number("ema_decay", self.ema_decay, 0.0, 1.0, is_open=True)
        for name in ("shuffle", "amp"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"`{name}` must be true or false, found {getattr(self, name)!r}")
        for name, valid in (("schedule", ("cosine", "linear", "constant")), ("mode", ("min", "max"))):
            if getattr(self, name) not in valid:
                raise InputError(f"`{name}` must be one of {', '.join(valid)}; found {getattr(self, name)!r}")
        if not isinstance(self.monitor, str) or not self.monitor:
            raise InputError(f"`monitor` must name a validation value, found {self.monitor!r}")
        self._check_collections()

    def _check_collections(self) -> None:
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise InputError(f"`betas` must be two numbers in [0, 1), found {self.betas!r}")
        for beta in self.betas:
            _check_number("betas", beta, 0.0, math.nextafter(1.0, 0.0))
        object.__setattr__(self, "betas", tuple(float(beta) for beta in self.betas))
        if not isinstance(self.loss_weights, Mapping):
            raise InputError(f"`loss_weights` must map names to numbers, found {self.loss_weights!r}")
        for name, weight in self.loss_weights.items():
            _check_number(f"loss_weights[{name!r}]", weight, 0.0, math.inf)
        object.__setattr__(self, "loss_weights", {str(name): float(w) for name, w in self.loss_weights.items()})

    @classmethod
    def from_file(cls, path: PathLike, table: str | None = None) -> Self:
        """Read the settings from a TOML file; what it does not name keeps its default.

        Parameters
        ----------
        path : path-like
            The file.
        table : str, optional
            Name of the table that holds the settings; the top level by default.

        Raises
        ------
        InputError
            If the file is missing or is no TOML, has no such table, names an unknown setting (the message names the
            nearest valid one), or holds a value out of range.
        """
        try:
            content: Any = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot read the settings {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError.at(path, None, f"not a TOML file: {error}") from error
        if table is not None:
            if not isinstance(content.get(table), dict):
                raise FileFormatError.at(path, None, f"there is no table [{table}]; {nearest_name(table, content)}")
            content = content[table]
        valid = [entry.name for entry in fields(cls)]
        for name in content:
            if name not in valid:
                raise FileFormatError.at(path, None, f"unknown setting {name!r}; {nearest_name(name, valid)}")
        try:
            return cls(**content)
        except InputError as error:
            raise FileFormatError.at(path, None, str(error)) from error


@dataclass(frozen=True)
class ReinforceConfig(FitConfig):
    """How `reinforce` trains: the settings of `FitConfig` and two more; `monitor` is the mean reward, to be raised.

    Parameters
    ----------
    baseline : {"shared", "leave_one_out", "none"}, default "shared"
        As in `policy_gradient_loss`.
    entropy_weight : float >= 0, default 0
        Bonus for the entropy that the rollouts report.

    Examples
    --------
    >>> ReinforceConfig(epochs=100, baseline="leave_one_out").mode
    'max'
    """

    monitor: str = "reward"
    mode: Literal["min", "max"] = "max"
    baseline: Literal["shared", "leave_one_out", "none"] = "shared"
    entropy_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline not in ("shared", "leave_one_out", "none"):
            raise InputError(f"`baseline` must be one of shared, leave_one_out, none; found {self.baseline!r}")
        _check_number("entropy_weight", self.entropy_weight, 0.0, math.inf)


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"`{name}` must be an integer >= {least}, found {value!r}")


def _check_number(name: str, value: Any, low: float, high: float, *, is_open: bool = False) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not (low < value < high if is_open else low <= value <= high):
        kind = f"strictly between {low:g} and {high:g}" if is_open else f"in [{low:g}, {high:g}]"
        raise InputError(f"`{name}` must be a finite number {kind}, found {value!r}")
