"""Geometry of chains: angles, ideal atoms, internal coordinates to atoms, local frames, superposition.

Everything here works on plain arrays in angstrom and degrees, trusts its input, and lets NaN (a missing atom) pass
through to NaN. The verb `torsions` for structures is in `gnnlib.heads.protein.torsions`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "BOND_ANGLES_DEG",
    "BOND_LENGTHS_ANGSTROM",
    "angle",
    "apply_transform",
    "backbone_torsions",
    "build_backbone",
    "ca_angles",
    "dihedral",
    "kabsch",
    "local_frames",
    "place_atom",
    "virtual_cb",
    "virtual_cb_of_trace",
]

BOND_LENGTHS_ANGSTROM = {"N-CA": 1.458, "CA-C": 1.525, "C-N": 1.329, "C-O": 1.231}
"""Ideal peptide bonds (Engh & Huber, Acta Cryst. A47, 392, 1991, table 3)."""

BOND_ANGLES_DEG = {"N-CA-C": 111.2, "CA-C-N": 116.2, "C-N-CA": 121.7, "CA-C-O": 120.8}
"""Ideal peptide angles (same table)."""

# Unit vector from CA to CB in the frame of the unit vectors n = CA->N and c = CA->C: angles N-CA-CB 110.4 and
# C-CA-CB 110.1 degrees, on the side of an L-amino acid.
_COS_N_CB, _COS_C_CB, _CA_CB_ANGSTROM = math.cos(math.radians(110.4)), math.cos(math.radians(110.1)), 1.530


def angle(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Angle at `b` of the points a-b-c.

    Parameters
    ----------
    a, b, c : array [..., 3]

    Returns
    -------
    array [...]
        Degrees in [0, 180]; NaN where a point is NaN.

    Examples
    --------
    >>> float(angle(np.array([1.0, 0, 0]), np.zeros(3), np.array([0, 2.0, 0])))
    90.0
    """
    u, v = a - b, c - b
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v), axis=-1), np.sum(u * v, axis=-1)))


def dihedral(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """Dihedral angle of the points a-b-c-d about the axis b-c.

    Parameters
    ----------
    a, b, c, d : array [..., 3]

    Returns
    -------
    array [...]
        Degrees in (-180, 180], 0 for cis, positive when d lies clockwise of a seen from b to c (IUPAC-IUB 1970);
        NaN where a point is NaN.

    Examples
    --------
    >>> a, b, c = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1.0]])
    >>> float(dihedral(a, b, c, np.array([0, 1.0, 1.0])))
    90.0
    """
    u, v, w = b - a, c - b, d - c
    first, second = np.cross(u, v), np.cross(v, w)
    length = np.linalg.norm(v, axis=-1)
    sine = length * np.sum(u * second, axis=-1)
    return np.degrees(np.arctan2(sine, np.sum(first * second, axis=-1)))


def backbone_torsions(coords: FloatArray, segment: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Torsions phi, psi and omega of a backbone.

    Parameters
    ----------
    coords : array [L, >=3, 3]
        N, CA, C first.
    segment : int array [L]
        Residues of one unbroken stretch share a number; no torsion crosses a break.

    Returns
    -------
    phi, psi, omega : array [L]
        Degrees. ``omega[i]`` is the torsion of the bond before residue i (CA, C of i-1 and N, CA of i). NaN at ends, at
        breaks and where an atom is missing.

    Examples
    --------
    >>> helix = build_backbone(np.full(6, -57.0), np.full(6, -47.0))
    >>> phi, psi, omega = backbone_torsions(helix, np.zeros(6, dtype=int))
    >>> phi.round(1).tolist()
    [nan, -57.0, -57.0, -57.0, -57.0, -57.0]
    """
    n, ca, c = coords[:, 0], coords[:, 1], coords[:, 2]
    phi, psi, omega = (np.full(len(coords), np.nan) for _ in range(3))
    joined = np.where(segment[1:] == segment[:-1], 1.0, np.nan)
    phi[1:] = dihedral(c[:-1], n[1:], ca[1:], c[1:]) * joined
    psi[:-1] = dihedral(n[:-1], ca[:-1], c[:-1], n[1:]) * joined
    omega[1:] = dihedral(ca[:-1], c[:-1], n[1:], ca[1:]) * joined
    return phi, psi, omega


def ca_angles(ca: FloatArray, segment: IntArray) -> tuple[FloatArray, FloatArray]:
    """Virtual bond angle and virtual dihedral of a C-alpha trace.

    Parameters
    ----------
    ca : array [L, 3]
    segment : int array [L]
        Residues of one unbroken stretch share a number.

    Returns
    -------
    kappa : array [L]
        Angle CA(i-1), CA(i), CA(i+1) in degrees, about 91 in a helix and 125 in a strand; NaN at ends and breaks.
    alpha : array [L]
        Dihedral CA(i-1), CA(i), CA(i+1), CA(i+2) in degrees, about 50 in a right-handed helix and -170 in a strand;
        NaN where it is not defined.

    Notes
    -----
    DSSP calls the bend over five residues kappa; this is the angle of three, the coordinate of Levitt (J. Mol. Biol.
    104, 59, 1976).

    Examples
    --------
    >>> helix = build_backbone(np.full(8, -57.0), np.full(8, -47.0))[:, 1]
    >>> kappa, alpha = ca_angles(helix, np.zeros(8, dtype=int))
    >>> bool(85 < kappa[3] < 95), bool(45 < alpha[3] < 55)
    (True, True)
    """
    kappa, alpha = np.full(len(ca), np.nan), np.full(len(ca), np.nan)
    if len(ca) > 2:
        joined = segment[2:] == segment[:-2]
        kappa[1:-1] = np.where(joined, angle(ca[:-2], ca[1:-1], ca[2:]), np.nan)
    if len(ca) > 3:
        joined = segment[3:] == segment[:-3]
        alpha[1:-2] = np.where(joined, dihedral(ca[:-3], ca[1:-2], ca[2:-1], ca[3:]), np.nan)
    return kappa, alpha


def place_atom(
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    bond_angstrom: float,
    angle_deg: float,
    dihedral_deg: FloatArray | float,
) -> FloatArray:
    """Place atom d from its internal coordinates with respect to a, b, c.

    Parameters
    ----------
    a, b, c : array [..., 3]
    bond_angstrom : float
        Length of c-d.
    angle_deg : float
        Angle b-c-d.
    dihedral_deg : array [...] or float
        Dihedral a-b-c-d.

    Returns
    -------
    array [..., 3]

    References
    ----------
    J. Parsons et al., Practical conversion from torsion space to Cartesian space for in silico protein synthesis, J.
    Comput. Chem. 26, 1063 (2005), the natural extension reference frame.

    Examples
    --------
    >>> d = place_atom(np.array([1.0, 0, 0]), np.zeros(3), np.array([0, 0, 1.0]), 2.0, 90.0, 180.0)
    >>> (d.round(6) + 0.0).tolist()
    [-2.0, 0.0, 1.0]
    """
    axis = c - b
    axis = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    normal = np.cross(b - a, axis)
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    side = np.cross(normal, axis)
    theta, chi = math.radians(angle_deg), np.radians(np.asarray(dihedral_deg, dtype=np.float64))[..., None]
    return c + bond_angstrom * (-math.cos(theta) * axis + math.sin(theta) * (np.cos(chi) * side + np.sin(chi) * normal))


@nb.njit(cache=True)
def _extend(atoms: FloatArray, lengths: FloatArray, angles: FloatArray, torsions: FloatArray) -> None:
    """Place atoms 3.. of `atoms` one after the other; row m of the others belongs to atom m (radians)."""
    for m in range(3, len(atoms)):
        a, b, c = atoms[m - 3], atoms[m - 2], atoms[m - 1]
        axis = c - b
        axis = axis / math.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
        first = b - a
        normal = np.array(
            [
                first[1] * axis[2] - first[2] * axis[1],
                first[2] * axis[0] - first[0] * axis[2],
                first[0] * axis[1] - first[1] * axis[0],
            ]
        )
        normal = normal / math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        side = np.array(
            [
                normal[1] * axis[2] - normal[2] * axis[1],
                normal[2] * axis[0] - normal[0] * axis[2],
                normal[0] * axis[1] - normal[1] * axis[0],
            ]
        )
        along, across = -math.cos(angles[m]), math.sin(angles[m])
        chi = torsions[m]
        atoms[m] = c + lengths[m] * (along * axis + across * (math.cos(chi) * side + math.sin(chi) * normal))


def build_backbone(phi: FloatArray, psi: FloatArray, omega: FloatArray | float = 180.0) -> FloatArray:
    """Build N, CA, C, O and CB from backbone torsions with ideal bonds and angles.

    Parameters
    ----------
    phi, psi : array [L]
        Degrees; ``phi[0]`` has no effect, ``psi[L-1]`` places only the last O.
    omega : array [L] or float
        ``omega[i]`` belongs to the bond before residue i, as in `backbone_torsions`; default trans.

    Returns
    -------
    array [L, 5, 3]
        N, CA, C, O, CB in angstrom; the first N lies at the origin.

    Notes
    -----
    Atom after atom by the natural extension reference frame of Parsons et al. (2005); the first call compiles.

    Examples
    --------
    >>> strand = build_backbone(np.full(5, -120.0), np.full(5, 130.0))
    >>> strand.shape, round(float(np.linalg.norm(strand[1, 1] - strand[0, 1])), 1)
    ((5, 5, 3), 3.8)
    """
    count = len(phi)
    omegas = np.broadcast_to(np.asarray(omega, dtype=np.float64), (count,))
    length, theta = BOND_LENGTHS_ANGSTROM, {k: math.radians(v) for k, v in BOND_ANGLES_DEG.items()}
    atoms = np.zeros((3 * count, 3))
    atoms[1, 0] = length["N-CA"]
    turn = theta["N-CA-C"]
    atoms[2] = [length["N-CA"] - length["CA-C"] * math.cos(turn), length["CA-C"] * math.sin(turn), 0.0]
    lengths = np.tile([length["C-N"], length["N-CA"], length["CA-C"]], count)
    angles = np.tile([theta["CA-C-N"], theta["C-N-CA"], theta["N-CA-C"]], count)
    torsions = np.radians(np.stack([np.concatenate([[0.0], psi[:-1]]), omegas, phi], axis=1)).ravel()
    _extend(atoms, lengths, angles, torsions)
    chain = atoms.reshape(count, 3, 3)
    n, ca, c = chain[:, 0], chain[:, 1], chain[:, 2]
    oxygen = place_atom(n, ca, c, length["C-O"], BOND_ANGLES_DEG["CA-C-O"], np.asarray(psi, dtype=np.float64) + 180.0)
    return np.concatenate([chain, oxygen[:, None], virtual_cb(n, ca, c)[:, None]], axis=1)


def virtual_cb(n: FloatArray, ca: FloatArray, c: FloatArray) -> FloatArray:
    """C-beta of an ideal L-amino acid.

    Parameters
    ----------
    n, ca, c : array [..., 3]

    Returns
    -------
    array [..., 3]
        1.530 A from CA, at 110.4 degrees to N and 110.1 to C (Engh & Huber 1991).

    Examples
    --------
    >>> backbone = build_backbone(np.full(3, -60.0), np.full(3, -45.0))
    >>> cb = virtual_cb(backbone[:, 0], backbone[:, 1], backbone[:, 2])
    >>> np.linalg.norm(cb - backbone[:, 1], axis=1).round(3).tolist()
    [1.53, 1.53, 1.53]
    """
    u, v = n - ca, c - ca
    u = u / np.linalg.norm(u, axis=-1, keepdims=True)
    v = v / np.linalg.norm(v, axis=-1, keepdims=True)
    cosine = np.sum(u * v, axis=-1, keepdims=True)
    up = np.cross(u, v)
    sine_squared = 1.0 - cosine**2
    along_u = (_COS_N_CB - _COS_C_CB * cosine) / sine_squared
    along_v = (_COS_C_CB - _COS_N_CB * cosine) / sine_squared
    in_plane = along_u**2 + along_v**2 + 2.0 * along_u * along_v * cosine
    height = np.sqrt(np.maximum(0.0, 1.0 - in_plane) / sine_squared)
    return ca + _CA_CB_ANGSTROM * (along_u * u + along_v * v + height * up)


def virtual_cb_of_trace(ca: FloatArray) -> FloatArray:
    """C-beta of L-amino acids from a CA trace alone.

    1.53 A off the CA, between the outward bisector of the two neighbours and the normal of their plane (median error
    0.38 A on chains of the split ``val``); poor at the two ends.

    Parameters
    ----------
    ca : array [L, 3]

    Returns
    -------
    array [L, 3]

    Examples
    --------
    >>> backbone = build_backbone(np.full(5, -60.0), np.full(5, -45.0))
    >>> off = virtual_cb_of_trace(backbone[:, 1]) - backbone[:, 4]
    >>> np.linalg.norm(off[1:-1], axis=1).round(2).tolist()
    [0.56, 0.56, 0.56]
    """
    before, after = np.vstack([ca[:1], ca[:-1]]), np.vstack([ca[1:], ca[-1:]])
    outward = 2 * ca - before - after
    normal = np.cross(after - ca, ca - before)
    size = np.linalg.norm(outward, axis=1, keepdims=True), np.linalg.norm(normal, axis=1, keepdims=True)
    direction = np.sqrt(1 / 3) * normal / np.maximum(size[1], 1e-6) + np.sqrt(2 / 3) * outward / np.maximum(
        size[0], 1e-6
    )
    return np.asarray(ca + _CA_CB_ANGSTROM * direction)


def local_frames(coords: FloatArray) -> FloatArray:
    """Right-handed orthonormal frames that move with the chain.

    Parameters
    ----------
    coords : array [L, >=3, 3] or [L, 3]
        N, CA, C (first axis CA->C, second in the plane towards N, as in AlphaFold 2, algorithm 21), or CA only (first
        axis from CA(i-1) to CA(i+1), second towards the outside of the bend; at the ends the neighbour's frame).

    Returns
    -------
    array [L, 3, 3]
        Column m is axis m, so ``frames[i].T @ (x - ca[i])`` reads x in the frame of residue i. NaN where atoms are
        missing or on one line; NaN everywhere for fewer than three CA.

    Examples
    --------
    >>> frames = local_frames(build_backbone(np.full(4, -60.0), np.full(4, -45.0)))
    >>> bool(np.allclose(frames.transpose(0, 2, 1) @ frames, np.eye(3)))
    True
    """
    if coords.ndim == 3:
        first, towards = coords[:, 2] - coords[:, 1], coords[:, 0] - coords[:, 1]
    elif len(coords) < 3:
        return np.full((len(coords), 3, 3), np.nan)
    else:
        place = np.clip(np.arange(len(coords)), 1, len(coords) - 2)
        first = coords[place + 1] - coords[place - 1]
        towards = 2.0 * coords[place] - coords[place + 1] - coords[place - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        x = first / np.linalg.norm(first, axis=-1, keepdims=True)
        y = towards - np.sum(towards * x, axis=-1, keepdims=True) * x
        y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def kabsch(moving: FloatArray, target: FloatArray, mask: BoolArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Rotation and translation that lay one set of points on another with least squares.

    Parameters
    ----------
    moving, target : array [..., L, 3]
        Leading axes are batch axes.
    mask : bool array [..., L], optional
        Points that count; default all. At least one must.

    Returns
    -------
    rotation : array [..., 3, 3]
        Proper (determinant 1), also for mirror images and flat sets.
    translation : array [..., 3]
        ``moving @ rotation.swapaxes(-1, -2) + translation[..., None, :]`` lies on `target`.

    References
    ----------
    W. Kabsch, Acta Cryst. A32, 922 (1976) and A34, 827 (1978), through the singular value decomposition.

    Examples
    --------
    >>> square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    >>> rotation, translation = kabsch(square, square + 5.0)
    >>> bool(np.allclose(rotation, np.eye(3))), translation.round(6).tolist()
    (True, [5.0, 5.0, 5.0])
    """
    weight = np.ones(moving.shape[:-1]) if mask is None else np.asarray(mask, dtype=np.float64)
    weight = weight[..., None]
    total = weight.sum(axis=-2)
    kept = weight > 0.0
    a, b = np.where(kept, moving, 0.0), np.where(kept, target, 0.0)
    centre_a, centre_b = a.sum(axis=-2) / total, b.sum(axis=-2) / total
    covariance = ((a - centre_a[..., None, :]) * weight).swapaxes(-1, -2) @ (b - centre_b[..., None, :])
    u, _, vt = np.linalg.svd(covariance)
    sign = np.ones(covariance.shape[:-1])
    sign[..., 2] = np.where(np.linalg.det(u @ vt) < 0.0, -1.0, 1.0)
    rotation = (vt.swapaxes(-1, -2) * sign[..., None, :]) @ u.swapaxes(-1, -2)
    return rotation, centre_b - np.einsum("...ij,...j->...i", rotation, centre_a)


def apply_transform(points: FloatArray, rotation: FloatArray, translation: FloatArray) -> FloatArray:
    """Rotate, then shift, points ``[..., L, 3]`` by what `kabsch` returned.

    Examples
    --------
    >>> apply_transform(np.array([[1.0, 0, 0]]), np.eye(3), np.array([0.0, 0, 2])).tolist()
    [[1.0, 0.0, 2.0]]
    """
    return points @ rotation.swapaxes(-1, -2) + translation[..., None, :]
