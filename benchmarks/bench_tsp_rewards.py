"""TSP edge scorer: what REINFORCE brought, with the whole search at equal CPU seconds.

    python -m gnnlib.heads.combinatorial.tsp.train --preset small --seed 0 --out gnnlib/weights/tsp   # makes both models
    python benchmarks/bench_tsp_rewards.py                # a CPU minute

Both models stand in ``runs/tsp/small-0``: ``supervised`` learned from tours, ``rewarded`` went on by the policy gradient.
The stop counts the CPU seconds of this process, the forward pass included. What the card says of either (gap of single
descents, average precision) is written beside it. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

from gnnlib.data.generate import GENERATORS
from gnnlib.encoder import GraphModel, read_card
from gnnlib.heads.combinatorial.tsp import priors
from gnnlib.heads.combinatorial.tsp.api import prepare, solve_tsp
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.stop import MaxRuntime

MODELS = ("supervised", "rewarded")
STOPS = {1000: 1.0, 5000: 2.0}
KINDS = ("uniform", "clustered")
FIRST_SEED = 10_000


def run_one(model: GraphModel, kind: str, n: int, seed: int) -> dict[str, float]:
    priors._model = lambda: model  # type: ignore[assignment]  # noqa: SLF001 (in place of the shipped one)
    problem = TSP.from_coords(np.rint(GENERATORS[kind](n, seed=FIRST_SEED + seed) * 1e6), metric="EUC_2D")
    began = time.process_time()
    found = solve_tsp(problem, stop=MaxRuntime(STOPS[n]), seed=seed, prior="gnn")
    return {"length": problem.length(found.order), "cpu_s": round(time.process_time() - began, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/tsp/small-0"), help="where the two models are")
    parser.add_argument("--seeds", type=int, default=3, help="instances of each kind and size")
    chosen = parser.parse_args()
    models = {name: GraphModel.load(chosen.folder / name) for name in MODELS}
    prepare("gnn")
    time.perf_counter = time.process_time  # what the library's clocks read
    rows: list[dict[str, Any]] = []
    for n in STOPS:
        for kind in KINDS:
            for seed in range(chosen.seeds):
                row: dict[str, Any] = {"kind": kind, "n": n, "seed": seed}
                for name, model in models.items():
                    found = run_one(model, kind, n, seed)
                    row[name], row[f"{name}_cpu_s"] = found["length"], found["cpu_s"]
                rows.append(row)
                print(row, flush=True)
    lengths = {f"{row['kind']}-{row['n']}-{row['seed']}": min(row[name] for name in MODELS) for row in rows}
    record.keep_best("tsp_best", lengths)
    card = {
        name: value for name, value in read_card("tsp").metrics.items() if "rewarded" in name or "supervised" in name
    }
    stops = {str(n): stop for n, stop in STOPS.items()}
    print(
        record.write(
            "tsp_rewards", {**record.environment("numba", "torch"), "stops": stops, "card": card, "rows": rows}
        )
    )


if __name__ == "__main__":
    main()
