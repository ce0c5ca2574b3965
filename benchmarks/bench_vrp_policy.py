"""The learned constructive policy alone: greedy, sampling, beam and tree search with the same weights.

    python benchmarks/bench_vrp_policy.py               # about an hour, most of it for the tree search
    python benchmarks/bench_vrp_policy.py --count 4 --kinds cvrp
    python benchmarks/bench_vrp_policy.py --paired      # what was learned against looking ahead alone; two minutes
    python benchmarks/bench_vrp_policy.py --large       # X instances of 500 to 1,000 clients, a quarter of an hour

Instances are the usual uniform ones with 100 clients, and tours of 50 and 100 cities (whole-number seeds, which no
training has seen). Gaps are to the best of two long runs of the project's own search; nearest neighbour, savings (Clarke
and Wright 1964) and the pilot method (looking ahead as the policy does, with nothing learned) stand beside.
Seconds are CPU seconds an instance, encoding included. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import record
import torch
from vrp import sets

from gnnlib.encoder import load
from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.heads.combinatorial.vrp.api import solve_vrp
from gnnlib.heads.combinatorial.vrp.baselines import nearest_neighbour, savings
from gnnlib.heads.combinatorial.vrp.generate import uniform_vrp
from gnnlib.heads.combinatorial.vrp.labels import uniform_tour
from gnnlib.heads.combinatorial.vrp.policy import WEIGHTS, Policy, construct_routes, pilot_routes
from gnnlib.heads.combinatorial.vrp.policy_rebuild import rebuild
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.heads.combinatorial.vrp.problem import VRP

SIZES = {"cvrp": 100, "vrptw": 100, "tsp-50": 50, "tsp-100": 100}
PAIRED = {"cvrp": 60, "vrptw": 40, "tsp-50": 150, "tsp-100": 40}
"""Instances on which what was learned is compared with looking ahead alone."""

LARGE = "X-n502-k39 X-n573-k30 " + sets.X_LARGE
"""Instances far larger than any of the training."""

FIRST_SEED = 20_000
DECODERS: dict[str, tuple[Any, int]] = {
    "greedy": ("greedy", 1),
    "sampling, 64": ("sampling", 64),
    "sampling, 640": ("sampling", 640),
    "beam, 64": ("beam", 64),
    "rebuild, 1,000": ("rebuild", 1000),
    "rebuild, 10,000": ("rebuild", 10_000),
    "tree search, 8": ("mcts", 8),
    "tree search, 32": ("mcts", 32),
    "tree search, 128": ("mcts", 128),
}


def instance(kind: str, seed: int, size: int | None = None) -> VRP:
    """Draw one instance."""
    clients = size or SIZES[kind]
    if kind.startswith("tsp"):
        return uniform_tour(clients, seed=seed)
    return uniform_vrp(clients, windows=kind == "vrptw", seed=seed)


def reference(kind: str, problem: VRP) -> float:
    """Cost of the best answer of long runs."""
    if kind.startswith("tsp"):
        matrix = problem.travel.distance_matrix()
        return min(solve_tsp(TSP.from_matrix(matrix), stop=MaxIterations(20_000), seed=s).length for s in (1, 2))
    rounds = 800 if kind == "vrptw" else 4000
    return min(solve_vrp(problem, stop=MaxIterations(rounds * SIZES[kind]), seed=s).cost for s in (1, 2))


def methods(kind: str) -> dict[str, Callable[[VRP], float]]:
    """Name the methods in the order of the table."""
    model = load(WEIGHTS)

    def learned(decoder: Any, effort: int) -> Callable[[VRP], float]:
        return lambda problem: construct_routes(problem, decoder=decoder, effort=effort, model=model).cost

    found: dict[str, Callable[[VRP], float]] = {"nearest neighbour": lambda problem: nearest_neighbour(problem).cost}
    if kind == "cvrp":
        found["savings"] = lambda problem: savings(problem).cost
    found["pilot method"] = lambda problem: pilot_routes(problem).cost
    return found | {name: learned(*options) for name, options in DECODERS.items()}


def keep(cell: dict[str, Any], part: str = "cells") -> None:
    """Write one figure into the file, in the place of an older one of the same kind and method."""
    payload = record.read("vrp_policy") or {}
    others = [c for c in payload.get(part, []) if (c["kind"], c.get("method")) != (cell["kind"], cell.get("method"))]
    about = {"environment": record.environment("torch", "numba")}
    record.write("vrp_policy", {**payload, **about, part: [*others, cell]})


def compare_with_pilot(kind: str, count: int) -> None:
    """Compare greedy constructions with those of the pilot method on many instances: differences need no best answer."""
    model = load(WEIGHTS)
    problems = [instance(kind, FIRST_SEED + number) for number in range(count)]
    pairs = [(construct_routes(problem, model=model).cost, pilot_routes(problem).cost) for problem in problems]
    gaps = np.array([100.0 * (learned / pilot - 1.0) for learned, pilot in pairs])
    cell = {
        "kind": kind,
        "instances": count,
        "difference_percent": float(gaps.mean()),
        "standard_error": float(gaps.std(ddof=1) / np.sqrt(count)),
        "better": int((gaps < -1e-9).sum()),
        "worse": int((gaps > 1e-9).sum()),
    }
    keep(cell, "paired")
    print(cell, flush=True)


def measure_large(name: str) -> None:
    """Construct an instance of the X set, and rebuild parts for about ten and sixty CPU seconds, encoding included."""
    problem, best = sets.load("x-large", name), sets.reference("x-large", name)
    if best is None:
        raise SystemExit(f"{name}: the collection has no solution")
    model = load(WEIGHTS)
    began = time.process_time()
    policy = Policy.encode(problem, model)
    greedy, start = policy.greedy(), policy.start()
    spent = time.process_time() - began
    rebuild(policy, start, 100)
    pace = (time.process_time() - began - spent) / 100
    cell: dict[str, Any] = {"kind": name, "size": problem.num_clients, "method": "rebuild", "start_s": spent}
    for title, (_, path) in (("greedy", greedy), ("start", start)):
        cell[f"{title}_percent"] = 100.0 * (policy.result(path).cost / best - 1.0)
    for stop in (10.0, 60.0):
        rounds, began = int((stop - spent) / pace), time.process_time()
        result = policy.result(rebuild(policy, start, rounds)[1])
        cell[f"at_{stop:g}_percent"] = 100.0 * (result.cost / best - 1.0) if result.feasible else None
        cell[f"at_{stop:g}_s"], cell[f"at_{stop:g}_rounds"] = spent + time.process_time() - began, rounds
    keep(cell, "large")
    print(cell, flush=True)


def main() -> None:
    """Run and write ``results/vrp_policy.json``."""
    parser = argparse.ArgumentParser(description="Measure the constructive policy.")
    parser.add_argument("--kinds", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--count", type=int, default=8, help="instances of each kind")
    parser.add_argument("--methods", nargs="+", help="rows of the table, all by default", metavar="NAME")
    parser.add_argument("--paired", action="store_true", help="only compare greedy constructions with the pilot method")
    parser.add_argument("--large", action="store_true", help="only X instances of 500 to 1,000 clients")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.large:
        rebuild(Policy.encode(instance("cvrp", 1, 10), load(WEIGHTS)), (1e9, [1, 0]), 1)  # compiled before it is timed
        for name in LARGE.split():
            measure_large(name)
        return
    if chosen.paired:
        for kind in chosen.kinds:
            compare_with_pilot(kind, PAIRED[kind])
        return
    for kind in chosen.kinds:
        problems = [instance(kind, FIRST_SEED + number) for number in range(chosen.count)]
        best = [reference(kind, problem) for problem in problems]
        for name, method in methods(kind).items():
            if chosen.methods and name not in chosen.methods:
                continue
            method(instance(kind, 1, 10))  # compiled before it is timed
            began = time.process_time()
            gaps = [100.0 * (method(problem) / known - 1.0) for problem, known in zip(problems, best, strict=True)]
            seconds = (time.process_time() - began) / len(problems)
            error = float(np.std(gaps, ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else 0.0
            keep(
                {
                    "kind": kind,
                    "size": SIZES[kind],
                    "instances": len(gaps),
                    "method": name,
                    "gap_percent": float(np.mean(gaps)),
                    "standard_error": error,
                    "cpu_s": seconds,
                }
            )
            print(f"{kind:6} {name:20} {np.mean(gaps):7.2f} % +- {error:.2f}  {seconds:8.3f} CPU s", flush=True)


if __name__ == "__main__":
    main()
