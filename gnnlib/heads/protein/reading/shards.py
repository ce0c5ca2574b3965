"""A folder of shards: structures once read, kept as arrays, many to a file.

One shard is an ``.npz`` file of arrays end to end with offsets; ``index.json`` says which file on disk, of which size and
time, lies at which place of which shard. Shards are written whole and renamed into place, so that an interrupted run
leaves no broken one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.report import ReadReport, ResidueNote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnnlib.typing import PathLike

__all__ = ["SHARD_SIZE", "ShardCache", "file_key"]

#: Structures in one shard.
SHARD_SIZE = 256
_VERSION = 1  # raise it when the rules of reading change: old shards are then not used
_ARRAYS = (
    "coords_angstrom",
    "chain_ids",
    "residue_numbers",
    "insertion_codes",
    "residue_names",
    "b_factors",
    "sulfurs",
)
_NOTES = ("dropped", "mapped", "altlocs", "gaps", "repaired")


def file_key(path: PathLike, model: int = 1) -> str:
    """Return what names a file's present content: its absolute path, size, time of change, and the model.

    Raises
    ------
    OSError
        If there is no such file.
    """
    status = os.stat(path)  # noqa: PTH116 (path may be a str)
    return f"{_VERSION}|{model}|{status.st_size}|{status.st_mtime_ns}|{os.path.abspath(path)}"  # noqa: PTH100


class ShardCache:
    """Structures kept in a folder, by the key of the file that they were read from.

    Parameters
    ----------
    folder : path-like
        Made when it does not exist.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> cache = ShardCache(folder.name)
    >>> cache.add({"some key": Structure.from_arrays([[0.0, 0.0, 0.0]], "A")})
    >>> ShardCache(folder.name).get("some key").sequence, cache.get("other key") is None
    ('A', True)
    >>> folder.cleanup()
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._index = self._read_index()
        self._loaded: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def _read_index(self) -> dict[str, tuple[str, int]]:
        path = self.folder / "index.json"
        if not path.exists():
            return {}
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            return {key: (str(shard), int(place)) for key, (shard, place) in table.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise FileFormatError.at(path, None, f"the index of the cache is damaged ({error}); delete it") from error

    def get(self, key: str) -> Structure | None:
        """Return the structure of a key, None when it is not here.

        Raises
        ------
        FileFormatError
            If the shard is damaged; the message names it.
        """
        if key not in self._index:
            return None
        shard, place = self._index[key]
        if shard not in self._loaded:
            path = self.folder / shard
            if not path.exists():
                return None
            self._loaded = {shard: _load(path)}  # one at a time: callers go through the files in order
        return _structure(self._loaded[shard], place)

    def add(self, structures: Mapping[str, Structure]) -> None:
        """Keep structures, in shards of at most `SHARD_SIZE`."""
        items = list(structures.items())
        for first in range(0, len(items), SHARD_SIZE):
            part = items[first : first + SHARD_SIZE]
            digest = hashlib.sha256("\n".join(key for key, _ in part).encode()).hexdigest()[:16]
            name = f"shard-{digest}.npz"
            _write(self.folder / name, [structure for _, structure in part])
            self._index.update({key: (name, place) for place, (key, _) in enumerate(part)})
        path = self.folder / "index.json"
        scratch = path.with_suffix(f".{os.getpid()}.part")
        scratch.write_text(json.dumps(self._index), encoding="utf-8")
        scratch.replace(path)


def _write(path: Path, structures: list[Structure]) -> None:
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(structure, name) for structure in structures]) for name in _ARRAYS
    }
    arrays["offsets"] = np.cumsum([0, *(len(structure) for structure in structures)])
    arrays["sequence"] = np.frombuffer("".join(s.sequence for s in structures).encode(), dtype=np.uint8)
    arrays["names"] = np.array([structure.name for structure in structures])
    arrays["reports"] = np.array([json.dumps(dataclasses.asdict(structure.report)) for structure in structures])
    scratch = path.with_suffix(f".{os.getpid()}.part")
    with scratch.open("wb") as file:
        np.savez(file, **arrays)
    scratch.replace(path)


def _load(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError.at(path, None, f"the shard is damaged ({error}); delete it") from error


def _structure(shard: dict[str, Any], place: int) -> Structure:
    first, last = shard["offsets"][place : place + 2].tolist()
    return Structure(
        name=str(shard["names"][place]),
        sequence=shard["sequence"][first:last].tobytes().decode(),
        report=_report(json.loads(str(shard["reports"][place]))),
        **{name: shard[name][first:last] for name in _ARRAYS},
    )


def _report(fields: dict[str, Any]) -> ReadReport:
    notes = {name: tuple(ResidueNote(**note) for note in fields[name]) for name in _NOTES}
    return ReadReport(**(fields | notes))
