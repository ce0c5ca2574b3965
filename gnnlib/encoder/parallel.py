"""Run compiled kernels, which release the interpreter lock, on as many threads as torch uses."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["num_threads", "one_thread", "run_parts"]

MAX_THREADS = 8
"""Beyond this, gradient buffers per thread would cost more than the threads save."""

_pools: list[ThreadPoolExecutor] = []


def num_threads() -> int:
    """Return how many threads kernels may use: torch's own number, at most 8.

    Examples
    --------
    >>> 1 <= num_threads() <= 8
    True
    """
    return min(torch.get_num_threads(), MAX_THREADS)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use a single thread inside the block, and what it used before after it.

    Small networks gain little from a second thread, and on a busy machine lose much: threads that wait for each other
    spin while one of them is not scheduled (measured: a pass of 0.05 s took 6 s). Code that keeps a time limit wants
    the pass that always takes as long.

    Examples
    --------
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_parts(kernel: Callable[..., None], ranges: Sequence[tuple[int, int]], *shared: Any) -> None:
    """Call ``kernel(part, first, last, *shared)`` for each range, the first on this thread and the others beside it.

    Parameters
    ----------
    kernel : callable
        Releases the interpreter lock, and writes nothing that another part writes.
    ranges : sequence of (int, int)
        First row and end of each part; at most as many as `num_threads`.
    *shared
        The remaining arguments of every call.
    """
    waiting = []
    if len(ranges) > 1:
        if not _pools:
            _pools.append(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="gnnlib-kernel"))
        waiting = [_pools[0].submit(kernel, part, *ends, *shared) for part, ends in enumerate(ranges[1:], start=1)]
    if ranges:
        kernel(0, *ranges[0], *shared)
    for one in waiting:
        one.result()


# a forked child has none of its parent's threads and needs a pool of its own
os.register_at_fork(after_in_child=_pools.clear)
