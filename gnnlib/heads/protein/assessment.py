"""The verbs `assess` and `consensus`: how good is a model, against its native, without one, or among other models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.geometry import apply_transform
from gnnlib.heads.protein.metrics import best_superposition, lddt, lddt_per_residue, rmsd
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.result import Assessment, Consensus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.heads.protein.quality import QualityEstimate
    from gnnlib.typing import FloatArray

__all__ = ["assess", "consensus"]

_MATCHES = ("order", "numbering")


@overload
def assess(model: Any, native: None = None, *, match: str = "order") -> QualityEstimate: ...


@overload
def assess(model: Any, native: Any, *, match: str = "order") -> Assessment: ...


def assess(model: Any, native: Any | None = None, *, match: str = "order") -> Assessment | QualityEstimate:
    """Judge a model, against its native when there is one.

    Parameters
    ----------
    model, native : Structure, path or array-like [L, 3]
        What `as_structure` takes; CA positions are compared. Without a native the quality is estimated by the network
        that ships with the library.
    match : str
        ``"order"`` (default): the same residues in the same order. ``"numbering"``: residues of the same chain, number
        and insertion code; chain names are ignored when both have one chain. Native residues that the model lacks score
        0, further residues of the model are left out.

    Returns
    -------
    Assessment
        Or, without a native, a `QualityEstimate` (``.lddt_per_residue``, ``.lddt``, ``.gdt_ts``).

    Raises
    ------
    InputError
        If the lengths differ (``"order"``), nothing matches (``"numbering"``), or an input is no structure.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(20, -57.0), np.full(20, -47.0))
    >>> result = assess(helix + 3.0, helix)
    >>> round(result.tm_score, 6), result.gdt_ts, result.lddt
    (1.0, 1.0, 1.0)
    """
    if match not in _MATCHES:
        raise InputError(f"`match` must be one of {list(_MATCHES)}, found {match!r}")
    ours = as_structure(model)
    if native is None:
        from gnnlib.heads.protein.quality import predict_quality  # brings torch and the weights along

        return predict_quality(ours)
    theirs = as_structure(native)
    placed, matched = _placed(ours, theirs, match)
    found, length = best_superposition(placed, theirs.ca)
    moved = apply_transform(placed, found.rotation, found.translation)
    return Assessment(
        rmsd=float(rmsd(placed, theirs.ca)),
        tm_score=found.tm_sum / length,
        gdt_ts=float(found.within[1:5].mean() / length),
        gdt_ha=float(found.within[:4].mean() / length),
        lddt=lddt(placed, theirs.ca),
        lddt_per_residue=lddt_per_residue(placed, theirs.ca),
        distances_angstrom=np.linalg.norm(moved - theirs.ca, axis=1),
        coords=moved,
        native=theirs.ca,
        rotation=found.rotation,
        translation=found.translation,
        num_matched=matched,
        name=ours.name,
        native_name=theirs.name,
    )


def _placed(model: Structure, native: Structure, match: str) -> tuple[FloatArray, int]:
    """CA of the model in the rows of the native (NaN where it has none) and how many there are."""
    if match == "order":
        if model.num_residues != native.num_residues:
            raise InputError(
                f"the model has {model.num_residues} residues, the native {native.num_residues}; they must be the "
                "same, or pass match='numbering' to pair residues by their numbers"
            )
        return model.ca, model.num_residues
    one_chain = len(model.chains) == len(native.chains) == 1
    places = {key: row for row, key in enumerate(_keys(model, with_chain=not one_chain))}
    rows = [places.get(key, -1) for key in _keys(native, with_chain=not one_chain)]
    index = np.array(rows)
    if (index < 0).all():
        raise InputError(
            f"no residue of the model ({model.residue_label(0)} ...) has the chain and number of one of the native "
            f"({native.residue_label(0)} ...); renumber, or cut both to the same residues and use match='order'"
        )
    return np.where((index >= 0)[:, None], model.ca[index], np.nan), int((index >= 0).sum())


def _keys(structure: Structure, *, with_chain: bool) -> list[tuple[str, int, str]]:
    chains = structure.chain_ids.tolist() if with_chain else [""] * structure.num_residues
    return list(zip(chains, structure.residue_numbers.tolist(), structure.insertion_codes.tolist(), strict=True))


def consensus(models: Sequence[Any], *, metric: str = "gdt_ts") -> Consensus:
    """Score models of one protein by how much they agree with each other.

    Parameters
    ----------
    models : sequence of Structure, path or array-like [L, 3]
        At least two, of the same residues in the same order.
    metric : str
        Similarity of two models: ``"gdt_ts"`` (default), ``"tm_score"`` or ``"lddt"`` (mean of both directions).

    Returns
    -------
    Consensus

    Raises
    ------
    InputError
        If there are fewer than two models, their lengths differ, or the metric is unknown.

    Notes
    -----
    The score of a model is its mean similarity to the others: the naive consensus that is the baseline of the quality
    category of CASP (A. Kryshtafovych et al., Proteins 84 S1, 349, 2016). It prefers what is common, right or wrong.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(20, -57.0), np.full(20, -47.0))[:, 1]
    >>> strand = build_backbone(np.full(20, -120.0), np.full(20, 130.0))[:, 1]
    >>> consensus([helix, helix + 1.0, strand]).ranking.tolist()[-1]
    2
    """
    if metric not in ("gdt_ts", "tm_score", "lddt"):
        raise InputError(f"`metric` must be 'gdt_ts', 'tm_score' or 'lddt', found {metric!r}")
    structures = [as_structure(one) for one in models]
    if len(structures) < 2:
        raise InputError(f"`models` must hold at least 2 models to compare, found {len(structures)}")
    lengths = [one.num_residues for one in structures]
    if len(set(lengths)) > 1:
        wrong = next(i for i, length in enumerate(lengths) if length != lengths[0])
        raise InputError(
            f"`models` must have the same residues, found {lengths[0]} in 0 and {lengths[wrong]} in {wrong}"
        )
    traces = [one.ca for one in structures]
    count = len(traces)
    similarity, local = np.eye(count), np.zeros((count, lengths[0]))
    for i in range(count):
        for j in range(i + 1, count):
            one, other = lddt_per_residue(traces[i], traces[j]), lddt_per_residue(traces[j], traces[i])
            local[i] += one  # each judged against the other
            local[j] += other
            similarity[i, j] = similarity[j, i] = _similarity(traces[i], traces[j], metric)
    scores = (similarity.sum(axis=1) - 1.0) / (count - 1)
    names = tuple(one.name for one in structures)
    return Consensus(scores, similarity, local / (count - 1), metric, names)


def _similarity(a: FloatArray, b: FloatArray, metric: str) -> float:
    if metric == "lddt":
        return 0.5 * (lddt(a, b) + lddt(b, a))
    found, length = best_superposition(a, b)
    return found.tm_sum / length if metric == "tm_score" else float(found.within[1:5].mean() / length)
