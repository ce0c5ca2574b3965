"""TSP: every prior with every search at equal CPU seconds, to see whether the learned prior helps.

    python benchmarks/bench_tsp_ablation.py               # 90 CPU seconds a seed
    python benchmarks/bench_tsp_ablation.py --sizes 5000 --seeds 2 --priors gnn alpha
    python benchmarks/bench_tsp_ablation.py --kind clustered --sizes 1000 --seeds 2
    python benchmarks/bench_tsp_ablation.py --sizes 10000 --seconds 20 --seeds 1 --searches population

The instances are those of ``bench_tsp.py``. The stop counts the CPU seconds of this process from the points on, so the
time of a prior counts: the network's forward pass, and the ascent of the 1-tree bound for "alpha" (a tenth of the stop
at most; the other priors go without a bound here). The run resumes: cells in ``results/tsp_ablation.json`` are kept
unless ``--fresh``. Settings were chosen on instances of other seeds. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import record

from gnnlib.data.generate import GENERATORS
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


def run_one(kind: str, n: int, seconds: float, seed: int, prior: str, search: str) -> dict[str, Any]:
    problem = TSP.from_coords(np.rint(GENERATORS[kind](n, seed=FIRST_SEED + seed) * 1e6), metric="EUC_2D")
    params = SearchParams(bound_share=0.1 if prior == "alpha" else 0.0, **SEARCHES[search])
    began = time.process_time()
    found = solve_tsp(problem, stop=MaxRuntime(seconds), seed=seed, prior=PRIORS[prior], params=params)
    return {
        "length": problem.length(found.order),
        "cpu_s": round(time.process_time() - began, 3),
        "prior_used": found.params["prior_used"],
        "iterations": found.iterations,
    }


def group_of(kind: str, n: int, seconds: float) -> str:
    """Name the cells of one kind, size and stop; uniform points at the usual stop go by their size alone."""
    return str(n) if kind == "uniform" and seconds == SECONDS[n] else f"{kind}-{n}-{seconds:g}s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(SECONDS), default=sorted(SECONDS))
    parser.add_argument("--kind", choices=("uniform", "clustered"), default="uniform")
    parser.add_argument("--seconds", type=float, help="stop; default 1, 2 and 3 s for the three sizes")
    parser.add_argument("--priors", nargs="+", choices=PRIORS, default=list(PRIORS))
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--seeds", type=int, default=3, help="instances of each size")
    parser.add_argument("--fresh", action="store_true", help="forget the cells of earlier runs")
    chosen = parser.parse_args()
    payload = None if chosen.fresh else record.read("tsp_ablation")
    rows: dict[str, dict[str, Any]] = payload["rows"] if payload else {}
    groups: dict[str, dict[str, Any]] = {
        str(n): {"kind": "uniform", "n": n, "seconds": seconds} for n, seconds in SECONDS.items()
    }
    groups.update(payload.get("groups", {}) if payload else {})
    time.perf_counter = time.process_time  # what the library's clocks read
    for prior in chosen.priors:  # compiled and loaded before the clock
        prepare(PRIORS[prior])
    for seed in range(chosen.seeds):
        for n in chosen.sizes:
            for search in chosen.searches:
                for prior in chosen.priors:
                    seconds = chosen.seconds or SECONDS[n]
                    group = group_of(chosen.kind, n, seconds)
                    key = f"{group}|{seed}|{search}|{prior}"
                    if key in rows:
                        continue
                    about = record.environment("numba", "torch")
                    row = run_one(chosen.kind, n, seconds, seed, prior, search)
                    groups[group] = {"kind": chosen.kind, "n": n, "seconds": seconds}
                    rows[key] = {"commit": about["commit"], **row}
                    print(f"{key:40s} {row['length']} {row['cpu_s']} {row['prior_used']}", flush=True)
                    record.keep_best("tsp_best", {f"{chosen.kind}-{n}-{seed}": row["length"]})
                    record.write("tsp_ablation", {**about, "groups": groups, "rows": rows})


if __name__ == "__main__":
    main()
