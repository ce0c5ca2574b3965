"""The imitation planner: a network that learned from recordings, as a policy; and its presets.

The presets are the ablation of ChauffeurNet (M. Bansal et al. 2018, arXiv 1812.03079, table 3), named by what each adds to
the one before; `ABLATION` gives their order there, M0 to M4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Encoder, GraphModel, load, seeded_parameters
from gnnlib.errors import InputError
from gnnlib.heads.scene.graph import SCENE_SPEC
from gnnlib.heads.scene.planning.driving import neighbourhood
from gnnlib.heads.scene.planning.imitation_graph import plan_graph
from gnnlib.heads.scene.planning.imitation_head import PLAN_LOSSES, PlanHead, PlanOutput
from gnnlib.heads.scene.training.imitation_data import Augmentation
from gnnlib.seeding import spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.heads.scene.planning.driving import Observation
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["ABLATION", "IMITATION_PRESETS", "ImitationPlanner", "ImitationPreset", "build_planner"]


@dataclass(frozen=True)
class ImitationPreset:
    """One way to train the planner.

    Parameters
    ----------
    augmentation : Augmentation
        What happens to the recordings.
    loss_weights : mapping of str to float
        Weight of each of `PLAN_LOSSES`.
    about : str
        What it adds.
    """

    augmentation: Augmentation
    loss_weights: Mapping[str, float]
    about: str


def _weights(imitation: float, environment: bool) -> dict[str, float]:  # noqa: FBT001 (private)
    values = (imitation, 5.0, 1.0, 0.5, 0.02) if environment else (imitation, 0.0, 0.0, 0.0, 0.0)
    return dict(zip(PLAN_LOSSES, values, strict=True))


IMITATION_PRESETS = {
    "past_dropout": ImitationPreset(
        Augmentation(), _weights(1.0, environment=False), "imitation; half of the vehicles without their past"
    ),
    "perturbed": ImitationPreset(
        Augmentation(perturb=0.5), _weights(1.0, environment=False), "vehicles moved off their path, to come back"
    ),
    "environment": ImitationPreset(
        Augmentation(perturb=0.5), _weights(1.0, environment=True), "losses for collision, road, route, smoothness"
    ),
    "less_imitation": ImitationPreset(
        Augmentation(perturb=0.5), _weights(0.5, environment=True), "a smaller weight of imitation"
    ),
    "imitation_dropout": ImitationPreset(
        Augmentation(perturb=0.5, drop_imitation=0.5),
        _weights(1.0, environment=True),
        "imitation counts for half of the vehicles only",
    ),
}
"""The presets by what they add."""

ABLATION = tuple(IMITATION_PRESETS)
"""M0 to M4."""


def build_planner(*, width: int = 48, depth: int = 2, edge_width: int = 24, seed: int = 0) -> GraphModel:
    """Build an untrained planner on the shared encoder.

    Parameters
    ----------
    width, depth, edge_width : int
        Arguments of the `Encoder`.
    seed : int, default 0

    Examples
    --------
    >>> build_planner().head.steps
    30
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder([SCENE_SPEC], width=width, depth=depth, edge_width=edge_width, sharing="hard", seed=for_encoder)
    with seeded_parameters(for_head):
        return GraphModel(encoder, PlanHead(width))


class ImitationPlanner:
    """A trained network at the wheel.

    Parameters
    ----------
    model : GraphModel, str or path-like, default "scene-planner"
        The network, or the name or path of its weights.
    name : str, optional
        For reports.

    Raises
    ------
    InputError
        If the model has another head.
    WeightsError
        If there are no such weights.

    Examples
    --------
    >>> ImitationPlanner(build_planner(), name="untrained").name
    'untrained'
    """

    def __init__(self, model: GraphModel | PathLike = "scene-planner", *, name: str | None = None) -> None:
        loaded = model if isinstance(model, GraphModel) else load(model)
        if not isinstance(loaded.head, PlanHead):
            raise InputError(f"`model` must have a PlanHead, found {type(loaded.head).__name__}")
        self.model = loaded.eval()
        self.name = name or (f"imitation ({loaded.card.name})" if loaded.card else "imitation")

    def __call__(self, observation: Observation) -> FloatArray:
        """Return the plan of the network [30, 3]."""
        now = observation.state
        scene, row = neighbourhood(observation.scene, observation.ego)
        pose = np.array([[now.x, now.y, now.heading_rad]])
        graph = plan_graph(scene, np.array([row]), pose, np.array([now.speed]), [observation.route])
        with torch.inference_mode():
            output = self.model(graph)
        if not isinstance(output, PlanOutput):
            raise InputError(f"the model must return a PlanOutput, found {type(output).__name__}")
        local = output.xy[0].double().numpy()
        cos, sin = np.cos(now.heading_rad), np.sin(now.heading_rad)
        x = now.x + cos * local[:, 0] - sin * local[:, 1]
        y = now.y + sin * local[:, 0] + cos * local[:, 1]
        return np.column_stack([x, y, now.heading_rad + output.heading_rad[0].double().numpy()])
