"""What `solve_vrp` returns: routes, who drives them, when they arrive, what they cost and what is left undone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gnnlib.heads.combinatorial.vrp.metrics import RouteCheck, RoutePlan, check_routes
from gnnlib.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from gnnlib.heads.combinatorial.vrp.problem import VRP
    from gnnlib.typing import FloatArray, PathLike

__all__ = ["RouteResult"]


@dataclass(frozen=True, eq=False)
class RouteResult(Result):
    """Routes of a fleet, costed and checked by `check_routes`.

    Attributes
    ----------
    routes : tuple of tuples of int
        Client numbers in the order of the visits, depots not listed; no route is empty.
    vehicle_types : tuple of int
        Type of the vehicle of each route.
    problem : VRP
    check : RouteCheck
        Cost and its parts, timetable and loads of every route, and everything that is broken.
    trace : float array [T, 2]
        Seconds and cost of each better answer.
    iterations : int
        Rounds of removing and inserting clients.
    seconds : float
    unservable : tuple of (int, str)
        Clients that no vehicle can serve even alone, and why.
    params : dict
        Seed, stop and settings.

    Examples
    --------
    >>> from gnnlib.heads.combinatorial.vrp.problem import VRP
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [0, 5]], demand=[4, 3], capacity=8, num_vehicles=2)
    >>> result = RouteResult.from_routes(problem, [[1, 2]])
    >>> print(result)
    RouteResult
      clients           2
      cost              13.16227766
      routes            1 of 2 vehicles
      unserved clients  0
      feasible          yes
      seconds           0.00
      iterations        0
    """

    routes: tuple[tuple[int, ...], ...]
    vehicle_types: tuple[int, ...]
    problem: VRP = field(repr=False, metadata={"export": False})
    check: RouteCheck = field(repr=False)
    trace: FloatArray = field(default_factory=lambda: np.zeros((0, 2)), repr=False)
    iterations: int = 0
    seconds: float = 0.0
    unservable: tuple[tuple[int, str], ...] = ()
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_routes(
        cls,
        problem: VRP,
        routes: Sequence[Sequence[int]],
        vehicle_types: Sequence[int] | None = None,
        **details: Any,
    ) -> Self:
        """Check routes and wrap them; `details` are the other fields.

        Parameters
        ----------
        problem : VRP
        routes : sequence of sequences of int
        vehicle_types : sequence of int, optional
            Default: route k is driven by vehicle k, as in solution files.
        **details
            ``trace``, ``iterations``, ``seconds``, ``unservable``, ``params``.
        """
        found = check_routes(problem, routes, vehicle_types)
        return cls(
            tuple(plan.clients for plan in found.routes),
            tuple(plan.vehicle_type for plan in found.routes),
            problem,
            found,
            **details,
        )

    @property
    def cost(self) -> float:
        """Total cost in the instance's own rounding and unit, prizes not collected included."""
        return self.check.cost

    @property
    def feasible(self) -> bool:
        """Whether all who must be served are, and nothing is broken."""
        return self.check.feasible

    @property
    def violations(self) -> tuple[str, ...]:
        """One sentence for everything that is broken."""
        return self.check.violations

    @property
    def unserved(self) -> tuple[int, ...]:
        """Clients in no route; those who need not be served are among them."""
        return self.check.unserved

    @property
    def plans(self) -> tuple[RoutePlan, ...]:
        """Timetable and loads of each route."""
        return self.check.routes

    @property
    def cost_parts(self) -> dict[str, float]:
        """The parts that `cost` is the sum of."""
        check = self.check
        return {
            "distance": check.distance_cost,
            "duration": check.duration_cost,
            "fixed": check.fixed_cost,
            "uncollected prizes": check.uncollected_prizes,
        }

    @property
    def _title(self) -> str:
        return f"RouteResult of {self.problem.name}" if self.problem.name else "RouteResult"

    def _rows(self) -> list[tuple[str, str]]:
        parts = [(name, value) for name, value in self.cost_parts.items() if value]
        rows = [("clients", f"{self.problem.num_clients:,}"), ("cost", f"{self.cost:.10g}")]
        if len(parts) > 1:
            rows += [(f"  {name}", f"{value:.10g}") for name, value in parts]
        rows += [
            ("routes", f"{len(self.routes)} of {self.problem.num_vehicles} vehicles"),
            ("unserved clients", f"{len(self.unserved):,}"),
            ("feasible", "yes" if self.feasible else f"no: {self.violations[0]}"),
        ]
        if self.unservable:
            rows.append(("nobody can serve", "; ".join(f"client {c}: {why}" for c, why in self.unservable[:3])))
        return [*rows, ("seconds", f"{self.seconds:.2f}"), ("iterations", f"{self.iterations:,}")]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with name, size, cost, its parts, and the unserved clients."""
        head = {
            "name": self.problem.name,
            "num_clients": self.problem.num_clients,
            "cost": self.cost,
            "cost_parts": self.cost_parts,
            "feasible": self.feasible,
            "unserved": list(self.unserved),
        }
        return {**head, **super().to_dict()}

    def _repr_html_(self) -> str:
        from gnnlib.heads.combinatorial.vrp.export import result_html  # only a notebook needs it

        return result_html(self)

    def write_sol(self, path: PathLike) -> None:
        """Write a solution file in the manner of CVRPLIB."""
        from gnnlib.heads.combinatorial.vrp.export import write_solution

        write_solution(self, path)

    def to_geojson(self, path: PathLike | None = None) -> dict[str, Any]:
        """Return routes and stops as a GeoJSON feature collection; write it when given a path."""
        from gnnlib.heads.combinatorial.vrp.export import result_geojson

        return result_geojson(self, path)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the routes on the plane; return the axes."""
        from gnnlib.heads.combinatorial.vrp.plotting import plot_routes  # matplotlib only on demand

        return plot_routes(self, ax=ax)
