"""Random weighted graphs of five families and any size, drawn in time linear in the edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graphs.build import knn_graph
from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from gnnlib.seeding import Seed
    from gnnlib.typing import FloatArray, IntArray

__all__ = ["FAMILIES", "random_graph"]

FAMILIES = ("erdos_renyi", "barabasi_albert", "geometric", "grid", "small_world")


def random_graph(family: str, num_nodes: int, *, seed: Seed = 0) -> WeightedGraph:
    """Draw a graph.

    Parameters
    ----------
    family : {"erdos_renyi", "barabasi_albert", "geometric", "grid", "small_world"}
        Random pairs, four edges a node; preferential attachment of two edges a node; nearest neighbours of points in
        the square; a square grid; a ring lattice of four neighbours, a tenth of whose edges is rewired.
    num_nodes : int >= 2
        About how many nodes; a grid takes the nearest smaller rectangle.
    seed : int or None

    Returns
    -------
    WeightedGraph
        Undirected, simple, perhaps not connected. Weights are lengths in geometric graphs, elsewhere uniform,
        exponential or log-normal numbers, as it comes.

    Examples
    --------
    >>> random_graph("grid", 12).num_edges
    17
    """
    if family not in FAMILIES:
        raise InputError(f"`family` must be one of {', '.join(FAMILIES)}; found {family!r}")
    if num_nodes < 2:
        raise InputError(f"`num_nodes` must be >= 2, found {num_nodes}")
    rng = numpy_generator(seed)
    coords = None
    if family == "geometric":
        coords = rng.random((num_nodes, 2))
        pairs = knn_graph(coords, min(6, num_nodes - 1))
    elif family == "grid":
        pairs, coords = _grid(num_nodes)
        num_nodes = len(coords)
    else:
        draw = {"erdos_renyi": _erdos_renyi, "barabasi_albert": _barabasi_albert, "small_world": _small_world}
        pairs = draw[family](num_nodes, rng)
    low, high = pairs.min(axis=0), pairs.max(axis=0)
    key = np.unique((low * num_nodes + high)[low != high])
    tails, heads = np.divmod(key, num_nodes)
    if family == "geometric" and coords is not None:
        weights = np.linalg.norm(coords[tails] - coords[heads], axis=1)
    else:
        weights = _weights(len(key), rng)
    return WeightedGraph(num_nodes, tails, heads, weights, coords=coords, name=family)


def _weights(count: int, rng: np.random.Generator) -> FloatArray:
    kind = int(rng.integers(3))
    if kind == 0:
        return 1.0 - rng.random(count)
    return rng.exponential(1.0, count) + 1e-9 if kind == 1 else rng.lognormal(0.0, 0.7, count)


def _erdos_renyi(count: int, rng: np.random.Generator) -> IntArray:
    return rng.integers(0, count, (2, 4 * count))


def _barabasi_albert(count: int, rng: np.random.Generator) -> IntArray:
    """Join each node to two earlier ends of edges: an end drawn uniformly is a node drawn by its degree."""
    ends = np.zeros((2, 2 * count), np.int64)
    ends[0] = np.repeat(np.arange(count), 2)
    choice = (rng.random(2 * count) * (4 * (ends[0] - 1)).clip(1)).astype(np.int64)
    for i in range(2, 2 * count):
        side, edge = choice[i] & 1, choice[i] >> 1
        ends[1, i] = ends[side, min(edge, 2 * ends[0, i] - 1)]
    return ends


def _grid(count: int) -> tuple[IntArray, FloatArray]:
    rows = int(np.sqrt(count))
    columns = count // rows
    number = np.arange(rows * columns).reshape(rows, columns)
    across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()])
    down = np.stack([number[:-1].ravel(), number[1:].ravel()])
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.concatenate([across, down], axis=1), np.stack([x, y], axis=1).astype(np.float64)


def _small_world(count: int, rng: np.random.Generator) -> IntArray:
    node = np.repeat(np.arange(count), 2)
    other = (node + np.tile([1, 2], count)) % count
    rewired = rng.random(len(node)) < 0.1
    other[rewired] = rng.integers(0, count, int(rewired.sum()))
    return np.stack([node, other])
