"""Where a trained model comes from: what its card says of the sources."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["source_commit"]


def source_commit() -> str:
    """Name the commit of the library's sources; ``"unknown"`` where they do not lie in a git checkout.

    Examples
    --------
    >>> len(source_commit()) >= 7
    True
    """
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
