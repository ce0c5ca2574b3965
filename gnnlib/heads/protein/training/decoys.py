"""Wrong models with exact labels: what the judge of models learns from and is tested on.

Six kinds, after how they come about:

==  ===============  ==============================================================================================
1   `torsion_decoy`  a few torsions of the backbone are turned, or short stretches about their end points (crankshaft)
2   `map_decoy`      rebuilt from a noisy distance map
3   `motion_decoy`   moved along the softest modes of an elastic network, or by noise that is smooth along the chain
4   `threaded_decoy` the sequence on another fold
5   `load_conformers`  unbound forms of real proteins, the bound form being the native (no generator: real structures)
6   `predicted_decoy`  rebuilt from a predicted distance map
==  ===============  ==============================================================================================

All are C-alpha traces. Labels are lDDT per residue and GDT_TS against the native, computed, never estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from scipy.linalg import eigh
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist

from gnnlib.errors import InputError
from gnnlib.heads.protein.chains import chains_folder
from gnnlib.heads.protein.geometry import kabsch
from gnnlib.heads.protein.metrics import gdt_ts, lddt_per_residue

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, PathLike

__all__ = [
    "Decoy",
    "DecoyKind",
    "label_decoy",
    "load_conformers",
    "map_decoy",
    "motion_decoy",
    "predicted_decoy",
    "restore_steps",
    "soft_modes",
    "threaded_decoy",
    "torsion_decoy",
]

DecoyKind = Literal["native", "torsion", "map", "motion", "threaded", "conformer", "predicted"]

_NUM_MODES = 24


@dataclass(frozen=True, eq=False, repr=False)
class Decoy:
    """A model of a protein with what is true of it.

    Attributes
    ----------
    name : str
        Of the native and of the kind.
    kind : str
        One of `DecoyKind`.
    sequence : str of L letters
    ca : float64 array [L, 3]
        The model's CA positions in angstrom.
    lddt : float64 array [L]
        lDDT (CA) of each residue against the native, in [0, 1]; NaN where the native has no neighbour within 15 A.
    gdt_ts : float
        In [0, 1].
    """

    name: str
    kind: DecoyKind
    sequence: str
    ca: FloatArray
    lddt: FloatArray
    gdt_ts: float

    @property
    def mean_lddt(self) -> float:
        """Mean lDDT of the residues."""
        return float(np.nanmean(self.lddt))

    def __repr__(self) -> str:
        return f"Decoy({self.name!r}, kind={self.kind!r}, mean_lddt={self.mean_lddt:.3f}, gdt_ts={self.gdt_ts:.3f})"


def label_decoy(name: str, kind: DecoyKind, sequence: str, ca: FloatArray, native_ca: FloatArray) -> Decoy:
    """Compare a model with its native, residue by residue.

    Parameters
    ----------
    name : str
    kind : str
        One of `DecoyKind`.
    sequence : str of L letters
    ca, native_ca : array [L, 3]
        CA positions in angstrom.

    Raises
    ------
    InputError
        If lengths differ.

    Examples
    --------
    >>> native = np.cumsum(np.tile([[2.2, 2.2, 0], [2.2, -2.2, 2.0]], (5, 1)), axis=0)
    >>> label_decoy("toy", "native", "A" * 10, native + 3.0, native)
    Decoy('toy', kind='native', mean_lddt=1.000, gdt_ts=1.000)
    """
    if not len(sequence) == len(ca) == len(native_ca):
        raise InputError(
            f"sequence, model and native must have one length, found {len(sequence)}, {len(ca)} and {len(native_ca)}"
        )
    return Decoy(name, kind, sequence, ca, lddt_per_residue(ca, native_ca), gdt_ts(ca, native_ca))


def restore_steps(ca: FloatArray, steps_angstrom: FloatArray, *, rounds: int = 60) -> FloatArray:
    """Move the atoms of a trace a little until neighbours are as far apart as asked for.

    Parameters
    ----------
    ca : array [L, 3]
    steps_angstrom : array [L - 1]
        Wanted distances along the chain.
    rounds : int, default 60
        Corrections of all even and all odd steps (J.-P. Ryckaert et al. 1977, J. Comput. Phys. 23, 327, SHAKE).

    Examples
    --------
    >>> bent = restore_steps(np.array([[0.0, 0, 0], [5, 0, 0], [7, 0, 0]]), np.array([3.8, 3.8]))
    >>> np.linalg.norm(np.diff(bent, axis=0), axis=1).round(2).tolist()
    [3.8, 3.8]
    """
    out = np.array(ca, dtype=np.float64)
    for _ in range(rounds):
        for first in (0, 1):
            left, right = out[first:-1:2], out[first + 1 :: 2]
            gap = right - left
            length = np.maximum(np.linalg.norm(gap, axis=1), 1e-6)
            move = (0.5 * (1.0 - steps_angstrom[first::2] / length))[:, None] * gap
            left += move
            right -= move
    return out


def _steps(ca: FloatArray) -> FloatArray:
    return np.linalg.norm(np.diff(ca, axis=0), axis=1)


def _turn_about(points: FloatArray, start: FloatArray, stop: FloatArray, angle_rad: float) -> FloatArray:
    """Turn points about the axis from `start` to `stop` (Rodrigues' formula)."""
    axis = (stop - start) / max(float(np.linalg.norm(stop - start)), 1e-6)
    arm = points - start
    sine, cosine = np.sin(angle_rad), np.cos(angle_rad)
    along = (arm @ axis)[:, None] * axis
    return start + cosine * arm + sine * np.cross(axis, arm) + (1.0 - cosine) * along


def torsion_decoy(
    backbone: FloatArray,
    rng: np.random.Generator,
    *,
    share: float = 0.05,
    spread_deg: float = 20.0,
    local: bool = False,
) -> FloatArray:
    """Turn torsions of a share of the residues (kind 1).

    Parameters
    ----------
    backbone : array [L, 3, 3]
        N, CA, C of one chain.
    rng : numpy Generator
    share : float in (0, 1], default 0.05
        Residues that are touched, at least one.
    spread_deg : float, default 20
        Standard deviation of each turn.
    local : bool, default False
        False: phi and psi change, and the rest of the chain swings along. True: stretches of three to twelve residues
        turn about the line through their end CA, and nothing else moves.

    Returns
    -------
    array [L, 3]
        CA positions.
    """
    count = len(backbone)
    number = max(1, round(share * count))
    if local:
        ca = backbone[:, 1].copy()
        for _ in range(number):
            first = int(rng.integers(0, max(1, count - 3)))
            last = min(count - 1, first + int(rng.integers(3, 13)))
            angle = np.radians(spread_deg) * rng.standard_normal()
            ca[first + 1 : last] = _turn_about(ca[first + 1 : last], ca[first], ca[last], angle)
        return ca
    atoms = backbone.reshape(-1, 3).copy()
    for residue in np.sort(rng.choice(count, min(number, count), replace=False)).tolist():
        for start in (3 * residue, 3 * residue + 1):  # N-CA is phi, CA-C is psi
            angle = np.radians(spread_deg) * rng.standard_normal()
            atoms[start + 2 :] = _turn_about(atoms[start + 2 :], atoms[start], atoms[start + 1], angle)
    return atoms[1::3].copy()


def map_decoy(ca: FloatArray, rng: np.random.Generator, *, noise_per_10: float = 1.0) -> FloatArray:
    """Rebuild a trace from its distance map with noise (kind 2).

    Parameters
    ----------
    ca : array [L, 3]
        CA positions of one unbroken chain.
    rng : numpy Generator
    noise_per_10 : float, default 1
        Standard deviation of the noise, in angstrom per 10 A of distance.

    Returns
    -------
    array [L, 3]
        By classical scaling (W. S. Torgerson 1952, Psychometrika 17, 401), the steps along the chain restored, in the
        native's hand.
    """
    distance = cdist(ca, ca)
    noise = np.triu(rng.standard_normal(distance.shape) * distance * noise_per_10 / 10.0, 1)
    found = _embed(np.maximum(distance + noise + noise.T, 0.0))
    found = _same_hand(found, ca)
    return restore_steps(found, _steps(ca))


def _embed(distance: FloatArray) -> FloatArray:
    squared = distance**2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = eigh(-0.5 * centred, subset_by_index=[len(distance) - 3, len(distance) - 1])
    return cast("FloatArray", vectors * np.sqrt(np.maximum(values, 0.0)))


def _same_hand(model: FloatArray, native: FloatArray) -> FloatArray:
    """Return the mirror image that lies nearer to the native."""

    def off(points: FloatArray) -> float:
        rotation, translation = kabsch(points, native)
        return float(np.square(points @ rotation.T + translation - native).sum())

    return min(model, -model, key=off)


def soft_modes(ca: FloatArray, count: int = _NUM_MODES) -> FloatArray:
    """Return the softest motions of an elastic network, each scaled by its thermal amplitude.

    Parameters
    ----------
    ca : array [L, 3], L >= 4
    count : int, default 24

    Returns
    -------
    array [K, L, 3]
        Parameter-free network: springs of strength 1 / distance^2 (L. Yang, G. Song and R. L. Jernigan 2009, PNAS 106,
        12347).
    """
    length = len(ca)
    gap = ca[None] - ca[:, None]
    squared = np.einsum("ijk,ijk->ij", gap, gap) + np.eye(length)
    blocks = -np.einsum("ijk,ijm,ij->ijkm", gap, gap, squared**-2.0)
    index = np.arange(length)
    blocks[index, index] = 0.0
    blocks[index, index] = -blocks.sum(axis=1)
    hessian = blocks.transpose(0, 2, 1, 3).reshape(3 * length, 3 * length)
    last = min(5 + count, 3 * length - 1)
    values, vectors = eigh(hessian, subset_by_index=[6, last])
    return cast("FloatArray", (vectors / np.sqrt(np.maximum(values, 1e-8))).T.reshape(-1, length, 3))


def motion_decoy(
    ca: FloatArray,
    rng: np.random.Generator,
    *,
    rmsd_angstrom: float = 1.0,
    modes: FloatArray | None = None,
    smooth_residues: float = 3.0,
) -> FloatArray:
    """Move a trace as proteins move: much where they are soft (kind 3).

    Parameters
    ----------
    ca : array [L, 3]
    rng : numpy Generator
    rmsd_angstrom : float, default 1
        Root mean square of the displacements before steps along the chain are restored.
    modes : array [K, L, 3], optional
        Of `soft_modes`: a random sum of them is taken. Default: noise that is smooth along the chain, larger where few
        residues are near (C.-P. Lin et al. 2008, Proteins 72, 929, weighted contact number).
    smooth_residues : float, default 3
        Width of the smoothing.

    Returns
    -------
    array [L, 3]
    """
    if modes is not None:
        move = np.tensordot(rng.standard_normal(len(modes)), modes, axes=1)
    else:
        apart = cdist(ca, ca, "sqeuclidean") + np.eye(len(ca))
        softness = 1.0 / (apart**-1.0).sum(axis=1)
        noise = rng.standard_normal(ca.shape)
        move = gaussian_filter1d(noise, smooth_residues, axis=0, mode="nearest")
        move *= (softness / softness.mean())[:, None] ** rng.uniform(0.5, 2.5)
    size = np.sqrt(np.mean(np.sum(move**2, axis=1)))
    return restore_steps(ca + move * (rmsd_angstrom / max(float(size), 1e-9)), _steps(ca))


def threaded_decoy(length: int, template_ca: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Take a stretch of another fold, for a sequence that does not belong there (kind 4).

    Parameters
    ----------
    length : int
        Residues of the sequence.
    template_ca : array [M, 3], M >= length
    rng : numpy Generator

    Raises
    ------
    InputError
        If the template is too short.
    """
    if len(template_ca) < length:
        raise InputError(f"the template must have at least {length} residues, found {len(template_ca)}")
    start = int(rng.integers(0, len(template_ca) - length + 1))
    return template_ca[start : start + length].copy()


def load_conformers(folder: PathLike | None = None) -> list[Decoy]:
    """Load the pairs of unbound and bound forms from Docking Benchmark 5.5 (kind 5): the unbound form is the model.

    Parameters
    ----------
    folder : path-like, optional
        See `gnnlib.heads.protein.chains.chains_folder`.

    Raises
    ------
    InputError
        If the files are missing.
    """
    path = chains_folder(folder) / "decoys" / "db5_bound_unbound_ca.npz"
    if not path.is_file():
        raise InputError(f"{path} must exist; name the folder of the data in GNNLIB_DATA")
    with np.load(path) as archive:
        columns = {key: archive[key] for key in archive.files}
    letters = columns["seq"].tobytes().decode("ascii")
    pairs = []
    for number, name in enumerate(columns["unbound_id"].tolist()):
        rows = slice(*columns["offsets"][number : number + 2].tolist())
        model, native = (columns[key][rows].astype(np.float64) for key in ("unbound_ca", "bound_ca"))
        pairs.append(label_decoy(name, "conformer", letters[rows], model, native))
    return pairs


def predicted_decoy(distances: FloatArray, *, seed: int = 0) -> FloatArray:
    """Rebuild a trace from a predicted distance map (kind 6).

    Parameters
    ----------
    distances : array [L, L]
        In angstrom.
    seed : int, default 0
        See `gnnlib.heads.protein.decode.reconstruct`.
    """
    from gnnlib.heads.protein.decode import reconstruct  # brings an optimiser along

    return np.asarray(reconstruct(distances, seed=seed).coords, dtype=np.float64)
