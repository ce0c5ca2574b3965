"""The answer of every TSP solver: a checked tour, what it costs, and what is proved about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.results import Result

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.tsp.problem import TSP
    from gnnlib.typing import FloatArray, IntArray, PathLike

__all__ = ["TourResult"]

# Two sums of the same float distances in different order differ by less than this, relatively.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class TourResult(Result):
    """A tour with its certificate.

    The tour is checked again when the result is made: it visits each city once, its length is what the instance says,
    it uses no missing connection and all fixed edges, and no lower bound lies above it.

    Parameters
    ----------
    order : int array [N]
        Cities in the order of the visit, numbered from 0 as in the instance.
    length : int or float
        Length of the closed tour in the instance's own rounding.
    problem : TSP
        The instance (not exported by `to_dict`).
    lower_bound : float
        No tour is shorter; minus infinity when nothing is proved.
    is_optimal : bool
        True only when proved.
    trace : array [T, 2]
        (seconds since the start, length) at each improvement.
    iterations : int
        What the solver counts as one is said there.
    seconds : float
        Wall-clock time of the solver.
    params : dict
        The solver's settings.
    alternatives : int array [T, N]
        Other tours, the shortest first, each different from this one and from each other.

    Raises
    ------
    InputError
        If order, length and bound contradict each other.
    InfeasibleError
        If the tour uses a missing connection or leaves out a fixed edge.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.tsp.problem import TSP
    >>> box = TSP.from_coords([[0, 0], [0, 3], [4, 3], [4, 0]], name="box")
    >>> result = TourResult(np.arange(4), 14.0, box, lower_bound=14.0, is_optimal=True)
    >>> result.gap
    0.0
    >>> print(result)
    TourResult of box
      cities       4
      length       14.000000
      lower bound  14.000000
      gap          0.000 %
      optimal      proved
      seconds      0.00
      iterations   0
    """

    order: IntArray
    length: float
    problem: TSP = field(repr=False, metadata={"export": False})
    lower_bound: float = -math.inf
    is_optimal: bool = False
    trace: FloatArray = field(default_factory=lambda: np.zeros((0, 2)), repr=False)
    iterations: int = 0
    seconds: float = 0.0
    params: dict[str, Any] = field(default_factory=dict)
    alternatives: IntArray = field(default_factory=lambda: np.zeros((0, 0), np.int64), repr=False)

    def __post_init__(self) -> None:
        order = self.problem.checked_order(self.order)
        measured = self.problem.length(order)
        tolerance = 0.0 if self.problem.is_integral else _ROUNDING * max(abs(measured), abs(self.length))
        if not abs(measured - self.length) <= tolerance:
            raise InputError(f"`length` must be that of the tour, {measured!r}, found {self.length!r}")
        # floats are summed in another order by bounds than by tours
        if not self.lower_bound <= measured + _ROUNDING * abs(measured):
            raise InputError(
                f"`lower_bound` must not exceed the tour's length {measured!r}, found {self.lower_bound!r}"
            )
        self.problem.require_feasible(order)
        others = [self.problem.checked_order(other) for other in self.alternatives]
        shape = (len(others), self.problem.num_cities)
        object.__setattr__(self, "alternatives", np.array(others, np.int64).reshape(shape))
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "length", measured)
        object.__setattr__(self, "lower_bound", min(float(self.lower_bound), float(measured)))
        object.__setattr__(self, "trace", np.asarray(self.trace, dtype=np.float64).reshape(-1, 2))

    @property
    def gap(self) -> float:
        """Proved relative gap ``(length - lower_bound) / lower_bound``; infinity when nothing useful is proved."""
        if self.length <= self.lower_bound:
            return 0.0
        return (self.length - self.lower_bound) / self.lower_bound if self.lower_bound > 0.0 else math.inf

    @property
    def _title(self) -> str:
        return f"TourResult of {self.problem.name}" if self.problem.name else "TourResult"

    def _rows(self) -> list[tuple[str, str]]:
        def show(value: float) -> str:
            if not math.isfinite(value):
                return "none"
            return f"{value:,.0f}" if self.problem.is_integral and value == int(value) else f"{value:,.6f}"

        return [
            ("cities", f"{self.problem.num_cities:,}"),
            ("length", show(self.length)),
            ("lower bound", show(self.lower_bound)),
            ("gap", f"{100.0 * self.gap:.3f} %" if math.isfinite(self.gap) else "unknown"),
            ("optimal", "proved" if self.is_optimal else "not proved"),
            ("seconds", f"{self.seconds:.2f}"),
            ("iterations", f"{self.iterations:,}"),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with the instance's name and size and the gap (None when unknown)."""
        gap = self.gap
        head = {"name": self.problem.name, "num_cities": self.problem.num_cities}
        return {**head, **super().to_dict(), "gap": gap if math.isfinite(gap) else None}

    def to_tsplib(self, path: PathLike | None = None) -> str:
        """Return the tour as the text of a TSPLIB ``.tour`` file (cities numbered from 1); write it when given a path.

        Parameters
        ----------
        path : path-like, optional
            Where to write the text.
        """
        from gnnlib.heads.combinatorial.tsp.io import format_tour, write_tour  # io imports problem

        comment = f"Length {self.length}"
        if path is not None:
            write_tour(self.order, path, name=self.problem.name, comment=comment)
        return format_tour(self.order, name=self.problem.name, comment=comment)

    def to_networkx(self) -> nx.Graph[Any]:
        """Return the tour as a graph whose edges carry ``weight``; directed when the instance is asymmetric.

        The nodes are those of the graph that the instance came from, else the numbers of the cities.
        """
        import networkx as nx  # kept out of the solver's start-up

        graph: nx.Graph[Any] = nx.Graph() if self.problem.is_symmetric else nx.DiGraph()
        names = self.problem.node_names or tuple(range(self.problem.num_cities))
        tour = [names[city] for city in self.order.tolist()]
        graph.add_nodes_from(tour)
        if len(tour) > 1:
            after = np.roll(self.order, -1)
            weights = self.problem.distances(self.order, after).tolist()
            graph.add_weighted_edges_from(zip(tour, [*tour[1:], tour[0]], weights, strict=True))
        return graph

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the tour; return the axes."""
        from gnnlib.heads.combinatorial.tsp.plotting import plot_tour  # matplotlib only on demand

        return plot_tour(self, ax=ax)
