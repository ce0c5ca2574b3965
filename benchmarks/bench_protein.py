"""Proteins: reading, graphs, metrics, folding, secondary structure, torsions, quality, sequences.

    python benchmarks/bench_protein.py                          # everything
    python benchmarks/bench_protein.py --only reading,graph
    python benchmarks/bench_protein.py --quick                  # a small part of each section
    python benchmarks/bench_protein.py --only folding,torsions,secondary --ours     # our rows anew, the others kept
    python benchmarks/bench_protein.py --only sequence --tasks completion,folds     # these rows anew, the others kept

Each section is a module of the folder ``protein`` with a function ``run(options) -> dict``; its figures go to
``results/protein_<section>.json`` with commit, date, machine and versions. The collections are looked for in the folder
that ``GNNLIB_DATA`` names, else in ``../shared/data``. Peers that are installed run in the same process; Graphein pins
numpy < 2 and has its own environment, see ``protein/graphein_peer.py``.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
from typing import Any

import record
import torch

SECTIONS = ("reading", "graph", "metrics", "folding", "secondary", "torsions", "quality", "design", "sequence")
WITH_OURS = {"folding", "secondary", "torsions"}
PEERS = ("torch", "scipy", "numba", "biopython", "biotite", "gemmi", "tmtools")


def data_folder() -> Path:
    """Return the folder of the protein collections."""
    mirror = os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / "shared" / "data"
    return Path(mirror) / "protein"


def _data_of(row: dict[str, Any]) -> tuple[Any, Any]:
    """Return what the methods of a table were given in this row."""
    return row.get("distances"), row.get("noise_angstrom")


def with_others(figures: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Keep the rows of other methods beside the new ones, and say when they were measured."""
    others = [row for row in old["rows"] if not row["method"].startswith("gnnlib")]
    notes = [note for note in old.get("notes") or [] if not note.startswith("rows of other methods")]
    commit = old.get("others_commit", old["commit"])
    places: dict[tuple[Any, Any], int] = {}
    for row in old["rows"]:
        places.setdefault(_data_of(row), len(places))
    return {
        **figures,
        "rows": sorted(figures["rows"] + others, key=lambda row: places.get(_data_of(row), len(places))),
        "notes": [*notes, f"rows of other methods were measured at commit {commit}"],
        "others_commit": commit,
    }


def with_other_tasks(figures: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Keep the rows of tasks that were not measured now, and say when they were."""
    tasks = {row["task"] for row in figures["rows"]}
    kept = [row for row in old["rows"] if row["task"] not in tasks]
    note = (
        f"measured now: {', '.join(sorted(tasks))}; the other rows at commit {old.get('others_commit', old['commit'])}"
    )
    return {
        **figures,
        "rows": kept + figures["rows"],
        "notes": [*figures["notes"], note],
        "others_commit": old.get("others_commit", old["commit"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks of proteins.")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a small part of each section")
    parser.add_argument("--ours", action="store_true", help="only our rows, those of other methods are kept")
    parser.add_argument("--tasks", help="of the section sequence: states,torsions,contacts,completion,folds")
    parser.add_argument("--runs", type=Path, default=Path("runs/protein"), help="folder of what training keeps")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the collections")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sections = options.only.split(",")
    if options.tasks and sections != ["sequence"]:
        parser.error("--tasks goes with --only sequence")
    if options.ours and not set(sections) <= WITH_OURS:
        parser.error(f"--ours goes with --only {','.join(sorted(WITH_OURS))}")
    for name in sections:
        if name not in SECTIONS:
            parser.error(f"--only takes {', '.join(SECTIONS)}, found {name!r}")
        if not (Path(__file__).parent / "protein" / f"{name}.py").exists():
            print(f"{name}: there is no such section yet")
            continue
        figures = importlib.import_module(f"protein.{name}").run(options)
        old = record.read(f"protein_{name}")
        if old is not None and options.ours:
            figures = with_others(figures, old)
        if old is not None and options.tasks:
            figures = with_other_tasks(figures, old)
        path = record.write(f"protein_{name}", {**record.environment(*PEERS), **figures})
        print(f"{name}: wrote {path}")


if __name__ == "__main__":
    main()
