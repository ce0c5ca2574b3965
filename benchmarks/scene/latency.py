"""Time from a scene to a prediction on one core: graph, forward, all together; and growth with the number of agents."""

from __future__ import annotations

import resource
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnnlib.encoder import load
from gnnlib.heads.scene.api import predict_trajectories
from gnnlib.heads.scene.decode import decode
from gnnlib.heads.scene.generate import generate_scene
from gnnlib.heads.scene.graph import scene_graph
from gnnlib.heads.scene.lanemap import Lane, LaneMap
from gnnlib.heads.scene.maps import lane_graph as lane_graph_module
from gnnlib.heads.scene.problem import Scene

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

SIZES = (10, 30, 100, 300, 1000, 2000)


def median_ms(work: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Return the medians of wall-clock and CPU milliseconds, and the least CPU milliseconds."""
    work()
    wall, cpu = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - busy))
    return round(statistics.median(wall), 3), round(statistics.median(cpu), 3), round(min(cpu), 3)


def grid_scene(agents: int, *, lanes_per_agent: float = 5.0, seed: int = 0) -> Scene:
    """Vehicles on parallel two-way streets; about `lanes_per_agent` 15 m pieces for each."""
    rng = np.random.default_rng(seed)
    rows = max(2, round((agents * lanes_per_agent / 20) ** 0.5))
    length = max(60.0, 15.0 * agents * lanes_per_agent / rows)
    lanes = [
        Lane(i, np.stack([np.linspace(0, length, int(length / 5) + 1), np.full(int(length / 5) + 1, 3.5 * i)], axis=1))
        for i in range(rows)
    ]
    lane = rng.integers(rows, size=agents)
    speed = rng.uniform(3.0, 12.0, agents)
    start = rng.uniform(0.0, length, agents)
    along = start[:, None] + speed[:, None] * 0.1 * np.arange(21)
    aside = np.broadcast_to(3.5 * lane[:, None] + rng.normal(0.0, 0.2, agents)[:, None], along.shape)
    return Scene("grid", tuple(range(agents)), np.stack([along, aside], axis=-1), lanes=LaneMap(tuple(lanes)))


def stages(scene: Scene, step: int, model: Any, repeats: int) -> dict[str, Any]:
    graph = scene_graph(scene, at_step=step)

    def first_graph() -> None:
        lane_graph_module.forget()
        scene_graph(scene, at_step=step)

    with torch.inference_mode():
        output = model(graph)
        forward = median_ms(lambda: model(graph), repeats)
    row = {
        "agents": int(graph.agent_node.numel()),
        "lane_pieces": int((graph.node_type == 1).sum()),
        "edges": graph.num_edges,
        "graph_first_ms": median_ms(first_graph, repeats),
        "graph_again_ms": median_ms(lambda: scene_graph(scene, at_step=step), repeats),
        "forward_ms": forward,
        "decode_ms": median_ms(lambda: decode(output, graph, scene, model, modes=6, at_step=step, horizon=30), repeats),
        "predict_ms": median_ms(lambda: predict_trajectories(scene, at_step=step, model=model), repeats),
    }
    row["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return row


def run(options: argparse.Namespace) -> dict[str, Any]:
    model = load(options.model[0] if options.model else "scene")
    repeats = 5 if options.quick else 30
    target = grid_scene(30)
    rows = {"30 agents, 150 pieces": stages(target, 20, model, repeats)}
    for kind in ("intersection", "highway"):
        rows[kind] = stages(generate_scene(kind, seed=3, num_steps=60, density=1.0), 20, model, repeats)
    for name, row in rows.items():
        print(name, row, flush=True)
    growth = [stages(grid_scene(size), 20, model, max(3, repeats * 30 // (30 + size))) for size in SIZES]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {
        "note": "three numbers: median wall-clock, median CPU and least CPU milliseconds, one thread; on a core that other "
        "work shares, the last is nearest to the cost on a quiet one",
        "parameters": parameters,
        "rows": rows,
        "growth": growth,
    }
