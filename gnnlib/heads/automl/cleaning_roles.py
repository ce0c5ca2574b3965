"""What a column of a table is: a number, a date, a category, text, or nothing that helps."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray

__all__ = ["Column", "Role", "as_numbers", "describe_column", "level_text", "seconds_of"]

Role = Literal["number", "date", "category", "text", "dropped"]

FEW_ROWS_FOR_IDENTIFIERS = 20
"""With fewer rows, distinct values are no sign of an identifier."""

MAX_LEVELS = 5_000
"""Levels that a category remembers; rarer ones count as never seen."""

_ID_NAME = re.compile(
    r"(^|[^a-z])(id|ids|uuid|guid|index|key|identifier|number|no|nr|serial|rownames)([^a-z]|$)", re.IGNORECASE
)
_DATE = re.compile(r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([ T]\d{1,2}:\d{2}.*)?\s*$")
_SAMPLE = 500
_NUMBERS_SHARE = 0.95


@dataclass(frozen=True)
class Column:
    """One column of the table as it was understood.

    Parameters
    ----------
    position : int
        Place in the table.
    name : str
    role : {"number", "date", "category", "text", "dropped"}
    reason : str
        Why it was dropped; empty otherwise.
    levels : tuple of str
        Known levels of a category in the order of their codes.
    """

    position: int
    name: str
    role: Role
    reason: str = ""
    levels: tuple[str, ...] = field(default=(), repr=False)


def describe_column(position: int, name: str, values: pd.Series[Any]) -> Column:
    """Decide what a column is from its type and its values.

    Examples
    --------
    >>> describe_column(0, "size", pd.Series(["small", "large", None])).levels
    ('large', 'small')
    """
    missing = values.isna()
    if bool(missing.all()):
        return Column(position, name, "dropped", "all values are missing")
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _category(position, name, values, ordered=list(values.cat.categories))
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return Column(position, name, "date")
    if pd.api.types.is_timedelta64_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return _number(position, name, as_numbers(values))
    present = values[~missing]
    if _is_number_text(present):
        return _number(position, name, as_numbers(values))
    sample = present.iloc[:: max(1, len(present) // _SAMPLE)].astype(str)
    if all(_DATE.match(text) for text in sample):
        return Column(position, name, "date")
    if _is_text(sample):
        return Column(position, name, "text")
    return _category(position, name, values)


def as_numbers(values: pd.Series[Any]) -> FloatArray:
    """Return a column as floats; what is no number becomes NaN, infinities too."""
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return values.dt.total_seconds().to_numpy(dtype=np.float64)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def seconds_of(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column as moments of time without a zone; what is none becomes NaT."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas names the format that it guesses
        moments = pd.to_datetime(
            values, errors="coerce", utc=True, format=None if values.dtype.kind == "M" else "mixed"
        )
    return moments.dt.tz_localize(None)


def level_text(value: Any) -> str:
    """Return the text by which a level is known; 1, 1.0 and True are one level."""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _number(position: int, name: str, numbers: FloatArray) -> Column:
    present = numbers[np.isfinite(numbers)]
    if len(present) == 0:
        return Column(position, name, "dropped", "all values are missing")
    if present.min() == present.max() and len(present) == len(numbers):
        return Column(position, name, "dropped", "constant")
    if _is_row_number(name, numbers):
        return Column(position, name, "dropped", "identifier")
    return Column(position, name, "number")


def _is_row_number(name: str, numbers: FloatArray) -> bool:
    """Whole numbers, all different, that are consecutive, or whose name says what they are."""
    if len(numbers) < FEW_ROWS_FOR_IDENTIFIERS or not np.isfinite(numbers).all() or (numbers % 1 != 0).any():
        return False
    steps = np.diff(numbers)
    if (steps == 1).all():
        return True
    ordered = np.sort(numbers)
    is_different = bool((np.diff(ordered) > 0).all())
    return is_different and (_ID_NAME.search(name) is not None or bool((np.diff(ordered) == 1).all()))


def _is_number_text(present: pd.Series[Any]) -> bool:
    sample = present.iloc[:: max(1, len(present) // _SAMPLE)]
    if all(isinstance(value, (bool, np.bool_)) for value in sample):
        return True
    numbers = pd.to_numeric(sample.astype(str), errors="coerce")
    return float(np.isfinite(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).mean()) >= _NUMBERS_SHARE


def _is_text(sample: pd.Series[Any]) -> bool:
    words = sample.str.count(r"\S+").mean()
    is_varied = sample.nunique() > 0.3 * len(sample) and len(sample) > 5
    return bool(is_varied and (words >= 4 or (words >= 2 and sample.str.len().mean() > 30)))


def _category(position: int, name: str, values: pd.Series[Any], ordered: list[Any] | None = None) -> Column:
    texts = values[~values.isna()].map(level_text)
    counts = texts.value_counts()
    rows, levels = len(values), len(counts)
    if rows >= FEW_ROWS_FOR_IDENTIFIERS and levels > max(20, 0.5 * len(texts)) and len(texts) > 0.5 * rows:
        return Column(position, name, "dropped", "identifier")
    if levels == 1 and len(texts) == rows:
        return Column(position, name, "dropped", "constant")
    if ordered is not None:
        known = [level_text(level) for level in ordered if level_text(level) in counts.index]
    else:
        known = sorted(counts.index[:MAX_LEVELS])
    return Column(position, name, "category", levels=tuple(dict.fromkeys(known)))
