"""Judging models without their native: correlations with true lDDT and GDT_TS, and what the first choice loses.

The network learned from generated decoys of kinds 1 to 4 alone. It is tested on such decoys of the test chains, on 599 real
pairs of Docking Benchmark 5.5 (the unbound form is the model, the bound form the native) and on 20 Rosetta models of four
proteins. None of this is CASP. "softness" is the weighted contact number of each residue (C.-P. Lin et al. 2008), the
classical guess of where a chain moves; "mean" is the same number for every residue.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from gnnlib.encoder import list_weights, load
from gnnlib.heads.protein.assessment import consensus
from gnnlib.heads.protein.chains import chains_folder
from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.scores.metrics_maps import mqa_scores
from gnnlib.heads.protein.scores.quality_scores import judge, measure_quality
from gnnlib.heads.protein.training.decoy_sets import DecoyPlan, make_decoys
from gnnlib.heads.protein.training.decoys import label_decoy, load_conformers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gnnlib.heads.protein.training.decoys import Decoy
    from gnnlib.typing import FloatArray

SHIPPED = "protein-quality"
Judge = tuple[list[Any], Any]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    quick = bool(getattr(options, "quick", False))
    runs = Path(getattr(options, "runs", None) or "runs/protein") / "decoys"
    conformers, rosetta = load_conformers(), rosetta_models()
    generated = make_decoys(DecoyPlan("test", 800), runs)
    if quick:
        conformers, generated = conformers[:20], generated[:20]
    sets = {"generated decoys, test": generated, "real conformers": conformers, "Rosetta models": rosetta}
    judges: dict[str, Callable[[list[Decoy]], Judge]] = {"softness": _softness}
    notes = ["trained on generated decoys only; not CASP", "one seed of the network"]
    if SHIPPED in list_weights():
        model = load(SHIPPED)
        judges["gnnlib"] = lambda decoys: judge(model, decoys)
    else:
        notes.append(f"the weights {SHIPPED} are not there")
    rows = []
    for method, find in judges.items():
        find(generated[:1])  # compiles
        said = {}
        for name, decoys in sets.items():
            start = time.process_time()
            said[name] = find(decoys)
            ms = 1e3 * (time.process_time() - start) / len(decoys)
            rows.append(_row(name, decoys, method, said[name]) | {"ms_per_model": round(ms, 1)})
        both = [said["real conformers"], said["Rosetta models"]]
        joined = both[0][0] + both[1][0], np.concatenate([both[0][1], both[1][1]])
        rows.append(_row("real conformers and Rosetta models", conformers + rosetta, method, joined))
    rows.append(_consensus_row(rosetta))
    return {"rows": rows, "notes": notes}


def rosetta_models() -> list[Decoy]:
    """Read the 20 Rosetta models of the ProteinGCN sample, named by their protein."""
    decoys = []
    for folder in sorted((chains_folder() / "decoys" / "proteingcn").iterdir()):
        native = read_structure(folder / "native.pdb.gz")
        for path in sorted(folder.glob("tag*.pdb.gz")):
            model = read_structure(path)
            decoys.append(label_decoy(folder.name, "predicted", model.sequence, model.ca, native.ca))
    return decoys


def _softness(decoys: list[Decoy]) -> Judge:
    found = []
    for decoy in decoys:
        squared = cdist(decoy.ca, decoy.ca, "sqeuclidean") + np.eye(len(decoy.ca))
        found.append(1.0 / np.sqrt(1.0 / (1.0 / squared).sum(axis=1)))
    return found, np.array([part.mean() for part in found])


def _row(name: str, decoys: list[Decoy], method: str, said: Judge) -> dict[str, Any]:
    lddt, gdt = said
    measured = {key.replace(" ", "_"): round(value, 3) for key, value in measure_quality(decoys, lddt, gdt).items()}
    row = {"set": name, "models": len(decoys), "method": method} | measured
    if method == "softness":
        row.pop("residue_error")
    if name == "Rosetta models":
        row |= _choice([float(part.mean()) for part in lddt], decoys)
    return row


def _choice(scores: list[float] | FloatArray, decoys: list[Decoy]) -> dict[str, float]:
    names = [decoy.name for decoy in decoys]
    found = mqa_scores(scores, [decoy.gdt_ts for decoy in decoys], names)
    return {key: round(found[key], 3) for key in ("top1_loss", "target_pearson")}


def _consensus_row(decoys: list[Decoy]) -> dict[str, Any]:
    """Score the models of each protein by their agreement, which needs several of them."""
    names = list(dict.fromkeys(decoy.name for decoy in decoys))
    scores = np.concatenate([consensus([d.ca for d in decoys if d.name == name]).scores for name in names])
    true = [decoy.gdt_ts for decoy in decoys]
    found = mqa_scores(scores, true, [decoy.name for decoy in decoys])
    row: dict[str, Any] = {"set": "Rosetta models", "models": len(decoys), "method": "consensus of the five models"}
    return row | {"gdt_ts_pearson": round(found["pearson"], 3)} | _choice(scores, decoys)
