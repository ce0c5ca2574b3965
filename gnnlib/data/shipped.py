"""Makes the files of the folder ``datasets`` that are derived from its catalogue and tables."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.data.instances import coords_sha256, make_coords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.typing import FloatArray, PathLike

__all__ = ["shipped_text", "write_shipped"]


def _coords(folder: Path, entry: Mapping[str, Any]) -> FloatArray:
    if "generator" in entry:
        return make_coords(entry)
    with (folder / entry["table"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[row[column] for column in entry["coords"]] for row in rows], dtype=np.float64)


def shipped_text(folder: PathLike, name: str) -> tuple[str, str]:
    """Return the TSPLIB text of an instance and the checksum of its coordinates.

    Parameters
    ----------
    folder : path-like
        A folder laid out like ``datasets``.
    name : str
        An entry of its ``instances.toml``.
    """
    place = Path(folder)
    with (place / "instances.toml").open("rb") as file:
        entry = tomllib.load(file)[name]
    coords = _coords(place, entry)
    digits = entry.get("digits", 0)
    head = {
        "NAME": name,
        "TYPE": "TSP",
        "COMMENT": entry["comment"],
        "DIMENSION": len(coords),
        "EDGE_WEIGHT_TYPE": entry["metric"],
    }
    lines = [f"{key} : {value}" for key, value in head.items()]
    body = [f"{city} {x:.{digits}f} {y:.{digits}f}" for city, (x, y) in enumerate(coords.tolist(), start=1)]
    return "\n".join([*lines, "NODE_COORD_SECTION", *body, "EOF", ""]), coords_sha256(coords)


def write_shipped(folder: PathLike) -> dict[str, str]:
    """Write every file that ``instances.toml`` names; return the checksums of all instances.

    Parameters
    ----------
    folder : path-like
        The folder ``datasets`` of a checkout.
    """
    place = Path(folder)
    with (place / "instances.toml").open("rb") as file:
        catalogue = tomllib.load(file)
    checksums = {}
    for name, entry in catalogue.items():
        text, checksums[name] = shipped_text(place, name)
        if "file" in entry:
            path = place / entry["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return checksums
