"""Train the policy of the spanning-tree game by its rewards; one command makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.combinatorial.mst.train --seed 0 --out gnnlib/weights/graphs-mst

No minimum spanning tree is shown to the network. First policy gradients on random graphs of at most 100 nodes, with the
other forests of the same graph as baseline; then self-play, in which the visits of the tree search train the policy and
the weights met on the way train the value. What self-play makes is kept if it is better on the validation graphs.
"""

from __future__ import annotations

import argparse
import copy
import functools
import logging
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnnlib.encoder import Card, Encoder, GraphModel, seeded_parameters
from gnnlib.heads.combinatorial.games.random_graphs import FAMILIES, random_graph
from gnnlib.heads.combinatorial.mst.baselines import exact_tree
from gnnlib.heads.combinatorial.mst.decode import TreeSearch, score_edges
from gnnlib.heads.combinatorial.mst.graph import MST_SPEC, EdgeGraph, edge_graph, join_edge_graphs
from gnnlib.heads.combinatorial.mst.head import SpanningTreeHead
from gnnlib.heads.combinatorial.mst.rollouts import sample_forests
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.training import FitConfig, ReinforceConfig, fit, reinforce
from gnnlib.training.provenance import new_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

__all__ = ["PRESETS", "Preset", "build_model", "draw_graphs", "main", "measure", "self_play"]

_logger = logging.getLogger(__name__)


_REINFORCE = ReinforceConfig(
    epochs=24, batch_size=32, learning_rate=3e-3, warmup_steps=50, weight_decay=1e-4, ema_decay=0.99
)
_FIT = FitConfig(
    epochs=6, learning_rate=3e-4, weight_decay=1e-4, monitor="ratio", loss_weights={"policy": 1.0, "value": 0.3}
)


@dataclass(frozen=True)
class Preset:
    """Size of the model, of the data and of both stages.

    Parameters
    ----------
    width, edge_width, depth : int
        Arguments of the `Encoder`.
    graphs : int
        Training graphs.
    reinforce : ReinforceConfig
    draws : int
        Forests a graph and step.
    rounds, games, simulations : int
        Rounds of self-play, games a round, simulations a move.
    fit : FitConfig
        Of each round.
    """

    width: int = 32
    edge_width: int = 16
    depth: int = 3
    graphs: int = 2000
    reinforce: ReinforceConfig = _REINFORCE
    draws: int = 16
    rounds: int = 2
    games: int = 150
    simulations: int = 32
    fit: FitConfig = _FIT


#: "small" is what ships; "tiny" shows that everything runs.
PRESETS = {
    "small": Preset(),
    "tiny": Preset(
        16,
        8,
        1,
        40,
        ReinforceConfig(epochs=2, batch_size=8, learning_rate=1e-2),
        4,
        1,
        5,
        8,
        FitConfig(epochs=1, monitor="ratio"),
    ),
}


def draw_graphs(count: int, *, seed: int, low: int = 20, high: int = 100) -> list[WeightedGraph]:
    """Draw random graphs, the five families in turn.

    Parameters
    ----------
    count : int
    seed : int
    low, high : int
        Fewest and most nodes.
    """
    rng = numpy_generator(seed)
    sizes, seeds = rng.integers(low, high + 1, count), rng.integers(0, 2**31, count)
    return [
        random_graph(FAMILIES[i % 5], int(n), seed=int(s)) for i, (n, s) in enumerate(zip(sizes, seeds, strict=True))
    ]


def build_model(preset: Preset, *, seed: int = 0) -> GraphModel:
    """Build an untrained policy."""
    for_encoder, for_head = spawn_seeds(seed, 2)
    encoder = Encoder(
        [MST_SPEC],
        width=preset.width,
        depth=preset.depth,
        edge_width=preset.edge_width,
        sharing="hard",
        seed=for_encoder,
    )
    with seeded_parameters(for_head):
        return GraphModel(encoder, SpanningTreeHead(preset.width))


class _Batches:
    """Graphs in batches, in a new order every epoch."""

    def __init__(self, graphs: Sequence[EdgeGraph], batch_size: int, seed: int | None) -> None:
        self.graphs, self.batch_size, self.seed = graphs, batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.graphs) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[EdgeGraph]:
        order = np.arange(len(self.graphs))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(order))
        for first in range(0, len(order), self.batch_size):
            yield join_edge_graphs([self.graphs[i] for i in order[first : first + self.batch_size].tolist()])


def measured_graph(graph: WeightedGraph) -> EdgeGraph:
    """Build the graph of an instance with the exact weight, for measuring."""
    built, _ = edge_graph(graph)
    scale = float(np.abs(graph.weights).mean())
    return replace(built, exact=torch.tensor([graph.weights[exact_tree(graph)].sum() / scale], dtype=torch.float64))


@torch.inference_mode()
def measure(model: GraphModel, graphs: Sequence[WeightedGraph]) -> dict[str, float]:
    """Return the mean ratio of the greedy tree to the exact one and the share of exact trees."""
    model.eval()
    ratios = np.array([model.head.metrics(model(g), g)["ratio"] for g in map(measured_graph, graphs)])  # type: ignore[operator]
    return {"ratio": float(ratios.mean()), "share exact": float((ratios < 1.0 + 1e-6).mean())}


def self_play(
    model: GraphModel, graphs: Sequence[WeightedGraph], *, simulations: int, seed: int, states: int = 6
) -> list[EdgeGraph]:
    """Play one game on every graph and return what the search saw in some of its states.

    Parameters
    ----------
    model : GraphModel
    graphs : sequence of WeightedGraph
    simulations : int
        A move.
    seed : int
        Of roots, noise and the choice of states.
    states : int, default 6
        A game.

    Returns
    -------
    list of EdgeGraph
        With `targets`, `legal` and `node_cost`.
    """
    rng = numpy_generator(seed)
    found: list[EdgeGraph] = []
    for graph in graphs:
        scores = score_edges(graph, model=model)
        search = TreeSearch(
            scores, graph.num_nodes, simulations, seed=int(rng.integers(2**31)), noise=0.25, candidates=6
        )
        root = int(rng.integers(graph.num_nodes))
        search.play(root)
        cost = torch.full((graph.num_nodes,), torch.nan)
        reached = {root}
        for edge in search.played.tolist():
            for node in (int(search.tails[edge]), int(search.heads[edge])):
                if node not in reached:
                    cost[node] = float(search.weights[edge])
                    reached.add(node)
        picks = rng.choice(len(search.visits), min(states, len(search.visits)), replace=False)
        for pick in picks.tolist():
            state, share = search.visits[pick]
            targets, legal = torch.zeros(len(scores.edges)), torch.zeros(len(scores.edges), dtype=torch.bool)
            candidates = torch.from_numpy(state.candidates)
            legal[candidates] = True
            targets[candidates] = torch.from_numpy(share[: len(candidates)]).float()
            found.append(replace(scores.built, targets=targets, legal=legal, node_cost=cost))
    return found


def _improve(
    model: GraphModel, preset: Preset, graphs: Sequence[WeightedGraph], val: Sequence[WeightedGraph], seed: int
) -> GraphModel:
    """Run the rounds of self-play; a round that does not help is taken back."""
    best = measure(model, val)["ratio"]
    checked = _Batches([_with_labels(measured_graph(graph)) for graph in val], 32, None)
    rng = numpy_generator(seed)
    for number in range(preset.rounds):
        chosen = [graphs[i] for i in rng.choice(len(graphs), min(preset.games, len(graphs)), replace=False)]
        lessons = self_play(model, chosen, simulations=preset.simulations, seed=int(rng.integers(2**31)))
        learner = copy.deepcopy(model)
        fit(learner, _Batches(lessons, 32, seed + number), val=checked, config=preset.fit, seed=seed + number)
        ratio = measure(learner, val)["ratio"]
        _logger.info("round %d of self-play: ratio %.6f, before %.6f", number + 1, ratio, best)
        if ratio <= best:
            model, best = learner, ratio
        else:  # the value head is new even where the policy was better before
            model.head.cost.load_state_dict(learner.head.cost.state_dict())  # type: ignore[union-attr]
    return model


def _with_labels(graph: EdgeGraph) -> EdgeGraph:
    """Add labels without meaning, so that validation can compute the losses that it does not look at."""
    legal = torch.ones_like(graph.part("weight"), dtype=torch.bool)
    share = torch.full_like(graph.part("weight"), 1.0 / max(len(legal), 1))
    return replace(graph, targets=share, legal=legal, node_cost=torch.ones(graph.num_nodes))


def run(preset_name: str, out: Path, *, seed: int = 0, progress: bool = False) -> Card:
    """Train, measure and write one model; return its card."""
    preset = PRESETS[preset_name]
    started = time.perf_counter()
    graphs = draw_graphs(preset.graphs, seed=spawn_seeds(seed, 3)[0])
    val, test = (draw_graphs(100, seed=s, low=100) for s in spawn_seeds(seed, 3)[1:])
    model = build_model(preset, seed=seed)
    reinforce(
        model,
        _Batches([edge_graph(graph)[0] for graph in graphs], preset.reinforce.batch_size, seed),
        functools.partial(sample_forests, draws=preset.draws),
        config=preset.reinforce,
        seed=seed,
        progress=progress,
    )
    rewarded = measure(model, test)
    _logger.info("after policy gradients: %s, slope %.3f", measure(model, val), model.head.slope.item())  # type: ignore[operator]
    model = _improve(model, preset, graphs, val, seed)
    final = measure(model, test)
    model.card = new_card(
        out,
        purpose="policy and value of the spanning-tree game on any weighted graph",
        command=f"python -m gnnlib.heads.combinatorial.mst.train --preset {preset_name}",
        data=f"{preset.graphs} random graphs of 20 to 100 nodes ({', '.join(FAMILIES)}); rewards, no labels",
        seed=seed,
        seconds=time.perf_counter() - started,
        metrics={
            "excess over exact, greedy, n = 100, parts per million": 1e6 * (final["ratio"] - 1.0),
            "share of exact trees, greedy, n = 100": final["share exact"],
            "the same before self-play": 1e6 * (rewarded["ratio"] - 1.0),
        },
    )
    model.save(out)
    return model.card


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(description="Train the policy of the spanning-tree game.")
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
