"""Train one of the protein head's models; one command each makes the shipped weights.

.. code-block:: text

    python -m gnnlib.heads.protein.train backbone --preset deep --seed 0 --out gnnlib/weights/protein-backbone

The names and what they are for:

- ``backbone``: secondary structure and torsions from CA positions;
- ``design``: the amino acid of every residue from its backbone (inverse folding);
- ``quality``: lDDT of every residue and GDT of the whole model;
- ``sequence``: distances, secondary structure and torsions from the sequence.

Each reads the chains that ``GNNLIB_DATA`` names (`gnnlib.heads.protein.chains`), keeps its caches, checkpoint and log below
``runs/protein``, and goes on from the checkpoint with ``--resume``. ``NAME --help`` shows the options of one model.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MODELS", "main"]

#: Module of each model; its ``main(arguments)`` takes the rest of the command line and returns the exit status.
MODELS = {
    "backbone": "gnnlib.heads.protein.training.train_backbone",
    "design": "gnnlib.heads.protein.training.train_design",
    "quality": "gnnlib.heads.protein.training.train_quality",
    "sequence": "gnnlib.heads.protein.training.train_sequence",
}

_USAGE = f"usage: python -m gnnlib.heads.protein.train {{{','.join(MODELS)}}} [options]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit status: 0, or 2 for an unknown name.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in MODELS:
        sys.stderr.write(_USAGE + "\n")
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    module = importlib.import_module(MODELS[words[0]])
    return cast("Callable[[Sequence[str]], int]", module.main)(words[1:])


if __name__ == "__main__":
    sys.exit(main())
