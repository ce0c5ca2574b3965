"""Open a recorded scene in any of the formats that the library reads; the format is found from the content."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnlib.errors import FileFormatError, InputError, MissingFileError
from gnnlib.heads.scene.formats.io_common import read_bytes
from gnnlib.heads.scene.formats.io_table_write import write_scenes
from gnnlib.heads.scene.io_table import SceneTable, read_scenes

if TYPE_CHECKING:
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import PathLike

__all__ = ["SceneTable", "read_scene", "read_scenes", "write_scenes"]

_ROOT = re.compile(rb"<\s*([A-Za-z][\w.:-]*)")


def read_scene(
    source: PathLike | Mapping[str, Any],
    *,
    map_path: PathLike | None = None,
    name: str | None = None,
    dt: float | None = None,
) -> Scene:
    r"""Read one traffic scene.

    Parameters
    ----------
    source : path-like or mapping
        What the file holds decides, not its name; text formats may be gzipped.

        - CommonRoad XML (2018b, 2020a), map included;
        - Argoverse 2 motion forecasting: ``scenario_*.parquet``, with the map JSON beside it or in `map_path`;
        - a ScenarioNet-like scenario: a dict in memory, JSON, or NPZ with keys such as ``tracks/12/state/position``;
        - SUMO: FCD XML, with the ``.net.xml`` in `map_path`;
        - pedestrians as text, lines ``frame id x y`` (ETH, UCY);
        - the parquet table of `read_scenes`, with its map JSON in `map_path` and the scene in `name`.
    map_path : path-like, optional
        File of the map where the format keeps it apart; without it there is no map.
    name : str, optional
        Which scene of a table (default: the first); for all other formats, a new name for the scene.
    dt : float, optional
        Seconds a step for text and tables, which do not say; default 0.4 for text and 0.1 for tables.

    Returns
    -------
    Scene
        Agents may come late, leave early and have gaps (NaN). Lanes that are named but not in the file are in
        ``scene.lanes.unknown_ids``. A file without agents gives a scene with none.

    Raises
    ------
    FileFormatError
        If the file is in none of these formats, truncated, or has values that cannot be: the message names the file
        and the line or element.
    InputError
        If an option does not go with the format.
    MissingExtraError
        If parquet is to be read without pyarrow.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "walk.txt")
    >>> _ = file.write_text("0 1 0.0 0.0\n10 1 0.5 0.0\n10 2 3.0 3.0\n")
    >>> read_scene(file)
    Scene(name='walk', num_agents=2, num_steps=2, dt=0.4, lanes=0)
    >>> folder.cleanup()
    """
    if isinstance(source, Mapping):
        from gnnlib.heads.scene.formats.io_scenarionet import scenarionet_from_dict

        _refuse(source, {"map_path": map_path, "dt": dt}, "a scenario dict")
        return _renamed(scenarionet_from_dict(source), name)
    kind = _format_of(source)
    if kind in {"commonroad", "scenarionet"}:
        _refuse(source, {"map_path": map_path, "dt": dt}, kind)
    elif kind in {"argoverse", "sumo"}:
        _refuse(source, {"dt": dt}, kind)
    elif kind == "pedestrians":
        _refuse(source, {"map_path": map_path}, kind)
    if kind == "table":
        table = read_scenes(source, map_path, dt=0.1 if dt is None else dt)
        if not len(table):
            raise FileFormatError.at(source, None, "the table has no rows")
        return table[0 if name is None else name]
    return _renamed(_read(source, kind, map_path, dt), name)


def _read(path: PathLike, kind: str, map_path: PathLike | None, dt: float | None) -> Scene:
    if kind == "commonroad":
        from gnnlib.heads.scene.formats.io_commonroad import read_commonroad

        return read_commonroad(path)
    if kind == "sumo":
        from gnnlib.heads.scene.formats.io_sumo import read_sumo

        return read_sumo(path, map_path)
    if kind == "argoverse":
        from gnnlib.heads.scene.formats.io_argoverse import read_argoverse

        return read_argoverse(path, map_path)
    if kind == "scenarionet":
        from gnnlib.heads.scene.formats.io_scenarionet import read_scenarionet

        return read_scenarionet(path)
    from gnnlib.heads.scene.formats.io_pedestrians import read_pedestrians

    return read_pedestrians(path, dt=0.4 if dt is None else dt)


def _renamed(scene: Scene, name: str | None) -> Scene:
    from dataclasses import replace

    return scene if name is None else replace(scene, name=name)


def _refuse(source: object, options: Mapping[str, object], kind: str) -> None:
    for option, value in options.items():
        if value is not None:
            what = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the scenario"
            raise InputError(f"`{option}` does not go with {what}, which is read as {kind}: leave it out")


def _format_of(path: PathLike) -> str:
    """Name of the format, from the first bytes of the content."""
    if not Path(path).exists():
        raise MissingFileError.at(path)
    with Path(path).open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        from gnnlib.heads.scene.formats.io_parquet import open_table

        columns = set(open_table(path, ()).column_names)
        return "argoverse" if {"track_id", "timestep"} <= columns else "table"
    if start == b"PK\x03\x04":
        return "scenarionet"
    if start[:1] == b"\x80":
        raise FileFormatError.at(path, None, "pickles are not read, they can run code; write the dict as JSON or NPZ")
    content = read_bytes(path).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not content:
        raise FileFormatError.at(path, None, "the file is empty")
    if content[:1] == b"{":
        return "scenarionet"
    if content[:1] != b"<":
        return "pedestrians"
    found = _ROOT.search(content)
    root = found.group(1).decode() if found else ""
    known = {"commonRoad": "commonroad", "fcd-export": "sumo"}
    if root in known:
        return known[root]
    if root == "net":
        raise FileFormatError.at(path, None, "this is a SUMO network: read the FCD file and give this as `map_path`")
    raise FileFormatError.at(path, None, f"XML of an unknown kind: <{root}>; expected <commonRoad> or <fcd-export>")
