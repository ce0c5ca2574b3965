"""Settings of the search for routes."""

from __future__ import annotations

from dataclasses import dataclass

from gnnlib.errors import InputError

__all__ = ["RouteParams"]


@dataclass(frozen=True)
class RouteParams:
    """Settings of ruin and recreate; the defaults were chosen on instances of the X set that no benchmark uses.

    Parameters
    ----------
    num_neighbours : int >= 5
        Clients next to whom a client may be inserted: the nearest, in distance and, with windows, in time.
    mean_removed : float >= 1
        Clients removed in a round, on average (c in the paper: J. Christiaens & G. Vanden Berghe 2020, *Slack
        Induction by String Removals for Vehicle Routing Problems*, section 4).
    max_string : int >= 1
        Longest string removed from one route (L max).
    blink : float in [0, 1)
        Probability with which a position is overlooked on insertion.
    start_temperature, end_temperature : float >= 0
        Of annealing, in mean edge lengths of the first answer.
    minimise_fleet : bool
        Look for an answer with as few vehicles as possible in the first quarter of the run, and for the cheapest with
        no more vehicles in the rest (section 5.3 of the paper). For problems with one depot, one kind of vehicle, one
        load and plane distances, with and without one window a client; in others `VehicleType.fixed_cost` does it.

    Notes
    -----
    What lost on X-n351-k40, X-n439-k37 and X-n561-k42 (stops of 10 s, one seed, mean gap; these defaults 0.56 %):
    `start_temperature` 0.3: 1.34 %, 3: 0.83 %; `end_temperature` 0.01: 0.71 %; 2 and 0.05 together: 0.97 %;
    `mean_removed` 7: 0.91 %, 14: 0.95 %. On six instances with long routes (X-n190-k8, X-n233-k16, X-n284-k15,
    X-n308-k13, X-n322-k28, X-n327-k20; 1,500 rounds a client, two seeds; these defaults 1.23 %, with a standard error
    of 0.1 to 0.2): `num_neighbours` 60: 1.21 %, 100: 1.12 % in a quarter more time; `max_string` 30 with
    `mean_removed` 15: 1.39 %. Capacities that may be exceeded at a price, as in genetic searches: 1.18 to 1.59 %. Hotter
    starts are level there (0.81 to 0.89 % for 1, 2 and 4 after 3,000 rounds a client on eight instances), and crossing
    the answers of six short runs was no better than one long run (1.34 % and 1.23 %, stops of 10 s). On seven instances
    with at most 250 clients (1.5 s, three seeds) and five with more (3 s, one seed) these defaults gave 0.53 and
    0.98 %, temperatures from 0.6 to 0.1 0.58 and 1.16 %, these with 20 neighbours 0.66 and 1.50 %, and 0.8 to 0.06 with
    `mean_removed` 12 0.58 and 1.02 %. Problems with one window a client scale the temperatures and take longer strings,
    see `gnnlib.heads.combinatorial.vrp.decode_timed`.

    Examples
    --------
    >>> RouteParams(mean_removed=8.0).max_string
    10
    """

    num_neighbours: int = 30
    mean_removed: float = 10.0
    max_string: int = 10
    blink: float = 0.01
    start_temperature: float = 1.0
    end_temperature: float = 0.03
    minimise_fleet: bool = False

    def __post_init__(self) -> None:
        if self.num_neighbours < 5 or self.max_string < 1 or not self.mean_removed >= 1.0:
            raise InputError(
                "`num_neighbours` must be >= 5, `max_string` and `mean_removed` >= 1, found "
                f"{self.num_neighbours}, {self.max_string} and {self.mean_removed}"
            )
        if not 0.0 <= self.blink < 1.0 or not 0.0 <= self.end_temperature <= self.start_temperature:
            raise InputError(
                "`blink` must be in [0, 1) and the temperatures >= 0 and falling, found "
                f"{self.blink}, {self.start_temperature} and {self.end_temperature}"
            )
