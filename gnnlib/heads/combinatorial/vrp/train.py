"""Train the scores and the policy of vehicle routing; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.combinatorial.vrp.train --preset small --out gnnlib/weights/vrp-policy

generates instances, solves them with the project's own search (cached under ``runs/vrp``), and then trains in three
parts: the graph network on edges and clients; the value of all states, and the policy on tours, on the steps of the
solutions (imitation); and the policy on the cost of what it constructs (REINFORCE).
It measures on instances that took no part, and writes weights and card.
Labels are continued after an interrupt in any case, training with ``--resume``.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Encoder, GraphModel, seeded_parameters
from gnnlib.heads.combinatorial.vrp.graph import VRP_SPEC, RouteGraph, join_route_graphs, route_graph
from gnnlib.heads.combinatorial.vrp.head import RouteHead
from gnnlib.heads.combinatorial.vrp.labels import LabelledRoutes, LabelPlan, make_labels
from gnnlib.heads.combinatorial.vrp.metrics import check_routes
from gnnlib.heads.combinatorial.vrp.policy import Policy
from gnnlib.heads.combinatorial.vrp.train_steps import (
    ImitationBatches,
    SamplingBatches,
    encode_labels,
    sample_routes,
)
from gnnlib.seeding import spawn_seeds
from gnnlib.stop import MaxRuntime
from gnnlib.training import (
    Course,
    FitConfig,
    ReinforceConfig,
    new_card,
    reinforce,
    start_training,
    tell_card,
    training_parser,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gnnlib.encoder import Card
    from gnnlib.heads.combinatorial.vrp.head import StepPolicy
    from gnnlib.heads.combinatorial.vrp.train_steps import Encoded

__all__ = ["PRESETS", "Preset", "RouteBatches", "build_model", "main", "measure_policy"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """Size of the model, of the data and of the three parts of the training.

    Parameters
    ----------
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    plans : tuple of LabelPlan
        Instances for training, for the choice of the best epoch, and for the card.
    scores, imitation : FitConfig
    rewards : ReinforceConfig or None
        None ends the training after the imitation.
    taught, rewarded : int
        Training instances that the policy imitates, and those of them that it is rewarded on; the scores learn from all.
    """

    width: int
    edge_width: int
    depth: int
    plans: tuple[LabelPlan, ...]
    scores: FitConfig
    imitation: FitConfig
    rewards: ReinforceConfig | None
    taught: int = 512
    rewarded: int = 256


_SCORES = FitConfig(
    epochs=9,
    batch_size=16,
    learning_rate=4e-3,
    warmup_steps=60,
    loss_weights={"consecutive": 1.0, "together": 0.5, "gain": 0.5},
    ema_decay=0.99,
    monitor="found",
    mode="max",
)
_IMITATION = FitConfig(epochs=3, batch_size=16, learning_rate=4e-3, warmup_steps=30, ema_decay=0.99, monitor="step")
_REWARDS = ReinforceConfig(
    epochs=20, batch_size=8, learning_rate=1e-3, warmup_steps=10, ema_decay=0.98, monitor="reward", mode="max"
)

_TOURS = LabelPlan("train", 1024, kinds=("tour",))

#: "small" is what ships: ten minutes on one quiet core beside those for the labels. "base" is meant for a dozen
#: cores and hours. "tiny" is for tests.
PRESETS = {
    "small": Preset(
        48,
        24,
        4,
        (LabelPlan("train", 1024), _TOURS, LabelPlan("val", 64), LabelPlan("test", 64, low=100, rounds=2400)),
        _SCORES,
        _IMITATION,
        replace(_REWARDS, epochs=1),
        taught=1024,
    ),
    "base": Preset(
        64,
        32,
        5,
        (LabelPlan("train", 8192), _TOURS, LabelPlan("val", 64), LabelPlan("test", 64, low=100, rounds=2400)),
        replace(_SCORES, epochs=30),
        replace(_IMITATION, epochs=10),
        _REWARDS,
        taught=8192,
        rewarded=8192,
    ),
    "tiny": Preset(
        16,
        8,
        2,
        (LabelPlan("train", 16, 12, 16, 20), LabelPlan("val", 8, 12, 16, 20), LabelPlan("test", 8, 12, 16, 20)),
        replace(_SCORES, epochs=1, warmup_steps=0),
        replace(_IMITATION, epochs=1, warmup_steps=0),
        replace(_REWARDS, epochs=1, warmup_steps=0),
    ),
}


class RouteBatches:
    """Labelled graphs in batches, in a new order every epoch.

    Parameters
    ----------
    graphs : sequence of RouteGraph
    batch_size : int >= 1
    seed : int, optional
        Of the order; without it the order stays that of `graphs`.
    """

    def __init__(self, graphs: Sequence[RouteGraph], batch_size: int, seed: int | None = None) -> None:
        self.graphs, self.batch_size, self.seed = graphs, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.graphs) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[RouteGraph]:
        """Yield the batches of one epoch."""
        order = np.arange(len(self.graphs))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.graphs))
        for first in range(0, len(order), self.batch_size):
            yield join_route_graphs([self.graphs[i] for i in order[first : first + self.batch_size].tolist()])


def build_model(preset: Preset, *, seed: int = 0) -> GraphModel:
    """Build an untrained model.

    Examples
    --------
    >>> build_model(PRESETS["tiny"]).encoder.config.width
    16
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [VRP_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        return GraphModel(encoder, RouteHead(preset.width, 32))


def _train_scores(
    model: GraphModel, splits: dict[str, list[LabelledRoutes]], config: FitConfig, course: Course
) -> bool:
    """Fit encoder and scores; return whether all epochs were done."""
    graphs = {name: [route_graph(one.problem, one.routes) for one in splits[name]] for name in ("train", "val")}
    train = RouteBatches(graphs["train"], config.batch_size, course.seed)
    result = course.part("scores").fit(model, train, val=RouteBatches(graphs["val"], config.batch_size), config=config)
    return result.stopped_by == "epochs"


def _train_policy(model: GraphModel, splits: dict[str, list[LabelledRoutes]], preset: Preset, course: Course) -> bool:
    """Fit the policy by imitation, then by its own rewards; return whether all epochs were done."""
    if not isinstance(model.head, RouteHead):
        return False
    policy = model.head.policy
    order = np.random.default_rng(course.seed).permutation(len(splits["train"]))[: preset.taught]
    taught = [splits["train"][i] for i in order.tolist()]
    train, val = encode_labels(taught, model), encode_labels(splits["val"], model)
    config = preset.imitation
    batches = ImitationBatches(train, policy, config.batch_size, course.seed)
    held = ImitationBatches(val, policy, config.batch_size)
    result = course.part("imitation").fit(policy, batches, val=held, config=config)
    if result.stopped_by != "epochs":
        return False
    _logger.info("after imitation: %s", measure_policy(model, splits["val"]))
    return preset.rewards is None or _reward_policy(policy, train[: preset.rewarded], val, preset.rewards, course)


def _reward_policy(
    policy: StepPolicy, train: list[Encoded], val: list[Encoded], config: ReinforceConfig, course: Course
) -> bool:
    """Raise the rewards of what the policy constructs; return whether all epochs were done."""
    part = course.part("rewards")
    part.folder.mkdir(parents=True, exist_ok=True)
    rewarded = reinforce(
        policy,
        SamplingBatches(train, config.batch_size, course.seed),
        sample_routes,
        val=SamplingBatches(val, config.batch_size),
        config=config,
        stop=None if course.minutes is None else MaxRuntime(60.0 * course.minutes),
        seed=course.seed,
        checkpoint=part.folder / "checkpoint",
        resume=course.resume and any(part.folder.glob("checkpoint*")),
        log=part.folder / "log.csv",
    )
    return rewarded.stopped_by == "epochs"


@torch.inference_mode()
def measure_policy(model: GraphModel, labels: Sequence[LabelledRoutes]) -> dict[str, float]:
    """Return by how much greedy constructions cost more than the labels, in per cent, by kind of instance."""
    model.eval()
    gaps: dict[str, list[float]] = {}
    for one in labels:
        policy = Policy.encode(one.problem, model)
        cost = policy.result(policy.greedy()[1]).cost
        known = check_routes(one.problem, one.routes, [0] * len(one.routes)).cost
        gaps.setdefault(one.kind, []).append(100.0 * (cost / known - 1.0))
    return {f"greedy gap in % ({kind})": round(float(np.mean(values)), 3) for kind, values in gaps.items()}


def _describe_data(plans: Sequence[LabelPlan]) -> str:
    parts = [
        f"{plan.count} generated instances ({', '.join(sorted(set(plan.kinds)))}) of {plan.low} to {plan.high} clients"
        for plan in plans
        if plan.split == "train"
    ]
    return (
        f"{' and '.join(parts)}; routes of gnnlib's own search with {plans[0].rounds} iterations a client; uniform: the "
        "usual CVRP, mixed: CVRP after the laws of the X set, windows: VRPTW, tour: one vehicle without limits; no "
        "benchmark instance was used"
    )


def run(preset_name: str, out: Path, course: Course) -> Card | None:
    """Label, train, measure and write one model; return its card, or None when the time ran out before the last epoch.

    Parameters
    ----------
    preset_name : {"small", "base", "tiny"}
    out : path
        Weights and card, without suffix.
    course : Course
        The labels lie beside its folder.
    """
    preset = PRESETS[preset_name]
    labels = course.folder.parent / "labels"
    splits: dict[str, list[LabelledRoutes]] = {}
    for plan in preset.plans:
        splits.setdefault(plan.split, []).extend(make_labels(plan, labels, progress=course.progress))
    began = time.process_time()
    model = build_model(preset, seed=course.seed)
    if not _train_scores(model, splits, preset.scores, course) or not _train_policy(model, splits, preset, course):
        return None
    seconds = time.process_time() - began
    model.card = new_card(
        out,
        purpose="scores edges and clients of routing problems, and constructs routes step by step",
        command=f"python -m {__spec__.name} --preset {preset_name}",
        data=_describe_data(preset.plans),
        seed=course.seed,
        seconds=seconds,
        metrics=measure_policy(model, splits["test"]),
    )
    model.save(out)
    return model.card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = training_parser(__spec__.name, "Train the routing policy.", PRESETS, runs="runs/vrp")
    chosen = parser.parse_args(arguments)
    start_training()
    return tell_card(run(chosen.preset, chosen.out, Course.from_options(chosen, chosen.preset)))


if __name__ == "__main__":
    sys.exit(main())
