"""Edge assembly crossover, compiled: blocks of AB-cycles that leave fewer subtours than each of them alone.

Towards the end of a run two tours differ by cycles that are worth nothing alone, because each cuts the tour into
subtours. The idea of a block (Y. Nagata 2006, *New EAX crossover for large TSP instances*, and Block2 in Y. Nagata &
S. Kobayashi 2013, section 3.2) is to take cycles together that mend each other's subtours. Here a block grows from its
first cycle: of the cycles that lead out of the subtours, the one is added that leaves the fewest, until there is one
tour. The paper looks for such sets by tabu search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnlib.heads.combinatorial.kernels.eax_child import exchange_gain, piece_at, split
from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.distance import DistanceData
    from gnnlib.heads.combinatorial.kernels.eax_cycles import CrossWork

__all__ = ["add_cycle", "map_cycles", "unmap_cycles"]

_MOST_OPTIONS = 64
"""Cycles compared for one place of a block."""


@leaf_njit
def map_cycles(work: CrossWork, count: int) -> None:
    """Write which cycles go through each city."""
    through, cycles = work.through, work.cycles
    for city in range(len(work.stamp)):
        work.stamp[city] = 0
    for c in range(count):
        for j in range(work.starts[c], work.starts[c + 1]):
            city = cycles[j]
            through[city, 1 if through[city, 0] >= 0 else 0] = c


@leaf_njit
def unmap_cycles(work: CrossWork, count: int) -> None:
    """Forget which cycles go through each city."""
    for j in range(work.starts[count]):
        work.through[work.cycles[j], 0] = -1
        work.through[work.cycles[j], 1] = -1


@leaf_njit(inline="always")
def _leads_out(work: CrossWork, pieces: int, cycle: int, subtour: int) -> bool:
    """Whether a cycle has a city outside a subtour."""
    for j in range(work.starts[cycle], work.starts[cycle + 1]):
        if work.label[piece_at(work.cuts, pieces, work.pos[work.cycles[j]])] != subtour:
            return True
    return False


@leaf_njit
def _list_options(work: CrossWork, number: int, pieces: int, subtours: int, reach: int, longest: int) -> int:
    """List the cycles that lead out of a subtour other than the largest; return their number."""
    tour, cuts, label, stamp = work.tour, work.cuts, work.label, work.stamp
    n = len(tour)
    largest = 0
    for s in range(1, subtours):
        if work.sizes[s] > work.sizes[largest]:
            largest = s
    serial = stamp[n] + 1
    stamp[n] = serial
    for i in range(number):
        stamp[work.chosen[i]] = serial
    found = 0
    for piece in range(pieces):
        if label[piece] == largest:
            continue
        length = cuts[piece + 1] - cuts[piece] if piece + 1 < pieces else cuts[0] - cuts[piece] + n
        for step in range(min(length, 2 * reach)):
            p = cuts[piece] + 1 + (step if step < reach else length - 1 - (step - reach))
            city = tour[p if p < n else p - n]
            for slot in range(2):
                cycle = work.through[city, slot]
                if cycle < 0 or stamp[cycle] == serial:
                    continue
                stamp[cycle] = serial  # inside this subtour, it leads out of none
                if work.starts[cycle + 1] - work.starts[cycle] > longest:
                    continue
                if _leads_out(work, pieces, cycle, label[piece]):
                    work.options[found] = cycle
                    found += 1
                    if found == _MOST_OPTIONS:
                        return found
    return found


@leaf_njit
def add_cycle(data: DistanceData, work: CrossWork, number: int, reach: int, longest: int) -> bool:
    """Choose one cycle more, so that the fewest subtours are left; of equally many, the shortest.

    Parameters
    ----------
    work : CrossWork
        With the parent's tour, the cycles, `number` of them in `chosen`, and `map_cycles` done.
    number : int
        How many cycles are chosen.
    reach : int
        Cities looked at from each end of a piece.
    longest : int
        Cities of a cycle, and pieces of the tour, beyond which a cycle and a block are left alone: every look at one
        costs as much as it has cities.

    Returns
    -------
    bool
        False when there is no subtour, or no cycle that leads out of one, or when the tour is in too many pieces.
    """
    pieces, subtours = split(work, number)
    if subtours == 1 or pieces > longest:
        return False
    found = _list_options(work, number, pieces, subtours, reach, longest)
    best, fewest, most = -1, 0, 0.0
    for i in range(found):
        work.chosen[number] = work.options[i]
        _, left = split(work, number + 1)
        if best >= 0 and left > fewest:
            continue
        gain = exchange_gain(data, work, number + 1)
        if best < 0 or left < fewest or gain > most:
            best, fewest, most = work.options[i], left, gain
    if best < 0:
        return False
    work.chosen[number] = best
    return True
