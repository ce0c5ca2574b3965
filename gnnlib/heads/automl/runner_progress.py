"""A bar that says how much of the time, or of the trials, is over, and how good the best pipeline is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from gnnlib.heads.automl.runner import Study
    from gnnlib.stop import StopClock

__all__ = ["SearchBar"]


class SearchBar:
    """Shows the search on stderr, or in the notebook, after each trial; does nothing unless it is wanted.

    Parameters
    ----------
    clock : StopClock
    is_shown : bool

    Examples
    --------
    >>> from gnnlib.stop import MaxTrials
    >>> with SearchBar(MaxTrials(3).start(), is_shown=False) as bar:
    ...     bar.is_shown
    False
    """

    def __init__(self, clock: StopClock, *, is_shown: bool) -> None:
        self.is_shown = is_shown
        self._clock = clock
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self.is_shown:
            from tqdm.auto import tqdm

            stop = self._clock.criterion
            if math.isfinite(stop.max_seconds):
                self._bar = tqdm(total=round(stop.max_seconds, 1), desc="search", bar_format=_SECONDS)
            else:
                total = stop.max_iterations if math.isfinite(stop.max_iterations) else None
                self._bar = tqdm(total=total, desc="search", unit=" trials")
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, study: Study) -> None:
        """Move the bar to where the search is."""
        if self._bar is None:
            return
        done = sum(record.status != "running" for record in study.records)
        best = max((record.score for record in study.complete()), default=math.nan)
        self._bar.set_postfix_str(f"{done} trials, {study.metric.name} {study.metric.shown(best):.4g}", refresh=False)
        place = self._clock.elapsed_s if math.isfinite(self._clock.criterion.max_seconds) else float(done)
        self._bar.n = round(min(place, self._bar.total or place), 1)
        self._bar.refresh()


_SECONDS = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s, {postfix}"
