"""A result as a page to read: what it costs, a drawing of the routes, and the timetable of every vehicle."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.heads.combinatorial.vrp.explain import explain_shortage
from gnnlib.heads.combinatorial.vrp.timetable import route_places, timetable
from gnnlib.style import COLOURS, CYCLE

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.metrics import RoutePlan
    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.heads.combinatorial.vrp.result import RouteResult
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["result_html", "routes_svg", "write_html"]

_MOST_STOPS = 2_000
"""Stops that are listed; a page with more of them is slow to open."""

_MOST_DRAWN = 20_000

_STYLE = (
    "<style>.vrp{font:14px/1.45 system-ui,sans-serif;color:#30343A;max-width:60em}.vrp table{border-collapse:collapse;"
    "margin:.6em 0}.vrp td,.vrp th{padding:.15em .8em .15em 0;text-align:right;font-variant-numeric:tabular-nums}"
    ".vrp th{font-weight:600;border-bottom:1px solid #D5D9DD}.vrp td:first-child,.vrp th:first-child{text-align:left}"
    ".vrp .wrong{color:#D55E00}.vrp summary{cursor:pointer}.vrp svg{max-width:100%;height:auto}</style>"
)


def result_html(result: RouteResult) -> str:
    """Return the result as a piece of HTML with nothing outside it: what a notebook shows.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> from gnnlib.heads.combinatorial.vrp.result import RouteResult
    >>> problem = VRP.from_coords([[0, 0], [3, 4]], demand=[4], capacity=8)
    >>> "<svg" in result_html(RouteResult.from_routes(problem, [[1]]))
    True
    """
    title, *lines = result.summary().splitlines()
    parts = [_STYLE, "<div class='vrp'>", f"<h3>{_text(title)}</h3>", f"<pre>{_text(chr(10).join(lines))}</pre>"]
    parts += [_faults(result), routes_svg(result), _routes_table(result)]
    num_stops = sum(len(plan.clients) for plan in result.plans)
    if num_stops <= _MOST_STOPS:
        parts.append(_timetables(result))
    else:
        parts.append(f"<p>The timetables of {num_stops:,} stops are left out here.</p>")
    return "".join([*parts, "</div>"])


def write_html(result: RouteResult, path: PathLike) -> None:
    """Write the result as a page that needs no other file and no network."""
    title = _text(result.summary().splitlines()[0])
    page = f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title></head><body>"
    Path(path).write_text(page + result_html(result) + "</body></html>\n", encoding="utf-8")


def _text(value: object) -> str:
    return html.escape(str(value))


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _faults(result: RouteResult) -> str:
    """List what is broken and who cannot be served."""
    unservable = [f"client {client} cannot be served by anyone: {why}" for client, why in result.unservable]
    shortage = explain_shortage(result.problem) if result.unserved and not result.feasible else None
    sentences = [*unservable, *([shortage] if shortage else []), *result.violations]
    if not sentences:
        return ""
    shown = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences[:20])
    more = f"<li>and {len(sentences) - 20:,} more</li>" if len(sentences) > 20 else ""
    return f"<div class='wrong'>Not feasible:<ul>{shown}{more}</ul></div>"


def _kind_name(problem: VRP, number: int) -> str:
    return problem.vehicle_types[number].name or f"type {number}"


def _routes_table(result: RouteResult) -> str:
    problem, scale = result.problem, result.problem.cost_scale
    several = len(problem.vehicle_types) > 1
    head = ["route", *(["vehicle"] if several else []), "stops", "distance", "duration", "leaves", "returns", "fill"]
    rows = []
    for number, plan in enumerate(result.plans, start=1):
        cells = [str(number), *([_kind_name(problem, plan.vehicle_type)] if several else [])]
        cells.append(str(sum(place >= problem.num_depots for place in plan.clients)))
        cells += [_number(value / scale) for value in (plan.distance, plan.duration, plan.leaves, plan.returns)]
        rows.append([*cells, _fill(problem, plan)])
    return _table(head, rows)


def _fill(problem: VRP, plan: RoutePlan) -> str:
    """Return the largest share of a capacity that is used on the way."""
    capacity = np.array(problem.vehicle_types[plan.vehicle_type].capacity)
    usable = np.isfinite(capacity) & (capacity > 0.0)
    if not usable.any():
        return ""
    share = (np.array(plan.loads).max(axis=0)[usable] / capacity[usable]).max()
    return f"{100.0 * share:.0f} %"


def _timetables(result: RouteResult) -> str:
    problem, scale = result.problem, result.problem.cost_scale
    pieces = []
    for number, plan in enumerate(result.plans, start=1):
        rows = []
        for position, stop in enumerate(timetable(problem, plan)[: len(plan.clients)], start=1):
            where = f"client {stop.place}" if stop.place >= problem.num_depots else f"reload at depot {stop.place}"
            load = ", ".join(_number(amount) for amount in plan.loads[position])
            times = [_number(moment / scale) for moment in (stop.arrives, stop.starts, stop.leaves)]
            rows.append([where, *times, load])
        table = _table(["stop", "arrives", "service starts", "leaves", "load after"], rows)
        listed = " ".join(str(place) for place in plan.clients)
        summary = f"route {number}: {listed if len(listed) < 60 else listed[:57] + '...'}"
        pieces.append(f"<details><summary>{_text(summary)}</summary>{table}</details>")
    return "".join(pieces)


def _table(head: list[str], rows: list[list[str]]) -> str:
    titles = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"


def routes_svg(result: RouteResult, *, width: int = 640) -> str:
    """Return a drawing of the routes as SVG text; empty when the problem has no coordinates."""
    problem = result.problem
    coords = problem.travel.coords
    if coords is None or len(coords) > _MOST_DRAWN:
        return ""
    low, span = coords.min(axis=0), np.ptp(coords, axis=0)
    scale = (width - 20.0) / max(float(span[0]), float(span[1]), 1e-300)
    places = 10.0 + (coords - low) * scale
    height = float(span[1]) * scale + 20.0
    places[:, 1] = height - places[:, 1]
    shown = [_polyline(problem, plan, places, CYCLE[at % len(CYCLE)]) for at, plan in enumerate(result.plans)]
    size = float(np.clip(60.0 / np.sqrt(len(places)), 0.8, 3.0))
    shown += [_dot(places[client], size, COLOURS["input"], f"client {client}") for client in _visited(result)]
    shown += [_dot(places[c], size + 1.0, COLOURS["wrong"], f"client {c}, unserved") for c in result.unserved]
    for depot in range(problem.num_depots):
        x, y = places[depot]
        shown.append(
            f"<rect x='{x - 5:.1f}' y='{y - 5:.1f}' width='10' height='10' fill='{COLOURS['start']}'>"
            f"<title>depot {depot}</title></rect>"
        )
    view = f"viewBox='0 0 {width} {height:.0f}' width='{width}' height='{height:.0f}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='routes' {view}>{''.join(shown)}</svg>"


def _visited(result: RouteResult) -> list[int]:
    return [place for route in result.routes for place in route if place >= result.problem.num_depots]


def _polyline(problem: VRP, plan: RoutePlan, places: FloatArray, colour: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places[route_places(problem, plan)].tolist())
    return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.3' stroke-linejoin='round'/>"


def _dot(place: FloatArray, radius: float, colour: str, title: str) -> str:
    title = f"<title>{title}</title>"
    return f"<circle cx='{place[0]:.1f}' cy='{place[1]:.1f}' r='{radius:.1f}' fill='{colour}'>{title}</circle>"
