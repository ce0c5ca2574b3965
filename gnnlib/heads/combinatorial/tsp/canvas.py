"""Where the cities of a TSP lie on paper: the plane, space, or a map of the globe.

`Canvas` knows the place of each city on its axes and draws edges, dots and names there; `plotting` decides which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.tsp.rules import geo_radians
from gnnlib.heads.combinatorial.worldmap import WorldMap
from gnnlib.style import COLOURS, new_axes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.tsp.problem import TSP
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Canvas", "make_canvas"]

_LARGEST_EMBEDDING = 3000  # cities that classical scaling places within a few seconds
_FEW_NAMES = 26


def make_canvas(problem: TSP, ax: Axes | None = None) -> Canvas:
    """Return the canvas that fits `problem`, on `ax` or on the axes of a new figure."""
    is_globe = problem.metric == "GEO" and problem.coords is not None
    return Globe(problem, ax) if is_globe else Canvas(problem, ax)


def _embedding(problem: TSP) -> FloatArray:
    """Places on the plane whose distances are near the given ones: classical scaling, Torgerson (1952)."""
    if problem.num_cities > _LARGEST_EMBEDDING:
        raise InputError(
            f"an instance without coordinates is drawn up to {_LARGEST_EMBEDDING:,} cities, found "
            f"{problem.num_cities:,}; say where to draw them with TSP(..., display=...)"
        )
    matrix = problem.distance_matrix()
    square = (0.5 * (matrix + matrix.T)) ** 2
    centred = square - square.mean(axis=0) - square.mean(axis=1)[:, None] + square.mean()
    values, vectors = np.linalg.eigh(-0.5 * centred)
    values, vectors = values[::-1][:2], vectors[:, ::-1][:, :2]
    places = np.zeros((problem.num_cities, 2))
    places[:, : len(values)] = vectors * np.sqrt(np.maximum(values, 0.0))
    return places


class Canvas:
    """Axes on which cities have places: the plane or space."""

    def __init__(self, problem: TSP, ax: Axes | None) -> None:
        self.problem = problem
        self.is_embedding = problem.coords is None and problem.display is None
        places = problem.coords if problem.coords is not None else problem.display
        self.places = _embedding(problem) if places is None else places
        self.axes = self._make_axes(ax)

    def _make_axes(self, ax: Axes | None) -> Axes:
        if self.places.shape[1] == 3:
            ax = new_axes(ax, size=(6.0, 5.6), projection="3d")
            ax.set_box_aspect(np.maximum(np.ptp(self.places, axis=0), 1e-9 * max(float(np.ptp(self.places)), 1e-300)))
            return ax
        width, height = np.ptp(self.places, axis=0).tolist()
        ax = new_axes(ax, size=(6.0, float(np.clip(6.0 * height / width, 2.4, 7.5)) if width > 0.0 else 5.0))
        ax.set_aspect("equal", adjustable="datalim" if min(width, height) == 0.0 else "box")
        ax.set_axis_off()
        return ax

    def edges(self, tails: IntArray, heads: IntArray, **style: Any) -> Any:
        """Add lines between cities and return their collection."""
        segments = np.stack([self.places[tails], self.places[heads]], axis=1)
        return self._add_lines(list(segments), style)

    def _add_lines(self, segments: list[FloatArray], style: dict[str, Any]) -> Any:
        style.setdefault("capstyle", "round")
        if self.places.shape[1] == 3:
            from mpl_toolkits.mplot3d.art3d import Line3DCollection

            space: Any = self.axes  # Axes3D, which matplotlib's stubs do not tell apart
            return space.add_collection3d(Line3DCollection(segments, **style))
        from matplotlib.collections import LineCollection

        lines = self.axes.add_collection(LineCollection(segments, **style))
        self.axes.autoscale_view()
        return lines

    def cities(self) -> None:
        """Add a dot a city."""
        size = float(np.clip(900.0 / max(len(self.places), 1), 0.6, 16.0))
        scatter: Any = self.axes.scatter
        scatter(*self.places.T, s=size, color=COLOURS["input"], linewidths=0, zorder=4)

    def names(self) -> None:
        """Add the names of the cities where they are few."""
        names = self.problem.node_names
        if names is None or self.places.shape[1] == 3:
            return
        if len(names) <= _FEW_NAMES:
            self._label(range(len(names)))
        elif all(isinstance(name, str) for name in names):
            self._label(_scattered(self.places, _FEW_NAMES))

    def _label(self, chosen: Iterable[int]) -> None:
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.2, foreground="white", alpha=0.85)]
        names = self.problem.node_names or ()
        for city in chosen:
            self.axes.annotate(
                str(names[city]),
                tuple(self.places[city]),
                xytext=(3, 3),
                textcoords="offset points",
                fontsize=7,
                path_effects=halo,
                zorder=5,
            )


class Globe(Canvas):
    """Axes that hold a map."""

    def _make_axes(self, ax: Axes | None) -> Axes:
        self.degrees = np.rad2deg(geo_radians(self.places))
        self.map = WorldMap.around(self.degrees)
        self.places = self.map.project(self.degrees)
        ax = new_axes(ax, size=(9.0, 4.7) if self.map.is_world else (6.4, 5.4))
        ax.set_aspect("equal")
        ax.set_axis_off()
        self._graticule(ax)
        return ax

    def edges(self, tails: IntArray, heads: IntArray, **style: Any) -> Any:
        """Add great circles between cities and return their collection."""
        if "array" in style:  # one value a line: lines must not come in pieces
            return self._add_lines(*self._whole(tails, heads, style))
        samples = 32 if len(tails) <= 3000 else 8
        return self._add_lines(self.map.lines(self.degrees[tails], self.degrees[heads], samples), style)

    def _whole(
        self, tails: IntArray, heads: IntArray, style: dict[str, Any]
    ) -> tuple[list[FloatArray], dict[str, Any]]:
        segments: list[FloatArray] = []
        owners: list[int] = []
        for edge in range(len(tails)):
            pieces = self.map.lines(self.degrees[tails[edge : edge + 1]], self.degrees[heads[edge : edge + 1]], 16)
            segments += pieces
            owners += [edge] * len(pieces)
        spread = {key: np.asarray(style[key])[owners] for key in ("array", "linewidths")}
        return segments, {**style, **spread}

    def _graticule(self, ax: Axes) -> None:
        from matplotlib.collections import LineCollection

        colour = COLOURS["grid"]
        if self.map.is_world:
            lines = [self.map.meridian(longitude) for longitude in range(-180, 180, 30)]
            lines += [self.map.parallel(latitude) for latitude in range(-60, 61, 30)]
            ax.fill(*self.map.outline().T, facecolor="#F4F7F9", edgecolor=colour, linewidth=0.8, zorder=0)
            ax.add_collection(LineCollection(lines, colors=colour, linewidths=0.5, zorder=0.5))
            for latitude in range(-60, 61, 30):
                self._tick(ax, self.map.parallel(latitude)[0], _compass(latitude, "NS"), (-4, 0), ("right", "center"))
            for longitude in range(-180, 180, 60):
                place = self.map.project(np.array([-90.0, float(longitude)]))
                self._tick(ax, place, _compass(longitude, "EW"), (0, -4), ("center", "top"))
            return
        self._regional_graticule(ax)

    def _regional_graticule(self, ax: Axes) -> None:
        from matplotlib.collections import LineCollection

        relative = self.places[:, 0] / self.map.scale
        span = max(np.ptp(self.degrees[:, 0]), np.ptp(relative), 0.1)
        step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30) if span / step <= 8)
        south, north = self.degrees[:, 0].min() - step / 2, self.degrees[:, 0].max() + step / 2
        west, east = relative.min() - step / 2, relative.max() + step / 2
        lines = []
        for latitude in np.arange(np.ceil(south / step), np.floor(north / step) + 1) * step:
            lines.append(self.map.parallel(latitude, west, east))
            self._tick(ax, lines[-1][0], _compass(latitude, "NS"), (-4, 0), ("right", "center"))
        low, high = self.map.centre + west, self.map.centre + east
        for longitude in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step:
            lines.append(self.map.meridian(longitude, south, north))
            self._tick(ax, lines[-1][0], _compass(longitude, "EW"), (0, -4), ("center", "top"))
        ax.add_collection(LineCollection(lines, colors=COLOURS["grid"], linewidths=0.6, zorder=0.5))

    @staticmethod
    def _tick(ax: Axes, place: FloatArray, text: str, shift: tuple[int, int], align: tuple[str, str]) -> None:
        ax.annotate(
            text,
            tuple(place),
            xytext=shift,
            textcoords="offset points",
            ha=align[0],
            va=align[1],
            fontsize=7,
            alpha=0.7,
        )


def _compass(degrees: float, letters: str) -> str:
    value = round((degrees + 180.0) % 360.0 - 180.0, 6)
    if value == 0.0 or (letters == "EW" and abs(value) == 180.0):
        return f"{abs(value):g}°"
    return f"{abs(value):g}°{letters[0] if value > 0.0 else letters[1]}"


def _scattered(places: FloatArray, count: int) -> list[int]:
    """Cities far from each other: farthest-point sampling from the first."""
    chosen = [0]
    nearest = np.linalg.norm(places - places[0], axis=1)
    while len(chosen) < min(count, len(places)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return chosen
