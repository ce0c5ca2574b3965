"""Puts the folder ``datasets`` into the package when it is built; everything else is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithDatasets(build_py):
    """Copy ``datasets/`` to ``gnnlib/datasets/``; an editable install reads it where it lies."""

    def run(self) -> None:
        """Build the package, then add the data."""
        super().run()
        if self.editable_mode:
            return
        for source in sorted(path for path in Path("datasets").rglob("*") if path.is_file()):
            target = Path(self.build_lib, "gnnlib", source)
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target), preserve_mode=False)


setup(cmdclass={"build_py": BuildWithDatasets})
