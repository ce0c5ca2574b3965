"""Pictures of proteins: maps of distances and contacts, torsions, secondary structure, quality, traces in space.

Every function draws on the axes it is given, or on those of a new figure, and returns them; none calls ``show``.
Colours are those of `gnnlib.style`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError, MissingExtraError
from gnnlib.heads.protein import checks
from gnnlib.heads.protein.geometry import apply_transform, kabsch
from gnnlib.heads.protein.problem import as_structure
from gnnlib.heads.protein.result import SecondaryStructure, Torsions
from gnnlib.heads.protein.secondary import secondary_structure
from gnnlib.heads.protein.torsions import torsions
from gnnlib.style import COLOURS, SEQUENTIAL, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.typing import ArrayLike, FloatArray

__all__ = [
    "plot_distance_map",
    "plot_lddt",
    "plot_ramachandran",
    "plot_secondary_structure",
    "plot_superposition",
    "view3d",
]

_FARTHEST_SHOWN_ANGSTROM = 40.0
_STATE_COLOURS = {"H": COLOURS["wrong"], "E": COLOURS["answer"], "C": COLOURS["input"]}
_STATE_NAMES = {"H": "helix", "E": "strand", "C": "coil"}


def _distances(obj: Any, name: str) -> FloatArray:
    """Distances [L, L] of a structure, of CA positions [L, 3], or as they are."""
    if hasattr(obj, "shape") and len(obj.shape) == 2 and obj.shape[0] == obj.shape[1] != 3:
        return checks.as_float_array(name, obj)
    ca = as_structure(obj).ca
    return np.sqrt(np.maximum(((ca[:, None] - ca[None]) ** 2).sum(axis=2), 0.0))


def plot_distance_map(obj: Any, *, other: Any = None, contact_angstrom: float = 8.0, ax: Axes | None = None) -> Axes:
    """Draw the CA distances of all pairs as an image, contacts as dots.

    Parameters
    ----------
    obj : Structure, path, array-like [L, 3] or array [L, L]
        What stands above the diagonal, and below it too unless `other` is given. A square array holds distances in
        angstrom; NaN is left blank.
    other : same, optional
        What stands below the diagonal: for instance the truth below a prediction.
    contact_angstrom : float
        Pairs at most so far apart, four or more residues apart in sequence, are marked.
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Raises
    ------
    InputError
        If the two differ in size.

    Examples
    --------
    >>> ax = plot_distance_map(np.arange(30.0).reshape(10, 3))
    >>> ax.get_xlabel()
    'residue'
    """
    upper = _distances(obj, "obj")
    lower = upper if other is None else _distances(other, "other")
    if lower.shape != upper.shape:
        raise InputError(f"`other` must have as many residues as `obj`, {len(upper)}; found {len(lower)}")
    count = len(upper)
    shown = np.where(np.tri(count, dtype=bool), upper, lower)  # row 0 is drawn at the bottom
    with styled():
        axes = new_axes(ax, size=(5.4, 4.6))
        image = axes.imshow(
            shown,
            cmap=SEQUENTIAL.removesuffix("_r"),
            vmin=0.0,
            vmax=_FARTHEST_SHOWN_ANGSTROM,
            origin="lower",
            extent=(0.5, count + 0.5, 0.5, count + 0.5),
            interpolation="nearest",
        )
        row, column = np.nonzero(shown <= contact_angstrom)
        far = np.abs(row - column) >= 4
        size = max(0.5, min(6.0, 240.0 / count))
        axes.plot(
            column[far] + 1, row[far] + 1, "s", color=COLOURS["doubt"], markersize=size, markeredgewidth=0, linestyle=""
        )
        axes.set(xlabel="residue", ylabel="residue", xlim=(0.5, count + 0.5), ylim=(0.5, count + 0.5))
        above = getattr(obj, "name", "") or "CA distances"
        below = "" if other is None else f" above, {getattr(other, 'name', '') or 'the other'} below the diagonal"
        axes.set_title(f"{above}{below}\ndots: contacts up to {contact_angstrom:g} Å")
        axes.figure.colorbar(image, ax=axes, label="CA distance (Å)", extend="max", shrink=0.85)
    return axes


def plot_ramachandran(obj: Any, *, ax: Axes | None = None) -> Axes:
    """Draw phi against psi, one dot a residue, coloured by secondary structure when `obj` is a structure.

    Parameters
    ----------
    obj : Torsions, Structure, path or array-like [L, 4, 3]
        Residues without phi or psi are left out.
    ax : matplotlib Axes, optional

    Examples
    --------
    >>> from gnnlib.heads.protein.samples import load_sample
    >>> plot_ramachandran(load_sample("helix")).get_ylabel()
    'psi (degrees)'
    """
    states = None
    if isinstance(obj, Torsions):
        found = obj
    else:
        structure = as_structure(obj)
        found = torsions(structure)
        states = secondary_structure(structure).states3
    known = np.flatnonzero(~np.isnan(found.phi) & ~np.isnan(found.psi))
    with styled():
        axes = new_axes(ax, size=(4.6, 4.4))
        axes.axhline(0.0, color=COLOURS["grid"], linewidth=0.8)
        axes.axvline(0.0, color=COLOURS["grid"], linewidth=0.8)
        for state, colour in _STATE_COLOURS.items() if states is not None else (("", COLOURS["answer"]),):
            part = [i for i in known.tolist() if states is None or states[i] == state]
            if part:
                axes.scatter(
                    found.phi[part], found.psi[part], s=12, color=colour, alpha=0.75, linewidths=0,
                    label=_STATE_NAMES.get(state),
                )  # fmt: skip
        if states is not None:
            axes.legend(loc="upper right", handletextpad=0.1)
        ticks = np.arange(-180, 181, 60)
        axes.set(xlim=(-180, 180), ylim=(-180, 180), xticks=ticks, yticks=ticks, aspect="equal")
        axes.set(xlabel="phi (degrees)", ylabel="psi (degrees)")
        axes.set_title(f"{found.name or 'torsions'}: {len(known)} residues")
    return axes


def plot_secondary_structure(obj: Any, *, residue_numbers: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Draw helices as boxes and strands as arrows along the chain.

    Parameters
    ----------
    obj : SecondaryStructure, str of states, or what `secondary_structure` takes
        Eight states or three.
    residue_numbers : array-like [L], optional
        Labels of the axis; default: 1 .. L.
    ax : matplotlib Axes, optional

    Examples
    --------
    >>> ax = plot_secondary_structure("CHHHHHHCCEEEEC")
    >>> len(ax.patches)
    2
    """
    if isinstance(obj, str) and set(obj) <= set("HBEGITSC") and obj:
        found = SecondaryStructure(obj, np.zeros((len(obj), 8)), "given")
    else:
        found = obj if isinstance(obj, SecondaryStructure) else secondary_structure(obj)
    states = found.states3
    count = len(states)
    first = 1 if residue_numbers is None else int(np.asarray(residue_numbers)[0])
    with styled():
        axes = new_axes(ax, size=(7.5, 1.1))
        axes.plot([first - 0.5, first + count - 0.5], [0.0, 0.0], color=_STATE_COLOURS["C"], linewidth=1.5, zorder=1)
        for start, stop in _runs(states):
            _draw_element(axes, states[start], first + start - 0.5, first + stop - 0.5)
        axes.set(xlim=(first - 1, first + count), ylim=(-1.0, 1.0), yticks=[], xlabel="residue")
        axes.spines["left"].set_visible(False)
        share = found.fractions
        axes.set_title(f"{found.name or found.method}: {share['H']:.0%} helix, {share['E']:.0%} strand")
    return axes


def _runs(states: str) -> list[tuple[int, int]]:
    """First and last-plus-one place of every run of one state."""
    edges = [0, *(i for i in range(1, len(states)) if states[i] != states[i - 1]), len(states)]
    return list(itertools.pairwise(edges))


def _draw_element(axes: Axes, state: str, left: float, right: float) -> None:
    from matplotlib.patches import FancyArrow, Rectangle

    colour = _STATE_COLOURS[state]
    if state == "H":
        axes.add_patch(Rectangle((left, -0.45), right - left, 0.9, facecolor=colour, edgecolor="none", zorder=2))
    elif state == "E":
        head = min(2.0, right - left)
        axes.add_patch(
            FancyArrow(
                left, 0.0, right - left, 0.0, width=0.5, head_width=1.1, head_length=head,
                length_includes_head=True, facecolor=colour, edgecolor="none", zorder=2,
            )
        )  # fmt: skip


def plot_lddt(values: ArrayLike, *, truth: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Draw a quality score along the chain.

    Parameters
    ----------
    values : array-like [L]
        For instance lDDT per residue, in [0, 1]; NaN leaves a gap.
    truth : array-like [L], optional
        The known values, drawn beside a prediction.
    ax : matplotlib Axes, optional

    Examples
    --------
    >>> [float(limit) for limit in plot_lddt([0.9, 0.8, 0.4]).get_ylim()]
    [0.0, 1.02]
    """
    score = checks.as_float_array("values", values)
    if score.ndim != 1 or len(score) == 0:
        raise InputError(f"`values` must have shape [L], one number a residue, found {list(score.shape)}")
    place = np.arange(1, len(score) + 1)
    with styled():
        axes = new_axes(ax, size=(7.5, 2.4))
        for level in (0.5, 0.7, 0.9):
            axes.axhline(level, color=COLOURS["grid"], linewidth=0.8, zorder=0)
        if truth is not None:
            known = checks.numbers("truth", truth, len(score))
            axes.plot(place, known, color=COLOURS["truth"], linewidth=1.0, label="known")
        axes.fill_between(place, 0.0, np.nan_to_num(score), color=COLOURS["answer"], alpha=0.12, linewidth=0)
        axes.plot(place, score, color=COLOURS["answer"], label="lDDT" if truth is None else "predicted")
        if truth is not None:
            axes.legend(loc="lower right", ncols=2)
        axes.set(xlim=(1, max(2, len(score))), ylim=(0.0, 1.02), xlabel="residue", ylabel="lDDT")
        axes.set_title(f"lDDT {np.nanmean(score):.2f} on average")
    return axes


def plot_superposition(model: Any, native: Any = None, *, ax: Axes | None = None) -> Axes:
    """Draw CA traces in space: a native structure, and a model moved onto it.

    Parameters
    ----------
    model : what `as_structure` takes
    native : same, optional
        With as many residues; without it the model is drawn alone, as it lies.
    ax : matplotlib 3-D Axes, optional

    Raises
    ------
    InputError
        If the two differ in length, or `ax` is not of three dimensions.

    Examples
    --------
    >>> trace = np.arange(30.0).reshape(10, 3) ** 1.5
    >>> plot_superposition(trace + 5.0, trace).get_title(loc="left")
    'RMSD 0.00 Å'
    """
    moved = as_structure(model)
    ca, title = moved.ca, moved.name
    with styled():
        axes = new_axes(ax, size=(5.2, 4.8), projection="3d")
        if native is not None:
            target = as_structure(native)
            if len(target) != len(moved):
                raise InputError(f"`model` and `native` must have as many residues, found {len(moved)}, {len(target)}")
            rotation, translation = kabsch(ca, target.ca)
            ca = apply_transform(ca, rotation, translation)
            title = f"RMSD {np.sqrt(((ca - target.ca) ** 2).sum(axis=1).mean()):.2f} Å"
            _draw_trace(axes, target.ca, target.segment, COLOURS["truth"], "native")
        _draw_trace(axes, ca, moved.segment, COLOURS["answer"], "model")
        if native is not None:
            axes.legend(loc="upper right")
        axes.set_box_aspect(np.ptp(ca, axis=0) + 1.0)
        axes.set_axis_off()
        axes.set_title(title, loc="left")
    return axes


def _draw_trace(axes: Any, ca: FloatArray, segment: ArrayLike, colour: str, label: str) -> None:
    for number in np.unique(segment).tolist():
        part = ca[np.asarray(segment) == number]
        axes.plot(*part.T, color=colour, linewidth=1.8, label=label if number == 0 else None)
    axes.plot(*ca[:1].T, "o", color=colour, markersize=5)  # where the chain begins


def view3d(obj: Any, *, b_factors: ArrayLike | None = None, width: int = 480, height: int = 360) -> Any:
    """Return a py3Dmol view for a notebook, coloured by secondary structure or by a number a residue.

    Parameters
    ----------
    obj : what `as_structure` takes
        Structures with backbones are shown as cartoons, bare CA traces as tubes.
    b_factors : array-like [L], optional
        Numbers in [0, 1], for instance lDDT, that choose the colour from red (0) over white to blue (1).
    width, height : int
        In pixels.

    Raises
    ------
    MissingExtraError
        If py3Dmol is not installed.

    Examples
    --------
    >>> view = view3d(np.arange(30.0).reshape(10, 3))
    """
    try:
        import py3Dmol
    except ImportError as error:
        raise MissingExtraError("py3Dmol", "viz") from error
    structure = as_structure(obj)
    view = py3Dmol.view(width=width, height=height)
    view.addModel(structure.to_pdb(b_factors=b_factors), "pdb")
    colour: dict[str, Any] = {"color": COLOURS["answer"]}
    if b_factors is not None:
        colour = {"colorscheme": {"prop": "b", "gradient": "rwb", "min": 0, "max": 1}}
    elif not structure.is_ca_only:
        colour = {"colorscheme": "ssPyMol"}
    view.setStyle({"cartoon": {**colour, **({"style": "trace"} if structure.is_ca_only else {})}})
    view.zoomTo()
    return view
