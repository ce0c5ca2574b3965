"""Pictures of traffic scenes and predictions. Functions draw on the axes they are given or on new ones, and return them.

Grey boxes are motor vehicles, light blue cyclists, pink pedestrians; blue is what was predicted, black what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.heads.scene.canvas import agent_boxes, draw_map, draw_modes, draw_signals, draw_tracks, fit
from gnnlib.style import COLOURS, CYCLE, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.heads.scene.result import Prediction
    from gnnlib.typing import ArrayLike, FloatArray, IntArray

__all__ = ["plot_lane_candidates", "plot_miss_rate", "plot_reliability", "plot_scene"]

_HISTORY_S = 2.0


def plot_scene(
    scene: Scene,
    prediction: Prediction | None = None,
    *,
    at_step: int | None = None,
    focus: str | int | None = None,
    radius_m: float = 40.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a scene at one step: map, signals, road users, their last two seconds, predicted modes and the truth.

    Parameters
    ----------
    scene : Scene
    prediction : Prediction, optional
        Drawn in blue, the more probable a mode the more opaque; the recorded future of its agents in black dashes.
    at_step : int, optional
        Default: that of the prediction, else the middle of the scene.
    focus : str or int, optional
        Id of an agent, present at that step, to zoom in on; default: everybody, or all who are predicted.
    radius_m : float
        How far round `focus` to show, default 40 m.
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If `at_step` is not a step of the scene, the prediction is of agents that the scene does not have, or `focus`
        is absent.

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> ax = plot_scene(generate_scene("intersection", seed=1), at_step=50)
    >>> ax.get_title(loc="left")
    'intersection-1'
    """
    step = _step(scene, prediction, at_step)
    chosen = rows_of(scene, prediction)
    centre = scene.xy[[], step] if focus is None else scene.xy[[scene.row(focus)], step]
    if np.isnan(centre).any():
        raise InputError(f"`focus` must be there at step {step}, agent {focus!r} is not")
    with styled():
        ax = new_axes(ax, size=(7.5, 6.5))
        draw_map(ax, scene)
        draw_signals(ax, scene, step)
        present = scene.present_at(step)
        past = round(_HISTORY_S / scene.dt)
        draw_tracks(
            ax, scene, (step - past, step), present, colors=COLOURS["input"], linewidths=1.3, alpha=0.8, zorder=4
        )
        points = [scene.xy[present, max(step - past, 0) : step + 1].reshape(-1, 2)]
        if prediction is not None:
            draw_modes(ax, scene, prediction)
            truth = (prediction.at_step, prediction.at_step + prediction.horizon)
            draw_tracks(
                ax, scene, truth, chosen, colors=COLOURS["truth"], linewidths=1.1, linestyles=(0, (4, 2)), zorder=7
            )
            points = [scene.xy[chosen, step], prediction.most_likely.reshape(-1, 2)]
        agent_boxes(ax, scene, step, chosen)
        if focus is None:
            fit(ax, np.concatenate(points))
        else:
            fit(ax, centre, margin_m=checks.positive("radius_m", radius_m), least_m=1.0)
        _titles(ax, scene, step, len(present), prediction)
        return ax


def rows_of(scene: Scene, prediction: Prediction | None) -> IntArray:
    """Rows of the scene that a prediction is about."""
    if prediction is None:
        return np.zeros(0, np.int64)
    return np.array([scene.row(agent) for agent in prediction.agents], np.int64)


def _step(scene: Scene, prediction: Prediction | None, at_step: int | None) -> int:
    if at_step is None:
        at_step = scene.num_steps // 2 if prediction is None else prediction.at_step
    return checks.integer("at_step", at_step, 0, scene.num_steps)


def _titles(ax: Axes, scene: Scene, step: int, present: int, prediction: Prediction | None) -> None:
    ax.set_title(scene.name, pad=20)
    details = f"{present} road users at {step * scene.dt:.1f} s"
    if prediction is not None:
        details += f"; blue: {prediction.num_modes} futures of {prediction.horizon * prediction.dt:g} s"
        details += ", dashed: what happened"
    ax.annotate(details, (0.0, 1.0), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=9)
    ax.set_xlabel("metres")


def plot_lane_candidates(
    scene: Scene, agent: str | int, horizon: int = 30, *, at_step: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a scene and the centre lines that an agent may follow (`Scene.lane_candidates`).

    Examples
    --------
    >>> from gnnlib.heads.scene.generate import generate_scene
    >>> scene = generate_scene("merge", seed=1)
    >>> ax = plot_lane_candidates(scene, scene.agents[scene.ego], at_step=10)
    >>> len(ax.get_lines()) >= 1
    True
    """
    row = scene.row(agent)
    if at_step is None:
        at_step = int(np.flatnonzero(scene.valid[row])[-1])
    paths = scene.lane_candidates(agent, horizon, at_step=at_step)
    with styled():
        ax = plot_scene(scene, at_step=at_step, ax=ax)
        for number, path in enumerate(paths):
            ax.plot(*path.T, color=CYCLE[number % len(CYCLE)], linewidth=2.4, alpha=0.8, zorder=4)
        fit(ax, np.concatenate([scene.xy[[row], at_step], *paths]))
        return ax


def plot_miss_rate(prediction: Prediction, scene: Scene | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw how the error of the best and of the most probable mode grows with the time ahead.

    Mean distance in metres to the recorded positions, over the agents that are still there.

    Raises
    ------
    InputError
        If there is no scene to compare with.

    Examples
    --------
    >>> from gnnlib.heads.scene.problem import Prediction, Scene
    >>> scene = Scene("one", ("a",), [[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]])
    >>> guess = Prediction(("a",), [[[[1.0, 0.0], [2.0, 1.0]]]], [[1.0]], [[[1.0, 1.0]]], at_step=0)
    >>> plot_miss_rate(guess, scene).get_lines()[0].get_ydata().tolist()
    [0.0, 1.0]
    """
    scene = prediction.scene if scene is None else scene
    if scene is None:
        raise InputError("`plot_miss_rate` needs the scene that was predicted")
    steps = np.arange(prediction.at_step + 1, min(prediction.at_step + 1 + prediction.horizon, scene.num_steps))
    truth = scene.xy[rows_of(scene, prediction)][:, None, steps]
    distance = np.linalg.norm(prediction.xy[:, :, : len(steps)] - truth, axis=-1)
    top = distance[np.arange(len(distance)), np.argmax(prediction.probability, axis=1)]
    ahead = (steps - prediction.at_step) * scene.dt
    with styled():
        ax = new_axes(ax, size=(6.0, 3.8))
        ax.plot(ahead, _mean(distance.min(axis=1)), color=COLOURS["answer"], label=f"best of {prediction.num_modes}")
        ax.plot(ahead, _mean(top), color=COLOURS["answer"], linestyle=(0, (4, 2)), label="most probable")
        ax.set_xlabel("seconds ahead")
        ax.set_ylabel("metres off")
        ax.set_ylim(bottom=0.0)
        ax.set_title("How far off the prediction is")
        ax.legend()
        return ax


def _mean(values: FloatArray) -> FloatArray:
    """Mean over agents, NaN left out; NaN where nobody is left."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def plot_reliability(probability: ArrayLike, is_best: ArrayLike, *, bins: int = 10, ax: Axes | None = None) -> Axes:
    """Draw how often modes of a given probability turn out to be the best one; honest ones lie on the diagonal.

    Parameters
    ----------
    probability : array [N]
        Of each mode, in [0, 1].
    is_best : bool array [N]
        Whether it was the nearest to what happened.
    bins : int
        Equal intervals of probability, default 10; empty ones are left out.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> ax = plot_reliability([0.25, 0.25, 0.25, 0.25], [True, False, False, False], bins=2)
    >>> ax.get_lines()[1].get_ydata().tolist()
    [0.25]
    """
    share, hit = np.asarray(probability, dtype=np.float64).ravel(), np.asarray(is_best).astype(bool).ravel()
    if share.shape != hit.shape or len(share) == 0:
        raise InputError(f"`probability` and `is_best` must have one shape, found {share.shape} and {hit.shape}")
    which = np.minimum((share * checks.integer("bins", bins, 1)).astype(np.int64), bins - 1)
    count = np.bincount(which, minlength=bins)
    used = count > 0
    said = np.bincount(which, share, bins)[used] / count[used]
    was = np.bincount(which, hit, bins)[used] / count[used]
    with styled():
        ax = new_axes(ax, size=(4.6, 4.4))
        ax.plot([0.0, 1.0], [0.0, 1.0], color=COLOURS["grid"], linewidth=1.0)
        ax.plot(said, was, "o-", color=COLOURS["answer"], markersize=5)
        ax.set_xlabel("probability that was said")
        ax.set_ylabel("share that came true")
        ax.set_title("Are the probabilities honest?")
        ax.set_aspect("equal")
        return ax
