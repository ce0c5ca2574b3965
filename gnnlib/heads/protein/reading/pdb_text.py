"""The fixed columns of PDB files, read as one block of bytes.

Format: wwPDB, *Protein Data Bank contents guide* version 3.3, section 9 (ATOM, HETATM, MODEL). Columns 73 to 80 are
optional: old files hold other text there; when the chain column is blank and columns 73 to 76 (segment identifier)
differ between residues, they name the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.protein.reading.atoms import ATOM_CODES, AtomTable, Bytes2D, decimals

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray, PathLike

__all__ = ["parse_pdb"]

_WIDTH = 80  # bytes taken of every row
_COORDINATES_END = 54
_ATOM, _HETATM, _MODEL, _ENDMDL = (
    int(np.frombuffer(word, dtype="<u4")[0]) for word in (b"ATOM", b"HETA", b"MODE", b"ENDM")
)


def _name_codes() -> tuple[IntArray, IntArray]:
    """Atom names as four bytes in either alignment, sorted, and their codes."""
    texts = {text: code for name, code in ATOM_CODES.items() for text in (f" {name:<3}", f"{name:<4}")}
    pairs = sorted((int(np.frombuffer(text.encode(), dtype="<u4")[0]), code) for text, code in texts.items())
    keys, codes = zip(*pairs, strict=True)
    return np.array(keys, dtype=np.uint32), np.array(codes, dtype=np.int64)


_NAME_KEYS, _NAME_CODES = _name_codes()


def parse_pdb(data: bytes, path: PathLike, model: int) -> AtomTable:
    """Read one model of a PDB file.

    Parameters
    ----------
    data : bytes
        The text.
    path : path-like
        For messages.
    model : int
        Counted from 1.

    Raises
    ------
    FileFormatError
        At the first ATOM or HETATM line that is cut off before its coordinates, or holds none, or has no residue
        number.
    InputError
        If the file has fewer models.
    """
    buffer = np.frombuffer(b"".join((data, b"\n", b" " * _WIDTH)), dtype=np.uint8)
    breaks = np.flatnonzero(buffer == ord("\n"))
    starts = np.concatenate(([0], breaks[:-1] + 1))
    heads = _words(buffer, starts)
    is_hetero = heads == _HETATM
    lines = np.flatnonzero(is_hetero | (heads == _ATOM))
    if len(lines) == 0:
        raise FileFormatError.at(path, None, "the file has no ATOM or HETATM line: there are no coordinates in it")
    ends = _model_ends(data, starts, heads, lines)
    if not 1 <= model <= len(ends):
        raise InputError(f"{path}: `model` must be 1 .. {len(ends)}, the models in the file; found {model}")
    if len(ends) > 1:
        first, last = np.searchsorted(lines, [ends[model - 2] if model > 1 else 0, ends[model - 1]])
        lines = lines[first:last]
        if len(lines) == 0:
            raise FileFormatError.at(path, None, f"model {model} has no ATOM or HETATM line: it holds no coordinates")
    starts = starts[lines]
    lengths = breaks[lines] - starts
    cut = np.flatnonzero(lengths < _COORDINATES_END)
    if len(cut):
        raise FileFormatError.at(
            path,
            int(lines[cut[0]]) + 1,
            f"the line is cut off: coordinates stand in columns 31-54, it has {int(lengths[cut[0]])}",
        )
    rows = _rows(buffer, starts, lengths)
    return _table(rows, is_hetero[lines], lines + 1, lengths, path, len(ends))


def _model_ends(
    data: bytes, starts: IntArray, heads: np.ndarray[Any, np.dtype[np.uint32]], atoms: IntArray
) -> list[int]:
    """Return the line after each model's last; atoms that follow the last ENDMDL form a model of their own."""
    ends = _lines_of(b"ENDMDL", _ENDMDL, data, starts, heads)
    if not ends:  # models that are not closed end where the next begins
        models = _lines_of(b"MODEL ", _MODEL, data, starts, heads)
        ends = models[1:] if models and models[0] < atoms[0] else []
    if not ends or atoms[-1] > ends[-1]:
        ends.append(len(starts))
    return ends


def _lines_of(
    word: bytes, head: int, data: bytes, starts: IntArray, heads: np.ndarray[Any, np.dtype[np.uint32]]
) -> list[int]:
    """Lines that begin with a word of six bytes, whose first four are `head`."""
    return [line for line in np.flatnonzero(heads == head).tolist() if data.startswith(word, starts[line])]


def _words(buffer: np.ndarray[Any, np.dtype[np.uint8]], places: IntArray) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Four bytes from every place as one number."""
    words = np.ndarray((len(buffer) - 3,), dtype="<u4", buffer=buffer, strides=(1,))
    return words[places]


def _rows(buffer: np.ndarray[Any, np.dtype[np.uint8]], starts: IntArray, lengths: IntArray) -> Bytes2D:
    """Return the first 80 bytes of every row [n, 80], blank where the line is shorter."""
    windows = np.ndarray((len(buffer) - _WIDTH + 1,), dtype=f"V{_WIDTH}", buffer=buffer, strides=(1,))
    rows: Bytes2D = windows[starts].view(np.uint8).reshape(-1, _WIDTH)
    short = np.flatnonzero(lengths < _WIDTH)
    if len(short):
        part = rows[short]
        part[np.arange(_WIDTH) >= lengths[short, None]] = ord(" ")
        rows[short] = part
    return rows


def _field(rows: Bytes2D, first: int, last: int) -> np.ndarray[Any, Any]:
    """Columns first .. last (counted from 1, both included) as byte strings."""
    width = last - first + 1
    return np.ascontiguousarray(rows[:, first - 1 : last]).view(f"S{width}").ravel()


def _table(
    rows: Bytes2D, is_hetero: BoolArray, lines: IntArray, lengths: IntArray, path: PathLike, num_models: int
) -> AtomTable:
    # the last byte of the residue name, one unused, chain, number, insertion code: eight bytes, one number
    place = np.ascontiguousarray(rows[:, 19:27]).view("<u8").ravel()
    identity = place >> np.uint64(16)
    is_new = np.concatenate(([True], identity[1:] != identity[:-1]))
    has_blank_chain = rows[:, 21] == ord(" ")
    if has_blank_chain.any():
        segments = np.ascontiguousarray(rows[:, 72:76]).view("<u4").ravel()
        is_new[1:] |= has_blank_chain[1:] & (segments[1:] != segments[:-1]) & (lengths[1:] >= 76)
    heads = np.flatnonzero(is_new)
    residue = np.cumsum(is_new) - 1
    names = _field(rows, 18, 20)
    is_renamed = (names[1:] != names[:-1]) & ~is_new[1:]
    keys = np.ascontiguousarray(rows[:, 12:16]).view("<u4").ravel()
    slot = np.minimum(np.searchsorted(_NAME_KEYS, keys), len(_NAME_KEYS) - 1)
    kept = np.flatnonzero(_NAME_KEYS[slot] == keys)
    atoms, codes = rows[kept], _NAME_CODES[slot[kept]]
    altloc = np.where(atoms[:, 16] == ord(" "), 0, atoms[:, 16]).astype(np.uint8)
    first_rows = rows[heads]
    return AtomTable(
        names=_texts(names[heads]),
        chains=_chains(first_rows, lengths[heads]),
        insertion_codes=_texts(_field(first_rows, 27, 27)),
        numbers=_residue_numbers(first_rows, lines[heads], path),
        is_hetero=is_hetero[heads],
        lines=lines[heads],
        atom_residue=residue[kept],
        atom_code=codes,
        xyz=_coordinates(atoms, lines[kept], path),
        b_factor=_b_factors(atoms, codes),
        altloc=altloc,
        occupancy=_optional_column(atoms, 55, 60, 1.0) if altloc.any() else np.ones(len(atoms)),
        atom_lines=lines[kept],
        atom_names=_texts(names[kept]) if is_renamed.any() else None,
        num_models=num_models,
    )


def _texts(fields: np.ndarray[Any, Any]) -> list[str]:
    """Byte strings without their blanks as str."""
    words = fields.tolist()
    known = {word: word.decode("latin-1").strip() for word in set(words)}
    return list(map(known.__getitem__, words))


def _chains(rows: Bytes2D, lengths: IntArray) -> list[str]:
    """Chain of every residue; the segment identifier where the chain is blank and the identifiers tell apart."""
    chains = _texts(_field(rows, 22, 22))
    if "" not in chains:
        return chains
    segments = _texts(_field(rows, 73, 76))
    blank = [i for i, chain in enumerate(chains) if not chain and lengths[i] >= 76]
    if len({segments[i] for i in blank}) > 1:
        for i in blank:
            chains[i] = segments[i]
    return chains


def _residue_numbers(rows: Bytes2D, lines: IntArray, path: PathLike) -> list[int]:
    fields = _field(rows, 23, 26).tolist()
    try:
        return list(map(int, fields))
    except ValueError:
        return [_residue_number(field, int(line), path) for field, line in zip(fields, lines, strict=True)]


def _residue_number(field: bytes, line: int, path: PathLike) -> int:
    """Read a number of four columns, plain or hybrid-36 (``A000`` follows 9999)."""
    text = field.decode("latin-1").strip()
    digits = text[1:] if text[:1] in "+-" else text
    if digits.isascii() and digits.isdecimal():
        return int(text)
    for alphabet_start, case in ((10_000, str.isupper), (10_000 + 26 * 36**3, str.islower)):
        if len(text) == 4 and text.isascii() and text.isalnum() and text[0].isalpha() and case(text):
            return int(text, 36) - 10 * 36**3 + alphabet_start
    raise FileFormatError.at(path, line, f"columns 23-26 hold the residue number, found {field.decode('latin-1')!r}")


def _coordinates(atoms: Bytes2D, lines: IntArray, path: PathLike) -> FloatArray:
    """Columns 31-54 of every atom as three numbers [A, 3]."""
    digits = atoms[:, 30:54].reshape(-1, 8)
    values, is_usual = _fixed_point(digits, 3)
    if not is_usual.all():
        unusual = np.flatnonzero(~is_usual)
        values[unusual], is_number = decimals(digits[unusual])
        if not is_number.all():
            bad = int(unusual[np.argmin(is_number)])
            row = atoms[bad // 3]
            where = row[16:27].tobytes().decode("latin-1").split()
            raise FileFormatError.at(
                path,
                int(lines[bad // 3]),
                f"coordinate {'xyz'[bad % 3]} of residue {' '.join(where)} must be a finite number, "
                f"found {digits[bad].tobytes().decode('latin-1').strip()!r}",
            )
    return values.reshape(-1, 3)


def _fixed_point(digits: Bytes2D, places: int) -> tuple[FloatArray, BoolArray]:
    """Read numbers that fill their columns as ``%8.3f`` does, with so many decimals; also return which have that form."""
    columns = np.ascontiguousarray(digits.T)
    dot = len(columns) - places - 1
    values = columns - np.uint8(48)  # below "0" wraps around to more than 9
    is_digit = values < 10
    is_minus = columns[: dot - 1] == ord("-")
    is_usual = (columns[dot] == ord(".")) & is_digit[dot - 1] & is_digit[dot + 1 :].all(axis=0)
    for place in range(dot - 1):  # before the dot: blanks, at most one sign, digits
        starts = is_digit[place] | is_minus[place]
        is_usual &= np.where(starts, is_digit[place + 1], columns[place] == ord(" "))
    values *= is_digit
    whole = values[0].astype(np.int32)
    for place in (*range(1, dot), *range(dot + 1, len(columns))):
        whole *= 10
        whole += values[place]
    np.negative(whole, out=whole, where=is_minus.any(axis=0))
    return whole / 10.0**places, is_usual  # a quotient of whole numbers: the float nearest to the decimal


def _b_factors(atoms: Bytes2D, codes: IntArray) -> FloatArray:
    """Read the B column of the CA atoms; NaN elsewhere and where it is blank."""
    values = np.full(len(atoms), np.nan)
    chosen = np.flatnonzero(codes == ATOM_CODES["CA"])
    values[chosen] = _optional_column(atoms[chosen], 61, 66, np.nan)
    return values


def _optional_column(atoms: Bytes2D, first: int, last: int, default: float) -> FloatArray:
    """Read a column that may be blank or hold other text: `default` there."""
    digits = atoms[:, first - 1 : last]
    values, is_usual = _fixed_point(digits, 2)
    if not is_usual.all():
        unusual = np.flatnonzero(~is_usual)
        values[unusual], is_number = decimals(digits[unusual])
        values[unusual[~is_number]] = default
    return values
