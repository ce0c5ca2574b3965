"""The tour under search and its work space: array tour, queue of cities to look at, undo log.

An exchange rewrites one window of consecutive positions; the undo log keeps the old content of the windows rewritten
since the last commit, so that a failed perturbation is taken back at the cost of what it changed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

__all__ = [
    "Int32Array",
    "LocalSearchState",
    "commit",
    "log_window",
    "make_state",
    "pop",
    "push",
    "push_all",
    "random_below",
    "rollback",
]

Int32Array = npt.NDArray[np.int32]


class LocalSearchState(NamedTuple):
    """The tour and the work space of the search; all arrays are changed in place.

    Attributes
    ----------
    tour, pos : int32 [N]
        City at each position, and position of each city.
    queue : int32 [N]
        Ring buffer of cities whose neighbourhood has to be searched (don't-look bits turned round).
    queued : uint8 [N]
        Whether a city is in the queue.
    queue_ends : int64 [2]
        Index of the first waiting city and number of waiting cities.
    log : int32 [C]
        Old contents of the windows rewritten since the last commit, one after the other.
    log_marks : int64 [M, 2]
        Start position and length of each window in the log.
    log_ends : int64 [3]
        Number of windows, number of cities in the log, and whether `backup` holds the last committed tour.
    backup : int32 [N]
        The last committed tour, filled only when the log runs over.
    rng : uint64 [1]
        State of the random numbers.
    """

    tour: Int32Array
    pos: Int32Array
    queue: Int32Array
    queued: npt.NDArray[np.uint8]
    queue_ends: npt.NDArray[np.int64]
    log: Int32Array
    log_marks: npt.NDArray[np.int64]
    log_ends: npt.NDArray[np.int64]
    backup: Int32Array
    rng: npt.NDArray[np.uint64]


def make_state(order: npt.NDArray[np.integer], seed: int) -> LocalSearchState:
    """Allocate the work space for a tour.

    Parameters
    ----------
    order : int array [N]
        The tour to start from; copied.
    seed : int
        Seed of the kicks.
    """
    n = len(order)
    tour = np.ascontiguousarray(order, dtype=np.int32).copy()
    pos = np.empty(n, np.int32)
    pos[tour] = np.arange(n, dtype=np.int32)
    return LocalSearchState(
        tour=tour,
        pos=pos,
        queue=np.empty(n, np.int32),
        queued=np.zeros(n, np.uint8),
        queue_ends=np.zeros(2, np.int64),
        log=np.empty(8 * n + 65536, np.int32),
        log_marks=np.empty((4096, 2), np.int64),
        log_ends=np.zeros(3, np.int64),
        backup=np.empty(n, np.int32),
        rng=np.array([(seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64 or 1], np.uint64),
    )


@leaf_njit(inline="always")
def random_below(rng: npt.NDArray[np.uint64], bound: int) -> int:
    """Draw from 0..bound-1 (xorshift64*, G. Marsaglia 2003 and S. Vigna 2016)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    high = (x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(33)
    return np.int64((high * np.uint64(bound)) >> np.uint64(31))  # type: ignore[return-value]  # signed, for indexing


@leaf_njit(inline="always")
def push(state: LocalSearchState, city: int) -> None:
    """Queue a city unless it waits already."""
    if state.queued[city] == 0:
        state.queued[city] = 1
        n = len(state.queue)
        slot = state.queue_ends[0] + state.queue_ends[1]
        if slot >= n:
            slot -= n
        state.queue[slot] = city
        state.queue_ends[1] += 1


@leaf_njit(inline="always")
def pop(state: LocalSearchState) -> int:
    """Take the first city out of the queue, which must hold one."""
    city = state.queue[state.queue_ends[0]]
    state.queue_ends[0] += 1
    if state.queue_ends[0] == len(state.queue):
        state.queue_ends[0] = 0
    state.queue_ends[1] -= 1
    state.queued[city] = 0
    return city


@leaf_njit
def push_all(state: LocalSearchState) -> None:
    """Put every city into the queue, in tour order."""
    for city in state.tour:
        push(state, city)


@leaf_njit
def _copy(source: Int32Array, target: Int32Array) -> None:
    for p in range(len(source)):
        target[p] = source[p]


@leaf_njit(inline="always")
def _empty_log(state: LocalSearchState) -> None:
    for end in range(3):
        state.log_ends[end] = 0


@leaf_njit
def _reserve_log(state: LocalSearchState, length: int) -> None:
    """Make room for a window; when the log is full, keep the whole committed tour instead."""
    log_ends = state.log_ends
    if log_ends[0] < len(state.log_marks) and log_ends[1] + length <= len(state.log):
        return
    if log_ends[2] == 0:
        _copy(state.tour, state.backup)
        _unwind(state, state.backup)
        log_ends[2] = 1
    log_ends[0] = 0
    log_ends[1] = 0


@leaf_njit
def _unwind(state: LocalSearchState, tour: Int32Array) -> None:
    """Write the logged windows back into `tour`, last first."""
    n = len(tour)
    used = state.log_ends[1]
    for mark in range(state.log_ends[0] - 1, -1, -1):
        start = state.log_marks[mark, 0]
        length = state.log_marks[mark, 1]
        used -= length
        for i in range(length):
            p = start + i
            if p >= n:
                p -= n
            tour[p] = state.log[used + i]


@leaf_njit
def commit(state: LocalSearchState) -> None:
    """Accept the present tour: forget how to undo what led to it."""
    _empty_log(state)


@leaf_njit
def rollback(state: LocalSearchState) -> None:
    """Return to the tour of the last commit."""
    n = len(state.tour)
    if state.log_ends[2] == 1:
        _copy(state.backup, state.tour)
        for p in range(n):
            state.pos[state.tour[p]] = p
    else:
        _unwind(state, state.tour)
        for mark in range(state.log_ends[0]):
            start = state.log_marks[mark, 0]
            for i in range(state.log_marks[mark, 1]):
                p = start + i
                if p >= n:
                    p -= n
                state.pos[state.tour[p]] = p
    _empty_log(state)


@leaf_njit
def log_window(state: LocalSearchState, start: int, length: int) -> int:
    """Append the current content of a window to the log; return where it begins there."""
    _reserve_log(state, length)
    n = len(state.tour)
    begin = state.log_ends[1]
    for i in range(length):
        p = start + i
        if p >= n:
            p -= n
        state.log[begin + i] = state.tour[p]
    state.log_marks[state.log_ends[0], 0] = start
    state.log_marks[state.log_ends[0], 1] = length
    state.log_ends[0] += 1
    state.log_ends[1] += length
    return begin
