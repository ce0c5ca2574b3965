"""The table format: one parquet of tracks and one JSON of maps for many scenes.

Tracks have one row for each agent and step, with the columns ``scene, agent, type, step, x, y`` and, optionally,
``yaw, vx, vy, length, width, is_ego``. Maps are a dict from scene name to ``{dt, lanes, other, signals}``, whose lanes
have ``id, center, left, right, pred, succ, left_nb, right_nb, type, speed_limit`` (km/h).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.scene.formats.io_common import read_json, require_metres, type_code
from gnnlib.heads.scene.formats.io_maps import map_from_table
from gnnlib.heads.scene.formats.io_parquet import no_gaps, open_table
from gnnlib.heads.scene.lanemap import LaneMap
from gnnlib.heads.scene.problem import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gnnlib.typing import AnyArray, FloatArray, PathLike

__all__ = ["SceneTable", "read_scenes"]

_NEEDED = ("scene", "agent", "type", "step", "x", "y")
_NUMBERS = ("x", "y", "yaw", "vx", "vy", "length", "width")
_LONGEST_SCENE = 200_000


class SceneTable(Sequence[Scene]):
    """The scenes of one table, made when they are asked for.

    A sequence: ``len(table)``, ``table[3]``, ``table["name"]``, ``for scene in table``; `names` lists the scenes in
    the order of the file.
    """

    def __init__(self, path: str, columns: dict[str, AnyArray], maps: Mapping[str, Any], dt: float) -> None:
        self._path = path
        self._columns = columns
        self._maps = maps
        self._dt = dt
        codes = columns["scene"]
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0]) if len(order) else np.zeros(0, np.int64)
        groups = np.split(order, starts[1:]) if len(order) else []
        groups.sort(key=lambda rows: int(rows[0]))
        labels = columns["scene_labels"]
        self._rows = {str(labels[codes[rows[0]]]): rows for rows in groups}
        self.names = tuple(self._rows)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, which: int | str) -> Scene: ...

    @overload
    def __getitem__(self, which: slice) -> list[Scene]: ...

    def __getitem__(self, which: int | str | slice) -> Scene | list[Scene]:
        if isinstance(which, slice):
            return [self._scene(name) for name in self.names[which]]
        if isinstance(which, str):
            if which not in self._rows:
                raise InputError(f"{self._path} has no scene {which!r}; it has {len(self)} scenes, see `.names`")
            return self._scene(which)
        return self._scene(self.names[which])

    def __iter__(self) -> Iterator[Scene]:
        return (self._scene(name) for name in self.names)

    def __repr__(self) -> str:
        return f"SceneTable({self._path!r}, scenes={len(self)})"

    def _scene(self, name: str) -> Scene:
        rows = self._rows[name]
        columns = {key: values[rows] for key, values in self._columns.items() if not key.endswith("_labels")}
        place = f"scene {name!r}"
        entry = self._maps.get(name)
        dt = self._dt if entry is None else float(entry.get("dt", self._dt))
        agents, agent_row = np.unique(columns["agent"], return_inverse=True)
        step = columns["step"] - columns["step"].min()
        steps = int(step.max()) + 1
        if steps > _LONGEST_SCENE:
            raise FileFormatError.at(self._path, None, f"{place}: `step` must count steps, found a span of {steps}")
        cell = agent_row.astype(np.int64) * steps + step
        self._require_once(cell, steps, agents, place, int(columns["step"].min()))
        shape = (len(agents), steps)
        xy = np.stack([_spread(columns[key], cell, shape) for key in ("x", "y")], axis=-1)
        require_metres(xy, self._path, place)
        first = np.unique(agent_row, return_index=True)[1]
        labels = self._columns["type_labels"]
        types = [type_code(str(labels[code])) for code in columns["type"][first]]
        return Scene(
            name,
            tuple(self._agent_name(agent) for agent in agents),
            xy,
            dt=dt,
            agent_types=np.array(types, np.int64),
            heading_rad=_spread(columns["yaw"], cell, shape) if "yaw" in columns else None,  # type: ignore[arg-type]
            size=_sizes(columns, agent_row, len(agents)),
            velocity=_velocity(columns, cell, shape),  # type: ignore[arg-type]
            ego=_ego(columns, agent_row, place, self._path),
            lanes=LaneMap() if entry is None else map_from_table(entry, steps, f"{self._path}: {place}"),
        )

    def _agent_name(self, agent: Any) -> str | int:
        if "agent_labels" in self._columns:
            return str(self._columns["agent_labels"][agent])
        return int(agent)

    def _require_once(self, cell: AnyArray, steps: int, agents: AnyArray, place: str, first: int) -> None:
        values, counts = np.unique(cell, return_counts=True)
        if (counts > 1).any():
            twice = int(values[np.argmax(counts > 1)])
            agent = self._agent_name(agents[twice // steps])
            raise FileFormatError.at(
                self._path, None, f"{place}: agent {agent!r} has more than one row at step {twice % steps + first}"
            )


def _spread(values: AnyArray, cell: AnyArray, shape: tuple[int, int]) -> FloatArray:
    grid = np.full(shape[0] * shape[1], np.nan)
    grid[cell] = values
    return grid.reshape(shape)


def _velocity(columns: dict[str, AnyArray], cell: AnyArray, shape: tuple[int, int]) -> FloatArray | None:
    if "vx" not in columns or "vy" not in columns:
        return None
    return np.stack([_spread(columns[key], cell, shape) for key in ("vx", "vy")], axis=-1)


def _sizes(columns: dict[str, AnyArray], agent_row: AnyArray, count: int) -> FloatArray:
    """Median length and width of each agent; NaN where the file has none or a value <= 0."""
    size = np.full((count, 2), np.nan)
    for axis, key in enumerate(("length", "width")):
        if key not in columns:
            continue
        values = columns[key].astype(np.float64)
        order = np.argsort(agent_row, kind="stable")
        for row, part in enumerate(np.split(values[order], np.flatnonzero(np.diff(agent_row[order])) + 1)):
            known = part[np.isfinite(part) & (part > 0.0)]
            size[row, axis] = np.median(known) if known.size else np.nan
    return size


def _ego(columns: dict[str, AnyArray], agent_row: AnyArray, place: str, path: str) -> int | None:
    if "is_ego" not in columns or not columns["is_ego"].any():
        return None
    rows = np.unique(agent_row[columns["is_ego"].astype(bool)])
    if len(rows) > 1:
        raise FileFormatError.at(path, None, f"{place}: one agent may be the ego vehicle, found {len(rows)}")
    return int(rows[0])


def read_scenes(
    tracks: PathLike, maps: PathLike | None = None, *, dt: float = 0.1, names: Sequence[str] | None = None
) -> SceneTable:
    """Read a table of many scenes.

    Rows may come in any order; steps that an agent has no row for become gaps. A scene without an entry in `maps` has
    no map. The first step of each scene becomes step 0.

    Parameters
    ----------
    tracks : path-like
        Parquet with the columns of `gnnlib.heads.scene.io_table`.
    maps : path-like, optional
        JSON, also gzipped.
    dt : float
        Seconds a step for scenes whose map entry does not say, default 0.1.
    names : sequence of str, optional
        Take these scenes only, in this order.

    Returns
    -------
    SceneTable
        A sequence of `Scene` with `names`; ``table["name"]`` picks one.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    FileFormatError
        If a column is missing, a position is not finite, an agent has two rows at one step, or the positions look
        like degrees; the message names the file, the scene, the agent and the step.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pyarrow, pyarrow.parquet
    >>> rows = {
    ...     "scene": ["s"] * 2,
    ...     "agent": [7, 7],
    ...     "type": ["vehicle"] * 2,
    ...     "step": [0, 1],
    ...     "x": [0.0, 1.0],
    ...     "y": [0.0, 0.0],
    ... }
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "tracks.parquet")
    >>> pyarrow.parquet.write_table(pyarrow.table(rows), file)
    >>> [scene.name for scene in read_scenes(file)]
    ['s']
    >>> folder.cleanup()
    """
    path = os.fspath(tracks)
    columns = _load_columns(path)
    table = SceneTable(path, columns, {} if maps is None else _load_maps(maps), dt)
    if names is not None:
        missing = [name for name in names if name not in table.names]
        if missing:
            raise InputError(f"{path} has no scene {missing[0]!r}; it has {len(table)} scenes")
        table.names = tuple(names)
    return table


def _load_maps(path: PathLike) -> Mapping[str, Any]:
    maps = read_json(path)
    if not isinstance(maps, dict) or not all(isinstance(entry, dict) for entry in maps.values()):
        raise FileFormatError.at(path, None, "expected a JSON object from scene name to map")
    return maps


def _load_columns(path: str) -> dict[str, AnyArray]:
    table = open_table(path, _NEEDED)
    import pyarrow as pa  # open_table has made sure that it is there

    columns: dict[str, AnyArray] = {}
    for name in ("scene", "type", "agent"):
        array = table.column(name).combine_chunks()
        if name == "agent" and pa.types.is_integer(array.type):
            columns[name] = no_gaps(array, path, name).astype(np.int64)
            continue
        if not pa.types.is_dictionary(array.type):
            array = array.cast(pa.string()).dictionary_encode()
        columns[name] = no_gaps(array.indices, path, name).astype(np.int64)
        columns[f"{name}_labels"] = np.array(array.dictionary.to_pylist(), dtype=object)
    columns["step"] = no_gaps(table.column("step").combine_chunks(), path, "step").astype(np.int64)
    for name in _NUMBERS:
        if name in table.column_names:
            columns[name] = table.column(name).to_numpy().astype(np.float64)
    if "is_ego" in table.column_names:
        columns["is_ego"] = no_gaps(table.column("is_ego").combine_chunks(), path, "is_ego").astype(bool)
    _require_finite(path, columns)
    return columns


def _require_finite(path: str, columns: dict[str, AnyArray]) -> None:
    bad = ~(np.isfinite(columns["x"]) & np.isfinite(columns["y"]))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        scene = columns["scene_labels"][columns["scene"][row]]
        agent = columns["agent"][row]
        if "agent_labels" in columns:
            agent = columns["agent_labels"][agent]
        raise FileFormatError.at(
            path,
            None,
            f"row {row} (scene {scene!r}, agent {agent}, step {columns['step'][row]}): x and y must be finite; "
            "leave out the rows of steps at which an agent is absent",
        )
