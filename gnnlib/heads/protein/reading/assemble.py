"""The rules by which the rows of a file become a `Structure`; each decision is written down in the report.

- A residue is what shares chain, number and insertion code, and follows each other in the file.
- It is kept when it has a CA atom and is no HETATM; a HETATM residue also needs N and C (or a known parent, in CA-only
  files), and one that follows its chain without a peptide bond to it is a ligand and left out.
- Of alternative positions the one with the highest occupancy is taken, the first on ties, for a residue as a whole.
  The same holds where a residue has two names (microheterogeneity).
- Modified residues get the letter of their parent, unknown ones X.
- An atom that stands twice counts once: the first.
- Residues without CA, and everything else of a protein that is left out, are listed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gnnlib.errors import FileFormatError
from gnnlib.heads.protein.problem import Structure
from gnnlib.heads.protein.reading.atoms import C_TERMINAL_OXYGEN, SULFUR, AtomTable
from gnnlib.heads.protein.report import ReadReport, ResidueNote
from gnnlib.heads.protein.residues import ATOMS, LETTER_OF_NAME, UNKNOWN, parent_letter

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray, PathLike

__all__ = ["assemble"]

T = TypeVar("T")

_N, _CA, _C, _O = (ATOMS.index(name) for name in ("N", "CA", "C", "O"))
_NUM_CODES = 7
_LONGEST_PEPTIDE_BOND_ANGSTROM = 2.0  # 1.33 in theory; real files stray
_SAME_PLACE_ANGSTROM = 0.01


@dataclass
class _Notes:
    """Lists that become the report."""

    dropped: list[ResidueNote] = field(default_factory=list)
    mapped: list[ResidueNote] = field(default_factory=list)
    altlocs: list[ResidueNote] = field(default_factory=list)
    repaired: list[ResidueNote] = field(default_factory=list)
    gaps: list[ResidueNote] = field(default_factory=list)


def _note(table: AtomTable, residue: int, reason: str, name: str | None = None) -> ResidueNote:
    return ResidueNote(
        table.chains[residue],
        table.numbers[residue],
        table.insertion_codes[residue],
        table.names[residue] if name is None else name,
        reason,
        int(table.lines[residue]),
    )


def assemble(table: AtomTable, path: PathLike, file_format: str, model: int) -> Structure:
    """Build the structure of one model.

    Parameters
    ----------
    table : AtomTable
        What the text reader found.
    path : path-like
        The file, for the name of the structure and for messages.
    file_format : str
        ``"pdb"`` or ``"mmcif"``.
    model : int
        The model that `table` holds, counted from 1.

    Raises
    ------
    FileFormatError
        If there is no residue of a protein; the message says what the file holds instead.
    """
    notes = _Notes()
    slots, names = _one_atom_each(table, notes)
    has = slots >= 0
    kept = _kept(table, slots, has, names, notes)
    if len(kept) == 0:
        raise _no_protein(table, path)
    coords = np.full((len(kept), _NUM_CODES, 3), np.nan)
    filled = has[kept]
    coords[filled] = table.xyz[slots[kept][filled]]
    _fill_terminal_oxygens(coords)
    chosen = kept.tolist()
    residue_names = _picked(names, chosen)
    structure = Structure(
        name=PurePath(path).name.split(".")[0],
        sequence="".join(_letters(table, chosen, residue_names, notes)),
        coords_angstrom=np.ascontiguousarray(coords[:, : len(ATOMS)]),
        chain_ids=np.array(_picked(table.chains, chosen)),
        residue_numbers=np.array(_picked(table.numbers, chosen), dtype=np.int64),
        insertion_codes=np.array(_picked(table.insertion_codes, chosen), dtype="<U1"),
        residue_names=np.array(residue_names),
        b_factors=table.b_factor[slots[kept, _CA]],
        sulfurs=_sulfurs(coords[:, SULFUR], residue_names),
    )
    _note_gaps(structure, table, chosen, notes)
    report = ReadReport(
        path=str(path),
        format=file_format,
        num_models=table.num_models,
        model=model,
        dropped=tuple(notes.dropped),
        mapped=tuple(notes.mapped),
        altlocs=tuple(notes.altlocs),
        gaps=tuple(notes.gaps),
        repaired=tuple(notes.repaired),
        ignored=_ignored(table, kept, notes),
    )
    object.__setattr__(structure, "report", report)  # the gaps are known only now
    return structure


def _picked(values: list[T], chosen: list[int]) -> list[T]:
    """Return some of the values; the whole list where all are chosen."""
    if len(chosen) == len(values):
        return values
    return [values[i] for i in chosen] if len(chosen) < 2 else list(itemgetter(*chosen)(values))


def _one_atom_each(table: AtomTable, notes: _Notes) -> tuple[IntArray, list[str]]:
    """Row of every atom of every residue [R, 7], -1 where there is none; and the names of the residues."""
    count = len(table.names)
    slots = np.full((count, _NUM_CODES), -1, dtype=np.int64)
    rows = np.arange(len(table.atom_code))
    slots[table.atom_residue[::-1], table.atom_code[::-1]] = rows[::-1]  # the first of several wins
    is_shadowed = slots[table.atom_residue, table.atom_code] != rows
    is_special = is_shadowed | (table.altloc > 0)
    names = table.names
    if table.atom_names is not None:
        names = list(names)
        first_name = np.array(names)[table.atom_residue]
        is_special |= np.array(table.atom_names) != first_name
    for residue in np.unique(table.atom_residue[is_special]).tolist():
        first, last = np.searchsorted(table.atom_residue, [residue, residue + 1]).tolist()
        if not (table.atom_code[first:last] == _CA).any():
            continue
        name, chosen = _choose(table, residue, range(first, last), notes)
        if table.atom_names is not None:
            names[residue] = name
        slots[residue] = -1
        for code, row in chosen.items():
            slots[residue, code] = row
    return slots, names


def _choose(table: AtomTable, residue: int, rows: range, notes: _Notes) -> tuple[str, dict[int, int]]:
    """Choose one name, one alternative position and one row an atom for a residue that has several."""
    codes, altlocs, occupancy = (
        part[rows.start : rows.stop].tolist() for part in (table.atom_code, table.altloc, table.occupancy)
    )
    names = [table.names[residue]] * len(rows) if table.atom_names is None else table.atom_names[rows.start : rows.stop]
    by_name: dict[str, float] = {}
    for name, code, weight in zip(names, codes, occupancy, strict=True):
        if code == _CA:
            by_name[name] = max(weight, by_name.get(name, weight))
    name = max(by_name, key=lambda key: by_name[key])  # the first of equals
    by_altloc: dict[int, float] = {}
    for owner, alt, code, weight in zip(names, altlocs, codes, occupancy, strict=True):
        if alt and owner == name and (alt not in by_altloc or code == _CA):
            by_altloc[alt] = weight  # of its CA atom, else of its first
    best = max(by_altloc, key=lambda key: by_altloc[key]) if by_altloc else 0
    chosen: dict[int, int] = {}
    ranks: dict[int, tuple[int, float]] = {}
    doubled = False
    for offset, code in enumerate(codes):
        if names[offset] != name:
            continue
        alt = altlocs[offset]
        rank = (2 if alt == best else 1 if not alt else 0, occupancy[offset] if alt not in {best, 0} else 0.0)
        doubled |= code in ranks and rank == ranks[code]
        if code not in ranks or rank > ranks[code]:
            chosen[code], ranks[code] = rows.start + offset, rank
    _note_choice(table, residue, by_name, by_altloc, notes)
    if doubled:
        notes.repaired.append(_note(table, residue, "an atom stands twice; the first was taken", name))
    return name, chosen


def _note_choice(
    table: AtomTable, residue: int, by_name: dict[str, float], by_altloc: dict[int, float], notes: _Notes
) -> None:
    """Write down the choice of the heaviest name and of the heaviest alternative of that name."""
    taken = max(by_name, key=lambda key: by_name[key])
    if len(by_name) > 1:
        shown = ", ".join(f"{name} {weight:.2f}" for name, weight in by_name.items())
        notes.altlocs.append(_note(table, residue, f"residue names {shown}; took {taken}", taken))
        notes.dropped.extend(
            _note(table, residue, f"it stands in one place with {taken}, of no lower occupancy", name)
            for name in by_name
            if name != taken
        )
    elif by_altloc:
        letters = {chr(alt): weight for alt, weight in by_altloc.items()}
        shown = ", ".join(f"{letter} {weight:.2f}" for letter, weight in letters.items())
        best = max(letters, key=lambda key: letters[key])
        notes.altlocs.append(_note(table, residue, f"positions {shown}; took {best}", taken))


def _kept(table: AtomTable, slots: IntArray, has: BoolArray, names: list[str], notes: _Notes) -> IntArray:
    """Return the indices of the residues of the protein."""
    has_ca = has[:, _CA]
    backbone = has_ca & has[:, _N] & has[:, _C]
    keep = np.where(table.is_hetero, backbone, has_ca)
    for residue in np.flatnonzero(has_ca & ~keep).tolist():
        keep[residue] = parent_letter(names[residue]) != UNKNOWN
    _drop_without_ca(table, has, names, notes)
    for residue in _after_their_chain(table, keep):
        if backbone[residue] and not _is_bonded(table, slots, residue):
            keep[residue] = False
            notes.dropped.append(
                _note(table, residue, "after the chain and not bonded to it: a ligand", names[residue])
            )
    kept = np.flatnonzero(keep)
    return _without_copies(table, slots, kept, notes)


def _drop_without_ca(table: AtomTable, has: BoolArray, names: list[str], notes: _Notes) -> None:
    for residue in np.flatnonzero(~has[:, _CA] & has[:, :_NUM_CODES].any(axis=1)).tolist():
        is_peptide = names[residue] in LETTER_OF_NAME or (not table.is_hetero[residue] and has[residue, [_N, _C]].all())
        if is_peptide:
            notes.dropped.append(_note(table, residue, "it has no CA atom"))


def _after_their_chain(table: AtomTable, keep: BoolArray) -> list[int]:
    """HETATM residues that follow the last ATOM residue of their chain: the end of the chain, or ligands."""
    hetero = np.flatnonzero(keep & table.is_hetero).tolist()
    if not hetero:
        return []
    last = {table.chains[i]: i for i in np.flatnonzero(keep & ~table.is_hetero).tolist()}
    return [i for i in hetero if i > last.get(table.chains[i], i)]


def _is_bonded(table: AtomTable, slots: IntArray, residue: int) -> bool:
    """Whether a peptide bond joins a residue to any other."""
    for mine, other in ((_N, _C), (_C, _N)):
        rows = slots[:, other].copy()
        rows[residue] = -1
        rows = rows[rows >= 0]
        steps = table.xyz[rows] - table.xyz[slots[residue, mine]]
        if (np.einsum("ij,ij->i", steps, steps) <= _LONGEST_PEPTIDE_BOND_ANGSTROM**2).any():
            return True
    return False


def _without_copies(table: AtomTable, slots: IntArray, kept: IntArray, notes: _Notes) -> IntArray:
    """Drop residues that repeat an earlier one of the same identity in the same place, or as a later altloc."""
    chosen = kept.tolist()
    parts = (_picked(part, chosen) for part in (table.chains, table.numbers, table.insertion_codes))
    identities = list(zip(*parts, strict=True))
    if len(set(identities)) == len(identities):
        return kept
    first_of: dict[tuple[str, int, str], int] = {}
    left = []
    for residue, identity in zip(chosen, identities, strict=True):
        first = first_of.setdefault(identity, residue)
        rows = slots[[first, residue], _CA]
        is_same_place = float(np.abs(np.diff(table.xyz[rows], axis=0)).max()) < _SAME_PLACE_ANGSTROM
        if first != residue and (is_same_place or table.altloc[rows].all()):
            notes.dropped.append(_note(table, residue, f"it repeats the residue of line {table.lines[first]}"))
        else:
            left.append(residue)
    return np.array(left)


def _fill_terminal_oxygens(coords: FloatArray) -> None:
    """Take CHARMM's OT1 for O where O is missing."""
    named = np.isnan(coords[:, _O, 0]) & ~np.isnan(coords[:, C_TERMINAL_OXYGEN, 0])
    coords[named, _O] = coords[named, C_TERMINAL_OXYGEN]


def _letters(table: AtomTable, chosen: list[int], names: list[str], notes: _Notes) -> list[str]:
    letters = [LETTER_OF_NAME.get(name, "") for name in names]
    if "" in letters:
        for place, letter in enumerate(letters):
            if not letter:
                letters[place] = parent_letter(names[place])
                reason = "unknown residue" if letters[place] == UNKNOWN else "modified residue"
                notes.mapped.append(_note(table, chosen[place], f"{reason}, read as {letters[place]}", names[place]))
    return letters


def _sulfurs(positions: FloatArray, names: list[str]) -> FloatArray:
    """SG positions, of residues whose SG makes disulfides."""
    found = np.flatnonzero(~np.isnan(positions[:, 0])).tolist()
    sulfurs = np.full_like(positions, np.nan)
    cysteines = [i for i in found if parent_letter(names[i]) == "C"]
    sulfurs[cysteines] = positions[cysteines]
    return sulfurs


def _note_gaps(structure: Structure, table: AtomTable, chosen: list[int], notes: _Notes) -> None:
    chains = structure.chain_ids
    for i in np.flatnonzero(np.diff(structure.segment)).tolist():
        if chains[i] == chains[i + 1]:
            step = float(np.linalg.norm(structure.ca[i + 1] - structure.ca[i]))
            reason = f"the next residue, {structure.residue_label(i + 1)}, is {step:.1f} angstrom away"
            notes.gaps.append(_note(table, chosen[i], reason))


def _ignored(table: AtomTable, kept: IntArray, notes: _Notes) -> dict[str, int]:
    """Names and counts of what is no protein."""
    told = {(n.chain, n.number, n.insertion_code, n.line) for n in notes.dropped}
    is_kept = np.zeros(len(table.names), dtype=np.bool_)
    is_kept[kept] = True
    others = np.flatnonzero(~is_kept).tolist()
    if told:
        others = [i for i in others if _identity(table, i) not in told]
    return dict(Counter(table.names[i] for i in others))


def _identity(table: AtomTable, i: int) -> tuple[Any, ...]:
    return table.chains[i], table.numbers[i], table.insertion_codes[i], int(table.lines[i])


def _no_protein(table: AtomTable, path: PathLike) -> FileFormatError:
    counts = Counter(table.names)
    shown = ", ".join(f"{count} {name or '?'}" for name, count in counts.most_common(6))
    without_ca = sum(count for name, count in counts.items() if name in LETTER_OF_NAME)
    reason = f"{without_ca} amino acid(s) without a CA atom" if without_ca else "no amino acid"
    return FileFormatError.at(
        path, None, f"the file holds no residue of a protein with a CA atom: {reason} among {shown}"
    )
