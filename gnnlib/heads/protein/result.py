"""The answers of the protein verbs: each prints itself, becomes a dict and draws itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.dssp import STATES8, to_states3
from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.protein.problem import Structure
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Assessment", "Consensus", "DistancePrediction", "Reconstruction", "SecondaryStructure", "Torsions"]


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


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruction(Result):
    """A CA trace folded from distances.

    Parameters
    ----------
    coords : array [L, 3]
        CA in angstrom, centred on the origin.
    stress : array [L]
        Weighted root mean square difference between fitted and given distances of each residue, in angstrom; NaN for a
        residue without a known distance.
    handedness_confidence : float
        In [0.5, 1]: how sure the choice of the mirror image is.
    mirror : array [L, 3]
        The best trace of the other hand, which was rejected.
    noise_absolute_angstrom, noise_relative : float
        Estimated standard deviation of a distance d: ``sqrt(absolute^2 + (relative d)^2)``.
    cutoff_angstrom : float or None
        Distance above which pairs seem to be left out of the data; None when all lengths occur.
    known_fraction : float
        Share of the pairs whose distance was given.
    """

    coords: FloatArray
    stress: FloatArray
    handedness_confidence: float
    mirror: FloatArray
    noise_absolute_angstrom: float
    noise_relative: float
    cutoff_angstrom: float | None
    known_fraction: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the distance map of the trace; return the axes."""
        from gnnlib.heads.protein.plotting import plot_distance_map  # matplotlib only on demand

        return plot_distance_map(self.coords, ax=ax)

    def _rows(self) -> list[tuple[str, str]]:
        noise = f"{self.noise_absolute_angstrom:.2f} A, {self.noise_relative:.1%} of the distance"
        cutoff = "no" if self.cutoff_angstrom is None else f"{self.cutoff_angstrom:.1f} A"
        return [
            ("residues", f"{len(self.coords):,}"),
            ("known pairs", f"{self.known_fraction:.1%}"),
            ("estimated noise", noise),
            ("cut off at", cutoff),
            ("mean stress", f"{np.nanmean(self.stress):.2f} A"),
            ("right hand", f"{self.handedness_confidence:.1%} sure"),
        ]

    def __repr__(self) -> str:
        return f"Reconstruction(residues={len(self.coords)}, handedness_confidence={self.handedness_confidence:.3f})"


@dataclass(frozen=True, eq=False, repr=False)
class Assessment(Result):
    """A model measured against its native over CA.

    Parameters
    ----------
    rmsd : float
        Angstrom, after least-squares superposition.
    tm_score, gdt_ts, gdt_ha, lddt : float
        In [0, 1]; normalised by the native.
    lddt_per_residue : array [L]
        NaN where a residue has no other within 15 A.
    distances_angstrom : array [L]
        Distance of each residue to its native place in the superposition of the TM-score.
    coords : array [L, 3]
        Model after that superposition, in the rows of the native; NaN where the model has no residue.
    native : array [L, 3]
        Native (not exported by `to_dict`).
    rotation, translation : array [3, 3], [3]
        The move: ``coords = model @ rotation.T + translation``.
    num_matched : int
        Residues that both have.
    name, native_name : str
    """

    rmsd: float
    tm_score: float
    gdt_ts: float
    gdt_ha: float
    lddt: float
    lddt_per_residue: FloatArray
    distances_angstrom: FloatArray
    coords: FloatArray
    native: FloatArray = field(metadata={"export": False})
    rotation: FloatArray
    translation: FloatArray
    num_matched: int
    name: str = ""
    native_name: str = ""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw lDDT along the chain; return the axes."""
        from gnnlib.heads.protein.plotting import plot_lddt  # matplotlib only on demand

        return plot_lddt(self.lddt_per_residue, ax=ax)

    @property
    def _title(self) -> str:
        names = " against ".join(name for name in (self.name, self.native_name) if name)
        return f"Assessment of {names}" if names else "Assessment"

    def _rows(self) -> list[tuple[str, str]]:
        total = len(self.native)
        residues = f"{total:,}" if self.num_matched == total else f"{self.num_matched:,} of {total:,}"
        return [
            ("residues", residues),
            ("TM-score", f"{self.tm_score:.4f}"),
            ("GDT-TS / GDT-HA", f"{self.gdt_ts:.4f} / {self.gdt_ha:.4f}"),
            ("lDDT (CA)", f"{self.lddt:.4f}"),
            ("RMSD", f"{self.rmsd:.3f} A"),
        ]

    def __repr__(self) -> str:
        return f"Assessment(tm_score={self.tm_score:.4f}, gdt_ts={self.gdt_ts:.4f}, lddt={self.lddt:.4f})"


@dataclass(frozen=True, eq=False, repr=False)
class Consensus(Result):
    """Models of one protein scored by their agreement.

    Parameters
    ----------
    scores : array [M]
        Mean similarity of each model to the others.
    similarity : array [M, M]
        Symmetric, 1 on the diagonal.
    lddt_per_residue : array [M, L]
        Mean lDDT of each residue against the other models.
    metric : str
    names : tuple of str
    """

    scores: FloatArray
    similarity: FloatArray
    lddt_per_residue: FloatArray
    metric: str
    names: tuple[str, ...] = ()

    @property
    def ranking(self) -> IntArray:
        """Indices of the models, best first."""
        return np.argsort(-self.scores, kind="stable")

    def _rows(self) -> list[tuple[str, str]]:
        shown = [f"{self.names[i] or i} ({self.scores[i]:.3f})" for i in self.ranking[:5].tolist()]
        return [
            ("models", str(len(self.scores))),
            ("similarity", self.metric),
            ("mean agreement", f"{self.scores.mean():.3f}"),
            ("best", ", ".join(shown)),
        ]

    def __repr__(self) -> str:
        return f"Consensus(models={len(self.scores)}, best={int(self.ranking[0])})"


@dataclass(frozen=True, eq=False, repr=False)
class DistancePrediction(Result):
    """Distances, contacts, local structure and a fold, predicted from one sequence.

    Parameters
    ----------
    sequence : str of L letters
    distances : array [L, L]
        Expected CA-CA distances in angstrom; from the sequence alone those above 20 are not told apart. Given ones are
        kept.
    spread : array [L, L]
        Standard deviation of the predicted distance in angstrom.
    contact_probability : array [L, L]
        Of a CB-CB distance below 8 angstrom.
    bins : array [9]
        Borders in angstrom between the bins of `distogram`; the first and the last bin are open.
    distogram : array [L, L, 10]
        Probabilities of the bins (not exported by `to_dict`).
    secondary : SecondaryStructure
    torsions : Torsions
        Phi and psi in degrees; the other angles are NaN.
    burial : array [L]
        Expected number of CB atoms within 10 angstrom.
    coords : array [L, 3]
        CA in angstrom, folded from the distances by `gnnlib.reconstruct`.
    reliability : float
        In [0, 1]: mean predicted probability of the best L/5 contacts of 12 or more residues' separation. It speaks of
        contacts only: its correlation with the TM-score of the fold was -0.18 on the test chains. Where distances are
        given, the mean of `spread` says more of the fold (correlation -0.78 on validation chains of 50 to 130 residues).
    num_given : int
        Pairs of residues whose distance was given.
    """

    sequence: str
    distances: FloatArray
    spread: FloatArray
    contact_probability: FloatArray
    bins: FloatArray
    distogram: FloatArray = field(metadata={"export": False})
    secondary: SecondaryStructure
    torsions: Torsions
    burial: FloatArray
    coords: FloatArray
    reliability: float
    num_given: int = 0

    @property
    def verdict(self) -> str:
        """What may be used, in words: of 41 test chains no fold from the sequence alone had a TM-score above 0.5."""
        if self.num_given >= 2 * len(self.sequence):
            return "folded from given distances; see the stress of gnnlib.reconstruct"
        return "the fold is NOT known from this sequence alone; use the local structure at most"

    def structure(self) -> Structure:
        """Return the folded CA trace as a `Structure`."""
        from gnnlib.heads.protein.problem import Structure  # only on demand

        return Structure.from_arrays(self.coords, self.sequence, name="predicted")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the predicted distance map; return the axes."""
        from gnnlib.heads.protein.plotting import plot_distance_map  # matplotlib only on demand

        return plot_distance_map(self.distances, ax=ax)

    def _rows(self) -> list[tuple[str, str]]:
        share = self.secondary.fractions
        return [
            ("residues", f"{len(self.sequence):,}"),
            ("helix / strand / coil", f"{share['H']:.0%} / {share['E']:.0%} / {share['C']:.0%}"),
            ("given distances", f"{self.num_given:,}"),
            ("reliability", f"{self.reliability:.2f}"),
            ("verdict", self.verdict),
        ]

    def __repr__(self) -> str:
        return f"DistancePrediction(residues={len(self.sequence)}, reliability={self.reliability:.2f})"
