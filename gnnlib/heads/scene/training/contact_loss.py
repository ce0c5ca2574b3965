"""The collision loss of a planner: it says on which side of a contact the vehicle must stay, and who is to keep away.

An overlap alone cannot teach to brake: once the plan runs through a leader, the depth of the overlap changes no more with
speed, and beyond its middle it pushes on ahead. So who was ahead stays ahead here, and the loss grows with every metre
that the plan drives into or past it. Who was behind keeps the distance himself, and counts little; otherwise the recorded
followers, who cannot react, would push a braking plan forwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from gnnlib.heads.scene.training.losses import Plan, Surroundings

__all__ = ["contact_loss"]

_SOFTNESS_M = 0.2
_SIDE_SOFTNESS_M = 0.15
_MOST_M = 8.0
_BEHIND_WEIGHT = 0.2


def contact_loss(plan: Plan, around: Surroundings, *, gap_m: float = 1.0, aside_m: float = 0.2) -> Tensor:
    """Metres by which a plan comes too near to others, summed over them and averaged over steps.

    In the frame of the vehicle at each step, others are boxes along its axes. Whoever was ahead of it when first seen
    costs the length that is missing to `gap_m`, as long as the boxes overlap sideways; whoever was beside or behind
    costs the smaller overlap of the two axes.

    Parameters
    ----------
    plan : Plan
    around : Surroundings
    gap_m : float >= 0, default 1
        Distance to keep from who is ahead.
    aside_m : float >= 0, default 0.2
        Distance to keep sideways.

    Returns
    -------
    Tensor [B]
        In m.

    Raises
    ------
    InputError
        If a distance is negative.

    Examples
    --------
    >>> from gnnlib.heads.scene.training.losses import Plan, Surroundings
    >>> size = torch.tensor([[4.0, 2.0]])
    >>> def towards(x, place):
    ...     plan = Plan(torch.tensor([[[0.0, 0.0], [x, 0.0]]]), torch.zeros(1, 2), size)
    ...     other = torch.tensor([place]).expand(1, 1, 2, 2)
    ...     here, way = torch.ones(1, 1, 2, dtype=torch.bool), torch.zeros(1, 1, 2, 2)
    ...     around = Surroundings(
    ...         other, torch.zeros(1, 1, 2), size[None], here, way, torch.ones(1, 1), here[..., 0], way, here[..., 0]
    ...     )
    ...     return round(float(contact_loss(plan, around)), 2)
    >>> [towards(x, [10.0, 0.0]) for x in (4.0, 6.0, 10.0, 14.0)]
    [0.0, 0.5, 2.22, 3.24]
    >>> towards(14.0, [10.0, 3.5]), towards(0.0, [-5.5, 0.0])
    (0.0, 0.0)
    """
    if not (gap_m >= 0.0 and aside_m >= 0.0):
        raise InputError(f"`gap_m` and `aside_m` must not be negative, found {gap_m!r} and {aside_m!r}")
    if around.agent_xy.shape[1] == 0:
        return plan.xy.sum(dim=(1, 2)) * 0.0
    cos, sin = plan.heading_rad.cos()[:, None], plan.heading_rad.sin()[:, None]
    gap = around.agent_xy - plan.xy[:, None]
    along = cos * gap[..., 0] + sin * gap[..., 1]
    aside = (cos * gap[..., 1] - sin * gap[..., 0]).abs()
    turn = around.agent_heading_rad - plan.heading_rad[:, None]
    half, own = around.agent_size[:, :, None] / 2, plan.size[:, None, None] / 2
    length = own[..., 0] + half[..., 0] * turn.cos().abs() + half[..., 1] * turn.sin().abs()
    width = own[..., 1] + half[..., 0] * turn.sin().abs() + half[..., 1] * turn.cos().abs()
    side = width + aside_m - aside
    begin = around.agent_mask.to(torch.uint8).argmax(dim=-1, keepdim=True)
    first, reach = along.detach().gather(2, begin), length.detach().gather(2, begin)
    into = _MOST_M * torch.tanh(_soft(length + gap_m - along) / _MOST_M) * torch.sigmoid(side / _SIDE_SOFTNESS_M)
    touch = _soft(torch.minimum(length + aside_m - along.abs(), side))
    touch = torch.where(first < -reach, _BEHIND_WEIGHT * touch, touch)
    each = torch.where(first > reach, into, touch)
    return (each * around.agent_mask).sum(1).mean(1)


def _soft(depth: Tensor) -> Tensor:
    return F.softplus(depth / _SOFTNESS_M) * _SOFTNESS_M
