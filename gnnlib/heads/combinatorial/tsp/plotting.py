"""Pictures of the TSP: a tour on the plane or the globe, scores of candidate edges, length and bound over time.

Every function draws on the axes it is given, or on those of a new figure, and returns them; none calls ``show``.
Colours are those of `gnnlib.style`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp.canvas import Canvas, make_canvas
from gnnlib.heads.combinatorial.tsp.result import TourResult
from gnnlib.style import COLOURS, CYCLE, SEQUENTIAL, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.tsp.problem import TSP
    from gnnlib.typing import ArrayLike, FloatArray, IntArray

__all__ = ["plot_edge_scores", "plot_tour", "plot_trace"]


def plot_tour(obj: TSP | TourResult, *, ax: Axes | None = None) -> Axes:
    """Draw a tour, or only the cities of an instance.

    GEO instances are drawn as a map with great circles, other instances on the plane or in space. Instances that
    have distances only are placed by classical multidimensional scaling, which the title then says.

    Parameters
    ----------
    obj : TourResult or TSP
    ax : matplotlib Axes, optional
        Default: those of a new figure. Points of space need 3-D axes.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If the instance has more than 3,000 cities and no coordinates, or `ax` is of the wrong kind.

    References
    ----------
    .. [1] W. S. Torgerson, *Multidimensional scaling: I. Theory and method* (1952).

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> ax = plot_tour(TSP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], name="box"))
    >>> ax.get_title(loc="left")
    'box'
    """
    with styled():
        problem = obj.problem if isinstance(obj, TourResult) else obj
        canvas = make_canvas(problem, ax)
        if isinstance(obj, TourResult):
            after = np.roll(obj.order, -1)
            canvas.edges(
                obj.order, after, color=COLOURS["answer"], linewidths=_line_width(problem.num_cities), zorder=2
            )
        if problem.fixed_edges:
            fixed = np.array(problem.fixed_edges, dtype=np.int64)
            canvas.edges(fixed[:, 0], fixed[:, 1], color=COLOURS["truth"], linewidths=2.6, zorder=3)
        canvas.cities()
        canvas.names()
        _set_titles(canvas.axes, problem.name or "instance", _tour_details(obj, problem, canvas))
        return canvas.axes


def plot_edge_scores(
    obj: TSP | TourResult, neighbours: ArrayLike, scores: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Draw a heat map over candidate edges: the higher its score, the darker and the thicker an edge.

    Parameters
    ----------
    obj : TourResult or TSP
        The tour of a result is drawn below the edges, wide and pale.
    neighbours : int array-like [N, K]
        Candidates of each city; entries below 0 are padding.
    scores : array-like [N, K]
        Finite score of each candidate edge; of the two directions of an edge the higher one is drawn.
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If the shapes differ, a neighbour is not a city, or a score is not finite.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> triangle = TSP.from_coords([[0, 0], [1, 0], [0, 1]], name="triangle")
    >>> ax = plot_edge_scores(triangle, [[1, 2], [0, 2], [0, 1]], [[0.9, 0.7], [0.8, 0.1], [0.6, 0.2]])
    >>> len(ax.collections[0].get_paths())
    3
    """
    with styled():
        problem = obj.problem if isinstance(obj, TourResult) else obj
        canvas = make_canvas(problem, ax)
        tails, heads, values = _scored_edges(problem.num_cities, neighbours, scores)
        if isinstance(obj, TourResult):
            width = 5.0 * _line_width(problem.num_cities)
            after = np.roll(obj.order, -1)
            canvas.edges(obj.order, after, color=COLOURS["answer"], linewidths=width, alpha=0.16, zorder=1)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        share = (values - low) / (high - low) if high > low else np.ones_like(values)
        thickness = _line_width(problem.num_cities) * (0.35 + 1.15 * share)
        drawn = canvas.edges(tails, heads, linewidths=thickness, array=values, cmap=SEQUENTIAL, zorder=2)
        canvas.cities()
        bar = canvas.axes.figure.colorbar(
            drawn, ax=canvas.axes, shrink=0.55, pad=0.02, aspect=30, label="score of the edge"
        )
        bar.outline.set_visible(False)
        details = f"{problem.num_cities:,} cities, {values.size:,} candidate edges"
        _set_titles(canvas.axes, problem.name or "instance", details)
        return canvas.axes


def plot_trace(obj: TourResult | Mapping[str, TourResult], *, ax: Axes | None = None) -> Axes:
    """Draw how the tour shortened over time, and the proved lower bound.

    Parameters
    ----------
    obj : TourResult, or mapping of label to TourResult
        Several results are drawn for comparison, with the highest of their bounds; they must be of one instance for
        that bound to hold for all.
    ax : matplotlib Axes, optional
        Default: those of a new figure. Time is on a logarithmic axis.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If there is no result, or one has an empty trace.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> box = TSP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], name="box")
    >>> result = TourResult(range(4), 14.0, box, lower_bound=13.0, trace=[[0.01, 16.0], [0.02, 14.0]], seconds=0.1)
    >>> plot_trace(result).get_xscale()
    'log'
    """
    results = dict(obj) if isinstance(obj, Mapping) else {"tour": obj}
    if not results:
        raise InputError("`plot_trace` needs at least one result, found none")
    for label, result in results.items():
        if len(result.trace) == 0:
            raise InputError(f"`plot_trace` needs results with a trace; that of {label!r} is empty")
    with styled():
        ax = new_axes(ax, size=(6.4, 3.8))
        end = max(max(result.seconds, float(result.trace[-1, 0])) for result in results.values())
        for colour, (label, result) in zip(_cycle(len(results)), results.items(), strict=True):
            seconds = np.append(np.maximum(result.trace[:, 0], 1e-4), max(end, 1e-4))
            lengths = np.append(result.trace[:, 1], result.length)
            ax.step(seconds, lengths, where="post", color=colour, label=label, zorder=3)
            ax.plot(seconds[-1], lengths[-1], "o", markersize=4, color=colour, zorder=3)
        bound = max(result.lower_bound for result in results.values())
        _draw_bound(ax, bound, results)
        _format_trace_axes(ax, results)
        first = next(iter(results.values())).problem
        _set_titles(ax, first.name or "instance", f"{first.num_cities:,} cities, tour length over time")
        if len(results) > 1:
            ax.legend()
        return ax


def _cycle(count: int) -> list[str]:
    return [COLOURS["answer"]] if count == 1 else [CYCLE[i % len(CYCLE)] for i in range(count)]


def _draw_bound(ax: Axes, bound: float, results: Mapping[str, TourResult]) -> None:
    best = min(result.length for result in results.values())
    top = max(float(result.trace[:, 1].max()) for result in results.values())
    if not math.isfinite(bound):
        return
    ax.axhline(bound, color=COLOURS["bound"], linestyle=(0, (5, 2)), linewidth=1.4, zorder=2)
    ax.axhspan(bound, best, color=COLOURS["doubt"], alpha=0.15, linewidth=0, zorder=1)
    gap = 100.0 * (best - bound) / bound if bound > 0.0 else math.inf
    ax.annotate(
        "proved lower bound, " + (f"{gap:.2f} % below the tour" if gap > 0.0 else "which the tour meets"),
        (0.015, bound),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=COLOURS["bound"],
    )
    room = max(top - bound, 1e-9 * abs(bound), 1e-300)
    ax.set_ylim(bound - 0.16 * room, top + 0.05 * room)
    if bound > 0.0:

        def to_percent(length: Any) -> Any:
            return 100.0 * (np.asarray(length) / bound - 1.0)

        def to_length(percent: Any) -> Any:
            return bound * (1.0 + np.asarray(percent) / 100.0)

        percent = ax.secondary_yaxis("right", functions=(to_percent, to_length))
        percent.set_ylabel("per cent above the bound")


def _format_trace_axes(ax: Axes, results: Mapping[str, TourResult]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, StrMethodFormatter

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_major_formatter(plain)
    ax.xaxis.set_minor_formatter(NullFormatter() if high > 10.0 * low else plain)
    if all(result.problem.is_integral for result in results.values()):
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10], integer=True))
    ax.grid(visible=True, axis="both")
    ax.set_xlabel("seconds")
    ax.set_ylabel("tour length")


def _set_titles(ax: Axes, title: str, details: str) -> None:
    ax.set_title(title, pad=20 + 12 * details.count("\n"))
    ax.annotate(details, (0.0, 1.0), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=9)


def _tour_details(obj: TSP | TourResult, problem: TSP, canvas: Canvas) -> str:
    parts = [f"{problem.num_cities:,} cities"]
    if isinstance(obj, TourResult):
        parts.append("length " + (f"{obj.length:,.0f}" if problem.is_integral else f"{obj.length:,.6g}"))
        if obj.is_optimal:
            parts.append("optimal")
        elif math.isfinite(obj.gap):
            parts.append(f"proved to be within {100.0 * obj.gap:.2f} % of the optimum")
    return ", ".join(parts) + ("\nplaced by multidimensional scaling" if canvas.is_embedding else "")


def _line_width(count: int) -> float:
    return float(np.clip(13.0 / math.sqrt(max(count, 1)), 0.45, 1.6))


def _scored_edges(count: int, neighbours: ArrayLike, scores: ArrayLike) -> tuple[IntArray, IntArray, FloatArray]:
    """Undirected edges with their scores, lowest first so that the best are drawn on top."""
    heads, values = np.asarray(neighbours), np.asarray(scores, dtype=np.float64)
    if heads.ndim != 2 or len(heads) != count or heads.dtype.kind not in "iu" or values.shape != heads.shape:
        raise InputError(
            f"`neighbours` (integers) and `scores` must both have shape [{count}, K], "
            f"found {list(heads.shape)} of {heads.dtype} and {list(values.shape)}"
        )
    if heads.size and heads.max() >= count:
        raise InputError(f"`neighbours` must hold cities 0 .. {count - 1}, found {heads.max()}")
    tails = np.broadcast_to(np.arange(count)[:, None], heads.shape)
    used = (heads >= 0) & (heads != tails)
    if not np.isfinite(values[used]).all():
        raise InputError("`scores` must be finite where `neighbours` is a city; found NaN or infinity")
    low, high = np.minimum(tails, heads)[used], np.maximum(tails, heads)[used]
    edges, place = np.unique(low.astype(np.int64) * count + high, return_inverse=True)
    best = np.full(len(edges), -np.inf)
    np.maximum.at(best, place, values[used])
    rank = np.argsort(best, kind="stable")
    return edges[rank] // count, edges[rank] % count, best[rank]
