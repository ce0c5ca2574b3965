"""The outer shape of TSPLIB and VRPLIB files: ``KEYWORD : value`` lines, numeric sections, the line of every fault.

What the keywords mean is said where a format is read: `gnnlib.heads.combinatorial.tsp.io`, `...vrp.io`.
"""

from __future__ import annotations

import difflib
import gzip
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import FileFormatError

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["TSPLIB", "Dialect", "Section", "TsplibText", "parse_tsplib", "read_text"]


@dataclass(frozen=True)
class Dialect:
    """The keywords that a kind of file may hold.

    Parameters
    ----------
    specification : tuple of str
        Keywords that have a value.
    sections : tuple of str
        Keywords that open a section of numbers.
    """

    specification: tuple[str, ...]
    sections: tuple[str, ...]


TSPLIB = Dialect(
    specification=(
        "NAME",
        "TYPE",
        "COMMENT",
        "DIMENSION",
        "CAPACITY",
        "EDGE_WEIGHT_TYPE",
        "EDGE_WEIGHT_FORMAT",
        "EDGE_DATA_FORMAT",
        "NODE_COORD_TYPE",
        "DISPLAY_DATA_TYPE",
    ),
    sections=(
        "NODE_COORD_SECTION",
        "DEPOT_SECTION",
        "DEMAND_SECTION",
        "EDGE_DATA_SECTION",
        "FIXED_EDGES_SECTION",
        "DISPLAY_DATA_SECTION",
        "TOUR_SECTION",
        "EDGE_WEIGHT_SECTION",
    ),
)
"""The keywords of TSPLIB 95 for (asymmetric) travelling salesman problems, and of the CVRP."""

_KEYWORD_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*(:?)\s*(.*)", re.DOTALL)
_COMMENT_MARKS = ("#", "%", "//", ";")


@dataclass
class Section:
    """The lines of one numeric section.

    Attributes
    ----------
    path : path-like
    keyword : str
    line : int
        Line of the keyword, from 1.
    lines : list of str
        Non-empty lines below it, stripped.
    line_numbers : list of int
        Their places in the file.
    at_end_of_file : bool
        Whether nothing follows: a wrong count then hints at a truncated file.
    """

    path: PathLike
    keyword: str
    line: int
    lines: list[str] = field(default_factory=list)
    line_numbers: list[int] = field(default_factory=list)
    at_end_of_file: bool = False

    def numbers(self) -> FloatArray:
        """Return all numbers of the section in one array."""
        try:
            return np.array(" ".join(self.lines).split(), dtype=np.float64)
        except ValueError as error:
            raise self._not_a_number() from error

    def integers(self) -> list[int]:
        """Return all numbers of the section, which must be whole."""
        values = self.numbers()
        whole = np.isfinite(values) & (values == np.floor(values))
        if not whole.all():
            position = int(np.argmin(whole))
            raise self.fault(f"expected an integer, found {values[position]:g}", self.line_of(position))
        return [int(value) for value in values.tolist()]

    def line_of(self, position: int) -> int:
        """Line of the number at `position` of `numbers`; the last line when it lies beyond the end."""
        seen = 0
        for text, number in zip(self.lines, self.line_numbers, strict=True):
            seen += len(text.split())
            if seen > position:
                return number
        return self.line_numbers[-1] if self.line_numbers else self.line

    def fault(self, message: str, line: int | None = None) -> FileFormatError:
        """Build the error for a line of this section (default: its keyword)."""
        return FileFormatError.at(self.path, self.line if line is None else line, message)

    def wrong_count(self, expected: str, found: str) -> FileFormatError:
        """Build the error for a section that is too long or too short."""
        hint = "; the file ends there, is it truncated?" if self.at_end_of_file else ""
        return self.fault(f"{self.keyword} must hold {expected}, found {found}{hint}", self.line_of(10**18))

    def _not_a_number(self) -> FileFormatError:
        for text, number in zip(self.lines, self.line_numbers, strict=True):
            for token in text.split():
                try:
                    float(token)
                except ValueError:
                    return self.fault(f"expected a number in {self.keyword}, found {token!r}", number)
        return self.fault(f"{self.keyword} holds something that is not a number")


@dataclass
class TsplibText:
    """A TSPLIB file split into its keywords and sections.

    Attributes
    ----------
    path : path-like
    values : dict
        Keyword to (value, line); the comments are kept apart.
    comments : list of str
    sections : dict
        Keyword to `Section`.
    num_lines : int
    dialect : Dialect
    """

    path: PathLike
    values: dict[str, tuple[str, int]] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    sections: dict[str, Section] = field(default_factory=dict)
    num_lines: int = 0
    dialect: Dialect = TSPLIB

    def get(self, keyword: str, default: str = "") -> str:
        """Return the value of a keyword, or `default`."""
        return self.values.get(keyword, (default, 0))[0]

    def line(self, keyword: str) -> int | None:
        """Line of a keyword; None when it is absent."""
        return self.values[keyword][1] if keyword in self.values else None

    def fault(self, keyword: str, message: str) -> FileFormatError:
        """Build the error for the line of `keyword` (for the whole file when it is absent)."""
        return FileFormatError.at(self.path, self.line(keyword), message)

    def choice(self, keyword: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """Return the first word of a value, which must be among `allowed` (upper case)."""
        words = self.get(keyword).upper().split()
        if not words and default is not None:
            return default
        # some files have a name in brackets behind the type
        word = re.split(r"[(\s]", words[0])[0] if words else ""
        if word not in allowed:
            found = repr(self.get(keyword)) if keyword in self.values else "nothing"
            raise self.fault(keyword, f"{keyword} must be one of {', '.join(allowed)}; found {found}")
        return word

    def dimension(self) -> int | None:
        """Return DIMENSION, a whole number >= 1, or None when the file has none."""
        if "DIMENSION" not in self.values:
            return None
        text = self.get("DIMENSION")
        if not text.isdecimal() or int(text) < 1:
            raise self.fault("DIMENSION", f"DIMENSION must be a whole number >= 1, found {text!r}")
        return int(text)


def read_text(path: PathLike) -> str:
    """Return the text of a file, unpacked when it is gzipped, whatever its (8-bit or UTF-8) encoding."""
    content = Path(path).read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise FileFormatError.at(path, None, f"the gzip file is damaged or truncated ({error})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse_tsplib(path: PathLike, dialect: Dialect = TSPLIB) -> TsplibText:
    """Split a file of the TSPLIB family into keywords and sections.

    Blank lines and lines that begin with ``#``, ``%``, ``;`` or ``//`` are skipped; nothing behind ``EOF`` is read;
    ``EOF`` itself may be absent.

    Raises
    ------
    FileFormatError
        At the first line that is neither ``KEYWORD : value`` nor numbers inside a section, at an unknown keyword, and
        at one given twice.
    """
    parsed = TsplibText(path, dialect=dialect)
    section: Section | None = None
    lines = read_text(path).splitlines()
    parsed.num_lines = len(lines)
    for number, raw in enumerate(lines, start=1):
        text = raw.strip()
        if not text or text.startswith(_COMMENT_MARKS):
            continue
        if not text[0].isalpha():
            if section is None:
                raise FileFormatError.at(path, number, f"expected `KEYWORD : value`, found {_short(text)}")
            section.lines.append(text)
            section.line_numbers.append(number)
            continue
        section = _keyword(parsed, text, number)
        if section is _END:
            return parsed
    if section is not None:
        section.at_end_of_file = True
    return parsed


_END = Section("", "EOF", 0)


def _keyword(parsed: TsplibText, text: str, number: int) -> Section | None:
    """File one keyword line; return the section that it opens, if any."""
    match = _KEYWORD_LINE.match(text)
    keyword, colon, value = (match[1].upper(), match[2], match[3].strip()) if match else (text, "", "")
    if keyword == "EOF":
        return _END
    known = parsed.dialect
    if keyword in known.sections:
        if value:
            raise FileFormatError.at(parsed.path, number, f"nothing may follow {keyword}, found {_short(value)}")
        if keyword in parsed.sections:
            raise FileFormatError.at(parsed.path, number, f"{keyword} stands twice in the file")
        parsed.sections[keyword] = Section(parsed.path, keyword, number)
        return parsed.sections[keyword]
    if keyword not in known.specification or not (colon or value):
        near = difflib.get_close_matches(keyword, [*known.specification, *known.sections, "EOF"], n=1)
        hint = f"; did you mean {near[0]}?" if near and near[0] != keyword else ""
        what = "a value for" if keyword in known.specification else "a TSPLIB keyword, found"
        raise FileFormatError.at(parsed.path, number, f"expected {what} {_short(keyword)}{hint}")
    if keyword == "COMMENT":
        parsed.comments.append(value)
    elif keyword in parsed.values:
        raise FileFormatError.at(parsed.path, number, f"{keyword} stands twice in the file")
    else:
        parsed.values[keyword] = (value, number)
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
