"""Answers of the learned models that read structures: secondary structure and torsions from CA positions.

The weights ship with the library and are loaded once, on first use.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.geometry import ca_angles
from gnnlib.heads.protein.problem import as_structure
from gnnlib.heads.protein.result import SecondaryStructure, Torsions

if TYPE_CHECKING:
    from gnnlib.encoder import GraphModel
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["BackbonePrediction", "predict_backbone", "secondary_structure_from_ca", "torsions_from_ca"]

_WEIGHTS = "protein-backbone"
_STATES8 = "HBEGITSC"
_MEMBERS3 = ((0, 3, 4), (1, 2), (5, 6, 7))  # of H, E and C


@dataclass(frozen=True)
class BackbonePrediction:
    """What the model reads off a trace.

    Attributes
    ----------
    probabilities : float64 array [L, 8]
        Of the states "HBEGITSC"; rows sum to 1.
    phi_deg, psi_deg : float64 array [L]
        Torsions in (-180, 180]; at the ends of a chain, where they are not defined, a guess.
    """

    probabilities: FloatArray
    phi_deg: FloatArray
    psi_deg: FloatArray

    @property
    def states8(self) -> str:
        """The most probable of three states, and of its eight-state members the most probable one."""
        whole = np.stack([self.probabilities[:, members].sum(axis=1) for members in map(list, _MEMBERS3)], axis=1)
        best = whole.argmax(axis=1)
        inside = np.zeros((3, len(_STATES8)), bool)
        for number, members in enumerate(_MEMBERS3):
            inside[number, list(members)] = True
        chosen = np.where(inside[best], self.probabilities, -1.0).argmax(axis=1)
        return "".join(_STATES8[state] for state in chosen.tolist())


@functools.cache
def _shipped_model() -> GraphModel:
    from gnnlib.encoder import load

    return load(_WEIGHTS)


def predict_backbone(
    ca: FloatArray, chain: IntArray | None = None, *, model: GraphModel | None = None
) -> BackbonePrediction:
    """Predict secondary structure and torsions of a CA trace.

    Parameters
    ----------
    ca : float array [L, 3]
        Positions in angstrom; they may be noisy.
    chain : int array [L], optional
        Number of the chain of each residue, non-decreasing.
    model : GraphModel, optional
        Default: the shipped one.

    Raises
    ------
    WeightsError
        If the shipped weights are missing or damaged.
    """
    import torch

    from gnnlib.heads.protein.graph import trace_graph
    from gnnlib.heads.protein.head import BackboneOutput, torsion_angles

    used = _shipped_model() if model is None else model
    with torch.inference_mode():
        output = used(trace_graph(np.asarray(ca, dtype=np.float64), chain))
    if not isinstance(output, BackboneOutput) or output.state is None or output.direction is None:
        from gnnlib.errors import InputError

        raise InputError(f"`model` must read secondary structure and torsions, but returned {type(output).__name__}")
    phi, psi = torsion_angles(output.direction).rad2deg().double().numpy().T
    return BackbonePrediction(output.state.double().softmax(dim=-1).numpy(), phi, psi)


def secondary_structure_from_ca(x: Any) -> SecondaryStructure:
    """Predict the secondary structure of a structure from its CA atoms alone.

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes; other atoms and the sequence are not looked at.

    Returns
    -------
    SecondaryStructure
        With probabilities; `states8` is the best state within the best of H, E and C.
    """
    structure = as_structure(x)
    found = predict_backbone(structure.ca, _chain_numbers(structure))
    return SecondaryStructure(found.states8, found.probabilities, "ca", structure.name)


def torsions_from_ca(x: Any) -> Torsions:
    """Predict phi and psi of a structure from its CA atoms alone; the CA angles are measured.

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes.

    Returns
    -------
    Torsions
        NaN where a torsion is not defined: phi at the start of an unbroken stretch, psi at its end. Omega is 0 after a CA
        step shorter than 3.4 A and 180 after a longer one.
    """
    from gnnlib.heads.protein.graphs.trace import trace_segment

    structure = as_structure(x)
    chain = _chain_numbers(structure)
    found = predict_backbone(structure.ca, chain)
    segment = trace_segment(structure.ca, chain)
    is_first = np.diff(segment, prepend=-1) != 0
    phi = np.where(is_first, np.nan, found.phi_deg)
    psi = np.where(np.append(is_first[1:], True), np.nan, found.psi_deg)
    step = np.linalg.norm(np.diff(structure.ca, axis=0, prepend=np.nan), axis=1)
    omega = np.where(is_first, np.nan, np.where(step < _CIS_BELOW_ANGSTROM, 0.0, 180.0))
    kappa, alpha = ca_angles(structure.ca, structure.segment)
    return Torsions(phi, psi, omega, kappa, alpha, structure.name)


_CIS_BELOW_ANGSTROM = 3.4


def _chain_numbers(structure: Any) -> IntArray:
    change = structure.chain_ids[1:] != structure.chain_ids[:-1]
    return np.concatenate([[0], np.cumsum(change)]).astype(np.int64)
