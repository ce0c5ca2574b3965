"""Which parameters decay, how the learning rate moves, and the moving average of the weights."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnlib.training.config import FitConfig

__all__ = ["MovingAverage", "learning_rate_factor", "parameter_groups"]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the trainable parameters into those that decay and those that do not.

    Biases, parameters of normalisation modules (those whose class is named "...Norm...") and everything with fewer
    than two axes do not decay: pulling a scale or an offset towards zero regularises nothing.

    Parameters
    ----------
    model : nn.Module
        Parameters without ``requires_grad`` are left out.
    weight_decay : float >= 0
        Decay of the first group.

    Returns
    -------
    list of dict
        Two groups for a torch optimiser, ``{"params": [...], "weight_decay": ...}``.

    Raises
    ------
    InputError
        If nothing is trainable.

    Examples
    --------
    >>> decaying, others = parameter_groups(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), 0.1)
    >>> [tuple(p.shape) for p in decaying["params"]], [tuple(p.shape) for p in others["params"]]
    ([(3, 4)], [(3,), (3,), (3,)])
    """
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    seen: set[nn.Parameter] = set()
    for module in model.modules():
        is_norm = "norm" in type(module).__name__.lower()
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            is_fixed = is_norm or parameter.ndim < 2 or name.endswith("bias")
            (others if is_fixed else decaying).append(parameter)
    if not seen:
        raise InputError("the model must have a parameter to train, found none that requires a gradient")
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def learning_rate_factor(step: int, config: FitConfig, total_steps: int | None) -> float:
    """Return the learning rate of a step as a fraction of its peak.

    Parameters
    ----------
    step : int >= 0
        Steps done before.
    config : FitConfig
        Schedule, warm-up and final rate. The cosine is that of Loshchilov and Hutter (2017), SGDR, equation 5, without
        restarts.
    total_steps : int or None
        Length of the whole run; not needed by the constant schedule.

    Examples
    --------
    >>> from gnnlib.training import FitConfig
    >>> config = FitConfig(schedule="linear", warmup_steps=2)
    >>> [round(learning_rate_factor(step, config, 6), 2) for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant" or total_steps is None:
        return 1.0
    done = min(1.0, (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps))
    height = 1.0 - done if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return config.final_rate + (1.0 - config.final_rate) * height


class MovingAverage:
    """Exponential moving average of a model's trainable parameters.

    The decay of the n-th update is ``min(decay, (1 + n) / (10 + n))``, so that the random start is forgotten soon.

    Parameters
    ----------
    model : nn.Module
        Whose parameters are averaged; the average begins at their present values.
    decay : float in (0, 1)
        Share of the old average in the new one.

    Examples
    --------
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> average = MovingAverage(layer, 0.9)
    >>> with torch.no_grad():
    ...     _ = layer.weight.zero_()
    >>> for _ in range(400):
    ...     average.update(layer)
    >>> with average.applied_to(layer):
    ...     bool(layer.weight.abs() < 1e-9)
    True
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the present parameters of `model`."""
        decay = min(self.decay, (1.0 + self.updates) / (10.0 + self.updates))
        self.updates += 1
        for name, parameter in model.named_parameters():
            if name in self.values:
                self.values[name].lerp_(parameter, 1.0 - decay)

    @contextlib.contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Put the average into `model` for the time of a ``with`` block."""
        present: dict[str, Tensor] = {}
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self.values:
                    present[name] = parameter.clone()
                    parameter.copy_(self.values[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if name in present:
                        parameter.copy_(present[name])
