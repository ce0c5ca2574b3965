"""The same table of atoms through Biopython's parsers: the reference that the fast readers are tested against.

Biopython keeps every alternative position and every residue name of a point mutation; they are unpacked again here,
in the order of the file, so that the rules of `gnnlib.heads.protein.reading.assemble` decide.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.protein.reading.atoms import ATOM_CODES, AtomTable

if TYPE_CHECKING:
    from gnnlib.typing import PathLike

__all__ = ["parse_with_biopython"]


def parse_with_biopython(data: bytes, path: PathLike, file_format: str, model: int) -> AtomTable:
    """Read one model with `Bio.PDB.PDBParser` or `Bio.PDB.MMCIFParser`.

    Parameters
    ----------
    data : bytes
        The text of the file.
    path : path-like
        For messages.
    file_format : str
        ``"pdb"`` or ``"mmcif"``.
    model : int
        Counted from 1.

    Returns
    -------
    AtomTable
        Biopython does not tell lines: they are 0, and so are occupancies that the file leaves blank.

    Raises
    ------
    FileFormatError
        If Biopython cannot parse the file or finds no atom in it.
    InputError
        If the file has fewer models.
    """
    from Bio.PDB import MMCIFParser, PDBParser
    from Bio.PDB.PDBExceptions import PDBConstructionException

    parser = PDBParser(QUIET=True) if file_format == "pdb" else MMCIFParser(QUIET=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entry = parser.get_structure("x", io.StringIO(data.decode("latin-1")))
    except (PDBConstructionException, KeyError, ValueError, IndexError) as error:
        raise FileFormatError.at(path, None, f"Biopython cannot parse the file ({error!r})") from error
    models = list(entry)
    if not models:
        raise FileFormatError.at(path, None, "there are no coordinates in the file")
    if not 1 <= model <= len(models):
        raise InputError(f"{path}: `model` must be 1 .. {len(models)}, the models in the file; found {model}")
    # Biopython keeps single precision; a PDB file has three decimals
    return _table(models[model - 1], len(models), decimals=3 if file_format == "pdb" else 8)


def _unpacked(residue: Any) -> list[tuple[str, Any]]:
    """Residue names and atoms of all alternatives, in the order of the file."""
    variants = residue.disordered_get_list() if residue.is_disordered() == 2 else [residue]
    pairs = [(variant.get_resname(), atom) for variant in variants for atom in variant.get_unpacked_list()]
    serials = [str(atom.get_serial_number()) for _, atom in pairs]
    if not all(serial.isdecimal() for serial in serials):
        return pairs
    return [pairs[i] for i in sorted(range(len(pairs)), key=lambda i: int(serials[i]))]


def _table(model: Any, num_models: int, decimals: int) -> AtomTable:
    names: list[str] = []
    chains: list[str] = []
    icodes: list[str] = []
    numbers: list[int] = []
    hetero: list[bool] = []
    owner: list[int] = []
    owner_names: list[str] = []
    atoms: list[Any] = []
    for residue in model.get_residues():
        flag, number, icode = residue.id
        pairs = _unpacked(residue)
        for name, atom in pairs:
            if atom.get_name() in ATOM_CODES:
                owner.append(len(names))
                owner_names.append(name.strip())
                atoms.append(atom)
        names.append(pairs[0][0].strip())
        chains.append(residue.get_parent().id.strip())
        icodes.append(icode.strip())
        numbers.append(number)
        hetero.append(flag.strip() != "")
    return AtomTable(
        names=names,
        chains=chains,
        insertion_codes=icodes,
        numbers=numbers,
        is_hetero=np.array(hetero, dtype=np.bool_),
        lines=np.zeros(len(names), dtype=np.int64),
        atom_residue=np.array(owner, dtype=np.int64),
        atom_code=np.array([ATOM_CODES[atom.get_name()] for atom in atoms], dtype=np.int64),
        xyz=np.array([atom.get_coord() for atom in atoms], dtype=np.float64).reshape(-1, 3).round(decimals),
        b_factor=np.array([atom.get_bfactor() for atom in atoms], dtype=np.float64),
        altloc=np.array([ord(atom.get_altloc()) % 32 and ord(atom.get_altloc()) for atom in atoms], dtype=np.uint8),
        occupancy=np.array([1.0 if atom.occupancy is None else atom.occupancy for atom in atoms], dtype=np.float64),
        atom_lines=np.zeros(len(atoms), dtype=np.int64),
        atom_names=owner_names,
        num_models=num_models,
    )
