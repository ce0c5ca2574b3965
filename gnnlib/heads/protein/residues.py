"""The alphabet of proteins: amino acids, atoms of the backbone, and which residue name stands for which letter."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from gnnlib.typing import IntArray

__all__ = [
    "AMINO_ACIDS",
    "ATOMS",
    "LETTER_OF_NAME",
    "NAME_OF_LETTER",
    "UNKNOWN",
    "clean_sequence",
    "parent_letter",
    "sequence_indices",
]

#: One-letter codes in the order of their indices 0 .. 19.
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
#: Letter of a residue that is none of the twenty; its index is 20.
UNKNOWN = "X"
#: The atoms of a residue that a `Structure` keeps, in the order of their axis.
ATOMS = ("N", "CA", "C", "O", "CB")

#: Three-letter names of the twenty amino acids (and of X).
NAME_OF_LETTER = dict(
    zip(
        AMINO_ACIDS + UNKNOWN,
        [
            "ALA",
            "CYS",
            "ASP",
            "GLU",
            "PHE",
            "GLY",
            "HIS",
            "ILE",
            "LYS",
            "LEU",
            "MET",
            "ASN",
            "PRO",
            "GLN",
            "ARG",
            "SER",
            "THR",
            "VAL",
            "TRP",
            "TYR",
            "UNK",
        ],
        strict=True,
    )
)
#: One-letter codes of the twenty three-letter names.
LETTER_OF_NAME = {name: letter for letter, name in NAME_OF_LETTER.items() if letter != UNKNOWN}

# Protonation states and bonded forms as simulation programs name them; not in the Chemical Component Dictionary
# under these meanings.
_SIMULATION_NAMES = {
    **dict.fromkeys(("HSD", "HSE", "HSP", "HID", "HIE", "HIP"), "H"),
    **dict.fromkeys(("CYX", "CYM", "CYS2"), "C"),
    **dict.fromkeys(("ASH", "ASPP"), "D"),
    **dict.fromkeys(("GLH", "GLUP"), "E"),
    **dict.fromkeys(("LYN", "LSN"), "K"),
    "ARN": "R",
    "TYM": "Y",
}

# IUPAC letters that are not one of the twenty: selenocysteine and pyrrolysine have a parent, the others are choices.
_IUPAC = str.maketrans({"U": "C", "O": "K", "B": UNKNOWN, "Z": UNKNOWN, "J": UNKNOWN})
_LETTERS = frozenset(AMINO_ACIDS + UNKNOWN)


@cache
def _modified() -> dict[str, str]:
    """Letters of modified residues, from Biopython's table of the Chemical Component Dictionary."""
    from Bio.Data.PDBData import protein_letters_3to1_extended  # read once, when a file has such a residue

    table = {name.strip(): letter for name, letter in protein_letters_3to1_extended.items() if letter in _LETTERS}
    return table | _SIMULATION_NAMES | LETTER_OF_NAME


def parent_letter(name: str) -> str:
    """Return the letter of a residue name, that of its parent when it is a modified residue, X when unknown.

    Parameters
    ----------
    name : str
        Residue name of a structure file, upper case: a name of the Chemical Component Dictionary, or one that CHARMM
        and AMBER write for protonation states (``HSD``, ``CYX``, ...).

    Examples
    --------
    >>> parent_letter("ALA"), parent_letter("MSE"), parent_letter("HSD"), parent_letter("QQQ")
    ('A', 'M', 'H', 'X')
    """
    return LETTER_OF_NAME.get(name) or _modified().get(name, UNKNOWN)


def clean_sequence(sequence: str, length: int | None = None) -> str:
    """Return a sequence in the twenty letters and X, or raise `InputError` at the first letter that is no residue.

    Lower case is accepted. Selenocysteine ``U`` becomes ``C``, pyrrolysine ``O`` becomes ``K`` and the ambiguous
    ``B``, ``Z``, ``J`` become ``X``; white space is dropped.

    Parameters
    ----------
    sequence : str
        One-letter codes.
    length : int, optional
        The number of residues that the sequence must have.

    Raises
    ------
    InputError
        If it is no string, empty, of another length, or holds a letter that no residue has.

    Examples
    --------
    >>> clean_sequence("mkuB")
    'MKCX'
    """
    if not isinstance(sequence, str):
        raise InputError(f"`sequence` must be a string of one-letter codes, found {type(sequence).__name__}")
    text = "".join(sequence.split()).upper().translate(_IUPAC)
    if not text:
        raise InputError("`sequence` must hold at least one residue, found none")
    if not _LETTERS.issuperset(text):
        place = next(i for i, letter in enumerate(text) if letter not in _LETTERS)
        raise InputError(
            f"`sequence` must hold one-letter codes of amino acids, found {text[place]!r} at index {place}; "
            f"write X for an unknown residue"
        )
    if length is not None and len(text) != length:
        raise InputError(f"`sequence` must have one letter for each of {length} residues, found {len(text)} letters")
    return text


def sequence_indices(sequence: str) -> IntArray:
    """Return the index of every letter in `AMINO_ACIDS`, 20 for X.

    Parameters
    ----------
    sequence : str
        A clean sequence (see `clean_sequence`) of L letters.

    Returns
    -------
    int64 array [L]

    Examples
    --------
    >>> sequence_indices("ACYX").tolist()
    [0, 1, 19, 20]
    """
    return _INDEX_OF_BYTE[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


_INDEX_OF_BYTE = np.full(256, len(AMINO_ACIDS), dtype=np.int64)
_INDEX_OF_BYTE[np.frombuffer(AMINO_ACIDS.encode(), dtype=np.uint8)] = np.arange(len(AMINO_ACIDS))
