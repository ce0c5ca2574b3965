"""CA traces from noisy and partial distances: RMSD, handedness and time on the first twelve TS50 chains by name.

Distances are true CA-CA distances with Gaussian noise, one draw a pair, of a standard deviation that is constant or grows
with the distance; or only those below a cutoff; or a random share. RMSD is the better of the two mirror images, so that
it isolates distance error; `hand` is the share of chains for which the better one was returned. `earlier_best_angstrom`
is the best of classical scaling, weighted L-BFGS and scikit-learn's SMACOF as measured on the same twelve chains before
this library had a method of its own. Classical scaling and SMACOF of `baselines.py` run here beside ours; the two know no
hand.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.baselines import classical_mds, smacof
from gnnlib.heads.protein.chains import load_chains
from gnnlib.heads.protein.decode import reconstruct
from gnnlib.heads.protein.metrics import rmsd, tm_score

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gnnlib.typing import BoolArray, FloatArray

CHAINS = 12
# name, kind of data, its parameter, noise in angstrom, earlier best RMSD, goal
ROWS: list[tuple[str, str, float, float, float | None, float | None]] = [
    ("exact", "relative", 0.0, 0.0, 0.00, None),
    ("noise 1 A", "absolute", 0.0, 1.0, 0.40, None),
    ("noise 2 A", "absolute", 0.0, 2.0, 0.88, None),
    ("noise 4 A", "absolute", 0.0, 4.0, 1.97, None),
    ("1 A per 10 A", "relative", 0.1, 0.0, 0.49, 0.40),
    ("2 A per 10 A", "relative", 0.2, 0.0, 1.25, None),
    ("4 A per 10 A", "relative", 0.4, 0.0, 2.55, 1.8),
    ("d < 8 A, noise 0.5 A", "cutoff", 8.0, 0.5, 1.82, 1.2),
    ("d < 10 A, noise 0.5 A", "cutoff", 10.0, 0.5, 1.42, None),
    ("d < 12 A, noise 0.5 A", "cutoff", 12.0, 0.5, 0.47, None),
    ("random 2 %, noise 1 A", "random", 0.02, 1.0, 6.12, None),
    ("random 5 %, noise 1 A", "random", 0.05, 1.0, 2.29, 1.3),
    ("random 10 %, noise 1 A", "random", 0.10, 1.0, 1.13, None),
    ("random 30 %, noise 1 A", "random", 0.30, 1.0, 0.60, None),
]


def chains_of_ts50() -> list[FloatArray]:
    """CA of the first twelve TS50 chains, by the names of their files."""
    found = {chain.name.partition(":")[0]: chain for chain in load_chains("ts50") if chain.source == "ts50"}
    return [found[name].coords_angstrom[:, 1].astype(np.float64) for name in sorted(found)[:CHAINS]]


def measured(ca: FloatArray, kind: str, value: float, noise: float, seed: int) -> tuple[FloatArray, BoolArray]:
    """Noisy distances and which of them are known."""
    generator = np.random.default_rng(seed)
    count = len(ca)
    true = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    draw = np.triu(generator.normal(size=(count, count)), 1)
    spread = value * true if kind == "relative" else noise
    distances = np.maximum(true + spread * (draw + draw.T), 0.0)
    np.fill_diagonal(distances, 0.0)
    known = ~np.eye(count, dtype=bool)
    if kind == "cutoff":
        known &= true < value
    elif kind == "random":
        chance = np.triu(generator.random((count, count)), 1)
        known &= chance + chance.T < value
    return distances, known


def _ours(distances: FloatArray, known: BoolArray) -> tuple[FloatArray, float | None]:
    found = reconstruct(distances, mask=known)
    return found.coords, found.handedness_confidence


def _mds(distances: FloatArray, known: BoolArray) -> tuple[FloatArray, float | None]:
    return classical_mds(distances, mask=known), None


def _smacof(distances: FloatArray, known: BoolArray) -> tuple[FloatArray, float | None]:
    return smacof(distances, mask=known), None


METHODS: dict[str, Callable[[FloatArray, BoolArray], tuple[FloatArray, float | None]]] = {
    "gnnlib reconstruct": _ours,
    "classical scaling": _mds,
    "SMACOF alone": _smacof,
}


def _row(name: str, chains: list[FloatArray], row: tuple[Any, ...], seeds: int) -> dict[str, Any]:
    label, kind, value, noise, earlier, goal = row
    errors, tms, hands, times, confidence = [], [], [], [], []
    for seed in range(seeds):
        for number, ca in enumerate(chains):
            distances, known = measured(ca, kind, value, noise, 1000 * seed + number)
            start = time.process_time()
            coords, sure = METHODS[name](distances, known)
            times.append(1e3 * (time.process_time() - start))
            pair = [float(rmsd(one, ca)) for one in (coords, coords * [-1.0, 1.0, 1.0])]
            errors.append(min(pair))
            tms.append(max(tm_score(one, ca) for one in (coords, coords * [-1.0, 1.0, 1.0])))
            if sure is not None:
                hands.append(pair[0] <= pair[1])
                confidence.append(sure)
    return {
        "distances": label,
        "method": name,
        "rmsd_angstrom": round(statistics.mean(errors), 3),
        "rmsd_worst_angstrom": round(max(errors), 3),
        "tm_score": round(statistics.mean(tms), 4),
        "right_hand_percent": round(100 * statistics.mean(hands), 1) if hands else None,
        "lowest_confidence": round(min(confidence), 4) if confidence else None,
        "cpu_ms_median": round(statistics.median(times), 1),
        "earlier_best_angstrom": earlier,
        "goal_angstrom": goal,
    }


def _speed(seeds: int) -> dict[str, Any]:
    """CPU time at 150 residues, distances with 1 A of noise per 10 A: a helix of helices stands in for a chain."""
    turn = np.arange(150) * np.radians(100.0)
    ca = np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * (np.arange(150) % 25)], axis=1)
    ca += np.stack([10.0 * (np.arange(150) // 25 % 3), 10.0 * (np.arange(150) // 75), np.zeros(150)], axis=1)
    times = []
    for seed in range(5 * seeds):
        distances, known = measured(ca, "relative", 0.1, 0.0, seed)
        start = time.process_time()
        reconstruct(distances, mask=known)
        times.append(1e3 * (time.process_time() - start))
    return {
        "distances": "1 A per 10 A, 150 residues",
        "method": "gnnlib reconstruct",
        "cpu_ms_median": round(statistics.median(times), 1),
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    quick = bool(getattr(arguments, "quick", False))
    chains = chains_of_ts50()
    chains, seeds = (chains[:3], 1) if quick else (chains, 3)
    reconstruct(*measured(chains[0], "cutoff", 8.0, 0.5, 0)[:1])  # compiles before the clock
    rows = []
    names = list(METHODS)[:1] if getattr(arguments, "ours", False) else list(METHODS)
    for row in ROWS:
        for name in names:
            rows.append(_row(name, chains, row, seeds if name == "gnnlib reconstruct" else 1))
            print(rows[-1], flush=True)
    rows.append(_speed(seeds))
    lengths = [len(ca) for ca in chains]
    return {
        "set": f"first {len(chains)} TS50 chains by name, {min(lengths)}-{max(lengths)} residues",
        "seeds": seeds,
        "rows": rows,
        "notes": ["SMACOF and scaling: one draw of the noise; ours: all draws", "times are CPU times of one core"],
    }


if __name__ == "__main__":
    import argparse as _argparse
    import sys

    sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
    import record

    _parser = _argparse.ArgumentParser(description=__doc__)
    _parser.add_argument("--quick", action="store_true")
    _payload = run(_parser.parse_args())
    record.write("protein_folding", {**record.environment("scipy", "numba"), **_payload})
