"""Training loops: supervised `fit`, policy gradients, checkpoints, data-parallel runs."""

from gnnlib.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from gnnlib.training.command import Course, pack_by_size, start_training, tell_card, training_parser
from gnnlib.training.config import FitConfig, ReinforceConfig
from gnnlib.training.distributed import World, process_group
from gnnlib.training.history import FitResult
from gnnlib.training.loop import HasMetrics, Trainable, fit
from gnnlib.training.optim import MovingAverage, learning_rate_factor, parameter_groups
from gnnlib.training.provenance import new_card, source_commit
from gnnlib.training.reinforce import Rollouts, policy_gradient_loss, reinforce

__all__ = [
    "Checkpoint",
    "Course",
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
    "new_card",
    "pack_by_size",
    "parameter_groups",
    "policy_gradient_loss",
    "process_group",
    "reinforce",
    "save_checkpoint",
    "source_commit",
    "start_training",
    "tell_card",
    "training_parser",
]
