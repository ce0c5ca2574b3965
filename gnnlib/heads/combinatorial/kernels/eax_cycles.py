"""Edge assembly crossover, first half, compiled: the work space and the AB-cycles of two parents.

Y. Nagata & S. Kobayashi (2013), *A powerful genetic algorithm using edge assembly crossover for the traveling salesman
problem*, section 3.1, steps 1 to 3. A tour is held as `links`: the two neighbours of every city. The edges that only
one of two tours has fall apart into closed walks that take edges of the one and of the other by turns, the AB-cycles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit
from gnnlib.heads.combinatorial.kernels.state import Int32Array, random_below

__all__ = ["CrossWork", "find_cycles", "links_of", "make_cross_work", "write_tour"]


class CrossWork(NamedTuple):
    """The work space of the crossover.

    Attributes
    ----------
    tour, pos : int32 [N]
        The first parent: city at each position, position of each city.
    left : int32 [N, 4]
        Unused edges of a city: up to two of the first parent, then up to two of the second.
    degree : int32 [N, 2]
        How many of each.
    path : int32 [2 N + 2]
        The walk in the making.
    seen : int32 [N, 2]
        Where on the path a city stands at an even and at an odd place, or -1.
    active : int32 [N]
        Cities that may have unused edges.
    cycles : int32 [2 N + 2]
        Cities of the cycles, one cycle after the other; each begins with an edge of the first parent.
    starts : int32 [N + 2]
        Where each cycle begins; one more than there are cycles.
    chosen : int32 [N]
        Numbers of the cycles that make a child.
    cuts, links, label, sizes : int32 [N], [2 N], [N], [N]
        Sorted positions behind which a child is cut, which end of a piece is joined to which, which subtour each piece
        is in, and the cities of each subtour.
    through : int32 [N, 2]
        Cycles through a city, or -1; filled by `eax_block.map_cycles` only.
    stamp, options : int32 [N + 1], [N]
        Serial number of the last look at a cycle, the last of all behind; and the cycles that may join the chosen ones.
    log, best : int32 [4 N + 64, 3]
        Changes that make the present and the best child: city, neighbour lost, neighbour won.
    """

    tour: Int32Array
    pos: Int32Array
    left: Int32Array
    degree: Int32Array
    path: Int32Array
    seen: Int32Array
    active: Int32Array
    cycles: Int32Array
    starts: Int32Array
    chosen: Int32Array
    cuts: Int32Array
    links: Int32Array
    label: Int32Array
    sizes: Int32Array
    through: Int32Array
    stamp: Int32Array
    options: Int32Array
    log: Int32Array
    best: Int32Array


def make_cross_work(n: int) -> CrossWork:
    """Allocate the work space for tours of `n` cities."""

    def whole(*shape: int) -> Int32Array:
        return np.zeros(shape, np.int32)

    return CrossWork(
        tour=whole(n),
        pos=whole(n),
        left=whole(n, 4),
        degree=whole(n, 2),
        path=whole(2 * n + 2),
        seen=np.full((n, 2), -1, np.int32),
        active=whole(n),
        cycles=whole(2 * n + 2),
        starts=whole(n + 2),
        chosen=whole(n),
        cuts=whole(n),
        links=whole(2 * n),
        label=whole(n),
        sizes=whole(n),
        through=np.full((n, 2), -1, np.int32),
        stamp=whole(n + 1),
        options=whole(n),
        log=whole(4 * n + 64, 3),
        best=whole(4 * n + 64, 3),
    )


@leaf_njit
def links_of(tour: Int32Array, links: Int32Array) -> None:
    """Write the two neighbours of every city of a tour into `links` [N, 2]."""
    n = len(tour)
    before = tour[n - 1]
    for p in range(n):
        city = tour[p]
        links[city, 0] = before
        links[city, 1] = tour[p + 1 if p + 1 < n else 0]
        before = city


@leaf_njit
def write_tour(links: Int32Array, tour: Int32Array, pos: Int32Array) -> None:
    """Walk the links from city 0 and write the tour and the positions."""
    previous = np.int32(-1)
    city = np.int32(0)
    for p in range(len(links)):
        tour[p] = city
        pos[city] = p
        following = links[city, 1]
        if following == previous:
            following = links[city, 0]
        previous = city
        city = following


@leaf_njit(inline="always")
def _use_edge(left: Int32Array, degree: Int32Array, city: int, kind: int, other: int) -> None:
    """Strike an edge off the list of one of its ends."""
    degree[city, kind] -= 1
    if left[city, 2 * kind] == other:
        left[city, 2 * kind] = left[city, 2 * kind + 1]


@leaf_njit
def _list_differences(a: Int32Array, b: Int32Array, work: CrossWork) -> int:
    """List the edges that only one parent has; return how many cities have some."""
    left, degree, active = work.left, work.degree, work.active
    count = 0
    for v in range(len(a)):
        a0, a1, b0, b1 = a[v, 0], a[v, 1], b[v, 0], b[v, 1]
        found = 0
        if a0 not in (b0, b1):
            left[v, 0] = a0
            found = 1
        if a1 not in (b0, b1):
            left[v, found] = a1
            found += 1
        degree[v, 0] = found
        degree[v, 1] = found
        if found == 0:
            continue
        slot = 2
        if b0 not in (a0, a1):
            left[v, 2] = b0
            slot = 3
        if b1 not in (a0, a1):
            left[v, slot] = b1
        active[count] = v
        count += 1
    return count


@leaf_njit
def find_cycles(a: Int32Array, b: Int32Array, work: CrossWork, rng: npt.NDArray[np.uint64]) -> int:
    """Split the edges that only one parent has into AB-cycles at random; return their number.

    Parameters
    ----------
    a, b : int32 [N, 2]
        Links of the parents.
    work : CrossWork
        `cycles` and `starts` are filled.
    rng : uint64 [1]
    """
    left, degree, active = work.left, work.degree, work.active
    path, seen, cycles, starts = work.path, work.seen, work.cycles, work.starts
    waiting = _list_differences(a, b, work)
    count, used = 0, 0
    starts[0] = 0
    while waiting > 0:
        slot = random_below(rng, waiting)
        if degree[active[slot], 0] == 0:
            waiting -= 1
            active[slot] = active[waiting]
            continue
        path[0] = active[slot]
        seen[path[0], 0] = 0
        length = 0
        while length >= 0:
            city = path[length]
            kind = length & 1
            pick = random_below(rng, 2) if degree[city, kind] == 2 else 0
            other = left[city, 2 * kind + pick]
            _use_edge(left, degree, city, kind, other)
            _use_edge(left, degree, other, kind, city)
            length += 1
            back = seen[other, length & 1]
            if back < 0:
                path[length] = other
                seen[other, length & 1] = length
                continue
            first = back + (back & 1)  # the first edge has to be one of the first parent
            for i in range(first, length):
                cycles[used] = path[i]
                used += 1
            if first > back:
                cycles[used] = path[back]
                used += 1
            count += 1
            starts[count] = used
            for i in range(back + 1, length):
                seen[path[i], i & 1] = -1
            length = back
            if back == 0:
                seen[path[0], 0] = -1
                length = -1
    return count
