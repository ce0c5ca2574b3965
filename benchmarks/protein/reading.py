"""Parse a structure file and join residues by k-NN (16) and radius (10 A): CPU time a structure, residues found.

Every reader takes the plain text of the same public files, first model, CA atoms of amino acids, and then the same two
queries of scipy's cKDTree; ours builds its own edge list instead, with all kinds of edges and their mask. Times are the
best of several repetitions in CPU seconds of one core, and then the median over the files. A reader that raises has
failed on the file; residues are compared with the number that ours finds. Compilation and imports come before the clock.
"""

from __future__ import annotations

import gzip
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import GnnlibError
from gnnlib.heads.protein.graph import residue_graph
from gnnlib.heads.protein.io import read_structure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gnnlib.typing import FloatArray

    Reader = Callable[[Path], FloatArray]

KNN, RADIUS = 16, 10.0


def edges(ca: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    tree = cKDTree(ca)
    near = tree.query(ca, k=min(KNN + 1, len(ca)))[1]
    return near, tree.query_pairs(RADIUS, output_type="ndarray")


def gnnlib_ca(path: Path) -> FloatArray:
    return read_structure(path).ca


def gemmi_ca(path: Path) -> FloatArray:
    import gemmi

    # text in columns 73-80 of old files is refused otherwise; the argument belongs to PDB files alone
    entry = gemmi.read_pdb(str(path), max_line_length=72) if path.suffix == ".pdb" else gemmi.read_structure(str(path))
    entry.setup_entities()
    carbon = gemmi.Element("C")
    atoms = [
        residue.find_atom("CA", "*", carbon) for chain in entry[0] for residue in chain.get_polymer().first_conformer()
    ]
    return np.array([atom.pos.tolist() for atom in atoms if atom]).reshape(-1, 3)


def biotite_ca(path: Path) -> FloatArray:
    import biotite.structure as structure
    from biotite.structure.io import pdb, pdbx

    if path.suffix == ".pdb":
        atoms = pdb.PDBFile.read(str(path)).get_structure(model=1)
    else:
        atoms = pdbx.get_structure(pdbx.CIFFile.read(str(path)), model=1)
    keep = structure.filter_amino_acids(atoms) & (atoms.atom_name == "CA")
    return np.asarray(atoms.coord[keep], dtype=np.float64)


def biopython_ca(path: Path) -> FloatArray:
    from Bio.PDB import MMCIFParser, PDBParser, is_aa

    parser = PDBParser(QUIET=True) if path.suffix == ".pdb" else MMCIFParser(QUIET=True)
    model = next(iter(parser.get_structure("x", str(path))))
    found = [r["CA"].coord for r in model.get_residues() if is_aa(r, standard=False) and "CA" in r]
    return np.array(found, dtype=np.float64).reshape(-1, 3)


PEERS: dict[str, Reader] = {"gemmi": gemmi_ca, "biotite": biotite_ca, "Biopython": biopython_ca}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every reader on every file."""
    quick = bool(getattr(options, "quick", False))
    folder = Path(getattr(options, "data", None) or _data_folder()) / "raw"
    files = sorted(path for path in folder.glob("*/*.gz") if path.name.endswith((".pdb.gz", ".cif.gz", ".ent.gz")))
    files = files[::8] if quick else files
    residue_graph(np.random.default_rng(0).normal(size=(40, 3)) * 10)  # compiles before the clock
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for packed in files:
            path = Path(scratch, packed.name.removesuffix(".gz").replace(".ent", ".pdb"))
            path.write_bytes(gzip.decompress(packed.read_bytes()))
            rows += _measure(path, packed, 2 if quick else 7)
            path.unlink()
    return {"files": len(files), "rows": _summaries(rows), "each": rows, "notes": [str(__doc__), GRAPHEIN]}


GRAPHEIN = "Graphein pins numpy < 2, so it runs in an environment of its own (protein/graphein_peer.py); not run here."


def _data_folder() -> Path:
    return Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data") / "protein"


def _measure(path: Path, packed: Path, repeats: int) -> list[dict[str, Any]]:
    kind = "mmCIF" if path.suffix == ".cif" else "PDB"
    work: dict[str, Callable[[], Any]] = {
        "gnnlib": lambda: edges(gnnlib_ca(path)),
        "gnnlib, gzipped": lambda: edges(gnnlib_ca(packed)),
        "gnnlib residue_graph": lambda: residue_graph(read_structure(path)),
        "gnnlib, parse alone": lambda: read_structure(path),
    }
    rows = []
    truth = _count(lambda: gnnlib_ca(path))
    for name, once in work.items():
        rows.append({"file": packed.name, "kind": kind, "reader": name, "residues": truth, "ours": truth})
        rows[-1]["ms"] = None if truth is None else _best_ms(once, repeats)
    for name, reader in PEERS.items():
        found = _count(lambda reader=reader: reader(path))
        row: dict[str, Any] = {"file": packed.name, "kind": kind, "reader": name, "residues": found, "ours": truth}
        usable = found is not None and found > 0 and truth is not None
        row["ms"] = _best_ms(lambda reader=reader: edges(reader(path)), max(2, repeats // 2)) if usable else None
        rows.append(row)
    return rows


def _count(reader: Callable[[], FloatArray]) -> int | None:
    """Return how many residues a reader finds, None when it raises (whatever it raises)."""
    try:
        return len(reader())
    except GnnlibError:
        return None
    except Exception:  # a peer's own failure is what is measured
        return None


def _best_ms(once: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        once()
        times.append(time.process_time() - begin)
    return 1e3 * min(times)


def _summaries(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a reader and format."""
    summaries = []
    for kind in ("PDB", "mmCIF"):
        for name in dict.fromkeys(row["reader"] for row in rows):
            mine = [row for row in rows if row["kind"] == kind and row["reader"] == name and row["ours"] is not None]
            timed = [row for row in mine if row["ms"] is not None]
            if not timed:
                continue
            summaries.append(
                {
                    "kind": kind,
                    "reader": name,
                    "files": len(mine),
                    "failed": sum(row["residues"] is None for row in mine),
                    "median_ms": round(statistics.median(row["ms"] for row in timed), 3),
                    "total_s": round(sum(row["ms"] for row in timed) / 1e3, 4),
                    "residues_found": sum(row["residues"] or 0 for row in mine),
                    "residues_of_ours": sum(row["ours"] for row in mine),
                    "files_with_other_count": sum(row["residues"] not in {row["ours"], None} for row in mine),
                }
            )
    return summaries
