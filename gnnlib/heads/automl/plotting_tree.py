"""The search tree of a synthesis, drawn from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.style import COLOURS, SEQUENTIAL, new_axes, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gnnlib.heads.automl.synthesis_result import SearchNode
    from gnnlib.typing import FloatArray

__all__ = ["plot_search_tree"]

_LABELLED = 8


def plot_search_tree(nodes: Sequence[SearchNode], *, ax: Axes | None = None) -> Axes:
    """Draw pipelines as points, edits as lines: size is visits, colour is the score, grey was not tried.

    Parameters
    ----------
    nodes : sequence of SearchNode
        Parents first, as in `gnnlib.heads.automl.synthesis_result.SynthesisResult`.
    ax : matplotlib Axes, optional

    Examples
    --------
    >>> from gnnlib.heads.automl.synthesis import synthesise_pipelines
    >>> from gnnlib.heads.automl.synthesis_language import PipelineLanguage
    >>> from gnnlib.heads.automl.pipelines import Pipeline
    >>> words = [Pipeline("regression", name) for name in ("tree", "forest", "hgb")]
    >>> found = synthesise_pipelines(lambda p: len(p.estimator.name), PipelineLanguage.from_sentences(words))
    >>> plot_search_tree(found.nodes).get_xlabel()
    'edits'
    """
    with styled():
        axes = new_axes(ax, size=(8.0, 5.0))
        places = _layout(nodes)
        for node, place in zip(nodes, places, strict=True):
            if node.parent >= 0:
                above = places[node.parent]
                axes.plot([above[0], place[0]], [above[1], place[1]], color=COLOURS["grid"], zorder=1, linewidth=0.8)
        visits = np.array([node.visits for node in nodes], dtype=np.float64)
        size = 12.0 + 120.0 * np.sqrt(visits / max(visits.max(initial=1.0), 1.0))
        score = np.array([node.score for node in nodes])
        tried, failed = np.isfinite(score), score == -np.inf
        rest = ~tried & ~failed
        axes.scatter(places[rest, 0], places[rest, 1], s=size[rest], color=COLOURS["grid"], zorder=2, label="not tried")
        if failed.any():
            axes.scatter(
                places[failed, 0],
                places[failed, 1],
                s=size[failed],
                color=COLOURS["wrong"],
                marker="x",
                zorder=3,
                label="failed",
            )
        if tried.any():
            points = axes.scatter(
                places[tried, 0], places[tried, 1], s=size[tried], c=score[tried], cmap=SEQUENTIAL, zorder=3
            )
            axes.figure.colorbar(points, ax=axes, label="score")
        for index in np.argsort(-np.where(tried, score, -np.inf), kind="stable")[: min(_LABELLED, int(tried.sum()))]:
            axes.annotate(nodes[index].edit, places[index], xytext=(4, 3), textcoords="offset points", fontsize=7)
        axes.set_xlabel("edits")
        axes.set_yticks([])
        axes.legend(loc="upper left")
    return axes


def _layout(nodes: Sequence[SearchNode]) -> FloatArray:
    """Return a point [x, y] a node: depth, and leaves at even distances in the order of the tree."""
    children: list[list[int]] = [[] for _ in nodes]
    depth = np.zeros(len(nodes))
    for index, node in enumerate(nodes):
        if node.parent >= 0:
            children[node.parent].append(index)
            depth[index] = depth[node.parent] + 1
    height = np.zeros(len(nodes))
    next_leaf = 0
    stack = [(index, False) for index in reversed(range(len(nodes))) if nodes[index].parent < 0]
    while stack:
        index, is_done = stack.pop()
        if not children[index]:
            height[index] = next_leaf
            next_leaf += 1
        elif is_done:
            height[index] = np.mean([height[child] for child in children[index]])
        else:
            stack.append((index, True))
            stack += [(child, False) for child in reversed(children[index])]
    return np.stack([depth, -height], axis=1)
