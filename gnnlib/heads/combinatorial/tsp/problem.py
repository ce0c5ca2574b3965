"""The travelling salesman problem: the record `TSP`, what turns into one, and the answer `TourResult`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gnnlib.data.instances import Instance
from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.kernels.distance import DISTANCE_KINDS, DistanceData
from gnnlib.heads.combinatorial.tsp import checks, convert
from gnnlib.heads.combinatorial.tsp.result import TourResult
from gnnlib.heads.combinatorial.tsp.rules import (
    EXACT_INTEGER_LIMIT,
    INTEGRAL_METRICS,
    METRIC_DIMENSIONS,
    check_span,
    geo_radians,
    pair_distances,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    import networkx as nx
    from matplotlib.axes import Axes

    from gnnlib.typing import ArrayLike, FloatArray, IntArray, PathLike

__all__ = ["TSP", "TourResult", "as_tsp"]

_LARGEST_MATRIX_BYTES = 8 * 2**30


@dataclass(frozen=True, eq=False, repr=False)
class TSP:
    """An instance of the travelling salesman problem.

    Build it with `from_coords`, `from_matrix`, `from_networkx` or `from_file`, or let `as_tsp` choose. Cities are
    numbered from 0 in the order given. The arrays are copies; treat them as read-only.

    Parameters
    ----------
    coords : array [N, 2 or 3] or None
        Coordinates; for GEO latitude and longitude in TSPLIB's DDD.MM form. None when the distances are explicit.
    matrix : array [N, N] or None
        Distances from row city to column city, all >= 0, diagonal ignored (stored as 0); None when they come from
        the coordinates.
    metric : str
        ``"EXPLICIT"`` with a matrix. With coordinates ``"EUCLIDEAN"`` (plain float distance in 2 or 3 dimensions) or
        one of TSPLIB's rounded types ``"EUC_2D"``, ``"CEIL_2D"``, ``"ATT"``, ``"GEO"``, ``"MAN_2D"``, ``"MAX_2D"``,
        ``"EUC_3D"``.
    name, comment : str
        As in the file.
    fixed_edges : tuple of pairs of cities
        Edges that every tour must use, in either direction.
    node_names : tuple of hashable or None
        The nodes of the networkx graph that the instance came from, in city order.
    display : array [N, 2] or None
        Where to draw the cities of an explicit instance; never used for distances.
    missing_weight : float or None
        Entry of the matrix that stands for a connection that does not exist (see `from_networkx`).

    Raises
    ------
    InputError
        If an argument does not fit the others or holds values that no tour length can be computed from.

    Examples
    --------
    >>> problem = TSP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], name="box")
    >>> problem
    TSP(name='box', num_cities=4, metric='EUCLIDEAN')
    >>> problem.length([0, 1, 2, 3])
    14.0
    """

    coords: FloatArray | None = None
    matrix: FloatArray | None = None
    metric: str = "EUCLIDEAN"
    name: str = ""
    comment: str = ""
    fixed_edges: tuple[tuple[int, int], ...] = ()
    node_names: tuple[Hashable, ...] | None = None
    display: FloatArray | None = None
    missing_weight: float | None = None

    def __post_init__(self) -> None:
        if (self.coords is None) == (self.matrix is None):
            raise InputError(
                "a TSP needs either `coords` or `matrix`; found " + ("neither" if self.coords is None else "both")
            )
        if self.coords is not None:
            if self.metric not in METRIC_DIMENSIONS:
                raise InputError(
                    f"`metric` with coordinates is one of {sorted(METRIC_DIMENSIONS)}, found {self.metric!r}"
                )
            coords = checks.points("coords", self.coords, METRIC_DIMENSIONS[self.metric])
            check_span(coords, self.metric)
            object.__setattr__(self, "coords", coords)
        else:
            if self.metric != "EXPLICIT":
                raise InputError(f"`metric` with a matrix is 'EXPLICIT', found {self.metric!r}")
            object.__setattr__(self, "matrix", checks.distance_matrix(self.matrix))
        if self.display is not None:
            object.__setattr__(self, "display", checks.points("display", self.display, (2,), self.num_cities))
        object.__setattr__(self, "fixed_edges", checks.fixed_edges(self.fixed_edges, self.num_cities))
        if self.node_names is not None:
            object.__setattr__(self, "node_names", checks.node_names(self.node_names, self.num_cities))

    @classmethod
    def from_coords(cls, coords: ArrayLike, metric: str = "EUCLIDEAN", name: str = "") -> Self:
        """Build an instance from points.

        Parameters
        ----------
        coords : array-like [N, 2 or 3]
            Finite numbers; N >= 1.
        metric : str
            See `TSP`.
        name : str

        Examples
        --------
        >>> TSP.from_coords([[0.0, 0.0], [1.2, 0.0]], metric="CEIL_2D").length([0, 1])
        4
        """
        return cls(coords=checks.as_float_array("coords", coords), metric=metric, name=name)

    @classmethod
    def from_matrix(cls, matrix: ArrayLike, symmetric: bool | None = None, name: str = "") -> Self:  # noqa: FBT001
        """Build an instance from a matrix of distances.

        Parameters
        ----------
        matrix : array-like [N, N]
            Entry (i, j) is the distance from city i to city j, >= 0; the diagonal is ignored.
        symmetric : bool, optional
            True demands a symmetric matrix; False keeps the entries as they are; None finds out. Unless False, a
            matrix whose two halves differ by rounding errors only (1e-9 of the largest entry) is averaged with its
            transpose.
        name : str

        Raises
        ------
        InputError
            If the matrix is not square, has a bad entry, or is not symmetric although `symmetric` is True.

        Examples
        --------
        >>> problem = TSP.from_matrix([[0, 1, 9], [9, 0, 1], [1, 9, 0]])
        >>> problem.is_symmetric, problem.length([0, 1, 2]), problem.length([2, 1, 0])
        (False, 3, 27)
        """
        array = checks.symmetrised(checks.distance_matrix(matrix), symmetric)
        return cls(matrix=array, metric="EXPLICIT", name=name)

    @classmethod
    def from_networkx(cls, graph: nx.Graph[Any], weight: str = "weight", name: str | None = None) -> Self:
        """Build an instance whose cities are the nodes of a graph.

        Two nodes without an edge may not follow each other: their distance is set to one more than the longest
        possible tour of existing edges, so that a solver uses such a pair only when it finds no other way, and
        `require_feasible` (hence every `TourResult`) then raises `InfeasibleError`. For the travelling salesman on a
        road network, where passing a city twice is allowed, complete the graph with shortest-path distances first.

        Parameters
        ----------
        graph : networkx graph
            Directed graphs give asymmetric instances; of parallel edges the lightest counts; loops are ignored.
        weight : str
            Edge attribute that holds the distance, >= 0; every edge must have it.
        name : str, optional
            Default: the name of the graph.

        Examples
        --------
        >>> import networkx as nx
        >>> ring = nx.cycle_graph(4)
        >>> nx.set_edge_attributes(ring, 2.0, "weight")
        >>> problem = TSP.from_networkx(ring)
        >>> problem.length([0, 1, 2, 3]), problem.missing_weight
        (8, 9.0)
        """
        matrix, nodes, missing = convert.graph_matrix(graph, weight)
        title = str(graph.name) if name is None else name
        return cls(matrix=matrix, metric="EXPLICIT", name=title, node_names=nodes, missing_weight=missing)

    @classmethod
    def from_file(cls, path: PathLike) -> TSP:
        """Read a TSPLIB file (``.tsp`` or ``.atsp``, also gzipped); see `gnnlib.heads.combinatorial.tsp.io`."""
        from gnnlib.heads.combinatorial.tsp.io import read_tsplib  # io imports this module

        return read_tsplib(path)

    @property
    def num_cities(self) -> int:
        """Number of cities N."""
        array = self.matrix if self.coords is None else self.coords
        return 0 if array is None else len(array)

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether every distance is the same in both directions."""
        return self.matrix is None or bool(np.array_equal(self.matrix, self.matrix.T))

    @cached_property
    def is_integral(self) -> bool:
        """Whether all distances are whole numbers, so that tour lengths are exact."""
        if self.matrix is None:
            return self.metric in INTEGRAL_METRICS
        exact = float(self.matrix.max()) * self.num_cities < EXACT_INTEGER_LIMIT
        return exact and bool(np.all(self.matrix == np.floor(self.matrix)))

    def distance_data(self) -> DistanceData:
        """Return what the compiled kernels measure with (made once, then shared)."""
        return self._distance_data

    @cached_property
    def _distance_data(self) -> DistanceData:
        kind = DISTANCE_KINDS[self.metric]
        if self.coords is None:
            return DistanceData(kind, np.zeros((1, 3)), np.ascontiguousarray(self.matrix))
        padded = np.zeros((self.num_cities, 3))
        padded[:, : self.coords.shape[1]] = geo_radians(self.coords) if self.metric == "GEO" else self.coords
        return DistanceData(kind, padded, np.zeros((1, 1)))

    def distances(self, sources: IntArray, targets: IntArray) -> FloatArray:
        """Distances from `sources` to `targets`, element by element, in the instance's own rounding.

        Parameters
        ----------
        sources, targets : int arrays of shapes that broadcast
            Cities, not checked.

        Examples
        --------
        >>> TSP.from_coords([[0, 0], [3, 4]]).distances(np.array([0, 1]), np.array([1, 1])).tolist()
        [5.0, 0.0]
        """
        return pair_distances(self._distance_data, sources, targets)

    def distance_matrix(self) -> FloatArray:
        """All distances as a new array [N, N]; needs 8 N**2 bytes.

        Raises
        ------
        InputError
            If the matrix would take more than 8 GiB.
        """
        if 8 * self.num_cities**2 > _LARGEST_MATRIX_BYTES:
            raise InputError(f"the distance matrix of {self.num_cities} cities needs more than 8 GiB; use `distances`")
        if self.matrix is not None:
            return self.matrix.copy()
        cities = np.arange(self.num_cities)
        rows = max(1, 2**21 // self.num_cities)
        matrix = np.empty((self.num_cities, self.num_cities))
        for first in range(0, self.num_cities, rows):
            matrix[first : first + rows] = self.distances(cities[first : first + rows, None], cities[None, :])
        return matrix

    def length(self, order: ArrayLike) -> float:
        """Length of the closed tour that visits the cities in `order`.

        Parameters
        ----------
        order : int array-like [N]
            A permutation of 0 .. N-1.

        Returns
        -------
        int or float
            A Python int, exact, when `is_integral`; otherwise a float.

        Raises
        ------
        InputError
            If `order` is not a permutation of the cities.
        """
        tour = self.checked_order(order)
        total = float(np.sum(self.distances(tour, np.roll(tour, -1))))
        return int(total) if self.is_integral else total

    def checked_order(self, order: ArrayLike) -> IntArray:
        """Return `order` as an int64 array [N], or raise `InputError` naming the first fault."""
        return checks.permutation(order, self.num_cities)

    def require_feasible(self, order: ArrayLike) -> None:
        """Raise `InfeasibleError` if the tour uses a missing connection or leaves out a fixed edge.

        Examples
        --------
        >>> TSP.from_coords([[0, 0], [1, 0], [1, 1]]).require_feasible([2, 0, 1])
        """
        tour = self.checked_order(order)
        after = np.roll(tour, -1)
        if self.missing_weight is not None and self.num_cities > 1:
            missing = np.flatnonzero(self.distances(tour, after) >= self.missing_weight)
            if missing.size:
                i, j = int(tour[missing[0]]), int(after[missing[0]])
                raise InfeasibleError(
                    f"the tour needs {missing.size} connection(s) that the graph does not have, the first from "
                    f"{self._city(i)} to {self._city(j)}; the graph may have no Hamiltonian cycle: add edges"
                )
        position = np.empty(self.num_cities, dtype=np.int64)
        position[tour] = np.arange(self.num_cities)
        for i, j in self.fixed_edges:
            if (position[i] - position[j]) % self.num_cities not in {1, self.num_cities - 1}:
                raise InfeasibleError(
                    f"the tour must use the fixed edge ({self._city(i)}, {self._city(j)}) and does not"
                )

    def _city(self, city: int) -> str:
        return str(city) if self.node_names is None else repr(self.node_names[city])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the cities; return the axes."""
        from gnnlib.heads.combinatorial.tsp.plotting import plot_tour  # matplotlib only on demand

        return plot_tour(self, ax=ax)

    def __repr__(self) -> str:
        return f"TSP(name={self.name!r}, num_cities={self.num_cities}, metric={self.metric!r})"


def as_tsp(x: Any) -> TSP:
    """Turn whatever a user hands over into a `TSP`.

    Parameters
    ----------
    x : TSP, path, networkx graph, `gnnlib.data.Instance`, or array-like (numpy, torch, pandas, nested lists)
        A path is read as a TSPLIB file. An array [N, 2] or [N, 3] holds points of the plane or of space (metric
        "EUCLIDEAN"), an array [N, N] distances. Where the shape allows both, [2, 2] and [3, 3], an array that could
        be a symmetric distance matrix (zero diagonal, no negative entry, symmetric) is one, and any other holds
        points; `TSP.from_coords` and `TSP.from_matrix` leave no doubt.

    Raises
    ------
    InputError
        If `x` is none of these, or holds bad values.

    Examples
    --------
    >>> as_tsp([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    TSP(name='', num_cities=4, metric='EUCLIDEAN')
    >>> as_tsp([[0, 2], [2, 0]]).metric
    'EXPLICIT'
    """
    if isinstance(x, TSP):
        return x
    if isinstance(x, (str, os.PathLike)):
        return TSP.from_file(x)
    if isinstance(x, Instance):
        return TSP(x.coords, metric=x.metric, name=x.name, comment=x.comment, node_names=x.labels)
    if convert.is_networkx(x):
        return TSP.from_networkx(x)
    array = checks.as_float_array("x", x)
    if array.ndim != 2:
        raise InputError(f"`x` must be points [N, 2 or 3] or a matrix [N, N], found shape {list(array.shape)}")
    rows, columns = array.shape
    if rows == columns and (rows not in {2, 3} or checks.looks_like_distances(array)):
        return TSP.from_matrix(array)
    if columns not in {2, 3}:
        raise InputError(f"`x` must be points [N, 2 or 3] or a matrix [N, N], found shape {list(array.shape)}")
    return TSP.from_coords(array)
