"""The verb `torsions`: backbone and CA angles of a structure."""

from __future__ import annotations

from typing import Any

from gnnlib.errors import InputError
from gnnlib.heads.protein.geometry import backbone_torsions, ca_angles
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.result import Torsions

__all__ = ["Torsions", "torsions"]


def torsions(x: Any, *, method: str = "backbone") -> Torsions:
    """Measure the angles of a structure; no angle crosses a chain break.

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes. With CA only, phi, psi and omega are NaN unless they are predicted.
    method : str
        ``"backbone"`` (default): measured on N, CA, C. ``"ca"``: phi and psi predicted from CA positions alone, omega
        told by the CA steps; the CA angles are measured all the same.

    Returns
    -------
    Torsions

    Raises
    ------
    InputError
        If `x` is no structure or the method is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> found = torsions(build_backbone(np.full(5, -57.0), np.full(5, -47.0)))
    >>> found.psi.round(1).tolist()
    [-47.0, -47.0, -47.0, -47.0, nan]
    """
    if method not in {"backbone", "ca"}:
        raise InputError(f"`method` must be 'backbone' or 'ca', found {method!r}")
    if method == "ca":
        from gnnlib.heads.protein.structure_models import torsions_from_ca  # needs torch

        return torsions_from_ca(x)
    structure: Structure = as_structure(x)
    phi, psi, omega = backbone_torsions(structure.coords_angstrom, structure.segment)
    kappa, alpha = ca_angles(structure.ca, structure.segment)
    return Torsions(phi, psi, omega, kappa, alpha, structure.name)
