"""Bandits: upper confidence bounds over arms, and rungs of growing fidelity.

References
----------
.. [1] P. Auer, N. Cesa-Bianchi, P. Fischer, Finite-time analysis of the multiarmed bandit problem, Machine Learning 47
   (2002), figure 1 (UCB1).
.. [2] K. Jamieson, A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS
   (2016), figure 3 (successive halving).
.. [3] L. Li et al., Hyperband: a novel bandit-based approach to hyperparameter optimization, JMLR 18 (2018),
   algorithm 1 and table 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["UCB", "Rung", "hyperband_brackets"]


class UCB:
    """Upper confidence bound over a few arms (UCB1 of Auer et al. 2002).

    Parameters
    ----------
    arms : sequence of hashable
        At least one.
    exploration : float >= 0, default 1
        Factor of the confidence radius ``sqrt(2 log(n) / n_arm)``; 1 is UCB1 for rewards in [0, 1].

    Raises
    ------
    InputError
        If there is no arm or `exploration` is negative.

    Examples
    --------
    >>> bandit = UCB(["a", "b"])
    >>> for _ in range(50):
    ...     arm = bandit.select()
    ...     bandit.update(arm, 1.0 if arm == "b" else 0.0)
    >>> bandit.pulls["b"] > bandit.pulls["a"]
    True
    """

    def __init__(self, arms: Sequence[Hashable], *, exploration: float = 1.0) -> None:
        if not arms:
            raise InputError("a bandit needs at least one arm, found none")
        if not math.isfinite(exploration) or exploration < 0:
            raise InputError(f"`exploration` must be a finite number >= 0, found {exploration!r}")
        self.exploration = exploration
        self.pulls: dict[Hashable, int] = dict.fromkeys(arms, 0)
        self.total: dict[Hashable, float] = dict.fromkeys(arms, 0.0)

    def bound(self, arm: Hashable) -> float:
        """Return the upper confidence bound of an arm; infinity before its first pull."""
        pulls = self.pulls[arm]
        if pulls == 0:
            return math.inf
        radius = math.sqrt(2.0 * math.log(sum(self.pulls.values())) / pulls)
        return self.total[arm] / pulls + self.exploration * radius

    def select(self) -> Hashable:
        """Return the arm of the highest bound; ties go to the first."""
        return max(self.pulls, key=self.bound)

    def update(self, arm: Hashable, reward: float) -> None:
        """Note the reward of a pull; it should lie in [0, 1]."""
        self.pulls[arm] += 1
        self.total[arm] += reward


@dataclass(frozen=True)
class Rung:
    """One step of successive halving: `count` configurations at `fidelity` (1 is the full budget)."""

    count: int
    fidelity: float


def hyperband_brackets(min_fidelity: float, eta: int = 3) -> list[list[Rung]]:
    """Return the brackets of Hyperband, the most aggressive first; each is one run of successive halving.

    Parameters
    ----------
    min_fidelity : float in (0, 1]
        The least share of the full budget that says something about a configuration.
    eta : int >= 2, default 3
        One of `eta` configurations goes on to the next rung, with `eta` times the budget.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    The first bracket of table 1 of Li et al. (2018), for R = 81.

    >>> [(rung.count, round(81 * rung.fidelity)) for rung in hyperband_brackets(1 / 81)[0]]
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    """
    if not 0.0 < min_fidelity <= 1.0:
        raise InputError(f"`min_fidelity` must be in (0, 1], found {min_fidelity!r}")
    if isinstance(eta, bool) or not isinstance(eta, int) or eta < 2:
        raise InputError(f"`eta` must be an integer >= 2, found {eta!r}")
    top = math.floor(math.log(1.0 / min_fidelity) / math.log(eta) + 1e-9)
    brackets = []
    for rungs in range(top, -1, -1):
        count = math.ceil((top + 1) / (rungs + 1) * eta**rungs - 1e-9)
        brackets.append([Rung(max(count // eta**step, 1), float(eta) ** (step - rungs)) for step in range(rungs + 1)])
    return brackets
