"""Compiled loops of the residue graph: what two residues of a C-alpha trace are to each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["EDGE_FEATURES", "FAR", "bond_energy", "edge_features", "turn_energies"]

_RADIAL_FIRST, _RADIAL_COUNT = 3.0, 13
_NEAR = 5
FAR = 1 << 30
"""Sequence distance of residues that no unbroken stretch joins."""

_RADIAL = 0
_FRAMES = _RADIAL + _RADIAL_COUNT
_AROUND = _FRAMES + 15
_BONDS = _AROUND + 8
_GAP = _BONDS + 16
EDGE_FEATURES = _GAP + 2 * _NEAR + 2
"""Numbers that describe an edge, see `edge_features`."""


@nb.njit(cache=True, inline="always")
def _distance(a: Any, i: int, b: Any, j: int) -> float:
    x, y, z = a[i, 0] - b[j, 0], a[i, 1] - b[j, 1], a[i, 2] - b[j, 2]
    return math.sqrt(x * x + y * y + z * z)


@nb.njit(cache=True)
def bond_energy(carbon: Any, oxygen: Any, nitrogen: Any, hydrogen: Any, acceptor: int, donor: int) -> float:
    """Energy of the hydrogen bond from N-H of `donor` to C=O of `acceptor`, in kcal/mol, within [-4, 1].

    W. Kabsch and C. Sander 1983, Biopolymers 22, 2577, equation in section "hydrogen bonds". 0 where an atom is NaN or
    the two are the same residue or the donor follows the acceptor.

    Examples
    --------
    >>> c, o, n, h = (np.array([[x, 0.0, 0.0]]) for x in (0.0, 1.23, 4.13, 3.13))
    >>> pad = lambda a: np.concatenate([a, np.zeros((2, 3)), a])
    >>> round(bond_energy(pad(c), pad(o), pad(n), pad(h), 0, 3), 2)
    -2.91
    """
    if donor == acceptor or donor == acceptor + 1:
        return 0.0
    energy = 27.9 * (
        1.0 / max(_distance(oxygen, acceptor, nitrogen, donor), 0.5)
        + 1.0 / max(_distance(carbon, acceptor, hydrogen, donor), 0.5)
        - 1.0 / max(_distance(oxygen, acceptor, hydrogen, donor), 0.5)
        - 1.0 / max(_distance(carbon, acceptor, nitrogen, donor), 0.5)
    )
    if not math.isfinite(energy):
        return 0.0
    return min(max(energy, -4.0), 1.0)


@nb.njit(cache=True)
def edge_features(
    points: Any, frames: Any, atoms: Any, sender: IntArray, receiver: IntArray, gap: IntArray, real: Any
) -> Any:
    """Describe edges by what does not change under rigid motions. The first call compiles.

    Parameters
    ----------
    points : float64 array [M, 3]
        Padded CA positions.
    frames : float64 array [M, 3, 3]
        Rows are the axes of the local frames; NaN where there is none.
    atoms : tuple of four float64 arrays [M, 3]
        Virtual C, O, N, H.
    sender, receiver : int64 array [E]
        Places in the padded arrays.
    gap : int64 array [E]
        Sequence distance receiver minus sender, `FAR` where no unbroken stretch joins them.
    real : bool array [M]
        Bonds count between real residues only.

    Returns
    -------
    float32 array [E, 64]
        13 Gaussians of the CA distance (centres 3, 4, ... 15 A, width 1 A); direction to the sender in the receiver's
        frame and back (6), the sender's axes in the receiver's frame (9); distances of the CA pairs around the two (8);
        energies of the eight hydrogen bonds that decide on a bridge, each clipped and halved, and as a soft yes at
        -0.5 kcal/mol (16); sequence distance: one of -5 .. 5, its signed logarithm, whether there is none (12). NaN
        reads 0.
    """
    out = np.zeros((len(sender), EDGE_FEATURES), np.float32)
    for e in range(len(sender)):
        s, r = sender[e], receiver[e]
        row = out[e]
        _write_distances(row, points, s, r)
        _write_directions(row, points, frames, s, r)
        _write_bonds(row, atoms, real, s, r)
        _write_gap(row, gap[e])
        for m in range(_FRAMES, EDGE_FEATURES):
            if not math.isfinite(row[m]):
                row[m] = 0.0
    return out


@nb.njit(cache=True)
def _write_distances(row: Any, points: Any, s: int, r: int) -> None:
    spread = min(_distance(points, s, points, r), _RADIAL_FIRST + _RADIAL_COUNT - 1)
    for m in range(_RADIAL_COUNT):
        z = spread - (_RADIAL_FIRST + m)
        row[_RADIAL + m] = math.exp(-0.5 * z * z)
    k = _AROUND
    for a in range(-1, 2):
        for b in range(-1, 2):
            if a != 0 or b != 0:
                row[k] = min(0.25 * _distance(points, s + a, points, r + b) - 2.0, 3.0)
                k += 1


@nb.njit(cache=True)
def _write_directions(row: Any, points: Any, frames: Any, s: int, r: int) -> None:
    d = max(_distance(points, s, points, r), 1e-6)
    for a in range(3):
        ahead, back = 0.0, 0.0
        for x in range(3):
            step = (points[s, x] - points[r, x]) / d
            ahead += frames[r, a, x] * step
            back -= frames[s, a, x] * step
        row[_FRAMES + a] = ahead
        row[_FRAMES + 3 + a] = back
        for b in range(3):
            turn = 0.0
            for x in range(3):
                turn += frames[r, a, x] * frames[s, b, x]
            row[_FRAMES + 6 + 3 * a + b] = turn


@nb.njit(cache=True)
def _write_bonds(row: Any, atoms: Any, real: Any, s: int, r: int) -> None:
    # acceptor, donor of the bonds of a bridge between s and r, parallel and antiparallel (Kabsch and Sander)
    pairs = (
        (s, r), (r, s), (s - 1, r), (r, s + 1), (r - 1, s), (s, r + 1), (s - 1, r + 1), (r - 1, s + 1),
    )  # fmt: skip
    k = _BONDS
    for acceptor, donor in pairs:
        energy = 0.0
        if real[acceptor] and real[donor]:
            energy = bond_energy(atoms[0], atoms[1], atoms[2], atoms[3], acceptor, donor)
        row[k] = 0.5 * energy
        row[k + 1] = 1.0 / (1.0 + math.exp(4.0 * (energy + 0.5)))
        k += 2


@nb.njit(cache=True)
def _write_gap(row: Any, gap: int) -> None:
    if gap == FAR:
        row[_GAP + 2 * _NEAR + 1] = 1.0
        return
    if -_NEAR <= gap <= _NEAR and gap != 0:
        row[_GAP + gap + _NEAR - (1 if gap > 0 else 0)] = 1.0
    row[_GAP + 2 * _NEAR] = math.copysign(math.log1p(abs(gap)) / 5.0, gap)


@nb.njit(cache=True)
def turn_energies(atoms: Any, place: IntArray, real: Any, low: int) -> FloatArray:
    """Energies of the bonds from C=O of residue i + a to N-H of i + a + n, [L, (1 - low) * 3].

    For a from `low` to 0 and n = 3, 4, 5: those that make turns and helices around residue i.
    """
    carbon, oxygen, nitrogen, hydrogen = atoms
    out = np.zeros((len(place), (1 - low) * 3))
    for i in range(len(place)):
        k = 0
        for a in range(low, 1):
            for n in range(3, 6):
                acceptor, donor = place[i] + a, place[i] + a + n
                if real[acceptor] and real[donor]:
                    out[i, k] = bond_energy(carbon, oxygen, nitrogen, hydrogen, acceptor, donor)
                k += 1
    return out
