"""The look of every figure: one colour-blind palette, in which a colour means the same thing in every head.

The hues are those of M. Okabe and K. Ito, *Color Universal Design* (2008), which stay apart under the common forms of
colour blindness. matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.axes import Axes

__all__ = ["COLOURS", "CYCLE", "RC", "SEQUENTIAL", "Meaning", "new_axes", "styled"]

Meaning = Literal["answer", "bound", "start", "rival", "wrong", "doubt", "truth", "input", "grid", "ink"]

#: What each colour stands for, in every figure of the library.
COLOURS: Mapping[Meaning, str] = MappingProxyType(
    {
        "answer": "#0072B2",  # what gnnlib found: tour, prediction, chosen pipeline
        "bound": "#009E73",  # what is proved: lower bounds, certificates
        "start": "#CC79A7",  # where an answer begins: depot, first city, present moment
        "rival": "#E69F00",  # what somebody else found: baselines and peers
        "wrong": "#D55E00",  # errors and violated constraints
        "doubt": "#56B4E9",  # uncertainty and gaps
        "truth": "#222222",  # the known truth
        "input": "#4D5358",  # the problem itself: cities, residues, lanes
        "grid": "#D5D9DD",  # graticules and other help for the eye
        "ink": "#30343A",  # text and axes
    }
)

#: Order in which lines take colours when they are only "the first, the second, ...".
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#4D5358", "#CC79A7", "#D55E00")

#: Colour map for scores from low (fades into the paper) to high: perceptually even, readable in grey.
SEQUENTIAL = "magma_r"

#: matplotlib settings under which the library draws.
RC: Mapping[str, Any] = MappingProxyType(
    {
        "axes.edgecolor": COLOURS["ink"],
        "axes.labelcolor": COLOURS["ink"],
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlecolor": COLOURS["ink"],
        "axes.labelsize": 9.5,
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "figure.dpi": 110,
        "font.size": 9.5,
        "grid.color": COLOURS["grid"],
        "grid.linewidth": 0.6,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
        "savefig.bbox": "tight",
        "savefig.dpi": 160,
        "text.color": COLOURS["ink"],
        "xtick.color": COLOURS["ink"],
        "ytick.color": COLOURS["ink"],
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
    }
)


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Return a context in which matplotlib draws in gnnlib's style; afterwards its settings are as before.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["legend.frameon"]
    >>> with styled():
    ...     matplotlib.rcParams["legend.frameon"]
    False
    >>> matplotlib.rcParams["legend.frameon"] == before
    True
    """
    import matplotlib as mpl

    with mpl.rc_context(dict(RC)):
        yield
        is_interactive = mpl.is_interactive()
    mpl.interactive(is_interactive)  # notebooks turn it on with the first figure, or they would show no second one


def new_axes(
    ax: Axes | None = None, *, size: tuple[float, float] = (6.0, 4.0), projection: Literal["3d"] | None = None
) -> Axes:
    """Return `ax`, or the axes of a new figure when it is None.

    Parameters
    ----------
    ax : matplotlib Axes, optional
        Where the caller wants to draw.
    size : (float, float)
        Width and height of a new figure in inches.
    projection : "3d" or None
        Kind of axes that the drawing needs.

    Raises
    ------
    InputError
        If `ax` is not of the kind needed.

    Examples
    --------
    >>> ax = new_axes(size=(3, 2))
    >>> new_axes(ax) is ax
    True
    """
    if ax is not None:
        if projection is not None and ax.name != projection:
            raise InputError(
                f"`ax` must be {projection} axes for points of space, found {ax.name!r} axes; "
                f"make them with plt.subplots(subplot_kw={{'projection': {projection!r}}})"
            )
        return ax
    import matplotlib.pyplot as plt

    keywords = {} if projection is None else {"projection": projection}
    _, made = plt.subplots(figsize=size, layout="constrained", subplot_kw=keywords)
    return made
