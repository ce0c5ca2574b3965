"""What every result of gnnlib can do: print itself, become a dict, show itself in a notebook, plot itself."""

from __future__ import annotations

import dataclasses
import html
import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

__all__ = ["Result"]


def _plain(value: Any) -> Any:
    """Turn a field into what JSON can hold."""
    if isinstance(value, Result):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return repr(value)


class Result(ABC):
    """Base class of the frozen dataclasses that gnnlib's verbs return.

    A subclass names its fields and says, in `_rows`, which of them a person wants to read first.
    """

    @abstractmethod
    def _rows(self) -> list[tuple[str, str]]:
        """Return (label, value) pairs, the most important first."""

    @property
    def _title(self) -> str:
        return type(self).__name__

    def summary(self) -> str:
        """Return a few aligned lines of text for a person to read."""
        rows = self._rows()
        width = max((len(label) for label, _ in rows), default=0)
        return "\n".join([self._title, *(f"  {label:<{width}}  {value}" for label, value in rows)])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, ready for `json.dumps` (infinities and NaN become None)."""
        if not dataclasses.is_dataclass(self):
            raise TypeError(f"{type(self).__name__} must be a dataclass to become a dict")
        return {
            f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.metadata.get("export", True)
        }

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>"
            for label, value in self._rows()
        )
        return f"<table><caption><b>{html.escape(self._title)}</b></caption>{cells}</table>"

    def __str__(self) -> str:
        return self.summary()
