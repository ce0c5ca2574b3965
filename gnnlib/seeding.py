"""One seed, several independent random streams; global random state is never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["numpy_generator", "seed_sequence", "spawn_seeds", "torch_generator"]

Seed = int | np.random.SeedSequence | None


def seed_sequence(seed: Seed = None) -> np.random.SeedSequence:
    """Turn what a user passes as ``seed=`` into a `numpy.random.SeedSequence`.

    Parameters
    ----------
    seed : int >= 0, SeedSequence or None
        None draws fresh entropy from the operating system.

    Raises
    ------
    InputError
        If `seed` is negative or not an integer.

    Examples
    --------
    >>> int(seed_sequence(7).generate_state(1)[0]) == int(seed_sequence(7).generate_state(1)[0])
    True
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if seed is None:
        return np.random.SeedSequence()
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"`seed` must be a non-negative integer or None, found {seed!r}")
    return np.random.SeedSequence(int(seed))


def numpy_generator(seed: Seed = None) -> np.random.Generator:
    """Return a numpy generator for `seed`.

    Examples
    --------
    >>> bool(numpy_generator(0).random() == numpy_generator(0).random())
    True
    """
    return np.random.default_rng(seed_sequence(seed))


def spawn_seeds(seed: Seed, count: int) -> list[int]:
    """Derive `count` independent 32-bit seeds (for kernels, processes, torch) from one.

    Examples
    --------
    >>> spawn_seeds(0, 2) == spawn_seeds(0, 2)
    True
    >>> len(set(spawn_seeds(0, 100)))
    100
    """
    return [int(word) for word in seed_sequence(seed).generate_state(count)]


def torch_generator(seed: Seed = None, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator for `seed` on `device`."""
    import torch

    generator = torch.Generator(device=device)
    generator.manual_seed(spawn_seeds(seed, 1)[0])
    return generator
