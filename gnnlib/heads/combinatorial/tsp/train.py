"""Train the edge scorer; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.combinatorial.tsp.train --preset small --out gnnlib/weights/tsp

generates instances, solves them with the project's own search (cached under ``runs/tsp``), trains on these tours, then by
REINFORCE on the tours that a short search finds with the scores, measures on instances that took no part, and writes
weights and card. The rewarded weights ship only when the validation tours found with them are shorter; the card says
what either kind is worth. Labels are continued after an interrupt in any case, training with ``--resume``.
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
from gnnlib.heads.combinatorial.tsp.graph import TSP_SPEC, TourGraph, join_tour_graphs, neighbour_graph, tour_graph
from gnnlib.heads.combinatorial.tsp.head import TourHead, edge_logits
from gnnlib.heads.combinatorial.tsp.labels import LabelledTour, LabelPlan, make_labels
from gnnlib.heads.combinatorial.tsp.quality import measure_scores, rank_frequencies
from gnnlib.heads.combinatorial.tsp.train_rewards import RewardBatches, prepare_rewards, sample_tours, search_gaps
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
    from gnnlib.training import FitResult
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["PRESETS", "Preset", "TourBatches", "build_model", "main", "measure_model", "reward_model", "train_model"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """Size of the model, of the data and of the training.

    Parameters
    ----------
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    plans : tuple of LabelPlan
        The instances of each split.
    fit : FitConfig
    rewards : ReinforceConfig, optional
        How the policy gradient goes on; without it the training ends after the labels.
    """

    width: int
    edge_width: int
    depth: int
    plans: tuple[LabelPlan, ...]
    fit: FitConfig
    rewards: ReinforceConfig | None = None


_HELD_OUT = (
    LabelPlan("val", 64),
    LabelPlan("test", 64),
    LabelPlan("large", 12, low=1000, high=1000, kicks_per_city=10),
)

_FIT = FitConfig(
    epochs=30,
    batch_size=12,
    learning_rate=4e-3,
    warmup_steps=200,
    loss_weights={"edge": 1.0, "rank": 0.5},
    ema_decay=0.995,
    monitor="average_precision",
    mode="max",
)

_REWARDS = ReinforceConfig(
    epochs=10,
    batch_size=16,
    learning_rate=3e-4,
    warmup_steps=20,
    weight_decay=0.0,
    ema_decay=0.98,
    baseline="leave_one_out",
)

#: "small" is what ships: half an hour on one quiet core. "base" is meant for a GPU beside a dozen cores.
PRESETS = {
    "small": Preset(48, 24, 4, (LabelPlan("train", 1024), *_HELD_OUT), _FIT, _REWARDS),
    "base": Preset(
        128,
        64,
        6,
        (LabelPlan("train", 32_768), *_HELD_OUT),
        replace(_FIT, epochs=40, batch_size=32, learning_rate=2e-3),
        _REWARDS,
    ),
}


class TourBatches:
    """Labelled graphs in batches, in a new order every epoch.

    Parameters
    ----------
    graphs : sequence of TourGraph
    batch_size : int >= 1
        Graphs in a batch; the last batch of an epoch may have fewer.
    seed : int, optional
        Of the order; without it the order stays that of `graphs`.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> square = tour_graph(TSP.from_coords([[0, 0], [0, 1], [1, 1], [1, 0]]), [0, 1, 2, 3])
    >>> [batch.num_graphs for batch in TourBatches([square] * 5, batch_size=2)(1)]
    [2, 2, 1]
    """

    def __init__(self, graphs: Sequence[TourGraph], batch_size: int, seed: int | None = None) -> None:
        self.graphs, self.batch_size, self.seed = graphs, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.graphs) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[TourGraph]:
        """Yield the batches of one epoch."""
        order = np.arange(len(self.graphs))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.graphs))
        for first in range(0, len(order), self.batch_size):
            yield join_tour_graphs([self.graphs[i] for i in order[first : first + self.batch_size].tolist()])


def build_model(preset: Preset, *, seed: int = 0) -> GraphModel:
    """Build an untrained edge scorer.

    Examples
    --------
    >>> build_model(PRESETS["small"]).encoder.config.width
    48
    """
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [TSP_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        return GraphModel(encoder, TourHead(preset.width, preset.edge_width))


def train_model(
    model: GraphModel, train: Sequence[LabelledTour], val: Sequence[LabelledTour], config: FitConfig, course: Course
) -> FitResult:
    """Fit the model; the weights that are best on `val` stay in it.

    Parameters
    ----------
    model : GraphModel
    train, val : sequence of LabelledTour
    config : FitConfig
    course : Course
        Folder, seed and limits of the run.
    """
    graphs = [[tour_graph(tour.problem, tour.order) for tour in tours] for tours in (train, val)]
    return course.fit(
        model,
        TourBatches(graphs[0], config.batch_size, course.seed),
        val=TourBatches(graphs[1], config.batch_size),
        config=config,
    )


def reward_model(
    model: GraphModel,
    train: Sequence[LabelledTour],
    val: Sequence[LabelledTour],
    config: ReinforceConfig,
    course: Course,
) -> FitResult:
    """Go on by REINFORCE on the tours that a descent finds.

    Parameters
    ----------
    model : GraphModel
        Trained already; the weights whose validation tours are the shortest stay in it.
    train, val : sequence of LabelledTour
    config : ReinforceConfig
    course : Course
    """
    parts = [prepare_rewards(tours) for tours in (train, val)]
    course.folder.mkdir(parents=True, exist_ok=True)
    return reinforce(
        model,
        RewardBatches(parts[0], config.batch_size, course.seed),
        sample_tours,
        val=RewardBatches(parts[1], config.batch_size),
        config=config,
        stop=None if course.minutes is None else MaxRuntime(60.0 * course.minutes),
        seed=course.seed,
        checkpoint=course.folder / "checkpoint",
        resume=course.resume and any(course.folder.glob("checkpoint*")),
        log=course.folder / "log.csv",
        progress=course.progress,
    )


def _finish(
    model: GraphModel, splits: dict[str, list[LabelledTour]], preset: Preset, course: Course
) -> dict[str, float] | None:
    """Reward the model, keep the better of both kinds of weights, and say what either is worth; None without the time."""
    if preset.rewards is None:
        return {}
    supervised = {name: value.clone() for name, value in model.state_dict().items()}
    parts = {split: prepare_rewards(splits[split]) for split in ("val", "test")}
    before = {split: float(search_gaps(model, parts[split]).mean()) for split in parts}
    precision = measure_model(model, splits["test"])["average_precision"]
    model.save(course.folder / "supervised")
    result = reward_model(model, splits["train"], splits["val"], preset.rewards, course.part("rewards"))
    if result.stopped_by != "epochs":
        return None
    after = {split: float(search_gaps(model, parts[split]).mean()) for split in parts}
    model.save(course.folder / "rewarded")
    rewarded = measure_model(model, splits["test"])["average_precision"]
    is_better = after["val"] < before["val"]
    if not is_better:
        model.load_state_dict(supervised)
    return {
        "descent gap in % (val, supervised)": before["val"],
        "descent gap in % (val, rewarded)": after["val"],
        "descent gap in % (test, supervised)": before["test"],
        "descent gap in % (test, rewarded)": after["test"],
        "average_precision (test, supervised)": precision,
        "average_precision (test, rewarded)": rewarded,
        "rewarded weights kept": float(is_better),
        "seconds of the policy gradient": result.seconds,
    }


@torch.inference_mode()
def measure_model(model: GraphModel, tours: Sequence[LabelledTour]) -> dict[str, float]:
    """Measure the model's scores against tours, see `gnnlib.heads.combinatorial.tsp.quality.measure_scores`."""
    model.eval()

    def score(tour: LabelledTour, neighbours: IntArray, lengths: FloatArray) -> FloatArray:
        output = model(neighbour_graph(tour.problem.distance_data(), neighbours, lengths))
        return edge_logits(output).reshape(neighbours.shape)

    return measure_scores(tours, score)


def _card_metrics(model: GraphModel, splits: dict[str, list[LabelledTour]]) -> dict[str, float]:
    """Measure each distribution among the test instances, all of them, and the larger ones."""
    groups = {"test": splits["test"], "n=1000": splits["large"]}
    for tour in splits["test"]:
        groups.setdefault(f"test, {tour.distribution}", []).append(tour)
    return {
        f"{name} ({group})": round(value, 5)
        for group, tours in groups.items()
        for name, value in measure_model(model, tours).items()
    }


def _describe_data(plans: Sequence[LabelPlan], kinds: Sequence[str]) -> str:
    train = plans[0]
    return (
        f"{train.count} generated instances ({', '.join(kinds)}) of {train.low} to {train.high} cities, tours of "
        f"gnnlib's own search with {train.kicks_per_city} kicks a city; no benchmark instance was used"
    )


def run(preset_name: str, out: Path, course: Course) -> Card | None:
    """Label, train, measure and write one model; return its card, or None when the time ran out before the last epoch.

    Parameters
    ----------
    preset_name : {"small", "base"}
    out : path
        Weights and card, without suffix.
    course : Course
        The labels lie beside its folder.
    """
    preset = PRESETS[preset_name]
    labels = course.folder.parent / "labels"
    splits = {plan.split: make_labels(plan, labels, progress=course.progress) for plan in preset.plans}
    _logger.info("rank frequencies: %s", np.round(rank_frequencies(splits["train"]), 4).tolist())
    started = time.process_time()
    model = build_model(preset, seed=course.seed)
    result = train_model(model, splits["train"], splits["val"], preset.fit, course)
    brought = _finish(model, splits, preset, course) if result.stopped_by == "epochs" else None
    if brought is None:
        return None
    cpu_s = time.process_time() - started
    model.card = new_card(
        out,
        purpose="scores the candidate edges of a symmetric travelling salesman problem",
        command=f"python -m {__spec__.name} --preset {preset_name}",
        data=_describe_data(preset.plans, sorted({tour.distribution for tour in splits["train"]})),
        seed=course.seed,
        seconds=result.seconds + brought.get("seconds of the policy gradient", 0.0),
        metrics={**_card_metrics(model, splits), **brought, "CPU seconds of the training": cpu_s},
    )
    model.save(out)
    return model.card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = training_parser(__spec__.name, "Train the TSP edge scorer.", PRESETS, runs="runs/tsp")
    chosen = parser.parse_args(arguments)
    start_training()
    return tell_card(run(chosen.preset, chosen.out, Course.from_options(chosen, chosen.preset)))


if __name__ == "__main__":
    sys.exit(main())
