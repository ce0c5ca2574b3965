"""Read and write protein structures: PDB and mmCIF files, one or many, plain or gzipped.

The text readers `gnnlib.heads.protein.reading.pdb_text` and `mmcif_text` are the fast path; ``reader="biopython"`` goes through
Biopython's parsers instead and gives the same structures (T. Hamelryck, B. Manderick, *PDB file parser and structure
class implemented in Python*, Bioinformatics 19 (2003) 2308).
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gnnlib.errors import FileFormatError, InputError, MissingFileError
from gnnlib.heads.protein.reading.assemble import assemble
from gnnlib.heads.protein.reading.many import iterate_structures, read_structures
from gnnlib.heads.protein.reading.mmcif_text import parse_mmcif
from gnnlib.heads.protein.reading.pdb_text import parse_pdb
from gnnlib.heads.protein.reading.writing import write_structure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.heads.protein.problem import Structure
    from gnnlib.heads.protein.reading.atoms import AtomTable
    from gnnlib.typing import PathLike

__all__ = [
    "file_format",
    "iterate_structures",
    "read_bytes",
    "read_models",
    "read_structure",
    "read_structures",
    "write_structure",
]

_GZIP_MAGIC = b"\x1f\x8b"
_PDB_RECORDS = frozenset(
    b"HEADER OBSLTE TITLE SPLIT CAVEAT COMPND SOURCE KEYWDS EXPDTA NUMMDL MDLTYP AUTHOR REVDAT SPRSDE JRNL REMARK DBREF "
    b"SEQADV SEQRES MODRES HET HETNAM HETSYN FORMUL HELIX SHEET TURN SSBOND LINK CISPEP SITE CRYST1 ORIGX1 SCALE1 "
    b"MTRIX1 MODEL ATOM HETATM TER ENDMDL CONECT MASTER END USER".split()
)


def read_structure(
    path: PathLike,
    *,
    model: int = 1,
    chains: str | Iterable[str] | None = None,
    reader: Literal["fast", "biopython"] = "fast",
) -> Structure:
    """Read the protein of a PDB or mmCIF file.

    Parameters
    ----------
    path : path-like
        The format is found from the content, gzip from its first bytes; the name of the file does not matter.
    model : int
        Which model, counted from 1 in the order of the file.
    chains : str or iterable of str, optional
        Chains to keep, by the author's identifiers (as in PDB files); default: all.
    reader : {"fast", "biopython"}
        ``"biopython"`` parses with Biopython (some 30 times slower); the rules and the result are the same.

    Returns
    -------
    Structure
        Its `report` lists every residue that was dropped or mapped, every choice among alternative positions, and
        every break of a chain; the rules are in `gnnlib.heads.protein.reading.assemble`.

    Raises
    ------
    FileFormatError
        ``path:line: ...`` for an empty, binary, truncated or foreign file, a number that cannot be read (also NaN),
        and a file without protein, saying what it holds instead.
    InputError
        If there is no such model or chain.
    MissingFileError
        If there is no such file; another `OSError` if it cannot be opened.

    Examples
    --------
    >>> from gnnlib.heads.protein.samples import sample_path
    >>> structure = read_structure(sample_path("helix"))
    >>> structure.num_residues, structure.chains
    (30, ('A',))
    """
    return _read(read_bytes(path), path, model, chains, reader)


def read_models(
    path: PathLike,
    *,
    chains: str | Iterable[str] | None = None,
    reader: Literal["fast", "biopython"] = "fast",
) -> list[Structure]:
    """Read every model of a file, for instance an NMR ensemble; see `read_structure`.

    Models may differ in size. The file is parsed once a model.
    """
    data = read_bytes(path)
    first = _read(data, path, 1, chains, reader)
    return [first, *(_read(data, path, model, chains, reader) for model in range(2, first.report.num_models + 1))]


def _read(data: bytes, path: PathLike, model: int, chains: str | Iterable[str] | None, reader: str) -> Structure:
    kind = file_format(data, path)
    if reader == "fast":
        table: AtomTable = (parse_pdb if kind == "pdb" else parse_mmcif)(data, path, model)
    elif reader == "biopython":
        from gnnlib.heads.protein.reading.biopython_reader import parse_with_biopython  # takes long to import

        table = parse_with_biopython(data, path, kind, model)
    else:
        raise InputError(f"`reader` must be 'fast' or 'biopython', found {reader!r}")
    structure = assemble(table, path, kind, model)
    if chains is None:
        return structure
    wanted = [chains] if isinstance(chains, str) else list(chains)
    missing = [chain for chain in wanted if chain not in structure.chains]
    if missing or not wanted:
        raise InputError(f"{path}: `chains` must name some of {list(structure.chains)}, found {wanted}")
    return structure.select(np.isin(structure.chain_ids, wanted))


def read_bytes(path: PathLike) -> bytes:
    """Return the content of a file, unpacked when it starts like a gzip file, line ends as they are.

    Raises
    ------
    FileFormatError
        If the file is empty or its compressed part is damaged or cut off.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError.at(path) from error
    if data.startswith(_GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError.at(path, None, f"the gzip file is damaged or cut off ({error})") from error
    if not data.strip():
        raise FileFormatError.at(path, None, "the file is empty")
    return data


def file_format(data: bytes, path: PathLike) -> Literal["pdb", "mmcif"]:
    """Return the format of a structure file, from its content.

    Raises
    ------
    FileFormatError
        If it is neither PDB nor mmCIF; formats that are known by sight are named.
    """
    head = data[:4096]
    if head[0] >= 0x80 or b"\x00" in head:  # no text begins so; the binary formats begin with the mark of a map
        if b"mmtfVersion" in head:
            raise FileFormatError.at(
                path, None, "this is an MMTF file, which is not read; get the entry as PDB or mmCIF"
            )
        if b"dataBlocks" in data:
            raise FileFormatError.at(path, None, "this is a BinaryCIF file, which is not read; get the entry as mmCIF")
    if b"\x00" in head:
        raise FileFormatError.at(path, None, "this is a binary file; structures are read from PDB and mmCIF text")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    while start.startswith(b"#"):
        start = start.partition(b"\n")[2].lstrip()
    word = start[:6].upper()
    if word.split()[:1] and (word.split()[0] in _PDB_RECORDS or word.startswith((b"ATOM", b"HETATM", b"REMARK"))):
        return "pdb"
    if word[:5] == b"DATA_" or data.startswith(b"_atom_site.") or b"\n_atom_site." in data:
        return "mmcif"
    if b"\nATOM  " in data or b"\nHETATM" in data:
        return "pdb"
    looks_like = "an XML" if start.startswith(b"<") else "a FASTA" if start.startswith(b">") else "another"
    raise FileFormatError.at(
        path, 1, f"a PDB or mmCIF file is needed; this looks like {looks_like} file: {_shown(start)!r}"
    )


def _shown(start: bytes) -> str:
    return start.split(b"\n", 1)[0][:40].decode("utf-8", "replace").strip()
