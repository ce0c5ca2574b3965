"""Search procedures that know callables and never heads."""

from gnnlib.search.interrupt import DeferredInterrupt
from gnnlib.search.mcts import MCTSConfig, RecurrentFn, RecurrentOutput, RootOutput, puct_search
from gnnlib.search.tree import SearchTree

__all__ = [
    "DeferredInterrupt",
    "MCTSConfig",
    "RecurrentFn",
    "RecurrentOutput",
    "RootOutput",
    "SearchTree",
    "puct_search",
]
