"""``gnnlib versions``: what is installed, for bug reports."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import typer

from gnnlib._version import __version__
from gnnlib.cli.console import print_json

__all__ = ["installed_versions", "versions"]

_PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "torch_geometric",
    "numba",
    "networkx",
    "safetensors",
    "matplotlib",
    "ortools",
    "fast-tsp",
    "elkai",
)


def installed_versions() -> dict[str, str]:
    """Return name and version of gnnlib, Python, the machine, and the packages that results may depend on.

    Examples
    --------
    >>> "python" in installed_versions()
    True
    """
    found = {
        "gnnlib": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def versions(*, as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table.")) -> None:
    """Print the versions of gnnlib, Python and the packages that results depend on.

    \b
    Example:
      gnnlib versions --json
    """  # noqa: D301 (the mark keeps typer from joining the lines of the example)
    found = installed_versions()
    if as_json:
        print_json(found)
        return
    width = max(len(name) for name in found)
    for name, version in found.items():
        typer.echo(f"{name:<{width}}  {version}")
