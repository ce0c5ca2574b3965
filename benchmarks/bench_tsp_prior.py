"""TSP priors: how well each tells tour edges from other candidate edges, and what it costs.

    python benchmarks/bench_tsp_prior.py                  # about five CPU minutes
    python benchmarks/bench_tsp_prior.py --sizes 500 --priors gnn alpha

The reference tours are our own search without a prior, 20 kicks a city (they are kept in ``runs/tsp_prior``). Seconds
are CPU seconds from points to scores, neighbour lists included; those of "alpha" include the ascent of the 1-tree bound.
The larger instances are scored by the model only, for its time. See ``protocol.md``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import record

from gnnlib.data.generate import GENERATORS, uniform
from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.heatmap import heat_map
from gnnlib.heads.combinatorial.tsp.labels import LabelledTour
from gnnlib.heads.combinatorial.tsp.priors import load_prior
from gnnlib.heads.combinatorial.tsp.quality import measure_scores
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

PRIORS = ("knn", "softdist", "gnn", "alpha")
KINDS = ("uniform", "clustered")
COUNT = {500: 4, 1000: 2, 5000: 1}
KICKS_PER_CITY = 20
FIRST_SEED = 10_000
TIMED_SIZES = (1000, 10_000, 100_000)
CACHE = Path("runs/tsp_prior")


def reference(kind: str, n: int, seed: int) -> LabelledTour:
    """Generate one instance and search it long, or take the tour from the cache."""
    coords = GENERATORS[kind](n, seed=seed)
    path = CACHE / f"{kind}-{n}-{seed}.npy"
    if not path.exists():
        found = solve_tsp(coords, stop=MaxIterations(KICKS_PER_CITY * n), seed=0, prior=None)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, found.order)
    return LabelledTour(kind, coords, np.load(path))


def measure(prior: str, tours: list[LabelledTour]) -> dict[str, float]:
    """Quality over the tours, and CPU seconds for each."""
    taken = []

    def score(tour: LabelledTour, neighbours: IntArray, lengths: FloatArray) -> FloatArray:  # noqa: ARG001
        began = time.process_time()
        found = heat_map(tour.coords, prior)  # type: ignore[arg-type]
        taken.append(time.process_time() - began)
        # both list the same neighbours; of equal distances the order may differ
        back = np.argsort(np.argsort(neighbours, axis=1), axis=1)
        by_city = np.take_along_axis(found.scores, np.argsort(found.neighbours, axis=1), axis=1)
        return np.take_along_axis(by_city, back, axis=1)

    quality = measure_scores(tours, score)
    return {**quality, "cpu_s": float(np.mean(taken))}


def model_seconds(n: int) -> float:
    """CPU seconds of the model on `n` uniform points, best of up to three runs."""
    points = uniform(n, seed=FIRST_SEED)
    taken = []
    for _ in range(1 if n > 50_000 else 3):
        began = time.process_time()
        heat_map(points, "gnn")
        taken.append(time.process_time() - began)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(COUNT), default=sorted(COUNT))
    parser.add_argument("--priors", nargs="+", choices=PRIORS, default=PRIORS)
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for prior in chosen.priors:  # compiled and loaded before the clock
        load_prior(prior)
        heat_map(uniform(50, seed=0), prior)
    for n in chosen.sizes:
        for kind in KINDS:
            tours = [reference(kind, n, FIRST_SEED + i) for i in range(COUNT[n])]
            for prior in chosen.priors:
                row = {"kind": kind, "n": n, "instances": len(tours), "prior": prior, **measure(prior, tours)}
                rows.append(row)
                print(
                    f"{kind:<10} n={n:<6} {prior:<9} AP {row['average_precision']:.4f}  recall@5 "
                    f"{row['recall_at_5']:.4f}  mean rank {row['mean_rank']:.3f}  {row['cpu_s']:.3f} s",
                    flush=True,
                )
    seconds = {str(n): model_seconds(n) for n in TIMED_SIZES} if "gnn" in chosen.priors else {}
    print("model, CPU seconds:", seconds)
    payload = {**record.environment("torch", "numba"), "rows": rows, "model_cpu_s": seconds}
    print(record.write("tsp_prior", payload))


if __name__ == "__main__":
    main()
