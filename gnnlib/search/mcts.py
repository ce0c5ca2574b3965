"""Monte Carlo tree search by PUCT over two things a caller provides: the roots and a function that takes a step.

The search knows neither the game nor the network. It walks down B trees, collects the leaves of all of them (several a
tree, kept apart by a virtual loss), has them evaluated in one call, and backs the values up. What it returns is the
whole tree.

At node s the action is the one that maximises

    Q(s, a) + c(s) P(s, a) sqrt(N(s)) / (1 + N(s, a)),      c(s) = c_init + log((N(s) + c_base + 1) / c_base)

where P is the prior, N(s, a) the visits of the child and N(s) those of the node with its own evaluation counted, so
that the first choice already follows the prior. A predictor that guides an upper confidence bound goes back to Rosin
(2011); the form is equation 2 of appendix B of Schrittwieser et al. (2020), which is the rule of Silver et al. (2018).
Ties go to the lowest action, so that a search without noise is a function of its inputs alone.

References
----------
.. [1] C. D. Rosin, Multi-armed bandits with episode context, Annals of Mathematics and Artificial Intelligence 61
   (2011), algorithm PUCB.
.. [2] D. Silver et al., Mastering the game of Go without human knowledge, Nature 550 (2017), Methods, "Search
   algorithm": selection, virtual loss, Dirichlet noise at the root.
.. [3] D. Silver et al., A general reinforcement learning algorithm that masters chess, shogi, and Go through
   self-play, Science 362 (2018), supplementary text "Search": the growing c(s).
.. [4] J. Schrittwieser et al., Mastering Atari, Go, chess and shogi by planning with a learned model, Nature 588
   (2020), appendix B: equations 2 (selection), 3 and 4 (backup), 5 (value normalisation).
.. [5] S. Gelly, Y. Wang, Exploration exploitation in Go: UCT for Monte-Carlo Go, NIPS workshop (2006): first-play
   urgency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gnnlib.errors import InputError
from gnnlib.interrupt import DeferredInterrupt
from gnnlib.search.puct import GrowingTree
from gnnlib.search.step import RecurrentFn, RecurrentOutput, RootOutput
from gnnlib.seeding import numpy_generator
from gnnlib.stop import MaxIterations

if TYPE_CHECKING:
    from gnnlib.search.tree import SearchTree
    from gnnlib.seeding import Seed
    from gnnlib.stop import StopCriterion

__all__ = ["MCTSConfig", "RecurrentFn", "RecurrentOutput", "RootOutput", "puct_search"]


@dataclass(frozen=True)
class MCTSConfig:
    """How the search spends its simulations.

    Parameters
    ----------
    num_simulations : int >= 0 or None, default 100
        Simulations per root; None leaves the end to ``stop``.
    batch_size : int >= 1, default 1
        Leaves per root that are evaluated in one call. 1 is the exact sequential algorithm; more saves calls and
        blurs the choice a little.
    c_init, c_base : float, default 1.25 and 19652
        Constants of the exploration term; the defaults are those of Silver et al. (2018).
    first_play : {"parent", "zero"}, default "parent"
        Value of an action not yet tried: that of the node it leaves from, or 0.
    first_play_reduction : float, default 0
        Taken off that value.
    virtual_loss : float >= 0, default 1
        By how much a simulation whose leaf waits for its evaluation is assumed to fall short of the current value.
    noise_fraction : float in [0, 1], default 0
        Share of Dirichlet noise in the prior of the root; 0.25 is usual in self-play (Silver et al. 2017).
    noise_alpha : float > 0, default 0.3
        Concentration of the noise.
    normalise_values : bool, default False
        Scale the values to [0, 1] by the smallest and largest found in the tree so far (Schrittwieser et al. 2020,
        appendix B, equation 5): for rewards of unknown scale. `virtual_loss` then counts on that scale.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> MCTSConfig(num_simulations=800, noise_fraction=0.25).c_init
    1.25
    """

    num_simulations: int | None = 100
    batch_size: int = 1
    c_init: float = 1.25
    c_base: float = 19652.0
    first_play: Literal["parent", "zero"] = "parent"
    first_play_reduction: float = 0.0
    virtual_loss: float = 1.0
    noise_fraction: float = 0.0
    noise_alpha: float = 0.3
    normalise_values: bool = False

    def __post_init__(self) -> None:
        for name, least in (("num_simulations", 0), ("batch_size", 1)):
            count = getattr(self, name)
            if count is None and name == "num_simulations":
                continue
            if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < least:
                raise InputError(f"`{name}` must be an integer >= {least}, found {count!r}")
        for name, low, high in (
            ("c_init", 0.0, math.inf),
            ("c_base", 1e-12, math.inf),
            ("first_play_reduction", -math.inf, math.inf),
            ("virtual_loss", 0.0, math.inf),
            ("noise_fraction", 0.0, 1.0),
            ("noise_alpha", 1e-12, math.inf),
        ):
            number = getattr(self, name)
            if not isinstance(number, (int, float)) or not math.isfinite(number) or not low <= number <= high:
                raise InputError(f"`{name}` must be a finite number in [{low:g}, {high:g}], found {number!r}")
        if self.first_play not in ("parent", "zero"):
            raise InputError(f"`first_play` must be 'parent' or 'zero', found {self.first_play!r}")


def puct_search(
    root: RootOutput,
    recurrent_fn: RecurrentFn,
    *,
    config: MCTSConfig | None = None,
    stop: StopCriterion | None = None,
    seed: Seed = 0,
) -> SearchTree:
    """Search from B roots at once and return the tree.

    Parameters
    ----------
    root : RootOutput
        The B states to search from, evaluated.
    recurrent_fn : callable
        ``recurrent_fn(embeddings, actions) -> RecurrentOutput``: takes a list of n embeddings and an int array [n],
        steps and evaluates them together. n is at most ``B * config.batch_size`` and differs from call to call.
    config : MCTSConfig, optional
        Simulations and constants.
    stop : StopCriterion, optional
        A further limit; its iterations are simulations per root, its best value is minus the mean value of the roots.
    seed : int or None, default 0
        Drives the Dirichlet noise, the only randomness.

    Returns
    -------
    SearchTree
        On Ctrl-C the tree so far; a second Ctrl-C raises.

    Raises
    ------
    InputError
        If an array of `root` or of an answer of `recurrent_fn` has the wrong shape or holds a NaN, if a root has no
        legal action, or if neither `config` nor `stop` ends the search.

    Notes
    -----
    A simulation costs time linear in depth and A, about a microsecond a level in compiled code beside the call of
    `recurrent_fn`, and memory linear in A. Kernels are compiled before the clock of `stop` starts.

    Examples
    --------
    Nim with one heap: take one to three matches, whoever takes the last one wins. Five matches are won by taking one.

    >>> import numpy as np
    >>> def play(heaps, taken):
    ...     left = np.array(heaps) - taken - 1
    ...     won = left == 0
    ...     legal = left[:, None] > np.arange(3)
    ...     return RecurrentOutput(won * 1.0, won - 1.0, np.zeros((len(left), 3)), np.zeros(len(left)), left, legal)
    >>> five = RootOutput(np.zeros((1, 3)), [0.0], [5])
    >>> tree = puct_search(five, play, config=MCTSConfig(num_simulations=200))
    >>> int(tree.best_actions[0]) + 1, tree.principal_variation()[0] + 1
    (1, 1)
    >>> bool(tree.root_values[0, 0] > 0.8)
    True
    """
    config = config or MCTSConfig()
    if stop is None and config.num_simulations is None:
        raise InputError("a search needs an end: give `num_simulations` or `stop`")
    search = GrowingTree(root, config, numpy_generator(seed))
    clock = (stop or MaxIterations(config.num_simulations or 0)).start()
    budget = math.inf if config.num_simulations is None else config.num_simulations
    with DeferredInterrupt() as interrupt:
        while not interrupt.received:
            finished = int(search.roots.finished.min())
            is_over = clock.update(iterations=finished, best=-float(search.nodes.values[:, 0].mean()))
            limit = min(budget, finished + clock.remaining_iterations)
            if is_over or finished >= limit:
                break
            search.run_round(recurrent_fn, limit)
    return search.tree()
