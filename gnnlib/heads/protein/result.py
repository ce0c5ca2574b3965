"""The answers of the protein verbs: each prints itself, becomes a dict and draws itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.dssp import STATES8, to_states3
from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.typing import FloatArray

__all__ = ["SecondaryStructure", "Torsions"]


@dataclass(frozen=True, eq=False, repr=False)
class SecondaryStructure(Result):
    """Secondary structure of a chain or a complex.

    Parameters
    ----------
    states8 : str of length L
        H alpha helix, B bridge, E strand, G 3-10 helix, I pi helix, T turn, S bend, C coil.
    probabilities : array [L, 8]
        Columns in the order ``"HBEGITSC"``; rows sum to 1. Zeros and ones when the method assigns and does not predict.
    method : str
        ``"dssp"``, ``"ca"`` or ``"sequence"``.
    name : str
        Of the structure.

    Examples
    --------
    >>> result = SecondaryStructure("CHGE", np.eye(8)[[7, 0, 3, 2]], "dssp")
    >>> result.states3, round(result.fractions["H"], 2)
    ('CHHE', 0.5)
    """

    states8: str
    probabilities: FloatArray
    method: str
    name: str = ""

    @property
    def states3(self) -> str:
        """Three states: H (H, G, I), E (E, B), C (the rest)."""
        return to_states3(self.states8)

    @property
    def probabilities3(self) -> FloatArray:
        """Probabilities of H, E and C [L, 3]: sums over the eight states."""
        columns = [[i for i, state in enumerate(STATES8) if to_states3(state) == letter] for letter in "HEC"]
        return np.stack([self.probabilities[:, chosen].sum(axis=1) for chosen in columns], axis=1)

    @property
    def fractions(self) -> dict[str, float]:
        """Share of the residues in each of the three states."""
        return {letter: self.states3.count(letter) / len(self.states8) for letter in "HEC"}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the three states as plain Python values."""
        return {**super().to_dict(), "states3": self.states3}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw helices and strands along the chain; return the axes."""
        from gnnlib.heads.protein.plotting import plot_secondary_structure  # matplotlib only on demand

        return plot_secondary_structure(self, ax=ax)

    @property
    def _title(self) -> str:
        return f"SecondaryStructure of {self.name}" if self.name else "SecondaryStructure"

    def _rows(self) -> list[tuple[str, str]]:
        share = self.fractions
        shown = self.states8 if len(self.states8) <= 80 else f"{self.states8[:77]}..."
        return [
            ("residues", f"{len(self.states8):,}"),
            ("method", self.method),
            ("helix / strand / coil", f"{share['H']:.0%} / {share['E']:.0%} / {share['C']:.0%}"),
            ("states", shown),
        ]

    def __repr__(self) -> str:
        return f"SecondaryStructure(states8={self.states8!r}, method={self.method!r})"


@dataclass(frozen=True, eq=False, repr=False)
class Torsions(Result):
    """Angles along a chain, all in degrees; NaN where an angle is not defined.

    Parameters
    ----------
    phi, psi : array [L]
        Torsions about N-CA and CA-C of each residue, in (-180, 180].
    omega : array [L]
        Torsion of the peptide bond *before* each residue: near 180, or near 0 for cis.
    ca_kappa : array [L]
        Virtual bond angle CA(i-1), CA(i), CA(i+1), in [0, 180].
    ca_alpha : array [L]
        Virtual dihedral CA(i-1), CA(i), CA(i+1), CA(i+2), in (-180, 180].
    name : str
        Of the structure.
    """

    phi: FloatArray
    psi: FloatArray
    omega: FloatArray
    ca_kappa: FloatArray
    ca_alpha: FloatArray
    name: str = ""

    @property
    def num_cis(self) -> int:
        """Number of cis peptide bonds (omega within 90 degrees of 0)."""
        return int(np.sum(np.abs(self.omega) < 90.0))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the Ramachandran plot; return the axes."""
        from gnnlib.heads.protein.plotting import plot_ramachandran  # matplotlib only on demand

        return plot_ramachandran(self, ax=ax)

    @property
    def _title(self) -> str:
        return f"Torsions of {self.name}" if self.name else "Torsions"

    def _rows(self) -> list[tuple[str, str]]:
        known = ~np.isnan(self.phi) & ~np.isnan(self.psi)
        rows = [("residues", f"{len(self.phi):,}"), ("with phi and psi", f"{int(known.sum()):,}")]
        if known.any():
            helical = (np.abs(self.phi + 63.0) < 30.0) & (np.abs(self.psi + 42.0) < 30.0)
            rows += [("helical region", f"{helical[known].mean():.0%}"), ("cis bonds", str(self.num_cis))]
        return rows

    def __repr__(self) -> str:
        return f"Torsions(residues={len(self.phi)}, name={self.name!r})"
