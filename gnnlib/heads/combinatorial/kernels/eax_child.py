"""Edge assembly crossover, second half, compiled: a child is a parent changed along one AB-cycle.

Y. Nagata & S. Kobayashi (2013), section 3.1, steps 4 to 6, in the localised form of their section 4: the parent is cut
into pieces at the edges that the cycle takes out, so that the work depends on the cycle and on the subtours that it
leaves but not on the number of cities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.kernels.distance import DistanceData, distance
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.eax_cycles import CrossWork
    from gnnlib.heads.combinatorial.kernels.state import Int32Array

__all__ = ["exchange_gain", "make_child", "piece_at", "relink", "split", "undo_child"]

_GAPS = (1750, 701, 301, 132, 57, 23, 10, 4, 1)
"""Of the Shell sort (M. Ciura 2001): few cuts are usual, thousands possible."""

_SHORT = 6
"""So many gaps long must the list be for a gap to be used."""


@leaf_njit(inline="always")
def relink(links: Int32Array, city: int, lost: int, won: int) -> None:
    """Replace one neighbour of a city."""
    if links[city, 0] == lost:
        links[city, 0] = won
    else:
        links[city, 1] = won


@leaf_njit(inline="always")
def _change(links: Int32Array, log: Int32Array, entry: int, city: int, lost: int, won: int) -> int:
    relink(links, city, lost, won)
    log[entry, 0] = city
    log[entry, 1] = lost
    log[entry, 2] = won
    return entry + 1


@leaf_njit
def undo_child(links: Int32Array, log: Int32Array, entries: int) -> None:
    """Take back the changes of a child, last first."""
    for e in range(entries - 1, -1, -1):
        relink(links, log[e, 0], log[e, 2], log[e, 1])


@leaf_njit(inline="always")
def piece_at(cuts: Int32Array, count: int, position: int) -> int:
    """Return the piece that holds a position; piece s begins behind cut s, the last one runs around the end."""
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if cuts[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > 0 else count - 1


@leaf_njit
def exchange_gain(data: DistanceData, work: CrossWork, number: int) -> float:
    """Return the length of the edges lost less that of the edges won."""
    cycles = work.cycles
    gain = 0.0
    for c in range(number):
        first, last = work.starts[work.chosen[c]], work.starts[work.chosen[c] + 1]
        for j in range(first, last, 2):
            here = cycles[j + 1]
            after = cycles[j + 2] if j + 2 < last else cycles[first]
            gain += distance(data, cycles[j], here) - distance(data, here, after)
    return gain


@leaf_njit
def _cut(work: CrossWork, number: int) -> int:
    """Write the sorted positions behind which the chosen cycles cut the parent; return how many."""
    cycles, pos, cuts = work.cycles, work.pos, work.cuts
    n = len(pos)
    count = 0
    for c in range(number):
        for j in range(work.starts[work.chosen[c]], work.starts[work.chosen[c] + 1], 2):
            p, q = pos[cycles[j]], pos[cycles[j + 1]]
            cuts[count] = p if q == p + 1 or (p == n - 1 and q == 0) else q
            count += 1
    for gap in _GAPS:
        if gap > 1 and count < _SHORT * gap:
            continue
        for j in range(gap, count):
            cut = cuts[j]
            slot = j
            while slot >= gap and cuts[slot - gap] > cut:
                cuts[slot] = cuts[slot - gap]
                slot -= gap
            cuts[slot] = cut
    return count


@leaf_njit(inline="always")
def _end_of_piece(pos: Int32Array, cuts: Int32Array, count: int, city: int, other: int) -> int:
    """Which end of which piece `city` is, when its edge to `other` is cut: 2 * piece, + 1 for the later end."""
    p = pos[city]
    q = pos[other]
    if q == p + 1 or (q == 0 and p == len(pos) - 1):
        return 2 * piece_at(cuts, count, p) + 1
    return 2 * piece_at(cuts, count, p)


@leaf_njit
def _link_pieces(work: CrossWork, number: int, count: int) -> None:
    """Join the ends of the pieces by the edges that the chosen cycles bring in."""
    cycles, pos, cuts, links = work.cycles, work.pos, work.cuts, work.links
    for c in range(number):
        first, last = work.starts[work.chosen[c]], work.starts[work.chosen[c] + 1]
        for j in range(first, last, 2):
            after = j + 2 if j + 2 < last else first
            here = _end_of_piece(pos, cuts, count, cycles[j + 1], cycles[j])
            there = _end_of_piece(pos, cuts, count, cycles[after], cycles[after + 1])
            links[here] = there
            links[there] = here


@leaf_njit
def _label_subtours(work: CrossWork, count: int) -> int:
    """Walk over the joined pieces; return the number of subtours."""
    cuts, links, label, sizes = work.cuts, work.links, work.label, work.sizes
    n = len(work.pos)
    for piece in range(count):
        label[piece] = -1
    found = 0
    for start in range(count):
        if label[start] >= 0:
            continue
        total = 0
        end = 2 * start
        while label[end >> 1] < 0:
            piece = end >> 1
            label[piece] = found
            total += cuts[piece + 1] - cuts[piece] if piece + 1 < count else cuts[0] - cuts[piece] + n
            end = links[end ^ 1]
        sizes[found] = total
        found += 1
    return found


@leaf_njit
def split(work: CrossWork, number: int) -> tuple[int, int]:
    """Cut the parent along the chosen cycles and join the pieces anew; return the number of pieces and of subtours.

    The pieces stand in ``work.cuts``, which subtour each belongs to in ``work.label``, and how many cities a subtour
    has in ``work.sizes``.
    """
    count = _cut(work, number)
    _link_pieces(work, number, count)
    return count, _label_subtours(work, count)


@leaf_njit
def _join_smallest(
    data: DistanceData,
    near: Int32Array,
    parent: Int32Array,
    work: CrossWork,
    count: int,
    smallest: int,
    reach: int,
    entry: int,
) -> tuple[float, int]:
    """Join a subtour to another by the cheapest exchange of one edge each; return its cost and the label reached.

    Only the cities near the ends of its pieces are tried, where the tour has just changed. The label is -1 when no neighbour of the subtour's cities lies outside.
    """
    tour, pos, cuts, label = work.tour, work.pos, work.cuts, work.label
    n = len(tour)
    best = np.inf
    u, u_next, v, v_next, reached = 0, 0, 0, 0, -1
    for piece in range(count):
        if label[piece] != smallest:
            continue
        length = cuts[piece + 1] - cuts[piece] if piece + 1 < count else cuts[0] - cuts[piece] + n
        for step in range(min(length, 2 * reach)):
            p = cuts[piece] + 1 + (step if step < reach else length - 1 - (step - reach))
            here = tour[p if p < n else p - n]
            for c in range(near.shape[1]):
                there = near[here, c]
                other = label[piece_at(cuts, count, pos[there])]
                if other == smallest:
                    continue
                straight = distance(data, here, there)
                for i in range(2):
                    beside = parent[here, i]
                    freed = distance(data, here, beside)
                    crossed = distance(data, beside, there)
                    for j in range(2):
                        beyond = parent[there, j]
                        removed = freed + distance(data, there, beyond)
                        cost = straight + distance(data, beside, beyond) - removed
                        if cost < best:
                            best, reached = cost, other
                            u, u_next, v, v_next = here, beside, there, beyond
                        cost = crossed + distance(data, here, beyond) - removed
                        if cost < best:
                            best, reached = cost, other
                            u, u_next, v, v_next = here, beside, beyond, there
    if reached >= 0:
        log = work.log
        entry = _change(parent, log, entry, u, u_next, v)
        entry = _change(parent, log, entry, u_next, u, v_next)
        entry = _change(parent, log, entry, v, v_next, u)
        entry = _change(parent, log, entry, v_next, v, u_next)
    return best, reached


@leaf_njit
def _exchange(parent: Int32Array, work: CrossWork, number: int) -> int:
    """Take the edges of the chosen cycles out of the links and in; return the number of changes logged."""
    cycles = work.cycles
    entry = 0
    for c in range(number):
        first, last = work.starts[work.chosen[c]], work.starts[work.chosen[c] + 1]
        for j in range(first, last, 2):
            after = j + 2 if j + 2 < last else first
            here, there = cycles[j + 1], cycles[after]
            entry = _change(parent, work.log, entry, here, cycles[j], there)
            entry = _change(parent, work.log, entry, there, cycles[after + 1], here)
    return entry


@leaf_njit
def make_child(
    data: DistanceData, near: Int32Array, parent: Int32Array, work: CrossWork, number: int, reach: int, needed: float
) -> tuple[float, int]:
    """Change a parent along some AB-cycles and join the subtours that arise, the smallest first.

    Parameters
    ----------
    near : int32 [N, K]
        Neighbours over which subtours are joined.
    parent : int32 [N, 2]
        Links of the parent; those of the child afterwards.
    work : CrossWork
        With the parent's tour, the cycles and, in `chosen`, which of them; `log` gets the changes.
    number : int
        How many cycles are chosen.
    reach : int
        Cities tried from each end of a piece when a subtour is joined to the others.
    needed : float
        Give up as soon as the gain falls below this.

    Returns
    -------
    gain : float
        By how much the child is shorter; minus infinity when it was given up or could not be joined.
    entries : int
        Number of changes in the log, also of a child that was given up.
    """
    gain = exchange_gain(data, work, number)
    if gain < needed:
        return -np.inf, 0
    count, subtours = split(work, number)
    entry = _exchange(parent, work, number)
    label, sizes = work.label, work.sizes
    for _ in range(subtours - 1):
        smallest = -1
        for s in range(subtours):
            if sizes[s] > 0 and (smallest < 0 or sizes[s] < sizes[smallest]):
                smallest = s
        cost, reached = _join_smallest(data, near, parent, work, count, smallest, reach, entry)
        if reached < 0:
            return -np.inf, entry
        entry += 4
        gain -= cost
        if gain < needed:
            return -np.inf, entry
        for piece in range(count):
            if label[piece] == smallest:
                label[piece] = reached
        sizes[reached] += sizes[smallest]
        sizes[smallest] = 0
    return gain, entry
