"""Reader of scenario dicts as ScenarioNet and MetaDrive describe them, from memory, JSON or NPZ, never from pickles.

Format: Q. Li et al., *ScenarioNet: Open-source platform for large-scale traffic scenario simulation and modeling*,
2023, section 3, and MetaDrive's scenario description. An NPZ file holds the leaves of the dict under their paths, such
as ``tracks/12/state/position``.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.formats.io_common import read_json, require_metres, type_code
from gnnlib.heads.scene.formats.io_maps import clean_line, lane_kind, line_kind, signal_code, with_directions
from gnnlib.heads.scene.lanemap import Lane, LaneMap, MapId, MapLine, Signal
from gnnlib.heads.scene.problem import Scene

if TYPE_CHECKING:
    from gnnlib.typing import AnyArray, FloatArray, PathLike

__all__ = ["read_scenarionet", "scenarionet_from_dict"]

_UNEVEN = 0.02


def read_scenarionet(path: PathLike) -> Scene:
    """Read a scenario from ``.json`` (also gzipped) or ``.npz``; see `scenarionet_from_dict`."""
    if zipfile.is_zipfile(path):
        return scenarionet_from_dict(_unpack(path), os.fspath(path))
    return scenarionet_from_dict(read_json(path), os.fspath(path))


def _unpack(path: PathLike) -> dict[str, Any]:
    """Nested dict of an NPZ whose keys are paths joined by ``/``."""
    root: dict[str, Any] = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                *way, leaf = key.split("/")
                place = root
                for part in way:
                    place = place.setdefault(part, {})
                value = archive[key]
                place[leaf] = value.item() if value.ndim == 0 else value
    except (ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise FileFormatError.at(path, None, f"not a readable NPZ of plain arrays: {error}") from error
    return root


def scenarionet_from_dict(scenario: Mapping[str, Any], source: str = "scenario") -> Scene:
    """Make a scene of a scenario dict.

    Parameters
    ----------
    scenario : mapping
        With ``tracks`` (``{id: {type, state: {position [T, 2 or 3], heading, velocity, length, width, valid}}}``) and,
        optionally, ``id``, ``length``, ``metadata`` (``ts``, ``sdc_id``), ``map_features``, ``dynamic_map_states``.
        Positions in metres; entries that are not ``valid`` are absent.
    source : str
        What error messages call it.

    Raises
    ------
    FileFormatError
        If a key is missing, lengths differ, times do not increase evenly, or a valid position is not finite; the
        message names the track or the map feature.
    """
    if not isinstance(scenario, Mapping) or not isinstance(scenario.get("tracks"), Mapping):
        raise FileFormatError.at(source, None, "expected a scenario dict with the key `tracks`")
    metadata = scenario.get("metadata") or {}
    tracks = scenario["tracks"]
    steps = int(scenario.get("length") or _longest(tracks))
    parts = [_track(str(key), track, steps, source) for key, track in tracks.items()]
    xy = np.stack([part[0] for part in parts]) if parts else np.zeros((0, steps, 2))
    require_metres(xy, source, "tracks")
    ids = tuple(str(key) for key in tracks)
    sdc = str(metadata.get("sdc_id", ""))
    try:
        return Scene(
            str(scenario.get("id", "scenario")),
            ids,
            xy,
            dt=_time_step(metadata.get("ts"), source),
            agent_types=np.array([type_code(str(track.get("type", "other"))) for track in tracks.values()], np.int64),
            heading_rad=np.stack([part[1] for part in parts]) if parts else np.zeros((0, steps)),
            velocity=np.stack([part[2] for part in parts]) if parts else np.zeros((0, steps, 2)),
            size=np.array([part[3] for part in parts]).reshape(-1, 2),
            ego=ids.index(sdc) if sdc in ids else None,
            lanes=_lane_map(scenario, steps, source),
        )
    except FileFormatError:
        raise
    except InputError as error:
        raise FileFormatError.at(source, None, str(error)) from error


def _longest(tracks: Mapping[str, Any]) -> int:
    return max((len(track.get("state", {}).get("position", ())) for track in tracks.values()), default=1)


def _time_step(times: Any, source: str) -> float:
    """Step in seconds of the list of times; 0.1 without one."""
    if times is None or len(times) < 2:
        return 0.1
    gaps = np.diff(np.asarray(times, dtype=np.float64))
    if not (gaps > 0.0).all():
        bad = int(np.argmax(~(gaps > 0.0)))
        raise FileFormatError.at(source, None, f"metadata `ts` must increase, entry {bad + 1} does not")
    if np.ptp(gaps) > _UNEVEN * float(gaps.mean()) + 0.011:
        raise FileFormatError.at(
            source, None, f"metadata `ts` must be evenly spaced, found {gaps.min()} .. {gaps.max()}"
        )
    return float(np.round(gaps.mean(), 4))


def _column(state: Mapping[str, Any], name: str, steps: int, place: str) -> AnyArray | None:
    if name not in state:
        return None
    values = np.asarray(state[name], dtype=np.float64)
    if values.ndim == 0:
        values = np.full(steps, float(values))
    if len(values) != steps:
        raise FileFormatError.at(place, None, f"`{name}` must have {steps} entries, found {len(values)}")
    return values


def _track(
    key: str, track: Any, steps: int, source: str
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[float, float]]:
    """Position, heading, velocity and size of one track."""
    place = f"{source}: track {key!r}"
    state = track.get("state") if isinstance(track, Mapping) else None
    if not isinstance(state, Mapping) or "position" not in state:
        raise FileFormatError.at(place, None, "it needs `state` with `position`")
    try:
        columns = {name: _column(state, name, steps, place) for name in ("position", "heading", "velocity", "valid")}
        sizes = [_column(state, name, steps, place) for name in ("length", "width")]
    except (TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError.at(place, None, f"its state must hold numbers: {error}") from error
    position = columns["position"]
    if position is None or position.ndim != 2 or position.shape[1] < 2:
        raise FileFormatError.at(place, None, "`position` must have shape [T, 2] or [T, 3]")
    valid = np.isfinite(position[:, 0]) if columns["valid"] is None else columns["valid"].reshape(steps) > 0.5
    bad = valid & ~np.isfinite(position[:, :2]).all(axis=1)
    if bad.any():
        raise FileFormatError.at(place, None, f"step {int(np.argmax(bad))} is valid, but its position is not finite")
    xy = np.where(valid[:, None], position[:, :2], np.nan)
    heading, velocity = columns["heading"], columns["velocity"]
    heading = np.full(steps, np.nan) if heading is None else np.where(valid, heading.reshape(steps), np.nan)
    velocity = np.full((steps, 2), np.nan) if velocity is None else np.where(valid[:, None], velocity[:, :2], np.nan)
    return xy, heading, velocity, (_typical(sizes[0], valid), _typical(sizes[1], valid))


def _typical(values: AnyArray | None, valid: AnyArray) -> float:
    if values is None:
        return math.nan
    known = values.reshape(len(valid), -1)[valid, 0]
    known = known[np.isfinite(known) & (known > 0.0)]
    return float(np.median(known)) if known.size else math.nan


def _lane_map(scenario: Mapping[str, Any], steps: int, source: str) -> LaneMap:
    lanes: list[Lane] = []
    crossings: list[FloatArray] = []
    lines: list[MapLine] = []
    for key, feature in (scenario.get("map_features") or {}).items():
        try:
            _add_feature(str(key), feature, (lanes, crossings, lines))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise FileFormatError.at(f"{source}: map feature {key!r}", None, reason) from error
    centres: dict[MapId, FloatArray] = {lane.id: lane.centre for lane in lanes}
    signals = []
    for key, light in (scenario.get("dynamic_map_states") or {}).items():
        try:
            signal = _signal(str(key), light, centres, steps)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise FileFormatError.at(f"{source}: dynamic map state {key!r}", None, reason) from error
        signals += [] if signal is None else [signal]
    return LaneMap(with_directions(lanes), tuple(crossings), tuple(signals), tuple(lines))


def _add_feature(
    key: str, feature: Mapping[str, Any], into: tuple[list[Lane], list[FloatArray], list[MapLine]]
) -> None:
    lanes, crossings, lines = into
    kind = str(feature["type"])
    if kind.upper().startswith("LANE"):
        centre = clean_line(feature["polyline"])
        if centre is not None:
            lanes.append(_lane(key, kind, feature, centre))
        return
    shape = feature.get("polygon")
    shape = feature.get("polyline", feature.get("position")) if shape is None else shape
    if shape is None:
        return
    points = np.asarray(shape, dtype=np.float64)
    points = points.reshape(-1, points.shape[-1])[:, :2]
    sort = line_kind(kind)
    if sort == "crossing" and len(points) >= 2:
        crossings.append(points)
    elif sort not in {"crossing", "lane"} and len(points):
        lines.append(MapLine(sort, points))


def _lane(key: str, kind: str, feature: Mapping[str, Any], centre: FloatArray) -> Lane:
    limit = feature.get("speed_limit_kmh")
    if isinstance(limit, Sequence) and len(limit):
        limit = limit[0]
    has_limit = isinstance(limit, (int, float)) and not isinstance(limit, bool) and limit > 0
    return Lane(
        key,
        centre,
        predecessors=_ids(feature.get("entry_lanes")),
        successors=_ids(feature.get("exit_lanes")),
        left_neighbour=_beside(feature.get("left_neighbor")),
        right_neighbour=_beside(feature.get("right_neighbor")),
        kind=lane_kind(kind),
        speed_limit=float(limit) / 3.6 if has_limit and limit is not None else math.nan,
    )


def _ids(raw: Any) -> tuple[str, ...]:
    return () if raw is None else tuple(str(item) for item in raw)


def _beside(raw: Any) -> str | None:
    """First neighbour: an id, or a dict with ``feature_id``."""
    if raw is None or len(raw) == 0:
        return None
    first = raw[0]
    return str(first["feature_id"]) if isinstance(first, Mapping) else str(first)


def _signal(key: str, light: Mapping[str, Any], centres: Mapping[MapId, FloatArray], steps: int) -> Signal | None:
    lane = str(light.get("lane", key))
    position = light.get("stop_point")
    if position is None:
        position = centres[lane][0] if lane in centres else None
    if position is None:
        return None
    raw = light["state"]["object_state"]
    states = np.zeros(steps, np.int64)
    known = [signal_code(state) for state in raw][:steps]
    states[: len(known)] = known
    return Signal(lane, np.asarray(position, dtype=np.float64).reshape(-1)[:2], states)
