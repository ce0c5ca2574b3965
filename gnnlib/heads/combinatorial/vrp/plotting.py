"""Drawings of routes: on the plane, over time, by load, the search, and scores of arcs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.result import RouteResult
from gnnlib.heads.combinatorial.vrp.timetable import route_places, timetable
from gnnlib.style import COLOURS, CYCLE, SEQUENTIAL, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import ArrayLike, FloatArray

__all__ = ["plot_arc_scores", "plot_loads", "plot_routes", "plot_timetable", "plot_trace"]

_FEW_NAMES = 40


def plot_routes(obj: RouteResult | VRP, *, ax: Axes | None = None) -> Axes:
    """Draw routes on the plane, or the places alone.

    Parameters
    ----------
    obj : RouteResult or VRP
        With coordinates. Neighbouring routes take different colours as far as there are any; unserved clients are
        crosses.
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Raises
    ------
    InputError
        If the problem has matrices only.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> plot_routes(RouteResult.from_routes(problem, [[1]])).get_title(loc="left")
    'routes'
    """
    problem = obj.problem if isinstance(obj, RouteResult) else obj
    coords = _coords(problem)
    with styled():
        ax = _plane(ax, coords)
        unserved: tuple[int, ...] = ()
        if isinstance(obj, RouteResult):
            unserved = obj.unserved
            for plan, colour in zip(obj.plans, _route_colours(obj, coords), strict=True):
                x, y = coords[route_places(problem, plan)].T
                ax.plot(x, y, color=colour, linewidth=_line_width(problem), zorder=2)
        _draw_places(ax, problem, coords, unserved)
        title = problem.name or ("routes" if isinstance(obj, RouteResult) else "instance")
        _set_titles(ax, title, _details(obj, problem))
        return ax


def _coords(problem: VRP) -> FloatArray:
    if problem.travel.coords is None:
        raise InputError("places are drawn by their coordinates; this problem has matrices only")
    return problem.travel.coords


def _plane(ax: Axes | None, coords: FloatArray) -> Axes:
    width, height = np.ptp(coords, axis=0).tolist()
    ax = new_axes(ax, size=(6.0, float(np.clip(6.0 * height / width, 2.4, 7.5)) if width > 0.0 else 5.0))
    ax.set_aspect("equal", adjustable="datalim" if min(width, height) == 0.0 else "box")
    ax.set_axis_off()
    return ax


def _route_colours(result: RouteResult, coords: FloatArray) -> list[str]:
    """Colours in the order of the direction in which the routes leave their depot."""
    problem = result.problem
    angles = []
    for plan in result.plans:
        start = coords[problem.vehicle_types[plan.vehicle_type].start]
        across, up = (coords[list(plan.clients)].mean(axis=0) - start).tolist()
        angles.append(np.arctan2(up, across))
    rank = np.argsort(np.argsort(angles, kind="stable"), kind="stable")
    return [CYCLE[int(at) % len(CYCLE)] for at in rank]


def _draw_places(ax: Axes, problem: VRP, coords: FloatArray, unserved: tuple[int, ...]) -> None:
    first = problem.num_depots
    served = np.setdiff1d(np.arange(first, len(coords)), unserved)
    size = float(np.clip(900.0 / max(len(coords), 1), 0.6, 14.0))
    scatter: Any = ax.scatter
    scatter(*coords[served].T, s=size, color=COLOURS["input"], linewidths=0, zorder=3)
    if unserved:
        scatter(*coords[list(unserved)].T, s=max(4.0 * size, 18.0), marker="x", color=COLOURS["wrong"], zorder=4)
    scatter(*coords[:first].T, s=max(5.0 * size, 30.0), marker="s", color=COLOURS["start"], linewidths=0, zorder=5)
    if len(coords) <= _FEW_NAMES:
        for place in range(first, len(coords)):
            ax.annotate(str(place), tuple(coords[place]), xytext=(3, 3), textcoords="offset points", fontsize=7)


def _line_width(problem: VRP) -> float:
    return float(np.clip(13.0 / np.sqrt(max(problem.num_clients, 1)), 0.45, 1.6))


def _details(obj: RouteResult | VRP, problem: VRP) -> str:
    if not isinstance(obj, RouteResult):
        return f"{problem.num_clients:,} clients, {problem.num_vehicles:,} vehicles"
    required = sum(bool(problem.required[client - problem.num_depots]) for client in obj.unserved)
    parts = [f"{problem.num_clients:,} clients, {len(obj.routes):,} routes, cost {obj.cost:,.10g}"]
    if required:
        parts.append(f"{required:,} clients unserved")
    elif not obj.feasible:
        parts.append("not feasible")
    return ", ".join(parts)


def _set_titles(ax: Axes, title: str, details: str) -> None:
    ax.set_title(title, pad=20)
    ax.annotate(details, (0.0, 1.0), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=9)


def plot_loads(result: RouteResult, *, dimension: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the load along each route as a share of the vehicle's capacity, stop by stop.

    Parameters
    ----------
    result : RouteResult
    dimension : int
        Of the loads.
    ax : matplotlib Axes, optional

    Raises
    ------
    InputError
        If there is no such dimension, or no route.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> plot_loads(RouteResult.from_routes(problem, [[1]])).get_xlabel()
    'stop'
    """
    dimensions = result.problem.delivery.shape[1]
    if not 0 <= dimension < dimensions:
        raise InputError(f"`dimension` must be below the {dimensions} of the loads, found {dimension}")
    _require_routes(result)
    with styled():
        ax = new_axes(ax, size=(6.4, 3.6))
        for at, plan in enumerate(result.plans):
            loads = np.array([load[dimension] for load in plan.loads])
            capacity = result.problem.vehicle_types[plan.vehicle_type].capacity[dimension]
            share = 100.0 * loads / capacity if 0.0 < capacity < np.inf else loads
            ax.step(np.arange(len(share)), share, where="post", color=CYCLE[at % len(CYCLE)], linewidth=1.2)
        bounded = all(0.0 < kind.capacity[dimension] < np.inf for kind in result.problem.vehicle_types)
        if bounded:
            ax.axhline(100.0, color=COLOURS["bound"], linestyle=(0, (5, 2)), linewidth=1.2)
        ax.set_ylim(bottom=0.0)
        ax.set_xlabel("stop")
        ax.set_ylabel("load, per cent of the capacity" if bounded else "load")
        ax.grid(visible=True)
        _set_titles(ax, result.problem.name or "loads", f"load after each stop of {len(result.plans):,} routes")
        return ax


def plot_timetable(result: RouteResult, *, ax: Axes | None = None) -> Axes:
    """Draw when each vehicle drives, waits and serves: a bar a route.

    Parameters
    ----------
    result : RouteResult
    ax : matplotlib Axes, optional

    Raises
    ------
    InputError
        If there is no route.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> plot_timetable(RouteResult.from_routes(problem, [[1]])).get_xlabel()
    'time'
    """
    _require_routes(result)
    problem, scale = result.problem, result.problem.cost_scale
    with styled():
        ax = new_axes(ax, size=(7.0, float(np.clip(0.9 + 0.22 * len(result.plans), 2.2, 9.0))))
        for row, plan in enumerate(result.plans):
            stops = timetable(problem, plan)
            served = stops[: len(plan.clients)]
            drives = [((stop.arrives - stop.drives) / scale, stop.drives / scale) for stop in stops]
            waits = [(s.arrives / scale, (s.starts - s.arrives) / scale) for s in served if s.starts > s.arrives]
            serves = [(stop.starts / scale, (stop.leaves - stop.starts) / scale) for stop in served]
            ax.broken_barh(drives, (row - 0.06, 0.12), color=COLOURS["input"], linewidth=0)
            ax.broken_barh(waits, (row - 0.18, 0.36), color=COLOURS["doubt"], alpha=0.45, linewidth=0)
            ax.broken_barh(serves, (row - 0.32, 0.64), color=COLOURS["answer"], linewidth=0)
            starts = [stop.starts / scale for stop in served]
            ax.plot(starts, np.full(len(starts), row), "|", color=COLOURS["answer"], markersize=7, markeredgewidth=1.0)
        if len(result.plans) <= _FEW_NAMES:
            ax.set_yticks(range(len(result.plans)), [str(number + 1) for number in range(len(result.plans))])
        ax.set_ylim(len(result.plans) - 0.4, -0.6)
        ax.set_xlabel("time")
        ax.set_ylabel("route")
        ax.grid(visible=True, axis="x")
        _set_titles(ax, problem.name or "timetable", "service (blue), waiting (pale), driving (line)")
        return ax


def _require_routes(result: RouteResult) -> None:
    if not result.plans:
        raise InputError("there is nothing to draw; the result has no route")


def plot_trace(obj: RouteResult | Mapping[str, RouteResult], *, ax: Axes | None = None) -> Axes:
    """Draw how the cost fell over time.

    Parameters
    ----------
    obj : RouteResult, or mapping of label to RouteResult
    ax : matplotlib Axes, optional
        Time is on a logarithmic axis.

    Raises
    ------
    InputError
        If there is no result, or one has an empty trace.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> result = RouteResult.from_routes(problem, [[1]], trace=np.array([[0.1, 12.0], [0.2, 10.0]]), seconds=1.0)
    >>> plot_trace(result).get_xscale()
    'log'
    """
    results = dict(obj) if isinstance(obj, Mapping) else {"routes": obj}
    if not results:
        raise InputError("`plot_trace` needs at least one result, found none")
    for label, result in results.items():
        if len(result.trace) == 0:
            raise InputError(f"`plot_trace` needs results with a trace; that of {label!r} is empty")
    with styled():
        ax = new_axes(ax, size=(6.4, 3.8))
        end = max(max(result.seconds, float(result.trace[-1, 0])) for result in results.values())
        for at, (label, result) in enumerate(results.items()):
            seconds = np.append(np.maximum(result.trace[:, 0], 1e-3), max(end, 1e-3))
            costs = np.append(result.trace[:, 1], result.trace[-1, 1])
            colour = COLOURS["answer"] if len(results) == 1 else CYCLE[at % len(CYCLE)]
            ax.step(seconds, costs, where="post", color=colour, label=label)
            ax.plot(seconds[-1], costs[-1], "o", markersize=4, color=colour)
        ax.set_xscale("log")
        ax.grid(visible=True)
        ax.set_xlabel("seconds")
        ax.set_ylabel("cost")
        first = next(iter(results.values())).problem
        _set_titles(ax, first.name or "instance", f"{first.num_clients:,} clients, cost of the best routes over time")
        if len(results) > 1:
            ax.legend()
        return ax


def plot_arc_scores(
    obj: RouteResult | VRP, arcs: ArrayLike, scores: ArrayLike, *, ax: Axes | None = None, label: str = "score"
) -> Axes:
    """Draw a heat map over arcs: the higher its score, the darker and the thicker an arc.

    Parameters
    ----------
    obj : RouteResult or VRP
        The routes of a result are drawn below, wide and pale.
    arcs : int array-like [E, 2]
        Places.
    scores : array-like [E]
        Finite.
    ax : matplotlib Axes, optional
    label : str
        What the scores are.

    Raises
    ------
    InputError
        If shapes differ, a place does not exist, or a score is not finite.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [1, 1]], demand=[4, 4], capacity=8)
    >>> ax = plot_arc_scores(problem, [[0, 1], [1, 2]], [0.2, 0.9])
    >>> len(ax.collections[0].get_paths())
    2
    """
    from matplotlib.collections import LineCollection

    problem = obj.problem if isinstance(obj, RouteResult) else obj
    coords, ends, values = _coords(problem), np.asarray(arcs), np.asarray(scores, dtype=np.float64)
    if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu" or values.shape != (len(ends),):
        raise InputError(
            f"`arcs` must be integers [E, 2] and `scores` have shape [E], found {list(ends.shape)} of {ends.dtype} and "
            f"{list(values.shape)}"
        )
    if ends.size and (ends.min() < 0 or ends.max() >= len(coords)):
        raise InputError(f"`arcs` must hold places 0 .. {len(coords) - 1}, found {ends.min()} .. {ends.max()}")
    if not np.isfinite(values).all():
        raise InputError("`scores` must be finite, found NaN or infinity")
    with styled():
        ax = _plane(ax, coords)
        rank = np.argsort(values, kind="stable")
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        share = (values[rank] - low) / (high - low) if high > low else np.ones(len(values))
        lines = LineCollection(
            list(coords[ends[rank]]), linewidths=_line_width(problem) * (0.3 + 1.6 * share), cmap=SEQUENTIAL, zorder=2
        )
        lines.set_array(values[rank])
        ax.add_collection(lines)
        if isinstance(obj, RouteResult):
            for plan in obj.plans:
                ax.plot(
                    *coords[route_places(problem, plan)].T, color=COLOURS["answer"], alpha=0.16, linewidth=5, zorder=1
                )
        _draw_places(ax, problem, coords, ())
        ax.autoscale_view()
        bar = ax.figure.colorbar(lines, ax=ax, shrink=0.55, pad=0.02, aspect=30, label=label)
        bar.outline.set_visible(False)
        _set_titles(ax, problem.name or "instance", f"{problem.num_clients:,} clients, {len(ends):,} arcs")
        return ax
