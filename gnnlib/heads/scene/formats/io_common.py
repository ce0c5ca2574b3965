"""What several readers of scenes share: opening files, names of road users, checks of whole scenes."""

from __future__ import annotations

import gzip
import json
import math
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, MissingFileError
from gnnlib.heads.scene.checks import looks_like_degrees
from gnnlib.heads.scene.problem import AGENT_TYPES

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["number", "read_bytes", "read_json", "require_metres", "stem", "type_code"]

# names that other formats use -> ours
_ALIASES = {
    "car": "vehicle",
    "passenger": "vehicle",
    "taxi": "vehicle",
    "private": "vehicle",
    "emergency": "vehicle",
    "prioritys_vehicle": "vehicle",
    "priority_vehicle": "vehicle",
    "parked_vehicle": "vehicle",
    "evehicle": "vehicle",
    "custom1": "vehicle",
    "default_vehtype": "vehicle",
    "truck_cab": "truck",
    "vehicular_trailer": "truck",
    "trailer": "truck",
    "delivery": "truck",
    "coach": "bus",
    "school_bus": "bus",
    "articulated_bus": "bus",
    "bendy_bus": "bus",
    "moped": "motorcycle",
    "motorcyclist": "motorcycle",
    "bicycle": "cyclist",
    "bicyclist": "cyclist",
    "person": "pedestrian",
    "pedestrians": "pedestrian",
    "stroller": "pedestrian",
    "wheelchair": "pedestrian",
    "traffic_barrier": "static",
    "traffic_cone": "static",
    "construction_cone": "static",
    "construction_zone": "static",
    "construction_barrel": "static",
    "road_boundary": "static",
    "median_strip": "static",
    "pillar": "static",
    "building": "static",
    "bollard": "static",
    "sign": "static",
    "background": "static",
    "riderless_bicycle": "static",
    "barrier": "static",
}
_CODES = {name: code for code, name in enumerate(AGENT_TYPES)}


def type_code(name: str) -> int:
    """Position in `AGENT_TYPES` of a type as any of the formats writes it; what is not known is "other".

    Examples
    --------
    >>> AGENT_TYPES[type_code("riderless_bicycle")], AGENT_TYPES[type_code("parkedVehicle")]
    ('static', 'vehicle')
    """
    plain = "".join("_" + c.lower() if c.isupper() and not name.isupper() else c.lower() for c in name).lstrip("_")
    plain = plain.replace(" ", "_").replace("-", "_").replace("__", "_")
    return _CODES.get(_ALIASES.get(plain, plain), _CODES["other"])


def read_bytes(path: PathLike) -> bytes:
    """Content of a file, unpacked when it is gzipped (found out from its first bytes).

    Raises
    ------
    FileFormatError
        If the gzip stream is damaged or truncated.
    MissingFileError
        If there is no such file; another `OSError` if it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError.at(path) from error
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise FileFormatError.at(path, None, f"the gzip stream is damaged or truncated: {error}") from error


def read_json(path: PathLike) -> Any:
    """JSON document of a file, also gzipped; `FileFormatError` names the line of the first fault."""
    try:
        return json.loads(read_bytes(path))
    except json.JSONDecodeError as error:
        raise FileFormatError.at(path, error.lineno, f"not valid JSON (truncated?): {error.msg}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError.at(path, None, f"not a text file: {error}") from error


def stem(path: PathLike) -> str:
    """Name of a file without its endings ``.gz`` and the next one."""
    name = Path(os.fspath(path)).name
    return Path(name.removesuffix(".gz")).stem


def number(text: Any, path: PathLike, place: str) -> float:
    """Finite float of `text`, or `FileFormatError` that names the file and the place."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise FileFormatError.at(path, None, f"{place}: expected a number, found {text!r}") from None
    if not math.isfinite(value):
        raise FileFormatError.at(path, None, f"{place}: expected a finite number, found {text!r}")
    return value


def require_metres(xy: FloatArray, path: PathLike, place: str) -> None:
    """Raise `FileFormatError` if positions [A, T, 2] look like degrees."""
    if looks_like_degrees(xy):
        low, high = np.nanmin(xy, axis=(0, 1)), np.nanmax(xy, axis=(0, 1))
        raise FileFormatError.at(
            path,
            None,
            f"{place}: positions must be metres, but all agents lie between {low.round(4).tolist()} and "
            f"{high.round(4).tolist()}, which looks like longitude/latitude; project them first",
        )
