"""Read many structure files: over processes, with a cache of shards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gnnlib.errors import GnnlibError, InputError
from gnnlib.heads.protein.reading.shards import SHARD_SIZE, ShardCache, file_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import PathLike

__all__ = ["iterate_structures", "read_structures"]

_CHUNK = 8  # files that a process takes at once


def read_structures(
    paths: Iterable[PathLike], *, n_jobs: int = 1, cache: PathLike | None = None, progress: bool = False
) -> list[Structure]:
    """Read many PDB and mmCIF files, in the order given.

    Parameters
    ----------
    paths : iterable of path-like
    n_jobs : int
        Processes; -1 takes one a core. Starting them takes about half a second: worth it from some hundred files on.
    cache : path-like, optional
        A folder of shards (see `gnnlib.heads.protein.reading.shards`): files that did not change since are taken from it,
        the others are added.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    GnnlibError, OSError
        At the first file that cannot be read; `iterate_structures` goes on instead.

    Examples
    --------
    >>> from gnnlib.heads.protein.samples import sample_path
    >>> [structure.num_residues for structure in read_structures([sample_path("helix"), sample_path("trace")])]
    [30, 92]
    """
    structures = []
    for _, found in iterate_structures(paths, n_jobs=n_jobs, cache=cache, progress=progress):
        if isinstance(found, Exception):
            raise found
        structures.append(found)
    return structures


def iterate_structures(
    paths: Iterable[PathLike], *, n_jobs: int = 1, cache: PathLike | None = None, progress: bool = False
) -> Iterator[tuple[PathLike, Structure | GnnlibError | OSError]]:
    """Read many files one by one: yield each path with its structure, or with the error that it gave.

    Parameters as in `read_structures`.
    """
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or (n_jobs < 1 and n_jobs != -1):
        raise InputError(f"`n_jobs` must be an integer >= 1, or -1 for one a core, found {n_jobs!r}")
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    return _iterate(listed, n_jobs if n_jobs > 0 else os.cpu_count() or 1, cache, progress=progress)


def _iterate(
    paths: Sequence[PathLike], n_jobs: int, cache: PathLike | None, *, progress: bool
) -> Iterator[tuple[PathLike, Structure | GnnlibError | OSError]]:
    from tqdm.auto import tqdm

    shards = None if cache is None else ShardCache(cache)
    keys = {path: None if shards is None else _key(path) for path in paths}
    known = set() if shards is None else {path for path, key in keys.items() if key is not None and key in shards}
    fresh = _read_all([path for path in paths if path not in known], n_jobs)
    added: dict[str, Structure] = {}
    try:
        for path in tqdm(paths, disable=not progress, unit="file"):
            key = keys[path]
            if shards is not None and path in known and key is not None:
                kept = shards.get(key)
                yield path, _read_one(path) if kept is None else kept
                continue
            found = next(fresh)
            if shards is not None and key is not None and not isinstance(found, Exception):
                added[key] = found
            if shards is not None and len(added) >= SHARD_SIZE:
                shards.add(added)
                added = {}
            yield path, found
    finally:  # also what was read before an interrupt is kept
        if shards is not None and added:
            shards.add(added)


def _key(path: PathLike) -> str | None:
    try:
        return file_key(path)
    except OSError:
        return None  # reading it will tell


def _read_one(path: PathLike) -> Structure | GnnlibError | OSError:
    from gnnlib.heads.protein.io import read_structure  # io hands this module's functions on

    try:
        return read_structure(path)
    except (GnnlibError, OSError) as error:
        return error


def _read_all(paths: Sequence[PathLike], n_jobs: int) -> Iterator[Structure | GnnlibError | OSError]:
    if n_jobs == 1 or len(paths) <= _CHUNK:
        yield from map(_read_one, paths)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")  # forking a process that has threads may hang
    with ProcessPoolExecutor(n_jobs, mp_context=context) as pool:
        yield from pool.map(_read_one, paths, chunksize=_CHUNK)
