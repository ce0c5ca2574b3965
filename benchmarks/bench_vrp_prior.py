"""Routing priors: which clients a client may be inserted next to, at equal CPU time.

    python benchmarks/bench_vrp_prior.py                 # about five CPU minutes
    python benchmarks/bench_vrp_prior.py --seconds 2 --instances X-n204-k19

The same search with the same seeds; only the first `count` neighbours of each client differ: the nearest ("distance"),
those of highest score of the shipped network ("gnn", the time of the network counted), or all that the
search ever looks at (none). Instances are of the X set; gaps are to its best known solutions. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import record

from gnnlib.heads.combinatorial.vrp.api import ALL_NEIGHBOURS, solve_vrp
from gnnlib.heads.combinatorial.vrp.io import read_routes, read_vrp
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.stop import MaxRuntime

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP

DATA = (
    Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / "shared" / "data")
    / "combinatorial"
    / "cvrp"
    / "X"
)
INSTANCES = (
    "X-n120-k6",
    "X-n204-k19",
    "X-n242-k48",
    "X-n308-k13",
    "X-n401-k29",
    "X-n561-k42",
    "X-n801-k40",
    "X-n1001-k43",
)
COUNTS = (8, 15, 30)


def run(problem: VRP, prior: str | None, count: int, seconds: float, seed: int) -> tuple[float, float]:
    """Return the cost, and the CPU seconds used."""
    began = time.process_time()
    params = RouteParams(num_neighbours=count)
    found = solve_vrp(problem, stop=MaxRuntime(seconds), seed=seed, prior=prior, params=params)
    return found.cost, time.process_time() - began


def main() -> None:
    """Run and write ``results/vrp_prior.json``."""
    parser = argparse.ArgumentParser(description="Measure routing priors.")
    parser.add_argument("--instances", nargs="+", default=list(INSTANCES))
    parser.add_argument("--seconds", nargs="+", type=float, default=[1.0, 3.0])
    parser.add_argument("--seeds", type=int, default=2)
    chosen = parser.parse_args()
    settings = [(prior, count) for count in COUNTS for prior in ("gnn", "distance")] + [(None, ALL_NEIGHBOURS)]
    cells, gaps = [], {}
    for name in chosen.instances:
        path = DATA / f"{name}.vrp"
        if not path.exists():
            print(f"{name}: not in {DATA}, left out")
            continue
        problem, best = read_vrp(path), read_routes(path.with_suffix(".sol")).cost
        run(problem, "gnn", 8, 5.0, 0)  # compiled and loaded before it is timed
        for seconds in chosen.seconds:
            for prior, count in settings:
                runs = [run(problem, prior, count, seconds, seed) for seed in range(chosen.seeds)]
                gap = [100.0 * (cost / best - 1.0) for cost, _ in runs]
                gaps.setdefault((seconds, prior, count), []).append(float(np.mean(gap)))
                cells.append(
                    {
                        "instance": name,
                        "seconds": seconds,
                        "prior": prior,
                        "neighbours": count,
                        "gap_percent": gap,
                        "cpu_s": [cpu for _, cpu in runs],
                    }
                )
                payload = {**record.environment("torch", "numba"), "seeds": chosen.seeds, "cells": cells}
                record.write("vrp_prior", payload)
                print(f"{name:12} {seconds:4g} s  {prior!s:9} {count:4}  {np.mean(gap):6.3f} %", flush=True)
    for (seconds, prior, count), values in gaps.items():
        print(f"mean         {seconds:4g} s  {prior!s:9} {count:4}  {np.mean(values):6.3f} %")
    record.write("vrp_prior", {**record.environment("torch", "numba"), "seeds": chosen.seeds, "cells": cells})


if __name__ == "__main__":
    main()
