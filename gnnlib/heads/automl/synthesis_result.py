"""What a synthesis of pipelines found, and over which pipelines its search tree grew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.automl.pipelines import Pipeline
    from gnnlib.typing import FloatArray

__all__ = ["SearchNode", "SynthesisResult", "SynthesisTrial"]


@dataclass(frozen=True)
class SynthesisTrial:
    """A pipeline whose score was asked for.

    Attributes
    ----------
    pipeline : str
        Text form.
    score : float
        Higher is better; minus infinity when it failed.
    derivation : tuple of str
        Edits that lead from the empty sentence to it.
    seconds : float
        When the score was known, from the start.
    """

    pipeline: str
    score: float
    derivation: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class SearchNode:
    """A pipeline of the search tree.

    Attributes
    ----------
    pipeline : str
        Text form; empty for the root, where nothing is chosen yet.
    parent : int
        Position of the node above; -1 at the root.
    edit : str
        What was changed on the way from there.
    kind : {"start", "insert", "delete", "substitute", "given"}
    visits : int
        Simulations that ended there or further on.
    score : float
        NaN when it was not tried, minus infinity when it failed.
    """

    pipeline: str
    parent: int
    edit: str
    kind: str
    visits: int
    score: float


@dataclass(frozen=True)
class SynthesisResult(Result):
    """The best pipeline, all trials in their order, and the search tree.

    Attributes
    ----------
    pipeline : Pipeline or None
        The best one; None when no trial succeeded.
    score : float
        Its score; minus infinity without one.
    trials : tuple of SynthesisTrial
    nodes : tuple of SearchNode
        Tried pipelines with all above them, and the most visited of the others; parents come first.
    num_places : int
        Pipelines that the search walked over.
    num_edits : int
        Size of the action space.
    use_network, use_grammar : bool
    seconds : float
    seed : int or None
    """

    pipeline: Pipeline | None
    score: float
    trials: tuple[SynthesisTrial, ...]
    nodes: tuple[SearchNode, ...]
    num_places: int
    num_edits: int
    use_network: bool
    use_grammar: bool
    seconds: float
    seed: int | None

    @property
    def trace(self) -> FloatArray:
        """Best score after each trial, array [T]."""
        return np.maximum.accumulate([trial.score for trial in self.trials]) if self.trials else np.zeros(0)

    @property
    def num_failed(self) -> int:
        """Trials without a score."""
        return sum(trial.score == -np.inf for trial in self.trials)

    def _rows(self) -> list[tuple[str, str]]:
        best = max(self.trials, key=lambda trial: trial.score, default=None)
        way = " | ".join(best.derivation) if best is not None and best.derivation else "none"
        return [
            ("pipeline", str(self.pipeline or "none")),
            ("score", f"{self.score:.4f}"),
            ("derivation", way),
            ("trials", f"{len(self.trials)}, of which {self.num_failed} failed"),
            ("walked over", f"{self.num_places} pipelines by {self.num_edits} edits"),
            ("network, grammar", f"{'on' if self.use_network else 'off'}, {'on' if self.use_grammar else 'off'}"),
            ("seconds", f"{self.seconds:.2f}"),
        ]

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the search tree; see `gnnlib.heads.automl.plotting_tree.plot_search_tree`."""
        from gnnlib.heads.automl.plotting_tree import plot_search_tree  # matplotlib on use only

        return plot_search_tree(self.nodes, ax=ax)
