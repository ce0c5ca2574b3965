"""Phi and psi from CA positions alone on TS50: mean absolute errors in degrees, with and without noise."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
from protein.ca_methods import NOISE_ANGSTROM, Method, estimated, judged_chains, models, noisy, perceptron

from gnnlib.heads.protein.geometry import backbone_torsions
from gnnlib.heads.protein.structure_models import BackbonePrediction
from gnnlib.heads.protein.training.backbone_batches import label_chain

if TYPE_CHECKING:
    import argparse

    from gnnlib.heads.protein.chains import TrainingChain
    from gnnlib.typing import FloatArray

REPEATS = 3


def run(options: argparse.Namespace) -> dict[str, Any]:
    chains = judged_chains(options)
    methods = models(options)
    if not getattr(options, "ours", False):
        methods = [
            Method("most common pair (-63, -42)", "trivial", _most_common),
            Method("estimated planes", "regression", _estimate),
            perceptron(quick=bool(getattr(options, "quick", False))),
            *methods,
        ]
    rows = [_row(method, chains, level) for level in NOISE_ANGSTROM for method in methods]
    return {"set": "TS50", "chains": len(chains), "rows": rows + _means(rows)}


def _row(method: Method, chains: list[TrainingChain], level: float) -> dict[str, Any]:
    errors = []
    for chain, ca in noisy(chains, level, REPEATS):
        found = method.predict(ca)
        angles = np.stack([found.phi_deg, found.psi_deg], axis=1)
        errors.append(np.abs((angles - np.degrees(label_chain(chain).torsion_rad) + 180.0) % 360.0 - 180.0))
    pooled = np.concatenate(errors)
    figures: dict[str, Any] = {}
    for name, column in zip(("phi", "psi"), pooled.T, strict=True):
        known = column[np.isfinite(column)]
        figures[f"{name}_mae_deg"] = round(float(known.mean()), 2)
        figures[f"{name}_median_deg"] = round(float(np.median(known)), 2)
        figures[f"{name}_within_30_deg"] = round(100 * float(np.mean(known <= 30.0)), 2)
    return {
        "method": method.name,
        "kind": method.kind,
        "seed": method.seed,
        "noise_angstrom": level,
        **figures,
        "fit_s": method.fit_s,
    }


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and spread over the seeds of the graph network."""
    found = []
    for level in NOISE_ANGSTROM:
        same = [row for row in rows if row["kind"] == "graph network" and row["noise_angstrom"] == level]
        if len(same) > 1:
            numbers = {key: [row[key] for row in same] for key in ("phi_mae_deg", "psi_mae_deg")}
            found.append(
                {"method": f"gnnlib, mean of {len(same)} seeds", "kind": "graph network, mean", "noise_angstrom": level}
                | {key: round(statistics.mean(values), 2) for key, values in numbers.items()}
                | {f"{key}_spread": round(max(values) - min(values), 2) for key, values in numbers.items()}
            )
    return found


def _most_common(ca: FloatArray) -> BackbonePrediction:
    count = len(ca)
    return BackbonePrediction(np.eye(8)[np.zeros(count, int)], np.full(count, -63.0), np.full(count, -42.0))


def _estimate(ca: FloatArray) -> BackbonePrediction:
    trace, backbone, segment = estimated(ca)
    atoms = (backbone.nitrogen, trace.points, backbone.carbon)
    coords = np.stack([atom[trace.place] for atom in atoms], axis=1)
    phi, psi, _ = backbone_torsions(coords, segment)
    return BackbonePrediction(np.eye(8)[np.zeros(len(ca), int)], np.nan_to_num(phi), np.nan_to_num(psi))
