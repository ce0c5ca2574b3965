"""Animated GIFs of scenes, through matplotlib's raster back end and pillow; no video program is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.canvas import agent_boxes, draw_map, draw_modes, draw_signals, draw_tracks, fit
from gnnlib.style import COLOURS, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.heads.scene.result import Prediction
    from gnnlib.typing import IntArray, PathLike

__all__ = ["animate_scene"]

_HISTORY_S = 2.0
_DPI = 100


def animate_scene(
    scene: Scene,
    path: PathLike,
    prediction: Prediction | None = None,
    *,
    frames: int = 50,
    width_px: int = 640,
    speed: float = 1.0,
) -> None:
    """Write an animated GIF of a scene: fixed zoom, map, history, and from its step on the predicted modes and truth.

    Parameters
    ----------
    scene : Scene
    path : path-like
        Ends in ``.gif``; an existing file is replaced.
    prediction : Prediction, optional
        Shown from the step of the prediction to its horizon, opacity by probability; the recorded future of its
        agents as black dashes.
    frames : int
        Pictures, spread evenly over the scene, default 50; no more than it has steps.
    width_px : int
        Width of the picture, 160 .. 2000, default 640; the height follows from the scene.
    speed : float
        1.0 (the default) plays in real time, 2.0 twice as fast.

    Raises
    ------
    InputError
        If the file is no GIF or an argument is out of range.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "traffic.gif")
    >>> animate_scene(generate_scene("roundabout", seed=1, num_steps=20), file, frames=2, width_px=200)
    >>> file.read_bytes()[:6]
    b'GIF89a'
    >>> folder.cleanup()
    """
    if Path(path).suffix.lower() != ".gif":
        raise InputError(f"an animation ends in .gif, found {os.fspath(path)!r}")
    count = min(checks.integer("frames", frames, 1), scene.num_steps)
    width = checks.integer("width_px", width_px, 160, 2001)
    steps = np.unique(np.round(np.linspace(0, scene.num_steps - 1, count)).astype(np.int64))
    pictures = _pictures(scene, prediction, steps, width)
    seconds = scene.num_steps * scene.dt / len(steps) / checks.positive("speed", speed)
    first, *rest = pictures
    # frames of a GIF last whole hundredths of a second, and viewers slow down those below two
    duration = max(round(100.0 * seconds), 2) * 10
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, optimize=False)


def _pictures(scene: Scene, prediction: Prediction | None, steps: IntArray, width: int) -> list[Image]:
    """Draw the map once, then on copies of it what moves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    chosen = np.zeros(0, np.int64)
    if prediction is not None:
        chosen = np.array([scene.row(agent) for agent in prediction.agents], np.int64)
    pictures: list[Image.Image] = []
    with styled():
        size = _figure_size(scene, width)
        figure = Figure(figsize=size, dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        ax.set_axis_off()
        fit(ax, scene.xy.reshape(-1, 2))
        _fill(ax, size)
        draw_map(ax, scene)
        canvas.draw()
        background = canvas.copy_from_bbox(figure.bbox)
        clock = ax.text(0.012, 0.988, "", transform=ax.transAxes, va="top", fontsize=10, color=COLOURS["ink"])
        clock.set_animated(True)
        palette: Image.Image | None = None
        for step in steps:
            canvas.restore_region(background)
            clock.set_text(f"{scene.name}   {step * scene.dt:.1f} s")
            moving = _draw_moment(ax, scene, prediction, int(step), chosen)
            for artist in [*moving, clock]:
                ax.draw_artist(artist)
            for artist in moving:
                artist.remove()
            frame = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
            if palette is None:
                palette = _palette()
            pictures.append(frame.quantize(palette=palette, dither=Image.Dither.NONE))
    return pictures


def _palette() -> Image:
    """Colours for all frames: those of the style, faded to white in steps, so that no frame changes them."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    inks = [*COLOURS.values(), "#8A949C", "#C9CED2", "#ECEEF0", "#B9C0C6"]
    shades = {(255, 255, 255), (236, 238, 240)}
    for ink in inks:
        for share in np.linspace(0.15, 1.0, 12):
            colour = 255.0 * (1.0 - share * (1.0 - np.array(to_rgb(ink))))
            if colour.mean() < 245.0:  # paler ones would take the place of white
                red, green, blue = (round(float(part)) for part in colour)
                shades.add((red, green, blue))
    table = [part for colour in sorted(shades)[:256] for part in colour]
    palette = Image.new("P", (1, 1))
    palette.putpalette(table + table[:3] * (256 - len(table) // 3))
    return palette


def _figure_size(scene: Scene, width: int) -> tuple[float, float]:
    """Size in inches, in the proportions of the ground that the agents cover, at most twice as high as wide."""
    known = scene.xy[np.isfinite(scene.xy).all(axis=-1)]
    extent = np.maximum(np.ptp(known, axis=0) + 24.0, 40.0) if len(known) else np.array([1.0, 1.0])
    share = float(np.clip(extent[1] / extent[0], 0.4, 1.4))
    return width / _DPI, round(width * share) / _DPI


def _fill(ax: Axes, size: tuple[float, float]) -> None:
    """Widen the limits to the proportions of the picture, so that a metre is as long in x as in y."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    metres = max((right - left) / size[0], (high - low) / size[1])
    ax.set_xlim(0.5 * (left + right - metres * size[0]), 0.5 * (left + right + metres * size[0]))
    ax.set_ylim(0.5 * (low + high - metres * size[1]), 0.5 * (low + high + metres * size[1]))
    ax.set_aspect("auto")


def _draw_moment(ax: Axes, scene: Scene, prediction: Prediction | None, step: int, chosen: IntArray) -> list[Any]:
    past = round(_HISTORY_S / scene.dt)
    look = {"colors": COLOURS["input"], "linewidths": 1.2, "alpha": 0.7, "zorder": 4}
    moving = draw_signals(ax, scene, step)
    moving += draw_tracks(ax, scene, (step - past, step), scene.present_at(step), **look)
    if prediction is not None and prediction.at_step <= step <= prediction.at_step + prediction.horizon:
        span = (prediction.at_step, prediction.at_step + prediction.horizon)
        moving += draw_modes(ax, scene, prediction)
        truth = {"colors": COLOURS["truth"], "linewidths": 1.0, "linestyles": (0, (4, 2)), "zorder": 7}
        moving += draw_tracks(ax, scene, span, chosen, **truth)
    return moving + agent_boxes(ax, scene, step, chosen)
