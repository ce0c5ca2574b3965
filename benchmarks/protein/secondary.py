"""Secondary structure from CA positions alone on TS50, with and without noise on the coordinates.

Labels are those of DSSP 4 on the whole backbone of the clean chain. Noise is Gaussian, of the given standard deviation on
every coordinate, three draws. P-SEA, biotite's and the project's own rules after it, knows three states,
so that its Q8 is left empty. Times are CPU milliseconds of one core, median over the chains.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from protein.ca_methods import (
    NOISE_ANGSTROM,
    Method,
    judged_chains,
    models,
    noisy,
    perceptron,
    states_of,
    states_of_estimate,
)

from gnnlib.heads.protein.baselines import p_sea
from gnnlib.heads.protein.scores.metrics_states import q3, q8, sov

if TYPE_CHECKING:
    import argparse

    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.typing import FloatArray

REPEATS = 3


def run(options: argparse.Namespace) -> dict[str, Any]:
    chains = judged_chains(options)
    methods, notes = models(options), []
    if not getattr(options, "ours", False):
        methods = [
            Method("all coil", "trivial", lambda ca: "C" * len(ca)),
            Method("rules after P-SEA", "rules", p_sea),
            Method("DSSP of estimated planes", "rules", states_of_estimate),
            perceptron(quick=bool(getattr(options, "quick", False))),
            *methods,
        ]
        if importlib.util.find_spec("biotite"):
            methods.insert(1, Method("biotite P-SEA", "rules", _psea))
        else:
            notes.append("biotite is not installed: no P-SEA")
    if not any(method.kind == "graph network" for method in methods):
        notes.append("no weights of the graph network were found")
    rows = [_row(method, chains, level) for level in NOISE_ANGSTROM for method in methods]
    rows += _means(rows)
    residues = sum(chain.num_residues for chain in chains)
    return {"set": "TS50", "chains": len(chains), "residues": residues, "rows": rows, "notes": notes}


def _row(method: Method, chains: list[TrainingChain], level: float) -> dict[str, Any]:
    guess, truth, overlap, times = [], [], [], []
    method.predict(chains[0].ca.astype(np.float64))  # compiles
    for chain, ca in noisy(chains, level, REPEATS):
        start = time.process_time()
        states = states_of(method.predict(ca))
        times.append(1e3 * (time.process_time() - start))
        guess.append(states)
        truth.append(chain.states8)
        overlap.append(sov(states, chain.states8.replace("-", "C")))
    together = "".join(guess), "".join(truth)
    return {
        "method": method.name,
        "kind": method.kind,
        "seed": method.seed,
        "noise_angstrom": level,
        "q3": round(100 * q3(*together), 2),
        "q8": None if "P-SEA" in method.name else round(100 * q8(*together), 2),
        "sov": round(100 * statistics.mean(overlap), 2),
        "cpu_ms_per_chain": round(statistics.median(times), 2),
        "fit_s": method.fit_s,
    }


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and spread over the seeds of the graph network."""
    found = []
    for level in NOISE_ANGSTROM:
        same = [row for row in rows if row["kind"] == "graph network" and row["noise_angstrom"] == level]
        if len(same) > 1:
            numbers = {key: [row[key] for row in same] for key in ("q3", "q8", "sov")}
            found.append(
                {"method": f"gnnlib, mean of {len(same)} seeds", "kind": "graph network, mean", "noise_angstrom": level}
                | {key: round(statistics.mean(values), 2) for key, values in numbers.items()}
                | {f"{key}_spread": round(max(values) - min(values), 2) for key, values in numbers.items()}
            )
    return found


def _psea(ca: FloatArray) -> str:
    import biotite.structure as struc

    atoms = struc.AtomArray(len(ca))
    atoms.coord = ca.astype(np.float32)
    atoms.atom_name[:] = "CA"
    atoms.res_name[:] = "ALA"
    atoms.res_id = np.arange(1, len(ca) + 1)
    atoms.chain_id[:] = "A"
    names = {"a": "H", "b": "E", "c": "C", "": "C"}
    return "".join(names[state] for state in struc.annotate_sse(atoms).tolist())
