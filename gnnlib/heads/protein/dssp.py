"""Secondary structure from hydrogen bonds: the DSSP method of Kabsch and Sander, in numpy.

The rules are those of W. Kabsch and C. Sander, Biopolymers 22, 2577 (1983). Where the paper leaves a choice (which of
several hydrogen bonds count, how ladders join over bulges, which helix wins) this follows what the DSSP 4 program does,
so that the two agree residue by residue: pi helices take precedence over alpha helices, and PPII helices (phi, psi
near -75, 145 over three residues) can be asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.heads.protein.geometry import backbone_torsions

if TYPE_CHECKING:
    from gnnlib.typing import BoolArray, FloatArray, IntArray

__all__ = ["STATES3", "STATES8", "HydrogenBonds", "assign_dssp", "hydrogen_bonds", "to_states3"]

STATES8 = "HBEGITSC"
"""The eight states: alpha helix, bridge, strand, 3-10 helix, pi helix, turn, bend, coil."""

STATES3 = "HEC"

_TO_3 = str.maketrans("HBEGITSCP-LX ", "HEEHHCCCCCCCC")
_COUPLING = 27.888  # 332 kcal A / mol times the partial charges 0.42 and 0.20 (Kabsch & Sander 1983, eq. 1)
_BOND_BELOW = -0.5  # kcal/mol: a hydrogen bond
_LOWEST = -9.9
_NEAR_CA_ANGSTROM = 9.0
_NEAREST_ANGSTROM = 0.5
_PEPTIDE_BOND_ANGSTROM = 2.5
_BEND_DEG = 70.0
_PPII_PHI_PSI_DEG, _PPII_SPREAD_DEG, _PPII_LENGTH = (-75.0, 145.0), 29.0, 3
_NEVER = -10  # an index that no test hits


class HydrogenBonds(NamedTuple):
    """Backbone hydrogen bonds: for each donor its (at most two) best acceptors.

    Attributes
    ----------
    acceptors : int array [L, 2]
        Residue whose C=O takes the bond from the N-H of residue i, best first; negative where there is none.
    energies : array [L, 2]
        kcal/mol, 0 where there is none; below -0.5 it counts as a bond.
    """

    acceptors: IntArray
    energies: FloatArray


def to_states3(states8: str) -> str:
    """Reduce eight states to three: H, G, I to H; E, B to E; everything else to C.

    Examples
    --------
    >>> to_states3("HGIEBTSCP")
    'HHHEECCCC'
    """
    return states8.translate(_TO_3)


def hydrogen_bonds(coords: FloatArray, sequence: str) -> HydrogenBonds:
    """Find the backbone hydrogen bonds by their electrostatic energy.

    Parameters
    ----------
    coords : array [L, >=4, 3]
        N, CA, C, O in angstrom, all present.
    sequence : str of length L
        Only P (proline, no donor) matters.

    Returns
    -------
    HydrogenBonds

    Notes
    -----
    ``E = 27.888 (1/ON + 1/CH - 1/OH - 1/CN)`` (Kabsch & Sander 1983, eq. 1), rounded to 0.001 as the program does; H
    lies 1 A from N, opposite to the C=O of the residue before. Pairs with CA further than 9 A apart are left out.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(8, -57.0), np.full(8, -47.0))
    >>> hydrogen_bonds(helix, "A" * 8).acceptors[4:, 0].tolist()
    [0, 1, 2, 3]
    """
    return _two_best(*_bond_energies(coords, sequence, _near_pairs(coords[:, 1])), len(coords))


def _near_pairs(ca: FloatArray) -> IntArray:
    """Pairs i < j with CA within 9 A, in lexicographic order."""
    pairs = cKDTree(ca).query_pairs(_NEAR_CA_ANGSTROM, output_type="ndarray")
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)


def _bond_energies(coords: FloatArray, sequence: str, pairs: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Donor, acceptor and energy of every candidate pair with a negative energy."""
    n, c, o = coords[:, 0], coords[:, 2], coords[:, 3]
    h = n.copy()
    proline = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8) == ord("P")
    away = c[:-1] - o[:-1]
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    h[1:] += np.where(proline[1:, None], 0.0, away)
    backward = pairs[pairs[:, 1] != pairs[:, 0] + 1]  # i+1 never gives to its neighbour i: they share the peptide
    donor = np.concatenate([pairs[:, 0], backward[:, 1]])
    acceptor = np.concatenate([pairs[:, 1], backward[:, 0]])
    gives = ~proline[donor]
    donor, acceptor = donor[gives], acceptor[gives]
    ends = ((h, o), (h, c), (n, c), (n, o))
    ho, hc, nc, no = (np.sqrt(np.square(a[donor] - b[acceptor]).sum(axis=1)) for a, b in ends)
    with np.errstate(divide="ignore"):
        energy = np.round(_COUPLING * (1.0 / hc + 1.0 / no - 1.0 / ho - 1.0 / nc), 3)
    energy[np.minimum(np.minimum(ho, hc), np.minimum(nc, no)) < _NEAREST_ANGSTROM] = _LOWEST
    energy = np.maximum(energy, _LOWEST)
    kept = energy < 0.0
    return donor[kept], acceptor[kept], energy[kept]


def _two_best(donor: IntArray, acceptor: IntArray, energy: FloatArray, count: int) -> HydrogenBonds:
    """Keep two acceptors a donor, lowest energy first, the earlier residue on ties."""
    order = np.lexsort((acceptor, energy, donor))
    donor, acceptor, energy = donor[order], acceptor[order], energy[order]
    rank = np.arange(len(donor)) - np.searchsorted(donor, donor)
    acceptors, energies = np.full((count, 2), _NEVER, dtype=np.int64), np.zeros((count, 2))
    best = rank < 2
    acceptors[donor[best], rank[best]] = acceptor[best]
    energies[donor[best], rank[best]] = energy[best]
    return HydrogenBonds(acceptors, energies)


def assign_dssp(coords: FloatArray, segment: IntArray, sequence: str | None = None, *, ppii: bool = False) -> str:
    """Assign the eight DSSP states to a backbone.

    Parameters
    ----------
    coords : array [L, >=4, 3]
        N, CA, C, O in angstrom. A residue that lacks one of them (NaN) is left out, as the program does, and gets C.
    segment : int array [L]
        Residues of one unbroken stretch of a chain share a number. A C-N distance above 2.5 A breaks as well.
    sequence : str, optional
        One-letter codes; only P matters, since proline gives no hydrogen bond. Default: no proline.
    ppii : bool
        True marks polyproline helices (at least 3 residues near phi -75, psi 145) with P instead of C.

    Returns
    -------
    str of length L
        Letters of `STATES8` (and P).

    Raises
    ------
    InputError
        If the arrays do not fit each other or an atom is infinite.

    Notes
    -----
    Bonds between chains count, so pass a complex as one array to get the strands that its chains form together. As in
    the program, the first N-H of a stretch is placed by the residue before it in the file, whatever chain that is.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(12, -57.0), np.full(12, -47.0))
    >>> assign_dssp(helix, np.zeros(12, dtype=int))
    'CHHHHHHHHHHC'
    """
    xyz, breaks, letters = _checked(coords, segment, sequence)
    states = np.full(len(xyz), "C", dtype="<U1")
    complete: BoolArray = np.all(np.isfinite(xyz), axis=(1, 2))
    chain = xyz[complete]
    if len(chain) > 1:
        residues = "".join(letter for letter, kept in zip(letters, complete, strict=True) if kept)
        states[complete] = _assign(chain, _stretches(chain, breaks[complete], complete), residues, ppii=ppii)
    return "".join(states)


def _checked(coords: FloatArray, segment: IntArray, sequence: str | None) -> tuple[FloatArray, IntArray, str]:
    xyz = np.asarray(coords, dtype=np.float64)
    if xyz.ndim != 3 or xyz.shape[1] < 4 or xyz.shape[2] != 3:
        raise InputError(f"`coords` must hold N, CA, C, O, [L, >=4, 3], found shape {list(xyz.shape)}")
    xyz = xyz[:, :4]
    if np.isinf(xyz).any():
        place = np.argwhere(np.isinf(xyz))[0].tolist()
        raise InputError(f"`coords` must be finite or NaN, found an infinite number at index {place}")
    breaks = np.asarray(segment)
    if breaks.shape != (len(xyz),):
        raise InputError(f"`segment` must hold one number a residue, [{len(xyz)}], found shape {list(breaks.shape)}")
    letters = "A" * len(xyz) if sequence is None else sequence
    if len(letters) != len(xyz):
        raise InputError(f"`sequence` must have one letter a residue, {len(xyz)}, found {len(letters)}")
    return xyz, breaks, letters


def _stretches(chain: FloatArray, segment: IntArray, complete: BoolArray) -> IntArray:
    """Give every complete residue the number of its unbroken stretch; a residue left out breaks the chain."""
    wide = np.linalg.norm(chain[1:, 0] - chain[:-1, 2], axis=1) > _PEPTIDE_BOND_ANGSTROM
    gap = np.diff(np.flatnonzero(complete)) > 1
    return np.concatenate([[0], np.cumsum(wide | gap | (np.diff(segment) != 0))])


def _assign(chain: FloatArray, stretch: IntArray, sequence: str, *, ppii: bool) -> np.ndarray:
    pairs = _near_pairs(chain[:, 1])
    bonds = _two_best(*_bond_energies(chain, sequence, pairs), len(chain))
    acceptors = np.where(bonds.energies < _BOND_BELOW, bonds.acceptors, _NEVER)
    states = np.full(len(chain), "C", dtype="<U1")
    for first, last, letter in _strands(_ladders(_bridges(pairs, acceptors, stretch), stretch)):
        part = states[first : last + 1]
        part[part != "E"] = letter
    starts = _helices(states, acceptors, stretch)
    _turns_and_bends(states, starts, chain[:, 1], stretch)
    if ppii:
        _polyproline(states, chain, stretch)
    return states


def _bonded(acceptors: IntArray, donor: IntArray, acceptor: IntArray) -> BoolArray:
    mine = acceptors[donor]
    return (mine[:, 0] == acceptor) | (mine[:, 1] == acceptor)


def _bridges(pairs: IntArray, acceptors: IntArray, stretch: IntArray) -> list[tuple[int, int, bool]]:
    """Bridges (i, j, parallel) in order of i, then j (Kabsch & Sander 1983, section "bridges")."""
    inside = np.zeros(len(stretch), dtype=bool)
    inside[1:-1] = stretch[2:] == stretch[:-2]
    some = acceptors.max(axis=1) >= 0
    some[acceptors[acceptors >= 0]] = True
    some[1:] |= some[:-1]
    some[:-1] |= some[1:]
    far = pairs[:, 1] - pairs[:, 0] > 2  # closer residues share atoms of the pattern
    i, j = pairs[far & inside[pairs].all(axis=1) & some[pairs].all(axis=1)].T

    def bond(donor: IntArray, acceptor: IntArray) -> BoolArray:
        return _bonded(acceptors, donor, acceptor)

    parallel = (bond(i + 1, j) & bond(j, i - 1)) | (bond(j + 1, i) & bond(i, j - 1))
    anti = (bond(i + 1, j - 1) & bond(j + 1, i - 1)) | (bond(j, i) & bond(i, j))
    kept = parallel | anti
    return list(zip(i[kept].tolist(), j[kept].tolist(), parallel[kept].tolist(), strict=True))


class _Ladder:
    """Consecutive bridges of one kind: ends of the two strands, i ascending, j from its low to its high end."""

    __slots__ = ("count", "first_i", "first_j", "last_i", "last_j", "parallel")

    def __init__(self, i: int, j: int, *, parallel: bool) -> None:
        self.first_i = self.last_i = i
        self.first_j = self.last_j = j
        self.parallel = parallel
        self.count = 1


def _ladders(bridges: list[tuple[int, int, bool]], stretch: IntArray) -> list[_Ladder]:
    """Join neighbouring bridges to ladders, then ladders over bulges (at most one extra residue against four)."""
    growing: dict[tuple[bool, int, int], _Ladder] = {}
    ladders: list[_Ladder] = []
    for i, j, parallel in bridges:
        ladder = growing.pop((parallel, i, j), None)
        if ladder is None:
            ladder = _Ladder(i, j, parallel=parallel)
            ladders.append(ladder)
        else:
            ladder.last_i, ladder.count = i, ladder.count + 1
            ladder.first_j, ladder.last_j = min(j, ladder.first_j), max(j, ladder.last_j)
        growing[parallel, i + 1, j + 1 if parallel else j - 1] = ladder
    ladders.sort(key=lambda one: one.first_i)
    joined: list[_Ladder] = []
    while ladders:
        one = ladders.pop(0)
        place = 0
        while place < len(ladders) and ladders[place].first_i - one.last_i < 6:
            if _bulge(one, ladders[place], stretch):
                _absorb(one, ladders.pop(place))
            else:
                place += 1
        joined.append(one)
    return joined


def _bulge(one: _Ladder, two: _Ladder, stretch: IntArray) -> bool:
    """Whether ladder `two`, which starts later, continues ladder `one` after a bulge."""
    gap_i = two.first_i - one.last_i
    gap_j = two.first_j - one.last_j if one.parallel else one.first_j - two.last_j
    if one.parallel != two.parallel or gap_i < 0 or gap_j < 0 or (gap_i == 0 and one.first_i <= two.last_i):
        return False
    low_j, high_j = min(one.first_j, two.first_j), max(one.last_j, two.last_j)
    if stretch[one.first_i] != stretch[max(one.last_i, two.last_i)] or stretch[low_j] != stretch[high_j]:
        return False
    return (gap_j < 6 and gap_i < 3) or gap_j < 3


def _absorb(one: _Ladder, two: _Ladder) -> None:
    one.last_i, one.count = two.last_i, one.count + two.count
    if one.parallel:
        one.last_j = two.last_j
    else:
        one.first_j = two.first_j


def _strands(ladders: list[_Ladder]) -> list[tuple[int, int, str]]:
    found = []
    for ladder in ladders:
        letter = "E" if ladder.count > 1 else "B"
        found += [(ladder.first_i, ladder.last_i, letter), (ladder.first_j, ladder.last_j, letter)]
    return found


def _helices(states: np.ndarray, acceptors: IntArray, stretch: IntArray) -> dict[int, BoolArray]:
    """Mark helices of 4, 3 and 5 residues a turn; return where n-turns start."""
    count, starts = len(states), {}
    for turn in (3, 4, 5):
        starts[turn] = np.zeros(count, dtype=bool)
        if count > turn:
            first = np.arange(count - turn)
            starts[turn][first] = _bonded(acceptors, first + turn, first) & (stretch[turn:] == stretch[:-turn])
    for turn, letter, over in ((4, "H", ""), (3, "G", "CG"), (5, "I", "CIH")):
        twice = np.flatnonzero(starts[turn][1:] & starts[turn][:-1]) + 1
        for i in twice[twice + turn < count].tolist():
            part = states[i : i + turn]
            if not over or all(state in over for state in part):
                part[:] = letter
    return starts


def _turns_and_bends(states: np.ndarray, starts: dict[int, BoolArray], ca: FloatArray, stretch: IntArray) -> None:
    count = len(states)
    turning = np.zeros(count, dtype=bool)
    for turn, begun in starts.items():
        for k in range(1, turn):
            turning[k:] |= begun[: max(count - k, 0)]
    bending = np.zeros(count, dtype=bool)
    if count > 4:
        before, after = ca[2:-2] - ca[:-4], ca[4:] - ca[2:-2]
        scale = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        cosine = np.sum(before * after, axis=1) / np.maximum(scale, 1e-12)
        bending[2:-2] = (cosine < np.cos(np.radians(_BEND_DEG))) & (stretch[4:] == stretch[:-4])
    free = states == "C"
    free[[0, -1]] = False
    states[free & bending] = "S"
    states[free & turning] = "T"


def _polyproline(states: np.ndarray, chain: FloatArray, stretch: IntArray) -> None:
    phi, psi, _ = backbone_torsions(chain, stretch)
    wanted_phi, wanted_psi = _PPII_PHI_PSI_DEG
    fits = (np.abs(phi - wanted_phi) <= _PPII_SPREAD_DEG) & (np.abs(psi - wanted_psi) <= _PPII_SPREAD_DEG)
    for i in range(1, len(states) - _PPII_LENGTH):
        if fits[i : i + _PPII_LENGTH].all():
            part = states[i : i + _PPII_LENGTH]
            part[part == "C"] = "P"
