"""The registry of public data sets: what they are, whose they are, and how to get them."""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnlib.data.folder import datasets_folder
from gnnlib.errors import FileFormatError, GnnlibError, InputError

if TYPE_CHECKING:
    from gnnlib.typing import PathLike

__all__ = ["DataFile", "Dataset", "dataset", "fetch", "list_datasets"]

_MIRROR_VARIABLE = "GNNLIB_DATA"


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes
    ----------
    name : str
        As stored here.
    sha256 : str
    size : int
        Bytes.
    path : str
        Place inside the upstream repository.
    """

    name: str
    sha256: str
    size: int
    path: str


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry.

    Attributes
    ----------
    name, title, purpose : str
        What to call it, what it is, what it is for.
    origin : str
        Who made the data.
    repository, commit : str
        Where the files were taken from.
    address : str
        ``"recorded"``: the files can be fetched from the commit; ``"unknown"``: their path in the repository was
        not kept, only a mirror has them.
    licence : str
        As stated upstream, in words.
    non_commercial : bool
        True when the licence forbids commercial use or does not speak of it.
    folder : str
        Place inside a mirror.
    files : tuple of DataFile
    """

    name: str
    title: str
    purpose: str
    origin: str
    repository: str
    commit: str
    address: str
    licence: str
    non_commercial: bool
    folder: str
    files: tuple[DataFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def url(self, file: DataFile) -> str:
        """Upstream address of one file."""
        owner_and_name = self.repository.removeprefix("https://github.com/")
        return f"https://raw.githubusercontent.com/{owner_and_name}/{self.commit}/{file.path}"


@functools.cache
def _registry() -> dict[str, Dataset]:
    with (datasets_folder() / "registry.toml").open("rb") as file:
        return {name: _dataset(name, entry) for name, entry in tomllib.load(file).items()}


def _dataset(name: str, entry: dict[str, Any]) -> Dataset:
    upstream = entry.pop("path")
    files = tuple(
        DataFile(file, facts["sha256"], facts["size"], upstream + facts.get("path", file))
        for file, facts in entry.pop("files").items()
    )
    return Dataset(name=name, files=files, **entry)


def list_datasets() -> list[Dataset]:
    """Return every data set of the registry.

    Examples
    --------
    >>> {dataset.name: len(dataset.files) for dataset in list_datasets()}["uniform-paper"]
    3
    """
    return list(_registry().values())


def dataset(name: str) -> Dataset:
    """Return one data set of the registry by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    found = _registry().get(name)
    if found is None:
        near = difflib.get_close_matches(name, list(_registry()), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_registry())}"
        raise InputError(f"there is no data set {name!r}; {hint}")
    return found


def fetch(name: str, *, cache: PathLike | None = None, progress: bool = False) -> Path:
    """Make a data set, or one file of it, available and return where it lies.

    The folder that the environment variable ``GNNLIB_DATA`` names is looked at first; when it lacks a file that is
    wanted, everything wanted is downloaded into the cache, once. Each file's SHA-256 is checked in both cases.

    Parameters
    ----------
    name : str
        ``"tsplib"`` for all files, ``"tsplib/berlin52.tsp"`` for one.
    cache : path-like, optional
        Folder for downloads; default: the user's cache folder of the operating system.
    progress : bool
        Show a progress bar for each download.

    Returns
    -------
    Path
        The folder of the data set, or the file.

    Raises
    ------
    InputError
        If there is no such data set or file, or ``GNNLIB_DATA`` names no folder.
    FileFormatError
        If a file does not have the stored checksum.
    GnnlibError
        If a download fails or no address is known.
    """
    title, _, single = name.partition("/")
    source = dataset(title)
    wanted = tuple(file for file in source.files if single in {"", file.name})
    if not wanted:
        near = difflib.get_close_matches(single, [file.name for file in source.files], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"the data set {title!r} has no file {single!r}{hint}")
    folder = _from_mirror(source, wanted) or _from_upstream(source, wanted, cache, progress=progress)
    return folder / single if single else folder


def _from_mirror(source: Dataset, wanted: tuple[DataFile, ...]) -> Path | None:
    variable = os.environ.get(_MIRROR_VARIABLE)
    if not variable:
        return None
    mirror = Path(variable)
    if not mirror.is_dir():
        raise InputError(f"{_MIRROR_VARIABLE} must name a folder, found {variable!r}")
    folder = mirror / source.folder
    if not all((folder / file.name).is_file() for file in wanted):
        return None
    for file in wanted:
        path = folder / file.name
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != file.sha256:
            raise FileFormatError.at(path, None, f"the SHA-256 must be {file.sha256}, found {found}; restore the file")
    return folder


def _from_upstream(source: Dataset, wanted: tuple[DataFile, ...], cache: PathLike | None, *, progress: bool) -> Path:
    if source.address != "recorded":
        raise GnnlibError(
            f"no download address is known for {source.name!r}; its files come from {source.repository}, "
            f"put them into a folder {source.folder!r} below the one that {_MIRROR_VARIABLE} names"
        )
    import pooch  # needs half a second, and only for downloads

    folder = Path(pooch.os_cache("gnnlib") if cache is None else cache) / source.name
    store = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: f"sha256:{file.sha256}" for file in wanted},
        urls={file.name: source.url(file) for file in wanted},
    )
    for file in wanted:
        try:
            store.fetch(file.name, downloader=pooch.HTTPDownloader(progressbar=progress))
        except ValueError as error:  # pooch's word for a wrong checksum
            raise FileFormatError.at(
                source.url(file), None, f"the download is not the registered file: {error}"
            ) from error
        except OSError as error:
            raise GnnlibError(
                f"could not download {source.url(file)}: {error}; "
                f"without a network, name a local mirror in {_MIRROR_VARIABLE}"
            ) from error
    return folder
