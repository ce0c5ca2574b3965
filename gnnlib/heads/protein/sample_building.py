"""Make protein-like chains from internal coordinates: helices, hairpins, sheets, and folds of several elements.

None of them is a real protein. Torsions come from the basins of the Ramachandran map; the loops between elements are
drawn at random, and of many draws the one whose chain is most compact without clashes (and, for strands, has most
backbone hydrogen bonds) is kept.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.heads.protein.geometry import build_backbone
from gnnlib.heads.protein.problem import Structure
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["build_chain", "fold_chain", "invent_sequence", "place_disulfide"]

_HELIX, _STRAND = (-63.0, -42.0), (-115.0, 132.0)
_LOOP_BASINS = np.array([(-65.0, -40.0), (-75.0, 145.0), (-120.0, 130.0), (57.0, 40.0), (-90.0, 0.0)])
# the two residues at the corners of hairpins: turns of types I' and II'
_TURNS = np.array([[(55.0, 38.0), (82.0, 5.0)], [(60.0, -122.0), (-82.0, 2.0)]])
_CLASH_ANGSTROM, _CONTACT_ANGSTROM = 4.2, 8.0
_LETTERS = {"H": "AELKQMRIEALK", "E": "VITYFWVTKLRE", "C": "GNPDSTKEQA"}


def build_chain(elements: str, *, seed: int, draws: int = 300, name: str = "") -> Structure:
    """Build a compact chain from a list of secondary-structure elements.

    Parameters
    ----------
    elements : str
        Words such as ``"H18 L4 B7"``: a helix (H), a strand (E) or a loop (L) of that length, a hairpin (B) of two
        strands of that length each, or the two-residue turn (T) between strands.
    seed : int
        Same seed, same chain.
    draws : int
        Ways that are tried for every loop or turn, at least 1.
    name : str

    Returns
    -------
    Structure
        N, CA, C, O and CB of an invented sequence, glycine without CB; chain A, numbered from 1.

    Examples
    --------
    >>> build_chain("H12 L3 H12", seed=0, draws=20)
    Structure(name='', num_residues=27, chains=('A',))
    """
    random = numpy_generator(seed)
    words = elements.split()
    torsions, states, place = np.zeros((0, 2)), "", 0
    while place < len(words):
        is_joint = words[place][0] in "LT" and place + 1 < len(words)
        part = words[place : place + 1 + is_joint]
        torsions = _best_extension(torsions, part, draws if is_joint else 1, random)
        states += "".join(_states(word) for word in part)
        place += len(part)
    return _as_structure(torsions, states, random, name)


def fold_chain(elements: str, *, seed: int, moves: int = 30_000, name: str = "") -> Structure:
    """Fold a chain into a globule: anneal the torsions of its loops, all together, while the elements stay rigid.

    `build_chain` places one element after the other, which ends in a corner when there are many of them.

    Parameters
    ----------
    elements : str
        As for `build_chain`, without turns (T).
    seed : int
        Same seed, same chain.
    moves : int
        Steps of the annealing, at least 1.
    name : str

    Returns
    -------
    Structure
        As of `build_chain`.

    Examples
    --------
    >>> short = fold_chain("H12 L4 H12", seed=0, moves=200)
    >>> short.num_residues
    28
    """
    random = numpy_generator(seed)
    words = elements.split()
    states = "".join(_states(word) for word in words)
    loops = np.flatnonzero(np.concatenate([np.full(len(_states(word)), word[0] == "L") for word in words]))
    torsions = np.concatenate([_draw(word, random) for word in words])
    energy = lowest = _energy(torsions)
    best = torsions
    for heat in np.geomspace(20.0, 0.3, moves):
        moved = torsions.copy()
        chosen = random.choice(loops, random.integers(1, 4))
        moved[chosen] += random.normal(0.0, 40.0 if random.random() < 0.3 else 8.0, (len(chosen), 2))
        found = _energy(moved)
        if found < energy - heat * np.log(random.random()):
            torsions, energy = moved, found
        if energy < lowest:
            best, lowest = torsions, energy
    return _as_structure(best, states, random, name)


def _energy(torsions: FloatArray) -> float:
    """Size of the globule and its clashes, less its contacts."""
    coords = build_backbone(torsions[:, 0].copy(), torsions[:, 1].copy(), 180.0)
    ca = coords[:, 1]
    tree = cKDTree(ca)
    radius = float(np.sqrt(((ca - ca.mean(axis=0)) ** 2).sum(axis=1).mean()))
    clashes = _far_pairs(tree, 4.6, 2) + 5.0 * _far_pairs(tree, _CLASH_ANGSTROM, 2)
    clashes += 0.5 * _far_pairs(cKDTree(coords[:, 4]), 4.0, 2)
    return 0.3 * radius * len(ca) + 12.0 * clashes - 0.4 * _far_pairs(tree, _CONTACT_ANGSTROM, 5)


def _far_pairs(tree: cKDTree, distance: float, gap: int) -> int:
    """Count pairs within `distance` that are more than `gap` residues apart."""
    pairs = tree.query_pairs(distance, output_type="ndarray")
    return int(np.count_nonzero(pairs[:, 1] - pairs[:, 0] > gap))


def _as_structure(torsions: FloatArray, states: str, random: np.random.Generator, name: str) -> Structure:
    coords = build_backbone(torsions[:, 0].copy(), torsions[:, 1].copy(), 180.0)
    coords = coords - coords[:, 1].mean(axis=0)
    sequence = invent_sequence(states, torsions[:, 0], random)
    coords[[letter == "G" for letter in sequence], 4] = np.nan
    return Structure.from_arrays(coords.round(3), sequence, name=name, b_factors=np.full(len(coords), 20.0))


def _states(word: str) -> str:
    """State of every residue of an element; C for loops and turns."""
    if word == "T":
        return "CC"
    count = int(word[1:])
    if word[0] == "B":
        return "E" * count + "CC" + "E" * count
    return ("C" if word[0] == "L" else word[0]) * count


@cache
def _hairpin(strand: int) -> FloatArray:
    """Torsions of a hairpin whose hydrogen bonds are closed."""
    random = numpy_generator(2)
    start = _draw(f"E{strand}", random)
    return _best_extension(start, ["T", f"E{strand}"], 600, random)


def _draw(word: str, random: np.random.Generator) -> FloatArray:
    """Torsions of one element [n, 2], a little different at every draw."""
    if word[0] == "B":
        hairpin = _hairpin(int(word[1:]))
        return hairpin + random.normal(0.0, 1.0, hairpin.shape)
    count = len(_states(word))
    if word[0] == "T":
        return _TURNS[random.integers(len(_TURNS))] + random.normal(0.0, 12.0, (2, 2))
    if word[0] == "L":
        return _LOOP_BASINS[random.integers(len(_LOOP_BASINS), size=count)] + random.normal(0.0, 12.0, (count, 2))
    spread, centre = (2.0, _HELIX) if word[0] == "H" else (5.0, _STRAND)
    shared = random.normal(0.0, 1.5 * spread if word[0] == "E" else 0.0, 2)  # the twist of a strand
    return np.array(centre) + shared + random.normal(0.0, spread, (count, 2))


def _best_extension(torsions: FloatArray, words: list[str], draws: int, random: np.random.Generator) -> FloatArray:
    """Append elements: of several draws the one of highest score."""
    best, best_score = torsions, -np.inf
    start = len(torsions)
    is_rigid = np.concatenate([np.full(len(_states(word)), word[0] in "HB") for word in words])
    for _ in range(draws):
        candidate = np.concatenate([torsions, *(_draw(word, random) for word in words)])
        score = 0.0 if draws == 1 else _score(candidate, start)
        if score > best_score:
            best, best_score = candidate, score
    for _ in range(0 if draws == 1 else draws):  # hill climbing closes the hydrogen bonds of strands
        moved = best.copy()
        chosen = (random.random(len(best) - start) < 0.3) & ~is_rigid
        moved[start:][chosen] += random.normal(0.0, 5.0, (int(chosen.sum()), 2))
        score = _score(moved, start)
        if score > best_score:
            best, best_score = moved, score
    return best


def _score(torsions: FloatArray, start: int) -> float:
    """Contacts and hydrogen bonds that the residues from `start` on make, less their clashes."""
    coords = build_backbone(torsions[:, 0].copy(), torsions[:, 1].copy(), 180.0)
    ca = coords[:, 1]
    pairs = cKDTree(ca).query_pairs(_CONTACT_ANGSTROM, output_type="ndarray")
    pairs = pairs[(pairs[:, 1] - pairs[:, 0] > 2) & (pairs[:, 1] >= start)]
    distance = np.linalg.norm(ca[pairs[:, 0]] - ca[pairs[:, 1]], axis=1)
    contacts = float(np.count_nonzero(pairs[:, 1] - pairs[:, 0] > 5))
    clashes = float(np.count_nonzero(distance < _CLASH_ANGSTROM))
    bonds = _hydrogen_bonds(coords, pairs)
    depth = np.linalg.norm(ca - ca.mean(axis=0), axis=1)
    end = float(depth[-1])  # a buried end leaves no room for what follows
    return contacts + 12.0 * bonds - 200.0 * clashes - 4.0 * float(depth.mean()) + 0.3 * end


def _hydrogen_bonds(coords: FloatArray, pairs: IntArray) -> float:
    """Count N-O pairs at bonding distance that point at each other, smoothly."""
    far = pairs[pairs[:, 1] - pairs[:, 0] > 2]
    i, j = np.concatenate([far, far[:, ::-1]]).T
    carbonyl = (coords[i, 3] - coords[i, 2]) / 1.231
    bond = coords[j, 0] - coords[i, 3]
    length = np.linalg.norm(bond, axis=1)
    is_bond = (length < 4.5) & (np.abs(i - j) > 2) & (i > 0) & (j > 0)
    alignment = np.clip(np.einsum("ij,ij->i", carbonyl, bond) / length, 0.0, 1.0)
    return float((np.exp(-(((length - 2.9) / 0.6) ** 2)) * alignment)[is_bond].sum())


def invent_sequence(states: str, phi: FloatArray, random: np.random.Generator) -> str:
    """Return letters that suit the states H, E and C; glycine where phi is positive, proline in loops only."""
    letters = []
    for state, angle in zip(states, phi.tolist(), strict=True):
        letter = _LETTERS[state][random.integers(len(_LETTERS[state]))]
        if angle > 0.0:
            letter = "G"
        elif letter == "P" and not -90.0 < angle < -50.0:
            letter = "S"
        letters.append(letter)
    return "".join(letters)


def place_disulfide(structure: Structure, first: int, second: int) -> FloatArray:
    """Return SG positions [L, 3] that join two residues by a disulfide bond of 2.05 angstrom.

    The two CB atoms must be less than 5.6 angstrom apart: CB-SG is 1.81 angstrom on both sides.
    """
    cb = structure.coords_angstrom[[first, second], 4]
    along = cb[1] - cb[0]
    distance = float(np.linalg.norm(along))
    along = along / distance
    reach = (distance - 2.05) / 2.0
    outward = cb.mean(axis=0) - structure.ca[[first, second]].mean(axis=0)
    side = outward - (outward @ along) * along
    side = side / np.linalg.norm(side)
    lift = np.sqrt(max(1.81**2 - reach**2, 0.0))
    sulfurs = np.full((len(structure), 3), np.nan)
    sulfurs[first] = cb[0] + reach * along + lift * side
    sulfurs[second] = cb[1] - reach * along + lift * side
    return sulfurs.round(3)
