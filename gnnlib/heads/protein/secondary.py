"""The verb `secondary_structure`: eight and three states of every residue, by three methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.dssp import STATES8, assign_dssp
from gnnlib.heads.protein.problem import as_structure
from gnnlib.heads.protein.result import SecondaryStructure

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.typing import FloatArray

__all__ = ["SecondaryStructure", "secondary_structure"]


def secondary_structure(x: Any, *, method: str = "dssp") -> SecondaryStructure:
    """Find the secondary structure of a protein.

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes.
    method : str
        ``"dssp"`` (default): assigned from the hydrogen bonds of N, CA, C, O; bonds between chains count. ``"ca"``:
        learned, from CA positions alone, also noisy ones. ``"sequence"``: learned, from the sequence alone (then `x` may
        be a string of one-letter codes); weak, about seven of ten residues get the right one of three states.

    Returns
    -------
    SecondaryStructure

    Raises
    ------
    InputError
        If the method is unknown, or ``"dssp"`` meets a structure in which no residue has N, CA, C and O.

    Notes
    -----
    ``"dssp"`` gives a residue that lacks an atom of N, CA, C, O the state C and breaks the chain there. It agrees with
    the program DSSP 4 (see `gnnlib.heads.protein.dssp.assign_dssp`).

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(12, -57.0), np.full(12, -47.0))
    >>> secondary_structure(helix).states8
    'CHHHHHHHHHHC'
    """
    if method not in _METHODS:
        raise InputError(f"`method` must be one of {sorted(_METHODS)}, found {method!r}")
    return _METHODS[method](x)


def _from_backbone(x: Any) -> SecondaryStructure:
    structure = as_structure(x)
    if not structure.atom_mask[:, :4].all(axis=1).any():
        raise InputError(
            f"method 'dssp' needs N, CA, C and O, found {'only CA' if structure.is_ca_only else 'no residue with all'} "
            f"in {structure.name or 'the structure'}; use method 'ca'"
        )
    states = assign_dssp(structure.coords_angstrom, structure.segment, structure.sequence)
    return SecondaryStructure(states, one_hot(states), "dssp", structure.name)


def one_hot(states8: str) -> FloatArray:
    """Turn letters of the eight states into rows of zeros and a one [L, 8].

    Examples
    --------
    >>> one_hot("HC").argmax(axis=1).tolist()
    [0, 7]
    """
    return np.eye(len(STATES8))[[STATES8.index(letter) for letter in states8]]


def _from_ca(x: Any) -> SecondaryStructure:
    from gnnlib.heads.protein.structure_models import secondary_structure_from_ca  # needs torch

    return secondary_structure_from_ca(x)


def _from_sequence(x: Any) -> SecondaryStructure:
    from gnnlib.heads.protein.sequence_models import secondary_structure_of_sequence  # torch only on demand

    return secondary_structure_of_sequence(x)


_METHODS: dict[str, Callable[[Any], SecondaryStructure]] = {
    "dssp": _from_backbone,
    "ca": _from_ca,
    "sequence": _from_sequence,
}
