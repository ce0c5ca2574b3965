"""The record behind spanning trees and shortest paths: a weighted graph as arrays, with the caller's node names."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable

    import networkx as nx
    from scipy.sparse import csr_array

    from gnnlib.typing import FloatArray, IntArray

__all__ = ["Arcs", "WeightedGraph"]


class Arcs(NamedTuple):
    """The arcs that leave each node; of parallel ones the cheapest, of equal ones the first; no loops.

    Attributes
    ----------
    first : int64 array [N + 1]
        Arcs ``first[u] .. first[u + 1] - 1`` leave node u.
    head : int64 array [A]
        Where each arc leads, rising within a node.
    weight : float array [A]
        Its weight.
    edge : int64 array [A]
        The edge of the graph that it stands for.
    """

    first: IntArray
    head: IntArray
    weight: FloatArray
    edge: IntArray

    @property
    def tail(self) -> IntArray:
        """Where each arc comes from, int64 array [A]."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@dataclass(frozen=True, eq=False)
class WeightedGraph:
    """A graph with one number on every edge; parallel edges and loops are allowed.

    Parameters
    ----------
    num_nodes : int >= 0
        Number of nodes N.
    tails, heads : int64 array [M]
        The two ends of each edge, numbered from 0; for an undirected graph their order means nothing and each edge is
        listed once.
    weights : float array [M]
        Finite.
    is_directed : bool, default False
        Whether an edge leads from its tail to its head only.
    names : tuple of hashable, optional
        Names of the nodes; default 0..N-1.
    coords : float array [N, 2], optional
        Where to draw the nodes (and nothing else).
    name : str, default ""
        Name of the graph.

    Raises
    ------
    InputError
        If lengths differ, an end is out of range, a weight is not finite, or names repeat.

    Examples
    --------
    >>> graph = WeightedGraph(3, [0, 1], [1, 2], [2.0, 5.0], names=("a", "b", "c"))
    >>> graph.num_edges, graph.number_of("c"), graph.edge_name(1)
    (2, 2, ('b', 'c'))
    """

    num_nodes: int
    tails: IntArray
    heads: IntArray
    weights: FloatArray
    is_directed: bool = False
    names: tuple[Hashable, ...] | None = None
    coords: FloatArray | None = field(default=None, repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        tails, heads = (_ends(getattr(self, name), name) for name in ("tails", "heads"))
        weights = np.asarray(self.weights)
        if weights.dtype.kind not in "fiub":
            raise InputError(f"`weights` must be real numbers, found dtype {weights.dtype}")
        weights = np.ascontiguousarray(weights, dtype=np.float64)
        if not tails.shape == heads.shape == weights.shape:
            raise InputError(
                "`tails`, `heads` and `weights` must have one length, "
                f"found {list(tails.shape)}, {list(heads.shape)} and {list(weights.shape)}"
            )
        object.__setattr__(self, "tails", tails)
        object.__setattr__(self, "heads", heads)
        object.__setattr__(self, "weights", weights)
        self._check_names()
        for label, ends in (("tails", tails), ("heads", heads)):
            bad = np.flatnonzero((ends < 0) | (ends >= self.num_nodes))
            if bad.size:
                raise InputError(f"`{label}` must lie in [0, {self.num_nodes}), found {ends[bad[0]]} at index {bad[0]}")
        bad = np.flatnonzero(~np.isfinite(weights))
        if bad.size:
            raise InputError(
                f"weights must be finite, found {weights[bad[0]]} on edge {self.edge_name(int(bad[0]))}; "
                "leave out an edge that does not exist"
            )
        if weights.size and np.abs(weights).max() > np.finfo(np.float64).max / (4 * max(self.num_nodes, 1)):
            raise InputError(f"weights as large as {np.abs(weights).max():.3g} overflow in sums; scale them down")

    def _check_names(self) -> None:
        if isinstance(self.num_nodes, bool) or not isinstance(self.num_nodes, int) or self.num_nodes < 0:
            raise InputError(f"`num_nodes` must be an integer >= 0, found {self.num_nodes!r}")
        if self.names is not None:
            names = tuple(self.names)
            if len(names) != self.num_nodes or len(set(names)) != self.num_nodes:
                raise InputError(
                    f"`names` must be {self.num_nodes} different names, found {len(names)}, {len(set(names))} different"
                )
            object.__setattr__(self, "names", names)
        if self.coords is not None:
            coords = np.asarray(self.coords, dtype=np.float64)
            if coords.shape != (self.num_nodes, 2) or not np.isfinite(coords).all():
                raise InputError(f"`coords` must be finite [{self.num_nodes}, 2], found {list(coords.shape)}")
            object.__setattr__(self, "coords", coords)

    @property
    def num_edges(self) -> int:
        """Number of edges M as listed."""
        return len(self.weights)

    @cached_property
    def _numbers(self) -> dict[Hashable, int]:
        return {name: i for i, name in enumerate(self.names or range(self.num_nodes))}

    def name_of(self, node: int) -> Hashable:
        """Return the caller's name of a node."""
        return int(node) if self.names is None else self.names[node]

    def number_of(self, name: Hashable, label: str = "node") -> int:
        """Return the number of the node so named.

        Raises
        ------
        InputError
            If there is no such node.
        """
        try:
            return self._numbers[name]
        except (KeyError, TypeError) as error:
            some = ", ".join(repr(self.name_of(i)) for i in range(min(self.num_nodes, 3)))
            known = f"its {self.num_nodes} nodes are named like {some}" if self.num_nodes else "it has no nodes"
            raise InputError(f"`{label}` must be a node of the graph, found {name!r}; {known}") from error

    def edge_name(self, edge: int) -> tuple[Hashable, Hashable]:
        """Return the names of the ends of an edge."""
        return self.name_of(int(self.tails[edge])), self.name_of(int(self.heads[edge]))

    @cached_property
    def arcs(self) -> Arcs:
        """The graph as a search walks it; an undirected edge may be taken both ways."""
        tail, head, edge = self.tails, self.heads, np.arange(self.num_edges)
        if not self.is_directed:
            tail, head = np.concatenate([tail, head]), np.concatenate([head, tail])
            edge = np.concatenate([edge, edge])
        keep = tail != head
        tail, head, edge = tail[keep], head[keep], edge[keep]
        order = np.lexsort((edge, self.weights[edge], head, tail))
        tail, head, edge = tail[order], head[order], edge[order]
        if tail.size:
            distinct = np.r_[True, (tail[1:] != tail[:-1]) | (head[1:] != head[:-1])]
            tail, head, edge = tail[distinct], head[distinct], edge[distinct]
        first = np.zeros(self.num_nodes + 1, np.int64)
        np.cumsum(np.bincount(tail, minlength=self.num_nodes), out=first[1:])
        return Arcs(first, head, self.weights[edge], edge)

    @cached_property
    def reverse_arcs(self) -> Arcs:
        """The arcs turned round: those that enter each node, listed at it."""
        if not self.is_directed:
            return self.arcs
        flipped = WeightedGraph(self.num_nodes, self.heads, self.tails, self.weights, is_directed=True)
        return flipped.arcs

    def to_sparse(self) -> csr_array[Any, tuple[int, int]]:
        """Return the weights as a sparse matrix [N, N]; entry (u, v) is the cheapest arc from u to v, zeros stored."""
        from scipy.sparse import csr_array

        arcs = self.arcs
        return csr_array((arcs.weight, arcs.head, arcs.first), shape=(self.num_nodes, self.num_nodes))

    def to_undirected(self) -> WeightedGraph:
        """Forget the directions; of two edges between the same nodes only the cheaper stays.

        Examples
        --------
        >>> WeightedGraph(2, [0, 1], [1, 0], [3.0, 2.0], is_directed=True).to_undirected().weights.tolist()
        [2.0]
        """
        low, high = np.minimum(self.tails, self.heads), np.maximum(self.tails, self.heads)
        order = np.lexsort((self.weights, high, low))
        low, high, weights = low[order], high[order], self.weights[order]
        if low.size:
            keep = np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])] & (low != high)
            low, high, weights = low[keep], high[keep], weights[keep]
        return WeightedGraph(self.num_nodes, low, high, weights, names=self.names, coords=self.coords, name=self.name)

    def to_networkx(self) -> nx.Graph[Any]:
        """Return a networkx graph with the attribute ``weight``; of parallel edges the cheapest, loops left out."""
        import networkx as nx

        graph: nx.Graph[Any] = nx.DiGraph() if self.is_directed else nx.Graph()
        graph.add_nodes_from(map(self.name_of, range(self.num_nodes)))
        arcs = self.arcs
        graph.add_weighted_edges_from(
            (self.name_of(u), self.name_of(v), w)
            for u, v, w in zip(arcs.tail.tolist(), arcs.head.tolist(), arcs.weight.tolist(), strict=True)
            if self.is_directed or u < v
        )
        return graph


def _ends(values: Any, label: str) -> IntArray:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"`{label}` must be integers in one dimension, found {array.dtype}, {list(array.shape)}")
    return np.ascontiguousarray(array, dtype=np.int64)
