"""Parameters drawn from one seed, with torch's global generator left as it was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from gnnlib.seeding import Seed, spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["seeded_parameters"]


@contextmanager
def seeded_parameters(seed: Seed = 0) -> Iterator[None]:
    """Within the block, modules built on the CPU draw their initial parameters from `seed`.

    torch's layers draw from the global generator; its state is put back afterwards, so that building a model neither
    depends on nor disturbs anybody else's random numbers.

    Parameters
    ----------
    seed : int >= 0, SeedSequence or None
        None draws fresh entropy.

    Examples
    --------
    >>> with seeded_parameters(3):
    ...     first = torch.nn.Linear(2, 2)
    >>> with seeded_parameters(3):
    ...     second = torch.nn.Linear(2, 2)
    >>> torch.equal(first.weight, second.weight)
    True
    """
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(spawn_seeds(seed, 1)[0])
    try:
        yield
    finally:
        generator.set_state(before)
