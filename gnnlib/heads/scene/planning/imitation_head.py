"""The head of the imitation planner: from the embedding of a vehicle and its route to a drivable plan.

The network chooses acceleration and curvature at a few moments; the kinematic bicycle makes them a path, so every plan
can be driven. It is judged by the distance to what was driven, and by the environment losses of
`gnnlib.heads.scene.training.losses`, with the collision loss of `gnnlib.heads.scene.training.contact_loss`; which of them
count, and how much, is said by `FitConfig.loss_weights`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnnlib.encoder import Head, Output
from gnnlib.errors import InputError
from gnnlib.heads.scene.graph import SCENE_SPEC, SceneGraph
from gnnlib.heads.scene.training.contact_loss import contact_loss
from gnnlib.heads.scene.training.losses import Plan, Surroundings, environment_losses

if TYPE_CHECKING:
    from gnnlib.encoder import Embedding
    from gnnlib.graphs.schema import GraphLike

__all__ = ["PLAN_LOSSES", "ROUTE_FEATURES", "PlanGraph", "PlanHead", "PlanOutput", "drive_controls"]

ROUTE_FEATURES = 4 * 14 + 2 + 9 * 4 + 3 + 6
"""Fourteen points of the route with place and direction, the offset from it; who is on it, where it is closed, and what
is in the way first."""

PLAN_LOSSES = ("imitation", "collision", "off_road", "off_route", "smoothness")
"""Names of the losses."""

_KNOT_STEPS = 5
_LOSS_STRIDE = 3
_MAX_ACCELERATION = 6.0
_MAX_CURVATURE = 0.25
_MAX_SIDEWAYS = 6.0


@dataclass
class PlanGraph(SceneGraph):
    """A scene graph, or several, with the vehicles that are to be planned for; E of them, one per ``agent_node``.

    Parameters
    ----------
    origin : Tensor [E, 3], float64
        Pose of each vehicle in the frame of its scene; plans are made in its frame.
    speed : Tensor [E]
        In m/s.
    turned : Tensor [E]
        Heading of the vehicle relative to its motion, in rad.
    size : Tensor [E, 2]
        Length and width in m.
    route : Tensor [E, ROUTE_FEATURES]
        The way to go and who is on it, see `route_features` and `ahead_features` of `gnnlib.heads.scene.planning.imitation_graph`.
    target : Tensor [E, T, 3], optional
        Poses that were driven, in the vehicle's frame.
    imitate : Tensor [E], optional
        How much the distance to the target counts.
    matter : Tensor [E], optional
        How much the vehicle counts in the environment losses, 1 by default; its sum divides the imitation loss, too.
    around : Surroundings, optional
        In the vehicle's frame, at every third step from the third on.
    """

    origin: Tensor | None = None
    speed: Tensor | None = None
    turned: Tensor | None = None
    size: Tensor | None = None
    route: Tensor | None = None
    target: Tensor | None = None
    imitate: Tensor | None = None
    matter: Tensor | None = None
    around: Surroundings | None = None

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move all tensors to `device`; cast the floating ones, but for poses, to `dtype`."""
        moved = super().to(device, dtype)
        for item in fields(PlanGraph):
            value = getattr(self, item.name)
            if item.name in {"speed", "turned", "size", "route", "target", "imitate", "matter", "around"}:
                setattr(moved, item.name, None if value is None else value.to(device, dtype))
        moved.origin = None if self.origin is None else self.origin.to(device)
        return moved


@dataclass
class PlanOutput(Output):
    """Plans in the frames of their vehicles.

    Parameters
    ----------
    xy : Tensor [E, T, 2]
        Centres in m after each step.
    heading_rad : Tensor [E, T]
    speed : Tensor [E, T]
        In m/s.
    """

    xy: Tensor
    heading_rad: Tensor
    speed: Tensor


def drive_controls(speed: Tensor, acceleration: Tensor, curvature: Tensor, dt: float) -> tuple[Tensor, Tensor, Tensor]:
    """Integrate accelerations and curvatures to a path that starts in the origin, heading along x.

    Parameters
    ----------
    speed : Tensor [E]
        At the beginning, in m/s.
    acceleration : Tensor [E, T]
        In m/s^2; the vehicle stops rather than going backwards.
    curvature : Tensor [E, T]
        In 1/m, positive to the left.
    dt : float
        Length of a step in s.

    Returns
    -------
    xy : Tensor [E, T, 2]
    heading_rad : Tensor [E, T]
    speed : Tensor [E, T]

    Examples
    --------
    >>> xy, heading, speed = drive_controls(torch.tensor([10.0]), torch.zeros(1, 2), torch.zeros(1, 2), 0.1)
    >>> xy.tolist(), speed.tolist()
    ([[[1.0, 0.0], [2.0, 0.0]]], [[10.0, 10.0]])
    """
    wanted = speed[:, None] + acceleration.cumsum(1) * dt
    # what keeps max(0, .) from going backwards: lift by the lowest value so far
    lowest = torch.minimum(wanted, torch.zeros_like(wanted)).cummin(1).values
    speeds = wanted - lowest
    before = torch.cat([speed[:, None], speeds[:, :-1]], dim=1)
    way = (speeds + before) / 2 * dt
    turn = way * curvature
    heading = turn.cumsum(1)
    middle = heading - turn / 2
    xy = torch.stack([(way * middle.cos()).cumsum(1), (way * middle.sin()).cumsum(1)], dim=-1)
    return xy, heading, speeds


class PlanHead(Head):
    """Plan for the vehicles of a `PlanGraph`.

    Parameters
    ----------
    width : int
        Channels W of the encoder.
    steps : int, default 30
        Steps T of a plan, a multiple of 5.
    dt : float, default 0.1
        Length of a step in s.

    Raises
    ------
    InputError
        If the number of steps is no multiple of 5.
    """

    spec = SCENE_SPEC

    def __init__(self, width: int, steps: int = 30, dt: float = 0.1) -> None:
        super().__init__()
        if steps < 5 or steps % _KNOT_STEPS:
            raise InputError(f"`steps` must be a positive multiple of {_KNOT_STEPS}, found {steps!r}")
        self.steps, self.dt = steps, dt
        knots = steps // _KNOT_STEPS + 1
        self.route = nn.Sequential(nn.Linear(ROUTE_FEATURES + 2, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.read = nn.Sequential(
            nn.LayerNorm(3 * width), nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, 2 * knots)
        )
        blend = torch.zeros(steps, knots)
        for step in range(steps):
            knot, rest = divmod(step + 0.5, _KNOT_STEPS)
            blend[step, int(knot)] = 1 - rest / _KNOT_STEPS
            blend[step, int(knot) + 1] = rest / _KNOT_STEPS
        self.register_buffer("blend", blend, persistent=False)

    def forward(self, embedding: Embedding, graph: GraphLike) -> PlanOutput:
        """Plan for the vehicles of `graph`, which must be a `PlanGraph`."""
        if not isinstance(graph, PlanGraph) or graph.agent_node is None or graph.speed is None:
            raise InputError(f"the planner reads a PlanGraph, found {type(graph).__name__}; see imitation_graph")
        own = embedding.node.index_select(0, graph.agent_node)
        speed = graph.speed
        extra = torch.stack([speed / 10.0, graph.turned], dim=1)  # type: ignore[list-item]
        way = self.route(torch.cat([graph.route, extra], dim=1))  # type: ignore[list-item]
        knots = self.read(torch.cat([own, way, own * way], dim=1)).unflatten(1, (2, -1))
        push, bend = (knots @ self.blend.T).unbind(1)
        most = (_MAX_SIDEWAYS / speed.clamp_min(1.0).square()).clamp_max(_MAX_CURVATURE)
        acceleration = _MAX_ACCELERATION * torch.tanh(push / _MAX_ACCELERATION)
        curvature = most[:, None] * torch.tanh(0.1 * bend / most[:, None])
        return PlanOutput(*drive_controls(speed, acceleration, curvature, self.dt))

    def losses(self, output: PlanOutput, graph: GraphLike) -> dict[str, Tensor]:  # type: ignore[override]
        """Return the losses named in `PLAN_LOSSES`."""
        if not isinstance(graph, PlanGraph) or graph.target is None or graph.imitate is None or graph.around is None:
            raise InputError("the losses of a planner need a PlanGraph with target, weights and surroundings")
        part = slice(_LOSS_STRIDE - 1, None, _LOSS_STRIDE)
        plan = Plan(output.xy[:, part], output.heading_rad[:, part], graph.size)  # type: ignore[arg-type]
        matter = torch.ones_like(graph.imitate) if graph.matter is None else graph.matter
        result = {"imitation": self._imitation(output, graph.target, graph.imitate, matter)}
        result.update(environment_losses(plan, graph.around, dt=_LOSS_STRIDE * self.dt, weight=matter))
        result["collision"] = (contact_loss(plan, graph.around) * matter).sum() / matter.sum().clamp_min(1e-6)
        return result

    def _imitation(self, output: PlanOutput, target: Tensor, weight: Tensor, matter: Tensor) -> Tensor:
        # what is driven before the next plan is made counts most
        share = torch.arange(1, target.shape[1] + 1, device=target.device) / target.shape[1]
        early = 1.0 / (0.2 + share)
        gap = F.smooth_l1_loss(output.xy, target[..., :2], reduction="none", beta=0.25).sum(-1)
        turn = output.heading_rad - target[..., 2]
        each = ((gap + 5.0 * (1.0 - turn.cos())) * early).mean(1) / early.mean()
        # per vehicle that matters, not per weight: where imitation is dropped, the other losses must gain on it
        return (each * weight).sum() / matter.sum().clamp_min(1e-6)

    def metrics(self, output: PlanOutput, graph: PlanGraph) -> dict[str, Tensor]:
        """Return the mean distance to the target over the horizon ("ade") and at its end ("fde"), in m."""
        if graph.target is None or graph.imitate is None:
            return {}
        gap = (output.xy - graph.target[..., :2]).norm(dim=-1)
        weight = (graph.imitate >= 1.0).to(gap.dtype)
        total = weight.sum().clamp_min(1.0)
        return {"ade": (gap.mean(1) * weight).sum() / total, "fde": (gap[:, -1] * weight).sum() / total}

    @property
    def horizon_s(self) -> float:
        """Length of a plan in s."""
        return math.fsum([self.dt] * self.steps)
