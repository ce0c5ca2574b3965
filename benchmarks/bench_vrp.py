"""Vehicle routing: gnnlib and its peers on the same instances, stops and core, in one run.

    python benchmarks/bench_vrp.py                                        # everything: many hours
    python benchmarks/bench_vrp.py --only x-small,solomon --stops 1,10 --solvers gnnlib,pyvrp
    python benchmarks/bench_vrp.py --limit 3 --stops 60 --seeds 1

Every answer is costed and checked again by the library; one that breaks something counts as none. Figures that stand in
``results/vrp.json`` are kept unless ``--fresh`` (forget all) or ``--again`` (take those asked for once more). Gaps are
to the solutions that come with the collections; where there are none (Solomon and Li-Lim under the convention used), to
the best that any run has ever found, which is kept in ``results/vrp_best.json`` with what found it.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import record
from vrp import figure, sets
from vrp.peers import SOLVERS, UnsuitedError

from gnnlib.heads.combinatorial.vrp.api import warm_up
from gnnlib.heads.combinatorial.vrp.metrics import check_routes

PEERS = ("numba", "pyvrp", "hygese", "ortools", "pyvroom")


def run_one(set_name: str, name: str, solver: str, seconds: float, seed: int) -> dict[str, Any]:
    problem = sets.load(set_name, name)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        routes, kinds, trace = SOLVERS[solver](problem, seconds, seed)
    except UnsuitedError as why:
        return {"cost": None, "why": str(why)}
    row: dict[str, Any] = {
        "cost": None,
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
    }
    found = check_routes(problem, routes, kinds)
    if not found.feasible:
        return {**row, "why": found.violations[0]}
    row |= {"cost": found.cost, "routes": len(found.routes)}
    return {**row, "trace": trace} if trace else row


def keep_best(set_name: str, name: str, solver: str, seconds: float, cost: float) -> None:
    best = record.read("vrp_best") or {}
    key = f"{set_name}|{name}"
    if key not in best or cost < best[key]["cost"] - 1e-9:
        best[key] = {"cost": cost, "by": solver, "seconds": seconds}
        record.write("vrp_best", best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(sets.SETS), help="sets, separated by commas")
    parser.add_argument("--stops", default="1,10,60", help="seconds on one core, separated by commas")
    parser.add_argument("--solvers", default=",".join(SOLVERS), help="separated by commas")
    parser.add_argument("--seeds", type=int, default=2, help="seeds a figure")
    parser.add_argument("--limit", type=int, help="instances a set")
    parser.add_argument("--fresh", action="store_true", help="forget the figures of earlier runs")
    parser.add_argument("--again", action="store_true", help="take the figures asked for again")
    parser.add_argument("--name", default="vrp", help="name of the results file")
    options = parser.parse_args()
    payload = None if options.fresh else record.read(options.name)
    rows: dict[str, dict[str, Any]] = payload["rows"] if payload else {}
    warm_up()
    for set_name in options.only.split(","):
        for name in sets.names(set_name, options.limit):
            for solver in options.solvers.split(","):
                for stop in options.stops.split(","):
                    for seed in range(options.seeds):
                        key = f"{set_name}|{name}|{solver}|{stop}|{seed}"
                        if key in rows and not options.again:
                            continue
                        rows[key] = row = run_one(set_name, name, solver, float(stop), seed)
                        if row["cost"] is not None:
                            keep_best(set_name, name, solver, float(stop), row["cost"])
                        print(f"{key:45s} {row['cost']} {row.get('cpu_s', '')} {row.get('why', '')}", flush=True)
                        record.write(options.name, {**record.environment(*PEERS), "rows": rows})
    figure.draw(rows, record.RESULTS / f"{options.name}_anytime.png")


if __name__ == "__main__":
    main()
