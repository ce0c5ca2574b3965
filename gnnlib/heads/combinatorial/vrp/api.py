"""The verb of the head: `solve_vrp`."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.arrays import is_plain, is_timed
from gnnlib.heads.combinatorial.vrp.decode import RouteSearch
from gnnlib.heads.combinatorial.vrp.explain import explain_unservable
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.priors import PRIORS, load_scores
from gnnlib.heads.combinatorial.vrp.problem import VRP
from gnnlib.heads.combinatorial.vrp.result import RouteResult
from gnnlib.seeding import spawn_seeds
from gnnlib.stop import MaxIterations, MaxRuntime, StopCriterion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import PathLike

    Start = tuple[Sequence[Sequence[int]], Sequence[int]]
    Run = tuple[list[list[int]], list[int], list[tuple[float, float]], int, float]

__all__ = ["solve_vrp", "warm_up"]

ALL_NEIGHBOURS = 100
"""As many neighbours as the search ever looks at."""


def solve_vrp(
    problem_or_path: VRP | PathLike,
    *,
    stop: StopCriterion | None = None,
    seed: int | None = 0,
    warm_start: RouteResult | Sequence[Sequence[int]] | None = None,
    n_jobs: int = 1,
    prior: str | None = "distance",
    params: RouteParams | None = None,
    progress: bool = False,
) -> RouteResult:
    """Find cheap routes for a fleet.

    Ruin and recreate: strings of neighbouring clients are taken out of their routes and put back where they cost
    least, and annealing decides what is kept (J. Christiaens & G. Vanden Berghe 2020, *Slack Induction by String
    Removals for Vehicle Routing Problems*).

    Parameters
    ----------
    problem_or_path : VRP or path
        The problem, or a file that `VRP.from_file` reads.
    stop : StopCriterion, default ``MaxRuntime(5)``
        One iteration removes and inserts one group of neighbouring clients. The clock starts when the kernels are
        compiled. With `MaxIterations` alone the answer is the same bit for bit on one machine.
    seed : int or None
        None draws one.
    warm_start : RouteResult or sequence of sequences of int, optional
        Routes to start from; route k is driven by vehicle k unless a `RouteResult` names the types. The answer never
        costs more (with `RouteParams.minimise_fleet`: than others with as many vehicles).
    n_jobs : int
        Processes that search from different seeds; the best answer counts. -1 takes all cores.
    prior : {"distance", "gnn", None}, default "distance"
        Next to whom a client may be inserted: its nearest `RouteParams.num_neighbours`, as many that the shipped graph
        network prefers (its time counts; where the stop leaves too little, the nearest are taken), or all that the
        search ever looks at.
    params : RouteParams, optional
        Settings of the search.
    progress : bool
        Show a progress bar.

    Returns
    -------
    RouteResult
        Never an error merely because clients cannot be served: they are listed as unserved, the result is then not
        feasible, and where nobody can serve a client even alone it says why.

    Raises
    ------
    InputError
        If the problem, the warm start or an option is not valid.

    Examples
    --------
    >>> problem = VRP.from_coords([[0, 0], [3, 4], [0, 5], [9, 0]], demand=[4, 3, 5], capacity=8)
    >>> from gnnlib.stop import MaxIterations
    >>> result = solve_vrp(problem, stop=MaxIterations(100))
    >>> result.feasible, sorted(client for route in result.routes for client in route)
    (True, [1, 2, 3])
    """
    problem = problem_or_path if isinstance(problem_or_path, VRP) else VRP.from_file(problem_or_path)
    criterion = MaxRuntime(5.0) if stop is None else stop
    if not isinstance(criterion, StopCriterion):
        raise InputError(f"`stop` must be a stopping criterion such as MaxRuntime(5), found {criterion!r}")
    if prior is not None and prior not in PRIORS:
        raise InputError(f"`prior` must be one of {', '.join(map(repr, PRIORS))} or None, found {prior!r}")
    settings = RouteParams() if params is None else params
    if settings.minimise_fleet and not (is_plain(problem) or is_timed(problem)):
        raise InputError(
            "`minimise_fleet` needs one depot, one kind of vehicle without fixed cost, one load and plane distances; "
            "give the vehicles of this problem a `fixed_cost` instead"
        )
    if prior is None:
        settings = dataclasses.replace(settings, num_neighbours=max(ALL_NEIGHBOURS, settings.num_neighbours))
    warm = _warm_result(problem, warm_start)
    start = None if warm is None else (warm.routes, warm.vehicle_types)
    jobs = _num_jobs(n_jobs)
    _get_ready(prior)
    if jobs == 1:
        runs = [_search(problem, criterion, settings, seed, start, prior, progress)]
    else:
        runs = _search_many(problem, criterion, settings, seed, start, prior, jobs)
    details: dict[str, Any] = {"seed": seed, "prior": prior, "n_jobs": jobs, "stop": repr(criterion)}
    found = [
        RouteResult.from_routes(
            problem, routes, kinds, trace=np.array(trace), iterations=iterations, seconds=seconds,
            params={**details, **dataclasses.asdict(settings)},
        )
        for routes, kinds, trace, iterations, seconds in runs
    ]  # fmt: skip
    rank = _rank_by_fleet if settings.minimise_fleet else _rank
    best = min(found, key=rank)
    if warm is not None and warm.feasible and rank(best) > rank(warm):
        best = dataclasses.replace(best, routes=warm.routes, vehicle_types=warm.vehicle_types, check=warm.check)
    if not best.feasible:
        best = dataclasses.replace(best, unservable=explain_unservable(problem))
    return best


def _get_ready(prior: str | None) -> None:
    """Compile and load what the search needs; none of it counts against a stop."""
    warm_up()
    if prior == "gnn":
        load_scores()


def _rank(result: RouteResult) -> tuple[bool, int, float]:
    return not result.feasible, len(result.violations), result.cost


def _rank_by_fleet(result: RouteResult) -> tuple[bool, int, int, float]:
    return not result.feasible, len(result.violations), len(result.routes), result.cost


def _search(
    problem: VRP,
    criterion: StopCriterion,
    settings: RouteParams,
    seed: int | None,
    start: Start | None,
    prior: str | None = "distance",
    progress: bool = False,  # noqa: FBT001, FBT002 (called by position from worker processes)
) -> Run:
    clock = criterion.start()
    search = RouteSearch(problem, clock, settings, seed, start, prior)
    search.anneal(progress=progress)
    routes, kinds = search.routes()
    return routes, kinds, search.trace, clock.iterations, clock.elapsed_s


def _search_many(
    problem: VRP,
    criterion: StopCriterion,
    settings: RouteParams,
    seed: int | None,
    start: Start | None,
    prior: str | None,
    jobs: int,
) -> list[Run]:
    """Search from several seeds at once, each in a process of its own whose start is not counted."""
    from joblib import Parallel, delayed  # starting processes is not everybody's wish

    with Parallel(n_jobs=jobs) as parallel:
        parallel(delayed(_get_ready)(prior) for _ in range(jobs))
        seeds = spawn_seeds(seed, jobs)
        return list(parallel(delayed(_search)(problem, criterion, settings, s, start, prior) for s in seeds))


def _num_jobs(n_jobs: int) -> int:
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise InputError(f"`n_jobs` must be a whole number >= 1, or -1 for all cores, found {n_jobs!r}")
    return n_jobs if n_jobs > 0 else os.cpu_count() or 1


def _warm_result(problem: VRP, warm_start: RouteResult | Sequence[Sequence[int]] | None) -> RouteResult | None:
    if warm_start is None:
        return None
    if isinstance(warm_start, RouteResult):
        return RouteResult.from_routes(problem, warm_start.routes, warm_start.vehicle_types)
    routes = [[int(client) for client in route] for route in warm_start]
    visited = [client for route in routes for client in route if client >= problem.num_depots]
    if len(set(visited)) != len(visited):
        twice = next(client for client in visited if visited.count(client) > 1)
        raise InputError(f"`warm_start` must not visit a client twice, found client {twice} in two routes")
    return RouteResult.from_routes(problem, routes)


@functools.cache
def warm_up() -> None:
    """Compile the kernels, or load them from the cache, so that no later call pays for it.

    `solve_vrp` calls it before its clock starts. The first call after installation compiles for about a minute; later
    processes load the result.

    Examples
    --------
    >>> warm_up()
    """
    coords = np.random.default_rng(0).random((12, 2))
    plain = VRP.from_coords(coords, demand=np.ones(11), capacity=4.0)
    hours = np.tile([0.0, 100.0], (12, 1))
    timed = VRP.from_coords(coords, demand=np.ones(11), capacity=4.0, windows=hours)
    for problem in (plain, timed):
        for start in (None, ([[1, 2], [3]], [0, 0])):
            _search(problem, MaxIterations(2), RouteParams(), 0, start)
