"""Write structures as PDB and mmCIF files through Biopython, with any number a residue in the B column."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein import checks
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.residues import ATOMS, NAME_OF_LETTER

if TYPE_CHECKING:
    from gnnlib.typing import ArrayLike, FloatArray, PathLike

__all__ = ["format_structure", "write_structure"]

_NAMES, _ELEMENTS = (*ATOMS, "SG"), ("N", "C", "C", "O", "C", "S")
_LARGEST_COORDINATE = 9999.0  # what eight columns with three decimals hold, either sign
_MAX_PDB_RESIDUE = 9999


def write_structure(x: Any, path: PathLike, *, b_factors: ArrayLike | None = None) -> None:
    """Write a structure; the ending of `path` chooses the format.

    Parameters
    ----------
    x : Structure or what `as_structure` takes
    path : path-like
        ``.pdb`` or ``.ent`` for PDB, ``.cif`` or ``.mmcif`` for mmCIF.
    b_factors : array-like [L], optional
        Numbers for the B column, for instance lDDT per residue; default: those of the structure, 0 where unknown.

    Raises
    ------
    InputError
        If the ending is another, or the structure does not fit into the fixed columns of a PDB file (chain names of
        more than one letter, numbers above 9999, coordinates beyond 9999 angstrom).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "trace.pdb")
    >>> write_structure([[0.0, 0.0, 0.0], [3.8, 0.0, 0.0]], file, b_factors=[0.5, 0.75])
    >>> print(file.read_text().splitlines()[1].rstrip())
    ATOM      2  CA  UNK A   2       3.800   0.000   0.000  1.00  0.75           C
    >>> folder.cleanup()
    """
    suffix = Path(path).suffix.lower()
    kinds: dict[str, Literal["pdb", "mmcif"]] = {".pdb": "pdb", ".ent": "pdb", ".cif": "mmcif", ".mmcif": "mmcif"}
    if suffix not in kinds:
        raise InputError(f"a structure file ends in {', '.join(kinds)}; found {Path(path).name!r}")
    format_structure(as_structure(x), kinds[suffix], path, b_factors=b_factors)


def format_structure(
    structure: Structure,
    file_format: Literal["pdb", "mmcif"],
    path: PathLike | None = None,
    *,
    b_factors: ArrayLike | None = None,
) -> str:
    """Return a structure as the text of a file, and write it when given a path; see `write_structure`.

    Every residue is written as ATOM with its own name, only the atoms that are there (SG of cysteines among them), occupancy 1.
    """
    from Bio.PDB import MMCIFIO, PDBIO  # half a second

    shown = structure.b_factors if b_factors is None else checks.numbers("b_factors", b_factors, len(structure))
    if file_format == "pdb":
        _check_columns(structure, shown)
    writer = PDBIO() if file_format == "pdb" else MMCIFIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a chain whose residues do not stand together
        writer.set_structure(_to_biopython(structure, np.nan_to_num(shown, nan=0.0), file_format))
    buffer = io.StringIO()
    writer.save(buffer)
    text = buffer.getvalue()
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _check_columns(structure: Structure, b_factors: FloatArray) -> None:
    """Raise what a PDB file cannot hold."""
    wide = [chain for chain in structure.chains if len(chain) > 1]
    if wide:
        raise InputError(f"a PDB file has one letter a chain, found {wide[0]!r}; write mmCIF")
    numbers = structure.residue_numbers
    if numbers.max() > _MAX_PDB_RESIDUE or numbers.min() < -999:
        raise InputError(f"a PDB file has residue numbers -999 .. 9999, found {numbers.min()} .. {numbers.max()}")
    largest = float(np.nanmax(np.abs(structure.coords_angstrom)))
    if largest >= _LARGEST_COORDINATE or np.nanmin(structure.coords_angstrom) <= -999.9995:
        raise InputError(f"a PDB file holds coordinates -999.999 .. 9999 angstrom, found {largest:.1f}; write mmCIF")
    known = b_factors[np.isfinite(b_factors)]
    if len(known) and (known.max() >= 999.995 or known.min() <= -99.995):
        raise InputError(f"the B column of a PDB file holds -99.99 .. 999.99, found {known.min()} .. {known.max()}")


def _to_biopython(structure: Structure, b_factors: FloatArray, file_format: str) -> Any:
    """Biopython's tree of the atoms."""
    from Bio.PDB.StructureBuilder import StructureBuilder

    builder = StructureBuilder()
    builder.init_structure(structure.name or "gnnlib")
    builder.init_model(0)
    serial = 0
    chain, segment = None, structure.segment
    positions = np.concatenate([structure.coords_angstrom, structure.sulfurs[:, None]], axis=1)
    mask = ~np.isnan(positions[:, :, 0])
    seen: set[tuple[str, int, str]] = set()
    for i in range(len(structure)):
        chain_id = str(structure.chain_ids[i]) or (" " if file_format == "pdb" else "A")
        number, icode = int(structure.residue_numbers[i]), str(structure.insertion_codes[i]) or " "
        if (chain_id, number, icode) in seen:
            raise InputError(
                f"residue {structure.residue_label(i)} (index {i}) stands twice in the structure, which a file cannot "
                f"tell apart (segment {int(segment[i])}); give it another number or chain"
            )
        seen.add((chain_id, number, icode))
        if chain_id != chain:
            builder.init_chain(chain_id)
            builder.init_seg(" ")
            chain = chain_id
        builder.init_residue(
            str(structure.residue_names[i]) or NAME_OF_LETTER[structure.sequence[i]], " ", number, icode
        )
        for atom in np.flatnonzero(mask[i]).tolist():
            serial += 1
            name, element = _NAMES[atom], _ELEMENTS[atom]
            builder.init_atom(name, positions[i, atom], float(b_factors[i]), 1.0, " ", f" {name:<3}", serial, element)
    return builder.get_structure()
