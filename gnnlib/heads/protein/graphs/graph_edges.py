"""Edges between residues: sequence, nearest neighbours, radius, contacts and disulfides in one list with a bit mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "DISULFIDE_ANGSTROM",
    "EDGE_KINDS",
    "add_disulfides",
    "disulfide_bonds",
    "edge_lengths",
    "kind_mask",
    "neighbour_edges",
    "tree_edges",
]

#: Bit of each kind: the sender precedes or follows the receiver by one or two residues of an unbroken stretch; it is
#: one of its nearest neighbours; it lies within the radius; their CB atoms touch; they form a disulfide.
EDGE_KINDS = ("previous", "next", "previous2", "next2", "knn", "radius", "contact", "disulfide")

DISULFIDE_ANGSTROM = 2.5
"""Two sulfurs nearer than this are bonded (the bond has 2.05 A)."""

_KNN, _RADIUS, _CONTACT, _DISULFIDE = (
    1 << EDGE_KINDS.index(kind) for kind in ("knn", "radius", "contact", "disulfide")
)
_ALL_PAIRS_UP_TO = 4000
_FIRST_ROOM = 48


def kind_mask(*kinds: str) -> int:
    """Return the bits of some kinds of edges.

    Examples
    --------
    >>> kind_mask("knn", "contact")
    80
    """
    return sum(1 << EDGE_KINDS.index(kind) for kind in set(kinds))


def neighbour_edges(
    ca: FloatArray, cb: FloatArray, segment: IntArray, *, knn: int, radius: float, contact: float
) -> tuple[IntArray, IntArray]:
    """Find the edges of all kinds but disulfides; the first call compiles.

    Parameters
    ----------
    ca, cb : float64 array [L, 3]
        Positions in angstrom; `cb` decides on contacts.
    segment : int64 array [L]
        Number of the unbroken stretch of each residue.
    knn : int >= 0
        Nearest neighbours of each residue; equal distances by index.
    radius, contact : float >= 0
        Largest CA and CB distance in angstrom. Contacts join residues at least three apart, or of different stretches.

    Returns
    -------
    edge_index : int64 array [2, E]
        Row 0 sends, row 1 receives; sorted by receiver, then sender.
    kinds : int64 array [E]
        Bits, see `EDGE_KINDS`.
    """
    if len(ca) > _ALL_PAIRS_UP_TO:
        return tree_edges(ca, cb, segment, knn=knn, radius=radius, contact=contact)
    arm = float(np.sqrt(np.max(np.sum((cb - ca) ** 2, axis=1))))
    sender, receiver, kinds = _all_pairs(
        np.ascontiguousarray(ca),
        np.ascontiguousarray(cb),
        segment,
        min(knn, len(ca) - 1),
        (radius**2, contact**2, (contact + 2.0 * arm) ** 2),
    )
    return np.stack([sender, receiver]), kinds


def tree_edges(
    ca: FloatArray, cb: FloatArray, segment: IntArray, *, knn: int, radius: float, contact: float
) -> tuple[IntArray, IntArray]:
    """Do the same as `neighbour_edges` with search trees: for large structures, where all pairs are too many."""
    count = len(ca)
    tree = cKDTree(ca)
    parts: list[tuple[IntArray, int]] = []
    for offset, bit in ((1, 1), (2, 4)):
        first = np.flatnonzero(segment[offset:] == segment[:-offset])
        parts += [(np.stack([first, first + offset]), bit), (np.stack([first + offset, first]), 2 * bit)]
    k = min(knn, count - 1)
    if k > 0:
        near = np.asarray(tree.query(ca, k=k + 1)[1])
        is_self = near == np.arange(count)[:, None]
        is_self[~is_self.any(axis=1), k] = True  # of atoms in one place another one may come first
        parts.append((np.stack([near[~is_self], np.repeat(np.arange(count), k)]), _KNN))
    parts += [(_both_ways(tree.query_pairs(radius, output_type="ndarray")), _RADIUS)]
    touching = _both_ways(cKDTree(cb).query_pairs(contact, output_type="ndarray"))
    far = (np.abs(touching[0] - touching[1]) > 2) | (segment[touching[0]] != segment[touching[1]])
    parts.append((touching[:, far], _CONTACT))
    keys = np.concatenate([edges[1] * count + edges[0] for edges, _ in parts])
    bits = np.concatenate([np.full(edges.shape[1], bit) for edges, bit in parts])
    unique, where = np.unique(keys, return_inverse=True)
    kinds = np.zeros(len(unique), np.int64)
    np.bitwise_or.at(kinds, where, bits)
    return np.stack([unique % count, unique // count]), kinds


def disulfide_bonds(structure: Structure) -> IntArray:
    """Return the pairs of residues [2, D] whose sulfurs are bonded, each pair once."""
    owners = np.flatnonzero(np.isfinite(structure.sulfurs[:, 0]))
    if len(owners) < 2:
        return np.empty((2, 0), np.int64)
    pairs = cKDTree(structure.sulfurs[owners]).query_pairs(DISULFIDE_ANGSTROM, output_type="ndarray")
    return np.asarray(owners[pairs.T.astype(np.int64)])


def add_disulfides(edge_index: IntArray, kinds: IntArray, bonds: IntArray, count: int) -> tuple[IntArray, IntArray]:
    """Mark the edges of bonded pairs, and add those that are not there."""
    if not bonds.shape[1]:
        return edge_index, kinds
    keys = edge_index[1] * count + edge_index[0]
    both = _both_ways(bonds.T)
    wanted = np.unique(both[1] * count + both[0])
    place = np.searchsorted(keys, wanted)
    there = (place < len(keys)) & (keys[np.minimum(place, len(keys) - 1)] == wanted)
    kinds = kinds.copy()
    kinds[place[there]] |= _DISULFIDE
    if there.all():
        return edge_index, kinds
    keys = np.insert(keys, place[~there], wanted[~there])
    kinds = np.insert(kinds, place[~there], _DISULFIDE)
    return np.stack([keys % count, keys // count]), kinds


@nb.njit(cache=True)
def edge_lengths(ca: FloatArray, edge_index: IntArray) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the CA distances [E] of edges [2, E] in angstrom; the first call compiles.

    Examples
    --------
    >>> edge_lengths(np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]]), np.array([[0], [1]])).tolist()
    [5.0]
    """
    out = np.empty(edge_index.shape[1], np.float32)
    for e in range(len(out)):
        j, i = edge_index[0, e], edge_index[1, e]
        square = (ca[j, 0] - ca[i, 0]) ** 2 + (ca[j, 1] - ca[i, 1]) ** 2 + (ca[j, 2] - ca[i, 2]) ** 2
        out[e] = np.sqrt(square)
    return out


def _both_ways(pairs: IntArray) -> IntArray:
    low, high = pairs.T.astype(np.int64)
    return np.stack([np.concatenate([low, high]), np.concatenate([high, low])])


@nb.njit(cache=True)
def _all_pairs(
    ca: Any, cb: Any, segment: Any, knn: int, squares: tuple[float, float, float]
) -> tuple[IntArray, IntArray, IntArray]:
    radius2, contact2, possible2 = squares
    count = len(ca)
    room = count * _FIRST_ROOM + 64
    sender, receiver, kinds = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    other, square, nearest = np.empty(count, np.int64), np.empty(count), np.empty(knn + 1)
    axes = np.ascontiguousarray(ca.T)
    found = (other, square, np.empty(count))
    used = 0
    for i in range(count):
        held = _candidates(axes, i, max(radius2, possible2), knn, found)
        limit, left = _nearest(square, held, nearest, knn)
        if used + held > room:
            room = 2 * room + count
            sender, receiver, kinds = _longer(sender, room), _longer(receiver, room), _longer(kinds, room)
        for m in range(held):
            j = other[m]
            kind = _sequence_kind(i - j) if segment[i] == segment[j] else 0
            if kind == 0 and square[m] <= possible2:
                d = (cb[j, 0] - cb[i, 0]) ** 2 + (cb[j, 1] - cb[i, 1]) ** 2 + (cb[j, 2] - cb[i, 2]) ** 2
                kind |= _CONTACT if d <= contact2 else 0
            if square[m] < limit or (square[m] == limit and left > 0):
                kind |= _KNN
                left -= square[m] == limit
            if square[m] <= radius2:
                kind |= _RADIUS
            if kind:
                sender[used], receiver[used], kinds[used] = j, i, kind
                used += 1
    return sender[:used], receiver[:used], kinds[:used]


@nb.njit(cache=True)
def _candidates(axes: Any, i: int, reach2: float, knn: int, found: tuple[Any, Any, Any]) -> int:
    """Write the residues that may share an edge with i, and how far they are: those near, or all when few are near."""
    other, square, everyone = found
    count = axes.shape[1]
    x, y, z = axes[0, i], axes[1, i], axes[2, i]
    for j in range(count):  # apart from the choice below: so it runs several at once
        everyone[j] = (axes[0, j] - x) ** 2 + (axes[1, j] - y) ** 2 + (axes[2, j] - z) ** 2
    held, near = 0, 0
    for j in range(count):
        d = everyone[j]
        if (d <= reach2 or (i - 2 <= j <= i + 2)) and j != i:
            other[held], square[held] = j, d
            held += 1
            near += d <= reach2
    if near >= knn:
        return held
    held = 0
    for j in range(count):
        if j != i:
            other[held], square[held] = j, everyone[j]
            held += 1
    return held


@nb.njit(cache=True)
def _nearest(square: Any, count: int, nearest: Any, knn: int) -> tuple[float, int]:
    """Largest distance among the nearest, and how many of them have exactly that one: the first by index get in."""
    held, worst = 0, np.inf if knn > 0 else -1.0
    for j in range(count):
        d = square[j]
        if d >= worst:
            continue
        slot = min(held, knn - 1)  # insertion into the sorted list of the nearest so far
        while slot > 0 and nearest[slot - 1] > d:
            nearest[slot] = nearest[slot - 1]
            slot -= 1
        nearest[slot] = d
        held = min(held + 1, knn)
        if held == knn:
            worst = nearest[knn - 1]
    left = 0
    for m in range(held):
        left += nearest[m] == nearest[held - 1]
    return (nearest[held - 1] if held else -1.0), left


@nb.njit(cache=True)
def _sequence_kind(gap: int) -> int:
    if gap == 1 or gap == -1:
        return 1 if gap > 0 else 2
    if gap == 2 or gap == -2:
        return 4 if gap > 0 else 8
    return 0


@nb.njit(cache=True)
def _longer(values: Any, room: int) -> Any:
    out = np.empty(room, values.dtype)
    out[: len(values)] = values
    return out
