"""Where the data that comes with the library lies."""

from __future__ import annotations

from pathlib import Path

from gnnlib.errors import GnnlibError

__all__ = ["datasets_folder"]


def datasets_folder() -> Path:
    """Return the folder ``datasets``: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "datasets", package.parent / "datasets"):
        if (folder / "registry.toml").is_file():
            return folder
    raise GnnlibError(f"the data of gnnlib is missing beside {package}; install the package again")
