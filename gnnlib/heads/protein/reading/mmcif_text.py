"""The ``_atom_site`` loop of mmCIF files, read column by column.

Format: S. R. Hall, F. H. Allen, I. D. Brown, *The Crystallographic Information File (CIF)*, Acta Cryst. A47 (1991)
655; names of the columns: PDBx/mmCIF dictionary. Files of the archive pad every column to one width, so that the loop
is a rectangle of bytes; that case is read without looking at single words. Any other layout (words of different
widths, quotes, text over several lines) is split into words first.

Chains, numbers and insertion codes are the author's (``auth_asym_id``, ``auth_seq_id``, ``pdbx_PDB_ins_code``), as in
PDB files; residue and atom names are ``label_comp_id`` and ``label_atom_id``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.protein.reading.atoms import ATOM_CODES, AtomTable, Bytes2D, decimals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnlib.typing import BoolArray, FloatArray, IntArray, PathLike

__all__ = ["parse_mmcif"]

_PREFIX = b"_atom_site."
# Our names and the columns that may hold them, the first there is.
_COLUMNS = {
    "group": ("group_pdb",),
    "atom": ("label_atom_id", "auth_atom_id"),
    "altloc": ("label_alt_id",),
    "residue": ("label_comp_id", "auth_comp_id"),
    "chain": ("auth_asym_id", "label_asym_id"),
    "number": ("auth_seq_id", "label_seq_id"),
    "insertion": ("pdbx_pdb_ins_code",),
    "x": ("cartn_x",),
    "y": ("cartn_y",),
    "z": ("cartn_z",),
    "occupancy": ("occupancy",),
    "b_factor": ("b_iso_or_equiv",),
    "model": ("pdbx_pdb_model_num",),
}
_NEEDED = ("atom", "residue", "chain", "number", "x", "y", "z")
_MISSING = (b"?", b".")


@dataclass(frozen=True, eq=False)
class _Loop:
    """The loop as columns of bytes, padded with blanks on the right; every array has one row an atom."""

    columns: dict[str, Bytes2D]
    lines: IntArray

    def words(self, name: str, rows: IntArray, default: str = "") -> list[str]:
        """Texts of a column, ``""`` for ``?`` and ``.``; `default` when there is no such column."""
        if name not in self.columns:
            return [default] * len(rows)
        block = self.columns[name][rows]
        words = block.view(f"S{block.shape[1]}").ravel().tolist()
        known = {word: _text(word) for word in set(words)}
        return list(map(known.__getitem__, words))

    def keys(self, name: str) -> list[np.ndarray[Any, np.dtype[np.uint64]]]:
        """Every eight bytes of a column as one number; a column that is missing holds the same everywhere."""
        if name not in self.columns:
            return []
        block = self.columns[name]
        count, width = block.shape
        numbers = []
        for first in range(0, width, 8):
            padded = np.full((count, 8), ord(" "), dtype=np.uint8)
            for column in range(first, min(first + 8, width)):  # column by column: rows are a handful of bytes
                padded[:, column - first] = block[:, column]
            numbers.append(padded.view("<u8").ravel())
        return numbers

    def changes(self, name: str) -> BoolArray:
        """Where a row differs from the one before; the first always does."""
        is_new = np.zeros(len(self.lines), dtype=np.bool_)
        is_new[0] = True
        for key in self.keys(name):
            is_new[1:] |= key[1:] != key[:-1]
        return is_new

    def codes(self, name: str, codes: dict[str, int]) -> IntArray:
        """Look up the words of a column: their code, -1 for those that have none."""
        found = np.full(len(self.lines), -1, dtype=np.int64)
        first, *rest = self.keys(name)
        for word, code in codes.items():
            found[first == int.from_bytes(word.encode().ljust(8), "little")] = code
        for key in rest:
            found[key != int.from_bytes(b" " * 8, "little")] = -1
        return found


def _text(word: bytes) -> str:
    text = word.strip()
    return "" if text in _MISSING else _unquoted(text).decode("utf-8", "replace")


def _unquoted(word: bytes) -> bytes:
    return word[1:-1] if len(word) > 1 and word[:1] in b"'\"" and word[:1] == word[-1:] else word


def parse_mmcif(data: bytes, path: PathLike, model: int) -> AtomTable:
    """Read one model of an mmCIF file.

    Parameters
    ----------
    data : bytes
        The text.
    path : path-like
        For messages.
    model : int
        Counted from 1, in the order of the file.

    Raises
    ------
    FileFormatError
        If there is no ``_atom_site`` category, it lacks a column that is needed, its last row is cut off, or a number
        cannot be read.
    InputError
        If the file has fewer models.
    """
    loop = _read_loop(data, path)
    heads = np.flatnonzero(loop.changes("model"))
    numbers = loop.words("model", heads, "1")
    models = list(dict.fromkeys(numbers))
    if not 1 <= model <= len(models):
        raise InputError(f"{path}: `model` must be 1 .. {len(models)}, the models in the file; found {model}")
    if len(models) > 1:
        ends = [*heads[1:].tolist(), len(loop.lines)]
        ranges = [
            np.arange(first, last)
            for first, last, name in zip(heads.tolist(), ends, numbers, strict=True)
            if name == models[model - 1]
        ]
        rows = np.concatenate(ranges)
        loop = _Loop({name: block[rows] for name, block in loop.columns.items()}, loop.lines[rows])
    return _table(loop, path, len(models))


def _table(loop: _Loop, path: PathLike, num_models: int) -> AtomTable:
    is_new = loop.changes("number") | loop.changes("chain") | loop.changes("insertion")
    heads = np.flatnonzero(is_new)
    residue = np.cumsum(is_new) - 1
    code = loop.codes("atom", ATOM_CODES)
    kept = np.flatnonzero(code >= 0)
    altloc = _altlocs(loop, kept)
    is_renamed = bool((loop.changes("residue") & ~is_new).any())
    occupancy = _optional(loop, "occupancy", kept, 1.0) if altloc.any() else np.ones(len(kept))
    return AtomTable(
        names=loop.words("residue", heads),
        chains=loop.words("chain", heads),
        insertion_codes=loop.words("insertion", heads),
        numbers=_numbers(loop, heads, path),
        is_hetero=np.array(loop.words("group", heads)) == "HETATM",
        lines=loop.lines[heads],
        atom_residue=residue[kept],
        atom_code=code[kept],
        xyz=_coordinates(loop, kept, path),
        b_factor=_b_factors(loop, kept, code[kept]),
        altloc=altloc,
        occupancy=occupancy,
        atom_lines=loop.lines[kept],
        atom_names=loop.words("residue", kept) if is_renamed else None,
        num_models=num_models,
    )


def _altlocs(loop: _Loop, rows: IntArray) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if "altloc" not in loop.columns:
        return np.zeros(len(rows), dtype=np.uint8)
    block = loop.columns["altloc"][rows]
    letters = block[:, 0].copy()
    letters[(letters == ord(".")) | (letters == ord("?")) | (letters == ord(" "))] = 0
    return letters


def _numbers(loop: _Loop, rows: IntArray, path: PathLike) -> list[int]:
    block = loop.columns["number"][rows]
    try:
        return list(map(int, block.view(f"S{block.shape[1]}").ravel().tolist()))
    except ValueError:
        words = loop.words("number", rows)
        bad = next(i for i, word in enumerate(words) if not word.lstrip("+-").isdecimal())
        if words[bad] == "":  # programs other than the archive leave out the numbers of ligands and water
            return [int(word) if word else 0 for word in words]
        line = int(loop.lines[rows[bad]])
        raise FileFormatError.at(
            path, line, f"the residue number must be a whole number, found {words[bad]!r}"
        ) from None


def _coordinates(loop: _Loop, rows: IntArray, path: PathLike) -> FloatArray:
    width = max(loop.columns[axis].shape[1] for axis in "xyz")
    block = np.full((len(rows), 3, width), ord(" "), dtype=np.uint8)
    for place, axis in enumerate("xyz"):
        column = loop.columns[axis]
        block[:, place, : column.shape[1]] = column[rows]
    digits = block.reshape(-1, width)
    values, is_number = decimals(digits)
    if not is_number.all():
        bad = int(np.argmin(is_number))
        row = rows[bad // 3 : bad // 3 + 1]
        residue = " ".join(loop.words(key, row)[0] for key in ("residue", "chain", "number"))
        raise FileFormatError.at(
            path,
            int(loop.lines[row[0]]),
            f"coordinate {'xyz'[bad % 3]} of residue {residue} must be a finite number, "
            f"found {digits[bad].tobytes().decode('utf-8', 'replace').strip()!r}",
        )
    return values.reshape(-1, 3)


def _b_factors(loop: _Loop, rows: IntArray, codes: IntArray) -> FloatArray:
    """Read the B column of the CA atoms; NaN elsewhere."""
    values = np.full(len(rows), np.nan)
    chosen = np.flatnonzero(codes == ATOM_CODES["CA"])
    values[chosen] = _optional(loop, "b_factor", rows[chosen], np.nan)
    return values


def _optional(loop: _Loop, name: str, rows: IntArray, default: float) -> FloatArray:
    if name not in loop.columns:
        return np.full(len(rows), default)
    values, is_number = decimals(loop.columns[name][rows])
    values[~is_number] = default
    return values


def _read_loop(data: bytes, path: PathLike) -> _Loop:
    """Find the category and cut it into columns."""
    place = 0 if data.startswith(_PREFIX) else data.find(b"\n" + _PREFIX) + 1
    if place == 0 and not data.startswith(_PREFIX):
        raise FileFormatError.at(path, None, "the file has no _atom_site category: there are no coordinates in it")
    names, body = _header(data, place)
    if not names:  # `name value` pairs instead of a loop: one atom
        data, names = _one_row(data, place)
        body = 0
    chosen = {}
    for key, candidates in _COLUMNS.items():
        column = next((names.index(name) for name in candidates if name in names), None)
        if column is not None:
            chosen[key] = column
        elif key in _NEEDED:
            line = data.count(b"\n", 0, place) + 1
            raise FileFormatError.at(path, line, f"the _atom_site category has no column {' or '.join(candidates)}")
    first_line = data.count(b"\n", 0, body) + 1
    loop = _rectangle(data, body, len(names), chosen, first_line)
    if loop is not None:
        return loop
    end = _body_end(data, body)
    if end <= body:
        raise FileFormatError.at(path, first_line, "the _atom_site category holds no atom")
    return _split_words(data, (body, end), len(names), chosen, path)


def _column_name(word: bytes) -> str:
    return word[len(_PREFIX) :].decode("utf-8", "replace").lower()


def _header(data: bytes, place: int) -> tuple[list[str], int]:
    """Names of the columns, lower case without the prefix, and where the rows begin; no names if values follow them."""
    names: list[str] = []
    while data.startswith(_PREFIX, place):
        end = data.find(b"\n", place)
        end = len(data) if end < 0 else end
        words = data[place:end].split()
        if len(words) > 1 and not words[1].startswith(b"#"):
            return [], place
        names.append(_column_name(words[0]))
        place = min(end + 1, len(data))
    return names, place


def _one_row(data: bytes, place: int) -> tuple[bytes, list[str]]:
    """Turn `name value` pairs into a row of a loop."""
    names, values = [], []
    words = [word for word, _ in _words(data, place, stop_at_names=False)]
    for name, value in zip(words[::2], words[1::2], strict=False):
        if not name.startswith(_PREFIX):
            break
        names.append(_column_name(name))
        values.append(value)
    return b" ".join(values) + b"\n", names


_ENDS = (b"#", b"_", b"loop_", b"data_", b"LOOP_", b"DATA_")
_ATOM, _HETATM = (int.from_bytes(word, "little") for word in (b"ATOM", b"HETA"))


def _body_end(data: bytes, body: int) -> int:
    """Where the rows end: at a line with a name or a keyword, or at the end of the file; comment marks left off."""
    found = [data.find(b"\n" + mark, body - 1) for mark in _ENDS[1:]]
    end = min((place + 1 for place in found if place >= 0), default=len(data))
    text = data[body:end].rstrip()
    while text.endswith(b"\n#"):
        text = text[:-1].rstrip()
    return body + len(text)


def _rectangle(data: bytes, body: int, width: int, chosen: dict[str, int], first_line: int) -> _Loop | None:
    """Cut rows of one length at the columns of blanks; None when the rows have another shape."""
    step = data.find(b"\n", body) + 1 - body
    count = (len(data) - body) // step if step > 4 else 0
    if count == 0:
        return None
    block = np.frombuffer(data, dtype=np.uint8, count=count * step, offset=body).reshape(count, step)
    group = np.ndarray((count,), dtype="<u4", buffer=data, offset=body, strides=(step,))
    is_row = (group == _ATOM) | (group == _HETATM)
    count = count if is_row.all() else int(np.argmin(is_row))
    end = body + count * step
    block = block[:count]
    if not (block[:, -1] == ord("\n")).all() or not (end == len(data) or data.startswith(_ENDS, end)):
        return None
    filled = block > ord(" ")
    is_used = filled.any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_used, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    # one word a field in every row: each field is filled at its left end, and there are no more words than fields
    num_words = count + int(np.count_nonzero(filled[:, 1:] > filled[:, :-1]))
    if len(starts) != width or num_words != width * count or not filled[:, starts].all():
        return None
    columns = {key: block[:, starts[column] : ends[column]] for key, column in chosen.items()}
    return _Loop(columns, np.arange(first_line, first_line + count))


def _split_words(data: bytes, span: tuple[int, int], width: int, chosen: dict[str, int], path: PathLike) -> _Loop:
    """Read the rows word by word."""
    body, end = span
    first_line = data.count(b"\n", 0, body) + 1
    words = _plain_words(data[body:end])
    num_lines = data.count(b"\n", body, end) + (not data[body:end].endswith(b"\n"))
    if words is not None and len(words) == width * num_lines:  # a row a line
        at_line = np.arange(first_line, first_line + num_lines)
    else:
        pairs = list(_words(data, body))
        words = [word for word, _ in pairs]
        breaks = np.flatnonzero(np.frombuffer(data, dtype=np.uint8, offset=body) == ord("\n")) + body
        at_line = np.searchsorted(breaks, [place for _, place in pairs])[::width] + first_line
    count, rest = divmod(len(words), width)
    if rest:
        raise FileFormatError.at(
            path,
            int(at_line[-1]),
            f"the _atom_site loop has {width} columns, its last row holds {rest} words: the file is cut off or a word "
            "with blanks is not quoted",
        )
    if count == 0:
        raise FileFormatError.at(path, first_line, "the _atom_site category holds no atom")
    columns = {}
    for key, column in chosen.items():
        part = words[column::width]
        size = max(map(len, part))
        joined = b"".join([word.ljust(size) for word in part])
        columns[key] = np.frombuffer(joined, dtype=np.uint8).reshape(count, size)
    return _Loop(columns, at_line)


def _plain_words(body: bytes) -> list[bytes] | None:
    """Words between blanks; None when a quoted word, a comment or a text over several lines needs more care."""
    if b"\n;" in body or body.startswith(b";") or b"#" in body:
        return None
    words = body.split()
    if b"'" in body or b'"' in body:
        quoted = [word for word in words if word[:1] in {b"'", b'"'}]
        if any(len(word) < 2 or word[-1:] != word[:1] for word in quoted):
            return None
        words = [_unquoted(word) for word in words]
    return words


_WORD = re.compile(
    rb"""^;(?P<text>.*?)^;(?=\s|\Z)|(?P<comment>\#[^\n]*)|'(?P<single>[^\n]*?)'(?=\s|\Z)"""
    rb"""|"(?P<double>[^\n]*?)"(?=\s|\Z)|(?P<plain>\S+)""",
    re.MULTILINE | re.DOTALL,
)
_KEYWORDS = (b"loop_", b"data_", b"save_", b"stop_", b"global_")


def _words(data: bytes, body: int, *, stop_at_names: bool = True) -> Iterator[tuple[bytes, int]]:
    """Words from `body` on and their places, quotes taken off, to the end of the category."""
    for match in _WORD.finditer(data, body):
        kind = match.lastgroup or "plain"
        word = match.group(kind)
        if kind == "comment":
            continue
        if kind == "plain" and ((stop_at_names and word.startswith(b"_")) or word.lower().startswith(_KEYWORDS)):
            return
        yield word.strip() or b".", match.start()
