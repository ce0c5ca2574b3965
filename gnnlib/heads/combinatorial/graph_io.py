"""Readers of graph files: TNTP road networks and GraphML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.combinatorial.graph_inputs import as_weighted_graph
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["read_graph", "read_graphml", "read_tntp"]

# Columns of a link line; the last ones are often left out.
_COLUMNS = ("init_node", "term_node", "capacity", "length", "free_flow_time", "b", "power", "speed", "toll", "type")
_TAG = re.compile(r"<([^>]*)>\s*(.*)")


def read_graph(path: PathLike, *, weight: str = "weight") -> WeightedGraph:
    """Read a graph file by its suffix: ``.tntp`` or ``.graphml``.

    Parameters
    ----------
    path : path-like
    weight : str, default "weight"
        See `gnnlib.heads.combinatorial.graph_inputs.as_weighted_graph`.

    Raises
    ------
    InputError
        If the file is missing or its suffix is unknown.
    FileFormatError
        If it does not follow its format.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".tntp":
        return read_tntp(path, weight="length" if weight == "weight" else weight)
    if suffix in {".graphml", ".xml"}:
        return read_graphml(path, weight=weight)
    raise InputError(f"a graph file must end in .tntp or .graphml, found {str(path)!r}")


def read_tntp(path: PathLike, *, weight: str = "length", nodes: PathLike | None = None) -> WeightedGraph:
    """Read a road network in the TNTP format of the Transportation Networks collection [1]_.

    Parameters
    ----------
    path : path-like
        The file of links, ``<name>_net.tntp``.
    weight : {"length", "free_flow_time", "capacity", "toll", ...}, default "length"
        The column that becomes the weight.
    nodes : path-like, optional
        File of node coordinates; by default ``<name>_node.tntp`` beside it, if there is one.

    Returns
    -------
    WeightedGraph
        Directed, nodes named by their numbers in the file (from 1). Zone centroids are ordinary nodes.

    Raises
    ------
    InputError
        If the file is missing or there is no such column.
    FileFormatError
        If the file breaks off, a line is malformed or counts do not agree; the message names the line.

    References
    ----------
    .. [1] Transportation Networks for Research Core Team, *Transportation Networks for Research*,
       https://github.com/bstabler/TransportationNetworks
    """
    if weight not in _COLUMNS[2:]:
        raise InputError(f"`weight` of a TNTP file must be one of {', '.join(_COLUMNS[2:])}; found {weight!r}")
    lines = _text(path).splitlines()
    tags, start = _metadata(path, lines)
    count = _tag_count(path, tags, "NUMBER OF NODES")
    links = _tag_count(path, tags, "NUMBER OF LINKS")
    column = _COLUMNS.index(weight)
    tails, heads, weights = [], [], []
    for number, line in enumerate(lines[start:], start + 1):
        words = line.split("~")[0].replace(";", " ").split()
        if not words:
            continue
        if len(words) <= column:
            raise FileFormatError.at(path, number, f"expected at least {column + 1} columns, found {len(words)}")
        try:
            tail, head, value = int(words[0]), int(words[1]), float(words[column])
        except ValueError as error:
            raise FileFormatError.at(path, number, f"expected two node numbers and a number: {error}") from error
        if not (1 <= tail <= count and 1 <= head <= count):
            raise FileFormatError.at(path, number, f"nodes must lie in 1 .. {count}, found {tail} and {head}")
        if not np.isfinite(value):
            raise FileFormatError.at(path, number, f"the {weight} must be finite, found {words[column]}")
        tails.append(tail - 1)
        heads.append(head - 1)
        weights.append(value)
    if len(weights) != links:
        raise FileFormatError.at(path, len(lines), f"expected {links} links, found {len(weights)}")
    stem = Path(path).stem.removesuffix("_net")
    beside = Path(path).with_name(stem + "_node.tntp") if nodes is None else Path(nodes)
    coords = _coordinates(beside, count) if nodes is not None or beside.exists() else None
    return WeightedGraph(
        count,
        np.array(tails, np.int64),
        np.array(heads, np.int64),
        np.array(weights, np.float64),
        is_directed=True,
        names=tuple(range(1, count + 1)),
        coords=coords,
        name=stem,
    )


def read_graphml(path: PathLike, *, weight: str = "weight") -> WeightedGraph:
    """Read a GraphML file.

    Parameters
    ----------
    path : path-like
    weight : str, default "weight"
        Edge attribute that holds the weight; "length" in road maps. Where no edge has it, every edge weighs 1.

    Returns
    -------
    WeightedGraph
        Nodes are named by their ids.

    Raises
    ------
    InputError
        If the file is missing or a weight is missing or no number.
    FileFormatError
        If the file is no GraphML.
    """
    import networkx as nx

    _text(path)
    try:
        graph: Any = nx.read_graphml(path)
    except (ParseError, nx.NetworkXError, KeyError, ValueError, TypeError) as error:
        line = error.position[0] if isinstance(error, ParseError) else None
        raise FileFormatError.at(path, line, f"not a GraphML file: {error}") from error
    graph.name = graph.name or Path(path).stem
    return as_weighted_graph(graph, weight=weight)


def _text(path: PathLike) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="strict")
    except OSError as error:
        raise InputError(f"cannot read the graph file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError.at(path, None, f"expected UTF-8 text: {error}") from error


def _metadata(path: PathLike, lines: list[str]) -> tuple[dict[str, tuple[str, int]], int]:
    """Return the tags with their values and lines, and the index of the first line after them."""
    tags: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, 1):
        match = _TAG.match(line.strip())
        if match is None:
            continue
        tag = match.group(1).strip().upper()
        if tag == "END OF METADATA":
            return tags, number
        tags[tag] = match.group(2).strip(), number
    raise FileFormatError.at(path, None, "expected a line <END OF METADATA>, found none")


def _tag_count(path: PathLike, tags: dict[str, tuple[str, int]], tag: str) -> int:
    if tag not in tags:
        raise FileFormatError.at(path, None, f"expected a line <{tag}>, found none")
    value, line = tags[tag]
    if not value.isdigit():
        raise FileFormatError.at(path, line, f"<{tag}> must be an integer, found {value!r}")
    return int(value)


def _coordinates(path: Path, count: int) -> FloatArray | None:
    """Read the coordinates of all nodes; None when some node has none."""
    coords = np.full((count, 2), np.nan)
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.replace(";", " ").replace(",", " ").split()
        if len(words) < 3 or not words[0].isdigit():
            continue
        if not 1 <= int(words[0]) <= count:
            raise FileFormatError.at(path, number, f"nodes must lie in 1 .. {count}, found {words[0]}")
        try:
            coords[int(words[0]) - 1] = float(words[1]), float(words[2])
        except ValueError as error:
            raise FileFormatError.at(path, number, f"expected two coordinates: {error}") from error
    return coords if np.isfinite(coords).all() else None
