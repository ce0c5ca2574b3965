"""Tables from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnnlib.errors import FileFormatError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from gnnlib.typing import PathLike

__all__ = ["read_table"]


def read_table(path: PathLike) -> pd.DataFrame:
    r"""Read a table with the names of its columns in the first row.

    Parameters
    ----------
    path : path-like
        A CSV or TSV file, gzipped or not, or a Parquet file; the separator of a TSV file is found by looking at it.

    Raises
    ------
    InputError
        If there is no such file.
    FileFormatError
        If it is no table.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Path(folder) / "table.csv"
    ...     _ = place.write_text("size,colour\n1,red\n2,blue\n")
    ...     read_table(place).shape
    (2, 2)
    """
    import pandas as pd  # a second of import that a command with a wrong path need not wait for

    place = Path(path)
    if not place.is_file():
        raise InputError(f"there is no file {path}")
    try:
        if place.suffix == ".parquet":
            return pd.read_parquet(place)
        return pd.read_csv(place, sep=None, engine="python") if ".tsv" in place.suffixes else pd.read_csv(place)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise FileFormatError.at(path, None, f"is no table that can be read: {error}") from error
