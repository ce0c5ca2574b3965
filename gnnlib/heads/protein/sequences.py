"""Sequences with known secondary structure: loaders of the public sets, and what must not be learned from.

- ``cb6133filtered`` and ``cb513`` (J. Zhou and O. Troyanskaya 2014): eight states, the second is a test set only.
- ``flip``: the secondary-structure set of FLIP (C. Dallago et al. 2021), which is that of NetSurfP-2, three states; its
  parts *train* and *validation*.

The files are not part of the library; they lie in ``protein/ss`` below the folder that ``GNNLIB_DATA`` names. Which
sequences have a relative in CB513 is written in ``datasets/protein-leaks`` and comes with the library.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.data.folder import datasets_folder
from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.protein.chains import chains_folder, state_indices
from gnnlib.heads.protein.residues import UNKNOWN, clean_sequence, sequence_indices

if TYPE_CHECKING:
    from pathlib import Path

    from gnnlib.typing import IntArray, PathLike

__all__ = ["SETS", "STATES3_OF_8", "LabelledSequence", "cb513_relatives", "held_out_relatives", "load_sequences"]

#: What `load_sequences` accepts.
SETS = ("cb6133filtered", "cb513", "flip")

#: Index in "HEC" of each of the eight states "HBEGITSC": H, G, I are helix; E, B strand; the rest coil.
STATES3_OF_8 = np.array([0, 1, 1, 0, 0, 2, 2, 2])

_INDEX3 = {"H": 0, "E": 1, "C": 2}
_LEAK_LISTS = {
    "cb6133filtered": "cb6133filtered_similar_to_our_val_test_ts50_heldout.txt",
    "flip": "flip_similar_to_our_val_test_ts50_heldout.txt",
}


@dataclass(frozen=True, eq=False, repr=False)
class LabelledSequence:
    """One sequence with its states.

    Attributes
    ----------
    name : str
        Identifier in its set.
    residues : int64 array [L]
        Index of each residue in `AMINO_ACIDS`, 20 for X.
    states8 : int64 array [L]
        Index of each state in "HBEGITSC", -1 unknown (everywhere in sets of three states).
    states3 : int64 array [L]
        Index of each state in "HEC", -1 unknown.
    """

    name: str
    residues: IntArray
    states8: IntArray
    states3: IntArray

    @classmethod
    def from_states8(cls, name: str, sequence: str, states8: str) -> LabelledSequence:
        """Build from letters; ``L`` stands for coil as in CB513, ``-`` for unknown.

        Examples
        --------
        >>> LabelledSequence.from_states8("toy", "MKV", "LG-").states3.tolist()
        [2, 0, -1]
        """
        states = state_indices(states8.replace("L", "C").replace("P", "C"))
        return cls(name, sequence_indices(sequence), states, np.where(states < 0, -1, STATES3_OF_8[states]))

    def __len__(self) -> int:
        return len(self.residues)

    def __repr__(self) -> str:
        return f"LabelledSequence({self.name!r}, num_residues={len(self)})"


def load_sequences(name: str, *, folder: PathLike | None = None) -> list[LabelledSequence]:
    """Load one of the public sets, in the order of its file.

    Parameters
    ----------
    name : str
        One of `SETS`. ``"flip"`` is its training and validation part, without the test part.
    folder : path-like, optional
        See `gnnlib.heads.protein.chains.chains_folder`.

    Raises
    ------
    InputError
        If there is no such set or its files are missing.
    FileFormatError
        If sequence and labels do not fit each other.
    """
    if name not in SETS:
        raise InputError(f"`name` must be one of {', '.join(SETS)}, found {name!r}")
    place = chains_folder(folder) / "ss"
    if name == "flip":
        return _read_flip(place)
    return _read_csv(_existing(place / f"{name}.csv.gz"))


def held_out_relatives(name: str, *, folder: PathLike | None = None) -> frozenset[str]:
    """Name the sequences of a set that resemble a chain of the splits val, test or ts50, which judge other models.

    Parameters
    ----------
    name : {"cb6133filtered", "flip"}
    folder : path-like, optional
        See `gnnlib.heads.protein.chains.chains_folder`.
    """
    if name not in _LEAK_LISTS:
        raise InputError(f"`name` must be one of {', '.join(_LEAK_LISTS)}, found {name!r}")
    path = _existing(chains_folder(folder) / "leak_lists" / _LEAK_LISTS[name])
    return frozenset(path.read_text(encoding="utf-8").split())


@cache
def cb513_relatives(name: str) -> frozenset[str]:
    """Name the sequences of a set that resemble a row of CB513, or the rows of CB513 that have such a relative.

    Parameters
    ----------
    name : {"cb6133filtered", "flip", "chains", "cb513"}

    Examples
    --------
    >>> len(cb513_relatives("cb513"))
    321
    """
    text = (datasets_folder() / "protein-leaks" / "similar_to_cb513.txt").read_text(encoding="utf-8")
    pairs = [line.split(" ", 1) for line in text.splitlines()]
    known = sorted({label for label, _ in pairs})
    if name not in known:
        raise InputError(f"`name` must be one of {', '.join(known)}, found {name!r}")
    return frozenset(entry for label, entry in pairs if label == name)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path.name} must lie in {path.parent}; name the folder of the data in GNNLIB_DATA")
    return path


def _read_csv(path: Path) -> list[LabelledSequence]:
    found = []
    with gzip.open(path, "rt", encoding="ascii", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            sequence, states = row["input"], row["expected"]
            if len(sequence) != len(states):
                raise FileFormatError.at(
                    path, number, f"needs a state for each of {len(sequence)} residues, found {len(states)}"
                )
            found.append(LabelledSequence.from_states8(row["id"], clean_sequence(sequence), states))
    return found


def _read_fasta(path: Path) -> dict[str, str]:
    entries: dict[str, list[str]] = {}
    title = ""
    with gzip.open(_existing(path), "rt", encoding="ascii") as file:
        for number, line in enumerate(file, start=1):
            if line.startswith(">"):
                title = line[1:].strip()
                entries[title] = []
            elif title:
                entries[title].append(line.strip())
            elif line.strip():
                raise FileFormatError.at(path, number, "a FASTA file must begin with '>'")
    return {name: "".join(parts) for name, parts in entries.items()}


def _read_flip(place: Path) -> list[LabelledSequence]:
    sequences, masks = _read_fasta(place / "flip_sequences.fasta.gz"), _read_fasta(place / "flip_mask.fasta.gz")
    path = place / "flip_sampled.fasta.gz"
    found = []
    for title, labels in _read_fasta(path).items():
        name = title.split()[0]
        if "SET=train" not in title:
            continue
        sequence, mask = sequences.get(name, ""), masks.get(name, "")
        if not len(sequence) == len(mask) == len(labels):
            raise FileFormatError.at(
                path, None, f"{name} has {len(sequence)} residues, {len(mask)} marks and {len(labels)} states"
            )
        states = np.array([_INDEX3[state] for state in labels])
        states[np.frombuffer(mask.encode(), np.uint8) == ord("0")] = -1
        unknown = np.full(len(states), -1)
        letters = "".join(letter if letter.isalpha() else UNKNOWN for letter in sequence)
        found.append(LabelledSequence(name, sequence_indices(clean_sequence(letters)), unknown, states))
    return found
