"""Supervised training in plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.training.config import FitConfig
from gnnlib.training.engine import Terms
from gnnlib.training.run import RunOptions, run_training

if TYPE_CHECKING:
    import torch

    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion
    from gnnlib.training.batches import Batches
    from gnnlib.training.history import FitResult
    from gnnlib.typing import PathLike

__all__ = ["HasMetrics", "Trainable", "fit"]


@runtime_checkable
class Trainable(Protocol):
    """What `fit` needs of a model, which is a `torch.nn.Module` besides; `gnnlib.encoder.GraphModel` has it."""

    def forward(self, graph: Any) -> Any:
        """Return the output for a batch of graphs."""

    def losses(self, output: Any, graph: Any) -> dict[str, Tensor]:
        """Return named scalar losses, each a mean over what it counts."""


@runtime_checkable
class HasMetrics(Protocol):
    """A model, or the ``head`` of one, that names further validation values; `FitConfig.monitor` may choose one."""

    def metrics(self, output: Any, graph: Any) -> dict[str, Tensor | float]:
        """Return named scalars, averaged over the graphs of the validation data."""


def fit(  # noqa: PLR0913 (the keywords are those of every verb of the library)
    model: nn.Module,
    train: Batches,
    *,
    val: Batches | None = None,
    config: FitConfig | None = None,
    stop: StopCriterion | None = None,
    seed: Seed = 0,
    device: str | torch.device = "cpu",
    progress: bool = False,
    checkpoint: PathLike | None = None,
    resume: bool = False,
    log: PathLike | None = None,
) -> FitResult:
    """Train a model on the losses it names, and leave the best weights in it.

    AdamW (Loshchilov and Hutter 2019, algorithm 2) with a warm-up and a schedule, gradient clipping and, if wished, an
    exponential average of the weights. Under ``torchrun`` the processes share the work.

    Parameters
    ----------
    model : nn.Module with ``forward(graph)`` and ``losses(output, graph)``
        As `gnnlib.encoder.GraphModel`; trained in place and left on `device` in evaluation mode.
    train : sequence of graphs, iterable of batches, or callable
        PyG graphs are shuffled and batched here. Anything else is taken as ready batches: an iterable, or a function
        of the number of the epoch (from 1) that returns one and draws its randomness from that number alone.
    val : as `train`, optional
        What decides which weights are best; read once an epoch, so no iterator.
    config : FitConfig, optional
        All that concerns the optimisation.
    stop : StopCriterion, optional
        A further limit. One iteration is one optimiser step, steps before a resume counted; its best value is the
        monitored one. Looked at after every step and every validation batch.
    seed : int or None, default 0
        Order of the graphs and dropout; torch's global generators are left as they were.
    device : str or torch.device, default "cpu"
        Where to train.
    progress : bool, default False
        Show a progress bar.
    checkpoint : path-like, optional
        File that holds the whole state of the run after every epoch and at the end.
    resume : bool, default False
        Go on from `checkpoint`, which must exist, with the same model, data, settings and seed. On a CPU the result is
        bit for bit that of a run without the break.
    log : path-like, optional
        CSV file to which a row is appended after every epoch.

    Returns
    -------
    FitResult
        History and figures. The model holds the best validated weights; without validation, or before the first one,
        the last. On Ctrl-C too.

    Raises
    ------
    InputError
        If an argument does not fit, a loss is no scalar, or `config` names a loss or value that does not exist.
    DivergenceError
        If a loss or the gradient becomes infinite or NaN. The weights are then those before that step.
    WeightsError
        If the checkpoint is damaged or fits neither the model nor the settings.

    Examples
    --------
    >>> import torch
    >>> class Line(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.read = torch.nn.Linear(1, 1)
    ...
    ...     def forward(self, graph):
    ...         return self.read(graph["x"])
    ...
    ...     def losses(self, output, graph):
    ...         return {"square": (output - graph["y"]).square().mean()}
    >>> x = torch.linspace(-1, 1, 16).reshape(-1, 1)
    >>> model = Line()
    >>> config = FitConfig(epochs=150, learning_rate=0.1, weight_decay=0.0)
    >>> result = fit(model, [{"x": x, "y": 3 * x + 1}], config=config)
    >>> result.steps, bool(result.best["train/square"] < 1e-3)
    (150, True)
    """
    if not isinstance(model, nn.Module) or not isinstance(model, Trainable):
        raise InputError(
            "`model` must be a torch module with forward(graph) and losses(output, graph), "
            f"found {type(model).__name__}"
        )
    options = RunOptions(stop, seed, device, progress, checkpoint, resume, log)
    return run_training(model, _Supervised(model), train, val, config=config or FitConfig(), options=options)


class _Supervised:
    """The objective of `fit`."""

    def __init__(self, model: Any) -> None:
        named = model if isinstance(model, HasMetrics) else getattr(model, "head", None)
        self.metrics = named.metrics if isinstance(named, HasMetrics) else None

    def __call__(self, model: Any, batch: Any, generator: torch.Generator) -> Terms:  # noqa: ARG002 (nothing is sampled)
        output = model(batch)
        losses = model.losses(output, batch)
        return Terms(losses, {} if model.training or self.metrics is None else self.metrics(output, batch))
