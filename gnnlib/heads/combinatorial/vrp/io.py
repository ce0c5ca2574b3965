"""Readers of vehicle routing instances, and solution files in and out.

============ ===================================================================== =====================
format       what                                                                  usual convention
============ ===================================================================== =====================
VRPLIB       CVRP, VRPTW, HFVRP, VRPB, GVRP, PCVRPTW, MDVRPTW (``KEYWORD : value``) by type, see `USUAL`
Solomon      VRPTW of Solomon, and of Gehring and Homberger                        dimacs
Li and Lim   pickup and delivery with time windows                                 exact
Cordeau      multi-depot, with a limit of duration                                 exact
============ ===================================================================== =====================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.tsplib_text import read_text
from gnnlib.heads.combinatorial.vrp.tables import read_cordeau, read_li_lim, read_solomon
from gnnlib.heads.combinatorial.vrp.travel import CONVENTIONS
from gnnlib.heads.combinatorial.vrp.vrplib import read_vrplib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import PathLike

__all__ = ["Routes", "format_routes", "read_routes", "read_vrp", "write_routes"]

_INTEGERS = re.compile(r"[-+]?\d+(\s+[-+]?\d+)*\s*")


@dataclass(frozen=True)
class Routes:
    """What a solution file holds.

    Attributes
    ----------
    routes : tuple of tuples of int
        Client numbers, the depots not listed but where the vehicle reloads. Empty routes stay, for route k belongs to
        vehicle k.
    cost : float or None
        As the file says.
    """

    routes: tuple[tuple[int, ...], ...]
    cost: float | None = None


def read_vrp(path: PathLike, *, convention: str | None = None) -> VRP:
    """Read an instance; its format is recognised by its content.

    Parameters
    ----------
    path : path-like
        Plain or gzipped.
    convention : {"exact", "round", "floor", "dimacs", "milli"}, optional
        How distances and times are rounded, see `CONVENTIONS`. Default: what the best known solutions of the
        collection use.

    Returns
    -------
    VRP

    Raises
    ------
    FileFormatError
        With the line, when the file does not follow its format.
    InputError
        If the convention is unknown.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise InputError(f"`convention` must be one of {', '.join(CONVENTIONS)}, found {convention!r}")
    lines = [line.strip() for line in read_text(path).splitlines()]
    filled = [line for line in lines if line]
    if not filled:
        raise FileFormatError.at(path, None, "the file is empty")
    if len(filled) > 1 and filled[1].upper() == "VEHICLE":
        return read_solomon(path, lines, convention or "dimacs")
    if not _INTEGERS.fullmatch(filled[0]):
        return read_vrplib(path, convention)
    words = filled[0].split()
    if len(words) == 4:
        return read_cordeau(path, lines, convention or "exact")
    if len(words) == 3 and len(filled) > 1 and len(filled[1].split()) == 9:
        return read_li_lim(path, lines, convention or "exact")
    raise FileFormatError.at(
        path, 1, "expected a VRPLIB, Solomon, Li-Lim or Cordeau file, found " + repr(filled[0][:40])
    )


def read_routes(path: PathLike) -> Routes:
    """Read a solution file: lines ``Route #1: 4 2 9``, then ``Cost 123``.

    A reload stands as ``|`` at depot 0, as ``|2`` at depot 2.

    Raises
    ------
    FileFormatError
        If there is no route, or one holds something else than whole numbers >= 1.
    """
    routes: list[tuple[int, ...]] = []
    cost = None
    for number, raw in enumerate(read_text(path).splitlines(), start=1):
        found = re.match(r"\s*route\s*#?\s*\d+\s*:(.*)", raw, re.IGNORECASE)
        priced = re.match(r"\s*cost\s*:?\s+(\S+)\s*$", raw, re.IGNORECASE)
        if found is not None:
            routes.append(_clients(path, number, found[1]))
        elif priced is not None:
            try:
                cost = float(priced[1])
            except ValueError as error:
                raise FileFormatError.at(path, number, f"the cost must be a number, found {priced[1]!r}") from error
    if not routes:
        raise FileFormatError.at(path, None, "expected lines `Route #1: ...`, found none")
    return Routes(tuple(routes), cost)


def _clients(path: PathLike, line: int, text: str) -> tuple[int, ...]:
    places = []
    for word in text.split():
        is_reload = re.fullmatch(r"\|\d*", word) is not None
        if not is_reload and (not word.isdecimal() or int(word) < 1):
            raise FileFormatError.at(path, line, f"a route must hold client numbers >= 1, found {word!r}")
        places.append(int(word[1:] or 0) if is_reload else int(word))
    return tuple(places)


def format_routes(routes: Sequence[Sequence[int]], cost: float | None = None, *, num_depots: int = 1) -> str:
    """Return routes as the text of a solution file.

    Parameters
    ----------
    routes : sequence of sequences of int
    cost : float, optional
    num_depots : int
        Numbers below are depots where the vehicle reloads.

    Examples
    --------
    >>> print(format_routes([[4, 2], [1, 3]], 77), end="")
    Route #1: 4 2
    Route #2: 1 3
    Cost 77
    """
    lines = [
        f"Route #{number}: {' '.join(_word(int(place), num_depots) for place in route)}".rstrip()
        for number, route in enumerate(routes, start=1)
    ]
    return "\n".join([*lines, *([] if cost is None else [f"Cost {cost:.15g}"]), ""])


def _word(place: int, num_depots: int) -> str:
    if place >= num_depots:
        return str(place)
    return f"|{place}" if place else "|"


def write_routes(
    routes: Sequence[Sequence[int]], path: PathLike, cost: float | None = None, *, num_depots: int = 1
) -> None:
    """Write a solution file (see `format_routes`)."""
    Path(path).write_text(format_routes(routes, cost, num_depots=num_depots), encoding="utf-8")
