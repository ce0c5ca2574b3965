"""The Lin-Kernighan move, compiled: a sequential k-opt exchange found depth first.

Remove ``(t0, t1)``, add ``(t1, t2)``, remove ``(t2, t3)``, ... and close with ``(t_{2k-1}, t0)``. Only partial exchanges
with a positive gain are followed (the gain criterion of S. Lin & B. Kernighan 1973, section 2), and the added edges
come from candidate lists. An exchange need not be a sequence of flips: infeasible intermediate stages are allowed, and
a closing exchange is accepted when it leaves one cycle (K. Helsgaun 2000, section 4.3; 2009, section 3).

The tour is an array. All segments but the longest one form one window of consecutive positions, so that an exchange is
applied by rewriting that window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.state import Int32Array, LocalSearchState, commit, log_window, pop, push

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "CUT",
    "FORWARD",
    "FROM",
    "GAIN",
    "KEY",
    "LISTED",
    "MAX_BREADTH",
    "MAX_DEPTH",
    "OPTION",
    "TO",
    "TOTAL",
    "Candidates",
    "apply_exchange",
    "drain",
    "drain_queue",
    "list_options",
    "make_work",
]

MAX_DEPTH = 8
"""Largest k of a k-opt exchange that the work space holds."""

MAX_BREADTH = 16
"""Largest number of alternatives kept at one level of the search."""


class Candidates(NamedTuple):
    """The edges that an exchange may add.

    Attributes
    ----------
    cities : int32 [N, K]
        Candidate neighbours of each city.
    lengths : float [N, K]
        Their distances.
    penalties : float [N, K]
        What a prior holds against each edge, >= 0 and in units of length: alternatives are tried in the order of their
        partial gain less this penalty. Gains themselves are never changed by it.
    """

    cities: Int32Array
    lengths: FloatArray
    penalties: FloatArray


# Columns of the work space: row i belongs to the i-th removed edge, from t[2i] to t[2i + 1].
FROM = 0  # t[2i]
TO = 1  # t[2i + 1]
CUT = 2  # p, when the edge joins positions p and p + 1
FORWARD = 3  # 1 when t[2i + 1] is the later of its two cities, else 0
ORDER = 4  # number of the edge that is i-th by position
RANK = 5  # place of edge i by position
TRIED = 6  # alternatives of level i already tried
LISTED = 7  # alternatives of level i
OPTION = 8  # from here on: the alternatives, 2 * column of the candidate + side

GAIN = 0  # partial gain with edge i removed
KEY = 1  # from here on: what the alternatives are sorted by
TOTAL = KEY + MAX_BREADTH  # from here on: the partial gains of the alternatives


@nb.njit(cache=True)
def make_work() -> tuple[IntArray, FloatArray]:
    """Allocate the work space of a search: its whole numbers and its gains."""
    ints = np.zeros((MAX_DEPTH + 1, OPTION + MAX_BREADTH), np.int64)
    floats = np.zeros((MAX_DEPTH + 1, TOTAL + MAX_BREADTH), np.float64)
    return ints, floats


@leaf_njit(inline="always")
def _next_segment(ints: IntArray, k: int, segment: int, ahead: int) -> tuple[int, int]:
    """Leave a segment by its far end over an added edge; return the segment reached and the direction through it.

    Segment j runs from behind removed edge ``order[j]`` to removed edge ``order[j + 1]``; ``t[2i + 1]`` is joined to
    ``t[2i + 2]``, and ``t[2i]`` to ``t[2i - 1]``.
    """
    if ahead == 1:
        edge = ints[segment + 1 if segment + 1 < k else 0, ORDER]
    else:
        edge = ints[segment, ORDER]
    if 1 - ahead == ints[edge, FORWARD]:
        edge = edge + 1 if edge + 1 < k else 0
        later = 1 - ints[edge, FORWARD]
    else:
        edge = edge - 1 if edge > 0 else k - 1
        later = ints[edge, FORWARD]
    reached = ints[edge, RANK]
    if later == 0:
        reached = reached - 1 if reached > 0 else k - 1
    return reached, later


@leaf_njit
def _is_one_cycle(ints: IntArray, k: int) -> bool:
    """Whether closing the exchange of `k` removed edges leaves a single cycle; sorts the edges by position."""
    for i in range(k):  # k is tiny: insertion sort
        j = i
        while j > 0 and ints[ints[j - 1, ORDER], CUT] > ints[i, CUT]:
            ints[j, ORDER] = ints[j - 1, ORDER]
            j -= 1
        ints[j, ORDER] = i
    for j in range(k):
        ints[ints[j, ORDER], RANK] = j
    segment = 0
    ahead = 1
    for visited in range(1, k + 1):
        segment, ahead = _next_segment(ints, k, segment, ahead)
        if segment == 0:
            return visited == k and ahead == 1
    return False


@leaf_njit(inline="always")
def _segment_length(ints: IntArray, k: int, segment: int, n: int) -> int:
    length = ints[ints[segment + 1 if segment + 1 < k else 0, ORDER], CUT] - ints[ints[segment, ORDER], CUT]
    return length if length > 0 else length + n


@leaf_njit
def apply_exchange(state: LocalSearchState, ints: IntArray, k: int) -> None:
    """Rewrite everything but the longest segment and queue the ends; `_is_one_cycle` must have sorted the edges."""
    tour, pos = state.tour, state.pos
    n = len(tour)
    longest, kept = -1, 0
    for j in range(k):
        length = _segment_length(ints, k, j, n)
        if length > longest:
            longest, kept = length, j
    start = ints[ints[kept + 1 if kept + 1 < k else 0, ORDER], CUT] + 1
    if start >= n:
        start -= n
    begin = log_window(state, start, n - longest)
    log = state.log
    write = start
    segment = kept
    ahead = 1
    for _ in range(k - 1):
        segment, ahead = _next_segment(ints, k, segment, ahead)
        first = ints[ints[segment, ORDER], CUT] + 1 - start
        if first < 0:
            first += n
        if first >= n:
            first -= n
        length = _segment_length(ints, k, segment, n)
        read = begin + first if ahead == 1 else begin + first + length - 1
        step = 1 if ahead == 1 else -1
        for _ in range(length):
            city = log[read]
            tour[write] = city
            pos[city] = write
            read += step
            write += 1
            if write == n:
                write = 0
    for i in range(k):
        push(state, ints[i, FROM])
        push(state, ints[i, TO])


@leaf_njit(inline="always")
def _is_cut(ints: IntArray, level: int, edge: int) -> bool:
    for i in range(level):
        if ints[i, CUT] == edge:
            return True
    return False


@leaf_njit(inline="always")
def _keep_option(
    ints: IntArray, floats: FloatArray, level: int, keep: int, key: float, total: float, code: int
) -> None:
    """Insert an alternative into the sorted list of the best `keep` of its level."""
    count = ints[level, LISTED]
    if count < keep:
        ints[level, LISTED] = count + 1
    elif key <= floats[level, KEY + count - 1]:
        return
    slot = min(count, keep - 1)
    while slot > 0 and floats[level, KEY + slot - 1] < key:
        floats[level, KEY + slot] = floats[level, KEY + slot - 1]
        floats[level, TOTAL + slot] = floats[level, TOTAL + slot - 1]
        ints[level, OPTION + slot] = ints[level, OPTION + slot - 1]
        slot -= 1
    floats[level, KEY + slot] = key
    floats[level, TOTAL + slot] = total
    ints[level, OPTION + slot] = code


@leaf_njit
def list_options(
    data: DistanceData,
    cities: Int32Array,
    lengths: FloatArray,
    penalties: FloatArray,
    tour: Int32Array,
    pos: Int32Array,
    ints: IntArray,
    floats: FloatArray,
    level: int,
    keep: int,
    tolerance: float,
) -> float:
    """List the best ways to go on from the loose end, or find one that closes with a gain.

    Returns that gain (the exchange then stands in `ints`, sorted by `_is_one_cycle`), else 0.0 with the `keep` best
    alternatives listed.
    """
    n = len(tour)
    base = ints[0, FROM]
    end = ints[level - 1, TO]
    end_pos = pos[end]
    gain = floats[level - 1, GAIN]
    ints[level, TRIED] = 0
    ints[level, LISTED] = 0
    for c in range(cities.shape[1]):
        open_gain = gain - lengths[end, c]
        if open_gain <= tolerance:
            continue
        city = cities[end, c]
        at = pos[city]
        apart = abs(at - end_pos)
        if apart == 1 or apart == n - 1:  # the edge is in the tour
            continue
        for side in range(2):
            if side == 0:
                far = at + 1 if at + 1 < n else 0
                edge = at
            else:
                far = at - 1 if at > 0 else n - 1
                edge = far
            if _is_cut(ints, level, edge):
                continue
            other = tour[far]
            total = open_gain + distance(data, city, other)
            closed = total - distance(data, other, base)
            if closed > tolerance:
                ints[level, FROM] = city
                ints[level, TO] = other
                ints[level, CUT] = edge
                ints[level, FORWARD] = 1 - side
                if _is_one_cycle(ints, level + 1):
                    return closed
            if keep > 0:
                _keep_option(ints, floats, level, keep, total - penalties[end, c], total, 2 * c + side)
    return 0.0


@leaf_njit
def _improve_city(
    data: DistanceData,
    candidates: Candidates,
    state: LocalSearchState,
    ints: IntArray,
    floats: FloatArray,
    base: int,
    breadth: IntArray,
    tolerance: float,
) -> float:
    """Look for an improving exchange that removes an edge at `base`; apply the first found and return its gain."""
    cities, lengths, penalties = candidates.cities, candidates.lengths, candidates.penalties
    tour, pos = state.tour, state.pos
    n = len(tour)
    ints[0, FROM] = base
    for direction in range(2):
        p = pos[base]
        q = (p + 1 if p + 1 < n else 0) if direction == 0 else (p - 1 if p > 0 else n - 1)
        ints[0, TO] = tour[q]
        ints[0, CUT] = p if direction == 0 else q
        ints[0, FORWARD] = 1 - direction
        floats[0, GAIN] = distance(data, base, tour[q])
        level = 1
        fresh = True
        while level >= 1:
            if fresh:
                keep = breadth[level - 1] if level <= len(breadth) else 0
                gained = list_options(data, cities, lengths, penalties, tour, pos, ints, floats, level, keep, tolerance)
                if gained > 0.0:
                    apply_exchange(state, ints, level + 1)
                    return gained
                fresh = False
            chosen = ints[level, TRIED]
            if chosen >= ints[level, LISTED]:
                level -= 1
                continue
            ints[level, TRIED] = chosen + 1
            code = ints[level, OPTION + chosen]
            side = code & 1
            city = cities[ints[level - 1, TO], code >> 1]
            at = pos[city]
            far = (at + 1 if at + 1 < n else 0) if side == 0 else (at - 1 if at > 0 else n - 1)
            ints[level, FROM] = city
            ints[level, TO] = tour[far]
            ints[level, CUT] = at if side == 0 else far
            ints[level, FORWARD] = 1 - side
            floats[level, GAIN] = floats[level, TOTAL + chosen]
            level += 1
            fresh = True
    return 0.0


@leaf_njit
def drain(
    data: DistanceData,
    candidates: Candidates,
    state: LocalSearchState,
    work: tuple[IntArray, FloatArray],
    breadth: IntArray,
    tolerance: float,
    max_cities: int,
) -> float:
    """Search the neighbourhoods of up to `max_cities` queued cities; return the total gain, logged but not committed.

    Parameters
    ----------
    breadth : int [D]
        Alternatives followed at each level; exchanges have up to D + 1 edges.
    tolerance : float
        Gains up to this are taken for rounding errors.
    """
    ints, floats = work
    total = 0.0
    for _ in range(max_cities):
        if state.queue_ends[1] == 0:
            break
        city = pop(state)
        while True:
            gain = _improve_city(data, candidates, state, ints, floats, city, breadth, tolerance)
            if gain == 0.0:
                break
            total += gain
    return total


@nb.njit(cache=True)
def drain_queue(
    data: DistanceData,
    candidates: Candidates,
    state: LocalSearchState,
    breadth: IntArray,
    tolerance: float,
    max_cities: int,
) -> float:
    """Run `drain` and commit what it finds; return the total gain."""
    commit(state)
    gained = drain(data, candidates, state, make_work(), breadth, tolerance, max_cities)
    commit(state)
    return gained
