"""Drawing parts of a scene on matplotlib axes: the map, road users, tracks and predicted modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.heads.scene.result import Prediction
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "AGENT_COLOURS",
    "agent_boxes",
    "box_corners",
    "draw_map",
    "draw_modes",
    "draw_signals",
    "draw_tracks",
    "fit",
]

_ASPHALT = "#ECEEF0"
_SIGNAL_COLOURS = (COLOURS["grid"], COLOURS["wrong"], COLOURS["rival"], COLOURS["bound"])
#: Fill of each of `AGENT_TYPES`: motor vehicles, cyclists, pedestrians, what does not move.
AGENT_COLOURS = ("#8A949C", "#8A949C", "#8A949C", "#8A949C", "#56B4E9", "#CC79A7", "#C9CED2", "#C9CED2")


def draw_map(ax: Axes, scene: Scene) -> None:
    """Draw lanes, their direction, crossings, boundaries and stop signs."""
    from matplotlib.collections import LineCollection, PolyCollection

    lanes = scene.lanes.lanes
    areas = [
        np.concatenate([lane.left, lane.right[::-1]])
        for lane in lanes
        if lane.left is not None and lane.right is not None
    ]
    grounds = [line.points for line in scene.lanes.lines if line.kind == "area" and len(line.points) > 2]
    ax.add_collection(PolyCollection([*grounds, *areas], facecolors=_ASPHALT, edgecolors="none", zorder=0))
    if not areas:  # no bounds known: a wide line stands for the lane
        wide = LineCollection([lane.centre for lane in lanes], colors=_ASPHALT, linewidths=5.0, zorder=0)
        ax.add_collection(wide)
    bounds = [line for lane in lanes for line in (lane.left, lane.right) if line is not None]
    ax.add_collection(LineCollection(bounds, colors="white", linewidths=1.0, zorder=1))
    centres = [lane.centre for lane in lanes]
    ax.add_collection(LineCollection(centres, colors=COLOURS["grid"], linewidths=0.7, linestyles="--", zorder=1))
    edges = [line.points for line in scene.lanes.lines if line.kind in {"boundary", "marking"} and len(line.points) > 1]
    ax.add_collection(LineCollection(edges, colors=COLOURS["grid"], linewidths=0.8, zorder=1))
    if scene.lanes.crossings:
        stripes: dict[str, Any] = {"facecolors": "none", "edgecolors": "#B9C0C6", "hatch": "||||", "linewidths": 0.0}
        ax.add_collection(PolyCollection(list(scene.lanes.crossings), zorder=1, **stripes))
    signs = [line.points[0] for line in scene.lanes.lines if line.kind == "stop_sign"]
    if signs:
        x, y = np.array(signs).T
        ax.scatter(x, y, marker="8", s=22, color=COLOURS["wrong"], linewidths=0, zorder=2)


def draw_signals(ax: Axes, scene: Scene, step: int) -> list[Artist]:
    """Draw the signals as dots in their colours."""
    if not scene.lanes.signals:
        return []
    x, y = np.array([signal.position for signal in scene.lanes.signals]).T
    colours = [_SIGNAL_COLOURS[int(signal.states[step])] for signal in scene.lanes.signals]
    return [ax.scatter(x, y, c=colours, s=26, edgecolors="white", linewidths=0.6, zorder=3)]


def box_corners(scene: Scene, rows: IntArray, step: int) -> FloatArray:
    """Corners [A, 4, 2] of the boxes of agents at a step; an unknown heading points along x."""
    heading = np.nan_to_num(scene.heading_rad[rows, step])
    along = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * scene.size[rows, :1] / 2.0
    side = np.stack([-np.sin(heading), np.cos(heading)], axis=-1) * scene.size[rows, 1:] / 2.0
    centre = scene.xy[rows, step]
    return np.stack(
        [centre + along + side, centre + along - side, centre - along - side, centre - along + side], axis=1
    )


def agent_boxes(ax: Axes, scene: Scene, step: int, chosen: IntArray) -> list[Artist]:
    """Draw everybody present; `chosen` rows (with a prediction) in blue, the ego vehicle with a bold outline."""
    from matplotlib.collections import PolyCollection

    rows = scene.present_at(step)
    picked = np.isin(rows, chosen)
    colours = [
        COLOURS["answer"] if is_chosen else AGENT_COLOURS[scene.agent_types[row]]
        for row, is_chosen in zip(rows, picked, strict=True)
    ]
    edges = [COLOURS["start"] if row == scene.ego else "white" for row in rows]
    widths = [2.0 if row == scene.ego else 0.6 for row in rows]
    boxes = PolyCollection(
        list(box_corners(scene, rows, step)), facecolors=colours, edgecolors=edges, linewidths=widths, zorder=5
    )
    ax.add_collection(boxes)
    return [boxes]


def draw_tracks(ax: Axes, scene: Scene, span: tuple[int, int], rows: IntArray, **look: Any) -> list[Artist]:
    """Draw the ways of agents from the first to the last step of `span`, broken where they are absent."""
    from matplotlib.collections import LineCollection

    first, last = max(span[0], 0), min(span[1], scene.num_steps - 1)
    lines = []
    for row in rows:
        track = scene.xy[row, first : last + 1]
        gaps = np.flatnonzero(np.isnan(track[:, 0]))
        lines += [part[~np.isnan(part[:, 0])] for part in np.split(track, gaps)]
    drawn = LineCollection([line for line in lines if len(line) > 1], **look)
    ax.add_collection(drawn)
    return [drawn]


def draw_modes(ax: Axes, scene: Scene, prediction: Prediction) -> list[Artist]:
    """Draw the predicted modes; the more probable, the more opaque."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    colour = to_rgb(COLOURS["answer"])
    lines, shades, ends = [], [], []
    for row, agent in enumerate(prediction.agents):
        start = scene.xy[scene.row(agent), prediction.at_step]
        for mode in np.argsort(prediction.probability[row]):
            strength = float(np.clip(prediction.probability[row, mode], 0.06, 1.0)) ** 0.7
            lines.append(np.concatenate([start[None], prediction.xy[row, mode]]))
            shades.append((*colour, strength))
            ends.append(prediction.xy[row, mode, -1])
    drawn = LineCollection(lines, colors=shades, linewidths=1.8, zorder=6, capstyle="round")
    ax.add_collection(drawn)
    if not ends:
        return [drawn]
    x, y = np.array(ends).T
    return [drawn, ax.scatter(x, y, color=shades, s=11, linewidths=0, zorder=6)]


def fit(ax: Axes, points: FloatArray, margin_m: float = 12.0, least_m: float = 40.0) -> None:
    """Set equal, fixed limits round points [N, 2]; a square of `least_m` at least."""
    known = points[np.isfinite(points).all(axis=-1)]
    if len(known) == 0:
        known = np.zeros((1, 2))
    low, high = known.min(axis=0) - margin_m, known.max(axis=0) + margin_m
    middle, half = 0.5 * (low + high), np.maximum(0.5 * (high - low), 0.5 * least_m)
    ax.set_xlim(middle[0] - half[0], middle[0] + half[0])
    ax.set_ylim(middle[1] - half[1], middle[1] + half[1])
    ax.set_aspect("equal")
