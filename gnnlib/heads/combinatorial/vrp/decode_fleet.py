"""Fewer vehicles: routes are taken apart one after the other as long as the others can take their clients.

The manner is that of J. Christiaens & G. Vanden Berghe (2020), *Slack Induction by String Removals for Vehicle Routing
Problems*, section 5.3: with one vehicle fewer some clients are absent; what counts is not how many, but how often they
have been absent, so that those who are hard to place come first. Here that number is a price which grows with every
round, in the same sum as the distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.heads.combinatorial.vrp.decode_plain import PlainEngine

__all__ = ["shed_routes"]


def shed_routes(engine: PlainEngine, temperature: float, next_rounds: Callable[[int], int]) -> int:
    """Search for an answer with fewer routes; afterwards the engine holds the best, and allows no more routes.

    Parameters
    ----------
    engine : PlainEngine
    temperature : float
    next_rounds : callable
        From the rounds done so far to those until the next call; 0 ends the search.

    Returns
    -------
    int
        Rounds done.
    """
    first, most = engine.routes()[0], engine.num_routes
    found: list[list[int]] | None = None
    engine.settle(first, most, is_shedding=True)
    done = 0
    while True:
        if engine.num_absent == 0:
            found = engine.routes()[0]
            if len(found) <= engine.fewest_routes:
                break
        rounds = next_rounds(done)
        if rounds < 1:
            break
        if engine.num_absent == 0:
            engine.drop_route()
        else:
            done += engine.serve_all(temperature, rounds)
    if found is None:
        engine.settle(first, most, is_shedding=False)
    else:
        engine.settle(found, len(found), is_shedding=False)
    return done
