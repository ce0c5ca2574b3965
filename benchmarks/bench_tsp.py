"""TSP: gnnlib and its peers on the same instances, stops and core, in one run.

    python benchmarks/bench_tsp.py                       # everything: about an hour
    python benchmarks/bench_tsp.py --sets uniform --stops 1 --solvers gnnlib fast_tsp
    python benchmarks/bench_tsp.py --sets uniform --sizes 1000 5000 --solvers gnnlib "gnnlib, kicks only" fast_tsp --again
    python benchmarks/bench_tsp.py --sets tsplib --solvers gnnlib --cpu --again      # on a machine that others use

Every answer is costed again by the instance. The run resumes: figures that stand in ``results/tsp.json`` are kept unless
``--fresh`` (forget all) or ``--again`` (take those that this command asks for once more); each says its commit. Gaps
are to the best known value: of TSPLIB, or for generated instances the best tour that any run has ever found
(``results/tsp_best.json``). With ``--cpu`` the stop counts the CPU seconds of our process instead of wall-clock seconds,
which are the same on a quiet core; such rows say so (``"clock": "cpu"``). See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import record

from gnnlib.data import fetch
from gnnlib.data.generate import clustered, uniform
from gnnlib.errors import GnnlibError
from gnnlib.heads.combinatorial.tsp.api import prepare, solve_tsp
from gnnlib.heads.combinatorial.tsp.baselines import BASELINES
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.heads.combinatorial.tsp.result import TourResult
from gnnlib.stop import MaxRuntime

Solver = Callable[[TSP, float, int], TourResult]

UNIFORM = (100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000)
CLUSTERED = (1000, 10_000)
SEEDS = {("uniform", n): 3 if n <= 10_000 else 1 for n in UNIFORM} | {
    ("uniform", 2000): 8,
    ("clustered", 1000): 24,
    ("clustered", 10_000): 3,
}
"""Instances of a size; more where a single one that ends in a near optimum decides the mean."""


def gnnlib_solver(prior: str | None, **settings: Any) -> Solver:
    params = SearchParams(**settings)
    return lambda problem, seconds, seed: solve_tsp(
        problem, stop=MaxRuntime(seconds), seed=seed, prior=prior, params=params
    )


def peer(name: str) -> Solver:
    return lambda problem, seconds, seed: BASELINES[name](problem, stop=MaxRuntime(seconds), seed=seed)


def one_vehicle(problem: TSP, seconds: float, seed: int) -> TourResult:
    """PyVRP with a single vehicle that leaves from city 0 and calls at all the others."""
    import pyvrp

    started = time.perf_counter()
    n = problem.num_cities
    distances = np.rint(problem.distance_matrix()).astype(np.int64)
    data = pyvrp.ProblemData(
        [pyvrp.Location(0.0, 0.0)] * n,
        [pyvrp.Client(city) for city in range(1, n)],
        [pyvrp.Depot(0)],
        [pyvrp.VehicleType()],
        [distances],
        [np.zeros_like(distances)],
    )
    left = max(0.0, seconds - (time.perf_counter() - started))
    found = pyvrp.solve(data, pyvrp.stop.MaxRuntime(left), seed=seed, collect_stats=False, display=False).best
    calls = [call.idx + 1 for call in found.routes()[0] if call.is_client()]
    order = problem.checked_order([0, *calls])
    return TourResult(order, problem.length(order), problem, seconds=time.perf_counter() - started)


SOLVERS: dict[str, Solver] = {
    "gnnlib": gnnlib_solver("auto"),
    "gnnlib, kicks only": gnnlib_solver("auto", population=0),
    "gnnlib, no prior": gnnlib_solver(None),
    "gnnlib, gnn": gnnlib_solver("gnn"),
    "ortools": peer("ortools"),
    "fast_tsp": peer("fast_tsp"),
    "lkh": peer("lkh"),
    "christofides": peer("christofides"),
    "pyvrp": one_vehicle,
}

PEERS = ("ortools", "fast_tsp", "elkai", "numba", "pyvrp")
"""Packages whose versions stand with the results."""

LARGEST = {"ortools": 10_000, "pyvrp": 5000, "fast_tsp": 15_000, "lkh": 5000, "christofides": 500}
"""Beyond these sizes a peer needs more memory or time than any stop here allows (all take a dense matrix)."""

ONE_STOP = {"christofides", "lkh"}
"""Solvers that do not heed the stop: run once, at the longest."""


def generated(sizes: tuple[int, ...], kind: str) -> Iterator[tuple[str, TSP, float | None]]:
    make = {"uniform": uniform, "clustered": clustered}[kind]
    for n in sizes:
        for seed in range(SEEDS[kind, n]):
            points = make(n, seed=10_000 + seed)  # seeds below 10,000 are for training and development
            yield f"{kind}-{n}-{seed}", TSP.from_coords(np.rint(points * 1e6), metric="EUC_2D"), None


def tsplib(low: int, high: int) -> Iterator[tuple[str, TSP, float | None]]:
    folder = fetch("tsplib")
    optima = {}
    for line in (folder / "solutions.txt").read_text().splitlines():
        name, found, value = line.partition(":")
        if found and value.split():
            optima[name.strip()] = float(value.split()[0])
    problems = {path.stem: TSP.from_file(path) for path in sorted(folder.glob("*.tsp"))}
    for name, problem in sorted(problems.items(), key=lambda item: item[1].num_cities):
        if low <= problem.num_cities <= high and name in optima:
            best = optima[name]
            if problem.fixed_edges:  # linhp318: the published value leaves the fixed edge out
                ends = np.array(problem.fixed_edges)
                best += float(problem.distances(ends[:, 0], ends[:, 1]).sum())
            yield name, problem, best


def national() -> Iterator[tuple[str, TSP, float | None]]:
    """Yield the national instances, small ones first, with their best known lengths."""
    known = json.loads((fetch("tsp-best-known") / "tsp_bks.json").read_text())
    problems = [(path.stem, TSP.from_file(path)) for path in fetch("national").glob("*.tsp")]
    for name, problem in sorted(problems, key=lambda item: item[1].num_cities):
        yield name, problem, float(known[name]["best_known_cost"])


SETS: dict[str, Callable[[], Iterator[tuple[str, TSP, float | None]]]] = {
    "uniform": lambda: generated(UNIFORM, "uniform"),
    "clustered": lambda: generated(CLUSTERED, "clustered"),
    "tsplib-small": lambda: tsplib(1, 199),
    "tsplib": lambda: tsplib(200, 6000),
    "tsplib-large": lambda: tsplib(6001, 10**6),
    "national": national,
}


def run_one(solve: Solver, problem: TSP, seconds: float) -> dict[str, Any]:
    wall, cpu = time.monotonic(), time.process_time()
    try:
        result = solve(problem, seconds, 0)
    except GnnlibError as error:
        return {"length": None, "why": str(error), "wall_s": time.monotonic() - wall}
    row: dict[str, Any] = {
        "length": problem.length(result.order),
        "wall_s": round(time.monotonic() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
    }
    if problem.num_cities >= 100_000:
        row["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    if math.isfinite(result.lower_bound):
        row["lower_bound"] = result.lower_bound
        row["is_optimal"] = result.is_optimal
        row["iterations"] = result.iterations
    if len(result.trace) > 1 and problem.num_cities in {1000, 10_000, 100_000}:
        row["trace"] = [
            [round(float(s), 3), float(length)] for s, length in result.trace[:: max(1, len(result.trace) // 60)]
        ]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--stops", nargs="+", type=float, default=[1.0, 10.0], help="seconds on one core")
    parser.add_argument(
        "--solvers", nargs="+", default=["gnnlib", "ortools", "fast_tsp", "lkh", "christofides", "pyvrp"]
    )
    parser.add_argument("--sizes", nargs="+", type=int, help="numbers of cities; default all of the sets")
    parser.add_argument("--again", action="store_true", help="take the figures asked for again")
    parser.add_argument("--fresh", action="store_true", help="forget the figures of earlier runs")
    parser.add_argument("--cpu", action="store_true", help="let the stops of our own solvers count CPU seconds")
    parser.add_argument("--name", default="tsp", help="name of the results file")
    options = parser.parse_args()
    if options.cpu:
        if not all(solver.startswith("gnnlib") for solver in options.solvers):
            parser.error("--cpu is for our own solvers: the peers keep wall-clock time")
        time.perf_counter = time.process_time  # what the library's clocks read
    if options.fresh:
        record.write(options.name, {**record.environment(*PEERS), "rows": {}})
    done = (record.read(options.name) or {"rows": {}})["rows"]
    prepare("gnn")  # which "auto" may ask for
    for key, problem, known, solver, seconds in tasks(options):
        if key in done and not options.again:
            continue
        row = {"n": problem.num_cities, "known": known, **run_one(SOLVERS[solver], problem, seconds)}
        if options.cpu:
            row["clock"] = "cpu"
        print(f"{key:45s} {row['length']} {row.get('cpu_s', '')} {row.get('lower_bound', '')}", flush=True)
        keep(options.name, key, row)


def keep(results: str, key: str, row: dict[str, Any]) -> None:
    """Add a row to the results, and its tour to the best ones; other processes may do so too."""
    about = record.environment(*PEERS)
    with record.alone(results):
        rows = (record.read(results) or {"rows": {}})["rows"]
        record.write(results, {**about, "rows": {**rows, key: {"commit": about["commit"], **row}}})
    if row["length"] is not None and row["known"] is None:
        record.keep_best("tsp_best", {key.split("|")[1]: row["length"]})


def tasks(options: argparse.Namespace) -> Iterator[tuple[str, TSP, float | None, str, float]]:
    """Yield key, problem, best known length, solver and stop of every figure that the options ask for."""
    for set_name in options.sets:
        for name, problem, known in SETS[set_name]():
            n = problem.num_cities
            if not problem.is_symmetric or (options.sizes and n not in options.sizes):
                continue
            for solver in options.solvers:
                is_peer = not solver.startswith("gnnlib")
                if n > LARGEST.get(solver, 10**9) or (problem.fixed_edges and is_peer):
                    continue
                for seconds in options.stops[-1:] if solver in ONE_STOP else options.stops:
                    yield f"{set_name}|{name}|{solver}|{seconds:g}", problem, known, solver, seconds


if __name__ == "__main__":
    main()
