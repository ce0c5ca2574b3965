"""The settings of the search."""

from __future__ import annotations

from dataclasses import dataclass

from gnnlib.errors import InputError
from gnnlib.heads.combinatorial.kernels.exchange import MAX_BREADTH, MAX_DEPTH

__all__ = ["SearchParams"]


@dataclass(frozen=True)
class SearchParams:
    """Settings of the search; the defaults were chosen on generated instances and six of TSPLIB (d1655, fl1577, pcb3038, rl1889, rl5934, u724).

    Parameters
    ----------
    num_neighbours : int >= 5
        Nearest neighbours a city: the graph of the bound, of the priors and of the greedy start.
    num_candidates : int >= 2
        Edges a city that an exchange may add: the shortest.
    num_prior_candidates : int >= 2
        The same when a prior chooses them.
    breadth : tuple of int
        Alternatives followed at each level of an exchange; D entries search exchanges of up to D + 1 edges.
    max_segment : int >= 1
        Longest segment of a double bridge, in cities.
    walk_share : float in [0, 1]
        Share of the kicks whose edges are near each other in space rather than along the tour.
    walk_steps : int >= 1
        Longest random walk between two edges of such a kick.
    long_share : float in [0, 1]
        Share of the kicks whose edges are long ones anywhere in the tour, which join clusters.
    temperature : float >= 0
        Acceptance of longer tours, in mean edge lengths of the first local optimum.
    bound_share : float in [0, 0.9]
        Share of the time limit that the lower bound may take.
    large : int
        From this number of cities on, kicks are shorter and longer tours are not accepted: there is no time to profit
        from either.
    population : int, optional
        Tours that are crossed: by default as many as the time limit allows, none without one; 0 leaves the stage out.
    start_noise : float >= 0
        Noise on the lengths that the greedy starts of these tours see, so that they differ.
    join_noise : float >= 0
        The same for the edges that join the fragments of these starts, between clusters above all.
    children : int >= 1
        Crossings of a pair of tours.
    alternatives : int >= 0
        Other good tours to return.
    tree_walks : int >= 0
        With a positive number, a kicked tour is mended by Monte-Carlo tree search over the chains of exchanges, with
        so many chains for a city at most; see `gnnlib.heads.combinatorial.kernels.chain_tree`. 0 searches depth first
        (Lin-Kernighan).
    exploration : float >= 0
        Exploration constant of that tree, in mean edge lengths of the tour; with 0 the tree is the depth-first search.
    focus : float in [0, 1]
        Share of the places of kicks that are drawn by the prior's doubt in the present edges rather than evenly.

    Examples
    --------
    >>> SearchParams(breadth=(5, 3, 1)).breadth
    (5, 3, 1)
    """

    num_neighbours: int = 10
    num_candidates: int = 8
    num_prior_candidates: int = 6
    breadth: tuple[int, ...] = (5, 3, 2, 1)
    max_segment: int = 100
    walk_share: float = 0.3
    walk_steps: int = 30
    long_share: float = 0.1
    temperature: float = 0.1
    bound_share: float = 0.1
    large: int = 12_000
    population: int | None = None
    start_noise: float = 0.5
    join_noise: float = 1.0
    children: int = 30
    alternatives: int = 0
    tree_walks: int = 0
    exploration: float = 0.3
    focus: float = 0.0

    def __post_init__(self) -> None:
        if self.num_neighbours < 5 or self.num_candidates < 2:
            raise InputError(
                "`num_neighbours` must be >= 5 and `num_candidates` >= 2, "
                f"found {self.num_neighbours} and {self.num_candidates}"
            )
        if not 1 <= len(self.breadth) < MAX_DEPTH or not all(1 <= b <= MAX_BREADTH for b in self.breadth):
            raise InputError(
                f"`breadth` must hold 1 to {MAX_DEPTH - 1} numbers from 1 to {MAX_BREADTH}, found {self.breadth}"
            )
        if self.max_segment < 1 or self.walk_steps < 1 or not self.temperature >= 0.0:
            raise InputError(
                "`max_segment` and `walk_steps` must be >= 1 and `temperature` >= 0, found "
                f"{self.max_segment}, {self.walk_steps} and {self.temperature}"
            )
        noises = (self.start_noise, self.join_noise)
        if min(self.population or 0, self.alternatives) < 0 or not all(n >= 0.0 for n in noises) or self.children < 1:
            raise InputError(
                "`population`, `alternatives`, `start_noise` and `join_noise` must be >= 0 and `children` >= 1, found "
                f"{self.population}, {self.alternatives}, {self.start_noise}, {self.join_noise} and {self.children}"
            )
        if self.tree_walks < 0 or not self.exploration >= 0.0 or not 0.0 <= self.focus <= 1.0:
            raise InputError(
                "`tree_walks` and `exploration` must be >= 0 and `focus` in [0, 1], found "
                f"{self.tree_walks}, {self.exploration} and {self.focus}"
            )
        shares = (self.walk_share, self.long_share)
        if not (min(shares) >= 0.0 and sum(shares) <= 1.0 and 0.0 <= self.bound_share <= 0.9):
            raise InputError(
                "`walk_share` and `long_share` must be >= 0 with a sum <= 1 and `bound_share` in [0, 0.9], found "
                f"{self.walk_share}, {self.long_share} and {self.bound_share}"
            )
