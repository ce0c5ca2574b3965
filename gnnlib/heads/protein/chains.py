"""The chains that this head's models learn from: loader of two distilled files with their splits.

``chains_backbone.npz`` holds N, CA, C, O, CB, ``chains_ca_only.npz`` CA alone; both come with DSSP labels and with splits
that were made by clusters of 30 % sequence identity, so that no chain has a relative on another side. The files are not
part of the library; the folder that ``GNNLIB_DATA`` names has them below ``protein``.

The splits: ``train`` for learning, ``val`` for choices, ``test`` and ``ts50`` for reports only. Chains too close to an
evaluation chain are ``excluded`` and cannot be loaded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import IntArray, PathLike

__all__ = ["SPLITS", "STATES8", "TrainingChain", "chains_folder", "load_chains", "state_indices"]

#: What `load_chains` accepts.
SPLITS = ("train", "val", "test", "ts50")
#: Letters of the eight states of DSSP in the order of their indices.
STATES8 = "HBEGITSC"

_FILES = {"backbone": "chains_backbone.npz", "ca": "chains_ca_only.npz"}
_VARIABLE = "GNNLIB_DATA"


@dataclass(frozen=True, eq=False, repr=False)
class TrainingChain:
    """One chain with its labels.

    Attributes
    ----------
    name : str
        Identifier in the data, for instance ``"1or4A:A"``.
    source : str
        Collection that the chain comes from.
    split : str
        One of `SPLITS`.
    cluster : int
        Number of its cluster at 30 % identity; all chains of a cluster are on one side.
    sequence : str of L letters
        One-letter codes, X unknown.
    states8 : str of L letters
        DSSP states, letters of `STATES8`; ``-`` where the label is unknown. Polyproline helix counts as coil.
    coords_angstrom : float32 array [L, 5, 3]
        N, CA, C, O, CB; NaN where missing (everything but CA in the CA-only file).
    residue_numbers : int64 array [L]
    o_rebuilt : bool
        Whether O was rebuilt from the peptide geometry and CB is ideal; such labels are approximate.
    resolution_angstrom : float
        Of the experiment; NaN when unknown.
    """

    name: str
    source: str
    split: str
    cluster: int
    sequence: str
    states8: str
    coords_angstrom: np.ndarray[Any, np.dtype[np.float32]]
    residue_numbers: IntArray
    o_rebuilt: bool
    resolution_angstrom: float

    @property
    def num_residues(self) -> int:
        """Number of residues L."""
        return len(self.sequence)

    @property
    def ca(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Positions of the CA atoms [L, 3] in angstrom."""
        return self.coords_angstrom[:, 1]

    def structure(self) -> Structure:
        """Return the chain as a `Structure`."""
        from gnnlib.heads.protein.problem import Structure

        return Structure.from_arrays(
            self.coords_angstrom, self.sequence, name=self.name, residue_numbers=self.residue_numbers
        )

    def __repr__(self) -> str:
        return f"TrainingChain({self.name!r}, num_residues={self.num_residues}, split={self.split!r})"


def state_indices(states8: str) -> IntArray:
    """Return the index of each letter in `STATES8`, -1 for an unknown label.

    Examples
    --------
    >>> state_indices("HEC-").tolist()
    [0, 2, 7, -1]
    """
    return _INDEX_OF_BYTE[np.frombuffer(states8.encode("ascii"), np.uint8)]


def chains_folder(folder: PathLike | None = None) -> Path:
    """Return the folder of the chain files.

    Parameters
    ----------
    folder : path-like, optional
        Default: ``protein`` below what ``GNNLIB_DATA`` names, or without that variable below ``../shared/data`` beside
        the checkout.

    Raises
    ------
    InputError
        If a file is missing there.
    """
    if folder is None:
        mirror = os.environ.get(_VARIABLE) or Path(__file__).resolve().parents[4] / "shared" / "data"
        folder = Path(mirror) / "protein"
    found = Path(folder)
    missing = [name for name in _FILES.values() if not (found / name).is_file()]
    if missing:
        raise InputError(f"{', '.join(missing)} must lie in {found}; name the folder of the data in {_VARIABLE}")
    return found


def load_chains(
    split: str | Sequence[str],
    *,
    atoms: Literal["backbone", "ca"] = "backbone",
    folder: PathLike | None = None,
) -> list[TrainingChain]:
    """Load the chains of one or more splits, in the order of the file.

    Parameters
    ----------
    split : str or sequence of str
        Of `SPLITS`.
    atoms : {"backbone", "ca"}, default "backbone"
        Which file: chains with backbone atoms, or further ones with CA alone (these have no ``ts50``).
    folder : path-like, optional
        See `chains_folder`.

    Raises
    ------
    InputError
        If a split is unknown or the files are missing.
    """
    wanted = (split,) if isinstance(split, str) else tuple(split)
    unknown = [name for name in wanted if name not in SPLITS]
    if unknown or not wanted:
        raise InputError(f"`split` must name splits among {', '.join(SPLITS)}, found {split!r}")
    if atoms not in _FILES:
        raise InputError(f"`atoms` must be one of {', '.join(_FILES)}, found {atoms!r}")
    with np.load(chains_folder(folder) / _FILES[atoms]) as archive:
        columns = {key: archive[key] for key in archive.files}
    coords = np.full((len(columns["seq"]), 5, 3), np.nan, np.float32)
    coords[:, (1,) if atoms == "ca" else slice(None)] = columns["xyz"]
    states = columns["ss8"].tobytes().decode("ascii").replace("P", "C")
    letters = columns["seq"].tobytes().decode("ascii")
    chosen = np.flatnonzero(np.isin(columns["split"], wanted))
    return [_chain(int(i), columns, letters, states, coords) for i in chosen]


def _chain(
    number: int, columns: dict[str, np.ndarray[Any, Any]], letters: str, states: str, coords: np.ndarray[Any, Any]
) -> TrainingChain:
    first, last = columns["offsets"][number : number + 2].tolist()
    resolution = float(columns["resolution"][number])
    return TrainingChain(
        name=str(columns["ids"][number]),
        source=str(columns["source"][number]),
        split=str(columns["split"][number]),
        cluster=int(columns["cluster30"][number]),
        sequence=letters[first:last],
        states8=states[first:last],
        coords_angstrom=coords[first:last],
        residue_numbers=columns["resnum"][first:last].astype(np.int64),
        o_rebuilt=bool(columns["o_rebuilt"][number]),
        resolution_angstrom=resolution or float("nan"),
    )


_INDEX_OF_BYTE = np.full(256, -1, dtype=np.int64)
_INDEX_OF_BYTE[np.frombuffer(STATES8.encode(), dtype=np.uint8)] = np.arange(len(STATES8))
