"""Drawing of designed sequences and of estimated quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.protein.residues import AMINO_ACIDS
from gnnlib.style import COLOURS, SEQUENTIAL, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.protein.design import SequenceDesign
    from gnnlib.heads.protein.quality import QualityEstimate

__all__ = ["plot_design", "plot_quality"]

#: Amino acids by kind: small, aliphatic, aromatic, polar, positive, negative.
_ROWS = "GPAVILMCFWYHSTNQKRDE"


def plot_design(design: SequenceDesign, *, ax: Axes | None = None) -> Axes:
    """Draw the probability of each amino acid at each residue; rings mark the native sequence where it is known.

    Parameters
    ----------
    design : SequenceDesign
    ax : matplotlib Axes, optional
        Default: new ones.

    Returns
    -------
    matplotlib Axes
    """
    order = [AMINO_ACIDS.index(letter) for letter in _ROWS]
    with styled():
        axes = new_axes(ax)
        axes.imshow(
            design.probabilities[:, order].T,
            aspect="auto",
            cmap=SEQUENTIAL,
            vmin=0.0,
            vmax=1.0,
            interpolation="nearest",
        )
        places = [(i, _ROWS.index(letter)) for i, letter in enumerate(design.native) if letter in _ROWS]
        if places:
            columns, rows = np.array(places).T
            axes.scatter(
                columns, rows, s=9, facecolors="none", edgecolors=COLOURS["truth"], linewidths=0.6, label="native"
            )
        axes.set_yticks(range(len(_ROWS)), list(_ROWS))
        axes.set_xlabel("residue")
        axes.set_ylabel("amino acid")
        axes.set_title(f"Designed sequence {design.name}".rstrip())
    return axes


def plot_quality(estimate: QualityEstimate, *, ax: Axes | None = None) -> Axes:
    """Draw the estimated lDDT along the chain, doubtful stretches shaded.

    Parameters
    ----------
    estimate : QualityEstimate
    ax : matplotlib Axes, optional
        Default: new ones.

    Returns
    -------
    matplotlib Axes
    """
    with styled():
        axes = new_axes(ax)
        axes.plot(estimate.lddt_per_residue, color=COLOURS["answer"], linewidth=1.4)
        for first, last in estimate.doubtful():
            axes.axvspan(first - 0.5, last - 0.5, color=COLOURS["doubt"], alpha=0.25, linewidth=0)
        axes.set_ylim(0.0, 1.0)
        axes.set_xlabel("residue")
        axes.set_ylabel("estimated lDDT")
        axes.set_title(f"Estimated quality {estimate.name}".rstrip())
    return axes
