"""Search procedures that know callables and never heads.

Names load on first use, for the compiler of the tree search takes time to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bandit": ["UCB", "hyperband_brackets"],
        "bayesopt": ["expected_improvement", "lower_confidence_bound"],
        "gp": ["GaussianProcess"],
        "hyper": ["HyperSearch", "SearchOptions", "SearchResult", "Trial"],
        "spaces": ["Categorical", "Float", "Int", "Space"],
        "mcts": ["MCTSConfig", "RecurrentFn", "RecurrentOutput", "RootOutput", "puct_search"],
        "tree": ["SearchTree"],
    },
)

__all__ = [
    "UCB",
    "Categorical",
    "Float",
    "GaussianProcess",
    "HyperSearch",
    "Int",
    "MCTSConfig",
    "RecurrentFn",
    "RecurrentOutput",
    "RootOutput",
    "SearchOptions",
    "SearchResult",
    "SearchTree",
    "Space",
    "Trial",
    "expected_improvement",
    "hyperband_brackets",
    "lower_confidence_bound",
    "puct_search",
]

if TYPE_CHECKING:
    from gnnlib.search.bandit import UCB, hyperband_brackets
    from gnnlib.search.bayesopt import expected_improvement, lower_confidence_bound
    from gnnlib.search.gp import GaussianProcess
    from gnnlib.search.hyper import HyperSearch, SearchOptions, SearchResult, Trial
    from gnnlib.search.mcts import MCTSConfig, RecurrentFn, RecurrentOutput, RootOutput, puct_search
    from gnnlib.search.spaces import Categorical, Float, Int, Space
    from gnnlib.search.tree import SearchTree
