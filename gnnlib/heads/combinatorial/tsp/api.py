"""The verb of the head: `solve_tsp`."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.kernels.held_karp import held_karp_dp
from gnnlib.heads.combinatorial.kernels.starts import hilbert_order
from gnnlib.heads.combinatorial.tsp.decode import PRIORS, SearchParams, TourSearch
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance, with_fixed_edges
from gnnlib.heads.combinatorial.tsp.priors import load_prior
from gnnlib.heads.combinatorial.tsp.problem import TSP, as_tsp
from gnnlib.heads.combinatorial.tsp.result import TourResult
from gnnlib.stop import MaxIterations, MaxRuntime, StopCriterion

if TYPE_CHECKING:
    from gnnlib.stop import StopClock
    from gnnlib.typing import ArrayLike, IntArray

__all__ = ["solve_tsp", "warm_up"]

EXACT_UP_TO = 12
"""Largest number of cities that is solved exactly by dynamic programming."""

_SET_UP_S_PER_CITY = 7e-6
"""Seconds a city for neighbours and the greedy start; with less time than that, a space-filling curve must do."""


def solve_tsp(
    x: Any,
    *,
    stop: StopCriterion | None = None,
    seed: int | None = 0,
    warm_start: ArrayLike | None = None,
    prior: str | None = "auto",
    params: SearchParams | None = None,
    progress: bool = False,
) -> TourResult:
    """Find a short tour and prove how far it can be from the shortest.

    Iterated Lin-Kernighan search over candidate edges, with the Held-Karp 1-tree bound as certificate. Up to 12 cities
    are solved exactly.

    Parameters
    ----------
    x : TSP, path, networkx graph, array [N, 2], [N, 3] or [N, N]
        The problem; see `gnnlib.heads.combinatorial.tsp.problem.as_tsp`.
    stop : StopCriterion, default ``MaxRuntime(5)``
        One iteration is one kick. The clock starts when the kernels are compiled and the weights loaded. With
        `MaxIterations` alone the answer is the same bit for bit on one machine.
    seed : int or None
        Seed of the kicks; None draws one.
    warm_start : int array-like [N] or TourResult, optional
        A tour to start from; the answer is never longer.
    prior : {"auto", "gnn", "alpha", "softdist", "knn", None}
        What chooses the candidate edges and the order in which they are tried: the shipped graph network, alpha-nearness
        from the 1-tree (K. Helsgaun 2000), a softmax of the distance, the rank of the neighbour, or nothing but the
        distance. "auto" takes alpha-nearness when the bound had time to converge. The network is left out when the
        stop leaves no time for it; ``params["prior_used"]`` of the result says what was used.
    params : SearchParams, optional
        Settings of the search.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TourResult
        Order, length in the problem's own rounding, lower bound, gap, trace.

    Raises
    ------
    InputError
        If the problem, the warm start or an option is not valid.
    InfeasibleError
        If no tour was found that avoids missing connections.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.random.default_rng(0).random((50, 2))
    >>> result = solve_tsp(points, stop=MaxIterations(200))
    >>> sorted(result.order.tolist()) == list(range(50)), result.gap < 0.05
    (True, True)
    """
    problem = as_tsp(x)
    criterion = MaxRuntime(5.0) if stop is None else stop
    if not isinstance(criterion, StopCriterion):
        raise InputError(f"`stop` must be a stopping criterion such as MaxRuntime(5), found {criterion!r}")
    if prior not in PRIORS:
        raise InputError(f"`prior` must be one of {PRIORS}, found {prior!r}")
    if prior in {"gnn", "softdist", "knn"} and not problem.is_symmetric:
        raise InputError(f"`prior` {prior!r} needs a symmetric problem; use 'auto', 'alpha' or None")
    settings = SearchParams() if params is None else params
    start = _warm_order(problem, warm_start)
    warm_up()
    if prior is not None:
        load_prior(prior)
    clock = criterion.start()
    described = {"seed": seed, "prior": prior, "stop": repr(criterion), **dataclasses.asdict(settings)}
    if problem.num_cities <= EXACT_UP_TO:
        return _solve_exactly(problem, clock, described)
    if clock.remaining_s < _SET_UP_S_PER_CITY * problem.num_cities:
        return _answer_at_once(problem, clock, start, described)
    instance = SearchInstance.build(problem, settings.num_neighbours)
    tour = None if start is None else instance.from_order(start)
    search = TourSearch(instance, clock, settings, seed=seed, start=tour)
    _run(search, prior, progress=progress)
    order = instance.to_order(search.tour)
    described["prior_used"] = search.prior_used
    return TourResult(
        order,
        problem.length(order),
        problem,
        lower_bound=search.lower_bound,
        is_optimal=search.is_proved,
        trace=np.array(search.trace),
        iterations=clock.iterations,
        seconds=clock.elapsed_s,
        params=described,
    )


def _run(search: TourSearch, prior: str | None, *, progress: bool) -> None:
    """Descend, bound, kick; an interrupt ends the search and leaves the best tour."""
    try:
        search.descend()
        search.raise_bound()
        if search.is_proved:
            return
        search.use_prior(prior)
        search.evolve()
        search.kick(progress=progress)
    except KeyboardInterrupt:
        search.abandon()


def _solve_exactly(problem: TSP, clock: StopClock, described: dict[str, Any]) -> TourResult:
    """Held-Karp dynamic programming; missing connections and fixed edges are part of the distances."""
    n = problem.num_cities
    if n <= 3 and problem.is_symmetric:
        order = np.arange(n)
    else:
        matrix, _ = with_fixed_edges(problem)
        order, _ = held_karp_dp(matrix)
    length = problem.length(order)
    return TourResult(
        order,
        length,
        problem,
        lower_bound=length,
        is_optimal=True,
        trace=np.array([(clock.elapsed_s, length)]),
        seconds=clock.elapsed_s,
        params={**described, "prior_used": None},
    )


def _answer_at_once(problem: TSP, clock: StopClock, start: IntArray | None, described: dict[str, Any]) -> TourResult:
    """Return the warm start, or a space-filling curve, when there is no time to search."""
    if start is not None:
        order = start
    elif problem.coords is not None and not problem.fixed_edges:
        order = hilbert_order(problem.distance_data().coords)
    else:
        instance = SearchInstance.build(problem, 5)
        order = instance.to_order(TourSearch(instance, clock, SearchParams(), seed=0).tour)
    length = problem.length(order)
    return TourResult(
        order,
        length,
        problem,
        trace=np.array([(clock.elapsed_s, length)]),
        seconds=clock.elapsed_s,
        params={**described, "prior_used": None},
    )


def _warm_order(problem: TSP, warm_start: ArrayLike | TourResult | None) -> IntArray | None:
    if warm_start is None:
        return None
    order = problem.checked_order(warm_start.order if isinstance(warm_start, TourResult) else warm_start)
    try:
        problem.require_feasible(order)
    except InfeasibleError as error:
        raise InputError(f"`warm_start` is not a tour of the problem: {error}") from error
    return order


@functools.cache
def warm_up() -> None:
    """Compile the kernels, or load them from the cache, so that no later call pays for it.

    `solve_tsp` calls it before its clock starts. The first call after installation compiles for about half a minute;
    later processes load the result.

    Examples
    --------
    >>> warm_up()
    """
    points = np.random.default_rng(0).random((40, 2))
    for problem in (TSP.from_coords(points), TSP.from_matrix(TSP.from_coords(points).distance_matrix())):
        instance = SearchInstance.build(problem, 10)
        search = TourSearch(instance, MaxIterations(4).start(), SearchParams(population=3), seed=0)
        _run(search, "alpha", progress=False)
    held_karp_dp(problem.distance_matrix()[:5, :5].copy())
