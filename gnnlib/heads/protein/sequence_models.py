"""What the trained sequence model says of a sequence: secondary structure, torsions, distances, contacts, and a fold.

One sequence without relatives holds little of its fold; the results say how little. No torch is imported before a verb
is called.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.decode import reconstruct
from gnnlib.heads.protein.folding.fold_ensemble import contact_share, ensemble_distances, fold_ensemble
from gnnlib.heads.protein.problem import as_structure
from gnnlib.heads.protein.residues import AMINO_ACIDS, clean_sequence, sequence_indices
from gnnlib.heads.protein.result import DistancePrediction, SecondaryStructure, Torsions

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.heads.protein.networks.pair_head import PairScores
    from gnnlib.seeding import Seed
    from gnnlib.typing import ArrayLike, BoolArray, FloatArray, PathLike

__all__ = ["MAX_RESIDUES", "DistancePrediction", "predict_distances", "secondary_structure_of_sequence"]

#: Longest sequence that `predict_distances` takes: memory grows with the square.
MAX_RESIDUES = 1000

_WEIGHTS = "protein-sequence"
_STATES8 = "HBEGITSC"
_CENTRES = np.array([3.9, 5.8, 7.2, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 26.0])  # angstrom, of the bins of distance
_GIVEN_SPREAD_ANGSTROM = 0.1
_NETWORK_POWER, _LEAST_CHANCE = 0.4, 1e-4
_MEDIUM = 12  # places along the chain from which on a contact is of medium or long range


def predict_distances(
    sequence: Any,
    *,
    distances: ArrayLike | None = None,
    weights: PathLike = _WEIGHTS,
    seed: Seed = 0,
) -> DistancePrediction:
    """Predict distances, contacts, secondary structure, torsions and a fold from one sequence.

    Parameters
    ----------
    sequence : str, Structure or path
        One-letter codes, X unknown; of a structure only the sequence is read. Up to 1,000 residues.
    distances : array-like [L, L], optional
        Some known CA-CA distances in angstrom, symmetric, NaN where unknown: the rest is completed from them.
    weights : path-like, default "protein-sequence"
        The model, see `gnnlib.load`.
    seed : int, default 0
        Of the fold.

    Returns
    -------
    DistancePrediction

    Raises
    ------
    InputError
        If the sequence holds an unknown letter, is empty or too long, or `distances` does not fit it.

    Notes
    -----
    The weak verb of the library, and it says so: from one sequence seven of ten residues get the right one of three
    states, and one in six of the best L/5 contacts exists; the fold is wrong as a rule (``benchmarks/RESULTS.md``).

    With half a known distance a residue or more, the chain is folded several times from these and from what the network
    says of residues up to eight places apart. Distances are then the means over the folds, `spread` tells how much they
    differ, contacts are those of the folds, with the network as a second opinion, and `coords` is the fold that keeps
    the known distances best. With 5 % of the true distances of 78 validation chains of 24 to 130 residues the mean
    TM-score was 0.87, and the other distances were 0.4 angstrom off.

    Examples
    --------
    >>> found = predict_distances("GSHMLEKALEELAKKLGVSPEELLKALEEAKK")
    >>> found.distances.shape, found.coords.shape, found.secondary.states3.count("H") > 10
    ((32, 32), (32, 3), True)
    """
    letters = _letters(sequence)
    if not 2 <= len(letters) <= MAX_RESIDUES:
        raise InputError(f"`sequence` must have 2 to {MAX_RESIDUES} residues, found {len(letters)}; take one domain")
    given = np.zeros((len(letters), len(letters)))
    if distances is not None:
        given = _checked_given(distances, len(letters))
    return _result(letters, _scores(letters, given if given.any() else None, str(weights)), given, seed)


def secondary_structure_of_sequence(sequence: Any, *, weights: PathLike = _WEIGHTS) -> SecondaryStructure:
    """Predict the secondary structure from the sequence alone; what ``method="sequence"`` calls.

    Parameters
    ----------
    sequence : str, Structure or path
        One-letter codes, or a structure, of which only the sequence is read. A string that names an existing file is a
        path.
    weights : path-like, default "protein-sequence"
        The model, see `gnnlib.load`.

    Examples
    --------
    >>> secondary_structure_of_sequence("EEELLKKALELAKKL").states3.count("H") > 5
    True
    """
    letters = _letters(sequence)
    probabilities = _softmax(_residue_scores(letters, str(weights)))
    return _states(probabilities)


def _letters(sequence: Any) -> str:
    if isinstance(sequence, str) and set(sequence.strip().upper()) <= {*AMINO_ACIDS, *"XBZJUO \n\t"}:
        return clean_sequence(sequence)
    if isinstance(sequence, str) and "." not in sequence and "/" not in sequence:
        return clean_sequence(sequence)  # raises, naming the letter
    return as_structure(sequence).sequence


def _checked_given(distances: ArrayLike, count: int) -> FloatArray:
    matrix = np.asarray(distances, dtype=np.float64)
    if matrix.shape != (count, count):
        raise InputError(f"`distances` must have shape [{count}, {count}] as the sequence, found {list(matrix.shape)}")
    known = ~np.isnan(matrix)
    known &= ~np.eye(count, dtype=bool)
    bad = known & ~((matrix > 0) & np.isfinite(matrix))
    if bad.any():
        place = np.argwhere(bad)[0].tolist()
        raise InputError(f"`distances` must be positive, or NaN where unknown; found {matrix[tuple(place)]} at {place}")
    given = np.where(known, matrix, 0.0)
    both = known & known.T
    if not np.allclose(given[both], given.T[both], atol=1e-3):
        place = np.argwhere(both & ~np.isclose(given, given.T, atol=1e-3))[0].tolist()
        raise InputError(
            f"`distances` must be symmetric, found {given[tuple(place)]} at {place} and another at its mirror"
        )
    return np.maximum(given, given.T)


@cache
def _model(weights: str) -> GraphModel:
    from gnnlib.encoder import load
    from gnnlib.heads.protein.networks.pair_head import PairHead

    model = load(weights)
    if not isinstance(model.head, PairHead):
        raise InputError(f"{weights!r} must be a model with a PairHead, found {type(model.head).__name__}")
    return model


def _residue_scores(letters: str, weights: str) -> FloatArray:
    import torch

    from gnnlib.heads.protein.graphs.sequence_graph import sequence_graph
    from gnnlib.heads.protein.networks.pair_head import PairHead

    model = _model(weights)
    graph = sequence_graph(sequence_indices(letters))
    if not isinstance(model.head, PairHead):
        raise InputError("the model must have a PairHead")
    with torch.inference_mode():
        scores = model.head.residue(model.encoder(graph, model.head.spec.name), graph)
    return np.asarray(scores.logit8.double().numpy())


def _scores(letters: str, given: FloatArray | None, weights: str) -> PairScores:
    import torch

    from gnnlib.heads.protein.graphs.sequence_graph import sequence_graph
    from gnnlib.heads.protein.networks.pair_head import PairScores
    from gnnlib.heads.protein.training.pair_data import upper_bounds

    graph = sequence_graph(sequence_indices(letters))
    if given is not None:
        graph.given = torch.from_numpy(given).float().unsqueeze(0)
        graph.upper = torch.from_numpy(upper_bounds(given)).float().unsqueeze(0)
    with torch.inference_mode():
        scores = _model(weights)(graph)
    if not isinstance(scores, PairScores):
        raise InputError(f"the model must return PairScores, found {type(scores).__name__}")
    return scores


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _states(probabilities: FloatArray) -> SecondaryStructure:
    letters = "".join(_STATES8[index] for index in probabilities.argmax(axis=1))
    return SecondaryStructure(letters, probabilities, "sequence")


def _torsions(values: FloatArray) -> Torsions:
    phi, psi = (np.degrees(np.arctan2(values[:, k], values[:, k + 1])) for k in (0, 2))
    unknown = np.full(len(values), np.nan)
    phi[0], psi[-1] = np.nan, np.nan
    return Torsions(phi, psi, unknown, unknown.copy(), unknown.copy())


def _result(letters: str, scores: PairScores, given: FloatArray, seed: Seed) -> DistancePrediction:
    from gnnlib.heads.protein.networks.pair_head import CONTACT_ANGSTROM, DISTANCE_EDGES
    from gnnlib.heads.protein.training.sequence_data import BURIAL_UNIT

    length = len(letters)
    distogram = _softmax(scores.distance[0].double().numpy())
    contact = 1.0 / (1.0 + np.exp(-scores.contact[0].double().numpy()))
    expected = distogram @ _CENTRES
    spread = np.sqrt(np.maximum(distogram @ _CENTRES**2 - expected**2, 0.25))
    place = np.arange(length)
    separation = np.abs(place[:, None] - place)
    secondary = _states(_softmax(scores.residue.logit8.double().numpy()))
    torsions = _torsions(scores.residue.torsion.double().numpy())
    # products of matrices round the two triangles differently
    expected, spread, contact = (0.5 * (matrix + matrix.T) for matrix in (expected, spread, contact))
    known = given > 0
    expected, spread = np.where(known, given, expected), np.where(known, _GIVEN_SPREAD_ANGSTROM, spread)
    if int(known.sum()) >= length:  # with half a pair a residue, what is predicted of far pairs would only disturb
        traces = fold_ensemble(given, expected, spread, seed)
        folded, wrong = ensemble_distances(traces)
        expected, spread = np.where(known, given, folded), np.where(known, _GIVEN_SPREAD_ANGSTROM, wrong)
        contact = _combined(contact, contact_share(traces, CONTACT_ANGSTROM))
        coords = traces[0] - traces[0].mean(axis=0)
    else:
        expected, coords = _folded(expected, spread, known, secondary, torsions, seed)
    if known.any():
        contact = np.where(known, (given < CONTACT_ANGSTROM).astype(float), contact)
    for matrix, value in ((expected, 0.0), (spread, 0.0), (contact, 1.0)):
        np.fill_diagonal(matrix, value)
    return DistancePrediction(
        sequence=letters,
        distances=expected,
        spread=spread,
        contact_probability=contact,
        bins=np.array(DISTANCE_EDGES),
        distogram=distogram,
        secondary=secondary,
        torsions=torsions,
        burial=scores.residue.burial.double().numpy() * BURIAL_UNIT,
        coords=coords,
        reliability=_reliability(contact, separation),
        num_given=int(known.sum()) // 2,
    )


def _combined(contact: FloatArray, share: FloatArray) -> FloatArray:
    """Odds of the folds times those of the network to the power of 0.4 (chosen on the split val)."""
    contact, share = (np.clip(part, _LEAST_CHANCE, 1.0 - _LEAST_CHANCE) for part in (contact, share))
    odds = share / (1.0 - share) * (contact / (1.0 - contact)) ** _NETWORK_POWER
    return np.asarray(odds / (1.0 + odds))


def _folded(
    expected: FloatArray,
    spread: FloatArray,
    known: BoolArray,
    secondary: SecondaryStructure,
    torsions: Torsions,
    seed: Seed,
) -> tuple[FloatArray, FloatArray]:
    """Distances with bonds, and one fold of all of them, for few or no known pairs."""
    place = np.arange(len(expected))
    bonded = (np.abs(place[:, None] - place) == 1) & ~known
    expected, spread = np.where(bonded, 3.8, expected), np.where(bonded, _GIVEN_SPREAD_ANGSTROM, spread)
    np.fill_diagonal(expected, 0.0)
    weights = 1.0 / np.square(np.maximum(spread, _GIVEN_SPREAD_ANGSTROM))
    found = reconstruct(expected, weights=weights, secondary_structure=secondary.states8, torsions=torsions, seed=seed)
    return expected, found.coords


def _reliability(contact: FloatArray, separation: FloatArray) -> float:
    far = np.sort(contact[np.triu(separation >= _MEDIUM)])[::-1]
    count = max(1, len(contact) // 5)
    return float(far[:count].mean()) if len(far) else 0.0
