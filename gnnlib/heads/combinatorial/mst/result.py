"""The answer of every spanning-tree method: checked to be a spanning forest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InfeasibleError
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Hashable

    import networkx as nx
    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    from gnnlib.search import SearchTree
    from gnnlib.typing import IntArray

__all__ = ["TreeResult"]


@dataclass(frozen=True, eq=False)
class TreeResult(Result):
    """A spanning tree; of a graph that is not connected a spanning forest, one tree a component.

    That the edges join what can be joined and close no cycle is checked when the result is made.

    Parameters
    ----------
    edge_ids : int64 array
        Edges of the tree, by their place in the graph.
    graph : WeightedGraph
        The graph (not exported by `to_dict`).
    method : {"exact", "learned", "mcts"}
    exact_weight : float, optional
        Weight of a minimum spanning tree, where it was computed.
    num_trees : int
        Components of the graph; filled in.
    simulations : int
        Of the tree search, a move.
    seconds : float
        Wall-clock time.
    search : SearchTree, optional
        What the tree search saw before its first move (not exported).

    Raises
    ------
    InfeasibleError
        If the edges close a cycle or leave two nodes apart that the graph joins.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
    >>> triangle = WeightedGraph(3, [0, 1, 2], [1, 2, 0], [1.0, 2.0, 3.0], names=("a", "b", "c"))
    >>> result = TreeResult(np.array([0, 1]), triangle, "exact", exact_weight=3.0)
    >>> result.edges, result.weight, result.ratio
    ((('a', 'b'), ('b', 'c')), 3.0, 1.0)
    """

    edge_ids: IntArray
    graph: WeightedGraph = field(repr=False, metadata={"export": False})
    method: str
    exact_weight: float | None = None
    num_trees: int = 0
    simulations: int = 0
    seconds: float = 0.0
    search: SearchTree | None = field(default=None, repr=False, metadata={"export": False})

    def __post_init__(self) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        graph, edges = self.graph, np.asarray(self.edge_ids, dtype=np.int64)

        def count(tails: IntArray, heads: IntArray) -> int:
            shape = (graph.num_nodes, graph.num_nodes)
            return int(connected_components(coo_array((np.ones(len(tails)), (tails, heads)), shape=shape))[0])

        components = count(graph.tails, graph.heads) if graph.num_nodes else 0
        found = count(graph.tails[edges], graph.heads[edges]) if graph.num_nodes else 0
        if found != components or len(edges) != graph.num_nodes - components:
            raise InfeasibleError(
                f"a spanning forest of this graph has {graph.num_nodes - components} edges and {components} trees, "
                f"found {len(edges)} edges that leave {found} components"
            )
        object.__setattr__(self, "edge_ids", edges)
        object.__setattr__(self, "num_trees", components)

    @property
    def edges(self) -> tuple[tuple[Hashable, Hashable], ...]:
        """The edges as pairs of the caller's node names."""
        return tuple(self.graph.edge_name(edge) for edge in self.edge_ids.tolist())

    @property
    def weight(self) -> float:
        """Sum of the weights."""
        return float(self.graph.weights[self.edge_ids].sum())

    @property
    def ratio(self) -> float | None:
        """Weight over that of a minimum spanning tree, 1 at best; None where that was not computed or is not > 0."""
        if self.exact_weight is None or self.graph.weights[self.edge_ids].size == 0:
            return None if self.exact_weight is None else 1.0
        if self.weight <= self.exact_weight:
            return 1.0
        return self.weight / self.exact_weight if self.exact_weight > 0 else None

    @property
    def is_exact(self) -> bool:
        """Whether no spanning tree is known to be lighter: the weight is that of a minimum spanning tree."""
        exact = self.exact_weight
        return exact is not None and self.weight <= exact + 1e-12 * float(np.abs(self.graph.weights).sum())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with the edges by name, the weight and the ratio."""
        edges = [list(pair) for pair in self.edges]
        return {**super().to_dict(), "edges": edges, "weight": self.weight, "ratio": self.ratio}

    def to_networkx(self) -> nx.Graph[Any]:
        """Return the tree as a networkx graph with all nodes and the attribute ``weight``."""
        import networkx as nx

        tree: nx.Graph[Any] = nx.Graph()
        tree.add_nodes_from(map(self.graph.name_of, range(self.graph.num_nodes)))
        weights = self.graph.weights[self.edge_ids].tolist()
        tree.add_weighted_edges_from((u, v, w) for (u, v), w in zip(self.edges, weights, strict=True))
        return tree

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the tree over the graph; return the axes."""
        from gnnlib.heads.combinatorial.mst.plotting import plot_tree  # matplotlib only on demand

        return plot_tree(self, ax=ax)

    @property
    def _title(self) -> str:
        return f"TreeResult of {self.graph.name}" if self.graph.name else "TreeResult"

    def _rows(self) -> list[tuple[str, str]]:
        ratio = self.ratio
        return [
            ("nodes", f"{self.graph.num_nodes:,}"),
            ("edges", f"{len(self.edge_ids):,} of {self.graph.num_edges:,}"),
            ("trees", f"{self.num_trees:,}"),
            ("weight", f"{self.weight:,.6g}"),
            ("ratio to exact", "not computed" if ratio is None else f"{ratio:.6f}"),
            ("method", self.method + (f", {self.simulations} simulations" if self.simulations else "")),
            ("seconds", f"{self.seconds:.3f}"),
        ]
