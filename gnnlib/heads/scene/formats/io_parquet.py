"""Parquet tables as numpy columns; pyarrow is needed only here and when it is called."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import FileFormatError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import AnyArray, PathLike

__all__ = ["load_table", "no_gaps", "open_table"]

_DEGREE_NAMES = {"lat", "lon", "latitude", "longitude", "lng"}


def open_table(path: PathLike, needed: Sequence[str]) -> Any:
    """Return the pyarrow table of a file.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    FileFormatError
        If the file is not readable parquet or a column is missing.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "scene") from error
    try:
        table = pq.ParquetFile(os.fspath(path)).read()  # read_table would import pandas where that is installed
    except (pa.ArrowInvalid, pa.ArrowException) as error:
        raise FileFormatError.at(path, None, f"not a readable parquet file (truncated?): {error}") from error
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        hint = ""
        if _DEGREE_NAMES & {name.lower() for name in table.column_names}:
            hint = "; the file has latitude/longitude: project it to metres first"
        raise FileFormatError.at(path, None, f"the table needs the columns {', '.join(missing)}{hint}")
    return table


def no_gaps(array: Any, path: PathLike, name: str) -> AnyArray:
    """Column as a numpy array, or `FileFormatError` when a value is missing."""
    if array.null_count:
        row = int(np.flatnonzero(np.asarray(array.is_null()))[0])
        raise FileFormatError.at(path, None, f"column `{name}` must not have gaps, found one in row {row}")
    return np.asarray(array.to_numpy(zero_copy_only=False))


def load_table(path: PathLike, needed: Sequence[str]) -> dict[str, AnyArray]:
    """All columns of a small table, without gaps in the `needed` ones."""
    table = open_table(path, needed)
    columns = {}
    for name in table.column_names:
        array = table.column(name).combine_chunks()
        columns[name] = no_gaps(array, path, name) if name in needed else array.to_numpy(zero_copy_only=False)
    return columns
