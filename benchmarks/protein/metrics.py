"""Own metrics and own DSSP beside the programs and packages that define them: agreement and time.

Pairs are bound and unbound forms of the same chain (DB5.5) and the same chains with another one's shape (cut to one
length), so that good and hopeless models are both there. DSSP is compared on TS50 with the labels that mkdssp 4.2.2 made.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.assessment import assess
from gnnlib.heads.protein.chains import chains_folder, load_chains
from gnnlib.heads.protein.dssp import assign_dssp
from gnnlib.heads.protein.metrics import best_superposition, lddt, rmsd
from gnnlib.heads.protein.problem import Structure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gnnlib.typing import FloatArray

PAIRS = 60
SHORTEST, LONGEST = 80, 135  # the lengths of the earlier measurement of the peers


def pairs_of(folder: Path, count: int) -> list[tuple[FloatArray, FloatArray]]:
    """Two thirds conformers of one chain, one third unrelated shapes."""
    with np.load(folder / "decoys" / "db5_bound_unbound_ca.npz") as archive:
        offsets, bound, unbound = archive["offsets"], archive["bound_ca"], archive["unbound_ca"]
    chosen = [i for i in range(len(offsets) - 1) if SHORTEST <= offsets[i + 1] - offsets[i] <= LONGEST]
    spans = [slice(offsets[i], offsets[i + 1]) for i in chosen[:: max(1, len(chosen) // count)][:count]]
    found = []
    for number, span in enumerate(spans):
        model, native = bound[span], unbound[span]
        if number % 3 == 2:
            other = unbound[spans[number - 1]]
            length = min(len(other), len(native))
            model, native = other[:length], native[:length]
        found.append((np.round(model.astype(np.float64), 3), np.round(native.astype(np.float64), 3)))
    return found


def _timed(call: Callable[[], Any], repeats: int = 3) -> tuple[Any, float]:
    times, answer = [], None
    for _ in range(repeats):
        start = time.process_time()
        answer = call()
        times.append(1e3 * (time.process_time() - start))
    return answer, min(times)


def _write(path: Path, ca: FloatArray) -> None:
    lines = [
        f"ATOM  {i + 1:5d}  CA  ALA A{i + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C"
        for i, (x, y, z) in enumerate(ca.tolist())
    ]
    path.write_text("\n".join([*lines, "TER", ""]))


def tmscore_program(model: FloatArray, native: FloatArray, folder: Path) -> tuple[dict[str, float], float]:
    _write(folder / "model.pdb", model)
    _write(folder / "native.pdb", native)
    start = time.perf_counter()
    done = subprocess.run(
        ["TMscore", "model.pdb", "native.pdb"], capture_output=True, text=True, check=True, cwd=folder
    )
    took = 1e3 * (time.perf_counter() - start)
    names = {"tm_score": "TM-score", "gdt_ts": "GDT-TS-score", "gdt_ha": "GDT-HA-score"}
    found = {}
    for key, label in names.items():
        match = re.search(rf"{label}\s*=\s*([\d.]+)", done.stdout)
        found[key] = float(match.group(1)) if match else float("nan")
    return found, took


def _superposition_rows(pairs: list[tuple[FloatArray, FloatArray]], notes: list[str]) -> list[dict[str, Any]]:
    ours, times = [], []
    for model, native in pairs:
        (found, length), took = _timed(lambda a=model, b=native: best_superposition(a, b))
        times.append(took)
        ours.append((found.tm_sum / length, found.within[1:5].mean() / length, found.within[:4].mean() / length))
    rows: list[dict[str, Any]] = [
        {"metric": "TM, GDT-TS, GDT-HA", "tool": "gnnlib", "pairs": len(pairs), "ms_median": statistics.median(times)}
    ]
    if shutil.which("TMscore") is None:
        notes.append("TMscore is not installed: no comparison")
        return rows
    with tempfile.TemporaryDirectory() as place:
        answers = [tmscore_program(model, native, Path(place)) for model, native in pairs]
    rows.append(
        {"metric": "TM, GDT-TS, GDT-HA", "tool": "TMscore as a subprocess (wall)", "pairs": len(pairs)}
        | {"ms_median": statistics.median(took for _, took in answers)}
    )
    for column, key in enumerate(("tm_score", "gdt_ts", "gdt_ha")):
        gaps = [abs(mine[column] - theirs[key]) for mine, (theirs, _) in zip(ours, answers, strict=True)]
        rows.append(
            {"metric": key, "tool": "gnnlib against TMscore", "pairs": len(pairs), "largest_difference": max(gaps)}
        )
    return rows


def _biotite_rows(pairs: list[tuple[FloatArray, FloatArray]], notes: list[str]) -> list[dict[str, Any]]:
    own = [_timed(lambda a=model, b=native: lddt(a, b)) for model, native in pairs]
    rows: list[dict[str, Any]] = [
        {
            "metric": "lDDT (CA)",
            "tool": "gnnlib",
            "pairs": len(pairs),
            "ms_median": statistics.median(t for _, t in own),
        }
    ]
    if importlib.util.find_spec("biotite") is None:
        notes.append("biotite is not installed: no comparison of lDDT and RMSD")
        return rows
    import biotite.structure as struc

    theirs, gaps, fits = [], [], []
    for model, native in pairs:
        arrays = []
        for coords in (native, model):
            array = struc.AtomArray(len(coords))
            array.coord, array.res_id = coords.astype(np.float32), np.arange(len(coords))
            arrays.append(array)
        value, took = _timed(lambda a=arrays: struc.lddt(a[0], a[1]))
        theirs.append(took)
        same = [array.coord.astype(np.float64) for array in arrays]
        gaps.append(abs(float(value) - lddt(same[1], same[0])))
        fits.append(abs(float(struc.rmsd(arrays[0], struc.superimpose(*arrays)[0])) - float(rmsd(same[1], same[0]))))
    count = {"pairs": len(pairs)}
    return [
        *rows,
        {"metric": "lDDT (CA)", "tool": "biotite", **count, "ms_median": statistics.median(theirs)},
        {"metric": "lDDT (CA)", "tool": "gnnlib against biotite", **count, "largest_difference": max(gaps)},
        {"metric": "RMSD", "tool": "gnnlib against biotite", **count, "largest_difference": max(fits)},
    ]


def _dssp_rows() -> list[dict[str, Any]]:
    equal3 = equal8 = total = 0
    times = []
    for chain in load_chains("ts50"):
        if chain.source != "ts50":
            continue
        structure = Structure.from_arrays(chain.coords_angstrom.astype(np.float64), chain.sequence)
        coords, segment = structure.coords_angstrom, structure.segment
        states, took = _timed(lambda a=coords, b=segment, c=chain.sequence: assign_dssp(a, b, c))
        times.append(took)
        known = [(a, b) for a, b in zip(states, chain.states8, strict=True) if b != "-"]
        total += len(known)
        equal8 += sum(a == b for a, b in known)
        fold = str.maketrans("HGIEBTSC", "HHHEECCC")
        equal3 += sum(a.translate(fold) == b.translate(fold) for a, b in known)
    return [
        {
            "metric": "DSSP on TS50",
            "tool": "gnnlib against mkdssp 4.2.2",
            "residues": total,
            "equal_8_states_percent": round(100 * equal8 / total, 3),
            "equal_3_states_percent": round(100 * equal3 / total, 3),
            "ms_median": statistics.median(times),
        }
    ]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    quick = bool(getattr(arguments, "quick", False))
    pairs = pairs_of(chains_folder(), 9 if quick else PAIRS)
    assess(*pairs[0])  # compiles before the clock
    notes = ["times are CPU times, best of three, except for the subprocess (wall time, one run)"]
    rows = [*_superposition_rows(pairs, notes), *_biotite_rows(pairs, notes), *_dssp_rows()]
    lengths = [len(native) for _, native in pairs]
    for row in rows:
        if "ms_median" in row:
            row["ms_median"] = round(row["ms_median"], 3)
        if "largest_difference" in row:
            row["largest_difference"] = float(f"{row['largest_difference']:.2e}")
    return {"set": f"{len(pairs)} pairs of {min(lengths)}-{max(lengths)} residues", "rows": rows, "notes": notes}
