"""Data-parallel training under ``torchrun``: one script runs alone or in many processes without a change.

Every process takes its share of each batch, the gradients are averaged, and the weights stay equal. `fit` and
`reinforce` do all of it by themselves::

    torchrun --nproc-per-node 2 train.py
"""

from __future__ import annotations

import contextlib
import datetime
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["World", "process_group", "split_batch"]


@dataclass(frozen=True)
class World:
    """The processes that train together, seen from one of them.

    Parameters
    ----------
    rank : int, default 0
        Number of this process.
    size : int, default 1
        Number of processes.
    device : torch.device
        Where this process computes.

    Examples
    --------
    >>> World().is_main, World().sum([1.5, 2.0])
    (True, [1.5, 2.0])
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Add up numbers over all processes, in double precision; every process must call it."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def any(self, flag: bool) -> bool:  # noqa: FBT001 (the flag is the whole argument)
        """Return whether `flag` is set in any process; every process must call it."""
        return self.sum([float(flag)])[0] > 0

    def wait(self) -> None:
        """Go on when all processes have come here."""
        self.sum([0.0])

    def from_main(self, value: int) -> int:
        """Return the value that the main process holds (below 2**53); every process must call it."""
        return int(self.sum([float(value) if self.is_main else 0.0])[0])


@contextlib.contextmanager
def process_group(device: str | torch.device = "cpu", *, timeout_s: float = 1800.0) -> Iterator[World]:
    """Join the processes that ``torchrun`` started, for the time of a ``with`` block.

    Parameters
    ----------
    device : str or torch.device, default "cpu"
        "cuda" without a number means the GPU of this process's ``LOCAL_RANK``. The processes talk by NCCL on GPUs and
        by gloo otherwise.
    timeout_s : float, default 1800
        How long a process waits for the others before it fails, in seconds.

    Yields
    ------
    World
        Of size 1 when the environment names no other process (``WORLD_SIZE``). A group that exists already is used
        and left as it is.

    Raises
    ------
    InputError
        If the device does not exist, or the environment of ``torchrun`` is incomplete.

    Examples
    --------
    >>> with process_group() as world:
    ...     world.rank, world.size
    (0, 1)
    """
    place = _checked_device(device)
    if dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size(), place)
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World(device=place)
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise InputError(f"WORLD_SIZE is set, but {', '.join(missing)} is not; start the script with torchrun")
    backend = "nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method="env://", timeout=datetime.timedelta(seconds=timeout_s))
    try:
        yield World(dist.get_rank(), dist.get_world_size(), place)
    finally:
        dist.destroy_process_group()


def split_batch(batch: Sequence[int], world: World) -> tuple[list[int], float]:
    """Return this process's share of a batch that all processes work on together.

    Parameters
    ----------
    batch : sequence of int
        Indices of at least one graph.
    world : World
        The processes; each takes a contiguous part, the sizes differ by one at most.

    Returns
    -------
    indices : list of int
        Never empty: a process without a share computes the first graph, so that all take part in the exchange.
    weight : float
        Number of graphs of the share; 0 for such a process, whose gradient then counts nothing.

    Examples
    --------
    >>> [split_batch(range(5), World(rank, 3)) for rank in range(3)]
    [([0, 1], 2.0), ([2, 3], 2.0), ([4], 1.0)]
    >>> split_batch([7], World(1, 2))
    ([7], 0.0)
    """
    each, extra = divmod(len(batch), world.size)
    start = world.rank * each + min(world.rank, extra)
    share = list(batch[start : start + each + (world.rank < extra)])
    return (share, float(len(share))) if share else ([batch[0]], 0.0)


def _checked_device(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"`device` must name a torch device such as 'cpu' or 'cuda', found {device!r}") from error
    if place.type == "cuda":
        count = torch.cuda.device_count()
        index = int(os.environ.get("LOCAL_RANK", "0")) if place.index is None else place.index
        if index >= count:
            raise InputError(f"`device` names GPU {index}, but torch sees {count} GPUs here; use device='cpu'")
        place = torch.device("cuda", index)
        torch.cuda.set_device(place)
    return place
