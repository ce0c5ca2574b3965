"""Every error that gnnlib raises on purpose.

All of them derive from `GnnlibError`; each also inherits the built-in that a caller would expect, so that
``except ValueError`` keeps working. A message says what must hold, what was found (shape, dtype, first bad index,
line of the file) and what to do about it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

__all__ = [
    "DivergenceError",
    "FileFormatError",
    "GnnlibError",
    "InfeasibleError",
    "InputError",
    "MissingExtraError",
    "MissingFileError",
    "WeightsError",
]


class GnnlibError(Exception):
    """Base class of every error raised by gnnlib."""


class InputError(GnnlibError, ValueError):
    """An argument does not satisfy what the function needs."""


class FileFormatError(InputError):
    """A file does not follow its format; the message starts with ``path:line:``."""

    @classmethod
    def at(cls, path: str | os.PathLike[str], line: int | None, message: str) -> Self:
        """Build the error for one place of a file.

        Parameters
        ----------
        path : path-like
            The file as the caller named it.
        line : int or None
            1-based line number; None when the fault concerns the whole file.
        message : str
            What was expected and what was found.

        Examples
        --------
        >>> str(FileFormatError.at("a.tsp", 3, "expected an integer, found 'x'"))
        "a.tsp:3: expected an integer, found 'x'"
        """
        place = os.fspath(path) if line is None else f"{os.fspath(path)}:{line}"
        return cls(f"{place}: {message}")


class MissingFileError(InputError, FileNotFoundError):
    """A file to be read is not there; the message names the folder that was looked in, and files of a like name."""

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Self:
        """Build the error for one path.

        Parameters
        ----------
        path : path-like
            The file as the caller named it.

        Examples
        --------
        >>> print(MissingFileError.at("/nowhere/a.pdb"))
        there is no file /nowhere/a.pdb: the folder /nowhere does not exist
        """
        import difflib

        whole = Path(path).absolute()
        if not whole.parent.is_dir():
            return cls(f"there is no file {os.fspath(path)}: the folder {whole.parent} does not exist")
        near = difflib.get_close_matches(whole.name, [other.name for other in whole.parent.iterdir()])
        hint = f"; like it are {', '.join(near)}" if near else ""
        return cls(f"there is no file {os.fspath(path)} (looked in {whole.parent}){hint}")


class InfeasibleError(InputError):
    """The problem has no feasible answer; the message names what makes it so."""


class DivergenceError(GnnlibError, ArithmeticError):
    """A loss or the gradient of a training became infinite or NaN; the message names it and the step."""


class MissingExtraError(GnnlibError, ImportError):
    """An optional dependency is needed; the message holds the pip command that brings it.

    Parameters
    ----------
    package : str
        Name of the missing distribution.
    extra : str
        The extra of gnnlib that installs it.

    Examples
    --------
    >>> str(MissingExtraError("ortools", "bench"))
    "`ortools` is not installed; get it with: pip install 'gnnlib[bench]'"
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"`{package}` is not installed; get it with: pip install 'gnnlib[{extra}]'")
        self.package = package
        self.extra = extra


class WeightsError(GnnlibError, RuntimeError):
    """A weight file or its card is missing, damaged, or does not fit the model."""
