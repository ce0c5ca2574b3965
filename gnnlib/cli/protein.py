"""``gnnlib protein``: graphs, secondary structure, quality, folds and sequences of many structure files."""

from __future__ import annotations

import csv
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gnnlib.cli.console import check_target, format_table
from gnnlib.cli.protein_inputs import fold_inputs
from gnnlib.errors import GnnlibError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import FloatArray

__all__ = ["app", "demo"]

app = typer.Typer(
    help="Read protein structures: graphs, secondary structure, quality, folds, sequences.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FILES = typer.Argument(metavar="FILE...", help="PDB or mmCIF files, plain or gzipped; or a sample's name.")
_OUT = typer.Option(None, "--out", metavar="CSV", help="Where the table goes; default: stdout.")
_PROGRESS = typer.Option(True, help="Show a progress bar on stderr when that is a terminal.")
_RESIDUE = ["file", "chain", "number", "insertion_code", "residue", "letter"]


class Method(StrEnum):
    """Ways to find secondary structure."""

    dssp = "dssp"
    ca = "ca"


@app.command("graph")
def graph_files(
    files: list[str] = _FILES,
    *,
    knn: int = typer.Option(16, min=0, help="Nearest residues that each residue is joined to; 0 for none."),
    radius: float = typer.Option(10.0, min=0.0, help="Join residues with CA within so many angstrom; 0 for none."),
    contact: float = typer.Option(8.0, min=0.0, help="Join residues with CB within so many angstrom; 0 for none."),
    out: Path | None = _OUT,
    progress: bool = _PROGRESS,
) -> None:
    """Write the residue graph of every FILE: one row an edge, with the distance and all kinds of the edge.

    A file that cannot be read is told on stderr; the others go on.

    \b
    Examples:
      gnnlib protein graph 1abc.pdb 2xyz.cif.gz --out edges.csv
      gnnlib protein graph *.pdb --knn 0 --radius 0 --contact 6 --out contacts.csv
    """  # noqa: D301 (the mark keeps typer from joining the lines of the examples)
    from gnnlib.heads.protein.graph import residue_graph

    def rows(name: str, structure: Structure) -> Iterator[list[Any]]:
        graph = residue_graph(structure, knn=knn, radius=radius, contact=contact)
        labels = [_label(structure, i) for i in range(len(structure))]
        masks = graph.edge_type.tolist()
        for (i, j), length, mask in zip(graph.edge_index.T.tolist(), graph.edge_length.tolist(), masks, strict=True):
            kinds = "+".join(kind for bit, kind in enumerate(graph.edge_kinds) if mask >> bit & 1)
            yield [name, i, j, labels[i], labels[j], f"{length:.3f}", kinds]

    head = ["file", "from", "to", "from_residue", "to_residue", "distance_angstrom", "kinds"]
    _each_structure(files, head, rows, out, progress=progress)


@app.command("ss")
def secondary_files(
    files: list[str] = _FILES,
    *,
    method: Method = typer.Option(
        Method.dssp, help="dssp: from the hydrogen bonds of N, CA, C, O; ca: learned, from CA positions alone."
    ),
    out: Path | None = _OUT,
    progress: bool = _PROGRESS,
) -> None:
    """Write the secondary structure of every FILE: one row a residue, eight states, three states, probabilities.

    \b
    Examples:
      gnnlib protein ss 1abc.pdb --out states.csv
      gnnlib protein ss trace.pdb --method ca
    """  # noqa: D301
    from gnnlib.heads.protein.secondary import secondary_structure

    def rows(name: str, structure: Structure) -> Iterator[list[Any]]:
        found = secondary_structure(structure, method=method.value)
        for i, shares in enumerate(found.probabilities3.tolist()):
            states = [found.states8[i], found.states3[i]]
            yield [*_residue(name, structure, i), *states, *(f"{share:.3f}" for share in shares)]

    head = [*_RESIDUE, "state8", "state3", "helix", "strand", "coil"]
    _each_structure(files, head, rows, out, progress=progress)


@app.command("assess")
def assess_files(
    files: list[str] = _FILES,
    *,
    native: str | None = typer.Option(
        None, metavar="FILE", help="The true structure; without it quality is estimated."
    ),
    match: str = typer.Option("order", help="order: same residues in the same order; numbering: by chain and number."),
    residues: Path | None = typer.Option(None, metavar="CSV", help="Also write lDDT of every residue here."),
    pdb: Path | None = typer.Option(
        None, metavar="FOLDER", help="Also write every model as PDB, lDDT in the B column."
    ),
    out: Path | None = _OUT,
    progress: bool = _PROGRESS,
) -> None:
    """Judge every model FILE, against its native when that is given: one row a model.

    With a native: RMSD, TM-score, GDT_TS, GDT_HA, lDDT. Without: the estimates of a small network that was trained on
    made decoys; its reliability is stated by `gnnlib weights show`.

    \b
    Examples:
      gnnlib protein assess model_*.pdb --native 1abc.pdb --out scores.csv
      gnnlib protein assess model_*.pdb --pdb scored/
    """  # noqa: D301
    from gnnlib.heads.protein.assessment import assess

    check_target(residues)
    if pdb is not None:
        pdb.mkdir(parents=True, exist_ok=True)
    truth = None if native is None else _read(native)
    table: list[list[Any]] = []

    def rows(name: str, structure: Structure) -> Iterator[list[Any]]:
        if truth is None:
            estimate = assess(structure)
            scores, yielded = estimate.lddt_per_residue, [estimate.gdt_ts, estimate.lddt]
        else:
            found = assess(structure, truth, match=match)
            scores = found.lddt_per_residue
            yielded = [found.rmsd, found.tm_score, found.gdt_ts, found.gdt_ha, found.lddt]
        owner = structure if len(scores) == len(structure) or truth is None else truth
        table.extend([*_residue(name, owner, i), f"{score:.4f}"] for i, score in enumerate(scores.tolist()))
        if pdb is not None and owner is structure:
            structure.to_pdb(pdb / f"{_stem(name)}.pdb", b_factors=scores)
        yield [name, len(structure), *(f"{value:.4f}" for value in yielded)]

    known = ["rmsd_angstrom", "tm_score", "gdt_ts", "gdt_ha", "lddt"]
    head = ["file", "residues", *(known if truth is not None else ["estimated_gdt_ts", "estimated_lddt"])]
    _each_structure(files, head, rows, out, progress=progress)
    if residues is not None:
        with _table(residues, [*_RESIDUE, "lddt"]) as write:
            write(table)


@app.command("fold")
def fold_files(
    files: list[str] = typer.Argument(
        metavar="FILE...", help="Distance matrices (.npy, .csv, .txt; NaN is unknown) or sequences (.fasta)."
    ),
    *,
    folder: Path = typer.Option(Path(), metavar="FOLDER", help="Where the PDB files go."),
    seed: int = typer.Option(0, help="Of the random starts."),
    out: Path | None = _OUT,
    progress: bool = _PROGRESS,
) -> None:
    """Fold a CA trace from distances, or from those that a network expects of a sequence; write it as PDB.

    The B column of a PDB file folded from distances holds the misfit of each residue in angstrom. Folds from a sequence
    alone are a guess: the column "remark" says how reliable.

    \b
    Examples:
      gnnlib protein fold distances.npy --folder models
      gnnlib protein fold target.fasta
    """  # noqa: D301
    folder.mkdir(parents=True, exist_ok=True)

    def rows(name: str) -> Iterator[list[Any]]:
        for title, sequence, distances in fold_inputs(name):
            yield _fold_one(title, sequence, distances, folder, seed)

    head = ["name", "residues", "mean_stress_angstrom", "right_hand_confidence", "file", "remark"]
    _each_name(files, head, rows, out, progress=progress)


@app.command("design")
def design_files(
    files: list[str] = _FILES,
    *,
    fixed: str | None = typer.Option(
        None, metavar="LETTERS", help="One letter a residue: those to keep, X for those to design."
    ),
    out: Path | None = _OUT,
    progress: bool = _PROGRESS,
) -> None:
    """Propose a sequence for the backbone of every FILE: one row a residue, with the probabilities of the letters.

    \b
    Example:
      gnnlib protein design backbone.pdb --out design.csv
    """  # noqa: D301
    from gnnlib.heads.protein.design import predict_sequence
    from gnnlib.heads.protein.residues import AMINO_ACIDS

    def rows(name: str, structure: Structure) -> Iterator[list[Any]]:
        found = predict_sequence(structure, fixed=fixed)
        typer.echo(f">{name}\n{found.sequence}", err=True)
        for i, shares in enumerate(found.probabilities.tolist()):
            yield [*_residue(name, structure, i), found.sequence[i], *(f"{share:.4f}" for share in shares)]

    _each_structure(files, [*_RESIDUE, "designed", *AMINO_ACIDS], rows, out, progress=progress)


def _read(name: str) -> Structure:
    """Read a file; where there is none of that name, take the sample so called."""
    from gnnlib.heads.protein.io import read_structure
    from gnnlib.heads.protein.samples import list_samples, load_sample

    if not Path(name).exists() and name in list_samples():
        return load_sample(name)
    return read_structure(name)


def _label(structure: Structure, i: int) -> str:
    return f"{structure.chain_ids[i]}/{structure.residue_names[i]}{structure.residue_numbers[i]}{structure.insertion_codes[i]}"


def _residue(name: str, structure: Structure, i: int) -> list[Any]:
    place = [str(structure.chain_ids[i]), int(structure.residue_numbers[i]), str(structure.insertion_codes[i])]
    return [name, *place, str(structure.residue_names[i]), structure.sequence[i]]


def _stem(name: str) -> str:
    return Path(name).name.split(".")[0]


@contextmanager
def _table(path: Path | None, head: Sequence[str]) -> Iterator[Callable[[Iterable[Sequence[Any]]], None]]:
    """Open a CSV file, or stdout, and hand over what appends rows to it."""
    if path is None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(head)
        yield writer.writerows
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        yield writer.writerows


def _each_structure(
    files: Sequence[str],
    head: Sequence[str],
    rows: Callable[[str, Structure], Iterator[list[Any]]],
    out: Path | None,
    *,
    progress: bool,
) -> None:
    """Read every file and append its rows to the table."""
    _each_name(files, head, lambda name: rows(name, _read(name)), out, progress=progress)


def _each_name(
    files: Sequence[str],
    head: Sequence[str],
    rows: Callable[[str], Iterator[list[Any]]],
    out: Path | None,
    *,
    progress: bool,
) -> None:
    """Append the rows of every file; tell those that fail, and raise in the end if any did."""
    from tqdm.auto import tqdm

    check_target(out)
    failed = 0
    with _table(out, head) as write:
        for name in tqdm(files, disable=not (progress and len(files) > 1 and sys.stderr.isatty()), unit="file"):
            try:
                write(list(rows(name)))
            except (GnnlibError, OSError) as error:
                if len(files) == 1:
                    raise
                failed += 1
                reason = str(error) if isinstance(error, GnnlibError) else f"{error.strerror or error}: {name}"
                typer.echo("gnnlib: " + " ".join(reason.split()), err=True)
    if out is not None:
        typer.echo(f"wrote {out}")
    if failed:
        raise InputError(f"{failed} of {len(files)} files could not be used; the lines above say why")


def _fold_one(title: str, sequence: str | None, distances: FloatArray | None, folder: Path, seed: int) -> list[Any]:
    """Fold one problem, write its PDB file, return its row of the table."""
    import numpy as np

    from gnnlib.heads.protein.decode import reconstruct
    from gnnlib.heads.protein.problem import Structure

    path = folder / f"{_stem(title)}.pdb"
    if sequence is not None:
        from gnnlib.heads.protein.sequence_models import predict_distances

        guess = predict_distances(sequence)
        Structure.from_arrays(guess.coords, guess.sequence, name=title).to_pdb(path)
        remark = f"reliability {guess.reliability:.2f}: {guess.verdict}"
        return [title, len(guess.coords), "", "", str(path), " ".join(remark.split())]
    if distances is None:
        raise InputError(f"{title}: there are neither distances nor a sequence")
    found = reconstruct(distances, seed=seed)
    Structure.from_arrays(found.coords, name=title, b_factors=found.stress).to_pdb(path)
    stress = f"{float(np.nanmean(found.stress)):.3f}"
    return [title, len(found.coords), stress, f"{found.handedness_confidence:.3f}", str(path), ""]


def demo(out: Path) -> None:
    """Take a shipped structure from file to graph, secondary structure, fold and assessment; write pictures to `out`.

    Parameters
    ----------
    out : Path
        An existing folder.
    """
    import numpy as np

    from gnnlib.cli.tsp import save_plot
    from gnnlib.heads.protein import plotting
    from gnnlib.heads.protein.assessment import assess
    from gnnlib.heads.protein.decode import reconstruct
    from gnnlib.heads.protein.graph import residue_graph
    from gnnlib.heads.protein.samples import load_sample
    from gnnlib.heads.protein.secondary import secondary_structure
    from gnnlib.seeding import numpy_generator

    typer.echo("reading and folding a sample protein ...", err=True)
    structure = load_sample("domain")
    graph = residue_graph(structure)
    states = secondary_structure(structure)
    distances = np.linalg.norm(structure.ca[:, None] - structure.ca[None], axis=2)
    noise = np.triu(numpy_generator(0).normal(0.0, 1.0, distances.shape), 1)
    noisy = np.abs(distances * (1.0 + 0.1 * (noise + noise.T)))
    model = reconstruct(noisy)
    judged = assess(model.coords, structure)
    rows = [
        ["residues", f"{len(structure)}"],
        ["edges of the residue graph", f"{graph.num_edges:,}"],
        ["helix / strand", f"{states.fractions['H']:.0%} / {states.fractions['E']:.0%}"],
        ["noise of the given distances", "1 A per 10 A"],
        ["RMSD of the fold", f"{judged.rmsd:.2f} A"],
        ["TM-score, GDT_TS, lDDT", f"{judged.tm_score:.3f}, {judged.gdt_ts:.3f}, {judged.lddt:.3f}"],
    ]
    typer.echo(format_table(["protein (made by the project)", ""], rows))
    written = {
        "protein_map.png": plotting.plot_distance_map(noisy, other=structure),
        "protein_states.png": states.plot(),
        "protein_fold.png": plotting.plot_superposition(judged.coords, structure),
    }
    path = out / "protein_fold.pdb"
    structure.to_pdb(path, b_factors=judged.lddt_per_residue)
    for name, axes in written.items():
        save_plot(axes, out / name)
    for name in [*written, path.name]:
        typer.echo(f"wrote {out / name}")
