"""What a prediction from the sequence must beat: the majority, a look-up of windows, and pairs ranked without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.protein.sequences import LabelledSequence
    from gnnlib.typing import AnyArray, FloatArray, IntArray

__all__ = ["MajorityStates", "WindowLookup", "hydrophobic_contacts", "separation_contacts"]

_OUTSIDE = 21
# Kyte and Doolittle 1982, table 2, in the order of AMINO_ACIDS; X counts as neutral
_HYDROPATHY = np.array(
    [
        1.8,
        2.5,
        -3.5,
        -3.5,
        2.8,
        -0.4,
        -3.2,
        4.5,
        -3.9,
        3.8,
        1.9,
        -3.5,
        -1.6,
        -3.5,
        -4.5,
        -0.8,
        -0.7,
        4.2,
        -0.9,
        -1.3,
        0.0,
    ]
)


@dataclass(frozen=True)
class MajorityStates:
    """The most frequent state of the training residues, for every residue.

    Attributes
    ----------
    state8 : int
        Index in "HBEGITSC".

    Examples
    --------
    >>> from gnnlib.heads.protein.sequences import LabelledSequence
    >>> chain = LabelledSequence.from_states8("toy", "MKVA", "HHEL")
    >>> MajorityStates.fit([chain]).predict(np.array([0, 1])).tolist()
    [0, 0]
    """

    state8: int

    @classmethod
    def fit(cls, chains: Sequence[LabelledSequence]) -> MajorityStates:
        """Count the states of `chains`."""
        states = np.concatenate([chain.states8 for chain in chains])
        return cls(int(np.bincount(states[states >= 0], minlength=8).argmax()))

    def predict(self, residues: IntArray) -> IntArray:
        """Return a state for every residue [L]."""
        return np.full(len(residues), self.state8)


class WindowLookup:
    """k nearest windows: the states that the most similar windows of the training set have at their middle.

    Similarity is the number of equal letters, those near the middle counting more. Exact search by a product of matrices;
    the training set is thinned to keep it quick.

    Parameters
    ----------
    chains : sequence of LabelledSequence
        With eight states.
    half_window : int, default 6
        Letters on each side.
    neighbours : int, default 25
        Windows that vote.
    max_windows : int, default 60000
        Training windows kept, evenly spread.

    Raises
    ------
    InputError
        If no residue has a label.

    Examples
    --------
    >>> from gnnlib.heads.protein.sequences import LabelledSequence
    >>> chain = LabelledSequence.from_states8("toy", "MKVLAEGW", "LHHHEEEL")
    >>> WindowLookup([chain], neighbours=1).predict(chain.residues).tolist() == chain.states8.tolist()
    True
    """

    def __init__(
        self,
        chains: Sequence[LabelledSequence],
        *,
        half_window: int = 6,
        neighbours: int = 25,
        max_windows: int = 60_000,
    ) -> None:
        self.half_window, self.neighbours = half_window, neighbours
        windows = np.concatenate([self._windows(chain.residues) for chain in chains])
        states = np.concatenate([chain.states8 for chain in chains])
        known = np.flatnonzero(states >= 0)
        if not len(known):
            raise InputError("a WindowLookup needs at least one residue with one of eight states")
        known = known[:: max(1, -(-len(known) // max_windows))]
        self._table, self._states = self._encode(windows[known]), states[known]

    def _windows(self, residues: IntArray) -> IntArray:
        padded = np.pad(residues, self.half_window, constant_values=_OUTSIDE)
        return np.lib.stride_tricks.sliding_window_view(padded, 2 * self.half_window + 1)

    def _encode(self, windows: IntArray) -> AnyArray:
        width = windows.shape[1]
        weight = 1.0 / (1.0 + 0.25 * np.abs(np.arange(width) - self.half_window))
        code = np.zeros((len(windows), width, _OUTSIDE + 1), dtype=np.float32)
        np.put_along_axis(code, windows[:, :, None], np.sqrt(weight)[None, :, None].astype(np.float32), axis=2)
        return code[:, :, :20].reshape(len(windows), -1)  # X and the outside are like nothing

    def predict(self, residues: IntArray) -> IntArray:
        """Return the index in "HBEGITSC" of the state that most neighbours have, for every residue [L]."""
        similarity = self._encode(self._windows(residues)) @ self._table.T
        count = min(self.neighbours, self._table.shape[0])
        nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        votes = np.zeros((len(residues), 8))
        strength = np.take_along_axis(similarity, nearest, axis=1) ** 3 + 1e-9
        for state in range(8):
            votes[:, state] = (strength * (self._states[nearest] == state)).sum(axis=1)
        return votes.argmax(axis=1)


def separation_contacts(residues: IntArray) -> FloatArray:
    """Rank pairs by their separation along the chain alone: the nearer the likelier [L, L].

    Examples
    --------
    >>> separation_contacts(np.array([0, 1, 2]))[0].tolist()
    [0.0, -1.0, -2.0]
    """
    place = np.arange(len(residues))
    return 0.0 - np.abs(place[:, None] - place)


def hydrophobic_contacts(residues: IntArray) -> FloatArray:
    """Rank pairs by the hydropathy around both residues (J. Kyte and R. Doolittle 1982) and by separation [L, L].

    Examples
    --------
    >>> score = hydrophobic_contacts(np.array([9, 2, 9, 2, 9]))
    >>> bool(score[0, 4] == score[4, 0])
    True
    """
    smooth = np.convolve(_HYDROPATHY[residues], [0.25, 0.5, 0.25], mode="same")
    return np.asarray(smooth[:, None] + smooth + 0.02 * separation_contacts(residues))
