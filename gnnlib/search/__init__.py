"""Search procedures that know callables and never heads.

Names load on first use: training borrows the interrupt and should not pay for the compiler of the tree search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "interrupt": ["DeferredInterrupt"],
        "mcts": ["MCTSConfig", "RecurrentFn", "RecurrentOutput", "RootOutput", "puct_search"],
        "tree": ["SearchTree"],
    },
)

__all__ = [
    "DeferredInterrupt",
    "MCTSConfig",
    "RecurrentFn",
    "RecurrentOutput",
    "RootOutput",
    "SearchTree",
    "puct_search",
]

if TYPE_CHECKING:
    from gnnlib.search.interrupt import DeferredInterrupt
    from gnnlib.search.mcts import MCTSConfig, RecurrentFn, RecurrentOutput, RootOutput, puct_search
    from gnnlib.search.tree import SearchTree
