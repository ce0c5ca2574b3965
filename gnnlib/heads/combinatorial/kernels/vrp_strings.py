"""Random numbers, and which strings of clients a round takes out: shared by the kernels of vehicle routing.

The strings are those of J. Christiaens & G. Vanden Berghe (2020), *Slack Induction by String Removals for Vehicle
Routing Problems*, Algorithm 2: a few routes near one client lose a string of neighbouring visits each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gnnlib.heads.combinatorial.kernels.leaf import leaf_njit

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.kernels.state import Int32Array

__all__ = [
    "PRED",
    "ROUTE",
    "SUCC",
    "as_index",
    "draw_below",
    "draw_unit",
    "first_of_string",
    "order_by_key",
    "string_sizes",
]

#: Columns of `links`, one row a node: the node before, the node behind, the route.
PRED, SUCC, ROUTE = 0, 1, 2

_SPLIT = 0.5
"""Share of the strings from whose middle one client stays (alpha in the paper)."""

_LONGER = 0.01
"""Probability with which one more client stays (beta in the paper)."""


@leaf_njit(inline="always")
def as_index(number: Any) -> int:
    """Return a signed index: arithmetic of unsigned and signed numbers would give floats."""
    return np.int64(number)  # type: ignore[return-value]


@leaf_njit(inline="always")
def draw_unit(rng: npt.NDArray[np.uint64]) -> float:
    """Draw from (0, 1) (xorshift64*, G. Marsaglia 2003 and S. Vigna 2016)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    high = (x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(12)
    return (np.int64(high) + 0.5) * (1.0 / 4503599627370496.0)


@leaf_njit(inline="always")
def draw_below(rng: npt.NDArray[np.uint64], bound: int) -> int:
    """Draw from 0 .. bound - 1."""
    return int(draw_unit(rng) * bound)


@leaf_njit
def string_sizes(
    rng: npt.NDArray[np.uint64], mean_removed: float, max_string: int, mean_size: float
) -> tuple[float, int]:
    """Return the longest string and the number of strings of a round (equations 5 to 7)."""
    longest = min(float(max_string), max(1.0, mean_size))
    most = 4.0 * mean_removed / (1.0 + longest) - 1.0
    return longest, int(draw_unit(rng) * most + 1.0)


@leaf_njit
def first_of_string(
    links: npt.NDArray[np.uint32], rng: npt.NDArray[np.uint64], client: int, size: int, longest: float, first_end: int
) -> tuple[int, int, int, int]:
    """Choose a string around a client.

    Parameters
    ----------
    links : uint32 [N, 4]
    rng : uint64 [1]
    client : int
        Is in the string.
    size : int
        Clients in its route.
    longest : float
        Limit of the string.
    first_end : int
        Nodes from this number on are the ends of routes.

    Returns
    -------
    (int, int, int, int)
        First node, number of nodes, and how many of them stay, from which one on.
    """
    length = min(size, int(draw_unit(rng) * min(float(size), longest) + 1.0))
    kept = 0
    if 1 < length < size and draw_unit(rng) < _SPLIT:
        kept = 1
        while length + kept < size and draw_unit(rng) < _LONGER:
            kept += 1
    span = length + kept
    before, after = 0, 0
    node = links[client, PRED]
    while before < span - 1 and node < first_end:
        before += 1
        node = links[node, PRED]
    node = links[client, SUCC]
    while after < span - 1 and node < first_end:
        after += 1
        node = links[node, SUCC]
    low = max(0, span - 1 - after)
    back = low + draw_below(rng, before - low + 1)
    first = as_index(client)
    for _ in range(back):
        first = as_index(links[first, PRED])
    stays_from = 1 + draw_below(rng, length - 1) if kept > 0 else span
    return first, span, kept, stays_from


@leaf_njit
def order_by_key(clients: Int32Array, keys: npt.NDArray[np.float64], count: int) -> None:
    """Sort the first `count` clients by rising key, in place; few are sorted at a time."""
    for i in range(1, count):
        key, client = keys[i], clients[i]
        j = i - 1
        while j >= 0 and keys[j] > key:
            keys[j + 1] = keys[j]
            clients[j + 1] = clients[j]
            j -= 1
        keys[j + 1] = key
        clients[j + 1] = client
