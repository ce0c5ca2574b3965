"""Time and memory of the encoder and of PyG stacks of the same width and depth, for 10^3 to 10^6 edges.

    python benchmarks/bench_encoder.py                    # everything: about ten minutes on a quiet core
    python benchmarks/bench_encoder.py --sizes 1000 10000 100000

Graphs are the 10 nearest neighbours of uniform points. One process for each size times all models in turn, round after
round, so that a busy machine slows all alike; one process for each size and model measures memory. Both sides have the
allocator setting of `gnnlib.tune_cpu`.

A peer's block is ``h + relu(conv(norm(h)))`` with edge features embedded to the full width, as ours are; "raw edges" leaves
the 16 features as they are. Ours has a feed-forward of ratio 2 in every block, edge states that are updated, and returns
node, edge and graph states; the peers return node states. Backward starts at the node states on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import record
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from gnnlib.encoder import Encoder, tune_cpu
from gnnlib.graphs.schema import GraphSpec, GraphTensors

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = GraphSpec("bench", node_dim=8, edge_dim=16)
OURS = {
    "gnnlib": ("gated", "auto"),
    "gnnlib, gated sparse": ("gated", "sparse"),
    "gnnlib, gated dense": ("gated", "dense"),
    "gnnlib, attention sparse": ("attention", "sparse"),
    "gnnlib, attention dense": ("attention", "dense"),
}
PEERS = {
    "GATv2Conv": ("GATv2Conv", True),
    "ResGatedGraphConv": ("ResGatedGraphConv", True),
    "GATv2Conv, raw edges": ("GATv2Conv", False),
}
MODES = ("forward", "forward + backward")
SECONDS_PER_MODEL = 4.0
MOST_ROUNDS = 30
MEMORY_SHARE = 0.5


class PeerStack(nn.Module):
    """PyG convolutions with norm, ReLU and residual, edge features in every layer."""

    def __init__(self, kind: str, width: int, depth: int, *, embed_edges: bool) -> None:
        super().__init__()
        import torch_geometric.nn as pyg

        edge_dim = width if embed_edges else SPEC.edge_dim
        self.node_in = nn.Linear(SPEC.node_dim, width)
        self.edge_in = nn.Linear(SPEC.edge_dim, width) if embed_edges else nn.Identity()
        if kind == "GATv2Conv":
            make = lambda: pyg.GATv2Conv(width, width // 8, heads=8, edge_dim=edge_dim, add_self_loops=False)  # noqa: E731
        else:
            make = lambda: pyg.ResGatedGraphConv(width, width, edge_dim=edge_dim)  # noqa: E731
        self.convs = nn.ModuleList(make() for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))

    def forward(self, graph: GraphTensors) -> Tensor:
        """Return node states [N, W]."""
        node, edge = self.node_in(graph.x), self.edge_in(graph.edge_attr)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            node = node + torch.relu(conv(norm(node), graph.edge_index, edge))
        return node


def make_graph(num_edges: int, neighbours: int) -> GraphTensors:
    """Draw uniform points, join each to its nearest neighbours, in the order of the receivers."""
    rng = np.random.default_rng(0)
    points = rng.random((num_edges // neighbours, 2))
    _, nearest = cKDTree(points).query(points, neighbours + 1)
    receiver = np.repeat(np.arange(len(points)), neighbours)
    edge_index = torch.from_numpy(np.stack([nearest[:, 1:].reshape(-1), receiver]))
    x, edge_attr = rng.standard_normal((len(points), SPEC.node_dim)), rng.standard_normal((num_edges, SPEC.edge_dim))
    return GraphTensors(torch.from_numpy(x).float(), edge_index, torch.from_numpy(edge_attr).float())


def make_model(name: str, width: int, depth: int) -> Callable[[GraphTensors], Tensor]:
    """Return the function from a graph to its node states."""
    if name in PEERS:
        kind, embed = PEERS[name]
        return PeerStack(kind, width, depth, embed_edges=embed)
    mixer, backend = OURS[name]
    encoder = Encoder([SPEC], width=width, depth=depth, mixer=mixer)  # type: ignore[arg-type]
    encoder.backend = backend  # type: ignore[assignment]
    return lambda graph: encoder(graph, SPEC.name).node


def run_once(model: Callable[[GraphTensors], Tensor], graph: GraphTensors, mode: str) -> tuple[float, float]:
    """Run and return wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    if mode == "forward":
        with torch.no_grad():
            model(graph)
    else:
        model(graph).square().mean().backward()
    return time.perf_counter() - wall, time.process_time() - cpu


def time_models(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Time all models of one size in turn, until each has had its share of seconds or 30 rounds."""
    graph = make_graph(job["edges"], job["neighbours"])
    models = {name: make_model(name, job["width"], job["depth"]) for name in job["models"]}
    rows = []
    for mode in MODES:
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in models if mode in job["modes"][name]}
        for name in taken:
            run_once(models[name], graph, mode)
        began, rounds = time.process_time(), 0
        share = SECONDS_PER_MODEL * len(taken)
        while rounds < job["least_rounds"] or (rounds < MOST_ROUNDS and time.process_time() - began < share):
            rounds += 1
            for name, pairs in taken.items():
                pairs.append(run_once(models[name], graph, mode))
        for name, pairs in taken.items():
            wall, cpu = zip(*pairs, strict=True)
            rows.append(
                {
                    "model": name,
                    "mode": mode,
                    "cpu_ms": 1e3 * statistics.median(cpu),
                    "least_cpu_ms": 1e3 * min(cpu),
                    "wall_ms": 1e3 * statistics.median(wall),
                    "rounds": len(pairs),
                }
            )
    return rows


def measure_memory(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the peak resident size above that before the run, for one model and size."""
    graph = make_graph(job["edges"], job["neighbours"])
    small = make_graph(1000, job["neighbours"])
    (name,) = job["models"]
    model = make_model(name, job["width"], job["depth"])
    for mode in MODES:
        run_once(model, small, mode)
    before = resident("VmRSS")
    rows = []
    for mode in job["modes"][name]:
        Path("/proc/self/clear_refs").write_text("5")
        run_once(model, graph, mode)
        rows.append({"model": name, "mode": mode, "memory_mb": (resident("VmHWM") - before) / 1024})
    return rows


def resident(key: str) -> float:
    """Read a size of this process, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(key)).split()[1])


def available_mb() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) / 1024


def child(job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    tune_cpu()
    print(json.dumps(time_models(job) if job["task"] == "time" else measure_memory(job)))


def call(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one job in a process of its own."""
    command = [sys.executable, __file__, "--child", json.dumps(job)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": str(job["threads"])}
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_size(job: dict[str, Any], memory: dict[str, float]) -> list[dict[str, Any]]:
    """Measure one size; what by the last size's memory would not fit is measured forward only."""
    limit = MEMORY_SHARE * available_mb()
    modes = {name: MODES if memory.get(name, 0.0) * job["growth"] < limit else MODES[:1] for name in job["models"]}
    job = {**job, "modes": modes}
    rows = [
        {"model": name, "mode": MODES[1], "skipped": f"would need {memory[name] * job['growth'] / 1024:.0f} GB"}
        for name in job["models"]
        if MODES[1] not in modes[name]
    ]
    peaks = {}
    for name in job["models"]:
        for row in call({**job, "task": "memory", "models": [name]}):
            peaks[name, row["mode"]] = row["memory_mb"]
    rows += [{**row, "memory_mb": peaks[row["model"], row["mode"]]} for row in call({**job, "task": "time"})]
    memory.update({name: peak for (name, mode), peak in peaks.items() if mode == MODES[1]})
    for row in rows:
        row["edges"] = job["edges"]
        print({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
    return rows


def markdown(payload: dict[str, Any]) -> list[str]:
    """Write the tables of RESULTS.md."""
    settings = payload["settings"]
    sizes = sorted({row["edges"] for row in payload["rows"]})
    lines = [
        f"Command: `python benchmarks/bench_encoder.py`. Width {settings['width']}, {settings['depth']} layers, "
        f"{settings['neighbours']} edges a node, {settings['threads']} thread(s), single precision, CPU milliseconds "
        "(median); in brackets the time of `gnnlib` over the peer's. Peak memory in MB, above the inputs. Ours includes a "
        "feed-forward in every block and returns node, edge and graph states, the peers node states only.",
        "",
    ]
    for mode in MODES:
        lines += [f"### {mode[0].upper()}{mode[1:]}", "", "| model |" + "".join(f" {size:,} edges |" for size in sizes)]
        lines.append("|" + " --- |" * (len(sizes) + 1))
        found = {
            (row["model"], row["edges"]): row for row in payload["rows"] if row["mode"] == mode and "cpu_ms" in row
        }
        for name in (*OURS, *PEERS):
            cells = []
            for size in sizes:
                row, mine = found.get((name, size)), found.get(("gnnlib", size))
                if row is None or mine is None:
                    cells.append("-")
                    continue
                ratio = f" ({mine['cpu_ms'] / row['cpu_ms']:.2f})" if name in PEERS else ""
                cells.append(f"{row['cpu_ms']:,.1f} ms{ratio}, {row['memory_mb']:,.0f} MB")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    skipped = [
        f"{row['model']} at {row['edges']:,} edges ({row['skipped']})" for row in payload["rows"] if "skipped" in row
    ]
    return [*lines, *([f"Left out: {'; '.join(skipped)}.", ""] if skipped else [])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--name", default="encoder", help="name of the file of results")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(json.loads(args.child))
        return
    settings = {key: getattr(args, key) for key in ("width", "depth", "neighbours", "threads", "models")}
    memory: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    last = args.sizes[0]
    for edges in args.sizes:
        job = {**settings, "edges": edges, "growth": edges / last, "least_rounds": 3 if edges < 500_000 else 2}
        rows += run_size(job, memory)
        last = edges
    payload = {**record.environment("torch", "torch_geometric", "numba"), "settings": settings, "rows": rows}
    payload["load"] = list(os.getloadavg())
    payload["markdown"] = markdown(payload)
    print("\n".join(payload["markdown"]))
    print("wrote", record.write(args.name, payload).name)


if __name__ == "__main__":
    main()
