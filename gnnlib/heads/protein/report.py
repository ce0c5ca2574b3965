"""What a reader did to a file: every residue that it dropped or mapped, every choice it made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

from gnnlib.results import Result

__all__ = ["ReadReport", "ResidueNote"]


@dataclass(frozen=True)
class ResidueNote:
    """One residue of a file and what became of it.

    Parameters
    ----------
    chain, number, insertion_code, name : str, int, str, str
        The residue as the file names it.
    reason : str
        What was done and why.
    line : int or None
        1-based line of the residue's first atom where the format has lines.

    Examples
    --------
    >>> print(ResidueNote("A", 52, "A", "MSE", "modified residue, read as M"))
    A MSE 52A: modified residue, read as M
    """

    chain: str
    number: int
    insertion_code: str
    name: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.chain or '-'} {self.name} {self.number}{self.insertion_code}: {self.reason}"
        return place if self.line is None else f"{place} (line {self.line})"


@dataclass(frozen=True)
class ReadReport(Result):
    """What happened when a structure was read; empty for a structure made from arrays.

    Parameters
    ----------
    path : str
        The file, empty when there was none.
    format : str
        ``"pdb"``, ``"mmcif"`` or empty.
    num_models : int
        Models in the file.
    model : int
        The model that was read, counted from 1.
    dropped : tuple of ResidueNote
        Residues of the protein that have no place in the structure (no CA atom, second conformer of a residue with
        two names, ...). Nothing else of a peptide is lost.
    mapped : tuple of ResidueNote
        Modified residues read as their parent, and unknown ones read as X.
    altlocs : tuple of ResidueNote
        Residues with alternative positions, and the one that was taken.
    gaps : tuple of ResidueNote
        Residues after which the chain is broken (next CA farther than 4.3 angstrom).
    repaired : tuple of ResidueNote
        Faults of the file that were mended: duplicate atoms, backbone atoms without coordinates.
    ignored : dict from residue name to count
        Residues that are not part of a protein: water, ions, ligands, nucleic acids.

    Examples
    --------
    >>> ReadReport(path="1abc.pdb", format="pdb", ignored={"HOH": 12}).num_ignored
    12
    """

    path: str = ""
    format: str = ""
    num_models: int = 1
    model: int = 1
    dropped: tuple[ResidueNote, ...] = ()
    mapped: tuple[ResidueNote, ...] = ()
    altlocs: tuple[ResidueNote, ...] = ()
    gaps: tuple[ResidueNote, ...] = ()
    repaired: tuple[ResidueNote, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)

    @property
    def num_ignored(self) -> int:
        """Number of residues that are no protein."""
        return sum(self.ignored.values())

    @property
    def notes(self) -> tuple[ResidueNote, ...]:
        """Every note, the losses first."""
        return self.dropped + self.mapped + self.altlocs + self.gaps + self.repaired

    @property
    def _title(self) -> str:
        return f"ReadReport of {PurePath(self.path).name}" if self.path else "ReadReport"

    def _rows(self) -> list[tuple[str, str]]:
        def show(notes: tuple[ResidueNote, ...]) -> str:
            shown = "; ".join(str(note) for note in notes[:3])
            return f"{len(notes)}" + (f": {shown}" if notes else "") + ("; ..." if len(notes) > 3 else "")

        top = Counter(self.ignored).most_common(5)
        ignored = ", ".join(f"{count} {name}" for name, count in top) + (", ..." if len(self.ignored) > 5 else "")
        return [
            ("format", self.format or "none"),
            ("model", f"{self.model} of {self.num_models}"),
            ("dropped", show(self.dropped)),
            ("mapped", show(self.mapped)),
            ("altlocs", show(self.altlocs)),
            ("gaps", show(self.gaps)),
            ("repaired", show(self.repaired)),
            ("ignored", ignored or "0"),
        ]
