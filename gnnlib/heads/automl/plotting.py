"""Figures of a search for pipelines and of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.style import COLOURS, CYCLE, SEQUENTIAL, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.automl.result import AutoMLResult
    from gnnlib.typing import ArrayLike

__all__ = ["plot_anytime", "plot_confusion", "plot_leaderboard", "plot_predicted_regret", "plot_residuals"]

_FAMILIES = ("boosting", "forest", "kernel", "linear", "neighbours", "network", "bayes")


def plot_anytime(result: AutoMLResult, *, ax: Axes | None = None) -> Axes:
    """Draw the best score so far against the seconds, and every trial as a point.

    Parameters
    ----------
    result : AutoMLResult
    ax : matplotlib Axes, optional

    Examples
    --------
    >>> from gnnlib.heads.automl.result import AutoMLResult
    >>> done = AutoMLResult("regression", "rmse", 1.0, (), (), trace=np.array([[1.0, 2.0], [2.0, 1.0]]))
    >>> plot_anytime(done).get_xlabel()
    'seconds'
    """
    with styled():
        axes = new_axes(ax)
        finished = [trial for trial in result.trials if trial.status == "ok" and np.isfinite(trial.score)]
        axes.scatter(
            [trial.finished_s for trial in finished],
            [trial.score for trial in finished],
            s=18,
            color=COLOURS["doubt"],
            label="trials",
        )
        known = result.trace[np.isfinite(result.trace[:, 1])] if len(result.trace) else result.trace
        if len(known):
            end = max(result.seconds, float(known[-1, 0]))
            steps = np.vstack([known, [end, known[-1, 1]]])
            axes.step(steps[:, 0], steps[:, 1], where="post", color=COLOURS["answer"], label="best so far")
            # failures far off would flatten the curve
            scores = np.array([trial.score for trial in finished] + known[:, 1].tolist())
            low, high = np.percentile(scores, [10, 90])
            margin = 0.1 * max(high - low, 1e-9)
            axes.set_ylim(min(low, known[:, 1].min()) - margin, max(high, known[:, 1].max()) + margin)
            axes.legend()
        if np.isfinite(result.seconds_asked):
            axes.axvline(result.seconds_asked, color=COLOURS["grid"], linestyle="--")
        axes.set_xlabel("seconds")
        axes.set_ylabel(result.metric)
        axes.set_title("Best pipeline so far")
    return axes


def plot_leaderboard(result: AutoMLResult, *, count: int = 15, ax: Axes | None = None) -> Axes:
    """Draw the best complete trials as bars, coloured by the kind of estimator; weights stand beside them.

    Parameters
    ----------
    result : AutoMLResult
    count : int >= 1
        Bars at most.
    ax : matplotlib Axes, optional
    """
    if count < 1:
        raise InputError(f"`count` must be at least 1, found {count!r}")
    sign = -1.0 if result.metric in {"log_loss", "rmse", "mae"} else 1.0
    done = [trial for trial in result.trials if trial.status == "ok" and np.isfinite(trial.score)]
    done = sorted(done, key=lambda trial: -sign * trial.score)[:count]
    with styled():
        axes = new_axes(ax, size=(7.5, 0.8 + 0.28 * max(3, len(done))))
        for place, trial in enumerate(done):
            colour = CYCLE[_FAMILIES.index(trial.family) % len(CYCLE)]
            axes.barh(place, trial.score, color=colour, height=0.7)
            note = f" {trial.weight:.2f}" if trial.weight > 0 else ""
            axes.text(
                trial.score, place, f" {trial.score:.4g}{'  weight' if note else ''}{note}", va="center", fontsize=7.5
            )
        axes.set_yticks(range(len(done)), [_shortened(trial.pipeline) for trial in done], fontsize=7.5)
        axes.invert_yaxis()
        axes.margins(x=0.25)
        axes.set_xlabel(result.metric)
        axes.set_title("Best pipelines")
    return axes


def plot_confusion(y: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw how often each class was taken for each other, as shares of the true class.

    Parameters
    ----------
    y, predicted : array-like [N]
        Labels.
    ax : matplotlib Axes, optional

    Raises
    ------
    InputError
        If lengths differ or there is nothing to draw.

    Examples
    --------
    >>> plot_confusion(["a", "b", "b"], ["a", "b", "a"]).get_ylabel()
    'true'
    """
    truth, said = _pair(y, predicted)
    names = np.unique(np.concatenate([truth, said]))
    place = {name: i for i, name in enumerate(names.tolist())}
    table = np.zeros((len(names), len(names)))
    np.add.at(table, ([place[name] for name in truth.tolist()], [place[name] for name in said.tolist()]), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with styled():
        axes = new_axes(ax, size=(4.8, 4.2))
        axes.imshow(share, cmap=SEQUENTIAL, vmin=0.0, vmax=1.0)
        if len(names) <= 20:
            for i, j in np.ndindex(*table.shape):
                if table[i, j]:
                    colour = "white" if share[i, j] > 0.5 else COLOURS["ink"]
                    axes.text(j, i, f"{int(table[i, j])}", ha="center", va="center", fontsize=7.5, color=colour)
        axes.set_xticks(range(len(names)), [str(name) for name in names], rotation=45, ha="right")
        axes.set_yticks(range(len(names)), [str(name) for name in names])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title("Confusion")
    return axes


def plot_residuals(y: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw prediction against truth.

    Parameters
    ----------
    y, predicted : array-like [N]
    ax : matplotlib Axes, optional

    Examples
    --------
    >>> plot_residuals([1.0, 2.0], [1.1, 1.9]).get_xlabel()
    'true'
    """
    truth, said = (part.astype(np.float64) for part in _pair(y, predicted))
    with styled():
        axes = new_axes(ax, size=(4.8, 4.4))
        ends = np.array([min(truth.min(), said.min()), max(truth.max(), said.max())])
        axes.plot(ends, ends, color=COLOURS["truth"], linewidth=1.0, label="prediction = truth")
        axes.scatter(truth, said, s=10, alpha=0.6, color=COLOURS["answer"])
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        axes.set_title("Prediction against truth")
        axes.legend()
    return axes


def plot_predicted_regret(
    predicted: ArrayLike, observed: ArrayLike, *, uncertainty: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the regret that was expected of pipelines against the one that they had.

    Parameters
    ----------
    predicted, observed : array-like [P]
        0 is the best pipeline of the table, 1 the worst; pairs with NaN are left out.
    uncertainty : array-like [P], optional
        Standard deviations of the predictions, drawn as bars.
    ax : matplotlib Axes, optional

    Raises
    ------
    InputError
        If lengths differ or no pair is known.

    Examples
    --------
    >>> plot_predicted_regret([0.1, 0.4], [0.0, 0.5], uncertainty=[0.1, 0.2]).get_ylabel()
    'observed regret'
    """
    expected, found = (part.astype(np.float64) for part in _pair(predicted, observed))
    spread = np.zeros(len(expected)) if uncertainty is None else np.asarray(uncertainty, dtype=np.float64)
    if spread.shape != expected.shape:
        raise InputError(f"`uncertainty` must be [{len(expected)}] as the predictions, found shape {spread.shape}")
    known = np.isfinite(expected) & np.isfinite(found)
    if not known.any():
        raise InputError("no pipeline has both a prediction and a result")
    with styled():
        axes = new_axes(ax, size=(4.8, 4.4))
        ends = np.array([0.0, max(1e-9, float(expected[known].max()), float(found[known].max()))])
        axes.plot(ends, ends, color=COLOURS["truth"], linewidth=1.0, label="prediction = result")
        if uncertainty is not None:
            axes.hlines(
                found[known],
                (expected - spread)[known],
                (expected + spread)[known],
                color=COLOURS["doubt"],
                linewidth=0.8,
                label="one standard deviation",
            )
        axes.scatter(expected[known], found[known], s=12, color=COLOURS["answer"], zorder=3)
        axes.set_xlabel("predicted regret")
        axes.set_ylabel("observed regret")
        axes.set_title("Predicted against observed")
        axes.legend()
    return axes


def _pair(y: Any, predicted: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    truth, said = np.asarray(y), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != said.shape or len(truth) == 0:
        raise InputError(f"`y` and `predicted` must be [N] with N >= 1, found shapes {truth.shape} and {said.shape}")
    return truth, said


def _shortened(text: str, limit: int = 60) -> str:
    short = " > ".join(part for part in text.split(" > ") if part not in {"none", "median", "ordinal"})
    return short if len(short) <= limit else short[: limit - 1] + "…"
