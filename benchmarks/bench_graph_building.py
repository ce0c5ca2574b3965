"""Time the graph builders for 10^3 to 10^6 points of the plane, k = 10, beside what one would do without them.

Peers: scipy's tree asked directly (no order among ties, no removal of the point itself, no edges) and a full distance
matrix in torch. CPU seconds of one thread, the least of the runs that fill one second, compilation before the clock starts.

    python benchmarks/bench_graph_building.py [--largest 1000000] [--out benchmarks/results/graph_building.json]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree

from gnnlib.graphs import delaunay_graph, knn_graph, knn_neighbours, radius_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.typing import FloatArray

K = 10
CLOUDS = {
    "uniform": lambda n, rng: rng.random((n, 2)),
    "clustered": lambda n, rng: (
        rng.random((max(n // 1000, 3), 2))[rng.integers(0, max(n // 1000, 3), n)] + 0.01 * rng.normal(size=(n, 2))
    ),
    "lattice": lambda n, rng: rng.integers(0, int(n**0.5) + 1, (n, 2)).astype(np.float64),
}


def torch_distance_matrix(points: FloatArray) -> torch.Tensor:
    tensor = torch.from_numpy(points)
    return torch.cdist(tensor, tensor).topk(K + 1, largest=False).indices


BUILDERS: dict[str, tuple[int, Callable[[FloatArray], object]]] = {  # name: (largest n, call)
    "knn_neighbours": (10**6, lambda p: knn_neighbours(p, K)),
    "knn_graph": (10**6, lambda p: knn_graph(p, K)),
    "knn_graph, 2 a quadrant": (10**6, lambda p: knn_graph(p, K, quadrants=2)),
    "radius_graph": (10**6, lambda p: radius_graph(p, (K / np.pi / len(p)) ** 0.5)),
    "delaunay_graph": (10**6, delaunay_graph),
    "peer: scipy query": (10**6, lambda p: cKDTree(p).query(p, k=K + 1)),
    "peer: torch cdist + topk": (10**4, torch_distance_matrix),
}
UNIFORM_ONLY = ("radius_graph", "peer: torch cdist + topk")


def least_cpu_seconds(call: Callable[[], object], budget_s: float = 1.0) -> float:
    """Run until the budget is spent; return the least CPU time."""
    times: list[float] = []
    while sum(times) < budget_s:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, 1 thread, {platform.system()} {platform.machine()}"


def commit() -> str:
    here = Path(__file__).parent
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def measure(largest: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    sizes = [n for n in (10**3, 10**4, 10**5, 10**6) if n <= largest]
    for cloud, make in CLOUDS.items():
        print(f"\n{cloud:<26}" + "".join(f"{n:>12,}" for n in sizes) + "   CPU seconds")
        clouds = {n: make(n, np.random.default_rng(0)) for n in sizes}
        for name, (limit, build) in BUILDERS.items():
            if cloud != "uniform" and name in UNIFORM_ONLY:
                continue
            cells = []
            for n, points in clouds.items():
                if n > limit:
                    cells.append(f"{'-':>12}")
                    continue
                seconds = least_cpu_seconds(lambda build=build, points=points: build(points))
                rows.append(
                    {"cloud": cloud, "builder": name, "num_points": n, "k": K, "cpu_seconds": round(seconds, 5)}
                )
                cells.append(f"{seconds:>12.4f}")
            print(f"{name:<26}" + "".join(cells), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=10**6, help="largest number of points")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "graph_building.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    knn_graph(np.random.default_rng(0).random((100, 2)), K, quadrants=2)  # compile
    report = {
        "benchmark": "graph_building",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("gnnlib", "numpy", "scipy", "numba", "torch")},
        "unit": "CPU seconds of one thread, least of the runs that fill one second",
    }
    print(f"{report['machine']}; commit {report['commit']}; {report['versions']}")
    report["rows"] = measure(options.largest)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
