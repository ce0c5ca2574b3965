"""Readers and writers of the TSP's file formats: TSPLIB instances and tours, and VRPLIB-like solutions.

Files number the cities from 1 (VRPLIB solutions from 0); arrays number them from 0. Formats: G. Reinelt, *TSPLIB 95*,
sections 1 and 2. One extension: ``EDGE_WEIGHT_TYPE : EUCLIDEAN`` stands for distances that are not rounded.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.tsp import checks
from gnnlib.heads.combinatorial.tsp.problem import TSP
from gnnlib.heads.combinatorial.tsp.rules import METRIC_DIMENSIONS
from gnnlib.heads.combinatorial.tsplib_text import Section, TsplibText, parse_tsplib, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnlib.typing import ArrayLike, FloatArray, IntArray, PathLike

__all__ = [
    "MATRIX_FORMATS",
    "format_tour",
    "format_tsplib",
    "read_solution",
    "read_tour",
    "read_tsplib",
    "write_solution",
    "write_tour",
    "write_tsplib",
]

#: Orders in which an EDGE_WEIGHT_SECTION may list a matrix.
MATRIX_FORMATS = (
    "FULL_MATRIX",
    "UPPER_ROW",
    "LOWER_ROW",
    "UPPER_DIAG_ROW",
    "LOWER_DIAG_ROW",
    "UPPER_COL",
    "LOWER_COL",
    "UPPER_DIAG_COL",
    "LOWER_DIAG_COL",
)

_FOREIGN_KEYWORDS = {"CAPACITY", "EDGE_DATA_FORMAT"}
_FOREIGN_SECTIONS = {"DEPOT_SECTION", "DEMAND_SECTION", "EDGE_DATA_SECTION", "TOUR_SECTION"}


def read_tsplib(path: PathLike) -> TSP:
    """Read an instance of the (asymmetric) travelling salesman problem from a TSPLIB file.

    Parameters
    ----------
    path : path-like
        ``.tsp`` or ``.atsp``, plain or gzipped, with any line ends.

    Returns
    -------
    TSP
        With coordinates or an explicit matrix, fixed edges, and display coordinates where the file has them.
        Several COMMENT lines become one string with line breaks.

    Raises
    ------
    FileFormatError
        ``path:line: ...`` at the first fault: unknown keyword, type or format, a word where a number belongs, a city
        number out of range or given twice, a wrong count (truncated file), values that no TSP can have.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "box.tsp")
    >>> write_tsplib(TSP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], metric="EUC_2D", name="box"), file)
    >>> read_tsplib(file)
    TSP(name='box', num_cities=4, metric='EUC_2D')
    >>> folder.cleanup()
    """
    text = parse_tsplib(path)
    kind = text.choice("TYPE", ("TSP", "ATSP"), default="TSP")
    for keyword in sorted((_FOREIGN_KEYWORDS & text.values.keys()) | (_FOREIGN_SECTIONS & text.sections.keys())):
        line = text.line(keyword) if keyword in text.values else text.sections[keyword].line
        raise FileFormatError.at(path, line, f"{keyword} does not belong into a file of TYPE {kind}")
    count = text.dimension()
    if count is None:
        raise FileFormatError.at(path, None, "DIMENSION (the number of cities) is missing")
    metric = text.choice("EDGE_WEIGHT_TYPE", ("EXPLICIT", *METRIC_DIMENSIONS))
    layout = text.choice("NODE_COORD_TYPE", ("TWOD_COORDS", "THREED_COORDS", "NO_COORDS"), default="")
    text.choice("DISPLAY_DATA_TYPE", ("COORD_DISPLAY", "TWOD_DISPLAY", "NO_DISPLAY"), default="")
    nodes = text.sections.get("NODE_COORD_SECTION")
    columns = 3 if layout == "THREED_COORDS" or metric == "EUC_3D" else 2
    coords = None if nodes is None else _indexed_points(nodes, count, columns)
    shown = text.sections.get("DISPLAY_DATA_SECTION")
    display = None if shown is None else _indexed_points(shown, count, 2)
    matrix = None
    if metric == "EXPLICIT":
        matrix = _read_matrix(text, count, symmetric=kind == "TSP")
        display = coords[:, :2] if display is None and coords is not None else display
        coords = None
    elif coords is None:
        raise FileFormatError.at(path, None, f"EDGE_WEIGHT_TYPE {metric} needs a NODE_COORD_SECTION, which is missing")
    edges = _fixed_edges(text.sections.get("FIXED_EDGES_SECTION"), count)
    name = text.get("NAME") if "NAME" in text.values else Path(path).name.split(".")[0]
    body = text.sections["EDGE_WEIGHT_SECTION" if coords is None else "NODE_COORD_SECTION"]
    try:
        return TSP(coords, matrix, metric, name, "\n".join(text.comments), edges, display=display)
    except InputError as error:
        raise body.fault(str(error)) from error


def _indexed_points(section: Section, count: int, columns: int) -> FloatArray:
    """Read ``number x y [z]`` lines into an array in the order of the numbers."""
    values = section.numbers()
    width = 1 + columns
    if values.size == count * width:
        table = values.reshape(count, width)
        place = table[:, 0]
        if np.array_equal(np.sort(place), np.arange(1, count + 1)):
            points = np.empty((count, columns))
            points[place.astype(np.int64) - 1] = table[:, 1:]
            return points
    raise _bad_points(section, count, columns)


def _bad_points(section: Section, count: int, columns: int) -> FileFormatError:
    """Find the line that makes a coordinate section unreadable."""
    seen: dict[str, int] = {}
    for text, line in zip(section.lines, section.line_numbers, strict=True):
        tokens = text.split()
        if len(tokens) != 1 + columns:
            return section.fault(f"expected a city number and {columns} coordinates, found {text!r}", line)
        number = tokens[0]
        if not number.isdecimal() or not 1 <= int(number) <= count:
            return section.fault(f"city numbers are 1 .. {count} (DIMENSION), found {number}", line)
        if number in seen:
            return section.fault(f"city {number} stands twice, first in line {seen[number]}", line)
        seen[number] = line
    return section.wrong_count(f"{count} cities (DIMENSION)", str(len(section.lines)))


def _read_matrix(text: TsplibText, count: int, *, symmetric: bool) -> FloatArray:
    section = text.sections.get("EDGE_WEIGHT_SECTION")
    if section is None:
        raise FileFormatError.at(
            text.path, None, "EDGE_WEIGHT_TYPE EXPLICIT needs an EDGE_WEIGHT_SECTION, which is missing"
        )
    layout = text.choice("EDGE_WEIGHT_FORMAT", MATRIX_FORMATS)
    values = section.numbers()
    diagonal = "DIAG" in layout
    expected = count * count if layout == "FULL_MATRIX" else count * (count - 1) // 2 + count * diagonal
    if values.size != expected:
        raise section.wrong_count(f"{expected} numbers ({layout} of {count} cities)", str(values.size))
    if layout == "FULL_MATRIX":
        matrix = values.reshape(count, count)
        try:
            return checks.symmetrised(checks.distance_matrix(matrix), True if symmetric else None)
        except InputError as error:
            raise section.fault(str(error)) from error
    # the upper triangle by rows is, for a symmetric matrix, the lower one by columns
    if layout in {"UPPER_ROW", "UPPER_DIAG_ROW", "LOWER_COL", "LOWER_DIAG_COL"}:
        rows, columns = np.triu_indices(count, 0 if diagonal else 1)
    else:
        rows, columns = np.tril_indices(count, 0 if diagonal else -1)
    matrix = np.zeros((count, count))
    matrix[rows, columns] = values
    matrix[columns, rows] = values
    return matrix


def _fixed_edges(section: Section | None, count: int) -> tuple[tuple[int, int], ...]:
    if section is None:
        return ()
    numbers = section.integers()
    if numbers and numbers[-1] == -1:
        numbers.pop()
    if len(numbers) % 2:
        raise section.wrong_count("pairs of cities, ended by -1", f"{len(numbers)} numbers")
    for position, number in enumerate(numbers):
        if not 1 <= number <= count:
            line = section.line_of(position)
            raise section.fault(f"fixed edges join cities 1 .. {count} (DIMENSION), found {number}", line)
    edges = [(i - 1, j - 1) for i, j in zip(numbers[::2], numbers[1::2], strict=True)]
    try:
        return checks.fixed_edges(edges, count)
    except InputError as error:
        raise section.fault(f"(cities numbered from 0) {error}") from error


def read_tour(path: PathLike) -> IntArray:
    """Read a tour from a TSPLIB ``.tour`` file (also ``.opt.tour``, plain or gzipped).

    Parameters
    ----------
    path : path-like
        The final ``-1`` and ``EOF`` may be absent.

    Returns
    -------
    int array [N]
        Permutation of 0 .. N-1, in the order of the file.

    Raises
    ------
    FileFormatError
        If the file holds no tour or several, or one that leaves out or repeats a city.
    """
    text = parse_tsplib(path)
    text.choice("TYPE", ("TOUR",), default="TOUR")
    section = text.sections.get("TOUR_SECTION")
    if section is None:
        raise FileFormatError.at(path, None, "a tour file needs a TOUR_SECTION, which is missing")
    cities = section.integers()
    while cities and cities[-1] == -1:
        cities.pop()
    if -1 in cities:
        raise section.fault("a tour file must hold one tour here, found several", section.line_of(cities.index(-1) + 1))
    count = text.dimension() or len(cities)
    if len(cities) != count or not cities:
        raise section.wrong_count(f"{count} cities (DIMENSION)" if count else "a tour", str(len(cities)))
    seen: set[int] = set()
    for position, city in enumerate(cities):
        if not 1 <= city <= count or city in seen:
            what = f"visits city {city} twice" if city in seen else f"names city {city}, outside 1 .. {count}"
            raise section.fault(f"the tour {what}", section.line_of(position))
        seen.add(city)
    return np.array(cities, dtype=np.int64) - 1


def read_solution(path: PathLike) -> IntArray:
    """Read a tour from a VRPLIB-like solution file with the single line ``Route #1: ...``.

    City 0 is the depot, comes first and is not named; the others are numbered from 1.

    Parameters
    ----------
    path : path-like
        ``.sol``, plain or gzipped; other lines such as ``Cost ...`` are skipped.

    Returns
    -------
    int array [N]
        Permutation of 0 .. N-1 that begins with 0.

    Raises
    ------
    FileFormatError
        If the file holds no route or several, or one that leaves out or repeats a city.
    """
    route: tuple[int, str] | None = None
    for line, raw in enumerate(read_text(path).splitlines(), start=1):
        match = re.match(r"\s*route\s*#?\s*\d+\s*:(.*)", raw, re.IGNORECASE)
        if match is None:
            continue
        if route is not None:
            raise FileFormatError.at(path, line, "a tour is a single route, found a second one")
        route = (line, match[1])
    if route is None:
        raise FileFormatError.at(path, None, "expected a line `Route #1: ...`, found none")
    section = Section(path, "the route", route[0], [route[1]], [route[0]])
    cities = [0, *section.integers()]
    try:
        return checks.permutation(np.array(cities, dtype=np.int64), len(cities))
    except InputError as error:
        raise section.fault(f"(depot 0 first) {error}") from error


def format_tsplib(problem: TSP, *, full_matrix: bool = False) -> str:
    """Return an instance as the text of a TSPLIB file; numbers are written so that they read back exactly.

    `TSP.node_names` and `TSP.missing_weight` have no place in the format.

    Parameters
    ----------
    problem : TSP
    full_matrix : bool
        Write a symmetric matrix as FULL_MATRIX too, instead of UPPER_ROW.

    Examples
    --------
    >>> print(format_tsplib(TSP.from_coords([[0, 0], [0.5, 3]], metric="EUC_2D", name="pair")), end="")
    NAME : pair
    TYPE : TSP
    DIMENSION : 2
    EDGE_WEIGHT_TYPE : EUC_2D
    NODE_COORD_SECTION
    1 0 0
    2 0.5 3
    EOF
    """
    upper = problem.is_symmetric and not full_matrix
    return "\n".join([*_specification(problem, upper=upper), *_sections(problem, upper=upper), "EOF", ""])


def _specification(problem: TSP, *, upper: bool) -> Iterator[str]:
    if problem.name:  # other programs refuse an empty one
        yield f"NAME : {_one_line(problem.name)}"
    yield f"TYPE : {'TSP' if problem.is_symmetric else 'ATSP'}"
    for comment in problem.comment.splitlines():
        yield f"COMMENT : {_one_line(comment)}"
    yield f"DIMENSION : {problem.num_cities}"
    yield f"EDGE_WEIGHT_TYPE : {problem.metric}"
    if problem.matrix is not None:
        yield f"EDGE_WEIGHT_FORMAT : {'UPPER_ROW' if upper else 'FULL_MATRIX'}"
    elif problem.coords is not None and problem.coords.shape[1] == 3:
        yield "NODE_COORD_TYPE : THREED_COORDS"
    if problem.display is not None:
        yield "DISPLAY_DATA_TYPE : TWOD_DISPLAY"


def _sections(problem: TSP, *, upper: bool) -> Iterator[str]:
    if problem.fixed_edges:
        yield "FIXED_EDGES_SECTION"
        for i, j in problem.fixed_edges:
            yield f"{i + 1} {j + 1}"
        yield "-1"
    if problem.coords is not None:
        yield "NODE_COORD_SECTION"
        yield from _point_lines(problem.coords)
    if problem.matrix is not None:
        yield "EDGE_WEIGHT_SECTION"
        for i, row in enumerate(problem.matrix):
            part = row[i + 1 :] if upper else row
            if part.size:
                yield " ".join(_number(value) for value in part.tolist())
    if problem.display is not None:
        yield "DISPLAY_DATA_SECTION"
        yield from _point_lines(problem.display)


def _point_lines(points: FloatArray) -> Iterator[str]:
    for number, point in enumerate(points.tolist(), start=1):
        yield f"{number} {' '.join(_number(value) for value in point)}"


def _number(value: float) -> str:
    # a negative zero must stay a float to read back as one
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 and str(value) != "-0.0" else repr(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def write_tsplib(problem: TSP, path: PathLike) -> None:
    """Write an instance as a TSPLIB file (see `format_tsplib`)."""
    Path(path).write_text(format_tsplib(problem), encoding="utf-8")


def format_tour(order: ArrayLike, *, name: str = "", comment: str = "") -> str:
    """Return a tour as the text of a TSPLIB ``.tour`` file.

    Parameters
    ----------
    order : int array-like [N]
        Permutation of 0 .. N-1.
    name, comment : str

    Examples
    --------
    >>> print(format_tour([2, 0, 1], name="three"), end="")
    NAME : three
    TYPE : TOUR
    DIMENSION : 3
    TOUR_SECTION
    3
    1
    2
    -1
    EOF
    """
    tour = checks.permutation(order, np.size(np.asarray(order)))
    lines = [f"NAME : {_one_line(name)}"] if name else []
    lines += [f"COMMENT : {_one_line(line)}" for line in comment.splitlines()]
    lines += ["TYPE : TOUR", f"DIMENSION : {len(tour)}", "TOUR_SECTION", *(str(city + 1) for city in tour.tolist())]
    return "\n".join([*lines, "-1", "EOF", ""])


def write_tour(order: ArrayLike, path: PathLike, *, name: str = "", comment: str = "") -> None:
    """Write a tour as a TSPLIB ``.tour`` file (see `format_tour`)."""
    Path(path).write_text(format_tour(order, name=name, comment=comment), encoding="utf-8")


def write_solution(order: ArrayLike, path: PathLike, *, cost: float | None = None) -> None:
    """Write a tour as a VRPLIB-like solution: one route from and to city 0, then ``Cost`` when it is given."""
    tour = checks.permutation(order, np.size(np.asarray(order)))
    if not len(tour):
        raise InputError("`order` must hold at least one city, found none")
    from_depot = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
    lines = [f"Route #1: {' '.join(str(city) for city in from_depot[1:].tolist())}".rstrip()]
    lines += [] if cost is None else [f"Cost {cost}"]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
