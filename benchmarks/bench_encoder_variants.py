"""Which trunk learns best for its cost? Variants of the encoder on exact labels that cost nothing.

Every directed edge of random 8-nearest-neighbour graphs gets three labels: it lies in the minimum spanning tree, it is a
Gabriel edge, it lies in the shortest-path tree from a marked root. Nodes know only whether they are the root; edges know
their length and their rank on either side. Average precision on unseen graphs, mean of the seeds, and CPU time of a step.

Run ``python benchmarks/bench_encoder_variants.py`` (a few minutes of one core).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import cKDTree
from torch import Tensor, nn

from gnnlib.encoder import Encoder, seeded_parameters, tune_cpu
from gnnlib.graphs.schema import GraphSpec, GraphTensors

NEIGHBOURS = 8
NUM_RADIAL = 8
SPEC = GraphSpec("metric", node_dim=1, edge_dim=NUM_RADIAL + 3)
TASKS = ("spanning tree", "gabriel", "shortest path")


@dataclass
class Labelled:
    """One graph with its edge labels [E, 3]."""

    graph: GraphTensors
    label: Tensor


def make_graph(rng: np.random.Generator, num_nodes: int) -> Labelled:
    """Draw points in the square, connect each to its nearest neighbours, label the edges."""
    points = rng.random((num_nodes, 2))
    distance, neighbour = cKDTree(points).query(points, NEIGHBOURS + 1)
    distance, neighbour = distance[:, 1:], neighbour[:, 1:]
    receiver = np.repeat(np.arange(num_nodes), NEIGHBOURS)
    sender, length = neighbour.reshape(-1), distance.reshape(-1)
    rank = np.full((num_nodes, num_nodes), NEIGHBOURS)
    rank[receiver, sender] = np.tile(np.arange(NEIGHBOURS), num_nodes)
    own, other = rank[receiver, sender], rank[sender, receiver]
    scaled = length / distance.mean()
    centres = np.linspace(0, 3, NUM_RADIAL)
    radial = np.exp(-((scaled[:, None] - centres) ** 2) / (2 * 0.4**2))
    features = np.column_stack([radial, own / NEIGHBOURS, other / NEIGHBOURS, other < NEIGHBOURS])

    root = int(rng.integers(num_nodes))
    weights = coo_matrix((length, (receiver, sender)), shape=(num_nodes, num_nodes)).tocsr()
    weights = weights.maximum(weights.T)
    tree = minimum_spanning_tree(weights).toarray() > 0
    tree |= tree.T
    _, parent = dijkstra(weights, indices=root, return_predecessors=True)
    middle = (points[receiver] + points[sender]) / 2
    apart = ((middle[:, None] - points[None]) ** 2).sum(-1)
    apart[np.arange(len(sender)), sender] = apart[np.arange(len(sender)), receiver] = np.inf
    gabriel = apart.min(1) >= (length / 2) ** 2
    shortest = (parent[receiver] == sender) | (parent[sender] == receiver)
    x = np.zeros((num_nodes, 1))
    x[root] = 1
    graph = GraphTensors(
        torch.tensor(x, dtype=torch.float32),
        torch.tensor(np.stack([sender, receiver])),
        torch.tensor(features, dtype=torch.float32),
    )
    return Labelled(
        graph, torch.tensor(np.column_stack([tree[receiver, sender], gabriel, shortest]), dtype=torch.float32)
    )


def join(items: list[Labelled]) -> Labelled:
    """Put graphs side by side."""
    sizes = torch.tensor([item.graph.num_nodes for item in items])
    offset = torch.cumsum(sizes, 0) - sizes
    edge_index = torch.cat([item.graph.edge_index + o for item, o in zip(items, offset, strict=True)], 1)
    edge_attr = torch.cat([item.graph.edge_attr for item in items if item.graph.edge_attr is not None])
    graph = GraphTensors(
        torch.cat([item.graph.x for item in items]),
        edge_index,
        edge_attr,
        batch=torch.repeat_interleave(torch.arange(len(items)), sizes),
    )
    return Labelled(graph, torch.cat([item.label for item in items]))


def average_precision(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the precision-recall steps."""
    hit = label[np.argsort(-score, kind="stable")]
    return float((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit > 0].mean())


def run(variant: dict[str, object], data: tuple[list[Labelled], Labelled], steps: int, seed: int) -> dict[str, float]:
    """Train one variant and measure it on the held-out graphs."""
    train, test = data
    encoder = Encoder([SPEC], seed=seed, **variant)  # type: ignore[arg-type]
    with seeded_parameters(seed + 1):
        read = nn.Linear(encoder.config.width, len(TASKS))
    parameters = [*encoder.parameters(), *read.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    times = []
    for _ in range(steps):
        batch = join([train[i] for i in rng.choice(len(train), 16, replace=False)])
        began = time.process_time()
        logit = read(encoder(batch.graph, SPEC.name).edge)
        loss = nn.functional.binary_cross_entropy_with_logits(logit, batch.label)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        times.append(time.process_time() - began)
    with torch.no_grad():
        score = read(encoder(test.graph, SPEC.name).edge).numpy()
    result = {task: average_precision(score[:, i], test.label[:, i].numpy()) for i, task in enumerate(TASKS)}
    size = sum(parameter.numel() for parameter in parameters)
    return {
        **result,
        "mean": float(np.mean(list(result.values()))),
        "step_ms": 1e3 * float(np.median(times)),
        "parameters": size,
    }


def main() -> None:
    """Run the variants and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "encoder_variants.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tune_cpu()
    rng = np.random.default_rng(0)
    train = [make_graph(rng, int(rng.integers(30, 71))) for _ in range(1000)]
    test = join([make_graph(rng, int(rng.integers(30, 71))) for _ in range(200)])
    variants: list[dict[str, object]] = [
        {"mixer": mixer, "edge_width": args.width // part} for mixer in ("gated", "attention") for part in (4, 2, 1)
    ]
    variants.append({"mixer": "gated", "edge_width": args.width // 2, "full_attention": True})
    rows = []
    for variant in variants:
        settings = {"width": args.width, "depth": args.depth, "full_attention": False, **variant}
        runs = [run(settings, (train, test), args.steps, seed) for seed in range(args.seeds)]
        row = {**settings, **{key: float(np.mean([r[key] for r in runs])) for key in runs[0]}}
        row["spread"] = float(np.ptp([r["mean"] for r in runs]))
        rows.append(row)
        print(
            "  ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"steps": args.steps, "seeds": args.seeds, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
