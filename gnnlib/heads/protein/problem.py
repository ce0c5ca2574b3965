"""The record of a protein, `Structure`: residues with backbone atoms, names, chains; and what turns into one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein import checks
from gnnlib.heads.protein.report import ReadReport, ResidueNote
from gnnlib.heads.protein.residues import AMINO_ACIDS, ATOMS, NAME_OF_LETTER, UNKNOWN, clean_sequence
from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, IntArray, PathLike

__all__ = ["AMINO_ACIDS", "ATOMS", "MAX_CA_STEP_ANGSTROM", "ReadReport", "ResidueNote", "Structure", "as_structure"]

#: Two residues that follow each other are bonded when their CA atoms are at most this far apart (trans: 3.8, cis: 2.9).
MAX_CA_STEP_ANGSTROM = 4.3

_CA = ATOMS.index("CA")


@dataclass(frozen=True, eq=False, repr=False)
class Structure(Result):
    """A protein structure: L residues of one or more chains, in the order of the file.

    Make one with `from_file`, `from_arrays` or `as_structure`. The arrays are shared, not copied, between a structure
    and its selections; treat them as read-only.

    Parameters
    ----------
    name : str
        For people: the name of the file without its endings.
    sequence : str of L letters
        One-letter codes, X for an unknown residue; modified residues carry the letter of their parent.
    coords_angstrom : float64 array [L, 5, 3]
        N, CA, C, O, CB in angstrom; NaN where an atom is missing. CA is always there.
    chain_ids : str array [L]
    residue_numbers : int64 array [L]
        Numbers as the authors of the file gave them; they may jump, repeat and be negative.
    insertion_codes : str array [L]
        ``""`` for none. Chain, number and insertion code together name a residue.
    residue_names : str array [L]
        As in the file, for instance ``"MSE"`` where the sequence has M.
    b_factors : float64 array [L]
        Of the CA atoms; NaN when unknown.
    sulfurs : float64 array [L, 3]
        SG atoms of cysteines, for disulfide bonds; NaN elsewhere.
    report : ReadReport
        What the reader did (not exported by `to_dict`).

    Raises
    ------
    InputError
        If the arrays do not fit each other, a CA atom is missing or a coordinate is infinite.

    Examples
    --------
    >>> chain = Structure.from_arrays([[0.0, 0.0, 0.0], [3.8, 0.0, 0.0], [9.9, 0.0, 0.0]], "MKV", name="toy")
    >>> chain
    Structure(name='toy', num_residues=3, chains=('A',))
    >>> chain.segment.tolist(), chain.is_ca_only
    ([0, 0, 1], True)
    """

    name: str
    sequence: str
    coords_angstrom: FloatArray
    chain_ids: np.ndarray[Any, np.dtype[np.str_]]
    residue_numbers: IntArray
    insertion_codes: np.ndarray[Any, np.dtype[np.str_]]
    residue_names: np.ndarray[Any, np.dtype[np.str_]]
    b_factors: FloatArray
    sulfurs: FloatArray
    report: ReadReport = field(default_factory=ReadReport, metadata={"export": False})

    def __post_init__(self) -> None:
        checks.coordinates("coords_angstrom", self.coords_angstrom)
        count = len(self.coords_angstrom)
        if self.coords_angstrom.shape[1] != len(ATOMS):
            raise InputError(f"`coords_angstrom` must have shape [L, 5, 3], found {list(self.coords_angstrom.shape)}")
        for label in ("sequence", "chain_ids", "residue_numbers", "insertion_codes", "residue_names", "b_factors"):
            if len(getattr(self, label)) != count:
                raise InputError(f"`{label}` must have {count} entries, found {len(getattr(self, label))}")
        if self.sulfurs.shape != (count, 3):
            raise InputError(f"`sulfurs` must have shape [{count}, 3], found {list(self.sulfurs.shape)}")

    @classmethod
    def from_arrays(
        cls,
        coords: ArrayLike,
        sequence: str | None = None,
        *,
        name: str = "",
        chain_ids: ArrayLike | None = None,
        residue_numbers: ArrayLike | None = None,
        insertion_codes: ArrayLike | None = None,
        b_factors: ArrayLike | None = None,
    ) -> Self:
        """Build a structure from coordinates.

        Parameters
        ----------
        coords : array-like [L, 3], [L, 4, 3] or [L, 5, 3]
            In angstrom: CA; or N, CA, C, O; or N, CA, C, O, CB. Numpy, torch or nested lists. NaN marks a missing
            atom; CA must be there.
        sequence : str of L letters, optional
            Default: X everywhere. See `clean_sequence` for the letters allowed.
        name : str
        chain_ids : str array-like [L] or str, optional
            Default: ``"A"`` for all.
        residue_numbers : int array-like [L], optional
            Default: 1 .. L.
        insertion_codes : str array-like [L], optional
            Default: none.
        b_factors : array-like [L], optional
            Default: unknown.

        Raises
        ------
        InputError
            If a shape, a letter or a number is wrong.

        Examples
        --------
        >>> Structure.from_arrays(np.arange(12.0).reshape(4, 3)).sequence
        'XXXX'
        """
        given = checks.coordinates("coords", checks.as_float_array("coords", coords))
        count = len(given)
        full = np.full((count, len(ATOMS), 3), np.nan)
        if given.ndim == 2:
            full[:, _CA] = given
        else:
            full[:, : given.shape[1]] = given
        letters = UNKNOWN * count if sequence is None else clean_sequence(sequence, count)
        chains = "A" if chain_ids is None else chain_ids
        return cls(
            name=name,
            sequence=letters,
            coords_angstrom=full,
            chain_ids=np.full(count, chains) if isinstance(chains, str) else checks.words("chain_ids", chains, count),
            residue_numbers=checks.integers("residue_numbers", residue_numbers, count),
            insertion_codes=checks.words("insertion_codes", insertion_codes, count),
            residue_names=np.array([NAME_OF_LETTER[letter] for letter in letters]),
            b_factors=checks.numbers("b_factors", b_factors, count),
            sulfurs=np.full((count, 3), np.nan),
        )

    @classmethod
    def from_file(cls, path: PathLike) -> Structure:
        """Read a PDB or mmCIF file, plain or gzipped; see `gnnlib.heads.protein.io.read_structure`."""
        from gnnlib.heads.protein.io import read_structure  # io imports this module

        return read_structure(path)

    @property
    def num_residues(self) -> int:
        """Number of residues L."""
        return len(self.coords_angstrom)

    def __len__(self) -> int:
        return self.num_residues

    @property
    def ca(self) -> FloatArray:
        """Positions of the CA atoms [L, 3] in angstrom."""
        return self.coords_angstrom[:, _CA]

    @cached_property
    def atom_mask(self) -> BoolArray:
        """Which atoms are there [L, 5]."""
        return ~np.isnan(self.coords_angstrom[:, :, 0])

    @cached_property
    def is_ca_only(self) -> bool:
        """Whether no residue has any atom but CA."""
        return int(self.atom_mask.sum()) == self.num_residues

    @cached_property
    def chains(self) -> tuple[str, ...]:
        """Chain identifiers in the order of their first residue."""
        return tuple(dict.fromkeys(self.chain_ids.tolist()))

    @cached_property
    def segment(self) -> IntArray:
        """Number of the unbroken stretch that each residue belongs to [L], counted from 0.

        A stretch ends where the chain changes or the next CA is farther than 4.3 angstrom.
        """
        if self.num_residues == 1:
            return np.zeros(1, dtype=np.int64)
        steps = np.diff(self.ca, axis=0)
        is_broken = np.einsum("ij,ij->i", steps, steps) > MAX_CA_STEP_ANGSTROM**2
        is_broken |= self.chain_ids[1:] != self.chain_ids[:-1]
        return np.concatenate([[0], np.cumsum(is_broken)])

    def residue_label(self, index: int) -> str:
        """Return the name of one residue for messages, as in ``"A MSE 52A"``."""
        number = f"{self.residue_numbers[index]}{self.insertion_codes[index]}"
        return f"{self.chain_ids[index] or '-'} {self.residue_names[index]} {number}"

    def chain(self, chain_id: str) -> Structure:
        """Return the residues of one chain.

        Raises
        ------
        InputError
            If there is no such chain; the message names those there are.
        """
        if chain_id not in self.chains:
            raise InputError(f"there is no chain {chain_id!r} in {self.name or 'the structure'}, only {self.chains}")
        return self.select(self.chain_ids == chain_id)

    def select(self, residues: ArrayLike) -> Structure:
        """Return some of the residues, with the same report.

        Parameters
        ----------
        residues : bool array-like [L] or int array-like [K]
            A mask, or indices in the order wanted.

        Raises
        ------
        InputError
            If nothing is selected, or the mask or an index does not fit.

        Examples
        --------
        >>> whole = Structure.from_arrays(np.arange(12.0).reshape(4, 3), "ACDE")
        >>> whole.select([True, False, True, False]).sequence, whole.select([3, 0]).sequence
        ('AD', 'EA')
        """
        index = checks.selection(residues, self.num_residues)
        return replace(
            self,
            sequence="".join(self.sequence[i] for i in index.tolist()),
            **{label: getattr(self, label)[index] for label in _ARRAY_FIELDS},
        )

    def to_pdb(self, path: PathLike | None = None, *, b_factors: ArrayLike | None = None) -> str:
        """Return the structure as the text of a PDB file; write it when given a path.

        Parameters
        ----------
        path : path-like, optional
            Where to write the text.
        b_factors : array-like [L], optional
            Numbers for the B column of every residue, for instance lDDT; default: those of the structure.
        """
        from gnnlib.heads.protein.reading.writing import format_structure  # imports this module

        return format_structure(self, "pdb", path, b_factors=b_factors)

    def to_mmcif(self, path: PathLike | None = None, *, b_factors: ArrayLike | None = None) -> str:
        """Return the structure as the text of an mmCIF file; see `to_pdb`."""
        from gnnlib.heads.protein.reading.writing import format_structure  # imports this module

        return format_structure(self, "mmcif", path, b_factors=b_factors)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the CA distance map with contacts; return the axes."""
        from gnnlib.heads.protein.plotting import plot_distance_map  # matplotlib only on demand

        return plot_distance_map(self, ax=ax)

    @property
    def _title(self) -> str:
        return f"Structure {self.name}" if self.name else "Structure"

    def _rows(self) -> list[tuple[str, str]]:
        lengths = {chain: int(np.sum(self.chain_ids == chain)) for chain in self.chains}
        shown = ", ".join(f"{chain or '-'} ({count})" for chain, count in list(lengths.items())[:8])
        has_cb = np.array([letter != "G" for letter in self.sequence])  # glycine has no CB that could be missing
        missing = int((~self.atom_mask[:, :-1]).sum() + (has_cb & ~self.atom_mask[:, -1]).sum())
        return [
            ("residues", f"{self.num_residues:,}"),
            ("chains", shown + (", ..." if len(lengths) > 8 else "")),
            ("breaks", str(int(self.segment[-1]) + 1 - len(self.chains))),
            ("atoms", "CA only" if self.is_ca_only else f"{missing} of N, CA, C, O, CB missing"),
            ("model", f"{self.report.model} of {self.report.num_models}"),
            ("dropped", str(len(self.report.dropped))),
            ("mapped", str(len(self.report.mapped))),
        ]

    def __repr__(self) -> str:
        return f"Structure(name={self.name!r}, num_residues={self.num_residues}, chains={self.chains})"


_ARRAY_FIELDS = (
    "coords_angstrom",
    "chain_ids",
    "residue_numbers",
    "insertion_codes",
    "residue_names",
    "b_factors",
    "sulfurs",
)


def as_structure(x: Any) -> Structure:
    """Turn whatever a user hands over into a `Structure`.

    Parameters
    ----------
    x : Structure, path, or array-like [L, 3], [L, 4, 3] or [L, 5, 3]
        A path is read as a PDB or mmCIF file. An array (numpy, torch, nested lists) holds positions in angstrom: CA;
        or N, CA, C, O; or N, CA, C, O, CB.

    Raises
    ------
    InputError
        If `x` is none of these, or holds bad values; the message names the first bad residue.

    Examples
    --------
    >>> as_structure([[0.0, 0.0, 0.0], [3.8, 0.0, 0.0]])
    Structure(name='', num_residues=2, chains=('A',))
    """
    if isinstance(x, Structure):
        return x
    if isinstance(x, (str, os.PathLike)):
        return Structure.from_file(x)
    return Structure.from_arrays(x)
