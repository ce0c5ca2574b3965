"""Policy gradients from several solutions of the same instance.

References
----------
.. [1] R. J. Williams, Simple statistical gradient-following algorithms for connectionist reinforcement learning,
   Machine Learning 8 (1992), theorem 1.
.. [2] Y.-D. Kwon et al., POMO: Policy optimization with multiple optima for reinforcement learning, NeurIPS (2020),
   section 4.2 and algorithm 1: the mean over the rollouts of an instance as their shared baseline.
.. [3] W. Kool, H. van Hoof, M. Welling, Buy 4 REINFORCE samples, get a baseline for free!, ICLR workshop (2019),
   section 3: the mean over the other rollouts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.training.config import ReinforceConfig
from gnnlib.training.engine import Terms
from gnnlib.training.run import RunOptions, run_training

if TYPE_CHECKING:
    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion
    from gnnlib.training.batches import Batches
    from gnnlib.training.history import FitResult
    from gnnlib.typing import PathLike

__all__ = ["Rollouts", "Sampler", "policy_gradient_loss", "reinforce"]


class Rollouts(NamedTuple):
    """K sampled solutions of each of B instances.

    Attributes
    ----------
    log_prob : Tensor [B, K]
        Log-probability of each solution under the policy, with its gradient; the logs of the steps added up.
    reward : Tensor [B, K]
        What each solution is worth: larger is better, so the length of a tour enters with a minus.
    entropy : Tensor, optional
        Entropy of the policy in any shape, with its gradient; its mean is rewarded by `ReinforceConfig.entropy_weight`.
    """

    log_prob: Tensor
    reward: Tensor
    entropy: Tensor | None = None


Sampler = Callable[[Any, Any, torch.Generator], Rollouts]
"""``sample(model, batch, generator)``: draws K solutions per instance with that generator."""


def policy_gradient_loss(
    log_prob: Tensor, reward: Tensor, *, baseline: Literal["shared", "leave_one_out", "none"] = "shared"
) -> Tensor:
    """Return a scalar whose gradient is minus the policy gradient estimated from K solutions per instance.

    It is ``-mean((reward - b) * log_prob)`` with the gradient of `log_prob` only (REINFORCE, Williams 1992).

    Parameters
    ----------
    log_prob : Tensor [B, K]
        Log-probabilities of the solutions.
    reward : Tensor [B, K]
        Rewards, larger is better; its gradient is not followed.
    baseline : {"shared", "leave_one_out", "none"}, default "shared"
        What b is: the mean reward over all K solutions of the instance (POMO, Kwon et al. 2020, section 4.2), the mean
        over the K - 1 others (Kool et al. 2019), or 0.

    Returns
    -------
    Tensor
        Scalar.

    Raises
    ------
    InputError
        If the shapes differ or are not [B, K], if a reward is not finite, or if K = 1 with a baseline.

    Notes
    -----
    For independent solutions the leave-one-out gradient is unbiased. A solution's own reward in the shared baseline
    shortens the expected gradient by the factor (K - 1) / K and turns it nowhere.

    Examples
    --------
    >>> log_prob = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    >>> policy_gradient_loss(log_prob, torch.tensor([[3.0, 1.0]])).backward()
    >>> log_prob.grad
    tensor([[-0.5000,  0.5000]])
    """
    if log_prob.ndim != 2 or log_prob.shape != reward.shape or log_prob.numel() == 0:
        raise InputError(
            f"`log_prob` and `reward` must both have shape [B, K], found {list(log_prob.shape)} and {list(reward.shape)}"
        )
    if not bool(torch.isfinite(reward).all()):
        raise InputError("`reward` must be finite; give an infeasible solution a large finite penalty instead")
    count = reward.shape[1]
    if baseline not in ("shared", "leave_one_out", "none"):
        raise InputError(f"`baseline` must be one of shared, leave_one_out, none; found {baseline!r}")
    if count == 1 and baseline != "none":
        raise InputError("a baseline needs K >= 2 solutions per instance, found 1; sample more, or use baseline='none'")
    advantage = reward.detach()
    if baseline != "none":
        advantage = advantage - advantage.mean(dim=1, keepdim=True)
    if baseline == "leave_one_out":
        advantage = advantage * (count / (count - 1))
    return -(advantage * log_prob).mean()


def reinforce(  # noqa: PLR0913 (the keywords are those of every verb of the library)
    model: nn.Module,
    train: Batches,
    sample: Sampler,
    *,
    val: Batches | None = None,
    config: ReinforceConfig | None = None,
    stop: StopCriterion | None = None,
    seed: Seed = 0,
    device: str | torch.device = "cpu",
    progress: bool = False,
    checkpoint: PathLike | None = None,
    resume: bool = False,
    log: PathLike | None = None,
) -> FitResult:
    """Train a policy by the rewards of the solutions that it samples, and leave the best weights in it.

    Everything but the objective is that of `fit`.

    Parameters
    ----------
    model : nn.Module
        The policy, trained in place and left on `device` in evaluation mode.
    train : sequence of graphs, iterable of batches, or callable
        Instances, as in `fit`; a function of the epoch that generates them is the usual choice.
    sample : callable
        ``sample(model, batch, generator) -> Rollouts``: draws K solutions of each of the B instances of a batch, with
        the torch generator it is given (on `device`) as the only source of randomness.
    val : as `train`, optional
        Instances that decide which weights are best; sampled with the same random numbers every epoch.
    config : ReinforceConfig, optional
        All that concerns the optimisation, the baseline included.
    stop, seed, device, progress, checkpoint, resume, log
        As in `fit`; `seed` also drives `sample`.

    Returns
    -------
    FitResult
        Beside the loss ``policy`` (and ``exploration``, the weighted entropy), its rows hold the mean ``reward``, the
        mean over instances of the largest reward, ``best_reward``, and the mean ``entropy`` if there is one.

    Raises
    ------
    InputError, DivergenceError, WeightsError
        As in `fit`, and if `sample` returns other shapes than [B, K].

    Examples
    --------
    One instance with three answers of known worth:

    >>> class Choice(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.logits = nn.Parameter(torch.zeros(3))
    >>> worth = torch.tensor([0.0, 0.5, 1.0])
    >>> def draw(model, batch, generator):
    ...     log_p = model.logits.log_softmax(0)
    ...     answer = torch.multinomial(log_p.exp(), 8, replacement=True, generator=generator)
    ...     return Rollouts(log_p[answer][None], worth[answer][None])
    >>> policy = Choice()
    >>> config = ReinforceConfig(epochs=60, learning_rate=0.1, weight_decay=0.0)
    >>> result = reinforce(policy, [None], draw, config=config)
    >>> int(policy.logits.argmax()), bool(result.history[-1]["train/reward"] > 0.9)
    (2, True)
    """
    if not isinstance(model, nn.Module) or not callable(sample):
        raise InputError(
            f"`model` must be a torch module and `sample` a function, found {type(model).__name__} and "
            f"{type(sample).__name__}"
        )
    config = config or ReinforceConfig()
    options = RunOptions(stop, seed, device, progress, checkpoint, resume, log)
    return run_training(model, _Rewarded(sample, config), train, val, config=config, options=options)


class _Rewarded:
    """The objective of `reinforce`."""

    def __init__(self, sample: Sampler, config: ReinforceConfig) -> None:
        self.sample = sample
        self.config = config

    def __call__(self, model: Any, batch: Any, generator: torch.Generator) -> Terms:
        rollouts = self.sample(model, batch, generator)
        if not isinstance(rollouts, Rollouts):
            raise InputError(f"`sample` must return Rollouts, found {type(rollouts).__name__}")
        reward = rollouts.reward.detach()
        losses = {"policy": policy_gradient_loss(rollouts.log_prob, reward, baseline=self.config.baseline)}
        metrics = {"reward": reward.mean(), "best_reward": reward.amax(dim=1).mean()}
        if rollouts.entropy is not None:
            metrics["entropy"] = rollouts.entropy.mean()
            if self.config.entropy_weight:
                losses["exploration"] = -self.config.entropy_weight * rollouts.entropy.mean()
        return Terms(losses, metrics)
