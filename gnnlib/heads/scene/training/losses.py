"""Losses that a plan incurs from its surroundings: collision, leaving the road or the route, and rough motion.

Each layer of the scene becomes one differentiable, named loss, as in ChauffeurNet [1]_, there on rendered images, here on
polylines and discs. All take a batch of plans and are zero, or nearly, for a plan that is as it should be. With a
margin and a softplus in place of a hard threshold they begin to push before the damage is done.

`environment_losses` returns them by name, ready to be merged into what a `gnnlib.encoder.Head` returns from ``losses``;
`gnnlib.training.FitConfig.loss_weights` weighs them.

.. [1] M. Bansal, A. Krizhevsky, A. Ogale (2018). ChauffeurNet, arXiv 1812.03079, section 5.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from gnnlib.errors import InputError

__all__ = [
    "ENVIRONMENT_LOSSES",
    "Plan",
    "Surroundings",
    "collision_loss",
    "corners",
    "disc_centres",
    "environment_losses",
    "off_road_loss",
    "off_route_loss",
    "road_distance",
    "smoothness_loss",
]

ENVIRONMENT_LOSSES = ("collision", "off_road", "off_route", "smoothness")
"""Names of the losses that `environment_losses` returns."""

DISCS = 3
_EPS = 1e-9


@dataclass
class Plan:
    """A batch of planned motions of one vehicle each.

    Parameters
    ----------
    xy : Tensor [B, T, 2]
        Centres in m after each step; the present pose is not among them.
    heading_rad : Tensor [B, T]
    size : Tensor [B, 2]
        Length and width in m.
    """

    xy: Tensor
    heading_rad: Tensor
    size: Tensor

    def __post_init__(self) -> None:
        batch = self.xy.shape[:2]
        if self.xy.dim() != 3 or self.xy.shape[2] != 2 or not self.xy.shape[1]:
            raise InputError(f"`xy` of a plan must have the shape [B, T >= 1, 2], found {list(self.xy.shape)}")
        if self.heading_rad.shape != batch or self.size.shape != (batch[0], 2):
            raise InputError(
                f"a plan over {list(batch)} needs headings {list(batch)} and sizes [{batch[0]}, 2], "
                f"found {list(self.heading_rad.shape)} and {list(self.size.shape)}"
            )


@dataclass
class Surroundings:
    """What a batch of plans must respect; padded entries are switched off by their masks.

    Parameters
    ----------
    agent_xy : Tensor [B, A, T, 2]
        Centres of the other agents in m at the steps of the plan.
    agent_heading_rad : Tensor [B, A, T]
    agent_size : Tensor [B, A, 2]
        Length and width in m.
    agent_mask : Tensor [B, A, T], bool
        Where an agent is present.
    road : Tensor [B, P, 2, 2]
        Pieces of lane centre lines, from start to end, in m.
    road_half_width : Tensor [B, P]
        Half the width of the lane at each piece in m.
    road_mask : Tensor [B, P], bool
    route : Tensor [B, R, 2, 2]
        Pieces of the centre line that the vehicle should follow.
    route_mask : Tensor [B, R], bool
    """

    agent_xy: Tensor
    agent_heading_rad: Tensor
    agent_size: Tensor
    agent_mask: Tensor
    road: Tensor
    road_half_width: Tensor
    road_mask: Tensor
    route: Tensor
    route_mask: Tensor

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones to `dtype`."""
        tensors = (getattr(self, item.name) for item in fields(self))
        return type(self)(*(t.to(device, dtype if t.is_floating_point() else None) for t in tensors))


def disc_centres(xy: Tensor, heading_rad: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Cover rectangles by three equal discs each, in a row along the vehicle.

    Parameters
    ----------
    xy : Tensor [..., T, 2]
        Centres in m.
    heading_rad : Tensor [..., T]
    size : Tensor [..., 2]
        Length and width in m.

    Returns
    -------
    centres : Tensor [..., T, 3, 2]
    radius : Tensor [...]
        In m; the smallest with which three discs cover the rectangle.

    Examples
    --------
    >>> centres, radius = disc_centres(torch.zeros(1, 2), torch.zeros(1), torch.tensor([6.0, 2.0]))
    >>> centres[0].tolist(), round(float(radius), 3)
    ([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]], 1.414)
    """
    length, width = size.unbind(-1)
    place = torch.arange(DISCS, dtype=xy.dtype, device=xy.device) - (DISCS - 1) / 2
    offset = place * (length / DISCS)[..., None]
    direction = torch.stack([heading_rad.cos(), heading_rad.sin()], dim=-1)
    centres = xy[..., None, :] + offset[..., None, :, None] * direction[..., None, :]
    return centres, torch.hypot(length / (2 * DISCS), width / 2)


def corners(xy: Tensor, heading_rad: Tensor, size: Tensor) -> Tensor:
    """Return the corners [..., T, 4, 2] of rectangles, counter-clockwise from the front left.

    Examples
    --------
    >>> corners(torch.zeros(1, 2), torch.zeros(1), torch.tensor([4.0, 2.0]))[0].tolist()
    [[2.0, 1.0], [-2.0, 1.0], [-2.0, -1.0], [2.0, -1.0]]
    """
    signs = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]], dtype=xy.dtype, device=xy.device) / 2
    local = signs * size[..., None, None, :]
    cos, sin = heading_rad.cos()[..., None], heading_rad.sin()[..., None]
    turned = [local[..., 0] * cos - local[..., 1] * sin, local[..., 0] * sin + local[..., 1] * cos]
    return xy[..., None, :] + torch.stack(turned, dim=-1)


def collision_loss(plan: Plan, around: Surroundings, *, margin_m: float = 0.3, softness_m: float = 0.2) -> Tensor:
    """Overlap of the vehicle with the others, by discs.

    For each step and agent, the depth ``r1 + r2 + margin - d`` of the pair of discs that are nearest, through a
    softplus; summed over agents, averaged over steps.

    Parameters
    ----------
    plan : Plan
    around : Surroundings
    margin_m : float, default 0.3
        Distance to keep.
    softness_m : float > 0, default 0.2
        Width of the transition of the softplus.

    Returns
    -------
    Tensor [B]
        In m.
    """
    own, radius = disc_centres(plan.xy, plan.heading_rad, plan.size)
    other, other_radius = disc_centres(around.agent_xy, around.agent_heading_rad, around.agent_size)
    if other.shape[1] == 0:
        return plan.xy.sum(dim=(1, 2)) * 0.0
    gap = own[:, None, :, :, None] - other[:, :, :, None, :]
    distance = (gap.square().sum(-1) + _EPS).sqrt().flatten(3).amin(-1)
    depth = (radius[:, None] + other_radius)[..., None] + margin_m - distance
    return (_soft(depth, softness_m) * around.agent_mask).sum(1).mean(1)


def off_road_loss(plan: Plan, around: Surroundings, *, margin_m: float = 0.2, softness_m: float = 0.1) -> Tensor:
    """How far the corners of the vehicle are outside all lanes.

    Parameters
    ----------
    plan : Plan
    around : Surroundings
    margin_m : float, default 0.2
        Distance to keep from the edge of the road.
    softness_m : float > 0, default 0.1

    Returns
    -------
    Tensor [B]
        In m, averaged over steps and corners; zero where there is no road at all.
    """
    points = corners(plan.xy, plan.heading_rad, plan.size)
    distance = road_distance(points.flatten(1, 2), around.road, around.road_half_width, around.road_mask)
    # far off, the loss grows slowly: a corner in a hole of the map must not outweigh everything else
    return torch.log1p(_soft(distance + margin_m, softness_m)).mean(1) * around.road_mask.any(1)


def off_route_loss(plan: Plan, around: Surroundings, *, free_m: float = 1.0, softness_m: float = 0.2) -> Tensor:
    """How far the vehicle's centre is from the centre line of its route, beyond a free band.

    Parameters
    ----------
    plan : Plan
    around : Surroundings
    free_m : float, default 1
        Half the width of the band that costs nothing.
    softness_m : float > 0, default 0.2

    Returns
    -------
    Tensor [B]
        In m, averaged over steps; zero where there is no route.
    """
    half_width = torch.full(around.route_mask.shape, free_m, dtype=plan.xy.dtype, device=plan.xy.device)
    distance = road_distance(plan.xy, around.route, half_width, around.route_mask)
    return torch.log1p(_soft(distance, softness_m)).mean(1) * around.route_mask.any(1)


def smoothness_loss(plan: Plan, *, dt: float, acceleration_m_s2: float = 3.0, jerk_m_s3: float = 6.0) -> Tensor:
    """Mean square of acceleration and of its change, each relative to what is still comfortable.

    Parameters
    ----------
    plan : Plan
        With four steps at least.
    dt : float > 0
        Length of a step in s.
    acceleration_m_s2, jerk_m_s3 : float > 0, default 3 and 6
        Values that count as 1.

    Returns
    -------
    Tensor [B]
        Without unit; zero for constant velocity.

    Raises
    ------
    InputError
        If the plan has fewer than four steps.
    """
    if plan.xy.shape[1] < 4:
        raise InputError(f"smoothness needs a plan of at least 4 steps, found {plan.xy.shape[1]}")
    acceleration = plan.xy.diff(n=2, dim=1) / dt**2
    jerk = acceleration.diff(dim=1) / dt
    return sum_square(acceleration) / acceleration_m_s2**2 + sum_square(jerk) / jerk_m_s3**2


def sum_square(vectors: Tensor) -> Tensor:
    """Return the mean over steps of squared lengths, [B, T, 2] to [B]."""
    return vectors.square().sum(-1).mean(1)


def environment_losses(
    plan: Plan, around: Surroundings, *, dt: float, weight: Tensor | None = None
) -> dict[str, Tensor]:
    """Return all losses of this module by name, averaged over the batch.

    Parameters
    ----------
    plan : Plan
    around : Surroundings
    dt : float > 0
        Length of a step in s.
    weight : Tensor [B], optional
        Weight of each plan in the mean; by default all count the same.

    Returns
    -------
    dict of str to Tensor
        Scalars "collision", "off_road", "off_route" (m) and "smoothness".

    Examples
    --------
    >>> still = Plan(torch.zeros(1, 4, 2), torch.zeros(1, 4), torch.tensor([[4.5, 2.0]]))
    >>> nobody = torch.zeros(1, 0, 4)
    >>> lane = torch.tensor([[[[-50.0, 0.0], [50.0, 0.0]]]])
    >>> here = torch.ones(1, 1, dtype=torch.bool)
    >>> around = Surroundings(
    ...     nobody[..., None].expand(1, 0, 4, 2),
    ...     nobody,
    ...     torch.zeros(1, 0, 2),
    ...     nobody.bool(),
    ...     lane,
    ...     torch.tensor([[2.0]]),
    ...     here,
    ...     lane,
    ...     here,
    ... )
    >>> {name: round(float(value), 2) for name, value in environment_losses(still, around, dt=0.1).items()}
    {'collision': 0.0, 'off_road': 0.0, 'off_route': 0.0, 'smoothness': 0.0}
    """
    each = {
        "collision": collision_loss(plan, around),
        "off_road": off_road_loss(plan, around),
        "off_route": off_route_loss(plan, around),
        "smoothness": smoothness_loss(plan, dt=dt),
    }
    if weight is None:
        return {name: value.mean() for name, value in each.items()}
    total = weight.sum().clamp_min(_EPS)
    return {name: (value * weight).sum() / total for name, value in each.items()}


def road_distance(points: Tensor, road: Tensor, half_width: Tensor, mask: Tensor) -> Tensor:
    """Signed distance of points to the union of lane pieces: negative inside.

    A piece is what lies within `half_width` of its segment. Inside the union the value is that of the piece in which
    the point lies deepest, outside it is the true distance.

    Parameters
    ----------
    points : Tensor [B, M, 2]
    road : Tensor [B, P, 2, 2]
        Start and end of each piece.
    half_width : Tensor [B, P]
    mask : Tensor [B, P], bool

    Returns
    -------
    Tensor [B, M]
        In m; a large number where no piece exists.

    Examples
    --------
    >>> piece = torch.tensor([[[[0.0, 0.0], [10.0, 0.0]]]])
    >>> road_distance(torch.tensor([[[5.0, 3.0], [5.0, 1.0]]]), piece, torch.tensor([[2.0]]), torch.tensor([[True]]))
    tensor([[ 1., -1.]])
    """
    if road.shape[1] == 0:
        return points[..., 0] * 0.0
    start, along = road[:, None, :, 0], road[:, None, :, 1] - road[:, None, :, 0]
    to_point = points[:, :, None] - start
    share = (to_point * along).sum(-1) / along.square().sum(-1).clamp_min(_EPS)
    offset = to_point - share.clamp(0.0, 1.0)[..., None] * along
    distance = (offset.square().sum(-1) + _EPS).sqrt() - half_width[:, None]
    return distance.masked_fill(~mask[:, None], 1e4).amin(-1)


def _soft(depth: Tensor, softness: float) -> Tensor:
    if not 0 < softness < math.inf:
        raise InputError(f"`softness_m` must be positive, found {softness!r}")
    return F.softplus(depth / softness) * softness
