"""Routing priors: which clients a client may be inserted next to, at equal CPU time.

    python benchmarks/bench_vrp_prior.py                 # about five CPU minutes
    python benchmarks/bench_vrp_prior.py --seconds 2 --instances X-n204-k19

The same search with the same seeds; only the first `count` neighbours of each client differ: the nearest ("distance"),
those of highest score of the shipped network ("gnn", the time of the network taken off its budget), or all that the
search ever looks at (none). Instances are of the X set; gaps are to its best known solutions. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import record
import torch

from gnnlib.encoder import load
from gnnlib.heads.combinatorial.vrp import decode_plain
from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.io import read_routes, read_vrp
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.policy import WEIGHTS
from gnnlib.heads.combinatorial.vrp.priors import order_neighbours
from gnnlib.stop import MaxRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnlib.encoder import GraphModel
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
ALL = 100


@contextmanager
def neighbours(problem: VRP, prior: str | None, count: int, model: GraphModel) -> Iterator[None]:
    """Let the search see the neighbour lists of a prior."""
    plain = decode_plain.nearest_clients

    def chosen(coords: Any, width: int) -> Any:
        near, apart = plain(coords, width)
        order = order_neighbours(problem, near, prior="gnn", count=count, model=model)
        return np.take_along_axis(near, order, axis=1), np.take_along_axis(apart, order, axis=1)

    if prior == "gnn":
        decode_plain.nearest_clients = chosen
    try:
        yield
    finally:
        decode_plain.nearest_clients = plain


def run(
    problem: VRP, prior: str | None, count: int, seconds: float, seed: int, model: GraphModel
) -> tuple[float, float]:
    """Return the cost, and the CPU seconds used."""
    began = time.process_time()
    with neighbours(problem, prior, count, model):
        found = solve_vrp(problem, stop=MaxRuntime(seconds), seed=seed, params=RouteParams(num_neighbours=count))
    return found.cost, time.process_time() - began


def main() -> None:
    """Run and write ``results/vrp_prior.json``."""
    parser = argparse.ArgumentParser(description="Measure routing priors.")
    parser.add_argument("--instances", nargs="+", default=list(INSTANCES))
    parser.add_argument("--seconds", nargs="+", type=float, default=[1.0, 3.0])
    parser.add_argument("--seeds", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model = load(WEIGHTS)
    settings = [(prior, count) for count in COUNTS for prior in ("gnn", "distance")] + [(None, ALL)]
    cells, gaps = [], {}
    for name in chosen.instances:
        path = DATA / f"{name}.vrp"
        if not path.exists():
            print(f"{name}: not in {DATA}, left out")
            continue
        problem, best = read_vrp(path), read_routes(path.with_suffix(".sol")).cost
        run(problem, "gnn", 8, 0.1, 0, model)  # compiled before it is timed
        for seconds in chosen.seconds:
            for prior, count in settings:
                runs = [run(problem, prior, count, seconds, seed, model) for seed in range(chosen.seeds)]
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
                payload = {"environment": record.environment("torch", "numba"), "seeds": chosen.seeds, "cells": cells}
                record.write("vrp_prior", payload)
                print(f"{name:12} {seconds:4g} s  {prior!s:9} {count:4}  {np.mean(gap):6.3f} %", flush=True)
    for (seconds, prior, count), values in gaps.items():
        print(f"mean         {seconds:4g} s  {prior!s:9} {count:4}  {np.mean(values):6.3f} %")
    record.write(
        "vrp_prior", {"environment": record.environment("torch", "numba"), "seeds": chosen.seeds, "cells": cells}
    )


if __name__ == "__main__":
    main()
