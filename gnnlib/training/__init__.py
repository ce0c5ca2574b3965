"""Training loops: supervised `fit`, policy gradients, checkpoints, data-parallel runs."""

from gnnlib.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from gnnlib.training.config import FitConfig, ReinforceConfig
from gnnlib.training.distributed import World, process_group
from gnnlib.training.history import FitResult
from gnnlib.training.loop import HasMetrics, Trainable, fit
from gnnlib.training.optim import MovingAverage, learning_rate_factor, parameter_groups
from gnnlib.training.reinforce import Rollouts, policy_gradient_loss, reinforce

__all__ = [
    "Checkpoint",
    "FitConfig",
    "FitResult",
    "HasMetrics",
    "MovingAverage",
    "ReinforceConfig",
    "Rollouts",
    "Trainable",
    "World",
    "fit",
    "learning_rate_factor",
    "load_checkpoint",
    "parameter_groups",
    "policy_gradient_loss",
    "process_group",
    "reinforce",
    "save_checkpoint",
]
