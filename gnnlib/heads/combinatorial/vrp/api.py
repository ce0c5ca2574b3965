"""The verb of the head: `solve_vrp`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.vrp.decode import first_routes
from gnnlib.heads.combinatorial.vrp.params import RouteParams
from gnnlib.heads.combinatorial.vrp.problem import VRP
from gnnlib.heads.combinatorial.vrp.result import RouteResult
from gnnlib.stop import MaxRuntime, StopCriterion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import PathLike

__all__ = ["solve_vrp"]

PRIORS = (None,)
"""What `solve_vrp` takes as ``prior=``."""


def solve_vrp(
    problem_or_path: VRP | PathLike,
    *,
    stop: StopCriterion | None = None,
    seed: int | None = 0,
    warm_start: RouteResult | Sequence[Sequence[int]] | None = None,
    n_jobs: int = 1,
    prior: str | None = None,
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
        costs more.
    n_jobs : int
        Processes that search from different seeds; the best answer counts. -1 takes all cores.
    prior : None
        What guides the search.
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
    if prior not in PRIORS:
        raise InputError(f"`prior` must be one of {PRIORS}, found {prior!r}")
    settings = RouteParams() if params is None else params
    described: dict[str, Any] = {"seed": seed, "prior": prior, "stop": repr(criterion), **dataclasses.asdict(settings)}
    clock = criterion.start()
    routes, kinds = first_routes(problem)
    return RouteResult.from_routes(problem, routes, kinds, seconds=clock.elapsed_s, params=described)
