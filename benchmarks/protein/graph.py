"""Build residue graphs from coordinates in memory, and read many files with and without the cache of shards.

Random points at the density of proteins; CPU time of one core, median of several repetitions. The plain queries of
scipy's cKDTree (k-NN 16, pairs within 10 A) are the yardstick: they give no edge list, no kinds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.heads.protein.graph import residue_graph
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.reading.many import read_structures
from gnnlib.heads.protein.samples import load_sample

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

SIZES = (100, 300, 1000, 3000)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure graphs of compact chains of four sizes, and a folder of 400 files."""
    quick = bool(getattr(options, "quick", False))
    rows = [row for size in SIZES[: 2 if quick else 4] for row in _graphs(size, 5 if quick else 20)]
    return {"rows": [*rows, *_folder(40 if quick else 400)], "notes": [str(__doc__)]}


def _chain(size: int) -> Structure:
    """Make random points with the density of a protein: one residue in 135 cubic angstrom."""
    random = np.random.default_rng(size)
    side = (135.0 * size) ** (1 / 3)
    points = random.uniform(0.0, side, (size, 3))
    backbone = points[:, None] + random.normal(0.0, 1.0, (size, 5, 3))
    return Structure.from_arrays(backbone, "A" * size)


def _graphs(size: int, repeats: int) -> list[dict[str, Any]]:
    structure = _chain(size)
    ca = structure.ca

    def queries() -> None:
        tree = cKDTree(ca)
        tree.query(ca, k=17)
        tree.query_pairs(10.0, output_type="ndarray")

    work: dict[str, Callable[[], Any]] = {
        "cKDTree queries": queries,
        "residue_graph": lambda: residue_graph(structure),
        "residue_graph with features": lambda: residue_graph(structure, features=True),
    }
    rows = []
    for name, once in work.items():
        once()  # compiles before the clock
        rows.append({"what": name, "residues": size, "ms": round(_median_ms(once, repeats), 3)})
    return rows


def _median_ms(once: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        once()
        times.append(time.process_time() - begin)
    return 1e3 * statistics.median(times)


def _folder(count: int) -> list[dict[str, Any]]:
    """Read a folder of copies of a sample, first from the files, then from the shards."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = load_sample("bundle").to_pdb()
        paths = [Path(folder, f"{i}.pdb") for i in range(count)]
        for path in paths:
            path.write_text(text)
        for name in ("read_structures, files", "read_structures, shards"):
            begin = time.process_time()
            read_structures(paths, cache=Path(folder, "cache"))
            spent = 1e3 * (time.process_time() - begin) / count
            rows.append({"what": name, "residues": 92, "ms": round(spent, 3)})
    return rows
