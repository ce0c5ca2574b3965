"""A binary heap of nodes whose keys may fall, compiled: what Dijkstra's algorithm and its kin walk by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["pop_smallest", "push_or_raise"]


@nb.njit(cache=True)
def push_or_raise(heap: IntArray, place: IntArray, key: FloatArray, size: int, node: int) -> int:
    """Put `node` where its (fallen) key belongs in the heap, before its equals; return the heap's new size.

    Parameters
    ----------
    heap : int64 array [N]
        Nodes of the heap in its first `size` entries.
    place : int64 array [N]
        Where each node stands in the heap, -1 outside.
    key : float array [N]
        What the heap is ordered by.
    size, node : int
    """
    i = place[node]
    if i < 0:
        i = size
        size += 1
    while i > 0:
        up = (i - 1) >> 1
        if key[heap[up]] < key[node]:
            break
        heap[i] = heap[up]
        place[heap[i]] = i
        i = up
    heap[i] = node
    place[node] = i
    return size


@nb.njit(cache=True)
def pop_smallest(heap: IntArray, place: IntArray, key: FloatArray, size: int) -> int:
    """Take the node of smallest key off the heap of `size` nodes and return it; the size then is one less."""
    top = heap[0]
    place[top] = -1
    last = heap[size - 1]
    size -= 1
    if size > 0:
        i = 0
        while True:
            down = 2 * i + 1
            if down >= size:
                break
            if down + 1 < size and key[heap[down + 1]] < key[heap[down]]:
                down += 1
            if key[heap[down]] >= key[last]:
                break
            heap[i] = heap[down]
            place[heap[i]] = i
            i = down
        heap[i] = last
        place[last] = i
    return top
