"""Edge features of inverse folding in one compiled pass; numpy would write and read 300 numbers an edge several times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from gnnlib.typing import AnyArray, IntArray

    Float32Array = npt.NDArray[np.float32]

__all__ = ["EDGE_FEATURES", "NUM_BASIS", "edge_features", "radial_centres_angstrom"]

NUM_BASIS = 12
EDGE_FEATURES = 25 * NUM_BASIS + 15 + 9
_FIRST, _LAST = 1.5, 4.4
_STEP = (_LAST - _FIRST) / (NUM_BASIS - 1)
_REACH = 4


def radial_centres_angstrom() -> npt.NDArray[np.float64]:
    """Return the distances at which the basis functions peak, in angstrom.

    They are even in the square root of the distance: 0.9 A apart at contact, 2 A apart at 16 A.

    Examples
    --------
    >>> radial_centres_angstrom().round(1).tolist()[:3]
    [2.2, 3.1, 4.1]
    """
    return np.linspace(_FIRST, _LAST, NUM_BASIS) ** 2


@nb.njit(cache=True, fastmath=True)
def _spread(distance: float, row: Any) -> None:
    """Write Gaussians of the root of `distance` into `row`, by recurrence from the nearest centre to both sides."""
    root = min(math.sqrt(distance), _LAST)
    place = (root - _FIRST) / _STEP
    nearest = min(max(round(place), 0), NUM_BASIS - 1)
    rest = place - nearest
    value = math.exp(-0.5 * rest * rest)
    row[nearest] = value
    # g(m + 1) / g(m) = exp(rest - 1/2), and every further ratio is smaller by the factor 1 / e
    ratio, level = math.exp(rest - 0.5), value
    for m in range(nearest + 1, min(nearest + 1 + _REACH, NUM_BASIS)):
        level *= ratio
        ratio *= 0.36787944117144233
        row[m] = level
    ratio, level = math.exp(-rest - 0.5), value
    for m in range(nearest - 1, max(nearest - 1 - _REACH, -1), -1):
        level *= ratio
        ratio *= 0.36787944117144233
        row[m] = level


@nb.njit(cache=True, fastmath=True)
def _fill(atoms: Any, frames: Any, sender: Any, receiver: Any, out: Any) -> None:
    for e in range(len(sender)):
        s, r = sender[e], receiver[e]
        row = out[e]
        for i in range(5):
            for j in range(5):
                x = atoms[s, j, 0] - atoms[r, i, 0]
                y = atoms[s, j, 1] - atoms[r, i, 1]
                z = atoms[s, j, 2] - atoms[r, i, 2]
                distance = math.sqrt(x * x + y * y + z * z)
                first = (5 * i + j) * NUM_BASIS
                _spread(distance, row[first : first + NUM_BASIS])
                if i == 1:
                    scale = 1.0 / max(distance, 1e-3)
                    for m in range(3):
                        along = x * frames[r, 0, m] + y * frames[r, 1, m] + z * frames[r, 2, m]
                        row[25 * NUM_BASIS + 3 * j + m] = along * scale
        for m in range(3):
            for k in range(3):
                turn = 0.0
                for axis in range(3):
                    turn += frames[r, axis, m] * frames[s, axis, k]
                row[25 * NUM_BASIS + 15 + 3 * m + k] = turn


def edge_features(atoms: AnyArray, frames: AnyArray, sender: IntArray, receiver: IntArray) -> Float32Array:
    """Return what an edge says of the geometry between two residues; the first call compiles.

    Parameters
    ----------
    atoms : float32 array [N, 5, 3]
        N, CA, C, O, CB in angstrom.
    frames : float32 array [N, 3, 3]
        Local frames, columns are the axes.
    sender, receiver : int64 array [E]

    Returns
    -------
    float32 array [E, 324]
        25 distances (receiver's atom by sender's atom) in 12 radial basis functions each (H. Schütt et al. 2017, SchNet,
        but of the square root of the distance, in units of the spacing), directions from the receiver's CA to the
        sender's five atoms in the receiver's frame, and the sender's frame seen from the receiver's.
    """
    out = np.zeros((len(sender), EDGE_FEATURES), np.float32)
    _fill(
        np.ascontiguousarray(atoms, np.float32),
        np.ascontiguousarray(frames, np.float32),
        np.ascontiguousarray(sender, np.int64),
        np.ascontiguousarray(receiver, np.int64),
        out,
    )
    return out


NUM_DIRECTIONS = 12
_SHELL_CENTRES = np.array([2.5, 4.5, 6.5, 8.5, 11.0])
_SHELL_WIDTHS = np.array([1.0, 1.0, 1.0, 1.1, 1.5])
_SHARPNESS = 4.0
_REACH_ANGSTROM = 15.0
_SIDE_CHAIN_ANGSTROM = 2.4
DENSITY_ATOMS = (0, 3, 4)
DENSITY_FEATURES = len(DENSITY_ATOMS) * len(_SHELL_CENTRES) * NUM_DIRECTIONS


def _icosahedron() -> npt.NDArray[np.float64]:
    golden = (1.0 + 5.0**0.5) / 2.0
    corners = [(0.0, a, b * golden) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    turned = [np.roll(corner, shift) for shift in range(3) for corner in corners]
    return np.array(turned) / np.sqrt(1.0 + golden**2)


_DIRECTIONS = _icosahedron()


@nb.njit(cache=True, fastmath=True)
def _add_atom(local: Any, tables: Any, radial: Any, angular: Any, row: Any) -> None:
    """Add an atom at `local`, in the residue's frame, to the densities `row` [shells * directions] of its kind."""
    centres, widths, directions = tables
    distance = math.sqrt(local[0] ** 2 + local[1] ** 2 + local[2] ** 2)
    if distance > _REACH_ANGSTROM:
        return
    for d in range(len(directions)):
        cosine = directions[d, 0] * local[0] + directions[d, 1] * local[1] + directions[d, 2] * local[2]
        angular[d] = math.exp(_SHARPNESS * (cosine / max(distance, 1e-3) - 1.0))
    for s in range(len(centres)):
        z = (distance - centres[s]) / widths[s]
        radial[s] = math.exp(-0.5 * z * z)
        if radial[s] > 1e-3:
            for d in range(len(directions)):
                row[s * len(directions) + d] += radial[s] * angular[d]


@nb.njit(cache=True, fastmath=True)
def _fill_density(atoms: Any, frames: Any, near: Any, kinds: Any, tables: Any, out: Any) -> None:
    size = len(tables[0]) * len(tables[2])
    radial, angular, local, origin = np.zeros(len(tables[0])), np.zeros(len(tables[2])), np.zeros(3), np.zeros(3)
    for i in range(len(near)):
        side = atoms[i, 4] - atoms[i, 1]
        length = math.sqrt(side[0] ** 2 + side[1] ** 2 + side[2] ** 2)
        for x in range(3):
            origin[x] = atoms[i, 1, x] + _SIDE_CHAIN_ANGSTROM * side[x] / length
        for j in near[i]:
            for k in range(len(kinds)):
                for m in range(3):
                    local[m] = 0.0
                    for x in range(3):
                        local[m] += frames[i, x, m] * (atoms[j, kinds[k], x] - origin[x])
                _add_atom(local, tables, radial, angular, out[i, k * size : (k + 1) * size])


def local_density(atoms: AnyArray, frames: AnyArray, near: IntArray) -> Float32Array:
    """Return how dense the neighbours' atoms are around each residue, by distance and direction.

    The densities are taken around the place where a side chain would be, 2.4 A from CA towards CB, so that they show the
    room that it has and what it could touch.

    Parameters
    ----------
    atoms : float array [L, 5, 3]
        N, CA, C, O, CB in angstrom.
    frames : float array [L, 3, 3]
        Local frames, columns are the axes.
    near : int64 array [L, K]
        Neighbours of each residue.

    Returns
    -------
    float32 array [L, 180]
        For N, O and CB of the neighbours: five shells times the twelve corners of an icosahedron in the residue's frame.
    """
    out = np.zeros((len(near), DENSITY_FEATURES), np.float32)
    tables = (_SHELL_CENTRES, _SHELL_WIDTHS, _DIRECTIONS)
    kinds = np.array(DENSITY_ATOMS)
    _fill_density(
        np.ascontiguousarray(atoms, np.float64),
        np.ascontiguousarray(frames, np.float64),
        np.ascontiguousarray(near, np.int64),
        kinds,
        tables,
        out,
    )
    return out
