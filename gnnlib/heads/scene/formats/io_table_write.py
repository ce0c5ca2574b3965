"""Writer of the table format of `gnnlib.heads.scene.io_table`: keep scenes, generated ones too, in two files."""

from __future__ import annotations

import gzip
import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError, MissingExtraError
from gnnlib.heads.scene.lanemap import SIGNAL_STATES
from gnnlib.heads.scene.problem import AGENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gnnlib.heads.scene.lanemap import Lane, LaneMap
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["write_scenes"]

_LINE_WORDS = {"boundary": "road_edge", "marking": "road_line", "area": "drivable_area"}


def write_scenes(scenes: Iterable[Scene], tracks: PathLike, maps: PathLike) -> None:
    """Write scenes so that `read_scenes(tracks, maps)` gives them back.

    Parameters
    ----------
    scenes : iterable of Scene
        With different names, and at least one step at which each agent is present.
    tracks : path-like
        Becomes a parquet table with a row for each agent and step.
    maps : path-like
        Becomes JSON, gzipped when the name ends in ``.gz``; coordinates are rounded to a millimetre.

    Raises
    ------
    InputError
        If two scenes have one name.
    MissingExtraError
        If pyarrow is not installed.

    Notes
    -----
    Kept are positions, headings, velocities, sizes, types, the ego vehicle and the map. Not kept: a lane's
    `left_opposite` where it also has a left neighbour, steps before the first and after the last one at which anybody
    is present, and scenes without agents.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> from gnnlib.heads.scene.io import read_scenes
    >>> folder = tempfile.TemporaryDirectory()
    >>> files = pathlib.Path(folder.name, "tracks.parquet"), pathlib.Path(folder.name, "maps.json.gz")
    >>> write_scenes([generate_scene("street", seed=1, num_steps=10)], *files)
    >>> read_scenes(*files).names
    ('street-1',)
    >>> folder.cleanup()
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "scene") from error
    parts: list[dict[str, Any]] = []
    entries: dict[str, Any] = {}
    for scene in scenes:
        if scene.name in entries:
            raise InputError(f"scenes must have different names, found {scene.name!r} twice")
        entries[scene.name] = {"dt": scene.dt, **_map_entry(scene.lanes)}
        parts.append(_rows(scene))
    as_text = any(isinstance(agent, str) for part in parts for agent in part["agent"])
    columns: dict[str, Any] = {name: [] for name in parts[0]} if parts else {}
    for part in parts:
        if as_text:
            part["agent"] = [str(agent) for agent in part["agent"]]
        for name, values in part.items():
            columns[name].extend(values)
    pq.write_table(pa.table(columns), os.fspath(tracks), compression="zstd")
    text = json.dumps(entries, allow_nan=False).encode()
    with open(maps, "wb") as file:  # noqa: PTH123 (path-like of any kind)
        file.write(gzip.compress(text, mtime=0) if os.fspath(maps).endswith(".gz") else text)


def _rows(scene: Scene) -> dict[str, Any]:
    """Columns of one scene; one row for each agent and step at which it is present."""
    agent, step = np.nonzero(scene.valid)
    size = scene.size[agent]
    return {
        "scene": [scene.name] * len(agent),
        "agent": [scene.agents[row] for row in agent],
        "type": [AGENT_TYPES[scene.agent_types[row]] for row in agent],
        "step": step.tolist(),
        "x": scene.xy[agent, step, 0].tolist(),
        "y": scene.xy[agent, step, 1].tolist(),
        "yaw": scene.heading_rad[agent, step].tolist(),
        "vx": scene.velocity[agent, step, 0].tolist(),
        "vy": scene.velocity[agent, step, 1].tolist(),
        "length": size[:, 0].tolist(),
        "width": size[:, 1].tolist(),
        "is_ego": (agent == scene.ego).tolist() if scene.ego is not None else [False] * len(agent),
    }


def _points(line: FloatArray) -> list[list[float]]:
    return [[round(float(x), 3), round(float(y), 3)] for x, y in line]


def _map_entry(lane_map: LaneMap) -> dict[str, Any]:
    other = [{"type": "crosswalk", "pts": _points(line)} for line in lane_map.crossings]
    other += [{"type": _LINE_WORDS.get(line.kind, line.kind), "pts": _points(line.points)} for line in lane_map.lines]
    signals = [
        {
            "lane": signal.lane,
            "stop": [round(float(part), 3) for part in signal.position],
            "state": [SIGNAL_STATES[code] for code in signal.states],
        }
        for signal in lane_map.signals
    ]
    return {"lanes": [_lane_entry(lane) for lane in lane_map.lanes], "other": other, "signals": signals}


def _lane_entry(lane: Lane) -> dict[str, Any]:
    left: Any = lane.left_neighbour
    if left is None and lane.left_opposite is not None:
        left = [lane.left_opposite, "opposite"]
    return {
        "id": lane.id,
        "center": _points(lane.centre),
        "left": None if lane.left is None else _points(lane.left),
        "right": None if lane.right is None else _points(lane.right),
        "pred": list(lane.predecessors),
        "succ": list(lane.successors),
        "left_nb": left,
        "right_nb": lane.right_neighbour,
        "type": ["sidewalk" if lane.kind == "other" else lane.kind],
        "speed_limit": None if math.isnan(lane.speed_limit) else round(3.6 * lane.speed_limit, 6),
    }
