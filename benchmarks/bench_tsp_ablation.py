"""TSP: every prior with every search at equal CPU seconds, to see whether the learned prior helps.

    python benchmarks/bench_tsp_ablation.py               # 90 CPU seconds a seed
    python benchmarks/bench_tsp_ablation.py --sizes 5000 --seeds 2 --priors gnn alpha

The instances are those of ``bench_tsp.py``. The stop counts the CPU seconds of this process from the points on, so the
time of a prior counts: the network's forward pass, and the ascent of the 1-tree bound for "alpha" (a tenth of the stop
at most; the other priors go without a bound here). The run resumes: cells in ``results/tsp_ablation.json`` are kept
unless ``--fresh``. Settings were chosen on instances of other seeds. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
import record

from gnnlib.data.generate import uniform
from gnnlib.heads.combinatorial.tsp.api import prepare, solve_tsp
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.stop import MaxRuntime

SECONDS = {1000: 1.0, 5000: 2.0, 10_000: 3.0}
PRIORS: dict[str, str | None] = {"none": None, "knn": "knn", "softdist": "softdist", "alpha": "alpha", "gnn": "gnn"}
SEARCHES: dict[str, dict[str, Any]] = {
    "LK kicks": {"population": 0},
    "k-opt MCTS": {"population": 0, "tree_walks": 20, "exploration": 0.1},
    "population": {},
}
FIRST_SEED = 10_000


def run_one(n: int, seed: int, prior: str, search: str) -> dict[str, Any]:
    problem = TSP.from_coords(np.rint(uniform(n, seed=FIRST_SEED + seed) * 1e6), metric="EUC_2D")
    params = SearchParams(bound_share=0.1 if prior == "alpha" else 0.0, **SEARCHES[search])
    began = time.process_time()
    found = solve_tsp(problem, stop=MaxRuntime(SECONDS[n]), seed=seed, prior=PRIORS[prior], params=params)
    return {
        "length": problem.length(found.order),
        "cpu_s": round(time.process_time() - began, 3),
        "prior_used": found.params["prior_used"],
        "iterations": found.iterations,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(SECONDS), default=sorted(SECONDS))
    parser.add_argument("--priors", nargs="+", choices=PRIORS, default=list(PRIORS))
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--seeds", type=int, default=3, help="instances of each size")
    parser.add_argument("--fresh", action="store_true", help="forget the cells of earlier runs")
    chosen = parser.parse_args()
    payload = None if chosen.fresh else record.read("tsp_ablation")
    rows: dict[str, dict[str, Any]] = payload["rows"] if payload else {}
    time.perf_counter = time.process_time  # what the library's clocks read
    for prior in chosen.priors:  # compiled and loaded before the clock
        prepare(PRIORS[prior])
    for seed in range(chosen.seeds):
        for n in chosen.sizes:
            for search in chosen.searches:
                for prior in chosen.priors:
                    key = f"{n}|{seed}|{search}|{prior}"
                    if key in rows:
                        continue
                    about = record.environment("numba", "torch")
                    row = run_one(n, seed, prior, search)
                    rows[key] = {"commit": about["commit"], **row}
                    print(f"{key:40s} {row['length']} {row['cpu_s']} {row['prior_used']}", flush=True)
                    best = record.read("tsp_best") or {}
                    name = f"uniform-{n}-{seed}"
                    best[name] = min(row["length"], best.get(name, math.inf))
                    record.write("tsp_best", best)
                    seconds = {str(size): stop for size, stop in SECONDS.items()}
                    record.write("tsp_ablation", {**about, "stops": seconds, "rows": rows})


if __name__ == "__main__":
    main()
