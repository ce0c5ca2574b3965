"""One optimiser step and one validation pass; `fit` and `reinforce` differ only in the objective they hand over."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gnnlib.errors import DivergenceError, InputError, WeightsError
from gnnlib.seeding import torch_generator
from gnnlib.training.batches import move_to, reseed
from gnnlib.training.config import nearest_name
from gnnlib.training.optim import MovingAverage, parameter_groups

if TYPE_CHECKING:
    from gnnlib.training.batches import BatchSource
    from gnnlib.training.config import FitConfig
    from gnnlib.training.distributed import World

__all__ = ["Engine", "Objective", "Terms"]

_DROPOUT, _SAMPLING, _VALIDATION = range(1, 4)


class Terms(NamedTuple):
    """What an objective says of one batch: scalar losses to be summed up, and values that are only reported."""

    losses: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor | float]


class Objective(Protocol):
    """How a model is judged on a batch; `generator` is the only randomness it may use beside dropout."""

    def __call__(self, model: Any, batch: Any, generator: torch.Generator) -> Terms:
        """Return the terms of one batch."""


class Engine:
    """A model, its optimiser and the average of its weights.

    Every random number of a step follows from the seed, the number of the step and the rank, never from what ran
    before: a resumed run needs no stored generator states to repeat an uninterrupted one.
    """

    def __init__(self, model: nn.Module, objective: Objective, config: FitConfig, world: World, seed: int) -> None:
        self.model, self.config, self.world, self.seed = model.to(world.device), config, world, seed
        groups = parameter_groups(model, config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.judged = _Judged(model.train(), objective)
        self.exchanging: nn.Module = self.judged
        if world.size > 1:
            # adapters of other domains take no part in a step, so parameters without a gradient are to be expected
            self.exchanging = nn.parallel.DistributedDataParallel(self.judged, find_unused_parameters=True)
        self.average = None if config.ema_decay is None else MovingAverage(model, config.ema_decay)
        self.loss_weights = dict(config.loss_weights)

    def train_step(self, batch: Any, weight: float, step: int, learning_rate: float) -> tuple[dict[str, float], float]:
        """Do one step; return the means of losses, metrics and gradient norm, and the number of graphs of all ranks."""
        reseed(self.seed, _DROPOUT, step, self.world.rank)
        terms = self._judge(self.exchanging, batch, _SAMPLING, step)
        loss = self._weighted_sum(terms.losses)
        means, graphs = self._share(self._values(terms, loss), weight)
        for name in (*terms.losses, "loss"):
            if not math.isfinite(means[name]):
                raise DivergenceError(
                    f"the loss {name!r} became {means[name]} at step {step + 1}; lower `learning_rate`, raise "
                    "`warmup_steps`, or look for such values in the batch"
                )
        if not loss.requires_grad:
            raise InputError("the losses depend on no trainable parameter; check `requires_grad` and `loss_weights`")
        self.optimizer.zero_grad(set_to_none=True)
        # processes average their gradients; the factor makes it the gradient of the mean over the graphs of all
        (loss * (weight * self.world.size / graphs)).backward()
        norm = float(nn.utils.clip_grad_norm_(self.trained.values(), self.config.clip_norm))
        if not math.isfinite(norm):
            raise DivergenceError(f"the gradient became {norm} at step {step + 1} while all losses were finite")
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model)
        return means | {"grad_norm": norm}, graphs

    def evaluate(self, source: BatchSource, epoch: int, is_cut: Callable[[], bool]) -> dict[str, float] | None:
        """Return the means of losses and metrics over the validation data, or None if `is_cut` said to give up."""
        sums: dict[str, float] = {}
        graphs, was_cut = 0.0, False
        self.model.eval()
        with self._averaged_weights(), torch.no_grad():
            for index, (batch, weight) in enumerate(source.epoch(epoch, 0, 0)):
                was_cut = is_cut()
                if was_cut:
                    break
                terms = self._judge(self.judged, batch, _VALIDATION, index)
                for name, value in self._values(terms, self._weighted_sum(terms.losses)).items():
                    sums[name] = sums.get(name, 0.0) + weight * value
                graphs += weight
        self.model.train()
        if self.world.any(was_cut):
            return None
        if not sums:
            raise InputError(f"`val` gave no batch in epoch {epoch}")
        total = self.world.sum([graphs, *sums.values()])
        return {name: value / total[0] for name, value in zip(sums, total[1:], strict=True)}

    def _judge(self, module: nn.Module, batch: Any, purpose: int, index: int) -> Terms:
        device = self.world.device
        words = np.random.SeedSequence([self.seed, purpose, index, self.world.rank])
        use_amp = self.config.amp and device.type == "cuda"
        with torch.autocast(device.type, torch.bfloat16, enabled=use_amp):
            return module(move_to(batch, device), torch_generator(words, device))

    def _weighted_sum(self, losses: Mapping[str, Tensor]) -> Tensor:
        if not isinstance(losses, Mapping) or not losses:
            raise InputError(f"`losses` must return a dict with at least one named loss, found {losses!r}")
        for name, value in losses.items():
            if not isinstance(value, Tensor) or value.numel() != 1:
                found = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise InputError(f"the loss {name!r} must be a scalar tensor, found {found}; take its mean")
        if "loss" in losses and len(losses) > 1:
            raise InputError("no loss may be called 'loss' beside others: that is the name of their weighted sum")
        for name in self.loss_weights:
            if name not in losses:
                raise InputError(f"`loss_weights` names {name!r}, which is no loss; {nearest_name(name, losses)}")
        total = torch.zeros((), device=self.world.device)
        for name, value in losses.items():
            total = total + self.loss_weights.get(name, 1.0) * value.reshape(())
        return total

    def _values(self, terms: Terms, loss: Tensor) -> dict[str, float]:
        """Bring all values to the host at once."""
        named = {**terms.losses, **terms.metrics, "loss": loss}
        device = self.world.device
        stacked = torch.stack([torch.as_tensor(v, device=device).detach().double().reshape(()) for v in named.values()])
        return dict(zip(named, stacked.tolist(), strict=True))

    def _share(self, values: dict[str, float], weight: float) -> tuple[dict[str, float], float]:
        """Average over the graphs of all processes."""
        total = self.world.sum([weight, *(weight * value for value in values.values())])
        if not total[0] > 0:
            raise InputError("a batch must hold at least one graph, found none")
        return {name: value / total[0] for name, value in zip(values, total[1:], strict=True)}, total[0]

    def _averaged_weights(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.average is None else self.average.applied_to(self.model)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of what would be used if training ended now."""
        with self._averaged_weights():
            return {name: value.detach().clone() for name, value in _state(self.model).items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights into the model."""
        present = _state(self.model)
        wrong = [name for name in {*weights, *present} if name not in weights or name not in present]
        wrong += [name for name in present if name in weights and weights[name].shape != present[name].shape]
        if wrong:
            raise WeightsError(f"the checkpoint does not fit the model: {min(wrong)!r} differs in name or shape")
        with torch.no_grad():
            for name, value in present.items():
                value.copy_(weights[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, under prefixed names."""
        result = {f"model.{name}": value for name, value in _state(self.model).items()}
        if self.average is not None:
            result |= {f"average.{name}": value for name, value in self.average.values.items()}
        for name, parameter in self.trained.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                result[f"optimizer.{key}.{name}"] = value
        return result

    def load_tensors(self, tensors: Mapping[str, Tensor], average_updates: int) -> None:
        """Take in what `tensors` returned."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}, "best": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        self.load_weights(parts["model"])
        if self.average is not None:
            if parts["average"].keys() != self.average.values.keys():
                raise WeightsError("the checkpoint does not hold the average of these weights")
            for name, value in self.average.values.items():
                value.copy_(parts["average"][name])
            self.average.updates = average_updates
        for name, value in parts["optimizer"].items():
            key, _, owner = name.partition(".")
            if owner not in self.trained:
                raise WeightsError(f"the checkpoint has an optimiser state for {owner!r}, which is not trained here")
            parameter = self.trained[owner]
            place = torch.device("cpu") if key == "step" else parameter.device  # where AdamW keeps them
            self.optimizer.state[parameter][key] = value.to(place)

    def finish(self, best: Mapping[str, Tensor] | None) -> None:
        """Leave the best weights in the model, in evaluation mode and without gradients."""
        self.load_weights(self.weights() if best is None else best)
        self.optimizer.zero_grad(set_to_none=True)
        self.model.eval()


class _Judged(nn.Module):
    """Model and objective in one module, so that the exchange of gradients sees the losses as its output."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Any, generator: torch.Generator) -> Terms:
        return self.objective(self.model, batch, generator)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
