"""What a search for pipelines did and found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gnnlib.errors import InputError
from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.automl.synthesis_result import SearchNode
    from gnnlib.typing import FloatArray

__all__ = ["AutoMLResult", "Explanation", "TrialSummary"]

RUNGS = {-1: "none", 0: "few rows", 1: "one fold", 2: "all folds"}


@dataclass(frozen=True)
class TrialSummary:
    """One pipeline that was tried.

    Parameters
    ----------
    pipeline : str
    family : str
    score : float
        In the metric's own direction; NaN when there is none.
    rung : int
        How far it came: -1 nowhere, 0 few rows, 1 one fold, 2 all folds.
    status : str
    weight : float
        Share in the ensemble.
    fit_s, predict_s : float
        Seconds over all folds.
    started_s, finished_s : float
        Seconds since the fit began.
    why : str
        What proposed it.
    message : str
        Error, if any.
    """

    pipeline: str
    family: str
    score: float
    rung: int
    status: str
    weight: float
    fit_s: float
    predict_s: float
    started_s: float
    finished_s: float
    why: str
    message: str = ""


@dataclass(frozen=True, eq=False)
class AutoMLResult(Result):
    """Trials, ensemble, anytime curve, and the time asked and used.

    Parameters
    ----------
    task, metric : str
    best_score : float
        Of the best single pipeline, by cross-validation or on the held-out part; NaN when no trial ended.
    trials : tuple of TrialSummary
        In the order of their start.
    members : tuple of (str, float)
        Pipelines of the ensemble with their weights.
    trace : array [T, 2]
        (seconds, best score) at each improvement; NaN scores are those of the quick first answer.
    seconds, seconds_asked : float
        Wall-clock time used and allowed.
    rows, columns : int
        Size of the table.
    num_folds : int
        1 means one held-out part.
    notes : tuple of str
        What was repaired or dropped.
    seed : int
    """

    task: str
    metric: str
    best_score: float
    trials: tuple[TrialSummary, ...]
    members: tuple[tuple[str, float], ...]
    trace: FloatArray = field(default_factory=lambda: np.zeros((0, 2)), repr=False)
    seconds: float = 0.0
    seconds_asked: float = math.inf
    rows: int = 0
    columns: int = 0
    num_folds: int = 0
    notes: tuple[str, ...] = ()
    seed: int = 0

    @property
    def num_complete(self) -> int:
        """Trials that saw all folds."""
        return sum(trial.status == "ok" for trial in self.trials)

    def leaderboard(self) -> pd.DataFrame:
        """Return one row a trial: those with weight first, then by rung and score."""
        lower_is_better = self.metric in {"log_loss", "rmse", "mae"}
        rows = [
            {
                "pipeline": trial.pipeline,
                self.metric: trial.score,
                "weight": trial.weight,
                "judged_on": "holdout" if self.num_folds == 1 and trial.rung == 1 else RUNGS[trial.rung],
                "status": trial.status,
                "fit_s": trial.fit_s,
                "predict_s": trial.predict_s,
                "finished_s": trial.finished_s,
                "why": trial.why,
                "message": trial.message,
            }
            for trial in self.trials
        ]
        columns = ["pipeline", self.metric, "weight", "judged_on", "status", "fit_s", "predict_s", "finished_s", "why"]
        table = pd.DataFrame(rows, columns=[*columns, "message"])
        order = sorted(
            range(len(rows)),
            key=lambda i: (
                -self.trials[i].rung,
                math.isnan(self.trials[i].score),
                self.trials[i].score if lower_is_better else -self.trials[i].score,
            ),
        )
        return table.iloc[order].reset_index(drop=True)

    @property
    def _title(self) -> str:
        return f"AutoML {self.task}"

    def _rows(self) -> list[tuple[str, str]]:
        asked = f"{self.seconds_asked:g}" if math.isfinite(self.seconds_asked) else "no limit"
        found = f"{self.best_score:.4f}" if math.isfinite(self.best_score) else "none"
        judged = f"{self.num_folds} folds" if self.num_folds > 1 else "a held-out part"
        return [
            ("table", f"{self.rows:,} rows, {self.columns:,} columns"),
            (f"best single {self.metric}", f"{found} on {judged}"),
            ("trials", f"{self.num_complete} complete of {len(self.trials)}"),
            ("ensemble", f"{len(self.members)} pipelines"),
            *((f"  {weight:.2f}", pipeline) for pipeline, weight in self.members),
            ("seconds", f"{self.seconds:.1f} used, {asked} asked"),
            *(("note", note) for note in self.notes),
        ]

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the score against the seconds; see `gnnlib.heads.automl.plotting.plot_anytime`."""
        from gnnlib.heads.automl.plotting import plot_anytime  # matplotlib on use only

        return plot_anytime(self, ax=ax)


@dataclass(frozen=True, eq=False)
class Explanation(Result):
    """Why the predictor is what it is.

    Parameters
    ----------
    importance : tuple of (str, float)
        How much the score falls when a column is shuffled, largest first.
    metric : str
    members : tuple of (str, float)
        Pipelines of the ensemble with their weights.
    reasons : tuple of (str, str)
        Why each member was tried.
    dropped : tuple of (str, str)
        Columns that were left out, and why.
    families : tuple of (str, int, float)
        Kind of estimator, trials, best score.
    neighbours : tuple of (str, float)
        Known data sets that the first pipelines were taken from, with their share.
    tree : tuple of SearchNode
        Search tree of the strategy "synthesis", which `plot` draws; empty for others.
    moved : tuple of (str, float)
        Expected regret of the pipeline that was advised first: over all known data sets, and as each view of the table
        (meta-features, words) sees it; see `gnnlib.heads.automl.recommend.Recommendation`.
    """

    importance: tuple[tuple[str, float], ...]
    metric: str
    members: tuple[tuple[str, float], ...]
    reasons: tuple[tuple[str, str], ...]
    dropped: tuple[tuple[str, str], ...]
    families: tuple[tuple[str, int, float], ...]
    neighbours: tuple[tuple[str, float], ...] = ()
    tree: tuple[SearchNode, ...] = ()
    moved: tuple[tuple[str, float], ...] = ()

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the search tree; see `gnnlib.heads.automl.plotting_tree.plot_search_tree`.

        Raises
        ------
        InputError
            If the search was none over a tree.
        """
        if not self.tree:
            raise InputError('there is no search tree: only the strategy "synthesis" grows one')
        from gnnlib.heads.automl.plotting_tree import plot_search_tree  # matplotlib on use only

        return plot_search_tree(self.tree, ax=ax)

    def _rows(self) -> list[tuple[str, str]]:
        return [
            *((f"column {name}", f"{value:+.4f} {self.metric}") for name, value in self.importance[:10]),
            *((f"weight {weight:.2f}", pipeline) for pipeline, weight in self.members),
            *((f"tried {family}", f"{count} times, best {best:.4f}") for family, count, best in self.families),
            *((f"like {name}", f"{share:.0%} of the advice") for name, share in self.neighbours),
            *((f"regret {view}", f"{regret:.2f} of the first advice") for view, regret in self.moved),
            *([("search tree", f"{len(self.tree)} pipelines")] if self.tree else []),
            *((f"dropped {name}", reason) for name, reason in self.dropped),
        ]
