"""The verb of the head: `solve_tsp`."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from gnnlib.errors import InfeasibleError, InputError
from gnnlib.heads.combinatorial.kernels.held_karp import held_karp_dp
from gnnlib.heads.combinatorial.kernels.starts import hilbert_order
from gnnlib.heads.combinatorial.tsp.decode import PRIORS, TourSearch
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance, with_fixed_edges
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.heads.combinatorial.tsp.priors import load_prior
from gnnlib.heads.combinatorial.tsp.problem import TSP, as_tsp
from gnnlib.heads.combinatorial.tsp.result import TourResult
from gnnlib.heads.combinatorial.tsp.shared_stop import SharedInterrupt, leave_interrupts_to
from gnnlib.seeding import spawn_seeds
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime, StopCriterion

if TYPE_CHECKING:
    from gnnlib.stop import StopClock
    from gnnlib.typing import ArrayLike, IntArray

__all__ = ["solve_tsp", "warm_up"]

EXACT_UP_TO = 12
"""Largest number of cities that is solved exactly by dynamic programming."""

_SET_UP_S_PER_CITY = 8.5e-6
"""Seconds a city for neighbours and the greedy start; with less time than that, a space-filling curve must do."""


_LEARNED_SIZES = (5000, 20_000)
"""Numbers of cities for which "auto" may ask the network: fewer do not need it, more leave no time for a population."""

_HURRY_S_PER_CITY = 4e-4
"""Seconds a city below which "auto" loads the network, in case the bound does not converge."""

_GREEDY_PER_BUILD = 0.85
"""Seconds of the greedy start for a second of looking for the neighbours, measured on a million cities: 0.76."""

_GRACE_S = 0.1
"""Seconds by which a greedy tour may come too late: short stops of small instances deserve one."""

_CLOSING_S_PER_CITY = 8e-7
"""Seconds a city for translating, checking and measuring the answer."""


def solve_tsp(
    x: Any,
    *,
    stop: StopCriterion | None = None,
    seed: int | None = 0,
    warm_start: ArrayLike | None = None,
    prior: str | None = "auto",
    params: SearchParams | None = None,
    progress: bool = False,
    n_jobs: int = 1,
) -> TourResult:
    """Find a short tour and prove how far it can be from the shortest.

    Lin-Kernighan search over candidate edges, then edge assembly crossover of a population of such tours as large as
    the time limit allows (Y. Nagata & S. Kobayashi 2013), then kicks; the Held-Karp 1-tree bound is the certificate. Up
    to 12 cities are solved exactly.

    Parameters
    ----------
    x : TSP, path, networkx graph, array [N, 2], [N, 3] or [N, N]
        The problem; see `gnnlib.heads.combinatorial.tsp.problem.as_tsp`.
    stop : StopCriterion, default ``MaxRuntime(5)``
        One iteration is one kick, or one crossing of two tours. Without a time limit there are kicks only, unless
        ``params.population`` asks for crossings. The clock starts when the kernels are compiled and the weights loaded. With
        `MaxIterations` alone the answer is the same bit for bit on one machine.
    seed : int or None
        Seed of the kicks; None draws one.
    warm_start : int array-like [N] or TourResult, optional
        A tour to start from; the answer is never longer.
    prior : {"auto", "gnn", "alpha", "softdist", "knn", None}
        What chooses the candidate edges and the order in which they are tried: the shipped graph network, alpha-nearness
        from the 1-tree (K. Helsgaun 2000), a softmax of the distance, the rank of the neighbour, or nothing but the
        distance. "auto" takes alpha-nearness when the bound had time to converge, and the network for 5,000 to 20,000
        cities when it had not. The network is left out when the stop leaves no time for it; ``params["prior_used"]`` of
        the result says what was used.
    params : SearchParams, optional
        Settings of the search.
    progress : bool
        Show a progress bar.
    n_jobs : int, default 1
        Processes that search at the same time, each from its own seed; -1 for one a core. Under a time limit they
        exchange their best tours half way and go on from all of them. Ctrl-C ends all of them and returns the best
        tour so far, as with one process; a second one raises `KeyboardInterrupt`.

    Returns
    -------
    TourResult
        Order, length in the problem's own rounding, lower bound, gap, trace; `alternatives` when ``params`` asks for
        some.

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
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or (n_jobs < 1 and n_jobs != -1):
        raise InputError(f"`n_jobs` must be an integer >= 1, or -1 for one a core, found {n_jobs!r}")
    network = prior == "gnn" or (prior == "auto" and _is_hurried(problem, criterion))
    settings = SearchParams() if params is None else params
    task = Task(problem, prior, settings, _warm_order(problem, warm_start), network=network)
    jobs = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    if jobs > 1 and problem.num_cities > EXACT_UP_TO:
        return _solve_together(task, criterion, seed, jobs)
    prepare(task.loads)
    return _solve(task, criterion, seed, progress=progress)


def _is_hurried(problem: TSP, criterion: StopCriterion) -> bool:
    """Whether a large population stage begins before the bound can have converged, so that the network must do."""
    low, high = _LEARNED_SIZES
    fits = problem.is_symmetric and problem.coords is not None and not problem.fixed_edges
    return fits and low <= problem.num_cities <= high and criterion.max_seconds < _HURRY_S_PER_CITY * problem.num_cities


@dataclass(frozen=True)
class Task:
    """What every process needs to know; `guests` are tours of the others, `network` says whether it may be used."""

    problem: TSP
    prior: str | None
    params: SearchParams
    start: IntArray | None = None
    guests: tuple[IntArray, ...] = ()
    network: bool = False

    @property
    def loads(self) -> str | None:
        """The prior that must be ready before the clock starts."""
        return "gnn" if self.network else self.prior


def prepare(prior: str | None) -> None:
    """Compile and load what a run needs before its clock starts."""
    warm_up()
    if prior is not None:
        load_prior(prior)


def _solve(task: Task, criterion: StopCriterion, seed: int | None, *, progress: bool = False) -> TourResult:
    """Solve in this process."""
    problem, settings = task.problem, task.params
    limit = criterion.max_seconds
    if math.isfinite(limit):  # leave time to check and measure the answer
        limit = max(0.0, limit - _CLOSING_S_PER_CITY * problem.num_cities)
    clock = (AnyOf(criterion, MaxRuntime(limit)) if math.isfinite(limit) else criterion).start()
    described = {"seed": seed, "prior": task.prior, "stop": repr(criterion), **dataclasses.asdict(settings)}
    if problem.num_cities <= EXACT_UP_TO:
        return _solve_exactly(problem, clock, described)
    if clock.remaining_s < _SET_UP_S_PER_CITY * problem.num_cities:
        return _answer_at_once(problem, clock, task.start, described)
    instance = SearchInstance.build(problem, settings.num_neighbours)
    late_s = _GREEDY_PER_BUILD * clock.elapsed_s - clock.remaining_s
    if task.start is None and instance.points is not None and late_s > _GRACE_S:
        along_curve = instance.to_order(np.arange(instance.size, dtype=np.int32))
        return _answer_at_once(problem, clock, along_curve, described)
    tour = None if task.start is None else instance.from_order(task.start)
    guests = [instance.from_order(guest) for guest in task.guests]
    search = TourSearch(instance, clock, settings, seed=seed, start=tour, guests=guests, network=task.network)
    _run(search, task.prior, progress=progress)
    order = instance.to_order(search.tour)
    described["prior_used"] = search.prior_used
    others = [instance.to_order(other) for other in search.others]
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
        alternatives=np.array(others, np.int64).reshape(len(others), problem.num_cities),
    )


def _prepare_in(parent: int, prior: str | None) -> None:
    """Prepare a process of its own, which leaves Ctrl-C to the one that asked for it."""
    leave_interrupts_to(parent)
    prepare(prior)


def _solve_until(task: Task, criterion: StopCriterion, seed: int, deadline: float, parent: int) -> TourResult:
    """Solve in a process of its own, until a time of day at most."""
    _prepare_in(parent, task.loads)
    left = max(0.0, deadline - time.time())
    return _solve(task, AnyOf(criterion, MaxRuntime(left)) if math.isfinite(left) else criterion, seed)


def _solve_together(task: Task, criterion: StopCriterion, seed: int | None, jobs: int) -> TourResult:
    """Solve in several processes that exchange their best tours half way; an interrupt ends all of them."""
    seeds = iter(spawn_seeds(seed, 2 * jobs))
    parent = os.getpid()
    with SharedInterrupt() as interrupt, Parallel(n_jobs=jobs, batch_size=1) as pool:
        pool(delayed(_prepare_in)(parent, task.loads) for _ in range(jobs))
        begin, limit = time.time(), criterion.max_seconds
        rounds = (0.5, 1.0) if math.isfinite(limit) else (1.0,)
        until = AnyOf(criterion, interrupt.stop)
        answers: list[TourResult] = []
        trace: list[tuple[float, float]] = []
        for part in rounds:
            offset, deadline = time.time() - begin, begin + part * limit
            found = pool(delayed(_solve_until)(task, until, next(seeds), deadline, parent) for _ in range(jobs))
            trace += [(offset + float(at), float(length)) for answer in found for at, length in answer.trace]
            answers = sorted([*answers, *found], key=lambda answer: answer.length)
            if interrupt.received or any(answer.is_optimal for answer in answers):
                break
            orders = [answer.order for answer in answers]
            task = dataclasses.replace(task, start=orders[0], guests=tuple(orders[1:jobs]))
    best = answers[0]
    bound = max(answer.lower_bound for answer in answers)
    trace.sort()
    lengths = np.minimum.accumulate([length for _, length in trace])
    return dataclasses.replace(
        best,
        lower_bound=bound,
        is_optimal=any(answer.is_optimal for answer in answers),
        trace=np.column_stack([[at for at, _ in trace], lengths])[np.append(True, np.diff(lengths) < 0.0)],
        iterations=sum(answer.iterations for answer in answers),
        seconds=time.time() - begin,
        params={**best.params, "seed": seed, "stop": repr(criterion), "n_jobs": jobs},
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
        search.find_others()
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
    """Return a tour that is there, or a space-filling curve, when there is no time to search."""
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

    `solve_tsp` calls it before its clock starts. The first call after installation compiles for about a minute;
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
