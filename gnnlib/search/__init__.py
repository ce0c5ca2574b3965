"""Search procedures that know callables and never heads.

Names load on first use, for the compiler of the tree search takes time to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "mcts": ["MCTSConfig", "RecurrentFn", "RecurrentOutput", "RootOutput", "puct_search"],
        "tree": ["SearchTree"],
    },
)

__all__ = [
    "MCTSConfig",
    "RecurrentFn",
    "RecurrentOutput",
    "RootOutput",
    "SearchTree",
    "puct_search",
]

if TYPE_CHECKING:
    from gnnlib.search.mcts import MCTSConfig, RecurrentFn, RecurrentOutput, RootOutput, puct_search
    from gnnlib.search.tree import SearchTree
