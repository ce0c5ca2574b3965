"""From a messy table to a matrix of floats: what every pipeline starts from.

Nothing here looks at the target, so that cleaning once before cross-validation leaks nothing about it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from gnnlib.errors import InputError
from gnnlib.heads.automl.cleaning_roles import Column, as_numbers, describe_column, level_text, seconds_of
from gnnlib.heads.automl.table import MatrixLayout

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray

__all__ = ["HASHED_WORDS", "TableCleaner", "as_frame", "numbered_names"]

HASHED_WORDS = 64
"""Columns into which the words of a text column are hashed."""

_DATE_PARTS = ("days", "year", "month", "day", "weekday", "hour")
_TOO_LARGE = 1e30
"""Larger numbers overflow the squares of scalers; they are cut."""


def as_frame(X: Any) -> pd.DataFrame:
    """Return a table as a DataFrame with one text name a column.

    Parameters
    ----------
    X : DataFrame, array [N, D] or sequence of rows
        Numbers, texts, dates, booleans or a mixture.

    Raises
    ------
    InputError
        If `X` is sparse, complex, not two-dimensional, or has no rows or no columns.

    Examples
    --------
    >>> list(as_frame([[1, "a"], [2, "b"]]).columns)
    ['x0', 'x1']
    """
    if sparse.issparse(X):
        raise InputError("`X` must be a dense table, found a sparse matrix; use X.toarray()")
    if isinstance(X, pd.DataFrame):
        frame = X
    else:
        array = X if isinstance(X, np.ndarray) else _array_of(X)
        if array.ndim != 2:
            raise InputError(
                f"`X` must be two-dimensional, [rows, columns], found shape {array.shape}. "
                "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row"
            )
        frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    if frame.shape[1] == 0:
        raise InputError(
            f"`X` must have a column: found 0 feature(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    if frame.shape[0] == 0:
        raise InputError(
            f"`X` must have a row: found array with 0 sample(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    if any(dtype.kind == "c" for dtype in frame.dtypes):
        raise InputError("`X` must hold real numbers. Complex data not supported")
    return frame


def numbered_names(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns as texts; those that appear again get a number.

    Examples
    --------
    >>> numbered_names(pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]))
    ['a', 'b', 'a.1']
    """
    names: list[str] = []
    seen: dict[str, int] = {}
    taken = set(map(str, frame.columns))
    for name in map(str, frame.columns):
        times = seen.get(name, 0)
        numbered = f"{name}.{times}" if times else name
        while times and numbered in taken:  # such a column was there before
            times += 1
            numbered = f"{name}.{times}"
        seen[name] = times + 1
        taken.add(numbered)
        names.append(numbered)
    return names


def _array_of(X: Any) -> np.ndarray[Any, Any]:
    if isinstance(X, Sequence) and not isinstance(X, str):
        array = np.array(X, dtype=object) if _is_mixed(X) else np.asarray(X)
    else:
        array = np.asarray(X)
    return array


def _is_mixed(rows: Sequence[Any]) -> bool:
    kinds = {type(cell) for row in rows if isinstance(row, (list, tuple)) for cell in row}
    return str in kinds or type(None) in kinds


class TableCleaner:
    """Understand the columns of a table once, then turn tables like it into matrices.

    Numbers stay, with infinities as missing; dates become days since 1970 and calendar parts; booleans 0 and 1; texts of
    several words are hashed into `HASHED_WORDS` columns (K. Weinberger et al., *Feature hashing*, 2009); categories become
    codes, NaN for levels never seen. Constant and empty columns and identifiers are dropped with a warning.

    Attributes
    ----------
    columns : list of Column
        One for each column of the table.
    layout : MatrixLayout
        Arrangement of the matrix: numbers first, then codes.
    sources : int array [D]
        Column of the table behind each column of the matrix.
    notes : list of str
        What was dropped or repaired.

    Examples
    --------
    >>> frame = pd.DataFrame({"size": [1.0, 2.0, None], "colour": ["red", "blue", "red"], "same": [7, 7, 7]})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     cleaner = TableCleaner().fit(frame)
    >>> cleaner.transform(frame).tolist()
    [[1.0, 1.0], [2.0, 0.0], [nan, 1.0]]
    """

    def fit(self, X: Any) -> TableCleaner:
        """Decide what each column is.

        Parameters
        ----------
        X : DataFrame, array [N, D] or sequence of rows

        Returns
        -------
        TableCleaner
            Itself.

        Warns
        -----
        UserWarning
            Of columns that are dropped, of infinities, and of names that appear twice.
        """
        frame = as_frame(X)
        self.notes: list[str] = []
        names = self._unique_names(frame)
        numeric = _is_plain_number(frame)
        block = _block(frame, numeric)
        self._note_infinities(block, [name for name, plain in zip(names, numeric, strict=True) if plain])
        is_named = isinstance(X, pd.DataFrame)
        fast = iter(_describe_block(block, names, numeric, is_named=is_named))
        self.columns = [
            next(fast) if numeric[i] else describe_column(i, names[i], frame.iloc[:, i]) for i in range(len(names))
        ]
        self._hour_matters = {
            c.position: _has_hours(frame.iloc[:, c.position]) for c in self.columns if c.role == "date"
        }
        self._note_dropped()
        self._arrange()
        if self.notes:
            warnings.warn("the table was repaired: " + "; ".join(self.notes), UserWarning, stacklevel=4)
        return self

    def _unique_names(self, frame: pd.DataFrame) -> list[str]:
        texts = list(map(str, frame.columns))
        if len(set(texts)) < len(texts):
            counts = pd.Series(texts).value_counts(sort=False)
            twice = counts.index[counts > 1].tolist()
            self.notes.append(f"column names appear more than once and were numbered: {_listed(twice)}")
        return numbered_names(frame)

    def _note_infinities(self, block: FloatArray, names: list[str]) -> None:
        infinite: BoolArray = np.isinf(block).any(axis=0).reshape(-1)
        if infinite.any():
            found = [name for name, is_infinite in zip(names, infinite, strict=True) if is_infinite]
            self.notes.append(f"infinite values count as missing in: {_listed(found)}")

    def _note_dropped(self) -> None:
        for reason in sorted({column.reason for column in self.columns if column.role == "dropped"}):
            found = [column.name for column in self.columns if column.reason == reason]
            self.notes.append(f"dropped ({reason}): {_listed(found)}")

    def _arrange(self) -> None:
        sources: list[int] = []
        self.feature_names: list[str] = []
        for column in self.columns:
            parts = self._parts(column)
            sources += [column.position] * len(parts)
            self.feature_names += parts
        coded = [column for column in self.columns if column.role == "category"]
        self.layout = MatrixLayout(len(sources), tuple(len(column.levels) for column in coded))
        self.sources = np.array(sources + [column.position for column in coded], dtype=np.int64)
        self.feature_names += [column.name for column in coded]

    def _parts(self, column: Column) -> list[str]:
        """Names of the numeric columns that one column becomes."""
        if column.role == "number":
            return [column.name]
        if column.role == "date":
            count = len(_DATE_PARTS) if self._hour_matters[column.position] else len(_DATE_PARTS) - 1
            return [f"{column.name}.{part}" for part in _DATE_PARTS[:count]]
        if column.role == "text":
            return [
                f"{column.name}.words",
                f"{column.name}.letters",
                *(f"{column.name}.h{i}" for i in range(HASHED_WORDS)),
            ]
        return []

    def has_hours(self, column: Column) -> bool:
        """Return whether the moments of a date column are not all at midnight."""
        return self._hour_matters[column.position]

    def transform(self, X: Any) -> FloatArray:
        """Return the matrix [N, D] of a table with the same columns.

        Raises
        ------
        InputError
            If the number of columns differs.
        """
        frame = as_frame(X)
        if frame.shape[1] != len(self.columns):
            raise InputError(f"`X` must have {len(self.columns)} columns as in fit, found {frame.shape[1]}")
        matrix = np.full((len(frame), self.layout.num_columns), np.nan)
        numbers = [column.position for column in self.columns if column.role == "number"]
        plain = np.zeros(frame.shape[1], dtype=bool)
        plain[numbers] = _is_plain_number(frame)[numbers]
        place = {int(source): i for i, source in reversed(list(enumerate(self.sources)))}
        quick = np.flatnonzero(plain)
        matrix[:, [place[int(i)] for i in quick]] = _block(frame, plain)
        for column in self.columns:
            if column.role != "dropped" and not plain[column.position]:
                start = place[column.position]
                values = self._values(column, frame.iloc[:, column.position])
                matrix[:, start : start + values.shape[1]] = values
        matrix[np.isinf(matrix)] = np.nan
        return np.clip(matrix, -_TOO_LARGE, _TOO_LARGE, out=matrix)

    def _values(self, column: Column, values: pd.Series[Any]) -> FloatArray:
        if column.role == "date":
            return _date_parts(values, has_hours=self._hour_matters[column.position])
        if column.role == "text":
            return _hashed(values)
        if column.role == "number":
            return as_numbers(values)[:, None]
        if values.dtype == object:
            values = values.map(level_text, na_action="ignore")
        codes, unique = pd.factorize(values)
        known = {level: float(code) for code, level in enumerate(column.levels)}
        table = np.array([*(known.get(level_text(level), np.nan) for level in unique), np.nan])
        return table[codes][:, None]  # the code of a missing value is -1, the last entry


def _is_plain_number(frame: pd.DataFrame) -> BoolArray:
    return np.array([isinstance(dtype, np.dtype) and dtype.kind in "iufb" for dtype in frame.dtypes], dtype=bool)


def _block(frame: pd.DataFrame, chosen: BoolArray) -> FloatArray:
    """Return the chosen columns, all of plain numbers, as one matrix."""
    part = frame if chosen.all() else frame.iloc[:, np.flatnonzero(chosen)]
    return part.to_numpy(dtype=np.float64)


def _describe_block(block: FloatArray, names: list[str], numeric: BoolArray, *, is_named: bool) -> list[Column]:
    """Describe plain numeric columns together: thousands of them must not take thousands of calls."""
    positions = np.flatnonzero(numeric)
    finite = np.isfinite(block)
    low = np.where(finite, block, np.inf).min(axis=0, initial=np.inf)
    high = np.where(finite, block, -np.inf).max(axis=0, initial=-np.inf)
    is_full = finite.all(axis=0).reshape(-1)
    empty, constant = ~finite.any(axis=0).reshape(-1), is_full & (low == high)
    # only whole numbers that span at least one value a row can be identifiers
    suspect = is_full & (high - low >= len(block) - 1) & is_named
    found = []
    for i, position in enumerate(positions.tolist()):
        if empty[i]:
            found.append(Column(position, names[position], "dropped", "all values are missing"))
        elif constant[i]:
            found.append(Column(position, names[position], "dropped", "constant"))
        elif suspect[i]:
            found.append(describe_column(position, names[position], pd.Series(block[:, i])))
        else:
            found.append(Column(position, names[position], "number"))
    return found


def _has_hours(values: pd.Series[Any]) -> bool:
    return bool((seconds_of(values).dt.hour.fillna(0) != 0).any())


def _date_parts(values: pd.Series[Any], *, has_hours: bool) -> FloatArray:
    moments = seconds_of(values)
    days = (moments - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    parts = [days, moments.dt.year, moments.dt.month, moments.dt.day, moments.dt.day_of_week]
    if has_hours:
        parts.append(moments.dt.hour)
    return np.column_stack([part.to_numpy(dtype=np.float64, na_value=np.nan) for part in parts])


def _hashed(values: pd.Series[Any]) -> FloatArray:
    from sklearn.feature_extraction.text import HashingVectorizer  # a second of import that few tables need

    texts = values.fillna("").astype(str)
    hashed = HashingVectorizer(n_features=HASHED_WORDS, norm="l2").transform(texts).toarray()
    return np.column_stack([texts.str.count(r"\S+"), texts.str.len(), hashed]).astype(np.float64)


def _listed(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(repr, names[:limit])) + more
