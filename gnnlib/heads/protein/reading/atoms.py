"""Between a file's text and a `Structure`: the rows of one model, and numbers read from columns of bytes.

Both text readers fill the same `AtomTable`; `gnnlib.heads.protein.reading.assemble` applies the rules to it, so that the two
formats cannot differ in what they keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["ATOM_CODES", "AtomTable", "Bytes2D", "C_TERMINAL_OXYGEN", "SULFUR", "decimals"]

Bytes2D = np.ndarray[Any, np.dtype[np.uint8]]

#: Code of SG, and of the name that some programs give to the O atom of the last residue.
SULFUR, C_TERMINAL_OXYGEN = 5, 6
#: Codes of the atom names that a `Structure` needs; the first five are the order of `ATOMS`.
ATOM_CODES = {"N": 0, "CA": 1, "C": 2, "O": 3, "CB": 4, "SG": SULFUR, "OT1": C_TERMINAL_OXYGEN}


@dataclass(frozen=True, eq=False)
class AtomTable:
    """One model of a file: its residues in order, and the atoms among them that have a code.

    Residues are runs of rows with the same chain, number and insertion code.

    Parameters
    ----------
    names, chains, insertion_codes : list of str, one a residue
    numbers : list of int, one a residue
    is_hetero : bool array, one a residue
        Whether the first row is a HETATM.
    lines : int array, one a residue
        1-based line of the first row.
    atom_residue : int array [A]
        Residue of every atom, not decreasing.
    atom_code : int array [A]
        See `ATOM_CODES`.
    xyz : float array [A, 3]
        In angstrom.
    b_factor : float array [A]
    altloc : uint8 array [A]
        0 for none, else the letter.
    occupancy : float array [A]
        Filled when any altloc is not 0.
    atom_lines : int array [A]
        1-based line of every atom.
    atom_names : list of str or None
        Residue name of every atom, given when a run has more than one.
    num_models : int
        Models in the file.
    """

    names: list[str]
    chains: list[str]
    insertion_codes: list[str]
    numbers: list[int]
    is_hetero: BoolArray
    lines: IntArray
    atom_residue: IntArray
    atom_code: IntArray
    xyz: FloatArray
    b_factor: FloatArray
    altloc: np.ndarray[Any, np.dtype[np.uint8]]
    occupancy: FloatArray
    atom_lines: IntArray
    atom_names: list[str] | None = None
    num_models: int = 1


_BLANK, _SIGN, _DIGIT, _DOT, _OTHER = range(5)
_KIND = np.full(256, _OTHER, dtype=np.uint8)
_KIND[np.frombuffer(b"0123456789", dtype=np.uint8)] = _DIGIT
_KIND[np.frombuffer(b"+-", dtype=np.uint8)] = _SIGN
_KIND[ord(".")] = _DOT
_KIND[ord(" ")] = _BLANK

# States of reading " -12.5 ": before, after the sign, whole digits, dot without and with digits before it, decimals,
# after, wrong. Rows are states, columns the kinds of bytes above.
_NEXT = np.array(
    [
        [0, 1, 2, 3, 7],
        [7, 7, 2, 3, 7],
        [6, 7, 2, 4, 7],
        [7, 7, 5, 7, 7],
        [6, 7, 5, 7, 7],
        [6, 7, 5, 7, 7],
        [6, 7, 7, 7, 7],
        [7, 7, 7, 7, 7],
    ],
    dtype=np.uint8,
)
_IS_NUMBER = np.array([0, 0, 1, 0, 1, 1, 1, 0], dtype=np.bool_)
_IN_DECIMALS = 5
_POWERS = 10.0 ** np.arange(32)
# A digit moves the mantissa one place to the left and adds itself; any other byte leaves it as it is.
_SHIFT, _VALUE = np.ones(256), np.zeros(256)
_SHIFT[48:58], _VALUE[48:58] = 10.0, np.arange(10.0)


def decimals(block: Bytes2D) -> tuple[FloatArray, BoolArray]:
    """Read decimal numbers without exponent, one a row, blanks allowed on both sides.

    Up to 15 digits the result is the float nearest to the decimal, as `float` gives it.

    Parameters
    ----------
    block : uint8 array [n, width]
        The bytes, width at most 32.

    Returns
    -------
    values : float array [n]
        Without meaning where the text is no number.
    is_number : bool array [n]

    Examples
    --------
    >>> text = np.frombuffer(b"  1.5-20.0625.     x", dtype=np.uint8)
    >>> decimals(text.reshape(4, 5))[0].tolist()
    [1.5, -20.0, 625.0, 0.0]
    """
    count = len(block)
    columns = np.ascontiguousarray(block.T)
    state = np.zeros(count, dtype=np.uint8)
    mantissa = np.zeros(count)
    places = np.zeros(count, dtype=np.intp)
    for column in columns:
        state *= 5
        state += _KIND.take(column)
        state = _NEXT.take(state)
        mantissa *= _SHIFT.take(column)
        mantissa += _VALUE.take(column)
        places += state == _IN_DECIMALS
    values = mantissa / _POWERS[places]
    np.negative(values, out=values, where=(columns == ord("-")).any(axis=0))
    return values, _IS_NUMBER[state]
