"""Train the network behind learned distances and landmarks; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.combinatorial.paths.train --seed 0 --out gnnlib/weights/graphs-paths

First distances between their bounds, from exact ones on random graphs of at most 100 nodes with few landmarks; then the
game of landmarks, by policy gradients on how tight the bounds become.
"""

from __future__ import annotations

import argparse
import functools
import logging
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Card, Encoder, GraphModel, seeded_parameters
from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.games.landmarks import LandmarkGame
from gnnlib.heads.combinatorial.games.random_graphs import FAMILIES, random_graph
from gnnlib.heads.combinatorial.mst.graph import edge_graph, join_edge_graphs
from gnnlib.heads.combinatorial.paths.bounds import bound_features, landmark_tables, single_source_bounds
from gnnlib.heads.combinatorial.paths.head import PATH_SPEC, PathGraph, PathHead, PathOutput
from gnnlib.heads.combinatorial.paths.placing import state_features
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.training import FitConfig, ReinforceConfig, Rollouts, fit, reinforce
from gnnlib.training.provenance import new_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.seeding import Seed

__all__ = [
    "PRESETS",
    "Preset",
    "build_model",
    "join_path_graphs",
    "main",
    "path_graph",
    "placed_tightness",
    "sample_landmarks",
]

_logger = logging.getLogger(__name__)


_FIT = FitConfig(epochs=18, learning_rate=3e-3, warmup_steps=50, weight_decay=1e-4, ema_decay=0.99)
_REINFORCE = ReinforceConfig(epochs=10, steps_per_epoch=40, batch_size=16, learning_rate=1e-2, weight_decay=0.0)


@dataclass(frozen=True)
class Preset:
    """Size of the model, of the data and of both stages."""

    width: int = 32
    edge_width: int = 16
    depth: int = 2
    graphs: int = 1600
    fit: FitConfig = _FIT
    reinforce: ReinforceConfig = _REINFORCE
    landmarks: int = 8
    draws: int = 6


#: "small" takes some minutes on one core, "quick" one; "tiny" shows that everything runs.
PRESETS = {
    "small": Preset(),
    "quick": Preset(
        graphs=500,
        fit=replace(_FIT, epochs=8, warmup_steps=20),
        reinforce=replace(_REINFORCE, epochs=4, steps_per_epoch=25),
    ),
    "tiny": Preset(16, 8, 1, 40, FitConfig(epochs=1), ReinforceConfig(epochs=1, weight_decay=0.0), 3, 2),
}


def _some_directed(graph: WeightedGraph, rng: np.random.Generator) -> WeightedGraph:
    """Return a directed variant: two arcs an edge, of differing weights, a tenth of them left out."""
    tails, heads = np.concatenate([graph.tails, graph.heads]), np.concatenate([graph.heads, graph.tails])
    weights = np.tile(graph.weights, 2) * (1.0 + 0.3 * rng.random(2 * graph.num_edges))
    kept = rng.random(len(weights)) < 0.9
    return WeightedGraph(graph.num_nodes, tails[kept], heads[kept], weights[kept], is_directed=True)


def path_graph(graph: WeightedGraph, *, seed: Seed = 0, sources: int = 8, targets: int = 24) -> PathGraph:
    """Build a training graph: distances to be predicted from the bounds of a few landmarks.

    Parameters
    ----------
    graph : WeightedGraph
        Undirected; for about half of the seeds a directed variant of it is asked about.
    seed : int or None
        Of the landmarks, their number, the pairs.
    sources, targets : int
        Sources, and targets of each.
    """
    from scipy.sparse.csgraph import dijkstra

    rng = numpy_generator(seed)
    asked = _some_directed(graph, rng) if rng.random() < 0.5 else graph
    truth = dijkstra(asked.to_sparse())
    count = min(int(rng.choice([2, 4, 8, 16])), graph.num_nodes)
    tables = landmark_tables(asked, rng.choice(graph.num_nodes, count, replace=False))
    unit = float(asked.weights.mean())
    rounds = int(rng.integers(0, 3))
    columns: list[list[np.ndarray]] = [[] for _ in range(5)]
    for source in rng.choice(graph.num_nodes, min(sources, graph.num_nodes), replace=False).tolist():
        each, low, high = single_source_bounds(asked, source, tables, rounds)
        open_ones = np.flatnonzero(np.isfinite(high) & np.isfinite(each).all(axis=1) & (truth[source] > 0))
        chosen = rng.permutation(open_ones)[:targets]
        scale = low[chosen] + unit
        pairs = np.stack([np.full(len(chosen), source), chosen])
        features = bound_features(each[chosen], low[chosen], high[chosen], unit)
        parts = (pairs, features, low[chosen] / scale, high[chosen] / scale, truth[source, chosen] / scale)
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
    built = edge_graph(asked.to_undirected() if asked.is_directed else asked)[0]
    known = {entry.name: getattr(built, entry.name) for entry in fields(built)}
    return PathGraph(
        **known,
        pairs=torch.from_numpy(np.concatenate(columns[0], axis=1)),
        bounds=torch.from_numpy(np.concatenate(columns[1]).astype(np.float32)),
        low=torch.from_numpy(np.concatenate(columns[2]).astype(np.float32)),
        high=torch.from_numpy(np.concatenate(columns[3]).astype(np.float32)),
        truth=torch.from_numpy(np.concatenate(columns[4]).astype(np.float32)),
        distances=torch.from_numpy(dijkstra(graph.to_sparse())[None].astype(np.float32)),
    )


def join_path_graphs(graphs: Sequence[PathGraph]) -> PathGraph:
    """Put graphs side by side into a batch."""
    joined = join_edge_graphs(graphs)
    known = {entry.name: getattr(joined, entry.name) for entry in fields(joined)}
    nodes = [graph.num_nodes for graph in graphs]
    first = np.cumsum([0, *nodes]).tolist()
    distances = torch.full((len(graphs), max(nodes), max(nodes)), torch.inf)
    for row, graph in zip(distances, graphs, strict=True):
        row[: graph.num_nodes, : graph.num_nodes] = graph.part("distances")[0]
    shifted = [graph.part("pairs") + start for graph, start in zip(graphs, first, strict=False)]
    asked = {name: torch.cat([graph.part(name) for graph in graphs]) for name in ("bounds", "low", "high", "truth")}
    return PathGraph(**known, pairs=torch.cat(shifted, dim=1), **asked, distances=distances)


class _Batches:
    """Graphs in batches, in a new order every epoch."""

    def __init__(self, graphs: Sequence[PathGraph], batch_size: int, seed: int | None) -> None:
        self.graphs, self.batch_size, self.seed = graphs, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.graphs) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[PathGraph]:
        order = np.arange(len(self.graphs))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(order))
        for first in range(0, len(order), self.batch_size):
            yield join_path_graphs([self.graphs[i] for i in order[first : first + self.batch_size].tolist()])


def sample_landmarks(
    model: torch.nn.Module,
    graph: PathGraph,
    generator: torch.Generator,
    *,
    landmarks: int = 8,
    draws: int = 4,
    probes: int = 12,
    greedy: bool = False,
) -> Rollouts:
    """Play the game of landmarks on every graph of a batch.

    Parameters
    ----------
    model : GraphModel
        With a `PathHead`.
    graph : PathGraph
        With `distances`.
    generator : torch.Generator
    landmarks : int
        K.
    draws : int
        Games a graph.
    probes : int
        Nodes from which distances are known.
    greedy : bool, default False
        Take the most wanted node instead of sampling.

    Returns
    -------
    Rollouts
        The reward is how tight the bounds are in the mean, 1 at best.
    """
    head = getattr(model, "head", None)
    output = model(graph)
    if not isinstance(head, PathHead) or not isinstance(output, PathOutput):
        raise InputError("the model must have a PathHead")
    distances = graph.part("distances")
    batch = graph.part("batch")
    count, width = distances.shape[:2]
    sizes = torch.bincount(batch, minlength=count)
    column = torch.arange(len(batch), device=batch.device) - (sizes.cumsum(0) - sizes)[batch]
    node = output.node.new_zeros(count, width, output.node.shape[1])
    node[batch, column] = output.node.detach()
    node = node.repeat_interleave(draws, 0)
    game = LandmarkGame(distances.repeat_interleave(draws, 0), landmarks)
    many = sizes.repeat_interleave(draws)
    random = torch.rand(len(many), probes, generator=generator, device=batch.device)
    asked = (random * many.unsqueeze(1)).long()
    state, log_prob, reward = game.start(), torch.zeros(len(many)), torch.zeros(len(many))
    for _ in range(landmarks):
        legal = game.legal(state)
        alive = legal.any(1)
        logits = head.place_logits(node, state_features(game, state, asked)).masked_fill(~legal, -torch.inf)
        logits = torch.where(alive.unsqueeze(1), logits, torch.zeros_like(logits))
        log_p = logits.log_softmax(-1)
        noise = torch.rand(log_p.shape, generator=generator, device=batch.device).clamp(1e-10, 1.0 - 1e-7)
        action = (log_p.detach() - (0.0 if greedy else 1.0) * torch.log(-torch.log(noise))).argmax(-1)
        log_prob = log_prob + log_p.gather(1, action.unsqueeze(1)).squeeze(1) * alive
        state, gained = game.step(state, action)
        reward = reward + gained
    return Rollouts(log_prob.reshape(count, draws), reward.reshape(count, draws))


@torch.no_grad()
def placed_tightness(model: GraphModel, graphs: Sequence[PathGraph], landmarks: int) -> float:
    """Return how tight the bounds of the greedily placed landmarks are in the mean, 1 at best."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    rewards = [
        sample_landmarks(model, batch, generator, landmarks=landmarks, draws=1, greedy=True).reward.mean().item()
        for batch in _Batches(graphs, 25, None)(1)
    ]
    return float(np.mean(rewards))


def build_model(preset: Preset, *, seed: int = 0) -> GraphModel:
    """Build an untrained network."""
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [PATH_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        return GraphModel(encoder, PathHead(preset.width))


def _draw(count: int, seed: int) -> list[PathGraph]:
    rng = numpy_generator(seed)
    sizes, seeds = rng.integers(20, 101, count), rng.integers(0, 2**31, count)
    drawn = zip(range(count), sizes.tolist(), seeds.tolist(), strict=True)
    return [path_graph(random_graph(FAMILIES[i % 5], n, seed=s), seed=s) for i, n, s in drawn]


def run(preset_name: str, out: Path, *, seed: int = 0, progress: bool = False) -> Card:
    """Train, measure and write one model; return its card."""
    preset = PRESETS[preset_name]
    started = time.perf_counter()
    for_train, for_val, for_test = spawn_seeds(seed, 3)
    train, val, test = _draw(preset.graphs, for_train), _draw(150, for_val), _draw(150, for_test)
    _logger.info("graphs built after %.1f s", time.perf_counter() - started)
    model = build_model(preset, seed=seed)
    size = preset.fit.batch_size
    fit(
        model,
        _Batches(train, size, seed),
        val=_Batches(val, size, None),
        config=preset.fit,
        seed=seed,
        progress=progress,
    )
    before = placed_tightness(model, test, preset.landmarks)
    reinforce(
        model,
        _Batches(train, preset.reinforce.batch_size, seed + 1),
        functools.partial(sample_landmarks, landmarks=preset.landmarks, draws=preset.draws),
        config=preset.reinforce,
        seed=seed,
        progress=progress,
    )
    with torch.no_grad():
        losses = [model.losses(model(batch), batch)["distance"].item() for batch in _Batches(test, size, None)(1)]
    model.card = new_card(
        out,
        purpose="learned distances and landmarks for shortest paths on any weighted graph",
        command=f"python -m gnnlib.heads.combinatorial.paths.train --preset {preset_name}",
        data=f"{preset.graphs} random graphs of 20 to 100 nodes ({', '.join(FAMILIES)}) with exact distances",
        seed=seed,
        seconds=time.perf_counter() - started,
        metrics={
            "mean relative error of the distances": float(np.mean(losses)),
            "tightness of 8 landmarks": placed_tightness(model, test, preset.landmarks),
            "tightness before training": before,
        },
    )
    model.save(out)
    return model.card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(description="Train the network behind learned distances and landmarks.")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--progress", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    card = run(options.preset, options.out, seed=options.seed, progress=options.progress)
    for name, value in card.metrics.items():
        _logger.info("%s: %g", name, value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
