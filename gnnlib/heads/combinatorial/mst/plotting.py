"""Pictures of spanning trees, and of the tree search that finds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.graph_canvas import GraphCanvas
from gnnlib.style import COLOURS, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.mst.result import TreeResult
    from gnnlib.search import SearchTree

__all__ = ["plot_search_tree", "plot_tree"]


def plot_tree(obj: TreeResult, *, ax: Axes | None = None) -> Axes:
    """Draw a spanning tree over its graph; edges that a minimum spanning tree does not have are drawn as wrong.

    Parameters
    ----------
    obj : TreeResult
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.mst.api import spanning_tree
    >>> ax = plot_tree(spanning_tree([[0, 1.0, 3.0], [1.0, 0, 2.0], [3.0, 2.0, 0]]))
    >>> ax.get_title(loc="left").strip()
    'spanning tree'
    """
    from gnnlib.heads.combinatorial.mst.baselines import exact_tree

    with styled():
        graph = obj.graph
        canvas = GraphCanvas(graph, ax)
        canvas.base()
        width = 1.8 if graph.num_nodes <= 500 else 0.8
        same = np.isin(obj.edge_ids, exact_tree(graph)) | bool(obj.is_exact)
        for kind, edges in (("answer", obj.edge_ids[same]), ("wrong", obj.edge_ids[~same])):
            canvas.edges(
                graph.tails[edges],
                graph.heads[edges],
                color=COLOURS["answer" if kind == "answer" else "wrong"],
                linewidths=width if kind == "answer" else 1.6 * width,
                zorder=3 if kind == "answer" else 4,
            )
        ratio = "" if obj.ratio is None or obj.method == "exact" else f", {obj.ratio:.5f} of the least weight"
        canvas.title(graph.name or "spanning tree", f"{graph.num_nodes:,} nodes, method {obj.method}{ratio}")
        return canvas.axes


def plot_search_tree(obj: SearchTree, *, root: int = 0, depth: int = 4, ax: Axes | None = None) -> Axes:
    """Draw the nodes that a tree search visited: the thicker a line, the more simulations went along it.

    Parameters
    ----------
    obj : SearchTree
    root : int, default 0
        Which of the roots.
    depth : int >= 1, default 4
        Moves shown.
    ax : matplotlib Axes, optional
        Default: those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If there is no such root.
    """
    if not 0 <= root < obj.num_roots or depth < 1:
        raise InputError(f"`root` must be in [0, {obj.num_roots}) and `depth` >= 1, found {root} and {depth}")
    with styled():
        ax = new_axes(ax, size=(7.0, 3.8))
        places: dict[int, tuple[float, int]] = {}
        best = _best_line(obj, root)
        _place(obj, root, 0, 0, depth, 0.0, places)
        for node, (x, level) in places.items():
            parent = int(obj.parents[root, node])
            colour = COLOURS["answer" if node in best else "input"]
            if parent >= 0:
                width = 0.4 + 5.0 * obj.visits[root, node] / max(int(obj.visits[root, 0]), 1)
                up = places[parent]
                ax.plot([up[0], x], [-up[1], -level], color=colour, linewidth=width, alpha=0.8, zorder=2)
            ax.scatter([x], [-level], s=20, color=colour, zorder=3)
            if node in best or level <= 1:
                text = f"{obj.visits[root, node]}"
                ax.annotate(text, (x, -level), xytext=(4, 3), textcoords="offset points", fontsize=7.5)
        ax.set_yticks(range(0, -max(level for _, level in places.values()) - 1, -1))
        ax.set_yticklabels([str(-int(tick)) for tick in ax.get_yticks()])
        ax.set_ylabel("moves ahead")
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
        ax.set_title("what the tree search looked at (numbers: visits)")
        return ax


def _best_line(tree: SearchTree, root: int) -> set[int]:
    line, node = {0}, 0
    for action in tree.principal_variation(root):
        node = int(tree.children[root, node, action])
        line.add(node)
    return line


def _place(
    tree: SearchTree,
    root: int,
    node: int,
    level: int,
    depth: int,
    left: float,
    places: dict[int, tuple[float, int]],
) -> float:
    """Give the node and its descendants places from `left` on; return where the next one may begin."""
    children = [int(child) for child in tree.children[root, node] if child >= 0] if level < depth else []
    start = left
    for child in children:
        left = _place(tree, root, child, level + 1, depth, left, places)
    left = max(left, start + 1.0)
    places[node] = ((start + left - 1.0) / 2.0, level)
    return left
