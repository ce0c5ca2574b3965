"""Windows of recorded scenes: what is predicted and counted, and what is learned from.

The protocol of evaluation: 2 s of past and 3 s of future at 10 Hz; vehicles that are present in all 50 steps and move at
least 1 m from the first to the last; one window each second. Where recordings overlap, a vehicle counts once in each
second of the common time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import FileFormatError, InputError, MissingExtraError
from gnnlib.heads.scene.io_table import read_scenes
from gnnlib.heads.scene.lanemap import Lane, LaneMap, MapLine, Signal
from gnnlib.heads.scene.problem import AGENT_TYPES, Scene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gnnlib.typing import FloatArray, IntArray, PathLike

__all__ = ["FUTURE", "PAST", "SOURCES", "SceneWindow", "Timeline", "load_split", "mirrored", "scene_windows"]

PAST, FUTURE = 20, 30
LEAST_MOVE_M = 1.0

SOURCES = {"ngsim": "ngsim", "womd": "womd", "av2": "av2", "nuscenes": "nuscenes_mini"}
"""Name of each collection and the beginning of its file names."""

_VEHICLE = AGENT_TYPES.index("vehicle")
_MIRROR = np.array([1.0, -1.0])


@dataclass(frozen=True, eq=False)
class SceneWindow:
    """Some vehicles of a scene over 50 steps.

    Parameters
    ----------
    scene : Scene
    start : int
        First observed step; the last one is ``start + 19``.
    rows : int array
        The vehicles that count.
    source : str
        Name of the collection.
    """

    scene: Scene
    start: int
    rows: IntArray
    source: str = ""

    @property
    def at_step(self) -> int:
        """Last observed step."""
        return self.start + PAST - 1

    @property
    def truth(self) -> FloatArray:
        """Futures [A, 30, 2] in the frame of the scene."""
        return np.asarray(self.scene.xy[self.rows, self.start + PAST : self.start + PAST + FUTURE])


@dataclass(frozen=True)
class Timeline:
    """Who is who across overlapping recordings.

    Parameters
    ----------
    offset : dict of str to int
        Common time of step 0 of each scene.
    identity : dict of (str, agent) to int
        Number of each scene's agents across all scenes.
    """

    offset: Mapping[str, int]
    identity: Mapping[tuple[str, int | str], int]

    @classmethod
    def read(cls, tracks: PathLike) -> Timeline | None:
        """Read the columns ``uid`` and ``abs_step`` of a table of tracks; None when it has none."""
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtraError("pyarrow", "scene") from error
        if not {"uid", "abs_step"} <= set(pq.read_schema(tracks).names):
            return None
        table = pq.read_table(tracks, columns=["scene", "agent", "uid", "abs_step"])
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
        offset: dict[str, int] = {}
        identity: dict[tuple[str, int | str], int] = {}
        for scene, agent, uid, now in zip(*columns.values(), strict=True):
            offset[scene] = min(now, offset.get(scene, now))  # the first step of a scene is its step 0
            identity[scene, agent] = uid
        return cls(offset, identity)


def scene_windows(
    scenes: Iterable[Scene], *, stride: int = 10, timeline: Timeline | None = None, source: str = ""
) -> list[SceneWindow]:
    """Cut scenes into windows by the protocol of this module.

    Parameters
    ----------
    scenes : iterable of Scene
        At 10 Hz.
    stride : int >= 1, default 10
        Steps between windows.
    timeline : Timeline, optional
        Where given, a vehicle counts once in each `stride` steps of the common time, in the first scene that has it.
    source : str
        Copied into the windows.

    Examples
    --------
    >>> xy = np.stack([np.linspace(0, 30, 60), np.zeros(60)], axis=1)[None]
    >>> [(w.start, w.rows.tolist()) for w in scene_windows([Scene("straight", ("a",), xy)])]
    [(0, [0]), (10, [0])]
    """
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
        raise InputError(f"`stride` must be an integer >= 1, found {stride!r}")
    seen: set[tuple[int, int]] = set()
    windows = []
    for scene in scenes:
        for start in range(0, scene.num_steps - PAST - FUTURE + 1, stride):
            rows = _moving_vehicles(scene, start)
            if timeline is not None and scene.name in timeline.offset:
                rows = _unseen(scene, rows, (start + timeline.offset[scene.name]) // stride, timeline, seen)
            if rows.size:
                windows.append(SceneWindow(scene, start, rows, source))
    return windows


def _unseen(scene: Scene, rows: IntArray, time: int, timeline: Timeline, seen: set[tuple[int, int]]) -> IntArray:
    """Return the rows of vehicles that no window has had at this time, and put them into `seen`."""
    kept = []
    for row in rows.tolist():
        key = (timeline.identity[scene.name, scene.agents[row]], time)
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return np.array(kept, np.int64)


def _moving_vehicles(scene: Scene, start: int) -> IntArray:
    stop = start + PAST + FUTURE
    present = scene.valid[:, start:stop].all(axis=1) & (scene.agent_types == _VEHICLE)
    moved = np.nan_to_num(np.hypot(*(scene.xy[:, stop - 1] - scene.xy[:, start]).T))
    return np.flatnonzero(present & (moved >= LEAST_MOVE_M))


def load_split(folder: PathLike, source: str, split: str) -> tuple[list[Scene], Timeline | None]:
    """Read the scenes of one collection that belong to one split.

    Parameters
    ----------
    folder : path-like
        With ``splits.json`` and the files ``*_tracks.parquet``, ``*_maps.json.gz``.
    source : str
        One of `SOURCES`.
    split : {"train", "val", "test"}
    """
    if source not in SOURCES:
        raise InputError(f"`source` must be one of {', '.join(SOURCES)}, found {source!r}")
    place, stem = Path(folder), SOURCES[source]
    try:
        splits = json.loads((place / "splits.json").read_text(encoding="utf-8"))[stem]
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError.at(place / "splits.json", None, f"cannot read the split of {stem!r}: {error}") from error
    names = [name for name, part in splits.items() if part == split]
    tracks = place / f"{stem}_tracks.parquet"
    timeline = Timeline.read(tracks)
    table = read_scenes(tracks, place / f"{stem}_maps.json.gz", names=sorted(names))
    return list(table), timeline


def mirrored(scene: Scene) -> Scene:
    """Return the scene as a mirror shows it: left and right change places, in the map too.

    Examples
    --------
    >>> mirrored(Scene("one", ("a",), [[[1.0, 2.0]]])).xy.tolist()
    [[[1.0, -2.0]]]
    """
    return replace(
        scene,
        xy=scene.xy * _MIRROR,
        heading_rad=-scene.heading_rad,
        velocity=scene.velocity * _MIRROR,
        lanes=_mirrored_map(scene.lanes),
    )


def _mirrored_map(lanes: LaneMap) -> LaneMap:
    return LaneMap(
        tuple(_mirrored_lane(lane) for lane in lanes.lanes),
        tuple(line * _MIRROR for line in lanes.crossings),
        tuple(Signal(s.lane, s.position * _MIRROR, s.states) for s in lanes.signals),
        tuple(MapLine(line.kind, line.points * _MIRROR) for line in lanes.lines),
    )


def _mirrored_lane(lane: Lane) -> Lane:
    return replace(
        lane,
        centre=lane.centre * _MIRROR,
        left=None if lane.right is None else lane.right * _MIRROR,
        right=None if lane.left is None else lane.left * _MIRROR,
        left_neighbour=lane.right_neighbour,
        right_neighbour=lane.left_neighbour,
        left_opposite=None,
    )


def counts(windows: Sequence[SceneWindow]) -> int:
    """Return the number of vehicles in all windows together."""
    return sum(len(window.rows) for window in windows)
