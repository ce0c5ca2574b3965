"""Reader of Argoverse 2 motion-forecasting scenarios: a parquet of tracks and a JSON of the vector map.

Format: B. Wilson et al., *Argoverse 2: Next generation datasets for self-driving perception and forecasting*, 2021.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.formats.io_common import read_json, require_metres, type_code
from gnnlib.heads.scene.formats.io_maps import clean_line, lane_kind, with_directions
from gnnlib.heads.scene.formats.io_parquet import load_table
from gnnlib.heads.scene.lanemap import Lane, LaneMap, MapLine
from gnnlib.heads.scene.maps.polylines import arc_lengths, points_at
from gnnlib.heads.scene.problem import Scene

if TYPE_CHECKING:
    from gnnlib.typing import AnyArray, FloatArray, PathLike

__all__ = ["read_argoverse", "read_argoverse_map"]

_NEEDED = ("track_id", "object_type", "timestep", "position_x", "position_y", "heading", "velocity_x", "velocity_y")
_DT = 0.1


def read_argoverse(path: PathLike, map_path: PathLike | None = None) -> Scene:
    """Read an Argoverse 2 scenario, in the frame of its city.

    Parameters
    ----------
    path : path-like
        ``scenario_*.parquet``.
    map_path : path-like, optional
        ``log_map_archive_*.json``; default: the one beside the parquet, and no map when there is none. The future of
        test scenarios is not in the files; agents simply end.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    FileFormatError
        If a column or key is missing, a position is not finite, or a track has two rows at one step; the message
        names the track or the map element.
    """
    table = load_table(path, _NEEDED)
    text = os.fspath(path)
    ids, row = np.unique(table["track_id"].astype(str), return_inverse=True)
    step = table["timestep"].astype(np.int64)
    if len(step) == 0 or step.min() < 0:
        raise FileFormatError.at(path, None, "column `timestep` must hold steps 0, 1, 2, ...")
    steps = int(step.max()) + 1
    cell = row * steps + step
    values, counts = np.unique(cell, return_counts=True)
    if (counts > 1).any():
        bad = int(values[np.argmax(counts > 1)])
        raise FileFormatError.at(path, None, f"track {str(ids[bad // steps])!r} has two rows at timestep {bad % steps}")
    grid = np.full((len(ids), steps, 5), np.nan)
    for column, name in enumerate(_NEEDED[3:]):
        grid[row, step, column] = table[name]
    bad_rows = np.flatnonzero(~np.isfinite(table["position_x"] + table["position_y"]))
    if bad_rows.size:
        first = int(bad_rows[0])
        raise FileFormatError.at(
            path, None, f"track {str(table['track_id'][first])!r}, timestep {step[first]}: the position must be finite"
        )
    require_metres(grid[..., :2], path, "tracks")
    kinds = dict(zip(table["track_id"].astype(str), table["object_type"].astype(str), strict=True))
    name = str(table["scenario_id"][0]) if "scenario_id" in table else Path(text).stem
    beside = _map_beside(Path(text)) if map_path is None else map_path
    return Scene(
        name,
        tuple(ids.tolist()),
        grid[..., :2],
        dt=_DT,
        agent_types=np.array([type_code(kinds[i]) for i in ids], np.int64),
        heading_rad=grid[..., 2],
        velocity=grid[..., 3:],
        ego=int(np.flatnonzero(ids == "AV")[0]) if "AV" in ids else None,
        lanes=LaneMap() if beside is None else read_argoverse_map(beside),
    )


def _map_beside(path: Path) -> Path | None:
    found = path.parent / f"log_map_archive_{path.stem.removeprefix('scenario_')}.json"
    return found if found.exists() else None


def read_argoverse_map(path: PathLike) -> LaneMap:
    """Read a vector map ``log_map_archive_*.json``.

    Raises
    ------
    FileFormatError
        If the JSON is damaged (with the line) or an element lacks a key; the message names it.
    """
    raw = read_json(path)
    if not isinstance(raw, dict) or "lane_segments" not in raw:
        raise FileFormatError.at(path, None, "expected an Argoverse 2 map with the key `lane_segments`")
    lanes = []
    for key, segment in raw["lane_segments"].items():
        try:
            lanes.append(_lane(segment))
        except (KeyError, TypeError, InputError) as error:
            reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise FileFormatError.at(path, None, f"lane segment {key}: {reason}") from error
    try:
        crossings = [
            np.concatenate([_points(crossing["edge1"]), _points(crossing["edge2"])[::-1]])
            for crossing in raw.get("pedestrian_crossings", {}).values()
        ]
        areas = [MapLine("area", _points(area["area_boundary"])) for area in raw.get("drivable_areas", {}).values()]
        return LaneMap(with_directions(lanes), tuple(crossings), (), tuple(areas))
    except (KeyError, TypeError) as error:
        raise FileFormatError.at(path, None, f"a crossing or drivable area lacks the key {error}") from error
    except InputError as error:
        raise FileFormatError.at(path, None, str(error)) from error


def _points(raw: list[dict[str, Any]]) -> FloatArray:
    return np.array([(point["x"], point["y"]) for point in raw], dtype=np.float64)


def _lane(segment: dict[str, Any]) -> Lane:
    left, right = (clean_line(_points(segment[f"{side}_lane_boundary"])) for side in ("left", "right"))
    centre = clean_line(_points(segment["centerline"])) if segment.get("centerline") else None
    if centre is None:
        if left is None or right is None:
            raise InputError("it has neither a centre line nor two bounds")
        share = np.linspace(0.0, 1.0, 10)
        centre = 0.5 * (_at(left, share) + _at(right, share))
    crosses = "INTERSECTION" if segment.get("is_intersection") else ""
    return Lane(
        segment["id"],
        centre,
        left=left,
        right=right,
        predecessors=tuple(segment.get("predecessors") or ()),
        successors=tuple(segment.get("successors") or ()),
        left_neighbour=segment.get("left_neighbor_id"),
        right_neighbour=segment.get("right_neighbor_id"),
        kind=lane_kind([segment["lane_type"], crosses]),
    )


def _at(line: FloatArray, share: AnyArray) -> FloatArray:
    return points_at(line, share * arc_lengths(line)[-1])
