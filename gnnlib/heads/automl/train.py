"""Make what this head ships; each has a module of its own with its data and its options.

.. code-block:: text

    python -m gnnlib.heads.automl.train portfolio --oboe FOLDER/oboe
    python -m gnnlib.heads.automl.train recommender --meta FOLDER --seed 0
    python -m gnnlib.heads.automl.train synthesis --meta FOLDER --seed 0 --out gnnlib/weights/automl-synthesis
    python -m gnnlib.heads.automl.train experience --store sqlite:///runs/experience.db --minutes 60

``FOLDER`` holds the public tables of results, ``oboe`` and ``openml_qualities``. ``NAME --help`` tells the options.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MODULES", "main"]

MODULES = {
    "portfolio": "gnnlib.heads.automl.portfolio",
    "recommender": "gnnlib.heads.automl.train_recommender",
    "synthesis": "gnnlib.heads.automl.train_synthesis",
    "experience": "gnnlib.heads.automl.train_experience",
}
"""Modules by the name of what they make; they are imported when asked for, as some need torch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module.

    Parameters
    ----------
    arguments : sequence of str, optional
        Name and options; those of the process when absent.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m gnnlib.heads.automl.train", description="Make what ships.")
    parser.add_argument("name", choices=MODULES, help="what to make; its own options follow")
    chosen = parser.parse_args(given[:1]).name
    return int(importlib.import_module(MODULES[chosen]).main(given[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main())
