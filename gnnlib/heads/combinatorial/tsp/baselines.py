"""Classical and trivial answers to the TSP, and other people's solvers, behind the signature of `solve_tsp`.

Each function takes ``(x, *, stop=None, seed=0)`` and returns a `TourResult`. The constructions (random, nearest
neighbour, greedy edge, space-filling curve, Christofides) give one tour and end: `stop` has no bearing on them. The
peers (OR-Tools, fast_tsp, LKH) keep a wall-clock limit as well as they can and know no other stop.
No function here knows fixed edges: an instance with some is an `InputError`.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gnnlib.errors import GnnlibError, InputError, MissingExtraError
from gnnlib.graphs.build import knn_neighbours
from gnnlib.heads.combinatorial.kernels.dense import whole_matrix_16
from gnnlib.heads.combinatorial.kernels.nearest import nearest_neighbour_tour
from gnnlib.heads.combinatorial.kernels.starts import greedy_edge_tour, hilbert_order
from gnnlib.heads.combinatorial.tsp.io import format_tsplib
from gnnlib.heads.combinatorial.tsp.problem import TSP, TourResult, as_tsp
from gnnlib.seeding import numpy_generator, spawn_seeds
from gnnlib.stop import MaxRuntime

if TYPE_CHECKING:
    from types import ModuleType

    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion
    from gnnlib.typing import FloatArray, IntArray

__all__ = [
    "BASELINES",
    "Baseline",
    "christofides",
    "fast_tsp",
    "greedy_edge",
    "lkh",
    "nearest_neighbour",
    "ortools_routing",
    "random_tour",
    "space_filling_curve",
]

_DEFAULT_SECONDS = 1.0
_NUM_NEIGHBOURS = 10
_LARGEST_SCALED = 1_000_000


class Baseline(Protocol):
    """Signature of every function in `BASELINES`."""

    def __call__(self, x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:
        """Return a tour of `x`."""


def _answer(problem: TSP, order: Any, started: float, **params: Any) -> TourResult:
    """Measure, check and wrap a tour."""
    tour = problem.checked_order(order)
    length = problem.length(tour)
    seconds = time.perf_counter() - started
    trace = np.array([[seconds, length]])
    return TourResult(tour, length, problem, trace=trace, iterations=1, seconds=seconds, params=params)


def _seconds(stop: StopCriterion | None, solver: str) -> float:
    """Wall-clock limit that `stop` sets; one second without a stop."""
    limit = (MaxRuntime(_DEFAULT_SECONDS) if stop is None else stop).max_seconds
    if not np.isfinite(limit):
        raise InputError(f"{solver} stops by the clock only; pass stop=MaxRuntime(...), found {stop!r}")
    return limit


def _require(package: str, module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(package, extra) from error


def _begin(x: Any, solver: str) -> tuple[TSP, float]:
    """Return the problem and the time, refusing what most baselines cannot keep."""
    started = time.perf_counter()
    problem = as_tsp(x)
    if problem.fixed_edges:
        raise InputError(f"{solver} does not know fixed edges, and {problem!r} has {len(problem.fixed_edges)}")
    return problem, started


def _near_points(problem: TSP) -> FloatArray | None:
    """Points whose Euclidean neighbours are near in the metric too; None for explicit distances."""
    if problem.coords is None or problem.metric != "GEO":
        return problem.coords
    latitude, longitude = problem.distance_data().coords[:, :2].T
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )


def random_tour(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Visit the cities in random order.

    Examples
    --------
    >>> sorted(random_tour([[0, 0], [0, 1], [1, 1], [1, 0]], seed=3).order.tolist())
    [0, 1, 2, 3]
    """
    problem, started = _begin(x, "random")
    return _answer(problem, numpy_generator(seed).permutation(problem.num_cities), started, solver="random")


def nearest_neighbour(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Start at a random city and go to the nearest unvisited one; about 25 % above the optimum on uniform points.

    References
    ----------
    .. [1] D. S. Johnson and L. A. McGeoch (1997), The traveling salesman problem: a case study in local
       optimization, table 2.

    Examples
    --------
    >>> nearest_neighbour([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0]]).length
    14.0
    """
    problem, started = _begin(x, "nearest neighbour")
    n = problem.num_cities
    neighbours = np.zeros((n, 0), dtype=np.int64)
    points = _near_points(problem)
    # the nearest point is a nearest city only where the metric is the Euclidean one, rounded or not
    if points is not None and problem.metric not in {"MAN_2D", "MAX_2D"} and n > 1:
        neighbours, _ = knn_neighbours(points, min(_NUM_NEIGHBOURS, n - 1))
    start = int(numpy_generator(seed).integers(n))
    order = nearest_neighbour_tour(problem.distance_data(), neighbours, start)
    return _answer(problem, order, started, solver="nearest neighbour", start=start)


def greedy_edge(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Take the shortest edge that still fits into a tour, again and again; 14 to 20 % above the optimum.

    On an asymmetric instance the mean of both directions decides, and the better direction of the tour is returned.
    The seed has no bearing.

    References
    ----------
    .. [1] J. L. Bentley (1992), Fast algorithms for geometric traveling salesman problems, section 3.

    Examples
    --------
    >>> greedy_edge([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]).length
    4.0
    """
    problem, started = _begin(x, "greedy edge")
    if problem.num_cities < 3:
        return _answer(problem, np.arange(problem.num_cities), started, solver="greedy edge")
    symmetric = problem
    if problem.matrix is not None and not problem.is_symmetric:
        symmetric = TSP.from_matrix(0.5 * problem.matrix + 0.5 * problem.matrix.T)
    points = _near_points(symmetric)
    k = min(_NUM_NEIGHBOURS, problem.num_cities - 1)
    neighbours = _nearest_by_matrix(symmetric, k) if points is None else knn_neighbours(points, k)[0]
    lengths = symmetric.distances(np.arange(problem.num_cities)[:, None], neighbours)
    order = greedy_edge_tour(symmetric.distance_data(), neighbours.astype(np.int32), lengths, points)
    tour = order.astype(np.int64)
    if problem.length(tour[::-1]) < problem.length(tour):
        tour = tour[::-1]
    return _answer(problem, tour, started, solver="greedy edge")


def _nearest_by_matrix(problem: TSP, k: int) -> IntArray:
    distances = problem.distance_matrix()
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def space_filling_curve(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Visit the cities as a Hilbert curve does; about 38 % above the optimum on uniform points, in no time.

    Needs coordinates, of which the first two count. The seed has no bearing.

    Examples
    --------
    >>> space_filling_curve([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]).order.tolist()
    [0, 2, 1, 3]
    """
    problem, started = _begin(x, "space-filling curve")
    if problem.coords is None:
        raise InputError(f"a space-filling curve needs coordinates, and {problem!r} has a matrix")
    return _answer(problem, hilbert_order(problem.coords), started, solver="space-filling curve")


def christofides(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Minimum spanning tree plus matching, as networkx has it: at most 50 % above the optimum in a metric instance.

    Cannot be stopped; the matching takes some 40 s at 1000 cities and grows with the cube. The seed has no bearing.

    References
    ----------
    .. [1] N. Christofides (1976), Worst-case analysis of a new heuristic for the travelling salesman problem.
    """
    problem, started = _begin(x, "networkx christofides")
    if not problem.is_symmetric:
        raise InputError(f"Christofides' algorithm needs symmetric distances; {problem!r} is asymmetric")
    n = problem.num_cities
    if n < 4:
        return _answer(problem, np.arange(n), started, solver="networkx christofides")
    import networkx as nx  # slow to import

    graph: nx.Graph[int] = nx.Graph()
    distances = problem.distance_matrix()
    graph.add_weighted_edges_from((i, j, float(distances[i, j])) for i, j in itertools.combinations(range(n), 2))
    cycle = nx.approximation.christofides(graph)
    return _answer(problem, np.array(cycle[:-1]), started, solver="networkx christofides")


def _whole_matrix(problem: TSP, largest: int) -> IntArray:
    """Distances as integers, exact where possible, else scaled so that the longest becomes `largest`."""
    distances = problem.distance_matrix()
    longest = float(distances.max())
    if longest == 0.0 or (problem.is_integral and longest <= largest):
        return distances.astype(np.int64)
    return np.rint(distances * (largest / longest)).astype(np.int64)


def ortools_routing(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Call Google OR-Tools' routing solver: cheapest arc, then guided local search.

    Parameters
    ----------
    x : whatever `as_tsp` takes
    stop : StopCriterion, optional
        Must set a time limit; default one second. The making of the distance matrix counts.
    seed : int
        Has no bearing: the solver is deterministic up to timing.

    Raises
    ------
    MissingExtraError
        Without the extra ``bench``.
    GnnlibError
        If it finds no tour within the time.
    """
    pywrapcp = _require("ortools", "ortools.constraint_solver.pywrapcp", "bench")
    enums = _require("ortools", "ortools.constraint_solver.routing_enums_pb2", "bench")
    problem, started = _begin(x, "OR-Tools")
    limit = _seconds(stop, "OR-Tools")
    n = problem.num_cities
    if n < 4:
        return _answer(problem, np.arange(n), started, solver="ortools")
    manager = pywrapcp.RoutingIndexManager(n, 1, 0)
    model = pywrapcp.RoutingModel(manager)
    model.SetArcCostEvaluatorOfAllVehicles(
        model.RegisterTransitMatrix(_whole_matrix(problem, _LARGEST_SCALED).tolist())
    )
    settings = pywrapcp.DefaultRoutingSearchParameters()
    settings.first_solution_strategy = enums.FirstSolutionStrategy.PATH_CHEAPEST_ARC
    settings.local_search_metaheuristic = enums.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    remaining = max(0.0, limit - (time.perf_counter() - started))
    settings.time_limit.FromMilliseconds(int(1000 * remaining))
    found = model.SolveWithParameters(settings)
    if found is None:
        raise GnnlibError(f"OR-Tools found no tour of {n} cities within {limit:g} s; give it more time")
    order, node = [], model.Start(0)
    while not model.IsEnd(node):
        order.append(manager.IndexToNode(node))
        node = found.Value(model.NextVar(node))
    return _answer(problem, order, started, solver="ortools", time_limit_s=limit)


@functools.cache
def _warm_up_matrix() -> None:
    """Compile, so that the peer does not pay for it."""
    whole_matrix_16(TSP.from_coords([[0.0, 0.0], [1.0, 0.0]]).distance_data(), 2, is_integral=False)


def fast_tsp(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:  # noqa: ARG001
    """Call the package fast_tsp (Lin-Kernighan with alpha-nearness and local kicks) on one thread.

    It measures in a matrix of 16-bit integers: distances beyond 65,535, and those that are not whole, are scaled and
    rounded, which costs precision; the matrix takes 2 N**2 bytes.

    Parameters
    ----------
    x : whatever `as_tsp` takes
        Symmetric.
    stop : StopCriterion, optional
        Must set a time limit; default one second. The making of the distance matrix counts.
    seed : int
        Has no bearing: the package takes no seed.

    Raises
    ------
    MissingExtraError
        Without the extra ``bench``.
    GnnlibError
        If the making of the matrix uses up the time.
    """
    package = _require("fast_tsp", "fast_tsp", "bench")
    _warm_up_matrix()
    problem, started = _begin(x, "fast_tsp")
    limit = _seconds(stop, "fast_tsp")
    if not problem.is_symmetric:
        raise InputError(f"fast_tsp needs symmetric distances; {problem!r} is asymmetric")
    n = problem.num_cities
    if n < 4:
        return _answer(problem, np.arange(n), started, solver="fast_tsp")
    matrix = whole_matrix_16(problem.distance_data(), n, is_integral=problem.is_integral)
    remaining = limit - (time.perf_counter() - started)
    if remaining <= 0.0:
        raise GnnlibError(f"fast_tsp had no time left after the matrix of {n} cities; give it more than {limit:g} s")
    order = package.find_tour(matrix, duration_seconds=remaining, max_threads=1)
    return _answer(problem, order, started, solver="fast_tsp", time_limit_s=limit)


def lkh(x: Any, *, stop: StopCriterion | None = None, seed: Seed = 0) -> TourResult:
    """Call Helsgaun's LKH-3 through the package elkai, one run.

    LKH's licence allows academic and non-commercial use only, hence the extra of its own. LKH measures in integers:
    distances that are not whole are scaled so that the longest becomes 1,000,000.

    Parameters
    ----------
    x : whatever `as_tsp` takes
        Asymmetric distances are fine.
    stop : StopCriterion, optional
        Must set a time limit, if given; without one LKH makes its usual number of trials. LKH looks at the clock
        after its sub-gradient ascent and between trials only, so that large instances take longer.
    seed : int

    Raises
    ------
    MissingExtraError
        Without the extra ``lkh``.
    """
    package = _require("elkai", "elkai._elkai", "lkh")
    problem, started = _begin(x, "LKH in elkai")
    settings = {"PROBLEM_FILE": ":stdin:", "RUNS": "1", "SEED": str(spawn_seeds(seed, 1)[0] % 2**31 or 1)}
    if stop is not None:
        limit = _seconds(stop, "LKH")
        settings |= {"MAX_TRIALS": str(2**30), "TIME_LIMIT": f"{limit:g}"}
    n = problem.num_cities
    if n < 4:
        return _answer(problem, np.arange(n), started, solver="lkh")
    parameters = "".join(f"{key} = {value}\n" for key, value in settings.items())
    try:
        cities = package.solve_problem(parameters, format_tsplib(_for_lkh(problem), full_matrix=True))
    except TypeError as error:  # elkai's word for any error of LKH
        raise GnnlibError(f"LKH refused {problem!r}: {error}") from error
    return _answer(problem, np.array(cities) - 1, started, solver="lkh", **settings)


def _for_lkh(problem: TSP) -> TSP:
    """Put an instance into a form that LKH's integers can hold."""
    if problem.coords is None:
        whole = _whole_matrix(problem, _LARGEST_SCALED).astype(np.float64)
        return TSP(matrix=whole, metric="EXPLICIT")
    span = float(np.ptp(problem.coords, axis=0).max())
    metric = problem.metric
    if metric == "EUCLIDEAN":
        metric = "EUC_2D" if problem.coords.shape[1] == 2 else "EUC_3D"
    elif metric == "GEO" or span <= _LARGEST_SCALED:
        return TSP(coords=problem.coords, metric=metric)
    shifted: FloatArray = problem.coords - problem.coords.min(axis=0)
    scale = _LARGEST_SCALED / span if span > 0.0 else 1.0
    return TSP(coords=shifted * scale, metric=metric)


#: Name to function, the trivial ones first.
BASELINES: dict[str, Baseline] = {
    "random": random_tour,
    "space-filling curve": space_filling_curve,
    "nearest neighbour": nearest_neighbour,
    "greedy edge": greedy_edge,
    "christofides": christofides,
    "ortools": ortools_routing,
    "fast_tsp": fast_tsp,
    "lkh": lkh,
}
