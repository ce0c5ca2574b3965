"""The verb `predict_quality`: how good is a model whose native nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.heads.protein.problem import as_structure
from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.encoder import GraphModel
    from gnnlib.typing import FloatArray

__all__ = ["RELIABILITY", "QualityEstimate", "predict_quality"]

WEIGHTS = "protein-quality"

RELIABILITY = (
    "low on real models: the estimate learned from generated decoys, not from models of prediction servers (CASP); on real "
    "conformers it follows the true lDDT within a chain only loosely (Pearson about 0.3) and does not rank Rosetta models; "
    "with several models of one protein use `consensus`"
)
"""What to believe of an estimate."""


@dataclass(frozen=True, eq=False, repr=False)
class QualityEstimate(Result):
    """Estimated quality of a protein model.

    Parameters
    ----------
    lddt_per_residue : float64 array [L]
        Estimated lDDT (CA) of each residue, in (0, 1).
    gdt_ts : float
        Estimated GDT_TS, in (0, 1).
    name : str
        Of the model.
    reliability : str
        What to believe of it.
    """

    lddt_per_residue: FloatArray
    gdt_ts: float
    name: str = ""
    reliability: str = RELIABILITY

    @property
    def lddt(self) -> float:
        """Mean of the residues' estimates."""
        return float(self.lddt_per_residue.mean())

    def doubtful(self, below: float = 0.6) -> list[tuple[int, int]]:
        """Return stretches of residues whose estimate is low, as half-open ranges of indices.

        Parameters
        ----------
        below : float, default 0.6

        Examples
        --------
        >>> QualityEstimate(np.array([0.9, 0.5, 0.4, 0.8, 0.3]), 0.6).doubtful()
        [(1, 3), (4, 5)]
        """
        low = np.concatenate([[False], self.lddt_per_residue < below, [False]])
        edges = np.flatnonzero(low[1:] != low[:-1])
        return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the estimate along the chain; return the axes."""
        from gnnlib.heads.protein.design_plotting import plot_quality  # matplotlib only on demand

        return plot_quality(self, ax=ax)

    @property
    def _title(self) -> str:
        return f"QualityEstimate of {self.name}" if self.name else "QualityEstimate"

    def _rows(self) -> list[tuple[str, str]]:
        low = self.doubtful()
        shown = ", ".join(f"{a}-{b - 1}" for a, b in low[:6]) + (", ..." if len(low) > 6 else "")
        return [
            ("residues", f"{len(self.lddt_per_residue):,}"),
            ("estimated lDDT", f"{self.lddt:.3f}"),
            ("estimated GDT_TS", f"{self.gdt_ts:.3f}"),
            ("doubtful (lDDT < 0.6)", shown or "none"),
            ("reliability", self.reliability),
        ]

    def __repr__(self) -> str:
        return f"QualityEstimate(lddt={self.lddt:.3f}, gdt_ts={self.gdt_ts:.3f}, name={self.name!r})"


@lru_cache(maxsize=1)
def _shipped() -> GraphModel:
    from gnnlib.encoder import load

    return load(WEIGHTS)


def predict_quality(x: Any, *, model: GraphModel | None = None) -> QualityEstimate:
    """Estimate lDDT of every residue and GDT_TS of a protein model without its native.

    Parameters
    ----------
    x : Structure, path or array-like
        What `as_structure` takes. CA positions and sequence are read, nothing else: a bare trace is judged as well as a
        full model. Without a sequence the estimate rests on geometry alone.
    model : GraphModel, optional
        Default: the weights that ship with gnnlib.

    Returns
    -------
    QualityEstimate

    Raises
    ------
    InputError
        If `x` is not a structure.

    Notes
    -----
    The training decoys are generated (`gnnlib.heads.protein.training.decoys`, kinds 1 to 4), and models damaged in these ways are
    told apart. Real pairs of conformers and Rosetta models are judged badly: see the figures on the card
    (`gnnlib.encoder.read_card`) and in the benchmarks. No CASP model was seen.
    lDDT: V. Mariani et al. 2013, Bioinformatics 29, 2722; GDT_TS: A. Zemla 2003, Nucleic Acids Res. 31, 3370.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(20, -57.0), np.full(20, -47.0))
    >>> predict_quality(helix).lddt_per_residue.shape
    (20,)
    """
    structure = as_structure(x)
    from gnnlib.heads.protein.scores.quality_scores import judge_structure  # brings torch along

    lddt, gdt = judge_structure(_shipped() if model is None else model, structure)
    return QualityEstimate(lddt, gdt, structure.name)
